//! Slippage and distances once more for the naive twin: every formula in one place, in whole numbers, with nothing
//! shared.
//!
//! - The root is found bit by bit, quotients are rounded up by adding almost one more divisor.
//! - It never uses the core's own models, or it would prove nothing.

pub mod desk;
pub mod exchange;
pub mod trades;

use daybook_config::SlippageModel;
use daybook_vocabulary::{Candle, OrderType, Price, Side, Trail};

const UNIT: i128 = 100_000_000;

/// Where a leg (its reference, what was taken before it, its size and the candle's volume) fills: moved against the
/// trader, on the tick, within the limit. Nothing where the model misses the volume.
pub fn slipped(
    model: SlippageModel,
    (side, order_type): (Side, OrderType),
    (reference, before, size, volume): (i128, i128, i128, i128),
    tick: i128,
    limit: Option<i128>,
) -> Option<i128> {
    let up = |value: i128, divisor: i128| (value + divisor - 1) / divisor;
    let most = if side == Side::Buy { i128::MAX } else { reference };
    let paid = |size: i128| Some(moved(model, order_type, (reference, size, volume))?.min(most));
    let by_size = matches!(
        model,
        SlippageModel::VolumeShare(_)
            | SlippageModel::VolumeShareSquared(_)
            | SlippageModel::SqrtImpact(_)
            | SlippageModel::SizeRoot(..)
            | SlippageModel::Participation(..)
    );
    let impact = match before {
        earlier if by_size && earlier > 0 => {
            up(paid(earlier + size)? * (earlier + size) - paid(earlier)? * earlier, size)
        }
        _ => paid(size)?,
    };
    if model == SlippageModel::None {
        return Some(reference);
    }
    Some(match side {
        Side::Buy => (up(reference + impact, tick) * tick).min(limit.unwrap_or(i128::MAX)),
        Side::Sell => ((reference - impact).max(0) / tick * tick).max(reference.min(tick)).max(limit.unwrap_or(0)),
    })
}

/// How far a leg moves its price, before tick and limit.
fn moved(model: SlippageModel, order_type: OrderType, (reference, size, volume): (i128, i128, i128)) -> Option<i128> {
    let whole = 10_000 * UNIT;
    let up = |value: i128, divisor: i128| (value + divisor - 1) / divisor;
    let share = |bps: i128| (volume > 0).then(|| up(bps * size, volume).min(whole));
    // The smallest whole number whose square is enough, bit by bit from above.
    let root_up = |square: i128| {
        let below = (0..62).rev().fold(0i128, |root, bit| {
            let larger = root + (1i128 << bit);
            if larger * larger < square { larger } else { root }
        });
        if square == 0 { 0 } else { below + 1 }
    };
    let fine = UNIT * UNIT;
    let mut half = 0;
    let bps = match model {
        SlippageModel::None => return Some(0),
        SlippageModel::Bps(bps) => bps.0.into(),
        SlippageModel::HalfSpread(spread) => {
            half = spread.0.into();
            0
        }
        SlippageModel::VolumeShare(bps) => share(bps.0.into())?,
        SlippageModel::VolumeShareSquared(bps) => share(share(bps.0.into())?)?,
        SlippageModel::SqrtImpact(bps) => {
            let under = share(0).map(|_| up(size * UNIT * UNIT, volume))?;
            up(i128::from(bps.0) * root_up(under), UNIT).min(whole)
        }
        SlippageModel::Percent(bps, least) => {
            half = i128::from(least.0).max(up(reference * i128::from(bps.0), whole));
            0
        }
        SlippageModel::AssetClass(class) => match class.word() {
            "equity" => UNIT,
            "future" => 2 * UNIT,
            "option" => 5 * UNIT,
            "fx" => UNIT / 2,
            _ => 10 * UNIT,
        },
        SlippageModel::OrderType(market, limit, stop) => match order_type {
            OrderType::Limit => limit.0.into(),
            OrderType::Stop | OrderType::StopLimit | OrderType::TrailingStop => stop.0.into(),
            _ => market.0.into(),
        },
        SlippageModel::SizeRoot(bps, full) => {
            let part = up(size * fine, full.0.into()).min(100 * fine);
            up(i128::from(bps.0) * root_up(part * fine), fine).min(whole)
        }
        SlippageModel::Participation(base, linear, root) => {
            let part = share(0).map(|_| up(size * fine, volume).min(fine / 10))?;
            let of = |bps: i64, part: i128| up(i128::from(bps) * part, fine);
            (i128::from(base.0) + of(linear.0, part) + of(root.0, root_up(part * fine))).min(whole)
        }
        // They want what the worlds do not have; they have worlds of their own.
        SlippageModel::AverageLinear(..)
        | SlippageModel::AverageRoot(_)
        | SlippageModel::AveragePower(..)
        | SlippageModel::Spread(_)
        | SlippageModel::ImpactLinear(..)
        | SlippageModel::AlmgrenChriss(..)
        | SlippageModel::Propagator(..)
        | SlippageModel::Momentum(..) => return None,
    };
    Some(up(reference * bps, whole) + half)
}

/// Half away from zero.
pub fn rounded(value: i128, divisor: i128) -> i128 {
    value.signum() * ((value.abs() * 2 + divisor) / (2 * divisor))
}

/// How far behind `best` a trailing stop stays; nothing where that is no distance.
pub fn distance(trail: Trail, best: i128) -> Option<i128> {
    let (one, other, whole): (i128, i128, i128) = match trail {
        Trail::Price(distance) => (distance.0.into(), 1, 1),
        Trail::Percent(share) => (share.0.into(), best, 10_000 * UNIT),
        Trail::Atr(multiple, range) | Trail::R(multiple, range) => (multiple.0.into(), range.0.into(), UNIT),
    };
    let distance: i128 = rounded(one * other, whole);
    (one > 0 && other > 0 && distance > 0 && distance <= i128::from(i64::MAX)).then_some(distance)
}

/// Where the stop of an order of that side stands at its distance from `best`.
pub fn behind(trail: Trail, side: Side, best: i128) -> Option<i128> {
    let away = distance(trail, best)?;
    Some(if side == Side::Sell { best - away } else { best + away }).filter(|stop| (1..=i64::MAX.into()).contains(stop))
}

/// The stop of a trailing order that stood at `begins` before the candles it has seen, each with whether it came into
/// being inside; and the best price of the last one.
pub fn followed(
    trail: Trail,
    side: Side,
    begins: Price,
    seen: impl Iterator<Item = (Candle, bool)>,
    tick: i128,
) -> (Price, Price) {
    let mut stops = vec![i128::from(begins.0)];
    let mut best = begins;
    for (candle, inside) in seen {
        best = match side {
            _ if inside => candle.close(),
            Side::Sell => candle.high(),
            Side::Buy => candle.low(),
        };
        let tick = tick.max(1);
        let stop = behind(trail, side, best.0.into()).map(|stop| (rounded(stop, tick) * tick, stop));
        // At the end of the range there may be no tick to round to.
        stops.extend(
            stop.map(|(on_tick, raw)| if on_tick > i128::from(i64::MAX) { raw } else { on_tick })
                .filter(|stop| *stop > 0),
        );
    }
    let stop = if side == Side::Sell { stops.iter().max() } else { stops.iter().min() };
    (Price(*stop.unwrap() as i64), best)
}
