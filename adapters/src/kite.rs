//! Kite Connect v3, the client side: what the broker sends is decoded, what it is asked for is asked politely.
//!
//! ```text
//! session ─► client ─► http      REST: login, instruments, history, the order book; retries and rate buckets
//!              │         └─────  transport: a seam, so that all of it is tried in virtual time
//!            placing             place, modify, cancel: never resent blindly
//! ticker ─► ticks, messages      WebSocket: binary packets and text, never a panic on any bytes
//! ```
//!
//! - No bytes of the broker's can panic: what cannot be read is a flaw with its reason, and the rest goes on.
//! - Prices are exact: paise and JSON digits become units of 1e-8 without a float on the way.
//! - Secrets show as `***` in every `Debug`, error and log.
//! - Must never: send an order twice, nor one whose intent is not on disk.

mod blocking;
pub mod buckets;
mod client;
mod error;
pub mod history;
pub mod http;
pub mod instruments;
pub mod messages;
pub mod orders;
pub mod pace;
mod placing;
pub mod secret;
pub mod session;
pub mod ticker;
pub mod ticks;
pub mod values;

pub use blocking::{BlockingKite, Streaming};
pub use client::{BACKOFF, BrokerClock, JITTER, Kite, LastPrices, Margins};
pub use error::{ErrorKind, KiteError, Refused};
pub use placing::{Change, OrderCommand};
pub use secret::{Secret, scrub, write_private};
