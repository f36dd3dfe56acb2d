//! What nobody knows yet about orders at a broker, and how long it is borne.
//!
//! | in doubt | how long | then |
//! |---|---|---|
//! | a process began again: whatever has no answer | until the books are seen | looked for by its tag, never sent again |
//! | a request that the wires have not answered | until they do, and they always do | whatever they say |
//! | an order of which nobody can say whether it arrived, in no book | 3 books over 30 s | it never arrived: an alarm |
//! | a change or a cancel that was registered and shows in no row | 30 s; 10 s where the request was lost | it did not happen, and is asked anew |
//! | a market order that fills nothing (protection makes a limit of it) | 15 s | cancelled; an exit goes out again |
//! | a stop that the market is beyond and that fills nothing, for the same reason | 15 s | cancelled; the position is left |
//! | a row that tells of fills, and no trade of them | 30 s | booked at the row's average price, with an alarm |
//! | anything that works or is held when the session closes | | an alarm: a person has to look |
//!
//! - A doubt ends by the broker's word alone, or by its silence for so long.
//! - Must never: send anything a second time.

use super::Core;
use super::keeper::{Seat, may_be_asked};
use crate::orders::Order;
use crate::outbox::Outbox;
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    BrokerFill, Cause, InstrumentId, Label, Nanos, OrderEvent, OrderId, OrderState, OrderType, Price, Side,
};
use std::collections::BTreeSet;

/// What is meant to fill at once and fills nothing for so long is cancelled.
const RESTS_FOR: i64 = 15 * SECOND;
/// A request that was lost may still arrive for so long.
const SETTLED: i64 = 10 * SECOND;

impl Core {
    /// The process began again: what has no answer may have been sent or not.
    #[inline(never)]
    pub(super) fn on_taken_up(&mut self, cause: Cause, out: &mut Outbox) {
        let now = self.state.now;
        self.state.cause = cause;
        let Some(broker) = &mut self.state.broker else { return };
        broker.agrees = false;
        broker.suspects = super::books::Suspects::default();
        for known in broker.orders.values_mut() {
            (known.since, known.lost, known.answered, known.absences) = (now, true, true, 0);
        }
        let sent: Vec<OrderId> = self
            .working_orders()
            .filter(|(_, order)| order.state == OrderState::Sent)
            .map(|(_, order)| order.id)
            .collect();
        for which in sent {
            let Some((id, mut order)) = self.lift(which) else { continue };
            self.under(cause, id, |core| {
                core.move_lifted(id, &mut order, (OrderEvent::TimedOut, Label::new("taken-up")), out);
                core.lay(id, order);
            });
        }
        // Nothing is asked of the broker before its books have been seen.
        self.state.seats.iter_mut().for_each(|seat: &mut Seat| seat.holds = true);
    }

    /// Resolves what a complete book says by not saying it. True when something is still open.
    pub(super) fn resolve(&mut self, asked: Nanos, shown: &BTreeSet<OrderId>, out: &mut Outbox) -> bool {
        let orders: Vec<OrderId> = self.working_orders().map(|(_, order)| order.id).collect();
        let mut open = false;
        for which in orders {
            let Some((id, mut order)) = self.lift(which) else { continue };
            open |= self.resolve_one(id, &mut order, asked, shown.contains(&which), out);
            self.lay(id, order);
        }
        open
    }

    fn resolve_one(
        &mut self,
        id: InstrumentId,
        order: &mut Order,
        asked: Nanos,
        shown: bool,
        out: &mut Outbox,
    ) -> bool {
        let Some(known) = self.known(order.id) else { return false };
        let waited = asked - known.since;
        let (overdue, lost) = (known.answered && waited >= super::books::PATIENCE, known.lost);
        match order.state {
            OrderState::Unknown if waited > 0 && !shown => {
                known.absences += 1;
                if overdue && known.absences >= super::books::ABSENCES {
                    self.never_arrived(id, order, out);
                    return false;
                }
                true
            }
            OrderState::PendingCancel if shown && ((lost && waited > 0) || overdue) => {
                self.move_lifted(id, order, (OrderEvent::CancelRejected, Label::new("lost")), out);
                false
            }
            OrderState::PendingModify if shown && ((lost && waited > SETTLED) || overdue) => {
                self.stay_as_it_was(id, order, Label::new("lost"), out);
                false
            }
            _ => !may_be_asked(order),
        }
    }

    /// What is meant to fill at once may rest all the same, for market protection makes a limit of it and the market may
    /// run away: after a while it is cancelled. An exit goes out again at the market as it is then, a stop that the market
    /// is beyond becomes one; what was to be entered is for the strategy to decide anew.
    pub(super) fn replace_what_rests(&mut self, out: &mut Outbox) {
        self.note_reached();
        let now = self.state.now;
        let Some(broker) = &self.state.broker else { return };
        let rests = |(_, order): &(InstrumentId, &Order)| {
            let Some(known) = broker.orders.get(&order.id) else { return false };
            let since = match order.order_type {
                OrderType::Market => Some(known.progress),
                OrderType::Limit if known.guarded => Some(known.progress),
                OrderType::Stop => known.reached.map(|reached| reached.max(known.progress)),
                _ => None,
            };
            may_be_asked(order) && !known.number.is_empty() && since.is_some_and(|since| now - since >= RESTS_FOR)
        };
        let resting: Vec<_> =
            self.working_orders().filter(rests).map(|(id, order)| (id, order.id, order.is_kept())).collect();
        for (id, which, kept) in resting {
            if let Some(known) = self.known(which) {
                // What the keeper's own stop covered it looks after itself.
                (known.again, known.progress) = (!kept, now);
            }
            let cause = self.state.cause;
            self.under(cause, id, |core| core.ask_for_cancel(id, which, Label::new("unfilled"), out));
        }
    }

    /// Notes since when the market has been beyond the stops that work.
    fn note_reached(&mut self) {
        let now = self.state.now;
        let Some(broker) = &mut self.state.broker else { return };
        for book in &self.state.books {
            for order in book.working.iter().filter(|order| order.order_type == OrderType::Stop) {
                let beyond = is_reached(order, book.last);
                if let Some(known) = broker.orders.get_mut(&order.id) {
                    known.reached = beyond.then(|| known.reached.unwrap_or(now));
                }
            }
        }
    }

    /// Rows have told of fills that no trade has shown for too long: they are booked at what the row says they cost on
    /// average, for a position that is held without being known has no stop. Their trades, should they come, are theirs.
    pub(super) fn book_what_is_owed(&mut self, out: &mut Outbox) {
        let now = self.state.now;
        let Some(broker) = &mut self.state.broker else { return };
        let working = self.state.books.iter().flat_map(|book| &book.working);
        let filled = working.chain(broker.ended.values()).map(|order| (order.id, order.filled));
        let mut overdue = Vec::new();
        for (which, filled) in filled.collect::<Vec<_>>() {
            let Some(known) = broker.orders.get_mut(&which) else { continue };
            let owes = known.reported > filled;
            known.owing = owes.then(|| known.owing.unwrap_or(now));
            if known.owing.is_some_and(|since| now - since >= super::books::PATIENCE) {
                overdue.push(which);
            }
        }
        let cause = self.state.cause;
        for which in overdue {
            let Some(id) =
                self.state.broker.as_ref().and_then(|broker| broker.orders.get(&which)).map(|it| it.instrument)
            else {
                continue;
            };
            self.under(cause, id, |core| core.book_row(id, which, out));
        }
    }

    fn book_row(&mut self, id: InstrumentId, which: OrderId, out: &mut Outbox) {
        let (now, last) = (self.state.now, self.state.books[id.index()].last);
        let Some((_, order)) = self.lift(which) else { return };
        self.lay(id, order);
        let Some(known) = self.known(which) else { return };
        known.owing = None;
        let (missing, number) = (known.reported - order.filled, known.number.clone());
        if missing.0 <= 0 {
            return;
        }
        let told = i128::from(known.average.0) * i128::from(known.reported.0);
        let left = told - order.value.0.saturating_mul(i128::from(SCALE));
        let price = i64::try_from(divide_rounded(left, missing.0.into())).map_or(Price::ZERO, Price);
        let price = if price.0 > 0 { price } else { last.max(known.average) };
        let text =
            format!("the broker tells that {missing} more of order {which} filled and shows no trade of it: booked");
        self.alarm(id, "trades-missing", text, out);
        if price.0 <= 0 {
            return;
        }
        let fill = BrokerFill {
            trade: format!("row-{number}-{}", known_total(order.filled.0, missing.0)),
            broker_order: number,
            side: order.side,
            quantity: missing,
            price,
            exchange_time: now,
        };
        if let Some(broker) = &mut self.state.broker {
            broker.purse.learn(id, &fill);
        }
        self.book_broker_fill(id, which, &fill, out);
        if let Some(known) = self.known(which) {
            known.booked += missing;
        }
        self.keep(id, out);
    }

    /// The session closes. What is held or works now, nobody looks after any more: a person has to.
    pub(super) fn left_at_close(&self, out: &mut Outbox) {
        for (index, book) in self.state.books.iter().enumerate() {
            let (held, working) = (book.position.quantity, book.working.len());
            if !held.is_zero() || working > 0 {
                let text = format!(
                    "the session closes with {held} held and {working} orders without an end: look at the broker's page"
                );
                self.alarm(InstrumentId(index as u32), "left-at-close", text, out);
            }
        }
    }
}

/// The market is at the stop of an order, or beyond it.
pub(super) fn is_reached(order: &Order, last: Price) -> bool {
    order.stop.is_some_and(|stop| match order.side {
        Side::Buy => last >= stop,
        Side::Sell => last <= stop,
    })
}

/// The quantity that a booked row reaches: its name in the journal.
const fn known_total(filled: i64, missing: i64) -> i64 {
    (filled + missing) / SCALE
}
