//! A table of values computed elsewhere, traded: what `daybook features` wrote, given back as a CSV.
//!
//! - Source row: BT-45 (per symbol and market-wide; a table says when each value was known).

use crate::desk::{Desk, quarter_hours};
use daybook_features::columns::{Cell, ColumnReader};
use daybook_vocabulary::{Hash, Nanos};
use serde_json::Value;
use std::fmt::Write as _;

const RUN: &[&str] = &["backtest", "--journal", "m", "--strategy", "scores", "--set", "column=rsi_14"];
const BOUNDS: &[&str] = &["--set", "buy_above=55", "--set", "sell_below=45", "--from", "2024-02-01"];

/// Rows as `(known, symbol, rsi)`, a market-wide one at the head of each month.
fn exported(desk: &Desk) -> Vec<(Nanos, String, String)> {
    let made = ["features", "--journal", "m", "--indicators", "rsi(14)", "--out", "x.parquet"];
    let summary = desk.json(&made);
    let hash: Hash = summary["blake3"].as_str().unwrap().parse().unwrap();
    let mut reader = ColumnReader::open(&desk.path("x.parquet"), &hash).unwrap();
    let place = |name: &str| reader.columns().iter().position(|column| column.name == name).unwrap();
    let (known, symbol, value) = (place("known"), place("symbol"), place("rsi_14"));
    let mut rows = Vec::new();
    while let Some(group) = reader.next_group().unwrap() {
        for row in 0..group.rows() {
            let (Cell::Time(known), Cell::Text(symbol)) = (group.cell(known, row), group.cell(symbol, row)) else {
                panic!("a time and a symbol")
            };
            let value = match group.cell(value, row) {
                Cell::F64(value) => value.to_string(),
                _ => String::new(),
            };
            rows.push((known, symbol.to_owned(), value));
        }
    }
    rows
}

fn csv(rows: &[(Nanos, String, String)]) -> String {
    rows.iter().fold("known,symbol,rsi_14\n".to_owned(), |mut text, (known, symbol, value)| {
        let _ = writeln!(text, "{known},{symbol},{value}");
        text
    })
}

/// Time, symbol, action and raw values of every decision.
fn decisions(desk: &Desk, run: &str) -> Vec<String> {
    let told = desk.works(&["journal", "cat", run, "--kind", "decision", "--format", "json"]);
    let of = |line: &str| {
        let said: Value = serde_json::from_str(line).unwrap();
        format!("{} {} {} {} {}", said["time"], said["symbol"], said["action"], said["q"], said["features"])
    };
    told.lines().map(of).collect()
}

/// BT-45: the table decides, from the moment each value was known; the audit derives it from the run's own copy; and
/// whatever is known later changes nothing before.
#[test]
fn a_table_decides_by_what_was_known() {
    let desk = Desk::new();
    desk.market("m", &quarter_hours("2024-03-15"));
    let rows = exported(&desk);
    desk.write("t.csv", csv(&rows));
    desk.works(&[RUN, BOUNDS, &["--set", "file=t.csv", "--out", "run"]].concat());
    let whole = decisions(&desk, "run");
    let said = |word: &str| whole.iter().filter(|one| one.contains(word)).count();
    assert!(said("BUY") > 50 && said("SELL") > 50 && said("HOLD") > 50, "{} decisions", whole.len());
    std::fs::remove_file(desk.path("t.csv")).unwrap();
    assert!(desk.works(&["audit", "run"]).starts_with("equal"));

    // Everything after a moment cut off, or other values in its place: the decisions up to it stay.
    let cut = rows[rows.len() * 2 / 3].0;
    let before: Vec<_> = rows.iter().filter(|row| row.0 <= cut).cloned().collect();
    let poison = rows.iter().filter(|row| row.0 > cut).map(|row| (row.0, row.1.clone(), "99".to_owned()));
    let poisoned: Vec<_> = before.iter().cloned().chain(poison).collect();
    for (name, rows) in [("cut", &before), ("poisoned", &poisoned)] {
        desk.write(&format!("{name}.csv"), csv(rows));
        let file = format!("file={name}.csv");
        desk.works(&[RUN, BOUNDS, &["--set", &file, "--out", name]].concat());
        let found = decisions(&desk, name);
        let until = |all: &[String]| {
            let early =
                |one: &&String| one[1..].split('"').next().is_some_and(|time| time.parse::<Nanos>().unwrap() <= cut);
            all.iter().filter(early).cloned().collect::<Vec<_>>()
        };
        assert!(until(&found) == until(&whole) && until(&whole).len() > 500, "{name}");
        assert_ne!(found, whole, "{name}");
    }

    // Market-wide: a value without a symbol is added to all of them.
    let market = (rows[0].0, String::new(), "-100".to_owned());
    let with_market: Vec<_> = std::iter::once(market).chain(rows).collect();
    desk.write("market.csv", csv(&with_market));
    desk.works(&[RUN, BOUNDS, &["--set", "file=market.csv", "--set", "market_weight=1", "--out", "low"]].concat());
    assert!(decisions(&desk, "low").iter().all(|one| !one.contains("BUY")), "what is not withheld says SELL");
    assert!(desk.works(&["audit", "low"]).starts_with("equal"));
}

/// A table that does not say when its values were known is refused, like every table that means nothing.
#[test]
fn a_table_that_may_look_ahead_is_refused() {
    let desk = Desk::new();
    desk.market("m", &quarter_hours("2024-02-15"));
    let time = "2024-02-01T09:30:00+05:30";
    for (text, says) in [
        (format!("open_time,symbol,rsi_14\n{time},ALFA,60\n"), "when its value was known"),
        (format!("known,symbol,value\n{time},ALFA,60\n"), "--set column=NAME"),
        (format!("known,symbol,rsi_14\n{time},ALFA,60\n"), "no row of BETA"),
    ] {
        desk.write("t.csv", text);
        desk.fails(&[RUN, &["--set", "file=t.csv", "--out", "run"]].concat(), &["t.csv:1", says]);
    }
    desk.fails(&[RUN, &["--out", "run"]].concat(), &["--set file=FILE"]);
}
