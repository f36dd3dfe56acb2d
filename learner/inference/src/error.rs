//! What can be wrong with a shape, a model file or its input, with the file and the key at fault.
//!
//! - Each message says what to do next.
//! - Must never: be a panic; files and settings come from outside.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a network cannot be built, read, written or asked.
#[derive(Debug, Error)]
pub enum ModelError {
    /// Look-backs, features or timeframes that make no network.
    #[error("the network's shape is refused: {key} is {value}, {why}")]
    Shape {
        /// Which number.
        key: String,
        /// What it is.
        value: String,
        /// What it should be.
        why: &'static str,
    },
    /// The operating system said no.
    #[error("{}: cannot {doing}: {source}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a tensor file, or a damaged one.
    #[error("{}: {what}; the file is damaged or is not a safetensors file: restore it or train again", .file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// The bytes are not those that were written.
    #[error(
        "{}: its content hash is {found}, the file says {recorded}: it was changed or damaged; restore it or train again",
        .file.display()
    )]
    Tampered {
        /// The file.
        file: PathBuf,
        /// The hash in its metadata.
        recorded: String,
        /// The hash of its bytes.
        found: String,
    },
    /// A well-formed file of something else.
    #[error("{}: {key}: {what}", .file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// Metadata key or tensor name.
        key: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// Windows that do not fit the network.
    #[error("the network was given {found} for {what}, it needs {needed}; use the features it was trained on")]
    Input {
        /// Which input.
        what: String,
        /// What came.
        found: usize,
        /// What fits.
        needed: usize,
    },
    /// A Q value that is not a number: weights or features are broken, and no decision may come of it.
    #[error("the network's Q of symbol {symbol} is not finite: no decision; check the features, then train again")]
    NotFinite {
        /// Index of the symbol.
        symbol: usize,
    },
}

impl ModelError {
    pub(crate) fn format(file: &Path, what: impl Into<String>) -> Self {
        Self::Format { file: file.to_owned(), what: what.into() }
    }

    /// A fault of one key of a file.
    pub fn content(file: &Path, key: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Content { file: file.to_owned(), key: key.into(), what: what.into() }
    }

    pub(crate) fn io(file: &Path, doing: &'static str, source: std::io::Error) -> Self {
        Self::Io { file: file.to_owned(), doing, source }
    }
}
