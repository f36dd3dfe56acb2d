//! What follows a refusal of something that lowers risk: it is tried again, later and later, and a person is told.
//!
//! | refused in a row | tried again |
//! |---|---|
//! | a stop, the first time | at once, the other way: the position is left |
//! | 1, 2, 3, 4, 5 | with the first books after 5, 10, 20, 40, 80 s |
//! | 6 to 15 | with the first books after 60 s; entries are locked, and the alarm `exits-refused` says so each time |
//! | more | with the first books after 300 s, the same |
//!
//! - A fill ends the row; so does ten minutes' peace, and an operator who resumes.
//! - An order budget is not spent on what is refused: at most 15 requests in the first quarter of an hour and one in five
//!   minutes after that, for each instrument. What is left of the day's orders is there for the exit that is taken.
//! - Must never: give a position up.

use super::Core;
use crate::outbox::Outbox;
use crate::risk::Lock;
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{InstrumentId, LimitKind, Measure, Nanos, OrderId};
use serde::{Deserialize, Serialize};

/// The first wait.
const FIRST: i64 = 5 * SECOND;
/// Refusals in a row after which a person is called.
const MANY: u32 = 6;
/// From then on it is tried so often,
const SELDOM: i64 = MINUTE;
/// and after so many,
const TOO_MANY: u32 = 15;
/// so often.
const RARELY: i64 = 5 * MINUTE;
/// Peace that ends a row of refusals.
const PEACE: i64 = 10 * MINUTE;

/// Refusals in a row, and until when nothing is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Refusals {
    count: u32,
    until: Nanos,
}

impl Core {
    /// The broker or the exchange refused a protective stop: the position is left.
    pub(super) fn stop_refused(&mut self, id: InstrumentId, stop: OrderId, message: &str, out: &mut Outbox) {
        let text = format!("the stop {stop} was refused ({message}): the position is left");
        self.alarm(id, "stop-refused", text, out);
        self.leave_all(id, "stop-refused");
        self.wait_after_refusal(id, true, out);
    }

    /// Something that lowers risk was refused: nothing is asked about the instrument for a while. With `other_way` there
    /// is another thing to try, which the first refusal does not hold up.
    pub(super) fn wait_after_refusal(&mut self, id: InstrumentId, other_way: bool, out: &mut Outbox) {
        let now = self.state.now;
        let Some(broker) = &mut self.state.broker else { return };
        let refusals = broker.refusals.entry(id).or_default();
        let count = if now - refusals.until > PEACE && refusals.count > 0 { 1 } else { refusals.count + 1 };
        let wait = match count {
            ..MANY => FIRST << (count - 1),
            MANY..=TOO_MANY => SELDOM,
            _ => RARELY,
        };
        *refusals = Refusals { count, until: now + wait };
        if other_way && count == 1 {
            return;
        }
        self.state.seats[id.index()].holds = true;
        if count < MANY {
            return;
        }
        let text = format!(
            "{count} requests in a row that lower risk were refused: tried again in {} s; look at the broker's page",
            wait / SECOND
        );
        self.alarm(id, "exits-refused", text, out);
        if !self.state.risk.is_locked_by(LimitKind::Reconciliation) {
            let (allowed, observed) = (Measure::count(MANY.into()), Measure::count(count.into()));
            self.trip(Lock { limit: LimitKind::Reconciliation, session: None, allowed, observed }, false, out);
        }
    }

    /// A fill: the broker takes what it is sent.
    pub(super) fn forget_refusals(&mut self, id: InstrumentId) {
        if let Some(broker) = &mut self.state.broker {
            broker.refusals.remove(&id);
        }
    }

    /// The broker has shown its books: what waited for them goes on, and what was refused when its time has come.
    pub(super) fn go_on_with_books(&mut self) {
        let now = self.state.now;
        let Some(broker) = &self.state.broker else { return };
        for (index, seat) in self.state.seats.iter_mut().enumerate() {
            let refusals = broker.refusals.get(&InstrumentId(index as u32));
            seat.holds = refusals.is_some_and(|refusals| refusals.until > now) && seat.holds;
        }
    }
}
