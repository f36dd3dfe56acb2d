//! A file that is hashed while it is written and appears under its name only when it is complete.
//!
//! - The bytes go to `NAME.partial` beside it; `finish` flushes, syncs and renames. If power fails before the rename,
//!   the old file (or none) is what remains; after it, the new one, whole; the folder is synced last.
//! - Dropped without `finish`, it leaves nothing behind.
//! - The hash is of the bytes handed to the system, so the file never has to be read again to know it.

use super::ColumnError;
use daybook_vocabulary::Hash;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// blake3 of the whole file.
    pub hash: Hash,
    /// Its size in bytes.
    pub bytes: u64,
    /// Rows of a table; zero for other files.
    pub rows: u64,
}

/// A file on its way.
#[derive(Debug)]
pub struct HashedFile {
    path: PathBuf,
    partial: PathBuf,
    // `None` once finished: what `drop` then must leave alone.
    out: Option<BufWriter<File>>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl HashedFile {
    /// Begins the file `path`, in a folder that exists. What stands there now stays until [`Self::finish`].
    pub fn create(path: &Path) -> Result<Self, ColumnError> {
        let mut partial = path.file_name().map_or_else(OsString::new, OsString::from);
        partial.push(".partial");
        let partial = path.with_file_name(partial);
        let file = File::create(&partial).map_err(|source| ColumnError::file(&partial, source))?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            out: Some(BufWriter::with_capacity(128 << 10, file)),
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    /// Writes all of `content` as the file `path`.
    pub fn write_whole(path: &Path, content: &[u8]) -> Result<Written, ColumnError> {
        let mut file = Self::create(path)?;
        file.write_all(content).map_err(|source| ColumnError::file(path, source))?;
        file.finish(0)
    }

    /// Where the finished file will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file durable and gives it its name. `rows` is only passed on.
    pub fn finish(mut self, rows: u64) -> Result<Written, ColumnError> {
        let failed = |source| ColumnError::file(&self.path, source);
        let mut out = self.out.take().expect("a file is finished once");
        let moved = out
            .flush()
            .and_then(|()| out.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&self.partial, &self.path))
            .and_then(|()| sync_folder(&self.path))
            .map_err(failed);
        if moved.is_err() {
            let _ = std::fs::remove_file(&self.partial);
        }
        moved.map(|()| Written {
            path: std::mem::take(&mut self.path),
            hash: Hash(*self.hasher.finalize().as_bytes()),
            bytes: self.bytes,
            rows,
        })
    }
}

impl Write for HashedFile {
    fn write(&mut self, content: &[u8]) -> std::io::Result<usize> {
        let out = self.out.as_mut().expect("writing ends with finish");
        let taken = out.write(content)?;
        self.hasher.update(&content[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for HashedFile {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            // `into_parts` rather than drop: what is still buffered belongs to a file that will not exist.
            let _ = out.into_parts();
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// Makes a rename durable: until its folder is synced, a power cut may bring the old name back.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// blake3 and size of a file, read in bounded memory.
pub fn hash_of_file(path: &Path) -> Result<(Hash, u64), ColumnError> {
    let mut file = File::open(path).map_err(|source| ColumnError::file(path, source))?;
    hash_of(&mut file).map_err(|source| ColumnError::file(path, source))
}

/// blake3 and length of what is left in `input`.
pub(super) fn hash_of(input: &mut impl Read) -> std::io::Result<(Hash, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok((Hash(*hasher.finalize().as_bytes()), bytes)),
            Ok(taken) => {
                hasher.update(&buffer[..taken]);
                bytes += taken as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut file = HashedFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists(), "not before it is complete");
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "an abandoned file leaves nothing");

        let written = HashedFile::write_whole(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(written.hash, Hash(*blake3::hash(b"whole").as_bytes()));
        assert_eq!(hash_of_file(&path).unwrap(), (written.hash, 5));

        let mut second = HashedFile::create(&path).unwrap();
        second.write_all(b"never finished").unwrap();
        drop(second);
        assert_eq!(std::fs::read(&path).unwrap(), b"whole", "the old file stays until the new one is whole");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = HashedFile::create(&folder.path().join("missing/a.csv")).unwrap_err().to_string();
        assert!(error.contains("missing") && error.contains("a.csv.partial"), "{error}");
    }
}
