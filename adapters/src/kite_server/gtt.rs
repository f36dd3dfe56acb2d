//! Triggers that the broker holds: one order at one price, or one of two.
//!
//! - A single trigger fires from the side on which the price stood when it was made; of two the lower is a stop, the
//!   upper a target, and hitting one ends the other.
//! - One shot: what fired is never fired again, whatever becomes of its order.
//! - They live for a year, over nights and restarts. At most 250 are active.

use super::form::Fields;
use super::market::Listed;
use super::refusal::{Answer, Refusal};
use crate::kite_wire::number::Decimal;
use crate::kite_wire::stamp::stamp;
use crate::kite_wire::words::{OrderType, Product, Transaction};
use daybook_vocabulary::{Nanos, Price};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const ACTIVE_MAX: usize = 250;
const DAY: i64 = 86_400_000_000_000;

/// What a trigger waits for, as clients write and read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The exchange.
    pub exchange: String,
    /// The symbol.
    pub tradingsymbol: String,
    /// One price, or a lower and an upper one.
    pub trigger_values: Vec<Decimal>,
    /// Where the price stood.
    pub last_price: Decimal,
    /// Its number.
    #[serde(default)]
    pub instrument_token: u32,
}

/// What is placed then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GttOrder {
    /// The exchange.
    #[serde(default)]
    pub exchange: String,
    /// The symbol.
    #[serde(default)]
    pub tradingsymbol: String,
    /// Which way.
    pub transaction_type: Transaction,
    /// How much.
    pub quantity: i64,
    /// How it is priced.
    pub order_type: OrderType,
    /// What becomes of the position.
    pub product: Product,
    /// At which price.
    pub price: Decimal,
    /// What became of it.
    #[serde(default)]
    pub result: Option<GttResult>,
}

/// What became of the order of a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GttResult {
    pub account_id: String,
    pub exchange: String,
    pub tradingsymbol: String,
    pub validity: String,
    pub product: Product,
    pub order_type: OrderType,
    pub transaction_type: Transaction,
    pub quantity: i64,
    pub price: Decimal,
    pub meta: String,
    pub timestamp: String,
    pub triggered_at: Decimal,
    pub order_result: GttOrderResult,
}

/// How the order was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GttOrderResult {
    pub status: String,
    pub order_id: String,
    pub rejection_reason: String,
}

/// A trigger as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GttRow {
    pub id: u64,
    pub user_id: String,
    pub parent_trigger: Option<u64>,
    #[serde(rename = "type")]
    pub kind: String,
    pub created_at: String,
    pub updated_at: String,
    pub expires_at: String,
    pub status: String,
    pub condition: Condition,
    pub orders: Vec<GttOrder>,
    pub meta: Option<()>,
}

#[derive(Clone, Debug)]
struct Held {
    row: GttRow,
    listed: usize,
    prices: Vec<Price>,
    /// Of a single trigger: it fires when the price comes up to it.
    from_below: bool,
    until: Nanos,
    updated: Nanos,
}

/// A trigger that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Which.
    pub id: u64,
    /// Which of its orders.
    pub leg: usize,
    /// At which last price.
    pub price: Price,
    /// What is to be placed.
    pub order: GttOrder,
}

/// All triggers.
#[derive(Clone, Debug, Default)]
pub struct Gtts {
    held: BTreeMap<u64, Held>,
    last_id: u64,
}

/// A trigger that was asked for and is in order.
#[derive(Clone, Debug)]
pub struct Wanted {
    kind: String,
    condition: Condition,
    orders: Vec<GttOrder>,
    listed: usize,
    prices: Vec<Price>,
}

impl Wanted {
    /// The symbol it is about.
    pub fn symbol(&self) -> &str {
        &self.condition.tradingsymbol
    }

    /// Reads and checks the fields of a request; `find` knows the symbols, with their steps and last prices.
    pub fn read(fields: &Fields, find: impl Fn(&str) -> Option<(usize, Listed, Price, Price)>) -> Answer<Self> {
        let kind = fields.need("type")?;
        let mut condition: Condition = json(fields.need("condition")?, "condition")?;
        let mut orders: Vec<GttOrder> = json(fields.need("orders")?, "orders")?;
        let legs = match kind {
            "single" => 1,
            "two-leg" => 2,
            _ => return Err(Refusal::input("Invalid `type`; it is single or two-leg.")),
        };
        if condition.trigger_values.len() != legs || orders.len() != legs {
            return Err(Refusal::input(format!("A {kind} trigger has {legs} trigger_values and {legs} orders.")));
        }
        let found = (condition.exchange == "NSE").then(|| find(&condition.tradingsymbol)).flatten();
        let Some((listed, of, tick, last)) = found.filter(|(_, of, ..)| !of.index) else {
            return Err(Refusal::input("Invalid `tradingsymbol` in `condition`."));
        };
        condition.instrument_token = of.token;
        let prices: Option<Vec<Price>> = condition.trigger_values.iter().map(|value| value.price()).collect();
        let prices = prices.filter(|prices| prices.iter().all(|price| price.0 > 0));
        let Some(prices) = prices else { return Err(Refusal::input("Invalid `trigger_values`.")) };
        check_distance(&prices, last)?;
        for order in &mut orders {
            (order.exchange, order.tradingsymbol) = (condition.exchange.clone(), of.symbol.clone());
            order.result = None;
            check_order(order, &of, tick)?;
        }
        Ok(Self { kind: kind.to_owned(), condition, orders, listed, prices })
    }
}

fn json<'a, T: Deserialize<'a>>(text: &'a str, name: &str) -> Answer<T> {
    serde_json::from_str(text).map_err(|error| Refusal::input(format!("Invalid JSON in `{name}`: {error}")))
}

/// A trigger keeps 0.25 % away from the last price (0.09 up to 50 rupees), and a stop lies below a target.
fn check_distance(prices: &[Price], last: Price) -> Answer<()> {
    let fifty = Price::from_units(50);
    let least = if last > fifty { Price(last.0 / 400) } else { Price(9_000_000) };
    if prices.iter().any(|price| (price.0 - last.0).abs() < least.0) {
        return Err(Refusal::input(format!("Trigger price was too close to the last price ({last}).")));
    }
    match prices {
        [lower, upper] if !(*lower < last && last < *upper) => {
            Err(Refusal::input("Of two triggers the first lies below the last price and the second above."))
        }
        _ => Ok(()),
    }
}

fn check_order(order: &GttOrder, of: &Listed, tick: Price) -> Answer<()> {
    let price = order.price.price().filter(|price| price.0 > 0);
    let bad = if !order.transaction_type.is_known() {
        "Invalid `transaction_type`."
    } else if order.order_type != OrderType::Limit {
        "Only LIMIT orders are allowed in a trigger."
    } else if !matches!(order.product, Product::Cnc | Product::Mtf) {
        "Invalid `product`: a trigger places delivery orders (CNC, MTF)."
    } else if order.quantity <= 0 || order.quantity % of.lot != 0 {
        "Invalid `quantity`."
    } else if price.is_none_or(|price| tick.0 > 0 && price.0 % tick.0 != 0) {
        "Invalid `price`: it is a multiple of the tick size above zero."
    } else {
        return Ok(());
    };
    Err(Refusal::input(bad))
}

impl Gtts {
    /// Holds a new trigger.
    pub fn create(&mut self, wanted: Wanted, user: &str, last: Price, now: Nanos) -> Answer<u64> {
        if self.held.values().filter(|held| held.row.status == "active").count() >= ACTIVE_MAX {
            return Err(Refusal::input(format!("At most {ACTIVE_MAX} triggers can be active.")));
        }
        self.last_id += 1;
        let id = 100_000 + self.last_id;
        let until = now + 365 * DAY;
        let row = GttRow {
            id,
            user_id: user.to_owned(),
            parent_trigger: None,
            kind: wanted.kind,
            created_at: stamp(now),
            updated_at: stamp(now),
            expires_at: stamp(until),
            status: "active".to_owned(),
            condition: wanted.condition,
            orders: wanted.orders,
            meta: None,
        };
        let from_below = wanted.prices[0] > last;
        self.held
            .insert(id, Held { row, listed: wanted.listed, prices: wanted.prices, from_below, until, updated: now });
        Ok(id)
    }

    /// Replaces an active trigger.
    pub fn modify(&mut self, id: u64, wanted: Wanted, last: Price, now: Nanos) -> Answer<u64> {
        let held = self.active(id)?;
        held.from_below = wanted.prices[0] > last;
        (held.listed, held.prices) = (wanted.listed, wanted.prices);
        (held.row.kind, held.row.condition, held.row.orders) = (wanted.kind, wanted.condition, wanted.orders);
        held.touch("active", now);
        Ok(id)
    }

    /// Withdraws an active trigger.
    pub fn delete(&mut self, id: u64, now: Nanos) -> Answer<u64> {
        self.active(id)?.touch("deleted", now);
        Ok(id)
    }

    fn active(&mut self, id: u64) -> Answer<&mut Held> {
        let held = self.held.get_mut(&id).ok_or_else(no_such)?;
        match held.row.status.as_str() {
            "active" => Ok(held),
            other => Err(Refusal::input(format!("The trigger is {other}; only an active one can be changed."))),
        }
    }

    /// One trigger.
    pub fn get(&self, id: u64) -> Answer<&GttRow> {
        self.held.get(&id).map(|held| &held.row).ok_or_else(no_such)
    }

    /// The active ones and those of the last seven days.
    pub fn list(&self, now: Nanos) -> Vec<&GttRow> {
        let shown = |held: &&Held| held.row.status == "active" || now - held.updated < 7 * DAY;
        self.held.values().filter(shown).map(|held| &held.row).collect()
    }

    /// Triggers of an instrument that have come at this last price.
    pub fn fired(&self, listed: usize, price: Price) -> Vec<Fired> {
        let active = self.held.values().filter(|held| held.listed == listed && held.row.status == "active");
        let fired = active.filter_map(|held| {
            let leg = match held.prices.as_slice() {
                [only] if held.from_below => (price >= *only).then_some(0),
                [only] => (price <= *only).then_some(0),
                [lower, _] if price <= *lower => Some(0),
                [_, upper] if price >= *upper => Some(1),
                _ => None,
            }?;
            Some(Fired { id: held.row.id, leg, price, order: held.row.orders[leg].clone() })
        });
        fired.collect()
    }

    /// Notes what became of the order of a trigger that has come.
    pub fn settle(&mut self, fired: &Fired, placed: Answer<String>, now: Nanos) {
        let Some(held) = self.held.get_mut(&fired.id) else { return };
        held.touch("triggered", now);
        let user = held.row.user_id.clone();
        let (status, order_id, rejection_reason) = match placed {
            Ok(id) => ("success", id, String::new()),
            Err(refusal) => ("failed", String::new(), refusal.message),
        };
        let order = &mut held.row.orders[fired.leg];
        order.result = Some(GttResult {
            account_id: user,
            exchange: order.exchange.clone(),
            tradingsymbol: order.tradingsymbol.clone(),
            validity: "DAY".to_owned(),
            product: order.product.clone(),
            order_type: order.order_type.clone(),
            transaction_type: order.transaction_type.clone(),
            quantity: order.quantity,
            price: order.price,
            meta: "{}".to_owned(),
            timestamp: stamp(now),
            triggered_at: fired.price.into(),
            order_result: GttOrderResult { status: status.to_owned(), order_id, rejection_reason },
        });
    }

    /// A year is over for some; what ended long ago is forgotten.
    pub fn expire(&mut self, now: Nanos) {
        for held in self.held.values_mut().filter(|held| held.row.status == "active" && held.until <= now) {
            held.touch("expired", now);
        }
        self.held.retain(|_, held| held.row.status == "active" || now - held.updated < 30 * DAY);
    }
}

impl Held {
    fn touch(&mut self, status: &str, now: Nanos) {
        self.row.status = status.to_owned();
        self.row.updated_at = stamp(now);
        self.updated = now;
    }
}

fn no_such() -> Refusal {
    Refusal::input("Couldn't find that trigger.")
}
