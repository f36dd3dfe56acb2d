//! Rolling median of closes: the middle one, or the mean of the two in the middle.
//!
//! - The window is kept sorted beside its order of arrival: a bar costs two binary searches and a short move.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// The median of the last values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Median {
    window: Window<f64>,
    sorted: Vec<f64>,
}

impl Median {
    /// A median of `length` values, at least one.
    pub fn new(length: usize) -> Self {
        Self { window: Window::new(length), sorted: Vec::with_capacity(length) }
    }

    /// Adds a value that is a number.
    pub fn update(&mut self, value: f64) {
        if let Some(left) = self.window.push(value) {
            let place = self.sorted.partition_point(|known| known.total_cmp(&left).is_lt());
            self.sorted.remove(place);
        }
        let place = self.sorted.partition_point(|known| known.total_cmp(&value).is_lt());
        self.sorted.insert(place, value);
        assert!(self.sorted.len() <= self.window.length(), "what leaves the window leaves the sorted values");
    }

    /// The median; nothing before `length` values.
    pub fn value(&self) -> Option<f64> {
        let middle = self.sorted.len() / 2;
        self.window.is_full().then(|| match self.sorted.len() % 2 {
            1 => self.sorted[middle],
            _ => (self.sorted[middle - 1] + self.sorted[middle]) / 2.0,
        })
    }
}

impl Indicator for Median {
    const NAME: &'static str = "median";
    const USAGE: &'static str = "median(length)";
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
    fn odd_and_even_by_hand() {
        for (length, expected) in
            [(3, [None, None, Some(5.0), Some(7.0)]), (2, [None, Some(7.0), Some(5.0), Some(4.0)])]
        {
            let mut median = Median::new(length);
            let values = [5.0, 9.0, 1.0, 7.0].map(|value| {
                median.update(value);
                median.value()
            });
            assert_eq!(values, expected, "length {length}");
        }
    }
}
