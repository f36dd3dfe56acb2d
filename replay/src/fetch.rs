//! Fetch: a broker's history into a journal of history, incrementally.
//!
//! 1. *Plan*: what the journal does not hold yet, by symbol, cut into pages. Nothing missing: nothing is asked.
//! 2. *Pages*: each is kept in the journal's cache as soon as it is whole, under a name that holds its hash.
//! 3. *Ingest*: the pages become one run of the journal, by the very code that ingests files: the same placing,
//!    quarantine, order and end. Its last frames say which ranges were asked for.
//!
//! - *Crash at any moment.* Before the run begins the journal is untouched and whole pages are in the cache: the same
//!   command asks for the others only. While the run is written, the next try writes the same frames again, compares
//!   and appends the rest. After its last frame the plan is empty. So the content is that of one clean run.
//! - A range counts as fetched when a finished run says so, whether or not anybody traded in it.
//! - A candle still being formed is left to the next fetch. Nothing is filled.
//! - A symbol that the broker does not list is refused before anything is asked for it.

mod coverage;
mod pages;
mod plan;

pub use coverage::{Coverage, SessionCoverage, Status};

use crate::ingest::known::Known;
use crate::ingest::{self, IngestError, IngestOptions, IngestReport, Phase, Progress};
use daybook_adapters::kite::history::{Page, interval_word};
use daybook_adapters::kite::instruments::{Alias, Instruments, Listed};
use daybook_adapters::kite::{BlockingKite, KiteError, ticks::Token};
use daybook_config::Calendar;
use daybook_journal::{JournalError, Writer};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{Date, Fetched, Interval, Nanos};
use pages::{Downloaded, Pages};
use plan::{Job, Plan};
use serde::Serialize;
use std::fs;
use std::path::PathBuf;
use thiserror::Error;

/// A candle is asked for once its close is this far past: a broker corrects the last one for a moment.
const SETTLES_IN: i64 = 5 * SECOND;
/// The exchange whose list is asked for.
const EXCHANGE: &str = "NSE";
/// Threads that ask at the same time.
pub const WORKERS_MAX: u32 = 16;

/// A command.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Directory of the journal; made when it is not there.
    pub journal: PathBuf,
    /// The market and its sessions.
    pub calendar: Calendar,
    /// The symbols, in any order.
    pub symbols: Vec<String>,
    /// Old symbols and the ones that followed them.
    pub aliases: Vec<Alias>,
    /// Interval of the candles.
    pub interval: Interval,
    /// First date, inclusive, in the exchange's zone.
    pub from: Date,
    /// Last date, inclusive. None: today, by the broker's clock.
    pub to: Option<Date>,
    /// Threads that ask at the same time.
    pub workers: u32,
    /// File of the key that seals the journal at the end. None: not sealed.
    pub seal_key: Option<PathBuf>,
    /// Layout of the journal's segments.
    pub segments: daybook_journal::Options,
    /// Frames between two commits.
    pub batch_frames: u64,
}

/// Who is asked.
pub trait HistorySource: Sync {
    /// The broker's time.
    fn now(&self) -> Nanos;
    /// Makes sure that there is a session. Called when there is something to ask, and once more where the session ends
    /// underway.
    fn log_in(&self) -> Result<(), KiteError>;
    /// The day's list of instruments, as text.
    fn instruments(&self, exchange: &str) -> Result<String, KiteError>;
    /// Candles that opened from one instant to another, both inclusive.
    fn page(&self, token: Token, interval: Interval, from: Nanos, to: Nanos) -> Result<Page, KiteError>;
}

/// A client of the broker with what it needs to log in.
pub struct KiteSource<L> {
    /// The client.
    pub kite: BlockingKite,
    /// Makes sure that there is a session.
    pub log_in: L,
}

impl<L: Fn(&BlockingKite) -> Result<(), KiteError> + Sync> HistorySource for KiteSource<L> {
    fn now(&self) -> Nanos {
        self.kite.now()
    }
    fn log_in(&self) -> Result<(), KiteError> {
        (self.log_in)(&self.kite)
    }
    fn instruments(&self, exchange: &str) -> Result<String, KiteError> {
        self.kite.instruments_text(exchange)
    }
    fn page(&self, token: Token, interval: Interval, from: Nanos, to: Nanos) -> Result<Page, KiteError> {
        self.kite.history(token, interval, from, to)
    }
}

/// Why a fetch failed. What was fetched before is kept by every one of them.
#[derive(Debug, Error)]
pub enum FetchError {
    /// A setting that cannot be.
    #[error("{0}")]
    BadOption(String),
    /// The broker.
    #[error(transparent)]
    Kite(#[from] KiteError),
    /// The journal, or the run that is written to it.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// Symbols that the broker does not list.
    #[error("the broker lists no {}", .0.join("; no "))]
    UnknownSymbols(Vec<String>),
    /// The list of instruments cannot be read.
    #[error("{0}; the same command asks for it again")]
    Instruments(String),
    /// A page could not be kept.
    #[error("cannot keep a page in {}: {source}; free some disk space and run the same command again", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The listener asked to stop.
    #[error("interrupted; the same command goes on where it stopped")]
    Interrupted,
}

impl From<JournalError> for FetchError {
    fn from(error: JournalError) -> Self {
        Self::Ingest(IngestError::Journal(error))
    }
}

/// What became of one symbol that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The symbol.
    pub symbol: String,
    /// What the broker said.
    pub reason: String,
}

/// What a fetch did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FetchReport {
    /// Pages asked for by this command.
    pub requests: u64,
    /// Pages that an interrupted command had left.
    pub resumed_pages: u64,
    /// True when nothing was missing: the broker was not asked for history at all.
    pub complete_before: bool,
    /// Milliseconds that asking took, by the broker's clock: a simulated one's may be virtual.
    pub broker_ms: u64,
    /// Symbols that could not be had.
    pub failed: Vec<Failed>,
    /// What was written; none where nothing was.
    pub ingest: Option<IngestReport>,
    /// What the journal now holds of what was asked for, session by session.
    pub coverage: Vec<Coverage>,
    /// Frames in the journal now.
    pub frames: u64,
    /// Content hash of the journal now.
    pub content: String,
}

/// Runs the command. `connect` is called when something is missing, or when the broker has to say what day it is.
pub fn run<S: HistorySource>(
    options: &FetchOptions,
    connect: impl FnOnce() -> Result<S, FetchError>,
    progress: &mut dyn Progress,
) -> Result<FetchReport, FetchError> {
    check(options)?;
    // Whether everything up to a named date is there does not depend on what time it is.
    if let Some(to) = options.to
        && plan::make(options, &options.symbols, to, Nanos::MAX)?.jobs.is_empty()
    {
        return finish(options, to, FetchReport { complete_before: true, ..FetchReport::default() });
    }
    let source = connect()?;
    let now = source.now();
    let today = options.calendar.date_of(now);
    let to = options.to.unwrap_or(today).min(today);
    let settled = now + -SETTLES_IN;
    if plan::make(options, &options.symbols, to, settled)?.jobs.is_empty() {
        return finish(options, to, FetchReport { complete_before: true, ..FetchReport::default() });
    }
    source.log_in()?;
    let begun = source.now();
    let listed = resolve(options, &source, today)?;
    let symbols: Vec<String> = listed.iter().map(|one| one.symbol.clone()).collect();
    let plan = plan::make(options, &symbols, to, settled)?;
    let mut report = download_and_write(options, &plan, &listed, &source, progress)?;
    report.broker_ms = u64::try_from((source.now() - begun) / 1_000_000).unwrap_or(0);
    finish(options, to, report)
}

fn check(options: &FetchOptions) -> Result<(), FetchError> {
    let bad = |text: &str| Err(FetchError::BadOption(text.to_owned()));
    if interval_word(options.interval).is_none() {
        return bad("--interval: the broker has candles of 1m, 3m, 5m, 10m, 15m, 30m, 1h and 1d");
    }
    if options.symbols.is_empty() {
        return bad("--symbols: name at least one symbol, or an index with --index");
    }
    if let Some(strange) = options.symbols.iter().find(|symbol| !daybook_adapters::files::is_symbol(symbol)) {
        return bad(&format!("--symbols: '{}' is no symbol", strange.escape_debug()));
    }
    if options.to.is_some_and(|to| to < options.from) {
        return bad("--to lies before --from");
    }
    if !(1..=WORKERS_MAX).contains(&options.workers) {
        return bad("--max-workers: from 1 to 16");
    }
    Ok(())
}

/// The instruments of the symbols; an error that names each one the broker does not list, before anything is asked.
fn resolve(options: &FetchOptions, source: &impl HistorySource, today: Date) -> Result<Vec<Listed>, FetchError> {
    let instruments = instruments_of(options, source, today)?;
    let (mut listed, mut unknown) = (Vec::new(), Vec::new());
    for symbol in &options.symbols {
        match instruments.find_by_any_name(EXCHANGE, symbol, &options.aliases, today) {
            Some(found) => listed.push(found.clone()),
            None => {
                let near = daybook_config::nearest_first(symbol, instruments.symbols(EXCHANGE));
                let near: Vec<&str> = near.into_iter().take(3).collect();
                unknown.push(format!("{EXCHANGE}:{symbol} (the nearest are {})", near.join(", ")));
            }
        }
    }
    if !unknown.is_empty() {
        return Err(FetchError::UnknownSymbols(unknown));
    }
    listed.sort_by(|one, other| one.symbol.cmp(&other.symbol));
    listed.dedup_by(|one, other| one.symbol == other.symbol);
    Ok(listed)
}

/// The day's list: the copy of today in the cache, or the broker's.
fn instruments_of(options: &FetchOptions, source: &impl HistorySource, today: Date) -> Result<Instruments, FetchError> {
    make_journal(options)?;
    let folder = options.journal.join("cache").join("instruments");
    let path = folder.join(format!("{EXCHANGE}-{today}.csv"));
    if let Ok(text) = fs::read_to_string(&path)
        && let Ok(list) = Instruments::read(&text)
    {
        return Ok(list);
    }
    let text = source.instruments(EXCHANGE)?;
    let list = Instruments::read(&text).map_err(FetchError::Instruments)?;
    // Another day's list is of no use to anyone.
    let _ = fs::remove_dir_all(&folder);
    pages::keep(&path, text.as_bytes())?;
    Ok(list)
}

/// The journal must be there before its cache is.
fn make_journal(options: &FetchOptions) -> Result<(), FetchError> {
    if !options.journal.exists() {
        Writer::create(&options.journal, options.segments.clone())?.close()?;
    }
    Ok(())
}

fn download_and_write(
    options: &FetchOptions,
    plan: &Plan,
    listed: &[Listed],
    source: &impl HistorySource,
    progress: &mut dyn Progress,
) -> Result<FetchReport, FetchError> {
    if plan.jobs.is_empty() {
        return Ok(FetchReport { complete_before: true, ..FetchReport::default() });
    }
    let pages = Pages::of(&options.journal);
    progress.begin(Phase::Fetch, plan.jobs.len() as u64);
    let Downloaded { files, requests, resumed, failed } = pages.download(options, plan, listed, source, progress)?;
    let mut report = FetchReport { requests, resumed_pages: resumed, failed, ..FetchReport::default() };
    let is_failed = |job: &Job| report.failed.iter().any(|failed| failed.symbol == job.symbol);
    let mut written = IngestOptions::new(Vec::new(), options.journal.clone(), options.calendar.clone());
    let mut ranges = Vec::new();
    for (job, (path, rows)) in plan.jobs.iter().zip(files).filter(|(job, _)| !is_failed(job)) {
        if rows > 0 {
            written.files.push(path);
        }
        ranges.push(range_of(options, job, rows));
    }
    if !ranges.is_empty() {
        written.fetched = Some(ranges);
        written.interval = Some(options.interval);
        written.seal_key.clone_from(&options.seal_key);
        written.segments = options.segments.clone();
        written.batch_frames = options.batch_frames;
        report.ingest = Some(ingest::run(&written, progress)?);
    }
    pages.forget();
    Ok(report)
}

fn range_of(options: &FetchOptions, job: &Job, rows: u64) -> Fetched {
    Fetched {
        source: "kite".to_owned(),
        market: options.calendar.market().to_owned(),
        symbol: job.symbol.clone(),
        interval: options.interval,
        after: Nanos(job.after),
        until: Nanos(job.until),
        rows,
    }
}

/// What the journal holds now; and its seal, where a killed command had not come to it.
fn finish(options: &FetchOptions, to: Date, mut report: FetchReport) -> Result<FetchReport, FetchError> {
    let Some(known) = Known::open(&options.journal)? else { return Ok(report) };
    let sealed = known.journal.seals().last().is_some_and(|seal| seal.frames == known.end);
    let stored = plan::stored_names(&known, options);
    report.coverage = coverage::of(&known, options, &stored, to)?;
    let mut head = known.journal.head();
    if let Some(key) = options.seal_key.as_deref().filter(|_| !sealed && known.end > 0) {
        drop(known);
        let mut writer = Writer::open(&options.journal, options.segments.clone())?;
        writer.seal(&daybook_journal::SealKey::load_or_create(key)?)?;
        head = writer.close()?;
    }
    Pages::of(&options.journal).forget_if(report.complete_before);
    report.frames = head.frames;
    report.content = head.content.to_string();
    Ok(report)
}

#[cfg(test)]
mod tests;
