//! Taking the broker's position over: what somebody did by hand becomes ours, at what it cost.
//!
//! - Where trades that nobody of ours ordered explain the difference, they are booked, each at its own price; the newest
//!   first, for what was traded before the session began is not its business.
//! - Else what was reduced was left at the last price, and what was added cost what takes our average to theirs.
//! - Charges are those of the schedule: what was lost by hand counts in the day's loss like everything else.
//! - Must never: send anything.

use super::Core;
use super::books::Suspect;
use super::desk::Trade;
use crate::orders::{Order, OrderRequest};
use crate::outbox::Outbox;
use daybook_vocabulary::decimal::divide_rounded;
use daybook_vocabulary::{BrokerBook, BrokerFill, InstrumentId, Nanos, OrderEvent, OrderId, Price, Quantity, Side};

impl Core {
    /// Takes the broker's position over.
    pub(super) fn adopt(&mut self, suspect: &Suspect, book: &BrokerBook, out: &mut Outbox) {
        let (id, now) = (suspect.instrument, self.state.now);
        let difference = Quantity(i64::try_from(suspect.theirs - suspect.ours).unwrap_or_default());
        for fill in self.trades_that_explain(id, difference) {
            self.adopt_part(id, fill.side, fill.quantity, (fill.price, fill.exchange_time), out);
        }
        let theirs = Quantity(i64::try_from(suspect.theirs).unwrap_or_default());
        // What the trades did not explain: first what is reduced, then what is added.
        let ours = self.state.books[id.index()].position.quantity;
        let rest = theirs - ours;
        let side = if rest.0 > 0 { Side::Buy } else { Side::Sell };
        let reduced = self.state.books[id.index()].position.closing(side, rest.abs());
        let last = self.state.books[id.index()].last;
        for (quantity, price) in [(reduced, last), (rest.abs() - reduced, self.added_at(id, theirs, book))] {
            if quantity.0 > 0 {
                self.adopt_part(id, side, quantity, (price, now), out);
            }
        }
    }

    /// Trades of orders that are not ours and add up to a difference: the newest that do. They are ours from now on.
    fn trades_that_explain(&mut self, id: InstrumentId, difference: Quantity) -> Vec<BrokerFill> {
        let Some(broker) = &mut self.state.broker else { return Vec::new() };
        let mut sum = Quantity::ZERO;
        let mut first = None;
        for (place, (of, fill)) in broker.orphans.iter().enumerate().rev() {
            if *of == id {
                sum += fill.side.signed(fill.quantity);
                if sum == difference {
                    first = Some(place);
                    break;
                }
            }
        }
        let Some(first) = first else { return Vec::new() };
        let newer = broker.orphans.split_off(first);
        let (explain, others): (Vec<_>, Vec<_>) = newer.into_iter().partition(|(of, _)| *of == id);
        broker.orphans.extend(others);
        explain.into_iter().map(|(_, fill)| fill).collect()
    }

    /// What was added cost so much that our average becomes theirs; the last price, where that is no price near it.
    fn added_at(&self, id: InstrumentId, theirs: Quantity, book: &BrokerBook) -> Price {
        let ours = &self.state.books[id.index()];
        let average = book.positions.iter().find(|position| position.instrument == id).map(|position| position.average);
        let Some(average) = average.filter(|price| price.0 > 0) else { return ours.last };
        let same_side = (ours.position.quantity.0 > 0) == (theirs.0 > 0);
        let (held, paid) = match ours.position.quantity {
            held if same_side && !held.is_zero() => (held, ours.position.average_price()),
            _ => return average,
        };
        let added = theirs - held;
        if added.is_zero() {
            return average;
        }
        let value = i128::from(theirs.0) * i128::from(average.0) - i128::from(held.0) * i128::from(paid.0);
        let price = i64::try_from(divide_rounded(value, added.0.into())).unwrap_or_default();
        let near = |price: &i64| ours.last.0 <= 0 || (ours.last.0 / 2..=ours.last.0.saturating_mul(2)).contains(price);
        Some(price).filter(|price| *price > 0).filter(near).map_or(average, Price)
    }

    /// Books a part of it like a fill of an order that is ours only in name.
    fn adopt_part(
        &mut self,
        id: InstrumentId,
        side: Side,
        quantity: Quantity,
        (price, at): (Price, Nanos),
        out: &mut Outbox,
    ) {
        if price <= Price::ZERO {
            let text = "a position of the broker has no price yet: it cannot be taken over".to_owned();
            self.alarm(id, "not-adopted", text, out);
            return;
        }
        self.state.counts.orders += 1;
        let request = OrderRequest::market(side, quantity, "adopted");
        let mut order = Order::new(OrderId(self.state.counts.orders), &request, self.state.now);
        order.planned = price;
        for event in [OrderEvent::Sent, OrderEvent::Accepted] {
            assert!(!order.happens(event), "a new order is sent and accepted without surprise");
        }
        let cause = self.state.books[id.index()].cause;
        let trade = Trade::at(cause, id, (price, price), quantity, at, "adopted");
        let charges = self.charges(&trade, &order);
        self.book_fill(trade, charges, &mut order, out);
    }
}
