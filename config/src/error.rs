//! What can go wrong with settings and reference data: one enum, each message a line that says what to do.
//!
//! - A message names the file and line, the key, the date or the schedule at fault.
//! - A message never holds the value of a key that looks secret; `settings` sees to that before it builds one.

use daybook_vocabulary::Date;
use std::path::PathBuf;
use thiserror::Error;

/// Why settings or reference data cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}; check the path and its permissions", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what its format asks for.
    #[error("{place}: {reason}")]
    Format {
        /// File and, where known, line.
        place: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// Neither a built-in market nor a file.
    #[error("unknown market '{name}': use one of {known}, or the path of a calendar file")]
    UnknownMarket {
        /// What was asked for.
        name: String,
        /// Built-in markets, nearest first.
        known: String,
    },
    /// A date that the calendar does not reach.
    #[error(
        "the {market} calendar knows {years} and not {date}: supply the missing year in a calendar file \
         (--set calendar.file=FILE)"
    )]
    CalendarEnds {
        /// The market.
        market: String,
        /// The date asked for.
        date: Date,
        /// The years the calendar has.
        years: String,
    },
    /// A calendar file says something else than the calendar it extends.
    #[error(
        "{place}: contradicts the {market} calendar on {date} (there: {known}; in the file: {claimed}); remove the \
         date from the file, or list it under `replaces` if the file is right"
    )]
    CalendarContradicts {
        /// The file.
        place: String,
        /// The market.
        market: String,
        /// The date.
        date: Date,
        /// What the calendar has.
        known: String,
        /// What the file has.
        claimed: String,
    },
    /// No fee schedule of that name.
    #[error("unknown fee schedule '{name}': use one of {known}")]
    UnknownSchedule {
        /// What was asked for.
        name: String,
        /// Schedules that exist, nearest first.
        known: String,
    },
    /// A fee schedule with a number that cannot be used.
    #[error("fee schedule '{name}': {reason}")]
    ScheduleNumber {
        /// The schedule as it was written.
        name: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A table of dated facts has nothing for so early a date.
    #[error("{table} begins on {first} and has nothing for {date}: choose a later start, or another {kind}")]
    BeforeFirstEntry {
        /// The table, such as `fee schedule 'zerodha-intraday'`.
        table: String,
        /// The kind of thing that could be chosen instead.
        kind: &'static str,
        /// The date asked for.
        date: Date,
        /// First date it has.
        first: Date,
    },
    /// A table of dated facts has nothing for so late a date.
    #[error("{table} ends on {last} and has nothing for {date}: choose an earlier end, or another {kind}")]
    AfterLastEntry {
        /// The table.
        table: String,
        /// The kind of thing that could be chosen instead.
        kind: &'static str,
        /// The date asked for.
        date: Date,
        /// Last date it has.
        last: Date,
    },
    /// A key that does not exist.
    #[error("unknown key '{key}' ({origin}){hint}; `daybook config show` lists every key")]
    UnknownKey {
        /// The key as it was written.
        key: String,
        /// Where it was written.
        origin: String,
        /// The nearest key, as a phrase, or nothing.
        hint: String,
    },
    /// A value that its key does not take.
    #[error("{key} = {value} ({origin}): expected {expected}")]
    WrongValue {
        /// The key.
        key: String,
        /// The value in quotes; a placeholder where the key looks secret.
        value: String,
        /// Where it was written.
        origin: String,
        /// What the key takes.
        expected: String,
    },
}
