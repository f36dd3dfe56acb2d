//! Reads everything and says whether all of it is as it was written.
//!
//! - Every byte of every file of the journal is looked at (`cache/` and `lock` aside): segment
//!   headers, frames with their padding, the chain, commit records, seals and their files, both
//!   high-water slots, the zeros behind the end, the reserve. One flipped bit anywhere is found,
//!   with its file and offset.
//! - It is for a journal at rest; beside a writer at work it may call a half-written batch damage.
//! - Memory is one window, whatever the length.
//! - Must never: change a byte, or stop at "probably fine".

use crate::archive::Archived;
use crate::chain::{Chain, Hash};
use crate::error::{JournalError, Result};
use crate::format::Mark;
use crate::high_water::{HIGH_WATER_BYTES, HIGH_WATER_NAME, SLOT_BYTES, Slots, read_raw};
use crate::options::Head;
use crate::recovery::nonzero;
use crate::seal::{PublicKey, Seal};
use crate::seal_files::{read_seal_files, seal_name};
use crate::segment::{
    RESERVE_NAME, Role, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, TEMPORARY_SUFFIX, list_segments,
};
use crate::storage::{Files, Storage};
use crate::survey::in_force;
use crate::walk::{Place, Walk, beginning, walk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What `verify` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as it was written.
    Sound(Verified),
    /// The frames were moved to an archive; what stays is as it was written: stub and seals, which agree.
    /// The copy was not looked at.
    Archived(Archived),
    /// Something is not: the first place, in reading order.
    Damaged {
        /// The file (or the directory, where a file is missing).
        file: PathBuf,
        /// Byte offset in it.
        offset: u64,
        /// The frame there, or the next one.
        seq: u64,
        /// What did not hold.
        reason: String,
    },
}

/// What a sound journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Frames and their hash.
    pub head: Head,
    /// Its id; `None` while empty.
    pub id: Option<[u8; 16]>,
    /// The seals, oldest first.
    pub seals: Vec<Seal>,
    /// Segment files.
    pub segments: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl Verdict {
    /// True where the journal is there and nothing was found.
    pub fn is_sound(&self) -> bool {
        matches!(self, Verdict::Sound(_))
    }
}

/// Reads the whole journal at `dir`. With `key`, there must be seals, all by that key.
///
/// # Errors
/// Only where there is no journal to judge: missing, empty, something else, another format version,
/// or a system that refuses to read. All damage is a [`Verdict`].
pub fn verify(dir: &Path, key: Option<&PublicKey>) -> Result<Verdict> {
    verify_on(&(Arc::new(Files::new()) as Arc<dyn Storage>), dir, key, &[])
}

/// [`verify`] on any storage, and against seals that were kept elsewhere: the journal must begin
/// with what each of them covers (P7).
pub fn verify_on(storage: &Arc<dyn Storage>, dir: &Path, key: Option<&PublicKey>, kept: &[Seal]) -> Result<Verdict> {
    match examine(storage, dir, key, kept) {
        Ok(verified) => Ok(Verdict::Sound(verified)),
        Err(JournalError::Archived { .. }) => judge_stub(storage.as_ref(), dir, key, kept),
        Err(JournalError::Damaged { file, offset, seq, reason }) => Ok(Verdict::Damaged { file, offset, seq, reason }),
        Err(other) => Err(other),
    }
}

fn judge_stub(storage: &dyn Storage, dir: &Path, key: Option<&PublicKey>, kept: &[Seal]) -> Result<Verdict> {
    match crate::archive::examine(storage, dir, key, kept) {
        Ok(stub) => Ok(Verdict::Archived(stub)),
        Err(JournalError::Damaged { file, offset, seq, reason }) => Ok(Verdict::Damaged { file, offset, seq, reason }),
        Err(other) => Err(other),
    }
}

fn examine(storage: &Arc<dyn Storage>, dir: &Path, key: Option<&PublicKey>, kept: &[Seal]) -> Result<Verified> {
    list_segments(storage.as_ref(), dir, u64::MAX)?;
    let slots = both_slots(storage.as_ref(), dir)?;
    leftovers(storage.as_ref(), dir)?;
    let (segments, superseded) = in_force(list_segments(storage.as_ref(), dir, 0)?)?;
    if let Some(path) = superseded.first() {
        let reason = "a recovery was cut off: a later segment repeats this one; open the journal for writing once";
        return Err(JournalError::damaged(path, 0, 0, reason));
    }
    for segment in &segments {
        claims_of(segment)?;
    }
    let reserve = reserve(storage.as_ref(), dir)?;
    let found = whole_walk(storage, dir, &segments, &slots)?;
    zero_tails(storage.as_ref(), &segments, &found)?;
    let id = id_at(storage, dir, &segments, &found.place)?;
    seals(storage.as_ref(), dir, &found, id, key)?;
    for seal in kept {
        against(storage, dir, &segments, &found, id, seal)?;
    }
    let bytes = segments.iter().map(|segment| segment.len).sum::<u64>();
    Ok(Verified {
        head: Head { frames: found.place.mark.frames, last_time: found.place.last_time, content: found.place.content },
        id,
        seals: found.seals,
        segments: segments.len() as u64,
        bytes: bytes + reserve + HIGH_WATER_BYTES as u64,
    })
}

/// Both slots, each of which must be sound: a crash may tear one, and the next open mends it.
fn both_slots(storage: &dyn Storage, dir: &Path) -> Result<Slots> {
    let path = dir.join(HIGH_WATER_NAME);
    let slots = read_raw(storage, &path)?;
    for (index, slot) in slots.iter().enumerate() {
        if slot.is_none() {
            let reason = format!("slot {index} of the high-water file does not verify");
            let offset = (index * SLOT_BYTES) as u64;
            return Err(JournalError::damaged(&path, offset, 0, reason));
        }
    }
    let file = storage.open(&path, false).map_err(JournalError::io("open", &path))?;
    let len = file.len().map_err(JournalError::io("read", &path))?;
    if len != HIGH_WATER_BYTES as u64 {
        let reason = format!("the high-water file has {len} bytes instead of {HIGH_WATER_BYTES}");
        return Err(JournalError::damaged(&path, len, 0, reason));
    }
    Ok(slots)
}

fn leftovers(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let entries = storage.list(dir).map_err(JournalError::io("list", dir))?;
    let left = |name: &str| name.ends_with(TEMPORARY_SUFFIX);
    match entries.iter().find(|entry| left(&entry.name)) {
        None => Ok(()),
        Some(entry) => {
            let reason = "a crash has left this half-made file; open the journal for writing once";
            Err(JournalError::damaged(&dir.join(&entry.name), 0, 0, reason))
        }
    }
}

/// What a header says about itself.
fn claims_of(segment: &Segment) -> Result<()> {
    let header = &segment.header;
    let seq = header.start.frames;
    if !header.start.covers(header.synced) {
        let reason = "the segment header claims a sync of frames that come later";
        return Err(JournalError::damaged(&segment.path, 136, seq, reason));
    }
    Ok(())
}

/// Walks from the first frame to the last, past every claim of the high-water file.
fn whole_walk(storage: &Arc<dyn Storage>, dir: &Path, segments: &[Segment], slots: &Slots) -> Result<Walk> {
    let witnesses: Vec<(Mark, Hash)> = slots.iter().flatten().map(|slot| (slot.mark, slot.content)).collect();
    let start = beginning(storage, segments, 0)?;
    let found = walk(storage, segments, start, None, &witnesses)?;
    let stop = &found.stop;
    let stopped = &segments[stop.segment].path;
    if found.place.segment + 1 != segments.len() {
        let reason = format!("{}; a later segment follows", stop.reason);
        return Err(JournalError::damaged(stopped, stop.offset, stop.seq, reason));
    }
    let nothing = Chain::new().content();
    for (index, (mark, content)) in witnesses.iter().enumerate() {
        if !found.place.mark.covers(*mark) {
            let reason = format!("{}; the high-water file says {} frames were synced", stop.reason, mark.frames);
            return Err(JournalError::damaged(stopped, stop.offset, stop.seq, reason));
        }
        let at_start = *mark == Mark::default() && *content == nothing;
        if !found.met[index] && !at_start {
            let path = dir.join(HIGH_WATER_NAME);
            let offset = (index * SLOT_BYTES) as u64;
            let reason = "the slot names a place that is no end of a batch";
            return Err(JournalError::damaged(&path, offset, mark.frames, reason));
        }
    }
    Ok(found)
}

/// Behind the end of each segment there are only zeros, as many as it was made with; or nothing,
/// where a clean close has trimmed it.
fn zero_tails(storage: &dyn Storage, segments: &[Segment], found: &Walk) -> Result<()> {
    let mut ends = found.ends.clone();
    ends.push((found.place.segment, found.place.offset));
    for (index, end) in ends {
        let Segment { path, header, len } = &segments[index];
        let file = storage.open(path, false).map_err(JournalError::io("open", path))?;
        let next = segments.get(index + 1);
        let seq = next.map_or(found.stop.seq, |next| next.header.start.frames);
        if let Some((first, _)) = nonzero(file.as_ref(), path, end)? {
            let at_stop = index == found.stop.segment && found.stop.offset >= end;
            let (offset, reason) = if at_stop {
                let reason = format!("{}, behind the last closed batch", found.stop.reason);
                (found.stop.offset, reason)
            } else {
                let reason = "there are bytes behind the end of the segment";
                (first, reason.to_owned())
            };
            return Err(JournalError::damaged(path, offset, seq, reason));
        }
        if *len < header.capacity && *len != end {
            let reason = "the file is shorter than it was made, and not trimmed at its end";
            return Err(JournalError::damaged(path, *len, seq, reason));
        }
    }
    Ok(())
}

fn id_at(storage: &Arc<dyn Storage>, dir: &Path, segments: &[Segment], end: &Place) -> Result<Option<[u8; 16]>> {
    let view = crate::journal::view_of(storage, dir, segments.to_vec(), end);
    crate::journal::first_frame_id(&Arc::new(view))
}

/// The seal records, their files, their order and their signer.
fn seals(storage: &dyn Storage, dir: &Path, found: &Walk, id: Option<[u8; 16]>, key: Option<&PublicKey>) -> Result<()> {
    let files = read_seal_files(storage, dir)?;
    let place = |number: usize| dir.join(seal_name(number as u64));
    if files != found.seals {
        let number = (0..files.len().max(found.seals.len()))
            .find(|number| files.get(*number) != found.seals.get(*number))
            .unwrap_or(0);
        let reason = "the seal file is not the seal in the journal, or one of the two is missing";
        return Err(JournalError::damaged(&place(number), 0, found.stop.seq, reason));
    }
    for (number, seal) in files.iter().enumerate() {
        let of_this_journal = seal.frames == 0 || Some(seal.journal) == id;
        if !of_this_journal {
            let reason = "the seal is of another journal";
            return Err(JournalError::damaged(&place(number), 8, seal.frames, reason));
        }
        if key.is_some_and(|key| !seal.check(key)) {
            let reason = "the seal is not signed by the key that was given";
            return Err(JournalError::damaged(&place(number), 112, seal.frames, reason));
        }
    }
    if key.is_some() && files.is_empty() {
        let reason = "the journal bears no seal, but a public key was given";
        return Err(JournalError::damaged(dir, 0, found.place.mark.frames, reason));
    }
    Ok(())
}

/// The journal must begin with exactly what a kept seal covers.
fn against(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    segments: &[Segment],
    found: &Walk,
    id: Option<[u8; 16]>,
    seal: &Seal,
) -> Result<()> {
    let end = &found.place;
    let refused = |offset: u64, reason: String| Err(JournalError::damaged(dir, offset, seal.frames, reason));
    if seal.frames > end.mark.frames {
        let frames = end.mark.frames;
        return refused(0, format!("the kept seal covers {} frames, {frames} are there", seal.frames));
    }
    if seal.frames > 0 && id != Some(seal.journal) {
        return refused(0, "the kept seal is of another journal, or frame 0 was changed".to_owned());
    }
    let view = Arc::new(crate::journal::view_of(storage, dir, segments.to_vec(), end));
    if crate::journal::content_of(&view, seal.frames)? != seal.content {
        return refused(0, "the frames are not those that the kept seal covers".to_owned());
    }
    Ok(())
}

/// The reserve waits unwritten: a sound header and zeros. Returns its length.
fn reserve(storage: &dyn Storage, dir: &Path) -> Result<u64> {
    let path = dir.join(RESERVE_NAME);
    let file = match storage.open(&path, false) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(JournalError::io("open", &path))?,
    };
    let header = SegmentHeader::read(file.as_ref(), &path)?;
    let len = file.len().map_err(JournalError::io("read", &path))?;
    if header.role != Role::Reserve || len != header.capacity {
        let reason = "the reserve is not a whole, unused segment";
        return Err(JournalError::damaged(&path, 12, 0, reason));
    }
    match nonzero(file.as_ref(), &path, SEGMENT_HEADER_BYTES as u64)? {
        None => Ok(len),
        Some((first, _)) => {
            let reason = "the reserve holds bytes that are not zero";
            Err(JournalError::damaged(&path, first, 0, reason))
        }
    }
}
