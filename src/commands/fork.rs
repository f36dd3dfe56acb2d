//! `fork`: a run taken up in the middle with other settings, and what came of it.

use super::{Verdict, compare};
use crate::cli::{Cli, Fork, Format};
use crate::output::{self, Stopwatch, line};
use daybook_replay::winner::Trust;
use daybook_replay::{ForkOptions, Recorded, fork, recorded_inputs};
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Fork) -> Verdict {
    let parent = Recorded::open(&super::journal_of(&arguments.run))?;
    let mut candidates = recorded_inputs(&arguments.run);
    candidates.extend(arguments.journal.iter().map(|path| super::journal_of(path)));
    let watch = Stopwatch::start();
    let settings = super::settings(cli, Vec::new())?.settings;
    let options = ForkOptions {
        candidates,
        chart_trades: settings.report_chart_trades as usize,
        trust: Trust::of(&settings),
        calendar_file: settings.calendar_file,
        at: arguments.at,
        changes: arguments.set.clone(),
        out: arguments.out.clone(),
        force: arguments.force,
        binary: output::binary_hash()?,
        limit: arguments.limit as usize,
    };
    let bar = output::progress(parent.journal.head().frames, "inputs");
    bar.set_message("forking");
    let mut progress = |inputs: u64| bar.set_position(inputs);
    let forked = fork(&parent, &options, &|| watch.seconds(), &mut progress);
    bar.finish_and_clear();
    let forked = forked?;
    if cli.format == Format::Json {
        output::json(&forked)?;
    } else {
        // The verdict comes first: it is what was asked for.
        compare::print(&forked.comparison);
        line(format_args!("forked after seq {}; left is the run, right the fork", forked.parent.seq));
        line(format_args!("report         {}", arguments.out.join("report.html").display()));
    }
    Ok(ExitCode::SUCCESS)
}
