//! The driver loop, its sources and sinks, ingest and reports.

pub mod ingest;
