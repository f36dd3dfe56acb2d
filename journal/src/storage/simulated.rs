//! A disk in memory that forgets what was not synced.
//!
//! - Two images of everything: what a running program sees, and what the platter holds. `sync` and
//!   `sync_dir` copy the first to the second; [`SimulatedDisk::power_cut`] asks, sector by sector,
//!   whether an un-synced one was kept, dropped or zeroed, in any mix.
//! - Names are durable only after `sync_dir`, lengths only after `sync`.
//! - No randomness, no clock: file ids count up, time moves when told.
//! - Must never: be kinder than a real disk about what was not synced.

use super::{Entry, Storage, StorageFile};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that reach the platter together.
pub const SECTOR_BYTES: usize = 512;

/// What became of something un-synced when the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It had reached the platter.
    Kept,
    /// It had not: the old contents are there.
    Dropped,
    /// It was half-way: the sector reads as zeros. (For names and lengths: as `Dropped`.)
    Zeroed,
}

/// Something un-synced, as `power_cut` asks about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// A sector of a file.
    Sector {
        /// The file's present name.
        path: PathBuf,
        /// Counted from 0, in units of 512 bytes.
        sector: usize,
    },
    /// The length of a file.
    Length {
        /// The file's present name.
        path: PathBuf,
    },
    /// The names in a directory.
    Names {
        /// The directory.
        dir: PathBuf,
    },
}

/// The disk; clones share it.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Arc<Mutex<Disk>>,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    dirs: BTreeSet<PathBuf>,
    /// Renames of directories whose parent was not synced since.
    moved_dirs: Vec<(PathBuf, PathBuf)>,
    locks: BTreeSet<PathBuf>,
    next_inode: u64,
    next_file_id: u64,
    capacity: Option<u64>,
    now: Duration,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl Default for SimulatedDisk {
    fn default() -> SimulatedDisk {
        SimulatedDisk::new()
    }
}

impl SimulatedDisk {
    /// An empty disk of unlimited size.
    pub fn new() -> SimulatedDisk {
        SimulatedDisk { state: Arc::new(Mutex::new(Disk { next_file_id: 0x1000, ..Disk::default() })) }
    }

    /// A copy that shares nothing: the same programs can be tried on it again.
    pub fn fork(&self) -> SimulatedDisk {
        let mut copy = self.disk().clone();
        copy.locks.clear();
        SimulatedDisk { state: Arc::new(Mutex::new(copy)) }
    }

    /// Files may own so many bytes together from now on; `None` is unlimited.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        self.disk().now += by;
    }

    /// Changes a file as rot or an attacker would, past every cache and sync.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.inode_mut(path)?;
        change(&mut inode.bytes);
        inode.durable.clone_from(&inode.bytes);
        inode.dirty.clear();
        Ok(())
    }

    /// The bytes a running program sees in a file.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.disk().inode_mut(path)?.bytes.clone())
    }

    /// Everything that would be in doubt if the power went now.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        self.disk().unsynced()
    }

    /// What a failed sync does on a real system: what was not on the platter is still to be read, but
    /// counts as written; no later sync brings it there, only writing it again.
    pub fn forget_unsynced(&self) {
        for inode in self.disk().inodes.values_mut() {
            inode.dirty.clear();
        }
    }

    /// The disk as the next start finds it, `fate` deciding about everything un-synced.
    pub fn power_cut(&self, mut fate: impl FnMut(&Unsynced) -> Fate) -> SimulatedDisk {
        let mut disk = self.disk().clone();
        for what in disk.unsynced() {
            let fate = fate(&what);
            disk.settle(&what, fate);
        }
        disk.names.clone_from(&disk.durable_names);
        for (from, to) in std::mem::take(&mut disk.moved_dirs) {
            disk.dirs.remove(&to);
            disk.dirs.insert(from);
        }
        disk.locks.clear();
        for inode in disk.inodes.values_mut() {
            inode.bytes.clone_from(&inode.durable);
            inode.dirty.clear();
        }
        SimulatedDisk { state: Arc::new(Mutex::new(disk)) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn inode_mut(&mut self, path: &Path) -> io::Result<&mut Inode> {
        let inode = *self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound.into())
    }

    fn unsynced(&self) -> Vec<Unsynced> {
        let mut all = Vec::new();
        for (path, number) in &self.names {
            let inode = &self.inodes[number];
            if inode.bytes.len() != inode.durable.len() {
                all.push(Unsynced::Length { path: path.clone() });
            }
            all.extend(inode.dirty.iter().map(|sector| Unsynced::Sector { path: path.clone(), sector: *sector }));
        }
        let mut dirs: BTreeSet<PathBuf> =
            self.moved_dirs.iter().filter_map(|(from, _)| from.parent().map(Path::to_owned)).collect();
        for (path, inode) in &self.names {
            if self.durable_names.get(path) != Some(inode) {
                dirs.extend(path.parent().map(Path::to_owned));
            }
        }
        for path in self.durable_names.keys() {
            if !self.names.contains_key(path) {
                dirs.extend(path.parent().map(Path::to_owned));
            }
        }
        all.extend(dirs.into_iter().map(|dir| Unsynced::Names { dir }));
        all
    }

    fn settle(&mut self, what: &Unsynced, fate: Fate) {
        match what {
            Unsynced::Length { path } => {
                let number = self.names[path];
                let inode = self.inodes.get_mut(&number).expect("it has a name");
                if fate == Fate::Kept {
                    inode.durable.resize(inode.bytes.len(), 0);
                }
            }
            Unsynced::Sector { path, sector } => {
                let number = self.names[path];
                let inode = self.inodes.get_mut(&number).expect("it has a name");
                let start = sector * SECTOR_BYTES;
                let end = (start + SECTOR_BYTES).min(inode.durable.len());
                match fate {
                    _ if start >= end => {}
                    Fate::Kept => {
                        let end = end.min(inode.bytes.len());
                        inode.durable[start..end].copy_from_slice(&inode.bytes[start..end]);
                    }
                    Fate::Dropped => {}
                    Fate::Zeroed => inode.durable[start..end].fill(0),
                }
            }
            Unsynced::Names { dir } if fate == Fate::Kept => self.sync_names(dir),
            Unsynced::Names { .. } => {}
        }
    }

    fn sync_names(&mut self, dir: &Path) {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.moved_dirs).into_iter().partition(|(from, _)| from.parent() == Some(dir));
        self.moved_dirs = elsewhere;
        for (from, to) in here {
            move_names(&mut self.durable_names, &from, &to);
        }
        self.durable_names.retain(|path, _| path.parent() != Some(dir));
        for (path, inode) in &self.names {
            if path.parent() == Some(dir) {
                self.durable_names.insert(path.clone(), *inode);
            }
        }
    }

    /// Errs where `growth` more bytes do not fit.
    fn claim(&self, growth: u64) -> io::Result<()> {
        let Some(capacity) = self.capacity else {
            return Ok(());
        };
        let used: u64 = self.names.values().map(|inode| self.inodes[inode].bytes.len() as u64).sum();
        if used + growth > capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

fn move_names(names: &mut BTreeMap<PathBuf, u64>, from: &Path, to: &Path) {
    let moved: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
    for path in moved {
        let inode = names.remove(&path).expect("just listed");
        let rest = path.strip_prefix(from).expect("just filtered");
        names.insert(to.join(rest), inode);
    }
}

#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<Disk>>,
    inode: u64,
}

impl SimulatedFile {
    fn with<T>(&self, work: impl FnOnce(&mut Inode) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        work(disk.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?)
    }
}

#[derive(Debug)]
struct SimulatedLock {
    state: Arc<Mutex<Disk>>,
    path: PathBuf,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut disk = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        disk.locks.remove(&self.path);
    }
}

impl Storage for SimulatedDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let disk = self.disk();
        if disk.names.contains_key(dir) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let entries: Vec<Entry> = disk
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir))
            .filter_map(|(path, inode)| {
                Some(Entry { name: path.file_name()?.to_str()?.to_owned(), len: disk.inodes[inode].bytes.len() as u64 })
            })
            .collect();
        if entries.is_empty() && !disk.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk().dirs.insert(dir.to_owned());
        Ok(())
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Box<dyn StorageFile>> {
        let disk = self.disk();
        let inode = *disk.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimulatedFile { state: self.state.clone(), inode }))
    }

    fn create(&self, path: &Path, len: u64) -> io::Result<Box<dyn StorageFile>> {
        let mut disk = self.disk();
        disk.claim(len)?;
        let inode = disk.next_inode;
        disk.next_inode += 1;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let fresh = Inode { bytes: vec![0; len], ..Inode::default() };
        disk.inodes.insert(inode, fresh);
        disk.names.insert(path.to_owned(), inode);
        Ok(Box::new(SimulatedFile { state: self.state.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if let Some(inode) = disk.names.remove(from) {
            disk.names.insert(to.to_owned(), inode);
            return Ok(());
        }
        if disk.dirs.contains(from) {
            if disk.names.keys().any(|path| path.starts_with(to)) {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            move_names(&mut disk.names, from, to);
            disk.dirs.remove(from);
            disk.dirs.insert(to.to_owned());
            disk.moved_dirs.push((from.to_owned(), to.to_owned()));
            return Ok(());
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.disk().names.remove(path) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk().sync_names(dir);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut disk = self.disk();
        if !disk.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimulatedLock { state: self.state.clone(), path: path.to_owned() }))
    }

    fn file_id(&self) -> io::Result<u64> {
        let mut disk = self.disk();
        disk.next_file_id += 1;
        Ok(disk.next_file_id)
    }

    fn elapsed(&self) -> Duration {
        self.disk().now
    }
}

impl StorageFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|inode| Ok(inode.bytes.len() as u64))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|inode| {
            let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
            let source = start.checked_add(bytes.len()).and_then(|end| inode.bytes.get(start..end));
            bytes.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|inode| {
            let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
            let end = start + bytes.len();
            if inode.bytes.len() < end {
                inode.bytes.resize(end, 0);
            }
            inode.bytes[start..end].copy_from_slice(bytes);
            if !bytes.is_empty() {
                inode.dirty.extend(start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = disk.inodes[&self.inode].bytes.len() as u64;
        disk.claim(len.saturating_sub(now))?;
        let inode = disk.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        inode.bytes.resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|inode| {
            inode.durable.resize(inode.bytes.len(), 0);
            for sector in std::mem::take(&mut inode.dirty) {
                let start = (sector * SECTOR_BYTES).min(inode.bytes.len());
                let end = (start + SECTOR_BYTES).min(inode.bytes.len());
                inode.durable[start..end].copy_from_slice(&inode.bytes[start..end]);
            }
            Ok(())
        })
    }
}
