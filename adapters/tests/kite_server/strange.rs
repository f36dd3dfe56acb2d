//! Fields and messages that nobody sends on purpose: every one is refused with its type, and nothing is lost.

use crate::http::start;
use crate::market::{Hand, Script};
use crate::restart::Memory;
use crate::socket::{connected, next_packets, say};
use daybook_adapters::kite_server::{Command, Dice, Fields};
use daybook_vocabulary::Nanos;

/// Values of fields that are wrong, extreme, or right in another place.
const VALUES: [&str; 44] = [
    "",
    "0",
    "-0",
    "1",
    "-1",
    "5",
    "950",
    "1000",
    "1000.05",
    "1000.049",
    "-1000",
    "0.00000001",
    "0.000000001",
    "1e3",
    "1E400",
    "999999999",
    "1000000000",
    "9223372036854775807",
    "9223372036854775808",
    "92233720368.54775807",
    "1_000",
    "+5",
    " 5",
    "NaN",
    "inf",
    "True",
    "true",
    "null",
    "[]",
    "{}",
    "\"5\"",
    "MARKET",
    "LIMIT",
    "SL",
    "SL-M",
    "BUY",
    "SELL",
    "MIS",
    "CNC",
    "IOC",
    "TTL",
    "AAA",
    "NSE",
    "\u{2603}",
];
const NAMES: [&str; 17] = [
    "quantity",
    "price",
    "trigger_price",
    "disclosed_quantity",
    "validity_ttl",
    "iceberg_legs",
    "iceberg_quantity",
    "market_protection",
    "order_type",
    "product",
    "transaction_type",
    "validity",
    "tradingsymbol",
    "exchange",
    "tag",
    "autoslice",
    "variety",
];

fn pick<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[dice.below(of.len() as u64) as usize]
}

/// A form that is right but for some of its fields.
fn form(dice: &mut Dice) -> Fields {
    let mut fields = vec![
        ("exchange", "NSE"),
        ("tradingsymbol", "AAA"),
        ("transaction_type", pick(dice, &["BUY", "SELL"])),
        ("quantity", "10"),
        ("product", pick(dice, &["MIS", "CNC"])),
        ("order_type", pick(dice, &["LIMIT", "MARKET", "SL", "SL-M"])),
        ("price", "1000"),
        ("trigger_price", pick(dice, &["", "990", "1010"])),
        ("market_protection", "-1"),
    ];
    for _ in 0..dice.below(4) {
        let (name, value) = (pick(dice, &NAMES), pick(dice, &VALUES));
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    let text: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", value.replace('+', "%2B"))).collect();
    Fields::parse(&text.join("&")).unwrap()
}

fn gtt(dice: &mut Dice) -> Fields {
    let mut value = || pick(dice, &VALUES).to_owned();
    let condition = format!(
        "{{\"exchange\":\"NSE\",\"tradingsymbol\":\"AAA\",\"trigger_values\":[{}],\"last_price\":{}}}",
        value(),
        value()
    );
    let order = format!(
        "[{{\"transaction_type\":\"BUY\",\"quantity\":{},\"order_type\":\"LIMIT\",\"product\":\"CNC\",\"price\":{}}}]",
        value(),
        value()
    );
    Fields::of([("type", "single".to_owned()), ("condition", condition), ("orders", order)])
}

/// Every order's quantities add up, and the money is a number that can be read.
fn check(hand: &Hand, place: &str) {
    for row in hand.world.order_rows() {
        let sum = row.filled_quantity + row.pending_quantity + row.cancelled_quantity;
        let whole = row.status.as_str() == "REJECTED" || sum == row.quantity;
        assert!(whole && row.quantity > 0 && row.filled_quantity >= 0, "{place}: {row:?}");
        assert!(serde_json::to_string(row).is_ok());
    }
    assert!(serde_json::to_string(&hand.world.margin_segment()).is_ok(), "{place}");
}

#[test]
fn strange_fields_are_refused_with_a_type_and_break_nothing() {
    let known = ["InputException", "OrderException", "MarginException", "HoldingException", "NetworkException"];
    for seed in 0..4 {
        let mut hand = Hand::new(Script::saw());
        let mut dice = Dice::new(seed, Nanos(9));
        hand.wait("09:15:00");
        let (mut taken, mut refused) = (0, 0);
        for step in 0..700 {
            let ids: Vec<String> = hand.world.order_rows().iter().map(|row| row.order_id.clone()).collect();
            let id = ids.get(dice.below(ids.len().max(1) as u64) as usize).cloned().unwrap_or_default();
            let other = pick(&mut dice, &["iceberg", "co", "amo", "auction", "bo", ""]);
            let variety = if dice.below(4) > 0 { "regular" } else { other }.to_owned();
            let command = match dice.below(6) {
                0 => Command::Modify { variety, id, fields: form(&mut dice) },
                1 => Command::Cancel { variety, id },
                2 => Command::CreateGtt { fields: gtt(&mut dice) },
                3 => Command::Convert { fields: form(&mut dice) },
                _ => Command::Place { variety, fields: form(&mut dice) },
            };
            match hand.world.apply(&command) {
                Ok(_) => taken += 1,
                Err(refusal) => {
                    refused += 1;
                    assert!(known.contains(&refusal.kind.as_str()), "seed {seed}: {refusal:?} of {command:?}");
                    assert!(matches!(refusal.code, 400 | 429) && !refusal.message.is_empty());
                }
            }
            let time = 9 * 3600 + 15 * 60 + step * 30;
            hand.wait(&format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60));
            check(&hand, &format!("seed {seed} step {step} {command:?}"));
        }
        assert!(taken > 30 && refused > 200, "seed {seed}: {taken} {refused}");
        hand.night(1, "08:00:00");
        check(&hand, "the morning after");
    }
}

/// Wrong messages on the socket are answered or ignored; the subscription of before goes on.
#[test]
fn strange_messages_break_no_subscription() {
    let server = start("10:00", "100", false, &[], Memory::default()).logged_in();
    let mut socket = connected(&server);
    say(&mut socket, r#"{"a":"subscribe","v":[257]}"#);
    next_packets(&mut socket);
    let long = format!(r#"{{"a":"subscribe","v":[{}1]}}"#, "4294967295,".repeat(9_000));
    for text in [
        "",
        "null",
        "[[[[",
        "{\"a\":null}",
        r#"{"a":"subscribe"}"#,
        r#"{"a":"subscribe","v":{}}"#,
        r#"{"a":"subscribe","v":[-1]}"#,
        r#"{"a":"subscribe","v":[1.5]}"#,
        r#"{"a":"subscribe","v":[99999999999999999999]}"#,
        r#"{"a":"mode","v":[]}"#,
        r#"{"a":"mode","v":["full"]}"#,
        r#"{"a":"mode","v":["full",[513]]}"#,
        r#"{"a":"unsubscribe","v":["257"]}"#,
        "\u{0}\u{1}",
        long.as_str(),
    ] {
        say(&mut socket, text);
    }
    for _ in 0..3 {
        assert_eq!(next_packets(&mut socket), [(257, 44)]);
    }
}
