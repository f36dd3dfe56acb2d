//! `fetch` as a user runs it, against the simulated broker: an index's list, dates from settings, and every fault.
//!
//! - Every test has a directory and ports of its own; none needs network or data from outside.

use crate::broker_world::{Broker, World};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

const SYMBOLS: [&str; 6] = ["ALPHA", "BETA", "DELTA", "EPSILON", "GAMMA", "ZETA"];
const DAYS: [&str; 4] = ["2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10"];

fn world() -> World {
    World::of(&SYMBOLS, &DAYS)
}

fn start(world: &World, more: &[&str]) -> Broker {
    Broker::start(world, &[&["--date", "2025-06-10"], more].concat())
}

/// Whoever publishes lists: robots may read them, and the list is what it is set to; none: an error of the server.
fn publisher() -> (String, Arc<Mutex<Option<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ind_{{index}}list.csv", listener.local_addr().unwrap());
    let list: Arc<Mutex<Option<String>>> = Arc::default();
    let served = list.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            let (code, body) = match (text.starts_with("GET /robots.txt "), served.lock().unwrap().clone()) {
                (true, _) => (200, "User-agent: *\nDisallow: /private\n".to_owned()),
                (false, Some(body)) if text.starts_with("GET /ind_letterslist.csv ") => (200, body),
                _ => (404, "gone".to_owned()),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {code} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, list)
}

fn covered(report: &Value) -> Vec<&str> {
    report["coverage"].as_array().unwrap().iter().map(|one| one["symbol"].as_str().unwrap()).collect()
}

/// RL-05: today's list is downloaded once a day and kept; one that cannot be had leaves the last one in force, and says so.
#[test]
fn an_index_is_downloaded_kept_and_done_without() {
    let world = world();
    let broker = start(&world, &["--speed", "60"]);
    let (url, list) = publisher();
    let variables = [("DAYBOOK_INDEX_URL", url.as_str()), ("DAYBOOK_FROM_DATES", "5m:2025-06-09,1d:2025-06-05")];
    let fetch = |journal: &'static str| {
        let arguments = ["fetch", "--broker-url", &broker.url, "--index", "letters", "--journal", journal];
        world.run_with(&arguments, &variables)
    };
    // Nobody knows that index, and its list cannot be had.
    let (code, _, errors) = fetch("one");
    assert!(code == Some(1) && errors.contains("HTTP 404") && errors.contains("nifty50"), "{errors}");
    assert!(!world.path("one").exists());

    *list.lock().unwrap() = Some("Company,Symbol\na,ALPHA\nb,BETA\nd,DELTA\ng,GAMMA\nz,ZETA\n".to_owned());
    let (code, report, errors) = fetch("one");
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(covered(&report), ["ALPHA", "BETA", "DELTA", "GAMMA", "ZETA"]);
    let said = |report: &Value| ["source", "list_date", "stale"].map(|name| report["index"][name].to_string());
    assert_eq!(said(&report), ["\"downloaded\"", "\"2025-06-10\"", "false"]);
    assert!(report["coverage"][0]["sessions"].as_u64() >= Some(1), "from the date of the settings: {report}");

    // Today's list is kept, so it is not asked for again, whatever became of it.
    *list.lock().unwrap() = None;
    let (_, report, _) = fetch("two");
    assert_eq!(said(&report), ["\"kept\"", "\"2025-06-10\"", "false"]);
    assert_eq!(covered(&report).len(), 5);

    // Another day's list is what is left when today's cannot be had.
    let folder = world.path(".config/daybook/index");
    let place = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(place.join("letters-2025-06-10.csv"), place.join("letters-2025-06-09.csv")).unwrap();
    let (code, report, errors) = fetch("three");
    assert_eq!((code, said(&report)), (Some(0), ["\"kept\"", "\"2025-06-09\"", "true"].map(str::to_owned)));
    assert!(errors.contains("today's list of letters cannot be had") && errors.contains("HTTP 404"), "{errors}");
    assert_eq!(covered(&report).len(), 5);
}

/// The flags that every command has: the last of two that oppose each other wins.
#[test]
fn flags_and_dates_that_are_missing() {
    let world = world();
    let broker = start(&world, &["--speed", "60"]);
    let base = ["fetch", "--broker-url", &broker.url, "--symbols", "BETA", "--to", "2025-06-09", "--journal"];
    let run = |journal: &str, more: &[&str]| {
        let arguments: Vec<&str> = base.iter().copied().chain([journal]).chain(more.iter().copied()).collect();
        world.run(&arguments)
    };
    let (code, _, errors) = run("none", &[]);
    assert!(
        code == Some(2) && errors.contains("--from DATE is missing") && errors.contains("5m:2023-01-02"),
        "{errors}"
    );
    let from = ["--from", "2025-06-05"];
    let (code, _, errors) = run("verbose", &[&from[..], &["--silent", "--verbose"]].concat());
    assert!(code == Some(0) && errors.contains("a page of history"), "{errors}");
    let (code, _, errors) = run("silent", &[&from[..], &["--verbose", "--silent"]].concat());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let (code, _, errors) =
        run("unknown", &[&from[..], &["--force-refresh-token", "--no-force-refresh-token"]].concat());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let (code, _, errors) = world.run(&[
        "fetch",
        "--broker-url",
        &broker.url,
        "--index",
        "nifty51",
        "--to",
        "2025-06-09",
        "--journal",
        "x",
        "--from",
        "2025-06-05",
    ]);
    assert!(code == Some(1) && errors.contains("nifty51") && errors.contains("nifty50"), "{errors}");
}

/// SQ-30: whatever goes wrong, the command is run again until it is done, and then the journal is that of a clean run.
#[test]
fn every_fault_ends_with_the_content_of_a_clean_run() {
    let world = world();
    let clean = {
        let broker = start(&world, &["--speed", "600"]);
        world.done(&fetch_of(&broker.url, "clean"))
    };
    assert_eq!(clean["ingest"]["kept"], 3 * 3 * 75);
    for (number, faults) in [
        &["429:2"][..],
        &["delay:50"],
        &["lost-page:3"],
        &["cut-answer:2"],
        &["token-death:60"],
        &["lost-page:5", "cut-answer:5", "429:4", "duplicate", "silent-socket:1", "lost-answer:1"],
    ]
    .into_iter()
    .enumerate()
    {
        let mut arguments = vec!["--speed", "600", "--fault-seed", "11"];
        // Counted for one half of them, drawn for the other.
        arguments.truncate(if number % 2 == 0 { 2 } else { 4 });
        faults.iter().for_each(|fault| arguments.extend(["--fault", fault]));
        let broker = start(&world, &arguments);
        let journal = format!("hist-{number}");
        let mut runs = 0;
        let report = loop {
            runs += 1;
            let (code, report, errors) = world.run(&fetch_of(&broker.url, &journal));
            if code == Some(0) {
                break report;
            }
            assert!(runs < 30, "{faults:?}: it never ends: {errors}");
            assert!(errors.contains("goes on where it stopped") || errors.contains("session"), "{faults:?}: {errors}");
        };
        assert_eq!(report["content"], clean["content"], "{faults:?} after {runs} runs");
        assert_eq!(report["coverage"], clean["coverage"], "{faults:?}");
    }
}

fn fetch_of<'a>(url: &'a str, journal: &'a str) -> [&'a str; 13] {
    [
        "fetch",
        "--broker-url",
        url,
        "--from",
        "2025-06-05",
        "--to",
        "2025-06-09",
        "--symbols",
        "ALPHA,BETA,ZETA",
        "--journal",
        journal,
        "--max-workers",
        "2",
    ]
}
