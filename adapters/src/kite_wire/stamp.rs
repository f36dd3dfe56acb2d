//! Times as the broker writes them: in Indian time, to the second, mostly without a zone.
//!
//! - Indian time is UTC+05:30 all year.
//! - What cannot be read is `None`, never a guess.

use chrono::{NaiveDate, NaiveDateTime, Timelike};
use daybook_vocabulary::{Date, Nanos};

/// Nanoseconds that Indian time is ahead of UTC.
pub const IST: i64 = (5 * 60 + 30) * 60 * SECOND;
const SECOND: i64 = 1_000_000_000;

/// `2025-06-10 09:15:00`, Indian time.
pub fn stamp(time: Nanos) -> String {
    civil(time).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2025-06-10T09:15:00+0530`, as candles are stamped.
pub fn candle_stamp(time: Nanos) -> String {
    civil(time).format("%Y-%m-%dT%H:%M:%S+0530").to_string()
}

/// `09:15:00`, Indian time.
pub fn clock(time: Nanos) -> String {
    civil(time).format("%H:%M:%S").to_string()
}

/// Reads `2025-06-10 09:15:00`, with `T` for the space or an offset of `+0530` or `+05:30` behind it, or a date alone
/// (its midnight).
pub fn parse_stamp(text: &str) -> Option<Nanos> {
    let text = text.trim();
    let text = text.strip_suffix("+0530").or_else(|| text.strip_suffix("+05:30")).unwrap_or(text);
    let civil = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    let nanos = civil.and_utc().timestamp().checked_mul(SECOND)?;
    Some(Nanos(nanos.checked_sub(IST)?))
}

/// Whole seconds since 1970, UTC, as binary packets carry them; 0 for times outside 32 bits.
pub fn epoch_seconds(time: Nanos) -> u32 {
    u32::try_from(time.0.div_euclid(SECOND)).unwrap_or(0)
}

/// The Indian date of an instant.
pub fn date_of(time: Nanos) -> Date {
    Date::of(time, IST)
}

/// An instant by Indian date and seconds since its midnight.
pub fn at(date: Date, seconds: i64) -> Nanos {
    date.midnight() + (seconds * SECOND - IST)
}

/// Seconds since Indian midnight.
pub fn seconds_of_day(time: Nanos) -> i64 {
    i64::from(civil(time).num_seconds_from_midnight())
}

fn civil(time: Nanos) -> NaiveDateTime {
    let local = time.0.saturating_add(IST);
    let seconds = local.div_euclid(SECOND);
    chrono::DateTime::from_timestamp(seconds, 0).map_or(NaiveDateTime::MIN, |utc| utc.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_indian_and_read_back() {
        let open: Nanos = "2025-06-10T09:15:00+05:30".parse().unwrap();
        assert_eq!(stamp(open), "2025-06-10 09:15:00");
        assert_eq!(candle_stamp(open), "2025-06-10T09:15:00+0530");
        assert_eq!(clock(open), "09:15:00");
        for text in [&stamp(open), &candle_stamp(open), "2025-06-10T09:15:00+05:30"] {
            assert_eq!(parse_stamp(text), Some(open), "{text}");
        }
        assert_eq!(parse_stamp("2025-06-10"), Some(at("2025-06-10".parse().unwrap(), 0)));
        assert_eq!(epoch_seconds("2026-11-05T09:15:00+05:30".parse().unwrap()), 1_793_850_300);
        assert_eq!(seconds_of_day(open), 33_300);
        for bad in ["", "10-06-2025", "2025-06-31", "2025-06-10 25:00:00", "२०२५-०६-१०"] {
            assert_eq!(parse_stamp(bad), None, "{bad:?}");
        }
    }
}
