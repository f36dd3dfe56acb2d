//! Ingest figures: rows of foreign files into a journal, as a whole, beside the decoding of the columns alone.
//!
//! - Shapes: one file long (one symbol), many files wide (the rows of all merge minute by minute), one CSV.
//! - Wall time: threads and a disk are involved. `--bench ingest -- --test` runs each once.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use daybook_adapters::files::{Batch, CandleFile, ReadOptions};
use daybook_config::Calendar;
use daybook_replay::ingest::{IngestOptions, run};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MINUTE: i64 = 60_000_000;
const START: i64 = 1_704_067_200_000_000; // 2024-01-01, microseconds

/// Seeded prices in steps of 0.05, and volumes: (open, high, low, close, volume) in hundredths.
struct Walk(u64);

impl Walk {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound) as i64
    }

    fn rows(&mut self, count: usize) -> Vec<[i64; 5]> {
        let mut price = 150_000;
        let mut row = || {
            let open = price;
            price = (price + 5 * (self.below(41) - 20)).max(1_000);
            let (above, below) = (5 * self.below(10), 5 * self.below(10));
            [open, open.max(price) + above, (open.min(price) - below).max(5), price, self.below(100_000)]
        };
        (0..count).map(|_| row()).collect()
    }
}

fn write_parquet(path: &Path, rows: &[[i64; 5]]) {
    let times = (0..rows.len() as i64).map(|row| START + row * MINUTE);
    let price = |at: usize| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row[at] as f64 / 100.0)))
    };
    let volume: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row[4])));
    let batch = RecordBatch::try_from_iter([
        ("timestamp", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as ArrayRef),
        ("open", price(0)),
        ("high", price(1)),
        ("low", price(2)),
        ("close", price(3)),
        ("volume", volume),
    ])
    .unwrap();
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap())).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn write_csv(path: &Path, rows: &[[i64; 5]]) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    for (at, [open, high, low, close, volume]) in rows.iter().enumerate() {
        let price = |value: &i64| format!("{}.{:02}", value / 100, value % 100);
        let seconds = START / 1_000_000 + at as i64 * 60;
        writeln!(text, "{seconds},{},{},{},{},{volume}", price(open), price(high), price(low), price(close)).unwrap();
    }
    fs::write(path, text).unwrap();
}

struct Shape {
    name: &'static str,
    files: Vec<PathBuf>,
    rows: u64,
}

fn shapes(dir: &Path) -> Vec<Shape> {
    let mut walk = Walk(42);
    let long = dir.join("LONG_1m.parquet");
    let rows = walk.rows(2_000_000);
    write_parquet(&long, &rows);
    let csv = dir.join("TEXT_1m.csv");
    write_csv(&csv, &rows[..500_000]);
    let wide: Vec<PathBuf> = (0..200).map(|number| dir.join(format!("W{number:03}_1m.parquet"))).collect();
    for path in &wide {
        write_parquet(path, &walk.rows(10_000));
    }
    vec![
        Shape { name: "parquet 1 x 2M", files: vec![long], rows: 2_000_000 },
        Shape { name: "parquet 200 x 10k", files: wide, rows: 2_000_000 },
        Shape { name: "csv 1 x 500k", files: vec![csv], rows: 500_000 },
    ]
}

fn decode(files: &[PathBuf]) -> u64 {
    let mut batch = Batch::default();
    let mut kept = 0;
    for path in files {
        let mut rows = CandleFile::open(path, &ReadOptions::default()).unwrap().rows().unwrap();
        while rows.next(&mut batch).unwrap() {
            kept += batch.rows.len() as u64;
        }
    }
    kept
}

fn ingest(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    for shape in shapes(dir.path()) {
        let mut group = criterion.benchmark_group(shape.name);
        group.sample_size(10).throughput(Throughput::Elements(shape.rows));
        group.bench_function("survey and decode, one thread", |bench| {
            bench.iter(|| assert_eq!(decode(&shape.files), shape.rows));
        });
        let options = IngestOptions::new(shape.files.clone(), journal.clone(), Calendar::generic());
        group.bench_function("into a journal", |bench| {
            bench.iter(|| {
                let report = run(&options, &mut ()).unwrap();
                assert_eq!(report.kept, shape.rows);
                fs::remove_dir_all(&journal).unwrap();
            });
        });
        group.finish();
    }
    // The high-water mark of everything above: generating the files included.
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
}

criterion_group!(benches, ingest);
criterion_main!(benches);
