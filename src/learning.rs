//! Wires the learner to journals, settings and people: what `train`, `evaluate` and `promote` share.
//!
//! - Rules live elsewhere: the core decides, the memory remembers, the trainer learns. This only joins them.

pub mod choice;
pub mod data;
pub mod judged;
pub mod page;
pub mod record;
pub mod reliability;
pub mod remembered;
pub mod sensor;
