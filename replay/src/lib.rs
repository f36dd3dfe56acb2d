//! The driver loop, its sources and sinks.
//!
//! ```text
//! history.rs ─► driver.rs ─► session.rs (backtest: write)      catalog.rs: what journals hold
//!                  │    └──► audit.rs   (derive again, compare)    explain.rs: from an order back to its candles
//!                                                                compare.rs: two runs · fork.rs: one run, two ways
//!               core.step                                      backtest.rs: wire it together
//! ```
//!
//! - One loop serves backtest and audit; only where events come from and where results go differs.
//! - Memory does not grow with the length of a journal.
//! - Nothing here decides: decisions are the core's.

mod audit;
mod backtest;
mod catalog;
mod compare;
pub mod controls;
mod driver;
mod error;
mod explain;
pub mod feature_table;
pub mod fetch;
mod fork;
mod history;
pub mod ingest;
mod kite_book;
mod kite_market;
pub mod learned;
pub mod listed;
pub mod live;
pub mod memory;
mod plan;
mod recorded;
pub mod report;
mod rundir;
pub mod scores;
mod session;
pub mod status;
pub mod synthetic;
mod ticks;
mod told;
mod trial;
pub mod winner;

pub use audit::{AuditReport, Difference, audit};
pub use backtest::{BacktestOptions, BacktestOutcome, Prepared, backtest, like};
pub use catalog::{History, Selection, hex, select};
pub use compare::{Comparison, FillGap, Filled, Mismatch, RunTotals, Said, SettingDifference, Table, compare};
pub use driver::{Outcome, Position, Sink, Source, run};
pub use error::ReplayError;
pub use explain::{BarsSeen, Explanation, Part, RunFacts, SeenCandle, SeenEvent, Step, TradeOf, explain};
pub use fork::{ForkOptions, Forked, fork};
pub use history::{HistorySource, Range};
pub use kite_book::JournalBook;
pub use kite_market::KiteMarket;
pub use plan::{Plan, split};
pub use recorded::{Recorded, RecordedSource};
pub use rundir::{Conduct, conduct, conduct_prepared, recorded_inputs};
pub use session::{Progress, Saved, SessionSink, Snapshotting};
pub use trial::{Spoken, Trial, trial};
