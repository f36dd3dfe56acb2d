//! The content chain: one hash that names a prefix of the journal.
//!
//! - c(0) is 32 zero bytes; c(k+1) = blake3(c(k) ‖ frames 4096k … 4096k+4095).
//! - The hash of the first n frames is blake3(c(k) ‖ frames 4096k … n-1) with k = n / 4096 rounded down.
//! - A frame's canonical bytes are its bytes on disk with the checksum field zero (padding is zero
//!   by the format), so they start with the length: no two sequences of frames share their bytes.
//! - The chain depends on neither batches, segments, file ids, commit records nor seals.
//! - Must never: be fed bytes that were not verified or just written by us.

use std::fmt;

/// Frames between two links of the chain.
pub const FRAMES_PER_LINK: u64 = 4096;

/// Canonical bytes collected before they are hashed: large pieces keep all of blake3's lanes busy
/// (about 9 ns a frame instead of 100).
const STAGE_BYTES: usize = 128 * 1024;

/// A blake3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Hash {
    /// The hash of any bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// Reads the 64 hexadecimal digits that `Display` writes.
    pub fn from_hex(text: &str) -> Option<Hash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        Some(Hash(bytes))
    }
}

/// The running chain: the last link, and the frames since.
#[derive(Clone)]
pub(crate) struct Chain {
    frames: u64,
    link: Hash,
    hasher: blake3::Hasher,
    stage: Vec<u8>,
}

impl Chain {
    /// The chain of an empty journal.
    pub(crate) fn new() -> Chain {
        Chain::resume(0, Hash::default())
    }

    /// The chain right after link `frames / 4096`; `frames` must be a multiple of 4096.
    pub(crate) fn resume(frames: u64, link: Hash) -> Chain {
        assert!(frames.is_multiple_of(FRAMES_PER_LINK), "a link closes 4096 frames");
        let mut hasher = blake3::Hasher::new();
        hasher.update(&link.0);
        Chain { frames, link, hasher, stage: Vec::new() }
    }

    /// Frames absorbed so far, from the beginning of the journal.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// The last link: c(frames / 4096).
    pub(crate) fn link(&self) -> Hash {
        self.link
    }

    /// How many frames still fit before the next link.
    pub(crate) fn room(&self) -> u64 {
        FRAMES_PER_LINK - self.frames % FRAMES_PER_LINK
    }

    /// Absorbs canonical bytes of `frames` whole frames, at most `room()` of them.
    pub(crate) fn absorb(&mut self, canonical: &[u8], frames: u64) {
        assert!(frames <= self.room(), "the caller splits at links");
        self.flush();
        self.hasher.update(canonical);
        self.count(frames);
    }

    /// Absorbs one frame as it lies on disk (its checksum field is replaced by zero).
    #[inline]
    pub(crate) fn push(&mut self, frame: &[u8]) {
        assert!(frame.len() >= 32, "a frame is never shorter than its header");
        let start = self.stage.len();
        self.stage.extend_from_slice(frame);
        self.stage[start + 4..start + 8].fill(0);
        self.count(1);
        if self.stage.len() >= STAGE_BYTES {
            self.flush();
        }
    }

    /// The hash of everything absorbed so far.
    pub(crate) fn content(&mut self) -> Hash {
        self.flush();
        Hash(*self.hasher.clone().finalize().as_bytes())
    }

    fn count(&mut self, frames: u64) {
        self.frames += frames;
        if self.frames.is_multiple_of(FRAMES_PER_LINK) && frames > 0 {
            self.flush();
            self.link = Hash(*self.hasher.finalize().as_bytes());
            self.hasher.reset();
            self.hasher.update(&self.link.0);
        }
    }

    fn flush(&mut self) {
        if !self.stage.is_empty() {
            self.hasher.update(&self.stage);
            self.stage.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(seq: u64) -> Vec<u8> {
        let mut bytes = vec![7u8; 40];
        bytes[8..16].copy_from_slice(&seq.to_le_bytes());
        bytes
    }

    /// The naive twin: the definition, written out.
    fn by_definition(frames: u64) -> Hash {
        let mut link = [0u8; 32];
        let mut whole = 0;
        while whole + FRAMES_PER_LINK <= frames {
            let mut bytes = link.to_vec();
            for seq in whole..whole + FRAMES_PER_LINK {
                let mut one = frame(seq);
                one[4..8].fill(0);
                bytes.extend(one);
            }
            link = *blake3::hash(&bytes).as_bytes();
            whole += FRAMES_PER_LINK;
        }
        let mut bytes = link.to_vec();
        for seq in whole..frames {
            let mut one = frame(seq);
            one[4..8].fill(0);
            bytes.extend(one);
        }
        Hash(*blake3::hash(&bytes).as_bytes())
    }

    #[test]
    fn chain_equals_its_definition_around_links() {
        let mut chain = Chain::new();
        assert_eq!(chain.content(), by_definition(0));
        for seq in 0..8200u64 {
            chain.push(&frame(seq));
            if [1, 2, 4095, 4096, 4097, 8191, 8192, 8193, 8200].contains(&(seq + 1)) {
                assert_eq!(chain.content(), by_definition(seq + 1), "after {} frames", seq + 1);
            }
        }
    }

    #[test]
    fn absorbing_in_bulk_is_the_same_chain() {
        let mut one_by_one = Chain::new();
        let mut in_bulk = Chain::new();
        let mut bytes = Vec::new();
        for seq in 0..4096u64 {
            one_by_one.push(&frame(seq));
            let mut canonical = frame(seq);
            canonical[4..8].fill(0);
            bytes.extend(canonical);
        }
        in_bulk.absorb(&bytes, 4096);
        assert_eq!(in_bulk.content(), one_by_one.content());
        assert_eq!(in_bulk.link(), one_by_one.link());
        let mut resumed = Chain::resume(4096, in_bulk.link());
        assert_eq!(resumed.content(), in_bulk.content());
    }

    #[test]
    fn hex_reads_back() {
        let hash = Hash::of(b"daybook");
        assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(Hash::from_hex("short"), None);
        assert_eq!(Hash::from_hex(&"zz".repeat(32)), None);
    }
}
