//! A storage that fails on purpose: the k-th call returns the error of your choice.
//!
//! - A failing write has written its first half: that is what a full disk does.
//! - Only the k-th call fails; later ones work, as after a passing fault. That is the harder case:
//!   the writer must stop by itself.
//! - Must never: fail where no call was made; `fired` says whether it did, so a test can tell.

use super::{Entry, Storage, StorageFile, Window};
use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Wraps a storage; call number `k` (from 0) fails.
#[derive(Debug, Clone)]
pub struct Countdown {
    inner: Arc<dyn Storage>,
    fault: Arc<Fault>,
}

#[derive(Debug)]
struct Fault {
    calls: AtomicU64,
    at: u64,
    kind: io::ErrorKind,
    fired: AtomicBool,
}

impl Fault {
    fn check(&self) -> io::Result<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at {
            self.fired.store(true, Ordering::Relaxed);
            return Err(io::Error::new(self.kind, "a fault on purpose"));
        }
        Ok(())
    }
}

impl Countdown {
    /// Call number `k` to the storage or any file of it fails with `kind`; `u64::MAX` never does.
    pub fn new(inner: Arc<dyn Storage>, k: u64, kind: io::ErrorKind) -> Countdown {
        Countdown {
            inner,
            fault: Arc::new(Fault { calls: AtomicU64::new(0), at: k, kind, fired: AtomicBool::new(false) }),
        }
    }

    /// Calls made so far.
    pub fn calls(&self) -> u64 {
        self.fault.calls.load(Ordering::Relaxed)
    }

    /// Whether the fault has struck.
    pub fn fired(&self) -> bool {
        self.fault.fired.load(Ordering::Relaxed)
    }

    fn wrap(&self, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        Box::new(CountedFile { inner: file, fault: self.fault.clone() })
    }
}

#[derive(Debug)]
struct CountedFile {
    inner: Box<dyn StorageFile>,
    fault: Arc<Fault>,
}

impl Storage for Countdown {
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.fault.check()?;
        self.inner.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.fault.check()?;
        self.inner.create_dir(dir)
    }
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn StorageFile>> {
        self.fault.check()?;
        Ok(self.wrap(self.inner.open(path, write)?))
    }
    fn create(&self, path: &Path, len: u64) -> io::Result<Box<dyn StorageFile>> {
        self.fault.check()?;
        Ok(self.wrap(self.inner.create(path, len)?))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fault.check()?;
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.fault.check()?;
        self.inner.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.fault.check()?;
        self.inner.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.fault.check()?;
        self.inner.lock(path)
    }
    fn file_id(&self) -> io::Result<u64> {
        self.fault.check()?;
        self.inner.file_id()
    }
    fn elapsed(&self) -> Duration {
        self.inner.elapsed()
    }
}

impl StorageFile for CountedFile {
    fn len(&self) -> io::Result<u64> {
        self.fault.check()?;
        self.inner.len()
    }
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.fault.check()?;
        self.inner.read_at(bytes, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.fault.check() {
            self.inner.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        self.inner.write_at(bytes, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fault.check()?;
        self.inner.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.fault.check()?;
        self.inner.sync()
    }
    fn map(&self, offset: u64, len: usize) -> io::Result<Window> {
        self.fault.check()?;
        self.inner.map(offset, len)
    }
    fn copy(&self, offset: u64, len: usize) -> io::Result<Window> {
        self.fault.check()?;
        self.inner.copy(offset, len)
    }
}
