//! The high-water file: how far syncs have reached, in two slots.
//!
//! - A slot is written after a sync of the segments has succeeded, so whatever it claims is true,
//!   even where the slot itself has not reached the platter.
//! - Of the two slots one is durable and left alone, the other is rewritten until it is made
//!   durable in turn. A power cut can tear one slot, never both.
//! - Must never: be rewritten in its durable slot, or claim what no sync has covered.
//!
//! ```text
//! two pages of 4096: magic 8 · slot 8 · generation 8 · frames 8 · seals 8 · hash 32 · zeros · CRC-32C 4
//! ```

use crate::chain::Hash;
use crate::error::{JournalError, Result};
use crate::format::{Mark, is_zero, u32_at, u64_at};
use crate::storage::{Storage, StorageFile};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const HIGH_WATER_NAME: &str = "high-water";
pub(crate) const SLOT_BYTES: usize = 4096;
pub(crate) const HIGH_WATER_BYTES: usize = 2 * SLOT_BYTES;
/// The scratch slot becomes the durable one this often.
const DURABLE_EVERY: Duration = Duration::from_secs(1);
const MAGIC: &[u8; 8] = b"highwatr";
const CRC_AT: usize = SLOT_BYTES - 4;

/// What one slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub generation: u64,
    pub mark: Mark,
    pub content: Hash,
}

impl Slot {
    fn encode(&self, index: usize) -> [u8; SLOT_BYTES] {
        let mut page = [0u8; SLOT_BYTES];
        page[..8].copy_from_slice(MAGIC);
        page[8..16].copy_from_slice(&(index as u64).to_le_bytes());
        page[16..24].copy_from_slice(&self.generation.to_le_bytes());
        page[24..32].copy_from_slice(&self.mark.frames.to_le_bytes());
        page[32..40].copy_from_slice(&self.mark.seals.to_le_bytes());
        page[40..72].copy_from_slice(&self.content.0);
        let crc = crc32c::crc32c(&page[..CRC_AT]);
        page[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        page
    }

    fn decode(page: &[u8], index: usize) -> Option<Slot> {
        let sound = page[..8] == *MAGIC
            && u64_at(page, 8) == index as u64
            && crc32c::crc32c(&page[..CRC_AT]) == u32_at(page, CRC_AT)
            && is_zero(&page[72..CRC_AT]);
        sound.then(|| Slot {
            generation: u64_at(page, 16),
            mark: Mark { frames: u64_at(page, 24), seals: u64_at(page, 32) },
            content: Hash(page[40..72].try_into().expect("32 bytes")),
        })
    }
}

/// Both slots as they are; `None` where one does not verify.
pub(crate) type Slots = [Option<Slot>; 2];

/// Reads both slots. No crash damages both, so that is an error.
pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> Result<Slots> {
    let path = dir.join(HIGH_WATER_NAME);
    let slots = read_raw(storage, &path)?;
    if slots == [None, None] {
        let reason = "neither slot of the high-water file verifies, which no crash can cause";
        return Err(JournalError::damaged(&path, 0, 0, reason));
    }
    Ok(slots)
}

pub(crate) fn read_raw(storage: &dyn Storage, path: &Path) -> Result<Slots> {
    let file = match storage.open(path, false) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let reason = "the high-water file is missing";
            return Err(JournalError::damaged(path, 0, 0, reason));
        }
        other => other.map_err(JournalError::io("open", path))?,
    };
    let mut slots = [None, None];
    let len = file.len().map_err(JournalError::io("read", path))?;
    for (index, slot) in slots.iter_mut().enumerate() {
        let offset = (index * SLOT_BYTES) as u64;
        let mut page = [0u8; SLOT_BYTES];
        if offset + SLOT_BYTES as u64 <= len {
            file.read_at(&mut page, offset).map_err(JournalError::io("read", path))?;
        }
        *slot = Slot::decode(&page, index);
    }
    Ok(slots)
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct HighWater {
    file: Box<dyn StorageFile>,
    path: PathBuf,
    generation: u64,
    /// The slot that is known to be on the platter.
    durable: usize,
    durable_mark: Mark,
    last: Option<Slot>,
    durable_at: Duration,
}

impl HighWater {
    /// Makes the file with both slots saying "nothing"; durable where that is wanted from the start.
    pub(crate) fn create(storage: &dyn Storage, dir: &Path, content: Hash, durable: bool) -> Result<HighWater> {
        let path = dir.join(HIGH_WATER_NAME);
        let file = storage.create(&path, HIGH_WATER_BYTES as u64).map_err(JournalError::io("create", &path))?;
        let mut high_water = HighWater {
            file,
            path,
            generation: 0,
            durable: 1,
            durable_mark: Mark::default(),
            last: None,
            durable_at: storage.elapsed(),
        };
        if durable {
            high_water.write_both(storage, Mark::default(), content)?;
        } else {
            high_water.fill_both(Mark::default(), content)?;
        }
        Ok(high_water)
    }

    /// Opens the file after recovery; both slots are made to say `mark`.
    ///
    /// Of two sound slots the older is the one to be left alone first: the newer may be in the
    /// system's cache only (its writer died before it was synced), and while it was written, the
    /// older was durable. Were the older rewritten first, a power cut could tear both.
    pub(crate) fn reopen(
        storage: &dyn Storage,
        dir: &Path,
        slots: &Slots,
        mark: Mark,
        content: Hash,
    ) -> Result<HighWater> {
        let path = dir.join(HIGH_WATER_NAME);
        let file = storage.open(&path, true).map_err(JournalError::io("open", &path))?;
        let generation = |index: usize| slots[index].map_or(0, |slot: Slot| slot.generation);
        let durable = match slots {
            [Some(_), None] => 0,
            [None, Some(_)] => 1,
            [Some(one), Some(other)] => usize::from(other.generation < one.generation),
            [None, None] => unreachable!("read() refuses two damaged slots"),
        };
        let mut high_water = HighWater {
            file,
            path,
            generation: generation(0).max(generation(1)),
            durable,
            durable_mark: mark,
            last: None,
            durable_at: storage.elapsed(),
        };
        let settled = slots.iter().all(|slot| slot.is_some_and(|slot| slot.mark == mark && slot.content == content));
        if !settled {
            high_water.write_both(storage, mark, content)?;
        }
        Ok(high_water)
    }

    /// Notes that a sync has covered `mark`; durable by itself at most once a second.
    pub(crate) fn raise(&mut self, storage: &dyn Storage, mark: Mark, content: Hash) -> Result<()> {
        let slot = self.write_scratch(mark, content)?;
        if storage.elapsed().saturating_sub(self.durable_at) >= DURABLE_EVERY {
            self.settle(storage, slot.mark)?;
        }
        Ok(())
    }

    /// Both slots say `mark`, and are durable.
    pub(crate) fn write_both(&mut self, storage: &dyn Storage, mark: Mark, content: Hash) -> Result<()> {
        for _ in 0..2 {
            self.write_scratch(mark, content)?;
            self.settle(storage, mark)?;
        }
        Ok(())
    }

    /// Both slots say `mark` and are durable, of a file that was not durable before: neither slot has anything to lose,
    /// so one sync does for both.
    pub(crate) fn write_first(&mut self, storage: &dyn Storage, mark: Mark, content: Hash) -> Result<()> {
        self.fill_both(mark, content)?;
        self.file.sync().map_err(JournalError::io("sync", &self.path))?;
        self.durable_mark = mark;
        self.durable_at = storage.elapsed();
        Ok(())
    }

    fn fill_both(&mut self, mark: Mark, content: Hash) -> Result<()> {
        for _ in 0..2 {
            self.write_scratch(mark, content)?;
            self.durable = 1 - self.durable;
        }
        Ok(())
    }

    fn write_scratch(&mut self, mark: Mark, content: Hash) -> Result<Slot> {
        assert!(mark.covers(self.durable_mark), "the high-water never falls below what is durable");
        self.generation += 1;
        let slot = Slot { generation: self.generation, mark, content };
        let index = 1 - self.durable;
        self.file
            .write_at(&slot.encode(index), (index * SLOT_BYTES) as u64)
            .map_err(JournalError::io("write", &self.path))?;
        self.last = Some(slot);
        Ok(slot)
    }

    /// Syncs the file; the slot just written is the durable one from now on.
    fn settle(&mut self, storage: &dyn Storage, mark: Mark) -> Result<()> {
        assert!(self.last.is_some(), "something was written");
        self.file.sync().map_err(JournalError::io("sync", &self.path))?;
        self.durable = 1 - self.durable;
        self.durable_mark = mark;
        self.durable_at = storage.elapsed();
        Ok(())
    }
}
