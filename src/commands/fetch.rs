//! `fetch`: a broker's history into a journal.
//!
//! - Nothing is asked of anyone when the journal holds the range already.
//! - A symbol that cannot be had costs no other; the exit code says that there was one.

use super::Verdict;
use super::broker::Broker;
use super::index::{self, IndexReport, Question};
use super::ingest::Bars;
use crate::cli::{Cli, Fetch, Format};
use crate::output;
use clap::CommandFactory;
use clap::error::ErrorKind;
use daybook_adapters::kite::BlockingKite;
use daybook_adapters::kite::instruments::Alias;
use daybook_config::{Calendar, Renamed, Settings, Universe};
use daybook_replay::fetch::{self, FetchOptions, FetchReport, KiteSource};
use daybook_vocabulary::Date;
use serde::Serialize;
use std::error::Error;
use std::process::ExitCode;

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a FetchReport,
    /// Whose members were fetched, where an index was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a IndexReport>,
}

pub fn run(cli: &Cli, arguments: &Fetch) -> Verdict {
    let settings = super::settings(cli, Vec::new())?.settings;
    let mut calendar = Calendar::by_market("nse")?;
    if let Some(file) = &settings.calendar_file {
        calendar.extend_from_file(file)?;
    }
    let from = first_date(arguments, &settings);
    super::in_order(arguments.from, arguments.to)?;
    let broker = Broker::of(cli, &arguments.broker_url, arguments.force_refresh_token, &settings)?;
    // What day it is, the broker says; nobody is asked where the dates are named.
    let kite = if arguments.to.is_none() { Some(broker.connect()?) } else { None };
    let today = kite.as_ref().map(|kite| calendar.date_of(kite.now()));
    let (symbols, index) = symbols(arguments, &settings, from, today, broker.is_loopback())?;
    let options = FetchOptions {
        journal: arguments.journal.clone(),
        symbols,
        aliases: aliases(),
        interval: arguments.interval,
        from,
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
    let mut bars = Bars::new();
    let connect = || {
        let kite = kite.map_or_else(|| broker.connect(), Ok)?;
        Ok(KiteSource { kite, log_in: |kite: &BlockingKite| broker.log_in(kite) })
    };
    let report = fetch::run(&options, connect, &mut bars);
    bars.finish();
    let report = report?;
    if cli.format == Format::Json {
        output::json(&Printed { report: &report, index: index.as_ref() })?;
    } else {
        index.iter().for_each(index::print);
        print(&report);
    }
    // The others went in; that some did not is a failure all the same.
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The date that was given, or that of the settings for this interval.
fn first_date(arguments: &Fetch, settings: &Settings) -> Date {
    let of_interval = |name: &&str| name.parse() == Ok(arguments.interval);
    let set = || settings.from_dates.symbols().find(of_interval).and_then(|name| settings.from_dates.get(name));
    arguments.from.or_else(|| set().copied()).unwrap_or_else(|| {
        let text = format!(
            "--from DATE is missing; give it, or set a date for this interval: from_dates = \"{}:2023-01-02\"",
            arguments.interval
        );
        Cli::command().error(ErrorKind::MissingRequiredArgument, text).exit()
    })
}

/// The symbols named, or everyone who belonged to the index within the range.
fn symbols(
    arguments: &Fetch,
    settings: &Settings,
    from: Date,
    today: Option<Date>,
    is_simulated: bool,
) -> Result<(Vec<String>, Option<IndexReport>), Box<dyn Error>> {
    if !arguments.symbols.is_empty() {
        return Ok((arguments.symbols.clone(), None));
    }
    let name = arguments.index.as_deref().unwrap_or(&settings.index_name);
    let to = arguments.to.or(today).unwrap_or(from);
    let question = Question { name, from, to, to_is_today: arguments.to.is_none(), is_simulated };
    let (symbols, report) = index::members(&question, settings)?;
    Ok((symbols, Some(report)))
}

/// Every change of a name that is known, whichever index it belonged to.
fn aliases() -> Vec<Alias> {
    let all = Universe::names().filter_map(Universe::named).flat_map(|universe| universe.renamed().to_vec());
    all.map(|Renamed { from, old, new }| Alias { from, old, new }).collect()
}

fn print(report: &FetchReport) {
    const SHOWN: usize = 3;
    if report.complete_before {
        output::line("complete: the journal held all of it, the broker was not asked for history");
    } else {
        output::line(format_args!(
            "pages asked for {}, kept by an earlier try {}; {}.{:03} s by the broker's clock",
            report.requests,
            report.resumed_pages,
            report.broker_ms / 1_000,
            report.broker_ms % 1_000
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
