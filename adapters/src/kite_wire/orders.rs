//! Rows of orders and trades.
//!
//! - Ids are texts: nineteen digits do not fit a float, and nobody may read them as numbers.
//! - Fields a broker leaves out read as nothing.

use super::number::Decimal;
use super::words::{OrderType, Product, Status, Transaction, Validity, Variety};
use serde::{Deserialize, Serialize};

/// A row of `GET /orders`, of an order's history, of the WebSocket's order messages and of postbacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Who placed it.
    #[serde(default)]
    pub placed_by: String,
    /// Whose it is.
    #[serde(default)]
    pub account_id: String,
    /// The broker's id.
    pub order_id: String,
    /// The exchange's id, once it has one.
    #[serde(default)]
    pub exchange_order_id: Option<String>,
    /// The order it belongs to.
    #[serde(default)]
    pub parent_order_id: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Why, for people.
    #[serde(default)]
    pub status_message: Option<String>,
    /// Why, as risk management or exchange said it.
    #[serde(default)]
    pub status_message_raw: Option<String>,
    /// When the API registered it.
    #[serde(default)]
    pub order_timestamp: Option<String>,
    /// When the exchange accepted it.
    #[serde(default)]
    pub exchange_timestamp: Option<String>,
    /// When it last changed there.
    #[serde(default)]
    pub exchange_update_timestamp: Option<String>,
    /// The kind of order.
    pub variety: Variety,
    /// True once it was modified.
    #[serde(default)]
    pub modified: bool,
    /// The exchange.
    pub exchange: String,
    /// The symbol.
    pub tradingsymbol: String,
    /// Its number.
    #[serde(default)]
    pub instrument_token: u32,
    /// Which way.
    pub transaction_type: Transaction,
    /// How it is priced.
    pub order_type: OrderType,
    /// What becomes of the position.
    pub product: Product,
    /// How long it works.
    pub validity: Validity,
    /// Minutes it works, where it is `TTL`.
    #[serde(default)]
    pub validity_ttl: i64,
    /// How much was ordered.
    pub quantity: i64,
    /// How much of it is shown.
    #[serde(default)]
    pub disclosed_quantity: i64,
    /// Limit price; 0 for none.
    #[serde(default)]
    pub price: Decimal,
    /// Trigger; 0 for none.
    #[serde(default)]
    pub trigger_price: Decimal,
    /// Average price of what has filled.
    #[serde(default)]
    pub average_price: Decimal,
    /// How much has filled.
    #[serde(default)]
    pub filled_quantity: i64,
    /// How much has not.
    #[serde(default)]
    pub pending_quantity: i64,
    /// How much never will.
    #[serde(default)]
    pub cancelled_quantity: i64,
    /// Percent of market protection.
    #[serde(default)]
    pub market_protection: Decimal,
    /// Number of the auction.
    #[serde(default)]
    pub auction_number: Option<String>,
    /// More about some varieties.
    #[serde(default)]
    pub meta: OrderMeta,
    /// The client's tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// All tags, the system's too.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// A random id of the request.
    #[serde(default)]
    pub guid: String,
}

/// More about some varieties of orders.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct OrderMeta {
    /// Which leg this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iceberg: Option<IcebergMeta>,
}

/// Which leg of an iceberg an order is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcebergMeta {
    /// From 1.
    pub leg: i64,
    /// How many there are.
    pub legs: i64,
    /// Quantity of a leg.
    pub leg_quantity: i64,
    /// Quantity of all.
    pub total_quantity: i64,
    /// Quantity of the legs that come after this one.
    pub remaining_quantity: i64,
}

/// A row of `GET /trades`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TradeRow {
    /// Unique per exchange and day.
    pub trade_id: String,
    /// The order it filled.
    pub order_id: String,
    /// Its id at the exchange.
    #[serde(default)]
    pub exchange_order_id: Option<String>,
    /// The exchange.
    pub exchange: String,
    /// The symbol.
    pub tradingsymbol: String,
    /// Its number.
    #[serde(default)]
    pub instrument_token: u32,
    /// What becomes of the position.
    pub product: Product,
    /// Which way.
    pub transaction_type: Transaction,
    /// Price of the fill.
    pub average_price: Decimal,
    /// How much.
    pub quantity: i64,
    /// When, date and time.
    #[serde(default)]
    pub fill_timestamp: Option<String>,
    /// When the order was registered: the time of day alone.
    #[serde(default)]
    pub order_timestamp: Option<String>,
    /// When, by the exchange.
    #[serde(default)]
    pub exchange_timestamp: Option<String>,
}

/// The body of an answer that worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Success<T> {
    /// Always `success`.
    pub status: String,
    /// What was asked for.
    pub data: T,
}

/// The body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Always `error`.
    pub status: String,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// Its kind.
    pub error_type: super::words::ErrorType,
}

/// What placing, modifying and cancelling answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// The order.
    pub order_id: String,
    /// Its slices, where it was sliced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<Vec<Slice>>,
}

/// A slice of an order above the exchange's freeze quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The slice, where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<SliceError>,
}

/// Why a slice was not taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceError {
    /// As an HTTP code.
    pub code: u16,
    /// Its kind.
    pub error_type: super::words::ErrorType,
    /// For people.
    pub message: String,
    /// Nothing.
    #[serde(default)]
    pub data: Option<String>,
}
