//! The core itself: setup, state, and `step`.
//!
//! - `step` is the only way in. A candle fills what works, moves the mark, teaches the strategy; a slice lets it decide.
//! - A candle that was known only after the slice of its time teaches and moves the mark, and decides nothing.
//! - Between two inputs the books balance: every total is proved at each digest and session close, in release builds.
//! - State is plain data: saved, hashed and restored whole. What the setup says is not state and is not saved.

mod adopt;
mod aside;
mod auction;
mod books;
mod broker;
mod changes;
mod desk;
mod doubts;
mod error;
mod exits;
mod handover;
mod keeper;
mod parity;
mod patience;
mod prints;
mod purse;
mod takings;
mod ticks;
mod to_broker;
mod trades;
mod venue;
mod watch;

use crate::input::{Body, Input, SessionHours};
use crate::ledger::{Book, Holdings, Ledger};
use crate::orders::Requests;
use crate::outbox::{Conclusion, NO_STREAM, Outbox};
use crate::risk::{Portfolio, RiskLimits, RiskState};
use crate::rules::ExchangeRules;
use crate::slippage::{self, Slippage};
use crate::strategy::{SliceView, Strategy, View};
use aside::Aside;
use daybook_config::fees::{FeeSchedule, Rates};
use daybook_config::{Calendar, ProtectiveStop, Reconcile, SlippageModel};
use daybook_vocabulary::{
    Account, Bar, Candle, Cause, Date, Decision, Hash, Instrument, InstrumentId, Interval, Money, Nanos, StateDigest,
};
use serde::{Deserialize, Serialize};
use venue::VenueState;

pub use error::CoreError;

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
    /// Bars that open before this decide nothing and are not counted; their sessions have no account.
    pub decide_from: Nanos,
    /// The first bars of each instrument, as its strategy sees them, that decide nothing.
    pub warmup_bars: u64,
    /// What decides.
    pub strategy: Box<dyn Strategy>,
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
    /// Decisions of a policy.
    pub decisions: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    counts: Counts,
    now: Nanos,
    cause: Cause,
    session: Option<SessionHours>,
    ledger: Ledger,
    books: Vec<Book>,
    /// What the limits remember.
    risk: RiskState,
    /// What exchange and broker remember.
    venue: VenueState,
    /// What the keeper of stops remembers, by instrument; empty where there is none.
    seats: Vec<keeper::Seat>,
    /// What is known of a networked broker.
    broker: Option<Box<broker::BrokerState>>,
    /// Trades came in since the session opened: bars are built from them.
    prints: bool,
    /// Time of the last slice: what closed by then has had its chance to decide.
    sliced: Nanos,
    /// Instruments whose bar closed since the last slice.
    fresh: Vec<InstrumentId>,
}

/// The core. See the crate's page for its rooms.
pub struct Core {
    setup: Setup,
    /// Moves fills against the trader; none in the plain exchange.
    slippage: Option<Box<dyn Slippage>>,
    rules: ExchangeRules,
    /// The rules ask something of orders that the plain exchange does not ask.
    screens: bool,
    /// Something may happen at a candle before orders trade on it.
    acts: bool,
    limits: RiskLimits,
    /// A limit is set; without one nothing is remembered for them.
    limited: bool,
    /// What limits on the portfolio as a whole look at, where there are any. Its history is state.
    portfolio: Option<Box<Portfolio>>,
    /// The benchmark: it is heard, and nobody decides about it.
    untraded: Option<InstrumentId>,
    /// Something other than cash held back says what a fill may open.
    judges_fills: bool,
    /// Orders meet candles otherwise than along the plain path.
    chooses: bool,
    /// Orders are not simply worked on a candle as it comes.
    diverts: bool,
    /// Slices are looked at by limits, or by entries that waited for the exits of all instruments.
    watches: bool,
    /// Cash that is there may not buy.
    holds_back: bool,
    /// Fills leave something behind that is noted before they are booked.
    traces: bool,
    /// Sessions of the market, where settlement counts them.
    calendar: Option<Calendar>,
    /// What few settings ask to be remembered.
    aside: Aside,
    /// Why the decision under way cannot go on.
    fault: Option<CoreError>,
    /// How the impact of our own fills fades, where the slippage model says that it lasts.
    fade: Option<slippage::Fade>,
    /// Every position has a protective stop.
    keeps: bool,
    /// Where it belongs, for a strategy that does not say.
    protective_stop: ProtectiveStop,
    /// Orders go to a networked broker: nothing is filled here.
    brokered: bool,
    /// Nothing goes there, and orders are asked for as a broker can be asked: in the place of one.
    in_brokers_terms: bool,
    /// What is done where its books differ from ours.
    reconcile: Reconcile,
    /// The strategy decides about all instruments of a slice at once.
    sees_slices: bool,
    /// Something comes before the decisions of a slice.
    prepares: bool,
    rates: Option<Rates>,
    state: State,
    requests: Requests,
    decisions: Vec<(InstrumentId, Decision)>,
    /// Number of the decision of this slice by instrument, where a policy decides.
    numbers: Vec<u64>,
    /// The decision that the requests being acted on came of.
    deciding: u64,
    /// Instruments of this slice that decide later: answers about their orders are under way. Empty between inputs.
    waiting: Vec<InstrumentId>,
    scratch: Vec<u8>,
    last_digest: Hash,
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
            risk: RiskState { peak: setup.cash, ..RiskState::default() },
            venue: VenueState::default(),
            seats: Vec::new(),
            broker: None,
            prints: false,
            sliced: Nanos::MIN,
            fresh: Vec::with_capacity(count),
        };
        Self {
            sees_slices: setup.strategy.sees_slices(),
            prepares: setup.strategy.sees_slices(),
            setup,
            slippage: None,
            rules: ExchangeRules::default(),
            screens: false,
            acts: false,
            limits: RiskLimits::default(),
            limited: false,
            portfolio: None,
            untraded: None,
            judges_fills: false,
            chooses: false,
            diverts: false,
            watches: false,
            holds_back: false,
            traces: false,
            calendar: None,
            aside: Aside::default(),
            fault: None,
            fade: None,
            keeps: false,
            protective_stop: ProtectiveStop::None,
            brokered: false,
            in_brokers_terms: false,
            reconcile: Reconcile::Halt,
            rates: None,
            state,
            requests: Requests::default(),
            decisions: Vec::new(),
            numbers: vec![0; count],
            deciding: 0,
            waiting: Vec::new(),
            scratch: Vec::new(),
            last_digest: Hash::default(),
        }
    }

    /// The same core, whose fills slip by a model. Like the setup it is not state: a restored core is told again.
    pub fn with_slippage(self, choice: SlippageModel) -> Self {
        let mut core = Self { slippage: slippage::model(choice), ..self };
        core.heed();
        core
    }

    /// How much has happened.
    pub const fn counts(&self) -> Counts {
        self.state.counts
    }

    /// The trading session that is open.
    pub const fn session(&self) -> Option<SessionHours> {
        self.state.session
    }

    /// Time of the last input.
    pub const fn now(&self) -> Nanos {
        self.state.now
    }

    /// The last state digest; zeros before the first.
    pub const fn last_digest(&self) -> Hash {
        self.last_digest
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
    pub fn step(&mut self, input: &Input<'_>, out: &mut Outbox) -> Result<(), CoreError> {
        self.step_inlined(input, out)
    }

    /// [`Core::step`], compiled into the loop that calls it: where it is known there what kind of input comes, nothing
    /// else is left of it.
    #[inline(always)]
    pub fn step_inlined(&mut self, input: &Input<'_>, out: &mut Outbox) -> Result<(), CoreError> {
        if input.time < self.state.now {
            let (cause, before, time) = (input.cause, self.state.now, input.time);
            return Err(CoreError::TimeStepsBack { cause, before, time });
        }
        self.state.now = input.time;
        match input.body {
            Body::Candle(instrument, candle) => self.on_candle(input.cause, instrument, candle, out)?,
            Body::Print(instrument, traded) => self.on_print(input.cause, instrument, traded, out)?,
            Body::Quote(instrument, quote) => self.on_quote(input.cause, instrument, quote, out),
            Body::Depth(instrument, depth) => self.on_depth(input.cause, instrument, depth, out),
            Body::Slice(_) => self.on_slice(out)?,
            Body::SessionOpened(hours) => self.on_session_opened(hours, out)?,
            Body::SessionClosed => self.on_session_closed(out)?,
            Body::Command(command) => self.on_command(input.cause, command, out),
            Body::Answer(answer) => self.on_answer(input.cause, answer, out),
            Body::BrokerOrder(row) => self.on_broker_order(input.cause, row, out),
            Body::BrokerFill(instrument, fill) => self.on_broker_fill(input.cause, instrument, fill, out),
            Body::BrokerBook(book) => self.on_broker_book(input.cause, book, out),
            Body::TakenUp => self.on_taken_up(input.cause, out),
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

    /// Appends the canonical bytes of the whole state, and their hash.
    pub fn save(&self, out: &mut Vec<u8>) {
        let begins = out.len();
        self.write_state(out);
        let hash = blake3::hash(&out[begins..]);
        out.extend_from_slice(hash.as_bytes());
    }

    /// Restores what [`Core::save`] wrote, under the same setup. After an error the core is not to be used.
    pub fn load(&mut self, saved: &[u8]) -> Result<(), CoreError> {
        // The hash comes first: damaged bytes may hold numbers that no arithmetic below was made for.
        let (bytes, hash) = saved.split_last_chunk::<32>().ok_or(CoreError::ForeignState)?;
        if blake3::hash(bytes).as_bytes() != hash {
            return Err(CoreError::ForeignState);
        }
        let (state, rest): (State, _) = postcard::take_from_bytes(bytes).map_err(|_| CoreError::ForeignState)?;
        let rest = self.aside.load(rest, self.setup.instruments.len()).ok_or(CoreError::ForeignState)?;
        self.aside.tell_again(&self.rules, self.setup.instruments.len());
        let strategy = self.load_portfolio(rest)?;
        let fits = state.books.len() == self.setup.instruments.len()
            && state.ledger.start == self.setup.cash
            && state.seats.len() == self.state.seats.len();
        if !fits || !self.setup.strategy.load(strategy) {
            return Err(CoreError::ForeignState);
        }
        self.rates = state.session.map(|session| self.rates_of(session.date)).transpose()?;
        self.state = state;
        self.prove();
        Ok(())
    }

    /// Goes on under another setup: orders, positions and the ledger stay, and from here on fees, limits and strategy are
    /// the new ones; the strategy with its memory stays where `keep_strategy` is set. What the state is made of must be
    /// the same: instruments, candles, timeframe, cash.
    pub fn go_on_under(&mut self, mut setup: Setup, keep_strategy: bool) -> Result<(), CoreError> {
        let kept = |setup: &Setup| (setup.instruments.clone(), setup.interval, setup.timeframe, setup.cash);
        if kept(&setup) != kept(&self.setup) {
            return Err(CoreError::ForeignState);
        }
        if keep_strategy {
            std::mem::swap(&mut setup.strategy, &mut self.setup.strategy);
        }
        self.sees_slices = setup.strategy.sees_slices();
        self.prepares = self.sees_slices || self.untraded.is_some();
        self.setup = setup;
        self.rates = self.state.session.map(|session| self.rates_of(session.date)).transpose()?;
        self.prove();
        Ok(())
    }

    fn write_state(&self, out: &mut Vec<u8>) {
        let state = postcard::to_extend(&self.state, std::mem::take(out)).expect("the state is plain data");
        *out = state;
        self.aside.save(out);
        if let Some(history) = self.portfolio.as_ref().and_then(|portfolio| portfolio.saved()) {
            *out = postcard::to_extend(&history, std::mem::take(out)).expect("a history is plain data");
        }
        self.setup.strategy.save(out);
    }

    /// Takes the history that stands before the strategy's part, where limits look back; hands the rest back.
    fn load_portfolio<'a>(&mut self, saved: &'a [u8]) -> Result<&'a [u8], CoreError> {
        let Some(portfolio) = self.portfolio.as_mut().filter(|portfolio| portfolio.is_saved()) else {
            return Ok(saved);
        };
        let (history, rest) = postcard::take_from_bytes(saved).map_err(|_| CoreError::ForeignState)?;
        if portfolio.restore(history) { Ok(rest) } else { Err(CoreError::ForeignState) }
    }

    fn rates_of(&self, date: Date) -> Result<Rates, CoreError> {
        self.setup.fees.rates(date).copied().map_err(|error| CoreError::Fees(error.to_string()))
    }

    #[inline(never)]
    fn on_session_opened(&mut self, hours: SessionHours, out: &mut Outbox) -> Result<(), CoreError> {
        if let Some(timeframe) = self.setup.timeframe
            && !can_build(timeframe, self.setup.interval)
        {
            return Err(CoreError::Timeframe { timeframe, interval: self.setup.interval });
        }
        self.rates = Some(self.rates_of(hours.date)?);
        self.state.session = Some(hours);
        self.state.prints = false;
        self.setup.strategy.on_session(&hours);
        self.open_risk(hours.date, out);
        self.open_venue();
        Ok(())
    }

    /// Ends the day's orders, then the bars that were still being built: those decide now, and what they decide works
    /// in the next session.
    #[inline(never)]
    fn on_session_closed(&mut self, out: &mut Outbox) -> Result<(), CoreError> {
        let Some(session) = self.state.session else { return Ok(()) };
        let warming = session.open < self.setup.decide_from;
        self.state.fresh.clear();
        self.work_entries(&session, out)?;
        if !self.state.venue.under_way.is_empty() {
            self.arrive(None, self.state.now, out);
        }
        let builds = self.setup.timeframe.is_some() || self.state.prints;
        let squares_off = self.rules.square_off.is_some();
        for index in 0..self.state.books.len() {
            let id = InstrumentId(index as u32);
            if squares_off {
                self.left_over(id, &session, out);
            }
            // At a broker the day's orders end by its word.
            if !self.state.books[index].working.is_empty() && !self.brokered {
                self.end_with_session(id, &session, out);
            }
            if builds && let Some(bar) = self.state.books[index].building.finish() {
                self.learn(id, &bar, out);
                if !warming {
                    self.state.fresh.push(id);
                }
            }
        }
        if let Some(portfolio) = &mut self.portfolio {
            portfolio.close_session(&self.state.books);
        }
        if self.limited {
            self.watch(&session, out);
        }
        self.decide(session, out)?;
        if self.brokered {
            self.left_at_close(out);
        }
        self.state.session = None;
        if !warming {
            self.account(session.date, out);
        }
        Ok(())
    }

    #[inline(always)]
    fn on_candle(
        &mut self,
        cause: Cause,
        id: InstrumentId,
        candle: &Candle,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        if self.state.session.is_none() {
            return Err(CoreError::NoSession { cause, time: self.state.now });
        }
        if !candle.is_consistent() {
            return Err(CoreError::BadCandle { cause });
        }
        self.state.cause = cause;
        let book = &mut self.state.books[id.index()];
        book.cause = cause;
        if self.acts || !book.working.is_empty() {
            self.trade_on(cause, id, candle, out)?;
        }
        // What warms a strategy up comes before the range: it is learned, not counted and not decided on.
        let warming = candle.open_time() < self.setup.decide_from;
        let whole = self.setup.timeframe.is_none();
        let state = &mut self.state;
        let book = &mut state.books[id.index()];
        book.bars += 1;
        book.learned += u64::from(whole);
        book.last = candle.close();
        state.counts.bars += u64::from(!warming);
        if self.limited {
            state.risk.heard(id, state.now);
        }
        if !book.position.quantity.is_zero() {
            state.counts.bars_in_market += 1;
            self.revalue(id, candle);
        }
        if !whole {
            return self.build(id, candle, warming, out);
        }
        self.setup.strategy.on_bar(id, candle);
        if !warming && !self.is_late(candle) {
            self.state.fresh.push(id);
        }
        Ok(())
    }

    /// What a candle does before it is learned: what happens at exchange and broker by then, and fills.
    fn trade_on(&mut self, cause: Cause, id: InstrumentId, candle: &Candle, out: &mut Outbox) -> Result<(), CoreError> {
        let session = self.state.session.expect("a candle comes in a session");
        if self.acts {
            self.before_candle(cause, id, candle, &session, out);
        }
        if !self.state.books[id.index()].working.is_empty() {
            self.work(cause, id, candle, &session, out)?;
        }
        Ok(())
    }

    /// Moves the mark to the close.
    fn mark(&mut self, id: InstrumentId, candle: &Candle) {
        let state = &mut self.state;
        let book = &mut state.books[id.index()];
        book.last = candle.close();
        if self.limited {
            state.risk.heard(id, state.now);
        }
        if !book.position.quantity.is_zero() {
            self.revalue(id, candle);
        }
    }

    /// Moves what is held to the last price.
    #[inline(always)]
    fn revalue(&mut self, id: InstrumentId, candle: &Candle) {
        let state = &mut self.state;
        let book = &mut state.books[id.index()];
        let value = book.position.value(book.last);
        state.ledger.marked += value - book.marked;
        if self.limited {
            state.risk.revalued(book.marked, value);
        }
        book.marked = value;
        book.follow(candle);
    }

    /// Adds a candle to the bar that it is a part of; the strategy learns what that completes.
    #[inline(never)]
    fn build(&mut self, id: InstrumentId, candle: &Candle, warming: bool, out: &mut Outbox) -> Result<(), CoreError> {
        let session = self.state.session.expect("a candle comes in a session");
        let timeframe = self.setup.timeframe.expect("bars are built");
        let bars = self.state.books[id.index()].building.add(candle, self.state.now, &session, timeframe);
        for bar in bars.iter().flatten() {
            self.learn(id, bar, out);
        }
        if bars.iter().any(Option::is_some) && !warming && !self.is_late(candle) {
            self.state.fresh.push(id);
        }
        Ok(())
    }

    /// True for a candle that had closed by the last slice: it was not there when its time was decided.
    #[inline(always)]
    fn is_late(&self, candle: &Candle) -> bool {
        candle.open_time() < self.state.sliced && self.closed_before(candle)
    }

    #[inline(never)]
    fn closed_before(&self, candle: &Candle) -> bool {
        let open = candle.open_time();
        let end = open + candle.interval().nanos();
        // A daily bar, or one cut short, closes with its session.
        let close = self.state.session.filter(|session| open < session.close).map_or(end, |session| session.close);
        end.min(close) <= self.state.sliced
    }

    /// A bar built here is an output; the strategy learns it as it would a candle.
    fn learn(&mut self, id: InstrumentId, bar: &Candle, out: &mut Outbox) {
        let book = &mut self.state.books[id.index()];
        book.learned += 1;
        if self.keeps {
            self.learn_kept(id, bar);
        }
        let book = &self.state.books[id.index()];
        out.push(id, Conclusion::Bar(Bar::new(book.cause, *bar)));
        self.setup.strategy.on_bar(id, bar);
    }

    #[inline(always)]
    fn on_slice(&mut self, out: &mut Outbox) -> Result<(), CoreError> {
        self.state.sliced = self.state.now;
        match self.state.session {
            Some(session) => {
                if self.state.prints {
                    self.finish_bars(&session, out);
                }
                if self.watches || self.state.risk.flattening.is_some() {
                    self.before_watch(&session, out)?;
                }
                self.decide(session, out)
            }
            None => {
                self.state.fresh.clear();
                Ok(())
            }
        }
    }

    /// Lets the strategy decide about every instrument whose bar has just closed, in symbol order.
    #[inline(always)]
    fn decide(&mut self, session: SessionHours, out: &mut Outbox) -> Result<(), CoreError> {
        // Candles of one time arrive in symbol order, once each; in live trading they may not.
        if self.state.fresh.len() > 1 && !self.state.fresh.is_sorted_by(|before, after| before < after) {
            self.state.fresh.sort_unstable();
            self.state.fresh.dedup();
        }
        let interval = self.setup.timeframe.unwrap_or(self.setup.interval);
        if self.prepares || !self.state.venue.answered.is_empty() {
            self.before_decisions(session, interval, out)?;
        }
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
                record: &self.state.risk.record,
                funds: &self.aside.funds,
            };
            self.setup.strategy.decide(&view, &mut self.requests);
            if !self.requests.list.is_empty() {
                self.deciding = self.numbers[instrument.index()];
                self.act(instrument, &session, out);
                self.deciding = 0;
                if let Some(fault) = self.fault.take() {
                    return Err(fault);
                }
            }
        }
        self.state.fresh.clear();
        if !self.waiting.is_empty() {
            self.state.fresh.append(&mut self.waiting);
        }
        Ok(())
    }

    /// What comes before the decisions of some sessions: instruments whose answers are under way wait, and a strategy
    /// that decides across instruments looks at all of the slice.
    #[inline(never)]
    fn before_decisions(
        &mut self,
        session: SessionHours,
        interval: Interval,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        if let Some(untraded) = self.untraded {
            self.state.fresh.retain(|id| *id != untraded);
        }
        if !self.state.venue.answered.is_empty() {
            self.wait_for_answers();
        }
        if self.sees_slices {
            self.decide_together(session, interval, out)?;
        }
        Ok(())
    }

    /// Lets a strategy that decides across instruments look at all of the slice, and journals what it decided.
    #[inline(never)]
    fn decide_together(
        &mut self,
        session: SessionHours,
        interval: Interval,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let (books, warmup) = (&self.state.books, self.setup.warmup_bars);
        self.state.fresh.retain(|id| books[id.index()].learned > warmup);
        let view = SliceView {
            now: self.state.now,
            session,
            interval,
            fresh: &self.state.fresh,
            instruments: &self.setup.instruments,
            limits: &self.limits,
            hours: self.hours_of(&session, false),
            auction_hours: self.auction_hours(&session),
            auctions: &self.rules.auctions,
            targets: self.rules.targets,
            books,
            ledger: &self.state.ledger,
            untraded: self.untraded,
        };
        let mut decisions = std::mem::take(&mut self.decisions);
        self.numbers.fill(0);
        self.setup.strategy.on_slice(&view, &mut decisions);
        if let Some(fault) = self.setup.strategy.fault() {
            return Err(CoreError::of_strategy(fault, self.state.now));
        }
        for (id, mut decision) in decisions.drain(..) {
            self.state.counts.decisions += 1;
            decision.decision = self.state.counts.decisions;
            self.numbers[id.index()] = decision.decision;
            decision.cause = self.state.books[id.index()].cause;
            out.push(id, Conclusion::Decision(decision));
        }
        self.decisions = decisions;
        Ok(())
    }

    /// Recomputes every total from scratch.
    fn prove(&self) -> Holdings {
        if self.limited {
            self.state.risk.prove(&self.state.books);
        }
        self.aside.funds.prove();
        self.state.ledger.prove(&self.state.books)
    }

    fn account(&mut self, session: Date, out: &mut Outbox) {
        let Holdings { long_value, short_value, positions } = self.prove();
        let ledger = &self.state.ledger;
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

    #[cold]
    fn digest(&mut self, out: &mut Outbox) {
        self.prove();
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        self.write_state(&mut bytes);
        let digest = Hash(*blake3::hash(&bytes).as_bytes());
        self.scratch = bytes;
        self.last_digest = digest;
        let digest = StateDigest { cause: self.state.cause, inputs: self.state.counts.inputs, digest };
        out.push(NO_STREAM, Conclusion::Digest(digest));
    }
}

/// Whole bars: a multiple of the candles, or one bar a session.
const fn can_build(timeframe: Interval, interval: Interval) -> bool {
    let within = interval.0 > 0 && interval.0 < timeframe.0 && timeframe.0 <= Interval::DAY.0;
    within && (timeframe.is_daily() || timeframe.0.is_multiple_of(interval.0))
}
