//! Rows of instruments and quotes.
//!
//! - A depth always has five lines a side; empty ones are zeros.
//! - `close` of a quote is the session's before.

use super::number::Decimal;
use super::packet::{BookLine, Snapshot};
use super::stamp::stamp;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// First line of the list of instruments.
pub const INSTRUMENT_COLUMNS: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,\
tick_size,lot_size,instrument_type,segment,exchange";

/// A row of the list of instruments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstrumentRow {
    /// Its number on the wire.
    pub instrument_token: u32,
    /// The exchange's number.
    pub exchange_token: u32,
    /// The symbol.
    pub tradingsymbol: String,
    /// The company's name.
    pub name: String,
    /// Price step.
    pub tick_size: Decimal,
    /// Smallest quantity.
    pub lot_size: i64,
    /// `NSE` or `INDICES`.
    pub segment: String,
    /// The exchange.
    pub exchange: String,
}

impl InstrumentRow {
    /// Appends its line.
    pub fn write(&self, out: &mut String) {
        let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let _ = writeln!(
            out,
            "{},{},{},{},0,,0,{},{},EQ,{},{}",
            self.instrument_token,
            self.exchange_token,
            quoted(&self.tradingsymbol),
            quoted(&self.name),
            self.tick_size,
            self.lot_size,
            self.segment,
            self.exchange
        );
    }
}

/// The prices of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OhlcRow {
    /// First price.
    pub open: Decimal,
    /// Highest.
    pub high: Decimal,
    /// Lowest.
    pub low: Decimal,
    /// Close of the session before.
    pub close: Decimal,
}

/// An entry of `/quote/ltp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LtpRow {
    /// Its number.
    pub instrument_token: u32,
    /// Last price.
    pub last_price: Decimal,
}

/// An entry of `/quote/ohlc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OhlcRows {
    /// Its number.
    pub instrument_token: u32,
    /// Last price.
    pub last_price: Decimal,
    /// The day.
    pub ohlc: OhlcRow,
}

/// A line of a depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DepthRow {
    /// At which price.
    pub price: Decimal,
    /// How much.
    pub quantity: i64,
    /// Of how many orders.
    pub orders: u16,
}

/// A depth.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DepthRows {
    /// Best bids first.
    pub buy: Vec<DepthRow>,
    /// Best offers first.
    pub sell: Vec<DepthRow>,
}

/// An entry of `/quote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteRow {
    /// Its number.
    pub instrument_token: u32,
    /// When the exchange said it.
    #[serde(default)]
    pub timestamp: Option<String>,
    /// When it last traded.
    #[serde(default)]
    pub last_trade_time: Option<String>,
    /// Last price.
    pub last_price: Decimal,
    /// Quantity of the last trade.
    #[serde(default)]
    pub last_quantity: i64,
    /// Quantity on the buying side.
    #[serde(default)]
    pub buy_quantity: i64,
    /// Quantity on the selling side.
    #[serde(default)]
    pub sell_quantity: i64,
    /// Traded today.
    #[serde(default)]
    pub volume: i64,
    /// Average price of the day.
    #[serde(default)]
    pub average_price: Decimal,
    /// Open interest.
    #[serde(default)]
    pub oi: i64,
    /// Its high.
    #[serde(default)]
    pub oi_day_high: i64,
    /// Its low.
    #[serde(default)]
    pub oi_day_low: i64,
    /// Last price less the close before.
    #[serde(default)]
    pub net_change: Decimal,
    /// Lowest price of an order today.
    #[serde(default)]
    pub lower_circuit_limit: Decimal,
    /// Highest price of an order today.
    #[serde(default)]
    pub upper_circuit_limit: Decimal,
    /// The day.
    pub ohlc: OhlcRow,
    /// The book.
    #[serde(default)]
    pub depth: DepthRows,
}

impl OhlcRow {
    /// Of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            open: snapshot.open.into(),
            high: snapshot.high.into(),
            low: snapshot.low.into(),
            close: snapshot.close.into(),
        }
    }
}

impl QuoteRow {
    /// Of a snapshot and the day's circuit limits.
    pub fn of(snapshot: &Snapshot, lower: Decimal, upper: Decimal) -> Self {
        let time = |time: daybook_vocabulary::Nanos| (time.0 > 0).then(|| stamp(time));
        let traded = snapshot.last.0 > 0 && snapshot.last_trade.0 > 0;
        let change = if traded { i128::from(snapshot.last.0) - i128::from(snapshot.close.0) } else { 0 };
        let lines = |lines: &[BookLine; 5]| {
            let row =
                |line: &BookLine| DepthRow { price: line.price.into(), quantity: line.quantity, orders: line.orders };
            lines.iter().map(row).collect()
        };
        Self {
            instrument_token: snapshot.token,
            timestamp: time(snapshot.exchange_time),
            last_trade_time: time(snapshot.last_trade),
            last_price: snapshot.last.into(),
            last_quantity: snapshot.last_quantity,
            buy_quantity: snapshot.buy_quantity,
            sell_quantity: snapshot.sell_quantity,
            volume: snapshot.volume,
            average_price: snapshot.average.into(),
            oi: 0,
            oi_day_high: 0,
            oi_day_low: 0,
            net_change: Decimal(change),
            lower_circuit_limit: lower,
            upper_circuit_limit: upper,
            ohlc: OhlcRow::of(snapshot),
            depth: DepthRows { buy: lines(&snapshot.bids), sell: lines(&snapshot.offers) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_comma_is_quoted() {
        let row = InstrumentRow {
            instrument_token: 738_561,
            exchange_token: 2885,
            tradingsymbol: "RELIANCE".to_owned(),
            name: "RELIANCE, \"RIL\"".to_owned(),
            tick_size: Decimal(10_000_000),
            lot_size: 1,
            segment: "NSE".to_owned(),
            exchange: "NSE".to_owned(),
        };
        let mut line = String::new();
        row.write(&mut line);
        assert_eq!(line, "738561,2885,RELIANCE,\"RELIANCE, \"\"RIL\"\"\",0,,0,0.1,1,EQ,NSE,NSE\n");
        assert_eq!(INSTRUMENT_COLUMNS.split(',').count(), 12);
    }
}
