//! The client for threads that wait: the same calls, without a runtime in sight of the caller.
//!
//! - The runtime is its own: one thread for the wires, whoever calls.
//! - Several threads may call at once; each waits for its own answer, and all share the rate buckets.
//! - Must never: be called from inside a runtime; it would wait for itself.

use super::client::{Kite, LastPrices, Margins};
use super::error::KiteError;
use super::history::Page;
use super::instruments::Instruments;
use super::orders::{OrderRow, Outcome, PositionRow, TradeRow};
use super::placing::OrderCommand;
use super::secret::Secret;
use super::session::{Credentials, Login, Session, SessionEvent};
use super::ticker::{self, FeedEvent, FeedLimits, Subscriptions};
use super::ticks::Token;
use super::values::BadRow;
use daybook_journal::Durable;
use daybook_vocabulary::{Interval, Nanos};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two looks at a clock that is followed.
const CLOCK_EVERY: Duration = Duration::from_secs(2);

/// A client with a runtime of its own.
pub struct BlockingKite {
    kite: Arc<Kite>,
    runtime: Runtime,
}

impl BlockingKite {
    /// Connects; a port of this machine may take `wait` to open.
    pub fn connect(url: &str, credentials: Credentials, wait: Duration) -> Result<Self, KiteError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("kite").enable_all().build();
        let runtime = runtime.map_err(|source| KiteError::File { path: "the runtime of the wires".into(), source })?;
        let kite = Arc::new(runtime.block_on(Kite::connect(url, credentials, wait))?);
        Ok(Self { kite, runtime })
    }

    /// The client itself.
    pub fn kite(&self) -> &Kite {
        &self.kite
    }

    /// The broker's time.
    pub fn now(&self) -> Nanos {
        self.kite.now()
    }

    /// Takes up a login of before, if the broker still takes it; false where it does not.
    pub fn resume(&self, login: Login) -> Result<bool, KiteError> {
        if !login.is_valid_at(self.now()) {
            return Ok(false);
        }
        self.kite.tell(SessionEvent::LoggedIn(login));
        match self.runtime.block_on(self.kite.profile()) {
            Ok(_) => Ok(true),
            Err(KiteError::SessionOver { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Logs in to the simulated broker of this machine; elsewhere an error that names the login page.
    pub fn login_by_itself(&self) -> Result<Login, KiteError> {
        self.runtime.block_on(self.kite.login_by_itself())
    }

    /// Logs in with what the login page gave a person.
    pub fn login(&self, request_token: &Secret) -> Result<Login, KiteError> {
        self.runtime.block_on(self.kite.login(request_token))
    }

    /// The session, as it stands now.
    pub fn session(&self) -> Session {
        self.kite.session()
    }

    /// The day's list of instruments of an exchange, as text.
    pub fn instruments_text(&self, exchange: &str) -> Result<String, KiteError> {
        self.runtime.block_on(self.kite.instruments_text(Some(exchange)))
    }

    /// Last prices of `EXCHANGE:SYMBOL`s; what the broker does not know is not in the answer.
    pub fn last_prices(&self, names: &[String]) -> Result<LastPrices, KiteError> {
        self.runtime.block_on(self.kite.last_prices(names))
    }

    /// The money of the equity segment.
    pub fn margins(&self) -> Result<Margins, KiteError> {
        self.runtime.block_on(self.kite.margins())
    }

    /// A page of candles.
    pub fn history(&self, token: Token, interval: Interval, from: Nanos, to: Nanos) -> Result<Page, KiteError> {
        self.runtime.block_on(self.kite.history(token, interval, from, to))
    }

    /// The day's list of all instruments of an exchange.
    pub fn instruments(&self, exchange: &str) -> Result<Instruments, KiteError> {
        self.runtime.block_on(self.kite.instruments(Some(exchange)))
    }

    /// Does what is on disk, once: places, changes or cancels an order.
    pub fn send(&self, command: Durable<OrderCommand>) -> Outcome {
        self.runtime.block_on(self.kite.send(command))
    }

    /// The day's orders, and rows that could not be read.
    pub fn orders(&self) -> Result<(Vec<OrderRow>, Vec<BadRow>), KiteError> {
        self.runtime.block_on(self.kite.orders())
    }

    /// The day's trades, and rows that could not be read.
    pub fn trades(&self) -> Result<(Vec<TradeRow>, Vec<BadRow>), KiteError> {
        self.runtime.block_on(self.kite.trades())
    }

    /// What is held, and rows that could not be read.
    pub fn positions(&self) -> Result<(Vec<PositionRow>, Vec<BadRow>), KiteError> {
        self.runtime.block_on(self.kite.positions())
    }

    /// Streams what is wanted until the listener answers false or what this returns is dropped. The listener is called
    /// on the thread of the wires: it must not wait.
    pub fn stream(
        &self,
        wanted: Subscriptions,
        limits: FeedLimits,
        listener: impl FnMut(FeedEvent) -> bool + Send + 'static,
    ) -> Result<Streaming, KiteError> {
        let parts = ticker::divide(&wanted).map_err(|reason| KiteError::Feed { reason })?;
        // One listener hears all connections, one at a time.
        let listener = Arc::new(Mutex::new(listener));
        let mut streaming = Streaming { tasks: Vec::new(), wanted: Vec::new() };
        for part in parts {
            let (sender, receiver) = watch::channel(part);
            let (kite, listener) = (self.kite.clone(), listener.clone());
            streaming.wanted.push(sender);
            streaming.tasks.push(self.runtime.spawn(async move {
                let listen = |event| {
                    let mut listener = listener.lock().unwrap_or_else(PoisonError::into_inner);
                    (*listener)(event)
                };
                ticker::run(&kite, limits, receiver, listen).await;
            }));
        }
        let kite = self.kite.clone();
        // A clock that is followed is looked at again and again: the broker may have stood still.
        streaming.tasks.push(self.runtime.spawn(async move {
            while !matches!(kite.follow_clock().await, Ok(None)) {
                tokio::time::sleep(CLOCK_EVERY).await;
            }
        }));
        Ok(streaming)
    }

    /// Calls back for each SIGINT (`sigint`) and SIGTERM (`sigterm`), which then no longer end the process.
    pub fn on_signal(&self, mut heard: impl FnMut(&'static str) + Send + 'static) -> Result<(), KiteError> {
        use tokio::signal::unix::{SignalKind, signal};
        let _inside = self.runtime.enter();
        let listen = |kind| signal(kind).map_err(|source| KiteError::File { path: "signals".into(), source });
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        self.runtime.spawn(async move {
            loop {
                let source = tokio::select! {
                    _ = interrupt.recv() => "sigint",
                    _ = terminate.recv() => "sigterm",
                };
                heard(source);
            }
        });
        Ok(())
    }
}

/// A stream that goes until this is dropped.
pub struct Streaming {
    tasks: Vec<JoinHandle<()>>,
    /// Kept: without its sender a receiver only knows what was wanted last.
    wanted: Vec<watch::Sender<Subscriptions>>,
}

impl Streaming {
    /// Connections.
    pub const fn connections(&self) -> usize {
        self.wanted.len()
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
