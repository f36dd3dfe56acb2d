//! The features of one instrument in one timeframe, bar by bar.
//!
//! - It is fed closed bars in order; a bar that is not later than the last one is left out.
//! - Two copies of what remembers more than a window run side by side: the one anchored at the start of the last period
//!   speaks, the one anchored at the start of this period will speak in the next. So every bar is computed from its own
//!   anchor, however long the stream has run (see [`super`]).

use super::sliding::{MedianOfCloses, Range, Returns, Scores};
use super::{ATR_BARS, Features, RSI_BARS, WARMUP_BARS};
use crate::bar::Bar;
use crate::indicators::{Atr, Rsi, SessionClock};
use crate::smoothing::Smoothing;
use chrono::Datelike;
use daybook_vocabulary::{Date, Nanos};
use serde::{Deserialize, Serialize};

/// What started at an anchor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Anchored {
    /// It has seen every bar since its anchor.
    whole: bool,
    /// Bars since its anchor.
    bars: u32,
    atr: Atr,
    rsi: Rsi,
}

impl Anchored {
    fn new(whole: bool) -> Self {
        Self { whole, bars: 0, atr: Atr::new(ATR_BARS, Smoothing::Wilder), rsi: Rsi::new(RSI_BARS) }
    }

    #[inline]
    fn push(&mut self, high: f64, low: f64, close: f64) {
        self.bars = self.bars.saturating_add(1);
        self.atr.update(high, low, close);
        self.rsi.update(close);
    }
}

/// Eighteen features per bar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureStream {
    /// Number of the period of the last bar: months or years, whichever anchors.
    period: Option<i32>,
    /// Date of the last bar.
    date: Date,
    last_open: Nanos,
    last_close: i64,
    speaks: Anchored,
    waits: Anchored,
    returns: Returns,
    median: MedianOfCloses,
    scores: Scores,
    range: Range,
}

impl Default for FeatureStream {
    fn default() -> Self {
        Self::new()
    }
}

impl FeatureStream {
    /// A stream that has seen nothing.
    pub fn new() -> Self {
        Self {
            period: None,
            date: Date(i32::MIN),
            last_open: Nanos::MIN,
            last_close: 0,
            speaks: Anchored::new(false),
            waits: Anchored::new(false),
            returns: Returns::new(),
            median: MedianOfCloses::new(),
            scores: Scores::new(),
            range: Range::new(),
        }
    }

    /// Learns a closed bar and says its features; nothing where they would rest on too few bars since the anchor, or
    /// where the stream began after the anchor.
    #[inline]
    pub fn push(&mut self, bar: &Bar<'_>) -> Option<Features> {
        let candle = bar.candle;
        if candle.open_time() <= self.last_open || !candle.is_consistent() {
            return None;
        }
        self.last_open = candle.open_time();
        if bar.session.date != self.date {
            self.date = bar.session.date;
            self.turn(bar);
        }
        let [open, high, low, close] = [candle.open().0, candle.high().0, candle.low().0, candle.close().0];
        if self.last_close > 0 {
            self.returns.push(self.last_close, close);
        }
        self.last_close = close;
        self.median.push(close);
        let median = self.median.doubled();
        if median > 0.0 {
            self.scores.push([open, high, low, close], median);
        }
        self.range.push(high, low, close);
        let [high, low, close] = [high as f64, low as f64, close as f64];
        self.speaks.push(high, low, close);
        self.waits.push(high, low, close);
        self.features(bar, close)
    }

    /// Bars since the anchor that speaks, and whether that anchor is in the stream.
    pub fn since_anchor(&self) -> (u32, bool) {
        (self.speaks.bars, self.speaks.whole)
    }

    /// True when every place in every window exists, whatever the bytes it was read from.
    pub(super) fn is_sound(&self) -> bool {
        self.returns.is_sound() && self.median.is_sound() && self.scores.is_sound() && self.range.is_sound()
    }

    #[inline]
    fn features(&self, bar: &Bar<'_>, close: f64) -> Option<Features> {
        if !self.speaks.whole || self.speaks.bars < WARMUP_BARS {
            return None;
        }
        let [one, three, five, ten] = self.returns.over();
        let [short, long] = self.returns.deviations();
        let atr = (self.speaks.atr.value()? / close) as f32;
        let rsi = self.speaks.rsi.value()? as f32;
        let [k, d, j] = self.range.kdj();
        let [open, high, low, last] = self.scores.last();
        let [since, until, early] = SessionClock::of(bar).map(|value| value as f32);
        let row = [one, three, five, ten, short, long, atr, rsi, k, d, j, open, high, low, last, since, until, early];
        // Nothing above can be anything else; what is not a number must never pass all the same.
        row.iter().all(|value| value.is_finite()).then_some(row)
    }

    /// Moves the anchors on where the bar begins a new period.
    #[cold]
    fn turn(&mut self, bar: &Bar<'_>) {
        let (period, opens) = period_of(bar);
        match self.period {
            Some(last) if last == period => return,
            // The stream begins: it is whole if this is the first bar of its period, or lies even before.
            None => {
                self.speaks = Anchored::new(false);
                self.waits = Anchored::new(bar.candle.open_time() <= opens);
            }
            Some(last) if last + 1 == period => {
                self.speaks = std::mem::replace(&mut self.waits, Anchored::new(true));
            }
            // The period before has no bar at all, so there is none to start at.
            Some(_) => {
                self.speaks = Anchored::new(false);
                self.waits = Anchored::new(true);
            }
        }
        self.period = Some(period);
    }
}

/// Number of the period that anchors a bar, and when its first session opens.
fn period_of(bar: &Bar<'_>) -> (i32, Nanos) {
    let date = bar.session.date.civil();
    if bar.candle.interval().is_daily() {
        (date.year(), bar.session.year_opens)
    } else {
        (date.year() * 12 + date.month0() as i32, bar.session.month_opens)
    }
}
