//! Time: instants in nanoseconds UTC and bar intervals.
//!
//! - An instant is an `i64` count of nanoseconds since 1970-01-01 UTC; no zone lives here.
//! - Nothing here reads a clock.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};
use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Nanoseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Nanoseconds in a day.
pub const DAY: i64 = 24 * HOUR;

/// An instant: nanoseconds since the Unix epoch, UTC. Printed as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
pub struct Nanos(pub i64);

impl Nanos {
    /// Before every instant.
    pub const MIN: Self = Self(i64::MIN);
    /// After every instant.
    pub const MAX: Self = Self(i64::MAX);

    /// The raw count.
    pub const fn raw(self) -> i64 {
        self.0
    }
}

impl Add<i64> for Nanos {
    type Output = Self;
    /// An instant `nanoseconds` later; stays at the end of time rather than wrapping round.
    fn add(self, nanoseconds: i64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }
}

impl Sub for Nanos {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&DateTime::from_timestamp_nanos(self.0).to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// Why a text is not an instant or an interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339, or outside the years 1677 to 2262.
    #[error("'{0}' is not an RFC 3339 time such as 2025-01-31T09:15:00+05:30 between the years 1678 and 2262")]
    Instant(String),
    /// Not a date.
    #[error("'{0}' is not a date such as 2025-01-31")]
    Date(String),
    /// Not an interval.
    #[error("'{0}' is not an interval: write a number and s, m, h or d, such as 1m, 5m, 1h, 1d")]
    Interval(String),
}

impl FromStr for Nanos {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|time| time.timestamp_nanos_opt())
            .map(Self)
            .ok_or_else(|| TimeError::Instant(text.to_owned()))
    }
}

/// The length of a bar in whole seconds. One day is a session, whatever its hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
pub struct Interval(pub u32);

impl Interval {
    /// One minute.
    pub const MINUTE: Self = Self(60);
    /// One session.
    pub const DAY: Self = Self(86_400);

    /// Whole minutes.
    pub const fn minutes(minutes: u32) -> Self {
        Self(minutes * 60)
    }

    /// Its length in nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0 as i64 * SECOND
    }

    /// True when bars of this interval are labelled by session rather than by clock.
    pub const fn is_daily(self) -> bool {
        self.0 >= Self::DAY.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(out, "0s"),
            seconds if seconds % 86_400 == 0 => write!(out, "{}d", seconds / 86_400),
            seconds if seconds % 3_600 == 0 => write!(out, "{}h", seconds / 3_600),
            seconds if seconds % 60 == 0 => write!(out, "{}m", seconds / 60),
            seconds => write!(out, "{seconds}s"),
        }
    }
}

impl FromStr for Interval {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError::Interval(text.to_owned());
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let count: u32 = digits.parse().map_err(|_| bad())?;
        let seconds = match &text[digits.len()..] {
            "s" | "sec" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3_600,
            "d" | "day" => 86_400,
            _ => return Err(bad()),
        };
        count.checked_mul(seconds).filter(|&seconds| seconds > 0).map(Self).ok_or_else(bad)
    }
}

/// A civil date: days since 1970-01-01. In the exchange's zone when it names a session. Printed as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
pub struct Date(pub i32);

impl Date {
    /// Midnight UTC of this date; the end of time for a date beyond it.
    pub const fn midnight(self) -> Nanos {
        Nanos((self.0 as i64).saturating_mul(DAY))
    }

    /// The date of an instant, `offset` nanoseconds east of UTC.
    pub const fn of(time: Nanos, offset: i64) -> Self {
        Self(time.0.saturating_add(offset).div_euclid(DAY) as i32)
    }

    /// The calendar date.
    pub fn civil(self) -> NaiveDate {
        EPOCH + chrono::Days::new(self.0.clamp(0, 100_000) as u64)
            - chrono::Days::new(self.0.clamp(-100_000, 0).unsigned_abs().into())
    }

    /// Its month as a number that grows by one from month to month.
    pub fn month_number(self) -> i32 {
        let civil = self.civil();
        civil.year() * 12 + civil.month() as i32
    }

    /// From a calendar date.
    pub fn from_civil(date: NaiveDate) -> Self {
        Self(date.signed_duration_since(EPOCH).num_days() as i32)
    }

    /// The next date.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();

impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.civil().format("%Y-%m-%d"))
    }
}

impl FromStr for Date {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .filter(|date| (1700..2262).contains(&date.year()))
            .map(Self::from_civil)
            .ok_or_else(|| TimeError::Date(text.to_owned()))
    }
}

macro_rules! text_or_raw {
    ($name:ident, $raw:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serde::Serialize::serialize(&self.0, serializer)
                }
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <$raw as serde::Deserialize>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}
text_or_raw!(Nanos, i64);
text_or_raw!(Interval, u32);
text_or_raw!(Date, i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_and_parse() {
        let open: Nanos = "2025-01-31T09:15:00+05:30".parse().unwrap();
        assert_eq!(open.to_string(), "2025-01-31T03:45:00Z");
        assert_eq!(open.to_string().parse::<Nanos>(), Ok(open));
        assert!("31/01/2025".parse::<Nanos>().is_err());
        assert!("9999-01-01T00:00:00Z".parse::<Nanos>().is_err());
        assert_eq!(Nanos::MAX + 1, Nanos::MAX);
    }

    #[test]
    fn dates_print_and_parse() {
        for text in ["1970-01-01", "1969-12-31", "2025-02-28", "1962-01-02"] {
            assert_eq!(text.parse::<Date>().unwrap().to_string(), text);
        }
        assert_eq!(Date::of(Nanos(-1), 0), Date(-1));
        assert_eq!(Date::of("2025-01-31T20:00:00Z".parse().unwrap(), 5 * HOUR + 30 * MINUTE).to_string(), "2025-02-01");
        assert!("2025-02-30".parse::<Date>().is_err());
        // A damaged header may hold any date.
        assert_eq!((Date(i32::MAX).midnight(), Date(i32::MIN).midnight()), (Nanos::MAX, Nanos::MIN));
        assert_eq!(Date(i32::MAX).next(), Date(i32::MAX));
    }

    #[test]
    fn intervals_print_and_parse() {
        for (text, seconds) in [("1m", 60), ("5m", 300), ("1h", 3600), ("1d", 86_400), ("90s", 90)] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!(interval, Interval(seconds));
            assert_eq!(interval.to_string(), text);
        }
        for bad in ["", "m", "5", "0m", "5x", "99999999d", "५m"] {
            assert!(bad.parse::<Interval>().is_err(), "{bad:?}");
        }
    }
}
