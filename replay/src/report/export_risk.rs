//! Columns of the events of risk and decisions in an export.
//!
//! - Nothing is left out: the numbers of a refusal and all three values of a decision have columns of their own.
//! - A model's raw numbers are written as text, the shortest that reads back as the same bits.

use super::export::cause_cells;
use daybook_features::columns::{Cell, ColumnType};
use daybook_vocabulary::{Decision, LimitMoved, Money, OperatorCommand, RiskVerdict};

use ColumnType::{Decimal, U64, Utf8};

pub(super) const OPERATOR_COMMAND: [(&str, ColumnType); 2] = [("command", Utf8), ("source", Utf8)];

pub(super) const RISK_VERDICT: [(&str, ColumnType); 8] = [
    ("market", Utf8),
    ("symbol", Utf8),
    ("cause_rank", U64),
    ("cause_seq", U64),
    ("order_id", U64),
    ("verdict", Utf8),
    ("limit", Decimal),
    ("observed", Decimal),
];

pub(super) const LIMIT_MOVED: [(&str, ColumnType); 8] = [
    ("cause_rank", U64),
    ("cause_seq", U64),
    ("session", Utf8),
    ("limit", Utf8),
    ("change", Utf8),
    ("flatten", Utf8),
    ("allowed", Decimal),
    ("observed", Decimal),
];

pub(super) const DECISION: [(&str, ColumnType); 13] = [
    ("market", Utf8),
    ("symbol", Utf8),
    ("cause_rank", U64),
    ("cause_seq", U64),
    ("decision", U64),
    ("action", Utf8),
    ("ruling", Utf8),
    ("confidence", Decimal),
    ("q_buy", Utf8),
    ("q_sell", Utf8),
    ("q_hold", Utf8),
    ("model", Utf8),
    ("features", Utf8),
];

pub(super) fn command(event: &OperatorCommand) -> [Cell<'_>; 2] {
    [Cell::Text(event.command.word()), Cell::Text(&event.source)]
}

pub(super) fn verdict(event: &RiskVerdict) -> [Cell<'_>; 6] {
    let [rank, cause] = cause_cells(event.cause);
    let (limit, observed) = (Money(event.limit.0).into(), Money(event.observed.0).into());
    [rank, cause, Cell::U64(event.order.0), Cell::Text(event.verdict.word()), limit, observed]
}

/// The cells of a limit that moved; `session` is its date as text.
pub(super) fn moved<'a>(event: &'a LimitMoved, session: &'a str) -> [Cell<'a>; 8] {
    let [rank, cause] = cause_cells(event.cause);
    [
        rank,
        cause,
        Cell::Text(session),
        Cell::Text(event.limit.word()),
        Cell::Text(event.change.word()),
        Cell::Text(if event.flatten { "yes" } else { "no" }),
        Money(event.allowed.0).into(),
        Money(event.observed.0).into(),
    ]
}

/// The cells of a decision; `texts` are its three values, its model and its features.
pub(super) fn decision<'a>(event: &'a Decision, texts: &'a [String; 5]) -> [Cell<'a>; 11] {
    let [rank, cause] = cause_cells(event.cause);
    let [buy, sell, hold, model, features] = texts;
    [
        rank,
        cause,
        Cell::U64(event.decision),
        Cell::Text(event.action.word()),
        Cell::Text(event.ruling.word()),
        Money(event.confidence.0.into()).into(),
        Cell::Text(buy),
        Cell::Text(sell),
        Cell::Text(hold),
        Cell::Text(model),
        Cell::Text(features),
    ]
}

/// What [`decision`] borrows.
pub(super) fn texts(event: &Decision) -> [String; 5] {
    let [buy, sell, hold] = event.q.map(|value| value.to_string());
    [buy, sell, hold, event.model.to_string(), event.features.to_string()]
}
