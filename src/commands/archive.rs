//! `journal archive`: a sealed journal moves to an archive directory; its chain head and seals stay.

use super::Verdict;
use crate::cli::{Archive, Cli, Format};
use crate::output;
use daybook_journal::{Archiving, PublicKey, Step, archive};
use daybook_replay::hex;
use serde::Serialize;
use std::process::ExitCode;

/// What is printed.
#[derive(Serialize)]
struct Report {
    /// `archived`, or `unchanged` where it was before.
    verdict: &'static str,
    journal: String,
    copy: String,
    id: String,
    frames: u64,
    content: String,
    seals: u64,
    /// Bytes copied by this command.
    bytes: u64,
}

pub fn run(cli: &Cli, arguments: &Archive) -> Verdict {
    let key = arguments.public_key.as_deref().map(PublicKey::load).transpose()?;
    let journal = super::journal_of(&arguments.path);
    let bar = output::progress(0, "bytes");
    let mut progress = |step: Step| match step {
        Step::Verifying => bar.set_message("verifying"),
        Step::Copying(done, all) => {
            bar.set_message("copying");
            bar.set_length(all);
            bar.set_position(done);
        }
        Step::Checking => bar.set_message("checking"),
        Step::Replacing => bar.set_message("replacing"),
    };
    let wanted = Archiving { journal: &journal, home: &arguments.path, to: &arguments.to, key: key.as_ref() };
    let moved = archive(&wanted, &mut progress)?;
    bar.finish_and_clear();
    let stays = &moved.archived;
    let report = Report {
        verdict: if moved.changed { "archived" } else { "unchanged" },
        journal: journal.display().to_string(),
        copy: moved.copy.display().to_string(),
        id: hex(&stays.id),
        frames: stays.head.frames,
        content: stays.head.content.to_string(),
        seals: stays.seals,
        bytes: moved.bytes,
    };
    if cli.format == Format::Json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    if moved.changed {
        output::line(format_args!(
            "archived: {} frames of {} are in {} now; {} seal(s) and the head stay",
            output::grouped(report.frames),
            report.journal,
            report.copy,
            report.seals
        ));
    } else {
        output::line(format_args!("{} was archived before; the copy {} is whole", report.journal, report.copy));
    }
    output::line(format_args!("content   {}", report.content));
    Ok(ExitCode::SUCCESS)
}
