//! An index: (name, key bytes) → seq, fed by a callback that looks at frames.
//!
//! - The journal knows nothing of what the names mean (I2).
//! - It is a cache: the head it has reached (frames, their hash, the callback's version) is stored
//!   in the same step as the entries. Behind the journal: the tail is fed. Anything else (ahead,
//!   another history, another version): it is emptied and fed from the start.
//! - A key that several frames name points to the last of them.
//! - Must never: be fed a frame that does not verify.

mod sled_store;

pub use sled_store::SledIndex;

use crate::chain::Hash;
use crate::error::Result;
use crate::format::Frame;
use crate::journal::{Journal, chain_of};
use std::collections::BTreeMap;

/// Frames fed between two stored heads: what a crash costs, and what a batch weighs.
const FRAMES_PER_BATCH: u64 = 65_536;

/// What an index has taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexHead {
    /// How many frames.
    pub frames: u64,
    /// Their content hash.
    pub content: Hash,
    /// Version of the callback that fed it.
    pub version: u64,
}

/// Where (name, key) → seq is kept.
pub trait Index {
    /// The last frame that named `key` under `name`.
    fn get(&self, name: &str, key: &[u8]) -> Result<Option<u64>>;
    /// All entries under `name` whose key begins with `prefix`, in the order of their keys.
    fn prefix(&self, name: &str, prefix: &[u8]) -> Result<Vec<(Vec<u8>, u64)>>;
    /// What was taken in so far; `None` where that is nothing, or cannot be read.
    fn head(&self) -> Result<Option<IndexHead>>;
    /// Stores entries and the head they lead to, in one step.
    fn apply(&mut self, entries: &Entries, head: IndexHead) -> Result<()>;
    /// Empties it, head included.
    fn clear(&mut self) -> Result<()>;
}

/// What the callback says about the frame it was given.
#[derive(Debug, Default)]
pub struct Entries {
    seq: u64,
    puts: BTreeMap<Vec<u8>, u64>,
}

impl Entries {
    /// The present frame is to be found as `key` under `name`.
    ///
    /// # Panics
    /// Where `name` is empty or holds a zero byte: names are constants of a program.
    pub fn put(&mut self, name: &str, key: &[u8]) {
        self.puts.insert(composite(name, key), self.seq);
    }

    /// (Composite key, seq), in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.puts.iter().map(|(key, seq)| (key.as_slice(), *seq))
    }
}

/// What [`catch_up`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// Frames that were fed.
    pub fed: u64,
    /// True where the index had to be emptied first.
    pub rebuilt: bool,
}

/// Feeds `index` what it lacks of `journal`. `version` is that of `feed`: raise it with every change
/// to what `feed` puts.
pub fn catch_up(
    index: &mut dyn Index,
    journal: &Journal,
    version: u64,
    mut feed: impl FnMut(&Frame<'_>, &mut Entries),
) -> Result<CaughtUp> {
    let head = index.head()?;
    let from = match head {
        Some(head) if belongs(&head, journal, version)? => head.frames,
        _ => 0,
    };
    let rebuilt = head.is_some_and(|head| head.frames != from);
    if from == 0 {
        index.clear()?;
    }
    let end = journal.head().frames;
    let mut chain = chain_of(&journal.view, from)?;
    let mut cursor = journal.cursor(from);
    let mut entries = Entries::default();
    while cursor.advance()? {
        let frame = cursor.frame();
        entries.seq = frame.seq;
        feed(&frame, &mut entries);
        chain.push(cursor.raw());
        let frames = chain.frames();
        if frames == end || frames.is_multiple_of(FRAMES_PER_BATCH) {
            let content = chain.content();
            index.apply(&entries, IndexHead { frames, content, version })?;
            entries.puts.clear();
        }
    }
    assert!(chain.frames() == end, "the cursor reached the end");
    Ok(CaughtUp { fed: end - from, rebuilt })
}

fn belongs(head: &IndexHead, journal: &Journal, version: u64) -> Result<bool> {
    Ok(head.version == version
        && head.frames <= journal.head().frames
        && journal.content_at(head.frames)? == head.content)
}

/// name, a zero byte, key: no name is a prefix of another's entries.
pub(crate) fn composite(name: &str, key: &[u8]) -> Vec<u8> {
    assert!(!name.is_empty() && !name.bytes().any(|byte| byte == 0), "a name is not empty and holds no zero byte");
    let mut bytes = Vec::with_capacity(name.len() + 1 + key.len());
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(key);
    bytes
}

/// The index in memory: for tests, and for journals that are small.
#[derive(Clone, Debug, Default)]
pub struct MemoryIndex {
    entries: BTreeMap<Vec<u8>, u64>,
    head: Option<IndexHead>,
}

impl MemoryIndex {
    /// An empty one.
    pub fn new() -> MemoryIndex {
        MemoryIndex::default()
    }
}

impl Index for MemoryIndex {
    fn get(&self, name: &str, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.entries.get(&composite(name, key)).copied())
    }

    fn prefix(&self, name: &str, prefix: &[u8]) -> Result<Vec<(Vec<u8>, u64)>> {
        let start = composite(name, prefix);
        let skip = name.len() + 1;
        Ok(self
            .entries
            .range(start.clone()..)
            .take_while(|(key, _)| key.starts_with(&start))
            .map(|(key, seq)| (key[skip..].to_vec(), *seq))
            .collect())
    }

    fn head(&self) -> Result<Option<IndexHead>> {
        Ok(self.head)
    }

    fn apply(&mut self, entries: &Entries, head: IndexHead) -> Result<()> {
        for (key, seq) in entries.iter() {
            self.entries.insert(key.to_vec(), seq);
        }
        self.head = Some(head);
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        self.entries.clear();
        self.head = None;
        Ok(())
    }
}
