//! What the broker's JSON is made of: numbers, times, words, and the envelope around every answer.
//!
//! - A number is read from its digits: no float stands between the broker's text and units of 1e-8.
//! - A word that this version does not know is kept as [`Other`](Status::Other), with its text: an unknown status is
//!   not terminal, an unknown side is nobody's to guess.
//! - Times have no zone on the wire; they are India's, which has one offset all year.

use daybook_vocabulary::time::{HOUR, MINUTE, SECOND};
use daybook_vocabulary::{Date, Nanos, decimal};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// India's offset from UTC, in nanoseconds.
pub const ZONE: i64 = 5 * HOUR + 30 * MINUTE;

/// A JSON number in units of 1e-8; also one in quotes, and zero for null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Units(pub i64);

impl Units {
    /// Reads the text of a JSON value.
    pub fn of(raw: &str) -> Option<Self> {
        if raw == "null" {
            return Some(Self(0));
        }
        let digits = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
        decimal::parse_i64(digits).ok().map(Self)
    }

    /// The number as a JSON number or a form's value.
    pub fn text(self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = decimal::write(i128::from(self.0), &mut out);
        out
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::of(raw.get()).ok_or_else(|| serde::de::Error::custom(format!("{} is not a number that fits", raw.get())))
    }
}

/// An instant of the wire: `2026-11-20 09:15:00`, India's time. Empty and null are no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp(pub Option<Nanos>);

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let time = local_time(&text);
        time.map(|time| Self(Some(time))).ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not a time")))
    }
}

/// Reads `2026-11-20 09:15:00` (or with `T`) as India's time.
pub fn local_time(text: &str) -> Option<Nanos> {
    let (date, clock) = text.split_at_checked(10)?;
    let date: Date = date.parse().ok()?;
    let clock = clock.strip_prefix([' ', 'T'])?;
    let mut parts = clock.split(':');
    let mut next = |below: i64| {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        part.parse::<i64>().ok().filter(|&value| value < below)
    };
    let (hours, minutes, seconds) = (next(24)?, next(60)?, next(60)?);
    if parts.next().is_some() {
        return None;
    }
    Some(date.midnight() + (hours * HOUR + minutes * MINUTE + seconds * SECOND - ZONE))
}

/// An instant as the broker wants it: `2026-11-20 09:15:00`, India's time, whole seconds.
pub fn local_text(time: Nanos) -> String {
    let date = Date::of(time, ZONE);
    let rest = ((time + ZONE) - date.midnight()) / SECOND;
    format!("{date} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

macro_rules! wire_words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A word this version does not know, as it was.
            Other(String),
        }

        impl $name {
            /// The word on the wire.
            pub fn text(&self) -> &str {
                match self { $(Self::$variant => $text,)* Self::Other(text) => text }
            }

            /// False for a word this version does not know.
            pub const fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text { $($text => Self::$variant,)* other => Self::Other(other.to_owned()) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.text())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
                Ok(Self::from(text.as_str()))
            }
        }
    )*};
}

wire_words! {
    /// Where an order stands at the broker. A partial fill stays `Open`; a cancelled order may have fills.
    Status {
        /// Received by the broker.
        Received = "PUT ORDER REQ RECEIVED",
        /// Received for the next session.
        AmoReceived = "AMO REQ RECEIVED",
        /// Being checked by the broker.
        ValidationPending = "VALIDATION PENDING",
        /// On its way to the exchange.
        OpenPending = "OPEN PENDING",
        /// Waiting for its trigger.
        TriggerPending = "TRIGGER PENDING",
        /// Working.
        Open = "OPEN",
        /// A change is being checked.
        ModifyValidationPending = "MODIFY VALIDATION PENDING",
        /// A change is on its way.
        ModifyPending = "MODIFY PENDING",
        /// A change was taken.
        Modified = "MODIFIED",
        /// A change was refused; the order works on.
        NotModified = "NOT MODIFIED",
        /// A cancel is on its way.
        CancelPending = "CANCEL PENDING",
        /// A cancel was refused; the order works on.
        NotCancelled = "NOT CANCELLED",
        /// A partial fill or a change, in messages.
        Update = "UPDATE",
        /// Filled whole.
        Complete = "COMPLETE",
        /// Cancelled; what was filled before stays.
        Cancelled = "CANCELLED",
        /// Cancelled before its session.
        AmoCancelled = "CANCELLED AMO",
        /// Refused by broker or exchange.
        Rejected = "REJECTED",
    }
    /// Which way.
    Transaction {
        /// Buy.
        Buy = "BUY",
        /// Sell.
        Sell = "SELL",
    }
    /// How an order is priced.
    Pricing {
        /// At the market, within its protection.
        Market = "MARKET",
        /// At the limit or better.
        Limit = "LIMIT",
        /// A limit order once its trigger traded.
        StopLimit = "SL",
        /// A market order once its trigger traded.
        StopMarket = "SL-M",
    }
    /// What kind of position it makes.
    Product {
        /// Delivery.
        Cnc = "CNC",
        /// Intraday: squared off by the broker.
        Mis = "MIS",
        /// Derivatives, carried.
        Nrml = "NRML",
        /// Delivery on the broker's money.
        Mtf = "MTF",
        /// A cover order's.
        Co = "CO",
    }
    /// How long it works.
    Validity {
        /// Until the session ends.
        Day = "DAY",
        /// What fills at once.
        Ioc = "IOC",
        /// For some minutes.
        Ttl = "TTL",
    }
    /// What kind of order it is.
    Variety {
        /// An ordinary one.
        Regular = "regular",
        /// For the next session.
        Amo = "amo",
        /// With its stop.
        Co = "co",
        /// In legs.
        Iceberg = "iceberg",
        /// For the auction market.
        Auction = "auction",
    }
}

impl Status {
    /// True when nothing more can happen to the order. An unknown word is not terminal.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled | Self::AmoCancelled | Self::Rejected)
    }
}

/// The envelope around every JSON answer, its data not yet looked at.
#[derive(Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub error_type: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// True where the answer is a refusal, whatever its HTTP code.
    pub fn is_error(&self) -> bool {
        self.error_type.is_some() || self.status.as_deref() == Some("error")
    }
}

/// A row of an answer that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its place in the answer, from 1.
    pub row: u64,
    /// Why.
    pub reason: String,
    /// What it says, shortened.
    pub text: String,
}

/// The most of a row that is kept.
const TEXT_MAX: usize = 512;

/// A text cut to at most `max` bytes at a character, without control characters.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    let end = (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[..end].chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Reads a list row by row: a row that is not what it should be costs nobody else.
pub(crate) fn rows<T: for<'de> Deserialize<'de>>(data: &str) -> Result<(Vec<T>, Vec<BadRow>), serde_json::Error> {
    let list: Vec<&RawValue> = serde_json::from_str(data)?;
    let (mut read, mut bad) = (Vec::with_capacity(list.len()), Vec::new());
    for (row, raw) in (1..).zip(list) {
        match serde_json::from_str(raw.get()) {
            Ok(one) => read.push(one),
            Err(error) => {
                bad.push(BadRow { row, reason: error.to_string(), text: shortened(raw.get(), TEXT_MAX) });
            }
        }
    }
    Ok((read, bad))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_exact() {
        for (text, units) in [
            ("1573.7", 157_370_000_000),
            ("0.1", 10_000_000),
            ("1e3", 100_000_000_000),
            ("\"12.5\"", 1_250_000_000),
            ("null", 0),
            ("1300.0500000000002", 130_005_000_000),
        ] {
            assert_eq!(Units::of(text), Some(Units(units)), "{text}");
        }
        for bad in ["true", "\"\"", "{}", "1e400", "NaN", "\"x\""] {
            assert_eq!(Units::of(bad), None, "{bad}");
        }
        assert_eq!(serde_json::from_str::<Vec<Units>>("[1.5,2]").unwrap(), [Units(150_000_000), Units(200_000_000)]);
        assert_eq!(Units(157_370_000_000).text(), "1573.7");
    }

    #[test]
    fn times_are_indias() {
        let time = local_time("2026-11-20 09:15:00").unwrap();
        assert_eq!(time.to_string(), "2026-11-20T03:45:00Z");
        assert_eq!(local_text(time), "2026-11-20 09:15:00");
        for bad in
            ["", "2026-11-20", "2026-11-20 9:15:00", "2026-11-20 24:00:00", "2026-13-01 00:00:00", "2026-11-20 09:15"]
        {
            assert_eq!(local_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_words_are_kept_and_never_terminal() {
        let status: Status = serde_json::from_str("\"HALF DONE\"").unwrap();
        assert_eq!((status.text(), status.is_known(), status.is_terminal()), ("HALF DONE", false, false));
        assert!(Status::from("CANCELLED AMO").is_terminal() && !Status::from("OPEN").is_terminal());
    }

    #[test]
    fn one_bad_row_costs_nobody_else() {
        let (read, bad) = rows::<Units>("[1, \"x\", 3]").unwrap();
        assert_eq!(read, [Units(100_000_000), Units(300_000_000)]);
        assert_eq!((bad[0].row, bad[0].text.as_str()), (2, "\"x\""));
        assert!(rows::<Units>("{}").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            let _ = (Units::of(&text), local_time(&text), shortened(&text, 7), rows::<Units>(&text).is_ok());
        }
    }
}
