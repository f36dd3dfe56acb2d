//! The main job as a user does it, with the real binary: market → journal → backtest → audit → verify → look inside.
//!
//! - Every test works in a directory of its own, on a small made-up market; none needs network or data from outside.
//! - Source rows: BT-01, BT-05, BT-06, BT-07, SQ-19, SQ-21, SQ-33 (one core, equal results, next-open fills).

use crate::desk::{Desk, five_minutes};
use daybook_config::Calendar;
use daybook_journal::{Options, Writer};
use daybook_vocabulary::Money;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const CROSS: [&str; 8] = ["--strategy", "sma-cross", "--set", "fast=5", "--set", "slow=20", "--set", "quantity=10"];

fn backtest<'a>(journals: &[&'a str], out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["backtest", "--journal"], journals, &CROSS, &["--out", out], more].concat()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn two_runs_are_the_same_to_the_byte_and_an_audit_says_equal() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA", "BETA"], "2024-01-01", "2024-02-15"));
    let every = ["--costs", "zerodha-intraday", "--set", "snapshot.every=700"];
    let first = desk.json(&backtest(&["m"], "one", &every));
    let second = desk.json(&backtest(&["m"], "two", &every));
    assert!(first["fills"].as_u64().unwrap() > 20, "a test without fills proves nothing: {first}");
    for table in ["orders", "fills", "trades", "equity"] {
        for ending in ["csv", "parquet"] {
            let name = format!("{table}.{ending}");
            let (left, right) = (fs::read(desk.path("one").join(&name)), fs::read(desk.path("two").join(&name)));
            assert_eq!(left.unwrap(), right.unwrap(), "{name}");
        }
    }
    let timeless = |mut summary: Value| {
        summary["wall_seconds"] = Value::Null;
        summary["events_per_second"] = Value::Null;
        summary
    };
    assert_eq!(timeless(first.clone()), timeless(second));
    assert_eq!(timeless(serde_json::from_str(&desk.text("one/summary.json")).unwrap()), timeless(first));

    let audit = desk.json(&["audit", "one", "--snapshots"]);
    assert_eq!(audit["verdict"], "equal");
    assert_eq!(audit["binary"], "same");
    assert!(audit["snapshots"].as_u64().unwrap() > 2, "equality from every snapshot: {audit}");
    assert!(audit["compared"].as_u64().unwrap() > 60);
}

/// A note is a view: its exact totals add up to the summary's fees, its roundings enter no book.
#[test]
fn contract_notes_round_what_the_books_keep_exact() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA", "BETA"], "2024-01-01", "2024-01-31"));
    let costs = ["--costs", "zerodha-intraday"];
    let plain = desk.json(&backtest(&["m"], "plain", &costs));
    let noted = desk.json(&backtest(&["m"], "noted", &[costs[0], costs[1], "--contract-note"]));
    assert_eq!((&plain["journal_head"], &plain["fees_total"]), (&noted["journal_head"], &noted["fees_total"]));
    assert!(!desk.path("plain/contract_notes.csv").exists());
    let notes = desk.text("noted/contract_notes.csv");
    let mut rows = notes.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = rows.next().unwrap();
    let column = |row: &[&str], name: &str| -> Money {
        let at = names.iter().position(|known| *known == name).unwrap();
        row[at].parse().unwrap()
    };
    let (mut exact, mut days) = (Money::ZERO, 0);
    for row in rows {
        assert_eq!(column(&row, "total"), column(&row, "exact_total") + column(&row, "rounding"));
        assert_eq!(column(&row, "transaction_tax").0 % 100_000_000, 0, "whole rupees: {row:?}");
        exact += column(&row, "exact_total");
        days += 1;
    }
    assert!(days > 5, "{days} days with fills");
    assert_eq!(Value::from(exact.to_string()), noted["fees_total"]);
    assert!(desk.daybook(&["verify", "noted"]).status.success(), "the notes are in the manifest");
}

#[test]
fn neither_the_number_nor_the_order_of_journals_changes_a_trade() {
    let desk = Desk::new();
    desk.market("alone", &five_minutes(&["ALFA"], "2024-01-01", "2024-01-31"));
    // The same walk under another name, so that the two journals hold different symbols.
    desk.market("other", &five_minutes(&["BETA"], "2024-01-01", "2024-01-31"));
    desk.json(&backtest(&["alone", "other"], "ab", &[]));
    desk.json(&backtest(&["other", "alone"], "ba", &[]));
    let strip_seq = |run: &str| -> Vec<String> {
        let csv = read(&desk.path(run).join("fills.csv"));
        csv.lines().map(str::to_owned).collect()
    };
    assert!(strip_seq("ab").len() > 20);
    assert_eq!(strip_seq("ab"), strip_seq("ba"));
    assert_eq!(desk.text("ab/equity.csv"), desk.text("ba/equity.csv"));
}

#[test]
fn a_bounded_range_decides_as_the_whole_does_from_there_on() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA"], "2024-01-01", "2024-02-15"));
    desk.json(&backtest(&["m"], "late", &["--from", "2024-02-01"]));
    let late = desk.text("late/fills.csv");
    let first = late.lines().nth(1).expect("a fill").to_owned();
    assert!(first.contains("2024-02-01"), "the warm-up lies before the range, so the first day trades: {first}");
    // Nothing is decided on a bar before the range.
    assert!(!late.contains("2024-01-"), "{late}");
    // What warms the strategy up is not part of the result.
    let equity = desk.text("late/equity.csv");
    assert!(equity.contains("2024-02-01") && !equity.contains("2024-01-"), "{equity}");
    // Warm-up candles make no range: a holiday and its weekend hold nothing.
    let holiday = ["--from", "2024-01-26", "--to", "2024-01-28"];
    desk.fails(&backtest(&["m"], "none", &holiday), &["no candles between 2024-01-26 and 2024-01-28", "2024-02-15"]);
    assert!(!desk.path("none").exists());
}

#[test]
fn a_market_of_ones_own_is_its_calendar_file() {
    let desk = Desk::new();
    let calendar = include_str!("../../config/data/calendar-nse.toml").replace("market = \"nse\"", "market = \"own\"");
    fs::write(desk.path("own.toml"), calendar).unwrap();
    let calendar = Calendar::by_market(desk.path("own.toml").to_str().unwrap()).unwrap();
    desk.market_under("m", &five_minutes(&["ALFA"], "2024-01-01", "2024-01-10"), &calendar);
    desk.fails(&backtest(&["m"], "run", &[]), &["'own'", "calendar file"]);
    desk.json(&backtest(&["m"], "run", &["--set", "calendar.file=own.toml"]));
    // The header holds the calendar's hash, not its path: whoever audits says where it is.
    fs::write(desk.path("daybook.toml"), "[calendar]\nfile = \"own.toml\"\n").unwrap();
    assert_eq!(desk.json(&["audit", "run"])["verdict"], "equal");
    fs::write(desk.path("own.toml"), "market = \"other\"\n").unwrap();
    assert!(!desk.daybook(&["audit", "run"]).status.success());
}

#[test]
fn a_sealed_run_is_checked_against_the_public_key() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA"], "2024-01-01", "2024-01-10"));
    desk.json(&backtest(&["m"], "run", &["--seal"]));
    let key = ".config/daybook/seal.pub";
    assert!(desk.daybook(&["verify", "run", "--public-key", key]).status.success());
    fs::write(desk.path("other.pub"), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n").unwrap();
    assert_eq!(desk.daybook(&["verify", "run", "--public-key", "other.pub"]).status.code(), Some(1));
    desk.json(&backtest(&["m"], "unsealed", &[]));
    assert_eq!(desk.daybook(&["verify", "unsealed", "--public-key", key]).status.code(), Some(1));
}

#[test]
fn every_flipped_bit_of_a_run_is_found_with_its_place() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA"], "2024-01-01", "2024-01-10"));
    desk.json(&backtest(&["m"], "run", &[]));
    assert!(desk.daybook(&["verify", "run"]).status.success());
    assert!(desk.daybook(&["verify", "m"]).status.success());
    for root in ["run", "m"] {
        let mut files = Vec::new();
        list(&desk.path(root), &mut files);
        assert!(files.len() >= 2, "{files:?}");
        for file in files {
            let sound = fs::read(&file).unwrap();
            // A spread of places in each file, its ends included; the journal's own tests flip every bit.
            let step = (sound.len() / 5).max(1);
            for at in (0..sound.len()).step_by(step).chain([sound.len().saturating_sub(1)]) {
                if sound.is_empty() {
                    continue;
                }
                let mut damaged = sound.clone();
                damaged[at] ^= 1 << (at % 8);
                fs::write(&file, &damaged).unwrap();
                let output = desk.daybook(&["verify", root, "--format", "json"]);
                let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
                assert_eq!(output.status.code(), Some(1), "{} at {at}", file.display());
                assert!(
                    found["file"].is_string() && found["reason"].is_string(),
                    "{} at {at}: {found}",
                    file.display()
                );
            }
            fs::write(&file, &sound).unwrap();
        }
        assert!(desk.daybook(&["verify", root]).status.success());
    }
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "cache" {
                list(&path, files);
            }
        } else if name != "lock" {
            files.push(path);
        }
    }
}

#[test]
fn an_audit_names_the_first_field_that_differs() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA"], "2024-01-01", "2024-01-31"));
    desk.json(&backtest(&["m"], "run", &[]));
    // A forger writes a sound journal in which one order was larger.
    let forged = desk.path("forged");
    let source = daybook_journal::Journal::open(&desk.path("run/journal")).unwrap();
    let mut writer = Writer::create(&forged, Options::session()).unwrap();
    let mut cursor = source.cursor(0);
    let mut buffer = daybook_vocabulary::PayloadBuffer::new();
    let mut forged_seq = None;
    while let Some(frame) = cursor.next().unwrap() {
        let mut event = daybook_vocabulary::Event::decode(frame.kind, frame.schema, frame.payload).unwrap();
        if let (daybook_vocabulary::Event::OrderIntent(intent), None) = (&mut event, forged_seq) {
            intent.quantity = daybook_vocabulary::Quantity::from_units(11);
            forged_seq = Some(frame.seq);
        }
        buffer.clear();
        let schema = event.encode(&mut buffer);
        let draft = daybook_journal::Draft {
            time: frame.time,
            kind: frame.kind,
            schema,
            flags: frame.flags,
            stream: frame.stream,
        };
        writer.append(draft, &buffer).unwrap();
    }
    writer.close().unwrap();
    let output = desk.daybook(&["audit", "forged", "--journal", "m", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "different");
    let first = &report["first_difference"];
    assert_eq!(first["seq"].as_u64(), forged_seq);
    assert_eq!((first["kind"].as_str(), first["field"].as_str()), (Some("order-intent"), Some("quantity")));
    assert_eq!((first["recorded"].as_str(), first["derived"].as_str()), (Some("11"), Some("10")));
}

#[test]
fn an_audit_without_its_inputs_says_which_are_missing() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA"], "2024-01-01", "2024-01-10"));
    desk.json(&backtest(&["m"], "run", &[]));
    fs::rename(desk.path("m"), desk.path("elsewhere")).unwrap();
    let output = desk.daybook(&["audit", "run", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "inputs_missing");
    assert_eq!(desk.json(&["audit", "run", "--journal", "elsewhere"])["verdict"], "equal");
}

#[test]
fn bad_input_is_one_clear_line_with_what_to_do() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA", "BETA"], "2024-01-01", "2024-01-10"));
    fs::create_dir(desk.path("empty")).unwrap();
    fs::create_dir(desk.path("mine")).unwrap();
    fs::write(desk.path("mine/thesis.txt"), "years of work").unwrap();
    desk.fails(&backtest(&["nowhere"], "r", &[]), &["nowhere"]);
    desk.fails(&backtest(&["empty"], "r", &[]), &["empty"]);
    desk.fails(&backtest(&["mine"], "r", &[]), &["mine"]);
    desk.fails(&["backtest", "--journal", "m", "--strategy", "sma", "--out", "r"], &["'sma'", "sma-cross", "swing"]);
    desk.fails(&backtest(&["m"], "r", &["--set", "fats=3"]), &["fats", "fast", "slow", "quantity"]);
    desk.fails(&backtest(&["m"], "r", &["--set", "fast=0"]), &["fast=0", "whole number"]);
    desk.fails(&backtest(&["m"], "r", &["--set", "engine.timefame=15m"]), &["engine.timefame", "engine.timeframe"]);
    desk.fails(&backtest(&["m"], "r", &["--symbols", "ALPHA"]), &["'ALPHA'", "ALFA"]);
    desk.fails(&backtest(&["m"], "r", &["--interval", "1m"]), &["1m", "5m", "--interval"]);
    desk.fails(&backtest(&["m"], "r", &["--from", "2025-01-01"]), &["2025-01-01", "2024-01-10"]);
    desk.fails(&backtest(&["m"], "r", &["--costs", "zerodha"]), &["zerodha-intraday"]);
    desk.fails(&backtest(&["m"], "mine", &["--force"]), &["mine", "will not be replaced"]);
    let reversed = ["--from", "2024-01-10", "--to", "2024-01-05"];
    desk.fails(&backtest(&["m"], "r", &reversed), &["--to 2024-01-05 is before --from 2024-01-10"]);
    desk.fails(&backtest(&["m"], "r", &["--cash", "1000000000000000001"]), &["cash", "at most 1e18"]);
    desk.misused(&backtest(&["m"], "r", &["--symbols", ""]), &["--symbols"]);
    assert_eq!(desk.text("mine/thesis.txt"), "years of work");
    desk.misused(&["backtest", "--journal", "m"], &["--strategy"]);
    desk.misused(&["backtest", "--journal", "m", "--strategy", "hold"], &["--out RUN", "Usage"]);
    desk.misused(&["backtest", "--strategy", "hold", "--out", "r"], &["--journal DIR", "Usage"]);
    let listed = desk.daybook(&["backtest", "--strategy", "help"]);
    assert!(listed.status.success() && String::from_utf8_lossy(&listed.stdout).contains("sma-cross"));
    desk.misused(&backtest(&["m"], "r", &["--from", "yesterday"]), &["yesterday", "2025-01-31"]);
    assert!(!desk.path("r").exists(), "nothing is left of what was refused");

    desk.json(&backtest(&["m"], "r", &[]));
    desk.fails(&backtest(&["m"], "r", &[]), &["exists", "--force"]);
    desk.json(&backtest(&["m"], "r", &["--force"]));
    desk.fails(&["audit", "m"], &["not a run"]);
    desk.fails(&["journal", "cat", "m", "--symbol", "ALFAA"], &["ALFAA", "ALFA"]);
    desk.misused(&["journal", "cat", "m", "--kind", "candel"], &["candel", "candle"]);
}

#[test]
fn the_demo_runs_twice_and_replaces_only_what_is_its_own() {
    let desk = Desk::new();
    let first = desk.json(&["demo"]);
    assert_eq!(first["audit"]["verdict"], "equal");
    assert!(first["summary"]["trades"].as_u64().unwrap() > 100);
    let second = desk.json(&["demo"]);
    assert_eq!(first["summary"]["journal_head"], second["summary"]["journal_head"]);
    assert!(desk.text("daybook-demo/run/report.html").contains("<svg"));
    fs::create_dir(desk.path("mine")).unwrap();
    fs::write(desk.path("mine/x"), "x").unwrap();
    desk.fails(&["demo", "--out", "mine"], &["mine", "not made by the demo"]);
}

#[test]
fn the_journal_can_be_looked_into_and_exported() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA", "BETA"], "2024-01-01", "2024-01-10"));
    desk.json(&backtest(&["m"], "run", &[]));
    let stat = desk.json(&["journal", "stat", "m"]);
    assert_eq!(stat["series"].as_array().unwrap().len(), 2);
    assert_eq!(stat["kinds"]["candle"].as_u64(), Some(2 * 8 * 75));
    let output = desk.daybook(&["journal", "cat", "run", "--kind", "fill", "--limit", "5", "--format", "json"]);
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    for line in &lines {
        assert_eq!(line["kind"], "fill");
        assert!(line["price"].is_string() && line["symbol"].is_string() && line["time"].is_string(), "{line}");
    }
    desk.fails(&["journal", "export", "run", "--to", "run"], &["run", "choose another folder"]);
    desk.fails(&["journal", "export", "run", "--to", "m"], &["m", "choose another folder"]);
    let export = desk.json(&["journal", "export", "run", "--to", "export"]);
    assert!(export["files"].as_array().unwrap().len() >= 5);
    assert!(desk.path("export/fill.parquet").is_file());
}

#[test]
fn settings_rise_in_precedence_and_name_their_origin() {
    let desk = Desk::new();
    fs::write(desk.path("daybook.toml"), "cash = \"5000\"\ncosts = \"bps:10\"\n").unwrap();
    fs::write(desk.path(".env"), "DAYBOOK_COSTS=bps:20\n").unwrap();
    let shown = desk.json(&["config", "show", "--set", "seed=9"]);
    assert_eq!(shown["cash"]["value"], "5000");
    assert!(shown["cash"]["origin"].as_str().unwrap().contains("daybook.toml"));
    assert_eq!(shown["costs"]["value"], "bps:20");
    assert_eq!(shown["seed"]["value"], "9");
    fs::write(desk.path("daybook.toml"), "cahs = \"5000\"\n").unwrap();
    desk.fails(&["config", "show"], &["cahs", "cash", "daybook.toml"]);
}

/// A run in which everything was refused says so where its user looks: on the terminal, in the summary, on the page.
#[test]
fn what_makes_a_run_worthless_is_told_on_the_terminal() {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA"], "2024-01-01", "2024-01-05"));
    let odd = ["backtest", "--journal", "m", "--strategy", "hold", "--set", "quantity=0.5", "--out", "r"];
    let told = desk.works(&odd);
    let warning = "refused by the gate: off-lot";
    assert!(told.lines().any(|line| line.starts_with("note") && line.contains(warning)), "{told}");
    let summary: Value = serde_json::from_str(&desk.text("r/summary.json")).unwrap();
    let warnings = summary["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|text| text.as_str().unwrap().contains(warning)), "{summary}");
    assert!(desk.text("r/report.html").contains(warning));
    let helped = desk.works(&["backtest", "--help"]);
    assert!(helped.contains("ib-tiered") && helped.contains("vectorbt"), "{helped}");
}
