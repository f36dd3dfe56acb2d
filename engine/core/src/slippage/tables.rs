//! `asset-class:NAME` and `order-type:M:L:S`: basis points from a table (BT-14, BT-17, BT-18's separate stop slippage).
//!
//! - Equity 1, future 2, option 5, currencies 0.5, coins 10 basis points a leg.
//! - Orders differ by how they trade: market orders of any kind, limit orders, and what a stop has triggered. The limit of
//!   a limit order is kept all the same.

use super::{Slippage, SlippageInput, SlippedPrice, moved_by};
use daybook_config::AssetClass;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{BasisPoints, OrderType};

/// The usual basis points of a kind of instrument.
pub struct ByClass(pub AssetClass);

/// Basis points of market, limit and stop orders.
pub struct ByOrder(pub BasisPoints, pub BasisPoints, pub BasisPoints);

impl Slippage for ByClass {
    fn name(&self) -> &'static str {
        "asset-class"
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        let scale = i128::from(SCALE);
        let bps = match self.0 {
            AssetClass::Equity => scale,
            AssetClass::Future => 2 * scale,
            AssetClass::Option => 5 * scale,
            AssetClass::Fx => scale / 2,
            AssetClass::Crypto => 10 * scale,
        };
        Some(moved_by(leg, bps))
    }
}

impl Slippage for ByOrder {
    fn name(&self) -> &'static str {
        "order-type"
    }

    fn price(&self, leg: &SlippageInput) -> Option<SlippedPrice> {
        let bps = match leg.order_type {
            OrderType::Market | OrderType::MarketOnOpen | OrderType::MarketOnClose => self.0,
            OrderType::Limit => self.1,
            OrderType::Stop | OrderType::StopLimit | OrderType::TrailingStop => self.2,
        };
        Some(moved_by(leg, bps.0.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::SlippageInput;
    use super::super::tests::{leg, price};
    use daybook_vocabulary::{OrderType, Side};

    #[test]
    fn by_hand() {
        let classes =
            [("equity", "1000.1"), ("future", "1000.2"), ("option", "1000.5"), ("fx", "1000.05"), ("crypto", "1001")];
        for (class, filled) in classes {
            assert_eq!(price(&format!("asset-class:{class}"), &leg(Side::Buy, "1000", 1, 0)).unwrap(), filled);
        }
        // BT-17: market 10, limit 1, stops of every kind 5.
        let types = [
            (OrderType::Market, "999"),
            (OrderType::MarketOnClose, "999"),
            (OrderType::Limit, "999.9"),
            (OrderType::Stop, "999.5"),
            (OrderType::StopLimit, "999.5"),
            (OrderType::TrailingStop, "999.5"),
        ];
        for (order_type, filled) in types {
            let leg = SlippageInput { order_type, ..leg(Side::Sell, "1000", 1, 0) };
            assert_eq!(price("order-type:10:1:5", &leg).unwrap(), filled, "{order_type}");
        }
    }
}
