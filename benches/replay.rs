//! Replay figures: candles through the core, event by event, with orders, costs and the session's journal written.
//!
//! - Both shapes: one symbol long, many symbols wide.
//! - Time is this process's CPU time, as in the figures of other engines; wall time is what the machine was doing.
//! - `frames` prints what a fill costs in the journal and the journal's share of the time.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use daybook_config::{Calendar, Settings, Sources};
use daybook_core::strategy::{Strategy, View};
use daybook_core::{Core, OrderRequest, Outbox, Requests};
use daybook_journal::{Options, Snapshots, Writer};
use daybook_replay::synthetic::{self, Market};
use daybook_replay::{BacktestOptions, BacktestOutcome, Plan, Prepared, ReplayError, Sink, Snapshotting, Source, run};
use daybook_vocabulary::{Candle, Hash, InstrumentId, Interval, Nanos, Price, Quantity, Side};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A market on disk, made once.
struct Shape {
    name: &'static str,
    journal: PathBuf,
    bars: u64,
}

fn shapes(dir: &Path) -> Vec<Shape> {
    let price = Price::from_units(500);
    let long = Market {
        seed: 1,
        symbols: vec![("LONG".to_owned(), price)],
        tick: Price(1_000_000),
        interval: Interval::MINUTE,
        from: "2022-01-01".parse().unwrap(),
        to: "2023-11-26".parse().unwrap(),
    };
    let wide = Market {
        seed: 2,
        symbols: (0..250).map(|number| (format!("W{number:03}"), price)).collect(),
        tick: Price(1_000_000),
        interval: Interval::DAY,
        from: "2022-01-01".parse().unwrap(),
        to: "2022-09-09".parse().unwrap(),
    };
    [("1 x 1M", long), ("250 x 252", wide)]
        .into_iter()
        .map(|(name, market)| {
            let journal = dir.join(name);
            let mut writer = Writer::create(&journal, Options::default()).unwrap();
            let bars = synthetic::write(&market, &Calendar::generic(), &mut writer).unwrap();
            writer.close().unwrap();
            Shape { name, journal, bars }
        })
        .collect()
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// CPU time of `times` calls.
fn timed(times: u64, mut call: impl FnMut()) -> Duration {
    let before = cpu();
    (0..times).for_each(|_| call());
    cpu() - before
}

fn options(shape: &Shape, costs: &str, profile: &str) -> BacktestOptions {
    let overrides = [("costs", costs), ("cash", "1000000000"), ("profile", profile)];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
    let parameters = [("fast", "10"), ("slow", "30"), ("quantity", "10")];
    let parameters: BTreeMap<_, _> = parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    BacktestOptions {
        journals: vec![shape.journal.clone()],
        plan: Plan::new("sma-cross", &parameters, settings).unwrap(),
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

/// A backtest on an open journal (opening has a bench of its own), from the first candle to the closed session.
/// Also says its CPU time; the session is removed outside of it.
fn written(prepared: &Prepared, options: &BacktestOptions, dir: &Path) -> (BacktestOutcome, Duration) {
    let session = tempfile::tempdir_in(dir).unwrap();
    let journal = session.path().join("journal");
    let snapshots = Snapshotting { store: Snapshots::new(&dir.join("cache"), 1), every: 0 };
    let before = cpu();
    let outcome = prepared.replay(options, &journal, snapshots, None, &mut |_| {}).unwrap();
    (outcome, cpu() - before)
}

/// Decides nothing: what is left is the engine.
struct Empty;

impl Strategy for Empty {
    fn warmup(&self) -> u32 {
        0
    }
    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}
    fn decide(&mut self, _: &View<'_>, _: &mut Requests) {}
    fn save(&self, _: &mut Vec<u8>) {}
    fn load(&mut self, saved: &[u8]) -> bool {
        saved.is_empty()
    }
}

/// Takes outputs and forgets them.
struct Forget(u64);

impl Sink for Forget {
    fn commit(&mut self, _: Nanos, out: &mut Outbox) -> Result<bool, ReplayError> {
        self.0 += out.outputs().len() as u64;
        Ok(true)
    }
    fn checkpoint(&mut self, _: &Core, _: &dyn Source) -> Result<(), ReplayError> {
        Ok(())
    }
}

/// The loop alone: no session journal.
fn unwritten(prepared: &Prepared, options: &BacktestOptions, strategy: Option<Box<dyn Strategy>>) -> u64 {
    let mut setup = options.plan.setup(&prepared.selection, &prepared.filter, prepared.range).unwrap();
    if let Some(strategy) = strategy {
        setup.strategy = strategy;
    }
    let mut core = Core::new(setup);
    let mut source = prepared.source(&options.plan).unwrap();
    let mut sink = Forget(0);
    run(&mut source, &mut core, &mut sink, 1 << 20).unwrap();
    core.counts().bars
}

fn replay(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let shapes = shapes(dir.path());
    for shape in &shapes {
        let mut group = criterion.benchmark_group(format!("replay {}", shape.name));
        group.throughput(Throughput::Elements(shape.bars)).sample_size(20);
        let plain = options(shape, "none", "plain");
        let costs = options(shape, "bps:3", "plain");
        // Cap, slippage by volume, bands, session guards, itemised charges and the risk gate, as they are for everyone.
        let realistic = options(shape, "zerodha-intraday", "realistic");
        let prepared = Prepared::open(&costs).unwrap();
        let whole = || {
            let (outcome, time) = written(&prepared, &costs, dir.path());
            assert_eq!(outcome.counts.bars, shape.bars);
            time
        };
        let loop_alone = || assert_eq!(unwritten(&prepared, &costs, None), shape.bars);
        let empty = || assert_eq!(unwritten(&prepared, &plain, Some(Box::new(Empty))), shape.bars);
        group.bench_function("empty strategy", |bench| bench.iter_custom(|times| timed(times, empty)));
        group.bench_function("sma 10/30, nothing written", |bench| {
            bench.iter_custom(|times| timed(times, loop_alone));
        });
        group.bench_function("sma 10/30, costs, session journal", |bench| {
            bench.iter_custom(|times| (0..times).map(|_| whole()).sum());
        });
        group.bench_function("sma 10/30, realistic, session journal", |bench| {
            bench.iter_custom(|times| {
                let run = || written(&prepared, &realistic, dir.path());
                let fills = run().0.counts.fills;
                assert!(fills > 1_000, "a profile under which nothing trades costs nothing: {fills} fills");
                (0..times).map(|_| run().1).sum()
            });
        });
        group.finish();

        let (outcome, _) = written(&prepared, &costs, dir.path());
        let both = (0..5).map(|_| whole()).sum::<Duration>().as_secs_f64();
        let alone = timed(5, loop_alone).as_secs_f64();
        println!(
            "{}: {} bars, {} fills, {:.2} frames per fill, journal's share of the time {:.0} %\n",
            shape.name,
            shape.bars,
            outcome.counts.fills,
            outcome.head.frames as f64 / outcome.counts.fills.max(1) as f64,
            100.0 * (1.0 - alone / both)
        );
    }
}

/// Trades a given number of bars and then rests.
struct Alternate {
    left: u64,
}

impl Strategy for Alternate {
    fn warmup(&self) -> u32 {
        0
    }
    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}
    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        if self.left > 0 && !view.is_pending() {
            self.left -= 1;
            let side = if view.is_flat() { Side::Buy } else { Side::Sell };
            requests.place(OrderRequest::market(side, Quantity::from_units(1), "alternate"));
        }
    }
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.left.to_le_bytes());
    }
    fn load(&mut self, saved: &[u8]) -> bool {
        saved.try_into().map(|bytes| self.left = u64::from_le_bytes(bytes)).is_ok()
    }
}

/// What a fill costs beyond the bars it happens in, from a thousand fills to a million: it must not grow.
fn cost_per_fill(_: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let shape = &shapes(dir.path())[0];
    let costs = options(shape, "bps:3", "plain");
    let prepared = Prepared::open(&costs).unwrap();
    // The least of several runs: what else the machine did only ever adds.
    let cpu_of = |fills: u64| {
        let runs = (0..7).map(|_| {
            timed(1, || {
                let done = unwritten(&prepared, &costs, Some(Box::new(Alternate { left: fills })));
                assert_eq!(done, shape.bars);
            })
        });
        runs.min().unwrap().as_secs_f64()
    };
    for fills in [1_000, 10_000, 100_000, 1_000_000] {
        let (without, with) = (cpu_of(0), cpu_of(fills));
        let nanos = (with - without) * 1e9 / fills as f64;
        println!("{fills:>9} fills: {:.2} ms in all, {nanos:.0} ns a fill beyond its bars", with * 1e3);
    }
}

criterion_group!(benches, replay, cost_per_fill);
criterion_main!(benches);
