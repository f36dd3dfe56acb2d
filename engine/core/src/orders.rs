//! Orders that work at the exchange, and what a strategy asks for.
//!
//! - Only working orders are kept; an order that ended lives on in the journal alone, so that the cost of a fill does
//!   not grow with the number of fills before it.

use crate::transitions;
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{
    InstrumentId, Label, Money, Nanos, OrderEvent, OrderId, OrderState, OrderType, Price, Quantity, Side, TimeInForce,
    Trail,
};
use serde::{Deserialize, Serialize};

/// What a strategy wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Place an order.
    Place(OrderRequest),
    /// Place an order in another instrument than the one decided about.
    PlaceIn(InstrumentId, OrderRequest),
    /// Cancel a working order of the instrument.
    Cancel(OrderId, Label),
    /// Cancel every working order of the instrument.
    CancelAll(Label),
    /// Change the terms of a working order of the instrument; it keeps its number.
    Modify(OrderId, OrderChange, Label),
    /// Cancel a working order of the instrument and place another; where there is nothing to cancel, nothing is placed.
    Replace(OrderId, OrderRequest),
}

/// New terms of a working order; what is not given stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrderChange {
    /// The whole quantity, what has filled included; more than that.
    pub quantity: Option<Quantity>,
    /// The limit price of an order that has one.
    pub limit: Option<Price>,
    /// The trigger of an order that has one and has not been triggered.
    pub stop: Option<Price>,
}

/// An order a strategy wants placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderRequest {
    /// Which way.
    pub side: Side,
    /// How much, positive.
    pub quantity: Quantity,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// Limit price of limit and stop-limit orders.
    pub limit: Option<Price>,
    /// Trigger of stop and stop-limit orders. A trailing stop without one begins at its distance from the last price.
    pub stop: Option<Price>,
    /// How far behind the market a trailing stop stays.
    pub trail: Option<Trail>,
    /// When an order that is good till an instant ends.
    pub expires: Option<Nanos>,
    /// The caller's own number for it, unique within a session; 0 for none.
    pub client: u64,
    /// One cancels the other: orders of one instrument with the same number, when not zero, are cancelled by the
    /// first fill of any of them.
    pub group: u32,
    /// Orders that leave what this one enters.
    pub bracket: Option<Bracket>,
    /// Why, for the journal and the report.
    pub reason: Label,
}

/// A stop and a target attached to an order that enters, sized by what its fills opened and working from the first fill
/// on. Levels that depend on the price of the fill give every fill a pair of its own; a pair whose levels are prices is
/// resized as the order fills more. One cancels the other; what one fills in part, the other gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bracket {
    /// Where a loss ends.
    pub stop: Option<Level>,
    /// Where a profit is taken.
    pub target: Option<Level>,
}

/// Where an exit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// At a price.
    At(Price),
    /// So many percent from the price of the fill that entered; the side follows from the entry's.
    Percent(Price),
    /// A distance from the price of the fill that entered. A stop follows the market at that distance, a target stays.
    Trail(Trail),
}

impl Level {
    /// The price of the level for an entry at `entry`, above it or below; the ends of the range hold.
    pub fn price(self, entry: Price, above: bool) -> Price {
        match self {
            Self::At(price) => price,
            Self::Percent(percent) => {
                let away = divide_rounded(i128::from(entry.0) * i128::from(percent.0), i128::from(100 * SCALE));
                let away = i64::try_from(away).unwrap_or(i64::MAX);
                Price(if above { entry.0.saturating_add(away) } else { entry.0.saturating_sub(away) })
            }
            // The stop of an order that buys lies above the market. What is no price is refused by the gate.
            Self::Trail(trail) => trail.stop(if above { Side::Buy } else { Side::Sell }, entry).unwrap_or(Price::ZERO),
        }
    }
}

impl OrderRequest {
    /// A market order, good till cancelled.
    pub fn market(side: Side, quantity: Quantity, reason: &str) -> Self {
        Self {
            side,
            quantity,
            order_type: OrderType::Market,
            time_in_force: TimeInForce::Gtc,
            limit: None,
            stop: None,
            trail: None,
            expires: None,
            client: 0,
            group: 0,
            bracket: None,
            reason: Label::new(reason),
        }
    }

    /// A limit order, good till cancelled.
    pub fn limit(side: Side, quantity: Quantity, limit: Price, reason: &str) -> Self {
        Self { order_type: OrderType::Limit, limit: Some(limit), ..Self::market(side, quantity, reason) }
    }

    /// A stop order, good till cancelled.
    pub fn stop(side: Side, quantity: Quantity, stop: Price, reason: &str) -> Self {
        Self { order_type: OrderType::Stop, stop: Some(stop), ..Self::market(side, quantity, reason) }
    }

    /// A stop-limit order, good till cancelled.
    pub fn stop_limit(side: Side, quantity: Quantity, stop: Price, limit: Price, reason: &str) -> Self {
        Self {
            order_type: OrderType::StopLimit,
            stop: Some(stop),
            limit: Some(limit),
            ..Self::market(side, quantity, reason)
        }
    }

    /// A trailing stop order, good till cancelled.
    pub fn trailing(side: Side, quantity: Quantity, trail: Trail, reason: &str) -> Self {
        Self { order_type: OrderType::TrailingStop, trail: Some(trail), ..Self::market(side, quantity, reason) }
    }

    /// A market order for the first price of the next session.
    pub fn on_open(side: Side, quantity: Quantity, reason: &str) -> Self {
        Self { order_type: OrderType::MarketOnOpen, ..Self::market(side, quantity, reason) }
    }

    /// A market order for the last price of the session, or of the next one where this one has closed.
    pub fn on_close(side: Side, quantity: Quantity, reason: &str) -> Self {
        Self { order_type: OrderType::MarketOnClose, ..Self::market(side, quantity, reason) }
    }

    /// The same order, good till an instant.
    pub fn until(self, expires: Nanos) -> Self {
        Self { time_in_force: TimeInForce::Gtd, expires: Some(expires), ..self }
    }

    /// The same order under the caller's own number.
    pub fn numbered(self, client: u64) -> Self {
        Self { client, ..self }
    }

    /// The same order with another time in force.
    pub fn lasting(self, time_in_force: TimeInForce) -> Self {
        Self { time_in_force, ..self }
    }

    /// The same order with exits for what it enters.
    pub fn with_exits(self, bracket: Bracket) -> Self {
        Self { bracket: Some(bracket), ..self }
    }

    /// The same order in a one-cancels-the-other group.
    pub fn in_group(self, group: u32) -> Self {
        Self { group, ..self }
    }
}

/// The group of the stops that the keeper places: one for each position.
pub const KEPT: u32 = u32::MAX;

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    /// Waiting for the stop, or not yet on the market.
    Armed,
    /// Touched inside the present candle: what traded before the touch does not count.
    Touched,
    /// Working as a market or limit order.
    Active,
}

/// A working order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// Which way.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// Where it stands.
    pub state: OrderState,
    /// Whether its stop has been touched.
    pub trigger: Trigger,
    /// One-cancels-the-other group, 0 for none.
    pub group: u32,
    /// The fill whose exits it and its twin are, counted from 1; 0 for an order that is no exit of a bracket.
    pub pair: u64,
    /// The order whose exit it is; 0 for an order that is no exit of a bracket.
    pub parent: OrderId,
    /// Number of the candle of its instrument inside which it came into being, from 1; 0 for one that was there before
    /// the candle was, or at its open.
    pub born: u64,
    /// Exits for what it enters.
    pub bracket: Option<Bracket>,
    /// When it was placed it closed a part of a position and opened nothing.
    pub reduces: bool,
    /// The broker placed it to end an intraday position.
    pub squares_off: bool,
    /// The price it was decided at: its limit, else its stop, else the last price then.
    pub planned: Price,
    /// The policy's decision behind it; 0 for none.
    pub decision: u64,
    /// How much was ordered.
    pub quantity: Quantity,
    /// How much has filled.
    pub filled: Quantity,
    /// Limit price.
    pub limit: Option<Price>,
    /// Trigger price.
    pub stop: Option<Price>,
    /// How far behind the market its stop stays.
    pub trail: Option<Trail>,
    /// When it reached the exchange: it works on candles that open no earlier.
    pub decided: Nanos,
    /// When it ends by itself; the end of time for an order that does not.
    pub expires: Nanos,
    /// The caller's own number for it; 0 for none.
    pub client: u64,
    /// Cash held back for what is still to fill.
    pub reserved: Money,
    /// Value filled so far: brokerage caps count per order.
    pub value: Money,
    /// Brokerage charged so far.
    pub brokerage: Money,
    /// Why it was placed.
    pub reason: Label,
}

impl Order {
    /// An order as it is decided.
    pub fn new(id: OrderId, request: &OrderRequest, decided: Nanos) -> Self {
        Self {
            id,
            side: request.side,
            order_type: request.order_type,
            time_in_force: request.time_in_force,
            state: OrderState::Intended,
            trigger: Trigger::Armed,
            group: request.group,
            pair: 0,
            parent: OrderId(0),
            born: 0,
            bracket: request.bracket,
            reduces: false,
            squares_off: false,
            planned: Price::ZERO,
            decision: 0,
            quantity: request.quantity,
            filled: Quantity::ZERO,
            limit: request.limit,
            stop: request.stop,
            trail: request.trail,
            decided,
            expires: request.expires.unwrap_or(Nanos::MAX),
            client: request.client,
            reserved: Money::ZERO,
            value: Money::ZERO,
            brokerage: Money::ZERO,
            reason: request.reason,
        }
    }

    /// True for the protective stop that the keeper placed and looks after.
    #[inline]
    pub const fn is_kept(&self) -> bool {
        self.group == KEPT
    }

    /// True where a fill of it means something to other orders: its group, its pair, exits of what it opens.
    #[inline]
    pub fn has_relatives(&self) -> bool {
        self.group != 0 || self.pair != 0 || self.bracket.is_some()
    }

    /// How much is still to fill.
    #[inline]
    pub fn remaining(&self) -> Quantity {
        self.quantity - self.filled
    }

    /// Moves it by the table; true when a human must hear of it.
    pub fn happens(&mut self, event: OrderEvent) -> bool {
        let (state, alarm) = transitions::after(self.state, event, self.filled);
        self.state = state;
        alarm
    }

    /// True for an order that does not simply take what a candle brings.
    #[inline]
    pub fn is_conditional(&self) -> bool {
        matches!(self.time_in_force, TimeInForce::Gtd | TimeInForce::Fok)
            || matches!(self.order_type, OrderType::MarketOnOpen | OrderType::MarketOnClose)
    }

    /// True while it may still fill.
    #[inline]
    pub fn is_working(&self) -> bool {
        !transitions::is_final(self.state)
    }
}

/// Where a strategy puts its requests; kept between decisions so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Requests {
    pub(crate) list: Vec<Request>,
}

impl Requests {
    /// Asks for an order.
    pub fn place(&mut self, order: OrderRequest) {
        self.list.push(Request::Place(order));
    }

    /// Asks for an order in another instrument.
    pub fn place_in(&mut self, instrument: InstrumentId, order: OrderRequest) {
        self.list.push(Request::PlaceIn(instrument, order));
    }

    /// Asks for a cancel.
    pub fn cancel(&mut self, order: OrderId, reason: &str) {
        self.list.push(Request::Cancel(order, Label::new(reason)));
    }

    /// Asks for other terms of an order that works.
    pub fn modify(&mut self, order: OrderId, change: OrderChange, reason: &str) {
        self.list.push(Request::Modify(order, change, Label::new(reason)));
    }

    /// Asks for a cancel, and for another order in its place.
    pub fn replace(&mut self, order: OrderId, with: OrderRequest) {
        self.list.push(Request::Replace(order, with));
    }

    /// Asks for the cancel of everything that works in this instrument.
    pub fn cancel_all(&mut self, reason: &str) {
        self.list.push(Request::CancelAll(Label::new(reason)));
    }
}
