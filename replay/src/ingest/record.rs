//! Rows on their way to the journal: placed candles and refused rows.
//!
//! - The order of [`Record`] is the order of the journal: availability, symbol, interval, open time; then the order of
//!   files and lines, which the duplicate policies mean by "first".
//! - The order of [`Refused`] is (file hash, line): it does not depend on the order of the files on the command line.

use super::sort::{Sortable, read_whole};
use daybook_adapters::files::Reason;
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{Candle, Interval, Nanos, Price, Quantity};
use std::io::{self, Read};

/// A row with its place in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// Availability, nanoseconds UTC.
    pub time: i64,
    /// Rank of the symbol in the command (upper half) and interval in seconds (lower half).
    pub series: u64,
    /// Start of the bar, nanoseconds UTC.
    pub open_time: i64,
    /// Index of the file on the command line.
    pub file: u64,
    pub line: u64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub volume: i64,
}

const WORDS: usize = 10;

pub(crate) fn series_of(rank: u32, interval: Interval) -> u64 {
    u64::from(rank) << 32 | u64::from(interval.0)
}

pub(crate) const fn rank_of(series: u64) -> usize {
    (series >> 32) as usize
}

pub(crate) const fn interval_of(series: u64) -> Interval {
    Interval(series as u32)
}

impl Record {
    /// What a candle is known by.
    #[inline]
    pub fn key(&self) -> (i64, u64, i64) {
        (self.time, self.series, self.open_time)
    }

    pub fn same_values(&self, other: &Self) -> bool {
        self.values() == other.values()
    }

    fn values(&self) -> [i64; 5] {
        [self.open, self.high, self.low, self.close, self.volume]
    }

    pub fn candle(&self, revises: bool) -> Candle {
        Candle::new(CandleParts {
            open_time: Nanos(self.open_time),
            interval: interval_of(self.series),
            open: Price(self.open),
            high: Price(self.high),
            low: Price(self.low),
            close: Price(self.close),
            volume: Quantity(self.volume),
            revises,
        })
    }

    /// The row as people read it.
    pub fn text(&self, symbol: &str) -> String {
        format!("{symbol} {} {}", interval_of(self.series), candle_text(&self.candle(false)))
    }
}

/// A candle's time and values as people read them.
pub(crate) fn candle_text(candle: &Candle) -> String {
    format!(
        "{} open={} high={} low={} close={} volume={}",
        candle.open_time(),
        candle.open(),
        candle.high(),
        candle.low(),
        candle.close(),
        candle.volume()
    )
}

impl Sortable for Record {
    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { time, series, open_time, file, line, open, high, low, close, volume } = *self;
        let words: [u64; WORDS] = [
            time as u64,
            series,
            open_time as u64,
            file,
            line,
            open as u64,
            high as u64,
            low as u64,
            close as u64,
            volume as u64,
        ];
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    fn read(input: &mut dyn Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; WORDS * 8];
        if !read_whole(input, &mut bytes)? {
            return Ok(None);
        }
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
        let [time, series, open_time, file, line, open, high, low, close, volume] = words;
        Ok(Some(Self {
            time: time as i64,
            series,
            open_time: open_time as i64,
            file,
            line,
            open: open as i64,
            high: high as i64,
            low: low as i64,
            close: close as i64,
            volume: volume as i64,
        }))
    }
}

/// A row for quarantine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refused {
    /// Rank of the file by hash.
    pub file_rank: u32,
    pub line: u64,
    pub reason: Reason,
    pub text: String,
    /// Rank of its symbol in the command, or [`NO_SYMBOL`].
    pub symbol: u32,
}

/// The symbol of a row that says none.
pub(crate) const NO_SYMBOL: u32 = u32::MAX;

/// The most of a row that a quarantine keeps.
const TEXT_MAX: usize = 512;

impl Refused {
    pub fn new(file_rank: u32, line: u64, reason: Reason, symbol: u32, mut text: String) -> Self {
        if text.len() > TEXT_MAX {
            let cut = (0..=TEXT_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(cut);
        }
        Self { file_rank, line, reason, text, symbol }
    }
}

impl Sortable for Refused {
    fn size(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.file_rank.to_le_bytes());
        out.extend_from_slice(&self.line.to_le_bytes());
        out.push(self.reason as u8);
        out.extend_from_slice(&self.symbol.to_le_bytes());
        out.extend_from_slice(&(self.text.len() as u16).to_le_bytes());
        out.extend_from_slice(self.text.as_bytes());
    }

    fn read(input: &mut dyn Read) -> io::Result<Option<Self>> {
        let mut head = [0; 19];
        if !read_whole(input, &mut head)? {
            return Ok(None);
        }
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let (rank, rest) = head.split_at(4);
        let (line, rest) = rest.split_at(8);
        let (symbol, length) = rest[1..].split_at(4);
        let length = u16::from_le_bytes(length.try_into().unwrap_or_default());
        let mut text = vec![0; usize::from(length)];
        if !text.is_empty() && !read_whole(input, &mut text)? {
            return Err(bad("a spill file ends in the middle of a row"));
        }
        Ok(Some(Self {
            file_rank: u32::from_le_bytes(rank.try_into().unwrap_or_default()),
            line: u64::from_le_bytes(line.try_into().unwrap_or_default()),
            reason: Reason::from_number(rest[0]).ok_or_else(|| bad("a spill file holds an unknown reason"))?,
            symbol: u32::from_le_bytes(symbol.try_into().unwrap_or_default()),
            text: String::from_utf8(text).map_err(|_| bad("a spill file holds a row that is not text"))?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spilled_rows_read_back(words in any::<[i64; 8]>(), file: u64, line: u64, text in "\\PC{0,600}", reason in 0u8..14) {
            let [time, open_time, open, high, low, close, volume, series] = words;
            let record = Record { time, series: series as u64, open_time, file, line, open, high, low, close, volume };
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            prop_assert_eq!(Record::read(&mut bytes.as_slice()).unwrap(), Some(record));
            let refused = Refused::new(file as u32, line, Reason::from_number(reason).unwrap(), series as u32, text);
            prop_assert!(refused.text.len() <= 512);
            bytes.clear();
            refused.write(&mut bytes);
            prop_assert_eq!(Refused::read(&mut bytes.as_slice()).unwrap(), Some(refused));
        }
    }
}
