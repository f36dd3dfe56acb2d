//! Arguments of the commands that look after a live session.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The session: its directory, or its journal.
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,
}
