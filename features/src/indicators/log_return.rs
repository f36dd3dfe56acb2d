//! Log return: the natural logarithm of the close over the close `bars` bars ago.
//!
//! - The logarithm is `libm`'s: the same bits on every machine.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// A log return over some bars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogReturn {
    window: Window<f64>,
}

impl LogReturn {
    /// A return over `bars` bars, at least one.
    pub fn new(bars: usize) -> Self {
        assert!(bars > 0, "a return needs two bars");
        Self { window: Window::new(bars + 1) }
    }

    /// Adds a positive price.
    pub fn update(&mut self, price: f64) {
        self.window.push(price);
    }

    /// The return; nothing before `bars + 1` prices.
    pub fn value(&self) -> Option<f64> {
        let (first, last) = (self.window.oldest()?, self.window.iter().last()?);
        self.window.is_full().then(|| libm::log(last / first))
    }
}

impl Indicator for LogReturn {
    const NAME: &'static str = "log_return";
    const USAGE: &'static str = "log_return(bars)";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        Ok(Self::new(arguments.length("bars")?))
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
        let mut log_return = LogReturn::new(2);
        let values = [8.0, 1.0, 8.0, 1.0].map(|price| {
            log_return.update(price);
            log_return.value()
        });
        assert_eq!(values, [None, None, Some(0.0), Some(0.0)]);
        log_return.update(4.0);
        assert_eq!(log_return.value(), Some(-libm::log(2.0)));
    }
}
