//! Volatility of 1-bar log returns, per bar (not scaled to a year).
//!
//! - `volatility`: the sample standard deviation (divided by `length - 1`) of the last `length` returns.
//! - `realised_volatility`: the root of the sum of their squares, the mean taken to be zero.

use super::{Arguments, Indicator, LogReturn};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// The last log returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Returns {
    last: LogReturn,
    window: Window<f64>,
}

impl Returns {
    fn new(length: usize) -> Self {
        Self { last: LogReturn::new(1), window: Window::new(length) }
    }

    fn update(&mut self, price: f64) {
        self.last.update(price);
        if let Some(value) = self.last.value() {
            self.window.push(value);
        }
    }
}

/// The sample standard deviation of returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volatility(Returns);

impl Volatility {
    /// Over `length` returns, at least two.
    pub fn new(length: usize) -> Self {
        assert!(length > 1, "a sample deviation needs two returns");
        Self(Returns::new(length))
    }

    /// Adds a positive price.
    pub fn update(&mut self, price: f64) {
        self.0.update(price);
    }

    /// The deviation; nothing before `length` returns.
    pub fn value(&self) -> Option<f64> {
        let count = self.0.window.length() as f64;
        self.0.window.variance().map(|variance| (variance * (count / (count - 1.0))).sqrt())
    }
}

impl Indicator for Volatility {
    const NAME: &'static str = "volatility";
    const USAGE: &'static str = "volatility(length)";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        match arguments.length("length")? {
            1 => Err(arguments.error("length is 1; a sample deviation needs two returns".to_owned())),
            length => Ok(Self::new(length)),
        }
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.close());
    }

    fn read(&self, _: usize) -> Option<f64> {
        self.value()
    }
}

/// The root of the sum of squared returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RealisedVolatility(Returns);

impl RealisedVolatility {
    /// Over `length` returns, at least one.
    pub fn new(length: usize) -> Self {
        Self(Returns::new(length))
    }

    /// Adds a positive price.
    pub fn update(&mut self, price: f64) {
        self.0.update(price);
    }

    /// The volatility; nothing before `length` returns.
    pub fn value(&self) -> Option<f64> {
        let window = &self.0.window;
        window.is_full().then(|| window.iter().fold(0.0, |sum, value| sum + value * value).sqrt())
    }
}

impl Indicator for RealisedVolatility {
    const NAME: &'static str = "realised_volatility";
    const USAGE: &'static str = "realised_volatility(length)";
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

    /// Returns ln 2 and -ln 2: mean 0, sample variance 2 ln² 2.
    #[test]
    fn a_small_vector_by_hand() {
        let (mut deviation, mut realised) = (Volatility::new(2), RealisedVolatility::new(2));
        for price in [1.0, 2.0, 1.0] {
            assert_eq!((deviation.value(), realised.value()), (None, None));
            deviation.update(price);
            realised.update(price);
        }
        let expected = libm::log(2.0) * 2.0f64.sqrt();
        for value in [deviation.value(), realised.value()] {
            assert!((value.expect("three prices") - expected).abs() < 1e-15);
        }
    }
}
