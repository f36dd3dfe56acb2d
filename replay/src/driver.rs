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

    /// Moves to the next input and shows it. A source of which the loop is made to be fast shows each frequent kind of
    /// input in a place of its own, so that what hears it is compiled for that kind.
    #[inline(always)]
    fn pull(&mut self, ear: &mut impl Ear) -> Result<Pulled, ReplayError>
    where
        Self: Sized,
    {
        if self.advance()? { ear.hear(&self.input()) } else { Ok(Pulled::Nothing) }
    }

    /// Where it stands, between two inputs.
    fn position(&self) -> Position;
}

/// Hears inputs, one at a time.
pub trait Ear {
    /// Hears one.
    fn hear(&mut self, input: &Input<'_>) -> Result<Pulled, ReplayError>;
}

/// What came of asking for an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// It was heard.
    Heard,
    /// It was heard, and was enough.
    Enough,
    /// There is none.
    Nothing,
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
    let mut next_check = core.counts().inputs + check_every;
    let mut step = Step { now: core.now(), core, sink, out: Outbox::new() };
    loop {
        match source.pull(&mut step)? {
            Pulled::Heard => {}
            Pulled::Enough => return Ok(Outcome::Stopped),
            Pulled::Nothing => break,
        }
        if step.core.counts().inputs >= next_check {
            next_check += check_every;
            step.sink.checkpoint(step.core, source)?;
        }
    }
    step.core.finish(&mut step.out);
    Ok(if step.commit()? == Pulled::Heard { Outcome::Finished } else { Outcome::Stopped })
}

/// What one input goes through.
struct Step<'a, S> {
    core: &'a mut Core,
    sink: &'a mut S,
    out: Outbox,
    /// Time of the last input.
    now: Nanos,
}

impl<S: Sink> Ear for Step<'_, S> {
    #[inline(always)]
    fn hear(&mut self, input: &Input<'_>) -> Result<Pulled, ReplayError> {
        self.now = input.time;
        if !self.sink.begin(input)? {
            return Ok(Pulled::Enough);
        }
        self.core.step_inlined(input, &mut self.out)?;
        if self.out.is_empty() { Ok(Pulled::Heard) } else { self.commit() }
    }
}

impl<S: Sink> Step<'_, S> {
    #[inline(never)]
    fn commit(&mut self) -> Result<Pulled, ReplayError> {
        let go_on = self.sink.commit(self.now, &mut self.out)?;
        self.out.clear();
        Ok(if go_on { Pulled::Heard } else { Pulled::Enough })
    }
}
