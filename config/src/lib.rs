//! Typed settings and dated reference data.
//!
//! Facts about the world that change over time (trading hours, holidays, fees) are dated entries in files under
//! `data/`, compiled in; what a person may choose is a setting with a type, a default and a known origin.
//!
//! - Nothing here reads a clock; a question about reference data always names its date.
//! - Rates and amounts are integers; no float touches money.
//! - Every table and every set of resolved settings has a hash, which goes into the header of a run.
//! - A date before the first entry of a table, an unknown key, a wrong value: an error that says what to do, never a
//!   silent default.

pub mod calendar;
mod calendar_file;
mod commission;
mod contradictions;
mod error;
mod exchange;
pub mod exposures;
pub mod fees;
pub mod learn;
mod nearest;
mod profile;
mod rewrite;
pub mod settings;
pub mod slippage;
mod sources;
pub mod ticks;
mod time_of_day;
pub mod universe;
mod value;

pub use calendar::{Calendar, Day, Session, Window};
pub use commission::Commission;
pub use error::ConfigError;
pub use exchange::{
    BpsRange, BuyingPower, BySymbol, ExitsFrom, FillBar, LimitFill, Liquidity, MarketPrice, Missing, OffTick, Product,
    ProtectiveStop, Rebalance, Reconcile, Sequence, StopBasis, StopFill, Symbols, TradingTime, TrailFrom, TrailTiming,
    Venue, WrongSide,
};
pub use exposures::{Loadings, Sector, Span};
pub use fees::{FeeInput, FeeSchedule, Rates};
pub use nearest::{nearest, nearest_first};
pub use profile::Profile;
pub use rewrite::set_in_file;
pub use settings::{Key, Origin, Resolved, Row, ScheduleName, Settings};
pub use slippage::{AssetClass, SlippageModel};
pub use sources::Sources;
pub use ticks::TickTable;
pub use time_of_day::TimeOfDay;
pub use universe::{Renamed, Universe};
