//! Orders as the broker keeps them: the day's rows, their histories, their trades.
//!
//! - Every state an order was in is kept as a row of its history, oldest first.
//! - An order that ended never changes again.
//! - Orders of one instrument that may still trade are found without looking at the others.

use super::board::{average, value_of};
use crate::kite_wire::number::Decimal;
use crate::kite_wire::orders::{OrderRow, TradeRow};
use crate::kite_wire::stamp::{clock, stamp};
use crate::kite_wire::words::{OrderType, Status, Transaction, Validity};
use daybook_vocabulary::{Money, Nanos, Price, Side};
use std::collections::{BTreeMap, BTreeSet};

/// An order.
#[derive(Clone, Debug)]
pub struct Order {
    /// What clients see.
    pub row: OrderRow,
    /// Place of its instrument.
    pub listed: usize,
    /// Which way.
    pub side: Side,
    /// The limit it works at; a protected market order has one, too.
    pub limit: Option<Price>,
    /// Its trigger, while it waits.
    pub trigger: Option<Price>,
    /// Σ price × quantity of its fills.
    pub value: i128,
    /// Brokerage charged for its fills.
    pub brokerage: Money,
    /// How often it was modified.
    pub modifications: u32,
    /// When a `TTL` ends.
    pub expires: Option<Nanos>,
    /// When it was registered.
    pub registered: Nanos,
    /// Protection of a market order in units of 1e-8 percent.
    pub protection: i128,
    /// Trigger of the second leg of a cover order.
    pub cover: Option<Price>,
    /// The newest second leg.
    pub child: Option<u64>,
    /// How much of it has second legs.
    pub covered: i64,
    /// Every state it was in, oldest first.
    pub history: Vec<State>,
}

/// What of a row changes from one state to the next: a day of changes is kept whole, so each is kept small.
#[derive(Clone, Debug)]
pub struct State {
    status: Status,
    message: Option<String>,
    accepted: bool,
    updated: Nanos,
    order_type: OrderType,
    validity: Validity,
    modified: bool,
    quantities: [i64; 5],
    prices: [Decimal; 4],
}

impl State {
    fn of(row: &OrderRow, updated: Nanos) -> Self {
        Self {
            status: row.status.clone(),
            message: row.status_message.clone(),
            accepted: row.exchange_order_id.is_some(),
            updated,
            order_type: row.order_type.clone(),
            validity: row.validity.clone(),
            modified: row.modified,
            quantities: [
                row.quantity,
                row.disclosed_quantity,
                row.filled_quantity,
                row.pending_quantity,
                row.cancelled_quantity,
            ],
            prices: [row.price, row.trigger_price, row.average_price, row.market_protection],
        }
    }

    /// The row as it was then; what never changes comes from the row as it is now.
    fn row(&self, now: &OrderRow) -> OrderRow {
        let [quantity, disclosed_quantity, filled_quantity, pending_quantity, cancelled_quantity] = self.quantities;
        let [price, trigger_price, average_price, market_protection] = self.prices;
        let mut row = OrderRow {
            status: self.status.clone(),
            status_message: self.message.clone(),
            order_type: self.order_type.clone(),
            validity: self.validity.clone(),
            modified: self.modified,
            quantity,
            disclosed_quantity,
            filled_quantity,
            pending_quantity,
            cancelled_quantity,
            price,
            trigger_price,
            average_price,
            market_protection,
            ..now.clone()
        };
        if !self.status.is_final() {
            row.status_message_raw = None;
        }
        row.exchange_update_timestamp = self.accepted.then(|| stamp(self.updated));
        if !self.accepted {
            (row.exchange_order_id, row.exchange_timestamp) = (None, None);
        }
        row
    }
}

impl Order {
    /// How much may still fill.
    pub fn remaining(&self) -> i64 {
        self.row.quantity - self.row.filled_quantity
    }

    /// True while it stands at the exchange.
    pub fn is_working(&self) -> bool {
        matches!(self.row.status, Status::Open | Status::TriggerPending)
    }

    /// Moves to a state and remembers it.
    pub fn enter(&mut self, status: Status, now: Nanos) {
        assert!(!self.row.status.is_final() || self.history.is_empty(), "an order that ended moves no more");
        self.row.status = status;
        if self.row.exchange_order_id.is_some() {
            self.row.exchange_update_timestamp = Some(stamp(now));
        }
        self.history.push(State::of(&self.row, now));
    }

    /// Every state it was in as a row, oldest first.
    pub fn rows(&self) -> Vec<OrderRow> {
        self.history.iter().map(|state| state.row(&self.row)).collect()
    }

    /// The exchange has it.
    pub fn accepted(&mut self, sequence: u64, now: Nanos) {
        if self.row.exchange_order_id.is_none() {
            self.row.exchange_order_id = Some(format!("{}", 1_300_000_000_000_000 + sequence));
            self.row.exchange_timestamp = Some(stamp(now));
        }
    }

    /// Books a fill.
    pub fn filled(&mut self, quantity: i64, price: Price) {
        assert!(0 < quantity && quantity <= self.remaining(), "a fill is at most what is left");
        self.value += value_of(price, quantity);
        self.row.filled_quantity += quantity;
        self.row.pending_quantity = self.remaining();
        self.row.average_price = average(self.value, self.row.filled_quantity).into();
    }
}

/// The day's orders and trades.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    all: BTreeMap<u64, Order>,
    ids: BTreeMap<String, u64>,
    working: BTreeMap<usize, BTreeSet<u64>>,
    trades: Vec<(u64, TradeRow)>,
    sequence: u64,
    trade_sequence: u64,
    placed_today: u32,
}

/// An order's id: nineteen digits that begin with the moment.
fn order_id(now: Nanos, sequence: u64) -> String {
    const EPOCH_MS: i64 = 1_288_834_974_657;
    let moment = (now.0 / 1_000_000 - EPOCH_MS).max(0).cast_unsigned();
    ((moment << 22) | (sequence & 0x3f_ffff)).to_string()
}

impl Orders {
    /// An id and a number for a new order.
    pub fn next_id(&mut self, now: Nanos) -> (u64, String) {
        self.sequence += 1;
        (self.sequence, order_id(now, self.sequence))
    }

    /// Adds an order.
    pub fn insert(&mut self, key: u64, order: Order) {
        self.ids.insert(order.row.order_id.clone(), key);
        self.all.insert(key, order);
        self.placed_today += 1;
    }

    /// Orders placed today.
    pub const fn placed_today(&self) -> u32 {
        self.placed_today
    }

    /// By its number.
    pub fn get(&self, key: u64) -> &Order {
        &self.all[&key]
    }

    /// By its number, to change it.
    pub fn get_mut(&mut self, key: u64) -> &mut Order {
        self.all.get_mut(&key).expect("a number that was handed out names an order of the day")
    }

    /// By the id clients know.
    pub fn find(&self, id: &str) -> Option<u64> {
        self.ids.get(id).copied()
    }

    /// In order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Order)> {
        self.all.iter().map(|(key, order)| (*key, order))
    }

    /// Those of an instrument that stand at the exchange, in order of arrival.
    pub fn working(&self, listed: usize) -> Vec<u64> {
        self.working.get(&listed).map(|keys| keys.iter().copied().collect()).unwrap_or_default()
    }

    /// All that stand at the exchange.
    pub fn all_working(&self) -> Vec<u64> {
        self.working.values().flatten().copied().collect()
    }

    /// Notes whether an order stands at the exchange.
    pub fn note(&mut self, key: u64) {
        let order = &self.all[&key];
        let keys = self.working.entry(order.listed).or_default();
        if order.is_working() {
            keys.insert(key);
        } else {
            keys.remove(&key);
        }
    }

    /// The first end of a `TTL`.
    pub fn next_expiry(&self) -> Option<Nanos> {
        let ends = self.working.values().flatten().filter_map(|key| self.all[key].expires);
        ends.min()
    }

    /// Books a trade and hands back its row.
    pub fn trade(&mut self, key: u64, quantity: i64, price: Price, now: Nanos) {
        self.trade_sequence += 1;
        let order = &self.all[&key];
        let row = TradeRow {
            trade_id: format!("{}", 10_000_000 + self.trade_sequence),
            order_id: order.row.order_id.clone(),
            exchange_order_id: order.row.exchange_order_id.clone(),
            exchange: order.row.exchange.clone(),
            tradingsymbol: order.row.tradingsymbol.clone(),
            instrument_token: order.row.instrument_token,
            product: order.row.product.clone(),
            transaction_type: order.row.transaction_type.clone(),
            average_price: price.into(),
            quantity,
            fill_timestamp: Some(stamp(now)),
            order_timestamp: Some(clock(order.registered)),
            exchange_timestamp: Some(stamp(now)),
        };
        self.trades.push((key, row));
    }

    /// The day's trades.
    pub fn trades(&self) -> impl Iterator<Item = &TradeRow> {
        self.trades.iter().map(|(_, row)| row)
    }

    /// An order's trades.
    pub fn trades_of(&self, key: u64) -> impl Iterator<Item = &TradeRow> {
        self.trades.iter().filter(move |(of, _)| *of == key).map(|(_, row)| row)
    }

    /// The night: what ended is forgotten, what was collected for the next session stays.
    pub fn end_day(&mut self) {
        self.all.retain(|_, order| order.row.status == Status::AmoReqReceived);
        let all = &self.all;
        self.ids.retain(|_, key| all.contains_key(key));
        self.working.clear();
        self.trades.clear();
        self.trade_sequence = 0;
        self.placed_today = 0;
    }
}

/// The side of a word that is known.
pub fn side_of(word: &Transaction) -> Option<Side> {
    match word {
        Transaction::Buy => Some(Side::Buy),
        Transaction::Sell => Some(Side::Sell),
        Transaction::Other(_) => None,
    }
}

/// The word of a side.
pub const fn word_of(side: Side) -> Transaction {
    match side {
        Side::Buy => Transaction::Buy,
        Side::Sell => Transaction::Sell,
    }
}
