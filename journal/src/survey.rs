//! Finds out, without changing a byte, where a journal ends and whether that end may be believed.
//!
//! - D, the acknowledged mark, is the most that any of these claims was synced: the high-water
//!   slots, the segment headers, and every commit record whose own checksum holds, also beyond
//!   damage (found by an aligned scan). Each claim was written after the sync it speaks of.
//! - V, the verified end, is the last batch end reached from D's segment by an unbroken walk.
//! - V covers D: what lies behind V was never acknowledged, a crash explains it. V does not cover D:
//!   acknowledged bytes are damaged; that is refused with its offset, never cut (P4).
//! - Must never: decide by a guess. Without two sound claims there is an error, not a journal.
//!
//! Why segments below D's are not walked: all their frames were synced, no crash can have touched
//! them; rot in them is found by the checksum of each frame when it is read, and by `verify`.

use crate::chain::Hash;
use crate::error::{JournalError, Result};
use crate::format::{COMMIT_RECORD_BYTES, Commit, KIND_COMMIT, Look, Mark, look};
use crate::high_water::{self, Slots};
use crate::segment::{Segment, list_segments};
use crate::storage::Storage;
use crate::walk::{Place, Trouble, Walk, beginning, walk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A walk that stops short of D is tried again so often: a writer may have been between the
/// bytes of a batch when a reader looked.
const TRIES: usize = 3;

pub(crate) struct Survey {
    /// The segments that count, in order.
    pub segments: Vec<Segment>,
    /// Segments whose frames a later one holds: left by a crash during recovery.
    pub superseded: Vec<PathBuf>,
    pub slots: Slots,
    /// D: everything up to here was synced.
    pub acknowledged: Mark,
    /// V: everything up to here verifies.
    pub end: Place,
    /// Why the walk ended there.
    pub stop: Trouble,
    /// Seal records found on the walk.
    pub seals: Vec<crate::seal::Seal>,
    /// Sound frames behind V that no commit record closes.
    pub loose_frames: u64,
    /// Where the segments passed on the walk ended: index and offset.
    pub ends: Vec<(usize, u64)>,
}

/// Looks at headers, high-water and the tail. With `mending`, the walk begins one segment earlier:
/// a recovery that was cut off may have left bytes behind that segment's end.
pub(crate) fn survey(storage: &Arc<dyn Storage>, dir: &Path, mending: bool) -> Result<Survey> {
    // Before the high-water, so that a directory that is no journal is called that.
    list_segments(storage.as_ref(), dir, u64::MAX)?;
    // The claims are read before the frames: a writer at work can only add frames in between.
    let slots = high_water::read(storage.as_ref(), dir)?;
    let (segments, superseded) = in_force(list_segments(storage.as_ref(), dir, 0)?)?;
    let mut acknowledged = Mark::default();
    for slot in slots.iter().flatten() {
        acknowledged = acknowledged.later(slot.mark);
    }
    for segment in &segments {
        acknowledged = acknowledged.later(segment.header.synced);
    }
    let witnesses: Vec<(Mark, Hash)> = slots.iter().flatten().map(|slot| (slot.mark, slot.content)).collect();
    let first = segments
        .iter()
        .rposition(|segment| acknowledged.covers(segment.header.start))
        .expect("the first segment starts at zero")
        .saturating_sub(usize::from(mending));
    contradiction(&segments[first], &witnesses)?;
    let mut found = walk(storage, &segments, beginning(storage, &segments, first)?, None, &witnesses)?;
    for attempt in 0..TRIES {
        acknowledged = acknowledged.later(found.synced).later(claims_beyond(storage, &segments, &found.stop)?);
        if found.place.mark.covers(acknowledged) {
            break;
        }
        if attempt + 1 == TRIES {
            return Err(refusal(&segments, &found.stop, acknowledged));
        }
        let again = walk(storage, &segments, found.place.clone(), None, &witnesses)?;
        found = joined(found, again);
    }
    Ok(Survey {
        segments,
        superseded,
        slots,
        acknowledged,
        end: found.place,
        stop: found.stop,
        seals: found.seals,
        loose_frames: found.loose_frames,
        ends: found.ends,
    })
}

fn joined(first: Walk, second: Walk) -> Walk {
    let mut seals = first.seals;
    seals.extend(second.seals);
    let mut ends = first.ends;
    ends.extend(second.ends);
    Walk { synced: first.synced.later(second.synced), seals, ends, ..second }
}

/// The segments that count. A recovery that was itself cut off has left older segments whose frames
/// a newer one repeats: the newer one was complete and synced before it got its name.
pub(crate) fn in_force(all: Vec<Segment>) -> Result<(Vec<Segment>, Vec<PathBuf>)> {
    let mut segments: Vec<Segment> = Vec::with_capacity(all.len());
    let mut superseded = Vec::new();
    for segment in all.into_iter().rev() {
        match segments.last() {
            Some(later) if segment.header.start.covers(later.header.start) => {
                superseded.push(segment.path);
            }
            _ => segments.push(segment),
        }
    }
    segments.reverse();
    let first = segments.first().expect("an empty listing is an error before");
    if first.header.start != Mark::default() {
        let seq = first.header.start.frames;
        let reason = "the segments before this one are missing";
        return Err(JournalError::damaged(&first.path, 40, seq, reason));
    }
    for pair in segments.windows(2) {
        let (older, newer) = (&pair[0].header, &pair[1].header);
        if !newer.start.covers(older.start) {
            let reason = "the segment header contradicts the one before it";
            return Err(JournalError::damaged(&pair[1].path, 40, newer.start.frames, reason));
        }
    }
    Ok((segments, superseded))
}

/// A high-water that names the very start of a segment must name the hash in its header.
fn contradiction(segment: &Segment, witnesses: &[(Mark, Hash)]) -> Result<()> {
    let header = &segment.header;
    let contradicts = |(mark, hash): &(Mark, Hash)| *mark == header.start && *hash != header.content;
    if witnesses.iter().any(contradicts) {
        let reason = "the high-water file names another hash for the frames before this segment";
        return Err(JournalError::damaged(&segment.path, 104, header.start.frames, reason));
    }
    Ok(())
}

/// The most that any sound commit record behind `stop` says was synced.
fn claims_beyond(storage: &Arc<dyn Storage>, segments: &[Segment], stop: &Trouble) -> Result<Mark> {
    let mut most = Mark::default();
    for (index, segment) in segments.iter().enumerate().skip(stop.segment) {
        let from = if index == stop.segment { stop.offset } else { crate::segment::SEGMENT_HEADER_BYTES as u64 };
        let claims = claims_in(storage.as_ref(), segment, from)?;
        most = most.later(claims);
    }
    Ok(most)
}

/// Looks at every aligned place from `from` on for a commit record.
fn claims_in(storage: &dyn Storage, segment: &Segment, from: u64) -> Result<Mark> {
    const CHUNK: u64 = 1024 * 1024;
    let path = &segment.path;
    let file = storage.open(path, false).map_err(JournalError::io("open", path))?;
    let len = file.len().map_err(JournalError::io("read", path))?;
    let seed = crate::format::seed_of(segment.header.file_id);
    let mut most = Mark::default();
    let mut offset = from;
    while offset + COMMIT_RECORD_BYTES as u64 <= len {
        let bytes = CHUNK.min(len - offset);
        let window = file
            .copy(offset, usize::try_from(bytes).expect("at most a chunk"))
            .map_err(JournalError::io("read", path))?;
        for at in (0..=window.len() - COMMIT_RECORD_BYTES).step_by(8) {
            let place = &window[at..at + COMMIT_RECORD_BYTES];
            if place[24..26] != KIND_COMMIT.to_le_bytes() {
                continue;
            }
            if let Look::Record(_) = look(place, seed)
                && let Some(commit) = Commit::decode(place)
            {
                most = most.later(commit.synced);
            }
        }
        // Records may straddle chunks: step back by one record, aligned.
        let step = bytes - (COMMIT_RECORD_BYTES as u64 - 8).min(bytes);
        offset += if step == 0 { bytes } else { step - step % 8 }.max(8);
    }
    Ok(most)
}

fn refusal(segments: &[Segment], stop: &Trouble, acknowledged: Mark) -> JournalError {
    let reason = format!(
        "{}; frames up to seq {} were acknowledged, so this is not the end of a crash",
        stop.reason,
        acknowledged.frames.saturating_sub(1)
    );
    let path = &segments[stop.segment].path;
    JournalError::damaged(path, stop.offset, stop.seq, reason)
}
