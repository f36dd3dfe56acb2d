//! The journal's figures: append, scan, open, synced batches, each beside the machine's own limit
//! in the same run.
//!
//! - Frames of 88 bytes (32 of header, 56 of payload), as a candle is.
//! - Ratios are what counts: a raw write, a raw sync and a bare walk over the same bytes are measured
//!   next to the journal's.
//! - `cargo bench --bench journal`; `DAYBOOK_BENCH_GIB=10` sets the size of the journal that is opened.
//! - Must never: measure a path that no caller uses.

#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use daybook_journal::storage::{Files, Storage};
use daybook_journal::{Draft, Journal, Options, Writer};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

const PAYLOAD: [u8; 56] = [7; 56];
const FRAMES: u64 = 2_000_000;

fn draft(seq: u64) -> Draft {
    Draft { time: seq as i64, kind: 1, schema: 1, flags: 0, stream: 3 }
}

fn fill(writer: &mut Writer, frames: u64) {
    for _ in 0..frames {
        let seq = writer.next_seq();
        let mut payload = PAYLOAD;
        payload[..8].copy_from_slice(&seq.to_le_bytes());
        writer.append(draft(seq), &payload).expect("appends");
    }
}

fn journal(dir: &Path, frames: u64) -> Journal {
    let mut writer = Writer::create(dir, Options::default()).expect("creates");
    fill(&mut writer, frames);
    writer.close().expect("closes");
    Journal::open(dir).expect("opens")
}

/// Frames a second, checksums and chain on, handed to the system and not synced.
fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(FRAMES)).sample_size(10);
    let keep = tempfile::tempdir().expect("a directory");
    let mut number = 0;
    let options = Options { sync_segments: false, ..Options::default() };
    group.bench_function("buffered, 88-byte frames", |bencher| {
        bencher.iter_batched(
            || {
                number += 1;
                let dir = keep.path().join(format!("append-{number}"));
                (Writer::create(&dir, options.clone()).expect("creates"), dir)
            },
            |(mut writer, dir)| {
                fill(&mut writer, FRAMES);
                writer.commit().expect("commits");
                drop(writer);
                std::fs::remove_dir_all(dir).expect("removes");
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("the same bytes, raw writes of 256 KiB", |bencher| {
        let chunk = vec![7u8; 256 * 1024];
        let total = FRAMES * 88;
        bencher.iter(|| {
            let path = keep.path().join("raw");
            let file = Files::new().create(&path, total + (1 << 20)).expect("creates");
            let mut offset = 0;
            while offset < total {
                file.write_at(&chunk, offset).expect("writes");
                offset += chunk.len() as u64;
            }
            drop(file);
            std::fs::remove_file(path).expect("removes");
        });
    });
    group.finish();
}

/// Frames a second, warm, one core.
fn scan(criterion: &mut Criterion) {
    let keep = tempfile::tempdir().expect("a directory");
    let journal = journal(&keep.path().join("journal"), FRAMES);
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(FRAMES)).sample_size(10);
    group.bench_function("cursor, checksums checked", |bencher| {
        bencher.iter(|| {
            let mut cursor = journal.cursor(0);
            let mut sum = 0u64;
            while let Some(frame) = cursor.next().expect("sound") {
                sum = sum.wrapping_add(u64::from(frame.payload[0]) + frame.seq);
            }
            black_box(sum)
        });
    });
    group.bench_function("headers only", |bencher| {
        bencher.iter(|| {
            let mut headers = journal.headers(0);
            let mut sum = 0u64;
            while let Some(header) = headers.next().expect("sound") {
                sum = sum.wrapping_add(header.seq);
            }
            black_box(sum)
        });
    });
    let bytes = std::fs::read(keep.path().join("journal/0000000000.segment")).expect("reads");
    group.bench_function("bare CRC-32C over as many bytes", |bencher| {
        bencher.iter(|| {
            let mut sum = 0u64;
            let mut at = 4096;
            for _ in 0..FRAMES {
                at = if at + 88 > bytes.len() { 4096 } else { at };
                sum += u64::from(crc32c::crc32c(&bytes[at + 8..at + 88]));
                at += 88;
            }
            black_box(sum)
        });
    });
    group.finish();
}

/// A batch of one intent made durable, and the same number of bytes written and synced without us.
fn synced(criterion: &mut Criterion) {
    let keep = tempfile::tempdir().expect("a directory");
    for frames in [1u64, 64] {
        let mut group = criterion.benchmark_group(format!("synced batch of {frames}"));
        group.sample_size(20);
        let mut writer =
            Writer::create(&keep.path().join(format!("journal-{frames}")), Options::default()).expect("creates");
        let path = keep.path().join(format!("raw-{frames}"));
        let file = Files::new().create(&path, 64 << 20).expect("creates");
        file.sync().expect("syncs");
        let mut offset = 0;
        // A batch, its commit record and the rest of its last sector.
        let bytes = vec![7u8; (frames as usize * 88 + 96).next_multiple_of(512)];
        let (mut ours, mut raw, mut rounds) = (Duration::ZERO, Duration::ZERO, 0u32);
        group.bench_function("journal and raw, in turn", |bencher| {
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let started = Instant::now();
                    fill(&mut writer, frames);
                    black_box(writer.commit_durable(vec![1]).expect("durable"));
                    let journal = started.elapsed();
                    let started = Instant::now();
                    file.write_at(&bytes, offset).expect("writes");
                    file.sync().expect("syncs");
                    raw += started.elapsed();
                    offset = (offset + bytes.len() as u64) % (60 << 20);
                    ours += journal;
                    rounds += 1;
                    total += journal;
                }
                total
            });
        });
        group.finish();
        println!(
            "synced batch of {frames}: journal {:?}, raw {:?}, ratio {:.3}",
            ours / rounds.max(1),
            raw / rounds.max(1),
            ours.as_secs_f64() / raw.as_secs_f64()
        );
    }
}

/// Opening a large journal.
fn open(criterion: &mut Criterion) {
    let gibibytes: f64 = std::env::var("DAYBOOK_BENCH_GIB").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path().join("journal");
    let frames = (gibibytes * f64::from(1u32 << 30) / 88.0) as u64;
    drop(journal(&dir, frames));
    let mut group = criterion.benchmark_group("open");
    group.sample_size(10);
    group.bench_function(format!("{gibibytes} GiB, reader"), |bencher| {
        bencher.iter(|| Journal::open(&dir).expect("opens").head());
    });
    group.bench_function(format!("{gibibytes} GiB, writer"), |bencher| {
        bencher.iter(|| Writer::open(&dir, Options::default()).expect("opens").head());
    });
    group.finish();
}

criterion_group!(benches, append, scan, synced, open);
criterion_main!(benches);
