//! The source for history: candles of several runs and journals in one total order, with the sessions and decision
//! points that follow from the calendar.
//!
//! - Order: time, then symbol, then journal rank, then seq. Neither the order of ingestion nor the number of journals
//!   changes what comes out.
//! - A slice comes when time moves on from the last candle; a session opens before its first candle and closes when
//!   time moves past it. All three are derived, so a replay derives them again.
//! - It holds one candle per run: memory does not grow with the journal.

use crate::catalog::{History, Selection};
use crate::driver::{Ear, Pulled, Source};
use crate::error::ReplayError;
use crate::ticks::{self, Ticks, TicksPlace};
use daybook_config::Calendar;
use daybook_core::{Body, Input, SessionHours, Slice};
use daybook_journal::{Cursor, Frame};
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

    /// True for a candle that opens inside.
    #[inline]
    fn contains(&self, open: Nanos) -> bool {
        self.from <= open && open < self.until
    }

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
        let (ids, rank) = (&self.ids, self.rank);
        while let Some(seen) = self.cursor.visit(|frame| take(&frame, ids, rank, filter, into))? {
            match seen {
                Seen::Taken => return Ok(true),
                Seen::Other => {}
                Seen::Beyond => return Ok(false),
                Seen::Bad { seq, bytes } => {
                    let source = DecodeError::Invalid { kind: Kind::Candle, bytes };
                    return Err(ReplayError::Frame { journal: self.journal.clone(), seq, source });
                }
            }
        }
        Ok(false)
    }
}

/// What a frame turned out to be.
enum Seen {
    /// A candle of the selection, taken.
    Taken,
    /// Something else.
    Other,
    /// A candle that was known after the range: so were all that follow.
    Beyond,
    /// A candle that does not read as one.
    Bad { seq: u64, bytes: usize },
}

#[inline(always)]
fn take(frame: &Frame<'_>, ids: &[u32], rank: u32, filter: &Filter, into: &mut Head) -> Seen {
    if frame.kind != Kind::Candle.number() {
        return Seen::Other;
    }
    let id = ids.get(frame.stream as usize).copied().unwrap_or(SKIP);
    if id == SKIP {
        return Seen::Other;
    }
    let Some(candle) = Candle::in_place(frame.payload) else {
        return Seen::Bad { seq: frame.seq, bytes: frame.payload.len() };
    };
    if candle.interval() != filter.interval {
        return Seen::Other;
    }
    if filter.bounded {
        if frame.time > filter.range.until.0 {
            return Seen::Beyond;
        }
        if !filter.range.contains(candle.open_time()) {
            return Seen::Other;
        }
    }
    into.time = Nanos(frame.time);
    into.cause = Cause { rank, seq: frame.seq };
    into.id = InstrumentId(id);
    into.candle = *candle;
    Seen::Taken
}

#[derive(Debug, Clone, Copy)]
struct Filter {
    interval: Interval,
    range: Range,
    /// The range leaves something out.
    bounded: bool,
}

impl Filter {
    fn new(interval: Interval, range: Range) -> Self {
        Self { interval, range, bounded: range != Range::ALL }
    }
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
    /// There may be candles that were not read.
    unread: bool,
    place: Place,
    /// Where ticks stand, where those are played.
    ticks: Option<TicksPlace>,
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
    /// The next candle, or the one that is lent out.
    head: Head,
    /// Which of them.
    ahead: Ahead,
    /// What is lent out.
    lent: Lent,
    /// What is played instead where the selection has ticks and no candles. Then there is no next candle, and every
    /// question comes here on the way to its end.
    ticks: Option<Box<Ticks>>,
}

/// What the source's head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ahead {
    /// The next candle.
    Next,
    /// A candle that was delivered; the next one is to be read.
    Delivered,
    /// Nothing: there are no more.
    End,
}

/// The input that is lent out; a candle lies in the head.
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
        let filter = Filter::new(selection.interval, Range { from: warm_from, until: range.until });
        let place =
            Place { session: None, slice: None, last: Cause::default(), now: Nanos::MIN, skip, unknown_dates: false };
        let candles = Merged::new(histories, selection, filter, None)?;
        let mut source = Self {
            candles,
            calendar,
            interval: selection.interval,
            from: range.from,
            place,
            head: Head::default(),
            ahead: Ahead::Delivered,
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
        let filter = Filter::new(selection.interval, Range { from: position.warm_from, until: range.until });
        let candles = Merged::new(histories, selection, filter, Some(&position.streams))?;
        let ticks = position.ticks.map(|place| Ticks::resume(histories, selection, calendar.clone(), range, place));
        let ticks = ticks.transpose()?.map(Box::new);
        Ok(Self {
            candles,
            calendar,
            interval: selection.interval,
            from: range.from,
            place: position.place,
            head: position.next.unwrap_or_default(),
            ahead: match position.next {
                Some(_) => Ahead::Next,
                None if position.unread => Ahead::Delivered,
                None => Ahead::End,
            },
            lent: if ticks.is_some() { Lent::Tick } else { Lent::SessionClosed },
            ticks,
        })
    }

    /// The next candle, where one was read.
    fn head(&self) -> Option<&Head> {
        (self.ahead == Ahead::Next).then_some(&self.head)
    }

    /// True when there is a candle in the range itself, warm-up aside.
    pub fn reaches(histories: &[History], selection: &Selection, range: Range) -> Result<bool, ReplayError> {
        if ticks::drive(histories, selection) {
            let calendar = Calendar::generic();
            return Ok(Ticks::new(histories, selection, calendar, range)?.begins().is_some());
        }
        let filter = Filter::new(selection.interval, range);
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
        let (open_time, time) = (self.head.candle.open_time(), self.head.time);
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

    /// Reads the next candle where the last one was delivered.
    #[inline(always)]
    fn load(&mut self) -> Result<(), ReplayError> {
        while self.ahead == Ahead::Delivered {
            if !self.candles.next(&mut self.head)? {
                self.ahead = Ahead::End;
            } else if self.head.candle.open_time() >= self.from || !self.is_left_out() {
                self.ahead = Ahead::Next;
            }
        }
        Ok(())
    }

    /// True for a candle before the range that warms nothing up.
    #[cold]
    fn is_left_out(&mut self) -> bool {
        let skip = &mut self.place.skip[self.head.id.index()];
        let is_left_out = *skip > 0;
        *skip -= u64::from(is_left_out);
        is_left_out
    }

    /// What comes next, when the head is loaded.
    #[inline(always)]
    fn due(&self) -> Due {
        let Place { slice, session, .. } = &self.place;
        let has_next = self.ahead == Ahead::Next;
        if let Some(at) = *slice
            && (!has_next || self.head.time > at)
        {
            return Due::Slice(at);
        }
        match session {
            Some((_, midnight)) if has_next && self.head.candle.open_time() < *midnight => Due::Candle,
            Some((hours, _)) => Due::SessionClosed(*hours),
            None if has_next => Due::SessionOpened,
            None => Due::Nothing,
        }
    }

    /// Notes that the candle in the head is delivered.
    #[inline(always)]
    fn deliver(&mut self) {
        self.place.last = self.head.cause;
        self.place.now = self.head.time;
        self.place.slice = Some(self.head.time);
        self.ahead = Ahead::Delivered;
    }
}

/// What comes next.
enum Due {
    Candle,
    Slice(Nanos),
    SessionOpened,
    SessionClosed(SessionHours),
    Nothing,
}

impl Source for HistorySource {
    #[inline]
    fn advance(&mut self) -> Result<bool, ReplayError> {
        self.load()?;
        match self.due() {
            Due::Candle => {
                self.deliver();
                self.lent = Lent::Candle;
            }
            Due::Slice(at) => {
                self.place.slice = None;
                self.lent = Lent::Slice(at);
            }
            Due::SessionOpened => self.open_session(),
            Due::SessionClosed(hours) => {
                self.place.session = None;
                self.place.now = hours.close.max(self.place.now);
                self.lent = Lent::SessionClosed;
            }
            Due::Nothing => return self.advance_ticks(),
        }
        Ok(true)
    }

    #[inline]
    fn input(&self) -> Input<'_> {
        let cause = self.place.last;
        match self.lent {
            Lent::Candle => Input { cause, time: self.head.time, body: Body::Candle(self.head.id, &self.head.candle) },
            Lent::Slice(time) => Input { cause, time, body: Body::Slice(Slice { interval: self.interval }) },
            Lent::SessionOpened(hours) => Input { cause, time: self.place.now, body: Body::SessionOpened(hours) },
            Lent::SessionClosed => Input { cause, time: self.place.now, body: Body::SessionClosed },
            Lent::Tick => self.ticks.as_ref().expect("ticks are lent where they are played").input(),
        }
    }

    // Candles and slices are nearly all there is, so each has its own place; the rest goes the common way.
    #[inline(always)]
    fn pull(&mut self, ear: &mut impl Ear) -> Result<Pulled, ReplayError> {
        self.load()?;
        match self.due() {
            Due::Candle => {
                self.deliver();
                let Head { time, cause, id, candle } = &self.head;
                ear.hear(&Input { cause: *cause, time: *time, body: Body::Candle(*id, candle) })
            }
            Due::Slice(time) => {
                self.place.slice = None;
                let body = Body::Slice(Slice { interval: self.interval });
                ear.hear(&Input { cause: self.place.last, time, body })
            }
            _ => self.pull_rare(ear),
        }
    }

    fn position(&self) -> crate::driver::Position {
        crate::driver::Position::History(Box::new(Position {
            streams: self.candles.starts(),
            warm_from: self.candles.filter.range.from,
            next: self.head().copied(),
            unread: self.ahead == Ahead::Delivered,
            place: self.place.clone(),
            ticks: self.ticks.as_ref().map(|ticks| ticks.place()),
        }))
    }
}

impl HistorySource {
    #[inline(never)]
    fn pull_rare(&mut self, ear: &mut impl Ear) -> Result<Pulled, ReplayError> {
        if self.advance()? { ear.hear(&self.input()) } else { Ok(Pulled::Nothing) }
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
    let mut candles = Merged::new(histories, &selection, Filter::new(interval, range), None)?;
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
        let filter = Filter::new(selection.interval, Range { from: start, until: range.from });
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
