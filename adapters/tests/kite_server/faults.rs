//! What goes wrong on request: orders and their answers, pages, order messages, sockets, sessions.
//!
//! - Every fault is tried over the wire, as a client meets it.

use crate::http::{ORDER, Reply, Server, start};
use crate::restart::Memory;
use crate::socket::{Socket, connected, next_packets, read, say, wait_for};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

fn server(speed: &str, faults: &[&str]) -> Server {
    start("10:00", speed, false, faults, Memory::default()).logged_in()
}

fn place(server: &Server, tag: &str) -> Option<Reply> {
    server.exchange("POST /orders/regular", &format!("{ORDER}&tag={tag}"))
}

fn tags(server: &Server) -> Vec<String> {
    let rows = server.get("/orders").json();
    rows["data"].as_array().unwrap().iter().map(|row| row["tag"].as_str().unwrap().to_owned()).collect()
}

/// RL-28: an order whose answer is lost is in the book; its tag finds it. One that was lost itself is not.
#[test]
fn answers_are_lost_with_the_order_placed_or_not() {
    let after = server("1", &["lost-answer:2"]);
    assert_eq!(place(&after, "first").unwrap().code, 200);
    assert!(place(&after, "second").is_none(), "no answer");
    assert_eq!(tags(&after), ["first", "second"]);
    let before = server("1", &["lost-request:2:1"]);
    assert_eq!(place(&before, "first").unwrap().code, 200);
    assert!(place(&before, "second").is_none(), "no answer");
    assert!([place(&before, "third"), place(&before, "fourth")].iter().all(Option::is_some), "once at most");
    assert_eq!(tags(&before), ["first", "third", "fourth"]);
}

/// A 5xx says nothing about the order: one of these was taken, the other was not.
#[test]
fn errors_of_the_order_system_with_the_order_placed_or_not() {
    for (fault, code, kind, there) in [
        ("bad-gateway:1", 502, "DataException", true),
        ("unreachable:1", 503, "NetworkException", false),
        ("refused-address", 403, "PermissionException", false),
    ] {
        let server = server("1", &[fault]);
        let reply = place(&server, "one").unwrap();
        assert_eq!((reply.code, reply.kind().as_str()), (code, kind), "{fault}");
        assert_eq!(tags(&server).len(), usize::from(there), "{fault}");
        assert_eq!(server.get("/orders").code, 200, "{fault}: what reads is answered");
    }
}

/// New orders are refused for a while, and cancels are not; an order is there and is not listed for a while.
#[test]
fn new_orders_are_refused_or_hidden_for_a_while() {
    let strict = server("1", &["refused-orders:3600:1"]);
    let codes: Vec<u16> = ["a", "b", "c", "d", "e", "f"].map(|tag| place(&strict, tag).unwrap().code).into();
    assert_eq!(codes, [200, 200, 200, 200, 403, 403]);
    assert_eq!(tags(&strict), ["a", "b", "c", "d"]);
    let first = strict.get("/orders").json()["data"][0]["order_id"].as_str().unwrap().to_owned();
    let cancelled = strict.exchange(&format!("DELETE /orders/regular/{first}"), "").unwrap();
    assert_ne!(cancelled.code, 403, "{}", cancelled.body);

    let hiding = server("100", &["hidden-orders:60:1"]);
    let id = place(&hiding, "hidden").unwrap().json()["data"]["order_id"].as_str().unwrap().to_owned();
    assert_eq!(place(&hiding, "listed").unwrap().code, 200);
    assert_eq!(tags(&hiding), ["listed"]);
    assert_eq!(hiding.get(&format!("/orders/{id}")).code, 200, "whoever knows its number finds it");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(tags(&hiding), ["hidden", "listed"]);
}

#[test]
fn pages_are_lost_or_cut_and_too_many_or_late() {
    let lost = server("1", &["lost-page:2"]);
    assert!(lost.exchange("GET /orders", "").is_some());
    assert!(lost.exchange("GET /trades", "").is_none());
    let cut = server("1", &["cut-answer:2:1"]);
    let whole = cut.get("/user/profile").body;
    let half = cut.get("/user/profile");
    assert_eq!(half.code, 200);
    assert!(whole.starts_with(&half.body) && half.body.len() == whole.len() / 2, "{}", half.body);
    assert!(half.head.contains(&format!("content-length: {}", whole.len())), "it announced all of it");
    assert_eq!(cut.get("/user/profile").body, whole);

    let busy = server("1", &["429:4"]);
    let codes: Vec<u16> = (0..4).map(|_| busy.get("/orders").code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 429).count(), 1, "{codes:?}");
    let slow = start("10:00", "1", false, &["delay:300"], Memory::default());
    let clock = |reply: Reply| reply.json()["data"]["epoch_nanos"].as_i64().unwrap();
    let (one, two) = (clock(slow.get("/daybook/clock")), clock(slow.get("/daybook/clock")));
    assert!(two - one >= 300_000_000, "{}", two - one);
}

/// A session dies once; the login after it goes on.
#[test]
fn a_token_dies_and_another_login_lives() {
    let server = server("100", &["token-death:30:1"]);
    assert_eq!(server.get("/orders").code, 200);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(server.get("/orders").kind(), "TokenException");
    let again = server.logged_in();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(again.get("/orders").code, 200);
}

fn order_tag(message: &Message) -> Option<String> {
    let Message::Text(text) = message else { return None };
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    (value["type"] == "order").then(|| value["data"]["tag"].as_str().unwrap().to_owned())
}

fn heard(socket: &mut Socket, count: usize) -> Vec<String> {
    (0..count).map(|_| wait_for(socket, order_tag)).collect()
}

#[test]
fn order_messages_come_twice_late_or_never() {
    for (fault, placed, told) in [
        ("duplicate", &["a"][..], &["a", "a"][..]),
        ("duplicate:2:1", &["a", "b", "c", "d"], &["a", "b", "b", "c", "d"]),
        // Every second one comes after the next.
        ("late-message:2", &["a", "b", "c"], &["a", "c", "b"]),
        // Nothing follows the last one: it comes two virtual seconds later.
        ("late-message:2", &["a", "b"], &["a", "b"]),
        ("lost-message:2", &["a", "b", "c"], &["a", "c"]),
    ] {
        let server = server("10", &[fault]);
        let mut socket = connected(&server);
        placed.iter().for_each(|tag| assert_eq!(place(&server, tag).unwrap().code, 200));
        assert_eq!(heard(&mut socket, told.len()), told, "{fault}");
    }
}

#[test]
fn sockets_fall_silent_or_are_closed() {
    let silent = server("100", &["silent-socket:100:1"]);
    let mut socket = connected(&silent);
    say(&mut socket, r#"{"a":"subscribe","v":[257]}"#);
    next_packets(&mut socket);
    std::thread::sleep(Duration::from_millis(1_500));
    socket.get_mut().set_read_timeout(Some(Duration::from_millis(1_500))).unwrap();
    let fell_silent = (0..2_000).find_map(|_| match read(&mut socket) {
        Ok(_) => None,
        Err(tokio_tungstenite::tungstenite::Error::Io(error)) => {
            Some(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut))
        }
        Err(_) => Some(false),
    });
    assert_eq!(fell_silent, Some(true), "it is open and says nothing");
    let mut second = connected(&silent);
    std::thread::sleep(Duration::from_millis(1_500));
    say(&mut second, r#"{"a":"subscribe","v":[257]}"#);
    next_packets(&mut second);

    let dropped = server("100", &["dropped-socket:50:1"]);
    let mut socket = connected(&dropped);
    let ended = (0..2_000).any(|_| matches!(read(&mut socket), Err(_) | Ok(Message::Close(_))));
    assert!(ended, "the server closes it");
    let mut second = connected(&dropped);
    std::thread::sleep(Duration::from_millis(700));
    say(&mut second, r#"{"a":"subscribe","v":[257]}"#);
    next_packets(&mut second);
}
