//! Double exponential moving average: twice the average less the average of the average (P. Mulloy, 1994; TS-10).

use super::{Arguments, Ema, Indicator, Seed};
use crate::bar::Bar;
use crate::error::FeatureError;
use serde::{Deserialize, Serialize};

/// A double exponential average of closes; it speaks from bar `2 × length - 1` on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dema {
    once: Ema,
    twice: Ema,
}

impl Dema {
    /// An average of span `length`, at least one.
    pub fn new(length: usize) -> Self {
        Self { once: Ema::new(length, Seed::Classic), twice: Ema::new(length, Seed::Classic) }
    }

    /// Adds a value.
    pub fn update(&mut self, value: f64) {
        self.once.update(value);
        if let Some(once) = self.once.value() {
            self.twice.update(once);
        }
    }

    /// The average; nothing while there are too few values.
    pub fn value(&self) -> Option<f64> {
        Some(2.0 * self.once.value()? - self.twice.value()?)
    }
}

impl Indicator for Dema {
    const NAME: &'static str = "dema";
    const USAGE: &'static str = "dema(length)";
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

    /// Length 2: averages 1.5, 2.5, 3.5 of a line; their average 2, 3; twice the first less the second.
    #[test]
    fn it_follows_a_line_without_lag() {
        let mut average = Dema::new(2);
        let values = [1.0, 2.0, 3.0, 4.0].map(|value| {
            average.update(value);
            average.value()
        });
        assert_eq!(values, [None, None, Some(3.0), Some(4.0)]);
    }
}
