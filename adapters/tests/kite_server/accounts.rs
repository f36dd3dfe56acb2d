//! Positions and funds against a twin that knows trades only, and what listeners are told against what askers see.

use crate::market::{DATE, Hand, Script, placed};
use daybook_adapters::kite_server::{Command, Dice, Fields};
use daybook_adapters::kite_wire::Decimal;
use daybook_adapters::kite_wire::orders::OrderRow;
use daybook_vocabulary::Nanos;
use std::collections::BTreeMap;

/// Orders of two shares and both products, changed and withdrawn at will.
fn any_command(dice: &mut Dice, ids: &[String]) -> Command {
    let fields = |text: String| Fields::parse(&text).unwrap();
    let id = |dice: &mut Dice| ids.get(dice.below(ids.len().max(1) as u64) as usize).cloned().unwrap_or_default();
    let side = ["BUY", "SELL"][dice.below(2) as usize];
    let product = ["MIS", "CNC"][dice.below(2) as usize];
    let (symbol, price) = [("AAA", 996 + dice.below(9)), ("BBB", 99 + dice.below(3))][dice.below(2) as usize];
    let quantity = 1 + dice.below(60);
    let base =
        format!("exchange=NSE&tradingsymbol={symbol}&transaction_type={side}&quantity={quantity}&product={product}");
    match dice.below(10) {
        0 | 1 => Command::Cancel { variety: "regular".into(), id: id(dice) },
        2 => Command::Modify { variety: "regular".into(), id: id(dice), fields: fields(format!("price={price}")) },
        3 => {
            Command::Modify { variety: "regular".into(), id: id(dice), fields: fields(format!("quantity={quantity}")) }
        }
        4 | 5 => Command::Place {
            variety: "regular".into(),
            fields: fields(format!("{base}&order_type=MARKET&market_protection=-1")),
        },
        6 => Command::Place {
            variety: "co".into(),
            fields: fields(format!(
                "{}&order_type=LIMIT&price={price}&trigger_price={}",
                base.replace("CNC", "MIS"),
                if side == "BUY" { price - 4 } else { price + 4 }
            )),
        },
        _ => Command::Place {
            variety: "regular".into(),
            fields: fields(format!("{base}&order_type=LIMIT&price={price}")),
        },
    }
}

/// What trades make of a symbol and product: bought and sold, each with its value in units of 1e-8.
type Sums = BTreeMap<(String, String), [(i64, i128); 2]>;

fn sums(hand: &Hand) -> Sums {
    let mut sums = Sums::new();
    for trade in hand.world.trade_rows() {
        let key = (trade.tradingsymbol.clone(), trade.product.to_string());
        let side = &mut sums.entry(key).or_default()[usize::from(trade.transaction_type.as_str() == "SELL")];
        side.0 += trade.quantity;
        side.1 += trade.average_price.0 * i128::from(trade.quantity);
    }
    sums
}

fn average((quantity, value): (i64, i128)) -> i128 {
    if quantity == 0 { 0 } else { daybook_vocabulary::decimal::divide_rounded(value, quantity.into()) }
}

/// Every figure of every row of positions follows from the trades; so does the money that is left.
fn check_account(hand: &Hand, place: &str) {
    let sums = sums(hand);
    let rows = hand.world.position_rows();
    assert_eq!(rows.net.len(), sums.len(), "{place}");
    let (mut realised, mut blocked) = (0, 0);
    for row in &rows.net {
        let [buys, sells] = sums[&(row.tradingsymbol.clone(), row.product.to_string())];
        let quantity = buys.0 - sells.0;
        let last = row.last_price.0;
        let pnl = sells.1 - buys.1 + last * i128::from(quantity);
        let seen = (row.quantity, row.buy_quantity, row.buy_value.0, row.sell_quantity, row.sell_value.0, row.pnl.0);
        assert_eq!(seen, (quantity, buys.0, buys.1, sells.0, sells.1, pnl), "{place} {row:?}");
        assert_eq!((row.overnight_quantity, row.value), (0, Decimal(sells.1 - buys.1)), "{place}");
        let open = if quantity > 0 { average(buys) } else { average(sells) };
        assert_eq!(row.average_price.0, if quantity == 0 { 0 } else { open }, "{place} {row:?}");
        let working = |side: &str| -> (i64, i128) {
            let mine = |order: &&&OrderRow| {
                let working = matches!(order.status.as_str(), "OPEN" | "TRIGGER PENDING");
                let same = order.tradingsymbol == row.tradingsymbol && order.product == row.product;
                working && same && order.transaction_type.as_str() == side
            };
            let price = |order: &OrderRow| match (order.price.0, order.trigger_price.0) {
                (0, 0) => last,
                (0, trigger) => trigger,
                (price, _) => price,
            };
            let orders = hand.world.order_rows();
            let found = orders.iter().filter(mine);
            found.fold((0, 0), |sum, order| {
                let left = order.quantity - order.filled_quantity;
                (sum.0 + left, sum.1 + price(order) * i128::from(left))
            })
        };
        let (buying, selling) = (working("BUY"), working("SELL"));
        if row.product.as_str() == "CNC" {
            blocked += open.max(0) * i128::from(quantity.max(0)) + buying.1;
        } else {
            let closed = buys.0.min(sells.0);
            realised += (average(sells) - average(buys)) * i128::from(closed);
            let longer = average(buying) * i128::from((buying.0 - (-quantity).max(0)).max(0));
            let shorter = average(selling) * i128::from((selling.0 - quantity.max(0)).max(0));
            blocked += (open * i128::from(quantity.abs()) + longer.max(shorter)) / 5;
        }
    }
    // Orders of what has no position yet.
    for order in hand.world.order_rows() {
        let key = (order.tradingsymbol.clone(), order.product.to_string());
        let working = matches!(order.status.as_str(), "OPEN" | "TRIGGER PENDING");
        if working && !sums.contains_key(&key) {
            return;
        }
    }
    let margins = hand.world.margin_segment();
    assert_eq!(margins.net.0, margins.available.cash.0 + realised - blocked, "{place}: {margins:?}");
}

/// Positions, profits and funds are those of the trades, to the last 1e-8, whatever is done; over night they settle.
#[test]
fn positions_and_funds_are_those_of_the_trades() {
    for seed in 0..6 {
        let mut hand = Hand::new(Script::saw());
        let mut dice = Dice::new(seed, Nanos(5));
        let mut ids = Vec::new();
        hand.wait("09:15:00");
        for minute in 0..250 {
            let command = any_command(&mut dice, &ids);
            if let (Ok(body), Command::Place { .. }) = (hand.world.apply(&command), &command) {
                ids.push(placed(&body).order_id);
            }
            let time = 9 * 3600 + 16 * 60 + minute * 60;
            hand.wait(&format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60));
            check_account(&hand, &format!("seed {seed} minute {minute}"));
        }
        assert!(hand.world.trade_rows().len() > 20, "seed {seed}: it traded");
        hand.wait("15:59:59");
        let cash = hand.world.margin_segment().available.cash.0;
        let sums = sums(&hand);
        let flow: i128 = sums.values().map(|[buys, sells]| sells.1 - buys.1).sum();
        let fees = hand.world.trade_rows().iter().filter(|trade| trade.product.as_str() == "MIS").count();
        let fees = fees as i128 * 100_000_000;
        assert!(hand.held("AAA", "MIS") == 0 && hand.held("BBB", "MIS") == 0, "the broker has squared off");
        let delivered: i64 =
            sums.iter().filter(|(key, _)| key.1 == "CNC").map(|(_, [buys, sells])| buys.0 - sells.0).sum();
        hand.night(1, "08:00:00");
        assert_eq!(hand.world.margin_segment().available.cash.0, cash + flow - fees, "seed {seed}: {DATE} settles");
        let held: i64 = hand.world.holding_rows().iter().map(|row| row.quantity + row.t1_quantity).sum();
        assert_eq!(held, delivered, "seed {seed}");
    }
}

/// Whoever listens knows as much as whoever asks: the last message about an order is its row.
#[test]
fn every_change_of_an_order_is_told() {
    for seed in 0..6 {
        let mut hand = Hand::new(Script::saw());
        let mut dice = Dice::new(seed, Nanos(6));
        let mut ids = Vec::new();
        let mut told: BTreeMap<String, OrderRow> = BTreeMap::new();
        hand.wait("08:30:00");
        let amo = hand.order(
            "amo",
            "exchange=NSE&tradingsymbol=AAA&product=MIS&transaction_type=BUY&quantity=5&order_type=LIMIT&price=999",
        );
        assert!(amo.is_ok());
        for step in 0..260 {
            let time = 9 * 3600 + step * 97;
            if step > 10 {
                let command = any_command(&mut dice, &ids);
                if let (Ok(body), Command::Place { .. }) = (hand.world.apply(&command), &command) {
                    ids.push(placed(&body).order_id);
                }
            }
            hand.wait(&format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60));
            for update in std::mem::take(&mut hand.world.out).updates {
                told.insert(update.row.order_id.clone(), update.row);
            }
            for row in hand.world.order_rows() {
                assert_eq!(told.get(&row.order_id), Some(row), "seed {seed} step {step}");
            }
        }
        assert!(told.values().any(|row| row.parent_order_id.is_some()), "seed {seed}: second legs are among them");
    }
}

/// A thin market fills small orders in parts: what a level shows and a tick fills is bounded.
#[test]
fn a_bounded_market_fills_in_parts() {
    let script = Script::default().tick("09:15:00", 0, "1000", 500).tick("09:20:00", 0, "999", 500);
    let mut hand = Hand::thin(script.tick("09:21:00", 0, "999", 500), 3);
    hand.wait("09:16:00");
    assert!(hand.world.board().quote(0).snapshot.bids.iter().all(|line| (1..=3).contains(&line.quantity)));
    let id = hand.place("transaction_type=BUY&quantity=10&order_type=LIMIT&price=999");
    hand.wait("09:20:30");
    let row = hand.row(&id);
    assert!(row.status.as_str() == "OPEN" && 3 <= row.filled_quantity && row.filled_quantity < 10, "{row:?}");
    hand.wait("09:21:30");
    assert!(hand.row(&id).filled_quantity > row.filled_quantity);
}
