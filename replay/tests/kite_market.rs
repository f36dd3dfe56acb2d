//! A journal as a market of the simulated broker, on a small made-up journal.
//!
//! - Bars rebuilt from the played ticks are the journal's candles; history of any interval agrees with them.
//! - Nothing of what happens later is told.

use daybook_adapters::kite_server::{HistoryBar, HistoryQuery, Market as _, Resting};
use daybook_adapters::kite_wire::stamp;
use daybook_config::Calendar;
use daybook_journal::{Options, Writer};
use daybook_replay::synthetic::{self, Market};
use daybook_replay::{History, KiteMarket};
use daybook_vocabulary::{Date, Interval, Nanos, Price, Side};

const MINUTE: i64 = 60_000_000_000;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn at(text: &str) -> Nanos {
    stamp::parse_stamp(text).unwrap()
}

struct World {
    _dir: tempfile::TempDir,
    market: KiteMarket,
}

fn world(interval: Interval) -> World {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let symbols = ["BBB", "RELIANCE", "AAA"].map(|symbol| (symbol.to_owned(), Price::from_units(500)));
    let market = Market {
        seed: 5,
        symbols: symbols.to_vec(),
        tick: Price(5_000_000),
        interval,
        from: date("2025-06-02"),
        to: date("2025-06-06"),
    };
    let mut writer = Writer::create(&path, Options::session()).unwrap();
    synthetic::write(&market, &Calendar::nse(), &mut writer).unwrap();
    writer.close().unwrap();
    let market = KiteMarket::open(vec![History::open(&path).unwrap()], Calendar::nse()).unwrap();
    World { _dir: dir, market }
}

impl World {
    fn place(&self, symbol: &str) -> usize {
        self.market.listed().iter().position(|of| of.symbol == symbol).unwrap()
    }

    fn bars(&self, symbol: &str, minutes: u32, from: &str, to: &str, now: &str) -> Vec<HistoryBar> {
        let query = HistoryQuery { listed: self.place(symbol), minutes, from: at(from), to: at(to), now: at(now) };
        self.market.history(query).unwrap()
    }

    /// Bars of what a day plays.
    fn played(&self, symbol: &str, day: &str, minutes: i64) -> Vec<HistoryBar> {
        let place = self.place(symbol);
        let mut tape = self.market.tape(date(day)).unwrap();
        let mut bars: Vec<HistoryBar> = Vec::new();
        let open = stamp::at(date(day), 9 * 3600 + 15 * 60);
        let mut last = Nanos::MIN;
        while let Some(tick) = tape.next() {
            assert!(tick.time >= last, "ticks come in order");
            last = tick.time;
            if tick.listed != place {
                continue;
            }
            let length = minutes * MINUTE;
            let time = open + (tick.time - open).div_euclid(length) * length;
            match bars.last_mut().filter(|bar| bar.time == time) {
                Some(bar) => {
                    (bar.high, bar.low) = (bar.high.max(tick.price), bar.low.min(tick.price));
                    bar.close = tick.price;
                    bar.volume += tick.volume;
                }
                None => {
                    let (open, high, low, close) = (tick.price, tick.price, tick.price, tick.price);
                    bars.push(HistoryBar { time, open, high, low, close, volume: tick.volume });
                }
            }
        }
        bars
    }
}

#[test]
fn history_of_every_interval_is_what_was_played() {
    let world = world(Interval::minutes(5));
    for (minutes, count) in [(1, 375), (3, 125), (5, 75), (10, 38), (15, 25), (30, 13), (60, 7)] {
        let told = world.bars("RELIANCE", minutes, "2025-06-04 09:15:00", "2025-06-04 15:30:00", "2025-06-06 18:00:00");
        assert_eq!(told.len(), count, "{minutes} minutes");
        let played = world.played("RELIANCE", "2025-06-04", i64::from(minutes));
        assert!(told == played, "{minutes} minutes: {:?} {:?}", told[0], played[0]);
        let index =
            world.bars("NIFTY 50", minutes, "2025-06-04 09:15:00", "2025-06-04 15:30:00", "2025-06-06 18:00:00");
        assert!(index == world.played("NIFTY 50", "2025-06-04", i64::from(minutes)), "the index, {minutes} minutes");
    }
    let days = world.bars("AAA", 0, "2025-06-01", "2025-06-30", "2025-06-06 18:00:00");
    assert_eq!(days.len(), 5);
    assert_eq!(days[0].time, at("2025-06-02"));
    let whole = world.bars("AAA", 5, "2025-06-02", "2025-06-03", "2025-06-06 18:00:00");
    assert_eq!(days[0].high, whole.iter().map(|bar| bar.high).max().unwrap());
    assert_eq!(days[0].volume, whole.iter().map(|bar| bar.volume).sum::<i64>());
}

#[test]
fn the_future_is_not_told() {
    let world = world(Interval::minutes(5));
    let now = "2025-06-04 10:02:30";
    for minutes in [1, 3, 5, 15, 60, 0] {
        let told = world.bars("RELIANCE", minutes, "2025-06-04 00:00:00", "2025-06-04 15:30:00", now);
        let mut tape = world.market.tape(date("2025-06-04")).unwrap();
        let place = world.place("RELIANCE");
        let mut last = None;
        while let Some(tick) = tape.next().filter(|tick| tick.time <= at(now)) {
            last = (tick.listed == place).then_some(tick.price).or(last);
        }
        assert_eq!(told.last().map(|bar| bar.close), last, "{minutes}: the bar that is forming ends now");
        assert!(told.iter().all(|bar| bar.time <= at(now)));
    }
    assert!(world.bars("RELIANCE", 5, "2025-06-05 09:15:00", "2025-06-05 15:30:00", now).is_empty());
}

#[test]
fn a_day_lists_its_steps_bands_and_closes() {
    let world = world(Interval::MINUTE);
    let before = world.played("RELIANCE", "2025-06-03", 375).pop().unwrap().close;
    let tape = world.market.tape(date("2025-06-04")).unwrap();
    let of = |symbol: &str| tape.listings().iter().find(|day| day.listed == world.place(symbol)).unwrap().clone();
    let reliance = of("RELIANCE");
    assert_eq!((reliance.close, reliance.base), (before, before));
    assert_eq!((reliance.band_percent, reliance.band_moves), (10, true), "it is in the NIFTY 50");
    assert_eq!((of("AAA").band_percent, of("AAA").band_moves), (20, false));
    assert_eq!(reliance.opening, Some(world.played("RELIANCE", "2025-06-04", 375)[0].open));
    assert!(reliance.tick == Price(5_000_000) || before >= Price::from_units(1000), "{before}");
    let tokens: Vec<u32> = world.market.listed().iter().map(|of| of.token).collect();
    assert!(tokens.contains(&738_561) && tokens.contains(&256_265), "{tokens:?}");
    assert!(tokens.iter().all(|token| matches!(token & 0xff, 1 | 9)));
    assert!(world.market.hours(date("2025-06-08")).unwrap().is_none(), "a Sunday");
    assert!(world.market.hours(date("2031-06-04")).is_err(), "a year that the calendar lacks");
    let auction = world.market.hours(date("2026-08-11")).unwrap().unwrap();
    assert_eq!(auction.close(true), at("2026-08-11 15:15:00"));
    assert_eq!(auction.close(false), at("2026-08-11 15:30:00"));
    assert!(
        world.market.trades_on(date("2025-06-04")).unwrap() && !world.market.trades_on(date("2025-06-20")).unwrap()
    );
}

/// The exchange is the engine's: a gap through a stop, a better price for a limit.
#[test]
fn orders_trade_where_the_engine_says() {
    let world = world(Interval::MINUTE);
    let price = |text: &str| -> Price { text.parse().unwrap() };
    let trades = |side, limit: Option<&str>, trigger: Option<&str>, market: &str| {
        let mut order = Resting { side, limit: limit.map(price), trigger: trigger.map(price) };
        (world.market.trades_at(&mut order, price(market)), order.trigger.is_none())
    };
    assert_eq!(trades(Side::Buy, None, None, "100"), (Some(price("100")), true));
    assert_eq!(trades(Side::Buy, Some("101"), None, "100"), (Some(price("100")), true));
    assert_eq!(trades(Side::Sell, Some("101"), None, "100"), (None, true));
    assert_eq!(trades(Side::Sell, None, Some("99"), "100"), (None, false));
    assert_eq!(trades(Side::Sell, None, Some("99"), "98"), (Some(price("98")), true));
    assert_eq!(trades(Side::Sell, Some("99"), Some("99"), "98"), (None, true), "triggered, and left behind");
}
