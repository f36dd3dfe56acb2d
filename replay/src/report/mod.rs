//! Reports: what a finished session says of itself, in files for people and for tools.
//!
//! - Everything comes from one pass over the session's journal; memory does not grow with the number of fills.
//! - `summary.json`, the tables and the page are derived: dropped and made again at any time, never a source of truth.
//! - The same session gives the same bytes, but for `wall_seconds` and `events_per_second` of the summary.
//! - Reads no clock and no network; the page needs neither.

mod chart;
mod contract;
mod export;
mod export_broker;
mod export_risk;
mod fold;
mod format;
pub mod manifest;
mod measures;
mod page;
mod picture;
mod series;
pub mod statistics;
pub mod summary;
mod tables;
mod warnings;

pub use export::Export;
pub use manifest::{Manifest, ManifestFault};
pub use summary::Summary;

use daybook_features::columns::{ColumnError, HashedFile, Written};
use daybook_vocabulary::{Candle, Event, Hash, InstrumentId, Money, Nanos, SessionHeader};
use std::path::Path;
use thiserror::Error;

/// A frame of the session's journal.
#[derive(Debug, Clone, Copy)]
pub struct EventAt<'a> {
    /// Its sequence number.
    pub seq: u64,
    /// When the engine learned it.
    pub time: Nanos,
    /// The instrument's number in the session's journal, where it concerns one.
    pub stream: u32,
    /// What happened.
    pub event: &'a Event,
}

/// The session's journal, read once, in order.
pub trait SessionEvents {
    /// Calls `take` for each frame. Ends with the first error of either side; a reader's own failure becomes
    /// [`ReportError::Journal`].
    fn for_each(&mut self, take: &mut dyn FnMut(EventAt<'_>) -> Result<(), ReportError>) -> Result<(), ReportError>;
}

/// The candles behind the trades, for the chart.
pub trait CandleSource {
    /// Calls `take` for each candle of `instrument` (its number in the session's journal) that the session read and
    /// whose open time lies in `from..=to`, in order of time.
    fn candles(
        &mut self,
        instrument: InstrumentId,
        from: Nanos,
        to: Nanos,
        take: &mut dyn FnMut(&Candle),
    ) -> Result<(), ReportError>;
}

/// What the driver knows of a run and its journal does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// Inputs the core stepped through.
    pub events: u64,
    /// Candles delivered.
    pub bars: u64,
    /// Candles during which their instrument was held.
    pub bars_in_market: u64,
    /// How long it took.
    pub wall_seconds: f64,
    /// `events` ÷ `wall_seconds`.
    pub events_per_second: f64,
    /// Hash of the core's state at the end.
    pub state_digest: Hash,
    /// Content hash of the session's journal.
    pub journal_head: Hash,
    /// Cash at the start.
    pub initial_cash: Money,
    /// 252 for an exchange, 365 for a market that never closes.
    pub sessions_per_year: u32,
    /// The exchange's zone, east of UTC: what people read on the page.
    pub zone_offset_ns: i64,
    /// Its name, such as `IST`.
    pub zone: String,
    /// True when a session lay before the calendar's first date.
    pub calendar_unknown: bool,
    /// Further warnings, as sentences.
    pub warnings: Vec<String>,
}

/// What the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportOptions {
    /// Candle charts: of the most traded symbols.
    pub chart_symbols: usize,
    /// Trades on each: the last ones.
    pub chart_trades: usize,
    /// Write `contract_notes` as well.
    pub contract_notes: bool,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self { chart_symbols: 2, chart_trades: 20, contract_notes: false }
    }
}

/// A report that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What `summary.json` says.
    pub summary: Summary,
    /// Every file with its blake3 and size.
    pub files: Vec<Written>,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A table or another file was not written.
    #[error(transparent)]
    File(#[from] ColumnError),
    /// The journal was not read.
    #[error("{reason}")]
    Journal {
        /// What the reader said, with file, seq and what to do.
        reason: String,
    },
    /// An event names an instrument that no frame before it defines.
    #[error(
        "seq {seq}: a {kind} event names instrument {stream}, which no earlier frame defines; `daybook verify` tells whether the journal is damaged"
    )]
    UnknownInstrument {
        /// The frame.
        seq: u64,
        /// Its kind.
        kind: daybook_vocabulary::Kind,
        /// The number.
        stream: u32,
    },
    /// A total does not fit 128 bits.
    #[error("seq {seq}: the total of {what} no longer fits; amounts this large are a fault of the session's inputs")]
    Overflow {
        /// The frame.
        seq: u64,
        /// Which total.
        what: &'static str,
    },
}

/// Writes `summary.json`, the four tables (CSV and Parquet) and `report.html` into `folder`, which exists. Each file
/// appears under its name when it is whole; a failure leaves the files of an earlier report as they were, or some of
/// them replaced.
pub fn write(
    folder: &Path,
    header: &SessionHeader,
    facts: &RunFacts,
    events: &mut dyn SessionEvents,
    candles: Option<&mut dyn CandleSource>,
    options: ReportOptions,
) -> Result<Report, ReportError> {
    let mut fold = fold::Fold::new(tables::Tables::create(folder)?, facts, options);
    if options.contract_notes {
        fold.with_notes(contract::ContractNotes::create(folder)?);
    }
    events.for_each(&mut |event| fold.take(event))?;
    let (findings, mut files) = fold.finish()?;
    let summary = findings.summary(header, facts);
    let charts = chart::collect(&findings, candles, options)?;
    let page = page::render(&page::Material { header, facts, findings: &findings, summary: &summary, charts: &charts });
    files.push(HashedFile::write_whole(&folder.join("summary.json"), summary.to_json().as_bytes())?);
    files.push(HashedFile::write_whole(&folder.join("report.html"), page.as_bytes())?);
    Ok(Report { summary, files })
}

#[cfg(test)]
mod tests;
