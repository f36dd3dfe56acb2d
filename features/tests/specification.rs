//! Feature specification v1: what each number is, where it starts, and that nothing but the bars decides its bytes.

mod market;

use daybook_features::spec::{FeatureStream, ScalerFit, WARMUP_BARS, Withheld};
use daybook_features::{Bar, FEATURE_NAMES, FEATURES, FeatureMarket, Features, Scaler, Timeframe, parse_indicators};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{Candle, Interval, Nanos, Price};
use market::Market;
use proptest::prelude::*;

/// Four months of sessions of 25 bars.
fn four_months(seed: u64) -> Market {
    Market::new(seed, "2025-01-01", 85, 25, Interval::minutes(5))
}

fn rows(bars: &[Bar<'_>]) -> Vec<Option<Features>> {
    let mut stream = FeatureStream::new();
    bars.iter().map(|bar| stream.push(bar)).collect()
}

fn bits(row: &Option<Features>) -> Option<[u32; FEATURES]> {
    row.map(|row| row.map(f32::to_bits))
}

fn first_of_month(bars: &[Bar<'_>], month: &str) -> usize {
    bars.iter().position(|bar| bar.session.date.to_string().starts_with(month)).expect("the month is there")
}

/// RL-11: each feature is the indicator of its name, computed from its own anchor.
#[test]
fn each_feature_is_the_indicator_of_its_name() {
    let market = four_months(11);
    let bars = market.bars();
    let rows = rows(&bars);
    let (january, february) = (0, first_of_month(&bars, "2025-02"));
    let march = first_of_month(&bars, "2025-03");
    let list = "log_return(1),log_return(3),log_return(5),log_return(10),volatility(10),volatility(20),atr(14),rsi(14),\
                kdj(14,3),median(20),session_clock";
    for (anchor, from, until) in [(january, february, march), (february, march, first_of_month(&bars, "2025-04"))] {
        let window = &bars[anchor..until];
        let columns: Vec<Vec<Option<f64>>> =
            parse_indicators(list).unwrap().into_iter().flat_map(|one| one.batch(window)).collect();
        for at in from - anchor..window.len() {
            let row = rows[anchor + at].expect("a month is enough to warm up");
            let value = |column: usize| columns[column][at].expect("warm");
            let close = window[at].close();
            let mut expected: Vec<f64> = (0..6).map(value).collect();
            expected.extend([value(6) / close, value(7), value(8), value(9), value(10)]);
            for price in [Bar::open, Bar::high, Bar::low, Bar::close] {
                let ratio = |bar: usize| price(&window[bar]) / columns[11][bar].expect("warm");
                expected.push(score(&(at + 1 - 60..=at).map(ratio).collect::<Vec<_>>()));
            }
            expected.extend([value(12), value(13), value(14)]);
            for (name, (found, expected)) in FEATURE_NAMES.iter().zip(row.iter().zip(&expected)) {
                let error = (f64::from(*found) - expected).abs();
                assert!(error <= 2e-7 * expected.abs().max(1e-4), "{name} at {at}: {found}, not {expected}");
            }
        }
    }
}

fn score(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / values.len() as f64;
    (values[values.len() - 1] - mean) / variance.sqrt()
}

/// The same bar has the same bytes wherever a run begins, if it begins by the anchor; one that begins later is silent.
#[test]
fn a_bar_has_the_same_bytes_wherever_a_run_begins() {
    let market = four_months(5);
    let bars = market.bars();
    let whole = rows(&bars);
    let (february, march) = (first_of_month(&bars, "2025-02"), first_of_month(&bars, "2025-03"));
    let april = first_of_month(&bars, "2025-04");
    for begin in [0, 1, february - 1, february] {
        let part = rows(&bars[begin..]);
        for at in march..april {
            assert!(whole[at].is_some());
            assert_eq!(bits(&whole[at]), bits(&part[at - begin]), "bar {at}, begun at bar {begin}");
        }
    }
    let late = rows(&bars[february + 1..]);
    assert!(late[..april - february - 1].iter().all(Option::is_none), "March rests on a February that is not whole");
    assert!(late[april - february - 1..].iter().all(Option::is_some));
    let warm = whole.iter().position(Option::is_some).unwrap();
    assert_eq!(warm, february, "January is the anchor's month; February speaks at once");
    assert!(february > WARMUP_BARS as usize);
}

/// Daily bars are anchored at the year; one session a day, known after the auction.
#[test]
fn daily_bars_are_anchored_at_the_year() {
    let market = Market::new(3, "2022-01-03", 800, 1, Interval::DAY);
    let bars = market.bars();
    let whole = rows(&bars);
    let year = |text: &str| bars.iter().position(|bar| bar.session.date.to_string().starts_with(text)).unwrap();
    assert_eq!(whole.iter().position(Option::is_some), Some(year("2023")));
    let part = rows(&bars[year("2023")..]);
    assert!(part[..year("2024") - year("2023")].iter().all(Option::is_none));
    for at in year("2024")..bars.len() {
        assert_eq!(bits(&whole[at]), bits(&part[at - year("2023")]), "bar {at}");
    }
}

/// A whole month without a bar leaves nothing to start at.
#[test]
fn a_month_without_bars_silences_the_next() {
    let market = four_months(6);
    let bars = market.bars();
    let (february, march) = (first_of_month(&bars, "2025-02"), first_of_month(&bars, "2025-03"));
    let april = first_of_month(&bars, "2025-04");
    let gap: Vec<Bar<'_>> = [&bars[..february], &bars[march..]].concat();
    let rows = rows(&gap);
    assert!(rows[february..february + april - march].iter().all(Option::is_none));
    assert!(rows[february + april - march..].iter().all(Option::is_some));
}

fn scaled(market: &Market, factor: i64) -> Market {
    let times = |price: Price| Price(price.0 * factor);
    let candle = |candle: &Candle| {
        let parts = candle.parts();
        let (open, high) = (times(parts.open), times(parts.high));
        Candle::new(CandleParts { open, high, low: times(parts.low), close: times(parts.close), ..parts })
    };
    Market { candles: market.candles.iter().map(|(session, one)| (*session, candle(one))).collect() }
}

/// TS-13, trap 21: the level of prices does not matter. By 8 every byte stays, by 10 all but Wilder's two, whose means
/// round differently in the sixteenth digit.
#[test]
fn prices_ten_times_as_high_have_the_same_features() {
    let market = four_months(7);
    let (eight, ten) = (scaled(&market, 8), scaled(&market, 10));
    let (plain, eight, ten) = (rows(&market.bars()), rows(&eight.bars()), rows(&ten.bars()));
    assert!(plain.iter().flatten().count() > 1_000);
    for at in 0..plain.len() {
        assert_eq!(bits(&plain[at]), bits(&eight[at]));
        let (Some(plain), Some(ten)) = (plain[at], ten[at]) else { continue };
        for (index, name) in FEATURE_NAMES.iter().enumerate() {
            let apart = plain[index].to_bits().abs_diff(ten[index].to_bits());
            let wilder = matches!(*name, "f_atr_14" | "f_rsi_14");
            assert!(apart <= u32::from(wilder), "{name}: {} and {}", plain[index], ten[index]);
        }
    }
}

/// Frozen bytes: the same on every machine, build and day.
#[test]
fn the_bytes_are_frozen() {
    let market = four_months(1);
    let mut hasher = blake3::Hasher::new();
    for row in rows(&market.bars()).iter().flatten() {
        row.iter().for_each(|value| {
            hasher.update(&value.to_le_bytes());
        });
    }
    assert_eq!(hasher.finalize().to_hex().as_str(), "a4c4408bd818f4763fd981efa8e0f017cbbb628a1b1936c25662772e486082ec");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Streaming, saved and taken up on the way, equals the batch, byte for byte; and later bars change nothing.
    #[test]
    fn a_stream_is_a_function_of_its_bars(seed in any::<u64>(), cut in 1usize..2_000) {
        let market = four_months(seed);
        let bars = market.bars();
        let whole = rows(&bars);
        let mut stream = FeatureStream::new();
        for (at, bar) in bars.iter().enumerate() {
            if at == cut {
                stream = postcard::from_bytes(&postcard::to_allocvec(&stream).unwrap()).unwrap();
            }
            prop_assert_eq!(bits(&stream.push(bar)), bits(&whole[at]), "bar {}, seed {}", at, seed);
        }
        prop_assert_eq!(rows(&bars[..cut]).len(), cut);
        for (prefix, whole) in rows(&bars[..cut]).iter().zip(&whole) {
            prop_assert_eq!(bits(prefix), bits(whole));
        }
    }
}

/// Two instruments and two timeframes, fed as a session would be.
struct Fed {
    decisions: FeatureMarket,
    training: FeatureMarket,
}

const TIMEFRAMES: [Timeframe; 2] = [
    Timeframe { interval: Interval::minutes(5), lookback: 12 },
    Timeframe { interval: Interval::minutes(15), lookback: 4 },
];

/// The slower timeframe of the same market: every third bar, at the time of the third.
fn slower(market: &Market) -> Market {
    let merge = |three: &[(daybook_features::Session, Candle)]| {
        let (session, first) = three[0];
        let parts = three.iter().map(|(_, candle)| candle.parts());
        let high = parts.clone().map(|parts| parts.high).max().unwrap();
        let low = parts.clone().map(|parts| parts.low).min().unwrap();
        let interval = Interval::minutes(15);
        (session, Candle::new(CandleParts { interval, high, low, close: three[2].1.close(), ..first.parts() }))
    };
    Market { candles: market.candles.chunks(3).filter(|three| three.len() == 3).map(merge).collect() }
}

/// Feeds both and calls `at` at every slice of the faster timeframe.
fn feed(mut at: impl FnMut(&Fed, Nanos)) -> Fed {
    let markets = [1, 2].map(|seed| Market::new(seed, "2025-01-01", 60, 24, Interval::minutes(5)));
    let slow = markets.each_ref().map(slower);
    let mut fed = Fed {
        decisions: FeatureMarket::for_decisions(2, &TIMEFRAMES),
        training: FeatureMarket::for_training(2, &TIMEFRAMES),
    };
    for bar in 0..markets[0].candles.len() {
        for (symbol, market) in markets.iter().enumerate() {
            let (session, candle) = &market.candles[bar];
            let bar = Bar { candle, session };
            let learn = |market: &mut FeatureMarket| market.observe(symbol, &bar, bar.known());
            assert!(learn(&mut fed.decisions) && learn(&mut fed.training));
        }
        if bar % 3 == 2 {
            for (symbol, slow) in slow.iter().enumerate() {
                let (session, candle) = &slow.candles[bar / 3];
                let bar = Bar { candle, session };
                fed.decisions.observe(symbol, &bar, bar.known());
                fed.training.observe(symbol, &bar, bar.known());
            }
        }
        let (session, candle) = &markets[0].candles[bar];
        at(&fed, Bar { candle, session }.known());
    }
    fed
}

/// A decision sees the same bytes whether it is made as bars arrive or looked up in the whole matrix afterwards.
#[test]
fn a_decision_sees_the_same_bytes_live_and_in_training() {
    let mut seen = Vec::new();
    let fed = feed(|fed, at| {
        let moment = fed.decisions.moment(at).unwrap();
        if fed.decisions.ready(&moment).is_ok() {
            let windows = [(0, 0), (0, 1), (1, 0), (1, 1)]
                .map(|(symbol, timeframe)| fed.decisions.window(symbol, timeframe, &moment).unwrap().to_vec());
            seen.push((moment, windows));
        }
    });
    assert!(seen.len() > 500, "{} decisions", seen.len());
    for (moment, windows) in &seen {
        for (index, window) in windows.iter().enumerate() {
            let found = fed.training.window(index / 2, index % 2, moment).expect("it was there");
            assert_eq!(found.len(), TIMEFRAMES[index % 2].lookback * FEATURES);
            assert!(found.iter().zip(window).all(|(one, other)| one.to_bits() == other.to_bits()), "{moment:?}");
        }
    }
    assert!(fed.decisions.bytes() < fed.training.bytes() / 10, "what decides keeps what it looks back at");
}

/// TS-10, trap 20: at 09:25 the 15-minute bar of 09:15 to 09:30 is not known, whatever the matrix holds by now.
#[test]
fn a_slower_bar_is_seen_only_after_it_closed() {
    let fed = feed(|_, _| {});
    let keys = fed.training.rows(0, 1).keys();
    let last = keys[keys.len() - 1];
    let mut moment = fed.training.moment(last.known).unwrap();
    assert_eq!(fed.training.rows(0, 1).find(&moment, 4), Ok(keys.len() - 1));
    moment.at = Nanos(last.known.0 - 1);
    assert_eq!(fed.training.rows(0, 1).find(&moment, 4), Ok(keys.len() - 2));
    assert!(matches!(
        FeatureMarket::for_training(1, &TIMEFRAMES).rows(0, 0).find(&moment, 4),
        Err(Withheld::TooShort { have: 0, need: 4, .. })
    ));
}

/// Mean 0 and deviation 1 on the training range; nothing of the hold-out enters; text keeps every bit.
#[test]
fn a_scaler_is_fitted_on_its_range_alone() {
    let fed = feed(|_, _| {});
    let keys = fed.training.rows(0, 0).keys();
    let range = ScalerFit { from: keys[0].known, until: keys[keys.len() / 2].known };
    let scaler = Scaler::fit(&fed.training, range).unwrap();
    let intervals = TIMEFRAMES.map(|timeframe| timeframe.interval);
    assert_eq!(scaler.check(&intervals), Ok(()));

    let mut values = Vec::new();
    for symbol in 0..2 {
        let rows = fed.training.rows(symbol, 0);
        let until = rows.keys().partition_point(|key| key.known < range.until);
        values.extend_from_slice(&rows.values()[..until * FEATURES]);
    }
    scaler.apply(0, &mut values);
    let count = (values.len() / FEATURES) as f64;
    assert_eq!(scaler.timeframes[0].rows, count as u64);
    for (feature, name) in FEATURE_NAMES.iter().enumerate() {
        let column = || values.iter().skip(feature).step_by(FEATURES).map(|value| f64::from(*value));
        let mean = column().sum::<f64>() / count;
        let deviation = (column().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt();
        assert!(mean.abs() < 1e-3 && (deviation - 1.0).abs() < 1e-3, "{name}: {mean}, {deviation}");
    }

    let text = serde_json::to_string(&scaler).unwrap();
    assert_eq!(serde_json::from_str::<Scaler>(&text).unwrap(), scaler);
    let all = ScalerFit { from: Nanos::MIN, until: Nanos::MAX };
    assert_ne!(Scaler::fit(&fed.training, all).unwrap().timeframes[0].mean, scaler.timeframes[0].mean);
    let none = Scaler::fit(&fed.training, ScalerFit { from: Nanos::MIN, until: Nanos(0) }).unwrap_err().to_string();
    assert!(none.contains("ingest earlier candles"), "{none}");
    assert!(scaler.check(&[Interval::DAY]).unwrap_err().to_string().contains("the model asks for 1d; train again"));
    let older = Scaler { version: 0, ..scaler };
    assert!(older.check(&intervals).unwrap_err().to_string().contains("feature specification 0 ("));
}
