//! A made-up market for the tests of this crate: seeded, in whole ticks, with sessions, months and years.
//!
//! - The same numbers can be made by any program: a linear congruential generator and integers.

use daybook_features::{Bar, Session};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::{HOUR, MINUTE};
use daybook_vocabulary::{Candle, Date, Interval, Nanos, Price, Quantity};

/// Five paise, in units of 1e-8.
pub const TICK: i64 = 5_000_000;

/// `x → x × 1103515245 + 12345 mod 2^31`, its upper bits.
pub struct Numbers(pub u64);

impl Numbers {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> i64 {
        self.0 = (self.0 * 1_103_515_245 + 12_345) % (1 << 31);
        ((self.0 >> 8) % bound) as i64
    }
}

/// Candles and their sessions.
pub struct Market {
    /// In order of time.
    pub candles: Vec<(Session, Candle)>,
}

impl Market {
    /// `sessions` weekdays from a date on, `bars` candles of `interval` each.
    pub fn new(seed: u64, from: &str, sessions: usize, bars: i64, interval: Interval) -> Self {
        let mut numbers = Numbers(seed % (1 << 31));
        let mut date: Date = from.parse().expect("a date");
        let mut candles = Vec::new();
        let mut close = 20_000;
        let (mut month_opens, mut year_opens) = (None, None);
        for _ in 0..sessions {
            while date.0.rem_euclid(7) == 2 || date.0.rem_euclid(7) == 3 {
                date = date.next();
            }
            let open = date.midnight() + (3 * HOUR + 45 * MINUTE);
            let civil = date.civil();
            let (month, year) = (chrono_month(&civil), civil.to_string()[..4].to_owned());
            let first = |known: &mut Option<(String, Nanos)>, name: String| {
                if known.as_ref().is_none_or(|(same, _)| *same != name) {
                    *known = Some((name, open));
                }
                known.as_ref().map_or(open, |(_, opens)| *opens)
            };
            let session = Session {
                date,
                open,
                close: open + 375 * MINUTE,
                end: open + 385 * MINUTE,
                early_close: numbers.below(9) == 0,
                month_opens: first(&mut month_opens, month),
                year_opens: first(&mut year_opens, year),
            };
            for bar in 0..bars {
                let open_price = close;
                close = (close + numbers.below(41) - 20).max(1_000);
                let high = close.max(open_price) + numbers.below(11);
                let low = close.min(open_price) - numbers.below(11);
                let volume = Quantity((1_000 + numbers.below(5_000)) * 100_000_000);
                let [open, high, low, close] = [open_price, high, low, close].map(|ticks| Price(ticks * TICK));
                let open_time = session.open + bar * interval.nanos();
                let parts = CandleParts { open_time, interval, open, high, low, close, volume, revises: false };
                candles.push((session, Candle::new(parts)));
            }
            date = date.next();
        }
        Self { candles }
    }

    /// Bars of five minutes; the market of some of the tests.
    #[allow(dead_code, reason = "each test file is built with this one, not each needs it")]
    pub fn intraday(seed: u64, sessions: usize, bars: i64) -> Self {
        Self::new(seed, "2025-01-01", sessions, bars, Interval::minutes(5))
    }

    /// As an indicator is shown them.
    pub fn bars(&self) -> Vec<Bar<'_>> {
        self.candles.iter().map(|(session, candle)| Bar { candle, session }).collect()
    }
}

fn chrono_month(civil: &impl ToString) -> String {
    civil.to_string()[..7].to_owned()
}
