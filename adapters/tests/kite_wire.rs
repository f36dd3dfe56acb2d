//! The real transport against sockets of this machine that misbehave.

use daybook_adapters::kite::Secret;
use daybook_adapters::kite::http::{
    Address, HyperTransport, Limits, Method, Request, Response, Transport, TransportError,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A server that handles each connection with a closure, in order; its address.
fn server(handlers: Vec<Box<dyn FnOnce(TcpStream) + Send>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for handler in handlers {
            let Ok((stream, _)) = listener.accept() else { return };
            handler(stream);
        }
    });
    url
}

/// Reads one request, to its empty line.
fn read_request(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn replying(text: String) -> Box<dyn FnOnce(TcpStream) + Send> {
    Box::new(move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(text.as_bytes());
    })
}

fn request() -> Request {
    Request {
        method: Method::Get,
        target: Secret::new("/orders?x=1"),
        name: "GET /orders".to_owned(),
        authorization: Some(Secret::new("token key:token")),
        form: None,
        limit: Duration::from_secs(5),
    }
}

async fn send(url: &str, read: Duration) -> Result<Response, TransportError> {
    let limits = Limits { read, ..Limits::default() };
    HyperTransport::new(Address::parse(url).unwrap(), limits).unwrap().send(&request()).await
}

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_connection_is_kept_and_replaced_when_the_broker_closes_it() {
    let two_then_close = Box::new(|mut stream: TcpStream| {
        for _ in 0..2 {
            let head = read_request(&mut stream);
            assert!(head.starts_with("GET /orders?x=1 HTTP/1.1\r\n"), "{head}");
            let lower = head.to_lowercase();
            assert!(lower.contains("x-kite-version: 3") && lower.contains("authorization: token key:token"), "{head}");
            stream.write_all(answer("1").as_bytes()).unwrap();
        }
    });
    let url = server(vec![two_then_close, replying(answer("2"))]);
    let transport = HyperTransport::new(Address::parse(&url).unwrap(), Limits::default()).unwrap();
    for expected in ["1", "1"] {
        assert_eq!(transport.send(&request()).await.unwrap().body, expected.as_bytes());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(transport.send(&request()).await.unwrap().body, b"2", "a fresh connection after a closed one");
}

#[tokio::test]
async fn silence_is_a_timeout_and_says_nothing_about_the_request() {
    let silent = Box::new(|mut stream: TcpStream| {
        read_request(&mut stream);
        std::thread::sleep(Duration::from_millis(600));
    });
    let error = send(&server(vec![silent]), SHORT).await.unwrap_err();
    assert_eq!((&error, error.never_sent()), (&TransportError::Timeout(150), false));
    let half = Box::new(|mut stream: TcpStream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n12").unwrap();
        std::thread::sleep(Duration::from_millis(600));
    });
    assert_eq!(send(&server(vec![half]), SHORT).await, Err(TransportError::Timeout(150)));
}

#[tokio::test]
async fn nobody_there_means_never_sent() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = send(&format!("http://{free}"), SHORT).await.unwrap_err();
    assert!(error.never_sent(), "{error}");
}

#[tokio::test]
async fn broken_answers_are_errors() {
    let cut = answer("0123456789").replace("10\r\n", "20\r\n");
    let oversized = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(200_000));
    for text in [String::new(), "garbage\r\n\r\n".to_owned(), cut, oversized] {
        let error = send(&server(vec![replying(text.clone())]), Duration::from_secs(2)).await.unwrap_err();
        assert!(matches!(error, TransportError::Broken(_)), "{}: {error:?}", &text[..text.len().min(40)]);
        assert!(!error.never_sent());
    }
}
