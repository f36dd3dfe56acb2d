//! `controls`: is the learner honest? It must find a signal that was planted, and nothing where the same was shuffled.
//!
//! - Everything goes the way of real data, by the program's own commands: ingest, train, evaluate, backtest, audit. Each
//!   command line is printed; whoever doubts a number runs it again.
//! - Beating random means that the 95 % interval of the difference, as `evaluate` gives it, lies above zero. It must be so
//!   for every planted market. Of forty shuffled ones one is above by chance: they are judged together, by their 99 %
//!   interval, so that of two hundred calls one ends in a false alarm.
//! - Must never: judge by anything but what those commands print.

use super::Verdict;
use crate::cli::{Cli, Controls, Format};
use crate::commands::evaluate::Evaluated;
use crate::output;
use daybook_config::Calendar;
use daybook_replay::controls::{Control, csv};
use daybook_train::evaluate::Estimate;
use daybook_vocabulary::Interval;
use serde::Serialize;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const SYMBOLS: [&str; 3] = ["ALFA", "BETA", "GAMA"];
const MARKET: [&str; 2] = ["2024-01-01", "2024-09-30"];
const TRAINING: [&str; 2] = ["2024-02-01", "2024-06-28"];
const HOLDOUT: [&str; 2] = ["2024-07-01", "2024-09-30"];

/// What one market gave.
#[derive(Debug, Serialize)]
struct Found {
    market: &'static str,
    seed: u64,
    trades: u64,
    reward: Option<Estimate>,
    over_random: Option<Estimate>,
    beats_random: bool,
    /// The audit of its backtest.
    audit: String,
    verdict: String,
}

pub fn run(cli: &Cli, arguments: &Controls) -> Verdict {
    if arguments.seeds == 0 {
        return Err("--seeds 0: give at least one".into());
    }
    std::fs::create_dir_all(&arguments.out).map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    let mut all = Vec::new();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        for control in Control::ALL {
            let folder = arguments.out.join(format!("{}-{seed}", control.word()));
            let found = Desk { cli, arguments, folder }.go(control, seed)?;
            if cli.format == Format::Text {
                print(&found);
            }
            all.push(found);
        }
    }
    let of = |control: Control| all.iter().filter(move |found| found.market == control.word());
    let shuffled: Vec<Estimate> = of(Control::Shuffled).filter_map(|found| found.over_random).collect();
    let together = pooled(&shuffled);
    let honest = of(Control::Planted).all(|found| found.beats_random)
        && together.is_none_or(|(_, low, _)| low <= 0.0)
        && all.iter().all(|found| found.audit == "equal");
    if cli.format == Format::Json {
        let together = together.map(|(mean, low, high)| serde_json::json!({ "mean": mean, "low": low, "high": high }));
        output::json(&serde_json::json!({ "honest": honest, "shuffled_over_random": together, "markets": all }))?;
    } else {
        if let Some((mean, low, high)) = together {
            output::line(format_args!(
                "shuffled markets together: {mean:+.4} R over random, 99 % interval [{low:+.4}, {high:+.4}]"
            ));
        }
        output::line(if honest {
            "honest: it finds what was planted, and nothing in what was shuffled"
        } else {
            "NOT as it should be: see the lines above; the folders hold every model, run and report"
        });
    }
    Ok(if honest { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// From the reach of a 95 % interval to that of a 99 % interval: normal quantiles, the estimates being of many sessions.
const WIDER: f64 = 2.575_829 / 1.959_964;

/// Mean of independent estimates, and the bounds of its 99 % interval.
fn pooled(estimates: &[Estimate]) -> Option<(f64, f64, f64)> {
    let count = estimates.len() as f64;
    let mean = estimates.iter().map(|one| one.mean).sum::<f64>() / count;
    let squares = estimates.iter().map(|one| (one.high - one.low) * (one.high - one.low) / 4.0).sum::<f64>();
    let reach = WIDER * squares.sqrt() / count;
    (count > 0.0).then_some((mean, mean - reach, mean + reach))
}

fn print(found: &Found) {
    let interval = |one: &Option<Estimate>| {
        one.map_or_else(|| "-".to_owned(), |one| format!("{:+.4} [{:+.4}, {:+.4}]", one.mean, one.low, one.high))
    };
    output::line(format_args!(
        "{} {}: {} trades, {} R a trade, over random {}; audit {}: {}",
        found.market,
        found.seed,
        found.trades,
        interval(&found.reward),
        interval(&found.over_random),
        found.audit,
        if found.beats_random { "beats random" } else { "does not beat random" }
    ));
    output::line(format_args!("  {}", found.verdict));
}

/// One market's folder.
struct Desk<'a> {
    cli: &'a Cli,
    arguments: &'a Controls,
    folder: PathBuf,
}

impl Desk<'_> {
    fn go(&self, control: Control, seed: u64) -> Result<Found, Box<dyn Error>> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.folder.display());
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).map_err(failed)?;
        }
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let date = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
        let dates = (date(MARKET[0])?, date(MARKET[1])?);
        let text = csv(control, seed, &SYMBOLS, Interval::minutes(15), dates, &Calendar::nse());
        std::fs::write(self.folder.join("market.csv"), text).map_err(failed)?;
        self.daybook(&["ingest", "market.csv", "--journal", "market", "--market", "nse", "--interval", "15m"])?;
        let (seed_text, steps) = (seed.to_string(), self.arguments.steps.to_string());
        let holdout = HOLDOUT.join("..");
        let threads = self.arguments.threads.map(|threads| threads.to_string());
        let mut train = vec!["train", "--journal", "market", "--from", TRAINING[0], "--to", TRAINING[1]];
        train.extend(["--holdout", &holdout, "--timeframes", "15m:16,1h:8", "--batch-size", "32"]);
        train.extend(["--steps", &steps, "--lr", "0.001", "--gamma", "0.9", "--target-every", "50"]);
        // The question is whether a signal is found, not whether it pays for an exchange's charges.
        train.extend(["--seed", &seed_text, "--no-thermal", "--set", "costs=none", "--out", "model"]);
        train.extend(threads.iter().flat_map(|threads| ["--threads", threads.as_str()]));
        self.daybook(&train)?;
        let evaluate =
            ["evaluate", "--model", "model", "--journal", "market", "--set", "costs=none", "--format", "json"];
        let told = self.daybook(&evaluate)?;
        let evaluated: Evaluated = serde_json::from_str(&told)?;
        let mut trade = vec!["backtest", "--journal", "market", "--strategy", "learned", "--set", "model=model"];
        trade.extend([
            "--profile",
            "realistic",
            "--costs",
            "none",
            "--from",
            HOLDOUT[0],
            "--to",
            HOLDOUT[1],
            "--out",
            "run",
        ]);
        self.daybook(&trade)?;
        let audited: serde_json::Value = serde_json::from_str(&self.daybook(&["audit", "run", "--format", "json"])?)?;
        let comparison = evaluated.comparison;
        let beats_random = comparison.over_random.is_some_and(|over| over.low > 0.0);
        let audit = audited["verdict"].as_str().unwrap_or("none").to_owned();
        Ok(Found {
            market: control.word(),
            seed,
            trades: comparison.model.trades,
            reward: comparison.model.reward,
            over_random: comparison.over_random,
            beats_random,
            audit,
            verdict: comparison.verdict,
        })
    }

    /// Runs this very program in the folder, and gives what it printed.
    fn daybook(&self, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
        if self.cli.format == Format::Text {
            output::line(format_args!("{}$ daybook {}", shown(&self.folder), arguments.join(" ")));
        }
        let program =
            std::env::current_exe().map_err(|error| format!("cannot find the running executable: {error}"))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("daybook: {error}"))?;
        if !output.status.success() {
            return Err(format!("`daybook {}` failed in {}", arguments.join(" "), self.folder.display()).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn shown(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
