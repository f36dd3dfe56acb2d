//! Files to sorted rows: the survey of all files, then their rows, placed and sorted.
//!
//! - Files are read by a few threads; the order in which their rows arrive changes nothing, for the sort is total.
//! - A file that turns out to be damaged while it is read is refused as a whole: half a file is no data.

use super::place::Placer;
use super::record::{NO_SYMBOL, Record, Refused, rank_of, series_of};
use super::report::FileReport;
use super::sort::Sorter;
use super::{Duplicates, IngestError, IngestOptions, Phase, Progress, Stamp, VERSION, spill_error};
use crossbeam::channel::{Sender, bounded};
use daybook_adapters::files::{Batch, CandleFile, FileError, ReadOptions, Reason};
use daybook_config::Calendar;
use daybook_vocabulary::{Fetched, Hash};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows a thread collects before it hands them on.
const CHUNK_ROWS: usize = 1 << 16;
const THREADS_MAX: usize = 4;
/// Symbols of one command.
const SYMBOLS_MAX: usize = 100_000;
/// Bytes of refused rows held in memory.
const REFUSED_MEMORY: usize = 16 << 20;

/// One file of the command.
pub(crate) struct Input {
    path: PathBuf,
    /// None where it was refused.
    file: Option<CandleFile>,
    /// Why it was refused.
    refused: Option<String>,
    /// Rank of each of its symbols in the command.
    ranks: Vec<u32>,
    /// Rank of its hash among the command's files.
    pub rank: u32,
    rows: u64,
}

/// The files of a command.
pub(crate) struct Inputs {
    pub files: Vec<Input>,
    /// Every symbol, by rank.
    pub symbols: Vec<String>,
    /// Hashes, by rank.
    pub hashes: Vec<Hash>,
    pub notes: Vec<String>,
    pub unknown_years: BTreeSet<i32>,
    /// By (symbol rank, interval): true when the instrument has no volume.
    pub without_volume: BTreeMap<u64, bool>,
}

/// All rows, not yet merged.
pub(crate) struct SortedRows {
    pub records: Sorter<Record>,
    pub refused: Sorter<Refused>,
    pub rows: u64,
}

enum Message {
    Rows { file: usize, records: Vec<Record>, refused: Vec<Refused>, rows: u64 },
    Failed { file: usize, error: String },
    Years(BTreeSet<i32>),
}

impl Inputs {
    /// Looks at every file.
    pub fn survey(options: &IngestOptions, progress: &mut dyn Progress) -> Result<Self, IngestError> {
        progress.begin(Phase::Survey, options.files.len() as u64);
        let read = ReadOptions {
            symbol: options.symbol.clone(),
            interval: options.interval,
            zone: options.naive_zone(),
            date_order: options.date_order,
        };
        let mut surveyed: Vec<Option<Result<CandleFile, FileError>>> = Vec::new();
        surveyed.resize_with(options.files.len(), || None);
        fan_out(
            options.files.len(),
            |at, out: &Sender<(usize, Result<CandleFile, FileError>)>| {
                out.send((at, CandleFile::open(&options.files[at], &read))).is_ok()
            },
            |(at, outcome)| {
                surveyed[at] = Some(outcome);
                progress.advance(1);
                Ok(())
            },
        )?;
        let mut notes = Vec::new();
        let mut seen = BTreeSet::new();
        let mut files = Vec::new();
        for (path, outcome) in options.files.iter().zip(surveyed) {
            let Some(outcome) = outcome else { continue };
            match outcome {
                Ok(file) if !seen.insert(file.hash()) => {
                    notes
                        .push(format!("{}: the same bytes as another file of this command; read once", path.display()));
                }
                Ok(file) => {
                    if file.surveyed_rows() == 0 {
                        notes.push(format!("{}: no rows that can be read", path.display()));
                    }
                    files.push(Input::new(path, Some(file), None));
                }
                Err(error) => files.push(Input::new(path, None, Some(error.to_string()))),
            }
        }
        let mut inputs = Self {
            files,
            symbols: Vec::new(),
            hashes: seen.into_iter().collect(),
            notes,
            unknown_years: BTreeSet::new(),
            without_volume: BTreeMap::new(),
        };
        inputs.rank();
        inputs.check_any_left(options)?;
        inputs.check_few_symbols()?;
        Ok(inputs)
    }

    /// Gives every symbol and file its rank: by name and by hash, never by the order of reading.
    fn rank(&mut self) {
        let all: BTreeSet<&str> = self
            .files
            .iter()
            .filter_map(|input| input.file.as_ref())
            .flat_map(|file| file.symbols().iter().map(|symbol| symbol.name.as_str()))
            .collect();
        self.symbols = all.into_iter().map(str::to_owned).collect();
        for input in &mut self.files {
            let Some(file) = &input.file else { continue };
            input.rank = self.hashes.partition_point(|hash| *hash < file.hash()) as u32;
            input.ranks.clear();
            for symbol in file.symbols() {
                let rank = self.symbols.partition_point(|name| name.as_str() < symbol.name.as_str()) as u32;
                input.ranks.push(rank);
                *self.without_volume.entry(series_of(rank, symbol.interval)).or_insert(true) &= !symbol.has_volume;
            }
        }
    }

    /// The run's last frame lists every series.
    fn check_few_symbols(&self) -> Result<(), IngestError> {
        if self.symbols.len() <= SYMBOLS_MAX {
            return Ok(());
        }
        let count = self.symbols.len();
        Err(IngestError::BadOption(format!(
            "{count} symbols in one command, at most {SYMBOLS_MAX} are taken: ingest the files in several commands"
        )))
    }

    fn check_any_left(&self, options: &IngestOptions) -> Result<(), IngestError> {
        // A broker may have nothing for what it was asked: then there is no file.
        let none_needed = self.files.is_empty() && options.fetched.is_some();
        if none_needed || self.files.iter().any(|input| input.refused.is_none()) {
            return Ok(());
        }
        Err(IngestError::AllRefused(self.files.iter().filter_map(|input| input.refused.clone()).collect()))
    }

    fn accepted(&self) -> impl Iterator<Item = &CandleFile> {
        self.files.iter().filter(|input| input.refused.is_none()).filter_map(|input| input.file.as_ref())
    }

    /// Hashes of the accepted files, sorted.
    pub fn accepted_hashes(&self) -> Vec<Hash> {
        let mut hashes: Vec<Hash> = self.accepted().map(CandleFile::hash).collect();
        hashes.sort_unstable();
        hashes
    }

    /// Identity of the work: everything the frames depend on. Symbols and intervals may come from the name of a file,
    /// so what was made of the name is part of it. The order of files counts only where a policy says "first".
    pub fn id(&self, options: &IngestOptions) -> Hash {
        let IngestOptions { calendar, date_order, stamp, duplicates, revise, .. } = options;
        let mut text = format!(
            "daybook ingest {VERSION}\nmarket {}\ncalendar {}\nzone {}\ndate order {date_order:?}\nstamp {}\nduplicates {}\nrevise {revise}\n",
            calendar.market(),
            calendar.hash(),
            options.naive_zone(),
            match stamp {
                Stamp::Start => "start",
                Stamp::End => "end",
            },
            match duplicates {
                Duplicates::Quarantine => "quarantine",
                Duplicates::First => "first",
                Duplicates::Merge => "merge",
            },
        );
        let mut files: Vec<String> = self
            .accepted()
            .map(|file| {
                let symbols = file.symbols().iter().map(|symbol| format!("{}\t{}", symbol.name, symbol.interval));
                let digest = blake3::hash(symbols.collect::<Vec<_>>().join("\n").as_bytes());
                format!("file {} {digest}\n", file.hash())
            })
            .collect();
        if *duplicates == Duplicates::Quarantine {
            files.sort_unstable();
        }
        text.extend(files);
        for range in options.fetched.iter().flatten() {
            let Fetched { source, market, symbol, interval, after, until, rows } = range;
            text.push_str(&format!("fetched {source} {market} {symbol:?} {interval} {} {} {rows}\n", after.0, until.0));
        }
        Hash(*blake3::hash(text.as_bytes()).as_bytes())
    }

    pub fn reports(&self) -> Vec<FileReport> {
        let report = |input: &Input| FileReport {
            path: input.path.display().to_string(),
            hash: input.file.as_ref().map(CandleFile::hash),
            rows: input.rows,
            symbols: input.ranks.len() as u64,
            refused: input.refused.clone(),
        };
        self.files.iter().map(report).collect()
    }

    /// Reads, places and sorts the rows of all files.
    pub fn read(
        &mut self,
        options: &IngestOptions,
        spill: &Path,
        progress: &mut dyn Progress,
    ) -> Result<SortedRows, IngestError> {
        progress.begin(Phase::Read, self.accepted().map(CandleFile::surveyed_rows).sum());
        let mut sorted = SortedRows {
            records: Sorter::new(spill, "rows", options.sort_memory),
            refused: Sorter::new(spill, "refused", REFUSED_MEMORY),
            rows: 0,
        };
        let mut rows_of = vec![0; self.files.len()];
        let mut failed = Vec::new();
        let mut years = BTreeSet::new();
        let files = &self.files;
        fan_out(
            files.len(),
            |at, out| read_file(&files[at], at, &options.calendar, options.stamp, out),
            |message| {
                match message {
                    Message::Rows { file, records, refused, rows } => {
                        rows_of[file] += rows;
                        progress.advance(rows);
                        sorted.records.push(records).map_err(spill_error(spill))?;
                        sorted.refused.push(refused).map_err(spill_error(spill))?;
                    }
                    Message::Failed { file, error } => failed.push((file, error)),
                    Message::Years(more) => years.extend(more),
                }
                Ok(())
            },
        )?;
        for (file, error) in failed {
            self.files[file].refused = Some(error);
            rows_of[file] = 0;
        }
        for (input, rows) in self.files.iter_mut().zip(rows_of) {
            input.rows = rows;
            sorted.rows += rows;
        }
        self.unknown_years = years;
        self.check_any_left(options)?;
        if sorted.rows == 0 && options.fetched.is_none() {
            return Err(IngestError::NoRows(options.files.clone()));
        }
        Ok(sorted)
    }

    /// By index of a file: true when its rows count.
    pub fn accepted_files(&self) -> Vec<bool> {
        self.files.iter().map(|input| input.refused.is_none()).collect()
    }

    /// By rank of a file: true when its refused rows count.
    pub fn accepted_ranks(&self) -> Vec<bool> {
        let mut accepted = vec![false; self.hashes.len()];
        for input in self.files.iter().filter(|input| input.refused.is_none()) {
            accepted[input.rank as usize] = true;
        }
        accepted
    }
}

impl Input {
    fn new(path: &Path, file: Option<CandleFile>, refused: Option<String>) -> Self {
        Self { path: path.to_owned(), file, refused, ranks: Vec::new(), rank: 0, rows: 0 }
    }
}

/// Reads one file to its end. False when nobody listens any more.
fn read_file(input: &Input, at: usize, calendar: &Calendar, stamp: Stamp, out: &Sender<Message>) -> bool {
    let Some(file) = &input.file else { return true };
    let mut placer = Placer::new(calendar, stamp);
    match read_rows(input, file, at, &mut placer, out) {
        Ok(listening) => listening && out.send(Message::Years(placer.unknown_years)).is_ok(),
        Err(error) => out.send(Message::Failed { file: at, error: error.to_string() }).is_ok(),
    }
}

fn read_rows(
    input: &Input,
    file: &CandleFile,
    at: usize,
    placer: &mut Placer<'_>,
    out: &Sender<Message>,
) -> Result<bool, FileError> {
    let usual_minute = file.usual_minute();
    let intervals: Vec<_> = file.symbols().iter().map(|symbol| symbol.interval).collect();
    let mut rows = file.rows()?;
    let mut batch = Batch::default();
    let (mut records, mut refused, mut read) = (Vec::new(), Vec::new(), 0);
    while rows.next(&mut batch)? {
        read += batch.read;
        records.reserve(batch.rows.len());
        for row in &batch.rows {
            let interval = intervals[row.symbol as usize];
            let series = series_of(input.ranks[row.symbol as usize], interval);
            let record = |open_time, time| Record {
                time,
                series,
                open_time,
                file: at as u64,
                line: row.line,
                open: row.open,
                high: row.high,
                low: row.low,
                close: row.close,
                volume: row.volume,
            };
            match placer.place(row, interval, usual_minute) {
                Ok(place) => records.push(record(place.open_time, place.time)),
                Err(reason) => {
                    let symbol = &file.symbols()[row.symbol as usize].name;
                    let text = record(row.instant, row.instant).text(symbol);
                    refused.push(Refused::new(input.rank, row.line, reason, rank_of(series) as u32, text));
                }
            }
        }
        refused.extend(batch.rejected.drain(..).map(|row| {
            let symbol = row.symbol.map_or(NO_SYMBOL, |symbol| input.ranks[symbol as usize]);
            Refused::new(input.rank, row.line, row.reason, symbol, row.text)
        }));
        if records.len() + refused.len() >= CHUNK_ROWS {
            let mut chunk = std::mem::take(&mut records);
            sort(&mut chunk);
            let refused = std::mem::take(&mut refused);
            if out.send(Message::Rows { file: at, records: chunk, refused, rows: read }).is_err() {
                return Ok(false);
            }
            read = 0;
        }
    }
    file.check_unchanged()?;
    sort(&mut records);
    Ok(out.send(Message::Rows { file: at, records, refused, rows: read }).is_ok())
}

/// On the reading thread, where there are several.
fn sort(records: &mut [Record]) {
    if !records.is_sorted() {
        records.sort();
    }
}

/// Does `count` pieces of work on a few threads; `receive` gets what they send, on this one. An error of `receive`
/// ends the work.
fn fan_out<M: Send>(
    count: usize,
    work: impl Fn(usize, &Sender<M>) -> bool + Sync,
    mut receive: impl FnMut(M) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX).min(count);
    if threads == 0 {
        return Ok(());
    }
    let next = AtomicUsize::new(0);
    let (out, incoming) = bounded(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (out, next, work) = (out.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || !work(at, &out) {
                        return;
                    }
                }
            });
        }
        drop(out);
        // Moved in, so that an error drops it and the threads' next send fails.
        let incoming = incoming;
        incoming.iter().try_for_each(&mut receive)
    })
}

/// Notes on what the reasons of refused rows suggest.
pub(crate) fn hints(stamp: Stamp, rows: u64, quarantined: &BTreeMap<String, u64>) -> Vec<String> {
    let mostly = |reason: Reason| quarantined.get(reason.word()).is_some_and(|count| count * 2 > rows);
    let mut notes = Vec::new();
    if mostly(Reason::OutsideSession) {
        notes.push("most rows lie outside every session: are --market and --tz right?".to_owned());
    }
    if mostly(Reason::ClosingPrint) && stamp == Stamp::Start {
        notes.push(
            "most rows are stamped at a session's close: are they stamped at their end (--stamp end)?".to_owned(),
        );
    }
    if mostly(Reason::BrokenRow) {
        notes.push("most rows have fewer or more cells than the header names: is the header right?".to_owned());
    }
    if mostly(Reason::WrongInterval) {
        notes.push("most rows are off the grid of their interval: is --interval right?".to_owned());
    }
    notes
}
