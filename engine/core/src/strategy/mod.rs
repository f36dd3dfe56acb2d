//! Strategies: what decides. One small file each; copy one to write your own.
//!
//! - A strategy learns from closed bars and decides at slices; it sees nothing else, so it cannot look ahead.
//! - It asks; the gate answers. It never touches cash, positions or orders itself.
//! - Its state is saved in snapshots and hashed in digests: whatever it remembers must be in its struct.

mod hold;
mod intraday;
pub mod orders;
mod parameters;
mod sma_cross;
mod swing;
mod top_score;
mod weights;

pub use hold::Hold;
pub use intraday::Intraday;
pub use parameters::{Parameter, ParameterError, Parameters};
pub use sma_cross::SmaCross;
pub use swing::Swing;
pub use top_score::TopScore;
pub use weights::Weights;

use crate::exits::Held;
use crate::funds::Funds;
use crate::input::SessionHours;
use crate::ledger::{Book, Ledger};
use crate::orders::{Order, Requests};
use crate::policy::{PolicyRunner, momentum};
use crate::risk::{RiskLimits, TradingHours};
use crate::sizing::{Gauge, Record, Sizing, SizingInput};
use crate::targets::Targets;
use daybook_vocabulary::{Candle, Decision, Instrument, InstrumentId, Interval, Money, Nanos, Price, Quantity};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A rule for one instrument. The engine keeps one copy per instrument; most strategies are one of these.
pub trait Rule: Clone + Send + Serialize + DeserializeOwned + 'static {
    /// Name on the command line.
    const NAME: &'static str;
    /// One line for `--help`.
    const ABOUT: &'static str;
    /// What `--set` takes.
    const PARAMETERS: &'static [Parameter];

    /// Builds it from its parameters.
    fn new(parameters: &Parameters) -> Result<Self, ParameterError>;

    /// Bars it must have seen before its first decision can be meant.
    fn warmup(&self) -> u32;

    /// Learns a closed bar.
    fn on_bar(&mut self, bar: &Candle);

    /// Decides, at the slice of the bar it has just learned.
    fn decide(&mut self, view: &View<'_>, requests: &mut Requests);
}

/// What decides for all instruments of a session.
pub trait Strategy: Send {
    /// Bars of an instrument that must have been seen before a decision can be meant.
    fn warmup(&self) -> u32;
    /// Learns a closed bar.
    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle);
    /// Decides for one instrument, at the slice of the bar it has just learned.
    fn decide(&mut self, view: &View<'_>, requests: &mut Requests);
    /// A session begins; it comes before the session's first bar.
    fn on_session(&mut self, _: &SessionHours) {}
    /// True for a strategy that looks at all instruments of a slice before it decides about any.
    fn sees_slices(&self) -> bool {
        false
    }
    /// Looks at all instruments of a slice, before [`Strategy::decide`] is called for each of those that closed a bar.
    /// What it adds to `decisions` is journaled; the core numbers it and names its cause.
    fn on_slice(&mut self, _: &SliceView<'_>, _: &mut Vec<(InstrumentId, Decision)>) {}
    /// Why the run ends at the slice it has just looked at; asked of strategies that look at slices.
    fn fault(&mut self) -> Option<Fault> {
        None
    }
    /// Appends its whole state.
    fn save(&self, out: &mut Vec<u8>);
    /// Restores what [`Strategy::save`] wrote; false when the bytes are something else.
    fn load(&mut self, saved: &[u8]) -> bool;
}

/// One copy of a rule per instrument.
struct PerInstrument<R> {
    rules: Vec<R>,
}

impl<R: Rule> Strategy for PerInstrument<R> {
    fn warmup(&self) -> u32 {
        self.rules.first().map_or(0, Rule::warmup)
    }

    #[inline]
    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle) {
        self.rules[instrument.index()].on_bar(bar);
    }

    #[inline]
    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        self.rules[view.instrument.index()].decide(view, requests);
    }

    fn save(&self, out: &mut Vec<u8>) {
        *out = postcard::to_extend(&self.rules, std::mem::take(out)).expect("a rule's state is plain data");
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        match postcard::take_from_bytes::<Vec<R>>(saved) {
            Ok((rules, [])) if rules.len() == self.rules.len() => {
                self.rules = rules;
                true
            }
            _ => false,
        }
    }
}

/// Why a strategy cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A symbol that it cannot do without has no candle.
    Missing(String),
    /// Something was to be decided on before it was there.
    Early {
        /// The symbol.
        symbol: String,
        /// When it was to be decided.
        decided: Nanos,
        /// Its first candle opened then.
        begins: Nanos,
    },
}

/// What a strategy sees of a whole slice.
pub struct SliceView<'a> {
    /// The time of the slice.
    pub now: Nanos,
    /// Hours of the session.
    pub session: SessionHours,
    /// Length of the bars it learns.
    pub interval: Interval,
    /// Instruments whose bar closed at this slice, in symbol order.
    pub fresh: &'a [InstrumentId],
    /// All instruments, by id.
    pub instruments: &'a [Instrument],
    /// The account's limits, and what a policy trades with.
    pub limits: &'a RiskLimits,
    /// The hours that the limits allow instruments which close in no auction.
    pub(crate) hours: TradingHours,
    /// Those of the others, in a session that has auctions.
    pub(crate) auction_hours: Option<TradingHours>,
    /// Which ones those are; empty where there is none.
    pub(crate) auctions: &'a [bool],
    /// What portfolios trade by.
    pub targets: Targets,
    pub(crate) books: &'a [Book],
    pub(crate) ledger: &'a Ledger,
    pub(crate) untraded: Option<InstrumentId>,
}

impl SliceView<'_> {
    /// The hours that the limits allow an instrument in this session.
    pub fn hours(&self, instrument: InstrumentId) -> TradingHours {
        let in_auction = self.auctions.get(instrument.index()).copied().unwrap_or(false);
        self.auction_hours.filter(|_| in_auction).unwrap_or(self.hours)
    }

    /// The instruments that are traded, by id: all but the benchmark of the limits.
    pub fn traded(&self) -> impl Iterator<Item = InstrumentId> + use<> {
        let untraded = self.untraded;
        (0..self.instruments.len() as u32).map(InstrumentId).filter(move |id| Some(*id) != untraded)
    }

    /// The first of them without a candle at this slice.
    pub fn absent(&self) -> Option<&str> {
        self.traded().find(|id| !self.is_fresh(*id)).map(|id| self.instruments[id.index()].symbol.as_str())
    }

    /// Bars that a strategy has learned of an instrument.
    pub fn learned(&self, instrument: InstrumentId) -> u64 {
        self.books[instrument.index()].learned
    }

    /// True for an instrument whose bar closed at this slice.
    pub fn is_fresh(&self, instrument: InstrumentId) -> bool {
        self.fresh.binary_search(&instrument).is_ok()
    }

    /// Signed quantity held of an instrument.
    pub fn position(&self, instrument: InstrumentId) -> Quantity {
        self.books[instrument.index()].position.quantity
    }

    /// Orders working in an instrument.
    pub fn working(&self, instrument: InstrumentId) -> &[Order] {
        &self.books[instrument.index()].working
    }

    /// Last price of an instrument; zero before its first candle.
    pub fn last(&self, instrument: InstrumentId) -> Price {
        self.books[instrument.index()].last
    }

    /// Average entry price of an instrument, zero when flat.
    pub fn average_price(&self, instrument: InstrumentId) -> Price {
        self.books[instrument.index()].position.average_price()
    }

    /// The highest and the lowest price since the position of an instrument was entered.
    pub fn extremes(&self, instrument: InstrumentId) -> (Price, Price) {
        let book = &self.books[instrument.index()];
        (book.high, book.low)
    }

    /// The first stop that protected the open trade of an instrument.
    pub fn first_stop(&self, instrument: InstrumentId) -> Option<Price> {
        self.books[instrument.index()].trade.and_then(|trade| trade.stop)
    }

    /// The open trade of an instrument as the rules of leaving see it; nothing when flat.
    pub fn held(&self, instrument: InstrumentId, range: Option<Price>) -> Option<Held> {
        self.books[instrument.index()].held(range)
    }

    /// When the position of an instrument was entered, at the exchange.
    pub fn entered(&self, instrument: InstrumentId) -> Option<Nanos> {
        self.books[instrument.index()].trade.map(|trade| trade.entry_time)
    }

    /// The whole account at last prices.
    pub fn equity(&self) -> Money {
        self.ledger.equity()
    }
}

/// What a strategy sees when it decides about one instrument.
pub struct View<'a> {
    /// The decision's time: the close of the candle that closed the bar just learned.
    pub now: Nanos,
    /// Which instrument.
    pub instrument: InstrumentId,
    /// What it is.
    pub meta: &'a Instrument,
    /// Hours of the session.
    pub session: SessionHours,
    /// Length of the bars it learns.
    pub interval: Interval,
    pub(crate) book: &'a Book,
    pub(crate) ledger: &'a Ledger,
    /// The account's closed trades.
    pub(crate) record: &'a Record,
    pub(crate) funds: &'a Funds,
}

impl View<'_> {
    /// Signed quantity held.
    pub fn position(&self) -> Quantity {
        self.book.position.quantity
    }

    /// Nothing held.
    pub fn is_flat(&self) -> bool {
        self.position().is_zero()
    }

    /// Orders still working in this instrument.
    pub fn working(&self) -> &[Order] {
        &self.book.working
    }

    /// True while an order works in this instrument, the keeper's stop aside.
    pub fn is_pending(&self) -> bool {
        self.book.working.iter().any(|order| !order.is_kept())
    }

    /// Average entry price, zero when flat.
    pub fn average_price(&self) -> Price {
        self.book.position.average_price()
    }

    /// The open trade as the rules of leaving see it; nothing when flat.
    pub fn held(&self, range: Option<Price>) -> Option<Held> {
        self.book.held(range)
    }

    /// When the position was entered, at the exchange.
    pub fn entered(&self) -> Option<Nanos> {
        self.book.trade.map(|trade| trade.entry_time)
    }

    /// Last price.
    pub fn last(&self) -> Price {
        self.book.last
    }

    /// The whole account at last prices.
    pub fn equity(&self) -> Money {
        self.ledger.equity()
    }

    /// Cash a new order may use.
    pub fn free_cash(&self) -> Money {
        self.ledger.free() - self.funds.kept(self.ledger).all()
    }

    /// How much to enter with at the last price; nothing when that is less than a lot, or when what the size is worked
    /// out from is missing.
    #[inline]
    pub fn size(&self, sizing: Sizing, stop: Option<Price>, gauge: Option<&Gauge>) -> Option<Quantity> {
        sizing.quantity(&SizingInput {
            stop,
            range: gauge.and_then(Gauge::range),
            volatility: gauge.and_then(Gauge::volatility),
            record: *self.record,
            ..SizingInput::new(self.equity(), self.last(), self.meta.lot)
        })
    }

    /// Nanoseconds until the session's close.
    pub fn until_close(&self) -> i64 {
        self.session.close - self.now
    }
}

/// A strategy that can be named on the command line.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// What `--set` takes.
    pub parameters: &'static [Parameter],
    build: Build,
}

type Build = fn(&Parameters, usize) -> Result<Box<dyn Strategy>, ParameterError>;

impl Entry {
    const fn of<R: Rule>() -> Self {
        Self { name: R::NAME, about: R::ABOUT, parameters: R::PARAMETERS, build: build::<R> }
    }

    /// Builds it for a number of instruments.
    pub fn build(&self, parameters: &Parameters, instruments: usize) -> Result<Box<dyn Strategy>, ParameterError> {
        (self.build)(parameters, instruments)
    }
}

/// The policy written by hand, under the decision rules.
const MOMENTUM: Entry = Entry {
    name: momentum::NAME,
    about: momentum::ABOUT,
    parameters: momentum::PARAMETERS,
    build: |parameters, instruments| {
        let policy = Box::new(momentum::Momentum::new(parameters, instruments)?);
        Ok(Box::new(PolicyRunner::new(policy, instruments)))
    },
};

/// The ranking trader of many symbols.
const TOP_SCORE: Entry = Entry {
    name: top_score::NAME,
    about: top_score::ABOUT,
    parameters: top_score::PARAMETERS,
    build: |parameters, instruments| Ok(Box::new(TopScore::new(parameters, instruments)?)),
};

/// The holder of target weights.
const WEIGHTS: Entry = Entry {
    name: weights::NAME,
    about: weights::ABOUT,
    parameters: weights::PARAMETERS,
    build: |parameters, instruments| Ok(Box::new(Weights::new(parameters, instruments)?)),
};

fn build<R: Rule>(parameters: &Parameters, instruments: usize) -> Result<Box<dyn Strategy>, ParameterError> {
    let rule = R::new(parameters)?;
    Ok(Box::new(PerInstrument { rules: vec![rule; instruments] }))
}

/// Every strategy, by name. A new one is its file and a line here.
pub const STRATEGIES: &[Entry] = &[
    Entry::of::<Hold>(),
    Entry::of::<Intraday>(),
    MOMENTUM,
    Entry::of::<SmaCross>(),
    Entry::of::<Swing>(),
    TOP_SCORE,
    WEIGHTS,
];

/// The strategy of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    STRATEGIES.iter().find(|entry| entry.name == name)
}
