//! Why a file of candles is refused, and why a row is.
//!
//! - Every message names the file and says what to do.
//! - What comes from a file is shown with its control characters escaped: a terminal obeys some of them.
//! - A [`Reason`] is a word of the journal's format: its text is never changed, new ones are added at the end.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// A file that is not read at all.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("{}: {source}; check that the file exists and can be read", shown(path.display()))]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its bytes are not what its format says.
    #[error("{}: damaged ({}); get the file again from its source", shown(path.display()), shown(what))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and what.
        what: String,
    },
    /// It is readable and holds something else.
    #[error(
        "{}: not candles: it seems to be {}; ingest takes files with time, open, high, low and close",
        shown(path.display()), shown(seems)
    )]
    NotCandles {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        seems: String,
    },
    /// A format or feature that is not read.
    #[error("{}: {}", shown(path.display()), shown(what))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What, and what to do.
        what: String,
    },
    /// No symbol column, and the name of the file does not say it.
    #[error("{}: no symbol column and none in the file name; give --symbol NAME", shown(path.display()))]
    NoSymbol {
        /// The file.
        path: PathBuf,
    },
    /// Dates such as 03/04/2024 only.
    #[error(
        "{}: dates such as '{}' may be day/month or month/day and no row decides it; give --date-order dmy or --date-order mdy",
        shown(path.display()), shown(example)
    )]
    AmbiguousDates {
        /// The file.
        path: PathBuf,
        /// One of them.
        example: String,
    },
    /// The length of a bar cannot be told.
    #[error(
        "{}: the interval of {} is not in the file name and its rows do not show it; give --interval, such as --interval 5m",
        shown(path.display()), shown(symbol)
    )]
    UnknownInterval {
        /// The file.
        path: PathBuf,
        /// The symbol.
        symbol: String,
    },
    /// The name says one interval, the rows another.
    #[error(
        "{}: the file name says {named} but rows of {} are mostly {spacing} apart; give --interval to decide",
        shown(path.display()), shown(symbol)
    )]
    IntervalContradiction {
        /// The file.
        path: PathBuf,
        /// The symbol.
        symbol: String,
        /// What the name says.
        named: String,
        /// What the rows say.
        spacing: String,
    },
    /// It was written to between two passes.
    #[error("{}: changed while it was read; run the command again when nothing writes to it", shown(path.display()))]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    /// The file at fault.
    pub fn path(&self) -> &Path {
        match self {
            Self::Open { path, .. }
            | Self::Damaged { path, .. }
            | Self::NotCandles { path, .. }
            | Self::Unsupported { path, .. }
            | Self::NoSymbol { path }
            | Self::AmbiguousDates { path, .. }
            | Self::UnknownInterval { path, .. }
            | Self::IntervalContradiction { path, .. }
            | Self::Changed { path } => path,
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl std::fmt::Display) -> Self {
        // One line, whatever a foreign reader has to say.
        let mut what = what.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        what.truncate(what.char_indices().nth(300).map_or(what.len(), |(at, _)| at));
        Self::Damaged { path: path.to_owned(), what }
    }
}

/// A foreign text as it may go to a terminal.
fn shown(text: impl std::fmt::Display) -> String {
    let text = text.to_string();
    if !text.chars().any(char::is_control) {
        return text;
    }
    let escape = |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() };
    text.chars().map(escape).collect()
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $word:literal),* $(,)?) => {
        /// Why a row did not become a candle. Ordered by name of the word in reports, by number in memory.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its word in the journal and in reports.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

reasons! {
    /// A line with too few or too many cells, an open quote or a symbol that is not one.
    BrokenRow "broken_row",
    /// The time is missing or cannot be read.
    BadTime "bad_time",
    /// A price is missing.
    MissingValue "missing_value",
    /// A cell is not a number.
    NotANumber "not_a_number",
    /// A price or volume is infinite or NaN.
    NotFinite "not_finite",
    /// A price or volume is below zero.
    Negative "negative",
    /// A value does not fit in 64 bits at 1e-8.
    OutOfRange "out_of_range",
    /// The volume is missing though other rows of the instrument have one.
    MissingVolume "missing_volume",
    /// Not `0 < low <= open, close <= high`.
    BrokenOhlc "broken_ohlc",
    /// A row off the grid of the file's interval.
    WrongInterval "wrong_interval",
    /// Outside every session of its date.
    OutsideSession "outside_session",
    /// Stamped exactly at the session's close.
    ClosingPrint "closing_print",
    /// Another row of the same stamp has other values.
    DuplicateStamp "duplicate_stamp",
    /// The journal already holds other values for this stamp.
    ConflictsWithJournal "conflicts_with_journal",
}

impl Reason {
    /// From its number in memory.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.word())
    }
}
