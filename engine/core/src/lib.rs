//! The pure core: a fold over inputs that yields outputs.
//!
//! ```text
//! Input ──► Core::step ──► Outbox            input.rs: what it is told · outbox.rs: what it concludes
//!             │
//!             ├─ engine.rs       setup, state, sessions, slices · engine/desk.rs: orders judged, worked, booked
//!             │                  engine/exits.rs: stops and targets of what a fill opened
//!             │                  engine/ticks.rs: fills against quotes and books
//!             │                  engine/venue.rs: what exchange and broker do beside filling · rules.rs: their rules
//!             │                  engine/keeper.rs: a stop for every position, exits that never turn one
//!             │                  engine/broker.rs: what a networked broker says · engine/books.rs: its books beside ours
//!             │                  engine/changes.rs: orders modified, tightened, ended · terms.rs: what an order may say
//!             ├─ exchange.rs     where inside a candle a working order trades · slippage/: how far from there it fills
//!             ├─ transitions.rs  the one table of an order's life
//!             ├─ position.rs     cost basis and round trips · ledger.rs: cash, reserves, the identities
//!             ├─ risk/           the verdict on every intent, and the limits that lock an account
//!             ├─ bars.rs         bars of a higher timeframe
//!             ├─ exits/          when a trade is left: stops, and the algebra of rules
//!             ├─ strategy/       what decides · sizing.rs: how much an entry is for
//!             └─ policy/         a policy's word made into trades by the decision rules a to g
//! ```
//!
//! - It does no I/O, reads no clock, spawns nothing, draws no randomness, holds no float money.
//! - It iterates no unordered container; the path of a candle hashes nothing and allocates nothing.
//! - The same setup and inputs give the same outputs, from the start or from any snapshot.

mod bars;
mod engine;
mod exchange;
pub mod exits;
mod feature_session;
mod funds;
mod input;
mod ledger;
mod orders;
mod outbox;
pub mod policy;
mod position;
mod pricing;
pub mod risk;
mod rules;
pub mod sizing;
pub mod slippage;
pub mod strategy;
pub mod targets;
mod terms;
mod transitions;

pub use bars::{Building, Span, span};
pub use engine::{Core, CoreError, Counts, DIGEST_EVERY, Setup};
pub use exchange::{Phase, trade_price};
pub use feature_session::feature_session;
pub use input::{Body, Input, SessionHours, Slice};
pub use ledger::{Book, Day, Holdings, Ledger};
pub use orders::{Bracket, KEPT, Level, Order, OrderChange, OrderRequest, Request, Requests, Trigger};
pub use outbox::{Conclusion, NO_STREAM, Outbox, Output};
pub use position::{Applied, OpenTrade, Position, average};
pub use rules::{ExchangeRules, SquareOff};
pub use transitions::{Move, after, is_final, transition};
