//! Arguments of the commands that look after a live session.

use super::Trade;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The session: its directory, or its journal.
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,
}

/// Arguments of `preflight`: those of the `trade` that is to follow.
#[derive(Debug, Args)]
pub struct Preflight {
    /// The command line of `trade`.
    #[command(flatten)]
    pub trade: Trade,
}

/// Arguments of `halt`, `resume` and `kill`.
#[derive(Debug, Args)]
pub struct Operator {
    /// The session's directory.
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,
}
