//! What can be wrong with what is asked of this crate, said so that the reader knows what to do.

use thiserror::Error;

/// Why an indicator, a specification or a scaler cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FeatureError {
    /// The text is not a list of indicators.
    #[error("'{text}' is not a list of indicators: {what}; write them like rsi(14),atr(14),macd(12,26,9)")]
    Syntax {
        /// What was given.
        text: String,
        /// What is wrong with it.
        what: String,
    },
    /// No indicator has this name.
    #[error("there is no indicator '{name}'{}; there are {known}", .nearest.as_ref().map(|one| format!("; did you mean {one}?")).unwrap_or_default())]
    UnknownIndicator {
        /// The name that was given.
        name: String,
        /// The nearest name, if any is alike.
        nearest: Option<String>,
        /// All of them.
        known: String,
    },
    /// An argument is missing, superfluous or out of range.
    #[error("{indicator}: {what}; it is written {usage}")]
    Argument {
        /// The indicator.
        indicator: &'static str,
        /// What is wrong.
        what: String,
        /// How it is written.
        usage: &'static str,
    },
    /// The same column would stand twice.
    #[error("{column} is asked for twice; name each indicator once")]
    Twice {
        /// The column.
        column: String,
    },
    /// Another version of the feature specification.
    #[error(
        "{what} was made with feature specification {found}, this program has {expected}; make it again with this program, or use the program that made it"
    )]
    Version {
        /// What was met.
        what: String,
        /// Version and hash of what was met.
        found: String,
        /// Version and hash of this program's.
        expected: String,
    },
    /// A scaler cannot be fitted or does not fit.
    #[error("the scaler {0}")]
    Scaler(String),
}
