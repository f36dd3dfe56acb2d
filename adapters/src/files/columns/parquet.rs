//! Batches of a Parquet file, with its pages checked before they are decoded.
//!
//! - Only the wanted columns are read, a page at a time: memory does not grow with the file.
//! - A dictionary never claims more values than it has bytes: the decoder would allocate for the claim.

use crate::files::FileError;
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowGroups};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// An opened file: its schema and where its columns are.
#[derive(Debug, Clone)]
pub(crate) struct ParquetSource {
    file: Arc<File>,
    metadata: ArrowReaderMetadata,
}

impl ParquetSource {
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|error| FileError::damaged(path, error))?;
        Ok(Self { file: Arc::new(file), metadata })
    }

    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Nulls in a top-level column by the file's own statistics; none where they do not say.
    pub fn nulls(&self, column: usize) -> Option<u64> {
        let descriptor = self.metadata.metadata().file_metadata().schema_descr();
        let leaf = (0..descriptor.num_columns()).find(|&leaf| descriptor.get_column_root_idx(leaf) == column)?;
        self.metadata.metadata().row_groups().iter().try_fold(0u64, |sum, group| {
            let nulls = group.columns().get(leaf)?.statistics()?.null_count_opt()?;
            sum.checked_add(nulls)
        })
    }

    /// Reads the wanted top-level columns, in the order of the schema.
    pub fn batches(&self, path: &Path, columns: &[usize], rows: usize) -> Result<ParquetRecordBatchReader, FileError> {
        let damaged = |error: ParquetError| FileError::damaged(path, error);
        let descriptor = self.metadata.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::roots(descriptor, columns.iter().copied());
        let hint = self.metadata.schema().fields();
        let levels = parquet_to_arrow_field_levels(descriptor, mask, Some(hint)).map_err(damaged)?;
        let groups = CheckedGroups { file: Arc::clone(&self.file), metadata: Arc::clone(self.metadata.metadata()) };
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &groups, rows, None).map_err(damaged)
    }
}

/// The next batch; none at the end.
pub(crate) fn next(path: &Path, reader: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>, FileError> {
    debug_assert!(!reader.schema().fields().is_empty());
    reader.next().transpose().map_err(|error| FileError::damaged(path, error))
}

struct CheckedGroups {
    file: Arc<File>,
    metadata: Arc<ParquetMetaData>,
}

impl RowGroups for CheckedGroups {
    fn num_rows(&self) -> usize {
        self.metadata.row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    fn column_chunks(&self, column: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let (file, metadata) = (Arc::clone(&self.file), Arc::clone(&self.metadata));
        Ok(Box::new(CheckedChunks { file, metadata, column, group: 0 }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata.row_groups().iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// One column's chunks, a row group at a time.
struct CheckedChunks {
    file: Arc<File>,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    group: usize,
}

impl Iterator for CheckedChunks {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.metadata.row_groups().get(self.group)?;
        self.group += 1;
        let open = || {
            let column = group.columns().get(self.column).ok_or_else(|| general("a row group lacks a column"))?;
            let rows = usize::try_from(group.num_rows()).map_err(|_| general("a negative number of rows"))?;
            let pages = SerializedPageReader::new(Arc::clone(&self.file), column, rows, None)?;
            Ok(Box::new(CheckedPages { pages }) as Box<dyn PageReader>)
        };
        Some(open())
    }
}

impl PageIterator for CheckedChunks {}

struct CheckedPages {
    pages: SerializedPageReader<File>,
}

impl Iterator for CheckedPages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(Page::DictionaryPage { buf, num_values, .. }) = &page
            && *num_values as usize > buf.len()
        {
            return Err(general("a dictionary claims more values than it has bytes"));
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.pages.skip_next_page()
    }
}

fn general(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}
