//! `impact-linear:P:T:S`, `almgren-chriss:P:T:S` and `propagator:N:E:G:K`: impact that outlasts its trade (BT-39).
//!
//! - With `share = quantity / ADV`, σ the deviation of daily returns, and everything a part of the reference price:
//!   linear (and a block-shaped book, Obizhaeva and Wang): permanent `P × share`, transient `T × share`, basis points;
//!   Almgren and Chriss: permanent `P × σ × √share`, transient `T × σ × share`;
//!   propagator: `N × share^E` basis points, of which K percent are permanent.
//! - A fill pays all of its own impact, and what stands of the impact of earlier fills where they pushed the price away
//!   from it. Where they pushed it nearer, nothing is earned: the candles do not hold our own trades.
//! - The permanent part stays; the transient one halves every S seconds, or fades as `(1 + t)^-G` and is gone after an
//!   hour. Reading what stands never changes it, and no clock moves but that of the inputs.
//! - Volumes and returns are those of whole sessions before: without them the models answer nothing.

use super::average::{UNIT, power, share_of_day};
use super::{Slippage, SlippageInput, SlippedPrice, WHOLE, Want, divided_up, moved_by};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{BasisPoints, Nanos, Ratio, Side};
use serde::{Deserialize, Serialize};

/// After so long nothing is left of what fades by a power of time.
const MEMORY: i64 = 3_600 * SECOND;

/// How transient impact fades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fade {
    /// Half of it is left after so many nanoseconds.
    HalfLife(i64),
    /// As `(1 + seconds)^-G`, G in eighths, one at most.
    Power(u8),
}

/// What a fill leaves behind, in units of 1e-8 of a basis point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// What stays.
    pub permanent: i128,
    /// What fades.
    pub transient: i128,
}

/// What our own fills have left on an instrument's price, in units of 1e-8 of a basis point; positive where they pushed
/// it up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Footprint {
    permanent: i128,
    traces: Vec<(Nanos, i128)>,
}

impl Footprint {
    /// What stands at an instant.
    pub fn standing(&self, fade: Fade, now: Nanos) -> i128 {
        self.traces.iter().fold(self.permanent, |sum, (at, size)| sum + faded(*size, now - *at, fade))
    }

    /// Adds what a fill leaves.
    pub fn note(&mut self, fade: Fade, now: Nanos, side: Side, left: Left) {
        let signed = |size: i128| if side == Side::Buy { size } else { -size };
        self.permanent += signed(left.permanent);
        match fade {
            // What halves is one number at any instant.
            Fade::HalfLife(_) => {
                let stands = self.standing(fade, now) - self.permanent;
                self.traces.clear();
                self.traces.push((now, stands + signed(left.transient)));
            }
            Fade::Power(_) => {
                self.traces.retain(|(at, _)| now - *at < MEMORY);
                self.traces.push((now, signed(left.transient)));
            }
        }
    }
}

/// What is left of an impact after so long.
fn faded(size: i128, elapsed: i64, fade: Fade) -> i128 {
    match fade {
        Fade::HalfLife(half) => {
            let (halves, rest) = (elapsed / half, elapsed % half);
            if halves >= 100 {
                return 0;
            }
            // 2^-x for x below one, bit by bit of x: roots of a half, rounded down.
            let bits = (i128::from(rest) << 20) / i128::from(half);
            let (mut factor, mut root) = (UNIT, UNIT / 2);
            for bit in (0..20).rev() {
                root = (root * UNIT).isqrt();
                if bits >> bit & 1 == 1 {
                    factor = factor * root / UNIT;
                }
            }
            (size * factor / UNIT) >> halves
        }
        Fade::Power(eighths) => {
            if elapsed >= MEMORY {
                return 0;
            }
            let base = UNIT + i128::from(elapsed) * UNIT / i128::from(SECOND);
            let (mut root, mut powered) = (base, if eighths == 8 { base } else { UNIT });
            for bit in [4, 2, 1] {
                root = (root * UNIT).isqrt();
                if eighths & bit != 0 {
                    powered = powered * root / UNIT;
                }
            }
            size * UNIT / powered
        }
    }
}

/// Permanent and transient basis points for an average day's volume.
pub struct Linear(pub BasisPoints, pub BasisPoints, pub Fade);

/// Permanent and transient parts of a day's deviation.
pub struct AlmgrenChriss(pub Ratio, pub Ratio, pub Fade);

/// Basis points for an average day's volume by a power of the share in eighths, and the percentage that is permanent.
pub struct Propagator(pub BasisPoints, pub u8, pub Fade, pub u8);

impl Slippage for Linear {
    fn name(&self) -> &'static str {
        "impact-linear"
    }

    fn wants(&self) -> Want {
        Want::Average
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        pays(leg, self.leaves(leg)?)
    }

    fn fade(&self) -> Option<Fade> {
        Some(self.2)
    }

    fn leaves(&self, leg: &SlippageInput) -> Option<Left> {
        let share = share_of_day(leg)?;
        let of = |bps: BasisPoints| divided_up(i128::from(bps.0) * share, UNIT);
        Some(Left { permanent: of(self.0), transient: of(self.1) })
    }
}

impl Slippage for AlmgrenChriss {
    fn name(&self) -> &'static str {
        "almgren-chriss"
    }

    fn wants(&self) -> Want {
        Want::Volatility
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        pays(leg, self.leaves(leg)?)
    }

    fn fade(&self) -> Option<Fade> {
        Some(self.2)
    }

    fn leaves(&self, leg: &SlippageInput) -> Option<Left> {
        let share = share_of_day(leg)?;
        let deviation = i128::from(leg.deviation?);
        let of = |times: Ratio, share: i128| {
            let part = divided_up(divided_up(i128::from(times.0) * deviation, SCALE.into()) * share, UNIT);
            divided_up(part * WHOLE, UNIT).min(WHOLE)
        };
        Some(Left { permanent: of(self.0, power(share, 4)), transient: of(self.1, share) })
    }
}

impl Slippage for Propagator {
    fn name(&self) -> &'static str {
        "propagator"
    }

    fn wants(&self) -> Want {
        Want::Average
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        pays(leg, self.leaves(leg)?)
    }

    fn fade(&self) -> Option<Fade> {
        Some(self.2)
    }

    fn leaves(&self, leg: &SlippageInput) -> Option<Left> {
        let whole = divided_up(i128::from(self.0.0) * power(share_of_day(leg)?, self.1), UNIT);
        let permanent = divided_up(whole * i128::from(self.3), 100);
        Some(Left { permanent, transient: whole - permanent })
    }
}

/// A leg pays its own impact and what stands against it.
fn pays(leg: &SlippageInput, own: Left) -> Option<SlippedPrice> {
    let against = if leg.side == Side::Buy { leg.standing } else { -leg.standing };
    Some(moved_by(leg, (own.permanent + own.transient + against).max(0)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{leg, price};
    use super::*;
    use daybook_vocabulary::Quantity;

    fn of_day(side: Side, quantity: i64) -> SlippageInput {
        // σ is two percent a day.
        let deviation = Some(UNIT as i64 / 50);
        SlippageInput { average: Quantity::from_units(1_000_000), deviation, ..leg(side, "1000", quantity, 0) }
    }

    #[test]
    fn by_hand() {
        // A hundredth of a day: 100 × 0.01 + 400 × 0.01 = 5 basis points.
        assert_eq!(price("impact-linear:100:400:7", &of_day(Side::Buy, 10_000)).unwrap(), "1000.5");
        // σ = 0.02, share 0.01: 0.01 × 0.02 × 0.1 + 0.1 × 0.02 × 0.01 = 0.00002 + 0.00002 of the price.
        assert_eq!(price("almgren-chriss:0.01:0.1:14", &of_day(Side::Sell, 10_000)).unwrap(), "999.96");
        // 100 × √0.01 = 10 basis points, whatever part is permanent.
        assert_eq!(price("propagator:100:0.5:0.75:20", &of_day(Side::Sell, 10_000)).unwrap(), "999");
        let unknown = SlippageInput { average: Quantity::ZERO, ..of_day(Side::Buy, 1) };
        let still = SlippageInput { deviation: None, ..of_day(Side::Buy, 1) };
        for model in ["impact-linear:100:400:7", "almgren-chriss:0.01:0.1:14", "propagator:100:0.5:0.75:20"] {
            assert_eq!(price(model, &unknown), None, "{model}");
        }
        assert_eq!(price("almgren-chriss:0.01:0.1:14", &still), None);
    }

    #[test]
    fn what_stands_is_paid_by_those_it_is_against_and_earned_by_nobody() {
        // Two basis points up.
        let standing = |side| SlippageInput { standing: 2 * i128::from(SCALE), ..of_day(side, 10_000) };
        assert_eq!(price("impact-linear:100:400:7", &standing(Side::Buy)).unwrap(), "1000.7");
        assert_eq!(price("impact-linear:100:400:7", &standing(Side::Sell)).unwrap(), "999.7");
        let far = SlippageInput { standing: 90 * i128::from(SCALE), ..of_day(Side::Sell, 10_000) };
        assert_eq!(price("impact-linear:100:400:7", &far).unwrap(), "1000");
    }

    /// BT-39: reading never changes what stands; it fades by the clock of the inputs alone.
    #[test]
    fn transient_impact_fades_and_permanent_impact_stays() {
        let unit = i128::from(SCALE);
        let left = Left { permanent: 10 * unit, transient: 80 * unit };
        let seconds = |count: i64| Nanos(count * SECOND);
        let half = Fade::HalfLife(10 * SECOND);
        let mut footprint = Footprint::default();
        footprint.note(half, seconds(0), Side::Buy, left);
        let at = |footprint: &Footprint, fade, time| footprint.standing(fade, seconds(time));
        assert_eq!((at(&footprint, half, 0), at(&footprint, half, 10)), (90 * unit, 50 * unit));
        assert_eq!(
            (at(&footprint, half, 10), at(&footprint, half, 30)),
            (50 * unit, 20 * unit),
            "read twice, the same"
        );
        // 80 / √2 = 56.5685 after five seconds.
        assert!((at(&footprint, half, 5) - 66_568_542_494 / 10).abs() < unit / 1_000);
        footprint.note(half, seconds(10), Side::Sell, Left { permanent: 4 * unit, transient: 40 * unit });
        assert_eq!((at(&footprint, half, 10), at(&footprint, half, 3_000)), (6 * unit, 6 * unit));
        // (1 + 15)^-0.5 is a quarter, (1 + 255)^-0.5 a sixteenth; after an hour nothing is left.
        let power = Fade::Power(4);
        let mut footprint = Footprint::default();
        footprint.note(power, seconds(0), Side::Sell, left);
        let close = |found: i128, exact: i128| assert!((found - exact).abs() <= 4, "{found} is not {exact}");
        close(at(&footprint, power, 15), -30 * unit);
        close(at(&footprint, power, 255), -15 * unit);
        close(at(&footprint, power, 3_600), -10 * unit);
    }
}
