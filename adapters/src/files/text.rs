//! Text files of candles: CSV and its relatives, plain or gzipped.
//!
//! - Memory is bounded by one line: a line longer than a mebibyte is damage, and a quoted cell never spans lines, so
//!   an open quote spoils its own line only (which is why lines are split here and not by a CSV library).
//! - Line numbers are those of an editor, from 1.
//! - A row has no more cells than the header: where it does, a comma too many has shifted its values, and which one
//!   it is nobody knows.
//! - In files separated by `;` a comma inside a number is refused: it may be a decimal comma.

use super::header::{self, Layout, TimeColumns};
use super::survey::Survey;
use super::{Batch, FileError, Reading, Reason, Rejected, Row, number, time};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

const LINE_MAX: usize = 1 << 20;
const SAMPLE_LINES: usize = 20;
const BATCH_ROWS: usize = 8192;

/// What was found out about a text file from its first lines.
#[derive(Debug, Clone)]
pub(crate) struct TextFormat {
    gzipped: bool,
    delimiter: u8,
    /// Lines before the first row.
    header_lines: u64,
    /// Cells of the header, or of most rows where there is none.
    width: usize,
    pub layout: Layout,
}

impl TextFormat {
    /// Reads the first lines and finds delimiter and columns.
    pub fn detect(path: &Path, gzipped: bool) -> Result<Self, FileError> {
        let mut lines = Lines::open(path, gzipped, 0)?;
        let mut sample: Vec<(u64, Vec<u8>)> = Vec::new();
        while sample.len() < SAMPLE_LINES && lines.advance()? {
            if !lines.line.is_empty() && !lines.line.starts_with(b"#") {
                sample.push((lines.number, lines.line.clone()));
            }
        }
        let Some((number, first)) = sample.first() else {
            return Err(FileError::NotCandles { path: path.to_owned(), seems: "empty".to_owned() });
        };
        refuse_other_text(path, first)?;
        let delimiter = delimiter_of(first);
        let cells = |line: &[u8]| -> Vec<String> {
            let mut cells = Vec::new();
            let _ = split(line, delimiter, &mut cells);
            cells.iter().map(|&(start, end)| String::from_utf8_lossy(&line[start..end]).into_owned()).collect()
        };
        let names = cells(first);
        let seems = match header::by_name(&names) {
            Ok(layout) => {
                return Ok(Self { gzipped, delimiter, header_lines: *number, width: names.len(), layout });
            }
            Err(seems) => seems,
        };
        if !names.iter().any(|cell| number::from_text(cell.as_bytes(), true).is_ok()) {
            return Err(FileError::NotCandles { path: path.to_owned(), seems });
        }
        let rows: Vec<_> = sample.iter().map(|(_, line)| cells(line)).collect();
        match header::by_values(&rows) {
            Some(layout) => {
                let widths = || rows.iter().map(Vec::len);
                let width = widths().max_by_key(|width| (widths().filter(|other| other == width).count(), *width));
                let width = width.unwrap_or(names.len());
                Ok(Self { gzipped, delimiter, header_lines: number - 1, width, layout })
            }
            None => {
                let seems = "a table without header whose columns cannot be told apart; add a header line".to_owned();
                Err(FileError::NotCandles { path: path.to_owned(), seems })
            }
        }
    }

    fn commas(&self) -> bool {
        self.delimiter != b';'
    }

    fn lines(&self, path: &Path) -> Result<Lines, FileError> {
        Lines::open(path, self.gzipped, self.header_lines)
    }

    /// Splits a row; no row where a quote is open or cells are too many. Empty ones at the end are tolerated.
    #[inline]
    fn split_row(&self, line: &[u8], cells: &mut Vec<(usize, usize)>) -> Result<(), Reason> {
        split(line, self.delimiter, cells).map_err(|OpenQuote| Reason::BrokenRow)?;
        match cells.get(self.width..) {
            Some(more) if more.iter().any(|(start, end)| start < end) => Err(Reason::BrokenRow),
            _ => Ok(()),
        }
    }

    /// The first pass: symbols, spacing, volume, and the order of day and month.
    pub fn survey(&self, reading: &mut Reading, survey: &mut Survey) -> Result<(), FileError> {
        if reading.order.is_none() {
            reading.order = Some(self.date_order(reading)?);
        }
        let mut lines = self.lines(&reading.path)?;
        let mut cells = Vec::new();
        let mut symbol = Vec::new();
        while lines.advance()? {
            if self.split_row(&lines.line, &mut cells).is_err() {
                continue;
            }
            let line = &lines.line;
            let cell = |at: usize| cells.get(at).map(|&(start, end)| &line[start..end]);
            let Some(stamp) = self.stamp(&cell, reading) else { continue };
            if !reading.symbol_of(cell_of(self.layout.symbol, &cell), cell_of(self.layout.series, &cell), &mut symbol) {
                continue;
            }
            if let Some(at) = self.layout.symbol {
                reading.check_single(cell(at).unwrap_or(b""))?;
            }
            let volume = self.layout.volume.and_then(cell).unwrap_or(b"");
            let number = survey.number(&reading.path, &symbol)?;
            survey.note(number, stamp.wall, number::has_volume(volume));
        }
        Ok(())
    }

    /// Looks for a date whose day is above twelve, in the whole column if need be.
    fn date_order(&self, reading: &Reading) -> Result<time::DateOrder, FileError> {
        let at = match self.layout.time {
            TimeColumns::One(at) | TimeColumns::Two(at, _) => at,
        };
        let mut lines = self.lines(&reading.path)?;
        let mut cells = Vec::new();
        let mut evidence = OrderEvidence::default();
        while evidence.undecided_shape() && lines.advance()? {
            if self.split_row(&lines.line, &mut cells).is_ok()
                && let Some(&(start, end)) = cells.get(at)
            {
                evidence.note(&lines.line[start..end]);
            }
        }
        evidence.decide(&reading.path)
    }

    fn stamp<'a>(&self, cell: &impl Fn(usize) -> Option<&'a [u8]>, reading: &Reading) -> Option<time::Stamp> {
        let order = reading.order.unwrap_or_default();
        match self.layout.time {
            TimeColumns::One(at) => time::from_text(cell(at)?, order),
            TimeColumns::Two(date, clock) => time::from_two(cell(date)?, cell(clock)?, order),
        }
    }
}

fn cell_of<'a>(at: Option<usize>, cell: &impl Fn(usize) -> Option<&'a [u8]>) -> Option<Option<&'a [u8]>> {
    at.map(cell)
}

/// What the dates of a column say about the order of day and month.
#[derive(Debug, Default)]
pub(crate) struct OrderEvidence {
    seen: u64,
    example: Option<String>,
    order: Option<time::DateOrder>,
}

impl OrderEvidence {
    /// True while more rows may still decide; a column that has shown another shape for long needs no more.
    pub fn undecided_shape(&self) -> bool {
        self.order.is_none() && (self.example.is_some() || self.seen < 1000)
    }

    pub fn note(&mut self, text: &[u8]) {
        self.seen += 1;
        match time::day_month_parts(text) {
            Some((first, second)) if first > 12 && second <= 12 => self.order = Some(time::DateOrder::DayFirst),
            Some((first, second)) if second > 12 && first <= 12 => self.order = Some(time::DateOrder::MonthFirst),
            Some((first, second)) if first != second => {
                self.example.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
            }
            _ => {}
        }
    }

    pub fn decide(self, path: &Path) -> Result<time::DateOrder, FileError> {
        match (self.order, self.example) {
            (Some(order), _) => Ok(order),
            (None, Some(example)) => Err(FileError::AmbiguousDates { path: path.to_owned(), example }),
            (None, None) => Ok(time::DateOrder::DayFirst),
        }
    }
}

/// The second pass.
pub(crate) struct TextRows {
    format: TextFormat,
    lines: Lines,
    cells: Vec<(usize, usize)>,
    symbol: Vec<u8>,
}

impl TextRows {
    pub fn open(format: &TextFormat, path: &Path) -> Result<Self, FileError> {
        Ok(Self { lines: format.lines(path)?, format: format.clone(), cells: Vec::new(), symbol: Vec::new() })
    }

    /// Fills `batch`; false at the end.
    pub fn next(&mut self, reading: &mut Reading, survey: &mut Survey, batch: &mut Batch) -> Result<bool, FileError> {
        while batch.read < BATCH_ROWS as u64 {
            if !self.lines.advance()? {
                return Ok(batch.read > 0);
            }
            if self.lines.line.is_empty() {
                continue;
            }
            batch.read += 1;
            match self.row(reading, survey) {
                Ok(row) => batch.rows.push(row),
                Err(reason) => batch.rejected.push(Rejected {
                    line: self.lines.number,
                    reason,
                    symbol: self.symbol_of(reading, survey),
                    text: String::from_utf8_lossy(&self.lines.line[..self.lines.line.len().min(512)]).into_owned(),
                }),
            }
        }
        Ok(true)
    }

    /// The symbol of a row that is no candle: whose cells cannot be told apart has none of its own.
    fn symbol_of(&mut self, reading: &Reading, survey: &mut Survey) -> Option<u32> {
        let (line, layout) = (&self.lines.line, self.format.layout);
        if self.format.split_row(line, &mut self.cells).is_err() {
            if layout.symbol.is_some() || layout.series.is_some() {
                return None;
            }
            self.cells.clear();
        }
        let cell = |at: usize| self.cells.get(at).map(|&(start, end)| &line[start..end]);
        let (symbol, series) = (cell_of(layout.symbol, &cell), cell_of(layout.series, &cell));
        reading.symbol_of(symbol, series, &mut self.symbol).then(|| survey.known(&self.symbol)).flatten()
    }

    fn row(&mut self, reading: &mut Reading, survey: &mut Survey) -> Result<Row, Reason> {
        let line = &self.lines.line;
        let layout = self.format.layout;
        self.format.split_row(line, &mut self.cells)?;
        let cells = &self.cells;
        let cell = |at: usize| cells.get(at).map(|&(start, end)| &line[start..end]);
        if cells.len() < [layout.open, layout.high, layout.low, layout.close].into_iter().fold(0, usize::max) + 1 {
            return Err(Reason::BrokenRow);
        }
        let stamp = self.format.stamp(&cell, reading).ok_or(Reason::BadTime)?;
        let (instant, wall_offset) = reading.instant(stamp).ok_or(Reason::BadTime)?;
        let (symbol, series) = (cell_of(layout.symbol, &cell), cell_of(layout.series, &cell));
        if !reading.symbol_of(symbol, series, &mut self.symbol) {
            return Err(Reason::BrokenRow);
        }
        let symbol = survey.known(&self.symbol).ok_or(Reason::BrokenRow)?;
        let commas = self.format.commas();
        let value = |at: usize| number::from_text(cell(at).unwrap_or(b""), commas);
        let (open, high, low, close) =
            (value(layout.open)?, value(layout.high)?, value(layout.low)?, value(layout.close)?);
        let volume = layout.volume.map(|at| number::volume_from_text(cell(at).unwrap_or(b""), commas));
        let volume = match volume {
            Some(Ok(volume)) => volume,
            Some(Err(Reason::MissingValue)) | None => reading.volume_missing(survey, symbol)?,
            Some(Err(reason)) => return Err(reason),
        };
        let row = Row { line: self.lines.number, instant, wall_offset, symbol, open, high, low, close, volume };
        row.problem().map_or(Ok(row), Err)
    }
}

/// A quoted cell without its closing quote.
struct OpenQuote;

/// Splits a line into cells, surrounding blanks and quotes removed.
#[inline]
fn split(line: &[u8], delimiter: u8, cells: &mut Vec<(usize, usize)>) -> Result<(), OpenQuote> {
    cells.clear();
    let mut start = 0;
    let mut at = 0;
    let mut quoted = false;
    let mut had_quote = false;
    while at < line.len() {
        let byte = line[at];
        if byte == b'"' {
            quoted = !quoted;
            had_quote = true;
        } else if byte == delimiter && !quoted {
            cells.push(trimmed(line, start, at, had_quote));
            start = at + 1;
            had_quote = false;
        }
        at += 1;
    }
    cells.push(trimmed(line, start, line.len(), had_quote));
    if quoted { Err(OpenQuote) } else { Ok(()) }
}

#[inline]
fn trimmed(line: &[u8], mut start: usize, mut end: usize, had_quote: bool) -> (usize, usize) {
    while start < end && line[start].is_ascii_whitespace() {
        start += 1;
    }
    while start < end && line[end - 1].is_ascii_whitespace() {
        end -= 1;
    }
    if had_quote && end - start >= 2 && line[start] == b'"' && line[end - 1] == b'"' {
        return trimmed(line, start + 1, end - 1, false);
    }
    (start, end)
}

fn delimiter_of(line: &[u8]) -> u8 {
    let count = |delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
    [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',')
}

/// Text that is no table: JSON, HTML, other encodings, binary.
fn refuse_other_text(path: &Path, line: &[u8]) -> Result<(), FileError> {
    let start = line.trim_ascii_start();
    let seems = if line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") {
        "text in UTF-16 (save it as UTF-8)"
    } else if line.contains(&0) {
        "a binary file of an unknown format"
    } else if start.starts_with(b"{") && (has(start, b"last_price") || has(start, b"depth")) {
        "ticks as JSON lines"
    } else if start.starts_with(b"{") || start.starts_with(b"[") {
        "JSON"
    } else if start.starts_with(b"<") {
        "a web page or XML"
    } else if start.first().is_some_and(u8::is_ascii_digit) && has(start, b" {\"") {
        "a recorded stream of JSON messages"
    } else {
        return Ok(());
    };
    Err(FileError::NotCandles { path: path.to_owned(), seems: seems.to_owned() })
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Lines of a file, one at a time, with their numbers.
struct Lines {
    path: std::path::PathBuf,
    input: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens and skips `skip` lines.
    fn open(path: &Path, gzipped: bool, skip: u64) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        let input: Box<dyn BufRead + Send> = if gzipped {
            let buffered = BufReader::with_capacity(1 << 16, file);
            Box::new(BufReader::with_capacity(1 << 16, flate2::bufread::MultiGzDecoder::new(buffered)))
        } else {
            Box::new(BufReader::with_capacity(1 << 16, file))
        };
        let mut lines = Self { path: path.to_owned(), input, line: Vec::new(), number: 0 };
        while lines.number < skip && lines.advance()? {}
        Ok(lines)
    }

    /// Reads the next line, without its end; false at the end of the file.
    fn advance(&mut self) -> Result<bool, FileError> {
        self.line.clear();
        let limit = LINE_MAX as u64 + 1;
        let got = self
            .input
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.line)
            .map_err(|error| FileError::damaged(&self.path, format_args!("after line {}: {error}", self.number)))?;
        if got == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.line.len() > LINE_MAX {
            return Err(FileError::damaged(&self.path, format_args!("line {} is longer than 1 MiB", self.number)));
        }
        if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
            self.line.drain(..3);
        }
        while matches!(self.line.last(), Some(b'\n' | b'\r')) {
            self.line.pop();
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(line: &str, delimiter: u8) -> Option<Vec<String>> {
        let mut cells = Vec::new();
        split(line.as_bytes(), delimiter, &mut cells).ok()?;
        Some(cells.iter().map(|&(start, end)| line[start..end].to_owned()).collect())
    }

    #[test]
    fn lines_split_into_cells() {
        assert_eq!(cells(r#"a, "2,373.00" ,b"#, b',').unwrap(), ["a", "2,373.00", "b"]);
        assert_eq!(cells("", b',').unwrap(), [""]);
        assert_eq!(cells("a;;b ", b';').unwrap(), ["a", "", "b"]);
        assert_eq!(cells(r#"a,"b"#, b','), None, "an open quote");
        assert_eq!(cells(r#""""#, b',').unwrap(), [""]);
    }

    #[test]
    fn delimiters() {
        assert_eq!(delimiter_of(b"a;b;c,d"), b';');
        assert_eq!(delimiter_of(b"a\tb"), b'\t');
        assert_eq!(delimiter_of(b"a,b"), b',');
        assert_eq!(delimiter_of(b"plain"), b',');
    }
}
