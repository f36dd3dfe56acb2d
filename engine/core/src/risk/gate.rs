//! The gate: one ordered list of reasons to refuse an order, first hit wins.
//!
//! - Every intent is judged, and the verdict is journaled with it; a refusal with what was allowed and what was met.
//! - An order that only reduces a position is never refused for want of cash, nor by a limit on entries.
//! - It judges each order against the position as it stands, as if nothing else worked in the instrument: a stop and a
//!   target that close the same position both pass. Caps count what works as filled.
//! - A pure function: judging changes nothing, and the same account gives the same verdict.

use super::exposure;
use super::limits::{RiskLimits, TradingHours, above_percent, percent_up};
use super::portfolio::Portfolio;
use super::state::{RiskState, deviation, worst_quantity};
use crate::funds::Kept;
use crate::ledger::{Book, Ledger};
use crate::orders::OrderRequest;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    Instrument, InstrumentId, Measure, Money, Nanos, OrderType, Price, Quantity, TimeInForce, Verdict,
};

/// The largest quantity an order or a position may reach: a quarter of the range, so that sums stay inside it.
const QUANTITY_MAX: i64 = i64::MAX / 4;

/// An order before the gate, and the account it is judged in.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub request: &'a OrderRequest,
    pub meta: &'a Instrument,
    pub book: &'a Book,
    pub ledger: &'a Ledger,
    /// The session has no time left, so that an order for the day could never work.
    pub closed: bool,
    /// Cash that may not buy, where there is any such.
    pub kept: Option<Kept>,
    /// Where limits are set.
    pub risk: Option<Risk<'a>>,
}

/// What the limits look at.
#[derive(Clone, Copy)]
pub(crate) struct Risk<'a> {
    pub limits: &'a RiskLimits,
    pub state: &'a RiskState,
    pub books: &'a [Book],
    pub instrument: InstrumentId,
    pub hours: TradingHours,
    pub now: Nanos,
    /// Where limits on the portfolio as a whole are set.
    pub portfolio: Option<&'a Portfolio>,
}

/// Why an order was refused, with the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub verdict: Verdict,
    pub limit: Measure,
    pub observed: Measure,
}

impl Refusal {
    pub(super) fn new(verdict: Verdict, limit: impl Into<Measure>, observed: impl Into<Measure>) -> Self {
        Self { verdict, limit: limit.into(), observed: observed.into() }
    }
}

impl From<Verdict> for Refusal {
    /// A reason that has no numbers.
    fn from(verdict: Verdict) -> Self {
        Self { verdict, limit: Measure(0), observed: Measure(0) }
    }
}

/// What a check answers.
pub(super) type Answer = Result<(), Refusal>;

/// The checks of the limits, in their order, each with the verdict it gives. All of them concern entries only; before
/// them stand the checks of the order itself, after them what pays for it: cash, or margin.
pub const CHECKS: &[(Verdict, Check)] = &[
    (Verdict::Locked, Check(locked)),
    (Verdict::BeforeSafeStart, Check(before_start)),
    (Verdict::AfterSafeEnd, Check(after_end)),
    (Verdict::StaleData, Check(stale_data)),
    (Verdict::PriceBand, Check(price_band)),
    (Verdict::OrderQuantity, Check(order_quantity)),
    (Verdict::OrderValue, Check(order_value)),
    (Verdict::PositionQuantity, Check(position_quantity)),
    (Verdict::PositionValue, Check(position_value)),
    (Verdict::Concentration, Check(concentration)),
    (Verdict::OpenTrades, Check(open_trades)),
    (Verdict::GrossExposure, Check(gross_exposure)),
    (Verdict::NetExposure, Check(net_exposure)),
    (Verdict::Leverage, Check(leverage)),
    (Verdict::OrderRate, Check(order_rate)),
    (Verdict::NotTraded, Check(exposure::not_traded)),
    (Verdict::NoSector, Check(exposure::no_sector)),
    (Verdict::Sector, Check(exposure::sector)),
    (Verdict::NoLoading, Check(exposure::no_loading)),
    (Verdict::FactorExposure, Check(exposure::factor_exposure)),
    (Verdict::NoHistory, Check(exposure::no_history)),
    (Verdict::NoBenchmark, Check(exposure::no_benchmark)),
    (Verdict::Beta, Check(exposure::beta)),
    (Verdict::ValueAtRisk, Check(exposure::value_at_risk)),
    (Verdict::ExpectedShortfall, Check(exposure::expected_shortfall)),
    (Verdict::Duplicate, Check(duplicate_order)),
];

/// One check of the list.
pub struct Check(fn(&Entry<'_>) -> Answer);

/// The verdict: the cash to hold back, or why not.
#[inline]
pub(crate) fn judge(case: &Case<'_>) -> Result<Money, Refusal> {
    let price = judge_unpaid(case)?;
    paid_for(case, price)
}

/// The verdict but for what pays for the order: the price it is judged at.
#[inline]
pub(crate) fn judge_unpaid(case: &Case<'_>) -> Result<Price, Refusal> {
    well_formed(case)?;
    let price = judged_at(case.request, case.book.last);
    if let Some(risk) = &case.risk
        && case.book.position.closing(case.request.side, case.request.quantity) != case.request.quantity
    {
        let entry = Entry::new(case, risk, case.request.quantity, price);
        for (_, check) in CHECKS {
            check.0(&entry)?;
        }
    }
    Ok(price)
}

/// What a fill would open, judged again at the price it opens at: the caps on exposure, in their order.
pub(crate) fn judge_fill(case: &Case<'_>, risk: &Risk<'_>, quantity: Quantity, price: Price) -> Answer {
    let entry = Entry { filling: true, ..Entry::new(case, risk, quantity, price) };
    for check in [position_quantity, position_value, concentration, open_trades, gross_exposure, net_exposure, leverage]
    {
        check(&entry)?;
    }
    if risk.portfolio.is_some() {
        for check in exposure::AT_FILL {
            check(&entry)?;
        }
    }
    Ok(())
}

/// The order itself, whatever the account.
fn well_formed(case: &Case<'_>) -> Answer {
    let Case { request, meta, book, closed, .. } = *case;
    let quantity = request.quantity;
    let working = book.working.iter().filter(|order| order.is_working());
    let working = working.fold(0i64, |sum, order| sum.saturating_add(order.remaining().0));
    let reached = quantity.0.saturating_add(book.position.quantity.0.abs()).saturating_add(working);
    if quantity.0 <= 0 || reached > QUANTITY_MAX {
        return Err(Refusal::new(Verdict::BadQuantity, Quantity(QUANTITY_MAX), quantity));
    }
    if quantity.round_down_to(meta.lot) != quantity {
        return Err(Refusal::new(Verdict::OffLot, meta.lot, quantity));
    }
    if !prices_fit(request) {
        let price = request.limit.or(request.stop).unwrap_or_default();
        return Err(Refusal::new(Verdict::BadPrice, Measure(0), Measure(price.0.into())));
    }
    // On a live market there is a price before there is a bar.
    if book.bars == 0 && book.last.is_zero() {
        return Err(Refusal::new(Verdict::NoMarket, Measure::count(1), Measure(0)));
    }
    if closed && request.time_in_force == TimeInForce::Day {
        return Err(Refusal::new(Verdict::ClosedSession, Measure(0), Measure(0)));
    }
    Ok(())
}

/// Cash for all of it, or margin for a part of it.
fn paid_for(case: &Case<'_>, price: Price) -> Result<Money, Refusal> {
    let Case { request, book, ledger, .. } = *case;
    let (needed, freed) = Ledger::need(&book.position, request.side, request.quantity, price);
    if needed.0 <= 0 {
        return Ok(needed);
    }
    let (verdict, free) = match case.risk.and_then(|risk| Some((risk, risk.limits.margin_pct?))) {
        None => {
            let free = ledger.free();
            let free = case.kept.map_or(free + freed, |kept| free - kept.all() + kept.freed(request.side, freed));
            (Verdict::InsufficientCash, free)
        }
        Some((risk, percent)) => {
            let closing = book.position.closing(request.side, request.quantity);
            let free = free_margin(ledger, risk.state, percent, book.last.times(closing));
            (Verdict::Margin, free - case.kept.map_or(Money::ZERO, |kept| kept.buffer))
        }
    };
    let wanted =
        case.risk.and_then(|risk| risk.limits.margin_pct).map_or(needed, |percent| percent_up(needed, percent));
    if wanted > free { Err(Refusal::new(verdict, free, wanted)) } else { Ok(needed) }
}

/// Equity that no position and no working order has taken as margin; `leaving` is value that will be gone.
pub(crate) fn free_margin(
    ledger: &Ledger,
    state: &RiskState,
    percent: daybook_vocabulary::Ratio,
    leaving: Money,
) -> Money {
    ledger.equity() - percent_up(state.gross + ledger.reserved - leaving, percent)
}

/// Equity above what longs and shorts must keep, each by its own percentage.
pub(crate) fn kept_margin(
    ledger: &Ledger,
    state: &RiskState,
    longs: daybook_vocabulary::Ratio,
    shorts: daybook_vocabulary::Ratio,
) -> Money {
    // The sum of both sides and their difference.
    let (long, short) = (Money((state.gross + ledger.marked).0 / 2), Money((state.gross - ledger.marked).0 / 2));
    ledger.equity() - percent_up(long, longs) - percent_up(short, shorts)
}

/// An order that opens something, and what the checks have in common.
pub(super) struct Entry<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) risk: &'a Risk<'a>,
    quantity: Quantity,
    /// The price it is judged at.
    price: Price,
    /// What it would open at that price, positive.
    pub(super) opened: Money,
    /// What it closes on the way there, at the last price, positive.
    pub(super) closed: Money,
    /// It is filling now: what else works is judged when it fills.
    pub(super) filling: bool,
}

impl<'a> Entry<'a> {
    fn new(case: &'a Case<'a>, risk: &'a Risk<'a>, quantity: Quantity, price: Price) -> Self {
        let closing = case.book.position.closing(case.request.side, quantity);
        let (opened, closed) = (price.times(quantity - closing), case.book.last.times(closing));
        Self { case, risk, quantity, price, opened, closed, filling: false }
    }

    /// Refuses when what is met is above the limit; no limit, no refusal.
    fn at_most<T: Into<Measure>>(verdict: Verdict, limit: Option<T>, observed: impl Into<Measure>) -> Answer {
        let Some(limit) = limit else { return Ok(()) };
        let (limit, observed) = (limit.into(), observed.into());
        if observed > limit { Err(Refusal { verdict, limit, observed }) } else { Ok(()) }
    }

    /// The largest position in the name that could come of it.
    fn position(&self) -> Quantity {
        let signed = self.case.request.side.signed(self.quantity);
        if self.filling {
            return Quantity(self.case.book.position.quantity.0.saturating_add(signed.0).saturating_abs());
        }
        Quantity(worst_quantity(self.case.book, signed).saturating_abs())
    }

    /// Value of working entries, as far as they are not judged later.
    fn working(&self) -> Money {
        if self.filling { Money::ZERO } else { self.case.ledger.reserved }
    }

    fn gross(&self) -> Money {
        self.risk.state.gross - self.closed + self.opened + self.working()
    }
}

fn locked(entry: &Entry<'_>) -> Answer {
    let lock = entry.risk.state.lock();
    lock.map_or(Ok(()), |lock| Err(Refusal::new(Verdict::Locked, lock.allowed, lock.observed)))
}

/// Times are compared in seconds after midnight of the exchange.
fn before_start(entry: &Entry<'_>) -> Answer {
    let (now, start) = (entry.risk.now, entry.risk.hours.start);
    if now >= start { Ok(()) } else { Err(late(Verdict::BeforeSafeStart, entry, start)) }
}

fn after_end(entry: &Entry<'_>) -> Answer {
    let end = entry.risk.hours.end.min(entry.risk.hours.hard_end);
    if entry.risk.now < end { Ok(()) } else { Err(late(Verdict::AfterSafeEnd, entry, end)) }
}

fn late(verdict: Verdict, entry: &Entry<'_>, bound: Nanos) -> Refusal {
    let day = 86_400 * SECOND;
    let of_day = |time: Nanos| {
        Measure(i128::from((time + entry.risk.limits.zone).0.rem_euclid(day)) * i128::from(SCALE) / i128::from(SECOND))
    };
    Refusal::new(verdict, of_day(bound), of_day(entry.risk.now))
}

fn stale_data(entry: &Entry<'_>) -> Answer {
    let limit = entry.risk.limits.max_age_seconds.map(|seconds| Measure::count(seconds.into()));
    let age = entry.risk.now - entry.risk.state.seen[entry.risk.instrument.index()];
    Entry::at_most(Verdict::StaleData, limit, Measure(i128::from(age) * i128::from(SCALE) / i128::from(SECOND)))
}

fn price_band(entry: &Entry<'_>) -> Answer {
    let limit = entry.risk.limits.max_deviation_bps.map(|bps| Measure(bps.0.into()));
    let request = entry.case.request;
    for price in [request.limit, request.stop].into_iter().flatten() {
        Entry::at_most(Verdict::PriceBand, limit, Measure(deviation(price, entry.case.book.last)))?;
    }
    Ok(())
}

fn order_quantity(entry: &Entry<'_>) -> Answer {
    Entry::at_most(Verdict::OrderQuantity, entry.risk.limits.max_order_quantity, entry.quantity)
}

fn order_value(entry: &Entry<'_>) -> Answer {
    Entry::at_most(Verdict::OrderValue, entry.risk.limits.max_order_value, entry.price.times(entry.quantity))
}

fn position_quantity(entry: &Entry<'_>) -> Answer {
    Entry::at_most(Verdict::PositionQuantity, entry.risk.limits.max_position_quantity, entry.position())
}

fn position_value(entry: &Entry<'_>) -> Answer {
    let value = entry.price.times(entry.position());
    Entry::at_most(Verdict::PositionValue, entry.risk.limits.max_position_value, value)
}

fn concentration(entry: &Entry<'_>) -> Answer {
    let Some(percent) = entry.risk.limits.max_concentration_pct else { return Ok(()) };
    let (value, equity) = (entry.price.times(entry.position()), entry.case.ledger.equity());
    if !above_percent(value.0, equity, percent) {
        return Ok(());
    }
    let allowed = equity.0.max(0).saturating_mul(percent.0.into()) / (100 * i128::from(SCALE));
    Err(Refusal::new(Verdict::Concentration, Money(allowed), value))
}

fn open_trades(entry: &Entry<'_>) -> Answer {
    let Some(most) = entry.risk.limits.max_concurrent_trades else { return Ok(()) };
    // A name that is held, or being entered, is a trade already.
    let is_open = |book: &Book| {
        !book.position.quantity.is_zero()
            || !entry.filling && book.working.iter().any(|order| order.is_working() && !order.reserved.is_zero())
    };
    if is_open(entry.case.book) {
        return Ok(());
    }
    let open = entry.risk.books.iter().filter(|book| is_open(book)).count() as u64;
    Entry::at_most(Verdict::OpenTrades, Some(Measure::count(most.into())), Measure::count(open + 1))
}

fn gross_exposure(entry: &Entry<'_>) -> Answer {
    Entry::at_most(Verdict::GrossExposure, entry.risk.limits.max_gross, entry.gross())
}

fn net_exposure(entry: &Entry<'_>) -> Answer {
    let buys = entry.case.request.side.signed(Quantity(1)).0 > 0;
    let change = if buys { entry.closed + entry.opened } else { -(entry.closed + entry.opened) };
    let net = Money((entry.case.ledger.marked + change).0.abs()) + entry.working();
    // What brings the account nearer to balance is no entry of this limit.
    if net.0 <= entry.case.ledger.marked.0.abs() {
        return Ok(());
    }
    Entry::at_most(Verdict::NetExposure, entry.risk.limits.max_net, net)
}

fn leverage(entry: &Entry<'_>) -> Answer {
    let Some(times) = entry.risk.limits.max_leverage else { return Ok(()) };
    let equity = entry.case.ledger.equity();
    let allowed = Money(equity.0.max(0).saturating_mul(times.0.into()) / i128::from(SCALE));
    Entry::at_most(Verdict::Leverage, Some(allowed), entry.gross())
}

/// The account's one bucket, and the least time between entries. The numbers are tokens short, or milliseconds.
fn order_rate(entry: &Entry<'_>) -> Answer {
    let Risk { limits, state, now, .. } = *entry.risk;
    if let Some(left) = state.tokens_for_entry(limits, now)
        && left < 0
    {
        let most = limits.max_orders_per_minute.unwrap_or_default();
        let met = u64::from(most) + ((-left - 1) / (60 * i128::from(SECOND)) + 1) as u64;
        return Err(Refusal::new(Verdict::OrderRate, Measure::count(most.into()), Measure::count(met)));
    }
    match (limits.order_min_interval_ms, state.since_entry(now)) {
        (Some(least), Some(since)) if since < i64::from(least) => {
            Err(Refusal::new(Verdict::OrderRate, Measure::count(least.into()), Measure::count(since.max(0) as u64)))
        }
        _ => Ok(()),
    }
}

/// BT-33: an entry like one that was let in a moment ago and still works is more likely a slip than a wish. The numbers
/// are milliseconds.
fn duplicate_order(entry: &Entry<'_>) -> Answer {
    let Some(least) = entry.risk.limits.duplicate_ms else { return Ok(()) };
    let Case { request, book, .. } = *entry.case;
    let terms = (request.side, request.order_type, request.quantity, request.limit, request.stop);
    let same = |order: &&crate::orders::Order| {
        order.is_working() && (order.side, order.order_type, order.quantity, order.limit, order.stop) == terms
    };
    // An order on its way was decided no later than now.
    let since = |order: &crate::orders::Order| ((entry.risk.now - order.decided) / (SECOND / 1_000)).max(0);
    match book.working.iter().filter(same).map(since).min() {
        Some(since) if since < i64::from(least) => {
            let (least, since) = (Measure::count(least.into()), Measure::count(since as u64));
            Err(Refusal::new(Verdict::Duplicate, least, since))
        }
        _ => Ok(()),
    }
}

/// Each order type wants its own prices, positive, and no others.
fn prices_fit(request: &OrderRequest) -> bool {
    let positive = |price: Option<Price>| price.is_some_and(|price| price.0 > 0);
    match request.order_type {
        OrderType::Market | OrderType::MarketOnOpen | OrderType::MarketOnClose => {
            request.limit.is_none() && request.stop.is_none()
        }
        OrderType::Limit => positive(request.limit) && request.stop.is_none(),
        OrderType::Stop | OrderType::TrailingStop => request.limit.is_none() && positive(request.stop),
        OrderType::StopLimit => positive(request.limit) && positive(request.stop),
    }
}

/// The price an order is judged by: its limit, else its stop, else the last price.
pub(crate) fn judged_at(request: &OrderRequest, last: Price) -> Price {
    request.limit.or(request.stop).unwrap_or(last)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
