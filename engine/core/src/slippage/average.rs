//! `adv-linear:B:L`, `adv-sqrt:N` and `adv-power:N:E`: impact by the share of an average day's volume (BT-11, BT-12,
//! BT-18, and the temporary part of BT-39's linear model).
//!
//! - With `share = quantity / ADV`: `impact = reference / 10,000 ×` `B + L × share`, `N × √share`, `N × share^E`.
//!   BT-18's root, 0.5 × σ(0.02) × √share, is N = 100; its linear 0.1 is B = 0, L = 1,000.
//! - ADV is the mean volume of the instrument's last whole sessions, as many as `exchange.adv_sessions` says or as there
//!   were: what a day will have traded is not known while it trades. Before the first whole session there is none, and
//!   the model answers nothing.
//! - Powers go in eighths, so that they are products of square roots: whole numbers, rounded up, the same everywhere.

use super::{Slippage, SlippageInput, SlippedPrice, Want, divided_up, moved_by};
use daybook_vocabulary::{BasisPoints, Quantity};

/// One, for shares and their powers.
pub(super) const UNIT: i128 = 10_000_000_000_000_000;

/// The largest share that is told apart: a hundred average days.
const SHARE_MAX: i128 = 100 * UNIT;

/// Basis points, and more in proportion to the share.
pub struct Linear(pub BasisPoints, pub BasisPoints);

/// Basis points at a share of one, by a power of the share in eighths.
pub struct Power(pub BasisPoints, pub u8);

impl Slippage for Linear {
    fn name(&self) -> &'static str {
        "adv-linear"
    }

    fn wants(&self) -> Want {
        Want::Average
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        let share = share_of_day(leg)?;
        Some(moved_by(leg, i128::from(self.0.0) + divided_up(i128::from(self.1.0) * share, UNIT)))
    }
}

impl Slippage for Power {
    fn name(&self) -> &'static str {
        if self.1 == 4 { "adv-sqrt" } else { "adv-power" }
    }

    fn wants(&self) -> Want {
        Want::Average
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        let powered = power(share_of_day(leg)?, self.1);
        Some(moved_by(leg, divided_up(i128::from(self.0.0) * powered, UNIT)))
    }
}

pub(super) fn share_of_day(leg: &SlippageInput) -> Option<i128> {
    (leg.average.0 > 0).then(|| share(leg.quantity, leg.average))
}

/// `quantity / whole`, rounded up to 1e-16; `whole` is positive.
pub(super) fn share(quantity: Quantity, whole: Quantity) -> i128 {
    divided_up(i128::from(quantity.0) * UNIT, whole.0.into()).min(SHARE_MAX)
}

/// A share to the power of so many eighths, rounded up to 1e-16 after every step; at most [`SHARE_MAX`].
pub(super) fn power(share: i128, eighths: u8) -> i128 {
    let times = |a: i128, b: i128| divided_up(a * b, UNIT).min(SHARE_MAX);
    let mut result = (0..eighths / 8).fold(UNIT, |result, _| times(result, share));
    let mut root = share;
    for bit in [4, 2, 1] {
        root = root_up(root * UNIT);
        if eighths & bit != 0 {
            result = times(result, root);
        }
    }
    result
}

fn root_up(square: i128) -> i128 {
    let root = square.isqrt();
    if root * root == square { root } else { root + 1 }
}

const _: () = assert!(SHARE_MAX < i128::MAX / SHARE_MAX, "the product of two shares fits");

#[cfg(test)]
mod tests {
    use super::super::SlippageInput;
    use super::super::tests::{leg, price};
    use super::*;
    use daybook_vocabulary::Side;

    #[test]
    fn by_hand() {
        let leg = |side, quantity| SlippageInput {
            average: Quantity::from_units(1_000_000),
            ..leg(side, "1000", quantity, 0)
        };
        // A hundredth of a day: 1 + 1,000 × 0.01 = 11 basis points.
        assert_eq!(price("adv-linear:1:1000", &leg(Side::Buy, 10_000)).unwrap(), "1001.1");
        // √0.01 = 0.1, and 100 × 0.1 = 10 basis points.
        assert_eq!(price("adv-sqrt:100", &leg(Side::Sell, 10_000)).unwrap(), "999");
        assert_eq!(price("adv-power:100:0.5", &leg(Side::Sell, 10_000)).unwrap(), "999");
        assert_eq!(price("adv-power:100:1", &leg(Side::Buy, 10_000)).unwrap(), "1000.1");
        // 0.0001^0.25 = 0.1, and 0.0001^0.75 = 0.001.
        assert_eq!(price("adv-power:100:0.25", &leg(Side::Buy, 100)).unwrap(), "1001");
        assert_eq!(price("adv-power:100:0.75", &leg(Side::Buy, 100)).unwrap(), "1000.01");
        let unknown = SlippageInput { average: Quantity::ZERO, ..leg(Side::Buy, 1) };
        for model in ["adv-linear:1:1000", "adv-sqrt:100", "adv-power:100:1.5"] {
            assert_eq!(price(model, &unknown), None);
        }
    }

    /// The eighth root to the eighth, and so on, is the share again; a power is the product of its parts.
    #[test]
    fn powers_are_powers() {
        let close = |found: i128, exact: i128| (found - exact).abs() <= exact / 1_000_000 + 1_000;
        for share in [UNIT / 1_000_000, UNIT / 7, UNIT / 3, UNIT, 3 * UNIT] {
            for (eighths, times) in [(1, 8), (2, 4), (4, 2), (8, 1)] {
                let root = power(share, eighths);
                let again = (0..times).fold(UNIT, |product, _| product * root / UNIT);
                assert!(close(again, share), "{share} {eighths}/8: {again}");
            }
            for (one, other) in [(1, 2), (3, 4), (5, 8), (8, 8)] {
                let product = power(share, one) * power(share, other) / UNIT;
                assert!(close(power(share, one + other), product), "{share} {one}/8 + {other}/8");
            }
        }
    }
}
