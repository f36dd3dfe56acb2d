//! Positions with an exact cost basis, and the round trip that a position is part of.
//!
//! - Average cost: a partial close takes its share of the basis, rounded once, and the rest stays: what is taken and
//!   what stays always add up, so `start + realised + unrealised - fees = cash + value` holds to the last unit.
//! - Long and short are mirror images: a short's basis is negative (what was received).

use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{
    Cause, Label, Money, Nanos, OrderId, Price, Quantity, Ratio, RulesFollowed, Side, TradeClosed, TradeMeasures,
};
use serde::{Deserialize, Serialize};

/// A holding in one instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// Signed quantity: positive is long.
    pub quantity: Quantity,
    /// What it cost: positive for a long, minus what was received for a short.
    pub basis: Money,
}

/// What a fill did to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Quantity that reduced the position, positive.
    pub closed: Quantity,
    /// Quantity that opened or enlarged it, positive.
    pub opened: Quantity,
    /// Value of the closed part at the fill's price, positive.
    pub closed_value: Money,
    /// Value of the opened part, positive.
    pub opened_value: Money,
    /// Profit taken, before charges.
    pub realised: Money,
}

impl Position {
    /// How much of an order would reduce the position; the rest of it would open or enlarge one.
    #[inline]
    pub fn closing(&self, side: Side, quantity: Quantity) -> Quantity {
        let against = !self.quantity.is_zero() && (self.quantity.0 > 0) != (side == Side::Buy);
        if against { quantity.min(self.quantity.abs()) } else { Quantity::ZERO }
    }

    /// Applies a fill. `value` is `price.times(quantity)`; closed and opened part add up to it exactly.
    pub fn apply(&mut self, side: Side, quantity: Quantity, price: Price, value: Money) -> Applied {
        assert!(quantity.0 > 0, "a fill has a positive quantity");
        let signed = side.signed(quantity);
        let closed = self.closing(side, quantity);
        let opened = quantity - closed;
        let closed_value = if opened.is_zero() { value } else { price.times(closed) };
        let opened_value = value - closed_value;

        let mut realised = Money::ZERO;
        if !closed.is_zero() {
            let share = self.basis.share(closed, self.quantity.abs());
            let received = if self.quantity.0 > 0 { closed_value } else { -closed_value };
            realised = received - share;
            self.basis -= share;
        }
        if !opened.is_zero() {
            self.basis += if signed.0 > 0 { opened_value } else { -opened_value };
        }
        self.quantity += signed;
        assert!(!self.quantity.is_zero() || self.basis.is_zero(), "a flat position has no basis");
        Applied { closed, opened, closed_value, opened_value, realised }
    }

    /// Value at a price; negative for a short.
    #[inline]
    pub fn value(&self, price: Price) -> Money {
        price.times(self.quantity)
    }

    /// Average entry price, rounded to 1e-8; zero when flat.
    pub fn average_price(&self) -> Price {
        average(self.basis, self.quantity)
    }
}

/// `value / quantity` as a price, rounded half away from zero; zero for no quantity, and at the end of the range
/// where it does not fit.
pub fn average(value: Money, quantity: Quantity) -> Price {
    if quantity.is_zero() {
        return Price::ZERO;
    }
    let scaled = value.0.unsigned_abs().saturating_mul(SCALE as u128).min(i128::MAX as u128);
    let price = divide_rounded(scaled as i128, quantity.0.unsigned_abs().into());
    Price(i64::try_from(price).unwrap_or(i64::MAX))
}

/// A round trip in the making: from the first fill away from flat to the fill that returns to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTrade {
    /// Side of the entry.
    pub side: Side,
    /// Quantity entered so far.
    pub entered: Quantity,
    /// Value entered so far.
    pub entry_value: Money,
    /// Value left so far.
    pub exit_value: Money,
    /// Charges so far.
    pub fees: Money,
    /// Profit taken so far, before charges.
    pub gross: Money,
    /// First entry, at the exchange.
    pub entry_time: Nanos,
    /// Order of the first entry.
    pub entry_order: OrderId,
    /// Why it was entered.
    pub entry_reason: Label,
    /// Candles of the instrument before it began.
    pub bars_before: u64,
    /// Bars the strategy had learned before it began.
    pub learned_before: u64,
    /// Its first protective stop.
    pub stop: Option<Price>,
    /// What its parts left so far would have made at the prices they were decided at, less what those entered cost.
    pub planned: Money,
    /// Charges of its exits.
    pub exit_fees: Money,
    /// What slippage cost on the way in.
    pub entry_slippage: Money,
    /// What slippage cost on the way out.
    pub exit_slippage: Money,
    /// The decision that entered it.
    pub decision: u64,
    /// A stop was placed farther from the market than its first.
    pub loosened: bool,
    /// It was entered by an order from before its predecessor was stopped out.
    pub in_revenge: bool,
    /// The operator left it, or sent it home.
    pub overridden: bool,
}

impl OpenTrade {
    /// What it risked at first: its entries against its first stop. Nothing without a stop on the losing side.
    pub fn risk(&self) -> Option<Money> {
        let stop = self.stop?.times(self.entered);
        let risk = if self.side == Side::Buy { self.entry_value - stop } else { stop - self.entry_value };
        (risk > Money::ZERO).then_some(risk)
    }

    /// What it has made so far, charges paid, in R; `open` is the profit of what is still held. A million R either way
    /// is the end of the scale: sums over many trades stay inside the range.
    pub fn r(&self, open: Money) -> Option<Ratio> {
        let made = self.gross + open - self.fees;
        let r = divide_rounded(made.0.checked_mul(SCALE.into())?, self.risk()?.0);
        let end = i128::from(SCALE) * 1_000_000;
        Some(Ratio(r.clamp(-end, end) as i64))
    }
}

/// The fill that closes a trade, as far as the trade needs to know it.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// The candle.
    pub cause: Cause,
    /// Number of the trade.
    pub trade: u64,
    /// The order that closed it.
    pub order: OrderId,
    /// When, at the exchange.
    pub time: Nanos,
    /// Why.
    pub reason: Label,
    /// Candles of the instrument so far.
    pub bars: u64,
    /// The highest and the lowest price while it was open.
    pub extremes: (Price, Price),
    /// The instrument's lot.
    pub lot: Quantity,
}

impl OpenTrade {
    /// The finished round trip.
    pub fn close(&self, closing: Closing) -> TradeClosed {
        TradeClosed {
            cause: closing.cause,
            trade: closing.trade,
            side: self.side,
            quantity: self.entered,
            entry_order: self.entry_order,
            exit_order: closing.order,
            entry_time: self.entry_time,
            exit_time: closing.time,
            entry_price: average(self.entry_value, self.entered),
            exit_price: average(self.exit_value, self.entered),
            gross: self.gross,
            fees: self.fees,
            bars: closing.bars - self.bars_before,
            entry_reason: self.entry_reason,
            exit_reason: closing.reason,
            measures: Some(TradeMeasures {
                stop: self.stop,
                high: closing.extremes.0,
                low: closing.extremes.1,
                planned: self.planned,
                exit_fees: self.exit_fees,
                entry_slippage: self.entry_slippage,
                exit_slippage: self.exit_slippage,
                decision: self.decision,
                rules: self.rules(&closing),
            }),
        }
    }

    /// The checklist of the plan, in the order of [`RulesFollowed::RULES`].
    fn rules(&self, closing: &Closing) -> RulesFollowed {
        let signal = !self.entry_reason.is_empty();
        let exit = !closing.reason.is_empty();
        RulesFollowed::of([
            signal,
            self.entered.round_down_to(closing.lot) == self.entered,
            self.stop.is_some(),
            !self.loosened,
            !self.in_revenge,
            !self.overridden,
            exit && !self.overridden,
            signal && exit && self.entry_order.0 > 0 && closing.order.0 > 0,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn a_long_is_bought_averaged_and_sold() {
        let mut position = Position::default();
        let ten = Quantity::from_units(10);
        position.apply(Side::Buy, ten, price("100"), price("100").times(ten));
        position.apply(Side::Buy, ten, price("110"), price("110").times(ten));
        assert_eq!(position.average_price(), price("105"));
        let applied = position.apply(Side::Sell, ten, price("120"), price("120").times(ten));
        assert_eq!(applied.realised, Money::from_units(150));
        assert_eq!(position.basis, Money::from_units(1050));
    }

    #[test]
    fn selling_more_than_held_turns_the_position_round() {
        let mut position = Position { quantity: Quantity::from_units(10), basis: Money::from_units(1000) };
        let fifteen = Quantity::from_units(15);
        let applied = position.apply(Side::Sell, fifteen, price("90"), price("90").times(fifteen));
        assert_eq!((applied.closed, applied.opened), (Quantity::from_units(10), Quantity::from_units(5)));
        assert_eq!(applied.realised, Money::from_units(-100));
        assert_eq!(position, Position { quantity: Quantity::from_units(-5), basis: Money::from_units(-450) });
        assert_eq!(position.average_price(), price("90"));
    }

    /// The naive twin keeps every fill and never divides: cash moved, and what the holding is worth.
    fn naive_equity(fills: &[(Side, Quantity, Price)], last: Price) -> i128 {
        let cash: i128 = fills.iter().map(|(side, quantity, price)| -price.times(side.signed(*quantity)).0).sum();
        let held: Quantity = fills.iter().map(|(side, quantity, _)| side.signed(*quantity)).sum();
        cash + last.times(held).0
    }

    proptest! {
        #[test]
        fn realised_and_unrealised_add_up_to_the_cash(
            fills in prop::collection::vec((any::<bool>(), 1i64..1_000_000_000_000, 1i64..10_000_000_000_000), 1..60),
            last in 1i64..10_000_000_000_000,
        ) {
            let fills: Vec<_> = fills
                .into_iter()
                .map(|(buy, quantity, price)| (if buy { Side::Buy } else { Side::Sell }, Quantity(quantity), Price(price)))
                .collect();
            let mut position = Position::default();
            let mut realised = Money::ZERO;
            for &(side, quantity, price) in &fills {
                let value = price.times(quantity);
                let applied = position.apply(side, quantity, price, value);
                prop_assert_eq!(applied.closed_value + applied.opened_value, value);
                realised += applied.realised;
            }
            let unrealised = position.value(Price(last)) - position.basis;
            prop_assert_eq!((realised + unrealised).0, naive_equity(&fills, Price(last)));
        }
    }
}
