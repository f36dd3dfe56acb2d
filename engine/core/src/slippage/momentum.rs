//! `momentum:N:K`: impact that is dearer for whoever goes with the market (the momentum model that BT-39 names).
//!
//! - The row names a model and gives no formula; this one is ours. With `share = quantity / ADV` and `r` the return from
//!   close to close over the sessions that ADV is the mean of:
//!   `impact = reference / 10,000 × N × √share × (1 + K × max(0, ±r))`, `+r` for a purchase, `-r` for a sale.
//! - Others want what a rise makes one want: who buys into it waits in their queue. Who goes against it finds the others'
//!   orders, but pays the whole of the plain impact all the same: nothing is ever cheaper for a return.
//! - The return ends at the last close before the session, so that nothing of the day is known early. It is there after
//!   two whole sessions; before, the model answers nothing.

use super::average::{UNIT, power, share_of_day};
use super::{Slippage, SlippageInput, SlippedPrice, Want, divided_up, moved_by};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{BasisPoints, Ratio, Side};

/// Basis points for an average day's volume, and how much of the return comes on top.
pub struct Momentum(pub BasisPoints, pub Ratio);

impl Slippage for Momentum {
    fn name(&self) -> &'static str {
        "momentum"
    }

    fn wants(&self) -> Want {
        Want::Momentum
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        let plain = divided_up(i128::from(self.0.0) * power(share_of_day(leg)?, 4), UNIT);
        let with = i128::from(leg.momentum?) * if leg.side == Side::Buy { 1 } else { -1 };
        let dearer = divided_up(with.max(0) * i128::from(self.1.0), SCALE.into());
        Some(moved_by(leg, plain.saturating_add(divided_up(plain.saturating_mul(dearer), UNIT))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{leg, price};
    use super::*;
    use daybook_vocabulary::Quantity;

    /// BT-39: by hand. A hundredth of a day at 100 basis points: 10; a rise of 5 % times 2 makes it 11 for who buys.
    #[test]
    fn who_goes_with_the_market_pays_more() {
        let of_day = |side, percent: i64| SlippageInput {
            average: Quantity::from_units(1_000_000),
            momentum: Some(percent * (UNIT / 100) as i64),
            ..leg(side, "1000", 10_000, 0)
        };
        let at = |side, percent| price("momentum:100:2", &of_day(side, percent)).unwrap();
        assert_eq!((at(Side::Buy, 5), at(Side::Sell, 5)), ("1001.1".into(), "999".into()));
        assert_eq!((at(Side::Buy, -5), at(Side::Sell, -5)), ("1001".into(), "998.9".into()));
        assert_eq!((at(Side::Buy, 0), at(Side::Sell, 0)), ("1001".into(), "999".into()));
        let unknown = SlippageInput { momentum: None, ..of_day(Side::Buy, 0) };
        let new = SlippageInput { average: Quantity::ZERO, ..of_day(Side::Buy, 0) };
        assert_eq!((price("momentum:100:2", &unknown), price("momentum:100:2", &new)), (None, None));
    }
}
