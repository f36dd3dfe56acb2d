//! What can go wrong in training, with the key at fault and what to do.
//!
//! - Errors of model and checkpoint files are those of `daybook-inference`.
//! - Must never: be a panic; settings, files and sensors come from outside.

use daybook_inference::ModelError;
use thiserror::Error;

/// Why training cannot begin, go on or be taken up again.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A model or checkpoint file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tensor library.
    #[error("the tensor library refused a step of training: {0}; this is a fault of daybook, please report it")]
    Library(candle_core::Error),
    /// A setting that makes no training.
    #[error("{key} is {value}: {why}")]
    Setting {
        /// Which.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        why: String,
    },
    /// There is nothing to learn from.
    #[error("the memory has {found} decision times, {needed} are needed: {hint}")]
    TooLittle {
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
        /// What to do.
        hint: &'static str,
    },
    /// More memory than there is.
    #[error(
        "{what} needs about {needed_mib} MiB, {limit_mib} MiB are free: take fewer symbols, a shorter range or look-back, or a smaller --batch-size"
    )]
    Memory {
        /// What for.
        what: String,
        /// How much, in MiB.
        needed_mib: u64,
        /// How much there is, in MiB.
        limit_mib: u64,
    },
    /// A loss, a gradient or a target that is no number.
    #[error("step {step}: the {what} is not finite: take up the last checkpoint with a lower --lr")]
    Diverged {
        /// The step.
        step: u64,
        /// Which of them.
        what: &'static str,
    },
}
