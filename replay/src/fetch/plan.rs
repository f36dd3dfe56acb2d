//! What is missing: the ranges asked for less those the journal holds, cut into pages.
//!
//! - A range is a span of availability, open at its start: it holds the candles known after `after` and no later than
//!   `until`. Spans add up and subtract without a bar between them.
//! - Held is what finished fetches say they asked for, and what lies between the first and the last candle of a run
//!   that came from files. An unfinished run holds nothing: its command is not done.
//! - A page in which no bar can have closed (a weekend, a holiday) is not asked for.

use super::FetchOptions;
use crate::ingest::IngestError;
use crate::ingest::known::Known;
use daybook_adapters::kite::history;
use daybook_config::Calendar;
use daybook_vocabulary::{Date, Interval, Nanos};
use std::collections::BTreeMap;

/// A page to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub symbol: String,
    /// Candles known at this instant or before are not meant.
    pub after: i64,
    /// The last instant at which a candle that is meant was known.
    pub until: i64,
}

/// The pages of a command, by symbol and time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub jobs: Vec<Job>,
}

/// Spans of time that do not touch, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// Adds `(after, until]`.
    pub fn add(&mut self, after: i64, until: i64) {
        if after >= until {
            return;
        }
        let (mut low, mut high) = (after, until);
        self.0.retain(|&(from, to)| {
            let apart = to < low || high < from;
            if !apart {
                low = low.min(from);
                high = high.max(to);
            }
            apart
        });
        let at = self.0.partition_point(|&(from, _)| from < low);
        self.0.insert(at, (low, high));
    }

    /// What of `(after, until]` is not in it.
    pub fn missing(&self, after: i64, until: i64) -> Vec<(i64, i64)> {
        let (mut out, mut begin) = (Vec::new(), after);
        for &(from, to) in self.0.iter().filter(|&&(from, to)| to > after && from < until) {
            if begin < from {
                out.push((begin, from));
            }
            begin = begin.max(to);
        }
        if begin < until {
            out.push((begin, until));
        }
        out
    }
}

/// The pages that are missing of `symbols` until the date `to`, and no later than `settled`.
pub(crate) fn make(options: &FetchOptions, symbols: &[String], to: Date, settled: Nanos) -> Result<Plan, IngestError> {
    let known = Known::open(&options.journal)?;
    let mut names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let held = known.as_ref().map(|known| held(known, options)).transpose()?.unwrap_or_default();
    let zone = options.calendar.zone_offset();
    let midnight = |date: Date| date.midnight().0.saturating_sub(zone);
    let (after, until) = (midnight(options.from), midnight(to.next()).min(settled.0));
    let nothing = Spans::default();
    let mut plan = Plan::default();
    for symbol in names {
        let spans = held.get(stored_name(&held, options, symbol)).unwrap_or(&nothing);
        for (after, until) in spans.missing(after, until) {
            let first = options.calendar.date_of(Nanos(after + 1));
            let last = options.calendar.date_of(Nanos(until - 1));
            for (from, to) in history::pages(options.interval, first, last) {
                let job = Job {
                    symbol: symbol.to_owned(),
                    after: after.max(midnight(from)),
                    until: until.min(midnight(to.next())),
                };
                if bars_known(&options.calendar, options.interval, job.after, job.until) > 0 {
                    plan.jobs.push(job);
                }
            }
        }
    }
    Ok(plan)
}

/// By symbol, what the journal holds of the interval.
fn held(known: &Known, options: &FetchOptions) -> Result<BTreeMap<String, Spans>, IngestError> {
    let mut held: BTreeMap<String, Spans> = BTreeMap::new();
    let market = options.calendar.market();
    for run in &known.runs {
        let Some(ended) = &run.ended else { continue };
        if run.started.command == "fetch" {
            for range in known.fetched(run)? {
                if range.market == market && range.interval == options.interval {
                    held.entry(range.symbol).or_default().add(range.after.0, range.until.0);
                }
            }
            continue;
        }
        for series in &ended.series {
            if series.definition.market == market && series.interval == options.interval {
                let until = options.calendar.available_at(series.last, series.interval);
                held.entry(series.definition.symbol.clone()).or_default().add(series.first.0, until.0);
            }
        }
    }
    Ok(held)
}

/// The name under which the journal holds a symbol: its own, or that of one that followed it.
fn stored_name<'a>(held: &BTreeMap<String, Spans>, options: &'a FetchOptions, symbol: &'a str) -> &'a str {
    if held.contains_key(symbol) {
        return symbol;
    }
    let newer = options.aliases.iter().find(|alias| alias.old == symbol && held.contains_key(&alias.new));
    newer.map_or(symbol, |alias| &alias.new)
}

/// The names under which the journal holds the command's symbols, sorted.
pub(crate) fn stored_names(known: &Known, options: &FetchOptions) -> Vec<String> {
    let held = held(known, options).unwrap_or_default();
    let mut names: Vec<String> =
        options.symbols.iter().map(|symbol| stored_name(&held, options, symbol).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Bars that the calendar would have become known in `(after, until]`.
pub(crate) fn bars_known(calendar: &Calendar, interval: Interval, after: i64, until: i64) -> u64 {
    let (first, last) = (calendar.date_of(Nanos(after)), calendar.date_of(Nanos(until)));
    let length = interval.nanos();
    let mut bars = 0;
    for session in (first.0..=last.0).filter_map(|date| calendar.session_for_data(Date(date))) {
        if interval.is_daily() {
            bars += u64::from(after < session.end().0 && session.end().0 <= until);
            continue;
        }
        for window in session.windows.iter() {
            let (open, close) = (window.open.0, window.close.0);
            let all = (close - open + length - 1) / length;
            let known_by = |time: i64| if time >= close { all } else { ((time - open).max(0) / length).min(all) };
            bars += (known_by(until) - known_by(after)).max(0).unsigned_abs();
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(text: &str) -> i64 {
        text.parse::<Nanos>().unwrap().0
    }

    #[test]
    fn bars_of_spans() {
        let nse = Calendar::nse();
        let count = |interval: &str, after: &str, until: &str| {
            bars_known(&nse, interval.parse().unwrap(), time(after), time(until))
        };
        let (open, close) = ("2025-06-09T09:15:00+05:30", "2025-06-09T15:30:00+05:30");
        assert_eq!(count("5m", open, close), 75);
        assert_eq!(count("5m", open, "2025-06-09T09:19:59+05:30"), 0);
        assert_eq!(count("5m", open, "2025-06-09T09:20:00+05:30"), 1);
        assert_eq!(count("10m", open, close), 38, "the half bar at the end");
        assert_eq!(count("1d", "2025-06-01T00:00:00+05:30", "2025-06-10T00:00:00+05:30"), 6);
        assert_eq!(count("5m", "2025-06-07T00:00:00+05:30", "2025-06-09T00:00:00+05:30"), 0, "a weekend");
    }

    proptest! {
        /// A naive twin over a hundred instants: an instant is missing exactly when no span that was added holds it.
        #[test]
        fn spans_equal_a_set(added in prop::collection::vec((0i64..100, 0i64..100), 0..12), asked in (0i64..100, 0i64..100)) {
            let mut spans = Spans::default();
            let mut set = [false; 101];
            for (after, until) in added {
                spans.add(after, until);
                (after + 1..=until).for_each(|at| set[at as usize] = true);
            }
            prop_assert!(spans.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{spans:?}");
            let missing = spans.missing(asked.0, asked.1);
            for at in 1..=100i64 {
                let expected = asked.0 < at && at <= asked.1 && !set[at as usize];
                prop_assert_eq!(missing.iter().any(|&(from, to)| from < at && at <= to), expected, "{}", at);
            }
        }
    }
}
