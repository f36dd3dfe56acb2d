//! Sessions with the broker: one that ends in the middle of a day, and one that is never begun.
//!
//! - What is refused here is refused before a session exists and before any order.

use crate::broker_world::{Broker, World};
use daybook_adapters::kite::orders::{NewOrder, Outcome, tag_of};
use daybook_adapters::kite::session::{Credentials, TokenFile};
use daybook_adapters::kite::values::{Pricing, Product, Status, Transaction, Validity, Variety};
use daybook_adapters::kite::{BlockingKite, OrderCommand};
use daybook_journal::{Draft, Options, Writer};
use daybook_vocabulary::{Price, Quantity};
use serde_json::Value;
use std::time::Duration;

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
    let day = ["--date", "2025-06-10", "--speed", "240", "--start", "13:40", "--fault", "token-death:2400:1"];
    let broker = Broker::start(&world, &day);
    let (code, ended, errors) = world.run_with(&trade(&broker, "live"), &[LIVE]);
    assert_eq!((code, ended["ended"].as_str(), ended["flat"].as_bool()), (Some(0), Some("session-over"), Some(true)));
    assert_eq!(errors.matches("another login is taken up").count(), 1, "{errors}");
    let feed: Vec<String> =
        events(&world, "live", "feed-state").iter().map(|one| one["change"].as_str().unwrap().to_owned()).collect();
    // It was told that the wire broke, or that the session was over: whichever was seen first.
    let gaps = feed.iter().filter(|change| *change != "connected").count();
    assert!(gaps >= 1 && feed.last().map(String::as_str) == Some("connected"), "{feed:?}");
    // Bars go on after it: 22 of each, of which 8 are before. (Two minutes of this broker's time are a moment: it may have
    // been silent for so long, and then everything is left and entries stay locked.)
    assert!(ended["bars"].as_u64() > Some(30), "{ended}");
    assert_eq!(world.done(&["audit", "live"])["verdict"], "equal");
    // RL-38: the ledgers are tables of the journal, requests with their answers and latencies among them.
    world.done(&["journal", "export", "live", "--to", "ledgers"]);
    let filled = ended["fills"].as_u64() > Some(0);
    for table in ["order-intent", "account", "order-update", "fill", "broker-answer", "broker-fill"] {
        let is_there = world.path(&format!("ledgers/{table}.parquet")).exists();
        assert!(is_there || (!filled && !["order-intent", "account"].contains(&table)), "{table}");
    }
    let status = world.done(&["status", "live"]);
    assert_eq!(
        (status["broker"]["reconciled"].as_bool(), status["risk"]["unprotected"].as_array().map(Vec::len)),
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

/// RL-32: an order that is not the session's works in one of its symbols. A new session does not begin beside it without a
/// policy; with `flatten` it is named, cancelled by its number, and entries are locked.
#[test]
fn an_order_of_somebody_else_is_dealt_with_by_the_policy() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "900", "--start", "14:00"]);
    let arguments = trade(&broker, "flat");
    // The daemon's own login, so that nobody ends anybody's session.
    let (code, printed, errors) = world.run_with(&[&arguments[..], &["--dry-run"]].concat(), &[LIVE]);
    assert_eq!(code, Some(0), "{errors} {printed}");
    let client = || {
        let kite = BlockingKite::connect(&broker.url, Credentials::simulated(), Duration::from_secs(5)).unwrap();
        let files = std::fs::read_dir(world.path(".config/daybook")).unwrap().flatten();
        let kept = files.filter(|file| file.file_name().to_string_lossy().starts_with("kite-"));
        let mut logins =
            kept.filter_map(|file| TokenFile::new(&file.path()).load(&broker.url, kite.kite().credentials()));
        assert!(kite.resume(logins.next().expect("a login is kept")).unwrap());
        kite
    };
    let kite = client();
    let by_hand = NewOrder {
        variety: Variety::Regular,
        exchange: "NSE".to_owned(),
        symbol: "ALPHA".to_owned(),
        side: Transaction::Buy,
        pricing: Pricing::Limit,
        product: Product::Mis,
        validity: Validity::Day,
        minutes: None,
        quantity: Quantity::from_units(2),
        price: Some(Price::from_units(470)),
        trigger: None,
        protection: None,
        tag: tag_of([9; 16], 1),
        is_exit: false,
    };
    let mut writer = Writer::create(&world.path("hand"), Options::session()).unwrap();
    writer.append(Draft { time: 1, kind: 33, ..Draft::default() }, b"by hand").unwrap();
    let sent = kite.send(writer.commit_durable(vec![OrderCommand::Place(by_hand)]).unwrap().remove(0));
    let Outcome::Registered(number) = sent else { panic!("{sent:?}") };
    let (code, _, errors) = world.run_with(&arguments, &[LIVE]);
    assert!(code == Some(1) && errors.contains(&number) && errors.contains("live.reconcile"), "{errors}");
    assert!(!world.path("flat").exists(), "nothing was begun");

    let flatten = [&arguments[..], &["--set", "live.reconcile=flatten"]].concat();
    let (code, ended, errors) = world.run_with(&flatten, &[LIVE]);
    assert_eq!((code, ended["flat"].as_bool()), (Some(0), Some(true)), "{errors}");
    let told = events(&world, "flat", "book-difference");
    let word = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    assert_eq!((word(&told[0], "what"), word(&told[0], "remedy")), ("foreign-order".to_owned(), "cancel".to_owned()));
    assert_eq!(told[0]["broker_order"], number.as_str());
    let (rows, _) = client().orders().unwrap();
    let row = rows.iter().find(|row| row.order_id == number).unwrap();
    assert_eq!((row.status.clone(), rows.len()), (Status::Cancelled, 1), "and nothing was entered");
    assert_eq!(world.done(&["audit", "flat"])["verdict"], "equal");
}

/// P6: what only a beginning wants does not keep a session from being taken up: it may hold something, and leaving that takes
/// no money.
#[test]
fn a_session_that_has_begun_is_taken_up_without_money() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "60", "--cash", "0"]);
    let arguments = [&trade(&broker, "poor")[..], &["--dry-run"]].concat();
    let funds = |expected: &str| {
        let (code, printed, errors) = world.run_with(&arguments, &[LIVE]);
        let gate = printed["gates"].as_array().unwrap().iter().find(|gate| gate["gate"] == "funds").unwrap().clone();
        assert_eq!(gate["verdict"], expected, "{errors} {gate}");
        (code, gate["says"].as_str().unwrap().to_owned())
    };
    let (code, says) = funds("blocked");
    assert!(code == Some(1) && says.contains("add funds"), "{says}");
    std::fs::create_dir_all(world.path("poor/journal")).unwrap();
    assert_eq!(funds("noted").0, Some(0));
}
