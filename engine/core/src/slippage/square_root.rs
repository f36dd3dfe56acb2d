//! `sqrt-impact:N`: the square-root law of market impact (BT-12, BT-18).
//!
//! - `impact = reference × N / 10,000 × √(quantity / volume)`; root and basis points are rounded up to 1e-8 each. N
//!   stands for `Y × σ` of the law as Almgren, Thum, Hauptmann and Li give it ("Direct Estimation of Equity Market
//!   Impact", 2005): about one volatility of the span in which the volume traded, in basis points.
//! - The span is the candle the leg fills in, so N is about the volatility of one candle.
//! - Without volume there is no share, hence no answer.

use super::{Slippage, SlippageInput, SlippedPrice, Want, divided_up, moved_by};
use daybook_vocabulary::BasisPoints;
use daybook_vocabulary::decimal::SCALE;

/// Basis points at a share of one, by the square root of the share.
pub struct SquareRoot(pub BasisPoints);

impl Slippage for SquareRoot {
    fn name(&self) -> &'static str {
        "sqrt-impact"
    }

    fn wants(&self) -> Want {
        Want::Volume
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        if leg.volume.0 <= 0 {
            return None;
        }
        let scale = i128::from(SCALE);
        // Under the root the share has units of 1e-16, so that the root has units of 1e-8.
        let share = divided_up(i128::from(leg.quantity.0) * scale * scale, leg.volume.0.into());
        let root = share.isqrt();
        let root = if root * root == share { root } else { root + 1 };
        Some(moved_by(leg, divided_up(i128::from(self.0.0) * root, scale)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{leg, price};
    use daybook_vocabulary::Side;

    #[test]
    fn by_hand() {
        // A quarter of the volume: √0.25 = 0.5, 20 bps × 0.5 = 10 bps of 1,000.
        assert_eq!(price("sqrt-impact:20", &leg(Side::Buy, "1000", 250, 1_000)).unwrap(), "1001");
        assert_eq!(price("sqrt-impact:20", &leg(Side::Sell, "1000", 250, 1_000)).unwrap(), "999");
        // Half of it: √0.5 = 0.70710678118… → 0.70710679, and 20 bps × that = 14.1421358 bps.
        assert_eq!(price("sqrt-impact:20", &leg(Side::Buy, "1000", 500, 1_000)).unwrap(), "1001.41421358");
    }

    #[test]
    fn without_volume_there_is_no_answer() {
        assert_eq!(price("sqrt-impact:20", &leg(Side::Buy, "1000", 1, 0)), None);
    }
}
