//! Sizing: how much an entry is for (SQ-26, BT-41).
//!
//! - A size is cut down to whole lots and never rounded up; below one lot there is no order.
//! - A cap holds at the price the size was worked out with: quantity × price is never above it. The fill comes later, at
//!   a price of its own.
//! - A fixed quantity is taken as it was given: where it does not fit the lot the gate says so, aloud.
//! - Nothing here looks at cash: what cannot be paid is the gate's to refuse.

use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Money, Price, Quantity};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The largest quantity a size can be: what the gate lets pass.
const QUANTITY_MAX: i128 = i64::MAX as i128 / 4;

/// The most that one name can be given, in whole units of the currency.
const CAPITAL_MAX: i64 = 10_000_000_000;

/// How much to trade.
///
/// It is saved as one number, a plain quantity as itself and the others below zero: strategies kept a bare quantity
/// before there were sizes, and their digests must not change for those who still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub enum Sizing {
    /// Always this quantity, positive.
    Fixed(Quantity),
    /// What so many percent of the account's equity buy.
    EquityPercent(Price),
    /// What so much capital buys.
    Capital(Money),
    /// What loses so many percent of the equity between price and stop, and at most what the equity buys.
    RiskPercent(Price),
}

/// What a size depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizingInput {
    /// The whole account at last prices.
    pub equity: Money,
    /// The price to enter at, as far as it is known.
    pub price: Price,
    /// Where the position would be left at a loss, where that is known.
    pub stop: Option<Price>,
    /// The instrument's lot, zero for none.
    pub lot: Quantity,
}

impl Sizing {
    /// How much to trade; nothing when that is less than a lot, or when what it is worked out from is missing.
    pub fn quantity(self, at: &SizingInput) -> Option<Quantity> {
        let quantity = match self {
            Self::Fixed(quantity) => return Some(quantity),
            Self::EquityPercent(percent) => bought(share(at.equity, percent), at.price)?,
            Self::Capital(capital) => bought(capital, at.price)?,
            Self::RiskPercent(percent) => {
                let stop = i128::from(at.stop?.0);
                let distance = (i128::from(at.price.0) - stop).abs();
                let distance = Price(i64::try_from(distance).unwrap_or(i64::MAX));
                bought(share(at.equity, percent), distance)?.min(bought(at.equity, at.price)?)
            }
        };
        let whole = quantity.round_down_to(at.lot);
        (whole.0 > 0).then_some(whole)
    }

    /// True when a stop is needed to work it out.
    pub const fn needs_stop(self) -> bool {
        matches!(self, Self::RiskPercent(_))
    }
}

/// `10`, `equity_pct:10`, `capital:100000` or `risk_pct:1`.
impl FromStr for Sizing {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let positive = |text: &str| text.parse().ok().filter(|number: &Price| number.0 > 0).ok_or(());
        let percent =
            |text| positive(text).and_then(|number| if number.0 <= 100 * SCALE { Ok(number) } else { Err(()) });
        match text.split_once(':') {
            None => positive(text).map(|number| Self::Fixed(Quantity(number.0))),
            Some(("equity_pct", number)) => percent(number).map(Self::EquityPercent),
            Some(("risk_pct", number)) => percent(number).map(Self::RiskPercent),
            Some(("capital", number)) => match positive(number)? {
                amount if amount <= Price::from_units(CAPITAL_MAX) => Ok(Self::Capital(Money(amount.0.into()))),
                _ => Err(()),
            },
            Some(_) => Err(()),
        }
    }
}

/// The kinds that are saved below zero.
const KINDS: i64 = 3;
const _: () = assert!(CAPITAL_MAX < i64::MAX / SCALE / KINDS - 1, "the largest amount and its kind fit one number");

impl From<Sizing> for i64 {
    fn from(sizing: Sizing) -> Self {
        let (amount, kind) = match sizing {
            Sizing::Fixed(quantity) => return quantity.0,
            Sizing::EquityPercent(percent) => (percent.0, 0),
            Sizing::RiskPercent(percent) => (percent.0, 1),
            Sizing::Capital(capital) => (Self::try_from(capital.0).unwrap_or(CAPITAL_MAX * SCALE), 2),
        };
        -(amount * KINDS + kind)
    }
}

impl TryFrom<i64> for Sizing {
    type Error = &'static str;

    fn try_from(saved: i64) -> Result<Self, Self::Error> {
        if saved > 0 {
            return Ok(Self::Fixed(Quantity(saved)));
        }
        let code = saved.checked_neg().filter(|code| *code >= KINDS).ok_or("a size is not zero")?;
        let (amount, kind) = (code / KINDS, code % KINDS);
        Ok(match kind {
            0 => Self::EquityPercent(Price(amount)),
            1 => Self::RiskPercent(Price(amount)),
            _ => Self::Capital(Money(amount.into())),
        })
    }
}

/// So many percent of an amount, rounded down.
fn share(amount: Money, percent: Price) -> Money {
    Money(amount.0.saturating_mul(percent.0.into()) / (100 * i128::from(SCALE)))
}

/// What an amount buys at a price, rounded down; nothing for nothing.
fn bought(amount: Money, price: Price) -> Option<Quantity> {
    if amount.0 <= 0 || price.0 <= 0 {
        return None;
    }
    let quantity = amount.0.saturating_mul(SCALE.into()) / i128::from(price.0);
    Some(Quantity(quantity.min(QUANTITY_MAX) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(sizing: &str, equity: i64, price: &str, stop: Option<&str>, lot: i64) -> Option<String> {
        let (price, stop) = (price.parse().unwrap(), stop.map(|stop| stop.parse().unwrap()));
        let at = SizingInput { equity: Money::from_units(equity), price, stop, lot: Quantity::from_units(lot) };
        sizing.parse::<Sizing>().unwrap().quantity(&at).map(|quantity| quantity.to_string())
    }

    #[test]
    fn by_hand() {
        let cases = [
            // SQ-26: 1,000,000 / 1 % / 0.7 / 2,500.
            (size("equity_pct:0.7", 1_000_000, "2500", None, 1), Some("2")),
            (size("equity_pct:10", 1_000_000, "333.35", None, 1), Some("299")),
            (size("equity_pct:10", 1_000_000, "333.35", None, 25), Some("275")),
            (size("equity_pct:100", 1_000_000, "1000", None, 1), Some("1000")),
            (size("capital:100000", 7, "2500", None, 1), Some("40")),
            (size("capital:2499.99", 7, "2500", None, 1), None),
            (size("capital:100000", 7, "2500", None, 50), None),
            (size("capital:100", 7, "3", None, 0), Some("33.33333333")),
            // One percent of a million is ten thousand; thirty of it to the stop.
            (size("risk_pct:1", 1_000_000, "1000", Some("970"), 1), Some("333")),
            (size("risk_pct:1", 1_000_000, "1000", Some("1030"), 1), Some("333")),
            // So near a stop would ask for ten times the account.
            (size("risk_pct:1", 1_000_000, "1000", Some("999"), 1), Some("1000")),
            (size("risk_pct:1", 1_000_000, "1000", Some("1000"), 1), None),
            (size("risk_pct:1", 1_000_000, "1000", None, 1), None),
            (size("equity_pct:10", -5, "1000", None, 1), None),
            (size("7", -5, "1000", None, 5), Some("7")),
        ];
        for (number, (sized, expected)) in cases.into_iter().enumerate() {
            assert_eq!(sized.as_deref(), expected, "case {number}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for bad in [
            "",
            "0",
            "-1",
            "all",
            "equity_pct:",
            "equity_pct:0",
            "equity_pct:100.1",
            "capital:0",
            "capital:10000000000.1",
            "kelly:1",
        ] {
            assert_eq!(bad.parse::<Sizing>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_size_is_saved_as_one_number_and_a_quantity_as_itself() {
        for text in ["10", "0.00000001", "equity_pct:100", "equity_pct:0.00000001", "capital:10000000000", "risk_pct:1"]
        {
            let sizing: Sizing = text.parse().unwrap();
            let bytes = postcard::to_allocvec(&sizing).unwrap();
            assert_eq!(postcard::from_bytes::<Sizing>(&bytes).unwrap(), sizing);
            if let Sizing::Fixed(quantity) = sizing {
                assert_eq!(bytes, postcard::to_allocvec(&quantity).unwrap());
            }
        }
        for bad in [0i64, -1, -2, i64::MIN] {
            assert!(postcard::from_bytes::<Sizing>(&postcard::to_allocvec(&bad).unwrap()).is_err(), "{bad}");
        }
    }

    proptest! {
        /// The cap holds, the lots are whole, and one lot more would break one of the two.
        #[test]
        fn a_size_is_the_largest_under_its_cap(
            cap in 1i64..=CAPITAL_MAX * SCALE, price in 1i64..=i64::MAX, lot in prop_oneof![Just(0), 1i64..=100 * SCALE],
        ) {
            let at = SizingInput { equity: Money(0), price: Price(price), stop: None, lot: Quantity(lot) };
            let sized = Sizing::Capital(Money(cap.into())).quantity(&at).map_or(0, |quantity| quantity.0);
            let worth = |quantity: i128| quantity * i128::from(price);
            let whole = i128::from(cap) * i128::from(SCALE);
            prop_assert!(worth(sized.into()) <= whole);
            prop_assert!(lot == 0 || sized % lot == 0);
            let more = i128::from(sized) + i128::from(lot.max(1));
            prop_assert!(worth(more) > whole || more > QUANTITY_MAX);
        }

        /// What is lost from the price to the stop is never more than was to be risked.
        #[test]
        fn a_risk_is_never_exceeded(
            equity in 1i64..=i64::MAX, percent in 1i64..=100 * SCALE, price in 1i64..=1 << 50, stop in 1i64..=1 << 50,
        ) {
            let at = SizingInput {
                equity: Money(equity.into()), price: Price(price), stop: Some(Price(stop)), lot: Quantity(1),
            };
            let sized = Sizing::RiskPercent(Price(percent)).quantity(&at).map_or(0, |quantity| i128::from(quantity.0));
            let scale = i128::from(SCALE);
            prop_assert!(sized * i128::from((price - stop).abs()) <= i128::from(equity) * i128::from(percent) / 100);
            prop_assert!(sized * i128::from(price) <= i128::from(equity) * scale);
        }
    }
}
