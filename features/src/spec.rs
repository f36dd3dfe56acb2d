//! The feature specification, version 1: eighteen numbers per closed bar, in a fixed order, as `f32`.
//!
//! | # | name | definition |
//! |---|------|------------|
//! | 1-4 | `f_returns_1` `_3` `_5` `_10` | log return of the close over so many bars |
//! | 5-6 | `f_vol_10` `f_vol_20` | sample standard deviation (n - 1) of the last n 1-bar log returns |
//! | 7 | `f_atr_14` | Wilder's average true range over the close |
//! | 8 | `f_rsi_14` | Wilder's relative strength index, 0 to 100; 50 where nothing moved |
//! | 9-11 | `f_kdj_14_3_k` `_d` `_j` | stochastic of 14 bars: K and D by plain means of 3, J = 3 K - 2 D; 50 without a range |
//! | 12-15 | `f_open` `f_high` `f_low` `f_close` | price over the median of the last 20 closes, as a z-score (population) among the last 60 such ratios; 0 where nothing deviates |
//! | 16-18 | `f_minutes_since_open` `f_minutes_to_close` `f_early_close` | the session at the bar's end |
//!
//! - **Anchored**: in month m state starts at the first bar of month m-1 (daily bars: in year y at the first bar of y-1),
//!   so the same bar has the same bytes wherever a run begins. A stream that begins later says nothing.
//! - **Withheld**: no row until [`WARMUP_BARS`] bars since the anchor. Nothing is filled from elsewhere.
//! - **Exact sums**: returns are whole multiples of 2^-48, ratios of 2^-44. Sums and sums of squares over them are
//!   integers, so they do not drift and do not depend on where the stream began; only features 7 and 8 remember more
//!   than a window, and they start anew at each anchor.
//! - A change of order, shape or definition raises [`FEATURE_SPEC_VERSION`]; the hash covers this page's table.

mod market;
mod rows;
mod scaler;
mod sliding;
mod stream;

pub use market::{FeatureMarket, Timeframe};
pub use rows::{Moment, RowKey, Rows, Withheld};
pub use scaler::{Fitted, Scaler, ScalerFit};
pub use stream::FeatureStream;

use crate::error::FeatureError;
use daybook_vocabulary::Hash;

/// Version of the specification.
pub const FEATURE_SPEC_VERSION: u32 = 1;

/// Features per bar.
pub const FEATURES: usize = 18;

/// Their names, in order.
pub const FEATURE_NAMES: [&str; FEATURES] = [
    "f_returns_1",
    "f_returns_3",
    "f_returns_5",
    "f_returns_10",
    "f_vol_10",
    "f_vol_20",
    "f_atr_14",
    "f_rsi_14",
    "f_kdj_14_3_k",
    "f_kdj_14_3_d",
    "f_kdj_14_3_j",
    "f_open",
    "f_high",
    "f_low",
    "f_close",
    "f_minutes_since_open",
    "f_minutes_to_close",
    "f_early_close",
];

/// A bar's features.
pub type Features = [f32; FEATURES];

/// Closes whose median scales prices.
pub const MEDIAN_BARS: usize = 20;
/// Ratios among which a price is z-scored.
pub const SCORE_BARS: usize = 60;
/// Bars from the anchor on until there is a row: the oldest ratio of the z-score needs its median.
pub const WARMUP_BARS: u32 = (MEDIAN_BARS + SCORE_BARS - 1) as u32;

const RSI_BARS: usize = 14;
const ATR_BARS: usize = 14;
const RANGE_BARS: usize = 14;
const SHORT_BARS: usize = 10;
const LONG_BARS: usize = 20;

const _: () = assert!(
    WARMUP_BARS as usize > LONG_BARS + RANGE_BARS,
    "when the z-score is ready, every other window lies behind the anchor too"
);

/// What the hash covers: everything that decides a byte.
const DEFINITION: &str = "daybook feature specification 1\n\
    returns 1 3 5 10: libm log of close over close, truncated to 2^-48, summed\n\
    vol 10 20: sample deviation of 1-bar returns\n\
    atr 14: wilder over close; rsi 14: wilder\n\
    kdj 14 3: plain means; 50 without a range\n\
    open high low close: over median of 20 closes, truncated to 2^-44, population z-score of 60\n\
    minutes since open, to close, early close\n\
    anchor: first bar of the month before; daily: of the year before; warm-up 79 bars\n";

/// blake3 of the specification: its version, its definitions and the names in order.
pub fn feature_spec_hash() -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&FEATURE_SPEC_VERSION.to_le_bytes());
    hasher.update(DEFINITION.as_bytes());
    for name in FEATURE_NAMES {
        hasher.update(name.as_bytes());
        hasher.update(b"\n");
    }
    Hash(*hasher.finalize().as_bytes())
}

/// Refuses what was made with another specification; `what` names it in the message.
pub fn check_specification(what: &str, version: u32, hash: Hash) -> Result<(), FeatureError> {
    let expected = feature_spec_hash();
    if version == FEATURE_SPEC_VERSION && hash == expected {
        return Ok(());
    }
    Err(FeatureError::Version {
        what: what.to_owned(),
        found: format!("{version} ({hash})"),
        expected: format!("{FEATURE_SPEC_VERSION} ({expected})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RL-10: changing names, order or definitions without raising the version fails here.
    #[test]
    fn the_specification_of_a_version_never_changes() {
        assert_eq!(FEATURE_SPEC_VERSION, 1);
        assert_eq!(feature_spec_hash().to_string(), "f32ba84b28b08e923d2098a2f62f5b4d39fb38b47d6c6519bd9ea804a3bb2eeb");
    }

    #[test]
    fn another_version_is_refused_with_both_names() {
        assert_eq!(check_specification("model m", FEATURE_SPEC_VERSION, feature_spec_hash()), Ok(()));
        let message = check_specification("model m", 2, feature_spec_hash()).unwrap_err().to_string();
        assert!(message.starts_with("model m was made with feature specification 2 ("), "{message}");
        assert!(message.contains("this program has 1 ("), "{message}");
    }
}
