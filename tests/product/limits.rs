//! Limits on the portfolio as a whole, through the real binary: tables from files, audits without them, forks that look
//! back beyond the fork, errors that say what to do (BT-25).

use crate::desk::{Desk, five_minutes};
use serde_json::Value;

const NAMES: [&str; 4] = ["ALFA", "BETA", "GAMA", "INDX"];

/// Two months of four symbols in the journal `m`.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&NAMES, "2024-01-01", "2024-02-29"));
    desk.write("list.csv", "Company,Industry,Symbol\nA,Energy,ALFA\nB,Energy,BETA\nC,\"Media, Print\",GAMA\n");
    desk.write("factors.csv", "symbol,value,size\nALFA,1,0.5\nBETA,-1,\nGAMA,0.25,2\n");
    desk
}

fn backtest(desk: &Desk, out: &str, more: &[&str]) -> Value {
    let cross = ["--strategy", "sma-cross", "--set", "fast=3", "--set", "slow=9", "--set", "quantity=100"];
    desk.json(&[&["backtest", "--journal", "m", "--out", out][..], &cross, more].concat())
}

/// How often each verdict was given, from the journal.
fn verdicts(desk: &Desk, run: &str) -> Vec<(String, usize)> {
    let lines = desk.works(&["journal", "cat", run, "--kind", "risk-verdict", "--format", "json"]);
    let mut found = std::collections::BTreeMap::<String, usize>::new();
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let text = event.to_string();
        let word = text.split("\"verdict\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        *found.entry(word).or_default() += 1;
    }
    found.into_iter().collect()
}

fn count(found: &[(String, usize)], word: &str) -> usize {
    found.iter().find(|(known, _)| known == word).map_or(0, |(_, count)| *count)
}

#[test]
fn tables_are_carried_whole_and_audited_without_their_files() {
    let desk = desk();
    let limits = [
        &["--set", "risk.sector_file=list.csv", "--set", "risk.max_sector_pct=6"][..],
        &["--set", "risk.factor_file=factors.csv", "--set", "risk.max_factor=value:-0.04..0.05"],
        &["--set", "risk.benchmark=INDX", "--set", "risk.max_beta=1.5", "--set", "risk.min_beta=-0.5"],
        &["--set", "risk.max_var_pct=5", "--set", "risk.max_cvar_pct=8", "--set", "risk.history_sessions=5"],
        &["--set", "snapshot.every=900", "--set", "snapshot.keep=99"],
    ]
    .concat();
    backtest(&desk, "run", &limits);
    let found = verdicts(&desk, "run");
    for word in ["sector", "factor-exposure", "no-history"] {
        assert!(count(&found, word) > 0, "{word}: {found:?}");
    }
    let text = desk.works(&["journal", "cat", "run", "--kind", "session-header", "--format", "json"]);
    assert!(text.contains("GAMA:Media Print") && !text.contains("list.csv"), "the table, not its file: {text}");
    for file in ["list.csv", "factors.csv"] {
        std::fs::remove_file(desk.path(file)).unwrap();
    }
    let audit = desk.json(&["audit", "run", "--snapshots"]);
    assert_eq!(audit["verdict"], "equal", "{audit}");
    assert!(audit["snapshots"].as_u64() > Some(3), "{audit}");
    let traded = desk.works(&["journal", "cat", "run", "--kind", "fill", "--format", "json"]);
    assert!(traded.contains("ALFA") && !traded.contains("INDX"), "a benchmark is heard and not traded");
}

/// A benchmark that is not among the symbols that are named is heard all the same.
#[test]
fn a_benchmark_needs_not_be_named() {
    let desk = desk();
    let limits = ["--set", "risk.benchmark=INDX", "--set", "risk.max_beta=0.01", "--set", "risk.history_sessions=5"];
    backtest(&desk, "run", &[&["--symbols", "ALFA,BETA"][..], &limits].concat());
    let found = verdicts(&desk, "run");
    assert!(count(&found, "beta") > 0 && count(&found, "not-traded") == 0, "{found:?}");
    assert_eq!(desk.json(&["audit", "run"])["verdict"], "equal");
}

/// A range that begins at a date hears the sessions that limits look back at before it, so nothing waits for them.
#[test]
fn sessions_before_the_range_are_heard() {
    let desk = desk();
    let limits = ["--set", "risk.max_var_pct=0.05", "--set", "risk.history_sessions=8", "--from", "2024-01-25"];
    let summary = backtest(&desk, "run", &limits);
    let found = verdicts(&desk, "run");
    assert!(count(&found, "no-history") == 0 && count(&found, "value-at-risk") > 0, "{found:?}");
    assert!(summary["fills"].as_u64() > Some(20), "{summary}");
    let short = [&limits[..], &["--warmup", "80"]].concat();
    backtest(&desk, "short", &short);
    assert!(count(&verdicts(&desk, "short"), "no-history") > 0, "a warm-up of one session is no history of eight");
    assert_eq!(desk.json(&["audit", "run"])["verdict"], "equal");
}

/// What past sessions were like is known at the fork, though nobody asked before it.
#[test]
fn a_fork_under_a_new_limit_knows_the_sessions_before_it() {
    let desk = desk();
    let summary = backtest(&desk, "run", &[]);
    let at = summary["orders"].as_u64().unwrap() * 2;
    let at = at.to_string();
    for (out, set, word) in [
        ("losses", &["risk.max_var_pct=0.02"][..], "value-at-risk"),
        ("sectors", &["risk.sector_file=list.csv", "risk.max_sector_pct=4"], "sector"),
    ] {
        let set = set.iter().flat_map(|one| ["--set", one]);
        let fork = ["fork", "run", "--at", &at, "--out", out].into_iter().chain(set).collect::<Vec<_>>();
        desk.works(&fork);
        let found = verdicts(&desk, out);
        assert!(count(&found, word) > 0 && count(&found, "no-history") == 0, "{found:?}");
        assert_eq!(desk.json(&["audit", out])["verdict"], "equal");
    }
    let equal = desk.works(&["fork", "run", "--at", &at, "--out", "same", "--set", "risk.max_var_pct=none"]);
    assert!(equal.contains("equal"), "{equal}");
}

#[test]
fn a_limit_without_what_it_is_worked_out_from_is_refused_with_what_to_do() {
    let desk = desk();
    let run = ["backtest", "--journal", "m", "--strategy", "hold", "--out", "run"];
    for (set, said) in [
        (&["risk.max_sector_pct=30"][..], &["risk.sector_file"][..]),
        (&["risk.max_sector_pct=30", "risk.sector_file=none.csv"], &["cannot read none.csv"]),
        (&["risk.max_beta=1"], &["set risk.benchmark"]),
        (&["risk.max_beta=1", "risk.benchmark=NIFTY"], &["'NIFTY'", "--symbols"]),
        (&["risk.max_factor=value:1"], &["risk.factor_file"]),
        (&["risk.max_factor=weight:1", "risk.factor_file=factors.csv"], &["'weight'", "size, value"]),
        (&["risk.max_var_pct=-1"], &["risk.max_var_pct", "percentage"]),
        (&["risk.var_sessions=3"], &["risk.var_sessions"]),
    ] {
        let set: Vec<&str> = set.iter().flat_map(|one| ["--set", one]).collect();
        desk.fails(&[&run[..], &set].concat(), said);
    }
    let shown = desk.works(&["config", "show"]);
    for key in ["max_var_pct", "max_cvar_pct", "min_beta", "max_beta", "max_sector_pct", "max_factor", "benchmark"] {
        assert!(shown.contains(&format!("risk.{key}")), "{key}");
    }
}

/// An order that a fork took up is known by the number the parent gave it, and said to be the parent's.
#[test]
fn an_inherited_order_has_the_parents_number() {
    let desk = desk();
    backtest(&desk, "run", &[]);
    let intents = desk.works(&["journal", "cat", "run", "--kind", "order-intent", "--format", "json"]);
    let intents: Vec<Value> = intents.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let enters = |intent: &&Value| intent.to_string().contains("\"reason\":\"cross-up\"");
    let intent = intents.iter().skip(intents.len() / 2).find(enters).expect("an entry");
    let seq = intent["seq"].as_u64().expect("a number").to_string();
    let order = intent["order"].as_u64().expect("a number");
    // It waits for its fill when the fork begins, and may open nothing under the fork's limit.
    let sectors = "risk.sectors=ALFA:x,BETA:x,GAMA:x,INDX:x";
    let fork = ["fork", "run", "--at", &seq, "--out", "fork", "--set", sectors, "--set", "risk.max_sector_pct=0.00001"];
    let told = desk.works(&fork);
    assert!(told.contains(&format!("{order} (the parent's)")) && !told.contains("92233720368"), "{told}");
    let forked = desk.json(&[&fork[..], &["--force"]].concat());
    let first = &forked["comparison"]["first_fill"];
    assert_eq!((&first["number"], &first["from_before"]), (&order.into(), &true.into()), "{first}");
    assert_eq!(first["left"]["event"]["order"], order, "{first}");
}

/// A guard of the hour is told in hours.
#[test]
fn an_hour_is_told_as_an_hour() {
    let desk = desk();
    backtest(&desk, "run", &["--set", "risk.safe_trading_end=14:00"]);
    let lines = desk.works(&["journal", "cat", "run", "--kind", "risk-verdict", "--format", "json"]);
    let late = lines.lines().find(|line| line.contains("after-safe-end")).expect("somebody is late");
    let late: Value = serde_json::from_str(late).unwrap();
    let order = late["order"].as_u64().expect("a number").to_string();
    let told = desk.works(&["explain", "run", &order]);
    assert!(told.contains("allowed 14:00:00, met 1"), "{told}");
}
