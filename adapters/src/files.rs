//! Foreign files of candles: CSV, gzipped CSV, text, Parquet, Arrow IPC.
//!
//! - Two passes: the survey ([`CandleFile::open`]) learns format, columns, symbols, intervals and the order of day
//!   and month; the rows ([`CandleFile::rows`]) then come in batches, in the file's order, with bounded memory.
//! - A row is exact or rejected with a [`Reason`]; nothing is filled, padded or repaired.
//! - Any damage is an error: readers of foreign bytes run contained, and a panic in them is damage of the file.
//! - Missing volume: an instrument whose volume is missing in every row has none (an index) and gets zero, which the
//!   survey says; a row without volume among rows with one is rejected `missing_volume`.
//!
//! ```
//! use daybook_adapters::files::{Batch, CandleFile, ReadOptions};
//!
//! let path = std::env::temp_dir().join(format!("ACME_5m_{}.csv", std::process::id()));
//! std::fs::write(&path, "Date,Open,High,Low,Close,Volume\n2024-01-01 09:15,10,12,9,11,100\n").unwrap();
//! let file = CandleFile::open(&path, &ReadOptions::default()).unwrap();
//! assert_eq!(file.symbols()[0].name, "ACME");
//!
//! let mut batch = Batch::default();
//! assert!(file.rows().unwrap().next(&mut batch).unwrap());
//! assert_eq!(batch.rows[0].high, 12_00000000);
//! std::fs::remove_file(&path).unwrap();
//! ```

pub mod books;
mod columns;
mod contain;
mod convert;
mod error;
mod header;
mod name;
mod number;
mod survey;
mod text;
mod time;

pub use error::{FileError, Reason};
pub use name::is_symbol;
pub use survey::SurveyedSymbol;
pub use time::{DateOrder, Zone};

use contain::contained;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{Hash, Interval};
use name::NameSays;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use survey::Survey;
use time::{Stamp, ZoneClock};

/// What the caller knows better than the file.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Symbol of every row, whatever the file says.
    pub symbol: Option<String>,
    /// Interval of every row.
    pub interval: Option<Interval>,
    /// Zone of times that name none.
    pub zone: Zone,
    /// Order of day and month where the file cannot decide it.
    pub date_order: Option<DateOrder>,
}

impl Default for ReadOptions {
    /// Nothing known, UTC.
    fn default() -> Self {
        Self { symbol: None, interval: None, zone: Zone::Fixed(0), date_order: None }
    }
}

/// A row that reads as a candle. Prices and volume in units of 1e-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Line of a text file, row of a columnar one, from 1.
    pub line: u64,
    /// The source's stamp: nanoseconds UTC.
    pub instant: i64,
    /// Seconds from UTC to the wall clock on which the source wrote the stamp.
    pub wall_offset: i32,
    /// Its symbol, an index into [`CandleFile::symbols`].
    pub symbol: u32,
    /// First price.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Last price.
    pub close: i64,
    /// Quantity traded.
    pub volume: i64,
}

impl Row {
    /// The stamp on the source's wall clock, in nanoseconds since 1970.
    pub const fn wall(&self) -> i64 {
        self.instant + self.wall_offset as i64 * SECOND
    }

    /// Why these numbers are not a candle.
    #[inline]
    fn problem(&self) -> Option<Reason> {
        let Self { open, high, low, close, volume, .. } = *self;
        if 0 < low && low <= open && low <= close && open <= high && close <= high && volume >= 0 {
            return None;
        }
        let lowest = open.min(high).min(low).min(close).min(volume);
        Some(if lowest < 0 { Reason::Negative } else { Reason::BrokenOhlc })
    }
}

/// A row that does not read as a candle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Line of a text file, row of a columnar one, from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
    /// Its symbol as far as it can be told, an index into [`CandleFile::symbols`].
    pub symbol: Option<u32>,
    /// What it says, at most 512 bytes and a little.
    pub text: String,
}

/// Some consecutive rows of a file.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows read: kept and rejected.
    pub read: u64,
    /// Rows that read as candles.
    pub rows: Vec<Row>,
    /// Rows that do not.
    pub rejected: Vec<Rejected>,
}

impl Batch {
    fn clear(&mut self) {
        self.read = 0;
        self.rows.clear();
        self.rejected.clear();
    }
}

/// A surveyed file of candles.
#[derive(Debug)]
pub struct CandleFile {
    hash: Hash,
    bytes: u64,
    format: Format,
    reading: Reading,
    survey: Survey,
}

#[derive(Debug)]
enum Format {
    Text(text::TextFormat),
    Columns(columns::ColumnFormat),
}

/// What a pass needs to read a row.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    path: PathBuf,
    order: Option<DateOrder>,
    zone: ZoneClock,
    /// The symbol where no column has one, or the caller's.
    symbol: Option<String>,
    /// True when the caller's symbol stands for every row.
    fixed: bool,
    /// The first symbol that the file itself names, where the caller's stands for every row.
    named: Option<Vec<u8>>,
}

impl Reading {
    /// For columns whose times are instants, or naive ones in UTC.
    fn of_utc() -> Self {
        let zone = ZoneClock::new(Zone::Fixed(0));
        Self { path: PathBuf::new(), order: None, zone, symbol: None, fixed: false, named: None }
    }

    /// The instant of a stamp and the offset of its wall clock.
    #[inline]
    fn instant(&mut self, stamp: Stamp) -> Option<(i64, i32)> {
        let offset = match stamp.offset {
            Some(offset) => offset,
            None => self.zone.offset_of_wall(stamp.wall)?,
        };
        Some((stamp.wall - i64::from(offset) * SECOND, offset))
    }

    /// Writes a row's symbol into `out`; false when the row has none. NSE's series other than `EQ` trade apart from
    /// the ordinary share, and their instruments are written as the brokers do: `IDEA-T0`.
    fn symbol_of(&self, cell: Option<Option<&[u8]>>, series: Option<Option<&[u8]>>, out: &mut Vec<u8>) -> bool {
        out.clear();
        match (cell, self.fixed, &self.symbol) {
            (Some(cell), false, _) => {
                let cell = cell.unwrap_or(b"");
                if !std::str::from_utf8(cell).is_ok_and(name::is_symbol) {
                    return false;
                }
                out.extend_from_slice(cell);
            }
            (_, _, Some(symbol)) => out.extend_from_slice(symbol.as_bytes()),
            (None, _, None) | (Some(_), true, None) => return false,
        }
        let series = series.flatten().unwrap_or(b"");
        if !self.fixed && !series.is_empty() && series != b"EQ" && series.is_ascii() && series.len() <= 8 {
            out.push(b'-');
            out.extend_from_slice(series);
        }
        true
    }

    /// The caller's symbol cannot stand for several of the file's.
    fn check_single(&mut self, cell: &[u8]) -> Result<(), FileError> {
        if !self.fixed {
            return Ok(());
        }
        match &self.named {
            None => self.named = Some(cell.to_vec()),
            Some(named) if named == cell => {}
            Some(_) => {
                let what = "its symbol column holds several symbols, which one --symbol would mix; leave --symbol out";
                return Err(FileError::Unsupported { path: self.path.clone(), what: what.to_owned() });
            }
        }
        Ok(())
    }

    /// Zero for an instrument without volume.
    fn volume_missing(&self, survey: &Survey, symbol: u32) -> Result<i64, Reason> {
        if survey.symbols[symbol as usize].has_volume { Err(Reason::MissingVolume) } else { Ok(0) }
    }
}

impl CandleFile {
    /// Hashes and surveys a file.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, FileError> {
        let (hash, bytes, magic) = hashed(path)?;
        let name = name::read(path);
        let mut reading = Reading {
            path: path.to_owned(),
            order: options.date_order,
            zone: ZoneClock::new(options.zone),
            symbol: options.symbol.clone().or_else(|| name.symbol.clone()),
            fixed: options.symbol.is_some(),
            named: None,
        };
        contained(path, || {
            let format = Format::detect(path, &magic)?;
            let layout = match &format {
                Format::Text(text) => text.layout,
                Format::Columns(columns) => columns.layout(),
            };
            if layout.symbol.is_none() && reading.symbol.is_none() {
                return Err(FileError::NoSymbol { path: path.to_owned() });
            }
            let mut survey = Survey::new();
            match &format {
                Format::Text(text) => text.survey(&mut reading, &mut survey)?,
                Format::Columns(columns) => columns.survey(&mut reading, &mut survey)?,
            }
            survey.decide_intervals(path, options.interval, &name)?;
            Ok(Self { hash, bytes, format, reading, survey })
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.reading.path
    }

    /// Hash of its bytes.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// Its length in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its symbols; a [`Row::symbol`] is an index into them.
    pub fn symbols(&self) -> &[SurveyedSymbol] {
        &self.survey.symbols
    }

    /// Rows with a readable time.
    pub const fn surveyed_rows(&self) -> u64 {
        self.survey.rows
    }

    /// The minute of the day (0 to 1439), on the source's wall clock, that most rows carry.
    pub fn usual_minute(&self) -> u32 {
        self.survey.usual_minute()
    }

    /// Starts the second pass.
    pub fn rows(&self) -> Result<Rows, FileError> {
        let path = self.path();
        let state = contained(path, || {
            Ok(match &self.format {
                Format::Text(text) => State::Text(Box::new(text::TextRows::open(text, path)?)),
                Format::Columns(columns) => State::Columns(Box::new(columns.rows()?)),
            })
        })?;
        Ok(Rows { state, reading: self.reading.clone(), survey: self.survey.clone() })
    }

    /// Hashes the file again: an error when it changed since it was surveyed.
    pub fn check_unchanged(&self) -> Result<(), FileError> {
        let (hash, _, _) = hashed(self.path())?;
        if hash == self.hash { Ok(()) } else { Err(FileError::Changed { path: self.path().to_owned() }) }
    }
}

/// The rows of a file, in its order.
pub struct Rows {
    state: State,
    reading: Reading,
    survey: Survey,
}

enum State {
    Text(Box<text::TextRows>),
    Columns(Box<columns::ColumnRows>),
    /// After an error nothing more comes.
    Failed,
}

impl Rows {
    /// Replaces the batch with the next rows; false at the end. After an error the file is given up.
    pub fn next(&mut self, batch: &mut Batch) -> Result<bool, FileError> {
        batch.clear();
        let Self { state, reading, survey } = self;
        let path = reading.path.clone();
        let outcome = contained(&path, || match state {
            State::Text(text) => text.next(reading, survey, batch),
            State::Columns(columns) => columns.next(reading, survey, batch),
            State::Failed => Ok(false),
        });
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome
    }
}

impl Format {
    /// By the first bytes, never by the extension.
    fn detect(path: &Path, magic: &[u8]) -> Result<Self, FileError> {
        let refuse = |what: &str| Err(FileError::Unsupported { path: path.to_owned(), what: what.to_owned() });
        match magic {
            [] => Err(FileError::NotCandles { path: path.to_owned(), seems: "empty".to_owned() }),
            [b'P', b'A', b'R', b'1', ..] => columns::ColumnFormat::parquet(path).map(Self::Columns),
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => columns::ColumnFormat::ipc_file(path).map(Self::Columns),
            [0xff, 0xff, 0xff, 0xff, ..] => columns::ColumnFormat::ipc_stream(path).map(Self::Columns),
            [b'F', b'E', b'A', b'1', ..] => {
                refuse("an old Feather file (version 1); save it as Parquet or Feather version 2")
            }
            [b'P', b'A', b'R', b'E', ..] => refuse("an encrypted Parquet file; decrypt it first"),
            [0x1f, 0x8b, ..] => text::TextFormat::detect(path, true).map(Self::Text),
            [b'P', b'K', 3, 4, ..] => refuse("a zip archive or a spreadsheet; unpack it or save it as CSV"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => refuse("compressed with zstd; decompress it first (gzip is read as it is)"),
            [b'B', b'Z', b'h', ..] => refuse("compressed with bzip2; decompress it first (gzip is read as it is)"),
            _ => text::TextFormat::detect(path, false).map(Self::Text),
        }
    }
}

/// The hash, the length and the first bytes of a file.
fn hashed(path: &Path) -> Result<(Hash, u64, Vec<u8>), FileError> {
    let failed = |source| FileError::Open { path: path.to_owned(), source };
    // Before it is opened: to open a pipe that nobody writes to is to wait for ever.
    let kind = std::fs::metadata(path).map_err(failed)?;
    if !kind.is_file() {
        let what = match kind.is_dir() {
            true => "a directory; name the files in it, such as DIR/*.parquet",
            false => {
                "not a regular file but a pipe, a device or a socket; save what it gives as a file, which is read twice"
            }
        };
        return Err(FileError::Unsupported { path: path.to_owned(), what: what.to_owned() });
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    let mut magic = Vec::new();
    let mut bytes = 0;
    loop {
        let got = file.read(&mut buffer).map_err(failed)?;
        if got == 0 {
            return Ok((Hash(*hasher.finalize().as_bytes()), bytes, magic));
        }
        if magic.len() < 8 {
            magic.extend_from_slice(&buffer[..got.min(8 - magic.len())]);
        }
        bytes += got as u64;
        hasher.update(&buffer[..got]);
    }
}
