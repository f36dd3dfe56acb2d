//! A run on disk: `RUN/journal`, tables, summary, report, manifest.
//!
//! - It is built in a hidden sibling and moved to its place when it is whole: what bears a run's name is a run.
//! - Everything beside the journal is derived from it and from facts of the loop.

use crate::backtest::{BacktestOptions, BacktestOutcome, Prepared, backtest};
use crate::catalog::{History, decode};
use crate::error::ReplayError;
use crate::history::{Range, candles_of};
use crate::report::{
    self, CandleSource, EventAt, Manifest, ReportError, ReportOptions, RunFacts, SessionEvents, Summary,
};
use crate::session::{Progress, Snapshotting};
use daybook_journal::{Journal, SealKey, Snapshots};
use daybook_vocabulary::{Candle, Event, Hash, Instrument, InstrumentId, Interval, Kind, Nanos};
use std::fs;
use std::path::{Path, PathBuf};

/// What a backtest needs beside its options.
pub struct Conduct<'a> {
    /// Key that seals the session's journal.
    pub seal: Option<&'a SealKey>,
    /// Inputs between two snapshots, and how many are kept.
    pub snapshots: (u64, usize),
    /// Trades the report draws.
    pub chart_trades: usize,
    /// Write the sessions' contract notes as well.
    pub contract_notes: bool,
    /// Seconds since the command began: durations are shown, they enter no result.
    pub seconds: &'a dyn Fn() -> f64,
    /// Told how many inputs were stepped through.
    pub progress: Progress<'a>,
}

/// Runs a backtest into `options.out`: journal, tables, summary, report and manifest.
pub fn conduct(options: &BacktestOptions, conduct: Conduct<'_>) -> Result<Summary, ReplayError> {
    conduct_of(options, None, conduct)
}

/// The same of inputs that were opened already: see [`crate::like`].
pub fn conduct_prepared(
    options: &BacktestOptions,
    prepared: Prepared,
    conduct: Conduct<'_>,
) -> Result<Summary, ReplayError> {
    conduct_of(options, Some(prepared), conduct)
}

fn conduct_of(
    options: &BacktestOptions,
    prepared: Option<Prepared>,
    conduct: Conduct<'_>,
) -> Result<Summary, ReplayError> {
    let run = &options.out;
    if run.exists() {
        refuse_to_replace(run, options.force)?;
    }
    let building = sibling(run, "partial")?;
    remove(&building)?;
    fs::create_dir_all(&building).map_err(ReplayError::file(&building))?;
    let built = build(options, prepared, &building, conduct);
    if built.is_err() {
        // Nothing is left of what failed; that it failed matters more than that it cannot be removed.
        let _ = remove(&building);
    }
    let summary = built?;
    replace(&building, run)?;
    Ok(summary)
}

fn build(
    options: &BacktestOptions,
    prepared: Option<Prepared>,
    building: &Path,
    conduct: Conduct<'_>,
) -> Result<Summary, ReplayError> {
    let journal = building.join("journal");
    let (every, keep) = conduct.snapshots;
    let snapshots = Snapshotting { store: Snapshots::new(&building.join("cache"), keep), every };
    let started = (conduct.seconds)();
    let (outcome, prepared) = match prepared {
        None => backtest(options, &journal, snapshots, conduct.seal, conduct.progress)?,
        Some(prepared) => (prepared.replay(options, &journal, snapshots, conduct.seal, conduct.progress)?, prepared),
    };
    let wall_seconds = (conduct.seconds)() - started;
    let Conduct { chart_trades, contract_notes, .. } = conduct;
    let report = ReportOptions { chart_trades, contract_notes, ..ReportOptions::default() };
    let summary = describe(building, None, &outcome, &prepared, wall_seconds, report)?;
    if let Some((path, name)) = options.plan.attachment()? {
        let copy = building.join(name);
        fs::copy(&path, &copy).map_err(ReplayError::file(&copy))?;
    }
    Manifest::write(building, &prepared.places()?).map_err(|error| ReplayError::Report(error.to_string()))?;
    Ok(summary)
}

/// Writes tables, summary and report of the session in `building`. The story of a fork begins in another journal,
/// `before`.
pub(crate) fn describe(
    building: &Path,
    before: Option<&Path>,
    outcome: &BacktestOutcome,
    prepared: &Prepared,
    wall_seconds: f64,
    options: ReportOptions,
) -> Result<Summary, ReplayError> {
    let counts = outcome.counts;
    let facts = RunFacts {
        events: counts.inputs,
        bars: counts.bars,
        bars_in_market: counts.bars_in_market,
        wall_seconds,
        events_per_second: if wall_seconds > 0.0 { counts.inputs as f64 / wall_seconds } else { 0.0 },
        state_digest: outcome.digest,
        journal_head: Hash(outcome.head.content.0),
        initial_cash: outcome.cash,
        sessions_per_year: prepared.calendar.sessions_per_year(),
        zone_offset_ns: prepared.calendar.zone_offset(),
        zone: if prepared.calendar.zone_offset() == 0 { "UTC".to_owned() } else { "IST".to_owned() },
        calendar_unknown: outcome.calendar_unknown,
        warnings: stamps(&outcome.header.settings),
    };
    let path = building.join("journal");
    let instruments = prepared.selection.instruments.len() as u64;
    let mut parts = Vec::new();
    if let Some(path) = before {
        parts.push((Journal::open(path)?, path.to_owned(), 0));
    }
    // Header and instruments were told already.
    let from = if before.is_some() { 1 + instruments } else { 0 };
    parts.push((Journal::open(&path)?, path, from));
    let mut events = Events { parts };
    let mut candles = Candles {
        histories: &prepared.histories,
        instruments: &prepared.selection.instruments,
        interval: prepared.selection.interval,
    };
    let mut bars = BuiltBars { journal: building.join("journal") };
    // A live market showed trades: the bars that were built of them are the candles.
    let candles: &mut dyn CandleSource = if prepared.session.is_some() { &mut bars } else { &mut candles };
    let report = report::write(building, &outcome.header, &facts, &mut events, Some(candles), options)
        .map_err(|error| ReplayError::Report(error.to_string()))?;
    Ok(report.summary)
}

/// The places a run's manifest recorded for its input journals; nothing where there is no readable manifest.
pub fn recorded_inputs(run: &Path) -> Vec<PathBuf> {
    Manifest::read(run)
        .map(|manifest| manifest.inputs.iter().map(|input| run.join(&input.path)).collect())
        .unwrap_or_default()
}

/// The session's journal as the report reads it: what it is made of, in order, each from one of its frames on.
struct Events {
    parts: Vec<(Journal, PathBuf, u64)>,
}

impl SessionEvents for Events {
    fn for_each(&mut self, take: &mut dyn FnMut(EventAt<'_>) -> Result<(), ReportError>) -> Result<(), ReportError> {
        let failed = |error: ReplayError| ReportError::Journal { reason: error.to_string() };
        for (journal, path, from) in &self.parts {
            let mut cursor = journal.cursor(*from);
            while let Some(frame) = cursor.next().map_err(|error| failed(error.into()))? {
                let event = decode(path, frame).map_err(failed)?;
                take(EventAt { seq: frame.seq, time: Nanos(frame.time), stream: frame.stream, event: &event })?;
            }
        }
        Ok(())
    }
}

/// The candles behind the trades.
struct Candles<'a> {
    histories: &'a [History],
    instruments: &'a [Instrument],
    interval: Interval,
}

impl CandleSource for Candles<'_> {
    fn candles(
        &mut self,
        instrument: InstrumentId,
        from: Nanos,
        to: Nanos,
        take: &mut dyn FnMut(&Candle),
    ) -> Result<(), ReportError> {
        let range = Range { from, until: to + 1 };
        candles_of(self.histories, &self.instruments[instrument.index()], self.interval, range, take)
            .map_err(|error| ReportError::Journal { reason: error.to_string() })
    }
}

/// The bars that a session built.
struct BuiltBars {
    journal: PathBuf,
}

impl CandleSource for BuiltBars {
    fn candles(
        &mut self,
        instrument: InstrumentId,
        from: Nanos,
        to: Nanos,
        take: &mut dyn FnMut(&Candle),
    ) -> Result<(), ReportError> {
        let failed = |error: ReplayError| ReportError::Journal { reason: error.to_string() };
        let journal = Journal::open(&self.journal).map_err(|error| failed(error.into()))?;
        let mut cursor = journal.cursor(0);
        while let Some(frame) = cursor.next().map_err(|error| failed(error.into()))? {
            if frame.kind != Kind::Bar.number() || frame.stream != instrument.0 {
                continue;
            }
            if let Event::Bar(bar) = decode(&self.journal, frame).map_err(failed)?
                && (from..=to).contains(&bar.candle().open_time())
            {
                take(bar.candle());
            }
        }
        Ok(())
    }
}

impl Prepared {
    /// Rank, id and place of each journal that is read, for the manifest.
    pub(crate) fn places(&self) -> Result<Vec<(u32, String, PathBuf)>, ReplayError> {
        if let Some(session) = &self.session {
            return Ok(vec![(0, session.as_input()?.id, session.path.clone())]);
        }
        let ranked = self.histories.iter().zip(1u32..);
        Ok(ranked.map(|(history, rank)| (rank, history.id(), history.path.clone())).collect())
    }
}

/// What settings ask of the exchange that no exchange offers: it stands at the top of the report.
fn stamps(written: &str) -> Vec<String> {
    let settings: serde_json::Value = serde_json::from_str(written).unwrap_or_default();
    let is =
        |key: &str, values: &[&str]| settings["settings"][key].as_str().is_some_and(|value| values.contains(&value));
    let mut stamps = Vec::new();
    if is("exchange.fill_bar", &["close", "close-once"]) {
        let price = match settings["settings"]["exchange.market_price"].as_str() {
            Some("vwap") => "mean of high, low and close",
            Some("mid") => "middle",
            _ => "close",
        };
        stamps.push(format!(
            "Market orders filled at the {price} of the bar they were decided on, a price that the decision had seen."
        ));
    } else if is("exchange.market_price", &["close", "vwap", "mid"]) {
        let text =
            "Market orders filled at a price of their bar that is known when the bar is over (exchange.market_price).";
        stamps.push(text.to_owned());
    }
    if is("exchange.stop_fill", &["close", "next-open"]) {
        let text = "Touched stops filled at the close of their bar or at the next open (exchange.stop_fill): better than \
                    the stop wherever the price came back.";
        stamps.push(text.to_owned());
    }
    if is("exchange.trail_timing", &["before"]) {
        stamps.push("Trailing stops followed a bar as if its best price had come first.".to_owned());
    }
    if is("exchange.buying_power", &["free", "shrink"]) {
        let text =
            "What shorts brought in paid for purchases, and working orders held no cash back: no broker lends so.";
        stamps.push(text.to_owned());
    }
    stamps
}

/// Only a run is ever replaced, and only when asked for.
pub(crate) fn refuse_to_replace(run: &Path, force: bool) -> Result<(), ReplayError> {
    let is_run = run.join("manifest.json").is_file() && run.join("journal").is_dir();
    let is_empty = fs::read_dir(run).is_ok_and(|mut entries| entries.next().is_none());
    match (is_run || is_empty, force) {
        (true, true) => Ok(()),
        (true, false) => Err(ReplayError::RunExists { run: run.to_owned() }),
        (false, _) => Err(ReplayError::NotARun {
            run: run.to_owned(),
            reason: "it holds something else and will not be replaced; choose another --out".to_owned(),
        }),
    }
}

/// A hidden directory beside `path`.
pub(crate) fn sibling(path: &Path, suffix: &str) -> Result<PathBuf, ReplayError> {
    let bad = || ReplayError::NotARun { run: path.to_owned(), reason: "the path names no directory".to_owned() };
    let name = path.file_name().ok_or_else(bad)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(suffix);
    Ok(path.with_file_name(hidden))
}

pub(crate) fn remove(path: &Path) -> Result<(), ReplayError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ReplayError::file(path)(error)),
        _ => Ok(()),
    }
}

/// Puts a finished run in its place. The old one goes only when the new one is whole.
pub(crate) fn replace(building: &Path, run: &Path) -> Result<(), ReplayError> {
    let old = sibling(run, "old")?;
    remove(&old)?;
    if run.exists() {
        fs::rename(run, &old).map_err(ReplayError::file(run))?;
    }
    fs::rename(building, run).map_err(ReplayError::file(run))?;
    remove(&old)
}
