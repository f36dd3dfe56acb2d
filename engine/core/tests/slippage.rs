//! Slippage through the whole core: every model, both legs, and the four ways in which it once came out as zero (BT-19).
//!
//! - A round trip that did not happen fails its test: a table without trades shows no slippage either.
//! - What the fills say is compared with the cash: the sum over the legs is what the account lost to the plain one.

mod worlds;

use daybook_config::{Liquidity, SlippageModel};
use daybook_core::{Conclusion, CoreError, ExchangeRules, OrderRequest, Outbox, Request};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{
    Account, Candle, Cause, Fill, Instrument, Interval, Money, Nanos, Price, Quantity, Side, TimeInForce, TradeClosed,
};
use worlds::{Step, World};

/// (open, high, low, close) in whole units, and volume.
type Bar = ((i64, i64, i64, i64), i64);

/// Both legs fill at an open: bought at 1,000, sold at 1,100, a thousand shares in each candle.
const ROUND_TRIP: &[Bar] =
    &[((900, 910, 890, 905), 1_000), ((1_000, 1_010, 990, 1_005), 1_000), ((1_100, 1_110, 1_090, 1_095), 1_000)];

fn units(number: i64) -> Quantity {
    Quantity::from_units(number)
}

fn candle(number: i64, bar: &Bar) -> Step {
    let ((open, high, low, close), volume) = *bar;
    let open_time = worlds::session(0).open + number * MINUTE;
    let candle = Candle::new(CandleParts {
        open_time,
        interval: Interval::MINUTE,
        open: Price::from_units(open),
        high: Price::from_units(high),
        low: Price::from_units(low),
        close: Price::from_units(close),
        volume: units(volume),
        revises: false,
    });
    let cause = Cause { rank: 1, seq: number as u64 };
    Step::Candle { cause, time: open_time + MINUTE, instrument: 0, candle, late: false }
}

/// One session of these candles, a decision after each.
fn world(slippage: &str, bars: &[Bar], script: Vec<Vec<Request>>) -> World {
    let hours = worlds::session(0);
    let mut steps = vec![Step::Opened { hours }];
    for (number, bar) in bars.iter().enumerate() {
        let step = candle(number as i64, bar);
        let time = step.time();
        steps.extend([step, Step::Slice { time }]);
    }
    steps.push(Step::Closed { time: hours.close });
    World {
        instruments: vec![Instrument {
            market: "nse".into(),
            symbol: "X".into(),
            tick: "0.01".parse().unwrap(),
            lot: units(1),
        }],
        timeframe: None,
        cash: Money::from_units(1_000_000),
        costs: "none".into(),
        participation_bps: None,
        slippage: SlippageModel::parse(slippage).unwrap(),
        rules: Default::default(),
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        steps,
        script,
    }
}

fn buy(quantity: i64) -> OrderRequest {
    OrderRequest::market(Side::Buy, units(quantity), "in")
}

fn sell(quantity: i64) -> OrderRequest {
    OrderRequest::market(Side::Sell, units(quantity), "out")
}

fn orders(list: &[OrderRequest]) -> Vec<Vec<Request>> {
    list.iter().map(|order| vec![Request::Place(*order)]).collect()
}

#[derive(Debug, Default)]
struct Played {
    fills: Vec<Fill>,
    trades: Vec<TradeClosed>,
    accounts: Vec<Account>,
}

impl Played {
    /// Reference, price, basis points and model of every leg.
    fn legs(&self) -> Vec<(String, String, String, String)> {
        let leg = |fill: &Fill| {
            let (reference, bps) = (fill.reference_price.to_string(), fill.slippage_bps.to_string());
            (reference, fill.price.to_string(), bps, fill.model.to_string())
        };
        self.fills.iter().map(leg).collect()
    }

    /// What the legs lost to slippage, by what they say themselves.
    fn lost(&self) -> Money {
        let lost = |fill: &Fill| match fill.side {
            Side::Buy => (fill.price - fill.reference_price).times(fill.quantity),
            Side::Sell => (fill.reference_price - fill.price).times(fill.quantity),
        };
        self.fills.iter().map(lost).sum()
    }
}

fn play(world: &World) -> Result<Played, CoreError> {
    let mut core = world.core(world.scripted());
    let mut played = Played::default();
    for step in &world.steps {
        for output in worlds::step(&mut core, step)? {
            match output.body {
                Conclusion::Fill(fill) => played.fills.push(fill),
                Conclusion::Trade(trade) => played.trades.push(trade),
                Conclusion::Account(account) => played.accounts.push(account),
                _ => {}
            }
        }
    }
    Ok(played)
}

fn text(legs: &[(&str, &str, &str, &str)]) -> Vec<(String, String, String, String)> {
    let own = |leg: &(&str, &str, &str, &str)| (leg.0.into(), leg.1.into(), leg.2.into(), leg.3.into());
    legs.iter().map(own).collect()
}

/// Every model through the engine, by hand: 250 of 1,000 shares in and out.
#[test]
fn every_model_moves_both_legs() {
    let table: &[(&str, &str, &str, &str, &str)] = &[
        ("none", "1000", "0", "1100", "0"),
        ("bps:10", "1001", "10", "1098.9", "10"),
        ("half-spread:0.05", "1000.05", "0.5", "1099.95", "0.45454545"),
        ("volume-share:20", "1000.5", "5", "1099.45", "5"),
        ("volume-share-squared:160", "1001", "10", "1098.9", "10"),
        ("sqrt-impact:20", "1001", "10", "1098.9", "10"),
        ("percent:10:1.05", "1001.05", "10.5", "1098.9", "10"),
        ("asset-class:option", "1000.5", "5", "1099.45", "5"),
        ("order-type:10:1:5", "1001", "10", "1098.9", "10"),
        ("size-sqrt:10:250", "1001", "10", "1098.9", "10"),
        ("participation:1:40:0", "1000.5", "5", "1099.45", "5"),
    ];
    for (model, bought, bought_bps, sold, sold_bps) in table {
        let world = world(model, ROUND_TRIP, orders(&[buy(250), sell(250)]));
        let played = play(&world).unwrap();
        let name = model.split(':').next().unwrap();
        let expected = [("1000", *bought, *bought_bps, name), ("1100", *sold, *sold_bps, name)];
        assert_eq!(played.legs(), text(&expected), "{model}");
        assert_eq!(played.trades.len(), 1, "{model}: no trade, no proof");
        let plain = Money::from_units(25_000);
        assert_eq!(played.trades[0].gross, plain - played.lost(), "{model}");
        assert_eq!(played.accounts[0].equity, world.cash + plain - played.lost(), "{model}");
        assert_eq!(played.lost().is_zero(), *model == "none", "{model}");
    }
}

/// BT-19, first cause: a market that only rises, a position that is never left, an empty table of trades, and zero
/// slippage in it. Each leg reports for itself, so one leg is enough.
#[test]
fn a_position_that_is_never_left_has_slipped_too() {
    let played = play(&world("bps:10", ROUND_TRIP, orders(&[buy(250)]))).unwrap();
    assert_eq!((played.legs(), played.trades.len()), (text(&[("1000", "1001", "10", "bps")]), 0));
    assert_eq!(played.accounts[0].unrealised, Money::from_units(250 * 94), "marked at 1,095, bought at 1,001");
}

/// BT-19, second cause: the input was there under another name, or was not handed on, and the model fell back to
/// nothing. Here a price that moved without volume stops the run, and says where and why.
#[test]
fn a_model_without_its_input_is_an_error() {
    let silent: &[Bar] = &[ROUND_TRIP[0], ((1_000, 1_010, 990, 1_005), 0)];
    for model in ["volume-share:20", "volume-share-squared:20", "sqrt-impact:20", "participation:1:100:0"] {
        let world = world(model, silent, orders(&[buy(250)]));
        let name = world.slippage.to_string().split(':').next().unwrap().to_owned();
        let error = play(&world).unwrap_err();
        assert!(matches!(&error, CoreError::NoVolume { cause, model } if cause.seq == 1 && *model == name), "{error}");
        for part in ["1:1", &name, "half-spread:N"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let untouched = play(&World { script: Vec::new(), ..world.clone() }).unwrap();
        assert_eq!(untouched.fills, [], "no order, no question");
    }
    for model in ["none", "bps:10", "half-spread:0.05"] {
        assert_eq!(play(&world(model, silent, orders(&[buy(250)]))).unwrap().fills.len(), 1, "{model} needs no volume");
    }
}

/// Models of an average day's volume: the mean of whole sessions, and an error before there is one (BT-11, BT-18, BT-39).
#[test]
fn an_average_day_is_a_whole_one() {
    let day = |number: i64, bars: &[Bar]| {
        let hours = worlds::session(number);
        let mut steps = vec![Step::Opened { hours }];
        for (minute, bar) in bars.iter().enumerate() {
            let Step::Candle { cause, candle, .. } = candle(minute as i64, bar) else { unreachable!() };
            let open_time = hours.open + minute as i64 * MINUTE;
            let candle = Candle::new(CandleParts { open_time, ..candle.parts() });
            let (cause, time) = (Cause { seq: cause.seq + 100 * number as u64, ..cause }, open_time + MINUTE);
            steps.push(Step::Candle { cause, time, instrument: 0, candle, late: false });
            steps.push(Step::Slice { time });
        }
        steps.push(Step::Closed { time: hours.close });
        steps
    };
    let flat: Bar = ((1_000, 1_000, 1_000, 1_000), 5_000);
    // 10,000 and 20,000 on whole days: at the third a mean of 15,000; what the third has traded does not count.
    let steps = [day(0, &[flat; 2]), day(1, &[flat; 4]), day(2, &[flat; 3])].concat();
    let quiet = vec![Vec::new(); 6];
    let script = [quiet, orders(&[buy(150), sell(150)])].concat();
    // A hundredth of the day: 1 + 1,000 × 0.01, √0.01 × 100, 0.01 × 100.
    let table =
        [("adv-linear:1:1000", "1001.1", "11"), ("adv-sqrt:100", "1001", "10"), ("adv-power:100:1", "1000.1", "1")];
    for (model, bought, bps) in table {
        let world = World { steps: steps.clone(), script: script.clone(), ..world(model, ROUND_TRIP, Vec::new()) };
        let played = play(&world).unwrap();
        let name = model.split(':').next().unwrap().to_owned();
        assert_eq!(played.legs()[0], ("1000".to_owned(), bought.to_owned(), bps.to_owned(), name.clone()), "{model}");
        assert_eq!(played.trades.len(), 1, "{model}");
        let early = World { script: orders(&[buy(150)]), ..world };
        let error = play(&early).unwrap_err();
        assert!(matches!(error, CoreError::NoInput { cause, model, .. } if cause.seq == 1 && model == name), "{error}");
    }
    let spread = world("spread:0.5", ROUND_TRIP, orders(&[buy(150)]));
    assert!(play(&spread).unwrap_err().to_string().contains("has no quote"), "candles have none");
}

/// BT-40: as much on every candle, or a pool that comes back by a tenth; what orders take and what is left add up.
#[test]
fn liquidity_runs_out_and_comes_back() {
    let flat: Bar = ((1_000, 1_000, 1_000, 1_000), 5_000);
    let filled = |liquidity, caps: Vec<Quantity>| {
        let world = world("none", &[flat; 9], orders(&[buy(150)]));
        let rules = ExchangeRules { liquidity, caps, ..ExchangeRules::default() };
        let played = play(&World { rules, ..world }).unwrap();
        played.fills.iter().map(|fill| fill.quantity.0 / units(1).0).collect::<Vec<_>>()
    };
    let tenth = "1000".parse().unwrap();
    assert_eq!(filled(Liquidity::Volume, Vec::new()), [150]);
    assert_eq!(filled(Liquidity::Constant(units(60)), Vec::new()), [60, 60, 30]);
    assert_eq!(filled(Liquidity::Constant(units(60)), vec![units(40)]), [40, 40, 40, 30]);
    // A hundred at first, then ten with every candle: never more than was there and came back.
    assert_eq!(filled(Liquidity::Depleting(units(100), tenth), Vec::new()), [100, 10, 10, 10, 10, 10]);
}

/// A candle whose price stood still without volume saw no trade: nothing fills, the order waits.
#[test]
fn where_nothing_traded_nothing_fills() {
    let bars: &[Bar] = &[ROUND_TRIP[0], ((1_000, 1_000, 1_000, 1_000), 0), ROUND_TRIP[1]];
    let played = play(&world("volume-share:20", bars, orders(&[buy(250)]))).unwrap();
    assert_eq!(played.legs(), text(&[("1000", "1000.5", "5", "volume-share")]));
    assert_eq!(played.fills[0].cause.seq, 2);
    let now = buy(250).lasting(TimeInForce::Ioc);
    assert_eq!(play(&world("volume-share:20", bars, orders(&[now]))).unwrap().fills, [], "immediately, or not at all");
}

/// BT-19, third cause: the fill came a bar later than the price it was measured by, and a gap counted as slippage:
/// $51 instead of $1. The reference is where the market trades when the leg fills.
#[test]
fn a_gap_between_decision_and_fill_is_no_slippage() {
    let bars: &[Bar] = &[ROUND_TRIP[0], ((1_800, 1_810, 1_790, 1_805), 1_000), ((400, 410, 390, 405), 1_000)];
    let played = play(&world("bps:10", bars, orders(&[buy(10), sell(10)]))).unwrap();
    assert_eq!(played.legs(), text(&[("1800", "1801.8", "10", "bps"), ("400", "399.6", "10", "bps")]));
    assert_eq!(played.trades.len(), 1);
}

/// BT-19, fourth cause: one leg's tenth of a percent was compared with a round trip's two. Every figure is of one leg,
/// a leg that fills in parts has one per part, and the parts pay by their own size.
#[test]
fn every_leg_pays_once_and_by_its_own_size() {
    let bars: &[Bar] = &[ROUND_TRIP[0], ROUND_TRIP[1], ROUND_TRIP[1], ((1_000, 1_000, 1_000, 1_000), 2_000)];
    let mut world = world("volume-share:100", bars, orders(&[buy(150)]));
    world.participation_bps = Some(1_000);
    let played = play(&world).unwrap();
    // A hundred of a thousand: 10 bps; then fifty: 5 bps.
    let parts = [("1000", "1001", "10", "volume-share"), ("1000", "1000.5", "5", "volume-share")];
    assert_eq!(played.legs(), text(&parts));
    assert_eq!(played.lost(), Money::from_units(125));
}

/// BT-12, BT-18: an order that is cut into a hundred slices pays what it would have paid whole, in every model whose price
/// depends on size; the other direction pays for itself, and the next candle begins anew.
#[test]
fn slices_of_a_candle_pay_what_the_whole_pays() {
    let with_tick = |tick: &str, model: &str, list: Vec<OrderRequest>| {
        let placed = list.iter().map(|order| Request::Place(*order)).collect();
        let mut world = world(model, &ROUND_TRIP[..2], vec![placed]);
        world.instruments[0].tick = tick.parse().unwrap();
        let played = play(&world).unwrap();
        assert_eq!(played.fills.len(), list.len());
        (played.lost(), played.fills)
    };
    let lost = |model: &str, list| with_tick("0.00000001", model, list);
    for model in [
        "volume-share:100",
        "volume-share-squared:400",
        "sqrt-impact:100",
        "size-sqrt:50:1000",
        "participation:1:900:0",
    ] {
        for quantity in [buy as fn(i64) -> OrderRequest, sell] {
            let (whole, _) = lost(model, vec![quantity(200)]);
            let (sliced, fills) = lost(model, (0..100).map(|_| quantity(2)).collect());
            assert!(whole > Money::ZERO && sliced >= whole, "{model}: {sliced} instead of {whole}");
            // Rounding adds next to nothing, and coarser ticks move either sum by a tick a share at most.
            assert!(sliced <= whole + Money::from_units(1), "{model}: {sliced} instead of {whole}");
            let tick_a_share = Money::from_units(2);
            let (whole, _) = with_tick("0.01", model, vec![quantity(200)]);
            let (sliced, _) = with_tick("0.01", model, (0..100).map(|_| quantity(2)).collect());
            assert!(sliced > whole - tick_a_share && sliced < whole + tick_a_share, "{model}: {sliced}, {whole}");
            let worse = |pair: &[Fill]| pair[1].slippage_bps.0 >= pair[0].slippage_bps.0 - 10_000_000;
            // A share above a tenth is taken for a tenth, so the last slices of that model pay what a tenth pays.
            let capped = model.starts_with("participation");
            assert!(capped || fills.windows(2).all(worse), "{model}: later slices pay for those before them");
        }
    }
    // 100 + 100 of 1,000: 10 basis points for the first, and for the second 2 × 20 - 10; a sale pays for itself.
    let (_, fills) = lost("volume-share:100", vec![buy(100), sell(100), buy(100)]);
    let bps: Vec<String> = fills.iter().map(|fill| fill.slippage_bps.to_string()).collect();
    assert_eq!(bps, ["10", "10", "30"]);
    // Traded at the close of the candle they were decided on, with what stands in it already.
    let mut at_close = world("volume-share:100", ROUND_TRIP, orders(&[buy(100), buy(100)]));
    at_close.rules.fill_bar = daybook_config::FillBar::Close;
    let twice = vec![vec![Request::Place(buy(100)), Request::Place(buy(100))], vec![Request::Place(buy(100))]];
    at_close.script = twice;
    let bps: Vec<String> = play(&at_close).unwrap().fills.iter().map(|fill| fill.slippage_bps.to_string()).collect();
    assert_eq!(bps.len(), 3);
    assert!(bps[0].starts_with("10") && bps[1].starts_with("30") && bps[2].starts_with("10."), "{bps:?}");
}

/// Stops slip, limits are kept, a limit with room gives up no more than its room.
#[test]
fn a_limit_is_kept_and_a_stop_is_not() {
    let limit = |at: i64| OrderRequest::limit(Side::Buy, units(10), Price::from_units(at), "in");
    let stop = |at: i64| OrderRequest::stop(Side::Buy, units(10), Price::from_units(at), "in");
    let both = OrderRequest::stop_limit(Side::Buy, units(10), Price::from_units(1_005), Price::from_units(1_006), "in");
    let short = OrderRequest::limit(Side::Sell, units(10), Price::from_units(1_010), "in");
    let table = [
        (limit(995), ("995", "995", "0")),
        (limit(1_100), ("1000", "1010", "100")),
        (limit(1_004), ("1000", "1004", "40")),
        (stop(1_005), ("1005", "1015.05", "100")),
        (both, ("1005", "1006", "9.95024876")),
        (short, ("1010", "1010", "0")),
    ];
    for (request, (reference, price, bps)) in table {
        let played = play(&world("bps:100", &ROUND_TRIP[..2], orders(&[request]))).unwrap();
        assert_eq!(played.legs(), text(&[(reference, price, bps, "bps")]), "{request:?}");
    }
}

/// Fills at the end of the cash: slippage counts as part of the price, and what closes a position fills all the same.
#[test]
fn slippage_is_paid_for() {
    let bars: &[Bar] = &[((1_000, 1_000, 1_000, 1_000), 1_000), ROUND_TRIP[1], ROUND_TRIP[2]];
    let exact = world("none", bars, orders(&[buy(1_000)]));
    assert_eq!(play(&exact).unwrap().fills.len(), 1, "all the cash there is");
    let slipped = World { slippage: SlippageModel::parse("bps:1").unwrap(), ..exact };
    assert_eq!(play(&slipped).unwrap().fills, [], "a tick more than the cash there is");
    // The market gapped up since the gate let it pass: only what closes the position fills.
    let flip = world("volume-share:100", bars, orders(&[buy(100), sell(1_140)]));
    let played = play(&World { cash: Money::from_units(1_100_000), ..flip }).unwrap();
    let legs = [("1000", "1001", "10", "volume-share"), ("1100", "1098.9", "10", "volume-share")];
    assert_eq!(played.legs(), text(&legs), "the part that fills pays by its own size");
}

/// In random worlds with every order type: each leg against its trader, its figure the difference of its prices, its
/// model the one that was set; and the account the plain sum over what the legs say.
#[test]
fn in_every_world_every_leg_tells_the_truth() {
    let mut slipped = 0;
    for seed in worlds::seeds(400) {
        let world = World::random(seed);
        let name = world.slippage.to_string().split(':').next().unwrap().to_owned();
        let mut core = world.core(world.scripted());
        for step in &world.steps {
            for output in worlds::step(&mut core, step).unwrap() {
                let Conclusion::Fill(fill) = output.body else { continue };
                let context = format!("DAYBOOK_SEED={seed} {fill:?}");
                let difference = i128::from((fill.price - fill.reference_price).0);
                let against = if fill.side == Side::Buy { difference } else { -difference };
                assert!(against >= 0, "{context}");
                assert_eq!(fill.model.as_str(), name, "{context}");
                let reference = i128::from(fill.reference_price.0);
                let error = i128::from(fill.slippage_bps.0) * reference - against * 1_000_000_000_000;
                let ended = fill.slippage_bps.0 == i64::MAX;
                assert!(ended || error.abs() * 2 <= reference, "{context}");
                slipped += u32::from(against > 0);
            }
        }
        let mut out = Outbox::new();
        core.finish(&mut out);
    }
    assert!(slipped > 100 || std::env::var("DAYBOOK_SEED").is_ok(), "{slipped} legs slipped: the test tests nothing");
}
