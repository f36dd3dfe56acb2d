//! What the core is told: one input at a time, in one total order.
//!
//! - An input carries the time at which the engine learned it; that is the core's only clock.
//! - A candle has closed before it is an input; a decision point (`Slice`) comes after every candle of its time.

use daybook_vocabulary::{
    BrokerAnswer, BrokerBook, BrokerFill, BrokerOrder, Candle, Cause, Command, Date, Depth, InstrumentId, Interval,
    Nanos, Quote, TradePrint,
};

/// One input of the core.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Where it stands: journal rank and sequence number. A derived input (slice, session) repeats the last candle's.
    pub cause: Cause,
    /// When the engine learned it.
    pub time: Nanos,
    /// What it says.
    pub body: Body<'a>,
}

/// What an input says.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// A candle closed.
    Candle(InstrumentId, &'a Candle),
    /// A trade at the exchange, on a live market: bars are built from them here.
    Print(InstrumentId, &'a TradePrint),
    /// Best bid and ask: from here on they fill the instrument's orders, until its session ends.
    Quote(InstrumentId, &'a Quote),
    /// Five price levels of each side: from here on they fill the instrument's orders, until its session ends.
    Depth(InstrumentId, &'a Depth),
    /// Every candle that closes now has been delivered: strategies decide.
    Slice(Slice),
    /// A trading session begins.
    SessionOpened(SessionHours),
    /// The trading session that was open has ended.
    SessionClosed,
    /// The operator says something.
    Command(Command),
    /// A networked broker answered a request of ours.
    Answer(&'a BrokerAnswer),
    /// A row of its book of orders.
    BrokerOrder(&'a BrokerOrder),
    /// A trade of the account.
    BrokerFill(InstrumentId, &'a BrokerFill),
    /// Its books, complete.
    BrokerBook(&'a BrokerBook),
    /// The process began again on this session.
    TakenUp,
}

/// A decision point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The interval whose candles close now.
    pub interval: Interval,
}

/// A session's date and hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SessionHours {
    /// Date in the exchange's zone.
    pub date: Date,
    /// First instant of trading.
    pub open: Nanos,
    /// End of the last continuous window.
    pub close: Nanos,
}
