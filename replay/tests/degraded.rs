//! A session with a broker that falls silent, in virtual time: entries stop after two minutes, everything is left when it
//! is back, and nothing is entered before a person says so (RL-33).
//!
//! - The wires are the real ones, with a desk that takes every command; what the broker says of them is said by the test,
//!   second by second. No second passes before every command that was handed on has its answer.

use crossbeam::channel::{Receiver, Sender, bounded};
use daybook_adapters::kite::orders::{OrderRow, Outcome, PositionRow, TradeRow, tag_of};
use daybook_adapters::kite::values::{Pricing, Transaction};
use daybook_adapters::kite::{KiteError, OrderCommand};
use daybook_config::{Calendar, Settings, Sources};
use daybook_core::Output;
use daybook_journal::{Durable, Journal};
use daybook_replay::live::{Flight, Flown, Heard, OrderDesk, PaperOptions, PaperSession, Rows, Wires, Word};
use daybook_replay::{Plan, Recorded, audit};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    BrokerBook, BrokerFill, BrokerOrder, BrokerPosition, BrokerStatus, Command, Event, FeedChange, FeedState, Hash,
    Instrument, InstrumentId, Label, Money, Nanos, OpenAtBroker, OrderId, OrderType, Price, Quantity, Side, TradePrint,
    Verdict,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BINARY: Hash = Hash([7; 32]);

fn open() -> Nanos {
    "2025-06-10T09:15:00+05:30".parse().unwrap()
}

/// Takes every command; its books cannot be had.
#[derive(Default)]
struct Desk {
    taken: Mutex<Vec<(String, OrderCommand)>>,
    looks: AtomicU64,
    now: AtomicI64,
}

impl OrderDesk for Desk {
    fn send(&self, command: Durable<OrderCommand>) -> Outcome {
        let mut taken = self.taken.lock().unwrap();
        let number = match &*command {
            OrderCommand::Place(_) => format!("N{}", taken.len() + 1),
            OrderCommand::Modify(change) => change.order_id.clone(),
            OrderCommand::Cancel { order_id, .. } => order_id.clone(),
        };
        taken.push((number.clone(), command.clone()));
        Outcome::Registered(number)
    }
    fn orders(&self) -> Rows<OrderRow> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Err(KiteError::DayIsFull)
    }
    fn trades(&self) -> Rows<TradeRow> {
        Err(KiteError::DayIsFull)
    }
    fn positions(&self) -> Rows<PositionRow> {
        Err(KiteError::DayIsFull)
    }
    fn funds(&self) -> Result<Money, KiteError> {
        Err(KiteError::DayIsFull)
    }
    fn now(&self) -> Nanos {
        Nanos(self.now.load(Ordering::SeqCst))
    }
    fn outside(&self, nanos: i64) -> Duration {
        Duration::from_nanos(nanos.unsigned_abs()).min(Duration::from_millis(2))
    }
}

fn options(run: &Path) -> PaperOptions {
    let overrides = [("live.venue", "broker"), ("risk.protective_stop", "percent:2")];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
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

/// The broker's side: its book, and the seconds in which it is silent.
struct World {
    now: Cell<Nanos>,
    desk: Arc<Desk>,
    run: [u8; 16],
    /// Answers of the wires, and where they are passed on to.
    answers: Receiver<Word>,
    words: Sender<Word>,
    /// Commands that the flight has handed on, and answers that were passed on.
    handed: Cell<usize>,
    answered: Cell<usize>,
    /// Commands that were done.
    done: Cell<usize>,
    book: RefCell<Vec<BrokerOrder>>,
    silent: std::ops::Range<i64>,
    resumes: i64,
    resumed: Cell<bool>,
    held: Cell<i64>,
    trades: Cell<u32>,
}

impl World {
    fn price(&self) -> Price {
        let second = (self.now.get() - open()) / SECOND;
        Price::from_units(500 + [0, 1, 2, 3, 2, 1][(second.max(0) / 900) as usize % 6])
    }

    fn say(&self, heard: Heard) {
        self.words.send(Word::Broker(vec![heard])).unwrap();
    }

    /// Waits for every answer, then lets a second pass.
    fn second(&self) -> Duration {
        if self.answered.get() < self.handed.get() {
            let word = self.answers.recv_timeout(Duration::from_secs(20)).expect("every command is answered");
            self.words.send(word).unwrap();
            self.answered.set(self.answered.get() + 1);
            // What it led to is heard before the next second.
            return Duration::ZERO;
        }
        let now = self.now.get() + SECOND;
        self.now.set(now);
        let second = (now - open()) / SECOND;
        if second == -5 {
            let state = FeedState { change: FeedChange::Connected, gap_since: None, dropped: 0, reason: String::new() };
            self.words.send(Word::Feed(state)).unwrap();
        }
        if second >= 0 && second % 20 == 0 {
            let print = TradePrint::new(now, self.price(), Quantity::from_units(50));
            self.words.send(Word::Print(InstrumentId(0), print)).unwrap();
        }
        self.work(now);
        if second % 5 == 0 && !self.silent.contains(&second) {
            self.show(now);
        }
        Duration::ZERO
    }

    /// Does what was sent: market orders fill at once, stops stand.
    fn work(&self, now: Nanos) {
        let taken = self.desk.taken.lock().unwrap();
        for (number, command) in &taken[self.done.get()..] {
            let mut book = self.book.borrow_mut();
            match command {
                OrderCommand::Place(order) => {
                    let ours = (1..500).map(OrderId).find(|id| tag_of(self.run, id.0) == order.tag).unwrap();
                    let side = if order.side == Transaction::Buy { Side::Buy } else { Side::Sell };
                    book.push(row(number, ours, side, order.quantity, order.trigger));
                    let last = book.len() - 1;
                    drop(book);
                    self.settle(last, order.pricing == Pricing::Market, now);
                }
                OrderCommand::Modify(change) => {
                    let at = book.iter().position(|row| row.broker_order == *number).unwrap();
                    book[at].quantity = change.quantity.unwrap_or(book[at].quantity);
                    book[at].stop = change.trigger;
                    drop(book);
                    self.settle(at, change.pricing == Pricing::Market, now);
                }
                OrderCommand::Cancel { .. } => {
                    let at = book.iter().position(|row| row.broker_order == *number).unwrap();
                    if !book[at].status.is_final() {
                        book[at].status = BrokerStatus::Cancelled;
                    }
                    drop(book);
                    self.settle(at, false, now);
                }
            }
        }
        self.done.set(taken.len());
    }

    fn settle(&self, at: usize, fills: bool, now: Nanos) {
        let mut row = self.book.borrow()[at].clone();
        if fills {
            let quantity = row.quantity - row.filled;
            self.trades.set(self.trades.get() + 1);
            self.held.set(self.held.get() + row.side.signed(quantity).0);
            let fill = BrokerFill {
                trade: format!("T{}", self.trades.get()),
                broker_order: row.broker_order.clone(),
                side: row.side,
                quantity,
                price: self.price(),
                exchange_time: now,
            };
            (row.filled, row.status) = (row.quantity, BrokerStatus::Filled);
            self.say(Heard::BrokerFill(InstrumentId(0), fill));
        }
        self.book.borrow_mut()[at] = row.clone();
        self.say(Heard::BrokerOrder(InstrumentId(0), row));
    }

    /// The books, complete.
    fn show(&self, asked: Nanos) {
        let book = self.book.borrow();
        let open = book.iter().filter(|row| !row.status.is_final()).map(|row| OpenAtBroker {
            order: row.order,
            broker_order: row.broker_order.clone(),
            instrument: InstrumentId(0),
            side: row.side,
            quantity: row.quantity,
            filled: row.filled,
            limit: row.limit,
            stop: row.stop,
        });
        let (instrument, product) = (InstrumentId(0), Label::new("MIS"));
        let held = BrokerPosition { instrument, product, quantity: Quantity(self.held.get()), average: Price::ZERO };
        let positions = if self.held.get() == 0 { Vec::new() } else { vec![held] };
        self.say(Heard::BrokerBook(BrokerBook { asked, positions, open: open.collect(), funds: None }));
    }

    fn said(&self) -> Option<Command> {
        let due = (self.now.get() - open()) / SECOND >= self.resumes;
        (due && !self.resumed.replace(due)).then_some(Command::Resume)
    }
}

fn row(number: &str, order: OrderId, side: Side, quantity: Quantity, stop: Option<Price>) -> BrokerOrder {
    BrokerOrder {
        order,
        broker_order: number.to_owned(),
        tag: String::new(),
        status: BrokerStatus::Working,
        word: Label::NONE,
        side,
        quantity,
        filled: Quantity::ZERO,
        pending: Quantity::ZERO,
        cancelled: Quantity::ZERO,
        average: Price::ZERO,
        limit: None,
        stop,
        registered: None,
        updated: None,
        message: String::new(),
    }
}

/// Flies a day at a broker that shows no books in these seconds; what was journaled.
fn fly(run: &Path, silent: std::ops::Range<i64>, resumes: i64) -> Vec<(Nanos, Event)> {
    let options = options(run);
    let mut session = PaperSession::open(&options, open() + -60 * SECOND).unwrap().expect("a trading day");
    let names = Arc::new(session.names(&options).unwrap());
    session.arm(open() + -60 * SECOND, "test").unwrap();
    let journal = session.pilot.recorder().path().to_owned();
    let id = Journal::open(&journal).unwrap().id().unwrap();
    let (out, answers) = bounded(1_000);
    let (words_in, words) = bounded(10_000);
    let desk = Arc::new(Desk::default());
    let wires = Wires::begin(desk.clone(), names.clone(), out, 5 * SECOND);
    let world = World {
        now: Cell::new(open() + -60 * SECOND),
        desk,
        run: id,
        answers,
        words: words_in,
        handed: Cell::new(0),
        answered: Cell::new(0),
        done: Cell::new(0),
        book: RefCell::new(Vec::new()),
        silent,
        resumes,
        resumed: Cell::new(false),
        held: Cell::new(0),
        trades: Cell::new(0),
    };
    let dropped = AtomicU64::new(0);
    let mut ear = |_: Nanos, output: &Output| {
        let commands = match &output.body {
            daybook_core::Conclusion::Intent(intent) => intent.verdict == Verdict::Approved,
            daybook_core::Conclusion::Modified(terms) => *terms.event.word() == *"modify-requested",
            daybook_core::Conclusion::Update(update) => *update.event.word() == *"cancel-requested",
            _ => false,
        };
        world.handed.set(world.handed.get() + usize::from(commands));
    };
    let mut flight = Flight {
        words: &words,
        dropped: &dropped,
        now: &|| world.now.get(),
        wait: &|_| world.second(),
        outside: &|nanos| Duration::from_nanos(nanos.unsigned_abs() / 10),
        kill_switch: &|| false,
        said: &|| world.said(),
        wires: Some(&wires),
        ear: &mut ear,
    };
    assert_eq!(flight.fly(&mut session.pilot).unwrap(), Flown::Landed);
    drop(wires);
    session.end(None).unwrap();
    let report = audit(&Recorded::open(&journal).unwrap(), &[], BINARY, None, None, &mut |_| ()).unwrap();
    assert_eq!((report.verdict, report.first_difference), ("equal", None));
    let journal = Journal::open(&journal).unwrap();
    let (mut cursor, mut events) = (journal.cursor(0), Vec::new());
    while let Some(frame) = cursor.next().unwrap() {
        events.push((Nanos(frame.time), Event::decode(frame.kind, frame.schema, frame.payload).unwrap()));
    }
    events
}

/// What the daemon and the operator said, with the second.
fn commands(events: &[(Nanos, Event)]) -> Vec<(i64, Command, String)> {
    let command = |(time, event): &(Nanos, Event)| match event {
        Event::OperatorCommand(said) => Some(((*time - open()) / SECOND, said.command, said.source.to_string())),
        _ => None,
    };
    events.iter().filter_map(command).filter(|(_, command, _)| *command != Command::Arm).collect()
}

/// Orders that were decided, with the second: the type, and the verdict.
fn intents(events: &[(Nanos, Event)]) -> Vec<(i64, OrderType, Verdict)> {
    let intent = |(time, event): &(Nanos, Event)| match event {
        Event::OrderIntent(intent) => Some(((*time - open()) / SECOND, intent.order_type, intent.verdict)),
        _ => None,
    };
    events.iter().filter_map(intent).collect()
}

fn filled(events: &[(Nanos, Event)]) -> Vec<(i64, i64)> {
    let fill = |(time, event): &(Nanos, Event)| match event {
        Event::Fill(fill) => Some(((*time - open()) / SECOND, fill.position.0 / 100_000_000)),
        _ => None,
    };
    events.iter().filter_map(fill).collect()
}

/// RL-33: no books for two minutes halt entries; when they are back the position is left before anything else, and entries
/// stay locked until a person resumes.
#[test]
fn a_broker_that_is_silent_for_two_minutes_is_left_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    // A first day says when something is held.
    let quiet = fly(&dir.path().join("quiet"), 0..0, i64::MAX);
    assert_eq!(commands(&quiet), []);
    let held_from = filled(&quiet).iter().find(|(_, position)| *position != 0).expect("it enters").0;
    let falls_silent = held_from + 40;
    let back = falls_silent + 300;
    let resumes = back + 4_000;
    let events = fly(&dir.path().join("degraded"), falls_silent..back, resumes);
    let said = commands(&events);
    let last_book = (falls_silent - 1) / 5 * 5;
    let sources: Vec<_> = said.iter().map(|(_, command, source)| (*command, source.as_str())).collect();
    assert_eq!(sources, [(Command::Halt, "heartbeat"), (Command::Kill, "heartbeat"), (Command::Resume, "operator")]);
    assert!((120..123).contains(&(said[0].0 - last_book)), "halted {} s after the last book", said[0].0 - last_book);
    assert!((0..6).contains(&(said[1].0 - back)), "left {} s after it was back", said[1].0 - back);
    // What was held stays held while nobody can be asked, and is left at once afterwards.
    let fills = filled(&events);
    assert!(fills.iter().all(|(at, _)| !(falls_silent..said[1].0).contains(at)), "{fills:?}");
    let left = fills.iter().find(|(at, _)| *at >= said[1].0).unwrap();
    assert!(left.1 == 0 && left.0 - said[1].0 < 5, "{left:?} after {:?}", said[1]);
    // Nothing is entered before it is left, nor after it, until somebody resumes.
    let approved = |(at, _, verdict): &&(i64, OrderType, Verdict)| {
        *verdict == Verdict::Approved && (said[0].0..resumes).contains(at)
    };
    assert_eq!(intents(&events).iter().find(approved), None, "the stop itself became the exit");
    let refused = |(at, _, verdict): &&(i64, OrderType, Verdict)| *verdict == Verdict::Locked && *at > said[1].0;
    assert!(intents(&events).iter().any(|one| refused(&one)), "the strategy asked, and was refused");
    assert!(fills.iter().any(|(at, position)| *at > resumes && *position != 0), "resumed, it enters again");
}

/// RL-33: a silence of less than two minutes changes nothing.
#[test]
fn a_short_silence_is_borne() {
    let dir = tempfile::tempdir().unwrap();
    let events = fly(&dir.path().join("short"), 4_000..4_110, i64::MAX);
    assert_eq!(commands(&events), []);
    assert!(filled(&events).len() > 4);
}

/// RL-29, RL-33: the books are asked for every five seconds of the session, and every second once something was sent.
#[test]
fn books_are_asked_for_every_five_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir.path().join("looks"));
    let mut session = PaperSession::open(&options, open()).unwrap().expect("a trading day");
    let names = Arc::new(session.names(&options).unwrap());
    let desk = Arc::new(Desk::default());
    desk.now.store(open().0, Ordering::SeqCst);
    let (out, _answers) = bounded(1_000);
    let wires = Wires::begin(desk.clone(), names, out, 5 * SECOND);
    let looks_after = |seconds: i64, least: u64| {
        desk.now.fetch_add(seconds * SECOND, Ordering::SeqCst);
        let mut waited = 0;
        while desk.looks.load(Ordering::SeqCst) < least && waited < 10_000 {
            std::thread::sleep(Duration::from_millis(1));
            waited += 1;
        }
        std::thread::sleep(Duration::from_millis(30));
        desk.looks.load(Ordering::SeqCst)
    };
    assert_eq!(looks_after(0, 1), 1);
    assert_eq!(looks_after(4, 0), 1, "four seconds are not five");
    assert_eq!(looks_after(1, 2), 2);
    assert_eq!(looks_after(5, 3), 3);
    let about = daybook_replay::live::About {
        order: OrderId(1),
        instrument: InstrumentId(0),
        request: daybook_vocabulary::BrokerRequest::Cancel,
    };
    let cancel =
        OrderCommand::Cancel { variety: daybook_adapters::kite::values::Variety::Regular, order_id: "N1".to_owned() };
    let durable = session.pilot.recorder().make_durable(vec![cancel]).unwrap().remove(0);
    wires.hand_on(about, durable);
    // The answer itself is a reason to look.
    assert_eq!(looks_after(0, 4), 4);
    assert_eq!(looks_after(1, 5), 5, "a second is enough now");
    assert_eq!(looks_after(1, 6), 6);
    assert_eq!(looks_after(95, 7), 7, "the hurry is over");
    assert_eq!(looks_after(2, 7), 7);
    drop(wires);
    session.leave().unwrap();
}

/// Has books, and money where it is told so.
struct Books {
    orders: Vec<OrderRow>,
    funds: Option<Money>,
    asked: AtomicU64,
}

impl OrderDesk for Books {
    fn send(&self, _: Durable<OrderCommand>) -> Outcome {
        Outcome::NotSent("nothing is sent here".to_owned())
    }
    fn orders(&self) -> Rows<OrderRow> {
        Ok((self.orders.clone(), Vec::new()))
    }
    fn trades(&self) -> Rows<TradeRow> {
        Ok((Vec::new(), Vec::new()))
    }
    fn positions(&self) -> Rows<PositionRow> {
        Ok((Vec::new(), Vec::new()))
    }
    fn funds(&self) -> Result<Money, KiteError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.funds.ok_or(KiteError::DayIsFull)
    }
    fn now(&self) -> Nanos {
        open()
    }
    fn outside(&self, nanos: i64) -> Duration {
        Duration::from_nanos(nanos.unsigned_abs()).min(Duration::from_millis(2))
    }
}

/// Books are books without money: where it cannot be asked for, and where others use the account, so that it says nothing.
#[test]
fn books_come_without_money_where_it_cannot_be_had_or_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir.path().join("money"));
    let mut session = PaperSession::open(&options, open()).unwrap().expect("a trading day");
    let row = |status: &str, filled: u32| -> OrderRow {
        let text = format!(
            r#"{{"order_id":"77","status":"{status}","exchange":"NSE","tradingsymbol":"OTHER","transaction_type":"BUY",
            "order_type":"LIMIT","product":"CNC","quantity":5,"filled_quantity":{filled}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    let money = Some(Money::from_units(500));
    for (orders, funds, told, asked) in [
        (vec![], money, money, 1),
        (vec![], None, None, 1),
        (vec![row("REJECTED", 0)], money, money, 1),
        (vec![row("OPEN", 0)], money, None, 0),
        (vec![row("CANCELLED", 2)], money, None, 0),
    ] {
        let names = Arc::new(session.names(&options).unwrap());
        let desk = Arc::new(Books { orders, funds, asked: AtomicU64::new(0) });
        let (out, words) = bounded(100);
        let wires = Wires::begin(desk.clone(), names, out, 5 * SECOND);
        let Word::Broker(heard) = words.recv_timeout(Duration::from_secs(20)).unwrap() else { panic!("a poll") };
        let Some(Heard::BrokerBook(book)) = heard.last() else { panic!("{heard:?}") };
        assert_eq!((book.funds, desk.asked.load(Ordering::SeqCst)), (told, asked), "{:?}", desk.orders);
        drop(wires);
    }
    session.leave().unwrap();
}
