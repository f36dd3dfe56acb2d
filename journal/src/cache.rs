//! Files in `cache/`: written whole or not at all, and believed only with their checksum.
//!
//! - Everything here can be rebuilt: a file that is missing, torn, of another version or of another
//!   journal reads as "nothing there", never as an error (I5).
//! - A file is written under another name and renamed: readers see the old or the new one.
//! - Must never: be needed for correctness.

use crate::chain::Hash;
use crate::storage::Storage;
use std::io;
use std::path::Path;

/// Largest cache file that is read: a guard against a length that is not ours.
const CACHE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
const HASH_BYTES: usize = 32;

/// Replaces the file `dir/name` by `bytes` and their hash.
pub(crate) fn store(storage: &dyn Storage, dir: &Path, name: &str, mut bytes: Vec<u8>) -> io::Result<()> {
    storage.create_dir(dir)?;
    bytes.extend_from_slice(&Hash::of(&bytes).0);
    let temporary = dir.join(format!("{name}.tmp"));
    let file = storage.create(&temporary, bytes.len() as u64)?;
    file.write_at(&bytes, 0)?;
    // Synced, so that a power cut does not make the next start rebuild what was there.
    file.sync()?;
    storage.rename(&temporary, &dir.join(name))
}

/// The bytes that `store` was given, where the file is whole.
pub(crate) fn load(storage: &dyn Storage, path: &Path) -> Option<Vec<u8>> {
    let file = storage.open(path, false).ok()?;
    let len = file.len().ok()?;
    if !(HASH_BYTES as u64..=CACHE_BYTES_MAX).contains(&len) {
        return None;
    }
    let mut bytes = vec![0u8; usize::try_from(len).ok()?];
    file.read_at(&mut bytes, 0).ok()?;
    let hash = bytes.split_off(bytes.len() - HASH_BYTES);
    (Hash::of(&bytes).0[..] == hash[..]).then_some(bytes)
}
