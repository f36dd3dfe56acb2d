//! Columnar files of candles: Parquet and Arrow IPC (Feather).
//!
//! - Work goes column by column: a batch's column is converted in one pass, rows are put together at the end.
//! - A row's number counts all rows of the file, from 1.

mod ipc;
mod parquet;

use super::convert::{self, problem, reason};
use super::header::{self, Layout, TimeColumns};
use super::survey::Survey;
use super::text::OrderEvidence;
use super::{Batch, FileError, Reading, Reason, Rejected, Row, number};
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
pub(crate) use parquet::{ParquetSource, next as next_of};
use std::path::{Path, PathBuf};

const BATCH_ROWS: usize = 16_384;

/// What was found out about a columnar file from its schema.
#[derive(Debug)]
pub(crate) struct ColumnFormat {
    path: PathBuf,
    source: Source,
    schema: SchemaRef,
    layout: Layout,
}

#[derive(Debug)]
enum Source {
    Parquet(ParquetSource),
    Ipc { is_file: bool },
}

impl ColumnFormat {
    pub fn parquet(path: &Path) -> Result<Self, FileError> {
        let source = ParquetSource::open(path)?;
        let schema = source.schema().clone();
        Self::with_schema(path, Source::Parquet(source), schema)
    }

    pub fn ipc_file(path: &Path) -> Result<Self, FileError> {
        let (_, schema) = ipc::IpcBatches::open(path, true)?;
        Self::with_schema(path, Source::Ipc { is_file: true }, schema)
    }

    pub fn ipc_stream(path: &Path) -> Result<Self, FileError> {
        let (_, schema) = ipc::IpcBatches::open(path, false)?;
        Self::with_schema(path, Source::Ipc { is_file: false }, schema)
    }

    fn with_schema(path: &Path, source: Source, schema: SchemaRef) -> Result<Self, FileError> {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let layout = header::by_name(&names).map_err(|seems| FileError::NotCandles { path: path.to_owned(), seems })?;
        let format = Self { path: path.to_owned(), source, schema, layout };
        for at in format.columns() {
            let field = format.schema.field(at);
            if !convert::is_readable(field.data_type()) {
                let what = format!("column '{}' has the type {}, which is not read", field.name(), field.data_type());
                return Err(FileError::Unsupported { path: path.to_owned(), what });
            }
        }
        Ok(format)
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Every column that a role has, in order.
    fn columns(&self) -> Vec<usize> {
        let Layout { time, symbol, series, open, high, low, close, volume } = self.layout;
        let mut columns = vec![open, high, low, close];
        columns.extend(time_columns(time));
        columns.extend([symbol, series, volume].into_iter().flatten());
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    fn open(&self, columns: &[usize]) -> Result<Batches, FileError> {
        Ok(match &self.source {
            Source::Parquet(source) => {
                Batches::Parquet(Box::new(source.batches(&self.path, columns, BATCH_ROWS)?), columns.to_vec())
            }
            Source::Ipc { is_file } => Batches::Ipc(Box::new(ipc::IpcBatches::open(&self.path, *is_file)?.0)),
        })
    }

    /// The first pass: symbols, spacing, volume, and the order of day and month. Reads only the columns it needs.
    pub fn survey(&self, reading: &mut Reading, survey: &mut Survey) -> Result<(), FileError> {
        let volume = self.layout.volume.filter(|&at| self.volume_may_be_missing(at));
        let mut columns = time_columns(self.layout.time);
        columns.extend([self.layout.symbol, self.layout.series, volume].into_iter().flatten());
        columns.sort_unstable();
        columns.dedup();
        self.decide_order(reading, &columns)?;
        let mut batches = self.open(&columns)?;
        let (mut stamps, mut problems) = (Vec::new(), Vec::new());
        let mut symbols = SymbolCells::default();
        while let Some(batch) = batches.next(&self.path)? {
            problems.clear();
            problems.resize(batch.num_rows(), 0);
            let wrong = |error: ArrowError| FileError::damaged(&self.path, error);
            self.instants(&batches, &batch, reading, &mut stamps, &mut problems).map_err(wrong)?;
            symbols.load(self, &batches, &batch).map_err(wrong)?;
            let volumes = volume.map(|at| Presence::of(batches.column(&batch, at))).transpose().map_err(wrong)?;
            for row in 0..batch.num_rows() {
                if problems[row] != 0 {
                    continue;
                }
                if let Some(symbols) = &symbols.symbols {
                    reading.check_single(if symbols.is_null(row) { b"" } else { symbols.value(row).as_bytes() })?;
                }
                let Some(name) = symbols.name(reading, row) else { continue };
                let number = survey.number(&self.path, name)?;
                let (instant, offset) = stamps[row];
                let has_volume =
                    volumes.as_ref().map_or(self.layout.volume.is_some(), |volumes| volumes.is_present(row));
                survey.note(number, instant + i64::from(offset) * daybook_vocabulary::time::SECOND, has_volume);
            }
        }
        Ok(())
    }

    /// Whether the survey must read the volumes: not where the file says that a whole-number column has no nulls.
    fn volume_may_be_missing(&self, at: usize) -> bool {
        let whole = self.schema.field(at).data_type().is_integer();
        let no_nulls = match &self.source {
            Source::Parquet(source) => source.nulls(at) == Some(0),
            Source::Ipc { .. } => false,
        };
        !(whole && no_nulls)
    }

    /// Dates as text may be day first or month first.
    fn decide_order(&self, reading: &mut Reading, columns: &[usize]) -> Result<(), FileError> {
        let at = time_columns(self.layout.time)[0];
        let text = matches!(
            self.schema.field(at).data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _)
        );
        if reading.order.is_some() || !text {
            return Ok(());
        }
        let mut evidence = OrderEvidence::default();
        let mut batches = self.open(columns)?;
        while evidence.undecided_shape() {
            let Some(batch) = batches.next(&self.path)? else { break };
            let texts =
                convert::texts(batches.column(&batch, at)).map_err(|error| FileError::damaged(&self.path, error))?;
            texts.iter().flatten().for_each(|text| evidence.note(text.as_bytes()));
        }
        reading.order = Some(evidence.decide(&self.path)?);
        Ok(())
    }

    fn instants(
        &self,
        batches: &Batches,
        batch: &RecordBatch,
        reading: &mut Reading,
        out: &mut Vec<(i64, i32)>,
        problems: &mut [u8],
    ) -> Result<(), ArrowError> {
        match self.layout.time {
            TimeColumns::One(at) => convert::instants(batches.column(batch, at), reading, out, problems),
            TimeColumns::Two(date, clock) => {
                let both = (batches.column(batch, date), batches.column(batch, clock));
                convert::instants_of_two(both, reading, out, problems)
            }
        }
    }

    /// The second pass.
    pub fn rows(&self) -> Result<ColumnRows, FileError> {
        let columns = self.columns();
        let format = Self {
            path: self.path.clone(),
            source: match &self.source {
                Source::Parquet(source) => Source::Parquet(source.clone()),
                Source::Ipc { is_file } => Source::Ipc { is_file: *is_file },
            },
            schema: self.schema.clone(),
            layout: self.layout,
        };
        Ok(ColumnRows { batches: self.open(&columns)?, format, read: 0, work: Work::default() })
    }
}

fn time_columns(time: TimeColumns) -> Vec<usize> {
    match time {
        TimeColumns::One(at) => vec![at],
        TimeColumns::Two(date, clock) => vec![date, clock],
    }
}

/// Batches of the wanted columns, never larger than [`BATCH_ROWS`].
enum Batches {
    /// Parquet reads only the wanted columns; the list says which.
    Parquet(Box<ParquetRecordBatchReader>, Vec<usize>),
    Ipc(Box<ipc::IpcBatches>),
    /// After the last batch, or an error.
    Ended,
    /// A large batch of an IPC file, handed out in slices.
    Slices(Box<ipc::IpcBatches>, RecordBatch, usize),
}

impl Batches {
    fn next(&mut self, path: &Path) -> Result<Option<RecordBatch>, FileError> {
        loop {
            match self {
                Self::Parquet(reader, _) => return parquet::next(path, reader),
                Self::Slices(_, batch, from) if *from < batch.num_rows() => {
                    let slice = batch.slice(*from, BATCH_ROWS.min(batch.num_rows() - *from));
                    *from += slice.num_rows();
                    return Ok(Some(slice));
                }
                Self::Ipc(input) | Self::Slices(input, _, _) => {
                    let Some(batch) = input.next()? else { return Ok(None) };
                    let input = std::mem::replace(self, Self::Ended);
                    let (Self::Ipc(input) | Self::Slices(input, _, _)) = input else { return Ok(None) };
                    *self = Self::Slices(input, batch, 0);
                }
                Self::Ended => return Ok(None),
            }
        }
    }

    /// A column by its place in the schema.
    fn column<'a>(&self, batch: &'a RecordBatch, at: usize) -> &'a ArrayRef {
        match self {
            Self::Parquet(_, columns) => batch.column(columns.iter().filter(|&&column| column < at).count()),
            _ => batch.column(at),
        }
    }
}

/// Which rows of a volume column hold a value.
enum Presence<'a> {
    Values(&'a ArrayRef),
    Floats(&'a ArrayRef),
    Texts(StringArray),
}

impl<'a> Presence<'a> {
    fn of(column: &'a ArrayRef) -> Result<Self, ArrowError> {
        Ok(match column.data_type() {
            DataType::Float64 => Self::Floats(column),
            kind if kind.is_integer() => Self::Values(column),
            _ => Self::Texts(convert::texts(column)?),
        })
    }

    fn is_present(&self, row: usize) -> bool {
        use arrow::array::AsArray;
        use arrow::datatypes::Float64Type;
        match self {
            Self::Values(column) => column.is_valid(row),
            Self::Floats(column) => column.is_valid(row) && !column.as_primitive::<Float64Type>().value(row).is_nan(),
            Self::Texts(texts) => number::has_volume(if texts.is_null(row) { "" } else { texts.value(row) }.as_bytes()),
        }
    }
}

/// The symbol and series cells of a batch.
#[derive(Default)]
struct SymbolCells {
    symbols: Option<StringArray>,
    series: Option<StringArray>,
    name: Vec<u8>,
}

impl SymbolCells {
    fn load(&mut self, format: &ColumnFormat, batches: &Batches, batch: &RecordBatch) -> Result<(), ArrowError> {
        let texts = |at: Option<usize>| at.map(|at| convert::texts(batches.column(batch, at))).transpose();
        self.symbols = texts(format.layout.symbol)?;
        self.series = texts(format.layout.series)?;
        Ok(())
    }

    #[inline]
    fn name(&mut self, reading: &Reading, row: usize) -> Option<&[u8]> {
        if self.symbols.is_none() && self.series.is_none() && !self.name.is_empty() {
            return Some(&self.name); // one symbol for the whole file, already there
        }
        fn cell(texts: &Option<StringArray>, row: usize) -> Option<Option<&[u8]>> {
            let texts = texts.as_ref()?;
            Some((!texts.is_null(row)).then(|| texts.value(row).trim().as_bytes()))
        }
        let Self { symbols, series, name } = self;
        reading.symbol_of(cell(symbols, row), cell(series, row), name).then_some(name.as_slice())
    }
}

/// The second pass over a columnar file.
pub(crate) struct ColumnRows {
    batches: Batches,
    format: ColumnFormat,
    read: u64,
    work: Work,
}

/// Buffers of one batch, kept between batches.
#[derive(Default)]
struct Work {
    stamps: Vec<(i64, i32)>,
    problems: Vec<u8>,
    volume_problems: Vec<u8>,
    open: Vec<i64>,
    high: Vec<i64>,
    low: Vec<i64>,
    close: Vec<i64>,
    volume: Vec<i64>,
    symbols: SymbolCells,
}

impl ColumnRows {
    /// Fills `batch`; false at the end.
    pub fn next(&mut self, reading: &mut Reading, survey: &mut Survey, batch: &mut Batch) -> Result<bool, FileError> {
        let path = self.format.path.clone();
        let Some(columns) = self.batches.next(&path)? else { return Ok(false) };
        self.convert(reading, &columns).map_err(|error| FileError::damaged(&path, error))?;
        let first_line = self.read + 1;
        self.read += columns.num_rows() as u64;
        batch.read = columns.num_rows() as u64;
        batch.rows.reserve(columns.num_rows());
        let single = self.format.layout.symbol.is_none() && self.format.layout.series.is_none();
        let mut symbol = None;
        for row in 0..columns.num_rows() {
            if symbol.is_none() || !single {
                symbol = self.work.symbols.name(reading, row).and_then(|name| survey.known(name));
            }
            match self.work.row(row, first_line + row as u64, symbol, survey, reading) {
                Ok(row) => batch.rows.push(row),
                Err(reason) => {
                    let text = self.text_of(&columns, row);
                    batch.rejected.push(Rejected { line: first_line + row as u64, reason, symbol, text });
                }
            }
        }
        Ok(true)
    }

    fn convert(&mut self, reading: &mut Reading, columns: &RecordBatch) -> Result<(), ArrowError> {
        let (work, layout, rows) = (&mut self.work, self.format.layout, columns.num_rows());
        for problems in [&mut work.problems, &mut work.volume_problems] {
            problems.clear();
            problems.resize(rows, 0);
        }
        let column = |at: usize| self.batches.column(columns, at);
        self.format.instants(&self.batches, columns, reading, &mut work.stamps, &mut work.problems)?;
        work.symbols.load(&self.format, &self.batches, columns)?;
        let mut prices = vec![0; rows];
        for (at, out) in [
            (layout.open, &mut work.open),
            (layout.high, &mut work.high),
            (layout.low, &mut work.low),
            (layout.close, &mut work.close),
        ] {
            convert::numbers(column(at), Reason::NotFinite, out, &mut prices)?;
        }
        // A row without a time says that first.
        work.problems.iter_mut().zip(&prices).filter(|(slot, _)| **slot == 0).for_each(|(slot, price)| *slot = *price);
        match layout.volume {
            Some(at) => {
                convert::numbers(column(at), Reason::MissingValue, &mut work.volume, &mut work.volume_problems)?;
            }
            None => {
                work.volume.clear();
                work.volume.resize(rows, 0);
                work.volume_problems.fill(problem(Reason::MissingValue));
            }
        }
        Ok(())
    }

    /// The row as `name=value` pairs.
    fn text_of(&self, columns: &RecordBatch, row: usize) -> String {
        let mut out = String::new();
        for at in self.format.columns() {
            let value = convert::text_of_cell(self.batches.column(columns, at), row);
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(self.format.schema.field(at).name());
            out.push('=');
            out.push_str(&value);
            if out.len() > 512 {
                break;
            }
        }
        out
    }
}

impl Work {
    #[inline]
    fn row(
        &self,
        row: usize,
        line: u64,
        symbol: Option<u32>,
        survey: &Survey,
        reading: &Reading,
    ) -> Result<Row, Reason> {
        if let Some(reason) = reason(self.problems[row]) {
            return Err(reason);
        }
        let symbol = symbol.ok_or(Reason::BrokenRow)?;
        let volume = match reason(self.volume_problems[row]) {
            None => self.volume[row],
            Some(Reason::MissingValue) => reading.volume_missing(survey, symbol)?,
            Some(reason) => return Err(reason),
        };
        let (instant, wall_offset) = self.stamps[row];
        let (open, high, low, close) = (self.open[row], self.high[row], self.low[row], self.close[row]);
        let row = Row { line, instant, wall_offset, symbol, open, high, low, close, volume };
        row.problem().map_or(Ok(row), Err)
    }
}
