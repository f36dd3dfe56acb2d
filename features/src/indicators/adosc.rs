//! Chaikin's oscillator: the fast less the slow exponential average of the accumulation line, which adds at each bar
//! `volume × ((close - low) - (high - close)) / (high - low)` (M. Chaikin).
//!
//! - A bar without a range adds nothing. Both averages begin at the line's first value.
//! - The line grows with the market's whole volume and the averages lie close together: each is `k × line + (1 - k) ×
//!   average`, as charting libraries have it, or the difference would differ from theirs in its eighth digit.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use serde::{Deserialize, Serialize};

/// The momentum of accumulation, in units of volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adosc {
    line: f64,
    fast: f64,
    slow: f64,
    spans: [usize; 2],
    /// Bars so far, up to the longer span.
    seen: usize,
}

impl Adosc {
    /// Spans of the averages, at least one each.
    pub fn new(fast: usize, slow: usize) -> Self {
        assert!(fast > 0 && slow > 0, "an average needs a value");
        Self { line: 0.0, fast: 0.0, slow: 0.0, spans: [fast, slow], seen: 0 }
    }

    /// Adds a bar.
    pub fn update(&mut self, high: f64, low: f64, close: f64, volume: f64) {
        let range = high - low;
        if range > 0.0 {
            self.line += ((close - low) - (high - close)) / range * volume;
        }
        let [fast, slow] = self.spans.map(|span| 2.0 / (span as f64 + 1.0));
        if self.seen == 0 {
            (self.fast, self.slow) = (self.line, self.line);
        } else {
            self.fast = fast * self.line + (1.0 - fast) * self.fast;
            self.slow = slow * self.line + (1.0 - slow) * self.slow;
        }
        self.seen = (self.seen + 1).min(self.longer());
    }

    /// The oscillator; nothing before as many bars as the longer span.
    pub fn value(&self) -> Option<f64> {
        (self.seen == self.longer()).then_some(self.fast - self.slow)
    }

    fn longer(&self) -> usize {
        self.spans[0].max(self.spans[1])
    }
}

impl Indicator for Adosc {
    const NAME: &'static str = "adosc";
    const USAGE: &'static str = "adosc([fast = 3[, slow = 10]])";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        Ok(Self::new(arguments.length_or("fast", 3)?, arguments.length_or("slow", 10)?))
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.high(), bar.low(), bar.close(), bar.volume());
    }

    fn read(&self, _: usize) -> Option<f64> {
        self.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line: 100 (close at the high), 100 (no range), 50 (a quarter above the low of 100 traded).
    #[test]
    fn a_small_vector_by_hand() {
        let mut oscillator = Adosc::new(1, 3);
        let bars = [(2.0, 1.0, 2.0), (2.0, 2.0, 2.0), (4.0, 0.0, 1.0)];
        let values = bars.map(|(high, low, close)| {
            oscillator.update(high, low, close, 100.0);
            oscillator.value()
        });
        assert_eq!(values, [None, None, Some(50.0 - 75.0)]);
    }
}
