//! Standardisation: mean and deviation of each feature, fitted on the training range only, stored with the model.
//!
//! - Fitted over every row that was known in the range, instrument by instrument, in order of time, in two passes.
//! - Plain data with the version and hash of the specification: another one is refused before a value is read.
//! - A feature that does not vary in the range is only shifted. Means and deviations are `f32`, as the features are, so
//!   that writing them as text and reading them back changes nothing.

use super::{FEATURE_SPEC_VERSION, FEATURES, FeatureMarket, Features, feature_spec_hash};
use crate::error::FeatureError;
use daybook_vocabulary::{Hash, Interval, Nanos};
use serde::{Deserialize, Serialize};

/// Means and deviations of one timeframe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// The timeframe.
    pub interval: Interval,
    /// Rows it was fitted on.
    pub rows: u64,
    /// Mean of each feature.
    pub mean: Features,
    /// Deviation of each feature (of the population), or 1 where it does not vary.
    pub scale: Features,
}

/// Where a scaler is fitted: rows known in `from..until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalerFit {
    /// First instant.
    pub from: Nanos,
    /// First instant after it.
    pub until: Nanos,
}

/// Standardises features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// [`FEATURE_SPEC_VERSION`] of the features it was fitted on.
    pub version: u32,
    /// Hash of that specification.
    pub specification: Hash,
    /// Where it was fitted.
    pub range: ScalerFit,
    /// One per timeframe, in the model's order.
    pub timeframes: Vec<Fitted>,
}

impl Scaler {
    /// Fits it on the rows of a range.
    pub fn fit(market: &FeatureMarket, range: ScalerFit) -> Result<Self, FeatureError> {
        let fit = |place: usize| fit_timeframe(market, place, range);
        let timeframes = (0..market.timeframes().len()).map(fit).collect::<Result<_, _>>()?;
        Ok(Self { version: FEATURE_SPEC_VERSION, specification: feature_spec_hash(), range, timeframes })
    }

    /// Refuses a scaler of another specification, of other timeframes, or with values that are not numbers.
    pub fn check(&self, intervals: &[Interval]) -> Result<(), FeatureError> {
        super::check_specification("the scaler", self.version, self.specification)?;
        let fitted: Vec<Interval> = self.timeframes.iter().map(|fitted| fitted.interval).collect();
        if fitted != intervals {
            let list = |all: &[Interval]| all.iter().map(Interval::to_string).collect::<Vec<_>>().join(", ");
            let (fitted, wanted) = (list(&fitted), list(intervals));
            return Err(FeatureError::Scaler(format!(
                "was fitted for {fitted}, the model asks for {wanted}; train again"
            )));
        }
        let sound = |fitted: &Fitted| {
            fitted.mean.iter().all(|mean| mean.is_finite())
                && fitted.scale.iter().all(|scale| scale.is_finite() && *scale > 0.0)
        };
        if !self.timeframes.iter().all(sound) {
            return Err(FeatureError::Scaler(
                "holds a mean or a deviation that is no number; take another copy".to_owned(),
            ));
        }
        Ok(())
    }

    /// Standardises rows of a timeframe in place: `(value - mean) / deviation`.
    #[inline]
    pub fn apply(&self, timeframe: usize, values: &mut [f32]) {
        let fitted = &self.timeframes[timeframe];
        for row in values.chunks_exact_mut(FEATURES) {
            for (value, (mean, scale)) in row.iter_mut().zip(fitted.mean.iter().zip(&fitted.scale)) {
                *value = (*value - mean) / scale;
            }
        }
    }
}

fn fit_timeframe(market: &FeatureMarket, place: usize, range: ScalerFit) -> Result<Fitted, FeatureError> {
    let interval = market.timeframes()[place].interval;
    let each = |take: &mut dyn FnMut(&[f32])| {
        for symbol in 0..market.symbols() {
            let rows = market.rows(symbol, place);
            let first = rows.keys().partition_point(|key| key.known < range.from);
            let after = rows.keys().partition_point(|key| key.known < range.until);
            rows.values()[first * FEATURES..after.max(first) * FEATURES].chunks_exact(FEATURES).for_each(&mut *take);
        }
    };
    let (mut count, mut mean, mut squares) = (0u64, [0.0f64; FEATURES], [0.0f64; FEATURES]);
    each(&mut |row| {
        count += 1;
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    });
    if count < 2 {
        return Err(FeatureError::Scaler(format!(
            "cannot be fitted: {count} {interval} bars between {} and {} have features; begin the range later or ingest \
             earlier candles (features start a month into a journal, a year for daily bars)",
            range.from, range.until
        )));
    }
    mean.iter_mut().for_each(|sum| *sum /= count as f64);
    each(&mut |row| {
        for (square, (value, mean)) in squares.iter_mut().zip(row.iter().zip(&mean)) {
            *square += (f64::from(*value) - mean) * (f64::from(*value) - mean);
        }
    });
    let scale = squares.map(|square| {
        let deviation = (square / count as f64).sqrt() as f32;
        if deviation > 1e-12 { deviation } else { 1.0 }
    });
    Ok(Fitted { interval, rows: count, mean: mean.map(|mean| mean as f32), scale })
}
