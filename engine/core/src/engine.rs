//! The core itself: setup, state, and `step`.
//!
//! - `step` is the only way in. A candle fills what works, moves the mark, teaches the strategy; a slice lets it decide.
//! - Between two inputs the books balance: every total is proved at each digest and session close, in release builds.
//! - State is plain data: saved, hashed and restored whole. What the setup says is not state and is not saved.

use crate::bars;
use crate::exchange::{Phase, trade_price};
use crate::gate;
use crate::input::{Body, Input, SessionHours};
use crate::ledger::{Book, Ledger, collateral};
use crate::orders::{Order, OrderRequest, Request, Requests};
use crate::outbox::{Conclusion, NO_STREAM, Outbox};
use crate::position::{Closing, OpenTrade};
use crate::strategy::{Strategy, View};
use daybook_config::fees::{FeeInput, FeeSchedule, Rates};
use daybook_vocabulary::{
    Account, Alarm, Bar, BasisPoints, Candle, Cause, Charges, Date, Fill, Hash, Instrument, InstrumentId, Interval,
    Label, Money, Nanos, OrderEvent, OrderId, OrderIntent, OrderUpdate, Price, Quantity, Side, StateDigest,
    TimeInForce, Verdict,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Inputs between two state digests.
pub const DIGEST_EVERY: u64 = 65_536;

/// What the core is told once, before the first input. The run header records it.
pub struct Setup {
    /// Instruments by id, in (market, symbol) order.
    pub instruments: Vec<Instrument>,
    /// Length of the candles that come in.
    pub interval: Interval,
    /// Length of the bars strategies see, where they are built from finer candles.
    pub timeframe: Option<Interval>,
    /// Cash at the start.
    pub cash: Money,
    /// What fills cost.
    pub fees: FeeSchedule,
    /// Largest share of a candle's volume that may fill, in basis points; no cap when absent.
    pub participation_bps: Option<u32>,
    /// Bars that close before this decide nothing.
    pub decide_from: Nanos,
    /// The first bars of each instrument, as its strategy sees them, that decide nothing.
    pub warmup_bars: u64,
    /// What decides.
    pub strategy: Box<dyn Strategy>,
}

/// Why an input cannot be stepped through.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CoreError {
    /// The order of inputs is broken.
    #[error(
        "input {cause} steps back in time, from {before} to {time}: the journals are not in order; run `daybook verify`"
    )]
    TimeStepsBack {
        /// The input.
        cause: Cause,
        /// Time of the one before.
        before: Nanos,
        /// Its time.
        time: Nanos,
    },
    /// A candle came outside any session.
    #[error("the candle {cause} at {time} comes while no session is open: the calendar and the journal disagree")]
    NoSession {
        /// The input.
        cause: Cause,
        /// Its time.
        time: Nanos,
    },
    /// The fee schedule does not reach back to a session.
    #[error("{0}")]
    Fees(String),
    /// A saved state is not of this setup.
    #[error("the saved state does not fit the setup; delete the snapshot, it can be rebuilt")]
    ForeignState,
}

/// How much has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Inputs stepped through.
    pub inputs: u64,
    /// Candles among them.
    pub bars: u64,
    /// Candles of instruments in which a position was held.
    pub bars_in_market: u64,
    /// Orders decided, refused ones included.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Round trips closed.
    pub trades: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    counts: Counts,
    now: Nanos,
    cause: Cause,
    session: Option<SessionHours>,
    ledger: Ledger,
    books: Vec<Book>,
    /// Instruments whose bar closed since the last slice.
    fresh: Vec<InstrumentId>,
}

/// The core. See the crate's page for its rooms.
pub struct Core {
    setup: Setup,
    rates: Option<Rates>,
    state: State,
    requests: Requests,
    scratch: Vec<u8>,
}

impl Core {
    /// A core that has seen nothing.
    pub fn new(setup: Setup) -> Self {
        let count = setup.instruments.len();
        let state = State {
            counts: Counts::default(),
            now: Nanos::MIN,
            cause: Cause::default(),
            session: None,
            ledger: Ledger::new(setup.cash),
            books: vec![Book::default(); count],
            fresh: Vec::with_capacity(count),
        };
        Self { setup, rates: None, state, requests: Requests::default(), scratch: Vec::new() }
    }

    /// How much has happened.
    pub const fn counts(&self) -> Counts {
        self.state.counts
    }

    /// The account's totals.
    pub const fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// The instruments, by id.
    pub fn instruments(&self) -> &[Instrument] {
        &self.setup.instruments
    }

    /// The book of an instrument.
    pub fn book(&self, instrument: InstrumentId) -> &Book {
        &self.state.books[instrument.index()]
    }

    /// Steps through one input and adds what follows from it to the outbox.
    #[inline]
    pub fn step(&mut self, input: &Input<'_>, out: &mut Outbox) -> Result<(), CoreError> {
        if input.time < self.state.now {
            let (cause, before, time) = (input.cause, self.state.now, input.time);
            return Err(CoreError::TimeStepsBack { cause, before, time });
        }
        self.state.now = input.time;
        match input.body {
            Body::Candle(instrument, candle) => self.on_candle(input.cause, instrument, candle, out)?,
            Body::Slice(_) => self.on_slice(out),
            Body::SessionOpened(hours) => self.on_session_opened(hours)?,
            Body::SessionClosed => self.on_session_closed(out),
        }
        self.state.counts.inputs += 1;
        if self.state.counts.inputs.is_multiple_of(DIGEST_EVERY) {
            self.digest(out);
        }
        Ok(())
    }

    /// Ends the session: a last digest. Orders that still work never fill.
    pub fn finish(&mut self, out: &mut Outbox) {
        self.digest(out);
    }

    /// The canonical bytes of the whole state.
    pub fn save(&self, out: &mut Vec<u8>) {
        let mut strategy = Vec::new();
        self.setup.strategy.save(&mut strategy);
        let bytes = postcard::to_stdvec(&(&self.state, &strategy)).expect("the state is plain data");
        out.extend_from_slice(&bytes);
    }

    /// Restores what [`Core::save`] wrote, under the same setup.
    pub fn load(&mut self, saved: &[u8]) -> Result<(), CoreError> {
        let (state, strategy): (State, Vec<u8>) = postcard::from_bytes(saved).map_err(|_| CoreError::ForeignState)?;
        if state.books.len() != self.setup.instruments.len() || !self.setup.strategy.load(&strategy) {
            return Err(CoreError::ForeignState);
        }
        self.rates = state.session.map(|session| self.rates_of(session.date)).transpose()?;
        self.state = state;
        self.state.ledger.prove(&self.state.books);
        Ok(())
    }

    fn rates_of(&self, date: Date) -> Result<Rates, CoreError> {
        self.setup.fees.rates(date).copied().map_err(|error| CoreError::Fees(error.to_string()))
    }

    fn on_session_opened(&mut self, hours: SessionHours) -> Result<(), CoreError> {
        self.rates = Some(self.rates_of(hours.date)?);
        self.state.session = Some(hours);
        Ok(())
    }

    fn on_session_closed(&mut self, out: &mut Outbox) {
        let Some(session) = self.state.session.take() else { return };
        for index in 0..self.state.books.len() {
            let id = InstrumentId(index as u32);
            self.end_orders(id, out, |order| {
                (order.time_in_force == TimeInForce::Day).then_some((OrderEvent::Expired, Label::new("session-closed")))
            });
            if let Some(bar) = self.state.books[index].partial.take() {
                self.learn(id, &bar, out);
            }
        }
        self.state.fresh.clear();
        self.account(session.date, out);
    }

    #[inline]
    fn on_candle(
        &mut self,
        cause: Cause,
        id: InstrumentId,
        candle: &Candle,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let Some(session) = self.state.session else {
            return Err(CoreError::NoSession { cause, time: self.state.now });
        };
        self.state.cause = cause;
        let book = &mut self.state.books[id.index()];
        book.cause = cause;
        if !book.working.is_empty() {
            self.work(cause, id, candle, out);
        }
        let state = &mut self.state;
        let book = &mut state.books[id.index()];
        book.last = candle.close();
        book.bars += 1;
        book.learned += u64::from(self.setup.timeframe.is_none());
        state.counts.bars += 1;
        if !book.position.quantity.is_zero() {
            state.counts.bars_in_market += 1;
            let value = book.position.value(book.last);
            state.ledger.marked += value - book.marked;
            book.marked = value;
        }
        match self.setup.timeframe {
            None => {
                self.setup.strategy.on_bar(id, candle);
                self.state.fresh.push(id);
            }
            Some(timeframe) => {
                let (late, closed) = bars::fold(&mut book.partial, candle, state.now, &session, timeframe);
                if let Some(bar) = late {
                    self.learn(id, &bar, out);
                }
                if let Some(bar) = closed {
                    self.learn(id, &bar, out);
                    self.state.fresh.push(id);
                }
            }
        }
        Ok(())
    }

    /// A bar built here is an output; the strategy learns it as it would a candle.
    fn learn(&mut self, id: InstrumentId, bar: &Candle, out: &mut Outbox) {
        let book = &mut self.state.books[id.index()];
        book.learned += 1;
        out.push(id, Conclusion::Bar(Bar::new(book.cause, *bar)));
        self.setup.strategy.on_bar(id, bar);
    }

    #[inline]
    fn on_slice(&mut self, out: &mut Outbox) {
        let decides = self.state.now >= self.setup.decide_from;
        let Some(session) = self.state.session.filter(|_| decides) else {
            self.state.fresh.clear();
            return;
        };
        // Candles of one time arrive in symbol order; a late one in live trading may not.
        if !self.state.fresh.is_sorted() {
            self.state.fresh.sort_unstable();
        }
        let interval = self.setup.timeframe.unwrap_or(self.setup.interval);
        for index in 0..self.state.fresh.len() {
            let instrument = self.state.fresh[index];
            let book = &self.state.books[instrument.index()];
            if book.learned <= self.setup.warmup_bars {
                continue;
            }
            let view = View {
                now: self.state.now,
                instrument,
                meta: &self.setup.instruments[instrument.index()],
                session,
                interval,
                book,
                ledger: &self.state.ledger,
            };
            self.setup.strategy.decide(&view, &mut self.requests);
            if !self.requests.list.is_empty() {
                self.act(instrument, out);
            }
        }
        self.state.fresh.clear();
    }

    fn act(&mut self, id: InstrumentId, out: &mut Outbox) {
        let mut list = std::mem::take(&mut self.requests.list);
        for request in list.drain(..) {
            match request {
                Request::Place(order) => self.place(id, order, out),
                Request::Cancel(which, reason) => {
                    self.end_orders(id, out, |order| (order.id == which).then_some((OrderEvent::Cancelled, reason)));
                }
                Request::CancelAll(reason) => {
                    self.end_orders(id, out, |_| Some((OrderEvent::Cancelled, reason)));
                }
            }
        }
        self.requests.list = list;
    }

    /// Judges an order, journals the intent with its verdict, and hands it to the simulated exchange.
    fn place(&mut self, id: InstrumentId, mut request: OrderRequest, out: &mut Outbox) {
        let meta = &self.setup.instruments[id.index()];
        request.limit = request.limit.map(|price| price.round_to(meta.tick));
        request.stop = request.stop.map(|price| price.round_to(meta.tick));
        let book = &mut self.state.books[id.index()];
        let (verdict, reserve) = gate::judge(&request, meta, book, &self.state.ledger);
        self.state.counts.orders += 1;
        let mut order = Order::new(OrderId(self.state.counts.orders), &request, self.state.now);
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
        };
        out.push(id, Conclusion::Intent(intent));
        if verdict != Verdict::Approved {
            return;
        }
        for event in [OrderEvent::Sent, OrderEvent::Accepted] {
            assert!(!order.happens(event), "a new order is sent and accepted without surprise");
        }
        order.reserved = reserve;
        self.state.ledger.reserved += reserve;
        out.push(id, Conclusion::Update(update(book.cause, &order, OrderEvent::Accepted, Label::NONE)));
        book.working.push(order);
    }

    /// Ends the working orders that `choose` names, for its reason.
    fn end_orders(
        &mut self,
        id: InstrumentId,
        out: &mut Outbox,
        choose: impl Fn(&Order) -> Option<(OrderEvent, Label)>,
    ) {
        let book = &mut self.state.books[id.index()];
        let (cause, ledger) = (book.cause, &mut self.state.ledger);
        book.working.retain_mut(|order| {
            let Some((event, reason)) = choose(order) else { return true };
            end_order(id, cause, order, event, reason, ledger, out);
            false
        });
    }

    /// Works the orders of one instrument along a candle's path.
    fn work(&mut self, cause: Cause, id: InstrumentId, candle: &Candle, out: &mut Outbox) {
        // Taken out so that fills may touch the rest of the state; put back below, with its memory.
        let mut working = std::mem::take(&mut self.state.books[id.index()].working);
        let mut volume = self.setup.participation_bps.map(|bps| self.tradable(id, candle, bps));
        for phase in Phase::PATH {
            for index in 0..working.len() {
                let order = &mut working[index];
                if !order.is_working() || candle.open_time() < order.decided {
                    continue;
                }
                let Some(price) = trade_price(order, candle, phase) else { continue };
                let quantity = volume.map_or(order.remaining(), |left| Quantity(order.remaining().0.min(left.0)));
                if quantity.0 == 0 {
                    continue;
                }
                let time = if phase == Phase::Open { candle.open_time() } else { self.state.now };
                if self.fill(Trade { cause, id, price, quantity, time }, order, out) {
                    volume = volume.map(|left| left - quantity);
                    let (group, filled) = (order.group, order.id);
                    if group != 0 {
                        self.cancel_group(id, cause, &mut working, group, filled, out);
                    }
                }
            }
        }
        for order in &mut working {
            if order.time_in_force == TimeInForce::Ioc && order.is_working() && candle.open_time() >= order.decided {
                let reason = Label::new("immediate-or-cancel");
                end_order(id, cause, order, OrderEvent::Cancelled, reason, &mut self.state.ledger, out);
            }
        }
        working.retain(Order::is_working);
        self.state.books[id.index()].working = working;
    }

    /// How much of a candle's volume may fill, in whole lots.
    fn tradable(&self, id: InstrumentId, candle: &Candle, bps: u32) -> Quantity {
        let share = i128::from(candle.volume().0) * i128::from(bps) / 10_000;
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

    /// Books one fill. False when there is not enough cash for it: then the order is cancelled.
    fn fill(&mut self, trade: Trade, order: &mut Order, out: &mut Outbox) -> bool {
        let Trade { cause, id, price, quantity, time } = trade;
        let state = &mut self.state;
        let book = &mut state.books[id.index()];
        let value = price.times(quantity);
        let charges = charge(self.rates.as_ref(), state.session.as_ref(), book, order, price, quantity);
        let fees = charges.total();
        let (needed, freed) = Ledger::need(&book.position, order.side, quantity, price);
        if needed.0 > 0 && needed + fees > state.ledger.free() + order.reserved + freed {
            let reason = Label::new("insufficient-cash");
            end_order(id, cause, order, OrderEvent::Cancelled, reason, &mut state.ledger, out);
            return false;
        }

        order.filled += quantity;
        order.value += value;
        order.brokerage += charges.brokerage;
        let event = if order.remaining().is_zero() { OrderEvent::Filled } else { OrderEvent::PartiallyFilled };
        let surprised = order.happens(event);
        let kept = order
            .reserved
            .times_ratio(order.remaining().0.into(), (order.remaining() + quantity).0.into())
            .unwrap_or(Money::ZERO);
        state.ledger.reserved -= order.reserved - kept;
        order.reserved = kept;

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
        book.marked = marked;

        state.counts.fills += 1;
        let fill = Fill {
            cause,
            order: order.id,
            side: order.side,
            state: order.state,
            quantity,
            price,
            reference_price: price,
            slippage_bps: BasisPoints::ZERO,
            model: Label::new("none"),
            exchange_time: time,
            position: book.position.quantity,
            charges,
        };
        out.push(id, Conclusion::Fill(fill));
        if surprised {
            out.push(id, Conclusion::Alarm(contradiction(cause, order, event)));
        }
        round_trip(state, id, trade, order, &applied, fees, out);
        true
    }

    fn account(&mut self, session: Date, out: &mut Outbox) {
        let ledger = &self.state.ledger;
        ledger.prove(&self.state.books);
        let (mut long_value, mut short_value, mut positions) = (Money::ZERO, Money::ZERO, 0);
        for book in self.state.books.iter().filter(|book| !book.position.quantity.is_zero()) {
            positions += 1;
            if book.marked.0 > 0 {
                long_value += book.marked;
            } else {
                short_value -= book.marked;
            }
        }
        let account = Account {
            cause: self.state.cause,
            session,
            cash: ledger.cash,
            equity: ledger.equity(),
            long_value,
            short_value,
            realised: ledger.realised,
            unrealised: ledger.equity() - ledger.start - ledger.realised + ledger.fees,
            fees: ledger.fees,
            positions,
        };
        out.push(NO_STREAM, Conclusion::Account(account));
    }

    fn digest(&mut self, out: &mut Outbox) {
        self.state.ledger.prove(&self.state.books);
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        self.save(&mut bytes);
        let digest = Hash(*blake3::hash(&bytes).as_bytes());
        self.scratch = bytes;
        let digest = StateDigest { cause: self.state.cause, inputs: self.state.counts.inputs, digest };
        out.push(NO_STREAM, Conclusion::Digest(digest));
    }
}

/// A trade at the simulated exchange, before it is booked.
#[derive(Clone, Copy)]
struct Trade {
    cause: Cause,
    id: InstrumentId,
    price: Price,
    quantity: Quantity,
    time: Nanos,
}

/// What a fill costs. A sale out of a holding pays the depository once a session.
fn charge(
    rates: Option<&Rates>,
    session: Option<&SessionHours>,
    book: &mut Book,
    order: &Order,
    price: Price,
    quantity: Quantity,
) -> Charges {
    let (Some(rates), Some(session)) = (rates, session) else { return Charges::default() };
    let delivers = order.side == Side::Sell && book.position.quantity.0 > 0;
    let first_delivery_sale_of_day = delivers && book.last_sale != Some(session.date);
    if delivers {
        book.last_sale = Some(session.date);
    }
    rates.charge(FeeInput {
        side: order.side,
        price,
        quantity,
        order_value_before: order.value,
        order_brokerage_before: order.brokerage,
        first_delivery_sale_of_day,
    })
}

/// Follows the round trip a fill belongs to; a fill through zero ends one and begins the next.
fn round_trip(
    state: &mut State,
    id: InstrumentId,
    trade: Trade,
    order: &Order,
    applied: &crate::position::Applied,
    fees: Money,
    out: &mut Outbox,
) {
    let book = &mut state.books[id.index()];
    let closing_fees = if applied.opened.is_zero() {
        fees
    } else {
        fees.times_ratio(applied.closed.0.into(), trade.quantity.0.into()).unwrap_or(Money::ZERO)
    };
    if !applied.closed.is_zero() {
        let round = book.trade.as_mut().expect("a position that closes is a round trip in progress");
        round.exit_value += applied.closed_value;
        round.gross += applied.realised;
        round.fees += closing_fees;
        if book.position.quantity.is_zero() || !applied.opened.is_zero() {
            state.counts.trades += 1;
            let closing = Closing {
                cause: trade.cause,
                trade: state.counts.trades,
                order: order.id,
                time: trade.time,
                reason: order.reason,
                bars: book.bars,
            };
            out.push(id, Conclusion::Trade(round.close(closing)));
            book.trade = None;
        }
    }
    if !applied.opened.is_zero() {
        let round = book.trade.get_or_insert(OpenTrade {
            side: order.side,
            entered: Quantity::ZERO,
            entry_value: Money::ZERO,
            exit_value: Money::ZERO,
            fees: Money::ZERO,
            gross: Money::ZERO,
            entry_time: trade.time,
            entry_order: order.id,
            entry_reason: order.reason,
            bars_before: book.bars,
        });
        round.entered += applied.opened;
        round.entry_value += applied.opened_value;
        round.fees += fees - closing_fees;
    }
}

fn end_order(
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

fn contradiction(cause: Cause, order: &Order, event: OrderEvent) -> Alarm {
    Alarm {
        cause,
        code: Label::new("order-contradiction"),
        text: format!("order {} is {} and was told '{event}'", order.id, order.state),
    }
}
