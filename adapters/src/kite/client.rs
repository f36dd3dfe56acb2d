//! The REST client: every call with its class, its retries, and what its answer means.
//!
//! - Calls that only read are asked up to six times, on HTTP 429, 5xx and failures of the wire: after 0.5, 1, 2, 4 and
//!   8 s, each with up to 100 ms more. A refusal (any other 4xx) is final.
//! - A 403 about the token ends the session at once, for every later call too: nothing is asked with a dead token.
//! - Every call takes its turn in its rate bucket, retries included.
//! - Messages are scrubbed of key, secret and token before anyone sees them.

use super::buckets::{Buckets, Class, Refusal, Urgency};
use super::error::{ErrorKind, KiteError, Refused};
use super::history::{Page, interval_word, read_page};
use super::http::{Address, HyperTransport, Limits, Method, Request, Response, Transport, TransportError, encode_form};
use super::instruments::Instruments;
use super::orders::{OrderRow, PositionRow, TradeRow};
use super::pace::{BrokerPace, Pace, WallPace};
use super::secret::{Secret, remember, scrub};
use super::session::{Credentials, Login, Session, SessionEvent, request_token};
use super::ticks::Token;
use super::values::{BadRow, Envelope, Stamp, Units, ZONE, local_text, rows};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{Interval, Nanos, Quantity};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Waits before the second and every later try.
pub const BACKOFF: [i64; 5] = [SECOND / 2, SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND];
/// The most that chance adds to each.
pub const JITTER: i64 = SECOND / 10;

const CALL_LIMIT: Duration = Duration::from_secs(10);
const PAGE_LIMIT: Duration = Duration::from_secs(20);
/// The login page of the real broker; the simulated one has its own.
const LOGIN_PAGE: &str = "https://kite.zerodha.com";

/// A call that is about to be made.
pub(super) struct Call {
    pub method: Method,
    /// Path without query: what messages call it.
    pub path: String,
    pub query: String,
    pub form: Option<Secret>,
    pub class: Class,
    pub limit: Duration,
    /// False for the calls that make a session.
    pub with_token: bool,
}

impl Call {
    pub fn get(path: impl Into<String>, class: Class) -> Self {
        Self {
            method: Method::Get,
            path: path.into(),
            query: String::new(),
            form: None,
            class,
            limit: CALL_LIMIT,
            with_token: true,
        }
    }

    pub fn name(&self) -> String {
        let word = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        format!("{word} {}", self.path)
    }
}

/// A client of the broker.
pub struct Kite {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) pace: Arc<dyn Pace>,
    pub(super) buckets: Buckets,
    address: Address,
    credentials: Credentials,
    session: Mutex<Session>,
    /// Counts what happened to the session: whoever waits for a login is woken.
    events: watch::Sender<u64>,
    /// A simulated broker that takes its own application only.
    own_application: bool,
}

/// Last prices by what was asked for.
pub type LastPrices = BTreeMap<String, daybook_vocabulary::Price>;

/// What the account may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Margins {
    /// Free to trade, in units of 1e-8.
    pub net: i64,
}

impl Kite {
    /// A client with every part given.
    pub fn new(address: Address, credentials: Credentials, transport: Arc<dyn Transport>, pace: Arc<dyn Pace>) -> Self {
        remember(&credentials.api_key);
        remember(&credentials.api_secret);
        let session = Mutex::new(Session::NoToken);
        let (buckets, events) = (Buckets::new(), watch::Sender::new(0));
        Self { transport, pace, buckets, address, credentials, session, events, own_application: false }
    }

    /// A client over the wire. On this machine the broker's clock is asked for first, and followed; `wait` is how long
    /// a port of this machine may take to open.
    pub async fn connect(url: &str, credentials: Credentials, wait: Duration) -> Result<Self, KiteError> {
        let address = Address::parse(url)?;
        let transport = Arc::new(HyperTransport::new(address.clone(), Limits::default())?);
        let clock = match address.is_loopback() {
            true => simulated_clock(transport.as_ref(), &address, wait).await?,
            false => None,
        };
        let pace: Arc<dyn Pace> = match clock {
            Some(clock) => Arc::new(BrokerPace::new(clock.now, clock.speed_milli)),
            None => Arc::new(WallPace::new()),
        };
        let own_application = clock.is_some_and(|clock| clock.own_application);
        Ok(Self { own_application, ..Self::new(address, credentials, transport, pace) })
    }

    /// True for a simulated broker that was told to know no other application than one of the user's own.
    pub const fn wants_own_application(&self) -> bool {
        self.own_application
    }

    /// Waits until there is a login whose token is another than the one that is dead.
    pub(super) async fn another_login(&self, dead: Option<&Secret>) {
        let mut events = self.events.subscribe();
        loop {
            if self.session().login().is_some_and(|login| Some(&login.access_token) != dead) {
                return;
            }
            if events.changed().await.is_err() {
                return;
            }
        }
    }

    /// Where the broker is.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The app's key and secret.
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The time it lives in.
    pub fn now(&self) -> Nanos {
        self.pace.now()
    }

    /// How long `nanos` nanoseconds of that time are in the world's.
    pub fn outside(&self, nanos: i64) -> Duration {
        self.pace.outside(nanos)
    }

    /// Where the session stands, after looking at the clock.
    pub fn session(&self) -> Session {
        let now = self.pace.now();
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.login().is_some_and(|login| !login.is_valid_at(now)) {
            *session = std::mem::take(&mut *session).next(SessionEvent::DayTurned);
        }
        session.clone()
    }

    /// Tells the session what happened.
    pub fn tell(&self, event: SessionEvent) {
        if let SessionEvent::LoggedIn(login) = &event {
            remember(&login.access_token);
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        *session = std::mem::take(&mut *session).next(event);
        drop(session);
        self.events.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The page at which a person logs in.
    pub fn login_url(&self) -> String {
        let page = if self.address.is_loopback() { self.address.url.as_str() } else { LOGIN_PAGE };
        format!("{page}/connect/login?v=3&api_key={}", self.credentials.api_key.expose())
    }

    /// Logs in to the simulated broker, whose login page asks nothing; refused for any other.
    pub async fn login_by_itself(&self) -> Result<Login, KiteError> {
        if !self.address.is_loopback() {
            self.tell(SessionEvent::Asked);
            return Err(KiteError::AwaitsHuman { login_url: self.login_url() });
        }
        let mut call = Call::get("/connect/login", Class::Other);
        call.query = encode_form([("v", "3"), ("api_key", self.credentials.api_key.expose())]);
        call.with_token = false;
        let answer = self.read(&call).await?;
        let Some(location) = answer.location.clone() else {
            return Err(match self.refusal(&answer) {
                Some(refused) => KiteError::LoginRefused { refused },
                None => KiteError::Login { reason: format!("the login page answered HTTP {}", answer.code) },
            });
        };
        let token = request_token(location.expose())?;
        self.login(&token).await
    }

    /// Exchanges the token of the login page for the day's.
    pub async fn login(&self, request_token: &Secret) -> Result<Login, KiteError> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            #[serde(default)]
            user_id: String,
            #[serde(default)]
            login_time: Stamp,
        }
        let checksum = self.credentials.checksum(request_token.expose());
        let form = encode_form([
            ("api_key", self.credentials.api_key.expose()),
            ("request_token", request_token.expose()),
            ("checksum", &checksum),
        ]);
        let call = Call {
            method: Method::Post,
            form: Some(Secret::new(form)),
            with_token: false,
            ..Call::get("/session/token", Class::Other)
        };
        // A request token is good for one exchange: a second try of the same one can only be refused.
        let answer = self.once(&call).await?;
        if let Some(refused) = self.refusal(&answer).filter(|refused| (400..500).contains(&refused.code)) {
            return Err(KiteError::LoginRefused { refused });
        }
        let body = self.accept(&call, answer)?;
        let answer: Answer = self.data(&call, &body)?;
        let login = Login {
            access_token: Secret::new(answer.access_token),
            user_id: answer.user_id,
            login_time: answer.login_time.0.unwrap_or_else(|| self.pace.now()),
        };
        self.tell(SessionEvent::LoggedIn(login.clone()));
        Ok(login)
    }

    /// Asks who we are: a cheap way to learn whether a token lives.
    pub async fn profile(&self) -> Result<String, KiteError> {
        #[derive(Deserialize)]
        struct Answer {
            user_id: String,
        }
        let call = Call::get("/user/profile", Class::Other);
        let answer: Answer = self.ask(&call).await?;
        Ok(answer.user_id)
    }

    /// The money of the equity segment.
    pub async fn margins(&self) -> Result<Margins, KiteError> {
        #[derive(Deserialize)]
        struct Answer {
            net: Units,
        }
        let call = Call::get("/user/margins/equity", Class::Other);
        let answer: Answer = self.ask(&call).await?;
        Ok(Margins { net: answer.net.0 })
    }

    /// The day's list of instruments, as text: all, or those of one exchange.
    pub async fn instruments_text(&self, exchange: Option<&str>) -> Result<String, KiteError> {
        let path = exchange.map_or("/instruments".to_owned(), |exchange| format!("/instruments/{exchange}"));
        let call = Call { limit: PAGE_LIMIT, ..Call::get(path, Class::Other) };
        let answer = self.read(&call).await?;
        let body = self.accept(&call, answer)?;
        String::from_utf8(body).map_err(|_| self.unreadable(&call, "it is not text"))
    }

    /// The day's list of instruments.
    pub async fn instruments(&self, exchange: Option<&str>) -> Result<Instruments, KiteError> {
        let text = self.instruments_text(exchange).await?;
        Instruments::read(&text).map_err(|reason| KiteError::Unreadable { call: "GET /instruments".to_owned(), reason })
    }

    /// A page of candles, from one instant to another, both inclusive.
    pub async fn history(&self, token: Token, interval: Interval, from: Nanos, to: Nanos) -> Result<Page, KiteError> {
        let Some(word) = interval_word(interval) else {
            let reason = format!("the broker has no candles of {interval}");
            return Err(KiteError::Unreadable { call: "GET /instruments/historical".to_owned(), reason });
        };
        let call = Call {
            query: encode_form([
                ("from", local_text(from).as_str()),
                ("to", &local_text(to)),
                ("continuous", "0"),
                ("oi", "0"),
            ]),
            limit: PAGE_LIMIT,
            ..Call::get(format!("/instruments/historical/{token}/{word}"), Class::History)
        };
        let answer = self.read(&call).await?;
        let body = self.accept(&call, answer)?;
        let data = self.raw_data(&call, &body)?;
        read_page(data).map_err(|error| self.unreadable(&call, error))
    }

    /// Last prices of up to a thousand `EXCHANGE:SYMBOL`; what the broker does not know is not in the answer.
    pub async fn last_prices(&self, names: &[String]) -> Result<LastPrices, KiteError> {
        #[derive(Deserialize)]
        struct One {
            last_price: Units,
        }
        let query = encode_form(names.iter().map(|name| ("i", name.as_str())));
        let call = Call { query, ..Call::get("/quote/ltp", Class::Quotes) };
        let answer: BTreeMap<String, One> = self.ask(&call).await?;
        Ok(answer.into_iter().map(|(name, one)| (name, daybook_vocabulary::Price(one.last_price.0))).collect())
    }

    /// The day's orders, oldest first, and rows that could not be read.
    pub async fn orders(&self) -> Result<(Vec<OrderRow>, Vec<BadRow>), KiteError> {
        self.list(&Call::get("/orders", Class::Other)).await
    }

    /// The states of one order, oldest first.
    pub async fn order_history(&self, order_id: &str) -> Result<(Vec<OrderRow>, Vec<BadRow>), KiteError> {
        self.list(&Call::get(format!("/orders/{}", path_part(order_id)), Class::Other)).await
    }

    /// The day's trades.
    pub async fn trades(&self) -> Result<(Vec<TradeRow>, Vec<BadRow>), KiteError> {
        self.list(&Call::get("/trades", Class::Other)).await
    }

    /// Positions, carried ones included.
    pub async fn positions(&self) -> Result<(Vec<PositionRow>, Vec<BadRow>), KiteError> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            net: &'a serde_json::value::RawValue,
        }
        let call = Call::get("/portfolio/positions", Class::Other);
        let answer = self.read(&call).await?;
        let body = self.accept(&call, answer)?;
        let data = self.raw_data(&call, &body)?;
        let answer: Answer<'_> = serde_json::from_str(data).map_err(|error| self.unreadable(&call, error))?;
        rows(answer.net.get()).map_err(|error| self.unreadable(&call, error))
    }

    /// Ends the session at the broker.
    pub async fn logout(&self) -> Result<(), KiteError> {
        let Session::Live(login) = self.session() else { return Ok(()) };
        let query = encode_form([
            ("api_key", self.credentials.api_key.expose()),
            ("access_token", login.access_token.expose()),
        ]);
        let call = Call { method: Method::Delete, query, ..Call::get("/session/token", Class::Other) };
        let answer = self.once(&call).await?;
        self.accept(&call, answer)?;
        self.tell(SessionEvent::LoggedOut);
        Ok(())
    }

    /// Asks for the simulated broker's clock again, and follows it; none where the broker has none.
    pub async fn follow_clock(&self) -> Result<Option<BrokerClock>, KiteError> {
        if !self.address.is_loopback() {
            return Ok(None);
        }
        let clock = simulated_clock(self.transport.as_ref(), &self.address, Duration::ZERO).await?;
        if let Some(clock) = clock {
            self.pace.correct(clock.now, clock.speed_milli);
        }
        Ok(clock)
    }

    async fn list<T: for<'de> Deserialize<'de>>(&self, call: &Call) -> Result<(Vec<T>, Vec<BadRow>), KiteError> {
        let answer = self.read(call).await?;
        let body = self.accept(call, answer)?;
        let data = self.raw_data(call, &body)?;
        rows(data).map_err(|error| self.unreadable(call, error))
    }

    async fn ask<T: for<'de> Deserialize<'de>>(&self, call: &Call) -> Result<T, KiteError> {
        let answer = self.read(call).await?;
        let body = self.accept(call, answer)?;
        self.data(call, &body)
    }

    /// Asks until there is an answer, as often as reading may be asked.
    async fn read(&self, call: &Call) -> Result<Response, KiteError> {
        let request = self.request(call)?;
        let mut tries = 0;
        loop {
            self.turn(call.class).await?;
            let sent = self.transport.send(&request).await;
            let Some(backoff) = BACKOFF.get(tries as usize) else {
                return sent.map_err(|source| KiteError::Transport { call: call.name(), source, tries: tries + 1 });
            };
            tries += 1;
            let wait = backoff + self.pace.chance(JITTER.cast_unsigned() + 1).cast_signed();
            if !matches!(&sent, Ok(answer) if answer.code < 429) {
                let reason = sent.as_ref().map_or_else(ToString::to_string, |answer| format!("HTTP {}", answer.code));
                tracing::info!(call = call.name(), tries, wait_ms = wait / 1_000_000, reason, "asked again");
            }
            match sent {
                Ok(answer) if answer.code == 429 || answer.code >= 500 => self.pace.sleep(wait).await,
                Ok(answer) => return Ok(answer),
                // The wire is of this world, whatever the broker's clock says.
                Err(TransportError::TooLarge(bytes)) => {
                    return Err(self.unreadable(call, format!("larger than {bytes} bytes")));
                }
                Err(_) => self.pace.sleep_outside(wait).await,
            }
        }
    }

    /// Asks once, in its turn.
    async fn once(&self, call: &Call) -> Result<Response, KiteError> {
        let request = self.request(call)?;
        self.turn(call.class).await?;
        let sent = self.transport.send(&request).await;
        sent.map_err(|source| KiteError::Transport { call: call.name(), source, tries: 1 })
    }

    /// Waits for the call's turn in its bucket.
    pub(super) async fn turn(&self, class: Class) -> Result<(), KiteError> {
        let is_exit = class == Class::Orders(Urgency::Exit);
        let mut announced = false;
        let outcome = loop {
            match self.buckets.take(class, self.pace.now(), ZONE) {
                Ok(()) => break Ok(()),
                Err(Refusal::DayIsFull) => break Err(KiteError::DayIsFull),
                Err(Refusal::Wait(wait)) => {
                    if is_exit && !announced {
                        self.buckets.exit_waits(true);
                        announced = true;
                    }
                    self.pace.sleep(wait).await;
                }
            }
        };
        if announced {
            self.buckets.exit_waits(false);
        }
        outcome
    }

    pub(super) fn request(&self, call: &Call) -> Result<Request, KiteError> {
        let authorization = if call.with_token {
            let login = match self.session() {
                Session::Live(login) => login,
                Session::Expired(message) => return Err(KiteError::SessionOver { call: call.name(), message }),
                Session::NoToken | Session::AwaitsHuman => {
                    return Err(KiteError::AwaitsHuman { login_url: self.login_url() });
                }
            };
            let key = self.credentials.api_key.expose();
            Some(Secret::new(format!("token {key}:{}", login.access_token.expose())))
        } else {
            None
        };
        let target = if call.query.is_empty() { call.path.clone() } else { format!("{}?{}", call.path, call.query) };
        Ok(Request {
            method: call.method,
            target: Secret::new(target),
            name: call.name(),
            authorization,
            form: call.form.clone(),
            limit: call.limit,
        })
    }

    /// The body of an answer that is no refusal.
    pub(super) fn accept(&self, call: &Call, answer: Response) -> Result<Vec<u8>, KiteError> {
        if let Some(refused) = self.refusal(&answer) {
            if refused.code == 403 && refused.kind == ErrorKind::Token {
                self.tell(SessionEvent::Refused(refused.message.clone()));
                return Err(KiteError::SessionOver { call: call.name(), message: refused.message });
            }
            return Err(KiteError::Refused { call: call.name(), refused });
        }
        let kind = answer.content_type.to_ascii_lowercase();
        if !kind.contains("json") && !kind.contains("csv") {
            return Err(self.unreadable(call, format!("it is '{}', neither JSON nor CSV", answer.content_type)));
        }
        Ok(answer.body)
    }

    /// What a refusal says; none for an answer that is none, whatever its code.
    pub(super) fn refusal(&self, answer: &Response) -> Option<Refused> {
        let is_json = answer.content_type.to_ascii_lowercase().contains("json");
        let envelope = serde_json::from_slice::<Envelope<'_>>(&answer.body).ok().filter(|_| is_json);
        let failed = !(200..300).contains(&answer.code);
        match envelope {
            Some(envelope) if failed || envelope.is_error() => Some(Refused {
                code: answer.code,
                kind: ErrorKind::from(envelope.error_type.as_deref().unwrap_or("GeneralException")),
                message: self.scrubbed(envelope.message.as_deref().unwrap_or_default()),
            }),
            None if failed => Some(Refused {
                code: answer.code,
                kind: ErrorKind::General,
                message: self.scrubbed(&String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)])),
            }),
            _ => None,
        }
    }

    fn data<T: for<'de> Deserialize<'de>>(&self, call: &Call, body: &[u8]) -> Result<T, KiteError> {
        serde_json::from_str(self.raw_data(call, body)?).map_err(|error| self.unreadable(call, error))
    }

    pub(super) fn raw_data<'a>(&self, call: &Call, body: &'a [u8]) -> Result<&'a str, KiteError> {
        let envelope: Envelope<'a> = serde_json::from_slice(body).map_err(|error| self.unreadable(call, error))?;
        Ok(envelope.data.map_or("null", |data| data.get()))
    }

    pub(super) fn unreadable(&self, call: &Call, reason: impl std::fmt::Display) -> KiteError {
        KiteError::Unreadable { call: call.name(), reason: self.scrubbed(&reason.to_string()) }
    }

    fn scrubbed(&self, text: &str) -> String {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let Credentials { api_key, api_secret } = &self.credentials;
        let mut secrets = vec![api_key, api_secret];
        secrets.extend(session.login().map(|login| &login.access_token));
        scrub(text, &secrets)
    }
}

/// A text as one part of a path.
pub(super) fn path_part(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect()
}

/// The simulated broker's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerClock {
    /// Its time.
    pub now: Nanos,
    /// Its milliseconds in one of our seconds.
    pub speed_milli: u64,
    /// It takes an application of the user's own, and no other.
    pub own_application: bool,
}

/// Asks for the clock of a simulated broker; none where the broker has no such thing. Waits for the port to open.
async fn simulated_clock(
    transport: &dyn Transport,
    address: &Address,
    wait: Duration,
) -> Result<Option<BrokerClock>, KiteError> {
    const STEP: Duration = Duration::from_millis(100);
    let request = Request {
        method: Method::Get,
        target: Secret::new("/daybook/clock"),
        name: "GET /daybook/clock".to_owned(),
        authorization: None,
        form: None,
        limit: CALL_LIMIT,
    };
    let mut left = wait;
    loop {
        match transport.send(&request).await {
            Ok(answer) => return Ok(read_clock(&answer)),
            Err(source) if left.is_zero() => {
                return Err(KiteError::NobodyThere { url: address.url.clone(), source });
            }
            Err(_) => {
                tokio::time::sleep(STEP.min(left)).await;
                left = left.saturating_sub(STEP);
            }
        }
    }
}

/// `{"data":{"epoch_nanos":1749526200000000000,"speed":"120"}}`; a speed of `max` has no seconds of its own.
fn read_clock(answer: &Response) -> Option<BrokerClock> {
    #[derive(Deserialize)]
    struct Clock {
        epoch_nanos: i64,
        speed: String,
        #[serde(default)]
        own_application: bool,
    }
    if !(200..300).contains(&answer.code) {
        return None;
    }
    let envelope: Envelope<'_> = serde_json::from_slice(&answer.body).ok()?;
    let clock: Clock = serde_json::from_str(envelope.data?.get()).ok()?;
    let speed_milli = match clock.speed.as_str() {
        "max" => 1_000,
        times => u64::try_from(Units::of(times)?.0 / (Quantity::from_units(1).0 / 1_000)).ok()?,
    };
    Some(BrokerClock { now: Nanos(clock.epoch_nanos), speed_milli, own_application: clock.own_application })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_simulated_broker() {
        let answer = |body: &str| Response { code: 200, body: body.as_bytes().to_vec(), ..Response::default() };
        let read = |speed: &str| {
            let body =
                format!("{{\"status\":\"success\",\"data\":{{\"epoch_nanos\":5,\"speed\":\"{speed}\",\"x\":1}}}}");
            read_clock(&answer(&body)).map(|clock| (clock.now.0, clock.speed_milli))
        };
        assert_eq!(
            [read("120"), read("0.5"), read("max"), read("fast")],
            [Some((5, 120_000)), Some((5, 500)), Some((5, 1_000)), None]
        );
        assert_eq!(read_clock(&Response { code: 404, ..answer("{}") }), None);
        assert_eq!(read_clock(&answer("<html>")), None);
    }
}
