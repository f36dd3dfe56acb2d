//! What an indicator is shown: a closed candle, and the session that it belongs to.
//!
//! - A bar exists only when its candle has closed, so nothing here can look ahead.
//! - The hours of a session are given, never worked out: this crate has no calendar and no clock.
//! - Floats are made from exact prices at one place, [`float`].

use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Candle, Date, Nanos};
use serde::{Deserialize, Serialize};

/// The session of a bar, as the calendar has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its date in the exchange's zone.
    pub date: Date,
    /// First instant of continuous trading.
    pub open: Nanos,
    /// End of continuous trading.
    pub close: Nanos,
    /// End of the session, its closing auction included: when its daily bar is known.
    pub end: Nanos,
    /// True when trading ends earlier than on an ordinary day, or the whole session stands at other hours.
    pub early_close: bool,
    /// When the first session of the date's month opens.
    pub month_opens: Nanos,
    /// When the first session of the date's year opens.
    pub year_opens: Nanos,
}

/// A closed candle in its session.
#[derive(Debug, Clone, Copy)]
pub struct Bar<'a> {
    /// What was traded.
    pub candle: &'a Candle,
    /// When it could be traded.
    pub session: &'a Session,
}

impl Bar<'_> {
    /// First price.
    #[inline]
    pub fn open(&self) -> f64 {
        float(self.candle.open().0)
    }

    /// Highest price.
    #[inline]
    pub fn high(&self) -> f64 {
        float(self.candle.high().0)
    }

    /// Lowest price.
    #[inline]
    pub fn low(&self) -> f64 {
        float(self.candle.low().0)
    }

    /// Last price.
    #[inline]
    pub fn close(&self) -> f64 {
        float(self.candle.close().0)
    }

    /// Quantity traded.
    #[inline]
    pub fn volume(&self) -> f64 {
        float(self.candle.volume().0)
    }

    /// Mean of high, low and close: the price a volume-weighted mean weighs.
    #[inline]
    pub fn typical(&self) -> f64 {
        (self.high() + self.low() + self.close()) / 3.0
    }

    /// When the bar was complete: its nominal end, or the end of trading where that comes first. It is worked out from
    /// the bar, not from when somebody learned of it, so that it is the same live and in replay.
    #[inline]
    pub fn ends(&self) -> Nanos {
        let nominal = self.candle.open_time() + self.candle.interval().nanos();
        nominal.min(self.session.close).max(self.candle.open_time())
    }

    /// When the bar could be known: a daily bar after the closing auction, any other when it ended.
    #[inline]
    pub fn known(&self) -> Nanos {
        if self.candle.interval().is_daily() { self.session.end.max(self.ends()) } else { self.ends() }
    }
}

/// The float nearest to an exact number in units of 1e-8.
#[inline]
pub fn float(raw: i64) -> f64 {
    raw as f64 / SCALE as f64
}
