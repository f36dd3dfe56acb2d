//! Rows of features of one instrument and timeframe, and the window of them that a decision sees.
//!
//! - A window is `length` rows of bars that follow one another, the last of them the newest that could be known. Where a
//!   bar is missing, late or without features, the decision is withheld: nothing is filled from elsewhere (trap 19).
//! - Rows are appended as bars close and looked up by when they were known, so a look into the past sees what was known
//!   then; the same code answers live, in backtest and in training.

use super::{FEATURES, Features};
use crate::bar::{Bar, Session};
use daybook_vocabulary::{Date, Interval, Nanos};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which bar a row is of, when it was known, and how many rows before it follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowKey {
    /// When the bar was known.
    pub known: Nanos,
    /// When the bar was complete; a bar that was learned late is known later.
    pub ends: Nanos,
    /// The date of its session.
    pub date: Date,
    /// Rows without a break up to this one, itself included.
    pub run: u32,
}

/// A time at which something is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The decision's time.
    pub at: Nanos,
    /// The session it falls in.
    pub session: Session,
    /// The session before, where there was one.
    pub previous: Option<Session>,
}

/// Why a decision is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Withheld {
    /// Too few bars since the journal or the anchor began.
    #[error("{have} of {need} {interval} bars have features: the journal is too short before this time")]
    TooShort {
        /// The timeframe.
        interval: Interval,
        /// Rows without a break.
        have: u32,
        /// Rows that the model looks back.
        need: u32,
    },
    /// The newest bar that could be known is not there.
    #[error("the last {interval} bar is missing")]
    NoBar {
        /// The timeframe.
        interval: Interval,
    },
}

/// Rows in order of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    interval: Interval,
    /// Rows to keep, at least; all when absent.
    keep: Option<usize>,
    keys: Vec<RowKey>,
    values: Vec<f32>,
    run: u32,
}

impl Rows {
    /// No rows yet. With `keep`, older rows than so many are dropped now and then.
    pub fn new(interval: Interval, keep: Option<usize>) -> Self {
        Self { interval, keep, keys: Vec::new(), values: Vec::new(), run: 0 }
    }

    /// Appends what a bar gave that was learned at `known`; a bar without features breaks the run.
    pub fn push(&mut self, bar: &Bar<'_>, known: Nanos, features: Option<&Features>) {
        let Some(features) = features else {
            self.run = 0;
            return;
        };
        // Rows are looked up by when they were known, so that never steps back.
        let known = self.keys.last().map_or(known, |last| last.known.max(known));
        self.run = self.run.saturating_add(1);
        self.keys.push(RowKey { known, ends: bar.ends(), date: bar.session.date, run: self.run });
        self.values.extend_from_slice(features);
        if let Some(keep) = self.keep.filter(|keep| self.keys.len() >= 2 * keep.max(&1)) {
            let drop = self.keys.len() - keep.max(1);
            self.keys.drain(..drop);
            self.values.drain(..drop * FEATURES);
        }
    }

    /// The timeframe.
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// Keys, in order of time.
    pub fn keys(&self) -> &[RowKey] {
        &self.keys
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Number of the last row of the window that a decision sees.
    pub fn find(&self, moment: &Moment, length: usize) -> Result<usize, Withheld> {
        let interval = self.interval;
        let after = self.keys.partition_point(|key| key.known <= moment.at);
        let Some(last) = after.checked_sub(1) else {
            return Err(Withheld::TooShort { interval, have: 0, need: length as u32 });
        };
        let key = self.keys[last];
        if !self.is_newest(&key, moment) {
            return Err(Withheld::NoBar { interval });
        }
        if (key.run as usize) < length || last + 1 < length {
            return Err(Withheld::TooShort { interval, have: key.run, need: length as u32 });
        }
        Ok(last)
    }

    /// The rows that end at row `last`, oldest first: `length × FEATURES` values. They are there.
    pub fn ending(&self, last: usize, length: usize) -> &[f32] {
        &self.values[(last + 1 - length) * FEATURES..(last + 1) * FEATURES]
    }

    /// The window that a decision sees.
    pub fn window(&self, moment: &Moment, length: usize) -> Result<&[f32], Withheld> {
        Ok(self.ending(self.find(moment, length)?, length))
    }

    /// True when keys and values fit each other, whatever the bytes they were read from.
    pub(super) fn is_sound(&self) -> bool {
        self.values.len() == self.keys.len() * FEATURES && self.keys.is_sorted_by_key(|key| key.known)
    }

    /// True when no newer bar than this could be known.
    fn is_newest(&self, key: &RowKey, moment: &Moment) -> bool {
        let session = &moment.session;
        let previous = moment.previous.is_some_and(|previous| key.date == previous.date);
        if self.interval.is_daily() {
            return key.date == session.date || (moment.at < session.end && previous);
        }
        let whole = (moment.at.min(session.close) - session.open) / self.interval.nanos();
        if moment.at >= session.close {
            key.ends == session.close
        } else if whole > 0 {
            key.ends == session.open + whole * self.interval.nanos()
        } else {
            previous && moment.previous.is_some_and(|previous| key.ends == previous.close)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{candle, session_on};
    use daybook_vocabulary::time::MINUTE;

    fn moment(at: Nanos) -> Moment {
        Moment { at, session: session_on("2025-01-02"), previous: Some(session_on("2025-01-01")) }
    }

    fn rows(minutes: &[i64]) -> Rows {
        let (first, second) = (session_on("2025-01-01"), session_on("2025-01-02"));
        let mut rows = Rows::new(Interval::minutes(5), None);
        let mut push = |session: &Session, minute: i64| {
            let candle = candle(session.open + minute * MINUTE, [1; 4], 1);
            let bar = Bar { candle: &candle, session };
            rows.push(&bar, bar.known(), Some(&[minute as f32; FEATURES]));
        };
        push(&first, 370);
        minutes.iter().for_each(|&minute| push(&second, minute));
        rows
    }

    #[test]
    fn the_newest_bar_must_be_there() {
        let open = session_on("2025-01-02").open;
        let found = |minutes: &[i64], at: i64| rows(minutes).window(&moment(open + at * MINUTE), 1).map(|row| row[0]);
        let missing = Err(Withheld::NoBar { interval: Interval::minutes(5) });
        assert_eq!(found(&[], 0), Ok(370.0), "before the first bar can be known, yesterday's last is the newest");
        assert_eq!(found(&[], 5), missing);
        assert_eq!(found(&[0], 5), Ok(0.0));
        assert_eq!(found(&[0], 9), Ok(0.0));
        assert_eq!(found(&[0], 10), missing);
        assert_eq!(found(&[0, 5, 370], 375), Ok(370.0));
        assert_eq!(found(&[0, 5, 370], 10), Ok(5.0), "what came later is not seen");
    }

    #[test]
    fn a_break_makes_the_window_too_short() {
        let session = session_on("2025-01-02");
        let mut rows = rows(&[0, 5]);
        let missing = candle(session.open + 10 * MINUTE, [1; 4], 1);
        rows.push(&Bar { candle: &missing, session: &session }, session.open + 15 * MINUTE, None);
        let next = candle(session.open + 15 * MINUTE, [1; 4], 1);
        rows.push(&Bar { candle: &next, session: &session }, session.open + 20 * MINUTE, Some(&[9.0; FEATURES]));
        let at = moment(session.open + 20 * MINUTE);
        assert_eq!(rows.window(&at, 1).map(|row| row[0]), Ok(9.0));
        let interval = Interval::minutes(5);
        assert_eq!(rows.window(&at, 2), Err(Withheld::TooShort { interval, have: 1, need: 2 }));
        assert_eq!(rows.window(&moment(session.open + 15 * MINUTE), 1), Err(Withheld::NoBar { interval }));
    }

    /// A bar that was learned late is not seen before, and is the newest afterwards.
    #[test]
    fn a_late_bar_is_seen_when_it_was_learned() {
        let session = session_on("2025-01-02");
        let mut rows = rows(&[0]);
        let late = candle(session.open + 5 * MINUTE, [1; 4], 1);
        let learned = session.open + 12 * MINUTE;
        rows.push(&Bar { candle: &late, session: &session }, learned, Some(&[7.0; FEATURES]));
        let missing = Err(Withheld::NoBar { interval: Interval::minutes(5) });
        assert_eq!(rows.window(&moment(session.open + 10 * MINUTE), 1).map(|row| row[0]), missing);
        assert_eq!(rows.window(&moment(learned), 1).map(|row| row[0]), Ok(7.0));
    }

    #[test]
    fn old_rows_are_dropped_and_the_window_stays() {
        let session = session_on("2025-01-02");
        let mut rows = Rows::new(Interval::minutes(5), Some(3));
        for bar in 0..40 {
            let candle = candle(session.open + bar * 5 * MINUTE, [1; 4], 1);
            let known = session.open + (bar + 1) * 5 * MINUTE;
            rows.push(&Bar { candle: &candle, session: &session }, known, Some(&[bar as f32; FEATURES]));
            assert!(rows.keys().len() < 6);
            let window = rows.window(&moment(session.open + (bar + 1) * 5 * MINUTE), 3);
            assert_eq!(window.map(|window| window[0]).ok(), (bar >= 2).then_some(bar as f32 - 2.0));
        }
    }
}
