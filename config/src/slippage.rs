//! Slippage models by name: what a person may choose, and the numbers that go with it.
//!
//! - A name that is printed reads back as the same model: it goes into a run's header.
//! - A model that would do nothing is refused: no slippage is written `none` and nothing else.
//! - This file knows no formula; the core does, one file for each.

use crate::error::ConfigError;
use crate::nearest::nearest_first;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{BasisPoints, Price};
use std::fmt;

/// How models are written, for messages and lists.
pub const MODELS: [&str; 6] =
    ["none", "bps:N", "half-spread:N", "volume-share:N", "volume-share-squared:N", "sqrt-impact:N"];

/// How far a fill moves against the trader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlippageModel {
    /// Not at all.
    #[default]
    None,
    /// So many basis points of the reference price.
    Bps(BasisPoints),
    /// Half the spread between bid and ask, as a price.
    HalfSpread(Price),
    /// So many basis points when all of the candle's volume is taken; less in proportion to the share.
    VolumeShare(BasisPoints),
    /// So many basis points when all of the candle's volume is taken; less by the square of the share.
    VolumeShareSquared(BasisPoints),
    /// So many basis points when all of the candle's volume is taken; less by the square root of the share.
    SqrtImpact(BasisPoints),
}

impl SlippageModel {
    /// Reads a model's name, `none` or `model:number`.
    ///
    /// ```
    /// use daybook_config::SlippageModel;
    /// assert_eq!(SlippageModel::parse("bps:2.50").unwrap().to_string(), "bps:2.5");
    /// assert!(SlippageModel::parse("sqrt:5").unwrap_err().to_string().contains("sqrt-impact:N"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text == "none" {
            return Ok(Self::None);
        }
        let fault =
            |reason: String| ConfigError::Format { place: format!("slippage model '{}'", text.escape_debug()), reason };
        let (name, number) = text.split_once(':').unwrap_or((text, ""));
        let bps = || number.parse().ok().filter(|bps: &BasisPoints| (1..=10_000 * SCALE).contains(&bps.0));
        let bps = || bps().ok_or_else(|| fault("after the colon come basis points, above 0 and at most 10000".into()));
        match name {
            "bps" => bps().map(Self::Bps),
            "volume-share" => bps().map(Self::VolumeShare),
            "volume-share-squared" => bps().map(Self::VolumeShareSquared),
            "sqrt-impact" => bps().map(Self::SqrtImpact),
            "half-spread" => {
                let price = number.parse().ok().filter(|price: &Price| price.0 > 0);
                price
                    .map(Self::HalfSpread)
                    .ok_or_else(|| fault("after the colon comes half the spread, a price above 0 such as 0.05".into()))
            }
            _ => Err(fault(format!("there is no such model: use one of {}", nearest_first(text, MODELS).join(", ")))),
        }
    }
}

impl fmt::Display for SlippageModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("none"),
            Self::Bps(bps) => write!(out, "bps:{bps}"),
            Self::HalfSpread(price) => write!(out, "half-spread:{price}"),
            Self::VolumeShare(bps) => write!(out, "volume-share:{bps}"),
            Self::VolumeShareSquared(bps) => write!(out, "volume-share-squared:{bps}"),
            Self::SqrtImpact(bps) => write!(out, "sqrt-impact:{bps}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_model_of_the_list_is_read_and_printed() {
        for written in MODELS {
            let text = written.replace('N', "2.5");
            assert_eq!(SlippageModel::parse(&text).unwrap().to_string(), text);
        }
        assert_eq!(SlippageModel::default(), SlippageModel::parse("none").unwrap());
    }

    #[test]
    fn what_would_do_nothing_or_makes_no_sense_is_refused() {
        for bad in [
            "",
            "None",
            "none:1",
            "bps",
            "bps:",
            "bps:0",
            "bps:-1",
            "bps:10000.00000001",
            "bps:5x",
            "bps:1:2",
            "half-spread:0",
            "half-spread:-0.05",
            "half-spread",
            "volume-share:0",
            "sqrt-impact:much",
            "linear:5",
        ] {
            let message = SlippageModel::parse(bad).unwrap_err().to_string();
            assert!(message.contains(&format!("'{bad}'")), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "[a-z:0-9.-]{0,30}") {
            if let Ok(model) = SlippageModel::parse(&text) {
                prop_assert_eq!(SlippageModel::parse(&model.to_string()).unwrap(), model);
            }
        }
    }
}
