//! The client of the broker in virtual time, against a broker that answers by script.

use daybook_adapters::kite::history;
use daybook_adapters::kite::http::{Address, Method, Request, Response, Transport, TransportError};
use daybook_adapters::kite::orders::{NewOrder, Outcome, tag_of};
use daybook_adapters::kite::pace::{Boxed, Pace};
use daybook_adapters::kite::session::{Credentials, Login, Session, SessionEvent};
use daybook_adapters::kite::ticks::Token;
use daybook_adapters::kite::values::{Pricing, Product, Transaction, Validity, Variety};
use daybook_adapters::kite::{Change, Kite, KiteError, Secret};
use daybook_journal::{Draft, Durable, Options, Writer};
use daybook_vocabulary::time::{HOUR, SECOND};
use daybook_vocabulary::{Interval, Nanos, Price, Quantity};
use std::sync::{Arc, Mutex};

/// Time that passes only where somebody sleeps; remembers every sleep.
#[derive(Default)]
struct VirtualPace {
    state: Mutex<(i64, Vec<i64>)>,
}

impl Pace for VirtualPace {
    fn now(&self) -> Nanos {
        Nanos(self.state.lock().unwrap().0)
    }
    fn sleep(&self, nanos: i64) -> Boxed<'_, ()> {
        let mut state = self.state.lock().unwrap();
        state.0 += nanos;
        state.1.push(nanos);
        Box::pin(std::future::ready(()))
    }
    fn sleep_outside(&self, nanos: i64) -> Boxed<'_, ()> {
        self.sleep(nanos)
    }
    fn chance(&self, below: u64) -> u64 {
        below / 2 // the middle: a schedule that a test can write down
    }
}

type Answer = Result<Response, TransportError>;

/// A broker that gives its answers in order, and notes what it was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<Answer>>,
    asked: Mutex<Vec<Request>>,
}

impl Transport for Script {
    fn send<'a>(&'a self, request: &'a Request) -> Boxed<'a, Answer> {
        self.asked.lock().unwrap().push(request.clone());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.is_empty() { json(500, "{}") } else { answers.remove(0) };
        Box::pin(std::future::ready(answer))
    }
}

fn json(code: u16, body: &str) -> Answer {
    Ok(Response { code, content_type: "application/json".to_owned(), location: None, body: body.as_bytes().to_vec() })
}

fn data(body: &str) -> Answer {
    json(200, &format!("{{\"status\":\"success\",\"data\":{body}}}"))
}

fn refusal(code: u16, kind: &str, message: &str) -> Answer {
    json(code, &format!("{{\"status\":\"error\",\"error_type\":\"{kind}\",\"message\":\"{message}\",\"data\":null}}"))
}

fn timeout() -> Answer {
    Err(TransportError::Timeout(5000))
}

const START: i64 = 1_763_610_000 * SECOND; // 2025-11-20 09:10 in India

struct World {
    kite: Kite,
    script: Arc<Script>,
    pace: Arc<VirtualPace>,
}

impl World {
    fn new(answers: Vec<Answer>) -> Self {
        let script = Arc::new(Script { answers: Mutex::new(answers), ..Script::default() });
        let pace = Arc::new(VirtualPace::default());
        pace.state.lock().unwrap().0 = START;
        let address = Address::parse("http://127.0.0.1:9010").unwrap();
        let kite = Kite::new(address, Credentials::simulated(), script.clone(), pace.clone());
        let login = Login {
            access_token: Secret::new("verysecrettoken"),
            user_id: "AB1234".to_owned(),
            login_time: Nanos(START),
        };
        kite.tell(SessionEvent::LoggedIn(login));
        Self { kite, script, pace }
    }

    fn asked(&self) -> usize {
        self.script.asked.lock().unwrap().len()
    }

    fn slept(&self) -> Vec<i64> {
        self.pace.state.lock().unwrap().1.clone()
    }
}

/// RL-04: five retries on 429, 5xx and timeouts; 0.5, 1, 2, 4, 8 s plus up to 100 ms; then an error that says so.
#[tokio::test]
async fn reads_are_retried_by_the_schedule() {
    let broken = Err(TransportError::Broken("reset".to_owned()));
    let world = World::new(vec![
        refusal(429, "NetworkException", "Too many requests"),
        refusal(503, "NetworkException", "x"),
        timeout(),
        broken,
        refusal(500, "GeneralException", "x"),
        data("[]"),
    ]);
    assert!(world.kite.orders().await.unwrap().0.is_empty());
    let half_jitter = 50 * 1_000_000;
    let schedule = [SECOND / 2, SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND].map(|wait| wait + half_jitter);
    assert_eq!((world.asked(), world.slept().as_slice()), (6, schedule.as_slice()));

    let hopeless = World::new((0..9).map(|_| timeout()).collect());
    let error = hopeless.kite.orders().await.unwrap_err().to_string();
    assert_eq!((hopeless.asked(), hopeless.slept().len()), (6, 5));
    assert!(error.contains("GET /orders") && error.contains("asked 6 times"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_final() {
    let world = World::new(vec![refusal(400, "InputException", "interval exceeds max limit: 60 days")]);
    let asked = world.kite.history(Token(738_561), Interval::MINUTE, Nanos(START), Nanos(START + HOUR)).await;
    let error = asked.unwrap_err().to_string();
    assert!(error.contains("InputException") && error.contains("60 days"), "{error}");
    assert_eq!(world.asked(), 1);
    let target = world.script.asked.lock().unwrap()[0].target.expose().to_owned();
    assert!(target.starts_with("/instruments/historical/738561/minute?from=2025-11-20+09%3A10%3A00&to="), "{target}");
}

/// RL-06: no retry on 403; nothing more is asked with a dead token.
#[tokio::test]
async fn a_dead_token_ends_the_session() {
    let world = World::new(vec![refusal(403, "TokenException", "Incorrect `api_key` or `access_token`.")]);
    assert!(matches!(world.kite.profile().await, Err(KiteError::SessionOver { .. })));
    assert!(matches!(world.kite.session(), Session::Expired(_)));
    assert!(matches!(world.kite.orders().await, Err(KiteError::SessionOver { .. })));
    assert_eq!(world.asked(), 1, "a dead token is not tried again");
    // A permission is another matter: the session goes on.
    let other = World::new(vec![refusal(403, "PermissionException", "no data subscription")]);
    assert!(matches!(other.kite.profile().await, Err(KiteError::Refused { .. })));
    assert!(other.kite.session().login().is_some());
}

#[tokio::test]
async fn a_token_of_yesterday_is_not_tried() {
    let world = World::new(vec![data("[]")]);
    world.pace.state.lock().unwrap().0 += 24 * HOUR;
    let error = world.kite.orders().await.unwrap_err().to_string();
    assert!(error.contains("six in the morning") && error.contains("--force-refresh-token"), "{error}");
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn answers_that_are_not_what_they_say() {
    let text = |content_type: &str, body: &str| {
        Ok(Response {
            code: 200,
            content_type: content_type.to_owned(),
            location: None,
            body: body.as_bytes().to_vec(),
        })
    };
    for answer in [
        text("text/html", "<html>"),
        text("application/json", "<html>"),
        text("application/json", ""),
        data("{\"net\":"),
        data("17"),
        data("null"),
    ] {
        let error = World::new(vec![answer]).kite.orders().await.unwrap_err();
        assert!(matches!(error, KiteError::Unreadable { .. }), "{error}");
    }
    // An error in a success's clothes is an error.
    let dressed = World::new(vec![json(200, r#"{"error_type":"GeneralException","message":"no"}"#)]);
    assert!(matches!(dressed.kite.orders().await, Err(KiteError::Refused { .. })));
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let echo = "token sim_api_key:verysecrettoken with sim_api_secret";
    let world = World::new(vec![refusal(400, "InputException", echo), refusal(403, "TokenException", echo)]);
    let mut shown = format!("{:?}", world.kite.credentials());
    for _ in 0..2 {
        let error = world.kite.orders().await.unwrap_err();
        shown += &format!("{error} {error:?} {:?}", world.kite.session());
    }
    shown += &format!("{:?}", world.script.asked.lock().unwrap());
    for secret in ["sim_api_key", "sim_api_secret", "verysecrettoken"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn the_simulated_broker_is_logged_in_to_without_a_person() {
    let redirect = Response {
        code: 302,
        location: Some(Secret::new("http://127.0.0.1/?request_token=reqtoken123&action=login&status=success")),
        ..Response::default()
    };
    let token = r#"{"access_token":"abc","user_id":"SIM001","login_time":"2025-11-20 09:10:00"}"#;
    let world = World::new(vec![Ok(redirect), data(token)]);
    let login = world.kite.login_by_itself().await.unwrap();
    assert_eq!((login.access_token.expose(), login.user_id.as_str()), ("abc", "SIM001"));
    let asked = world.script.asked.lock().unwrap();
    assert!(
        asked[0].target.expose().starts_with("/connect/login?v=3&api_key=sim_api_key")
            && asked[0].authorization.is_none()
    );
    let form = asked[1].form.as_ref().unwrap().expose();
    assert!(form.contains("checksum=e09a6bcd8b8aee32ed2560e95ffb8c97275bcf6be1789fbe2abffb9d29606926"), "{form}");
}

#[tokio::test]
async fn elsewhere_a_person_is_awaited() {
    let script = Arc::new(Script::default());
    let address = Address::parse("https://api.kite.trade").unwrap();
    let kite = Kite::new(address, Credentials::simulated(), script.clone(), Arc::new(VirtualPace::default()));
    let error = kite.login_by_itself().await.unwrap_err().to_string();
    assert!(error.contains("https://kite.zerodha.com/connect/login?v=3&api_key="), "{error}");
    assert_eq!((kite.session(), script.asked.lock().unwrap().len()), (Session::AwaitsHuman, 0));
}

/// An order whose intent was written and synced: there is no other way to get one.
fn durable(is_exit: bool) -> Durable<NewOrder> {
    let order = NewOrder {
        variety: Variety::Regular,
        exchange: "NSE".to_owned(),
        symbol: "RELIANCE".to_owned(),
        side: Transaction::Buy,
        pricing: Pricing::Limit,
        product: Product::Mis,
        validity: Validity::Day,
        minutes: None,
        quantity: Quantity::from_units(10),
        price: Some(Price::from_units(1300)),
        trigger: None,
        protection: None,
        tag: tag_of([1; 16], 9),
        is_exit,
    };
    in_journal(order)
}

/// Anything, written and synced.
fn in_journal<T>(item: T) -> Durable<T> {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 64 * 1024, sync_segments: false, ..Options::default() };
    let mut writer = Writer::create(&dir.path().join("journal"), options).unwrap();
    writer.append(Draft { time: 1, kind: 33, ..Draft::default() }, b"an intent").unwrap();
    writer.commit_durable(vec![item]).unwrap().remove(0)
}

/// RL-28: placed once or of unknown fate, never sent twice.
#[tokio::test]
async fn an_order_is_never_resent_blindly() {
    let unknown = [
        timeout(),
        Err(TransportError::Broken("reset".to_owned())),
        refusal(500, "OrderException", "x"),
        refusal(503, "NetworkException", "x"),
        data("{}"),
        json(200, "nonsense"),
    ];
    for answer in unknown {
        let world = World::new(vec![answer.clone(), data(r#"{"order_id":"1"}"#)]);
        let outcome = world.kite.place(durable(false)).await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{answer:?} gave {outcome:?}");
        assert_eq!(world.asked(), 1, "{answer:?}");
    }
    let refused = World::new(vec![refusal(400, "MarginException", "Insufficient funds")]);
    assert!(matches!(refused.kite.place(durable(false)).await, Outcome::Refused(refused) if refused.code == 400));
    let unsent = World::new(vec![Err(TransportError::Connect("refused".to_owned()))]);
    assert!(matches!(unsent.kite.place(durable(false)).await, Outcome::NotSent(_)));
    let over = World::new(vec![refusal(403, "TokenException", "x")]);
    assert!(matches!(over.kite.place(durable(false)).await, Outcome::SessionOver(_)));
}

/// 429 was not let in: it goes again through its bucket, and carries the same tag.
#[tokio::test]
async fn too_many_requests_is_tried_again() {
    let busy = || refusal(429, "NetworkException", "Too many requests");
    let world = World::new(vec![busy(), busy(), data(r#"{"order_id":"1953341975595868160"}"#)]);
    assert_eq!(world.kite.place(durable(false)).await, Outcome::Registered("1953341975595868160".to_owned()));
    let asked = world.script.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|request| request.form == asked[0].form && request.method == Method::Post));
    let form = asked[0].form.as_ref().unwrap().expose();
    assert!(form.contains("tradingsymbol=RELIANCE") && form.contains(&format!("tag={}", tag_of([1; 16], 9))), "{form}");
}

/// A stop that becomes a market order says how far it may fill, as a new one does: without that the broker refuses it.
#[tokio::test]
async fn a_changed_market_order_is_protected() {
    let change = |pricing, protection| Change {
        order_id: "77".to_owned(),
        variety: Variety::Regular,
        pricing,
        quantity: Some(Quantity::from_units(5)),
        price: None,
        trigger: None,
        protection,
        is_exit: true,
    };
    for (pricing, protection, expected) in [
        (Pricing::Market, None, Some("market_protection=-1")),
        (Pricing::StopMarket, Some(250), Some("market_protection=2.5")),
        (Pricing::Limit, Some(250), None),
    ] {
        let world = World::new(vec![data(r#"{"order_id":"77"}"#)]);
        let outcome = world.kite.modify(in_journal(change(pricing.clone(), protection))).await;
        assert_eq!(outcome, Outcome::Registered("77".to_owned()));
        let asked = world.script.asked.lock().unwrap();
        let form = asked[0].form.as_ref().unwrap().expose();
        assert_eq!(form.contains("market_protection"), expected.is_some(), "{form}");
        assert!(form.contains(expected.unwrap_or("order_type=LIMIT")) && form.contains("quantity=5"), "{form}");
    }
}

/// BT-37: whatever is asked however fast, no second of the broker's clock holds more pages than it allows.
#[tokio::test]
async fn pages_of_history_stay_below_the_limit() {
    let page = || data("{\"candles\":[]}");
    let world = World::new((0..40).map(|_| page()).collect());
    for _ in 0..40 {
        let asked = world.kite.history(Token(1), Interval::MINUTE, Nanos(START), Nanos(START + HOUR)).await;
        assert!(asked.unwrap().candles.is_empty());
    }
    let took = world.kite.now() - Nanos(START);
    assert!((19 * SECOND..=21 * SECOND).contains(&took), "40 pages at two a second took {took} ns");
    assert!(world.slept().iter().all(|&wait| wait >= 200_000_000), "at least 200 ms between pages");
}

/// A year of 5-minute candles of 50 symbols is 200 pages: they take as long as two pages a second do, and no longer.
#[tokio::test]
async fn a_year_of_fifty_symbols_takes_what_the_rate_allows() {
    let interval = Interval::minutes(5);
    let pages = history::pages(interval, "2024-06-01".parse().unwrap(), "2025-05-31".parse().unwrap());
    assert_eq!(pages.len(), 4);
    let world = World::new((0..200).map(|_| data("{\"candles\":[]}")).collect());
    for symbol in 1..=50 {
        for (from, to) in &pages {
            let page = world.kite.history(Token(symbol * 256 + 1), interval, from.midnight(), to.midnight()).await;
            assert!(page.is_ok());
        }
    }
    let took = world.kite.now() - Nanos(START);
    assert_eq!((world.asked(), took), (200, 199 * SECOND / 2), "nothing waits for anything but its turn");
}
