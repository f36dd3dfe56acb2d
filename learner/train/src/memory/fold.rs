//! The fold: inputs through the core that trades, decisions, trades and books into transitions.
//!
//! - The core is the one of backtest and live: its rules, its fills, its charges. Nothing is simulated here.
//! - What was decided is read from the core's own decisions, so a recorded run gives the memory that the run itself gave.
//! - Whoever drives brings the inputs; this crate reads no journal.

use super::builder::{Done, MemoryBuilder, Standing};
use super::store::{Memory, Span};
use super::{MemoryError, RewardFormula};
use daybook_core::policy::PolicyFeatures;
use daybook_core::{Body, Conclusion, Core, Input, Outbox};
use daybook_vocabulary::{Action, Decision, InstrumentId, Ruling};

/// Folds inputs into a memory.
pub struct MemoryFold {
    core: Core,
    out: Outbox,
    features: PolicyFeatures,
    builder: MemoryBuilder,
    /// What each symbol's decision at the slice was.
    done: Vec<Option<Done>>,
    holdout: Option<Span>,
}

impl MemoryFold {
    /// Folds what `core`, whose policy decides, makes of inputs. `features` keeps every row
    /// ([`PolicyFeatures::for_training`]) for the core's instruments.
    pub fn new(core: Core, features: PolicyFeatures, holdout: Option<Span>) -> Result<Self, MemoryError> {
        let symbols: Vec<String> = core.instruments().iter().map(|instrument| instrument.symbol.clone()).collect();
        if features.market().symbols() != symbols.len() {
            return Err(MemoryError::Session(format!(
                "features are kept for {} symbols, the session trades {}: give both the same",
                features.market().symbols(),
                symbols.len()
            )));
        }
        let builder = MemoryBuilder::new(symbols.clone(), features.market().timeframes().len());
        Ok(Self { core, out: Outbox::new(), features, builder, done: vec![None; symbols.len()], holdout })
    }

    /// The same with another formula of the reward.
    pub fn rewarding(self, formula: RewardFormula) -> Self {
        Self { builder: self.builder.rewarding(formula), ..self }
    }

    /// Steps through one input.
    pub fn step(&mut self, input: &Input<'_>) -> Result<(), MemoryError> {
        let closes = matches!(input.body, Body::SessionClosed);
        match input.body {
            Body::SessionOpened(hours) => self.features.on_session(&hours),
            Body::Candle(instrument, candle) => self.features.on_bar(instrument, candle),
            _ => {}
        }
        self.core.step(input, &mut self.out)?;
        for output in self.out.outputs() {
            match &output.body {
                Conclusion::Trade(trade) => self.builder.close(output.stream.index(), trade),
                Conclusion::Decision(decision) => self.done[output.stream.index()] = Some(done(decision)),
                _ => {}
            }
        }
        self.out.clear();
        if self.done.iter().any(Option::is_some) {
            let standing = self.standing();
            let unasked = Done { action: Action::Hold as u8, asked: false };
            let done: Vec<Done> = self.done.iter_mut().map(|done| done.take().unwrap_or(unasked)).collect();
            if let Some(moment) = self.features.moment(input.time) {
                self.builder.decide(self.features.market(), &moment, &done, &standing)?;
            }
        }
        if closes {
            let standing = self.standing();
            self.builder.end_session(&standing)?;
        }
        Ok(())
    }

    /// The memory of what was stepped through.
    pub fn finish(self) -> Memory {
        self.builder.finish(self.features.into_market(), self.holdout)
    }

    fn standing(&self) -> Vec<Standing> {
        let of = |index: usize| {
            let book = self.core.book(InstrumentId(index as u32));
            let Some(trade) = &book.trade else { return Standing::default() };
            let held = book.position.value(book.last) - book.position.basis;
            Standing { open: trade.gross + held - trade.fees, in_trade: true }
        };
        (0..self.done.len()).map(of).collect()
    }
}

/// The action as it was done: what the rules did not let through was a HOLD.
fn done(decision: &Decision) -> Done {
    let said = decision.action as u8;
    let hold = Action::Hold as u8;
    match decision.ruling {
        Ruling::EnterLong
        | Ruling::EnterShort
        | Ruling::ExitLongSignal
        | Ruling::ExitShortSignal
        | Ruling::ExitLongStop
        | Ruling::ExitShortStop
        | Ruling::Keep
        | Ruling::Hold => Done { action: said, asked: true },
        Ruling::TooManyTrades | Ruling::NotChosen | Ruling::BelowOneLot | Ruling::NoStop => {
            Done { action: hold, asked: true }
        }
        Ruling::AfterEnd | Ruling::ExitAtEnd | Ruling::Pending | Ruling::Withheld => {
            Done { action: hold, asked: false }
        }
    }
}
