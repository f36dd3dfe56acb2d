//! The reader of our own column files.
//!
//! - The whole file is hashed before a byte of it is parsed; another hash than the recorded one is an error.
//! - Parsing runs inside `catch_unwind`: a panic of the library becomes an error, and the reader is then at its end.
//! - Never holds more than one group.

use super::arrays::columns_of;
use super::file::hash_of;
use super::{Cell, Column, ColumnError};
use arrow2::array::{Array, PrimitiveArray, Utf8Array};
use arrow2::chunk::Chunk;
use arrow2::io::{ipc, parquet};
use daybook_vocabulary::{Hash, Nanos};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

type Chunks = Box<dyn Iterator<Item = arrow2::error::Result<Chunk<Box<dyn Array>>>>>;

/// Reads one column file, group by group.
pub struct ColumnReader {
    path: PathBuf,
    columns: Vec<Column>,
    // `None` at the end, and after a failure.
    chunks: Option<Chunks>,
}

/// The rows of one group, by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    rows: usize,
    columns: Vec<Values>,
}

/// The values of one column. `absent` is empty when every value is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Signed integers.
    I64(Vec<i64>, Vec<bool>),
    /// Unsigned integers.
    U64(Vec<u64>, Vec<bool>),
    /// Floats.
    F64(Vec<f64>, Vec<bool>),
    /// Text.
    Utf8(Vec<String>, Vec<bool>),
    /// Nanoseconds UTC.
    Time(Vec<i64>, Vec<bool>),
    /// Units of 1e-8.
    Decimal(Vec<i128>, Vec<bool>),
}

impl ColumnReader {
    /// Opens `path` if its blake3 is `expected`.
    pub fn open(path: &Path, expected: &Hash) -> Result<Self, ColumnError> {
        let failed = |source| ColumnError::file(path, source);
        let mut file = File::open(path).map_err(failed)?;
        let (found, _) = hash_of(&mut file).map_err(failed)?;
        if found != *expected {
            return Err(ColumnError::Changed { path: path.to_owned(), expected: *expected, found });
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let opened = guarded(path, move || open_chunks(file))?;
        let (schema, chunks) = opened.map_err(|error| ColumnError::format(path, error))?;
        let columns = columns_of(&schema).map_err(|reason| ColumnError::format(path, reason))?;
        Ok(Self { path: path.to_owned(), columns, chunks: Some(chunks) })
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next group; `None` at the end.
    pub fn next_group(&mut self) -> Result<Option<Group>, ColumnError> {
        let Some(mut chunks) = self.chunks.take() else { return Ok(None) };
        let path = self.path.clone();
        let (chunks, group) = guarded(&path, move || {
            let group = chunks.next().map(|chunk| chunk.and_then(|chunk| group_of(&chunk)));
            (chunks, group)
        })?;
        let group = group.transpose().map_err(|error| ColumnError::format(&path, error))?;
        self.chunks = group.is_some().then_some(chunks);
        Ok(group)
    }
}

impl Group {
    /// Rows in it.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The values of a column.
    ///
    /// # Panics
    /// When there is no such column.
    pub fn column(&self, column: usize) -> &Values {
        &self.columns[column]
    }

    /// One value.
    ///
    /// # Panics
    /// When there is no such column or row.
    pub fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        self.columns[column].cell(row)
    }
}

impl Values {
    fn cell(&self, row: usize) -> Cell<'_> {
        let (absent, cell) = match self {
            Self::I64(values, absent) => (absent, Cell::I64(values[row])),
            Self::U64(values, absent) => (absent, Cell::U64(values[row])),
            Self::F64(values, absent) => (absent, Cell::F64(values[row])),
            Self::Utf8(values, absent) => (absent, Cell::Text(&values[row])),
            Self::Time(values, absent) => (absent, Cell::Time(Nanos(values[row]))),
            Self::Decimal(values, absent) => (absent, Cell::Decimal(values[row])),
        };
        if absent.get(row).copied().unwrap_or(false) { Cell::Null } else { cell }
    }
}

fn guarded<T>(path: &Path, read: impl FnOnce() -> T) -> Result<T, ColumnError> {
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| ColumnError::format(path, "the columnar library panicked while reading"))
}

fn open_chunks(mut file: File) -> arrow2::error::Result<(arrow2::datatypes::Schema, Chunks)> {
    let mut magic = [0; 6];
    let length = file.read(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    if magic[..length] == *b"ARROW1" {
        let metadata = ipc::read::read_file_metadata(&mut file)?;
        let schema = metadata.schema.clone();
        return Ok((schema, Box::new(ipc::read::FileReader::new(file, metadata, None, None))));
    }
    let metadata = parquet::read::read_metadata(&mut file)?;
    let schema = parquet::read::infer_schema(&metadata)?;
    let reader = parquet::read::FileReader::new(file, metadata.row_groups, schema.clone(), None, None, None);
    Ok((schema, Box::new(reader)))
}

fn group_of(chunk: &Chunk<Box<dyn Array>>) -> arrow2::error::Result<Group> {
    let columns: Option<Vec<_>> = chunk.arrays().iter().map(|array| values_of(array.as_ref())).collect();
    let columns =
        columns.ok_or_else(|| arrow2::error::Error::OutOfSpec("a column is not of its declared type".to_owned()))?;
    Ok(Group { rows: chunk.len(), columns })
}

fn values_of(array: &dyn Array) -> Option<Values> {
    use arrow2::datatypes::{DataType, PhysicalType};
    use arrow2::types::PrimitiveType;
    let absent: Vec<bool> = array.validity().map_or_else(Vec::new, |valid| valid.iter().map(|valid| !valid).collect());
    let any = array.as_any();
    Some(match array.data_type().to_physical_type() {
        PhysicalType::Primitive(PrimitiveType::Int64) => {
            let values = any.downcast_ref::<PrimitiveArray<i64>>()?.values().to_vec();
            match array.data_type() {
                DataType::Timestamp(..) => Values::Time(values, absent),
                _ => Values::I64(values, absent),
            }
        }
        PhysicalType::Primitive(PrimitiveType::UInt64) => {
            Values::U64(any.downcast_ref::<PrimitiveArray<u64>>()?.values().to_vec(), absent)
        }
        PhysicalType::Primitive(PrimitiveType::Float64) => {
            Values::F64(any.downcast_ref::<PrimitiveArray<f64>>()?.values().to_vec(), absent)
        }
        PhysicalType::Primitive(PrimitiveType::Int128) => {
            Values::Decimal(any.downcast_ref::<PrimitiveArray<i128>>()?.values().to_vec(), absent)
        }
        PhysicalType::Utf8 => {
            let texts = any.downcast_ref::<Utf8Array<i32>>()?;
            Values::Utf8(texts.values_iter().map(str::to_owned).collect(), absent)
        }
        _ => return None,
    })
}
