//! Exponential moving average of closes: `previous + 2 / (length + 1) × (close - previous)`.
//!
//! - `classic`: the first value is the mean of the first `length` closes.
//! - `recursive`: it starts at the first close, without bias adjustment (SQ-13; pandas `ewm(span, adjust=False)`). It is
//!   shown from bar `length` on all the same.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use serde::{Deserialize, Serialize};

/// Where an exponential average begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seed {
    /// At the mean of the first values.
    Classic,
    /// At the first value.
    Recursive,
}

/// An exponential average.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ema {
    length: usize,
    seed: Seed,
    seen: usize,
    /// A sum while a classic average begins, the average afterwards.
    value: f64,
}

impl Ema {
    /// An average of span `length`, at least one.
    pub fn new(length: usize, seed: Seed) -> Self {
        assert!(length > 0, "an average needs a value");
        Self { length, seed, seen: 0, value: 0.0 }
    }

    /// Adds a value.
    #[inline]
    pub fn update(&mut self, value: f64) {
        let begins = match self.seed {
            Seed::Classic => self.length,
            Seed::Recursive => 1,
        };
        if self.seen < begins {
            self.value += value;
            if self.seen + 1 == begins {
                self.value /= begins as f64;
            }
        } else {
            self.value += (value - self.value) * (2.0 / (self.length as f64 + 1.0));
        }
        self.seen = (self.seen + 1).min(self.length);
    }

    /// The average; nothing before `length` values.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        (self.seen == self.length).then_some(self.value)
    }
}

impl Indicator for Ema {
    const NAME: &'static str = "ema";
    const USAGE: &'static str = "ema(length[, classic | recursive])";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let length = arguments.length("length")?;
        let seed = if arguments.choice(&["classic", "recursive"])? == 0 { Seed::Classic } else { Seed::Recursive };
        Ok(Self::new(length, seed))
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

    fn run(seed: Seed) -> [Option<f64>; 4] {
        let mut average = Ema::new(3, seed);
        [1.0, 2.0, 6.0, 7.0].map(|value| {
            average.update(value);
            average.value()
        })
    }

    #[test]
    fn the_variants_by_hand() {
        assert_eq!(run(Seed::Classic), [None, None, Some(3.0), Some(5.0)]);
        assert_eq!(run(Seed::Recursive), [None, None, Some(3.75), Some(5.375)]);
    }

    #[test]
    fn a_span_of_one_is_the_value_itself() {
        let mut average = Ema::new(1, Seed::Classic);
        for value in [3.0, 4.0] {
            average.update(value);
            assert_eq!(average.value(), Some(value));
        }
    }
}
