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
        // Decided, and nobody was told. After a crash the broker may know of it all the same, so its word counts.
        (S::Intended, E::Refused) => To(S::Refused),
        (S::Intended, E::Sent) => To(S::Sent),
        (S::Intended, E::Accepted) => To(S::Open),
        (S::Intended, E::Rejected) => To(S::Rejected),
        (S::Intended, E::TimedOut) => To(S::Unknown),
        (S::Intended, E::PartiallyFilled) => To(S::PartiallyFilled),
        (S::Intended, E::Filled) => To(S::Filled),
        (S::Intended, E::CancelRequested | E::Cancelled) => To(S::Cancelled),
        (S::Intended, E::CancelRejected) => Alarm,
        (S::Intended, E::Expired) => To(S::Expired),

        // Refused by our own gate: the outside never heard of it, so whatever it says is about something else.
        (S::Refused, E::Refused) => Stay,
        (S::Refused, _) => Alarm,

        // Sent, perhaps without an answer. A second `Sent` for an unknown order would be sending it twice.
        (S::Sent | S::Unknown, E::Refused) => Alarm,
        (S::Sent, E::Sent) => Stay,
        (S::Unknown, E::Sent) => Alarm,
        (S::Sent | S::Unknown, E::Accepted) => To(S::Open),
        (S::Sent | S::Unknown, E::Rejected) => To(S::Rejected),
        (S::Sent | S::Unknown, E::TimedOut) => To(S::Unknown),
        (S::Sent | S::Unknown, E::PartiallyFilled) => To(S::PartiallyFilled),
        (S::Sent | S::Unknown, E::Filled) => To(S::Filled),
        (S::Sent | S::Unknown, E::CancelRequested) => To(S::PendingCancel),
        (S::Sent | S::Unknown, E::Cancelled) => To(S::Cancelled),
        (S::Sent | S::Unknown, E::CancelRejected) => Stay,
        (S::Sent | S::Unknown, E::Expired) => To(S::Expired),

        // Working. A broker that accepted may still pass on the exchange's refusal.
        (S::Open | S::PartiallyFilled | S::PendingCancel, E::Refused) => Alarm,
        (S::Open | S::PartiallyFilled | S::PendingCancel, E::Sent | E::Accepted | E::TimedOut) => Stay,
        (S::Open, E::Rejected) => To(S::Rejected),
        (S::PartiallyFilled, E::Rejected) => Surprise(S::Rejected),
        (S::PendingCancel, E::Rejected) => To(S::Rejected),
        (S::Open, E::PartiallyFilled) => To(S::PartiallyFilled),
        (S::PartiallyFilled | S::PendingCancel, E::PartiallyFilled) => Stay,
        (S::Open | S::PartiallyFilled | S::PendingCancel, E::Filled) => To(S::Filled),
        (S::Open | S::PartiallyFilled, E::CancelRequested) => To(S::PendingCancel),
        (S::PendingCancel, E::CancelRequested) => Stay,
        (S::Open | S::PartiallyFilled | S::PendingCancel, E::Cancelled) => To(S::Cancelled),
        (S::Open | S::PartiallyFilled, E::CancelRejected) => Stay,
        (S::PendingCancel, E::CancelRejected) => Resume,
        (S::Open | S::PartiallyFilled | S::PendingCancel, E::Expired) => To(S::Expired),

        // Filled whole: the last word. Old news is normal, an ending of another kind is a contradiction.
        (S::Filled, E::Sent | E::Accepted | E::TimedOut | E::PartiallyFilled | E::Filled) => Stay,
        (S::Filled, E::CancelRequested | E::CancelRejected) => Stay,
        (S::Filled, E::Refused | E::Rejected | E::Cancelled | E::Expired) => Alarm,

        // Ended with a remainder. A fill from before the end may still arrive; the quantity counts, the end stands,
        // unless it turns out that everything had filled.
        (S::Cancelled | S::Expired, E::Sent | E::Accepted | E::TimedOut | E::PartiallyFilled) => Stay,
        (S::Cancelled | S::Expired, E::CancelRequested | E::CancelRejected | E::Cancelled | E::Expired) => Stay,
        (S::Cancelled | S::Expired, E::Filled) => To(S::Filled),
        (S::Cancelled | S::Expired, E::Refused | E::Rejected) => Alarm,

        // Refused outside: nothing can have filled. If something did, believe the money.
        (S::Rejected, E::Sent | E::Accepted | E::TimedOut | E::Rejected) => Stay,
        (S::Rejected, E::CancelRequested | E::CancelRejected | E::Cancelled) => Stay,
        (S::Rejected, E::PartiallyFilled) => Surprise(S::PartiallyFilled),
        (S::Rejected, E::Filled) => Surprise(S::Filled),
        (S::Rejected, E::Refused | E::Expired) => Alarm,
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

    /// Facts that hold for every sequence of events, however mad the broker.
    #[test]
    fn every_sequence_of_five_events_keeps_the_promises() {
        let mut worlds = 0u32;
        let mut path = Vec::new();
        explore(S::Intended, &mut path, &mut worlds);
        assert_eq!(worlds, 11u32.pow(5), "every world was visited");
    }

    fn explore(state: S, path: &mut Vec<E>, worlds: &mut u32) {
        if path.len() == 5 {
            *worlds += 1;
            return;
        }
        for &event in E::ALL {
            let (next, alarm) = after(state, event, Quantity::ZERO);
            let context = || format!("{path:?} then {event} from {state}");
            if event == E::TimedOut && state != S::Rejected {
                assert_ne!(next, S::Rejected, "a timeout is not a rejection: {}", context());
            }
            if event == E::Filled && state != S::Refused {
                assert_eq!(next, S::Filled, "a fill counts whatever came before: {}", context());
            }
            if state == S::Filled {
                assert_eq!(next, S::Filled, "filled is final: {}", context());
            }
            if state == S::Refused {
                assert_eq!(next, S::Refused, "a refused order was never sent: {}", context());
            }
            if is_final(state) && !is_final(next) {
                assert!(alarm, "an ended order works again only with an alarm: {}", context());
            }
            assert_eq!(after(next, event, Quantity::ZERO).0, next, "saying it twice changes nothing: {}", context());
            path.push(event);
            explore(next, path, worlds);
            path.pop();
        }
    }

    #[test]
    fn a_refused_cancel_returns_to_what_the_order_was() {
        assert_eq!(after(S::PendingCancel, E::CancelRejected, Quantity::ZERO), (S::Open, false));
        assert_eq!(after(S::PendingCancel, E::CancelRejected, Quantity(1)), (S::PartiallyFilled, false));
    }
}
