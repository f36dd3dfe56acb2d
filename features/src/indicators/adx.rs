//! Average directional index, with both directional indicators (J. Welles Wilder, 1978).
//!
//! - Movements and ranges are Wilder's sums: `length - 1` inputs are added up, then `sum - sum / length + input`.
//! - `DI = 100 × movement / range`, `DX = 100 × |DI+ - DI-| / (DI+ + DI-)`; the index is Wilder's mean of DX. The
//!   indicators speak from bar `length + 1` on, the index from bar `2 × length` on.
//! - Without any range both indicators are 0; without any movement DX is 0.

use super::{Arguments, Indicator, true_range};
use crate::bar::Bar;
use crate::error::FeatureError;
use crate::smoothing::{Smoothed, Smoothing};
use serde::{Deserialize, Serialize};

/// The index, DI+ and DI-, each 0 to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adx {
    length: usize,
    /// High, low and close of the last bar.
    last: Option<[f64; 3]>,
    /// Bars that moved, up to `length`.
    moves: usize,
    up: f64,
    down: f64,
    range: f64,
    mean: Smoothed,
}

impl Adx {
    /// An index over `length` bars, at least two.
    pub fn new(length: usize) -> Self {
        assert!(length > 1, "a direction needs two bars");
        let mean = Smoothed::new(Smoothing::Wilder, length);
        Self { length, last: None, moves: 0, up: 0.0, down: 0.0, range: 0.0, mean }
    }

    /// Adds a bar.
    pub fn update(&mut self, high: f64, low: f64, close: f64) {
        let Some([last_high, last_low, last_close]) = self.last.replace([high, low, close]) else { return };
        let (rise, fall) = (high - last_high, last_low - low);
        let up = if rise > 0.0 && rise > fall { rise } else { 0.0 };
        let down = if fall > 0.0 && fall > rise { fall } else { 0.0 };
        let range = true_range(high, low, last_close);
        let count = self.length as f64;
        if self.moves + 1 < self.length {
            self.moves += 1;
            self.up += up;
            self.down += down;
            self.range += range;
            return;
        }
        self.moves = self.length;
        self.up = self.up - self.up / count + up;
        self.down = self.down - self.down / count + down;
        self.range = self.range - self.range / count + range;
        let [plus, minus] = self.directions();
        let both = plus + minus;
        self.mean.update(if both > 0.0 { 100.0 * ((plus - minus).abs() / both) } else { 0.0 });
    }

    fn directions(&self) -> [f64; 2] {
        if self.range > 0.0 { [self.up, self.down].map(|movement| 100.0 * (movement / self.range)) } else { [0.0; 2] }
    }

    /// The index; nothing while there are too few bars.
    pub fn value(&self) -> Option<f64> {
        self.mean.value()
    }

    /// DI+ and DI-.
    pub fn indicators(&self) -> Option<[f64; 2]> {
        (self.moves == self.length).then(|| self.directions())
    }
}

impl Indicator for Adx {
    const NAME: &'static str = "adx";
    const USAGE: &'static str = "adx(length)";
    const OUTPUTS: &'static [&'static str] = &["", "plus", "minus"];

    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        match arguments.length("length")? {
            1 => Err(arguments.error("length is 1; a direction needs two bars".to_owned())),
            length => Ok(Self::new(length)),
        }
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.update(bar.high(), bar.low(), bar.close());
    }

    fn read(&self, output: usize) -> Option<f64> {
        match output {
            0 => self.value(),
            which => self.indicators().map(|both| both[which - 1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bars rise by 1 with a range of 2: movement 1 of true range 2 each bar, all of it upwards.
    #[test]
    fn a_steady_rise_points_up() {
        let mut adx = Adx::new(3);
        let mut values = Vec::new();
        for bar in 0..7 {
            let low = f64::from(bar);
            adx.update(low + 2.0, low, low + 1.0);
            values.push((adx.value(), adx.indicators()));
        }
        assert_eq!(values[..3], [(None, None); 3]);
        assert_eq!(values[3..5], [(None, Some([50.0, 0.0])); 2]);
        assert_eq!(values[5..], [(Some(100.0), Some([50.0, 0.0])); 2]);
    }

    #[test]
    fn a_market_that_stands_still_has_no_direction() {
        let mut adx = Adx::new(2);
        (0..9).for_each(|_| adx.update(5.0, 5.0, 5.0));
        assert_eq!((adx.value(), adx.indicators()), (Some(0.0), Some([0.0, 0.0])));
    }
}
