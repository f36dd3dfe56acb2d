//! What the journal holds already: runs, instruments, candles and quarantined rows.
//!
//! - Candles and quarantined rows are read as streams, in the order in which new ones come: memory does not grow with
//!   the journal.
//! - Of several candles with one key the last run's is the value in force.
//! - The unfinished run that is being resumed is left out: its work is done again, and compared.

use super::IngestError;
use super::record::{Refused, series_of};
use daybook_adapters::files::Reason;
use daybook_journal::{Cursor, Frame, Journal, Merge};
use daybook_vocabulary::{Candle, Fetched, Hash, Instrument, Kind, Payload, Quarantine, RunEnded, RunStarted};
use std::collections::BTreeMap;
use std::path::Path;

/// A run of the journal.
#[derive(Debug)]
pub(crate) struct KnownRun {
    pub first_seq: u64,
    /// One behind its last frame.
    pub end: u64,
    pub started: RunStarted,
    /// None where the command was interrupted.
    pub ended: Option<RunEnded>,
}

/// The journal as it stood when the command began.
#[derive(Debug)]
pub(crate) struct Known {
    pub journal: Journal,
    pub runs: Vec<KnownRun>,
    /// Ids by (market, symbol), of instruments defined before `end`.
    pub instruments: BTreeMap<(String, String), (u32, Instrument)>,
    /// Frames that count: all, or those before the run that is resumed.
    pub end: u64,
}

impl Known {
    /// Opens and looks at the runs; none where there is no journal or an empty one.
    pub fn open(dir: &Path) -> Result<Option<Self>, IngestError> {
        if !dir.exists() || dir.read_dir().is_ok_and(|mut entries| entries.next().is_none()) {
            return Ok(None);
        }
        let journal = Journal::open(dir)?;
        let end = journal.head().frames;
        if end == 0 {
            return Ok(Some(Self { journal, runs: Vec::new(), instruments: BTreeMap::new(), end }));
        }
        let first = journal.frame(0)?;
        if first.header.kind != Kind::RunStarted.number() {
            return Err(IngestError::NotHistory { dir: dir.to_owned() });
        }
        let mut runs = Vec::new();
        for run in journal.runs()? {
            let (first_seq, end) = (run.first_seq, run.end());
            let frame = journal.frame(first_seq)?;
            let started = decode::<RunStarted>(&frame.frame(), Kind::RunStarted)?
                .ok_or_else(|| IngestError::NotHistory { dir: dir.to_owned() })?;
            let last = journal.frame(end - 1)?;
            let ended = decode::<RunEnded>(&last.frame(), Kind::RunEnded)?;
            runs.push(KnownRun { first_seq, end, started, ended });
        }
        Ok(Some(Self { journal, runs, instruments: BTreeMap::new(), end }))
    }

    /// The finished run with this id.
    pub fn finished(&self, id: Hash) -> Option<&KnownRun> {
        self.runs.iter().rev().find(|run| run.started.id == id && run.ended.is_some())
    }

    /// Sets aside the unfinished run with this id at the journal's end, if there is one, and gives its frames.
    pub fn take_unfinished(&mut self, id: Hash) -> Option<Cursor> {
        let last = self.runs.last()?;
        if last.started.id != id || last.ended.is_some() {
            return None;
        }
        let first = last.first_seq;
        self.runs.pop();
        self.end = first;
        Some(self.journal.cursor(first))
    }

    /// Learns the instruments: from the last frame of a finished run, from all frames of an unfinished one.
    pub fn load_instruments(&mut self) -> Result<(), IngestError> {
        for run in &self.runs {
            if let Some(ended) = &run.ended {
                for series in &ended.series {
                    let key = (series.definition.market.clone(), series.definition.symbol.clone());
                    self.instruments.entry(key).or_insert((series.instrument.0, series.definition.clone()));
                }
                continue;
            }
            let mut cursor = self.journal.cursor(run.first_seq).until(run.end);
            while let Some(frame) = cursor.next()? {
                if let Some(instrument) = decode::<Instrument>(&frame, Kind::Instrument)? {
                    let key = (instrument.market.clone(), instrument.symbol.clone());
                    self.instruments.entry(key).or_insert((frame.stream, instrument));
                }
            }
        }
        Ok(())
    }

    /// The candles of all runs from `time` on, in the order of new ones. `ranks` gives the rank of an instrument in
    /// this command; candles of others are passed over.
    pub fn candles(&self, time: i64, ranks: Vec<Option<u32>>) -> Result<KnownCandles, IngestError> {
        let mut cursors = Vec::new();
        for (at, run) in self.runs.iter().enumerate() {
            let from = self.journal.seek_time(at, time)?;
            cursors.push(self.journal.cursor(from).until(run.end));
        }
        let key_ranks = ranks.clone();
        let key: CandleKey =
            Box::new(move |_, frame| candle_key(frame, &key_ranks).unwrap_or((frame.time, 0, i64::MIN)));
        Ok(KnownCandles { merge: Merge::new(cursors, key), ranks, ahead: None })
    }

    /// The quarantined rows of the given files (hash to rank), in the order of new ones.
    pub fn quarantined(&self, files: &BTreeMap<Hash, u32>) -> Result<KnownRefused, IngestError> {
        let mut cursors = Vec::new();
        for run in self.runs.iter().filter(|run| run.started.files.iter().any(|file| files.contains_key(file))) {
            let from = match &run.ended {
                Some(ended) => {
                    let rows: u64 = ended.quarantined.iter().map(|(_, count)| count).sum();
                    let ranges = self.fetched(run)?.len() as u64;
                    (run.end - 1).saturating_sub(rows + ranges).max(run.first_seq)
                }
                None => self.first_quarantine(run)?,
            };
            cursors.push(self.journal.cursor(from).until(run.end));
        }
        let ranks = files.clone();
        let key: RefusedKey = Box::new(move |_, frame| refused_key(frame, &ranks).unwrap_or((0, 0)));
        Ok(KnownRefused { merge: Merge::new(cursors, key), files: files.clone(), ahead: None, group: Vec::new() })
    }

    /// What a finished run asked a broker for: the frames before its last one.
    pub fn fetched(&self, run: &KnownRun) -> Result<Vec<Fetched>, IngestError> {
        let mut ranges = Vec::new();
        for seq in (run.first_seq..run.end.saturating_sub(1)).rev() {
            match decode::<Fetched>(&self.journal.frame(seq)?.frame(), Kind::Fetched)? {
                Some(range) => ranges.push(range),
                None => break,
            }
        }
        Ok(ranges)
    }

    fn first_quarantine(&self, run: &KnownRun) -> Result<u64, IngestError> {
        let mut headers = self.journal.headers(run.first_seq);
        while let Some(header) = headers.next()? {
            if header.seq >= run.end || header.kind == Kind::Quarantine.number() {
                return Ok(header.seq.min(run.end));
            }
        }
        Ok(run.end)
    }
}

fn decode<P: Payload>(frame: &Frame<'_>, kind: Kind) -> Result<Option<P>, IngestError> {
    if frame.kind != kind.number() {
        return Ok(None);
    }
    P::decode(frame.payload).map(Some).map_err(|source| IngestError::Decode { seq: frame.seq, source })
}

type Key = (i64, u64, i64);
type CandleKey = Box<dyn FnMut(usize, &Frame<'_>) -> Key + Send>;

/// The key of a candle of an instrument of this command.
#[inline]
fn candle_key(frame: &Frame<'_>, ranks: &[Option<u32>]) -> Option<Key> {
    if frame.kind != Kind::Candle.number() {
        return None;
    }
    let rank = ranks.get(frame.stream as usize).copied().flatten()?;
    let candle = Candle::in_place(frame.payload)?;
    Some((frame.time, series_of(rank, candle.interval()), candle.open_time().0))
}

/// A candle that the journal holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownCandle {
    pub seq: u64,
    pub candle: Candle,
}

/// Candles of the journal, asked for in ascending order of key.
pub(crate) struct KnownCandles {
    merge: Merge<Key, CandleKey>,
    ranks: Vec<Option<u32>>,
    ahead: Option<(Key, KnownCandle)>,
}

impl KnownCandles {
    /// The candle in force for `key`: of several the last. Keys are asked for in ascending order.
    pub fn in_force(&mut self, key: Key) -> Result<Option<KnownCandle>, IngestError> {
        let mut found: Option<KnownCandle> = None;
        loop {
            if self.ahead.is_none() {
                self.step()?;
            }
            match &self.ahead {
                Some((ahead, known)) if *ahead <= key => {
                    if *ahead == key && found.is_none_or(|found| found.seq < known.seq) {
                        found = Some(*known);
                    }
                    self.ahead = None;
                }
                _ => return Ok(found),
            }
        }
    }

    fn step(&mut self) -> Result<(), IngestError> {
        while let Some((_, frame)) = self.merge.next()? {
            if let Some(key) = candle_key(&frame, &self.ranks)
                && let Some(candle) = Candle::in_place(frame.payload)
            {
                self.ahead = Some((key, KnownCandle { seq: frame.seq, candle: *candle }));
                return Ok(());
            }
        }
        Ok(())
    }
}

type RefusedKey = Box<dyn FnMut(usize, &Frame<'_>) -> (u32, u64) + Send>;

fn refused_of(frame: &Frame<'_>, files: &BTreeMap<Hash, u32>) -> Option<(u32, u64, String)> {
    if frame.kind != Kind::Quarantine.number() {
        return None;
    }
    let row = Quarantine::decode(frame.payload).ok()?;
    files.get(&row.file).map(|&rank| (rank, row.line, row.reason))
}

fn refused_key(frame: &Frame<'_>, files: &BTreeMap<Hash, u32>) -> Option<(u32, u64)> {
    refused_of(frame, files).map(|(rank, line, _)| (rank, line))
}

/// Quarantined rows of the journal, asked for in ascending order of (file, line).
pub(crate) struct KnownRefused {
    merge: Merge<(u32, u64), RefusedKey>,
    files: BTreeMap<Hash, u32>,
    ahead: Option<(u32, u64, String)>,
    /// The rows of the (file, line) asked for last.
    group: Vec<(u32, u64, String)>,
}

impl KnownRefused {
    /// True when this row was quarantined for this reason before.
    pub fn contains(&mut self, row: &Refused) -> Result<bool, IngestError> {
        let key = (row.file_rank, row.line);
        self.group.retain(|(rank, line, _)| (*rank, *line) == key);
        loop {
            if self.ahead.is_none() {
                self.step()?;
            }
            match self.ahead.take() {
                Some(ahead) if (ahead.0, ahead.1) < key => {}
                Some(ahead) if (ahead.0, ahead.1) == key => self.group.push(ahead),
                other => {
                    self.ahead = other;
                    return Ok(self.group.iter().any(|(_, _, reason)| is_reason(reason, row.reason)));
                }
            }
        }
    }

    fn step(&mut self) -> Result<(), IngestError> {
        while let Some((_, frame)) = self.merge.next()? {
            if let Some(row) = refused_of(&frame, &self.files) {
                self.ahead = Some(row);
                return Ok(());
            }
        }
        Ok(())
    }
}

fn is_reason(word: &str, reason: Reason) -> bool {
    word == reason.word()
}
