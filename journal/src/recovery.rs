//! Making a journal, and bringing one back after a crash.
//!
//! - `create`: everything is made and synced in a sibling directory, which then gets the journal's
//!   name. *Crash before the rename*: there is no journal, the sibling is cleared by the next try.
//! - `open` refuses damage at or below the acknowledged mark D (see `survey`). Above D it keeps all
//!   whole batches up to the verified end V, and only those.
//! - What lies between D and V was read from the system's cache and may not be on the disk: after a
//!   failed sync the system forgets that. It is copied to a new segment, synced, and only then is
//!   the old place zeroed.
//! - Must never: zero or remove anything that verifies and is not already on disk elsewhere.
//!
//! The order of a recovery with frames between D and V, and a crash after each step:
//! 1. the copy is written and synced under a temporary name; *crash*: removed at the next open.
//! 2. it gets its name; *crash*: it begins at D, so it supersedes what it repeats (a segment ends
//!    where the next one begins); the next open finds the same frames and goes on with 3.
//! 3. older segments that lie behind D are removed; *crash*: as 2, whichever remain.
//! 4. the tail behind D is zeroed and synced; *crash*: as 2, the half-zeroed tail does not count.
//! 5. the high-water says V, durable. Then the first append.
//!
//! A segment that was left behind gives its preallocated rest back, so that a hundred crashes do not cost a hundred
//! segments. What it gives back holds zeros, and it keeps its length.

use crate::archive::stub_in;
use crate::batch::Batch;
use crate::chain::{Chain, Hash};
use crate::error::{JournalError, Result};
use crate::format::{Commit, KIND_COMMIT, KIND_PAD, KIND_SEAL, Mark, SEAL_RECORD_BYTES, is_zero, pad, seed_of, stamp};
use crate::high_water::{HIGH_WATER_NAME, HighWater};
use crate::options::Options;
use crate::records::{Access, Records, Stop};
use crate::seal_files::reconciled_seals;
use crate::segment::{
    LOCK_NAME, RESERVE_NAME, Role, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, TEMPORARY_SUFFIX, list_segments,
    segment_name, segment_number,
};
use crate::storage::{Storage, StorageFile};
use crate::survey::{Survey, survey};
use crate::walk::{Place, beginning, walk};
use crate::writer::{Active, State, Writer, publish};
use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes looked at or written together while a tail is zeroed or copied.
const CHUNK_BYTES: usize = 256 * 1024;

/// What opening a journal for writing found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Frames that were kept.
    pub frames_kept: u64,
    /// Frames that were kept and had not been synced: they lie in a new segment now.
    pub frames_copied: u64,
    /// Frames that verified but belonged to a batch that was never closed: cut.
    pub frames_cut: u64,
    /// Bytes of unacknowledged tail that were zeroed.
    pub bytes_cut: u64,
    /// Where and why the tail was cut, where it was.
    pub cut_at: Option<String>,
}

impl Recovery {
    /// True where the journal had been closed cleanly, or nothing was lost or moved.
    pub fn was_clean(&self) -> bool {
        self.frames_copied == 0 && self.frames_cut == 0 && self.bytes_cut == 0
    }
}

/// See [`Writer::create`].
pub(crate) fn create(storage: Arc<dyn Storage>, dir: &Path, options: Options) -> Result<Writer> {
    options.check()?;
    nothing_there(storage.as_ref(), dir)?;
    let (parent, sibling) = sibling_of(dir)?;
    storage.create_dir(&sibling).map_err(JournalError::io("create", &sibling))?;
    let lock = take_lock(storage.as_ref(), &sibling)?;
    clear(storage.as_ref(), &sibling)?;
    let mut chain = Chain::new();
    let content = chain.content();
    let header = SegmentHeader {
        role: Role::Data,
        file_id: new_file_id(storage.as_ref(), dir)?,
        number: 0,
        capacity: options.segment_bytes,
        start: Mark::default(),
        last_time: None,
        link: Hash::default(),
        content,
        synced: Mark::default(),
    };
    let durable = options.durable_from_start;
    let file = publish(storage.as_ref(), &sibling, &header, durable)?;
    let high_water = HighWater::create(storage.as_ref(), &sibling, content, durable)?;
    if options.reserve {
        make_reserve(storage.as_ref(), &sibling, &options)?;
    }
    if durable {
        sync_dir(storage.as_ref(), &sibling)?;
    }
    storage.rename(&sibling, dir).map_err(|error| match error.kind() {
        std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::AlreadyExists => {
            JournalError::AlreadyExists { dir: dir.to_owned() }
        }
        _ => JournalError::io("rename", &sibling)(error),
    })?;
    if durable {
        sync_dir(storage.as_ref(), &parent)?;
    }
    let place = Place {
        segment: 0,
        offset: SEGMENT_HEADER_BYTES as u64,
        mark: Mark::default(),
        last_time: None,
        chain,
        content,
    };
    let parts = Parts { storage, dir, options, lock };
    let mut created = writer(parts, file, &header, header.capacity, place, high_water);
    created.undurable = !durable;
    Ok(created)
}

/// Errs where `dir` is anything but absent or an empty directory.
fn nothing_there(storage: &dyn Storage, dir: &Path) -> Result<()> {
    match storage.list(dir) {
        Ok(entries) if entries.is_empty() => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != std::io::ErrorKind::NotADirectory => Err(JournalError::io("list", dir)(error)),
        Ok(entries) if stub_in(storage, dir, &entries)?.is_some() => list_segments(storage, dir, u64::MAX).map(|_| ()),
        _ => Err(JournalError::AlreadyExists { dir: dir.to_owned() }),
    }
}

/// The directory that `dir` is to lie in, and the one beside it in which it is made.
fn sibling_of(dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let name = dir.file_name().ok_or_else(|| JournalError::NotAJournal {
        dir: dir.to_owned(),
        reason: "the path names no directory of its own".to_owned(),
    })?;
    let parent = parent_of(dir);
    let sibling = parent.join(format!(".{}.creating", name.to_string_lossy()));
    Ok((parent.to_owned(), sibling))
}

/// The directory that holds a journal's name.
pub(crate) fn parent_of(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// See [`Writer::open`].
pub(crate) fn open(storage: Arc<dyn Storage>, dir: &Path, options: Options) -> Result<Writer> {
    options.check()?;
    // The distinct errors for "missing", "empty", "no journal" come before a lock file is made.
    list_segments(storage.as_ref(), dir, u64::MAX)?;
    let lock = take_lock(storage.as_ref(), dir)?;
    remove_temporaries(storage.as_ref(), dir)?;
    let found = survey(&storage, dir, true)?;
    let seals = reconciled_seals(storage.as_ref(), dir, &found)?;
    let id = crate::journal::id_of(&storage, &found)?;
    let mut recovery =
        Recovery { frames_kept: found.end.mark.frames, frames_cut: found.loose_frames, ..Recovery::default() };
    let (file, header, place) = settle(&storage, dir, &found, &options, &mut recovery)?;
    let owned = file.len().map_err(JournalError::io("read", dir))?;
    let high_water = HighWater::reopen(storage.as_ref(), dir, &found.slots, place.mark, place.content)?;
    reconcile_reserve(storage.as_ref(), dir, &options)?;
    let parts = Parts { storage, dir, options, lock };
    let mut writer = writer(parts, file, &header, owned, place, high_water);
    writer.recovery = recovery;
    writer.synced = writer.mark;
    writer.id = id;
    writer.last_seal = seals.last().copied();
    Ok(writer)
}

struct Parts<'a> {
    storage: Arc<dyn Storage>,
    dir: &'a Path,
    options: Options,
    lock: Box<dyn Any + Send + Sync>,
}

fn writer(
    parts: Parts<'_>,
    file: Box<dyn StorageFile>,
    header: &SegmentHeader,
    owned: u64,
    place: Place,
    high_water: HighWater,
) -> Writer {
    Writer {
        active: Active {
            file,
            path: parts.dir.join(segment_name(header.number)),
            number: header.number,
            seed: seed_of(header.file_id),
            offset: place.offset,
            owned,
            // It may have grown beyond its header's capacity, and may again where that is wanted now.
            capacity: header.capacity.max(parts.options.segment_bytes).max(owned).max(place.offset),
        },
        storage: parts.storage,
        dir: parts.dir.to_owned(),
        options: parts.options,
        unsynced: Vec::new(),
        high_water,
        state: State::Open,
        recovery: Recovery::default(),
        mark: place.mark,
        last_time: place.last_time,
        chain: place.chain,
        content: place.content,
        synced: Mark::default(),
        undurable: false,
        id: None,
        last_seal: None,
        batch: Batch::default(),
        padding: false,
        _lock: parts.lock,
    }
}

/// Brings the files into the form that the survey describes; returns the segment to go on in.
fn settle(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    found: &Survey,
    options: &Options,
    recovery: &mut Recovery,
) -> Result<(Box<dyn StorageFile>, SegmentHeader, Place)> {
    let kept = keep_below(storage, found)?;
    let copied = match found.end.mark == kept.mark {
        true => None,
        false => Some(copy(storage, dir, found, &kept, options)?),
    };
    recovery.frames_copied = found.end.mark.frames - kept.mark.frames;
    // A copy that begins where its segment begins repeats all of that segment.
    let segment = &found.segments[kept.segment];
    let repeated = copied.is_some() && kept.mark == segment.header.start;
    let first_surplus = kept.segment + usize::from(!repeated);
    let surplus = &found.segments[first_surplus..];
    let surplus: Vec<&PathBuf> = surplus.iter().map(|segment| &segment.path).collect();
    remove_all(storage.as_ref(), dir, surplus, &found.superseded)?;
    if found.loose_frames > 0 {
        recovery.cut_at = Some(cut_at(found));
    }
    for (index, end) in found.ends.iter().filter(|(index, _)| *index < kept.segment) {
        let path = &found.segments[*index].path;
        let file = storage.open(path, true).map_err(JournalError::io("open", path))?;
        recovery.bytes_cut += zero_tail(file.as_ref(), path, *end)?;
        trim_short(file.as_ref(), &found.segments[*index], *end)?;
        release(file.as_ref(), path, *end)?;
    }
    if repeated && let Some(copied) = copied {
        return Ok(copied);
    }
    let file = storage.open(&segment.path, true).map_err(JournalError::io("open", &segment.path))?;
    recovery.bytes_cut += zero_tail(file.as_ref(), &segment.path, kept.offset)?;
    trim_short(file.as_ref(), segment, kept.offset)?;
    if recovery.bytes_cut > 0 {
        recovery.cut_at = Some(cut_at(found));
    }
    Ok(match copied {
        Some(copied) => {
            release(file.as_ref(), &segment.path, kept.offset)?;
            copied
        }
        None => (file, segment.header.clone(), kept),
    })
}

/// A segment that nothing is added to any more owns no more than it holds. Its length stays: whoever has mapped it before
/// reads zeros and not a signal.
fn release(file: &dyn StorageFile, path: &Path, end: u64) -> Result<()> {
    file.release(end).map_err(JournalError::io("trim", path))
}

fn cut_at(found: &Survey) -> String {
    let stop = &found.stop;
    let path = found.segments[stop.segment].path.display();
    let (offset, seq, reason) = (stop.offset, stop.seq, &stop.reason);
    format!("{path} at offset {offset} (seq {seq}): {reason}")
}

/// From the last one down, so that a crash in between leaves no gap.
fn remove_all<'a>(
    storage: &dyn Storage,
    dir: &Path,
    mut surplus: Vec<&'a PathBuf>,
    superseded: &'a [PathBuf],
) -> Result<()> {
    surplus.extend(superseded);
    surplus.sort();
    for path in surplus.iter().rev() {
        storage.remove(path).map_err(JournalError::io("remove", path))?;
    }
    if surplus.is_empty() {
        return Ok(());
    }
    sync_dir(storage, dir)
}

/// The batch end up to which everything may stay where it is: D, or V where nothing lies between.
fn keep_below(storage: &Arc<dyn Storage>, found: &Survey) -> Result<Place> {
    let end = &found.end;
    if found.acknowledged == end.mark {
        return Ok(end.clone());
    }
    let first = found.segments[..=end.segment]
        .iter()
        .rposition(|segment| found.acknowledged.covers(segment.header.start))
        .expect("the first segment starts at zero");
    let start = beginning(storage, &found.segments, first)?;
    let below = walk(storage, &found.segments, start, Some(found.acknowledged), &[])?.place;
    assert!(below.mark.covers(found.acknowledged), "the survey reached it");
    assert!(end.mark.covers(below.mark), "D does not lie beyond V");
    Ok(below)
}

/// Copies the batches between `kept` and the verified end into one new segment, as one batch.
fn copy(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    found: &Survey,
    kept: &Place,
    options: &Options,
) -> Result<(Box<dyn StorageFile>, SegmentHeader, Place)> {
    let entries = storage.list(dir).map_err(JournalError::io("list", dir))?;
    let highest = entries.iter().filter_map(|entry| segment_number(&entry.name)).max();
    let most: u64 = found.segments[kept.segment..=found.end.segment].iter().map(|segment| segment.len).sum();
    let header = SegmentHeader {
        role: Role::Data,
        file_id: new_file_id(storage.as_ref(), dir)?,
        number: highest.unwrap_or(0) + 1,
        capacity: options.segment_bytes.max(most.next_multiple_of(4096)),
        start: kept.mark,
        last_time: kept.last_time,
        link: kept.chain.link(),
        content: kept.content,
        synced: kept.mark,
    };
    let name = dir.join(segment_name(header.number));
    let temporary = dir.join(format!("{}{TEMPORARY_SUFFIX}", segment_name(header.number)));
    let file = storage.create(&temporary, header.capacity).map_err(JournalError::io("create", &temporary))?;
    let offset = copy_records(storage, found, kept, file.as_ref(), &temporary, &header)?;
    file.write_at(&header.encode(), 0).map_err(JournalError::io("write", &temporary))?;
    file.sync().map_err(JournalError::io("sync", &temporary))?;
    storage.rename(&temporary, &name).map_err(JournalError::io("rename", &temporary))?;
    sync_dir(storage.as_ref(), dir)?;
    let place = Place { segment: 0, offset, ..found.end.clone() };
    Ok((file, header, place))
}

/// Frames and seals as they are, under the new segment's checksums, closed by one commit record.
fn copy_records(
    storage: &Arc<dyn Storage>,
    found: &Survey,
    kept: &Place,
    file: &dyn StorageFile,
    path: &Path,
    header: &SegmentHeader,
) -> Result<u64> {
    let seed = seed_of(header.file_id);
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    let mut chunk: Vec<u8> = Vec::with_capacity(CHUNK_BYTES);
    let mut write = |chunk: &mut Vec<u8>| -> Result<()> {
        file.write_at(chunk, offset).map_err(JournalError::io("write", path))?;
        offset += chunk.len() as u64;
        chunk.clear();
        Ok(())
    };
    let mut bytes = 0;
    let mut take = |record: &[u8]| -> Result<()> {
        let start = chunk.len();
        chunk.extend_from_slice(record);
        stamp(&mut chunk[start..], seed);
        bytes += record.len() as u64;
        if chunk.len() >= CHUNK_BYTES {
            write(&mut chunk)?;
        }
        Ok(())
    };
    each_record(storage, found, kept, &mut take)?;
    let commit = Commit { mark: found.end.mark, synced: kept.mark, bytes, content: found.end.content };
    let mut record = commit.encode(found.end.last_time.unwrap_or(0));
    stamp(&mut record, seed);
    chunk.extend_from_slice(&record);
    write(&mut chunk)?;
    let mut pad = pad(offset, found.end.mark.frames, header.capacity);
    if !pad.is_empty() {
        stamp(&mut pad, seed);
        file.write_at(&pad, offset).map_err(JournalError::io("write", path))?;
    }
    Ok(offset + pad.len() as u64)
}

/// Gives the frames and seal records between `kept` and the verified end.
fn each_record(
    storage: &Arc<dyn Storage>,
    found: &Survey,
    kept: &Place,
    take: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut mark = kept.mark;
    for index in kept.segment..=found.end.segment {
        let segment = &found.segments[index];
        let last = index == found.end.segment;
        let stop = match found.segments.get(index + 1) {
            Some(next) if !last => next.header.start,
            _ => found.end.mark,
        };
        let mut records = Records::open(storage.as_ref(), segment, segment.len, Access::Copy)?;
        if index == kept.segment {
            records.seek(kept.offset);
        }
        while !mark.covers(stop) {
            let offset = records.offset();
            let record = match records.read() {
                Ok(record) => record,
                Err(Stop::Failed(error)) => return Err(*error),
                Err(Stop::Flaw(flaw)) => {
                    let path = &segment.path;
                    return Err(JournalError::damaged(path, offset, mark.frames, flaw.reason()));
                }
            };
            let at = records.consume(&record);
            if [KIND_COMMIT, KIND_PAD].contains(&record.kind) {
                continue;
            }
            take(records.bytes(at, record.padded()))?;
            if record.kind == KIND_SEAL {
                assert!(record.len as usize == SEAL_RECORD_BYTES, "the walk checked it");
                mark.seals += 1;
            } else {
                mark.frames += 1;
            }
        }
    }
    Ok(())
}

/// Zeroes everything from `offset` on that is not zero, and syncs; returns how many bytes that was.
fn zero_tail(file: &dyn StorageFile, path: &Path, offset: u64) -> Result<u64> {
    let Some(end) = last_nonzero(file, path, offset)? else {
        return Ok(0);
    };
    let zeros = vec![0u8; CHUNK_BYTES];
    let mut at = offset;
    while at < end {
        let bytes = (end - at).min(CHUNK_BYTES as u64);
        let chunk = &zeros[..usize::try_from(bytes).expect("at most a chunk")];
        file.write_at(chunk, at).map_err(JournalError::io("write", path))?;
        at += bytes;
    }
    file.sync().map_err(JournalError::io("sync", path))?;
    Ok(end - offset)
}

/// A file that lost a part of its length ends where its batches end, as after a clean close.
fn trim_short(file: &dyn StorageFile, segment: &Segment, end: u64) -> Result<()> {
    let path = &segment.path;
    let len = file.len().map_err(JournalError::io("read", path))?;
    if len >= segment.header.capacity || len == end {
        return Ok(());
    }
    assert!(len > end, "the walk has read up to the end");
    file.set_len(end).map_err(JournalError::io("trim", path))?;
    file.sync().map_err(JournalError::io("sync", path))
}

/// The offset behind the last byte from `offset` on that is not zero.
fn last_nonzero(file: &dyn StorageFile, path: &Path, offset: u64) -> Result<Option<u64>> {
    Ok(nonzero(file, path, offset)?.map(|(_, end)| end))
}

/// The offsets of the first byte from `offset` on that is not zero, and behind the last.
pub(crate) fn nonzero(file: &dyn StorageFile, path: &Path, offset: u64) -> Result<Option<(u64, u64)>> {
    let len = file.len().map_err(JournalError::io("read", path))?;
    let mut span: Option<(u64, u64)> = None;
    let mut at = offset;
    while at < len {
        let bytes = (len - at).min(CHUNK_BYTES as u64);
        let chunk =
            file.copy(at, usize::try_from(bytes).expect("at most a chunk")).map_err(JournalError::io("read", path))?;
        if !is_zero(&chunk) {
            let first = chunk.iter().position(|byte| *byte != 0).unwrap_or(0) as u64;
            let last = chunk.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
            let start = span.map_or(at + first, |(start, _)| start);
            span = Some((start, at + last + 1));
        }
        at += bytes;
    }
    Ok(span)
}

/// The reserve as the options want it: there, sound and whole, or not there.
fn reconcile_reserve(storage: &dyn Storage, dir: &Path, options: &Options) -> Result<()> {
    let path = dir.join(RESERVE_NAME);
    let entries = storage.list(dir).map_err(JournalError::io("list", dir))?;
    let exists = entries.iter().any(|entry| entry.name == RESERVE_NAME);
    match (exists, options.reserve) {
        // It was made before and may still serve; its state is checked when it is needed, and by verify.
        (true, true) | (false, false) => Ok(()),
        (false, true) => {
            make_reserve(storage, dir, options)?;
            sync_dir(storage, dir)
        }
        (true, false) => {
            storage.remove(&path).map_err(JournalError::io("remove", &path))?;
            sync_dir(storage, dir)
        }
    }
}

fn make_reserve(storage: &dyn Storage, dir: &Path, options: &Options) -> Result<()> {
    let path = dir.join(RESERVE_NAME);
    let temporary = dir.join(format!("{RESERVE_NAME}{TEMPORARY_SUFFIX}"));
    let header = SegmentHeader {
        role: Role::Reserve,
        file_id: new_file_id(storage, dir)?,
        number: 0,
        capacity: options.segment_bytes,
        start: Mark::default(),
        last_time: None,
        link: Hash::default(),
        content: Hash::default(),
        synced: Mark::default(),
    };
    let file = storage.create(&temporary, options.segment_bytes).map_err(JournalError::io("create", &temporary))?;
    file.write_at(&header.encode(), 0).map_err(JournalError::io("write", &temporary))?;
    file.sync().map_err(JournalError::io("sync", &temporary))?;
    storage.rename(&temporary, &path).map_err(JournalError::io("rename", &temporary))
}

pub(crate) fn take_lock(storage: &dyn Storage, dir: &Path) -> Result<Box<dyn Any + Send + Sync>> {
    let path = dir.join(LOCK_NAME);
    storage.lock(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => JournalError::Locked { dir: dir.to_owned() },
        _ => JournalError::io("lock", &path)(error),
    })
}

/// Empties the sibling that a crashed `create` has left; its lock is held.
fn clear(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let entries = storage.list(dir).map_err(JournalError::io("list", dir))?;
    let known = |name: &str| {
        segment_number(name).is_some()
            || [HIGH_WATER_NAME, RESERVE_NAME].contains(&name)
            || name.ends_with(TEMPORARY_SUFFIX)
    };
    for entry in entries.iter().filter(|entry| known(&entry.name)) {
        let path = dir.join(&entry.name);
        storage.remove(&path).map_err(JournalError::io("remove", &path))?;
    }
    Ok(())
}

fn remove_temporaries(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let entries = storage.list(dir).map_err(JournalError::io("list", dir))?;
    for entry in entries.iter().filter(|entry| entry.name.ends_with(TEMPORARY_SUFFIX)) {
        let path = dir.join(&entry.name);
        storage.remove(&path).map_err(JournalError::io("remove", &path))?;
    }
    Ok(())
}

fn new_file_id(storage: &dyn Storage, dir: &Path) -> Result<u64> {
    storage.file_id().map_err(JournalError::io("number a segment of", dir))
}

pub(crate) fn sync_dir(storage: &dyn Storage, dir: &Path) -> Result<()> {
    storage.sync_dir(dir).map_err(JournalError::io("sync", dir))
}
