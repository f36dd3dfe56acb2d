//! Targets: how target weights become quantities.
//!
//! - A target is a part of the equity, times the headroom, in whole lots: costs fit beside it.
//! - What is left to buy with is the free cash, times the headroom: a purchase sized by it is not refused for its costs.
//! - A symbol without a candle at the moment of the decision is told, and what follows is the setting's choice.

use daybook_config::{Missing, Rebalance, Settings};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Money, Price, Quantity, Ratio};

/// The settings under `portfolio.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    /// How target weights become orders.
    pub rebalance: Rebalance,
    /// What targets are multiplied by: above zero, one at most.
    pub headroom: Ratio,
    /// What is done about a symbol that has no candle.
    pub missing: Missing,
}

impl Default for Targets {
    fn default() -> Self {
        Self { rebalance: Rebalance::default(), headroom: Ratio(SCALE), missing: Missing::default() }
    }
}

impl Targets {
    /// As the settings say.
    pub const fn of(settings: &Settings) -> Self {
        Self {
            rebalance: settings.portfolio_rebalance,
            headroom: settings.portfolio_headroom,
            missing: settings.portfolio_missing,
        }
    }

    /// An amount times the headroom, rounded down; nothing of what is not there.
    pub fn within(&self, amount: Money) -> Money {
        Money(amount.0.max(0).saturating_mul(self.headroom.0.into()) / i128::from(SCALE))
    }

    /// How much of a symbol so many percent of the equity are, in whole lots.
    pub fn target(&self, equity: Money, percent: Ratio, price: Price, lot: Quantity) -> Quantity {
        let part = self.within(equity).0.saturating_mul(percent.0.into()) / (100 * i128::from(SCALE));
        bought(Money(part), price, lot)
    }

    /// The most that free cash buys, in whole lots.
    pub fn affordable(&self, free: Money, price: Price, lot: Quantity) -> Quantity {
        bought(self.within(free), price, lot)
    }
}

/// What an amount buys at a price, in whole lots; nothing at a price that is none.
fn bought(amount: Money, price: Price, lot: Quantity) -> Quantity {
    if price.0 <= 0 {
        return Quantity::ZERO;
    }
    let quantity = amount.0.saturating_mul(SCALE.into()) / i128::from(price.0);
    Quantity(i64::try_from(quantity).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)).round_down_to(lot)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT-27: headroom 0.998 leaves room for costs of 0.2 %.
    #[test]
    fn targets_and_what_cash_buys() {
        let targets = Targets { headroom: "0.998".parse().unwrap(), ..Targets::default() };
        let (equity, lot) = (Money::from_units(100_000), Quantity::from_units(1));
        let (price, half) = (Price::from_units(100), Ratio(50 * SCALE));
        assert_eq!(Targets::default().target(equity, half, price, lot), Quantity::from_units(500));
        assert_eq!(targets.target(equity, half, price, lot), Quantity::from_units(499));
        assert_eq!(targets.affordable(Money::from_units(1_000), price, lot), Quantity::from_units(9));
        assert_eq!(targets.target(Money(-5), half, price, lot), Quantity::ZERO, "a lost account holds nothing");
        assert_eq!(targets.target(equity, half, Price::ZERO, lot), Quantity::ZERO, "nor does what has no price");
    }
}
