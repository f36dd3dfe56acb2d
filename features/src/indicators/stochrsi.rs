//! Stochastic RSI: where the index stands between its lowest and highest of late (T. Chande, S. Kroll, 1994; TS-10).
//!
//! - `K = 100 × (RSI - lowest) / (highest - lowest)` over `range` values of the index, D the plain mean of `smooth` K.
//! - 50 where the index did not move.

use super::{Arguments, Indicator, Rsi};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// A stochastic of Wilder's index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StochRsi {
    rsi: Rsi,
    range: Window<f64>,
    smooth: Window<f64>,
}

impl StochRsi {
    /// Lengths of the index, of the range and of the mean, at least one each.
    pub fn new(length: usize, range: usize, smooth: usize) -> Self {
        Self { rsi: Rsi::new(length), range: Window::new(range), smooth: Window::new(smooth) }
    }

    /// Adds a value.
    pub fn update(&mut self, value: f64) {
        self.rsi.update(value);
        let Some(rsi) = self.rsi.value() else { return };
        self.range.push(rsi);
        if let (Some(lowest), Some(highest)) = (self.range.lowest(), self.range.highest()) {
            self.smooth.push(super::stochastic::place(rsi, lowest, highest));
        }
    }

    /// K; nothing while there are too few values for D.
    pub fn k(&self) -> Option<f64> {
        self.smooth.is_full().then(|| self.smooth.iter().last()).flatten()
    }

    /// D.
    pub fn d(&self) -> Option<f64> {
        self.smooth.mean()
    }
}

impl Indicator for StochRsi {
    const NAME: &'static str = "stochrsi";
    const USAGE: &'static str = "stochrsi(length[, range = 14[, smooth = 3]])";
    const OUTPUTS: &'static [&'static str] = &["k", "d"];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let length = arguments.length("length")?;
        Ok(Self::new(length, arguments.length_or("range", 14)?, arguments.length_or("smooth", 3)?))
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.close());
    }

    fn read(&self, output: usize) -> Option<f64> {
        if output == 0 { self.k() } else { self.d() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of length 1 is 100 after a rise, 0 after a fall and 50 in between.
    #[test]
    fn a_small_vector_by_hand() {
        let mut stochastic = StochRsi::new(1, 2, 2);
        let values = [1.0, 2.0, 1.0, 1.0, 2.0].map(|value| {
            stochastic.update(value);
            (stochastic.k(), stochastic.d())
        });
        // The index: 100, 0, 50, 100; K: 0, 100, 100.
        assert_eq!(values[..3], [(None, None); 3]);
        assert_eq!(values[3..], [(Some(100.0), Some(50.0)), (Some(100.0), Some(100.0))]);
    }
}
