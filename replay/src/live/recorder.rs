//! The recorder: one total order of everything a live session was told and concluded, and the core that folds it.
//!
//! - An input is appended, then stepped through, then its outputs are appended: the frames of one step lie together.
//! - A restart replays the journal through a new core and compares; what a crash kept from being written of the last
//!   step is written then. Anything else that differs stops the restart: another program, other settings, other data.
//! - Must never: hand on an output whose frame was not appended, or step time back.

use super::pen::Pen;
use super::snapshots::{Saver, newest};
use crate::audit::AuditSink;
use crate::driver::{Sink, Source};
use crate::error::ReplayError;
use crate::recorded::Recorded;
use crate::session::{append, append_output};
use daybook_core::{Body, Core, Input, NO_STREAM, Outbox, Output, SessionHours, Slice};
use daybook_journal::{Durable, Head, SealKey, Snapshots, Writer};
use daybook_vocabulary::{
    BrokerAnswer, BrokerBook, BrokerFill, BrokerOrder, Candle, Cause, ClockJumped, Date, Depth, FeedState, Instrument,
    InstrumentId, Label, Nanos, OperatorCommand, PayloadBuffer, Quote, SessionClosed, SessionHeader, SessionOpened,
    SliceTaken, TakenUp, TradePrint,
};
use std::path::{Path, PathBuf};

/// Something a live session is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A candle closed.
    Candle(InstrumentId, Candle),
    /// A trade at the exchange.
    Print(InstrumentId, TradePrint),
    /// Best bid and ask.
    Quote(InstrumentId, Quote),
    /// Five price levels of each side.
    Depth(InstrumentId, Depth),
    /// The candles of a moment are in, or were waited for.
    Slice(SliceTaken),
    /// A trading session begins.
    SessionOpened(SessionOpened),
    /// It has ended.
    SessionClosed(SessionClosed),
    /// The operator says something.
    Command(OperatorCommand),
    /// The broker answered a request about an order of an instrument.
    Answer(InstrumentId, BrokerAnswer),
    /// A row of the broker's book of orders.
    BrokerOrder(InstrumentId, BrokerOrder),
    /// A trade of the account.
    BrokerFill(InstrumentId, BrokerFill),
    /// The broker's books, complete.
    BrokerBook(BrokerBook),
    /// This process began on a session of before.
    TakenUp(TakenUp),
}

impl Heard {
    /// What another source says, to be journaled here. `time` is when it is said.
    pub fn of(body: &Body<'_>, time: Nanos, session: Option<Date>) -> Option<Self> {
        Some(match *body {
            Body::Candle(id, candle) => Self::Candle(id, *candle),
            Body::Print(id, print) => Self::Print(id, *print),
            Body::Quote(id, quote) => Self::Quote(id, *quote),
            Body::Depth(id, depth) => Self::Depth(id, *depth),
            Body::Slice(slice) => Self::Slice(SliceTaken { interval: slice.interval, at: time }),
            Body::SessionOpened(hours) => {
                let SessionHours { date, open, close } = hours;
                Self::SessionOpened(SessionOpened { date, open, close })
            }
            Body::SessionClosed => Self::SessionClosed(SessionClosed { date: session? }),
            Body::Command(command) => Self::Command(OperatorCommand { command, source: Label::new("replayed") }),
            // What a broker said was said to one session, and is none of another's.
            Body::Answer(_) | Body::BrokerOrder(_) | Body::BrokerFill(..) | Body::BrokerBook(_) | Body::TakenUp => {
                return None;
            }
        })
    }

    /// The instrument it concerns, or none.
    const fn stream(&self) -> InstrumentId {
        match self {
            Self::Candle(id, _) | Self::Print(id, _) | Self::Quote(id, _) | Self::Depth(id, _) => *id,
            Self::Answer(id, _) | Self::BrokerOrder(id, _) | Self::BrokerFill(id, _) => *id,
            _ => NO_STREAM,
        }
    }

    /// What the core is told.
    const fn body(&self) -> Body<'_> {
        match self {
            Self::Candle(id, candle) => Body::Candle(*id, candle),
            Self::Print(id, print) => Body::Print(*id, print),
            Self::Quote(id, quote) => Body::Quote(*id, quote),
            Self::Depth(id, depth) => Body::Depth(*id, depth),
            Self::Slice(slice) => Body::Slice(Slice { interval: slice.interval }),
            Self::SessionOpened(session) => {
                let SessionOpened { date, open, close } = *session;
                Body::SessionOpened(SessionHours { date, open, close })
            }
            Self::SessionClosed(_) => Body::SessionClosed,
            Self::Command(order) => Body::Command(order.command),
            Self::Answer(_, answer) => Body::Answer(answer),
            Self::BrokerOrder(_, row) => Body::BrokerOrder(row),
            Self::BrokerFill(id, fill) => Body::BrokerFill(*id, fill),
            Self::BrokerBook(book) => Body::BrokerBook(book),
            Self::TakenUp(_) => Body::TakenUp,
        }
    }
}

/// Journals a live session and folds it.
pub struct Recorder {
    writer: Pen,
    core: Core,
    out: Outbox,
    buffer: PayloadBuffer,
    path: PathBuf,
    /// Time of the last frame.
    now: Nanos,
    /// The session that is open.
    session: Option<SessionOpened>,
    /// Takes states on the way.
    saver: Option<Saver>,
}

impl Recorder {
    /// Begins a session: its header, then the instruments it trades, by id.
    pub fn begin(
        path: PathBuf,
        writer: Writer,
        header: &SessionHeader,
        instruments: &[Instrument],
        begins: Nanos,
        core: Core,
    ) -> Result<Self, ReplayError> {
        let (mut writer, mut buffer) = (Pen::new(writer), PayloadBuffer::new());
        append(&mut writer, &mut buffer, begins, NO_STREAM.0, header)?;
        for (id, instrument) in instruments.iter().enumerate() {
            append(&mut writer, &mut buffer, begins, id as u32, instrument)?;
        }
        writer.sync()?;
        Ok(Self { writer, core, out: Outbox::new(), buffer, path, now: begins, session: None, saver: None })
    }

    /// Takes a session up where its journal ends. `core` is new and comes to the state the journal leads to; `writer` is
    /// the journal's, opened anew.
    pub fn resume(recorded: &Recorded, writer: Writer, core: Core) -> Result<Self, ReplayError> {
        Self::resume_at(recorded, writer, core, recorded.outputs)
    }

    /// The same from the newest state on the way that is of these frames, where there is one: what comes before it is not
    /// replayed; `audit` does that.
    pub fn resume_from(
        recorded: &Recorded,
        writer: Writer,
        new_core: impl Fn() -> Result<Core, ReplayError>,
        store: &Snapshots,
    ) -> Result<Self, ReplayError> {
        if let Some((seq, saved)) = newest(recorded, store) {
            let mut core = new_core()?;
            // A state that does not fit is a cache that is out of date: the journal leads there as well.
            if core.load(&saved.core).is_ok() {
                tracing::info!(seq, frames = recorded.until, "taken up from a state on the way");
                return Self::resume_at(recorded, writer, core, seq);
            }
        }
        Self::resume(recorded, writer, new_core()?)
    }

    /// `core` was restored to a state on the way, and `from` is the frame behind it.
    fn resume_at(recorded: &Recorded, writer: Writer, mut core: Core, from: u64) -> Result<Self, ReplayError> {
        let mut nothing = |_| ();
        let mut check = AuditSink::new(recorded, from, &mut nothing).that_may_end_early();
        let mut source = recorded.inputs_from(from);
        let mut now = recorded.begun.max(core.now());
        let mut session = core.session().map(|SessionHours { date, open, close }| SessionOpened { date, open, close });
        let mut out = Outbox::new();
        // Not through `run`, which ends a session with a last digest: this one goes on.
        while source.advance()? {
            let input = source.input();
            now = input.time;
            match input.body {
                Body::SessionOpened(SessionHours { date, open, close }) => {
                    session = Some(SessionOpened { date, open, close });
                }
                Body::SessionClosed => session = None,
                _ => {}
            }
            let mut agrees = check.begin(&input)?;
            core.step(&input, &mut out)?;
            agrees = agrees && check.commit(now, &mut out)?;
            out.clear();
            if !agrees {
                break;
            }
        }
        let owed = check.owed(&recorded.path)?;
        let (path, writer) = (recorded.path.clone(), Pen::new(writer));
        let mut recorder = Self { writer, core, out, buffer: PayloadBuffer::new(), path, now, session, saver: None };
        owed.iter().try_for_each(|output| recorder.append(output))?;
        recorder.writer.sync()?;
        Ok(recorder)
    }

    /// Journals what was heard, steps the core through it and journals what follows; hands that back.
    pub fn hear(&mut self, time: Nanos, heard: &Heard) -> Result<&[Output], ReplayError> {
        assert!(time >= self.now, "the journal of a live session never steps back in time");
        self.now = time;
        let seq = self.writer.next_seq();
        let (writer, buffer, stream) = (&mut self.writer, &mut self.buffer, heard.stream().0);
        match heard {
            Heard::Candle(_, candle) => append(writer, buffer, time, stream, candle)?,
            Heard::Print(_, print) => append(writer, buffer, time, stream, print)?,
            Heard::Quote(_, quote) => append(writer, buffer, time, stream, quote)?,
            Heard::Depth(_, depth) => append(writer, buffer, time, stream, depth)?,
            Heard::Slice(slice) => append(writer, buffer, time, stream, slice)?,
            Heard::SessionOpened(session) => {
                append(writer, buffer, time, stream, session)?;
                self.session = Some(*session);
            }
            Heard::SessionClosed(session) => {
                append(writer, buffer, time, stream, session)?;
                self.session = None;
            }
            Heard::Command(command) => append(writer, buffer, time, stream, command)?,
            Heard::Answer(_, answer) => append(writer, buffer, time, stream, answer)?,
            Heard::BrokerOrder(_, row) => append(writer, buffer, time, stream, row)?,
            Heard::BrokerFill(_, fill) => append(writer, buffer, time, stream, fill)?,
            Heard::BrokerBook(book) => append(writer, buffer, time, stream, book)?,
            Heard::TakenUp(taken) => append(writer, buffer, time, stream, taken)?,
        }
        self.out.clear();
        let input = Input { cause: Cause { rank: 0, seq }, time, body: heard.body() };
        self.core.step(&input, &mut self.out)?;
        self.write_outputs()?;
        Ok(self.out.outputs())
    }

    /// Journals that the clock stepped: the session's time does not step back.
    pub fn note_jump(&mut self, time: Nanos, jump: &ClockJumped) -> Result<(), ReplayError> {
        self.now = time.max(self.now);
        append(&mut self.writer, &mut self.buffer, self.now, NO_STREAM.0, jump)
    }

    /// Journals what the core is not told: what became of the feed. A replay steps over it.
    pub fn note(&mut self, time: Nanos, state: &FeedState) -> Result<(), ReplayError> {
        self.now = time.max(self.now);
        append(&mut self.writer, &mut self.buffer, self.now, NO_STREAM.0, state)
    }

    /// Leaves the session as it stands, all of it durable: it can be taken up again.
    pub fn leave(mut self) -> Result<Head, ReplayError> {
        self.writer.sync()?;
        Ok(self.writer.close()?)
    }

    /// Closes the batch: a reader sees it, a crash of the machine may still take it.
    pub fn commit(&mut self) -> Result<(), ReplayError> {
        self.writer.commit()?;
        if let Some(saver) = &mut self.saver {
            saver.offer(&self.core, self.now, || self.writer.head());
        }
        Ok(())
    }

    /// Takes states on the way from now on.
    pub fn keep_snapshots(&mut self, saver: Saver) {
        self.saver = Some(saver);
    }

    /// Makes everything so far durable, and hands back the proof of it for each of `items` (P1).
    pub fn make_durable<T>(&mut self, items: Vec<T>) -> Result<Vec<Durable<T>>, ReplayError> {
        Ok(self.writer.commit_durable(items)?)
    }

    /// True once the disk was full: what is written lies in the reserve, which is for what takes no new risk (P6).
    pub fn is_on_reserve(&self) -> bool {
        self.writer.on_reserve()
    }

    /// The core, to look at.
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// The session that is open.
    pub const fn session(&self) -> Option<SessionOpened> {
        self.session
    }

    /// Time of the last frame.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// Ends the session: a last digest, a seal where a key is given, and a clean close.
    pub fn end(mut self, seal: Option<&SealKey>) -> Result<Head, ReplayError> {
        self.out.clear();
        self.core.finish(&mut self.out);
        self.write_outputs()?;
        if let Some(key) = seal {
            self.writer.seal(key)?;
        }
        Ok(self.writer.close_for_good()?)
    }

    fn write_outputs(&mut self) -> Result<(), ReplayError> {
        let outputs = std::mem::take(&mut self.out);
        let written = outputs.outputs().iter().try_for_each(|output| self.append(output));
        self.out = outputs;
        written
    }

    fn append(&mut self, output: &Output) -> Result<(), ReplayError> {
        append_output(&mut self.writer, &mut self.buffer, self.now, output)
    }

    /// Where the journal lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
