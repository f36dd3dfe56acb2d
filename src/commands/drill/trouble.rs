//! What goes wrong in a drill, and what is looked at while it does.
//!
//! - Each trouble begins with processes that run and ends with processes that run, or with a daemon that ended by itself.
//! - Must never: help the daemon but by what a person would do: starting it again, making room, saying `resume`.

use super::checks;
use super::stage::{Daemon, Ended, Server, Stage};
use super::{Random, Report};
use crate::cli::Trouble;
use daybook_vocabulary::Command;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// How often each trouble comes, when all may.
const OFTEN: [(Trouble, u64); 6] = [
    (Trouble::Daemon, 14),
    (Trouble::Broker, 4),
    (Trouble::Cut, 2),
    (Trouble::Outage, 1),
    (Trouble::Token, 2),
    (Trouble::Disk, 1),
];
/// Real time that a look at something takes at least, and how many of them until it must be so.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const LOOKS: u32 = 600;
/// Bytes of the segments of a drilled session: small, so that a disk is soon full.
pub const SEGMENT_KIB: u64 = 64;

/// Which trouble comes next. Of those that are asked for by name, first those that were not met yet.
pub fn choose(only: &[Trouble], random: &mut Random, report: &Report) -> Trouble {
    let unmet: Vec<Trouble> = only.iter().copied().filter(|trouble| report.met(*trouble).1 == 0).collect();
    let wanted = if unmet.is_empty() { only } else { &unmet };
    let may: Vec<_> = OFTEN.iter().filter(|(trouble, _)| wanted.is_empty() || wanted.contains(trouble)).collect();
    let mut place = random.below(may.iter().map(|(_, often)| often).sum());
    for (trouble, often) in &may {
        if place < *often {
            return *trouble;
        }
        place -= often;
    }
    Trouble::Daemon
}

/// The processes of a day.
pub struct Field<'a> {
    /// Where they live.
    pub stage: &'a Stage,
    /// The day.
    pub day: u64,
    /// Orders go to the broker.
    pub live: bool,
    /// The simulated broker.
    pub server: Server,
    /// The daemon.
    pub daemon: Daemon,
}

impl Field<'_> {
    /// Starts the daemon again.
    pub fn start_again(&mut self) -> Result<(), Box<dyn Error>> {
        self.daemon = Daemon::start(self.stage, self.day, &self.server)?;
        Ok(())
    }

    /// Does it.
    pub fn strike(&mut self, trouble: Trouble, random: &mut Random, report: &mut Report) -> Result<(), Box<dyn Error>> {
        let wants_time = matches!(trouble, Trouble::Outage | Trouble::Token | Trouble::Disk);
        if wants_time && checks::is_closing(self.stage, self.day)? {
            // Nobody would be left to meet it.
            return Ok(());
        }
        let holds = checks::holds(self.stage, self.day);
        let before = report.troubles();
        self.stage.note(self.day, &format!("{trouble:?}").to_lowercase());
        self.inflict(trouble, random, report)?;
        report.struck_holding += u64::from(holds && report.troubles() > before);
        Ok(())
    }

    fn inflict(&mut self, trouble: Trouble, random: &mut Random, report: &mut Report) -> Result<(), Box<dyn Error>> {
        match trouble {
            Trouble::Daemon => {
                self.daemon.kill()?;
                report.daemon_kills += 1;
                checks::audit(self.stage, self.day, report)?;
                self.start_again()
            }
            Trouble::Broker => {
                let port = self.server.port();
                self.server.kill()?;
                report.broker_kills += 1;
                std::thread::sleep(random.millis(0, 600));
                self.server = Server::start(self.stage, self.day, Some(port))?;
                Ok(())
            }
            Trouble::Cut => {
                report.cuts += 1;
                self.server.cut(self.stage.real(5 + random.below(85)))
            }
            Trouble::Outage => self.outage(random, report),
            Trouble::Token => self.token(report),
            Trouble::Disk => self.disk(random, report),
        }
    }

    /// Minutes without a word: entries are halted on the way, and on return everything is left (RL-33).
    fn outage(&mut self, random: &mut Random, report: &mut Report) -> Result<(), Box<dyn Error>> {
        if self.live {
            // Only a daemon that has seen its books can miss them.
            checks::settled(self.stage, self.day, &self.server, &mut self.daemon, report)?;
        }
        if self.daemon.ended()?.is_some() || !self.stage.has_begun(self.day) {
            return Ok(());
        }
        let before = checks::commands(self.stage, self.day)?;
        report.outages += 1;
        // A feed counts as lost when it was silent for real seconds; books are missed by the session's own clock.
        let unnoticed = if self.live { Duration::ZERO } else { Duration::from_millis(5_200) };
        self.server.cut(unnoticed + self.stage.real(240 + random.below(480)))?;
        for _ in 0..LOOKS {
            std::thread::sleep(BETWEEN_LOOKS);
            if self.daemon.ended()?.is_some() {
                return Ok(());
            }
            let said = checks::commands(self.stage, self.day)?;
            let fresh = |source: &str, command: Command| {
                said[before.len()..].iter().any(|one| one.command == command && one.source.as_str() == source)
            };
            let met = match self.live {
                true => fresh("heartbeat", Command::Halt) && fresh("heartbeat", Command::Kill),
                false => fresh("feed-lost", Command::Suspend) && fresh("all-clear", Command::Restore),
            };
            if met {
                report.outages_met += 1;
                return Ok(());
            }
            if checks::is_closing(self.stage, self.day)? {
                return Ok(());
            }
        }
        Err("the broker was away for minutes, and nothing was halted".into())
    }

    /// After an outage everything is left and entries stay locked: once all is flat, a person lets them in again.
    pub fn resume_after_an_outage(&mut self, report: &mut Report) -> Result<(), Box<dyn Error>> {
        let said = checks::commands(self.stage, self.day)?;
        let by_itself = [Command::Arm, Command::Suspend, Command::Restore];
        let last = said.iter().rev().find(|one| !by_itself.contains(&one.command));
        if !last.is_some_and(|last| last.command == Command::Kill && last.source.as_str() == "heartbeat") {
            return Ok(());
        }
        for _ in 0..LOOKS {
            if self.daemon.ended()?.is_some() {
                return Ok(());
            }
            if checks::is_flat(self.stage, self.day, &self.server).unwrap_or(false) {
                checks::settled(self.stage, self.day, &self.server, &mut self.daemon, report)?;
                self.stage.note(self.day, "resumed");
                let session = format!("session-{}", self.day);
                self.stage.command(&["resume", &session])?.output()?;
                return Ok(());
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        Err("the broker is back, and positions were not left".into())
    }

    /// Somebody logs in elsewhere: the token is dead. The daemon takes up another login by itself, as it finds the one that
    /// a person has made at a real broker.
    fn token(&mut self, report: &mut Report) -> Result<(), Box<dyn Error>> {
        if !self.stage.has_begun(self.day) {
            // Nobody is logged in yet.
            return Ok(());
        }
        let told = self.daemon.log_length();
        self.stage.log_in_elsewhere(&self.server)?;
        report.dead_tokens += 1;
        for _ in 0..LOOKS {
            std::thread::sleep(BETWEEN_LOOKS);
            if self.daemon.log_since(told).contains("another login is taken up") {
                report.dead_tokens_met += 1;
                return Ok(());
            }
            if self.daemon.ended()?.is_some() || checks::is_closing(self.stage, self.day)? {
                return Ok(());
            }
        }
        Err("the token was dead, and the daemon took up no other login".into())
    }

    /// The disk has little room left: the daemon goes on in its reserve, and ends when that is full too. Whatever is held
    /// then has its stop at the broker; with room again the session goes on.
    fn disk(&mut self, random: &mut Random, report: &mut Report) -> Result<(), Box<dyn Error>> {
        if self.live {
            checks::settled(self.stage, self.day, &self.server, &mut self.daemon, report)?;
        }
        self.daemon.kill()?;
        let told = self.daemon.log_length();
        let journal = self.stage.session(self.day).join("journal");
        if !self.stage.has_begun(self.day) {
            return self.start_again();
        }
        report.full_disks += 1;
        // What a start itself may need, and then a little.
        let room = owned_kib(&journal) + SEGMENT_KIB * (2 + random.below(3)) + random.below(SEGMENT_KIB);
        self.daemon = Daemon::start_in_room(self.stage, self.day, &self.server, Some(room))?;
        let ended = loop {
            std::thread::sleep(BETWEEN_LOOKS);
            if let Some(ended) = self.daemon.ended()? {
                break ended;
            }
        };
        if ended == Ended::Over {
            // The day was shorter than its disk.
            return Ok(());
        }
        let said = self.daemon.log_since(told);
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).collect();
        match errors.as_slice() {
            [only] if only.contains("the disk is full") || only.contains("no space left") => {
                report.full_disks_met += 1;
                report.full_reserves += u64::from(only.contains("the disk is full"));
            }
            // Its broker may be in a bad way as well.
            _ if !self.stage.faults.is_empty() => report.failed_starts += 1,
            other => return Err(format!("a full disk is told in one line: {other:?}").into()),
        }
        if self.live {
            checks::protected_while_away(self.stage, self.day, &self.server)?;
        }
        checks::audit(self.stage, self.day, report)?;
        self.stage.note(self.day, "room");
        self.start_again()
    }
}

/// Blocks that the files of a directory own.
fn owned_kib(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|file| file.blocks() / 2).sum()
}
