//! What happens in which order inside a candle, a slice and a session's end, as one text (BT-32); and what holds after each
//! of those steps: the two identities of the books (BT-05), every leg charged once (SQ-28).
//!
//! - The order itself is written once, in ARCHITECTURE.md under "The loop".

mod small;
mod worlds;

use daybook_config::{
    BuyingPower, ExitsFrom, FillBar, MarketPrice, Sequence, StopBasis, StopFill, TrailFrom, TrailTiming,
};
use daybook_core::{Book, Bracket, Conclusion, ExchangeRules, Level, OrderRequest, Output, Request};
use daybook_vocabulary::{InstrumentId, Money, Side, TimeInForce, Trail};
use small::{Minute, Player, buy, core, price, sell, settings, steps, units};
use worlds::{Random, Step, World};

/// One line an output: the step it came at, what it is, and its order.
fn line(at: &str, output: &Output) -> String {
    let what = match &output.body {
        Conclusion::Intent(intent) => format!("intent {} {} {}", intent.order, intent.side, intent.reason),
        Conclusion::Update(update) => format!("{} {} {}", update.event, update.order, update.reason),
        Conclusion::Fill(fill) => format!("fill {} {} @ {}", fill.order, fill.quantity, fill.price),
        Conclusion::Trade(trade) => format!("trade {} {}", trade.trade, trade.exit_reason),
        Conclusion::Tightened(moved) => format!("tightened {} {} to {}", moved.order, moved.from, moved.to),
        Conclusion::Account(account) => format!("account {}", account.equity),
        Conclusion::Verdict(refused) => format!("refused {} {}", refused.order, refused.verdict),
        Conclusion::Bar(bar) => format!("bar {}", bar.candle().close()),
        other => format!("{:?}", other.kind()),
    };
    format!("{at}: {}", what.trim_end())
}

fn trace(minutes: &[Minute], given: &[(&str, &str)], player: Player) -> Vec<String> {
    let mut core = core(&settings(given), minutes[0].split(' ').count(), player);
    let (mut lines, mut minute) = (Vec::new(), 0);
    for step in &steps(&[minutes]) {
        let at = match step {
            Step::Opened { .. } => "open".to_owned(),
            Step::Candle { instrument, .. } => format!("{minute}{}", char::from(b'A' + *instrument as u8)),
            Step::Slice { .. } => format!("{minute}/"),
            Step::Closed { .. } => "close".to_owned(),
        };
        minute += usize::from(matches!(step, Step::Slice { .. }));
        lines.extend(worlds::step(&mut core, step).unwrap().iter().map(|output| line(&at, output)));
    }
    lines
}

/// BT-32: orders at the open as they were accepted; exits of what they entered; stops, the twin given up, the trade closed;
/// limits; orders for the close; what the candle ends; trails. Then the slice: decisions in the order of the symbols. At the
/// end what dies with the day, then the account.
#[test]
fn bt_32_the_order_inside_a_candle() {
    let bracket = Bracket { stop: Some(Level::At(price("95"))), target: Some(Level::At(price("110"))) };
    let orders = [
        OrderRequest { reason: "rests".into(), ..OrderRequest::limit(Side::Buy, units(5), price("98"), "") },
        OrderRequest { reason: "enters".into(), ..buy(10).with_exits(bracket) },
        OrderRequest { reason: "at-once".into(), ..OrderRequest::limit(Side::Buy, units(1), price("90"), "") }
            .lasting(TimeInForce::Ioc),
        OrderRequest {
            reason: "trails".into(),
            ..OrderRequest::trailing(Side::Buy, units(2), Trail::Price(price("30")), "")
        },
        OrderRequest { reason: "of-the-day".into(), ..OrderRequest::limit(Side::Buy, units(1), price("80"), "") }
            .lasting(TimeInForce::Day),
    ];
    let script = vec![
        orders.into_iter().map(Request::Place).collect(),
        vec![Request::Place(OrderRequest { reason: "b".into(), ..buy(1) })],
        Vec::new(),
        vec![Request::Place(OrderRequest { reason: "b-out".into(), ..sell(1) })],
    ];
    let found = trace(&["100 50", "100/112/94/105 51", "106 52"], &[], Player::Script(script));
    let expected = [
        // The first slice decides: A's orders in the order of the requests, then B's.
        "0/: intent 1 BUY rests",
        "0/: accepted 1",
        "0/: intent 2 BUY enters",
        "0/: accepted 2",
        "0/: intent 3 BUY at-once",
        "0/: accepted 3",
        "0/: intent 4 BUY trails",
        "0/: accepted 4",
        "0/: intent 5 BUY of-the-day",
        "0/: accepted 5",
        "0/: intent 6 BUY b",
        "0/: accepted 6",
        // A's candle. The open: the market order, and the exits of what it entered.
        "1A: fill 2 10 @ 100",
        "1A: intent 7 SELL stop",
        "1A: accepted 7",
        "1A: intent 8 SELL target",
        "1A: accepted 8",
        // Stops: the exit fills, its trade closes, its twin is given up, though the target was touched too.
        "1A: fill 7 10 @ 95",
        "1A: trade 1 stop",
        "1A: cancelled 8 one-cancels-other",
        // Limits.
        "1A: fill 1 5 @ 98",
        // What the candle ends, and trails, order by order.
        "1A: cancelled 3 immediate-or-cancel",
        "1A: tightened 4 130 to 124",
        // B's candle comes before anybody decides again.
        "1B: fill 6 1 @ 51",
        "1/: intent 9 SELL b-out",
        "1/: accepted 9",
        "2B: fill 9 1 @ 52",
        "2B: trade 2 b-out",
        // The end: orders of the day, the account. What works on has no line.
        "close: expired 5 session-closed",
        "close: account 999991",
    ];
    assert_eq!(found, expected);
}

/// BT-05: cash and holdings, and profits less fees, after every single input, in random worlds with every kind of order.
#[test]
fn bt_05_both_identities_hold_after_every_input() {
    for seed in worlds::seeds(60) {
        let world = World::random(seed);
        let mut core = world.core(world.scripted());
        for step in &world.steps {
            worlds::step(&mut core, step).unwrap();
            let ids = (0..world.instruments.len() as u32).map(InstrumentId);
            let books: Vec<Book> = ids.map(|id| core.book(id).clone()).collect();
            // It asserts both, and what is held back.
            let holdings = core.ledger().prove(&books);
            let equity = core.ledger().cash + holdings.long_value - holdings.short_value;
            assert_eq!(core.ledger().equity(), equity, "DAYBOOK_SEED={seed}");
        }
    }
}

/// BT-27: any of the settings together, in random worlds with every kind of order: nothing panics, the books balance after
/// every input, what was said does not depend on what comes later, and a saved state goes on as the unbroken run does.
#[test]
fn bt_27_every_mixture_of_settings_keeps_the_books() {
    let (mut fills, mut restored) = (0, 0);
    for seed in worlds::seeds(150) {
        let random = &mut Random::new(seed ^ 0x6b6e_6f62);
        let world = World { rules: mixture(random), ..World::lasting(seed, 3) };
        let context = format!("DAYBOOK_SEED={seed} {:?}", world.rules);
        let mut whole = world.core(world.scripted());
        let mut outputs = Vec::new();
        for step in &world.steps {
            // A model whose input is missing at the close of the deciding candle ends the run, as it should.
            let Ok(said) = worlds::step(&mut whole, step) else { break };
            fills += said.iter().filter(|output| matches!(output.body, Conclusion::Fill(_))).count();
            outputs.push(said);
            let ids = (0..world.instruments.len() as u32).map(InstrumentId);
            let books: Vec<Book> = ids.map(|id| whole.book(id).clone()).collect();
            let holdings = whole.ledger().prove(&books);
            assert_eq!(
                whole.ledger().equity(),
                whole.ledger().cash + holdings.long_value - holdings.short_value,
                "{context}"
            );
        }
        let cut = random.range(0, outputs.len() as i64) as usize;
        let mut first = world.core(world.scripted());
        for (step, said) in world.steps[..cut].iter().zip(&outputs) {
            assert_eq!(worlds::step(&mut first, step).unwrap(), *said, "{context}");
        }
        let (mut saved, mut again) = (Vec::new(), Vec::new());
        first.save(&mut saved);
        let mut second = world.core(world.scripted());
        second.load(&saved).unwrap();
        second.save(&mut again);
        assert_eq!(saved, again, "{context}");
        for (step, said) in world.steps[cut..].iter().zip(&outputs[cut..]) {
            assert_eq!(worlds::step(&mut second, step).unwrap(), *said, "cut at {cut}, {context}");
            restored += 1;
        }
        // Told the same rules once more, as a fork is, it goes on likewise; told the plain ones it goes on at all.
        let mut told = first.with_exchange(world.rules.clone());
        for (step, said) in world.steps[cut..].iter().zip(&outputs[cut..]) {
            assert_eq!(worlds::step(&mut told, step).unwrap(), *said, "told again at {cut}, {context}");
        }
        let mut plain = world.core(world.scripted());
        plain.load(&saved).unwrap();
        let mut plain = plain.with_exchange(ExchangeRules::default());
        for step in &world.steps[cut..] {
            worlds::step(&mut plain, step).unwrap();
        }
    }
    assert!(
        std::env::var("DAYBOOK_SEED").is_ok() || fills > 500 && restored > 1_000,
        "{fills} fills, {restored} steps"
    );
}

fn mixture(random: &mut Random) -> ExchangeRules {
    let fill_bar = random.pick(&[FillBar::Next, FillBar::Next, FillBar::Close, FillBar::CloseOnce]);
    let later = [None, Some(MarketPrice::Close), Some(MarketPrice::Vwap), Some(MarketPrice::Mid)];
    let trail_from = random.pick(&[TrailFrom::Extreme, TrailFrom::Close]);
    ExchangeRules {
        fill_bar,
        market_price: random.pick(&later),
        lag_bars: if fill_bar == FillBar::Next { random.pick(&[0, 0, 1, 3]) } else { 0 },
        sequence: random.pick(&[Sequence::Path, Sequence::ExitsFirst, Sequence::ExitsFirst, Sequence::Queue]),
        stop_fill: random.pick(&[StopFill::Stop, StopFill::Close, StopFill::Extreme, StopFill::NextOpen]),
        stop_basis: random.pick(&[StopBasis::Fill, StopBasis::Signal]),
        trail_from,
        trail_timing: match trail_from {
            TrailFrom::Extreme => random.pick(&[TrailTiming::After, TrailTiming::Before]),
            TrailFrom::Close => TrailTiming::After,
        },
        exits_from: random.pick(&[ExitsFrom::Fill, ExitsFrom::Next]),
        buying_power: random.pick(&[BuyingPower::Held, BuyingPower::Held, BuyingPower::Free, BuyingPower::Shrink]),
        settlement: random.pick(&[0, 1, 2]) as u32,
        cash_buffer: random.pick(&[None, Some("2.5".parse().unwrap())]),
        latency: random.pick(&[0, 0, 60_000_000_000]),
        ..ExchangeRules::default()
    }
}

/// SQ-28: ten basis points of charges and five of slippage on each side, both legs once: what the fills say adds up to what
/// the account lost, to the last unit.
#[test]
fn sq_28_both_legs_are_charged_once() {
    let given = [("costs", "bps:10"), ("exchange.slippage", "bps:5"), ("exchange.off_tick", "keep")];
    let player = Player::Script(vec![vec![Request::Place(buy(100))], vec![Request::Place(sell(100))]]);
    let mut core = core(&settings(&given), 1, player);
    let (mut fills, mut accounts) = (Vec::new(), Vec::new());
    for step in &steps(&[&["1000", "1000", "1000"]]) {
        for output in worlds::step(&mut core, step).unwrap() {
            match output.body {
                Conclusion::Fill(fill) => fills.push(fill),
                Conclusion::Account(account) => accounts.push(account),
                _ => {}
            }
        }
    }
    let money = |text: &str| text.parse::<Money>().unwrap();
    let legs: Vec<_> = fills.iter().map(|fill| (fill.price.to_string(), fill.charges.total())).collect();
    assert_eq!(legs, [("1000.5".to_owned(), money("100.05")), ("999.5".to_owned(), money("99.95"))]);
    let flows = fills.iter().map(|fill| {
        let value = fill.price.times(fill.quantity);
        (if fill.side == Side::Buy { -value } else { value }) - fill.charges.total()
    });
    let lost = accounts[0].equity - Money::from_units(1_000_000);
    assert_eq!((lost, flows.sum::<Money>()), (money("-300"), lost), "100 of slippage and 200 of charges");
}
