//! The commands that talk to a broker, against the simulated one on this machine: fetch, and a day on paper.

use crate::broker_world::{Broker, SYMBOLS, World};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// SQ-05, RL-08: a range is fetched once; what is there is not asked for, even when nobody could answer.
#[test]
fn fetch_asks_once_and_then_never_again() {
    let world = World::new(&["2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10"]);
    let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "120"]);
    let fetch = |to: &'static str| {
        [
            "fetch",
            "--broker-url",
            &broker.url,
            "--from",
            "2025-06-05",
            "--to",
            to,
            "--symbols",
            "BETA,ALPHA",
            "--journal",
            "hist",
        ]
        .map(str::to_owned)
    };
    let done = |arguments: [String; 11]| world.done(&arguments.each_ref().map(String::as_str));
    let first = done(fetch("2025-06-06"));
    assert_eq!((first["requests"].as_u64(), first["ingest"]["kept"].as_u64()), (Some(2), Some(300)));
    let more = done(fetch("2025-06-09"));
    assert_eq!((more["requests"].as_u64(), more["ingest"]["kept"].as_u64()), (Some(2), Some(150)));
    let complete = |day: &Value| {
        day["coverage"].as_array().unwrap().iter().all(|one| one["complete"] == 3 && one["sessions"] == 3)
    };
    assert!(complete(&more), "{more}");
    let arguments = fetch("2025-06-09");
    drop(broker);
    let again = done(arguments);
    assert_eq!((&again["complete_before"], &again["content"]), (&Value::Bool(true), &more["content"]));
    world.done(&["verify", "hist"]);

    // What the broker gave is what its market holds.
    let candles = |journal: &str, symbol: &str| {
        let output =
            world.command(&["journal", "cat", journal, "--kind", "candle", "--symbol", symbol]).output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let values = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let key =
            |one: Value| ["open_time", "open", "high", "low", "close", "volume"].map(|name| one[name].to_string());
        values.map(key).collect::<std::collections::BTreeSet<_>>()
    };
    for symbol in SYMBOLS {
        let (fetched, there) = (candles("hist", symbol), candles("market", symbol));
        assert_eq!(fetched.len(), 225);
        assert!(fetched.is_subset(&there));
    }
}

/// Real credentials and tokens stay out of journals, logs and messages.
#[test]
fn nothing_of_a_session_is_kept_where_it_can_be_read() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "120"]);
    let arguments =
        ["--log", "trace", "fetch", "--broker-url", &broker.url, "--from", "2025-06-09", "--to", "2025-06-09"];
    let arguments: Vec<&str> = arguments.iter().chain(&["--symbols", "BETA", "--journal", "hist"]).copied().collect();
    let (code, printed, errors) = world.run(&arguments);
    assert_eq!(code, Some(0), "{errors}");
    let folder = world.path(".config/daybook");
    let file = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .find(|one| one.file_name().to_string_lossy().starts_with("kite-"));
    let file = file.expect("the day's login is kept").path();
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let token = kept["access_token"].as_str().unwrap();
    assert!(token.len() >= 8 && !errors.contains(token) && !printed.to_string().contains(token), "{errors}");
    let mut open = vec![world.path("hist")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()), "{}", path.display());
    }
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions()) & 0o777, 0o600);
}

fn trade<'a>(broker: &'a Broker, session: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["trade", "--paper", "--broker-url", &broker.url, "--session", session];
    arguments.extend(["--strategy", "sma-cross", "--set", "fast=2", "--set", "slow=5", "--set", "quantity=3"]);
    arguments.extend(["--symbols", "BETA,ALPHA", "--slice-grace-ms", "20000"]);
    arguments
}

/// A day on paper, killed in the middle and taken up again: sealed at its end, and every output derives again.
#[test]
fn a_day_on_paper_survives_a_kill_and_audits_equal() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "600", "--start", "12:30"]);
    let mut killed = world.command(&trade(&broker, "paper")).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(world.done(&["audit", "paper"])["verdict"], "equal", "a session that was cut off audits too");
    let ended = world.done(&trade(&broker, "paper"));
    assert_eq!((ended["ended"].as_str(), ended["dropped"].as_u64()), (Some("session-over"), Some(0)), "{ended}");
    assert!(ended["resumed_frames"].as_u64() > Some(3), "{ended}");
    // What was built from the first start's last snapshot to the second's first may lack volume; the rest is the market's.
    let (compared, equal) =
        (ended["official"]["compared"].as_u64().unwrap(), ended["official"]["equal"].as_u64().unwrap());
    // Bars that closed before the start, or while no daemon was there, are missing.
    let missing = ended["official"]["missing"].as_u64().unwrap();
    assert!(compared >= 50 && compared + missing >= 148, "{ended}");
    assert!(equal * 10 >= compared * 8, "{ended}");
    let report = world.done(&["audit", "paper"]);
    assert_eq!((&report["verdict"], &report["first_difference"]), (&Value::from("equal"), &Value::Null));
    assert!(report["compared"].as_u64() > Some(70), "{report}");
    world.done(&["verify", "paper"]);
    let output = world.command(&["journal", "cat", "paper", "--kind", "fill"]).output().unwrap();
    assert!(output.stdout.iter().filter(|&&byte| byte == b'\n').count() > 2, "it traded on paper");

    // Over is over: refused before anyone is asked.
    drop(broker);
    let nobody = Broker::nobody();
    let (code, _, errors) = world.run(&trade(&nobody, "paper"));
    assert!(code == Some(1) && errors.contains("the session is over"), "{errors}");
    assert!(Path::new(&world.path("paper/manifest.json")).exists());

    // Its journal moves: what stays still verifies with the manifest, and the copy holds all it was told.
    let moved = world.done(&["journal", "archive", "paper", "--to", "old"]);
    assert_eq!(world.done(&["verify", "paper"])["verdict"], "archived");
    let copy = moved["copy"].as_str().unwrap();
    assert_eq!(world.done(&["audit", copy])["compared"], report["compared"]);
    let (code, _, errors) = world.run(&trade(&nobody, "paper"));
    assert!(code == Some(1) && errors.contains("the session is over"), "{errors}");
    let (code, _, errors) = world.run(&["status", "paper"]);
    assert!(code == Some(1) && errors.contains("is archived"), "{errors}");
}

#[test]
fn a_signal_leaves_a_session_that_can_be_taken_up() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "1800", "--start", "09:10"]);
    let daemon = world.command(&trade(&broker, "paper")).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    let second = world.run(&trade(&broker, "paper"));
    assert_eq!(second.0, Some(1), "one daemon for a session: {}", second.2);
    let pid = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = daemon.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let ended: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((ended["ended"].as_str(), ended["flat"].as_bool()), (Some("stopped"), Some(true)), "{ended}");
    assert_eq!(world.done(&["audit", "paper"])["verdict"], "equal");
    let verified = world.done(&["verify", "paper"]);
    assert_eq!((verified["verdict"].as_str(), verified["unended"].as_bool()), (Some("sound"), Some(true)));
}

/// BT-38, RL-35: a drawdown's lock and the operator's outlast the night: the next session begins with what the account was
/// worth, measures its fall from the peak that was, and stays locked until an operator resumes. A session of the same day
/// or of the other kind is nothing to go on from.
#[test]
fn a_session_goes_on_from_the_one_before_it() {
    let world = World::new(&["2025-06-09", "2025-06-10", "2025-06-11"]);
    let limit = ["--set", "risk.max_drawdown_pct=0.0001", "--journal", "market"];
    let on = |date: &str| Broker::start(&world, &["--date", date, "--speed", "1800", "--start", "14:00"]);
    let broker = on("2025-06-10");
    let arguments = [&trade(&broker, "first")[..], &limit].concat();
    let daemon = world.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..500 {
        if world.command(&["status", "first"]).output().unwrap().status.success() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // The first half of the hour it trades and falls; then it is halted as well.
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(world.done(&["halt", "first"])["taken"], true);
    assert!(daemon.wait_with_output().unwrap().status.success());
    let ended = world.done(&["status", "first"]);
    let locks = |status: &Value| {
        let locks = status["risk"]["locks"].as_array().unwrap().iter();
        let mut locks: Vec<_> = locks.map(|lock| lock["limit"].as_str().unwrap().to_owned()).collect();
        locks.sort();
        locks
    };
    assert_eq!(locks(&ended), ["drawdown", "kill-switch"], "a test without locks proves nothing: {ended}");
    assert_ne!(ended["risk"]["peak"], ended["account"]["equity"]);

    let nobody = Broker::nobody();
    let refused = |session: &str, broker: &Broker, after: &str, says: &str| {
        let (code, _, errors) = world.run(&[&trade(broker, session)[..], &["--after", after]].concat());
        assert!(code == Some(1) && errors.contains(says), "should say {says}: {errors}");
    };
    refused("second", &broker, "first", "it is of 2025-06-10, and today is 2025-06-10");
    refused("second", &nobody, "nowhere", "--after nowhere");
    let live: Vec<&str> = trade(&nobody, "second").into_iter().filter(|one| *one != "--paper").collect();
    let live = [&live[..], &["--arm", "--after", "first"]].concat();
    let (code, _, errors) = world.run_with(&live, &[("DAYBOOK_PAPER_TRADING", "false")]);
    assert!(code == Some(1) && errors.contains("it was on paper, and this one is at the broker"), "{errors}");

    let broker = on("2025-06-11");
    let (code, second, errors) = world.run(&[&trade(&broker, "second")[..], &limit, &["--after", "first"]].concat());
    assert_eq!((code, &second["equity"]), (Some(0), &ended["account"]["equity"]), "{errors}");
    let went_on = world.done(&["status", "second"]);
    assert_eq!((locks(&went_on), &went_on["risk"]["peak"]), (locks(&ended), &ended["risk"]["peak"]));
    assert_eq!(went_on["counts"]["fills"], 0);
    assert_eq!(world.done(&["audit", "second"])["verdict"], "equal");
}

/// BT-45: a session that trades a table keeps it: whoever asks for its status or audits it needs nothing else, and it is
/// taken up with its own, whatever became of the file that was named.
#[test]
fn a_session_keeps_the_list_it_trades() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "900", "--start", "14:20"]);
    world.write(
        "mine.csv",
        "time,symbol,side,quantity\n2025-06-10T15:00:00+05:30,ALPHA,BUY,3\n2025-06-10T15:15:00+05:30,ALPHA,SELL,3\n",
    );
    let mut arguments = vec!["trade", "--paper", "--broker-url", &broker.url, "--session", "s", "--strategy", "orders"];
    arguments.extend(["--set", "file=mine.csv", "--symbols", "ALPHA"]);
    let mut killed = world.command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    for _ in 0..500 {
        if world.command(&["status", "s"]).output().unwrap().status.success() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    world.write("mine.csv", "time,symbol,side,quantity\n");
    let (code, ended, errors) = world.run(&arguments);
    assert_eq!((code, ended["fills"].as_u64()), (Some(0), Some(2)), "{errors} {ended}");
    assert_eq!(world.done(&["audit", "s"])["verdict"], "equal");
}
