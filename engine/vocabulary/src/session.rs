//! What the driver tells the core of time: sessions that open and close, and the moments at which it may decide.
//!
//! - From history these follow from the calendar and are derived anew by every replay. A live session journals them in
//!   the order in which the core met them, so that its replay needs neither a clock nor a calendar.
//! - They are inputs: recorded, never compared.

use crate::time::{Date, Interval, Nanos};
use rkyv::{Archive, Deserialize, Serialize};

/// A trading session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct SessionOpened {
    /// Date in the exchange's zone.
    pub date: Date,
    /// First instant of trading.
    pub open: Nanos,
    /// End of the last continuous window.
    pub close: Nanos,
}

/// The trading session that was open has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct SessionClosed {
    /// Date in the exchange's zone.
    pub date: Date,
}

/// A decision point: the candles that close at the frame's time are in, or have been waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct SliceTaken {
    /// The interval whose candles close.
    pub interval: Interval,
    /// The moment they close at. The frame's own time is when the waiting ended.
    pub at: Nanos,
}
