//! What a networked broker says, and what came of comparing its books with ours.
//!
//! - What the broker says is an input: journaled as it was heard, never recomputed. It may come late, twice, out of
//!   order or not at all, and each of these structs can be heard again without harm.
//! - The broker's numbers are texts: they are compared, never read.
//! - `order` is our own number, where the wires could tell it (they sent it, or the row carries our tag); 0 where the
//!   order is not ours.
//! - Messages are scrubbed of secrets before they come here, and are for people: nothing is decided on their words.
//!
//! ```text
//! order-intent ─► (durable) ─► wires ─► broker-answer      registered, refused, not sent, or nobody knows
//!                                  └──► broker-order       a row of its book, from a message or a poll
//!                                  └──► broker-fill        a trade, once per number that the exchange gave it
//! every loop: orders, trades, positions ─► broker-book     complete as of `asked`: what is not in it is not there
//! the process began again ─► taken-up                      whatever has no answer yet is of unknown fate
//! ```

use crate::instrument::InstrumentId;
use crate::label::Label;
use crate::order::{OrderId, Side, words};
use crate::time::Nanos;
use crate::units::{Cause, Measure, Money, Price, Quantity};
use rkyv::{Archive, Deserialize, Serialize};

words!(
    /// What a broker was asked to do.
    BrokerRequest "kebab-case" {
        /// To take a new order.
        Place = "place",
        /// To give one of ours new terms.
        Modify = "modify",
        /// To end one of ours.
        Cancel = "cancel",
    }
);

words!(
    /// How a request was answered.
    Answered "kebab-case" {
        /// Registered: what the exchange makes of it comes later.
        Accepted = "accepted",
        /// Certainly refused: nothing changed.
        Refused = "refused",
        /// Certainly never sent: nothing changed.
        NotSent = "not-sent",
        /// Nobody can say: it may have been taken.
        Unknown = "unknown",
    }
);

words!(
    /// Where an order stands in the broker's book.
    BrokerStatus "kebab-case" {
        /// Between the broker and the exchange.
        OnItsWay = "on-its-way",
        /// Working, or waiting for its trigger; a part of it may have filled.
        Working = "working",
        /// A change or a cancel of it is on its way.
        Changing = "changing",
        /// A change was refused; it works on.
        NotModified = "not-modified",
        /// A cancel was refused; it works on.
        NotCancelled = "not-cancelled",
        /// Filled whole.
        Filled = "filled",
        /// Ended with a remainder; a part may have filled.
        Cancelled = "cancelled",
        /// Refused by the broker or the exchange.
        Rejected = "rejected",
        /// A word that this version does not know: nothing is concluded from it.
        Unclear = "unclear",
    }
);

impl BrokerStatus {
    /// True when nothing more can happen to the order at the broker.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected)
    }
}

/// The answer to a request of ours.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct BrokerAnswer {
    /// The order it is about.
    pub order: OrderId,
    /// What was asked.
    pub request: BrokerRequest,
    /// How it was answered.
    pub answer: Answered,
    /// The broker's number for the order; empty where it gave none.
    pub broker_order: String,
    /// A stable word for the kind of a refusal, such as `margin`.
    pub kind: Label,
    /// What the broker said, for people.
    pub message: String,
}

/// A row of the broker's book of orders, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct BrokerOrder {
    /// Our number for it; 0 for an order that is not ours.
    pub order: OrderId,
    /// The broker's number.
    pub broker_order: String,
    /// The tag it was placed with.
    pub tag: String,
    /// Where it stands.
    pub status: BrokerStatus,
    /// The broker's own word for that.
    pub word: Label,
    /// Which way.
    pub side: Side,
    /// How much was asked for.
    pub quantity: Quantity,
    /// How much has filled.
    pub filled: Quantity,
    /// What the row calls pending; not to be relied on after a cancel.
    pub pending: Quantity,
    /// How much was cancelled.
    pub cancelled: Quantity,
    /// Average price of the fills; zero without one.
    pub average: Price,
    /// Its limit price.
    pub limit: Option<Price>,
    /// Its trigger.
    pub stop: Option<Price>,
    /// When the broker registered it.
    pub registered: Option<Nanos>,
    /// When the exchange last changed it.
    pub updated: Option<Nanos>,
    /// Why it was refused or cancelled, for people.
    pub message: String,
}

/// A trade of the account.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct BrokerFill {
    /// The exchange's number for it: unique within a day.
    pub trade: String,
    /// The broker's number of the order it fills.
    pub broker_order: String,
    /// Which way.
    pub side: Side,
    /// How much.
    pub quantity: Quantity,
    /// At what price.
    pub price: Price,
    /// When, at the exchange.
    pub exchange_time: Nanos,
}

/// What the broker says is held of an instrument.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct BrokerPosition {
    /// The instrument.
    pub instrument: InstrumentId,
    /// What kind of position it is, in the broker's word.
    pub product: Label,
    /// Signed: below zero when short.
    pub quantity: Quantity,
    /// Its average price.
    pub average: Price,
}

/// An order that works, as the broker's book has it.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct OpenAtBroker {
    /// Our number for it; 0 for an order that is not ours.
    pub order: OrderId,
    /// The broker's number.
    pub broker_order: String,
    /// The instrument.
    pub instrument: InstrumentId,
    /// Which way.
    pub side: Side,
    /// The whole quantity, what has filled included.
    pub quantity: Quantity,
    /// How much of it has filled.
    pub filled: Quantity,
    /// Its limit price.
    pub limit: Option<Price>,
    /// Its trigger.
    pub stop: Option<Price>,
}

/// The broker's books of the session's instruments, complete: orders, then trades, then positions were asked for, in
/// this order, from `asked` on. What they showed of single orders and trades stands before this frame.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct BrokerBook {
    /// When the first of them was asked for.
    pub asked: Nanos,
    /// What is held, flat instruments left out, in order of instrument and product.
    pub positions: Vec<BrokerPosition>,
    /// Every order that works, in the broker's order.
    pub open: Vec<OpenAtBroker>,
    /// Money that is free to trade, where it was asked for.
    pub funds: Option<Money>,
}

/// The process was started again on this session: what was under way to the broker is of unknown fate.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct TakenUp {
    /// Frames that were there.
    pub frames: u64,
}

/// The clock of a live session stepped. A note: the core is not told, and the session's time goes on from the later.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct ClockJumped {
    /// What it showed.
    pub from: Nanos,
    /// What it showed next.
    pub to: Nanos,
}

words!(
    /// How the broker's books and ours differ.
    DifferenceKind "kebab-case" {
        /// Another position.
        Position = "position",
        /// An order works there that is not ours.
        ForeignOrder = "foreign-order",
        /// An order of ours works here and not there.
        MissingOrder = "missing-order",
        /// An order of ours is for another quantity there.
        OrderQuantity = "order-quantity",
        /// An order of ours has another price there.
        OrderPrice = "order-price",
        /// An order of ours never reached the broker.
        NeverArrived = "never-arrived",
        /// An order of ours that counts as ended here works there.
        EndedOrder = "ended-order",
        /// Money free to trade.
        Funds = "funds",
        /// The average price of a position.
        AveragePrice = "average-price",
    }
);

words!(
    /// What is done about a difference.
    Remedy "kebab-case" {
        /// The broker's word is taken over into our books.
        Adopt = "adopt",
        /// It is taken over, and left at once; no new risk.
        Flatten = "flatten",
        /// No new risk until the operator resumes.
        Halt = "halt",
        /// Our order is put right, or counted as ended.
        Mend = "mend",
        /// The order at the broker is cancelled by its number.
        Cancel = "cancel",
    }
);

/// The broker's books and ours differ, and did when they were compared before.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct BookDifference {
    /// The book that was compared.
    pub cause: Cause,
    /// What differs.
    pub what: DifferenceKind,
    /// Our order; 0 where none is concerned.
    pub order: OrderId,
    /// The broker's number; empty where none is concerned.
    pub broker_order: String,
    /// What we have.
    pub ours: Measure,
    /// What the broker has, in the same unit.
    pub theirs: Measure,
    /// What is done about it.
    pub remedy: Remedy,
}

/// The broker's books and ours agree: the first time since the session began or was taken up, or again after they
/// differed.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct BooksReconciled {
    /// The book that was compared.
    pub cause: Cause,
    /// Positions that are held.
    pub positions: u32,
    /// Orders that work.
    pub orders: u32,
}
