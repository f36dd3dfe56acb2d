//! `volume-share:N` and `volume-share-squared:N`: impact by the share of the candle's volume that a leg takes
//! (BT-13, BT-16).
//!
//! - With `share = quantity / volume`: `impact = reference × N / 10,000 × share`, or `× share²`; basis points are
//!   rounded up to 1e-8 after each factor, and are at most 10,000.
//! - The squared form with N = 1,000 is the volume-share model known from zipline (`price_impact = 0.1`): 0.625 bp at
//!   a share of 2.5 %. How much may fill at all is the participation cap's business, not the model's.
//! - Without volume there is no share, hence no answer.

use super::{Slippage, SlippageInput, SlippedPrice, WHOLE, Want, divided_up, moved_by};
use daybook_vocabulary::BasisPoints;

/// Basis points at a share of one, in proportion to the share.
pub struct VolumeShare(pub BasisPoints);

/// Basis points at a share of one, by the square of the share.
pub struct VolumeShareSquared(pub BasisPoints);

impl Slippage for VolumeShare {
    fn name(&self) -> &'static str {
        "volume-share"
    }

    fn wants(&self) -> Want {
        Want::Volume
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        Some(moved_by(leg, shared(leg, self.0.0.into())?))
    }
}

impl Slippage for VolumeShareSquared {
    fn name(&self) -> &'static str {
        "volume-share-squared"
    }

    fn wants(&self) -> Want {
        Want::Volume
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        Some(moved_by(leg, shared(leg, shared(leg, self.0.0.into())?)?))
    }
}

/// So many basis points × share; nothing without volume.
fn shared(leg: &SlippageInput, bps: i128) -> Option<i128> {
    // At most the whole, so that a second factor cannot overflow.
    (leg.volume.0 > 0).then(|| divided_up(bps * i128::from(leg.quantity.0), leg.volume.0.into()).min(WHOLE))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{leg, price};
    use daybook_vocabulary::Side;

    #[test]
    fn by_hand() {
        // A tenth of the volume: 50 bps × 0.1 = 5 bps of 1,000.
        assert_eq!(price("volume-share:50", &leg(Side::Buy, "1000", 100, 1_000)).unwrap(), "1000.5");
        assert_eq!(price("volume-share:50", &leg(Side::Sell, "1000", 100, 1_000)).unwrap(), "999.5");
        // BT-13 at its cap: 0.1 × 0.025² = 0.625 bp of 1,000.
        assert_eq!(price("volume-share-squared:1000", &leg(Side::Buy, "1000", 25, 1_000)).unwrap(), "1000.0625");
        // More than all of it: never more than the price itself.
        assert_eq!(price("volume-share:10000", &leg(Side::Buy, "1000", 9_000, 1)).unwrap(), "2000");
    }

    #[test]
    fn without_volume_there_is_no_answer() {
        assert_eq!(price("volume-share:50", &leg(Side::Buy, "1000", 1, 0)), None);
        assert_eq!(price("volume-share-squared:50", &leg(Side::Sell, "1000", 1, 0)), None);
    }
}
