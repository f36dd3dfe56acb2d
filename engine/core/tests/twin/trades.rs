//! The naive twin's round trips: what a trade is, and what it is measured by, from the lists of orders and fills.
//!
//! - The extremes are looked up in the candles, the first stop among the orders, each time anew.

use super::exchange::{Naive, NaiveFill, NaiveOrder, Trip, UNIT};
use super::rounded;
use daybook_core::Conclusion;
use daybook_vocabulary::{
    Cause, Money, OrderId, OrderState, OrderType, Price, Quantity, RulesFollowed, TradeClosed, TradeMeasures,
};

impl Naive<'_> {
    pub fn trade(&mut self, cause: Cause, order: usize, trip: Trip) {
        let (entry, exit) = (&self.fills[trip.entry.unwrap()], self.fills.last().unwrap());
        let request = &self.orders[entry.order].request;
        let average = |worth: i128| Price(i64::try_from(rounded(worth * UNIT, trip.entered)).unwrap());
        let trade = TradeClosed {
            cause,
            trade: self.trades + 1,
            side: request.side,
            quantity: Quantity(trip.entered as i64),
            entry_order: OrderId(entry.order as u64 + 1),
            exit_order: OrderId(order as u64 + 1),
            entry_time: entry.time,
            exit_time: exit.time,
            entry_price: average(trip.entry_worth),
            exit_price: average(trip.exit_worth),
            gross: Money((trip.exit_worth - trip.entry_worth) * entry.change.signum()),
            fees: Money(trip.fees),
            bars: exit.bars - entry.bars,
            entry_reason: request.reason,
            exit_reason: self.orders[order].request.reason,
            measures: Some(self.measures(&trip)),
        };
        if self.orders[order].request.stop.is_some() {
            self.stop_outs.push((self.fills.len() - 1, trade.side, exit.time));
        }
        self.trades += 1;
        self.say(exit.instrument, Conclusion::Trade(trade));
    }

    /// What the round trip that the last fill ended is measured by.
    fn measures(&self, trip: &Trip) -> TradeMeasures {
        let first = trip.entry.unwrap();
        let (entry, exit) = (&self.fills[first], self.fills.last().unwrap());
        let (instrument, long) = (entry.instrument, entry.change > 0);
        let order = &self.orders[entry.order];
        let of_trip = |fill: &&NaiveFill| fill.instrument == instrument;
        let mut prices: Vec<i128> = self.fills[first..].iter().filter(of_trip).map(|fill| fill.price).collect();
        for number in entry.bars..exit.bars {
            let candle = &self.candles[instrument][number as usize].1;
            let (mut high, mut low) = (candle.high(), candle.low());
            if number == entry.bars && entry.time != candle.open_time() {
                let at_close = order.request.order_type == OrderType::MarketOnClose;
                high = if long || at_close { candle.close() } else { high };
                low = if !long || at_close { candle.close() } else { low };
            }
            prices.extend([i128::from(high.0), i128::from(low.0)]);
        }
        let stops = self.orders.iter().filter(|order| {
            let placed = order.ended != Some(OrderState::Refused) && order.after > first && order.reduces;
            order.instrument == instrument && placed && order.planned.1.is_some()
        });
        let stop = stops.clone().next().and_then(|order| order.planned.1);
        let beyond = |order: &NaiveOrder| {
            let scripted = order.of_fill.is_none();
            scripted && if long { order.planned.1 < stop } else { order.planned.1 > stop }
        };
        let last =
            self.stop_outs.iter().rfind(|(fill, ..)| self.fills[*fill].instrument == instrument && *fill <= first);
        let revenge = last.is_some_and(|(_, side, time)| *side == order.request.side && order.decided < *time);
        let rules = [true, true, stop.is_some(), !stops.clone().any(beyond), !revenge, true, true, true];
        TradeMeasures {
            stop,
            high: Price(*prices.iter().max().unwrap() as i64),
            low: Price(*prices.iter().min().unwrap() as i64),
            planned: Money(trip.planned),
            exit_fees: Money(trip.exit_fees),
            entry_slippage: Money(trip.entry_slippage),
            exit_slippage: Money(trip.exit_slippage),
            decision: 0,
            rules: RulesFollowed::of(rules),
        }
    }
}
