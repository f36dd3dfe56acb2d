//! The drill as anyone runs it, in short: kills of the daemon and of the broker, and everything that must hold after each.
//!
//! - `DAYBOOK_KILLS` sets the number of kills (default 3), `DAYBOOK_SEED` the seed.

use crate::desk::Desk;
use serde_json::Value;

fn drill(more: &[&str]) -> Value {
    let desk = Desk::new();
    let of = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let (kills, seed) = (of("DAYBOOK_KILLS", "3"), of("DAYBOOK_SEED", "7"));
    let arguments = ["drill", "--kills", &kills, "--seed", &seed, "--speed", "2400", "--out", "d", "--format", "json"];
    let output = desk.daybook(&[&arguments[..], more].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!((output.status.code(), &report["failure"]), (Some(0), &Value::Null), "{report} {told}");
    report
}

/// RL-31, RL-32, RL-33: a day on paper through kills: it derives again after each, and ends whole.
#[test]
fn a_day_on_paper_is_drilled() {
    let report = drill(&[]);
    let done = report["daemon_kills"].as_u64().unwrap() + report["broker_kills"].as_u64().unwrap();
    assert!(done >= 3 && report["audits"].as_u64() >= report["days"].as_u64(), "{report}");
    assert!(report["fills"].as_u64() > Some(0), "{report}");
}

/// The same with orders at the broker: after each kill the broker's books and the session's come to rest, equal, with a
/// stop for every position, and no order was sent twice.
#[test]
fn a_day_at_the_broker_is_drilled() {
    let report = drill(&["--live"]);
    assert!(report["settled"].as_u64() >= Some(3) && report["orders"].as_u64() > Some(3), "{report}");
    assert_eq!(report["mode"], "live");
}
