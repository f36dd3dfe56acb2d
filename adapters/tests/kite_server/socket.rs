//! The WebSocket as a client meets it.

use crate::http::{Server, start};
use crate::restart::Memory;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

pub type Socket = WebSocket<TcpStream>;

/// A handshake by hand: its code, and the socket where it worked.
fn open(server: &Server, token: &str) -> (u16, Socket) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!(
        "GET /?api_key=sim_api_key&access_token={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Kite-Version: 3\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).unwrap();
    let code: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(code != 101 || text.to_lowercase().contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{text}");
    (code, WebSocket::from_raw_socket(stream, Role::Client, None))
}

pub fn connected(server: &Server) -> Socket {
    let (code, socket) = open(server, &server.token);
    assert_eq!(code, 101);
    socket
}

/// The lengths of a frame's packets and their tokens.
fn packets(bytes: &[u8]) -> Vec<(u32, usize)> {
    let mut rest = &bytes[2..];
    let mut found = Vec::new();
    for _ in 0..u16::from_be_bytes([bytes[0], bytes[1]]) {
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        found.push((u32::from_be_bytes([rest[2], rest[3], rest[4], rest[5]]), length));
        rest = &rest[2 + length..];
    }
    assert!(rest.is_empty());
    found
}

/// Reads on where a signal got in between.
pub fn read(socket: &mut Socket) -> Result<Message, Error> {
    loop {
        match socket.read() {
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reads until something is what is looked for.
pub fn wait_for<T>(socket: &mut Socket, mut find: impl FnMut(&Message) -> Option<T>) -> T {
    for _ in 0..2_000 {
        let message = read(socket).expect("the server goes on talking");
        assert!(!matches!(message, Message::Pong(_)), "no pong of its own accord");
        if let Some(found) = find(&message) {
            return found;
        }
    }
    panic!("it never came");
}

pub fn next_packets(socket: &mut Socket) -> Vec<(u32, usize)> {
    wait_for(socket, |message| match message {
        Message::Binary(bytes) if bytes.len() > 4 => Some(packets(bytes)),
        _ => None,
    })
}

pub fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::Text(text.to_owned().into())).unwrap();
}

#[test]
fn modes_decide_the_packets() {
    // So slow that no tick comes by itself.
    let server = start("10:00", "0.001", false, &[], Memory::default()).logged_in();
    let mut socket = connected(&server);
    say(&mut socket, r#"{"a":"subscribe","v":[257,513,256265,999]}"#);
    assert_eq!(next_packets(&mut socket), [(257, 44), (513, 44), (256_265, 28)], "a subscription begins as a quote");
    say(&mut socket, r#"{"a":"mode","v":["full",[257,256265,769]]}"#);
    assert_eq!(next_packets(&mut socket), [(257, 184), (256_265, 32)], "a mode alone does not subscribe");
    say(&mut socket, r#"{"a":"mode","v":["ltp",[513]]}"#);
    assert_eq!(next_packets(&mut socket), [(513, 8)]);
    let beat = wait_for(&mut socket, |message| match message {
        Message::Binary(bytes) => Some(bytes.len()),
        _ => None,
    });
    assert_eq!(beat, 1, "a heartbeat");
    for wrong in
        ["{", "[]", r#"{"a":"fly","v":[1]}"#, r#"{"a":"mode","v":["deep",[1]]}"#, r#"{"a":"subscribe","v":["x"]}"#]
    {
        say(&mut socket, wrong);
        let text = wait_for(&mut socket, |message| match message {
            Message::Text(text) => Some(text.to_string()),
            _ => None,
        });
        assert!(text.starts_with(r#"{"type":"error","data":""#), "{wrong}: {text}");
    }
    let form =
        "exchange=NSE&tradingsymbol=AAA&transaction_type=BUY&quantity=1&product=MIS&order_type=LIMIT&price=950&tag=ws";
    server.send("POST", "/orders/regular", form);
    let text = wait_for(&mut socket, |message| match message {
        Message::Text(text) => Some(text.to_string()),
        _ => None,
    });
    assert!(text.starts_with(r#"{"type":"order","data":{"#) && text.contains(r#""tag":"ws""#), "{text}");
}

#[test]
fn ticks_come_until_they_are_not_wanted() {
    let server = start("10:00", "100", false, &[], Memory::default()).logged_in();
    let mut socket = connected(&server);
    say(&mut socket, r#"{"a":"subscribe","v":[257,513]}"#);
    for _ in 0..10 {
        next_packets(&mut socket);
    }
    say(&mut socket, r#"{"a":"unsubscribe","v":[257]}"#);
    // What was on its way still comes.
    wait_for(&mut socket, |message| match message {
        Message::Binary(bytes) if bytes.len() > 4 => (packets(bytes).len() == 1).then_some(()),
        _ => None,
    });
    for _ in 0..5 {
        assert_eq!(next_packets(&mut socket), [(513, 44)]);
    }
}

#[test]
fn bad_tokens_and_a_fourth_socket_are_refused() {
    let server = start("10:00", "1", false, &[], Memory::default()).logged_in();
    assert_eq!(open(&server, "wrong").0, 403);
    let sockets: Vec<Socket> = (0..3).map(|_| connected(&server)).collect();
    assert_eq!(open(&server, &server.token).0, 429);
    drop(sockets);
    server.send("DELETE", &format!("/session/token?api_key=sim_api_key&access_token={}", server.token), "");
    assert_eq!(open(&server, &server.token).0, 403);
}

#[test]
fn a_socket_ends_with_its_session() {
    let server = start("10:00", "1", false, &[], Memory::default()).logged_in();
    let mut socket = connected(&server);
    server.send("DELETE", &format!("/session/token?api_key=sim_api_key&access_token={}", server.token), "");
    let ended = (0..10).any(|_| matches!(read(&mut socket), Err(_) | Ok(Message::Close(_))));
    assert!(ended);
}

/// Nothing is left out for a client that reads, however fast the day goes.
#[test]
fn a_day_at_full_speed_brings_every_tick() {
    let server = start("09:00", "max", false, &[], Memory::default()).logged_in();
    let mut socket = connected(&server);
    say(&mut socket, r#"{"a":"subscribe","v":[257,256265]}"#);
    say(&mut socket, r#"{"a":"mode","v":["full",[257,256265]]}"#);
    let (mut share, mut index) = (0, 0);
    // At 15:30 the book is cleared; the last tick is of 15:29:55.
    let last = crate::market::at(crate::market::DATE, "15:29:55").0 / 1_000_000_000;
    while i64::from(wait_for(&mut socket, |message| match message {
        Message::Binary(bytes) if bytes.len() > 4 => {
            let found = packets(bytes);
            share += found.iter().filter(|packet| **packet == (257, 184)).count();
            index += found.iter().filter(|packet| **packet == (256_265, 32)).count();
            // The exchange's time of the share's packet.
            Some(if found[0] == (257, 184) {
                u32::from_be_bytes([bytes[64], bytes[65], bytes[66], bytes[67]])
            } else {
                0
            })
        }
        _ => None,
    })) < last
    {}
    let ticks = (last - crate::market::at(crate::market::DATE, "09:15:00").0 / 1_000_000_000) / 5 + 1;
    assert_eq!(ticks, 4_500);
    assert!(share >= 4_500 && index >= 4_500, "{share} {index}");
    for _ in 0..100 {
        if server.get("/daybook/clock").json()["data"]["speed"] != "max" {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let quote = server.get("/quote?i=NSE:AAA").json();
    assert_eq!(quote["data"]["NSE:AAA"]["volume"], 4500 * 500);
    assert_eq!(server.get("/daybook/clock").json()["data"]["speed"], "1", "the day is over; time goes on");
}
