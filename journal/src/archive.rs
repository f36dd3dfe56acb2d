//! Moves a sealed journal to an archive directory; its chain head and its seals stay.
//!
//! - Only a journal at rest that verifies in full, and whose last seal covers its every frame, is moved: what stays is
//!   then enough to recognise the copy, and to say who signed it (P7).
//! - The copy is a journal like any other, named `NAME.ID` after the directory that was given and the first 16 digits
//!   of the journal's id. Every command reads it where it lies; to bring it back, remove what stayed and move it there.
//! - Segments, high-water and seals are copied. The reserve and `cache/` hold nothing and go; files of others stay.
//! - Must never: remove a file of the original before the same bytes are durable in the copy and were read back there.
//!
//! The order of work, under the writer's lock of both directories, and a crash after each step:
//! 1. the original is verified. *Crash*: nothing has happened.
//! 2. the copy is made in `.NAME.ID.copying` beside its place, each file synced, then their names. *Crash*: the
//!    original is whole; the next run empties that directory and begins it again.
//! 3. the copy is verified there: head, id and seals are the original's. *Crash*: as 2.
//! 4. it gets its name, and that is made durable. *Crash*: the original is whole, the copy is whole or still hidden;
//!    the next run finds it under its name, verifies and syncs it all, and goes on with 5.
//! 5. the stub `archived` is written, synced, renamed, and its name synced. *Crash*: original and copy are whole. From
//!    the moment the stub has its name the directory counts as archived.
//! 6. segments, high-water and reserve are removed, and that is made durable. *Crash*: the stub and the copy are
//!    whole, whatever is left here; the next run makes sure of both again, then removes the rest.
//!
//! So at any time the original is whole, or the stub and the copy are, or all three.

mod stub;

use crate::error::{JournalError, Result};
use crate::high_water::HIGH_WATER_NAME;
use crate::recovery::{parent_of, sync_dir, take_lock};
use crate::seal::{PublicKey, SEAL_SUFFIX};
use crate::segment::{TEMPORARY_SUFFIX, list_segments, segment_number};
use crate::storage::{Entry, Files, Storage};
use crate::verify::{Verdict, Verified, verify_on};
use std::any::Any;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use stub::{STUB_NAME, covers, fits_a_line, is_plain};

pub use stub::{Archived, leaves_when_archived};
pub(crate) use stub::{examine, stub_in};

/// Bytes copied together.
const CHUNK_BYTES: u64 = 1024 * 1024;
/// How a journal comes by a seal.
const SEALING: &str = "ingest and fetch seal at their end (the same command again does it), backtest --seal a run, \
                       trade a session when its day ends";

/// What is to be moved, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Archiving<'a> {
    /// The journal.
    pub journal: &'a Path,
    /// The directory it is known by: the journal's own, or the run's around it. The copy is named after it.
    pub home: &'a Path,
    /// The archive: a directory that holds copies; made where it is not there.
    pub to: &'a Path,
    /// Accept only seals made with this key.
    pub key: Option<&'a PublicKey>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What stays.
    pub archived: Archived,
    /// The copy.
    pub copy: PathBuf,
    /// Bytes that were copied by this run; none where the copy was there already.
    pub bytes: u64,
    /// False where everything was done already.
    pub changed: bool,
}

/// How far it is, for people who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The original is being verified.
    Verifying,
    /// Bytes copied, of all.
    Copying(u64, u64),
    /// The copy is being verified.
    Checking,
    /// The original is being replaced by what stays.
    Replacing,
}

/// Moves a journal, or finishes a move that was cut off. What `cache/` held is forgotten.
pub fn archive(wanted: &Archiving<'_>, progress: &mut dyn FnMut(Step)) -> Result<Moved> {
    let journal = resolved(wanted.journal)?;
    let home = resolved(wanted.home)?;
    let to = resolved_new(wanted.to)?;
    let storage: Arc<dyn Storage> = Arc::new(Files::new());
    let wanted = Archiving { journal: &journal, home: &home, to: &to, key: wanted.key };
    let moved = archive_on(&storage, &wanted, progress)?;
    let cache = journal.join("cache");
    match std::fs::remove_dir_all(&cache) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(JournalError::io("remove", &cache)(error)),
        _ => Ok(moved),
    }
}

/// [`archive`] on any storage. Paths are taken as they are: without links and `..`.
pub fn archive_on(storage: &Arc<dyn Storage>, wanted: &Archiving<'_>, progress: &mut dyn FnMut(Step)) -> Result<Moved> {
    let dir = wanted.journal;
    if wanted.to.starts_with(wanted.home) || wanted.to.starts_with(dir) {
        let place = wanted.to.display();
        return Err(refused(dir, format!("{place} lies inside of it; choose a directory elsewhere")));
    }
    // The distinct errors for "missing", "empty", "no journal" come before a lock file is made.
    match list_segments(storage.as_ref(), dir, u64::MAX) {
        Ok(_) | Err(JournalError::Archived { .. }) => {}
        Err(other) => return Err(other),
    }
    let _lock = take_lock(storage.as_ref(), dir)?;
    let entries = listed(storage.as_ref(), dir)?;
    let mut run = Run { storage, wanted, progress };
    match stub_in(storage.as_ref(), dir, &entries)? {
        Some(stub) => run.finish(stub, &entries),
        None => run.begin(&entries),
    }
}

/// One run of the command.
struct Run<'a> {
    storage: &'a Arc<dyn Storage>,
    wanted: &'a Archiving<'a>,
    progress: &'a mut dyn FnMut(Step),
}

impl Run<'_> {
    /// Steps 1 to 6.
    fn begin(&mut self, entries: &[Entry]) -> Result<Moved> {
        let (storage, dir) = (self.storage.as_ref(), self.wanted.journal);
        let half_made = temporary_stub();
        if entries.iter().any(|entry| entry.name == half_made) {
            let path = dir.join(half_made);
            storage.remove(&path).map_err(JournalError::io("remove", &path))?;
        }
        (self.progress)(Step::Verifying);
        let stub = self.stub_of(&self.verified(dir)?)?;
        let copy = self.wanted.to.join(&stub.copy);
        make_dir(storage, dir, self.wanted.to)?;
        let (_lock, bytes) = match is_there(storage, &copy)? {
            true => (self.make_sure(&copy, &stub)?, 0),
            false => self.copy(&copy, &stub)?,
        };
        (self.progress)(Step::Replacing);
        write_stub(storage, dir, &stub)?;
        remove_rest(storage, dir)?;
        examine(storage, dir, self.wanted.key, &[])?;
        Ok(Moved { archived: stub, copy, bytes, changed: true })
    }

    /// A stub is there: its name may not be durable, and files may be left.
    fn finish(&mut self, stub: Archived, entries: &[Entry]) -> Result<Moved> {
        let (storage, dir, to) = (self.storage.as_ref(), self.wanted.journal, self.wanted.to);
        let copy = to.join(&stub.copy);
        if !is_there(storage, &copy)? {
            let reason = format!(
                "it was archived as {} before, which is not in {}; give the directory that holds it (where all of its \
                 segments are still here, remove {} and it is a journal again)",
                stub.copy,
                to.display(),
                dir.join(STUB_NAME).display()
            );
            return Err(refused(dir, reason));
        }
        let _lock = self.make_sure(&copy, &stub)?;
        sync_dir(storage, dir)?;
        let changed = entries.iter().any(|entry| leaves_when_archived(&entry.name));
        (self.progress)(Step::Replacing);
        remove_rest(storage, dir)?;
        examine(storage, dir, self.wanted.key, &[])?;
        Ok(Moved { archived: stub, copy, bytes: 0, changed })
    }

    /// Step 1, and step 3 of the copy: every byte is read.
    fn verified(&self, dir: &Path) -> Result<Verified> {
        match verify_on(self.storage, dir, self.wanted.key, &[])? {
            Verdict::Sound(verified) => Ok(verified),
            Verdict::Damaged { file, offset, seq, reason } => Err(JournalError::Damaged { file, offset, seq, reason }),
            Verdict::Archived(stub) => Err(stub.refusal(dir)),
        }
    }

    /// What is to stay; errs where that would not be enough.
    fn stub_of(&self, found: &Verified) -> Result<Archived> {
        let dir = self.wanted.journal;
        let frames = found.head.frames;
        let (Some(id), true) = (found.id, frames > 0) else {
            return Err(refused(dir, "it holds no frame, there is nothing to keep".to_owned()));
        };
        let Some(last) = found.seals.last() else {
            return Err(refused(dir, format!("it bears no seal; seal it first: {SEALING}")));
        };
        if !covers(last, &found.head) {
            let covered = last.frames;
            return Err(refused(
                dir,
                format!("its last seal covers {covered} of {frames} frames; seal it first: {SEALING}"),
            ));
        }
        let name = self.wanted.home.file_name().and_then(|name| name.to_str()).filter(|name| is_plain(name));
        let Some(name) = name else {
            let reason = "its directory has no name that fits a line of text; rename it";
            return Err(refused(dir, reason.to_owned()));
        };
        let digits: String = id[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Archived {
            id,
            head: found.head,
            seals: found.seals.len() as u64,
            last_seal: last.hash(),
            copy: format!("{name}.{digits}"),
            place: way(dir, self.wanted.to).filter(|place| fits_a_line(place)),
        })
    }

    /// Steps 2 to 4. Returns the copy's lock, which it keeps under its name.
    fn copy(&mut self, copy: &Path, stub: &Archived) -> Result<(Box<dyn Any + Send + Sync>, u64)> {
        let storage = self.storage.as_ref();
        let hidden = self.wanted.to.join(format!(".{}.copying", stub.copy));
        storage.create_dir(&hidden).map_err(JournalError::io("create", &hidden))?;
        let lock = take_lock(storage, &hidden)?;
        let made = self.fill(&hidden, stub);
        let bytes = match made {
            Ok(bytes) => bytes,
            Err(error) => {
                // It is of no use, and may be what fills the disk; the next run would empty it as well.
                let _ = empty(storage, &hidden);
                return Err(match error.is_full() {
                    true => JournalError::NoRoomForCopy { copy: copy.to_owned() },
                    false => error,
                });
            }
        };
        storage.rename(&hidden, copy).map_err(JournalError::io("rename", &hidden))?;
        sync_dir(storage, self.wanted.to)?;
        Ok((lock, bytes))
    }

    /// Steps 2 and 3.
    fn fill(&mut self, hidden: &Path, stub: &Archived) -> Result<u64> {
        let (storage, dir) = (self.storage.as_ref(), self.wanted.journal);
        empty(storage, hidden)?;
        let entries: Vec<Entry> = listed(storage, dir)?.into_iter().filter(|entry| is_copied(&entry.name)).collect();
        let all: u64 = entries.iter().map(|entry| entry.len).sum();
        let mut done = 0;
        for entry in &entries {
            let progress = &mut *self.progress;
            copy_file(storage, &dir.join(&entry.name), &hidden.join(&entry.name), &mut |bytes| {
                done += bytes;
                progress(Step::Copying(done, all));
            })?;
        }
        sync_dir(storage, hidden)?;
        self.same(hidden, stub)?;
        Ok(done)
    }

    /// A copy that is there already: the same journal, and durable, whoever put it there.
    fn make_sure(&mut self, copy: &Path, stub: &Archived) -> Result<Box<dyn Any + Send + Sync>> {
        let storage = self.storage.as_ref();
        // Also refuses a link to the original, whose lock is held.
        let lock = take_lock(storage, copy)?;
        self.same(copy, stub)?;
        for entry in listed(storage, copy)?.iter().filter(|entry| is_copied(&entry.name)) {
            let path = copy.join(&entry.name);
            let file = storage.open(&path, false).map_err(JournalError::io("open", &path))?;
            file.sync().map_err(JournalError::io("sync", &path))?;
        }
        sync_dir(storage, copy)?;
        sync_dir(storage, self.wanted.to)?;
        Ok(lock)
    }

    /// Reads all of `copy` and errs where it is not the journal that `stub` speaks of.
    fn same(&mut self, copy: &Path, stub: &Archived) -> Result<()> {
        (self.progress)(Step::Checking);
        let found = match self.verified(copy) {
            Ok(found) => found,
            // The system refused to read: that says nothing of the copy.
            Err(error @ JournalError::Io { .. }) => return Err(error),
            Err(error) => {
                let reason = format!("its copy is not sound ({error}); nothing was removed, move that copy away");
                return Err(refused(self.wanted.journal, reason));
            }
        };
        let same = found.head == stub.head
            && found.id == Some(stub.id)
            && found.seals.len() as u64 == stub.seals
            && found.seals.last().is_some_and(|seal| seal.hash() == stub.last_seal);
        if same {
            return Ok(());
        }
        let reason = format!(
            "{} is another journal ({} frames, content {}); move it away, or choose another --to",
            copy.display(),
            found.head.frames,
            found.head.content
        );
        Err(refused(self.wanted.journal, reason))
    }
}

/// Step 5.
fn write_stub(storage: &dyn Storage, dir: &Path, stub: &Archived) -> Result<()> {
    let (path, temporary) = (dir.join(STUB_NAME), dir.join(temporary_stub()));
    let bytes = stub.encode();
    let file = storage.create(&temporary, bytes.len() as u64).map_err(JournalError::io("create", &temporary))?;
    file.write_at(&bytes, 0).map_err(JournalError::io("write", &temporary))?;
    file.sync().map_err(JournalError::io("sync", &temporary))?;
    storage.rename(&temporary, &path).map_err(JournalError::io("rename", &temporary))?;
    sync_dir(storage, dir)
}

/// Step 6. The stub is durable, and so is the copy.
fn remove_rest(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let entries = listed(storage, dir)?;
    assert!(entries.iter().any(|entry| entry.name == STUB_NAME), "the stub comes before anything is removed");
    let goes = |name: &str| leaves_when_archived(name) || name.ends_with(TEMPORARY_SUFFIX);
    for entry in entries.iter().filter(|entry| goes(&entry.name)) {
        let path = dir.join(&entry.name);
        storage.remove(&path).map_err(JournalError::io("remove", &path))?;
    }
    sync_dir(storage, dir)
}

/// Makes `to` level by level, each name durable before the next level: a crash leaves no level whose name may go.
fn make_dir(storage: &dyn Storage, journal: &Path, to: &Path) -> Result<()> {
    let mut missing = Vec::new();
    let mut at = to;
    loop {
        match storage.list(at) {
            Ok(_) => {
                // An earlier run may have been cut off before it made this name durable.
                sync_dir(storage, parent_of(at))?;
                break;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push(at),
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(refused(journal, format!("{} is a file; choose a directory", at.display())));
            }
            Err(error) => return Err(JournalError::io("list", at)(error)),
        }
        match at.parent() {
            Some(parent) if parent != Path::new("") => at = parent,
            _ => break,
        }
    }
    for level in missing.into_iter().rev() {
        storage.create_dir(level).map_err(JournalError::io("create", level))?;
        sync_dir(storage, parent_of(level))?;
    }
    Ok(())
}

/// True where something other than an empty directory lies there.
fn is_there(storage: &dyn Storage, copy: &Path) -> Result<bool> {
    match storage.list(copy) {
        Ok(entries) => Ok(!entries.is_empty()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(JournalError::io("list", copy)(error)),
    }
}

fn copy_file(storage: &dyn Storage, from: &Path, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let source = storage.open(from, false).map_err(JournalError::io("open", from))?;
    let len = source.len().map_err(JournalError::io("read", from))?;
    let target = storage.create(to, len).map_err(JournalError::io("create", to))?;
    let mut offset = 0;
    while offset < len {
        let bytes = (len - offset).min(CHUNK_BYTES);
        let chunk = source
            .copy(offset, usize::try_from(bytes).expect("at most a chunk"))
            .map_err(JournalError::io("read", from))?;
        target.write_at(&chunk, offset).map_err(JournalError::io("write", to))?;
        offset += bytes;
        progress(bytes);
    }
    target.sync().map_err(JournalError::io("sync", to))
}

/// Removes what an earlier run has copied; its lock is held.
fn empty(storage: &dyn Storage, hidden: &Path) -> Result<()> {
    for entry in listed(storage, hidden)?.iter().filter(|entry| is_copied(&entry.name)) {
        let path = hidden.join(&entry.name);
        storage.remove(&path).map_err(JournalError::io("remove", &path))?;
    }
    Ok(())
}

fn is_copied(name: &str) -> bool {
    segment_number(name).is_some() || name == HIGH_WATER_NAME || name.ends_with(SEAL_SUFFIX)
}

fn listed(storage: &dyn Storage, dir: &Path) -> Result<Vec<Entry>> {
    storage.list(dir).map_err(JournalError::io("list", dir))
}

fn temporary_stub() -> String {
    format!("{STUB_NAME}{TEMPORARY_SUFFIX}")
}

fn refused(dir: &Path, reason: String) -> JournalError {
    JournalError::CannotArchive { dir: dir.to_owned(), reason }
}

/// The way from one directory to another with `..` and `/`; none where the two do not begin at the same place.
fn way(from: &Path, to: &Path) -> Option<String> {
    let is_named = |path: &Path| path.components().all(|part| !matches!(part, Component::ParentDir));
    if from.is_absolute() != to.is_absolute() || !is_named(from) || !is_named(to) {
        return None;
    }
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let mut parts: Vec<&str> = from.components().skip(shared).map(|_| "..").collect();
    for part in to.components().skip(shared) {
        parts.push(part.as_os_str().to_str()?);
    }
    Some(parts.join("/"))
}

/// Where `path` really lies.
fn resolved(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => JournalError::Missing { dir: path.to_owned() },
        _ => JournalError::io("find", path)(error),
    })
}

/// Where `path`, of which the last parts may not be there yet, really lies.
fn resolved_new(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path).map_err(JournalError::io("find", path))?;
    let mut known = whole.as_path();
    loop {
        match known.canonicalize() {
            Ok(found) => {
                let rest = whole.strip_prefix(known).expect("a part of it");
                let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
                return match plain {
                    true => Ok(found.components().chain(rest.components()).collect()),
                    false => Err(refused(path, "the way to this archive leads back by '..'; spell it out".to_owned())),
                };
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && known.parent().is_some() => {
                known = known.parent().expect("just looked");
            }
            Err(error) => return Err(JournalError::io("find", path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_archive_is_relative() {
        let between = |from: &str, to: &str| way(Path::new(from), Path::new(to));
        assert_eq!(between("/a/u/m5", "/a/u/old/x").as_deref(), Some("../old/x"));
        assert_eq!(between("/a/u/run/journal", "/b/old").as_deref(), Some("../../../../b/old"));
        assert_eq!(between("a/m5", "a").as_deref(), Some(".."));
        assert_eq!(between("/a/m5", "old"), None);
        assert_eq!(between("a/../m5", "old"), None);
    }

    #[test]
    fn a_new_place_is_found_through_what_is_there() {
        let keep = tempfile::tempdir().expect("a directory");
        let real = keep.path().canonicalize().expect("there");
        std::os::unix::fs::symlink(&real, real.join("link")).expect("links");
        assert_eq!(resolved_new(&real.join("link/a/b")).expect("found"), real.join("a/b"));
        let error = resolved_new(&real.join("no/../../x")).expect_err("leads back");
        assert!(matches!(error, JournalError::CannotArchive { .. }), "{error}");
    }
}
