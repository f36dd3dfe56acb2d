//! The sidecar: where every 4096th frame lies and when it was, and where runs begin.
//!
//! - Built from frames whose checksums hold, kept in `cache/sidecar` with the content hash of the
//!   prefix it describes; a file that is missing, torn or of another prefix is built anew, one that
//!   describes a shorter prefix is extended.
//! - A place in it is a hint: the frame there is checked, and where it lies elsewhere now (a recovery
//!   may move frames), the segment is walked instead.
//! - Must never: decide what a frame says.

use crate::cache;
use crate::chain::Hash;
use crate::cursor::Cursor;
use crate::error::{JournalError, Result};
use crate::format::{flags, u64_at};
use crate::journal::Journal;
use std::sync::Arc;

/// Frames from one entry to the next.
pub(crate) const FRAMES_PER_ENTRY: u64 = 4096;
const NAME: &str = "sidecar";
const MAGIC: &[u8; 8] = b"daybside";
const HEAD_BYTES: usize = 64;

/// Frames among which time does not step back: what one command or session wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its first frame.
    pub first_seq: u64,
    /// How many there are.
    pub frames: u64,
}

impl Run {
    /// The seq behind its last frame.
    pub fn end(&self) -> u64 {
        self.first_seq + self.frames
    }
}

/// Where a frame was when the sidecar was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Number (not index) of the segment.
    pub number: u64,
    pub offset: u64,
    pub time: i64,
}

/// See the top of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sidecar {
    /// Frames described.
    frames: u64,
    /// Spot `i` is frame 4096 i.
    spots: Vec<Spot>,
    runs: Vec<Run>,
}

impl Sidecar {
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// The nearest spot at or before `seq`, with its seq.
    pub(crate) fn spot(&self, seq: u64) -> Option<(u64, Spot)> {
        let last = self.spots.len().checked_sub(1)? as u64;
        let index = (seq / FRAMES_PER_ENTRY).min(last);
        Some((index * FRAMES_PER_ENTRY, self.spots[usize::try_from(index).ok()?]))
    }

    /// A frame of `run` from which on frame times need to be looked at to find the first at or
    /// after `time`.
    pub(crate) fn before(&self, run: Run, time: i64) -> u64 {
        // Frames of the run with an entry: times ascend among them.
        let first = run.first_seq.div_ceil(FRAMES_PER_ENTRY);
        let end = run.end().div_ceil(FRAMES_PER_ENTRY).max(first);
        let clamp = |index: u64| usize::try_from(index).map_or(self.spots.len(), |index| index.min(self.spots.len()));
        let spots = &self.spots[clamp(first)..clamp(end)];
        match spots.partition_point(|spot| spot.time < time) as u64 {
            0 => run.first_seq,
            below => (first + below - 1) * FRAMES_PER_ENTRY,
        }
    }

    /// Reads on from where this one ends to the end of `journal`.
    pub(crate) fn extend(&mut self, journal: &Journal) -> Result<()> {
        let mut cursor = journal.cursor(self.frames);
        while cursor.advance()? {
            let frame = cursor.frame();
            let (seq, time, frame_flags) = (frame.seq, frame.time, frame.flags);
            if seq == 0 || frame_flags & flags::RUN_START != 0 {
                self.runs.push(Run { first_seq: seq, frames: 0 });
            }
            if seq.is_multiple_of(FRAMES_PER_ENTRY) {
                let (number, offset) = cursor.whereabouts();
                self.spots.push(Spot { number, offset, time });
            }
            self.runs.last_mut().expect("frame 0 began one").frames += 1;
            self.frames += 1;
        }
        assert!(self.frames == journal.head().frames, "the cursor reached the end");
        Ok(())
    }

    fn encode(&self, content: Hash) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.spots.len() * 24 + self.runs.len() * 16);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.frames.to_le_bytes());
        bytes.extend_from_slice(&content.0);
        bytes.extend_from_slice(&(self.spots.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(self.runs.len() as u64).to_le_bytes());
        for spot in &self.spots {
            bytes.extend_from_slice(&spot.number.to_le_bytes());
            bytes.extend_from_slice(&spot.offset.to_le_bytes());
            bytes.extend_from_slice(&spot.time.to_le_bytes());
        }
        for run in &self.runs {
            bytes.extend_from_slice(&run.first_seq.to_le_bytes());
            bytes.extend_from_slice(&run.frames.to_le_bytes());
        }
        bytes
    }

    /// The sidecar and the content hash it was built for. The checksum was verified, so sizes are
    /// those that `encode` wrote; anything else is no sidecar.
    fn decode(bytes: &[u8]) -> Option<(Sidecar, Hash)> {
        if bytes.len() < HEAD_BYTES || bytes[..8] != *MAGIC {
            return None;
        }
        let spots = usize::try_from(u64_at(bytes, 48)).ok()?;
        let runs = usize::try_from(u64_at(bytes, 56)).ok()?;
        let spot_bytes = spots.checked_mul(24)?;
        let whole = HEAD_BYTES.checked_add(spot_bytes)?.checked_add(runs.checked_mul(16)?)?;
        if bytes.len() != whole {
            return None;
        }
        let (spot_part, run_part) = bytes[HEAD_BYTES..].split_at(spot_bytes);
        let sidecar = Sidecar {
            frames: u64_at(bytes, 8),
            spots: spot_part
                .chunks_exact(24)
                .map(|spot| Spot {
                    number: u64_at(spot, 0),
                    offset: u64_at(spot, 8),
                    time: u64_at(spot, 16).cast_signed(),
                })
                .collect(),
            runs: run_part
                .chunks_exact(16)
                .map(|run| Run { first_seq: u64_at(run, 0), frames: u64_at(run, 8) })
                .collect(),
        };
        let content = Hash(bytes[16..48].try_into().ok()?);
        (sidecar.spots.len() as u64 == sidecar.frames.div_ceil(FRAMES_PER_ENTRY)).then_some((sidecar, content))
    }
}

/// The sidecar in `journal`'s cache, where there is one for a prefix of it.
pub(crate) fn load(journal: &Journal) -> Option<Sidecar> {
    let path = journal.cache_dir().join(NAME);
    let bytes = cache::load(journal.view.storage.as_ref(), &path)?;
    let (sidecar, content) = Sidecar::decode(&bytes)?;
    if sidecar.frames > journal.head().frames {
        return None;
    }
    (journal.content_at(sidecar.frames).ok()? == content).then_some(sidecar)
}

/// Keeps `sidecar`, which describes all of `journal`; a cache that cannot be written is done without.
pub(crate) fn store(journal: &Journal, sidecar: &Sidecar) {
    let bytes = sidecar.encode(journal.head().content);
    let _ = cache::store(journal.view.storage.as_ref(), &journal.cache_dir(), NAME, bytes);
}

impl Journal {
    /// The runs, in order: what one command or session wrote, each with times that only ascend. The
    /// first call reads the sidecar in `cache/`, or builds it by reading the journal.
    pub fn runs(&self) -> Result<&[Run]> {
        Ok(self.sidecar()?.runs())
    }

    /// The first frame of run `run` (counted from 0) at or after `time`, nanoseconds UTC; the end of
    /// the run where all are earlier.
    pub fn seek_time(&self, run: usize, time: i64) -> Result<u64> {
        let sidecar = self.sidecar()?;
        let Some(run) = sidecar.runs().get(run).copied() else {
            return Err(JournalError::OutOfRange {
                dir: self.dir().to_owned(),
                seq: run as u64,
                frames: self.head().frames,
            });
        };
        let mut cursor = self.cursor(sidecar.before(run, time)).until(run.end());
        while let Some(frame) = cursor.next()? {
            if frame.time >= time {
                return Ok(frame.seq);
            }
        }
        Ok(run.end())
    }

    /// The whole sidecar: from memory, from `cache/`, or built now.
    pub(crate) fn sidecar(&self) -> Result<&Sidecar> {
        if let Some(sidecar) = self.sidecar.get()
            && sidecar.frames() == self.head().frames
        {
            return Ok(sidecar);
        }
        let mut sidecar = self.shorter_sidecar().unwrap_or_default();
        if sidecar.frames() < self.head().frames {
            let added = self.head().frames - sidecar.frames();
            sidecar.extend(self)?;
            // Not for a handful of frames: a follower would rewrite the file all the time.
            if added >= FRAMES_PER_ENTRY || added == self.head().frames {
                store(self, &sidecar);
            }
        }
        Ok(self.sidecar.get_or_init(|| Arc::new(sidecar)))
    }

    /// A sidecar of a prefix, as memory or the cache has it.
    fn shorter_sidecar(&self) -> Option<Sidecar> {
        match &self.stale_sidecar {
            Some(stale) => Some(Sidecar::clone(stale)),
            None => load(self),
        }
    }
}

/// Starts `cursor` at the nearest known frame instead of the beginning of the segment.
pub(crate) fn hinted(journal: &Journal, cursor: Cursor, from: u64) -> Cursor {
    let known = journal.sidecar.get().or(journal.stale_sidecar.as_ref());
    match known.and_then(|sidecar| sidecar.spot(from)) {
        Some((seq, spot)) => cursor.with_hint(seq, spot.number, spot.offset),
        None => cursor,
    }
}
