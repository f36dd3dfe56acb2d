//! Quotes, books and trades of a journal as inputs: what fills orders tick by tick, and what bars are built from.
//!
//! - They come in the order of time. Within one instant the order is: the slice of an interval that ends there, which
//!   decides by what was known before; then symbol by symbol its trades, its quotes, its books, each in the order of
//!   (journal, seq). A trade of an instant was made in the market that stood before it, a book stands from it on; so
//!   neither the order of ingestion nor the number of journals changes a result.
//! - A session opens before its first tick; strategies decide where an interval of the session has ended and something
//!   was heard in it.
//! - It is taken up in the middle of an instant too: [`TicksPlace`] says where the instant began in every run, and how
//!   many of its ticks were told.
//! - Where a journal has candles of the interval that was asked for, those are replayed and ticks are not.

use crate::catalog::{History, Selection};
use crate::error::ReplayError;
use crate::history::{Range, StreamStart};
use daybook_config::Calendar;
use daybook_core::{Body, Input, SessionHours, Slice};
use daybook_journal::Cursor;
use daybook_vocabulary::{Cause, DecodeError, Depth, InstrumentId, Interval, Kind, Nanos, Payload, Quote, TradePrint};
use serde::{Deserialize, Serialize};
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

impl Tick {
    /// Its place among the ticks of an instant.
    fn place(&self) -> (InstrumentId, u8, Cause) {
        let kind = match self.said {
            Said::Print(_) => 0,
            Said::Quote(_) => 1,
            Said::Depth(_) => 2,
        };
        (self.id, kind, self.cause)
    }
}

/// One run of one journal.
struct Stream {
    cursor: Cursor,
    journal: std::path::PathBuf,
    rank: u32,
    ids: Vec<Option<u32>>,
    /// The first tick of a later instant than the one that is being told.
    next: Option<Tick>,
    /// Where its part of the instant that is being told begins; nothing where it had ended before.
    began: Option<u64>,
}

/// Where ticks stand between two of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TicksPlace {
    /// Where the instant that is being told begins in each run that had not ended.
    streams: Vec<StreamStart>,
    /// Ticks of that instant that were told.
    told: u64,
    session: Option<(SessionHours, Nanos)>,
    due: Option<Nanos>,
    last: Cause,
    unknown_dates: bool,
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
    /// When the next tick of each stream comes.
    queue: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// What is left of the instant that is being told, the next tick last.
    instant: Vec<Tick>,
    told: u64,
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
        Self::begin(histories, selection, calendar, range, None)
    }

    /// The same, taken up where [`Ticks::place`] said it stood.
    pub fn resume(
        histories: &[History],
        selection: &Selection,
        calendar: Calendar,
        range: Range,
        place: TicksPlace,
    ) -> Result<Self, ReplayError> {
        let mut ticks = Self::begin(histories, selection, calendar, range, Some(&place.streams))?;
        // The instant is told in the order in which it was: what was told of it is passed over.
        for _ in 0..place.told {
            ticks.gather()?;
            ticks.instant.pop();
        }
        let TicksPlace { told, session, due, last, unknown_dates, .. } = place;
        Ok(Self { told, session, due, last, unknown_dates, ..ticks })
    }

    fn begin(
        histories: &[History],
        selection: &Selection,
        calendar: Calendar,
        range: Range,
        starts: Option<&[StreamStart]>,
    ) -> Result<Self, ReplayError> {
        let mut streams = Vec::new();
        for (index, history) in histories.iter().enumerate() {
            let rank = index as u32 + 1;
            let ids = ids_of(history, selection);
            for (number, run) in history.runs()?.iter().enumerate() {
                let begins = match starts {
                    None if range.from > Nanos::MIN => Some(history.journal.seek_time(number, range.from.0)?),
                    None => Some(run.first_seq),
                    Some(starts) => starts
                        .iter()
                        .find(|start| start.rank == rank && (run.first_seq..run.end()).contains(&start.seq))
                        .map(|start| start.seq),
                };
                let Some(begins) = begins else { continue };
                let journal = history.path.clone();
                let cursor = history.journal.cursor(begins).until(run.end());
                streams.push(Stream { cursor, journal, rank, ids: ids.clone(), next: None, began: None });
            }
        }
        let mut ticks = Self {
            queue: BinaryHeap::with_capacity(streams.len()),
            streams,
            instant: Vec::new(),
            told: 0,
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

    /// Where it stands between two inputs.
    pub fn place(&self) -> TicksPlace {
        let start = |stream: &Stream| {
            // Where no instant is being told, the next one has not begun.
            let next = stream.next.as_ref().map(|tick| tick.cause.seq);
            let seq = if self.instant.is_empty() { next } else { stream.began.or(next) };
            seq.map(|seq| StreamStart { rank: stream.rank, seq })
        };
        TicksPlace {
            streams: self.streams.iter().filter_map(start).collect(),
            told: if self.instant.is_empty() { 0 } else { self.told },
            session: self.session,
            due: self.due,
            last: self.last,
            unknown_dates: self.unknown_dates,
        }
    }

    /// When the next tick comes.
    fn next_time(&self) -> Option<Nanos> {
        let waiting = self.queue.peek().map(|Reverse((time, _))| *time);
        self.instant.last().map(|tick| tick.time).or(waiting)
    }

    /// Puts all ticks of the next instant in order, where none is being told.
    fn gather(&mut self) -> Result<(), ReplayError> {
        if !self.instant.is_empty() {
            return Ok(());
        }
        self.told = 0;
        self.streams.iter_mut().for_each(|stream| stream.began = None);
        let Some(&Reverse((now, _))) = self.queue.peek() else { return Ok(()) };
        while let Some(&Reverse((time, index))) = self.queue.peek()
            && time == now
        {
            self.queue.pop();
            let Some(tick) = self.streams[index].next.take() else { continue };
            self.streams[index].began.get_or_insert(tick.cause.seq);
            self.instant.push(tick);
            self.load(index)?;
        }
        self.instant.sort_unstable_by_key(|tick| Reverse(tick.place()));
        Ok(())
    }

    /// When the first input comes; nothing when there is none.
    pub fn begins(&self) -> Option<Nanos> {
        let time = self.next_time()?;
        let open = self.calendar.session_for_data(self.calendar.date_of(time)).map(|session| session.open());
        Some(open.map_or(time, |open| open.min(time)))
    }

    pub const fn met_unknown_dates(&self) -> bool {
        self.unknown_dates
    }

    /// Moves to the next input; false at the end.
    pub fn advance(&mut self) -> Result<bool, ReplayError> {
        let next = self.next_time();
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
        self.gather()?;
        let Some(tick) = self.instant.pop() else { return Ok(false) };
        self.told += 1;
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

    /// Reads the next tick of a stream.
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
            self.queue.push(Reverse((time, index)));
            return Ok(());
        }
        Ok(())
    }
}

/// Ids in a journal → ids in the core.
fn ids_of(history: &History, selection: &Selection) -> Vec<Option<u32>> {
    let last = history.series.iter().map(|series| series.instrument.index() + 1).max().unwrap_or(0);
    let mut ids = vec![None; last];
    for series in &history.series {
        let key = (&series.definition.market, &series.definition.symbol);
        let place = selection.instruments.iter().position(|known| (&known.market, &known.symbol) == key);
        ids[series.instrument.index()] = place.map(|place| place as u32);
    }
    ids
}
