//! What `engine/core/src/orders.rs` offers to a strategy.

pub use daybook_core::{OrderRequest, Requests};
