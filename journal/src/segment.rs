//! One segment file: its name, and the page at its start.
//!
//! ```text
//!    0 magic "daybook\n"      8   40 first seq            8   104 content hash of all   32
//!    8 format version         4   48 seals before         8       frames before
//!   12 role (1 data, 2 spare) 4   56 time of the frame    8   136 synced frames         8
//!   16 file id                8      before (0: none)         144 synced seals          8
//!   24 number                 8   64 whether there is one 8   152 zeros                 …
//!   32 capacity               8   72 chain link           32  4092 CRC-32C of the page  4
//! ```
//! - The page is written and synced before the segment gets its name, and never changed after.
//! - A segment ends where the next one begins: its first seq and content hash say where.
//! - It is a whole page, so that no later append rewrites its sectors.
//! - Must never: be trusted before its checksum was checked.

use crate::archive::stub_in;
use crate::chain::Hash;
use crate::error::{JournalError, Result};
use crate::format::{Mark, is_zero, u32_at, u64_at};
use crate::storage::{Storage, StorageFile};
use std::path::{Path, PathBuf};

/// Bytes in front of a segment's first frame.
pub const SEGMENT_HEADER_BYTES: usize = 4096;
/// The format this build writes and reads.
pub const FORMAT_VERSION: u32 = 1;

pub(crate) const RESERVE_NAME: &str = "reserve";
pub(crate) const LOCK_NAME: &str = "lock";
pub(crate) const SEGMENT_SUFFIX: &str = ".segment";
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

const MAGIC: &[u8; 8] = b"daybook\n";
const CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;

/// What a segment file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It holds frames.
    Data,
    /// It waits, zeroed, until the disk is full.
    Reserve,
}

/// The page at the start of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub role: Role,
    pub file_id: u64,
    pub number: u64,
    /// Bytes the file owns while it is written.
    pub capacity: u64,
    /// Frames and seals in earlier segments.
    pub start: Mark,
    /// Time of the frame before.
    pub last_time: Option<i64>,
    /// c(start.frames / 4096).
    pub link: Hash,
    /// Hash of all frames before.
    pub content: Hash,
    /// What a sync had covered when the segment was made.
    pub synced: Mark,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut page = [0u8; SEGMENT_HEADER_BYTES];
        page[..8].copy_from_slice(MAGIC);
        page[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let role: u32 = match self.role {
            Role::Data => 1,
            Role::Reserve => 2,
        };
        page[12..16].copy_from_slice(&role.to_le_bytes());
        let mut put = |at: usize, value: u64| {
            page[at..at + 8].copy_from_slice(&value.to_le_bytes());
        };
        put(16, self.file_id);
        put(24, self.number);
        put(32, self.capacity);
        put(40, self.start.frames);
        put(48, self.start.seals);
        put(56, self.last_time.unwrap_or(0).cast_unsigned());
        put(64, u64::from(self.last_time.is_some()));
        put(136, self.synced.frames);
        put(144, self.synced.seals);
        page[72..104].copy_from_slice(&self.link.0);
        page[104..136].copy_from_slice(&self.content.0);
        let crc = crc32c::crc32c(&page[..CRC_AT]);
        page[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads and checks the page of `file`, which must bear the number in its name.
    pub(crate) fn read(file: &dyn StorageFile, path: &Path) -> Result<SegmentHeader> {
        let mut page = [0u8; SEGMENT_HEADER_BYTES];
        match file.read_at(&mut page, 0) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                let reason = "the file ends inside the segment header";
                return Err(JournalError::damaged(path, 0, 0, reason));
            }
            other => other.map_err(JournalError::io("read", path))?,
        }
        Self::decode(&page, path)
    }

    fn decode(page: &[u8; SEGMENT_HEADER_BYTES], path: &Path) -> Result<SegmentHeader> {
        let damaged = |offset: u64, reason: &str| Err(JournalError::damaged(path, offset, 0, reason));
        if &page[..8] != MAGIC {
            return damaged(0, "the file does not start with the journal's magic");
        }
        let version = u32_at(page, 8);
        let sound = crc32c::crc32c(&page[..CRC_AT]) == u32_at(page, CRC_AT);
        if version != FORMAT_VERSION {
            // One flipped bit in the number is damage, not another version: with our own number
            // in its place the checksum would hold.
            let mut ours = *page;
            ours[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
            if crc32c::crc32c(&ours[..CRC_AT]) == u32_at(page, CRC_AT) {
                return damaged(8, "the format version was changed");
            }
            return Err(JournalError::OtherVersion {
                file: path.to_owned(),
                found: version,
                supported: FORMAT_VERSION,
            });
        }
        if !sound {
            return damaged(0, "the checksum of the segment header does not match");
        }
        let role = match u32_at(page, 12) {
            1 => Role::Data,
            2 => Role::Reserve,
            _ => return damaged(12, "the segment header names an unknown role"),
        };
        let has_time = u64_at(page, 64);
        if has_time > 1 || !is_zero(&page[152..CRC_AT]) {
            return damaged(64, "the segment header holds values that no writer writes");
        }
        let hash = |at: usize| Hash(page[at..at + 32].try_into().expect("32 bytes"));
        Ok(SegmentHeader {
            role,
            file_id: u64_at(page, 16),
            number: u64_at(page, 24),
            capacity: u64_at(page, 32),
            start: Mark { frames: u64_at(page, 40), seals: u64_at(page, 48) },
            last_time: (has_time == 1).then(|| u64_at(page, 56).cast_signed()),
            link: hash(72),
            content: hash(104),
            synced: Mark { frames: u64_at(page, 136), seals: u64_at(page, 144) },
        })
    }
}

/// A segment on disk, as a directory listing and its header show it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub path: PathBuf,
    pub header: SegmentHeader,
    /// Length of the file when it was listed.
    pub len: u64,
}

/// The name of segment `number`.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:010}{SEGMENT_SUFFIX}")
}

/// The number in a segment's name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let number = digits.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// All segments of a journal in order, their headers checked, those numbered below `from` left out.
/// The distinct errors for "missing", "empty", "archived" and "not a journal" are made here.
pub(crate) fn list_segments(storage: &dyn Storage, dir: &Path, from: u64) -> Result<Vec<Segment>> {
    let entries = match storage.list(dir) {
        Ok(entries) => entries,
        Err(error) => return Err(not_listed(dir, error)),
    };
    if let Some(stub) = stub_in(storage, dir, &entries)? {
        return Err(stub.refusal(dir));
    }
    let mut numbered: Vec<(u64, u64)> =
        entries.iter().filter_map(|entry| Some((segment_number(&entry.name)?, entry.len))).collect();
    numbered.sort_unstable();
    if numbered.is_empty() {
        return Err(match entries.first() {
            None => JournalError::Empty { dir: dir.to_owned() },
            Some(entry) => JournalError::NotAJournal {
                dir: dir.to_owned(),
                reason: format!("it holds no segment (but, for example, {})", entry.name),
            },
        });
    }
    numbered
        .into_iter()
        .filter(|(number, _)| *number >= from)
        .map(|(number, len)| {
            let path = dir.join(segment_name(number));
            let file = storage.open(&path, false).map_err(JournalError::io("open", &path))?;
            let header = SegmentHeader::read(file.as_ref(), &path)?;
            if header.number != number || header.role != Role::Data {
                let reason =
                    format!("the file is named {number} but its header says {} ({:?})", header.number, header.role);
                return Err(JournalError::damaged(&path, 24, header.start.frames, reason));
            }
            Ok(Segment { path, header, len })
        })
        .collect()
}

fn not_listed(dir: &Path, error: std::io::Error) -> JournalError {
    match error.kind() {
        std::io::ErrorKind::NotFound => JournalError::Missing { dir: dir.to_owned() },
        std::io::ErrorKind::NotADirectory => JournalError::NotAJournal {
            dir: dir.to_owned(),
            reason: "it is a file, a journal is a directory".to_owned(),
        },
        _ => JournalError::io("list", dir)(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            role: Role::Data,
            file_id: 77,
            number: 3,
            capacity: 65536,
            start: Mark { frames: 9000, seals: 2 },
            last_time: Some(-5),
            link: Hash::of(b"link"),
            content: Hash::of(b"content"),
            synced: Mark { frames: 8000, seals: 1 },
        }
    }

    #[test]
    fn header_reads_back() {
        let page = header().encode();
        let read = SegmentHeader::decode(&page, Path::new("x")).expect("sound");
        assert_eq!(read, header());
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_damage() {
        let page = header().encode();
        for bit in 0..SEGMENT_HEADER_BYTES * 8 {
            let mut bad = page;
            bad[bit / 8] ^= 1 << (bit % 8);
            let error = SegmentHeader::decode(&bad, Path::new("x")).expect_err("flipped");
            assert!(matches!(error, JournalError::Damaged { .. }), "bit {bit}: {error}");
        }
    }

    #[test]
    fn another_version_says_so() {
        let mut page = header().encode();
        page[8] = 9;
        let crc = crc32c::crc32c(&page[..CRC_AT]);
        page[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        let error = SegmentHeader::decode(&page, Path::new("x")).expect_err("version 9");
        assert!(error.to_string().contains("format version 9"), "{error}");
    }

    #[test]
    fn only_exact_names_are_segments() {
        assert_eq!(segment_number("0000000012.segment"), Some(12));
        assert_eq!(segment_number("12.segment"), None);
        assert_eq!(segment_number("0000000012.segment.tmp"), None);
        assert_eq!(segment_number(&segment_name(u64::MAX)), Some(u64::MAX));
    }
}
