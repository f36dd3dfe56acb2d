//! Ingest: foreign files of candles into a journal of history.
//!
//! 1. *Survey*: every file is hashed and looked at; what is not candles is refused, the others go on.
//! 2. *Read*: rows are decoded, placed in time by the calendar and sorted, in bounded memory.
//! 3. *Write*: one ascending run of frames: the run's start, instruments before their first candle, candles,
//!    quarantined rows by (file hash, line), the run's end.
//!
//! - The frames depend on the settings and the bytes of the files only: not on clock, path, order of files (but for
//!   the policies that say "first"), threads or memory.
//! - Every row is kept, a duplicate, merged or quarantined with a reason; nothing is filled.
//! - Idempotent: a finished run is recognised by its id, and nothing is written twice.
//! - A kill at any point leaves a prefix of the run; the same command then recomputes the run, compares what is there
//!   frame by frame and appends the rest, so the content is that of one clean run. When another command came between,
//!   the unfinished run stays as it is (its candles are valid data), and the command begins a new run with what is
//!   missing.

mod books;
mod coverage;
pub(crate) mod known;
mod place;
mod read;
mod record;
mod report;
mod resolve;
mod sort;
mod write;

pub use books::TICKS;
pub use coverage::{Gap, Series};
pub use daybook_adapters::files::{DateOrder, Zone};
pub use report::{FileReport, IngestReport};

use daybook_adapters::files::FileError;
use daybook_config::Calendar;
use daybook_journal::{JournalError, SealKey, Writer};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{DecodeError, Fetched, Hash, Interval};
use known::Known;
use read::Inputs;
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;
use write::Run;

/// Version of what a run writes for given files: part of its id, so that another version's unfinished run is not
/// taken for this one's.
const VERSION: u32 = 2;

/// Where in its span a bar is stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stamp {
    /// At its first instant.
    #[default]
    Start,
    /// At its end.
    End,
}

/// What becomes of rows of one stamp whose values differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// All are quarantined.
    #[default]
    Quarantine,
    /// The first in the order of files and lines is kept, the others are quarantined.
    First,
    /// They are pieces of one bar: first open, highest high, lowest low, last close, sum of volumes.
    Merge,
}

/// A command.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// The files, in the order given.
    pub files: Vec<PathBuf>,
    /// Directory of the journal; made when it is not there.
    pub journal: PathBuf,
    /// The market and its sessions.
    pub calendar: Calendar,
    /// Symbol of every row.
    pub symbol: Option<String>,
    /// Interval of every row.
    pub interval: Option<Interval>,
    /// Zone of times that name none. Default: the market's.
    pub zone: Option<Zone>,
    /// Order of day and month where a file cannot decide it.
    pub date_order: Option<DateOrder>,
    /// Where bars are stamped. Default: at their start.
    pub stamp: Stamp,
    /// What becomes of rows of one stamp whose values differ. Default: all quarantined.
    pub duplicates: Duplicates,
    /// Values that contradict the journal supersede instead of being quarantined.
    pub revise: bool,
    /// File of the key that seals the journal at the end; made when it is not there. None: not sealed.
    pub seal_key: Option<PathBuf>,
    /// What a broker was asked for, when the files are its answers: the run then says `fetch`, and names these ranges
    /// in its last frames; it may hold no row.
    pub fetched: Option<Vec<Fetched>>,
    /// Layout of the journal's segments.
    pub segments: daybook_journal::Options,
    /// Frames between two commits. Default: 65,536.
    pub batch_frames: u64,
    /// Bytes of rows held in memory before they are spilled. Default: 224 MiB.
    pub sort_memory: usize,
}

impl IngestOptions {
    /// A command with every default.
    pub fn new(files: Vec<PathBuf>, journal: PathBuf, calendar: Calendar) -> Self {
        Self {
            files,
            journal,
            calendar,
            symbol: None,
            interval: None,
            zone: None,
            date_order: None,
            stamp: Stamp::Start,
            duplicates: Duplicates::Quarantine,
            revise: false,
            seal_key: None,
            fetched: None,
            segments: daybook_journal::Options::default(),
            batch_frames: 65_536,
            sort_memory: 224 << 20,
        }
    }

    /// The command that a run names.
    fn command(&self) -> &'static str {
        if self.fetched.is_some() { "fetch" } else { "ingest" }
    }

    /// The zone of naive times.
    fn naive_zone(&self) -> Zone {
        self.zone.unwrap_or(Zone::Fixed((self.calendar.zone_offset() / SECOND) as i32))
    }
}

/// What a command is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asking a broker; counted in pages.
    Fetch,
    /// Looking at files; counted in files.
    Survey,
    /// Reading rows; counted in rows.
    Read,
    /// Writing frames; counted in rows.
    Write,
}

/// Told how a command gets on. Every method has a default: `&mut ()` is a listener that does not care.
pub trait Progress {
    /// A phase begins; `total` is how far it counts, as far as is known.
    fn begin(&mut self, phase: Phase, total: u64) {
        let _ = (phase, total);
    }
    /// `amount` more is done.
    fn advance(&mut self, amount: u64) {
        let _ = amount;
    }
    /// Asked after every batch of frames; false stops the command there, to be resumed by the same command.
    fn keep_going(&mut self) -> bool {
        true
    }
}

impl Progress for () {}

/// Why an ingest failed. Nothing that was in the journal is lost by any of them.
#[derive(Debug, Error)]
pub enum IngestError {
    /// No file was given.
    #[error("no files: name at least one CSV, Parquet or Arrow file of candles")]
    NoFiles,
    /// Every file was refused.
    #[error("{}", refused_text(.0))]
    AllRefused(Vec<String>),
    /// There is not one row.
    #[error("{}: no rows; nothing was ingested", .0.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    NoRows(Vec<PathBuf>),
    /// A setting that cannot be.
    #[error("{0}")]
    BadOption(String),
    /// The journal is a session's.
    #[error("{} is the journal of a session, not of history: ingest into a journal of its own", dir.display())]
    NotHistory {
        /// The journal.
        dir: PathBuf,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A frame of the journal does not decode.
    #[error("frame {seq} of the journal: {source}")]
    Decode {
        /// The frame.
        seq: u64,
        /// Why.
        source: DecodeError,
    },
    /// An interrupted run is not a beginning of this one.
    #[error(
        "the unfinished run in {} differs from this command at seq {seq}: a reference file changed in between; ingest into a new journal", dir.display()
    )]
    Diverged {
        /// The journal.
        dir: PathBuf,
        /// The first frame that differs.
        seq: u64,
    },
    /// Sorting needs room on disk.
    #[error("cannot write or read rows in {}: {source}; free some disk space", dir.display())]
    Spill {
        /// The directory of the spill files.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The listener asked to stop.
    #[error("interrupted; the same command goes on where it stopped")]
    Interrupted,
}

fn refused_text(messages: &[String]) -> String {
    match messages {
        [one] => one.clone(),
        several => format!("all {} files were refused: {}", several.len(), several.join(" | ")),
    }
}

impl From<FileError> for IngestError {
    fn from(error: FileError) -> Self {
        Self::AllRefused(vec![error.to_string()])
    }
}

/// Runs the command.
pub fn run(options: &IngestOptions, progress: &mut dyn Progress) -> Result<IngestReport, IngestError> {
    check(options)?;
    if books::are_books(options)? {
        return books::run(options, progress);
    }
    let mut inputs = Inputs::survey(options, progress)?;
    if let Some(report) = already_done(options, &inputs)? {
        return Ok(report);
    }
    let fresh = !options.journal.exists();
    let writer = Writer::open_or_create(&options.journal, options.segments.clone())?;
    let written = read_and_write(options, &mut inputs, writer, progress);
    if fresh && matches!(written, Err(IngestError::AllRefused(_) | IngestError::NoRows(_))) {
        // Made by this command a moment ago and still empty: better no journal than one that every reader refuses.
        let _ = fs::remove_dir_all(&options.journal);
    }
    written
}

fn check(options: &IngestOptions) -> Result<(), IngestError> {
    if options.files.is_empty() && options.fetched.is_none() {
        return Err(IngestError::NoFiles);
    }
    if options.interval.is_some_and(|interval| interval > Interval::DAY || interval.0 == 0) {
        return Err(IngestError::BadOption(
            "--interval: bars are of one second to one day, such as 5m or 1d".to_owned(),
        ));
    }
    if options.symbol.as_deref().is_some_and(|symbol| !daybook_adapters::files::is_symbol(symbol)) {
        return Err(IngestError::BadOption("--symbol: a symbol has 1 to 64 letters, digits and signs".to_owned()));
    }
    Ok(())
}

/// The report of a command whose run is in the journal, complete; none where there is something to do. Changes nothing
/// but a missing seal.
fn already_done(options: &IngestOptions, inputs: &Inputs) -> Result<Option<IngestReport>, IngestError> {
    if options.revise {
        // A later run may have superseded what this one wrote: only comparing tells.
        return Ok(None);
    }
    let Some(known) = Known::open(&options.journal)? else { return Ok(None) };
    let id = inputs.id(options);
    let Some(ended) = known.finished(id).and_then(|run| run.ended.clone()) else { return Ok(None) };
    let mut report = IngestReport { run: id, unchanged: true, rows: ended.rows, ..IngestReport::default() };
    report.duplicates = ended.kept + ended.duplicates;
    report.merged = ended.merged;
    report.already_quarantined = ended.rows.saturating_sub(report.duplicates + report.merged);
    report.files = inputs.reports();
    let mut head = known.journal.head();
    report.sealed = known.journal.seals().last().is_some_and(|seal| seal.frames == head.frames);
    if !report.sealed && options.seal_key.is_some() {
        // The command was killed between its last frame and its seal.
        let mut writer = Writer::open(&options.journal, options.segments.clone())?;
        report.sealed = seal(options, &mut writer)?;
        head = writer.close()?;
    }
    report.frames = head.frames;
    report.content = Hash(head.content.0);
    Ok(Some(report))
}

pub(crate) fn seal(options: &IngestOptions, writer: &mut Writer) -> Result<bool, IngestError> {
    let Some(path) = &options.seal_key else { return Ok(false) };
    writer.seal(&SealKey::load_or_create(path)?)?;
    Ok(true)
}

fn read_and_write(
    options: &IngestOptions,
    inputs: &mut Inputs,
    writer: Writer,
    progress: &mut dyn Progress,
) -> Result<IngestReport, IngestError> {
    // What a killed command left; the writer's lock says that no other command uses it.
    let spill = options.journal.join("cache").join("ingest");
    let _ = fs::remove_dir_all(&spill);
    let rows = inputs.read(options, &spill, progress)?;
    let written = Run::write(options, inputs, rows, writer, progress);
    let _ = fs::remove_dir_all(&spill);
    written
}

fn spill_error(dir: &Path) -> impl FnOnce(std::io::Error) -> IngestError + '_ {
    move |source| IngestError::Spill { dir: dir.to_owned(), source }
}
