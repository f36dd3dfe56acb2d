//! Changes of orders that work: modified in place, a stop moved closer, a request that was refused.
//!
//! - A modified order keeps its number; the event holds all its terms, so that nobody has to add up changes.
//! - A stop is only ever tightened: [`StopTightened`] says from where to where, and on what price.
//! - A refused request says which order it named and why; it never moves that order.

use crate::label::Label;
use crate::order::{OrderEvent, OrderId, OrderState, Verdict};
use crate::units::{Cause, Price, Quantity};
use rkyv::{Archive, Deserialize, Serialize};

/// New terms of an order that works.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct OrderModified {
    /// What led to it.
    pub cause: Cause,
    /// The order, whose number stays.
    pub order: OrderId,
    /// `modify-requested` while the answer is under way, `modified` once the terms hold.
    pub event: OrderEvent,
    /// Where the order stands after it.
    pub state: OrderState,
    /// Its whole quantity, what has filled included.
    pub quantity: Quantity,
    /// Its limit price.
    pub limit: Option<Price>,
    /// Its trigger.
    pub stop: Option<Price>,
    /// Why.
    pub reason: Label,
}

/// A stop moved towards the market.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct StopTightened {
    /// What led to it.
    pub cause: Cause,
    /// The order.
    pub order: OrderId,
    /// Where the stop was.
    pub from: Price,
    /// Where it is.
    pub to: Price,
    /// The best price since it works; where its owner moved it, the last price.
    pub best: Price,
    /// What moved it, such as `trail`.
    pub reason: Label,
}

crate::order::words!(
    /// What was asked of an order that works.
    RequestKind "kebab-case" {
        /// That it ends.
        Cancel = "cancel",
        /// New terms under the same number.
        Modify = "modify",
        /// That it ends and another takes its place.
        Replace = "replace",
    }
);

/// A request about an order was refused before it left.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct RequestRefused {
    /// What led to the request.
    pub cause: Cause,
    /// The order it named.
    pub order: OrderId,
    /// What was asked.
    pub request: RequestKind,
    /// Why not.
    pub verdict: Verdict,
    /// Why it was asked.
    pub reason: Label,
}
