//! Simple moving average of closes.
//!
//! - The sum is taken anew at each bar, oldest close first: it does not drift (SQ-13).

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// The mean of the last `length` closes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sma {
    window: Window<f64>,
}

impl Sma {
    /// A mean over `length` values, at least one.
    pub fn new(length: usize) -> Self {
        Self { window: Window::new(length) }
    }

    /// Adds a value.
    pub fn update(&mut self, value: f64) {
        self.window.push(value);
    }

    /// The mean; nothing before `length` values.
    pub fn value(&self) -> Option<f64> {
        self.window.mean()
    }
}

impl Indicator for Sma {
    const NAME: &'static str = "sma";
    const USAGE: &'static str = "sma(length)";
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
        let mut mean = Sma::new(3);
        let values = [1.0, 2.0, 6.0, 7.0].map(|value| {
            mean.update(value);
            mean.value()
        });
        assert_eq!(values, [None, None, Some(3.0), Some(5.0)]);
    }

    /// A running sum would keep what a large value left behind.
    #[test]
    fn it_forgets_what_has_left() {
        let mut mean = Sma::new(2);
        [1e17, 0.1, 0.3].into_iter().for_each(|value| mean.update(value));
        assert_eq!(mean.value(), Some(0.2));
    }
}
