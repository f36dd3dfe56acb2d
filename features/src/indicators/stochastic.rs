//! The stochastic: where the close stands between the lowest low and the highest high of late (G. Lane).
//!
//! - Raw: `100 × (close - lowest) / (highest - lowest)` over `range` bars; 50 where the range is empty.
//! - `stochastic`: K is the plain mean of `slow` raw values, D of `smooth` K. `stochastic_fast`: K is the raw value.
//! - `kdj`: K smooths the raw value and D smooths K over the same length, J = 3 K - 2 D. `simple` (the usual one here)
//!   takes plain means and so is the slow stochastic; `recursive` is `previous × (1 - 1/length) + value / length` from 50
//!   on, as charts in China draw it.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// Where `value` stands between two ends, 0 to 100.
#[inline]
pub(super) fn place(value: f64, lowest: f64, highest: f64) -> f64 {
    let range = highest - lowest;
    if range > 0.0 { 100.0 * ((value - lowest) / range) } else { 50.0 }
}

/// The raw stochastic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Raw {
    highs: Window<f64>,
    lows: Window<f64>,
}

impl Raw {
    fn new(range: usize) -> Self {
        Self { highs: Window::new(range), lows: Window::new(range) }
    }

    fn update(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        self.highs.push(high);
        self.lows.push(low);
        Some(place(close, self.lows.lowest()?, self.highs.highest()?))
    }
}

/// The slow stochastic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stochastic {
    raw: Raw,
    slow: Window<f64>,
    smooth: Window<f64>,
}

impl Stochastic {
    /// Lengths of the range and of both means, at least one each.
    pub fn new(range: usize, slow: usize, smooth: usize) -> Self {
        Self { raw: Raw::new(range), slow: Window::new(slow), smooth: Window::new(smooth) }
    }

    /// Adds a bar.
    pub fn update(&mut self, high: f64, low: f64, close: f64) {
        let Some(raw) = self.raw.update(high, low, close) else { return };
        self.slow.push(raw);
        if let Some(k) = self.slow.mean() {
            self.smooth.push(k);
        }
    }

    /// K; nothing while there are too few bars for D.
    pub fn k(&self) -> Option<f64> {
        self.smooth.is_full().then(|| self.slow.mean()).flatten()
    }

    /// D.
    pub fn d(&self) -> Option<f64> {
        self.smooth.mean()
    }
}

impl Indicator for Stochastic {
    const NAME: &'static str = "stochastic";
    const USAGE: &'static str = "stochastic(range[, slow = 3[, smooth = 3]])";
    const OUTPUTS: &'static [&'static str] = &["k", "d"];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let range = arguments.length("range")?;
        Ok(Self::new(range, arguments.length_or("slow", 3)?, arguments.length_or("smooth", 3)?))
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.high(), bar.low(), bar.close());
    }

    fn read(&self, output: usize) -> Option<f64> {
        if output == 0 { self.k() } else { self.d() }
    }
}

/// The fast stochastic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StochasticFast(Stochastic);

impl Indicator for StochasticFast {
    const NAME: &'static str = "stochastic_fast";
    const USAGE: &'static str = "stochastic_fast(range[, smooth = 3])";
    const OUTPUTS: &'static [&'static str] = &["k", "d"];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let range = arguments.length("range")?;
        Ok(Self(Stochastic::new(range, 1, arguments.length_or("smooth", 3)?)))
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        Indicator::observe(&mut self.0, bar);
    }

    fn read(&self, output: usize) -> Option<f64> {
        Indicator::read(&self.0, output)
    }
}

/// K, D and J.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kdj {
    /// With plain means.
    Simple(Stochastic),
    /// With recursive means.
    Recursive(RecursiveKdj),
}

/// K and D that remember everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecursiveKdj {
    raw: Raw,
    length: usize,
    ready: bool,
    k: f64,
    d: f64,
}

impl Kdj {
    /// With plain means: lengths of the range and of both means, at least one each.
    pub fn simple(range: usize, length: usize) -> Self {
        Self::Simple(Stochastic::new(range, length, length))
    }

    /// With recursive means that begin at 50.
    pub fn recursive(range: usize, length: usize) -> Self {
        assert!(length > 0, "a mean needs a value");
        Self::Recursive(RecursiveKdj { raw: Raw::new(range), length, ready: false, k: 50.0, d: 50.0 })
    }

    /// Adds a bar.
    pub fn update(&mut self, high: f64, low: f64, close: f64) {
        match self {
            Self::Simple(stochastic) => stochastic.update(high, low, close),
            Self::Recursive(kdj) => {
                let Some(raw) = kdj.raw.update(high, low, close) else { return };
                let count = kdj.length as f64;
                kdj.k = (kdj.k * (count - 1.0) + raw) / count;
                kdj.d = (kdj.d * (count - 1.0) + kdj.k) / count;
                kdj.ready = true;
            }
        }
    }

    /// K, D and J; nothing while there are too few bars.
    pub fn value(&self) -> Option<[f64; 3]> {
        let (k, d) = match self {
            Self::Simple(stochastic) => (stochastic.k()?, stochastic.d()?),
            Self::Recursive(kdj) if kdj.ready => (kdj.k, kdj.d),
            Self::Recursive(_) => return None,
        };
        Some([k, d, 3.0 * k - 2.0 * d])
    }
}

impl Indicator for Kdj {
    const NAME: &'static str = "kdj";
    const USAGE: &'static str = "kdj(range[, length = 3[, simple | recursive]])";
    const OUTPUTS: &'static [&'static str] = &["k", "d", "j"];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let range = arguments.length("range")?;
        let length = arguments.length_or("length", 3)?;
        let recursive = arguments.choice(&["simple", "recursive"])? == 1;
        Ok(if recursive { Self::recursive(range, length) } else { Self::simple(range, length) })
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.high(), bar.low(), bar.close());
    }

    fn read(&self, output: usize) -> Option<f64> {
        self.value().map(|value| value[output])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARS: [(f64, f64, f64); 4] = [(12.0, 8.0, 10.0), (12.0, 10.0, 11.0), (14.0, 10.0, 14.0), (14.0, 10.0, 10.0)];

    /// Range 2: raw values 75 (11 in 8..12), 100 (14 in 10..14), 0 (10 in 10..14).
    #[test]
    fn the_variants_by_hand() {
        let (mut slow, mut simple, mut recursive) = (Stochastic::new(2, 2, 1), Kdj::simple(2, 2), Kdj::recursive(2, 2));
        let mut seen = Vec::new();
        for (high, low, close) in BARS {
            slow.update(high, low, close);
            simple.update(high, low, close);
            recursive.update(high, low, close);
            seen.push((slow.k(), simple.value(), recursive.value()));
        }
        assert_eq!(seen[0], (None, None, None));
        assert_eq!(seen[1], (None, None, Some([62.5, 56.25, 75.0])));
        assert_eq!((seen[2].0, seen[2].1), (Some(87.5), None));
        assert_eq!((seen[3].0, seen[3].1), (Some(50.0), Some([50.0, 68.75, 12.5])));
    }

    #[test]
    fn an_empty_range_is_the_middle() {
        let mut kdj = Kdj::simple(3, 1);
        (0..5).for_each(|_| kdj.update(10.0, 10.0, 10.0));
        assert_eq!(kdj.value(), Some([50.0, 50.0, 50.0]));
    }
}
