//! How far behind the market a trailing stop stays: an exact distance in one of four units.
//!
//! - A distance is a price difference, a share of the best price, or a multiple of a range or risk that was measured when
//!   the order was decided. Range and risk stand in the order beside the multiple, so the journal holds what it is made of.
//! - `distance = multiple × range` (or risk), and `best × basis points / 10,000`, each rounded once to 1e-8, half away
//!   from zero. A distance that is not positive is none: such an order is refused, never worked without its stop.
//! - The stop of a better price is never worse, so a stop that only follows better prices is only ever tightened.
//! - It must never measure anything itself: it sees no candle.

use crate::decimal::{SCALE, divide_rounded};
use crate::order::Side;
use crate::sparse::{Sparse, Stored, Words};
use crate::units::{BasisPoints, Price, Ratio};
use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;

/// The distance of a trailing stop from the best price since it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trail {
    /// A price difference.
    Price(Price),
    /// A share of the best price.
    Percent(BasisPoints),
    /// So many average true ranges, and the range as it stood when the order was decided.
    Atr(Ratio, Price),
    /// So many times the risk of a unit, and that risk, entry less stop, as it stood when the order was decided.
    R(Ratio, Price),
}

impl Trail {
    /// The price difference behind `best`; nothing when it is not positive or beyond the range of prices.
    pub fn distance(self, best: Price) -> Option<Price> {
        let (factor, of, whole) = match self {
            Self::Price(distance) => (distance.0, 1, 1),
            Self::Percent(share) => (share.0, best.0, 10_000 * SCALE),
            Self::Atr(multiple, of) | Self::R(multiple, of) => (multiple.0, of.0, SCALE),
        };
        if factor <= 0 || of <= 0 {
            return None;
        }
        let distance = divide_rounded(i128::from(factor) * i128::from(of), whole.into());
        i64::try_from(distance).ok().filter(|distance| *distance > 0).map(Price)
    }

    /// Where the stop of an order of that side stands when `best` is the best price since: below the market for an
    /// order that sells, above it for one that buys. Nothing where that is no price.
    ///
    /// ```
    /// use daybook_vocabulary::{BasisPoints, Ratio, Price, Side, Trail};
    /// let price = |text: &str| text.parse::<Price>().unwrap();
    /// let stop = |trail: Trail, side| trail.stop(side, price("200")).unwrap().to_string();
    /// assert_eq!(stop(Trail::Price(price("1.5")), Side::Sell), "198.5");
    /// assert_eq!(stop(Trail::Percent("50".parse().unwrap()), Side::Buy), "201");
    /// // Three ranges of 0.75.
    /// let atr = Trail::Atr("3".parse().unwrap(), price("0.75"));
    /// assert_eq!(stop(atr, Side::Sell), "197.75");
    /// ```
    pub fn stop(self, side: Side, best: Price) -> Option<Price> {
        let distance = self.distance(best)?;
        let stop = match side {
            Side::Sell => best.0.checked_sub(distance.0),
            Side::Buy => best.0.checked_add(distance.0),
        };
        stop.filter(|stop| *stop > 0).map(Price)
    }
}

/// Its unit, its number, and what the number multiplies.
impl Sparse for Trail {
    const WORDS: usize = 3;
    fn put(&self, words: &mut Words<'_>) {
        let (unit, number, of) = match *self {
            Self::Price(distance) => (0u64, distance.0, Price::ZERO),
            Self::Percent(share) => (1, share.0, Price::ZERO),
            Self::Atr(multiple, range) => (2, multiple.0, range),
            Self::R(multiple, risk) => (3, multiple.0, risk),
        };
        unit.put(words);
        Ratio(number).put(words);
        of.put(words);
    }
    fn take(words: &mut Stored<'_>) -> Option<Self> {
        match (u64::take(words)?, Ratio::take(words)?.0, Price::take(words)?) {
            (0, distance, Price::ZERO) => Some(Self::Price(Price(distance))),
            (1, share, Price::ZERO) => Some(Self::Percent(BasisPoints(share))),
            (2, multiple, range) => Some(Self::Atr(Ratio(multiple), range)),
            (3, multiple, risk) => Some(Self::R(Ratio(multiple), risk)),
            _ => None,
        }
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Price(distance) => write!(out, "{distance}"),
            Self::Percent(share) => write!(out, "{share} bps"),
            Self::Atr(multiple, atr) => write!(out, "{multiple} × ATR {atr}"),
            Self::R(multiple, risk) => write!(out, "{multiple} × R {risk}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_trail() -> impl Strategy<Value = Trail> {
        let number = || prop_oneof![1i64..1_000, 1..=i64::MAX, -5i64..5];
        prop_oneof![
            number().prop_map(|distance| Trail::Price(Price(distance))),
            number().prop_map(|share| Trail::Percent(BasisPoints(share))),
            (number(), number()).prop_map(|(multiple, atr)| Trail::Atr(Ratio(multiple), Price(atr))),
            (number(), number()).prop_map(|(multiple, risk)| Trail::R(Ratio(multiple), Price(risk))),
        ]
    }

    proptest! {
        /// A stop lies on the losing side, and a better price never gives a worse one: RL-26's monotone property.
        #[test]
        fn a_better_price_never_loosens(trail in any_trail(), best in 1..=i64::MAX, more in 0..=i64::MAX) {
            let better = best.saturating_add(more);
            if let (Some(low), Some(high)) = (trail.stop(Side::Sell, Price(best)), trail.stop(Side::Sell, Price(better))) {
                prop_assert!(low < Price(best) && low <= high);
            }
            // For a short the lower price is the better one.
            if let (Some(low), Some(high)) = (trail.stop(Side::Buy, Price(best)), trail.stop(Side::Buy, Price(better))) {
                prop_assert!(low > Price(best) && low <= high);
            }
        }
    }

    #[test]
    fn a_distance_that_is_none_is_none() {
        let none = [
            Trail::Price(Price(0)),
            Trail::Price(Price(-1)),
            Trail::Percent(BasisPoints(0)),
            Trail::Percent(BasisPoints(1)),
            Trail::Atr(Ratio(SCALE), Price::ZERO),
            Trail::Atr(Ratio(-SCALE), Price(5)),
            Trail::R(Ratio(i64::MAX), Price(i64::MAX)),
        ];
        for trail in none {
            assert_eq!(trail.distance(Price(1_000)), None, "{trail:?}");
        }
        let far = Trail::Price(Price(1_000));
        assert_eq!((far.stop(Side::Sell, Price(1_000)), far.stop(Side::Buy, Price(i64::MAX))), (None, None));
    }
}
