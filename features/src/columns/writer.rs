//! The writer of column files: takes rows or chunks, writes bounded groups, returns the hash.
//!
//! - A row is taken whole or not at all: after an error no column is longer than another.
//! - The bytes depend on the rows alone, not on how they were handed over.
//! - Never holds more than one group.

use super::arrays::{Buffer, Refusal, schema_of};
use super::{BYTES_PER_GROUP, Cell, Column, ColumnError, Format, HashedFile, ROWS_PER_GROUP, Slice, Written};
use arrow2::array::Array;
use arrow2::chunk::Chunk;
use arrow2::io::{ipc, parquet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Writes one column file.
pub struct ColumnWriter {
    path: PathBuf,
    columns: Vec<Column>,
    buffers: Vec<Buffer>,
    rows_in_group: usize,
    bytes_in_group: usize,
    rows: u64,
    sink: Sink,
}

enum Sink {
    Parquet(Box<parquet::write::FileWriter<HashedFile>>),
    Arrow(Box<ipc::write::FileWriter<HashedFile>>),
}

impl ColumnWriter {
    /// Begins the file `path` with these columns. It appears under its name with [`Self::finish`].
    pub fn create(path: &Path, columns: &[Column], format: Format) -> Result<Self, ColumnError> {
        let file = HashedFile::create(path)?;
        let schema = schema_of(columns);
        let refused = |error: arrow2::error::Error| ColumnError::format(path, error);
        let sink = match format {
            Format::Parquet => {
                let writer = parquet::write::FileWriter::try_new(file, schema, PARQUET).map_err(refused)?;
                Sink::Parquet(Box::new(writer))
            }
            Format::Arrow => {
                let options = ipc::write::WriteOptions { compression: None };
                let writer = ipc::write::FileWriter::try_new(file, schema, None, options).map_err(refused)?;
                Sink::Arrow(Box::new(writer))
            }
        };
        Ok(Self {
            path: path.to_owned(),
            columns: columns.to_vec(),
            buffers: columns.iter().map(|column| Buffer::new(column.column_type)).collect(),
            rows_in_group: 0,
            bytes_in_group: 0,
            rows: 0,
            sink,
        })
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Rows taken so far.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a row: one value per column, in the order of the columns.
    pub fn append(&mut self, row: &[Cell<'_>]) -> Result<(), ColumnError> {
        self.check_shape(row.len())?;
        for (index, (buffer, cell)) in self.buffers.iter().zip(row).enumerate() {
            buffer.accepts(cell).map_err(|refusal| self.refused(index, refusal))?;
        }
        for (buffer, cell) in self.buffers.iter_mut().zip(row) {
            self.bytes_in_group += buffer.push(cell);
        }
        self.row_added()
    }

    /// Adds a chunk: one slice per column, all of the same length.
    pub fn append_chunk(&mut self, chunk: &[Slice<'_>]) -> Result<(), ColumnError> {
        self.check_shape(chunk.len())?;
        let length = chunk.first().map_or(0, Slice::len);
        for (index, (buffer, slice)) in self.buffers.iter().zip(chunk).enumerate() {
            self.check_length(slice.len(), length)?;
            buffer.accepts_slice(slice).map_err(|refusal| self.refused(index, refusal))?;
        }
        for row in 0..length {
            for (buffer, slice) in self.buffers.iter_mut().zip(chunk) {
                self.bytes_in_group += buffer.push_row_of(slice, row);
            }
            self.row_added()?;
        }
        Ok(())
    }

    /// Writes what is left and the footer, makes the file durable and names it.
    pub fn finish(mut self) -> Result<Written, ColumnError> {
        self.write_group()?;
        let refused = |error: arrow2::error::Error| ColumnError::format(&self.path, error);
        let file = match self.sink {
            Sink::Parquet(mut writer) => {
                writer.end(None).map_err(refused)?;
                writer.into_inner()
            }
            Sink::Arrow(mut writer) => {
                writer.finish().map_err(refused)?;
                writer.into_inner()
            }
        };
        file.finish(self.rows)
    }

    fn row_added(&mut self) -> Result<(), ColumnError> {
        self.rows += 1;
        self.rows_in_group += 1;
        if self.rows_in_group >= ROWS_PER_GROUP || self.bytes_in_group >= BYTES_PER_GROUP {
            self.write_group()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), ColumnError> {
        if self.rows_in_group == 0 {
            return Ok(());
        }
        (self.rows_in_group, self.bytes_in_group) = (0, 0);
        let arrays: Vec<Box<dyn Array>> = self.buffers.iter_mut().map(Buffer::take).collect();
        let sink = &mut self.sink;
        // The library unwraps inside its page writer; what it panics on would be a fault of ours, and an error names
        // the file where a panic would not.
        let outcome = catch_unwind(AssertUnwindSafe(|| sink.write(Chunk::new(arrays))));
        match outcome {
            Ok(written) => written.map_err(|error| ColumnError::format(&self.path, error)),
            Err(_) => Err(ColumnError::format(&self.path, "the columnar library panicked while writing")),
        }
    }

    fn check_shape(&self, found: usize) -> Result<(), ColumnError> {
        self.check_length(found, self.columns.len())
    }

    fn check_length(&self, found: usize, expected: usize) -> Result<(), ColumnError> {
        if found == expected {
            return Ok(());
        }
        Err(ColumnError::Shape { path: self.path.clone(), row: self.rows, found, expected })
    }

    fn refused(&self, index: usize, refusal: Refusal) -> ColumnError {
        let (path, row, column) = (self.path.clone(), self.rows, self.columns[index].name.clone());
        match refusal {
            Refusal::Type => ColumnError::Type { path, row, column },
            Refusal::Range(value) => ColumnError::Range { path, row, column, value },
        }
    }
}

impl Sink {
    fn write(&mut self, chunk: Chunk<Box<dyn Array>>) -> arrow2::error::Result<()> {
        match self {
            Self::Parquet(writer) => {
                let fields = writer.parquet_schema().fields().to_vec();
                let encodings = fields.iter().map(|_| vec![parquet::write::Encoding::Plain]).collect();
                writer.write(parquet::write::row_group_iter(chunk, encodings, fields, PARQUET))
            }
            Self::Arrow(writer) => writer.write(&chunk, None),
        }
    }
}

const PARQUET: parquet::write::WriteOptions = parquet::write::WriteOptions {
    write_statistics: true,
    version: parquet::write::Version::V1,
    compression: parquet::write::CompressionOptions::Zstd(None),
    data_pagesize_limit: None,
};
