//! How a journal is laid out on disk, and what it says of itself.
//!
//! - No option changes what a journal holds or its content hash.
//! - An option outside its range is an error that names it.
//! - Must never: carry anything that a reader needs; readers find all they need in the headers.

use crate::chain::Hash;
use crate::error::{JournalError, Result};
use crate::format::{COMMIT_RECORD_BYTES, FRAME_HEADER_BYTES, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_DEFAULT};
use crate::segment::SEGMENT_HEADER_BYTES;

/// The smallest segment: a header and room for some frames.
pub const SEGMENT_BYTES_MIN: u64 = 16 * 1024;
/// The largest segment.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How a journal is laid out on disk. Nothing here changes its content hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a segment, preallocated; a multiple of 4096 from 16 KiB to 1 GiB. Default: 64 MiB.
    pub segment_bytes: u64,
    /// Hold a preallocated segment for [`crate::Writer::append_reserved`]. Default: false; live sessions: true.
    pub reserve: bool,
    /// Sync a segment when the next one begins, so that a crash never costs more than one. Default:
    /// true; a session that can be made again (a backtest) may do without.
    pub sync_segments: bool,
    /// Be durable from the moment it exists: what `create` makes is synced before it bears the journal's name. Default:
    /// true. Without it nothing is durable before the first `sync`, `seal` or `close`; a power cut until then may leave
    /// a directory that is no journal. For what is built out of sight and made again.
    pub durable_from_start: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes: SEGMENT_BYTES_DEFAULT, reserve: false, sync_segments: true, durable_from_start: true }
    }
}

impl Options {
    /// For a session that can be made again: small segments, no sync until the end.
    pub fn session() -> Options {
        Options {
            segment_bytes: 8 * 1024 * 1024,
            sync_segments: false,
            durable_from_start: false,
            ..Options::default()
        }
    }

    /// For a session that carries money: a reserve for the day the disk is full.
    pub fn live() -> Options {
        Options { reserve: true, ..Options::default() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let bytes = self.segment_bytes;
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) || !bytes.is_multiple_of(4096) {
            return Err(JournalError::BadOption {
                option: "segment_bytes",
                value: bytes,
                reason: format!("a multiple of 4096 from {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}"),
            });
        }
        Ok(())
    }
}

/// How much a journal holds, and the hash that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many frames.
    pub frames: u64,
    /// Time of the last one.
    pub last_time: Option<i64>,
    /// Hash of all of them.
    pub content: Hash,
}

/// A quarter of a segment, less what goes around a frame.
pub(crate) fn payload_limit(segment_bytes: u64) -> usize {
    let quarter = usize::try_from(segment_bytes / 4).unwrap_or(usize::MAX);
    let overhead = FRAME_HEADER_BYTES + COMMIT_RECORD_BYTES + SEGMENT_HEADER_BYTES / 4;
    (quarter - overhead).min(PAYLOAD_BYTES_MAX)
}
