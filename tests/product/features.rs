//! `daybook features` as a user runs it: a table of what a model sees, the same wherever its range begins.
//!
//! - Works on a small made-up market in a directory of its own.
//! - Source rows: SQ-13, RL-10, RL-11, BT-45 (a table of features carries when each row was known).

use crate::desk::{Desk, quarter_hours};
use daybook_features::columns::{Cell, ColumnReader};
use daybook_vocabulary::{Hash, Interval};
use serde_json::Value;
use std::collections::BTreeMap;

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

/// The rows of a table of a run, each by the names of its columns.
fn rows(desk: &Desk, name: &str) -> Vec<BTreeMap<String, String>> {
    let text = desk.text(name);
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let head: Vec<String> = lines.next().expect("a header").collect();
    lines.map(|line| head.iter().cloned().zip(line).collect()).collect()
}

/// BT-31: a trade names the order that entered it, the order its moment, and the table of features what was known of the
/// symbol then. Of a crossover the features at the entry are the means that crossed: the fast one above for a long.
#[test]
fn bt_31_a_trade_leads_to_the_features_at_its_entry() {
    let desk = desk();
    let parameters = ["--set", "fast=3", "--set", "slow=8", "--set", "quantity=1"];
    desk.works(&[&["backtest", "--journal", "m", "--strategy", "sma-cross", "--out", "r"], &parameters[..]].concat());
    let summary = desk.json(&["features", "--journal", "m", "--indicators", "sma(3),sma(8)", "--out", "x.parquet"]);
    let hash: Hash = summary["blake3"].as_str().unwrap().parse().unwrap();
    let mut reader = ColumnReader::open(&desk.path("x.parquet"), &hash).unwrap();
    let names: Vec<String> = reader.columns().iter().map(|column| column.name.to_string()).collect();
    let place = |name: &str| names.iter().position(|known| known == name).expect("the column is there");
    // Indicators stand last, in the order in which they were asked for.
    let (known, symbol, fast, slow) = (place("known"), place("symbol"), names.len() - 2, names.len() - 1);
    let mut features = BTreeMap::new();
    while let Some(group) = reader.next_group().unwrap() {
        for row in 0..group.rows() {
            let (Cell::Time(known), Cell::Text(symbol)) = (group.cell(known, row), group.cell(symbol, row)) else {
                panic!("a time and a symbol")
            };
            if let (Cell::F64(fast), Cell::F64(slow)) = (group.cell(fast, row), group.cell(slow, row)) {
                features.insert((known.to_string(), symbol.to_owned()), (fast, slow));
            }
        }
    }
    let orders: BTreeMap<_, _> =
        rows(&desk, "r/orders.csv").into_iter().map(|row| (row["order_id"].clone(), row)).collect();
    let trades = rows(&desk, "r/trades.csv");
    assert!(trades.len() > 20, "{}", trades.len());
    for trade in trades {
        let order = &orders[&trade["entry_order_id"]];
        assert_eq!(order["reason"], trade["entry_reason"]);
        let (fast, slow) = features[&(order["time"].clone(), trade["symbol"].clone())];
        assert_eq!(fast > slow, trade["side"] == "BUY", "{trade:?}: {fast} {slow}");
    }
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
