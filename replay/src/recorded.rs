//! A session's own journal, and the inputs in it as a source.
//!
//! - A live session journals what it was told in the order in which the core was told it: market data, sessions, decision
//!   points, commands. Replaying it needs neither calendar nor clock nor any other journal.
//! - An input's cause is its own frame: rank 0, its seq.
//! - Outputs are stepped over here; comparing them is the audit's.

use crate::catalog::decode;
use crate::driver::{Position, Source};
use crate::error::ReplayError;
use daybook_core::{Body, Input, SessionHours, Slice};
use daybook_journal::{Cursor, Journal};
use daybook_vocabulary::{
    BrokerAnswer, BrokerBook, BrokerFill, BrokerOrder, Candle, Cause, Command, Depth, Event, Hash, InputJournal,
    Instrument, InstrumentId, Kind, Nanos, Quote, SessionHeader, SessionMode, TradePrint,
};
use std::path::{Path, PathBuf};

/// A session's journal: header, instruments, and where the rest begins.
pub struct Recorded {
    /// Where it lies.
    pub path: PathBuf,
    /// The journal.
    pub journal: Journal,
    /// Its header.
    pub header: SessionHeader,
    /// Its instruments, by id.
    pub instruments: Vec<Instrument>,
    /// Sequence number of the first frame behind the instruments.
    pub outputs: u64,
    /// When it began.
    pub begun: Nanos,
    /// Frames of it that count; a longer journal is read up to here.
    pub until: u64,
}

impl Recorded {
    /// Opens a session's journal.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        Self::open_until(path, u64::MAX)
    }

    /// Opens a session's journal as it was when it held `frames` frames.
    pub fn open_until(path: &Path, frames: u64) -> Result<Self, ReplayError> {
        let journal = Journal::open(path)?;
        let until = journal.head().frames.min(frames);
        let not_a_run = |reason: &str| ReplayError::NotARun { run: path.to_owned(), reason: reason.to_owned() };
        let mut cursor = journal.cursor(0);
        let mut begun = Nanos::MIN;
        let first = cursor.next()?.map(|frame| {
            begun = Nanos(frame.time);
            decode(path, frame)
        });
        let header = match first.transpose()? {
            Some(Event::SessionHeader(header)) => header,
            Some(_) => return Err(not_a_run("it is a journal of history, not of a session")),
            None => return Err(not_a_run("its journal is empty")),
        };
        let mut instruments = Vec::new();
        while let Some(frame) = cursor.next()? {
            match decode(path, frame)? {
                Event::Instrument(instrument) => instruments.push(instrument),
                _ => break,
            }
        }
        let outputs = 1 + instruments.len() as u64;
        Ok(Self { path: path.to_owned(), journal, header, instruments, outputs, begun, until })
    }

    /// True where its own journal holds what it was told: sessions on a live market.
    pub fn holds_its_inputs(&self) -> bool {
        matches!(self.header.mode, SessionMode::Paper | SessionMode::Live)
    }

    /// What it was told, from the start.
    pub fn inputs(&self) -> RecordedSource {
        self.inputs_from(self.outputs)
    }

    /// What it was told, from a frame on.
    pub fn inputs_from(&self, seq: u64) -> RecordedSource {
        RecordedSource::new(&self.path, self.journal.cursor(seq).until(self.until))
    }

    /// How a session that reads its recorded market names it: the input of rank 0, whose frames causes of rank 0 are.
    pub fn as_input(&self) -> Result<InputJournal, ReplayError> {
        let id = self.journal.id().map(|id| crate::catalog::hex(&id)).unwrap_or_default();
        let content = Hash(self.journal.content_at(self.until)?.0);
        Ok(InputJournal { rank: 0, id, last_seq: self.until.saturating_sub(1), content })
    }
}

/// The inputs of a session's own journal.
pub struct RecordedSource {
    /// The input that was moved to comes once more.
    again: bool,
    cursor: Cursor,
    path: PathBuf,
    cause: Cause,
    time: Nanos,
    held: Held,
}

/// The input that is lent out.
enum Held {
    Candle(InstrumentId, Candle),
    Print(InstrumentId, TradePrint),
    Quote(InstrumentId, Quote),
    Depth(InstrumentId, Depth),
    Slice(Slice),
    SessionOpened(SessionHours),
    SessionClosed,
    Command(Command),
    Answer(BrokerAnswer),
    BrokerOrder(BrokerOrder),
    BrokerFill(InstrumentId, BrokerFill),
    BrokerBook(BrokerBook),
    TakenUp,
}

impl RecordedSource {
    fn new(path: &Path, cursor: Cursor) -> Self {
        let (cause, time) = (Cause::default(), Nanos::MIN);
        Self { again: false, cursor, path: path.to_owned(), cause, time, held: Held::SessionClosed }
    }
}

impl RecordedSource {
    /// Takes the last step back: [`Source::advance`] moves to the same input once more.
    pub(crate) const fn again(&mut self) {
        self.again = true;
    }
}

impl Source for RecordedSource {
    fn advance(&mut self) -> Result<bool, ReplayError> {
        if std::mem::take(&mut self.again) {
            return Ok(true);
        }
        while self.cursor.advance()? {
            let frame = self.cursor.frame();
            if Kind::from_number(frame.kind).is_some_and(Kind::is_output) {
                continue;
            }
            let (seq, time, stream) = (frame.seq, frame.time, frame.stream);
            let event = decode(&self.path, frame)?;
            let Some(held) = hold(event, InstrumentId(stream)) else { continue };
            self.cause = Cause { rank: 0, seq };
            self.time = Nanos(time);
            self.held = held;
            return Ok(true);
        }
        Ok(false)
    }

    fn input(&self) -> Input<'_> {
        let body = match &self.held {
            Held::Candle(id, candle) => Body::Candle(*id, candle),
            Held::Print(id, print) => Body::Print(*id, print),
            Held::Quote(id, quote) => Body::Quote(*id, quote),
            Held::Depth(id, depth) => Body::Depth(*id, depth),
            Held::Slice(slice) => Body::Slice(*slice),
            Held::SessionOpened(hours) => Body::SessionOpened(*hours),
            Held::SessionClosed => Body::SessionClosed,
            Held::Command(command) => Body::Command(*command),
            Held::Answer(answer) => Body::Answer(answer),
            Held::BrokerOrder(row) => Body::BrokerOrder(row),
            Held::BrokerFill(id, fill) => Body::BrokerFill(*id, fill),
            Held::BrokerBook(book) => Body::BrokerBook(book),
            Held::TakenUp => Body::TakenUp,
        };
        Input { cause: self.cause, time: self.time, body }
    }

    fn position(&self) -> Position {
        Position::Recorded(self.cursor.next_seq())
    }
}

/// What the core is told by an event; nothing by what frames a journal.
fn hold(event: Event, stream: InstrumentId) -> Option<Held> {
    Some(match event {
        Event::Candle(candle) => Held::Candle(stream, candle),
        Event::TradePrint(print) => Held::Print(stream, print),
        Event::Quote(quote) => Held::Quote(stream, quote),
        Event::Depth(depth) => Held::Depth(stream, depth),
        Event::SliceTaken(slice) => Held::Slice(Slice { interval: slice.interval }),
        Event::SessionOpened(session) => {
            Held::SessionOpened(SessionHours { date: session.date, open: session.open, close: session.close })
        }
        Event::SessionClosed(_) => Held::SessionClosed,
        Event::OperatorCommand(order) => Held::Command(order.command),
        Event::BrokerAnswer(answer) => Held::Answer(answer),
        Event::BrokerOrder(row) => Held::BrokerOrder(row),
        Event::BrokerFill(fill) => Held::BrokerFill(stream, fill),
        Event::BrokerBook(book) => Held::BrokerBook(book),
        Event::TakenUp(_) => Held::TakenUp,
        _ => return None,
    })
}
