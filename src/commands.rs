//! One small file per command: parse, wire the parts together, print.

mod archive;
mod audit;
mod backtest;
mod broker;
mod compare;
mod config;
mod controls;
mod demo;
mod drill;
mod evaluate;
mod explain;
mod features;
mod fetch;
mod fork;
mod index;
mod ingest;
mod journal;
mod operator;
mod preflight;
mod promote;
mod simulate;
mod status;
mod trade;
mod train;
mod verify;

use crate::cli::{Cli, Command, Config, Journal};
use daybook_config::{Resolved, Settings, Sources};
use daybook_vocabulary::{Command as Said, Date};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a command returns: an exit code, or an error that is printed in one line.
pub type Verdict = Result<ExitCode, Box<dyn Error>>;

/// Runs the command that was given.
pub fn dispatch(cli: &Cli) -> Verdict {
    match &cli.command {
        Command::Demo(arguments) => demo::run(cli, arguments),
        Command::Ingest(arguments) => ingest::run(cli, arguments),
        Command::Fetch(arguments) => fetch::run(cli, arguments),
        Command::Trade(arguments) => trade::run(cli, arguments),
        Command::Preflight(arguments) => preflight::run(cli, arguments),
        Command::Halt(arguments) => operator::say(cli, arguments, Said::Halt),
        Command::Resume(arguments) => operator::say(cli, arguments, Said::Resume),
        Command::Kill(arguments) => operator::say(cli, arguments, Said::Kill),
        Command::Drill(arguments) => drill::run(cli, arguments),
        Command::Status(arguments) => status::run(cli, arguments),
        Command::Backtest(arguments) => backtest::run(cli, arguments),
        Command::Audit(arguments) => audit::run(cli, arguments),
        Command::Explain(arguments) => explain::run(cli, arguments),
        Command::Compare(arguments) => compare::run(cli, arguments),
        Command::Fork(arguments) => fork::run(cli, arguments),
        Command::Features(arguments) => features::run(cli, arguments),
        Command::Simulate(arguments) => simulate::run(cli, arguments),
        Command::Train(arguments) => train::run(cli, arguments),
        Command::Evaluate(arguments) => evaluate::run(cli, arguments),
        Command::Promote(arguments) => promote::run(cli, arguments),
        Command::Controls(arguments) => controls::run(cli, arguments),
        Command::Verify(arguments) => verify::run(cli, arguments),
        Command::Journal(Journal::Stat(arguments)) => journal::stat(cli, arguments),
        Command::Journal(Journal::Cat(arguments)) => journal::cat(cli, arguments),
        Command::Journal(Journal::Export(arguments)) => journal::export(cli, arguments),
        Command::Journal(Journal::Archive(arguments)) => archive::run(cli, arguments),
        Command::Config(Config::Show(arguments)) => config::show(cli, arguments),
        Command::Config(Config::Set(arguments)) => config::set(cli, arguments),
    }
}

/// The settings in force, with what the command line adds.
pub fn settings(cli: &Cli, overrides: Vec<(String, String)>) -> Result<Resolved, Box<dyn Error>> {
    let sources = Sources::ambient(Path::new("."), cli.config.clone(), overrides);
    Ok(Settings::resolve(sources)?)
}

/// A range whose end comes before its begin holds nothing, whatever the data.
pub fn in_order(from: Option<Date>, to: Option<Date>) -> Result<(), String> {
    match (from, to) {
        (Some(from), Some(to)) if to < from => Err(format!("--to {to} is before --from {from}")),
        _ => Ok(()),
    }
}

/// The journal of a run, or the journal itself: every command that takes a journal also takes a run.
pub fn journal_of(path: &Path) -> PathBuf {
    let inside = path.join("journal");
    if path.join("manifest.json").exists() || (inside.is_dir() && !path.join("lock").exists()) {
        inside
    } else {
        path.to_owned()
    }
}
