//! `status`: where a live session stands, from its journal alone.
//!
//! - The core is stepped through what the session was told, as an audit does: books, orders, limits and the account are
//!   the core's own, not a second account of them. Nothing is compared here; `audit` does that.
//! - It reads as far as the last batch that was closed: the same while the daemon runs, after it was killed, and years
//!   later. Nothing of it depends on when somebody looks, but whether a daemon is at work.
//! - Must never: write, or ask the broker.

use crate::audit::prepare;
use crate::catalog::decode;
use crate::driver::Source;
use crate::error::ReplayError;
use crate::recorded::Recorded;
use daybook_core::risk::Standing;
use daybook_core::{Body, Book, Core, Order, Outbox};
use daybook_vocabulary::{
    BookDifference, Command, Date, Event, FeedChange, Hash, InstrumentId, Interval, Kind, LimitKind, Measure, Money,
    Nanos, OrderId, OrderState, OrderType, Price, Quantity, SessionMode, Side, TimeInForce,
};
use serde::Serialize;
use std::collections::VecDeque;
use std::path::PathBuf;

/// Alarms that are told, the latest ones.
const ALARMS_MAX: usize = 10;

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its journal.
    pub journal: PathBuf,
    /// Kind of session.
    pub mode: SessionMode,
    /// Name of the strategy.
    pub strategy: String,
    /// Length of the bars it decides on.
    pub interval: Interval,
    /// How far the day has come.
    pub stage: DayStage,
    /// Date of the trading session that was opened last.
    pub session: Option<Date>,
    /// Its first instant, and the end of its continuous trading.
    pub hours: Option<(Nanos, Nanos)>,
    /// True while a daemon writes the journal.
    pub running: bool,
    /// True once the session was ended for good: it cannot be taken up again.
    pub ended: bool,
    /// Seals on the journal.
    pub seals: usize,
    /// When the session began.
    pub begun: Nanos,
    /// When it learned its last: everything below is as of then.
    pub as_of: Nanos,
    /// Frames in the journal.
    pub frames: u64,
    /// Content hash of it.
    pub content: Hash,
    /// How much has happened.
    pub counts: CountsNow,
    /// The account.
    pub account: AccountNow,
    /// What is held, by symbol.
    pub positions: Vec<PositionNow>,
    /// What works at the exchange, by symbol.
    pub orders: Vec<OrderNow>,
    /// Limits and locks.
    pub risk: RiskNow,
    /// What is known of the broker; none on paper.
    pub broker: Option<BrokerNow>,
    /// What became of the feed.
    pub feed: FeedNow,
    /// When each instrument was heard last, in order of symbol.
    pub heard: Vec<HeardNow>,
    /// The last alarms, oldest first.
    pub alarms: Vec<AlarmNow>,
    /// What the operator said last.
    pub command: Option<CommandNow>,
}

/// How far a session's day has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayStage {
    /// Before the open.
    Waiting,
    /// Trading.
    Open,
    /// Closed.
    Over,
}

/// How much has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CountsNow {
    /// Inputs that the core was told.
    pub inputs: u64,
    /// Bars that closed.
    pub bars: u64,
    /// Orders decided, refused ones included.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Round trips closed.
    pub trades: u64,
    /// Decisions of a policy.
    pub decisions: u64,
}

/// The account at the last prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AccountNow {
    /// Cash, charges paid.
    pub cash: Money,
    /// Cash plus what is held.
    pub equity: Money,
    /// Cash that a new order may use.
    pub free: Money,
    /// Profit taken, before charges.
    pub realised: Money,
    /// Profit of what is held.
    pub unrealised: Money,
    /// Charges paid.
    pub fees: Money,
    /// Equity now minus equity when the trading session began.
    pub day: Money,
}

/// A position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PositionNow {
    /// Its symbol.
    pub symbol: String,
    /// How much, negative for a short.
    pub quantity: Quantity,
    /// What it was entered at, on average.
    pub average: Price,
    /// The last price.
    pub last: Price,
    /// Profit at the last price, before charges.
    pub unrealised: Money,
    /// The trigger of the nearest stop that works against it.
    pub stop: Option<Price>,
    /// How much of it stops protect.
    pub protected: Quantity,
    /// When it was entered, at the exchange.
    pub since: Option<Nanos>,
}

/// A working order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderNow {
    /// Its number.
    pub order: OrderId,
    /// Its symbol.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// How much was ordered.
    pub quantity: Quantity,
    /// How much has filled.
    pub filled: Quantity,
    /// The broker's number; none on paper, and before the broker gave one.
    pub broker_order: Option<String>,
    /// Limit price.
    pub limit: Option<Price>,
    /// Trigger price.
    pub stop: Option<Price>,
    /// Where it stands.
    pub state: OrderState,
    /// Why it was placed.
    pub reason: String,
    /// When it reached the exchange.
    pub since: Nanos,
}

/// What limits what the session may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RiskNow {
    /// False while something keeps entries out.
    pub entries: bool,
    /// What keeps them out.
    pub locks: Vec<LockNow>,
    /// The most the account has been worth: a drawdown is counted from it.
    pub peak: Money,
    /// Why every position is being left, while it is.
    pub leaving: Option<LimitKind>,
    /// Positions that no stop protects whole.
    pub unprotected: Vec<String>,
    /// Where the positions stand beside the limits on the portfolio as a whole; empty where none is set.
    pub portfolio: Vec<Standing>,
}

/// What is known of a broker that orders go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokerNow {
    /// Orders may be sent.
    pub armed: bool,
    /// Its books and ours agreed when they were last compared.
    pub reconciled: bool,
    /// Something waits for its word.
    pub waits: bool,
    /// Orders of unknown fate.
    pub unknown: Vec<OrderId>,
    /// The last differences between its books and ours, oldest first.
    pub differences: Vec<DifferenceNow>,
}

/// The broker's books and ours differed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferenceNow {
    /// When it was noted.
    pub time: Nanos,
    /// The instrument's symbol; empty where none is concerned.
    pub symbol: String,
    /// What differed, and what was done.
    #[serde(flatten)]
    pub difference: BookDifference,
}

/// A lock on entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockNow {
    /// The limit that tripped.
    pub limit: LimitKind,
    /// The session it ends with; none: it holds until the operator resumes.
    pub session: Option<Date>,
    /// What the limit allows.
    pub allowed: Measure,
    /// What was met, in the same unit.
    pub observed: Measure,
}

/// What became of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FeedNow {
    /// What it did last; none where it was never there.
    pub change: Option<FeedChange>,
    /// When.
    pub at: Option<Nanos>,
    /// Why, for people.
    pub reason: String,
    /// How often it was lost.
    pub lost: u64,
    /// Messages dropped.
    pub dropped: u64,
    /// The last decision point.
    pub slice: Option<Nanos>,
}

/// When an instrument was heard last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeardNow {
    /// Its symbol.
    pub symbol: String,
    /// The last price.
    pub last: Price,
    /// When it was heard; none: not yet.
    pub at: Option<Nanos>,
    /// Seconds before `as_of`.
    pub age_seconds: Option<i64>,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlarmNow {
    /// Its frame.
    pub seq: u64,
    /// When.
    pub time: Nanos,
    /// A stable word.
    pub code: String,
    /// A sentence.
    pub text: String,
}

/// A command of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandNow {
    /// When.
    pub time: Nanos,
    /// What is to be done.
    pub command: Command,
    /// Where it came from.
    pub source: String,
}

/// Tells where a live session stands. `run_ended` is true where the run has its manifest.
pub fn status(recorded: &Recorded, calendar_file: Option<PathBuf>, run_ended: bool) -> Result<Status, ReplayError> {
    if !recorded.holds_its_inputs() {
        let reason = "it is a run on history; status is of sessions on a live market (daybook trade)";
        return Err(ReplayError::NotARun { run: recorded.path.clone(), reason: reason.to_owned() });
    }
    let (plan, prepared) = prepare(recorded, &[], calendar_file)?;
    let mut core = plan.core(&prepared.selection, &prepared.filter, prepared.range)?;
    let told = Told::fold(recorded, &mut core)?;
    let noted = Noted::read(recorded)?;
    Ok(describe(recorded, &core, told, noted, run_ended))
}

/// What the core was told, as far as it does not say it itself.
struct Told {
    stage: DayStage,
    session: Option<Date>,
    hours: Option<(Nanos, Nanos)>,
    slice: Option<Nanos>,
    heard: Vec<Option<Nanos>>,
    opened_with: Money,
}

impl Told {
    fn fold(recorded: &Recorded, core: &mut Core) -> Result<Self, ReplayError> {
        // What warms a strategy up comes before the session's own date.
        let own = recorded.header.filter.from.unwrap_or(Date(i32::MIN));
        let mut warming = false;
        let mut told = Self {
            stage: DayStage::Waiting,
            session: None,
            hours: None,
            slice: None,
            heard: vec![None; recorded.instruments.len()],
            opened_with: core.ledger().equity(),
        };
        let mut source = recorded.inputs();
        let mut out = Outbox::new();
        while source.advance()? {
            let input = source.input();
            match input.body {
                Body::SessionOpened(hours) if hours.date < own => warming = true,
                Body::SessionOpened(hours) => {
                    warming = false;
                    told.stage = DayStage::Open;
                    told.session = Some(hours.date);
                    told.hours = Some((hours.open, hours.close));
                    told.opened_with = core.ledger().equity();
                }
                _ if warming => {}
                Body::SessionClosed => told.stage = DayStage::Over,
                Body::Slice(_) => told.slice = Some(input.time),
                Body::Candle(id, _) | Body::Print(id, _) | Body::Quote(id, _) | Body::Depth(id, _) => {
                    if let Some(heard) = told.heard.get_mut(id.index()) {
                        *heard = Some(input.time);
                    }
                }
                Body::Command(_) => {}
                Body::Answer(_) | Body::BrokerOrder(_) | Body::BrokerFill(..) | Body::BrokerBook(_) | Body::TakenUp => {
                }
            }
            core.step(&input, &mut out)?;
            out.clear();
        }
        Ok(told)
    }
}

/// What stands in the journal and the core is not told, or has said and not kept.
#[derive(Default)]
struct Noted {
    feed: FeedNow,
    alarms: VecDeque<AlarmNow>,
    differences: VecDeque<DifferenceNow>,
    command: Option<CommandNow>,
    last: Option<Kind>,
}

impl Noted {
    fn read(recorded: &Recorded) -> Result<Self, ReplayError> {
        const KINDS: [Kind; 4] = [Kind::FeedState, Kind::Alarm, Kind::OperatorCommand, Kind::BookDifference];
        let mut noted = Self::default();
        let mut cursor = recorded.journal.cursor(recorded.outputs);
        while cursor.advance()? {
            let frame = cursor.frame();
            noted.last = Kind::from_number(frame.kind);
            if !noted.last.is_some_and(|kind| KINDS.contains(&kind)) {
                continue;
            }
            let (seq, time, stream) = (frame.seq, Nanos(frame.time), frame.stream as usize);
            match decode(&recorded.path, frame)? {
                Event::FeedState(state) => {
                    let feed = &mut noted.feed;
                    feed.lost += u64::from(state.change == FeedChange::Lost);
                    feed.dropped = feed.dropped.max(state.dropped);
                    (feed.change, feed.at, feed.reason) = (Some(state.change), Some(time), state.reason);
                }
                Event::Alarm(alarm) => {
                    let code = alarm.code.to_string();
                    noted.alarms.push_back(AlarmNow { seq, time, code, text: alarm.text });
                    if noted.alarms.len() > ALARMS_MAX {
                        noted.alarms.pop_front();
                    }
                }
                Event::BookDifference(difference) => {
                    let symbol = recorded.instruments.get(stream).map(|known| known.symbol.clone()).unwrap_or_default();
                    noted.differences.push_back(DifferenceNow { time, symbol, difference });
                    if noted.differences.len() > ALARMS_MAX {
                        noted.differences.pop_front();
                    }
                }
                Event::OperatorCommand(said) => {
                    let source = said.source.to_string();
                    noted.command = Some(CommandNow { time, command: said.command, source });
                }
                _ => {}
            }
        }
        Ok(noted)
    }
}

fn describe(recorded: &Recorded, core: &Core, told: Told, noted: Noted, run_ended: bool) -> Status {
    let head = recorded.journal.head();
    let as_of = Nanos(head.last_time.unwrap_or_default());
    let counts = core.counts();
    let symbol = |index: usize| recorded.instruments[index].symbol.clone();
    let books = || (0..recorded.instruments.len()).map(|index| (index, core.book(InstrumentId(index as u32))));
    let positions: Vec<PositionNow> = books()
        .filter(|(_, book)| !book.position.quantity.is_zero())
        .map(|(index, book)| position(symbol(index), book))
        .collect();
    let orders = books().flat_map(|(index, book)| {
        let working = book.working.iter().filter(|order| order.is_working());
        working.map(move |order| order_now(symbol(index), order, core.broker_number(order.id)))
    });
    let heard = books().zip(&told.heard).map(|((index, book), at)| HeardNow {
        symbol: symbol(index),
        last: book.last,
        at: *at,
        age_seconds: at.map(|at| (as_of - at) / 1_000_000_000),
    });
    let ended = run_ended || (told.stage == DayStage::Over && noted.last == Some(Kind::StateDigest));
    Status {
        journal: recorded.path.clone(),
        mode: recorded.header.mode,
        strategy: recorded.header.strategy.clone(),
        interval: recorded.header.filter.interval,
        stage: told.stage,
        session: told.session,
        hours: told.hours,
        running: recorded.journal.is_being_written(),
        ended,
        seals: recorded.journal.seals().len(),
        begun: recorded.begun,
        as_of,
        frames: head.frames,
        content: Hash(head.content.0),
        counts: CountsNow {
            inputs: counts.inputs,
            bars: counts.bars,
            orders: counts.orders,
            fills: counts.fills,
            trades: counts.trades,
            decisions: counts.decisions,
        },
        account: account(core, told.opened_with),
        risk: risk(core, &positions),
        broker: core.is_brokered().then(|| BrokerNow {
            armed: core.is_armed(),
            reconciled: core.is_reconciled(),
            waits: core.awaits_broker(),
            unknown: core
                .working_orders()
                .filter(|(_, order)| order.state == OrderState::Unknown)
                .map(|it| it.1.id)
                .collect(),
            differences: noted.differences.into(),
        }),
        orders: orders.collect(),
        heard: heard.collect(),
        positions,
        feed: FeedNow { slice: told.slice, ..noted.feed },
        alarms: noted.alarms.into(),
        command: noted.command,
    }
}

fn account(core: &Core, opened_with: Money) -> AccountNow {
    let ledger = core.ledger();
    AccountNow {
        cash: ledger.cash,
        equity: ledger.equity(),
        free: ledger.free(),
        realised: ledger.realised,
        unrealised: ledger.equity() - ledger.start - ledger.realised + ledger.fees,
        fees: ledger.fees,
        day: ledger.equity() - opened_with,
    }
}

fn risk(core: &Core, positions: &[PositionNow]) -> RiskNow {
    let state = core.risk();
    let lock = |lock: &daybook_core::risk::Lock| LockNow {
        limit: lock.limit,
        session: lock.session,
        allowed: lock.allowed,
        observed: lock.observed,
    };
    let bare = positions.iter().filter(|held| held.protected < held.quantity.abs());
    RiskNow {
        entries: state.locks.is_empty() && (!core.is_brokered() || (core.is_armed() && core.is_reconciled())),
        locks: state.locks.iter().map(lock).collect(),
        peak: state.peak,
        leaving: state.flattening,
        unprotected: bare.map(|held| held.symbol.clone()).collect(),
        portfolio: core.standings(),
    }
}

fn position(symbol: String, book: &Book) -> PositionNow {
    let quantity = book.position.quantity;
    let long = quantity.0 > 0;
    let against = if long { Side::Sell } else { Side::Buy };
    // What was only sent protects nothing yet.
    let stops = || book.working.iter().filter(|order| stands(order) && order.side == against && is_stop(order));
    let triggers = stops().filter_map(|order| order.stop);
    PositionNow {
        symbol,
        quantity,
        average: book.position.average_price(),
        last: book.last,
        unrealised: book.position.value(book.last) - book.position.basis,
        stop: if long { triggers.max() } else { triggers.min() },
        protected: stops().fold(Quantity::ZERO, |sum, order| sum + order.remaining()).min(quantity.abs()),
        since: book.trade.as_ref().map(|trade| trade.entry_time),
    }
}

/// The venue has said that it works.
fn stands(order: &Order) -> bool {
    matches!(order.state, OrderState::Open | OrderState::PartiallyFilled | OrderState::PendingModify)
}

fn is_stop(order: &Order) -> bool {
    matches!(order.order_type, OrderType::Stop | OrderType::StopLimit | OrderType::TrailingStop)
}

fn order_now(symbol: String, order: &Order, number: Option<&str>) -> OrderNow {
    OrderNow {
        broker_order: number.map(str::to_owned),
        order: order.id,
        symbol,
        side: order.side,
        order_type: order.order_type,
        time_in_force: order.time_in_force,
        quantity: order.quantity,
        filled: order.filled,
        limit: order.limit,
        stop: order.stop,
        state: order.state,
        reason: order.reason.to_string(),
        since: order.decided,
    }
}
