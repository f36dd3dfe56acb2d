//! The way a candle went: ticks whose bar is the candle.
//!
//! - The documented way: a candle that rose goes open, low, high, close; one that fell goes open, high, low, close. Where
//!   in between the extremes lie, and how the price wavers, follows from the instrument and the time alone.
//! - One tick every five seconds, at least four. The first is the open, at its time; the last is the close, before its end.
//! - The bar of the ticks equals the candle in every price and in volume, down to whole units of it.

use daybook_adapters::kite_server::Dice;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Candle, Nanos, Price};

/// A tick on a candle's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathTick {
    /// When.
    pub time: Nanos,
    /// At which price.
    pub price: Price,
    /// Traded since the tick before.
    pub volume: i64,
}

/// Nanoseconds between two ticks of a candle that is long enough.
const SPACING: i64 = 5_000_000_000;
const TICKS_MIN: i64 = 4;
/// A day of the longest session, so that a damaged interval costs no memory.
const TICKS_MAX: i64 = 17_280;

/// The ticks of a candle that trades in these spans of time, in order; prices between its own are multiples of `step`.
pub fn ticks_of(candle: &Candle, spans: &[(Nanos, Nanos)], step: Price, token: u32, out: &mut Vec<PathTick>) {
    let length: i64 = spans.iter().map(|(from, until)| (*until - *from).max(0)).sum();
    let count = (length / SPACING).clamp(TICKS_MIN, TICKS_MAX);
    let mut dice = Dice::new(token.into(), candle.open_time());
    let stations = stations(candle, count, &mut dice);
    let volumes = volumes(candle.volume().0 / SCALE, count, &mut dice);
    let mut leg = 0;
    for (index, volume) in (0..count).zip(volumes) {
        while leg + 2 < stations.len() && index > stations[leg + 1].0 {
            leg += 1;
        }
        let (from, to) = (stations[leg], stations[leg + 1]);
        let price = match stations.iter().find(|(at, _)| *at == index) {
            Some((_, price)) => *price,
            None => between(candle, from, to, index, step, &mut dice),
        };
        out.push(PathTick { time: time_at(spans, length / count * index), price, volume });
    }
}

/// Open, the two extremes in their order, close: at which tick, at which price.
fn stations(candle: &Candle, count: i64, dice: &mut Dice) -> [(i64, Price); 4] {
    let rose = candle.close() >= candle.open();
    let (first, second) = if rose { (candle.low(), candle.high()) } else { (candle.high(), candle.low()) };
    let half = count / 2;
    let early = 1 + dice.below((half - 1).cast_unsigned()).cast_signed();
    let late = half + dice.below((count - 1 - half).cast_unsigned()).cast_signed();
    assert!(0 < early && early < late && late < count - 1, "four stations are four ticks");
    [(0, candle.open()), (early, first), (late, second), (count - 1, candle.close())]
}

/// On the way from one station to the next, with some wavering, never beyond the extremes.
fn between(candle: &Candle, from: (i64, Price), to: (i64, Price), index: i64, step: Price, dice: &mut Dice) -> Price {
    let (done, whole) = (i128::from(index - from.0), i128::from((to.0 - from.0).max(1)));
    let way = i128::from(to.1.0 - from.1.0) * done / whole;
    let waver = (dice.below(5).cast_signed() - 2).saturating_mul(step.0.max(0));
    let price = i64::try_from(i128::from(from.1.0) + way).unwrap_or(from.1.0).saturating_add(waver);
    Price(price).round_to(step).clamp(candle.low(), candle.high())
}

/// A volume in uneven parts.
fn volumes(total: i64, count: i64, dice: &mut Dice) -> Vec<i64> {
    let weights: Vec<i64> = (0..count).map(|_| 1 + dice.below(7).cast_signed()).collect();
    let whole = i128::from(weights.iter().sum::<i64>());
    let (mut passed, mut given) = (0_i128, 0_i64);
    let part = |weight: i64| {
        passed += i128::from(weight);
        let until = i64::try_from(i128::from(total) * passed / whole).unwrap_or(total);
        let part = until - given;
        given = until;
        part
    };
    weights.into_iter().map(part).collect()
}

/// A moment by the trading time that has passed.
fn time_at(spans: &[(Nanos, Nanos)], mut passed: i64) -> Nanos {
    for (from, until) in spans {
        let length = (*until - *from).max(0);
        if passed < length {
            return *from + passed;
        }
        passed -= length;
    }
    spans.last().map_or(Nanos(passed), |(_, until)| *until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::candle::CandleParts;
    use daybook_vocabulary::{Interval, Quantity};
    use proptest::prelude::*;

    fn candle(prices: [i64; 4], volume: i64, interval: Interval) -> Candle {
        let [open, high, low, close] = prices.map(Price);
        let volume = Quantity::from_units(volume);
        Candle::new(CandleParts { open_time: Nanos(0), interval, open, high, low, close, volume, revises: false })
    }

    proptest! {
        #[test]
        fn the_bar_of_the_ticks_is_the_candle(
            mut prices in [1_i64..1 << 50, 1_i64..1 << 50, 1_i64..1 << 50, 1_i64..1 << 50],
            volume in 0_i64..1 << 30,
            seconds in 1_u32..90_000,
            step in 0_i64..1 << 30,
            token in any::<u32>(),
        ) {
            prices.sort_unstable();
            let [low, one, other, high] = prices;
            for (open, close) in [(one, other), (other, one)] {
                let interval = Interval(seconds);
                let candle = candle([open, high, low, close], volume, interval);
                let end = Nanos(interval.nanos());
                let mut ticks = Vec::new();
                ticks_of(&candle, &[(Nanos(0), end)], Price(step), token, &mut ticks);
                prop_assert!(ticks.len() >= 4);
                prop_assert!(ticks.is_sorted_by(|one, next| one.time < next.time));
                prop_assert_eq!(ticks[0].time, Nanos(0));
                prop_assert!(ticks.iter().all(|tick| tick.time < end && tick.volume >= 0));
                prop_assert_eq!(ticks[0].price, candle.open());
                prop_assert_eq!(ticks.last().unwrap().price, candle.close());
                prop_assert_eq!(ticks.iter().map(|tick| tick.price).max().unwrap(), candle.high());
                prop_assert_eq!(ticks.iter().map(|tick| tick.price).min().unwrap(), candle.low());
                prop_assert_eq!(ticks.iter().map(|tick| tick.volume).sum::<i64>(), volume);
            }
        }
    }

    #[test]
    fn a_rising_candle_is_low_before_it_is_high() {
        let candle = candle([100, 110, 90, 105], 50, Interval::minutes(5));
        let mut ticks = Vec::new();
        ticks_of(&candle, &[(Nanos(0), Nanos(candle.interval().nanos()))], Price(1), 7, &mut ticks);
        assert_eq!(ticks.len(), 60);
        let at = |price: i64| ticks.iter().position(|tick| tick.price == Price(price)).unwrap();
        assert!(at(90) < at(110));
        let mut again = Vec::new();
        ticks_of(&candle, &[(Nanos(0), Nanos(candle.interval().nanos()))], Price(1), 7, &mut again);
        assert_eq!(ticks, again, "the same candle goes the same way");
    }

    #[test]
    fn a_day_pauses_where_its_session_does() {
        let minute = 60_000_000_000;
        let spans = [(Nanos(0), Nanos(minute)), (Nanos(5 * minute), Nanos(6 * minute))];
        let mut ticks = Vec::new();
        ticks_of(&candle([100, 110, 90, 105], 50, Interval::DAY), &spans, Price(1), 7, &mut ticks);
        let inside = |tick: &PathTick| spans.iter().any(|(from, until)| *from <= tick.time && tick.time < *until);
        assert!(ticks.iter().all(inside) && ticks.len() == 24);
    }
}
