//! The average true range, in whole numbers.
//!
//! Source: J. Welles Wilder, *New Concepts in Technical Trading Systems* (1978): the first average is a simple mean of
//! `length` true ranges, later ones are `(previous × (length - 1) + range) / length`. The true range of a bar is the
//! largest of its own range and its distances from the close before; the first bar has no close before it.
//!
//! - Exact but for one rounding a bar, half away from zero, of 1e-8: the same bits on every machine, in any process.
//! - Prefix-invariant: the value at bar n is a function of the bars up to n.

use daybook_vocabulary::decimal::divide_rounded;
use daybook_vocabulary::{Candle, Price};
use serde::{Deserialize, Serialize};

/// Wilder's average true range over so many bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AverageRange {
    length: u32,
    bars: u32,
    close: Price,
    /// The sum of the first ranges until there are enough, then the average.
    value: i128,
}

impl AverageRange {
    /// Over `length` true ranges, at least one.
    pub const fn new(length: u32) -> Self {
        assert!(length > 0, "an average needs a range");
        Self { length, bars: 0, close: Price::ZERO, value: 0 }
    }

    /// Bars that it needs.
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// Learns a closed bar.
    #[inline]
    pub fn update(&mut self, bar: &Candle) {
        let (high, low) = (bar.high().0, bar.low().0);
        let range = if self.bars == 0 {
            high - low
        } else {
            (high - low).max((high - self.close.0).abs()).max((low - self.close.0).abs())
        };
        self.close = bar.close();
        let (range, length) = (i128::from(range), i128::from(self.length));
        if self.bars < self.length {
            self.bars += 1;
            self.value += range;
            if self.bars == self.length {
                self.value = divide_rounded(self.value, length);
            }
        } else {
            self.value = divide_rounded(self.value * (length - 1) + range, length);
        }
    }

    /// The average; nothing before there are enough bars, and nothing while no bar has moved.
    pub fn value(&self) -> Option<Price> {
        (self.bars >= self.length && self.value > 0).then(|| Price(i64::try_from(self.value).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::candle::CandleParts;
    use daybook_vocabulary::{Interval, Nanos, Quantity};

    fn bar(high: i64, low: i64, close: i64) -> Candle {
        let parts = CandleParts {
            open_time: Nanos(0),
            interval: Interval::MINUTE,
            open: Price(close),
            high: Price(high),
            low: Price(low),
            close: Price(close),
            volume: Quantity(1),
            revises: false,
        };
        Candle::new(parts)
    }

    /// Ranges 10, then 30 (a gap up from 105), then 60 (a gap down from 130): (10 + 30) / 2, (20 + 60) / 2.
    #[test]
    fn a_vector_by_hand() {
        let mut range = AverageRange::new(2);
        let mut values = Vec::new();
        for bar in [bar(110, 100, 105), bar(135, 125, 130), bar(75, 70, 72)] {
            range.update(&bar);
            values.push(range.value().map(|price| price.0));
        }
        assert_eq!(values, [None, Some(20), Some(40)]);
        let mut still = AverageRange::new(1);
        still.update(&bar(100, 100, 100));
        assert_eq!(still.value(), None, "a market that stands still has no range to stop at");
    }
}
