//! The outside world: foreign files of candles; later brokers and feeds.
//!
//! - What comes in from outside is untrusted: nothing here panics its caller, whatever the bytes.
//! - Nothing here knows the journal's order, a calendar or a strategy: rows go out as the source wrote them, with
//!   the line they came from.
//! - No value is filled, padded or repaired; what cannot be read exactly is handed on as rejected, with a reason.

pub mod files;
pub mod kite_wire;
