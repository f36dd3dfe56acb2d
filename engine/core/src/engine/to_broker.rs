//! What a broker has of the orders that a strategy may ask for: translated, or refused before there is an intent to send.
//!
//! | asked for | Kite has | what goes out |
//! |---|---|---|
//! | market | `MARKET`, with market protection | the same; a limit at the guard price where `risk.max_slippage_bps` is set |
//! | limit | `LIMIT` | the same |
//! | stop | `SL-M`, with market protection | the same; `wrong-side` where the market is at the trigger or beyond it |
//! | stop-limit | `SL` | the same; `wrong-side` too where the limit lies before the trigger |
//! | trailing stop, on the open, on the close | nothing | `unsupported` |
//! | for the day | `DAY` | the same |
//! | until cancelled | `DAY`: what is held intraday outlives no day | for the day |
//! | immediate or cancel | `IOC` | the same for market and limit; `unsupported` for stops, which wait by nature |
//! | until an instant | `TTL`, whole minutes | for the day where the instant lies behind the close; else so many whole minutes, rounded down, for market and limit; `bad-expiry` below one minute, `unsupported` for stops |
//! | all or nothing | nothing | `unsupported` |
//!
//! That is of entries. What leaves is the keeper's: a market order goes out as one, a limit is a target that is watched
//! here, a stop tightens the stop that stands (see `keeper.rs`). One cancels the other by construction: there is one stop
//! at the broker. To leave the whole position that very stop is changed into a market order ([`Core::convert`]): nothing
//! is ever there twice, and where the change is refused the stop stands as it stood. To leave a part, the stop is made
//! smaller first, and the exit goes out when the broker has said so. Only where a broker refuses such a change as such,
//! twice, or a stop has no changes left, is it cancelled before the exit.
//!
//! - The intent says what goes out, not what was asked for.
//! - Must never: let an order live longer than was asked for.

use super::Core;
use super::broker::Terms;
use super::changes::modified;
use super::keeper::{CHANGES_MAX, may_be_asked};
use crate::orders::{Order, OrderRequest};
use crate::outbox::{Conclusion, Outbox};
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{
    BrokerAnswer, BrokerRequest, InstrumentId, Label, Nanos, OrderEvent, OrderModified, OrderType, Price, Side,
    TimeInForce, Verdict,
};

/// Changes of a stop that are kept for making an exit of it: with those of the keeper fewer than the 25 of the broker.
const FOR_EXITS: u32 = 4;
/// Refusals of such a change as such, after which it is not tried again with this stop.
const UNCONVERTED: u32 = 2;

impl Core {
    /// A stop at a broker that can be changed into a market order.
    pub(super) fn may_convert(&self, id: InstrumentId, stop: &Order) -> bool {
        let known = self.state.broker.as_ref().and_then(|broker| broker.orders.get(&stop.id));
        self.brokered
            && stop.order_type == OrderType::Stop
            && self.state.seats[id.index()].changes < CHANGES_MAX + FOR_EXITS
            && known.is_some_and(|known| known.unconverted < UNCONVERTED)
    }

    /// Asks for the stop to become a market order for what is left of it.
    pub(super) fn convert(&mut self, id: InstrumentId, stop: &Order, reason: Label, out: &mut Outbox) -> bool {
        if !may_be_asked(stop) {
            return false;
        }
        let now = self.state.now;
        let seat = &mut self.state.seats[id.index()];
        (seat.leaving, seat.changes) = (None, seat.changes + 1);
        self.state.risk.spend(&self.limits, now, false);
        let book = &mut self.state.books[id.index()];
        let cause = book.cause;
        let order = book.working.iter_mut().find(|order| order.id == stop.id).expect("the stop works");
        let event = OrderEvent::ModifyRequested;
        assert!(!order.happens(event), "an order that works may be asked to change");
        let (quantity, before) = (order.quantity, order.quantity);
        let terms = OrderModified { event, quantity, limit: None, stop: None, ..modified(cause, order, reason) };
        out.push(id, Conclusion::Modified(terms));
        if let Some(known) = self.known(stop.id) {
            known.asked = Some(Terms { quantity, limit: None, stop: None, reason, before, converts: true });
            (known.since, known.lost, known.answered) = (now, false, false);
            known.request = BrokerRequest::Modify;
        }
        true
    }

    /// A change of a stop into an exit was refused. What is refused for its terms, and not because nothing is taken now,
    /// is not tried for ever.
    pub(super) fn note_unconverted(&mut self, answer: &BrokerAnswer) {
        if let Some(known) = self.known(answer.order)
            && known.asked.is_some_and(|asked| asked.converts)
            && matches!(answer.kind.as_str(), "OrderException" | "InputException")
        {
            known.unconverted += 1;
        }
    }
}

/// An entry as the broker can be asked for it, or why it cannot.
pub(super) fn for_broker(
    request: &OrderRequest,
    last: Price,
    now: Nanos,
    close: Nanos,
) -> Result<OrderRequest, Verdict> {
    let waits = match request.order_type {
        OrderType::Market | OrderType::Limit => false,
        OrderType::Stop | OrderType::StopLimit => true,
        OrderType::TrailingStop | OrderType::MarketOnOpen | OrderType::MarketOnClose => {
            return Err(Verdict::Unsupported);
        }
    };
    if waits && !is_ahead(request, last) {
        return Err(Verdict::WrongSide);
    }
    let day = OrderRequest { time_in_force: TimeInForce::Day, expires: None, ..*request };
    match (request.time_in_force, request.expires) {
        (TimeInForce::Day | TimeInForce::Gtc, None) => Ok(day),
        (TimeInForce::Ioc, None) if !waits => Ok(*request),
        (TimeInForce::Gtd, Some(expires)) if expires >= close => Ok(day),
        (TimeInForce::Gtd, Some(expires)) if !waits => {
            let minutes = (expires - now) / MINUTE;
            let until = now + minutes.max(0) * MINUTE;
            if minutes > 0 { Ok(request.until(until)) } else { Err(Verdict::BadExpiry) }
        }
        (TimeInForce::Ioc, None) | (TimeInForce::Gtd, Some(_)) | (TimeInForce::Fok, _) => Err(Verdict::Unsupported),
        // An end where none belongs, or none where one does.
        _ => Err(Verdict::BadExpiry),
    }
}

/// The trigger lies ahead of the market, and the limit where the order goes on to.
fn is_ahead(request: &OrderRequest, last: Price) -> bool {
    // Prices that are missing or none are the gate's to refuse.
    let Some(stop) = request.stop.filter(|stop| stop.0 > 0) else { return true };
    let goes_on = |limit: Price| if request.side == Side::Buy { limit >= stop } else { limit <= stop };
    let ahead = last.0 <= 0 || if request.side == Side::Buy { stop > last } else { stop < last };
    ahead && (request.order_type != OrderType::StopLimit || request.limit.is_none_or(goes_on))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::Quantity;

    const NOW: Nanos = Nanos(1_000 * MINUTE);
    const CLOSE: Nanos = Nanos(1_100 * MINUTE);
    const LAST: Price = Price(10_000);

    fn sent(request: OrderRequest) -> Result<OrderRequest, Verdict> {
        for_broker(&request, LAST, NOW, CLOSE)
    }

    fn of(side: Side, order_type: OrderType, limit: i64, stop: i64) -> OrderRequest {
        let price = |price: i64| (price > 0).then_some(Price(price));
        let base = OrderRequest::market(side, Quantity::from_units(1), "");
        OrderRequest { order_type, limit: price(limit), stop: price(stop), ..base }
    }

    /// Every type with every time in force: what is not in the table is refused.
    #[test]
    fn the_table_is_whole() {
        use OrderType::{Limit, Market, MarketOnClose, MarketOnOpen, Stop, StopLimit, TrailingStop};
        use TimeInForce::{Day, Fok, Gtc, Gtd, Ioc};
        for order_type in OrderType::ALL {
            for lasts in TimeInForce::ALL {
                let (limit, stop) = match order_type {
                    Market | MarketOnOpen | MarketOnClose => (0, 0),
                    Limit => (9_900, 0),
                    Stop | TrailingStop => (0, 10_100),
                    StopLimit => (10_200, 10_100),
                };
                let request = of(Side::Buy, *order_type, limit, stop).lasting(*lasts);
                let request = if *lasts == Gtd { request.until(NOW + 5 * MINUTE) } else { request };
                let lasts_at_broker = sent(request).map(|sent| (sent.order_type, sent.time_in_force));
                let expected = match (order_type, lasts) {
                    (Market | Limit | Stop | StopLimit, Day | Gtc) => Ok((*order_type, Day)),
                    (Market | Limit, Ioc | Gtd) => Ok((*order_type, *lasts)),
                    (Market | Limit, Fok) | (Stop | StopLimit, Ioc | Gtd | Fok) => Err(Verdict::Unsupported),
                    (TrailingStop | MarketOnOpen | MarketOnClose, _) => Err(Verdict::Unsupported),
                };
                assert_eq!(lasts_at_broker, expected, "{order_type} {lasts}");
            }
        }
    }

    #[test]
    fn an_end_is_never_later_than_was_asked_for() {
        let limit = of(Side::Sell, OrderType::Limit, 10_100, 0);
        let until = |nanos: i64| sent(limit.until(NOW + nanos)).map(|sent| (sent.time_in_force, sent.expires));
        assert_eq!(until(5 * MINUTE + 59), Ok((TimeInForce::Gtd, Some(NOW + 5 * MINUTE))));
        assert_eq!(until(MINUTE), Ok((TimeInForce::Gtd, Some(NOW + MINUTE))));
        assert_eq!(until(MINUTE - 1), Err(Verdict::BadExpiry));
        assert_eq!(until(CLOSE - NOW), Ok((TimeInForce::Day, None)));
        let endless = OrderRequest { expires: None, ..limit.until(CLOSE) };
        assert_eq!(sent(endless), Err(Verdict::BadExpiry));
        assert_eq!(sent(OrderRequest { expires: Some(CLOSE), ..limit }), Err(Verdict::BadExpiry));
    }

    /// Kite: a stop that buys lies above the last price and its limit not below it; a stop that sells is the mirror.
    #[test]
    fn stops_lie_ahead_of_the_market() {
        let verdict = |side, limit, stop| {
            let kind = if limit > 0 { OrderType::StopLimit } else { OrderType::Stop };
            sent(of(side, kind, limit, stop)).err()
        };
        for (side, limit, stop) in [(Side::Buy, 0, 10_001), (Side::Buy, 10_001, 10_001), (Side::Sell, 9_000, 9_999)] {
            assert_eq!(verdict(side, limit, stop), None, "{side} {limit} {stop}");
        }
        for (side, limit, stop) in
            [(Side::Buy, 0, 10_000), (Side::Sell, 0, 10_000), (Side::Buy, 10_000, 10_001), (Side::Sell, 9_999, 9_998)]
        {
            assert_eq!(verdict(side, limit, stop), Some(Verdict::WrongSide), "{side} {limit} {stop}");
        }
    }
}
