//! Our own column files: Parquet (zstd) and Arrow IPC, written row by row or chunk by chunk, read back only after
//! their hash was checked.
//!
//! - Prices, quantities and money are `Decimal128(38, 8)`: exact, and read as decimals by pandas, polars and duckdb.
//! - Memory is bounded: a row group is written when it holds [`ROWS_PER_GROUP`] rows or [`BYTES_PER_GROUP`] bytes.
//! - A file appears under its name whole or not at all: it is written beside it, synced and renamed.
//! - The same rows give the same bytes, so the hash of a file says whether two runs agree.
//! - Never reads bytes that come from outside: the format's library does not withstand damage, so a file is read
//!   only when its blake3 is the one that writing it returned, and even then inside `catch_unwind`.
//!
//! ```
//! use daybook_features::columns::{Cell, Column, ColumnReader, ColumnType, ColumnWriter, Format};
//! use daybook_vocabulary::{Nanos, Price};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("prices.parquet");
//! let columns = [Column::new("time", ColumnType::Timestamp), Column::new("price", ColumnType::Decimal)];
//! let mut writer = ColumnWriter::create(&path, &columns, Format::Parquet).unwrap();
//! writer.append(&[Cell::Time(Nanos(0)), Cell::from(Price::from_units(100))]).unwrap();
//! let written = writer.finish().unwrap();
//!
//! let mut reader = ColumnReader::open(&path, &written.hash).unwrap();
//! let group = reader.next_group().unwrap().unwrap();
//! assert_eq!(group.cell(1, 0), Cell::from(Price::from_units(100)));
//! ```

mod arrays;
pub mod candles;
mod file;
mod reader;
mod writer;

pub use candles::{CandleRow, CandleTable, export_candles};
pub use file::{HashedFile, Written, hash_of_file};
pub use reader::{ColumnReader, Group, Values};
pub use writer::ColumnWriter;

use daybook_vocabulary::{BasisPoints, Hash, Money, Nanos, Price, Quantity};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Most rows a row group holds.
pub const ROWS_PER_GROUP: usize = 65_536;
/// A row group is also closed once its values take this many bytes in memory.
pub const BYTES_PER_GROUP: usize = 4 << 20;

const _: () = assert!(
    ROWS_PER_GROUP <= i32::MAX as usize / 64 && BYTES_PER_GROUP < i32::MAX as usize / 2,
    "text offsets inside a group are 32 bits wide"
);

/// Largest magnitude of a decimal column, in units of 1e-8: 38 digits.
pub const DECIMAL_MAX: i128 = 10i128.pow(38) - 1;

/// How a column file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet, zstd: small, for everyone's tools.
    Parquet,
    /// Arrow IPC file, uncompressed: quick to read.
    Arrow,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Signed integers.
    I64,
    /// Unsigned integers: sequence numbers, order ids, counts.
    U64,
    /// Floats: features and statistics, never money.
    F64,
    /// UTF-8 text.
    Utf8,
    /// Instants: nanoseconds, UTC.
    Timestamp,
    /// Exact decimals in units of 1e-8: prices, quantities, money, basis points.
    Decimal,
}

/// A named column. Any value may be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, unique in the file.
    pub name: String,
    /// What it holds.
    pub column_type: ColumnType,
}

impl Column {
    /// A column.
    pub fn new(name: &str, column_type: ColumnType) -> Self {
        Self { name: name.to_owned(), column_type }
    }
}

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// For [`ColumnType::I64`].
    I64(i64),
    /// For [`ColumnType::U64`].
    U64(u64),
    /// For [`ColumnType::F64`].
    F64(f64),
    /// For [`ColumnType::Utf8`].
    Text(&'a str),
    /// For [`ColumnType::Timestamp`].
    Time(Nanos),
    /// For [`ColumnType::Decimal`], in units of 1e-8.
    Decimal(i128),
}

macro_rules! exact_cells {
    ($($unit:ident),*) => {$(
        impl From<$unit> for Cell<'_> {
            fn from(value: $unit) -> Self {
                Cell::Decimal(value.0.into())
            }
        }
    )*};
}
exact_cells!(Price, Quantity, BasisPoints, Money);

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// A column of a chunk, for writers that already hold columns. No value is absent.
#[derive(Debug, Clone, Copy)]
pub enum Slice<'a> {
    /// For [`ColumnType::I64`].
    I64(&'a [i64]),
    /// For [`ColumnType::U64`].
    U64(&'a [u64]),
    /// For [`ColumnType::F64`].
    F64(&'a [f64]),
    /// For [`ColumnType::Utf8`].
    Text(&'a [&'a str]),
    /// For [`ColumnType::Timestamp`], in nanoseconds UTC.
    Time(&'a [i64]),
    /// For [`ColumnType::Decimal`], in units of 1e-8.
    Decimal(&'a [i128]),
}

impl Slice<'_> {
    /// Rows in it.
    pub const fn len(&self) -> usize {
        match self {
            Slice::I64(values) | Slice::Time(values) => values.len(),
            Slice::U64(values) => values.len(),
            Slice::F64(values) => values.len(),
            Slice::Text(values) => values.len(),
            Slice::Decimal(values) => values.len(),
        }
    }

    /// True without rows.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a column file was not written or not read.
#[derive(Debug, Error)]
pub enum ColumnError {
    /// The file system refused.
    #[error("{path}: {source}; check the disk's free space and the folder's permissions, then run the command again")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row with more or fewer values than there are columns, or columns of different lengths.
    #[error("{path}: row {row} has {found} values for {expected} columns; this is a fault of the writing code")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: u64,
        /// Values given.
        found: usize,
        /// Columns of the file.
        expected: usize,
    },
    /// A value of another type than its column.
    #[error("{path}: row {row} of column '{column}' is not of the column's type; this is a fault of the writing code")]
    Type {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: u64,
        /// The column.
        column: String,
    },
    /// A decimal with more than 38 digits.
    #[error(
        "{path}: row {row} of column '{column}' is {value} units of 1e-8, more than the 38 digits that a decimal column holds; the event it comes from is not a real amount"
    )]
    Range {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: u64,
        /// The column.
        column: String,
        /// The amount.
        value: i128,
    },
    /// The bytes are not those that were written.
    #[error("{path}: its blake3 is {found}, but {expected} was recorded when it was written; make it again")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Hash on record.
        expected: Hash,
        /// Hash of the bytes.
        found: Hash,
    },
    /// The library that knows the format refused.
    #[error("{path}: {reason}; make the file again")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

impl ColumnError {
    fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests;
