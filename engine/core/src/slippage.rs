//! Slippage: how far from its reference price a leg fills, always against the trader.
//!
//! - A model sees one leg: its side, its reference price, its quantity, the volume of the candle it fills in. Reading a
//!   model never changes it, and the same leg always slips the same.
//! - Everything is an integer and rounded against the trader: the impact up to 1e-8, then the price to the tick.
//! - Slices pay what the whole would: where a price depends on the size of a leg, what earlier legs of the account took of
//!   the same candle in the same direction counts, and a leg pays what it adds.
//! - A limit is kept: beyond it the order does not trade, so the price stops there.
//! - The candle's range is no bound. An impact is what the order itself moves, beyond what was printed; a bound would
//!   take the slippage out of every flat candle without a word.
//! - A model whose input is missing answers nothing; the exchange then fills nothing, or stops. Never zero instead.
//!
//! The volume is that of the whole candle, as in other engines: it prices a fill, no decision ever sees it early.

mod average;
mod fixed;
mod impact;
mod momentum;
mod percent;
mod quoted;
mod size;
mod spread;
mod square_root;
mod tables;
mod volume_share;

pub use impact::{Fade, Footprint, Left};

use daybook_config::SlippageModel;
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{BasisPoints, OrderType, Price, Quantity, Side};

/// The whole of a price, in units of 1e-8 of a basis point; no impact is larger.
const WHOLE: i128 = 10_000 * SCALE as i128;

/// One leg, before it slips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlippageInput {
    /// Which way.
    pub side: Side,
    /// Where the market trades, positive: the open, the stop, or the limit.
    pub reference: Price,
    /// How much fills, positive.
    pub quantity: Quantity,
    /// Volume of the candle it fills in; zero when there was none, or nobody said.
    pub volume: Quantity,
    /// How its order is priced.
    pub order_type: OrderType,
    /// The instrument's average daily volume; zero when it is not known.
    pub average: Quantity,
    /// Half the spread of the quote it fills against, where there is one.
    pub half_spread: Option<Price>,
    /// Deviation of the instrument's daily returns, in units of 1e-16; nothing when it is not known.
    pub deviation: Option<i64>,
    /// The instrument's return over the last whole sessions, in units of 1e-16; nothing when it is not known.
    pub momentum: Option<i64>,
    /// What stands of the impact of earlier fills, in units of 1e-8 of a basis point; positive where the price is up.
    pub standing: i128,
}

/// What a model cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Nothing but the leg itself.
    Nothing,
    /// The volume of the candle.
    Volume,
    /// The average daily volume.
    Average,
    /// The average daily volume, and the deviation of daily returns.
    Volatility,
    /// The average daily volume, and the return over the sessions it is the mean of.
    Momentum,
    /// A quote.
    Quote,
}

/// Where a leg fills by a model, before tick and limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlippedPrice {
    /// The price, at 1e-8.
    pub price: Price,
}

/// A model of slippage. A new one is its file, a line in [`model`] and a name in the settings.
pub trait Slippage: Send {
    /// Its name in fills and reports.
    fn name(&self) -> &'static str;

    /// What it cannot do without.
    fn wants(&self) -> Want {
        Want::Nothing
    }

    /// Where the leg fills; nothing when what the model wants is missing.
    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice>;

    /// Whether a larger leg pays a worse price, and nothing but the legs themselves tells of those before it.
    fn by_size(&self) -> bool {
        let by_share = matches!(self.wants(), Want::Volume | Want::Average | Want::Volatility | Want::Momentum);
        by_share && self.fade().is_none()
    }

    /// How what a fill leaves behind fades; nothing for a model that leaves nothing.
    fn fade(&self) -> Option<Fade> {
        None
    }

    /// What a fill of the leg leaves behind.
    fn leaves(&self, _: &SlippageInput) -> Option<Left> {
        None
    }
}

/// The model of a setting; nothing for no slippage, so that the plain path asks nobody.
pub fn model(choice: SlippageModel) -> Option<Box<dyn Slippage>> {
    Some(match choice {
        SlippageModel::None => return None,
        SlippageModel::Bps(bps) => Box::new(fixed::Fixed(bps)),
        SlippageModel::HalfSpread(half) => Box::new(spread::HalfSpread(half)),
        SlippageModel::VolumeShare(bps) => Box::new(volume_share::VolumeShare(bps)),
        SlippageModel::VolumeShareSquared(bps) => Box::new(volume_share::VolumeShareSquared(bps)),
        SlippageModel::SqrtImpact(bps) => Box::new(square_root::SquareRoot(bps)),
        SlippageModel::Percent(bps, least) => Box::new(percent::Percent(bps, least)),
        SlippageModel::AssetClass(class) => Box::new(tables::ByClass(class)),
        SlippageModel::OrderType(market, limit, stop) => Box::new(tables::ByOrder(market, limit, stop)),
        SlippageModel::SizeRoot(bps, whole) => Box::new(size::SizeRoot(bps, whole)),
        SlippageModel::Participation(base, linear, root) => Box::new(size::Participation(base, linear, root)),
        SlippageModel::AverageLinear(base, slope) => Box::new(average::Linear(base, slope)),
        SlippageModel::AverageRoot(bps) => Box::new(average::Power(bps, 4)),
        SlippageModel::AveragePower(bps, eighths) => Box::new(average::Power(bps, eighths)),
        SlippageModel::Spread(part) => Box::new(quoted::Spread(part)),
        SlippageModel::ImpactLinear(stays, fades, half) => Box::new(impact::Linear(stays, fades, half_life(half))),
        SlippageModel::AlmgrenChriss(stays, fades, half) => {
            Box::new(impact::AlmgrenChriss(stays, fades, half_life(half)))
        }
        SlippageModel::Propagator(bps, power, memory, stays) => {
            Box::new(impact::Propagator(bps, power, Fade::Power(memory), stays))
        }
        SlippageModel::Momentum(bps, times) => Box::new(momentum::Momentum(bps, times)),
    })
}

fn half_life(seconds: u32) -> Fade {
    Fade::HalfLife(i64::from(seconds) * SECOND)
}

/// The price at which a leg fills: the model's, on the tick, within the limit. `before` is what the account took of the
/// candle in the same direction.
pub(crate) fn slip(
    model: &dyn Slippage,
    leg: &SlippageInput,
    before: Quantity,
    tick: Price,
    limit: Option<Price>,
) -> Option<Price> {
    let raw = if before.0 > 0 { added(model, leg, before)? } else { model.price(leg)?.price };
    let on_tick = round_against(leg.side, raw, tick);
    let price = match leg.side {
        Side::Buy => on_tick.min(limit.unwrap_or(on_tick)),
        // A sale gets at least a tick, or the reference where that is less: prices are positive.
        Side::Sell => on_tick.max(leg.reference.min(Price(tick.0.max(1)))).max(limit.unwrap_or(on_tick)),
    };
    let helps = if leg.side == Side::Buy { price < leg.reference } else { price > leg.reference };
    assert!(!helps && price.0 > 0, "slippage '{}' works against the trader: {leg:?} at {price}", model.name());
    Some(price)
}

/// What a leg pays that comes after others: what all of them would have paid as one leg here, less what the others would,
/// rounded up. Slices never cost less than their sum; what rounding takes is against the trader.
fn added(model: &dyn Slippage, leg: &SlippageInput, before: Quantity) -> Option<Price> {
    let paid = |quantity: Quantity| {
        let price = model.price(&SlippageInput { quantity, ..*leg })?.price;
        Some(i128::from((price.0 - leg.reference.0).unsigned_abs()) * i128::from(quantity.0))
    };
    let all = Quantity(before.0.saturating_add(leg.quantity.0));
    let own = (paid(all)? - paid(before)?).max(0);
    Some(moved(leg, divided_up(own, leg.quantity.0.max(1).into())).price)
}

/// The difference of fill and reference in basis points of the reference, against the trader; half away from zero.
pub(crate) fn in_basis_points(side: Side, reference: Price, price: Price) -> BasisPoints {
    let against = match side {
        Side::Buy => i128::from(price.0) - i128::from(reference.0),
        Side::Sell => i128::from(reference.0) - i128::from(price.0),
    };
    let bps = divide_rounded(against * WHOLE, i128::from(reference.0).max(1));
    BasisPoints(i64::try_from(bps).unwrap_or(i64::MAX))
}

/// The reference moved against the trader by so many units of 1e-8 of a basis point, rounded up to 1e-8.
fn moved_by(leg: &SlippageInput, bps: i128) -> SlippedPrice {
    moved(leg, divided_up(i128::from(leg.reference.0) * bps.min(WHOLE), WHOLE))
}

/// The reference moved against the trader by a price difference; the ends of the range hold.
fn moved(leg: &SlippageInput, impact: i128) -> SlippedPrice {
    let impact = i64::try_from(impact).unwrap_or(i64::MAX);
    let price = match leg.side {
        Side::Buy => leg.reference.0.saturating_add(impact),
        Side::Sell => leg.reference.0.saturating_sub(impact).max(0),
    };
    SlippedPrice { price: Price(price) }
}

/// The multiple of the tick that is not better for the trader; the price itself where there is no tick.
pub(crate) fn round_against(side: Side, price: Price, tick: Price) -> Price {
    if tick.0 <= 0 {
        return price;
    }
    let below = price.0 - price.0 % tick.0;
    match side {
        Side::Sell => Price(below),
        Side::Buy if below == price.0 => price,
        // At the end of the range there is no multiple above.
        Side::Buy => Price(below.checked_add(tick.0).unwrap_or(price.0)),
    }
}

/// `value / divisor`, rounded up; neither is negative.
const fn divided_up(value: i128, divisor: i128) -> i128 {
    value / divisor + (value % divisor != 0) as i128
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn leg(side: Side, reference: &str, quantity: i64, volume: i64) -> SlippageInput {
        let (quantity, volume) = (Quantity::from_units(quantity), Quantity::from_units(volume));
        let reference = reference.parse().unwrap();
        SlippageInput {
            side,
            reference,
            quantity,
            volume,
            order_type: OrderType::Market,
            average: Quantity::ZERO,
            half_spread: None,
            deviation: None,
            momentum: None,
            standing: 0,
        }
    }

    pub(super) fn price(choice: &str, leg: &SlippageInput) -> Option<String> {
        let model = model(SlippageModel::parse(choice).unwrap()).unwrap();
        model.price(leg).map(|slipped| slipped.price.to_string())
    }

    fn any_model() -> impl Strategy<Value = SlippageModel> {
        let bps = || prop_oneof![1..=10_000 * SCALE, 1i64..1_000, Just(10_000 * SCALE)].prop_map(BasisPoints);
        prop_oneof![
            bps().prop_map(SlippageModel::Bps),
            prop_oneof![1i64..1_000, 1..=i64::MAX].prop_map(|half| SlippageModel::HalfSpread(Price(half))),
            bps().prop_map(SlippageModel::VolumeShare),
            bps().prop_map(SlippageModel::VolumeShareSquared),
            bps().prop_map(SlippageModel::SqrtImpact),
            bps().prop_map(|bps| SlippageModel::Percent(bps, Price(7))),
            bps().prop_map(|bps| SlippageModel::SizeRoot(bps, Quantity(1_000))),
            bps().prop_map(|bps| SlippageModel::Participation(BasisPoints(1), bps, bps)),
            bps().prop_map(|bps| SlippageModel::AverageLinear(BasisPoints(1), bps)),
            (bps(), 1u8..=16).prop_map(|(bps, eighths)| SlippageModel::AveragePower(bps, eighths)),
            (1..=SCALE).prop_map(|part| SlippageModel::Spread(daybook_vocabulary::Ratio(part))),
            (bps(), bps()).prop_map(|(stays, fades)| SlippageModel::ImpactLinear(stays, fades, 7)),
            (1..=SCALE).prop_map(|part| {
                let part = daybook_vocabulary::Ratio(part);
                SlippageModel::AlmgrenChriss(part, part, 14)
            }),
            (bps(), 0..=100 * SCALE)
                .prop_map(|(bps, times)| SlippageModel::Momentum(bps, daybook_vocabulary::Ratio(times))),
            (bps(), 1u8..=16, 1u8..=8)
                .prop_map(|(bps, power, memory)| { SlippageModel::Propagator(bps, power, memory, 20) }),
            Just(SlippageModel::AssetClass(daybook_config::AssetClass::Option)),
        ]
    }

    fn any_size() -> impl Strategy<Value = i64> {
        prop_oneof![1i64..1_000, 1..=1_000_000 * SCALE, i64::MAX / 4..=i64::MAX, Just(i64::MAX)]
    }

    proptest! {
        /// Whatever the numbers: against the trader, on the tick, within the limit, and the figure in the report is
        /// the difference of the two prices.
        #[test]
        fn slippage_is_against_the_trader(
            choice in any_model(), buy in any::<bool>(), reference in any_size(), quantity in any_size(),
            volume in any_size(), tick in prop_oneof![Just(0i64), Just(1), 1i64..100_000_000], room in 0i64..1_000_000,
            limited in any::<bool>(), before in prop_oneof![Just(0), any_size()],
        ) {
            let (side, reference) = (if buy { Side::Buy } else { Side::Sell }, Price(reference));
            let limit = if buy { reference.0.saturating_add(room) } else { (reference.0 - room).max(1) };
            let limit = limited.then_some(Price(limit));
            let leg = SlippageInput {
                side,
                reference,
                quantity: Quantity(quantity),
                volume: Quantity(volume),
                order_type: OrderType::Market,
                average: Quantity(volume),
                half_spread: Some(Price(volume)),
                deviation: Some(room),
                momentum: Some(room * 1_000_000),
                standing: i128::from(room) - 500_000,
            };
            let model = model(choice).unwrap();
            let before = Quantity(before);
            let price = slip(&*model, &leg, before, Price(tick), limit).unwrap();
            prop_assert_eq!(slip(&*model, &leg, before, Price(tick), limit), Some(price), "reading changes nothing");
            let against = if buy { price.0 - reference.0 } else { reference.0 - price.0 };
            prop_assert!(against >= 0 && price.0 > 0);
            if limit.is_none() && tick > 1 && price.0 % tick != 0 {
                let end = buy && price.0 > i64::MAX - tick || !buy && price.0 <= tick;
                prop_assert!(end, "{} is off the tick and not at an end of the range", price.0);
            }
            if let Some(limit) = limit {
                let kept = if buy { price <= limit } else { price >= limit };
                prop_assert!(kept);
            }
            let bps = in_basis_points(side, reference, price).0;
            if bps < i64::MAX {
                // Half a unit of 1e-8 bp either way is all that rounding leaves.
                let error = i128::from(bps) * i128::from(reference.0) - i128::from(against) * WHOLE;
                prop_assert!(error.abs() * 2 <= i128::from(reference.0));
            }
        }

        /// BT-12, BT-16, BT-18: an order that is cut into slices never costs less than it would whole, at any tick's grain.
        #[test]
        fn slices_never_cost_less_than_the_whole(
            choice in any_model(), buy in any::<bool>(), slices in proptest::collection::vec(1i64..1_000 * SCALE, 1..40),
            volume in 1i64..1_000_000 * SCALE, reference in 1i64..100_000 * SCALE,
        ) {
            let model = model(choice).unwrap();
            if !model.by_size() {
                return Ok(());
            }
            let side = if buy { Side::Buy } else { Side::Sell };
            let at = |quantity: i64, before: i64| {
                let leg = SlippageInput {
                    reference: Price(reference),
                    quantity: Quantity(quantity),
                    volume: Quantity(volume),
                    average: Quantity(volume),
                    deviation: Some(200_000_000_000_000),
                    momentum: Some(70_000_000_000_000),
                    ..leg(side, "1", 1, 1)
                };
                let price = slip(&*model, &leg, Quantity(before), Price(0), None).unwrap();
                i128::from((price.0 - reference).abs()) * i128::from(quantity)
            };
            let (mut before, mut paid) = (0, 0);
            for slice in &slices {
                paid += at(*slice, before);
                before += slice;
            }
            // No sale pays more than its price: what pushes it most of the way there is not told apart.
            let whole = at(before, 0);
            prop_assert!(paid >= whole || (!buy && whole * 4 > i128::from(reference) * i128::from(before)), "{paid} of {whole}");
        }

        /// More never slips less, and more volume never slips more.
        #[test]
        fn slippage_is_monotone(
            choice in any_model(), quantity in any_size(), more in any_size(), volume in any_size(), price in any_size(),
        ) {
            let model = model(choice).unwrap();
            let at = |quantity: i64, volume: i64| {
                let (quantity, volume) = (Quantity(quantity), Quantity(volume));
                let (order_type, half_spread) = (OrderType::Stop, Some(Price(9)));
                let (side, reference, average) = (Side::Buy, Price(price), volume);
                let (deviation, standing) = (Some(200_000_000_000_000), 0);
                let leg = SlippageInput {
                    side,
                    reference,
                    quantity,
                    volume,
                    order_type,
                    average,
                    half_spread,
                    deviation,
                    momentum: Some(70_000_000_000_000),
                    standing,
                };
                model.price(&leg).unwrap().price
            };
            let larger = quantity.saturating_add(more);
            prop_assert!(at(larger, volume) >= at(quantity, volume));
            prop_assert!(at(quantity, volume.saturating_add(more)) <= at(quantity, volume));
        }
    }

    #[test]
    fn prices_round_against_the_trader() {
        let tick = "0.05".parse().unwrap();
        let slip = |side, limit: Option<&str>| {
            let model = model(SlippageModel::parse("bps:1").unwrap()).unwrap();
            let limit = limit.map(|limit| limit.parse().unwrap());
            slip(&*model, &leg(side, "100", 1, 0), Quantity::ZERO, tick, limit).unwrap().to_string()
        };
        // One basis point of 100 is 0.01: the next tick.
        assert_eq!((slip(Side::Buy, None), slip(Side::Sell, None)), ("100.05".into(), "99.95".into()));
        assert_eq!((slip(Side::Buy, Some("100")), slip(Side::Sell, Some("100"))), ("100".into(), "100".into()));
        let figure =
            |side, price: &str| in_basis_points(side, Price::from_units(100), price.parse().unwrap()).to_string();
        assert_eq!((figure(Side::Buy, "100.05"), figure(Side::Sell, "99.95")), ("5".into(), "5".into()));
    }

    #[test]
    fn a_sale_always_gets_something() {
        let model = model(SlippageModel::parse("bps:10000").unwrap()).unwrap();
        let at = |reference: i64, tick: i64| {
            let one = Quantity(1);
            let leg =
                SlippageInput { reference: Price(reference), quantity: one, volume: one, ..leg(Side::Sell, "1", 1, 1) };
            slip(&*model, &leg, Quantity::ZERO, Price(tick), None).unwrap().0
        };
        assert_eq!((at(1_000, 7), at(3, 7), at(1_000, 0), at(1, 0)), (7, 3, 1, 1));
    }
}
