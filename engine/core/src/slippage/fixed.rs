//! `bps:N`: every leg slips by N basis points of its reference price (BT-10, BT-14).
//!
//! - `impact = reference × N / 10,000`, rounded up to 1e-8. N is of one leg: a round trip pays it twice.
//! - It needs nothing but the price, so it always answers.

use super::{Slippage, SlippageInput, SlippedPrice, moved_by};
use daybook_vocabulary::BasisPoints;

/// Basis points of the reference price.
pub struct Fixed(pub BasisPoints);

impl Slippage for Fixed {
    fn name(&self) -> &'static str {
        "bps"
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        Some(moved_by(leg, self.0.0.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{leg, price};
    use daybook_vocabulary::Side;

    #[test]
    fn by_hand() {
        // 10 bps of 2,500 are 2.50, whatever the volume; a third of a unit is rounded up.
        assert_eq!(price("bps:10", &leg(Side::Buy, "2500", 1, 0)).unwrap(), "2502.5");
        assert_eq!(price("bps:10", &leg(Side::Sell, "2500", 1, 0)).unwrap(), "2497.5");
        assert_eq!(price("bps:1", &leg(Side::Buy, "0.00000001", 1, 0)).unwrap(), "0.00000002");
    }
}
