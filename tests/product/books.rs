//! Files of books, quotes and trades through the real binary: ingested, traded against level by level, audited; what
//! cannot be read is refused and says why.
//!
//! - Files are made here; every test works in a directory of its own.

use crate::desk::Desk;
use daybook_features::columns::{Cell, Column, ColumnType, ColumnWriter, Format};
use daybook_vocabulary::Nanos;
use std::path::Path;

const SECOND: i64 = 1_000_000_000;

/// Five levels a side around a price, so many shares a level.
struct Snapshot {
    second: i64,
    last: f64,
    volume: i64,
    bid: f64,
    ask: f64,
    shares: i64,
}

/// 2025-06-02, the exchange's clock.
fn at(second_of_day: i64) -> Nanos {
    let midnight: Nanos = "2025-06-02T00:00:00+05:30".parse().unwrap();
    midnight + second_of_day * SECOND
}

const OPEN: i64 = 33_300;

/// Writes snapshots as a feed does; `inwards` puts the second bid above the first.
fn write_books(path: &Path, snapshots: &[Snapshot], inwards: bool) {
    let mut columns = vec![Column::new("symbol", ColumnType::Utf8), Column::new("timestamp", ColumnType::Timestamp)];
    columns.extend([Column::new("last_price", ColumnType::F64), Column::new("volume_cum", ColumnType::I64)]);
    for side in ["bid", "ask"] {
        for level in 1..=5 {
            columns.push(Column::new(&format!("{side}_px_{level}"), ColumnType::F64));
            columns.push(Column::new(&format!("{side}_qty_{level}"), ColumnType::I64));
        }
    }
    let mut writer = ColumnWriter::create(path, &columns, Format::Parquet).unwrap();
    for snapshot in snapshots {
        let mut row = vec![Cell::Text("X"), Cell::Time(at(snapshot.second)), Cell::F64(snapshot.last)];
        row.push(Cell::I64(snapshot.volume));
        for (best, step) in [(snapshot.bid, if inwards { 0.1 } else { -0.1 }), (snapshot.ask, 0.1)] {
            for level in 0..5 {
                row.extend([Cell::F64(best + step * f64::from(level)), Cell::I64(snapshot.shares)]);
            }
        }
        writer.append(&row).unwrap();
    }
    writer.finish().unwrap();
}

/// Ten minutes, a snapshot every ten seconds; the price rises by a tenth a minute.
fn morning() -> Vec<Snapshot> {
    let snapshot = |number: i64| {
        let last = 100.0 + (number / 6) as f64 * 0.1;
        let (bid, ask) = (last - 0.1, last + 0.1);
        Snapshot { second: OPEN + number * 10, last, volume: 1_000 + number * 50, bid, ask, shares: 40 }
    };
    let mut snapshots: Vec<_> = (0..60).map(snapshot).collect();
    // Before the open the books cross; the last one comes twice.
    snapshots.insert(0, Snapshot { second: OPEN - 60, last: 100.0, volume: 0, bid: 101.0, ask: 99.0, shares: 5 });
    snapshots.push(snapshot(59));
    snapshots
}

#[test]
fn orders_walk_the_levels_of_an_ingested_book() {
    let desk = Desk::new();
    write_books(&desk.path("X_books.parquet"), &morning(), false);
    let said = desk.json(&["ingest", "X_books.parquet", "--journal", "j", "--market", "nse"]);
    assert_eq!((&said["rows"], &said["kept"], &said["duplicates"]), (&62.into(), &60.into(), &1.into()));
    assert_eq!(said["quarantined"]["outside_session"], 1);
    let again = desk.json(&["ingest", "X_books.parquet", "--journal", "j", "--market", "nse"]);
    assert_eq!((&again["unchanged"], &again["content"]), (&true.into(), &said["content"]));

    // 100 shares where 40 stand on a level: three levels, each at its price; then a limit that takes what it allows.
    let list = "time,symbol,side,quantity,type,limit\n\
                2025-06-02T09:17:00+05:30,X,BUY,100,,\n2025-06-02T09:20:00+05:30,X,SELL,100,limit,100.2\n";
    desk.write("list.csv", list);
    let run = ["backtest", "--journal", "j", "--strategy", "orders", "--set", "file=list.csv", "--interval", "1m"];
    desk.works(&[&run[..], &["--profile", "realistic", "--costs", "zerodha-intraday", "--out", "r"]].concat());
    let legs = desk.text("r/legs.csv");
    let columns: Vec<&str> = legs.lines().next().unwrap().split(',').collect();
    let place = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let wanted = ["side", "quantity", "price", "reference_price", "model"].map(place);
    let rows: Vec<Vec<&str>> = legs.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| wanted.map(|place| row[place]).to_vec()).collect();
    assert_eq!(
        rows,
        [
            // Two minutes in the middle is 100.2.
            ["BUY", "40", "100.3", "100.2", "depth"],
            ["BUY", "40", "100.4", "100.2", "depth"],
            ["BUY", "20", "100.5", "100.2", "depth"],
            // Five minutes: what was traded at that instant was traded before; then the bids from 100.4 down to 100.2, 100.5
            // in the middle, and no further.
            ["SELL", "40", "100.4", "100.5", "depth"],
            ["SELL", "40", "100.3", "100.5", "depth"],
            ["SELL", "20", "100.2", "100.5", "depth"],
        ]
    );
    assert!(desk.works(&["audit", "r", "--format", "json"]).contains("\"verdict\":\"equal\""));
    let why = desk.works(&["explain", "r", "1", "--format", "json"]);
    assert!(why.contains("\"depth\""), "an order on books is explained by the book: {why}");
}

/// A session on ticks is taken up from a state on the way, in the middle of an instant too: every second has a trade and a
/// book, in two journals as in one.
#[test]
fn a_session_on_ticks_is_audited_from_every_snapshot() {
    let desk = Desk::new();
    write_books(&desk.path("X_books.parquet"), &morning(), false);
    desk.works(&["ingest", "X_books.parquet", "--journal", "j", "--market", "nse"]);
    let mut list = "time,symbol,side,quantity,type,limit\n".to_owned();
    for minute in 16..25 {
        let (side, limit) = if minute % 2 == 0 { ("BUY", "100.2") } else { ("SELL", "100.3") };
        list.push_str(&format!("2025-06-02T09:{minute}:00+05:30,X,{side},{minute},limit,{limit}\n"));
    }
    desk.write("list.csv", list);
    let run = ["backtest", "--journal", "j", "--strategy", "orders", "--set", "file=list.csv", "--interval", "1m"];
    for (every, out) in [("1", "one"), ("7", "seven"), ("0", "none")] {
        let every = format!("snapshot.every={every}");
        desk.works(&[&run[..], &["--set", &every, "--set", "snapshot.keep=500", "--out", out]].concat());
    }
    let audited = |run| desk.json(&["audit", run, "--snapshots"]);
    let (one, seven, none) = (audited("one"), audited("seven"), audited("none"));
    for report in [&one, &seven, &none] {
        assert_eq!((&report["verdict"], &report["compared"]), (&"equal".into(), &one["compared"]));
    }
    // A snapshot is named by the frames before it, so of inputs that led to nothing the last one counts.
    assert_eq!((&none["snapshots"], one["snapshots"].as_u64() > Some(15)), (&0.into(), true), "{one}");
    assert!(seven["snapshots"].as_u64() > Some(4), "{seven}");
}

#[test]
fn what_is_no_book_is_refused_and_says_why() {
    let desk = Desk::new();
    write_books(&desk.path("X_wrong.parquet"), &morning(), true);
    desk.fails(&["ingest", "X_wrong.parquet", "--journal", "j"], &["the columns do not hold what their names say"]);
    let columns = ["local_ts", "side", "price", "qty"]
        .map(|name| Column::new(name, if name == "local_ts" { ColumnType::Timestamp } else { ColumnType::F64 }));
    let mut writer = ColumnWriter::create(&desk.path("deltas.parquet"), &columns, Format::Parquet).unwrap();
    writer.append(&[Cell::Time(at(OPEN)), Cell::F64(1.0), Cell::F64(100.0), Cell::F64(5.0)]).unwrap();
    writer.finish().unwrap();
    desk.fails(&["ingest", "deltas.parquet", "--journal", "j", "--symbol", "X"], &["one at a time"]);
    desk.write("X_5m.csv", "time,open,high,low,close,volume\n2025-06-02T09:15:00+05:30,1,1,1,1,1\n");
    write_books(&desk.path("X_books.parquet"), &morning(), false);
    desk.fails(&["ingest", "X_books.parquet", "X_5m.csv", "--journal", "j"], &["two commands"]);
    // A damaged file is refused, never a crash.
    let whole = desk.bytes("X_books.parquet");
    for cut in [0, 3, 50, whole.len() / 2, whole.len() - 1] {
        desk.write("X_cut.parquet", &whole[..cut]);
        let output = desk.daybook(&["ingest", "X_cut.parquet", "--journal", "j"]);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
