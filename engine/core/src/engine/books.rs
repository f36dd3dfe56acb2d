//! The broker's books beside ours: every difference named, and something done about each.
//!
//! - A book is asked for as a whole: orders, then trades, then positions. What it shows of single orders and trades is
//!   folded before it, so what is left over here is what nobody told us.
//! - A fill may be under way: positions are asked for last and may show it first. So a difference counts when two books in
//!   a row, three seconds apart, show the same one and nothing was filled in between, and only where no order of the instrument is of unknown
//!   fate or owes trades. A fill under way is in the next book's trades, so it cannot look the same twice.
//! - RL-28: an order whose fate is unknown, and one that worked and is not shown any more, is absent only after
//!   [`ABSENCES`] books over [`PATIENCE`], all asked for after it was sent. There is no other rule for that anywhere. Then it never arrived: an alarm, and whoever wanted it decides again.
//! - A difference is told once, as long as it stays the same. Until the books agree no entry goes out.
//!
//! What is done, by the setting `live.reconcile` (it ships as `halt`):
//!
//! | difference | `adopt` | `flatten` | `halt` |
//! |---|---|---|---|
//! | `position` | theirs is ours now, with a stop | theirs is ours now, and left; entries locked | entries locked; no exit of ours goes beyond what they hold |
//! | `average-price`, `funds` that are missing | theirs is right | the position is left; entries locked | entries locked |
//! | `funds` that came in | theirs is right | theirs is right | theirs is right |
//! | `foreign-order`: works in a symbol and product of the session, and is not ours | let be | cancelled, again every 30 s; entries locked | let be; entries locked |
//! | `ended-order`: ours, counted as ended, works there | cancelled | cancelled | cancelled |
//! | `missing-order`, `order-quantity`, `order-price`, `never-arrived` | mended | mended | mended |
//!
//! Orders and positions of other symbols and of other products are nobody's business here.

use super::Core;
use super::keeper::may_be_asked;
use crate::orders::Order;
use crate::outbox::{Conclusion, NO_STREAM, Outbox};
use crate::risk::Lock;
use daybook_config::Reconcile;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    BookDifference, BooksReconciled, BrokerBook, Cause, DifferenceKind, InstrumentId, Label, LimitKind, Measure, Nanos,
    OpenAtBroker, OrderEvent, OrderId, OrderState, OrderType, Price, Quantity, Remedy, Side,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Books that must not show an order of unknown fate before it counts as absent.
pub(super) const ABSENCES: u32 = 3;
/// And the time over which; also how long an answer in the book is waited for.
pub(super) const PATIENCE: i64 = 30 * SECOND;
/// Two books that show a difference lie at least so far apart: a poll may come right after another.
const APART: i64 = 3 * SECOND;

/// Differences of the last book, and those that were told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Suspects {
    /// With when they were seen first, and in how many books.
    seen: Vec<(Suspect, Nanos, u32)>,
    /// With when.
    told: Vec<(Suspect, Nanos)>,
}

impl Suspects {
    /// The last book differed in nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Suspect {
    pub(super) instrument: InstrumentId,
    pub(super) what: DifferenceKind,
    pub(super) order: OrderId,
    pub(super) number: String,
    pub(super) ours: i128,
    pub(super) theirs: i128,
}

impl Core {
    /// The broker's books, complete.
    #[inline(never)]
    pub(super) fn on_broker_book(&mut self, cause: Cause, book: &BrokerBook, out: &mut Outbox) {
        self.state.cause = cause;
        if self.state.broker.is_none() {
            return;
        }
        for open in book.open.iter().filter(|open| open.order.0 > 0) {
            self.under(cause, open.instrument, |core| core.shown(open, out));
        }
        let shown: BTreeSet<OrderId> = book.open.iter().map(|open| open.order).collect();
        let unresolved = self.resolve(book.asked, &shown, out);
        self.replace_what_rests(out);
        self.book_what_is_owed(out);
        self.take_stock(book);
        self.note_revenants(book);
        let found = self.compare(book);
        let confirmed = self.confirm(&found);
        for suspect in confirmed {
            self.under(cause, suspect.instrument, |core| core.remedy(&suspect, book, out));
        }
        // An order of somebody else's is none of ours where the broker's word is taken over.
        let foreign = |suspect: &Suspect| suspect.what == DifferenceKind::ForeignOrder;
        let same = found.iter().all(|suspect| foreign(suspect) && self.reconcile == Reconcile::Adopt);
        self.agree(cause, same && !unresolved, out);
        self.go_on_with_books();
        for index in 0..self.state.books.len() {
            let id = InstrumentId(index as u32);
            self.under(cause, id, |core| core.keep(id, out));
        }
    }

    /// Orders of ours that have ended here and work there: what they may still fill counts.
    fn note_revenants(&mut self, book: &BrokerBook) {
        let Some(broker) = &mut self.state.broker else { return };
        broker.revenants.clear();
        for open in book.open.iter().filter(|open| broker.ended.contains_key(&open.order)) {
            let may_fill =
                &mut broker.revenants.entry(open.instrument).or_default()[usize::from(open.side == Side::Sell)];
            *may_fill += open.quantity - open.filled;
        }
    }

    /// An order that works there and of which we had no word.
    fn shown(&mut self, open: &OpenAtBroker, out: &mut Outbox) {
        let Some((id, mut order)) = self.lift(open.order) else { return };
        self.learn_number(open.order, &open.broker_order, out);
        if matches!(order.state, OrderState::Sent | OrderState::Unknown) {
            self.move_lifted(id, &mut order, (OrderEvent::Accepted, Label::NONE), out);
        }
        self.lay(id, order);
        self.send_wanted_cancel(id, open.order, out);
    }

    /// Every difference there is now, in order of instrument.
    fn compare(&self, book: &BrokerBook) -> Vec<Suspect> {
        let mut found = Vec::new();
        for index in 0..self.state.books.len() {
            let id = InstrumentId(index as u32);
            let held = |position: &&daybook_vocabulary::BrokerPosition| position.instrument == id;
            let theirs: Quantity = book.positions.iter().filter(held).map(|position| position.quantity).sum();
            let ours = self.state.books[index].position.quantity;
            if self.is_quiet(id) && ours != theirs {
                found.push(suspect(id, DifferenceKind::Position, OrderId(0), "", (ours.0, theirs.0)));
            }
        }
        found.extend(self.compare_averages(book));
        found.extend(self.compare_funds(book));
        let has_ended = |open: &OpenAtBroker| {
            self.state.broker.as_ref().is_some_and(|broker| broker.ended.contains_key(&open.order))
        };
        for open in book.open.iter().filter(|open| open.instrument.index() < self.state.books.len()) {
            let what = match open.order.0 {
                0 => DifferenceKind::ForeignOrder,
                _ if has_ended(open) => DifferenceKind::EndedOrder,
                _ => continue,
            };
            let rest = (0, (open.quantity - open.filled).0);
            found.push(suspect(open.instrument, what, open.order, &open.broker_order, rest));
        }
        for (id, order) in self.working_orders() {
            let Some(number) = self.broker_number(order.id) else { continue };
            match book.open.iter().find(|open| open.order == order.id) {
                None if self.is_older(order.id, book.asked) && self.is_quiet(id) => {
                    let what = DifferenceKind::MissingOrder;
                    found.push(suspect(id, what, order.id, number, (order.remaining().0, 0)));
                }
                Some(open) if may_be_asked(order) => found.extend(other_terms(id, order, open)),
                _ => {}
            }
        }
        found
    }

    /// The order was there, and nothing happened to it, before a book was asked for: the book would have to show it.
    fn is_older(&self, order: OrderId, asked: Nanos) -> bool {
        let known = self.state.broker.as_ref().and_then(|broker| broker.orders.get(&order));
        known.is_some_and(|known| known.progress < asked && known.since < asked)
    }

    /// Nothing is under way that would explain a difference.
    pub(super) fn is_quiet(&self, id: InstrumentId) -> bool {
        let under_way = |order: &Order| matches!(order.state, OrderState::Sent | OrderState::Unknown);
        !self.state.books[id.index()].working.iter().any(under_way) && !self.owes(id)
    }

    /// Those that the book before showed as well and that nobody was told of; the rest is remembered. What is to be
    /// cancelled and still works is told again after a while: the cancel may have been lost.
    fn confirm(&mut self, found: &[Suspect]) -> Vec<Suspect> {
        let (now, reconcile) = (self.state.now, self.reconcile);
        let broker = self.state.broker.get_or_insert_default();
        let (suspects, filled) = (&mut broker.suspects, &broker.filled);
        let stands = |(told, since): &(Suspect, Nanos)| {
            found.contains(told) && (!is_cancelled(told.what, reconcile) || now - *since < PATIENCE)
        };
        suspects.told.retain(stands);
        let is_told = |suspect: &Suspect| suspects.told.iter().any(|(told, _)| told == suspect);
        let seen = |suspect: &Suspect| {
            let before = suspects.seen.iter().find(|(seen, ..)| seen == suspect);
            // With a fill in between it is another difference that looks the same.
            let moved = |since: Nanos| filled.get(&suspect.instrument).is_some_and(|at| *at >= since);
            let moves = matches!(suspect.what, DifferenceKind::Position | DifferenceKind::AveragePrice);
            let before = before.filter(|(_, since, _)| !(moves && moved(*since)));
            before.map_or((now, 1), |(_, since, times)| (*since, times + 1))
        };
        let fresh: Vec<_> = found.iter().map(|suspect| (suspect.clone(), seen(suspect).0, seen(suspect).1)).collect();
        let is_certain = |(suspect, since, times): &&(Suspect, Nanos, u32)| {
            // What a book leaves out may be in the next: an order is gone when it was gone for long.
            let (books, apart) = match suspect.what {
                DifferenceKind::MissingOrder => (ABSENCES, PATIENCE),
                _ => (2, APART),
            };
            *times >= books && now - *since >= apart && !is_told(suspect)
        };
        let confirmed: Vec<Suspect> = fresh.iter().filter(is_certain).map(|(suspect, ..)| suspect.clone()).collect();
        suspects.told.extend(confirmed.iter().map(|suspect| (suspect.clone(), now)));
        suspects.seen = fresh;
        confirmed
    }

    fn remedy(&mut self, suspect: &Suspect, book: &BrokerBook, out: &mut Outbox) {
        let what = suspect.what;
        let remedy = remedy_of(suspect, self.reconcile);
        self.tell_difference(suspect, what, remedy, out);
        let id = suspect.instrument;
        let theirs = book.positions.iter().find(|position| position.instrument == id);
        if matches!(what, DifferenceKind::Position | DifferenceKind::AveragePrice | DifferenceKind::Funds)
            && matches!(remedy, Remedy::Adopt | Remedy::Flatten)
        {
            let purse = &mut self.state.broker.get_or_insert_default().purse;
            if what == DifferenceKind::Funds {
                purse.take_funds();
            } else if let Some(theirs) = theirs {
                purse.take_average(theirs);
            }
        }
        match (remedy, what) {
            (Remedy::Adopt, DifferenceKind::Position) => self.adopt(suspect, book, out),
            (Remedy::Flatten, _) => {
                if what == DifferenceKind::Position {
                    self.adopt(suspect, book, out);
                }
                self.halt_entries(suspect, out);
                if what != DifferenceKind::Funds {
                    self.leave_all(id, LimitKind::Reconciliation.word());
                }
            }
            (Remedy::Halt, _) => {
                if what == DifferenceKind::Position {
                    let theirs = theirs.map_or(Quantity::ZERO, |position| position.quantity);
                    let gap = theirs - self.state.books[id.index()].position.quantity;
                    self.state.broker.get_or_insert_default().gaps.insert(id, gap);
                }
                self.halt_entries(suspect, out);
            }
            // The cancel itself goes out with the difference, which names the order by the broker's number.
            (Remedy::Cancel, DifferenceKind::ForeignOrder) => self.halt_entries(suspect, out),
            (Remedy::Mend, DifferenceKind::MissingOrder) => {
                let Some((_, mut order)) = self.lift(suspect.order) else { return };
                self.end_or_move(id, &mut order, (OrderEvent::Cancelled, Label::new("missing")), out);
                self.lay(id, order);
            }
            (Remedy::Mend, _) => self.take_their_terms(id, suspect.order, book),
            _ => {}
        }
    }

    fn tell_difference(&mut self, suspect: &Suspect, what: DifferenceKind, remedy: Remedy, out: &mut Outbox) {
        let difference = BookDifference {
            cause: self.state.cause,
            what,
            order: suspect.order,
            broker_order: suspect.number.clone(),
            ours: Measure(suspect.ours),
            theirs: Measure(suspect.theirs),
            remedy,
        };
        out.push(suspect.instrument, Conclusion::Difference(difference));
    }

    /// The terms at the broker are the order's: what should be otherwise is asked for anew.
    fn take_their_terms(&mut self, id: InstrumentId, which: OrderId, book: &BrokerBook) {
        let Some(open) = book.open.iter().find(|open| open.order == which) else { return };
        let order = self.state.books[id.index()].working.iter_mut().find(|order| order.id == which);
        let Some(order) = order.filter(|order| open.quantity > order.filled) else { return };
        let before = order.remaining();
        order.quantity = open.quantity;
        order.stop = order.stop.and(open.stop).or(order.stop);
        order.limit = order.limit.and(open.limit).or(order.limit);
        let kept = order.reserved.share(order.remaining().min(before), before);
        self.state.ledger.reserved -= order.reserved - kept;
        order.reserved = kept;
    }

    fn halt_entries(&mut self, suspect: &Suspect, out: &mut Outbox) {
        if !self.state.risk.is_locked_by(LimitKind::Reconciliation) {
            let (allowed, observed) = (Measure(suspect.ours), Measure(suspect.theirs));
            let lock = Lock { limit: LimitKind::Reconciliation, session: None, allowed, observed };
            self.trip(lock, false, out);
        }
    }

    /// An order that no book has shown for long enough.
    pub(super) fn never_arrived(&mut self, id: InstrumentId, order: &mut Order, out: &mut Outbox) {
        let what = DifferenceKind::NeverArrived;
        let gone = suspect(id, what, order.id, "", (order.remaining().0, 0));
        self.tell_difference(&gone, what, Remedy::Mend, out);
        let text = format!("order {} never reached the broker: it is not in its book", order.id);
        self.alarm(id, what.word(), text, out);
        self.end_or_move(id, order, (OrderEvent::Rejected, Label::new(what.word())), out);
    }

    /// Tells when the books agree that did not, and remembers when they no longer do.
    fn agree(&mut self, cause: Cause, agrees: bool, out: &mut Outbox) {
        let positions = self.state.books.iter().filter(|book| !book.position.quantity.is_zero()).count() as u32;
        let orders = self.working_orders().count() as u32;
        let broker = self.state.broker.get_or_insert_default();
        if agrees && !broker.agrees {
            out.push(NO_STREAM, Conclusion::Reconciled(BooksReconciled { cause, positions, orders }));
        }
        // What was seen once may be a fill under way; what was told is not.
        broker.agrees = agrees || (broker.agrees && broker.suspects.told.is_empty());
    }
}

/// What is done about a difference.
fn remedy_of(suspect: &Suspect, reconcile: Reconcile) -> Remedy {
    use DifferenceKind::{AveragePrice, EndedOrder, ForeignOrder, Funds, Position};
    match (suspect.what, reconcile) {
        (EndedOrder, _) | (ForeignOrder, Reconcile::Flatten) => Remedy::Cancel,
        (Funds, _) if suspect.theirs > suspect.ours => Remedy::Adopt,
        (Position | AveragePrice | Funds | ForeignOrder, Reconcile::Adopt) => Remedy::Adopt,
        (Position | AveragePrice | Funds, Reconcile::Flatten) => Remedy::Flatten,
        (Position | AveragePrice | Funds | ForeignOrder, Reconcile::Halt) => Remedy::Halt,
        _ => Remedy::Mend,
    }
}

fn is_cancelled(what: DifferenceKind, reconcile: Reconcile) -> bool {
    what == DifferenceKind::EndedOrder || (what == DifferenceKind::ForeignOrder && reconcile == Reconcile::Flatten)
}

/// How the terms of an order differ, where they do. A market order shows a limit of the broker's own making.
fn other_terms(id: InstrumentId, order: &Order, open: &OpenAtBroker) -> Option<Suspect> {
    let number = open.broker_order.as_str();
    if order.quantity != open.quantity {
        let quantities = (order.quantity.0, open.quantity.0);
        return Some(suspect(id, DifferenceKind::OrderQuantity, order.id, number, quantities));
    }
    let prices = |ours: Option<Price>, theirs: Option<Price>| {
        let (ours, theirs) = (ours?, theirs?);
        (ours != theirs).then(|| suspect(id, DifferenceKind::OrderPrice, order.id, number, (ours.0, theirs.0)))
    };
    let limit = if matches!(order.order_type, OrderType::Limit | OrderType::StopLimit) { order.limit } else { None };
    prices(order.stop, open.stop).or_else(|| prices(limit, open.limit))
}

pub(super) fn suspect(
    instrument: InstrumentId,
    what: DifferenceKind,
    order: OrderId,
    number: &str,
    (ours, theirs): (i64, i64),
) -> Suspect {
    Suspect { instrument, what, order, number: number.to_owned(), ours: ours.into(), theirs: theirs.into() }
}
