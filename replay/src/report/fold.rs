//! The one pass: events in, tables and accumulators out.
//!
//! - Memory depends on the number of instruments, of orders still working and of sessions (24 bytes each), never on
//!   the number of fills or trades.
//! - Sums of money are exact and checked; one that does not fit names the frame.
//! - Does not judge the session: an event about an order that is unknown or over changes nothing and is counted.

use super::contract::ContractNotes;
use super::measures::{Measured, broken, measures};
use super::series::Histogram;
use super::statistics::{self, CurveAccumulator, TradeAccumulator};
use super::summary::Summary;
use super::tables::Tables;
use super::warnings::warnings;
use super::{EventAt, ReportError, ReportOptions, RunFacts};
use daybook_features::columns::{Cell, Written};
use daybook_vocabulary::{
    Account, Alarm, Charges, Date, Event, Fill, Kind, LimitChange, Money, Nanos, OrderIntent, OrderState, OrderUpdate,
    Price, Quantity, SessionHeader, Side, TradeClosed, Verdict, decimal,
};
use std::collections::{BTreeMap, VecDeque};

/// Best and worst trades kept for the page.
const NOTABLE_TRADES: usize = 5;
/// Alarms shown in full.
const ALARMS: usize = 5;

/// What the pass found.
pub(super) struct Findings {
    pub(super) orders: u64,
    pub(super) fills: u64,
    pub(super) charges: Charges,
    pub(super) fees_total: Money,
    pub(super) traded: Money,
    pub(super) curve: CurveAccumulator,
    pub(super) trades: TradeAccumulator,
    pub(super) trade_bars: u64,
    /// Results of trades before charges.
    pub(super) gross: Money,
    /// What trades are measured by.
    pub(super) measured: Measured,
    /// Limits that tripped.
    pub(super) tripped: u64,
    /// Trades that were left in a later session than they were entered in, and those of them that were short on the NSE.
    pub(super) over_night: u64,
    pub(super) shorts_over_night: u64,
    /// Net returns of trades.
    pub(super) trade_returns: Histogram,
    /// Returns of sessions.
    pub(super) session_returns: Histogram,
    /// Equity at session closes.
    pub(super) sessions: Vec<SessionPoint>,
    pub(super) instruments: BTreeMap<u32, InstrumentFindings>,
    /// What legs cost, by side and by the model that made their price.
    pub(super) legs: BTreeMap<(&'static str, String), LegFindings>,
    pub(super) best: Vec<NotableTrade>,
    pub(super) worst: Vec<NotableTrade>,
    pub(super) refused: BTreeMap<Verdict, u64>,
    pub(super) still_working: u64,
    pub(super) after_the_end: u64,
    pub(super) alarms: u64,
    pub(super) first_alarms: Vec<String>,
    pub(super) open_positions: u32,
    equity_sum: f64,
}

/// A session's close.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionPoint {
    pub(super) date: Date,
    pub(super) equity: f64,
    /// Zero where it is not defined.
    pub(super) drawdown: f64,
}

/// What the legs of one side and model cost.
#[derive(Debug, Clone, Default)]
pub(super) struct LegFindings {
    pub(super) fills: u64,
    pub(super) traded: Money,
    pub(super) slippage: Money,
    pub(super) charges: Charges,
}

/// What happened in one instrument.
#[derive(Debug, Clone, Default)]
pub(super) struct InstrumentFindings {
    pub(super) market: String,
    pub(super) symbol: String,
    pub(super) fills: u64,
    pub(super) traded: Money,
    pub(super) fees: Money,
    pub(super) gross: Money,
    pub(super) net: Money,
    pub(super) trades: u64,
    pub(super) wins: u64,
    pub(super) position: Quantity,
    pub(super) last_trades: VecDeque<ChartTrade>,
}

/// A trade as the candle chart shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChartTrade {
    pub(super) number: u64,
    pub(super) side: Side,
    pub(super) quantity: Quantity,
    pub(super) entry_time: Nanos,
    pub(super) exit_time: Nanos,
    pub(super) entry_price: Price,
    pub(super) exit_price: Price,
    pub(super) net: Money,
}

/// A trade among the best or the worst.
#[derive(Debug, Clone)]
pub(super) struct NotableTrade {
    pub(super) symbol: String,
    pub(super) trade: ChartTrade,
    pub(super) exit_reason: String,
}

/// An order that has not ended.
struct WorkingOrder {
    seq: u64,
    time: Nanos,
    stream: u32,
    intent: OrderIntent,
    state: OrderState,
    filled: Quantity,
    value: Money,
    fees: Money,
    last_seq: u64,
    last_time: Nanos,
    last_reason: String,
}

/// The pass in progress.
pub(super) struct Fold {
    tables: Tables,
    findings: Findings,
    working: BTreeMap<u64, WorkingOrder>,
    chart_trades: usize,
    zone_offset_ns: i64,
    notes: Option<ContractNotes>,
}

impl Fold {
    pub(super) fn new(tables: Tables, facts: &RunFacts, options: ReportOptions) -> Self {
        let findings = Findings {
            orders: 0,
            fills: 0,
            charges: Charges::default(),
            fees_total: Money::ZERO,
            traded: Money::ZERO,
            curve: CurveAccumulator::new(facts.initial_cash, facts.sessions_per_year),
            trades: TradeAccumulator::default(),
            trade_bars: 0,
            gross: Money::ZERO,
            measured: Measured::default(),
            tripped: 0,
            over_night: 0,
            shorts_over_night: 0,
            trade_returns: Histogram::new(),
            session_returns: Histogram::new(),
            sessions: Vec::new(),
            instruments: BTreeMap::new(),
            legs: BTreeMap::new(),
            best: Vec::new(),
            worst: Vec::new(),
            refused: BTreeMap::new(),
            still_working: 0,
            after_the_end: 0,
            alarms: 0,
            first_alarms: Vec::new(),
            open_positions: 0,
            equity_sum: 0.0,
        };
        let (chart_trades, zone_offset_ns) = (options.chart_trades, facts.zone_offset_ns);
        Self { tables, findings, working: BTreeMap::new(), chart_trades, zone_offset_ns, notes: None }
    }

    /// Writes contract notes as well.
    pub(super) fn with_notes(&mut self, notes: ContractNotes) {
        self.notes = Some(notes);
    }

    pub(super) fn take(&mut self, at: EventAt<'_>) -> Result<(), ReportError> {
        match at.event {
            Event::Instrument(instrument) => {
                let found = self.findings.instruments.entry(at.stream).or_default();
                (found.market, found.symbol) = (instrument.market.clone(), instrument.symbol.clone());
                Ok(())
            }
            Event::OrderIntent(intent) => self.intent(at, intent),
            Event::OrderUpdate(update) => self.update(at, update),
            Event::Fill(fill) => self.fill(at, fill),
            Event::TradeClosed(trade) => self.trade(at, trade),
            Event::Account(account) => {
                self.notes.as_mut().map_or(Ok(()), |notes| notes.close(at, account.session))?;
                self.account(at, account)
            }
            Event::Alarm(alarm) => {
                self.alarm(alarm);
                Ok(())
            }
            Event::LimitMoved(moved) => {
                self.findings.tripped += u64::from(moved.change == LimitChange::Tripped);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes the orders that never ended, completes the tables.
    pub(super) fn finish(mut self) -> Result<(Findings, Vec<Written>), ReportError> {
        self.findings.still_working = self.working.len() as u64;
        for order in std::mem::take(&mut self.working).into_values() {
            self.order_row(&order)?;
        }
        let mut files = self.tables.finish()?;
        if let Some(notes) = self.notes {
            files.extend(notes.finish()?);
        }
        Ok((self.findings, files))
    }

    fn intent(&mut self, at: EventAt<'_>, intent: &OrderIntent) -> Result<(), ReportError> {
        self.findings.instrument(at)?;
        self.findings.orders += 1;
        let refused = intent.verdict != Verdict::Approved;
        let order = WorkingOrder {
            seq: at.seq,
            time: at.time,
            stream: at.stream,
            intent: intent.clone(),
            state: if refused { OrderState::Refused } else { OrderState::Intended },
            filled: Quantity::ZERO,
            value: Money::ZERO,
            fees: Money::ZERO,
            last_seq: at.seq,
            last_time: at.time,
            last_reason: String::new(),
        };
        if refused {
            *self.findings.refused.entry(intent.verdict).or_default() += 1;
            return self.order_row(&order);
        }
        self.working.insert(intent.order.0, order);
        Ok(())
    }

    fn update(&mut self, at: EventAt<'_>, update: &OrderUpdate) -> Result<(), ReportError> {
        let Some(order) = self.working.get_mut(&update.order.0) else {
            // A refused order may say so twice: in its intent and in an update.
            self.findings.after_the_end += u64::from(update.state != OrderState::Refused);
            return Ok(());
        };
        order.state = update.state;
        (order.last_seq, order.last_time) = (at.seq, at.time);
        order.last_reason = update.reason.to_string();
        self.end_order(update.order.0)
    }

    fn fill(&mut self, at: EventAt<'_>, fill: &Fill) -> Result<(), ReportError> {
        let fees = total_charges(&fill.charges, at.seq)?;
        let value = Money(fill.price.times(fill.quantity).0.abs());
        let findings = &mut self.findings;
        findings.fills += 1;
        add(&mut findings.fees_total, fees, at.seq, "fees")?;
        add(&mut findings.traded, value, at.seq, "the value of fills")?;
        add_charges(&mut findings.charges, &fill.charges, at.seq)?;
        if let Some(notes) = &mut self.notes {
            notes.fill(fill, value);
        }
        let instrument = findings.instrument(at)?;
        instrument.fills += 1;
        instrument.position = fill.position;
        add(&mut instrument.traded, value, at.seq, "the value of an instrument's fills")?;
        add(&mut instrument.fees, fees, at.seq, "an instrument's fees")?;
        self.tables.fills.append(&[
            Cell::U64(at.seq),
            Cell::Time(at.time),
            Cell::Time(fill.exchange_time),
            Cell::Text(&instrument.symbol),
            Cell::Text(fill.side.word()),
            fill.quantity.into(),
            fill.price.into(),
            fill.reference_price.into(),
            fill.slippage_bps.into(),
            fees.into(),
            Cell::U64(fill.order.0),
        ])?;
        self.leg(at, fill, (value, fees))?;
        let Some(order) = self.working.get_mut(&fill.order.0) else {
            self.findings.after_the_end += 1;
            return Ok(());
        };
        order.state = fill.state;
        order.filled = Quantity(
            order.filled.0.checked_add(fill.quantity.0).ok_or(overflow(at.seq, "an order's filled quantity"))?,
        );
        add(&mut order.value, value, at.seq, "an order's filled value")?;
        add(&mut order.fees, fees, at.seq, "an order's fees")?;
        (order.last_seq, order.last_time) = (at.seq, at.time);
        self.end_order(fill.order.0)
    }

    /// What the fill cost: its row in `legs`, and its part of the page.
    fn leg(&mut self, at: EventAt<'_>, fill: &Fill, (value, fees): (Money, Money)) -> Result<(), ReportError> {
        let reference = fill.reference_price.times(fill.quantity).0.abs();
        let slippage = Money(if fill.side == Side::Buy { value.0 - reference } else { reference - value.0 });
        let findings = &mut self.findings;
        let key = (fill.side.word(), fill.model.to_string());
        let sums = findings.legs.entry(key).or_default();
        sums.fills += 1;
        add(&mut sums.traded, value, at.seq, "the value of legs")?;
        add(&mut sums.slippage, slippage, at.seq, "the slippage of legs")?;
        add_charges(&mut sums.charges, &fill.charges, at.seq)?;
        let symbol = findings.instrument(at)?.symbol.as_str();
        let charges = &fill.charges;
        self.tables.legs.append(&[
            Cell::U64(at.seq),
            Cell::Time(at.time),
            Cell::Text(symbol),
            Cell::Text(fill.side.word()),
            fill.quantity.into(),
            fill.price.into(),
            fill.reference_price.into(),
            fill.slippage_bps.into(),
            slippage.into(),
            Cell::Text(fill.model.as_str()),
            charges.brokerage.into(),
            charges.transaction_tax.into(),
            charges.exchange_fee.into(),
            charges.regulator_fee.into(),
            charges.stamp_duty.into(),
            charges.service_tax.into(),
            charges.depository_fee.into(),
            fees.into(),
            Cell::U64(fill.order.0),
        ])
    }

    fn trade(&mut self, at: EventAt<'_>, trade: &TradeClosed) -> Result<(), ReportError> {
        let net = Money(trade.gross.0.checked_sub(trade.fees.0).ok_or(overflow(at.seq, "a trade's net result"))?);
        let net_return = relative(net, trade.entry_price.times(trade.quantity));
        let findings = &mut self.findings;
        if !findings.trades.push(net) {
            return Err(overflow(at.seq, "the results of trades"));
        }
        findings.gross =
            findings.gross.0.checked_add(trade.gross.0).map(Money).ok_or(overflow(at.seq, "gross results"))?;
        findings.trade_bars = findings.trade_bars.saturating_add(trade.bars);
        findings.measured.add(trade);
        if let Some(value) = net_return {
            findings.trade_returns.push(value);
        }
        let seen = ChartTrade {
            number: trade.trade,
            side: trade.side,
            quantity: trade.quantity,
            entry_time: trade.entry_time,
            exit_time: trade.exit_time,
            entry_price: trade.entry_price,
            exit_price: trade.exit_price,
            net,
        };
        let chart_trades = self.chart_trades;
        let date = |time| Date::of(time, self.zone_offset_ns);
        let over_night = date(trade.entry_time) < date(trade.exit_time);
        findings.over_night += u64::from(over_night);
        let of_shares = findings.instrument(at)?.market == "nse";
        findings.shorts_over_night += u64::from(over_night && of_shares && trade.side == Side::Sell);
        let instrument = findings.instrument(at)?;
        instrument.trades += 1;
        instrument.wins += u64::from(net > Money::ZERO);
        add(&mut instrument.gross, trade.gross, at.seq, "an instrument's gross result")?;
        add(&mut instrument.net, net, at.seq, "an instrument's net result")?;
        if chart_trades > 0 {
            if instrument.last_trades.len() == chart_trades {
                instrument.last_trades.pop_front();
            }
            instrument.last_trades.push_back(seen);
        }
        let symbol = instrument.symbol.clone();
        self.trade_row(at, trade, &symbol, net, net_return)?;
        self.findings.notable(&symbol, seen, &trade.exit_reason);
        Ok(())
    }

    fn trade_row(
        &mut self,
        at: EventAt<'_>,
        trade: &TradeClosed,
        symbol: &str,
        net: Money,
        net_return: Option<f64>,
    ) -> Result<(), ReportError> {
        let broken = broken(trade);
        let happened = [
            Cell::U64(trade.trade),
            Cell::U64(at.seq),
            Cell::Time(at.time),
            Cell::Text(symbol),
            Cell::Text(trade.side.word()),
            trade.quantity.into(),
            Cell::Time(trade.entry_time),
            Cell::Time(trade.exit_time),
            trade.entry_price.into(),
            trade.exit_price.into(),
            trade.gross.into(),
            trade.fees.into(),
            net.into(),
            net_return.map_or(Cell::Null, Cell::F64),
            Cell::U64(trade.bars),
            Cell::U64(trade.entry_order.0),
            Cell::U64(trade.exit_order.0),
            Cell::Text(&trade.entry_reason),
            Cell::Text(&trade.exit_reason),
        ];
        let cells: Vec<Cell<'_>> = happened.into_iter().chain(measures(trade, &broken)).collect();
        self.tables.trades.append(&cells)
    }

    fn account(&mut self, at: EventAt<'_>, account: &Account) -> Result<(), ReportError> {
        let findings = &mut self.findings;
        let (session_return, drawdown) = findings.curve.push(account.session, account.equity);
        if let Some(value) = session_return {
            findings.session_returns.push(value);
        }
        let equity = account.equity.to_f64();
        findings.equity_sum += equity;
        findings.open_positions = account.positions;
        findings.sessions.push(SessionPoint { date: account.session, equity, drawdown: drawdown.unwrap_or(0.0) });
        self.tables.equity.append(&[
            Cell::U64(at.seq),
            Cell::Time(at.time),
            Cell::Text(&account.session.to_string()),
            account.equity.into(),
            account.cash.into(),
            account.long_value.into(),
            account.short_value.into(),
            account.realised.into(),
            account.unrealised.into(),
            account.fees.into(),
            Cell::U64(account.positions.into()),
            session_return.map_or(Cell::Null, Cell::F64),
            drawdown.map_or(Cell::Null, Cell::F64),
        ])
    }

    fn alarm(&mut self, alarm: &Alarm) {
        self.findings.alarms += 1;
        if self.findings.first_alarms.len() < ALARMS {
            self.findings.first_alarms.push(format!("{}: {}", alarm.code, alarm.text));
        }
    }

    /// Writes the order's row if it has ended.
    fn end_order(&mut self, id: u64) -> Result<(), ReportError> {
        let ended = self.working.get(&id).is_some_and(|order| is_final(order.state));
        match ended.then(|| self.working.remove(&id)).flatten() {
            Some(order) => self.order_row(&order),
            None => Ok(()),
        }
    }

    fn order_row(&mut self, order: &WorkingOrder) -> Result<(), ReportError> {
        let symbol = self.findings.instruments.get(&order.stream).map_or("", |found| &found.symbol);
        let intent = &order.intent;
        let filled = i128::from(order.filled.0);
        let average = if filled > 0 { order.value.times_ratio(decimal::SCALE.into(), filled) } else { None };
        self.tables.orders.append(&[
            Cell::U64(intent.order.0),
            Cell::U64(order.seq),
            Cell::Time(order.time),
            Cell::Text(symbol),
            Cell::Text(intent.side.word()),
            Cell::Text(intent.order_type.word()),
            Cell::Text(intent.time_in_force.word()),
            intent.quantity.into(),
            intent.limit.into(),
            intent.stop.into(),
            intent.reference.into(),
            Cell::Text(&intent.reason),
            Cell::Text(intent.verdict.word()),
            Cell::Text(order.state.word()),
            order.filled.into(),
            average.into(),
            order.fees.into(),
            Cell::U64(order.last_seq),
            Cell::Time(order.last_time),
            Cell::Text(&order.last_reason),
        ])
    }
}

/// An amount ÷ a count, rounded once; nothing of nothing.
fn mean(total: Money, count: u64) -> Option<Money> {
    if count == 0 { None } else { total.times_ratio(1, count.into()) }
}

impl Findings {
    /// The summary that follows.
    pub(super) fn summary(&self, header: &SessionHeader, facts: &RunFacts) -> Summary {
        let curve = self.curve.statistics();
        Summary {
            events: facts.events,
            bars: facts.bars,
            orders: self.orders,
            fills: self.fills,
            trades: self.trades.trades,
            fees_total: self.fees_total,
            fees: self.charges,
            final_equity: self.curve.last(),
            total_return: curve.total_return,
            cagr: curve.cagr,
            sharpe: curve.sharpe,
            sortino: curve.sortino,
            calmar: curve.calmar,
            max_drawdown: curve.max_drawdown,
            max_drawdown_start: curve.max_drawdown_start,
            max_drawdown_end: curve.max_drawdown_end,
            win_rate: self.trades.win_rate(),
            profit_factor: self.trades.profit_factor(),
            exposure: statistics::exposure(facts.bars_in_market, facts.bars),
            turnover: statistics::turnover(self.traded, self.mean_equity()),
            gross_pnl: self.gross,
            net_pnl: self.trades.won - self.trades.lost,
            expectancy: mean(self.trades.won - self.trades.lost, self.trades.trades),
            average_win: mean(self.trades.won, self.trades.wins),
            average_loss: mean(self.trades.lost, self.trades.losses),
            cost_drag: statistics::cost_drag(self.fees_total, facts.initial_cash),
            mae_r: self.measured.mae_r.value(),
            mfe: self.measured.mfe.value(),
            mfe_captured: self.measured.captured.value(),
            wall_seconds: facts.wall_seconds,
            events_per_second: facts.events_per_second,
            state_digest: facts.state_digest,
            journal_head: facts.journal_head,
            inputs: header.inputs.clone(),
            warnings: warnings(self, header, facts),
        }
    }

    fn mean_equity(&self) -> Option<f64> {
        (!self.sessions.is_empty()).then(|| self.equity_sum / self.sessions.len() as f64)
    }

    fn instrument(&mut self, at: EventAt<'_>) -> Result<&mut InstrumentFindings, ReportError> {
        let (seq, stream, kind): (u64, u32, Kind) = (at.seq, at.stream, at.event.kind());
        self.instruments.get_mut(&stream).ok_or(ReportError::UnknownInstrument { seq, kind, stream })
    }

    /// Keeps the trade if it is among the best or the worst; of equals the earlier stays.
    fn notable(&mut self, symbol: &str, trade: ChartTrade, exit_reason: &str) {
        let better = |a: Money, b: Money| a > b;
        let worse = |a: Money, b: Money| a < b;
        if trade.net > Money::ZERO {
            keep(&mut self.best, symbol, trade, exit_reason, better);
        } else if trade.net < Money::ZERO {
            keep(&mut self.worst, symbol, trade, exit_reason, worse);
        }
    }
}

fn keep(
    list: &mut Vec<NotableTrade>,
    symbol: &str,
    trade: ChartTrade,
    exit_reason: &str,
    ahead: impl Fn(Money, Money) -> bool,
) {
    let place = list.iter().position(|other| ahead(trade.net, other.trade.net)).unwrap_or(list.len());
    if place < NOTABLE_TRADES {
        list.truncate(NOTABLE_TRADES - 1);
        list.insert(place, NotableTrade { symbol: symbol.to_owned(), trade, exit_reason: exit_reason.to_owned() });
    }
}

const fn is_final(state: OrderState) -> bool {
    match state {
        OrderState::Refused
        | OrderState::Filled
        | OrderState::Cancelled
        | OrderState::Rejected
        | OrderState::Expired => true,
        OrderState::Intended
        | OrderState::Sent
        | OrderState::Unknown
        | OrderState::Open
        | OrderState::PartiallyFilled
        | OrderState::PendingCancel
        | OrderState::PendingModify => false,
    }
}

/// `part` ÷ |`whole`|, where defined.
fn relative(part: Money, whole: Money) -> Option<f64> {
    let value = part.to_f64() / whole.to_f64().abs();
    value.is_finite().then_some(value)
}

fn overflow(seq: u64, what: &'static str) -> ReportError {
    ReportError::Overflow { seq, what }
}

fn add(total: &mut Money, amount: Money, seq: u64, what: &'static str) -> Result<(), ReportError> {
    total.0 = total.0.checked_add(amount.0).ok_or(overflow(seq, what))?;
    Ok(())
}

fn total_charges(charges: &Charges, seq: u64) -> Result<Money, ReportError> {
    let mut total = Money::ZERO;
    for (_, amount) in charges.items() {
        add(&mut total, amount, seq, "a fill's charges")?;
    }
    Ok(total)
}

fn add_charges(total: &mut Charges, charges: &Charges, seq: u64) -> Result<(), ReportError> {
    let items = [
        (&mut total.brokerage, charges.brokerage),
        (&mut total.transaction_tax, charges.transaction_tax),
        (&mut total.exchange_fee, charges.exchange_fee),
        (&mut total.regulator_fee, charges.regulator_fee),
        (&mut total.stamp_duty, charges.stamp_duty),
        (&mut total.service_tax, charges.service_tax),
        (&mut total.depository_fee, charges.depository_fee),
    ];
    for (sum, amount) in items {
        add(sum, amount, seq, "an item of the charges")?;
    }
    Ok(())
}
