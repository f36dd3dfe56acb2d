//! Exits of a bracket: the stop and the target of what a fill has opened.
//!
//! - They work from the fill on, in the candle of the fill too: between an entry and the next decision a position would
//!   otherwise stand without its stop, and gaps are not known to wait.
//! - Every fill has its own pair, for exactly what it opened: an entry that fills in parts is covered part by part. Where
//!   all levels are prices the parts would have the same pair, so there is one, and it grows with the entry.
//! - By setting they work from the next candle on only, as in engines that bracket so.
//! - What one of a pair fills, the other gives up: it is cancelled and, where something is left, placed again for that.
//! - They are judged, numbered and journaled like every order.

use super::Core;
use super::changes::modified;
use super::desk::{Trade, end_order};
use crate::exchange::Phase;
use crate::orders::{Bracket, Level, Order, OrderRequest, Trigger};
use crate::outbox::{Conclusion, Outbox};
use daybook_config::{ExitsFrom, Sequence, StopBasis};
use daybook_vocabulary::{InstrumentId, Label, Nanos, OrderEvent, Price, Side};

impl Core {
    /// Places the exits of what a fill of `entry` has opened: `opened` is the fill, with the opened quantity.
    pub(super) fn protect(
        &mut self,
        bracket: Bracket,
        entry: &Order,
        opened: Trade,
        (phase, decided): (Phase, Nanos),
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) {
        if resized(&bracket, entry, opened, working, out) {
            return;
        }
        let first = working.len();
        let long = entry.side == Side::Buy;
        let side = entry.side.opposite();
        let pair = self.state.counts.fills;
        let tick = self.rules.tick(&self.setup.instruments[opened.id.index()]);
        let basis = if self.rules.stop_basis == StopBasis::Signal { entry.planned } else { opened.price };
        let later = self.rules.exits_from == ExitsFrom::Next;
        let decided = if later { self.state.now } else { decided };
        if let Some(level) = bracket.stop {
            // A stop beyond the market is touched where the market is, not where it would have liked to be.
            let level = level.price(basis, !long).round_to(tick);
            let level = match (later, long) {
                (true, _) => level,
                (false, true) => level.min(opened.reference),
                (false, false) => level.max(opened.reference),
            };
            let request = match bracket.stop {
                Some(Level::Trail(trail)) => {
                    let request = OrderRequest::trailing(side, opened.quantity, trail, "stop");
                    OrderRequest { stop: Some(level), ..request }
                }
                _ => OrderRequest::stop(side, opened.quantity, level, "stop"),
            };
            self.place_exit(opened.id, request, pair, (decided, Trigger::Armed), working, out);
        }
        if let Some(level) = bracket.target {
            let request = OrderRequest::limit(side, opened.quantity, level.price(basis, long), "target");
            self.place_exit(opened.id, request, pair, (decided, Trigger::Armed), working, out);
        }
        let born = if phase == Phase::Open { 0 } else { self.state.books[opened.id.index()].bars + 1 };
        for exit in &mut working[first..] {
            (exit.parent, exit.born) = (entry.id, born);
        }
        let parent = working.iter().position(|order| order.id == entry.id);
        if let Some(place) = parent.filter(|_| self.rules.sequence == Sequence::Queue) {
            // In a queue they were submitted with their parent and stand behind it, before whatever came since.
            let added = working.len() - first;
            working[place + 1..].rotate_right(added);
        }
    }

    /// The twin of an exit that has just filled gives up as much.
    pub(super) fn give_up(&mut self, filled: &Order, trade: Trade, working: &mut Vec<Order>, out: &mut Outbox) {
        let is_twin = |order: &Order| order.pair == filled.pair && order.id != filled.id && order.is_working();
        let Some(twin) = working.iter_mut().find(|order| is_twin(order)) else { return };
        let reason = Label::new("one-cancels-other");
        end_order(trade.id, trade.cause, twin, OrderEvent::Cancelled, reason, &mut self.state.ledger, out);
        let twin = *twin;
        if twin.remaining() > trade.quantity {
            let request = OrderRequest {
                side: twin.side,
                quantity: twin.remaining() - trade.quantity,
                order_type: twin.order_type,
                time_in_force: twin.time_in_force,
                limit: twin.limit,
                stop: twin.stop,
                trail: twin.trail,
                expires: None,
                client: 0,
                group: 0,
                bracket: None,
                reason: twin.reason,
            };
            let first = working.len();
            self.place_exit(trade.id, request, twin.pair, (twin.decided, twin.trigger), working, out);
            for exit in &mut working[first..] {
                (exit.parent, exit.born) = (twin.parent, twin.born);
            }
        }
    }

    fn place_exit(
        &mut self,
        id: InstrumentId,
        request: OrderRequest,
        pair: u64,
        (decided, trigger): (Nanos, Trigger),
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) {
        // The gate looks at what works: it lies in the book while it is asked.
        std::mem::swap(&mut self.state.books[id.index()].working, working);
        let admitted = self.admit(id, request, (false, decided), None, out);
        std::mem::swap(&mut self.state.books[id.index()].working, working);
        if let Some(order) = admitted {
            working.push(Order { pair, trigger, ..order });
        }
    }
}

/// Is a price worse for a side than its limit?
pub(super) fn is_beyond_limit(side: Side, price: Price, limit: Price) -> bool {
    match side {
        Side::Buy => price > limit,
        Side::Sell => price < limit,
    }
}

/// Gives the exits that an order has already got what another fill of it opened; false where there are none, or where
/// their levels are another fill's.
fn resized(bracket: &Bracket, entry: &Order, opened: Trade, working: &mut [Order], out: &mut Outbox) -> bool {
    let by_price = |level: &Option<Level>| matches!(level, None | Some(Level::At(_)));
    if entry.filled == opened.quantity || !by_price(&bracket.stop) || !by_price(&bracket.target) {
        return false;
    }
    let mut found = false;
    for exit in working.iter_mut().filter(|order| order.parent == entry.id && order.is_working()) {
        exit.quantity += opened.quantity;
        found = true;
        for event in [OrderEvent::ModifyRequested, OrderEvent::Modified] {
            assert!(!exit.happens(event), "an exit that works is resized without surprise");
        }
        let reason = Label::new("resized");
        out.push(opened.id, Conclusion::Modified(modified(opened.cause, exit, reason)));
    }
    found
}
