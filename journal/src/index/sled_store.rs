//! The index on disk, in `cache/`: sled, as a cache that may be deleted.
//!
//! - Entries and the head they lead to go in as one atomic batch.
//! - A store that does not open is deleted and made anew.
//! - Must never: hold one entry per tick or candle (see the measurements: 128 bytes an entry).

use super::{Entries, Index, IndexHead, composite};
use crate::chain::Hash;
use crate::error::{JournalError, Result};
use crate::format::u64_at;
use crate::storage::{Files, Storage};
use std::any::Any;
use std::path::{Path, PathBuf};

/// No name is empty, so no entry has this key.
const HEAD_KEY: &[u8] = b"\0head";
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// See [`Index`].
#[derive(Debug)]
pub struct SledIndex {
    store: sled::Db,
    path: PathBuf,
    _lock: Box<dyn Any + Send + Sync>,
}

impl SledIndex {
    /// Opens `cache_dir/index`; a store that does not open is deleted and made anew.
    pub fn open(cache_dir: &Path) -> Result<SledIndex> {
        let path = cache_dir.join("index");
        std::fs::create_dir_all(cache_dir).map_err(JournalError::io("create", cache_dir))?;
        // Our own lock: a store that another process has open must not look like a broken one.
        let lock = Files::new().lock(&cache_dir.join("index.lock")).map_err(|error| JournalError::Index {
            path: path.clone(),
            reason: format!("another process has it open, or its lock failed ({error})"),
        })?;
        let store = match open(&path) {
            Ok(store) => store,
            Err(_) => {
                remove(&path)?;
                open(&path).map_err(failed(&path))?
            }
        };
        Ok(SledIndex { store, path, _lock: lock })
    }
}

fn open(path: &Path) -> sled::Result<sled::Db> {
    sled::Config::new().path(path).cache_capacity(CACHE_BYTES).open()
}

/// Removes whatever lies at the store's path.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(JournalError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path) -> impl Fn(sled::Error) -> JournalError {
    let path = path.to_owned();
    move |error| JournalError::Index { path: path.clone(), reason: error.to_string() }
}

impl Index for SledIndex {
    fn get(&self, name: &str, key: &[u8]) -> Result<Option<u64>> {
        let value = self.store.get(composite(name, key)).map_err(failed(&self.path))?;
        Ok(value.filter(|value| value.len() == 8).map(|value| u64_at(&value, 0)))
    }

    fn prefix(&self, name: &str, prefix: &[u8]) -> Result<Vec<(Vec<u8>, u64)>> {
        let skip = name.len() + 1;
        self.store
            .scan_prefix(composite(name, prefix))
            .filter(|entry| entry.as_ref().map_or(true, |(_, value)| value.len() == 8))
            .map(|entry| {
                let (key, value) = entry.map_err(failed(&self.path))?;
                Ok((key[skip..].to_vec(), u64_at(&value, 0)))
            })
            .collect()
    }

    fn head(&self) -> Result<Option<IndexHead>> {
        let value = self.store.get(HEAD_KEY).map_err(failed(&self.path))?;
        Ok(value.filter(|value| value.len() == 48).map(|value| IndexHead {
            frames: u64_at(&value, 0),
            version: u64_at(&value, 8),
            content: Hash(value[16..48].try_into().expect("32 bytes")),
        }))
    }

    fn apply(&mut self, entries: &Entries, head: IndexHead) -> Result<()> {
        let mut batch = sled::Batch::default();
        for (key, seq) in entries.iter() {
            batch.insert(key, &seq.to_le_bytes());
        }
        let mut value = [0u8; 48];
        value[..8].copy_from_slice(&head.frames.to_le_bytes());
        value[8..16].copy_from_slice(&head.version.to_le_bytes());
        value[16..].copy_from_slice(&head.content.0);
        batch.insert(HEAD_KEY, &value[..]);
        self.store.apply_batch(batch).map_err(failed(&self.path))
    }

    fn clear(&mut self) -> Result<()> {
        self.store.clear().map_err(failed(&self.path))
    }
}
