//! The drill as anyone runs it, in short: kills of the daemon and of the broker, and everything that must hold after each.
//!
//! - `DAYBOOK_KILLS` sets the number of kills (default 3), `DAYBOOK_SEED` the seed.

use crate::desk::Desk;
use serde_json::Value;

fn drill(more: &[&str]) -> Value {
    drill_at(&Desk::new(), more)
}

fn drill_at(desk: &Desk, more: &[&str]) -> Value {
    let of = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let (kills, seed) = (of("DAYBOOK_KILLS", "3"), of("DAYBOOK_SEED", "7"));
    let mut arguments = vec!["drill", "--speed", "2400", "--out", "d", "--format", "json"];
    for (name, value) in [("--kills", &kills), ("--seed", &seed)] {
        if !more.contains(&name) {
            arguments.extend([name, value]);
        }
    }
    let output = desk.daybook(&[&arguments[..], more].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!((output.status.code(), &report["failure"]), (Some(0), &Value::Null), "{report} {told}");
    let kept: Value = serde_json::from_str(&desk.text("d/drill.json")).expect("the summary is JSON");
    assert_eq!(kept, report, "what was printed is recorded");
    report
}

/// RL-31, RL-32, RL-33: a day on paper through kills: it derives again after each, and ends whole.
#[test]
fn a_day_on_paper_is_drilled() {
    let report = drill(&[]);
    let done = report["daemon_kills"].as_u64().unwrap() + report["broker_kills"].as_u64().unwrap();
    assert!(done >= 3 && report["audits"].as_u64() >= report["days"].as_u64(), "{report}");
    assert!(report["fills"].as_u64() > Some(0) && report["struck_holding"].as_u64() > Some(0), "{report}");
}

/// The same with orders at the broker: after each kill the broker's books and the session's come to rest, equal, with a
/// stop for every position, and no order was sent twice.
#[test]
fn a_day_at_the_broker_is_drilled() {
    let report = drill(&["--live"]);
    assert!(report["settled"].as_u64() >= Some(3) && report["orders"].as_u64() > Some(3), "{report}");
    assert!(report["struck_holding"].as_u64() > Some(0), "{report}");
    assert_eq!((report["mode"].as_str(), report["reconciliation_locks"].as_u64()), (Some("live"), Some(0)));
    let differences = report["differences"].as_object().expect("counts");
    assert!(differences.keys().all(|what| what == "never-arrived"), "a kill explains no other: {report}");
}

/// P6: the disk runs full in the middle of the day, and the reserve as well: in one line the daemon ends, what is held has
/// its stop at the broker, and with room the same command goes on. Restarts begin from states, and audits derive from each.
#[test]
fn a_disk_runs_full_in_the_middle_of_a_day() {
    let desk = Desk::new();
    let report = drill_at(&desk, &["--live", "--only", "disk", "--kills", "2", "--seed", "11"]);
    assert!(report["full_disks"].as_u64() > Some(0) && report["full_reserves"].as_u64() > Some(0), "{report}");
    assert!(report["from_states"].as_u64() > Some(0) && report["snapshots_audited"].as_u64() > Some(0), "{report}");
    let days = report["days"].as_u64().expect("days");
    let log: String = (0..days).map(|day| desk.text(&format!("d/session-{day}.log"))).collect();
    let last = log.lines().find(|line| line.starts_with("error:")).expect("it says why it ended");
    assert!(
        last.contains("the disk is full") && last.contains("run the command again") && last.contains("held"),
        "{last}"
    );
    let done = desk.text("d/drill.jsonl");
    assert!(
        done.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()) && done.contains("\"room\""),
        "{done}"
    );
}

/// RL-33: a broker that is silent for minutes halts entries; once it is back every position is left.
#[test]
fn a_broker_is_away_for_minutes() {
    let report = drill(&["--live", "--only", "outage,token", "--kills", "3", "--seed", "2"]);
    assert!(report["outages"].as_u64() > Some(0) && report["outages_met"] == report["outages"], "{report}");
}

/// A broker that lets no order in: nothing is ever held, and a drill that never met a position does not pass.
#[test]
fn a_drill_that_proves_nothing_does_not_pass() {
    let desk = Desk::new();
    for (more, why) in [
        (&["--live", "--fault", "refused-address", "--kills", "1"][..], "nothing went wrong in 3 days"),
        (&["--kills", "0"], "nothing went wrong in 0 days"),
    ] {
        let output = desk.daybook(&[&["drill", "--speed", "20000", "--out", "d", "--format", "json"], more].concat());
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        let failure = report["failure"].as_str().unwrap_or_default();
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert!(failure.contains("nothing proved") && failure.contains(why), "{report}");
        assert!(failure.contains("--speed"), "{report}");
    }
}

/// What makes no sense is refused before anything is made.
#[test]
fn a_drill_without_a_rhythm_is_refused() {
    let desk = Desk::new();
    desk.fails(&["drill", "--speed", "max", "--out", "d"], &["--speed in numbers"]);
    desk.misused(&["drill", "--only", "rain"], &["daemon", "outage", "disk"]);
    desk.misused(&["drill", "--each-fault", "--fault", "429"], &["--fault"]);
    desk.write("file", "x");
    std::fs::create_dir(desk.path("d")).expect("a folder");
    desk.write("d/mine", "x");
    desk.fails(&["drill", "--out", "d"], &["something else than a drill"]);
    assert_eq!(desk.text("d/mine"), "x");
}
