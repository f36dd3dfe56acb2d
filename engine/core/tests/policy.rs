//! The policy runner through the engine: a scripted policy, its decisions in the journal, its trades at the exchange.
//!
//! - Candles are made by hand; the average range is known from the fifteenth bar on.
//! - Every decision is an output, with its number; a trade names the decision that entered it.

use daybook_config::fees::FeeSchedule;
use daybook_config::{Settings, Sources};
use daybook_core::policy::{Policy, PolicyRunner, PolicySlice, Word};
use daybook_core::risk::RiskLimits;
use daybook_core::{Body, Conclusion, Core, Input, Outbox, Output, SessionHours, Setup, Slice};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::{DAY, MINUTE};
use daybook_vocabulary::{
    Action, Candle, Cause, Date, Decision, Hash, Instrument, InstrumentId, Interval, LimitKind, ModelNumber, Money,
    Nanos, OrderType, Price, Quantity, Ratio, Ruling, Side, TradeClosed,
};

/// Bars until the average range is known.
const WARM: usize = 14;
/// Minutes of a session: 09:15 to 10:15.
const LENGTH: i64 = 60;

/// What a policy says at each slice, one entry per symbol: action and confidence in percent.
type Script = Vec<Vec<Option<(Action, i64)>>>;

struct Scripted {
    script: Script,
    asked: u64,
}

impl Policy for Scripted {
    fn model(&self) -> Hash {
        Hash([7; 32])
    }
    fn warmup(&self) -> u32 {
        0
    }
    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}
    fn infer(&mut self, slice: &PolicySlice<'_>, words: &mut [Option<Word>]) {
        let minute = (slice.now - slice.session.open) / MINUTE - 1;
        let said = self.script.get(minute as usize).cloned().unwrap_or_default();
        self.asked += 1;
        for (place, said) in words.iter_mut().zip(said) {
            *place = said.map(|(action, percent)| {
                let q = [1.5, -0.25, 0.0].map(|value| ModelNumber::new(value).unwrap());
                Word { action, confidence: Ratio(percent * 1_000_000), q, features: Hash([9; 32]) }
            });
        }
    }
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.asked.to_le_bytes());
    }
    fn load(&mut self, saved: &[u8]) -> bool {
        saved.try_into().map(|bytes| self.asked = u64::from_le_bytes(bytes)).is_ok()
    }
}

struct Bench {
    core: Core,
    minute: i64,
    symbols: usize,
    said: Vec<Output>,
}

impl Bench {
    fn new(symbols: usize, script: Script, risk: &[(&str, &str)]) -> Self {
        let overrides = risk.iter().map(|(key, value)| (format!("risk.{key}"), (*value).to_owned())).collect();
        let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
        let lot = Quantity::from_units(1);
        let meta = |index: usize| {
            let tick = "0.05".parse().unwrap();
            Instrument { market: "nse".into(), symbol: format!("S{index}"), tick, lot }
        };
        let mut warm: Script = vec![Vec::new(); WARM];
        warm.extend(script);
        let policy = Box::new(Scripted { script: warm, asked: 0 });
        let core = Core::new(Setup {
            instruments: (0..symbols).map(meta).collect(),
            interval: Interval::MINUTE,
            timeframe: None,
            cash: Money::from_units(1_000_000),
            fees: FeeSchedule::parse("none").unwrap(),
            participation_bps: None,
            decide_from: Nanos::MIN,
            warmup_bars: 0,
            strategy: Box::new(PolicyRunner::new(policy, symbols)),
        });
        let zone = 5 * 60 * MINUTE + 30 * MINUTE;
        let mut bench =
            Self { core: core.with_risk(RiskLimits::of(&settings, zone)), minute: 0, symbols, said: Vec::new() };
        for _ in 0..WARM {
            bench.all("100", "101", "99", "100");
        }
        bench
    }

    fn step(&mut self, time: Nanos, body: Body<'_>) {
        let mut out = Outbox::new();
        let cause = Cause { rank: 1, seq: self.minute as u64 };
        self.core.step(&Input { cause, time, body }, &mut out).unwrap();
        self.said.extend_from_slice(out.outputs());
    }

    /// The same candle for every symbol, then the slice.
    fn all(&mut self, open: &str, high: &str, low: &str, close: &str) {
        self.each(&vec![[open, high, low, close]; self.symbols]);
    }

    fn each(&mut self, candles: &[[&str; 4]]) {
        let midnight = 20_000 * DAY - (5 * 60 + 30) * MINUTE;
        let open = Nanos(midnight + (9 * 60 + 15) * MINUTE);
        let hours = SessionHours { date: Date(20_000), open, close: open + LENGTH * MINUTE };
        if self.minute == 0 {
            self.step(hours.open, Body::SessionOpened(hours));
        }
        let open_time = hours.open + self.minute * MINUTE;
        for (index, prices) in candles.iter().enumerate() {
            let [open, high, low, close] = prices.map(|price| price.parse::<Price>().unwrap());
            let volume = Quantity::from_units(1_000_000);
            let interval = Interval::MINUTE;
            let parts = CandleParts { open_time, interval, open, high, low, close, volume, revises: false };
            self.step(open_time + MINUTE, Body::Candle(InstrumentId(index as u32), &Candle::new(parts)));
        }
        self.step(open_time + MINUTE, Body::Slice(Slice { interval: Interval::MINUTE }));
        self.minute += 1;
    }

    fn decisions(&self) -> Vec<(u32, &Decision)> {
        let decisions = self.said.iter().filter_map(|output| match &output.body {
            Conclusion::Decision(decision) => Some((output.stream.0, decision)),
            _ => None,
        });
        decisions.collect()
    }

    /// Rulings of the last slice, by symbol.
    fn rulings(&self) -> Vec<Ruling> {
        let decisions = self.decisions();
        decisions[decisions.len() - self.symbols..].iter().map(|(_, decision)| decision.ruling).collect()
    }

    fn held(&self, index: u32) -> i64 {
        self.core.book(InstrumentId(index)).position.quantity.0 / Quantity::from_units(1).0
    }

    /// Stops that rest at the exchange.
    fn stops(&self, index: u32) -> Vec<String> {
        let working = self.core.book(InstrumentId(index)).working.iter();
        working.filter_map(|order| order.stop.map(|stop| stop.to_string())).collect()
    }

    fn trades(&self) -> Vec<&TradeClosed> {
        let trades = self.said.iter().filter_map(|output| match &output.body {
            Conclusion::Trade(trade) => Some(trade),
            _ => None,
        });
        trades.collect()
    }
}

fn says(action: Action, percent: i64) -> Option<(Action, i64)> {
    Some((action, percent))
}

/// A long from entry to exit: sized by the capital, stopped at two ranges, trailed in R, left on SELL.
#[test]
fn a_long_lives_by_the_rules() {
    let mut script = vec![vec![says(Action::Buy, 60)]];
    script.extend(vec![vec![says(Action::Hold, 50)]; 4]);
    script.push(vec![says(Action::Sell, 10)]);
    let mut bench = Bench::new(1, script, &[("leverage", "2.5"), ("capital_per_ticker", "1000")]);
    bench.all("100", "101", "99", "100");
    assert_eq!(bench.rulings(), [Ruling::EnterLong]);
    bench.all("100", "101", "99", "100.5");
    // floor(1,000 × 2.5 / 100); the range is 2, so the first stop is 96 and one R is 4. The best price 101 puts the
    // trail at 97, then 107 puts it at 103.
    assert_eq!((bench.held(0), bench.stops(0)), (25, vec!["97".to_owned()]));
    bench.all("101", "107", "101", "106");
    assert_eq!(bench.stops(0), ["103"]);
    // RL-26: each move of the stop is journaled as what it is.
    let moves = bench.said.iter().filter_map(|output| match &output.body {
        Conclusion::Tightened(moved) => Some((moved.from.to_string(), moved.to.to_string())),
        Conclusion::Modified(_) => panic!("a stop that is tightened is not merely modified"),
        _ => None,
    });
    let price = |text: &str| text.to_owned();
    assert_eq!(moves.collect::<Vec<_>>(), [(price("96"), price("97")), (price("97"), price("103"))]);
    assert_eq!(bench.rulings(), [Ruling::Keep]);
    bench.all("106", "106", "104", "104");
    assert_eq!(bench.stops(0), ["103"], "never loosened");
    bench.all("104", "104.5", "103.5", "104");
    bench.all("104", "104.5", "103.5", "104");
    assert_eq!((bench.rulings(), bench.held(0)), (vec![Ruling::ExitLongSignal], 25), "it fills at the next open");
    bench.all("104", "104.5", "103.5", "104");
    let trade = bench.trades()[0];
    assert_eq!((trade.exit_reason.as_str(), bench.held(0)), ("exit-long-signal", 0));
    assert!(bench.stops(0).is_empty(), "no stop is left behind");
    let measures = trade.measures.unwrap();
    assert_eq!(measures.stop, Some("96".parse().unwrap()));
    assert_eq!(trade.r_multiple().unwrap().to_string(), "1");
    assert!(measures.rules.broken().next().is_none());
    let entered = bench.decisions()[measures.decision as usize - 1].1;
    assert_eq!((entered.ruling, entered.decision), (Ruling::EnterLong, measures.decision));
    assert_eq!((entered.features, entered.model), (Hash([9; 32]), Hash([7; 32])));
}

/// A short is its mirror, and the stop at the exchange acts between decisions.
#[test]
fn a_short_is_stopped_at_the_exchange() {
    let script = vec![vec![says(Action::Sell, 60)]];
    let mut bench = Bench::new(1, script, &[("capital_per_ticker", "1000")]);
    bench.all("100", "101", "99", "100");
    bench.all("100", "101", "93", "94");
    assert_eq!((bench.held(0), bench.stops(0)), (-10, vec!["97".to_owned()]), "best 93, one R of 4 behind it");
    assert_eq!(bench.rulings(), [Ruling::Keep], "the policy withholds; the trade is still looked after");
    bench.all("94", "98", "94", "95");
    assert_eq!(bench.held(0), 0);
    let trade = bench.trades()[0];
    assert_eq!((trade.side, trade.exit_price.to_string().as_str()), (Side::Sell, "97"));
    assert_eq!(trade.exit_reason.as_str(), "stop");
}

/// A close beyond the trailing stop leaves at the decision too (rule d), here after a gap that no candle filled in.
#[test]
fn a_close_below_the_trail_leaves() {
    let script = vec![vec![says(Action::Buy, 60)]];
    let mut bench = Bench::new(1, script, &[("capital_per_ticker", "1000"), ("trailing_stop_r", "0.1")]);
    bench.all("100", "101", "99", "100");
    // The trail is decided at this close only: 106 less a tenth of R lies above it.
    bench.all("100", "106", "99", "102");
    assert_eq!(bench.rulings(), [Ruling::ExitLongStop]);
    bench.all("102", "103", "101", "102");
    assert_eq!(bench.trades()[0].exit_reason.as_str(), "exit-long-stop");
}

/// RL-16: of all symbols one is entered, the surest; ties by open trade, then by symbol; no more trades than allowed.
#[test]
fn one_symbol_of_a_slice_is_entered() {
    let both = |percent: [i64; 3]| percent.map(|percent| says(Action::Buy, percent)).to_vec();
    let script = vec![both([50, 50, 40]), both([50, 50, 50]), both([90, 90, 90]), both([90, 90, 91])];
    let mut bench = Bench::new(3, script, &[("capital_per_ticker", "1000"), ("max_concurrent_trades", "2")]);
    bench.all("100", "101", "99", "100");
    assert_eq!(bench.rulings(), [Ruling::EnterLong, Ruling::NotChosen, Ruling::NotChosen], "the first by symbol");
    bench.all("100", "101", "99", "100");
    assert_eq!(bench.rulings(), [Ruling::Keep, Ruling::EnterLong, Ruling::NotChosen], "one without a trade first");
    bench.all("100", "101", "99", "100");
    assert_eq!(bench.rulings(), [Ruling::Keep, Ruling::Keep, Ruling::TooManyTrades]);
    assert_eq!([bench.held(0), bench.held(1), bench.held(2)], [10, 10, 0]);
}

/// RL-36: nothing before the start, not even a question; no entry and no trade after the end; flat by the hard end.
#[test]
fn the_hours_of_the_rules() {
    let buy = vec![vec![says(Action::Buy, 60)]; 60];
    let hours = [("capital_per_ticker", "1000"), ("safe_trading_start", "09:31"), ("safe_trading_end", "09:40")];
    let mut bench = Bench::new(1, buy.clone(), &hours);
    assert!(bench.decisions().is_empty(), "the fourteenth bar closed at 09:29");
    bench.all("100", "101", "99", "100");
    assert!(bench.decisions().is_empty());
    bench.all("100", "101", "99", "100");
    assert_eq!(bench.decisions().len(), 1, "asked at 09:31");
    while bench.minute < 24 {
        bench.all("100", "101", "99", "100");
    }
    assert_eq!((bench.rulings(), bench.held(0)), (vec![Ruling::Keep], 10), "09:39");
    bench.all("100", "101", "99", "100");
    assert_eq!(bench.rulings(), [Ruling::ExitAtEnd], "09:40");
    bench.all("100", "101", "99", "100");
    assert_eq!((bench.rulings(), bench.held(0)), (vec![Ruling::AfterEnd], 0));

    let mut bench = Bench::new(1, buy, &[("capital_per_ticker", "1000"), ("hard_trading_end", "09:45:30")]);
    while bench.minute < 29 {
        bench.all("100", "101", "99", "100");
    }
    assert_eq!(bench.held(0), 10, "09:44");
    bench.all("100", "101", "99", "100");
    let tripped = bench.said.iter().any(
        |output| matches!(&output.body, Conclusion::Limit(moved) if moved.limit == LimitKind::HardTradingEnd && moved.flatten),
    );
    assert!(tripped, "09:45: a minute later would be too late");
    bench.all("100", "101", "99", "100");
    assert_eq!(bench.held(0), 0);
    assert_eq!(bench.trades()[0].exit_reason.as_str(), "hard-trading-end");
    bench.all("100", "101", "99", "100");
    bench.all("100", "101", "99", "100");
    assert_eq!(bench.held(0), 0, "and no entry after it");
}

/// RL-27: an entry never fills beyond the guard price.
#[test]
fn an_entry_slips_no_further_than_the_guard() {
    let script = vec![vec![says(Action::Buy, 60)]];
    let mut bench = Bench::new(1, script, &[("capital_per_ticker", "1000"), ("max_slippage_bps", "100")]);
    bench.all("100", "101", "99", "100");
    // It opens at 101.5, beyond 101: the day's order waits, and nothing is decided on top of it.
    bench.all("101.5", "102", "101.05", "101.5");
    assert_eq!((bench.held(0), bench.rulings()), (0, vec![Ruling::Pending]));
    bench.all("101.5", "102", "100", "101");
    assert_eq!(bench.held(0), 10, "it came back");
    let fill = bench.said.iter().find_map(|output| match &output.body {
        Conclusion::Fill(fill) => Some(fill.price.to_string()),
        _ => None,
    });
    assert_eq!(fill.as_deref(), Some("101"));
}

/// RL-35: the session's loss in R, realised and open; locked until the next session, everything left.
#[test]
fn a_session_that_loses_so_many_r_is_over() {
    let buy = vec![vec![says(Action::Buy, 60)]; 40];
    let set = [("capital_per_ticker", "1000"), ("daily_max_loss_r", "1.5"), ("trailing_stop_r", "9")];
    let mut bench = Bench::new(1, buy, &set);
    bench.all("100", "101", "99", "100");
    bench.all("100", "101", "99", "100");
    // In at 100 with a stop at 96; stopped there: one R.
    bench.all("100", "100", "95.5", "96");
    assert_eq!((bench.trades().len(), bench.trades()[0].r_multiple().unwrap().to_string().as_str()), (1, "-1"));
    let trips = |bench: &Bench| {
        let moved = bench.said.iter().filter_map(|output| match &output.body {
            Conclusion::Limit(moved) => Some((moved.limit, moved.allowed.to_string(), moved.observed)),
            _ => None,
        });
        moved.collect::<Vec<_>>()
    };
    assert!(trips(&bench).is_empty());
    bench.all("96", "96", "96", "96");
    assert!(bench.held(0) > 0, "entered again");
    // An open loss of more than half an R is enough now.
    bench.all("96", "96", "93", "93");
    let met = trips(&bench);
    assert_eq!((met.len(), met[0].0, met[0].1.as_str()), (1, LimitKind::DailyLossR, "1.5"));
    assert!(met[0].2 >= Ratio(150_000_000).into());
    bench.all("93", "93", "93", "93");
    assert_eq!((bench.held(0), bench.trades()[1].exit_reason.as_str()), (0, "daily-loss-r"));
    for _ in 0..5 {
        bench.all("93", "93", "93", "93");
    }
    assert_eq!((bench.held(0), trips(&bench).len()), (0, 1), "locked, and told once");
}

#[test]
fn what_cannot_be_entered_is_told() {
    let buy = vec![vec![says(Action::Buy, 60)]; 3];
    let mut poor = Bench::new(1, buy.clone(), &[("capital_per_ticker", "99")]);
    poor.all("100", "101", "99", "100");
    assert_eq!(poor.rulings(), [Ruling::BelowOneLot]);
    let mut deep = Bench::new(1, buy, &[("initial_stop_atr", "51")]);
    deep.all("100", "101", "99", "100");
    assert_eq!(deep.rulings(), [Ruling::NoStop], "a stop below zero is none");
    let working = deep.core.book(InstrumentId(0)).working.iter();
    assert_eq!(working.filter(|order| order.order_type == OrderType::Market).count(), 0);
}
