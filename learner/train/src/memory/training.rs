//! What may be learned from: a range of a memory, without anything that is held out.
//!
//! - It can only be made by asking for a range, and the store refuses one that meets the hold-out.
//! - A transition whose next decision lies outside the range is left out: its target would see what lies there. So is a
//!   decision after the hold-out whose windows reach back into it.
//! - The hold-out is a set of its own, for evaluation: it is drawn from by no one.

use super::MemoryError;
use super::sampling::{Sampling, SumTree};
use super::store::{Counted, Memory, Span, Transition};
use crate::{Dataset, Outcome, Random};
use daybook_features::spec::ScalerFit;
use std::sync::Arc;

/// Decision times to learn from.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    memory: Arc<Memory>,
    span: Span,
    /// Decision times of the memory, ascending.
    decisions: Vec<u32>,
    sampling: Sampling,
    tree: Option<SumTree>,
}

impl TrainingSet {
    /// The decisions of a range; an error where it meets the hold-out, or holds none.
    pub fn new(memory: Arc<Memory>, span: Span, sampling: Sampling) -> Result<Self, MemoryError> {
        if let Some(held) = memory.holdout()
            && span.overlaps(&held)
        {
            return Err(MemoryError::HeldOut { wanted: span, held });
        }
        let held = memory.holdout();
        // Before the hold-out no window reaches it; after it one may.
        let reaches_back = |decision: usize| held.is_some_and(|held| memory.looks_back_to(decision) < held.until);
        let after = |decision: usize| held.is_some_and(|held| held.until <= memory.times()[decision]);
        let inside = (0..memory.times().len()).filter(|&decision| span.contains(memory.times()[decision]));
        let clean = inside.filter(|&decision| !(after(decision) && reaches_back(decision)));
        let decisions: Vec<u32> = clean.map(|decision| decision as u32).collect();
        if decisions.is_empty() {
            return Err(MemoryError::Empty { span, withheld: memory.withheld() });
        }
        let tree = matches!(sampling, Sampling::Prioritised { .. }).then(|| SumTree::new(decisions.len()));
        Ok(Self { memory, span, decisions, sampling, tree })
    }

    /// Where a scaler may be fitted.
    pub fn scaler_range(&self) -> ScalerFit {
        ScalerFit { from: self.span.from, until: self.span.until }
    }

    /// The memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The memory's number of a decision.
    pub fn decision(&self, place: usize) -> usize {
        self.decisions[place] as usize
    }
}

impl Dataset for TrainingSet {
    fn symbols(&self) -> usize {
        self.memory.symbols().len()
    }

    fn decisions(&self) -> usize {
        self.decisions.len()
    }

    fn windows(&self, decision: usize) -> Vec<Vec<&[f32]>> {
        self.memory.windows(self.decisions[decision] as usize)
    }

    fn outcomes(&self, decision: usize) -> Vec<Outcome> {
        outcomes(&self.memory, &self.decisions, decision)
    }

    fn sample(&self, random: &mut Random, count: usize) -> Vec<(usize, f32)> {
        match (self.sampling, &self.tree) {
            (Sampling::Prioritised { beta, .. }, Some(tree)) => tree.draw(random, count, beta),
            _ => (0..count).map(|_| (random.below(self.decisions.len() as u64) as usize, 1.0)).collect(),
        }
    }

    fn learn_errors(&mut self, errors: &[(usize, f32)]) {
        if let (Sampling::Prioritised { alpha, .. }, Some(tree)) = (self.sampling, &mut self.tree) {
            for (place, error) in errors {
                // As a checkpoint stores it, so that a run taken up again draws the same.
                tree.set(*place, f64::from(SumTree::priority(*error, alpha) as f32));
            }
        }
    }

    fn sampling_state(&self) -> Vec<f32> {
        self.tree.as_ref().map(SumTree::priorities).unwrap_or_default()
    }

    fn restore_sampling(&mut self, state: &[f32]) -> bool {
        self.tree.as_mut().map_or(state.is_empty(), |tree| tree.restore(state))
    }

    fn content_hash(&self) -> String {
        named_hash(&self.memory, &self.decisions, "training")
    }
}

/// What is held out: decision times to evaluate on, in order.
#[derive(Debug, Clone)]
pub struct Held {
    memory: Arc<Memory>,
    decisions: Vec<u32>,
}

impl Held {
    /// The decisions that are held out; an error where there are none.
    pub fn new(memory: Arc<Memory>) -> Result<Self, MemoryError> {
        let span = memory
            .holdout()
            .unwrap_or(Span { from: daybook_vocabulary::Nanos(0), until: daybook_vocabulary::Nanos(0) });
        let inside = (0..memory.times().len()).filter(|&decision| span.contains(memory.times()[decision]));
        let decisions: Vec<u32> = inside.map(|decision| decision as u32).collect();
        if decisions.is_empty() {
            return Err(MemoryError::Empty { span, withheld: memory.withheld() });
        }
        Ok(Self { memory, decisions })
    }

    /// Decision times there are.
    pub fn decisions(&self) -> usize {
        self.decisions.len()
    }

    /// Raw features at a decision time, as [`Dataset::windows`] gives them.
    pub fn windows(&self, decision: usize) -> Vec<Vec<&[f32]>> {
        self.memory.windows(self.decisions[decision] as usize)
    }

    /// What came of it, as [`Dataset::outcomes`] gives it.
    pub fn outcomes(&self, decision: usize) -> Vec<Outcome> {
        outcomes(&self.memory, &self.decisions, decision)
    }

    /// Hash of its content.
    pub fn content_hash(&self) -> String {
        named_hash(&self.memory, &self.decisions, "held out")
    }
}

fn outcomes(memory: &Memory, decisions: &[u32], decision: usize) -> Vec<Outcome> {
    let symbols = memory.symbols().len();
    let first = decisions[decision] as usize * symbols;
    let outcome = |transition: &Transition| {
        let next = (transition.next != Transition::NONE).then(|| decisions.binary_search(&transition.next));
        Outcome {
            action: transition.action,
            reward: transition.reward,
            next: next.and_then(Result::ok).map(|place| place as u32),
            counts: transition.counted == Counted::Yes && !matches!(next, Some(Err(_))),
        }
    };
    memory.transitions()[first..first + symbols].iter().map(outcome).collect()
}

fn named_hash(memory: &Memory, decisions: &[u32], name: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.as_bytes());
    hasher.update(memory.content_hash().as_bytes());
    for decision in decisions {
        hasher.update(&decision.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
