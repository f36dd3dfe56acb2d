//! The registry of events: kind and schema numbers, and how each payload is encoded.
//!
//! - Numbers are never reused. A payload that changes gets a new schema; the old struct stays readable.
//! - Candles, built bars and market data have a fixed layout; what comes with every fill is written word by word, zeros
//!   left out; everything else is an rkyv archive, checked when read.
//! - Decoding never panics, whatever the bytes.

use crate::broker::{
    BookDifference, BooksReconciled, BrokerAnswer, BrokerBook, BrokerFill, BrokerOrder, ClockJumped, TakenUp,
};
use crate::candle::{Bar, Candle};
use crate::change::{OrderModified, RequestRefused, StopTightened};
use crate::decision::Decision;
use crate::feed::FeedState;
use crate::header::{Fetched, Quarantine, RunEnded, RunStarted, SessionHeader, SessionHeaderV1, SessionHeaderV2};
use crate::instrument::Instrument;
use crate::learning::{CheckpointWritten, Evaluation, Promotion, TrainingStarted, TrainingStep};
use crate::market::{Depth, Quote, TradePrint};
use crate::order::{Account, Alarm, Fill, OrderIntent, OrderIntentV1, OrderUpdate, StateDigest};
use crate::risk::{LimitMoved, OperatorCommand, RiskVerdict};
use crate::session::{SessionClosed, SessionOpened, SliceTaken};
use crate::sparse::{MOST_WORDS, Sparse, Stored, Words};
use crate::trade::{TradeClosed, TradeClosedV1};
use crate::venue::VenueEntry;
use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Error as RkyvError;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use std::fmt;
use thiserror::Error;
use zerocopy::{FromBytes, IntoBytes};

/// Bytes that are not what their kind and schema say, or a kind or schema this binary does not know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A kind number of a newer version.
    #[error("unknown event kind {kind}: the journal was written by a newer version; upgrade daybook to read it")]
    UnknownKind {
        /// The number.
        kind: u16,
    },
    /// A schema number of a newer version.
    #[error("event kind {kind} has schema {schema}, which this version does not know; upgrade daybook to read it")]
    UnknownSchema {
        /// The kind.
        kind: Kind,
        /// The schema number.
        schema: u8,
    },
    /// The payload does not validate.
    #[error(
        "the payload of a {kind} event is not valid ({bytes} bytes): the writer was faulty; `daybook verify` tells whether the file is damaged"
    )]
    Invalid {
        /// The kind.
        kind: Kind,
        /// Length of the payload.
        bytes: usize,
    },
}

/// Where a payload is encoded: aligned, so that it can be read back in place.
pub type PayloadBuffer = AlignedVec;

/// A payload struct: one (kind, schema).
pub trait Payload: Sized {
    /// Its kind.
    const KIND: Kind;
    /// Its schema number.
    const SCHEMA: u8;
    /// Appends its bytes; the same value always gives the same bytes.
    fn encode(&self, out: &mut PayloadBuffer);
    /// Reads it back.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError>;
}

macro_rules! events {
    ($($(#[$doc:meta])* $number:literal $name:ident($payload:ty) $word:literal),* $(,)?) => {
        /// What an event is. The numbers are a file format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Kind { $($(#[$doc])* $name = $number),* }

        impl Kind {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The kind of a number on disk.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// Its name in commands and output.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }

        /// Any event, decoded.
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        pub enum Event { $($(#[$doc])* $name($payload)),* }

        impl Event {
            /// Reads the payload of a frame.
            pub fn decode(kind: u16, schema: u8, payload: &[u8]) -> Result<Self, DecodeError> {
                let kind = Kind::from_number(kind).ok_or(DecodeError::UnknownKind { kind })?;
                match kind {
                    $(Kind::$name if schema == <$payload>::SCHEMA => <$payload>::decode(payload).map(Self::$name),)*
                    _ => decode_older(kind, schema, payload),
                }
            }

            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$name),* }
            }

            /// Appends its payload bytes and says its schema.
            pub fn encode(&self, out: &mut PayloadBuffer) -> u8 {
                match self { $(Self::$name(payload) => { payload.encode(out); <$payload>::SCHEMA }),* }
            }
        }
    };
}

events! {
    /// First frame of a session.
    1 SessionHeader(SessionHeader) "session-header",
    /// A run of history begins.
    2 RunStarted(RunStarted) "run-started",
    /// A run of history is complete.
    3 RunEnded(RunEnded) "run-ended",
    /// An instrument is defined.
    4 Instrument(Instrument) "instrument",
    /// A candle of the outside world.
    5 Candle(Candle) "candle",
    /// A row that was refused.
    6 Quarantine(Quarantine) "quarantine",
    /// Best bid and ask.
    7 Quote(Quote) "quote",
    /// A trade at the exchange.
    8 TradePrint(TradePrint) "trade-print",
    /// Five price levels of each side.
    9 Depth(Depth) "depth",
    /// A trading session begins.
    10 SessionOpened(SessionOpened) "session-opened",
    /// A trading session has ended.
    11 SessionClosed(SessionClosed) "session-closed",
    /// A decision point.
    12 SliceTaken(SliceTaken) "slice",
    /// A feed was connected, lost or overrun.
    13 FeedState(FeedState) "feed-state",
    /// A range that a broker was asked for, whole.
    16 Fetched(Fetched) "fetched",
    /// A command of the operator.
    20 OperatorCommand(OperatorCommand) "operator-command",
    /// A broker answered a request of ours.
    21 BrokerAnswer(BrokerAnswer) "broker-answer",
    /// A row of a broker's book of orders.
    22 BrokerOrder(BrokerOrder) "broker-order",
    /// A trade of the account.
    23 BrokerFill(BrokerFill) "broker-fill",
    /// A broker's books, complete.
    24 BrokerBook(BrokerBook) "broker-book",
    /// A session was taken up by another process.
    25 TakenUp(TakenUp) "taken-up",
    /// A live clock stepped.
    26 ClockJumped(ClockJumped) "clock-jump",
    /// A simulated broker was asked to do something.
    30 VenueEntry(VenueEntry) "venue-entry",
    /// A bar built in the core.
    32 Bar(Bar) "bar",
    /// A decision to trade, with its verdict.
    33 OrderIntent(OrderIntent) "order-intent",
    /// An order moved without a fill.
    34 OrderUpdate(OrderUpdate) "order-update",
    /// A fill.
    35 Fill(Fill) "fill",
    /// A closed round trip.
    36 TradeClosed(TradeClosed) "trade-closed",
    /// The account at a session's close.
    37 Account(Account) "account",
    /// A hash of the core's state.
    38 StateDigest(StateDigest) "state-digest",
    /// Something that must not be passed over.
    39 Alarm(Alarm) "alarm",
    /// New terms of an order that works.
    40 OrderModified(OrderModified) "order-modified",
    /// A stop moved towards the market.
    41 StopTightened(StopTightened) "stop-tightened",
    /// A request about an order was refused.
    42 RequestRefused(RequestRefused) "request-refused",
    /// Why an intent was refused, with the numbers.
    50 RiskVerdict(RiskVerdict) "risk-verdict",
    /// A limit tripped or was released.
    51 LimitMoved(LimitMoved) "limit-moved",
    /// A policy's decision about a symbol.
    52 Decision(Decision) "decision",
    /// A broker's books differ from ours.
    53 BookDifference(BookDifference) "book-difference",
    /// A broker's books and ours agree.
    54 BooksReconciled(BooksReconciled) "books-reconciled",
    /// Training begins or goes on.
    64 TrainingStarted(TrainingStarted) "training-started",
    /// One update of a network.
    65 TrainingStep(TrainingStep) "training-step",
    /// A checkpoint was written.
    66 CheckpointWritten(CheckpointWritten) "checkpoint",
    /// A model was evaluated.
    67 Evaluation(Evaluation) "evaluation",
    /// A model became the winner, or did not.
    68 Promotion(Promotion) "promotion",
}

impl Kind {
    /// The number on disk.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// True for what the core derives: audit derives it again and compares.
    pub const fn is_output(self) -> bool {
        matches!(self.number(), 32..64)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl std::str::FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.word() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.word()).collect();
            format!("'{text}' is not an event kind; the kinds are {}", known.join(", "))
        })
    }
}

/// Reads payloads that are no longer written.
fn decode_older(kind: Kind, schema: u8, payload: &[u8]) -> Result<Event, DecodeError> {
    fn read<T, E>(payload: &[u8], event: fn(E) -> Event) -> Option<Event>
    where
        T: rkyv::Archive + Into<E>,
        T::Archived:
            for<'a> CheckBytes<HighValidator<'a, RkyvError>> + rkyv::Deserialize<T, HighDeserializer<RkyvError>>,
    {
        decode_archive::<T>(payload).map(|old| event(old.into()))
    }
    let event = match (kind, schema) {
        (Kind::SessionHeader, 1) => read::<SessionHeaderV1, _>(payload, Event::SessionHeader),
        (Kind::SessionHeader, 2) => read::<SessionHeaderV2, _>(payload, Event::SessionHeader),
        (Kind::TradeClosed, 1) => read::<TradeClosedV1, _>(payload, Event::TradeClosed),
        // Archives of what is now written word by word.
        (Kind::TradeClosed, 2) => read::<TradeClosed, _>(payload, Event::TradeClosed),
        (Kind::OrderIntent, 1) => read::<OrderIntentV1, _>(payload, Event::OrderIntent),
        (Kind::OrderIntent, 2) => read::<OrderIntent, _>(payload, Event::OrderIntent),
        (Kind::OrderUpdate, 1) => read::<OrderUpdate, _>(payload, Event::OrderUpdate),
        (Kind::Fill, 1) => read::<Fill, _>(payload, Event::Fill),
        _ => return Err(DecodeError::UnknownSchema { kind, schema }),
    };
    event.ok_or(DecodeError::Invalid { kind, bytes: payload.len() })
}

macro_rules! fixed_layout {
    ($($payload:ident),*) => {$(
        impl Payload for $payload {
            const KIND: Kind = Kind::$payload;
            const SCHEMA: u8 = 1;
            #[inline]
            fn encode(&self, out: &mut PayloadBuffer) {
                out.extend_from_slice(self.as_bytes());
            }
            #[inline]
            fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
                Self::read_from_bytes(payload)
                    .map_err(|_| DecodeError::Invalid { kind: Self::KIND, bytes: payload.len() })
            }
        }
    )*};
}
fixed_layout!(Candle, Bar, Quote, TradePrint, Depth);

macro_rules! archived {
    ($($payload:ident $schema:literal),* $(,)?) => {$(
        impl Payload for $payload {
            const KIND: Kind = Kind::$payload;
            const SCHEMA: u8 = $schema;
            #[inline]
            fn encode(&self, out: &mut PayloadBuffer) {
                encode_archive(self, out);
            }
            fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
                decode_archive(payload).ok_or(DecodeError::Invalid { kind: Self::KIND, bytes: payload.len() })
            }
        }
    )*};
}
archived!(
    SessionHeader 3,
    RunStarted 1,
    RunEnded 1,
    SessionOpened 1,
    SessionClosed 1,
    SliceTaken 1,
    Instrument 1,
    Quarantine 1,
    Fetched 1,
    FeedState 1,
    Account 1,
    StateDigest 1,
    Alarm 1,
    OrderModified 1,
    StopTightened 1,
    RequestRefused 1,
    OperatorCommand 1,
    VenueEntry 1,
    RiskVerdict 1,
    LimitMoved 1,
    Decision 1,
    BrokerAnswer 1,
    BrokerOrder 1,
    BrokerFill 1,
    BrokerBook 1,
    TakenUp 1,
    ClockJumped 1,
    BookDifference 1,
    BooksReconciled 1,
    TrainingStarted 1,
    TrainingStep 1,
    CheckpointWritten 1,
    Evaluation 1,
    Promotion 1,
);

macro_rules! sparse_layout {
    ($($payload:ident $schema:literal),* $(,)?) => {$(
        impl Payload for $payload {
            const KIND: Kind = Kind::$payload;
            const SCHEMA: u8 = $schema;
            #[inline]
            fn encode(&self, out: &mut PayloadBuffer) {
                const { assert!(<$payload as Sparse>::WORDS <= MOST_WORDS, "a mask has a bit for each word") };
                let mut place = [0; MOST_WORDS];
                let mut words = Words::new(&mut place);
                self.put(&mut words);
                words.write(out);
            }
            fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
                let whole = |mut words: Stored<'_>| Self::take(&mut words).filter(|_| words.is_over());
                Stored::new(payload)
                    .and_then(whole)
                    .ok_or(DecodeError::Invalid { kind: Self::KIND, bytes: payload.len() })
            }
        }
    )*};
}
sparse_layout!(OrderIntent 3, OrderUpdate 2, Fill 2, TradeClosed 3);

fn encode_archive<T>(value: &T, out: &mut PayloadBuffer)
where
    T: for<'a> rkyv::Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, RkyvError>>,
{
    // An archive's relative pointers want it to begin aligned; `out` is cleared and reused by its owner.
    assert!(out.is_empty(), "one payload per buffer");
    let buffer = std::mem::take(out);
    *out = rkyv::api::high::to_bytes_in(value, buffer).expect("writing an archive to memory does not fail");
}

fn decode_archive<T>(payload: &[u8]) -> Option<T>
where
    T: rkyv::Archive,
    T::Archived: for<'a> CheckBytes<HighValidator<'a, RkyvError>> + rkyv::Deserialize<T, HighDeserializer<RkyvError>>,
{
    if payload.as_ptr().addr().is_multiple_of(align_of::<T::Archived>()) {
        rkyv::from_bytes(payload).ok()
    } else {
        let mut aligned = AlignedVec::<16>::with_capacity(payload.len());
        aligned.extend_from_slice(payload);
        rkyv::from_bytes(&aligned).ok()
    }
}
