//! Relative strength index: `100 × mean gain / (mean gain + mean loss)` of closes.
//!
//! - `wilder`: J. Welles Wilder, *New Concepts in Technical Trading Systems* (1978). `simple`: plain means of the last
//!   `length` changes (SQ-13).
//! - 50 where nothing moved at all.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::smoothing::{Smoothed, Smoothing};
use serde::{Deserialize, Serialize};

/// An index from 0 to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rsi {
    length: usize,
    last: Option<f64>,
    gain: Smoothed,
    loss: Smoothed,
}

impl Rsi {
    /// Wilder's index over `length` changes, at least one.
    pub fn new(length: usize) -> Self {
        Self::smoothed(length, Smoothing::Wilder)
    }

    /// An index over `length` changes, at least one.
    pub fn smoothed(length: usize, smoothing: Smoothing) -> Self {
        assert!(length > 0, "an index needs a change");
        Self { length, last: None, gain: Smoothed::new(smoothing, length), loss: Smoothed::new(smoothing, length) }
    }

    /// Changes in the first average.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Adds a value.
    #[inline]
    pub fn update(&mut self, value: f64) {
        let Some(last) = self.last.replace(value) else { return };
        let change = value - last;
        let (gain, loss) = if change > 0.0 { (change, 0.0) } else { (0.0, -change) };
        self.gain.update(gain);
        self.loss.update(loss);
    }

    /// The index; nothing before `length` changes, 50 when nothing moved.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        let (gain, loss) = (self.gain.value()?, self.loss.value()?);
        let moved = gain + loss;
        Some(if moved == 0.0 { 50.0 } else { 100.0 * (gain / moved) })
    }
}

impl Indicator for Rsi {
    const NAME: &'static str = "rsi";
    const USAGE: &'static str = "rsi(length[, wilder | simple])";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let length = arguments.length("length")?;
        Ok(Self::smoothed(length, arguments.smoothing()?))
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.close());
    }

    fn read(&self, _: usize) -> Option<f64> {
        self.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand: length 2, values 10 11 10 12 → averages (0.5, 0.5), then ((0.5 + 2) / 2, 0.5 / 2); plainly
    /// (1, 0.5).
    #[test]
    fn a_small_vector_by_hand() {
        for (smoothing, last) in [(Smoothing::Wilder, 100.0 * (1.25 / 1.5)), (Smoothing::Simple, 100.0 * (1.0 / 1.5))] {
            let mut rsi = Rsi::smoothed(2, smoothing);
            let mut values = Vec::new();
            for value in [10.0, 11.0, 10.0, 12.0] {
                rsi.update(value);
                values.push(rsi.value());
            }
            assert_eq!(values, [None, None, Some(50.0), Some(last)], "{smoothing:?}");
        }
    }

    #[test]
    fn one_way_markets_sit_at_the_ends() {
        for (step, expected) in [(1.0, 100.0), (-1.0, 0.0), (0.0, 50.0)] {
            let mut rsi = Rsi::new(14);
            (0..30).for_each(|bar| rsi.update(100.0 + step * f64::from(bar)));
            assert_eq!(rsi.value(), Some(expected));
        }
    }
}
