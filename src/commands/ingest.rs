//! `ingest`: files → journal.

use super::Verdict;
use crate::cli::{Cli, Ingest};

pub fn run(_: &Cli, arguments: &Ingest) -> Verdict {
    Err(format!("{}: not wired yet", arguments.journal.display()).into())
}
