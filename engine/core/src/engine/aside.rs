//! Aside: what few settings ask for and a plain session knows nothing of.
//!
//! - Orders that meet a candle at prices of their own (see [`crate::pricing`]).
//! - Exits first: a candle is worked by orders that leave a position; those that enter wait until the exits of all
//!   instruments of the moment have had their turn, at the slice, and then meet the same candles, in the same order.
//! - Cash that is there and may not buy (see [`crate::funds`]).
//! - What is remembered here is state only where a setting asks for it: without, the state has the bytes it always had.

use super::changes::followed;
use super::desk::{Trade, Walk};
use super::takings::Takings;
use super::{Core, CoreError};
use crate::exchange::Phase;
use crate::funds::{Funds, Kept, Sold};
use crate::input::SessionHours;
use crate::orders::{Order, Trigger};
use crate::outbox::{Conclusion, Outbox};
use crate::pricing::{chosen_price, market_price};
use crate::rules::ExchangeRules;
use daybook_config::{Calendar, MarketPrice, Sequence, StopFill, TrailTiming};
use daybook_vocabulary::{Candle, Cause, InstrumentId, Money, Nanos, OrderId, OrderType, Price, Quantity, Side};
use serde::{Deserialize, Serialize};

/// What few settings ask to be remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Aside {
    /// Some setting asks for it. Told, not state.
    #[serde(skip)]
    asked: bool,
    /// The slippage model wants a return over sessions. Told, not state.
    #[serde(skip)]
    pub(super) wants_momentum: bool,
    /// What was taken of candles; it has bytes of its own.
    #[serde(skip)]
    pub(super) takings: Takings,
    pub(super) funds: Funds,
    /// Candles that entries have still to meet, in the order in which they came.
    met: Vec<Met>,
    /// Orders that let candles pass, until so many have been seen of their instrument; then they work as if they had come
    /// when they did.
    lags: Vec<(InstrumentId, OrderId, u64, Nanos)>,
    /// Middle and mean of the last candle by instrument, where orders trade at those when it is over.
    prices: Vec<(Price, Price)>,
}

/// A candle that entries have still to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Met {
    id: InstrumentId,
    cause: Cause,
    /// When it was learned.
    time: Nanos,
    candle: Candle,
    /// What of it may still fill.
    left: Quantity,
    /// Number of the last order when its exits had their turn.
    last: OrderId,
    /// Bars that the instrument had seen before it, and those its strategy had learned.
    bars: (u64, u64),
    flat: bool,
}

/// Which orders have their turn at a candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// Those that leave a position.
    Exits,
    /// The others, and exits that came after this order.
    Entries(OrderId),
}

impl Part {
    /// True where the candle is met for the first time.
    pub(super) const fn begins(self) -> bool {
        !matches!(self, Self::Entries(_))
    }

    const fn takes(self, order: &Order) -> bool {
        match self {
            Self::All => true,
            Self::Exits => order.reduces,
            Self::Entries(last) => !order.reduces || order.id.0 > last.0,
        }
    }
}

impl Aside {
    /// Tells what the rules ask for: prices of the last candle for so many instruments, of `count`.
    pub(super) fn tell(&mut self, rules: &ExchangeRules, prices: usize, count: usize) {
        self.prices.resize(prices, (Price::ZERO, Price::ZERO));
        self.tell_again(rules, count);
        if rules.sequence != Sequence::ExitsFirst {
            self.met.clear();
        }
    }

    /// Tells what is not state once more, to what was loaded.
    pub(super) fn tell_again(&mut self, rules: &ExchangeRules, count: usize) {
        self.funds.tell(rules.settlement, rules.cash_buffer, count);
        self.asked = rules.sequence == Sequence::ExitsFirst
            || rules.settlement > 0
            || rules.lag_bars > 0
            || !self.prices.is_empty();
    }

    /// Appends its bytes, where there is anything to remember.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        if self.asked {
            *out = postcard::to_extend(self, std::mem::take(out)).expect("what is aside is plain data");
        }
        self.takings.save(out);
    }

    /// Takes what [`Aside::save`] wrote, and hands back the rest.
    pub(super) fn load<'a>(&mut self, saved: &'a [u8], count: usize) -> Option<&'a [u8]> {
        if !self.asked {
            return self.takings.load(saved);
        }
        let (aside, rest): (Self, _) = postcard::take_from_bytes(saved).ok()?;
        let fits = aside.prices.len() == self.prices.len()
            && aside.met.iter().all(|met| met.id.index() < count)
            && aside.lags.iter().all(|(id, ..)| id.index() < count);
        fits.then(|| {
            let takings = std::mem::take(&mut self.takings);
            *self = Self { asked: true, wants_momentum: self.wants_momentum, takings, ..aside };
            rest
        })
        .and_then(|rest| self.takings.load(rest))
    }

    /// Remembers the prices of a candle, where orders trade at them when it is over.
    pub(super) fn note_candle(&mut self, id: InstrumentId, candle: &Candle) {
        if let Some(prices) = self.prices.get_mut(id.index()) {
            let price = |which| market_price(candle, which, Side::Buy, Price::ZERO);
            *prices = (price(MarketPrice::Mid), price(MarketPrice::Vwap));
        }
    }
}

impl Core {
    /// The same core, which counts the sessions of a calendar where settlement asks for them.
    pub fn with_calendar(mut self, calendar: Calendar) -> Self {
        self.calendar = Some(calendar);
        self
    }

    /// Lets candles pass an order that has just been accepted: it has not come before they have.
    #[inline(never)]
    pub(super) fn hold_up(&mut self, id: InstrumentId, order: &mut Order) {
        let books = &self.state.books;
        self.aside.lags.retain(|(id, _, until, _)| books[id.index()].bars <= *until);
        let until = books[id.index()].bars + u64::from(self.rules.lag_bars);
        let arrives = std::mem::replace(&mut order.decided, Nanos::MAX);
        self.aside.lags.push((id, order.id, until, arrives));
    }

    /// Rules without a lag let every order through that has waited under others.
    pub(super) fn end_lags(&mut self) {
        if self.rules.lag_bars == 0 {
            for (id, which, _, arrives) in std::mem::take(&mut self.aside.lags) {
                let working = &mut self.state.books[id.index()].working;
                if let Some(order) = working.iter_mut().find(|order| order.id == which) {
                    order.decided = arrives;
                }
            }
        }
    }

    /// Before a candle: orders that have let enough of them pass have come.
    #[inline(never)]
    pub(super) fn let_through(&mut self, id: InstrumentId) {
        let book = &mut self.state.books[id.index()];
        self.aside.lags.retain(|(of, which, until, arrives)| {
            let due = *of == id && book.bars >= *until;
            if due && let Some(order) = book.working.iter_mut().find(|order| order.id == *which) {
                order.decided = *arrives;
            }
            !due
        });
    }

    /// Cash that may not buy, where there is any such.
    #[inline]
    pub(super) fn kept(&self) -> Option<Kept> {
        if self.holds_back { Some(self.aside.funds.kept(&self.state.ledger)) } else { None }
    }

    /// All cash that may buy, where nothing is held back for working orders.
    pub(super) fn all_cash(&self) -> Money {
        self.state.ledger.cash - self.kept().unwrap_or_default().all()
    }

    /// What a fill leaves behind: a trace on the price, less of the candle, proceeds that settle later.
    #[inline(never)]
    pub(super) fn before_fill(&mut self, trade: &Trade, order: &Order, fees: Money) {
        if self.fade.is_some() {
            self.leave_trace(trade, order);
        }
        if trade.settled.is_none() {
            self.aside.takings.note(trade.id, trade.cause, order.side, trade.quantity);
        }
        let book = &self.state.books[trade.id.index()];
        let held = book.position.quantity;
        if let Some(session) = self.state.session.filter(|_| self.aside.funds.settles() && order.side == Side::Sell) {
            let day = book.day.at(session.date, held);
            let value = trade.price.times(trade.quantity);
            let (id, session, quantity) = (trade.id, session.date, trade.quantity);
            self.aside.funds.sold(&Sold { id, session, day, held, quantity, value, fees });
        }
    }

    /// What market orders trade at when their candle is over, where that is not its close.
    pub(super) fn price_at_close(&self, id: InstrumentId, side: Side) -> Option<Price> {
        let (mid, mean) = *self.aside.prices.get(id.index())?;
        let price = match self.rules.market_price? {
            MarketPrice::Mid => mid,
            MarketPrice::Vwap => mean,
            MarketPrice::Open | MarketPrice::Close => return None,
        };
        let tick = self.rules.tick(&self.setup.instruments[id.index()]);
        Some(crate::slippage::round_against(side, price, tick)).filter(|price| price.0 > 0)
    }

    /// Lets one order meet one station of a candle at a price of its own.
    #[inline(never)]
    pub(super) fn work_order_otherwise(
        &mut self,
        place: usize,
        phase: Phase,
        walk: &mut Walk<'_>,
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let order = &working[place];
        let market_after_hours = order.order_type == OrderType::Market && phase == Phase::Close;
        if !walk.part.takes(order) || (market_after_hours && walk.barred == (true, true)) {
            return Ok(());
        }
        // A stop that leaves at the next open has ended what its twin could have taken inside this candle.
        let ends = |other: &Order| {
            let twin =
                (order.pair != 0 && other.pair == order.pair) || (order.group != 0 && other.group == order.group);
            twin && other.id != order.id && other.trigger == Trigger::Touched && other.is_working()
        };
        if phase == Phase::Limits && self.rules.stop_fill == StopFill::NextOpen && working.iter().any(ends) {
            return Ok(());
        }
        let (id, candle) = (walk.id, walk.candle);
        let tick = self.rules.tick(&self.setup.instruments[id.index()]);
        let number = self.state.books[id.index()].bars + 1;
        let order = &mut working[place];
        // Of a candle inside which the order came into being nobody knows whether its best price came after it.
        if phase == Phase::Stops
            && self.rules.trail_timing == TrailTiming::Before
            && order.born != number
            && let Some(tightened) = followed(order, candle, false, tick, walk.cause)
        {
            out.push(id, Conclusion::Tightened(tightened));
        }
        match chosen_price(&self.rules, order, candle, phase, tick) {
            Some(reference) => self.trade_order(place, (phase, reference), walk, working, out),
            None => Ok(()),
        }
    }

    /// Works the exits of an instrument on a candle; entries wait for those of all instruments.
    #[inline(never)]
    pub(super) fn work_exits(
        &mut self,
        cause: Cause,
        id: InstrumentId,
        candle: &Candle,
        session: &SessionHours,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        // Without a slice in between, what waits is of another moment.
        if self.aside.met.iter().any(|met| met.id == id || met.time < self.state.now) {
            self.work_entries(session, out)?;
        }
        let book = &self.state.books[id.index()];
        let (bars, flat) = ((book.bars, book.learned), book.position.quantity.is_zero());
        let last = OrderId(self.state.counts.orders);
        let (time, left) = (self.state.now, Quantity(i64::MAX));
        let met = Met { id, cause, time, candle: *candle, left, last, bars, flat };
        let left = self.meet(met, Part::Exits, session, out)?;
        if self.state.books[id.index()].working.iter().any(|order| !Part::Exits.takes(order)) {
            self.aside.met.push(Met { left, ..met });
        } else {
            self.end_candle(id, candle, session, out);
        }
        Ok(())
    }

    /// Works the entries that have waited for the exits of their moment.
    pub(super) fn work_entries(&mut self, session: &SessionHours, out: &mut Outbox) -> Result<(), CoreError> {
        if self.aside.met.is_empty() {
            return Ok(());
        }
        for met in std::mem::take(&mut self.aside.met) {
            let (id, candle) = (met.id, met.candle);
            // The candle has been counted since; for what meets it now it is still under way.
            let book = &mut self.state.books[id.index()];
            let counted = std::mem::replace(&mut book.bars, met.bars.0);
            let learned = std::mem::replace(&mut book.learned, met.bars.1);
            self.meet(met, Part::Entries(met.last), session, out)?;
            self.end_candle(id, &candle, session, out);
            let book = &mut self.state.books[id.index()];
            (book.bars, book.learned) = (counted, learned);
            if met.flat && !book.position.quantity.is_zero() {
                book.follow(&candle);
                self.state.counts.bars_in_market += 1;
            }
        }
        Ok(())
    }

    /// Entries have their turn, then the limits look.
    #[inline(never)]
    pub(super) fn before_watch(&mut self, session: &SessionHours, out: &mut Outbox) -> Result<(), CoreError> {
        self.work_entries(session, out)?;
        if self.limited || self.state.risk.flattening.is_some() {
            self.watch(session, out);
        }
        Ok(())
    }

    /// Lets some orders of an instrument meet a candle; what of it may still fill is handed back.
    fn meet(&mut self, met: Met, part: Part, session: &SessionHours, out: &mut Outbox) -> Result<Quantity, CoreError> {
        let (id, candle) = (met.id, met.candle);
        let mut working = std::mem::take(&mut self.state.books[id.index()].working);
        let barred = if self.rules.bars_candles() { self.barred(id, &candle, session) } else { (false, false) };
        let ticked = self.is_ticked(id);
        let mut walk = Walk { cause: met.cause, id, candle: &candle, session, left: met.left, barred, part };
        let worked = self.walk(&mut walk, ticked, &mut working, out);
        let left = walk.left;
        working.retain(Order::is_working);
        self.state.books[id.index()].working = working;
        worked.map(|()| left)
    }

    fn end_candle(&mut self, id: InstrumentId, candle: &Candle, session: &SessionHours, out: &mut Outbox) {
        let mut working = std::mem::take(&mut self.state.books[id.index()].working);
        if !self.is_ticked(id) {
            self.after_candle(id, candle, session, &mut working, out);
        }
        working.retain(Order::is_working);
        self.state.books[id.index()].working = working;
        if self.keeps {
            self.keep_at_market(id, out);
        }
    }
}
