//! The feed against WebSocket servers of this machine that break, fall silent and refuse.

use daybook_adapters::kite::http::{Address, HyperTransport, Limits};
use daybook_adapters::kite::messages::Message;
use daybook_adapters::kite::pace::{Boxed, Pace};
use daybook_adapters::kite::session::{Credentials, Login, Session, SessionEvent};
use daybook_adapters::kite::ticker::{FeedEvent, FeedLimits, Subscriptions, run};
use daybook_adapters::kite::ticks::{Flaw, Mode, Token};
use daybook_adapters::kite::{Kite, Secret};
use daybook_vocabulary::Nanos;
use daybook_vocabulary::time::SECOND;
use futures_util::{SinkExt, StreamExt};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// Time that moves a second with every look at it; sleeps cost nothing and are remembered.
#[derive(Default)]
struct Steps {
    now: AtomicI64,
    slept: Mutex<Vec<i64>>,
}

impl Pace for Steps {
    fn now(&self) -> Nanos {
        Nanos(self.now.fetch_add(SECOND, Ordering::Relaxed))
    }
    fn sleep(&self, nanos: i64) -> Boxed<'_, ()> {
        self.slept.lock().unwrap().push(nanos);
        Box::pin(std::future::ready(()))
    }
    fn sleep_outside(&self, nanos: i64) -> Boxed<'_, ()> {
        self.sleep(nanos)
    }
    fn chance(&self, _: u64) -> u64 {
        0
    }
}

const LIMITS: FeedLimits = FeedLimits {
    wire: Limits { dns: Duration::from_secs(1), connect: Duration::from_secs(1), read: Duration::from_secs(1) },
    silence: Duration::from_millis(120),
};
/// A frame with the last price of one instrument.
const TICK: [u8; 12] = [0, 1, 0, 8, 0, 6, 0x3a, 1, 0, 2, 0x66, 0xba];

fn client(listener: &TcpListener) -> (Kite, Arc<Steps>) {
    let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let transport = Arc::new(HyperTransport::new(address.clone(), Limits::default()).unwrap());
    let pace = Arc::new(Steps { now: AtomicI64::new(1_763_610_000 * SECOND), slept: Mutex::default() });
    let kite = Kite::new(address, Credentials::simulated(), transport, pace.clone());
    let login_time = pace.now();
    let access_token = Secret::new("verysecrettoken");
    kite.tell(SessionEvent::LoggedIn(Login { access_token, user_id: "SIM".to_owned(), login_time }));
    (kite, pace)
}

fn wanted(entries: &[(u32, Mode)]) -> (watch::Sender<Subscriptions>, watch::Receiver<Subscriptions>) {
    watch::channel(entries.iter().map(|&(token, mode)| (Token(token), mode)).collect())
}

/// Listens until `enough` says so; what was heard.
async fn heard_until(
    kite: &Kite,
    receiver: watch::Receiver<Subscriptions>,
    enough: impl Fn(&[FeedEvent]) -> bool + Send + Sync,
) -> Vec<FeedEvent> {
    let mut events = Vec::new();
    let listening = run(kite, LIMITS, receiver, |event| {
        events.push(event);
        !enough(&events)
    });
    tokio::time::timeout(Duration::from_secs(10), listening).await.expect("the feed ends in time");
    events
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    accept_async(listener.accept().await.unwrap().0).await.unwrap()
}

async fn text_of(socket: &mut WebSocketStream<TcpStream>) -> String {
    match socket.next().await {
        Some(Ok(Frame::Text(text))) => text.as_str().to_owned(),
        other => format!("{other:?}"),
    }
}

fn lost(events: &[FeedEvent]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| if let FeedEvent::Lost { why, .. } = event { Some(why.clone()) } else { None })
        .collect()
}

#[tokio::test]
async fn ticks_messages_and_flaws_come_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (kite, _) = client(&listener);
    let (sender, receiver) = wanted(&[(408_065, Mode::Full)]);
    let server = async {
        let mut socket = accept(&listener).await;
        assert_eq!(text_of(&mut socket).await, r#"{"a":"subscribe","v":[408065]}"#);
        assert_eq!(text_of(&mut socket).await, r#"{"a":"mode","v":["full",[408065]]}"#);
        for frame in [vec![0], TICK.to_vec(), TICK[..9].to_vec()] {
            socket.send(Frame::Binary(frame.into())).await.unwrap();
        }
        socket.send(Frame::Text(r#"{"type":"error","data":"no"}"#.into())).await.unwrap();
        sender.send(Subscriptions::from([(Token(1), Mode::Ltp)])).unwrap();
        assert_eq!(text_of(&mut socket).await, r#"{"a":"unsubscribe","v":[408065]}"#);
        assert_eq!(text_of(&mut socket).await, r#"{"a":"subscribe","v":[1]}"#);
        assert_eq!(text_of(&mut socket).await, r#"{"a":"mode","v":["ltp",[1]]}"#);
        socket.send(Frame::Text("{".into())).await.unwrap();
    };
    let (events, ()) = tokio::join!(heard_until(&kite, receiver, |events| events.len() == 5), server);
    assert!(matches!(events[0], FeedEvent::Connected { gap_since: None, .. }), "{:?}", events[0]);
    assert!(matches!(events[1], FeedEvent::Tick(tick, _) if tick.token == Token(408_065)));
    assert!(matches!(events[2], FeedEvent::Flaw(Flaw::Truncated { at: 9, .. }, _)));
    assert!(matches!(&events[3], FeedEvent::Message(Message::Error(text), _) if text == "no"));
    assert!(matches!(&events[4], FeedEvent::Message(Message::Bad { .. }, _)));
}

#[tokio::test]
async fn a_lost_connection_is_taken_up_again_and_its_gap_is_marked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (kite, pace) = client(&listener);
    let (_sender, receiver) = wanted(&[(408_065, Mode::Ltp)]);
    let server = async {
        let mut first = accept(&listener).await;
        text_of(&mut first).await;
        first.send(Frame::Binary(TICK.to_vec().into())).await.unwrap();
        drop(first);
        // The second connection answers and falls silent.
        let mut second = accept(&listener).await;
        assert_eq!(text_of(&mut second).await, r#"{"a":"subscribe","v":[408065]}"#, "subscribed again");
        second.send(Frame::Binary(TICK.to_vec().into())).await.unwrap();
        let mut third = accept(&listener).await;
        third.send(Frame::Binary(TICK.to_vec().into())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(second);
    };
    let ticks = |events: &[FeedEvent]| events.iter().filter(|event| matches!(event, FeedEvent::Tick(..))).count();
    let (events, ()) = tokio::join!(heard_until(&kite, receiver, |events| ticks(events) == 3), server);
    let why = lost(&events);
    assert_eq!(why.len(), 2, "{why:?}");
    assert_eq!(why[1], "silent for 120 ms");
    let mut gaps = events.iter().filter_map(|event| match event {
        FeedEvent::Connected { at, gap_since } => Some((*at, *gap_since)),
        _ => None,
    });
    let heard: Vec<Nanos> =
        events.iter().filter_map(|event| if let FeedEvent::Tick(_, at) = event { Some(*at) } else { None }).collect();
    assert_eq!(gaps.next().unwrap().1, None);
    for (at, (connected, gap)) in heard.iter().zip(gaps) {
        assert_eq!(gap, Some(*at), "the gap begins where something was heard last");
        assert!(connected > *at);
    }
    assert_eq!(*pace.slept.lock().unwrap(), [SECOND, SECOND], "a connection that answered begins the backoff anew");
}

#[tokio::test]
async fn nobody_there_is_asked_ever_less_often() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (kite, pace) = client(&listener);
    drop(listener);
    let (_sender, receiver) = wanted(&[(1, Mode::Ltp)]);
    let events = heard_until(&kite, receiver, |events| events.len() == 9).await;
    assert_eq!(lost(&events).len(), 9);
    let slept: Vec<i64> = pace.slept.lock().unwrap().iter().map(|nanos| nanos / SECOND).collect();
    assert_eq!(slept, [2, 4, 8, 16, 32, 60, 60, 60]);
}

/// A dead token is never tried again; with another login the feed goes on by itself, and its gap is marked.
#[tokio::test]
async fn a_refused_token_ends_the_session_and_another_login_begins_the_feed_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (kite, pace) = client(&listener);
    let (_sender, receiver) = wanted(&[(1, Mode::Ltp)]);
    let login = |token: &str| Login {
        access_token: Secret::new(token),
        user_id: "SIM".to_owned(),
        login_time: Nanos(1_763_610_100 * SECOND),
    };
    let server = async {
        let mut first = accept(&listener).await;
        text_of(&mut first).await;
        first.send(Frame::Binary(TICK.to_vec().into())).await.unwrap();
        drop(first);
        let mut stream = listener.accept().await.unwrap().0;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        drop(stream);
        while !matches!(kite.session(), Session::Expired(_)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The token that died is no new login.
        kite.tell(SessionEvent::LoggedIn(login("verysecrettoken")));
        let nobody = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(nobody.is_err(), "a dead token was tried again");
        kite.tell(SessionEvent::LoggedIn(login("anothertoken")));
        let mut second = accept(&listener).await;
        assert_eq!(text_of(&mut second).await, r#"{"a":"subscribe","v":[1]}"#, "subscribed again");
        second.send(Frame::Binary(TICK.to_vec().into())).await.unwrap();
    };
    let ticks = |events: &[FeedEvent]| events.iter().filter(|event| matches!(event, FeedEvent::Tick(..))).count();
    let (events, ()) = tokio::join!(heard_until(&kite, receiver, |events| ticks(events) == 2), server);
    let gaps: Vec<bool> = events
        .iter()
        .filter_map(|event| match event {
            FeedEvent::Connected { gap_since, .. } => Some(gap_since.is_some()),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [false, true]);
    assert_eq!(events.iter().filter(|event| matches!(event, FeedEvent::SessionOver(_))).count(), 1, "{events:?}");
    assert!(kite.session().login().is_some());
    assert_eq!(*pace.slept.lock().unwrap(), [SECOND], "only the lost connection was waited for");
}

#[tokio::test]
async fn nothing_that_is_told_holds_the_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (kite, _) = client(&listener);
    let (_sender, receiver) = wanted(&[(1, Mode::Ltp)]);
    let server = async {
        for answer in ["HTTP/1.1 500 Oops\r\n\r\n", "nonsense\r\n\r\n", ""] {
            let mut stream = listener.accept().await.unwrap().0;
            stream.write_all(answer.as_bytes()).await.unwrap();
            drop(stream);
        }
    };
    let (events, ()) = tokio::join!(heard_until(&kite, receiver, |events| events.len() == 3), server);
    assert!(!format!("{events:?}").contains("verysecrettoken"), "{events:?}");
}
