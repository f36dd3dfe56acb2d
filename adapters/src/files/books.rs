//! Foreign files of quotes, order books and trades: Parquet, told apart by the names of their columns.
//!
//! - A row is what a feed showed at an instant: a book of up to five levels a side, or a best bid and ask, or a trade;
//!   with a book there may be the last price and the day's volume so far.
//! - Prices and quantities pass through the vocabulary's one door; a row that does not read exactly is rejected.
//! - Where most books of a file go the wrong way the columns do not hold what their names say, and it is refused whole.
//! - Levels that come one at a time are no book: without a whole one to begin from nothing is known.
//! - A file is read into memory, so one that is larger than [`ROWS_MAX`] is refused. Readers run contained.

use super::columns::ParquetSource;
use super::contain::contained;
use super::convert::{self, reason};
use super::{FileError, Reading, Reason, Rejected, hashed};
use arrow::array::{Array, RecordBatch, StringArray};
use daybook_vocabulary::market::{BookLevel, LEVELS};
use daybook_vocabulary::{Depth, Hash, Nanos, Price, Quantity, Quote, TradePrint};
use std::path::{Path, PathBuf};

/// Rows of a file at most.
pub const ROWS_MAX: usize = 4_000_000;

const TIMES: &[&str] = &["timestamp", "local_ts", "time", "ts", "datetime"];
const SENT: &[&str] = &["exch_ts", "exchange_timestamp", "exchange_time"];
const BATCH_ROWS: usize = 16_384;

/// What a row shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// Five levels of each side.
    Book(Box<Depth>),
    /// The best of each side.
    Quote(Quote),
    /// A trade.
    Trade(TradePrint),
}

/// A row that reads.
#[derive(Debug, Clone, PartialEq)]
pub struct BookRow {
    /// Its number in the file, from 1.
    pub line: u64,
    /// When whoever wrote the file learned it.
    pub time: Nanos,
    /// Its symbol, an index into [`BookFile::symbols`].
    pub symbol: u32,
    /// What it shows.
    pub shown: Shown,
    /// Last price and volume of the day so far, where the file has both.
    pub last: Option<(Price, Quantity)>,
    /// When the last trade was, where the file says it.
    pub last_trade: Option<Nanos>,
}

/// A file, read.
#[derive(Debug)]
pub struct BookFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Hash of its bytes.
    pub hash: Hash,
    /// Its symbols.
    pub symbols: Vec<String>,
    /// Rows that read.
    pub rows: Vec<BookRow>,
    /// Rows that do not.
    pub rejected: Vec<Rejected>,
}

/// Where the columns are.
struct Columns {
    time: usize,
    sent: Option<usize>,
    symbol: Option<usize>,
    last: Option<usize>,
    volume: Option<usize>,
    last_trade: Option<usize>,
    kind: Kind,
}

/// The columns of a level: price, quantity, and orders where they are told.
type LevelColumns = (usize, usize, Option<usize>);
/// Times of rows, and which of them are missing.
type Stamps = (Vec<(i64, i32)>, Vec<u8>);

enum Kind {
    /// Price, quantity and orders by side and level; orders may be missing.
    Levels(Box<[[LevelColumns; LEVELS]; 2]>),
    Best([(usize, usize); 2]),
    Trades(usize, usize),
}

/// True for a Parquet file whose columns are those of quotes, books or trades. What cannot be opened is not.
pub fn is_books(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
        && contained(path, || ParquetSource::open(path)).is_ok_and(|source| {
            let names: Vec<&str> = source.schema().fields().iter().map(|field| field.name().as_str()).collect();
            let has = |known: &[&str]| names.iter().any(|name| known.contains(name));
            let candles = has(&["open"]) && has(&["close"]);
            let sides = |side: &str| names.iter().any(|name| name.starts_with(side));
            !candles && ((sides("bid") && sides("ask")) || has(&["trade_id"]) || is_incremental(&names))
        })
}

/// A side, a price and a quantity in each row.
fn is_incremental(names: &[&str]) -> bool {
    ["side", "price", "qty"].iter().all(|name| names.contains(name)) && !names.contains(&"trade_id")
}

impl BookFile {
    /// Reads a file; `symbol` is that of every row, whatever the file says.
    pub fn read(path: &Path, symbol: Option<&str>) -> Result<Self, FileError> {
        let (hash, _, _) = hashed(path)?;
        contained(path, || Self::read_contained(path, hash, symbol))
    }

    fn read_contained(path: &Path, hash: Hash, symbol: Option<&str>) -> Result<Self, FileError> {
        let source = ParquetSource::open(path)?;
        let names: Vec<String> = source.schema().fields().iter().map(|field| field.name().to_lowercase()).collect();
        let columns = Columns::find(path, &names)?;
        let named = symbol.map(str::to_owned).or_else(|| super::name::read(path).symbol);
        if columns.symbol.is_none() && named.is_none() {
            return Err(FileError::NoSymbol { path: path.to_owned() });
        }
        let wanted = columns.all();
        let mut file =
            Self { path: path.to_owned(), hash, symbols: Vec::new(), rows: Vec::new(), rejected: Vec::new() };
        let mut batches = source.batches(path, &wanted, BATCH_ROWS)?;
        let mut line = 0;
        while let Some(batch) = super::columns::next_of(path, &mut batches)? {
            let place = |column: usize| wanted.iter().position(|wanted| *wanted == column).unwrap_or_default();
            file.batch(
                &columns,
                &place,
                &batch,
                symbol.or(named.as_deref().filter(|_| columns.symbol.is_none())),
                line,
            )
            .map_err(|error| FileError::damaged(path, error))?;
            line += batch.num_rows() as u64;
            if file.rows.len() > ROWS_MAX {
                let what = format!("more than {ROWS_MAX} rows of quotes or books; split it by time or symbol");
                return Err(FileError::Unsupported { path: path.to_owned(), what });
            }
        }
        file.check_books()?;
        Ok(file)
    }

    fn batch(
        &mut self,
        columns: &Columns,
        place: &dyn Fn(usize) -> usize,
        batch: &RecordBatch,
        symbol: Option<&str>,
        before: u64,
    ) -> Result<(), arrow::error::ArrowError> {
        let count = batch.num_rows();
        let mut reading = Reading::of_utc();
        let mut problems = vec![0; count];
        let mut times = Vec::new();
        convert::instants(batch.column(place(columns.time)), &mut reading, &mut times, &mut problems)?;
        let optional = |column: Option<usize>, reading: &mut Reading| -> Result<_, arrow::error::ArrowError> {
            let Some(column) = column else { return Ok(None) };
            let (mut found, mut missing) = (Vec::new(), vec![0; count]);
            convert::instants(batch.column(place(column)), reading, &mut found, &mut missing)?;
            Ok(Some((found, missing)))
        };
        let sent = optional(columns.sent, &mut reading)?;
        let last_trade = optional(columns.last_trade, &mut reading)?;
        let numbers = |column: usize, problems: &mut [u8]| -> Result<Vec<i64>, arrow::error::ArrowError> {
            let mut values = Vec::new();
            convert::numbers(batch.column(place(column)), Reason::MissingValue, &mut values, problems)?;
            Ok(values)
        };
        let mut unknown = vec![0; count];
        let last = match (columns.last, columns.volume) {
            (Some(last), Some(volume)) => Some((numbers(last, &mut unknown)?, numbers(volume, &mut unknown)?)),
            _ => None,
        };
        let mut values = Vec::new();
        for column in columns.kind.numbers() {
            values.push(numbers(column, &mut problems)?);
        }
        let texts =
            columns.symbol.map(|column| arrow::compute::cast(batch.column(place(column)), &TEXT)).transpose()?;
        let texts = texts.as_ref().and_then(|column| column.as_any().downcast_ref::<StringArray>());
        for row in 0..count {
            let line = before + row as u64 + 1;
            let of_row = texts.filter(|texts| !texts.is_null(row)).map(|texts| texts.value(row).trim());
            let Some(name) = symbol.or(of_row).filter(|name| super::is_symbol(name)) else {
                self.reject(line, Reason::MissingValue, None);
                continue;
            };
            let symbol = self.number(name);
            if let Some(reason) = reason(problems[row]) {
                self.reject(line, reason, Some(symbol));
                continue;
            }
            let known = |stamps: &Option<Stamps>| {
                stamps.as_ref().filter(|(_, missing)| missing[row] == 0).map(|(stamps, _)| Nanos(stamps[row].0))
            };
            let time = Nanos(times[row].0);
            // What claims to be sent after it was learned was sent by then at the latest.
            let at = known(&sent).map_or(time, |sent| sent.min(time));
            let shown = columns.kind.shown(at, |index| values[index][row]);
            let last = last.as_ref().filter(|_| unknown[row] == 0);
            let last = last.map(|(last, volume)| (Price(last[row]), Quantity(volume[row])));
            self.rows.push(BookRow { line, time, symbol, shown, last, last_trade: known(&last_trade) });
        }
        Ok(())
    }

    fn number(&mut self, name: &str) -> u32 {
        let known = self.symbols.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.symbols.push(name.to_owned());
            self.symbols.len() - 1
        }) as u32
    }

    fn reject(&mut self, line: u64, reason: Reason, symbol: Option<u32>) {
        self.rejected.push(Rejected { line, reason, symbol, text: String::new() });
    }

    /// Books that go inwards are rejected; where they are the most of them, the file is.
    fn check_books(&mut self) -> Result<(), FileError> {
        let is_sound = |row: &BookRow| match &row.shown {
            Shown::Book(depth) => depth.is_sound(),
            Shown::Quote(quote) => quote.as_depth().is_sound(),
            Shown::Trade(print) => print.is_sound(),
        };
        let (sound, unsound): (Vec<_>, Vec<_>) = std::mem::take(&mut self.rows).into_iter().partition(is_sound);
        if unsound.len() > sound.len() {
            let what = format!(
                "{} of {} rows hold no book: a second level is better than the first, or a number is negative; the columns do not hold what their names say, so it is not read",
                unsound.len(),
                unsound.len() + sound.len()
            );
            return Err(FileError::Unsupported { path: self.path.clone(), what });
        }
        self.rows = sound;
        for row in unsound {
            self.reject(row.line, Reason::BrokenRow, Some(row.symbol));
        }
        self.rejected.sort_by_key(|rejected| rejected.line);
        Ok(())
    }
}

const TEXT: arrow::datatypes::DataType = arrow::datatypes::DataType::Utf8;

impl Columns {
    fn find(path: &Path, names: &[String]) -> Result<Self, FileError> {
        let refuse = |what: String| Err(FileError::Unsupported { path: path.to_owned(), what });
        let place = |name: &str| names.iter().position(|known| known == name);
        let any = |known: &[&str]| known.iter().find_map(|name| place(name));
        let short: Vec<&str> = names.iter().map(String::as_str).collect();
        if is_incremental(&short) {
            return refuse(
                "levels of a book one at a time, without a whole book to begin from: ingest reads snapshots of books, quotes and trades"
                    .to_owned(),
            );
        }
        let level = |side: &str, number: usize| {
            let named = |what: &str| place(&format!("{side}_{what}_{number}"));
            let price = named("px").or_else(|| named("price"))?;
            Some((price, named("qty").or_else(|| named("quantity"))?, named("ord").or_else(|| named("orders"))))
        };
        let best = |side: &str| {
            let price =
                place(&format!("{side}_px")).or_else(|| place(&format!("{side}_price"))).or_else(|| place(side))?;
            Some((price, place(&format!("{side}_qty")).or_else(|| place(&format!("{side}_quantity")))?))
        };
        let side = |side: &str| -> Option<[_; LEVELS]> {
            let levels: Option<Vec<_>> = (1..=LEVELS).map(|number| level(side, number)).collect();
            levels?.try_into().ok()
        };
        let kind = if let (Some(bids), Some(asks)) = (side("bid"), side("ask")) {
            Kind::Levels(Box::new([bids, asks]))
        } else if let (Some(bid), Some(ask)) = (best("bid"), best("ask")) {
            Kind::Best([bid, ask])
        } else if let (Some(price), Some(quantity)) = (place("price"), any(&["qty", "quantity", "size"])) {
            Kind::Trades(price, quantity)
        } else {
            return refuse(format!(
                "its columns are not those of five levels (bid_px_1 … ask_qty_5), of a quote (bid_px, bid_qty, ask_px, ask_qty) or of trades (price, qty): it has {}",
                names.join(", ")
            ));
        };
        let Some(time) = any(TIMES) else {
            return refuse(format!("it has no column of times; one of {} is read", TIMES.join(", ")));
        };
        let of_book = !matches!(kind, Kind::Trades(..));
        Ok(Self {
            time,
            sent: any(SENT),
            symbol: any(&["symbol", "tradingsymbol", "ticker"]),
            last: any(&["last_price", "ltp"]).filter(|_| of_book),
            volume: any(&["volume_cum", "volume_traded"]).filter(|_| of_book),
            last_trade: any(&["last_trade_time"]).filter(|_| of_book),
            kind,
        })
    }

    fn all(&self) -> Vec<usize> {
        let mut all = vec![self.time];
        all.extend([self.sent, self.symbol, self.last, self.volume, self.last_trade].into_iter().flatten());
        all.extend(self.kind.numbers());
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Kind {
    /// Its columns of numbers, in the order in which [`Kind::shown`] asks for them.
    fn numbers(&self) -> Vec<usize> {
        match self {
            Self::Levels(sides) => sides
                .iter()
                .flatten()
                .flat_map(|(price, quantity, orders)| [Some(*price), Some(*quantity), *orders])
                .flatten()
                .collect(),
            Self::Best(sides) => sides.iter().flat_map(|(price, quantity)| [*price, *quantity]).collect(),
            Self::Trades(price, quantity) => vec![*price, *quantity],
        }
    }

    fn shown(&self, at: Nanos, number: impl Fn(usize) -> i64) -> Shown {
        match self {
            Self::Levels(sides) => {
                let mut next = 0;
                let mut side = |columns: &[(usize, usize, Option<usize>); LEVELS]| {
                    columns.map(|(_, _, orders)| {
                        let (price, quantity) = (Price(number(next)), Quantity(number(next + 1)));
                        let count = orders.map_or(0, |_| number(next + 2) / daybook_vocabulary::decimal::SCALE);
                        next += 2 + usize::from(orders.is_some());
                        BookLevel::new(price, quantity, count)
                    })
                };
                let bids = side(&sides[0]);
                Shown::Book(Box::new(Depth::new(at, bids, side(&sides[1]))))
            }
            Self::Best(_) => {
                let level = |first: usize| (Price(number(first)), Quantity(number(first + 1)));
                Shown::Quote(Quote::new(at, level(0), level(2)))
            }
            Self::Trades(..) => Shown::Trade(TradePrint::new(at, Price(number(0)), Quantity(number(1)))),
        }
    }
}
