//! The text form of a calendar: what a calendar file may say, and how it becomes rules.
//!
//! A calendar file is TOML. `market`, `zone` (a fixed offset such as `+05:30`), `sessions_per_year`, `weekdays` and
//! `years` (a list, or `"all"`) come first; then `[[hours]]` rules by the date `from` which they hold (the first one
//! without), `[closed]` with a label per date, and one `[special.DATE]` table per session on a weekend or at other
//! hours. A file that extends a calendar needs only `market`, `years` and what those years add; dates of known years
//! that it means to change are listed in `replaces`.
//!
//! - A key that is not known is an error: a misspelt holiday must not become a trading day.
//! - A date outside the years of its file, a window that is empty or overlaps the one before it: an error.
//! - Reading a calendar never asks the clock which year it is.

use crate::error::ConfigError;
use daybook_vocabulary::Date;
use daybook_vocabulary::time::{HOUR, MINUTE};
use serde::Deserialize;
use serde::de::Error as _;
use std::collections::{BTreeMap, BTreeSet};

/// A span of a day, in nanoseconds after local midnight, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) open: i64,
    pub(crate) close: i64,
}

/// Phases of a session, after local midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    /// Continuous trading; the second one only where a session has a pause.
    pub(crate) continuous: (Span, Option<Span>),
    pub(crate) pre_open: Option<Span>,
    pub(crate) post_close: Option<Span>,
    pub(crate) derivatives_close: Option<i64>,
    pub(crate) auction: Option<Auction>,
}

/// The closing auction of the stocks that have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Auction {
    pub(crate) continuous_close: i64,
    pub(crate) matching: Span,
}

/// A date that is not like its weekday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exception {
    Closed { label: String },
    Special { label: String, hours: Option<Hours>, provisional: bool },
}

/// The years a calendar has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Years {
    /// Every year: a market without holidays.
    All,
    /// These.
    Listed(BTreeSet<i32>),
}

/// A calendar file, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) market: String,
    pub(crate) zone: Option<i64>,
    pub(crate) sessions_per_year: Option<u32>,
    pub(crate) weekdays: Option<[bool; 7]>,
    pub(crate) years: Years,
    pub(crate) replaces: BTreeSet<Date>,
    pub(crate) hours: Vec<(Option<Date>, Hours)>,
    pub(crate) exceptions: BTreeMap<Date, Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    market: String,
    zone: Option<String>,
    sessions_per_year: Option<u32>,
    weekdays: Option<Vec<String>>,
    years: Years,
    #[serde(default)]
    replaces: BTreeSet<Date>,
    #[serde(default)]
    hours: Vec<RawHours>,
    #[serde(default)]
    closed: BTreeMap<Date, String>,
    #[serde(default)]
    special: BTreeMap<Date, RawSpecial>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHours {
    from: Option<Date>,
    continuous: Vec<Span>,
    pre_open: Option<Span>,
    post_close: Option<Span>,
    derivatives_close: Option<TimeOfDay>,
    closing_auction: Option<RawAuction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpecial {
    label: String,
    continuous: Option<Vec<Span>>,
    pre_open: Option<Span>,
    post_close: Option<Span>,
    derivatives_close: Option<TimeOfDay>,
    closing_auction: Option<RawAuction>,
    #[serde(default)]
    provisional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuction {
    continuous_close: TimeOfDay,
    matching: Span,
}

struct TimeOfDay(i64);

/// Reads the text of the calendar file called `place` in messages.
pub(crate) fn read(text: &str, place: &str) -> Result<Rules, ConfigError> {
    let raw: RawFile = toml::from_str(text).map_err(|error| toml_error(text, place, &error))?;
    let fault = |reason: String| ConfigError::Format { place: place.to_owned(), reason };
    let zone = raw.zone.as_deref().map(zone_offset).transpose().map_err(&fault)?;
    let weekdays = raw.weekdays.as_deref().map(weekday_set).transpose().map_err(&fault)?;
    if raw.sessions_per_year == Some(0) {
        return Err(fault("sessions_per_year is 0: write how many sessions a year has, such as 252".to_owned()));
    }
    let mut hours: Vec<(Option<Date>, Hours)> = Vec::new();
    for rule in raw.hours {
        let name = rule.from.map_or_else(|| "the first [[hours]]".to_owned(), |from| format!("[[hours]] from {from}"));
        if hours.last().is_some_and(|(previous, _)| rule.from <= *previous) {
            return Err(fault(format!("{name} does not come after the rule before it: sort them by `from`")));
        }
        let checked =
            check_hours(&rule.continuous, rule.pre_open, rule.post_close, rule.derivatives_close, rule.closing_auction);
        hours.push((rule.from, checked.map_err(|reason| fault(format!("{name}: {reason}")))?));
    }
    let mut exceptions: BTreeMap<Date, Exception> =
        raw.closed.into_iter().map(|(date, label)| (date, Exception::Closed { label })).collect();
    for (date, special) in raw.special {
        let exception = check_special(special).map_err(|reason| fault(format!("[special.{date}]: {reason}")))?;
        if exceptions.insert(date, exception).is_some() {
            return Err(fault(format!("{date} is both closed and special: keep one of them")));
        }
    }
    Ok(Rules {
        market: raw.market,
        zone,
        sessions_per_year: raw.sessions_per_year,
        weekdays,
        years: raw.years,
        replaces: raw.replaces,
        hours,
        exceptions,
    })
}

/// A parse error with its line; `toml`'s own picture of the text is left out, as the text may hold anything.
pub(crate) fn toml_error(text: &str, place: &str, error: &toml::de::Error) -> ConfigError {
    let place = match error.span() {
        Some(span) => format!("{place}:{}", line_of(text, span.start)),
        None => place.to_owned(),
    };
    ConfigError::Format { place, reason: error.message().trim_end().replace('\n', "; ") }
}

/// Line number, from 1, of a byte offset.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

impl Years {
    /// True when the calendar has this year.
    pub fn has(&self, year: i32) -> bool {
        match self {
            Self::All => true,
            Self::Listed(years) => years.contains(&year),
        }
    }
}

impl std::fmt::Display for Years {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Listed(years) = self else { return out.write_str("every year") };
        for (index, year) in years.iter().enumerate() {
            write!(out, "{}{year}", if index == 0 { "" } else { ", " })?;
        }
        if years.is_empty() { out.write_str("no year") } else { Ok(()) }
    }
}

fn check_special(special: RawSpecial) -> Result<Exception, String> {
    let RawSpecial { label, continuous, pre_open, post_close, derivatives_close, closing_auction, provisional } =
        special;
    let hours = match continuous {
        Some(spans) => Some(check_hours(&spans, pre_open, post_close, derivatives_close, closing_auction)?),
        None if pre_open.is_some()
            || post_close.is_some()
            || derivatives_close.is_some()
            || closing_auction.is_some() =>
        {
            return Err("it changes a phase without `continuous`: give the continuous hours as well".to_owned());
        }
        None => None,
    };
    Ok(Exception::Special { label, hours, provisional })
}

fn check_hours(
    continuous: &[Span],
    pre_open: Option<Span>,
    post_close: Option<Span>,
    derivatives_close: Option<TimeOfDay>,
    auction: Option<RawAuction>,
) -> Result<Hours, String> {
    let continuous = match *continuous {
        [only] => (only, None),
        [first, second] if first.close <= second.open => (first, Some(second)),
        [_, _] => return Err("the second continuous window begins before the first ends".to_owned()),
        _ => return Err(format!("continuous has {} windows: write one or two", continuous.len())),
    };
    let last = continuous.1.unwrap_or(continuous.0);
    let auction = auction.map(|raw| Auction { continuous_close: raw.continuous_close.0, matching: raw.matching });
    if let Some(auction) = auction {
        // The auction follows the market, or the print could be stamped before trades it is later than.
        if auction.continuous_close <= last.open
            || auction.continuous_close > last.close
            || auction.matching.open < last.close
        {
            return Err("the closing auction must end continuous trading inside the last window and match at or \
                        after the end of it"
                .to_owned());
        }
    }
    if pre_open.is_some_and(|span| span.close > continuous.0.open) {
        return Err("pre_open ends after continuous trading begins".to_owned());
    }
    if post_close.is_some_and(|span| span.open < last.close) {
        return Err("post_close begins before continuous trading ends".to_owned());
    }
    Ok(Hours { continuous, pre_open, post_close, derivatives_close: derivatives_close.map(|time| time.0), auction })
}

fn zone_offset(text: &str) -> Result<i64, String> {
    let bad =
        || format!("zone '{text}' is not a fixed offset: write it like +05:30 (zones with summer time do not fit)");
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return Err(bad()),
    };
    time_of_day(rest).filter(|&offset| offset <= 14 * HOUR).map(|offset| sign * offset).ok_or_else(bad)
}

fn weekday_set(names: &[String]) -> Result<[bool; 7], String> {
    const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let mut set = [false; 7];
    for name in names {
        let index = NAMES.iter().position(|known| known == name);
        set[index.ok_or_else(|| format!("weekday '{name}' is not one of {}", NAMES.join(", ")))?] = true;
    }
    Ok(set)
}

/// `HH:MM`, 00:00 to 24:00, as nanoseconds after midnight.
fn time_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 || !(hours.bytes().chain(minutes.bytes())).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * HOUR + minutes * MINUTE)
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        time_of_day(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("'{text}' is not a time of day such as 15:30")))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let times = text.split_once('-').and_then(|(open, close)| Some((time_of_day(open)?, time_of_day(close)?)));
        match times {
            Some((open, close)) if open < close => Ok(Self { open, close }),
            Some(_) => Err(D::Error::custom(format!("'{text}' ends before it begins"))),
            None => Err(D::Error::custom(format!("'{text}' is not a span of a day such as 09:15-15:30"))),
        }
    }
}

impl<'de> Deserialize<'de> for Years {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Word(String),
            List(BTreeSet<i32>),
        }
        match Raw::deserialize(deserializer) {
            Ok(Raw::List(years)) if years.iter().all(|year| (1700..2262).contains(year)) => Ok(Self::Listed(years)),
            Ok(Raw::Word(word)) if word == "all" => Ok(Self::All),
            _ => Err(D::Error::custom("years is a list such as [2027] or the word \"all\"")),
        }
    }
}
