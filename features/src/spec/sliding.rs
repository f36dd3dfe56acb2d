//! Sliding windows over whole numbers: exact sums, medians and ranges.
//!
//! - Inputs are integers and so are sums: what leaves a window leaves nothing behind, and no sum depends on what came
//!   before its window.
//! - Bounds: a return is below 2^6 in magnitude (prices are 63-bit integers), a ratio is clamped to 2^10; so a sum of
//!   60 squares, times 60, stays below 2^120.

use super::{MEDIAN_BARS, RANGE_BARS, SCORE_BARS};
use serde::{Deserialize, Serialize};

/// One unit of a log return.
pub(super) const RETURN_UNIT: f64 = (1u64 << 48) as f64;
/// One unit of a price's ratio to its median.
pub(super) const RATIO_UNIT: f64 = (1u64 << 44) as f64;
/// The largest ratio that is told apart from larger ones.
const RATIO_MAX: i64 = 1 << 54;

/// The last log returns, with what is asked of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Returns {
    values: [i64; 32],
    at: usize,
    short: Moments,
    long: Moments,
}

/// Sum and sum of squares.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Moments {
    sum: i64,
    squares: i128,
}

impl Moments {
    #[inline]
    fn exchange(&mut self, enters: i64, leaves: i64) {
        self.sum += enters - leaves;
        self.squares += square(enters) - square(leaves);
    }

    /// `count² × variance` of the population, exactly.
    #[inline]
    fn spread(&self, count: i64) -> i128 {
        i128::from(count) * self.squares - square(self.sum)
    }
}

#[inline]
fn square(value: i64) -> i128 {
    i128::from(value) * i128::from(value)
}

impl Returns {
    pub(super) const fn new() -> Self {
        let none = Moments { sum: 0, squares: 0 };
        Self { values: [0; 32], at: 0, short: none, long: none }
    }

    pub(super) const fn is_sound(&self) -> bool {
        self.at < self.values.len()
    }

    /// Adds the return from one close to the next, in units of 2^-48. Both are positive.
    #[inline]
    pub(super) fn push(&mut self, last: i64, close: i64) {
        let value = (libm::log(close as f64 / last as f64) * RETURN_UNIT) as i64;
        self.short.exchange(value, self.ago(super::SHORT_BARS - 1));
        self.long.exchange(value, self.ago(super::LONG_BARS - 1));
        self.at = (self.at + 1) % 32;
        self.values[self.at] = value;
    }

    #[inline]
    fn ago(&self, bars: usize) -> i64 {
        self.values[(self.at + 32 - bars) % 32]
    }

    /// Log returns over 1, 3, 5 and 10 bars.
    #[inline]
    pub(super) fn over(&self) -> [f32; 4] {
        let three = self.ago(0) + self.ago(1) + self.ago(2);
        let five = three + self.ago(3) + self.ago(4);
        [self.ago(0), three, five, self.short.sum].map(|sum| (sum as f64 / RETURN_UNIT) as f32)
    }

    /// Sample deviations of the last 10 and 20 returns.
    #[inline]
    pub(super) fn deviations(&self) -> [f32; 2] {
        let deviation = |moments: &Moments, count: usize| {
            let spread = moments.spread(count as i64) as f64 / (count * (count - 1)) as f64;
            (spread.sqrt() / RETURN_UNIT) as f32
        };
        [deviation(&self.short, super::SHORT_BARS), deviation(&self.long, super::LONG_BARS)]
    }
}

/// The last closes, in order of arrival and of size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct MedianOfCloses {
    arrived: [i64; MEDIAN_BARS],
    sorted: [i64; MEDIAN_BARS],
    at: usize,
}

impl MedianOfCloses {
    /// A window that holds zeros; its median is meant once real closes have replaced them all.
    pub(super) const fn new() -> Self {
        Self { arrived: [0; MEDIAN_BARS], sorted: [0; MEDIAN_BARS], at: 0 }
    }

    pub(super) const fn is_sound(&self) -> bool {
        self.at < MEDIAN_BARS
    }

    #[inline]
    pub(super) fn push(&mut self, close: i64) {
        let left = std::mem::replace(&mut self.arrived[self.at], close);
        self.at = (self.at + 1) % MEDIAN_BARS;
        // The place of what left; then its neighbours move up until the newcomer fits.
        let place: usize = self.sorted.iter().map(|&known| usize::from(known < left)).sum();
        let mut place = place.min(MEDIAN_BARS - 1);
        while place > 0 && self.sorted[place - 1] > close {
            self.sorted[place] = self.sorted[place - 1];
            place -= 1;
        }
        while place + 1 < MEDIAN_BARS && self.sorted[place + 1] < close {
            self.sorted[place] = self.sorted[place + 1];
            place += 1;
        }
        self.sorted[place] = close;
    }

    /// Twice the median: the sum of the two in the middle, as a float.
    #[inline]
    pub(super) fn doubled(&self) -> f64 {
        let middle = MEDIAN_BARS / 2;
        // Two 63-bit prices may need 64 bits.
        (self.sorted[middle - 1] as u64 + self.sorted[middle] as u64) as f64
    }
}

/// Ratios of open, high, low and close to the median, and their z-scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Scores {
    arrived: Vec<[i64; 4]>,
    at: usize,
    moments: [Moments; 4],
}

impl Scores {
    pub(super) fn new() -> Self {
        Self { arrived: vec![[0; 4]; SCORE_BARS], at: 0, moments: [Moments::default(); 4] }
    }

    pub(super) const fn is_sound(&self) -> bool {
        self.arrived.len() == SCORE_BARS && self.at < SCORE_BARS
    }

    /// Adds a bar's prices; `median` is twice the median and positive.
    #[inline]
    pub(super) fn push(&mut self, prices: [i64; 4], median: f64) {
        // One division and exact doubling: prices ten times as high have the very same ratio.
        let ratio = |price: i64| ((2.0 * (price as f64 / median) - 1.0) * RATIO_UNIT) as i64;
        let enters = prices.map(|price| ratio(price).clamp(-RATIO_MAX, RATIO_MAX));
        let leaves = std::mem::replace(&mut self.arrived[self.at], enters);
        self.at += 1;
        if self.at == SCORE_BARS {
            self.at = 0;
        }
        for (moments, (enters, leaves)) in self.moments.iter_mut().zip(enters.into_iter().zip(leaves)) {
            moments.exchange(enters, leaves);
        }
    }

    /// Z-scores of the last bar's prices; 0 where nothing deviates.
    #[inline]
    pub(super) fn last(&self) -> [f32; 4] {
        let newest = self.arrived[(self.at + SCORE_BARS - 1) % SCORE_BARS];
        let count = SCORE_BARS as i64;
        let mut scores = [0.0; 4];
        for (score, (moments, value)) in scores.iter_mut().zip(self.moments.iter().zip(newest)) {
            let spread = moments.spread(count);
            if spread > 0 {
                *score = ((count * value - moments.sum) as f64 / (spread as f64).sqrt()) as f32;
            }
        }
        scores
    }
}

/// Where the close stands in the range of the last bars: K, D and J.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Range {
    highs: [i64; RANGE_BARS],
    lows: [i64; RANGE_BARS],
    at: usize,
    /// The last three raw values, and the last three K, newest first.
    raw: [f64; 3],
    k: [f64; 3],
}

impl Range {
    pub(super) const fn new() -> Self {
        Self { highs: [0; RANGE_BARS], lows: [i64::MAX; RANGE_BARS], at: 0, raw: [50.0; 3], k: [50.0; 3] }
    }

    pub(super) const fn is_sound(&self) -> bool {
        self.at < RANGE_BARS
    }

    #[inline]
    pub(super) fn push(&mut self, high: i64, low: i64, close: i64) {
        self.highs[self.at] = high;
        self.lows[self.at] = low;
        self.at = (self.at + 1) % RANGE_BARS;
        let highest = self.highs.iter().copied().fold(i64::MIN, i64::max);
        let lowest = self.lows.iter().copied().fold(i64::MAX, i64::min);
        // Prices are positive, so a difference of two fits.
        let range = highest - lowest;
        let raw = if range > 0 { 100.0 * ((close - lowest) as f64 / range as f64) } else { 50.0 };
        self.raw = [raw, self.raw[0], self.raw[1]];
        self.k = [mean(&self.raw), self.k[0], self.k[1]];
    }

    #[inline]
    pub(super) fn kdj(&self) -> [f32; 3] {
        let (k, d) = (self.k[0], mean(&self.k));
        [k as f32, d as f32, (3.0 * k - 2.0 * d) as f32]
    }
}

/// Oldest first, as everywhere.
#[inline]
fn mean(newest_first: &[f64; 3]) -> f64 {
    (newest_first[2] + newest_first[1] + newest_first[0]) / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_the_sorted_window() {
        let mut median = MedianOfCloses::new();
        let mut state = 7u64;
        let mut closes = Vec::new();
        for _ in 0..500 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            closes.push((state >> 60) as i64 + 1);
            median.push(*closes.last().expect("just added"));
            if closes.len() >= MEDIAN_BARS {
                let mut window = closes[closes.len() - MEDIAN_BARS..].to_vec();
                window.sort_unstable();
                assert_eq!(median.sorted.to_vec(), window);
                assert_eq!(median.doubled(), (window[9] + window[10]) as f64);
            }
        }
    }

    /// The largest inputs that can come do not overflow.
    #[test]
    fn extreme_prices_stay_within_bounds() {
        let (mut returns, mut scores) = (Returns::new(), Scores::new());
        for bar in 0..200 {
            let (last, close) = if bar % 2 == 0 { (1, i64::MAX) } else { (i64::MAX, 1) };
            returns.push(last, close);
            scores.push([close; 4], 2.0);
        }
        assert!(returns.deviations().iter().chain(&returns.over()).all(|value| value.is_finite()));
        assert!(scores.last().iter().all(|value| value.is_finite()));
    }
}
