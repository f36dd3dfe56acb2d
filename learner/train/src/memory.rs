//! Replay memory: what was decided, what came of it, and what was seen, folded from a journal by the core that trades.
//!
//! ```text
//! inputs ─► fold.rs ─► core.step ─► decisions, trades, books ─► builder.rs ─► store.rs ─► training.rs (a Dataset)
//!              └─► features of every bar, kept once ─────────────────────────────┘            └─ sampling.rs
//! ```
//!
//! - A transition is one symbol at one decision time: action, its own trade's reward, what follows. Features are not in
//!   it: it points into the shared matrix of rows.
//! - What a symbol has made (profit taken, plus what is held at its last price, less charges) changes from one decision
//!   to the next. The changes are money, in units of 1e-8, and add up to the trade's profit net of charges exactly:
//!   checked for each trade before any division. [`RewardFormula`] makes rewards of them, over the trade's initial risk.
//! - An episode of a symbol ends with the session in which it is flat.
//! - What is held out is refused by the store with a typed error.
//! - **Memory**: a transition takes [`Memory::bytes_per_transition`], about 40 bytes with two timeframes; the rows of
//!   features are shared and counted apart.

mod builder;
mod exploring;
mod file;
mod fold;
mod reward;
mod sampling;
mod store;
mod training;

pub use builder::{Done, MemoryBuilder, Standing};
pub use exploring::{Epsilon, Exploring};
pub use file::Stored;
pub use fold::MemoryFold;
pub use reward::RewardFormula;
pub use sampling::{Sampling, SumTree};
pub use store::{Counted, Memory, Span, TradeRecord, Transition};
pub use training::{Held, TrainingSet};

use daybook_core::CoreError;
use daybook_vocabulary::{Money, Nanos};
use thiserror::Error;

/// Why a memory cannot be built or used.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// The core refused an input.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// Training was asked for on what is held out.
    #[error(
        "training on {wanted} would see what is held out ({held}): end --to before the hold-out, begin --from after it, or move --holdout"
    )]
    HeldOut {
        /// What was asked for.
        wanted: Span,
        /// What is held out.
        held: Span,
    },
    /// There is nothing in a range.
    #[error(
        "no decision was made in {span}: of {withheld} decision times all lacked features or fell outside; features start a \
         month into a journal (a year for daily bars), ingest earlier candles or begin --from later"
    )]
    Empty {
        /// The range.
        span: Span,
        /// Decision times that were withheld.
        withheld: u64,
    },
    /// A trade whose rewards do not add up: a fault of this program.
    #[error(
        "{symbol}: the rewards of the trade that closed at {at} add up to {sum}, its profit is {net}; this is a fault of \
         daybook, please report it"
    )]
    Identity {
        /// The symbol.
        symbol: String,
        /// When it closed.
        at: Nanos,
        /// What its rewards add up to.
        sum: Money,
        /// What it made.
        net: Money,
    },
    /// The session is not one a memory can be folded from.
    #[error("{0}")]
    Session(String),
}
