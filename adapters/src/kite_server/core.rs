//! The server's one state behind its one lock: the world, its clock, its limits, its listeners, its book.
//!
//! - Whoever holds the lock first lets the world catch up with the clock; then what it sees is now.
//! - What changes the world is in the book before its answer goes out. A book that cannot be written stops all changes.
//! - Nothing waits inside the lock.

use super::command::{BookStore, Command, Entry};
use super::fault::Faults;
use super::hub::Hub;
use super::limits::Limits;
use super::refusal::{Answer, Refusal};
use super::world::World;
use daybook_vocabulary::Nanos;
use serde::Serialize;
use tokio::time::Instant;

/// How fast virtual time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// So many virtual seconds in a real one, in units of a thousandth.
    Times(u64),
    /// As fast as clients take it, to the end of the day; then one for one.
    Max,
}

impl std::str::FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let wrong = || format!("'{text}' is not a speed: a number from 0.001 to 1000000, or max");
        let units = daybook_vocabulary::decimal::parse_i64(text).map_err(|_| wrong())?;
        let thousandths = units / 100_000;
        if !(1..=1_000_000_000).contains(&thousandths) {
            Err(wrong())
        } else {
            Ok(Self::Times(thousandths.cast_unsigned()))
        }
    }
}

impl std::fmt::Display for Speed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Times(thousandths) if thousandths % 1_000 == 0 => write!(out, "{}", thousandths / 1_000),
            Self::Times(thousandths) => {
                write!(out, "{}.{:03}", thousandths / 1_000, thousandths % 1_000)
            }
            Self::Max => out.write_str("max"),
        }
    }
}

/// Virtual time against the real one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    since: Instant,
    from: Nanos,
    speed: Speed,
}

impl Clock {
    /// Begins at a virtual moment.
    pub fn new(from: Nanos, speed: Speed) -> Self {
        Self { since: Instant::now(), from, speed }
    }

    /// How fast it goes.
    pub const fn speed(&self) -> Speed {
        self.speed
    }

    /// The virtual now; of a world that goes as fast as it can, where that is.
    pub fn now(&self, world: Nanos) -> Nanos {
        match self.speed {
            Speed::Max => world,
            Speed::Times(thousandths) => {
                let elapsed = self.since.elapsed().as_nanos() * u128::from(thousandths) / 1_000;
                let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
                Nanos(self.from.0.saturating_add(elapsed)).max(world)
            }
        }
    }

    /// Real time until a virtual moment.
    pub fn until(&self, moment: Nanos, world: Nanos) -> std::time::Duration {
        let Speed::Times(thousandths) = self.speed else { return std::time::Duration::ZERO };
        let ahead = (moment - self.now(world)).max(0).cast_unsigned();
        std::time::Duration::from_nanos(
            (u128::from(ahead) * 1_000 / u128::from(thousandths)).min(u64::MAX.into()) as u64
        )
    }
}

/// How often the server was asked for what, since it started: what a client did not ask for shows here as well. Its
/// clock and this count do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Everything.
    pub all: u64,
    /// Of it, changes: orders placed, modified, cancelled, and whatever else is no `GET`; logins apart.
    pub changes: u64,
    /// Pages of the login, tokens exchanged and given up.
    pub logins: u64,
    /// Books, market data, lists.
    pub reads: u64,
    /// Sockets of the ticker.
    pub sockets: u64,
}

impl Asked {
    /// Counts a request.
    pub fn note(&mut self, method: &str, first: Option<&str>) {
        match (method, first) {
            (_, Some("daybook")) => return,
            (_, Some("session" | "connect")) => self.logins += 1,
            ("GET", _) => self.reads += 1,
            _ => self.changes += 1,
        }
        self.all += 1;
    }

    /// Counts a socket.
    pub const fn note_socket(&mut self) {
        self.sockets += 1;
        self.all += 1;
    }
}

/// The state.
pub struct Core {
    /// The world.
    pub world: World,
    /// Its time.
    pub clock: Clock,
    /// How often its clients have asked.
    pub limits: Limits,
    /// False where nobody counts.
    pub limited: bool,
    /// What goes wrong on request.
    pub faults: Faults,
    /// Who listens.
    pub hub: Hub,
    /// What was asked of this process.
    pub asked: Asked,
    store: Box<dyn BookStore>,
    broken: Option<String>,
    noted: Nanos,
    unsynced: bool,
}

/// The book learns at least so often how far time has come.
const NOTE_EVERY: i64 = 10_000_000_000;

impl Core {
    /// A state whose book has been played.
    pub fn new(world: World, clock: Clock, faults: Faults, hub: Hub, store: Box<dyn BookStore>) -> Self {
        let noted = world.now();
        Self {
            world,
            clock,
            limits: Limits::default(),
            limited: true,
            faults,
            hub,
            asked: Asked::default(),
            store,
            broken: None,
            noted,
            unsynced: false,
        }
    }

    /// Lets the world catch up with the clock; the virtual now.
    pub fn catch_up(&mut self) -> Nanos {
        let now = self.clock.now(self.world.now());
        while self.world.step(now) {
            self.hand_on();
        }
        self.after_time(now);
        now
    }

    /// One moment of a world that goes as fast as it can; false when the day is over.
    pub fn hurry(&mut self, end: Nanos) -> bool {
        let more = self.world.next_moment().is_some_and(|next| next < end);
        if more {
            let next = self.world.next_moment().unwrap_or(end);
            self.world.step(next);
            self.hand_on();
            self.after_time(next);
        }
        more
    }

    fn after_time(&mut self, now: Nanos) {
        if self.world.sessions.since().is_some_and(|since| self.faults.token_dies(since, now)) {
            tracing::info!("fault: the access token dies");
            if let Err(refusal) = self.change(&Command::Kill) {
                tracing::error!(reason = refusal.message, "the book does not take it");
            }
        }
        if now - self.noted >= NOTE_EVERY {
            self.note(now, &Entry::Reached);
        }
    }

    /// What happened goes to those who listen.
    pub fn hand_on(&mut self) {
        let out = std::mem::take(&mut self.world.out);
        self.hub.ticked(&out.ticked);
        if !out.updates.is_empty() {
            self.hub.updated(out.updates, &mut self.faults, self.world.sessions.secret(), self.world.now());
        }
        self.hub.flush(self.world.board(), self.world.now());
    }

    /// Changes the world, and writes it into the book.
    pub fn change(&mut self, command: &Command) -> Answer<String> {
        if let Some(reason) = &self.broken {
            return Err(Refusal::unreachable(format!("The server's book cannot be written: {reason}")));
        }
        let answer = self.world.apply(command)?;
        self.note(self.world.now(), &Entry::Did(command.clone()));
        self.hand_on();
        match &self.broken {
            Some(reason) => Err(Refusal::unreachable(format!("The server's book cannot be written: {reason}"))),
            None => Ok(answer),
        }
    }

    /// Makes the book survive the end of the machine.
    pub fn sync(&mut self) {
        if std::mem::take(&mut self.unsynced)
            && let Err(reason) = self.store.sync()
        {
            self.break_off(reason);
        }
    }

    fn note(&mut self, now: Nanos, entry: &Entry) {
        let text = serde_json::to_string(entry).unwrap_or_default();
        self.noted = now;
        self.unsynced = true;
        if let Err(reason) = self.store.append(now, &text) {
            self.break_off(reason);
        }
    }

    fn break_off(&mut self, reason: String) {
        if self.broken.is_none() {
            tracing::error!(reason, "the server's book cannot be written: nothing is changed any more");
            self.broken = Some(reason);
        }
    }
}
