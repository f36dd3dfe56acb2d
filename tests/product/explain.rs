//! `explain` and `compare` through the real binary, against figures worked out again from what they print.
//!
//! - Every test works in a directory of its own, on a small made-up market; none needs network or data from outside.

use crate::desk::{Desk, five_minutes};
use daybook_vocabulary::{Nanos, Price};
use serde_json::Value;
use std::fs;

/// A market of two symbols in the journal `m`.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["ALFA", "BETA"], "2024-01-01", "2024-01-31"));
    desk
}

fn backtest(desk: &Desk, out: &str, more: &[&str]) -> Value {
    let cross = ["--strategy", "sma-cross", "--set", "fast=5", "--set", "slow=20", "--set", "quantity=10"];
    desk.json(&[&["backtest", "--journal", "m", "--out", out][..], &cross, more].concat())
}

/// A decimal text in units of 1e-8.
fn raw(value: &Value) -> i128 {
    value.as_str().unwrap_or_else(|| panic!("not a decimal: {value}")).parse::<Price>().unwrap().0.into()
}

fn time(value: &Value) -> Nanos {
    value.as_str().unwrap_or_else(|| panic!("not a time: {value}")).parse().unwrap()
}

/// The rule of `sma-cross` once more, on the closes that were printed.
fn is_above(bars: &[Value], fast: usize) -> bool {
    let sum = |bars: &[Value]| bars.iter().map(|bar| raw(&bar["candle"]["close"])).sum::<i128>();
    sum(&bars[bars.len() - fast..]) * bars.len() as i128 > sum(bars) * fast as i128
}

#[test]
fn every_order_follows_from_the_candles_it_is_explained_by() {
    let desk = desk();
    let summary = backtest(&desk, "run", &["--costs", "zerodha-intraday"]);
    let orders = summary["orders"].as_u64().unwrap();
    assert!(orders > 40, "a test without orders proves nothing: {summary}");
    let (mut entries, mut exits) = (0, 0);
    for order in (1..=orders).step_by(3).chain([orders]) {
        let told = desk.json(&["explain", "run", &order.to_string(), "--candles", "20"]);
        let bars = told["seen"]["bars"].as_array().unwrap();
        assert_eq!((bars.len(), &told["seen"]["needed"]), (20, &Value::from(20)));
        let reason = if is_above(bars, 5) { "cross-up" } else { "cross-down" };
        assert_eq!(told["intent"]["reason"], reason, "order {order}");
        assert_eq!(bars.last(), Some(&told["candle"]), "it was decided on the last bar that was seen");
        assert_eq!(told["candle"]["candle"]["close"], told["intent"]["reference"]);
        assert!(bars.is_sorted_by_key(|bar| time(&bar["known"])));
        assert!(bars.iter().all(|bar| time(&bar["known"]) <= time(&told["time"])), "nothing later was seen");
        let Some(fill) = told["steps"].as_array().unwrap().iter().find(|step| step["kind"] == "fill") else {
            assert_eq!(order, orders, "only the last order may be left without a fill: {told}");
            continue;
        };
        assert_eq!(fill["event"]["price"], fill["candle"]["candle"]["open"], "a market order fills at the open");
        assert!(time(&fill["candle"]["candle"]["open_time"]) >= time(&told["time"]), "after the decision");
        let items = fill["event"]["charges"].as_object().unwrap().values().map(raw).sum::<i128>();
        assert_eq!((items, raw(&fill["charges"])), (raw(&told["charges"]), items));
        assert!(items > 0);
        let is_entry = reason == "cross-up";
        assert_eq!(raw(&fill["event"]["position"]), if is_entry { 1_000_000_000 } else { 0 });
        for trade in told["trades"].as_array().unwrap() {
            let (part, side) = if is_entry { ("entry", "entry_order") } else { ("exit", "exit_order") };
            assert_eq!((&trade["part"], &trade["trade"][side]), (&Value::from(part), &Value::from(order)));
            if is_entry { entries += 1 } else { exits += 1 }
        }
    }
    assert!(entries > 3 && exits > 3, "{entries} entries, {exits} exits");
    assert_eq!(desk.json(&["audit", "run"])["verdict"], "equal");
    assert!(desk.daybook(&["verify", "run"]).status.success(), "what explain left in cache/ is no part of the run");
}

#[test]
fn it_is_the_same_with_an_index_without_one_and_with_a_false_one() {
    let desk = desk();
    backtest(&desk, "run", &[]);
    let first = desk.json(&["explain", "run", "7"]);
    let cache = desk.path("run/journal/cache");
    assert!(cache.join("index").is_dir(), "the first time leaves an index");
    assert_eq!(desk.json(&["explain", "run", "7"]), first);
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "a file where the cache would be").unwrap();
    assert_eq!(desk.json(&["explain", "run", "7"]), first, "a cache that cannot be written is done without");
    fs::remove_file(&cache).unwrap();
    // The index of another run: nothing in it is believed.
    backtest(&desk, "other", &["--set", "fast=3"]);
    desk.json(&["explain", "other", "7"]);
    fs::rename(desk.path("other/journal/cache"), &cache).unwrap();
    assert_eq!(desk.json(&["explain", "run", "7"]), first);
    let text = desk.daybook(&["explain", "run", "7"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for said in ["order 7 in ", "decided on the candle", "a decision needs 20", "fill ", "fast=5", "journal    1 id"] {
        assert!(text.contains(said), "{said:?} is missing: {text}");
    }
}

#[test]
fn a_refused_order_is_explained_and_an_unknown_one_is_not() {
    let desk = desk();
    let summary = backtest(&desk, "run", &["--cash", "100"]);
    let told = desk.json(&["explain", "run", "1"]);
    assert_eq!((&told["intent"]["verdict"], &told["state"]), (&"insufficient-cash".into(), &"refused".into()));
    assert_eq!(told["steps"], Value::Array(Vec::new()));
    assert_eq!(told["run"]["settings"]["cash"], "100");
    let refusal = &told["refusal"];
    assert_eq!(refusal["limit"], "100");
    assert_eq!(raw(&refusal["observed"]), 10 * raw(&told["intent"]["reference"]), "ten at the last price");
    let orders = summary["orders"].as_u64().unwrap();
    let range = format!("its orders are 1 to {orders}");
    for unknown in [0, orders + 1, u64::MAX] {
        desk.fails(&["explain", "run", &unknown.to_string()], &[&unknown.to_string(), &range]);
    }
    backtest(&desk, "none", &["--set", "slow=5000"]);
    desk.fails(&["explain", "none", "1"], &["no order at all"]);
    desk.fails(&["explain", "m", "1"], &["not of a session"]);
}

/// RL-17: an order of a policy is explained by its decision, and its round trip by what it is measured by.
#[test]
fn an_order_of_a_policy_is_explained_by_its_decision() {
    let desk = desk();
    let set = ["--strategy", "policy-momentum", "--set", "risk.capital_per_ticker=20000"];
    let arguments = [&["backtest", "--journal", "m", "--out", "run"][..], &set].concat();
    let summary = desk.json(&arguments);
    assert!(summary["trades"].as_u64().unwrap() > 5, "{summary}");
    let decisions = desk.daybook(&["journal", "cat", "run", "--kind", "decision", "--format", "json"]);
    let decisions = String::from_utf8(decisions.stdout).expect("text");
    let decisions: Vec<Value> = decisions.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let entered = |line: &&Value| line["ruling"].as_str().unwrap().starts_with("enter");
    let first = decisions.iter().find(entered).expect("an entry");
    let told = desk.json(&["explain", "run", "1"]);
    assert_eq!((&told["decision"]["seq"], &told["decision"]["decision"]["model"]), (&first["seq"], &first["model"]));
    assert_eq!(told["intent"]["reason"], told["decision"]["decision"]["ruling"]);
    let measures = &told["trades"][0]["trade"]["measures"];
    assert_eq!(measures["decision"], told["decision"]["decision"]["decision"]);
    assert!(measures["stop"].is_string(), "{measures}");
    let text = String::from_utf8_lossy(&desk.daybook(&["explain", "run", "1"]).stdout).into_owned();
    assert!(text.contains("ruled enter-") && text.contains("MAE in R") && text.contains("rules broken"), "{text}");
    assert_eq!(desk.json(&["audit", "run"])["verdict"], "equal");
}

#[test]
fn bars_built_in_the_session_and_a_bounded_range_are_told_as_the_strategy_saw_them() {
    let desk = desk();
    backtest(&desk, "half", &["--set", "engine.timeframe=30m"]);
    let told = desk.json(&["explain", "half", "2", "--candles", "20"]);
    let bars = told["seen"]["bars"].as_array().unwrap();
    assert_eq!((&told["seen"]["kind"], &told["seen"]["interval"]), (&"bar".into(), &"30m".into()));
    assert_eq!(told["intent"]["reason"], if is_above(bars, 5) { "cross-up" } else { "cross-down" });
    assert_eq!(bars.last().unwrap()["candle"]["close"], told["candle"]["candle"]["close"]);

    backtest(&desk, "late", &["--from", "2024-01-16"]);
    let told = desk.json(&["explain", "late", "1", "--candles", "100000"]);
    let from: Nanos = "2024-01-15T18:30:00Z".parse().unwrap();
    let before = |bar: &&Value| time(&bar["candle"]["open_time"]) < from;
    let bars = told["seen"]["bars"].as_array().unwrap();
    assert_eq!(bars.iter().filter(before).count(), 19, "the warm-up, and nothing before it");

    fs::rename(desk.path("m"), desk.path("moved")).unwrap();
    desk.fails(&["explain", "late", "1"], &["was not found", "--journal"]);
    assert_eq!(desk.json(&["explain", "late", "1", "--journal", "moved"])["order"], 1);
}

#[test]
fn runs_of_the_same_thing_are_equal_whatever_their_journals() {
    let desk = desk();
    let summary = backtest(&desk, "one", &["--costs", "zerodha-intraday"]);
    backtest(&desk, "two", &["--costs", "zerodha-intraday"]);
    let found = desk.json(&["compare", "one", "two"]);
    assert_eq!((&found["verdict"], &found["first_decision"]), (&"equal".into(), &Value::Null));
    for (table, events) in [("orders", "orders"), ("fills", "fills"), ("trades", "trades")] {
        assert!(summary[events].as_u64().unwrap() > 20, "{summary}");
        assert_eq!(found[table]["equal"], summary[events], "every one of the {events} was compared");
        assert_eq!(found["left"][table], summary[events]);
    }
    assert_eq!((raw(&found["pnl_delta"]), raw(&found["fees_delta"])), (0, 0));
    assert_eq!(found["settings"], Value::Array(Vec::new()));
    assert_eq!(raw(&found["left"]["fees"]), raw(&summary["fees_total"]));
    assert_eq!(raw(&found["left"]["equity"]), raw(&summary["final_equity"]));

    // One symbol less: those of the other are equal, though every order has another number in its session.
    backtest(&desk, "alfa", &["--costs", "zerodha-intraday", "--symbols", "ALFA"]);
    let found = desk.answers(&["compare", "one", "alfa"], 1);
    assert_eq!((&found["orders"]["different"], &found["orders"]["right_only"]), (&0.into(), &0.into()));
    assert_eq!(found["orders"]["equal"], found["right"]["orders"]);
    assert_eq!((&found["first_decision"]["symbol"], &found["first_decision"]["right"]), (&"BETA".into(), &Value::Null));
}

#[test]
fn the_first_decision_that_differs_is_found_and_so_is_what_it_cost() {
    let desk = desk();
    let plain = backtest(&desk, "plain", &[]);
    let dear = backtest(&desk, "dear", &["--costs", "bps:10"]);
    let found = desk.answers(&["compare", "plain", "dear"], 1);
    // Charges change no decision: every fill differs in them and in nothing else.
    assert_eq!((&found["first_decision"], &found["orders"]["different"]), (&Value::Null, &0.into()));
    assert_eq!(found["fills"]["different"], plain["fills"]);
    assert_eq!(found["fills"]["fields"].as_object().unwrap().keys().collect::<Vec<_>>(), ["charges.brokerage"]);
    assert_eq!(found["settings"][0]["name"], "costs");
    assert_eq!(raw(&found["fees_delta"]), raw(&dear["fees_total"]));
    assert_eq!(raw(&found["pnl_delta"]), -raw(&dear["fees_total"]));

    backtest(&desk, "fast", &["--set", "fast=3"]);
    let found = desk.answers(&["compare", "plain", "fast", "--limit", "100000"], 1);
    let [left, right] = ["plain", "fast"].map(|run| fs::read_to_string(desk.path(run).join("orders.csv")).unwrap());
    assert_eq!(found["settings"][0], serde_json::json!({"name": "fast", "left": "5", "right": "3"}));
    // The tables list every order in order of decision; the naive twin takes the first line that differs.
    let decision = |line: &str| line.split(',').skip(1).take(3).collect::<Vec<_>>().join(",");
    let first = left.lines().zip(right.lines()).position(|(left, right)| decision(left) != decision(right));
    let first = first.expect("the runs differ") as u64;
    let told = &found["first_decision"];
    let times = ["left", "right"].map(|side| told[side]["time"].as_str().map(str::to_owned));
    let earliest = times.iter().flatten().min().expect("one side decided");
    let listed = [&left, &right].map(|table| table.lines().nth(first as usize).unwrap_or_default().to_owned());
    let date = &earliest[..10];
    assert!(listed.iter().any(|line| line.contains(date)), "{earliest} is not in {listed:?}");
    for (table, side) in [("orders", "left"), ("fills", "left"), ("trades", "left"), ("orders", "right")] {
        let count = |name: &str| found[table][name].as_u64().unwrap();
        let only = if side == "left" { "left_only" } else { "right_only" };
        assert_eq!(count("equal") + count("different") + count(only), found[side][table].as_u64().unwrap());
    }
    let listed = found["orders"]["differences"].as_array().unwrap();
    assert!(listed.len() > 10);
    assert_eq!(&listed[0], told);
    let text = String::from_utf8_lossy(&desk.daybook(&["compare", "plain", "fast"]).stdout).into_owned();
    assert!(text.starts_with("different\n") && text.contains("the first decision that differs"), "{text}");
    desk.fails(&["compare", "plain", "m"], &["not of a session"]);
}

/// The run's order intents, as `journal cat` prints them.
fn decisions(desk: &Desk, run: &str) -> Vec<Value> {
    let output = desk.daybook(&["journal", "cat", run, "--kind", "order-intent", "--format", "json"]);
    let lines = String::from_utf8(output.stdout).expect("JSON is text");
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Their sequence numbers.
fn intents(desk: &Desk, run: &str) -> Vec<u64> {
    decisions(desk, run).iter().map(|line| line["seq"].as_u64().unwrap()).collect()
}

#[test]
fn a_fork_that_changes_nothing_is_equal_wherever_it_is_taken_up() {
    let desk = desk();
    backtest(&desk, "run", &["--costs", "zerodha-intraday", "--set", "engine.timeframe=15m"]);
    let orders = intents(&desk, "run");
    assert!(orders.len() > 20);
    let frames = desk.json(&["journal", "stat", "run"])["frames"].as_u64().unwrap();
    for at in [0, 2, orders[3], orders[7] + 1, orders[12], frames - 2] {
        let forked = desk.json(&["fork", "run", "--at", &at.to_string(), "--out", "fork", "--force"]);
        let found = &forked["comparison"];
        assert_eq!((&found["verdict"], raw(&found["pnl_delta"])), (&"equal".into(), 0), "at {at}");
        let left = orders.iter().filter(|&&seq| seq > forked["parent"]["seq"].as_u64().unwrap()).count();
        assert_eq!(found["orders"]["equal"], left, "at {at}");
        let audit = desk.json(&["audit", "fork"]);
        assert_eq!((&audit["verdict"], audit["compared"].as_u64().unwrap() > 0), (&"equal".into(), true), "at {at}");
        assert!(desk.daybook(&["verify", "fork"]).status.success());
        assert_same_story(&desk, "run", "fork", &format!("taken up at {at}"));
    }
    let past = (frames - 1).to_string();
    let range = format!("0 to {}", frames - 2);
    desk.fails(&["fork", "run", "--at", &past, "--out", "fork", "--force"], &["nothing is decided", &range]);
    desk.fails(&["fork", "run", "--at", "3", "--out", "fork"], &["exists", "--force"]);
}

#[test]
fn a_fork_keeps_what_was_and_decides_anew_from_there_on() {
    let desk = desk();
    backtest(&desk, "run", &["--costs", "bps:5"]);
    backtest(&desk, "other", &["--costs", "bps:5", "--set", "fast=3"]);
    let orders = intents(&desk, "run");
    let at = orders[orders.len() / 2].to_string();
    let forked = desk.json(&["fork", "run", "--at", &at, "--set", "fast=3", "--out", "fork", "--limit", "100000"]);
    let found = &forked["comparison"];
    assert_eq!(found["verdict"], "different");
    let first = &found["first_decision"];
    let parent_seq = forked["parent"]["seq"].as_u64().unwrap();
    assert!(parent_seq >= at.parse().unwrap() && parent_seq < at.parse::<u64>().unwrap() + 8, "{parent_seq} for {at}");
    if let Some(seq) = first["left"]["seq"].as_u64() {
        assert!(seq > parent_seq, "nothing before the fork differs: {first}");
    }
    let delta = raw(&found["right"]["equity"]) - raw(&found["left"]["equity"]);
    assert_eq!((raw(&found["pnl_delta"]), delta != 0), (delta, true));
    assert_eq!(desk.answers(&["compare", "run", "fork", "--limit", "100000"], 1), *found);
    assert_eq!(desk.json(&["audit", "fork"])["verdict"], "equal");
    // The order ids go on where the parent's ended, and an order of the fork is explained like any other.
    let own = intents(&desk, "fork");
    let earlier = orders.iter().filter(|&&seq| seq <= parent_seq).count();
    let told = desk.json(&["explain", "fork", &(earlier + 1).to_string(), "--candles", "20"]);
    assert_eq!((&told["seq"], &told["run"]["mode"]), (&own[0].into(), &"fork".into()));
    assert_eq!(told["run"]["parameters"]["fast"], "3");
    let bars = told["seen"]["bars"].as_array().unwrap();
    assert_eq!(told["intent"]["reason"], if is_above(bars, 3) { "cross-up" } else { "cross-down" });
    desk.fails(&["explain", "fork", "1"], &[&format!("its orders are {} to ", earlier + 1)]);
    // The rebuilt means are those of a run with the new setting throughout: once both hold the same, both decide alike.
    let key = |line: &Value| ["time", "symbol", "side", "reference"].map(|field| line[field].to_string());
    let other: Vec<_> = decisions(&desk, "other").iter().map(key).collect();
    let own: Vec<_> = decisions(&desk, "fork").iter().map(key).collect();
    let shared = own.iter().filter(|decision| other.contains(decision)).count();
    assert!(own.len() > 20 && shared + 4 >= own.len(), "{shared} of {} are decisions of the other run", own.len());
    // Taken up before anything was decided, a fork is the whole run with those settings.
    let whole = desk.json(&["fork", "run", "--at", "0", "--set", "fast=3", "--out", "whole"]);
    assert_eq!(whole["parent"]["outputs"], 0);
    assert_eq!(desk.json(&["compare", "whole", "other"])["verdict"], "equal");
}

/// The tables and the summary of a fork that changed nothing are the run's, but for where events lie.
fn assert_same_story(desk: &Desk, run: &str, fork: &str, context: &str) {
    for table in ["orders", "fills", "trades", "equity"] {
        let rows = |run: &str| -> Vec<Vec<String>> {
            let text = fs::read_to_string(desk.path(run).join(format!("{table}.csv"))).expect("a table");
            let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
            let names = lines.next().expect("a header");
            let kept = |row: Vec<String>| {
                let cells = names.iter().zip(row).filter(|(name, _)| !name.ends_with("seq"));
                cells.map(|(_, cell)| cell).collect()
            };
            let mut rows: Vec<Vec<String>> = lines.map(kept).collect();
            rows.sort();
            rows
        };
        assert_eq!(rows(run), rows(fork), "{table}, {context}");
    }
    let summary = |run: &str| -> Value {
        let text = fs::read_to_string(desk.path(run).join("summary.json")).expect("a summary");
        let mut summary: Value = serde_json::from_str(&text).expect("JSON");
        for own in ["wall_seconds", "events_per_second", "journal_head"] {
            summary.as_object_mut().expect("an object").remove(own);
        }
        summary
    };
    assert_eq!(summary(run), summary(fork), "{context}");
    assert!(desk.path(fork).join("report.html").is_file() && !desk.path(fork).join("before").exists());
}

#[test]
fn a_fork_is_forked_like_a_run() {
    let desk = desk();
    backtest(&desk, "run", &["--costs", "bps:5"]);
    let orders = intents(&desk, "run");
    let first = desk.json(&["fork", "run", "--at", &orders[20].to_string(), "--set", "fast=3", "--out", "fork"]);
    let own = intents(&desk, "fork");
    assert!(own.len() > 20);
    for at in [0, own[0], own[own.len() / 2]] {
        let again = desk.json(&["fork", "fork", "--at", &at.to_string(), "--out", "same", "--force"]);
        assert_eq!(again["comparison"]["verdict"], "equal", "at {at}");
        assert!(again["parent"]["outputs"].as_u64() >= first["parent"]["outputs"].as_u64());
        assert_eq!(desk.json(&["audit", "same"])["verdict"], "equal", "at {at}");
        assert_same_story(&desk, "fork", "same", &format!("taken up at {at}"));
    }
    // Back to the first setting: what the fork decided in between stays, and is not what the run decided.
    let at = own[own.len() / 2].to_string();
    let back = desk.json(&["fork", "fork", "--at", &at, "--set", "fast=5", "--out", "back"]);
    assert_eq!(back["comparison"]["verdict"], "different");
    assert_eq!(desk.json(&["audit", "back"])["verdict"], "equal");
    let third = intents(&desk, "back");
    let deep = desk.json(&["fork", "back", "--at", &third[2].to_string(), "--set", "costs=none", "--out", "deep"]);
    assert!(raw(&deep["comparison"]["pnl_delta"]) > 0, "no charges any more");
    assert_eq!(desk.json(&["audit", "deep"])["verdict"], "equal");
    let header = desk.daybook(&["journal", "cat", "deep", "--kind", "session-header", "--format", "json"]);
    let header: Value = serde_json::from_slice(&header.stdout).expect("one header");
    let lineage = header["ancestors"].as_array().expect("its lineage").len();
    assert_eq!(lineage, 2, "the run and the fork; the third is its parent");
}

/// A limit that the run did not have is a setting like every other.
#[test]
fn a_fork_may_set_a_limit() {
    let desk = desk();
    backtest(&desk, "run", &[]);
    let orders = intents(&desk, "run");
    let at = orders[5].to_string();
    let forked = desk.json(&["fork", "run", "--at", &at, "--set", "risk.max_order_value=100", "--out", "capped"]);
    assert_eq!(forked["comparison"]["verdict"], "different");
    let refused = desk.daybook(&["journal", "cat", "capped", "--kind", "risk-verdict", "--format", "json"]);
    let first = String::from_utf8(refused.stdout).expect("text").lines().next().map(str::to_owned).expect("a refusal");
    let first: Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!((&first["verdict"], &first["limit"]), (&"order-value".into(), &"100".into()));
    assert_eq!(desk.json(&["audit", "capped"])["verdict"], "equal");
}

#[test]
fn a_fork_may_change_costs_and_not_what_the_past_depends_on() {
    let desk = desk();
    backtest(&desk, "run", &[]);
    let orders = intents(&desk, "run");
    let at = orders[5].to_string();
    let forked = desk.json(&["fork", "run", "--at", &at, "--set", "costs=bps:10", "--out", "dear"]);
    let found = &forked["comparison"];
    assert_eq!((&found["orders"]["different"], &found["first_decision"]), (&0.into(), &Value::Null));
    assert_eq!((&found["fills"]["equal"], raw(&found["left"]["fees"])), (&0.into(), 0));
    assert!(raw(&found["fees_delta"]) > 0);
    assert_eq!(raw(&found["pnl_delta"]), -raw(&found["fees_delta"]));
    assert_eq!(desk.json(&["audit", "dear"])["verdict"], "equal");
    let wrong = |set: &str, says: &[&str]| desk.fails(&["fork", "run", "--at", &at, "--set", set, "--out", "no"], says);
    wrong("cash=5", &["cash", "cannot change"]);
    wrong("engine.timeframe=30m", &["engine.timeframe"]);
    wrong("fats=5", &["fats", "did you mean fast"]);
    wrong("slow=2", &["slow"]);
    assert!(!desk.path("no").exists());
}
