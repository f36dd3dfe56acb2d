//! Rows of the account: session, profile, margins, positions, holdings.
//!
//! - Quantities are signed: short is negative.
//! - Fields a broker leaves out read as nothing.

use super::number::Decimal;
use super::words::Product;
use serde::{Deserialize, Serialize};

/// What a token exchange answers.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the broker's names, as its manual explains them")]
pub struct SessionRow {
    pub user_id: String,
    pub user_name: String,
    pub user_shortname: String,
    pub email: String,
    pub user_type: String,
    pub broker: String,
    pub exchanges: Vec<String>,
    pub products: Vec<String>,
    pub order_types: Vec<String>,
    pub avatar_url: Option<String>,
    pub api_key: String,
    pub access_token: String,
    pub public_token: String,
    pub enctoken: String,
    pub refresh_token: String,
    pub silo: String,
    pub login_time: String,
    pub meta: DematMeta,
}

/// Whether shares may be sold without a word from their owner each time.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DematMeta {
    /// `consent` or `physical`.
    #[serde(default)]
    pub demat_consent: String,
}

/// `GET /user/profile`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the broker's names, as its manual explains them")]
pub struct ProfileRow {
    pub user_id: String,
    pub user_type: String,
    pub email: String,
    pub user_name: String,
    pub user_shortname: String,
    pub broker: String,
    pub exchanges: Vec<String>,
    pub products: Vec<String>,
    pub order_types: Vec<String>,
    pub avatar_url: Option<String>,
    pub meta: DematMeta,
}

/// `GET /user/margins`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Margins {
    /// Shares, and all cash since the ledgers were joined.
    pub equity: MarginSegment,
    /// Commodities.
    pub commodity: MarginSegment,
}

/// One segment of the margins.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MarginSegment {
    /// Whether it is active.
    pub enabled: bool,
    /// Cash to trade with.
    pub net: Decimal,
    /// Where it comes from.
    pub available: MarginAvailable,
    /// Where it went.
    pub utilised: MarginUtilised,
}

/// Where margin comes from.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the broker's names, as its manual explains them")]
pub struct MarginAvailable {
    pub adhoc_margin: Decimal,
    pub cash: Decimal,
    pub opening_balance: Decimal,
    pub live_balance: Decimal,
    pub collateral: Decimal,
    pub intraday_payin: Decimal,
}

/// Where margin went.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the broker's names, as its manual explains them")]
pub struct MarginUtilised {
    pub debits: Decimal,
    pub exposure: Decimal,
    pub m2m_realised: Decimal,
    pub m2m_unrealised: Decimal,
    pub option_premium: Decimal,
    pub payout: Decimal,
    pub span: Decimal,
    pub holding_sales: Decimal,
    pub turnover: Decimal,
    pub liquid_collateral: Decimal,
    pub stock_collateral: Decimal,
    pub delivery: Decimal,
}

/// `GET /portfolio/positions`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Positions {
    /// What is open, what was carried included.
    pub net: Vec<PositionRow>,
    /// What today brought.
    pub day: Vec<PositionRow>,
}

/// A position: one exchange, symbol and product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's names, as its manual explains them")]
pub struct PositionRow {
    pub tradingsymbol: String,
    pub exchange: String,
    #[serde(default)]
    pub instrument_token: u32,
    pub product: Product,
    pub quantity: i64,
    #[serde(default)]
    pub overnight_quantity: i64,
    #[serde(default)]
    pub multiplier: i64,
    #[serde(default)]
    pub average_price: Decimal,
    #[serde(default)]
    pub close_price: Decimal,
    #[serde(default)]
    pub last_price: Decimal,
    #[serde(default)]
    pub value: Decimal,
    #[serde(default)]
    pub pnl: Decimal,
    #[serde(default)]
    pub m2m: Decimal,
    #[serde(default)]
    pub unrealised: Decimal,
    #[serde(default)]
    pub realised: Decimal,
    #[serde(default)]
    pub buy_quantity: i64,
    #[serde(default)]
    pub buy_price: Decimal,
    #[serde(default)]
    pub buy_value: Decimal,
    #[serde(default)]
    pub buy_m2m: Decimal,
    #[serde(default)]
    pub sell_quantity: i64,
    #[serde(default)]
    pub sell_price: Decimal,
    #[serde(default)]
    pub sell_value: Decimal,
    #[serde(default)]
    pub sell_m2m: Decimal,
    #[serde(default)]
    pub day_buy_quantity: i64,
    #[serde(default)]
    pub day_buy_price: Decimal,
    #[serde(default)]
    pub day_buy_value: Decimal,
    #[serde(default)]
    pub day_sell_quantity: i64,
    #[serde(default)]
    pub day_sell_price: Decimal,
    #[serde(default)]
    pub day_sell_value: Decimal,
}

/// A row of `GET /portfolio/holdings`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the broker's names, as its manual explains them")]
pub struct HoldingRow {
    pub tradingsymbol: String,
    pub exchange: String,
    pub instrument_token: u32,
    pub isin: String,
    pub product: String,
    pub price: Decimal,
    pub quantity: i64,
    pub used_quantity: i64,
    pub t1_quantity: i64,
    pub realised_quantity: i64,
    pub authorised_quantity: i64,
    pub authorised_date: Option<String>,
    pub opening_quantity: i64,
    pub short_quantity: i64,
    pub collateral_quantity: i64,
    pub collateral_type: Option<String>,
    pub discrepancy: bool,
    pub average_price: Decimal,
    pub last_price: Decimal,
    pub close_price: Decimal,
    pub pnl: Decimal,
    pub day_change: Decimal,
    pub day_change_percentage: Decimal,
}
