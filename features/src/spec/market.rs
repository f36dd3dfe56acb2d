//! Features of several instruments in several timeframes, side by side.
//!
//! - Fed with every closed bar, in order of time; a bar of a timeframe that nobody asked for is left out.
//! - Kept whole it is the shared matrix that training refers into; kept short it is what a decision needs. Both answer
//!   through the same code, so a vector has the same bytes in backtest, live and training.

use super::rows::{Moment, Rows, Withheld};
use super::stream::FeatureStream;
use crate::bar::{Bar, Session};
use daybook_vocabulary::{Interval, Nanos};
use serde::{Deserialize, Serialize};

/// A timeframe and how far a model looks back in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeframe {
    /// Length of its bars.
    pub interval: Interval,
    /// Bars that a decision sees.
    pub lookback: usize,
}

/// Streams and rows by instrument, then by timeframe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureMarket {
    timeframes: Vec<Timeframe>,
    streams: Vec<FeatureStream>,
    rows: Vec<Rows>,
    session: Option<Session>,
    previous: Option<Session>,
}

impl FeatureMarket {
    /// What decides at each bar: `symbols` instruments, rows as far back as the look-backs reach.
    pub fn for_decisions(symbols: usize, timeframes: &[Timeframe]) -> Self {
        Self::new(symbols, timeframes, |timeframe| Some(timeframe.lookback))
    }

    /// The matrix of a whole history: every row is kept.
    pub fn for_training(symbols: usize, timeframes: &[Timeframe]) -> Self {
        Self::new(symbols, timeframes, |_| None)
    }

    fn new(symbols: usize, timeframes: &[Timeframe], keep: impl Fn(&Timeframe) -> Option<usize>) -> Self {
        assert!(!timeframes.is_empty(), "a market has a timeframe");
        assert!(
            timeframes.iter().all(|timeframe| timeframe.lookback > 0 && timeframe.interval.0 > 0),
            "a decision sees a bar of each timeframe"
        );
        let all = || (0..symbols).flat_map(|_| timeframes);
        Self {
            timeframes: timeframes.to_vec(),
            streams: all().map(|_| FeatureStream::new()).collect(),
            rows: all().map(|timeframe| Rows::new(timeframe.interval, keep(timeframe))).collect(),
            session: None,
            previous: None,
        }
    }

    /// Learns a bar that closed and was known at `known`; false when nobody asked for its timeframe.
    pub fn observe(&mut self, symbol: usize, bar: &Bar<'_>, known: Nanos) -> bool {
        let wanted = |timeframe: &Timeframe| timeframe.interval == bar.candle.interval();
        let Some(place) = self.timeframes.iter().position(wanted) else { return false };
        if self.session.is_none_or(|session| session.date < bar.session.date) {
            self.previous = self.session.replace(*bar.session);
        }
        let place = symbol * self.timeframes.len() + place;
        let features = self.streams[place].push(bar);
        self.rows[place].push(bar, known, features.as_ref());
        true
    }

    /// A decision time in the session of the last bar; nothing before the first.
    pub fn moment(&self, at: Nanos) -> Option<Moment> {
        self.session.map(|session| Moment { at, session, previous: self.previous })
    }

    /// The window of one instrument in one timeframe: `lookback × FEATURES` values, oldest bar first.
    pub fn window(&self, symbol: usize, timeframe: usize, moment: &Moment) -> Result<&[f32], Withheld> {
        self.rows(symbol, timeframe).window(moment, self.timeframes[timeframe].lookback)
    }

    /// The first reason, by instrument and timeframe, to withhold a decision at that time.
    pub fn ready(&self, moment: &Moment) -> Result<(), (usize, Withheld)> {
        for symbol in 0..self.symbols() {
            for timeframe in 0..self.timeframes.len() {
                self.window(symbol, timeframe, moment).map_err(|why| (symbol, why))?;
            }
        }
        Ok(())
    }

    /// Rows of an instrument in a timeframe.
    pub fn rows(&self, symbol: usize, timeframe: usize) -> &Rows {
        &self.rows[symbol * self.timeframes.len() + timeframe]
    }

    /// Timeframes, as given.
    pub fn timeframes(&self) -> &[Timeframe] {
        &self.timeframes
    }

    /// Number of instruments.
    pub fn symbols(&self) -> usize {
        self.rows.len() / self.timeframes.len()
    }

    /// True when what was read back is a market of so many instruments, whatever the bytes were.
    pub fn is_sound(&self, symbols: usize) -> bool {
        let places = symbols * self.timeframes.len();
        let intervals = self.timeframes.iter().map(|timeframe| timeframe.interval).cycle();
        !self.timeframes.is_empty()
            && (self.streams.len(), self.rows.len()) == (places, places)
            && self.streams.iter().all(FeatureStream::is_sound)
            && self.rows.iter().zip(intervals).all(|(rows, interval)| rows.is_sound() && rows.interval() == interval)
    }

    /// Bytes that rows take.
    pub fn bytes(&self) -> usize {
        let row = size_of::<super::RowKey>() + size_of::<super::Features>();
        self.rows.iter().map(|rows| rows.keys().len() * row).sum()
    }
}
