//! Sizing: how much an entry is for (SQ-26, BT-41).
//!
//! | written | how much |
//! |---|---|
//! | `N` | that quantity |
//! | `equity_pct:P` | what P percent of the equity buy |
//! | `capital:C` | what C buys |
//! | `risk_pct:P` | what loses P percent of the equity between price and stop |
//! | `atr_risk:P/M` | what loses P percent of the equity over M average true ranges of 14 bars |
//! | `vol_target:P` | what moves the equity by P percent in a bar of ordinary size: one standard deviation of 20 returns |
//! | `kelly:F/P` | F of Kelly's share by the account's closed trades; P percent of the equity until 30 have closed |
//!
//! - A size is cut down to whole lots and never rounded up; below one lot there is no order.
//! - A cap holds at the price the size was worked out with: quantity × price is never above it. The fill comes later, at
//!   a price of its own.
//! - A fixed quantity is taken as it was given: where it does not fit the lot the gate says so, aloud.
//! - Nothing here looks at cash: what cannot be paid is the gate's to refuse.

mod gauge;

pub use gauge::{Gauge, Record};

use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Money, Price, Quantity, Ratio};
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
    /// What loses so many percent of the equity over so many average true ranges, and at most what the equity buys.
    RangeRisk(Ratio, Ratio),
    /// What moves the equity by so many percent in a bar of ordinary size, and at most what the equity buys.
    VolatilityTarget(Ratio),
    /// So much of Kelly's share, and at most what the equity buys; so many percent of the equity until enough trades
    /// have closed.
    Kelly(Ratio, Ratio),
}

/// Trades that must have closed before Kelly's share is believed.
const KELLY_TRADES: u64 = 30;

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
    /// The average true range, where it is known.
    pub range: Option<Price>,
    /// The standard deviation of a bar's return, where it is known.
    pub volatility: Option<Ratio>,
    /// The account's closed trades.
    pub record: Record,
}

impl SizingInput {
    /// With nothing known but equity, price and lot.
    pub const fn new(equity: Money, price: Price, lot: Quantity) -> Self {
        let record = Record { wins: 0, losses: 0, won: Money::ZERO, lost: Money::ZERO };
        Self { equity, price, stop: None, lot, range: None, volatility: None, record }
    }
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
            Self::RangeRisk(percent, multiple) => {
                let distance = i128::from(at.range?.0) * i128::from(multiple.0) / i128::from(SCALE);
                let distance = Price(i64::try_from(distance).unwrap_or(i64::MAX));
                bought(share(at.equity, Price(percent.0)), distance)?.min(bought(at.equity, at.price)?)
            }
            Self::VolatilityTarget(percent) => {
                let target = share(at.equity, Price(percent.0));
                let worth = target.0.checked_mul(SCALE.into())? / i128::from(at.volatility?.0).max(1);
                bought(Money(worth.min(at.equity.0)), at.price)?
            }
            Self::Kelly(_, percent) if at.record.trades() < KELLY_TRADES => {
                bought(share(at.equity, Price(percent.0)), at.price)?
            }
            Self::Kelly(fraction, _) => {
                let share = i128::from(at.record.kelly()?.0) * i128::from(fraction.0) / i128::from(SCALE);
                let worth = at.equity.0.checked_mul(share)? / i128::from(SCALE);
                bought(Money(worth.min(at.equity.0)), at.price)?
            }
        };
        let whole = quantity.round_down_to(at.lot);
        (whole.0 > 0).then_some(whole)
    }

    /// True when a stop is needed to work it out.
    pub const fn needs_stop(self) -> bool {
        matches!(self, Self::RiskPercent(_))
    }

    /// Bars that its gauge needs.
    pub const fn warmup(self) -> u32 {
        if matches!(self, Self::RangeRisk(..) | Self::VolatilityTarget(_)) { Gauge::WARMUP } else { 0 }
    }

    /// The gauge it is measured by, where it needs one.
    pub fn gauge(self) -> Option<Box<Gauge>> {
        matches!(self, Self::RangeRisk(..) | Self::VolatilityTarget(_)).then(Box::default)
    }
}

/// As in the table of this page. Percentages, multiples and fractions of the last three have at most four decimals.
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
            Some(("vol_target", number)) => short(number, 100).map(Self::VolatilityTarget),
            Some(("atr_risk", numbers)) => {
                let (percent, multiple) = numbers.split_once('/').ok_or(())?;
                Ok(Self::RangeRisk(short(percent, 100)?, short(multiple, 1_000)?))
            }
            Some(("kelly", numbers)) => {
                let (fraction, percent) = numbers.split_once('/').ok_or(())?;
                Ok(Self::Kelly(short(fraction, 1)?, short(percent, 100)?))
            }
            Some(_) => Err(()),
        }
    }
}

/// A number above 0 and at most so many, with at most four decimals.
fn short(text: &str, most: i64) -> Result<Ratio, ()> {
    let fits = |number: &Ratio| number.0 > 0 && number.0 <= most * SCALE && number.0 % SHORT == 0;
    text.parse().ok().filter(fits).ok_or(())
}

/// The fourth decimal.
const SHORT: i64 = SCALE / 10_000;
/// Two short numbers are packed into one amount: the second is below this many fourth decimals.
const PACK: i64 = 100_000_000;

/// The kinds that are saved below zero.
const KINDS: i64 = 6;
const _: () = assert!(CAPITAL_MAX < i64::MAX / SCALE / KINDS - 1, "the largest amount and its kind fit one number");
const _: () =
    assert!((100 * 10_000 + 1) * PACK < i64::MAX / KINDS - 1, "two short numbers and their kind fit one number");
const _: () = assert!(1_000 * 10_000 < PACK, "a multiple fits its part of the pack");

impl From<Sizing> for i64 {
    fn from(sizing: Sizing) -> Self {
        let (amount, kind) = match sizing {
            Sizing::Fixed(quantity) => return quantity.0,
            Sizing::EquityPercent(percent) => (percent.0, 0),
            Sizing::RiskPercent(percent) => (percent.0, 1),
            Sizing::Capital(capital) => (Self::try_from(capital.0).unwrap_or(CAPITAL_MAX * SCALE), 2),
            Sizing::RangeRisk(percent, multiple) => (percent.0 / SHORT * PACK + multiple.0 / SHORT, 3),
            Sizing::VolatilityTarget(percent) => (percent.0, 4),
            Sizing::Kelly(fraction, percent) => (fraction.0 / SHORT * PACK + percent.0 / SHORT, 5),
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
        let (first, second) = (Ratio(amount / PACK * SHORT), Ratio(amount % PACK * SHORT));
        Ok(match kind {
            0 => Self::EquityPercent(Price(amount)),
            1 => Self::RiskPercent(Price(amount)),
            2 => Self::Capital(Money(amount.into())),
            3 => Self::RangeRisk(first, second),
            4 => Self::VolatilityTarget(Ratio(amount)),
            _ => Self::Kelly(first, second),
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
        let at = SizingInput {
            stop,
            range: Some("20".parse().unwrap()),
            volatility: Some("0.02".parse().unwrap()),
            record: Record { wins: 18, losses: 12, won: Money::from_units(360), lost: Money::from_units(120) },
            ..SizingInput::new(Money::from_units(equity), price, Quantity::from_units(lot))
        };
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
            // SQ-26: int(1,000,000 × 1 % / (20 × 2)).
            (size("atr_risk:1/2", 1_000_000, "1000", None, 1), Some("250")),
            (size("atr_risk:1/2", 1_000_000, "1000", None, 40), Some("240")),
            (size("atr_risk:10/0.1", 1_000_000, "1000", None, 1), Some("1000")),
            (size("atr_risk:0.0001/1000", 1_000_000, "1000", None, 1), None),
            // One percent of a million is half of what moves by two percent.
            (size("vol_target:1", 1_000_000, "1000", None, 1), Some("500")),
            (size("vol_target:4", 1_000_000, "1000", None, 1), Some("1000")),
            // Kelly's share is 0.6 - 0.4 / 2 = 0.4 (rounded down).
            (size("kelly:0.5/10", 1_000_000, "999.9", None, 1), Some("200")),
            (size("kelly:1/10", 1_000_000, "399999.9", None, 1), Some("1")),
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
            "kelly:1.1/10",
            "kelly:0.5/101",
            "atr_risk:1",
            "atr_risk:1/0",
            "atr_risk:0.00001/1",
            "vol_target:0",
            "vol_target:101",
        ] {
            assert_eq!(bad.parse::<Sizing>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_size_is_saved_as_one_number_and_a_quantity_as_itself() {
        for text in [
            "10",
            "0.00000001",
            "equity_pct:100",
            "equity_pct:0.00000001",
            "capital:10000000000",
            "risk_pct:1",
            "atr_risk:100/1000",
            "atr_risk:0.0001/0.0001",
            "vol_target:2.5",
            "kelly:1/100",
            "kelly:0.25/5",
        ] {
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

    #[test]
    fn what_is_not_known_is_no_size() {
        let at = SizingInput::new(Money::from_units(1_000_000), Price::from_units(1_000), Quantity::from_units(1));
        let size =
            |text: &str, at: &SizingInput| text.parse::<Sizing>().unwrap().quantity(at).map(|size| size.0 / SCALE);
        assert_eq!((size("atr_risk:1/2", &at), size("vol_target:1", &at)), (None, None));
        assert_eq!(size("kelly:0.5/10", &at), Some(100), "until thirty trades have closed");
        let losing = Record { wins: 10, losses: 20, won: Money(5), lost: Money(6) };
        assert_eq!(size("kelly:0.5/10", &SizingInput { record: losing, ..at }), None, "no edge, no order");
    }

    proptest! {
        /// The cap holds, the lots are whole, and one lot more would break one of the two.
        #[test]
        fn a_size_is_the_largest_under_its_cap(
            cap in 1i64..=CAPITAL_MAX * SCALE, price in 1i64..=i64::MAX, lot in prop_oneof![Just(0), 1i64..=100 * SCALE],
        ) {
            let at = SizingInput::new(Money(0), Price(price), Quantity(lot));
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
            let at = SizingInput::new(Money(equity.into()), Price(price), Quantity(1));
            let at = SizingInput { stop: Some(Price(stop)), ..at };
            let sized = Sizing::RiskPercent(Price(percent)).quantity(&at).map_or(0, |quantity| i128::from(quantity.0));
            let scale = i128::from(SCALE);
            prop_assert!(sized * i128::from((price - stop).abs()) <= i128::from(equity) * i128::from(percent) / 100);
            prop_assert!(sized * i128::from(price) <= i128::from(equity) * scale);
        }
    }
}
