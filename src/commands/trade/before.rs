//! The session that another one goes on from: `trade --after RUN`.
//!
//! - What comes along is what the account was: its equity as cash, the peak that a drawdown is counted from, and every
//!   lock that only an operator releases.
//! - It is of an earlier day, of the same kind and flat: a day's own limits hold for the whole of it, and what was won on
//!   paper is not the broker's.
//! - Must never: make a lock end that nobody has resumed.

use super::mode::Mode;
use crate::cli::Cli;
use daybook_replay::status::Status;
use daybook_vocabulary::{Date, LimitKind, SessionMode};
use std::error::Error;
use std::path::{Path, PathBuf};

/// An earlier session, as it ended.
pub struct Before {
    run: PathBuf,
    status: Status,
}

impl Before {
    /// Looks at it; one that is at work or holds something is refused.
    pub fn of(cli: &Cli, run: &Path) -> Result<Self, Box<dyn Error>> {
        let found = super::super::status::status_of(cli, run);
        let status = found.map_err(|error| format!("--after {}: {error}", run.display()))?;
        let before = Self { run: run.to_owned(), status };
        if before.status.running {
            return Err(before.refused("a daemon is at work on it; it is over when that has ended"));
        }
        if let Some(held) = before.status.positions.iter().find(|held| !held.quantity.is_zero()) {
            let (held, symbol) = (held.quantity, &held.symbol);
            let why = format!("it still holds {held} {symbol}; take it up and leave that, or begin without --after");
            return Err(before.refused(&why));
        }
        Ok(before)
    }

    /// The settings that follow from it (BT-38).
    pub fn settings(&self) -> [(String, String); 2] {
        let amounts = [("cash", self.status.account.equity), ("risk.equity_peak", self.status.risk.peak)];
        amounts.map(|(key, amount)| (key.to_owned(), amount.to_string()))
    }

    /// Refuses one of the other kind.
    pub fn check_mode(&self, mode: Mode) -> Result<(), Box<dyn Error>> {
        let is_live = self.status.mode == SessionMode::Live;
        if is_live != (mode == Mode::Live) {
            let was = if is_live { "at the broker" } else { "on paper" };
            return Err(self.refused(&format!("it was {was}, and this one is {mode}; begin without --after")));
        }
        Ok(())
    }

    /// Refuses one of the same day: its day's loss and its locks would be forgotten.
    pub fn check_date(&self, today: Date) -> Result<(), Box<dyn Error>> {
        match self.status.session {
            Some(date) if date >= today => {
                let why = format!("it is of {date}, and today is {today}; take it up with --session instead");
                Err(self.refused(&why))
            }
            _ => Ok(()),
        }
    }

    /// A lock that a session does not end and its cash does not bring back: this one begins halted.
    pub fn lock(&self) -> Option<LimitKind> {
        let mut locks = self.status.risk.locks.iter().map(|lock| lock.limit);
        locks.find(|limit| matches!(limit, LimitKind::KillSwitch | LimitKind::Reconciliation))
    }

    fn refused(&self, why: &str) -> Box<dyn Error> {
        format!("--after {}: {why}", self.run.display()).into()
    }
}
