//! The real file system.
//!
//! - `create` and growth reserve blocks, so that a later write inside the file cannot run out of space.
//! - A room may be set for what lies in a directory: what does not fit is a full disk, as the system would say it.
//! - The lock is advisory (`flock`): it keeps two daybooks apart, not other programs.
//! - Must never: map bytes beyond the committed end of a file that a writer may still trim.

use super::{Entry, Storage, StorageFile, Window};
use rustix::fs::{FallocateFlags, FlockOperation};
use std::any::Any;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file system of the machine.
#[derive(Debug)]
pub struct Files {
    started: Instant,
    room: Option<u64>,
}

impl Files {
    /// The file system of the machine.
    #[expect(clippy::new_without_default, reason = "it reads the clock")]
    #[expect(clippy::disallowed_methods, reason = "paces the sync of the high-water file; nothing that is recorded")]
    pub fn new() -> Files {
        Files { started: Instant::now(), room: None }
    }

    /// The same, where the files of one directory may own so many bytes of blocks together: what goes beyond is refused
    /// as a full disk is. None: what the disk has.
    pub fn with_room(room: Option<u64>) -> Files {
        Files { room, ..Files::new() }
    }
}

/// An open file, and how much the files of its directory may own.
#[derive(Debug)]
struct OpenFile {
    file: File,
    room: Option<(PathBuf, u64)>,
}

impl OpenFile {
    fn new(file: File, path: &Path, room: Option<u64>) -> OpenFile {
        let room = room.and_then(|room| Some((path.parent()?.to_owned(), room)));
        OpenFile { file, room }
    }

    /// Errs as a full disk does where so many bytes more do not fit.
    fn fits(&self, more: u64) -> io::Result<()> {
        let Some((dir, room)) = &self.room else { return Ok(()) };
        let mut owned = 0;
        for entry in std::fs::read_dir(dir)? {
            owned += entry?.metadata()?.blocks() * 512;
        }
        if owned + more > *room { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Storage for Files {
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), len: metadata.len() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(write).open(path)?;
        Ok(Box::new(OpenFile::new(file, path, self.room)))
    }

    fn create(&self, path: &Path, len: u64) -> io::Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let file = OpenFile::new(file, path, self.room);
        file.fits(len)?;
        reserve(&file.file, 0, len)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // Whoever looks whether it is held holds it for a moment: see `is_locked`.
        let mut tries = 0;
        while let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            tries += 1;
            if tries == LOCK_TRIES || error != rustix::io::Errno::WOULDBLOCK {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Box::new(file))
    }

    fn file_id(&self) -> io::Result<u64> {
        getrandom::u64().map_err(io::Error::other)
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl StorageFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let now = self.file.metadata()?.len();
        if len > now {
            self.fits(len - now)?;
            return reserve(&self.file, now, len - now);
        }
        self.file.set_len(len)
    }

    fn release(&self, from: u64) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        if from >= len {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, flags, from, len - from) {
            // They are zeros all the same.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn map(&self, offset: u64, len: usize) -> io::Result<Window> {
        if len == 0 {
            return Ok(Window::empty());
        }
        // A view beyond the end would raise a signal instead of an error.
        if self.file.metadata()?.len() < offset + len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a map is undefined behaviour when its bytes change under it, and a signal when
        // the file is cut. Neither happens to the bytes a reader touches: it asks only for bytes
        // below the last commit record, segments are append-only, the writer writes above that
        // record only, a clean close trims above it, and recovery copies what it keeps before it
        // zeroes (zeros are read as zeros: the checksum of each frame is computed over the very
        // bytes handed out, and fails). Deleting the file keeps the map alive. What remains is
        // another program rewriting or cutting a journal in use, which no reader can prevent.
        let map = unsafe { memmap2::MmapOptions::new().offset(offset).len(len).map(&self.file)? };
        Ok(Window::mapped(map))
    }
}

/// Attempts at a lock that somebody may be looking at.
const LOCK_TRIES: u32 = 4;

/// True where another process holds the lock on the file at `path`. Changes nothing; what cannot be opened is not held.
pub(crate) fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let tried = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
    tried == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Bytes that are free for us where `dir` lies.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let system = rustix::fs::statvfs(dir)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Reserves blocks; a file system that cannot gets a plain length instead.
fn reserve(file: &File, offset: u64, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, len) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(offset + len),
        other => Ok(other?),
    }
}
