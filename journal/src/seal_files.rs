//! The seals' files: one beside the segments for each seal record, to be copied elsewhere.
//!
//! - Written after the record is durable, under another name first; a crash in between is made good
//!   by the next open.
//! - Each seal names the hash of the one before: a file that is missing in the middle is found.
//! - Must never: replace a seal file by another seal.

use crate::error::{JournalError, Result};
use crate::recovery::sync_dir;
use crate::seal::{SEAL_SUFFIX, Seal};
use crate::segment::TEMPORARY_SUFFIX;
use crate::storage::Storage;
use crate::survey::Survey;
use std::path::Path;

/// Seal files as the journal's records want them: a crash between record and file is made good.
pub(crate) fn reconciled_seals(storage: &dyn Storage, dir: &Path, found: &Survey) -> Result<Vec<Seal>> {
    let mut seals = read_seal_files(storage, dir)?;
    for seal in &found.seals {
        let position = usize::try_from(seal.number).unwrap_or(usize::MAX);
        match seals.get(position) {
            Some(kept) if kept == seal => {}
            None if position == seals.len() => {
                write_seal_file(storage, dir, seal)?;
                seals.push(*seal);
            }
            _ => {
                let path = dir.join(seal_name(seal.number));
                let reason = "the seal file is not the seal in the journal";
                return Err(JournalError::damaged(&path, 0, seal.frames, reason));
            }
        }
    }
    if seals.len() as u64 != found.end.mark.seals {
        let reason = format!("there are {} seal files for {} seals in the journal", seals.len(), found.end.mark.seals);
        return Err(JournalError::damaged(dir, 0, found.end.mark.frames, reason));
    }
    Ok(seals)
}

/// The seals in the files beside the segments, in order and linked to each other.
pub(crate) fn read_seal_files(storage: &dyn Storage, dir: &Path) -> Result<Vec<Seal>> {
    let entries = storage.list(dir).map_err(JournalError::io("list", dir))?;
    let mut seals: Vec<Seal> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.name.ends_with(SEAL_SUFFIX)) {
        let path = dir.join(&entry.name);
        let file = storage.open(&path, false).map_err(JournalError::io("open", &path))?;
        let len = file.len().map_err(JournalError::io("read", &path))?;
        let bytes =
            file.copy(0, usize::try_from(len.min(4096)).expect("small")).map_err(JournalError::io("read", &path))?;
        let seal = Seal::decode(&bytes).map_err(|error| JournalError::damaged(&path, 0, 0, error.to_string()))?;
        let expected = seals.last().map(Seal::hash).unwrap_or_default();
        if seal_name(seal.number) != entry.name || seal.number != seals.len() as u64 || seal.previous != expected {
            let reason = "the seal is not the one that follows the seals before it";
            return Err(JournalError::damaged(&path, 24, seal.frames, reason));
        }
        seals.push(seal);
    }
    Ok(seals)
}

pub(crate) fn write_seal_file(storage: &dyn Storage, dir: &Path, seal: &Seal) -> Result<()> {
    let path = dir.join(seal_name(seal.number));
    let temporary = dir.join(format!("{}{TEMPORARY_SUFFIX}", seal_name(seal.number)));
    let file =
        storage.create(&temporary, crate::seal::SEAL_BYTES as u64).map_err(JournalError::io("create", &temporary))?;
    file.write_at(&seal.encode(), 0).map_err(JournalError::io("write", &temporary))?;
    file.sync().map_err(JournalError::io("sync", &temporary))?;
    storage.rename(&temporary, &path).map_err(JournalError::io("rename", &temporary))?;
    sync_dir(storage, dir)
}

pub(crate) fn seal_name(number: u64) -> String {
    format!("{number:06}{SEAL_SUFFIX}")
}
