//! Brackets through the whole core, by hand: exits that work from the fill on, sized by it, one against the other.
//!
//! - The naive twin has them too; here every reading of a candle has its line.

mod worlds;

use daybook_config::SlippageModel;
use daybook_core::{Bracket, Conclusion, Level, OrderRequest, Request};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{
    Candle, Cause, Instrument, InstrumentId, Interval, Label, Money, Nanos, OrderState, OrderType, Price, Quantity,
    Side, Verdict,
};
use worlds::{Step, World};

/// (open, high, low, close) and volume, in whole units.
type Bar = (i64, i64, i64, i64, i64);

/// An entry, the candles after the one that decided it, and the way out as (candle, price, reason).
type Reading<'a> = (OrderRequest, &'a [Bar], Option<(u64, i64, &'a str)>);

const QUIET: Bar = (1_000, 1_000, 1_000, 1_000, 100);

#[derive(Debug, Default)]
struct Played {
    /// Candle, side, quantity, price, reason.
    fills: Vec<(u64, Side, i64, i64, String)>,
    /// Exits at the end: type, quantity, level.
    working: Vec<(OrderType, i64, i64)>,
    held: i64,
    cancelled: u32,
    refused: u32,
}

fn whole(quantity: Quantity) -> i64 {
    quantity.0 / Quantity::from_units(1).0
}

fn play(bars: &[Bar], script: Vec<Vec<Request>>, cap: Option<u32>, slippage: &str) -> Played {
    let hours = worlds::session(0);
    let world = World {
        instruments: vec![Instrument {
            market: "nse".into(),
            symbol: "X".into(),
            tick: "0.05".parse().unwrap(),
            lot: Quantity::from_units(1),
        }],
        timeframe: None,
        cash: Money::from_units(1_000_000),
        costs: "none".into(),
        participation_bps: cap,
        slippage: SlippageModel::parse(slippage).unwrap(),
        rules: Default::default(),
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        steps: Vec::new(),
        script,
    };
    let mut core = world.core(world.scripted());
    let mut played = Played::default();
    worlds::step(&mut core, &Step::Opened { hours }).unwrap();
    let mut reasons = Vec::new();
    for (number, &(open, high, low, close, volume)) in bars.iter().enumerate() {
        let open_time = hours.open + number as i64 * MINUTE;
        let price = Price::from_units;
        let (open, high, low, close) = (price(open), price(high), price(low), price(close));
        let (interval, volume) = (Interval::MINUTE, Quantity::from_units(volume));
        let candle = Candle::new(CandleParts { open_time, interval, open, high, low, close, volume, revises: false });
        let (cause, time) = (Cause { rank: 1, seq: number as u64 }, open_time + MINUTE);
        for step in [Step::Candle { cause, time, instrument: 0, candle, late: false }, Step::Slice { time }] {
            for output in worlds::step(&mut core, &step).unwrap() {
                match output.body {
                    Conclusion::Intent(intent) => {
                        reasons.push(intent.reason.to_string());
                        played.refused += u32::from(intent.verdict != Verdict::Approved);
                    }
                    Conclusion::Fill(fill) => {
                        let reason = reasons[fill.order.0 as usize - 1].clone();
                        let price = fill.price.0 / Price::from_units(1).0;
                        played.fills.push((fill.cause.seq, fill.side, whole(fill.quantity), price, reason));
                    }
                    Conclusion::Update(update) => played.cancelled += u32::from(update.state == OrderState::Cancelled),
                    _ => {}
                }
            }
        }
    }
    let book = core.book(InstrumentId(0));
    played.held = whole(book.position.quantity);
    let level = |price: Option<Price>| price.map(|price| price.0 / Price::from_units(1).0);
    let exits = book.working.iter().filter(|order| order.pair != 0);
    played.working = exits
        .map(|order| (order.order_type, whole(order.remaining()), level(order.stop.or(order.limit)).unwrap()))
        .collect();
    played
}

fn percent(number: i64) -> Option<Level> {
    Some(Level::Percent(Price::from_units(number)))
}

/// Three percent to the stop, six to the target.
fn bracket() -> Bracket {
    Bracket { stop: percent(3), target: percent(6) }
}

fn enter(order: OrderRequest) -> Vec<Vec<Request>> {
    vec![vec![Request::Place(order.with_exits(bracket()))]]
}

fn market(side: Side) -> OrderRequest {
    OrderRequest::market(side, Quantity::from_units(10), "in")
}

/// How the candle of the entry, and the one after it, are read: the way out, if any, as (candle, price, reason).
#[test]
fn every_reading_of_the_candle_of_the_entry() {
    let limit = OrderRequest::limit(Side::Buy, Quantity::from_units(10), Price::from_units(990), "in");
    let stop = OrderRequest::stop(Side::Buy, Quantity::from_units(10), Price::from_units(1_010), "in");
    let table: &[Reading] = &[
        // Entered at the open: all of the candle comes after it, and of both the stop.
        (market(Side::Buy), &[(1_000, 1_050, 980, 1_000, 100)], None),
        (market(Side::Buy), &[(1_000, 1_050, 970, 1_000, 100)], Some((1, 970, "stop"))),
        (market(Side::Buy), &[(1_000, 1_060, 980, 1_000, 100)], Some((1, 1_060, "target"))),
        (market(Side::Buy), &[(1_000, 1_060, 970, 1_000, 100)], Some((1, 970, "stop"))),
        (market(Side::Sell), &[(1_000, 1_030, 940, 1_000, 100)], Some((1, 1_030, "stop"))),
        (market(Side::Sell), &[(1_000, 1_020, 940, 1_000, 100)], Some((1, 940, "target"))),
        // Entered by a limit inside the candle: the low may have come before or after, so it counts; the high does not.
        (limit, &[(1_000, 1_100, 985, 1_000, 100)], None),
        (limit, &[(1_000, 1_100, 960, 1_000, 100)], Some((1, 960, "stop"))),
        (limit, &[(1_000, 1_100, 985, 1_000, 100), (1_045, 1_049, 1_040, 1_045, 100)], None),
        (limit, &[(1_000, 1_100, 985, 1_000, 100), (1_045, 1_060, 1_040, 1_045, 100)], Some((2, 1_049, "target"))),
        (limit, &[(1_000, 1_100, 985, 1_000, 100), (950, 955, 945, 950, 100)], Some((2, 950, "stop"))),
        // Entered by a stop inside the candle: likewise.
        (stop, &[(1_000, 1_100, 990, 1_050, 100)], None),
        (stop, &[(1_000, 1_100, 979, 1_050, 100)], Some((1, 979, "stop"))),
    ];
    for (order, bars, expected) in table {
        let bars = [&[QUIET][..], bars].concat();
        let played = play(&bars, enter(*order), None, "none");
        let context = format!("{order:?} {bars:?}: {played:?}");
        // 990 less three percent is 960.30.
        let left: Vec<_> = played.fills[1..].iter().map(|fill| (fill.0, fill.3, fill.4.as_str())).collect();
        assert_eq!(left, expected.iter().copied().collect::<Vec<_>>(), "{context}");
        let (held, exits, cancelled) = if expected.is_some() { (0, 0, 1) } else { (10, 2, 0) };
        assert_eq!((played.held.abs(), played.working.len(), played.cancelled), (held, exits, cancelled), "{context}");
    }
}

/// An entry that fills in parts has a pair for every part, at levels of its own price.
#[test]
fn every_part_of_an_entry_has_its_own_exits() {
    let bars = [QUIET, (1_000, 1_000, 1_000, 1_000, 4), (1_010, 1_010, 1_010, 1_010, 100)];
    let played = play(&bars, enter(market(Side::Buy)), Some(10_000), "none");
    let (stop, target) = (OrderType::Stop, OrderType::Limit);
    assert_eq!(played.working, [(stop, 4, 970), (target, 4, 1_060), (stop, 6, 979), (target, 6, 1_070)]);
    // The nearer stop goes alone; the other pair stays.
    let played =
        play(&[&bars[..], &[(1_000, 1_000, 975, 975, 100)]].concat(), enter(market(Side::Buy)), Some(10_000), "none");
    assert_eq!((played.working, played.held), (vec![(stop, 4, 970), (target, 4, 1_060)], 4));
}

/// An exit that fills in part leaves its twin for the rest: what is held is always covered, and no more than that.
#[test]
fn what_one_exit_fills_the_other_gives_up() {
    let bars = [QUIET, (1_000, 1_000, 1_000, 1_000, 100), (1_060, 1_060, 1_060, 1_060, 3)];
    let played = play(&bars, enter(market(Side::Buy)), Some(10_000), "none");
    assert_eq!(played.working, [(OrderType::Limit, 7, 1_060), (OrderType::Stop, 7, 970)]);
    let bars = [&bars[..], &[(960, 960, 960, 960, 2), (965, 965, 965, 965, 100)]].concat();
    let played = play(&bars, enter(market(Side::Buy)), Some(10_000), "none");
    let out: Vec<_> = played.fills[1..].iter().map(|fill| (fill.2, fill.3)).collect();
    assert_eq!(out, [(3, 1_060), (2, 960), (5, 965)], "a stop that was touched leaves at the market");
    assert_eq!((played.held, played.working.len()), (0, 0));
}

/// Only what a fill opens has exits; what it closes needs none.
#[test]
fn an_order_that_turns_a_position_protects_what_it_opened() {
    let flip = OrderRequest::market(Side::Sell, Quantity::from_units(25), "turn").with_exits(bracket());
    let script = vec![vec![Request::Place(market(Side::Buy))], vec![Request::Place(flip)]];
    let played = play(&[QUIET; 3], script, None, "none");
    assert_eq!((played.held, played.working), (-15, vec![(OrderType::Stop, 15, 1_030), (OrderType::Limit, 15, 940)]));
    let leave = OrderRequest::market(Side::Sell, Quantity::from_units(10), "leave").with_exits(bracket());
    let script = vec![vec![Request::Place(market(Side::Buy))], vec![Request::Place(leave)]];
    let played = play(&[QUIET; 3], script, None, "none");
    assert_eq!((played.held, played.working), (0, Vec::new()));
}

/// Slippage may carry an entry beyond its own stop: it is left where the market is, never at a price that was better.
#[test]
fn a_stop_beyond_the_market_is_touched_where_the_market_is() {
    let played = play(&[QUIET, QUIET], enter(market(Side::Buy)), None, "bps:500");
    let prices: Vec<_> = played.fills.iter().map(|fill| (fill.3, fill.4.as_str())).collect();
    assert_eq!(prices, [(1_050, "in"), (950, "stop")], "bought at 1,050, stop at 1,018.50, market at 1,000");
}

/// A level that is no price is refused aloud, and the other exit works all the same; a cancel ends exits like others.
#[test]
fn exits_are_judged_and_cancelled_like_every_order() {
    let far = Bracket { stop: percent(3), target: percent(120) };
    let short = vec![vec![Request::Place(market(Side::Sell).with_exits(far))]];
    let played = play(&[QUIET, QUIET], short.clone(), None, "none");
    assert_eq!((played.refused, played.working), (1, vec![(OrderType::Stop, 10, 1_030)]));
    let at = Bracket { stop: Some(Level::At(Price::from_units(975))), target: None };
    let script = vec![vec![Request::Place(market(Side::Buy).with_exits(at))]];
    assert_eq!(play(&[QUIET, QUIET], script, None, "none").working, [(OrderType::Stop, 10, 975)]);
    let script = [short, vec![vec![Request::CancelAll(Label::new("clear"))]]].concat();
    assert_eq!(play(&[QUIET, QUIET], script, None, "none").working, []);
}
