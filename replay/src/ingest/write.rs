//! Sorted rows to frames: one run of the journal.
//!
//! - The first frame of a run is written with its first candle or quarantined row: a command without news writes
//!   nothing.
//! - While an interrupted run is resumed, every frame is compared with the one that is there instead of being written.
//!   *Crash at frame k*: the journal holds the first k frames of this very sequence (the journal's promise), so the
//!   next try finds k equal frames and appends the rest.
//! - Frames that concern no instrument carry no stream; a quarantined row carries its instrument's, where its symbol is
//!   one that a candle has defined.
//! - Time never steps back within the run: quarantined rows and the run's end carry the time of its last candle.

use super::coverage::Coverage;
use super::known::{Known, KnownCandle, KnownCandles};
use super::read::{Inputs, SortedRows, hints};
use super::record::{Record, Refused, interval_of, rank_of};
use super::report::IngestReport;
use super::resolve::{Group, Outcome};
use super::sort::{Merged, Sorter};
use super::{IngestError, IngestOptions, Phase, Progress, seal, spill_error};
use daybook_adapters::files::Reason;
use daybook_config::{Calendar, TickTable};
use daybook_core::NO_STREAM;
use daybook_journal::{Cursor, Draft, Writer, flags};
use daybook_vocabulary::PayloadBuffer;
use daybook_vocabulary::header::Series;
use daybook_vocabulary::{
    Candle, Hash, Instrument, InstrumentId, Nanos, Payload, Price, Quantity, Quarantine, RunEnded, RunStarted,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Refused rows collected before they are sorted.
const REFUSED_CHUNK: usize = 4096;
/// Rows between two words to the listener.
const ADVANCE_ROWS: u64 = 1 << 16;

/// A run being written.
pub(crate) struct Run<'a> {
    options: &'a IngestOptions,
    inputs: &'a Inputs,
    out: Frames<'a>,
    known: Option<KnownCandles>,
    refused: Sorter<Refused>,
    refused_chunk: Vec<Refused>,
    /// By rank of the symbol: its intervals.
    covered: Vec<Vec<Covered>>,
    report: IngestReport,
    spill: PathBuf,
}

impl<'a> Run<'a> {
    /// Writes the run and closes the journal.
    pub fn write(
        options: &'a IngestOptions,
        inputs: &'a Inputs,
        rows: SortedRows,
        writer: Writer,
        progress: &'a mut dyn Progress,
    ) -> Result<IngestReport, IngestError> {
        progress.begin(Phase::Write, rows.rows);
        let id = inputs.id(options);
        let spill = options.journal.join("cache").join("ingest");
        let mut known = Known::open(&options.journal)?;
        let mut report = IngestReport { run: id, rows: rows.rows, ..IngestReport::default() };
        let previous = known.as_mut().and_then(|known| known.take_unfinished(id));
        let mut instruments = BTreeMap::new();
        if let Some(known) = &mut known {
            known.load_instruments()?;
            instruments = known.instruments.clone();
        }
        let mut records = rows.records.finish().map_err(spill_error(&spill))?;
        let first = records.next().map_err(spill_error(&spill))?;
        let known_candles = match (&known, &first) {
            (Some(known), Some(first)) if !known.runs.is_empty() => {
                Some(known.candles(first.time, ranks_of(&instruments, options, inputs))?)
            }
            _ => None,
        };
        let sealed = known.as_ref().and_then(|known| known.journal.seals().last()).map(|seal| seal.frames);
        report.notes.clone_from(&inputs.notes);
        let mut run = Run {
            options,
            inputs,
            out: Frames::new(options, inputs, id, writer, previous, instruments, progress),
            known: known_candles,
            refused: rows.refused,
            refused_chunk: Vec::new(),
            covered: vec![Vec::new(); inputs.symbols.len()],
            report,
            spill,
        };
        run.candles(first, records)?;
        run.quarantine(known.as_ref())?;
        for range in options.fetched.iter().flatten() {
            run.out.later(NO_STREAM.0, range)?;
        }
        run.finish(sealed)
    }

    fn candles(&mut self, first: Option<Record>, mut records: Merged<Record>) -> Result<(), IngestError> {
        let accepted = self.inputs.accepted_files();
        let mut group = Group::default();
        let mut pending = first.filter(|record| accepted[record.file as usize]);
        let mut unreported = 0;
        while let Some(record) = records.next().map_err(spill_error(&self.spill))? {
            if !accepted[record.file as usize] {
                continue;
            }
            match pending.replace(record) {
                None => {}
                Some(previous) if previous.key() == record.key() => self.collect(&mut group, previous),
                Some(previous) => self.close(&mut group, previous)?,
            }
            unreported += 1;
            if unreported == ADVANCE_ROWS {
                self.out.progress.advance(unreported);
                unreported = 0;
            }
        }
        match pending {
            Some(last) => self.close(&mut group, last),
            None => Ok(()),
        }
    }

    /// Adds a row to a group; past its bound the row is refused at once.
    fn collect(&mut self, group: &mut Group, record: Record) {
        if let Some(record) = group.push(record) {
            self.refuse(record, Reason::DuplicateStamp, None);
        }
    }

    /// Ends the group of `last`, its last row.
    #[inline]
    fn close(&mut self, group: &mut Group, last: Record) -> Result<(), IngestError> {
        let known = match &mut self.known {
            Some(known) => known.in_force(last.key())?,
            None => None,
        };
        if known.is_none() && group.key().is_none() {
            // By far the most frequent: one row, and a stamp nobody has seen.
            return self.keep(&last, last.candle(false));
        }
        self.collect(group, last);
        let outcome = group.resolve(self.options.duplicates, known, self.options.revise);
        self.settle(&last, outcome, known)
    }

    fn settle(&mut self, of: &Record, outcome: Outcome, known: Option<KnownCandle>) -> Result<(), IngestError> {
        self.report.duplicates += outcome.duplicates;
        self.report.merged += outcome.merged;
        for (record, reason, remark) in outcome.refused {
            self.refuse(record, reason, remark);
        }
        match outcome.candle {
            Some(candle) => {
                self.report.revised += u64::from(known.is_some());
                self.keep(of, candle)
            }
            None => {
                if outcome.covered {
                    self.cover(of, false);
                }
                Ok(())
            }
        }
    }

    #[inline]
    fn keep(&mut self, of: &Record, candle: Candle) -> Result<(), IngestError> {
        self.report.kept += 1;
        self.cover(of, true);
        self.out.candle(of.time, rank_of(of.series), &candle)
    }

    #[inline]
    fn cover(&mut self, of: &Record, written: bool) {
        let intervals = &mut self.covered[rank_of(of.series)];
        let at = match intervals.iter().position(|covered| covered.series == of.series) {
            Some(at) => at,
            None => {
                intervals.push(Covered::new(of.series));
                intervals.len() - 1
            }
        };
        intervals[at].note(&self.options.calendar, of.open_time, written);
    }

    fn refuse(&mut self, record: Record, reason: Reason, remark: Option<String>) {
        let mut text = record.text(&self.inputs.symbols[rank_of(record.series)]);
        text.push_str(remark.as_deref().unwrap_or_default());
        let file_rank = self.inputs.files[record.file as usize].rank;
        let symbol = rank_of(record.series) as u32;
        self.refused_chunk.push(Refused::new(file_rank, record.line, reason, symbol, text));
    }

    /// Writes the quarantined rows that are not in the journal yet.
    fn quarantine(&mut self, known: Option<&Known>) -> Result<(), IngestError> {
        self.flush_refused()?;
        let accepted = self.inputs.accepted_ranks();
        let ranks: BTreeMap<Hash, u32> = self.inputs.hashes.iter().copied().zip(0..).collect();
        let mut before = known.map(|known| known.quarantined(&ranks)).transpose()?;
        let sorter = std::mem::replace(&mut self.refused, Sorter::new(&self.spill, "none", 0));
        let streams = self.out.streams();
        let mut rows = sorter.finish().map_err(spill_error(&self.spill))?;
        while let Some(row) = rows.next().map_err(spill_error(&self.spill))? {
            if !accepted[row.file_rank as usize] {
                continue;
            }
            if let Some(before) = &mut before
                && before.contains(&row)?
            {
                self.report.already_quarantined += 1;
                continue;
            }
            *self.report.quarantined.entry(row.reason.word().to_owned()).or_default() += 1;
            let file = self.inputs.hashes[row.file_rank as usize];
            let payload = Quarantine { file, line: row.line, reason: row.reason.word().to_owned(), row: row.text };
            let stream = streams.get(row.symbol as usize).copied().unwrap_or(NO_STREAM.0);
            self.out.later(stream, &payload)?;
        }
        Ok(())
    }

    fn flush_refused(&mut self) -> Result<(), IngestError> {
        let mut rows = std::mem::take(&mut self.refused_chunk);
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(REFUSED_CHUNK));
            self.refused.push(rows).map_err(spill_error(&self.spill))?;
            rows = rest;
        }
        Ok(())
    }

    fn finish(self, sealed: Option<u64>) -> Result<IngestReport, IngestError> {
        let Self { options, inputs, mut out, mut covered, mut report, .. } = self;
        covered.iter_mut().for_each(|intervals| intervals.sort_by_key(|covered| covered.series));
        out.end(&report, &covered)?;
        let Frames { mut writer, resumed, wrote, .. } = out;
        writer.sync()?;
        report.unchanged = !wrote;
        report.resumed_frames = resumed;
        report.sealed = sealed == Some(writer.head().frames);
        if !report.sealed && writer.head().frames > 0 {
            report.sealed = seal(options, &mut writer)?;
        }
        let head = writer.close()?;
        report.frames = head.frames;
        report.content = Hash(head.content.0);
        for Covered { series, coverage, .. } in covered.into_iter().flatten() {
            let no_volume = inputs.without_volume.get(&series).copied().unwrap_or(false);
            report.series.push(coverage.finish(inputs.symbols[rank_of(series)].clone(), no_volume));
        }
        report.unknown_years = inputs.unknown_years.iter().copied().collect();
        report.files = inputs.reports();
        report.notes.extend(hints(options.stamp, report.rows, &report.quarantined));
        Ok(report)
    }
}

/// One symbol and interval: what its bars cover, and what of them this run writes.
#[derive(Debug, Clone)]
struct Covered {
    series: u64,
    coverage: Coverage,
    written: u64,
    first: i64,
    last: i64,
}

impl Covered {
    fn new(series: u64) -> Self {
        Self { series, coverage: Coverage::new(interval_of(series)), written: 0, first: 0, last: 0 }
    }

    #[inline]
    fn note(&mut self, calendar: &Calendar, open_time: i64, written: bool) {
        self.coverage.note(calendar, open_time);
        if written {
            if self.written == 0 {
                self.first = open_time;
            }
            self.last = open_time;
            self.written += 1;
        }
    }
}

/// Ids and definitions of instruments, by (market, symbol).
type Instruments = BTreeMap<(String, String), (u32, Instrument)>;

/// The rank of each instrument of the journal in this command.
fn ranks_of(instruments: &Instruments, options: &IngestOptions, inputs: &Inputs) -> Vec<Option<u32>> {
    let mut ranks = vec![None; instruments.values().map(|(id, _)| *id as usize + 1).max().unwrap_or(0)];
    for ((market, symbol), (id, _)) in instruments {
        if market == options.calendar.market() {
            ranks[*id as usize] = inputs.symbols.binary_search(symbol).ok().map(|rank| rank as u32);
        }
    }
    ranks
}

/// The frames of a run: compared with those of an interrupted try as long as there are any, then appended.
struct Frames<'a> {
    options: &'a IngestOptions,
    inputs: &'a Inputs,
    writer: Writer,
    /// The frames that an interrupted try left.
    previous: Option<Cursor>,
    resumed: u64,
    /// True once a frame was appended.
    wrote: bool,
    id: Hash,
    /// Time of the last frame; none before the run has begun.
    time: Option<i64>,
    instruments: Instruments,
    /// Ids by rank, of instruments known to be defined.
    ids: Vec<Option<u32>>,
    ticks: Option<TickTable>,
    payload: PayloadBuffer,
    since_commit: u64,
    progress: &'a mut dyn Progress,
}

impl<'a> Frames<'a> {
    fn new(
        options: &'a IngestOptions,
        inputs: &'a Inputs,
        id: Hash,
        writer: Writer,
        previous: Option<Cursor>,
        instruments: Instruments,
        progress: &'a mut dyn Progress,
    ) -> Self {
        Self {
            options,
            inputs,
            writer,
            previous,
            resumed: 0,
            wrote: false,
            id,
            time: None,
            ids: vec![None; inputs.symbols.len()],
            instruments,
            ticks: (options.calendar.market() == "nse").then(TickTable::nse),
            payload: PayloadBuffer::new(),
            since_commit: 0,
            progress,
        }
    }

    /// A candle, after its instrument where that is new.
    #[inline]
    fn candle(&mut self, time: i64, rank: usize, candle: &Candle) -> Result<(), IngestError> {
        self.begin(time)?;
        let id = match self.ids[rank] {
            Some(id) => id,
            None => self.instrument(time, rank, candle)?,
        };
        self.emit(time, 0, id, candle)
    }

    /// By rank of the symbol: the id of its instrument, or [`NO_STREAM`] where it is not defined.
    fn streams(&self) -> Vec<u32> {
        let market = self.options.calendar.market();
        let id = |symbol: &String| self.instruments.get(&(market.to_owned(), symbol.clone())).map(|(id, _)| *id);
        self.inputs.symbols.iter().map(|symbol| id(symbol).unwrap_or(NO_STREAM.0)).collect()
    }

    /// A frame that comes after the candles.
    fn later<P: Payload>(&mut self, stream: u32, payload: &P) -> Result<(), IngestError> {
        // A run of quarantined rows alone has no time of its own.
        let time = self.time.unwrap_or(0);
        self.begin(time)?;
        self.emit(time, 0, stream, payload)
    }

    /// The end of the run, if it has begun; every frame of an interrupted try must have been met by then.
    fn end(&mut self, report: &IngestReport, covered: &[Vec<Covered>]) -> Result<(), IngestError> {
        if self.time.is_some() {
            let written = covered.iter().flatten().filter(|covered| covered.written > 0);
            let series = written.filter_map(|covered| self.series(covered)).collect();
            let ended = RunEnded {
                id: self.id,
                rows: report.rows,
                kept: report.kept,
                duplicates: report.duplicates,
                merged: report.merged,
                quarantined: report.quarantined.iter().map(|(reason, count)| (reason.clone(), *count)).collect(),
                series,
            };
            self.later(NO_STREAM.0, &ended)?;
        }
        match &mut self.previous {
            Some(previous) => match previous.next()? {
                Some(frame) => Err(IngestError::Diverged { dir: self.options.journal.clone(), seq: frame.seq }),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// What the run holds of a symbol and interval.
    fn series(&self, covered: &Covered) -> Option<Series> {
        let symbol = &self.inputs.symbols[rank_of(covered.series)];
        let key = (self.options.calendar.market().to_owned(), symbol.clone());
        let (id, definition) = self.instruments.get(&key)?;
        Some(Series {
            instrument: InstrumentId(*id),
            definition: definition.clone(),
            interval: interval_of(covered.series),
            candles: covered.written,
            first: Nanos(covered.first),
            last: Nanos(covered.last),
        })
    }

    #[inline]
    fn begin(&mut self, time: i64) -> Result<(), IngestError> {
        if self.time.is_some() {
            return Ok(());
        }
        let started = RunStarted {
            command: self.options.command().to_owned(),
            id: self.id,
            revises: self.options.revise,
            files: self.inputs.accepted_hashes(),
        };
        self.emit(time, flags::RUN_START, NO_STREAM.0, &started)
    }

    /// The id of an instrument, which is defined here where no earlier frame does.
    fn instrument(&mut self, time: i64, rank: usize, candle: &Candle) -> Result<u32, IngestError> {
        let market = self.options.calendar.market().to_owned();
        let symbol = self.inputs.symbols[rank].clone();
        let key = (market.clone(), symbol.clone());
        let id = match self.instruments.get(&key) {
            Some((id, _)) => *id,
            None => {
                // Dense: one behind the highest.
                let id = self.instruments.values().map(|(id, _)| id + 1).max().unwrap_or(0);
                let date = self.options.calendar.date_of(Nanos(time));
                // Shares of NSE trade whole, on a grid that the tick table knows; elsewhere neither is known: prices
                // are not rounded, and the smallest quantity is the smallest that can be written.
                let tick = self.ticks.as_ref().map_or(Price::ZERO, |ticks| ticks.tick_for(candle.close(), date));
                let lot = if self.ticks.is_some() { Quantity::from_units(1) } else { Quantity(1) };
                let instrument = Instrument { market, symbol, tick, lot };
                self.emit(time, 0, id, &instrument)?;
                self.instruments.insert(key, (id, instrument));
                id
            }
        };
        self.ids[rank] = Some(id);
        Ok(id)
    }

    #[inline]
    fn emit<P: Payload>(&mut self, time: i64, flags: u8, stream: u32, payload: &P) -> Result<(), IngestError> {
        assert!(self.time.is_none_or(|last| last <= time), "rows come in order of time");
        self.time = Some(time);
        self.payload.clear();
        payload.encode(&mut self.payload);
        let draft = Draft { time, kind: P::KIND.number(), schema: P::SCHEMA, flags, stream };
        if self.previous.is_some() && self.compare(&draft)? {
            return Ok(());
        }
        self.writer.append(draft, &self.payload)?;
        self.wrote = true;
        self.since_commit += 1;
        if self.since_commit >= self.options.batch_frames { self.commit() } else { Ok(()) }
    }

    #[cold]
    fn commit(&mut self) -> Result<(), IngestError> {
        self.writer.commit()?;
        self.since_commit = 0;
        if self.progress.keep_going() { Ok(()) } else { Err(IngestError::Interrupted) }
    }

    /// Meets the next frame of the interrupted try; false when there is none left.
    fn compare(&mut self, draft: &Draft) -> Result<bool, IngestError> {
        let Some(previous) = &mut self.previous else { return Ok(false) };
        let Some(frame) = previous.next()? else {
            self.previous = None;
            return Ok(false);
        };
        let Draft { time, kind, schema, flags, stream } = *draft;
        let same = (frame.time, frame.kind, frame.schema, frame.flags, frame.stream)
            == (time, kind, schema, flags, stream)
            && frame.payload == self.payload.as_slice();
        if !same {
            return Err(IngestError::Diverged { dir: self.options.journal.clone(), seq: frame.seq });
        }
        self.resumed += 1;
        Ok(true)
    }
}
