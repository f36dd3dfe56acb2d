//! Series made small enough to draw, in one pass and bounded memory: histograms, thinned curves, merged candles,
//! and the steps of an axis.
//!
//! - What is drawn depends on the data alone: no randomness, no clock, no order of a map.
//! - A thinned curve keeps its extremes: a drawdown never disappears between two points.
//! - Floats, for pictures only.

use daybook_vocabulary::{Candle, Nanos};

/// Bins on each side of zero.
const HALF: i64 = 2_048;
/// Width of a bin before any value was too large for it: a thousandth of a percent.
const FINEST: f64 = 1e-5;

/// Smallest range drawn: below a tenth of a percent a picture shows only rounding.
const NARROWEST: f64 = 1e-3;

/// Counts of values of unknown range. When a value does not fit, neighbours are merged and bins are twice as wide,
/// so the result depends on the values, not on their order.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    width: f64,
    counts: Vec<u64>,
    total: u64,
    sum: f64,
    lowest: f64,
    highest: f64,
}

/// A histogram ready to draw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    /// Lower edge of the first bin.
    pub(super) from: f64,
    /// Width of each.
    pub(super) width: f64,
    /// Values in each; the first and the last hold what lies beyond them as well.
    pub(super) counts: Vec<u64>,
    /// True when values lie below the first bin.
    pub(super) more_below: bool,
    /// True when values lie above the last bin.
    pub(super) more_above: bool,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            width: FINEST,
            counts: vec![0; 2 * HALF as usize],
            total: 0,
            sum: 0.0,
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
        }
    }

    /// Counts a finite value.
    pub(super) fn push(&mut self, value: f64) {
        assert!(value.is_finite(), "a histogram counts finite values");
        while !(-HALF as f64..HALF as f64).contains(&(value / self.width).floor()) {
            self.widen();
        }
        self.counts[((value / self.width).floor() as i64 + HALF) as usize] += 1;
        self.total += 1;
        self.sum += value;
        self.lowest = self.lowest.min(value);
        self.highest = self.highest.max(value);
    }

    /// Values counted.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Their mean.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.total > 0).then(|| self.sum / self.total as f64)
    }

    /// Smallest and largest.
    pub(super) fn extremes(&self) -> Option<(f64, f64)> {
        (self.total > 0).then_some((self.lowest, self.highest))
    }

    /// About `target` bins around the middle 99 % of the values, with an edge at zero.
    pub(super) fn bins(&self, target: usize) -> Option<Bins> {
        let (lowest, highest) = self.extremes()?;
        let tail = self.total / 200;
        let low = self.quantile(tail).max(lowest).min(0.0);
        let high = self.quantile(self.total - 1 - tail).min(highest).max(0.0);
        let width = nice_step((high - low).max(NARROWEST), target);
        let first = (low / width).floor();
        let last = (high / width).floor().max(first);
        let mut counts = vec![0; (last - first) as usize + 1];
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let middle = (index as i64 - HALF) as f64 * self.width + self.width / 2.0;
            let place = ((middle / width).floor() - first).clamp(0.0, last - first);
            counts[place as usize] += count;
        }
        let from = first * width;
        let more_above = highest >= from + width * counts.len() as f64;
        Some(Bins { from, width, counts, more_below: lowest < from, more_above })
    }

    /// Middle of the bin that holds the value of this rank, from 0.
    fn quantile(&self, rank: u64) -> f64 {
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += count;
            seen > rank
        });
        (index.unwrap_or(HALF as usize) as i64 - HALF) as f64 * self.width + self.width / 2.0
    }

    fn widen(&mut self) {
        self.width *= 2.0;
        let mut wider = vec![0; self.counts.len()];
        for (index, count) in self.counts.iter().enumerate() {
            wider[((index as i64 - HALF).div_euclid(2) + HALF) as usize] += count;
        }
        self.counts = wider;
    }
}

/// At most `limit` of the points (`limit` at least 4): the first, the last, and of each stretch between them the
/// lowest and the highest, in their order.
pub(super) fn thin<P: Copy>(points: &[P], limit: usize, level: impl Fn(&P) -> f64) -> Vec<P> {
    assert!(limit >= 4, "a curve needs its ends and its extremes");
    let [first, inner @ .., last] = points else { return points.to_vec() };
    if points.len() <= limit {
        return points.to_vec();
    }
    let stretches = (limit - 2) / 2;
    let mut kept = vec![*first];
    for stretch in 0..stretches {
        let from = stretch * inner.len() / stretches;
        let part = &inner[from..(stretch + 1) * inner.len() / stretches];
        let order = |a: &usize, b: &usize| level(&part[*a]).total_cmp(&level(&part[*b]));
        let lowest = (0..part.len()).min_by(order);
        let highest = (0..part.len()).max_by(order);
        let Some((lowest, highest)) = lowest.zip(highest) else { continue };
        kept.push(part[lowest.min(highest)]);
        if lowest != highest {
            kept.push(part[lowest.max(highest)]);
        }
    }
    kept.push(*last);
    kept
}

/// A candle of the chart: one or more of the session's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ChartBar {
    pub(super) from: Nanos,
    pub(super) to: Nanos,
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
    pub(super) volume: f64,
    merged: usize,
}

/// Candles merged so that there are never more than a limit: when there are, each pair becomes one.
#[derive(Debug, Clone)]
pub(super) struct ChartBars {
    bars: Vec<ChartBar>,
    limit: usize,
    stride: usize,
}

impl ChartBars {
    pub(super) fn new(limit: usize) -> Self {
        assert!(limit >= 2, "one bar is no chart");
        Self { bars: Vec::new(), limit, stride: 1 }
    }

    /// Adds a candle. One that is not later than the one before is passed over: a chart reads from left to right.
    pub(super) fn push(&mut self, candle: &Candle) {
        let bar = ChartBar {
            from: candle.open_time(),
            to: candle.open_time(),
            open: candle.open().to_f64(),
            high: candle.high().to_f64(),
            low: candle.low().to_f64(),
            close: candle.close().to_f64(),
            volume: candle.volume().to_f64(),
            merged: 1,
        };
        match self.bars.last_mut() {
            Some(last) if bar.from <= last.to => return,
            Some(last) if last.merged < self.stride => last.absorb(&bar),
            _ => self.bars.push(bar),
        }
        if self.bars.len() > self.limit {
            let mut merged: Vec<ChartBar> = Vec::with_capacity(self.limit);
            for pair in self.bars.chunks(2) {
                let mut bar = pair[0];
                pair[1..].iter().for_each(|second| bar.absorb(second));
                merged.push(bar);
            }
            self.bars = merged;
            self.stride *= 2;
        }
    }

    pub(super) fn bars(&self) -> &[ChartBar] {
        &self.bars
    }

    /// Candles in one bar.
    pub(super) const fn stride(&self) -> usize {
        self.stride
    }
}

impl ChartBar {
    fn absorb(&mut self, later: &Self) {
        self.to = later.to;
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume += later.volume;
        self.merged += later.merged;
    }
}

/// The step of 1, 2, 2.5 or 5 × 10^k that divides `span` into about `target` parts, never into more.
pub(super) fn nice_step(span: f64, target: usize) -> f64 {
    let raw = span / target.max(1) as f64;
    if !raw.is_finite() || raw <= 0.0 {
        return 1.0;
    }
    let exponent = libm::floor(libm::log10(raw));
    let power = libm::pow(10.0, exponent);
    let step = [1.0, 2.0, 2.5, 5.0].into_iter().find(|step| step * power >= raw * (1.0 - 1e-9)).unwrap_or(10.0);
    step * power
}

/// The multiples of `step` inside `low..=high`.
pub(super) fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step).ceil();
    let last = (high / step).floor();
    // A hundred is more than any axis shows; beyond it the step was not made for this range.
    if !(first.is_finite() && last.is_finite()) || last - first > 100.0 {
        return Vec::new();
    }
    (0..=(last - first).max(-1.0) as i64).map(|index| (first + index as f64) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::candle::CandleParts;
    use daybook_vocabulary::{Price, Quantity};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_histogram_counts_everything_in_any_order(
            mut values in proptest::collection::vec(prop_oneof![-0.02f64..0.02, -5.0f64..5.0, -1e12f64..1e12], 1..200),
        ) {
            let fill = |values: &[f64]| {
                let mut histogram = Histogram::new();
                values.iter().for_each(|value| histogram.push(*value));
                histogram
            };
            let forward = fill(&values);
            values.reverse();
            let backward = fill(&values);
            prop_assert_eq!(&forward.counts, &backward.counts);
            let bins = forward.bins(24).unwrap();
            prop_assert_eq!(bins.counts.iter().sum::<u64>(), values.len() as u64);
            prop_assert!(bins.counts.len() <= 30, "{} bins", bins.counts.len());
        }

        #[test]
        fn thinning_keeps_ends_and_extremes(levels in proptest::collection::vec(-1e6f64..1e6, 0..3000), limit in 4usize..200) {
            let kept = thin(&levels, limit, |level| *level);
            prop_assert!(kept.len() <= limit.max(levels.len().min(limit)));
            prop_assert_eq!(kept.first(), levels.first());
            prop_assert_eq!(kept.last(), levels.last());
            let lowest = |values: &[f64]| values.iter().copied().fold(f64::MAX, f64::min);
            let highest = |values: &[f64]| values.iter().copied().fold(f64::MIN, f64::max);
            prop_assert_eq!((lowest(&kept), highest(&kept)), (lowest(&levels), highest(&levels)));
        }

        #[test]
        fn merged_candles_keep_range_and_volume(closes in proptest::collection::vec(1i64..1000, 1..900), limit in 2usize..50) {
            let mut bars = ChartBars::new(limit);
            for (index, close) in closes.iter().enumerate() {
                let price = Price::from_units(*close);
                bars.push(&Candle::new(CandleParts {
                    open_time: Nanos(index as i64), open: price, high: price, low: price, close: price,
                    volume: Quantity::from_units(1), ..CandleParts::default()
                }));
            }
            prop_assert!(bars.bars().len() <= limit);
            prop_assert_eq!(bars.bars().iter().map(|bar| bar.volume).sum::<f64>(), closes.len() as f64);
            prop_assert_eq!(bars.bars()[0].open, closes[0] as f64);
            prop_assert_eq!(bars.bars().last().unwrap().close, closes[closes.len() - 1] as f64);
            let high = bars.bars().iter().map(|bar| bar.high).fold(f64::MIN, f64::max);
            prop_assert_eq!(high, *closes.iter().max().unwrap() as f64);
        }
    }

    #[test]
    fn a_histogram_has_an_edge_at_zero_and_tells_of_outliers() {
        let mut histogram = Histogram::new();
        for value in [-0.01, -0.004, 0.0, 0.002, 0.011] {
            for _ in 0..100 {
                histogram.push(value);
            }
        }
        histogram.push(3.0);
        let bins = histogram.bins(20).unwrap();
        assert!((bins.from / bins.width).fract().abs() < 1e-9, "edges are multiples of the width");
        assert!(bins.more_above && !bins.more_below, "{bins:?}");
        assert_eq!(histogram.extremes(), Some((-0.01, 3.0)));
        assert!(Histogram::new().bins(10).is_none());
        let mut nothing = Histogram::new();
        nothing.push(0.0);
        assert_eq!(nothing.bins(10).unwrap().counts.iter().sum::<u64>(), 1);
    }

    #[test]
    fn steps_are_round() {
        assert_eq!(nice_step(100.0, 5), 20.0);
        assert_eq!(nice_step(110.0, 5), 25.0);
        assert_eq!(nice_step(0.07, 7), 0.01);
        assert_eq!(nice_step(0.0, 5), 1.0);
        assert_eq!(nice_step(f64::INFINITY, 5), 1.0);
        assert_eq!(multiples(-12.0, 31.0, 10.0), vec![-10.0, 0.0, 10.0, 20.0, 30.0]);
        assert!(multiples(0.0, 1e9, 1.0).is_empty());
        assert!(multiples(1.2, 1.4, 1.0).is_empty());
    }
}
