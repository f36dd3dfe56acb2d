//! Parameters of a strategy: declared once, checked when the strategy is built.
//!
//! - An unknown name, a value that does not parse or lies outside its range is an error that says what is expected.

use crate::sizing::Sizing;
use daybook_vocabulary::{Price, Quantity};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use thiserror::Error;

/// A parameter that a strategy takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is when nobody sets it.
    pub default: &'static str,
    /// One line about it.
    pub about: &'static str,
}

/// Why parameters were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// The strategy has no such parameter.
    #[error("{strategy} has no parameter '{name}'; it takes {known}")]
    Unknown {
        /// The strategy.
        strategy: String,
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The value does not do.
    #[error("{name}={value} does not do: expected {expected}")]
    BadValue {
        /// The parameter.
        name: String,
        /// The value that was given.
        value: String,
        /// What would do.
        expected: String,
    },
}

/// The values of a strategy's parameters, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    values: BTreeMap<String, String>,
}

impl Parameters {
    /// Checks the names in `given` against what the strategy declares and fills in the defaults.
    pub fn resolve(
        strategy: &str,
        declared: &[Parameter],
        given: &BTreeMap<String, String>,
    ) -> Result<Self, ParameterError> {
        if let Some(name) = given.keys().find(|name| declared.iter().all(|parameter| parameter.name != name.as_str())) {
            let known: Vec<_> = declared.iter().map(|parameter| parameter.name).collect();
            return Err(ParameterError::Unknown {
                strategy: strategy.to_owned(),
                name: name.clone(),
                known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            });
        }
        let value =
            |parameter: &Parameter| given.get(parameter.name).cloned().unwrap_or_else(|| parameter.default.to_owned());
        let values = declared.iter().map(|parameter| (parameter.name.to_owned(), value(parameter))).collect();
        Ok(Self { values })
    }

    /// Every name and value, in order of name.
    pub const fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// A whole number in a range.
    pub fn integer(&self, name: &str, range: RangeInclusive<u32>) -> Result<u32, ParameterError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed::<u32>(name, &expected, |value| range.contains(value))
    }

    /// A positive quantity.
    pub fn quantity(&self, name: &str) -> Result<Quantity, ParameterError> {
        self.parsed(name, "a positive quantity", |value: &Quantity| value.0 > 0)
    }

    /// How much to trade: a positive quantity, or what [`Sizing`] reads. A strategy that knows no stop takes no size
    /// that needs one.
    pub fn sizing(&self, name: &str, with_stop: bool) -> Result<Sizing, ParameterError> {
        let known = "a positive quantity, equity_pct:N, capital:N, atr_risk:P/M, vol_target:P or kelly:F/P";
        let expected = if with_stop { format!("{known}, or risk_pct:N") } else { known.to_owned() };
        let text = self.text(name);
        let sizing = text.parse().ok().filter(|sizing: &Sizing| with_stop || !sizing.needs_stop());
        sizing.ok_or_else(|| bad(name, text, &expected))
    }

    /// A decimal in a range, in units of 1e-8, for percentages and the like.
    pub fn decimal(&self, name: &str, range: RangeInclusive<i64>) -> Result<Price, ParameterError> {
        let (low, high) = (Price::from_units(*range.start()), Price::from_units(*range.end()));
        self.parsed(name, &format!("a number from {low} to {high}"), |value: &Price| (low..=high).contains(value))
    }

    /// One word of a list.
    pub fn choice(&self, name: &str, words: &[&'static str]) -> Result<&'static str, ParameterError> {
        let value = self.text(name);
        words
            .iter()
            .copied()
            .find(|word| *word == value)
            .ok_or_else(|| bad(name, value, &format!("one of {}", words.join(", "))))
    }

    /// An error about a value that contradicts another one.
    pub fn refuse(&self, name: &str, expected: impl Display) -> ParameterError {
        bad(name, self.text(name), &expected.to_string())
    }

    fn parsed<T: FromStr>(&self, name: &str, expected: &str, holds: impl Fn(&T) -> bool) -> Result<T, ParameterError> {
        let text = self.text(name);
        text.parse().ok().filter(holds).ok_or_else(|| bad(name, text, expected))
    }

    /// A text as it was given.
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).unwrap_or_else(|| panic!("the strategy reads '{name}' without declaring it"))
    }
}

fn bad(name: &str, value: &str, expected: &str) -> ParameterError {
    ParameterError::BadValue { name: name.to_owned(), value: value.to_owned(), expected: expected.to_owned() }
}
