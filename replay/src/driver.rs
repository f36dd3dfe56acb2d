//! The loop: next input, step, commit.
//!
//! - It holds no state of its own; a snapshot is the core's state, the source's position and the sink's.

use crate::error::ReplayError;
use crate::history;
use daybook_core::{Core, Input, Outbox};
use daybook_vocabulary::Nanos;
use serde::{Deserialize, Serialize};

/// Where inputs come from, one at a time, in one total order.
pub trait Source {
    /// Moves to the next input; false at the end. Two steps, this and [`Source::input`], so that no input travels
    /// through memory inside a `Result`.
    fn advance(&mut self) -> Result<bool, ReplayError>;

    /// The input that [`Source::advance`] moved to.
    fn input(&self) -> Input<'_>;

    /// Where it stands, between two inputs.
    fn position(&self) -> Position;

    /// Whether it can be taken up where it stands.
    fn can_be_taken_up(&self) -> bool {
        true
    }
}

/// Where a source stands between two inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Position {
    /// In journals of history.
    History(Box<history::Position>),
    /// In the session's own journal: the frame it would look at next.
    Recorded(u64),
}

/// Where outputs go.
pub trait Sink {
    /// Hears of an input before it is stepped through. False ends the loop early.
    #[inline]
    fn begin(&mut self, _: &Input<'_>) -> Result<bool, ReplayError> {
        Ok(true)
    }

    /// Takes what one input led to, in order. `time` is the input's. False ends the loop early.
    fn commit(&mut self, time: Nanos, out: &mut Outbox) -> Result<bool, ReplayError>;

    /// Called every so many inputs: a chance to snapshot, or to tell a person how far things are.
    fn checkpoint(&mut self, core: &Core, source: &dyn Source) -> Result<(), ReplayError>;
}

/// Inputs between two checkpoints, where nothing asks for more.
pub const CHECK_EVERY: u64 = 65_536;

/// How a loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every input was stepped through.
    Finished,
    /// The sink had seen enough.
    Stopped,
}

/// Steps the core through every input of the source, with a checkpoint every `check_every` inputs.
pub fn run<F: Source, S: Sink>(
    source: &mut F,
    core: &mut Core,
    sink: &mut S,
    check_every: u64,
) -> Result<Outcome, ReplayError> {
    assert!(check_every > 0, "checkpoints come after inputs");
    let mut out = Outbox::new();
    let mut now = core.now();
    let mut next_check = core.counts().inputs + check_every;
    while source.advance()? {
        let input = source.input();
        now = input.time;
        if !sink.begin(&input)? {
            return Ok(Outcome::Stopped);
        }
        core.step(&input, &mut out)?;
        if !out.is_empty() {
            let go_on = sink.commit(now, &mut out)?;
            out.clear();
            if !go_on {
                return Ok(Outcome::Stopped);
            }
        }
        if core.counts().inputs >= next_check {
            next_check += check_every;
            sink.checkpoint(core, source)?;
        }
    }
    core.finish(&mut out);
    let go_on = sink.commit(now, &mut out)?;
    out.clear();
    Ok(if go_on { Outcome::Finished } else { Outcome::Stopped })
}
