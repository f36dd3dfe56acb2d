//! The wires of orders: commands out, one at a time for each instrument; the broker's word back into the core's queue.
//!
//! ```text
//! flight ── Durable<OrderCommand> ──► bounded queue per thread ──► broker ──► answer ──┐
//! order messages of the feed ─────────────────────────────────────► row ──────────────┼──► the core's queue
//! every loop, and when nudged: orders, then trades, then positions, then money ─► rows, fills, book ┘
//! ```
//!
//! - A loop is what the session says (5 s). For 90 s after a command it is a second, beside the messages of the feed
//!   (RL-29): no fill waits for the next loop to be heard of.
//!
//! - Commands of one instrument go one after another, in the order in which they were decided: a cancel never overtakes
//!   its order. A queue that is full answers "not sent" at once. Every command has an answer, whatever happens: the core
//!   concludes nothing from not seeing an order that may still be on its way out.
//! - An entry that has waited too long is not sent any more: the market it was decided on is gone.
//! - A poll is told whole, in one word, or not at all: a book with a row that nobody could read is no complete book.
//! - What was told before and is as it was is not told again; the book always is.
//! - A lost answer nudges the poll: the order is looked for by its tag in the broker's book.
//! - Must never: send anything twice, or anything that is not on disk.

use super::flight::Word;
use super::orders::{About, Names, answer_of};
use super::recorder::Heard;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use daybook_adapters::kite::orders::{OrderRow, Outcome, PositionRow, TradeRow};
use daybook_adapters::kite::values::BadRow;
use daybook_adapters::kite::{BlockingKite, KiteError, OrderCommand};
use daybook_journal::Durable;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{BrokerBook, BrokerOrder, Money, Nanos};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Threads that send commands: while one waits for an answer, other instruments go on.
const SENDERS: usize = 4;
/// An entry that waited so long in the world's time is not sent.
const TOO_LATE: Duration = Duration::from_secs(15);
/// Commands that wait for a sender at most.
const WAITING_MAX: usize = 1 << 10;
/// After a command the books are asked for so often,
const HURRY: i64 = SECOND;
/// for so long,
const HURRY_FOR: i64 = 90 * SECOND;
/// and in the world's time no more often than this, however fast a simulated broker's time runs.
const BREATH: Duration = Duration::from_millis(5);
/// The wires look at whether they are to end this often, in the world's time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Rows of an answer, and those that could not be read.
pub type Rows<T> = Result<(Vec<T>, Vec<BadRow>), KiteError>;

/// What the wires need of a broker: the real client, or a scripted one.
pub trait OrderDesk: Send + Sync + 'static {
    /// Does what is on disk, once.
    fn send(&self, command: Durable<OrderCommand>) -> Outcome;
    /// The day's orders.
    fn orders(&self) -> Rows<OrderRow>;
    /// The day's trades.
    fn trades(&self) -> Rows<TradeRow>;
    /// What is held.
    fn positions(&self) -> Rows<PositionRow>;
    /// Money free to trade.
    fn funds(&self) -> Result<Money, KiteError>;
    /// The time it lives in.
    fn now(&self) -> Nanos;
    /// How long `nanos` nanoseconds of that time are in the world's.
    fn outside(&self, nanos: i64) -> Duration;
}

impl OrderDesk for BlockingKite {
    fn send(&self, command: Durable<OrderCommand>) -> Outcome {
        Self::send(self, command)
    }
    fn orders(&self) -> Rows<OrderRow> {
        Self::orders(self)
    }
    fn trades(&self) -> Rows<TradeRow> {
        Self::trades(self)
    }
    fn positions(&self) -> Rows<PositionRow> {
        Self::positions(self)
    }
    fn funds(&self) -> Result<Money, KiteError> {
        Self::margins(self).map(|margins| Money(i128::from(margins.net)))
    }
    fn now(&self) -> Nanos {
        Self::now(self)
    }
    fn outside(&self, nanos: i64) -> Duration {
        self.kite().outside(nanos)
    }
}

/// A command, and when it was handed on.
type Command = (About, Durable<OrderCommand>, Nanos);

/// The wires, while they go; dropped, they end after what they are doing.
pub struct Wires {
    names: Arc<Names>,
    desk: Arc<dyn OrderDesk>,
    /// Until when the books are asked for in a hurry.
    hurry: Arc<AtomicI64>,
    senders: Vec<Sender<Command>>,
    /// Answers that found no room in the core's queue.
    late: Arc<Mutex<Vec<Heard>>>,
    words: Sender<Word>,
    nudge: Sender<()>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Wires {
    /// Begins: the first poll goes out at once.
    pub fn begin(desk: Arc<dyn OrderDesk>, names: Arc<Names>, words: Sender<Word>, every: i64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (nudge, nudged) = bounded(1);
        let mut threads = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..SENDERS {
            let (sender, commands) = bounded::<Command>(WAITING_MAX);
            let (desk, words, nudge) = (desk.clone(), words.clone(), nudge.clone());
            threads.push(std::thread::spawn(move || send_all(desk.as_ref(), &commands, &words, &nudge)));
            senders.push(sender);
        }
        let hurry = Arc::new(AtomicI64::new(i64::MIN));
        let (told, trades) = (BTreeMap::new(), BTreeSet::new());
        let late = Arc::new(Mutex::new(Vec::new()));
        let poll =
            Poll { names: names.clone(), told, trades, hurry: hurry.clone(), every, late: late.clone(), shared: false };
        let (out, ends, polled) = (words.clone(), over.clone(), desk.clone());
        threads.push(std::thread::spawn(move || poll.go(polled.as_ref(), &nudged, &out, &ends)));
        Self { names, desk, hurry, late, senders, words, nudge, over, threads }
    }

    /// Hands a command on. It never waits: what does not fit is answered "not sent".
    pub fn hand_on(&self, about: About, command: Durable<OrderCommand>) {
        let now = self.desk.now();
        self.hurry.store((now + HURRY_FOR).0, Ordering::Relaxed);
        let sender = &self.senders[about.instrument.index() % self.senders.len()];
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sender.try_send((about, command, now)) {
            let outcome = Outcome::NotSent("too many orders wait already".to_owned());
            let heard = Heard::Answer(about.instrument, answer_of(about, outcome));
            // The core's own thread must not wait for itself: where there is no room, the poll tells it.
            if let Err(error) = self.words.try_send(Word::Broker(vec![heard]))
                && let Word::Broker(heard) = error.into_inner()
            {
                self.late.lock().unwrap_or_else(PoisonError::into_inner).extend(heard);
            }
        }
    }

    /// Who is called what at the broker.
    pub const fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// An order message of the feed: a row of the book, and a reason to look at the trades.
    pub fn listener(&self) -> impl Fn(&OrderRow) -> Option<Word> + Send + 'static {
        let (names, nudge) = (self.names.clone(), self.nudge.clone());
        move |row| {
            let _ = nudge.try_send(());
            let (instrument, told) = names.row(row)?;
            Some(Word::Broker(vec![Heard::BrokerOrder(instrument, told)]))
        }
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.senders.clear();
        let _ = self.nudge.try_send(());
        // Words that nobody takes any more would hold a thread: it is not waited for then.
        self.threads.retain(|thread| !thread.is_finished());
    }
}

/// Sends commands in their order until nobody hands on any more.
fn send_all(desk: &dyn OrderDesk, commands: &Receiver<Command>, words: &Sender<Word>, nudge: &Sender<()>) {
    while let Ok((about, command, handed)) = commands.recv() {
        let waited = desk.outside(desk.now() - handed);
        let enters = matches!(&*command, OrderCommand::Place(order) if !order.is_exit);
        let outcome = match enters && waited > TOO_LATE {
            true => Outcome::NotSent(format!("it waited {} s to be sent", waited.as_secs())),
            false => desk.send(command),
        };
        if !matches!(outcome, Outcome::Registered(_)) {
            tracing::warn!(order = %about.order, request = %about.request, ?outcome, "the broker did not take it");
        }
        let heard = Heard::Answer(about.instrument, answer_of(about, outcome));
        if words.send(Word::Broker(vec![heard])).is_err() {
            return;
        }
        // Whatever came of it, the book shows it.
        let _ = nudge.try_send(());
    }
}

/// Asks for the broker's books, again and again.
struct Poll {
    names: Arc<Names>,
    /// Rows as they were told last, by the broker's number.
    told: BTreeMap<String, BrokerOrder>,
    trades: BTreeSet<String>,
    hurry: Arc<AtomicI64>,
    every: i64,
    late: Arc<Mutex<Vec<Heard>>>,
    /// Others use the account.
    shared: bool,
}

impl Poll {
    fn go(mut self, desk: &dyn OrderDesk, nudged: &Receiver<()>, words: &Sender<Word>, over: &AtomicBool) {
        let mut looked: Option<Nanos> = None;
        while !over.load(Ordering::Relaxed) {
            let now = desk.now();
            let every = if now.0 < self.hurry.load(Ordering::Relaxed) { HURRY } else { self.every };
            let due = looked.map_or(now, |looked| looked + every);
            if now < due {
                let wait = desk.outside(due - now).min(LOOK_EVERY);
                let wait = if every == HURRY { wait.max(BREATH) } else { wait };
                match nudged.recv_timeout(wait) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            if over.load(Ordering::Relaxed) {
                return;
            }
            let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
            if !late.is_empty() && words.send(Word::Broker(late)).is_err() {
                return;
            }
            match self.look(desk) {
                Ok(heard) if heard.is_empty() => {}
                Ok(heard) => {
                    if words.send(Word::Broker(heard)).is_err() {
                        return;
                    }
                }
                Err(error) => tracing::warn!(%error, "the broker's books could not be had"),
            }
            looked = Some(desk.now());
        }
    }

    /// Money free to trade, where it can be had and says something: not on an account that anybody else uses today, whose
    /// other orders and positions move it as they please.
    fn funds(&mut self, desk: &dyn OrderDesk, orders: &[OrderRow], positions: &[PositionRow]) -> Option<Money> {
        if !self.names.is_alone(orders, positions) {
            if !std::mem::replace(&mut self.shared, true) {
                tracing::info!("others use the account today: its money is not compared");
            }
            return None;
        }
        desk.funds().inspect_err(|error| tracing::warn!(%error, "the account's money could not be asked for")).ok()
    }

    /// One look: what changed, then the book, where all of it could be read.
    fn look(&mut self, desk: &dyn OrderDesk) -> Result<Vec<Heard>, KiteError> {
        let asked = desk.now();
        let (orders, bad_orders) = desk.orders()?;
        let (trades, bad_trades) = desk.trades()?;
        let (positions, bad_positions) = desk.positions()?;
        let funds = self.funds(desk, &orders, &positions);
        let mut heard = Vec::new();
        for row in &orders {
            let Some((instrument, told)) = self.names.row(row) else { continue };
            if self.told.get(&told.broker_order) != Some(&told) {
                self.told.insert(told.broker_order.clone(), told.clone());
                heard.push(Heard::BrokerOrder(instrument, told));
            }
        }
        for row in &trades {
            let Some((instrument, fill)) = self.names.trade(row, asked) else { continue };
            if self.trades.insert(fill.trade.clone()) {
                heard.push(Heard::BrokerFill(instrument, fill));
            }
        }
        let bad = bad_orders.iter().chain(&bad_trades).chain(&bad_positions);
        let mut whole = true;
        for row in bad {
            whole = false;
            tracing::warn!(row = row.row, reason = %row.reason, "a row of the broker's books cannot be read");
        }
        if whole {
            let open = orders.iter().filter_map(|row| self.names.open(row)).collect();
            let mut held: Vec<_> = positions.iter().filter_map(|row| self.names.position(row)).collect();
            held.sort_by_key(|position| position.instrument);
            heard.push(Heard::BrokerBook(BrokerBook { asked, positions: held, open, funds }));
        }
        Ok(heard)
    }
}

/// Books that say what the last one said are not kept, while nothing waits for them. Money that is free to trade moves
/// with every price while something is held; it is compared where nothing is.
pub(super) fn says_the_same(before: Option<&BrokerBook>, now: &BrokerBook) -> bool {
    let is_flat = now.positions.is_empty() && now.open.is_empty();
    before.is_some_and(|before| {
        (&before.positions, &before.open) == (&now.positions, &now.open) && (!is_flat || before.funds == now.funds)
    })
}
