//! Orders and what becomes of them: intents, updates, fills, and the account.
//!
//! - An intent carries its verdict: a refused order is a frame too, with its reason.
//! - Every output names its cause.
//! - Charges are itemised per fill, at 1e-8, unrounded.

use crate::label::Label;
use crate::sparse::sparse;
use crate::time::{Date, Nanos};
use crate::trail::Trail;
use crate::units::{BasisPoints, Cause, Hash, Money, Price, Quantity};
use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;

/// Number of an order in its session, from 1.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Archive,
    Serialize,
    Deserialize,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct OrderId(pub u64);

impl fmt::Display for OrderId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// Enumerations with a word for each value. New values go to the end: journals hold the numbers of the old ones.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident $case:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug,
            Clone,
            Copy,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            rkyv::Archive,
            rkyv::Serialize,
            rkyv::Deserialize,
            serde::Serialize,
            serde::Deserialize,
        )]
        #[serde(rename_all = $case)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word used in tables and output.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(self.word())
            }
        }

        impl $crate::sparse::Small for $name {
            #[inline(always)]
            fn byte(self) -> u8 {
                self as u8
            }
            fn of_byte(byte: u8) -> Option<Self> {
                Self::ALL.get(usize::from(byte)).copied()
            }
        }
    };
}
pub(crate) use words;

words!(
    /// Which way.
    Side "UPPERCASE" {
        /// Buy.
        Buy = "BUY",
        /// Sell.
        Sell = "SELL",
    }
);

impl OrderType {
    /// True for an order that waits at a price for others to come to it.
    pub const fn rests(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit)
    }
}

impl Side {
    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// The quantity as a change of position: positive for a buy.
    #[inline]
    pub const fn signed(self, quantity: Quantity) -> Quantity {
        match self {
            Self::Buy => quantity,
            Self::Sell => Quantity(-quantity.0),
        }
    }
}

words!(
    /// How an order is priced.
    OrderType "kebab-case" {
        /// At the next price.
        Market = "market",
        /// At the limit or better.
        Limit = "limit",
        /// A market order once the stop has traded.
        Stop = "stop",
        /// A limit order once the stop has traded.
        StopLimit = "stop-limit",
        /// A stop order whose stop follows the market at a distance, and is only ever tightened.
        TrailingStop = "trailing-stop",
        /// At the first price of a session, or not at all.
        MarketOnOpen = "market-on-open",
        /// At the last price of a session, the closing auction's where there is one, or not at all.
        MarketOnClose = "market-on-close",
    }
);

words!(
    /// How long an order works.
    TimeInForce "kebab-case" {
        /// Until its session closes.
        Day = "day",
        /// Until cancelled.
        Gtc = "gtc",
        /// What fills at once; the rest is cancelled.
        Ioc = "ioc",
        /// Until an instant.
        Gtd = "gtd",
        /// All of it at once, or nothing.
        Fok = "fok",
    }
);

words!(
    /// Where an order stands.
    OrderState "kebab-case" {
        /// Decided and journaled; nobody outside knows of it.
        Intended = "intended",
        /// Refused by our own gate; never sent.
        Refused = "refused",
        /// Handed to the broker, no answer yet.
        Sent = "sent",
        /// No answer came in time: it may or may not exist at the broker.
        Unknown = "unknown",
        /// Working at the exchange.
        Open = "open",
        /// Working, with a part of it filled.
        PartiallyFilled = "partially-filled",
        /// A cancel was sent, no answer yet.
        PendingCancel = "pending-cancel",
        /// Filled whole.
        Filled = "filled",
        /// Cancelled; a part may have filled.
        Cancelled = "cancelled",
        /// Refused by the broker or the exchange.
        Rejected = "rejected",
        /// Ended by its time in force; a part may have filled.
        Expired = "expired",
        /// Working on its old terms; a change of them was sent, no answer yet.
        PendingModify = "pending-modify",
    }
);

words!(
    /// What happens to an order.
    OrderEvent "kebab-case" {
        /// Our gate refused it.
        Refused = "refused",
        /// Handed to the broker.
        Sent = "sent",
        /// The broker or the exchange took it.
        Accepted = "accepted",
        /// The broker or the exchange refused it.
        Rejected = "rejected",
        /// No answer in time.
        TimedOut = "timed-out",
        /// A part filled.
        PartiallyFilled = "partially-filled",
        /// The rest filled.
        Filled = "filled",
        /// A cancel was asked for.
        CancelRequested = "cancel-requested",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// The cancel was refused.
        CancelRejected = "cancel-rejected",
        /// Its time in force ended it.
        Expired = "expired",
        /// A change of its terms was asked for.
        ModifyRequested = "modify-requested",
        /// Its terms were changed.
        Modified = "modified",
        /// The change was refused.
        ModifyRejected = "modify-rejected",
    }
);

words!(
    /// What our gate says to an intent.
    Verdict "kebab-case" {
        /// It may go.
        Approved = "approved",
        /// Quantity zero, negative, or more than a position may ever hold.
        BadQuantity = "bad-quantity",
        /// Quantity not a multiple of the lot.
        OffLot = "off-lot",
        /// A limit or stop price that is missing, zero, negative, or given where none belongs.
        BadPrice = "bad-price",
        /// The instrument has not traded yet: no price to judge the order by.
        NoMarket = "no-market",
        /// An order for the day, and the session has no time left for it.
        ClosedSession = "closed-session",
        /// Not enough free cash for it.
        InsufficientCash = "insufficient-cash",
        /// Entries are locked: by a limit that tripped, or by the operator.
        Locked = "locked",
        /// Before entries are allowed in this session.
        BeforeSafeStart = "before-safe-start",
        /// After entries are allowed in this session.
        AfterSafeEnd = "after-safe-end",
        /// The instrument's last price is too old.
        StaleData = "stale-data",
        /// A limit or stop price too far from the last price.
        PriceBand = "price-band",
        /// More than one order may be for.
        OrderQuantity = "order-quantity",
        /// Worth more than one order may be.
        OrderValue = "order-value",
        /// It could make the position larger than it may be.
        PositionQuantity = "position-quantity",
        /// It could make the position worth more than it may be.
        PositionValue = "position-value",
        /// It could take one name above its share of the equity.
        Concentration = "concentration",
        /// Too many names would be held or entered.
        OpenTrades = "open-trades",
        /// Longs and shorts together would be worth too much.
        GrossExposure = "gross-exposure",
        /// Longs less shorts would be worth too much.
        NetExposure = "net-exposure",
        /// The gross exposure would be too many times the equity.
        Leverage = "leverage",
        /// Not enough free margin for it.
        Margin = "margin",
        /// Too many orders in too short a time.
        OrderRate = "order-rate",
        /// A trailing order without a distance above zero, or a distance where none belongs.
        BadTrail = "bad-trail",
        /// Good till a date that is missing or has passed, or a date where none belongs.
        BadExpiry = "bad-expiry",
        /// The order it names never was.
        UnknownOrder = "unknown-order",
        /// The order it names has ended.
        OrderEnded = "order-ended",
        /// It would move a protective stop away from the market.
        LoosensStop = "loosens-stop",
        /// A price between two ticks, where the exchange refuses those.
        OffTick = "off-tick",
        /// A stop that the market is already beyond, where the exchange refuses those.
        WrongSide = "wrong-side",
        /// A price outside the day's price band.
        OutsideBand = "outside-band",
        /// The client's own number for it was used before.
        DuplicateId = "duplicate-id",
        /// An instrument that nobody defined.
        UnknownInstrument = "unknown-instrument",
        /// The instrument has expired.
        ExpiredInstrument = "expired-instrument",
        /// An entry of the day after the broker has begun to square positions off.
        SquareOff = "square-off",
        /// The session was not armed: nothing may be sent.
        NotArmed = "not-armed",
        /// An entry before the broker's books have been compared with ours.
        Unreconciled = "unreconciled",
        /// An entry while the fate of another order of the instrument is not known.
        Unresolved = "unresolved",
        /// An order that the broker does not have.
        Unsupported = "unsupported",
        /// An entry for which no protective stop can be worked out.
        Unprotected = "unprotected",
        /// A kind of order that the closing auction does not take, or not any more.
        NotInAuction = "not-in-auction",
        /// An entry in the benchmark, which is heard and never traded.
        NotTraded = "not-traded",
        /// Sectors are limited, and nobody said which one the instrument is of.
        NoSector = "no-sector",
        /// It could take one sector above its share of the equity.
        Sector = "sector",
        /// Exposures to factors are limited, and a loading of the instrument, or of one that is held, is not known.
        NoLoading = "no-loading",
        /// The portfolio would load too much, or too little, on a factor.
        FactorExposure = "factor-exposure",
        /// Too few past sessions of the instrument, or of one that is held, to work risk or beta out.
        NoHistory = "no-history",
        /// The benchmark did not trade in all of the past sessions, or did not move in any.
        NoBenchmark = "no-benchmark",
        /// The portfolio's beta would be too high or too low.
        Beta = "beta",
        /// The value at risk would be too large.
        ValueAtRisk = "value-at-risk",
        /// The mean of the losses beyond the value at risk would be too large.
        ExpectedShortfall = "expected-shortfall",
        /// The same entry as one of a moment ago.
        Duplicate = "duplicate",
    }
);

impl Verdict {
    /// True where the numbers of a refusal are seconds after midnight of the exchange.
    pub const fn is_hour(self) -> bool {
        matches!(self, Self::BeforeSafeStart | Self::AfterSafeEnd)
    }
}

/// A decision to trade, with the gate's verdict: journaled before anything leaves the process.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct OrderIntent {
    /// The candle it was decided on.
    pub cause: Cause,
    /// Its number.
    pub order: OrderId,
    /// Which way.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// May it go?
    pub verdict: Verdict,
    /// How much, positive.
    pub quantity: Quantity,
    /// Limit price of limit and stop-limit orders.
    pub limit: Option<Price>,
    /// Trigger of stop and stop-limit orders; where a trailing stop begins.
    pub stop: Option<Price>,
    /// Last price when it was decided.
    pub reference: Price,
    /// The strategy's reason, such as `cross-up`.
    pub reason: Label,
    /// How far behind the market a trailing stop stays.
    pub trail: Option<Trail>,
    /// When an order that is good till an instant ends.
    pub expires: Option<Nanos>,
    /// The client's own number for it; 0 for none.
    pub client: u64,
}

sparse!(OrderIntent {
    [side, order_type, time_in_force, verdict]
    cause: Cause,
    order: OrderId,
    quantity: Quantity,
    reference: Price,
    reason: Label,
    limit: Option<Price>,
    stop: Option<Price>,
    trail: Option<Trail>,
    expires: Option<Nanos>,
    client: u64,
});

/// The intent before orders trailed, expired at an instant or had a number of the client's: schema 1, read and never
/// written.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OrderIntentV1 {
    cause: Cause,
    order: OrderId,
    side: Side,
    order_type: OrderType,
    time_in_force: TimeInForce,
    verdict: Verdict,
    quantity: Quantity,
    limit: Option<Price>,
    stop: Option<Price>,
    reference: Price,
    reason: Label,
}

impl From<OrderIntentV1> for OrderIntent {
    fn from(old: OrderIntentV1) -> Self {
        Self {
            cause: old.cause,
            order: old.order,
            side: old.side,
            order_type: old.order_type,
            time_in_force: old.time_in_force,
            verdict: old.verdict,
            quantity: old.quantity,
            limit: old.limit,
            stop: old.stop,
            reference: old.reference,
            reason: old.reason,
            trail: None,
            expires: None,
            client: 0,
        }
    }
}

/// An order moved from one state to another without a fill.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct OrderUpdate {
    /// What moved it.
    pub cause: Cause,
    /// The order.
    pub order: OrderId,
    /// What happened.
    pub event: OrderEvent,
    /// Where it stands now.
    pub state: OrderState,
    /// Filled so far.
    pub filled: Quantity,
    /// Why, where there is more to say.
    pub reason: Label,
}

sparse!(OrderUpdate { [event, state] cause: Cause, order: OrderId, filled: Quantity, reason: Label });

/// What a fill cost, item by item, at 1e-8, unrounded.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize,
)]
pub struct Charges {
    /// The broker's commission.
    pub brokerage: Money,
    /// Tax on the transaction (STT in India).
    pub transaction_tax: Money,
    /// The exchange's fee.
    pub exchange_fee: Money,
    /// The regulator's fee (SEBI in India).
    pub regulator_fee: Money,
    /// Stamp duty.
    pub stamp_duty: Money,
    /// Tax on the services above (GST in India).
    pub service_tax: Money,
    /// The depository's fee for a delivery out of the account (DP charge in India).
    pub depository_fee: Money,
}

sparse!(Charges {
    brokerage: Money,
    transaction_tax: Money,
    exchange_fee: Money,
    regulator_fee: Money,
    stamp_duty: Money,
    service_tax: Money,
    depository_fee: Money,
});

impl Charges {
    /// Names and amounts, in the order of the fields.
    pub const fn items(&self) -> [(&'static str, Money); 7] {
        [
            ("brokerage", self.brokerage),
            ("transaction_tax", self.transaction_tax),
            ("exchange_fee", self.exchange_fee),
            ("regulator_fee", self.regulator_fee),
            ("stamp_duty", self.stamp_duty),
            ("service_tax", self.service_tax),
            ("depository_fee", self.depository_fee),
        ]
    }

    /// All of them together.
    pub fn total(&self) -> Money {
        self.items().into_iter().map(|(_, amount)| amount).sum()
    }

    /// Adds another fill's charges, item by item.
    pub fn add(&mut self, other: &Self) {
        self.brokerage += other.brokerage;
        self.transaction_tax += other.transaction_tax;
        self.exchange_fee += other.exchange_fee;
        self.regulator_fee += other.regulator_fee;
        self.stamp_duty += other.stamp_duty;
        self.service_tax += other.service_tax;
        self.depository_fee += other.depository_fee;
    }
}

/// A fill, as it was learned.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Fill {
    /// The candle it happened in.
    pub cause: Cause,
    /// The order.
    pub order: OrderId,
    /// Which way.
    pub side: Side,
    /// Where the order stands after it.
    pub state: OrderState,
    /// How much.
    pub quantity: Quantity,
    /// At what price.
    pub price: Price,
    /// The price before slippage.
    pub reference_price: Price,
    /// Slippage against the trader, in basis points of the reference price.
    pub slippage_bps: BasisPoints,
    /// The model that produced the slippage.
    pub model: Label,
    /// When it happened at the exchange.
    pub exchange_time: Nanos,
    /// Position in the instrument after it.
    pub position: Quantity,
    /// What it cost, item by item.
    pub charges: Charges,
}

sparse!(Fill {
    [side, state]
    cause: Cause,
    order: OrderId,
    quantity: Quantity,
    price: Price,
    reference_price: Price,
    slippage_bps: BasisPoints,
    model: Label,
    exchange_time: Nanos,
    position: Quantity,
    charges: Charges,
});

/// The account when a session closes.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Account {
    /// The last candle before the close.
    pub cause: Cause,
    /// The session.
    pub session: Date,
    /// Cash, with all charges paid.
    pub cash: Money,
    /// Cash plus every position at its last price.
    pub equity: Money,
    /// Value of the long positions at their last prices.
    pub long_value: Money,
    /// Value of the short positions at their last prices, positive.
    pub short_value: Money,
    /// Profit taken so far, before charges.
    pub realised: Money,
    /// Profit of open positions at their last prices.
    pub unrealised: Money,
    /// Charges paid so far.
    pub fees: Money,
    /// Open positions.
    pub positions: u32,
}

/// A hash over the whole state of the core, so that two runs can be told apart long before they trade differently.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct StateDigest {
    /// The last input before it.
    pub cause: Cause,
    /// Inputs stepped through.
    pub inputs: u64,
    /// blake3 over the canonical encoding of the state.
    pub digest: Hash,
}

/// Something that must not be passed over in silence.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Alarm {
    /// What raised it.
    pub cause: Cause,
    /// A stable word for machines.
    pub code: Label,
    /// A sentence for people.
    pub text: String,
}
