//! The life of an order: one total table, state × event.
//!
//! - Every cell is decided here; nothing else in the engine moves an order.
//! - A broker may be late, repeat itself or speak out of order: duplicates stay, a fill may overtake any answer, and
//!   a timeout never means "rejected".
//! - Money that moved is never ignored: a fill that contradicts what we knew moves the state *and* raises an alarm.

use daybook_vocabulary::{OrderEvent as E, OrderState as S, Quantity};

/// What an event does to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Go there.
    To(S),
    /// Back to working: open, or partially filled when something has filled.
    Resume,
    /// A duplicate, or news that changes nothing.
    Stay,
    /// Go there, and tell a human: the broker contradicted itself.
    Surprise(S),
    /// Impossible: stay, and tell a human.
    Alarm,
}

/// The table.
pub const fn transition(state: S, event: E) -> Move {
    use Move::{Alarm, Resume, Stay, Surprise, To};
    match (state, event) {
        // Not yet known to work. Even of an order that nobody was told of the broker's word counts: after a crash it may
        // know of it all the same.
        (S::Intended | S::Sent | S::Unknown, E::Accepted | E::Modified) => To(S::Open),
        (S::Intended | S::Sent | S::Unknown, E::Rejected) => To(S::Rejected),
        (S::Intended | S::Sent | S::Unknown, E::TimedOut) => To(S::Unknown),
        (S::Intended | S::Sent | S::Unknown, E::PartiallyFilled) => To(S::PartiallyFilled),
        (S::Intended | S::Sent | S::Unknown, E::Filled) => To(S::Filled),
        (S::Intended | S::Sent | S::Unknown, E::Cancelled) => To(S::Cancelled),
        (S::Intended | S::Sent | S::Unknown, E::Expired) => To(S::Expired),

        // Decided, and nobody was told: so nobody can have refused a change of it, and a change of it is no request.
        (S::Intended, E::Refused) => To(S::Refused),
        (S::Intended, E::Sent) => To(S::Sent),
        (S::Intended, E::CancelRequested) => To(S::Cancelled),
        (S::Intended, E::CancelRejected | E::ModifyRejected) => Alarm,
        (S::Intended, E::ModifyRequested) => Stay,

        // Refused by our own gate: the outside never heard of it, so whatever it says is about something else.
        (S::Refused, E::Refused) => Stay,
        (S::Refused, _) => Alarm,

        // Sent, perhaps without an answer. A second `Sent` for an unknown order would be sending it twice; an order
        // without an answer may be cancelled, which does no harm, but not changed: the broker might hear of no more.
        (S::Sent, E::Sent) => Stay,
        (S::Unknown, E::Sent) => Alarm,
        (S::Sent | S::Unknown, E::Refused | E::ModifyRequested) => Alarm,
        (S::Sent | S::Unknown, E::CancelRequested) => To(S::PendingCancel),
        (S::Sent | S::Unknown, E::CancelRejected | E::ModifyRejected) => Stay,

        // Working. A broker that accepted may still pass on the exchange's refusal.
        (S::Open | S::PartiallyFilled | S::PendingCancel | S::PendingModify, E::Refused) => Alarm,
        (S::Open | S::PartiallyFilled, E::Sent | E::Accepted | E::TimedOut) => Stay,
        (S::PendingCancel | S::PendingModify, E::Sent | E::Accepted | E::TimedOut) => Stay,
        (S::Open | S::PendingCancel | S::PendingModify, E::Rejected) => To(S::Rejected),
        (S::PartiallyFilled, E::Rejected) => Surprise(S::Rejected),
        (S::Open, E::PartiallyFilled) => To(S::PartiallyFilled),
        (S::PartiallyFilled | S::PendingCancel | S::PendingModify, E::PartiallyFilled) => Stay,
        (S::Open | S::PartiallyFilled | S::PendingCancel | S::PendingModify, E::Filled) => To(S::Filled),
        (S::Open | S::PartiallyFilled | S::PendingModify, E::CancelRequested) => To(S::PendingCancel),
        (S::PendingCancel, E::CancelRequested) => Stay,
        (S::Open | S::PartiallyFilled | S::PendingCancel | S::PendingModify, E::Cancelled) => To(S::Cancelled),
        (S::Open | S::PartiallyFilled | S::PendingModify, E::CancelRejected) => Stay,
        (S::PendingCancel, E::CancelRejected) => Resume,
        (S::Open | S::PartiallyFilled | S::PendingCancel | S::PendingModify, E::Expired) => To(S::Expired),
        // A change that nobody here asked for is news of its terms, not of its state; a cancel goes before a change.
        (S::Open | S::PartiallyFilled, E::ModifyRequested) => To(S::PendingModify),
        (S::Open | S::PartiallyFilled, E::Modified | E::ModifyRejected) => Stay,
        (S::PendingModify, E::ModifyRequested) => Stay,
        (S::PendingModify, E::Modified | E::ModifyRejected) => Resume,
        (S::PendingCancel, E::ModifyRequested | E::Modified | E::ModifyRejected) => Stay,

        (S::Filled | S::Cancelled | S::Expired | S::Rejected, _) => once_ended(state, event),
    }
}

/// The table's rows for orders that were sent and have ended.
const fn once_ended(state: S, event: E) -> Move {
    use Move::{Alarm, Stay, Surprise, To};
    match (state, event) {
        // Filled whole: the last word. Old news is normal, an ending of another kind is a contradiction.
        (S::Filled, E::Sent | E::Accepted | E::TimedOut | E::PartiallyFilled | E::Filled) => Stay,
        (S::Filled, E::CancelRequested | E::CancelRejected | E::ModifyRequested | E::Modified | E::ModifyRejected) => {
            Stay
        }
        (S::Filled, E::Refused | E::Rejected | E::Cancelled | E::Expired) => Alarm,

        // Ended with a remainder. A fill from before the end may still arrive; the quantity counts, the end stands,
        // unless it turns out that everything had filled.
        (S::Cancelled | S::Expired, E::Sent | E::Accepted | E::TimedOut | E::PartiallyFilled) => Stay,
        (S::Cancelled | S::Expired, E::CancelRequested | E::CancelRejected | E::Cancelled | E::Expired) => Stay,
        (S::Cancelled | S::Expired, E::ModifyRequested | E::Modified | E::ModifyRejected) => Stay,
        (S::Cancelled | S::Expired, E::Filled) => To(S::Filled),
        (S::Cancelled | S::Expired, E::Refused | E::Rejected) => Alarm,

        // Refused outside: nothing can have filled. If something did, believe the money.
        (S::Rejected, E::Sent | E::Accepted | E::TimedOut | E::Rejected) => Stay,
        (S::Rejected, E::CancelRequested | E::CancelRejected | E::Cancelled) => Stay,
        (S::Rejected, E::ModifyRequested | E::Modified | E::ModifyRejected) => Stay,
        (S::Rejected, E::PartiallyFilled) => Surprise(S::PartiallyFilled),
        (S::Rejected, E::Filled) => Surprise(S::Filled),
        (S::Rejected, E::Refused | E::Expired) => Alarm,

        // No other state is an end.
        (_, _) => Alarm,
    }
}

/// The state after an event, and whether a human must hear of it.
pub const fn after(state: S, event: E, filled: Quantity) -> (S, bool) {
    match transition(state, event) {
        Move::To(next) => (next, false),
        Move::Resume => (if filled.is_zero() { S::Open } else { S::PartiallyFilled }, false),
        Move::Stay => (state, false),
        Move::Surprise(next) => (next, true),
        Move::Alarm => (state, true),
    }
}

/// True when nothing more is expected of an order in this state.
pub const fn is_final(state: S) -> bool {
    matches!(state, S::Refused | S::Filled | S::Cancelled | S::Rejected | S::Expired)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Events in a sequence.
    const LENGTH: usize = 6;

    /// The twin: it knows no states and no moves. It notes what was heard, and reads a state off the notes.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
    struct History {
        /// Our own gate said no: nothing that is heard later is about this order.
        stopped_here: bool,
        sent: bool,
        /// An answer was due and did not come.
        in_doubt: bool,
        /// Somebody outside spoke of it as of an order that works.
        known_outside: bool,
        part_filled: bool,
        all_filled: bool,
        cancel_under_way: bool,
        change_under_way: bool,
        ended: Option<S>,
    }

    impl History {
        fn state(self) -> S {
            let by_rank = [
                (self.stopped_here, S::Refused),
                (self.all_filled, S::Filled),
                (self.ended.is_some(), self.ended.unwrap_or(S::Open)),
                (self.cancel_under_way, S::PendingCancel),
                (self.change_under_way, S::PendingModify),
                (self.part_filled, S::PartiallyFilled),
                (self.known_outside, S::Open),
                (self.in_doubt, S::Unknown),
                (self.sent, S::Sent),
            ];
            by_rank.into_iter().find_map(|(holds, state)| holds.then_some(state)).unwrap_or(S::Intended)
        }

        /// Notes an event; says whether it contradicts the notes.
        fn hear(&mut self, event: E) -> bool {
            let over = self.all_filled || self.ended.is_some();
            let told = self.sent || self.in_doubt || self.known_outside || self.part_filled || self.cancel_under_way;
            if self.stopped_here {
                return event != E::Refused;
            }
            match event {
                E::Refused if told || over => return true,
                E::Refused => self.stopped_here = true,
                E::Sent => {
                    // Sending twice is the one thing that must never happen while nobody answered.
                    let again = self.in_doubt && !self.known_outside && !self.part_filled && !self.cancel_under_way;
                    self.sent = true;
                    return again && !over;
                }
                E::TimedOut => self.in_doubt |= !over,
                E::Accepted | E::Modified => {
                    self.known_outside |= !over;
                    self.change_under_way &= event != E::Modified || self.cancel_under_way;
                }
                E::PartiallyFilled if self.ended == Some(S::Rejected) && !self.all_filled => {
                    *self = Self { part_filled: true, sent: true, known_outside: true, ..Self::default() };
                    return true;
                }
                E::PartiallyFilled => self.part_filled |= !over,
                E::Filled => {
                    let rejected = self.ended == Some(S::Rejected) && !self.all_filled;
                    self.all_filled = true;
                    return rejected;
                }
                E::CancelRequested if over => {}
                E::CancelRequested if told => (self.cancel_under_way, self.change_under_way) = (true, false),
                E::CancelRequested => self.ended = Some(S::Cancelled),
                E::CancelRejected | E::ModifyRejected if !told && !over => return true,
                E::CancelRejected => {
                    self.known_outside |= self.cancel_under_way && !over;
                    self.cancel_under_way = false;
                }
                E::ModifyRequested if over || self.cancel_under_way || !told => {}
                E::ModifyRequested if !self.known_outside && !self.part_filled => return true,
                E::ModifyRequested => self.change_under_way = true,
                E::ModifyRejected => self.change_under_way = false,
                E::Rejected if self.all_filled => return true,
                E::Rejected if self.ended.is_some() => return self.ended != Some(S::Rejected),
                E::Rejected => {
                    self.ended = Some(S::Rejected);
                    return self.part_filled && !self.cancel_under_way && !self.change_under_way;
                }
                E::Cancelled | E::Expired if self.all_filled => return true,
                E::Cancelled | E::Expired if self.ended.is_some() => {
                    return self.ended == Some(S::Rejected) && event == E::Expired;
                }
                E::Cancelled => self.ended = Some(S::Cancelled),
                E::Expired => self.ended = Some(S::Expired),
            }
            false
        }

        fn filled(self) -> Quantity {
            Quantity(self.part_filled.into())
        }
    }

    /// Every sequence of up to six events, table against twin. Sequences that lead to the same state and the same notes
    /// go on alike, so they are walked once and counted all.
    #[test]
    fn every_sequence_of_six_events_equals_the_twin() {
        let mut reached = BTreeMap::from([((S::Intended, History::default()), 1u64)]);
        for length in 1..=LENGTH {
            let mut next = BTreeMap::new();
            for (&(state, history), &sequences) in &reached {
                for &event in E::ALL {
                    let mut heard = history;
                    let contradiction = heard.hear(event);
                    let (moved, alarm) = after(state, event, heard.filled());
                    let context = format!("{event} as number {length} from {state}, {history:?}");
                    assert_eq!((moved, alarm), (heard.state(), contradiction), "{context}");
                    keeps_the_promises(state, event, moved, alarm, heard.filled(), &context);
                    *next.entry((moved, heard)).or_insert(0) += sequences;
                }
            }
            let worlds: u64 = next.values().sum();
            assert_eq!(worlds, (E::ALL.len() as u64).pow(length as u32), "every sequence of {length} was visited");
            reached = next;
        }
        let states: BTreeSet<_> = reached.keys().map(|(state, _)| *state).collect();
        assert_eq!(states.len(), S::ALL.len(), "every state is reached: {states:?}");
    }

    /// Facts that hold for every sequence of events, however mad the broker.
    fn keeps_the_promises(state: S, event: E, next: S, alarm: bool, filled: Quantity, context: &str) {
        if event == E::TimedOut && state != S::Rejected {
            assert_ne!(next, S::Rejected, "a timeout is not a rejection: {context}");
        }
        if event == E::Filled && state != S::Refused {
            assert_eq!(next, S::Filled, "a fill counts whatever came before: {context}");
        }
        if state == S::Filled {
            assert_eq!(next, S::Filled, "filled is final: {context}");
        }
        if state == S::Refused {
            assert_eq!(next, S::Refused, "a refused order was never sent: {context}");
        }
        if is_final(state) && !is_final(next) {
            assert!(alarm, "an ended order works again only with an alarm: {context}");
        }
        assert_eq!(after(next, event, filled).0, next, "saying it twice changes nothing: {context}");
    }

    #[test]
    fn a_refused_change_returns_to_what_the_order_was() {
        for event in [E::Modified, E::ModifyRejected] {
            assert_eq!(after(S::PendingModify, event, Quantity::ZERO), (S::Open, false));
            assert_eq!(after(S::PendingModify, event, Quantity(1)), (S::PartiallyFilled, false));
        }
    }

    #[test]
    fn a_refused_cancel_returns_to_what_the_order_was() {
        assert_eq!(after(S::PendingCancel, E::CancelRejected, Quantity::ZERO), (S::Open, false));
        assert_eq!(after(S::PendingCancel, E::CancelRejected, Quantity(1)), (S::PartiallyFilled, false));
    }
}
