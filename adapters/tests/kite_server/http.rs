//! The server at its port: answers, refusals, floods, slow and oversized clients, faults.

use crate::market::{DATE, Script, TestMarket, setup};
use crate::restart::Memory;
use daybook_adapters::kite_server::{Port, PostbackAddress, ServeOptions, Speed, World, resume, run};
use daybook_adapters::kite_wire::sign::checksum;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// A server in a thread of its own; it ends with the process.
pub struct Server {
    pub port: u16,
    pub token: String,
}

pub struct Reply {
    pub code: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.body))
    }
    pub fn kind(&self) -> String {
        self.json()["error_type"].as_str().unwrap_or_default().to_owned()
    }
}

pub fn start(start: &str, speed: &str, limited: bool, faults: &[&str], store: Memory) -> Server {
    start_with(start, speed, limited, faults, store, None)
}

pub fn start_with(
    start: &str,
    speed: &str,
    limited: bool,
    faults: &[&str],
    store: Memory,
    postback: Option<PostbackAddress>,
) -> Server {
    let port = Port::open(0).unwrap();
    let number = port.number();
    let mut setup = setup(DATE);
    setup.start = crate::market::at(DATE, start);
    let speed: Speed = speed.parse().unwrap();
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let mut store = store;
    let mut world = World::new(Arc::new(TestMarket::new(Script::saw())), setup);
    resume(&mut world, &mut store).unwrap();
    let options = ServeOptions { port: number, speed, faults, fault_seed: None, redirect: None, postback, limited };
    std::thread::spawn(move || run(port, world, Box::new(store), options).unwrap());
    Server { port: number, token: String::new() }
}

impl Server {
    pub fn exchange(&self, head: &str, body: &str) -> Option<Reply> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let auth = format!("Authorization: token sim_api_key:{}\r\nX-Kite-Version: 3\r\n", self.token);
        let length = body.len();
        let request =
            format!("{head} HTTP/1.1\r\nHost: x\r\n{auth}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        reply(&bytes)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.exchange(&format!("GET {path}"), "").unwrap()
    }

    pub fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        self.exchange(&format!("{method} {path}"), body).unwrap()
    }

    pub fn logged_in(mut self) -> Self {
        let reply = self.get("/connect/login?v=3&api_key=sim_api_key&redirect_params=a%3D1");
        assert_eq!(reply.code, 302);
        let place = reply.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
        assert!(
            place.contains("status=success") && place.contains("action=login") && place.ends_with("&a=1"),
            "{place}"
        );
        let (_, rest) = place.split_once("request_token=").unwrap();
        let request = &rest[..32];
        let sum = checksum(&["sim_api_key", request, "sim_api_secret"]);
        let form = format!("api_key=sim_api_key&request_token={request}&checksum={sum}");
        let session = self.send("POST", "/session/token", &form);
        assert_eq!(session.code, 200, "{}", session.body);
        self.token = session.json()["data"]["access_token"].as_str().unwrap().to_owned();
        assert_eq!(self.send("POST", "/session/token", &form).code, 403, "a request token is good once");
        self
    }
}

fn reply(bytes: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { code, head: head.to_lowercase(), body: body.to_owned() })
}

pub const ORDER: &str =
    "exchange=NSE&tradingsymbol=AAA&transaction_type=BUY&quantity=1&product=MIS&order_type=LIMIT&price=950";

#[test]
fn every_path_answers_in_json() {
    let server = start("10:00", "1", false, &[], Memory::default()).logged_in();
    for path in [
        "/user/profile",
        "/user/margins",
        "/user/margins/equity",
        "/quote?i=NSE:AAA",
        "/quote/ohlc?i=NSE:AAA&i=NSE:NIFTY+50",
        "/quote/ltp?i=257",
        "/orders",
        "/trades",
        "/portfolio/positions",
        "/portfolio/holdings",
        "/portfolio/holdings/summary",
        "/portfolio/holdings/auctions",
        "/gtt/triggers",
        "/instruments/trigger_range/buy?i=NSE:AAA",
        "/daybook/clock",
    ] {
        let reply = server.get(path);
        assert_eq!((reply.code, reply.json()["status"].as_str()), (200, Some("success")), "{path}: {}", reply.body);
        assert!(reply.head.contains("content-type: application/json"), "{path}");
    }
    let table = server.get("/instruments/NSE");
    assert!(
        table.head.contains("content-type: text/csv") && table.body.contains("257,1,AAA,AAA,0,,0,0.05,1,EQ,NSE,NSE")
    );
    assert_eq!(server.get("/instruments/BSE").body.lines().count(), 1);
    assert_eq!(packed_instruments(&server), table.body, "packed for whoever can unpack it");
    let quote = server.get("/quote?i=NSE:AAA&i=NSE:ZZZ&i=BSE:AAA").json();
    assert_eq!(quote["data"].as_object().unwrap().len(), 1, "of what is unknown there is no key");
    let row = &quote["data"]["NSE:AAA"];
    assert_eq!((row["depth"]["buy"].as_array().unwrap().len(), row["lower_circuit_limit"].as_f64()), (5, Some(900.0)));
    let history = server.get("/instruments/historical/257/minute?from=2025-06-09+09:15:00&to=2025-06-09&oi=1");
    assert_eq!(history.code, 400, "an end before its beginning");
    let history =
        server.get("/instruments/historical/257/day?from=2025-06-01&to=2025-06-09+10:00:00&oi=1&interval=day");
    assert!(history.body.contains("[\"2025-06-01T00:00:00+0530\",100.05,101,99.5,100,7,0]"), "{}", history.body);
    let id = server.send("POST", "/orders/regular", ORDER).json()["data"]["order_id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/orders/{id}")).json()["data"].as_array().unwrap().len(), 4);
    assert_eq!(server.get(&format!("/orders/{id}/trades")).json()["data"].as_array().unwrap().len(), 0);
    assert_eq!(server.send("PUT", &format!("/orders/regular/{id}"), "price=951").code, 200);
    assert_eq!(server.send("DELETE", &format!("/orders/regular/{id}"), "").code, 200);
    assert_eq!(
        server.send("DELETE", &format!("/session/token?api_key=sim_api_key&access_token={}", server.token), "").code,
        200
    );
    assert_eq!(server.get("/orders").kind(), "TokenException");
}

fn packed_instruments(server: &Server) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let auth = format!("Authorization: token sim_api_key:{}\r\nAccept-Encoding: deflate, GZIP\r\n", server.token);
    let request = format!("GET /instruments/NSE HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap() + 4;
    assert!(String::from_utf8_lossy(&bytes[..end]).to_lowercase().contains("content-encoding: gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[end..]).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_cannot_be_answered_is_refused_in_the_envelope() {
    let server = start("10:00", "1", false, &[], Memory::default());
    for path in ["/orders", "/nowhere", "/quote", "/instruments"] {
        let reply = server.get(path);
        assert_eq!((reply.code, reply.kind().as_str()), (403, "TokenException"), "{path}");
    }
    assert_eq!(server.get("/connect/login?api_key=wrong").kind(), "InputException");
    assert_eq!(server.send("POST", "/session/token", "api_key=sim_api_key&request_token=x&checksum=00").code, 403);
    assert_eq!(server.send("POST", "/session/token", "").kind(), "InputException");
    assert_eq!(server.send("POST", "/session/refresh_token", "").code, 403);
    let server = server.logged_in();
    for (method, path, body, code, kind) in [
        ("GET", "/nowhere", "", 404, "GeneralException"),
        ("PATCH", "/orders", "", 405, "GeneralException"),
        ("DELETE", "/orders", "", 405, "GeneralException"),
        ("GET", "/orders/123", "", 400, "InputException"),
        ("GET", "/gtt/triggers/x", "", 400, "InputException"),
        ("GET", "/instruments/XYZ", "", 400, "InputException"),
        ("GET", "/instruments/historical/1/day?from=2025-06-01&to=2025-06-02", "", 400, "InputException"),
        ("GET", "/instruments/historical/257/day?from=x&to=y", "", 400, "InputException"),
        ("GET", "/instruments/historical/257/hour?from=2025-06-01&to=2025-06-02", "", 400, "InputException"),
        ("GET", "/instruments/historical/257/minute?from=2025-01-01&to=2025-06-02", "", 400, "InputException"),
        ("GET", "/quote?i=%ff", "", 400, "InputException"),
        ("POST", "/orders/regular", "quantity=%zz", 400, "InputException"),
        ("POST", "/orders/regular", "{\"a\":1}", 400, "InputException"),
        ("POST", "/margins/orders", "{not json", 400, "InputException"),
        ("POST", "/gtt/triggers", "type=single&condition={}&orders=[]", 400, "InputException"),
    ] {
        let reply = server.send(method, path, body);
        assert_eq!((reply.code, reply.kind().as_str()), (code, kind), "{method} {path}: {}", reply.body);
        assert_eq!(reply.json()["status"], "error");
    }
}

/// BT-37: calendar seconds of the virtual clock; what is beyond is a 429 of the type NetworkException.
#[test]
fn limits_count_virtual_seconds() {
    let server = start("10:00", "0.001", true, &[], Memory::default()).logged_in();
    let first = server.get("/quote/ltp?i=NSE:AAA");
    let second = server.get("/quote/ltp?i=NSE:AAA");
    assert_eq!((first.code, second.code, second.kind().as_str()), (200, 429, "NetworkException"));
    let taken = (0..15).filter(|_| server.send("POST", "/orders/regular", ORDER).code == 200).count();
    assert_eq!(taken, 10);
    // A virtual second is a millisecond here.
    let server = start("10:00", "1000", true, &[], Memory::default()).logged_in();
    let taken = (0..20).filter(|_| {
        std::thread::sleep(Duration::from_millis(3));
        server.get("/quote/ltp?i=NSE:AAA").code == 200
    });
    assert_eq!(taken.count(), 20);
}

#[test]
fn ten_thousand_requests_at_once_leave_it_as_it_was() {
    let server = Arc::new(start("10:00", "1", true, &[], Memory::default()).logged_in());
    let before = resident();
    let workers: Vec<_> = (0..20)
        .map(|_| {
            let server = server.clone();
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
                let auth = format!("Authorization: token sim_api_key:{}\r\n", server.token);
                let one = format!("GET /orders HTTP/1.1\r\nHost: x\r\n{auth}\r\n");
                let last = format!("GET /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}\r\n");
                let mut writer = stream.try_clone().unwrap();
                let sender = std::thread::spawn(move || {
                    for _ in 0..499 {
                        writer.write_all(one.as_bytes()).unwrap();
                    }
                    writer.write_all(last.as_bytes()).unwrap();
                });
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                sender.join().unwrap();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let count = |what: &str| text.matches(what).count();
                (count("HTTP/1.1 200"), count("HTTP/1.1 429"), count("\"error_type\":\"NetworkException\""))
            })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for worker in workers {
        let (ok, too_many, kinds) = worker.join().unwrap();
        assert_eq!((ok + too_many, too_many), (500, kinds));
        answered += ok;
        refused += too_many;
    }
    assert!(answered > 0 && refused > 9_000, "{answered} {refused}");
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(server.get("/orders").code, 200, "a second later it answers as before");
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after < before + 100 * 1024, "{before} KiB became {after} KiB");
    }
}

/// Resident memory in KiB, where the system tells.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

#[test]
fn slow_and_oversized_clients_harm_nobody() {
    let server = start("10:00", "1", false, &[], Memory::default()).logged_in();
    let slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            stream.write_all(b"GET /orders HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    assert_eq!(server.get("/orders").code, 200, "beside two hundred that never finish");
    drop(slow);
    let large = "y".repeat(20 * 1024);
    let reply = server.exchange(&format!("GET /orders?x={large}"), "").unwrap();
    assert_eq!((reply.code, reply.kind().as_str()), (400, "InputException"));
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let huge = "z".repeat(1024 * 1024);
    let _ = stream.write_all(format!("GET /orders HTTP/1.1\r\nHost: x\r\nX-Large: {huge}").as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 431"), "beyond all bounds it is cut off");
    let body = "a=".to_owned() + &"b".repeat(2 * 1024 * 1024);
    if let Some(reply) = std::panic::catch_unwind(|| server.exchange("POST /orders/regular", &body)).ok().flatten() {
        assert_eq!((reply.code, reply.kind().as_str()), (400, "InputException"));
    }
    for garbage in [
        &b"\x00\x01\x02"[..],
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /orders/regular HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(server.get("/orders").code, 200);
}

#[test]
fn a_server_that_starts_again_goes_on() {
    let store = Memory::default();
    let first = start("10:00", "60", false, &[], store.clone()).logged_in();
    let id = first.send("POST", "/orders/regular", ORDER).json()["data"]["order_id"].as_str().unwrap().to_owned();
    // What is written so far is what a kill leaves; the first server writes on into the same memory, so it is copied.
    let left = Memory(Arc::new(std::sync::Mutex::new(store.0.lock().unwrap().clone())));
    let mut second = start("10:00", "60", false, &[], left);
    second.token = first.token.clone();
    let row = second.get(&format!("/orders/{id}")).json();
    assert_eq!(row["data"].as_array().unwrap().last().unwrap()["status"], "OPEN", "the token and the order are there");
    let clock = second.get("/daybook/clock").json()["data"]["time"].as_str().unwrap().to_owned();
    assert!(clock.as_str() >= "2025-06-10T10:00:00", "{clock}");
}

#[test]
fn postbacks_are_signed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    let server = start_with("10:00", "1", false, &[], Memory::default(), Some(address)).logged_in();
    let id = server.send("POST", "/orders/regular", ORDER).json()["data"]["order_id"].as_str().unwrap().to_owned();
    server.send("PUT", &format!("/orders/regular/{id}"), "price=951");
    server.send("DELETE", &format!("/orders/regular/{id}"), "");
    let mut states = Vec::new();
    while states.last().is_none_or(|state| state != "CANCELLED") {
        let (mut stream, _) = listener.accept().unwrap();
        let mut text = Vec::new();
        let mut part = [0; 4096];
        while !text.ends_with(b"}") {
            let read = stream.read(&mut part).unwrap();
            text.extend_from_slice(&part[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("POST /hook HTTP/1.1\r\n"), "{text}");
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let time = body["order_timestamp"].as_str().unwrap();
        assert_eq!(body["checksum"], checksum(&[&id, time, "sim_api_secret"]));
        assert_eq!((body["order_id"].as_str(), body["unfilled_quantity"].as_i64()), (Some(id.as_str()), Some(1)));
        states.push(body["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(states, ["UPDATE", "CANCELLED"], "opening an order is told on the socket alone");
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let port = Port::open(0).unwrap();
    let error = Port::open(port.number()).unwrap_err().to_string();
    assert!(error.contains("in use") && error.contains("--port") && !error.contains('\n'), "{error}");
}

/// What a client asked for is counted, whatever became of it; clock and count are not.
#[test]
fn requests_are_counted() {
    let server = start("10:00", "1", true, &["lost-request:1"], Memory::default()).logged_in();
    let count = |name: &str| server.get("/daybook/requests").json()["data"][name].as_u64().unwrap();
    let before = ["all", "changes", "logins", "reads", "sockets"].map(count);
    assert_eq!((before[0], before[1], before[3], before[4]), (before[2], 0, 0, 0), "the login of this test alone");
    server.get("/daybook/clock");
    server.get("/orders");
    server.get("/nothing");
    // Lost before anybody looked at it.
    assert!(server.exchange("DELETE /orders/regular/1", "").is_none());
    assert_eq!(["changes", "logins", "reads"].map(count), [1, before[2], 2]);
    assert_eq!(count("all"), before[0] + 3);
}
