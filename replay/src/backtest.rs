//! `backtest`: history through the core into a session of its own.
//!
//! - A run is built beside its place and moved there when it is whole: an interrupted backtest leaves no half run.
//! - Nothing of this machine or moment enters the journal: two runs of the same thing are byte-identical.

use crate::catalog::{History, Selection, select};
use crate::driver::{Source, run};
use crate::error::ReplayError;
use crate::history::{HistorySource, Position, Range};
use crate::plan::Plan;
use crate::recorded::Recorded;
use crate::session::{Progress, SessionSink, Snapshotting};
use crate::told::Told;
use daybook_config::{Calendar, Venue};
use daybook_core::Counts;
use daybook_journal::{Options, SealKey, Writer};
use daybook_vocabulary::{Date, Hash, InputFilter, InputJournal, Interval, Money, Nanos, SessionHeader, SessionMode};
use std::path::{Path, PathBuf};

/// What to test, on what, and where the result goes.
#[derive(Debug, Clone)]
pub struct BacktestOptions {
    /// Journals of history, by rank.
    pub journals: Vec<PathBuf>,
    /// Strategy, parameters and settings.
    pub plan: Plan,
    /// Symbols; all when empty.
    pub symbols: Vec<String>,
    /// Interval of the candles; needed when the journals hold several.
    pub interval: Option<Interval>,
    /// First session, inclusive.
    pub from: Option<Date>,
    /// Last session, inclusive.
    pub to: Option<Date>,
    /// Bars that decide nothing; what the strategy needs when absent.
    pub warmup: Option<u32>,
    /// Directory of the run.
    pub out: PathBuf,
    /// Replace a run that is there.
    pub force: bool,
    /// Hash of the executable.
    pub binary: Hash,
}

/// What a session did, as far as its journal does not say it.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestOutcome {
    /// How much happened.
    pub counts: Counts,
    /// The session's header.
    pub header: SessionHeader,
    /// Cash at the start.
    pub cash: Money,
    /// The last state digest.
    pub digest: Hash,
    /// Frames and content of the session's journal.
    pub head: daybook_journal::Head,
    /// Some dates are not in the calendar.
    pub calendar_unknown: bool,
}

/// Everything a session reads, opened and chosen.
pub struct Prepared {
    /// Journals of history, by rank.
    pub histories: Vec<History>,
    /// The session on a live market whose recorded market is read instead of them.
    pub session: Option<Recorded>,
    /// Instruments and interval.
    pub selection: Selection,
    /// The calendar in force.
    pub calendar: Calendar,
    /// What is read.
    pub filter: InputFilter,
    /// The same in time.
    pub range: Range,
}

/// Runs the backtest and writes the session's journal at `journal`.
pub fn backtest(
    options: &BacktestOptions,
    journal: &Path,
    snapshots: Snapshotting,
    seal: Option<&SealKey>,
    progress: Progress<'_>,
) -> Result<(BacktestOutcome, Prepared), ReplayError> {
    let prepared = Prepared::open(options)?;
    let outcome = prepared.replay(options, journal, snapshots, seal, progress)?;
    Ok((outcome, prepared))
}

/// A backtest of the market that a session on a live market recorded, under the session's own settings: strategy,
/// parameters, stops, guards, profile. What the session's own exchange filled is filled again; what a broker filled is
/// filled by our exchange instead, so that the two can be compared.
pub fn like(
    session: Recorded,
    calendar_file: Option<PathBuf>,
    out: PathBuf,
    force: bool,
    binary: Hash,
) -> Result<(BacktestOptions, Prepared), ReplayError> {
    if !session.holds_its_inputs() {
        let reason = "it ran on history, so it recorded no market of its own; give its journals with --journal instead";
        return Err(ReplayError::NotARun { run: session.path, reason: reason.to_owned() });
    }
    let (mut plan, prepared) = crate::audit::prepare(&session, &[], calendar_file)?;
    // Its market is taken through our own exchange: what its broker said is passed over.
    plan.settings.live_venue = without_broker(plan.settings.live_venue);
    let options = BacktestOptions {
        journals: Vec::new(),
        plan,
        symbols: session.header.filter.symbols.clone(),
        interval: Some(session.header.filter.interval),
        from: session.header.filter.from,
        to: session.header.filter.to,
        warmup: Some(session.header.filter.warmup),
        out,
        force,
        binary,
    };
    Ok((options, prepared.with_session(Some(session))))
}

/// Who fills where a broker did: our own exchange, asked in the broker's terms, so that intents stay comparable.
pub(crate) const fn without_broker(venue: Venue) -> Venue {
    match venue {
        Venue::Broker => Venue::LikeBroker,
        other => other,
    }
}

impl Prepared {
    /// Opens the journals and chooses what is read.
    pub fn open(options: &BacktestOptions) -> Result<Self, ReplayError> {
        let histories = options.journals.iter().map(|path| History::open(path)).collect::<Result<Vec<_>, _>>()?;
        // A benchmark is heard with the symbols that are traded, whether it is named among them or not.
        let mut symbols = options.symbols.clone();
        let benchmark = options.plan.settings.risk_benchmark.iter();
        symbols
            .extend(benchmark.filter(|name| !options.symbols.is_empty() && !options.symbols.contains(name)).cloned());
        let selection = select(&histories, &symbols, options.interval)?;
        let calendar = options.plan.calendar(&selection)?;
        let warmup = match options.warmup {
            Some(bars) => bars,
            None => options.plan.warmup(&selection, &calendar, options.from)?,
        };
        let filter = InputFilter {
            symbols: selection.instruments.iter().map(|instrument| instrument.symbol.clone()).collect(),
            interval: selection.interval,
            from: options.from,
            to: options.to,
            warmup,
        };
        Ok(Self::new(histories, selection, calendar, filter))
    }

    pub(crate) fn new(histories: Vec<History>, selection: Selection, calendar: Calendar, filter: InputFilter) -> Self {
        let range = Range::of_dates(&calendar, filter.from, filter.to);
        Self { histories, session: None, selection, calendar, filter, range }
    }

    /// The same, reading a session's recorded market.
    pub(crate) fn with_session(self, session: Option<Recorded>) -> Self {
        Self { session, ..self }
    }

    /// The session's inputs, from the start, whichever they are.
    pub(crate) fn told(&self, plan: &Plan) -> Result<Told, ReplayError> {
        Ok(match &self.session {
            Some(session) => Told::Session(Box::new(session.inputs())),
            None => Told::History(Box::new(self.source(plan)?)),
        })
    }

    /// The session's inputs, from the start.
    pub fn source(&self, plan: &Plan) -> Result<HistorySource, ReplayError> {
        let warmup = plan.warmup_candles(&self.selection, &self.filter);
        HistorySource::new(&self.histories, &self.selection, self.calendar.clone(), self.range, warmup)
    }

    /// The session's inputs, from where they stood.
    pub(crate) fn resume(&self, position: Position) -> Result<HistorySource, ReplayError> {
        HistorySource::resume(&self.histories, &self.selection, self.calendar.clone(), self.range, position)
    }

    /// Drives the inputs through a new core into a session's journal.
    pub fn replay(
        &self,
        options: &BacktestOptions,
        journal: &Path,
        snapshots: Snapshotting,
        seal: Option<&SealKey>,
        progress: Progress<'_>,
    ) -> Result<BacktestOutcome, ReplayError> {
        let sink = |begins| self.begin(options, journal, begins, snapshots, progress);
        if let Some(session) = &self.session {
            return self.drive(options, &mut session.inputs(), sink(session.begun)?, seal);
        }
        let reached = HistorySource::reaches(&self.histories, &self.selection, self.range)?;
        let mut source = self.source(&options.plan)?;
        let Some(begins) = source.begins().filter(|_| reached) else { return Err(empty_range(self, options)) };
        let outcome = self.drive(options, &mut source, sink(begins)?, seal)?;
        Ok(BacktestOutcome { calendar_unknown: source.met_unknown_dates(), ..outcome })
    }

    /// The session's journal with its header.
    fn begin<'a>(
        &self,
        options: &BacktestOptions,
        journal: &Path,
        begins: Nanos,
        snapshots: Snapshotting,
        progress: Progress<'a>,
    ) -> Result<(SessionHeader, SessionSink<'a>), ReplayError> {
        let plan = &options.plan;
        let header = SessionHeader {
            mode: SessionMode::Backtest,
            binary: options.binary,
            config: plan.hash(),
            calendar: self.calendar.hash(),
            strategy: plan.strategy.clone(),
            settings: plan.written(),
            seed: plan.settings.seed,
            inputs: match &self.session {
                Some(session) => vec![session.as_input()?],
                None => inputs(&self.histories),
            },
            filter: self.filter.clone(),
            parent: None,
            ancestors: Vec::new(),
        };
        let writer = Writer::create(journal, Options::session())?;
        let sink = SessionSink::begin(writer, &header, &self.selection.instruments, begins, snapshots, progress)?;
        Ok((header, sink))
    }

    fn drive<F: Source>(
        &self,
        options: &BacktestOptions,
        source: &mut F,
        (header, mut sink): (SessionHeader, SessionSink<'_>),
        seal: Option<&SealKey>,
    ) -> Result<BacktestOutcome, ReplayError> {
        let mut core = options.plan.core(&self.selection, &self.filter, self.range)?;
        let check_every = sink.check_every();
        run(source, &mut core, &mut sink, check_every)?;
        let mut writer = sink.end()?;
        if let Some(key) = seal {
            writer.seal(key)?;
        }
        let head = writer.close()?;
        Ok(BacktestOutcome {
            counts: core.counts(),
            cash: core.ledger().start,
            header,
            digest: core.last_digest(),
            head,
            calendar_unknown: false,
        })
    }
}

fn inputs(histories: &[History]) -> Vec<InputJournal> {
    let input = |(index, history): (usize, &History)| {
        let head = history.journal.head();
        InputJournal {
            rank: index as u32 + 1,
            id: history.id(),
            last_seq: head.frames.saturating_sub(1),
            content: Hash(head.content.0),
        }
    };
    histories.iter().enumerate().map(input).collect()
}

fn empty_range(prepared: &Prepared, options: &BacktestOptions) -> ReplayError {
    let chosen = || {
        prepared.histories.iter().flat_map(|history| &history.series).filter(|series| {
            series.interval == prepared.selection.interval
                && prepared.filter.symbols.contains(&series.definition.symbol)
        })
    };
    let date = |time: Option<Nanos>| time.map(|time| prepared.calendar.date_of(time).to_string()).unwrap_or_default();
    let bound = |date: Option<Date>, open: &str| date.map_or_else(|| open.to_owned(), |date| date.to_string());
    ReplayError::EmptyRange {
        from: bound(options.from, "the beginning"),
        to: bound(options.to, "the end"),
        first: date(chosen().map(|series| series.first).min()),
        last: date(chosen().map(|series| series.last).max()),
    }
}
