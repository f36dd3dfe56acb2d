//! The core's thread: takes what the wires queued, tells the pilot the time, and keeps the journal's promises.
//!
//! ```text
//! wires (async) ── try_send ──► bounded queue ──► this loop ──► pilot ──► core, journal
//!        └─ full: dropped and counted ─────────► halt: no new risk on a market half heard
//! ```
//!
//! - One thread, one order. The wires never wait for the core: what does not fit is dropped, counted, noted in the
//!   journal, and entries are halted.
//! - Market data is committed in batches; a batch that holds a decision is synced before the next word is taken.
//! - A feed that is lost for two minutes suspends entries until it is back. Positions stay: an exit needs a market too.
//! - A clock that jumps, either way, suspends entries until a trade of the new time and the broker's books were heard.
//! - A stop (a signal, the kill-switch file) leaves every position, waits for that as long as it may, and leaves the
//!   session so that it can be taken up again.
//! - With a broker: what was decided is synced and handed to the order wires at once, each inside its `Durable`. Books
//!   that say nothing new are a sign of life and no frame. A broker that shows none for two minutes halts entries; once it
//!   is back every position is left before anything is entered (RL-33).
//! - A full disk suspends entries and goes on in the reserve (P6): an order that takes new risk is journaled there and not
//!   sent; exits, stops and cancels are. A start with room again takes that back.
//! - Time, waiting and the switch are handed in: a test flies a day in a moment.

use super::orders::answer_of;
use super::pilot::{Pilot, Stage};
use super::recorder::Heard;
use super::wires::{Wires, says_the_same};
use crate::error::ReplayError;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use daybook_adapters::kite::OrderCommand;
use daybook_adapters::kite::orders::Outcome;
use daybook_core::{Conclusion, Output};
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{
    BrokerBook, ClockJumped, Command, FeedChange, FeedState, InstrumentId, Label, LimitKind, Nanos, OperatorCommand,
    OrderEvent, Remedy, TradePrint, Verdict,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Words that wait for the core at most: seconds of the busiest feed there is.
pub const QUEUE_WORDS: usize = 1 << 17;
/// Words between two commits.
const BATCH_WORDS: usize = 4_096;
/// A feed may be lost so long before entries are halted.
const LOST_FOR: i64 = 2 * MINUTE;
/// The clock may move so far between two looks, in the world's time.
const FORWARD: Duration = Duration::from_secs(5);
/// A trade is as old as this at most when it is heard.
const FRESH: i64 = 5 * SECOND;
/// Why entries were halted by themselves.
const HEARTBEAT: &str = "heartbeat";
/// A stop waits so long for the positions to be left.
const STOP_WITHIN: i64 = 30 * SECOND;

/// What the wires say.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// A trade at the exchange.
    Print(InstrumentId, TradePrint),
    /// The feed moved.
    Feed(FeedState),
    /// What the broker said, in its order: an answer, a row, or all of a poll.
    Broker(Vec<Heard>),
    /// Stop, and who says so, such as `sigint`.
    Stop(&'static str),
}

/// What a flight needs of the world.
pub struct Flight<'a> {
    /// What the wires say.
    pub words: &'a Receiver<Word>,
    /// How much of it did not fit.
    pub dropped: &'a AtomicU64,
    /// The session's time.
    pub now: &'a dyn Fn() -> Nanos,
    /// The longest to wait for a word, in the world's time, when something is due in so many nanoseconds of the
    /// session's.
    pub wait: &'a dyn Fn(i64) -> Duration,
    /// How long so many nanoseconds of the session's time are in the world's.
    pub outside: &'a dyn Fn(i64) -> Duration,
    /// True once the kill switch is set.
    pub kill_switch: &'a dyn Fn() -> bool,
    /// What an operator said since it was asked last.
    pub said: &'a dyn Fn() -> Option<Command>,
    /// The wires of orders, where the session has a broker.
    pub wires: Option<&'a Wires>,
    /// Hears what the core concludes.
    pub ear: &'a mut dyn FnMut(Nanos, &Output),
}

/// How a flight ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flown {
    /// The session is over.
    Landed,
    /// It was stopped before.
    Stopped {
        /// True when every position was left.
        flat: bool,
    },
}

/// What the loop remembers.
#[derive(Default)]
struct Log {
    dropped: u64,
    lost_since: Option<Nanos>,
    stopping_since: Option<Nanos>,
    /// The last book that was journaled, and what our own books counted then.
    book: Option<(BrokerBook, [u64; 2])>,
    /// When the broker last showed its books.
    alive: Option<Nanos>,
    degraded: bool,
    /// True once the feed was heard of: until then nobody knows whether it is there.
    connected: bool,
    clock: Option<Nanos>,
    jump: Option<Jump>,
    /// Conclusions that are commands, and not on disk yet.
    commands: Vec<Output>,
}

/// The clock jumped: what has to be heard before anything is entered again.
#[derive(Debug, Clone, Copy)]
struct Jump {
    /// The later of the two times it showed.
    later: Nanos,
    /// A trade of that time or later was heard.
    is_fresh: bool,
    /// The broker has shown its books since.
    has_books: bool,
}

impl Flight<'_> {
    /// Flies until the session is over or someone stops it.
    pub fn fly(&mut self, pilot: &mut Pilot) -> Result<Flown, ReplayError> {
        // What the last process halted for and did not see the end of, this one does.
        let mut log = Log { degraded: pilot.take_halt().as_deref() == Some(HEARTBEAT), ..Log::default() };
        loop {
            let now = (self.now)();
            let mut decided = self.look_at_clock(pilot, &mut log, now)?;
            decided |= self.tell(pilot, &mut log, now, None)?;
            let mut taken = 0;
            // An order does not wait for the rest of the batch.
            while taken < BATCH_WORDS
                && log.commands.is_empty()
                && let Ok(word) = self.words.try_recv()
            {
                taken += 1;
                decided |= self.hear(pilot, &mut log, word)?;
            }
            decided |= self.watch(pilot, &mut log, now)?;
            if decided || !log.commands.is_empty() {
                // What was decided is on disk before anything else is heard.
                self.hand_on(pilot, &mut log)?;
            } else {
                pilot.recorder().commit()?;
            }
            if pilot.stage() == Stage::Over {
                return Ok(Flown::Landed);
            }
            let flat = is_flat(pilot);
            if log.stopping_since.is_some_and(|since| flat || now - since > STOP_WITHIN) {
                return Ok(Flown::Stopped { flat });
            }
            if taken == 0 {
                let due = pilot.due().map_or(SECOND, |due| (due - now).max(0));
                match self.words.recv_timeout((self.wait)(due)) {
                    Ok(word) => {
                        if self.hear(pilot, &mut log, word)? || !log.commands.is_empty() {
                            self.hand_on(pilot, &mut log)?;
                        }
                    }
                    // Without wires time goes on all the same: the day still ends.
                    Err(RecvTimeoutError::Disconnected) => std::thread::sleep((self.wait)(due)),
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        }
    }

    /// True when something was decided.
    fn hear(&mut self, pilot: &mut Pilot, log: &mut Log, word: Word) -> Result<bool, ReplayError> {
        let now = (self.now)();
        match word {
            // The exchange's clock may be ahead of ours by a moment: nothing is heard before it happened.
            Word::Print(id, print) => {
                if let Some(jump) = &mut log.jump {
                    jump.is_fresh |= print.exchange_time() + FRESH >= jump.later;
                }
                self.tell(pilot, log, now.max(print.exchange_time()), Some(&Heard::Print(id, print)))
            }
            Word::Broker(all) => self.broker(pilot, log, now, all),
            Word::Feed(state) => self.feed(pilot, log, now, &state),
            Word::Stop(source) => self.stop(pilot, log, now, source),
        }
    }

    fn feed(&mut self, pilot: &mut Pilot, log: &mut Log, now: Nanos, state: &FeedState) -> Result<bool, ReplayError> {
        pilot.recorder().note(now, state)?;
        match state.change {
            FeedChange::Connected => {
                log.lost_since = None;
                log.connected = true;
            }
            FeedChange::Lost | FeedChange::SessionOver => {
                log.lost_since.get_or_insert(now);
            }
            FeedChange::Overrun => {}
        }
        Ok(false)
    }

    /// Looks at what nobody says: drops, silence, the switch.
    fn watch(&mut self, pilot: &mut Pilot, log: &mut Log, now: Nanos) -> Result<bool, ReplayError> {
        let mut decided = false;
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > log.dropped {
            let first = log.dropped == 0;
            log.dropped = dropped;
            let reason = "the queue was full".to_owned();
            let state = FeedState { change: FeedChange::Overrun, gap_since: Some(now), dropped, reason };
            pilot.recorder().note(now, &state)?;
            if first {
                decided |= self.command(pilot, log, now, Command::Halt, "overrun")?;
            }
        }
        let silent = self.wires.is_some() && now - *log.alive.get_or_insert(now) >= LOST_FOR;
        if silent && !std::mem::replace(&mut log.degraded, true) {
            decided |= self.command(pilot, log, now, Command::Halt, HEARTBEAT)?;
        }
        decided |= self.suspend_or_restore(pilot, log, now)?;
        match (self.said)() {
            Some(Command::Kill) => decided |= self.stop(pilot, log, now, "operator")?,
            Some(command) => decided |= self.command(pilot, log, now, command, "operator")?,
            None => {}
        }
        if log.stopping_since.is_none() && (self.kill_switch)() {
            decided |= self.stop(pilot, log, now, "killswitch-file")?;
        }
        Ok(decided)
    }

    /// A clock that steps back, or forward by more than five seconds of the world between two looks (somebody set it, the
    /// machine slept, the process stood still): noted, and nothing is entered on what was known before. The session's time
    /// never steps back: it stands still until the clock is there again.
    fn look_at_clock(&mut self, pilot: &mut Pilot, log: &mut Log, now: Nanos) -> Result<bool, ReplayError> {
        let Some(before) = log.clock.replace(now) else { return Ok(false) };
        let forward = now > before && (self.outside)(now - before) > FORWARD;
        if !forward && now + SECOND >= before {
            return Ok(false);
        }
        tracing::warn!(from = %before, to = %now, "the clock jumped: no entry until something fresh is heard");
        pilot.recorder().note_jump(now, &ClockJumped { from: before, to: now })?;
        log.jump = Some(Jump { later: before.max(now), is_fresh: false, has_books: self.wires.is_none() });
        if pilot.recorder().core().risk().is_locked_by(LimitKind::Suspended) || pilot.stage() == Stage::Over {
            return Ok(false);
        }
        // At the time before: the slices that lie in between are taken under the lock.
        self.command(pilot, log, before, Command::Suspend, "clock-jump")
    }

    /// Keeps entries back while the disk is full, the feed is away or the clock has jumped, and no longer. Who halted entries for another
    /// reason goes on by his own word.
    fn suspend_or_restore(&mut self, pilot: &mut Pilot, log: &mut Log, now: Nanos) -> Result<bool, ReplayError> {
        let full = pilot.recorder().is_on_reserve();
        let lost = log.lost_since.is_some_and(|since| now - since >= LOST_FOR);
        let suspended = pilot.recorder().core().risk().is_locked_by(LimitKind::Suspended);
        let settled = |jump: Jump| jump.is_fresh && jump.has_books && now >= jump.later;
        log.jump = log.jump.filter(|jump| !settled(*jump));
        if (full || lost) && !suspended {
            let source = if full { "disk-full" } else { "feed-lost" };
            return self.command(pilot, log, now, Command::Suspend, source);
        }
        if suspended && !full && log.connected && log.lost_since.is_none() && log.jump.is_none() {
            return self.command(pilot, log, now, Command::Restore, "all-clear");
        }
        Ok(false)
    }

    fn stop(&mut self, pilot: &mut Pilot, log: &mut Log, now: Nanos, source: &str) -> Result<bool, ReplayError> {
        if log.stopping_since.replace(now).is_some() {
            // Asked twice: whoever asks will not wait.
            log.stopping_since = Some(Nanos::MIN);
            return Ok(false);
        }
        self.command(pilot, log, now, Command::Kill, source)
    }

    /// Tells the core what the broker said.
    fn broker(&mut self, pilot: &mut Pilot, log: &mut Log, now: Nanos, all: Vec<Heard>) -> Result<bool, ReplayError> {
        let mut decided = false;
        for heard in all {
            let Heard::BrokerBook(book) = &heard else {
                decided |= self.tell(pilot, log, now, Some(&heard))?;
                continue;
            };
            log.alive = Some(now);
            if let Some(jump) = &mut log.jump {
                jump.has_books = true;
            }
            let core = pilot.recorder().core();
            let ours = [core.counts().fills, core.counts().orders];
            let known = log.book.as_ref().filter(|(_, then)| *then == ours).map(|(book, _)| book);
            if core.awaits_broker() || !says_the_same(known, book) {
                log.book = Some((book.clone(), ours));
                decided |= self.tell(pilot, log, now, Some(&heard))?;
            }
            if std::mem::take(&mut log.degraded) {
                decided |= self.command(pilot, log, now, Command::Kill, HEARTBEAT)?;
            }
        }
        Ok(decided)
    }

    /// Makes everything so far durable, and hands the commands among it to the wires.
    fn hand_on(&mut self, pilot: &mut Pilot, log: &mut Log) -> Result<(), ReplayError> {
        let Some(wires) = self.wires else {
            log.commands.clear();
            pilot.recorder().make_durable(Vec::<()>::new())?;
            return Ok(());
        };
        let core = pilot.recorder().core();
        let commands = log.commands.drain(..);
        let (abouts, commands): (Vec<_>, Vec<_>) =
            commands.filter_map(|output| wires.names().command(core, &output)).unzip();
        let risks: Vec<bool> = commands.iter().map(takes_risk).collect();
        let durable = pilot.recorder().make_durable(commands)?;
        // Only now it is known whether the disk took it.
        let full = pilot.recorder().is_on_reserve();
        let mut kept = Vec::new();
        for ((about, risk), command) in abouts.into_iter().zip(risks).zip(durable) {
            if full && risk { kept.push(about) } else { wires.hand_on(about, command) }
        }
        let now = (self.now)();
        for about in kept {
            let why = Outcome::NotSent("the disk is full: no new risk is taken".to_owned());
            self.tell(pilot, log, now, Some(&Heard::Answer(about.instrument, answer_of(about, why))))?;
        }
        Ok(())
    }

    fn command(
        &mut self,
        pilot: &mut Pilot,
        log: &mut Log,
        now: Nanos,
        command: Command,
        source: &str,
    ) -> Result<bool, ReplayError> {
        let heard = Heard::Command(OperatorCommand { command, source: Label::new(source) });
        self.tell(pilot, log, now, Some(&heard))?;
        Ok(true)
    }

    /// Tells the pilot the time, and what was heard. True when something was decided.
    fn tell(
        &mut self,
        pilot: &mut Pilot,
        log: &mut Log,
        now: Nanos,
        heard: Option<&Heard>,
    ) -> Result<bool, ReplayError> {
        let (ear, mut decided) = (&mut *self.ear, false);
        let (sends, commands) = (self.wires.is_some(), &mut log.commands);
        let mut listen = |time: Nanos, outputs: &[Output]| {
            for output in outputs {
                decided |= matches!(output.body, Conclusion::Intent(_) | Conclusion::Fill(_));
                if sends && is_command(&output.body) {
                    commands.push(output.clone());
                }
                ear(time, output);
            }
        };
        match heard {
            Some(heard) => pilot.feed(now, heard, &mut listen)?,
            None => pilot.time(now, &mut listen)?,
        }
        Ok(decided)
    }
}

/// What the wires are to do.
fn is_command(body: &Conclusion) -> bool {
    match body {
        Conclusion::Intent(intent) => intent.verdict == Verdict::Approved,
        Conclusion::Modified(terms) => terms.event == OrderEvent::ModifyRequested,
        Conclusion::Update(update) => update.event == OrderEvent::CancelRequested,
        Conclusion::Difference(difference) => difference.remedy == Remedy::Cancel,
        _ => false,
    }
}

/// What the reserve of a full disk is not for.
const fn takes_risk(command: &OrderCommand) -> bool {
    match command {
        OrderCommand::Place(order) => !order.is_exit,
        OrderCommand::Modify(change) => !change.is_exit,
        OrderCommand::Cancel { .. } => false,
    }
}

/// Nothing is held, and at a broker nothing works that could change that.
fn is_flat(pilot: &mut Pilot) -> bool {
    let core = pilot.recorder().core();
    if core.is_brokered() && core.working_orders().next().is_some() {
        return false;
    }
    (0..core.instruments().len()).all(|id| core.book(InstrumentId(id as u32)).position.quantity.is_zero())
}
