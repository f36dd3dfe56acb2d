//! The README's strategy, compiled and traded exactly as it is printed there.
//!
//! - `strategy/breakout.rs` is the text of the README, to the letter (tests/tidy compares them). The modules around it
//!   are what it would find in `engine/core/src`.
//! - Must never: help the strategy; what works here must work when it is copied.

mod orders;
mod strategy;

use daybook_config::fees::FeeSchedule;
use daybook_core::strategy::{Parameters, Rule, Strategy, View};
use daybook_core::{Body, Conclusion, Core, Input, Outbox, Requests, SessionHours, Setup, Slice};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{Candle, Cause, Instrument, InstrumentId, Interval, Nanos, Price, Quantity, Side};
use std::collections::BTreeMap;
use strategy::Breakout;

const INTERVAL: Interval = Interval(300);

/// The engine keeps one copy per instrument; here there is one instrument.
struct Only(Breakout);

impl Strategy for Only {
    fn warmup(&self) -> u32 {
        self.0.warmup()
    }
    fn on_bar(&mut self, _: InstrumentId, bar: &Candle) {
        self.0.on_bar(bar);
    }
    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        self.0.decide(view, requests);
    }
    fn save(&self, out: &mut Vec<u8>) {
        out.extend(serde_json::to_vec(&self.0).expect("its state is plain data"));
    }
    fn load(&mut self, saved: &[u8]) -> bool {
        serde_json::from_slice(saved).map(|rule| self.0 = rule).is_ok()
    }
}

fn breakout(given: &[(&str, &str)]) -> Result<Breakout, String> {
    let given: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let parameters = Parameters::resolve(Breakout::NAME, Breakout::PARAMETERS, &given).map_err(|e| e.to_string())?;
    Breakout::new(&parameters).map_err(|error| error.to_string())
}

fn core(rule: Breakout) -> Core {
    let instrument = Instrument {
        market: "generic".to_owned(),
        symbol: "ACME".to_owned(),
        tick: Price::ZERO,
        lot: Quantity::from_units(1),
    };
    Core::new(Setup {
        instruments: vec![instrument],
        interval: INTERVAL,
        timeframe: None,
        cash: "1000000".parse().expect("an amount"),
        fees: FeeSchedule::parse("none").expect("a schedule"),
        participation_bps: None,
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        strategy: Box::new(Only(rule)),
    })
}

/// Feeds one bar after another, each from its close less 1 to its close plus 1, and collects what was concluded.
fn trade(core: &mut Core, closes: &[i64]) -> Vec<Conclusion> {
    let mut outbox = Outbox::new();
    let step = |core: &mut Core, outbox: &mut Outbox, time: i64, seq: usize, body: Body<'_>| {
        let cause = Cause { rank: 1, seq: seq as u64 };
        core.step(&Input { cause, time: Nanos(time), body }, outbox).expect("inputs are in order");
    };
    let hours = SessionHours {
        date: "2024-01-01".parse().expect("a date"),
        open: Nanos(0),
        close: Nanos(MINUTE * 5 * closes.len() as i64),
    };
    step(core, &mut outbox, 0, 0, Body::SessionOpened(hours));
    for (index, &close) in closes.iter().enumerate() {
        let open_time = MINUTE * 5 * index as i64;
        let candle = Candle::new(CandleParts {
            open_time: Nanos(open_time),
            interval: INTERVAL,
            open: Price::from_units(close),
            high: Price::from_units(close + 1),
            low: Price::from_units(close - 1),
            close: Price::from_units(close),
            volume: Quantity::from_units(1_000),
            revises: false,
        });
        let time = open_time + MINUTE * 5;
        step(core, &mut outbox, time, index, Body::Candle(InstrumentId(0), &candle));
        step(core, &mut outbox, time, index, Body::Slice(Slice { interval: INTERVAL }));
    }
    outbox.outputs().iter().map(|output| output.body.clone()).collect()
}

#[test]
fn it_buys_above_the_range_and_sells_below_it() {
    let mut core = core(breakout(&[("bars", "3"), ("quantity", "10")]).expect("good parameters"));
    // 103 is above 100 + 1; the next bar opens at 104. 99 is below 102 - 1, the lowest of 103, 104, 105; then 98.
    let concluded = trade(&mut core, &[100, 100, 100, 103, 104, 105, 99, 98]);
    let fills: Vec<_> = concluded
        .iter()
        .filter_map(|conclusion| match conclusion {
            Conclusion::Fill(fill) => Some((fill.side, fill.quantity, fill.price)),
            _ => None,
        })
        .collect();
    let ten = Quantity::from_units(10);
    assert_eq!(fills, [(Side::Buy, ten, Price::from_units(104)), (Side::Sell, ten, Price::from_units(98))]);
    assert_eq!(core.counts().trades, 1);
}

#[test]
fn it_waits_for_its_range_and_for_a_real_breakout() {
    let mut core = core(breakout(&[("bars", "3")]).expect("good parameters"));
    // Three rising bars are no range yet; then every close lies within it.
    trade(&mut core, &[100, 110, 120, 121, 115, 116]);
    assert_eq!(core.counts().orders, 0);
}

#[test]
fn its_parameters_are_checked() {
    let refused = breakout(&[("bars", "0")]).expect_err("no bars are no range");
    assert_eq!(refused, "bars=0 does not do: expected a whole number from 1 to 10000");
    let unknown = breakout(&[("bar", "3")]).expect_err("there is no such parameter");
    assert_eq!(unknown, "breakout has no parameter 'bar'; it takes bars, quantity");
}

#[test]
fn a_snapshot_goes_on_as_the_whole() {
    let closes = [100, 100, 100, 103, 104, 105, 99, 98];
    let mut whole = core(breakout(&[("bars", "3")]).expect("good parameters"));
    trade(&mut whole, &closes);
    let mut saved = Vec::new();
    whole.save(&mut saved);
    let mut restored = core(breakout(&[("bars", "3")]).expect("good parameters"));
    restored.load(&saved).expect("the same setup");
    let mut again = Vec::new();
    restored.save(&mut again);
    assert_eq!(again, saved);
}
