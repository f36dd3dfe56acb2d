//! Bytes in total order: the append-only journal.

mod batch;
mod cache;
mod chain;
mod cursor;
mod durable;
mod error;
mod format;
mod high_water;
mod index;
mod journal;
mod merge;
mod options;
mod records;
mod recovery;
mod seal;
mod seal_files;
mod segment;
mod sidecar;
mod snapshots;
pub mod storage;
mod survey;
mod verify;
mod walk;
mod writer;

pub use chain::{FRAMES_PER_LINK, Hash};
pub use cursor::{Cursor, Headers};
pub use durable::Durable;
pub use error::{JournalError, Result};
pub use format::{
    Draft, FRAME_HEADER_BYTES, Frame, FrameHeader, KIND_RESERVED, OwnedFrame, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_DEFAULT,
    flags,
};
pub use index::{CaughtUp, Entries, Index, IndexHead, MemoryIndex, SledIndex, catch_up};
pub use journal::{Follow, Journal};
pub use merge::Merge;
pub use options::{Head, Options, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use recovery::Recovery;
pub use seal::{PublicKey, SEAL_BYTES, Seal, SealKey};
pub use segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES};
pub use sidecar::Run;
pub use snapshots::Snapshots;
pub use verify::{Verdict, Verified, verify, verify_on};
pub use writer::Writer;
