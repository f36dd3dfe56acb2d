//! Simple moving average.
//!
//! - The value at bar n depends on the last `length` bars alone and is summed afresh from oldest to newest, so it is
//!   the same wherever a run begins.

use serde::{Deserialize, Serialize};

/// Mean of the last `length` values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sma {
    window: Vec<f64>,
    next: usize,
    seen: usize,
}

impl Sma {
    /// A mean over `length` values, at least one.
    pub fn new(length: usize) -> Self {
        assert!(length > 0, "a mean needs a value");
        Self { window: vec![0.0; length], next: 0, seen: 0 }
    }

    /// Values in the mean.
    pub fn length(&self) -> usize {
        self.window.len()
    }

    /// Adds a value.
    pub fn update(&mut self, value: f64) {
        self.window[self.next] = value;
        self.next = (self.next + 1) % self.window.len();
        self.seen = (self.seen + 1).min(self.window.len());
    }

    /// The mean; nothing before `length` values.
    pub fn value(&self) -> Option<f64> {
        if self.seen < self.window.len() {
            return None;
        }
        let (newer, older) = self.window.split_at(self.next);
        let sum = older.iter().chain(newer).fold(0.0, |sum, value| sum + value);
        Some(sum / self.window.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn streaming_equals_the_window(values in prop::collection::vec(-1e6f64..1e6, 1..50), length in 1usize..10) {
            let mut sma = Sma::new(length);
            for (index, &value) in values.iter().enumerate() {
                sma.update(value);
                let batch = (index + 1 >= length).then(|| {
                    values[index + 1 - length..=index].iter().fold(0.0, |sum, value| sum + value) / length as f64
                });
                prop_assert_eq!(sma.value().map(f64::to_bits), batch.map(f64::to_bits));
            }
        }
    }
}
