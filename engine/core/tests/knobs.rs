//! Every setting of how orders fill and what pays for them, through the whole engine, by hand: one small market, one fill
//! to the paisa for each value (BT-27).
//!
//! - Prices are those of the candles above each table; nothing is taken from the engine.

mod small;
mod worlds;

use daybook_core::{Bracket, Conclusion, CoreError, Level, OrderRequest, Request};
use daybook_vocabulary::{LimitKind, Side, TimeInForce, Trail, Verdict};
use small::{Minute, Player, buy, core, price, protected, script, sell, settings, steps, units};
use worlds::Step;

/// What was told: `minute SYMBOL SIDE quantity @ price` for fills, `minute SYMBOL verdict allowed met` for refusals, other
/// ends of orders by their reason, limits by their name. Minutes count over all sessions.
fn told(sessions: &[&[Minute]], given: &[(&str, &str)], player: Player) -> Result<Vec<String>, CoreError> {
    let symbols = sessions[0][0].split(' ').count();
    let mut core = core(&settings(given), symbols, player);
    let mut words = Vec::new();
    let mut minute = 0;
    for step in &steps(sessions) {
        for output in worlds::step(&mut core, step)? {
            let symbol = char::from(b'A' + output.stream.0.min(25) as u8);
            match output.body {
                Conclusion::Fill(fill) => {
                    words.push(format!("{minute} {symbol} {} {} @ {}", fill.side, fill.quantity, fill.price));
                }
                Conclusion::Verdict(refused) => {
                    words.push(format!("{minute} {symbol} {} {} {}", refused.verdict, refused.limit, refused.observed));
                }
                Conclusion::Update(update) if !update.reason.is_empty() => {
                    words.push(format!("{minute} {symbol} {}", update.reason));
                }
                Conclusion::Limit(moved) => words.push(format!("{minute} {}", moved.limit)),
                _ => {}
            }
        }
        minute += usize::from(matches!(step, Step::Slice { .. }));
    }
    Ok(words)
}

fn told_of(sessions: &[&[Minute]], given: &[(&str, &str)], player: Player) -> Vec<String> {
    told(sessions, given, player).unwrap()
}

fn play(minutes: &[Minute], given: &[(&str, &str)], player: Player) -> Vec<String> {
    told(&[minutes], given, player).unwrap()
}

/// BT-27: fill bar next and same, price open, close, VWAP and mid; each side to its tick.
#[test]
fn bt_27_market_orders_trade_at_the_price_that_is_chosen() {
    let minutes: &[Minute] = &["98/104/97/100", "102/106/101/103"];
    // (106 + 101 + 103) / 3 = 103.33; (104 + 97 + 100) / 3 = 100.33.
    for (given, bought, sold) in [
        (&[][..], "1 A BUY 10 @ 102", "1 A SELL 10 @ 102"),
        (&[("exchange.market_price", "open")], "1 A BUY 10 @ 102", "1 A SELL 10 @ 102"),
        (&[("exchange.market_price", "close")], "1 A BUY 10 @ 103", "1 A SELL 10 @ 103"),
        (&[("exchange.market_price", "vwap")], "1 A BUY 10 @ 103.35", "1 A SELL 10 @ 103.3"),
        (&[("exchange.market_price", "mid")], "1 A BUY 10 @ 103.5", "1 A SELL 10 @ 103.5"),
        (&[("exchange.fill_bar", "close")], "0 A BUY 10 @ 100", "0 A SELL 10 @ 100"),
        (&[("exchange.fill_bar", "close-once")], "0 A BUY 10 @ 100", "0 A SELL 10 @ 100"),
        (
            &[("exchange.fill_bar", "close"), ("exchange.market_price", "close")],
            "0 A BUY 10 @ 100",
            "0 A SELL 10 @ 100",
        ),
        (
            &[("exchange.fill_bar", "close"), ("exchange.market_price", "vwap")],
            "0 A BUY 10 @ 100.35",
            "0 A SELL 10 @ 100.3",
        ),
        (
            &[("exchange.fill_bar", "close"), ("exchange.market_price", "mid")],
            "0 A BUY 10 @ 100.5",
            "0 A SELL 10 @ 100.5",
        ),
        (
            &[("exchange.off_tick", "keep"), ("exchange.market_price", "vwap")],
            "1 A BUY 10 @ 103.33333333",
            "1 A SELL 10 @ 103.33333333",
        ),
    ] {
        assert_eq!(play(minutes, given, script(&[Some(buy(10))])), [bought], "{given:?}");
        assert_eq!(play(minutes, given, script(&[Some(sell(10))])), [sold], "{given:?}");
    }
}

/// An order at the close of its candle comes after the candle's stops, and its own exits work from the next one on.
#[test]
fn bt_27_a_price_known_at_the_end_comes_last() {
    let minutes: &[Minute] = &["100", "102/106/90/103", "103/104/95/96", "96"];
    let entry = protected(Level::At(price("95")), None);
    let told = play(minutes, &[("exchange.market_price", "close")], script(&[Some(entry)]));
    assert_eq!(told, ["1 A BUY 10 @ 103", "2 A SELL 10 @ 95"]);
    // At the open the same stop is reached in the candle of the entry.
    assert_eq!(play(minutes, &[], script(&[Some(entry)])), ["1 A BUY 10 @ 102", "1 A SELL 10 @ 95"]);
    // Left at the middle of 104 and 95, once the stop is out of the way.
    let leave = vec![Request::CancelAll("out".into()), Request::Place(sell(10))];
    let player = Player::Script(vec![vec![Request::Place(entry)], leave]);
    let told = play(minutes, &[("exchange.market_price", "mid")], player);
    assert_eq!(told, ["1 A BUY 10 @ 98", "1 A out", "2 A SELL 10 @ 99.5"]);
}

/// BT-46: same bar, next bar, and any number of bars later; what is at once is at once then, over night too.
#[test]
fn bt_46_orders_wait_as_many_bars_as_it_is_chosen() {
    let minutes: &[Minute] = &["100", "101", "102", "103"];
    for (lag, told) in [("0", "1 A BUY 10 @ 101"), ("1", "2 A BUY 10 @ 102"), ("2", "3 A BUY 10 @ 103")] {
        let given = [("exchange.lag_bars", lag)];
        assert_eq!(play(minutes, &given, script(&[Some(buy(10))])), [told], "{lag}");
        let at_once = buy(10).lasting(TimeInForce::Ioc);
        assert_eq!(play(minutes, &given, script(&[Some(at_once)])), [told], "{lag}");
    }
    assert_eq!(play(minutes, &[("exchange.fill_bar", "close")], script(&[Some(buy(10))])), ["0 A BUY 10 @ 100"]);
    // Exits of a bracket follow their entry at once: a position is not left without its stop.
    let falls: &[Minute] = &["100", "101", "102/103/94/95"];
    let entry = script(&[Some(protected(Level::At(price("96")), None))]);
    let told = play(falls, &[("exchange.lag_bars", "1")], entry);
    assert_eq!(told, ["2 A BUY 10 @ 102", "2 A SELL 10 @ 96"]);
    let over_night = told_of(&[&["100"], &["101", "102"]], &[("exchange.lag_bars", "1")], script(&[Some(buy(10))]));
    assert_eq!(over_night, ["2 A BUY 10 @ 102"]);
}

/// BT-27: where a touched stop fills, and that a gap fills at the open.
#[test]
fn bt_27_stops_fill_where_it_is_chosen() {
    let touched: &[Minute] = &["100", "102", "103/104/99/101", "101.5/105/101/102"];
    let gapped: &[Minute] = &["100", "102", "98/99/97/98.5", "97.5/105/97/102"];
    let entry = || script(&[Some(protected(Level::At(price("100")), Some(Level::At(price("104")))))]);
    for (choice, in_touch, in_gap) in [
        ("stop", "2 A SELL 10 @ 100", "2 A SELL 10 @ 98"),
        ("close", "2 A SELL 10 @ 101", "2 A SELL 10 @ 98"),
        ("extreme", "2 A SELL 10 @ 99", "2 A SELL 10 @ 98"),
        ("next-open", "3 A SELL 10 @ 101.5", "2 A SELL 10 @ 98"),
    ] {
        let given = [("exchange.stop_fill", choice)];
        // The target at 104 was touched too: the stop is what counts, also where it leaves a candle later.
        let [entered, left, twin] = &play(touched, &given, entry())[..] else { panic!("{choice}") };
        assert_eq!(
            [entered, left, twin],
            ["1 A BUY 10 @ 102", in_touch, &format!("{} A one-cancels-other", &in_touch[..1])]
        );
        assert_eq!(play(gapped, &given, entry())[1], in_gap, "{choice}");
    }
    // A stop that enters, short side: the worst price of a sale is the low.
    let short = OrderRequest::stop(Side::Sell, units(5), price("100"), "");
    let told = play(touched, &[("exchange.stop_fill", "extreme")], script(&[None, Some(short)]));
    assert_eq!(told, ["2 A SELL 5 @ 99"]);
    // A stop-limit fills at the close only where its limit allows it.
    let limited = OrderRequest::stop_limit(Side::Sell, units(5), price("100"), price("100.5"), "");
    let told = play(touched, &[("exchange.stop_fill", "extreme")], script(&[None, Some(limited)]));
    assert_eq!(told, ["2 A SELL 5 @ 100.5"], "the close is above the limit: it came back");
}

/// BT-27: a bracket's distances from the fill, or from the price of the decision.
#[test]
fn bt_27_distances_are_measured_from_fill_or_signal() {
    let minutes: &[Minute] = &["100", "110", "110/112/95/96", "96/97/89/92"];
    let entry = || script(&[Some(protected(Level::Percent(price("10")), None))]);
    for (choice, left) in [("fill", "2 A SELL 10 @ 99"), ("signal", "3 A SELL 10 @ 90")] {
        let told = play(minutes, &[("exchange.stop_basis", choice)], entry());
        assert_eq!(told, ["1 A BUY 10 @ 110", left], "{choice}");
    }
    let up: &[Minute] = &["100", "90", "90/104/89/103"];
    let target = Bracket { stop: None, target: Some(Level::Percent(price("10"))) };
    for (choice, fills) in [("fill", &["1 A BUY 10 @ 90", "2 A SELL 10 @ 99"][..]), ("signal", &["1 A BUY 10 @ 90"])] {
        let told = play(up, &[("exchange.stop_basis", choice)], script(&[Some(buy(10).with_exits(target))]));
        assert_eq!(told, fills, "{choice}: 10 % above 90, or above 100");
    }
}

/// BT-27: what a trailing stop follows, and when.
#[test]
fn bt_27_a_trail_follows_high_or_close_after_or_before() {
    let minutes: &[Minute] = &["100", "100/101/99/100", "105/110/104/108", "107/108/104.5/106", "106/106/102/103"];
    let entry = || script(&[Some(protected(Level::Trail(Trail::Price(price("5"))), None))]);
    for (given, left) in [
        (&[("exchange.trail_from", "extreme"), ("exchange.trail_timing", "after")], "3 A SELL 10 @ 105"),
        (&[("exchange.trail_from", "close"), ("exchange.trail_timing", "after")], "4 A SELL 10 @ 103"),
        (&[("exchange.trail_from", "extreme"), ("exchange.trail_timing", "before")], "2 A SELL 10 @ 105"),
    ] {
        assert_eq!(play(minutes, given, entry()), ["1 A BUY 10 @ 100", left], "{given:?}");
    }
}

/// BT-27: exits of a bracket from the fill on, or from the next candle; a limit at a touch, or beyond.
#[test]
fn bt_27_exits_from_and_limit_fill() {
    let minutes: &[Minute] = &["100", "102/103/98/100", "100/101/98.5/100"];
    for (choice, minute) in [("fill", 1), ("next", 2)] {
        let entry = script(&[Some(protected(Level::At(price("99")), None))]);
        let told = play(minutes, &[("exchange.exits_from", choice)], entry);
        assert_eq!(told, ["1 A BUY 10 @ 102".to_owned(), format!("{minute} A SELL 10 @ 99")], "{choice}");
    }
    let at_the_low = OrderRequest::limit(Side::Buy, units(1), price("98"), "");
    for (choice, fills) in [("touch", &["1 A BUY 1 @ 98"][..]), ("through", &[])] {
        assert_eq!(play(minutes, &[("exchange.limit_fill", choice)], script(&[Some(at_the_low)])), fills, "{choice}");
    }
}

/// BT-27: all orders together, those that leave first, or one after the other.
#[test]
fn bt_27_orders_take_their_turns_as_it_is_chosen() {
    let one: &[Minute] = &["100", "102/103/98/100"];
    let both = || {
        let limit = OrderRequest::limit(Side::Buy, units(1), price("99"), "");
        Player::Script(vec![vec![Request::Place(limit), Request::Place(buy(2))]])
    };
    let (limit, taken) = ("1 A BUY 1 @ 99", "1 A BUY 2 @ 102");
    for (choice, fills) in [("path", [taken, limit]), ("exits-first", [taken, limit]), ("queue", [limit, taken])] {
        assert_eq!(play(one, &[("exchange.sequence", choice)], both()), fills, "{choice}");
    }
    // All the cash is in B. A is bought for what B brings: where B has its turn first.
    let two: &[Minute] = &["50 100", "50 100", "50 101"];
    let swap = || script(&[None, Some(buy(10)), Some(buy(20)), Some(sell(10))]);
    let paid = ("exchange.buying_power", "shrink");
    let cash = ("cash", "1000");
    let held = "1 B BUY 10 @ 100";
    let late = play(two, &[cash, paid, ("exchange.sequence", "path")], swap());
    assert_eq!(late, [held, "2 A insufficient-cash 0 1000", "2 A insufficient-cash", "2 B SELL 10 @ 101"]);
    let first = play(two, &[cash, paid, ("exchange.sequence", "exits-first")], swap());
    assert_eq!(first, [held, "2 B SELL 10 @ 101", "2 A BUY 20 @ 50"]);
}

/// BT-27: what pays, by hand; a refusal for lack of cash says what there was and what was needed.
#[test]
fn bt_27_buying_power() {
    let two: &[Minute] = &["100 100", "100 100", "100 100"];
    let cash = ("cash", "1000");
    for (choice, told) in [
        ("held", "0 A insufficient-cash 1000 1500"),
        ("free", "0 A insufficient-cash 1000 1500"),
        ("shrink", "1 A BUY 10 @ 100"),
    ] {
        let found = play(two, &[cash, ("exchange.buying_power", choice)], script(&[Some(buy(15))]));
        assert_eq!(found[0], told, "{choice}");
    }
    // Five sold short bring in 500: spent where all cash pays, twice locked where it is held.
    for (choice, told) in [("held", "1 B insufficient-cash 500 1400"), ("free", "2 B BUY 14 @ 100")] {
        let orders = [Some(sell(5)), None, None, Some(buy(14))];
        let found = play(two, &[cash, ("exchange.buying_power", choice)], script(&orders));
        assert_eq!(found[1], told, "{choice}");
    }
    // Of orders submitted together each sees what those before it have left.
    let orders = [Some(buy(6)), Some(buy(7))];
    let found = play(two, &[cash, ("exchange.buying_power", "free")], script(&orders));
    assert_eq!(found[0], "0 B insufficient-cash 400 700");
}

/// BT-27: what a sale brought in buys N sessions later; what was bought the same day is netted; MIS is not asked.
#[test]
fn bt_27_settlement_is_asked_for_to_the_session() {
    let day: &[Minute] = &["100 100", "100 100", "100 100"];
    let sessions = [day; 5];
    // A is bought on the first day and sold on the second; B is tried for at every close from then on.
    let orders = || {
        let mut orders = vec![None; 30];
        (orders[0], orders[6]) = (Some(buy(10)), Some(sell(10)));
        for slice in [9, 15, 21, 27] {
            orders[slice] = Some(buy(10));
        }
        script(&orders)
    };
    let bought = |given: &[(&str, &str)]| {
        let told = told(&sessions, &[&[("cash", "1000")], given].concat(), orders()).unwrap();
        let refused: Vec<_> = told.iter().filter(|line| line.contains("insufficient")).cloned().collect();
        (told.iter().find(|line| line.contains("B BUY")).cloned(), refused)
    };
    let at = |minute: usize| Some(format!("{minute} B BUY 10 @ 100"));
    // Sold in the fourth minute; asked for again at the end of it: 1,000 are there, and none of it settled.
    let refused = |minutes: &[usize]| {
        minutes.iter().map(|minute| format!("{minute} B insufficient-cash 0 1000")).collect::<Vec<_>>()
    };
    let settled = |sessions: &'static str| bought(&[("exchange.settlement", sessions)]);
    assert_eq!(settled("0").0, at(5));
    assert_eq!((settled("1").0, settled("1").1[0].clone()), (at(8), refused(&[4])[0].clone()));
    assert_eq!((settled("2").0, settled("2").1[..2].to_vec()), (at(11), refused(&[4, 7])));
    let intraday = [("exchange.settlement", "2"), ("risk.margin_pct", "100")];
    assert_eq!(bought(&intraday).0, at(5), "margin knows no settlement");
    // Bought and sold on one day: nothing is delivered, and the money is free.
    let same_day = script(&[Some(buy(10)), None, Some(sell(10)), None, None, None, Some(buy(10))]);
    let told = told(&sessions[..2], &[("cash", "1000"), ("exchange.settlement", "1")], same_day).unwrap();
    assert_eq!(told, ["1 A BUY 10 @ 100", "2 A SELL 10 @ 100", "4 A BUY 10 @ 100"]);
}

/// BT-27: a tenth of the equity is never spent, at the gate and at the fill.
#[test]
fn bt_27_the_cash_buffer_is_left() {
    let minutes: &[Minute] = &["100", "101"];
    let told = |percent, quantity| {
        play(minutes, &[("cash", "1000"), ("exchange.cash_buffer_pct", percent)], script(&[Some(buy(quantity))]))
    };
    assert_eq!(told("none", 9), ["1 A BUY 9 @ 101"]);
    assert_eq!(
        told("10", 9),
        ["1 A insufficient-cash 900 909", "1 A insufficient-cash"],
        "909 would leave 91 of 1,000"
    );
    assert_eq!(told("10", 8), ["1 A BUY 8 @ 101"]);
    assert_eq!(told("10", 10), ["0 A insufficient-cash 900 1000"]);
    let free = [("cash", "1000"), ("exchange.cash_buffer_pct", "10"), ("exchange.buying_power", "shrink")];
    assert_eq!(play(minutes, &free, script(&[Some(buy(20))]))[0], "1 A BUY 8 @ 101", "cut down to what may be spent");
}

/// BT-27: half to enter, a quarter to keep, three tenths for shorts; less trips a limit by name, and what follows from it.
#[test]
fn bt_27_margins_are_asked_for_and_kept() {
    let margins = |kept: &'static str| [("cash", "1000"), ("risk.margin_pct", "50"), ("risk.maintenance_pct", kept)];
    let fall: &[Minute] = &["100", "100", "67", "66", "65"];
    // 1,000 - 2,000 + 20 × 66 = 320, and a quarter of 1,320 is 330; at 67 it was 340 and 335.
    let told = play(fall, &margins("25"), script(&[Some(buy(20))]));
    assert_eq!(told, ["1 A BUY 20 @ 100", "3 margin", "4 A SELL 20 @ 65"]);
    let told = play(fall, &margins("none"), script(&[Some(buy(20))]));
    assert_eq!(told, ["1 A BUY 20 @ 100", "2 margin", "3 A SELL 20 @ 66"], "half is kept where nobody says otherwise");
    let blocked = [&margins("25")[..], &[("risk.flatten_on_trip", "no")]].concat();
    let told = play(fall, &blocked, script(&[Some(buy(20)), None, None, Some(buy(1))]));
    assert_eq!(told, ["1 A BUY 20 @ 100", "3 margin", "3 A locked 0 -10"], "no forced sale: entries are locked");
    assert_eq!(play(fall, &margins("25"), script(&[Some(buy(21))])), ["0 A margin 1000 1050"]);
    let rise: &[Minute] = &["100", "100", "115", "116", "117"];
    // 1,000 + 2,000 - 20 × 116 = 680, and three tenths of 2,320 are 696; at 115 it was 700 and 690.
    let short = [&margins("25")[..], &[("risk.short_maintenance_pct", "30")]].concat();
    let told = play(rise, &short, script(&[Some(sell(20))]));
    assert_eq!(told, ["1 A SELL 20 @ 100", "3 margin", "4 A BUY 20 @ 117"]);
    assert_eq!(LimitKind::Margin.to_string(), "margin");
}

/// BT-27: target weights by one moment, one after the other, or sales first.
#[test]
fn bt_27_weights_are_rebalanced_as_it_is_chosen() {
    // 60 and 40 percent of 1,000 are 10 of A and 40 of B. A rises to 90: of 1,300 they are 8 of A and 52 of B.
    let calm: Minute = "60 10";
    let risen: Minute = "90 10";
    let minutes = [calm, calm, calm, risen, risen, risen, risen];
    let weights = || Player::Named("weights", &[("weights", "A:60,B:40"), ("every", "3")]);
    let entered = ["1 A BUY 10 @ 60", "1 B BUY 40 @ 10"];
    for (choice, then) in [
        ("snapshot", &["3 B insufficient-cash 0 120", "4 A SELL 2 @ 90"][..]),
        ("incremental", &["4 A SELL 2 @ 90"]),
        ("hybrid", &["4 A SELL 2 @ 90", "5 B BUY 12 @ 10"]),
    ] {
        let told = play(&minutes[..6], &[("cash", "1000"), ("portfolio.rebalance", choice)], weights());
        assert_eq!(told, [&entered[..], then].concat(), "{choice}");
    }
}

/// BT-27: targets are scaled so that costs fit.
#[test]
fn bt_27_headroom_leaves_room_for_costs() {
    let minutes: &[Minute] = &["100", "100"];
    let all = || Player::Named("weights", &[("weights", "A:100")]);
    for (headroom, told) in [("1", "1 A insufficient-cash"), ("0.998", "1 A BUY 998 @ 100")] {
        let given = [("cash", "100000"), ("costs", "bps:10"), ("portfolio.headroom", headroom)];
        assert_eq!(play(minutes, &given, all()), [told], "{headroom}");
    }
    let top = || Player::Named("top-score", &[("top", "1"), ("bars", "1"), ("quantity", "equity_pct:100")]);
    let mut rising: Vec<Minute> = vec!["100/101/99/100"; 16];
    rising.extend(["100/101/99/101", "101"]);
    for (headroom, told) in [("1", "17 A BUY 990 @ 101"), ("0.9", "17 A BUY 891 @ 101")] {
        assert_eq!(play(&rising, &[("cash", "100000"), ("portfolio.headroom", headroom)], top()), [told], "{headroom}");
    }
}

/// BT-27: a symbol that begins later is skipped, waited for, or ends the run.
#[test]
fn bt_27_a_missing_symbol_is_what_it_is_chosen_to_be() {
    let alone: Minute = "100 -";
    let both: Minute = "100 50";
    let minutes = [alone, alone, both, both];
    let weights = || Player::Named("weights", &[("every", "2")]);
    let cash = ("cash", "1000");
    for (choice, fills) in
        [("skip", ["1 A BUY 5 @ 100", "3 B BUY 10 @ 50"]), ("wait", ["3 A BUY 5 @ 100", "3 B BUY 10 @ 50"])]
    {
        assert_eq!(play(&minutes, &[cash, ("portfolio.missing", choice)], weights()), fills, "{choice}");
    }
    let error = told(&[&minutes], &[cash, ("portfolio.missing", "error")], weights()).unwrap_err();
    assert!(matches!(&error, CoreError::MissingAsset { symbol, .. } if symbol == "B"), "{error}");
    assert!(error.to_string().contains("portfolio.missing=skip"), "{error}");
    let stranger = Player::Named("weights", &[("weights", "A:50,Z:50")]);
    assert!(told(&[&minutes], &[cash], stranger).unwrap_err().to_string().contains("'Z'"));
    let top = || Player::Named("top-score", &[("top", "1"), ("bars", "1")]);
    assert!(told(&[&minutes], &[cash, ("portfolio.missing", "error")], top()).is_err());
    assert_eq!(told(&[&minutes], &[cash, ("portfolio.missing", "wait")], top()).unwrap(), Vec::<String>::new());
}

/// A state that is saved at any input and restored goes on as if nothing had happened, under every knob together.
#[test]
fn bt_27_what_the_knobs_remember_is_state() {
    let given = [
        ("cash", "2000"),
        ("exchange.sequence", "exits-first"),
        ("exchange.lag_bars", "1"),
        ("exchange.settlement", "1"),
        ("exchange.cash_buffer_pct", "1"),
        ("exchange.market_price", "vwap"),
        ("exchange.stop_fill", "next-open"),
        ("exchange.slippage", "size-sqrt:50:1000"),
        ("exchange.buying_power", "shrink"),
    ];
    let rising: &[Minute] = &[
        "50/52/49/51 100/101/99/100",
        "51/53/50/52 100/102/95/101",
        "52/53/51/52 101/101/94/95",
        "52/54/51/53 95/97/94/96",
    ];
    let settings = settings(&given);
    let player = || {
        let stop = || Some(protected(Level::At(price("96")), None));
        script(&[
            Some(buy(9)),
            stop(),
            None,
            None,
            Some(sell(3)),
            None,
            None,
            Some(buy(5)),
            Some(sell(6)),
            Some(buy(4)),
        ])
    };
    let steps = steps(&[rising; 3]);
    let mut whole = core(&settings, 2, player());
    let outputs: Vec<_> = steps.iter().map(|step| worlds::step(&mut whole, step).unwrap()).collect();
    assert!(outputs.iter().flatten().filter(|output| matches!(output.body, Conclusion::Fill(_))).count() > 4);
    for cut in 0..=steps.len() {
        let mut first = core(&settings, 2, player());
        steps[..cut].iter().for_each(|step| drop(worlds::step(&mut first, step).unwrap()));
        let (mut saved, mut again) = (Vec::new(), Vec::new());
        first.save(&mut saved);
        let mut second = core(&settings, 2, player());
        second.load(&saved).unwrap();
        second.save(&mut again);
        assert_eq!(saved, again, "cut at {cut}");
        let rest: Vec<_> = steps[cut..].iter().map(|step| worlds::step(&mut second, step).unwrap()).collect();
        assert_eq!(rest, outputs[cut..], "cut at {cut}");
    }
    assert_eq!(Verdict::InsufficientCash.to_string(), "insufficient-cash");
}
