//! What stands between an indicator's parentheses, taken one by one.
//!
//! - Every argument is checked here; an indicator that was built can be fed anything.
//! - A message names the indicator, the argument, what is wrong and how it is written.

use crate::error::FeatureError;
use crate::smoothing::Smoothing;

/// The longest window of an indicator: no text makes it take all of the memory.
pub const LENGTH_MAX: usize = 100_000;

/// Arguments that were given, in order.
#[derive(Debug)]
pub struct Arguments<'a> {
    indicator: &'static str,
    usage: &'static str,
    left: std::slice::Iter<'a, &'a str>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(indicator: &'static str, usage: &'static str, given: &'a [&'a str]) -> Self {
        Self { indicator, usage, left: given.iter() }
    }

    /// An error about these arguments.
    pub fn error(&self, what: String) -> FeatureError {
        FeatureError::Argument { indicator: self.indicator, what, usage: self.usage }
    }

    /// A count of bars, at least one.
    pub fn length(&mut self, name: &str) -> Result<usize, FeatureError> {
        let Some(given) = self.left.next() else { return Err(self.error(format!("{name} is missing"))) };
        self.read_length(name, given)
    }

    /// A count of bars, or the usual one where none is given.
    pub fn length_or(&mut self, name: &str, usual: usize) -> Result<usize, FeatureError> {
        match self.left.next() {
            Some(given) => self.read_length(name, given),
            None => Ok(usual),
        }
    }

    fn read_length(&self, name: &str, given: &str) -> Result<usize, FeatureError> {
        let length = given.parse().ok().filter(|length| (1..=LENGTH_MAX).contains(length));
        length.ok_or_else(|| self.error(format!("{name} is '{given}', not a whole number from 1 to {LENGTH_MAX}")))
    }

    /// A positive number, or the usual one where none is given.
    pub fn number_or(&mut self, name: &str, usual: f64) -> Result<f64, FeatureError> {
        let Some(given) = self.left.next() else { return Ok(usual) };
        let number = given.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0 && *number <= 1e6);
        number.ok_or_else(|| self.error(format!("{name} is '{given}', not a number above 0")))
    }

    /// A word of a list, by its place; the first where none is given.
    pub fn choice(&mut self, choices: &[&str]) -> Result<usize, FeatureError> {
        let Some(given) = self.left.next() else { return Ok(0) };
        if let Some(place) = choices.iter().position(|choice| choice == given) {
            return Ok(place);
        }
        let likeness = |choice: &str| strsim::normalized_damerau_levenshtein(given, choice);
        let nearest = choices.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
        let nearest = nearest.filter(|nearest| likeness(nearest) >= 0.4);
        let hint = nearest.map_or_else(|| choices.join(" or "), |nearest| format!("did you mean {nearest}?"));
        Err(self.error(format!("there is no variant '{given}'; {hint}")))
    }

    /// How it smooths; Wilder's way where nothing is said.
    pub fn smoothing(&mut self) -> Result<Smoothing, FeatureError> {
        self.choice(Smoothing::NAMES).map(Smoothing::at)
    }

    /// The next argument as it was written.
    pub fn text(&mut self, name: &str) -> Result<&'a str, FeatureError> {
        match self.left.next() {
            Some(given) => Ok(given),
            None => Err(self.error(format!("{name} is missing"))),
        }
    }

    /// Refuses what is left over.
    pub(super) fn finish(mut self) -> Result<(), FeatureError> {
        match self.left.next() {
            Some(given) => Err(self.error(format!("'{given}' is one argument too many"))),
            None => Ok(()),
        }
    }
}
