//! Steps through the records of one segment, a window of bytes at a time.
//!
//! - Every record is checked (length, checksum, padding) before anyone sees it, in the very bytes
//!   that are handed out.
//! - Memory is one window, whatever the segment's size.
//! - Must never: touch a byte at or beyond `limit`.

use crate::error::{JournalError, Result};
use crate::format::{
    FRAME_HEADER_BYTES, Flaw, KIND_RESERVED, Look, Record, checksum, look, look_unchecked, padded, seed_of, u32_at,
    u64_at,
};
use crate::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::storage::{Storage, StorageFile, Window};
use crate::triple;
use std::path::{Path, PathBuf};

/// Bytes mapped together. Two large pages, on a large page's boundary: where the system's cache holds
/// the file in large pages, they are mapped as such, and mapping costs next to nothing.
const MAP_BYTES: u64 = 2 * LARGE_PAGE_BYTES;
const LARGE_PAGE_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes copied together: they stay in the processor's cache.
const COPY_BYTES: u64 = 128 * 1024;
/// The first window after a seek: often a single frame is wanted.
const FIRST_BYTES: u64 = 32 * 1024;

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
    /// No window was looked at since the last seek.
    first: bool,
    /// Of the next record, within the window.
    position: usize,
    /// Records of the window before this place have been found sound, three at once.
    sound_until: usize,
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
            first: true,
            position: 0,
            sound_until: 0,
        })
    }

    /// Steps over the next record where it is frame `seq`, whole in the window and sound; returns
    /// header and payload, and where they lie. `None` decides nothing: `read` does, in all other cases.
    ///
    /// Everything a reader does passes here, so it looks at no field it does not need. Without
    /// `CHECKED` the checksum is not looked at.
    #[inline(always)]
    pub(crate) fn step<const CHECKED: bool>(&mut self, seq: u64) -> Option<(usize, &[u8])> {
        let at = self.position;
        let bytes = self.window.get(at..)?;
        let head = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        let len = u32_at(head, 0);
        let end = padded(len as usize);
        let control = u16::from_le_bytes([head[24], head[25]]) >= KIND_RESERVED;
        if u64_at(head, 8) != seq || control || len < FRAME_HEADER_BYTES as u32 {
            return None;
        }
        let rest = bytes.get(8..end)?;
        if CHECKED && at >= self.sound_until {
            if triple::are_sound(bytes, len, self.seed) {
                self.sound_until = at + 3 * end;
            } else {
                let padding = &bytes[len as usize..end];
                if checksum(self.seed, len, rest) != u32_at(head, 4) || padding.iter().any(|byte| *byte != 0) {
                    return None;
                }
            }
        }
        self.position = at + end;
        Some((at, &bytes[..len as usize]))
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

    /// The window from a record on that `consume` or `step` placed.
    #[inline]
    pub(crate) fn from(&self, at: usize) -> &[u8] {
        &self.window[at..]
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
        // What lies before the place looked at last was looked at from another start.
        self.sound_until = 0;
        let end = self.window_start + self.window.len() as u64;
        if offset >= self.window_start && offset <= end {
            self.position = usize::try_from(offset - self.window_start).expect("in the window");
        } else {
            self.window = Window::empty();
            self.window_start = offset;
            self.first = true;
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
                    let (start, end) = self.next_window(offset, bytes as u64);
                    self.refill(start, end, offset)
                        .map_err(|error| Stop::Failed(Box::new(JournalError::io("read", &self.path)(error))))?;
                }
            }
            outcome = look(&self.window[self.position..], self.seed);
        }
    }

    /// From where to where the window is to reach that holds `bytes` bytes from `offset` on.
    fn next_window(&mut self, offset: u64, bytes: u64) -> (u64, u64) {
        let first = std::mem::replace(&mut self.first, false);
        let (start, wanted) = match self.access {
            _ if first => (offset, FIRST_BYTES),
            Access::Copy => (offset, COPY_BYTES),
            Access::Map => (offset - offset % LARGE_PAGE_BYTES, MAP_BYTES),
        };
        let end = (start + wanted).max(offset + bytes).min(self.limit);
        assert!(end >= offset + bytes, "the caller checked the limit");
        (start, end)
    }

    fn refill(&mut self, start: u64, end: u64, offset: u64) -> std::io::Result<()> {
        let too_large = |_| std::io::ErrorKind::OutOfMemory;
        let bytes = usize::try_from(end - start).map_err(too_large)?;
        let position = usize::try_from(offset - start).map_err(too_large)?;
        // Until the new window is whole there is none: an error leaves nothing half read.
        self.window_start = offset;
        self.position = 0;
        self.sound_until = 0;
        match self.access {
            Access::Map => {
                // The old one goes first, so that there is never more than one.
                self.window = Window::empty();
                self.window = self.file.map(start, bytes)?;
            }
            Access::Copy => self.window.copy_from(self.file.as_ref(), start, bytes)?,
        }
        self.window_start = start;
        self.position = position;
        Ok(())
    }
}
