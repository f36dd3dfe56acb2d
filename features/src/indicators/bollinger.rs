//! Bollinger bands: the plain mean of closes and `deviations` standard deviations (of the population) around it; %B says
//! where the close stands between the bands, 0 at the lower and 1 at the upper one.
//!
//! - Mean and deviation are taken anew at each bar, in two passes: nothing cancels and nothing drifts.
//! - Where the bands coincide, %B is 0.5.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// Bands around a mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bollinger {
    deviations: f64,
    window: Window<f64>,
    /// Middle and half width of the last bar.
    bands: Option<(f64, f64)>,
}

impl Bollinger {
    /// Bands of `length` values, at least one.
    pub fn new(length: usize, deviations: f64) -> Self {
        Self { deviations, window: Window::new(length), bands: None }
    }

    /// Adds a value.
    pub fn update(&mut self, value: f64) {
        self.window.push(value);
        self.bands = self.window.mean().zip(self.window.variance());
        if let Some((_, width)) = &mut self.bands {
            *width = self.deviations * width.sqrt();
        }
    }

    /// Lower, middle and upper band, and %B of the last value; nothing while there are too few values.
    pub fn value(&self) -> Option<[f64; 4]> {
        let (middle, width) = self.bands?;
        let (lower, upper) = (middle - width, middle + width);
        let last = self.window.iter().last()?;
        let percent = if upper > lower { (last - lower) / (upper - lower) } else { 0.5 };
        Some([lower, middle, upper, percent])
    }
}

impl Indicator for Bollinger {
    const NAME: &'static str = "bollinger";
    const USAGE: &'static str = "bollinger(length[, deviations = 2])";
    const OUTPUTS: &'static [&'static str] = &["lower", "middle", "upper", "percent_b"];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let length = arguments.length("length")?;
        Ok(Self::new(length, arguments.number_or("deviations", 2.0)?))
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.close());
    }

    fn read(&self, output: usize) -> Option<f64> {
        self.value().map(|value| value[output])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_vector_by_hand() {
        let mut bands = Bollinger::new(2, 2.0);
        let values = [1.0, 3.0, 3.0].map(|value| {
            bands.update(value);
            bands.value()
        });
        assert_eq!(values, [None, Some([0.0, 2.0, 4.0, 0.75]), Some([3.0, 3.0, 3.0, 0.5])]);
    }

    /// A mean of squares less the square of the mean would lose all of it here.
    #[test]
    fn a_small_width_at_a_high_price_is_kept() {
        let mut bands = Bollinger::new(2, 1.0);
        [1e9, 1e9 + 0.01].into_iter().for_each(|value| bands.update(value));
        let [lower, _, upper, _] = bands.value().expect("two values");
        assert!((upper - lower - 0.01).abs() < 1e-6);
    }
}
