//! `verify`: check every byte of a journal or a run; reads only.

use super::Verdict;
use crate::cli::{Cli, Format, Verify};
use crate::output;
use daybook_journal::{Archived, PublicKey, Verdict as Found, verify};
use daybook_replay::Recorded;
use daybook_replay::report::Manifest;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// What is printed.
#[derive(Serialize)]
struct Finding {
    verdict: &'static str,
    /// A session on a live market that has not ended: it has no manifest yet, and its journal is all there is.
    unended: bool,
    file: Option<String>,
    offset: Option<u64>,
    seq: Option<u64>,
    reason: Option<String>,
}

pub fn run(cli: &Cli, arguments: &Verify) -> Verdict {
    let key = arguments.public_key.as_deref().map(PublicKey::load).transpose()?;
    let journal = super::journal_of(&arguments.path);
    let (finding, summary) = match verify(&journal, key.as_ref()) {
        Ok(Found::Sound(verified)) => {
            let summary = format!(
                "{} frames, {} bytes, {} seal(s), content {}",
                output::grouped(verified.head.frames),
                output::grouped(verified.bytes),
                verified.seals.len(),
                verified.head.content
            );
            (manifest(&arguments.path, &journal, false), summary)
        }
        Ok(Found::Archived(stays)) => archived(&arguments.path, &journal, &stays),
        Ok(Found::Damaged { file, offset, seq, reason }) => (
            Finding {
                verdict: "damaged",
                unended: false,
                file: Some(file.display().to_string()),
                offset: Some(offset),
                seq: Some(seq),
                reason: Some(reason),
            },
            String::new(),
        ),
        Err(error) => (damaged(&journal, error.to_string()), String::new()),
    };
    let sound = ["sound", "archived"].contains(&finding.verdict);
    if cli.format == Format::Json {
        output::json(&finding)?;
    } else if sound {
        let unended =
            if finding.unended { "; the session has not ended: it has no manifest and no seal yet" } else { "" };
        output::line(format_args!("{}: {summary}{unended}", finding.verdict));
    } else {
        let place = |name: &str, value: Option<u64>| value.map(|value| format!(", {name} {value}")).unwrap_or_default();
        output::line(format_args!(
            "{}: {}{}{}: {}",
            finding.verdict,
            finding.file.as_deref().unwrap_or_default(),
            place("offset", finding.offset),
            place("seq", finding.seq),
            finding.reason.as_deref().unwrap_or_default()
        ));
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What stays of a journal that was moved is sound: say what, and where the frames are.
fn archived(path: &Path, journal: &Path, stays: &Archived) -> (Finding, String) {
    let summary = format!(
        "{} frames, {} seal(s), content {}, moved to {}; what stays was checked, the copy was not: verify it by itself",
        output::grouped(stays.head.frames),
        stays.seals,
        stays.head.content,
        stays.copy_from(journal).display()
    );
    let mut finding = manifest(path, journal, true);
    if finding.verdict == "sound" {
        finding = Finding { verdict: "archived", reason: Some(summary.clone()), ..finding };
    }
    (finding, summary)
}

/// A run's other files, against its manifest; of a journal that was archived, the files that stay.
fn manifest(path: &Path, journal: &Path, archived: bool) -> Finding {
    let sound = Finding { verdict: "sound", unended: false, file: None, offset: None, seq: None, reason: None };
    if journal == path {
        return sound;
    }
    let is_live = || Recorded::open(journal).is_ok_and(|recorded| recorded.holds_its_inputs());
    if !path.join("manifest.json").exists() && is_live() {
        return Finding { unended: true, ..sound };
    }
    let checked = if archived { Manifest::verify_archived(path) } else { Manifest::verify(path) };
    match checked {
        Ok(_) => sound,
        Err(fault) => damaged(&path.join(&fault.file), fault.reason),
    }
}

fn damaged(file: &Path, reason: String) -> Finding {
    Finding {
        verdict: "damaged",
        unended: false,
        file: Some(file.display().to_string()),
        offset: None,
        seq: None,
        reason: Some(reason),
    }
}
