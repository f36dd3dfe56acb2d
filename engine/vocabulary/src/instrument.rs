//! Instruments: what is traded, by a dense number inside one journal.
//!
//! - An id means something only inside the journal that defined it; readers remap by (market, symbol).

use crate::units::{Price, Quantity};
use rkyv::{Archive, Deserialize, Serialize};

/// A dense number of an instrument in one journal: the `stream` of its frames.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Archive,
    Serialize,
    Deserialize,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct InstrumentId(pub u32);

impl InstrumentId {
    /// As an index into a vector.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An instrument, defined before the first frame that names it; the frame's stream is its id.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Instrument {
    /// The calendar and rules it trades under, such as `nse` or `generic`.
    pub market: String,
    /// The exchange's symbol, such as `RELIANCE`.
    pub symbol: String,
    /// Smallest price step; zero when unknown (then prices are not rounded).
    pub tick: Price,
    /// Smallest tradable quantity; orders are multiples of it.
    pub lot: Quantity,
}
