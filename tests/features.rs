//! `daybook features` as a user runs it: a table of what a model sees, the same wherever its range begins.
//!
//! - Works on a small made-up market in a directory of its own.
//! - Source rows: SQ-13, RL-10, RL-11, BT-45 (a table of features carries when each row was known).

use daybook_config::Calendar;
use daybook_features::columns::{Cell, ColumnReader};
use daybook_journal::{Options, Writer};
use daybook_replay::synthetic::{self, Market};
use daybook_vocabulary::{Hash, Interval, Price};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn market(dir: &Path) {
    let market = Market {
        seed: 5,
        symbols: [("ALFA", 500), ("BETA", 90)]
            .map(|(symbol, price)| (symbol.to_owned(), Price::from_units(price)))
            .into(),
        tick: Price(5_000_000),
        interval: Interval::minutes(15),
        from: "2024-01-01".parse().unwrap(),
        to: "2024-03-15".parse().unwrap(),
    };
    let mut writer = Writer::create(&dir.join("m"), Options::default()).expect("a new journal");
    synthetic::write(&market, &Calendar::nse(), &mut writer).expect("a market");
    writer.close().expect("a whole journal");
}

fn features(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daybook"))
        .args(["features", "--format", "json"])
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .output()
        .expect("the binary runs")
}

fn table(dir: &Path, out: &str, arguments: &[&str]) -> (Value, Vec<String>) {
    let output = features(dir, &[&["--journal", "m", "--out", out], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let hash: Hash = summary["blake3"].as_str().unwrap().parse().unwrap();
    let mut reader = ColumnReader::open(&dir.join(out), &hash).unwrap();
    let columns = reader.columns().len();
    let mut rows = Vec::new();
    while let Some(group) = reader.next_group().unwrap() {
        let row = |row| format!("{:?}", (0..columns).map(|column| group.cell(column, row)).collect::<Vec<_>>());
        rows.extend((0..group.rows()).map(row));
        // BT-45: when a row was known, never before its bar had closed.
        for row in 0..group.rows() {
            let (Cell::Time(open), Cell::Time(known)) = (group.cell(0, row), group.cell(1, row)) else {
                panic!("times")
            };
            assert!(known > open && known <= open + Interval::minutes(15).nanos(), "{open} {known}");
        }
    }
    (summary, rows)
}

#[test]
fn a_table_does_not_depend_on_where_its_range_begins() {
    let dir = tempfile::tempdir().unwrap();
    market(dir.path());
    for (chosen, warm) in [(&["--spec", "v1"][..], 700), (&["--indicators", "rsi(14),macd(12,26,9),vwap"], 2_597)] {
        let (summary, whole) = table(dir.path(), "whole.parquet", chosen);
        let (_, part) =
            table(dir.path(), "part.parquet", &[chosen, &["--from", "2024-03-04", "--to", "2024-03-06"]].concat());
        assert_eq!(part.len(), 3 * 25 * 2, "three sessions of 25 bars of two symbols");
        let at = whole.iter().position(|row| row == &part[0]).expect("the same first row");
        assert_eq!(whole[at..at + part.len()], part);
        assert!(summary["complete_rows"].as_u64().unwrap() > warm, "{summary}");
        let (again, _) = table(dir.path(), "again.parquet", chosen);
        assert_eq!(again["blake3"], summary["blake3"]);
    }
    let (summary, _) = table(dir.path(), "beta.arrow", &["--spec", "v1", "--symbols", "BETA", "--from", "2024-02-01"]);
    assert_eq!(summary["rows"], summary["complete_rows"], "January is the anchor's month: February is complete");
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    market(dir.path());
    let rsi = ["--indicators", "rsi(14)"];
    let cases: &[(&[&str], &str)] = &[
        (&["--journal", "m", "--out", "x.parquet"], "say what to compute: --spec v1, or --indicators"),
        (
            &["--journal", "m", "--out", "x.parquet", "--spec", "v9"],
            "no feature specification 'v9'; this program has v1",
        ),
        (&["--journal", "m", "--out", "x.parquet", "--indicators", "rsx(14)"], "did you mean rsi?"),
        (&["--journal", "m", "--out", "x.csv", rsi[0], rsi[1]], "end it in .parquet or .arrow"),
        (&["--journal", "m", "--out", "x.parquet", "--symbols", "ALFB", rsi[0], rsi[1]], "nearest symbols are ALFA"),
        (&["--journal", "m", "--out", "x.parquet", "--from", "2030-01-01", rsi[0], rsi[1]], "candles from 2024-01-01"),
        (&["--out", "x.parquet", rsi[0], rsi[1]], "--journal and --out are needed"),
    ];
    for (arguments, says) in cases {
        let output = features(dir.path(), arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr.contains(says) && stderr.lines().count() == 1,
            "{arguments:?} should say {says:?}, says: {stderr}"
        );
    }
    let help = features(dir.path(), &["--indicators", "help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("macd([fast = 12"));
    assert!(!dir.path().join("x.parquet").exists(), "a refused table leaves no file");
}
