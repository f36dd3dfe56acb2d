//! The broker's own candles of a day, beside the bars that were built from its quotes.
//!
//! - Quotes are snapshots: a high or a low between two of them is not seen, so a bar may differ from the official candle.
//!   How often, and where, is for people to know; what was decided was decided on the bars.
//! - A bar that was under way when the feed was away is there and differs; that is told like any other difference.
//! - Must never: change the journal.

use crate::catalog::decode;
use crate::error::ReplayError;
use daybook_adapters::kite::history::BrokerCandle;
use daybook_journal::Journal;
use daybook_vocabulary::{Event, InstrumentId, Nanos};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Differences that are named.
const NAMED_MAX: usize = 20;

/// A bar that is not as the broker has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlike {
    /// The symbol.
    pub symbol: String,
    /// When it opened.
    pub open_time: Nanos,
    /// Open, high, low, close and volume as they were built; none where no bar was.
    pub built: Option<[String; 5]>,
    /// The same, of the broker's; none where it has no candle.
    pub official: Option<[String; 5]>,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OfficialReport {
    /// Bars that both have.
    pub compared: u64,
    /// Those with the same four prices.
    pub same_prices: u64,
    /// Those with the same volume as well.
    pub equal: u64,
    /// Bars that only one of them has.
    pub missing: u64,
    /// The first that are not equal.
    pub differences: Vec<Unlike>,
}

type Values = [String; 5];

/// Compares a session's bars with the broker's candles, by symbol in the order of their ids.
pub fn compare_with_official(
    journal: &Path,
    official: &[(String, Vec<BrokerCandle>)],
) -> Result<OfficialReport, ReplayError> {
    let built = bars_of(journal)?;
    let mut report = OfficialReport::default();
    for (id, (symbol, candles)) in official.iter().enumerate() {
        let nothing = BTreeMap::new();
        let ours = built.get(&InstrumentId(id as u32)).unwrap_or(&nothing);
        let theirs: BTreeMap<Nanos, Values> =
            candles.iter().map(|candle| (candle.open_time, values_of(candle))).collect();
        let times: std::collections::BTreeSet<Nanos> = ours.keys().chain(theirs.keys()).copied().collect();
        for open_time in times {
            let (one, other) = (ours.get(&open_time), theirs.get(&open_time));
            if let (Some(one), Some(other)) = (one, other) {
                report.compared += 1;
                report.same_prices += u64::from(one[..4] == other[..4]);
                report.equal += u64::from(one == other);
            } else {
                report.missing += 1;
            }
            if one != other && report.differences.len() < NAMED_MAX {
                let (built, official) = (one.cloned(), other.cloned());
                report.differences.push(Unlike { symbol: symbol.clone(), open_time, built, official });
            }
        }
    }
    Ok(report)
}

fn bars_of(path: &Path) -> Result<BTreeMap<InstrumentId, BTreeMap<Nanos, Values>>, ReplayError> {
    let journal = Journal::open(path)?;
    let mut cursor = journal.cursor(0);
    let mut bars: BTreeMap<InstrumentId, BTreeMap<Nanos, Values>> = BTreeMap::new();
    while let Some(frame) = cursor.next()? {
        let id = InstrumentId(frame.stream);
        if let Event::Bar(bar) = decode(path, frame)? {
            let candle = bar.candle();
            let prices = [candle.open(), candle.high(), candle.low(), candle.close()].map(|price| price.to_string());
            let [open, high, low, close] = prices;
            let values = [open, high, low, close, candle.volume().to_string()];
            bars.entry(id).or_default().insert(candle.open_time(), values);
        }
    }
    Ok(bars)
}

fn values_of(candle: &BrokerCandle) -> Values {
    let [open, high, low, close] = [candle.open, candle.high, candle.low, candle.close].map(|price| price.to_string());
    [open, high, low, close, candle.volume.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_journal::{Draft, Options, Writer};
    use daybook_vocabulary::candle::CandleParts;
    use daybook_vocabulary::{Bar, Candle, Cause, Interval, Payload, PayloadBuffer, Price, Quantity};

    fn candle(minute: i64, high: i64, volume: i64) -> BrokerCandle {
        let price = Price::from_units;
        BrokerCandle {
            open_time: Nanos(minute * 60_000_000_000),
            open: price(10),
            high: price(high),
            low: price(9),
            close: price(11),
            volume: Quantity::from_units(volume),
        }
    }

    fn bar(of: BrokerCandle) -> Bar {
        let BrokerCandle { open_time, open, high, low, close, volume } = of;
        let parts =
            CandleParts { open_time, interval: Interval::MINUTE, open, high, low, close, volume, revises: false };
        Bar::new(Cause { rank: 0, seq: 0 }, Candle::new(parts))
    }

    #[test]
    fn what_differs_is_counted_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let options = Options { segment_bytes: 64 * 1024, sync_segments: false, ..Options::default() };
        let mut writer = Writer::create(&path, options).unwrap();
        for built in [candle(1, 12, 5), candle(2, 12, 5), candle(3, 12, 5), candle(4, 12, 5)] {
            let mut payload = PayloadBuffer::new();
            bar(built).encode(&mut payload);
            let draft = Draft { kind: Bar::KIND.number(), schema: Bar::SCHEMA, ..Draft::default() };
            writer.append(draft, &payload).unwrap();
        }
        writer.close().unwrap();
        let official = vec![candle(1, 12, 5), candle(2, 13, 5), candle(3, 12, 6), candle(5, 12, 5)];
        let report = compare_with_official(&path, &[("X".to_owned(), official)]).unwrap();
        let OfficialReport { compared, same_prices, equal, missing, ref differences } = report;
        assert_eq!((compared, same_prices, equal, missing), (3, 2, 1, 2));
        let minutes: Vec<i64> = differences.iter().map(|one| one.open_time.0 / 60_000_000_000).collect();
        assert_eq!(minutes, [2, 3, 4, 5]);
        assert_eq!(differences[0].official.as_ref().unwrap()[1], "13");
        assert!(differences[2].official.is_none() && differences[3].built.is_none());
    }
}
