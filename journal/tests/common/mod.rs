//! What the tests of this crate share: a journal with known frames, and the format written a second
//! time, for forging.
//!
//! - `frame(seq)` says what frame `seq` must be, so any reader can be checked against it.
//! - The forger knows the bytes as the documentation draws them and uses nothing of the crate but
//!   its public constants: where the two disagree, one of them is wrong.
//! - Must never: hide a failure; every check panics with the place.
#![allow(dead_code, reason = "each test file uses its part")]

use daybook_journal::storage::{SimulatedDisk, Storage};
use daybook_journal::{Draft, Frame, Journal, Options, Writer, flags};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const DIR: &str = "disk/journal";

/// A small, fast, seeded generator: the same numbers everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub fn payload(seq: u64, longest: u64) -> Vec<u8> {
    let mut random = Random(seq);
    let len = random.below(longest + 1);
    (0..len).map(|_| random.next() as u8).collect()
}

pub fn draft(seq: u64) -> Draft {
    Draft {
        // Every 50th frame begins a run and steps back.
        time: (seq % 50) as i64 * 1_000 + 5,
        kind: (seq % 7) as u16,
        schema: (seq % 3) as u8 + 1,
        flags: if seq.is_multiple_of(50) { flags::RUN_START } else { 0 },
        stream: (seq * 31) as u32,
    }
}

/// Asserts that `frame` is what was written as its seq.
pub fn assert_written(frame: &Frame<'_>, longest: u64, context: &dyn std::fmt::Display) {
    let expected = draft(frame.seq);
    let same = frame.time == expected.time
        && frame.kind == expected.kind
        && frame.schema == expected.schema
        && frame.flags == expected.flags
        && frame.stream == expected.stream
        && frame.payload == payload(frame.seq, longest);
    assert!(same, "{context}: frame {} is not what was written", frame.seq);
}

/// Asserts that `journal` holds exactly its frames as written, from 0 on.
pub fn assert_all_written(journal: &Journal, longest: u64, context: &dyn std::fmt::Display) {
    let mut cursor = journal.cursor(0);
    let mut seq = 0;
    loop {
        match cursor.next() {
            Ok(Some(frame)) => {
                assert_eq!(frame.seq, seq, "{context}");
                assert_written(&frame, longest, context);
                seq += 1;
            }
            Ok(None) => break,
            Err(error) => panic!("{context}: {error}"),
        }
    }
    assert_eq!(seq, journal.head().frames, "{context}");
}

pub fn append(writer: &mut Writer, count: u64, longest: u64) {
    for _ in 0..count {
        let seq = writer.next_seq();
        let given = writer.append(draft(seq), &payload(seq, longest));
        assert_eq!(given.expect("appends"), seq);
    }
}

pub fn small() -> Options {
    Options { segment_bytes: 16 * 1024, ..Options::default() }
}

pub fn shared(disk: &SimulatedDisk) -> Arc<dyn Storage> {
    Arc::new(disk.clone())
}

pub fn dir() -> &'static Path {
    Path::new(DIR)
}

/// The journal's files, `lock` aside.
pub fn files(disk: &SimulatedDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = disk.list(dir()).expect("lists");
    entries
        .into_iter()
        .filter(|entry| entry.name != "lock")
        .map(|entry| {
            let path = dir().join(entry.name);
            let bytes = disk.contents(&path).expect("reads");
            (path, bytes)
        })
        .collect()
}

pub fn segment_path(number: u64) -> PathBuf {
    dir().join(format!("{number:010}.segment"))
}

/// Spreads `0..count` over the machine's cores; a panic in one is a panic here.
pub fn in_parallel(count: usize, work: impl Fn(usize) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || (thread..count).step_by(threads).for_each(work));
        }
    });
}

/// The format, written a second time.
pub mod forge {
    use daybook_journal::SEGMENT_HEADER_BYTES;

    pub const COMMIT: u16 = 0xFFFF;
    pub const SEAL: u16 = 0xFFFE;
    pub const PAD: u16 = 0xFFFD;

    /// A frame or control record, whole, with padding.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Record {
        pub offset: usize,
        pub bytes: Vec<u8>,
    }

    impl Record {
        pub fn kind(&self) -> u16 {
            u16::from_le_bytes([self.bytes[24], self.bytes[25]])
        }

        pub fn is_frame(&self) -> bool {
            self.kind() < 0xFFF0
        }

        pub fn canonical(&self) -> Vec<u8> {
            let mut bytes = self.bytes.clone();
            bytes[4..8].fill(0);
            bytes
        }
    }

    /// The records of a segment, up to the zeros.
    pub fn records(segment: &[u8]) -> Vec<Record> {
        let mut records = Vec::new();
        let mut at = SEGMENT_HEADER_BYTES;
        while at + 32 <= segment.len() {
            let len = u32::from_le_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
            if len == 0 {
                break;
            }
            let padded = len.div_ceil(8) * 8;
            records.push(Record { offset: at, bytes: segment[at..at + padded].to_vec() });
            at += padded;
        }
        records
    }

    pub fn file_id(segment: &[u8]) -> u64 {
        u64::from_le_bytes(segment[16..24].try_into().unwrap())
    }

    /// Makes the checksum of a record hold again.
    pub fn stamp(bytes: &mut [u8], file_id: u64) {
        let len = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        let seed = crc32c::crc32c(&file_id.to_le_bytes()) ^ len.wrapping_mul(0x9E37_79B1);
        let crc = crc32c::crc32c_append(seed, &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Makes the checksum of a page (segment header, high-water slot) hold again.
    pub fn stamp_page(page: &mut [u8]) {
        assert_eq!(page.len(), 4096);
        let crc = crc32c::crc32c(&page[..4092]);
        page[4092..].copy_from_slice(&crc.to_le_bytes());
    }

    /// The content hash of frames given by their canonical bytes, and the last link before.
    pub fn content(frames: &[Vec<u8>]) -> ([u8; 32], [u8; 32]) {
        let mut link = [0u8; 32];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&link);
        for (index, frame) in frames.iter().enumerate() {
            hasher.update(frame);
            if (index + 1) % 4096 == 0 {
                link = *hasher.finalize().as_bytes();
                hasher = blake3::Hasher::new();
                hasher.update(&link);
            }
        }
        (*hasher.finalize().as_bytes(), link)
    }

    /// The header page of `segment`, made to follow `frames`.
    fn header(segment: &[u8], frames: &[Vec<u8>], seals: u64, time: Option<i64>) -> Vec<u8> {
        let mut page = segment[..SEGMENT_HEADER_BYTES].to_vec();
        let (content, link) = content(frames);
        page[40..48].copy_from_slice(&(frames.len() as u64).to_le_bytes());
        page[48..56].copy_from_slice(&seals.to_le_bytes());
        page[56..64].copy_from_slice(&time.unwrap_or(0).to_le_bytes());
        page[64..72].copy_from_slice(&u64::from(time.is_some()).to_le_bytes());
        page[72..104].copy_from_slice(&link);
        page[104..136].copy_from_slice(&content);
        page[136..152].fill(0);
        stamp_page(&mut page);
        page
    }

    /// A commit record, made to close `batch` bytes of `frames`; its checksum is still to be made.
    fn commit(record: Record, frames: &[Vec<u8>], seals: u64, time: Option<i64>, batch: u64) -> Vec<u8> {
        let mut bytes = record.bytes;
        bytes[8..16].copy_from_slice(&(frames.len() as u64).to_le_bytes());
        bytes[16..24].copy_from_slice(&time.unwrap_or(0).to_le_bytes());
        bytes[32..48].fill(0);
        bytes[48..56].copy_from_slice(&seals.to_le_bytes());
        bytes[56..64].copy_from_slice(&batch.to_le_bytes());
        bytes[64..96].copy_from_slice(&content(frames).0);
        bytes
    }

    /// Rewrites a whole journal as an attacker with all the code would: frames are changed at will,
    /// then every checksum, commit record, header and high-water slot is made to fit. Seal records
    /// stay as they are (nobody can forge those), or are left out.
    pub fn rewrite(
        segments: &mut [Vec<u8>],
        high_water: &mut [u8],
        keep_seals: bool,
        mut change: impl FnMut(u64, Record) -> Vec<Record>,
    ) {
        let mut frames: Vec<Vec<u8>> = Vec::new();
        let (mut seq, mut seals, mut time) = (0u64, 0u64, None::<i64>);
        for segment in segments.iter_mut() {
            let id = file_id(segment);
            let mut out = header(segment, &frames, seals, time);
            let mut batch_start = out.len();
            let mut padded = false;
            for record in records(segment) {
                match record.kind() {
                    SEAL if keep_seals => {
                        let mut bytes = record.bytes;
                        bytes[8..16].copy_from_slice(&(frames.len() as u64).to_le_bytes());
                        bytes[16..24].copy_from_slice(&time.unwrap_or(0).to_le_bytes());
                        stamp(&mut bytes, id);
                        out.extend(bytes);
                        seals += 1;
                    }
                    SEAL => {}
                    // A pad behind a seal that was left out has lost its batch.
                    PAD if padded || out.len() == SEGMENT_HEADER_BYTES => {}
                    PAD => {
                        padded = true;
                        let mut bytes = record.bytes;
                        bytes[8..16].copy_from_slice(&(frames.len() as u64).to_le_bytes());
                        stamp(&mut bytes, id);
                        out.extend(bytes);
                        batch_start = out.len();
                    }
                    COMMIT if out.len() == batch_start => {}
                    COMMIT => {
                        padded = false;
                        let batch = (out.len() - batch_start) as u64;
                        let mut bytes = commit(record, &frames, seals, time, batch);
                        stamp(&mut bytes, id);
                        out.extend(bytes);
                        batch_start = out.len();
                    }
                    _ => {
                        for mut changed in change(seq, record) {
                            changed.bytes[8..16].copy_from_slice(&(frames.len() as u64).to_le_bytes());
                            stamp(&mut changed.bytes, id);
                            time = Some(i64::from_le_bytes(changed.bytes[16..24].try_into().unwrap()));
                            frames.push(changed.canonical());
                            out.extend(changed.bytes);
                        }
                        seq += 1;
                    }
                }
            }
            *segment = out;
        }
        let content = content(&frames).0;
        for page in high_water.chunks_mut(4096) {
            page[24..32].copy_from_slice(&(frames.len() as u64).to_le_bytes());
            page[32..40].copy_from_slice(&seals.to_le_bytes());
            page[40..72].copy_from_slice(&content);
            stamp_page(page);
        }
    }
}
