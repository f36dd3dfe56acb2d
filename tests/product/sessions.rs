//! Sessions with the broker: one that ends in the middle of a day, and one that is never begun.
//!
//! - What is refused here is refused before a session exists and before any order.

use crate::broker_world::{Broker, World};
use serde_json::Value;

const SMA: [&str; 8] = ["--strategy", "sma-cross", "--set", "fast=2", "--set", "slow=5", "--set", "quantity=3"];
const LIVE: (&str, &str) = ("DAYBOOK_PAPER_TRADING", "false");

fn trade<'a>(broker: &'a Broker, session: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["trade", "--arm", "--broker-url", &broker.url, "--session", session];
    arguments.extend(SMA);
    arguments.extend(["--symbols", "BETA,ALPHA", "--slice-grace-ms", "20000"]);
    arguments
}

fn events(world: &World, session: &str, kind: &str) -> Vec<Value> {
    let output = world.command(&["journal", "cat", session, "--kind", kind]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The token dies in the middle of a day with orders: the feed says so, another login is taken up without anyone's doing,
/// the feed goes on with its gap marked, and the day ends flat, sealed and derived again.
#[test]
fn a_token_that_dies_is_replaced_and_the_day_goes_on() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let day = ["--date", "2025-06-10", "--speed", "900", "--start", "09:10", "--fault", "token-death:5400:2"];
    let broker = Broker::start(&world, &day);
    let (code, ended, errors) = world.run_with(&trade(&broker, "live"), &[LIVE]);
    assert_eq!((code, ended["ended"].as_str(), ended["flat"].as_bool()), (Some(0), Some("session-over"), Some(true)));
    assert_eq!(errors.matches("another login is taken up").count(), 2, "{errors}");
    let feed: Vec<String> =
        events(&world, "live", "feed-state").iter().map(|one| one["change"].as_str().unwrap().to_owned()).collect();
    // It was told that the wire broke, or that the session was over: whichever was seen first.
    let gaps = feed.iter().filter(|change| *change != "connected").count();
    assert!(gaps >= 2 && feed.last().map(String::as_str) == Some("connected"), "{feed:?}");
    // Bars go on after the last death: three hours and more of the day's six are behind it.
    assert!(ended["bars"].as_u64() > Some(130) && ended["fills"].as_u64() > Some(4), "{ended}");
    assert_eq!(world.done(&["audit", "live"])["verdict"], "equal");
    // RL-38: the ledgers are tables of the journal, requests with their answers and latencies among them.
    world.done(&["journal", "export", "live", "--to", "ledgers"]);
    for table in ["order-intent", "order-update", "fill", "account", "broker-answer", "broker-fill"] {
        assert!(world.path(&format!("ledgers/{table}.parquet")).exists(), "{table}");
    }
    let status = world.done(&["status", "live"]);
    assert_eq!(
        (status["broker"]["agrees"].as_bool(), status["risk"]["unprotected"].as_array().map(Vec::len)),
        (Some(true), Some(0)),
        "{status}"
    );
}

/// RL-02: wrong credentials, and those of somebody else, are refused in one line before anything is sent, and no session
/// is begun. None of it shows a secret.
#[test]
fn wrong_credentials_are_refused_before_any_order() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let mut server = world.command(&[
        "simulate",
        "--journal",
        "market",
        "--port",
        "0",
        "--fresh",
        "--date",
        "2025-06-10",
        "--speed",
        "60",
        "--own-application",
    ]);
    server.envs([("KITE_API_KEY", "mykey1234"), ("KITE_API_SECRET", "mysecret5678")]);
    let broker = Broker::begin(server);
    let arguments = trade(&broker, "today");
    let refused = |variables: &[(&str, &str)], says: &[&str]| {
        let variables: Vec<_> = variables.iter().chain(&[LIVE]).copied().collect();
        let (code, _, errors) = world.run_with(&arguments, &variables);
        let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!((code, lines.len()), (Some(1), 1), "{errors}");
        assert!(says.iter().all(|text| lines[0].contains(text)), "should say {says:?}: {}", lines[0]);
        assert!(!errors.contains("mysecret") && !errors.contains("wrongsecret"), "{errors}");
        assert!(!world.path("today").exists(), "nothing was begun");
    };
    let (key, secret) = (("KITE_API_KEY", "mykey1234"), ("KITE_API_SECRET", "mysecret5678"));
    refused(&[], &["KITE_API_KEY", "KITE_API_SECRET", ".env"]);
    refused(&[("KITE_API_KEY", "otherkey99"), secret], &["refused the login", "KITE_API_KEY"]);
    refused(&[key, ("KITE_API_SECRET", "wrongsecret")], &["refused the login", "KITE_API_SECRET"]);
    refused(&[key, secret, ("KITE_USER_ID", "ZZ9999")], &["KITE_USER_ID", "ZZ9999"]);
    // Nothing of this kept a login that a later command would take up.
    refused(&[key, ("KITE_API_SECRET", "wrongsecret")], &["refused the login"]);
    let rehearsal: Vec<&str> = arguments.iter().chain(&["--dry-run"]).copied().collect();
    let (code, printed, errors) = world.run_with(&rehearsal, &[LIVE, key, secret]);
    assert_eq!((code, printed["passes"].as_bool()), (Some(0), Some(true)), "{errors} {printed}");
}
