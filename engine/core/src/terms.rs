//! The terms of an order: what must hold for it to mean anything, whatever the account and the market.
//!
//! - A distance belongs to a trailing stop and to nothing else, an end to an order that is good till an instant.
//! - A trailing stop without a trigger of its own begins at its distance from the last price.
//! - It must never look at the account: that is the gate's.

use crate::orders::OrderRequest;
use daybook_vocabulary::{Nanos, OrderType, Price, TimeInForce, Verdict};

/// Puts the prices on the tick and fills in the first trigger of a trailing stop.
pub fn settle(request: &mut OrderRequest, last: Price, tick: Price) {
    if let (OrderType::TrailingStop, None, Some(trail)) = (request.order_type, request.stop, request.trail) {
        request.stop = trail.stop(request.side, last);
    }
    request.limit = request.limit.map(|price| price.round_to(tick));
    request.stop = request.stop.map(|price| price.round_to(tick));
}

/// Why the terms make no sense; nothing where they do.
pub fn fault(request: &OrderRequest, last: Price, now: Nanos) -> Option<Verdict> {
    let trails = request.order_type == OrderType::TrailingStop;
    let distance = request.trail.and_then(|trail| trail.distance(last));
    if request.trail.is_some() != trails || (trails && distance.is_none()) {
        return Some(Verdict::BadTrail);
    }
    let ends = request.time_in_force == TimeInForce::Gtd;
    if request.expires.is_some() != ends || request.expires.is_some_and(|expires| expires <= now) {
        return Some(Verdict::BadExpiry);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::{Quantity, Side, Trail};

    #[test]
    fn each_term_has_its_place() {
        let (one, last, now) = (Quantity::from_units(1), Price(1_000), Nanos(50));
        let market = OrderRequest::market(Side::Sell, one, "");
        let trailing = |distance| OrderRequest::trailing(Side::Sell, one, Trail::Price(Price(distance)), "");
        let fault = |request: OrderRequest| fault(&request, last, now);
        assert_eq!((fault(market), fault(trailing(10)), fault(market.until(Nanos(51)))), (None, None, None));
        let stray = OrderRequest { trail: Some(Trail::Price(Price(10))), ..market };
        let naked = OrderRequest { trail: None, ..trailing(10) };
        for bad in [stray, naked, trailing(0)] {
            assert_eq!(fault(bad), Some(Verdict::BadTrail), "{bad:?}");
        }
        let endless = market.lasting(TimeInForce::Gtd);
        let early = OrderRequest { expires: Some(Nanos(60)), ..market };
        for bad in [market.until(Nanos(50)), endless, early] {
            assert_eq!(fault(bad), Some(Verdict::BadExpiry), "{bad:?}");
        }
    }

    #[test]
    fn a_trailing_stop_begins_at_its_distance_from_the_last_price() {
        let request = OrderRequest::trailing(Side::Sell, Quantity::from_units(1), Trail::Price(Price(13)), "");
        let settled = |mut request| {
            settle(&mut request, Price(1_000), Price(5));
            request.stop
        };
        assert_eq!(settled(request), Some(Price(985)));
        assert_eq!(settled(OrderRequest { stop: Some(Price(903)), ..request }), Some(Price(905)));
    }
}
