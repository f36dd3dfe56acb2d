//! Typed settings and dated reference data.
