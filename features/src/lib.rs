//! Prefix-invariant streaming indicators, and our own column files.

pub mod columns;
