//! Moving average convergence and divergence: the fast average less the slow one, and its own average, the signal
//! (G. Appel).
//!
//! - Both averages begin at the bar where the slow one can: the fast one starts later by the difference of lengths, so
//!   that no bar shows one without the other.

use super::{Arguments, Ema, Indicator, Seed};
use crate::bar::Bar;
use crate::error::FeatureError;
use serde::{Deserialize, Serialize};

/// Difference, signal and histogram of closes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Macd {
    /// Values that the fast average still leaves out.
    skip: usize,
    fast: Ema,
    slow: Ema,
    signal: Ema,
}

impl Macd {
    /// Spans of the averages and of the signal; the fast one is the shorter.
    pub fn new(fast: usize, slow: usize, signal: usize) -> Self {
        assert!(0 < fast && fast < slow && signal > 0, "the fast average is shorter than the slow one");
        let ema = |length| Ema::new(length, Seed::Classic);
        Self { skip: slow - fast, fast: ema(fast), slow: ema(slow), signal: ema(signal) }
    }

    /// Adds a value.
    pub fn update(&mut self, value: f64) {
        if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.fast.update(value);
        }
        self.slow.update(value);
        if let Some(difference) = self.difference() {
            self.signal.update(difference);
        }
    }

    fn difference(&self) -> Option<f64> {
        Some(self.fast.value()? - self.slow.value()?)
    }

    /// Difference, signal, difference less signal; nothing before the signal.
    pub fn value(&self) -> Option<[f64; 3]> {
        let (difference, signal) = (self.difference()?, self.signal.value()?);
        Some([difference, signal, difference - signal])
    }
}

impl Indicator for Macd {
    const NAME: &'static str = "macd";
    const USAGE: &'static str = "macd([fast = 12[, slow = 26[, signal = 9]]])";
    const OUTPUTS: &'static [&'static str] = &["", "signal", "histogram"];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let (fast, slow) = (arguments.length_or("fast", 12)?, arguments.length_or("slow", 26)?);
        let signal = arguments.length_or("signal", 9)?;
        if fast >= slow {
            return Err(arguments.error(format!("fast must be shorter than slow, not {fast} and {slow}")));
        }
        Ok(Self::new(fast, slow, signal))
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

    /// On a line of slope 1 an average of span n lies (n - 1) / 2 behind.
    #[test]
    fn on_a_line_it_is_the_difference_of_the_lags() {
        let mut macd = Macd::new(3, 5, 2);
        let mut values = Vec::new();
        for bar in 0..8 {
            macd.update(f64::from(bar));
            values.push(macd.value());
        }
        assert_eq!(values[..5], [None; 5], "the signal needs two differences, the first is at bar 5");
        assert_eq!(values[5..], [Some([1.0, 1.0, 0.0]); 3]);
    }
}
