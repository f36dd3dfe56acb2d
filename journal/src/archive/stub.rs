//! The stub: the small file `archived` that stays where an archived journal was.
//!
//! ```text
//! daybook archived 1
//! id 0123456789abcdef0123456789abcdef
//! frames 75000
//! last-time 1704189300000000000          of the last frame, nanoseconds UTC
//! content <64 hexadecimal digits>         the chain head
//! seals 1
//! last-seal <64 hexadecimal digits>       blake3 of the last seal file
//! copy m5.0123456789abcdef                the name of the copy, without its place
//! place ../archive                        where it was put, seen from the stub: a hint, it may have moved since
//! blake3 <64 hexadecimal digits>          of the lines above
//! ```
//! - It has one spelling: text that reads the same but is written differently is damage, as is any flipped bit.
//! - It says nothing of the machine: no absolute path, no clock.
//! - Where it lies, the directory is archived, whatever else is still there.
//! - Must never: be believed before its checksum was checked.

use crate::chain::Hash;
use crate::error::{JournalError, Result};
use crate::options::Head;
use crate::seal::{PublicKey, Seal};
use crate::seal_files::{read_seal_files, seal_name};
use crate::segment::TEMPORARY_SUFFIX;
use crate::storage::{Entry, Files, Storage};
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(crate) const STUB_NAME: &str = "archived";
/// The version of the stub that this build writes and reads.
const STUB_VERSION: u32 = 1;
/// Far more than any stub has.
const STUB_BYTES_MAX: u64 = 64 * 1024;
const FIRST_WORDS: &str = "daybook archived ";
const CHECKSUM_WORD: &str = "blake3 ";
/// The last line: word, digits, line end.
const CHECKSUM_BYTES: usize = CHECKSUM_WORD.len() + 64 + 1;

/// What stays of a journal that was archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The journal's id.
    pub id: [u8; 16],
    /// Frames, time of the last one, and the hash of them all.
    pub head: Head,
    /// How many seals it bears; their files stay beside the stub.
    pub seals: u64,
    /// blake3 of the last seal file.
    pub last_seal: Hash,
    /// The name of the copy: a directory, a journal like any other.
    pub copy: String,
    /// Where the copy was put, relative to the stub's directory; it may have been moved since.
    pub place: Option<String>,
}

impl Archived {
    /// What stays of the journal at `dir`; `None` where it was not archived, or there is none.
    ///
    /// # Errors
    /// Where the stub is damaged, or the system refuses to read.
    pub fn find(dir: &Path) -> Result<Option<Archived>> {
        let storage = Files::new();
        match storage.list(dir) {
            Ok(entries) => stub_in(&storage, dir, &entries),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(JournalError::io("list", dir)(error)),
        }
    }

    /// Where the copy was put, as a path that leads there from where `dir` is named.
    pub fn copy_from(&self, dir: &Path) -> PathBuf {
        match &self.place {
            Some(place) => dir.join(place).join(&self.copy),
            None => PathBuf::from(&self.copy),
        }
    }

    /// What every command that wants the frames is told.
    pub(crate) fn refusal(&self, dir: &Path) -> JournalError {
        JournalError::Archived { dir: dir.to_owned(), copy: self.copy_from(dir), frames: self.head.frames }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        assert!(is_plain(&self.copy), "the name was checked before anything was copied");
        let mut text = format!("{FIRST_WORDS}{STUB_VERSION}\nid ");
        let id: String = self.id.iter().map(|byte| format!("{byte:02x}")).collect();
        let time = self.head.last_time.expect("an archived journal holds a frame");
        writeln!(text, "{id}\nframes {}\nlast-time {time}", self.head.frames).expect("memory");
        writeln!(text, "content {}\nseals {}", self.head.content, self.seals).expect("memory");
        writeln!(text, "last-seal {}\ncopy {}", self.last_seal, self.copy).expect("memory");
        if let Some(place) = &self.place {
            writeln!(text, "place {place}").expect("memory");
        }
        let hash = Hash::of(text.as_bytes());
        writeln!(text, "{CHECKSUM_WORD}{hash}").expect("memory");
        text.into_bytes()
    }

    /// Reads the bytes that `encode` wrote, and no others.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Archived> {
        let damaged = |offset: usize, reason: &str| JournalError::damaged(path, offset as u64, 0, reason);
        let Some(end) = bytes.len().checked_sub(CHECKSUM_BYTES) else {
            return Err(damaged(bytes.len(), "the stub ends too early"));
        };
        let (body, last) = bytes.split_at(end);
        if last != format!("{CHECKSUM_WORD}{}\n", Hash::of(body)).as_bytes() {
            return Err(damaged(0, "the checksum of the stub does not match"));
        }
        // From here on it is as somebody wrote it; another version, or a forgery.
        let text = std::str::from_utf8(body).map_err(|error| damaged(error.valid_up_to(), "the stub is not text"))?;
        let mut lines = Lines { text, offset: 0, path };
        let version: u32 = lines.number(FIRST_WORDS)?;
        if version != STUB_VERSION {
            return Err(JournalError::OtherVersion { file: path.to_owned(), found: version, supported: STUB_VERSION });
        }
        let id = lines.take("id ", |digits| {
            let wide = Hash::from_hex(&format!("{digits}{}", "0".repeat(32)))?;
            wide.0[..16].try_into().ok()
        })?;
        let frames = lines.number("frames ")?;
        let last_time = Some(lines.number("last-time ")?);
        let content = lines.take("content ", Hash::from_hex)?;
        let seals = lines.number("seals ")?;
        let last_seal = lines.take("last-seal ", Hash::from_hex)?;
        let copy = lines.take("copy ", |name| is_plain(name).then(|| name.to_owned()))?;
        let place = match lines.text.len() > lines.offset {
            true => Some(lines.take("place ", |place| Some(place.to_owned()))?),
            false => None,
        };
        let found = Archived { id, head: Head { frames, last_time, content }, seals, last_seal, copy, place };
        match found.encode() == bytes {
            true => Ok(found),
            false => Err(damaged(lines.offset, "the stub is not spelled as it is written")),
        }
    }
}

/// The lines of a stub, one after the other.
struct Lines<'a> {
    text: &'a str,
    offset: usize,
    path: &'a Path,
}

impl Lines<'_> {
    fn take<T>(&mut self, word: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let (line, _) = self.text[self.offset..].split_once('\n').unwrap_or_default();
        let value = line.strip_prefix(word).and_then(read).ok_or_else(|| {
            let reason = format!("the stub has no sound line '{}' here", word.trim());
            JournalError::damaged(self.path, self.offset as u64, 0, reason)
        })?;
        self.offset += line.len() + 1;
        Ok(value)
    }

    fn number<T: std::str::FromStr>(&mut self, word: &str) -> Result<T> {
        self.take(word, |digits| digits.parse().ok())
    }
}

/// The stub among the files of `dir`, where there is one.
pub(crate) fn stub_in(storage: &dyn Storage, dir: &Path, entries: &[Entry]) -> Result<Option<Archived>> {
    if !entries.iter().any(|entry| entry.name == STUB_NAME) {
        return Ok(None);
    }
    let path = dir.join(STUB_NAME);
    let file = storage.open(&path, false).map_err(JournalError::io("open", &path))?;
    let len = file.len().map_err(JournalError::io("read", &path))?;
    if len > STUB_BYTES_MAX {
        return Err(JournalError::damaged(&path, STUB_BYTES_MAX, 0, "the file is far longer than a stub"));
    }
    let mut bytes = vec![0u8; usize::try_from(len).expect("at most 64 KiB")];
    file.read_at(&mut bytes, 0).map_err(JournalError::io("read", &path))?;
    Archived::decode(&bytes, &path).map(Some)
}

/// Everything that stays of an archived journal is as it was written: the stub, the seals, that the last seal covers
/// what the stub says and nothing more, and that nothing else is left. All damage is [`JournalError::Damaged`].
pub(crate) fn examine(storage: &dyn Storage, dir: &Path, key: Option<&PublicKey>, kept: &[Seal]) -> Result<Archived> {
    let entries = storage.list(dir).map_err(JournalError::io("list", dir))?;
    let path = dir.join(STUB_NAME);
    let Some(stub) = stub_in(storage, dir, &entries)? else {
        return Err(JournalError::damaged(&path, 0, 0, "the stub is missing"));
    };
    let frames = stub.head.frames;
    let is_left = |entry: &&Entry| leaves_when_archived(&entry.name) || entry.name.ends_with(TEMPORARY_SUFFIX);
    if let Some(left) = entries.iter().find(is_left) {
        let reason = "the journal is archived, and this file of it is still here: archive it again to finish, or remove \
                      the file 'archived' where all of the journal is back";
        return Err(JournalError::damaged(&dir.join(&left.name), 0, frames, reason));
    }
    let seals = read_seal_files(storage, dir)?;
    let place = |number: u64| dir.join(seal_name(number));
    let Some(last) = seals.last().filter(|_| seals.len() as u64 == stub.seals) else {
        let reason = format!("there are {} seal files, the stub says {}", seals.len(), stub.seals);
        return Err(JournalError::damaged(&place(seals.len() as u64), 0, frames, reason));
    };
    for seal in &seals {
        if seal.frames > 0 && seal.journal != stub.id {
            return Err(JournalError::damaged(&place(seal.number), 8, seal.frames, "the seal is of another journal"));
        }
        if key.is_some_and(|key| !seal.check(key)) {
            let reason = "the seal is not signed by the key that was given";
            return Err(JournalError::damaged(&place(seal.number), 112, seal.frames, reason));
        }
    }
    if !covers(last, &stub.head) || last.hash() != stub.last_seal {
        let reason = "the stub's head is not what the last seal covers";
        return Err(JournalError::damaged(&path, 0, frames, reason));
    }
    for seal in kept {
        let number = usize::try_from(seal.number).unwrap_or(usize::MAX);
        if seals.get(number) != Some(seal) {
            let reason = "a seal that was kept elsewhere is not the seal of that number here";
            return Err(JournalError::damaged(&place(seal.number), 0, seal.frames, reason));
        }
    }
    Ok(stub)
}

/// Whether `seal` covers exactly `head`.
pub(crate) fn covers(seal: &Seal, head: &Head) -> bool {
    seal.frames == head.frames && seal.content == head.content && Some(seal.last_time) == head.last_time
}

/// Whether a journal's file of this name goes when the journal is archived: everything but seals, stub, lock and cache.
pub fn leaves_when_archived(name: &str) -> bool {
    crate::segment::segment_number(name).is_some()
        || [crate::high_water::HIGH_WATER_NAME, crate::segment::RESERVE_NAME].contains(&name)
}

/// One name of a directory, which fits a line.
pub(crate) fn is_plain(name: &str) -> bool {
    !["", ".", ".."].contains(&name) && !name.contains('/') && fits_a_line(name)
}

pub(crate) fn fits_a_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stub() -> Archived {
        Archived {
            id: *b"0123456789abcdef",
            head: Head { frames: 75_000, last_time: Some(-5), content: Hash::of(b"content") },
            seals: 3,
            last_seal: Hash::of(b"seal"),
            copy: "märz.30313233".to_owned(),
            place: Some("../archive".to_owned()),
        }
    }

    #[test]
    fn it_reads_back_with_and_without_a_place() {
        for place in [None, Some("../a b".to_owned())] {
            let stub = Archived { place, ..stub() };
            assert_eq!(Archived::decode(&stub.encode(), Path::new("x")).expect("sound"), stub);
        }
        let text = String::from_utf8(stub().encode()).expect("text");
        assert!(text.starts_with("daybook archived 1\nid 30313233343536373839616263646566\nframes 75000\n"), "{text}");
    }

    #[test]
    fn every_flipped_bit_every_cut_and_every_longer_stub_is_damage() {
        let good = stub().encode();
        let is_damage = |bytes: &[u8], what: &str| {
            let error = Archived::decode(bytes, Path::new("x")).expect_err(what);
            assert!(matches!(error, JournalError::Damaged { .. }), "{what}: {error}");
        };
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            is_damage(&bad, &format!("bit {bit}"));
        }
        for len in 0..good.len() {
            is_damage(&good[..len], &format!("{len} bytes"));
        }
        is_damage(&[&good[..], b"\n"].concat(), "longer");
    }

    fn forged(change: impl FnOnce(&str) -> String) -> Vec<u8> {
        let text = String::from_utf8(stub().encode()).expect("text");
        let body = change(&text[..text.len() - CHECKSUM_BYTES]);
        format!("{body}{CHECKSUM_WORD}{}\n", Hash::of(body.as_bytes())).into_bytes()
    }

    #[test]
    fn a_forged_checksum_does_not_help_another_spelling_and_another_version_says_so() {
        let spellings: [(&str, &str); 7] = [
            ("frames 75000", "frames +75000"),
            ("frames 75000", "frames 075000"),
            ("content ", "Content "),
            ("seals 3\n", ""),
            ("copy ", "copy ../"),
            ("copy ", "copy a/"),
            ("place ../archive\n", "place ../archive\nmore\n"),
        ];
        for (old, new) in spellings {
            let error = Archived::decode(&forged(|text| text.replacen(old, new, 1)), Path::new("x")).expect_err(new);
            assert!(matches!(error, JournalError::Damaged { .. }), "{new}: {error}");
        }
        let other = forged(|text| text.replacen("archived 1", "archived 2", 1));
        let error = Archived::decode(&other, Path::new("x")).expect_err("version 2");
        assert!(matches!(error, JournalError::OtherVersion { found: 2, .. }), "{error}");
    }
}
