//! Bytes in total order: the append-only journal.

mod chain;
mod cursor;
mod durable;
mod error;
mod format;
mod high_water;
mod journal;
mod records;
mod recovery;
mod seal;
mod segment;
pub mod storage;
mod survey;
mod walk;
mod writer;

pub use chain::{FRAMES_PER_LINK, Hash};
pub use cursor::{Cursor, Headers};
pub use durable::Durable;
pub use error::{JournalError, Result};
pub use format::{
    Draft, FRAME_HEADER_BYTES, Frame, FrameHeader, KIND_RESERVED, OwnedFrame, PAYLOAD_BYTES_MAX,
    SEGMENT_BYTES_DEFAULT, flags,
};
pub use journal::{Follow, Journal};
pub use recovery::Recovery;
pub use seal::{PublicKey, SEAL_BYTES, Seal, SealKey};
pub use segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES};
pub use writer::{Head, Options, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, Writer};
