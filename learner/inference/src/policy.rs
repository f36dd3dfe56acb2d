//! A model as a policy of the core: it sees closed bars, and says BUY, SELL or HOLD with the bits of its file.
//!
//! - Features come from the core's own [`PolicyFeatures`]: the same windows as in training.
//! - It withholds its word about all symbols while one of them has no complete window: the market is part of the context.
//! - What it remembers of the bars is saved and restored; the weights are named by the model's hash.
//! - Must never: decide with a model of another feature specification or for other bars than it was trained on.

use crate::{Decision, Model, ModelError, Scratch, Shape};
use daybook_config::Calendar;
use daybook_core::SessionHours;
use daybook_core::policy::{Policy, PolicyFeatures, PolicySlice, Word};
use daybook_features::Timeframe;
use daybook_features::spec::{FEATURE_SPEC_VERSION, FEATURES, feature_spec_hash};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Candle, Date, Hash, InstrumentId, Interval, ModelNumber, Ratio};
use std::path::Path;
use std::sync::Arc;

/// A model that trades.
pub struct LearnedPolicy {
    model: Arc<Model>,
    name: Hash,
    features: PolicyFeatures,
    scratch: Scratch,
    warmup: u32,
}

/// The timeframes of a shape as features know them: the shortest first.
pub fn timeframes_of(shape: &Shape) -> Result<Vec<Timeframe>, ModelError> {
    let refuse = |name: &str, why| ModelError::Shape { key: "timeframes".to_owned(), value: name.to_owned(), why };
    let mut timeframes: Vec<Timeframe> = Vec::new();
    for one in shape.timeframes() {
        let interval: Interval =
            one.name.parse().map_err(|_| refuse(&one.name, "a timeframe is written like 5m, 15m, 1h or 1d"))?;
        if timeframes.last().is_some_and(|last| last.interval >= interval) {
            return Err(refuse(&one.name, "timeframes are ordered, the shortest first, each once"));
        }
        timeframes.push(Timeframe { interval, lookback: one.lookback });
    }
    Ok(timeframes)
}

/// Bars of the shortest timeframe from which features can be complete, wherever in a month (for daily bars: in a year)
/// they begin: the sessions of two months, or of two years, and one more.
pub fn warmup_bars(calendar: &Calendar, timeframes: &[Timeframe]) -> u32 {
    let Some(shortest) = timeframes.first() else { return 0 };
    // The longest session of some ordinary weeks; the calendar knows its hours, not this code.
    let some_weeks = (19_723..19_723 + 28).map(Date);
    let longest =
        some_weeks.filter_map(|date| calendar.session_for_data(date)).map(|one| one.close() - one.open()).max();
    let a_day = longest.unwrap_or(86_400_000_000_000).max(1);
    let bars = if shortest.interval.is_daily() {
        1
    } else {
        (a_day + shortest.interval.nanos() - 1) / shortest.interval.nanos()
    };
    let daily = timeframes.iter().any(|one| one.interval.is_daily());
    let sessions = if daily { 2 * 366 } else { 2 * 31 };
    u32::try_from(bars * sessions + bars).unwrap_or(u32::MAX)
}

impl LearnedPolicy {
    /// A model for so many instruments, deciding at bars of `interval`; `path` is for messages.
    pub fn new(
        model: Arc<Model>,
        path: &Path,
        calendar: Calendar,
        interval: Interval,
        instruments: usize,
    ) -> Result<Self, ModelError> {
        model.require_features(path, FEATURE_SPEC_VERSION, &feature_spec_hash().to_string())?;
        let shape = model.network.shape();
        if shape.features() != FEATURES {
            let what = format!("it wants {} features a bar, there are {FEATURES}: train again", shape.features());
            return Err(ModelError::content(path, "shape", what));
        }
        let timeframes = timeframes_of(shape)?;
        if timeframes[0].interval != interval {
            let what = format!(
                "the model decides at bars of {}, the engine's bars are {interval}: give --interval {} or set engine.timeframe",
                timeframes[0].interval, timeframes[0].interval
            );
            return Err(ModelError::content(path, "timeframes", what));
        }
        let name = model.hash.parse().map_err(|_| ModelError::content(path, "content", "it is not a hash"))?;
        let warmup = warmup_bars(&calendar, &timeframes);
        let features = PolicyFeatures::for_decisions(calendar, instruments, &timeframes);
        Ok(Self { model, name, features, scratch: Scratch::default(), warmup })
    }
}

impl Policy for LearnedPolicy {
    fn model(&self) -> Hash {
        self.name
    }

    fn warmup(&self) -> u32 {
        self.warmup
    }

    fn on_session(&mut self, session: &SessionHours) {
        self.features.on_session(session);
    }

    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle) {
        self.features.on_bar(instrument, bar);
    }

    fn infer(&mut self, slice: &PolicySlice<'_>, words: &mut [Option<Word>]) {
        let Some(moment) = self.features.moment(slice.now) else { return };
        let Ok(windows) = self.features.windows(&moment) else { return };
        let Ok(q) = self.model.network.q_values(&windows, &mut self.scratch) else { return };
        let features = PolicyFeatures::hash(&windows);
        for (place, decision) in words.iter_mut().zip(Decision::of_all(&q)) {
            *place = word(&decision, features);
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        self.features.save(out);
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        self.features.load(saved)
    }
}

/// A decision as the core journals it. Confidence is rounded to 1e-8: the product is exact in f64, and so is rounding.
fn word(decision: &Decision, features: Hash) -> Option<Word> {
    let [buy, sell, hold] = decision.q.map(ModelNumber::new);
    let confidence = (f64::from(decision.confidence) * SCALE as f64).round() as i64;
    Some(Word {
        action: decision.action,
        confidence: Ratio(confidence.clamp(0, SCALE)),
        q: [buy?, sell?, hold?],
        features,
    })
}
