//! `breakout`: buy when a close is above every high of the last bars, sell when it is below every low.

use super::{Parameter, ParameterError, Parameters, Rule, View};
use crate::orders::{OrderRequest, Requests};
use daybook_vocabulary::{Candle, Price, Quantity, Side};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// All it remembers is in here: it is saved in snapshots and hashed in state digests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Breakout {
    bars: usize,
    quantity: Quantity,
    /// High and low of the last bars, oldest first.
    ranges: VecDeque<(Price, Price)>,
    close: Price,
}

impl Rule for Breakout {
    const NAME: &'static str = "breakout";
    const ABOUT: &'static str = "buy a close above the range of the last bars, sell one below it";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter { name: "bars", default: "20", about: "bars in the range" },
        Parameter { name: "quantity", default: "1", about: "how much to buy of each symbol" },
    ];

    fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let bars = parameters.integer("bars", 1..=10_000)? as usize;
        let quantity = parameters.quantity("quantity")?;
        Ok(Self { bars, quantity, ranges: VecDeque::new(), close: Price::ZERO })
    }

    fn warmup(&self) -> u32 {
        self.bars as u32
    }

    fn on_bar(&mut self, bar: &Candle) {
        self.ranges.push_back((bar.high(), bar.low()));
        if self.ranges.len() > self.bars + 1 {
            self.ranges.pop_front();
        }
        self.close = bar.close();
    }

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        if self.ranges.len() <= self.bars || view.is_pending() {
            return;
        }
        // The last range is this bar's own; the ones before it are what it broke out of.
        let mut before = self.ranges.iter().take(self.bars);
        if view.is_flat() && before.clone().all(|(high, _)| self.close > *high) {
            requests.place(OrderRequest::market(Side::Buy, self.quantity, "above-range"));
        } else if !view.is_flat() && before.all(|(_, low)| self.close < *low) {
            requests.place(OrderRequest::market(Side::Sell, view.position(), "below-range"));
        }
    }
}
