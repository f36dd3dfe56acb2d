//! `features`: what a model sees of each bar, as a table for everyone's tools.

use super::Verdict;
use crate::cli::{Cli, Features, Format};
use crate::output;
use daybook_features::{columns, feature_spec_hash, parse_indicators};
use daybook_replay::feature_table::{Columns, FeatureTable, TableWritten, feature_table};
use daybook_replay::{History, Selection, select};
use std::path::Path;
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Features) -> Verdict {
    if arguments.indicators.as_deref() == Some("help") {
        for (_, usage) in daybook_features::AnyIndicator::ALL {
            output::line(usage);
        }
        return Ok(ExitCode::SUCCESS);
    }
    super::in_order(arguments.from, arguments.to)?;
    let (Some(out), false) = (&arguments.out, arguments.journal.is_empty()) else {
        return Err("--journal and --out are needed: which candles, and where the table goes".into());
    };
    let chosen = match (&arguments.indicators, arguments.spec.as_deref()) {
        (Some(list), _) => Columns::Indicators(parse_indicators(list)?),
        (None, Some("v1" | "1")) => Columns::Specification,
        (None, Some(other)) => {
            return Err(format!("there is no feature specification '{other}'; this program has v1").into());
        }
        (None, None) => return Err("say what to compute: --spec v1, or --indicators 'rsi(14),atr(14)'".into()),
    };
    let settings = super::settings(cli, Vec::new())?.settings;
    let options = FeatureTable {
        journals: arguments.journal.iter().map(|path| super::journal_of(path)).collect(),
        symbols: arguments.symbols.iter().filter(|symbol| !symbol.is_empty()).cloned().collect(),
        interval: arguments.interval,
        from: arguments.from,
        to: arguments.to,
        columns: chosen,
        format: format_of(out)?,
        out: out.clone(),
    };
    let bar = output::progress(expected_candles(&options), "candles");
    bar.set_message("computing");
    let written = feature_table(&options, &settings, &mut |read| bar.set_position(read));
    bar.finish_and_clear();
    let written = written?;
    if cli.format == Format::Json {
        output::json(&summary(&written, &options))?;
    } else {
        print(&written);
    }
    Ok(ExitCode::SUCCESS)
}

fn format_of(out: &Path) -> Result<columns::Format, String> {
    match out.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => Ok(columns::Format::Parquet),
        Some("arrow" | "ipc" | "feather") => Ok(columns::Format::Arrow),
        _ => Err(format!("{}: the file's name says how it is laid out; end it in .parquet or .arrow", out.display())),
    }
}

/// How long the bar is, as far as the journals say at once.
fn expected_candles(options: &FeatureTable) -> u64 {
    let histories: Vec<History> = options.journals.iter().filter_map(|path| History::open(path).ok()).collect();
    let Ok(Selection { instruments, interval }) = select(&histories, &options.symbols, options.interval) else {
        return 0;
    };
    let series = histories.iter().flat_map(|history| &history.series);
    let chosen = series.filter(|series| series.interval == interval && instruments.contains(&series.definition));
    chosen.map(|series| series.candles).sum()
}

fn summary(written: &TableWritten, options: &FeatureTable) -> serde_json::Value {
    let specification = matches!(options.columns, Columns::Specification);
    serde_json::json!({
        "file": written.file.path,
        "rows": written.file.rows,
        "complete_rows": written.complete,
        "bytes": written.file.bytes,
        "blake3": written.file.hash,
        "columns": written.columns,
        "specification": specification.then(feature_spec_hash),
    })
}

fn print(written: &TableWritten) {
    output::line(format_args!(
        "{}  {} rows, {} of them complete, {} columns computed",
        written.file.path.display(),
        output::grouped(written.file.rows),
        output::grouped(written.complete),
        written.columns.len()
    ));
    if written.complete == 0 {
        output::line(
            "no row is complete: too few bars come before the range (features of the specification start a month into a \
             journal, a year for daily bars)",
        );
    }
}
