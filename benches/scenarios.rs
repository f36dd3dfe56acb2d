//! Whole scenarios with the realistic profile and a written session journal, against the figures of other engines.
//!
//! - BT-29: 500 symbols, 252 days (126,000 bars) and a volatility index; the top 25 by score at 4 % each; stop at two
//!   ranges, decaying trail, 60 bars, nothing bought above an index of 30. The original takes 11.2 s; ours has 0.2 s.
//! - BT-08: 63,000 bars (250 symbols × 252 days) and 1,260,000 (250 × 5,040), realistic profile: at least 60 × the
//!   original's 47,770 events a second.
//! - Time is this process's CPU time; the journals of history are made once and are open when the clock starts.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use daybook_config::{Calendar, Settings, Sources};
use daybook_journal::{Options, Snapshots, Writer};
use daybook_replay::synthetic::{self, Market};
use daybook_replay::{BacktestOptions, BacktestOutcome, Plan, Prepared, Snapshotting};
use daybook_vocabulary::{Date, Hash, Interval, Price};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Events a second of the original (BT-08).
const ORIGINAL: f64 = 47_770.0;

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// A market on disk: so many stocks, and the index where one is named; says where it is and its bars.
fn market(dir: &Path, stocks: usize, days: i32, index: Option<&str>) -> (PathBuf, u64) {
    let mut symbols: Vec<_> = (0..stocks).map(|number| (format!("S{number:03}"), Price::from_units(500))).collect();
    symbols.extend(index.map(|name| (name.to_owned(), Price::from_units(20))));
    let from: Date = "2005-01-01".parse().expect("a date");
    let market = Market {
        seed: 29,
        symbols,
        tick: "0.05".parse().expect("a tick"),
        interval: Interval::DAY,
        from,
        to: Date(from.0 + days - 1),
    };
    let journal = dir.join(format!("{stocks}x{days}"));
    let mut writer = Writer::create(&journal, Options::default()).expect("a new journal");
    let bars = synthetic::write(&market, &Calendar::generic(), &mut writer).expect("a market");
    writer.close().expect("closed");
    (journal, bars)
}

fn options(journal: &Path, strategy: &str, set: &[(&str, &str)], more: &[(&str, &str)]) -> BacktestOptions {
    let pairs =
        |list: &[(&str, &str)]| list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut overrides: Vec<(String, String)> = pairs(more);
    overrides.extend([("cash", "10000000"), ("profile", "realistic")].map(|(key, value)| (key.into(), value.into())));
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).expect("settings").settings;
    let parameters: BTreeMap<String, String> =
        set.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    BacktestOptions {
        journals: vec![journal.to_owned()],
        plan: Plan::new(strategy, &parameters, settings).expect("a strategy"),
        symbols: Vec::new(),
        interval: None,
        from: None,
        to: None,
        warmup: None,
        out: PathBuf::new(),
        force: false,
        binary: Hash::default(),
    }
}

/// A backtest on open journals, from the first candle to the closed session journal, and its CPU time.
fn run(prepared: &Prepared, options: &BacktestOptions, dir: &Path) -> (BacktestOutcome, Duration) {
    let session = tempfile::tempdir_in(dir).expect("a folder");
    let snapshots = Snapshotting { store: Snapshots::new(&dir.join("cache"), 1), every: 0 };
    let before = cpu();
    let journal = session.path().join("journal");
    let outcome = prepared.replay(options, &journal, snapshots, None, &mut |_| {}).expect("a backtest");
    (outcome, cpu() - before)
}

fn scenario(criterion: &mut Criterion, name: &str, dir: &Path, options: &BacktestOptions, bars: u64, figure: &str) {
    let prepared = Prepared::open(options).expect("the market");
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(bars)).sample_size(10);
    group.bench_function("realistic, session journal", |bench| {
        bench.iter_custom(|times| (0..times).map(|_| run(&prepared, options, dir).1).sum());
    });
    group.finish();
    let best = (0..5).map(|_| run(&prepared, options, dir)).min_by_key(|(_, time)| *time).expect("five runs");
    let (outcome, seconds) = (best.0, best.1.as_secs_f64());
    assert_eq!(outcome.counts.bars, bars);
    assert!(outcome.counts.trades > 0, "a scenario without a trade measures nothing");
    let rate = bars as f64 / seconds;
    println!(
        "{name}: {bars} bars, {} orders, {} trades in {seconds:.3} s: {:.2} M bars/s, {:.0} × BT-08's figure; {figure}\n",
        outcome.counts.orders,
        outcome.counts.trades,
        rate / 1e6,
        rate / ORIGINAL
    );
}

fn scenarios(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, bars) = market(dir.path(), 500, 252, Some("INDIAVIX"));
    let ranked = options(
        &journal,
        "top-score",
        &[("filter", "INDIAVIX")],
        &[("risk.max_concurrent_trades", "25"), ("costs", "none")],
    );
    scenario(criterion, "BT-29 500 x 252", dir.path(), &ranked, bars, "asked for: below 0.2 s");
    for (name, days) in [("BT-08 250 x 252", 252), ("BT-08 250 x 5040", 5_040)] {
        let (journal, bars) = market(dir.path(), 250, days, None);
        let crossing = options(&journal, "sma-cross", &[("quantity", "10")], &[("costs", "bps:3")]);
        scenario(criterion, name, dir.path(), &crossing, bars, "asked for: 60 ×");
    }
}

criterion_group!(benches, scenarios);
criterion_main!(benches);
