//! Steps through the records of one segment, a window of bytes at a time.
//!
//! - Every record is checked (length, checksum, padding) before anyone sees it, in the very bytes
//!   that are handed out.
//! - Memory is one window, whatever the segment's size.
//! - Must never: touch a byte at or beyond `limit`.

use crate::error::{JournalError, Result};
use crate::format::{Flaw, Look, Record, look, look_unchecked, seed_of};
use crate::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::storage::{Storage, StorageFile, Window};
use std::path::{Path, PathBuf};

/// Bytes looked at together: large enough to make the system calls vanish, small enough to stay
/// in the cache and out of the memory figures.
const WINDOW_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// The first window after a seek: often a single frame is wanted.
const WINDOW_BYTES_MIN: u64 = 32 * 1024;

/// How a window gets its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// In place; for bytes that are committed.
    Map,
    /// Copied; for a tail that a writer may be trimming.
    Copy,
}

/// Why there is no record here.
#[derive(Debug)]
pub(crate) enum Stop {
    Flaw(Flaw),
    Failed(Box<JournalError>),
}

#[derive(Debug)]
pub(crate) struct Records {
    file: Box<dyn StorageFile>,
    path: PathBuf,
    seed: u32,
    access: Access,
    limit: u64,
    window: Window,
    window_start: u64,
    /// Bytes of the next window.
    window_next: u64,
    /// Of the next record, within the window.
    position: usize,
}

impl Records {
    /// Opens `segment` at its first record; bytes from `limit` on do not exist.
    pub(crate) fn open(storage: &dyn Storage, segment: &Segment, limit: u64, access: Access) -> Result<Records> {
        let file = storage.open(&segment.path, false).map_err(JournalError::io("open", &segment.path))?;
        Ok(Records {
            file,
            path: segment.path.clone(),
            seed: seed_of(segment.header.file_id),
            access,
            limit,
            window: Window::empty(),
            window_start: SEGMENT_HEADER_BYTES as u64,
            window_next: WINDOW_BYTES_MIN,
            position: 0,
        })
    }

    /// The next record, checked; `consume` steps over it.
    #[inline]
    pub(crate) fn read(&mut self) -> Result<Record, Stop> {
        match look(&self.window[self.position..], self.seed) {
            Look::Record(record) => Ok(record),
            other => self.read_slowly(other, look),
        }
    }

    /// The next record's header; its checksum is not looked at.
    #[inline]
    pub(crate) fn read_unchecked(&mut self) -> Result<Record, Stop> {
        match look_unchecked(&self.window[self.position..]) {
            Look::Record(record) => Ok(record),
            other => self.read_slowly(other, |bytes, _| look_unchecked(bytes)),
        }
    }

    /// Steps over a record that `read` gave; returns where it lies in the window.
    #[inline]
    pub(crate) fn consume(&mut self, record: &Record) -> usize {
        let at = self.position;
        self.position = at + record.padded();
        at
    }

    /// The window's bytes, for a record that `consume` placed.
    #[inline]
    pub(crate) fn bytes(&self, at: usize, len: usize) -> &[u8] {
        &self.window[at..at + len]
    }

    /// Byte offset of the next record in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.window_start + self.position as u64
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Goes to a byte offset, which must be a record's.
    pub(crate) fn seek(&mut self, offset: u64) {
        assert!(offset.is_multiple_of(8), "records lie at multiples of 8");
        let end = self.window_start + self.window.len() as u64;
        if offset >= self.window_start && offset <= end {
            self.position = usize::try_from(offset - self.window_start).expect("in the window");
        } else {
            self.window = Window::empty();
            self.window_start = offset;
            self.window_next = WINDOW_BYTES_MIN;
            self.position = 0;
        }
    }

    /// More bytes have been committed.
    pub(crate) fn extend(&mut self, limit: u64) {
        assert!(limit >= self.limit, "committed bytes never go away");
        self.limit = limit;
    }

    #[cold]
    fn read_slowly(&mut self, mut outcome: Look, look: impl Fn(&[u8], u32) -> Look) -> Result<Record, Stop> {
        loop {
            match outcome {
                Look::Record(record) => return Ok(record),
                Look::Flaw(flaw) => return Err(Stop::Flaw(flaw)),
                Look::Need(bytes) => {
                    let offset = self.offset();
                    if offset + bytes as u64 > self.limit {
                        return Err(Stop::Flaw(Flaw::BeyondEnd));
                    }
                    let wanted = self.window_next.max(bytes as u64);
                    let wanted = wanted.min(self.limit - offset);
                    self.window_next = (self.window_next * 4).min(WINDOW_BYTES_MAX);
                    self.refill(offset, wanted)
                        .map_err(|error| Stop::Failed(Box::new(JournalError::io("read", &self.path)(error))))?;
                }
            }
            outcome = look(&self.window[self.position..], self.seed);
        }
    }

    fn refill(&mut self, offset: u64, bytes: u64) -> std::io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
        // The old window goes first, so that there is never more than one.
        self.window = Window::empty();
        self.window_start = offset;
        self.position = 0;
        self.window = match self.access {
            Access::Map => self.file.map(offset, bytes)?,
            Access::Copy => self.file.copy(offset, bytes)?,
        };
        Ok(())
    }
}
