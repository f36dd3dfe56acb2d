//! A live session's own costs: a tick to its durable intent, a restart, and a busy market through the core's thread.
//!
//! - `tick to durable intent`: ten symbols, one-minute bars, a rule that trades at most bars. Decode is a packet of 184
//!   bytes to a trade; core is the last trade of a bar and the decision point after it, appended, stepped through and
//!   their outputs appended; sync makes them durable. The disk's own sync of the same bytes is taken in between.
//! - `restart`: a day of fifty symbols, five trades a minute of each, taken up from the start and from its newest state.
//! - `busy`: 3,000 instruments, ten trades a second of each, over the bounded queue into a flight, for a minute of the
//!   clock. Nothing may be dropped.
//! - `cargo bench --bench live`; `-- --test` does a little of each. Exit code 1: something was dropped.

#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

use crossbeam::channel::{Sender, bounded};
use daybook_adapters::kite::ticks::{Token, decode};
use daybook_config::calendar::{Day, Session};
use daybook_config::{Calendar, Settings, Sources};
use daybook_core::Conclusion;
use daybook_journal::{Options, Writer};
use daybook_replay::live::{Flight, Flown, Heard, PaperOptions, PaperSession, Prints, QUEUE_WORDS, Recorder, Word};
use daybook_replay::{Plan, Range, Recorded, Selection};
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{
    Hash, InputFilter, Instrument, InstrumentId, Interval, Nanos, Price, Quantity, SessionHeader, SessionMode,
    SessionOpened, SliceTaken, TradePrint,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BINARY: Hash = Hash([1; 32]);

fn instruments(count: usize) -> Vec<Instrument> {
    let one = |number| Instrument {
        market: "nse".to_owned(),
        symbol: format!("S{number:04}"),
        tick: Price(5_000_000),
        lot: Quantity::from_units(1),
    };
    (0..count).map(one).collect()
}

fn plan(fast: &str, slow: &str) -> Plan {
    let settings = Settings::resolve(Sources::default()).expect("defaults").settings;
    let given = [("fast", fast), ("slow", slow), ("quantity", "1")];
    let given: BTreeMap<_, _> = given.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Plan::new("sma-cross", &given, settings).expect("a plan")
}

fn session(date: &str) -> Session {
    let Day::Session(session) = Calendar::nse().day(date.parse().expect("a date")) else { panic!("a trading day") };
    session
}

/// A packet in full mode: last price, volume of the day, time of the last trade.
fn packet(frame: &mut [u8], token: u32, paise: u32, volume: u32, at: Nanos) {
    let mut put = |place: usize, value: u32| frame[4 + place..8 + place].copy_from_slice(&value.to_be_bytes());
    put(0, token);
    put(4, paise);
    put(16, volume);
    put(44, u32::try_from(at.0 / SECOND).expect("a time of this century"));
}

fn token(number: usize) -> u32 {
    (1_000 + number as u32) * 256 + 1
}

/// The value below which `share` of them lie, in microseconds.
fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let place = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted[place].as_secs_f64() * 1e6
}

fn tell(name: &str, mut all: Vec<Duration>) {
    all.sort_unstable();
    println!(
        "  {name:<24} p50 {:>9.1} µs   p99 {:>9.1} µs   of {}",
        percentile(&all, 0.5),
        percentile(&all, 0.99),
        all.len()
    );
}

/// A recorder of its own, at `path`.
fn recorder(path: &Path, plan: &Plan, instruments: &[Instrument], begins: Nanos) -> Recorder {
    let selection = Selection { instruments: instruments.to_vec(), interval: Interval::MINUTE };
    let calendar = plan.calendar(&selection).expect("a calendar");
    let filter = InputFilter {
        symbols: instruments.iter().map(|known| known.symbol.clone()).collect(),
        interval: Interval::MINUTE,
        from: None,
        to: None,
        warmup: 0,
    };
    let range = Range::of_dates(&calendar, None, None);
    let core = plan.core(&selection, &filter, range).expect("a core");
    let header = SessionHeader {
        mode: SessionMode::Paper,
        binary: BINARY,
        config: plan.hash(),
        calendar: calendar.hash(),
        strategy: plan.strategy.clone(),
        settings: plan.written(),
        seed: 0,
        inputs: Vec::new(),
        filter,
        parent: None,
        ancestors: Vec::new(),
    };
    let writer = Writer::create(path, Options::live()).expect("a journal");
    Recorder::begin(path.to_owned(), writer, &header, instruments, begins, core).expect("a session")
}

/// Ticks to durable intents, split; the disk's own sync beside it.
fn tick_to_intent(dir: &Path, minutes: i64) {
    const SYMBOLS: usize = 10;
    let (instruments, plan, session) = (instruments(SYMBOLS), plan("1", "2"), session("2025-06-10"));
    let mut recorder = recorder(&dir.join("ticks"), &plan, &instruments, session.open());
    let opened = SessionOpened { date: session.date, open: session.open(), close: session.close() };
    recorder.hear(session.open(), &Heard::SessionOpened(opened)).expect("it opens");
    let tokens: Vec<Token> = (0..SYMBOLS).map(|number| Token(token(number))).collect();
    let mut prints = Prints::new(&tokens);
    let mut raw = File::create(dir.join("raw")).expect("a file");
    let (mut decoding, mut core, mut syncing, mut bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut frame = vec![0u8; 4 + 184];
    frame[..4].copy_from_slice(&[0, 1, 0, 184]);
    for minute in 0..minutes {
        let begins = session.open() + minute * MINUTE;
        for second in [1, 20, 40, 59] {
            for number in 0..SYMBOLS {
                let now = begins + second * SECOND + number as i64;
                let wave = if (minute + number as i64) % 2 == 0 { 1_000 } else { 0 };
                let volume = (minute * 60 + second) as u32 * 10;
                packet(&mut frame, token(number), 50_000 + wave, volume, now);
                let started = Instant::now();
                let mut heard = None;
                decode(&frame, |tick| heard = tick.ok().and_then(|tick| prints.of(&tick)));
                let decoded = started.elapsed();
                let Some((id, print)) = heard else { continue };
                let is_last = second == 59 && number + 1 == SYMBOLS;
                let started = Instant::now();
                recorder.hear(now, &Heard::Print(id, print)).expect("it is heard");
                if !is_last {
                    recorder.commit().expect("a batch");
                    continue;
                }
                let slice = SliceTaken { interval: Interval::MINUTE, at: begins + MINUTE };
                let outputs = recorder.hear(begins + MINUTE, &Heard::Slice(slice)).expect("a decision");
                let decided = outputs.iter().any(|output| matches!(output.body, Conclusion::Intent(_)));
                let stepped = started.elapsed();
                let started = Instant::now();
                recorder.make_durable(Vec::<()>::new()).expect("durable");
                if decided {
                    decoding.push(decoded);
                    core.push(stepped);
                    syncing.push(started.elapsed());
                }
                let started = Instant::now();
                raw.write_all(&[7; 4_096]).and_then(|()| raw.sync_data()).expect("the disk");
                bare.push(started.elapsed());
            }
        }
    }
    println!("tick to durable intent, {SYMBOLS} symbols, sma-cross");
    let all = decoding.iter().zip(&core).zip(&syncing).map(|((a, b), c)| *a + *b + *c).collect();
    tell("decode", decoding);
    tell("core and append", core);
    tell("sync", syncing);
    tell("all of it", all);
    tell("the disk: 4 KiB, synced", bare);
}

/// A day that was recorded, taken up again: from its beginning, and from the newest state on the way.
fn restart(dir: &Path, minutes: i64) {
    const SYMBOLS: usize = 50;
    let (plan, session) = (plan("10", "30"), session("2025-06-10"));
    let options = options(dir.join("day"), plan, SYMBOLS);
    let mut paper = PaperSession::open(&options, session.open() + -MINUTE).expect("opens").expect("a trading day");
    let mut hear = |_: Nanos, _: &[daybook_core::Output]| ();
    for minute in 0..minutes {
        for beat in 0..5i64 {
            let now = session.open() + minute * MINUTE + beat * 12 * SECOND;
            for number in 0..SYMBOLS {
                let units = 500 + (minute + number as i64) % 7;
                let print = TradePrint::new(now, Price::from_units(units), Quantity::from_units(10));
                paper.pilot.feed(now, &Heard::Print(InstrumentId(number as u32), print), &mut hear).expect("heard");
            }
            paper.pilot.recorder().commit().expect("a batch");
        }
    }
    paper.leave().expect("left");
    let later = session.open() + minutes * MINUTE;
    println!("restart with a day's journal, {SYMBOLS} symbols, {} trades", minutes * 5 * SYMBOLS as i64);
    for (name, keep) in [("from the newest state", true), ("from the start", false)] {
        if !keep {
            // A little day has none.
            let _ = std::fs::remove_dir_all(dir.join("day/cache"));
        }
        let started = Instant::now();
        let paper = PaperSession::open(&options, later).expect("opens").expect("a trading day");
        let took = started.elapsed();
        println!("  {name:<24} {:>9.3} s, {} frames", took.as_secs_f64(), paper.resumed_frames);
        paper.leave().expect("left");
    }
    let recorded = Recorded::open(&dir.join("day/journal")).expect("a session");
    assert!(recorded.holds_its_inputs());
}

fn options(run: std::path::PathBuf, plan: Plan, symbols: usize) -> PaperOptions {
    PaperOptions {
        plan,
        instruments: instruments(symbols),
        interval: Interval::minutes(5),
        calendar: Calendar::nse(),
        grace: 2 * SECOND,
        run,
        binary: BINARY,
        warm_up: Vec::new(),
    }
}

/// Ten trades a second of each of 3,000 instruments, by the clock, until told to end.
fn feed(queue: &Sender<Word>, dropped: &AtomicU64, ended: &AtomicBool, open: Nanos, seconds: i64) {
    const INSTRUMENTS: u32 = 3_000;
    let started = Instant::now();
    for tenth in 0..seconds * 10 {
        let at = open + tenth * SECOND / 10;
        for id in 0..INSTRUMENTS {
            let units = 500 + i64::from(id % 50) + tenth % 3;
            let print = TradePrint::new(at, Price::from_units(units), Quantity::from_units(5));
            if queue.try_send(Word::Print(InstrumentId(id), print)).is_err() {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        let due = Duration::from_millis((tenth as u64 + 1) * 100);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
    }
    ended.store(true, Ordering::Relaxed);
}

/// Resident memory in MiB, and CPU seconds of this process so far.
fn used() -> (u64, f64) {
    let text = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
    let pages: u64 = text("/proc/self/statm").split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let stat = text("/proc/self/stat");
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    (pages * 4 / 1_024, ticks.sum::<f64>() / 100.0)
}

fn busy(dir: &Path, seconds: i64) -> bool {
    let session = session("2025-06-10");
    let options = options(dir.join("busy"), plan("10", "30"), 3_000);
    let open = session.open() + SECOND;
    let mut paper = PaperSession::open(&options, open).expect("opens").expect("a trading day");
    let (queue, words) = bounded(QUEUE_WORDS);
    let (dropped, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let (memory, cpu) = used();
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| feed(&queue, &dropped, &ended, open, seconds));
        let mut ear = |_: Nanos, _: &daybook_core::Output| ();
        let mut flight = Flight {
            words: &words,
            dropped: &dropped,
            now: &|| open + i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX),
            wait: &|nanos| Duration::from_nanos(nanos.unsigned_abs()).min(Duration::from_millis(5)),
            outside: &|nanos| Duration::from_nanos(nanos.unsigned_abs()),
            kill_switch: &|| ended.load(Ordering::Relaxed) && words.is_empty(),
            said: &|| None,
            wires: None,
            ear: &mut ear,
        };
        let flown = flight.fly(&mut paper.pilot).expect("flies");
        assert!(matches!(flown, Flown::Stopped { .. }));
    });
    let (after, cpu_after) = used();
    let took = started.elapsed().as_secs_f64();
    let heard = paper.pilot.recorder().core().counts().inputs;
    println!("busy: 3,000 instruments, 10 trades a second each, {seconds} s");
    println!(
        "  heard {heard} inputs, dropped {}, memory {memory} → {after} MiB, CPU {:.0} % of one core (the feed's included)",
        dropped.load(Ordering::Relaxed),
        (cpu_after - cpu) / took * 100.0
    );
    paper.leave().expect("left");
    dropped.load(Ordering::Relaxed) == 0
}

fn main() -> ExitCode {
    let little = std::env::args().any(|argument| argument == "--test");
    let keep = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    tick_to_intent(keep.path(), if little { 20 } else { 375 });
    restart(keep.path(), if little { 10 } else { 375 });
    if busy(keep.path(), if little { 2 } else { 60 }) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
