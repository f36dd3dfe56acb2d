//! `daybook features` as a user runs it: a table of what a model sees, the same wherever its range begins.
//!
//! - Works on a small made-up market in a directory of its own.
//! - Source rows: SQ-13, RL-10, RL-11, BT-45 (a table of features carries when each row was known).

use crate::desk::{Desk, quarter_hours};
use daybook_features::columns::{Cell, ColumnReader};
use daybook_vocabulary::{Hash, Interval};
use serde_json::Value;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.market("m", &quarter_hours("2024-03-15"));
    desk
}

fn table(desk: &Desk, out: &str, arguments: &[&str]) -> (Value, Vec<String>) {
    let summary = desk.json(&[&["features", "--journal", "m", "--out", out], arguments].concat());
    let hash: Hash = summary["blake3"].as_str().unwrap().parse().unwrap();
    let mut reader = ColumnReader::open(&desk.path(out), &hash).unwrap();
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
    let desk = desk();
    for (chosen, warm) in [(&["--spec", "v1"][..], 700), (&["--indicators", "rsi(14),macd(12,26,9),vwap"], 2_597)] {
        let (summary, whole) = table(&desk, "whole.parquet", chosen);
        let (_, part) =
            table(&desk, "part.parquet", &[chosen, &["--from", "2024-03-04", "--to", "2024-03-06"]].concat());
        assert_eq!(part.len(), 3 * 25 * 2, "three sessions of 25 bars of two symbols");
        let at = whole.iter().position(|row| row == &part[0]).expect("the same first row");
        assert_eq!(whole[at..at + part.len()], part);
        assert!(summary["complete_rows"].as_u64().unwrap() > warm, "{summary}");
        let (again, _) = table(&desk, "again.parquet", chosen);
        assert_eq!(again["blake3"], summary["blake3"]);
    }
    let (summary, _) = table(&desk, "beta.arrow", &["--spec", "v1", "--symbols", "BETA", "--from", "2024-02-01"]);
    assert_eq!(summary["rows"], summary["complete_rows"], "January is the anchor's month: February is complete");
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let desk = desk();
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
        let output = desk.daybook(&[&["features"], *arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr.contains(says) && stderr.lines().count() == 1,
            "{arguments:?} should say {says:?}, says: {stderr}"
        );
    }
    assert!(desk.works(&["features", "--indicators", "help"]).contains("macd([fast = 12"));
    assert!(!desk.path("x.parquet").exists(), "a refused table leaves no file");
}
