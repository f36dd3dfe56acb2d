//! Changing and cancelling orders, converting positions.
//!
//! - Only what stands at the exchange, or waits for the session, can be changed; anything else is an `OrderException`.
//! - A quantity is the new total, what has filled included.
//! - An order may be modified 25 times.
//! - Cancelling the second leg of a cover order exits it at the market.

use super::form::Fields;
use super::matching::protected;
use super::orders::side_of;
use super::refusal::{Answer, Refusal};
use super::wanted::{check_prices, check_protection, percent_of};
use super::world::World;
use crate::kite_wire::number::Decimal;
use crate::kite_wire::orders::Placed;
use crate::kite_wire::words::{OrderType, Product, Status, Transaction, Validity, Variety};
use daybook_vocabulary::{Money, Price, Side};

const MODIFICATIONS_MAX: u32 = 25;
const MINUTE: i64 = 60_000_000_000;

/// What an order is to become.
struct Change {
    order_type: OrderType,
    quantity: i64,
    disclosed: i64,
    price: Option<Price>,
    trigger: Option<Price>,
    validity: Validity,
    /// Of a `TTL` that is new: its minutes from now on.
    minutes: Option<i64>,
    protection: Decimal,
}

impl World {
    /// Modifies an order.
    pub fn modify(&mut self, variety: &str, id: &str, fields: &Fields) -> Answer<Placed> {
        let key = self.order(id)?;
        let order = self.orders.get(key);
        if order.row.variety != Variety::from(variety) {
            return Err(Refusal::input("Invalid `variety`: the order has another one."));
        }
        if !order.is_working() && order.row.status != Status::AmoReqReceived {
            return Err(Refusal::order(format!("Order cannot be modified as it is {}.", order.row.status)));
        }
        if order.modifications >= MODIFICATIONS_MAX {
            return Err(Refusal::order("Maximum allowed order modifications exceeded."));
        }
        let change = self.read_change(key, fields)?;
        self.check_change(key, &change)?;
        self.carry_out(key, change);
        self.settle();
        Ok(Placed { order_id: id.to_owned(), children: None })
    }

    fn read_change(&self, key: u64, fields: &Fields) -> Answer<Change> {
        let order = self.orders.get(key);
        let row = &order.row;
        let order_type = fields.get("order_type").map_or_else(|| row.order_type.clone(), OrderType::from);
        let validity = fields.get("validity").map_or_else(|| row.validity.clone(), Validity::from);
        if !order_type.is_known() || !validity.is_known() {
            return Err(Refusal::input("Invalid `order_type` or `validity`."));
        }
        let priced = matches!(order_type, OrderType::Limit | OrderType::Sl);
        let waits = matches!(order_type, OrderType::Sl | OrderType::SlM);
        let price = fields.price("price")?.filter(|price| price.0 > 0).or(order.limit).filter(|_| priced);
        let trigger = fields.price("trigger_price")?.filter(|price| price.0 > 0);
        let trigger = if row.variety == Variety::Co && row.parent_order_id.is_none() {
            trigger
        } else {
            trigger.or(order.trigger).filter(|_| waits)
        };
        Ok(Change {
            quantity: fields.count("quantity")?.unwrap_or(row.quantity),
            disclosed: fields.count("disclosed_quantity")?.unwrap_or(row.disclosed_quantity),
            protection: fields.decimal("market_protection")?.unwrap_or(row.market_protection),
            minutes: fields.count("validity_ttl")?.filter(|_| validity == Validity::Ttl),
            order_type,
            price,
            trigger,
            validity,
        })
    }

    fn check_change(&self, key: u64, change: &Change) -> Answer<()> {
        let order = self.orders.get(key);
        let quote = self.board.quote(order.listed);
        let lot = self.market.listed()[order.listed].lot;
        if change.quantity <= 0 || change.quantity % lot != 0 {
            return Err(Refusal::input("Invalid `quantity`."));
        }
        if change.quantity > self.setup.freeze {
            return Err(Refusal::order("The quantity is above the freeze quantity of the exchange."));
        }
        if change.quantity <= order.row.filled_quantity {
            return Err(Refusal::order("The quantity is not above what has filled already."));
        }
        if change.minutes.map_or(change.validity == Validity::Ttl && order.expires.is_none(), |minutes| {
            !(1..=375).contains(&minutes)
        }) {
            return Err(Refusal::input("Invalid `validity_ttl`: minutes from 1 on."));
        }
        let shown = change.disclosed;
        if shown > 0 && (shown > change.quantity || shown * 10 < change.quantity || change.validity == Validity::Ioc) {
            return Err(Refusal::input(
                "Invalid `disclosed_quantity`: 10 % to 100 % of the quantity, and not of an IOC.",
            ));
        }
        let cover = order.row.variety == Variety::Co && order.row.parent_order_id.is_none();
        check_prices(&change.order_type, order.side, change.price, change.trigger, quote, cover)?;
        check_protection(&change.order_type, change.protection)?;
        let outside = |price: Price| price < quote.lower || price > quote.upper;
        if [change.price, change.trigger].into_iter().flatten().any(outside) {
            return Err(Refusal::order(format!(
                "The price is outside the day's circuit limits ({} - {}).",
                quote.lower, quote.upper
            )));
        }
        self.check_means_of_change(key, change)
    }

    fn check_means_of_change(&self, key: u64, change: &Change) -> Answer<()> {
        let order = self.orders.get(key);
        let listed = order.listed;
        let mut needs = self.needs();
        let own = self.need_of(order);
        if order.side == Side::Sell && order.row.product == Product::Cnc {
            let sell = |need: &&super::account::Need| need.key == own.key && need.side == Side::Sell;
            let promised: i64 = needs.iter().filter(sell).map(|need| need.quantity).sum::<i64>() - own.quantity;
            let wants = change.quantity - order.row.filled_quantity;
            return if wants <= self.account.sellable(listed) - promised {
                Ok(())
            } else {
                Err(Refusal::holding("Insufficient holdings for the new quantity."))
            };
        }
        let before = self.account.blocked(&needs, &self.board);
        let net = needs.clone();
        if let Some(at) = needs.iter().position(|need| *need == own) {
            needs.remove(at);
        }
        let price = change.price.or(change.trigger).unwrap_or(self.board.quote(listed).snapshot.last);
        let quantity = change.quantity - order.row.filled_quantity;
        needs.push(super::account::Need { quantity, price, ..own });
        self.check_money(self.account.blocked(&needs, &self.board) - before, &net)
    }

    fn carry_out(&mut self, key: u64, change: Change) {
        let now = self.now;
        let quote = self.board.quote(self.orders.get(key).listed);
        let (last, tick) = (quote.snapshot.last, quote.tick);
        let order = self.orders.get_mut(key);
        let collected = order.row.status == Status::AmoReqReceived;
        let cover = order.row.variety == Variety::Co && order.row.parent_order_id.is_none();
        if !collected {
            order.enter(Status::ModifyValidationPending, now);
            order.enter(Status::ModifyPending, now);
        }
        order.modifications += 1;
        let is_market = matches!(change.order_type, OrderType::Market | OrderType::SlM);
        order.protection = if is_market { percent_of(change.protection, last) } else { 0 };
        order.limit = match change.order_type {
            OrderType::Market => Some(protected(order.side, last, order.protection, tick)),
            _ => change.price,
        };
        if cover {
            order.cover = change.trigger.or(order.cover);
        } else {
            order.trigger = change.trigger;
        }
        if change.validity != Validity::Ttl {
            order.expires = None;
        } else if let Some(minutes) = change.minutes {
            order.expires = Some(now + minutes * MINUTE);
            order.row.validity_ttl = minutes;
        }
        let row = &mut order.row;
        row.modified = true;
        row.quantity = change.quantity;
        row.pending_quantity = change.quantity - row.filled_quantity;
        row.disclosed_quantity = change.disclosed;
        row.price = change.price.map(Decimal::from).unwrap_or_default();
        row.trigger_price = change.trigger.map_or(if cover { row.trigger_price } else { Decimal::ZERO }, Decimal::from);
        row.market_protection = change.protection;
        row.validity = change.validity;
        row.order_type = change.order_type;
        if collected {
            order.enter(Status::AmoReqReceived, now);
            self.tell(key, true);
            return;
        }
        order.enter(Status::Modified, now);
        order.enter(if order.trigger.is_some() { Status::TriggerPending } else { Status::Open }, now);
        self.orders.note(key);
        self.tell(key, true);
        self.arrive(key);
    }

    /// Cancels an order.
    pub fn cancel(&mut self, variety: &str, id: &str) -> Answer<Placed> {
        let key = self.order(id)?;
        let order = self.orders.get(key);
        if order.row.variety != Variety::from(variety) {
            return Err(Refusal::input("Invalid `variety`: the order has another one."));
        }
        if order.row.status == Status::AmoReqReceived {
            self.end_order(key, Status::CancelledAmo, None);
        } else if !order.is_working() {
            return Err(Refusal::order(format!(
                "Order cannot be cancelled as it is being processed or has ended ({}).",
                order.row.status
            )));
        } else if order.row.variety == Variety::Co && order.row.parent_order_id.is_some() {
            self.exit_second_leg(key);
        } else {
            let now = self.now;
            self.orders.get_mut(key).enter(Status::CancelPending, now);
            self.end_order(key, Status::Cancelled, None);
        }
        self.settle();
        Ok(Placed { order_id: id.to_owned(), children: None })
    }

    fn exit_second_leg(&mut self, key: u64) {
        let now = self.now;
        let quote = self.board.quote(self.orders.get(key).listed);
        let (last, tick) = (quote.snapshot.last, quote.tick);
        let order = self.orders.get_mut(key);
        order.trigger = None;
        order.limit = Some(protected(order.side, last, order.protection, tick));
        order.row.order_type = OrderType::Market;
        order.row.trigger_price = Decimal::ZERO;
        order.enter(Status::Open, now);
        self.orders.note(key);
        self.tell(key, true);
        self.arrive(key);
    }

    /// Ends an order; what has not filled never will.
    pub(super) fn end_order(&mut self, key: u64, status: Status, why: Option<&str>) {
        let now = self.now;
        let order = self.orders.get_mut(key);
        order.row.cancelled_quantity = order.remaining();
        order.row.pending_quantity = 0;
        order.row.status_message = why.map(str::to_owned);
        order.enter(status, now);
        self.orders.note(key);
        self.tell(key, true);
    }

    /// Converts a position from one product to another.
    pub fn convert(&mut self, fields: &Fields) -> Answer<bool> {
        let (old, new) = (Product::from(fields.need("old_product")?), Product::from(fields.need("new_product")?));
        let symbol = fields.need("tradingsymbol")?;
        let listed = (fields.need("exchange")? == "NSE").then(|| self.place_of(symbol)).flatten();
        let listed = listed.ok_or_else(|| Refusal::input("Invalid `tradingsymbol`."))?;
        let side = side_of(&Transaction::from(fields.need("transaction_type")?));
        let side = side.ok_or_else(|| Refusal::input("Invalid `transaction_type`."))?;
        let quantity = fields.count("quantity")?.unwrap_or(0);
        let may = |product: &Product| matches!(product, Product::Cnc | Product::Mis | Product::Mtf);
        if !may(&old) || !may(&new) || old == new {
            return Err(Refusal::input("Invalid `old_product` or `new_product`."));
        }
        let overnight = match fields.need("position_type")? {
            "day" => false,
            "overnight" => true,
            _ => return Err(Refusal::input("Invalid `position_type`: day or overnight.")),
        };
        let from = (listed, old);
        let held = self.account.position(&from).cloned().unwrap_or_default();
        let carried = held.overnight.unsigned_abs().min(held.quantity().unsigned_abs()).cast_signed();
        let open = if side == Side::Buy { held.quantity() } else { -held.quantity() };
        let open = if overnight { open.min(carried) } else { open };
        if quantity <= 0 || quantity > open {
            return Err(Refusal::input(format!("Invalid `quantity`: {} can be converted.", open.max(0))));
        }
        if side == Side::Sell && new != Product::Mis {
            return Err(Refusal::holding("A short position cannot become delivery."));
        }
        let needs = self.needs();
        let before = self.account.blocked(&needs, &self.board);
        let mut after = self.account.clone();
        after.convert(&from, &(listed, new), side, quantity);
        let more = after.blocked(&needs, &self.board) - before;
        if more > Money::ZERO {
            self.check_money(more, &needs)?;
        }
        self.account = after;
        Ok(true)
    }
}
