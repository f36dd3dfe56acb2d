//! `top-score` on candles made by hand (BT-29 in small): what is bought, what is left, what the filter keeps out.

use daybook_config::fees::FeeSchedule;
use daybook_core::strategy::{Parameters, find};
use daybook_core::{Body, Conclusion, Core, Input, Outbox, SessionHours, Setup, Slice};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::{DAY, HOUR};
use daybook_vocabulary::{
    Candle, Cause, Date, Instrument, InstrumentId, Interval, Money, Nanos, Price, Quantity, TradeClosed,
};

/// Three stocks and the filter, in the order of their symbols.
const SYMBOLS: [&str; 4] = ["A", "B", "C", "VIX"];

struct Bench {
    core: Core,
    day: i64,
    last: [i64; 4],
    trades: Vec<TradeClosed>,
}

impl Bench {
    fn new(set: &[(&str, &str)]) -> Self {
        let entry = find("top-score").unwrap();
        let given = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let parameters = Parameters::resolve("top-score", entry.parameters, &given).unwrap();
        let meta = |symbol: &str| Instrument {
            market: "nse".into(),
            symbol: symbol.into(),
            tick: "0.01".parse().unwrap(),
            lot: Quantity::from_units(1),
        };
        let core = Core::new(Setup {
            instruments: SYMBOLS.map(meta).to_vec(),
            interval: Interval::DAY,
            timeframe: None,
            cash: Money::from_units(100_000),
            fees: FeeSchedule::parse("none").unwrap(),
            participation_bps: None,
            decide_from: Nanos::MIN,
            warmup_bars: 0,
            strategy: entry.build(&parameters, SYMBOLS.len()).unwrap(),
        });
        Self { core, day: 0, last: [100, 100, 100, 20], trades: Vec::new() }
    }

    fn step(&mut self, time: Nanos, body: Body<'_>) {
        let mut out = Outbox::new();
        let cause = Cause { rank: 1, seq: self.day as u64 };
        self.core.step(&Input { cause, time, body }, &mut out).unwrap();
        self.trades.extend(out.outputs().iter().filter_map(|output| match &output.body {
            Conclusion::Trade(trade) => Some(trade.clone()),
            _ => None,
        }));
    }

    /// One day: every symbol opens where it closed, one unit of range around, and closes at the given price.
    fn day(&mut self, closes: [i64; 4]) {
        let date = Date(19_000 + self.day as i32);
        let open = date.midnight() + 4 * HOUR;
        let hours = SessionHours { date, open, close: open + 6 * HOUR };
        self.step(hours.open, Body::SessionOpened(hours));
        for (index, close) in closes.into_iter().enumerate() {
            let before = std::mem::replace(&mut self.last[index], close);
            let price = Price::from_units;
            let candle = Candle::new(CandleParts {
                open_time: hours.open,
                interval: Interval::DAY,
                open: price(before),
                high: price(before.max(close) + 1),
                low: price(before.min(close) - 1),
                close: price(close),
                volume: Quantity::from_units(1_000),
                revises: false,
            });
            self.step(hours.close, Body::Candle(InstrumentId(index as u32), &candle));
        }
        self.step(hours.close, Body::Slice(Slice { interval: Interval::DAY }));
        self.step(hours.close, Body::SessionClosed);
        self.day += 1;
        assert!(self.day * DAY > 0);
    }

    fn held(&self) -> [i64; 4] {
        std::array::from_fn(|index| {
            self.core.book(InstrumentId(index as u32)).position.quantity.0 / Quantity::from_units(1).0
        })
    }
}

const SET: &[(&str, &str)] =
    &[("top", "2"), ("bars", "3"), ("filter", "VIX"), ("max_bars", "4"), ("quantity", "equity_pct:10")];

#[test]
fn the_best_two_are_held_and_left_by_age() {
    let mut bench = Bench::new(SET);
    for day in 0..14 {
        // The filter rises most of all, and is never bought.
        bench.day([100 + day, 100, 100 + 2 * day, 16 + day]);
    }
    assert_eq!(bench.held(), [0; 4], "decided at the fourteenth close, the first with a range");
    bench.day([114, 100, 128, 30]);
    assert_eq!(bench.held(), [88, 0, 79, 0], "a tenth of 100,000 each, at 113 and at 126 (rounded down)");
    for day in 15..18 {
        bench.day([100 + day, 100, 100 + 2 * day, 30]);
    }
    assert!(bench.trades.is_empty());
    bench.day([118, 100, 136, 31]);
    let reasons: Vec<&str> = bench.trades.iter().map(|trade| trade.exit_reason.as_str()).collect();
    assert_eq!(reasons, ["time", "time"], "four bars after the entry");
    bench.day([119, 100, 138, 31]);
    bench.day([120, 100, 140, 31]);
    assert_eq!(bench.held(), [0; 4], "a filter above 30 lets nothing in");
    bench.day([121, 100, 142, 30]);
    bench.day([122, 100, 144, 30]);
    assert!(bench.held()[0] > 0 && bench.held()[2] > 0, "and 30 does");
}

#[test]
fn a_fall_is_left_by_the_stop_and_a_fade_by_the_trail() {
    let mut bench = Bench::new(&[("top", "2"), ("bars", "3"), ("quantity", "10"), ("trail_pct", "3")]);
    for day in 0..15 {
        bench.day([100 + day, 100, 100 + 2 * day, 20]);
    }
    assert_eq!(bench.held(), [10, 0, 10, 0]);
    // A: a first range of 2 and thirteen of 3 make 41/14; the stop is two of them below 113, rounded down to a tick.
    // C: best 129, the trail is 2.9 %.
    bench.day([100, 100, 125, 20]);
    let trade = &bench.trades[0];
    assert_eq!((trade.exit_reason.as_str(), trade.exit_price.to_string().as_str()), ("stop", "107.14"));
    assert_eq!(trade.measures.unwrap().stop, Some("107.14".parse().unwrap()));
    assert_eq!(bench.held()[2], 10, "it leaves at the next open");
    bench.day([100, 100, 125, 20]);
    assert_eq!(bench.trades[1].exit_reason.as_str(), "decaying-trail");
}

/// BT-23: 2.5 ranges at or below a VIX of 20, 1.5 above; the exit's reason names the rule that said it. Without a label the
/// declared default holds, or nothing.
#[test]
fn bt_23_the_regime_of_the_filter_chooses_the_stop() {
    let set = [("top", "1"), ("bars", "3"), ("quantity", "10"), ("filter", "VIX"), ("regime_at", "20")];
    // Wide otherwise, so that the regime's stop is what speaks.
    let wide = [("stop_ranges", "20"), ("trail_pct", "90")];
    let left = |vix: i64, fall: i64, more: &[(&str, &str)]| {
        let mut bench = Bench::new(&[&set[..], &wide, more].concat());
        for day in 0..15 {
            bench.day([100 + day, 100, 100, 15]);
        }
        assert_eq!(bench.held()[0], 10, "bought at 113, with a range of almost 3");
        bench.day([113 - fall, 100, 100, vix]);
        bench.day([113 - fall, 100, 100, vix]);
        bench.trades.iter().map(|trade| trade.exit_reason.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(left(15, 6, &[]), Vec::<String>::new(), "2.5 ranges are more than 6");
    assert_eq!(left(15, 11, &[]), ["below:range-stop"]);
    assert_eq!(left(25, 6, &[]), ["above:range-stop"], "1.5 ranges are less than 6");
    assert_eq!(left(20, 6, &[]), Vec::<String>::new(), "twenty is not above twenty");
    let stranger = [("filter", "NONE")];
    assert_eq!(left(25, 30, &stranger), Vec::<String>::new(), "no label, no rule");
    assert_eq!(left(25, 6, &[stranger[0], ("regime_default", "1.5")]), ["default:range-stop"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let entry = find("top-score").unwrap();
    for (key, value) in
        [("top", "0"), ("stop_ranges", "0"), ("trail_pct", "101"), ("quantity", "risk_pct:1"), ("regime_at", "20")]
    {
        let given = [(key.to_owned(), value.to_owned())].into();
        let parameters = Parameters::resolve("top-score", entry.parameters, &given).unwrap();
        assert!(entry.build(&parameters, 4).is_err(), "{key}={value}");
    }
}
