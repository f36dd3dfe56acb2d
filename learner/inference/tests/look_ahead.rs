//! No look-ahead with a model that decides: whatever comes after a bar, every decision up to it stays, bit for bit.
//!
//! - A small network of seeded parameters trades two made-up symbols through the core, under the decision rules.
//! - The future is cut off, or scrambled; what was said before is compared as a whole, decisions with their raw values.

use daybook_config::{Calendar, FeeSchedule, Settings, Sources};
use daybook_core::policy::PolicyRunner;
use daybook_core::risk::RiskLimits;
use daybook_core::{Body, Conclusion, Core, Input, Outbox, Output, SessionHours, Setup, Slice};
use daybook_features::spec::{FEATURE_SPEC_VERSION, FEATURES, feature_spec_hash};
use daybook_inference::{LearnedPolicy, Model, ModelFacts, Network, Scaler, Shape};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{Candle, Cause, Date, Instrument, InstrumentId, Interval, Money, Nanos, Price, Quantity};
use std::collections::BTreeMap;
use std::sync::Arc;

const BAR: i64 = 75 * MINUTE;
const SYMBOLS: usize = 2;

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

enum Step {
    Opened(SessionHours),
    Bar(usize, Candle),
    Slice(Nanos),
    Closed(Nanos),
}

/// Sessions of five bars from January to the middle of March 2024: decisions begin in February.
fn steps(random: &mut Random) -> Vec<Step> {
    let calendar = Calendar::nse();
    let mut last = [100_000i64; SYMBOLS];
    let mut steps = Vec::new();
    let dates = (0..75).map(|day| Date(19_723 + day));
    for session in dates.filter_map(|date| Some((date, calendar.session_for_data(date)?))) {
        let hours = SessionHours { date: session.0, open: session.1.open(), close: session.1.close() };
        steps.push(Step::Opened(hours));
        let bars = (hours.close - hours.open) / BAR;
        for bar in 0..bars {
            for (symbol, last) in last.iter_mut().enumerate() {
                let mut moved = |from: i64| (from + random.below(2_001) as i64 - 1_000).clamp(50_000, 200_000);
                let (open, close) = (*last, moved(*last));
                let (high, low) = (open.max(close) + 100, open.min(close) - 100);
                *last = close;
                steps.push(Step::Bar(symbol, candle(hours.open + bar * BAR, [open, high, low, close])));
            }
            steps.push(Step::Slice(hours.open + (bar + 1) * BAR));
        }
        steps.push(Step::Closed(hours.close));
    }
    steps
}

/// Prices in hundredths.
fn candle(open_time: Nanos, prices: [i64; 4]) -> Candle {
    let [open, high, low, close] = prices.map(|hundredths| Price(hundredths * 1_000_000));
    let (interval, volume) = (Interval::minutes(75), Quantity::from_units(1_000));
    Candle::new(CandleParts { open_time, interval, open, high, low, close, volume, revises: false })
}

fn model(seed: u64) -> Arc<Model> {
    let shape = Shape::new(FEATURES, &[("75m", 8)]).expect("a shape");
    let mut random = Random(seed);
    let parameters = (0..shape.parameter_count()).map(|_| random.below(2_000) as f32 / 2_000.0 - 0.5).collect();
    let network = Network::new(shape, parameters, vec![Scaler::identity(FEATURES)]).expect("a network");
    let facts = ModelFacts {
        feature_version: FEATURE_SPEC_VERSION,
        feature_hash: feature_spec_hash().to_string(),
        steps: 1,
        seed,
        symbols: vec!["S0".to_owned(), "S1".to_owned()],
        lineage: BTreeMap::new(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    Model::write(&network, &facts, &path).expect("written");
    Arc::new(Model::read(&path).expect("read"))
}

fn core(model: &Arc<Model>) -> Core {
    let path = std::path::Path::new("model.safetensors");
    let interval = Interval::minutes(75);
    let policy = LearnedPolicy::new(Arc::clone(model), path, Calendar::nse(), interval, SYMBOLS).expect("a policy");
    let instrument = |index: usize| Instrument {
        market: "nse".into(),
        symbol: format!("S{index}"),
        tick: Price(5_000_000),
        lot: Quantity::from_units(1),
    };
    let overrides = vec![("risk.max_concurrent_trades".to_owned(), "1".to_owned())];
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).expect("settings").settings;
    let core = Core::new(Setup {
        instruments: (0..SYMBOLS).map(instrument).collect(),
        interval,
        timeframe: None,
        cash: Money::from_units(1_000_000),
        fees: FeeSchedule::parse("bps:3").expect("a schedule"),
        participation_bps: None,
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        strategy: Box::new(PolicyRunner::new(Box::new(policy), SYMBOLS)),
    });
    core.with_risk(RiskLimits::of(&settings, Calendar::nse().zone_offset()))
}

/// What was said at each step.
fn play(core: &mut Core, steps: &[Step]) -> Vec<Vec<Output>> {
    let (mut said, mut now) = (Vec::new(), Nanos::MIN);
    for (seq, step) in (1u64..).zip(steps) {
        let mut out = Outbox::new();
        let (time, body) = match step {
            Step::Opened(hours) => (hours.open, Body::SessionOpened(*hours)),
            Step::Bar(symbol, candle) => (candle.open_time() + BAR, Body::Candle(InstrumentId(*symbol as u32), candle)),
            Step::Slice(time) => (*time, Body::Slice(Slice { interval: Interval::minutes(75) })),
            Step::Closed(time) => (*time, Body::SessionClosed),
        };
        now = now.max(time);
        core.step(&Input { cause: Cause { rank: 1, seq }, time: now, body }, &mut out).expect("stepped");
        said.push(out.outputs().to_vec());
    }
    said
}

#[test]
fn nothing_that_comes_later_changes_what_a_model_decided() {
    let (mut decided, mut changed) = (0, 0);
    for seed in 1..=4u64 {
        let random = &mut Random(seed);
        let steps = steps(random);
        let model = model(seed);
        let outputs = play(&mut core(&model), &steps);
        let is_decision = |output: &&Output| matches!(output.body, Conclusion::Decision(_));
        decided += outputs.iter().flatten().filter(is_decision).count();
        // After the features are complete, so that there is something to change.
        let cut = steps.len() * 3 / 4 + random.below(steps.len() as u64 / 8) as usize;
        assert_eq!(play(&mut core(&model), &steps[..cut]), outputs[..cut], "seed {seed}, cut at {cut}");
        let scramble = |(index, step): (usize, &Step)| match step {
            Step::Bar(symbol, bar) if index >= cut => {
                let close = 50_000 + (index as i64 * 7_919 + seed as i64 * 104_729) % 150_000;
                Step::Bar(*symbol, candle(bar.open_time(), [close, close + 300, close - 300, close]))
            }
            Step::Bar(symbol, bar) => Step::Bar(*symbol, *bar),
            Step::Opened(hours) => Step::Opened(*hours),
            Step::Slice(time) => Step::Slice(*time),
            Step::Closed(time) => Step::Closed(*time),
        };
        let scrambled: Vec<Step> = steps.iter().enumerate().map(scramble).collect();
        let other = play(&mut core(&model), &scrambled);
        assert_eq!(other[..cut], outputs[..cut], "seed {seed}, scrambled from {cut}");
        changed += usize::from(other != outputs);
    }
    assert!(decided > 400, "{decided} decisions: a model that is never asked proves nothing");
    assert_eq!(changed, 4, "scrambling the future changes the future");
}
