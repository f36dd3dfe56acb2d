//! Columns of what trades are measured by, in tables and exports alike.
//!
//! - Every ratio is worked out by the trade's own methods; a ratio that is undefined is empty, never zero.
//! - A trade from before trades were measured has empty cells.

use daybook_features::columns::{Cell, ColumnType};
use daybook_vocabulary::{Money, Ratio, TradeClosed};

use ColumnType::{Decimal, U64, Utf8};

/// Columns of a trade's measures.
pub(super) const MEASURES: [(&str, ColumnType); 16] = [
    ("stop", Decimal),
    ("high", Decimal),
    ("low", Decimal),
    ("planned", Decimal),
    ("entry_fees", Decimal),
    ("exit_fees", Decimal),
    ("entry_slippage", Decimal),
    ("exit_slippage", Decimal),
    ("r", Decimal),
    ("mae_r", Decimal),
    ("mfe", Decimal),
    ("mfe_captured_pct", Decimal),
    ("shortfall_pct", Decimal),
    ("adherence_pct", Decimal),
    ("rules_broken", Utf8),
    ("decision", U64),
];

/// The rules of the plan that a trade broke, separated by spaces.
pub(super) fn broken(trade: &TradeClosed) -> String {
    trade.measures.map_or_else(String::new, |measures| measures.rules.broken().collect::<Vec<_>>().join(" "))
}

/// The cells of [`MEASURES`]; `broken` is what [`broken`] says.
pub(super) fn measures<'a>(trade: &TradeClosed, broken: &'a str) -> [Cell<'a>; 16] {
    let Some(measures) = trade.measures else { return [const { Cell::Null }; 16] };
    let ratio = |ratio: Option<Ratio>| ratio.map_or(Cell::Null, |ratio| Cell::Decimal(ratio.0.into()));
    let money = |amount: Money| Cell::Decimal(amount.0);
    [
        measures.stop.into(),
        measures.high.into(),
        measures.low.into(),
        money(measures.planned),
        money(trade.fees - measures.exit_fees),
        money(measures.exit_fees),
        money(measures.entry_slippage),
        money(measures.exit_slippage),
        ratio(trade.r_multiple()),
        ratio(trade.mae_r()),
        trade.mfe().map_or(Cell::Null, money),
        ratio(trade.mfe_captured()),
        ratio(trade.shortfall()),
        ratio(trade.adherence()),
        Cell::Text(broken),
        Cell::U64(measures.decision),
    ]
}

/// A mean of ratios, kept exactly until it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    sum: i128,
    count: u64,
}

impl Mean {
    fn add(&mut self, ratio: Option<Ratio>) {
        self.add_money(ratio.map(|ratio| Money(ratio.0.into())));
    }

    fn add_money(&mut self, amount: Option<Money>) {
        if let Some(amount) = amount {
            self.sum = self.sum.saturating_add(amount.0);
            self.count += 1;
        }
    }

    /// For people; nothing where no trade had the ratio.
    pub(super) fn value(self) -> Option<f64> {
        (self.count > 0).then(|| Money(self.sum).to_f64() / self.count as f64)
    }
}

/// What all trades together are measured by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    /// R multiples.
    pub(super) r: Mean,
    /// Adverse excursions in R.
    pub(super) mae_r: Mean,
    /// Favourable excursions in money.
    pub(super) mfe: Mean,
    /// What was captured of them, in percent.
    pub(super) captured: Mean,
    /// Shortfalls in percent of the risk.
    pub(super) shortfall: Mean,
    /// Plan adherence in percent.
    adherence: Mean,
    /// Some trade had a stop: there was a plan.
    planned: bool,
}

impl Measured {
    /// Adds a closed trade.
    pub(super) fn add(&mut self, trade: &TradeClosed) {
        self.r.add(trade.r_multiple());
        self.mae_r.add(trade.mae_r());
        self.mfe.add_money(trade.mfe());
        self.captured.add(trade.mfe_captured());
        self.shortfall.add(trade.shortfall());
        self.adherence.add(trade.adherence());
        self.planned |= trade.measures.is_some_and(|measures| measures.stop.is_some());
    }

    /// How far the plan was kept, in percent; nothing where no trade had as much of a plan as a stop.
    pub(super) fn adherence(&self) -> Mean {
        if self.planned { self.adherence } else { Mean::default() }
    }
}

/// Several lists of columns as one.
pub(super) const fn joined<const A: usize, const B: usize, const N: usize>(
    first: [(&'static str, ColumnType); A],
    second: [(&'static str, ColumnType); B],
) -> [(&'static str, ColumnType); N] {
    assert!(A + B == N, "as many columns as the two lists have");
    let mut all = [("", ColumnType::Utf8); N];
    let mut index = 0;
    while index < N {
        all[index] = if index < A { first[index] } else { second[index - A] };
        index += 1;
    }
    all
}
