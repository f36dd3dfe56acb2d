//! Books and trades of a journal as inputs: one order within an instant, whatever they were ingested from, and a source
//! that is taken up between any two of them.

use daybook_config::Calendar;
use daybook_core::Body;
use daybook_features::columns::{Cell, Column, ColumnType, ColumnWriter, Format};
use daybook_replay::ingest::{IngestOptions, run};
use daybook_replay::{History, HistorySource, Position, Range, Selection, Source, select};
use daybook_vocabulary::{Interval, Nanos};
use std::path::{Path, PathBuf};

const SECOND: i64 = 1_000_000_000;

/// Snapshots of a symbol in whole seconds: a book, and the day's volume, from which the trades in between follow. Some
/// seconds are left out, so that the symbols do not always meet.
fn write_books(path: &Path, symbol: &str, skips: i64) {
    let mut columns = vec![Column::new("symbol", ColumnType::Utf8), Column::new("timestamp", ColumnType::Timestamp)];
    columns.extend([Column::new("last_price", ColumnType::F64), Column::new("volume_cum", ColumnType::I64)]);
    for side in ["bid", "ask"] {
        for level in 1..=5 {
            columns.push(Column::new(&format!("{side}_px_{level}"), ColumnType::F64));
            columns.push(Column::new(&format!("{side}_qty_{level}"), ColumnType::I64));
        }
    }
    let mut writer = ColumnWriter::create(path, &columns, Format::Parquet).unwrap();
    let open: Nanos = "2025-06-02T09:15:00+05:30".parse().unwrap();
    for second in (0..150i64).filter(|second| second % skips != 0) {
        let price = 100.0 + (second / 10) as f64 * 0.1;
        let mut row = vec![Cell::Text(symbol), Cell::Time(open + second * SECOND), Cell::F64(price)];
        row.push(Cell::I64(1_000 + second * 7));
        for (best, step) in [(price - 0.1, -0.1), (price + 0.1, 0.1)] {
            for level in 0..5 {
                row.extend([Cell::F64(best + step * f64::from(level)), Cell::I64(40)]);
            }
        }
        writer.append(&row).unwrap();
    }
    writer.finish().unwrap();
}

fn ingest(dir: &Path, files: &[&str], journal: &str) -> History {
    let files: Vec<PathBuf> = files.iter().map(|name| dir.join(name)).collect();
    let mut options = IngestOptions::new(files, dir.join(journal), Calendar::nse());
    options.segments.segment_bytes = 256 * 1024;
    options.segments.sync_segments = false;
    run(&options, &mut ()).unwrap();
    History::open(&dir.join(journal)).unwrap()
}

/// An input without the place it came from.
fn said(source: &HistorySource) -> String {
    let input = source.input();
    let what = match input.body {
        Body::Print(id, print) => format!("{} print {} {}", id.0, print.price(), print.quantity()),
        Body::Quote(id, quote) => format!("{} quote {:?}", id.0, quote),
        Body::Depth(id, depth) => format!("{} depth {:?}", id.0, depth.mid()),
        Body::Slice(_) => "slice".to_owned(),
        Body::SessionOpened(hours) => format!("opened {}", hours.date),
        Body::SessionClosed => "closed".to_owned(),
        _ => panic!("{:?}", input.body),
    };
    format!("{} {what}", input.time)
}

fn rest(source: &mut HistorySource) -> Vec<String> {
    let mut all = Vec::new();
    while source.advance().unwrap() {
        all.push(said(source));
    }
    all
}

struct Told {
    histories: Vec<History>,
    selection: Selection,
}

impl Told {
    fn of(histories: Vec<History>) -> Self {
        let selection = select(&histories, &[], Some(Interval::MINUTE)).unwrap();
        Self { histories, selection }
    }

    fn source(&self) -> HistorySource {
        HistorySource::new(&self.histories, &self.selection, Calendar::nse(), Range::ALL, 0).unwrap()
    }

    fn resume(&self, position: Position) -> HistorySource {
        let Position::History(position) = position else { panic!("history stands in history") };
        // What is kept in a snapshot is bytes.
        let bytes = postcard::to_stdvec(&*position).unwrap();
        let position = postcard::from_bytes(&bytes).unwrap();
        HistorySource::resume(&self.histories, &self.selection, Calendar::nse(), Range::ALL, position).unwrap()
    }
}

#[test]
fn an_instant_has_one_order_and_can_be_left_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    write_books(&dir.path().join("A_books.parquet"), "A", 7);
    write_books(&dir.path().join("B_books.parquet"), "B", 11);
    let one = Told::of(vec![ingest(dir.path(), &["B_books.parquet", "A_books.parquet"], "both")]);
    let several =
        Told::of(vec![ingest(dir.path(), &["B_books.parquet"], "b"), ingest(dir.path(), &["A_books.parquet"], "a")]);
    let all = rest(&mut one.source());
    assert_eq!(rest(&mut several.source()), all, "the number of journals and their order change nothing");

    // The slice of 09:16 decides by what was known before it; then the trade of each symbol, then its book.
    let slice = all.iter().position(|what| what.contains("03:46:00Z slice")).expect("a minute ended");
    let words: Vec<&str> = all[slice - 1..slice + 5].iter().map(|what| what.split(' ').nth(1).unwrap()).collect();
    assert!(all[slice - 1].contains("03:45:59Z"), "{all:?}");
    assert_eq!(words[1..], ["slice", "0", "0", "1", "1"], "{words:?}");
    let kinds: Vec<&str> = all[slice + 1..slice + 5].iter().map(|what| what.split(' ').nth(2).unwrap()).collect();
    assert_eq!(kinds, ["print", "depth", "print", "depth"]);

    for told in [&one, &several] {
        for stop in 0..=all.len() {
            let mut source = told.source();
            for _ in 0..stop {
                assert!(source.advance().unwrap());
            }
            let mut again = told.resume(source.position());
            assert_eq!(rest(&mut again), all[stop..], "taken up after {stop} inputs");
        }
    }
}
