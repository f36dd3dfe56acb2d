//! Candles of the broker's: what a page may ask for, and what it answers.
//!
//! - A page spans at most what the broker allows for its interval; longer ranges are cut into pages that touch.
//! - A candle that cannot be read is a bad row with its reason; whether its numbers make sense is for the ingest to say.
//! - Prices are read from their digits.

use super::values::{BadRow, Units, ZONE, local_time, shortened};
use daybook_vocabulary::time::{HOUR, MINUTE};
use daybook_vocabulary::{Date, Interval, Nanos, Price, Quantity};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the broker calls an interval, and the days that one page may span.
const INTERVALS: [(u32, &str, i32); 8] = [
    (60, "minute", 60),
    (180, "3minute", 100),
    (300, "5minute", 100),
    (600, "10minute", 100),
    (900, "15minute", 200),
    (1_800, "30minute", 200),
    (3_600, "60minute", 400),
    (86_400, "day", 2_000),
];

/// The broker's word for an interval; none where it has no such candles.
pub fn interval_word(interval: Interval) -> Option<&'static str> {
    INTERVALS.iter().find(|(seconds, ..)| *seconds == interval.0).map(|(_, word, _)| *word)
}

/// Days that a page of an interval may span.
pub fn page_days(interval: Interval) -> Option<i32> {
    INTERVALS.iter().find(|(seconds, ..)| *seconds == interval.0).map(|(.., days)| *days)
}

/// Cuts a range of dates, both inclusive, into pages.
pub fn pages(interval: Interval, from: Date, to: Date) -> Vec<(Date, Date)> {
    let days = page_days(interval).unwrap_or(1);
    let mut out = Vec::new();
    let mut begin = from;
    while begin <= to {
        // The broker counts from the first moment to the last: `days` dates span less than `days` days.
        let end = Date(begin.0.saturating_add(days - 1)).min(to);
        out.push((begin, end));
        begin = end.next();
    }
    out
}

/// A candle as the broker gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerCandle {
    /// When it opened.
    pub open_time: Nanos,
    /// First price.
    pub open: Price,
    /// Highest.
    pub high: Price,
    /// Lowest.
    pub low: Price,
    /// Last.
    pub close: Price,
    /// Quantity traded.
    pub volume: Quantity,
}

/// A page of history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Candles, in the broker's order.
    pub candles: Vec<BrokerCandle>,
    /// Rows that could not be read.
    pub bad: Vec<BadRow>,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    candles: Vec<&'a RawValue>,
}

/// Reads the data of an answer.
pub(crate) fn read_page(data: &str) -> Result<Page, serde_json::Error> {
    let raw: Raw<'_> = serde_json::from_str(data)?;
    let mut page = Page::default();
    for (row, text) in (1..).zip(raw.candles) {
        match candle(text.get()) {
            Ok(candle) => page.candles.push(candle),
            Err(reason) => {
                page.bad.push(BadRow { row, reason: reason.to_owned(), text: shortened(text.get(), 400) });
            }
        }
    }
    Ok(page)
}

fn candle(text: &str) -> Result<BrokerCandle, &'static str> {
    let cells: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| "a candle is a list")?;
    let [time, open, high, low, close, volume, ..] = cells.as_slice() else {
        return Err("a candle has a time, four prices and a volume");
    };
    let time: String = serde_json::from_str(time.get()).map_err(|_| "its time is a text")?;
    let open_time = zoned_time(&time).ok_or("its time cannot be read")?;
    let number = |cell: &RawValue| match cell.get() {
        "null" => Err("a number is missing"),
        digits => Units::of(digits).map(|units| units.0).ok_or("not a number that fits"),
    };
    Ok(BrokerCandle {
        open_time,
        open: Price(number(open)?),
        high: Price(number(high)?),
        low: Price(number(low)?),
        close: Price(number(close)?),
        volume: Quantity(number(volume)?),
    })
}

/// `2017-12-15T09:15:00+0530`, with or without the colon.
fn zoned_time(text: &str) -> Option<Nanos> {
    let (local, zone) = text.split_at_checked(19)?;
    let east = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        b'Z' if zone.len() == 1 => return local_time(local).map(|time| time + ZONE),
        _ => return None,
    };
    let digits: String = zone[1..].chars().filter(|letter| *letter != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    let offset = east * (hours * HOUR + minutes * MINUTE);
    // `local_time` reads India's; what the text says is its own zone.
    local_time(local).map(|time| time + (ZONE - offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn a_page_is_read_row_by_row() {
        let data = r#"{"candles":[["2017-12-15T09:15:00+0530",1704.5,1705,1699.25,1702.8,2499],
            ["2017-12-15T09:20:00+05:30",1,2,0.5,1.5,0,77],["2017-12-15T09:25:00+0530",null,1,1,1,1],[1,2],{},
            ["2017-12-15 09:25",1,1,1,1,1]]}"#;
        let page = read_page(data).unwrap();
        assert_eq!(page.candles.len(), 2);
        let first = page.candles[0];
        assert_eq!(first.open_time.to_string(), "2017-12-15T03:45:00Z");
        assert_eq!((first.open.to_string(), first.low.to_string()), ("1704.5".to_owned(), "1699.25".to_owned()));
        assert_eq!(first.volume, Quantity::from_units(2499));
        assert_eq!(page.bad.iter().map(|bad| bad.row).collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(page.bad[0].reason, "a number is missing");
        assert!(read_page("[]").is_err() && read_page(r#"{"candles":{}}"#).is_err());
    }

    #[test]
    fn zones() {
        for (text, utc) in [
            ("2026-11-20T09:15:00+0530", Some("2026-11-20T03:45:00Z")),
            ("2026-11-20T03:45:00Z", Some("2026-11-20T03:45:00Z")),
            ("2026-11-20T01:45:00-02:00", Some("2026-11-20T03:45:00Z")),
            ("2026-11-20T09:15:00", None),
            ("2026-11-20T09:15:00+05", None),
            ("", None),
        ] {
            assert_eq!(zoned_time(text).map(|time| time.to_string()).as_deref(), utc, "{text}");
        }
    }

    #[test]
    fn pages_touch_and_obey_the_limits() {
        let of = |interval: &str, from: &str, to: &str| pages(interval.parse().unwrap(), date(from), date(to));
        assert_eq!(of("5m", "2025-01-01", "2025-01-01").len(), 1);
        let year = of("5m", "2025-01-01", "2025-12-31");
        assert_eq!(year.len(), 4);
        assert!(year.windows(2).all(|pair| pair[0].1.next() == pair[1].0));
        assert!(year.iter().all(|(from, to)| to.0 - from.0 < 100));
        assert_eq!(year[3].1, date("2025-12-31"));
        assert!(of("5m", "2025-01-02", "2025-01-01").is_empty());
        assert_eq!(interval_word("7m".parse().unwrap()), None);
        assert_eq!(interval_word("1h".parse().unwrap()), Some("60minute"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,60}") {
            let _ = (zoned_time(&text), candle(&text).is_ok(), read_page(&text).is_ok());
        }
    }
}
