//! The desk: judges what a strategy asks for, works orders along a candle's path, books their fills.
//!
//! - Every request leaves a trace: an intent with its verdict, or an update.
//! - A fill moves order, position, cash, reserves and charges in one place, [`Core::fill`], or none of them.
//! - What a fill would open must be paid for when it fills, whatever the gate thought; what it closes always may.

use super::aside::Part;
use super::changes::ends_with_session;
use super::trades::{Leg, round_trip};
use super::watch::Denied;
use super::{Core, CoreError};
use crate::exchange::{Phase, trade_price};
use crate::input::SessionHours;
use crate::ledger::{Ledger, collateral};
use crate::orders::{Order, OrderRequest, Request};
use crate::outbox::{Conclusion, Outbox};
use crate::risk::gate::{self, Refusal};
use crate::slippage::{SlippageInput, Want, in_basis_points, slip};
use crate::terms;
use daybook_config::fees::FeeInput;
use daybook_config::{BuyingPower, FillBar, MarketPrice, Sequence};
use daybook_vocabulary::{
    Alarm, BasisPoints, Candle, Cause, Charges, Fill, InstrumentId, Label, Money, Nanos, OrderEvent, OrderId,
    OrderIntent, OrderType, OrderUpdate, Price, Quantity, RequestKind, RiskVerdict, Side, TimeInForce, Verdict,
};

/// The participation cap that an adaptive one moves around, in basis points, where none is set.
const USUAL_CAP: u32 = 1_000;

/// A trade at the simulated exchange, before it is booked.
#[derive(Clone, Copy)]
pub(super) struct Trade {
    pub(super) cause: Cause,
    pub(super) id: InstrumentId,
    /// Where the market trades.
    pub(super) reference: Price,
    /// Where the order fills.
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    /// Volume of the candle.
    pub(super) volume: Quantity,
    pub(super) time: Nanos,
    /// What has settled the price already; nothing where the slippage model does.
    pub(super) settled: Option<&'static str>,
}

impl Trade {
    /// A trade whose price the market itself has made, against its reference.
    pub(super) fn at(
        cause: Cause,
        id: InstrumentId,
        (reference, price): (Price, Price),
        quantity: Quantity,
        time: Nanos,
        by: &'static str,
    ) -> Self {
        Self { cause, id, reference, price, quantity, volume: Quantity::ZERO, time, settled: Some(by) }
    }
}

/// One candle, walked by the orders of its instrument.
pub(super) struct Walk<'a> {
    pub(super) cause: Cause,
    pub(super) id: InstrumentId,
    pub(super) candle: &'a Candle,
    pub(super) session: &'a SessionHours,
    /// How much of the candle's volume may still fill.
    pub(super) left: Quantity,
    /// Whether buys and sales may not trade on it.
    pub(super) barred: (bool, bool),
    /// Which of the orders have their turn.
    pub(super) part: Part,
}

impl Walk<'_> {
    /// The order may not trade here, though its price is there: out of hours only orders for the close do.
    fn bars(&self, order: &Order, phase: Phase) -> bool {
        match (self.barred, order.side) {
            ((true, true), _) => phase != Phase::Close,
            ((buys, _), Side::Buy) => buys,
            ((_, sales), Side::Sell) => sales,
        }
    }
}

impl Core {
    /// Does what the strategy asked for, in its order.
    pub(super) fn act(&mut self, id: InstrumentId, session: &SessionHours, out: &mut Outbox) {
        if self.keeps {
            return self.act_kept(id, session, out);
        }
        let mut list = std::mem::take(&mut self.requests.list);
        for request in list.drain(..) {
            match request {
                Request::Place(order) => self.place(id, order, session, out),
                Request::PlaceIn(other, order) if other.index() < self.state.books.len() => {
                    self.place(other, order, session, out);
                }
                Request::PlaceIn(_, order) => {
                    // Nobody knows where it belongs, so it stands with the instrument it was decided about.
                    let admitted =
                        self.admit(id, order, (false, self.state.now), Some(Verdict::UnknownInstrument), out);
                    assert!(admitted.is_none(), "a fault is never admitted");
                }
                Request::Cancel(which, reason) => {
                    self.cancel(id, which, (RequestKind::Cancel, reason), out);
                }
                Request::CancelAll(reason) => {
                    self.state.risk.spend(&self.limits, self.state.now, false);
                    if self.rules.latency > 0 {
                        self.send_cancels(id, reason, out);
                        continue;
                    }
                    self.end_orders(id, out, |_| Some((OrderEvent::Cancelled, reason)));
                }
                Request::Modify(which, change, reason) => self.modify(id, which, change, reason, session, out),
                Request::Replace(which, order) => {
                    if self.cancel(id, which, (RequestKind::Replace, order.reason), out) {
                        self.place(id, order, session, out);
                    }
                }
            }
        }
        self.requests.list = list;
    }

    /// Ends the orders that do not outlast a session.
    pub(super) fn end_with_session(&mut self, id: InstrumentId, session: &SessionHours, out: &mut Outbox) {
        let now = self.state.now;
        self.end_orders(id, out, |order| ends_with_session(order, session, now));
    }

    /// Judges an order and hands it to the simulated exchange.
    fn place(&mut self, id: InstrumentId, request: OrderRequest, session: &SessionHours, out: &mut Outbox) {
        let closed = self.state.now >= session.close;
        // The client's number is used even where the order is refused, as at a broker.
        let fault = match request.client {
            0 => None,
            client => (!self.state.venue.clients.insert(client)).then(|| Refusal::from(Verdict::DuplicateId)),
        };
        let fault = if self.screens && fault.is_none() { self.screened_anew(id, &request) } else { fault };
        let arrives = self.state.now + self.rules.latency;
        if let Some(mut order) = self.admit_judged(id, request, (closed, arrives), fault, out) {
            self.note_loosened(id, &order);
            if self.rules.lag_bars > 0 {
                self.hold_up(id, &mut order);
            }
            self.state.books[id.index()].working.push(order);
            if self.rules.fill_bar != FillBar::Next {
                self.fill_at_close(id, out);
            }
        }
    }

    /// Judges an order and journals the intent with its verdict; hands it back when it was approved. A fault that was
    /// found before goes before the gate; the order works on candles that open when it `arrives`, or later.
    pub(super) fn admit(
        &mut self,
        id: InstrumentId,
        request: OrderRequest,
        when: (bool, Nanos),
        fault: Option<Verdict>,
        out: &mut Outbox,
    ) -> Option<Order> {
        self.admit_judged(id, request, when, fault.map(Refusal::from), out)
    }

    /// The same, where a fault has its numbers.
    pub(super) fn admit_judged(
        &mut self,
        id: InstrumentId,
        mut request: OrderRequest,
        (closed, arrives): (bool, Nanos),
        fault: Option<Refusal>,
        out: &mut Outbox,
    ) -> Option<Order> {
        let tick = self.rules.tick(&self.setup.instruments[id.index()]);
        self.guard(id, &mut request);
        terms::settle(&mut request, self.state.books[id.index()].last, tick);
        let judged = match fault {
            Some(refusal) => Err(refusal),
            None => self.judge(id, &request, closed),
        };
        let verdict = judged.map_or_else(|refusal| refusal.verdict, |_| Verdict::Approved);
        let book = &self.state.books[id.index()];
        let cause = book.cause;
        self.state.counts.orders += 1;
        let mut order = Order::new(OrderId(self.state.counts.orders), &request, arrives);
        let intent = OrderIntent {
            cause: book.cause,
            order: order.id,
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            verdict,
            quantity: order.quantity,
            limit: order.limit,
            stop: order.stop,
            reference: book.last,
            reason: order.reason,
            trail: order.trail,
            expires: request.expires,
            client: order.client,
        };
        out.push(id, Conclusion::Intent(intent));
        let reserve = match judged {
            Ok(reserve) => reserve,
            Err(refusal) => {
                out.push(id, Conclusion::Verdict(refused(cause, order.id, refusal)));
                return None;
            }
        };
        order.reduces = book.position.closing(order.side, order.quantity) == order.quantity;
        if self.limited {
            self.state.risk.spend(&self.limits, self.state.now, !order.reduces);
        }
        // A broker answers for itself, later.
        let told = if self.brokered { OrderEvent::Sent } else { OrderEvent::Accepted };
        for event in [OrderEvent::Sent, told] {
            assert!(!order.happens(event), "a new order is sent and accepted without surprise");
        }
        order.reserved = reserve;
        order.planned = gate::judged_at(&request, self.state.books[id.index()].last);
        order.decision = self.deciding;
        self.state.ledger.reserved += reserve;
        self.note_stop(id, &order);
        if self.brokered {
            self.note_sent(id, order.id);
        }
        out.push(id, Conclusion::Update(update(cause, &order, told, Label::NONE)));
        Some(order)
    }

    /// The verdict on an order: its terms, then the gate.
    pub(super) fn judge(&self, id: InstrumentId, request: &OrderRequest, closed: bool) -> Result<Money, Refusal> {
        match terms::fault(request, self.state.books[id.index()].last, self.state.now) {
            Some(verdict) => Err(Refusal::from(verdict)),
            None if self.rules.buying_power != BuyingPower::Held => {
                gate::judge_unpaid(&self.case(id, request, closed)).map(|_| Money::ZERO)
            }
            None => gate::judge(&self.case(id, request, closed)),
        }
    }

    /// Ends the working orders that `choose` names, for its reason; true when there was one.
    pub(super) fn end_orders(
        &mut self,
        id: InstrumentId,
        out: &mut Outbox,
        choose: impl Fn(&Order) -> Option<(OrderEvent, Label)>,
    ) -> bool {
        let book = &mut self.state.books[id.index()];
        let (cause, ledger) = (book.cause, &mut self.state.ledger);
        let before = book.working.len();
        book.working.retain_mut(|order| {
            let Some((event, reason)) = choose(order) else { return true };
            end_order(id, cause, order, event, reason, ledger, out);
            false
        });
        book.working.len() < before
    }

    /// Works the orders of one instrument along a candle's path.
    pub(super) fn work(
        &mut self,
        cause: Cause,
        id: InstrumentId,
        candle: &Candle,
        session: &SessionHours,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        if self.diverts {
            return if self.brokered { Ok(()) } else { self.work_exits(cause, id, candle, session, out) };
        }
        // Taken out so that fills may touch the rest of the state; put back below, with its memory.
        let mut working = std::mem::take(&mut self.state.books[id.index()].working);
        let ticked = self.is_ticked(id);
        let barred = if self.rules.bars_candles() { self.barred(id, candle, session) } else { (false, false) };
        let mut walk = Walk { cause, id, candle, session, left: Quantity(i64::MAX), barred, part: Part::All };
        let worked = self.walk(&mut walk, ticked, &mut working, out);
        if !ticked {
            self.after_candle(id, candle, session, &mut working, out);
        }
        working.retain(Order::is_working);
        self.state.books[id.index()].working = working;
        if self.keeps {
            self.keep_at_market(id, out);
        }
        worked
    }

    /// Where ticks drive the instrument, its candles say no more than the last price.
    pub(super) fn walk(
        &mut self,
        walk: &mut Walk<'_>,
        ticked: bool,
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        // Entries that come later have what the exits of the candle have left.
        if walk.part.begins()
            && let Some(bps) = self.setup.participation_bps.or(self.rules.adaptive_cap.map(|_| USUAL_CAP))
        {
            let volume = walk.candle.volume();
            walk.left = self.tradable(walk.id, volume, self.cap(walk.id, volume, bps));
        }
        let pool = if self.rules.limits_liquidity() { self.pool(walk.id) } else { Quantity(i64::MAX) };
        walk.left = walk.left.min(pool);
        let begins = walk.left;
        let path = if ticked { &[][..] } else { &Phase::PATH };
        if self.rules.sequence == Sequence::Queue {
            self.walk_queue(path, walk, working, out)?;
        } else if self.auctions_at(walk.id, walk.candle, walk.session) {
            self.walk_auction(walk, working, out)?;
        } else {
            self.walk_path(path, walk, working, out)?;
        }
        if pool != Quantity(i64::MAX) {
            self.empty(walk.id, begins - walk.left);
        }
        Ok(())
    }

    #[inline]
    fn walk_path(
        &mut self,
        path: &[Phase],
        walk: &mut Walk<'_>,
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        for &phase in path {
            let before = working.len();
            self.walk_phase(phase, walk, working, out)?;
            if phase == Phase::Limits && working.len() > before {
                // Stops of what a limit has just entered. Every other stop has had its touch, or has not been reached.
                self.walk_phase(Phase::Stops, walk, working, out)?;
            }
        }
        if self.chooses || working.iter().any(|order| order.order_type == OrderType::MarketOnClose) {
            self.walk_phase(Phase::Close, walk, working, out)?;
        }
        Ok(())
    }

    fn walk_phase(
        &mut self,
        phase: Phase,
        walk: &mut Walk<'_>,
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let mut index = 0;
        // Exits of what fills here join the end of the list and have their turn.
        while index < working.len() {
            index += 1;
            self.work_order(index - 1, phase, walk, working, out)?;
        }
        Ok(())
    }

    /// Lets one order meet one station of a candle.
    #[inline(always)]
    pub(super) fn work_order(
        &mut self,
        place: usize,
        phase: Phase,
        walk: &mut Walk<'_>,
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let Walk { candle, session, .. } = *walk;
        let order = &mut working[place];
        if !order.is_working() || candle.open_time() < order.decided {
            return Ok(());
        }
        if order.is_conditional() && !may_trade(order, candle, phase, session, self.state.now) {
            return Ok(());
        }
        if self.chooses {
            return self.work_order_otherwise(place, phase, walk, working, out);
        }
        match trade_price(order, candle, phase, self.rules.limit_fill) {
            Some(reference) => self.trade_order(place, (phase, reference), walk, working, out),
            None => Ok(()),
        }
    }

    /// Lets an order whose price is there take what is left of a candle.
    #[inline(always)]
    pub(super) fn trade_order(
        &mut self,
        place: usize,
        (phase, reference): (Phase, Price),
        walk: &mut Walk<'_>,
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let Walk { cause, id, candle, .. } = *walk;
        let order = &mut working[place];
        let quantity = order.remaining().min(walk.left);
        if quantity.is_zero() || (order.time_in_force == TimeInForce::Fok && quantity < order.remaining()) {
            return Ok(());
        }
        if walk.barred != (false, false) && walk.bars(order, phase) {
            return Ok(());
        }
        let time = if phase == Phase::Open { candle.open_time() } else { self.state.now };
        let volume = candle.volume();
        let closing = self.state.books[id.index()].position.closing(order.side, quantity);
        let trade = Trade { cause, id, reference, price: reference, quantity, volume, time, settled: None };
        let Some(trade) = self.fill(trade, order, out) else {
            return self.nothing_traded(cause, candle);
        };
        if trade.quantity.is_zero() {
            return Ok(());
        }
        walk.left -= trade.quantity;
        if order.has_relatives() {
            let filled = *order;
            self.after_fill(&filled, trade, closing, (phase, candle.open_time()), working, out);
        }
        Ok(())
    }

    /// What a fill does to other orders: those of its group, the other exit of its pair, exits of what it opened.
    pub(super) fn after_fill(
        &mut self,
        filled: &Order,
        trade: Trade,
        closing: Quantity,
        born: (Phase, Nanos),
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) {
        if filled.group != 0 {
            self.cancel_group(trade.id, trade.cause, working, filled.group, filled.id, out);
        }
        if filled.pair != 0 {
            self.give_up(filled, trade, working, out);
        }
        // In a queue exits follow their parent whatever it closed, as it was submitted with them.
        let opened = if self.rules.sequence == Sequence::Queue { trade.quantity } else { trade.quantity - closing };
        if let Some(bracket) = filled.bracket
            && !opened.is_zero()
        {
            let opened = Trade { quantity: opened, ..trade };
            self.protect(bracket, filled, opened, born, working, out);
        }
    }

    /// The slippage model misses the volume. Where the price stood still, nothing traded and the order waits on; where
    /// it moved, there was volume and nobody said how much: going on would mean to guess.
    fn nothing_traded(&self, cause: Cause, candle: &Candle) -> Result<(), CoreError> {
        let Some(model) = &self.slippage else { return Ok(()) };
        if model.wants() == Want::Volume && candle.high() == candle.low() {
            return Ok(());
        }
        self.missing_input(cause)
    }

    /// What the slippage model misses at a candle, as an error.
    pub(super) fn missing_input(&self, cause: Cause) -> Result<(), CoreError> {
        let Some(model) = &self.slippage else { return Ok(()) };
        let missing = |input| Err(CoreError::NoInput { cause, model: model.name(), input });
        match model.wants() {
            Want::Nothing => Ok(()),
            Want::Volume => Err(CoreError::NoVolume { cause, model: model.name() }),
            Want::Volatility => missing(
                "average daily volume, or deviation of daily returns: they are known after two whole sessions, so begin later",
            ),
            Want::Momentum => missing(
                "average daily volume, or return over sessions: they are known after two whole sessions, so begin later",
            ),
            Want::Average => missing("average daily volume: it is known after the first whole session, so begin later"),
            Want::Quote => missing("quote: supply quotes or books, or choose half-spread:N"),
        }
    }

    /// How much of a volume may fill, in whole lots.
    pub(super) fn tradable(&self, id: InstrumentId, volume: Quantity, bps: u32) -> Quantity {
        let share = i128::from(volume.0) * i128::from(bps) / 10_000;
        Quantity(i64::try_from(share).unwrap_or(i64::MAX)).round_down_to(self.setup.instruments[id.index()].lot)
    }

    fn cancel_group(
        &mut self,
        id: InstrumentId,
        cause: Cause,
        working: &mut [Order],
        group: u32,
        filled: OrderId,
        out: &mut Outbox,
    ) {
        for order in working.iter_mut().filter(|order| order.group == group && order.id != filled && order.is_working())
        {
            let reason = Label::new("one-cancels-other");
            end_order(id, cause, order, OrderEvent::Cancelled, reason, &mut self.state.ledger, out);
        }
    }

    /// Books one fill and hands back what became of it; nothing where the slippage model misses its input. Where the
    /// cash does not do, what closes the position fills all the same, and the rest of the order is cancelled.
    pub(super) fn fill(&mut self, mut trade: Trade, order: &mut Order, out: &mut Outbox) -> Option<Trade> {
        trade.price = self.slipped(&trade, order)?;
        let mut charges = self.charges(&trade, order);
        let refused = self.refuses(&trade, order, charges.total());
        if let Some(denied) = refused {
            let closing = self.payable(&trade, order);
            if closing.is_zero() || order.time_in_force == TimeInForce::Fok {
                self.cancel_rest(&trade, order, denied, out);
                return Some(Trade { quantity: Quantity::ZERO, ..trade });
            }
            trade.quantity = closing;
            trade.price = self.slipped(&trade, order)?;
            charges = self.charges(&trade, order);
        }
        if self.traces {
            self.before_fill(&trade, order, charges.total());
        }
        self.book_fill(trade, charges, order, out);
        if let Some(denied) = refused {
            self.cancel_rest(&trade, order, denied, out);
        }
        Some(trade)
    }

    /// The price at which the leg fills: its reference, moved by the slippage model where there is one.
    #[inline]
    fn slipped(&self, trade: &Trade, order: &Order) -> Option<Price> {
        if trade.settled.is_some() {
            return Some(trade.price);
        }
        let Some(model) = &self.slippage else { return Some(trade.reference) };
        let leg = self.leg(trade, order);
        let reference = trade.reference;
        let mut limit = order.limit;
        // Nothing trades outside the band, whatever an order moves.
        if let Some((low, high)) = self.band_of(trade.id, reference) {
            limit = Some(match order.side {
                Side::Buy => limit.map_or(high, |limit| limit.min(high)),
                Side::Sell => limit.map_or(low, |limit| limit.max(low)),
            });
        }
        let before = self.aside.takings.before(trade.id, trade.cause, order.side);
        slip(&**model, &leg, before, self.rules.tick(&self.setup.instruments[trade.id.index()]), limit)
    }

    /// What a slippage model is asked about.
    fn leg(&self, trade: &Trade, order: &Order) -> SlippageInput {
        SlippageInput {
            side: order.side,
            reference: trade.reference,
            quantity: trade.quantity,
            volume: trade.volume,
            order_type: order.order_type,
            average: self.state.venue.average(trade.id),
            half_spread: None,
            deviation: self.state.venue.deviation(trade.id),
            momentum: if self.aside.wants_momentum { self.state.venue.momentum(trade.id) } else { None },
            standing: self.standing(trade.id),
        }
    }

    /// Notes what a fill leaves on the price, where the model says that it does.
    pub(super) fn leave_trace(&mut self, trade: &Trade, order: &Order) {
        let (Some(fade), Some(model), None) = (self.fade, &self.slippage, trade.settled) else { return };
        if let Some(left) = model.leaves(&self.leg(trade, order)) {
            self.state.venue.footprints[trade.id.index()].note(fade, self.state.now, order.side, left);
        }
    }

    /// What a fill costs by the rates of its session.
    pub(super) fn charges(&self, trade: &Trade, order: &Order) -> Charges {
        let (Some(rates), Some(session)) = (&self.rates, &self.state.session) else { return Charges::default() };
        let book = &self.state.books[trade.id.index()];
        let held = book.position.quantity;
        let squares_off = self.rules.square_off.filter(|_| order.squares_off);
        // The fee for squaring off is paid with the first fill and is no part of what the cap of brokerage holds.
        let apart = squares_off.filter(|_| !order.filled.is_zero()).map_or(Money::ZERO, |rule| rule.fee);
        let mut charges = rates.charge(FeeInput {
            side: order.side,
            price: trade.price,
            quantity: trade.quantity,
            order_value_before: order.value,
            order_quantity_before: order.filled,
            order_brokerage_before: order.brokerage - apart,
            maker: rates.commission.is_some() && order.limit == Some(trade.reference) && order.order_type.rests(),
            month: if rates.commission.is_some() {
                self.state.venue.month.of(session.date)
            } else {
                Default::default()
            },
            first_delivery_sale_of_day: book.day.at(session.date, held).delivers(order.side, held, trade.quantity),
        });
        if let Some(square_off) = squares_off.filter(|_| order.filled.is_zero()) {
            charges.brokerage += square_off.fee;
            charges.service_tax += rates.service_tax.of(square_off.fee);
        }
        charges
    }

    /// Why what a fill would open may not be opened: it cannot be paid, or a limit does not allow it.
    #[inline]
    fn refuses(&self, trade: &Trade, order: &Order, fees: Money) -> Option<Denied> {
        if self.judges_fills || !self.state.risk.locks.is_empty() {
            return self.limits_refuse(trade, order, fees);
        }
        let position = &self.state.books[trade.id.index()].position;
        let (needed, freed) = Ledger::need(position, order.side, trade.quantity, trade.price);
        let payable = needed.is_zero() || needed + fees <= self.state.ledger.free() + order.reserved + freed;
        (!payable).then(|| Denied::for_want_of("insufficient-cash"))
    }

    /// What may not be opened is cancelled; a limit that says so gives its numbers.
    #[cold]
    fn cancel_rest(&mut self, trade: &Trade, order: &mut Order, denied: Denied, out: &mut Outbox) {
        let Denied { reason, refusal } = denied;
        if let Some(refusal) = refusal {
            out.push(trade.id, Conclusion::Verdict(refused(trade.cause, order.id, refusal)));
        }
        end_order(trade.id, trade.cause, order, OrderEvent::Cancelled, reason, &mut self.state.ledger, out);
    }

    pub(super) fn book_fill(&mut self, trade: Trade, charges: Charges, order: &mut Order, out: &mut Outbox) {
        let Trade { cause, id, reference, price, quantity, time, settled, .. } = trade;
        let model = settled.unwrap_or_else(|| self.slippage.as_ref().map_or("none", |model| model.name()));
        let state = &mut self.state;
        let book = &mut state.books[id.index()];
        let value = price.times(quantity);
        let fees = charges.total();
        let before = order.remaining();
        order.filled += quantity;
        order.value += value;
        order.brokerage += charges.brokerage;
        let event = if order.remaining().is_zero() { OrderEvent::Filled } else { OrderEvent::PartiallyFilled };
        let surprised = order.happens(event);
        let kept = order.reserved.share(order.remaining(), before);
        state.ledger.reserved -= order.reserved - kept;
        order.reserved = kept;

        if let Some(session) = &state.session {
            let held = book.position.quantity;
            book.day = book.day.at(session.date, held);
            book.day.delivered |= book.day.delivers(order.side, held, quantity);
        }
        let locked = collateral(&book.position);
        let applied = book.position.apply(order.side, quantity, price, value);
        let ledger = &mut state.ledger;
        ledger.locked += collateral(&book.position) - locked;
        ledger.cash -= if order.side == Side::Buy { value } else { -value };
        ledger.cash -= fees;
        ledger.fees += fees;
        ledger.realised += applied.realised;
        // Marked at the last price before this candle; the candle's own close moves it on.
        let marked = book.position.value(book.last);
        ledger.marked += marked - book.marked;
        if self.limited {
            state.risk.revalued(book.marked, marked);
        }
        book.marked = marked;

        let counted = self.rates.as_ref().is_some_and(|rates| rates.commission.is_some());
        let month = state.session.filter(|_| counted).map(|session| (session.date, value, quantity));
        state.venue.note_fill(id, time + self.rules.answer, month);
        state.counts.fills += 1;
        let fill = Fill {
            cause,
            order: order.id,
            side: order.side,
            state: order.state,
            quantity,
            price,
            reference_price: reference,
            slippage_bps: if price == reference {
                BasisPoints::ZERO
            } else {
                in_basis_points(order.side, reference, price)
            },
            model: Label::new(model),
            exchange_time: time,
            position: book.position.quantity,
            charges,
        };
        out.push(id, Conclusion::Fill(fill));
        if surprised {
            out.push(id, Conclusion::Alarm(contradiction(cause, order, event)));
        }
        let lot = self.setup.instruments[id.index()].lot;
        let at_close = self.rules.market_price == Some(MarketPrice::Close) && order.order_type == OrderType::Market;
        round_trip(state, &Leg { trade, order, applied, fees, lot, at_close }, out);
    }
}

/// May an order with conditions trade at this station? An order that ends inside the candle works at its open alone:
/// nobody knows whether the rest came in time.
pub(super) fn may_trade(order: &Order, candle: &Candle, phase: Phase, session: &SessionHours, now: Nanos) -> bool {
    let in_time = order.expires > candle.open_time() && (phase == Phase::Open || order.expires >= now);
    in_time
        && match order.order_type {
            OrderType::MarketOnOpen => order.decided <= session.open,
            OrderType::MarketOnClose => candle.open_time() + candle.interval().nanos() >= session.close,
            _ => true,
        }
}

pub(super) fn end_order(
    id: InstrumentId,
    cause: Cause,
    order: &mut Order,
    event: OrderEvent,
    reason: Label,
    ledger: &mut Ledger,
    out: &mut Outbox,
) {
    let surprised = order.happens(event);
    ledger.reserved -= order.reserved;
    order.reserved = Money::ZERO;
    out.push(id, Conclusion::Update(update(cause, order, event, reason)));
    if surprised {
        out.push(id, Conclusion::Alarm(contradiction(cause, order, event)));
    }
}

fn update(cause: Cause, order: &Order, event: OrderEvent, reason: Label) -> OrderUpdate {
    OrderUpdate { cause, order: order.id, event, state: order.state, filled: order.filled, reason }
}

pub(super) fn refused(cause: Cause, order: OrderId, refusal: gate::Refusal) -> RiskVerdict {
    let gate::Refusal { verdict, limit, observed } = refusal;
    RiskVerdict { cause, order, verdict, limit, observed }
}

fn contradiction(cause: Cause, order: &Order, event: OrderEvent) -> Alarm {
    Alarm {
        cause,
        code: Label::new("order-contradiction"),
        text: format!("order {} is {} and was told '{event}'", order.id, order.state),
    }
}
