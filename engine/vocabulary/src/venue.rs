//! What a simulated broker was asked to do: an entry of its book.
//!
//! - The text is the simulated broker's own, as JSON: it is a product of its own, and the engine never reads it.
//! - Inputs, not conclusions: played again at the same moments they make the same broker.

use rkyv::{Archive, Deserialize, Serialize};

/// An entry of a simulated broker's book; its frame's time is the virtual moment.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct VenueEntry {
    /// Which product wrote it, such as `kite`.
    pub venue: String,
    /// What was done.
    pub text: String,
}
