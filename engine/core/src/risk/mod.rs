//! Risk: what the account may do, judged order by order, fill by fill and slice by slice.
//!
//! ```text
//! limits.rs   what is configured, and the hours of a session
//! gate.rs     the one ordered list of checks: every intent passes it, the first hit refuses
//! exposure.rs those of its checks that look at the portfolio as a whole · portfolio.rs: what they are worked out from
//! state.rs    what the limits have to remember: exposures, tokens, the session's losses, locks
//! watch.rs    losses and hours looked at once a slice: a limit that trips is an event, and may leave every position
//! ```
//!
//! - What only reduces a position is never refused by a limit on entries, and never grows into an entry: what it would
//!   open is cancelled when it fills.
//! - A cap is checked twice, when an order is decided and when it fills: no order of events takes an account above it.
//! - Everything remembered is state: it is folded, hashed, saved, and survives a restart.

mod exposure;
pub(crate) mod gate;
mod limits;
mod portfolio;
mod state;

pub use exposure::Standing;
pub(crate) use exposure::standings;
pub use gate::CHECKS;
pub use limits::guard_price;
pub(crate) use limits::percent_up;
pub use limits::{RiskLimits, TradingHours};
pub(crate) use portfolio::Portfolio;
pub use portfolio::{Factor, PortfolioLimits};
pub use state::{Day, Lock, RiskState};
