//! The one writer of a journal.
//!
//! - Frames collect in memory; `commit` closes them with a commit record and gives the bytes to the
//!   system; `sync` makes them durable. Only what a `sync` returned for is acknowledged.
//! - A batch lies in one segment unless it is larger than one; it is kept by recovery whole or not at all.
//! - The first failed write or sync stops the writer for good (P6). After a failed sync the system
//!   may have forgotten which pages are not on disk, so trying again would lie.
//! - A full disk is the one failure with a way on: `append_reserved`, into blocks owned since the start.
//! - Must never: write above the last batch without zeros behind it, or acknowledge before the sync.
//!
//! A commit, and what each crash leaves:
//! 1. hash and checksum in memory; *crash*: nothing happened.
//! 2. one write of frames and commit record; *crash of the process*: the system has the bytes, the
//!    batch is there at the next start or it is torn and cut: nobody was told of it.
//! 3. `sync`; *power cut before it returns*: as 2, any mix of its sectors. After: it is there.
//! 4. the high-water slot; *power cut*: the slot is old or torn, the other one holds; D is lower
//!    than it could be, and recovery keeps everything that verifies above D anyway.

use crate::batch::Batch;
use crate::chain::{Chain, FRAMES_PER_LINK, Hash};
use crate::durable::Durable;
use crate::error::{JournalError, Result};
use crate::format::{
    COMMIT_RECORD_BYTES, Commit, Draft, FRAME_HEADER_BYTES, KIND_RESERVED, KIND_SEAL, Mark, Record, SEAL_RECORD_BYTES,
    flags, pad, padded, seed_of, stamp, u32_at,
};
use crate::high_water::HighWater;
use crate::options::{Head, Options, payload_limit};
use crate::recovery::{Recovery, parent_of, sync_dir};
use crate::seal::{Seal, SealKey};
use crate::segment::{RESERVE_NAME, Role, SEGMENT_HEADER_BYTES, SegmentHeader, TEMPORARY_SUFFIX, segment_name};
use crate::storage::{Files, Storage, StorageFile};
use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A batch that grows beyond this is closed by itself: it still fits the processor's cache.
const BATCH_BYTES: usize = 256 * 1024;

/// Room behind it for the frame that goes over it, the commit record and padding.
const BATCH_MARGIN: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) enum State {
    Open,
    /// The disk is full; the reserve may still take exits.
    Full,
    /// Writing into the reserve.
    Reserve,
    Poisoned(String),
}

/// The segment that grows.
#[derive(Debug)]
pub(crate) struct Active {
    pub file: Box<dyn StorageFile>,
    pub path: PathBuf,
    pub number: u64,
    pub seed: u32,
    /// Where the next record goes.
    pub offset: u64,
    /// Bytes the file owns now; less than `capacity` after a clean close.
    pub owned: u64,
    pub capacity: u64,
}

/// The one writer of a journal.
pub struct Writer {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) active: Active,
    /// Written segments that no sync has covered yet.
    pub(crate) unsynced: Vec<(Box<dyn StorageFile>, PathBuf)>,
    pub(crate) high_water: HighWater,
    pub(crate) state: State,
    pub(crate) recovery: Recovery,
    // What the closed batches hold.
    pub(crate) mark: Mark,
    pub(crate) last_time: Option<i64>,
    pub(crate) chain: Chain,
    pub(crate) content: Hash,
    pub(crate) synced: Mark,
    /// Nothing of it is durable yet, not even its names: see [`Options::durable_from_start`].
    pub(crate) undurable: bool,
    pub(crate) id: Option<[u8; 16]>,
    pub(crate) last_seal: Option<Seal>,
    // The batch that is open.
    pub(crate) batch: Batch,
    /// The batch is closed in order to be synced: it is to share no sector with what comes later.
    pub(crate) padding: bool,
    pub(crate) _lock: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Writer")
            .field("dir", &self.dir)
            .field("head", &self.head())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Makes a new journal at `dir`, which must not exist or be empty. It appears there complete.
    pub fn create(dir: &Path, options: Options) -> Result<Writer> {
        Self::create_on(Arc::new(Files::new()), dir, options)
    }

    /// Opens an existing journal for writing: takes its lock, and recovers where a crash left it
    /// (see [`Writer::recovery`]).
    pub fn open(dir: &Path, options: Options) -> Result<Writer> {
        Self::open_on(Arc::new(Files::new()), dir, options)
    }

    /// Opens the journal at `dir`, or makes one where there is none.
    pub fn open_or_create(dir: &Path, options: Options) -> Result<Writer> {
        Self::open_or_create_on(Arc::new(Files::new()), dir, options)
    }

    /// [`Writer::open_or_create`] on any storage.
    pub fn open_or_create_on(storage: Arc<dyn Storage>, dir: &Path, options: Options) -> Result<Writer> {
        match Self::open_on(storage.clone(), dir, options.clone()) {
            Err(JournalError::Missing { .. } | JournalError::Empty { .. }) => Self::create_on(storage, dir, options),
            other => other,
        }
    }

    /// [`Writer::create`] on any storage.
    pub fn create_on(storage: Arc<dyn Storage>, dir: &Path, options: Options) -> Result<Writer> {
        crate::recovery::create(storage, dir, options).map_err(|error| error.in_words(dir))
    }

    /// [`Writer::open`] on any storage.
    pub fn open_on(storage: Arc<dyn Storage>, dir: &Path, options: Options) -> Result<Writer> {
        crate::recovery::open(storage, dir, options).map_err(|error| error.in_words(dir))
    }

    /// Adds a frame to the open batch and returns its seq. Nothing is written before the batch
    /// closes (by `commit`, `sync`, or by itself when it grows beyond 256 KiB).
    #[inline]
    pub fn append(&mut self, draft: Draft, payload: &[u8]) -> Result<u64> {
        if !matches!(self.state, State::Open) {
            return Err(self.stopped());
        }
        self.push(draft, payload.len(), |bytes| bytes.extend_from_slice(payload))
    }

    /// Like [`Writer::append`], for a payload of known length that is written in place: `fill` gets
    /// `len` zero bytes.
    #[inline]
    pub fn append_with(&mut self, draft: Draft, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<u64> {
        if !matches!(self.state, State::Open) {
            return Err(self.stopped());
        }
        self.push(draft, len, |bytes| {
            let start = bytes.len();
            bytes.resize(start + len, 0);
            fill(&mut bytes[start..]);
        })
    }

    /// Like [`Writer::append`], and goes on when the disk is full: then it uses the reserve segment.
    /// For exits, stops and cancels only (P6). The batch that found the disk full goes first, so
    /// the seqs already given out keep their frames. `commit`, `sync` and `commit_durable` work
    /// again after it; `append` does not.
    pub fn append_reserved(&mut self, draft: Draft, payload: &[u8]) -> Result<u64> {
        match self.state {
            State::Open | State::Reserve => {}
            State::Full => self.go_over_to_reserve()?,
            State::Poisoned(_) => return Err(self.stopped()),
        }
        self.push(draft, payload.len(), |bytes| bytes.extend_from_slice(payload))
    }

    /// Goes over to the reserve where the disk is full, so that the batch that met it can be closed. What is appended from
    /// here on goes through [`Writer::append_reserved`]. Nothing happens where the disk is not full.
    pub fn use_reserve(&mut self) -> Result<()> {
        if matches!(self.state, State::Full) { self.go_over_to_reserve() } else { Ok(()) }
    }

    /// True where the disk was full and the reserve is written.
    pub fn is_in_reserve(&self) -> bool {
        matches!(self.state, State::Reserve)
    }

    /// Closes the open batch with a commit record and gives it to the system. Not durable yet.
    pub fn commit(&mut self) -> Result<()> {
        if !matches!(self.state, State::Open | State::Reserve) {
            return Err(self.stopped());
        }
        self.close_batch()
    }

    /// Closes the open batch and makes everything written so far durable. When it returns, all
    /// frames are acknowledged: recovery keeps them, or refuses the journal.
    pub fn sync(&mut self) -> Result<()> {
        self.padding = true;
        let committed = self.commit().and_then(|()| self.pad());
        self.padding = false;
        committed?;
        if self.undurable {
            let durable = self.become_durable();
            return self.poison_on_error(durable);
        }
        if self.synced == self.mark && self.unsynced.is_empty() {
            return Ok(());
        }
        self.sync_segments()?;
        let raised = self.high_water.raise(self.storage.as_ref(), self.synced, self.content);
        self.poison_on_error(raised)
    }

    /// `sync`, and then the proof of it for each of `items`: what they stand for is on disk (P1).
    pub fn commit_durable<T>(&mut self, items: Vec<T>) -> Result<Vec<Durable<T>>> {
        self.sync()?;
        assert!(self.batch.frames == 0 && self.synced == self.mark, "the sync covered all");
        Ok(items.into_iter().map(Durable::after_sync).collect())
    }

    /// Signs everything so far. The seal lies in the journal and in a file `NUMBER.seal` beside the
    /// segments, to be copied elsewhere. Durable when it returns.
    pub fn seal(&mut self, key: &SealKey) -> Result<Seal> {
        self.sync()?;
        let seal = key.sign(&crate::seal::Claim {
            journal: self.id.unwrap_or_default(),
            number: self.mark.seals,
            frames: self.mark.frames,
            last_time: self.last_time.unwrap_or(0),
            content: self.content,
            previous: self.last_seal.map(|seal| seal.hash()).unwrap_or_default(),
        });
        let written = self.write_seal(&seal);
        self.fail_on_error(written)?;
        self.sync()?;
        let kept = self.keep_seal(&seal);
        self.poison_on_error(kept)?;
        self.last_seal = Some(seal);
        Ok(seal)
    }

    /// Syncs, trims the last segment and gives up the lock.
    pub fn close(mut self) -> Result<Head> {
        if self.undurable {
            // Nothing was acknowledged yet, so it may be cut to size before it is synced.
            self.commit()?;
            let closed = self.cut().and_then(|()| self.become_durable());
            self.poison_on_error(closed)?;
            return Ok(self.head());
        }
        self.sync()?;
        let trimmed = self.trim();
        self.poison_on_error(trimmed)?;
        Ok(self.head())
    }

    /// Like [`Writer::close`], for a journal that nothing is added to any more: its reserve goes as well.
    pub fn close_for_good(mut self) -> Result<Head> {
        self.sync()?;
        let reserve = self.dir.join(RESERVE_NAME);
        let removed = match self.storage.remove(&reserve) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(JournalError::io("remove", &reserve)(error)),
            Ok(()) => sync_dir(self.storage.as_ref(), &self.dir),
        };
        self.poison_on_error(removed)?;
        self.close()
    }

    /// What the closed batches hold.
    pub fn head(&self) -> Head {
        Head { frames: self.mark.frames, last_time: self.last_time, content: self.content }
    }

    /// The seq that the next frame gets.
    pub fn next_seq(&self) -> u64 {
        self.mark.frames + self.batch.frames
    }

    /// How many frames a sync has covered.
    pub fn synced_frames(&self) -> u64 {
        self.synced.frames
    }

    /// The journal's id, once its first batch is closed: see [`crate::Journal::id`].
    pub fn id(&self) -> Option<[u8; 16]> {
        self.id
    }

    /// What opening found and did.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Where the journal lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The longest payload this journal takes, in bytes.
    pub fn payload_limit(&self) -> usize {
        payload_limit(self.options.segment_bytes)
    }

    /// Adds a frame; `add` appends its payload of `len` bytes.
    #[inline]
    fn push(&mut self, draft: Draft, len: usize, add: impl FnOnce(&mut Vec<u8>)) -> Result<u64> {
        let last_time = self.batch.last_time.or(self.last_time);
        let steps_back = last_time.is_some_and(|last| draft.time < last);
        if draft.kind >= KIND_RESERVED
            || len > payload_limit(self.options.segment_bytes)
            || (steps_back && draft.flags & flags::RUN_START == 0)
        {
            return Err(self.rejected(&draft, len));
        }
        let seq = self.next_seq();
        let record = Record {
            len: (FRAME_HEADER_BYTES + len) as u32,
            crc: 0,
            seq,
            time: draft.time,
            kind: draft.kind,
            schema: draft.schema,
            flags: draft.flags,
            stream: draft.stream,
        };
        let batch = &mut self.batch;
        let start = batch.bytes.len();
        if start + FRAME_HEADER_BYTES + len > batch.bytes.capacity() {
            // Once, to the size it closes at: growing by doubling would copy a first batch several times.
            batch.bytes.reserve_exact(BATCH_BYTES.max(len) + BATCH_MARGIN);
        }
        batch.bytes.extend_from_slice(&record.encode());
        add(&mut batch.bytes);
        assert_eq!(
            batch.bytes.len(),
            start + FRAME_HEADER_BYTES + len,
            "the payload has the length that was announced"
        );
        batch.bytes.resize(start + record.padded(), 0);
        batch.frames += 1;
        batch.last_time = Some(draft.time);
        if (seq + 1).is_multiple_of(FRAMES_PER_LINK) {
            batch.links.push(batch.bytes.len());
        }
        if batch.bytes.len() >= BATCH_BYTES {
            self.close_batch()?;
        }
        Ok(seq)
    }

    #[cold]
    fn rejected(&self, draft: &Draft, len: usize) -> JournalError {
        let limit = self.payload_limit();
        if draft.kind >= KIND_RESERVED {
            JournalError::ReservedKind { kind: draft.kind }
        } else if len > limit {
            JournalError::PayloadTooLong { len, limit }
        } else {
            JournalError::TimeStepsBack {
                last_time: self.batch.last_time.or(self.last_time).unwrap_or(0),
                time: draft.time,
            }
        }
    }

    #[cold]
    fn stopped(&self) -> JournalError {
        match &self.state {
            State::Poisoned(reason) => JournalError::Poisoned { dir: self.dir.clone(), reason: reason.clone() },
            _ => JournalError::DiskFull { dir: self.dir.clone() },
        }
    }

    /// Writes the open batch, in the segment that has room for it.
    fn close_batch(&mut self) -> Result<()> {
        while self.batch.frames > 0 {
            let written = self.write_some();
            self.fail_on_error(written)?;
        }
        Ok(())
    }

    /// Writes the batch, or makes room for it, or (where a segment cannot hold it) its beginning.
    fn write_some(&mut self) -> Result<()> {
        let room = self.active.capacity - self.active.offset;
        let whole = (self.batch.bytes.len() + COMMIT_RECORD_BYTES) as u64;
        if whole <= room {
            return self.write_frames(self.batch.bytes.len(), self.batch.frames);
        }
        if self.active.offset > SEGMENT_HEADER_BYTES as u64 {
            return self.rotate();
        }
        let (mut bytes, mut frames) = (0, 0);
        loop {
            let next = padded(u32_at(&self.batch.bytes, bytes) as usize);
            if (bytes + next + COMMIT_RECORD_BYTES) as u64 > room {
                break;
            }
            bytes += next;
            frames += 1;
        }
        assert!(frames > 0, "the payload limit lets several frames into a segment");
        self.write_frames(bytes, frames)
    }

    /// Writes the first `frames` frames of the batch (`bytes` bytes) and a commit record.
    fn write_frames(&mut self, bytes: usize, frames: u64) -> Result<()> {
        let mut chain = self.chain.clone();
        let mut start = 0;
        let before = self.mark.frames;
        for link in self.batch.links.iter().copied().filter(|at| *at <= bytes) {
            let room = chain.room();
            chain.absorb(&self.batch.bytes[start..link], room);
            start = link;
        }
        let rest = before + frames - chain.frames();
        if rest > 0 {
            chain.absorb(&self.batch.bytes[start..bytes], rest);
        }
        let content = chain.content();
        let id = self.id.unwrap_or_else(|| self.batch.id());
        let mut last_time = 0;
        let mut at = 0;
        while at < bytes {
            let len = padded(u32_at(&self.batch.bytes, at) as usize);
            let frame = &mut self.batch.bytes[at..at + len];
            last_time = Record::decode(frame.first_chunk().expect("a header")).time;
            stamp(frame, self.active.seed);
            at += len;
        }
        let mark = Mark { frames: before + frames, seals: self.mark.seals };
        // The rest of a batch that is larger than a segment waits behind the commit record.
        let rest_of_batch = self.batch.bytes.split_off(bytes);
        let written = self.write_batch(mark, content, last_time);
        self.batch.bytes.truncate(bytes);
        if written.is_err() {
            self.batch.blank_checksums();
            self.batch.bytes.extend_from_slice(&rest_of_batch);
            return written;
        }
        self.id = Some(id);
        self.mark = mark;
        self.last_time = Some(last_time);
        self.chain = chain;
        self.content = content;
        self.batch.drop_front(bytes, frames, rest_of_batch);
        Ok(())
    }

    /// Writes `batch.bytes` and a commit record behind it, in one call.
    fn write_batch(&mut self, mark: Mark, content: Hash, last_time: i64) -> Result<()> {
        let bytes = self.batch.bytes.len();
        let commit = Commit { mark, synced: self.synced, bytes: bytes as u64, content };
        let mut record = commit.encode(last_time);
        stamp(&mut record, self.active.seed);
        self.batch.bytes.extend_from_slice(&record);
        let active = &mut self.active;
        let mut end = active.offset + (bytes + COMMIT_RECORD_BYTES) as u64;
        if self.padding {
            let mut pad = pad(end, mark.frames, active.capacity);
            if !pad.is_empty() {
                stamp(&mut pad, active.seed);
                self.batch.bytes.extend_from_slice(&pad);
                end += pad.len() as u64;
            }
        }
        assert!(end <= active.capacity, "the batch fits its segment");
        if end > active.owned {
            // The segment was trimmed by a clean close.
            active.file.set_len(active.capacity).map_err(JournalError::io("grow", &active.path))?;
            active.owned = active.capacity;
        }
        active.file.write_at(&self.batch.bytes, active.offset).map_err(JournalError::io("write", &active.path))?;
        active.offset = end;
        Ok(())
    }

    /// Pads what earlier commits have written without one.
    fn pad(&mut self) -> Result<()> {
        let active = &mut self.active;
        let mut pad = pad(active.offset, self.mark.frames, active.capacity);
        if pad.is_empty() || self.synced == self.mark {
            return Ok(());
        }
        stamp(&mut pad, active.seed);
        assert!(active.owned == active.capacity, "something was written since it was opened");
        let written = active.file.write_at(&pad, active.offset).map_err(JournalError::io("write", &active.path));
        if written.is_ok() {
            active.offset += pad.len() as u64;
        }
        self.fail_on_error(written)
    }

    /// Goes over to a new segment.
    fn rotate(&mut self) -> Result<()> {
        if matches!(self.state, State::Reserve) {
            return Err(JournalError::NoReserve { dir: self.dir.clone(), reason: "it is used up" });
        }
        if self.options.sync_segments {
            self.sync_segments()?;
            let storage = self.storage.as_ref();
            let raised = self.high_water.raise(storage, self.synced, self.content);
            self.poison_on_error(raised)?;
        }
        let header =
            self.next_header(self.storage.file_id().map_err(JournalError::io("number a segment of", &self.dir))?);
        let file = publish(self.storage.as_ref(), &self.dir, &header, !self.undurable)?;
        self.go_over_to(file, &header);
        Ok(())
    }

    fn next_header(&self, file_id: u64) -> SegmentHeader {
        SegmentHeader {
            role: Role::Data,
            file_id,
            number: self.active.number + 1,
            capacity: self.options.segment_bytes,
            start: self.mark,
            last_time: self.last_time,
            link: self.chain.link(),
            content: self.content,
            synced: self.synced,
        }
    }

    fn go_over_to(&mut self, file: Box<dyn StorageFile>, header: &SegmentHeader) {
        let active = Active {
            file,
            path: self.dir.join(segment_name(header.number)),
            number: header.number,
            seed: seed_of(header.file_id),
            offset: SEGMENT_HEADER_BYTES as u64,
            owned: header.capacity,
            capacity: header.capacity,
        };
        let full = std::mem::replace(&mut self.active, active);
        if self.synced != self.mark {
            self.unsynced.push((full.file, full.path));
        }
    }

    /// The disk is full: the reserve becomes the next segment. Its blocks are owned already; only
    /// its first page is written and its name changed.
    fn go_over_to_reserve(&mut self) -> Result<()> {
        let none = |reason| JournalError::NoReserve { dir: self.dir.clone(), reason };
        if !self.options.reserve {
            return Err(none("this journal was opened without one"));
        }
        let path = self.dir.join(RESERVE_NAME);
        let Ok(file) = self.storage.open(&path, true) else {
            return Err(none("the file is not there"));
        };
        let reserve = SegmentHeader::read(file.as_ref(), &path)?;
        let header = SegmentHeader { capacity: reserve.capacity, ..self.next_header(reserve.file_id) };
        let published = (|| {
            let name = self.dir.join(segment_name(header.number));
            file.write_at(&header.encode(), 0).map_err(JournalError::io("write", &path))?;
            file.sync().map_err(JournalError::io("sync", &path))?;
            self.storage.rename(&path, &name).map_err(JournalError::io("rename", &path))?;
            self.storage.sync_dir(&self.dir).map_err(JournalError::io("sync", &self.dir))
        })();
        self.poison_on_error(published)?;
        self.go_over_to(file, &header);
        self.state = State::Reserve;
        Ok(())
    }

    /// Syncs the segments, oldest first: what a later one holds is of no use without the earlier.
    fn sync_segments(&mut self) -> Result<()> {
        let synced = (|| {
            for (file, path) in &self.unsynced {
                file.sync().map_err(JournalError::io("sync", path))?;
            }
            let active = &self.active;
            active.file.sync().map_err(JournalError::io("sync", &active.path))
        })();
        self.poison_on_error(synced)?;
        self.unsynced.clear();
        self.synced = self.mark;
        Ok(())
    }

    fn write_seal(&mut self, seal: &Seal) -> Result<()> {
        assert!(self.batch.frames == 0, "sync closed the batch");
        let whole = (SEAL_RECORD_BYTES + COMMIT_RECORD_BYTES) as u64;
        if self.active.offset + whole > self.active.capacity {
            self.rotate()?;
        }
        let record = Record {
            len: SEAL_RECORD_BYTES as u32,
            crc: 0,
            seq: self.mark.frames,
            time: self.last_time.unwrap_or(0),
            kind: KIND_SEAL,
            schema: 1,
            flags: 0,
            stream: 0,
        };
        self.padding = true;
        self.batch.bytes.extend_from_slice(&record.encode());
        self.batch.bytes.extend_from_slice(&seal.encode());
        stamp(&mut self.batch.bytes, self.active.seed);
        let mark = Mark { seals: self.mark.seals + 1, ..self.mark };
        let written = self.write_batch(mark, self.content, self.last_time.unwrap_or(0));
        self.padding = false;
        self.batch.bytes.clear();
        written?;
        self.mark = mark;
        Ok(())
    }

    fn keep_seal(&mut self, seal: &Seal) -> Result<()> {
        crate::seal_files::write_seal_file(self.storage.as_ref(), &self.dir, seal)?;
        self.high_water.write_both(self.storage.as_ref(), self.mark, self.content)
    }

    fn cut(&self) -> Result<()> {
        let active = &self.active;
        active.file.set_len(active.offset).map_err(JournalError::io("trim", &active.path))
    }

    /// The first sync of a journal that was made without any: its segments, its high-water, their names, its own name.
    fn become_durable(&mut self) -> Result<()> {
        self.sync_segments()?;
        let storage = self.storage.as_ref();
        self.high_water.write_first(storage, self.synced, self.content)?;
        sync_dir(storage, &self.dir)?;
        sync_dir(storage, parent_of(&self.dir))?;
        self.undurable = false;
        Ok(())
    }

    fn trim(&mut self) -> Result<()> {
        self.cut()?;
        let active = &self.active;
        active.file.sync().map_err(JournalError::io("sync", &active.path))?;
        self.high_water.write_both(self.storage.as_ref(), self.mark, self.content)
    }

    /// A failed write: a full disk leaves the reserve, everything else stops the writer for good.
    fn fail_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        match result {
            Err(error) if error.is_full() && matches!(self.state, State::Open) => {
                self.state = State::Full;
                Err(self.stopped())
            }
            other => self.poison_on_error(other),
        }
    }

    fn poison_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && !matches!(self.state, State::Poisoned(_) | State::Full)
        {
            self.state = State::Poisoned(error.to_string());
        }
        result
    }
}

/// Makes a segment complete under a temporary name, syncs it where it is to be durable, and gives it its own.
pub(crate) fn publish(
    storage: &dyn Storage,
    dir: &Path,
    header: &SegmentHeader,
    durable: bool,
) -> Result<Box<dyn StorageFile>> {
    let path = dir.join(segment_name(header.number));
    let temporary = dir.join(format!("{}{TEMPORARY_SUFFIX}", segment_name(header.number)));
    let made = (|| {
        let file = storage.create(&temporary, header.capacity).map_err(JournalError::io("create", &temporary))?;
        file.write_at(&header.encode(), 0).map_err(JournalError::io("write", &temporary))?;
        if durable {
            file.sync().map_err(JournalError::io("sync", &temporary))?;
        }
        storage.rename(&temporary, &path).map_err(JournalError::io("rename", &temporary))?;
        Ok(file)
    })();
    if made.is_err() {
        // What is left under the temporary name is removed at the next open at the latest.
        let _ = storage.remove(&temporary);
    }
    let file = made?;
    if durable {
        storage.sync_dir(dir).map_err(JournalError::io("sync", dir))?;
    }
    Ok(file)
}
