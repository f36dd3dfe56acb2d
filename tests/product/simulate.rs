//! `daybook simulate` as a user starts it: the real binary, killed and started again.
//!
//! - Every test has a directory and a port of its own; none needs network or data from outside.

use crate::broker_world::Broker;
use crate::desk::{Desk, five_minutes};
use daybook_adapters::kite_wire::sign;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.market("m", &five_minutes(&["RELIANCE"], "2025-06-02", "2025-06-06"));
    desk
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["simulate", "--journal", "m", "--format", "json"], more].concat()
}

fn start(desk: &Desk, more: &[&str]) -> Broker {
    Broker::begin(desk.command(&arguments(more)))
}

fn fails(desk: &Desk, more: &[&str], says: &str) {
    let output = desk.daybook(&arguments(more));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains(says), "{more:?} should say {says:?}, says: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// One request; nothing where the server is gone or goes before it has answered.
fn ask(port: u16, head: &str, token: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: token sim_api_key:{token}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.contains("\r\n\r\n").then_some(text)
}

fn body_of(text: &str) -> Value {
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

impl Broker {
    fn port(&self) -> u16 {
        self.begun["port"].as_u64().unwrap() as u16
    }

    fn get(&self, path: &str) -> Value {
        body_of(&ask(self.port(), &format!("GET {path}"), "", "").unwrap())
    }

    fn token(&self) -> String {
        let login = ask(self.port(), "GET /connect/login?v=3&api_key=sim_api_key", "", "").unwrap();
        let request = &login.split_once("request_token=").unwrap().1[..32];
        let sum = sign::checksum(&["sim_api_key", request, "sim_api_secret"]);
        let form = format!("api_key=sim_api_key&request_token={request}&checksum={sum}");
        let session = body_of(&ask(self.port(), "POST /session/token", "", &form).unwrap());
        session["data"]["access_token"].as_str().unwrap().to_owned()
    }

    fn time(&self) -> String {
        self.get("/daybook/clock")["data"]["time"].as_str().unwrap().to_owned()
    }
}

#[test]
fn killed_and_started_again_it_goes_on() {
    let desk = desk();
    let arguments = ["--date", "2025-06-04", "--speed", "600", "--port", "0", "--book", "book"];
    let server = start(&desk, &arguments);
    assert_eq!((server.begun["resumed"].as_bool(), server.begun["instruments"].as_u64()), (Some(false), Some(2)));
    assert_eq!(server.begun["time"], "2025-06-04 09:00:00");
    while server.time().as_str() < "2025-06-04T09:20:00" {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    fails(&desk, &arguments, "is being written by another process");
    // Dropped, it is killed.
    drop(server);
    let server = start(&desk, &arguments);
    assert_eq!(server.begun["resumed"], true);
    // The book learns every ten virtual seconds how far time has come.
    let resumed = server.begun["time"].as_str().unwrap();
    assert!(resumed > "2025-06-04 09:19:45", "{resumed}");
    drop(server);
    assert_eq!(desk.json(&["verify", "book"])["verdict"], "sound", "the book is a journal like any other");
    let fresh = start(&desk, &[&arguments[..], &["--fresh", "--start", "10:30"]].concat());
    assert_eq!((fresh.begun["resumed"].as_bool(), &fresh.begun["time"]), (Some(false), &"2025-06-04 10:30:00".into()));
}

/// RL-28: killed in the middle of orders, it has every order it acknowledged, once, and its positions are their trades.
#[test]
fn an_order_that_was_acknowledged_survives_a_kill() {
    let desk = desk();
    let arguments = ["--date", "2025-06-04", "--start", "09:20", "--speed", "10", "--port", "0", "--no-limits"];
    let arguments = [&arguments[..], &["--book", "book"]].concat();
    let mut server = start(&desk, &arguments);
    let token = server.token();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let (port, token) = (server.port(), token.clone());
        let client = std::thread::spawn(move || {
            let mut taken = Vec::new();
            for number in 0.. {
                let (side, tag) = (["BUY", "SELL"][number % 2], format!("r{round}n{number}"));
                let form = format!(
                    "exchange=NSE&tradingsymbol=RELIANCE&transaction_type={side}&quantity={}&product=MIS\
                     &order_type=MARKET&market_protection=3&tag={tag}",
                    1 + number % 3
                );
                match ask(port, "POST /orders/regular", &token, &form) {
                    Some(text) => taken.push((tag, body_of(&text)["data"]["order_id"].as_str().unwrap().to_owned())),
                    None => return taken,
                }
            }
            taken
        });
        std::thread::sleep(std::time::Duration::from_millis(250));
        drop(server);
        let taken = client.join().unwrap();
        assert!(taken.len() > 3, "round {round}: it was in the middle of orders");
        acknowledged.extend(taken);
        server = start(&desk, &arguments);
    }
    let read = |path: &str| body_of(&ask(server.port(), &format!("GET {path}"), &token, "").unwrap())["data"].clone();
    let rows = read("/orders");
    let rows = rows.as_array().unwrap();
    for (tag, id) in &acknowledged {
        let of_tag: Vec<&Value> = rows.iter().filter(|row| row["tag"] == **tag).collect();
        assert_eq!(of_tag.len(), 1, "{tag}");
        assert_eq!(of_tag[0]["order_id"], **id);
    }
    let trades = read("/trades");
    let signed =
        |trade: &Value| trade["quantity"].as_i64().unwrap() * if trade["transaction_type"] == "BUY" { 1 } else { -1 };
    let traded: i64 = trades.as_array().unwrap().iter().map(signed).sum();
    assert_eq!(read("/portfolio/positions")["net"][0]["quantity"].as_i64(), Some(traded));
}

#[test]
fn what_cannot_be_played_is_one_clear_line() {
    let desk = desk();
    fails(&desk, &["--date", "2025-06-08", "--port", "0"], "the market is closed on 2025-06-08");
    fails(&desk, &["--date", "2025-06-20", "--port", "0"], "it holds 2025-06-02 to 2025-06-06");
    fails(&desk, &["--date", "2025-06-04", "--port", "0", "--book", "m"], "is no book of the simulated broker");
    let server = start(&desk, &["--date", "2025-06-04", "--port", "0"]);
    assert!(desk.path("daybook-simulate").is_dir(), "a book has a place of its own");
    let port = server.begun["port"].to_string();
    fails(&desk, &["--date", "2025-06-04", "--port", &port], &format!("port {port} is in use"));
    for (wrong, says) in [
        (["--fault", "rain"], "token-death"),
        (["--speed", "0"], "speed"),
        (["--start", "25:00"], "time of day"),
        (["--postback", "ftp://x"], "http://HOST:PORT"),
    ] {
        desk.misused(&arguments(&[&["--date", "2025-06-04"][..], &wrong].concat()), &[says]);
    }
}
