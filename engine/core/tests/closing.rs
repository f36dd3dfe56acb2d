//! The end of a day with a closing auction, by hand (nse.md 1.2 and 1.3): what it takes, what it ends, at which price it
//! trades, and when everybody has to be out before.
//!
//! - Ordinary days of 375 minutes, before and after 3 August 2026.

mod worlds;

use daybook_config::{Settings, Sources};
use daybook_core::risk::RiskLimits;
use daybook_core::{Conclusion, ExchangeRules, OrderRequest, Output, Request, SessionHours};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{
    Candle, Cause, Date, Instrument, Interval, Money, Nanos, Price, Quantity, Side, TimeInForce, Verdict,
};
use worlds::{Step, World};

const ZONE: i64 = 330 * MINUTE;
/// 4 August 2026, and a day before there were auctions.
const WITH: Date = Date(20_669);
const WITHOUT: Date = Date(20_667 - 3);

/// Minute of the day a candle opens at, its length in minutes, its close.
type Bar = (i64, u32, i64);

/// 15:00, 15:10, 15:15, 15:20, 15:30 and the like, in minutes of the day.
const fn at(hour: i64, minute: i64) -> i64 {
    hour * 60 + minute
}

fn play(date: Date, bars: &[Bar], script: Vec<Vec<Request>>, settings: &[(&str, &str)]) -> Vec<Output> {
    let overrides = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
    let lot = Quantity::from_units(1);
    let tick = "0.05".parse().unwrap();
    let instruments = vec![Instrument { market: "nse".into(), symbol: "X".into(), tick, lot }];
    let world = World {
        timeframe: None,
        cash: Money::from_units(1_000_000),
        costs: "none".into(),
        participation_bps: None,
        slippage: Default::default(),
        rules: ExchangeRules::of(&settings, &instruments, ZONE),
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        steps: Vec::new(),
        script,
        instruments,
    };
    let mut core = world.core(world.scripted()).with_risk(RiskLimits::of(&settings, ZONE));
    let midnight = Nanos(date.midnight().0 - ZONE);
    let hours = SessionHours { date, open: midnight + at(9, 15) * MINUTE, close: midnight + at(15, 30) * MINUTE };
    let mut steps = vec![Step::Opened { hours }];
    for (seq, (minute, length, close)) in bars.iter().enumerate() {
        let open_time = midnight + minute * MINUTE;
        let price = Price::from_units(*close);
        let (interval, volume) = (Interval::minutes(*length), Quantity::from_units(100));
        let (open, high, low, close) = (price, price, price, price);
        let candle = Candle::new(CandleParts { open_time, interval, open, high, low, close, volume, revises: false });
        let time = open_time + i64::from(*length) * MINUTE;
        let cause = Cause { rank: 1, seq: seq as u64 };
        steps.push(Step::Candle { cause, time, instrument: 0, candle, late: false });
        steps.push(Step::Slice { time });
    }
    steps.push(Step::Closed { time: hours.close + 20 * MINUTE });
    steps.iter().flat_map(|step| worlds::step(&mut core, step).unwrap()).collect()
}

fn place(request: OrderRequest) -> Vec<Request> {
    vec![Request::Place(request)]
}

fn ten() -> Quantity {
    Quantity::from_units(10)
}

fn limit(price: i64) -> OrderRequest {
    OrderRequest::limit(Side::Buy, ten(), Price::from_units(price), "")
}

/// Fills as (candle, price); the words of refusals and of what ended orders.
fn told(outputs: &[Output]) -> (Vec<(u64, i64)>, Vec<String>) {
    let (mut fills, mut words) = (Vec::new(), Vec::new());
    for output in outputs {
        match &output.body {
            Conclusion::Fill(fill) => fills.push((fill.cause.seq, fill.price.0 / Price::from_units(1).0)),
            Conclusion::Intent(intent) if intent.verdict != Verdict::Approved => words.push(intent.verdict.to_string()),
            Conclusion::Update(update) if !update.reason.as_str().is_empty() => words.push(update.reason.to_string()),
            _ => {}
        }
    }
    (fills, words)
}

const AUCTION: (&str, &str) = ("exchange.closing_auction", "X");
const HOURS: (&str, &str) = ("exchange.hours", "continuous");

/// Candles of an afternoon: three of continuous trading, then the auction's print.
const AFTERNOON: [Bar; 4] =
    [(at(15, 0), 5, 1_000), (at(15, 5), 5, 1_000), (at(15, 10), 5, 1_000), (at(15, 30), 5, 1_010)];

#[test]
fn the_auction_trades_at_one_price_what_it_takes() {
    for (order, fills, words) in [
        (OrderRequest::on_close(Side::Buy, ten(), ""), vec![(3, 1_010)], vec![]),
        // Carried over from continuous trading: within the band, at the price or better.
        (limit(999), vec![], vec![]),
        (limit(999).lasting(TimeInForce::Day), vec![], vec!["session-closed"]),
        (OrderRequest::limit(Side::Sell, ten(), Price::from_units(1_005), ""), vec![(3, 1_010)], vec![]),
        (OrderRequest::limit(Side::Sell, ten(), Price::from_units(1_011), ""), vec![], vec![]),
        // Farther than three percent from the reference: dropped where it is the day's.
        (limit(960).lasting(TimeInForce::Day), vec![], vec!["outside-auction-band"]),
        // A stop dies with continuous trading; one that outlasts the day waits for the next.
        (
            OrderRequest::stop(Side::Buy, ten(), Price::from_units(1_005), "").lasting(TimeInForce::Day),
            vec![],
            vec!["closing-auction"],
        ),
        (OrderRequest::stop(Side::Buy, ten(), Price::from_units(1_005), ""), vec![], vec![]),
    ] {
        let found = told(&play(WITH, &AFTERNOON, vec![Vec::new(), place(order)], &[AUCTION, HOURS]));
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        assert_eq!(found, (fills, words), "{order:?}");
    }
    // Without an auction that day, or that symbol, the stop triggers on the candle.
    let stop = OrderRequest::stop(Side::Buy, ten(), Price::from_units(1_005), "");
    for (date, setting) in [(WITHOUT, AUCTION), (WITH, ("exchange.closing_auction", "Y"))] {
        let (fills, _) = told(&play(date, &AFTERNOON, vec![Vec::new(), place(stop)], &[setting]));
        assert_eq!(fills, [(3, 1_010)], "{date}");
    }
}

/// Orders decided while it runs: nothing in the transition but orders for the close, market orders until 15:25, limits
/// within the band until it is matched; stops, and what must fill at once, never.
#[test]
fn orders_of_the_auction_have_their_hours() {
    let market = OrderRequest::market(Side::Buy, ten(), "");
    let on_close = OrderRequest::on_close(Side::Buy, ten(), "");
    let stop = OrderRequest::stop(Side::Buy, ten(), Price::from_units(1_005), "");
    for (decided, order, word) in [
        (at(15, 15), market, "not-in-auction"),
        (at(15, 15), limit(1_000), "not-in-auction"),
        (at(15, 15), on_close, ""),
        (at(15, 20), market, ""),
        (at(15, 20), limit(1_000), ""),
        (at(15, 20), stop, "not-in-auction"),
        (at(15, 20), limit(1_000).lasting(TimeInForce::Ioc), "not-in-auction"),
        (at(15, 20), limit(960), "outside-band"),
        (at(15, 25), market, "not-in-auction"),
        (at(15, 25), on_close, "not-in-auction"),
        (at(15, 25), limit(1_020), ""),
    ] {
        // A candle that ends when it is decided lets the strategy speak.
        let bars = [(at(15, 0), 5, 1_000), (decided - 1, 1, 1_000), (at(15, 30), 5, 1_010)];
        let script = vec![Vec::new(), place(order)];
        let (fills, words) = told(&play(WITH, &bars, script, &[AUCTION, HOURS]));
        assert_eq!(words.first().map_or("", String::as_str), word, "{decided} {order:?}");
        let takes = word.is_empty() && order.limit != Some(Price::from_units(1_000));
        assert_eq!(fills.len(), usize::from(takes), "{decided} {order:?}");
    }
}

/// nse.md 1.3: positions of the day are left at 15:12 where the stock closes in an auction, at 15:20 elsewhere.
#[test]
fn the_broker_leaves_earlier_where_there_is_an_auction() {
    let bars = [(at(15, 5), 1, 1_000), (at(15, 6), 1, 1_000), (at(15, 12), 1, 1_001), (at(15, 20), 1, 1_002)];
    let script = || vec![place(OrderRequest::market(Side::Buy, ten(), ""))];
    let intraday = ("exchange.product", "intraday");
    for (date, left) in [(WITH, (2, 1_001)), (WITHOUT, (3, 1_002))] {
        let settings = [AUCTION, intraday, ("exchange.square_off", "15:20")];
        let (fills, _) = told(&play(date, &bars, script(), &settings));
        assert_eq!(fills, [(1, 1_000), left], "{date}");
    }
}

/// rl-trader.md: guards are the earlier of what is set and the broker's square-off less two minutes.
#[test]
fn guards_stand_two_minutes_before_the_broker() {
    let bars: Vec<Bar> = (at(15, 0)..at(15, 20)).map(|minute| (minute, 1, 1_000)).collect();
    let script =
        || (0..bars.len()).map(|_| place(OrderRequest::market(Side::Buy, Quantity::from_units(1), ""))).collect();
    let first_refused = |date: Date, settings: &[(&str, &str)]| {
        let outputs = play(date, &bars, script(), settings);
        let late = |output: &Output| match &output.body {
            Conclusion::Intent(intent) if intent.verdict != Verdict::Approved => Some(intent.cause.seq),
            _ => None,
        };
        // The order is decided at the end of its candle.
        outputs.iter().find_map(late).map(|seq| at(15, 0) + seq as i64 + 1)
    };
    let (intraday, end) = (("exchange.product", "intraday"), ("risk.safe_trading_end", "15:19"));
    assert_eq!(first_refused(WITHOUT, &[end]), Some(at(15, 19)));
    assert_eq!(first_refused(WITHOUT, &[end, intraday]), Some(at(15, 18)));
    assert_eq!(first_refused(WITH, &[end, intraday, AUCTION]), Some(at(15, 10)));
    assert_eq!(first_refused(WITH, &[end, AUCTION]), Some(at(15, 15)), "stops die there");
    assert_eq!(first_refused(WITH, &[("risk.safe_trading_end", "15:05"), intraday, AUCTION]), Some(at(15, 5)));
}

/// SQ-29, RL-36: each instrument has its own hours. X goes into its auction, so the broker leaves it at 15:12 and entries
/// end two minutes before; Y trades on to the broker's 15:20. On a day without auctions, and on one that ends early, both
/// have the same.
#[test]
fn an_instrument_that_closes_in_an_auction_ends_nothing_for_the_others() {
    for (date, close, ends) in [
        (WITH, at(15, 30), [at(15, 10), at(15, 18)]),
        (WITHOUT, at(15, 30), [at(15, 18), at(15, 18)]),
        // A half day: a quarter of an hour before its end, less two minutes.
        (WITH, at(15, 5), [at(14, 48), at(14, 48)]),
    ] {
        let settings = [
            AUCTION,
            ("exchange.product", "intraday"),
            ("risk.safe_trading_end", "15:29"),
            ("risk.hard_trading_end", "15:29:30"),
        ];
        let (exits, refused, moved) = two_names(date, close, &settings);
        for (index, end) in ends.into_iter().enumerate() {
            // Sent at the last slice before which it could still fill, filled on the candle that opens there.
            assert_eq!(exits[index], [end], "{date} {index}");
            let first = refused[index].first().copied();
            assert_eq!(first, Some(end), "{date} {index}: entries are refused from there on, and no sooner");
        }
        let account = daybook_core::NO_STREAM.0;
        let streams = if ends[0] == ends[1] { vec![account] } else { vec![0, account] };
        assert_eq!(moved, streams, "{date}: who ended, each once");
    }
}

/// Minutes of exits' candles and of refusals after the end, by instrument, and the streams of limits that moved. Both are
/// bought at once, and asked for again each minute.
fn two_names(date: Date, close: i64, settings: &[(&str, &str)]) -> ([Vec<i64>; 2], [Vec<i64>; 2], Vec<u32>) {
    let overrides = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
    let (tick, lot) = ("0.05".parse().unwrap(), Quantity::from_units(1));
    let name = |symbol: &str| Instrument { market: "nse".into(), symbol: symbol.into(), tick, lot };
    let instruments = vec![name("X"), name("Y")];
    let buy = OrderRequest::market(Side::Buy, ten(), "");
    let world = World {
        cash: Money::from_units(100_000_000),
        rules: ExchangeRules::of(&settings, &instruments, ZONE),
        script: vec![place(buy); 400],
        instruments,
        steps: Vec::new(),
        timeframe: None,
        costs: "none".into(),
        participation_bps: None,
        slippage: Default::default(),
        decide_from: Nanos::MIN,
        warmup_bars: 0,
    };
    let mut core = world.core(world.scripted()).with_risk(RiskLimits::of(&settings, ZONE));
    let midnight = Nanos(date.midnight().0 - ZONE);
    let hours = SessionHours { date, open: midnight + at(9, 15) * MINUTE, close: midnight + close * MINUTE };
    let (mut exits, mut refused, mut moved) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], Vec::new());
    worlds::step(&mut core, &Step::Opened { hours }).unwrap();
    for minute in close - 60..close {
        let time = midnight + (minute + 1) * MINUTE;
        let price = Price::from_units(100);
        let candle = Candle::new(CandleParts {
            open_time: midnight + minute * MINUTE,
            interval: Interval::MINUTE,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Quantity::from_units(1_000_000),
            revises: false,
        });
        let candles = (0..2).map(|instrument| Step::Candle {
            cause: Cause { rank: 1, seq: (2 * minute + instrument as i64) as u64 },
            time,
            instrument,
            candle,
            late: false,
        });
        for step in candles.chain([Step::Slice { time }]) {
            for output in worlds::step(&mut core, &step).unwrap() {
                let stream = output.stream.0;
                match &output.body {
                    Conclusion::Fill(fill) if fill.side == Side::Sell => exits[stream as usize].push(minute),
                    Conclusion::Intent(intent) if matches!(intent.verdict, Verdict::AfterSafeEnd | Verdict::Locked) => {
                        refused[stream as usize].push(minute + 1);
                    }
                    Conclusion::Limit(_) => moved.push(stream),
                    _ => {}
                }
            }
        }
    }
    (exits, refused, moved)
}
