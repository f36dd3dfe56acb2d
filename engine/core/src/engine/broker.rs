//! The broker: what a networked broker says about our orders, folded into our books.
//!
//! ```text
//! intent ─► sent ─► (journal, sync, wires) ─► answer: registered │ refused │ not sent │ nobody knows
//!                                              row of its book: working, changed, ended
//!                                              trades, each once ─► position, cash, charges ─► keeper
//!                                              books, complete ─► books.rs: compared with ours
//! ```
//!
//! - An order is `sent` from the step that decided it: its frames are durable before the wires have it. If the process
//!   dies in between, the next one is told so ([`Body::TakenUp`]) and the order's fate is unknown, whoever had it. It is
//!   looked for by its tag in the broker's book, and never sent again.
//! - Money moves by trades alone, each number once, in any order, also of orders that have ended. A row that tells of more
//!   than the trades we know makes the order one that owes: its instrument rests until they have come.
//! - An order ends when the broker's book says so and all its trades are there. A registered cancel is no end.
//! - Nothing heard twice, late or out of order changes anything: the one table of `transitions.rs` decides, and a
//!   contradiction is an alarm, never a panic.
//! - Must never: fill an order from prices, or let an entry out before the session is armed and the books agree.

use super::Core;
use super::changes::modified;
use super::desk::Trade;
use super::doubts::is_reached;
use super::keeper::may_be_asked;
use crate::orders::{Order, OrderChange};
use crate::outbox::{Conclusion, Outbox};
use daybook_config::Reconcile;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    Answered, BrokerAnswer, BrokerFill, BrokerOrder, BrokerRequest, BrokerStatus, Cause, InstrumentId, Label, Nanos,
    OrderEvent, OrderId, OrderModified, OrderState, OrderType, OrderUpdate, Price, Quantity, Side, Verdict,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the broker's side of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct BrokerState {
    /// The operator has armed the session.
    pub(super) armed: bool,
    /// The broker's books and ours agreed when they were last compared.
    pub(super) agrees: bool,
    /// Every order that was sent.
    pub(super) orders: BTreeMap<OrderId, Known>,
    /// Ours by the broker's number.
    numbers: BTreeMap<String, OrderId>,
    /// Orders that have ended: a late trade may still belong to one.
    pub(super) ended: BTreeMap<OrderId, Order>,
    /// Numbers of trades that were heard.
    trades: BTreeSet<String>,
    /// Trades of orders whose number we do not know yet, or that are not ours.
    pub(super) orphans: Vec<(InstrumentId, BrokerFill)>,
    /// Differences that were seen once, and orders of others that were named.
    pub(super) suspects: super::books::Suspects,
    /// How much more the broker holds than we, where nothing was taken over: no exit of ours goes beyond what it holds.
    pub(super) gaps: BTreeMap<InstrumentId, Quantity>,
    /// Orders of ours that counted as ended here and worked in the last book: signed, by instrument. They are being
    /// cancelled, and until they are gone nothing else is placed for what they could fill.
    pub(super) revenants: BTreeMap<InstrumentId, [Quantity; 2]>,
    /// Requests that were refused in a row, of what lowers risk.
    pub(super) refusals: BTreeMap<InstrumentId, super::patience::Refusals>,
    /// The last entry of each instrument that went out: when, which way, how much.
    pub(super) entered: BTreeMap<InstrumentId, (Nanos, Side, Quantity)>,
    /// When something of an instrument was filled last.
    pub(super) filled: BTreeMap<InstrumentId, Nanos>,
    /// What money and average prices are compared with.
    pub(super) purse: super::purse::Purse,
}

/// What is known of an order beside its own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) instrument: InstrumentId,
    /// The broker's number; empty until it is known.
    pub(super) number: String,
    /// The most that a row said was filled.
    pub(super) reported: Quantity,
    /// The broker's last word, where the order owes trades before it may end.
    last_word: Option<BrokerStatus>,
    /// New terms that were asked for.
    pub(super) asked: Option<Terms>,
    /// A cancel was wanted before the broker's number was known.
    cancel: Option<Label>,
    /// When something was last asked about it, or its fate became unknown.
    pub(super) since: Nanos,
    /// The last request.
    pub(super) request: BrokerRequest,
    /// The wires have said what became of the last request. Until then it may still be on its way out, so nothing follows
    /// from not seeing it; that they answer everything they were handed is their promise.
    pub(super) answered: bool,
    /// The last request may never have arrived.
    pub(super) lost: bool,
    /// Books that did not show it, while its fate was unknown.
    pub(super) absences: u32,
    /// When it was sent, or filled last.
    pub(super) progress: Nanos,
    /// It was cancelled for want of fills: what it was to leave is to be left all the same.
    pub(super) again: bool,
    /// It was a market order before our own gate gave it a limit: it is to fill at once, or not at all.
    pub(super) guarded: bool,
    /// Refusals to make a market order of it.
    pub(super) unconverted: u32,
    /// Since when the market has been beyond its stop.
    pub(super) reached: Option<Nanos>,
    /// The exchange's time of the newest row.
    updated: Option<Nanos>,
    /// The average price of its fills by that row.
    pub(super) average: Price,
    /// Since when rows tell of more fills than trades show.
    pub(super) owing: Option<Nanos>,
    /// Fills that were booked by a row, and whose trades may still come.
    pub(super) booked: Quantity,
}

/// Terms that an order was asked to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) quantity: Quantity,
    pub(super) limit: Option<Price>,
    pub(super) stop: Option<Price>,
    pub(super) reason: Label,
    /// Its quantity before: what it has, should the change be refused.
    pub(super) before: Quantity,
    /// A stop that is to become a market order.
    pub(super) converts: bool,
}

impl Core {
    /// The same core, whose orders go to a networked broker: nothing is filled here. Like the setup it is not state.
    pub fn with_broker(mut self, reconcile: Reconcile) -> Self {
        self.brokered = true;
        self.reconcile = reconcile;
        self.state.broker.get_or_insert_default();
        self.begin_keeping();
        self
    }

    /// True where orders go to a networked broker.
    pub const fn is_brokered(&self) -> bool {
        self.brokered
    }

    /// The broker's number of an order of ours; none before the broker gave one.
    pub fn broker_number(&self, order: OrderId) -> Option<&str> {
        let known = self.state.broker.as_ref()?.orders.get(&order)?;
        (!known.number.is_empty()).then_some(known.number.as_str())
    }

    /// True when the broker's books agreed with ours the last time they were compared.
    pub fn is_reconciled(&self) -> bool {
        self.state.broker.as_ref().is_some_and(|broker| broker.agrees)
    }

    /// True once the operator has armed the session.
    pub fn is_armed(&self) -> bool {
        self.state.broker.as_ref().is_some_and(|broker| broker.armed)
    }

    /// Orders that have not ended, by number, with their instruments.
    pub fn working_orders(&self) -> impl Iterator<Item = (InstrumentId, &Order)> {
        let books = (0..).map(InstrumentId).zip(&self.state.books);
        books.flat_map(|(id, book)| book.working.iter().map(move |order| (id, order)))
    }

    /// True while an order waits for the broker's word: the wires are to ask for its books.
    pub fn awaits_broker(&self) -> bool {
        let Some(broker) = &self.state.broker else { return false };
        let guarded = |order: &Order| broker.orders.get(&order.id).is_some_and(|known| known.guarded);
        // What is meant to fill at once, or should have: books say since when it does not.
        let is_due = |id: InstrumentId, order: &Order| match order.order_type {
            OrderType::Market => true,
            OrderType::Limit => guarded(order),
            OrderType::Stop => is_reached(order, self.state.books[id.index()].last),
            _ => false,
        };
        !broker.agrees
            || !broker.orphans.is_empty()
            || !broker.suspects.is_empty()
            || self.state.seats.iter().any(|seat| seat.holds)
            || self.working_orders().any(|(id, order)| !may_be_asked(order) || is_due(id, order) || self.owes(id))
    }

    /// What the wires said is folded under its own cause; what was decided on a candle keeps the candle.
    pub(super) fn under<R>(&mut self, cause: Cause, id: InstrumentId, fold: impl FnOnce(&mut Self) -> R) -> R {
        self.state.cause = cause;
        if id.index() >= self.state.books.len() {
            return fold(self);
        }
        let before = std::mem::replace(&mut self.state.books[id.index()].cause, cause);
        let folded = fold(self);
        self.state.books[id.index()].cause = before;
        folded
    }

    /// Notes that an order was sent: everything the broker says of it is looked up here.
    pub(super) fn note_sent(&mut self, id: InstrumentId, order: OrderId) {
        let since = self.state.now;
        let known = Known {
            instrument: id,
            number: String::new(),
            reported: Quantity::ZERO,
            last_word: None,
            asked: None,
            cancel: None,
            since,
            request: BrokerRequest::Place,
            answered: false,
            lost: false,
            absences: 0,
            progress: since,
            again: false,
            guarded: false,
            unconverted: 0,
            reached: None,
            updated: None,
            average: Price::ZERO,
            owing: None,
            booked: Quantity::ZERO,
        };
        self.state.broker.get_or_insert_default().orders.insert(order, known);
    }

    /// Why no entry may go to the broker now.
    pub(super) fn broker_fault(&self, _: InstrumentId) -> Option<Verdict> {
        let broker = self.state.broker.as_ref().filter(|_| self.brokered)?;
        match (broker.armed, broker.agrees) {
            (false, _) => Some(Verdict::NotArmed),
            (true, false) => Some(Verdict::Unreconciled),
            _ => None,
        }
    }

    /// BT-33: the same entry twice within a second is a fault of whoever asks for it.
    pub(super) fn is_duplicate(&self, id: InstrumentId, side: Side, quantity: Quantity) -> bool {
        let broker = self.state.broker.as_ref().filter(|_| self.brokered);
        let Some((at, before, much)) = broker.and_then(|broker| broker.entered.get(&id)) else { return false };
        self.state.now - *at < SECOND && (*before, *much) == (side, quantity)
    }

    /// True while a row has told of fills of the instrument that no trade has shown.
    pub(super) fn owes(&self, id: InstrumentId) -> bool {
        let Some(broker) = &self.state.broker else { return false };
        let filled = |order: &Order| broker.orders.get(&order.id).is_some_and(|known| known.reported > order.filled);
        self.state.books[id.index()].working.iter().any(filled)
            || broker.ended.values().any(|order| filled(order) && self.instrument_of(order.id) == Some(id))
    }

    fn instrument_of(&self, order: OrderId) -> Option<InstrumentId> {
        Some(self.state.broker.as_ref()?.orders.get(&order)?.instrument)
    }

    pub(super) fn known(&mut self, order: OrderId) -> Option<&mut Known> {
        self.state.broker.as_mut()?.orders.get_mut(&order)
    }

    /// Asks the broker to end an order: now, or as soon as its number is known.
    pub(super) fn ask_for_cancel(&mut self, id: InstrumentId, which: OrderId, reason: Label, out: &mut Outbox) {
        let now = self.state.now;
        let cause = self.state.books[id.index()].cause;
        let Some(known) = self.known(which) else { return };
        if known.number.is_empty() {
            known.cancel.get_or_insert(reason);
            return;
        }
        let working = &mut self.state.books[id.index()].working;
        let Some(order) = working.iter_mut().find(|order| order.id == which) else { return };
        if !may_be_asked(order) {
            // Something is being asked already, and its answer is the one that is waited for; a change has its cancel after it.
            if order.state == OrderState::PendingModify
                && let Some(known) = self.known(which)
            {
                known.cancel.get_or_insert(reason);
            }
            return;
        }
        let event = OrderEvent::CancelRequested;
        assert!(!order.happens(event), "a working order may be asked to end");
        let (state, filled) = (order.state, order.filled);
        if let Some(known) = self.known(which) {
            (known.since, known.lost, known.answered) = (now, false, false);
            known.request = BrokerRequest::Cancel;
        }
        self.state.risk.spend(&self.limits, now, false);
        out.push(id, Conclusion::Update(OrderUpdate { cause, order: which, event, state, filled, reason }));
    }

    /// Asks the broker for new terms of an order that works.
    pub(super) fn ask_for_terms(
        &mut self,
        id: InstrumentId,
        which: OrderId,
        change: OrderChange,
        reason: Label,
        out: &mut Outbox,
    ) {
        let (now, tick) = (self.state.now, self.setup.instruments[id.index()].tick);
        let book = &mut self.state.books[id.index()];
        let cause = book.cause;
        let Some(order) = book.working.iter_mut().find(|order| order.id == which) else { return };
        let terms = Terms {
            quantity: change.quantity.unwrap_or(order.quantity),
            limit: change.limit.map(|price| price.round_to(tick)).or(order.limit),
            stop: change.stop.map(|price| price.round_to(tick)).or(order.stop),
            reason,
            before: order.quantity,
            converts: false,
        };
        let event = OrderEvent::ModifyRequested;
        assert!(!order.happens(event), "an order that works may be asked to change");
        let Terms { quantity, limit, stop, .. } = terms;
        out.push(
            id,
            Conclusion::Modified(OrderModified { event, quantity, limit, stop, ..modified(cause, order, reason) }),
        );
        if let Some(known) = self.known(which) {
            known.asked = Some(terms);
            (known.since, known.lost, known.answered) = (now, false, false);
            known.request = BrokerRequest::Modify;
        }
    }

    /// Takes an order out of where it lies, so that the rest of the state can be touched.
    pub(super) fn lift(&mut self, which: OrderId) -> Option<(InstrumentId, Order)> {
        let broker = self.state.broker.as_mut()?;
        let id = broker.orders.get(&which)?.instrument;
        let working = &mut self.state.books[id.index()].working;
        if let Some(place) = working.iter().position(|order| order.id == which) {
            return Some((id, working.remove(place)));
        }
        broker.ended.remove(&which).map(|order| (id, order))
    }

    /// Puts it back: with those that work, in order of their numbers, or with those that have ended.
    pub(super) fn lay(&mut self, id: InstrumentId, order: Order) {
        if order.is_working() {
            let working = &mut self.state.books[id.index()].working;
            let place = working.partition_point(|other| other.id < order.id);
            working.insert(place, order);
        } else {
            assert!(order.reserved.is_zero(), "an order that has ended holds nothing back");
            self.state.broker.get_or_insert_default().ended.insert(order.id, order);
        }
    }

    /// The broker answered a request of ours.
    #[inline(never)]
    pub(super) fn on_answer(&mut self, cause: Cause, answer: &BrokerAnswer, out: &mut Outbox) {
        let Some(id) = self.instrument_of(answer.order) else {
            self.state.cause = cause;
            return;
        };
        self.under(cause, id, |core| {
            if answer.answer == Answered::Accepted {
                core.learn_number(answer.order, &answer.broker_order, out);
            }
            core.fold_answer(id, answer, out);
            core.settle_orphans(out);
            core.keep(id, out);
        });
    }

    fn fold_answer(&mut self, id: InstrumentId, answer: &BrokerAnswer, out: &mut Outbox) {
        use Answered::{Accepted, NotSent, Refused, Unknown};
        let now = self.state.now;
        let Some((_, mut order)) = self.lift(answer.order) else { return };
        let reason = if answer.kind.is_empty() { Label::new(answer.answer.word()) } else { answer.kind };
        let before = order.state;
        match (answer.request, answer.answer) {
            (BrokerRequest::Place, Accepted) => {
                self.move_lifted(id, &mut order, (OrderEvent::Accepted, Label::NONE), out);
            }
            (BrokerRequest::Place, Refused | NotSent) if order.is_working() => {
                self.end_or_move(id, &mut order, (OrderEvent::Rejected, reason), out);
            }
            (BrokerRequest::Modify, Refused | NotSent) if before == OrderState::PendingModify => {
                self.note_unconverted(answer);
                // Certainly refused: it is none of the changes that the broker counts.
                let seat = &mut self.state.seats[id.index()];
                seat.changes = seat.changes.saturating_sub(1);
                self.stay_as_it_was(id, &mut order, reason, out);
            }
            (BrokerRequest::Cancel, Refused | NotSent) if before == OrderState::PendingCancel => {
                self.move_lifted(id, &mut order, (OrderEvent::CancelRejected, reason), out);
            }
            (BrokerRequest::Place, Unknown) => {
                self.move_lifted(id, &mut order, (OrderEvent::TimedOut, Label::new("unknown")), out);
            }
            _ => {}
        }
        // An answer may come when a row has told as much already and the next thing was asked.
        if let Some(known) = self.known(answer.order).filter(|known| known.request == answer.request) {
            (known.since, known.answered) = (now, true);
            known.lost |= answer.answer == Unknown;
        }
        let refused = matches!(answer.answer, Refused | NotSent);
        if refused {
            self.after_refusal(id, &order, answer, out);
        }
        self.lay(id, order);
    }

    /// What a refusal leads to: nothing is tried again at once, and a position whose stop cannot be placed is left.
    fn after_refusal(&mut self, id: InstrumentId, order: &Order, answer: &BrokerAnswer, out: &mut Outbox) {
        let protects = order.is_kept() && answer.request == BrokerRequest::Place;
        if protects && answer.answer == Answered::Refused {
            return self.stop_refused(id, order.id, &answer.message, out);
        }
        if order.reduces || answer.request != BrokerRequest::Place {
            let text =
                format!("the broker did not take the {} of order {} ({})", answer.request, order.id, answer.message);
            self.alarm(id, "request-refused", text, out);
            self.wait_after_refusal(id, false, out);
        }
    }

    /// Moves an order by an event that ends it, giving back what it holds; by the table, whatever it says.
    pub(super) fn end_or_move(
        &mut self,
        id: InstrumentId,
        order: &mut Order,
        what: (OrderEvent, Label),
        out: &mut Outbox,
    ) {
        let (after, _) = crate::transitions::after(order.state, what.0, order.filled);
        if crate::transitions::is_final(after) && order.is_working() {
            self.end_lifted(id, order, what, out);
        } else {
            self.move_lifted(id, order, what, out);
        }
    }

    /// The broker's number of an order of ours becomes known; a cancel that waited for it goes out.
    pub(super) fn learn_number(&mut self, order: OrderId, number: &str, out: &mut Outbox) {
        let Some(known) = self.known(order) else { return };
        if number.is_empty() || known.number == number {
            return;
        }
        let id = known.instrument;
        if !known.number.is_empty() {
            let text = format!("order {order} has the numbers {} and {number} at the broker", known.number);
            self.alarm(id, "two-numbers", text, out);
            return;
        }
        number.clone_into(&mut known.number);
        self.state.broker.get_or_insert_default().numbers.insert(number.to_owned(), order);
    }

    /// A row of the broker's book of orders.
    #[inline(never)]
    pub(super) fn on_broker_order(&mut self, cause: Cause, row: &BrokerOrder, out: &mut Outbox) {
        let Some(broker) = &self.state.broker else { return };
        let named = Some(row.order).filter(|order| order.0 > 0);
        let Some(which) = named.or_else(|| broker.numbers.get(&row.broker_order).copied()) else {
            // Somebody else's: what it does to the position shows in the books.
            self.state.cause = cause;
            return;
        };
        let Some(id) = self.instrument_of(which) else { return };
        self.under(cause, id, |core| {
            core.learn_number(which, &row.broker_order, out);
            if core.is_news(which, row) {
                core.fold_row(id, which, row, out);
            }
            core.settle_orphans(out);
            core.send_wanted_cancel(id, which, out);
            core.keep(id, out);
        });
    }

    /// Notes what a row tells of fills. False for a row that is older than one that was heard before, by the exchange's
    /// own clock: its terms are none any more. An end is news, whatever its time.
    fn is_news(&mut self, which: OrderId, row: &BrokerOrder) -> bool {
        let Some(known) = self.known(which) else { return false };
        if row.filled > known.reported || known.average.0 <= 0 {
            known.average = row.average;
        }
        known.reported = known.reported.max(row.filled);
        let is_old = row.updated.is_some() && row.updated < known.updated;
        known.updated = row.updated.max(known.updated);
        !is_old || row.status.is_final()
    }

    fn fold_row(&mut self, id: InstrumentId, which: OrderId, row: &BrokerOrder, out: &mut Outbox) {
        let Some((_, mut order)) = self.lift(which) else { return };
        let why = Label::new(row.status.word());
        match row.status {
            BrokerStatus::OnItsWay | BrokerStatus::Working | BrokerStatus::Changing if order.is_working() => {
                self.move_lifted(id, &mut order, (OrderEvent::Accepted, Label::NONE), out);
                self.fold_terms(id, &mut order, row, out);
            }
            BrokerStatus::NotModified if order.state == OrderState::PendingModify => {
                self.stay_as_it_was(id, &mut order, why, out);
                self.wait_after_refusal(id, false, out);
            }
            BrokerStatus::NotCancelled if order.state == OrderState::PendingCancel => {
                self.move_lifted(id, &mut order, (OrderEvent::CancelRejected, why), out);
                self.wait_after_refusal(id, false, out);
            }
            BrokerStatus::Rejected if order.is_working() => {
                self.end_or_move(id, &mut order, (OrderEvent::Rejected, why), out);
                if order.is_kept() {
                    self.stop_refused(id, which, &row.message, out);
                } else if order.reduces {
                    self.wait_after_refusal(id, false, out);
                }
            }
            BrokerStatus::Filled | BrokerStatus::Cancelled => {
                if order.is_working() && row.quantity.0 > 0 && row.quantity >= order.filled {
                    // Whatever change of it was under way: these are the terms on which it ended.
                    self.take_terms(id, &mut order, row, out);
                }
                if let Some(known) = self.known(which) {
                    known.last_word = Some(row.status);
                }
                self.end_if_settled(id, &mut order, out);
            }
            _ => {}
        }
        self.lay(id, order);
    }

    /// A change was refused, or did not arrive: the order has the quantity that it had.
    pub(super) fn stay_as_it_was(&mut self, id: InstrumentId, order: &mut Order, reason: Label, out: &mut Outbox) {
        if let Some(asked) = self.known(order.id).and_then(|known| known.asked.take()) {
            order.quantity = asked.before.max(order.filled);
            if asked.converts {
                self.leave_more(id, order.remaining(), asked.reason);
            }
        }
        self.move_lifted(id, order, (OrderEvent::ModifyRejected, reason), out);
        if order.remaining().is_zero() {
            self.end_or_move(id, order, (OrderEvent::Filled, Label::NONE), out);
        }
    }

    /// The most that an order may still fill, whatever becomes of a change that is under way.
    pub(super) fn at_most(&self, order: &Order) -> Quantity {
        let known = self.state.broker.as_ref().and_then(|broker| broker.orders.get(&order.id));
        let asked = known.and_then(|known| known.asked).map_or(order.quantity, |asked| asked.quantity);
        asked.max(order.quantity) - order.filled
    }

    /// A row that shows the terms that were asked for is the answer to that request.
    fn fold_terms(&mut self, id: InstrumentId, order: &mut Order, row: &BrokerOrder, out: &mut Outbox) {
        if order.state != OrderState::PendingModify || row.status != BrokerStatus::Working {
            return;
        }
        let Some(asked) = self.known(order.id).and_then(|known| known.asked) else { return };
        // An order that waits for no trigger any more is a market order, whatever trigger its row still shows.
        let same_stop = asked.stop == row.stop || (asked.converts && *row.word == *"OPEN");
        if asked.quantity == row.quantity && same_stop && asked.limit.is_none_or(|_| asked.limit == row.limit) {
            self.take_terms(id, order, row, out);
        }
    }

    /// The order has the terms of the row.
    fn take_terms(&mut self, id: InstrumentId, order: &mut Order, row: &BrokerOrder, out: &mut Outbox) {
        let asked = self.known(order.id).and_then(|known| known.asked.take());
        let limit = order.limit.and(row.limit).or(order.limit);
        let stop = order.stop.and(row.stop).or(order.stop);
        if asked.is_none() && (order.quantity, order.limit, order.stop) == (row.quantity, limit, stop) {
            return;
        }
        let before = order.remaining();
        (order.quantity, order.limit, order.stop) = (row.quantity, limit, stop);
        if let Some(asked) = asked.filter(|asked| asked.converts && (row.stop.is_none() || *row.word == *"OPEN")) {
            (order.order_type, order.stop, order.group, order.reason) = (OrderType::Market, None, 0, asked.reason);
            let now = self.state.now;
            if let Some(known) = self.known(order.id) {
                (known.progress, known.reached) = (now, None);
            }
        }
        let kept =
            if before.0 > 0 { order.reserved.share(order.remaining().min(before), before) } else { order.reserved };
        self.state.ledger.reserved -= order.reserved - kept;
        order.reserved = kept;
        let surprised = order.happens(OrderEvent::Modified);
        assert!(!surprised, "terms of an order that works are no surprise");
        let reason = asked.map_or(Label::new("broker"), |asked| asked.reason);
        let cause = self.state.books[id.index()].cause;
        out.push(id, Conclusion::Modified(modified(cause, order, reason)));
    }

    /// Ends an order by the broker's last word once all its trades are there.
    fn end_if_settled(&mut self, id: InstrumentId, order: &mut Order, out: &mut Outbox) {
        let Some(known) = self.known(order.id) else { return };
        let Some(word) = known.last_word.filter(|_| known.reported <= order.filled) else { return };
        known.last_word = None;
        known.asked = None;
        if !order.is_working() {
            return;
        }
        // Filled whole by the broker's word, on terms that we took over: the last trade has said so already.
        let event = if word == BrokerStatus::Filled && order.remaining().is_zero() {
            OrderEvent::Filled
        } else {
            OrderEvent::Cancelled
        };
        self.end_or_move(id, order, (event, Label::new(word.word())), out);
        let again = self.known(order.id).is_some_and(|known| known.again);
        if again && order.reduces && order.remaining().0 > 0 {
            self.leave_more(id, order.remaining(), order.reason);
        }
    }

    pub(super) fn send_wanted_cancel(&mut self, id: InstrumentId, which: OrderId, out: &mut Outbox) {
        let Some(known) = self.known(which) else { return };
        if let Some(reason) = known.cancel.take_if(|_| !known.number.is_empty()) {
            self.ask_for_cancel(id, which, reason, out);
        }
    }

    /// A trade of the account.
    #[inline(never)]
    pub(super) fn on_broker_fill(&mut self, cause: Cause, id: InstrumentId, fill: &BrokerFill, out: &mut Outbox) {
        let Some(broker) = &mut self.state.broker else { return };
        let sound = fill.quantity.0 > 0 && fill.price.0 > 0 && id.index() < self.state.books.len();
        if !sound || !broker.trades.insert(fill.trade.clone()) {
            return;
        }
        broker.purse.learn(id, fill);
        broker.orphans.push((id, fill.clone()));
        self.under(cause, id, |core| {
            core.settle_orphans(out);
            core.keep(id, out);
        });
    }

    /// Books the trades whose orders are known, in the order in which they were heard.
    fn settle_orphans(&mut self, out: &mut Outbox) {
        let Some(broker) = &mut self.state.broker else { return };
        let orphans = std::mem::take(&mut broker.orphans);
        for (id, fill) in orphans {
            let which = self.state.broker.as_ref().and_then(|broker| broker.numbers.get(&fill.broker_order).copied());
            match which {
                Some(which) if self.instrument_of(which) == Some(id) => {
                    if let Some(fill) = self.not_booked_by_row(which, fill) {
                        self.book_broker_fill(id, which, &fill, out);
                    }
                }
                _ => self.state.broker.get_or_insert_default().orphans.push((id, fill)),
            }
        }
    }

    /// What of a trade was not booked already because a row told of it.
    fn not_booked_by_row(&mut self, which: OrderId, mut fill: BrokerFill) -> Option<BrokerFill> {
        if let Some(known) = self.known(which) {
            let before = known.booked.min(fill.quantity);
            known.booked -= before;
            fill.quantity -= before;
        }
        (fill.quantity.0 > 0).then_some(fill)
    }

    pub(super) fn book_broker_fill(&mut self, id: InstrumentId, which: OrderId, fill: &BrokerFill, out: &mut Outbox) {
        let Some((_, mut order)) = self.lift(which) else { return };
        if order.side != fill.side {
            let text = format!("trade {} of order {which} is a {}, the order is not", fill.trade, fill.side);
            self.alarm(id, "wrong-side", text, out);
            self.lay(id, order);
            return;
        }
        // With a larger quantity under way nobody knows yet whether this is the whole of it.
        if fill.quantity >= order.remaining()
            && let Some(asked) = self.known(which).and_then(|known| known.asked)
        {
            order.quantity = order.quantity.max(asked.quantity);
        }
        if fill.quantity > order.remaining() {
            let text =
                format!("order {which} for {} has filled {} and {} more", order.quantity, order.filled, fill.quantity);
            self.alarm(id, "overfilled", text, out);
            order.quantity = order.filled + fill.quantity;
        }
        let cause = self.state.books[id.index()].cause;
        let reference = if order.planned.0 > 0 { order.planned } else { fill.price };
        let trade = Trade::at(cause, id, (reference, fill.price), fill.quantity, fill.exchange_time, "broker");
        let charges = self.charges(&trade, &order);
        self.book_fill(trade, charges, &mut order, out);
        let now = self.state.now;
        if let Some(known) = self.known(which) {
            known.progress = now;
        }
        self.forget_refusals(id);
        self.state.broker.get_or_insert_default().filled.insert(id, now);
        self.end_if_settled(id, &mut order, out);
        self.lay(id, order);
        if order.is_kept() {
            // What is being stopped out is not entered any further: the rest of its entry goes.
            let entered = order.side.opposite();
            self.cancel_some(id, Label::new("stopped-out"), |order| !order.is_kept() && order.side == entered, out);
        }
    }
}
