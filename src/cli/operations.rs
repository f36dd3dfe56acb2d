//! Arguments of the commands that look after a live session.

use super::Trade;
use clap::{Args, ValueEnum};
use daybook_adapters::kite_server::Speed;
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

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub struct Drill {
    /// Kills of the daemon and of the broker, all together; with `--only`, things that go wrong.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub kills: u64,
    /// When and what: the same seed does the same, as far as the machine does.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Orders go to the simulated broker; without it the days are on paper.
    #[arg(long)]
    pub live: bool,
    /// Virtual seconds in a real one.
    #[arg(long, value_name = "N", default_value = "600")]
    pub speed: Speed,
    /// What goes wrong at the broker besides: see `daybook simulate --help`.
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// One day for each fault there is, the kills shared among them.
    #[arg(long, conflicts_with = "fault")]
    pub each_fault: bool,
    /// Nothing else goes wrong, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub only: Vec<Trouble>,
    /// Inputs between two states of the daemon, so that restarts begin from states and audits derive from them.
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub snapshot_every: u64,
    /// Folder of the drill; replaced each time. `drill.json` in it is the summary, `drill.jsonl` what was done when.
    #[arg(long, value_name = "DIR", default_value = "daybook-drill")]
    pub out: PathBuf,
}

/// What goes wrong in a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Trouble {
    /// `kill -9` of the daemon.
    Daemon,
    /// `kill -9` of the broker.
    Broker,
    /// The wires are cut for virtual seconds.
    Cut,
    /// They are cut for virtual minutes: longer than a broker may be silent.
    Outage,
    /// A login elsewhere: today's token is dead.
    Token,
    /// The daemon's disk runs full, its reserve too.
    Disk,
}
