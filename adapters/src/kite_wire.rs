//! Kite Connect v3 on the wire: what both ends of it write and read.
//!
//! ```text
//! number ─ exact decimals as JSON numbers       stamp ─ times as the broker writes them (IST)
//! words  ─ products, order types, statuses      sign  ─ checksums of the login and of postbacks
//! orders, portfolio, market ─ rows of answers   packet ─ binary ticks, the encoding side
//! ```
//!
//! - A price never becomes a float on its way: JSON digits become units of 1e-8 and back.
//! - A word nobody knows is kept as it came; nothing here refuses an unknown status or product.
//! - Must never: read a clock or open a socket.

pub mod market;
pub mod number;
pub mod orders;
pub mod packet;
pub mod portfolio;
pub mod sign;
pub mod stamp;
pub mod words;

pub use market::{DepthRow, DepthRows, InstrumentRow, LtpRow, OhlcRow, OhlcRows, QuoteRow};
pub use number::Decimal;
pub use orders::{IcebergMeta, OrderMeta, OrderRow, TradeRow};
pub use packet::{Mode, Snapshot};
pub use portfolio::{HoldingRow, MarginSegment, Margins, PositionRow, Positions, ProfileRow, SessionRow};
pub use words::{ErrorType, OrderType, Product, Status, Transaction, Validity, Variety};
