//! What the program says of itself: every command has a help with the flags that all have, and wrong usage is told.
//!
//! - The list of commands is written down here: one that comes or goes is a decision.

use crate::desk::Desk;

/// RL-01: the four jobs of a day, and what belongs to them.
const COMMANDS: &[&str] = &[
    "demo",
    "ingest",
    "fetch",
    "trade",
    "preflight",
    "halt",
    "resume",
    "kill",
    "status",
    "drill",
    "backtest",
    "audit",
    "explain",
    "compare",
    "fork",
    "features",
    "simulate",
    "train",
    "evaluate",
    "promote",
    "controls",
    "verify",
    "journal",
    "config",
];
/// Flags that every command has.
const EVERYWHERE: [&str; 6] = ["--config", "--format", "--log", "--log-format", "--verbose", "--silent"];

/// RL-01, RL-48: help lists each command, and each has a help of its own with the flags that all share.
#[test]
fn every_command_has_a_help() {
    let desk = Desk::new();
    let all = desk.works(&["--help"]);
    for command in COMMANDS {
        assert!(all.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}: {all}");
        let help = desk.works(&[command, "--help"]);
        for flag in EVERYWHERE {
            assert!(help.contains(flag), "{command} --help lacks {flag}");
        }
        assert!(help.contains("Usage: daybook"), "{help}");
    }
    let listed = all.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // The first word of a line that is not the rest of a text.
    let names: Vec<&str> =
        listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names.iter().filter(|name| **name != "help").collect::<Vec<_>>(), COMMANDS.iter().collect::<Vec<_>>());
    desk.misused(&["trades"], &["unrecognized subcommand 'trades'", "trade"]);
    desk.misused(&["trade", "--stage", "loop"], &["--stage"]);
}

/// RL-23: times of day and numbers, nothing else; of opposing flags the last one wins.
#[test]
fn flags_of_trade_take_what_they_say() {
    let desk = Desk::new();
    let trade =
        ["trade", "--symbols", "A", "--strategy", "hold", "--session", "s", "--broker-url", "http://127.0.0.1:1"];
    for (flag, values, says) in [
        ("--end", &["2h", "2025-06-10", "25:00", "15:10:61", "90"][..], "time of day"),
        ("--loop-ms", &["0", "5001", "-1", "fast"], "--loop-ms"),
        ("--interval", &["0m", "banana"], "--interval"),
        ("--clock", &["mine"], "broker"),
    ] {
        for value in values {
            desk.misused(&[&trade[..], &[&format!("{flag}={value}")]].concat(), &[says]);
        }
    }
    // A rehearsal ends with a list of gates; a session on paper at the first that is shut. The kill switch shuts one.
    desk.write(".killswitch", "");
    let rehearsed =
        desk.daybook(&[&trade[..], &["--paper", "--dry-run", "--end", "15:10:30", "--loop-ms", "250"]].concat());
    assert!(String::from_utf8_lossy(&rehearsed.stdout).contains("kill-switch"), "{rehearsed:?}");
    let begun = desk.daybook(&[&trade[..], &["--dry-run", "--paper"]].concat());
    assert!(begun.stdout.is_empty() && String::from_utf8_lossy(&begun.stderr).contains("kill switch"), "{begun:?}");
    // Of --silent and --verbose the last one wins: `info` is told, or nothing but the error.
    let told = |order: [&str; 2]| {
        let output = desk.daybook(&[&order[..], &trade, &["--paper"]].concat());
        String::from_utf8_lossy(&output.stderr).lines().count()
    };
    assert!(told(["--silent", "--verbose"]) > 1);
    assert_eq!(told(["--verbose", "--silent"]), 1);
}
