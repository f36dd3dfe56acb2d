//! What became of the wires: when a live session could hear its market, and when it could not.
//!
//! - A note for whoever reads the session: what follows for trading is a command of its own.
//! - It is written down and never told to the core: a replay steps over it.

use crate::order::words;
use crate::time::Nanos;
use rkyv::{Archive, Deserialize, Serialize};

words!(
    /// What became of a feed.
    FeedChange "kebab-case" {
        /// It is connected and subscribed.
        Connected = "connected",
        /// The connection was lost.
        Lost = "lost",
        /// More came than was taken: something was dropped.
        Overrun = "overrun",
        /// The broker's session is over.
        SessionOver = "session-over",
    }
);

/// A feed moved.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct FeedState {
    /// What became of it.
    pub change: FeedChange,
    /// Nothing, or not everything, is known of the time since then.
    pub gap_since: Option<Nanos>,
    /// Messages that were dropped since the session began.
    pub dropped: u64,
    /// Why, for people.
    pub reason: String,
}
