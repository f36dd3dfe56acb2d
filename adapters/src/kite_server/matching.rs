//! Orders meet the market.
//!
//! - At which price an order trades is the engine's exchange's answer, tick by tick. How much: what the tick traded, then
//!   what the book shows on the other side; the rest waits. So large orders fill in parts.
//! - A new order meets the book at once; a trigger looks at last prices only.
//! - What a fill brings about (a second leg, the next leg of an iceberg) is placed when the moment's fills are done.

use super::gtt::Fired;
use super::market::{ChargeQuery, MarketTick, Resting};
use super::orders::Order;
use super::world::{Phase, World};
use crate::kite_wire::packet::BookLine;
use crate::kite_wire::stamp;
use crate::kite_wire::words::{Product, Status, Validity};
use daybook_vocabulary::{Money, Price, Side};

impl World {
    /// A tick meets the orders of its instrument, and the triggers that the broker holds.
    pub(super) fn meet(&mut self, tick: &MarketTick) {
        if self.phase(tick.listed) != Phase::Continuous {
            return;
        }
        // The tick's own trade; one that only moved the price counts as one lot.
        let lot = self.market.listed()[tick.listed].lot;
        let mut print = tick.volume.max(lot).min(self.setup.fill_max.unwrap_or(i64::MAX));
        for key in self.orders.working(tick.listed) {
            if self.orders.get(key).is_working() {
                self.meet_print(key, tick.price, &mut print);
            }
            if self.orders.get(key).is_working() {
                self.meet_book(key);
            }
        }
        let fired = self.gtts.fired(tick.listed, tick.price);
        for fired in fired {
            self.fire(fired);
        }
    }

    /// A new order, or one that was changed, meets the book.
    pub(super) fn arrive(&mut self, key: u64) {
        let order = self.orders.get(key);
        if self.phase(order.listed) == Phase::Continuous {
            self.meet_book(key);
        } else if self.phase(order.listed) == Phase::PostClose {
            let close = self.board.quote(order.listed).snapshot.last;
            let (remaining, mut resting) =
                (order.remaining(), Resting { side: order.side, limit: order.limit, trigger: order.trigger });
            if self.market.trades_at(&mut resting, close).is_some() {
                self.fill(key, remaining, close);
            }
        }
        let order = self.orders.get(key);
        if order.is_working() && order.row.validity == Validity::Ioc {
            self.end_order(key, Status::Cancelled, Some("Order cancelled: it was not filled at once"));
        }
    }

    /// Places what fills have brought about.
    pub(super) fn settle(&mut self) {
        while let Some(key) = self.followups.pop_front() {
            self.follow_up(key);
        }
    }

    fn meet_print(&mut self, key: u64, price: Price, print: &mut i64) {
        let order = self.orders.get(key);
        let mut resting = Resting { side: order.side, limit: order.limit, trigger: order.trigger };
        let waited = order.trigger.is_some();
        let trades_at = self.market.trades_at(&mut resting, price);
        if waited && resting.trigger.is_none() {
            self.triggered(key, price);
        }
        // A protected market order behind a trigger has its limit only now.
        let order = self.orders.get(key);
        let allowed = trades_at.filter(|at| order.limit.is_none_or(|limit| within(order.side, *at, limit)));
        if let Some(at) = allowed {
            let quantity = order.remaining().min(*print);
            if quantity > 0 {
                *print -= quantity;
                self.fill(key, quantity, at);
            }
        }
    }

    fn triggered(&mut self, key: u64, price: Price) {
        let (now, tick) = (self.now, self.board.quote(self.orders.get(key).listed).tick);
        let order = self.orders.get_mut(key);
        order.trigger = None;
        if order.limit.is_none() && order.protection > 0 {
            order.limit = Some(protected(order.side, price, order.protection, tick));
        }
        order.enter(Status::Open, now);
        self.tell(key, false);
    }

    fn meet_book(&mut self, key: u64) {
        let order = self.orders.get(key);
        if order.trigger.is_some() {
            return;
        }
        let (listed, side) = (order.listed, order.side);
        let lines: [BookLine; 5] = self.board.quote(listed).opposite(side);
        for (level, line) in lines.iter().enumerate().filter(|(_, line)| line.quantity > 0) {
            let order = self.orders.get(key);
            if !order.is_working() {
                return;
            }
            let mut resting = Resting { side, limit: order.limit, trigger: None };
            let Some(at) = self.market.trades_at(&mut resting, line.price) else { return };
            let quantity = order.remaining().min(line.quantity);
            if quantity <= 0 {
                return;
            }
            self.board.take(listed, side, level, quantity);
            self.fill(key, quantity, at);
        }
    }

    /// Books a fill everywhere.
    pub(super) fn fill(&mut self, key: u64, quantity: i64, price: Price) {
        let now = self.now;
        let order = self.orders.get_mut(key);
        let (listed, side, product) = (order.listed, order.side, order.row.product.clone());
        let (value_before, brokerage_before) = (Money(order.value), order.brokerage);
        order.filled(quantity, price);
        let whole = order.remaining() == 0;
        order.enter(if whole { Status::Complete } else { Status::Open }, now);
        self.orders.note(key);
        self.orders.trade(key, quantity, price, now);
        let delivery = matches!(product, Product::Cnc | Product::Mtf);
        let date = stamp::date_of(now);
        let leaves_account = self.account.fill(&(listed, product), side, quantity, price);
        let query =
            ChargeQuery { date, delivery, side, price, quantity, value_before, brokerage_before, leaves_account };
        let charges = self.market.charges(query);
        self.orders.get_mut(key).brokerage += charges.brokerage;
        self.account.charge(charges.total());
        self.tell(key, true);
        let order = self.orders.get(key);
        if order.cover.is_some() || (whole && has_next_leg(order)) {
            self.followups.push_back(key);
        }
    }

    fn follow_up(&mut self, key: u64) {
        let order = self.orders.get(key);
        let Some(trigger) = order.cover else { return self.place_next_leg(key) };
        let (filled, bare) = (order.row.filled_quantity, order.row.filled_quantity - order.covered);
        let working = order.child.filter(|child| self.orders.get(*child).is_working());
        if bare <= 0 {
            return;
        }
        self.orders.get_mut(key).covered = filled;
        match working {
            // The stop that waits grows with what the first leg fills.
            Some(child) => {
                let order = self.orders.get_mut(child);
                order.row.quantity += bare;
                order.row.pending_quantity = order.remaining();
                self.tell(child, true);
            }
            None => self.place_second_leg(key, trigger, bare),
        }
    }

    /// A trigger that the broker held has come: its order is placed like any other.
    fn fire(&mut self, fired: Fired) {
        let now = self.now;
        let placed = self.place_triggered(&fired);
        self.gtts.settle(&fired, placed, now);
    }
}

/// Is the price at least as good as the limit?
pub(super) fn within(side: Side, price: Price, limit: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

/// The limit of a protected market order: so many percent behind the last price, on the tick that is nearer to it.
pub(super) fn protected(side: Side, last: Price, percent: i128, tick: Price) -> Price {
    let away = super::board::percent_of(last, percent);
    let step = tick.0.max(1);
    match side {
        Side::Buy => Price(last.0.saturating_add(away).div_euclid(step) * step).max(Price(step)),
        Side::Sell => {
            let limit = last.0.saturating_sub(away).max(step);
            Price(limit.div_euclid(step) * step + if limit.rem_euclid(step) == 0 { 0 } else { step })
        }
    }
}

fn has_next_leg(order: &Order) -> bool {
    order.row.meta.iceberg.as_ref().is_some_and(|iceberg| iceberg.leg < iceberg.legs && iceberg.remaining_quantity > 0)
}
