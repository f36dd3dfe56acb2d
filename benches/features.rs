//! Feature figures: bars through feature specification v1 on one core, and through a few indicators.
//!
//! - The market is seeded; bars are in memory, so that what is measured is the computation.
//! - Time is this process's CPU time on one thread.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use daybook_features::spec::FeatureStream;
use daybook_features::{Bar, Session, parse_indicators};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::{HOUR, MINUTE};
use daybook_vocabulary::{Candle, Date, Interval, Nanos, Price, Quantity};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;

/// CPU time of `times` calls.
fn timed<T>(times: u64, mut call: impl FnMut() -> T) -> Duration {
    let cpu = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let before = cpu();
    (0..times).for_each(|_| {
        black_box(call());
    });
    cpu() - before
}

/// A year and a half of 5-minute bars, 75 a session.
fn market() -> Vec<(Session, Candle)> {
    let mut state = 7u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % bound) as i64
    };
    let begin: Date = "2024-01-01".parse().expect("a date");
    let (mut close, mut month_opens, mut month) = (20_000i64, Nanos(0), String::new());
    let mut bars = Vec::new();
    for day in 0..550 {
        let date = Date(begin.0 + day);
        let open = date.midnight() + (3 * HOUR + 45 * MINUTE);
        if date.to_string()[..7] != month {
            month = date.to_string()[..7].to_owned();
            month_opens = open;
        }
        let close_time = open + 375 * MINUTE;
        let session = Session {
            date,
            open,
            close: close_time,
            end: close_time,
            early_close: false,
            month_opens,
            year_opens: open,
        };
        for bar in 0..75 {
            let first = close;
            close = (close + below(41) - 20).max(1_000);
            let (high, low) = (close.max(first) + below(11), close.min(first) - below(11));
            let [open_price, high, low, last] = [first, high, low, close].map(|ticks| Price(ticks * 5_000_000));
            let parts = CandleParts {
                open_time: open + bar * 5 * MINUTE,
                interval: Interval::minutes(5),
                open: open_price,
                high,
                low,
                close: last,
                volume: Quantity(below(5_000) * 100_000_000),
                revises: false,
            };
            bars.push((session, Candle::new(parts)));
        }
    }
    bars
}

fn features(criterion: &mut Criterion) {
    let bars = market();
    let mut group = criterion.benchmark_group("features");
    group.throughput(Throughput::Elements(bars.len() as u64)).sample_size(20);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    group.bench_function("specification v1", |bencher| {
        let once = || {
            let mut stream = FeatureStream::new();
            bars.iter()
                .filter_map(|(session, candle)| stream.push(&Bar { candle, session }))
                .map(|row| row[0])
                .sum::<f32>()
        };
        bencher.iter_custom(|times| timed(times, once));
    });
    for list in ["rsi(14),atr(14),macd(12,26,9)", "sma(200)", "median(20)", "bollinger(20)"] {
        group.bench_function(list, |bencher| {
            let once = || {
                let mut indicators = parse_indicators(list).expect("a list of indicators");
                let mut sum = 0.0;
                for (session, candle) in &bars {
                    for one in &mut indicators {
                        one.indicator.observe(&Bar { candle, session });
                        sum += one.indicator.read(0).unwrap_or(0.0);
                    }
                }
                sum
            };
            bencher.iter_custom(|times| timed(times, once));
        });
    }
    group.finish();
}

criterion_group!(benches, features);
criterion_main!(benches);
