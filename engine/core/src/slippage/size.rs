//! `size-sqrt:N:Q` and `participation:B:L:R`: impact by the size of a leg alone, and by its share of the volume
//! (BT-12's first form, BT-16).
//!
//! - `size-sqrt`: `impact = reference × N / 10,000 × √(quantity / Q)`. With N = 12.5 and Q = 1,000 it is the form that
//!   knows no volume: √(quantity / 1,000) × (0.1 + 0.05 / 2) of a percent.
//! - `participation`: `impact = reference × (B + L × p + R × √p) / 10,000` with `p = quantity / volume`, at most a tenth.
//!   With B = 1 and L = 100 it is 0.0001 + 0.01 × p.
//! - Everything is rounded up to 1e-8. Without volume there is no share, hence no answer.

use super::{Slippage, SlippageInput, SlippedPrice, Want, divided_up, moved_by};
use crate::slippage::average::{UNIT, power, share};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{BasisPoints, Quantity};

/// Basis points for a quantity, by the square root of the size.
pub struct SizeRoot(pub BasisPoints, pub Quantity);

/// Basis points, per share of the volume, and per root of that share.
pub struct Participation(pub BasisPoints, pub BasisPoints, pub BasisPoints);

impl Slippage for SizeRoot {
    fn name(&self) -> &'static str {
        "size-sqrt"
    }

    fn by_size(&self) -> bool {
        true
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        let root = power(share(leg.quantity, self.1), 4);
        Some(moved_by(leg, divided_up(i128::from(self.0.0) * root, UNIT)))
    }
}

impl Slippage for Participation {
    fn name(&self) -> &'static str {
        "participation"
    }

    fn wants(&self) -> Want {
        Want::Volume
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        if leg.volume.0 <= 0 {
            return None;
        }
        let share = share(leg.quantity, leg.volume).min(UNIT / 10);
        let of = |bps: BasisPoints, part: i128| divided_up(i128::from(bps.0) * part, UNIT);
        Some(moved_by(leg, i128::from(self.0.0) + of(self.1, share) + of(self.2, power(share, 4))))
    }
}

const _: () = assert!(UNIT % SCALE as i128 == 0, "shares are finer than prices");

#[cfg(test)]
mod tests {
    use super::super::tests::{leg, price};
    use daybook_vocabulary::Side;

    #[test]
    fn by_hand() {
        // BT-12: 1,000 shares are 12.5 basis points, 4,000 twice that.
        assert_eq!(price("size-sqrt:12.5:1000", &leg(Side::Buy, "100", 1_000, 0)).unwrap(), "100.125");
        assert_eq!(price("size-sqrt:12.5:1000", &leg(Side::Sell, "100", 4_000, 0)).unwrap(), "99.75");
        // BT-16: 1 + 100 × 0.05 = 6 basis points; at a quarter the share is taken for a tenth; the root of 0.04 is 0.2.
        assert_eq!(price("participation:1:100:0", &leg(Side::Buy, "1000", 50, 1_000)).unwrap(), "1000.6");
        assert_eq!(price("participation:1:100:0", &leg(Side::Buy, "1000", 250, 1_000)).unwrap(), "1001.1");
        assert_eq!(price("participation:0:0:10", &leg(Side::Sell, "1000", 40, 1_000)).unwrap(), "999.8");
        assert_eq!(price("participation:1:100:0", &leg(Side::Buy, "1000", 1, 0)), None);
    }
}
