//! HTTP to the broker: one request, one answer, with every wait bounded. Retrying is not done here.
//!
//! - `https` anywhere, plain `http` to this machine only: a token never crosses a network in the clear.
//! - DNS 3 s, connecting (with TLS) 5 s, each wait for bytes 5 s, the whole call as the request says: real time, also
//!   where the broker's is virtual.
//! - A failure says whether the request may have arrived: what was certainly not sent may be sent again.
//! - Memory is bounded: headers by 64 KiB, a body by 64 MiB, unpacked by 256 MiB.

use super::pace::Boxed;
use super::secret::Secret;
use super::{KiteError, values::shortened};
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, client::TlsStream};

const HEADERS_MAX: usize = 64 << 10;
const BODY_MAX: usize = 64 << 20;
const UNPACKED_MAX: u64 = 256 << 20;
/// Connections kept for the next call.
const IDLE_MAX: usize = 8;

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes something.
    Post,
    /// Changes something.
    Put,
    /// Ends something.
    Delete,
}

impl Method {
    const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Path and query; queries may hold a token, so this is not for messages.
    pub target: Secret,
    /// What messages call it, such as `GET /orders`.
    pub name: String,
    /// The value of `Authorization`.
    pub authorization: Option<Secret>,
    /// A form, encoded.
    pub form: Option<Secret>,
    /// For the whole call.
    pub limit: Duration,
}

/// An answer, unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// HTTP code.
    pub code: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// `Location`, of a redirect.
    pub location: Option<Secret>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The name has no address.
    #[error("the broker's name has no address: {0}")]
    Dns(String),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The certificate, or what TLS needs.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// It took too long.
    #[error("no answer within {0} ms")]
    Timeout(u128),
    /// The connection broke off.
    #[error("the connection broke off: {0}")]
    Broken(String),
    /// More than any answer should be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
}

impl TransportError {
    /// True where the request certainly did not leave.
    pub const fn never_sent(&self) -> bool {
        matches!(self, Self::Dns(_) | Self::Connect(_) | Self::Tls(_))
    }
}

/// Sends one request: the seam at which tests put a broker of their own.
pub trait Transport: Send + Sync {
    /// Sends it once.
    fn send<'a>(&'a self, request: &'a Request) -> Boxed<'a, Result<Response, TransportError>>;
}

/// How long each wait may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Finding the address.
    pub dns: Duration,
    /// Connecting, TLS included.
    pub connect: Duration,
    /// The next bytes.
    pub read: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { dns: Duration::from_secs(3), connect: Duration::from_secs(5), read: Duration::from_secs(5) }
    }
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As it was given, without a slash at the end.
    pub url: String,
    /// Host name or number.
    pub host: String,
    /// Port.
    pub port: u16,
    /// True for `https`.
    pub secure: bool,
}

impl Address {
    /// Reads `https://host[:port]`, or `http://` for this machine.
    pub fn parse(url: &str) -> Result<Self, KiteError> {
        let bad = |reason| KiteError::Address { url: shortened(url, 100), reason };
        let url = url.trim_end_matches('/');
        let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(bad("it begins with https:// (or http:// for this machine)")),
        };
        if rest.contains(['/', '?', '#', '@']) {
            return Err(bad("only a host and a port, such as http://127.0.0.1:9010: the broker's paths begin at /"));
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                (host, port.parse().map_err(|_| bad("the port is a number from 1 to 65535"))?)
            }
            _ => (rest, if secure { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || port == 0 {
            return Err(bad("it needs a host, and a port that is not 0"));
        }
        let address = Self { url: url.to_owned(), host: host.to_owned(), port, secure };
        if !secure && !address.is_loopback() {
            return Err(bad("plain http goes to this machine only; use https"));
        }
        Ok(address)
    }

    /// True for this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|number| number.is_loopback())
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// The real thing.
pub struct HyperTransport {
    address: Address,
    limits: Limits,
    tls: Option<TlsConnector>,
    idle: Mutex<Vec<Sender>>,
    /// Whether it is the broker that is talked to.
    is_broker: bool,
}

impl HyperTransport {
    /// To an address; connects when there is something to send.
    pub fn new(address: Address, limits: Limits) -> Result<Self, KiteError> {
        let tls = if address.secure { Some(connector(&address)?) } else { None };
        Ok(Self { address, limits, tls, idle: Mutex::new(Vec::new()), is_broker: true })
    }

    /// To an address that is not the broker's: nothing of the broker's protocol is said.
    pub fn elsewhere(address: Address, limits: Limits) -> Result<Self, KiteError> {
        Ok(Self { is_broker: false, ..Self::new(address, limits)? })
    }

    async fn exchange(&self, request: &Request) -> Result<Response, TransportError> {
        let mut message = Some(self.message(request)?);
        loop {
            let kept = self.idle().pop();
            let fresh = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let Some(sending) = message.take() else {
                return Err(TransportError::Broken("it was taken apart before it was sent".to_owned()));
            };
            match within(self.limits.read, sender.try_send_request(sending)).await? {
                Ok(response) => {
                    let answer = self.collect(response).await?;
                    if !sender.is_closed() && self.idle().len() < IDLE_MAX {
                        self.idle().push(sender);
                    }
                    return Ok(answer);
                }
                Err(mut failed) => match failed.take_message() {
                    // A kept connection that the broker had closed: nothing went out, a fresh one takes it.
                    Some(unsent) if !fresh => message = Some(unsent),
                    Some(_) => return Err(TransportError::Connect(failed.error().to_string())),
                    None => return Err(TransportError::Broken(failed.error().to_string())),
                },
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|sender| !sender.is_closed());
        idle
    }

    fn message(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>, TransportError> {
        let host = match (self.address.secure, self.address.port) {
            (true, 443) | (false, 80) => self.address.host.clone(),
            (_, port) => format!("{}:{port}", self.address.host),
        };
        let mut builder = hyper::Request::builder()
            .method(request.method.word())
            .uri(request.target.expose())
            .header(header::HOST, host)
            .header(header::USER_AGENT, concat!("daybook/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT_ENCODING, "gzip");
        if self.is_broker {
            builder = builder.header("X-Kite-Version", "3");
        }
        if let Some(value) = &request.authorization {
            builder = builder.header(header::AUTHORIZATION, value.expose());
        }
        let mut body = Bytes::new();
        if let Some(form) = &request.form {
            builder = builder.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            body = Bytes::copy_from_slice(form.expose().as_bytes());
        }
        builder.body(Full::new(body)).map_err(|_| TransportError::Connect("the request cannot be written".to_owned()))
    }

    async fn connect(&self) -> Result<Sender, TransportError> {
        let stream = open_stream(&self.address, self.limits, self.tls.as_ref()).await?;
        let mut builder = Builder::new();
        builder.max_buf_size(HEADERS_MAX);
        let lost = |error: hyper::Error| TransportError::Connect(error.to_string());
        match stream {
            Stream::Plain(stream) => {
                let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(lost)?;
                tokio::spawn(connection);
                Ok(sender)
            }
            Stream::Tls(stream) => {
                let (sender, connection) = builder.handshake(TokioIo::new(*stream)).await.map_err(lost)?;
                tokio::spawn(connection);
                Ok(sender)
            }
        }
    }

    async fn collect(&self, response: hyper::Response<Incoming>) -> Result<Response, TransportError> {
        let (head, mut body) = response.into_parts();
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(frame) = within(self.limits.read, body.frame()).await? {
            let frame = frame.map_err(|error| TransportError::Broken(error.to_string()))?;
            if let Some(data) = frame.data_ref() {
                if bytes.len() + data.len() > BODY_MAX {
                    return Err(TransportError::TooLarge(BODY_MAX as u64));
                }
                bytes.extend_from_slice(data);
            }
        }
        if text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip")) {
            bytes = unpack(&bytes)?;
        }
        Ok(Response {
            code: head.status.as_u16(),
            content_type: text(header::CONTENT_TYPE).unwrap_or_default(),
            location: text(header::LOCATION).map(Secret::new),
            body: bytes,
        })
    }
}

impl Transport for HyperTransport {
    fn send<'a>(&'a self, request: &'a Request) -> Boxed<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            match timeout(request.limit, self.exchange(request)).await {
                Ok(done) => done,
                Err(_) => Err(TransportError::Timeout(request.limit.as_millis())),
            }
        })
    }
}

/// A connection of either kind.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects, with each step bounded. Nothing was sent when it fails.
pub(crate) async fn open_stream(
    address: &Address,
    limits: Limits,
    tls: Option<&TlsConnector>,
) -> Result<Stream, TransportError> {
    let found = timeout(limits.dns, tokio::net::lookup_host((address.host.as_str(), address.port))).await;
    let numbers: Vec<_> = match found {
        Ok(Ok(numbers)) => numbers.collect(),
        Ok(Err(error)) => return Err(TransportError::Dns(error.to_string())),
        Err(_) => return Err(TransportError::Dns(format!("nothing within {} ms", limits.dns.as_millis()))),
    };
    let connecting = async {
        let stream = TcpStream::connect(numbers.as_slice()).await;
        let stream = stream.map_err(|error| TransportError::Connect(error.to_string()))?;
        // Small requests wait for nobody.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
        let name =
            ServerName::try_from(address.host.clone()).map_err(|error| TransportError::Tls(error.to_string()))?;
        let stream = tls.connect(name, stream).await.map_err(|error| TransportError::Tls(error.to_string()))?;
        Ok(Stream::Tls(Box::new(stream)))
    };
    match timeout(limits.connect, connecting).await {
        Ok(done) => done,
        Err(_) => Err(TransportError::Connect(format!("nothing within {} ms", limits.connect.as_millis()))),
    }
}

/// TLS with ring and the roots that are compiled in.
pub(crate) fn connector(address: &Address) -> Result<TlsConnector, KiteError> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| KiteError::Address { url: address.url.clone(), reason: "TLS 1.2 and 1.3 are not available" })?
        .with_root_certificates(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The next bytes, in time.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, TransportError> {
    timeout(limit, work).await.map_err(|_| TransportError::Timeout(limit.as_millis()))
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, TransportError> {
    let mut plain = Vec::new();
    let mut reader = GzDecoder::new(bytes).take(UNPACKED_MAX + 1);
    reader.read_to_end(&mut plain).map_err(|error| TransportError::Broken(format!("gzip: {error}")))?;
    if plain.len() as u64 > UNPACKED_MAX {
        return Err(TransportError::TooLarge(UNPACKED_MAX));
    }
    Ok(plain)
}

/// `name=value&…`, percent-encoded.
pub fn encode_form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        encode(name, &mut out);
        out.push('=');
        encode(value, &mut out);
    }
    out
}

fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// The value of a name in a query, decoded.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    let raw = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?.1;
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                (digit()? * 16 + digit()?) as u8
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses() {
        let of = |url: &str| Address::parse(url).map(|one| (one.host, one.port, one.secure));
        assert_eq!(of("https://api.kite.trade").unwrap(), ("api.kite.trade".to_owned(), 443, true));
        assert_eq!(of("http://127.0.0.1:9010/").unwrap(), ("127.0.0.1".to_owned(), 9010, false));
        assert_eq!(of("http://[::1]:80").unwrap(), ("::1".to_owned(), 80, false));
        for bad in [
            "",
            "ftp://x",
            "http://example.com",
            "https://",
            "https://x/y",
            "https://u:p@x",
            "http://127.0.0.1:0",
            "http://localhost:x",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
        let error = Address::parse("http://example.com").unwrap_err().to_string();
        assert!(error.contains("use https"), "{error}");
    }

    #[test]
    fn forms() {
        assert_eq!(
            encode_form([("i", "NSE:M&M"), ("to", "2026-11-20 09:15:00")]),
            "i=NSE%3AM%26M&to=2026-11-20+09%3A15%3A00"
        );
        assert_eq!(query_value("a=1&request_token=x%2By+z", "request_token").as_deref(), Some("x+y z"));
        assert_eq!(query_value("a=%2", "a"), None);
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        assert!(matches!(unpack(&[1, 2, 3]), Err(TransportError::Broken(_))));
    }

    proptest! {
        #[test]
        fn what_was_encoded_reads_back(value in "\\PC{0,30}") {
            prop_assert_eq!(query_value(&encode_form([("k", value.as_str())]), "k"), Some(value));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            let _ = (Address::parse(&text).is_ok(), query_value(&text, "a"));
        }
    }
}
