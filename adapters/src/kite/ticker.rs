//! The WebSocket: subscribed, watched, connected again when it breaks, with every gap marked.
//!
//! - Silence is death: more than five seconds without a frame (the broker sends heartbeats) and the connection is
//!   given up. A connection that cannot be had is tried again after 1, 2, 4 … 60 s and some chance.
//! - Between the last frame of one connection and the first of the next there is a gap, and it is told: updates of
//!   orders may have been lost, so whoever listens reads the book again.
//! - A refused token (HTTP 403) is never tried again: only a person can begin a new session. The feed says so, waits for
//!   that login, however it came about, and goes on with it, the gap marked.
//! - What arrives is stamped at once and handed on in order; a listener that answers false ends it.

use super::client::Kite;
use super::error::KiteError;
use super::http::{Limits, Stream, TransportError, connector, encode_form, open_stream};
use super::messages::{self, Message};
use super::session::{Session, SessionEvent};
use super::ticks::{Flaw, Mode, Tick, Token, decode};
use daybook_vocabulary::Nanos;
use daybook_vocabulary::time::SECOND;
use futures_util::{SinkExt, StreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Instruments of one connection.
pub const TOKENS_MAX: usize = 3_000;
/// Connections of one key.
pub const CONNECTIONS_MAX: usize = 3;
/// The real broker's feed.
const FEED_HOST: &str = "ws.kite.trade";
/// The largest message: a frame of three thousand full packets is half of it.
const MESSAGE_MAX: usize = 2 << 20;
const BACKOFF_FIRST: i64 = SECOND;
const BACKOFF_MAX: i64 = 60 * SECOND;

/// What is streamed, and how much of it.
pub type Subscriptions = BTreeMap<Token, Mode>;

/// Something the feed says.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "ticks are by far the most; a box would cost an allocation each")]
pub enum FeedEvent {
    /// A packet, and when it arrived.
    Tick(Tick, Nanos),
    /// A packet that could not be read, and when it arrived.
    Flaw(Flaw, Nanos),
    /// A text message, and when it arrived.
    Message(Message, Nanos),
    /// Connected and subscribed.
    Connected {
        /// When.
        at: Nanos,
        /// Nothing is known of the time since then; none for the first connection.
        gap_since: Option<Nanos>,
    },
    /// The connection was lost.
    Lost {
        /// When.
        at: Nanos,
        /// Why.
        why: String,
    },
    /// The session is over; the feed waits for another login.
    SessionOver(String),
}

/// How the feed waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLimits {
    /// Of connecting.
    pub wire: Limits,
    /// Without a frame a connection lives no longer than this, in real time.
    pub silence: Duration,
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self { wire: Limits::default(), silence: Duration::from_secs(5) }
    }
}

/// Why a connection ended.
enum End {
    /// The listener wants no more.
    Unheard,
    SessionOver(String),
    Lost(String),
}

/// Divides what is streamed over connections; an error where it is more than the broker allows.
pub fn divide(all: &Subscriptions) -> Result<Vec<Subscriptions>, String> {
    if all.len() > TOKENS_MAX * CONNECTIONS_MAX {
        return Err(format!("{} instruments; the broker streams at most {}", all.len(), TOKENS_MAX * CONNECTIONS_MAX));
    }
    let entries: Vec<_> = all.iter().collect();
    Ok(entries.chunks(TOKENS_MAX).map(|part| part.iter().map(|(token, mode)| (**token, **mode)).collect()).collect())
}

/// Streams one connection's share until the listener answers false. What is streamed may change while it goes.
pub async fn run(
    kite: &Kite,
    limits: FeedLimits,
    mut wanted: watch::Receiver<Subscriptions>,
    mut listener: impl FnMut(FeedEvent) -> bool + Send,
) {
    let (mut last_heard, mut failures) = (None, 0u32);
    loop {
        let mut heard = false;
        let used = kite.session().login().map(|login| login.access_token.clone());
        let end = match connect(kite, limits).await {
            Ok(Connection::Plain(socket)) => {
                follow(kite, limits, *socket, &mut wanted, &mut listener, &mut last_heard, &mut heard).await
            }
            Ok(Connection::Tls(socket)) => {
                follow(kite, limits, *socket, &mut wanted, &mut listener, &mut last_heard, &mut heard).await
            }
            Err(end) => end,
        };
        let why = match end {
            End::Unheard => return,
            End::SessionOver(why) => {
                if kite.session().login().map(|login| &login.access_token) == used.as_ref() {
                    kite.tell(SessionEvent::Refused(why.clone()));
                }
                if !listener(FeedEvent::SessionOver(why)) {
                    return;
                }
                kite.another_login(used.as_ref()).await;
                failures = 0;
                continue;
            }
            End::Lost(why) => why,
        };
        let at = kite.now();
        if !listener(FeedEvent::Lost { at, why }) {
            return;
        }
        failures = if heard { 0 } else { failures + 1 };
        let wait = BACKOFF_MAX.min(BACKOFF_FIRST << failures.min(6));
        // A quarter of chance: clients that were cut off together do not come back together.
        let chance = kite.pace.chance(wait.cast_unsigned() / 4).cast_signed();
        kite.pace.sleep_outside(wait + chance).await;
    }
}

enum Connection {
    Plain(Box<WebSocketStream<tokio::net::TcpStream>>),
    Tls(Box<WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>>),
}

async fn connect(kite: &Kite, limits: FeedLimits) -> Result<Connection, End> {
    let login = match kite.session() {
        Session::Live(login) => login,
        Session::Expired(why) => return Err(End::SessionOver(why)),
        Session::NoToken | Session::AwaitsHuman => return Err(End::SessionOver("not logged in".to_owned())),
    };
    let query =
        encode_form([("api_key", kite.credentials().api_key.expose()), ("access_token", login.access_token.expose())]);
    let mut address = kite.address().clone();
    if !address.is_loopback() {
        FEED_HOST.clone_into(&mut address.host);
    }
    let scheme = if address.secure { "wss" } else { "ws" };
    let host = if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
    let url = format!("{scheme}://{host}:{}/?{query}", address.port);
    let lost = |error: TransportError| End::Lost(error.to_string());
    let tls = if address.secure {
        Some(connector(&address).map_err(|error: KiteError| End::Lost(error.to_string()))?)
    } else {
        None
    };
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    match open_stream(&address, limits.wire, tls.as_ref()).await.map_err(lost)? {
        Stream::Plain(stream) => {
            let socket = shake(client_async_with_config(url, stream, Some(config)), limits).await?;
            Ok(Connection::Plain(Box::new(socket)))
        }
        Stream::Tls(stream) => {
            let socket = shake(client_async_with_config(url, *stream, Some(config)), limits).await?;
            Ok(Connection::Tls(Box::new(socket)))
        }
    }
}

/// The handshake, in time. What is lost is told without the address: it holds the token.
async fn shake<S, R>(
    shaking: impl Future<Output = Result<(WebSocketStream<S>, R), tungstenite::Error>>,
    limits: FeedLimits,
) -> Result<WebSocketStream<S>, End> {
    match tokio::time::timeout(limits.wire.connect, shaking).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(answer))) if answer.status() == 403 => {
            Err(End::SessionOver("the feed refused the token".to_owned()))
        }
        Ok(Err(tungstenite::Error::Http(answer))) => {
            Err(End::Lost(format!("the feed refused the handshake with HTTP {}", answer.status().as_u16())))
        }
        Ok(Err(error)) => Err(End::Lost(error.to_string())),
        Err(_) => Err(End::Lost(format!("no handshake within {} ms", limits.wire.connect.as_millis()))),
    }
}

async fn follow<S: AsyncRead + AsyncWrite + Unpin + Send>(
    kite: &Kite,
    limits: FeedLimits,
    mut socket: WebSocketStream<S>,
    wanted: &mut watch::Receiver<Subscriptions>,
    listener: &mut (impl FnMut(FeedEvent) -> bool + Send),
    last_heard: &mut Option<Nanos>,
    heard: &mut bool,
) -> End {
    let mut current = wanted.borrow_and_update().clone();
    for text in changes(&Subscriptions::new(), &current) {
        if let Err(error) = socket.send(tungstenite::Message::Text(text)).await {
            return End::Lost(error.to_string());
        }
    }
    if !listener(FeedEvent::Connected { at: kite.now(), gap_since: *last_heard }) {
        return End::Unheard;
    }
    let mut may_change = true;
    loop {
        let next = tokio::select! {
            biased;
            next = tokio::time::timeout(limits.silence, socket.next()) => next,
            changed = wanted.changed(), if may_change => {
                // Without a sender what is wanted stays as it is.
                may_change = changed.is_ok();
                let fresh = wanted.borrow_and_update().clone();
                for text in changes(&current, &fresh) {
                    if let Err(error) = socket.send(tungstenite::Message::Text(text)).await {
                        return End::Lost(error.to_string());
                    }
                }
                current = fresh;
                continue;
            }
        };
        let message = match next {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => return End::Lost(error.to_string()),
            Ok(None) => return End::Lost("the broker closed the connection".to_owned()),
            Err(_) => return End::Lost(format!("silent for {} ms", limits.silence.as_millis())),
        };
        let at = kite.now();
        *last_heard = Some(at);
        *heard = true;
        if !hand_on(&message, at, listener) {
            // Closed politely or not at all: nobody waits for it.
            let _ = tokio::time::timeout(limits.silence, socket.close(None)).await;
            return End::Unheard;
        }
    }
}

/// What a message holds, in its order; false when the listener wants no more.
fn hand_on(message: &tungstenite::Message, at: Nanos, listener: &mut impl FnMut(FeedEvent) -> bool) -> bool {
    let mut listening = true;
    match message {
        tungstenite::Message::Binary(frame) => {
            decode(frame, |packet| {
                if listening {
                    listening = listener(match packet {
                        Ok(tick) => FeedEvent::Tick(tick, at),
                        Err(flaw) => FeedEvent::Flaw(flaw, at),
                    });
                }
            });
        }
        tungstenite::Message::Text(text) => listening = listener(FeedEvent::Message(messages::read(text), at)),
        // Pings are answered by the library.
        _ => {}
    }
    listening
}

/// The messages that lead from what is streamed to what is wanted: unsubscribe, subscribe, then modes.
fn changes(current: &Subscriptions, wanted: &Subscriptions) -> Vec<Utf8Bytes> {
    let mut out = Vec::new();
    let list = |tokens: &[Token]| tokens.iter().map(Token::to_string).collect::<Vec<_>>().join(",");
    let gone: Vec<Token> = current.keys().filter(|token| !wanted.contains_key(token)).copied().collect();
    let fresh: Vec<Token> = wanted.keys().filter(|token| !current.contains_key(token)).copied().collect();
    for (word, tokens) in [("unsubscribe", gone), ("subscribe", fresh)] {
        if !tokens.is_empty() {
            out.push(Utf8Bytes::from(format!("{{\"a\":\"{word}\",\"v\":[{}]}}", list(&tokens))));
        }
    }
    for mode in [Mode::Ltp, Mode::Quote, Mode::Full] {
        let changed = |(token, wanted): &(&Token, &Mode)| **wanted == mode && current.get(token) != Some(&mode);
        let tokens: Vec<Token> = wanted.iter().filter(changed).map(|(token, _)| *token).collect();
        if !tokens.is_empty() {
            out.push(Utf8Bytes::from(format!("{{\"a\":\"mode\",\"v\":[\"{}\",[{}]]}}", mode.word(), list(&tokens))));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(u32, Mode)]) -> Subscriptions {
        entries.iter().map(|&(token, mode)| (Token(token), mode)).collect()
    }

    #[test]
    fn changes_lead_from_one_to_the_other() {
        let texts = |from: &[(u32, Mode)], to: &[(u32, Mode)]| {
            changes(&of(from), &of(to)).iter().map(|text| text.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            texts(&[], &[(1, Mode::Full), (2, Mode::Ltp), (3, Mode::Full)]),
            [
                r#"{"a":"subscribe","v":[1,2,3]}"#,
                r#"{"a":"mode","v":["ltp",[2]]}"#,
                r#"{"a":"mode","v":["full",[1,3]]}"#
            ]
        );
        assert_eq!(
            texts(&[(1, Mode::Full), (2, Mode::Ltp)], &[(2, Mode::Quote)]),
            [r#"{"a":"unsubscribe","v":[1]}"#, r#"{"a":"mode","v":["quote",[2]]}"#]
        );
        assert!(texts(&[(1, Mode::Full)], &[(1, Mode::Full)]).is_empty());
    }

    #[test]
    fn a_connection_streams_three_thousand() {
        let many = |count: u32| (0..count).map(|token| (Token(token), Mode::Full)).collect::<Subscriptions>();
        let sizes = |count| divide(&many(count)).map(|parts| parts.iter().map(BTreeMap::len).collect::<Vec<_>>());
        assert_eq!(sizes(3_000), Ok(vec![3_000]));
        assert_eq!(sizes(6_001), Ok(vec![3_000, 3_000, 1]));
        assert!(sizes(9_001).unwrap_err().contains("at most 9000"));
    }
}
