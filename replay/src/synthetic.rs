//! A seeded synthetic market: the same seed gives the same candles, to the last byte, on every machine.
//!
//! - Integers only: prices move by whole ticks, the generator is SplitMix64 (Steele, Lea, Flood: *Fast splittable
//!   pseudorandom number generators*, OOPSLA 2014).
//! - It writes a journal the way ingest does: one run, instruments before their candles, a last frame that says what
//!   the run holds.
//! - It is a stand-in for data, never for results: nothing here knows a strategy.

use crate::error::ReplayError;
use daybook_config::Calendar;
use daybook_journal::{Draft, Writer, flags};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::decimal::divide_rounded;
use daybook_vocabulary::{
    Candle, Date, Hash, Instrument, InstrumentId, Interval, Nanos, Payload, PayloadBuffer, Price, Quantity, RunEnded,
    RunStarted, Series,
};

/// A generator with 64 bits of state.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from `low` to `high`, both included; the bias of the remainder does not matter here.
    pub const fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }
}

/// What to make up.
#[derive(Debug, Clone)]
pub struct Market {
    /// Seed of everything.
    pub seed: u64,
    /// Symbols and the prices they begin at.
    pub symbols: Vec<(String, Price)>,
    /// Smallest price step.
    pub tick: Price,
    /// Length of the candles.
    pub interval: Interval,
    /// First date.
    pub from: Date,
    /// Last date.
    pub to: Date,
}

impl Market {
    /// The market of `daybook demo`: four made-up companies over two years of five-minute candles.
    pub fn demo(seed: u64) -> Self {
        let symbol = |name: &str, price: i64| (name.to_owned(), Price::from_units(price));
        Self {
            seed,
            symbols: vec![symbol("BANYAN", 840), symbol("DEODAR", 2_150), symbol("NEEM", 415), symbol("TEAK", 1_260)],
            tick: Price(5_000_000),
            interval: Interval::minutes(5),
            from: date("2023-01-02"),
            to: date("2024-12-31"),
        }
    }
}

fn date(text: &str) -> Date {
    text.parse().expect("a date of this program")
}

/// A price that wanders, with spells of trend and calm.
struct Walker {
    price: i64,
    tick: i64,
    drift: i64,
    spell: i64,
}

impl Walker {
    /// One candle's four prices. Steps are in parts per million of the price, rounded to ticks.
    fn candle(&mut self, random: &mut SplitMix64) -> [i64; 4] {
        if self.spell == 0 {
            self.spell = random.between(40, 400);
            self.drift = random.between(-90, 95);
        }
        self.spell -= 1;
        let open = self.step(random, 150);
        let mut low = open;
        let mut high = open;
        for _ in 0..4 {
            let price = self.step(random, 900);
            low = low.min(price);
            high = high.max(price);
        }
        [open, high, low, self.price]
    }

    fn step(&mut self, random: &mut SplitMix64, spread: i64) -> i64 {
        // The sum of three uniform steps is close enough to a bell.
        let shock: i64 = (0..3).map(|_| random.between(-spread, spread)).sum::<i64>() / 2 + self.drift / 4;
        let moved = i128::from(self.price) * i128::from(1_000_000 + shock);
        // Rounded, never cut off: a bias of half a tick a step would sink every price in months.
        let ticks = divide_rounded(moved, 1_000_000 * i128::from(self.tick));
        self.price = (ticks as i64).max(20) * self.tick;
        self.price
    }
}

/// Writes a made-up market to an empty journal, as one complete run. Returns the candles written.
pub fn write(market: &Market, calendar: &Calendar, writer: &mut Writer) -> Result<u64, ReplayError> {
    let mut random = SplitMix64::new(market.seed);
    let mut walkers: Vec<_> = market
        .symbols
        .iter()
        .map(|(_, price)| Walker { price: price.0, tick: market.tick.0, drift: 0, spell: 0 })
        .collect();
    let mut series: Vec<Series> = Vec::new();
    let mut run = Run { writer, buffer: PayloadBuffer::new(), time: Nanos::MIN, candles: 0 };
    let id = Hash(*blake3::hash(format!("{market:?}").as_bytes()).as_bytes());
    let started = RunStarted { command: "demo".to_owned(), id, revises: false, files: Vec::new() };

    let mut day = market.from;
    while day <= market.to {
        let Some(session) = calendar.session_for_data(day) else {
            day = day.next();
            continue;
        };
        if series.is_empty() {
            run.time = session.open();
            run.append(flags::RUN_START, u32::MAX, &started)?;
            for (index, (symbol, _)) in market.symbols.iter().enumerate() {
                let instrument = InstrumentId(index as u32);
                let definition = Instrument {
                    market: calendar.market().to_owned(),
                    symbol: symbol.clone(),
                    tick: market.tick,
                    lot: Quantity::from_units(1),
                };
                run.append(0, instrument.0, &definition)?;
                let (first, last) = (Nanos::MAX, Nanos::MIN);
                series.push(Series { instrument, definition, interval: market.interval, candles: 0, first, last });
            }
        }
        let windows: Vec<_> = session.windows.iter().map(|window| (window.open, window.close)).collect();
        for (open, close) in windows {
            let mut at = open;
            while at < close {
                run.time = calendar.available_at(at, market.interval);
                for (series, walker) in series.iter_mut().zip(&mut walkers) {
                    run.candle(series, walker.candle(&mut random), at, &mut random)?;
                }
                at = at + market.interval.nanos();
            }
        }
        day = day.next();
    }
    let candles = run.candles;
    let ended =
        RunEnded { id, rows: candles, kept: candles, duplicates: 0, merged: 0, quarantined: Vec::new(), series };
    run.append(0, u32::MAX, &ended)?;
    Ok(candles)
}

struct Run<'a> {
    writer: &'a mut Writer,
    buffer: PayloadBuffer,
    time: Nanos,
    candles: u64,
}

impl Run<'_> {
    fn append<P: Payload>(&mut self, flags: u8, stream: u32, payload: &P) -> Result<(), ReplayError> {
        self.buffer.clear();
        payload.encode(&mut self.buffer);
        let draft = Draft { time: self.time.0, kind: P::KIND.number(), schema: P::SCHEMA, flags, stream };
        self.writer.append(draft, &self.buffer)?;
        Ok(())
    }

    fn candle(
        &mut self,
        series: &mut Series,
        [open, high, low, close]: [i64; 4],
        at: Nanos,
        random: &mut SplitMix64,
    ) -> Result<(), ReplayError> {
        let candle = Candle::new(CandleParts {
            open_time: at,
            interval: series.interval,
            open: Price(open),
            high: Price(high),
            low: Price(low),
            close: Price(close),
            volume: Quantity::from_units(random.between(200, 20_000)),
            revises: false,
        });
        assert!(candle.is_consistent(), "a made-up candle is a candle");
        series.candles += 1;
        series.first = series.first.min(at);
        series.last = series.last.max(at);
        self.candles += 1;
        self.append(0, series.instrument.0, &candle)?;
        if self.candles.is_multiple_of(8_192) {
            self.writer.commit()?;
        }
        Ok(())
    }
}
