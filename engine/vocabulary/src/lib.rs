//! The words of the engine: units, identifiers and events.
//!
//! Every crate of Daybook speaks in these types. A price is not a quantity, a time is not a duration, and an
//! event on disk is one payload struct per (kind, schema).
//!
//! - Nothing here does I/O, reads a clock or holds a float: [`decimal::from_f64`] is the one named door through
//!   which a float of the outside world becomes an exact number.
//! - Prices and quantities are `i64` in units of 1e-8, money is `i128` in units of 1e-8, times are `i64`
//!   nanoseconds UTC.
//! - Kind and schema numbers are never reused: a struct that changes gets a new schema, the old one stays.
//!
//! ```
//! use daybook_vocabulary::{Money, Price, Quantity};
//!
//! let price: Price = "1627.05".parse().unwrap();
//! let ten_shares = Quantity::from_units(10);
//! assert_eq!(price.times(ten_shares), "16270.5".parse::<Money>().unwrap());
//! ```

pub mod broker;
pub mod candle;
pub mod change;
pub mod decimal;
pub mod decision;
pub mod event;
mod feed;
pub mod header;
pub mod instrument;
pub mod label;
pub mod learning;
pub mod market;
pub mod order;
pub mod risk;
pub mod session;
mod sparse;
pub mod time;
pub mod trade;
pub mod trail;
pub mod units;
pub mod venue;

pub use broker::{
    Answered, BookDifference, BooksReconciled, BrokerAnswer, BrokerBook, BrokerFill, BrokerOrder, BrokerPosition,
    BrokerRequest, BrokerStatus, ClockJumped, DifferenceKind, OpenAtBroker, Remedy, TakenUp,
};
pub use candle::{Bar, Candle};
pub use change::{OrderModified, RequestKind, RequestRefused, StopTightened};
pub use decision::{Action, Decision, ModelNumber, Ruling};
pub use event::{DecodeError, Event, Kind, Payload, PayloadBuffer};
pub use feed::{FeedChange, FeedState};
pub use header::{
    Fetched, InputFilter, InputJournal, Parent, Quarantine, RunEnded, RunStarted, Series, SessionHeader, SessionMode,
};
pub use instrument::{Instrument, InstrumentId};
pub use label::Label;
pub use learning::{CheckpointWritten, Evaluation, Promotion, TrainingStarted, TrainingStep};
pub use market::{BookLevel, Depth, Quote, TradePrint};
pub use order::{
    Account, Alarm, Charges, Fill, OrderEvent, OrderId, OrderIntent, OrderState, OrderType, OrderUpdate, Side,
    StateDigest, TimeInForce, Verdict,
};
pub use risk::{Command, LimitChange, LimitKind, LimitMoved, OperatorCommand, RiskVerdict};
pub use session::{SessionClosed, SessionOpened, SliceTaken};
pub use time::{Date, Interval, Nanos};
pub use trade::{RulesFollowed, TradeClosed, TradeMeasures};
pub use trail::Trail;
pub use units::{BasisPoints, Cause, Hash, Measure, Money, Price, Quantity, Ratio};
pub use venue::VenueEntry;

#[cfg(not(target_endian = "little"))]
compile_error!("the journal's fixed layouts are little-endian and read in place");
