//! `audit`: derive every output of a run again and compare.

use super::Verdict;
use crate::cli::{Audit, Cli, Format};
use crate::output;
use daybook_journal::Snapshots;
use daybook_replay::{AuditReport, Recorded, ReplayError, audit, recorded_inputs};
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Audit) -> Verdict {
    let recorded = Recorded::open(&super::journal_of(&arguments.run))?;
    let mut candidates = recorded_inputs(&arguments.run);
    candidates.extend(arguments.journal.iter().map(|path| super::journal_of(path)));
    let binary = output::binary_hash()?;
    let calendar_file = super::settings(cli, Vec::new())?.settings.calendar_file;
    // How many are kept matters only to who saves.
    let snapshots = Snapshots::new(&arguments.run.join("cache"), usize::MAX);
    let snapshots = arguments.snapshots.then_some(&snapshots);
    let bar = output::progress(recorded.journal.head().frames, "frames");
    bar.set_message("auditing");
    let mut progress = |frames: u64| bar.set_position(frames);
    let report = match audit(&recorded, &candidates, binary, calendar_file, snapshots, &mut progress) {
        Err(ReplayError::InputMissing(reason)) => {
            bar.finish_and_clear();
            return Ok(missing(cli, &reason)?);
        }
        other => other?,
    };
    bar.finish_and_clear();
    print(cli, &report)?;
    Ok(if report.verdict == "equal" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn missing(cli: &Cli, reason: &str) -> Result<ExitCode, String> {
    if cli.format == Format::Json {
        output::json(&serde_json::json!({
            "verdict": "inputs_missing", "compared": 0, "first_difference": null, "reason": reason,
        }))?;
    }
    eprintln!("error: {reason}");
    Ok(ExitCode::FAILURE)
}

fn print(cli: &Cli, report: &AuditReport) -> Result<(), String> {
    if cli.format == Format::Json {
        return output::json(report);
    }
    output::line(format_args!("{}: {} outputs compared", report.verdict, output::grouped(report.compared)));
    if report.snapshots > 0 {
        output::line(format_args!("also derived from {} snapshots", report.snapshots));
    }
    if let Some(first) = &report.first_difference {
        output::line(format_args!(
            "first difference at seq {}, {} {}: recorded {}, derived {}",
            first.seq, first.kind, first.field, first.recorded, first.derived
        ));
    }
    if report.binary == "differs" {
        output::line("the run was written by another build of daybook");
    }
    Ok(())
}
