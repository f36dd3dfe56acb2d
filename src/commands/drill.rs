//! `drill`: what a trading daemon goes through in a bad year, in some minutes, against the simulated broker.
//!
//! ```text
//! day after day:  simulate ── trade ─┬─ kill -9 of the daemon      ─► audit of what is there, start again
//!                                    ├─ kill -9 of the broker      ─► start again on its own book
//!                                    ├─ the wires cut, for virtual seconds or minutes (SIGSTOP, SIGCONT)
//!                                    └─ a new login elsewhere: today's token is dead
//!                 at rest: no order twice, every position with a stop, the broker's books and ours equal
//!                 at the close: the daemon ends by itself; audit equal from every state on the way, verify sound
//! ```
//!
//! - When and what comes from a seed; what a machine makes of it is its own. Nothing here touches the network or the
//!   user's settings: market, keys, books and sessions lie in the drill's own folder.
//! - A failure is told with its seed, and everything is left as it was found.
//! - Must never: end a process that it did not start.

mod checks;
mod stage;

use super::Verdict;
use crate::cli::{Cli, Drill, Format};
use crate::output::{self, Stopwatch};
use serde::Serialize;
use stage::{Daemon, Ended, Server, Stage};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// Days of the drill's market.
const DAYS: usize = 20;
/// Starts of a daemon that may fail one after the other: the broker may be away.
const STARTS_MAX: u32 = 8;

/// What was done and what was looked at.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    seed: u64,
    mode: &'static str,
    days: u64,
    daemon_kills: u64,
    broker_kills: u64,
    cuts: u64,
    dead_tokens: u64,
    failed_starts: u64,
    audits: u64,
    snapshots_audited: u64,
    outputs_compared: u64,
    settled: u64,
    orders: u64,
    fills: u64,
    seconds: f64,
    failure: Option<String>,
}

/// A generator of its own, so that a drill can be run again.
pub struct Random(u64);

impl Random {
    /// A number below another.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }

    /// A time between two.
    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

pub fn run(cli: &Cli, arguments: &Drill) -> Verdict {
    let watch = Stopwatch::start();
    let stage = Stage::build(arguments, DAYS)?;
    let mode = if arguments.live { "live" } else { "paper" };
    let mut report = Report { seed: arguments.seed, mode, ..Report::default() };
    let mut random = Random(arguments.seed);
    let bar = output::progress(arguments.kills, "kills");
    bar.set_message("drilling");
    let mut failure = None;
    while report.daemon_kills + report.broker_kills < arguments.kills && failure.is_none() {
        failure = day(&stage, arguments, &mut random, &mut report, &|kills| bar.set_position(kills)).err();
    }
    bar.finish_and_clear();
    report.seconds = watch.seconds();
    report.failure = failure.map(|error| {
        let Report { seed, days, .. } = report;
        format!("FAIL seed={seed} day={days}: {error} (everything is left in {})", stage.dir.display())
    });
    if cli.format == Format::Json {
        output::json(&report)?;
    } else {
        print(&report);
    }
    Ok(if report.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A day at the market, with what goes wrong in it.
fn day(
    stage: &Stage,
    arguments: &Drill,
    random: &mut Random,
    report: &mut Report,
    told: &dyn Fn(u64),
) -> Result<(), Box<dyn Error>> {
    let number = report.days;
    report.days += 1;
    let mut server = Server::start(stage, number, None)?;
    let mut daemon = Daemon::start(stage, number, &server)?;
    let mut failed = 0;
    loop {
        std::thread::sleep(random.millis(300, 2_000));
        if let Some(ended) = daemon.ended()? {
            if ended == Ended::Over {
                break;
            }
            failed += 1;
            report.failed_starts += 1;
            if failed > STARTS_MAX {
                return Err(format!("the daemon does not come up again: {}", daemon.last_words()).into());
            }
            daemon = Daemon::start(stage, number, &server)?;
            continue;
        }
        failed = 0;
        if report.daemon_kills + report.broker_kills >= arguments.kills {
            continue;
        }
        match random.below(12) {
            0..=6 => {
                daemon.kill()?;
                report.daemon_kills += 1;
                checks::audit(stage, number, report)?;
                daemon = Daemon::start(stage, number, &server)?;
            }
            7..=8 => {
                server.kill()?;
                report.broker_kills += 1;
                std::thread::sleep(random.millis(0, 600));
                server = Server::start(stage, number, Some(server.port()))?;
            }
            9 => {
                server.cut(random.millis(10, 200))?;
                report.cuts += 1;
            }
            10 => {
                // Virtual minutes: longer than a feed may be away before entries stop.
                server.cut(random.millis(500, 1_500))?;
                report.cuts += 1;
            }
            _ => {
                stage.log_in_elsewhere(&server)?;
                report.dead_tokens += 1;
                // A real broker wants a person now; here the next start logs in by itself.
                daemon.kill()?;
                daemon = Daemon::start(stage, number, &server)?;
            }
        }
        if arguments.live {
            checks::settled(stage, number, &server, &mut daemon, report)?;
        }
        told(report.daemon_kills + report.broker_kills);
    }
    checks::at_the_end(stage, number, &server, arguments.live, report)
}

fn print(report: &Report) {
    output::line(format_args!(
        "{} days {}: {} kills of the daemon, {} of the broker, {} cuts, {} dead tokens, {} failed starts in between",
        report.days,
        report.mode,
        report.daemon_kills,
        report.broker_kills,
        report.cuts,
        report.dead_tokens,
        report.failed_starts
    ));
    output::line(format_args!(
        "{} orders, {} fills; {} audits ({} of states on the way) compared {} outputs, all equal; books settled {} times",
        report.orders,
        report.fills,
        report.audits,
        report.snapshots_audited,
        output::grouped(report.outputs_compared),
        report.settled
    ));
    match &report.failure {
        Some(failure) => output::line(failure),
        None => output::line(format_args!("passed with seed {} in {:.0} s", report.seed, report.seconds)),
    }
}
