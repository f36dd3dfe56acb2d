//! `ingest`: candles from files into a journal.

use super::Verdict;
use crate::cli::{Cli, DateOrder, Duplicates, Format, Ingest, Stamp};
use crate::output;
use daybook_config::Calendar;
use daybook_replay::ingest::{self, IngestOptions, Phase, Progress};
use indicatif::ProgressBar;
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Ingest) -> Verdict {
    let settings = super::settings(cli, Vec::new())?.settings;
    let mut calendar = Calendar::by_market(&arguments.market)?;
    if let Some(file) = &settings.calendar_file {
        calendar.extend_from_file(file)?;
    }
    let options = IngestOptions {
        symbol: arguments.symbol.clone(),
        interval: arguments.interval,
        zone: arguments.tz.as_deref().map(str::parse).transpose()?,
        date_order: arguments.date_order.map(|order| match order {
            DateOrder::Dmy => ingest::DateOrder::DayFirst,
            DateOrder::Mdy => ingest::DateOrder::MonthFirst,
        }),
        stamp: match arguments.stamp {
            Stamp::Start => ingest::Stamp::Start,
            Stamp::End => ingest::Stamp::End,
        },
        duplicates: match arguments.duplicates {
            Duplicates::Quarantine => ingest::Duplicates::Quarantine,
            Duplicates::First => ingest::Duplicates::First,
            Duplicates::Merge => ingest::Duplicates::Merge,
        },
        revise: arguments.revise,
        seal_key: settings.seal_key_file.clone(),
        segments: daybook_journal::Options {
            segment_bytes: u64::from(settings.journal_segment_mib) * 1024 * 1024,
            ..daybook_journal::Options::default()
        },
        ..IngestOptions::new(arguments.files.clone(), arguments.journal.clone(), calendar)
    };
    let mut bars = Bars::new();
    let report = ingest::run(&options, &mut bars);
    bars.finish();
    let report = report?;
    if cli.format == Format::Json {
        output::json(&report)?;
    } else {
        output::line(&report);
    }
    // The others went in; that some did not is a failure all the same, and the report names them.
    Ok(if report.refused().next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A progress bar per phase.
pub(super) struct Bars {
    bar: Option<ProgressBar>,
}

impl Bars {
    pub(super) const fn new() -> Self {
        Self { bar: None }
    }

    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bars {
    fn begin(&mut self, phase: Phase, total: u64) {
        self.finish();
        let (message, unit) = match phase {
            Phase::Fetch => ("fetching", "pages"),
            Phase::Survey => ("surveying", "files"),
            Phase::Read => ("reading", "rows"),
            Phase::Write => ("writing", "rows"),
        };
        let bar = output::progress(total, unit);
        bar.set_message(message);
        self.bar = Some(bar);
    }

    fn advance(&mut self, amount: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(amount);
        }
    }
}
