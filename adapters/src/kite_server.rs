//! A simulated broker that speaks Kite Connect v3: REST and WebSocket on one port, for anyone's client.
//!
//! ```text
//! serve ─ routes ─ socket        the port: HTTP and WebSocket, bounded in every way
//!    └──► core ─ limits ─ fault ─ hub ─ session      one state behind one lock; who asks, who listens
//!           ├──► command         what changes the world: kept in the server's book, played again after a restart
//!           └──► world ─ wanted ─ place ─ change ─ matching ─ account ─ gtt ─ board ─ calculators ─ view
//!                   └──► market  what it asks of a market: a trait, implemented over the engine's exchange
//! ```
//!
//! - The world is a function of its market, its setup and its commands; it reads no clock.
//! - Virtual time is everywhere: stamps, limits, tokens, triggers. Only sockets know the real one.
//! - Nothing a client sends can panic the server or make it grow without bound.
//! - Must never: bind anything but the loopback address, or know a real account.

mod account;
mod board;
mod body;
mod calculators;
mod change;
mod command;
mod core;
mod fault;
mod form;
mod gtt;
mod hub;
mod limits;
mod market;
mod matching;
mod orders;
mod place;
mod postback;
mod refusal;
mod routes;
mod serve;
mod session;
mod socket;
mod view;
mod wanted;
mod world;

pub use board::Dice;
pub use command::{BookStore, Command, Entry, NoBook, play};
pub use core::{Asked, Clock, Core, Speed};
pub use fault::{Fault, FaultKind, Faults};
pub use form::Fields;
pub use hub::Hub;
pub use market::{
    ChargeQuery, DayListing, DayTape, HistoryBar, HistoryQuery, Hours, Listed, Market, MarketError, MarketTick,
    Resting, Span,
};
pub use postback::Address as PostbackAddress;
pub use refusal::{Answer, Refusal};
pub use serve::{Shared, serve};
pub use session::request_life;
pub use world::{Outbox, Phase, Setup, Update, World};

/// The application that everybody knows, where nobody gave another one.
pub const SIMULATED_KEY: &str = "sim_api_key";
/// Its secret, which is none.
pub const SIMULATED_SECRET: &str = "sim_api_secret";

use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Why a server did not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Somebody else has the port.
    #[error("port {port} is in use: another server may run already; choose another one with --port")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The port cannot be had for another reason.
    #[error("port {port} of 127.0.0.1 cannot be opened: {source}")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The book cannot be used.
    #[error("{0}")]
    Book(String),
    /// The system refused.
    #[error("the server cannot go on: {0}")]
    System(#[from] std::io::Error),
}

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The port of 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// How fast virtual time goes.
    pub speed: Speed,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What draws faults; `None` where they are counted.
    pub fault_seed: Option<u64>,
    /// Where the login page redirects; the server's own page when not given.
    pub redirect: Option<String>,
    /// Where postbacks go.
    pub postback: Option<PostbackAddress>,
    /// False where nobody counts requests.
    pub limited: bool,
}

/// A port of 127.0.0.1 that was opened.
#[derive(Debug)]
pub struct Port(std::net::TcpListener);

impl Port {
    /// Opens a port; 0 for any that is free.
    pub fn open(port: u16) -> Result<Self, ServerError> {
        let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        match listener {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Self(listener))
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(ServerError::PortInUse { port }),
            Err(source) => Err(ServerError::Port { port, source }),
        }
    }

    /// Which one.
    pub fn number(&self) -> u16 {
        self.0.local_addr().map_or(0, |address| address.port())
    }
}

/// Plays the book into the world; whether there was one. After that the world stands where the server goes on.
pub fn resume(world: &mut World, store: &mut dyn BookStore) -> Result<bool, ServerError> {
    play(world, store).map_err(ServerError::Book)
}

/// Serves a world until the process ends. It builds its own runtime and keeps the calling thread.
pub fn run(port: Port, world: World, store: Box<dyn BookStore>, options: ServeOptions) -> Result<(), ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async move {
        let number = port.number();
        let listener = TcpListener::from_std(port.0)?;
        let postback = options.postback.map(|address| {
            let (sender, receiver) = mpsc::channel(postback::QUEUE);
            tokio::spawn(postback::send_all(address, receiver));
            sender
        });
        let clock = Clock::new(world.now(), options.speed);
        let mut core =
            Core::new(world, clock, Faults::new(options.faults, options.fault_seed), Hub::new(postback), store);
        core.limited = options.limited;
        let redirect = options.redirect.unwrap_or_else(|| format!("http://127.0.0.1:{number}/connect/done"));
        serve(listener, Shared::new(core, redirect)).await.map_err(ServerError::from)
    })
}
