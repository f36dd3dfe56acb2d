//! The network that decides: its shape, its file, and its forward pass in one fixed order of operations.
//!
//! - The same weights and windows give the same bits on every build and on any number of threads, alone or in a batch.
//! - [`LearnedPolicy`] is the model as the core sees it, through the core's trait `Policy`.
//! - No training library is in here: what trades needs none.
//! - Floats live in features and in the learner; what leaves here is an action, a confidence and raw Q.
//! - Must never: read a clock, draw a random number, or believe a file whose content hash does not hold.
//!
//! `learner/README.md` describes file and forward pass for those who rebuild the network elsewhere.

mod decision;
mod encoder;
mod error;
pub mod kernels;
pub mod math;
mod model;
mod network;
mod policy;
mod processor;
mod shape;
pub mod simd;
pub mod tensors;

pub use decision::{Decision, confidences};
pub use encoder::{EncoderScratch, EncoderWeights, encode, standardise};
pub use error::ModelError;
pub use model::{Model, ModelFacts, network_of, parameters_of, put_network, put_parameters};
pub use network::{Network, Scaler, Scratch, Windows};
pub use policy::{LearnedPolicy, timeframes_of, warmup_bars};
pub use processor::Processor;
pub use shape::{Parameter, Shape, TimeframeShape};
