//! Reading frames in order, in place.
//!
//! - Every frame's checksum is computed over the very bytes that are handed out; a frame that does
//!   not verify, or bears another seq than its place, is an error with its offset (P3).
//! - A cursor never goes beyond the batch end that was last when its journal was opened or refreshed.
//! - It holds one window of one segment, whatever the journal's length.
//! - Must never: skip a frame.

use crate::error::{JournalError, Result};
use crate::format::{FRAME_HEADER_BYTES, Frame, FrameHeader, Record};
use crate::records::{Access, Records, Stop};
use crate::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::storage::Storage;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// What is known of a journal at one moment; cursors share it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub storage: Arc<dyn Storage>,
    pub dir: PathBuf,
    pub segments: Vec<Segment>,
    /// Frames up to the last batch end.
    pub frames: u64,
    /// Where that batch ends, in the last segment that holds one.
    pub end_segment: usize,
    pub end_offset: u64,
}

impl View {
    /// The segment that holds frame `seq`.
    pub(crate) fn segment_of(&self, seq: u64) -> usize {
        let after = self.segments.partition_point(|segment| segment.header.start.frames <= seq);
        assert!(after > 0, "the first segment starts at 0");
        after - 1
    }

    /// The first seq behind segment `index`.
    fn end_of(&self, index: usize) -> u64 {
        self.segments.get(index + 1).map_or(self.frames, |next| next.header.start.frames.min(self.frames))
    }

    fn limit_of(&self, index: usize) -> u64 {
        if index == self.end_segment { self.end_offset } else { self.segments[index].len }
    }
}

/// Walks through the frames of a journal; [`Cursor::next`] lends one at a time.
#[derive(Debug)]
pub struct Cursor {
    view: Arc<View>,
    records: Option<Records>,
    segment: usize,
    next_seq: u64,
    /// Where the loop must look up: the end of the segment, or of the cursor.
    turn_at: u64,
    until: u64,
    current_at: usize,
    /// A frame's seq, the number of its segment and its offset there, as the sidecar has them.
    hint: Option<(u64, u64, u64)>,
}

impl Cursor {
    pub(crate) fn new(view: Arc<View>, from: u64) -> Cursor {
        let until = view.frames;
        Cursor { view, records: None, segment: 0, next_seq: from, turn_at: from, until, current_at: 0, hint: None }
    }

    /// Frame `seq` may lie at `offset` of segment `number`: start there when that helps.
    pub(crate) fn with_hint(mut self, seq: u64, number: u64, offset: u64) -> Cursor {
        self.hint = Some((seq, number, offset));
        self
    }

    /// Ends before frame `seq`, or at the journal's end where that comes first.
    #[must_use]
    pub fn until(mut self, seq: u64) -> Cursor {
        self.until = seq.min(self.view.frames);
        self.turn_at = self.turn_at.min(self.until.max(self.next_seq));
        self
    }

    /// The seq of the frame that `next` would give.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The next frame, or `None` at the end. It is lent: copy what must outlive the next call.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>> {
        Ok(if self.advance()? { Some(self.frame()) } else { None })
    }

    /// Steps to the next frame without lending it; false at the end.
    #[inline(always)]
    pub fn advance(&mut self) -> Result<bool> {
        if self.next_seq < self.turn_at
            && let Some(records) = &mut self.records
            && let Some((at, _)) = records.step::<true>(self.next_seq)
        {
            self.next_seq += 1;
            self.current_at = at;
            return Ok(true);
        }
        self.advance_slowly()
    }

    /// Steps to the next frame and shows it; nothing at the end. What [`Cursor::next`] does, for a loop that can look at
    /// the frame where it is found.
    #[inline(always)]
    pub fn visit<R>(&mut self, see: impl FnOnce(Frame<'_>) -> R) -> Result<Option<R>> {
        if self.next_seq < self.turn_at
            && let Some(records) = &mut self.records
            && let Some((at, bytes)) = records.step::<true>(self.next_seq)
        {
            self.next_seq += 1;
            self.current_at = at;
            return Ok(Some(see(frame_of(bytes))));
        }
        Ok(if self.advance_slowly()? { Some(see(self.frame())) } else { None })
    }

    /// The frame that the last `advance` stepped to.
    ///
    /// # Panics
    /// Where `advance` was never called, or did not return true.
    #[inline(always)]
    pub fn frame(&self) -> Frame<'_> {
        let records = self.records.as_ref().expect("advance returned true");
        let bytes = records.from(self.current_at);
        let record = Record::decode(bytes.first_chunk().expect("advance checked it"));
        frame_of(&bytes[..record.len as usize])
    }

    /// The end of a window, of a batch, of a segment, of the cursor; and whatever is not sound.
    #[cold]
    fn advance_slowly(&mut self) -> Result<bool> {
        loop {
            if self.next_seq >= self.turn_at && !self.turn()? {
                return Ok(false);
            }
            let records = self.records.as_mut().expect("turn opened a segment");
            let record = match records.read() {
                Ok(record) => record,
                Err(stop) => return Err(self.stopped(stop)),
            };
            if record.is_control() {
                records.consume(&record);
                continue;
            }
            if record.seq != self.next_seq {
                return Err(self.misplaced(&record));
            }
            self.current_at = records.consume(&record);
            self.next_seq += 1;
            return Ok(true);
        }
    }

    /// Where the frame of the last `advance` lies: number of the segment, offset in it.
    pub(crate) fn whereabouts(&self) -> (u64, u64) {
        let records = self.records.as_ref().expect("advance returned true");
        let number = self.view.segments[self.segment].header.number;
        (number, records.offset() - self.raw().len() as u64)
    }

    /// The bytes of the frame of the last `advance`: header, payload, padding.
    pub(crate) fn raw(&self) -> &[u8] {
        let records = self.records.as_ref().expect("advance returned true");
        let bytes = records.from(self.current_at);
        let record = Record::decode(bytes.first_chunk().expect("advance checked it"));
        &bytes[..record.padded()]
    }

    /// Takes over what a refreshed journal knows: more frames, more segments, or the same frames in
    /// other segments where a recovery has moved them.
    pub(crate) fn renew(&mut self, view: &Arc<View>) {
        assert!(view.frames >= self.view.frames, "a journal only grows");
        let number = |view: &View| Some(view.segments.get(self.segment)?.header.number);
        let stays = number(view) == number(&self.view) && view.end_of(self.segment) >= self.next_seq;
        match &mut self.records {
            Some(records) if stays => records.extend(view.limit_of(self.segment)),
            _ => self.records = None,
        }
        self.view = view.clone();
        self.until = view.frames;
        // Look up at the next step.
        self.turn_at = self.next_seq;
    }

    /// Like `advance`, by the headers alone: checksums are not looked at.
    #[inline]
    fn advance_unchecked(&mut self) -> Result<bool> {
        if self.next_seq < self.turn_at
            && let Some(records) = &mut self.records
            && let Some((at, _)) = records.step::<false>(self.next_seq)
        {
            self.next_seq += 1;
            self.current_at = at;
            return Ok(true);
        }
        // A frame at the end of a window, and all that is not a frame: checked, once in thousands.
        self.advance_slowly()
    }

    /// At the end of the cursor: false. At the end of a segment, or before the first: opens the next.
    #[cold]
    fn turn(&mut self) -> Result<bool> {
        if self.next_seq > self.view.frames {
            return Err(JournalError::OutOfRange {
                dir: self.view.dir.clone(),
                seq: self.next_seq,
                frames: self.view.frames,
            });
        }
        if self.next_seq >= self.until {
            return Ok(false);
        }
        let index = self.view.segment_of(self.next_seq);
        let segment = &self.view.segments[index];
        if self.records.is_none() || index != self.segment {
            self.records = None;
            let limit = self.view.limit_of(index);
            let storage = self.view.storage.as_ref();
            let mut records = Records::open(storage, segment, limit, Access::Map)?;
            let mut seq = segment.header.start.frames;
            if let Some((hint_seq, number, offset)) = self.hint.take()
                && number == segment.header.number
                && (seq..=self.next_seq).contains(&hint_seq)
                && lies_at(&mut records, hint_seq, offset, limit)
            {
                seq = hint_seq;
            }
            skip(&mut records, seq, self.next_seq)?;
            self.records = Some(records);
            self.segment = index;
        }
        self.turn_at = self.view.end_of(index).min(self.until);
        assert!(self.next_seq < self.turn_at, "the segment holds the frame");
        Ok(true)
    }

    #[cold]
    fn stopped(&self, stop: Stop) -> JournalError {
        let records = self.records.as_ref().expect("it was read from");
        stop_error(records, self.next_seq, stop)
    }

    #[cold]
    fn misplaced(&self, record: &Record) -> JournalError {
        let records = self.records.as_ref().expect("it was read from");
        let offset = records.offset();
        let reason = format!("a frame with seq {} lies here", record.seq);
        JournalError::damaged(records.path(), offset, self.next_seq, reason)
    }
}

/// The frame of a header and its payload, found sound.
#[inline(always)]
fn frame_of(bytes: &[u8]) -> Frame<'_> {
    let (header, payload) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>().expect("a frame has a header");
    let record = Record::decode(header);
    Frame {
        seq: record.seq,
        time: record.time,
        kind: record.kind,
        schema: record.schema,
        flags: record.flags,
        stream: record.stream,
        payload,
    }
}

fn stop_error(records: &Records, seq: u64, stop: Stop) -> JournalError {
    match stop {
        Stop::Failed(error) => *error,
        Stop::Flaw(flaw) => JournalError::damaged(records.path(), records.offset(), seq, flaw.reason()),
    }
}

/// Whether frame `seq` lies at `offset`; if so, `records` stands there, else where it was.
fn lies_at(records: &mut Records, seq: u64, offset: u64, limit: u64) -> bool {
    let back = records.offset();
    if offset < back || offset >= limit || !offset.is_multiple_of(8) {
        return false;
    }
    records.seek(offset);
    let there = records.read().is_ok_and(|record| !record.is_control() && record.seq == seq);
    if !there {
        records.seek(back);
    }
    there
}

/// Steps from frame `seq` to frame `target` by the headers alone. A damaged length on the way leads
/// to bytes that are no frame of the right seq: an error, never a wrong frame.
fn skip(records: &mut Records, mut seq: u64, target: u64) -> Result<()> {
    while seq < target {
        let record = records.read_unchecked().map_err(|stop| stop_error(records, seq, stop))?;
        if !record.is_control() {
            if record.seq != seq {
                let reason = format!("a frame with seq {} lies here", record.seq);
                return Err(JournalError::damaged(records.path(), records.offset(), seq, reason));
            }
            seq += 1;
        }
        records.consume(&record);
    }
    Ok(())
}

/// Gives the bytes (header, payload, padding) of frames that lie in the segments before `index`.
pub(crate) fn each_frame(
    storage: &Arc<dyn Storage>,
    segments: &[Segment],
    index: usize,
    range: Range<u64>,
    mut take: impl FnMut(&[u8]),
) -> Result<()> {
    let frames = segments[index].header.start.frames;
    assert!(range.end <= frames, "the frames lie in earlier segments");
    assert!(index > 0 || range.is_empty(), "no segment lies before the first");
    let view = View {
        storage: storage.clone(),
        dir: PathBuf::new(),
        segments: segments[..index].to_vec(),
        frames,
        end_segment: index - 1,
        end_offset: segments[index - 1].len.max(SEGMENT_HEADER_BYTES as u64),
    };
    each_frame_of(&Arc::new(view), range, &mut take)
}

/// Gives the bytes (header, payload, padding) of the frames in `range`.
pub(crate) fn each_frame_of(view: &Arc<View>, range: Range<u64>, take: &mut impl FnMut(&[u8])) -> Result<()> {
    let mut cursor = Cursor::new(view.clone(), range.start).until(range.end);
    while cursor.advance()? {
        take(cursor.raw());
    }
    Ok(())
}

/// The frames' headers, in order, without their checksums: for building indexes. A frame named
/// here must still be read through a [`Cursor`] before it is believed.
#[derive(Debug)]
pub struct Headers {
    cursor: Cursor,
}

impl Headers {
    pub(crate) fn new(cursor: Cursor) -> Headers {
        Headers { cursor }
    }

    /// The next header, or `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "it can fail, as the cursor can")]
    pub fn next(&mut self) -> Result<Option<FrameHeader>> {
        if !self.cursor.advance_unchecked()? {
            return Ok(None);
        }
        let frame = self.cursor.frame();
        Ok(Some(FrameHeader {
            seq: frame.seq,
            time: frame.time,
            kind: frame.kind,
            schema: frame.schema,
            flags: frame.flags,
            stream: frame.stream,
            payload_len: frame.payload.len() as u32,
        }))
    }
}
