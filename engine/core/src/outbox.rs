//! What the core concludes: outputs, in order, waiting for the driver to commit them.
//!
//! - Outputs are data. The core sends nothing, writes nothing, logs nothing.
//! - The same inputs give the same outputs, byte for byte: audit derives them again and compares.

use daybook_vocabulary::{
    Account, Alarm, Bar, BookDifference, BooksReconciled, Decision, Fill, InstrumentId, Kind, LimitMoved, OrderIntent,
    OrderModified, OrderUpdate, Payload, PayloadBuffer, RequestRefused, RiskVerdict, StateDigest, StopTightened,
    TradeClosed,
};

/// One output: what it is and, where there is one, its instrument.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The instrument, or [`NO_STREAM`].
    pub stream: InstrumentId,
    /// What was concluded.
    pub body: Conclusion,
}

/// The stream of outputs that concern no single instrument.
pub const NO_STREAM: InstrumentId = InstrumentId(u32::MAX);

/// What the core can conclude.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// A bar built from finer candles.
    Bar(Bar),
    /// A decision to trade, with its verdict.
    Intent(OrderIntent),
    /// An order moved.
    Update(OrderUpdate),
    /// A fill of the simulated exchange.
    Fill(Fill),
    /// A round trip ended.
    Trade(TradeClosed),
    /// The account at a session's close.
    Account(Account),
    /// A hash of the state.
    Digest(StateDigest),
    /// Something that must not be passed over.
    Alarm(Alarm),
    /// An order has new terms.
    Modified(OrderModified),
    /// A stop moved towards the market.
    Tightened(StopTightened),
    /// A request about an order was refused.
    RequestRefused(RequestRefused),
    /// Why an intent was refused, with the numbers.
    Verdict(RiskVerdict),
    /// A limit tripped or was released.
    Limit(LimitMoved),
    /// A policy's decision about a symbol.
    Decision(Decision),
    /// A broker's books differ from ours.
    Difference(BookDifference),
    /// A broker's books and ours agree.
    Reconciled(BooksReconciled),
}

impl Conclusion {
    /// Its kind in the journal.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Bar(_) => Kind::Bar,
            Self::Intent(_) => Kind::OrderIntent,
            Self::Update(_) => Kind::OrderUpdate,
            Self::Fill(_) => Kind::Fill,
            Self::Trade(_) => Kind::TradeClosed,
            Self::Account(_) => Kind::Account,
            Self::Digest(_) => Kind::StateDigest,
            Self::Alarm(_) => Kind::Alarm,
            Self::Modified(_) => Kind::OrderModified,
            Self::Tightened(_) => Kind::StopTightened,
            Self::RequestRefused(_) => Kind::RequestRefused,
            Self::Verdict(_) => Kind::RiskVerdict,
            Self::Limit(_) => Kind::LimitMoved,
            Self::Decision(_) => Kind::Decision,
            Self::Difference(_) => Kind::BookDifference,
            Self::Reconciled(_) => Kind::BooksReconciled,
        }
    }

    /// Appends its payload to an empty buffer and says its schema.
    pub fn encode(&self, out: &mut PayloadBuffer) -> u8 {
        fn put<P: Payload>(payload: &P, out: &mut PayloadBuffer) -> u8 {
            payload.encode(out);
            P::SCHEMA
        }
        match self {
            Self::Bar(payload) => put(payload, out),
            Self::Intent(payload) => put(payload, out),
            Self::Update(payload) => put(payload, out),
            Self::Fill(payload) => put(payload, out),
            Self::Trade(payload) => put(payload, out),
            Self::Account(payload) => put(payload, out),
            Self::Digest(payload) => put(payload, out),
            Self::Alarm(payload) => put(payload, out),
            Self::Modified(payload) => put(payload, out),
            Self::Tightened(payload) => put(payload, out),
            Self::RequestRefused(payload) => put(payload, out),
            Self::Verdict(payload) => put(payload, out),
            Self::Limit(payload) => put(payload, out),
            Self::Decision(payload) => put(payload, out),
            Self::Difference(payload) => put(payload, out),
            Self::Reconciled(payload) => put(payload, out),
        }
    }
}

/// Outputs waiting to be committed; the driver drains it after every step.
#[derive(Debug, Default)]
pub struct Outbox {
    outputs: Vec<Output>,
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an output about one instrument. Always inlined, so that it is made where it lies: the largest is five times
    /// the size of the most frequent.
    #[inline(always)]
    pub fn push(&mut self, stream: InstrumentId, body: Conclusion) {
        self.outputs.push(Output { stream, body });
    }

    /// The outputs so far, in order.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// True when nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Forgets what was committed; keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.outputs.clear();
    }
}
