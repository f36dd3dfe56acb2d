//! A replay memory from a journal: the same core, rules and charges as a backtest, on a small made-up market.
//!
//! - RL-16, RL-17, RL-19, RL-20: rewards are those of the trades that the rules made; the hold-out is refused.

use daybook_config::{Calendar, Settings, Sources};
use daybook_features::{FEATURES, Timeframe};
use daybook_journal::{Options, Writer};
use daybook_replay::memory::{Populate, RewardFormula, populate, span_of};
use daybook_replay::synthetic::{self, Market};
use daybook_train::Dataset;
use daybook_train::memory::{Counted, Epsilon, Held, Memory, MemoryError, Sampling, Span, TrainingSet};
use daybook_vocabulary::{Interval, Price, Side};
use std::path::Path;
use std::sync::Arc;

const TIMEFRAMES: [Timeframe; 2] = [
    Timeframe { interval: Interval::minutes(5), lookback: 32 },
    Timeframe { interval: Interval::minutes(15), lookback: 16 },
];

fn market(dir: &Path) {
    let market = Market {
        seed: 3,
        symbols: [("ALFA", 500), ("BETA", 90), ("GAMA", 2_000)]
            .map(|(symbol, price)| (symbol.to_owned(), Price::from_units(price)))
            .into(),
        tick: Price(5_000_000),
        interval: Interval::minutes(5),
        from: "2024-01-01".parse().unwrap(),
        to: "2024-03-15".parse().unwrap(),
    };
    let mut writer = Writer::create(&dir.join("m"), Options::default()).expect("a new journal");
    synthetic::write(&market, &Calendar::nse(), &mut writer).expect("a market");
    writer.close().expect("a whole journal");
}

fn settings(seed: &str) -> Settings {
    let overrides = [
        ("costs", "zerodha-intraday"),
        ("seed", seed),
        ("risk.safe_trading_start", "09:30"),
        ("risk.safe_trading_end", "15:00"),
        ("risk.hard_trading_end", "15:15"),
        ("risk.max_concurrent_trades", "2"),
    ];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Settings::resolve(Sources { overrides, ..Sources::default() }).expect("settings").settings
}

fn remembered(dir: &Path, from: Option<&str>, seed: &str) -> Memory {
    let settings = settings(seed);
    let options = Populate {
        journals: vec![dir.join("m")],
        symbols: Vec::new(),
        timeframes: TIMEFRAMES.to_vec(),
        from: from.map(|from| from.parse().unwrap()),
        to: None,
        holdout: Some(("2024-03-04".parse().unwrap(), "2024-03-08".parse().unwrap())),
        settings: &settings,
        reward: RewardFormula::MarkedR,
        epsilon: Epsilon::RANDOM,
        inside: None,
    };
    populate(&options, &mut |_| {}).expect("a memory")
}

#[test]
fn a_memory_is_folded_from_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    market(dir.path());
    let memory = Arc::new(remembered(dir.path(), None, "7"));
    let closed = memory.trades().len();
    assert!(memory.times().len() > 1_500 && closed > 40, "{} decisions, {closed} trades", memory.times().len());

    // RL-19: the rewards of each trade add up to its R, on the money exactly.
    let mut whole = 0;
    for (place, trade) in memory.trades().iter().enumerate() {
        let of_trade = memory.transitions().iter().filter(|transition| transition.trade == place as u32);
        let (mut money, mut reward, mut count) = (0i128, 0.0f64, 0);
        for transition in of_trade {
            money += i128::from(transition.money);
            reward += f64::from(transition.reward);
            count += 1;
        }
        if count == 0 {
            continue;
        }
        whole += 1;
        assert_eq!(money, trade.net.0);
        let r = trade.r_multiple.expect("the rules place a stop").0 as f64 / 1e8;
        assert!((reward - r).abs() < 1e-4 * r.abs().max(1.0), "{reward}, {r}");
        assert!(trade.adherence.is_some() && trade.mae_r.is_some() && trade.shortfall.is_some());
        // RL-17: what stands on a transition is the core's own record of the trade.
        let (stop, [low, high]) = (trade.stop.expect("a stop"), trade.range.expect("a range"));
        let long = trade.side == Side::Buy;
        assert!(if long { stop < trade.entry_price } else { stop > trade.entry_price }, "{trade:?}");
        assert!(low <= trade.entry_price && trade.entry_price <= high && trade.orders[0] < trade.orders[1]);
        assert!(!trade.reasons[1].as_str().is_empty() && trade.entered < trade.left);
    }
    assert_eq!(whole, closed, "every trade of the rules lies between decisions that were kept");
    let actions = [0, 1, 2].map(|action| memory.transitions().iter().filter(|one| one.action == action).count());
    assert!(actions.iter().all(|&count| count > 20), "{actions:?}");
    assert!(memory.transitions().iter().any(|one| one.counted == Counted::Yes && one.reward != 0.0));

    let windows = memory.windows(3);
    assert_eq!([windows[0][2].len(), windows[1][0].len()], [32 * FEATURES, 16 * FEATURES]);

    let refused = TrainingSet::new(memory.clone(), Span::ALL, Sampling::Uniform);
    assert!(matches!(refused, Err(MemoryError::HeldOut { .. })));
    let before = span_of(&Calendar::nse(), None, Some("2024-03-01".parse().unwrap()));
    let training = TrainingSet::new(memory.clone(), before, Sampling::PRIORITISED).unwrap();
    let held = Held::new(memory.clone()).unwrap();
    assert!(training.decisions() > 1_000 && held.decisions() > 250);
    assert!(memory.bytes_per_transition() < 60);
}

/// The same seed gives the same memory, another one another; where it begins changes no feature.
#[test]
fn a_memory_is_a_function_of_journal_settings_and_seed() {
    let dir = tempfile::tempdir().unwrap();
    market(dir.path());
    let (one, same, other) =
        (remembered(dir.path(), None, "7"), remembered(dir.path(), None, "7"), remembered(dir.path(), None, "8"));
    assert_eq!(one.content_hash(), same.content_hash());
    assert_ne!(one.content_hash(), other.content_hash());
    let late = remembered(dir.path(), Some("2024-03-11"), "7");
    let at = late.times()[0];
    let place = one.times().iter().position(|time| *time == at).expect("the same decision time");
    assert_eq!(late.windows(0), one.windows(place), "the first decision sees the same bytes");
    assert!(late.features().rows(0, 0).keys().len() < one.features().rows(0, 0).keys().len());
}
