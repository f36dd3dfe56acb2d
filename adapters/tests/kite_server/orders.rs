//! Orders by day: every type, every way to fill, to change, to end.

use crate::market::{AUCTION_DATE, Hand, Script, placed, price};
use daybook_adapters::kite_server::{Command, Fields};
use daybook_adapters::kite_wire::Decimal;

/// At 1,000 from the first second on, then as a test says.
fn script() -> Script {
    Script::default().tick("09:15:00", 0, "1000", 100).tick("09:15:00", 1, "100", 100)
}

#[test]
fn a_limit_rests_until_the_price_comes() {
    let mut hand = Hand::new(script().tick("09:20:00", 0, "990.05", 100).tick("09:21:00", 0, "990", 100));
    hand.wait("09:16:00");
    let id = hand.place("transaction_type=BUY&quantity=10&order_type=LIMIT&price=990&tag=one");
    assert_eq!(hand.states(&id), ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]);
    assert_eq!(id.len(), 19);
    hand.wait("09:20:30");
    assert_eq!(hand.status(&id), "OPEN");
    hand.wait("09:22:00");
    let row = hand.row(&id);
    assert_eq!((row.status.as_str(), row.filled_quantity, row.pending_quantity), ("COMPLETE", 10, 0));
    assert_eq!((row.average_price, row.tag.as_deref()), (Decimal::from(price("990")), Some("one")));
    let trades = hand.world.order_trades(&id).unwrap();
    assert_eq!((trades.len(), trades[0].quantity), (1, 10));
    assert_eq!(trades[0].fill_timestamp.as_deref(), Some("2025-06-10 09:21:00"));
    assert_eq!(trades[0].order_timestamp.as_deref(), Some("09:16:00"));
    assert_eq!(hand.held("AAA", "MIS"), 10);
}

/// RL-29: what the book shows fills at once, the rest waits, and a partial fill stays OPEN.
#[test]
fn a_large_order_fills_in_parts() {
    let thin = Script::default().tick("09:15:00", 0, "1000", 2).tick("09:20:00", 0, "1000", 2);
    let mut hand = Hand::new(thin.tick("09:25:00", 0, "1000", 3));
    hand.wait("09:20:30");
    let before = hand.world.board().quote(0).snapshot.offers;
    let shown: i64 = before.iter().map(|line| line.quantity).sum();
    let order = shown + 50;
    let id = hand.place(&format!("transaction_type=BUY&quantity={order}&order_type=MARKET&market_protection=5"));
    let row = hand.row(&id);
    assert_eq!((row.status.as_str(), row.filled_quantity), ("OPEN", shown));
    assert!(row.pending_quantity > 0 && row.average_price > Decimal::ZERO);
    assert_eq!((row.order_type.as_str(), row.price), ("LIMIT", Decimal::from(price("1050"))));
    assert_eq!(row.tags.unwrap(), ["mktp", "mktp:5.00"]);
    assert!(hand.world.board().quote(0).snapshot.offers.iter().all(|line| line.quantity == 0), "the book is eaten");
    hand.wait("09:25:30");
    assert!(hand.row(&id).filled_quantity > row.filled_quantity, "the next tick brings more");
    let total: i64 = hand.world.order_trades(&id).unwrap().iter().map(|trade| trade.quantity).sum();
    assert_eq!(total, hand.row(&id).filled_quantity);
}

#[test]
fn stops_wait_for_the_last_price() {
    let mut hand = Hand::new(script().tick("09:20:00", 0, "989", 100).tick("09:21:00", 0, "1011", 100));
    hand.wait("09:16:00");
    let stop = hand.place("transaction_type=SELL&quantity=5&order_type=SL-M&trigger_price=990&market_protection=-1");
    let limit = hand.place("transaction_type=BUY&quantity=5&order_type=SL&trigger_price=1010&price=1012");
    let tight = hand.place("transaction_type=SELL&quantity=5&order_type=SL&trigger_price=990&price=990");
    assert_eq!([&stop, &limit, &tight].map(|id| hand.status(id)), ["TRIGGER PENDING"; 3]);
    hand.wait("09:20:30");
    assert_eq!(hand.states(&stop)[3..], ["TRIGGER PENDING", "OPEN", "COMPLETE"]);
    assert_eq!(hand.row(&stop).average_price, Decimal::from(price("989")));
    assert_eq!(hand.status(&tight), "OPEN", "a gap through a stop-limit leaves it behind");
    assert_eq!(hand.status(&limit), "TRIGGER PENDING");
    hand.wait("09:21:30");
    assert_eq!([&limit, &tight].map(|id| hand.status(id)), ["COMPLETE"; 2]);
}

#[test]
fn immediate_orders_and_those_with_an_end() {
    let mut hand = Hand::new(script().tick("09:40:00", 0, "1000", 10));
    hand.wait("09:16:00");
    let ioc = hand.place("transaction_type=BUY&quantity=5&order_type=LIMIT&price=950&validity=IOC");
    assert_eq!((hand.status(&ioc), hand.row(&ioc).cancelled_quantity), ("CANCELLED".to_owned(), 5));
    let ttl = hand.place("transaction_type=BUY&quantity=5&order_type=LIMIT&price=950&validity=TTL&validity_ttl=2");
    hand.wait("09:17:59");
    assert_eq!(hand.status(&ttl), "OPEN");
    hand.wait("09:18:00");
    assert_eq!(hand.status(&ttl), "CANCELLED");
    assert_eq!(hand.row(&ttl).exchange_update_timestamp.as_deref(), Some("2025-06-10 09:18:00"));
    // A modification may give an order an end, and take it away again.
    let id = hand.place("transaction_type=BUY&quantity=50&order_type=LIMIT&price=950");
    hand.modify(&id, "order_type=LIMIT&validity=TTL").expect_err("it needs its minutes");
    hand.modify(&id, "order_type=LIMIT&disclosed_quantity=4").expect_err("less than a tenth");
    hand.modify(&id, "order_type=LIMIT&validity=TTL&validity_ttl=5").unwrap();
    assert_eq!(hand.row(&id).validity_ttl, 5);
    hand.modify(&id, "order_type=LIMIT&validity=DAY").unwrap();
    let ends = hand.place("transaction_type=BUY&quantity=50&order_type=LIMIT&price=950");
    hand.modify(&ends, "order_type=LIMIT&validity=TTL&validity_ttl=5").unwrap();
    hand.wait("09:23:00");
    assert_eq!([&id, &ends].map(|id| hand.status(id)), ["OPEN", "CANCELLED"]);
}

#[test]
fn a_modified_order_shows_every_state() {
    let mut hand = Hand::new(script());
    hand.wait("09:16:00");
    let id = hand.place("transaction_type=BUY&quantity=10&order_type=LIMIT&price=950");
    hand.modify(&id, "order_type=LIMIT&price=955&quantity=20&order_id=ignored&variety=regular").unwrap();
    let tail = ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"];
    assert_eq!(hand.states(&id)[4..], tail);
    let row = hand.row(&id);
    assert_eq!((row.quantity, row.price, row.modified), (20, Decimal::from(price("955")), true));
    // A price that crosses trades at once.
    hand.modify(&id, "price=1010").unwrap();
    assert!(hand.row(&id).filled_quantity > 0);
    let id = hand.place("transaction_type=BUY&quantity=10&order_type=LIMIT&price=950");
    for count in 0..25 {
        hand.modify(&id, &format!("quantity={}", 11 + count)).unwrap();
    }
    let refusal = hand.modify(&id, "quantity=99").unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (400, "Maximum allowed order modifications exceeded."));
}

#[test]
fn cancelling_ends_an_order_for_good() {
    let mut hand = Hand::new(script());
    hand.wait("09:16:00");
    let id = hand.place("transaction_type=BUY&quantity=10&order_type=LIMIT&price=950");
    hand.cancel("regular", &id).unwrap();
    assert_eq!(hand.states(&id)[4..], ["CANCEL PENDING", "CANCELLED"]);
    for refused in [hand.cancel("regular", &id), hand.modify(&id, "price=951")] {
        assert_eq!(refused.unwrap_err().kind.as_str(), "OrderException");
    }
    assert_eq!(hand.cancel("regular", "123").unwrap_err().kind.as_str(), "InputException");
}

#[test]
fn icebergs_show_one_leg_at_a_time() {
    let mut hand = Hand::new(script().tick("09:20:00", 0, "980", 1_000).tick("09:21:00", 0, "980", 1_000));
    hand.wait("09:16:00");
    let form = "exchange=NSE&tradingsymbol=AAA&product=MIS&transaction_type=BUY&quantity=10&order_type=LIMIT&price=990\
                &iceberg_legs=3&iceberg_quantity=4";
    let first = hand.order("iceberg", form).unwrap();
    let meta = hand.row(&first).meta.iceberg.unwrap();
    assert_eq!((meta.leg, meta.legs, meta.leg_quantity, meta.remaining_quantity), (1, 3, 4, 6));
    hand.wait("09:22:00");
    let rows: Vec<_> = hand.world.order_rows().into_iter().cloned().collect();
    assert_eq!(rows.iter().map(|row| row.quantity).collect::<Vec<_>>(), [4, 4, 2]);
    assert!(rows[1..].iter().all(|row| row.parent_order_id.as_deref() == Some(&first)));
    assert_eq!(hand.held("AAA", "MIS"), 10);
}

#[test]
fn a_cover_order_has_its_stop_at_once() {
    let mut hand = Hand::new(script().tick("09:20:00", 0, "979", 1_000));
    hand.wait("09:16:00");
    let base = "exchange=NSE&tradingsymbol=AAA&product=MIS&transaction_type=BUY&quantity=10&order_type=MARKET";
    let first = hand.order("co", &format!("{base}&market_protection=-1&trigger_price=980")).unwrap();
    assert_eq!(hand.status(&first), "COMPLETE");
    let child = |hand: &Hand, of: &str| {
        let rows = hand.world.order_rows();
        rows.into_iter().find(|row| row.parent_order_id.as_deref() == Some(of)).cloned().unwrap()
    };
    let leg = child(&hand, &first);
    assert_eq!((leg.status.as_str(), leg.order_type.as_str(), leg.quantity), ("TRIGGER PENDING", "SL-M", 10));
    let change = Fields::parse("trigger_price=979&parent_order_id=x").unwrap();
    hand.world.apply(&Command::Modify { variety: "co".into(), id: leg.order_id.clone(), fields: change }).unwrap();
    hand.wait("09:20:30");
    assert_eq!((hand.status(&leg.order_id).as_str(), hand.held("AAA", "MIS")), ("COMPLETE", 0));
    let second = hand.order("co", &format!("{base}&market_protection=-1&trigger_price=970")).unwrap();
    let leg = child(&hand, &second);
    hand.cancel("co", &leg.order_id).unwrap();
    assert_eq!((hand.status(&leg.order_id).as_str(), hand.held("AAA", "MIS")), ("COMPLETE", 0), "it is exited");
}

/// Every share that a cover order has filled has its stop, however the fills and the stops fall.
#[test]
fn a_cover_order_that_fills_in_parts_is_covered_whole() {
    let thin = Script::default().tick("09:15:00", 0, "1000", 1).tick("09:20:00", 0, "1000", 1);
    let thin = thin.tick("09:21:00", 0, "979", 500).tick("09:22:00", 0, "1000", 500).tick("09:23:00", 0, "1000", 500);
    let mut hand = Hand::new(thin);
    hand.wait("09:16:00");
    let form =
        "exchange=NSE&tradingsymbol=AAA&product=MIS&transaction_type=BUY&quantity=600&order_type=LIMIT&price=1000";
    let first = hand.order("co", &format!("{form}&trigger_price=980")).unwrap();
    for time in ["09:16:01", "09:20:30", "09:21:30", "09:22:30", "09:23:30"] {
        hand.wait(time);
        let row = hand.row(&first);
        let legs: i64 =
            hand.world.order_rows().iter().filter(|row| row.parent_order_id.is_some()).map(|row| row.quantity).sum();
        assert_eq!(legs, row.filled_quantity, "{time}");
        let open: i64 = hand
            .world
            .order_rows()
            .iter()
            .filter(|row| row.parent_order_id.is_some() && !row.status.is_final())
            .map(|row| row.pending_quantity)
            .sum();
        assert_eq!(open, hand.held("AAA", "MIS"), "{time}: what is held has a stop");
    }
    assert!(hand.row(&first).filled_quantity > 500);
    let legs = hand.world.order_rows().iter().filter(|row| row.parent_order_id.is_some()).count();
    assert!(legs > 1, "a stop that was hit is followed by another");
}

#[test]
fn what_is_above_the_freeze_quantity_is_sliced_or_rejected() {
    let mut hand = Hand::new(script());
    hand.wait("09:16:00");
    let form =
        "exchange=NSE&tradingsymbol=BBB&product=MIS&transaction_type=BUY&quantity=2500&order_type=LIMIT&price=95";
    let id = hand.order("regular", form).unwrap();
    assert_eq!(hand.status(&id), "REJECTED");
    let fields = Fields::parse(&format!("{form}&autoslice=true")).unwrap();
    let body = hand.world.apply(&Command::Place { variety: "regular".into(), fields }).unwrap();
    let children = placed(&body).children.unwrap();
    assert_eq!(children.len(), 3);
    let rows = hand.world.order_rows();
    let sizes: Vec<i64> = rows.iter().filter(|row| row.tags.is_some()).map(|row| row.quantity).collect();
    assert_eq!(sizes, [1000, 1000, 500]);
    let many = Fields::parse(&format!("{}&autoslice=true", form.replace("2500", "10001"))).unwrap();
    let refusal = hand.world.apply(&Command::Place { variety: "regular".into(), fields: many }).unwrap_err();
    assert!(refusal.message.contains("10 slices"), "{}", refusal.message);
}

/// A slice that is refused does not take the others with it.
#[test]
fn some_slices_may_fail() {
    let mut hand = Hand::new(script());
    hand.wait("09:16:00");
    let form = "exchange=NSE&tradingsymbol=AAA&product=CNC&transaction_type=BUY&quantity=1500&order_type=LIMIT&price=950&autoslice=True";
    let fields = Fields::parse(form).unwrap();
    let body = hand.world.apply(&Command::Place { variety: "regular".into(), fields }).unwrap();
    let children = placed(&body).children.unwrap();
    assert!(children[0].order_id.is_some());
    assert_eq!(children[1].error.as_ref().unwrap().error_type.as_str(), "MarginException");
}

#[test]
fn triggers_are_held_and_fired_by_the_broker() {
    let script =
        script().tick("09:20:00", 0, "990", 100).tick("09:30:00", 0, "1050", 100).tick("09:40:00", 0, "1000", 1);
    let mut hand = Hand::new(script);
    hand.wait("09:16:00");
    let gtt = |kind: &str, values: &str, orders: &str| {
        let condition = format!(
            "{{\"exchange\":\"NSE\",\"tradingsymbol\":\"AAA\",\"trigger_values\":[{values}],\"last_price\":1000}}"
        );
        Fields::of([("type", kind.to_owned()), ("condition", condition), ("orders", format!("[{orders}]"))])
    };
    let leg = |side: &str, price: &str| {
        format!(
            "{{\"transaction_type\":\"{side}\",\"quantity\":5,\"order_type\":\"LIMIT\",\"product\":\"CNC\",\"price\":{price}}}"
        )
    };
    let single = gtt("single", "990", &leg("BUY", "995"));
    hand.world.apply(&Command::CreateGtt { fields: single }).unwrap();
    hand.wait("09:19:00");
    assert_eq!(hand.world.gtt_rows()[0].status, "active");
    hand.wait("09:21:00");
    let row = hand.world.gtt_rows()[0].clone();
    assert_eq!(row.status, "triggered");
    let result = row.orders[0].result.clone().unwrap();
    assert_eq!((result.order_result.status.as_str(), result.triggered_at), ("success", Decimal::from(price("990"))));
    assert_eq!(hand.status(&result.order_result.order_id), "COMPLETE");
    assert_eq!(hand.held("AAA", "CNC"), 5);
    let both = format!("{},{}", leg("SELL", "955"), leg("SELL", "1040"));
    hand.world.apply(&Command::CreateGtt { fields: gtt("two-leg", "960,1040", &both) }).unwrap();
    hand.wait("09:31:00");
    let row = hand.world.gtt_rows()[1].clone();
    assert_eq!(row.status, "triggered");
    assert!(row.orders[0].result.is_none() && row.orders[1].result.is_some(), "the target was hit, the stop is gone");
    assert_eq!(hand.held("AAA", "CNC"), 0);
    let id = row.id;
    hand.wait("09:41:00");
    assert_eq!(hand.world.order_rows().len(), 2, "what fired is not fired again");
    assert!(hand.world.apply(&Command::DeleteGtt { id }).is_err());
    let intraday = leg("BUY", "990").replace("CNC", "MIS");
    for bad in [
        gtt("single", "999", &leg("BUY", "999")),
        gtt("two-leg", "1040,960", &both),
        gtt("two-leg", "960", &both),
        gtt("single", "960", &intraday),
        gtt("single", "960", &leg("BUY", "960.01")),
        gtt("single", "\"x\"", &leg("BUY", "960")),
        gtt("other", "960", &leg("BUY", "960")),
        gtt("single", "960", "not json"),
    ] {
        assert_eq!(hand.world.apply(&Command::CreateGtt { fields: bad }).unwrap_err().kind.as_str(), "InputException");
    }
}

/// Since 3 August 2026: stops go at 15:15, the auction takes limits (and market orders in its first half).
#[test]
fn the_closing_auction() {
    let script =
        script().tick("15:14:00", 0, "1000", 100).tick("15:29:00", 0, "1001", 100).tick("15:29:00", 1, "100", 10);
    let mut hand = Hand::on(AUCTION_DATE, script);
    hand.wait("15:00:00");
    let stop = hand.place("transaction_type=SELL&quantity=5&order_type=SL&trigger_price=900&price=900&product=MIS");
    let form = "exchange=NSE&tradingsymbol=AAA&product=CNC&transaction_type=BUY";
    let resting = hand.order("regular", &format!("{form}&quantity=5&order_type=LIMIT&price=990")).unwrap();
    hand.wait("15:15:00");
    assert_eq!([&stop, &resting].map(|id| hand.status(id)), ["CANCELLED", "OPEN"]);
    hand.wait("15:16:00");
    let early = hand.order("regular", &format!("{form}&quantity=1&order_type=LIMIT&price=1005")).unwrap();
    assert_eq!(hand.status(&early), "REJECTED", "no order entry in the transition");
    hand.wait("15:21:00");
    let market = hand.order("regular", &format!("{form}&quantity=2&order_type=MARKET&market_protection=-1")).unwrap();
    let ioc = hand.order("regular", &format!("{form}&quantity=1&order_type=LIMIT&price=1005&validity=IOC")).unwrap();
    assert_eq!([&market, &ioc].map(|id| hand.status(id)), ["OPEN", "REJECTED"]);
    hand.wait("15:26:00");
    let late = hand.order("regular", &format!("{form}&quantity=1&order_type=MARKET&market_protection=-1")).unwrap();
    assert_eq!(hand.row(&late).status_message.as_deref(), Some("Market orders are currently not allowed."));
    let limit = hand.order("regular", &format!("{form}&quantity=3&order_type=LIMIT&price=1005")).unwrap();
    hand.wait("15:30:00");
    assert_eq!([&market, &limit, &resting].map(|id| hand.status(id)), ["COMPLETE", "COMPLETE", "CANCELLED"]);
    assert_eq!(hand.row(&limit).average_price, Decimal::from(price("1001")));
    hand.wait("15:55:00");
    let after = hand.order("regular", &format!("{form}&quantity=3&order_type=LIMIT&price=1005")).unwrap();
    assert_eq!(hand.status(&after), "COMPLETE", "trading at the close");
}
