//! The outside world: foreign files of candles, the broker, and lists that others publish.
//!
//! - What comes in from outside is untrusted: nothing here panics its caller, whatever the bytes.
//! - Nothing here knows the journal's order, a calendar or a strategy: rows and answers go out as the source wrote
//!   them, with the place they came from.
//! - Sockets, and the asynchronous runtime they need, are here and in the binary's wiring, nowhere else.
//! - No value is filled, padded or repaired; what cannot be read exactly is handed on as rejected, with a reason.

pub mod files;
pub mod index_list;
pub mod kite;
pub mod kite_server;
pub mod kite_wire;
