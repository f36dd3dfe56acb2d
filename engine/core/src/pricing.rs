//! Prices by choice: where market orders and touched stops trade, when settings want otherwise than [`crate::exchange`].
//!
//! - A market order may trade at the close of its candle, at the middle of its range, or at the mean of high, low and
//!   close (`vwap`: candles carry no average of their trades). Those prices are there when the candle is over, so such an
//!   order stands behind the stops and limits of its candle, and what it opens is protected from the next one on.
//! - A stop that is touched inside a candle may fill at its close, at the price that is worst for it, or at the open of
//!   the next candle. All of them leave the rule of gaps as it is: through an open, that open.
//! - Prices between two ticks are taken to the tick against the trader, and never out of the candle's range.
//! - It must never look at another candle than the one it is given: the decision came before that candle.

use crate::exchange::{Phase, reached, trade_price, within};
use crate::orders::{Order, Trigger};
use crate::rules::ExchangeRules;
use crate::slippage::round_against;
use daybook_config::{MarketPrice, StopFill};
use daybook_vocabulary::decimal::divide_rounded;
use daybook_vocabulary::{Candle, OrderType, Price, Side};

/// [`trade_price`] under rules that choose other prices; `tick` is zero where nothing is rounded.
pub(crate) fn chosen_price(
    rules: &ExchangeRules,
    order: &mut Order,
    candle: &Candle,
    phase: Phase,
    tick: Price,
) -> Option<Price> {
    let later = rules.market_price.filter(|price| *price != MarketPrice::Open);
    match (phase, order.order_type, later) {
        (Phase::Open, OrderType::Market, Some(_)) => None,
        (Phase::Close, OrderType::Market, Some(price)) => Some(market_price(candle, price, order.side, tick)),
        (Phase::Stops, ..) if rules.stop_fill != StopFill::Stop => at_stop(rules, order, candle),
        _ => trade_price(order, candle, phase, rules.limit_fill),
    }
}

/// The price of a candle by its name, on the tick and inside the candle's range.
pub(crate) fn market_price(candle: &Candle, price: MarketPrice, side: Side, tick: Price) -> Price {
    let mean = |prices: &[Price]| {
        let sum: i128 = prices.iter().map(|price| i128::from(price.0)).sum();
        let mean = divide_rounded(sum, prices.len() as i128);
        round_against(side, Price(i64::try_from(mean).unwrap_or(i64::MAX)), tick)
    };
    let price = match price {
        MarketPrice::Open => candle.open(),
        MarketPrice::Close => candle.close(),
        MarketPrice::Vwap => mean(&[candle.high(), candle.low(), candle.close()]),
        MarketPrice::Mid => mean(&[candle.high(), candle.low()]),
    };
    price.clamp(candle.low(), candle.high())
}

fn is_armed(order: &Order) -> bool {
    order.stop.is_some() && order.trigger == Trigger::Armed
}

/// Marks a stop that a price has reached.
fn touches(order: &mut Order, price: Price) -> bool {
    let touched = is_armed(order) && order.stop.is_some_and(|stop| reached(order.side, price, stop));
    if touched {
        order.trigger = Trigger::Touched;
    }
    touched
}

fn at_stop(rules: &ExchangeRules, order: &mut Order, candle: &Candle) -> Option<Price> {
    let worst = if order.side == Side::Buy { candle.high() } else { candle.low() };
    if !touches(order, worst) {
        return None;
    }
    let price = match rules.stop_fill {
        StopFill::Stop => order.stop?,
        StopFill::Close => candle.close(),
        StopFill::Extreme => worst,
        StopFill::NextOpen => return None,
    };
    match order.limit {
        None => Some(price),
        Some(limit) if within(order.side, price, limit, rules.limit_fill) => Some(price),
        // As everywhere: after the trigger only the close is known to come.
        Some(limit) => within(order.side, candle.close(), limit, rules.limit_fill).then_some(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::candle::CandleParts;
    use daybook_vocabulary::{Interval, Nanos, Quantity};

    /// BT-27: each price of a candle by hand, on the tick against the trader and inside the range.
    #[test]
    fn prices_of_a_candle() {
        let price = |text: &str| text.parse::<Price>().unwrap();
        let candle = |high: &str, low: &str| {
            Candle::new(CandleParts {
                open_time: Nanos(0),
                interval: Interval::MINUTE,
                open: price("100"),
                high: price(high),
                low: price(low),
                close: price("101"),
                volume: Quantity::from_units(1),
                revises: false,
            })
        };
        let at = |high, low, which, side, tick| market_price(&candle(high, low), which, side, price(tick)).to_string();
        let (buy, sell) = (Side::Buy, Side::Sell);
        assert_eq!(at("103.1", "99", MarketPrice::Open, buy, "0.05"), "100");
        assert_eq!(at("103.1", "99", MarketPrice::Close, buy, "0.05"), "101");
        // 303.1 / 3 = 101.0333…; 202.1 / 2 = 101.05.
        assert_eq!(at("103.1", "99", MarketPrice::Vwap, buy, "0"), "101.03333333");
        assert_eq!(at("103.1", "99", MarketPrice::Vwap, buy, "0.05"), "101.05");
        assert_eq!(at("103.1", "99", MarketPrice::Vwap, sell, "0.05"), "101");
        assert_eq!(at("103.1", "99", MarketPrice::Mid, sell, "0.05"), "101.05");
        // A range off the tick is kept: nothing traded above 101.02.
        assert_eq!(at("101.02", "100", MarketPrice::Vwap, buy, "5"), "101.02");
    }
}
