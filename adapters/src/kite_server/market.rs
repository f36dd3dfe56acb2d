//! What the server asks of a market: its instruments, its hours, its ticks, its candles, its charges.
//!
//! - The server knows the protocol; whoever implements this knows journals, calendars and the exchange of the engine.
//! - The ticks of a day are a function of the day: asked again, they are the same. A server that starts again leans on it.
//! - Nothing here tells what happens after the moment that is asked about.

use daybook_vocabulary::{Charges, Date, Money, Nanos, Price, Side};

/// A market that could not answer: what went wrong and what to do.
pub type MarketError = Box<dyn std::error::Error + Send + Sync>;

/// An instrument that is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number on the wire; the lowest byte is the segment.
    pub token: u32,
    /// The exchange's number.
    pub exchange_token: u32,
    /// Its symbol.
    pub symbol: String,
    /// The company, or the index.
    pub name: String,
    /// Quantities are multiples of it; at least 1.
    pub lot: i64,
    /// An index cannot be traded.
    pub index: bool,
}

/// An instrument on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayListing {
    /// Which: its place among all that are listed.
    pub listed: usize,
    /// Price step of the day.
    pub tick: Price,
    /// Close of the session before; the first price of the day where there is none.
    pub close: Price,
    /// What the bands are measured from.
    pub base: Price,
    /// Width of the band in percent of the base.
    pub band_percent: i64,
    /// True where the band moves on when the price comes near it.
    pub band_moves: bool,
    /// True where a closing auction makes the close.
    pub auction: bool,
    /// First price of the day, which the opening match makes; `None` where the day has no trade of it.
    pub opening: Option<Price>,
}

/// A half-open span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First instant.
    pub from: Nanos,
    /// First instant after it.
    pub until: Nanos,
}

impl Span {
    /// True when the instant lies in it.
    pub const fn contains(&self, time: Nanos) -> bool {
        self.from.0 <= time.0 && time.0 < self.until.0
    }
}

/// The hours of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Its date.
    pub date: Date,
    /// Continuous trading: one span, or two around a pause.
    pub windows: Vec<Span>,
    /// When orders are taken before the opening match.
    pub pre_open: Option<Span>,
    /// End of continuous trading where a closing auction follows, and when that is matched.
    pub auction: Option<(Nanos, Span)>,
    /// Trading at the close.
    pub post_close: Option<Span>,
}

impl Hours {
    /// First instant of continuous trading.
    pub fn open(&self) -> Nanos {
        self.windows.first().map_or(Nanos(0), |window| window.from)
    }

    /// End of continuous trading of an instrument with a closing auction or without.
    pub fn close(&self, auction: bool) -> Nanos {
        let last = self.windows.last().map_or(Nanos(0), |window| window.until);
        self.auction.filter(|_| auction).map_or(last, |(close, _)| close.min(last))
    }
}

/// A trade, or a new value of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketTick {
    /// When.
    pub time: Nanos,
    /// Of which instrument.
    pub listed: usize,
    /// At which price.
    pub price: Price,
    /// How much was traded since the tick before; may be nothing.
    pub volume: i64,
}

/// A session's ticks, in order of time; of one time, indices last.
pub trait DayTape: Send {
    /// The instruments of the day.
    fn listings(&self) -> &[DayListing];
    /// When the next tick comes.
    fn peek(&self) -> Option<Nanos>;
    /// The next tick.
    fn next(&mut self) -> Option<MarketTick>;
}

/// A bar of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryBar {
    /// When it began; of a day, its midnight.
    pub time: Nanos,
    /// First price.
    pub open: Price,
    /// Highest.
    pub high: Price,
    /// Lowest.
    pub low: Price,
    /// Last.
    pub close: Price,
    /// Traded.
    pub volume: i64,
}

/// Which bars of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Place of the instrument.
    pub listed: usize,
    /// Minutes of a bar; 0 for whole days.
    pub minutes: u32,
    /// First time of a bar.
    pub from: Nanos,
    /// Last time of a bar.
    pub to: Nanos,
    /// What happened later is not known yet.
    pub now: Nanos,
}

/// An order at the exchange, as far as its price goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Which way.
    pub side: Side,
    /// Limit; `None` takes any price.
    pub limit: Option<Price>,
    /// Trigger, while it has not been reached.
    pub trigger: Option<Price>,
}

/// What a fill is charged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargeQuery {
    /// The date whose rates hold.
    pub date: Date,
    /// True for delivery, false for intraday.
    pub delivery: bool,
    /// Which way.
    pub side: Side,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: i64,
    /// Value of the order's earlier fills.
    pub value_before: Money,
    /// Brokerage of the order's earlier fills.
    pub brokerage_before: Money,
    /// True for the day's first sale of this instrument out of the account.
    pub leaves_account: bool,
}

/// A market.
pub trait Market: Send + Sync {
    /// Everything that is listed; its order never changes.
    fn listed(&self) -> &[Listed];
    /// The hours of a date; `None` when it is closed.
    fn hours(&self, date: Date) -> Result<Option<Hours>, MarketError>;
    /// The ticks of a date.
    fn tape(&self, date: Date) -> Result<Box<dyn DayTape>, MarketError>;
    /// Bars of history, oldest first.
    fn history(&self, query: HistoryQuery) -> Result<Vec<HistoryBar>, MarketError>;
    /// What a fill costs.
    fn charges(&self, query: ChargeQuery) -> Charges;
    /// At which price an order trades when the market is at `price`; a trigger that is reached is taken away.
    fn trades_at(&self, order: &mut Resting, price: Price) -> Option<Price>;
    /// What tells this market from another: a server that starts again must find the same.
    fn fingerprint(&self) -> String;
}
