//! A trial: a strategy over a range, in memory, without a session of its own. For evaluation, not for the record.
//!
//! - The core, the fills and the charges are those of a backtest: only the journal is missing.
//! - Must never: be quoted as a backtest; what is to be audited is run by `backtest`.

use crate::backtest::Prepared;
use crate::driver::Source;
use crate::error::ReplayError;
use crate::plan::Plan;
use daybook_core::strategy::Strategy;
use daybook_core::{Conclusion, Core, Outbox};
use daybook_vocabulary::{Account, Action, Decision, InstrumentId, Money, Nanos, Price, Ratio, TradeClosed};

/// What a strategy did.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Cash at the start.
    pub cash: Money,
    /// Closed trades, in order.
    pub trades: Vec<TradeClosed>,
    /// The account at each session's close.
    pub accounts: Vec<Account>,
    /// Decisions of a policy, by BUY, SELL, HOLD.
    pub actions: [u64; 3],
    /// What a policy said, in order; what it withheld is left out.
    pub words: Vec<Spoken>,
}

/// What a policy said of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// The symbol.
    pub instrument: InstrumentId,
    /// When: the slice.
    pub time: Nanos,
    /// The decision's number.
    pub decision: u64,
    /// BUY, SELL or HOLD.
    pub action: Action,
    /// How sure it was.
    pub confidence: Ratio,
    /// The close of the bar it was said at.
    pub price: Price,
}

/// Runs `strategy` (the plan's own when absent) over what was prepared. `progress` is told how many inputs were stepped
/// through.
pub fn trial(
    prepared: &Prepared,
    plan: &Plan,
    strategy: Option<Box<dyn Strategy>>,
    progress: &mut dyn FnMut(u64),
) -> Result<Trial, ReplayError> {
    let mut core = core_of(prepared, plan, strategy)?;
    let mut source = prepared.source(plan)?;
    let mut found = Trial { cash: core.ledger().start, ..Trial::default() };
    let (mut out, mut inputs) = (Outbox::new(), 0u64);
    while source.advance()? {
        let input = source.input();
        let time = input.time;
        core.step(&input, &mut out)?;
        for output in out.outputs() {
            match &output.body {
                Conclusion::Trade(trade) => found.trades.push(trade.clone()),
                Conclusion::Account(account) => found.accounts.push(account.clone()),
                Conclusion::Decision(decision) => {
                    found.actions[decision.action as usize] += 1;
                    found.words.extend(spoken(&core, time, output.stream, decision));
                }
                _ => {}
            }
        }
        out.clear();
        inputs += 1;
        if inputs.is_multiple_of(1_024) {
            progress(inputs);
        }
    }
    Ok(found)
}

/// Nothing where the policy withheld its word, whatever the rules made of that: such a decision has no confidence.
fn spoken(core: &Core, time: Nanos, instrument: InstrumentId, decision: &Decision) -> Option<Spoken> {
    (decision.confidence > Ratio(0)).then(|| Spoken {
        instrument,
        time,
        decision: decision.decision,
        action: decision.action,
        confidence: decision.confidence,
        price: core.book(instrument).last,
    })
}

/// A core over what was prepared, with another strategy than the plan's.
fn core_of(prepared: &Prepared, plan: &Plan, strategy: Option<Box<dyn Strategy>>) -> Result<Core, ReplayError> {
    match strategy {
        None => plan.core(&prepared.selection, &prepared.filter, prepared.range),
        Some(strategy) => {
            let setup = plan.setup_with(strategy, &prepared.selection, &prepared.filter, prepared.range)?;
            plan.equip(Core::new(setup), &prepared.selection)
        }
    }
}
