//! The venue: what exchange and broker do beside filling orders.
//!
//! - It screens what a strategy asks for: expired instruments, prices between ticks, stops on the wrong side, prices
//!   outside the day's band, entries after the broker has begun to square off. Exits the engine places itself, and those
//!   of a bracket, are not screened: a position must never be without its stop for the want of a tick.
//! - A band follows from the last price before the session; without one, or once the market has traded outside it, it
//!   does not hold: then another band does, and nobody said which.
//! - A locked market does not fill: at the upper end nobody sells, at the lower nobody buys.
//! - Under latency a cancel or a change is on its way like an order: what trades before it arrives, trades.
//! - The plain exchange comes here for nothing but numbers of the client's own.

use super::Core;
use super::auction::AuctionState;
use super::changes::{modified, moved};
use super::desk::end_order;
use super::parity::{LastCandle, Submitted};
use super::ticks::TickState;
use crate::input::SessionHours;
use crate::ledger::Book;
use crate::orders::{Order, OrderChange, OrderRequest};
use crate::outbox::{Conclusion, Outbox};
use crate::risk::gate::Refusal;
use crate::rules::{ExchangeRules, band};
use crate::slippage::{Footprint, Want};
use daybook_config::{BuyingPower, FillBar, Liquidity, OffTick, Sequence, TradingTime, WrongSide};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{
    Alarm, Candle, Cause, Date, InstrumentId, Label, Measure, Money, Nanos, OrderEvent, OrderId, OrderModified,
    OrderState, OrderUpdate, Price, Quantity, RequestKind, Side, Verdict,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// What the venue remembers; nothing where the rules ask for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct VenueState {
    /// Last prices before the session, by instrument, where bands are configured.
    pub(super) previous: Vec<Price>,
    /// When a strategy has heard of the last fill, by instrument, where answers take time.
    pub(super) answered: Vec<Nanos>,
    /// Changes under way to the exchange, in order of arrival.
    pub(super) under_way: Vec<UnderWay>,
    /// Numbers that clients have used in this session.
    pub(super) clients: BTreeSet<u64>,
    /// What is left of the pools that orders empty, by instrument; empty where there are none.
    pub(super) pools: Vec<Quantity>,
    /// Volumes of sessions, by instrument, where a model asks for their mean.
    pub(super) volumes: Vec<Volumes>,
    /// The last candle, by instrument, where orders trade at its close.
    pub(super) candles: Vec<LastCandle>,
    /// Closing auctions, by instrument, where there are any.
    pub(super) auctions: Vec<AuctionState>,
    /// Orders submitted at the present instant, where all cash pays for them.
    pub(super) submitted: Submitted,
    /// What our fills have left on prices, by instrument, where a model says that they do.
    pub(super) footprints: Vec<Footprint>,
    /// Volumes of the last candles, by instrument, where the cap follows them.
    pub(super) recent: Vec<Recent>,
    /// What the month has seen, where commissions ask.
    pub(super) month: Month,
    /// What ticks have left behind, by instrument; empty until the session brings one.
    pub(super) ticks: Vec<TickState>,
}

/// Volumes of an instrument's sessions: the present one so far, and the last whole ones.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Volumes {
    today: i128,
    past: VecDeque<i128>,
    /// Closes of the same sessions, and the deviation of the returns between them.
    closes: VecDeque<Price>,
    deviation: Option<i64>,
}

/// Volumes of the last candles, where the cap follows them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Recent {
    past: VecDeque<i64>,
    /// Mean of those before the present candle; zero where there is none.
    mean: i64,
}

/// What the account has traded in a calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Month {
    /// Year and month as one number.
    number: i32,
    value: Money,
    quantity: Quantity,
}

impl Month {
    /// What a month has seen by now.
    pub(super) fn of(&self, date: Date) -> (Money, Quantity) {
        if self.number == date.month_number() { (self.value, self.quantity) } else { (Money::ZERO, Quantity::ZERO) }
    }

    /// Adds a fill.
    pub(super) fn add(&mut self, date: Date, value: Money, quantity: Quantity) {
        let (before, units) = self.of(date);
        let quantity = Quantity(units.0.saturating_add(quantity.0));
        *self = Self { number: date.month_number(), value: before + value, quantity };
    }
}

/// Candles whose mean volume is the usual one.
const RECENT: usize = 20;

/// The largest return that is told apart, in units of 1e-16.
const UNIT_MAX: i64 = 100 * SCALE * SCALE;

impl Volumes {
    /// A session has closed: the deviation is that of the returns from close to close, around zero.
    fn close(&mut self, last: Price, most: usize) {
        self.closes.push_back(last);
        while self.closes.len() > most + 1 {
            self.closes.pop_front();
        }
        let steps = self.closes.iter().zip(self.closes.iter().skip(1));
        let square = |(from, to): (&Price, &Price)| {
            // In units of 1e-8, so that the square is one of 1e-16; no return is larger than a hundredfold.
            let step = i128::from(to.0 - from.0) * i128::from(SCALE) / i128::from(from.0.max(1));
            step.clamp(-100 * i128::from(SCALE), 100 * i128::from(SCALE)).pow(2)
        };
        let sum: i128 = steps.map(square).sum();
        let count = self.closes.len() as i128 - 1;
        // The root of units of 1e-16 is one of 1e-8; a model wants 1e-16.
        let deviation = |sum: i128| i64::try_from((sum * i128::from(SCALE) * i128::from(SCALE) / count).isqrt());
        self.deviation = if count > 0 { deviation(sum).ok() } else { None };
    }
}

impl Recent {
    /// The mean is that of the candles before this one.
    fn add(&mut self, volume: Quantity) {
        let sum = self.past.iter().map(|volume| i128::from(*volume)).sum::<i128>();
        self.mean = if self.past.is_empty() { 0 } else { (sum / self.past.len() as i128) as i64 };
        self.past.push_back(volume.0);
        if self.past.len() > RECENT {
            self.past.pop_front();
        }
    }
}

impl VenueState {
    /// What a fill leaves with the venue: when a strategy hears of it, what the month has seen, that the candle traded.
    #[inline]
    pub(super) fn note_fill(&mut self, id: InstrumentId, heard: Nanos, month: Option<(Date, Money, Quantity)>) {
        if let Some(answered) = self.answered.get_mut(id.index()) {
            *answered = (*answered).max(heard);
        }
        if let Some((date, value, quantity)) = month {
            self.month.add(date, value, quantity);
        }
        if let Some(last) = self.candles.get_mut(id.index()) {
            last.traded = true;
        }
    }

    /// The deviation of daily returns; nothing where it is not known, or nobody asked for it.
    #[inline]
    pub(super) fn deviation(&self, id: InstrumentId) -> Option<i64> {
        self.volumes.get(id.index()).and_then(|volumes| volumes.deviation)
    }

    /// The return over the last whole sessions, in units of 1e-16; nothing where it is not known, or nobody asked for it.
    #[inline]
    pub(super) fn momentum(&self, id: InstrumentId) -> Option<i64> {
        let closes = &self.volumes.get(id.index()).filter(|volumes| volumes.closes.len() > 1)?.closes;
        let (first, last) = (i128::from(closes.front()?.0), i128::from(closes.back()?.0));
        let unit = i128::from(SCALE) * i128::from(SCALE);
        // No return is larger than a hundredfold, or the price is another instrument's.
        i64::try_from((last - first).saturating_mul(unit) / first.max(1)).ok().map(|r| r.clamp(-UNIT_MAX, UNIT_MAX))
    }

    /// The average daily volume; zero where it is not known, or nobody asked for it.
    #[inline]
    pub(super) fn average(&self, id: InstrumentId) -> Quantity {
        let Some(volumes) = self.volumes.get(id.index()).filter(|volumes| !volumes.past.is_empty()) else {
            return Quantity::ZERO;
        };
        let mean = volumes.past.iter().sum::<i128>() / volumes.past.len() as i128;
        Quantity(i64::try_from(mean).unwrap_or(i64::MAX))
    }
}

/// A request under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnderWay {
    id: InstrumentId,
    order: OrderId,
    /// When it reaches the exchange.
    arrives: Nanos,
    what: Asked,
    reason: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Asked {
    Cancel,
    Modify(OrderChange),
}

impl Core {
    /// The same core under rules of an exchange. Like the setup they are not state: a restored core is told again.
    pub fn with_exchange(mut self, rules: ExchangeRules) -> Self {
        let count = self.setup.instruments.len();
        let venue = &mut self.state.venue;
        venue.previous.resize(if rules.bands.is_empty() { 0 } else { count }, Price::ZERO);
        venue.answered.resize(if rules.answer > 0 { count } else { 0 }, Nanos::MIN);
        let begins = match rules.liquidity {
            Liquidity::Depleting(most, _) => vec![most; count],
            _ => Vec::new(),
        };
        if venue.pools.len() != begins.len() {
            venue.pools = begins;
        }
        let by_candle = if rules.fill_bar == FillBar::Next { 0 } else { count };
        venue.candles.resize(by_candle, LastCandle::default());
        venue.recent.resize(if rules.adaptive_cap.is_some() { count } else { 0 }, Recent::default());
        venue.auctions.resize(if rules.auctions.is_empty() { 0 } else { count }, AuctionState::default());
        self.screens = rules.screens();
        let prices = if rules.fill_bar != FillBar::Next && rules.market_price.is_some() { count } else { 0 };
        self.aside.tell(&rules, prices, count);
        self.rules = rules;
        self.end_lags();
        self.heed();
        self
    }

    /// What has to be done at a candle before orders trade on it follows from the rules and from the slippage model.
    pub(super) fn heed(&mut self) {
        let by_day = |want| matches!(want, Want::Average | Want::Volatility | Want::Momentum);
        let averages = self.slippage.as_ref().is_some_and(|model| by_day(model.wants()));
        self.aside.wants_momentum = self.slippage.as_ref().is_some_and(|model| model.wants() == Want::Momentum);
        self.fade = self.slippage.as_ref().and_then(|model| model.fade());
        let traced = if self.fade.is_some() { self.setup.instruments.len() } else { 0 };
        self.state.venue.footprints.resize(traced, Footprint::default());
        let count = if averages { self.setup.instruments.len() } else { 0 };
        self.state.venue.volumes.resize(count, Volumes::default());
        self.acts = self.rules.acts() || averages || self.keeps;
        let exits_first = self.rules.sequence == Sequence::ExitsFirst;
        self.chooses = self.rules.chooses_prices();
        self.diverts = self.brokered || exits_first;
        self.watches = self.limited || exits_first;
        self.holds_back = self.aside.funds.any();
        let by_size = self.slippage.as_ref().is_some_and(|model| model.by_size());
        let later = exits_first || self.rules.fill_bar != FillBar::Next;
        self.aside.takings.tell(if by_size { self.setup.instruments.len() } else { 0 }, later);
        self.traces = self.fade.is_some() || self.aside.funds.settles() || by_size;
        self.judges_fills = self.limited || self.rules.buying_power != BuyingPower::Held || self.holds_back;
    }

    /// The participation cap of a candle: a fixed one, or by setting the usual one times how busy the candle is, within
    /// its bounds (BT-18).
    pub(super) fn cap(&self, id: InstrumentId, volume: Quantity, bps: u32) -> u32 {
        let Some(bounds) = self.rules.adaptive_cap else { return bps };
        let mean = self.state.venue.recent.get(id.index()).map_or(0, |recent| recent.mean);
        if mean <= 0 {
            return bounds.low;
        }
        let busy = i128::from(bps) * i128::from(volume.0) / i128::from(mean);
        u32::try_from(busy).unwrap_or(u32::MAX).clamp(bounds.low, bounds.high)
    }

    /// What stands of the impact of our own fills.
    #[inline]
    pub(super) fn standing(&self, id: InstrumentId) -> i128 {
        let footprint = self.state.venue.footprints.get(id.index());
        footprint.zip(self.fade).map_or(0, |(footprint, fade)| footprint.standing(fade, self.state.now))
    }

    /// How much there is to trade on a candle, the participation cap aside.
    pub(super) fn pool(&self, id: InstrumentId) -> Quantity {
        let cap = self.rules.caps.get(id.index()).copied().unwrap_or(Quantity(i64::MAX));
        let pool = match self.rules.liquidity {
            Liquidity::Volume => Quantity(i64::MAX),
            Liquidity::Constant(most) => most,
            Liquidity::Depleting(..) => self.state.venue.pools[id.index()],
        };
        pool.min(cap).round_down_to(self.setup.instruments[id.index()].lot)
    }

    /// Takes from the pool what orders have taken.
    pub(super) fn empty(&mut self, id: InstrumentId, taken: Quantity) {
        if let Some(pool) = self.state.venue.pools.get_mut(id.index()) {
            *pool -= taken;
            assert!(pool.0 >= 0, "nobody takes more than there is");
        }
    }

    /// A session begins: bands follow from the last prices, numbers of clients may be used again.
    pub(super) fn open_venue(&mut self) {
        for (previous, book) in self.state.venue.previous.iter_mut().zip(&self.state.books) {
            *previous = book.last;
        }
        let most = match self.rules.adv_sessions {
            0 => 20,
            sessions => sessions as usize,
        };
        for (volumes, book) in self.state.venue.volumes.iter_mut().zip(&self.state.books) {
            // A session in which the instrument had no candle is none of its own.
            if volumes.today > 0 {
                volumes.past.push_back(std::mem::take(&mut volumes.today));
                while volumes.past.len() > most {
                    volumes.past.pop_front();
                }
                volumes.close(book.last, most);
            }
        }
        self.state.venue.auctions.fill(AuctionState::default());
        self.state.venue.clients.clear();
        self.state.venue.ticks.clear();
        if let Some(session) = self.state.session.filter(|_| self.aside.funds.settles()) {
            self.aside.funds.open_session(session.date, self.calendar.as_ref());
        }
    }

    /// Why the venue does not take what a strategy asks for; nothing where it does.
    pub(super) fn screened(&self, id: InstrumentId, request: &OrderRequest) -> Option<Refusal> {
        let (meta, book) = (&self.setup.instruments[id.index()], &self.state.books[id.index()]);
        let (rules, now) = (&self.rules, self.state.now);
        if rules.expiries.get(id.index()).is_some_and(|expires| now >= *expires) {
            return Some(Verdict::ExpiredInstrument.into());
        }
        if let (Some(square_off), Some(session)) = (&rules.square_off, &self.state.session) {
            // What is decided when the session is over is for the next one.
            let in_auction = rules.auction(id, session).is_some();
            let leaving = (square_off.at(session, in_auction)..session.close).contains(&now);
            if leaving && book.position.closing(request.side, request.quantity) != request.quantity {
                return Some(Verdict::SquareOff.into());
            }
        }
        if let Some(verdict) = self.not_in_auction(id, request) {
            return Some(verdict.into());
        }
        let prices = [request.limit, request.stop].into_iter().flatten();
        let refused = |verdict, limit: Price, observed: Price| {
            Some(Refusal { verdict, limit: Measure(limit.0.into()), observed: Measure(observed.0.into()) })
        };
        if rules.off_tick == OffTick::Refuse
            && let Some(price) = prices.clone().find(|price| meta.tick.0 > 0 && price.0 % meta.tick.0 != 0)
        {
            return refused(Verdict::OffTick, meta.tick, price);
        }
        if rules.wrong_side == WrongSide::Refuse
            && let Some(stop) = request.stop.filter(|stop| is_beyond(request.side, *stop, book))
        {
            return refused(Verdict::WrongSide, book.last, stop);
        }
        let (low, high) = self.band_of(id, book.last)?;
        let outside = prices.into_iter().find(|price| price.0 > 0 && !(low..=high).contains(price))?;
        refused(Verdict::OutsideBand, if outside < low { low } else { high }, outside)
    }

    /// The band that holds while the market trades at `price`.
    pub(super) fn band_of(&self, id: InstrumentId, price: Price) -> Option<(Price, Price)> {
        let bps = (*self.rules.bands.get(id.index())?)?;
        let previous = self.state.venue.previous[id.index()];
        let (low, high) = band(previous, bps, self.setup.instruments[id.index()].tick);
        (previous.0 > 0 && (low..=high).contains(&price)).then_some((low, high))
    }

    /// Whether buys and sales may not trade on a candle.
    pub(super) fn barred(&self, id: InstrumentId, candle: &Candle, session: &SessionHours) -> (bool, bool) {
        let open = candle.open_time();
        if self.rules.hours == TradingTime::Continuous && !(session.open..session.close).contains(&open) {
            return (true, true);
        }
        let locked = candle.low() == candle.high();
        match self.band_of(id, candle.open()).filter(|_| locked) {
            Some((low, high)) => (candle.high() == high, candle.low() == low),
            None => (false, false),
        }
    }

    /// Takes those instruments out of the decision whose last fill a strategy has not heard of: it would decide by a
    /// position that it no longer has. They decide at the first slice after the answer.
    #[inline(never)]
    pub(super) fn wait_for_answers(&mut self) {
        let (answered, now) = (&self.state.venue.answered, self.state.now);
        self.waiting.extend(self.state.fresh.extract_if(.., |id| answered[id.index()] > now));
    }

    /// Before orders trade on a candle: what has arrived is done, and the broker squares off.
    pub(super) fn before_candle(
        &mut self,
        cause: Cause,
        id: InstrumentId,
        candle: &Candle,
        session: &SessionHours,
        out: &mut Outbox,
    ) {
        if self.rules.lag_bars > 0 {
            self.let_through(id);
        }
        if let Some(recent) = self.state.venue.recent.get_mut(id.index()) {
            recent.add(candle.volume());
        }
        if self.keeps && self.setup.timeframe.is_none() {
            self.learn_kept(id, candle);
        }
        if self.keeps && self.state.books[id.index()].working.is_empty() {
            self.keep_at_market(id, out);
        }
        if let Some(volumes) = self.state.venue.volumes.get_mut(id.index()) {
            volumes.today += i128::from(candle.volume().0);
        }
        if let (Some(pool), Liquidity::Depleting(most, back)) =
            (self.state.venue.pools.get_mut(id.index()), self.rules.liquidity)
        {
            let back = i128::from(most.0) * i128::from(back.0) / (10_000 * i128::from(SCALE));
            *pool = Quantity(i64::try_from(i128::from(pool.0) + back).unwrap_or(i64::MAX)).min(most);
        }
        if !self.state.venue.under_way.is_empty() {
            self.arrive(Some(id), candle.open_time(), out);
        }
        if let Some(last) = self.state.venue.candles.get_mut(id.index()) {
            *last = LastCandle { volume: candle.volume(), traded: false };
            self.aside.note_candle(id, candle);
        }
        if !self.rules.auctions.is_empty() {
            self.before_auction(cause, id, candle, session, out);
        }
        let Some(square_off) = self.rules.square_off.filter(|_| !self.brokered) else { return };
        let book = &self.state.books[id.index()];
        let (held, opens) = (book.position.quantity, candle.open_time());
        let in_auction = self.rules.auction(id, session).is_some();
        if opens < square_off.at(session, in_auction)
            || opens >= session.close
            || (held.is_zero() && book.working.is_empty())
        {
            return;
        }
        let reason = Label::new("square-off");
        // One that has not filled whole goes on as the order it is: with the fee it has paid, and one cap of brokerage.
        let goes_on = |order: &Order| order.squares_off && order.remaining() == held.abs();
        self.end_orders(id, out, |order| (!goes_on(order)).then_some((OrderEvent::Cancelled, reason)));
        if held.is_zero() || !self.state.books[id.index()].working.is_empty() {
            return;
        }
        let side = if held.0 > 0 { Side::Sell } else { Side::Buy };
        let leave = OrderRequest::market(side, held.abs(), "square-off");
        if let Some(order) = self.admit(id, leave, (false, opens), None, out) {
            self.state.books[id.index()].working.push(Order { squares_off: true, ..order });
        } else {
            let text = format!("the broker could not square {held} off: the gate refused the order");
            out.push(id, Conclusion::Alarm(Alarm { cause, code: Label::new("square-off-refused"), text }));
        }
    }

    /// A position of the day that is still there when the session ends: no candle came to leave it on, or those that
    /// came traded too little.
    pub(super) fn left_over(&self, id: InstrumentId, session: &SessionHours, out: &mut Outbox) {
        let book = &self.state.books[id.index()];
        if !book.position.quantity.is_zero() {
            let (held, date) = (book.position.quantity, session.date);
            let why = if book.working.iter().any(|order| order.squares_off) {
                "what traded after the time for it was too little"
            } else {
                "no candle came after the time for it"
            };
            let symbol = &self.setup.instruments[id.index()].symbol;
            let text = format!("{held} {symbol} of {date} were not squared off and go into the next session: {why}");
            out.push(id, Conclusion::Alarm(Alarm { cause: book.cause, code: Label::new("square-off-missed"), text }));
        }
    }

    /// Sends a request about an order that works on its way.
    pub(super) fn send(
        &mut self,
        id: InstrumentId,
        order: OrderId,
        (change, reason): (Option<OrderChange>, Label),
        out: &mut Outbox,
    ) {
        let arrives = self.state.now + self.rules.latency;
        let book = &mut self.state.books[id.index()];
        let cause = book.cause;
        let working =
            book.working.iter_mut().find(|working| working.id == order).expect("only working orders are changed");
        let event = if change.is_some() { OrderEvent::ModifyRequested } else { OrderEvent::CancelRequested };
        assert!(!working.happens(event), "a working order may be asked to change");
        out.push(
            id,
            match change {
                None => Conclusion::Update(OrderUpdate {
                    cause,
                    order,
                    event,
                    state: working.state,
                    filled: working.filled,
                    reason,
                }),
                Some(change) => Conclusion::Modified(OrderModified {
                    event,
                    quantity: change.quantity.unwrap_or(working.quantity),
                    limit: change.limit.or(working.limit),
                    stop: change.stop.or(working.stop),
                    ..modified(cause, working, reason)
                }),
            },
        );
        let what = change.map_or(Asked::Cancel, Asked::Modify);
        self.state.venue.under_way.push(UnderWay { id, order, arrives, what, reason });
    }

    /// The same for every order that works in the instrument and is not being cancelled already.
    pub(super) fn send_cancels(&mut self, id: InstrumentId, reason: Label, out: &mut Outbox) {
        for place in 0..self.state.books[id.index()].working.len() {
            let order = &self.state.books[id.index()].working[place];
            if order.state != OrderState::PendingCancel {
                self.send(id, order.id, (None, reason), out);
            }
        }
    }

    /// Does what has reached the exchange by `time`, for one instrument or for all.
    pub(super) fn arrive(&mut self, id: Option<InstrumentId>, time: Nanos, out: &mut Outbox) {
        let mut under_way = std::mem::take(&mut self.state.venue.under_way);
        under_way.retain(|request| {
            if request.arrives > time || id.is_some_and(|id| id != request.id) {
                return true;
            }
            self.arrived(request, out);
            false
        });
        self.state.venue.under_way = under_way;
    }

    fn arrived(&mut self, request: &UnderWay, out: &mut Outbox) {
        let UnderWay { id, order: which, arrives, reason, .. } = *request;
        let book = &mut self.state.books[id.index()];
        let Some(place) = book.working.iter().position(|order| order.id == which) else {
            let kind = if request.what == Asked::Cancel { RequestKind::Cancel } else { RequestKind::Modify };
            self.refuse(id, which, (kind, reason), Verdict::OrderEnded, out);
            return;
        };
        match request.what {
            Asked::Cancel => {
                let mut order = book.working.remove(place);
                end_order(id, book.cause, &mut order, OrderEvent::Cancelled, reason, &mut self.state.ledger, out);
            }
            Asked::Modify(change) => {
                let Some(session) = self.state.session else { return };
                let before = book.working[place].stop;
                let changed = self.put_changed(id, place, change, (&session, arrives));
                if let Err(refusal) = changed {
                    self.say_numbers(id, which, refusal, out);
                }
                let book = &mut self.state.books[id.index()];
                let (cause, last) = (book.cause, book.last);
                let order = &mut book.working[place];
                let event = if changed.is_ok() { OrderEvent::Modified } else { OrderEvent::ModifyRejected };
                assert!(!order.happens(event), "a change that was asked for is answered without surprise");
                out.push(
                    id,
                    match changed {
                        Ok(()) => moved(change, before, order, last, (cause, reason)),
                        Err(refusal) => Conclusion::Update(OrderUpdate {
                            cause,
                            order: which,
                            event,
                            state: order.state,
                            filled: order.filled,
                            reason: Label::new(refusal.verdict.word()),
                        }),
                    },
                );
            }
        }
    }
}

/// A stop that the market is at or beyond: a sale's not below the last price, a buy's not above it.
fn is_beyond(side: Side, stop: Price, book: &Book) -> bool {
    match side {
        Side::Sell => stop >= book.last,
        Side::Buy => stop <= book.last,
    }
}
