//! The client for threads that wait: the same calls, without a runtime in sight of the caller.
//!
//! - The runtime is its own: one thread for the wires, whoever calls.
//! - Several threads may call at once; each waits for its own answer, and all share the rate buckets.
//! - Must never: be called from inside a runtime; it would wait for itself.

use super::client::{BrokerClock, Kite};
use super::error::KiteError;
use super::history::Page;
use super::secret::Secret;
use super::session::{Credentials, Login, Session, SessionEvent};
use super::ticks::Token;
use daybook_vocabulary::{Interval, Nanos};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

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

    /// A page of candles.
    pub fn history(&self, token: Token, interval: Interval, from: Nanos, to: Nanos) -> Result<Page, KiteError> {
        self.runtime.block_on(self.kite.history(token, interval, from, to))
    }

    /// The simulated broker's clock; none where the broker has none.
    pub fn broker_clock(&self) -> Result<Option<BrokerClock>, KiteError> {
        self.runtime.block_on(self.kite.broker_clock())
    }
}
