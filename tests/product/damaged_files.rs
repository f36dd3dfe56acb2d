//! Files from outside with any damage: the binary reads them or refuses them in one line, and never crashes.
//!
//! - Parquet, Arrow and CSV, each with flipped bits and cut at many lengths, from a seed that every failure names.
//! - Whatever was read, the journal it went into is sound.

use crate::desk::Desk;
use daybook_features::columns::{CandleRow, CandleTable, Format};
use daybook_replay::synthetic::SplitMix64;
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{Candle, Interval, Price, Quantity};
use std::fs;
use std::path::Path;

const TRIALS: u64 = 24;

/// A day of made-up five-minute candles.
fn candles() -> Vec<Candle> {
    let open = "2024-01-01T03:45:00Z".parse::<daybook_vocabulary::Nanos>().unwrap();
    (0..75)
        .map(|index| {
            let price = Price::from_units(100 + index % 7);
            Candle::new(CandleParts {
                open_time: open + index * Interval::minutes(5).nanos(),
                interval: Interval::minutes(5),
                open: price,
                high: price + Price::from_units(2),
                low: price - Price::from_units(2),
                close: price + Price::from_units(1),
                volume: Quantity::from_units(1_000 + index),
                revises: false,
            })
        })
        .collect()
}

fn columns(path: &Path, format: Format) {
    let mut table = CandleTable::create(path, format).unwrap();
    for (seq, candle) in candles().iter().enumerate() {
        let row = CandleRow {
            time: candle.open_time() + candle.interval().nanos(),
            market: "nse",
            symbol: "ALFA",
            candle,
            seq: seq as u64,
        };
        table.append(&row).unwrap();
    }
    table.finish().unwrap();
}

fn csv(path: &Path) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    for candle in candles() {
        let (time, volume) = (candle.open_time(), candle.volume());
        let prices = [candle.open(), candle.high(), candle.low(), candle.close()].map(|price| price.to_string());
        text.push_str(&format!("{time},{},{volume}\n", prices.join(",")));
    }
    fs::write(path, text).unwrap();
}

/// Its exit code and what it says.
fn daybook(desk: &Desk, arguments: &[&str]) -> (Option<i32>, String) {
    let output = desk.daybook(arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn any_damage_is_read_or_refused_and_never_crashes() {
    let desk = Desk::new();
    let at = |name: &str| desk.path(name);
    columns(&at("ALFA_5m.parquet"), Format::Parquet);
    columns(&at("ALFA_5m.arrow"), Format::Arrow);
    csv(&at("ALFA_5m.csv"));
    for name in ["ALFA_5m.parquet", "ALFA_5m.arrow", "ALFA_5m.csv"] {
        let sound = fs::read(at(name)).unwrap();
        let (code, stderr) = daybook(&desk, &["ingest", name, "--market", "nse", "--journal", "sound"]);
        assert_eq!(code, Some(0), "{name} undamaged: {stderr}");
        fs::remove_dir_all(at("sound")).unwrap();
        let (mut read, mut refused) = (0, 0);
        for seed in 0..TRIALS {
            let mut random = SplitMix64::new(seed);
            let mut damaged = sound.clone();
            match seed % 3 {
                0 => damaged.truncate(random.between(0, sound.len() as i64 - 1) as usize),
                kind => {
                    for _ in 0..[0, 1, 40][kind as usize] {
                        let byte = random.between(0, sound.len() as i64 - 1) as usize;
                        damaged[byte] ^= 1 << random.between(0, 7);
                    }
                }
            }
            fs::write(at(name), &damaged).unwrap();
            let (code, stderr) = daybook(&desk, &["ingest", name, "--market", "nse", "--journal", "j"]);
            assert!(!stderr.contains("panicked"), "{name} seed={seed}: {stderr}");
            match code {
                Some(0) => {
                    read += 1;
                    let (code, stderr) = daybook(&desk, &["verify", "j"]);
                    assert_eq!(code, Some(0), "{name} seed={seed}: {stderr}");
                }
                Some(1) => {
                    refused += 1;
                    assert_eq!(stderr.trim().lines().count(), 1, "{name} seed={seed}: one line, not {stderr}");
                    assert!(stderr.contains(name), "{name} seed={seed}: it names the file: {stderr}");
                }
                other => panic!("{name} seed={seed}: exit {other:?}: {stderr}"),
            }
            let _ = fs::remove_dir_all(at("j"));
        }
        assert!(refused > 0, "{name}: damage that is never refused was no damage ({read} read)");
        fs::write(at(name), &sound).unwrap();
    }
}
