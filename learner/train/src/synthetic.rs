//! Small made-up memories: a market with a planted signal, and the same market shuffled so that nothing can be learned.
//!
//! - Honesty controls: an agent that cannot find the planted signal is broken, one that finds a signal in the shuffled
//!   market is cheating.
//! - Must never: be used for anything but controls and tests; a report says which data it is of.

use crate::{Dataset, Outcome, Random};
use daybook_inference::Shape;

/// A memory whose rewards follow, or do not follow, from its features.
pub struct Synthetic {
    lookbacks: Vec<usize>,
    features: usize,
    /// For each symbol a row of features per bar.
    rows: Vec<Vec<f32>>,
    /// For each decision time and symbol: what the next bar returned, in R.
    returns: Vec<Vec<f32>>,
    /// For each decision time and symbol: what was done.
    actions: Vec<Vec<u8>>,
    first: usize,
    prioritised: Option<Vec<f32>>,
    seed: u64,
}

/// What a market is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Symbols.
    pub symbols: usize,
    /// Decision times.
    pub decisions: usize,
    /// How much of a return follows from the first feature: 1 all, 0 nothing.
    pub signal: f64,
    /// Permute the returns over time: the same distributions, no relation left.
    pub shuffled: bool,
    /// Costs of a trade, in R.
    pub cost: f32,
    /// Seed.
    pub seed: u64,
}

impl Synthetic {
    /// A market for networks of this shape.
    pub fn new(shape: &Shape, plan: Plan) -> Self {
        let lookbacks: Vec<usize> = shape.timeframes().iter().map(|one| one.lookback).collect();
        let first = lookbacks.iter().copied().max().unwrap_or(1);
        let features = shape.features();
        let mut random = Random::named(plan.seed, "synthetic market");
        let mut centred = || (random.unit() * 2.0 - 1.0) as f32;
        let bars = first + plan.decisions;
        let rows: Vec<Vec<f32>> =
            (0..plan.symbols).map(|_| (0..bars * features).map(|_| centred()).collect()).collect();
        let mut returns: Vec<Vec<f32>> = (0..plan.decisions)
            .map(|decision| {
                let latest = (first + decision - 1) * features;
                let signal = plan.signal as f32;
                rows.iter().map(|row| signal * row[latest] + (1.0 - signal) * centred()).collect()
            })
            .collect();
        let mut random = Random::named(plan.seed, "synthetic actions");
        if plan.shuffled {
            random.shuffle(&mut returns);
        }
        let actions = (0..plan.decisions).map(|_| (0..plan.symbols).map(|_| random.below(3) as u8).collect()).collect();
        for row in &mut returns {
            row.iter_mut().for_each(|value| *value -= plan.cost.copysign(*value));
        }
        Self { lookbacks, features, rows, returns, actions, first, prioritised: None, seed: plan.seed }
    }

    /// Samples by how wrong the network was, instead of evenly.
    pub fn prioritised(mut self) -> Self {
        self.prioritised = Some(vec![1.0; self.returns.len()]);
        self
    }

    /// The reward of an action at a decision time.
    pub fn reward(&self, decision: usize, symbol: usize, action: usize) -> f32 {
        match action {
            0 => self.returns[decision][symbol],
            1 => -self.returns[decision][symbol],
            _ => 0.0,
        }
    }
}

impl Dataset for Synthetic {
    fn symbols(&self) -> usize {
        self.rows.len()
    }

    fn decisions(&self) -> usize {
        self.returns.len()
    }

    fn windows(&self, decision: usize) -> Vec<Vec<&[f32]>> {
        let end = (self.first + decision) * self.features;
        let window = |lookback: usize| self.rows.iter().map(|row| &row[end - lookback * self.features..end]).collect();
        self.lookbacks.iter().map(|lookback| window(*lookback)).collect()
    }

    fn outcomes(&self, decision: usize) -> Vec<Outcome> {
        let next = (decision + 1 < self.returns.len()).then_some(decision as u32 + 1);
        let of = |(symbol, action): (usize, &u8)| Outcome {
            action: *action,
            reward: self.reward(decision, symbol, usize::from(*action)),
            next,
            counts: true,
        };
        self.actions[decision].iter().enumerate().map(of).collect()
    }

    fn sample(&self, random: &mut Random, count: usize) -> Vec<(usize, f32)> {
        let all = self.returns.len();
        let Some(priorities) = &self.prioritised else {
            return (0..count).map(|_| (random.below(all as u64) as usize, 1.0)).collect();
        };
        let total: f64 = priorities.iter().map(|one| f64::from(*one)).sum();
        let mut draw = || {
            let mut rest = random.unit() * total;
            let place = priorities.iter().position(|one| {
                rest -= f64::from(*one);
                rest < 0.0
            });
            let place = place.unwrap_or(all - 1);
            (place, (total / all as f64 / f64::from(priorities[place])) as f32)
        };
        (0..count).map(|_| draw()).collect()
    }

    fn learn_errors(&mut self, errors: &[(usize, f32)]) {
        let Some(priorities) = &mut self.prioritised else { return };
        errors.iter().for_each(|(decision, error)| priorities[*decision] = error + 0.01);
    }

    fn sampling_state(&self) -> Vec<f32> {
        self.prioritised.clone().unwrap_or_default()
    }

    fn restore_sampling(&mut self, state: &[f32]) -> bool {
        match &mut self.prioritised {
            Some(priorities) if priorities.len() == state.len() => priorities.copy_from_slice(state),
            None if state.is_empty() => {}
            _ => return false,
        }
        true
    }

    fn content_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes());
        for values in self.rows.iter().chain(&self.returns) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
        hasher.finalize().to_hex().to_string()
    }
}
