//! Values of settings: from text to a type and back.
//!
//! - Every source speaks text (a number in a file keeps its digits), so a value means the same wherever it is written.
//! - What is printed reads back as the same value; `none` is the text of an optional value that is not set.

use crate::fees::FeeSchedule;
use crate::profile::Profile;
use crate::settings::ScheduleName;
use crate::slippage::SlippageModel;
use crate::time_of_day::TimeOfDay;
use daybook_vocabulary::{BasisPoints, Date, Interval, Money, Quantity, Ratio};
use std::path::PathBuf;

/// The text of an optional value that is not set; the empty text means it too.
pub(crate) const NONE: &str = "none";

/// A type that a key can have.
pub(crate) trait Value: Sized {
    /// The value of a text, or nothing when it is not one.
    fn read(text: &str) -> Option<Self>;
    /// Its canonical text.
    fn print(&self) -> String;
}

macro_rules! written_as_itself {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn print(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
written_as_itself!(BasisPoints, Date, Interval, Money, Quantity, Ratio, String, TimeOfDay);

impl Value for bool {
    fn read(text: &str) -> Option<Self> {
        match text {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        }
    }
    fn print(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

impl Value for PathBuf {
    fn read(text: &str) -> Option<Self> {
        // No shell expands a setting: `~` would become a directory of that name.
        (!text.is_empty() && !text.starts_with('~') && !text.contains('\0')).then(|| Self::from(text))
    }
    fn print(&self) -> String {
        self.display().to_string()
    }
}

impl Value for Profile {
    fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|profile| profile.word() == text)
    }
    fn print(&self) -> String {
        self.word().to_owned()
    }
}

impl Value for SlippageModel {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
    fn print(&self) -> String {
        self.to_string()
    }
}

impl Value for ScheduleName {
    fn read(text: &str) -> Option<Self> {
        FeeSchedule::parse(text).ok().map(|schedule| Self::of(&schedule))
    }
    fn print(&self) -> String {
        self.as_str().to_owned()
    }
}

impl<T: Value> Value for Option<T> {
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text == NONE { Some(None) } else { T::read(text).map(Some) }
    }
    fn print(&self) -> String {
        self.as_ref().map_or_else(|| NONE.to_owned(), T::print)
    }
}

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Option<Self> {
                // Digits and nothing else: `+5` or `5_000` is more likely a slip than a number.
                text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
            }
            fn print(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
whole_number!(u32, u64);
