//! `fetch`: a broker's history into a journal.
//!
//! - Nothing is asked of anyone when the journal holds the range already.
//! - A symbol that cannot be had costs no other; the exit code says that there was one.

use super::Verdict;
use super::broker::Broker;
use super::ingest::Bars;
use crate::cli::{Cli, Fetch, Format};
use crate::output;
use daybook_adapters::kite::BlockingKite;
use daybook_adapters::kite::instruments::Alias;
use daybook_config::{Calendar, Universe};
use daybook_replay::fetch::{self, FetchOptions, FetchReport, KiteSource};
use std::error::Error;
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Fetch) -> Verdict {
    let settings = super::settings(cli, Vec::new())?.settings;
    let mut calendar = Calendar::by_market("nse")?;
    if let Some(file) = &settings.calendar_file {
        calendar.extend_from_file(file)?;
    }
    let universe = Universe::nifty50();
    let options = FetchOptions {
        journal: arguments.journal.clone(),
        symbols: symbols(arguments, &universe)?,
        aliases: aliases(&universe),
        interval: arguments.interval,
        from: arguments.from,
        to: arguments.to,
        workers: arguments.max_workers,
        seal_key: settings.seal_key_file.clone(),
        segments: daybook_journal::Options {
            segment_bytes: u64::from(settings.journal_segment_mib) * 1024 * 1024,
            ..daybook_journal::Options::default()
        },
        batch_frames: 65_536,
        calendar,
    };
    let broker = Broker::of(cli, &arguments.broker_url, arguments.force_refresh_token, &settings)?;
    let mut bars = Bars::new();
    let connect = || {
        let kite = broker.connect()?;
        Ok(KiteSource { kite, log_in: |kite: &BlockingKite| broker.log_in(kite) })
    };
    let report = fetch::run(&options, connect, &mut bars);
    bars.finish();
    let report = report?;
    if cli.format == Format::Json {
        output::json(&report)?;
    } else {
        print(&report);
    }
    // The others went in; that some did not is a failure all the same.
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The symbols named, or the members of the index on the last date.
fn symbols(arguments: &Fetch, universe: &Universe) -> Result<Vec<String>, Box<dyn Error>> {
    if !arguments.symbols.is_empty() {
        return Ok(arguments.symbols.clone());
    }
    if !arguments.index.eq_ignore_ascii_case(universe.name()) {
        return Err(format!("--index {}: the index that is known is {}", arguments.index, universe.name()).into());
    }
    // A list as of today would hold only those who survived.
    let date = arguments.to.unwrap_or(arguments.from);
    Ok(universe.members(date)?.to_vec())
}

fn aliases(universe: &Universe) -> Vec<Alias> {
    let renamed = universe.renamed();
    renamed.map(|(old, new)| Alias { from: universe.first_date(), old: old.to_owned(), new: new.to_owned() }).collect()
}

fn print(report: &FetchReport) {
    const SHOWN: usize = 3;
    if report.complete_before {
        output::line("complete: the journal held all of it, the broker was not asked for history");
    } else {
        output::line(format_args!(
            "pages asked for {}, kept by an earlier try {}",
            report.requests, report.resumed_pages
        ));
    }
    if let Some(ingest) = &report.ingest {
        output::line(format_args!(
            "rows {}  candles written {}  duplicates {}  quarantined {}",
            output::grouped(ingest.rows),
            output::grouped(ingest.kept),
            output::grouped(ingest.duplicates),
            output::grouped(ingest.quarantined_total())
        ));
        for (reason, count) in &ingest.quarantined {
            output::line(format_args!("  quarantined {reason} {}", output::grouped(*count)));
        }
    }
    for one in &report.coverage {
        let name = &one.symbol;
        output::line(format_args!(
            "  {name:<12} {} of {} sessions complete, {} bars",
            one.complete, one.sessions, one.bars
        ));
        for day in one.incomplete.iter().take(SHOWN) {
            output::line(format_args!("      {}: {} of {} bars", day.date, day.bars, day.expected));
        }
        let rest = one.incomplete.len().saturating_sub(SHOWN);
        if rest > 0 {
            output::line(format_args!("      and {rest} more (--format json lists all)"));
        }
    }
    for failed in &report.failed {
        output::line(format_args!("failed: {}: {}", failed.symbol, failed.reason));
    }
    output::line(format_args!("journal: {} frames, content {}", output::grouped(report.frames), report.content));
}
