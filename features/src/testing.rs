//! Small markets for tests.
//!
//! - Seeded: the same seed gives the same candles.

use crate::bar::{Bar, Session};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::{HOUR, MINUTE};
use daybook_vocabulary::{Candle, Date, Interval, Nanos, Price, Quantity};

/// A session of 375 minutes on a date.
pub(crate) fn session_on(date: &str) -> Session {
    let date: Date = date.parse().expect("a date");
    let open = date.midnight() + (3 * HOUR + 45 * MINUTE);
    let close = open + 375 * MINUTE;
    Session { date, open, close, end: close + 10 * MINUTE, early_close: false, month_opens: open, year_opens: open }
}

/// A candle of 5 minutes: open, high, low, close in whole units.
pub(crate) fn candle(open_time: Nanos, prices: [i64; 4], volume: i64) -> Candle {
    let [open, high, low, close] = prices.map(Price::from_units);
    let volume = Quantity(volume * 100_000_000);
    Candle::new(CandleParts {
        open_time,
        interval: Interval::minutes(5),
        open,
        high,
        low,
        close,
        volume,
        revises: false,
    })
}

/// Bars of candles in their sessions.
pub(crate) fn bars_of(candles: &[(Session, Candle)]) -> Vec<Bar<'_>> {
    candles.iter().map(|(session, candle)| Bar { candle, session }).collect()
}
