//! What `engine/core/src/strategy/mod.rs` offers to a file beside it.

mod breakout;

pub use breakout::Breakout;
pub use daybook_core::strategy::{Parameter, ParameterError, Parameters, Rule, View};
