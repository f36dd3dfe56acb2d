//! The open batch: frames in memory, as they will lie on disk.
//!
//! - Their checksums are zero until the batch is written, so the bytes are the canonical ones that the
//!   content chain hashes, in place and in one piece.
//! - Must never: hold a control record when the next frame is added.

use crate::chain::Hash;
use crate::format::{padded, u32_at};

/// Frames that no commit record closes yet, their checksums zero: so they are canonical bytes.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub bytes: Vec<u8>,
    pub frames: u64,
    /// Where in `bytes` a link of the chain falls.
    pub links: Vec<usize>,
    pub last_time: Option<i64>,
}

impl Batch {
    /// The journal's id, where this batch begins with frame 0.
    pub(crate) fn id(&self) -> [u8; 16] {
        let len = padded(u32_at(&self.bytes, 0) as usize);
        journal_id(&self.bytes[..len])
    }

    pub(crate) fn blank_checksums(&mut self) {
        let mut at = 0;
        while at < self.bytes.len() {
            let len = padded(u32_at(&self.bytes, at) as usize);
            self.bytes[at + 4..at + 8].fill(0);
            at += len;
        }
    }

    pub(crate) fn drop_front(&mut self, bytes: usize, frames: u64, rest: Vec<u8>) {
        self.frames -= frames;
        self.links.retain(|link| *link > bytes);
        self.links.iter_mut().for_each(|link| *link -= bytes);
        if rest.is_empty() {
            self.bytes.clear();
            self.last_time = None;
        } else {
            self.bytes = rest;
        }
    }
}

/// The id of a journal whose frame 0 has these bytes.
pub(crate) fn journal_id(frame: &[u8]) -> [u8; 16] {
    let mut canonical = frame.to_vec();
    canonical[4..8].fill(0);
    let hash = Hash::of(&canonical);
    hash.0[..16].try_into().expect("16 of 32 bytes")
}
