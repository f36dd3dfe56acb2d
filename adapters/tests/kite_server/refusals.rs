//! What is refused, and how.

use crate::market::{Hand, Script};
use daybook_adapters::kite_server::{Command, Fields};

fn hand() -> Hand {
    let mut hand = Hand::new(Script::default().tick("09:15:00", 0, "1000", 100));
    hand.wait("09:16:00");
    hand
}

/// SQ-30, RL-40: every wrong field is an `InputException`, and leaves no trace.
#[test]
fn wrong_fields() {
    let mut hand = hand();
    let good = "exchange=NSE&tradingsymbol=AAA&transaction_type=BUY&quantity=10&product=MIS&order_type=LIMIT&price=950";
    assert!(hand.order("regular", good).is_ok());
    let swap = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let market = |more: &str| swap("order_type=LIMIT&price=950", &format!("order_type=MARKET{more}"));
    for (variety, form) in [
        ("bo", good.to_owned()),
        ("auction", good.to_owned()),
        ("regular", swap("NSE", "XYZ")),
        ("regular", swap("NSE", "BSE")),
        ("regular", swap("AAA", "NIFTY+50")),
        ("regular", swap("AAA", "ZZZ")),
        ("regular", swap("BUY", "HOLD")),
        ("regular", swap("quantity=10", "quantity=0")),
        ("regular", swap("quantity=10", "quantity=ten")),
        ("regular", swap("quantity=10", "quantity=99999999999999999999")),
        ("regular", swap("quantity=10&", "")),
        ("regular", swap("MIS", "NRML")),
        ("regular", swap("MIS", "XXX")),
        ("regular", swap("LIMIT", "STOP")),
        ("regular", swap("&price=950", "")),
        ("regular", swap("price=950", "price=950.01")),
        ("regular", swap("price=950", "price=-5")),
        ("regular", swap("price=950", "price=NaN")),
        ("regular", format!("{good}&validity=GTC")),
        ("regular", format!("{good}&validity=TTL")),
        ("regular", format!("{good}&tag=white+space")),
        ("regular", format!("{good}&tag=123456789012345678901")),
        ("regular", format!("{good}&disclosed_quantity=11")),
        ("regular", market("")),
        ("regular", market("&market_protection=0")),
        ("regular", market("&market_protection=True")),
        ("regular", market("&market_protection=101")),
        ("regular", swap("LIMIT", "SL")),
        ("regular", format!("{}&trigger_price=1010", swap("order_type=LIMIT&price=950", "order_type=SL&price=1005"))),
        ("iceberg", good.to_owned()),
        ("iceberg", format!("{good}&iceberg_legs=11")),
        ("iceberg", format!("{good}&iceberg_legs=3&iceberg_quantity=5")),
        ("co", good.to_owned()),
    ] {
        let refusal = hand.order(variety, &form).expect_err(&form);
        assert_eq!((refusal.code, refusal.kind.as_str()), (400, "InputException"), "{variety} {form}");
    }
    assert_eq!(hand.world.order_rows().len(), 1, "what was refused leaves no trace");
}

#[test]
fn stops_on_the_wrong_side_and_orders_beyond_means() {
    let mut hand = hand();
    let base = "exchange=NSE&tradingsymbol=AAA&product=MIS";
    for (form, kind) in [
        ("transaction_type=BUY&quantity=1&order_type=SL&trigger_price=990&price=990", "OrderException"),
        ("transaction_type=SELL&quantity=1&order_type=SL&trigger_price=1010&price=1010", "OrderException"),
        ("transaction_type=BUY&quantity=10000&order_type=LIMIT&price=1000", "MarginException"),
        ("transaction_type=SELL&quantity=1&order_type=LIMIT&price=1000&product=CNC", "HoldingException"),
    ] {
        let form = if form.contains("product") {
            format!("exchange=NSE&tradingsymbol=AAA&{form}")
        } else {
            format!("{base}&{form}")
        };
        assert_eq!(hand.order("regular", &form).expect_err(&form).kind.as_str(), kind, "{form}");
    }
}

#[test]
fn open_orders_hold_their_money() {
    let mut hand = hand();
    let form =
        "exchange=NSE&tradingsymbol=AAA&product=CNC&transaction_type=BUY&quantity=500&order_type=LIMIT&price=950";
    let first = hand.order("regular", form).unwrap();
    hand.order("regular", form).unwrap();
    assert_eq!(hand.order("regular", form).unwrap_err().kind.as_str(), "MarginException");
    hand.cancel("regular", &first).unwrap();
    assert!(hand.order("regular", form).is_ok(), "what was cancelled holds nothing");
}

#[test]
fn prices_outside_the_band_are_rejected_by_the_exchange() {
    let mut hand = hand();
    let id = hand.place("transaction_type=BUY&quantity=1&order_type=LIMIT&price=899.95");
    assert_eq!(hand.states(&id), ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "REJECTED"]);
    assert!(hand.row(&id).status_message_raw.unwrap().contains("900 - 1100"));
    let id = hand.place("transaction_type=BUY&quantity=1&order_type=LIMIT&price=900");
    assert_eq!(hand.status(&id), "OPEN");
}

#[test]
fn an_account_has_so_many_orders_a_day() {
    let mut hand = hand();
    for _ in 0..5_000 {
        let id = hand.place("transaction_type=BUY&quantity=1&order_type=LIMIT&price=950");
        hand.cancel("regular", &id).unwrap();
    }
    let form = "exchange=NSE&tradingsymbol=AAA&product=MIS&transaction_type=BUY&quantity=1&order_type=LIMIT&price=950";
    let fields = Fields::parse(form).unwrap();
    let refusal = hand.world.apply(&Command::Place { variety: "regular".into(), fields }).unwrap_err();
    assert_eq!((refusal.code, refusal.kind.as_str()), (429, "NetworkException"));
    assert!(refusal.message.contains("5000"), "{}", refusal.message);
}

#[test]
fn calculators_read_their_lists_or_say_why_not() {
    let hand = hand();
    let item = r#"{"exchange":"NSE","tradingsymbol":"AAA","transaction_type":"BUY","variety":"regular","product":"MIS","order_type":"LIMIT","quantity":100,"price":1000,"trigger_price":0}"#;
    let body = hand.world.order_margins(format!("[{item}]").as_bytes(), false).unwrap();
    assert!(body.contains("\"total\":20000}") && body.contains("\"transaction_tax_type\":\"stt\""), "{body}");
    let both = format!("[{item},{}]", item.replace("BUY", "SELL"));
    let basket = hand.world.basket_margins(both.as_bytes(), true, false).unwrap();
    assert!(basket.contains("\"initial\"") && basket.contains("\"final\""), "{basket}");
    for bad in [
        "",
        "{}",
        "[1]",
        "[{}]",
        &format!("[{}]", item.replace("AAA", "ZZZ")),
        &format!("[{}]", item.replace("100", "-1")),
    ] {
        for refused in [
            hand.world.order_margins(bad.as_bytes(), true),
            hand.world.basket_margins(bad.as_bytes(), false, true),
            hand.world.contract_note(bad.as_bytes()),
        ] {
            assert_eq!(refused.unwrap_err().kind.as_str(), "InputException", "{bad}");
        }
    }
}
