//! Slippage once more for the naive twin: every formula in one place, in whole numbers, with nothing shared.
//!
//! - The root is found bit by bit, quotients are rounded up by adding almost one more divisor.
//! - It never uses the core's own models, or it would prove nothing.

use daybook_config::SlippageModel;
use daybook_vocabulary::Side;

const UNIT: i128 = 100_000_000;

/// Where a leg (its reference, size and the candle's volume) fills: moved against the trader, on the tick, within the
/// limit. Nothing where the model misses the volume.
pub fn slipped(
    model: SlippageModel,
    side: Side,
    (reference, size, volume): (i128, i128, i128),
    tick: i128,
    limit: Option<i128>,
) -> Option<i128> {
    let whole = 10_000 * UNIT;
    let up = |value: i128, divisor: i128| (value + divisor - 1) / divisor;
    let share = |bps: i128| (volume > 0).then(|| up(bps * size, volume).min(whole));
    let mut half = 0;
    let bps = match model {
        SlippageModel::None => return Some(reference),
        SlippageModel::Bps(bps) => bps.0.into(),
        SlippageModel::HalfSpread(spread) => {
            half = spread.0.into();
            0
        }
        SlippageModel::VolumeShare(bps) => share(bps.0.into())?,
        SlippageModel::VolumeShareSquared(bps) => share(share(bps.0.into())?)?,
        SlippageModel::SqrtImpact(bps) => {
            let under = share(0).map(|_| up(size * UNIT * UNIT, volume))?;
            // The smallest whole number whose square is enough, bit by bit from above.
            let root = (0..62).rev().fold(0, |root, bit| {
                let larger = root + (1i128 << bit);
                if larger * larger < under { larger } else { root }
            }) + 1;
            up(i128::from(bps.0) * root, UNIT).min(whole)
        }
    };
    let impact = up(reference * bps, whole) + half;
    Some(match side {
        Side::Buy => (up(reference + impact, tick) * tick).min(limit.unwrap_or(i128::MAX)),
        Side::Sell => ((reference - impact).max(0) / tick * tick).max(reference.min(tick)).max(limit.unwrap_or(0)),
    })
}
