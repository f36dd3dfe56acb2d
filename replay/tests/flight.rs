//! A day on paper, flown in a moment: feeds that are lost, queues that overrun, stops, restarts, refusals.

use crossbeam::channel::{Sender, bounded};
use daybook_config::{Calendar, Settings, Sources};
use daybook_journal::Journal;
use daybook_replay::live::{Flight, Flown, PaperOptions, PaperSession, Word};
use daybook_replay::{Plan, Recorded, ReplayError, audit};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    Command, Event, FeedChange, FeedState, Hash, Instrument, InstrumentId, Nanos, Price, Quantity, TradePrint, Verdict,
};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const BINARY: Hash = Hash([7; 32]);
const OPEN: &str = "2025-06-10T09:15:00+05:30";

fn options(run: &Path) -> PaperOptions {
    let settings = Settings::resolve(Sources::default()).unwrap().settings;
    let parameters = [("fast", "2"), ("slow", "5"), ("quantity", "3")];
    let parameters: BTreeMap<_, _> = parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let instrument = |symbol: &str| Instrument {
        market: "nse".to_owned(),
        symbol: symbol.to_owned(),
        tick: Price(5_000_000),
        lot: Quantity::from_units(1),
    };
    PaperOptions {
        plan: Plan::new("sma-cross", &parameters, settings).unwrap(),
        instruments: vec![instrument("A"), instrument("B")],
        interval: "5m".parse().unwrap(),
        calendar: Calendar::nse(),
        grace: 2 * SECOND,
        run: run.to_owned(),
        binary: BINARY,
        warm_up: Vec::new(),
    }
}

fn open() -> Nanos {
    OPEN.parse().unwrap()
}

/// A market that trades every twenty seconds, and what happens besides.
struct World<'a> {
    now: Cell<Nanos>,
    /// How wrong our clock is.
    skew: Cell<i64>,
    /// Words the operator has said.
    told: Cell<usize>,
    words: Sender<Word>,
    dropped: &'a AtomicU64,
    /// From `open` in seconds.
    script: Vec<(i64, Happening)>,
}

#[derive(Clone)]
enum Happening {
    Word(Word),
    Drop(u64),
    Switch,
    Said(Command),
    /// Somebody sets the clock, so many seconds on or back.
    Jump(i64),
    /// Somebody sets it, and the exchange lives in the same time: the process stood still.
    Still(i64),
}

fn feed(change: FeedChange) -> Happening {
    Happening::Word(Word::Feed(FeedState { change, gap_since: None, dropped: 0, reason: String::new() }))
}

impl World<'_> {
    /// A second passes, and what happens in it.
    fn second(&self) -> Nanos {
        let now = self.now.get() + SECOND;
        self.now.set(now);
        let second = (now - open()) / SECOND;
        if second >= 0 && second % 20 == 0 {
            for id in 0..2 {
                let wave = [0, 1, 2, 3, 4, 3, 2, 1][(second / 900 + id) as usize % 8];
                let price = Price::from_units(500 + 2 * wave + i64::from(second % 40 == 0));
                let print = TradePrint::new(now, price, Quantity::from_units(50));
                self.words.send(Word::Print(InstrumentId(id as u32), print)).unwrap();
            }
        }
        for (_, happening) in self.script.iter().filter(|(at, _)| *at == second) {
            match happening {
                Happening::Word(word) => self.words.send(word.clone()).unwrap(),
                Happening::Drop(count) => drop(self.dropped.fetch_add(*count, Ordering::Relaxed)),
                Happening::Jump(seconds) => self.skew.set(self.skew.get() + seconds * SECOND),
                Happening::Still(seconds) => self.now.set(now + seconds * SECOND),
                Happening::Switch | Happening::Said(_) => {}
            }
        }
        self.now.get() + self.skew.get()
    }

    /// What the operator says next, when its time has come.
    fn said(&self) -> Option<Command> {
        let second = (self.now.get() - open()) / SECOND;
        let words = self.script.iter().filter_map(|(at, happening)| match happening {
            Happening::Said(command) => Some((*at, *command)),
            _ => None,
        });
        let (at, command) = words.into_iter().nth(self.told.get())?;
        let is_due = at <= second;
        self.told.set(self.told.get() + usize::from(is_due));
        is_due.then_some(command)
    }

    fn switched(&self) -> bool {
        let second = (self.now.get() - open()) / SECOND;
        self.script.iter().any(|(at, happening)| matches!(happening, Happening::Switch) && *at <= second)
    }
}

/// Flies from `from` seconds after the open; how it ended.
fn fly(run: &Path, from: i64, script: Vec<(i64, Happening)>) -> Flown {
    fly_under(&options(run), from, script).unwrap()
}

/// The same under other settings.
fn fly_under(options: &PaperOptions, from: i64, script: Vec<(i64, Happening)>) -> Result<Flown, ReplayError> {
    let (sender, words) = bounded(1_000);
    let dropped = AtomicU64::new(0);
    let world = World {
        now: Cell::new(open() + from * SECOND),
        skew: Cell::new(0),
        told: Cell::new(0),
        words: sender,
        dropped: &dropped,
        script,
    };
    let mut session = PaperSession::open(options, world.now.get())?.expect("a trading day");
    let mut ear = |_: Nanos, _: &daybook_core::Output| ();
    let mut flight = Flight {
        words: &words,
        dropped: &dropped,
        now: &|| world.second(),
        wait: &|_| Duration::ZERO,
        outside: &|nanos| Duration::from_nanos(nanos.unsigned_abs() / 10),
        kill_switch: &|| world.switched(),
        said: &|| world.said(),
        wires: None,
        ear: &mut ear,
    };
    let flown = flight.fly(&mut session.pilot)?;
    match flown {
        Flown::Landed => session.end(None)?,
        Flown::Stopped { .. } => session.leave()?,
    };
    Ok(flown)
}

/// A journal of small segments that may own so much.
fn in_room(run: &Path, kib: Option<u64>) -> PaperOptions {
    let mut options = options(run);
    options.plan.settings.live_segment_kib = 64;
    options.plan.settings.live_room_kib = kib;
    options
}

fn events(run: &Path) -> Vec<Event> {
    let journal = Journal::open(&run.join("journal")).unwrap();
    let (mut cursor, mut events) = (journal.cursor(0), Vec::new());
    while let Some(frame) = cursor.next().unwrap() {
        events.push(Event::decode(frame.kind, frame.schema, frame.payload).unwrap());
    }
    events
}

fn commands(run: &Path) -> Vec<(Command, String)> {
    let command = |event| match event {
        Event::OperatorCommand(said) => Some((said.command, said.source.to_string())),
        _ => None,
    };
    events(run).into_iter().filter_map(command).collect()
}

fn assert_derives(run: &Path) {
    let recorded = Recorded::open(&run.join("journal")).unwrap();
    let report = audit(&recorded, &[], BINARY, None, None, &mut |_| ()).unwrap();
    assert_eq!((report.verdict, report.first_difference), ("equal", None));
    assert!(report.compared > 20, "{}", report.compared);
}

fn fills(run: &Path) -> usize {
    events(run).iter().filter(|event| matches!(event, Event::Fill(_))).count()
}

#[test]
fn a_day_is_flown_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("paper");
    assert_eq!(fly(&run, -60, vec![(-5, feed(FeedChange::Connected))]), Flown::Landed);
    assert_derives(&run);
    let slices = events(&run).iter().filter(|event| matches!(event, Event::SliceTaken(_))).count();
    assert_eq!((slices, commands(&run)), (75, Vec::new()));
    assert!(fills(&run) > 4 && run.join("manifest.json").exists());
    // Over is over.
    let error = PaperSession::open(&options(&run), open()).err().expect("it is over").to_string();
    assert!(error.contains("the session is over"), "{error}");
}

/// RL-01's degraded mode: a feed that is away for two minutes halts entries until it is back; notes stay out of the audit.
#[test]
fn a_lost_feed_halts_entries_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("paper");
    let script = vec![
        (1_000, feed(FeedChange::Lost)),
        (1_060, feed(FeedChange::Connected)),
        (2_000, feed(FeedChange::Lost)),
        (2_300, feed(FeedChange::Connected)),
    ];
    assert_eq!(fly(&run, -60, script), Flown::Landed);
    let expected = [(Command::Suspend, "feed-lost".to_owned()), (Command::Restore, "all-clear".to_owned())];
    assert_eq!(commands(&run), expected);
    let notes = events(&run).iter().filter(|event| matches!(event, Event::FeedState(_))).count();
    assert_eq!(notes, 4);
    assert_derives(&run);
}

#[test]
fn an_overrun_is_noted_and_stops_new_risk() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("paper");
    let script = vec![(4_000, Happening::Drop(5)), (5_000, Happening::Drop(2))];
    assert_eq!(fly(&run, -60, script), Flown::Landed);
    assert_eq!(commands(&run), [(Command::Halt, "overrun".to_owned())]);
    let dropped = |event: &Event| if let Event::FeedState(state) = event { Some(state.dropped) } else { None };
    assert_eq!(events(&run).iter().filter_map(dropped).collect::<Vec<_>>(), [5, 7]);
    assert_derives(&run);
}

/// RL-31: a signal or the switch leaves every position and stops; the same day goes on from there.
#[test]
fn a_stop_leaves_every_position_and_the_session_goes_on_after_it() {
    let dir = tempfile::tempdir().unwrap();
    for (name, stop) in [("sigterm", Happening::Word(Word::Stop("sigterm"))), ("killswitch-file", Happening::Switch)] {
        let run = dir.path().join(name);
        assert_eq!(fly(&run, -60, vec![(9_000, stop)]), Flown::Stopped { flat: true });
        assert_eq!(commands(&run), [(Command::Kill, name.to_owned())]);
        assert!(fills(&run) > 0 && !run.join("manifest.json").exists());
        assert_derives(&run);
        let before = fills(&run);
        assert_eq!(fly(&run, 9_600, Vec::new()), Flown::Landed);
        assert_derives(&run);
        assert_eq!(fills(&run), before, "what was killed trades no more until someone resumes it");
    }
}

#[test]
fn what_cannot_be_taken_up_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("paper");
    fly(&run, -60, vec![(600, Happening::Word(Word::Stop("sigint")))]);
    let refused =
        |options: &PaperOptions, now: Nanos| PaperSession::open(options, now).err().map(|error| error.to_string());
    let later = open() + 700 * SECOND;
    let mut other = options(&run);
    other.plan = other.plan.with(&[("fast".to_owned(), "3".to_owned())], &[]).unwrap();
    assert!(refused(&other, later).unwrap().contains("other settings"));
    let tomorrow = refused(&options(&run), open() + 24 * 3600 * SECOND).unwrap();
    assert!(tomorrow.contains("2025-06-10") && tomorrow.contains("2025-06-11"), "{tomorrow}");
    let held = PaperSession::open(&options(&run), later).unwrap();
    assert!(refused(&options(&run), later).is_some(), "a second daemon on the same session");
    drop(held);
    // A Sunday is no trading day, and makes nothing.
    let sunday = dir.path().join("sunday");
    assert!(PaperSession::open(&options(&sunday), open() + -2 * 24 * 3600 * SECOND).unwrap().is_none());
    assert!(!sunday.exists());
    std::fs::create_dir_all(dir.path().join("else")).unwrap();
    std::fs::write(dir.path().join("else/file"), "x").unwrap();
    assert!(refused(&options(&dir.path().join("else")), later).unwrap().contains("something else"));
    // Killed before its journal had its name, it left a beginning; that is gone on with.
    let early = dir.path().join("early");
    std::fs::create_dir_all(early.join(".journal.creating")).unwrap();
    std::fs::write(early.join(".journal.creating/lock"), "").unwrap();
    assert!(PaperSession::open(&options(&early), later).unwrap().is_some());
    assert!(early.join("journal").is_dir() && !early.join(".journal.creating").exists());
    // A year that the calendar lacks is no day to trade on.
    assert!(refused(&options(&dir.path().join("late")), "2031-06-10T09:15:00+05:30".parse().unwrap()).is_some());
}

/// RL-37: an operator halts a session and lets it go on; both are journaled, and nothing is entered in between.
#[test]
fn an_operator_halts_and_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("session");
    let script = vec![(3_600, Happening::Said(Command::Halt)), (10_800, Happening::Said(Command::Resume))];
    assert_eq!(fly(&run, -60, script), Flown::Landed);
    let said = |command| (command, "operator".to_owned());
    assert_eq!(commands(&run), [said(Command::Halt), said(Command::Resume)]);
    let entered = |from: i64, until: i64| {
        let hours = open() + from * SECOND..open() + until * SECOND;
        let fills = events(&run).into_iter().filter_map(|event| match event {
            Event::Fill(fill) => Some((fill.exchange_time, fill.position)),
            _ => None,
        });
        fills.filter(|(time, position)| hours.contains(time) && !position.is_zero()).count()
    };
    assert_eq!(entered(3_660, 10_800), 0, "halted, nothing is entered");
    assert!(entered(0, 3_600) > 0 && entered(10_800, 22_500) > 0);
    assert_derives(&run);
}

/// An operator's kill leaves every position and stops, as a signal does; taken up, entries wait for a resume.
#[test]
fn an_operator_kills_and_the_next_start_waits_for_a_resume() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("session");
    assert_eq!(fly(&run, -60, vec![(4_000, Happening::Said(Command::Kill))]), Flown::Stopped { flat: true });
    let fills = |run: &Path| events(run).into_iter().filter(|event| matches!(event, Event::Fill(_))).count();
    let before = fills(&run);
    assert_eq!(fly(&run, 4_200, vec![(9_000, Happening::Said(Command::Kill))]), Flown::Stopped { flat: true });
    assert_eq!(fills(&run), before, "locked until someone resumes");
    assert_eq!(fly(&run, 9_200, vec![(9_300, Happening::Said(Command::Resume))]), Flown::Landed);
    assert!(fills(&run) > before);
    assert_derives(&run);
}

/// P6: the disk runs full in the middle of a day: entries are halted at once, the reserve takes the rest as far as it goes,
/// and then the day ends in one line; with room again it is taken up, goes on by itself, and derives whole.
#[test]
fn a_full_disk_halts_entries_and_room_gives_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("paper");
    let error = fly_under(&in_room(&run, Some(256)), -60, Vec::new()).unwrap_err().to_string();
    assert!(error.contains("the disk is full") && error.contains("run the command again"), "{error}");
    assert_eq!(commands(&run), [(Command::Suspend, "disk-full".to_owned())]);
    let told = events(&run);
    let halted = told.iter().position(|event| matches!(event, Event::OperatorCommand(_))).unwrap();
    let approved = |event: &&Event| matches!(event, Event::OrderIntent(intent) if intent.verdict == Verdict::Approved);
    let (before, after) = told.split_at(halted);
    assert!(before.iter().filter(approved).count() > 2, "it traded before");
    let exits = after.iter().filter(approved).count();
    assert!(exits <= 2 && after.len() > 200, "{exits} exits of two positions in {} frames", after.len());
    assert_derives(&run);

    // No room still: refused, and nothing is lost.
    let refused = fly_under(&in_room(&run, Some(256)), 20_000, Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("no space left") && refused.contains("free disk space"), "{refused}");
    assert_eq!(events(&run).len(), told.len());
    let heard = vec![(20_010, feed(FeedChange::Connected))];
    assert_eq!(fly_under(&in_room(&run, None), 20_000, heard).unwrap(), Flown::Landed);
    assert_eq!(commands(&run)[1..], [(Command::Restore, "all-clear".to_owned())]);
    assert_eq!(events(&run)[..told.len()], told, "what was written is kept");
    assert_derives(&run);
    assert!(!run.join("journal/reserve").exists(), "a session that is over wants no reserve");
}

/// A halt of the operator outlasts a full disk.
#[test]
fn room_does_not_take_back_what_the_operator_halted() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("paper");
    let halted = vec![(30, Happening::Said(Command::Halt))];
    assert!(fly_under(&in_room(&run, Some(256)), -60, halted).is_err());
    let before = fills(&run);
    let heard = vec![(20_010, feed(FeedChange::Connected))];
    assert_eq!(fly_under(&in_room(&run, None), 20_000, heard).unwrap(), Flown::Landed);
    let expected = [(Command::Halt, "operator"), (Command::Suspend, "disk-full"), (Command::Restore, "all-clear")];
    assert_eq!(commands(&run), expected.map(|(command, source)| (command, source.to_owned())));
    assert_eq!(fills(&run), before, "halted all the same");
}

/// When the clock jumped, from where to where, in seconds from the open.
fn jumps(run: &Path) -> Vec<(i64, i64)> {
    let seconds = |time: Nanos| (time - open()) / SECOND;
    let jump = |event| match event {
        Event::ClockJumped(jump) => Some((seconds(jump.from), seconds(jump.to))),
        _ => None,
    };
    events(run).into_iter().filter_map(jump).collect()
}

/// Times of fills that entered, in seconds from the open.
fn entries(run: &Path) -> Vec<i64> {
    let entered = |event| match event {
        Event::Fill(fill) if !fill.position.is_zero() => Some((fill.exchange_time - open()) / SECOND),
        _ => None,
    };
    events(run).into_iter().filter_map(entered).collect()
}

/// A process that stood still for a quarter of an hour: noted, and what was decided on the market of before enters nothing;
/// with the first trade that is fresh it goes on.
#[test]
fn a_clock_that_jumps_forward_suspends_entries_until_something_fresh_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("paper");
    let script = vec![(-5, feed(FeedChange::Connected)), (3_605, Happening::Still(900)), (9_000, Happening::Still(30))];
    assert_eq!(fly(&run, -60, script), Flown::Landed);
    let expected = [(Command::Suspend, "clock-jump".to_owned()), (Command::Restore, "all-clear".to_owned())];
    assert_eq!(commands(&run), expected, "half a minute is no jump here: it is three seconds of the world's");
    let found = jumps(&run);
    assert!(found.len() == 1 && found[0].1 - found[0].0 >= 900, "{found:?}");
    assert!(entries(&run).iter().all(|at| !(3_605..4_520).contains(at)), "{:?}", entries(&run));
    assert!(entries(&run).iter().any(|at| *at > 4_520));
    assert_derives(&run);
}

/// Somebody sets the clock ten minutes on and, ten minutes later, right again. While it is wrong nothing that is heard is
/// fresh; while it is behind the session's time, that stands still. The journal never steps back.
#[test]
fn a_clock_that_is_set_wrong_and_right_again_enters_nothing_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("paper");
    let script = vec![(-5, feed(FeedChange::Connected)), (3_600, Happening::Jump(600)), (4_200, Happening::Jump(-600))];
    assert_eq!(fly(&run, -60, script), Flown::Landed);
    let found = jumps(&run);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].1 - found[0].0 >= 600 && found[1].0 - found[1].1 >= 590, "{found:?}");
    assert_eq!(
        commands(&run),
        [(Command::Suspend, "clock-jump".to_owned()), (Command::Restore, "all-clear".to_owned())]
    );
    assert!(entries(&run).iter().all(|at| !(3_600..4_790).contains(at)), "{:?}", entries(&run));
    assert!(entries(&run).iter().any(|at| *at > 4_800) && entries(&run).iter().any(|at| *at < 3_600));
    assert_derives(&run);
}
