//! What `trade` refuses, and what the broker saw of it: its own count of requests says that nobody asked it for anything.
//!
//! - Each refusal is one line on stderr that says what to do, with exit code 1, and leaves no session behind.
//! - The clock of a simulated broker is asked for before the calendar can be: it says which day it is, and does not count.

use crate::broker_world::{Broker, Running, World};
use crate::desk::Desk;
use std::process::Stdio;
use std::time::Duration;

/// A world, a broker that plays it, and somebody who wants to trade there.
struct Trader {
    world: World,
    broker: Broker,
}

impl Trader {
    fn new() -> Self {
        let world = World::new(&["2025-06-09", "2025-06-10"]);
        let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "60", "--start", "09:20"]);
        Self { world, broker }
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let session: &[&str] = if more.contains(&"--session") { &[] } else { &["--session", "today"] };
        let url: &[&str] = if more.contains(&"--broker-url") { &[] } else { &["--broker-url", &self.broker.url] };
        let common =
            ["trade", "--symbols", "BETA,ALPHA", "--strategy", "sma-cross", "--set", "fast=2", "--set", "slow=5"];
        [&common[..], session, url, more].concat()
    }

    /// Refused in one line that says all of this; what was asked of the broker since.
    fn refused(&self, more: &[&str], environment: &[(&str, &str)], says: &[&str]) -> u64 {
        let before = self.asked("all");
        let mut command = self.world.command(&self.arguments(more));
        let output = command.envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{more:?}: {told}");
        let errors: Vec<&str> = told.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(errors.len(), 1, "{more:?} is told in one line: {told}");
        assert_eq!(told.lines().last(), Some(errors[0]), "{more:?}: and nothing is said behind it: {told}");
        for text in says {
            assert!(errors[0].contains(text), "{more:?} should say {text:?}: {}", errors[0]);
        }
        self.asked("all") - before
    }

    fn asked(&self, what: &str) -> u64 {
        self.broker.asked()[what].as_u64().unwrap()
    }
}

const LIVE: (&str, &str) = ("DAYBOOK_PAPER_TRADING", "false");

/// RL-03, RL-23: settings that are missing or wrong, modes that contradict each other: refused before anybody is asked.
#[test]
fn settings_and_modes_that_make_no_sense_reach_no_broker() {
    let trader = Trader::new();
    let never_asked = |more: &[&str], environment: &[(&str, &str)], says: &[&str]| {
        assert_eq!(trader.refused(more, environment, says), 0, "{more:?}: the broker was asked");
        assert!(!trader.world.path("today").exists(), "{more:?}: nothing was begun");
    };
    never_asked(&["--config", "nowhere.toml"], &[], &["nowhere.toml", "check the path"]);
    trader.world.write("bad.toml", "[risk]\nmax_order_quantity = \"many\"\n");
    never_asked(&["--config", "bad.toml"], &[], &["bad.toml:2", "risk.max_order_quantity", "expected"]);
    trader.world.write("typo.toml", "[risk]\nmax_oder_quantity = 5\n");
    never_asked(&["--config", "typo.toml"], &[], &["typo.toml:2", "did you mean 'risk.max_order_quantity'"]);
    trader.world.write("torn.toml", "[risk\n");
    never_asked(&["--config", "torn.toml"], &[], &["torn.toml:1"]);
    never_asked(&[], &[("DAYBOOK_PAPER_TRADING", "perhaps")], &["paper_trading", "expected"]);
    // A `.env` file is a source like the others.
    trader.world.write(".env", "DAYBOOK_RISK_MAX_AGE_SECONDS=soon\n");
    never_asked(&[], &[], &[".env:1", "risk.max_age_seconds"]);
    std::fs::remove_file(trader.world.path(".env")).unwrap();
    // Live without arming, arming without live.
    never_asked(&[], &[LIVE], &["only with --arm", "--paper"]);
    never_asked(&["--arm"], &[], &["--arm", "paper_trading = yes", "leave --arm out"]);
    never_asked(&["--arm", "--paper"], &[LIVE], &["--arm", "--paper"]);
    never_asked(&["--clock", "system"], &[], &["--clock system", "leave --clock out"]);
    never_asked(&["--set", "calendar.file=none.toml"], &[], &["none.toml"]);
}

/// Credentials that are wrong are refused by the broker at the login, in one line; nothing else is asked, and no order is.
#[test]
fn wrong_credentials_end_at_the_login() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let own = [("KITE_API_KEY", "mykey1234"), ("KITE_API_SECRET", "mysecret5678")];
    let simulate = ["simulate", "--journal", "market", "--port", "0", "--fresh", "--date", "2025-06-10"];
    let more = ["--start", "09:20", "--own-application"];
    let mut command = world.command(&[&simulate[..], &more].concat());
    command.envs(own);
    let trader = Trader { broker: Broker::begin(command), world };
    for (name, keys) in [
        ("the secret", [("KITE_API_KEY", "mykey1234"), ("KITE_API_SECRET", "otherother")]),
        ("the key", [("KITE_API_KEY", "otherother"), ("KITE_API_SECRET", "mysecret5678")]),
    ] {
        let environment = [&keys[..], &[LIVE]].concat();
        let asked = trader.refused(&["--arm"], &environment, &["refused the login"]);
        assert!(asked > 0, "{name}: only the broker knows");
        assert_eq!((trader.asked("changes"), trader.asked("reads"), trader.asked("sockets")), (0, 0, 0), "{name}");
        assert!(!trader.world.path("today").exists(), "{name}: nothing was begun");
    }
    let before = trader.asked("all");
    trader.refused(&["--paper"], &[], &["set KITE_API_KEY and KITE_API_SECRET"]);
    assert_eq!(trader.asked("all"), before, "without any nobody is asked");
    // The same from a `.env` file; with the right ones every gate opens.
    trader.world.write(".env", "KITE_API_KEY=mykey1234\nKITE_API_SECRET=otherother\n");
    assert!(trader.refused(&["--paper"], &[], &["refused the login"]) > 0);
    trader.world.write(".env", "KITE_API_KEY=mykey1234\nKITE_API_SECRET=mysecret5678\n");
    let printed = trader.world.json(&trader.arguments(&["--paper", "--dry-run"]));
    assert_eq!((&printed["passes"], trader.asked("changes")), (&true.into(), 0), "{printed}");
}

/// A year that the calendar does not hold: nobody knows when anything opens (RL-12), and nobody is asked.
#[test]
fn a_year_that_the_calendar_lacks_is_refused_before_any_call() {
    let desk = Desk::new();
    let mut text = String::from("Symbol,Date,Open,High,Low,Close,Volume\n");
    for minute in 0..60 {
        text += &format!("BETA,2041-06-10 {:02}:{:02}:00,500,501,499,500,100\n", 4 + minute / 12, minute % 12 * 5);
    }
    desk.write("candles.csv", text);
    desk.works(&["ingest", "candles.csv", "--market", "generic", "--interval", "5m", "--journal", "market"]);
    let simulate = ["simulate", "--journal", "market", "--port", "0", "--date", "2041-06-10", "--format", "json"];
    let broker = Broker::begin(desk.command(&simulate));
    for live in [false, true] {
        let mut arguments = vec!["trade", "--broker-url", &broker.url, "--session", "today", "--symbols", "BETA"];
        arguments.extend(["--strategy", "sma-cross", if live { "--arm" } else { "--paper" }]);
        let mut command = desk.command(&arguments);
        let output = command.envs(live.then_some(LIVE)).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        let line = told.lines().find(|line| line.starts_with("error:")).unwrap();
        assert!(line.contains("2041") && line.contains("calendar"), "{line}");
        assert_eq!(broker.asked()["all"], 0, "{line}");
        assert!(!desk.path("today").exists());
    }
}

/// A second daemon on the same session is refused before it asks its broker for anything.
#[test]
fn a_second_daemon_asks_nobody() {
    let trader = Trader::new();
    let first = Running::start(trader.world.command(&trader.arguments(&["--paper"])));
    let journal = trader.world.path("today/journal");
    for _ in 0..200 {
        if journal.is_dir() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let elsewhere = ["--date", "2025-06-10", "--speed", "60", "--start", "09:20", "--book", "other"];
    let other = Broker::start(&trader.world, &elsewhere);
    for (more, environment) in [(&["--paper"][..], &[][..]), (&["--arm"], &[LIVE])] {
        let arguments = trader.arguments(&[more, &["--broker-url", &other.url]].concat());
        let output = trader.world.command(&arguments).envs(environment.iter().copied()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains("another daemon is at work"), "{told}");
        assert_eq!(other.asked()["all"], 0, "{told}");
    }
    drop(first);
    let status = trader.world.json(&["status", "today"]);
    assert_eq!((&status["running"], &status["ended"]), (&false.into(), &false.into()));
}

/// A real broker: somebody has to be there who types the session's name, and it has no clock to follow. The name leads
/// nowhere, so a call would end in another error.
#[test]
fn a_real_broker_wants_a_person_and_the_worlds_own_clock() {
    let trader = Trader::new();
    let keys = [("KITE_API_KEY", "key"), ("KITE_API_SECRET", "secret"), LIVE];
    let real = ["--broker-url", "https://broker.invalid"];
    trader.refused(&[&real[..], &["--arm"]].concat(), &keys, &["asks a person", "at a terminal"]);
    trader.refused(&[&real[..], &["--paper", "--clock", "broker"]].concat(), &keys, &["--clock broker", "simulated"]);
    let plain = ["--broker-url", "http://192.0.2.1:9010", "--paper"];
    trader.refused(&plain, &keys, &["http://192.0.2.1:9010"]);
    assert_eq!(trader.asked("all"), 0);
    assert!(!trader.world.path("today").exists());
}
