//! The source for history: candles of several runs and journals in one total order, with the sessions and decision
//! points that follow from the calendar.
//!
//! - Order: time, then symbol, then journal rank, then seq. Neither the order of ingestion nor the number of journals
//!   changes what comes out.
//! - A slice comes when time moves on from the last candle; a session opens before its first candle and closes when
//!   time moves past it. All three are derived, so a replay derives them again.
//! - It holds one candle per run: memory does not grow with the journal.

use crate::catalog::{History, Selection};
use crate::driver::Source;
use crate::error::ReplayError;
use crate::ticks::{self, Ticks};
use daybook_config::Calendar;
use daybook_core::{Body, Input, SessionHours, Slice};
use daybook_journal::Cursor;
use daybook_vocabulary::time::DAY;
use daybook_vocabulary::{Candle, Cause, Date, DecodeError, Instrument, InstrumentId, Interval, Kind, Nanos};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;

/// Which candles to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Candles that open earlier are left out, warm-up candles aside.
    pub from: Nanos,
    /// Candles that open at or after this are left out.
    pub until: Nanos,
}

impl Range {
    /// Everything.
    pub const ALL: Self = Self { from: Nanos::MIN, until: Nanos::MAX };

    /// Whole sessions, inclusive, in the exchange's zone.
    pub fn of_dates(calendar: &Calendar, from: Option<Date>, to: Option<Date>) -> Self {
        let midnight = |date: Date| date.midnight() + -calendar.zone_offset();
        Self { from: from.map_or(Nanos::MIN, midnight), until: to.map_or(Nanos::MAX, |to| midnight(to.next())) }
    }
}

/// No instrument of the selection.
const SKIP: u32 = u32::MAX;

/// A candle on its way to the core.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Head {
    time: Nanos,
    cause: Cause,
    id: InstrumentId,
    candle: Candle,
}

/// One run of one journal.
struct Stream {
    cursor: Cursor,
    journal: PathBuf,
    rank: u32,
    /// Ids in the journal → ids in the core.
    ids: Vec<u32>,
}

impl Stream {
    /// Puts the next candle that belongs to the selection in place; false at the end.
    #[inline(always)]
    fn read(&mut self, filter: &Filter, into: &mut Head) -> Result<bool, ReplayError> {
        while self.cursor.advance()? {
            let frame = self.cursor.frame();
            if frame.kind != Kind::Candle.number() {
                continue;
            }
            let id = self.ids.get(frame.stream as usize).copied().unwrap_or(SKIP);
            if id == SKIP {
                continue;
            }
            let Some(candle) = Candle::in_place(frame.payload) else {
                let source = DecodeError::Invalid { kind: Kind::Candle, bytes: frame.payload.len() };
                return Err(ReplayError::Frame { journal: self.journal.clone(), seq: frame.seq, source });
            };
            if frame.time > filter.range.until.0 {
                return Ok(false);
            }
            let open = candle.open_time();
            if candle.interval() != filter.interval || open >= filter.range.until || open < filter.range.from {
                continue;
            }
            into.time = Nanos(frame.time);
            into.cause = Cause { rank: self.rank, seq: frame.seq };
            into.id = InstrumentId(id);
            into.candle = *candle;
            return Ok(true);
        }
        Ok(false)
    }
}

#[derive(Debug, Clone, Copy)]
struct Filter {
    interval: Interval,
    range: Range,
}

/// Order of delivery; the index of the stream last.
type Key = Reverse<(Nanos, InstrumentId, Cause, usize)>;

/// Candles of several runs and journals, merged.
struct Merged {
    streams: Streams,
    filter: Filter,
    symbols: Vec<String>,
}

enum Streams {
    /// One run: nothing to compare, so candles go straight to their place.
    One(Box<Stream>),
    /// Several, each with its next candle; the queue orders those that have one.
    Many { streams: Vec<(Stream, Head)>, queue: BinaryHeap<Key> },
}

impl Merged {
    fn new(
        histories: &[History],
        selection: &Selection,
        filter: Filter,
        starts: Option<&[StreamStart]>,
    ) -> Result<Self, ReplayError> {
        let mut streams = Vec::new();
        for (index, history) in histories.iter().enumerate() {
            let rank = index as u32 + 1;
            for (number, run) in history.runs()?.iter().enumerate() {
                let begins = match starts {
                    // A candle is known when it has closed, so none of the range is earlier.
                    None if filter.range.from > Nanos::MIN => {
                        Some(history.journal.seek_time(number, filter.range.from.0)?)
                    }
                    None => Some(run.first_seq),
                    Some(starts) => starts
                        .iter()
                        .find(|start| start.rank == rank && (run.first_seq..run.end()).contains(&start.seq))
                        .map(|start| start.seq),
                };
                let Some(begins) = begins else { continue };
                streams.push(Stream {
                    cursor: history.journal.cursor(begins).until(run.end()),
                    journal: history.path.clone(),
                    rank,
                    ids: ids_of(history, selection),
                });
            }
        }
        let symbols = selection.instruments.iter().map(|instrument| instrument.symbol.clone()).collect();
        let streams = match <[Stream; 1]>::try_from(streams) {
            Ok([only]) => Streams::One(Box::new(only)),
            Err(several) => Streams::many(several, &filter)?,
        };
        Ok(Self { streams, filter, symbols })
    }

    /// Puts the next candle in place; false at the end.
    #[inline(always)]
    fn next(&mut self, into: &mut Head) -> Result<bool, ReplayError> {
        match &mut self.streams {
            Streams::One(only) => only.read(&self.filter, into),
            Streams::Many { .. } => self.next_of_many(into),
        }
    }

    fn next_of_many(&mut self, into: &mut Head) -> Result<bool, ReplayError> {
        let Streams::Many { streams, queue } = &mut self.streams else { return Ok(false) };
        if !pop(streams, queue, &self.filter, into)? {
            return Ok(false);
        }
        // The same candle may stand in several runs: equal ones are one, a revision takes the place of what it revises.
        while let Some(&Reverse((time, id, cause, index))) = queue.peek() {
            let other = streams[index].1.candle;
            if time != into.time || id != into.id || other.open_time() != into.candle.open_time() {
                break;
            }
            if !other.revises() && !other.same_values(&into.candle) {
                return Err(ReplayError::Conflict {
                    symbol: self.symbols[id.index()].clone(),
                    open: other.open_time().to_string(),
                    first: into.cause,
                    second: cause,
                });
            }
            let mut next = Head::default();
            pop(streams, queue, &self.filter, &mut next)?;
            if other.revises() {
                *into = next;
            }
        }
        Ok(true)
    }

    /// Where each stream stands, so that it can be taken up again.
    fn starts(&self) -> Vec<StreamStart> {
        match &self.streams {
            Streams::One(only) => vec![StreamStart { rank: only.rank, seq: only.cursor.next_seq() }],
            Streams::Many { queue, .. } => {
                let start = |Reverse((_, _, cause, _)): &Key| StreamStart { rank: cause.rank, seq: cause.seq };
                let mut starts: Vec<_> = queue.iter().map(start).collect();
                starts.sort_unstable_by_key(|start| (start.rank, start.seq));
                starts
            }
        }
    }
}

impl Streams {
    fn many(several: Vec<Stream>, filter: &Filter) -> Result<Self, ReplayError> {
        let mut streams = Vec::with_capacity(several.len());
        let mut queue = BinaryHeap::with_capacity(several.len());
        for mut stream in several {
            let mut head = Head::default();
            if stream.read(filter, &mut head)? {
                queue.push(key(&head, streams.len()));
                streams.push((stream, head));
            }
        }
        Ok(Self::Many { streams, queue })
    }
}

/// Takes the first candle of the queue and moves its stream on; false when there is none.
fn pop(
    streams: &mut [(Stream, Head)],
    queue: &mut BinaryHeap<Key>,
    filter: &Filter,
    into: &mut Head,
) -> Result<bool, ReplayError> {
    let Some(Reverse((.., index))) = queue.pop() else { return Ok(false) };
    let (stream, head) = &mut streams[index];
    *into = *head;
    if stream.read(filter, head)? {
        queue.push(key(head, index));
    }
    Ok(true)
}

fn key(head: &Head, index: usize) -> Key {
    Reverse((head.time, head.id, head.cause, index))
}

fn ids_of(history: &History, selection: &Selection) -> Vec<u32> {
    let last = history.series.iter().map(|series| series.instrument.index() + 1).max().unwrap_or(0);
    let mut ids = vec![SKIP; last];
    for series in &history.series {
        let name = (&series.definition.market, &series.definition.symbol);
        let found = selection.instruments.binary_search_by(|known| (&known.market, &known.symbol).cmp(&name));
        if let Ok(id) = found {
            ids[series.instrument.index()] = id as u32;
        }
    }
    ids
}

/// Where a run of an input journal is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStart {
    /// The journal.
    pub rank: u32,
    /// Its next candle that was not delivered.
    pub seq: u64,
}

/// Where a source stands between two inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    streams: Vec<StreamStart>,
    warm_from: Nanos,
    /// The candle that was read and not yet delivered.
    next: Option<Head>,
    place: Place,
}

/// What a source carries from one input to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    /// The session that is open, and the end of its date.
    session: Option<(SessionHours, Nanos)>,
    /// A slice that comes when time moves on.
    slice: Option<Nanos>,
    /// The last candle delivered.
    last: Cause,
    now: Nanos,
    /// Warm-up candles still to leave out, by instrument.
    skip: Vec<u64>,
    /// A date the calendar does not know was met.
    unknown_dates: bool,
}

/// History as a source of inputs.
pub struct HistorySource {
    candles: Merged,
    calendar: Calendar,
    interval: Interval,
    from: Nanos,
    place: Place,
    /// Two places in turn: the next candle, and the one that is lent out.
    slots: [Head; 2],
    /// Which of them holds the next candle.
    at: usize,
    /// False at the end.
    has_next: bool,
    /// What is lent out.
    lent: Lent,
    /// What is played instead where the selection has ticks and no candles. Then there is no next candle, and every
    /// question comes here on the way to its end.
    ticks: Option<Box<Ticks>>,
}

/// The input that is lent out; a candle lies in the slot that does not hold the next one.
#[derive(Debug, Clone, Copy)]
enum Lent {
    Candle,
    Slice(Nanos),
    SessionOpened(SessionHours),
    SessionClosed,
    Tick,
}

impl HistorySource {
    /// Candles of a selection in a range, with at most `warmup` candles of each instrument before it.
    pub fn new(
        histories: &[History],
        selection: &Selection,
        calendar: Calendar,
        range: Range,
        warmup: u64,
    ) -> Result<Self, ReplayError> {
        let ticks = match ticks::drive(histories, selection) {
            true => Some(Box::new(Ticks::new(histories, selection, calendar.clone(), range)?)),
            false => None,
        };
        let (warm_from, skip) = warm_up(histories, selection, range, warmup)?;
        let filter = Filter { interval: selection.interval, range: Range { from: warm_from, until: range.until } };
        let place =
            Place { session: None, slice: None, last: Cause::default(), now: Nanos::MIN, skip, unknown_dates: false };
        let candles = Merged::new(histories, selection, filter, None)?;
        let mut source = Self {
            candles,
            calendar,
            interval: selection.interval,
            from: range.from,
            place,
            slots: [Head::default(); 2],
            at: 0,
            has_next: false,
            lent: if ticks.is_some() { Lent::Tick } else { Lent::SessionClosed },
            ticks,
        };
        source.load()?;
        Ok(source)
    }

    /// The same source, taken up where [`Source::position`] said it stood.
    pub fn resume(
        histories: &[History],
        selection: &Selection,
        calendar: Calendar,
        range: Range,
        position: Position,
    ) -> Result<Self, ReplayError> {
        let filter =
            Filter { interval: selection.interval, range: Range { from: position.warm_from, until: range.until } };
        let candles = Merged::new(histories, selection, filter, Some(&position.streams))?;
        Ok(Self {
            candles,
            calendar,
            interval: selection.interval,
            from: range.from,
            place: position.place,
            slots: [position.next.unwrap_or_default(), Head::default()],
            at: 0,
            has_next: position.next.is_some(),
            lent: Lent::SessionClosed,
            ticks: None,
        })
    }

    /// The next candle, where one is left.
    fn head(&self) -> Option<&Head> {
        self.has_next.then(|| &self.slots[self.at])
    }

    /// True when there is a candle in the range itself, warm-up aside.
    pub fn reaches(histories: &[History], selection: &Selection, range: Range) -> Result<bool, ReplayError> {
        if ticks::drive(histories, selection) {
            let calendar = Calendar::generic();
            return Ok(Ticks::new(histories, selection, calendar, range)?.begins().is_some());
        }
        let filter = Filter { interval: selection.interval, range };
        Merged::new(histories, selection, filter, None)?.next(&mut Head::default())
    }

    /// When the first input comes; nothing when there is none.
    pub fn begins(&self) -> Option<Nanos> {
        if let Some(ticks) = &self.ticks {
            return ticks.begins();
        }
        let head = self.head()?;
        let date = self.calendar.date_of(head.candle.open_time());
        let open = self.calendar.session_for_data(date).map_or(head.candle.open_time(), |session| session.open());
        Some(open.min(head.time))
    }

    /// True when a candle fell on a date that the calendar does not know.
    pub const fn met_unknown_dates(&self) -> bool {
        self.place.unknown_dates || self.plays_unknown_dates()
    }

    const fn plays_unknown_dates(&self) -> bool {
        match &self.ticks {
            Some(ticks) => ticks.met_unknown_dates(),
            None => false,
        }
    }

    /// Plays ticks where there are any; false at the end.
    #[cold]
    fn advance_ticks(&mut self) -> Result<bool, ReplayError> {
        match &mut self.ticks {
            Some(ticks) => ticks.advance(),
            None => Ok(false),
        }
    }

    #[cold]
    fn open_session(&mut self) {
        let head = &self.slots[self.at];
        let (open_time, time) = (head.candle.open_time(), head.time);
        let date = self.calendar.date_of(open_time);
        let session = self.calendar.session_for_data(date);
        self.place.unknown_dates |= session.as_ref().is_some_and(|session| !session.known);
        let hours = match session {
            Some(session) => SessionHours { date, open: session.open(), close: session.close() },
            // Ingest refuses candles on closed dates; a journal that holds one all the same gets its day.
            None => SessionHours { date, open: open_time, close: time },
        };
        let midnight = date.next().midnight() + -self.calendar.zone_offset();
        let place = &mut self.place;
        place.session = Some((hours, midnight));
        place.now = hours.open.max(place.now).min(time);
        self.lent = Lent::SessionOpened(hours);
    }

    /// Reads the next candle into its slot.
    #[inline(always)]
    fn load(&mut self) -> Result<(), ReplayError> {
        loop {
            let head = &mut self.slots[self.at];
            self.has_next = self.candles.next(head)?;
            if !self.has_next || head.candle.open_time() >= self.from {
                return Ok(());
            }
            let skip = &mut self.place.skip[head.id.index()];
            if *skip == 0 {
                return Ok(());
            }
            *skip -= 1;
        }
    }
}

impl Source for HistorySource {
    // Always: the loop is made for several sources and sinks, and each of its copies wants the path of a candle in one.
    #[inline(always)]
    fn advance(&mut self) -> Result<bool, ReplayError> {
        let place = &mut self.place;
        let head = &self.slots[self.at];
        if let Some(at) = place.slice
            && (!self.has_next || head.time > at)
        {
            place.slice = None;
            self.lent = Lent::Slice(at);
            return Ok(true);
        }
        match place.session {
            Some((_, midnight)) if self.has_next && head.candle.open_time() < midnight => {}
            Some((hours, _)) => {
                place.session = None;
                place.now = hours.close.max(place.now);
                self.lent = Lent::SessionClosed;
                return Ok(true);
            }
            None if !self.has_next => return self.advance_ticks(),
            None => {
                self.open_session();
                return Ok(true);
            }
        }
        place.last = head.cause;
        place.now = head.time;
        place.slice = Some(head.time);
        self.lent = Lent::Candle;
        self.at ^= 1;
        self.load()?;
        Ok(true)
    }

    #[inline(always)]
    fn input(&self) -> Input<'_> {
        let cause = self.place.last;
        match self.lent {
            Lent::Candle => {
                let head = &self.slots[self.at ^ 1];
                Input { cause, time: head.time, body: Body::Candle(head.id, &head.candle) }
            }
            Lent::Slice(time) => Input { cause, time, body: Body::Slice(Slice { interval: self.interval }) },
            Lent::SessionOpened(hours) => Input { cause, time: self.place.now, body: Body::SessionOpened(hours) },
            Lent::SessionClosed => Input { cause, time: self.place.now, body: Body::SessionClosed },
            Lent::Tick => self.ticks.as_ref().expect("ticks are lent where they are played").input(),
        }
    }

    fn can_be_taken_up(&self) -> bool {
        self.ticks.is_none()
    }

    fn position(&self) -> crate::driver::Position {
        crate::driver::Position::History(Box::new(Position {
            streams: self.candles.starts(),
            warm_from: self.candles.filter.range.from,
            next: self.head().copied(),
            place: self.place.clone(),
        }))
    }
}

/// The candles of one instrument that open in `from..=to`, in order.
pub(crate) fn candles_of(
    histories: &[History],
    instrument: &Instrument,
    interval: Interval,
    range: Range,
    take: &mut dyn FnMut(&Candle),
) -> Result<(), ReplayError> {
    known_candles_of(histories, instrument, interval, range, &mut |_, _, candle| take(candle))
}

/// The candles of one instrument that open in a range and are known by its end, in order, each with when it was known
/// and where it lies.
pub(crate) fn known_candles_of(
    histories: &[History],
    instrument: &Instrument,
    interval: Interval,
    range: Range,
    take: &mut dyn FnMut(Nanos, Cause, &Candle),
) -> Result<(), ReplayError> {
    let selection = Selection { instruments: vec![instrument.clone()], interval };
    let mut candles = Merged::new(histories, &selection, Filter { interval, range }, None)?;
    let mut head = Head::default();
    while candles.next(&mut head)? {
        take(head.time, head.cause, &head.candle);
    }
    Ok(())
}

/// Where to begin so that each instrument has `bars` candles before the range, and how many to leave out first.
///
/// Looks back by doubling steps, so that the cost follows the warm-up, not the length of the journal.
fn warm_up(
    histories: &[History],
    selection: &Selection,
    range: Range,
    bars: u64,
) -> Result<(Nanos, Vec<u64>), ReplayError> {
    let none = vec![0; selection.instruments.len()];
    if bars == 0 || range.from == Nanos::MIN {
        return Ok((range.from, none));
    }
    let begins = begins(histories, selection);
    let earliest = begins.iter().copied().min().unwrap_or(range.from);
    let mut back = selection.interval.nanos().saturating_mul(bars.min(1 << 40) as i64).saturating_mul(8).max(7 * DAY);
    loop {
        let start = range.from + -back;
        let filter = Filter { interval: selection.interval, range: Range { from: start, until: range.from } };
        let mut candles = Merged::new(histories, selection, filter, None)?;
        let mut counts = none.clone();
        let mut head = Head::default();
        while candles.next(&mut head)? {
            counts[head.id.index()] += 1;
        }
        let enough = counts.iter().zip(&begins).all(|(&count, &begins)| count >= bars || begins >= start);
        if enough || start <= earliest {
            return Ok((start, counts.into_iter().map(|count| count.saturating_sub(bars)).collect()));
        }
        back = back.saturating_mul(2);
    }
}

/// When the first candle of each instrument of the selection opened.
fn begins(histories: &[History], selection: &Selection) -> Vec<Nanos> {
    let mut begins = vec![Nanos::MAX; selection.instruments.len()];
    for history in histories {
        let ids = ids_of(history, selection);
        for series in history.series.iter().filter(|series| series.interval == selection.interval) {
            if let Some(begin) = begins.get_mut(ids[series.instrument.index()] as usize) {
                *begin = series.first.min(*begin);
            }
        }
    }
    begins
}
