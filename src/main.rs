//! The `daybook` binary: parse, wire the parts together, print.
//!
//! - Results go to stdout, logs and progress to stderr.
//! - No error and no panic tells a secret that the process knows.
//! - Exit code 0: done; 1: a negative verdict, a refusal or a failure; 2: a command line that cannot be read.

mod cli;
mod commands;
mod learning;
mod output;

use clap::Parser;
use daybook_adapters::kite::secret;
use std::process::ExitCode;

fn main() -> ExitCode {
    secret::redact_panics();
    let cli = cli::Cli::parse();
    output::start(cli.log.as_deref(), cli.verbose, cli.silent, cli.log_format);
    match commands::dispatch(&cli) {
        Ok(verdict) => verdict,
        Err(error) => {
            let told = error.to_string();
            eprintln!("error: {}", secret::scrub_remembered(&told).unwrap_or(told));
            ExitCode::FAILURE
        }
    }
}
