//! Volume-weighted average price: `Σ typical price × volume / Σ volume`, the typical price being the mean of high, low
//! and close.
//!
//! - `vwap` begins anew with each session: a mean over the whole of history says nothing about today (SQ-13).
//! - `anchored_vwap` begins with the first session on or after a date; `rolling_vwap` is over the last bars (TS-10).
//! - Without any volume there is no average.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::window::Window;
use daybook_vocabulary::Date;
use serde::{Deserialize, Serialize};

/// Sums of value and volume.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
struct Sums {
    value: f64,
    volume: f64,
}

impl Sums {
    fn add(&mut self, price: f64, volume: f64) {
        self.value += price * volume;
        self.volume += volume;
    }

    fn mean(&self) -> Option<f64> {
        (self.volume > 0.0).then(|| self.value / self.volume)
    }
}

/// The average of the session so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct SessionVwap {
    date: Option<Date>,
    sums: Sums,
}

impl Indicator for SessionVwap {
    const NAME: &'static str = "vwap";
    const USAGE: &'static str = "vwap";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(_: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        Ok(Self::default())
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        if self.date.replace(bar.session.date) != Some(bar.session.date) {
            self.sums = Sums::default();
        }
        self.sums.add(bar.typical(), bar.volume());
    }

    fn read(&self, _: usize) -> Option<f64> {
        self.sums.mean()
    }
}

/// The average since a date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnchoredVwap {
    from: Date,
    sums: Sums,
}

impl Indicator for AnchoredVwap {
    const NAME: &'static str = "anchored_vwap";
    const USAGE: &'static str = "anchored_vwap(YYYY-MM-DD)";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        let given = arguments.text("the date")?;
        let from = given.parse().map_err(|error| arguments.error(format!("{error}")))?;
        Ok(Self { from, sums: Sums::default() })
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        if bar.session.date >= self.from {
            self.sums.add(bar.typical(), bar.volume());
        }
    }

    fn read(&self, _: usize) -> Option<f64> {
        self.sums.mean()
    }
}

/// The average over the last bars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollingVwap {
    window: Window<(f64, f64)>,
}

impl RollingVwap {
    /// An average over `length` bars, at least one.
    pub fn new(length: usize) -> Self {
        Self { window: Window::new(length) }
    }
}

impl Indicator for RollingVwap {
    const NAME: &'static str = "rolling_vwap";
    const USAGE: &'static str = "rolling_vwap(length)";
    const OUTPUTS: &'static [&'static str] = &[""];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        Ok(Self::new(arguments.length("length")?))
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.window.push((bar.typical(), bar.volume()));
    }

    fn read(&self, _: usize) -> Option<f64> {
        let mut sums = Sums::default();
        self.window.iter().for_each(|(price, volume)| sums.add(price, volume));
        sums.mean().filter(|_| self.window.is_full())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{bars_of, candle, session_on};

    /// SQ-13: the average of a session knows nothing of the one before.
    #[test]
    fn a_session_begins_anew() {
        let (first, second) = (session_on("2025-01-01"), session_on("2025-01-02"));
        let candles = [(first, 10, 100), (first, 20, 300), (second, 40, 0), (second, 50, 7)]
            .map(|(session, price, volume)| (session, candle(session.open, [price; 4], volume)));
        let bars = bars_of(&candles);
        let values = |text: &str| crate::parse_indicators(text).unwrap().remove(0).batch(&bars).remove(0);
        assert_eq!(values("vwap"), [Some(10.0), Some(17.5), None, Some(50.0)]);
        assert_eq!(values("anchored_vwap(2025-01-02)"), [None, None, None, Some(50.0)]);
        assert_eq!(values("anchored_vwap(2025-01-01)")[1], Some(17.5));
        assert_eq!(values("rolling_vwap(2)"), [None, Some(17.5), Some(20.0), Some(50.0)]);
        assert!(crate::parse_indicators("anchored_vwap(monday)").unwrap_err().to_string().contains("not a date"));
    }
}
