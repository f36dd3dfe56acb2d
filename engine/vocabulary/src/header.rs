//! The frames that frame: what a session is made of, where a run of history begins and ends, what was refused.
//!
//! - A header holds no wall clock, no path and no random id: two runs of the same thing are byte-identical.

use crate::instrument::{Instrument, InstrumentId};
use crate::time::{Date, Interval, Nanos};
use crate::units::Hash;
use rkyv::{Archive, Deserialize, Serialize};

/// What kind of session a journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionMode {
    /// History replayed through the core against the simulated exchange.
    Backtest,
    /// A backtest taken up in the middle with other settings.
    Fork,
    /// A live market, our own exchange: nothing is sent. The session's journal holds its inputs too.
    Paper,
    /// A live market and a broker. The session's journal holds its inputs too.
    Live,
}

/// What a fork took up: everything its state at the fork depends on.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Parent {
    /// Content hash of the parent's whole journal: which run it was.
    pub journal_head: Hash,
    /// Last frame of the parent that holds; what follows it is the fork's own.
    pub seq: u64,
    /// Content hash of the parent's journal up to that frame.
    pub content: Hash,
    /// Outputs of the core up to that frame.
    pub outputs: u64,
    /// The parent's strategy.
    pub strategy: String,
    /// The parent's resolved settings, as canonical JSON.
    pub settings: String,
}

/// The first frame of a session: everything its outputs depend on.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct SessionHeader {
    /// Kind of session.
    pub mode: SessionMode,
    /// Hash of the executable that wrote it.
    pub binary: Hash,
    /// Hash of `settings`.
    pub config: Hash,
    /// Hash of the calendar in force.
    pub calendar: Hash,
    /// Name of the strategy.
    pub strategy: String,
    /// The resolved settings, as canonical JSON.
    pub settings: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// The journals it reads, by rank.
    pub inputs: Vec<InputJournal>,
    /// What was read from them.
    pub filter: InputFilter,
    /// What a fork took up.
    pub parent: Option<Parent>,
    /// What the parent of a fork took up, and its parent before it: the first run first.
    pub ancestors: Vec<Parent>,
}

impl SessionHeader {
    /// Everything a fork goes back to: the first run first, the run it took up last.
    pub fn lineage(&self) -> impl Iterator<Item = &Parent> {
        self.ancestors.iter().chain(&self.parent)
    }
}

/// The header before forks could be forked: schema 2, read and never written.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SessionHeaderV2 {
    mode: SessionMode,
    binary: Hash,
    config: Hash,
    calendar: Hash,
    strategy: String,
    settings: String,
    seed: u64,
    inputs: Vec<InputJournal>,
    filter: InputFilter,
    parent: Option<Parent>,
}

impl From<SessionHeaderV2> for SessionHeader {
    fn from(old: SessionHeaderV2) -> Self {
        Self {
            mode: old.mode,
            binary: old.binary,
            config: old.config,
            calendar: old.calendar,
            strategy: old.strategy,
            settings: old.settings,
            seed: old.seed,
            inputs: old.inputs,
            filter: old.filter,
            parent: old.parent,
            ancestors: Vec::new(),
        }
    }
}

/// The header before there were forks: schema 1, read and never written.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SessionHeaderV1 {
    mode: SessionMode,
    binary: Hash,
    config: Hash,
    calendar: Hash,
    strategy: String,
    settings: String,
    seed: u64,
    inputs: Vec<InputJournal>,
    filter: InputFilter,
}

impl From<SessionHeaderV1> for SessionHeader {
    fn from(old: SessionHeaderV1) -> Self {
        let SessionHeaderV1 { mode, binary, config, calendar, strategy, settings, seed, inputs, filter } = old;
        let ancestors = Vec::new();
        Self { mode, binary, config, calendar, strategy, settings, seed, inputs, filter, parent: None, ancestors }
    }
}

/// A journal a session reads, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct InputJournal {
    /// Rank, from 1; 0 is the session itself.
    pub rank: u32,
    /// Identity of the journal: the first 16 bytes of its first frame's hash, in hexadecimal.
    pub id: String,
    /// Sequence number of the last frame read.
    pub last_seq: u64,
    /// Content hash of that prefix.
    pub content: Hash,
}

/// Which candles a session takes from its journals.
#[derive(
    Debug, Clone, PartialEq, Eq, Default, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize,
)]
pub struct InputFilter {
    /// Symbols, in (market, symbol) order; never empty in a header.
    pub symbols: Vec<String>,
    /// Interval of the candles.
    pub interval: Interval,
    /// First session, inclusive.
    pub from: Option<Date>,
    /// Last session, inclusive.
    pub to: Option<Date>,
    /// Bars per symbol that decide nothing: before `from`, or the first ones where `from` is not given.
    pub warmup: u32,
}

/// Where a run of history begins: the one place at which time may step back.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct RunStarted {
    /// The command, such as `ingest`.
    pub command: String,
    /// Hash of the command's settings and of all source files: the same work has the same id.
    pub id: Hash,
    /// True when its candles supersede earlier ones of the same key.
    pub revises: bool,
    /// Hashes of the source files, in order of hash.
    pub files: Vec<Hash>,
}

/// Where a run of history ended, complete, and what became of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct RunEnded {
    /// The run's id.
    pub id: Hash,
    /// Rows read from the sources.
    pub rows: u64,
    /// Candles written.
    pub kept: u64,
    /// Rows equal to one already known.
    pub duplicates: u64,
    /// Rows merged into another of the same stamp.
    pub merged: u64,
    /// Rows quarantined, by reason, in order of reason.
    pub quarantined: Vec<(String, u64)>,
    /// What the run holds, in (market, symbol, interval) order: a reader learns it from this one frame.
    pub series: Vec<Series>,
}

/// The candles of one instrument and interval in a run.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Series {
    /// The instrument's id in this journal.
    pub instrument: InstrumentId,
    /// What it is.
    pub definition: Instrument,
    /// Length of the candles.
    pub interval: Interval,
    /// How many.
    pub candles: u64,
    /// When the first one opened.
    pub first: Nanos,
    /// When the last one opened.
    pub last: Nanos,
}

/// What a fetch asked a broker for and got, whole: each candle of one instrument that was known after one instant and
/// no later than another. Candles may be missing in it (nobody traded); asking again would find nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Fetched {
    /// Who was asked, such as `kite`.
    pub source: String,
    /// The instrument's market.
    pub market: String,
    /// Its symbol.
    pub symbol: String,
    /// Length of the candles.
    pub interval: Interval,
    /// Candles known at this instant or before were not asked for.
    pub after: Nanos,
    /// The last instant at which a candle that was asked for was known.
    pub until: Nanos,
    /// Rows that came.
    pub rows: u64,
}

/// A row that could not become a candle, with the reason and the row as it was.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Quarantine {
    /// Hash of the file.
    pub file: Hash,
    /// Line of a text file, row of a columnar one, from 1.
    pub line: u64,
    /// Why, such as `outside_session`.
    pub reason: String,
    /// What the row says, shortened to 512 bytes.
    pub row: String,
}
