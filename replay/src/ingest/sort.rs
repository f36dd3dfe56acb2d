//! External sort: any number of items in order, with bounded memory.
//!
//! - Items come in chunks; a full memory is merged to one sorted file in the spill directory, and the end merges all
//!   files and what is in memory. Sources are few (memory ÷ limit), so one level of merging is enough.
//! - Equal items keep no particular order: an order that must be total is part of the item's `Ord`.
//! - Spill files are deleted with the sorter; after a kill the next command clears the directory.

use std::cmp::Ordering;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const FILE_BUFFER: usize = 1 << 18;

/// What can be sorted: ordered, measured, and readable back from bytes.
pub(crate) trait Sortable: Ord + Sized {
    /// About how many bytes it takes in memory.
    fn size(&self) -> usize;
    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads it back; none at the end of the file.
    fn read(input: &mut dyn Read) -> io::Result<Option<Self>>;
}

/// Collects chunks until [`Sorter::finish`].
pub(crate) struct Sorter<T> {
    dir: PathBuf,
    name: &'static str,
    memory_max: usize,
    memory: usize,
    chunks: Vec<Vec<T>>,
    spills: Vec<PathBuf>,
}

impl<T: Sortable> Sorter<T> {
    /// A sorter that spills to files in `dir` (made when needed) once its items take `memory_max` bytes.
    pub fn new(dir: &Path, name: &'static str, memory_max: usize) -> Self {
        Self { dir: dir.to_owned(), name, memory_max, memory: 0, chunks: Vec::new(), spills: Vec::new() }
    }

    /// Takes a chunk; quick when it is already in order.
    pub fn push(&mut self, mut chunk: Vec<T>) -> io::Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        if !chunk.is_sorted() {
            chunk.sort();
        }
        self.memory += chunk.iter().map(Sortable::size).sum::<usize>();
        self.chunks.push(chunk);
        if self.memory > self.memory_max { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("{}-{}", self.name, self.spills.len()));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        self.spills.push(path);
        let mut out = BufWriter::with_capacity(FILE_BUFFER, file);
        let sources = self.chunks.drain(..).map(|chunk| Source::Memory(chunk.into_iter())).collect();
        let mut merged = Merged::new(sources, Vec::new())?;
        let mut bytes = Vec::new();
        while let Some(item) = merged.next()? {
            bytes.clear();
            item.write(&mut bytes);
            out.write_all(&bytes)?;
        }
        self.memory = 0;
        out.flush()
    }

    /// Everything, in order.
    pub fn finish(mut self) -> io::Result<Merged<T>> {
        let mut sources = Vec::new();
        for path in &self.spills {
            sources.push(Source::File(BufReader::with_capacity(FILE_BUFFER, File::open(path)?)));
        }
        sources.extend(self.chunks.drain(..).map(|chunk| Source::Memory(chunk.into_iter())));
        Merged::new(sources, std::mem::take(&mut self.spills))
    }
}

impl<T> Drop for Sorter<T> {
    fn drop(&mut self) {
        remove(&self.spills);
    }
}

fn remove(paths: &[PathBuf]) {
    for path in paths {
        // The directory is a cache: what stays behind is cleared by the next command.
        let _ = fs::remove_file(path);
    }
}

enum Source<T> {
    Memory(std::vec::IntoIter<T>),
    File(BufReader<File>),
}

impl<T: Sortable> Source<T> {
    #[inline]
    fn next(&mut self) -> io::Result<Option<T>> {
        match self {
            Self::Memory(items) => Ok(items.next()),
            Self::File(input) => T::read(input),
        }
    }
}

/// Sorted items, merged from their sources.
pub(crate) struct Merged<T> {
    sources: Vec<Source<T>>,
    /// The next item of each source that has one.
    heads: Vec<Option<T>>,
    /// A binary heap of the sources that have a head, least on top.
    heap: Vec<u32>,
    spills: Vec<PathBuf>,
}

impl<T: Sortable> Merged<T> {
    fn new(mut sources: Vec<Source<T>>, spills: Vec<PathBuf>) -> io::Result<Self> {
        let mut heads = Vec::with_capacity(sources.len());
        for source in &mut sources {
            heads.push(source.next()?);
        }
        let heap = (0..sources.len() as u32).filter(|&source| heads[source as usize].is_some()).collect();
        let mut merged = Self { sources, heads, heap, spills };
        for at in (0..merged.heap.len() / 2).rev() {
            merged.sink(at);
        }
        Ok(merged)
    }

    /// The next item; none at the end.
    #[inline]
    pub fn next(&mut self) -> io::Result<Option<T>> {
        let Some(&source) = self.heap.first() else { return Ok(None) };
        let item = self.heads[source as usize].take();
        self.heads[source as usize] = self.sources[source as usize].next()?;
        if self.heads[source as usize].is_none() {
            self.heap.swap_remove(0);
        }
        self.sink(0);
        Ok(item)
    }

    /// Moves the source at `at` down to where both below it are greater. One that does not stay goes to the bottom first
    /// and up again from there: of files of the same days the next item of one comes after those of all others, so it
    /// belongs near the bottom, and going down unasked saves half the comparisons.
    #[inline]
    fn sink(&mut self, top: usize) {
        let Some(&moving) = self.heap.get(top) else { return };
        let Some((mut at, least)) = self.least_below(top) else { return };
        if self.compare(moving, least) != Ordering::Greater {
            return;
        }
        self.heap[top] = least;
        while let Some((below, least)) = self.least_below(at) {
            self.heap[at] = least;
            at = below;
        }
        while at > top {
            let above = (at - 1) / 2;
            let parent = self.heap[above];
            if self.compare(parent, moving) != Ordering::Greater {
                break;
            }
            self.heap[at] = parent;
            at = above;
        }
        self.heap[at] = moving;
    }

    /// The lesser of the two below `at`: its place and its source.
    #[inline]
    fn least_below(&self, at: usize) -> Option<(usize, u32)> {
        let left = 2 * at + 1;
        let first = *self.heap.get(left)?;
        Some(match self.heap.get(left + 1) {
            Some(&second) if self.compare(second, first) == Ordering::Less => (left + 1, second),
            _ => (left, first),
        })
    }

    #[inline]
    fn compare(&self, one: u32, other: u32) -> Ordering {
        self.heads[one as usize].cmp(&self.heads[other as usize])
    }
}

impl<T> Drop for Merged<T> {
    fn drop(&mut self) {
        remove(&self.spills);
    }
}

/// Fills `bytes` from the input; false where the input ends before the first byte.
pub(crate) fn read_whole(input: &mut dyn Read, bytes: &mut [u8]) -> io::Result<bool> {
    let mut got = 0;
    while got < bytes.len() {
        match input.read(&mut bytes[got..])? {
            0 if got == 0 => return Ok(false),
            0 => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a spill file ends in the middle of an item"));
            }
            count => got += count,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Sortable for (u32, u32) {
        fn size(&self) -> usize {
            8
        }
        fn write(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0.to_le_bytes());
            out.extend_from_slice(&self.1.to_le_bytes());
        }
        fn read(input: &mut dyn Read) -> io::Result<Option<Self>> {
            let mut bytes = [0; 8];
            Ok(read_whole(input, &mut bytes)?.then(|| {
                let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
                (word(0), word(4))
            }))
        }
    }

    proptest! {
        #[test]
        fn equals_a_plain_sort_whatever_the_memory(
            chunks in prop::collection::vec(prop::collection::vec((0u32..50, any::<u32>()), 0..40), 0..12),
            memory in 0usize..2_000,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(dir.path(), "test", memory);
            let mut plain: Vec<_> = chunks.iter().flatten().copied().collect();
            plain.sort_unstable();
            for chunk in chunks {
                sorter.push(chunk).unwrap();
            }
            let mut merged = sorter.finish().unwrap();
            let mut sorted = Vec::new();
            while let Some(item) = merged.next().unwrap() {
                sorted.push(item);
            }
            prop_assert_eq!(sorted, plain);
            drop(merged);
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no spill file stays");
        }
    }

    #[test]
    fn a_torn_spill_file_is_an_error() {
        assert!(<(u32, u32)>::read(&mut &[1u8, 2, 3][..]).is_err());
        assert_eq!(<(u32, u32)>::read(&mut &[][..]).unwrap(), None);
    }
}
