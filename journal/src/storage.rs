//! The seam between the journal and the disk: everything it asks of a file system, as two traits.
//!
//! - Real: [`Files`]. Simulated: [`SimulatedDisk`] (loses un-synced sectors at will) and
//!   [`Countdown`] (fails the k-th call). The journal above runs the same code on each.
//! - A file handed out by `create` reads as zeros up to its length and owns its blocks.
//! - Must never: retry, hide or reorder a call that reads or writes. The order of calls is the crash safety. (A lock
//!   that somebody looks at for a moment is tried again.)

mod countdown;
mod files;
mod simulated;

pub use countdown::Countdown;
pub(crate) use files::is_locked;
pub use files::{Files, free_bytes};
pub use simulated::{Fate, SECTOR_BYTES, SimulatedDisk, Unsynced};

use crate::format::Aligned;
use std::any::Any;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

/// What a directory lists: a file's name and its length in bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without its directory.
    pub name: String,
    /// Bytes.
    pub len: u64,
}

/// A file system, as the journal needs it.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The files (not directories) in `dir`, sorted by name. `NotFound`, `NotADirectory` as the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Makes `dir` and its parents; fine where it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Opens an existing file, for writing too where `write` says so.
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn StorageFile>>;
    /// Makes a file of `len` zero bytes that owns its blocks, in place of any of that name.
    fn create(&self, path: &Path, len: u64) -> io::Result<Box<dyn StorageFile>>;
    /// Gives a file or directory another name, atomically, replacing a file or an empty directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on the file at `path`, making it where needed; released when dropped.
    /// `WouldBlock` where another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;
    /// A number for a new segment that no other segment has.
    fn file_id(&self) -> io::Result<u64>;
    /// A monotonic clock, for the once-a-second sync of the high-water file only.
    fn elapsed(&self) -> Duration;
}

/// One open file.
pub trait StorageFile: Send + Sync + fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True where the length is zero.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `bytes` from `offset`; `UnexpectedEof` where the file ends before.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Grows to `len` bytes of owned zero blocks, or cuts down to `len`.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Gives back the blocks from `from` on, which hold zeros: the length stays, and they read as zeros. A file system that
    /// cannot keeps them.
    fn release(&self, from: u64) -> io::Result<()> {
        let _ = from;
        Ok(())
    }
    /// Makes everything written to this file durable, its length included.
    fn sync(&self) -> io::Result<()>;
    /// A view of `len` bytes from `offset`, without copying where the system can.
    fn map(&self, offset: u64, len: usize) -> io::Result<Window> {
        self.copy(offset, len)
    }
    /// A copy of `len` bytes from `offset`.
    fn copy(&self, offset: u64, len: usize) -> io::Result<Window> {
        let mut bytes = Aligned::zeroed(len);
        self.read_at(bytes.as_mut_slice(), offset)?;
        Ok(Window(View::Copied(bytes)))
    }
}

/// Some bytes of a file, 8-aligned wherever `offset` was.
#[derive(Debug)]
pub struct Window(View);

#[derive(Debug)]
enum View {
    Copied(Aligned),
    Mapped(memmap2::Mmap),
}

impl Window {
    pub(crate) fn empty() -> Window {
        Window(View::Copied(Aligned::zeroed(0)))
    }

    /// Becomes a copy of `len` bytes of `file` from `offset` on, in the memory it has already.
    /// After an error it is empty.
    pub(crate) fn copy_from(&mut self, file: &dyn StorageFile, offset: u64, len: usize) -> io::Result<()> {
        let mut bytes = match std::mem::replace(self, Window::empty()).0 {
            View::Copied(bytes) => bytes,
            View::Mapped(_) => Aligned::zeroed(0),
        };
        bytes.resize(len);
        file.read_at(bytes.as_mut_slice(), offset)?;
        self.0 = View::Copied(bytes);
        Ok(())
    }

    pub(crate) fn mapped(map: memmap2::Mmap) -> Window {
        Window(View::Mapped(map))
    }
}

impl Deref for Window {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            View::Mapped(map) => map,
            View::Copied(bytes) => bytes.as_slice(),
        }
    }
}
