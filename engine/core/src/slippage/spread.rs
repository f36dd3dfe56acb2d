//! `half-spread:N`: a market order crosses half of a spread that the user states (BT-09, BT-15).
//!
//! - `impact = N`: the reference is taken for the middle of the book, N for the way from there to the other side.
//! - N is a price of its own and the same for every instrument, so it fits sessions of one instrument, or of one tick.

use super::{Slippage, SlippageInput, SlippedPrice, moved};
use daybook_vocabulary::Price;

/// Half the spread.
pub struct HalfSpread(pub Price);

impl Slippage for HalfSpread {
    fn name(&self) -> &'static str {
        "half-spread"
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        Some(moved(leg, self.0.0.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{leg, price};
    use daybook_vocabulary::Side;

    #[test]
    fn by_hand() {
        // A spread of 0.01 around 50: BT-09's example.
        assert_eq!(price("half-spread:0.005", &leg(Side::Buy, "50", 100, 0)).unwrap(), "50.005");
        assert_eq!(price("half-spread:0.005", &leg(Side::Sell, "50", 100, 0)).unwrap(), "49.995");
    }
}
