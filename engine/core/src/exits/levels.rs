//! Where a stop lies, and how it is tightened.
//!
//! - BT-20: `entry ∓ multiple × ATR` · BT-21: `(entry + MFE) × (1 - trail)`, `trail = max(floor, initial - bars × rate)` ·
//!   RL-26: `entry + MFE - r × initial risk`; a short mirrors each.
//! - A level is rounded to the tick away from the entry, so that a stop is never nearer than was asked.
//! - A [`Stop`] is only ever tightened; what would loosen it changes nothing.

use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{Price, Ratio, Side};
use serde::{Deserialize, Serialize};

/// A percentage, in units of 1e-8 of a percent.
pub type Percent = Ratio;

/// A stop that protects what a side has entered: only ever tightened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Side of the entry.
    pub side: Side,
    /// Where it lies.
    pub price: Price,
}

impl Stop {
    /// Moves it to a tighter price; says where it was when it moved.
    ///
    /// ```
    /// use daybook_core::exits::Stop;
    /// use daybook_vocabulary::{Price, Side};
    /// let mut stop = Stop { side: Side::Sell, price: Price(105) };
    /// assert_eq!(stop.tighten(Price(103)), Some(Price(105)), "a short's stop comes down");
    /// assert_eq!(stop.tighten(Price(104)), None, "and never goes up again");
    /// ```
    pub fn tighten(&mut self, to: Price) -> Option<Price> {
        let tighter = tightest(self.side, self.price, to);
        (tighter != self.price).then(|| std::mem::replace(&mut self.price, tighter))
    }

    /// True when a price has reached it.
    pub fn is_reached(&self, price: Price) -> bool {
        if self.side == Side::Buy { price <= self.price } else { price >= self.price }
    }

    /// True when a price lies beyond it.
    pub fn is_broken(&self, price: Price) -> bool {
        if self.side == Side::Buy { price < self.price } else { price > self.price }
    }
}

/// The tighter of two stops of one entry: the one nearer to the price on the losing side.
pub fn tightest(side: Side, one: Price, other: Price) -> Price {
    if side == Side::Buy { one.max(other) } else { one.min(other) }
}

/// A stop rounded to the tick away from the entry: down for a long, up for a short. At least one tick (or 1e-8) away.
pub fn away_from_entry(side: Side, entry: Price, stop: Price, tick: Price) -> Price {
    let step = tick.0.max(1);
    let below = |price: i64| price.saturating_sub(price.rem_euclid(step));
    match side {
        Side::Buy => Price(below(stop.0.min(entry.0.saturating_sub(step)))),
        Side::Sell => {
            let least = stop.0.max(entry.0.saturating_add(step));
            let floor = below(least);
            Price(if floor == least { least } else { floor.checked_add(step).unwrap_or(least) })
        }
    }
}

/// The first stop of an entry, so many average true ranges away; nothing where no range is known or the stop would be
/// no price: such an entry must not happen.
pub fn initial_stop(side: Side, entry: Price, range: Option<Price>, multiple: Ratio, tick: Price) -> Option<Price> {
    let distance = times(range.filter(|range| range.0 > 0)?, multiple);
    let stop = if side == Side::Buy { entry.0.checked_sub(distance)? } else { entry.0.checked_add(distance)? };
    Some(away_from_entry(side, entry, Price(stop), tick)).filter(|stop| stop.0 > 0)
}

/// The trailing stop in R: `entry + MFE - r × (entry - stop)` for a long, mirrored for a short. `best` is the highest
/// high since the entry, the lowest low of a short.
pub fn trail_in_r(side: Side, entry: Price, stop: Price, best: Price, r: Ratio) -> Option<Price> {
    let risk = if side == Side::Buy { entry.0.checked_sub(stop.0)? } else { stop.0.checked_sub(entry.0)? };
    if risk <= 0 {
        return None;
    }
    let back = times(Price(risk), r);
    let level = if side == Side::Buy {
        best.0.max(entry.0).checked_sub(back)?
    } else {
        best.0.min(entry.0).checked_add(back)?
    };
    (level > 0).then_some(Price(level))
}

/// A level so many percent on the losing side of a price; `gain` puts it on the winning side.
pub(crate) fn percent_from(side: Side, from: Price, percent: Percent, gain: bool) -> Option<Price> {
    let away = divide_rounded(i128::from(from.0) * i128::from(percent.0), i128::from(100 * SCALE));
    let up = (side == Side::Buy) == gain;
    let level = if up { i128::from(from.0) + away } else { i128::from(from.0) - away };
    i64::try_from(level).ok().filter(|level| *level > 0).map(Price)
}

/// A price difference times a multiple, rounded up: a distance is never understated.
pub(super) fn times(distance: Price, multiple: Ratio) -> i64 {
    let product = i128::from(distance.0) * i128::from(multiple.0);
    let scale = i128::from(SCALE);
    let up = product / scale + i128::from(product % scale > 0);
    i64::try_from(up).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn ratio(text: &str) -> Ratio {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_stop_lies_whole_ticks_away() {
        let stop = |side, range: Option<&str>, multiple: &str, tick: &str| {
            let stop = initial_stop(side, price("100"), range.map(price), ratio(multiple), price(tick));
            stop.map_or("none".to_owned(), |stop| stop.to_string())
        };
        assert_eq!(stop(Side::Buy, Some("1.51"), "2", "0.05"), "96.95", "96.98, rounded down");
        assert_eq!(stop(Side::Sell, Some("1.51"), "2", "0.05"), "103.05", "103.02, rounded up");
        assert_eq!(stop(Side::Buy, Some("0.001"), "2", "0.05"), "99.95", "at least one tick");
        assert_eq!(stop(Side::Sell, Some("0.001"), "2", "0.05"), "100.05");
        assert_eq!(stop(Side::Buy, Some("50"), "2", "0.05"), "none", "no price is no stop");
        assert_eq!(stop(Side::Buy, None, "2", "0.05"), "none", "BT-20: without a range there is no entry");
        assert_eq!(stop(Side::Buy, Some("1.5"), "2", "0"), "97");
    }

    /// RL-26: R to price, for a long and its mirror.
    #[test]
    fn trailing_in_r_by_hand() {
        // In at 100, stop at 96: R is 4. Best 106: MFE 6.
        for (best, r, long, short) in [
            ("106", "1", "102", "98"),
            ("106", "0.5", "104", "96"),
            ("100", "1", "96", "104"),
            ("99", "1", "96", "104"),
            ("112", "2", "104", "96"),
        ] {
            let trail = |side, stop, best| trail_in_r(side, price("100"), price(stop), best, ratio(r)).unwrap();
            assert_eq!(trail(Side::Buy, "96", price(best)), price(long), "long, best {best}, {r} R");
            let mirrored = Price(price("200").0 - price(best).0);
            assert_eq!(trail(Side::Sell, "104", mirrored), price(short), "short, best {mirrored}, {r} R");
        }
        assert_eq!(trail_in_r(Side::Buy, price("100"), price("100"), price("106"), ratio("1")), None, "no risk, no R");
    }

    proptest! {
        /// However candidates come, a stop never moves away from the price; long and short are mirror images.
        #[test]
        fn a_stop_is_only_ever_tightened(first in 1i64..1_000_000, moves in prop::collection::vec(1i64..1_000_000, 0..40)) {
            let mut long = Stop { side: Side::Buy, price: Price(first) };
            let mut short = Stop { side: Side::Sell, price: Price(2_000_000 - first) };
            for to in moves {
                let before = (long.price, short.price);
                let moved = (long.tighten(Price(to)), short.tighten(Price(2_000_000 - to)));
                prop_assert!(long.price >= before.0 && short.price <= before.1);
                prop_assert_eq!(long.price.0, 2_000_000 - short.price.0);
                prop_assert_eq!(moved.0.is_some(), long.price != before.0);
                prop_assert_eq!(moved.1.is_some(), short.price != before.1);
                prop_assert!(tightest(Side::Buy, long.price, Price(to)) == long.price);
            }
        }

        /// A stop in R follows better prices and no others.
        #[test]
        fn the_trail_is_monotone(
            entry in 1_000i64..1_000_000, risk in 1i64..999, r in 1i64..5 * SCALE, bests in prop::collection::vec(1i64..2_000_000, 1..30),
        ) {
            let (mut best, mut last) = (entry, None);
            for price in bests {
                best = best.max(price);
                let level = trail_in_r(Side::Buy, Price(entry), Price(entry - risk), Price(best), Ratio(r));
                prop_assert!(level >= last, "{level:?} after {last:?}");
                last = level;
            }
        }

        #[test]
        fn rounding_goes_away_from_the_entry(entry in 1_000i64..1_000_000, stop in 1i64..2_000_000, tick in 0i64..100) {
            for side in [Side::Buy, Side::Sell] {
                let rounded = away_from_entry(side, Price(entry), Price(stop), Price(tick));
                prop_assert_eq!(rounded.0.rem_euclid(tick.max(1)), 0);
                if side == Side::Buy {
                    prop_assert!(rounded.0 <= stop && rounded.0 <= entry - tick.max(1));
                } else {
                    prop_assert!(rounded.0 >= stop && rounded.0 >= entry + tick.max(1));
                }
            }
        }
    }
}
