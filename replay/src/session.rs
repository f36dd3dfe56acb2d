//! The sink of a session: outputs become frames of its own journal.
//!
//! - One frame per output, in the order in which the core said them; `seq` is theirs from then on.
//! - The same outputs give the same frames: there is no clock, path or random id in any of them.

use crate::driver::{CHECK_EVERY, Position, Sink, Source};
use crate::error::ReplayError;
use daybook_core::{Core, Outbox, Output};
use daybook_journal::{Draft, JournalError, Snapshots, Writer};
use daybook_vocabulary::{Hash, Instrument, Nanos, Payload, PayloadBuffer, SessionHeader};
use serde::{Deserialize, Serialize};

/// Frames after which a batch is closed.
const BATCH_FRAMES: u32 = 4_096;

/// Called between batches with the inputs stepped through so far, to tell a person how far things are.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// Whether and where states are saved on the way.
#[derive(Debug, Clone)]
pub struct Snapshotting {
    /// Where they are kept.
    pub store: Snapshots,
    /// Inputs between two of them; none when zero.
    pub every: u64,
}

/// A state on the way: everything needed to go on from here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The core's state.
    pub core: Vec<u8>,
    /// Where the source stood.
    pub source: Position,
    /// Content hash of the session's own journal up to here, where it holds its inputs: a live journal may lose its tail
    /// to a crash and go on otherwise.
    pub content: Option<Hash>,
}

impl Saved {
    /// What a snapshot of this session is filed under: everything the session depends on is in its header.
    pub fn key(header: &SessionHeader) -> daybook_journal::Hash {
        let mut bytes = PayloadBuffer::new();
        header.encode(&mut bytes);
        daybook_journal::Hash(*blake3::hash(&bytes).as_bytes())
    }
}

/// Writes a session's outputs to its journal.
pub struct SessionSink<'a> {
    writer: Writer,
    key: daybook_journal::Hash,
    snapshots: Snapshotting,
    next_snapshot: u64,
    buffer: PayloadBuffer,
    in_batch: u32,
    progress: Progress<'a>,
}

impl<'a> SessionSink<'a> {
    /// Begins a session: its header, then the instruments it trades, by id.
    pub fn begin(
        mut writer: Writer,
        header: &SessionHeader,
        instruments: &[Instrument],
        begins: Nanos,
        snapshots: Snapshotting,
        progress: Progress<'a>,
    ) -> Result<Self, ReplayError> {
        let mut buffer = PayloadBuffer::new();
        append(&mut writer, &mut buffer, begins, daybook_core::NO_STREAM.0, header)?;
        for (id, instrument) in instruments.iter().enumerate() {
            append(&mut writer, &mut buffer, begins, id as u32, instrument)?;
        }
        let next_snapshot = if snapshots.every == 0 { u64::MAX } else { snapshots.every };
        Ok(Self { writer, key: Saved::key(header), snapshots, next_snapshot, buffer, in_batch: 0, progress })
    }

    /// How often it wants a checkpoint.
    pub fn check_every(&self) -> u64 {
        self.next_snapshot.min(CHECK_EVERY)
    }

    /// Closes the last batch and hands the writer back.
    pub fn end(mut self) -> Result<Writer, ReplayError> {
        self.writer.commit()?;
        Ok(self.writer)
    }
}

/// What frames are appended to.
pub(crate) trait Appends {
    /// Appends a frame.
    fn put(&mut self, draft: Draft, payload: &[u8]) -> Result<(), JournalError>;
}

impl Appends for Writer {
    #[inline]
    fn put(&mut self, draft: Draft, payload: &[u8]) -> Result<(), JournalError> {
        self.append(draft, payload).map(drop)
    }
}

/// Appends one payload as a frame.
pub(crate) fn append<P: Payload>(
    writer: &mut impl Appends,
    buffer: &mut PayloadBuffer,
    time: Nanos,
    stream: u32,
    payload: &P,
) -> Result<(), ReplayError> {
    buffer.clear();
    payload.encode(buffer);
    let draft = Draft { time: time.0, kind: P::KIND.number(), schema: P::SCHEMA, flags: 0, stream };
    writer.put(draft, buffer)?;
    Ok(())
}

/// Appends one output of the core as a frame.
#[inline]
pub(crate) fn append_output(
    writer: &mut impl Appends,
    buffer: &mut PayloadBuffer,
    time: Nanos,
    output: &Output,
) -> Result<(), ReplayError> {
    buffer.clear();
    let schema = output.body.encode(buffer);
    let kind = output.body.kind().number();
    let draft = Draft { time: time.0, kind, schema, flags: 0, stream: output.stream.0 };
    writer.put(draft, buffer)?;
    Ok(())
}

impl Sink for SessionSink<'_> {
    #[inline]
    fn commit(&mut self, time: Nanos, out: &mut Outbox) -> Result<bool, ReplayError> {
        for output in out.outputs() {
            append_output(&mut self.writer, &mut self.buffer, time, output)?;
            self.in_batch += 1;
        }
        if self.in_batch >= BATCH_FRAMES {
            self.in_batch = 0;
            self.writer.commit()?;
        }
        Ok(true)
    }

    fn checkpoint(&mut self, core: &Core, source: &dyn Source) -> Result<(), ReplayError> {
        let inputs = core.counts().inputs;
        (self.progress)(inputs);
        if inputs < self.next_snapshot {
            return Ok(());
        }
        self.next_snapshot = self.next_snapshot.saturating_add(self.snapshots.every);
        let mut saved = Saved { core: Vec::new(), source: source.position(), content: None };
        core.save(&mut saved.core);
        let bytes = postcard::to_stdvec(&saved).expect("a state is plain data");
        // A cache that cannot be written is done without.
        if let Err(error) = self.snapshots.store.save(self.key, self.writer.next_seq(), &bytes) {
            tracing::warn!("no snapshot was saved: {error}");
        }
        Ok(())
    }
}
