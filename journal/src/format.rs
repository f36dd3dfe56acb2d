//! The bytes: one frame, one control record, one checksum.
//!
//! ```text
//! 0     4     8         16        24    26   27   28      32
//! | len | crc | seq     | time    | kind | sc | fl | stream | payload … | zeros to 8 |
//! ```
//! - Little-endian; every frame starts at a multiple of 8, so does its payload.
//! - `len` counts header and payload, not padding. The checksum is CRC-32C over everything behind
//!   it, padding included, seeded with the segment's file id and `len`: a frame read at the wrong
//!   length, or moved to another segment, fails.
//! - Kinds from 0xFFF0 on are the journal's own records: they take no seq and readers never see them.
//! - Must never: interpret a payload.

use crate::chain::Hash;
use zerocopy::IntoBytes;

/// Bytes of a frame in front of its payload.
pub const FRAME_HEADER_BYTES: usize = 32;
/// No payload is longer, whatever the segment size.
pub const PAYLOAD_BYTES_MAX: usize = 15 * 1024 * 1024;
/// Kinds from here on belong to the journal itself.
pub const KIND_RESERVED: u16 = 0xFFF0;
/// Segment size unless the options say otherwise.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

pub(crate) const KIND_COMMIT: u16 = 0xFFFF;
pub(crate) const KIND_SEAL: u16 = 0xFFFE;
pub(crate) const KIND_PAD: u16 = 0xFFFD;
/// What a sync has covered shares no sector of this size with what is written later: a power cut
/// while a sector is rewritten may lose all of it.
pub(crate) const SECTOR_BYTES: u64 = 512;
pub(crate) const ALIGNMENT: usize = 8;
pub(crate) const COMMIT_PAYLOAD_BYTES: usize = 64;
pub(crate) const COMMIT_RECORD_BYTES: usize = FRAME_HEADER_BYTES + COMMIT_PAYLOAD_BYTES;
pub(crate) const SEAL_RECORD_BYTES: usize = FRAME_HEADER_BYTES + crate::seal::SEAL_BYTES;

const _: () = assert!(
    (PAYLOAD_BYTES_MAX + FRAME_HEADER_BYTES) as u64 * 4 < SEGMENT_BYTES_DEFAULT,
    "a segment must hold several frames or rotation can loop"
);
const _: () = assert!(
    FRAME_HEADER_BYTES.is_multiple_of(ALIGNMENT)
        && COMMIT_RECORD_BYTES.is_multiple_of(ALIGNMENT)
        && SEAL_RECORD_BYTES.is_multiple_of(ALIGNMENT),
    "headers and control records keep what follows aligned"
);

/// Bits of a frame's `flags`; the others are the caller's.
pub mod flags {
    /// This frame begins a run: its time may be below that of the frame before.
    pub const RUN_START: u8 = 1;
}

/// What the caller says about a frame to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Draft {
    /// When the engine learned it, nanoseconds UTC.
    pub time: i64,
    /// What the payload is; below [`KIND_RESERVED`].
    pub kind: u16,
    /// Version of the payload's layout.
    pub schema: u8,
    /// See [`flags`].
    pub flags: u8,
    /// A number for the caller's use, such as an instrument.
    pub stream: u32,
}

/// One frame, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its position: frame 0 is the first.
    pub seq: u64,
    /// When the engine learned it, nanoseconds UTC.
    pub time: i64,
    /// What the payload is.
    pub kind: u16,
    /// Version of the payload's layout.
    pub schema: u8,
    /// See [`flags`].
    pub flags: u8,
    /// A number for the caller's use, such as an instrument.
    pub stream: u32,
    /// The bytes; they start 8-aligned.
    pub payload: &'a [u8],
}

/// One frame, kept: what [`crate::Journal::frame`] returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFrame {
    /// Everything but the payload.
    pub header: FrameHeader,
    bytes: Aligned,
}

impl OwnedFrame {
    pub(crate) fn new(frame: Frame<'_>) -> OwnedFrame {
        OwnedFrame {
            header: FrameHeader {
                seq: frame.seq,
                time: frame.time,
                kind: frame.kind,
                schema: frame.schema,
                flags: frame.flags,
                stream: frame.stream,
                payload_len: u32::try_from(frame.payload.len()).expect("bounded by the format"),
            },
            bytes: Aligned::new(frame.payload),
        }
    }

    /// The frame, borrowed.
    pub fn frame(&self) -> Frame<'_> {
        let header = self.header;
        Frame {
            seq: header.seq,
            time: header.time,
            kind: header.kind,
            schema: header.schema,
            flags: header.flags,
            stream: header.stream,
            payload: self.bytes.as_slice(),
        }
    }
}

/// A frame without its payload: what a header-only scan yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Its position.
    pub seq: u64,
    /// When the engine learned it, nanoseconds UTC.
    pub time: i64,
    /// What the payload is.
    pub kind: u16,
    /// Version of the payload's layout.
    pub schema: u8,
    /// See [`flags`].
    pub flags: u8,
    /// A number for the caller's use.
    pub stream: u32,
    /// Bytes of the payload.
    pub payload_len: u32,
}

/// Bytes that start 8-aligned, without `unsafe`: they live in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aligned {
    words: Vec<u64>,
    len: usize,
}

impl Aligned {
    pub(crate) fn new(bytes: &[u8]) -> Aligned {
        let mut aligned = Aligned::zeroed(bytes.len());
        aligned.as_mut_slice().copy_from_slice(bytes);
        aligned
    }

    pub(crate) fn zeroed(len: usize) -> Aligned {
        Aligned { words: vec![0; len.div_ceil(ALIGNMENT)], len }
    }

    /// Changes the length; the bytes are whatever they were.
    pub(crate) fn resize(&mut self, len: usize) {
        self.words.resize(len.div_ceil(ALIGNMENT), 0);
        self.len = len;
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.words.as_bytes()[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.words.as_mut_bytes()[..self.len]
    }
}

/// A position between two batches: frames, and seals (which take no seq), written before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub frames: u64,
    pub seals: u64,
}

impl Mark {
    /// True where everything before `other` is also before `self`.
    pub(crate) fn covers(self, other: Mark) -> bool {
        self.frames >= other.frames && self.seals >= other.seals
    }

    /// The later of two positions of one journal.
    pub(crate) fn later(self, other: Mark) -> Mark {
        Mark { frames: self.frames.max(other.frames), seals: self.seals.max(other.seals) }
    }
}

/// The fixed part of a frame or control record, decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub len: u32,
    pub crc: u32,
    pub seq: u64,
    pub time: i64,
    pub kind: u16,
    pub schema: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Record {
    #[inline]
    pub(crate) fn decode(bytes: &[u8; FRAME_HEADER_BYTES]) -> Record {
        Record {
            len: u32_at(bytes, 0),
            crc: u32_at(bytes, 4),
            seq: u64_at(bytes, 8),
            time: u64_at(bytes, 16).cast_signed(),
            kind: u16::from_le_bytes([bytes[24], bytes[25]]),
            schema: bytes[26],
            flags: bytes[27],
            stream: u32_at(bytes, 28),
        }
    }

    #[inline]
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0u8; FRAME_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.to_le_bytes());
        bytes[24..26].copy_from_slice(&self.kind.to_le_bytes());
        bytes[26] = self.schema;
        bytes[27] = self.flags;
        bytes[28..32].copy_from_slice(&self.stream.to_le_bytes());
        bytes
    }

    /// Bytes on disk, padding included.
    #[inline]
    pub(crate) fn padded(&self) -> usize {
        padded(self.len as usize)
    }

    #[inline]
    pub(crate) fn is_control(&self) -> bool {
        self.kind >= KIND_RESERVED
    }
}

/// What the end of a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Frames and seals up to and including this batch.
    pub mark: Mark,
    /// What a sync had covered when the batch began.
    pub synced: Mark,
    /// Bytes of the batch in front of this record.
    pub bytes: u64,
    /// Hash of all frames up to here.
    pub content: Hash,
}

impl Commit {
    /// The record, its checksum still zero; `time` is that of the last frame.
    pub(crate) fn encode(&self, time: i64) -> [u8; COMMIT_RECORD_BYTES] {
        let record = Record {
            len: COMMIT_RECORD_BYTES as u32,
            crc: 0,
            seq: self.mark.frames,
            time,
            kind: KIND_COMMIT,
            schema: 1,
            flags: 0,
            stream: 0,
        };
        let mut bytes = [0u8; COMMIT_RECORD_BYTES];
        bytes[..32].copy_from_slice(&record.encode());
        bytes[32..40].copy_from_slice(&self.synced.frames.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.synced.seals.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.mark.seals.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[64..96].copy_from_slice(&self.content.0);
        bytes
    }

    /// Reads a record whose checksum was verified.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Commit> {
        if bytes.len() < COMMIT_RECORD_BYTES {
            return None;
        }
        let record = Record::decode(bytes[..32].try_into().ok()?);
        if record.kind != KIND_COMMIT || record.len as usize != COMMIT_RECORD_BYTES {
            return None;
        }
        if record.schema != 1 || record.flags != 0 || record.stream != 0 {
            return None;
        }
        Some(Commit {
            mark: Mark { frames: record.seq, seals: u64_at(bytes, 48) },
            synced: Mark { frames: u64_at(bytes, 32), seals: u64_at(bytes, 40) },
            bytes: u64_at(bytes, 56),
            content: Hash(bytes[64..96].try_into().ok()?),
        })
    }
}

/// A record of zeros that reaches from `offset` to the next sector, its checksum still zero; nothing
/// where `offset` begins one, or the record would not fit below `capacity`.
pub(crate) fn pad(offset: u64, frames: u64, capacity: u64) -> Vec<u8> {
    let mut gap = offset.next_multiple_of(SECTOR_BYTES) - offset;
    if gap > 0 && gap < FRAME_HEADER_BYTES as u64 {
        gap += SECTOR_BYTES;
    }
    if gap == 0 || offset + gap > capacity {
        return Vec::new();
    }
    let record =
        Record { len: gap as u32, crc: 0, seq: frames, time: 0, kind: KIND_PAD, schema: 1, flags: 0, stream: 0 };
    let mut bytes = record.encode().to_vec();
    bytes.resize(gap as usize, 0);
    bytes
}

/// Whether a sound record is one that `pad` makes.
pub(crate) fn is_pad(record: &Record, bytes: &[u8], frames: u64) -> bool {
    let fixed = (record.time, record.schema, record.flags, record.stream) == (0, 1, 0, 0);
    record.kind == KIND_PAD && record.seq == frames && fixed && is_zero(&bytes[FRAME_HEADER_BYTES..])
}

/// Why the bytes at a place are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Zeros: nothing was written here.
    Blank,
    /// The length field cannot be.
    Length,
    /// The record would reach beyond the end of the file.
    BeyondEnd,
    /// The checksum does not hold.
    Checksum,
    /// Bytes between the payload and the next record are not zero.
    Padding,
}

impl Flaw {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Flaw::Blank => "the bytes are zero where a frame must be",
            Flaw::Length => "the length field is impossible",
            Flaw::BeyondEnd => "the file ends inside a frame",
            Flaw::Checksum => "the checksum does not match",
            Flaw::Padding => "the padding is not zero",
        }
    }
}

/// What a look at some bytes gave.
pub(crate) enum Look {
    Record(Record),
    /// So many bytes are needed to decide.
    Need(usize),
    Flaw(Flaw),
}

/// Checks the record at the start of `bytes` without trusting any of it.
#[inline]
pub(crate) fn look(bytes: &[u8], seed: u32) -> Look {
    let record = match look_unchecked(bytes) {
        Look::Record(record) => record,
        other => return other,
    };
    let padded = record.padded();
    if checksum(seed, record.len, &bytes[8..padded]) != record.crc {
        return Look::Flaw(Flaw::Checksum);
    }
    let len = record.len as usize;
    if len != padded && bytes[len..padded].iter().any(|byte| *byte != 0) {
        return Look::Flaw(Flaw::Padding);
    }
    Look::Record(record)
}

/// Like [`look`], without the checksum: only the bounds are known to hold.
#[inline]
pub(crate) fn look_unchecked(bytes: &[u8]) -> Look {
    let Some(head) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
        return Look::Need(FRAME_HEADER_BYTES);
    };
    let record = Record::decode(head);
    let len = record.len as usize;
    if !(FRAME_HEADER_BYTES..=FRAME_HEADER_BYTES + PAYLOAD_BYTES_MAX).contains(&len) {
        return Look::Flaw(if head.iter().all(|byte| *byte == 0) { Flaw::Blank } else { Flaw::Length });
    }
    if record.padded() > bytes.len() {
        return Look::Need(record.padded());
    }
    Look::Record(record)
}

/// The checksum of a record: `rest` is everything behind the checksum field, padding included.
#[inline]
pub(crate) fn checksum(seed: u32, len: u32, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(start(seed, len), rest)
}

/// The checksum before any byte of a record: the multiplication spreads a changed length over all bits of the seed.
#[inline]
pub(crate) fn start(seed: u32, len: u32) -> u32 {
    seed ^ len.wrapping_mul(0x9E37_79B1)
}

/// The seed of all checksums in a segment.
pub(crate) fn seed_of(file_id: u64) -> u32 {
    crc32c::crc32c(&file_id.to_le_bytes())
}

/// Writes the checksum into a record at the start of `bytes` (its padding included).
#[inline]
pub(crate) fn stamp(bytes: &mut [u8], seed: u32) {
    let len = u32_at(bytes, 0);
    assert!(padded(len as usize) == bytes.len(), "one whole record");
    let crc = checksum(seed, len, &bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Whether all bytes are zero: by comparing blocks, which is a library call and not a loop.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

#[inline]
pub(crate) const fn padded(len: usize) -> usize {
    len.next_multiple_of(ALIGNMENT)
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
