//! Commissions that are more than a share of the turnover: flat, maker and taker, by tiers of the month, by kind of
//! instrument, and those of Interactive Brokers (BT-42).
//!
//! - What is counted per order (a flat amount, a minimum, a maximum) counts over all its fills: each fill pays what the
//!   order owes by then, less what it has paid.
//! - A tier is that of the fill: what the account has traded in the calendar month before it decides the rate.
//! - Everything is an integer and rounded once to 1e-8, half away from zero; nothing is ever paid back.

use crate::fees::{FeeInput, Rate};
use crate::slippage::AssetClass;
use daybook_vocabulary::decimal::{self, SCALE};
use daybook_vocabulary::{Money, Price, Quantity};

/// Tiers of one schedule at most.
const TIERS_MAX: usize = 5;

/// How a commission is worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commission {
    /// The same for every order that fills.
    Flat(Money),
    /// Shares of the turnover for those who wait, and for those who take.
    MakerTaker(Rate, Rate),
    /// A share of the turnover by what the month has turned over: from each value on.
    Tiered(Tiers<Rate>),
    /// An amount for each unit, whatever its price.
    PerUnit(Price),
    /// A share of the turnover.
    Share(Rate),
    /// An amount for each unit by the units of the month, with a least amount for an order and a largest share of its
    /// value.
    Units(Tiers<Price>, Money, Rate),
}

/// What holds from a bound on: the bounds rise, the first is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiers<T> {
    count: usize,
    tiers: [(i128, T); TIERS_MAX],
}

impl<T: Copy> Tiers<T> {
    fn new(tiers: &[(i128, T)]) -> Option<Self> {
        let rises = tiers.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let first = *tiers.first().filter(|first| first.0 == 0 && rises && tiers.len() <= TIERS_MAX)?;
        let mut all = [first; TIERS_MAX];
        all[..tiers.len()].copy_from_slice(tiers);
        Some(Self { count: tiers.len(), tiers: all })
    }

    fn at(&self, traded: i128) -> T {
        let tiers = &self.tiers[..self.count];
        tiers[tiers.partition_point(|(from, _)| *from <= traded).max(1) - 1].1
    }
}

impl Commission {
    /// The commission that a name says; nothing for a name of another kind.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (name, numbers) = text.split_once(':').unwrap_or((text, ""));
        Some(match name {
            "flat" => amount(numbers).map(|units| Self::Flat(Money(units.into()))),
            "maker-taker" => numbers
                .split_once(':')
                .and_then(|(maker, taker)| Some(Self::MakerTaker(share(maker)?, share(taker)?)))
                .ok_or_else(|| "write maker-taker:1:2.5, basis points of those who wait and of those who take".into()),
            "tiered" => tiered(numbers).ok_or_else(|| {
                "write tiered:10@0,5@1000000: basis points from a turnover of the month on, up to five, from 0 on"
                    .into()
            }),
            "asset-class" => AssetClass::named(numbers)
                .map(Self::of_class)
                .ok_or_else(|| "after the colon comes equity, future, option, fx or crypto".into()),
            "units" => units(numbers).ok_or_else(|| {
                "write units:0.0035@0,0.002@300000:0.35:1: amounts a unit from so many units of the month on, up to five, \
                 from 0 on; the least of an order; the most, in percent of its value"
                    .into()
            }),
            "ib-fixed" if numbers.is_empty() => Ok(Self::ib(&[(0, 500_000)], 1)),
            "ib-tiered" if numbers.is_empty() => Ok(Self::ib(
                &[(0, 350_000), (300_000, 200_000), (3_000_000, 150_000), (20_000_000, 100_000), (100_000_000, 50_000)],
                0,
            )),
            _ => return None,
        })
    }

    /// The usual commissions of a kind: shares, currencies and coins by value, futures and options by contract.
    fn of_class(class: AssetClass) -> Self {
        let bps = |bps: i64| Self::Share(Rate::basis_points(bps * SCALE).expect("a share below one"));
        match class {
            AssetClass::Equity => bps(10),
            AssetClass::Fx => bps(2),
            AssetClass::Crypto => bps(20),
            AssetClass::Future => Self::PerUnit(Price(5 * SCALE / 2)),
            AssetClass::Option => Self::PerUnit(Price(65 * SCALE / 100)),
        }
    }

    /// Interactive Brokers (IBKR Pro), shares in the United States: fixed 0.005 a share, at least 1 an order; tiered 0.0035
    /// down to 0.0005 by the shares of the month, at least 0.35; both at most 1 % of the value. Fees of exchanges,
    /// clearing and regulators, which the tiered plan passes on, are not in it. The figures are those the broker's public
    /// page had in 2024, written from memory and not compared with the page since; `units:…` writes any other table.
    fn ib(tiers: &[(i64, i64)], least: i64) -> Self {
        let tiers: Vec<_> = tiers.iter().map(|(from, amount)| (i128::from(*from * SCALE), Price(*amount))).collect();
        let least = if least > 0 { Money::from_units(least) } else { Money(35_000_000) };
        let percent = Rate::basis_points(100 * SCALE).expect("one percent is a share");
        Self::Units(Tiers::new(&tiers).expect("the tiers rise"), least, percent)
    }

    /// The part of the month that the tier depends on is counted.
    pub const fn counts_months(&self) -> bool {
        matches!(self, Self::Tiered(_) | Self::Units(..))
    }

    /// What a fill of `value` pays.
    pub fn of(&self, fill: &FeeInput, value: Money) -> Money {
        let units = Quantity(fill.quantity.0.saturating_abs());
        match self {
            Self::Flat(amount) => owed(*amount, fill),
            Self::MakerTaker(maker, taker) => (if fill.maker { maker } else { taker }).of(value),
            Self::Tiered(tiers) => tiers.at(fill.month.0.0).of(value),
            Self::PerUnit(amount) => Money(amount.times(units).0.abs()),
            Self::Share(share) => share.of(value),
            Self::Units(tiers, least, most) => {
                let of_order = Quantity(units.0.saturating_add(fill.order_quantity_before.0));
                let order_value = Money(fill.order_value_before.0.saturating_add(value.0));
                let amount = tiers.at(fill.month.1.0.into()).times(of_order);
                // One percent of a small order is less than the least: then it is what is paid.
                owed(amount.max(*least).min(most.of(order_value)), fill)
            }
        }
    }
}

/// What an order owes by now, less what it has paid.
fn owed(by_now: Money, fill: &FeeInput) -> Money {
    Money(by_now.0.saturating_sub(fill.order_brokerage_before.0.max(0)).max(0))
}

fn amount(text: &str) -> Result<i64, String> {
    let units = decimal::parse_i64(text).ok().filter(|units| *units >= 0);
    units.ok_or_else(|| format!("'{}' is no amount of 0 or more, such as 1.50", text.escape_debug()))
}

fn share(text: &str) -> Option<Rate> {
    Rate::basis_points(decimal::parse_i64(text).ok()?)
}

/// `AMOUNT@UNITS,…:LEAST:PERCENT`.
fn units(text: &str) -> Option<Commission> {
    let [tiers, least, percent] = text.split(':').collect::<Vec<_>>()[..] else { return None };
    let tier = |tier: &str| {
        let (amount, from) = tier.split_once('@')?;
        let (amount, from): (Price, Quantity) = (amount.parse().ok()?, from.parse().ok()?);
        (amount.0 >= 0).then_some((from.0.into(), amount))
    };
    let tiers: Vec<_> = tiers.split(',').map(tier).collect::<Option<_>>()?;
    let least: Money = least.parse().ok().filter(|least: &Money| *least >= Money::ZERO)?;
    let percent = decimal::parse_i64(percent).ok().filter(|percent| (1..=100 * SCALE).contains(percent))?;
    Some(Commission::Units(Tiers::new(&tiers)?, least, Rate::basis_points(percent * 100)?))
}

fn tiered(text: &str) -> Option<Commission> {
    let tier = |tier: &str| {
        let (bps, from) = tier.split_once('@')?;
        let from: Money = from.parse().ok()?;
        Some((from.0, share(bps)?))
    };
    let tiers: Vec<_> = text.split(',').map(tier).collect::<Option<_>>()?;
    Tiers::new(&tiers).map(Commission::Tiered)
}
