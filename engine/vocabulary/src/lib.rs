//! The words of the engine: units, identifiers and events.
