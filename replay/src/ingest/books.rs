//! Ingest of quotes, books and trades: foreign files into a run of a journal of history.
//!
//! - A frame's time is when the file's writer learned the row; what the exchange says of its own clock stays inside.
//! - A book with the day's volume beside it also gives the trades in between, as far as the volume says: one at the last
//!   price for what it grew by. It never invents volume: where it stands, falls, or is seen first, there is none.
//! - Rows outside continuous trading are quarantined (books of an auction cross, and nobody trades against them); rows
//!   that show exactly what the row before them showed are duplicates; every row is accounted for.
//! - The frames follow from the bytes of the files and the calendar. A finished run is recognised and not written twice;
//!   an interrupted one is compared frame by frame and gone on with.

use super::known::Known;
use super::report::{FileReport, IngestReport};
use super::{IngestError, IngestOptions, Phase, Progress, seal};
use daybook_adapters::files::books::{self, BookFile, BookRow, Shown};
use daybook_adapters::files::{FileError, Reason};
use daybook_config::TickTable;
use daybook_core::NO_STREAM;
use daybook_journal::{Cursor, Draft, Writer, flags};
use daybook_vocabulary::header::Series;
use daybook_vocabulary::{
    Date, Hash, Instrument, InstrumentId, Interval, Nanos, Payload, PayloadBuffer, Price, Quantity, Quarantine,
    RunEnded, RunStarted, TradePrint,
};
use std::collections::BTreeMap;

/// The interval of series of quotes, books and trades: none.
pub const TICKS: Interval = Interval(0);

/// True where every file holds quotes, books or trades; an error where some do.
pub(super) fn are_books(options: &IngestOptions) -> Result<bool, IngestError> {
    let (found, other): (Vec<_>, Vec<_>) = options.files.iter().partition(|path| books::is_books(path));
    match (found.first(), other.first()) {
        (Some(book), Some(other)) => Err(IngestError::BadOption(format!(
            "{} holds quotes or books and {} does not: ingest them in two commands",
            book.display(),
            other.display()
        ))),
        (first, _) => Ok(first.is_some()),
    }
}

/// Runs the command on files of books.
pub(super) fn run(options: &IngestOptions, progress: &mut dyn Progress) -> Result<IngestReport, IngestError> {
    progress.begin(Phase::Read, options.files.len() as u64);
    let (mut files, mut report, mut refused) = (Vec::new(), IngestReport::default(), Vec::new());
    for path in &options.files {
        let read: Result<BookFile, FileError> = BookFile::read(path, options.symbol.as_deref());
        let mut said = FileReport { path: path.display().to_string(), hash: None, rows: 0, symbols: 0, refused: None };
        match read {
            Ok(file) if files.iter().any(|known: &BookFile| known.hash == file.hash) => {
                report
                    .notes
                    .push(format!("{}: the same bytes as another file of this command; read once", path.display()));
            }
            Ok(file) => {
                (said.hash, said.symbols) = (Some(file.hash), file.symbols.len() as u64);
                said.rows = (file.rows.len() + file.rejected.len()) as u64;
                files.push(file);
            }
            Err(error) => {
                said.refused = Some(error.to_string());
                refused.push(error.to_string());
            }
        }
        report.files.push(said);
        progress.advance(1);
    }
    if files.is_empty() {
        return Err(IngestError::AllRefused(refused));
    }
    // Neither the order of files nor that of their names counts.
    files.sort_by_key(|file| file.hash);
    report.run = id(options, &files);
    write(options, &files, report, progress)
}

/// Identity of the work: everything the frames depend on.
fn id(options: &IngestOptions, files: &[BookFile]) -> Hash {
    let calendar = &options.calendar;
    let mut text = format!("daybook ingest books 1\nmarket {}\ncalendar {}\n", calendar.market(), calendar.hash());
    for file in files {
        text.push_str(&format!("file {} {}\n", file.hash, file.symbols.join("\t")));
    }
    Hash(*blake3::hash(text.as_bytes()).as_bytes())
}

fn write(
    options: &IngestOptions,
    files: &[BookFile],
    mut report: IngestReport,
    progress: &mut dyn Progress,
) -> Result<IngestReport, IngestError> {
    let mut known = Known::open(&options.journal)?;
    if let Some(known) = &known
        && let Some(ended) = known.finished(report.run).and_then(|run| run.ended.clone())
    {
        let head = known.journal.head();
        (report.unchanged, report.rows) = (true, ended.rows);
        (report.duplicates, report.frames, report.content) = (ended.rows, head.frames, Hash(head.content.0));
        report.sealed = known.journal.seals().last().is_some_and(|seal| seal.frames == head.frames);
        return Ok(report);
    }
    let previous = known.as_mut().and_then(|known| known.take_unfinished(report.run));
    let mut instruments = BTreeMap::new();
    if let Some(known) = &mut known {
        known.load_instruments()?;
        instruments = std::mem::take(&mut known.instruments);
    }
    drop(known);
    let writer = Writer::open_or_create(&options.journal, options.segments.clone())?;
    let mut run = Run {
        options,
        writer,
        previous,
        instruments,
        series: BTreeMap::new(),
        time: i64::MIN,
        payload: PayloadBuffer::new(),
        since: 0,
        resumed: 0,
        progress,
    };
    run.all(files, &mut report)?;
    let Run { mut writer, resumed, .. } = run;
    writer.sync()?;
    report.resumed_frames = resumed;
    report.sealed = seal(options, &mut writer)?;
    let head = writer.close()?;
    (report.frames, report.content) = (head.frames, Hash(head.content.0));
    Ok(report)
}

/// The frames of a run, compared with those of an interrupted try as long as there are any.
struct Run<'a> {
    options: &'a IngestOptions,
    writer: Writer,
    previous: Option<Cursor>,
    instruments: BTreeMap<(String, String), (u32, Instrument)>,
    series: BTreeMap<String, Series>,
    time: i64,
    payload: PayloadBuffer,
    since: u64,
    resumed: u64,
    progress: &'a mut dyn Progress,
}

/// What an instrument showed last.
#[derive(Default)]
struct Before<'a> {
    shown: Option<(&'a BookRow, Date)>,
    volume: Option<(Price, Quantity)>,
}

impl Run<'_> {
    fn all(&mut self, files: &[BookFile], report: &mut IngestReport) -> Result<(), IngestError> {
        let mut rows: Vec<(&BookRow, &str, usize)> = Vec::new();
        for (index, file) in files.iter().enumerate() {
            report.rows += (file.rows.len() + file.rejected.len()) as u64;
            rows.extend(file.rows.iter().map(|row| (row, file.symbols[row.symbol as usize].as_str(), index)));
        }
        rows.sort_by_key(|(row, symbol, index)| (row.time, *symbol, *index, row.line));
        let Some((first, ..)) = rows.first() else { return Err(IngestError::NoRows(self.options.files.clone())) };
        self.progress.begin(Phase::Write, rows.len() as u64);
        let started = RunStarted {
            command: self.options.command().to_owned(),
            id: report.run,
            revises: false,
            files: files.iter().map(|file| file.hash).collect(),
        };
        self.emit(first.time.0, flags::RUN_START, NO_STREAM.0, &started)?;
        let mut before: BTreeMap<&str, Before<'_>> = BTreeMap::new();
        let mut outside = Vec::new();
        for (row, symbol, index) in rows {
            let calendar = &self.options.calendar;
            let date = calendar.date_of(row.time);
            let session = calendar.session_for_data(date);
            if !session.is_some_and(|session| (session.open()..session.close()).contains(&row.time)) {
                outside.push((files[index].hash, row.line));
                continue;
            }
            let before = before.entry(symbol).or_default();
            if before
                .shown
                .is_some_and(|(last, _)| (last.time, &last.shown, last.last) == (row.time, &row.shown, row.last))
            {
                report.duplicates += 1;
                continue;
            }
            if before.shown.is_none_or(|(_, day)| day != date) {
                before.volume = None;
            }
            before.shown = Some((row, date));
            self.row(row, symbol, before)?;
            report.kept += 1;
            self.progress.advance(1);
        }
        for file in files {
            for rejected in &file.rejected {
                self.quarantine(file.hash, rejected.line, rejected.reason.word(), report)?;
            }
        }
        for (file, line) in outside {
            self.quarantine(file, line, Reason::OutsideSession.word(), report)?;
        }
        let ended = RunEnded {
            id: report.run,
            rows: report.rows,
            kept: report.kept,
            duplicates: report.duplicates,
            merged: 0,
            quarantined: report.quarantined.iter().map(|(reason, count)| (reason.clone(), *count)).collect(),
            series: self.series.values().cloned().collect(),
        };
        self.emit(self.time, 0, NO_STREAM.0, &ended)?;
        match self.previous.as_mut().map(Cursor::next).transpose()?.flatten() {
            Some(frame) => Err(IngestError::Diverged { dir: self.options.journal.clone(), seq: frame.seq }),
            None => Ok(()),
        }
    }

    /// A row's frames: the trade that its volume shows, then what it shows.
    fn row(&mut self, row: &BookRow, symbol: &str, before: &mut Before<'_>) -> Result<(), IngestError> {
        let time = row.time.0;
        let price = match (&row.shown, row.last) {
            (Shown::Trade(print), _) => print.price(),
            (_, Some((last, _))) => last,
            (Shown::Book(depth), None) => depth.mid().unwrap_or_default(),
            (Shown::Quote(quote), None) => quote.as_depth().mid().unwrap_or_default(),
        };
        let id = self.instrument(row.time, symbol, price)?;
        if let Some((last, volume)) = row.last.filter(|(last, _)| last.0 > 0) {
            let grew = before.volume.map(|(_, before)| Quantity(volume.0.saturating_sub(before.0).max(0)));
            let moved = before.volume.is_none_or(|before| before != (last, volume));
            before.volume = Some((last, volume));
            if moved {
                let at = row.last_trade.unwrap_or(row.time).min(row.time);
                self.emit(time, 0, id, &TradePrint::new(at, last, grew.unwrap_or_default()))?;
            }
        }
        match &row.shown {
            Shown::Book(depth) => self.emit(time, 0, id, &**depth),
            Shown::Quote(quote) => self.emit(time, 0, id, quote),
            Shown::Trade(print) => self.emit(time, 0, id, print),
        }
    }

    /// The id of an instrument, which is defined here where no earlier frame does.
    fn instrument(&mut self, time: Nanos, symbol: &str, price: Price) -> Result<u32, IngestError> {
        let market = self.options.calendar.market().to_owned();
        let key = (market.clone(), symbol.to_owned());
        if !self.instruments.contains_key(&key) {
            let id = self.instruments.values().map(|(id, _)| id + 1).max().unwrap_or(0);
            let nse = market == "nse";
            let date = self.options.calendar.date_of(time);
            let tick = if nse && price.0 > 0 { TickTable::nse().tick_for(price, date) } else { Price::ZERO };
            let lot = if nse { Quantity::from_units(1) } else { Quantity(1) };
            let instrument = Instrument { market, symbol: symbol.to_owned(), tick, lot };
            self.emit(time.0, 0, id, &instrument)?;
            self.instruments.insert(key.clone(), (id, instrument));
        }
        let (id, definition) = &self.instruments[&key];
        let series = self.series.entry(symbol.to_owned()).or_insert_with(|| Series {
            instrument: InstrumentId(*id),
            definition: definition.clone(),
            interval: TICKS,
            candles: 0,
            first: time,
            last: time,
        });
        series.candles += 1;
        series.last = time;
        Ok(*id)
    }

    fn quarantine(
        &mut self,
        file: Hash,
        line: u64,
        reason: &str,
        report: &mut IngestReport,
    ) -> Result<(), IngestError> {
        *report.quarantined.entry(reason.to_owned()).or_default() += 1;
        let payload = Quarantine { file, line, reason: reason.to_owned(), row: String::new() };
        self.emit(self.time, 0, NO_STREAM.0, &payload)
    }

    fn emit<P: Payload>(&mut self, time: i64, flags: u8, stream: u32, payload: &P) -> Result<(), IngestError> {
        assert!(time >= self.time, "rows come in order of time");
        self.time = time;
        self.payload.clear();
        payload.encode(&mut self.payload);
        let draft = Draft { time, kind: P::KIND.number(), schema: P::SCHEMA, flags, stream };
        if let Some(previous) = &mut self.previous {
            match previous.next()? {
                Some(frame) => {
                    let there = (frame.time, frame.kind, frame.schema, frame.flags, frame.stream);
                    let same = there == (time, draft.kind, draft.schema, flags, stream);
                    if !same || frame.payload != self.payload.as_slice() {
                        return Err(IngestError::Diverged { dir: self.options.journal.clone(), seq: frame.seq });
                    }
                    self.resumed += 1;
                    return Ok(());
                }
                None => self.previous = None,
            }
        }
        self.writer.append(draft, &self.payload)?;
        self.since += 1;
        if self.since < self.options.batch_frames {
            return Ok(());
        }
        self.since = 0;
        self.writer.commit()?;
        if self.progress.keep_going() { Ok(()) } else { Err(IngestError::Interrupted) }
    }
}
