//! What is in a journal of history: its instruments, their intervals, how much of each.
//!
//! - A complete run says what it holds in its last frame; only a run that was cut off is scanned.
//! - Instruments are told apart by (market, symbol): ids mean something inside one journal only.

use crate::error::ReplayError;
use daybook_journal::{Journal, Run};
use daybook_vocabulary::{Candle, Event, Instrument, InstrumentId, Interval, Kind, Nanos, Payload, Series};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A journal of history, opened, with its contents known.
pub struct History {
    /// Where it lies.
    pub path: PathBuf,
    /// The journal.
    pub journal: Journal,
    /// Frames of it that count; a longer journal is read up to here.
    pub until: u64,
    /// Every instrument and interval in it.
    pub series: Vec<Series>,
}

impl History {
    /// Opens a journal and learns what it holds.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        Self::open_until(path, u64::MAX)
    }

    /// Opens a journal as it was when it held `frames` frames.
    pub fn open_until(path: &Path, frames: u64) -> Result<Self, ReplayError> {
        let journal = Journal::open(path)?;
        let until = journal.head().frames.min(frames);
        let mut history = Self { path: path.to_owned(), journal, until, series: Vec::new() };
        history.series = series_of(&history)?;
        Ok(history)
    }

    /// The journal's id in hexadecimal; empty for an empty journal.
    pub fn id(&self) -> String {
        self.journal.id().map(|id| hex(&id)).unwrap_or_default()
    }

    /// The runs it consists of, as far as it counts.
    pub fn runs(&self) -> Result<Vec<Run>, ReplayError> {
        let counted = |run: &Run| Run { first_seq: run.first_seq, frames: run.frames.min(self.until - run.first_seq) };
        Ok(self.journal.runs()?.iter().take_while(|run| run.first_seq < self.until).map(counted).collect())
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

type Found = BTreeMap<(InstrumentId, Interval), Series>;

fn series_of(history: &History) -> Result<Vec<Series>, ReplayError> {
    let (journal, path) = (&history.journal, history.path.as_path());
    let mut found = Found::new();
    let mut instruments = BTreeMap::new();
    for run in history.runs()? {
        if run.frames == 0 {
            continue;
        }
        let last = journal.frame(run.first_seq + run.frames - 1)?;
        let last = last.frame();
        if last.kind == Kind::RunEnded.number() {
            let Event::RunEnded(ended) = decode(path, last)? else { unreachable!("the kind was checked") };
            for series in ended.series {
                instruments.insert(series.instrument, series.definition.clone());
                add(&mut found, series);
            }
        } else {
            scan(journal, path, run.first_seq, run.first_seq + run.frames, &mut instruments, &mut found)?;
        }
    }
    Ok(found.into_values().collect())
}

/// Decodes a frame, naming the journal and the seq when it cannot be.
pub fn decode(path: &Path, frame: daybook_journal::Frame<'_>) -> Result<Event, ReplayError> {
    Event::decode(frame.kind, frame.schema, frame.payload).map_err(|source| ReplayError::Frame {
        journal: path.to_owned(),
        seq: frame.seq,
        source,
    })
}

fn add(found: &mut Found, series: Series) {
    found
        .entry((series.instrument, series.interval))
        .and_modify(|known| {
            known.candles += series.candles;
            known.first = known.first.min(series.first);
            known.last = known.last.max(series.last);
        })
        .or_insert(series);
}

fn scan(
    journal: &Journal,
    path: &Path,
    from: u64,
    until: u64,
    instruments: &mut BTreeMap<InstrumentId, Instrument>,
    found: &mut Found,
) -> Result<(), ReplayError> {
    let mut cursor = journal.cursor(from).until(until);
    while let Some(frame) = cursor.next()? {
        let instrument = InstrumentId(frame.stream);
        if frame.kind == Kind::Instrument.number() {
            if let Event::Instrument(definition) = decode(path, frame)? {
                instruments.insert(instrument, definition);
            }
        } else if frame.kind == Kind::Candle.number() {
            let bad = |source| ReplayError::Frame { journal: path.to_owned(), seq: frame.seq, source };
            let candle = Candle::decode(frame.payload).map_err(bad)?;
            let Some(definition) = instruments.get(&instrument) else {
                return Err(ReplayError::UndefinedInstrument { journal: path.to_owned(), seq: frame.seq });
            };
            let (interval, opened): (Interval, Nanos) = (candle.interval(), candle.open_time());
            if let Some(known) = found.get_mut(&(instrument, interval)) {
                known.candles += 1;
                known.first = known.first.min(opened);
                known.last = known.last.max(opened);
            } else {
                let definition = definition.clone();
                found.insert(
                    (instrument, interval),
                    Series { instrument, definition, interval, candles: 1, first: opened, last: opened },
                );
            }
        }
    }
    Ok(())
}

/// What a session takes from its journals: one market, one interval, named instruments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Instruments in (market, symbol) order: their place is their id in the core.
    pub instruments: Vec<Instrument>,
    /// The interval.
    pub interval: Interval,
}

/// Chooses instruments and interval among what the journals hold, or says what there is to choose from.
pub fn select(histories: &[History], symbols: &[String], interval: Option<Interval>) -> Result<Selection, ReplayError> {
    let every = || histories.iter().flat_map(|history| &history.series);
    if every().next().is_none() {
        let journal = histories.first().map(|history| history.path.clone()).unwrap_or_default();
        return Err(ReplayError::NoCandles { journal });
    }
    for wanted in symbols {
        if !every().any(|series| &series.definition.symbol == wanted) {
            return Err(unknown_symbol(wanted, every()));
        }
    }
    let chosen = |series: &&Series| symbols.is_empty() || symbols.contains(&series.definition.symbol);
    let ticks = |series: &&Series| series.interval == crate::ingest::TICKS;
    let has_ticks = every().filter(chosen).any(|series| ticks(&series));
    let mut intervals: Vec<Interval> =
        every().filter(chosen).filter(|series| !ticks(series)).map(|series| series.interval).collect();
    intervals.sort_unstable();
    intervals.dedup();
    let interval = match (interval, intervals.as_slice()) {
        (Some(interval), present) if present.contains(&interval) => interval,
        (None, [only]) => *only,
        // Bars are built from what ticks there are: of any length, of a minute where none is named.
        (wanted, _) if has_ticks && (wanted.is_some() || intervals.is_empty()) => wanted.unwrap_or(Interval::MINUTE),
        (Some(wanted), present) => return Err(ReplayError::NoInterval { wanted, present: list(present) }),
        (None, present) => return Err(ReplayError::SeveralIntervals { present: list(present) }),
    };
    let mut instruments: BTreeMap<(String, String), Instrument> = BTreeMap::new();
    let built = !intervals.contains(&interval);
    let taken = |series: &&Series| series.interval == interval || built && ticks(series);
    for series in every().filter(chosen).filter(taken) {
        let key = (series.definition.market.clone(), series.definition.symbol.clone());
        instruments.insert(key, series.definition.clone());
    }
    let mut markets: Vec<_> = instruments.keys().map(|(market, _)| market.clone()).collect();
    markets.dedup();
    if markets.len() > 1 {
        return Err(ReplayError::SeveralMarkets { present: markets.join(", ") });
    }
    Ok(Selection { instruments: instruments.into_values().collect(), interval })
}

fn list(intervals: &[Interval]) -> String {
    intervals.iter().map(Interval::to_string).collect::<Vec<_>>().join(", ")
}

fn unknown_symbol<'a>(wanted: &str, every: impl Iterator<Item = &'a Series>) -> ReplayError {
    let mut symbols: Vec<&str> = every.map(|series| series.definition.symbol.as_str()).collect();
    symbols.sort_unstable();
    symbols.dedup();
    let count = symbols.len();
    let nearest = daybook_config::nearest_first(wanted, symbols);
    let shown: Vec<_> = nearest.into_iter().take(5).collect();
    let rest = if count > shown.len() { format!(" and {} more", count - shown.len()) } else { String::new() };
    ReplayError::UnknownSymbol { symbol: wanted.to_owned(), nearest: format!("{}{rest}", shown.join(", ")) }
}
