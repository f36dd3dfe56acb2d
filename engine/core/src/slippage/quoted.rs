//! `spread:K`: a part of half the quoted spread, from the middle of the quote (BT-15).
//!
//! - `impact = K × half spread`, rounded up to 1e-8: K = 1 is the other side of the quote, 0.5 half the way to it.
//! - It wants a quote, and the quote that stands when the leg fills: without one it answers nothing. That a fill was
//!   measured against a quote of another moment is how $1 of slippage once became $51.

use super::{Slippage, SlippageInput, SlippedPrice, Want, divided_up, moved};
use daybook_vocabulary::Ratio;
use daybook_vocabulary::decimal::SCALE;

/// The part of half the spread that is paid.
pub struct Spread(pub Ratio);

impl Slippage for Spread {
    fn name(&self) -> &'static str {
        "spread"
    }

    fn wants(&self) -> Want {
        Want::Quote
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        let half = leg.half_spread?;
        Some(moved(leg, divided_up(i128::from(half.0) * i128::from(self.0.0), SCALE.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::SlippageInput;
    use super::super::tests::{leg, price};
    use daybook_vocabulary::Side;

    #[test]
    fn by_hand() {
        let leg = |side| SlippageInput { half_spread: Some("0.1".parse().unwrap()), ..leg(side, "50", 1, 0) };
        // A buy never below the middle, a sale never above it.
        assert_eq!(price("spread:0.5", &leg(Side::Buy)).unwrap(), "50.05");
        assert_eq!(price("spread:1", &leg(Side::Sell)).unwrap(), "49.9");
        assert_eq!(price("spread:0.5", &SlippageInput { half_spread: None, ..leg(Side::Buy) }), None);
    }
}
