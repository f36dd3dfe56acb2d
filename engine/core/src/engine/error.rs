//! What ends a run: inputs that cannot be stepped through, and settings that want more than there is.
//!
//! - Each says where it happened and what to do.
//! - None is raised by an order: what is wrong with an order is a verdict, and the run goes on.

use crate::strategy::Fault;
use daybook_vocabulary::{Cause, Interval, Nanos};
use thiserror::Error;

/// Why an input cannot be stepped through.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CoreError {
    /// The order of inputs is broken.
    #[error(
        "input {cause} steps back in time, from {before} to {time}: the journals are not in order; run `daybook verify`"
    )]
    TimeStepsBack {
        /// The input.
        cause: Cause,
        /// Time of the one before.
        before: Nanos,
        /// Its time.
        time: Nanos,
    },
    /// A candle came outside any session.
    #[error("the candle {cause} at {time} comes while no session is open: the calendar and the journal disagree")]
    NoSession {
        /// The input.
        cause: Cause,
        /// Its time.
        time: Nanos,
    },
    /// A candle that no market prints.
    #[error(
        "the candle {cause} is not one: prices are positive, low is lowest, high is highest, volume is not negative; run `daybook verify` on its journal"
    )]
    BadCandle {
        /// The input.
        cause: Cause,
    },
    /// Bars cannot be built from these candles.
    #[error(
        "bars of {timeframe} cannot be built from candles of {interval}: the timeframe is a multiple of the interval and at most 1d"
    )]
    Timeframe {
        /// Length of the bars.
        timeframe: Interval,
        /// Length of the candles.
        interval: Interval,
    },
    /// A slippage model without its input.
    #[error(
        "an order would fill in the candle {cause}, whose price moves while its volume is 0, and the slippage model \
         '{model}' needs a volume: supply candles with volumes, or choose bps:N or half-spread:N"
    )]
    NoVolume {
        /// The candle.
        cause: Cause,
        /// The model.
        model: &'static str,
    },
    /// A model without its input, whatever it is.
    #[error("an order would fill in the candle {cause}, and the slippage model '{model}' has no {input}")]
    NoInput {
        /// The candle.
        cause: Cause,
        /// The model.
        model: &'static str,
        /// What it misses, and what to do.
        input: &'static str,
    },
    /// A portfolio was to stop where a symbol is missing.
    #[error(
        "'{symbol}' has no candle at {time}, when the portfolio decides: bring its candles, leave it out, or choose \
         portfolio.missing=skip or wait"
    )]
    MissingAsset {
        /// The symbol.
        symbol: String,
        /// The decision's time.
        time: Nanos,
    },
    /// Something was to be decided on before it was there.
    #[error(
        "an order for '{symbol}' was to be decided at {decided}, before its first candle opened at {begins}: nobody could \
         have seen it then; begin the run earlier, or take the row out of the list"
    )]
    TooEarly {
        /// The symbol.
        symbol: String,
        /// When it was to be decided.
        decided: Nanos,
        /// Its first candle opened then.
        begins: Nanos,
    },
    /// The fee schedule does not reach back to a session.
    #[error("{0}")]
    Fees(String),
    /// A limit has nothing to be worked out from.
    #[error("{0}")]
    Limits(String),
    /// A saved state is not of this setup.
    #[error("the saved state does not fit the setup; delete the snapshot, it can be rebuilt")]
    ForeignState,
}

impl CoreError {
    /// What a strategy's fault at an instant ends the run with.
    pub(super) fn of_strategy(fault: Fault, time: Nanos) -> Self {
        match fault {
            Fault::Missing(symbol) => Self::MissingAsset { symbol, time },
            Fault::Early { symbol, decided, begins } => Self::TooEarly { symbol, decided, begins },
        }
    }
}
