//! Candles as a table, for `journal export` and for every tool that reads Parquet.
//!
//! - One row a candle, in the order of the journal; the instrument by market and symbol, never by its number, which
//!   means something only inside one journal.
//! - Exact: prices and volume are decimals.

use super::{Cell, Column, ColumnError, ColumnType, ColumnWriter, Format, Written};
use daybook_vocabulary::{Candle, Nanos};
use std::path::Path;

/// A candle with what its frame says of it.
#[derive(Debug, Clone, Copy)]
pub struct CandleRow<'a> {
    /// When it was known: the time of its frame.
    pub time: Nanos,
    /// Market of its instrument, such as `nse`.
    pub market: &'a str,
    /// Symbol of its instrument.
    pub symbol: &'a str,
    /// The candle.
    pub candle: &'a Candle,
    /// Its sequence number in the journal.
    pub seq: u64,
}

/// A table of candles on its way to a file.
pub struct CandleTable {
    writer: ColumnWriter,
    // The interval as text, kept because it is the same row after row.
    interval: (u32, String),
}

impl CandleTable {
    /// The columns: `time, open_time, market, symbol, interval, open, high, low, close, volume, seq`.
    pub fn columns() -> [Column; 11] {
        [
            Column::new("time", ColumnType::Timestamp),
            Column::new("open_time", ColumnType::Timestamp),
            Column::new("market", ColumnType::Utf8),
            Column::new("symbol", ColumnType::Utf8),
            Column::new("interval", ColumnType::Utf8),
            Column::new("open", ColumnType::Decimal),
            Column::new("high", ColumnType::Decimal),
            Column::new("low", ColumnType::Decimal),
            Column::new("close", ColumnType::Decimal),
            Column::new("volume", ColumnType::Decimal),
            Column::new("seq", ColumnType::U64),
        ]
    }

    /// Begins the file `path`.
    pub fn create(path: &Path, format: Format) -> Result<Self, ColumnError> {
        Ok(Self { writer: ColumnWriter::create(path, &Self::columns(), format)?, interval: (0, "0s".to_owned()) })
    }

    /// Adds a candle.
    pub fn append(&mut self, row: &CandleRow<'_>) -> Result<(), ColumnError> {
        let candle = row.candle;
        if candle.interval().0 != self.interval.0 {
            self.interval = (candle.interval().0, candle.interval().to_string());
        }
        self.writer.append(&[
            Cell::Time(row.time),
            Cell::Time(candle.open_time()),
            Cell::Text(row.market),
            Cell::Text(row.symbol),
            Cell::Text(&self.interval.1),
            candle.open().into(),
            candle.high().into(),
            candle.low().into(),
            candle.close().into(),
            candle.volume().into(),
            Cell::U64(row.seq),
        ])
    }

    /// Completes the file.
    pub fn finish(self) -> Result<Written, ColumnError> {
        self.writer.finish()
    }
}

/// Writes all of `rows` as the file `path`.
pub fn export_candles<'a>(
    path: &Path,
    format: Format,
    rows: impl IntoIterator<Item = CandleRow<'a>>,
) -> Result<Written, ColumnError> {
    let mut table = CandleTable::create(path, format)?;
    for row in rows {
        table.append(&row)?;
    }
    table.finish()
}
