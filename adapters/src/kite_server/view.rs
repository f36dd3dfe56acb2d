//! What clients read of the world.
//!
//! - Nothing here changes anything.

use super::gtt::GttRow;
use super::refusal::Answer;
use super::world::World;
use crate::kite_wire::number::Decimal;
use crate::kite_wire::orders::{OrderRow, TradeRow};
use crate::kite_wire::portfolio::{HoldingRow, MarginSegment, Positions};
use serde::Serialize;

/// `GET /portfolio/holdings/summary`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HoldingsSummary {
    /// Profit of everything.
    pub total_pnl: Decimal,
    /// In percent of what was paid.
    pub total_pnl_percent: Decimal,
    /// Today's part of it.
    pub today_pnl: Decimal,
    /// In percent of the value at the close before.
    pub today_pnl_percent: Decimal,
    /// What was paid.
    pub invested_amount: Decimal,
    /// What it is worth.
    pub current_value: Decimal,
}

impl World {
    /// The day's orders, oldest first.
    pub fn order_rows(&self) -> Vec<&OrderRow> {
        self.orders.iter().map(|(_, order)| &order.row).collect()
    }

    /// Every state an order was in.
    pub fn order_history(&self, id: &str) -> Answer<Vec<OrderRow>> {
        self.order(id).map(|key| self.orders.get(key).rows())
    }

    /// An order's trades.
    pub fn order_trades(&self, id: &str) -> Answer<Vec<&TradeRow>> {
        self.order(id).map(|key| self.orders.trades_of(key).collect())
    }

    /// The day's trades.
    pub fn trade_rows(&self) -> Vec<&TradeRow> {
        self.orders.trades().collect()
    }

    /// Positions.
    pub fn position_rows(&self) -> Positions {
        self.account.rows(self.market.listed(), &self.board)
    }

    /// Holdings.
    pub fn holding_rows(&self) -> Vec<HoldingRow> {
        self.account.holding_rows(self.market.listed(), &self.board)
    }

    /// Holdings, added up.
    pub fn holdings_summary(&self) -> HoldingsSummary {
        let mut sum = HoldingsSummary::default();
        let mut before = 0;
        for row in self.holding_rows() {
            let held = i128::from(row.quantity + row.t1_quantity);
            sum.total_pnl.0 += row.pnl.0;
            sum.today_pnl.0 += row.day_change.0 * held;
            sum.current_value.0 += row.last_price.0 * held;
            sum.invested_amount.0 += row.last_price.0 * held - row.pnl.0;
            before += row.close_price.0 * held;
        }
        let percent = |part: Decimal, whole: i128| {
            let scaled = part.0 * 100 * i128::from(daybook_vocabulary::decimal::SCALE);
            Decimal(if whole > 0 { daybook_vocabulary::decimal::divide_rounded(scaled, whole) } else { 0 })
        };
        sum.total_pnl_percent = percent(sum.total_pnl, sum.invested_amount.0);
        sum.today_pnl_percent = percent(sum.today_pnl, before);
        sum
    }

    /// Margins.
    pub fn margin_segment(&self) -> MarginSegment {
        self.account.segment(&self.needs(), &self.board)
    }

    /// Triggers.
    pub fn gtt_rows(&self) -> Vec<&GttRow> {
        self.gtts.list(self.now)
    }

    /// One trigger.
    pub fn gtt_row(&self, id: u64) -> Answer<&GttRow> {
        self.gtts.get(id)
    }
}
