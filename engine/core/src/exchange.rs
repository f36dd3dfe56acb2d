//! The simulated exchange: where inside a candle an order trades.
//!
//! The documented path of a candle is: its open; then, as nobody knows the order of high and low, every stop that was
//! touched; then every limit that was touched. Of a stop and a target that were both touched the stop fills: the
//! pessimistic reading.
//! - An order works on candles that open no earlier than its decision: what it was decided on can never fill it.
//! - An immediate-or-cancel order works on the first such candle, whatever it brings, and on no other.
//! - An exit that comes into being inside a candle, with the fill it belongs to, is read pessimistically: its stop counts
//!   as touched wherever in the candle the price was, its target works in this candle only if the fill was at the open.
//! - A limit fills where the price reaches it, or by setting only where it goes beyond.
//! - A gap through a stop fills at the open, a gap through a limit fills at the better open.
//! - A trailing stop follows a candle's favourable extreme when the candle is over: within the candle it stays where it
//!   was, whatever came first. Where it then lies beyond the close, the next open is a gap through it.
//! - Orders for the open trade at the first price of a session and at no other, orders for the close at the last.
//! - What was decided while nothing traded meets the first candle's open, which is the pre-open auction's price: market
//!   and limit orders trade in that auction; a stop is not taken there, and a gap through it fills at the same price.
//! - Nothing here changes the account: it only answers at which price an order would trade.

use crate::orders::{Order, Trigger};
use daybook_config::LimitFill;
use daybook_vocabulary::{Candle, OrderType, Price, Side};

/// The stations of a candle's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its first price.
    Open,
    /// Stops touched between open and close.
    Stops,
    /// Limits touched between open and close.
    Limits,
    /// Its last price.
    Close,
}

impl Phase {
    /// In the order in which they happen; the close is a station for orders that wait for it, and for no others.
    pub const PATH: [Self; 3] = [Self::Open, Self::Stops, Self::Limits];
}

/// The price at which `order` trades at this station of `candle`; marks a stop that was touched.
#[inline]
pub fn trade_price(order: &mut Order, candle: &Candle, phase: Phase, fill: LimitFill) -> Option<Price> {
    match phase {
        Phase::Open => at_open(order, candle.open(), fill),
        Phase::Stops => at_stop(order, candle, fill),
        Phase::Limits => at_limit(order, candle, fill),
        Phase::Close => (order.order_type == OrderType::MarketOnClose).then(|| candle.close()),
    }
}

/// Where a trailing stop stands after a candle; nothing where it stays. The candle's favourable extreme counts now that
/// the candle is over, as nobody knows whether it came before the other one. Of a candle inside which the order came into
/// being (`inside`) only the close is known to come after it.
pub fn trailed(order: &Order, candle: &Candle, inside: bool, tick: Price) -> Option<(Price, Price)> {
    let (trail, stop) = (order.trail?, order.stop?);
    if order.trigger != Trigger::Armed {
        return None;
    }
    let best = match order.side {
        _ if inside => candle.close(),
        Side::Sell => candle.high(),
        Side::Buy => candle.low(),
    };
    let followed = trail.stop(order.side, best)?.round_to(tick);
    let is_tighter = match order.side {
        Side::Sell => followed > stop,
        Side::Buy => followed < stop,
    };
    // Rounding to the tick may carry a stop of less than a tick to no price at all.
    (is_tighter && followed.0 > 0).then_some((followed, best))
}

fn at_open(order: &mut Order, open: Price, fill: LimitFill) -> Option<Price> {
    match (order.stop, order.trigger) {
        (Some(stop), Trigger::Armed) if !reached(order.side, open, stop) => return None,
        _ => order.trigger = Trigger::Active,
    }
    match (order.order_type, order.limit) {
        (OrderType::Market | OrderType::Stop | OrderType::TrailingStop | OrderType::MarketOnOpen, _) => Some(open),
        (OrderType::MarketOnClose, _) => None,
        (OrderType::Limit | OrderType::StopLimit, Some(limit)) => within(order.side, open, limit, fill).then_some(open),
        (OrderType::Limit | OrderType::StopLimit, None) => None,
    }
}

fn at_stop(order: &mut Order, candle: &Candle, fill: LimitFill) -> Option<Price> {
    let stop = order.stop.filter(|_| order.trigger == Trigger::Armed)?;
    let extreme = if order.side == Side::Buy { candle.high() } else { candle.low() };
    if !reached(order.side, extreme, stop) {
        return None;
    }
    order.trigger = Trigger::Touched;
    match order.limit {
        None => Some(stop),
        // The market trades at the stop when it triggers; a limit that allows it fills there.
        Some(limit) if within(order.side, stop, limit, fill) => Some(stop),
        // Otherwise the price must come back to the limit, and only the close is known to lie after the trigger.
        Some(limit) => within(order.side, candle.close(), limit, fill).then_some(limit),
    }
}

fn at_limit(order: &Order, candle: &Candle, fill: LimitFill) -> Option<Price> {
    // A stop that was touched inside this candle was settled there: what traded before the touch does not count.
    let limit = order.limit.filter(|_| order.trigger == Trigger::Active)?;
    let extreme = if order.side == Side::Buy { candle.low() } else { candle.high() };
    within(order.side, extreme, limit, fill).then_some(limit)
}

/// Has the price reached a stop? Buy stops lie above the market, sell stops below.
pub(crate) fn reached(side: Side, price: Price, stop: Price) -> bool {
    match side {
        Side::Buy => price >= stop,
        Side::Sell => price <= stop,
    }
}

/// Is the price at least as good as the limit; better than it, where a touch is not enough?
pub(crate) fn within(side: Side, price: Price, limit: Price, fill: LimitFill) -> bool {
    if fill == LimitFill::Through && price == limit {
        return false;
    }
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::OrderRequest;
    use daybook_vocabulary::candle::CandleParts;
    use daybook_vocabulary::{Interval, Nanos, OrderId, Quantity};

    fn candle(open: i64, high: i64, low: i64, close: i64) -> Candle {
        Candle::new(CandleParts {
            open_time: Nanos(0),
            interval: Interval::MINUTE,
            open: Price(open),
            high: Price(high),
            low: Price(low),
            close: Price(close),
            volume: Quantity::from_units(100),
            revises: false,
        })
    }

    fn walk(request: OrderRequest, candle: &Candle) -> Option<(Phase, i64)> {
        let mut order = Order::new(OrderId(1), &request, Nanos(0));
        Phase::PATH
            .into_iter()
            .find_map(|phase| trade_price(&mut order, candle, phase, LimitFill::Touch).map(|price| (phase, price.0)))
    }

    /// BT-06: vectors on gap, touch and both-in-bar, for each side and order type.
    #[test]
    fn every_order_type_trades_where_the_path_says() {
        let one = Quantity::from_units(1);
        let (buy, sell) = (Side::Buy, Side::Sell);
        let bar = candle(100, 110, 90, 105);
        let market = |side| OrderRequest::market(side, one, "");
        let limit = |side, at| OrderRequest::limit(side, one, Price(at), "");
        let stop = |side, at| OrderRequest::stop(side, one, Price(at), "");
        let stop_limit = |side, at, limit| OrderRequest::stop_limit(side, one, Price(at), Price(limit), "");
        let cases = [
            (market(buy), Some((Phase::Open, 100))),
            (limit(buy, 101), Some((Phase::Open, 100))),
            (limit(buy, 95), Some((Phase::Limits, 95))),
            (limit(buy, 90), Some((Phase::Limits, 90))),
            (limit(buy, 89), None),
            (limit(sell, 99), Some((Phase::Open, 100))),
            (limit(sell, 110), Some((Phase::Limits, 110))),
            (limit(sell, 111), None),
            (stop(sell, 101), Some((Phase::Open, 100))),
            (stop(sell, 95), Some((Phase::Stops, 95))),
            (stop(sell, 89), None),
            (stop(buy, 99), Some((Phase::Open, 100))),
            (stop(buy, 110), Some((Phase::Stops, 110))),
            (stop(buy, 111), None),
            (stop_limit(buy, 99, 100), Some((Phase::Open, 100))),
            (stop_limit(buy, 99, 95), Some((Phase::Limits, 95))),
            (stop_limit(buy, 108, 109), Some((Phase::Stops, 108))),
            (stop_limit(buy, 108, 106), Some((Phase::Stops, 106))),
            (stop_limit(buy, 108, 104), None),
            (stop_limit(sell, 95, 94), Some((Phase::Stops, 95))),
            (stop_limit(sell, 95, 106), None),
        ];
        for (request, expected) in cases {
            assert_eq!(walk(request, &bar), expected, "{request:?}");
        }
    }

    #[test]
    fn a_stop_limit_touched_in_one_candle_works_as_a_limit_in_the_next() {
        let request = OrderRequest::stop_limit(Side::Buy, Quantity::from_units(1), Price(108), Price(95), "");
        let mut order = Order::new(OrderId(1), &request, Nanos(0));
        let first = candle(100, 110, 90, 105);
        assert!(
            Phase::PATH.into_iter().all(|phase| trade_price(&mut order, &first, phase, LimitFill::Touch).is_none())
        );
        let second = candle(100, 101, 94, 100);
        let prices: Vec<_> = Phase::PATH
            .into_iter()
            .filter_map(|phase| trade_price(&mut order, &second, phase, LimitFill::Touch))
            .collect();
        assert_eq!(prices, [Price(95)]);
    }
}
