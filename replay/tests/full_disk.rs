//! A session with a broker whose disk runs full in the middle of the day: what leaves for the broker, and what does not.
//!
//! - The desk refuses every entry and counts it, so that the strategy tries again and again; its books are empty and fresh.

use crossbeam::channel::bounded;
use daybook_adapters::kite::orders::{OrderRow, Outcome, PositionRow, TradeRow};
use daybook_adapters::kite::{KiteError, OrderCommand};
use daybook_config::{Calendar, Settings, Sources};
use daybook_journal::{Durable, Journal};
use daybook_replay::live::{Flight, OrderDesk, PaperOptions, PaperSession, Rows, Wires, Word};
use daybook_replay::{Plan, Recorded, audit};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    Answered, Command, Event, Hash, Instrument, InstrumentId, Money, Nanos, OrderState, Price, Quantity, TradePrint,
    Verdict,
};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

const BINARY: Hash = Hash([7; 32]);

/// Refuses entries and counts them; its clock is the session's.
#[derive(Default)]
struct Desk {
    now: AtomicI64,
    asked: AtomicI64,
    entries: AtomicU64,
    /// Entries that were sent while nothing might be.
    forbidden: AtomicU64,
    forbids: AtomicU64,
}

impl OrderDesk for Desk {
    fn send(&self, command: Durable<OrderCommand>) -> Outcome {
        let OrderCommand::Place(order) = &*command else { return Outcome::NotSent("nothing works".to_owned()) };
        assert!(!order.is_exit, "nothing is held");
        self.entries.fetch_add(1, Ordering::SeqCst);
        self.forbidden.fetch_add(self.forbids.load(Ordering::SeqCst), Ordering::SeqCst);
        Outcome::NotSent("the desk takes none".to_owned())
    }
    fn orders(&self) -> Rows<OrderRow> {
        Ok((Vec::new(), Vec::new()))
    }
    fn trades(&self) -> Rows<TradeRow> {
        Ok((Vec::new(), Vec::new()))
    }
    fn positions(&self) -> Rows<PositionRow> {
        Ok((Vec::new(), Vec::new()))
    }
    fn funds(&self) -> Result<Money, KiteError> {
        self.asked.store(self.now.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok(Money::from_units(1_000_000))
    }
    fn now(&self) -> Nanos {
        Nanos(self.now.load(Ordering::SeqCst))
    }
    fn outside(&self, _: i64) -> Duration {
        Duration::from_micros(200)
    }
}

fn options(run: &Path, room_kib: Option<u64>) -> PaperOptions {
    let overrides = [("live.venue", "broker"), ("risk.protective_stop", "percent:1"), ("live.segment_kib", "256")];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let mut settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
    settings.live_room_kib = room_kib;
    let parameters = [("fast", "1"), ("slow", "3"), ("quantity", "3")];
    let parameters: BTreeMap<_, _> = parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let (tick, lot) = (Price(5_000_000), Quantity::from_units(1));
    PaperOptions {
        plan: Plan::new("sma-cross", &parameters, settings).unwrap(),
        instruments: vec![Instrument { market: "nse".to_owned(), symbol: "A".to_owned(), tick, lot }],
        interval: "5m".parse().unwrap(),
        calendar: Calendar::nse(),
        grace: 2 * SECOND,
        run: run.to_owned(),
        binary: BINARY,
        warm_up: Vec::new(),
    }
}

fn events(run: &Path) -> Vec<Event> {
    let journal = Journal::open(&run.join("journal")).unwrap();
    let (mut cursor, mut events) = (journal.cursor(0), Vec::new());
    while let Some(frame) = cursor.next().unwrap() {
        events.push(Event::decode(frame.kind, frame.schema, frame.payload).unwrap());
    }
    events
}

/// Flies until the disk is full, and on with a word before every slice that lets entries in again, as no operator can say
/// it; what the desk was sent.
fn fly(run: &Path) -> Arc<Desk> {
    let open: Nanos = "2025-06-10T09:15:00+05:30".parse().unwrap();
    let desk = Arc::new(Desk::default());
    desk.now.store((open + -60 * SECOND).0, Ordering::SeqCst);
    let (sender, words) = bounded(1_000);
    let mut session = PaperSession::open(&options(run, Some(600)), desk.now()).unwrap().expect("a trading day");
    let names = Arc::new(session.names(&options(run, None)).unwrap());
    session.arm(desk.now(), "test").unwrap();
    let wires = Wires::begin(desk.clone(), names, sender.clone(), 5 * SECOND);
    let dropped = AtomicU64::new(0);
    let (full, killed) = (Cell::new(None), Cell::new(false));
    let mut ear = |_: Nanos, _: &daybook_core::Output| ();
    let second = || {
        // The books keep pace with the clock, and nobody outruns an answer.
        let now = desk.now() + SECOND;
        desk.now.store(now.0, Ordering::SeqCst);
        for _ in 0..5_000 {
            if now.0 - desk.asked.load(Ordering::SeqCst) <= 20 * SECOND {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let at = (now - open) / SECOND;
        if at >= 0 && at % 5 == 0 {
            let wave = [0, 1, 2, 3, 4, 3, 2, 1][(at / 600) as usize % 8];
            let price = Price::from_units(500 + 4 * wave + i64::from(at % 10 == 0));
            sender.send(Word::Print(InstrumentId(0), TradePrint::new(now, price, Quantity::from_units(9)))).unwrap();
        }
        now
    };
    let said = || {
        let is_full = !run.join("journal/reserve").exists();
        match full.get() {
            None if is_full => full.set(Some(desk.now())),
            Some(since) if desk.now() - since >= 3_600 * SECOND => {
                return (!killed.replace(true)).then_some(Command::Kill);
            }
            Some(since) if desk.now() - since >= 60 * SECOND && (desk.now() - open) / SECOND % 300 >= 296 => {
                desk.forbids.store(1, Ordering::SeqCst);
                return Some(Command::Restore);
            }
            _ => {}
        }
        None
    };
    let mut flight = Flight {
        words: &words,
        dropped: &dropped,
        now: &second,
        wait: &|_| Duration::from_micros(100),
        outside: &|nanos| Duration::from_nanos(nanos.unsigned_abs() / 10),
        kill_switch: &|| false,
        said: &said,
        wires: Some(&wires),
        ear: &mut ear,
    };
    flight.fly(&mut session.pilot).unwrap();
    assert!(full.get().is_some(), "the reserve has become a segment");
    session.leave().unwrap();
    desk
}

/// P1, P6: entries that are decided while the disk is full are journaled in the reserve and never sent; each is answered
/// at once, and the session derives again.
#[test]
fn on_a_full_disk_no_new_risk_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("live");
    let desk = fly(&run);
    let told = events(&run);
    let approved =
        told.iter().filter(|event| matches!(event, Event::OrderIntent(intent) if intent.verdict == Verdict::Approved));
    let (approved, sent) = (approved.count() as u64, desk.entries.load(Ordering::SeqCst));
    let kept = told.iter().filter(|event| {
        matches!(event, Event::BrokerAnswer(said) if said.answer == Answered::NotSent && said.message.contains("full"))
    });
    let kept = kept.count() as u64;
    assert!(sent > 1 && kept > 0, "{approved} approved, {sent} sent, {kept} kept");
    assert_eq!((approved, desk.forbidden.load(Ordering::SeqCst)), (sent + kept, 0));
    let rejected =
        told.iter().filter(|event| matches!(event, Event::OrderUpdate(update) if update.state == OrderState::Rejected));
    assert_eq!(rejected.count() as u64, approved, "each is known to have ended");
    let mut said = told.iter().filter_map(|event| match event {
        Event::OperatorCommand(said) => Some((said.command, said.source.to_string())),
        _ => None,
    });
    assert_eq!(said.next(), Some((Command::Arm, "test".to_owned())));
    assert_eq!(said.next(), Some((Command::Suspend, "disk-full".to_owned())));
    assert_eq!(said.next_back(), Some((Command::Kill, "operator".to_owned())));
    let report = audit(&Recorded::open(&run.join("journal")).unwrap(), &[], BINARY, None, None, &mut |_| ()).unwrap();
    assert_eq!((report.verdict, report.first_difference), ("equal", None));
}
