//! Exact decimals as JSON numbers.
//!
//! - Written as the shortest decimal (`1573.7`, `0`), read digit by digit: no float on the way, either way.
//! - Reads what brokers write for "nothing" (`null`, an empty text) as zero, and numbers in quotes.
//! - Must never: panic on any text.

use daybook_vocabulary::{Money, Price, decimal};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde_json::value::RawValue;
use std::fmt;

/// A number in units of 1e-8: a price or an amount of rupees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Decimal(pub i128);

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// As a price; `None` when it does not fit.
    pub fn price(self) -> Option<Price> {
        i64::try_from(self.0).ok().map(Price)
    }

    /// Reads a decimal text.
    pub fn parse(text: &str) -> Option<Self> {
        decimal::parse(text.trim()).ok().map(Self)
    }
}

impl From<Price> for Decimal {
    fn from(price: Price) -> Self {
        Self(price.0.into())
    }
}

impl From<Money> for Decimal {
    fn from(money: Money) -> Self {
        Self(money.0)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::write(self.0, out)
    }
}

impl serde::Serialize for Decimal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Decimal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<RawValue> as serde::Deserialize>::deserialize(deserializer)?;
        let text = raw.get().trim_matches('"');
        if text.is_empty() || text == "null" {
            return Ok(Self::ZERO);
        }
        Self::parse(text).ok_or_else(|| D::Error::custom(format!("'{}' is not a number", text.escape_default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_survive_both_ways() {
        for text in ["1573.7", "0", "-0.05", "25000.1", "1000000.00000001"] {
            let number: Decimal = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
        }
        assert_eq!(serde_json::from_str::<Decimal>("1300.50").unwrap().price(), Some(Price(130_050_000_000)));
        assert_eq!(serde_json::from_str::<Decimal>("null").unwrap(), Decimal::ZERO);
        assert_eq!(serde_json::from_str::<Decimal>("\"2.5\"").unwrap(), Decimal(250_000_000));
        for bad in ["true", "\"x\"", "[1]", "{}"] {
            assert!(serde_json::from_str::<Decimal>(bad).is_err(), "{bad}");
        }
    }
}
