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
//! - A feed that is lost for two minutes halts entries until it is back. Positions stay: an exit needs a market too.
//! - A stop (a signal, the kill-switch file) leaves every position, waits for that as long as it may, and leaves the
//!   session so that it can be taken up again.
//! - Time, waiting and the switch are handed in: a test flies a day in a moment.

use super::pilot::{Pilot, Stage};
use super::recorder::Heard;
use crate::error::ReplayError;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use daybook_core::{Conclusion, Output};
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{Command, FeedChange, FeedState, InstrumentId, Label, Nanos, OperatorCommand, TradePrint};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Words that wait for the core at most: seconds of the busiest feed there is.
pub const QUEUE_WORDS: usize = 1 << 17;
/// Words between two commits.
const BATCH_WORDS: usize = 4_096;
/// A feed may be lost so long before entries are halted.
const LOST_FOR: i64 = 2 * MINUTE;
/// A stop waits so long for the positions to be left.
const STOP_WITHIN: i64 = 30 * SECOND;

/// What the wires say.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// A trade at the exchange.
    Print(InstrumentId, TradePrint),
    /// The feed moved.
    Feed(FeedState),
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
    /// True once the kill switch is set.
    pub kill_switch: &'a dyn Fn() -> bool,
    /// What an operator said since it was asked last.
    pub said: &'a dyn Fn() -> Option<Command>,
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
    halted_by_loss: bool,
    stopping_since: Option<Nanos>,
}

impl Flight<'_> {
    /// Flies until the session is over or someone stops it.
    pub fn fly(&mut self, pilot: &mut Pilot) -> Result<Flown, ReplayError> {
        let mut log = Log::default();
        loop {
            let now = (self.now)();
            let mut decided = self.tell(pilot, now, None)?;
            let mut taken = 0;
            while taken < BATCH_WORDS
                && let Ok(word) = self.words.try_recv()
            {
                taken += 1;
                decided |= self.hear(pilot, &mut log, word)?;
            }
            decided |= self.watch(pilot, &mut log, now)?;
            if decided {
                // What was decided is on disk before anything else is heard.
                pilot.recorder().make_durable(Vec::<()>::new())?;
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
                        if self.hear(pilot, &mut log, word)? {
                            pilot.recorder().make_durable(Vec::<()>::new())?;
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
            Word::Print(id, print) => self.tell(pilot, now.max(print.exchange_time()), Some(&Heard::Print(id, print))),
            Word::Feed(state) => self.feed(pilot, log, now, &state),
            Word::Stop(source) => self.stop(pilot, log, now, source),
        }
    }

    fn feed(&mut self, pilot: &mut Pilot, log: &mut Log, now: Nanos, state: &FeedState) -> Result<bool, ReplayError> {
        pilot.recorder().note(now, state)?;
        match state.change {
            FeedChange::Connected => {
                log.lost_since = None;
                if std::mem::take(&mut log.halted_by_loss) {
                    return self.command(pilot, now, Command::Resume, "feed-back");
                }
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
                decided |= self.command(pilot, now, Command::Halt, "overrun")?;
            }
        }
        if !log.halted_by_loss && log.lost_since.is_some_and(|since| now - since >= LOST_FOR) {
            log.halted_by_loss = true;
            decided |= self.command(pilot, now, Command::Halt, "feed-lost")?;
        }
        match (self.said)() {
            Some(Command::Kill) => decided |= self.stop(pilot, log, now, "operator")?,
            Some(command) => decided |= self.command(pilot, now, command, "operator")?,
            None => {}
        }
        if log.stopping_since.is_none() && (self.kill_switch)() {
            decided |= self.stop(pilot, log, now, "killswitch-file")?;
        }
        Ok(decided)
    }

    fn stop(&mut self, pilot: &mut Pilot, log: &mut Log, now: Nanos, source: &str) -> Result<bool, ReplayError> {
        if log.stopping_since.replace(now).is_some() {
            // Asked twice: whoever asks will not wait.
            log.stopping_since = Some(Nanos::MIN);
            return Ok(false);
        }
        self.command(pilot, now, Command::Kill, source)
    }

    fn command(&mut self, pilot: &mut Pilot, now: Nanos, command: Command, source: &str) -> Result<bool, ReplayError> {
        let heard = Heard::Command(OperatorCommand { command, source: Label::new(source) });
        self.tell(pilot, now, Some(&heard))?;
        Ok(true)
    }

    /// Tells the pilot the time, and what was heard. True when something was decided.
    fn tell(&mut self, pilot: &mut Pilot, now: Nanos, heard: Option<&Heard>) -> Result<bool, ReplayError> {
        let (ear, mut decided) = (&mut *self.ear, false);
        let mut listen = |time: Nanos, outputs: &[Output]| {
            for output in outputs {
                decided |= matches!(output.body, Conclusion::Intent(_) | Conclusion::Fill(_));
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

fn is_flat(pilot: &mut Pilot) -> bool {
    let core = pilot.recorder().core();
    (0..core.instruments().len()).all(|id| core.book(InstrumentId(id as u32)).position.quantity.is_zero())
}
