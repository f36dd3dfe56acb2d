//! Snapshots: states saved at a seq, so that a fold need not begin at the beginning.
//!
//! - A snapshot is found by the key it was saved under: the hash of everything it depends on. Another
//!   binary, setting or input is another key, so it is simply not found.
//! - A snapshot that does not verify is ignored; at most `keep` a key remain, the newest ones.
//! - Must never: be the only copy of anything.

use crate::cache;
use crate::chain::Hash;
use crate::error::{JournalError, Result};
use crate::format::u64_at;
use crate::storage::{Files, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"daybsnap";
const HEAD_BYTES: usize = 48;
const SUFFIX: &str = ".snapshot";

/// The snapshots in one directory.
#[derive(Clone, Debug)]
pub struct Snapshots {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    keep: usize,
}

impl Snapshots {
    /// Snapshots in `cache_dir/snapshots`; at most `keep` (at least 1) of a key are kept.
    pub fn new(cache_dir: &Path, keep: usize) -> Snapshots {
        Self::new_on(Arc::new(Files::new()), cache_dir, keep)
    }

    /// [`Snapshots::new`] on any storage.
    pub fn new_on(storage: Arc<dyn Storage>, cache_dir: &Path, keep: usize) -> Snapshots {
        Snapshots { storage, dir: cache_dir.join("snapshots"), keep: keep.max(1) }
    }

    /// Saves `bytes`, a state after the first `seq` frames, and removes the oldest beyond `keep`.
    pub fn save(&self, key: Hash, seq: u64, bytes: &[u8]) -> Result<()> {
        let mut contents = Vec::with_capacity(HEAD_BYTES + bytes.len() + 32);
        contents.extend_from_slice(MAGIC);
        contents.extend_from_slice(&key.0);
        contents.extend_from_slice(&seq.to_le_bytes());
        contents.extend_from_slice(bytes);
        cache::store(self.storage.as_ref(), &self.dir, &name(key, seq), contents)
            .map_err(JournalError::io("save a snapshot in", &self.dir))?;
        let all = self.all(key)?;
        let surplus = all.len().saturating_sub(self.keep);
        for seq in &all[..surplus] {
            let path = self.dir.join(name(key, *seq));
            self.storage.remove(&path).map_err(JournalError::io("remove", &path))?;
        }
        Ok(())
    }

    /// The newest sound snapshot of `key` at or below `max_seq`, with its seq.
    pub fn latest(&self, key: Hash, max_seq: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let all = self.all(key)?;
        let usable = all.iter().rev().filter(|seq| **seq <= max_seq);
        Ok(usable.copied().find_map(|seq| Some((seq, self.load(key, seq)?))))
    }

    /// The seqs at which `key` has snapshots, ascending. A damaged one may be among them.
    pub fn all(&self, key: Hash) -> Result<Vec<u64>> {
        let entries = match self.storage.list(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(JournalError::io("list", &self.dir)(error)),
        };
        let mut seqs: Vec<u64> = entries
            .iter()
            .filter_map(|entry| {
                let (prefix, rest) = entry.name.split_once('-')?;
                let seq = rest.strip_suffix(SUFFIX)?.parse().ok()?;
                (prefix == short(key) && entry.name == name(key, seq)).then_some(seq)
            })
            .collect();
        seqs.sort_unstable();
        Ok(seqs)
    }

    /// The state at exactly `seq`; `None` where there is none or it does not verify.
    pub fn load(&self, key: Hash, seq: u64) -> Option<Vec<u8>> {
        let mut bytes = cache::load(self.storage.as_ref(), &self.dir.join(name(key, seq)))?;
        let sound =
            bytes.len() >= HEAD_BYTES && bytes[..8] == *MAGIC && bytes[8..40] == key.0 && u64_at(&bytes, 40) == seq;
        sound.then(|| bytes.split_off(HEAD_BYTES))
    }
}

fn short(key: Hash) -> String {
    key.to_string()[..32].to_owned()
}

fn name(key: Hash, seq: u64) -> String {
    format!("{}-{seq:020}{SUFFIX}", short(key))
}
