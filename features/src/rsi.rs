//! Relative strength index.
//!
//! Source: J. Welles Wilder, *New Concepts in Technical Trading Systems* (1978): the first averages are simple means
//! of `length` changes, later ones are `(previous × (length - 1) + change) / length`.

use serde::{Deserialize, Serialize};

/// Wilder's RSI, 0 to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rsi {
    length: usize,
    last: Option<f64>,
    changes: usize,
    gain: f64,
    loss: f64,
}

impl Rsi {
    /// An index over `length` changes, at least one.
    pub fn new(length: usize) -> Self {
        assert!(length > 0, "an index needs a change");
        Self { length, last: None, changes: 0, gain: 0.0, loss: 0.0 }
    }

    /// Changes in the first average.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Adds a value.
    pub fn update(&mut self, value: f64) {
        let Some(last) = self.last.replace(value) else { return };
        let change = value - last;
        let (gain, loss) = if change > 0.0 { (change, 0.0) } else { (0.0, -change) };
        let length = self.length as f64;
        if self.changes < self.length {
            self.changes += 1;
            self.gain += gain;
            self.loss += loss;
            if self.changes == self.length {
                self.gain /= length;
                self.loss /= length;
            }
        } else {
            self.gain = (self.gain * (length - 1.0) + gain) / length;
            self.loss = (self.loss * (length - 1.0) + loss) / length;
        }
    }

    /// The index; nothing before `length` changes, 50 when nothing moved.
    pub fn value(&self) -> Option<f64> {
        if self.changes < self.length {
            return None;
        }
        let moved = self.gain + self.loss;
        Some(if moved == 0.0 { 50.0 } else { 100.0 * (self.gain / moved) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand: length 2, values 10 11 10 12 → averages (0.5, 0.5), then ((0.5 + 2) / 2, 0.5 / 2).
    #[test]
    fn a_small_vector_by_hand() {
        let mut rsi = Rsi::new(2);
        let mut values = Vec::new();
        for value in [10.0, 11.0, 10.0, 12.0] {
            rsi.update(value);
            values.push(rsi.value());
        }
        assert_eq!(values, [None, None, Some(50.0), Some(100.0 * (1.25 / 1.5))]);
    }

    #[test]
    fn one_way_markets_sit_at_the_ends() {
        for (step, expected) in [(1.0, 100.0), (-1.0, 0.0), (0.0, 50.0)] {
            let mut rsi = Rsi::new(14);
            (0..30).for_each(|bar| rsi.update(100.0 + step * f64::from(bar)));
            assert_eq!(rsi.value(), Some(expected));
        }
    }
}
