//! What the journal holds of what was asked for, session by session.
//!
//! - Sessions come from the calendar, candles from the journal: a report of what is there, not of what was tried.
//! - A session is complete when every bar of the calendar is there. Shares with a closing auction end earlier than the
//!   others: a day that ends at the auction is complete too.
//! - Bars that nobody traded in do not exist: a partial session of a quiet share may be all there is.

use super::{FetchError, FetchOptions};
use crate::ingest::known::Known;
use daybook_config::Session;
use daybook_vocabulary::time::DAY;
use daybook_vocabulary::{Candle, Date, Kind, Nanos};
use serde::Serialize;
use std::collections::BTreeMap;

/// How much of a session there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// All.
    Complete,
    /// Some.
    Partial,
    /// Nothing.
    Missing,
}

/// A session that is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionCoverage {
    /// Its date.
    pub date: Date,
    /// Partial or missing.
    pub status: Status,
    /// Bars that are there.
    pub bars: u32,
    /// Bars that the calendar has.
    pub expected: u32,
}

/// One symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Its symbol.
    pub symbol: String,
    /// Sessions of the calendar in the range.
    pub sessions: u32,
    /// Those that are complete.
    pub complete: u32,
    /// Bars that are there.
    pub bars: u64,
    /// The others, in order of date.
    pub incomplete: Vec<SessionCoverage>,
}

/// A day's bars: one bit for each minute of the day in which one opened.
#[derive(Debug, Clone, Default)]
struct Minutes([u64; (24 * 60_usize).div_ceil(64)]);

impl Minutes {
    fn set(&mut self, minute: usize) {
        if let Some(word) = self.0.get_mut(minute / 64) {
            *word |= 1 << (minute % 64);
        }
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// True where a bar opened at this minute or later.
    fn any_from(&self, minute: usize) -> bool {
        (minute..24 * 60).any(|at| self.0[at / 64] >> (at % 64) & 1 == 1)
    }
}

/// The coverage of each symbol, from `from` to `to`.
pub(crate) fn of(
    known: &Known,
    options: &FetchOptions,
    symbols: &[String],
    to: Date,
) -> Result<Vec<Coverage>, FetchError> {
    let calendar = &options.calendar;
    let found = bars_of(known, options, symbols, to)?;
    let nothing = BTreeMap::new();
    let sessions: Vec<Session> =
        (options.from.0..=to.0).filter_map(|date| calendar.session_for_data(Date(date))).collect();
    let one = |symbol: &String| {
        let days = found.get(symbol).unwrap_or(&nothing);
        let mut coverage =
            Coverage { symbol: symbol.clone(), sessions: 0, complete: 0, bars: 0, incomplete: Vec::new() };
        for session in &sessions {
            let minutes = days.get(&session.date);
            if minutes.is_none() && !session.known {
                continue; // a year that the calendar lacks: a date is a session where it has data
            }
            let bars = minutes.map_or(0, Minutes::count);
            let expected = expected_of(session, options, minutes);
            coverage.sessions += 1;
            coverage.bars += u64::from(bars);
            if bars >= expected {
                coverage.complete += 1;
                continue;
            }
            let status = if bars == 0 { Status::Missing } else { Status::Partial };
            coverage.incomplete.push(SessionCoverage { date: session.date, status, bars, expected });
        }
        coverage
    };
    Ok(symbols.iter().map(one).collect())
}

/// By symbol and date, the minutes at which bars opened.
fn bars_of(
    known: &Known,
    options: &FetchOptions,
    symbols: &[String],
    to: Date,
) -> Result<BTreeMap<String, BTreeMap<Date, Minutes>>, FetchError> {
    let mut ids = BTreeMap::new();
    for run in &known.runs {
        for series in run.ended.iter().flat_map(|ended| &ended.series) {
            if series.definition.market == options.calendar.market() && symbols.contains(&series.definition.symbol) {
                ids.insert(series.instrument.0, series.definition.symbol.clone());
            }
        }
    }
    let zone = options.calendar.zone_offset();
    let begin = options.from.midnight().0.saturating_sub(zone);
    let end = to.next().next().midnight().0.saturating_sub(zone);
    let mut found: BTreeMap<String, BTreeMap<Date, Minutes>> = BTreeMap::new();
    for (at, run) in known.runs.iter().enumerate() {
        let first = known.journal.seek_time(at, begin)?;
        let mut cursor = known.journal.cursor(first).until(run.end);
        while let Some(frame) = cursor.next()? {
            if frame.time > end {
                break;
            }
            let Some(symbol) = ids.get(&frame.stream).filter(|_| frame.kind == Kind::Candle.number()) else { continue };
            let Some(candle) = Candle::in_place(frame.payload).filter(|candle| candle.interval() == options.interval)
            else {
                continue;
            };
            let open: Nanos = candle.open_time();
            let minute = (open.0 + zone).rem_euclid(DAY) / (DAY / (24 * 60));
            let days = found.entry(symbol.clone()).or_default();
            days.entry(options.calendar.date_of(open)).or_default().set(minute as usize);
        }
    }
    Ok(found)
}

/// Bars of a whole session, of a share that trades as this day's bars say.
fn expected_of(session: &Session, options: &FetchOptions, minutes: Option<&Minutes>) -> u32 {
    if options.interval.is_daily() {
        return 1;
    }
    let length = options.interval.nanos();
    let zone = options.calendar.zone_offset();
    let early = session.cas_close.filter(|close| {
        let minute = (close.0 + zone).rem_euclid(DAY) / (DAY / (24 * 60));
        minutes.is_some_and(|minutes| !minutes.any_from(minute as usize))
    });
    let bars = session.windows.iter().map(|window| {
        let close = early.map_or(window.close, |early| window.close.min(early));
        (close.0 - window.open.0 + length - 1) / length
    });
    u32::try_from(bars.sum::<i64>()).unwrap_or(0)
}
