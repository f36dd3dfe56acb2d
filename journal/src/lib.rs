//! Bytes in total order: the append-only journal. It knows nothing of trading: a frame has a time, a
//! kind (a number), a stream (a number) and a payload (bytes).
//!
//! ```
//! use daybook_journal::{Draft, Journal, Options, Writer};
//! # let scratch = tempfile::tempdir().unwrap();
//! # let dir = &scratch.path().join("journal");
//! let mut writer = Writer::create(dir, Options::default())?;
//! let seq = writer.append(Draft { time: 1_700_000_000_000_000_000, kind: 7, ..Draft::default() }, b"hello")?;
//! writer.sync()?;                      // acknowledged from here on: no crash takes it
//! let head = writer.close()?;
//!
//! let journal = Journal::open(dir)?;
//! let mut cursor = journal.cursor(0);
//! while let Some(frame) = cursor.next()? {
//!     assert_eq!((frame.seq, frame.payload), (seq, &b"hello"[..]));
//! }
//! assert_eq!(journal.head(), head);
//! assert!(daybook_journal::verify(dir, None)?.is_sound());
//! # Ok::<(), daybook_journal::JournalError>(())
//! ```
//!
//! # The rooms
//! | to | go to |
//! |---|---|
//! | write | [`Writer`]: `append`, `commit`, `sync`, `commit_durable`, `append_reserved`, `seal`, `close`, `close_for_good` |
//! | read | [`Journal`], [`Cursor`], [`Merge`], [`Follow`], [`Headers`] |
//! | find | [`Journal::frame`], [`Journal::runs`], [`Journal::seek_time`], [`Index`] and [`catch_up`] |
//! | trust | [`verify`], [`Seal`], [`SealKey`], [`PublicKey`] |
//! | put away | [`archive()`], [`Archived`] |
//! | prove "on disk" by type | [`Durable`] |
//! | start in the middle | [`Snapshots`] |
//! | break it on purpose | [`storage::SimulatedDisk`], [`storage::Countdown`] |
//!
//! # The directory
//! ```text
//! JOURNAL/
//!   0000000000.segment   frames; 64 MiB each by default, preallocated, the last one trimmed at close
//!   0000000001.segment
//!   high-water           two slots: how far syncs have reached
//!   000000.seal          208 bytes, to be copied elsewhere
//!   reserve              a zeroed segment for the day the disk is full (live sessions)
//!   lock                 flock of the one writer
//!   cache/               sidecar, index, snapshots: may be deleted at any time
//! ```
//! Of a journal that was moved to an archive there stay its seals and the stub `archived`, which names the copy and
//! its head (see [`archive()`]); a directory with that file is archived, whatever else it holds.
//!
//! A journal is made complete in `.NAME.creating` beside it and then renamed: there is never half a one.
//!
//! # A segment, byte by byte
//! ```text
//!     0  header page (4096): magic, version, role, file id, number, capacity, first seq, seals before,
//!        time before, chain link, content hash of everything before, synced, CRC-32C
//!  4096  batch: frame frame frame … commit record [pad to the next 512]
//!        batch: frame … commit record [pad]
//!        batch: seal record, commit record, pad
//!   end  zeros
//!
//! frame   0 len u32 · 4 crc u32 · 8 seq u64 · 16 time i64 · 24 kind u16 · 26 schema u8 · 27 flags u8 ·
//!        28 stream u32 · 32 payload · zeros to a multiple of 8
//! commit  as a frame of kind 0xFFFF; its seq is the number of frames so far, its payload:
//!        32 synced frames u64 · 40 synced seals u64 · 48 seals u64 · 56 bytes of the batch u64 · 64 content hash 32
//! seal    kind 0xFFFE, its payload the 208 bytes of the seal file
//! pad     kind 0xFFFD, zeros
//! ```
//! All numbers are little-endian. `len` counts header and payload. The checksum is CRC-32C over
//! everything behind it, padding included, seeded with the segment's random file id and `len`: a frame
//! of another segment, or read at another length, does not verify. Control records take no seq.
//!
//! # The content chain
//! c(0) is 32 zero bytes, c(k+1) = blake3(c(k) ‖ frames 4096k … 4096k+4095), and the hash of the first
//! n frames is blake3(c(k) ‖ frames 4096k … n-1) with k = ⌊n / 4096⌋. A frame goes in as it lies on disk
//! with its checksum field zero. So the hash depends on the frames and on nothing else: not on batches,
//! segments, file ids, commit records, seals or pads. [`Head::content`] is that hash; two journals are
//! the same exactly if it is. The journal's id is the first half of the hash of frame 0.
//!
//! # What a crash can do
//! A batch is acknowledged when the `sync` that covers it returns. D, the acknowledged mark, is the most
//! that any of these says was synced: a slot of the high-water file, the header of a segment, a commit
//! record with a sound checksum, also one beyond damage. Each was written after the sync it speaks of,
//! so each is true. V is the last batch end that an unbroken walk reaches.
//!
//! 1. *The process dies.* What was committed is in the system's cache: V covers it. An open batch is
//!    lost; nobody was told of it.
//! 2. *The power goes while a batch is written.* Its sectors are there in any mix. The walk stops at the
//!    first record that does not verify; the batch is cut whole, as are all later ones, even those that
//!    would verify: they may build on what is gone.
//! 3. *The power goes while a sector is rewritten.* It may be lost with what it held before. So after
//!    every sync the next batch begins a new sector (the pad), segment headers and high-water slots are
//!    pages of their own, and of the two slots one is always durable and left alone.
//! 4. *A sync fails.* The system may count pages as written that are not. The writer stops; the next
//!    start copies everything between D and V to a new segment, syncs it, and only then zeroes the old
//!    place. It does so after every unclean end, for it cannot know why there was one.
//! 5. *The power goes during recovery.* The new segment got its name when it was complete and durable,
//!    and begins at D: it supersedes what it repeats, since a segment ends where the next one begins.
//!    The next recovery goes on from there.
//! 6. *The disk is full.* Segments own their blocks, so only a new segment can fail. The writer halts;
//!    [`Writer::append_reserved`] turns the reserve into the next segment, for exits, stops and cancels.
//! 7. *Bytes rot.* At or below D: refused, with file and offset (P4). In a sealed segment: found by the
//!    checksum of the frame when it is read, never served (P3). Above D: looks like 2; it was never
//!    acknowledged. The stated limit: rot that hits only what was acknowledged since the last durable
//!    claim, together with a crash that lost the later claims, looks like a torn tail.
//! 8. *Someone edits history*, with every checksum and hash recomputed: the seal does not fit, and
//!    nobody without the key makes another (P7).
//!
//! # What it assumes of the machine
//! `fdatasync` that returned means durable; a rename within a directory is atomic; a sector of 512 bytes
//! that is not being written keeps its bytes; no other program writes into the directory.

mod archive;
mod batch;
mod cache;
mod chain;
mod cursor;
mod durable;
mod error;
mod format;
mod high_water;
mod index;
mod journal;
mod merge;
mod options;
mod records;
mod recovery;
mod seal;
mod seal_files;
mod segment;
mod sidecar;
mod snapshots;
pub mod storage;
mod survey;
mod triple;
mod verify;
mod walk;
mod writer;

pub use archive::{Archived, Archiving, Moved, Step, archive, archive_on, leaves_when_archived};
pub use chain::{FRAMES_PER_LINK, Hash};
pub use cursor::{Cursor, Headers};
pub use durable::Durable;
pub use error::{JournalError, Result};
pub use format::{
    Draft, FRAME_HEADER_BYTES, Frame, FrameHeader, KIND_RESERVED, OwnedFrame, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_DEFAULT,
    flags,
};
pub use index::{CaughtUp, Entries, Index, IndexHead, MemoryIndex, SledIndex, catch_up};
pub use journal::{Follow, Journal};
pub use merge::Merge;
pub use options::{Head, Options, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use recovery::Recovery;
pub use seal::{PublicKey, SEAL_BYTES, SIGNATURE_BYTES, Seal, SealKey};
pub use segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES};
pub use sidecar::Run;
pub use snapshots::Snapshots;
pub use verify::{Verdict, Verified, verify, verify_on};
pub use writer::Writer;
