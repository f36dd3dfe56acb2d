//! Placing orders.
//!
//! - A reply means that the order is registered, not that the exchange took it: what the exchange would refuse becomes a
//!   row that is rejected.
//! - Money and holdings are looked at before anything is registered.
//! - Every order goes the same way: of clients, of triggers, of second legs, of the broker's own squaring off.

use super::form::Fields;
use super::gtt::Fired;
use super::market::Listed;
use super::matching::protected;
use super::orders::{Order, word_of};
use super::refusal::{Answer, Refusal};
use super::wanted::{Wanted, percent_of};
use super::world::{Phase, World};
use crate::kite_wire::number::Decimal;
use crate::kite_wire::orders::{IcebergMeta, OrderMeta, OrderRow, Placed, Slice, SliceError};
use crate::kite_wire::sign::checksum;
use crate::kite_wire::stamp::stamp;
use crate::kite_wire::words::{OrderType, Product, Status, Validity, Variety};
use daybook_vocabulary::{Money, Nanos, Price, Side};

const ORDERS_PER_DAY: u32 = 5_000;
const SLICES_MAX: i64 = 10;
const MINUTE: i64 = 60_000_000_000;
/// The one user.
pub const USER: &str = "SIM001";

impl World {
    /// Places what a client's fields ask for.
    pub fn place(&mut self, variety: &str, fields: &Fields) -> Answer<Placed> {
        let wanted = Wanted::read(variety, fields, |symbol| self.place_of(symbol))?;
        wanted.check(&self.market.listed()[wanted.listed], self.board.quote(wanted.listed))?;
        self.check_hours(&wanted)?;
        if wanted.autoslice && wanted.quantity > self.setup.freeze {
            return self.place_slices(&wanted);
        }
        let order_id = self.submit(wanted, None)?;
        self.settle();
        Ok(Placed { order_id, children: None })
    }

    fn check_hours(&self, wanted: &Wanted) -> Answer<()> {
        let phase = self.phase(wanted.listed);
        match (&wanted.variety, phase) {
            (Variety::Amo, Phase::Closed) => Ok(()),
            (Variety::Amo, _) => {
                Err(Refusal::order("After market orders are taken while the market is closed; place a regular order."))
            }
            (_, Phase::Closed) => {
                Err(Refusal::order("The market is closed. Place an after market order (variety amo) instead."))
            }
            _ if wanted.product == Product::Mis && self.is_squared_off(wanted.listed) => Err(Refusal::order(
                "Intraday positions have been squared off; MIS orders are not taken any more today.",
            )),
            _ => Ok(()),
        }
    }

    fn place_slices(&mut self, wanted: &Wanted) -> Answer<Placed> {
        let freeze = self.setup.freeze;
        let slices = (wanted.quantity + freeze - 1) / freeze;
        if slices > SLICES_MAX {
            return Err(Refusal::input(format!(
                "Invalid `quantity`: at most {SLICES_MAX} slices of {freeze} can be placed at once."
            )));
        }
        let (_, parent) = self.orders.next_id(self.now);
        let mut children = Vec::new();
        for slice in 0..slices {
            let mut one = wanted.clone();
            one.quantity = freeze.min(wanted.quantity - slice * freeze);
            one.tags.extend(["autoslice".to_owned(), format!("autoslice:{parent}")]);
            children.push(match self.submit(one, None) {
                Ok(order_id) => Slice { order_id: Some(order_id), error: None },
                Err(Refusal { code, kind: error_type, message }) => {
                    Slice { order_id: None, error: Some(SliceError { code, error_type, message, data: None }) }
                }
            });
        }
        self.settle();
        Ok(Placed { order_id: parent, children: Some(children) })
    }

    /// Registers an order and sends it on its way; hands back its id.
    pub(super) fn submit(&mut self, wanted: Wanted, parent: Option<String>) -> Answer<String> {
        if self.orders.placed_today() >= ORDERS_PER_DAY {
            return Err(Refusal::too_many_today(format!(
                "Too many requests: maximum allowed orders of a day ({ORDERS_PER_DAY}) exceeded."
            )));
        }
        self.check_means(&wanted)?;
        let (key, order) = self.order_of(&wanted, parent);
        let id = order.row.order_id.clone();
        self.register(key, order);
        if wanted.variety == Variety::Amo {
            let now = self.now;
            self.orders.get_mut(key).enter(Status::AmoReqReceived, now);
            self.tell(key, false);
        } else {
            self.send(key);
        }
        Ok(id)
    }

    /// Is there money, are there shares?
    fn check_means(&self, wanted: &Wanted) -> Answer<()> {
        let last = self.board.quote(wanted.listed).snapshot.last;
        let key = (wanted.listed, wanted.product.clone());
        let mut needs = self.needs();
        if wanted.side == Side::Sell && matches!(wanted.product, Product::Cnc | Product::Mtf) {
            let sell = |need: &&super::account::Need| need.key == key && need.side == Side::Sell;
            let promised: i64 = needs.iter().filter(sell).map(|need| need.quantity).sum();
            let sellable = match wanted.product {
                Product::Cnc => self.account.sellable(wanted.listed),
                _ => self.account.quantity(&key),
            };
            if wanted.quantity > sellable - promised {
                let left = (sellable - promised).max(0);
                return Err(Refusal::holding(format!(
                    "Insufficient holdings. {} shares are to be sold and {left} are there.",
                    wanted.quantity
                )));
            }
            return Ok(());
        }
        let before = self.account.blocked(&needs, &self.board);
        let price = wanted.price.or(wanted.trigger.filter(|_| wanted.variety != Variety::Co)).unwrap_or(last);
        let quantity = wanted.quantity;
        needs.push(super::account::Need { key, side: wanted.side, quantity, price });
        let more = self.account.blocked(&needs, &self.board) - before;
        needs.pop();
        self.check_money(more, &needs)
    }

    /// Is so much more money there?
    pub(super) fn check_money(&self, more: Money, needs: &[super::account::Need]) -> Answer<()> {
        let net = self.account.net(needs, &self.board);
        if more > net && more > Money::ZERO {
            return Err(Refusal::margin(format!(
                "Insufficient funds. Required margin is {more} but available margin is {net}. \
                 Check the orderbook for open orders."
            )));
        }
        Ok(())
    }

    fn order_of(&mut self, wanted: &Wanted, parent: Option<String>) -> (u64, Order) {
        let now = self.now;
        let (key, order_id) = self.orders.next_id(now);
        let of = &self.market.listed()[wanted.listed];
        let quote = self.board.quote(wanted.listed);
        let mut tags = wanted.tags.clone();
        let percent = match wanted.order_type {
            OrderType::Market | OrderType::SlM => percent_of(wanted.protection, quote.snapshot.last),
            _ => 0,
        };
        let market = wanted.order_type == OrderType::Market;
        // Before the opening a market order takes the opening price, whatever it is.
        let limit = if market && self.phase(wanted.listed) == Phase::Continuous {
            let limit = protected(wanted.side, quote.snapshot.last, percent, quote.tick);
            Some(limit.clamp(quote.lower, quote.upper.max(quote.lower)))
        } else {
            wanted.price
        };
        let shown_as_limit = market && wanted.protection.0 > 0 && limit.is_some();
        if shown_as_limit {
            tags.extend(["mktp".to_owned(), format!("mktp:{}", two_places(percent))]);
        }
        let shown_price = if shown_as_limit { limit } else { wanted.price };
        let cover = wanted.variety == Variety::Co;
        let row = row_of(wanted, of, order_id, parent, now);
        let row = OrderRow {
            order_type: if shown_as_limit { OrderType::Limit } else { wanted.order_type.clone() },
            price: shown_price.map(Decimal::from).unwrap_or_default(),
            tag: tags.first().cloned(),
            tags: (!tags.is_empty()).then_some(tags),
            ..row
        };
        let order = Order {
            row,
            listed: wanted.listed,
            side: wanted.side,
            limit,
            trigger: wanted.trigger.filter(|_| !cover),
            value: 0,
            brokerage: Money::ZERO,
            modifications: 0,
            expires: (wanted.validity == Validity::Ttl).then(|| now + wanted.minutes * MINUTE),
            registered: now,
            protection: percent,
            cover: wanted.trigger.filter(|_| cover),
            child: None,
            covered: 0,
            history: Vec::new(),
        };
        (key, order)
    }

    fn register(&mut self, key: u64, mut order: Order) {
        order.enter(Status::PutOrderReqReceived, self.now);
        order.enter(Status::ValidationPending, self.now);
        self.orders.insert(key, order);
    }

    /// From validation to the exchange, or to a rejection.
    fn send(&mut self, key: u64) {
        let now = self.now;
        if let Some((message, raw)) = self.objection(key) {
            let order = self.orders.get_mut(key);
            order.row.status_message = Some(message);
            order.row.status_message_raw = Some(raw);
            order.row.cancelled_quantity = 0;
            order.row.pending_quantity = 0;
            order.enter(Status::Rejected, now);
            self.tell(key, true);
            return;
        }
        let order = self.orders.get_mut(key);
        order.enter(Status::OpenPending, now);
        order.accepted(key, now);
        order.enter(if order.trigger.is_some() { Status::TriggerPending } else { Status::Open }, now);
        self.orders.note(key);
        self.tell(key, false);
        self.arrive(key);
    }

    /// Why the exchange would not take it: for people, and in its own words.
    fn objection(&self, key: u64) -> Option<(String, String)> {
        let order = self.orders.get(key);
        let (row, quote) = (&order.row, self.board.quote(order.listed));
        let say = |message: &str, raw: &str| Some((message.to_owned(), raw.to_owned()));
        if row.quantity > self.setup.freeze {
            let raw = format!("RMS:Rule: quantity {} is above the freeze quantity {}", row.quantity, self.setup.freeze);
            return Some(("Quantity is above the freeze quantity of the exchange. Try autoslice.".to_owned(), raw));
        }
        let limits = [row.price, row.trigger_price].into_iter().filter_map(Decimal::price).filter(|price| price.0 > 0);
        for price in limits {
            if price < quote.lower || price > quote.upper {
                let raw = format!(
                    "RMS:Rule: Check circuit limit, price {price} not within {} - {}",
                    quote.lower, quote.upper
                );
                return Some(("The price is outside the day's circuit limits.".to_owned(), raw));
            }
        }
        let market = order.limit.is_none() && order.trigger.is_none();
        let plain = order.trigger.is_none() && row.validity != Validity::Ioc && row.disclosed_quantity == 0;
        let plain = plain && row.variety != Variety::Iceberg && row.variety != Variety::Co;
        match self.phase(order.listed) {
            Phase::Wait | Phase::Closed => {
                say("No orders are taken in this phase of the session.", "16346 : No order entry in this session")
            }
            Phase::Auction { market: false } if market => {
                say("Market orders are currently not allowed.", "Market orders are currently not allowed.")
            }
            Phase::Auction { .. } | Phase::PreOpen if !plain => {
                say("This kind of order is not taken in an auction.", "Order type not allowed in this session")
            }
            Phase::PostClose if !plain || row.product == Product::Mis => {
                say("This kind of order is not taken after the close.", "Order type not allowed in this session")
            }
            _ => None,
        }
    }

    /// The session begins: what was collected is sent.
    pub(super) fn release_collected(&mut self) {
        let collected = |order: &Order| order.row.status == Status::AmoReqReceived;
        let keys: Vec<u64> = self.orders.iter().filter(|(_, order)| collected(order)).map(|(key, _)| key).collect();
        for key in keys {
            let now = self.now;
            self.orders.get_mut(key).enter(Status::ValidationPending, now);
            self.send(key);
        }
    }

    /// The second leg of a cover order: a stop for what the first has filled.
    pub(super) fn place_second_leg(&mut self, first: u64, trigger: Price, quantity: i64) {
        let parent = self.orders.get(first);
        let (listed, side) = (parent.listed, parent.side.opposite());
        let parent_id = parent.row.order_id.clone();
        let wanted = Wanted {
            order_type: OrderType::SlM,
            trigger: Some(trigger),
            variety: Variety::Co,
            ..self.plain(listed, side, quantity, Product::Mis)
        };
        let (key, mut order) = self.order_of(&wanted, Some(parent_id));
        // Of this leg the trigger is its own.
        (order.trigger, order.cover) = (order.cover, None);
        self.register(key, order);
        self.orders.get_mut(first).child = Some(key);
        let now = self.now;
        let leg = self.orders.get_mut(key);
        leg.enter(Status::OpenPending, now);
        leg.accepted(key, now);
        leg.enter(Status::TriggerPending, now);
        self.orders.note(key);
        self.tell(key, false);
    }

    /// The next leg of an iceberg.
    pub(super) fn place_next_leg(&mut self, last: u64) {
        let order = self.orders.get(last).clone();
        let Some(iceberg) = order.row.meta.iceberg.clone().filter(|iceberg| iceberg.remaining_quantity > 0) else {
            return;
        };
        let parent = order.row.parent_order_id.clone().unwrap_or_else(|| order.row.order_id.clone());
        let quantity = iceberg.leg_quantity.min(iceberg.remaining_quantity);
        let wanted = Wanted {
            variety: Variety::Iceberg,
            order_type: OrderType::Limit,
            price: order.limit,
            validity: order.row.validity.clone(),
            minutes: order.row.validity_ttl,
            tags: order.row.tags.clone().unwrap_or_default(),
            ..self.plain(order.listed, order.side, quantity, order.row.product.clone())
        };
        let (key, mut leg) = self.order_of(&wanted, Some(parent));
        leg.expires = order.expires;
        let remaining_quantity = iceberg.remaining_quantity - quantity;
        leg.row.meta.iceberg = Some(IcebergMeta { leg: iceberg.leg + 1, remaining_quantity, ..iceberg });
        self.register(key, leg);
        self.send(key);
    }

    /// The broker's own order that squares a position off.
    pub(super) fn broker_order(&mut self, listed: usize, side: Side, quantity: i64) {
        let mut wanted = self.plain(listed, side, quantity, Product::Mis);
        wanted.protection = Decimal(20 * i128::from(daybook_vocabulary::decimal::SCALE));
        wanted.tags = vec!["squareoff".to_owned()];
        for done in (0..quantity).step_by(usize::try_from(self.setup.freeze).unwrap_or(usize::MAX)) {
            wanted.quantity = (quantity - done).min(self.setup.freeze);
            let (key, mut order) = self.order_of(&wanted, None);
            order.row.placed_by = "RMS".to_owned();
            self.register(key, order);
            self.send(key);
        }
    }

    /// The order of a trigger that has come.
    pub(super) fn place_triggered(&mut self, fired: &Fired) -> Answer<String> {
        let order = &fired.order;
        let side = super::orders::side_of(&order.transaction_type);
        let listed = self.place_of(&order.tradingsymbol);
        let (Some(side), Some(listed)) = (side, listed) else {
            return Err(Refusal::input("The instrument of the trigger is not listed any more."));
        };
        let wanted = Wanted {
            order_type: OrderType::Limit,
            price: order.price.price(),
            ..self.plain(listed, side, order.quantity, order.product.clone())
        };
        wanted.check(&self.market.listed()[listed], self.board.quote(listed))?;
        self.submit(wanted, None)
    }

    /// A market order of the day, automatically protected.
    fn plain(&self, listed: usize, side: Side, quantity: i64, product: Product) -> Wanted {
        Wanted {
            variety: Variety::Regular,
            listed,
            side,
            order_type: OrderType::Market,
            product,
            validity: Validity::Day,
            minutes: 0,
            quantity,
            disclosed: 0,
            price: None,
            trigger: None,
            protection: Decimal(-i128::from(daybook_vocabulary::decimal::SCALE)),
            legs: 1,
            tags: Vec::new(),
            autoslice: false,
        }
    }
}

/// The row of an order as it comes in.
fn row_of(wanted: &Wanted, of: &Listed, order_id: String, parent: Option<String>, now: Nanos) -> OrderRow {
    let leg = (wanted.quantity + wanted.legs - 1) / wanted.legs;
    OrderRow {
        placed_by: USER.to_owned(),
        account_id: USER.to_owned(),
        guid: checksum(&["guid", &order_id])[..16].to_owned(),
        order_id,
        exchange_order_id: None,
        parent_order_id: parent,
        status: Status::PutOrderReqReceived,
        status_message: None,
        status_message_raw: None,
        order_timestamp: Some(stamp(now)),
        exchange_timestamp: None,
        exchange_update_timestamp: None,
        variety: wanted.variety.clone(),
        modified: false,
        exchange: "NSE".to_owned(),
        tradingsymbol: of.symbol.clone(),
        instrument_token: of.token,
        transaction_type: word_of(wanted.side),
        order_type: wanted.order_type.clone(),
        product: wanted.product.clone(),
        validity: wanted.validity.clone(),
        validity_ttl: wanted.minutes,
        quantity: leg,
        disclosed_quantity: wanted.disclosed,
        price: Decimal::ZERO,
        trigger_price: wanted.trigger.map(Decimal::from).unwrap_or_default(),
        average_price: Decimal::ZERO,
        filled_quantity: 0,
        pending_quantity: leg,
        cancelled_quantity: 0,
        market_protection: wanted.protection,
        auction_number: None,
        meta: meta_of(wanted, leg),
        tag: None,
        tags: None,
    }
}

fn meta_of(wanted: &Wanted, leg: i64) -> OrderMeta {
    let iceberg = (wanted.variety == Variety::Iceberg && wanted.legs > 1).then(|| IcebergMeta {
        leg: 1,
        legs: wanted.legs,
        leg_quantity: leg,
        total_quantity: wanted.quantity,
        remaining_quantity: wanted.quantity - leg,
    });
    OrderMeta { iceberg }
}

/// A percentage with two places, as tags show it.
fn two_places(percent: i128) -> String {
    let hundredths = daybook_vocabulary::decimal::divide_rounded(percent, 1_000_000);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
