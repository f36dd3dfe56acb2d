//! Exits: when and where an open trade is left. A small algebra of rules that strategies and the policy runner share.
//!
//! ```text
//! levels.rs   where a stop lies: fixed, by the range, decaying, trailing in R, by the regime
//! rules.rs    rules and their algebra: first-of, all-of, scaled; what they say of a trade at a decision
//! range.rs    the average true range, in whole numbers
//! ```
//!
//! - A rule is configuration and remembers nothing: what it says follows from the trade as it stands. What must be
//!   remembered (the tightest stop so far) is a [`Stop`], which is only ever tightened.
//! - Tightest means nearest to the price on the losing side: the highest stop of a long, the lowest of a short.
//! - What is missing (no range yet, no label) is never a number: a rule without its input says nothing, and a stop that
//!   cannot be worked out keeps an entry from happening.
//! - Everything is exact: prices in integers, percentages and multiples rounded once, away from the entry.

mod levels;
mod range;
mod rules;

pub(crate) use levels::percent_from;
pub use levels::{Percent, Stop, away_from_entry, initial_stop, tightest, trail_in_r};
pub use range::AverageRange;
pub use rules::{Exit, Held, Leave, Level};
