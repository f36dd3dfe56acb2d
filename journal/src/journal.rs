//! The reader: a journal as it stood when it was opened.
//!
//! - Takes no lock and changes nothing. It ends at the last batch end that verifies, and an end
//!   below what was acknowledged is an error, not a shorter journal (P4).
//! - Opening reads headers, seals and the active segment, whatever the length; sealed frames are
//!   checked when they are read.
//! - `refresh` goes on from there while a writer is at work.
//! - Must never: show a frame that no commit record closes.

use crate::batch::journal_id;
use crate::chain::{Chain, FRAMES_PER_LINK, Hash};
use crate::cursor::{Cursor, Headers, View, each_frame_of};
use crate::error::{JournalError, Result};
use crate::format::OwnedFrame;
use crate::options::Head;
use crate::seal::Seal;
use crate::segment::{Segment, list_segments};
use crate::sidecar::{self, Sidecar};
use crate::storage::{Files, Storage};
use crate::survey::{Survey, survey};
use crate::walk::{Place, walk};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A journal, open for reading.
#[derive(Clone)]
pub struct Journal {
    pub(crate) view: Arc<View>,
    place: Place,
    id: Option<[u8; 16]>,
    seals: Vec<Seal>,
    pub(crate) sidecar: OnceLock<Arc<Sidecar>>,
    /// What the sidecar was before the journal grew.
    pub(crate) stale_sidecar: Option<Arc<Sidecar>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Journal").field("dir", &self.view.dir).field("head", &self.head()).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal at `dir`.
    pub fn open(dir: &Path) -> Result<Journal> {
        Self::open_on(Arc::new(Files::new()), dir)
    }

    /// [`Journal::open`] on any storage.
    pub fn open_on(storage: Arc<dyn Storage>, dir: &Path) -> Result<Journal> {
        let found = survey(&storage, dir, false)?;
        let id = id_of(&storage, &found)?;
        let view = view_of(&storage, dir, found.segments, &found.end);
        let seals = crate::seal_files::read_seal_files(storage.as_ref(), dir)?;
        Ok(Journal { view: Arc::new(view), place: found.end, id, seals, sidecar: OnceLock::new(), stale_sidecar: None })
    }

    /// True while a writer is at work on it, in this process or another.
    pub fn is_being_written(&self) -> bool {
        crate::storage::is_locked(&self.view.dir.join(crate::segment::LOCK_NAME))
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.view.dir
    }

    /// The directory for what can be rebuilt from the journal at any time.
    pub fn cache_dir(&self) -> PathBuf {
        self.view.dir.join("cache")
    }

    /// What names this journal among others: the first 16 bytes of the hash of frame 0. Journals
    /// that begin with the same frame share it, as two runs of one backtest do. `None` while empty.
    pub fn id(&self) -> Option<[u8; 16]> {
        self.id
    }

    /// How much it holds, and the hash of it.
    pub fn head(&self) -> Head {
        Head { frames: self.place.mark.frames, last_time: self.place.last_time, content: self.place.content }
    }

    /// The hash of the first `frames` frames. Reads the segments from the last link before that on:
    /// at most one, unless frames are huge.
    pub fn content_at(&self, frames: u64) -> Result<Hash> {
        let head = self.head();
        if frames > head.frames {
            return Err(self.out_of_range(frames));
        }
        if frames == head.frames {
            return Ok(head.content);
        }
        content_of(&self.view, frames)
    }

    /// The seals, oldest first.
    pub fn seals(&self) -> &[Seal] {
        &self.seals
    }

    /// Reads from frame `from` on, to the end this journal had when it was opened or refreshed.
    pub fn cursor(&self, from: u64) -> Cursor {
        sidecar::hinted(self, Cursor::new(self.view.clone(), from), from)
    }

    /// Reads headers only, without their checksums: for building indexes.
    pub fn headers(&self, from: u64) -> Headers {
        Headers::new(self.cursor(from))
    }

    /// One frame. Quick where the sidecar is there (see [`Journal::runs`]), else a walk through the
    /// headers of one segment.
    pub fn frame(&self, seq: u64) -> Result<OwnedFrame> {
        let mut cursor = self.cursor(seq);
        match cursor.next()? {
            Some(frame) => Ok(OwnedFrame::new(frame)),
            None => Err(self.out_of_range(seq)),
        }
    }

    /// Looks for batches that a writer has closed since; true where there are any.
    ///
    /// # Errors
    /// Where a recovery has cut frames that were seen here: they had been committed and never synced,
    /// and a power cut took them. Open the journal again.
    pub fn refresh(&mut self) -> Result<bool> {
        let storage = &self.view.storage;
        let mut segments = self.view.segments.clone();
        let newest = segments.last().expect("a journal has a segment").header.number;
        segments.extend(list_segments(storage.as_ref(), &self.view.dir, newest + 1)?);
        let known = self.view.segments.len();
        let mark = self.place.mark;
        if segments[known..].iter().any(|segment| !segment.header.start.covers(mark)) {
            return self.reopen();
        }
        for segment in &mut segments[self.place.segment..] {
            let file = storage.open(&segment.path, false).map_err(JournalError::io("open", &segment.path))?;
            segment.len = file.len().map_err(JournalError::io("read", &segment.path))?;
        }
        let found = walk(storage, &segments, self.place.clone(), None, &[])?;
        let grown = found.place.mark != self.place.mark;
        if grown {
            if self.id.is_none() {
                let view = Arc::new(view_of(storage, &self.view.dir, segments.clone(), &found.place));
                self.id = first_frame_id(&view)?;
            }
            if found.place.mark.seals != self.place.mark.seals {
                self.seals.extend(found.seals);
            }
            let view = view_of(storage, &self.view.dir, segments, &found.place);
            self.view = Arc::new(view);
            self.place = found.place;
            if let Some(sidecar) = self.sidecar.take() {
                self.stale_sidecar = Some(sidecar);
            }
        }
        Ok(grown)
    }

    /// A recovery has moved frames to a new segment: look at everything again.
    fn reopen(&mut self) -> Result<bool> {
        let fresh = Journal::open_on(self.view.storage.clone(), &self.view.dir)?;
        let seen = self.head();
        if fresh.head().frames < seen.frames || fresh.content_at(seen.frames)? != seen.content {
            let reason = "a recovery has cut frames that were read here and never acknowledged";
            return Err(JournalError::damaged(self.dir(), 0, fresh.head().frames, reason));
        }
        *self = fresh;
        Ok(true)
    }

    /// Reads from frame `from` on and never ends: see [`Follow`].
    pub fn follow(self, from: u64) -> Follow {
        let cursor = self.cursor(from);
        Follow { journal: self, cursor }
    }

    fn out_of_range(&self, seq: u64) -> JournalError {
        JournalError::OutOfRange { dir: self.view.dir.clone(), seq, frames: self.view.frames }
    }
}

/// Follows a journal that another process writes; it never sees beyond the last commit record.
#[derive(Debug)]
pub struct Follow {
    journal: Journal,
    cursor: Cursor,
}

impl Follow {
    /// The next frame, or `None` where the writer has closed no more batches so far: ask again later.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Result<Option<crate::format::Frame<'_>>> {
        if self.cursor.advance()? {
            return Ok(Some(self.cursor.frame()));
        }
        if !self.journal.refresh()? {
            return Ok(None);
        }
        self.cursor.renew(&self.journal.view);
        self.cursor.next()
    }

    /// The journal as of the last refresh.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

pub(crate) fn view_of(storage: &Arc<dyn Storage>, dir: &Path, segments: Vec<Segment>, end: &Place) -> View {
    View {
        storage: storage.clone(),
        dir: dir.to_owned(),
        segments,
        frames: end.mark.frames,
        end_segment: end.segment,
        end_offset: end.offset,
    }
}

/// The hash of the first `frames` frames, from the link before them.
pub(crate) fn content_of(view: &Arc<View>, frames: u64) -> Result<Hash> {
    let header = &view.segments[view.segment_of(frames)].header;
    if header.start.frames == frames {
        return Ok(header.content);
    }
    Ok(chain_of(view, frames)?.content())
}

/// The chain over the first `frames` frames.
pub(crate) fn chain_of(view: &Arc<View>, frames: u64) -> Result<Chain> {
    assert!(frames <= view.frames, "the caller checked the range");
    let header = &view.segments[view.segment_of(frames)].header;
    // The frames behind the header's link may begin in an earlier segment.
    let link = header.start.frames - header.start.frames % FRAMES_PER_LINK;
    let mut chain = Chain::resume(link, header.link);
    each_frame_of(view, link..frames, &mut |bytes| chain.push(bytes))?;
    Ok(chain)
}

pub(crate) fn first_frame_id(view: &Arc<View>) -> Result<Option<[u8; 16]>> {
    let mut id = None;
    each_frame_of(view, 0..view.frames.min(1), &mut |bytes| {
        id = Some(journal_id(bytes));
    })?;
    Ok(id)
}

/// The journal's id, as a survey found it.
pub(crate) fn id_of(storage: &Arc<dyn Storage>, found: &Survey) -> Result<Option<[u8; 16]>> {
    let view = view_of(storage, Path::new(""), found.segments.clone(), &found.end);
    first_frame_id(&Arc::new(view))
}
