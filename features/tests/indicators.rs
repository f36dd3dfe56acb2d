//! Every indicator of the list: what it shows at a bar depends on the bars up to it and on nothing else, and is what
//! its definition says.

mod market;

use daybook_features::{AnyIndicator, Bar, Named, parse_indicators};
use market::Market;
use proptest::prelude::*;

/// One or more of each.
const LISTED: &[&str] = &[
    "sma(7)",
    "ema(5)",
    "ema(5,recursive)",
    "dema(4)",
    "rsi(5)",
    "rsi(5,simple)",
    "stochrsi(5,4,3)",
    "stochastic(5,3,2)",
    "stochastic_fast(5,3)",
    "kdj(5,3)",
    "kdj(5,3,recursive)",
    "macd(3,6,4)",
    "atr(5)",
    "atr(5,simple)",
    "adx(5)",
    "bollinger(6,1.5)",
    "obv",
    "adosc(2,5)",
    "vwap",
    "anchored_vwap(2025-01-02)",
    "rolling_vwap(4)",
    "median(6)",
    "median(5)",
    "zscore(6)",
    "volatility(5)",
    "realised_volatility(5)",
    "log_return(3)",
    "session_clock",
    "rsi(2)@1d",
    "stochastic(1,1,1)@1w",
];

fn one(text: &str) -> Named {
    parse_indicators(text).expect(text).remove(0)
}

fn bits(values: &[Option<f64>]) -> Vec<Option<u64>> {
    values.iter().map(|value| value.map(f64::to_bits)).collect()
}

#[test]
fn every_indicator_of_the_list_is_tried_here() {
    for (name, _) in AnyIndicator::ALL {
        let tried = LISTED.iter().any(|text| text.split('(').next() == Some(name));
        assert!(tried, "add {name} to LISTED, so that its prefix invariance is tested");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// SQ-13, RL-11: the value at bar n equals the batch over bars 1 to n, whatever comes later; and an indicator that
    /// was saved and restored on the way goes on as if nothing had happened.
    #[test]
    fn the_value_at_a_bar_is_a_function_of_the_bars_up_to_it(seed in any::<u64>(), cut in 1usize..60) {
        let market = Market::intraday(seed, 5, 12);
        let bars = market.bars();
        for text in LISTED {
            let whole = one(text).batch(&bars);
            let prefix = one(text).batch(&bars[..cut]);
            for (column, (whole, prefix)) in whole.iter().zip(&prefix).enumerate() {
                prop_assert_eq!(bits(&whole[..cut]), bits(prefix), "{}, column {}, seed {}", text, column, seed);
            }
            let mut before = one(text);
            bars[..cut].iter().for_each(|bar| before.observe(bar));
            let saved = postcard::to_allocvec(&before).expect("plain data");
            let restored: Named = postcard::from_bytes(&saved).expect("plain data");
            for (column, rest) in restored.batch(&bars[cut..]).iter().enumerate() {
                prop_assert_eq!(bits(&whole[column][cut..]), bits(rest), "{} restored, seed {}", text, seed);
            }
        }
    }

    /// Warm-up aside there is always a value, and it is always a number, in a market that stands still too.
    #[test]
    fn a_value_is_a_number_once_there_is_one(seed in any::<u64>(), still in any::<bool>()) {
        let mut market = Market::intraday(seed, 4, 15);
        if still {
            let first = market.candles[0].1.parts();
            for (_, candle) in &mut market.candles {
                let flat = daybook_vocabulary::candle::CandleParts {
                    open_time: candle.open_time(), volume: daybook_vocabulary::Quantity::ZERO,
                    high: first.open, low: first.open, close: first.open, ..first
                };
                *candle = daybook_vocabulary::Candle::new(flat);
            }
        }
        for text in LISTED.iter().filter(|text| !text.contains("vwap") && !text.contains('@')) {
            for column in one(text).batch(&market.bars()) {
                let warm = column.iter().position(Option::is_some).expect("60 bars are enough for each");
                prop_assert!(column[warm..].iter().all(|value| value.is_some_and(f64::is_finite)), "{}", text);
            }
        }
    }
}

/// Definitions written down once more, from scratch at each bar, and compared on a random market.
#[test]
fn each_is_what_its_definition_says() {
    for seed in [1, 2, 3] {
        let market = Market::intraday(seed, 6, 12);
        let bars = market.bars();
        let closes: Vec<f64> = bars.iter().map(Bar::close).collect();
        let naive = Naive { bars: &bars, closes: &closes };
        for end in 30..bars.len() {
            naive.check("sma(7)", 0, end, naive.mean(&closes[end - 6..=end]));
            naive.check("median(6)", 0, end, naive.median(&closes[end - 5..=end]));
            naive.check("log_return(3)", 0, end, libm::log(closes[end] / closes[end - 3]));
            naive.check("bollinger(6,1.5)", 0, end, naive.band(end, -1.5));
            naive.check("bollinger(6,1.5)", 2, end, naive.band(end, 1.5));
            let percent = (closes[end] - naive.band(end, -1.5)) / (naive.band(end, 1.5) - naive.band(end, -1.5));
            naive.check("bollinger(6,1.5)", 3, end, percent);
            let score = (closes[end] - naive.mean(&closes[end - 5..=end])) / naive.deviation(&closes[end - 5..=end]);
            naive.check("zscore(6)", 0, end, score);
            naive.check("stochastic_fast(5,3)", 0, end, naive.raw(end));
            let slow = |end: usize| naive.mean(&[naive.raw(end - 2), naive.raw(end - 1), naive.raw(end)]);
            let smooth = naive.mean(&[slow(end - 2), slow(end - 1), slow(end)]);
            naive.check("kdj(5,3)", 0, end, slow(end));
            naive.check("kdj(5,3)", 2, end, 3.0 * slow(end) - 2.0 * smooth);
            let returns: Vec<f64> = (end - 4..=end).map(|bar| libm::log(closes[bar] / closes[bar - 1])).collect();
            naive.check("volatility(5)", 0, end, naive.deviation(&returns) * (5.0f64 / 4.0).sqrt());
            let ranges: Vec<f64> = (end - 4..=end).map(|bar| naive.true_range(bar)).collect();
            naive.check("atr(5,simple)", 0, end, naive.mean(&ranges));
        }
    }
}

struct Naive<'a> {
    bars: &'a [Bar<'a>],
    closes: &'a [f64],
}

impl Naive<'_> {
    fn check(&self, text: &str, output: usize, end: usize, expected: f64) {
        let found = one(text).batch(&self.bars[..=end])[output][end].expect("30 bars are enough for each");
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{text} at {end}: {found}, not {expected}");
    }

    fn mean(&self, values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn deviation(&self, values: &[f64]) -> f64 {
        let mean = self.mean(values);
        self.mean(&values.iter().map(|value| (value - mean) * (value - mean)).collect::<Vec<_>>()).sqrt()
    }

    fn median(&self, values: &[f64]) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
    }

    fn band(&self, end: usize, deviations: f64) -> f64 {
        let values = &self.closes[end - 5..=end];
        self.mean(values) + deviations * self.deviation(values)
    }

    fn raw(&self, end: usize) -> f64 {
        let window = &self.bars[end - 4..=end];
        let low = window.iter().map(Bar::low).fold(f64::INFINITY, f64::min);
        let high = window.iter().map(Bar::high).fold(f64::NEG_INFINITY, f64::max);
        100.0 * (self.closes[end] - low) / (high - low)
    }

    fn true_range(&self, bar: usize) -> f64 {
        let (high, low, last) = (self.bars[bar].high(), self.bars[bar].low(), self.closes[bar - 1]);
        [high - low, (high - last).abs(), (low - last).abs()].into_iter().fold(0.0, f64::max)
    }
}
