//! The replay memory: rewards that add up, a hold-out that holds, windows that are those of the matrix.
//!
//! - Trades here are made up in whole numbers, without a core: whatever a core does, the books' identities must carry
//!   over. The fold through the real core is tested where the core's sources are.

use daybook_features::{Bar, FEATURES, FeatureMarket, Session, Timeframe};
use daybook_train::memory::{
    Counted, Done, Held, Memory, MemoryBuilder, MemoryError, RewardFormula, Sampling, Span, Standing, Stored,
    TrainingSet, Transition,
};
use daybook_train::{Dataset, Random};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::{HOUR, MINUTE};
use daybook_vocabulary::trade::{RulesFollowed, TradeMeasures};
use daybook_vocabulary::{
    Candle, Cause, Date, Interval, Label, Money, Nanos, OrderId, Price, Quantity, Side, TradeClosed,
};
use proptest::prelude::*;
use std::sync::Arc;

const TIMEFRAMES: [Timeframe; 1] = [Timeframe { interval: Interval::minutes(15), lookback: 16 }];
const SYMBOLS: usize = 3;

/// A trade as the test keeps it: plain sums.
struct Life {
    entry: i64,
    fees: i64,
    stop: i64,
    entered: Nanos,
}

/// A made-up market, its memory, and per trade what it made.
struct World {
    memory: Arc<Memory>,
    /// Net profit and risk of each trade that closed.
    trades: Vec<(i64, i64)>,
    sessions: Vec<Session>,
}

fn sessions(count: usize) -> Vec<Session> {
    let mut date: Date = "2024-01-01".parse().unwrap();
    let mut month = (String::new(), Nanos(0));
    let mut all = Vec::new();
    for _ in 0..count {
        let open = date.midnight() + (3 * HOUR + 45 * MINUTE);
        if date.to_string()[..7] != month.0 {
            month = (date.to_string()[..7].to_owned(), open);
        }
        let (close, month_opens) = (open + 375 * MINUTE, month.1);
        all.push(Session {
            date,
            open,
            close,
            end: close,
            early_close: false,
            month_opens,
            year_opens: all_open(&all, open),
        });
        date = date.next();
    }
    all
}

fn all_open(all: &[Session], open: Nanos) -> Nanos {
    all.first().map_or(open, |first| first.open)
}

fn closed(life: &Life, exit: i64, fees: i64, at: Nanos) -> TradeClosed {
    let price = |raw: i64| Price(raw * 100_000_000);
    TradeClosed {
        cause: Cause::default(),
        trade: 1,
        side: Side::Buy,
        quantity: Quantity::from_units(1),
        entry_order: OrderId(1),
        exit_order: OrderId(2),
        entry_time: life.entered,
        exit_time: at,
        entry_price: price(life.entry),
        exit_price: price(exit),
        gross: Money::from_units(exit - life.entry),
        fees: Money(i128::from(fees)),
        bars: 1,
        entry_reason: Label::new("test"),
        exit_reason: Label::new("test"),
        measures: Some(TradeMeasures {
            stop: Some(price(life.stop)),
            high: price(exit.max(life.entry)),
            low: price(exit.min(life.entry)),
            planned: Money::from_units(exit - life.entry),
            exit_fees: Money::ZERO,
            entry_slippage: Money::ZERO,
            exit_slippage: Money::ZERO,
            decision: 1,
            rules: RulesFollowed(255),
        }),
    }
}

/// Feeds bars, decides at each, opens and closes trades at random between decisions.
fn world(seed: u64, days: usize, holdout: Option<Span>) -> World {
    let mut random = Random::new(seed);
    let sessions = sessions(days);
    let mut market = FeatureMarket::for_training(SYMBOLS, &TIMEFRAMES);
    let mut builder = MemoryBuilder::new((0..SYMBOLS).map(|symbol| format!("S{symbol}")).collect(), 1);
    let mut closes = [1_000i64; SYMBOLS];
    let mut lives: Vec<Option<Life>> = (0..SYMBOLS).map(|_| None).collect();
    let mut trades = Vec::new();
    for session in &sessions {
        for bar in 0..25 {
            let open_time = session.open + bar * 15 * MINUTE;
            let at = open_time + 15 * MINUTE;
            for (symbol, close) in closes.iter_mut().enumerate() {
                let open = *close;
                *close = (open + random.below(41) as i64 - 20).max(100);
                let [o, h, l, c] = [open, open.max(*close) + 3, open.min(*close) - 3, *close].map(Price::from_units);
                let interval = TIMEFRAMES[0].interval;
                let volume = Quantity::from_units(100);
                let parts =
                    CandleParts { open_time, interval, open: o, high: h, low: l, close: c, volume, revises: false };
                let candle = Candle::new(parts);
                market.observe(symbol, &Bar { candle: &candle, session }, at);
                // Fills of this bar: a trade ends or begins, sometimes both in one.
                let mut life = lives[symbol].take();
                let last = bar == 24;
                if life.is_none() && bar > 0 && !last && random.chance(0.2) {
                    let stop = open - 10 - random.below(30) as i64;
                    life = Some(Life { entry: open, fees: random.below(300_000_000) as i64, stop, entered: open_time });
                }
                if let Some(held) = &life
                    && (last || random.chance(0.15))
                {
                    let fees = held.fees + random.below(300_000_000) as i64;
                    builder.close(symbol, &closed(held, *close - 1, fees, at));
                    trades
                        .push(((*close - 1 - held.entry) * 100_000_000 - fees, (held.entry - held.stop) * 100_000_000));
                    life = None;
                }
                lives[symbol] = life;
            }
            let standing: Vec<Standing> = lives.iter().zip(&closes).map(standing).collect();
            let done: Vec<Done> = (0..SYMBOLS).map(|_| Done { action: random.below(3) as u8, asked: true }).collect();
            let moment = market.moment(at).unwrap();
            builder.decide(&market, &moment, &done, &standing).unwrap();
        }
        let standing: Vec<Standing> = lives.iter().zip(&closes).map(standing).collect();
        builder.end_session(&standing).unwrap();
    }
    World { memory: Arc::new(builder.finish(market, holdout)), trades, sessions }
}

fn standing((life, close): (&Option<Life>, &i64)) -> Standing {
    match life {
        Some(life) => {
            Standing { open: Money::from_units(close - life.entry) - Money(life.fees.into()), in_trade: true }
        }
        None => Standing::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    /// A trade's rewards add up to its R multiple; on the money exactly, before any division.
    #[test]
    fn rewards_add_up_to_the_r_multiple(seed in any::<u64>()) {
        let world = world(seed, 45, None);
        let memory = &world.memory;
        let mut sums = vec![(0i128, 0.0f64, 0u32); memory.trades().len()];
        let mut outside = 0i128;
        for transition in memory.transitions() {
            match sums.get_mut(transition.trade as usize) {
                Some((money, reward, count)) => {
                    *money += i128::from(transition.money);
                    *reward += f64::from(transition.reward);
                    *count += 1;
                }
                None => {
                    outside += i128::from(transition.money);
                    prop_assert!(transition.reward == 0.0 || transition.counted != Counted::Yes);
                }
            }
        }
        let mut whole = 0;
        for (record, ((money, reward, count), (net, risk))) in memory.trades().iter().zip(sums.iter().zip(&world.trades)) {
            prop_assert_eq!(record.net.0, i128::from(*net));
            prop_assert_eq!(record.risk, Some(Money((*risk).into())));
            if *count == 0 {
                continue;
            }
            whole += 1;
            prop_assert_eq!(*money, record.net.0, "seed {}", seed);
            let r = *net as f64 / *risk as f64;
            prop_assert!((reward - r).abs() < 1e-5 * r.abs().max(1.0), "seed {}: {} and {}", seed, reward, r);
            let kept = record.r_multiple.expect("it has a stop").0 as f64 / 1e8;
            prop_assert!((kept - r).abs() < 1e-7);
        }
        prop_assert!(whole > 60, "{} trades", whole);
        prop_assert!(outside.abs() <= i128::from(i64::MAX), "what belongs to no trade belongs to one before the first decision");
    }
}

#[test]
fn a_memory_is_laid_out_as_it_says() {
    let world = world(1, 45, None);
    let memory = &world.memory;
    let decisions = memory.times().len();
    assert!(decisions > 300 && memory.withheld() > 500, "{decisions} decisions, {} withheld", memory.withheld());
    assert_eq!(memory.transitions().len(), decisions * SYMBOLS);
    assert!(memory.times().is_sorted());
    assert!(size_of::<Transition>() <= 24 && memory.bytes_per_transition() < 60, "{}", memory.bytes_per_transition());
    // An episode ends with the session in which the symbol is flat, and here each is by then.
    let last_of_session = |decision: usize| {
        let session = world.sessions.iter().find(|session| memory.times()[decision] <= session.close).unwrap();
        memory.times()[decision] == session.close
    };
    for (place, transition) in memory.transitions().iter().enumerate() {
        let decision = place / SYMBOLS;
        let expected = if last_of_session(decision) { Transition::NONE } else { decision as u32 + 1 };
        assert_eq!(transition.next, expected, "decision {decision}");
    }
    let windows = memory.windows(7);
    assert_eq!((windows.len(), windows[0].len(), windows[0][0].len()), (1, SYMBOLS, 16 * FEATURES));
    // Two decisions that follow one another share all rows but one: they are the same rows, not copies.
    assert_eq!(windows[0][1][FEATURES..].as_ptr(), memory.windows(8)[0][1].as_ptr());
    assert_eq!(memory.content_hash(), world_hash(1));
    assert_ne!(memory.content_hash(), world_hash(2));
}

fn world_hash(seed: u64) -> String {
    world(seed, 45, None).memory.content_hash()
}

/// What is held out is refused, whatever way a range meets it; what borders on it sees nothing of it.
#[test]
fn the_hold_out_is_refused_to_training() {
    let days = sessions(60);
    let held = Span { from: days[45].open, until: days[50].open };
    let memory = world(3, 60, Some(held)).memory;
    let ask = |from: Nanos, until: Nanos| TrainingSet::new(memory.clone(), Span { from, until }, Sampling::Uniform);
    for (from, until) in [
        (Nanos::MIN, Nanos::MAX),
        (days[0].open, days[45].close),
        (days[49].close, days[55].close),
        (days[46].open, days[47].open),
        (held.from, held.until),
    ] {
        let Err(error) = ask(from, until) else { panic!("it meets the hold-out") };
        assert!(matches!(error, MemoryError::HeldOut { .. }), "{error}");
        assert!(error.to_string().contains("end --to before the hold-out"), "{error}");
    }
    let before = ask(Nanos::MIN, held.from).unwrap();
    let last = before.decisions() - 1;
    assert_eq!(memory.times()[before.decision(last)], days[44].close);
    // Its last decision is followed by one outside: it is learned from only where the episode ended.
    for outcome in before.outcomes(last) {
        assert!(outcome.next.is_none());
    }
    let after = ask(held.until, Nanos::MAX).unwrap();
    let first = after.decision(0);
    assert!(memory.times()[first] > held.until);
    let rows = memory.features().rows(0, 0);
    let window = memory.windows(first);
    let oldest = rows.values().chunks(FEATURES).position(|row| row.as_ptr() == window[0][0].as_ptr()).unwrap();
    assert!(rows.keys()[oldest].known >= held.until, "its window reaches back into the hold-out");

    let held_out = Held::new(memory.clone()).unwrap();
    assert_eq!(held_out.decisions(), 5 * 25);
    assert_ne!(held_out.content_hash(), before.content_hash());
    assert!(matches!(ask(Nanos(0), Nanos(1)), Err(MemoryError::Empty { .. })));
    assert!(Held::new(world(3, 45, None).memory).is_err());
}

#[test]
fn sampling_is_seeded_uniform_or_by_surprise() {
    let memory = world(4, 45, None).memory;
    let set = |sampling| TrainingSet::new(memory.clone(), Span::ALL, sampling).unwrap();
    let uniform = set(Sampling::Uniform);
    let draw = |set: &TrainingSet| set.sample(&mut Random::named(7, "sampling"), 20_000);
    assert_eq!(draw(&uniform), draw(&uniform));
    assert!(draw(&uniform).iter().all(|(place, weight)| *place < uniform.decisions() && *weight == 1.0));

    let mut surprised = set(Sampling::PRIORITISED);
    let errors: Vec<(usize, f32)> = (0..surprised.decisions()).map(|place| (place, f32::from(place == 5))).collect();
    surprised.learn_errors(&errors);
    let drawn = draw(&surprised);
    let often = drawn.iter().filter(|(place, _)| *place == 5).count();
    assert!(often > 20 * drawn.len() / surprised.decisions(), "{often} times");
    assert!(drawn.iter().all(|(place, weight)| (*place == 5) == (*weight < 0.5) || *weight <= 1.0));

    let mut again = set(Sampling::PRIORITISED);
    assert!(again.restore_sampling(&surprised.sampling_state()));
    assert_eq!(draw(&again), drawn, "taken up from a checkpoint it draws the same");
    assert!(!again.restore_sampling(&[1.0; 3]));
    assert!(uniform.sampling_state().is_empty());
}

/// A model's record says what it was trained on, so that nobody evaluates it there.
#[test]
fn a_span_reads_back() {
    let some = Span { from: Nanos(1_706_725_800_000_000_000), until: Nanos(1_709_231_400_000_000_001) };
    for span in [some, Span::ALL, Span { from: Nanos::MIN, ..some }] {
        assert_eq!(span.to_string().parse(), Ok(span));
    }
    assert!("now until then".parse::<Span>().is_err() && "2024-01-01".parse::<Span>().is_err());
}

/// Phases: a memory read back is the memory that was written; of another key or damaged it is not handed out.
#[test]
fn a_memory_read_back_is_the_memory_that_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("training.memory");
    let (key, other) = ("a".repeat(64), "b".repeat(64));
    assert!(matches!(Memory::stored(&path, &key), Stored::Absent));
    let world = world(5, 70, None);
    world.memory.write(&path, &key).expect("written");
    let Stored::Whole(read) = Memory::stored(&path, &key) else { panic!("it is there") };
    assert_eq!(read.content_hash(), world.memory.content_hash());
    assert_eq!((read.trades(), read.times()), (world.memory.trades(), world.memory.times()));
    assert_eq!(read.windows(3), world.memory.windows(3));
    assert!(matches!(Memory::stored(&path, &other), Stored::Other));
    let bytes = std::fs::read(&path).expect("bytes");
    for at in (0..bytes.len()).step_by(bytes.len() / 97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).expect("written");
        assert!(!matches!(Memory::stored(&path, &key), Stored::Whole(_)), "byte {at}");
        std::fs::write(&path, &bytes[..at]).expect("written");
        assert!(matches!(Memory::stored(&path, &key), Stored::Damaged(_)), "cut at {at}");
    }
}

/// RL-19: a reward has a name and a version, several can be compared on one history, and under each a trade's add up to
/// its R.
#[test]
fn every_formula_of_the_reward_adds_up() {
    let (marked, closed) = (RewardFormula::MarkedR, RewardFormula::ClosedR);
    assert_eq!(
        [(marked.name(), marked.version()), (closed.name(), closed.version())],
        [("marked-r", 1), ("closed-r", 1)]
    );
    let brought = [50_000_000, -20_000_000, 0, 7];
    assert_eq!(marked.money(&brought), brought);
    assert_eq!(closed.money(&brought), [0, 0, 0, 30_000_007]);
    assert_eq!(closed.money(&[]), Vec::<i64>::new());
}
