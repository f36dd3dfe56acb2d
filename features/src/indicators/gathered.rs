//! Indicators of whole days and weeks, from finer bars: `rsi(14)@1d`, `stochrsi(14)@1w`.
//!
//! - A value is shown only once its period is over (TS-10, trap 20): a day when a bar ends with its session, or when the
//!   next session's first bar comes; a week when the first bar of the next week comes, because only then is it certain
//!   that no session of it is left.
//! - Until the next period is over the value stays what it was.
//! - A week begins on Monday, by the date of the session.

use crate::bar::{Bar, Session};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{Candle, Interval, Quantity};
use serde::{Deserialize, Serialize};

/// What bars are gathered into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Period {
    /// A session.
    Day,
    /// Monday to Sunday.
    Week,
}

impl Period {
    /// Every period, as it is written.
    pub const ALL: [(&'static str, Self); 2] = [("1d", Self::Day), ("1w", Self::Week)];

    /// Number of the period that a session belongs to.
    const fn of(self, session: &Session) -> i32 {
        match self {
            Self::Day => session.date.0,
            // The epoch was a Thursday: three days after a Monday.
            Self::Week => (session.date.0 + 3).div_euclid(7),
        }
    }

    const fn length(self) -> Interval {
        match self {
            Self::Day => Interval::DAY,
            Self::Week => Interval(7 * Interval::DAY.0),
        }
    }
}

/// Gathers bars into those of a period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gathered {
    period: Period,
    /// Number of the period, its last session, and what has come in of it.
    partial: Option<(i32, Session, Candle)>,
    /// The last period that is over.
    over: Option<i32>,
}

impl Gathered {
    /// Nothing gathered yet.
    pub const fn new(period: Period) -> Self {
        Self { period, partial: None, over: None }
    }

    /// Adds a bar and hands every period that is over by it to `take`.
    pub fn push(&mut self, bar: &Bar<'_>, mut take: impl FnMut(&Bar<'_>)) {
        let number = self.period.of(bar.session);
        if self.partial.as_ref().is_some_and(|(known, ..)| *known != number) {
            self.finish(&mut take);
        }
        if self.over.is_some_and(|over| number <= over) {
            return;
        }
        let parts = bar.candle.parts();
        let merged = match &self.partial {
            None => CandleParts { interval: self.period.length(), revises: false, ..parts },
            Some((_, _, gathered)) => CandleParts {
                high: gathered.high().max(parts.high),
                low: gathered.low().min(parts.low),
                close: parts.close,
                volume: Quantity(gathered.volume().0.saturating_add(parts.volume.0)),
                ..gathered.parts()
            },
        };
        self.partial = Some((number, *bar.session, Candle::new(merged)));
        if self.period == Period::Day && bar.ends() >= bar.session.close {
            self.finish(&mut take);
        }
    }

    fn finish(&mut self, take: &mut impl FnMut(&Bar<'_>)) {
        if let Some((number, session, candle)) = self.partial.take() {
            self.over = Some(number);
            take(&Bar { candle: &candle, session: &session });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{bars_of, candle, session_on};
    use daybook_vocabulary::time::MINUTE;

    /// TS-10: Friday's close is in no weekly value before the next week; a day's value comes with its last bar.
    #[test]
    fn a_value_is_shown_once_its_period_is_over() {
        // Thursday, Friday, Monday, of two bars each: the first and the last of the session.
        let mut candles = Vec::new();
        for (date, prices) in [("2025-01-02", [10, 11]), ("2025-01-03", [12, 13]), ("2025-01-06", [14, 15])] {
            let session = session_on(date);
            for (minute, price) in [0, 370].into_iter().zip(prices) {
                candles.push((session, candle(session.open + minute * MINUTE, [price; 4], 1)));
            }
        }
        let bars = bars_of(&candles);
        let values = |text: &str| crate::parse_indicators(text).unwrap().remove(0).batch(&bars).remove(0);
        assert_eq!(values("sma(1)@1d"), [None, Some(11.0), Some(11.0), Some(13.0), Some(13.0), Some(15.0)]);
        assert_eq!(values("sma(1)@1w"), [None, None, None, None, Some(13.0), Some(13.0)]);
        assert_eq!(
            values("rolling_vwap(2)@1d")[3],
            Some(((11.0 + 10.0 + 11.0) / 3.0 * 2.0 + (13.0 + 12.0 + 13.0) / 3.0 * 2.0) / 4.0)
        );
    }
}
