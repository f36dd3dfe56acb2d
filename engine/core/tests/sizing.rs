//! Sizes through the strategies: caps hold whatever happens, and below one lot there is no order.
//!
//! - In random worlds every entry is worth at most its cap at the price it was decided at, and no fill makes the
//!   position larger than the entry that was decided.

mod worlds;

use daybook_core::strategy::{Parameters, Strategy, find};
use daybook_core::{Body, Conclusion, Core, Input, Outbox, Slice};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{Candle, Cause, InstrumentId, Interval, Money, Nanos, Price, Quantity, TimeInForce, Verdict};
use std::collections::BTreeMap;
use worlds::World;

fn player(name: &str, quantity: &str, instruments: usize) -> Result<Box<dyn Strategy>, String> {
    let short: &[(&str, &str)] = match name {
        "intraday" => &[("mean", "3"), ("rsi", "2"), ("square_off_minutes", "1")],
        "sma-cross" => &[("fast", "2"), ("slow", "5")],
        _ => &[("fast", "5"), ("slow", "20"), ("max_hold_days", "2")],
    };
    let mut given: BTreeMap<String, String> =
        short.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    given.insert("quantity".into(), quantity.into());
    let entry = find(name).unwrap();
    let parameters = Parameters::resolve(name, entry.parameters, &given).map_err(|error| error.to_string())?;
    entry.build(&parameters, instruments).map_err(|error| error.to_string())
}

#[test]
fn caps_hold_in_every_world() {
    let mut met = BTreeMap::new();
    for seed in worlds::seeds(60) {
        let mut world = World::lasting(seed, 6);
        world.cash = Money(world.cash.0.max(1));
        for name in ["intraday", "sma-cross", "swing"] {
            for percent in [1, 10, 100] {
                let cap = Money(world.cash.0 / 100 * percent);
                if cap.0 == 0 || cap > Money::from_units(10_000_000_000) {
                    continue;
                }
                let strategy = player(name, &format!("capital:{cap}"), world.instruments.len()).unwrap();
                entries_stay_below(&world, strategy, cap, &mut met, &format!("DAYBOOK_SEED={seed} {name} {cap}"));
            }
        }
    }
    assert!(met["entry"] > 100 && met["fill"] > 100 || std::env::var("DAYBOOK_SEED").is_ok(), "{met:?}");
}

fn entries_stay_below(
    world: &World,
    strategy: Box<dyn Strategy>,
    cap: Money,
    met: &mut BTreeMap<&'static str, u32>,
    context: &str,
) {
    let mut core = world.core(strategy);
    let mut largest: BTreeMap<(u32, i64), Quantity> = BTreeMap::new();
    for step in &world.steps {
        for output in worlds::step(&mut core, step).unwrap() {
            match output.body {
                Conclusion::Intent(intent) if intent.limit.is_none() && intent.stop.is_none() => {
                    // A flip closes what is held and enters with the rest of the order.
                    let position = core.book(output.stream).position;
                    let entered = intent.quantity - position.closing(intent.side, intent.quantity);
                    assert!(intent.reference.times(entered) <= cap, "{context} {intent:?}");
                    assert_ne!(intent.verdict, Verdict::OffLot, "{context} {intent:?}");
                    if !entered.is_zero() {
                        largest.insert((output.stream.0, intent.side.signed(entered).0.signum()), entered);
                        *met.entry("entry").or_insert(0) += 1;
                    }
                }
                Conclusion::Fill(fill) if !fill.position.is_zero() => {
                    let entered = largest[&(output.stream.0, fill.position.0.signum())];
                    assert!(fill.position.abs() <= entered, "{context} {fill:?}: more than {entered}");
                    *met.entry("fill").or_insert(0) += 1;
                }
                _ => {}
            }
        }
    }
}

/// One instrument whose price rises in steps; whole units.
fn rising(strategy: Box<dyn Strategy>, lot: i64) -> Vec<(Quantity, Price, TimeInForce)> {
    let mut world = World { timeframe: None, costs: "none".into(), ..World::lasting(1, 1) };
    world.instruments.truncate(1);
    world.instruments[0].lot = Quantity::from_units(lot);
    world.instruments[0].tick = Price(1);
    world.cash = Money::from_units(100_000);
    let mut core: Core =
        World { participation_bps: None, decide_from: Nanos::MIN, warmup_bars: 0, ..world }.core(strategy);
    let hours = worlds::session(0);
    let mut out = Outbox::new();
    let cause = Cause { rank: 1, seq: 1 };
    core.step(&Input { cause, time: hours.open, body: Body::SessionOpened(hours) }, &mut out).unwrap();
    for (minute, price) in [100, 100, 100, 100, 100, 110, 120, 130].into_iter().enumerate() {
        let price = Price::from_units(price);
        let open_time = hours.open + minute as i64 * MINUTE;
        let candle = Candle::new(CandleParts {
            open_time,
            interval: Interval::MINUTE,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Quantity::from_units(1_000),
            revises: false,
        });
        let time = open_time + MINUTE;
        core.step(&Input { cause, time, body: Body::Candle(InstrumentId(0), &candle) }, &mut out).unwrap();
        core.step(&Input { cause, time, body: Body::Slice(Slice { interval: Interval::MINUTE }) }, &mut out).unwrap();
    }
    let intent = |body: &Conclusion| match body {
        Conclusion::Intent(intent) => Some((intent.quantity, intent.reference, intent.time_in_force)),
        _ => None,
    };
    out.outputs().iter().filter_map(|output| intent(&output.body)).collect()
}

#[test]
fn a_strategy_enters_with_the_size_it_was_given() {
    let units = Quantity::from_units;
    let entered = |name: &str, quantity: &str, lot: i64| {
        let orders = rising(player(name, quantity, 1).unwrap(), lot);
        assert!(orders.len() <= 1, "{name} {quantity}: entered once, left alone: {orders:?}");
        orders.first().map(|(quantity, reference, _)| (*quantity, *reference))
    };
    let at = Price::from_units(110);
    // 100,000 of equity, 110 the close that decides.
    for (quantity, lot, expected) in [
        ("7", 1, Some(7)),
        ("equity_pct:10", 1, Some(90)),
        ("equity_pct:10", 25, Some(75)),
        ("equity_pct:10", 100, None),
        ("capital:5000", 1, Some(45)),
        ("capital:109.99", 1, None),
    ] {
        let expected = expected.map(|quantity| (units(quantity), at));
        for name in ["sma-cross", "intraday"] {
            assert_eq!(entered(name, quantity, lot), expected, "{name} {quantity} in lots of {lot}");
        }
    }
}

#[test]
fn a_size_that_needs_a_stop_goes_to_a_strategy_that_has_one() {
    assert!(player("swing", "risk_pct:1", 1).is_ok());
    for (name, quantity) in [("sma-cross", "risk_pct:1"), ("intraday", "risk_pct:1"), ("swing", "risk_pct:0")] {
        let message = player(name, quantity, 1).err().unwrap();
        assert!(message.contains(&format!("quantity={quantity}")) && message.contains("equity_pct:N"), "{message}");
        assert_eq!(message.contains("risk_pct:N"), name == "swing", "{message}");
    }
}
