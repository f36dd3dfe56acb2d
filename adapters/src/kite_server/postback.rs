//! Postbacks: a POST for every order that is filled, cancelled, rejected or changed.
//!
//! - One after the other, each with a few seconds; an address that does not answer loses them, as the broker's do.
//! - Plain HTTP to an address on this machine or beside it: the server has no certificates.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Postbacks on their way.
pub const QUEUE: usize = 1_024;
/// For one of them.
const WITHIN: Duration = Duration::from_secs(5);

/// Where postbacks go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    authority: String,
    path: String,
}

impl std::str::FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not an address for postbacks: http://HOST:PORT/PATH");
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if authority.is_empty() || !plain(authority) || !plain(path) {
            return Err(wrong());
        }
        let authority = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { authority, path: format!("/{path}") })
    }
}

/// Sends what comes, until nobody is left who sends.
pub async fn send_all(address: Address, mut bodies: mpsc::Receiver<String>) {
    while let Some(body) = bodies.recv().await {
        match tokio::time::timeout(WITHIN, send(&address, body)).await {
            Ok(Ok(status)) => tracing::debug!(status, "a postback was taken"),
            Ok(Err(error)) => tracing::warn!(%error, "a postback was not taken"),
            Err(_) => tracing::warn!("a postback was not taken in time"),
        }
    }
}

async fn send(address: &Address, body: String) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(&address.authority).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::post(&address.path)
        .header(HOST, &address.authority)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let status = sender.send_request(request).await?.status().as_u16();
    connection.abort();
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let address: Address = "http://127.0.0.1:9000/hook?a=b".parse().unwrap();
        assert_eq!((address.authority.as_str(), address.path.as_str()), ("127.0.0.1:9000", "/hook?a=b"));
        assert_eq!("http://localhost".parse::<Address>().unwrap().path, "/");
        for bad in ["https://x/", "127.0.0.1", "http:///x", "http://a b/"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
