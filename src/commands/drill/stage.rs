//! The stage of a drill: its folder, its market, the processes on it.
//!
//! - Every process is this very program, started with settings, keys and folders of the drill's own.
//! - What was started is ended when it is dropped.

use super::trouble::SEGMENT_KIB;
use crate::cli::Drill;
use crate::output::Stopwatch;
use daybook_adapters::kite::BlockingKite;
use daybook_adapters::kite::session::{Credentials, TokenFile};
use daybook_adapters::kite_server::Speed;
use daybook_config::Calendar;
use daybook_journal::{Options, Writer};
use daybook_replay::synthetic::{self, Market};
use daybook_vocabulary::{Date, Interval, Price};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Symbols of the drill's market.
pub const SYMBOLS: [&str; 2] = ["ALPHA", "BETA"];
/// How long a port may take to open.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// The folder of a drill and what it trades.
pub struct Stage {
    /// Everything lies in here.
    pub dir: PathBuf,
    program: PathBuf,
    dates: Vec<Date>,
    speed: Speed,
    snapshot_every: u64,
    /// What goes wrong at the broker besides.
    pub faults: Vec<String>,
    live: bool,
    watch: Stopwatch,
}

impl Stage {
    /// Makes the market. A folder that is there is a drill's own or empty, and is replaced.
    pub fn build(arguments: &Drill, days: usize) -> Result<Self, Box<dyn Error>> {
        let Speed::Times(_) = arguments.speed else {
            return Err("a drill wants a --speed in numbers: what goes wrong takes its time".into());
        };
        let dir = arguments.out.clone();
        let mark = dir.join("market");
        let is_empty = std::fs::read_dir(&dir).map_or(true, |mut entries| entries.next().is_none());
        if !is_empty && !mark.is_dir() {
            return Err(format!("{}: holds something else than a drill; choose another --out", dir.display()).into());
        }
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let calendar = Calendar::nse();
        let first: Date = "2025-06-02".parse()?;
        let is_session = |date: &Date| calendar.session_for_data(*date).is_some();
        let dates: Vec<Date> = (0..).map(|day| Date(first.0 + day)).filter(is_session).take(days).collect();
        let market = Market {
            seed: arguments.seed,
            symbols: SYMBOLS.map(|symbol| (symbol.to_owned(), Price::from_units(500))).into(),
            tick: Price(5_000_000),
            interval: Interval::minutes(5),
            from: first,
            to: *dates.last().ok_or("a drill has days")?,
        };
        let mut writer = Writer::create(&mark, Options::session())?;
        synthetic::write(&market, &calendar, &mut writer)?;
        writer.close()?;
        let program = std::env::current_exe().map_err(|error| format!("cannot find the running program: {error}"))?;
        let (faults, watch) = (arguments.fault.clone(), Stopwatch::start());
        let Drill { speed, snapshot_every, live, .. } = *arguments;
        Ok(Self { dir, program, dates, speed, snapshot_every, faults, live, watch })
    }

    /// Notes what is done, beside what comes of it.
    pub fn note(&self, day: u64, did: &str) {
        let at = (self.watch.seconds() * 1_000.0).round() / 1_000.0;
        let line = serde_json::json!({ "at": at, "day": day, "did": did }).to_string();
        let noted = File::options().create(true).append(true).open(self.dir.join("drill.jsonl"));
        if let Err(error) = noted.and_then(|mut file| writeln!(file, "{line}")) {
            tracing::warn!(%error, "what was done cannot be noted");
        }
    }

    /// How long virtual seconds are in real time.
    pub fn real(&self, seconds: u64) -> Duration {
        let Speed::Times(thousandths) = self.speed else { return Duration::ZERO };
        Duration::from_micros(seconds * 1_000_000_000 / thousandths.max(1))
    }

    /// A session's directory.
    pub fn session(&self, day: u64) -> PathBuf {
        self.dir.join(format!("session-{day}"))
    }

    /// True once the day's session has a journal.
    pub fn has_begun(&self, day: u64) -> bool {
        self.session(day).join("journal/0000000000.segment").exists()
    }

    /// What the day's daemons have said.
    pub fn log(&self, day: u64) -> PathBuf {
        self.dir.join(format!("session-{day}.log"))
    }

    /// This program, away from the user's settings.
    pub fn command(&self, arguments: &[&str]) -> Result<Command, Box<dyn Error>> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--format", "json"]).env_clear().env("HOME", ".").current_dir(&self.dir);
        command.env("XDG_CONFIG_HOME", std::path::absolute(self.dir.join("config"))?);
        Ok(command)
    }

    fn date(&self, day: u64) -> Date {
        self.dates[day as usize % self.dates.len()]
    }

    /// A client of the broker, with the daemon's own login.
    pub fn client(&self, server: &Server) -> Result<BlockingKite, Box<dyn Error>> {
        let kite = BlockingKite::connect(&server.url, Credentials::simulated(), OPENS_WITHIN)?;
        let folder = self.dir.join("config/daybook");
        for entry in std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry?.path();
            let kept = TokenFile::new(&path).load(&server.url, kite.kite().credentials());
            if let Some(login) = kept
                && kite.resume(login)?
            {
                return Ok(kite);
            }
        }
        Err("the daemon's login is over".into())
    }

    /// The same when nobody trades any more: where the daemon's login is over, a new one disturbs nobody.
    pub fn client_after_the_day(&self, server: &Server) -> Result<BlockingKite, Box<dyn Error>> {
        if let Ok(kite) = self.client(server) {
            return Ok(kite);
        }
        let kite = BlockingKite::connect(&server.url, Credentials::simulated(), OPENS_WITHIN)?;
        kite.login_by_itself()?;
        Ok(kite)
    }

    /// Somebody logs in on another machine: the daemon's token is dead.
    pub fn log_in_elsewhere(&self, server: &Server) -> Result<(), Box<dyn Error>> {
        let kite = BlockingKite::connect(&server.url, Credentials::simulated(), OPENS_WITHIN)?;
        kite.login_by_itself()?;
        Ok(())
    }
}

/// The simulated broker of a day.
pub struct Server {
    process: Child,
    /// Where it listens.
    pub url: String,
}

impl Server {
    /// Starts it; on its own book again where a port is given.
    pub fn start(stage: &Stage, day: u64, port: Option<u16>) -> Result<Self, Box<dyn Error>> {
        let (date, book) = (stage.date(day).to_string(), format!("book-{day}"));
        let (port, speed) = (port.unwrap_or_default().to_string(), stage.speed.to_string());
        let mut arguments = vec!["simulate", "--journal", "market", "--date", &date, "--speed", &speed];
        arguments.extend(["--start", "09:10", "--book", &book, "--port", &port]);
        arguments.extend(stage.faults.iter().flat_map(|fault| ["--fault", fault.as_str()]));
        let mut process = stage.command(&arguments)?.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let begun: serde_json::Value =
            serde_json::from_str(&line).map_err(|error| format!("the simulated broker does not start: {error}"))?;
        Ok(Self { process, url: begun["url"].as_str().unwrap_or_default().to_owned() })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Nothing goes over the wires for a while; nobody is told.
    pub fn cut(&self, lasts: Duration) -> Result<(), Box<dyn Error>> {
        self.signal("-STOP")?;
        std::thread::sleep(lasts);
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<(), Box<dyn Error>> {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(format!("kill {signal} failed").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How a daemon ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its day is over.
    Over,
    /// Something kept it from trading.
    Failed,
}

/// The trading daemon of a day.
pub struct Daemon {
    process: Child,
    log: PathBuf,
    /// There once its session is whole.
    manifest: PathBuf,
}

impl Daemon {
    /// Starts it, or takes its session up.
    pub fn start(stage: &Stage, day: u64, server: &Server) -> Result<Self, Box<dyn Error>> {
        Self::start_in_room(stage, day, server, None)
    }

    /// The same where its journal may own so many KiB of the disk.
    pub fn start_in_room(
        stage: &Stage,
        day: u64,
        server: &Server,
        room_kib: Option<u64>,
    ) -> Result<Self, Box<dyn Error>> {
        let session = format!("session-{day}");
        let room = room_kib.map_or_else(|| "none".to_owned(), |kib| kib.to_string());
        let settings = [
            format!("live.room_kib={room}"),
            format!("live.segment_kib={SEGMENT_KIB}"),
            format!("live.snapshot_every={}", stage.snapshot_every),
        ];
        let mut arguments =
            vec!["trade", "--broker-url", &server.url, "--session", &session, "--symbols", "ALPHA,BETA"];
        arguments.extend(["--strategy", "sma-cross", "--set", "fast=2", "--set", "slow=5", "--set", "quantity=3"]);
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
        arguments.extend(["--slice-grace-ms", "20000", "--loop-ms", "10", "--log", "info"]);
        arguments.push(if stage.live { "--arm" } else { "--paper" });
        let log = stage.log(day);
        let errors = File::options().create(true).append(true).open(&log)?;
        let mut command = stage.command(&arguments)?;
        command.stdout(Stdio::null()).stderr(errors);
        if stage.live {
            command.env("DAYBOOK_PAPER_TRADING", "false");
        }
        let manifest = stage.session(day).join("manifest.json");
        Ok(Self { process: command.spawn()?, log, manifest })
    }

    /// Bytes of its log.
    pub fn log_length(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |file| file.len())
    }

    /// What it has said since its log was so long.
    pub fn log_since(&self, length: u64) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(length as usize..).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<Ended>, Box<dyn Error>> {
        let status = self.process.try_wait()?;
        // Killed behind its session's end, it is started on a session that is over, and says so.
        let is_over = |success: bool| success || self.manifest.exists();
        Ok(status.map(|status| if is_over(status.success()) { Ended::Over } else { Ended::Failed }))
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// What it said last.
    pub fn last_words(&self) -> String {
        last_line(&self.log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}
