//! Prefix-invariant streaming indicators, feature vectors, and our own column files.
//!
//! - The value at bar n is a function of bars up to n: an indicator never sees a later bar.
//! - Floats live here and in the learner; sums have a fixed order, so the same bars give the same bits.
//! - Nothing here knows orders, money or positions, and nothing reads a clock or a calendar: hours are given.

mod bar;
pub mod columns;
mod error;
pub mod indicators;
mod smoothing;
pub mod spec;
#[cfg(test)]
mod testing;
mod window;

pub use bar::{Bar, Session, float};
pub use error::FeatureError;
pub use indicators::{AnyIndicator, Indicator, Named, Rsi, parse_indicators};
pub use smoothing::{Smoothed, Smoothing};
pub use spec::{
    FEATURE_NAMES, FEATURE_SPEC_VERSION, FEATURES, FeatureMarket, Features, Scaler, Timeframe, feature_spec_hash,
};
pub use window::Window;
