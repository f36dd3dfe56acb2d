//! Order types through the whole core, by hand: trailing stops, orders for the open and the close, ends in time, all or
//! nothing, changes of orders that work.
//!
//! - The naive twin has them too; here every reading has its line, for long and for short.

mod worlds;

use daybook_core::{Bracket, Conclusion, Level, OrderChange, OrderRequest, Output, Request};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{
    BasisPoints, Candle, Cause, Instrument, InstrumentId, Interval, Label, Money, Nanos, OrderId, Price, Quantity,
    Ratio, Side, TimeInForce, Trail, Verdict,
};
use worlds::{CANDLES, Step, World};

/// (open, high, low, close), in whole units.
type Bar = (i64, i64, i64, i64);

const QUIET: Bar = (1_000, 1_000, 1_000, 1_000);

struct Played {
    outputs: Vec<(u64, Output)>,
    held: i64,
    working: usize,
}

/// Plays candles of a minute, a session of [`CANDLES`] after another, and a script of requests, one entry a candle.
fn play(bars: &[Bar], script: Vec<Vec<Request>>, cap: Option<u32>) -> Played {
    let instrument = Instrument {
        market: "nse".into(),
        symbol: "X".into(),
        tick: Price::from_units(1),
        lot: Quantity::from_units(1),
    };
    let world = World {
        instruments: vec![instrument],
        cash: Money::from_units(1_000_000),
        costs: "none".into(),
        timeframe: None,
        participation_bps: cap,
        slippage: daybook_config::SlippageModel::None,
        rules: Default::default(),
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        steps: Vec::new(),
        script,
    };
    let mut core = world.core(world.scripted());
    let mut outputs = Vec::new();
    for (number, bar) in bars.iter().enumerate() {
        let (session, minute) = (number as i64 / CANDLES, number as i64 % CANDLES);
        let hours = worlds::session(session);
        let mut steps = Vec::new();
        if minute == 0 {
            steps.push(Step::Opened { hours });
        }
        let open_time = hours.open + minute * MINUTE;
        let [open, high, low, close] = [bar.0, bar.1, bar.2, bar.3].map(Price::from_units);
        let (interval, volume) = (Interval::MINUTE, Quantity::from_units(100));
        let candle = Candle::new(CandleParts { open_time, interval, open, high, low, close, volume, revises: false });
        let (cause, time) = (Cause { rank: 1, seq: number as u64 }, open_time + MINUTE);
        steps.push(Step::Candle { cause, time, instrument: 0, candle, late: false });
        steps.push(Step::Slice { time });
        if minute == CANDLES - 1 {
            steps.push(Step::Closed { time });
        }
        for step in &steps {
            outputs.extend(worlds::step(&mut core, step).unwrap().into_iter().map(|output| (number as u64, output)));
        }
    }
    let book = core.book(InstrumentId(0));
    let held = book.position.quantity.0 / Quantity::from_units(1).0;
    Played { outputs, held, working: book.working.len() }
}

impl Played {
    /// Fills as (candle, side, quantity, price).
    fn fills(&self) -> Vec<(u64, Side, i64, i64)> {
        let whole = |units: i64| units / Price::from_units(1).0;
        let fill = |(at, output): &(u64, Output)| match &output.body {
            Conclusion::Fill(fill) => Some((*at, fill.side, whole(fill.quantity.0), whole(fill.price.0))),
            _ => None,
        };
        self.outputs.iter().filter_map(fill).collect()
    }

    /// Stops that moved, as (candle, from, to).
    fn tightened(&self) -> Vec<(u64, i64, i64)> {
        let whole = |price: Price| price.0 / Price::from_units(1).0;
        let moved = |(at, output): &(u64, Output)| match &output.body {
            Conclusion::Tightened(moved) => Some((*at, whole(moved.from), whole(moved.to))),
            _ => None,
        };
        self.outputs.iter().filter_map(moved).collect()
    }

    /// Reasons of updates that ended an order, with the candle.
    fn ended(&self) -> Vec<(u64, String)> {
        let ended = |(at, output): &(u64, Output)| match &output.body {
            Conclusion::Update(update) if !update.reason.is_empty() => Some((*at, update.reason.to_string())),
            _ => None,
        };
        self.outputs.iter().filter_map(ended).collect()
    }

    fn refused(&self) -> Vec<Verdict> {
        let refused = |(_, output): &(u64, Output)| match &output.body {
            Conclusion::RequestRefused(refused) => Some(refused.verdict),
            Conclusion::Intent(intent) if intent.verdict != Verdict::Approved => Some(intent.verdict),
            _ => None,
        };
        self.outputs.iter().filter_map(refused).collect()
    }
}

fn units(number: i64) -> Quantity {
    Quantity::from_units(number)
}

fn place(request: OrderRequest) -> Vec<Request> {
    vec![Request::Place(request)]
}

fn market(side: Side) -> OrderRequest {
    OrderRequest::market(side, units(10), "in")
}

fn trailing(side: Side, distance: i64) -> OrderRequest {
    OrderRequest::trailing(side, units(10), Trail::Price(Price::from_units(distance)), "trail")
}

/// BT-06, RL-26: the stop follows the high (for a short the low) when the candle is over, never within it, and never back.
#[test]
fn a_trailing_stop_is_only_ever_tightened_and_never_within_a_candle() {
    let script = |side: Side| vec![place(market(side)), place(trailing(side.opposite(), 20))];
    // Decided at candle 1 with the last price at 1,000: it begins at 980. Candle 2 rises to 1,050 and falls to 990: had
    // the stop moved within it, it would have filled at 1,030. Candle 3 falls, the stop stays; candle 4 goes through.
    let bars = [QUIET, QUIET, (1_000, 1_050, 990, 1_045), (1_045, 1_048, 1_035, 1_040), (1_040, 1_041, 1_025, 1_030)];
    let played = play(&bars, script(Side::Buy), None);
    assert_eq!(played.tightened(), [(2, 980, 1_030)]);
    assert_eq!(played.fills(), [(1, Side::Buy, 10, 1_000), (4, Side::Sell, 10, 1_030)]);
    // The mirror.
    let bars = [QUIET, QUIET, (1_000, 1_010, 950, 955), (955, 965, 952, 960), (960, 975, 959, 970)];
    let played = play(&bars, script(Side::Sell), None);
    assert_eq!(played.tightened(), [(2, 1_020, 970)]);
    assert_eq!(played.fills(), [(1, Side::Sell, 10, 1_000), (4, Side::Buy, 10, 970)]);
    // A candle that rises and falls behind its own trail: the next open is a gap through it.
    let bars = [QUIET, QUIET, (1_000, 1_050, 990, 1_000), (1_001, 1_002, 1_000, 1_000)];
    assert_eq!(play(&bars, script(Side::Buy), None).fills()[1], (3, Side::Sell, 10, 1_001));
}

/// Every unit of the distance, by hand: percent of the best price, multiples of a range and of a risk at placement.
#[test]
fn a_distance_in_each_unit() {
    let range = Price::from_units(8);
    let two_and_a_half = Ratio("2.5".parse::<Ratio>().unwrap().0);
    let cases = [
        (Trail::Percent("300".parse::<BasisPoints>().unwrap()), 970, 1_067),
        (Trail::Atr(two_and_a_half, range), 980, 1_080),
        (Trail::R(two_and_a_half, range), 980, 1_080),
        (Trail::Price(Price::from_units(15)), 985, 1_085),
    ];
    for (trail, begins, after) in cases {
        let stop = OrderRequest::trailing(Side::Sell, units(10), trail, "trail");
        let played =
            play(&[QUIET, QUIET, (1_000, 1_100, 999, 1_099)], vec![place(market(Side::Buy)), place(stop)], None);
        assert_eq!(played.tightened(), [(2, begins, after)], "{trail:?}");
    }
}

/// A bracket's stop may trail from the price of the entry; of a candle it came into being in, only the close comes after.
#[test]
fn the_stop_of_a_bracket_may_trail() {
    let stop = Some(Level::Trail(Trail::Price(Price::from_units(30))));
    let bracket = Bracket { stop, target: None };
    let entry = OrderRequest::limit(Side::Buy, units(10), Price::from_units(990), "in").with_exits(bracket);
    // Entered at 990 inside candle 1 (stop 960), which closes at 1,005: 975, whatever its high. Then 1,020: 990.
    let bars = [QUIET, (1_000, 1_040, 985, 1_005), (1_005, 1_020, 1_000, 1_010), (1_010, 1_010, 985, 990)];
    let played = play(&bars, vec![place(entry)], None);
    assert_eq!(played.tightened(), [(1, 960, 975), (2, 975, 990)]);
    assert_eq!(played.fills()[1], (3, Side::Sell, 10, 990));
    // Entered at the open, all of the candle comes after.
    let played = play(&[QUIET, (1_000, 1_040, 985, 1_005)], vec![place(market(Side::Buy).with_exits(bracket))], None);
    assert_eq!(played.tightened(), [(1, 970, 1_010)]);
}

/// On the open: the first price of the next session. On the close: the last one of this session.
#[test]
fn orders_for_the_open_and_the_close() {
    let bars: Vec<Bar> = (0..2 * CANDLES).map(|at| (1_000 + at, 1_005 + at, 995 + at, 1_002 + at)).collect();
    let last = CANDLES as u64 - 1;
    let script = vec![
        place(OrderRequest::on_open(Side::Buy, units(10), "")),
        place(OrderRequest::on_close(Side::Buy, units(5), "")),
    ];
    let played = play(&bars, script, None);
    let expected = [(last, Side::Buy, 5, 1_012), (last + 1, Side::Buy, 10, 1_011)];
    assert_eq!(played.fills(), expected, "the close of the first session, the open of the second");
    // What the cap leaves of them ends with their price.
    let script = vec![
        place(OrderRequest::on_open(Side::Buy, units(10), "")),
        place(OrderRequest::on_close(Side::Buy, units(5), "")),
    ];
    let played = play(&bars, script, Some(200));
    assert_eq!(played.fills(), [(last, Side::Buy, 2, 1_012), (last + 1, Side::Buy, 2, 1_011)]);
    let reasons = [(last, "close-has-passed".to_owned()), (last + 1, "open-has-passed".to_owned())];
    assert_eq!(played.ended(), reasons);
    // Decided at the close, an order for the close waits for the next one.
    let mut script = vec![Vec::new(); last as usize];
    script.push(place(OrderRequest::on_close(Side::Buy, units(5), "")));
    assert_eq!(play(&bars, script, None).fills(), [(2 * last + 1, Side::Buy, 5, 1_002 + 2 * CANDLES - 1)]);
}

/// Good till an instant: it works on candles before it, at the open alone of the candle the instant lies in.
#[test]
fn an_order_ends_at_its_instant() {
    let open = worlds::session(0).open;
    let limit = |until: i64| {
        place(OrderRequest::limit(Side::Buy, units(10), Price::from_units(990), "in").until(open + until * MINUTE / 2))
    };
    let fall = (1_000, 1_000, 985, 990);
    let (filled, late) = (vec![(2, Side::Buy, 10, 990)], vec![(2, "good-till-date".to_owned())]);
    // Candle 2 spans minutes 2 to 3.
    for (half_minutes, fills, ended) in [(6, filled, vec![]), (5, vec![], late.clone())] {
        let played = play(&[QUIET, QUIET, fall], vec![limit(half_minutes)], None);
        assert_eq!((played.fills(), played.ended()), (fills, ended), "{half_minutes}");
    }
    // At its open it is in time.
    let played = play(&[QUIET, QUIET, (985, 990, 985, 990)], vec![limit(5)], None);
    assert_eq!(played.fills(), [(2, Side::Buy, 10, 985)]);
    // The last candle before it has passed ends it, even where no later one comes.
    let played = play(&[QUIET, QUIET, QUIET], vec![limit(4)], None);
    assert_eq!((played.ended(), played.working), (vec![(1, "good-till-date".to_owned())], 0));
    assert_eq!(play(&[QUIET, QUIET], vec![limit(2)], None).refused(), [Verdict::BadExpiry]);
}

/// All or nothing, under the participation cap: two of a hundred may fill.
#[test]
fn fill_or_kill_takes_all_or_nothing() {
    let kill = |quantity| place(OrderRequest::market(Side::Buy, units(quantity), "in").lasting(TimeInForce::Fok));
    assert_eq!(play(&[QUIET, QUIET], vec![kill(2)], Some(200)).fills(), [(1, Side::Buy, 2, 1_000)]);
    let played = play(&[QUIET, QUIET, QUIET], vec![kill(3)], Some(200));
    assert_eq!((played.fills(), played.ended()), (vec![], vec![(1, "fill-or-kill".to_owned())]));
}

/// A pair whose levels are prices grows with the entry, and keeps its numbers.
#[test]
fn exits_at_prices_are_resized_as_the_entry_fills() {
    let at = |price| Some(Level::At(Price::from_units(price)));
    let entry = market(Side::Buy).with_exits(Bracket { stop: at(970), target: at(1_060) });
    let played = play(&[QUIET, QUIET, QUIET, QUIET, (1_000, 1_000, 960, 965), QUIET], vec![place(entry)], Some(400));
    let entered: Vec<_> = [(1, 4), (2, 4), (3, 2)].map(|(at, quantity)| (at, Side::Buy, quantity, 1_000)).into();
    assert_eq!(played.fills()[..3], entered[..]);
    let modified = |(at, output): &(u64, Output)| match &output.body {
        Conclusion::Modified(modified) => Some((*at, modified.order.0, modified.quantity.0 / units(1).0)),
        _ => None,
    };
    let resized: Vec<_> = played.outputs.iter().filter_map(modified).collect();
    assert_eq!(resized, [(2, 2, 8), (2, 3, 8), (3, 2, 10), (3, 3, 10)]);
    // Two orders cover ten shares; the stop takes what the cap lets it, and what is left of the pair covers the rest.
    assert_eq!(played.fills()[3..], [(4, Side::Sell, 4, 970), (5, Side::Sell, 4, 1_000)]);
    assert_eq!((played.held, played.working), (2, 2));
}

/// Modified in place: the number stays, the new terms hold for later candles; what cannot be is refused with its reason.
#[test]
fn orders_are_modified_cancelled_and_replaced() {
    let first = OrderId(1);
    let modify = |change| vec![Request::Modify(first, change, Label::new("change"))];
    let limit = OrderRequest::limit(Side::Buy, units(10), Price::from_units(900), "in");
    let closer = OrderChange { quantity: Some(units(4)), limit: Some(Price::from_units(950)), stop: None };
    let played = play(&[QUIET, QUIET, (1_000, 1_000, 940, 940)], vec![place(limit), modify(closer)], None);
    assert_eq!(played.fills(), [(2, Side::Buy, 4, 950)]);
    let refused =
        |change: OrderChange| play(&[QUIET, QUIET, QUIET], vec![place(limit), modify(change)], None).refused();
    let none = OrderChange::default();
    assert_eq!(refused(OrderChange { quantity: Some(units(0)), ..none }), [Verdict::BadQuantity]);
    assert_eq!(refused(OrderChange { quantity: Some(Quantity(units(1).0 + 1)), ..none }), [Verdict::OffLot]);
    assert_eq!(refused(OrderChange { stop: Some(Price::from_units(950)), ..none }), [Verdict::BadPrice]);
    assert_eq!(refused(OrderChange { limit: Some(Price::ZERO), ..none }), [Verdict::BadPrice]);
    assert_eq!(refused(OrderChange { quantity: Some(units(5_000)), ..none }), [Verdict::InsufficientCash]);

    // A stop that trails is only ever tightened, also by its owner.
    let change = |stop| OrderChange { stop: Some(Price::from_units(stop)), ..none };
    let second = |stop| vec![Request::Modify(OrderId(2), change(stop), Label::new("change"))];
    let script = |stop| vec![place(market(Side::Buy)), place(trailing(Side::Sell, 20)), second(stop)];
    assert_eq!(play(&[QUIET; 4], script(975), None).refused(), [Verdict::LoosensStop]);
    let played = play(&[QUIET, QUIET, QUIET, (1_000, 1_000, 985, 990)], script(990), None);
    assert_eq!(played.fills()[1], (3, Side::Sell, 10, 990));

    // What does not work is answered, and never replaced.
    let stranger = |id| vec![Request::Cancel(OrderId(id), Label::new("x"))];
    assert_eq!(play(&[QUIET, QUIET], vec![stranger(0), stranger(9)], None).refused(), [Verdict::UnknownOrder; 2]);
    let script = vec![place(market(Side::Buy)), stranger(1), modify(none), vec![Request::Replace(first, limit)]];
    let played = play(&[QUIET; 5], script, None);
    assert_eq!((played.refused(), played.fills().len()), (vec![Verdict::OrderEnded; 3], 1));
    let script = vec![place(limit), vec![Request::Replace(first, market(Side::Buy))]];
    let played = play(&[QUIET; 3], script, None);
    assert_eq!((played.fills(), played.working), (vec![(2, Side::Buy, 10, 1_000)], 0));
}
