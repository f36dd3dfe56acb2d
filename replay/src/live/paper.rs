//! A session on paper: real quotes, our own exchange, nothing sent to anyone.
//!
//! - `RUN/journal` is the session. Started again on the same day it is replayed, compared and gone on with; on another
//!   day, under other settings, or after its end it is refused.
//! - The header holds all that changes a result; the journal holds what was heard. So audit needs nothing else.
//! - With the setting `live.venue` it is a session with a broker: orders go through `wires.rs`, and nothing is filled here.
//! - Must never: send an order of a session on paper, or begin a session over one that is there.

use super::orders::Names;
use super::pilot::{Course, Pilot};
use super::recorder::{Heard, Recorder};
use super::snapshots::{Saver, store_of};
use super::warm_up::{WarmUp, filter_of};
use crate::catalog::{Selection, decode};
use crate::error::ReplayError;
use crate::history::Range;
use crate::plan::Plan;
use crate::recorded::Recorded;
use crate::report::Manifest;
use crate::rundir::{remove, sibling};
use daybook_config::{Calendar, ProtectiveStop, Settings, Venue, calendar::Day};
use daybook_core::DIGEST_EVERY;
use daybook_journal::storage::Files;
use daybook_journal::{Head, Journal, Options, SealKey, Writer};
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{
    Command, Date, Event, Hash, InputFilter, Instrument, Interval, Kind, Label, Nanos, OperatorCommand, SessionHeader,
    SessionMode, TakenUp,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What follows the close of a session is less than this.
const LAST_FRAMES: u64 = 16_384;

/// What a session is told once.
#[derive(Debug, Clone)]
pub struct PaperOptions {
    /// Strategy, parameters and settings.
    pub plan: Plan,
    /// The instruments, in order of symbol: their place is their id.
    pub instruments: Vec<Instrument>,
    /// Length of the bars that are decided on.
    pub interval: Interval,
    /// When sessions open and close.
    pub calendar: Calendar,
    /// How long after a bar's end its stragglers are waited for, in nanoseconds.
    pub grace: i64,
    /// Directory of the session.
    pub run: PathBuf,
    /// Hash of the executable.
    pub binary: Hash,
    /// Journals of history that warm the strategy up; without one it begins with the day's first bars.
    pub warm_up: Vec<PathBuf>,
}

/// A session that is flown.
pub struct PaperSession {
    /// Its pilot.
    pub pilot: Pilot,
    /// Frames that were there before: of an earlier start of the same day.
    pub resumed_frames: u64,
    run: PathBuf,
}

impl PaperSession {
    /// Refuses what cannot be flown, before anyone is asked for anything: a session that is over, or of something else.
    pub fn check(run: &Path) -> Result<(), ReplayError> {
        if run.join("manifest.json").exists() {
            return Err(not_a_run(run, "the session is over; choose another --session"));
        }
        if Journal::open(&run.join("journal")).is_ok_and(|journal| journal.is_being_written()) {
            return Err(not_a_run(run, "another daemon is at work on it; stop that one, or choose another --session"));
        }
        if run.exists() && !run.join("journal").is_dir() && !is_a_beginning(run) {
            return Err(not_a_run(run, "it holds something else; choose another --session"));
        }
        Ok(())
    }

    /// Finishes a session whose process died between its end and its manifest: seals it where it is not sealed, and
    /// writes the manifest. True where that was all there was to do.
    pub fn finish(run: &Path, seal: Option<&SealKey>) -> Result<bool, ReplayError> {
        let journal = run.join("journal");
        if run.join("manifest.json").exists() || !journal.exists() || Journal::open(&journal)?.head().frames == 0 {
            return Ok(false);
        }
        let recorded = Recorded::open(&journal)?;
        if !is_ended(&recorded)? {
            return Ok(false);
        }
        // Nothing is added any more but the seal: no reserve is wanted.
        let mut writer = Writer::open(&journal, Options { segment_bytes: 64 * 1024, ..Options::default() })?;
        if let Some(key) = seal.filter(|_| recorded.journal.seals().is_empty()) {
            writer.seal(key)?;
        }
        writer.close_for_good()?;
        Manifest::write(run, &[]).map_err(|error| ReplayError::Report(error.to_string()))?;
        Ok(true)
    }

    /// Begins the session of `now`'s date, or takes it up. Nothing on a day without trading.
    pub fn open(options: &PaperOptions, now: Nanos) -> Result<Option<Self>, ReplayError> {
        Self::check(&options.run)?;
        let date = options.calendar.date_of(now);
        if !matches!(options.calendar.require(date)?, Day::Session(_)) {
            return Ok(None);
        }
        let journal = options.run.join("journal");
        let course = Course {
            calendar: options.calendar.clone(),
            interval: options.interval,
            grace: options.grace,
            subscribed: options.instruments.len(),
        };
        let begun = journal.exists() && Journal::open(&journal)?.head().frames > 0;
        let (recorder, resumed_frames) =
            if begun { take_up(options, &journal, date)? } else { (begin(options, &journal, now, date)?, 0) };
        let run = options.run.clone();
        let mut recorder = recorder;
        if begun && recorder.core().is_brokered() {
            // What was under way to the broker when the last process ended is of unknown fate, and the core knows it
            // before anything else.
            let taken = Heard::TakenUp(TakenUp { frames: resumed_frames });
            recorder.hear(now.max(recorder.now()), &taken)?;
            recorder.make_durable(Vec::<()>::new())?;
        }
        let header = Recorded::open(&journal)?.header;
        // A state is of the program that began the session, or of none.
        let settings = &options.plan.settings;
        if settings.snapshot_every > 0 && settings.live_snapshot_every > 0 && header.binary == options.binary {
            let saver = Saver::new(&run, &header, settings.snapshot_keep as usize);
            recorder.keep_snapshots(saver.every(settings.live_snapshot_every, MINUTE));
        }
        let closed = begun && is_closed(&Recorded::open(&journal)?, date)?;
        let pilot = Pilot::new(recorder, course, now)?;
        let pilot = pilot.map(|pilot| if closed { pilot.after_the_close() } else { pilot });
        let halt = if begun { halted_by(&Recorded::open(&journal)?)? } else { None };
        Ok(pilot.map(|mut pilot| {
            pilot.remember_halt(halt);
            Self { pilot, resumed_frames, run }
        }))
    }

    /// Who its orders are to the broker: the same for every process that takes the session up.
    pub fn names(&mut self, options: &PaperOptions) -> Result<Names, ReplayError> {
        let recorder = self.pilot.recorder();
        let id = Journal::open(recorder.path())?.id().unwrap_or_default();
        let orders = recorder.core().counts().orders;
        let protection = options.plan.settings.live_market_protection;
        Ok(Names::new(id, options.instruments.clone(), orders, protection))
    }

    /// Arms it: from here on orders may be sent. Journaled, durable, and once for all starts of the session.
    pub fn arm(&mut self, now: Nanos, source: &str) -> Result<(), ReplayError> {
        let recorder = self.pilot.recorder();
        if !recorder.core().is_armed() {
            let armed = OperatorCommand { command: Command::Arm, source: Label::new(source) };
            recorder.hear(now.max(recorder.now()), &Heard::Command(armed))?;
            recorder.make_durable(Vec::<()>::new())?;
        }
        Ok(())
    }

    /// Halts it before anything is heard, as an operator does. Journaled and durable.
    pub fn halt(&mut self, now: Nanos, source: &str) -> Result<(), ReplayError> {
        let recorder = self.pilot.recorder();
        let halted = OperatorCommand { command: Command::Halt, source: Label::new(source) };
        recorder.hear(now.max(recorder.now()), &Heard::Command(halted))?;
        recorder.make_durable(Vec::<()>::new())?;
        Ok(())
    }

    /// Ends the session for good: its last digest, its seal, its manifest.
    pub fn end(self, seal: Option<&SealKey>) -> Result<Head, ReplayError> {
        let head = self.pilot.end(seal)?;
        Manifest::write(&self.run, &[]).map_err(|error| ReplayError::Report(error.to_string()))?;
        Ok(head)
    }

    /// Leaves it as it stands, to be taken up again.
    pub fn leave(self) -> Result<Head, ReplayError> {
        self.pilot.leave()
    }
}

/// True where a folder holds nothing, or what a process leaves that died before its session had a journal.
fn is_a_beginning(run: &Path) -> bool {
    let kept = [crate::learned::MODEL_FILE, crate::listed::LIST_FILE, crate::scores::TABLE_FILE, "cache"];
    let ours = |name: &str| name.starts_with(".journal.") || kept.contains(&name);
    let mut entries = std::fs::read_dir(run).into_iter().flatten();
    run.is_dir() && entries.all(|entry| entry.is_ok_and(|entry| ours(&entry.file_name().to_string_lossy())))
}

/// A reserve for the day the disk is full, and segments of a size that a day fills some of.
fn layout(settings: &Settings) -> Options {
    Options { segment_bytes: u64::from(settings.live_segment_kib) * 1024, ..Options::live() }
}

/// The disk, or as much of it as the session may take.
fn room(settings: &Settings) -> Arc<Files> {
    Arc::new(Files::with_room(settings.live_room_kib.map(|room| room.saturating_mul(1024))))
}

/// True where the session of a date was closed: one of the last things that happen to it.
fn is_closed(recorded: &Recorded, date: Date) -> Result<bool, ReplayError> {
    let mut cursor = recorded.journal.cursor(recorded.until.saturating_sub(LAST_FRAMES).max(recorded.outputs));
    while let Some(frame) = cursor.next()? {
        if frame.kind == Kind::SessionClosed.number()
            && let Event::SessionClosed(closed) = decode(&recorded.path, frame)?
            && closed.date == date
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True where the last digest, of the end, stands in the journal: nothing follows it but a seal.
fn is_ended(recorded: &Recorded) -> Result<bool, ReplayError> {
    let mut cursor = recorded.journal.cursor(recorded.until.saturating_sub(LAST_FRAMES).max(recorded.outputs));
    let (mut closed, mut ended) = (false, false);
    while let Some(frame) = cursor.next()? {
        ended = false;
        if frame.kind == Kind::SessionClosed.number() {
            closed = true;
        } else if frame.kind == Kind::StateDigest.number()
            && let Event::StateDigest(digest) = decode(&recorded.path, frame)?
        {
            // One that came for the number of inputs is no end; where both fall together there are two of them.
            ended = !digest.inputs.is_multiple_of(DIGEST_EVERY);
        }
    }
    Ok(closed && ended)
}

fn selection(options: &PaperOptions) -> Selection {
    Selection { instruments: options.instruments.clone(), interval: options.interval }
}

fn filter(options: &PaperOptions, date: Date) -> Result<InputFilter, ReplayError> {
    let warmed = !options.warm_up.is_empty();
    filter_of(&options.plan, &selection(options), &options.calendar, warmed.then_some(date))
}

/// Begins the session. A warm-up is told out of sight, so that what bears the session's name is warmed up whole.
fn begin(options: &PaperOptions, journal: &Path, now: Nanos, date: Date) -> Result<Recorder, ReplayError> {
    if options.warm_up.is_empty() {
        return write_header(options, journal, now, date);
    }
    let warm_up = WarmUp::open(&options.warm_up, date)?;
    let selection = selection(options);
    warm_up.check(&options.plan, &selection, &options.calendar)?;
    let building = sibling(journal, "partial")?;
    remove(&building)?;
    let mut recorder = write_header(options, &building, now, date)?;
    warm_up.tell(&mut recorder, now, &options.plan, &selection, &options.calendar)?;
    recorder.leave()?;
    // An empty journal may stand there: of a start that came no further.
    remove(journal)?;
    std::fs::rename(&building, journal).map_err(ReplayError::file(journal))?;
    Ok(take_up(options, journal, date)?.0)
}

fn write_header(options: &PaperOptions, journal: &Path, now: Nanos, date: Date) -> Result<Recorder, ReplayError> {
    let filter = filter(options, date)?;
    let range = Range::of_dates(&options.calendar, filter.from, filter.to);
    let core = options.plan.core(&selection(options), &filter, range)?;
    let header = SessionHeader {
        mode: match options.plan.settings.live_venue {
            Venue::Simulated | Venue::LikeBroker => SessionMode::Paper,
            Venue::Broker => SessionMode::Live,
        },
        binary: options.binary,
        config: options.plan.hash(),
        calendar: options.calendar.hash(),
        strategy: options.plan.strategy.clone(),
        settings: options.plan.written(),
        seed: options.plan.settings.seed,
        inputs: Vec::new(),
        filter,
        parent: None,
        ancestors: Vec::new(),
    };
    std::fs::create_dir_all(&options.run).map_err(ReplayError::file(&options.run))?;
    if let Some((path, name)) = options.plan.attachment()? {
        // Whoever audits the session, or asks for its status, needs nothing else.
        let copy = options.run.join(name);
        std::fs::copy(&path, &copy).map_err(ReplayError::file(&copy))?;
    }
    let settings = &options.plan.settings;
    let writer = Writer::open_or_create_on(room(settings), journal, layout(settings))?;
    Recorder::begin(journal.to_owned(), writer, &header, &options.instruments, now, core)
}

fn take_up(options: &PaperOptions, journal: &Path, date: Date) -> Result<(Recorder, u64), ReplayError> {
    // The lock first: a second daemon stops here. What a crash left is mended by opening.
    let settings = &options.plan.settings;
    let writer = Writer::open_on(room(settings), journal, layout(settings))?;
    let recorded = Recorded::open(journal)?;
    let begun = options.calendar.date_of(Nanos(recorded.journal.frame(0)?.frame().time));
    if begun != date {
        let reason = format!("the session is of {begun}, and today is {date}; choose another --session");
        return Err(not_a_run(&options.run, &reason));
    }
    let header = &recorded.header;
    let same = header.strategy == options.plan.strategy
        && header.settings == options.plan.written()
        && header.filter == filter(options, date)?
        && recorded.instruments == options.instruments
        && header.calendar == options.calendar.hash();
    if !same {
        let reason =
            "it was begun with another strategy, other settings or other symbols; give the same, or another --session";
        return Err(not_a_run(&options.run, reason));
    }
    let range = Range::of_dates(&options.calendar, header.filter.from, header.filter.to);
    let new_core = || options.plan.core(&selection(options), &header.filter, range);
    let frames = recorded.journal.head().frames;
    let recorder = if header.binary == options.binary {
        let store = store_of(&options.run, options.plan.settings.snapshot_keep as usize);
        Recorder::resume_from(&recorded, writer, new_core, &store)?
    } else {
        Recorder::resume(&recorded, writer, new_core()?)?
    };
    Ok((recorder, frames))
}

/// Who halted entries last, where nobody has said otherwise since.
fn halted_by(recorded: &Recorded) -> Result<Option<Label>, ReplayError> {
    let mut cursor = recorded.journal.cursor(recorded.outputs);
    let mut last = None;
    while let Some(frame) = cursor.next()? {
        if frame.kind == Kind::OperatorCommand.number()
            && let Event::OperatorCommand(said) = decode(&recorded.path, frame)?
            && matches!(said.command, Command::Halt | Command::Kill | Command::Resume)
        {
            last = Some(said);
        }
    }
    Ok(last.filter(|said| said.command == Command::Halt).map(|said| said.source))
}

fn not_a_run(run: &Path, reason: &str) -> ReplayError {
    ReplayError::NotARun { run: run.to_owned(), reason: reason.to_owned() }
}

/// What trading at a broker costs where nobody says otherwise.
pub const LIVE_COSTS: &str = "zerodha-intraday";

/// Settings that a session with a broker has where nobody says otherwise: who fills, what it costs, a stop on every
/// position, a day's loss, prices that are fresh and near, positions that one order can leave, and an end two minutes before the broker squares intraday positions off.
pub fn live_settings(settings: &Settings) -> Vec<(String, String)> {
    let mut wanted = vec![("live.venue", "broker")];
    if settings.costs.as_str() == "none" {
        wanted.push(("costs", LIVE_COSTS));
    }
    if settings.risk_protective_stop == ProtectiveStop::None {
        wanted.push(("risk.protective_stop", "atr:2"));
    }
    if settings.risk_hard_trading_end.is_none() {
        wanted.push(("risk.hard_trading_end", "15:18"));
    }
    if settings.risk_daily_max_loss_r.is_none() {
        wanted.push(("risk.daily_max_loss_r", "3"));
    }
    // BT-33: nothing is entered on a price of more than a minute ago, nor at one that is five percent off.
    if settings.risk_max_age_seconds.is_none() {
        wanted.push(("risk.max_age_seconds", "60"));
    }
    if settings.risk_max_deviation_bps.is_none() {
        wanted.push(("risk.max_deviation_bps", "500"));
    }
    // A position that one order could not leave is none to enter: brokers and exchanges cap an order's quantity.
    if settings.risk_max_position_quantity.is_none() {
        wanted.push(("risk.max_position_quantity", "30000"));
    }
    wanted.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
