//! Orders that change while they work: modified, replaced, tightened, ended by the candle that is over.
//!
//! - A change is judged like a new order for what is still to fill, with the old one out of the way. Where it is refused
//!   the order works on as it was.
//! - A change holds for candles that open after it was decided, like an order: what it was decided on cannot fill it.
//! - A protective stop (an exit of a bracket, a trailing stop) is only ever tightened, also by its owner.
//! - A request about an order that does not work is answered with its reason, never passed over.

use super::Core;
use super::desk::{end_order, refused};
use crate::exchange::trailed;
use crate::input::SessionHours;
use crate::orders::{Order, OrderChange, OrderRequest, Trigger};
use crate::outbox::{Conclusion, Outbox};
use crate::risk::CHECKS;
use crate::risk::gate::Refusal;
use crate::terms;
use daybook_config::TrailFrom;
use daybook_vocabulary::{
    Candle, Cause, InstrumentId, Label, Nanos, OrderEvent, OrderId, OrderModified, OrderType, Price, RequestKind,
    RequestRefused, Side, StopTightened, TimeInForce, Verdict,
};

impl Core {
    /// Ends one order that works, or says why not. True when it ended.
    pub(super) fn cancel(
        &mut self,
        id: InstrumentId,
        which: OrderId,
        (request, reason): (RequestKind, Label),
        out: &mut Outbox,
    ) -> bool {
        self.state.risk.spend(&self.limits, self.state.now, false);
        if self.rules.latency > 0 && self.state.books[id.index()].working.iter().any(|order| order.id == which) {
            self.send(id, which, (None, reason), out);
            return true;
        }
        let found = self.end_orders(id, out, |order| (order.id == which).then_some((OrderEvent::Cancelled, reason)));
        if !found {
            self.refuse(id, which, (request, reason), self.absent(which), out);
        }
        found
    }

    /// Changes the terms of an order that works, or says why not.
    pub(super) fn modify(
        &mut self,
        id: InstrumentId,
        which: OrderId,
        change: OrderChange,
        reason: Label,
        session: &SessionHours,
        out: &mut Outbox,
    ) {
        self.state.risk.spend(&self.limits, self.state.now, false);
        let books = &self.state.books;
        let Some(place) = books[id.index()].working.iter().position(|order| order.id == which) else {
            let verdict = self.absent(which);
            self.refuse(id, which, (RequestKind::Modify, reason), verdict, out);
            return;
        };
        if self.rules.latency > 0 {
            self.send(id, which, (Some(change), reason), out);
            return;
        }
        let before = books[id.index()].working[place].stop;
        if let Err(refusal) = self.put_changed(id, place, change, (session, self.state.now)) {
            self.say_numbers(id, which, refusal, out);
            self.refuse(id, which, (RequestKind::Modify, reason), refusal.verdict, out);
            return;
        }
        let book = &mut self.state.books[id.index()];
        let (cause, last) = (book.cause, book.last);
        let order = &mut book.working[place];
        for event in [OrderEvent::ModifyRequested, OrderEvent::Modified] {
            assert!(!order.happens(event), "an order that works is modified without surprise");
        }
        out.push(id, moved(change, before, order, last, (cause, reason)));
    }

    /// Gives a working order new terms that reach the exchange at an instant, or leaves it as it was and says why.
    pub(super) fn put_changed(
        &mut self,
        id: InstrumentId,
        place: usize,
        change: OrderChange,
        at: (&SessionHours, Nanos),
    ) -> Result<(), Refusal> {
        // Out of the way, with what it holds back, while its new terms are judged.
        let order = self.state.books[id.index()].working.remove(place);
        self.state.ledger.reserved -= order.reserved;
        let changed = self.changed(id, &order, change, at);
        let (order, answer) = match changed {
            Ok(changed) => (changed, Ok(())),
            Err(refusal) => (order, Err(refusal)),
        };
        self.state.ledger.reserved += order.reserved;
        self.state.books[id.index()].working.insert(place, order);
        answer
    }

    /// The order with new terms, or why it cannot have them.
    fn changed(
        &self,
        id: InstrumentId,
        order: &Order,
        change: OrderChange,
        (session, arrives): (&SessionHours, Nanos),
    ) -> Result<Order, Refusal> {
        let OrderChange { quantity, limit, stop } = change;
        let (quantity, limit, stop) = (quantity.unwrap_or(order.quantity), limit.or(order.limit), stop.or(order.stop));
        if quantity <= order.filled {
            return Err(Verdict::BadQuantity.into());
        }
        let tick = self.rules.tick(&self.setup.instruments[id.index()]);
        let book = &self.state.books[id.index()];
        let request = OrderRequest {
            side: order.side,
            quantity: quantity - order.filled,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            limit,
            stop,
            trail: order.trail,
            expires: Some(order.expires).filter(|_| order.time_in_force == TimeInForce::Gtd),
            client: 0,
            group: order.group,
            bracket: order.bracket,
            reason: order.reason,
        };
        if self.screens {
            // What stays was taken as it is.
            let only_new = OrderRequest { limit: change.limit, stop: change.stop, ..request };
            if let Some(refusal) = self.screened(id, &only_new) {
                return Err(refusal);
            }
        }
        let mut request = request;
        terms::settle(&mut request, book.last, tick);
        if request.stop != order.stop {
            if order.stop.is_some() && order.trigger != Trigger::Armed {
                return Err(Verdict::BadPrice.into());
            }
            if let (true, Some(before), Some(after)) = (is_protective(order), order.stop, request.stop)
                && loosens(order.side, before, after)
            {
                return Err(Verdict::LoosensStop.into());
            }
        }
        let closed = self.state.now >= session.close;
        let reserved = self.judge(id, &request, closed)?;
        let decided = arrives.max(order.decided);
        // An exit stays one: what the limits allowed as a way out must not become a way in.
        let reduces = order.reduces || book.position.closing(order.side, request.quantity) == request.quantity;
        Ok(Order { quantity, limit: request.limit, stop: request.stop, reserved, decided, reduces, ..*order })
    }

    /// What a limit allows and what it met, where it is a limit that keeps an order from its new terms.
    pub(super) fn say_numbers(&self, id: InstrumentId, which: OrderId, refusal: Refusal, out: &mut Outbox) {
        let is_limit = refusal.verdict == Verdict::Margin || CHECKS.iter().any(|(check, _)| *check == refusal.verdict);
        if is_limit {
            let cause = self.state.books[id.index()].cause;
            out.push(id, Conclusion::Verdict(refused(cause, which, refusal)));
        }
    }

    /// Why an order that does not work in the instrument does not.
    pub(super) fn absent(&self, which: OrderId) -> Verdict {
        if (1..=self.state.counts.orders).contains(&which.0) { Verdict::OrderEnded } else { Verdict::UnknownOrder }
    }

    pub(super) fn refuse(
        &self,
        id: InstrumentId,
        order: OrderId,
        (request, reason): (RequestKind, Label),
        verdict: Verdict,
        out: &mut Outbox,
    ) {
        let cause = self.state.books[id.index()].cause;
        out.push(id, Conclusion::RequestRefused(RequestRefused { cause, order, request, verdict, reason }));
    }

    /// What the end of a candle does to the orders that worked on it.
    pub(super) fn after_candle(
        &mut self,
        id: InstrumentId,
        candle: &Candle,
        session: &SessionHours,
        working: &mut [Order],
        out: &mut Outbox,
    ) {
        let book = &self.state.books[id.index()];
        let (cause, number, now) = (book.cause, book.bars + 1, self.state.now);
        let tick = self.rules.tick(&self.setup.instruments[id.index()]);
        for order in working.iter_mut().filter(|order| order.is_working()) {
            let worked = candle.open_time() >= order.decided;
            let ended = match order.time_in_force {
                TimeInForce::Ioc if worked => Some((OrderEvent::Cancelled, "immediate-or-cancel")),
                TimeInForce::Fok if worked => Some((OrderEvent::Cancelled, "fill-or-kill")),
                TimeInForce::Gtd if now >= order.expires => Some((OrderEvent::Expired, "good-till-date")),
                _ if order.order_type == OrderType::MarketOnOpen && worked && order.decided <= session.open => {
                    Some((OrderEvent::Cancelled, "open-has-passed"))
                }
                _ => None,
            };
            if let Some((event, reason)) = ended {
                end_order(id, cause, order, event, Label::new(reason), &mut self.state.ledger, out);
            } else if order.trail.is_some() && worked {
                let inside = order.born == number || self.rules.trail_from == TrailFrom::Close;
                if let Some(tightened) = followed(order, candle, inside, tick, cause) {
                    out.push(id, Conclusion::Tightened(tightened));
                }
            }
        }
    }
}

/// Moves a trailing stop behind a candle; what happened, where it moved.
pub(super) fn followed(
    order: &mut Order,
    candle: &Candle,
    inside: bool,
    tick: Price,
    cause: Cause,
) -> Option<StopTightened> {
    let ((to, best), from) = (trailed(order, candle, inside, tick)?, order.stop?);
    order.stop = Some(to);
    Some(StopTightened { cause, order: order.id, from, to, best, reason: Label::new("trail") })
}

/// What a change has done to an order: a stop that leaves a position was tightened where nothing but its price moved, and
/// nearer to the market; otherwise the order was modified.
pub(super) fn moved(
    change: OrderChange,
    before: Option<Price>,
    order: &Order,
    last: Price,
    (cause, reason): (Cause, Label),
) -> Conclusion {
    let alone = change.quantity.is_none() && change.limit.is_none() && order.reduces;
    match (before, order.stop.filter(|_| alone)) {
        (Some(from), Some(to)) if to != from && !loosens(order.side, from, to) => {
            Conclusion::Tightened(StopTightened { cause, order: order.id, from, to, best: last, reason })
        }
        _ => Conclusion::Modified(modified(cause, order, reason)),
    }
}

/// The new terms of an order.
pub(super) fn modified(cause: Cause, order: &Order, reason: Label) -> OrderModified {
    OrderModified {
        cause,
        order: order.id,
        event: OrderEvent::Modified,
        state: order.state,
        quantity: order.quantity,
        limit: order.limit,
        stop: order.stop,
        reason,
    }
}

/// A stop that somebody relies on.
fn is_protective(order: &Order) -> bool {
    order.trail.is_some() || (order.pair != 0 && order.stop.is_some())
}

/// Does a stop move away from the market?
fn loosens(side: Side, from: Price, to: Price) -> bool {
    match side {
        Side::Sell => to < from,
        Side::Buy => to > from,
    }
}

/// What a session's close ends: orders of the day, those whose instant has come, those whose price has been made.
pub(super) fn ends_with_session(order: &Order, session: &SessionHours, now: Nanos) -> Option<(OrderEvent, Label)> {
    let (event, reason) = match (order.time_in_force, order.order_type) {
        (TimeInForce::Day, _) => (OrderEvent::Expired, "session-closed"),
        (TimeInForce::Gtd, _) if now >= order.expires => (OrderEvent::Expired, "good-till-date"),
        (_, OrderType::MarketOnOpen) if order.decided <= session.open => (OrderEvent::Cancelled, "open-has-passed"),
        (_, OrderType::MarketOnClose) if order.decided < session.close => (OrderEvent::Cancelled, "close-has-passed"),
        _ => return None,
    };
    Some((event, Label::new(reason)))
}
