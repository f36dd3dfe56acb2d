//! Replay memory, the training of the network, and its evaluation.
//!
//! - Training moves parameters; what decides is `daybook-inference` over the file that training wrote.
//! - Everything random comes from [`Random`] and the seed of the run: two runs of one seed give the same weights on
//!   the same type of processor, binary and number of threads.
//! - What is held out is refused to training by the store, not by good intentions.
//! - Must never: reach a broker, or read a clock for anything but progress.

pub mod batch_size;
pub mod calibration;
mod checkpoint;
mod dataset;
pub mod device;
mod error;
pub mod evaluate;
pub mod memory;
pub mod network;
pub mod optimiser;
mod random;
pub mod run;
mod settings;
mod student;
pub mod synthetic;
pub mod thermal;
mod trainer;

pub use checkpoint::{Host, Machine, Resumed};
pub use dataset::{Dataset, Outcome};
pub use error::TrainError;
pub use random::Random;
pub use settings::TrainSettings;
pub use trainer::{StepRecord, Trainer};
