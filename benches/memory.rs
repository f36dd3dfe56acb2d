//! Replay memory figures: a journal folded into transitions by the core, with a policy that decides at random.
//!
//! - Ten symbols, a year of 5-minute candles, two timeframes with the usual look-backs; rules, charges and stops as in
//!   trading. What a network would cost is not in it.
//! - Time is this process's CPU time, reading the journal included. Bytes per transition are printed first.

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use daybook_config::{Calendar, Settings, Sources};
use daybook_features::Timeframe;
use daybook_journal::{Options, Writer};
use daybook_replay::memory::{Epsilon, Populate, RewardFormula, populate};
use daybook_replay::synthetic::{self, Market};

use daybook_vocabulary::{Interval, Price};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn settings() -> Settings {
    let overrides = [
        ("costs", "zerodha-intraday"),
        ("risk.safe_trading_start", "09:30"),
        ("risk.safe_trading_end", "15:00"),
        ("risk.hard_trading_end", "15:15"),
        ("risk.max_concurrent_trades", "5"),
    ];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Settings::resolve(Sources { overrides, ..Sources::default() }).expect("settings").settings
}

fn memory(criterion: &mut Criterion) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let market = Market {
        seed: 1,
        symbols: (0..10).map(|number| (format!("M{number:02}"), Price::from_units(500))).collect(),
        tick: Price(5_000_000),
        interval: Interval::minutes(5),
        from: "2024-01-01".parse().expect("a date"),
        to: "2024-12-31".parse().expect("a date"),
    };
    let journal = dir.path().join("m");
    let mut writer = Writer::create(&journal, Options::default()).expect("a journal");
    synthetic::write(&market, &Calendar::nse(), &mut writer).expect("a market");
    writer.close().expect("a whole journal");
    let settings = settings();
    let options = Populate {
        journals: vec![journal],
        symbols: Vec::new(),
        timeframes: vec![
            Timeframe { interval: Interval::minutes(5), lookback: 256 },
            Timeframe { interval: Interval::minutes(15), lookback: 128 },
        ],
        from: None,
        to: None,
        holdout: None,
        settings: &settings,
        reward: RewardFormula::MarkedR,
        epsilon: Epsilon::RANDOM,
        inside: None,
    };
    let once = || populate(&options, &mut |_| {}).expect("a memory");
    let memory = once();
    let transitions = memory.transitions().len();
    println!(
        "{transitions} transitions, {} trades; {} bytes a transition, {:.1} MB of features",
        memory.trades().len(),
        memory.bytes_per_transition(),
        memory.features().bytes() as f64 / 1e6
    );
    drop(memory);
    let mut group = criterion.benchmark_group("memory");
    group.throughput(Throughput::Elements(transitions as u64)).sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10));
    group.bench_function("random policy", |bencher| {
        bencher.iter_custom(|times| {
            let before = cpu();
            (0..times).for_each(|_| drop(once()));
            cpu() - before
        });
    });
    group.finish();
}

criterion_group!(benches, memory);
criterion_main!(benches);
