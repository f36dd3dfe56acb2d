//! Exchange and broker through the whole core, by hand: limits traded through, bands and locked markets, hours, squaring
//! off, latency, refusals. What the naive twin has too stands here with its line for people.

mod worlds;

use daybook_config::{LimitFill, OffTick, TradingTime, WrongSide};
use daybook_core::{Conclusion, ExchangeRules, OrderChange, OrderRequest, Output, Request, SessionHours, SquareOff};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::{DAY, MINUTE, SECOND};
use daybook_vocabulary::{
    Candle, Cause, Date, Instrument, InstrumentId, Interval, Label, Money, Nanos, OrderId, Price, Quantity, Side,
    Trail, Verdict,
};
use worlds::{Step, World};

/// Minute of the session it opens in, then (open, high, low, close) in whole units.
type Bar = (i64, [i64; 4]);

const fn flat(minute: i64, price: i64) -> Bar {
    (minute, [price; 4])
}

struct Played {
    outputs: Vec<Output>,
    held: i64,
}

/// Sessions of an hour; each has its bars. Requests come one entry a bar.
fn play(sessions: &[&[Bar]], script: Vec<Vec<Request>>, rules: ExchangeRules) -> Played {
    play_at(sessions, script, rules, "none")
}

fn play_at(sessions: &[&[Bar]], script: Vec<Vec<Request>>, rules: ExchangeRules, costs: &str) -> Played {
    play_capped(sessions, script, rules, costs, None)
}

fn play_capped(
    sessions: &[&[Bar]],
    script: Vec<Vec<Request>>,
    rules: ExchangeRules,
    costs: &str,
    participation_bps: Option<u32>,
) -> Played {
    let tick = "0.05".parse().unwrap();
    let lot = Quantity::from_units(1);
    let world = World {
        instruments: vec![Instrument { market: "nse".into(), symbol: "X".into(), tick, lot }],
        timeframe: None,
        cash: Money::from_units(1_000_000),
        costs: costs.into(),
        participation_bps,
        slippage: Default::default(),
        rules,
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        steps: Vec::new(),
        script,
    };
    let mut core = world.core(world.scripted());
    let mut outputs = Vec::new();
    let mut seq = 0;
    for (number, bars) in sessions.iter().enumerate() {
        let hours = hours(number as i64);
        let mut steps = vec![Step::Opened { hours }];
        for (minute, prices) in *bars {
            let open_time = hours.open + minute * MINUTE;
            let [open, high, low, close] = prices.map(Price::from_units);
            let (interval, volume) = (Interval::MINUTE, Quantity::from_units(100));
            let candle =
                Candle::new(CandleParts { open_time, interval, open, high, low, close, volume, revises: false });
            let time = open_time + MINUTE;
            steps.push(Step::Candle { cause: Cause { rank: 1, seq }, time, instrument: 0, candle, late: false });
            steps.push(Step::Slice { time });
            seq += 1;
        }
        steps.push(Step::Closed { time: hours.close + 10 * MINUTE });
        for step in &steps {
            outputs.extend(worlds::step(&mut core, step).unwrap());
        }
    }
    let held = core.book(InstrumentId(0)).position.quantity.0 / lot.0;
    Played { outputs, held }
}

const fn hours(number: i64) -> SessionHours {
    let date = Date(19_000 + number as i32);
    let open = Nanos(date.midnight().0 + 225 * MINUTE);
    SessionHours { date, open, close: Nanos(open.0 + 60 * MINUTE) }
}

impl Played {
    /// Fills as (number of the candle, side, price in hundredths).
    fn fills(&self) -> Vec<(u64, Side, i64)> {
        let fill = |output: &Output| match &output.body {
            Conclusion::Fill(fill) => Some((fill.cause.seq, fill.side, fill.price.0 / 1_000_000)),
            _ => None,
        };
        self.outputs.iter().filter_map(fill).collect()
    }

    fn refused(&self) -> Vec<Verdict> {
        let refused = |output: &Output| match &output.body {
            Conclusion::Intent(intent) if intent.verdict != Verdict::Approved => Some(intent.verdict),
            Conclusion::RequestRefused(refused) => Some(refused.verdict),
            _ => None,
        };
        self.outputs.iter().filter_map(refused).collect()
    }

    fn alarms(&self) -> Vec<String> {
        let alarm = |output: &Output| match &output.body {
            Conclusion::Alarm(alarm) => Some(alarm.code.to_string()),
            _ => None,
        };
        self.outputs.iter().filter_map(alarm).collect()
    }
}

fn units(number: i64) -> Quantity {
    Quantity::from_units(number)
}

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

fn place(request: OrderRequest) -> Vec<Request> {
    vec![Request::Place(request)]
}

fn market(side: Side) -> OrderRequest {
    OrderRequest::market(side, units(10), "in")
}

/// A touch is enough, or it is not: at the open, inside the candle, and at the trigger of a stop-limit.
#[test]
fn limits_fill_at_a_touch_or_when_traded_through() {
    let through = ExchangeRules { limit_fill: LimitFill::Through, ..ExchangeRules::default() };
    let limit = |side, at: i64| OrderRequest::limit(side, units(10), Price::from_units(at), "in");
    let stop_limit =
        OrderRequest::stop_limit(Side::Buy, units(10), Price::from_units(103), Price::from_units(103), "in");
    let cases = [
        (limit(Side::Buy, 98), [100, 101, 98, 100], Some(9_800), None),
        (limit(Side::Buy, 98), [100, 101, 97, 100], Some(9_800), Some(9_800)),
        (limit(Side::Buy, 98), [98, 101, 98, 100], Some(9_800), None),
        (limit(Side::Buy, 98), [97, 101, 97, 100], Some(9_700), Some(9_700)),
        (limit(Side::Sell, 102), [100, 102, 99, 100], Some(10_200), None),
        (limit(Side::Sell, 102), [100, 103, 99, 100], Some(10_200), Some(10_200)),
        (stop_limit, [100, 104, 99, 104], Some(10_300), None),
        (stop_limit, [100, 104, 99, 102], Some(10_300), Some(10_300)),
    ];
    for (order, bar, touch, strict) in cases {
        let fills = |rules| {
            let played = play(&[&[flat(0, 100), (1, bar)]], vec![place(order)], rules);
            played.fills().first().map(|fill| fill.2)
        };
        assert_eq!((fills(ExchangeRules::default()), fills(through.clone())), (touch, strict), "{order:?} {bar:?}");
    }
}

/// Bands: orders outside are refused, a market locked at its end fills one side only, the plain exchange has none.
#[test]
fn a_band_refuses_and_locks() {
    let rules = ExchangeRules { bands: vec![Some(1_000)], ..ExchangeRules::default() };
    let yesterday: &[Bar] = &[flat(0, 100)];
    let limit = |side, at: &str| OrderRequest::limit(side, units(10), price(at), "in");
    let first = |request| vec![Vec::new(), place(request)];
    for (at, refused) in [("110", false), ("110.05", true), ("90", false), ("89.95", true)] {
        let played = play(&[yesterday, &[flat(0, 100)]], first(limit(Side::Buy, at)), rules.clone());
        assert_eq!(played.refused(), vec![Verdict::OutsideBand; usize::from(refused)], "{at}");
    }
    // Locked at 110 nobody sells: buys wait, sales fill. The mirror at 90.
    for (side, end, fills) in [(Side::Buy, 110, 0), (Side::Sell, 110, 1), (Side::Buy, 90, 1), (Side::Sell, 90, 0)] {
        let today: &[Bar] = &[flat(0, 100), flat(1, end), flat(2, end)];
        let played = play(&[yesterday, today], first(market(side)), rules.clone());
        assert_eq!(played.fills().len(), fills, "{side} at {end}");
        assert_eq!(play(&[yesterday, today], first(market(side)), ExchangeRules::default()).fills().len(), 1);
    }
    // It trades again: the order that waited fills.
    let today: &[Bar] = &[flat(0, 100), flat(1, 110), (2, [110, 110, 108, 109])];
    assert_eq!(play(&[yesterday, today], first(market(Side::Buy)), rules.clone()).fills(), [(3, Side::Buy, 11_000)]);
    // On the first day nobody knows a previous close; a market that trades outside shows that another band holds.
    assert_eq!(play(&[yesterday], vec![place(limit(Side::Buy, "300"))], rules.clone()).refused(), []);
    assert_eq!(play(&[yesterday, &[flat(0, 150)]], first(limit(Side::Buy, "160")), rules).refused(), []);
}

/// nse.md 1.2: before the open and in the closing auction nothing fills but orders for the close.
#[test]
fn auctions_fill_what_wants_them() {
    let rules = ExchangeRules { hours: TradingTime::Continuous, ..ExchangeRules::default() };
    let bars: &[Bar] = &[flat(-1, 100), flat(0, 101), flat(50, 102), flat(60, 103)];
    let close = OrderRequest::on_close(Side::Sell, units(10), "out");
    let script =
        vec![place(market(Side::Buy)), Vec::new(), vec![Request::Place(close), Request::Place(market(Side::Buy))]];
    let played = play(&[bars, bars], script.clone(), rules);
    // Decided before the open the buy waits for it; after the last continuous candle the other waits for tomorrow's.
    assert_eq!(played.fills(), [(1, Side::Buy, 10_100), (3, Side::Sell, 10_300), (5, Side::Buy, 10_100)]);
    // The plain exchange takes every candle as it comes.
    let played = play(&[bars], script, ExchangeRules::default());
    assert_eq!(played.fills(), [(1, Side::Buy, 10_100), (3, Side::Buy, 10_300), (3, Side::Sell, 10_300)]);
}

/// nse.md 1.3: the broker ends the day's positions at its time, for a fee with tax; entries after it are refused.
#[test]
fn the_broker_squares_intraday_positions_off() {
    let at = |minute: i64| {
        Some(SquareOff { after_midnight: (225 + minute) * MINUTE, before_auction: 0, fee: Money::from_units(50) })
    };
    let rules = ExchangeRules { square_off: at(40), ..ExchangeRules::default() };
    let bars: &[Bar] = &[flat(0, 1_000), flat(1, 1_000), flat(39, 1_001), flat(40, 1_002), flat(41, 1_003)];
    let far = OrderRequest::limit(Side::Sell, units(10), Price::from_units(2_000), "target");
    let script = vec![place(market(Side::Buy)), place(far), Vec::new(), place(market(Side::Buy))];
    let played = play_at(&[bars], script.clone(), rules.clone(), "zerodha-intraday");
    assert_eq!(played.fills(), [(1, Side::Buy, 100_000), (3, Side::Sell, 100_200)]);
    assert_eq!((played.held, played.refused()), (0, vec![Verdict::SquareOff]));
    let last = played.outputs.iter().rev().find_map(|output| match &output.body {
        Conclusion::Fill(fill) => Some(fill.charges),
        _ => None,
    });
    // 10 × 1,002: brokerage 3.006 and the fee; GST 18 % on them, on the exchange's 0.297594 and the regulator's 0.01002.
    let charges = last.unwrap();
    assert_eq!(charges.brokerage, "53.006".parse().unwrap());
    let taxed = charges.brokerage + charges.exchange_fee + charges.regulator_fee;
    assert_eq!(charges.service_tax, taxed.times_ratio(18, 100).unwrap());
    // No candle after the time: it stays, aloud. Without the rule nobody minds.
    let played = play(&[&bars[..3]], script.clone(), rules);
    assert_eq!((played.held, played.alarms()), (10, vec!["square-off-missed".to_owned()]));
    assert_eq!(play(&[bars], script, ExchangeRules::default()).alarms(), Vec::<String>::new());
}

/// A square-off that a participation cap makes last some candles is one order: one fee, one cap of brokerage. What is left
/// at the close is told with its symbol, its session and the true cause.
#[test]
fn a_square_off_that_fills_in_parts_is_one_order() {
    let square_off = Some(SquareOff { after_midnight: 265 * MINUTE, before_auction: 0, fee: Money::from_units(50) });
    let rules = ExchangeRules { square_off, ..ExchangeRules::default() };
    // Four of the hundred of a candle.
    let cap = Some(400);
    let bars: Vec<Bar> = (0..4).chain(40..50).map(|minute| flat(minute, 1_000)).collect();
    let script = vec![place(market(Side::Buy))];
    let played = play_capped(&[&bars], script.clone(), rules.clone(), "zerodha-intraday", cap);
    let sales: Vec<_> = played
        .outputs
        .iter()
        .filter_map(|output| match &output.body {
            Conclusion::Fill(fill) if fill.side == Side::Sell => {
                Some((fill.order, fill.quantity, fill.charges.brokerage))
            }
            _ => None,
        })
        .collect();
    assert_eq!((sales.len(), played.held), (3, 0), "{sales:?}");
    assert!(sales.iter().all(|(order, ..)| *order == sales[0].0), "{sales:?}");
    // 50, and 0.03 % of what has filled: 4,000, 8,000, 10,000.
    let paid: Vec<Money> = ["51.2", "1.2", "0.6"].map(|paid| paid.parse().unwrap()).into();
    assert_eq!(sales.iter().map(|(.., paid)| *paid).collect::<Vec<_>>(), paid);

    let played = play_capped(&[&bars[..5]], script, rules, "zerodha-intraday", cap);
    let told = played.outputs.iter().find_map(|output| match &output.body {
        Conclusion::Alarm(alarm) => Some(alarm.text.clone()),
        _ => None,
    });
    let told = told.expect("an alarm");
    assert!(told.starts_with("6 X of 2022-01-08") && told.ends_with("was too little"), "{told}");
}

/// Decision to exchange: an order works on candles that open when it is there, and a cancel may come too late.
#[test]
fn orders_and_cancels_take_their_time() {
    let rules = |latency| ExchangeRules { latency, ..ExchangeRules::default() };
    let bars: &[Bar] = &[flat(0, 100), flat(1, 101), flat(2, 102), flat(3, 103)];
    for (latency, candle) in [(0, 1), (1, 2), (60 * SECOND, 2), (60 * SECOND + 1, 3)] {
        let played = play(&[bars], vec![place(market(Side::Buy))], rules(latency));
        assert_eq!(played.fills()[0].0, candle, "{latency} ns");
    }
    // Asked at minute 2 to cancel, the order fills on the candle of minute 2 while the request is under way.
    let limit = OrderRequest::limit(Side::Buy, units(10), Price::from_units(95), "in");
    let cancel = vec![Request::Cancel(OrderId(1), Label::new("late"))];
    let fall: &[Bar] = &[flat(0, 100), flat(1, 100), (2, [100, 100, 94, 96]), flat(3, 96)];
    let script = vec![place(limit), cancel];
    assert_eq!(play(&[fall], script.clone(), rules(0)).held, 0);
    let played = play(&[fall], script.clone(), rules(SECOND));
    assert_eq!(
        (played.held, played.refused()),
        (10, vec![Verdict::OrderEnded]),
        "the exchange answers that it has ended"
    );
    // One candle later it would have been in time.
    let later: &[Bar] = &[flat(0, 100), flat(1, 100), flat(2, 100), (3, [100, 100, 94, 96])];
    assert_eq!(play(&[later], script, rules(SECOND)).held, 0);
    // So does a change: the old limit holds until it is there.
    let change = OrderChange { limit: Some(Price::from_units(90)), ..OrderChange::default() };
    let script = vec![place(limit), vec![Request::Modify(OrderId(1), change, Label::new("lower"))]];
    assert_eq!(play(&[fall], script.clone(), rules(SECOND)).held, 10);
    assert_eq!(play(&[later], script, rules(SECOND)).held, 0);
}

/// Exchange to strategy: until it has heard of a fill it is not asked.
#[test]
fn a_strategy_is_not_asked_before_it_heard_of_its_fill() {
    let rules = |answer| ExchangeRules { answer, ..ExchangeRules::default() };
    let bars: &[Bar] = &[flat(0, 100), flat(1, 101), flat(2, 102), flat(3, 103), flat(4, 104)];
    let script = vec![place(market(Side::Buy)), place(market(Side::Buy)), place(market(Side::Buy))];
    let candles =
        |answer| play(&[bars], script.clone(), rules(answer)).fills().iter().map(|fill| fill.0).collect::<Vec<_>>();
    // The fill at the open of minute 1 is known a minute later, in time for the slice; then too late by one and by two.
    assert_eq!(candles(60 * SECOND), [1, 2, 3]);
    assert_eq!(candles(61 * SECOND), [1, 3]);
    assert_eq!(candles(125 * SECOND), [1, 4]);
}

/// The list of bad input: each with its own reason, and nothing is booked.
#[test]
fn each_bad_order_has_its_own_reason() {
    let strict = ExchangeRules {
        off_tick: OffTick::Refuse,
        wrong_side: WrongSide::Refuse,
        expiries: vec![Nanos(hours(0).open.0 + DAY)],
        ..ExchangeRules::default()
    };
    let limit = |at: &str| OrderRequest::limit(Side::Buy, units(10), price(at), "");
    let stop = |side, at: &str| OrderRequest::stop(side, units(10), price(at), "");
    let off_lot = OrderRequest { quantity: Quantity(units(1).0 + 1), ..market(Side::Buy) };
    let none = OrderRequest { quantity: Quantity::ZERO, ..market(Side::Buy) };
    let negative = OrderRequest { quantity: units(-5), ..market(Side::Buy) };
    let table = [
        (place(limit("0")), Verdict::BadPrice),
        (place(limit("99.97")), Verdict::OffTick),
        (place(off_lot), Verdict::OffLot),
        (place(none), Verdict::BadQuantity),
        (place(negative), Verdict::BadQuantity),
        (vec![Request::PlaceIn(InstrumentId(7), market(Side::Buy))], Verdict::UnknownInstrument),
        (place(stop(Side::Sell, "100")), Verdict::WrongSide),
        (place(stop(Side::Buy, "99.95")), Verdict::WrongSide),
        (place(OrderRequest::trailing(Side::Sell, units(1), Trail::Price(Price::ZERO), "")), Verdict::BadTrail),
        ([place(limit("90").numbered(5)), place(limit("91").numbered(5))].concat(), Verdict::DuplicateId),
        (vec![Request::Cancel(OrderId(99), Label::new(""))], Verdict::UnknownOrder),
    ];
    for (requests, verdict) in table {
        let played = play(&[&[flat(0, 100), flat(1, 100)]], vec![requests], strict.clone());
        assert_eq!((played.refused(), played.held), (vec![verdict], 0));
    }
    // Expired on the second day; on the first, and under the plain exchange, the same order is good.
    let script = vec![Vec::new(), place(limit("90")), place(limit("90"))];
    let days: &[&[Bar]] = &[&[flat(0, 100), flat(1, 100)], &[flat(0, 100)]];
    assert_eq!(play(days, script.clone(), strict.clone()).refused(), [Verdict::ExpiredInstrument]);
    assert_eq!(play(days, script, ExchangeRules::default()).refused(), []);
    // A number may be used again in the next session.
    let script = vec![place(limit("90").numbered(5)), Vec::new(), place(limit("91").numbered(5))];
    assert_eq!(play(days, script, ExchangeRules::default()).refused(), []);
    // An order of the day after the close is of a closed session.
    let day = limit("90").lasting(daybook_vocabulary::TimeInForce::Day);
    let played = play(&[&[flat(59, 100)]], vec![place(day)], strict);
    assert_eq!(played.refused(), [Verdict::ClosedSession]);
}
