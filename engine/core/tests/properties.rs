//! What holds for every strategy in every world: equality from a saved state, no look-ahead, no favoured symbol, books
//! that balance, and no input from outside that brings the core down.
//!
//! - Worlds are random and follow from their seed; a failure names it (`DAYBOOK_SEED`).

mod worlds;

use daybook_core::strategy::{Parameters, STRATEGIES, Strategy};
use daybook_core::{Conclusion, Core, CoreError, DIGEST_EVERY, Outbox, Output};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{
    Account, Candle, Cause, Fill, Hash, InstrumentId, Interval, Money, Nanos, OrderId, Price, Quantity, Side,
};
use std::collections::BTreeMap;
use worlds::{Random, Step, World};

/// Every strategy, with windows short enough for small worlds; the last one plays a script.
const PLAYERS: &[&str] =
    &["hold", "intraday", "policy-momentum", "sma-cross", "swing", "top-score", "weights", "script"];

fn player(name: &str, world: &World) -> Box<dyn Strategy> {
    let Some(entry) = daybook_core::strategy::find(name) else { return world.scripted() };
    let short: &[(&str, &str)] = match name {
        "intraday" => &[("mean", "3"), ("rsi", "2"), ("square_off_minutes", "3")],
        "policy-momentum" => &[("bars", "2"), ("range", "2"), ("threshold", "0.5")],
        "sma-cross" => &[("fast", "2"), ("slow", "5")],
        "top-score" => &[("top", "2"), ("bars", "2"), ("max_bars", "6"), ("filter", "S2")],
        "weights" => &[("every", "3")],
        "swing" => &[("fast", "5"), ("slow", "20"), ("max_hold_days", "2")],
        _ => &[],
    };
    let mut given: BTreeMap<String, String> =
        short.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    if entry.parameters.iter().any(|parameter| parameter.name == "quantity") {
        given.insert("quantity".into(), "10".into());
    }
    let parameters = Parameters::resolve(name, entry.parameters, &given).unwrap();
    entry.build(&parameters, world.instruments.len()).unwrap()
}

#[test]
fn every_strategy_has_a_player() {
    for entry in STRATEGIES {
        assert!(PLAYERS.contains(&entry.name), "add {} to the players of this file", entry.name);
    }
}

/// Outputs by step, and what `finish` adds.
fn play(core: &mut Core, steps: &[Step]) -> Vec<Vec<Output>> {
    steps.iter().map(|step| worlds::step(core, step).unwrap_or_else(|error| panic!("{error}: {step:?}"))).collect()
}

fn finish(core: &mut Core) -> Hash {
    let mut out = Outbox::new();
    core.finish(&mut out);
    assert!(matches!(out.outputs(), [Output { body: Conclusion::Digest(_), .. }]));
    core.last_digest()
}

fn saved(core: &Core) -> Vec<u8> {
    let mut bytes = Vec::new();
    core.save(&mut bytes);
    bytes
}

#[test]
fn restored_at_any_input_the_core_goes_on_as_if_nothing_had_happened() {
    for seed in worlds::seeds(12) {
        let world = World::lasting(seed, 5);
        for name in PLAYERS {
            let mut whole = world.core(player(name, &world));
            let outputs = play(&mut whole, &world.steps);
            let digest = finish(&mut whole);
            let every = 1 + seed as usize % 5;
            for cut in (0..=world.steps.len()).step_by(every) {
                let mut first = world.core(player(name, &world));
                play(&mut first, &world.steps[..cut]);
                let mut second = world.core(player(name, &world));
                second.load(&saved(&first)).unwrap();
                assert_eq!(saved(&second), saved(&first), "DAYBOOK_SEED={seed} {name} cut at {cut}");
                assert_eq!(second.counts(), first.counts());
                let rest = play(&mut second, &world.steps[cut..]);
                assert_eq!(rest, outputs[cut..], "DAYBOOK_SEED={seed} {name} cut at {cut}");
                assert_eq!(finish(&mut second), digest, "DAYBOOK_SEED={seed} {name} cut at {cut}");
                assert_eq!(saved(&second), saved(&whole), "DAYBOOK_SEED={seed} {name} cut at {cut}");
            }
        }
    }
}

#[test]
fn a_damaged_or_foreign_state_is_refused() {
    let world = World::lasting(3, 3);
    let mut core = world.core(player("sma-cross", &world));
    play(&mut core, &world.steps[..40]);
    let good = saved(&core);
    let refuses = |bytes: &[u8], why: &str| {
        let mut other = world.core(player("sma-cross", &world));
        assert_eq!(other.load(bytes), Err(CoreError::ForeignState), "{why}");
    };
    for length in 0..good.len() {
        refuses(&good[..length], "cut short");
    }
    for index in 0..good.len() {
        let mut bytes = good.clone();
        bytes[index] ^= 1 << (index % 8);
        refuses(&bytes, "a bit flipped");
    }
    refuses(&[good.clone(), vec![0]].concat(), "longer");
    let mut hold = world.core(player("hold", &world));
    assert_eq!(hold.load(&good), Err(CoreError::ForeignState), "another strategy");
    let mut richer = World { cash: world.cash + Money(1), ..world.clone() }.core(player("sma-cross", &world));
    assert_eq!(richer.load(&good), Err(CoreError::ForeignState), "another account");
    assert_eq!(core.load(&good), Ok(()));
}

/// A digest is the hash of the saved state, and comes every [`DIGEST_EVERY`] inputs, from a snapshot too.
#[test]
fn digests_come_at_the_same_inputs_with_the_same_hash() {
    let world = World { steps: Vec::new(), ..World::lasting(1, 2) };
    let mut core = world.core(player("sma-cross", &world));
    let opened = Step::Opened { hours: worlds::session(0) };
    play(&mut core, &[opened]);
    let mut random = Random::new(1);
    let mut restored = None;
    let mut digests = Vec::new();
    for number in 1..DIGEST_EVERY as i64 + 9 {
        let time = worlds::session(0).open + number;
        let price = random.range(90, 110) * 100_000_000;
        let cause = Cause { rank: 1, seq: number as u64 };
        let step = Step::Candle { cause, time, instrument: 0, candle: flat(time, price), late: false };
        let outputs = play(&mut core, std::slice::from_ref(&step)).concat();
        let other = restored.as_mut().map(|core| play(core, std::slice::from_ref(&step)).concat());
        assert!(other.is_none_or(|other| other == outputs), "the restored core differs at input {number}");
        for output in outputs {
            let Conclusion::Digest(digest) = output.body else { panic!("{output:?}") };
            let bytes = saved(&core);
            // Saved after the digest, so the count of inputs is the same and so is everything else.
            assert_eq!(digest.digest, Hash(*blake3::hash(&bytes[..bytes.len() - 32]).as_bytes()));
            assert_eq!(digest.cause, cause);
            digests.push(digest.inputs);
        }
        if number == 60_000 {
            let mut other = world.core(player("sma-cross", &world));
            other.load(&saved(&core)).unwrap();
            restored = Some(other);
        }
    }
    assert_eq!(digests, [DIGEST_EVERY]);
}

fn flat(time: Nanos, price: i64) -> Candle {
    let price = Price(price);
    Candle::new(CandleParts {
        open_time: time,
        interval: Interval::MINUTE,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Quantity(0),
        revises: false,
    })
}

/// Point-in-time by construction: whatever comes after an input, what was said up to it stays.
#[test]
fn nothing_that_comes_later_changes_what_was_said() {
    let mut spoke = BTreeMap::new();
    for seed in worlds::seeds(40) {
        let world = World::lasting(seed, 6);
        let random = &mut Random::new(seed);
        for name in PLAYERS {
            let outputs = play(&mut world.core(player(name, &world)), &world.steps);
            let cut = random.range(1, world.steps.len() as i64) as usize;
            let context = format!("DAYBOOK_SEED={seed} {name} cut at {cut}");
            let alone = play(&mut world.core(player(name, &world)), &world.steps[..cut]);
            assert_eq!(alone, outputs[..cut], "{context}");
            let mut scrambled = world.steps.clone();
            for step in &mut scrambled[cut..] {
                if let Step::Candle { candle, .. } = step {
                    let (low, high) = (random.range(1, 1 << 40), random.range(1 << 40, 1 << 45));
                    let (open, close) = (random.range(low, high), random.range(low, high));
                    let prices = (Price(open), Price(high), Price(low), Price(close));
                    let (open, high, low, close) = prices;
                    *candle = Candle::new(CandleParts { open, high, low, close, ..candle.parts() });
                }
            }
            let other = play(&mut world.core(player(name, &world)), &scrambled);
            assert_eq!(other[..cut], outputs[..cut], "{context}");
            *spoke.entry(name).or_insert(0) += u32::from(other != outputs);
        }
    }
    if std::env::var("DAYBOOK_SEED").is_err() {
        for name in PLAYERS {
            assert!(spoke[name] > 5, "scrambling the future of {name} never changed anything: the test tests nothing");
        }
    }
}

/// What is said about a symbol, but for the numbers that count over all symbols.
fn about(outputs: &[Vec<Output>], instrument: usize) -> Vec<Conclusion> {
    let mut said = Vec::new();
    for output in outputs.iter().flatten().filter(|output| output.stream.index() == instrument) {
        let mut body = output.body.clone();
        match &mut body {
            Conclusion::Intent(intent) => intent.order = OrderId(0),
            Conclusion::Update(update) => update.order = OrderId(0),
            Conclusion::Fill(fill) => fill.order = OrderId(0),
            Conclusion::Trade(trade) => {
                trade.trade = 0;
                (trade.entry_order, trade.exit_order) = (OrderId(0), OrderId(0));
            }
            _ => {}
        }
        said.push(body);
    }
    said
}

/// With cash for all of them, no symbol's result depends on the order in which symbols are numbered.
#[test]
fn the_order_of_symbols_changes_nothing() {
    for seed in worlds::seeds(60) {
        let world = World { cash: Money(1 << 110), ..World::lasting(seed, 6) };
        let count = world.instruments.len();
        let mirror = |instrument: usize| count - 1 - instrument;
        let mut mirrored = world.clone();
        mirrored.instruments.reverse();
        for step in &mut mirrored.steps {
            if let Step::Candle { instrument, .. } = step {
                *instrument = mirror(*instrument);
            }
        }
        for group in mirrored
            .steps
            .chunk_by_mut(|a, b| matches!((a, b), (Step::Candle { .. }, Step::Candle { .. })) && a.time() == b.time())
        {
            group.sort_by_key(|step| if let Step::Candle { instrument, .. } = step { *instrument } else { 0 });
        }
        // Those that rank symbols take the first of equals: there the order is a rule.
        for name in PLAYERS.iter().filter(|name| !["script", "policy-momentum", "top-score"].contains(name)) {
            let (mut one, mut other) = (world.core(player(name, &world)), mirrored.core(player(name, &mirrored)));
            let (outputs, mirrors) = (play(&mut one, &world.steps), play(&mut other, &mirrored.steps));
            for instrument in 0..count {
                let (left, right) = (about(&outputs, instrument), about(&mirrors, mirror(instrument)));
                assert_eq!(left, right, "DAYBOOK_SEED={seed} {name}");
            }
            assert_eq!(one.ledger(), other.ledger(), "DAYBOOK_SEED={seed} {name}");
        }
    }
}

/// The account, recomputed from outputs and closes alone.
#[derive(Default)]
struct Books {
    cash: Money,
    fees: Money,
    gross: Money,
    held: BTreeMap<u32, Quantity>,
    last: BTreeMap<u32, Price>,
}

impl Books {
    fn note(&mut self, output: &Output, start: Money, context: &str) {
        match &output.body {
            Conclusion::Fill(fill) => self.note_fill(output.stream.0, fill, context),
            Conclusion::Trade(trade) => self.gross += trade.gross,
            Conclusion::Account(account) => self.check(account, start, context),
            _ => {}
        }
    }

    fn note_fill(&mut self, stream: u32, fill: &Fill, context: &str) {
        let value = fill.price.times(fill.quantity);
        self.cash += if fill.side == Side::Buy { -value } else { value } - fill.charges.total();
        self.fees += fill.charges.total();
        let held = self.held.entry(stream).or_default();
        *held += fill.side.signed(fill.quantity);
        assert_eq!(*held, fill.position, "{context}");
    }

    fn check(&self, account: &Account, start: Money, context: &str) {
        let value: Money = self.held.iter().map(|(stream, held)| self.last[stream].times(*held)).sum();
        assert_eq!(account.cash, start + self.cash, "{context}");
        assert_eq!(account.fees, self.fees, "{context}");
        assert_eq!(account.equity, account.cash + value, "{context}");
        assert_eq!(account.equity, start + account.realised + account.unrealised - account.fees, "{context}");
        assert_eq!(account.long_value - account.short_value, value, "{context}");
        if self.held.values().all(|held| held.is_zero()) {
            assert_eq!((account.realised, account.unrealised), (self.gross, Money::ZERO), "{context}");
        }
    }
}

#[test]
fn the_books_balance_at_every_close() {
    let mut accounts = 0;
    for seed in worlds::seeds(60) {
        let world = World::lasting(seed, 6);
        for name in PLAYERS {
            let mut core = world.core(player(name, &world));
            let mut books = Books::default();
            for step in &world.steps {
                if let Step::Candle { instrument, candle, .. } = step {
                    books.last.insert(*instrument as u32, candle.close());
                }
                for output in worlds::step(&mut core, step).unwrap() {
                    books.note(&output, world.cash, &format!("DAYBOOK_SEED={seed} {name} {step:?}"));
                    accounts += u32::from(matches!(output.body, Conclusion::Account(_)));
                }
            }
        }
    }
    assert!(accounts > 0);
}

/// Prices, volumes and quantities at the ends of their ranges are outside data like any other.
#[test]
fn absurd_numbers_never_panic() {
    let ends = [1, 2, 99, 1 << 20, 1 << 40, i64::MAX / 3, i64::MAX - 1, i64::MAX];
    let mut fills = 0;
    for seed in worlds::seeds(200) {
        let random = &mut Random::new(seed);
        let mut world = World::lasting(seed, 8);
        world.participation_bps = random.pick(&[None, Some(u32::MAX), Some(1)]);
        world.cash = random.pick(&[Money(1 << 120), Money(i128::from(i64::MAX)), Money(-1)]);
        let usual = random.pick(&ends);
        for step in &mut world.steps {
            if let Step::Candle { candle, .. } = step {
                let mut prices = [0; 4].map(|_| if random.one_in(3) { random.pick(&ends) } else { usual });
                prices.sort_unstable();
                let [low, open, close, high] = prices.map(Price);
                let volume = Quantity(random.pick(&ends));
                *candle = Candle::new(CandleParts { open, high, low, close, volume, ..candle.parts() });
            }
        }
        for name in PLAYERS {
            let mut core = world.core(player(name, &world));
            play(&mut core, &world.steps);
            finish(&mut core);
            fills += core.counts().fills;
        }
    }
    assert!(fills > 100, "worlds in which nothing trades prove nothing");
}

#[test]
fn inputs_that_make_no_sense_are_errors() {
    let world = World { timeframe: None, ..World::lasting(1, 1) };
    let hours = worlds::session(0);
    let cause = Cause { rank: 1, seq: 7 };
    let at = |time: Nanos, candle: Candle| Step::Candle { cause, time, instrument: 0, candle, late: false };
    let good = flat(hours.open, 100);
    let core = || world.core(player("hold", &world));
    let error = |core: &mut Core, step: &Step| worlds::step(core, step).unwrap_err().to_string();

    assert!(error(&mut core(), &at(hours.open, good)).contains("no session"));
    let mut opened = core();
    play(&mut opened, &[Step::Opened { hours }, at(hours.open + 60, good)]);
    assert!(error(&mut opened, &at(hours.open + 59, good)).contains("1:7 steps back"));

    let broken = |change: fn(&mut CandleParts)| {
        let mut parts = good.parts();
        change(&mut parts);
        Candle::new(parts)
    };
    for candle in [
        broken(|parts| parts.low = Price(0)),
        broken(|parts| parts.high = Price(99)),
        broken(|parts| parts.close = Price(i64::MIN)),
        broken(|parts| parts.open = Price(101)),
        broken(|parts| parts.volume = Quantity(-1)),
    ] {
        assert!(error(&mut opened, &at(hours.open + 60, candle)).contains("1:7 is not one"), "{candle:?}");
    }

    for (timeframe, works) in [
        (30, false),
        (60, false),
        (90, false),
        (120, true),
        (86_400, true),
        (86_460, false),
        (604_800, false),
        (0, false),
    ] {
        let world = World { timeframe: Some(Interval(timeframe)), ..world.clone() };
        let opened = worlds::step(&mut world.core(player("hold", &world)), &Step::Opened { hours });
        assert_eq!(opened.is_ok(), works, "bars of {timeframe} s from candles of a minute: {opened:?}");
    }

    let mut early = World { costs: "zerodha-delivery".into(), ..world.clone() }.core(player("hold", &world));
    let hours = daybook_core::SessionHours { date: daybook_vocabulary::Date(0), open: Nanos(0), close: Nanos(1) };
    assert!(error(&mut early, &Step::Opened { hours }).contains("2020-07-01"));
    assert_eq!(core().book(InstrumentId(0)).bars, 0);
}
