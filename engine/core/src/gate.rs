//! The gate: one ordered list of reasons to refuse an order, first hit wins.
//!
//! - Every intent is judged, and the verdict is journaled with it.
//! - An order that only reduces a position is never refused for want of cash.
//! - It judges each order against the position as it stands, as if nothing else worked in the instrument: a stop and a
//!   target that close the same position both pass. What a fill opens is paid for when it fills, or does not fill.

use crate::ledger::{Book, Ledger};
use crate::orders::OrderRequest;
use daybook_vocabulary::{Instrument, Money, OrderType, Price, TimeInForce, Verdict};

/// The largest quantity an order or a position may reach: a quarter of the range, so that sums stay inside it.
const QUANTITY_MAX: i64 = i64::MAX / 4;

/// The verdict, and the cash to hold back when it is approved. `closed` says that the session has no time left, so
/// that an order for the day could never work.
pub fn judge(
    request: &OrderRequest,
    meta: &Instrument,
    book: &Book,
    ledger: &Ledger,
    closed: bool,
) -> (Verdict, Money) {
    let refused = |verdict| (verdict, Money::ZERO);
    let quantity = request.quantity;
    let held = book.position.quantity;
    let working = book.working.iter().filter(|order| order.is_working());
    let working = working.fold(0i64, |sum, order| sum.saturating_add(order.remaining().0));
    if quantity.0 <= 0 || quantity.0.saturating_add(held.0.abs()).saturating_add(working) > QUANTITY_MAX {
        return refused(Verdict::BadQuantity);
    }
    if quantity.round_down_to(meta.lot) != quantity {
        return refused(Verdict::OffLot);
    }
    if !prices_fit(request) {
        return refused(Verdict::BadPrice);
    }
    if book.bars == 0 {
        return refused(Verdict::NoMarket);
    }
    if closed && request.time_in_force == TimeInForce::Day {
        return refused(Verdict::ClosedSession);
    }
    let price = judged_at(request, book.last);
    let (needed, freed) = Ledger::need(&book.position, request.side, quantity, price);
    if needed.0 > 0 && needed > ledger.free() + freed {
        return refused(Verdict::InsufficientCash);
    }
    (Verdict::Approved, needed)
}

/// Each order type wants its own prices, positive, and no others.
fn prices_fit(request: &OrderRequest) -> bool {
    let positive = |price: Option<Price>| price.is_some_and(|price| price.0 > 0);
    match request.order_type {
        OrderType::Market | OrderType::MarketOnOpen | OrderType::MarketOnClose => {
            request.limit.is_none() && request.stop.is_none()
        }
        OrderType::Limit => positive(request.limit) && request.stop.is_none(),
        OrderType::Stop | OrderType::TrailingStop => request.limit.is_none() && positive(request.stop),
        OrderType::StopLimit => positive(request.limit) && positive(request.stop),
    }
}

/// The price an order is judged by: its limit, else its stop, else the last price.
fn judged_at(request: &OrderRequest, last: Price) -> Price {
    request.limit.or(request.stop).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;
    use daybook_vocabulary::{Quantity, Side};

    fn market() -> (Instrument, Book, Ledger) {
        let meta = Instrument {
            market: "nse".into(),
            symbol: "X".into(),
            tick: "0.05".parse().unwrap(),
            lot: Quantity::from_units(5),
        };
        let book = Book { last: Price::from_units(100), bars: 1, ..Book::default() };
        (meta, book, Ledger::new(Money::from_units(10_000)))
    }

    #[test]
    fn each_reason_has_its_verdict() {
        let (meta, book, ledger) = market();
        let verdict = |request: OrderRequest| judge(&request, &meta, &book, &ledger, false).0;
        let units = Quantity::from_units;
        let buy = |quantity| OrderRequest::market(Side::Buy, quantity, "test");
        assert_eq!(verdict(buy(units(100))), Verdict::Approved);
        assert_eq!(verdict(buy(units(105))), Verdict::InsufficientCash);
        assert_eq!(verdict(buy(units(0))), Verdict::BadQuantity);
        assert_eq!(verdict(buy(units(-5))), Verdict::BadQuantity);
        assert_eq!(verdict(buy(Quantity(i64::MAX))), Verdict::BadQuantity);
        assert_eq!(verdict(buy(units(7))), Verdict::OffLot);
        assert_eq!(verdict(OrderRequest::limit(Side::Buy, units(5), Price::ZERO, "")), Verdict::BadPrice);
        assert_eq!(verdict(OrderRequest { stop: Some(Price(1)), ..buy(units(5)) }), Verdict::BadPrice);
        let day = buy(units(5)).lasting(TimeInForce::Day);
        assert_eq!(judge(&day, &meta, &book, &ledger, true).0, Verdict::ClosedSession);
        assert_eq!(judge(&day, &meta, &book, &ledger, false).0, Verdict::Approved);
        assert_eq!(judge(&buy(units(5)), &meta, &book, &ledger, true).0, Verdict::Approved, "it waits for tomorrow");
        let unseen = Book::default();
        assert_eq!(judge(&buy(units(5)), &meta, &unseen, &ledger, false).0, Verdict::NoMarket);
    }

    #[test]
    fn leaving_a_position_needs_no_cash() {
        let (meta, mut book, mut ledger) = market();
        book.position = Position { quantity: Quantity::from_units(-50), basis: Money::from_units(-5_000) };
        ledger.cash = Money::from_units(-1);
        let cover = OrderRequest::market(Side::Buy, Quantity::from_units(50), "cover");
        assert_eq!(judge(&cover, &meta, &book, &ledger, false), (Verdict::Approved, Money::ZERO));
        let more = OrderRequest::market(Side::Buy, Quantity::from_units(500), "flip");
        assert_eq!(judge(&more, &meta, &book, &ledger, false).0, Verdict::InsufficientCash);
    }
}
