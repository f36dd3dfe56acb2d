//! `drill`: what a trading daemon goes through in a bad year, in some minutes, against the simulated broker.
//!
//! ```text
//! day after day:  simulate ── trade ─┬─ kill -9 of the daemon      ─► audit of what is there, start again
//!                                    ├─ kill -9 of the broker      ─► start again on its own book
//!                                    ├─ the wires cut for virtual seconds (SIGSTOP, SIGCONT)
//!                                    ├─ the same for minutes       ─► halted; on return all is left; resumed
//!                                    ├─ a new login elsewhere      ─► today's token is dead; another is taken up
//!                                    └─ the disk full, reserve too ─► it ends by itself; stops stay; room; start again
//!                 at rest: no order twice, every position with a stop of its size, the broker's books, prices and
//!                          profit and ours equal
//!                 at the close: the daemon ends by itself; audit equal from every state on the way, verify sound
//! ```
//!
//! - When and what comes from a seed; what a machine makes of it is its own. Nothing here touches the network or the
//!   user's settings: market, keys, books and sessions lie in the drill's own folder.
//! - What was done and counted is written into the folder. A failure is told with its seed, and everything is left as it
//!   was found.
//! - Must never: end a process that it did not start.

mod checks;
mod money;
mod stage;
mod trouble;

use super::Verdict;
use crate::cli::{Cli, Drill, Format, Trouble};
use crate::output::{self, Stopwatch};
use clap::ValueEnum;
use daybook_adapters::kite_server::Fault;
use serde::Serialize;
use stage::{Daemon, Ended, Server, Stage};
use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use trouble::Field;

/// Days of the drill's market.
const DAYS: usize = 20;
/// Starts of a daemon that may fail one after the other: the broker may be away.
const STARTS_MAX: u32 = 8;
/// Days in a row on which nothing could be made to go wrong: more of them do not help.
const IDLE_DAYS_MAX: u32 = 3;

/// What was done and what was looked at.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    seed: u64,
    mode: &'static str,
    days: u64,
    daemon_kills: u64,
    broker_kills: u64,
    cuts: u64,
    /// Cuts of minutes, and how many of them were met by a halt and by leaving everything.
    outages: u64,
    outages_met: u64,
    dead_tokens: u64,
    dead_tokens_met: u64,
    full_disks: u64,
    full_disks_met: u64,
    /// Of these, days on which the reserve was used up as well, so that the daemon had to end.
    full_reserves: u64,
    failed_starts: u64,
    /// Troubles that struck while something was held: the others prove little.
    struck_holding: u64,
    /// Starts that took the session up from a state on the way.
    from_states: u64,
    audits: u64,
    snapshots_audited: u64,
    outputs_compared: u64,
    settled: u64,
    /// Seconds, real ones, that books took at most to agree.
    longest_settling: f64,
    /// Positions that the broker closed itself, while broker or daemon were away.
    squared_off: u64,
    orders: u64,
    fills: u64,
    /// Alarms of all days, by their code.
    alarms: BTreeMap<String, u64>,
    /// Differences of the books that the sessions told, by what differed, and locks for them.
    differences: BTreeMap<String, u64>,
    reconciliation_locks: u64,
    /// What struck and was not met, because the day ended or the broker was in a bad way.
    not_met: Vec<String>,
    seconds: f64,
    failure: Option<String>,
}

impl Report {
    /// Everything that went wrong on purpose.
    const fn troubles(&self) -> u64 {
        self.daemon_kills + self.broker_kills + self.cuts + self.outages + self.dead_tokens + self.full_disks
    }

    const fn kills(&self) -> u64 {
        self.daemon_kills + self.broker_kills
    }

    /// How often a trouble struck, and how often the daemon met it as it should.
    const fn met(&self, trouble: Trouble) -> (u64, u64) {
        match trouble {
            Trouble::Daemon => (self.daemon_kills, self.daemon_kills),
            Trouble::Broker => (self.broker_kills, self.broker_kills),
            Trouble::Cut => (self.cuts, self.cuts),
            Trouble::Outage => (self.outages, self.outages_met),
            Trouble::Token => (self.dead_tokens, self.dead_tokens_met),
            Trouble::Disk => (self.full_disks, self.full_disks_met),
        }
    }

    /// Why a drill in which nothing went wrong proves nothing, if it does not: what holds without a position holds always.
    fn nothing_proved(&self, only: &[Trouble]) -> Option<String> {
        const REMEDY: &str = "run it again with a lower --speed or more --kills";
        let Self { orders, days, .. } = *self;
        if self.troubles() == 0 {
            return Some(format!("nothing proved: nothing went wrong in {days} days; {REMEDY}"));
        }
        if self.fills == 0 {
            return Some(format!("nothing proved: {orders} orders in {days} days, and none was filled; {REMEDY}"));
        }
        if self.struck_holding == 0 {
            return Some(format!("nothing proved: nothing was held while something went wrong; {REMEDY}"));
        }
        let unmet = |trouble: &&Trouble| self.met(**trouble).1 == 0;
        let name = |trouble: &Trouble| format!("{trouble:?}").to_lowercase();
        let missing: Vec<String> = only.iter().filter(unmet).map(name).collect();
        (!missing.is_empty()).then(|| format!("nothing proved: no {} was met; {REMEDY}", missing.join(" and no ")))
    }
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
    let mut stage = Stage::build(arguments, DAYS)?;
    let mode = if arguments.live { "live" } else { "paper" };
    let mut report = Report { seed: arguments.seed, mode, ..Report::default() };
    let mut random = Random(arguments.seed);
    let bar = output::progress(arguments.kills, "troubles");
    bar.set_message("drilling");
    let faults = if arguments.each_fault { Fault::every() } else { Vec::new() };
    let (mut failure, mut idle) = (None, 0);
    while failure.is_none() && goes_on(arguments, &faults, &report) && idle < IDLE_DAYS_MAX {
        let before = report.troubles();
        // With a fault a day, each day has its share; else the first day may have them all.
        let until = match faults.get(report.days as usize) {
            Some(fault) => {
                stage.faults = vec![fault.name().to_owned()];
                (arguments.kills * (report.days + 1)).div_ceil(faults.len() as u64)
            }
            None => arguments.kills,
        };
        failure = day(&stage, arguments, (&mut random, until), &mut report, &|done| bar.set_position(done)).err();
        idle = if report.troubles() == before && faults.is_empty() { idle + 1 } else { 0 };
    }
    bar.finish_and_clear();
    report.seconds = watch.seconds();
    for trouble in Trouble::value_variants() {
        let (struck, met) = report.met(*trouble);
        if struck > met {
            report.not_met.push(format!("{} of {struck}: {trouble:?}", struck - met).to_lowercase());
        }
    }
    let failure = failure.map(|error| error.to_string()).or_else(|| report.nothing_proved(&arguments.only));
    report.failure = failure.map(|error| {
        let Report { seed, days, .. } = report;
        let day = days.saturating_sub(1);
        format!("FAIL seed={seed} day={day}: {error} (everything is left in {})", stage.dir.display())
    });
    let summary = stage.dir.join("drill.json");
    let text = serde_json::to_string_pretty(&report)?;
    std::fs::write(&summary, text + "\n").map_err(|error| format!("{}: {error}", summary.display()))?;
    if cli.format == Format::Json {
        output::json(&report)?;
    } else {
        print(&report);
        output::line(format_args!("summary in {}", summary.display()));
    }
    Ok(if report.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn goes_on(arguments: &Drill, faults: &[Fault], report: &Report) -> bool {
    if faults.is_empty() { counted(arguments, report) < arguments.kills } else { report.days < faults.len() as u64 }
}

/// What `--kills` counts.
const fn counted(arguments: &Drill, report: &Report) -> u64 {
    if arguments.only.is_empty() { report.kills() } else { report.troubles() }
}

/// A day at the market, with what goes wrong in it until so much has.
fn day(
    stage: &Stage,
    arguments: &Drill,
    (random, until): (&mut Random, u64),
    report: &mut Report,
    told: &dyn Fn(u64),
) -> Result<(), Box<dyn Error>> {
    let number = report.days;
    report.days += 1;
    stage.note(number, "begins");
    let away = |report: &Report| report.outages + report.full_disks;
    let (away_before, troubles_before) = (away(report), report.troubles());
    let server = Server::start(stage, number, None)?;
    let daemon = Daemon::start(stage, number, &server)?;
    let mut field = Field { stage, day: number, live: arguments.live, server, daemon };
    let mut failed = 0;
    loop {
        std::thread::sleep(random.millis(20, 600));
        if let Some(ended) = field.daemon.ended()? {
            if ended == Ended::Over {
                break;
            }
            failed += 1;
            report.failed_starts += 1;
            if failed > STARTS_MAX {
                return Err(format!("the daemon does not come up again: {}", field.daemon.last_words()).into());
            }
            field.start_again()?;
            continue;
        }
        failed = 0;
        // What holds without a position proves little: most strike where one is held, and the last one waits for one while
        // none has.
        let (done, proves) = (counted(arguments, report), report.struck_holding > 0);
        let flat_as_well = (proves || done + 1 < until) && random.below(3) == 0;
        if done < until && (flat_as_well || checks::holds(stage, number)) {
            field.strike(trouble::choose(&arguments.only, random, report), random, report)?;
        }
        if arguments.live {
            checks::settled(stage, number, &field.server, &mut field.daemon, report)?;
            field.resume_after_an_outage(report)?;
        }
        told(counted(arguments, report));
    }
    let was_away = away(report) > away_before;
    let struck = report.troubles() > troubles_before;
    checks::at_the_end(stage, number, &field.server, (arguments.live, was_away, struck), report)
}

fn print(report: &Report) {
    output::line(format_args!(
        "{} days {}: {} kills of the daemon, {} of the broker, {} cuts, {} outages ({} met), {} dead tokens ({} met), \
         {} full disks ({} with the reserve), {} failed starts in between",
        report.days,
        report.mode,
        report.daemon_kills,
        report.broker_kills,
        report.cuts,
        report.outages,
        report.outages_met,
        report.dead_tokens,
        report.dead_tokens_met,
        report.full_disks,
        report.full_reserves,
        report.failed_starts
    ));
    output::line(format_args!(
        "{} orders, {} fills; {} audits ({} of states on the way) compared {} outputs, all equal; {} starts from a \
         state; books settled {} times",
        report.orders,
        report.fills,
        report.audits,
        report.snapshots_audited,
        output::grouped(report.outputs_compared),
        report.from_states,
        report.settled
    ));
    let alarms: Vec<String> = report.alarms.iter().map(|(code, count)| format!("{code} {count}")).collect();
    output::line(format_args!("alarms: {}", if alarms.is_empty() { "none".to_owned() } else { alarms.join(", ") }));
    output::line(format_args!(
        "{} of the {} struck while something was held; not met: {}",
        report.struck_holding,
        report.troubles(),
        if report.not_met.is_empty() { "nothing".to_owned() } else { report.not_met.join(", ") }
    ));
    let differences: Vec<String> = report.differences.iter().map(|(what, count)| format!("{what} {count}")).collect();
    output::line(format_args!(
        "differences of the books: {}; locks for them: {}",
        if differences.is_empty() { "none".to_owned() } else { differences.join(", ") },
        report.reconciliation_locks
    ));
    match &report.failure {
        Some(failure) => output::line(failure),
        None => output::line(format_args!("passed with seed {} in {:.0} s", report.seed, report.seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_without_a_position_or_a_trouble_proves_nothing() {
        let none = Report { daemon_kills: 3, orders: 35, ..Report::default() };
        assert!(none.nothing_proved(&[]).unwrap().contains("none was filled"));
        let flat = Report { fills: 12, ..none };
        assert!(flat.nothing_proved(&[]).unwrap().contains("nothing was held"));
        let held = Report { struck_holding: 1, ..flat };
        assert_eq!(held.nothing_proved(&[]), None);
        let unmet = Report { outages: 2, dead_tokens: 1, dead_tokens_met: 1, full_disks: 1, ..held };
        let told = unmet.nothing_proved(&[Trouble::Token, Trouble::Outage, Trouble::Disk]).unwrap();
        assert!(told.contains("no outage and no disk was met"), "{told}");
        assert_eq!(unmet.nothing_proved(&[Trouble::Token]), None);
    }
}
