//! The WebSocket: subscriptions in, packets and order messages out.
//!
//! - It shares the port with REST; a bad token refuses the handshake with 403.
//! - A heartbeat of one byte goes out in every second that has nothing else. It sends no pongs of its own accord: the
//!   official client takes them for a promise of more.
//! - What a client sends is small; what it cannot mean is answered with a text and otherwise ignored.
//! - A socket whose session has ended is closed.

use super::body::Content;
use super::form::Fields;
use super::hub::{Outgoing, SUBSCRIPTIONS_MAX};
use super::refusal::{Answer, Refusal};
use super::serve::Shared;
use crate::kite_wire::packet::Mode;
use futures_util::{SinkExt, StreamExt};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Bytes of a client's message: three thousand tokens and some.
const MESSAGE_MAX: usize = 256 * 1024;
/// For a client that does not read.
const SEND_WITHIN: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Answers a handshake, and serves the socket once it stands.
pub fn upgrade(mut request: hyper::Request<Incoming>, shared: &Arc<Shared>) -> Answer<Response<Content>> {
    let query = Fields::parse(request.uri().query().unwrap_or_default())?;
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let accept = key.and_then(|key| HeaderValue::from_str(&key).ok());
    let accept = accept.ok_or_else(|| Refusal::input("This is not a WebSocket handshake."))?;
    let (id, receiver) = {
        let mut core = shared.core();
        let now = core.catch_up();
        let token = query.get("access_token").unwrap_or_default();
        core.world.sessions.check(query.get("api_key").unwrap_or_default(), token, now)?;
        let core = &mut *core;
        core.hub.join(token, &mut core.faults, now).ok_or_else(Refusal::too_many)?
    };
    let shared = shared.clone();
    tokio::spawn(async move {
        match hyper::upgrade::on(&mut request).await {
            Ok(upgraded) => {
                let config =
                    WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
                run(socket, receiver, id, &shared).await;
            }
            Err(error) => tracing::debug!(%error, "a handshake was not finished"),
        }
        shared.core().hub.leave(id);
    });
    let mut response = Response::new(Content::whole(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

async fn run(mut socket: Socket, mut queue: mpsc::Receiver<Outgoing>, id: u64, shared: &Shared) {
    let mut beats = tokio::time::interval(Duration::from_secs(1));
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut quiet = true;
    loop {
        let message = tokio::select! {
            outgoing = queue.recv() => match outgoing {
                Some(Outgoing::Binary(bytes)) => Message::Binary(bytes),
                Some(Outgoing::Text(text)) => Message::Text(text.into()),
                None => break,
            },
            incoming = socket.next() => match incoming {
                Some(Ok(Message::Text(text))) => {
                    listen(text.as_str(), id, shared);
                    continue;
                }
                Some(Ok(Message::Close(_))) => {
                    // Our half of the closing handshake has been queued; it goes out before the socket does.
                    let _ = tokio::time::timeout(Duration::from_secs(1), async {
                        let _ = socket.flush().await;
                        while let Some(Ok(_)) = socket.next().await {}
                    })
                    .await;
                    return;
                }
                Some(Err(_)) | None => break,
                // Pings are answered below us; a client's binary messages mean nothing.
                Some(Ok(_)) => continue,
            },
            _ = beats.tick() => {
                if !may_go_on(id, shared) {
                    break;
                }
                if !std::mem::replace(&mut quiet, true) || is_silent(id, shared) {
                    continue;
                }
                Message::Binary(Bytes::from_static(&[0]))
            }
        };
        quiet = false;
        match tokio::time::timeout(SEND_WITHIN, socket.send(message)).await {
            Ok(Ok(())) => {}
            _ => break,
        }
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.close(None)).await;
}

fn may_go_on(id: u64, shared: &Shared) -> bool {
    let mut core = shared.core();
    let now = core.catch_up();
    let key = core.world.sessions.key().to_owned();
    core.hub.token(id).is_some_and(|token| core.world.sessions.check(&key, token, now).is_ok())
}

fn is_silent(id: u64, shared: &Shared) -> bool {
    let core = shared.core();
    core.hub.is_silent(id, core.world.now())
}

#[derive(Deserialize)]
struct Asked {
    a: String,
    #[serde(default)]
    v: serde_json::Value,
}

/// What a client asks for.
fn listen(text: &str, id: u64, shared: &Shared) {
    let mut core = shared.core();
    let said = match serde_json::from_str::<Asked>(text) {
        Ok(asked) => obey(&asked, id, &mut core),
        Err(_) => Err("The message is not {\"a\": ..., \"v\": ...}".to_owned()),
    };
    if let Err(reason) = said {
        core.hub.say(id, error_message(&reason));
    }
    core.catch_up();
    core.hand_on();
}

fn obey(asked: &Asked, id: u64, core: &mut super::core::Core) -> Result<(), String> {
    let places = |value: &serde_json::Value| -> Result<Vec<usize>, String> {
        let tokens = value.as_array().ok_or("Tokens are a list of numbers")?;
        let numbers: Option<Vec<u64>> = tokens.iter().map(serde_json::Value::as_u64).collect();
        let numbers = numbers.ok_or("Tokens are a list of numbers")?;
        let known = |token: u64| u32::try_from(token).ok().and_then(|token| core.world.place_of_token(token));
        Ok(numbers.into_iter().filter_map(known).collect())
    };
    match asked.a.as_str() {
        "subscribe" => {
            let places = places(&asked.v)?;
            if core.hub.subscribe(id, &places, None) {
                Ok(())
            } else {
                Err(format!("At most {SUBSCRIPTIONS_MAX} instruments can be subscribed to on a connection"))
            }
        }
        "unsubscribe" => {
            let places = places(&asked.v)?;
            core.hub.unsubscribe(id, &places);
            Ok(())
        }
        "mode" => {
            let mode = asked.v.get(0).and_then(serde_json::Value::as_str).and_then(Mode::parse);
            let mode = mode.ok_or("A mode is ltp, quote or full")?;
            let places = places(asked.v.get(1).unwrap_or(&serde_json::Value::Null))?;
            core.hub.subscribe(id, &places, Some(mode));
            Ok(())
        }
        _ => Err("An action is subscribe, unsubscribe or mode".to_owned()),
    }
}

fn error_message(reason: &str) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        r#type: &'static str,
        data: &'a str,
    }
    serde_json::to_string(&Row { r#type: "error", data: reason }).unwrap_or_default()
}
