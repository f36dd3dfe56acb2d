//! Average true range: the mean of the largest of high - low, |high - last close| and |low - last close|.
//!
//! - `wilder`: J. Welles Wilder, *New Concepts in Technical Trading Systems* (1978). `simple`: the plain mean of the last
//!   `length` ranges (SQ-13).
//! - The first bar has no last close and so no true range: the first value comes at bar `length + 1`.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::smoothing::{Smoothed, Smoothing};
use serde::{Deserialize, Serialize};

/// How far the price went, the gap from the last close included.
#[inline]
pub fn true_range(high: f64, low: f64, last_close: f64) -> f64 {
    (high - low).max((high - last_close).abs()).max((low - last_close).abs())
}

/// An average range, in the units of price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Atr {
    last: Option<f64>,
    mean: Smoothed,
}

impl Atr {
    /// An average over `length` true ranges, at least one.
    pub fn new(length: usize, smoothing: Smoothing) -> Self {
        Self { last: None, mean: Smoothed::new(smoothing, length) }
    }

    /// Adds a bar.
    #[inline]
    pub fn update(&mut self, high: f64, low: f64, close: f64) {
        if let Some(last) = self.last.replace(close) {
            self.mean.update(true_range(high, low, last));
        }
    }

    /// The average; nothing before `length` ranges.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        self.mean.value()
    }
}

impl Indicator for Atr {
    const NAME: &'static str = "atr";
    const USAGE: &'static str = "atr(length[, wilder | simple])";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let length = arguments.length("length")?;
        Ok(Self::new(length, arguments.smoothing()?))
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.high(), bar.low(), bar.close());
    }

    fn read(&self, _: usize) -> Option<f64> {
        self.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True ranges after the first bar: 3 (a gap up), 4 (a gap down), 1.
    #[test]
    fn the_variants_by_hand() {
        for (smoothing, last) in [(Smoothing::Wilder, 2.25), (Smoothing::Simple, 2.5)] {
            let mut atr = Atr::new(2, smoothing);
            let values = [(10.0, 9.0, 9.0), (12.0, 11.0, 12.0), (9.0, 8.0, 8.0), (9.0, 8.0, 8.5)].map(|bar| {
                atr.update(bar.0, bar.1, bar.2);
                atr.value()
            });
            assert_eq!(values, [None, None, Some(3.5), Some(last)], "{smoothing:?}");
        }
    }
}
