//! `backtest`: replay history through the core with a strategy, and report.

use super::Verdict;
use crate::cli::{Backtest, Cli, Format};
use crate::output::{self, Stopwatch};
use clap::CommandFactory;
use clap::error::ErrorKind;
use daybook_config::Settings;
use daybook_core::strategy::STRATEGIES;
use daybook_journal::SealKey;
use daybook_replay::report::Summary;
use daybook_replay::{
    BacktestOptions, Conduct, History, Plan, Prepared, Recorded, conduct, conduct_prepared, learned, like, listed,
    scores, split,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Backtest) -> Verdict {
    let strategy = arguments.strategy.as_deref().unwrap_or_default();
    if strategy == "help" {
        list_strategies();
        return Ok(ExitCode::SUCCESS);
    }
    let reads = !arguments.journal.is_empty() || arguments.like.is_some();
    let Some(out) = arguments.out.clone().filter(|_| reads) else {
        let what = if arguments.out.is_none() { "--out RUN" } else { "--journal DIR" };
        let text = format!("the following required argument was not provided: {what}");
        Cli::command().error(ErrorKind::MissingRequiredArgument, text).exit()
    };
    super::in_order(arguments.from, arguments.to)?;
    let watch = Stopwatch::start();
    let (parameters, overrides) = split_of(strategy, arguments);
    let resolved = super::settings(cli, overrides)?;
    let settings = resolved.settings.clone();
    if let Some(session) = &arguments.like {
        let session = Recorded::open(&super::journal_of(session))?;
        let expected = session.until;
        let binary = output::binary_hash()?;
        let (options, prepared) = like(session, settings.calendar_file.clone(), out, arguments.force, binary)?;
        return test(cli, arguments, &options, Some(prepared), (&settings, expected, &watch));
    }
    let options = BacktestOptions {
        journals: arguments.journal.iter().map(|path| super::journal_of(path)).collect(),
        plan: Plan::new(strategy, &parameters, resolved.settings)?,
        symbols: arguments.symbols.iter().filter(|symbol| !symbol.is_empty()).cloned().collect(),
        interval: arguments.interval,
        from: arguments.from,
        to: arguments.to,
        warmup: arguments.warmup,
        out,
        force: arguments.force,
        binary: output::binary_hash()?,
    };
    let expected = expected_inputs(&options);
    test(cli, arguments, &options, None, (&settings, expected, &watch))
}

fn test(
    cli: &Cli,
    arguments: &Backtest,
    options: &BacktestOptions,
    prepared: Option<Prepared>,
    (settings, expected, watch): (&Settings, u64, &Stopwatch),
) -> Verdict {
    let seal = if arguments.seal { Some(seal_key(settings)?) } else { None };
    let bar = output::progress(expected, "inputs");
    bar.set_message("replaying");
    let mut progress = |inputs: u64| bar.set_position(inputs);
    let how = Conduct {
        seal: seal.as_ref(),
        snapshots: (settings.snapshot_every, settings.snapshot_keep as usize),
        chart_trades: settings.report_chart_trades as usize,
        contract_notes: arguments.contract_note,
        seconds: &|| watch.seconds(),
        progress: &mut progress,
    };
    let summary = match prepared {
        Some(prepared) => conduct_prepared(options, prepared, how),
        None => conduct(options, how),
    };
    bar.finish_and_clear();
    let summary = summary?;
    if cli.format == Format::Json {
        output::json(&summary)?;
    } else {
        print(&summary, options);
    }
    Ok(ExitCode::SUCCESS)
}

/// Parameters of the strategy, and settings: by their names, and by flags of their own.
fn split_of(strategy: &str, arguments: &Backtest) -> (BTreeMap<String, String>, Vec<(String, String)>) {
    let (parameters, mut overrides) = split(strategy, &arguments.set);
    let flags = [("cash", &arguments.cash), ("costs", &arguments.costs), ("profile", &arguments.profile)];
    for (key, value) in flags {
        if let Some(value) = value {
            overrides.push((key.to_owned(), value.clone()));
        }
    }
    (parameters, overrides)
}

/// The key that seals journals, made on first use.
pub fn seal_key(settings: &daybook_config::Settings) -> Result<SealKey, Box<dyn Error>> {
    let path = settings.seal_key_file.as_ref().ok_or(
        "no place for the sealing key: neither XDG_CONFIG_HOME nor HOME is set; give one with --set seal.key_file=FILE",
    )?;
    Ok(SealKey::load_or_create(path)?)
}

/// How long the bar is: candles and their slices, as far as the journals say at once.
fn expected_inputs(options: &BacktestOptions) -> u64 {
    let candles =
        |path| History::open(path).map_or(0, |history| history.series.iter().map(|series| series.candles).sum());
    options.journals.iter().map(|path| candles(path)).sum::<u64>()
}

fn list_strategies() {
    let entries = STRATEGIES.iter().map(|entry| (entry.name, entry.about, entry.parameters));
    let by_file = [
        (learned::LEARNED, learned::ABOUT, learned::PARAMETERS),
        (listed::NAME, listed::ABOUT, listed::PARAMETERS),
        (scores::NAME, scores::ABOUT, scores::PARAMETERS),
    ];
    for (name, about, parameters) in entries.chain(by_file) {
        output::line(format_args!("{name}: {about}"));
        for parameter in parameters {
            output::line(format_args!("    {}={}  {}", parameter.name, parameter.default, parameter.about));
        }
    }
}

/// The summary for people.
pub fn print(summary: &Summary, options: &BacktestOptions) {
    let percent = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.2} %", ratio * 100.0));
    let number = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    output::line(format_args!(
        "{} bars, {} orders, {} fills, {} trades",
        output::grouped(summary.bars),
        output::grouped(summary.orders),
        output::grouped(summary.fills),
        output::grouped(summary.trades)
    ));
    output::line(format_args!("final equity   {}  (charges {})", summary.final_equity, summary.fees_total));
    output::line(format_args!("total return   {}  cagr {}", percent(summary.total_return), percent(summary.cagr)));
    output::line(format_args!(
        "max drawdown   {}  sharpe {}  sortino {}  calmar {}",
        percent(summary.max_drawdown),
        number(summary.sharpe),
        number(summary.sortino),
        number(summary.calmar)
    ));
    output::line(format_args!(
        "win rate       {}  profit factor {}  exposure {}  turnover {}",
        percent(summary.win_rate),
        number(summary.profit_factor),
        percent(summary.exposure),
        number(summary.turnover)
    ));
    output::line(format_args!(
        "replayed in    {:.3} s, {} events/s",
        summary.wall_seconds,
        output::grouped(summary.events_per_second as u64)
    ));
    output::line(format_args!("report         {}", options.out.join("report.html").display()));
    for warning in &summary.warnings {
        output::line(format_args!("note           {warning}"));
    }
}
