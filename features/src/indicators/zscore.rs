//! Rolling z-score of closes: how many standard deviations (of the population) the last close lies from the mean.
//!
//! - Mean and deviation are of the same window, taken anew at each bar. Where nothing deviates it is 0.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// A z-score over the last values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZScore {
    window: Window<f64>,
    score: Option<f64>,
}

impl ZScore {
    /// A score over `length` values, at least one.
    pub fn new(length: usize) -> Self {
        Self { window: Window::new(length), score: None }
    }

    /// Adds a value.
    pub fn update(&mut self, value: f64) {
        self.window.push(value);
        self.score = self.window.mean().zip(self.window.variance()).map(|(mean, variance)| {
            // Equal values may miss their own mean by a rounding; that is no deviation.
            let noise = mean.abs() * 1e-12;
            let deviation = variance.sqrt();
            if deviation > noise { (value - mean) / deviation } else { 0.0 }
        });
    }

    /// The score; nothing before `length` values.
    pub fn value(&self) -> Option<f64> {
        self.score
    }
}

impl Indicator for ZScore {
    const NAME: &'static str = "zscore";
    const USAGE: &'static str = "zscore(length)";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        Ok(Self::new(arguments.length("length")?))
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

    #[test]
    fn a_small_vector_by_hand() {
        let mut score = ZScore::new(2);
        let values = [1.0, 3.0, 3.0, 1.0].map(|value| {
            score.update(value);
            score.value()
        });
        assert_eq!(values, [None, Some(1.0), Some(0.0), Some(-1.0)]);
    }

    #[test]
    fn equal_values_do_not_deviate() {
        let mut score = ZScore::new(3);
        (0..9).for_each(|_| score.update(1627.05));
        assert_eq!(score.value(), Some(0.0));
    }
}
