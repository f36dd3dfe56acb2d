//! What can go wrong, said once: the place at fault and what to do about it.
//!
//! - Every message names the file, directory, seq, offset or value at fault.
//! - A damaged journal is an error value, never a panic.
//! - Must never: hide an operating-system error (it stays reachable through `source`).

use std::io;
use std::path::{Path, PathBuf};

/// The one error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The operating system refused a call.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "sync".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory does not exist.
    #[error("there is no journal at {}: the directory does not exist; check the path, or create it with an ingest", dir.display())]
    Missing {
        /// The path that was asked for.
        dir: PathBuf,
    },
    /// The directory exists and holds nothing.
    #[error("{} is an empty directory, not a journal; check the path, or create a journal there with an ingest", dir.display())]
    Empty {
        /// The path that was asked for.
        dir: PathBuf,
    },
    /// Its frames were moved to an archive; its head and seals stay.
    #[error("{} is archived: its {frames} frames were moved to {}; give that directory instead, it is a journal like any other, or bring it back: remove {} and move the copy to its place", dir.display(), copy.display(), dir.display())]
    Archived {
        /// The path that was asked for.
        dir: PathBuf,
        /// The copy: where it was put, or its name alone where that is not known.
        copy: PathBuf,
        /// How many frames.
        frames: u64,
    },
    /// A journal that does not meet what archiving asks for.
    #[error("{} cannot be archived: {reason}", dir.display())]
    CannotArchive {
        /// The journal.
        dir: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// The archive has no room.
    #[error("no space left for {}: the journal was not touched; free disk space or choose another --to, and run the command again", copy.display())]
    NoRoomForCopy {
        /// The copy that was to be made.
        copy: PathBuf,
    },
    /// Something else lives at that path.
    #[error("{} is not a journal: {reason}; check the path", dir.display())]
    NotAJournal {
        /// The path that was asked for.
        dir: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// `create` was asked to write where something is already.
    #[error("{} exists already and is not empty; open it, or choose another directory", dir.display())]
    AlreadyExists {
        /// The path that was asked for.
        dir: PathBuf,
    },
    /// The journal was written by another version of the format.
    #[error("{} is in format version {found}, this build reads version {supported}; use a build that matches the journal", file.display())]
    OtherVersion {
        /// The segment.
        file: PathBuf,
        /// The version in its header.
        found: u32,
        /// The version of this build.
        supported: u32,
    },
    /// Another process holds the writer's lock.
    #[error("{} is being written by another process (its lock is held); wait for it to end, or stop it", dir.display())]
    Locked {
        /// The journal.
        dir: PathBuf,
    },
    /// Bytes that were acknowledged no longer verify.
    #[error("{} is damaged at offset {offset} (seq {seq}): {reason}; restore this file from a copy, nothing was changed", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Byte offset in that file.
        offset: u64,
        /// The frame at that place, or the next one where the place is not a frame.
        seq: u64,
        /// What did not hold.
        reason: String,
    },
    /// Time may step back only where a run begins.
    #[error(
        "a frame at time {time} cannot follow one at time {last_time} (nanoseconds UTC); only a frame flagged RUN_START may step back"
    )]
    TimeStepsBack {
        /// The time of the last frame.
        last_time: i64,
        /// The time that was offered.
        time: i64,
    },
    /// Kinds from 0xFFF0 on belong to the journal itself.
    #[error("frame kind {kind:#06x} is reserved for the journal's own records; use one below 0xfff0")]
    ReservedKind {
        /// The kind that was offered.
        kind: u16,
    },
    /// A payload beyond the limit of this journal.
    #[error(
        "a payload of {len} bytes exceeds this journal's limit of {limit} bytes; split it, or create the journal with larger segments"
    )]
    PayloadTooLong {
        /// What was offered, in bytes.
        len: usize,
        /// The most that is accepted, in bytes.
        limit: usize,
    },
    /// An option outside its range.
    #[error("journal option {option} = {value} is out of range: {reason}")]
    BadOption {
        /// Name of the field.
        option: &'static str,
        /// The value that was given.
        value: u64,
        /// What is accepted.
        reason: String,
    },
    /// The disk is full (P6): only `append_reserved` may go on.
    #[error("no space left for {}: nothing more is accepted (exits of a live session may use its reserve); free disk space and run the command again, what was written is kept", dir.display())]
    DiskFull {
        /// The journal.
        dir: PathBuf,
    },
    /// The reserve segment is used up, or there never was one.
    #[error("the disk is full and the reserve of {} takes nothing more: {reason}; free disk space and run the command again, what was written is kept", dir.display())]
    NoReserve {
        /// The journal.
        dir: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A write or sync failed before; nothing more is accepted (P6).
    #[error("the writer of {} stopped after a failure ({reason}); open the journal again: recovery decides what survived", dir.display())]
    Poisoned {
        /// The journal.
        dir: PathBuf,
        /// The first failure.
        reason: String,
    },
    /// A seq beyond the journal's end.
    #[error("seq {seq} is not in {}: it holds {frames} frames", dir.display())]
    OutOfRange {
        /// The journal.
        dir: PathBuf,
        /// The seq that was asked for.
        seq: u64,
        /// How many frames there are.
        frames: u64,
    },
    /// A key file, public key or seal that cannot be used.
    #[error("{what} is not usable: {reason}")]
    BadSeal {
        /// The file, or a word for the value.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The index store failed; it may be deleted, it is only a cache.
    #[error("the index {} failed: {reason}; delete that directory, it is rebuilt from the journal", path.display())]
    Index {
        /// Its directory.
        path: PathBuf,
        /// What the store said.
        reason: String,
    },
}

/// The result of everything here.
pub type Result<T, E = JournalError> = std::result::Result<T, E>;

impl JournalError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
        let path = path.to_owned();
        move |source| JournalError::Io { action, path, source }
    }

    pub(crate) fn damaged(file: &Path, offset: u64, seq: u64, reason: impl Into<String>) -> JournalError {
        JournalError::Damaged { file: file.to_owned(), offset, seq, reason: reason.into() }
    }

    /// A full disk by its name, for a journal that is being opened: there is no batch to save.
    pub(crate) fn in_words(self, dir: &Path) -> JournalError {
        if self.is_full() { JournalError::DiskFull { dir: dir.to_owned() } } else { self }
    }

    /// True where the disk, or a quota on it, is full.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, JournalError::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}
