//! What training, evaluation and promotion write into their own journal.
//!
//! - A training journal tells the whole story of a model: its settings and data, each step, each checkpoint, each
//!   evaluation, each promotion or refusal of one.
//! - A model's numbers are kept as the bits it computed.
//! - None of these is an output of the core: an audit does not derive them.

use crate::decision::ModelNumber;
use crate::units::{Hash, Ratio};
use rkyv::{Archive, Deserialize, Serialize};

/// Training begins, or is taken up again.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct TrainingStarted {
    /// Steps that were done before: 0 for a new run.
    pub step: u64,
    /// Seed of initialisation, sampling and exploration.
    pub seed: u64,
    /// Hash of the memory that it learns from.
    pub data: Hash,
    /// Parameters of the network.
    pub parameters: u64,
    /// Settings, lineage of the data and machine, as JSON.
    pub settings: String,
}

/// One update of the network.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct TrainingStep {
    /// Its number, from 1.
    pub step: u64,
    /// Transitions in the loss.
    pub transitions: u64,
    /// How often the network would BUY, SELL, HOLD in the batch.
    pub actions: [u64; 3],
    /// Mean Huber loss.
    pub loss: ModelNumber,
    /// Mean reward of the transitions, in R.
    pub reward: ModelNumber,
    /// Mean Q of the actions that were taken.
    pub q: ModelNumber,
    /// Norm of the gradient before the clip.
    pub gradient_norm: ModelNumber,
    /// Exploration, from 0 to 1.
    pub epsilon: Ratio,
}

/// A checkpoint and a model file were written.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct CheckpointWritten {
    /// Steps done.
    pub step: u64,
    /// Content hash of the checkpoint.
    pub checkpoint: Hash,
    /// Content hash of the model file.
    pub model: Hash,
}

/// A model was evaluated on the range that is held out.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Evaluation {
    /// The model.
    pub model: Hash,
    /// Steps it was trained for.
    pub steps: u64,
    /// Hash of the memory that was held out.
    pub data: Hash,
    /// Decisions in it.
    pub decisions: u64,
    /// How often the model would BUY, SELL, HOLD.
    pub actions: [u64; 3],
    /// Average reward, in R.
    pub avg_reward: ModelNumber,
    /// Everything else that was measured, as JSON.
    pub report: String,
}

/// A model became the winner, or did not.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Promotion {
    /// The model.
    pub model: Hash,
    /// The winner before, if there was one.
    pub previous: Option<Hash>,
    /// Average reward of the model, in R.
    pub avg_reward: ModelNumber,
    /// Average reward of the winner before.
    pub previous_reward: Option<ModelNumber>,
    /// Was it promoted?
    pub promoted: bool,
    /// Why, or why not.
    pub reason: String,
}
