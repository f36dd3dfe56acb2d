//! Times as vendors write them: text, epochs, dates; and the zone of the naive ones.
//!
//! - A [`Stamp`] keeps the wall clock of the source beside its offset: "midnight" is a matter of the wall clock.
//! - Day and month are never guessed: the order is given by the caller, decided over the whole column.
//! - Nothing here panics on any input; only the years 1900 to 2200 are times.

use chrono::{NaiveDate, Offset, TimeZone};
use daybook_vocabulary::time::{DAY, HOUR, MINUTE, SECOND};
use std::str::FromStr;

/// Whether `03/04/2024` is a day of April or of March.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateOrder {
    /// Day first.
    #[default]
    DayFirst,
    /// Month first.
    MonthFirst,
}

impl FromStr for DateOrder {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dmy" => Ok(Self::DayFirst),
            "mdy" => Ok(Self::MonthFirst),
            _ => Err(format!("'{text}' is not an order of dates; write dmy or mdy")),
        }
    }
}

/// A time as the source wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Nanoseconds since 1970 on the source's wall clock.
    pub wall: i64,
    /// Seconds east of UTC, where the source says so.
    pub offset: Option<i32>,
}

impl Stamp {
    const fn naive(wall: i64) -> Self {
        Self { wall, offset: None }
    }
}

const FIRST: i64 = -25_567 * DAY; // 1900-01-01
const LAST: i64 = 84_006 * DAY; // 2200-01-01

/// The stamp, if it lies in the years that are times at all.
pub(crate) fn sane(stamp: Stamp) -> Option<Stamp> {
    (FIRST <= stamp.wall && stamp.wall < LAST).then_some(stamp)
}

/// Reads a date or a date with a time.
pub(crate) fn from_text(text: &[u8], order: DateOrder) -> Option<Stamp> {
    let text = text.trim_ascii();
    if text.len() < 8 || text.len() > 48 {
        return None;
    }
    if text.iter().all(u8::is_ascii_digit) {
        return from_digits(text);
    }
    if let Some(stamp) = epoch_with_fraction(text) {
        return sane(stamp);
    }
    let (days, rest) = date(text, order)?;
    let midnight = i64::from(days) * DAY;
    let rest = match rest.first() {
        None => return sane(Stamp::naive(midnight)),
        Some(b' ' | b'T' | b't' | b',') => rest[1..].trim_ascii_start(),
        Some(_) => return None,
    };
    let (clock, rest) = clock(rest)?;
    let rest = rest.trim_ascii_start();
    let offset = if rest.is_empty() { None } else { Some(offset(rest)?) };
    sane(Stamp { wall: midnight + clock, offset })
}

/// Reads a date cell and a clock cell.
pub(crate) fn from_two(date_text: &[u8], clock_text: &[u8], order: DateOrder) -> Option<Stamp> {
    let day = from_text(date_text, order)?;
    let clock_text = clock_text.trim_ascii();
    let digits = clock_text.iter().all(u8::is_ascii_digit);
    let (since_midnight, rest) = match clock_text.len() {
        3..=4 if digits => (compact_clock(clock_text, 2)?, &clock_text[..0]),
        5..=6 if digits => (compact_clock(clock_text, 4)?, &clock_text[..0]),
        _ => clock(clock_text)?,
    };
    let rest = rest.trim_ascii_start();
    let zone = if rest.is_empty() { day.offset } else { Some(offset(rest)?) };
    (day.wall % DAY == 0).then_some(())?;
    sane(Stamp { wall: day.wall + since_midnight, offset: zone })
}

/// `915`, `0915` (two digits after the hour) or `91500`, `091500` (four).
fn compact_clock(digits: &[u8], after_hour: usize) -> Option<i64> {
    let (hour, rest) = digits.split_at(digits.len() - after_hour);
    let seconds = if after_hour == 4 { number(&rest[2..])? } else { 0 };
    time_of_day(number(hour)?, number(&rest[..2])?, seconds)
}

/// A whole number that stands for a time: `yyyymmdd`, or an epoch told by its size.
pub(crate) fn from_number(value: i64) -> Option<Stamp> {
    let size = value.unsigned_abs();
    let unit = match size {
        19_000_101..=22_000_101 => {
            let date =
                NaiveDate::from_ymd_opt((value / 10_000) as i32, (value / 100 % 100) as u32, (value % 100) as u32)?;
            return sane(Stamp::naive(i64::from(days_of(date)) * DAY));
        }
        100_000_000..=99_999_999_999 => SECOND,
        100_000_000_000..=99_999_999_999_999 => 1_000_000,
        100_000_000_000_000..=99_999_999_999_999_999 => 1_000,
        100_000_000_000_000_000.. => 1,
        _ => return None,
    };
    sane(Stamp { wall: value.checked_mul(unit)?, offset: Some(0) })
}

/// `yyyymmdd`, `yyyymmddHHMM`, `yyyymmddHHMMSS` or an epoch.
fn from_digits(text: &[u8]) -> Option<Stamp> {
    if matches!(text.len(), 12 | 14) && matches!(&text[..2], b"19" | b"20") {
        let as_date = || {
            let stamp = from_digits(&text[..8])?;
            let seconds = if text.len() == 14 { number(&text[12..])? } else { 0 };
            let clock = time_of_day(number(&text[8..10])?, number(&text[10..12])?, seconds)?;
            sane(Stamp::naive(stamp.wall + clock))
        };
        if let Some(stamp) = as_date() {
            return Some(stamp);
        }
    }
    from_number(std::str::from_utf8(text).ok()?.parse().ok()?)
}

/// `1499040000.25`: seconds, ten digits before the point.
fn epoch_with_fraction(text: &[u8]) -> Option<Stamp> {
    let point = text.iter().position(|&byte| byte == b'.')?;
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if !(9..=10).contains(&point) || !digits(&text[..point]) || !digits(&text[point + 1..]) {
        return None;
    }
    let seconds: i64 = std::str::from_utf8(&text[..point]).ok()?.parse().ok()?;
    Some(Stamp { wall: seconds * SECOND + fraction(&text[point + 1..])?, offset: Some(0) })
}

/// The leading date as days since 1970, and what follows it.
fn date(text: &[u8], order: DateOrder) -> Option<(i32, &[u8])> {
    if text.len() >= 10 && matches!(text[4], b'-' | b'/' | b'.') && text[7] == text[4] {
        let day = civil(number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?)?;
        return Some((day, &text[10..]));
    }
    if text.len() > 8 && text[..8].iter().all(u8::is_ascii_digit) && !text[8].is_ascii_digit() {
        return Some((i32::try_from(from_digits(&text[..8])?.wall / DAY).ok()?, &text[8..]));
    }
    let (first, middle, year, rest) = three_parts(text)?;
    if let Some(month) = month_name(middle) {
        return Some((civil(year, month, number(first)?)?, rest));
    }
    let (first, second) = (number(first)?, number(middle)?);
    let (day, month) = match order {
        DateOrder::DayFirst => (first, second),
        DateOrder::MonthFirst => (second, first),
    };
    Some((civil(year, month, day)?, rest))
}

/// First and middle part of a date, its year, and what follows.
type Parts<'a> = (&'a [u8], &'a [u8], u32, &'a [u8]);

/// Splits `dd<sep>mm<sep>yyyy…` into its parts; a year of two digits is of 1970 to 2069.
fn three_parts(text: &[u8]) -> Option<Parts<'_>> {
    let first_end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let separator = text[first_end];
    if !(1..=2).contains(&first_end) || !matches!(separator, b'/' | b'-' | b'.' | b' ') {
        return None;
    }
    let after = &text[first_end + 1..];
    let middle_end = after.iter().position(|&byte| byte == separator)?;
    let tail = &after[middle_end + 1..];
    let year_end = tail.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(tail.len());
    let year = match (year_end, number(&tail[..year_end])?) {
        (4, year) => year,
        (2, year) if year >= 70 => 1900 + year,
        (2, year) => 2000 + year,
        _ => return None,
    };
    Some((&text[..first_end], &after[..middle_end], year, &tail[year_end..]))
}

/// What a date such as `13/04/2024` says about its column: the two numbers before the year.
pub(crate) fn day_month_parts(text: &[u8]) -> Option<(u32, u32)> {
    let (first, middle, _, _) = three_parts(text.trim_ascii())?;
    Some((number(first)?, number(middle)?))
}

fn month_name(text: &[u8]) -> Option<u32> {
    const NAMES: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let head = text.get(..3)?.to_ascii_lowercase();
    let month = NAMES.iter().position(|name| name[..] == head[..])?;
    (text.len() <= 9 && text.iter().all(u8::is_ascii_alphabetic)).then_some(month as u32 + 1)
}

/// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.fff`, each with an optional AM or PM, as nanoseconds since midnight.
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let colon = text.iter().take(3).position(|&byte| byte == b':')?;
    let mut hour = number(&text[..colon])?;
    let minute = number(text.get(colon + 1..colon + 3)?)?;
    let mut rest = &text[colon + 3..];
    let mut seconds = 0;
    let mut nanos = 0;
    if rest.first() == Some(&b':') {
        seconds = number(rest.get(1..3)?)?;
        rest = &rest[3..];
        if matches!(rest.first(), Some(b'.' | b',')) {
            let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            nanos = fraction(&rest[1..=digits])?;
            rest = &rest[1 + digits..];
        }
    }
    let word = rest.trim_ascii_start();
    if let Some(half) = word.get(..2).filter(|half| half[1].eq_ignore_ascii_case(&b'm')) {
        hour = match (half[0].to_ascii_lowercase(), hour) {
            (b'a', 12) => 0,
            (b'a', 1..=11) => hour,
            (b'p', 12) => 12,
            (b'p', 1..=11) => hour + 12,
            _ => return None,
        };
        rest = &word[2..];
    }
    Some((time_of_day(hour, minute, seconds)? + nanos, rest))
}

fn time_of_day(hour: u32, minute: u32, second: u32) -> Option<i64> {
    (hour < 24 && minute < 60 && second < 60)
        .then(|| i64::from(hour) * HOUR + i64::from(minute) * MINUTE + i64::from(second) * SECOND)
}

/// Digits after a point as nanoseconds, cut after nine.
fn fraction(digits: &[u8]) -> Option<i64> {
    let kept = &digits[..digits.len().min(9)];
    let value = if kept.is_empty() { 0 } else { number(kept)? };
    Some(i64::from(value) * 10_i64.pow(9 - kept.len() as u32))
}

/// `Z`, `UTC`, `GMT`, `+05:30`, `+0530`, `+05`, as seconds east.
fn offset(text: &[u8]) -> Option<i32> {
    if [&b"z"[..], b"utc", b"gmt"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(0);
    }
    let (sign, digits) = match text.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [a, b] => (number(&[*a, *b])?, 0),
        [a, b, b':', c, d] | [a, b, c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
        _ => return None,
    };
    (hours <= 15 && minutes < 60).then(|| sign * (hours * 3600 + minutes * 60) as i32)
}

/// One to nine digits.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0u32, |value, &byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

fn civil(year: u32, month: u32, day: u32) -> Option<i32> {
    // Beyond these years nanoseconds would overflow before `sane` could say so.
    (1900..=2200).contains(&year).then_some(())?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).map(days_of)
}

fn days_of(date: NaiveDate) -> i32 {
    use chrono::Datelike;
    date.num_days_from_ce() - 719_163
}

/// The zone of naive times, or of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Seconds east of UTC, always.
    Fixed(i32),
    /// A zone with a history.
    Named(chrono_tz::Tz),
}

impl FromStr for Zone {
    type Err = String;
    /// `UTC`, `+05:30` or a name such as `Asia/Kolkata`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(seconds) = offset(text.as_bytes()) {
            return Ok(Self::Fixed(seconds));
        }
        text.parse().map(Self::Named).map_err(|_| {
            format!("'{text}' is not a time zone; write UTC, an offset such as +05:30 or a name such as Asia/Kolkata")
        })
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(seconds) => {
                let (sign, size) = if *seconds < 0 { ('-', -seconds) } else { ('+', *seconds) };
                write!(out, "{sign}{:02}:{:02}", size / 3600, size / 60 % 60)
            }
            Self::Named(zone) => out.write_str(zone.name()),
        }
    }
}

/// Offsets of a zone, with the last day remembered: rows come day by day, and looking up a zone's history for each
/// would cost more than all the rest of the row.
#[derive(Debug, Clone)]
pub(crate) struct ZoneClock {
    zone: Zone,
    /// Wall-clock day, and its offset when the whole day and its neighbourhood have one.
    by_wall: (i64, Option<i32>),
    by_instant: (i64, Option<i32>),
}

impl ZoneClock {
    pub fn new(zone: Zone) -> Self {
        Self { zone, by_wall: (i64::MIN, None), by_instant: (i64::MIN, None) }
    }

    /// Seconds east of UTC at a wall-clock time; the earlier of two where clocks go back, none where the time
    /// does not exist.
    #[inline]
    pub fn offset_of_wall(&mut self, wall: i64) -> Option<i32> {
        let zone = match self.zone {
            Zone::Fixed(seconds) => return Some(seconds),
            Zone::Named(zone) => zone,
        };
        let day = wall.div_euclid(DAY);
        if self.by_wall.0 != day {
            self.by_wall = (day, steady(zone, day));
        }
        self.by_wall.1.or_else(|| {
            let naive = chrono::DateTime::from_timestamp_nanos(wall).naive_utc();
            zone.offset_from_local_datetime(&naive).earliest().map(|offset| offset.fix().local_minus_utc())
        })
    }

    /// Seconds east of UTC at an instant.
    #[inline]
    pub fn offset_at(&mut self, instant: i64) -> i32 {
        let zone = match self.zone {
            Zone::Fixed(seconds) => return seconds,
            Zone::Named(zone) => zone,
        };
        let day = instant.div_euclid(DAY);
        if self.by_instant.0 != day {
            self.by_instant = (day, steady(zone, day));
        }
        self.by_instant.1.unwrap_or_else(|| offset_at(zone, instant))
    }
}

fn offset_at(zone: chrono_tz::Tz, instant: i64) -> i32 {
    let naive = chrono::DateTime::from_timestamp_nanos(instant).naive_utc();
    zone.offset_from_utc_datetime(&naive).fix().local_minus_utc()
}

/// The offset of a day that has the same one from the day before to the day after: zones change theirs at most
/// twice a year, so equal ends mean no change between.
fn steady(zone: chrono_tz::Tz, day: i64) -> Option<i32> {
    let before = offset_at(zone, (day - 1).saturating_mul(DAY));
    let after = offset_at(zone, (day + 2).saturating_mul(DAY));
    (before == after).then_some(before)
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
