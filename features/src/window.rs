//! The last values of a series, in order.
//!
//! - Sums over it are taken anew at each bar, oldest value first: they never drift, and depend on nothing that has left.
//! - It never grows beyond its length.

use serde::{Deserialize, Serialize};

/// The last `length` values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window<T> {
    length: usize,
    /// Index of the oldest value once it is full.
    oldest: usize,
    values: Vec<T>,
}

impl<T: Copy> Window<T> {
    /// An empty window of at least one value.
    pub fn new(length: usize) -> Self {
        assert!(length > 0, "a window holds a value");
        Self { length, oldest: 0, values: Vec::with_capacity(length) }
    }

    /// Adds a value; gives back the one that leaves.
    #[inline]
    pub fn push(&mut self, value: T) -> Option<T> {
        if self.values.len() < self.length {
            self.values.push(value);
            return None;
        }
        let left = std::mem::replace(&mut self.values[self.oldest], value);
        self.oldest += 1;
        if self.oldest == self.length {
            self.oldest = 0;
        }
        Some(left)
    }

    /// True when it holds as many values as it can.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.values.len() == self.length
    }

    /// Values it holds when full.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Its values, oldest first.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let (newer, older) = self.values.split_at(self.oldest);
        older.iter().chain(newer).copied()
    }

    /// The oldest value.
    pub fn oldest(&self) -> Option<T> {
        self.values.get(self.oldest).copied()
    }
}

impl Window<f64> {
    /// Sum of its values, oldest first.
    #[inline]
    pub fn sum(&self) -> f64 {
        // Not `sum()`: the order is part of the result and is written down here.
        self.iter().fold(0.0, |sum, value| sum + value)
    }

    /// Mean of its values; nothing until it is full.
    #[inline]
    pub fn mean(&self) -> Option<f64> {
        self.is_full().then(|| self.sum() / self.length as f64)
    }

    /// Mean of the squared distances from the mean, in two passes; nothing until it is full.
    pub fn variance(&self) -> Option<f64> {
        let mean = self.mean()?;
        let squares = self.iter().fold(0.0, |sum, value| sum + (value - mean) * (value - mean));
        Some(squares / self.length as f64)
    }

    /// The lowest value; nothing until it is full.
    pub fn lowest(&self) -> Option<f64> {
        self.is_full().then(|| self.iter().fold(f64::INFINITY, f64::min))
    }

    /// The highest value; nothing until it is full.
    pub fn highest(&self) -> Option<f64> {
        self.is_full().then(|| self.iter().fold(f64::NEG_INFINITY, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_leave_in_the_order_they_came() {
        let mut window = Window::new(3);
        let left: Vec<_> = [1.0, 2.0, 3.0, 4.0, 5.0].map(|value| window.push(value)).into();
        assert_eq!(left, [None, None, None, Some(1.0), Some(2.0)]);
        assert_eq!(window.iter().collect::<Vec<_>>(), [3.0, 4.0, 5.0]);
        assert_eq!((window.mean(), window.lowest(), window.highest()), (Some(4.0), Some(3.0), Some(5.0)));
        assert_eq!((window.variance(), window.oldest()), (Some(2.0 / 3.0), Some(3.0)));
    }

    #[test]
    fn a_window_that_is_not_full_says_nothing() {
        let mut window = Window::new(2);
        window.push(1.0);
        assert_eq!((window.mean(), window.variance(), window.lowest(), window.highest()), (None, None, None, None));
    }
}
