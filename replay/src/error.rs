//! What can go wrong between a journal and a result, each with its place and what to do.

use daybook_config::ConfigError;
use daybook_core::CoreError;
use daybook_core::strategy::ParameterError;
use daybook_journal::JournalError;
use daybook_vocabulary::{Cause, Date, DecodeError, Interval};
use std::path::PathBuf;
use thiserror::Error;

/// Why a replay could not be done.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// A model that is missing or does not belong to what names it.
    #[error("{0}")]
    Model(String),
    /// A winner that is not to be believed.
    #[error("{}: {what}", file.display())]
    Winner {
        /// The file at fault.
        file: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// A list of orders that is missing, means nothing, or is not the one a session names.
    #[error("{0}")]
    Orders(String),
    /// A model file.
    #[error(transparent)]
    ModelFile(#[from] daybook_inference::ModelError),
    /// A journal could not be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A setting, the calendar or a fee schedule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A strategy's parameters.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// The core refused an input.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A frame does not decode.
    #[error("{journal}, seq {seq}: {source}", journal = journal.display())]
    Frame {
        /// The journal.
        journal: PathBuf,
        /// The frame.
        seq: u64,
        /// Why.
        source: DecodeError,
    },
    /// A candle names an instrument that nothing defined.
    #[error("{journal}, seq {seq}: a candle of an instrument that was never defined; the journal was written by a faulty program", journal = journal.display())]
    UndefinedInstrument {
        /// The journal.
        journal: PathBuf,
        /// The frame.
        seq: u64,
    },
    /// Nothing to replay.
    #[error("{journal} holds no candles; ingest some first: daybook ingest FILE... --journal {journal}", journal = journal.display())]
    NoCandles {
        /// The journal.
        journal: PathBuf,
    },
    /// The journals hold something else.
    #[error("no candles of {wanted}; the journals hold {present}: choose with --interval")]
    NoInterval {
        /// What was asked for.
        wanted: Interval,
        /// What there is.
        present: String,
    },
    /// The journals hold several intervals.
    #[error("the journals hold candles of several intervals, {present}: choose one with --interval")]
    SeveralIntervals {
        /// What there is.
        present: String,
    },
    /// The journals hold several markets.
    #[error(
        "the chosen symbols trade on several markets, {present}: one session follows one calendar, choose with --symbols"
    )]
    SeveralMarkets {
        /// What there is.
        present: String,
    },
    /// A symbol that is not there.
    #[error("no candles of '{symbol}'; the nearest symbols are {nearest}")]
    UnknownSymbol {
        /// What was asked for.
        symbol: String,
        /// What there is.
        nearest: String,
    },
    /// A range without data.
    #[error("no candles between {from} and {to}; the chosen symbols have candles from {first} to {last}")]
    EmptyRange {
        /// First date asked for.
        from: String,
        /// Last date asked for.
        to: String,
        /// First date there is.
        first: String,
        /// Last date there is.
        last: String,
    },
    /// Two journals disagree about a candle.
    #[error(
        "journals disagree about a candle of {symbol} that opened at {open}: {first} and {second} hold different values; leave one journal out, or revise one with `daybook ingest --revise`"
    )]
    Conflict {
        /// The symbol.
        symbol: String,
        /// When the candle opened.
        open: String,
        /// One candle.
        first: Cause,
        /// The other.
        second: Cause,
    },
    /// A calendar file of another market.
    #[error(
        "the candles trade on the market '{market}', but calendar.file {file} is of '{found}'; give the file they were ingested with"
    )]
    ForeignCalendar {
        /// The market of the candles.
        market: String,
        /// The file.
        file: String,
        /// Its market.
        found: String,
    },
    /// A strategy that does not exist.
    #[error("there is no strategy '{name}'; did you mean {nearest}? The strategies are {known}")]
    UnknownStrategy {
        /// What was asked for.
        name: String,
        /// The nearest.
        nearest: String,
        /// All of them.
        known: String,
    },
    /// The output directory is there.
    #[error("{run} exists; choose another --out, or replace it with --force", run = run.display())]
    RunExists {
        /// The directory.
        run: PathBuf,
    },
    /// A directory that is not a run.
    #[error("{run} is not a run: {reason}", run = run.display())]
    NotARun {
        /// The directory.
        run: PathBuf,
        /// Why.
        reason: String,
    },
    /// A history that does not warm a live session up.
    #[error("the session of {date} cannot be warmed up: {reason}")]
    NoWarmUp {
        /// Its date.
        date: Date,
        /// What is missing, and how to get it.
        reason: String,
    },
    /// A run header that cannot be followed.
    #[error("the run header cannot be followed: {0}")]
    Header(String),
    /// A journal the session read is not to be found.
    #[error("{0}")]
    InputMissing(String),
    /// An order that the session did not decide.
    #[error("{run} has no order {order}; {known}", run = run.display())]
    NoOrder {
        /// The session's journal.
        run: PathBuf,
        /// What was asked for.
        order: u64,
        /// The orders there are.
        known: String,
    },
    /// A place at which a run cannot be forked, or a setting that cannot change there.
    #[error("{run} cannot be forked: {reason}", run = run.display())]
    NoFork {
        /// The session's journal.
        run: PathBuf,
        /// Why, and what can be done.
        reason: String,
    },
    /// A session that cannot be taken up: what it holds is not what this program, under these settings, concludes.
    #[error(
        "{path}, seq {seq}: the session cannot be taken up, since replaying it leads to something else there; take it up with the program that wrote it, or run `daybook audit` on it to see what differs",
        path = path.display()
    )]
    NotItsJournal {
        /// The session's journal.
        path: PathBuf,
        /// Where they part.
        seq: u64,
    },
    /// An output names a cause that is no candle.
    #[error(
        "{run}, seq {seq}: its cause {cause} is no candle of the journals that the run read; the session was written by a faulty program, `daybook audit` tells more",
        run = run.display()
    )]
    NoCandle {
        /// The session's journal.
        run: PathBuf,
        /// The output.
        seq: u64,
        /// What it names.
        cause: Cause,
    },
    /// A file or directory.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The report could not be written.
    #[error("{0}")]
    Report(String),
}

impl ReplayError {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
