//! Warm-up from history: what a live session hears before its day begins.
//!
//! - The candles enter the session's own journal as inputs, with the sessions and slices of their days, all at the time
//!   at which the session begins: that is when it learned them. So audit, restart and a backtest of the recorded market
//!   need nothing beside the session, and a strategy knows what a backtest from that day on would know.
//! - They decide nothing: the session's filter begins with its own date, and what opened earlier only teaches.
//! - A history that ends before the last trading day would leave a gap in every indicator: it is refused. One that is
//!   short is told; a strategy that does not know enough says nothing until it does.
//! - Must never: bring in a candle of the session's own day. Those are built from what is heard.

use super::recorder::{Heard, Recorder};
use crate::catalog::{History, Selection};
use crate::driver::Source;
use crate::error::ReplayError;
use crate::history::{HistorySource, Range};
use crate::plan::Plan;
use daybook_config::Calendar;
use daybook_config::calendar::Day;
use daybook_core::Body;
use daybook_vocabulary::{Date, InputFilter, Nanos};
use serde::Serialize;
use std::path::PathBuf;

/// Batches are closed after so many inputs.
const BATCH_INPUTS: u64 = 4_096;
/// Trading days are looked for so far back.
const DAYS_BACK: i32 = 31;

/// Histories, opened, for a session of one date.
pub struct WarmUp {
    histories: Vec<History>,
    date: Date,
}

/// What a warm-up brings for one symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warmed {
    /// The symbol.
    pub symbol: String,
    /// Candles before the session's date, at most what is wanted.
    pub candles: u64,
    /// What the strategy wants.
    pub wanted: u64,
    /// Date of the last of them.
    pub last: Option<Date>,
}

impl WarmUp {
    /// Opens journals of history for the session of a date.
    pub fn open(journals: &[PathBuf], date: Date) -> Result<Self, ReplayError> {
        let histories = journals.iter().map(|path| History::open(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { histories, date })
    }

    /// What it brings, by symbol; an error that names what is missing and how to get it.
    pub fn check(&self, plan: &Plan, selection: &Selection, calendar: &Calendar) -> Result<Vec<Warmed>, ReplayError> {
        let filter = filter_of(plan, selection, calendar, Some(self.date))?;
        let wanted = plan.warmup_candles(selection, &filter);
        let brought = |symbol: &String| Warmed { symbol: symbol.clone(), candles: 0, wanted, last: None };
        let mut warmed: Vec<Warmed> = filter.symbols.iter().map(brought).collect();
        if wanted == 0 {
            return Ok(warmed);
        }
        let mut source = self.source(plan, selection, calendar, &filter)?;
        while source.advance()? {
            if let Body::Candle(id, candle) = source.input().body {
                let one = &mut warmed[id.index()];
                one.candles += 1;
                one.last = Some(calendar.date_of(candle.open_time()));
            }
        }
        let before = last_trading_day(calendar, self.date);
        let stale = warmed.iter().filter(|one| one.last.is_none_or(|last| before.is_some_and(|before| last < before)));
        let stale: Vec<String> = stale
            .map(|one| match one.last {
                Some(last) => format!("{} ends {last}", one.symbol),
                None => format!("{} has none of {}", one.symbol, selection.interval),
            })
            .collect();
        match (before, stale.is_empty()) {
            (Some(before), false) => Err(ReplayError::NoWarmUp {
                date: self.date,
                reason: format!(
                    "the history does not reach {before}, the last trading day: {}; \
                     `daybook fetch --from DATE --interval {} --symbols {}` brings it",
                    stale.join(", "),
                    selection.interval,
                    filter.symbols.join(",")
                ),
            }),
            _ => Ok(warmed),
        }
    }

    /// Tells a session that has just begun. How many candles there were.
    pub(crate) fn tell(
        &self,
        recorder: &mut Recorder,
        now: Nanos,
        plan: &Plan,
        selection: &Selection,
        calendar: &Calendar,
    ) -> Result<u64, ReplayError> {
        let filter = filter_of(plan, selection, calendar, Some(self.date))?;
        let mut source = self.source(plan, selection, calendar, &filter)?;
        let (mut date, mut told, mut candles) = (None, 0u64, 0);
        while source.advance()? {
            let input = source.input();
            if let Body::SessionOpened(hours) = input.body {
                date = Some(hours.date);
            }
            candles += u64::from(matches!(input.body, Body::Candle(..)));
            // A history has nothing but candles, sessions and slices, each of a session.
            let Some(heard) = Heard::of(&input.body, input.time, date) else { continue };
            recorder.hear(now, &heard)?;
            told += 1;
            if told.is_multiple_of(BATCH_INPUTS) {
                recorder.commit()?;
            }
        }
        Ok(candles)
    }

    fn source(
        &self,
        plan: &Plan,
        selection: &Selection,
        calendar: &Calendar,
        filter: &InputFilter,
    ) -> Result<HistorySource, ReplayError> {
        // From the day on, and nothing of it: what is left is the warm-up.
        let from = Range::of_dates(calendar, Some(self.date), None).from;
        let range = Range { from, until: from };
        HistorySource::new(&self.histories, selection, calendar.clone(), range, plan.warmup_candles(selection, filter))
    }
}

/// What a live session takes: where it is warmed up, its own date on; else everything, the first bars deciding nothing.
pub(crate) fn filter_of(
    plan: &Plan,
    selection: &Selection,
    calendar: &Calendar,
    date: Option<Date>,
) -> Result<InputFilter, ReplayError> {
    Ok(InputFilter {
        symbols: selection.instruments.iter().map(|instrument| instrument.symbol.clone()).collect(),
        interval: selection.interval,
        from: date,
        to: None,
        warmup: plan.warmup(selection, calendar, date)?,
    })
}

/// The trading day before a date; none where the calendar does not say.
fn last_trading_day(calendar: &Calendar, date: Date) -> Option<Date> {
    let days = (1..=DAYS_BACK).map(|back| Date(date.0 - back));
    days.into_iter().find(|day| matches!(calendar.day(*day), Day::Session(_)))
}
