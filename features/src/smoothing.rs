//! Means that smooth: the two that indicators name as variants.
//!
//! - `wilder`: the first value is the mean of the first `length` inputs, later ones `(previous × (length - 1) + input)
//!   / length` (J. Welles Wilder, *New Concepts in Technical Trading Systems*, 1978). It remembers everything.
//! - `simple`: the mean of the last `length` inputs, summed anew each time.

use crate::window::Window;
use serde::{Deserialize, Serialize};

/// How an indicator smooths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Smoothing {
    /// Wilder's.
    Wilder,
    /// Plain means.
    Simple,
}

impl Smoothing {
    /// The names of the variants, the usual one first.
    pub const NAMES: &'static [&'static str] = &["wilder", "simple"];

    /// The variant at a place of [`Smoothing::NAMES`].
    pub(crate) const fn at(place: usize) -> Self {
        if place == 0 { Self::Wilder } else { Self::Simple }
    }
}

/// A mean that smooths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Smoothed {
    /// Wilder's mean; until `seen` reaches `length`, `value` is a sum.
    Wilder {
        /// Inputs in the first mean.
        length: usize,
        /// Inputs so far, up to `length`.
        seen: usize,
        /// Sum of the first inputs, then the mean.
        value: f64,
    },
    /// The mean of a window.
    Simple(Window<f64>),
}

impl Smoothed {
    /// A mean over `length` inputs, at least one.
    pub fn new(smoothing: Smoothing, length: usize) -> Self {
        assert!(length > 0, "a mean needs a value");
        match smoothing {
            Smoothing::Wilder => Self::Wilder { length, seen: 0, value: 0.0 },
            Smoothing::Simple => Self::Simple(Window::new(length)),
        }
    }

    /// Adds an input.
    #[inline]
    pub fn update(&mut self, input: f64) {
        match self {
            Self::Wilder { length, seen, value } => {
                let count = *length as f64;
                if *seen < *length {
                    *seen += 1;
                    *value += input;
                    if *seen == *length {
                        *value /= count;
                    }
                } else {
                    *value = (*value * (count - 1.0) + input) / count;
                }
            }
            Self::Simple(window) => {
                window.push(input);
            }
        }
    }

    /// The mean; nothing before `length` inputs.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Wilder { length, seen, value } => (seen == length).then_some(*value),
            Self::Simple(window) => window.mean(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variants_by_hand() {
        let run = |smoothing| {
            let mut mean = Smoothed::new(smoothing, 2);
            [1.0, 3.0, 5.0].map(|input| {
                mean.update(input);
                mean.value()
            })
        };
        assert_eq!(run(Smoothing::Wilder), [None, Some(2.0), Some(3.5)]);
        assert_eq!(run(Smoothing::Simple), [None, Some(2.0), Some(4.0)]);
    }
}
