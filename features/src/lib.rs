//! Prefix-invariant streaming indicators, and our own column files.
//!
//! - The value at bar n is a function of bars up to n: an indicator never sees a later bar.
//! - Floats live here and in the learner; sums have a fixed order, so the same bars give the same bits.
//! - Nothing here knows orders, money or positions.

pub mod columns;
mod rsi;

pub use rsi::Rsi;
