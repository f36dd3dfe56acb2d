//! The `daybook` binary: parse, wire the parts together, print.
//!
//! - Results go to stdout, logs and progress to stderr.
//! - Exit code 0: done; 1: a negative verdict, a refusal or a failure; 2: a command line that cannot be read.

mod cli;
mod commands;
mod learning;
mod output;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    output::start(cli.log.as_deref(), cli.verbose, cli.silent, cli.log_format);
    match commands::dispatch(&cli) {
        Ok(verdict) => verdict,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
