//! What sizes are measured by: the average range, the volatility, and the record of closed trades.
//!
//! - The volatility is the standard deviation of simple returns from close to close, with `n - 1`: sums are exact, the
//!   root is that of whole numbers, rounded down once. The same bits on every machine.
//! - A gauge is kept only where a size asks for it: strategies that do not, pay nothing.

use crate::exits::AverageRange;
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{Candle, Money, Price, Ratio};
use serde::{Deserialize, Serialize};

/// Bars of the average range.
const RANGE_BARS: u32 = 14;
/// Returns of the volatility.
const RETURNS: usize = 20;
/// The largest return that is told apart: 100 times the price.
const RETURN_MAX: i128 = 100 * SCALE as i128;

/// Average range and volatility of one instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    range: AverageRange,
    close: Price,
    /// The last returns in units of 1e-8; `next` is the oldest once there are enough.
    returns: Vec<i64>,
    next: u32,
    seen: u32,
}

impl Default for Gauge {
    fn default() -> Self {
        Self { range: AverageRange::new(RANGE_BARS), close: Price::ZERO, returns: vec![0; RETURNS], next: 0, seen: 0 }
    }
}

impl Gauge {
    /// Bars that it needs.
    pub const WARMUP: u32 = RETURNS as u32;

    /// Learns a closed bar.
    pub fn update(&mut self, bar: &Candle) {
        self.range.update(bar);
        let before = std::mem::replace(&mut self.close, bar.close());
        if before.0 <= 0 {
            return;
        }
        let change = (i128::from(bar.close().0) - i128::from(before.0)) * i128::from(SCALE);
        let change = divide_rounded(change, before.0.into()).clamp(-RETURN_MAX, RETURN_MAX);
        self.returns[self.next as usize] = change as i64;
        self.next = (self.next + 1) % RETURNS as u32;
        self.seen = self.seen.saturating_add(1);
    }

    /// The average true range.
    pub fn range(&self) -> Option<Price> {
        self.range.value()
    }

    /// The standard deviation of a bar's return; nothing before there are enough, or while nothing moves.
    pub fn volatility(&self) -> Option<Ratio> {
        if (self.seen as usize) < RETURNS {
            return None;
        }
        let count = RETURNS as i128;
        let sum: i128 = self.returns.iter().map(|change| i128::from(*change)).sum();
        let squares: i128 = self.returns.iter().map(|change| i128::from(*change) * i128::from(*change)).sum();
        let variance = (count * squares - sum * sum) / (count * (count - 1));
        let deviation = Ratio(variance.isqrt() as i64);
        (deviation > Ratio::ZERO).then_some(deviation)
    }
}

/// How closed trades ended, charges paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Trades that made money.
    pub wins: u64,
    /// The others.
    pub losses: u64,
    /// What the first made.
    pub won: Money,
    /// What the others lost, positive.
    pub lost: Money,
}

impl Record {
    /// Adds a closed trade.
    pub fn add(&mut self, net: Money) {
        if net > Money::ZERO {
            self.wins += 1;
            self.won += net;
        } else {
            self.losses += 1;
            self.lost -= net;
        }
    }

    /// Trades in it.
    pub const fn trades(&self) -> u64 {
        self.wins + self.losses
    }

    /// Kelly's share of the capital for such a record: `W - (1 - W) / R`, `W` the share of wins, `R` the average win in
    /// average losses. That is `wins × (won - lost) / (trades × won)`; nothing where there is no edge.
    /// Source: J. L. Kelly, *A New Interpretation of Information Rate* (1956).
    pub fn kelly(&self) -> Option<Ratio> {
        let edge = self.won.0.checked_sub(self.lost.0).filter(|edge| *edge > 0)?;
        let share = i128::from(SCALE) * i128::from(self.wins) / i128::from(self.trades().max(1));
        let kept = edge.checked_mul(i128::from(SCALE))? / self.won.0;
        Some(Ratio((share * kept / i128::from(SCALE)) as i64)).filter(|share| *share > Ratio::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::candle::CandleParts;
    use daybook_vocabulary::{Interval, Nanos, Quantity};

    fn close(gauge: &mut Gauge, price: i64) {
        let price = Price(price);
        gauge.update(&Candle::new(CandleParts {
            open_time: Nanos(0),
            interval: Interval::MINUTE,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Quantity(1),
            revises: false,
        }));
    }

    /// Ten returns of 10 % and ten of -10 %: the mean is 0, the deviation the root of 20 × 0.01 / 19.
    #[test]
    fn the_volatility_by_hand() {
        let mut gauge = Gauge::default();
        let mut price = 1_000_000_000;
        close(&mut gauge, price);
        for number in 0..20 {
            assert_eq!(gauge.volatility(), None);
            price = if number % 2 == 0 { price / 10 * 11 } else { price / 10 * 9 };
            close(&mut gauge, price);
        }
        let deviation = gauge.volatility().unwrap();
        assert!((deviation.0 - 10_259_783).abs() < 100, "{deviation}");
    }

    #[test]
    fn kelly_by_hand() {
        let mut record = Record::default();
        assert_eq!(record.kelly(), None);
        for _ in 0..6 {
            record.add(Money::from_units(20));
        }
        for _ in 0..4 {
            record.add(Money::from_units(-10));
        }
        // W = 0.6, R = 2: 0.6 - 0.4 / 2.
        assert_eq!(record.kelly().unwrap(), "0.39999999".parse().unwrap(), "0.4, each division rounded down");
        record.add(Money::from_units(-90));
        assert_eq!(record.kelly(), None, "an edge that is gone is no size");
    }
}
