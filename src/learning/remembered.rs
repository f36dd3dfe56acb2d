//! Memories that a training keeps beside its checkpoint: folded once, read back by every later phase.
//!
//! - A file is used only for the very question it answers: journals, symbols, range, settings, policy and binary are in
//!   its key. Anything else, and anything damaged, is folded anew, and said.
//! - Must never: be what a result depends on; whoever deletes the folder gets the same memories again.

use super::data::{Data, Wanted};
use crate::output;
use daybook_features::feature_spec_hash;
use daybook_inference::Model;
use daybook_train::evaluate::{Measures, TradeFacts, Trial};
use daybook_train::memory::{Counted, Epsilon, Memory, RewardFormula, Stored, TradeRecord};
use daybook_vocabulary::{Date, Ratio};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be remembered.
pub struct Remembered<'a> {
    /// The history.
    pub data: &'a Data,
    /// What was asked of it.
    pub wanted: &'a Wanted<'a>,
    /// The model that decides or is explored around, and its file; without one every action is random.
    pub model: Option<(Arc<Model>, &'a Path)>,
    /// How much is explored.
    pub epsilon: Epsilon,
    /// Sessions held out.
    pub holdout: Option<(Date, Date)>,
    /// What a transition is rewarded with.
    pub reward: RewardFormula,
    /// Hash of the binary.
    pub binary: &'a str,
}

impl Remembered<'_> {
    /// The memory, from the training's folder if it is there, else folded and kept there.
    pub fn take(&self, out: &Path, name: &str) -> Result<Memory, Box<dyn Error>> {
        let path = place(out, name);
        let key = self.key();
        match Memory::stored(&path, &key) {
            Stored::Whole(memory) => {
                output::line(format_args!("{name} memory taken from {}", path.display()));
                return Ok(*memory);
            }
            Stored::Absent | Stored::Other => {}
            Stored::Damaged(why) => tracing::warn!("{}: {why}; it is made again", path.display()),
        }
        let bar = output::progress(self.data.candles(), "inputs");
        bar.set_message("memory");
        let model = self.model.as_ref().map(|(model, path)| (Arc::clone(model), *path));
        let rules = (self.epsilon, self.holdout, self.reward);
        let folded = self.data.memory(self.wanted, model, rules, &mut |inputs| bar.set_position(inputs));
        bar.finish_and_clear();
        let (memory, inference) = folded?;
        if self.model.is_some() {
            output::line(format_args!("{name} memory folded; {inference:.1} s of it the network's"));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        memory.write(&path, &key)?;
        Ok(memory)
    }

    /// Names all that the memory is a function of.
    fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        part("daybook memory");
        part(self.binary);
        part(&feature_spec_hash().to_string());
        part(&format!("{} {}", self.reward.name(), self.reward.version()));
        part(&self.data.plan.hash().to_string());
        part(&self.data.prepared.calendar.hash().to_string());
        self.data.content().iter().for_each(|content| part(content));
        self.data.symbols().iter().for_each(|symbol| part(symbol));
        part(&format!("{:?}", self.data.timeframes));
        part(&format!("{:?} {:?}", self.wanted.dates, self.holdout));
        part(self.model.as_ref().map_or("random", |(model, _)| &model.hash));
        let Epsilon { first, last, over } = self.epsilon;
        part(&format!("{first} {last} {over}"));
        hasher.finalize().to_hex().to_string()
    }
}

/// Where a memory of a training lies.
fn place(out: &Path, name: &str) -> PathBuf {
    out.join("memory").join(format!("{name}.memory"))
}

/// Says what its features are.
pub fn tell_features(memory: &Memory) {
    let features = memory.features();
    for (place, timeframe) in features.timeframes().iter().enumerate() {
        for (symbol, name) in memory.symbols().iter().enumerate() {
            let keys = features.rows(symbol, place).keys();
            let bound = |key: Option<&daybook_features::spec::RowKey>| {
                key.map_or_else(|| "-".to_owned(), |key| key.known.to_string())
            };
            output::line(format_args!(
                "{name} {}: {} complete rows from {} to {}",
                timeframe.interval,
                output::grouped(keys.len() as u64),
                bound(keys.first()),
                bound(keys.last())
            ));
        }
    }
    output::line(format_args!("features take {} MiB", features.bytes() >> 20));
}

/// Says what its transitions are.
pub fn tell_transitions(memory: &Memory) {
    let all = memory.transitions();
    let count = |counted: Counted| output::grouped(all.iter().filter(|one| one.counted == counted).count() as u64);
    let action = |action: u8| output::grouped(all.iter().filter(|one| one.action == action).count() as u64);
    output::line(format_args!(
        "memory: {} transitions of {} symbols at {} decision times ({} withheld); {} bytes a transition, {} MB a million, \
         features shared",
        output::grouped(all.len() as u64),
        memory.symbols().len(),
        output::grouped(memory.times().len() as u64),
        output::grouped(memory.withheld()),
        memory.bytes_per_transition(),
        memory.bytes_per_transition()
    ));
    output::line(format_args!(
        "learned from: {}; decided by the rules alone: {}; without risk: {}; unfinished: {}; BUY {}, SELL {}, HOLD {}",
        count(Counted::Yes),
        count(Counted::NotAsked),
        count(Counted::NoRisk),
        count(Counted::Unfinished),
        action(0),
        action(1),
        action(2)
    ));
}

/// Says how its trades went: rewards and the five metrics.
pub fn tell_trades(memory: &Memory, data: &Data) {
    let ratio = |value: Option<Ratio>| value.map(|value| value.0 as f64 / 1e8);
    let facts = |trade: &TradeRecord| TradeFacts {
        session: data.prepared.calendar.date_of(trade.entered),
        r: ratio(trade.r_multiple),
        mae_r: ratio(trade.mae_r),
        mfe_captured: ratio(trade.mfe_captured),
        shortfall: ratio(trade.shortfall),
        adherence: ratio(trade.adherence),
    };
    let trial = Trial { trades: memory.trades().iter().map(facts).collect(), ..Trial::default() };
    let measures = Measures::of("memory", &trial);
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let interval = measures.reward.map(|reward| format!(" [{:+.4}, {:+.4}]", reward.low, reward.high));
    output::line(format_args!(
        "{} trades, reward {} {}: average {:+.4} R{}; MAE {} R, {} % of MFE, shortfall {} %, adherence {} %",
        output::grouped(measures.trades),
        memory.formula().name(),
        memory.formula().version(),
        measures.avg_reward,
        interval.unwrap_or_default(),
        number(measures.mae_r),
        number(measures.mfe_captured),
        number(measures.shortfall),
        number(measures.adherence)
    ));
}
