//! A recorded day for tests: a market of two symbols, what a live session would have heard of it, and the session.

use daybook_config::{Calendar, Settings, Sources};
use daybook_journal::{Draft, Journal, Options, Writer};
use daybook_replay::live::{Heard, Recorder};
use daybook_replay::synthetic::{self, Market};
use daybook_replay::{BacktestOptions, Plan, Prepared, Source};
use daybook_vocabulary::{
    Event, Hash, Interval, Nanos, OrderState, Price, Quantity, SessionHeader, SessionMode, TradePrint, Verdict,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub const BINARY: Hash = Hash([7; 32]);

/// A market over three days, in five-minute candles.
pub fn market(dir: &Path) -> PathBuf {
    let journal = dir.join("history");
    let market = Market {
        seed: 11,
        symbols: vec![("A".to_owned(), Price::from_units(500)), ("B".to_owned(), Price::from_units(90))],
        tick: Price(5_000_000),
        interval: "5m".parse::<Interval>().unwrap(),
        from: "2025-06-09".parse().unwrap(),
        to: "2025-06-11".parse().unwrap(),
    };
    let mut writer = Writer::create(&journal, small()).unwrap();
    synthetic::write(&market, &Calendar::nse(), &mut writer).unwrap();
    writer.close().unwrap();
    journal
}

pub fn small() -> Options {
    Options { segment_bytes: 256 * 1024, ..Options::session() }
}

/// A strategy on that market, with `given` parameters and `settings`.
pub fn options(journal: &Path, strategy: &str, given: &[(&str, &str)], settings: &[(&str, &str)]) -> BacktestOptions {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let sources = Sources { overrides: pairs(settings), ..Sources::default() };
    let settings = Settings::resolve(sources).unwrap().settings;
    let parameters: BTreeMap<_, _> = pairs(given).into_iter().collect();
    BacktestOptions {
        journals: vec![journal.to_owned()],
        plan: Plan::new(strategy, &parameters, settings).unwrap(),
        symbols: Vec::new(),
        interval: None,
        from: None,
        to: None,
        warmup: None,
        out: PathBuf::new(),
        force: false,
        binary: BINARY,
    }
}

/// A crossover that trades often.
pub fn crossover(journal: &Path) -> BacktestOptions {
    options(journal, "sma-cross", &[("fast", "2"), ("slow", "5"), ("quantity", "3")], &[])
}

pub fn header(options: &BacktestOptions, prepared: &Prepared) -> SessionHeader {
    SessionHeader {
        mode: SessionMode::Paper,
        binary: BINARY,
        config: options.plan.hash(),
        calendar: prepared.calendar.hash(),
        strategy: options.plan.strategy.clone(),
        settings: options.plan.written(),
        seed: 0,
        inputs: Vec::new(),
        filter: prepared.filter.clone(),
        parent: None,
        ancestors: Vec::new(),
    }
}

/// What a live market would have said: the history's inputs, the candles as trades on the path of each.
pub fn feed(options: &BacktestOptions, prepared: &Prepared) -> Vec<(Nanos, Heard)> {
    let mut source = prepared.source(&options.plan).unwrap();
    let (mut heard, mut of_slice, mut date) = (Vec::new(), Vec::new(), None);
    while source.advance().unwrap() {
        let input = source.input();
        if let daybook_core::Body::SessionOpened(hours) = input.body {
            date = Some(hours.date);
        }
        let daybook_core::Body::Candle(id, candle) = input.body else {
            // Trades of several symbols come in the order of their times.
            of_slice.sort_by_key(|(time, _): &(Nanos, Heard)| *time);
            heard.append(&mut of_slice);
            heard.push((input.time, Heard::of(&input.body, input.time, date).unwrap()));
            continue;
        };
        let prices = [candle.open(), candle.low(), candle.high(), candle.close()];
        let quarter = candle.volume().0 / 4;
        let quantities = [quarter, quarter, quarter, candle.volume().0 - 3 * quarter];
        for (index, (price, quantity)) in prices.into_iter().zip(quantities).enumerate() {
            let at = candle.open_time() + index as i64 * 60 * 1_000_000_000;
            of_slice.push((at, Heard::Print(id, TradePrint::new(at, price, Quantity(quantity)))));
        }
    }
    heard
}

pub fn core(options: &BacktestOptions, prepared: &Prepared) -> daybook_core::Core {
    options.plan.core(&prepared.selection, &prepared.filter, prepared.range).unwrap()
}

/// Records the whole feed at `path`.
pub fn record(path: &Path, options: &BacktestOptions, prepared: &Prepared, feed: &[(Nanos, Heard)]) -> Hash {
    let writer = Writer::create(path, small()).unwrap();
    let header = header(options, prepared);
    let instruments = &prepared.selection.instruments;
    let core = core(options, prepared);
    let mut recorder = Recorder::begin(path.to_owned(), writer, &header, instruments, feed[0].0, core).unwrap();
    for (time, heard) in feed {
        recorder.hear(*time, heard).unwrap();
    }
    assert!(recorder.core().counts().fills > 20, "the session trades");
    Hash(recorder.end(None).unwrap().content.0)
}

/// Copies the first `frames` frames of a journal, as a crash leaves them.
pub fn cut(from: &Path, to: &Path, frames: u64) {
    let journal = Journal::open(from).unwrap();
    let mut cursor = journal.cursor(0).until(frames);
    let mut writer = Writer::create(to, small()).unwrap();
    while let Some(frame) = cursor.next().unwrap() {
        let draft = Draft {
            time: frame.time,
            kind: frame.kind,
            schema: frame.schema,
            flags: frame.flags,
            stream: frame.stream,
        };
        writer.append(draft, frame.payload).unwrap();
    }
    writer.close().unwrap();
}

pub fn events(path: &Path) -> Vec<(Nanos, u32, Event)> {
    let journal = Journal::open(path).unwrap();
    let mut cursor = journal.cursor(0);
    let mut events = Vec::new();
    while let Some(frame) = cursor.next().unwrap() {
        let event = Event::decode(frame.kind, frame.schema, frame.payload).unwrap();
        events.push((Nanos(frame.time), frame.stream, event));
    }
    events
}

/// Positions and working orders as the frames say them, by stream and order number: no core, no folding of inputs.
pub fn naive_books(events: &[(Nanos, u32, Event)]) -> (BTreeMap<u32, Quantity>, BTreeMap<u64, OrderState>) {
    use OrderState::{Cancelled, Expired, Filled, Refused, Rejected};
    let (mut positions, mut orders) = (BTreeMap::new(), BTreeMap::new());
    for (_, stream, event) in events {
        match event {
            Event::OrderIntent(intent) if intent.verdict == Verdict::Approved => {
                orders.insert(intent.order.0, OrderState::Intended);
            }
            Event::OrderUpdate(update) => drop(orders.insert(update.order.0, update.state)),
            Event::Fill(fill) => {
                orders.insert(fill.order.0, fill.state);
                positions.insert(*stream, fill.position);
            }
            _ => {}
        }
    }
    positions.retain(|_, held| !held.is_zero());
    orders.retain(|_, state| !matches!(state, Cancelled | Expired | Filled | Refused | Rejected));
    (positions, orders)
}
