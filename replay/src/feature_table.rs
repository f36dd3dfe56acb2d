//! Features as a table: what a model sees of each bar, for people to look at, plot and check.
//!
//! - Bars come from the same source, and features from the same code, as in backtest and training.
//! - A row per bar of the range, in order of time and symbol; a value is absent where there are too few bars before it.
//! - Indicators start at the first candle of the journals, features of the specification at their anchor: neither
//!   depends on where the range begins.
//! - It holds one row at a time, so memory does not grow with the journals.

use crate::catalog::{History, Selection, select};
use crate::driver::Source;
use crate::error::ReplayError;
use crate::history::{HistorySource, Range};
use crate::plan::calendar_for;
use daybook_config::{Calendar, Settings};
use daybook_core::{Body, feature_session};
use daybook_features::columns::{Cell, Column, ColumnType, ColumnWriter, Format, Written};
use daybook_features::spec::FeatureStream;
use daybook_features::{Bar, FEATURE_NAMES, Named, Session};
use daybook_vocabulary::{Candle, Date, Instrument, Interval, Nanos};
use std::path::PathBuf;

/// What to compute.
#[derive(Debug, Clone)]
pub enum Columns {
    /// These indicators.
    Indicators(Vec<Named>),
    /// Feature specification v1.
    Specification,
}

/// Which bars, which columns, and where they go.
#[derive(Debug, Clone)]
pub struct FeatureTable {
    /// Journals of history, by rank.
    pub journals: Vec<PathBuf>,
    /// Symbols; all when empty.
    pub symbols: Vec<String>,
    /// Interval of the candles; needed when the journals hold several.
    pub interval: Option<Interval>,
    /// First session, inclusive.
    pub from: Option<Date>,
    /// Last session, inclusive.
    pub to: Option<Date>,
    /// What to compute.
    pub columns: Columns,
    /// The file.
    pub out: PathBuf,
    /// How it is laid out.
    pub format: Format,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableWritten {
    /// The file.
    pub file: Written,
    /// Names of the computed columns.
    pub columns: Vec<String>,
    /// Rows in which every computed column has a value.
    pub complete: u64,
}

/// One instrument's columns.
#[derive(Clone)]
enum Computing {
    Indicators(Vec<Named>),
    Specification(Box<FeatureStream>),
}

impl Computing {
    fn names(&self) -> Vec<String> {
        match self {
            Self::Indicators(list) => list.iter().flat_map(|one| one.columns.clone()).collect(),
            Self::Specification(_) => FEATURE_NAMES.map(str::to_owned).into(),
        }
    }

    /// Learns a bar and appends its values.
    fn push(&mut self, bar: &Bar<'_>, row: &mut Vec<Option<f64>>) {
        match self {
            Self::Indicators(list) => {
                for one in list {
                    one.observe(bar);
                    row.extend((0..one.columns.len()).map(|output| one.read(output)));
                }
            }
            Self::Specification(stream) => match stream.push(bar) {
                Some(features) => row.extend(features.map(|value| Some(f64::from(value)))),
                None => row.extend([None; FEATURE_NAMES.len()]),
            },
        }
    }
}

/// Writes the table. `progress` is told how many candles were read.
pub fn feature_table(
    options: &FeatureTable,
    settings: &Settings,
    progress: &mut dyn FnMut(u64),
) -> Result<TableWritten, ReplayError> {
    let histories = options.journals.iter().map(|path| History::open(path)).collect::<Result<Vec<_>, _>>()?;
    let selection = select(&histories, &options.symbols, options.interval)?;
    let calendar = calendar_for(settings, &selection)?;
    let range = Range::of_dates(&calendar, options.from, options.to);
    if !HistorySource::reaches(&histories, &selection, range)? {
        return Err(empty_range(&histories, &selection, &calendar, options));
    }
    let reads = Range { from: begins(options, &calendar, &selection), until: range.until };
    let mut source = HistorySource::new(&histories, &selection, calendar.clone(), reads, 0)?;
    let mut table = Table::begin(options, &selection)?;
    let mut session = None;
    let mut read = 0;
    while source.advance()? {
        match source.input().body {
            Body::SessionOpened(hours) => session = Some(feature_session(&calendar, &hours)),
            Body::Candle(id, candle) => {
                let session = session.as_ref().expect("a session opens before its first candle");
                table.take(id.index(), candle, session, candle.open_time() >= range.from)?;
                read += 1;
                if read % 8_192 == 0 {
                    progress(read);
                }
            }
            _ => {}
        }
    }
    table.end()
}

/// The file on its way, and one computation per instrument.
struct Table {
    names: Vec<String>,
    instruments: Vec<Instrument>,
    computing: Vec<Computing>,
    writer: ColumnWriter,
    row: Vec<Option<f64>>,
    complete: u64,
}

impl Table {
    fn begin(options: &FeatureTable, selection: &Selection) -> Result<Self, ReplayError> {
        let computing = match &options.columns {
            Columns::Indicators(list) => Computing::Indicators(list.clone()),
            Columns::Specification => Computing::Specification(Box::default()),
        };
        let names = computing.names();
        let mut columns = vec![
            Column::new("open_time", ColumnType::Timestamp),
            Column::new("known", ColumnType::Timestamp),
            Column::new("symbol", ColumnType::Utf8),
        ];
        let prices = ["open", "high", "low", "close", "volume"];
        columns.extend(prices.map(|name| Column::new(name, ColumnType::Decimal)));
        columns.extend(names.iter().map(|name| Column::new(name, ColumnType::F64)));
        let writer = ColumnWriter::create(&options.out, &columns, options.format).map_err(report)?;
        Ok(Self {
            names,
            instruments: selection.instruments.clone(),
            computing: vec![computing; selection.instruments.len()],
            writer,
            row: Vec::new(),
            complete: 0,
        })
    }

    fn take(&mut self, place: usize, candle: &Candle, session: &Session, shown: bool) -> Result<(), ReplayError> {
        let bar = Bar { candle, session };
        self.row.clear();
        self.computing[place].push(&bar, &mut self.row);
        if !shown {
            return Ok(());
        }
        let mut cells = vec![
            Cell::Time(candle.open_time()),
            Cell::Time(bar.known()),
            Cell::Text(&self.instruments[place].symbol),
            Cell::from(candle.open()),
            Cell::from(candle.high()),
            Cell::from(candle.low()),
            Cell::from(candle.close()),
            Cell::from(candle.volume()),
        ];
        cells.extend(self.row.iter().map(|value| value.map_or(Cell::Null, Cell::F64)));
        self.complete += u64::from(self.row.iter().all(Option::is_some));
        self.writer.append(&cells).map_err(report)
    }

    fn end(self) -> Result<TableWritten, ReplayError> {
        let file = self.writer.finish().map_err(report)?;
        Ok(TableWritten { file, columns: self.names, complete: self.complete })
    }
}

fn report(error: impl ToString) -> ReplayError {
    ReplayError::Report(error.to_string())
}

/// From where candles are read: the anchor of the range's first bars, or the beginning.
fn begins(options: &FeatureTable, calendar: &Calendar, selection: &Selection) -> Nanos {
    match (&options.columns, options.from) {
        (Columns::Specification, Some(from)) => anchor_of(from, calendar, selection.interval),
        _ => Nanos::MIN,
    }
}

/// The instant from which candles must be read so that features of sessions on or after `from` are complete: the
/// beginning of the month before, of the year before for daily bars.
pub fn anchor_of(from: Date, calendar: &Calendar, interval: Interval) -> Nanos {
    let written = from.to_string();
    let number = |part: usize| written.split('-').nth(part).and_then(|text| text.parse::<i32>().ok()).unwrap_or(1);
    let (year, month) = match (number(0), number(1)) {
        (year, _) if interval.is_daily() => (year - 1, 1),
        (year, 1) => (year - 1, 12),
        (year, month) => (year, month - 1),
    };
    let first = format!("{year:04}-{month:02}-01").parse::<Date>();
    first.map_or(Nanos::MIN, |first| first.midnight() + -calendar.zone_offset())
}

fn empty_range(
    histories: &[History],
    selection: &Selection,
    calendar: &Calendar,
    options: &FeatureTable,
) -> ReplayError {
    let chosen = || {
        let every = histories.iter().flat_map(|history| &history.series);
        every.filter(|series| {
            series.interval == selection.interval && selection.instruments.contains(&series.definition)
        })
    };
    let date = |time: Option<Nanos>| time.map(|time| calendar.date_of(time).to_string()).unwrap_or_default();
    let bound = |date: Option<Date>, open: &str| date.map_or_else(|| open.to_owned(), |date| date.to_string());
    ReplayError::EmptyRange {
        from: bound(options.from, "the beginning"),
        to: bound(options.to, "the end"),
        first: date(chosen().map(|series| series.first).min()),
        last: date(chosen().map(|series| series.last).max()),
    }
}
