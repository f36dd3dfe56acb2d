//! What the risk gate and the operator say: refusals with their numbers, limits that trip, commands.
//!
//! - A refusal names what was allowed and what was met, in one unit: nobody has to guess how near it was.
//! - A limit trips once per session and is released by an event of its own.
//! - A command of the operator is an input: it is journaled before it acts and replayed like a candle.

use crate::label::Label;
use crate::order::{OrderId, Verdict, words};
use crate::time::Date;
use crate::units::{Cause, Measure};
use rkyv::{Archive, Deserialize, Serialize};

/// Why an intent was refused, with the numbers. It follows its intent.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct RiskVerdict {
    /// The candle the order was decided on.
    pub cause: Cause,
    /// The order.
    pub order: OrderId,
    /// The check that refused it.
    pub verdict: Verdict,
    /// What the check allows.
    pub limit: Measure,
    /// What it met, in the same unit.
    pub observed: Measure,
}

words!(
    /// A limit that locks trading when it trips.
    LimitKind "kebab-case" {
        /// Loss of the session in the account's currency.
        DailyLoss = "daily-loss",
        /// Loss of the session in percent of the equity it began with.
        DailyLossPercent = "daily-loss-percent",
        /// Loss of the session in R: multiples of what each trade risked at first.
        DailyLossR = "daily-loss-r",
        /// Fall of the equity from its peak, in percent of the peak.
        Drawdown = "drawdown",
        /// Equity below the margin that the positions need.
        Margin = "margin",
        /// The operator's kill switch.
        KillSwitch = "kill-switch",
        /// The end of the time in which positions may be held.
        HardTradingEnd = "hard-trading-end",
        /// The broker's books differ from ours.
        Reconciliation = "reconciliation",
        /// The daemon keeps entries back by itself, while its feed is away or its disk is full.
        Suspended = "suspended",
    }
);

impl LimitKind {
    /// True where its numbers are seconds after midnight of the exchange.
    pub const fn is_hour(self) -> bool {
        matches!(self, Self::HardTradingEnd)
    }
}

words!(
    /// What a limit did.
    LimitChange "kebab-case" {
        /// It was reached: entries are locked, and positions are left where that is configured.
        Tripped = "tripped",
        /// Entries are allowed again.
        Released = "released",
    }
);

/// A limit tripped or was released.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct LimitMoved {
    /// The last candle before it.
    pub cause: Cause,
    /// The session.
    pub session: Date,
    /// Which limit.
    pub limit: LimitKind,
    /// What it did.
    pub change: LimitChange,
    /// True when every position is being left.
    pub flatten: bool,
    /// What the limit allows.
    pub allowed: Measure,
    /// What was met, in the same unit.
    pub observed: Measure,
}

words!(
    /// What an operator can say.
    Command "kebab-case" {
        /// Leave every position, cancel every entry, allow no other until [`Command::Resume`].
        Kill = "kill",
        /// Allow no entry until [`Command::Resume`]; positions stay.
        Halt = "halt",
        /// Allow entries again; a limit of the session that tripped stays, and so does [`Command::Suspend`].
        Resume = "resume",
        /// Orders may be sent to the broker from here on, until the session ends.
        Arm = "arm",
        /// Allow no entry until [`Command::Restore`]: the daemon's own word, while its feed is away or its disk is
        /// full.
        Suspend = "suspend",
        /// What kept entries back is over: takes back [`Command::Suspend`] and nothing else.
        Restore = "restore",
    }
);

/// A command of the operator: an input.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct OperatorCommand {
    /// What is to be done.
    pub command: Command,
    /// Where it came from, such as `sigterm` or `killswitch-file`.
    pub source: Label,
}
