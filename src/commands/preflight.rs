//! `preflight`: the gates of `trade`, listed, with what to do about each that blocks. It begins nothing, writes nothing,
//! and asks nobody to log in.

use super::Verdict;
use super::trade::rehearse;
use crate::cli::{Cli, Preflight};

pub fn run(cli: &Cli, arguments: &Preflight) -> Verdict {
    rehearse(cli, &arguments.trade, true)
}
