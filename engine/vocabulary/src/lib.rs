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

pub mod candle;
pub mod decimal;
pub mod event;
pub mod header;
pub mod instrument;
pub mod label;
pub mod order;
pub mod time;
pub mod units;

pub use candle::{Bar, Candle};
pub use event::{DecodeError, Event, Kind, Payload, PayloadBuffer};
pub use header::{
    Fetched, InputFilter, InputJournal, Parent, Quarantine, RunEnded, RunStarted, Series, SessionHeader, SessionMode,
};
pub use instrument::{Instrument, InstrumentId};
pub use label::Label;
pub use order::{
    Account, Alarm, Charges, Fill, OrderEvent, OrderId, OrderIntent, OrderState, OrderType, OrderUpdate, Side,
    StateDigest, TimeInForce, TradeClosed, Verdict,
};
pub use time::{Date, Interval, Nanos};
pub use units::{BasisPoints, Cause, Hash, Money, Price, Quantity};

#[cfg(not(target_endian = "little"))]
compile_error!("the journal's fixed layouts are little-endian and read in place");
