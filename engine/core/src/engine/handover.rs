//! Handover: a session whose orders went to a broker goes on at our own exchange, as a fork of it does.
//!
//! - What works there works here from now on, on the terms it has. What was on its way has arrived; a change or a cancel
//!   that was under way has not, and whoever wanted it asks again.
//! - What the broker is recorded to have said afterwards is not heard: it answered orders that are none of this story's.
//! - Money, positions and the numbers of orders stay. Nothing is concluded here, so nothing is journaled.
//! - Must never: happen to a session that sends orders.

use super::Core;
use daybook_vocabulary::{OrderEvent, OrderState};

impl Core {
    /// The same core, whose own exchange stands in a broker's place: orders are asked for in the terms a broker takes. Like
    /// the setup it is not state.
    pub fn in_brokers_terms(mut self) -> Self {
        self.in_brokers_terms = true;
        self.begin_keeping();
        self
    }

    /// Our own exchange takes over what works at the broker; nothing where no broker had it.
    pub fn leave_broker(&mut self) {
        if !std::mem::take(&mut self.brokered) {
            return;
        }
        let known = self.state.broker.take().map(|broker| broker.orders).unwrap_or_default();
        for order in self.state.books.iter_mut().flat_map(|book| &mut book.working) {
            let event = match order.state {
                OrderState::Sent | OrderState::Unknown => OrderEvent::Accepted,
                OrderState::PendingCancel => OrderEvent::CancelRejected,
                OrderState::PendingModify => {
                    let asked = known.get(&order.id).and_then(|known| known.asked);
                    if let Some(asked) = asked.filter(|asked| asked.before > order.filled) {
                        order.quantity = asked.before;
                    }
                    OrderEvent::ModifyRejected
                }
                _ => continue,
            };
            assert!(!order.happens(event), "what was under way may end like this");
        }
        self.state.seats.iter_mut().for_each(|seat| seat.holds = false);
        self.heed();
        self.prove();
    }
}
