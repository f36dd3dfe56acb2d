//! What becomes of orders, positions and money when sessions begin and end.

use crate::market::{Hand, Script, price};
use daybook_adapters::kite_server::{Command, Fields};
use daybook_adapters::kite_wire::Decimal;
use daybook_vocabulary::Money;

fn script() -> Script {
    let script = Script::default().tick("09:15:00", 0, "1000", 10_000).tick("09:15:00", 1, "100", 10_000);
    script.tick("12:00:00", 0, "1010", 10_000).tick("15:21:00", 0, "1005", 10_000)
}

fn net(hand: &Hand) -> Decimal {
    hand.world.margin_segment().net
}

#[test]
fn the_opening_is_matched_at_one_price() {
    let mut hand = Hand::new(script());
    hand.wait("09:01:00");
    let market = hand.place("transaction_type=BUY&quantity=5&order_type=MARKET&market_protection=-1");
    let limit = hand.place("transaction_type=BUY&quantity=5&order_type=LIMIT&price=1001");
    let low = hand.place("transaction_type=BUY&quantity=5&order_type=LIMIT&price=999");
    let stop = hand.place("transaction_type=BUY&quantity=5&order_type=SL&trigger_price=1020&price=1020");
    assert_eq!([&market, &limit, &low, &stop].map(|id| hand.status(id)), ["OPEN", "OPEN", "OPEN", "REJECTED"]);
    hand.wait("09:08:00");
    assert_eq!([&market, &limit, &low].map(|id| hand.status(id)), ["COMPLETE", "COMPLETE", "OPEN"]);
    assert_eq!(hand.row(&limit).average_price, Decimal::from(price("1000")), "the opening price, not the limit");
    hand.wait("09:10:00");
    let waiting = hand.place("transaction_type=BUY&quantity=5&order_type=LIMIT&price=999");
    assert_eq!(hand.status(&waiting), "REJECTED", "between the match and the open there is no order entry");
}

#[test]
fn orders_collected_at_night_are_released_in_the_morning() {
    let mut hand = Hand::new(script());
    hand.wait("20:00:00");
    let form = "exchange=NSE&tradingsymbol=AAA&product=CNC&transaction_type=BUY&quantity=5&order_type=LIMIT";
    assert_eq!(hand.order("regular", &format!("{form}&price=1001")).unwrap_err().kind.as_str(), "OrderException");
    let kept = hand.order("amo", &format!("{form}&price=1001")).unwrap();
    let gone = hand.order("amo", &format!("{form}&price=1001")).unwrap();
    let changed = hand.order("amo", &format!("{form}&price=950")).unwrap();
    assert_eq!(hand.status(&kept), "AMO REQ RECEIVED");
    hand.cancel("amo", &gone).unwrap();
    assert_eq!(hand.status(&gone), "CANCELLED AMO");
    let fields = Fields::parse("price=955&order_type=LIMIT").unwrap();
    hand.world.apply(&Command::Modify { variety: "amo".into(), id: changed.clone(), fields }).unwrap();
    hand.night(1, "09:00:00");
    assert_eq!([&kept, &changed].map(|id| hand.status(id)), ["OPEN", "OPEN"]);
    assert!(hand.world.order_history(&gone).is_err(), "the night empties the order book");
    hand.wait("09:16:00");
    assert_eq!([&kept, &changed].map(|id| hand.status(id)), ["COMPLETE", "OPEN"]);
    assert_eq!(hand.row(&changed).price, Decimal::from(price("955")));
}

#[test]
fn the_day_ends_orders_and_intraday_positions() {
    let mut hand = Hand::new(script());
    hand.wait("10:00:00");
    let id = hand.place("transaction_type=BUY&quantity=10&order_type=MARKET&market_protection=-1");
    let open = hand.place("transaction_type=BUY&quantity=1&order_type=LIMIT&price=950");
    let form = "exchange=NSE&tradingsymbol=BBB&product=CNC&transaction_type=BUY&quantity=1&order_type=LIMIT&price=95";
    let delivery = hand.order("regular", form).unwrap();
    assert_eq!((hand.status(&id).as_str(), hand.held("AAA", "MIS")), ("COMPLETE", 10));
    hand.wait("15:22:00");
    assert_eq!(hand.held("AAA", "MIS"), 0, "squared off at 15:20");
    assert_eq!(hand.status(&open), "CANCELLED");
    assert_eq!(hand.status(&delivery), "OPEN");
    let late = "exchange=NSE&tradingsymbol=AAA&product=MIS&transaction_type=BUY&quantity=1&order_type=LIMIT&price=950";
    assert_eq!(hand.order("regular", late).unwrap_err().kind.as_str(), "OrderException");
    hand.wait("15:30:00");
    assert_eq!(hand.status(&delivery), "CANCELLED");
    let square = hand.world.order_rows().into_iter().find(|row| row.placed_by == "RMS").unwrap();
    assert_eq!(square.tag.as_deref(), Some("squareoff"));
}

/// Bought today it is a position, T1 tomorrow, settled the day after; sold it is a negative position for a day.
#[test]
fn delivery_becomes_holdings() {
    let mut hand = Hand::new(script());
    hand.wait("10:00:00");
    let form = "exchange=NSE&tradingsymbol=AAA&product=CNC&quantity=10&order_type=MARKET&market_protection=-1";
    let sell = format!("{form}&transaction_type=SELL");
    assert_eq!(hand.order("regular", &sell).unwrap_err().kind.as_str(), "HoldingException");
    let bought = hand.order("regular", &format!("{form}&transaction_type=BUY")).unwrap();
    let paid = hand.row(&bought).average_price.0 * 10;
    assert_eq!(net(&hand).0, Money::from_units(1_000_000).0 - paid);
    hand.night(1, "10:00:00");
    let holding = hand.world.holding_rows()[0].clone();
    assert_eq!((holding.quantity, holding.t1_quantity, holding.average_price.0), (0, 10, paid / 10));
    assert_eq!(hand.world.margin_segment().available.cash.0, Money::from_units(1_000_000).0 - paid);
    assert!(hand.world.position_rows().net.is_empty());
    hand.night(1, "10:00:00");
    let holding = hand.world.holding_rows()[0].clone();
    assert_eq!((holding.quantity, holding.t1_quantity), (10, 0));
    let sold = hand.order("regular", &sell).unwrap();
    let got = hand.row(&sold).average_price.0 * 10;
    assert_eq!((hand.held("AAA", "CNC"), hand.world.holding_rows()[0].used_quantity), (-10, 10));
    assert_eq!(hand.order("regular", &sell).unwrap_err().kind.as_str(), "HoldingException");
    hand.night(1, "10:00:00");
    assert!(hand.world.holding_rows().is_empty());
    let depository = Money::from_units(15).0;
    assert_eq!(net(&hand).0, Money::from_units(1_000_000).0 - paid + got - depository);
}

#[test]
fn profit_is_what_was_sold_less_what_was_bought() {
    let mut hand = Hand::new(script());
    hand.wait("10:00:00");
    let buy = hand.place("transaction_type=BUY&quantity=10&order_type=MARKET&market_protection=-1");
    let blocked = hand.world.margin_segment().utilised.debits.0;
    assert_eq!(blocked, hand.row(&buy).average_price.0 * 10 / 5, "intraday blocks a fifth");
    hand.wait("12:01:00");
    let sell = hand.place("transaction_type=SELL&quantity=4&order_type=MARKET&market_protection=-1");
    let rows = hand.world.position_rows();
    let (net, day) = (&rows.net[0], &rows.day[0]);
    let (cost, gain) = (hand.row(&buy).average_price.0, hand.row(&sell).average_price.0);
    assert_eq!((net.quantity, day.day_sell_quantity), (6, 4));
    assert_eq!(net.pnl.0, gain * 4 - cost * 10 + 6 * net.last_price.0);
    assert_eq!(net.realised.0 + net.unrealised.0, net.pnl.0);
    assert_eq!(net.realised.0, (gain - cost) * 4);
    let convert = Fields::parse(
        "exchange=NSE&tradingsymbol=AAA&transaction_type=BUY&position_type=day&quantity=6&old_product=MIS&new_product=CNC",
    );
    hand.world.apply(&Command::Convert { fields: convert.clone().unwrap() }).unwrap();
    assert_eq!((hand.held("AAA", "MIS"), hand.held("AAA", "CNC")), (0, 6));
    assert!(hand.world.apply(&Command::Convert { fields: convert.unwrap() }).is_err(), "nothing is left to convert");
    // A day later: cash moved by what was traded and charged, to the last unit.
    hand.night(1, "08:00:00");
    let cash = hand.world.margin_segment().available.cash.0;
    let traded = gain * 4 - cost * 10;
    assert_eq!(cash, Money::from_units(1_000_000).0 + traded - Money::from_units(2).0);
}

#[test]
fn weekends_are_closed() {
    let mut hand = Hand::new(script());
    hand.wait("10:00:00");
    // 2025-06-14 is a Saturday.
    hand.night(4, "10:00:00");
    let form = "exchange=NSE&tradingsymbol=AAA&product=CNC&transaction_type=BUY&quantity=5&order_type=LIMIT&price=950";
    assert_eq!(hand.order("regular", form).unwrap_err().kind.as_str(), "InputException", "nothing is listed");
    hand.night(2, "10:00:00");
    assert!(hand.order("regular", form).is_ok());
}
