//! The trading calendar: which dates are sessions, when they open and close, and when a candle was known.
//!
//! - Dates are in the exchange's zone, instants in UTC; windows are half-open.
//! - A year the calendar does not have is `Unknown`, never "probably open": one unknown holiday is a day of invented
//!   gaps, or a session nobody flattened.
//! - Answers come from dated rules by binary search; no lookup allocates and none reads a clock.
//! - Two calendars with the same hash give the same answers.
//!
//! # A calendar file
//! One that adds a year to a built-in market (`calendar.file`); what it leaves out stays as it is:
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("nse-2027.toml");
//! let text = r#"
//! market = "nse"
//! years = [2027]
//! # replaces = ["2026-12-24"]       # dates of known years on which this file is right and the calendar wrong
//!
//! [closed]
//! 2027-01-26 = "Republic Day"
//!
//! [special.2027-10-29]              # a session on a weekend or at other hours
//! label = "Diwali Laxmi Pujan, muhurat session"
//! pre_open = "18:00-18:15"          # optional, as are post_close, derivatives_close and closing_auction
//! continuous = ["18:15-19:15"]      # one window or two; without it the ordinary hours hold
//! "#;
//! # std::fs::write(&path, text).unwrap();
//! let mut calendar = daybook_config::Calendar::nse();
//! calendar.extend_from_file(&path).unwrap();
//! assert!(calendar.known_years().has(2027));
//! ```
//! A market of its own (`--market FILE`) also has `zone = "+09:00"` (a fixed offset), `sessions_per_year`, `weekdays`
//! and the ordinary hours as `[[hours]]` rules, each after the first with the date `from` which it holds.
//! `data/calendar-nse.toml` is a complete example.

pub use crate::calendar_file::Years;
use crate::calendar_file::{self, Exception, Hours, Rules, Span};
use crate::error::ConfigError;
use crate::nearest::nearest_first;
use chrono::Datelike;
use daybook_vocabulary::time::DAY;
use daybook_vocabulary::{Date, Hash, Interval, Nanos};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

const NSE: &str = include_str!("../data/calendar-nse.toml");
const GENERIC: &str = include_str!("../data/calendar-generic.toml");
/// The markets that are built in.
pub const MARKETS: [&str; 2] = ["nse", "generic"];

/// A half-open span of continuous trading, as instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First instant.
    pub open: Nanos,
    /// First instant after it.
    pub close: Nanos,
}

impl Window {
    /// True when `time` lies in it.
    pub const fn contains(&self, time: Nanos) -> bool {
        self.open.0 <= time.0 && time.0 < self.close.0
    }
}

/// The one or two windows of a session; reads as a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    all: [Window; 2],
    count: usize,
}

impl std::ops::Deref for Windows {
    type Target = [Window];
    fn deref(&self) -> &[Window] {
        &self.all[..self.count]
    }
}

/// A trading session. `label` and `auction` aside, it is what stocks without a closing auction see: the widest hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its date in the exchange's zone.
    pub date: Date,
    /// Continuous trading, in order of time: one window, or two where the session has a pause.
    pub windows: Windows,
    /// Why it is not an ordinary session.
    pub label: Option<Arc<str>>,
    /// End of continuous trading of stocks that have a closing auction (those with derivatives).
    pub cas_close: Option<Nanos>,
    /// When the closing auction begins to match; its one price is the official close.
    pub auction_open: Option<Nanos>,
    /// Last instant at which a closing-auction print may be stamped.
    pub auction_close: Option<Nanos>,
    /// When orders are taken before the opening match.
    pub pre_open: Option<Window>,
    /// Trading at the official close.
    pub post_close: Option<Window>,
    /// When the equity derivatives close.
    pub derivatives_close: Option<Nanos>,
    /// True when the exchange's own announcement of the hours was not found.
    pub provisional: bool,
    /// False when the calendar lacks the year, so that these are the market's ordinary hours and no more.
    pub known: bool,
}

impl Session {
    /// The open of the first window.
    pub const fn open(&self) -> Nanos {
        self.windows.all[0].open
    }

    /// The end of the last continuous window.
    pub const fn close(&self) -> Nanos {
        self.windows.all[self.windows.count - 1].close
    }

    /// The last instant at which the session makes a price: the close, or the end of the closing auction.
    pub fn end(&self) -> Nanos {
        self.auction_close.map_or(self.close(), |auction| auction.max(self.close()))
    }

    /// True when `time` lies in a window of continuous trading.
    pub fn contains(&self, time: Nanos) -> bool {
        self.windows.iter().any(|window| window.contains(time))
    }

    /// True when a closing-auction print may be stamped at `time`.
    pub fn in_auction(&self, time: Nanos) -> bool {
        matches!((self.auction_open, self.auction_close), (Some(open), Some(close)) if open <= time && time <= close)
    }

    /// The window a start-stamped bar belongs to: the one its open lies in, else the first one it reaches into
    /// (vendors keep one grid through a pause, so a bar may be stamped just before the second window opens). `None`
    /// for a bar outside continuous trading.
    pub fn window_of(&self, open_time: Nanos, interval: Interval) -> Option<Window> {
        let end = open_time + interval.nanos();
        let inside = self.windows.iter().find(|window| window.contains(open_time));
        inside.or_else(|| self.windows.iter().find(|window| open_time < window.open && window.open < end)).copied()
    }
}

/// What a date is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Day {
    /// The market trades.
    Session(Session),
    /// The market is closed.
    Closed {
        /// The holiday, or `weekend`.
        label: Arc<str>,
    },
    /// The calendar does not have this year.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Closed { label: Arc<str> },
    Special { label: Arc<str>, hours: Option<Hours>, provisional: bool },
}

/// The calendar of one market.
#[derive(Debug, Clone)]
pub struct Calendar {
    market: String,
    zone: i64,
    sessions_per_year: u32,
    weekdays: [bool; 7],
    years: Years,
    /// By the date from which they hold; the first holds from the beginning of time.
    hours: Vec<(Date, Hours)>,
    /// Sorted by date.
    exceptions: Vec<(Date, Entry)>,
    weekend: Arc<str>,
}

impl Calendar {
    /// The National Stock Exchange of India, 2023 to 2026.
    pub fn nse() -> Self {
        Self::read(NSE, "data/calendar-nse.toml").expect("the built-in NSE calendar is well-formed: a test reads it")
    }

    /// A market that never closes: every UTC date is one session from 00:00 to 24:00.
    pub fn generic() -> Self {
        Self::read(GENERIC, "data/calendar-generic.toml")
            .expect("the built-in calendar is well-formed: a test reads it")
    }

    /// A built-in market by name, else the calendar file at that path.
    pub fn by_market(name_or_file: &str) -> Result<Self, ConfigError> {
        match name_or_file {
            "nse" => Ok(Self::nse()),
            "generic" => Ok(Self::generic()),
            // A bare word that is no file is a misspelt market; what looks like a path is a file that is missing.
            name if !Path::new(name).exists() && !name.contains(['/', '\\', '.']) => Err(ConfigError::UnknownMarket {
                name: name.to_owned(),
                known: nearest_first(name, MARKETS).join(", "),
            }),
            path => Self::read(&read_file(Path::new(path))?, path),
        }
    }

    /// Adds the years of a calendar file. A date of a known year on which the file differs is an error, unless the
    /// file lists it under `replaces` or its hours here are provisional.
    pub fn extend_from_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        self.extend(&read_file(path)?, &path.display().to_string())
    }

    /// The market's name.
    pub fn market(&self) -> &str {
        &self.market
    }

    /// Nanoseconds the exchange's clock is ahead of UTC.
    pub const fn zone_offset(&self) -> i64 {
        self.zone
    }

    /// Sessions in a year, to annualise with.
    pub const fn sessions_per_year(&self) -> u32 {
        self.sessions_per_year
    }

    /// The years it has.
    pub const fn known_years(&self) -> &Years {
        &self.years
    }

    /// The date of an instant in the exchange's zone.
    pub const fn date_of(&self, time: Nanos) -> Date {
        Date::of(time, self.zone)
    }

    /// What the date is.
    pub fn day(&self, date: Date) -> Day {
        if !self.has(date) {
            return Day::Unknown;
        }
        match self.exception(date) {
            Some(Entry::Closed { label }) => Day::Closed { label: label.clone() },
            None if !self.weekdays[weekday(date)] => Day::Closed { label: self.weekend.clone() },
            special => Day::Session(self.session(date, special, true)),
        }
    }

    /// What the date is; a date after the years it has is an error that says to supply them. A date before them is
    /// `Day::Unknown`: old history is used as it is, with the market's ordinary hours.
    pub fn require(&self, date: Date) -> Result<Day, ConfigError> {
        match (self.day(date), &self.years) {
            (Day::Unknown, Years::Listed(years)) if years.first().is_none_or(|&first| first < date.civil().year()) => {
                Err(ConfigError::CalendarEnds { market: self.market.clone(), date, years: self.years.to_string() })
            }
            (day, _) => Ok(day),
        }
    }

    /// The session that data of this date belongs to. Where the calendar lacks the year, a date that has data counts
    /// as a session of the market's ordinary hours (`known` is false); `None` where the calendar says closed.
    pub fn session_for_data(&self, date: Date) -> Option<Session> {
        match self.day(date) {
            Day::Session(session) => Some(session),
            Day::Unknown => Some(self.session(date, None, false)),
            Day::Closed { .. } => None,
        }
    }

    /// True when a session trades for less time than the ordinary hours of its date: it closes early, or is one of the
    /// short sessions at other hours.
    pub fn is_short(&self, session: &Session) -> bool {
        let ordinary = self.ordinary_hours(session.date);
        let length = |span: Span| span.close - span.open;
        let usual = length(ordinary.continuous.0) + ordinary.continuous.1.map_or(0, length);
        session.windows.iter().map(|window| window.close - window.open).sum::<i64>() < usual
    }

    /// When a start-stamped candle was known: at its end, cut at the close of the window it lies in. A daily candle
    /// is known at the end of its session, after the closing auction where there is one. A candle outside every
    /// window (the caller refuses those) at its nominal end.
    pub fn available_at(&self, open_time: Nanos, interval: Interval) -> Nanos {
        let nominal = open_time + interval.nanos();
        match self.session_for_data(self.date_of(open_time)) {
            Some(session) if interval.is_daily() => session.end(),
            Some(session) => match session.window_of(open_time, interval) {
                Some(window) => nominal.min(window.close),
                None => nominal,
            },
            None => nominal,
        }
    }

    /// The date and what it is, from `from` to `to`, both inclusive.
    pub fn days(&self, from: Date, to: Date) -> impl Iterator<Item = (Date, Day)> + '_ {
        (from.0..=to.0).map(Date).map(|date| (date, self.day(date)))
    }

    /// blake3 of everything an answer depends on.
    pub fn hash(&self) -> Hash {
        Hash(*blake3::hash(self.canonical().as_bytes()).as_bytes())
    }
}

impl Calendar {
    fn read(text: &str, place: &str) -> Result<Self, ConfigError> {
        let rules = calendar_file::read(text, place)?;
        let missing = |key: &str, example: &str| ConfigError::Format {
            place: place.to_owned(),
            reason: format!("`{key}` is missing: a calendar that extends no other one needs it, such as {example}"),
        };
        let mut calendar = Self {
            market: rules.market.clone(),
            zone: rules.zone.ok_or_else(|| missing("zone", "zone = \"+05:30\""))?,
            sessions_per_year: rules.sessions_per_year.ok_or_else(|| missing("sessions_per_year", "252"))?,
            weekdays: rules.weekdays.ok_or_else(|| missing("weekdays", "[\"Mon\", \"Tue\"]"))?,
            years: Years::Listed([].into()),
            hours: Vec::new(),
            exceptions: Vec::new(),
            weekend: Arc::from("weekend"),
        };
        if rules.hours.first().is_none_or(|(from, _)| from.is_some()) {
            return Err(missing("[[hours]]", "a first rule without `from`"));
        }
        calendar.absorb(rules, place)?;
        Ok(calendar)
    }

    fn extend(&mut self, text: &str, place: &str) -> Result<(), ConfigError> {
        let rules = calendar_file::read(text, place)?;
        let fault = |reason: String| ConfigError::Format { place: place.to_owned(), reason };
        if rules.market != self.market {
            let Rules { market, .. } = rules;
            return Err(fault(format!("it is a calendar of '{market}' and cannot extend that of '{}'", self.market)));
        }
        let same = rules.zone.is_none_or(|zone| zone == self.zone)
            && rules.sessions_per_year.is_none_or(|count| count == self.sessions_per_year)
            && rules.weekdays.is_none_or(|days| days == self.weekdays);
        if !same {
            return Err(fault(
                "`zone`, `sessions_per_year` or `weekdays` differs from the calendar it extends: leave them out"
                    .to_owned(),
            ));
        }
        if rules.years == Years::All {
            return Err(fault("`years` is \"all\": list the years it adds, such as [2027]".to_owned()));
        }
        let replaces = rules.replaces.clone();
        let claimed: Vec<Date> = match &self.years {
            Years::Listed(years) => years.iter().flat_map(|&year| year_span(year)).collect(),
            // Every date is known, so only those of the file can differ; hours by date could differ on all of them.
            Years::All if !rules.hours.is_empty() => {
                return Err(fault(format!(
                    "the {} calendar has its hours for every date: remove [[hours]]",
                    self.market
                )));
            }
            Years::All => rules.exceptions.keys().copied().collect(),
        };
        let mut extended = self.clone();
        extended.absorb(rules, place)?;
        for date in claimed.into_iter().filter(|date| !replaces.contains(date)) {
            self.check_unchanged(&extended, date, place)?;
        }
        *self = extended;
        Ok(())
    }

    fn check_unchanged(&self, extended: &Self, date: Date, place: &str) -> Result<(), ConfigError> {
        let (before, after) = (self.day(date), extended.day(date));
        let may_change = matches!(&before, Day::Session(session) if session.provisional);
        let (known, claimed) = (self.describe(&before), self.describe(&after));
        if may_change || known == claimed {
            return Ok(());
        }
        Err(ConfigError::CalendarContradicts {
            place: place.to_owned(),
            market: self.market.clone(),
            date,
            known,
            claimed,
        })
    }

    /// Takes over the rules; what they say of a date wins.
    fn absorb(&mut self, rules: Rules, place: &str) -> Result<(), ConfigError> {
        let fault = |reason: String| ConfigError::Format { place: place.to_owned(), reason };
        self.years = match (&self.years, &rules.years) {
            (Years::Listed(here), Years::Listed(there)) => Years::Listed(here | there),
            _ => Years::All,
        };
        for (date, exception) in rules.exceptions {
            if !self.has(date) {
                let reason =
                    format!("{date} is listed, but `years` does not have {}: add the year", date.civil().year());
                return Err(fault(reason));
            }
            let entry = match exception {
                Exception::Closed { label } => Entry::Closed { label: label.into() },
                Exception::Special { label, hours, provisional } => {
                    Entry::Special { label: label.into(), hours, provisional }
                }
            };
            match self.exceptions.binary_search_by_key(&date, |(date, _)| *date) {
                Ok(at) => self.exceptions[at].1 = entry,
                Err(at) => self.exceptions.insert(at, (date, entry)),
            }
        }
        for (from, hours) in rules.hours {
            let from = from.unwrap_or(Date(i32::MIN));
            match self.hours.binary_search_by_key(&from, |(from, _)| *from) {
                Ok(at) => self.hours[at].1 = hours,
                Err(at) => self.hours.insert(at, (from, hours)),
            }
        }
        Ok(())
    }

    fn has(&self, date: Date) -> bool {
        self.years.has(date.civil().year())
    }

    fn exception(&self, date: Date) -> Option<&Entry> {
        let at = self.exceptions.binary_search_by_key(&date, |(date, _)| *date).ok()?;
        Some(&self.exceptions[at].1)
    }

    fn session(&self, date: Date, entry: Option<&Entry>, known: bool) -> Session {
        let (label, hours, provisional) = match entry {
            Some(Entry::Special { label, hours, provisional }) => (Some(label.clone()), *hours, *provisional),
            _ => (None, None, false),
        };
        let hours = hours.unwrap_or_else(|| self.ordinary_hours(date));
        // Dates reach far beyond what fits in nanoseconds; the ends of time are good enough there.
        let midnight = Nanos(i64::from(date.0).saturating_mul(DAY).saturating_sub(self.zone));
        let window = |span: Span| Window { open: midnight + span.open, close: midnight + span.close };
        let first = window(hours.continuous.0);
        Session {
            date,
            windows: Windows {
                all: [first, hours.continuous.1.map_or(first, window)],
                count: 1 + usize::from(hours.continuous.1.is_some()),
            },
            label,
            cas_close: hours.auction.map(|auction| midnight + auction.continuous_close),
            auction_open: hours.auction.map(|auction| midnight + auction.matching.open),
            auction_close: hours.auction.map(|auction| midnight + auction.matching.close),
            pre_open: hours.pre_open.map(window),
            post_close: hours.post_close.map(window),
            derivatives_close: hours.derivatives_close.map(|time| midnight + time),
            provisional,
            known,
        }
    }

    fn ordinary_hours(&self, date: Date) -> Hours {
        let after = self.hours.partition_point(|(from, _)| *from <= date);
        assert!(after > 0, "the first rule of a calendar holds from the beginning of time");
        self.hours[after - 1].1
    }

    /// Every fact, one a line, in a fixed order.
    fn canonical(&self) -> String {
        let mut out = format!(
            "market {}\nzone {}\nsessions_per_year {}\nweekdays {:?}\nyears {}\n",
            self.market, self.zone, self.sessions_per_year, self.weekdays, self.years
        );
        for (from, hours) in &self.hours {
            let _ = writeln!(out, "hours {} {}", from.0, canonical_hours(hours));
        }
        for (date, entry) in &self.exceptions {
            let _ = match entry {
                Entry::Closed { label } => writeln!(out, "closed {} {label:?}", date.0),
                Entry::Special { label, hours, provisional } => {
                    let hours = hours.as_ref().map(canonical_hours).unwrap_or_default();
                    writeln!(out, "special {} {label:?} {provisional} {hours}", date.0)
                }
            };
        }
        out
    }

    /// A day for people, in the exchange's own time and without its label: two labels for one holiday agree.
    fn describe(&self, day: &Day) -> String {
        let session = match day {
            Day::Closed { .. } => return "closed".to_owned(),
            Day::Unknown => return "unknown".to_owned(),
            Day::Session(session) => session,
        };
        let clock = |time: Nanos| {
            let minutes =
                (time.0.saturating_add(self.zone) - i64::from(session.date.0).saturating_mul(DAY)) / 60_000_000_000;
            format!("{:02}:{:02}", minutes / 60, minutes % 60)
        };
        let span = |window: &Window| format!("{}-{}", clock(window.open), clock(window.close));
        let mut out = session.windows.iter().map(span).collect::<Vec<_>>().join(" and ");
        let phases = [("pre-open", session.pre_open), ("post-close", session.post_close)];
        for (name, window) in phases.iter().filter_map(|(name, window)| window.as_ref().map(|window| (name, window))) {
            let _ = write!(out, ", {name} {}", span(window));
        }
        let times = [
            ("auction stocks until", session.cas_close),
            ("auction from", session.auction_open),
            ("auction until", session.auction_close),
            ("derivatives until", session.derivatives_close),
        ];
        for (name, time) in times.iter().filter_map(|(name, time)| time.map(|time| (name, time))) {
            let _ = write!(out, ", {name} {}", clock(time));
        }
        out
    }
}

fn canonical_hours(hours: &Hours) -> String {
    let span = |span: Span| format!("{}-{}", span.open, span.close);
    let optional = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    format!(
        "{} {} {} {} {} {}",
        span(hours.continuous.0),
        optional(hours.continuous.1.map(span)),
        optional(hours.pre_open.map(span)),
        optional(hours.post_close.map(span)),
        optional(hours.derivatives_close.map(|time| time.to_string())),
        optional(hours.auction.map(|auction| format!("{} {}", auction.continuous_close, span(auction.matching)))),
    )
}

/// Monday is 0.
const fn weekday(date: Date) -> usize {
    // 1970-01-01 was a Thursday.
    (date.0 as i64 + 3).rem_euclid(7) as usize
}

/// Every date of a year.
fn year_span(year: i32) -> impl Iterator<Item = Date> {
    let day = |month, day| chrono::NaiveDate::from_ymd_opt(year, month, day).map_or(0, |day| Date::from_civil(day).0);
    (day(1, 1)..=day(12, 31)).map(Date)
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}
