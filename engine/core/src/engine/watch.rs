//! The watch: losses, margin and hours looked at once a slice; the operator's commands; leaving every position.
//!
//! - It looks at slices, when all candles of a moment are in: between two of them an account would be valued at a
//!   mixture of old and new prices.
//! - A limit trips once per session. What it locks is entries; where it is configured, every position is left too, and
//!   entries that still work are cancelled in any case.
//! - Leaving goes on slice by slice until everything is flat, whatever fills, expires or is cancelled on the way.
//! - It must never refuse an exit.

use super::Core;
use super::desk::Trade;
use crate::input::SessionHours;
use crate::ledger::Ledger;
use crate::orders::{Order, OrderRequest};
use crate::outbox::{Conclusion, NO_STREAM, Outbox};
use crate::risk::gate::{self, Case, Refusal, Risk, free_margin, kept_margin};
use crate::risk::{Lock, Portfolio, PortfolioLimits, RiskLimits, Standing, TradingHours, guard_price, standings};
use crate::rules::AuctionHours;
use daybook_config::BuyingPower;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::time::{DAY, MINUTE, SECOND};
use daybook_vocabulary::{
    Cause, Command, Date, InstrumentId, Label, LimitChange, LimitKind, LimitMoved, Measure, Money, Nanos, OrderEvent,
    OrderType, Side, Verdict,
};

/// Why a fill may not open what it would open.
#[derive(Clone, Copy)]
pub(super) struct Denied {
    pub(super) reason: Label,
    /// The numbers, where it was a limit.
    pub(super) refusal: Option<Refusal>,
}

impl Denied {
    pub(super) fn for_want_of(reason: &str) -> Self {
        Self { reason: Label::new(reason), refusal: None }
    }

    /// What was wanted is more than was there.
    fn short_of(verdict: Verdict, wanted: Money, there: Money) -> Self {
        let refusal = Refusal { verdict, limit: there.into(), observed: wanted.into() };
        Self { reason: Label::new(verdict.word()), refusal: Some(refusal) }
    }
}

impl Core {
    /// The same core under limits. Like the setup they are not state: a restored core is told again.
    pub fn with_risk(mut self, limits: RiskLimits) -> Self {
        if let Some(peak) = limits.equity_peak {
            self.state.risk.peak = self.state.risk.peak.max(peak);
        }
        self.limits = limits;
        self.begin_limits();
        self
    }

    /// The same core under limits on the portfolio as a whole, which may be none; they are no state either. What past
    /// sessions were like stays known.
    pub fn with_portfolio(mut self, limits: Option<PortfolioLimits>) -> Self {
        match (limits, &mut self.portfolio) {
            (Some(limits), known) => {
                known.get_or_insert_with(|| Box::new(Portfolio::new(self.setup.instruments.len()))).limit(limits);
            }
            (None, Some(known)) => known.limits = None,
            (None, None) => {}
        }
        self.begin_limits();
        self
    }

    /// The same core, which keeps so many past sessions for limits that a later setup may have. They are no part of its
    /// state before that.
    pub fn that_remembers(mut self, sessions: usize) -> Self {
        if sessions > 0 {
            let count = self.setup.instruments.len();
            self.portfolio.get_or_insert_with(|| Box::new(Portfolio::new(count))).keep(sessions);
        }
        self
    }

    /// Where the positions stand beside every limit on the portfolio as a whole.
    pub fn standings(&self) -> Vec<Standing> {
        let equity = self.state.ledger.equity();
        self.portfolio.as_ref().map_or_else(Vec::new, |known| standings(known, &self.state.books, equity))
    }

    fn begin_limits(&mut self) {
        let of_portfolio = self.portfolio.as_ref().and_then(|portfolio| portfolio.limits.as_ref());
        self.untraded = of_portfolio.and_then(|limits| limits.benchmark);
        self.limited = self.limits.is_any() || of_portfolio.is_some();
        self.prepares = self.sees_slices || self.untraded.is_some();
        self.heed();
        if self.limited {
            self.state.risk.begin(&self.state.books);
        }
    }

    /// What the limits remember.
    pub const fn risk(&self) -> &crate::risk::RiskState {
        &self.state.risk
    }

    /// An order as the gate sees it.
    #[inline]
    pub(super) fn case<'a>(&'a self, id: InstrumentId, request: &'a OrderRequest, closed: bool) -> Case<'a> {
        // A lock of the operator holds without any limit.
        let judged = self.limited || !self.state.risk.locks.is_empty();
        Case {
            request,
            meta: &self.setup.instruments[id.index()],
            book: &self.state.books[id.index()],
            ledger: &self.state.ledger,
            closed,
            kept: self.kept(),
            risk: if judged { Some(self.risk_of(id)) } else { None },
        }
    }

    fn risk_of(&self, instrument: InstrumentId) -> Risk<'_> {
        Risk {
            limits: &self.limits,
            state: &self.state.risk,
            books: &self.state.books,
            instrument,
            hours: self.hours(instrument),
            now: self.state.now,
            portfolio: self.portfolio.as_deref(),
        }
    }

    /// The hours of an instrument in the session that is open.
    fn hours(&self, id: InstrumentId) -> TradingHours {
        let anytime = TradingHours { start: Nanos::MIN, end: Nanos::MAX, hard_end: Nanos::MAX };
        self.state
            .session
            .map_or(anytime, |session| self.hours_of(&session, self.rules.auction(id, &session).is_some()))
    }

    /// The hours of instruments that close in an auction that day, or of the others: what the limits say, at the latest
    /// two minutes before the broker leaves intraday positions by itself, and the end of continuous trading, where stops
    /// die. Each instrument keeps its own: one that goes into an auction ends nothing for the others.
    pub(super) fn hours_of(&self, session: &SessionHours, in_auction: bool) -> TradingHours {
        let interval = self.setup.timeframe.unwrap_or(self.setup.interval);
        let leaves = self.rules.leaves_at(session, in_auction).map_or(Nanos::MAX, |leaves| leaves + -2 * MINUTE);
        let auction = AuctionHours::of(session).filter(|_| in_auction);
        let latest = auction.map_or(leaves, |hours| leaves.min(hours.begins));
        self.limits.hours(session, interval, latest)
    }

    /// The hours of instruments that close in an auction, in a session in which some do.
    pub(super) fn auction_hours(&self, session: &SessionHours) -> Option<TradingHours> {
        let some = self.rules.auctions.contains(&true) && AuctionHours::of(session).is_some();
        some.then(|| self.hours_of(session, true))
    }

    /// The account's hours end with those of its last instrument.
    fn last_hours(&self, session: &SessionHours) -> TradingHours {
        let all_in_auction = !self.rules.auctions.is_empty() && !self.rules.auctions.contains(&false);
        self.hours_of(session, all_in_auction && AuctionHours::of(session).is_some())
    }

    /// A market order that enters, as a limit at the guard price where slippage is limited; every other order as it is.
    /// Where there is no such price, the order stays and the gate says what is wrong with it.
    #[inline]
    pub(super) fn guard(&self, id: InstrumentId, request: &mut OrderRequest) {
        let Some(bps) = self.limits.max_slippage_bps else { return };
        let book = &self.state.books[id.index()];
        let enters = book.position.closing(request.side, request.quantity) != request.quantity;
        if request.order_type != OrderType::Market || !enters || book.bars == 0 {
            return;
        }
        if let Some(limit) = guard_price(request.side, book.last, bps, self.setup.instruments[id.index()].tick) {
            (request.order_type, request.limit) = (OrderType::Limit, Some(limit));
        }
    }

    /// Why the limits do not let a fill open what it would open; what it closes always may.
    pub(super) fn limits_refuse(&self, trade: &Trade, order: &Order, fees: Money) -> Option<Denied> {
        let book = &self.state.books[trade.id.index()];
        let closing = book.position.closing(order.side, trade.quantity);
        if self.rules.buying_power != BuyingPower::Held {
            if let Some((wanted, there)) = self.uncovered(trade, order.side, closing, fees) {
                return Some(Denied::short_of(Verdict::InsufficientCash, wanted, there));
            }
            if !self.limited && self.state.risk.locks.is_empty() {
                return None;
            }
        }
        if closing == trade.quantity {
            return None;
        }
        if order.reduces {
            return Some(Denied::for_want_of("reduce-only"));
        }
        let (needed, freed) = Ledger::need(&book.position, order.side, trade.quantity, trade.price);
        let ledger = &self.state.ledger;
        let kept = self.kept().unwrap_or_default();
        let (verdict, wanted, there) = match self.limits.margin_pct {
            _ if self.rules.buying_power != BuyingPower::Held => (Verdict::Approved, Money::ZERO, Money::ZERO),
            None => {
                let there = ledger.free() - kept.all() + order.reserved + kept.freed(order.side, freed);
                (Verdict::InsufficientCash, needed + fees, there)
            }
            Some(percent) => {
                // What the order held back becomes the position's.
                let gone = book.last.times(closing) + order.reserved;
                let there = free_margin(ledger, &self.state.risk, percent, gone) - kept.buffer;
                (Verdict::Margin, crate::risk::percent_up(needed, percent) + fees, there)
            }
        };
        if wanted > there {
            return Some(Denied::short_of(verdict, wanted, there));
        }
        let request = OrderRequest::market(order.side, trade.quantity, "");
        let case = self.case(trade.id, &request, false);
        let refusal = gate::judge_fill(&case, &self.risk_of(trade.id), trade.quantity, trade.price).err()?;
        Some(Denied { reason: Label::new(refusal.verdict.word()), refusal: Some(refusal) })
    }

    /// A session begins: its losses count from here, and the locks of the last one are released.
    pub(super) fn open_risk(&mut self, session: Date, out: &mut Outbox) {
        let equity = self.state.ledger.equity();
        let released = self.state.risk.open_session(session, equity);
        for lock in released {
            self.say_moved(session, &lock, LimitChange::Released, false, out);
        }
        if self.limited {
            self.open_r();
        }
    }

    /// Looks at the account, once a slice.
    pub(super) fn watch(&mut self, session: &SessionHours, out: &mut Outbox) {
        // What warms a strategy up trades nothing, so there is nothing to watch.
        if session.open < self.setup.decide_from {
            return;
        }
        let equity = self.state.ledger.equity();
        self.state.risk.peak = self.state.risk.peak.max(equity);
        for limit in [
            LimitKind::DailyLoss,
            LimitKind::DailyLossPercent,
            LimitKind::DailyLossR,
            LimitKind::Drawdown,
            LimitKind::Margin,
            LimitKind::HardTradingEnd,
        ] {
            if let Some((allowed, observed)) = self.breach(limit, equity)
                && !self.state.risk.is_locked_by(limit)
            {
                let lasts = (limit != LimitKind::Drawdown).then_some(session.date);
                let flatten = self.limits.flatten_on_trip || limit == LimitKind::HardTradingEnd;
                self.trip(Lock { limit, session: lasts, allowed, observed }, flatten, out);
            }
        }
        match self.state.risk.flattening {
            Some(limit) => self.leave_everything(limit, out),
            None => self.leave_ended(session, out),
        }
    }

    /// What a limit allows and what was met, when it was reached.
    fn breach(&self, limit: LimitKind, equity: Money) -> Option<(Measure, Measure)> {
        let (limits, risk) = (&self.limits, &self.state.risk);
        let day = risk.day?;
        let lost = day.equity - equity;
        let hundred = 100 * i128::from(SCALE);
        let percent_of = |part: Money, whole: Money| Measure(part.0.saturating_mul(hundred) / whole.0.max(1));
        match limit {
            LimitKind::DailyLoss => {
                let most = limits.daily_max_loss?;
                (lost >= most).then(|| (most.into(), lost.into()))
            }
            LimitKind::DailyLossPercent => {
                let most = limits.daily_max_loss_pct?;
                let reached =
                    lost.0 > 0 && lost.0.saturating_mul(hundred) >= day.equity.0.saturating_mul(most.0.into());
                reached.then(|| (most.into(), percent_of(lost, day.equity)))
            }
            LimitKind::DailyLossR => {
                let most = limits.daily_max_loss_r?;
                let lost = -self.session_r();
                (lost >= most).then(|| (most.into(), lost.into()))
            }
            LimitKind::Drawdown => {
                let most = limits.max_drawdown_pct?;
                let fall = risk.peak - equity;
                let reached = fall.0 > 0 && fall.0.saturating_mul(hundred) >= risk.peak.0.saturating_mul(most.0.into());
                reached.then(|| (most.into(), percent_of(fall, risk.peak)))
            }
            LimitKind::Margin => {
                let free = match (limits.maintenance_pct, limits.short_maintenance_pct) {
                    (None, None) => {
                        free_margin(&self.state.ledger, risk, limits.margin_pct?, self.state.ledger.reserved)
                    }
                    (longs, shorts) => {
                        let longs = longs.or(limits.margin_pct)?;
                        kept_margin(&self.state.ledger, risk, longs, shorts.unwrap_or(longs))
                    }
                };
                (free < Money::ZERO).then(|| (Measure(0), free.into()))
            }
            LimitKind::HardTradingEnd => {
                // A market order fills one bar later, so it is sent when the next slice would be too late.
                let end = self.last_hours(&self.state.session?).hard_end;
                self.is_last_chance(end).then(|| (self.time_of_day(end), self.time_of_day(self.state.now)))
            }
            // Tripped where they are met, not looked for here.
            LimitKind::KillSwitch | LimitKind::Reconciliation | LimitKind::Suspended => None,
        }
    }

    /// A market order fills one bar later, so it is sent when the next slice would be too late.
    fn is_last_chance(&self, hard_end: Nanos) -> bool {
        let interval = self.setup.timeframe.unwrap_or(self.setup.interval);
        self.limits.hard_trading_end.is_some() && self.state.now + interval.nanos() > hard_end
    }

    /// Leaves instruments that go into their auction while others trade on. Said once a session and instrument.
    fn leave_ended(&mut self, session: &SessionHours, out: &mut Outbox) {
        let Some(hours) = self.auction_hours(session).filter(|hours| self.is_last_chance(hours.hard_end)) else {
            return;
        };
        let (limit, session) = (LimitKind::HardTradingEnd, session.date);
        for index in 0..self.rules.auctions.len() {
            if !self.rules.auctions[index] {
                continue;
            }
            let id = InstrumentId(index as u32);
            if !std::mem::replace(&mut self.state.venue.auctions[index].left, true) {
                let (allowed, observed) = (self.time_of_day(hours.hard_end), self.time_of_day(self.state.now));
                let (cause, change) = (self.state.cause, LimitChange::Tripped);
                let moved = LimitMoved { cause, session, limit, change, flatten: true, allowed, observed };
                out.push(id, Conclusion::Limit(moved));
                self.cancel_some(id, Label::new(limit.word()), |order| !order.reduces, out);
            }
            self.leave_position(id, limit, out);
        }
    }

    /// Seconds after midnight of the exchange.
    fn time_of_day(&self, time: Nanos) -> Measure {
        Measure(i128::from((time + self.limits.zone).0.rem_euclid(DAY)) * i128::from(SCALE) / i128::from(SECOND))
    }

    /// Obeys the operator.
    pub(super) fn on_command(&mut self, cause: Cause, command: Command, out: &mut Outbox) {
        self.state.cause = cause;
        let session = self.state.session.map_or(Date(0), |session| session.date);
        match command {
            Command::Kill | Command::Halt => {
                let (allowed, observed) = (Measure(0), Measure::count(1));
                let lock = Lock { limit: LimitKind::KillSwitch, session: None, allowed, observed };
                let kill = command == Command::Kill;
                // A kill after a halt still leaves everything; the lock is there already.
                if !self.state.risk.is_locked_by(LimitKind::KillSwitch) || kill {
                    self.state.risk.locks.retain(|lock| lock.limit != LimitKind::KillSwitch);
                    self.trip(lock, kill, out);
                }
                if kill {
                    self.leave_everything(LimitKind::KillSwitch, out);
                }
            }
            Command::Arm => {
                if let Some(broker) = &mut self.state.broker {
                    broker.armed = true;
                }
            }
            Command::Suspend => {
                let (allowed, observed) = (Measure(0), Measure::count(1));
                if !self.state.risk.is_locked_by(LimitKind::Suspended) {
                    self.trip(Lock { limit: LimitKind::Suspended, session: None, allowed, observed }, false, out);
                }
            }
            Command::Restore => self.release(session, out, |lock| lock.limit == LimitKind::Suspended),
            Command::Resume => {
                if let Some(broker) = &mut self.state.broker {
                    broker.purse.forgives = true;
                    broker.refusals.clear();
                }
                // A fall that was met and is forgiven: the next one is counted from here.
                if self.state.risk.is_locked_by(LimitKind::Drawdown) {
                    self.state.risk.peak = self.state.ledger.equity();
                }
                self.release(session, out, |lock| lock.session.is_none() && lock.limit != LimitKind::Suspended);
            }
        }
    }

    fn release(&mut self, session: Date, out: &mut Outbox, is_released: impl Fn(&Lock) -> bool) {
        let (released, kept): (Vec<Lock>, _) = self.state.risk.locks.iter().partition(|lock| is_released(lock));
        self.state.risk.locks = kept;
        if self.state.risk.locks.is_empty() {
            self.state.risk.flattening = None;
        }
        for lock in released {
            self.say_moved(session, &lock, LimitChange::Released, false, out);
        }
    }

    pub(super) fn trip(&mut self, lock: Lock, flatten: bool, out: &mut Outbox) {
        let session = self.state.session.map_or(Date(0), |session| session.date);
        self.state.risk.locks.push(lock);
        if flatten {
            self.state.risk.flattening.get_or_insert(lock.limit);
        }
        self.say_moved(session, &lock, LimitChange::Tripped, flatten, out);
        let reason = Label::new(lock.limit.word());
        for index in 0..self.state.books.len() {
            if !self.state.books[index].working.is_empty() {
                self.cancel_some(InstrumentId(index as u32), reason, |order| !order.reduces, out);
            }
        }
    }

    fn say_moved(&self, session: Date, lock: &Lock, change: LimitChange, flatten: bool, out: &mut Outbox) {
        let Lock { limit, allowed, observed, .. } = *lock;
        let moved = LimitMoved { cause: self.state.cause, session, limit, change, flatten, allowed, observed };
        out.push(NO_STREAM, Conclusion::Limit(moved));
    }

    /// Leaves every position.
    fn leave_everything(&mut self, limit: LimitKind, out: &mut Outbox) {
        let mut flat = true;
        for index in 0..self.state.books.len() {
            flat &= self.leave_position(InstrumentId(index as u32), limit, out);
        }
        if flat {
            self.state.risk.flattening = None;
        }
    }

    /// Sends a market order for what is held and is not yet being left; the position's other orders go first. True where
    /// there was nothing to leave.
    fn leave_position(&mut self, id: InstrumentId, limit: LimitKind, out: &mut Outbox) -> bool {
        let (index, reason) = (id.index(), Label::new(limit.word()));
        let held = self.state.books[index].position.quantity;
        if self.keeps {
            let flat = held.is_zero() && self.state.books[index].working.is_empty();
            self.leave_kept(id, limit, out);
            return flat;
        }
        if held.is_zero() {
            return true;
        }
        let side = if held.0 > 0 { Side::Sell } else { Side::Buy };
        let leaves = |order: &Order| {
            order.side == side && order.order_type == OrderType::Market && order.remaining() >= held.abs()
        };
        if self.state.books[index].working.iter().any(leaves) {
            return false;
        }
        self.end_orders(id, out, |_| Some((OrderEvent::Cancelled, reason)));
        if limit == LimitKind::KillSwitch
            && let Some(trade) = &mut self.state.books[index].trade
        {
            trade.overridden = true;
        }
        let exit = OrderRequest::market(side, held.abs(), reason.as_str());
        if let Some(order) = self.admit(id, exit, (false, self.state.now + self.rules.latency), None, out) {
            self.state.books[index].working.push(order);
        }
        false
    }
}
