//! Bytes in total order: the append-only journal.
