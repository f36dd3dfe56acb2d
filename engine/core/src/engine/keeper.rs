//! The keeper: a protective stop for every position, and exits that can never turn one round.
//!
//! It stands between what a strategy asks for and the desk wherever a protective stop is configured, which in a session
//! with a broker is always. Backtest, paper and live run this one code; only who answers differs.
//!
//! - An entry is placed only where its stop can be worked out at the decision: the strategy's own (a bracket), or so many
//!   average ranges or percent from the last price. What its fills open is covered at once, by one stop for the position.
//! - What works against a position is never more than the position: a stop that is in the way of an exit gives way first,
//!   and the exit waits until the venue has said so.
//! - The stop is only ever tightened. A strategy's own stop order tightens it; its limit order that would leave is watched
//!   here, for a broker knows no pair of orders of which one cancels the other.
//! - An order that would turn a position round leaves it; what it would open is for the strategy to decide anew.
//! - A stop is changed [`CHANGES_MAX`] times at most, then it is cancelled and another one placed. In between nothing
//!   protects: for as long as the broker takes for a cancel and a placement, once in twenty changes. Two stops at a time
//!   could both fill, and no broker here knows "reduce only": that is the worse of the two.
//! - [`Core::keep`] looks at what is there and does the one next step; after an answer, a fill or a restart it looks
//!   again. So there is no sequence to lose: after any crash the next look goes on.

use super::Core;
use super::changes::modified;
use super::desk::end_order;
use super::to_broker::for_broker;
use crate::exits::{AverageRange, Stop, away_from_entry, initial_stop, percent_from};
use crate::input::SessionHours;
use crate::orders::{KEPT, Level, Order, OrderChange, OrderRequest, Request};
use crate::outbox::{Conclusion, Outbox};
use crate::transitions;
use daybook_config::ProtectiveStop;
use daybook_vocabulary::{
    Alarm, Candle, InstrumentId, Label, LimitKind, OrderEvent, OrderId, OrderState, OrderType, OrderUpdate, Price,
    Quantity, Ratio, RequestKind, Side, TimeInForce, Trail, Verdict,
};
use serde::{Deserialize, Serialize};

/// Bars of the average range that stops are measured in.
const RANGE_BARS: u32 = 14;
/// Changes of one stop after which it is placed anew: brokers count them (Kite: 25).
pub(super) const CHANGES_MAX: u32 = 20;
/// Steps of one look at most: leaving takes three, so a look that goes on is a fault.
const STEPS_MAX: u32 = 8;
/// Why the keeper places its stop.
const STOP: &str = "protective-stop";

/// What the keeper remembers of an instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seat {
    range: AverageRange,
    /// Where the stop of the position belongs, or of the entry that works.
    level: Option<Stop>,
    /// Where a profit is taken.
    target: Option<Price>,
    /// How far behind the market the stop stays, where it follows.
    trail: Option<Trail>,
    /// What is to be left, and has not been sent yet.
    pub(super) leaving: Option<Leaving>,
    /// Something was refused: nothing is tried again before the venue has shown its books, or the next trade.
    pub(super) holds: bool,
    /// Changes of the stop that works.
    pub(super) changes: u32,
}

/// An exit that waits for the stop to give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leaving {
    quantity: Quantity,
    reason: Label,
}

impl Seat {
    pub(super) const fn new() -> Self {
        let range = AverageRange::new(RANGE_BARS);
        Self { range, level: None, target: None, trail: None, leaving: None, holds: false, changes: 0 }
    }

    /// Learns a closed bar.
    pub(super) fn learn(&mut self, bar: &Candle) {
        self.range.update(bar);
    }

    /// Puts the stop of a side where it belongs: nearer to the market, never farther.
    fn tighten(&mut self, side: Side, price: Price) {
        match &mut self.level {
            Some(level) if level.side == side => drop(level.tighten(price)),
            level => *level = Some(Stop { side, price }),
        }
    }
}

impl Core {
    /// The same core, which keeps a stop on every position. Like the setup the choice is not state.
    pub fn with_keeper(mut self, stop: ProtectiveStop) -> Self {
        self.protective_stop = stop;
        if stop != ProtectiveStop::None {
            self.begin_keeping();
        }
        self
    }

    pub(super) fn begin_keeping(&mut self) {
        self.keeps = true;
        let count = self.setup.instruments.len();
        self.state.seats.resize(count, Seat::new());
        self.heed();
    }

    /// Does what the strategy asked for, in its order.
    #[inline(never)]
    pub(super) fn act_kept(&mut self, id: InstrumentId, session: &SessionHours, out: &mut Outbox) {
        let mut list = std::mem::take(&mut self.requests.list);
        for request in list.drain(..) {
            match request {
                Request::Place(order) => self.place_kept(id, order, session, out),
                Request::PlaceIn(other, order) if other.index() < self.state.books.len() => {
                    self.place_kept(other, order, session, out);
                    self.keep(other, out);
                }
                Request::PlaceIn(_, order) => self.refuse_order(id, order, Verdict::UnknownInstrument, out),
                Request::Cancel(which, reason) => self.cancel_kept(id, which, (RequestKind::Cancel, reason), out),
                Request::CancelAll(reason) => {
                    self.state.seats[id.index()].leaving = None;
                    self.cancel_some(id, reason, |order| !order.is_kept(), out);
                }
                Request::Modify(which, change, reason) => self.modify_kept(id, which, change, reason, session, out),
                Request::Replace(which, order) => {
                    self.cancel_kept(id, which, (RequestKind::Replace, order.reason), out);
                    self.place_kept(id, order, session, out);
                }
            }
        }
        self.requests.list = list;
        self.keep(id, out);
    }

    fn place_kept(&mut self, id: InstrumentId, request: OrderRequest, session: &SessionHours, out: &mut Outbox) {
        let held = self.state.books[id.index()].position.quantity;
        let leaves = !held.is_zero() && (held.0 > 0) == (request.side == Side::Sell);
        if leaves { self.leave(id, request, out) } else { self.enter(id, request, session, out) }
    }

    /// Takes an order that would reduce the position: what it is for is done by the keeper, one thing after another.
    fn leave(&mut self, id: InstrumentId, request: OrderRequest, out: &mut Outbox) {
        let (book, seat) = (&self.state.books[id.index()], &mut self.state.seats[id.index()]);
        let held = book.position.quantity;
        let entered = request.side.opposite();
        match (request.order_type, request.limit, request.stop) {
            (OrderType::Market, ..) if request.quantity.0 > 0 => {
                let quantity = request.quantity.min(held.abs());
                let more = seat.leaving.map_or(quantity, |leaving| leaving.quantity.max(quantity));
                let reason = seat.leaving.map_or(request.reason, |leaving| leaving.reason);
                seat.leaving = Some(Leaving { quantity: more, reason });
            }
            (OrderType::Limit, Some(limit), _) if limit.0 > 0 => seat.target = Some(limit),
            (OrderType::Stop | OrderType::StopLimit, _, Some(stop)) if stop.0 > 0 => seat.tighten(entered, stop),
            (OrderType::TrailingStop, ..) if request.trail.is_some() => {
                seat.trail = request.trail;
                let first = request.stop.or_else(|| request.trail?.stop(request.side, book.last));
                if let Some(stop) = first.filter(|stop| stop.0 > 0) {
                    seat.tighten(entered, stop);
                }
            }
            _ => self.refuse_order(id, request, Verdict::Unsupported, out),
        }
    }

    /// Places an order that opens, where its stop is known.
    fn enter(&mut self, id: InstrumentId, request: OrderRequest, session: &SessionHours, out: &mut Outbox) {
        let closed = self.state.now >= session.close;
        let first = self.first_stop(id, &request);
        // At a broker the order is what the broker has of it, or it is none.
        let (request, fault) = match self.brokered || self.in_brokers_terms {
            false => (request, self.unsupported(&request)),
            true => match for_broker(&request, self.state.books[id.index()].last, self.state.now, session.close) {
                Ok(translated) => (translated, None),
                Err(verdict) => (request, Some(verdict)),
            },
        };
        let fault = fault.or_else(|| self.entry_fault(id, &request));
        let fault = fault.or(if first.is_none() { Some(Verdict::Unprotected) } else { None });
        let fault = match request.client {
            0 => fault,
            client => (!self.state.venue.clients.insert(client)).then_some(Verdict::DuplicateId).or(fault),
        };
        let fault = fault
            .or_else(|| if self.screens { self.screened(id, &request).map(|refusal| refusal.verdict) } else { None });
        let fault = fault.or(self.is_duplicate(id, request.side, request.quantity).then_some(Verdict::Duplicate));
        let bracket = request.bracket;
        let group = if request.group == KEPT { 0 } else { request.group };
        let request = OrderRequest { bracket: None, group, ..request };
        let arrives = self.state.now + self.rules.latency;
        let Some(mut order) = self.admit(id, request, (closed, arrives), fault, out) else { return };
        if let Some(broker) = self.state.broker.as_mut().filter(|_| self.brokered) {
            broker.entered.insert(id, (self.state.now, order.side, order.quantity));
        }
        if self.rules.lag_bars > 0 && !self.brokered {
            self.hold_up(id, &mut order);
        }
        if request.order_type != order.order_type
            && let Some(known) = self.known(order.id)
        {
            // The guard gave it a limit, but it is to fill at once all the same.
            known.guarded = true;
        }
        let idle = self.state.books[id.index()].position.quantity.is_zero()
            && !self.state.books[id.index()].working.iter().any(|order| !order.is_kept());
        self.state.books[id.index()].working.push(order);
        let seat = &mut self.state.seats[id.index()];
        if idle {
            (seat.level, seat.target, seat.trail) = (None, None, None);
        }
        if let Some(price) = first {
            seat.tighten(request.side, price);
        }
        if let Some(bracket) = bracket {
            let last = self.state.books[id.index()].last;
            seat.target = bracket.target.map(|level| level.price(last, request.side == Side::Buy)).or(seat.target);
            seat.trail = match bracket.stop {
                Some(Level::Trail(trail)) => Some(trail),
                _ => seat.trail,
            };
        }
    }

    /// What the keeper does not take at our own exchange: what no broker has.
    fn unsupported(&self, request: &OrderRequest) -> Option<Verdict> {
        let typed =
            matches!(request.order_type, OrderType::Market | OrderType::Limit | OrderType::Stop | OrderType::StopLimit);
        let lasts = matches!(request.time_in_force, TimeInForce::Day | TimeInForce::Gtc | TimeInForce::Ioc);
        (!typed || !lasts).then_some(Verdict::Unsupported)
    }

    /// Why an entry may not be placed now, whatever its terms.
    fn entry_fault(&self, id: InstrumentId, request: &OrderRequest) -> Option<Verdict> {
        let book = &self.state.books[id.index()];
        let flat = book.position.quantity.is_zero();
        // What still works against a position that is gone, or for another side, could open one of its own.
        let in_the_way = |order: &Order| {
            matches!(order.state, OrderState::Unknown | OrderState::PendingCancel)
                || (flat && order.is_kept())
                || (!order.is_kept() && order.side != request.side)
        };
        let unresolved = book.working.iter().any(in_the_way) || self.state.seats[id.index()].leaving.is_some();
        self.broker_fault(id).or(unresolved.then_some(Verdict::Unresolved))
    }

    /// Where the stop of an entry belongs, at the decision.
    fn first_stop(&self, id: InstrumentId, request: &OrderRequest) -> Option<Price> {
        let last = self.state.books[id.index()].last;
        let (side, tick) = (request.side, self.setup.instruments[id.index()].tick);
        let own = request.bracket.and_then(|bracket| bracket.stop);
        match own {
            Some(level) => {
                let price = level.price(last, side == Side::Sell);
                (price.0 > 0).then(|| away_from_entry(side, last, price, tick)).filter(|price| price.0 > 0)
            }
            None => self.measured_stop(id, side, last),
        }
    }

    /// A stop as it is configured, for an entry at a price.
    fn measured_stop(&self, id: InstrumentId, side: Side, entry: Price) -> Option<Price> {
        let tick = self.setup.instruments[id.index()].tick;
        match self.protective_stop {
            ProtectiveStop::Percent(percent) => {
                percent_from(side, entry, percent, false).map(|stop| away_from_entry(side, entry, stop, tick))
            }
            ProtectiveStop::Ranges(multiple) => {
                initial_stop(side, entry, self.state.seats[id.index()].range.value(), multiple, tick)
            }
            // A broker's account is never without: two average ranges are the default of whoever does not choose.
            ProtectiveStop::None => initial_stop(side, entry, self.state.seats[id.index()].range.value(), TWO, tick),
        }
        .filter(|stop| stop.0 > 0)
    }

    /// Journals an order that is not placed, with the reason.
    fn refuse_order(&mut self, id: InstrumentId, request: OrderRequest, verdict: Verdict, out: &mut Outbox) {
        let request = OrderRequest { bracket: None, ..request };
        let admitted = self.admit(id, request, (false, self.state.now), Some(verdict), out);
        assert!(admitted.is_none(), "a fault is never admitted");
    }

    fn cancel_kept(&mut self, id: InstrumentId, which: OrderId, of: (RequestKind, Label), out: &mut Outbox) {
        match self.state.books[id.index()].working.iter().find(|order| order.id == which) {
            None => self.refuse(id, which, of, self.absent(which), out),
            Some(order) if order.is_kept() => self.refuse(id, which, of, Verdict::LoosensStop, out),
            Some(_) => self.cancel_some(id, of.1, |order| order.id == which, out),
        }
    }

    /// A change of the keeper's stop moves where it belongs; a change of another order goes to the venue.
    fn modify_kept(
        &mut self,
        id: InstrumentId,
        which: OrderId,
        change: OrderChange,
        reason: Label,
        session: &SessionHours,
        out: &mut Outbox,
    ) {
        let found = self.state.books[id.index()].working.iter().find(|order| order.id == which);
        let (kept, side, state) = match found {
            Some(order) => (order.is_kept(), order.side, order.state),
            None => return self.refuse(id, which, (RequestKind::Modify, reason), self.absent(which), out),
        };
        if kept {
            if let Some(stop) = change.stop.filter(|stop| stop.0 > 0) {
                self.state.seats[id.index()].tighten(side.opposite(), stop);
            }
            return;
        }
        if !self.brokered {
            return self.modify(id, which, change, reason, session, out);
        }
        if !matches!(state, OrderState::Open | OrderState::PartiallyFilled) {
            return self.refuse(id, which, (RequestKind::Modify, reason), Verdict::Unresolved, out);
        }
        self.ask_for_terms(id, which, change, reason, out);
    }

    /// Ends the orders that are chosen: at once at our own exchange, by request at a broker.
    pub(super) fn cancel_some(
        &mut self,
        id: InstrumentId,
        reason: Label,
        choose: impl Fn(&Order) -> bool,
        out: &mut Outbox,
    ) {
        if !self.brokered {
            self.end_orders(id, out, |order| choose(order).then_some((OrderEvent::Cancelled, reason)));
            return;
        }
        let chosen: Vec<OrderId> =
            self.state.books[id.index()].working.iter().filter(|order| choose(order)).map(|order| order.id).collect();
        for which in chosen {
            self.ask_for_cancel(id, which, reason, out);
        }
    }

    /// Leaves the whole position, as soon as its stop has given way.
    pub(super) fn leave_kept(&mut self, id: InstrumentId, limit: LimitKind, out: &mut Outbox) {
        let reason = Label::new(limit.word());
        let held = self.state.books[id.index()].position.quantity;
        let exits = if held.0 > 0 { Side::Sell } else { Side::Buy };
        self.cancel_some(id, reason, |order| !order.is_kept() && (held.is_zero() || order.side != exits), out);
        self.leave_all(id, reason.as_str());
        self.keep(id, out);
    }

    pub(super) fn leave_all(&mut self, id: InstrumentId, reason: &str) {
        let quantity = self.state.books[id.index()].position.quantity.abs();
        if !quantity.is_zero() {
            let reason = Label::new(reason);
            self.state.seats[id.index()].leaving = Some(Leaving { quantity, reason });
        }
    }

    /// Leaves so much more of the position.
    pub(super) fn leave_more(&mut self, id: InstrumentId, quantity: Quantity, reason: Label) {
        let seat = &mut self.state.seats[id.index()];
        let more = seat.leaving.map_or(quantity, |leaving| leaving.quantity.max(quantity));
        seat.leaving = Some(Leaving { quantity: more, reason });
    }

    /// Something happened at the market: what was refused may be tried again where no broker is asked, and a stop that
    /// follows the market does.
    pub(super) fn keep_at_market(&mut self, id: InstrumentId, out: &mut Outbox) {
        let seat = &mut self.state.seats[id.index()];
        seat.holds &= self.brokered;
        self.keep(id, out);
    }

    /// A bar closed: a stop that follows the market does so once a bar, for brokers count changes.
    pub(super) fn learn_kept(&mut self, id: InstrumentId, bar: &Candle) {
        let held = self.state.books[id.index()].position.quantity;
        let seat = &mut self.state.seats[id.index()];
        seat.learn(bar);
        if held.is_zero() {
            return;
        }
        let entered = if held.0 > 0 { Side::Buy } else { Side::Sell };
        if let Some(stop) = seat.trail.and_then(|trail| trail.stop(entered.opposite(), bar.close())) {
            seat.tighten(entered, stop);
        }
    }

    /// Looks at an instrument and does what has to be done next, until something has to be waited for.
    pub(super) fn keep(&mut self, id: InstrumentId, out: &mut Outbox) {
        for _ in 0..STEPS_MAX {
            if !self.keep_once(id, out) {
                return;
            }
        }
        let text = "the keeper of stops finds no rest; it goes on at the next trade".to_owned();
        self.alarm(id, "keeper-restless", text, out);
    }

    /// One step; true when there may be another.
    fn keep_once(&mut self, id: InstrumentId, out: &mut Outbox) -> bool {
        let open = self.state.session.is_some_and(|session| self.state.now < session.close);
        if !open || self.state.seats[id.index()].holds {
            return false;
        }
        let book = &self.state.books[id.index()];
        let held = self.reducible(id);
        if held.is_zero() {
            return self.keep_flat(id, out);
        }
        let entered = if held.0 > 0 { Side::Buy } else { Side::Sell };
        let exits = entered.opposite();
        let stop = book.working.iter().find(|order| order.is_kept()).copied();
        let leaves = |order: &&Order| !order.is_kept() && order.side == exits;
        let exiting: Quantity = book.working.iter().filter(leaves).map(|order| self.at_most(order)).sum();
        let last = book.last;
        // An order of ours that came back from the dead may fill as well, until it is cancelled.
        let rest = held.abs() - exiting - self.may_fill_besides(id, exits);
        let covered = stop.map_or(Quantity::ZERO, |stop| self.at_most(&stop));
        if self.owes(id) {
            // The broker has told of fills that have not been shown: nobody knows what is held.
            return false;
        }
        if let Some(stop) = stop.filter(|stop| stop.side != exits) {
            // The position was turned over by hand: its old stop would only add to it.
            return self.resize(id, &stop, Quantity::ZERO, Label::new("turned"), out);
        }
        let seat = &mut self.state.seats[id.index()];
        let reached = |target: Price| if entered == Side::Buy { last >= target } else { last <= target };
        if seat.leaving.is_none() && seat.target.is_some_and(reached) {
            seat.leaving = Some(Leaving { quantity: held.abs(), reason: Label::new("target") });
        }
        if let Some(leaving) = seat.leaving {
            let wanted = leaving.quantity.min(rest);
            if wanted.0 <= 0 {
                seat.leaving = None;
                return true;
            }
            if rest - covered >= wanted {
                seat.leaving = None;
                return self.send_exit(id, OrderRequest::market(exits, wanted, leaving.reason.as_str()), out);
            }
            // At a broker the stop itself becomes the exit: if that is refused, it stands as it stood.
            if let Some(stop) = stop.filter(|stop| wanted == rest && self.may_convert(id, stop)) {
                return match stop.remaining() == rest {
                    true => self.convert(id, &stop, leaving.reason, out),
                    false => self.resize(id, &stop, rest, leaving.reason, out),
                };
            }
            return stop.is_some_and(|stop| self.resize(id, &stop, rest - wanted, leaving.reason, out));
        }
        match stop {
            None if rest.0 > 0 => self.cover(id, entered, rest, out),
            None => false,
            Some(stop) => self.adjust(id, &stop, rest, out),
        }
    }

    /// What exits may be for: what is held, and where the broker holds less of it, no more than that. Its word counts
    /// before anything of it was taken over: an exit of ours would open a position there.
    fn reducible(&self, id: InstrumentId) -> Quantity {
        let ours = self.state.books[id.index()].position.quantity;
        let gap = self.state.broker.as_ref().and_then(|broker| broker.gaps.get(&id));
        // Our own trades move both alike, so the gap stays what it is between two books.
        match gap.map(|gap| ours + *gap) {
            None => ours,
            Some(theirs) if theirs.is_zero() || (theirs.0 > 0) != (ours.0 > 0) => Quantity::ZERO,
            Some(theirs) => Quantity(ours.0.signum() * ours.0.abs().min(theirs.0.abs())),
        }
    }

    /// What orders of ours could fill that counted as ended and work at the broker.
    fn may_fill_besides(&self, id: InstrumentId, side: Side) -> Quantity {
        let revenants = self.state.broker.as_ref().and_then(|broker| broker.revenants.get(&id));
        revenants.map_or(Quantity::ZERO, |sides| sides[usize::from(side == Side::Sell)])
    }

    /// Nothing is held: what would only have reduced a position must not open one.
    fn keep_flat(&mut self, id: InstrumentId, out: &mut Outbox) -> bool {
        let (book, seat) = (&self.state.books[id.index()], &mut self.state.seats[id.index()]);
        seat.leaving = None;
        if book.working.is_empty() && book.position.quantity.is_zero() {
            (seat.level, seat.target, seat.trail, seat.changes) = (None, None, None, 0);
            return false;
        }
        let in_vain = |order: &Order| order.reduces && may_be_asked(order);
        let any = book.working.iter().any(in_vain);
        if any {
            self.cancel_some(id, Label::new("position-left"), in_vain, out);
        }
        any
    }

    /// Places the stop that is missing. Where the market is beyond it already, the position is left instead.
    fn cover(&mut self, id: InstrumentId, entered: Side, quantity: Quantity, out: &mut Outbox) -> bool {
        let book = &self.state.books[id.index()];
        let (last, entry) = (book.last, book.position.average_price());
        let known = self.state.seats[id.index()].level.filter(|level| level.side == entered);
        let level = known.or_else(|| {
            let price = self.measured_stop(id, entered, entry)?;
            Some(Stop { side: entered, price })
        });
        let seat = &mut self.state.seats[id.index()];
        seat.level = level;
        let Some(level) = level.filter(|level| !level.is_reached(last)) else {
            let reason = Label::new(if level.is_some() { "stop" } else { "no-stop" });
            seat.leaving = Some(Leaving { quantity, reason });
            return true;
        };
        seat.changes = 0;
        let stop = OrderRequest::stop(entered.opposite(), quantity, level.price, STOP).in_group(KEPT);
        self.send_exit(id, stop.lasting(TimeInForce::Day), out)
    }

    /// Gives the stop the quantity and the price that it should have.
    fn adjust(&mut self, id: InstrumentId, stop: &Order, rest: Quantity, out: &mut Outbox) -> bool {
        if stop.remaining() != rest {
            return self.resize(id, stop, rest.max(Quantity::ZERO), Label::new("resized"), out);
        }
        let Some(level) = self.state.seats[id.index()].level.filter(|level| level.side != stop.side) else {
            return false;
        };
        let mut resting = Stop { side: level.side, price: stop.stop.unwrap_or(level.price) };
        let tick = self.setup.instruments[id.index()].tick;
        if resting.tighten(level.price.round_to(tick)).is_none() {
            return false;
        }
        self.resize(id, stop, rest, Label::new("tightened"), out)
    }

    /// Changes the stop so that `rest` of it is still to fill; ends it where that is nothing.
    fn resize(&mut self, id: InstrumentId, stop: &Order, rest: Quantity, reason: Label, out: &mut Outbox) -> bool {
        if !may_be_asked(stop) {
            return false;
        }
        let seat = &mut self.state.seats[id.index()];
        if rest.0 <= 0 || seat.changes >= CHANGES_MAX {
            let which = stop.id;
            self.cancel_some(id, reason, |order| order.id == which, out);
            return true;
        }
        seat.changes += 1;
        let tick = self.setup.instruments[id.index()].tick;
        let mut level = Stop { side: stop.side.opposite(), price: stop.stop.unwrap_or_default() };
        if let Some(wanted) = seat.level.filter(|wanted| wanted.side == level.side) {
            level.tighten(wanted.price.round_to(tick));
        }
        let change = OrderChange { quantity: Some(stop.filled + rest), limit: None, stop: Some(level.price) };
        self.state.risk.spend(&self.limits, self.state.now, false);
        if self.brokered {
            self.ask_for_terms(id, stop.id, change, reason, out);
            return true;
        }
        let book = &mut self.state.books[id.index()];
        let cause = book.cause;
        let order = book.working.iter_mut().find(|order| order.id == stop.id).expect("the stop works");
        (order.quantity, order.stop) = (stop.filled + rest, Some(level.price));
        order.decided = order.decided.max(self.state.now);
        for event in [OrderEvent::ModifyRequested, OrderEvent::Modified] {
            assert!(!order.happens(event), "an order that works is modified without surprise");
        }
        out.push(id, Conclusion::Modified(modified(cause, order, reason)));
        true
    }

    /// Places an order that reduces the position. One that our own gate refuses is told, and tried again later.
    fn send_exit(&mut self, id: InstrumentId, request: OrderRequest, out: &mut Outbox) -> bool {
        let held = self.state.books[id.index()].position;
        assert_eq!(held.closing(request.side, request.quantity), request.quantity, "an exit never turns a position");
        let arrives = self.state.now + self.rules.latency;
        match self.admit(id, request, (false, arrives), None, out) {
            Some(order) => {
                self.state.books[id.index()].working.push(order);
                true
            }
            None => {
                self.state.seats[id.index()].holds = true;
                let text =
                    format!("{} of the position could not be covered: our own gate refused it", request.quantity);
                self.alarm(id, "exit-refused", text, out);
                false
            }
        }
    }

    pub(super) fn alarm(&self, id: InstrumentId, code: &str, text: String, out: &mut Outbox) {
        let cause = self.state.books[id.index()].cause;
        out.push(id, Conclusion::Alarm(Alarm { cause, code: Label::new(code), text }));
    }

    /// Ends an order that lies outside its book, for the venue's reason.
    pub(super) fn end_lifted(
        &mut self,
        id: InstrumentId,
        order: &mut Order,
        (event, reason): (OrderEvent, Label),
        out: &mut Outbox,
    ) {
        let cause = self.state.books[id.index()].cause;
        end_order(id, cause, order, event, reason, &mut self.state.ledger, out);
    }

    /// Moves an order that lies outside its book; journals it where it moved, and tells what nobody expected.
    pub(super) fn move_lifted(
        &self,
        id: InstrumentId,
        order: &mut Order,
        (event, reason): (OrderEvent, Label),
        out: &mut Outbox,
    ) {
        let (before, cause) = (order.state, self.state.books[id.index()].cause);
        let (after, _) = transitions::after(before, event, order.filled);
        let surprised = order.happens(event);
        if after != before {
            let (state, filled) = (order.state, order.filled);
            out.push(id, Conclusion::Update(OrderUpdate { cause, order: order.id, event, state, filled, reason }));
        }
        if surprised {
            let text = format!("order {} is {} and was told '{event}'", order.id, order.state);
            self.alarm(id, "order-contradiction", text, out);
        }
    }
}

/// Two average ranges.
const TWO: Ratio = Ratio(2 * daybook_vocabulary::decimal::SCALE);

/// A venue can be asked about an order that it has, while nothing else is being asked about it.
pub(super) const fn may_be_asked(order: &Order) -> bool {
    matches!(order.state, OrderState::Open | OrderState::PartiallyFilled)
}
