//! `percent:N:MIN`: basis points of the price, and never less than a price difference (BT-10).
//!
//! - `impact = max(reference × N / 10,000, MIN)`, rounded up to 1e-8.

use super::{Slippage, SlippageInput, SlippedPrice, WHOLE, divided_up, moved};
use daybook_vocabulary::{BasisPoints, Price};

/// Basis points of the reference price, and the least price difference.
pub struct Percent(pub BasisPoints, pub Price);

impl Slippage for Percent {
    fn name(&self) -> &'static str {
        "percent"
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        let share = divided_up(i128::from(leg.reference.0) * i128::from(self.0.0), WHOLE);
        Some(moved(leg, share.max(self.1.0.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{leg, price};
    use daybook_vocabulary::Side;

    #[test]
    fn by_hand() {
        // BT-10: a tenth of a percent of 50 is 0.05; of 0.5 it would be 0.0005, and a thousandth is the least.
        assert_eq!(price("percent:10:0.001", &leg(Side::Buy, "50", 1, 0)).unwrap(), "50.05");
        assert_eq!(price("percent:10:0.001", &leg(Side::Sell, "0.5", 1, 0)).unwrap(), "0.499");
    }
}
