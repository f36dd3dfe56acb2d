//! The server at its port: connections in, answers out, time onwards.
//!
//! - Bounded: so many connections, so many bytes of a request, so many seconds for each. What is beyond that waits in the
//!   system's queue or is refused.
//! - A request that cannot be read is refused in the broker's envelope where HTTP lets it be.
//! - One task moves time on; requests let it catch up themselves, so an answer is never of the past.

use super::body::{Content, Lost};
use super::core::{Core, Speed};
use super::fault::{FaultKind, Faults};
use super::form::Fields;
use super::refusal::{Answer, Refusal};
use super::routes::{Reply, Request, answer, read_history};
use super::socket;
use crate::kite_wire::stamp;
use daybook_vocabulary::Nanos;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 1_024;
/// Requests of history that are read at a time.
const READERS_MAX: usize = 4;
/// Bytes of a request's line and headers that are looked at.
const HEADERS_MAX: usize = 16 * 1024;
/// Bytes of a request's line and headers that are read at all.
const BUFFER_MAX: usize = 64 * 1024;
/// Bytes of a body.
const BODY_MAX: usize = 1024 * 1024;
/// For the headers, and between two requests of a connection.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// For a body.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How often the task of time looks around at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A world in a hurry waits so long for a slow socket.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// A world in a hurry waits so long for somebody to listen.
const LISTENERS_WITHIN: Duration = Duration::from_secs(10);
/// And so long for them to say to what.
const LISTENERS_SETTLE: Duration = Duration::from_millis(100);

/// What all connections share.
pub struct Shared {
    core: Mutex<Core>,
    /// Where the login page sends people.
    redirect: String,
    /// Places for those who read history.
    readers: Semaphore,
}

impl Shared {
    /// A state, and the address that the login page redirects to.
    pub fn new(core: Core, redirect: String) -> Arc<Self> {
        Arc::new(Self { core: Mutex::new(core), redirect, readers: Semaphore::new(READERS_MAX) })
    }

    /// The state, for a moment.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let time = tokio::spawn(keep_time(shared.clone()));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        if time.is_finished() {
            return Err(io::Error::other("the task of time has ended; this is a fault of the server"));
        }
        let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, or a client that is gone already: the next one may fare better.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            connection(stream, shared).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, shared.clone()));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(BUFFER_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn respond(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Content>, Lost> {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let outcome = attend(request, &shared).await;
    let delay = shared.core().faults.delay();
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let response = match outcome? {
        Ok(response) => response,
        Err(refusal) => {
            tracing::debug!(method, path, code = refusal.code, reason = refusal.message, "refused");
            json(refusal.code, refusal.body())
        }
    };
    tracing::debug!(method, path, status = response.status().as_u16(), "answered");
    Ok(response)
}

type Attended = Result<Answer<Response<Content>>, Lost>;

async fn attend(request: hyper::Request<Incoming>, shared: &Arc<Shared>) -> Attended {
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes + request.uri().to_string().len() > HEADERS_MAX {
        return Ok(Err(Refusal::input(format!("The request's headers are too large; at most {HEADERS_MAX} bytes."))));
    }
    if request.headers().contains_key(UPGRADE) {
        shared.core().asked.note_socket();
        return Ok(socket::upgrade(request, shared));
    }
    let packed = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let packed = packed.is_some_and(|value| value.to_ascii_lowercase().contains("gzip"));
    let request = match read(request).await {
        Ok(request) => request,
        Err(refusal) => return Ok(Err(refusal)),
    };
    shared.core().asked.note(&request.method, request.path.first().map(String::as_str));
    let fate = Fate::before(&mut shared.core().faults, &request);
    let answered = match fate {
        Fate::LostBefore => Err(Refusal::general("nobody looks at it")),
        _ => answer(&mut shared.core(), &request),
    };
    let fate = match (&answered, fate) {
        (Ok(_), Fate::Answered) => Fate::after(&mut shared.core().faults, &request),
        _ => fate,
    };
    if fate != Fate::Answered {
        tracing::info!(?fate, "fault: a connection breaks, or an answer is another one");
    }
    let response = match (fate, answered) {
        (Fate::LostBefore | Fate::LostAfter, _) => return Err(Lost),
        (Fate::BadGateway, Ok(_)) => Err(Refusal::unreadable("The order system gave an answer that cannot be read.")),
        (_, Ok(reply)) => finish(reply, shared, packed).await,
        (_, Err(refusal)) => Err(refusal),
    };
    Ok(if fate == Fate::Cut { response.map(|response| response.map(Content::cut)) } else { response })
}

/// What becomes of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    LostBefore,
    LostAfter,
    BadGateway,
    Cut,
}

impl Fate {
    fn before(faults: &mut Faults, request: &Request) -> Self {
        let lost = request.is_order() && faults.strikes(FaultKind::LostRequest);
        if lost { Self::LostBefore } else { Self::Answered }
    }

    /// Of what was answered well: what was refused has nothing to lose.
    fn after(faults: &mut Faults, request: &Request) -> Self {
        let kinds: &[(FaultKind, Self)] = if request.is_order() {
            &[(FaultKind::LostAnswer, Self::LostAfter), (FaultKind::BadGateway, Self::BadGateway)]
        } else if request.is_page() {
            &[(FaultKind::LostPage, Self::LostAfter), (FaultKind::CutAnswer, Self::Cut)]
        } else {
            &[]
        };
        let struck: Vec<Self> = kinds.iter().filter(|(kind, _)| faults.strikes(*kind)).map(|(_, fate)| *fate).collect();
        struck.first().copied().unwrap_or(Self::Answered)
    }
}

async fn finish(reply: Reply, shared: &Shared, packed: bool) -> Answer<Response<Content>> {
    match reply {
        Reply::Json(text) => Ok(json(200, text)),
        // The list of instruments is long: whoever can unpack it gets it packed.
        Reply::Csv(text) if packed => {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            let bytes = packer.write_all(text.as_bytes()).and_then(|()| packer.finish());
            let bytes = bytes.map_err(|error| Refusal::general(format!("The list cannot be packed: {error}")))?;
            let mut response = typed(200, "text/csv", bytes);
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Ok(response)
        }
        Reply::Csv(text) => Ok(typed(200, "text/csv", text)),
        Reply::Redirect(query) => {
            let mark = if shared.redirect.contains('?') { '&' } else { '?' };
            let place = HeaderValue::from_str(&format!("{}{mark}{query}", shared.redirect))
                .map_err(|_| Refusal::general("The redirect address cannot be written into a header."))?;
            let mut response = json(302, String::from("{\"status\":\"success\",\"data\":null}"));
            response.headers_mut().insert(LOCATION, place);
            Ok(response)
        }
        Reply::History(market, query, oi) => {
            let _place = shared.readers.acquire().await;
            let read = tokio::task::spawn_blocking(move || read_history(market.as_ref(), query, oi)).await;
            read.map_err(|_| Refusal::general("History could not be read."))?.map(|text| json(200, text))
        }
    }
}

async fn read(request: hyper::Request<Incoming>) -> Answer<Request> {
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_WITHIN, Limited::new(body, BODY_MAX).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(_)) => return Err(Refusal::input(format!("The body cannot be read; at most {BODY_MAX} bytes."))),
        Err(_) => return Err(Refusal::input("The body took too long.")),
    };
    let path = head.uri.path().split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    Ok(Request {
        method: head.method.to_string(),
        path,
        query: Fields::parse(head.uri.query().unwrap_or_default())?,
        authorization: text(AUTHORIZATION),
        body,
    })
}

/// A JSON answer.
pub fn json(code: u16, text: String) -> Response<Content> {
    typed(code, "application/json", text)
}

fn typed(code: u16, kind: &'static str, body: impl Into<Bytes>) -> Response<Content> {
    let mut response = Response::new(Content::whole(body.into()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Moves time on for those who only listen.
async fn keep_time(shared: Arc<Shared>) {
    let speed = shared.core().clock.speed();
    if speed == Speed::Max {
        hurry(&shared).await;
        let mut core = shared.core();
        core.clock = super::core::Clock::new(core.world.now(), Speed::Times(1_000));
    }
    let mut syncs = tokio::time::interval(Duration::from_secs(1));
    syncs.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let wait = {
            let mut core = shared.core();
            core.catch_up();
            let now = core.world.now();
            core.hand_on();
            core.world.next_moment().map_or(LOOK_EVERY, |next| core.clock.until(next, now))
        };
        tokio::select! {
            () = tokio::time::sleep(wait.clamp(Duration::from_millis(1), LOOK_EVERY)) => {}
            _ = syncs.tick() => shared.core().sync(),
        }
    }
}

/// The day, as fast as those who listen take it. It begins when somebody listens, or when nobody has come for a while.
async fn hurry(shared: &Shared) {
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < LISTENERS_WITHIN && !shared.core().hub.is_wanted() {
        tokio::time::sleep(LISTENERS_SETTLE).await;
    }
    // Whoever listens may still be saying to what.
    tokio::time::sleep(LISTENERS_SETTLE).await;
    let end = {
        let core = shared.core();
        let now = core.world.now();
        let hours = core.world.hours().map(|hours| hours.post_close.map_or(hours.close(false), |span| span.until));
        hours.map_or(now, |end| end + 1).max(now)
    };
    let mut steps = 0_u32;
    loop {
        let (more, slow) = {
            let mut core = shared.core();
            let more = core.hurry(end);
            (more, core.hub.fullest())
        };
        if let Some(queue) = slow {
            // A place in the queue of the slowest; one that takes none for seconds is passed over.
            let waited = tokio::time::timeout(SLOW_AFTER, queue.reserve()).await;
            drop(waited);
            shared.core().hand_on();
        }
        if !more {
            break;
        }
        steps += 1;
        if steps.is_multiple_of(16) {
            tokio::task::yield_now().await;
        }
    }
    let mut core = shared.core();
    let last: Nanos = end;
    core.world.step(last);
    core.hand_on();
    core.sync();
    tracing::info!(time = stamp::stamp(core.world.now()), "the day is over; the clock goes on one for one");
}
