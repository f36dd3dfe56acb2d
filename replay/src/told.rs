//! Where the inputs of a session come from: journals of history, or the recorded market of another session.
//!
//! - The loop of a backtest on history is generic and knows its source; this is for who may meet either: audit, fork.
//! - A session's recorded market keeps its causes: rank 0 and the seq of that session's journal, which the header of
//!   whoever reads it names as its input of rank 0.

use crate::driver::{Position, Source};
use crate::error::ReplayError;
use crate::history::HistorySource;
use crate::recorded::RecordedSource;
use daybook_core::Input;

/// Inputs from one of the two.
pub(crate) enum Told {
    /// From journals of history.
    History(Box<HistorySource>),
    /// From the journal of a session on a live market.
    Session(Box<RecordedSource>),
}

impl Told {
    /// The input that was moved to comes once more; only a session's, where somebody looked ahead.
    pub(crate) fn again(&mut self) {
        match self {
            Self::History(_) => unreachable!("a stage of a run on history ends with an output"),
            Self::Session(source) => source.again(),
        }
    }

    /// True where the calendar did not know every date.
    pub(crate) fn met_unknown_dates(&self) -> bool {
        match self {
            Self::History(source) => source.met_unknown_dates(),
            Self::Session(_) => false,
        }
    }
}

impl Source for Told {
    fn advance(&mut self) -> Result<bool, ReplayError> {
        match self {
            Self::History(source) => source.advance(),
            Self::Session(source) => source.advance(),
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Self::History(source) => source.input(),
            Self::Session(source) => source.input(),
        }
    }

    fn position(&self) -> Position {
        match self {
            Self::History(source) => source.position(),
            Self::Session(source) => source.position(),
        }
    }
}
