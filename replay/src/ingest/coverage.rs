//! What a command's candles cover, and what is missing between them by the calendar.
//!
//! - Only the span between a series' first and last bar is judged; bars before and after are not "missing".
//! - Dates of years the calendar lacks count as sessions only where they have data.
//! - In a market that never closes, daily bars five days or more apart are a gap: weekends and holidays are not known.

use daybook_config::{Calendar, Day, Session};
use daybook_vocabulary::{Date, Interval, Nanos};
use serde::{Deserialize, Serialize};

/// Gaps that a report names: the first ones and the last.
const EXAMPLES_MAX: usize = 6;
/// Days between daily bars of a market without a calendar that are not worth a word: a long weekend.
const QUIET_DAYS: i32 = 4;

/// Bars missing between two that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Open time of the bar before.
    pub after: Nanos,
    /// Open time of the bar behind.
    pub before: Nanos,
    /// Bars the calendar would have between them.
    pub missing: u64,
}

/// What one symbol and interval cover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The symbol.
    pub symbol: String,
    /// Length of its bars.
    pub interval: Interval,
    /// Open time of its first bar.
    pub first: Nanos,
    /// Open time of its last bar.
    pub last: Nanos,
    /// Bars: written by this command or equal to ones that were there.
    pub bars: u64,
    /// Bars missing between first and last, by the calendar.
    pub missing: u64,
    /// Whole sessions among them.
    pub missing_sessions: u64,
    /// Places at which bars are missing.
    pub gaps: u64,
    /// The first of them, and the last.
    pub examples: Vec<Gap>,
    /// True when the instrument has no volume: its candles carry zero.
    pub no_volume: bool,
}

/// Follows one series, bar by bar in order of time.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    interval: Interval,
    first: i64,
    last: i64,
    bars: u64,
    missing: u64,
    missing_sessions: u64,
    gaps: u64,
    examples: Vec<Gap>,
}

impl Coverage {
    pub fn new(interval: Interval) -> Self {
        Self { interval, first: 0, last: 0, bars: 0, missing: 0, missing_sessions: 0, gaps: 0, examples: Vec::new() }
    }

    /// The next bar.
    #[inline]
    pub fn note(&mut self, calendar: &Calendar, open_time: i64) {
        if self.bars == 0 {
            self.first = open_time;
        } else if open_time != self.last + self.interval.nanos() {
            self.step(calendar, open_time);
        }
        self.last = open_time;
        self.bars += 1;
    }

    #[cold]
    fn step(&mut self, calendar: &Calendar, open_time: i64) {
        let from = calendar.date_of(Nanos(self.last));
        let to = calendar.date_of(Nanos(open_time));
        let (missing, sessions) = if self.interval.is_daily() {
            let whole = whole_sessions(calendar, from, to);
            let quiet = calendar.known_years() == &daybook_config::calendar::Years::All && to.0 - from.0 <= QUIET_DAYS;
            let missing = if quiet { 0 } else { whole };
            (missing, missing)
        } else {
            self.intraday_missing(calendar, (from, self.last), (to, open_time))
        };
        if missing == 0 {
            return;
        }
        self.missing += missing;
        self.missing_sessions += sessions;
        self.gaps += 1;
        if self.examples.len() == EXAMPLES_MAX {
            self.examples.pop();
        }
        self.examples.push(Gap { after: Nanos(self.last), before: Nanos(open_time), missing });
    }

    /// Slots after the one bar and before the other.
    fn intraday_missing(
        &self,
        calendar: &Calendar,
        (from, after): (Date, i64),
        (to, before): (Date, i64),
    ) -> (u64, u64) {
        let slots = |date: Date, low: i64, high: i64| {
            calendar.session_for_data(date).map_or(0, |session| slots_between(&session, self.interval, low, high))
        };
        if from == to {
            return (slots(from, after, before), 0);
        }
        let mut missing = slots(from, after, i64::MAX) + slots(to, i64::MIN, before);
        let mut sessions = 0;
        for date in (from.0 + 1..to.0).map(Date) {
            if let Day::Session(session) = calendar.day(date) {
                missing += slots_between(&session, self.interval, i64::MIN, i64::MAX);
                sessions += 1;
            }
        }
        (missing, sessions)
    }

    pub fn finish(self, symbol: String, no_volume: bool) -> Series {
        let Self { interval, first, last, bars, missing, missing_sessions, gaps, examples } = self;
        let (first, last) = (Nanos(first), Nanos(last));
        Series { symbol, interval, first, last, bars, missing, missing_sessions, gaps, examples, no_volume }
    }
}

/// Sessions strictly between two dates.
fn whole_sessions(calendar: &Calendar, from: Date, to: Date) -> u64 {
    (from.0 + 1..to.0).filter(|&date| matches!(calendar.day(Date(date)), Day::Session(_))).count() as u64
}

/// Bars of a session strictly between two open times. A bar that begins before its window opens (a grid kept through
/// a pause) counts as that window's first.
fn slots_between(session: &Session, interval: Interval, after: i64, before: i64) -> u64 {
    let length = interval.nanos();
    let mut count = 0;
    for window in session.windows.iter() {
        let (open, close) = (window.open.0, window.close.0);
        let slots = (close - open + length - 1) / length;
        // A bar that reaches into the window has taken its first slot, on whatever grid.
        let first =
            if after.saturating_add(length) <= open { 0 } else { ((after - open).div_euclid(length) + 1).max(1) };
        let end =
            if before >= close { slots } else { (before.max(open - length) - open + length - 1).div_euclid(length) };
        count += (end.clamp(0, slots) - first.clamp(0, slots)).max(0) as u64;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(calendar: &Calendar, interval: &str, times: &[&str]) -> Series {
        let mut coverage = Coverage::new(interval.parse().unwrap());
        for time in times {
            coverage.note(calendar, time.parse::<Nanos>().unwrap().0);
        }
        coverage.finish("X".to_owned(), false)
    }

    #[test]
    fn missing_bars_of_sessions() {
        let nse = Calendar::nse();
        let day = "2025-01-30T";
        let at = |clock: &str| format!("{day}{clock}:00+05:30");
        let one = cover(&nse, "5m", &[&at("09:15"), &at("09:20"), &at("09:35")]);
        assert_eq!((one.missing, one.gaps, one.missing_sessions), (2, 1, 0));
        assert_eq!(one.examples[0].missing, 2);
        let night = cover(&nse, "5m", &[&at("15:25"), "2025-01-31T09:15:00+05:30"]);
        assert_eq!((night.missing, night.bars), (0, 2));
        let weekend = cover(&nse, "1m", &["2025-01-24T15:29:00+05:30", "2025-01-27T09:15:00+05:30"]);
        assert_eq!(weekend.missing, 0);
        let session = cover(&nse, "5m", &["2025-01-29T15:20:00+05:30", "2025-01-31T09:20:00+05:30"]);
        assert_eq!((session.missing, session.missing_sessions), (1 + 75 + 1, 1));
        let half = cover(&nse, "10m", &[&at("15:15"), "2025-01-31T09:15:00+05:30"]);
        assert_eq!(half.missing, 1, "the half bar at 15:25");
    }

    #[test]
    fn a_pause_is_not_a_gap() {
        let nse = Calendar::nse();
        let pause = cover(&nse, "5m", &["2024-03-02T09:55:00+05:30", "2024-03-02T11:30:00+05:30"]);
        assert_eq!(pause.missing, 0);
        let kept_grid = cover(
            &nse,
            "10m",
            &["2024-03-02T09:55:00+05:30", "2024-03-02T11:25:00+05:30", "2024-03-02T11:35:00+05:30"],
        );
        assert_eq!(kept_grid.missing, 0);
    }

    #[test]
    fn daily_bars() {
        let nse = Calendar::nse();
        let daily = cover(&nse, "1d", &["2025-01-24T03:45:00Z", "2025-01-27T03:45:00Z", "2025-01-30T03:45:00Z"]);
        assert_eq!((daily.missing, daily.missing_sessions, daily.gaps), (2, 2, 1));
        let unknown = cover(&nse, "1d", &["2016-08-16T03:45:00Z", "2016-09-30T03:45:00Z"]);
        assert_eq!(unknown.missing, 0, "unknown dates are not sessions");
        let generic = Calendar::generic();
        let weekend = cover(&generic, "1d", &["2017-11-03T00:00:00Z", "2017-11-06T00:00:00Z", "2017-11-16T00:00:00Z"]);
        assert_eq!((weekend.missing, weekend.gaps), (9, 1));
    }

    #[test]
    fn a_market_that_never_closes() {
        let generic = Calendar::generic();
        let gap = cover(&generic, "1m", &["2024-09-08T12:38:00Z", "2024-09-09T02:00:00Z"]);
        assert_eq!((gap.missing, gap.gaps), (801, 1));
    }
}
