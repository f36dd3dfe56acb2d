//! Quotes, books and prints: fills against what stands in the market, tick by tick.
//!
//! - An instrument whose session has brought a quote or a book is driven by them: its candles teach and mark, and fill
//!   nothing but orders for the close. A book drives before a quote: five levels say more than one.
//! - An order that takes walks the levels of the other side from the best outwards, one fill a level at the level's own
//!   price, as far as its limit allows. The reference is the middle of the book, so that the spread is part of the
//!   slippage that a fill reports, or the best price where only one side is quoted.
//! - What was taken stays taken: as long as a level stands unchanged in the next book, nobody has put more there.
//! - A limit that rests is filled by prints beyond it, or at it by setting, for no more than was printed.
//! - A print was made in the market that stood before its instant: it fills and triggers nothing that was decided at it
//!   or later. A book stands from its instant on: what was decided at it may trade against it. Within an instant prints
//!   come before the book they have led to.
//! - Stops trigger on the price they would trade at, bid for a sale and ask for a buy, or on a traded. A trailing stop
//!   follows bid or ask at once: of two ticks it is known which came first.
//! - Nothing fills outside the session, against a crossed book, or in a book sent before the order was there.

use super::Core;
use super::desk::{Trade, end_order};
use crate::exchange::{Phase, reached};
use crate::input::SessionHours;
use crate::orders::{Order, Trigger};
use crate::outbox::{Conclusion, Outbox};
use crate::slippage::{SlippageInput, Want, slip};
use daybook_config::LimitFill;
use daybook_vocabulary::{
    Alarm, Cause, Depth, InstrumentId, Label, Nanos, OrderEvent, OrderType, Price, Quantity, Quote, Side,
    StopTightened, TimeInForce, TradePrint,
};
use serde::{Deserialize, Serialize};

/// What fills an instrument's orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) enum Driver {
    #[default]
    Candles,
    Quotes,
    Depth,
}

impl Driver {
    const fn model(self) -> &'static str {
        match self {
            Self::Candles => "none",
            Self::Quotes => "quote",
            Self::Depth => "depth",
        }
    }
}

/// What the ticks of an instrument have left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct TickState {
    pub(super) driver: Driver,
    taken: Vec<Taken>,
    /// A book that makes no sense has come, and somebody was told.
    was_unsound: bool,
}

/// What our orders have taken of a level, and what stood there then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    /// Side of the orders that took.
    side: Side,
    price: Price,
    stood: Quantity,
    taken: Quantity,
}

/// A book that orders trade against.
struct Book<'a> {
    cause: Cause,
    id: InstrumentId,
    depth: &'a Depth,
    /// When the exchange sent it.
    sent: Nanos,
    driver: Driver,
}

impl Core {
    /// True where ticks fill the orders of an instrument, and candles do not.
    #[inline]
    pub(super) fn is_ticked(&self, id: InstrumentId) -> bool {
        self.state.venue.ticks.get(id.index()).is_some_and(|ticks| ticks.driver != Driver::Candles)
    }

    #[inline(never)]
    pub(super) fn on_quote(&mut self, cause: Cause, id: InstrumentId, quote: &Quote, out: &mut Outbox) {
        self.on_book(cause, id, &quote.as_depth(), Driver::Quotes, out);
    }

    #[inline(never)]
    pub(super) fn on_depth(&mut self, cause: Cause, id: InstrumentId, depth: &Depth, out: &mut Outbox) {
        self.on_book(cause, id, depth, Driver::Depth, out);
    }

    fn on_book(&mut self, cause: Cause, id: InstrumentId, depth: &Depth, driver: Driver, out: &mut Outbox) {
        self.state.cause = cause;
        self.state.books[id.index()].cause = cause;
        let Some(session) = self.in_session().filter(|_| !self.brokered) else { return };
        let ticks = self.ticks_of(id);
        if !depth.is_sound() {
            // Once is enough: a feed that sends such books sends many.
            if !std::mem::replace(&mut ticks.was_unsound, true) {
                let text = "a book has a negative number, or a side that does not go outwards: it fills nothing".into();
                out.push(id, Conclusion::Alarm(Alarm { cause, code: Label::new("unsound-book"), text }));
            }
            return;
        }
        if driver < ticks.driver {
            return;
        }
        ticks.driver = driver;
        // What no longer stands as it stood has been renewed, or is gone.
        let unchanged = |taken: &Taken| {
            let levels = depth.against(taken.side).iter();
            levels.clone().any(|level| level.price() == taken.price && level.quantity() == taken.stood)
        };
        ticks.taken.retain(unchanged);
        if depth.is_crossed() {
            return;
        }
        let sent = if depth.exchange_time().0 > 0 { depth.exchange_time() } else { self.state.now };
        self.work_book(&Book { cause, id, depth, sent, driver }, &session, out);
    }

    /// The session, while it trades.
    fn in_session(&self) -> Option<SessionHours> {
        self.state.session.filter(|session| (session.open..session.close).contains(&self.state.now))
    }

    fn ticks_of(&mut self, id: InstrumentId) -> &mut TickState {
        let ticks = &mut self.state.venue.ticks;
        if ticks.is_empty() {
            ticks.resize(self.setup.instruments.len(), TickState::default());
        }
        &mut ticks[id.index()]
    }

    fn work_book(&mut self, book: &Book<'_>, session: &SessionHours, out: &mut Outbox) {
        let id = book.id;
        if !self.state.venue.under_way.is_empty() {
            self.arrive(Some(id), book.sent, out);
        }
        let mut working = std::mem::take(&mut self.state.books[id.index()].working);
        let mut index = 0;
        while index < working.len() {
            let place = index;
            index += 1;
            let order = &mut working[place];
            if !order.is_working() || book.sent < order.decided {
                continue;
            }
            if self.ends_before(book, order, session, out) {
                continue;
            }
            if takes(order, book.depth) {
                self.take(book, place, &mut working, out);
            }
            let order = &mut working[place];
            if order.is_working() {
                self.after_book(book, order, session, out);
            }
        }
        working.retain(Order::is_working);
        self.state.books[id.index()].working = working;
    }

    /// Ends an order whose instant has come; true also for one that waits for another price than this.
    fn ends_before(&mut self, book: &Book<'_>, order: &mut Order, session: &SessionHours, out: &mut Outbox) -> bool {
        if order.expires <= book.sent {
            let (event, reason) = (OrderEvent::Expired, Label::new("good-till-date"));
            end_order(book.id, book.cause, order, event, reason, &mut self.state.ledger, out);
            return true;
        }
        match order.order_type {
            OrderType::MarketOnClose => true,
            OrderType::MarketOnOpen => order.decided > session.open,
            _ => false,
        }
    }

    /// Takes from the other side of the book, level by level.
    fn take(&mut self, book: &Book<'_>, place: usize, working: &mut Vec<Order>, out: &mut Outbox) {
        let side = working[place].side;
        let lot = self.setup.instruments[book.id.index()].lot;
        let taken = &self.state.venue.ticks[book.id.index()].taken;
        let offers = book.depth.against(side).map(|level| {
            let gone = taken.iter().find(|taken| taken.side == side && taken.price == level.price());
            let left = Quantity(level.quantity().0 - gone.map_or(0, |gone| gone.taken.0)).round_down_to(lot);
            (level.price(), if level.is_empty() { Quantity::ZERO } else { left }, level.quantity())
        });
        let allowed = |price: Price, order: &Order| match order.side {
            Side::Buy => order.limit.is_none_or(|limit| price <= limit),
            Side::Sell => order.limit.is_none_or(|limit| price >= limit),
        };
        let order = &working[place];
        let within = offers.iter().filter(|(price, ..)| allowed(*price, order));
        let all = within.fold(0i64, |sum, (_, left, _)| sum.saturating_add(left.0));
        if order.time_in_force == TimeInForce::Fok && all < order.remaining().0 {
            return;
        }
        for (price, left, stands) in offers {
            let order = &mut working[place];
            let quantity = order.remaining().min(left);
            if !order.is_working() || quantity.0 <= 0 || !allowed(price, order) {
                continue;
            }
            let reference = book.depth.mid().unwrap_or(price);
            let (filled_at, model) =
                self.improved(book, &working[place], quantity).unwrap_or((price, book.driver.model()));
            let order = &mut working[place];
            let trade = Trade::at(book.cause, book.id, (reference, filled_at), quantity, self.state.now, model);
            let closing = self.state.books[book.id.index()].position.closing(side, quantity);
            let trade = self.fill(trade, order, out).expect("a level has all that its price needs");
            if trade.quantity.is_zero() {
                continue;
            }
            self.note_taken(book.id, side, price, stands, trade.quantity);
            let filled = working[place];
            self.after_fill(&filled, trade, closing, (Phase::Open, book.sent), working, out);
        }
    }

    /// Where the model says that a quote is not paid in full.
    fn improved(&self, book: &Book<'_>, order: &Order, quantity: Quantity) -> Option<(Price, &'static str)> {
        let model =
            self.slippage.as_ref().filter(|model| book.driver == Driver::Quotes && model.wants() == Want::Quote)?;
        let (reference, touch) = (book.depth.mid()?, book.depth.against(order.side)[0].price());
        let leg = SlippageInput {
            side: order.side,
            reference,
            quantity,
            volume: Quantity::ZERO,
            order_type: order.order_type,
            average: Quantity::ZERO,
            half_spread: Some(Price((touch.0 - reference.0).abs())),
            deviation: None,
            momentum: None,
            standing: 0,
        };
        let price = slip(&**model, &leg, Quantity::ZERO, self.setup.instruments[book.id.index()].tick, order.limit)?;
        Some((price, model.name()))
    }

    fn note_taken(&mut self, id: InstrumentId, side: Side, price: Price, stood: Quantity, quantity: Quantity) {
        let taken = &mut self.state.venue.ticks[id.index()].taken;
        match taken.iter_mut().find(|taken| taken.side == side && taken.price == price) {
            Some(known) => known.taken += quantity,
            None => taken.push(Taken { side, price, stood, taken: quantity }),
        }
    }

    /// What a book leaves of an order that worked on it.
    fn after_book(&mut self, book: &Book<'_>, order: &mut Order, session: &SessionHours, out: &mut Outbox) {
        let reason = match (order.time_in_force, order.order_type) {
            (TimeInForce::Ioc, _) => "immediate-or-cancel",
            (TimeInForce::Fok, _) => "fill-or-kill",
            (_, OrderType::MarketOnOpen) if order.decided <= session.open => "open-has-passed",
            _ => return self.trail_behind(book, order, out),
        };
        let event = OrderEvent::Cancelled;
        end_order(book.id, book.cause, order, event, Label::new(reason), &mut self.state.ledger, out);
    }

    fn trail_behind(&self, book: &Book<'_>, order: &mut Order, out: &mut Outbox) {
        let (Some(trail), Some(from), Trigger::Armed) = (order.trail, order.stop, order.trigger) else { return };
        let level = book.depth.against(order.side)[0];
        if level.is_empty() {
            return;
        }
        let best = level.price();
        let Some(to) = trail.stop(order.side, best) else { return };
        let to = to.round_to(self.setup.instruments[book.id.index()].tick);
        let tighter = if order.side == Side::Sell { to > from } else { to < from };
        if tighter && to.0 > 0 {
            order.stop = Some(to);
            let (cause, order, reason) = (book.cause, order.id, Label::new("trail"));
            out.push(book.id, Conclusion::Tightened(StopTightened { cause, order, from, to, best, reason }));
        }
    }

    /// A print triggers stops and fills limits that rest; what it triggers trades against the next book.
    pub(super) fn work_print(&mut self, cause: Cause, id: InstrumentId, traded: &TradePrint, out: &mut Outbox) {
        let sent = if traded.exchange_time().0 > 0 { traded.exchange_time() } else { self.state.now };
        let share = |bps: u32| Quantity((i128::from(traded.quantity().0) * i128::from(bps) / 10_000) as i64);
        let lot = self.setup.instruments[id.index()].lot;
        let mut left = self.setup.participation_bps.map_or(traded.quantity(), share).round_down_to(lot);
        let mut working = std::mem::take(&mut self.state.books[id.index()].working);
        let mut index = 0;
        while index < working.len() {
            let place = index;
            index += 1;
            let order = &mut working[place];
            if !order.is_working() || sent <= order.decided || order.expires <= sent {
                continue;
            }
            if let (Some(stop), Trigger::Armed) = (order.stop, order.trigger) {
                if reached(order.side, traded.price(), stop) {
                    order.trigger = Trigger::Active;
                }
                continue;
            }
            let Some(limit) = order.limit.filter(|_| order.time_in_force != TimeInForce::Fok) else { continue };
            let beyond = if order.side == Side::Buy { traded.price() < limit } else { traded.price() > limit };
            let at = self.rules.limit_fill == LimitFill::Touch && traded.price() == limit;
            let quantity = order.remaining().min(left);
            if !(beyond || at) || quantity.0 <= 0 {
                continue;
            }
            let closing = self.state.books[id.index()].position.closing(order.side, quantity);
            let trade = Trade::at(cause, id, (limit, limit), quantity, self.state.now, "print");
            let trade = self.fill(trade, order, out).expect("a print has all that its price needs");
            if !trade.quantity.is_zero() {
                left -= trade.quantity;
                let filled = working[place];
                self.after_fill(&filled, trade, closing, (Phase::Open, sent), &mut working, out);
            }
        }
        working.retain(Order::is_working);
        self.state.books[id.index()].working = working;
    }
}

/// True for an order that trades against a book now; marks a stop that the book has reached.
fn takes(order: &mut Order, depth: &Depth) -> bool {
    let level = depth.against(order.side)[0];
    if level.is_empty() {
        return false;
    }
    if let (Some(stop), Trigger::Armed) = (order.stop, order.trigger)
        && !reached(order.side, level.price(), stop)
    {
        return false;
    }
    order.trigger = Trigger::Active;
    true
}
