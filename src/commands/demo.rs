//! `demo`: the main job on a made-up market, offline: journal → backtest → audit → report.

use super::Verdict;
use crate::cli::{Cli, Demo, Format};
use crate::output::{self, Stopwatch};
use daybook_config::{Calendar, Settings, Sources};
use daybook_journal::{Options, Writer};
use daybook_replay::{BacktestOptions, Conduct, Plan, Recorded, audit, conduct, recorded_inputs, synthetic};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// A file by which the demo knows its own directory again.
const MARK: &str = "daybook-demo.txt";
const MARK_TEXT: &str = "Made by `daybook demo`, which replaces this directory each time.\n";

pub fn run(cli: &Cli, arguments: &Demo) -> Verdict {
    let watch = Stopwatch::start();
    let out = &arguments.out;
    prepare(out)?;
    let say = |text: String| {
        if cli.format == Format::Text {
            output::line(text);
        }
    };

    let journal = out.join("market");
    let mut writer = Writer::create(&journal, Options::default())?;
    let market = synthetic::Market::demo(arguments.seed);
    let candles = synthetic::write(&market, &Calendar::nse(), &mut writer)?;
    let head = writer.close()?;
    say(format!(
        "made up {} candles of {} symbols (seed {})",
        output::grouped(candles),
        market.symbols.len(),
        market.seed
    ));
    say(format!("journal        {}  content {}", journal.display(), head.content));

    // Settings of this machine do not enter: the demo is the same everywhere.
    let overrides = [("costs", "zerodha-delivery"), ("cash", "1000000")];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() })?.settings;
    let parameters = [("fast", "20"), ("slow", "80"), ("quantity", "100")];
    let parameters: BTreeMap<_, _> = parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let run = out.join("run");
    let binary = output::binary_hash()?;
    let options = BacktestOptions {
        journals: vec![journal],
        plan: Plan::new("sma-cross", &parameters, settings.clone())?,
        symbols: Vec::new(),
        interval: None,
        from: None,
        to: None,
        warmup: None,
        out: run.clone(),
        force: false,
        binary,
    };
    let summary = conduct(
        &options,
        Conduct {
            seal: None,
            snapshots: (settings.snapshot_every, settings.snapshot_keep as usize),
            chart_trades: settings.report_chart_trades as usize,
            contract_notes: false,
            seconds: &|| watch.seconds(),
            progress: &mut |_| {},
        },
    )?;

    let recorded = Recorded::open(&run.join("journal"))?;
    let report = audit(&recorded, &recorded_inputs(&run), binary, None, None, &mut |_| {})?;
    if cli.format == Format::Json {
        output::json(&serde_json::json!({ "summary": summary, "audit": report }))?;
    } else {
        super::backtest::print(&summary, &options);
        say(format!("audit          {}: {} outputs derived again", report.verdict, output::grouped(report.compared)));
    }
    Ok(if report.verdict == "equal" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An empty directory that is ours: replaced when an earlier demo made it, refused when it is something else.
fn prepare(out: &Path) -> Result<(), Box<dyn Error>> {
    let failed = |error: std::io::Error| format!("{}: {error}", out.display());
    if out.exists() {
        let empty = std::fs::read_dir(out).map_err(failed)?.next().is_none();
        if !empty && !out.join(MARK).is_file() {
            let out = out.display();
            return Err(format!("{out} exists and was not made by the demo; choose another --out").into());
        }
        std::fs::remove_dir_all(out).map_err(failed)?;
    }
    std::fs::create_dir_all(out).map_err(failed)?;
    Ok(std::fs::write(out.join(MARK), MARK_TEXT).map_err(failed)?)
}
