//! The sink of a session: outputs become frames of its own journal.
//!
//! - One frame per output, in the order in which the core said them; `seq` is theirs from then on.
//! - The same outputs give the same frames: there is no clock, path or random id in any of them.

use crate::driver::Sink;
use crate::error::ReplayError;
use crate::history::HistorySource;
use daybook_core::{Core, Outbox};
use daybook_journal::{Draft, Writer};
use daybook_vocabulary::{Instrument, Nanos, Payload, PayloadBuffer, SessionHeader};

/// Frames after which a batch is closed.
const BATCH_FRAMES: u32 = 4_096;

/// Called between batches with the inputs stepped through so far, to tell a person how far things are.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// Writes a session's outputs to its journal.
pub struct SessionSink<'a> {
    writer: Writer,
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
        progress: Progress<'a>,
    ) -> Result<Self, ReplayError> {
        let mut buffer = PayloadBuffer::new();
        append(&mut writer, &mut buffer, begins, daybook_core::NO_STREAM.0, header)?;
        for (id, instrument) in instruments.iter().enumerate() {
            append(&mut writer, &mut buffer, begins, id as u32, instrument)?;
        }
        Ok(Self { writer, buffer, in_batch: 0, progress })
    }

    /// Closes the last batch and hands the writer back.
    pub fn end(mut self) -> Result<Writer, ReplayError> {
        self.writer.commit()?;
        Ok(self.writer)
    }
}

fn append<P: Payload>(
    writer: &mut Writer,
    buffer: &mut PayloadBuffer,
    time: Nanos,
    stream: u32,
    payload: &P,
) -> Result<(), ReplayError> {
    buffer.clear();
    payload.encode(buffer);
    let draft = Draft { time: time.0, kind: P::KIND.number(), schema: P::SCHEMA, flags: 0, stream };
    writer.append(draft, buffer)?;
    Ok(())
}

impl Sink for SessionSink<'_> {
    #[inline]
    fn commit(&mut self, time: Nanos, out: &mut Outbox) -> Result<bool, ReplayError> {
        for output in out.outputs() {
            self.buffer.clear();
            let schema = output.body.encode(&mut self.buffer);
            let kind = output.body.kind().number();
            let draft = Draft { time: time.0, kind, schema, flags: 0, stream: output.stream.0 };
            self.writer.append(draft, &self.buffer)?;
            self.in_batch += 1;
        }
        if self.in_batch >= BATCH_FRAMES {
            self.in_batch = 0;
            self.writer.commit()?;
        }
        Ok(true)
    }

    fn checkpoint(&mut self, core: &Core, _: &HistorySource) -> Result<(), ReplayError> {
        (self.progress)(core.counts().inputs);
        Ok(())
    }
}
