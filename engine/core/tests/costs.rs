//! Commissions, lasting impact and the adaptive cap through the whole engine, by hand: what each leg says.
//!
//! - RL-47: the worked example of an intraday round trip, 82.4452 in charges. BT-42: every kind of commission.
//! - BT-39: impact that stands, fades and is read without being changed. BT-18: a cap between its bounds.

mod worlds;

use daybook_config::{Settings, SlippageModel, Sources};
use daybook_core::{Conclusion, Core, CoreError, ExchangeRules, OrderRequest, Request, SessionHours};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{
    Candle, Cause, Charges, Date, Fill, Instrument, Interval, Money, Nanos, Price, Quantity, Side,
};
use worlds::{Step, World};

/// A candle that stands at a price, and its volume.
type Bar = (i64, i64);

/// Sessions of an hour from 2 June 2025 on; requests come one entry a candle.
fn play(
    sessions: &[&[Bar]],
    script: Vec<Vec<Request>>,
    slippage: &str,
    costs: &str,
    settings: &[(&str, &str)],
) -> Vec<Fill> {
    tried(sessions, script, slippage, costs, settings).unwrap()
}

/// The same, where it may not be possible.
fn tried(
    sessions: &[&[Bar]],
    script: Vec<Vec<Request>>,
    slippage: &str,
    costs: &str,
    settings: &[(&str, &str)],
) -> Result<Vec<Fill>, CoreError> {
    let lot = Quantity::from_units(1);
    let instruments = vec![Instrument { market: "nse".into(), symbol: "X".into(), tick: Price(1), lot }];
    let overrides = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
    let world = World {
        timeframe: None,
        cash: Money::from_units(100_000_000),
        costs: costs.into(),
        participation_bps: settings.exchange_participation_bps,
        slippage: SlippageModel::parse(slippage).unwrap(),
        rules: ExchangeRules::of(&settings, &instruments, 0),
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        steps: Vec::new(),
        script,
        instruments,
    };
    let mut core: Core = world.core(world.scripted());
    let mut fills = Vec::new();
    let mut seq = 0;
    for (number, bars) in sessions.iter().enumerate() {
        let date = Date(20_241 + number as i32);
        let open = Nanos(date.midnight().0 + 225 * MINUTE);
        let hours = SessionHours { date, open, close: open + 60 * MINUTE };
        let mut steps = vec![Step::Opened { hours }];
        for (minute, (price, volume)) in bars.iter().enumerate() {
            let open_time = hours.open + minute as i64 * MINUTE;
            let price = Price::from_units(*price);
            let (interval, volume) = (Interval::MINUTE, Quantity::from_units(*volume));
            let (open, high, low, close) = (price, price, price, price);
            let candle =
                Candle::new(CandleParts { open_time, interval, open, high, low, close, volume, revises: false });
            let time = open_time + MINUTE;
            steps.push(Step::Candle { cause: Cause { rank: 1, seq }, time, instrument: 0, candle, late: false });
            steps.push(Step::Slice { time });
            seq += 1;
        }
        steps.push(Step::Closed { time: hours.close });
        for step in &steps {
            for output in worlds::step(&mut core, step)? {
                if let Conclusion::Fill(fill) = output.body {
                    fills.push(fill);
                }
            }
        }
    }
    Ok(fills)
}

fn market(side: Side, quantity: i64) -> Vec<Request> {
    vec![Request::Place(OrderRequest::market(side, Quantity::from_units(quantity), ""))]
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// 100 bought and sold at 1,000 under a fee schedule.
fn round_trip(costs: &str) -> [Charges; 2] {
    let script = vec![market(Side::Buy, 100), market(Side::Sell, 100)];
    let fills = play(&[&[(1_000, 500), (1_000, 500), (1_000, 500)]], script, "none", costs, &[]);
    assert_eq!(fills.len(), 2, "a round trip");
    [fills[0].charges, fills[1].charges]
}

/// RL-47: 82.4452 before rounding, each item on the leg that owes it.
#[test]
fn rl_47_an_intraday_round_trip_of_100_at_1000() {
    let [buy, sell] = round_trip("zerodha-intraday");
    assert_eq!((buy.total(), sell.total()), (money("30.2226"), money("52.2226")));
    assert_eq!(buy.total() + sell.total(), money("82.4452"));
    assert_eq!((buy.brokerage, buy.exchange_fee, buy.regulator_fee), (money("20"), money("2.97"), money("0.1")));
    assert_eq!((buy.stamp_duty, buy.service_tax, buy.transaction_tax), (money("3"), money("4.1526"), Money::ZERO));
    assert_eq!((sell.transaction_tax, sell.stamp_duty), (money("25"), Money::ZERO));
}

/// BT-42: every kind of commission, leg by leg.
#[test]
fn bt_42_every_commission_is_charged_per_leg() {
    for (costs, buy, sell) in [
        ("none", "0", "0"),
        ("bps:10", "100", "100"),
        ("per-share:0.005", "0.5", "0.5"),
        ("flat:1", "1", "1"),
        ("maker-taker:1:2.5", "25", "25"),
        // The sale is the month's second hundred thousand.
        ("tiered:10@0,5@100000", "100", "50"),
        ("asset-class:crypto", "200", "200"),
        ("asset-class:future", "250", "250"),
        ("units:0.01@0,0.002@100:0.35:1", "1", "0.35"),
        ("ib-fixed", "1", "1"),
        ("ib-tiered", "0.35", "0.35"),
    ] {
        let [bought, sold] = round_trip(costs);
        assert_eq!((bought.brokerage, sold.brokerage), (money(buy), money(sell)), "{costs}");
    }
}

/// An order that waited at its price is a maker's; one that met the open is a taker's. What an order owes once, it pays
/// once, in however many parts it fills.
#[test]
fn bt_42_makers_takers_and_orders_in_parts() {
    let limit = |price| {
        vec![Request::Place(OrderRequest::limit(Side::Buy, Quantity::from_units(100), Price::from_units(price), ""))]
    };
    let bars: &[Bar] = &[(1_000, 500), (1_000, 500), (990, 500), (990, 500)];
    let taker = play(&[bars], vec![limit(1_005)], "none", "maker-taker:1:2.5", &[]);
    let maker = play(&[bars], vec![limit(990)], "none", "maker-taker:1:2.5", &[]);
    assert_eq!((taker[0].price, taker[0].charges.brokerage), (Price::from_units(1_000), money("25")));
    assert_eq!((maker[0].price, maker[0].charges.brokerage), (Price::from_units(990), money("9.9")));
    let capped = [("exchange.participation_bps", "1000")];
    let parts = play(&[&[(10, 500); 4]], vec![market(Side::Buy, 150)], "none", "flat:7", &capped);
    let paid: Vec<_> = parts.iter().map(|fill| (fill.quantity, fill.charges.brokerage)).collect();
    let part = Quantity::from_units(50);
    assert_eq!(paid, [(part, money("7")), (part, Money::ZERO), (part, Money::ZERO)]);
}

/// BT-39: the second leg pays what the first has left, less what has faded; a sale earns nothing by it. Each leg says its
/// reference, its basis points and its model.
#[test]
fn bt_39_impact_outlasts_its_trade() {
    // Two days of a million shares, returns of two percent; then a hundredth of a day is bought twice and sold once.
    let day: &[Bar] = &[(1_000, 500_000), (1_000, 500_000)];
    let up: &[Bar] = &[(1_020, 500_000), (1_020, 500_000)];
    let last: &[Bar] = &[(1_000, 500_000); 4];
    let script = || {
        let idle = vec![Vec::new(); 4];
        let orders = [market(Side::Buy, 10_000), market(Side::Buy, 10_000), market(Side::Sell, 10_000)];
        [idle, orders.to_vec()].concat()
    };
    let bps = |model: &str| {
        let fills = play(&[day, up, last], script(), model, "none", &[]);
        assert!(fills.iter().all(|fill| fill.reference_price == Price::from_units(1_000)), "{model}");
        assert!(fills.iter().all(|fill| model.starts_with(fill.model.as_str())), "{model}");
        fills.iter().map(|fill| fill.slippage_bps.to_string().parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let close = |found: Vec<f64>, exact: [f64; 3]| {
        assert_eq!(found.len(), 3);
        assert!(found.iter().zip(exact).all(|(found, exact)| (found - exact).abs() < 0.001), "{found:?}, {exact:?}");
    };
    // A minute is one half-life: 1 + 4; then 1 + 4 and what stands, 1 + 2; the sale is paid for by 2 + (2 + 4) / 2 = 5.
    close(bps("impact-linear:100:400:60"), [5.0, 8.0, 0.0]);
    // Nothing that fades is left after a minute of one second to a half.
    close(bps("impact-linear:100:400:1"), [5.0, 6.0, 3.0]);
    // σ is √(0.02²/1) = 0.02: permanent 0.01 × 0.02 × √0.01 and transient 0.1 × 0.02 × 0.01 of the price, 0.2 bp each.
    close(bps("almgren-chriss:0.01:0.1:60"), [0.4, 0.7, 0.0]);
    // 100 × √0.01 = 10, of which 2 stay and 8 fade as (1 + 60)^-0.5.
    close(bps("propagator:100:0.5:0.5:20"), [10.0, 13.0243, 4.2491]);
    // The sessions before rose by 2 %: who buys pays 10 × (1 + 2 × 0.02), who sells 10.
    close(bps("momentum:100:2"), [10.4, 10.4, 10.0]);
}

/// BT-19: a model of impact whose input is not there yet ends the run and says what it misses; at the close of the candle
/// that decided, too. Without an order nobody asks.
#[test]
fn bt_19_impact_without_its_input_is_an_error() {
    let day: &[Bar] = &[(1_000, 500_000); 3];
    for model in
        ["impact-linear:100:400:60", "almgren-chriss:0.01:0.1:60", "propagator:100:0.5:0.5:20", "momentum:100:2"]
    {
        for same_bar in ["next", "close"] {
            let settings = [("exchange.fill_bar", same_bar)];
            let early = tried(&[day, day], vec![market(Side::Buy, 10)], model, "none", &settings).unwrap_err();
            let name = model.split(':').next().unwrap();
            assert!(matches!(early, CoreError::NoInput { model, .. } if model == name), "{model} {same_bar}: {early}");
            assert!(early.to_string().contains("average daily volume"), "{early}");
            assert!(tried(&[day, day], Vec::new(), model, "none", &settings).unwrap().is_empty(), "{model}");
        }
    }
    // One whole session is enough for a volume, not for a return.
    let second = || vec![Vec::new(), Vec::new(), Vec::new(), market(Side::Buy, 10)];
    assert_eq!(play(&[day, day], second(), "impact-linear:100:400:60", "none", &[]).len(), 1);
    for model in ["almgren-chriss:0.01:0.1:60", "momentum:100:2"] {
        assert!(tried(&[day, day], second(), model, "none", &[]).is_err(), "{model}");
    }
}

/// BT-18: a tenth of an ordinary candle, more of a busy one, less of a quiet one, never beyond the bounds.
#[test]
fn bt_18_the_adaptive_cap_follows_how_busy_a_candle_is() {
    let bars: &[Bar] = &[(10, 1_000), (10, 1_000), (10, 2_000), (10, 9_000), (10, 100), (10, 1_000)];
    let settings = [("exchange.participation_bps", "1000"), ("exchange.adaptive_cap", "200:2500")];
    let fills = play(&[bars], vec![market(Side::Buy, 100_000)], "none", "none", &settings);
    let filled: Vec<i64> = fills.iter().map(|fill| fill.quantity.0 / Quantity::from_units(1).0).collect();
    // 10 % of the mean's like; 20 % of twice the mean; 25 % at most; 2 % at least; 10 % × 1,000 / 2,620 = 3.81 %.
    assert_eq!(filled, [100, 400, 2_250, 2, 38]);
}
