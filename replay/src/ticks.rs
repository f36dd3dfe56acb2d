//! Quotes, books and trades of a journal as inputs: what fills orders tick by tick, and what bars are built from.
//!
//! - They come in the order of (time, symbol, journal, seq). A session opens before its first tick; strategies decide
//!   where an interval of the session has ended and something was heard in it.
//! - It is told whole: a session on ticks keeps no snapshots and is taken up from its start.
//! - Where a journal has candles of the interval that was asked for, those are replayed and ticks are not.

use crate::catalog::{History, Selection};
use crate::error::ReplayError;
use crate::history::Range;
use daybook_config::Calendar;
use daybook_core::{Body, Input, SessionHours, Slice};
use daybook_journal::Cursor;
use daybook_vocabulary::{Cause, DecodeError, Depth, InstrumentId, Interval, Kind, Nanos, Payload, Quote, TradePrint};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a tick says.
#[derive(Debug, Clone)]
enum Said {
    Quote(Quote),
    Depth(Box<Depth>),
    Print(TradePrint),
}

struct Tick {
    time: Nanos,
    cause: Cause,
    id: InstrumentId,
    said: Said,
}

struct Stream {
    cursor: Cursor,
    journal: std::path::PathBuf,
    rank: u32,
    ids: Vec<Option<u32>>,
    next: Option<Tick>,
}

/// What is lent out.
enum Lent {
    Nothing,
    Tick(Tick),
    Slice(Nanos),
    Opened(SessionHours),
    Closed(Nanos),
}

/// Ticks of several runs and journals, with their sessions and slices.
pub(crate) struct Ticks {
    streams: Vec<Stream>,
    queue: BinaryHeap<Reverse<(Nanos, InstrumentId, Cause, usize)>>,
    calendar: Calendar,
    interval: Interval,
    range: Range,
    session: Option<(SessionHours, Nanos)>,
    /// The end of the interval in which something was heard.
    due: Option<Nanos>,
    last: Cause,
    lent: Lent,
    unknown_dates: bool,
}

/// True where the selection's instruments have ticks and no candles of its interval.
pub(crate) fn drive(histories: &[History], selection: &Selection) -> bool {
    let of = |interval: Interval| {
        histories.iter().flat_map(|history| &history.series).any(|series| {
            let known = |instrument: &daybook_vocabulary::Instrument| {
                (&instrument.market, &instrument.symbol) == (&series.definition.market, &series.definition.symbol)
            };
            series.interval == interval && selection.instruments.iter().any(known)
        })
    };
    of(crate::ingest::TICKS) && !of(selection.interval)
}

impl Ticks {
    pub fn new(
        histories: &[History],
        selection: &Selection,
        calendar: Calendar,
        range: Range,
    ) -> Result<Self, ReplayError> {
        let mut streams = Vec::new();
        for (index, history) in histories.iter().enumerate() {
            let place = |series: &daybook_vocabulary::header::Series| {
                let key = (&series.definition.market, &series.definition.symbol);
                selection.instruments.iter().position(|known| (&known.market, &known.symbol) == key)
            };
            let last = history.series.iter().map(|series| series.instrument.index() + 1).max().unwrap_or(0);
            let mut ids = vec![None; last];
            for series in &history.series {
                ids[series.instrument.index()] = place(series).map(|place| place as u32);
            }
            for (number, run) in history.runs()?.iter().enumerate() {
                let begins = match range.from {
                    Nanos::MIN => run.first_seq,
                    from => history.journal.seek_time(number, from.0)?,
                };
                let (journal, rank) = (history.path.clone(), index as u32 + 1);
                let cursor = history.journal.cursor(begins).until(run.end());
                streams.push(Stream { cursor, journal, rank, ids: ids.clone(), next: None });
            }
        }
        let mut ticks = Self {
            streams,
            queue: BinaryHeap::new(),
            calendar,
            interval: selection.interval,
            range,
            session: None,
            due: None,
            last: Cause::default(),
            lent: Lent::Nothing,
            unknown_dates: false,
        };
        for index in 0..ticks.streams.len() {
            ticks.load(index)?;
        }
        Ok(ticks)
    }

    /// When the first input comes; nothing when there is none.
    pub fn begins(&self) -> Option<Nanos> {
        let Reverse((time, ..)) = self.queue.peek()?;
        let open = self.calendar.session_for_data(self.calendar.date_of(*time)).map(|session| session.open());
        Some(open.map_or(*time, |open| open.min(*time)))
    }

    pub const fn met_unknown_dates(&self) -> bool {
        self.unknown_dates
    }

    /// Moves to the next input; false at the end.
    pub fn advance(&mut self) -> Result<bool, ReplayError> {
        let next = self.queue.peek().map(|Reverse((time, ..))| *time);
        match (self.session, self.due) {
            (Some(_), Some(due)) if next.is_none_or(|next| next >= due) => {
                self.due = None;
                self.lent = Lent::Slice(due);
                return Ok(true);
            }
            (Some((hours, midnight)), _) if next.is_none_or(|next| next >= midnight) => {
                self.session = None;
                self.lent = Lent::Closed(hours.close);
                return Ok(true);
            }
            (None, _) => {
                let Some(next) = next else { return Ok(false) };
                self.open_session(next);
                return Ok(true);
            }
            _ => {}
        }
        let Some(Reverse((.., index))) = self.queue.pop() else { return Ok(false) };
        let Some(tick) = self.streams[index].next.take() else { return Ok(false) };
        self.load(index)?;
        if let Some((hours, _)) = self.session {
            let step = self.interval.nanos().max(1);
            let into = (tick.time - hours.open).max(0);
            let end = hours.open + (into / step + 1) * step;
            self.due.get_or_insert(end.min(hours.close.max(tick.time)));
        }
        self.last = tick.cause;
        self.lent = Lent::Tick(tick);
        Ok(true)
    }

    /// The input that [`Ticks::advance`] moved to.
    pub fn input(&self) -> Input<'_> {
        let cause = self.last;
        match &self.lent {
            Lent::Tick(Tick { time, id, said, .. }) => {
                let body = match said {
                    Said::Quote(quote) => Body::Quote(*id, quote),
                    Said::Depth(depth) => Body::Depth(*id, depth),
                    Said::Print(print) => Body::Print(*id, print),
                };
                Input { cause, time: *time, body }
            }
            Lent::Slice(time) => Input { cause, time: *time, body: Body::Slice(Slice { interval: self.interval }) },
            Lent::Opened(hours) => Input { cause, time: hours.open, body: Body::SessionOpened(*hours) },
            Lent::Closed(time) => Input { cause, time: *time, body: Body::SessionClosed },
            Lent::Nothing => unreachable!("an input is asked for after one was moved to"),
        }
    }

    fn open_session(&mut self, next: Nanos) {
        let date = self.calendar.date_of(next);
        let session = self.calendar.session_for_data(date);
        self.unknown_dates |= session.as_ref().is_some_and(|session| !session.known);
        let (open, close) = session.map_or((next, next), |session| (session.open(), session.close()));
        let hours = SessionHours { date, open: open.min(next), close };
        self.session = Some((hours, date.next().midnight() + -self.calendar.zone_offset()));
        self.lent = Lent::Opened(hours);
    }

    /// Puts the next tick of a stream in the queue.
    fn load(&mut self, index: usize) -> Result<(), ReplayError> {
        let (range, stream) = (self.range, &mut self.streams[index]);
        while stream.cursor.advance()? {
            let frame = stream.cursor.frame();
            let kind =
                [Kind::Quote, Kind::Depth, Kind::TradePrint].into_iter().find(|kind| kind.number() == frame.kind);
            let id = stream.ids.get(frame.stream as usize).copied().flatten();
            let (Some(kind), Some(id)) = (kind, id) else { continue };
            let time = Nanos(frame.time);
            if time < range.from {
                continue;
            }
            if time >= range.until {
                return Ok(());
            }
            let (journal, seq) = (stream.journal.clone(), frame.seq);
            let bad = |source: DecodeError| ReplayError::Frame { journal, seq, source };
            let said = match kind {
                Kind::Quote => Quote::decode(frame.payload).map(Said::Quote),
                Kind::Depth => Depth::decode(frame.payload).map(|depth| Said::Depth(Box::new(depth))),
                _ => TradePrint::decode(frame.payload).map(Said::Print),
            };
            let (id, cause) = (InstrumentId(id), Cause { rank: stream.rank, seq });
            stream.next = Some(Tick { time, cause, id, said: said.map_err(bad)? });
            self.queue.push(Reverse((time, id, cause, index)));
            return Ok(());
        }
        Ok(())
    }
}
