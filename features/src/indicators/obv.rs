//! On-balance volume: volume added on a rise of the close, taken away on a fall (J. Granville, 1963).
//!
//! - It starts at the volume of its first bar. Whole volumes up to 2^53 add up exactly.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use serde::{Deserialize, Serialize};

/// Volume, signed by where the close went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Obv {
    last: Option<f64>,
    balance: f64,
}

impl Obv {
    /// Adds a bar.
    pub fn update(&mut self, close: f64, volume: f64) {
        match self.last.replace(close) {
            Some(last) if close < last => self.balance -= volume,
            Some(last) if close == last => {}
            _ => self.balance += volume,
        }
    }

    /// The balance; nothing before the first bar.
    pub fn value(&self) -> Option<f64> {
        self.last.map(|_| self.balance)
    }
}

impl Indicator for Obv {
    const NAME: &'static str = "obv";
    const USAGE: &'static str = "obv";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(_: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        Ok(Self::default())
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.close(), bar.volume());
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
        let mut obv = Obv::default();
        assert_eq!(obv.value(), None);
        let values = [(10.0, 5.0), (11.0, 3.0), (11.0, 9.0), (9.0, 10.0)].map(|(close, volume)| {
            obv.update(close, volume);
            obv.value()
        });
        assert_eq!(values, [Some(5.0), Some(8.0), Some(8.0), Some(-2.0)]);
    }
}
