//! Walks from one batch end to the last one that verifies. Reader, writer and recovery all use it,
//! so they cannot disagree about where the journal ends.
//!
//! - A position moves only at a commit record whose counts and prefix hash hold.
//! - A segment ends where the next one begins: at a batch end whose counts and hash its header
//!   bears. What lies behind that place in the older segment is superseded.
//! - Must never: change a byte.

use crate::chain::{Chain, FRAMES_PER_LINK, Hash};
use crate::error::{JournalError, Result};
use crate::format::{
    COMMIT_RECORD_BYTES, Commit, KIND_COMMIT, KIND_PAD, KIND_SEAL, Mark, Record, SEAL_RECORD_BYTES, flags, is_pad,
};
use crate::records::{Access, Records, Stop};
use crate::seal::Seal;
use crate::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::storage::Storage;
use std::sync::Arc;

/// A batch end, and all that is needed to go on from it.
#[derive(Clone)]
pub(crate) struct Place {
    /// Index into the list of segments.
    pub segment: usize,
    /// Byte offset in that segment.
    pub offset: u64,
    pub mark: Mark,
    pub last_time: Option<i64>,
    pub chain: Chain,
    /// Hash of all frames before.
    pub content: Hash,
}

/// Where a walk ended, and what it learned.
pub(crate) struct Walk {
    /// The last batch end that verifies.
    pub place: Place,
    /// What stopped it, in the segment of `place` or at the start of the next one.
    pub stop: Trouble,
    /// The most that any commit record on the way said was synced.
    pub synced: Mark,
    /// Seal records on the way.
    pub seals: Vec<Seal>,
    /// Frames that verify behind the last batch end: begun, never closed.
    pub loose_frames: u64,
    /// Where each segment that was left behind ended: index and offset.
    pub ends: Vec<(usize, u64)>,
    /// Which witnesses were met at a batch end, in their order.
    pub met: Vec<bool>,
}

/// Something that is not a record, and where.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub segment: usize,
    pub offset: u64,
    pub seq: u64,
    pub reason: String,
}

/// The beginning of segment `index`, with the chain as it stood there.
pub(crate) fn beginning(storage: &Arc<dyn Storage>, segments: &[Segment], index: usize) -> Result<Place> {
    let segment = &segments[index];
    let header = &segment.header;
    let mut chain = chain_before(storage, segments, index)?;
    let content = chain.content();
    if content != header.content {
        let reason = "the hash of all earlier frames is not the one in the segment header";
        return Err(JournalError::damaged(&segment.path, 104, header.start.frames, reason));
    }
    Ok(Place {
        segment: index,
        offset: SEGMENT_HEADER_BYTES as u64,
        mark: header.start,
        last_time: header.last_time,
        chain,
        content,
    })
}

/// The chain at the start of a segment: its link, and the frames since, which lie in earlier segments.
fn chain_before(storage: &Arc<dyn Storage>, segments: &[Segment], index: usize) -> Result<Chain> {
    let header = &segments[index].header;
    let end = header.start.frames;
    let start = end - end % FRAMES_PER_LINK;
    let mut chain = Chain::resume(start, header.link);
    if start < end {
        crate::cursor::each_frame(storage, segments, index, start..end, |bytes| chain.push(bytes))?;
    }
    Ok(chain)
}

/// Walks on from `place` through `segments`, to `until` or as far as batches verify. A witness says
/// what the hash must be at a batch end.
pub(crate) fn walk(
    storage: &Arc<dyn Storage>,
    segments: &[Segment],
    place: Place,
    until: Option<Mark>,
    witnesses: &[(Mark, Hash)],
) -> Result<Walk> {
    let mut walker = Walker {
        tentative: place.chain.clone(),
        tentative_time: place.last_time,
        tentative_mark: place.mark,
        walk: Walk {
            stop: Trouble {
                segment: place.segment,
                offset: place.offset,
                seq: place.mark.frames,
                reason: String::new(),
            },
            place,
            synced: Mark::default(),
            seals: Vec::new(),
            loose_frames: 0,
            ends: Vec::new(),
            met: vec![false; witnesses.len()],
        },
        seals: Vec::new(),
        witnesses,
    };
    loop {
        walker.step_into_next(segments)?;
        if until.is_some_and(|mark| walker.walk.place.mark.covers(mark)) {
            return Ok(walker.walk);
        }
        let before = walker.walk.place.segment;
        if !walker.segment(storage, segments, until)? {
            return Ok(walker.walk);
        }
        assert!(walker.walk.place.segment >= before, "a walk goes forward");
    }
}

struct Walker<'a> {
    walk: Walk,
    /// The chain, time and counts behind the last record, batch closed or not.
    tentative: Chain,
    tentative_time: Option<i64>,
    tentative_mark: Mark,
    /// Seals since the last batch end.
    seals: Vec<Seal>,
    witnesses: &'a [(Mark, Hash)],
}

impl Walker<'_> {
    /// Moves to the next segment where it begins at the present place.
    fn step_into_next(&mut self, segments: &[Segment]) -> Result<bool> {
        let mut moved = false;
        loop {
            let place = &mut self.walk.place;
            let Some(next) = segments.get(place.segment + 1) else {
                return Ok(moved);
            };
            if next.header.start != place.mark || next.header.content != place.content {
                return Ok(moved);
            }
            if next.header.link != place.chain.link() || next.header.last_time != place.last_time {
                let reason = "the segment header contradicts the frames before it";
                let seq = place.mark.frames;
                return Err(JournalError::damaged(&next.path, 56, seq, reason));
            }
            self.walk.ends.push((place.segment, place.offset));
            place.segment += 1;
            place.offset = SEGMENT_HEADER_BYTES as u64;
            moved = true;
        }
    }

    /// Walks through one segment; true where it went over into the next.
    fn segment(&mut self, storage: &Arc<dyn Storage>, segments: &[Segment], until: Option<Mark>) -> Result<bool> {
        let index = self.walk.place.segment;
        let segment = &segments[index];
        let mut records = Records::open(storage.as_ref(), segment, segment.len, Access::Copy)?;
        records.seek(self.walk.place.offset);
        self.walk.loose_frames = 0;
        loop {
            let offset = records.offset();
            let flaw = match records.read() {
                Ok(record) => {
                    let at = records.consume(&record);
                    let bytes = records.bytes(at, record.padded());
                    match self.record(&record, bytes, records.offset()) {
                        Ok(true) => {
                            self.take_pad(&mut records)?;
                            if self.step_into_next(segments)? {
                                return Ok(true);
                            }
                            if until.is_some_and(|mark| self.walk.place.mark.covers(mark)) {
                                return Ok(false);
                            }
                            continue;
                        }
                        Ok(false) => continue,
                        Err(reason) => reason,
                    }
                }
                Err(Stop::Failed(error)) => return Err(*error),
                Err(Stop::Flaw(flaw)) => flaw.reason(),
            };
            self.walk.stop =
                Trouble { segment: index, offset, seq: self.tentative_mark.frames, reason: flaw.to_owned() };
            return Ok(false);
        }
    }

    /// A pad behind a batch end belongs to it: it was there when the batch was synced.
    fn take_pad(&mut self, records: &mut Records) -> Result<()> {
        let record = match records.read() {
            Ok(record) => record,
            Err(Stop::Failed(error)) => return Err(*error),
            Err(Stop::Flaw(_)) => return Ok(()),
        };
        if record.kind != KIND_PAD {
            return Ok(());
        }
        let back = records.offset();
        let at = records.consume(&record);
        let bytes = records.bytes(at, record.padded());
        if is_pad(&record, bytes, self.walk.place.mark.frames) {
            self.walk.place.offset = records.offset();
        } else {
            records.seek(back);
        }
        Ok(())
    }

    /// Takes in one sound record; true at a batch end.
    fn record(&mut self, record: &Record, bytes: &[u8], end: u64) -> Result<bool, &'static str> {
        match record.kind {
            KIND_COMMIT => self.commit(record, bytes, end).map(|()| true),
            KIND_SEAL => {
                if record.len as usize != SEAL_RECORD_BYTES {
                    return Err("a seal record of the wrong length");
                }
                let seal = Seal::parse(&bytes[32..]);
                let seal = seal.map_err(|_| "a seal record that is no seal")?;
                if seal.frames != self.tentative_mark.frames
                    || seal.number != self.tentative_mark.seals
                    || seal.content != self.tentative.content()
                {
                    return Err("the seal covers other frames than lie before it");
                }
                self.seals.push(seal);
                self.tentative_mark.seals += 1;
                Ok(false)
            }
            _ if record.is_control() => Err("a control record of an unknown kind"),
            _ => {
                if record.seq != self.tentative_mark.frames {
                    return Err("the frame bears another seq than its place");
                }
                let steps_back = self.tentative_time.is_some_and(|last| record.time < last);
                if steps_back && record.flags & flags::RUN_START == 0 {
                    return Err("time steps back on a frame that begins no run");
                }
                self.tentative.push(bytes);
                self.tentative_time = Some(record.time);
                self.tentative_mark.frames += 1;
                self.walk.loose_frames += 1;
                Ok(false)
            }
        }
    }

    fn commit(&mut self, record: &Record, bytes: &[u8], end: u64) -> Result<(), &'static str> {
        let commit = Commit::decode(bytes).ok_or("a commit record of the wrong form")?;
        let place = &mut self.walk.place;
        let start = place.offset;
        if commit.mark != self.tentative_mark || commit.mark == place.mark {
            return Err("the commit record counts other frames than are there");
        }
        if record.time != self.tentative_time.unwrap_or(0) || commit.bytes != end - COMMIT_RECORD_BYTES as u64 - start {
            return Err("the commit record contradicts its batch");
        }
        if !place.mark.covers(commit.synced) {
            return Err("the commit record claims a sync that was not possible");
        }
        let content = self.tentative.content();
        if commit.content != content {
            return Err("the commit record's hash is not that of the frames");
        }
        for (index, (mark, hash)) in self.witnesses.iter().enumerate() {
            if *mark == commit.mark {
                if *hash != content {
                    return Err("the high-water file names another hash for the frames up to here");
                }
                self.walk.met[index] = true;
            }
        }
        place.mark = commit.mark;
        place.offset = end;
        place.last_time = self.tentative_time;
        place.content = content;
        place.chain.clone_from(&self.tentative);
        self.walk.synced = self.walk.synced.later(commit.synced);
        self.walk.seals.append(&mut self.seals);
        self.walk.loose_frames = 0;
        Ok(())
    }
}
