//! What training needs to know of a memory: windows of all symbols at a decision time, and what came of it.
//!
//! - Windows are borrowed from a shared feature matrix; nothing is copied per decision.
//! - Features are raw: the network itself standardises them, by the scaler in its file.
//! - What is held out is not in a training set: the store refuses it.
//! - Must never: differ between two readings; a resumed run samples the same memory.

use crate::Random;

/// What came of one symbol's action at a decision time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// 0 BUY, 1 SELL, 2 HOLD, as it was done.
    pub action: u8,
    /// The reward until the next decision, in R of the symbol's own trade.
    pub reward: f32,
    /// The decision time that follows, whose value is added; none at the end of an episode.
    pub next: Option<u32>,
    /// False where the symbol had no decision (too little history, no bar): it is left out of the loss.
    pub counts: bool,
}

/// A memory of decision times, each with the transitions of all symbols.
pub trait Dataset: Sync {
    /// Symbols of each decision time, in their order.
    fn symbols(&self) -> usize;

    /// Decision times there are, whose windows can be asked for.
    fn decisions(&self) -> usize;

    /// Raw features at a decision time: for each timeframe, for each symbol, (L, F), oldest bar first.
    fn windows(&self, decision: usize) -> Vec<Vec<&[f32]>>;

    /// What came of it, one for each symbol.
    fn outcomes(&self, decision: usize) -> Vec<Outcome>;

    /// Draws decision times to learn from, with the weight of each in the loss (1 where all are equal).
    fn sample(&self, random: &mut Random, count: usize) -> Vec<(usize, f32)>;

    /// Learns how wrong the network was (mean |target - Q| over the symbols), for prioritised sampling.
    fn learn_errors(&mut self, errors: &[(usize, f32)]) {
        let _ = errors;
    }

    /// What [`Dataset::learn_errors`] has changed: a checkpoint stores it. Nothing for uniform sampling.
    fn sampling_state(&self) -> Vec<f32> {
        Vec::new()
    }

    /// Takes up what [`Dataset::sampling_state`] gave; false when it is of another memory.
    fn restore_sampling(&mut self, state: &[f32]) -> bool {
        state.is_empty()
    }

    /// Hash of its content, hexadecimal: names the data in a checkpoint's lineage.
    fn content_hash(&self) -> String;
}
