//! `compare`: two finished runs, trade by trade, order by order, fill by fill.
//!
//! - Orders are matched by (symbol, number of the order within its symbol); updates and fills by the matched order and
//!   their number within it; trades by (symbol, number of the trade within its symbol). So one order more in a run
//!   makes every later order of that symbol differ, and no order of another symbol.
//! - What is compared is what happened and when: not the numbers a session gives out, and not where a candle lies.
//! - A fork and its parent are compared from the fork on.
//! - Both journals are read once, in step by time. What has been matched is forgotten: memory grows only with what one
//!   run did and the other did not.
//! - It must never call two runs equal whose profit differs.

use crate::catalog::decode;
use crate::error::ReplayError;
use crate::plan::Plan;
use crate::recorded::Recorded;
use daybook_journal::Cursor;
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{
    BasisPoints, Cause, Event, Kind, Money, Nanos, OrderId, OrderState, Price, Quantity, Verdict,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// `equal` or `different`.
    pub verdict: &'static str,
    /// The earliest order that only one run decided, or that they decided differently.
    pub first_decision: Option<Mismatch>,
    /// The earliest fill that only one run had, or that they had differently.
    pub first_fill: Option<Mismatch>,
    /// True where every order decided before that fill was known is equal, but for entries that a broker's state alone
    /// refused (not armed, not reconciled, an order of unknown fate): what differs follows from that fill.
    pub decided_alike_until_then: bool,
    /// Profit of the right run after charges, open positions at their last prices, minus that of the left.
    pub pnl_delta: Money,
    /// Charges of the right run minus those of the left.
    pub fees_delta: Money,
    /// Round trips.
    pub trades: Table,
    /// Orders as they were decided, with the gate's verdicts.
    pub orders: Table,
    /// What happened to orders beside fills.
    pub updates: Table,
    /// Fills.
    pub fills: Table,
    /// Decisions of a policy: its raw values, and the hashes of its model and features.
    pub decisions: Table,
    /// Order by order, what was filled on one side beside what was filled on the other; where one of the runs is a
    /// session on a live market and its fills are not equal.
    pub gaps: Vec<FillGap>,
    /// The left run.
    pub left: RunTotals,
    /// The right run.
    pub right: RunTotals,
    /// Where the headers of the runs differ.
    pub settings: Vec<SettingDifference>,
}

/// How many events of a kind are equal, and how the others differ.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Table {
    /// Equal in every field.
    pub equal: u64,
    /// Matched, and different.
    pub different: u64,
    /// Without a match in the right run.
    pub left_only: u64,
    /// Without a match in the left run.
    pub right_only: u64,
    /// How many of the different ones differ in which field.
    pub fields: BTreeMap<String, u64>,
    /// The earliest that are not equal, as many as were asked for and at least one.
    pub differences: Vec<Mismatch>,
}

/// An order's fills on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FillGap {
    /// Its symbol.
    pub symbol: String,
    /// Number of the order within its symbol, from 1, in the left run; in the right one where only that has it.
    pub number: u64,
    /// The order was decided before a fork: its number is that of the session it was decided in.
    #[serde(skip_serializing_if = "is_false")]
    pub from_before: bool,
    /// Which way.
    pub side: daybook_vocabulary::Side,
    /// What the left run filled; none where it filled nothing.
    pub left: Option<Filled>,
    /// What the right run filled.
    pub right: Option<Filled>,
    /// How much better the right run's average price was for the trader, in basis points of the left's; none where one
    /// of them filled nothing.
    pub better_bps: Option<BasisPoints>,
    /// The same in money, on the smaller of the two quantities.
    pub better_by: Money,
}

/// An order's fills added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Filled {
    /// How much.
    pub quantity: Quantity,
    /// At what price on average.
    pub average: Price,
    /// Charges.
    pub fees: Money,
    /// When the first fill was known.
    pub first: Nanos,
    /// When the last fill was known.
    pub last: Nanos,
    #[serde(skip)]
    value: Money,
}

/// Two events that were matched and differ, or one without a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Kind of the event.
    pub kind: &'static str,
    /// Market of its instrument.
    pub market: String,
    /// Symbol of its instrument.
    pub symbol: String,
    /// Number of the order, or of the trade, within its symbol, from 1.
    pub number: u64,
    /// The order was decided before a fork: its number is that of the session it was decided in.
    #[serde(skip_serializing_if = "is_false")]
    pub from_before: bool,
    /// Number of the update or fill within its order, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u64>,
    /// Fields that differ, as dotted paths; none where there is no match.
    pub fields: Vec<String>,
    /// What the left run says.
    pub left: Option<Said>,
    /// What the right run says.
    pub right: Option<Said>,
}

/// An event as a run recorded it; numbers the session gave out are replaced by those within the symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Sequence number in the session's journal.
    pub seq: u64,
    /// When it was learned.
    pub time: Nanos,
    /// The event.
    pub event: Value,
}

/// What a run amounts to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunTotals {
    /// Its journal.
    pub journal: PathBuf,
    /// Its strategy.
    pub strategy: String,
    /// Orders decided, refused ones included.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Round trips closed.
    pub trades: u64,
    /// Value bought and sold.
    pub turnover: Money,
    /// Charges of all fills.
    pub fees: Money,
    /// The account at the last session's close; the cash at the start where no session closed.
    pub equity: Money,
    /// That equity minus the cash at the start.
    pub pnl: Money,
}

/// A field of the headers, a parameter or a setting that differs; absent sides are null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingDifference {
    /// Its name.
    pub name: String,
    /// In the left run.
    pub left: Value,
    /// In the right run.
    pub right: Value,
}

/// Compares two runs and tells the first `limit` differences of each kind.
pub fn compare(left: &Recorded, right: &Recorded, limit: usize) -> Result<Comparison, ReplayError> {
    let names = |run: &Recorded| -> Vec<Name> {
        run.instruments.iter().map(|known| (known.market.clone(), known.symbol.clone())).collect()
    };
    let all: Vec<Name> = names(left).into_iter().chain(names(right)).collect::<BTreeSet<_>>().into_iter().collect();
    let mut tables = Tables::new(&all, limit.max(1));
    tables.gauges = left.holds_its_inputs() != right.holds_its_inputs();
    // One was taken through the other's recorded market: what they decided on are the same frames.
    tables.same_market = left.header.inputs.iter().chain(&right.header.inputs).any(|input| input.rank == 0);
    let mut left_run = Reader::new(left, &all, begin(left, right)?)?;
    let mut right_run = Reader::new(right, &all, begin(right, left)?)?;
    let (mut from_left, mut from_right) = (left_run.next()?, right_run.next()?);
    loop {
        let left_first = match (&from_left, &from_right) {
            (None, None) => break,
            (Some((_, left)), Some((_, right))) => left.time <= right.time,
            (here, _) => here.is_some(),
        };
        let (next, side) = if left_first {
            (std::mem::replace(&mut from_left, left_run.next()?), Side::Left)
        } else {
            (std::mem::replace(&mut from_right, right_run.next()?), Side::Right)
        };
        let Some((key, row)) = next else { break };
        tables.offer(side, key, row);
    }
    let gaps = tables.gaps();
    let decided_otherwise = tables.decided_otherwise;
    let [trades, orders, updates, fills, decisions] = tables.finish();
    let first_fill = fills.differences.first().cloned();
    let (decided, filled) = (decided_otherwise, first_fill.as_ref().map(known));
    let (left_totals, right_totals) = (left_run.totals, right_run.totals);
    let pnl_delta = right_totals.pnl - left_totals.pnl;
    let all = [&trades, &orders, &updates, &fills, &decisions];
    let is_equal = pnl_delta == Money::ZERO && all.iter().all(|table| table.is_equal());
    Ok(Comparison {
        verdict: if is_equal { "equal" } else { "different" },
        first_decision: orders.differences.first().cloned(),
        first_fill,
        decided_alike_until_then: decided.is_none_or(|decided| filled.is_some_and(|filled| filled <= decided)),
        pnl_delta,
        fees_delta: right_totals.fees - left_totals.fees,
        trades,
        orders,
        updates,
        fills,
        decisions,
        gaps,
        left: left_totals,
        right: right_totals,
        settings: header_differences(left, right),
    })
}

impl Table {
    /// Nothing in it differs.
    pub fn is_equal(&self) -> bool {
        self.different == 0 && self.left_only == 0 && self.right_only == 0
    }
}

/// A difference in basis points of a price, in units of 1e-8, rounded half away from zero.
fn basis_points(difference: i64, of: Price) -> BasisPoints {
    let scaled = i128::from(difference) * 10_000 * i128::from(SCALE);
    BasisPoints(i64::try_from(divide_rounded(scaled, i128::from(of.0).max(1))).unwrap_or(i64::MAX))
}

/// True where an order differs in nothing but that one side's broker, or what was not known of it, kept it back.
fn refused_by_the_broker(fields: &[String], sides: [&Option<Said>; 2]) -> bool {
    const WORDS: [Verdict; 3] = [Verdict::NotArmed, Verdict::Unreconciled, Verdict::Unresolved];
    let is_refused = |said: &Said| {
        let verdict = said.event.get("verdict").and_then(Value::as_str);
        WORDS.iter().any(|word| Some(word.word()) == verdict)
    };
    fields == ["verdict"] && sides.into_iter().flatten().any(is_refused)
}

/// When a difference was first known.
fn known(mismatch: &Mismatch) -> Nanos {
    let sides = [&mismatch.left, &mismatch.right];
    sides.into_iter().flatten().map(|said| said.time).min().unwrap_or(Nanos::MAX)
}

/// Where the comparison of a run begins: a fork's parent after the frames that both have, any other at its start.
fn begin(run: &Recorded, other: &Recorded) -> Result<u64, ReplayError> {
    match &other.header.parent {
        Some(parent)
            if parent.seq < run.journal.head().frames
                && run.journal.content_at(parent.seq + 1)?.0 == parent.content.0 =>
        {
            Ok(parent.seq + 1)
        }
        _ => Ok(run.outputs),
    }
}

/// Market and symbol.
type Name = (String, String);

/// What is matched: table, symbol, number within the symbol, number within the order.
type Key = (usize, usize, u64, u64);

const TRADES: usize = 0;
const ORDERS: usize = 1;
const UPDATES: usize = 2;
const FILLS: usize = 3;
const DECISIONS: usize = 4;
const KINDS: [Kind; 5] = [Kind::TradeClosed, Kind::OrderIntent, Kind::OrderUpdate, Kind::Fill, Kind::Decision];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// An event, without what is a session's own.
struct Row {
    seq: u64,
    time: Nanos,
    event: Event,
    /// Of a fill: the frame that its order was decided on.
    decided_on: u64,
}

/// An order that may still move.
#[derive(Default)]
struct Working {
    /// Its number within its symbol.
    number: u64,
    /// The frame it was decided on.
    decided_on: u64,
    updates: u64,
    fills: u64,
}

/// Added to the number of an order that was decided before the comparison begins, in what a fork and its parent have
/// in common: there the numbers of the session are the same in both. It keeps two kinds of numbers apart, and nobody is
/// shown it.
const FROM_BEFORE: u64 = 1 << 63;

/// A number as people know it, and whether it is that of an order from before a fork.
const fn shown(number: u64) -> (u64, bool) {
    (number & !FROM_BEFORE, number & FROM_BEFORE != 0)
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Working {
    fn from_before(order: OrderId) -> Self {
        Self { number: FROM_BEFORE | order.0, ..Self::default() }
    }
}

/// A session's journal as rows with their keys.
struct Reader<'a> {
    recorded: &'a Recorded,
    cursor: Cursor,
    /// Stream of the session → symbol among those of both runs.
    symbols: Vec<usize>,
    /// Orders and trades so far, by symbol.
    orders: Vec<u64>,
    trades: Vec<u64>,
    decisions: Vec<u64>,
    working: BTreeMap<OrderId, Working>,
    totals: RunTotals,
    cash: Money,
}

impl<'a> Reader<'a> {
    fn new(recorded: &'a Recorded, all: &[Name], from: u64) -> Result<Self, ReplayError> {
        let header = &recorded.header;
        let cash = Plan::read(&header.strategy, &header.settings)?.settings.cash;
        let symbol = |known: &daybook_vocabulary::Instrument| {
            let name = (&known.market, &known.symbol);
            all.binary_search_by(|(market, symbol)| (market, symbol).cmp(&name)).expect("all holds every name")
        };
        Ok(Self {
            recorded,
            cursor: recorded.journal.cursor(from),
            symbols: recorded.instruments.iter().map(symbol).collect(),
            orders: vec![0; all.len()],
            trades: vec![0; all.len()],
            decisions: vec![0; all.len()],
            working: BTreeMap::new(),
            cash,
            totals: RunTotals {
                journal: recorded.path.clone(),
                strategy: header.strategy.clone(),
                orders: 0,
                fills: 0,
                trades: 0,
                turnover: Money::ZERO,
                fees: Money::ZERO,
                equity: cash,
                pnl: Money::ZERO,
            },
        })
    }

    fn next(&mut self) -> Result<Option<(Key, Row)>, ReplayError> {
        while let Some(frame) = self.cursor.next()? {
            let is_account = frame.kind == Kind::Account.number();
            if !is_account && !KINDS.iter().any(|kind| kind.number() == frame.kind) {
                continue;
            }
            let (seq, time, stream) = (frame.seq, Nanos(frame.time), frame.stream);
            let mut event = decode(&self.recorded.path, frame)?;
            if let Event::Account(account) = &event {
                self.totals.equity = account.equity;
                self.totals.pnl = account.equity - self.cash;
                continue;
            }
            let undefined = || ReplayError::UndefinedInstrument { journal: self.recorded.path.clone(), seq };
            let symbol = *self.symbols.get(stream as usize).ok_or_else(undefined)?;
            let (key, decided_on) = self.number(symbol, &mut event);
            return Ok(Some((key, Row { seq, time, event, decided_on })));
        }
        Ok(None)
    }

    /// Numbers an event within its symbol and takes out of it what is the session's own. Of a fill, the frame that its
    /// order was decided on as well.
    fn number(&mut self, symbol: usize, event: &mut Event) -> (Key, u64) {
        let mut decided_on = 0;
        let key = match event {
            Event::OrderIntent(intent) => {
                self.orders[symbol] += 1;
                self.totals.orders += 1;
                let number = self.orders[symbol];
                let decided_on = intent.cause.seq;
                self.working.insert(intent.order, Working { number, decided_on, ..Working::default() });
                (intent.cause, intent.order) = (Cause::default(), OrderId(number));
                (ORDERS, symbol, number, 0)
            }
            Event::OrderUpdate(update) => {
                let working = self.working.entry(update.order).or_insert_with(|| Working::from_before(update.order));
                working.updates += 1;
                let (number, part) = (working.number, working.updates);
                self.forget(update.order, update.state);
                (update.cause, update.order) = (Cause::default(), OrderId(shown(number).0));
                (UPDATES, symbol, number, part)
            }
            Event::Fill(fill) => {
                let working = self.working.entry(fill.order).or_insert_with(|| Working::from_before(fill.order));
                working.fills += 1;
                let (number, part) = (working.number, working.fills);
                decided_on = working.decided_on;
                self.totals.fills += 1;
                self.totals.fees += fill.charges.total();
                self.totals.turnover += fill.price.times(fill.quantity);
                self.forget(fill.order, fill.state);
                (fill.cause, fill.order) = (Cause::default(), OrderId(shown(number).0));
                (FILLS, symbol, number, part)
            }
            Event::TradeClosed(trade) => {
                self.trades[symbol] += 1;
                self.totals.trades += 1;
                let number = self.trades[symbol];
                (trade.cause, trade.trade) = (Cause::default(), number);
                // Which orders they were is compared among the orders; here their times, prices and reasons count.
                (trade.entry_order, trade.exit_order) = (OrderId::default(), OrderId::default());
                if let Some(measures) = &mut trade.measures {
                    measures.decision = 0;
                }
                (TRADES, symbol, number, 0)
            }
            Event::Decision(decision) => {
                self.decisions[symbol] += 1;
                let number = self.decisions[symbol];
                // One decision more of a symbol is one more number of every later one of the session.
                (decision.cause, decision.decision) = (Cause::default(), number);
                (DECISIONS, symbol, number, 0)
            }
            _ => unreachable!("only these kinds are read"),
        };
        (key, decided_on)
    }

    /// An order that ended moves no more, so that only working orders are remembered.
    fn forget(&mut self, order: OrderId, state: OrderState) {
        use OrderState::{Cancelled, Expired, Filled, Refused, Rejected};
        if matches!(state, Cancelled | Expired | Filled | Refused | Rejected) {
            self.working.remove(&order);
        }
    }
}

/// The symbol of an order, what tells it apart, and its side.
type FilledKey = (usize, u64, daybook_vocabulary::Side);

/// The number of an order, and what the left and the right run filled of it.
type BothFilled = (u64, [Option<Filled>; 2]);

/// Rows that wait for their match, and what the matches came to.
struct Tables<'a> {
    names: &'a [Name],
    limit: usize,
    waiting: BTreeMap<Key, (Side, Row)>,
    tables: [Table; 5],
    /// The earliest differences of each table.
    earliest: [BTreeMap<(Nanos, Key), Mismatch>; 5],
    /// Each order's fills on both sides are added up.
    gauges: bool,
    /// Orders are told apart by the frame they were decided on, not by their number.
    same_market: bool,
    /// By symbol and order: its side, its number, and what the left and the right run filled of it.
    filled: BTreeMap<FilledKey, BothFilled>,
    /// When the first order was decided otherwise.
    decided_otherwise: Option<Nanos>,
}

impl<'a> Tables<'a> {
    fn new(names: &'a [Name], limit: usize) -> Self {
        Self {
            names,
            limit,
            waiting: BTreeMap::new(),
            tables: Default::default(),
            earliest: Default::default(),
            gauges: false,
            same_market: false,
            decided_otherwise: None,
            filled: BTreeMap::new(),
        }
    }

    fn offer(&mut self, side: Side, key: Key, row: Row) {
        if self.gauges {
            self.gauge(side, key, &row);
        }
        match self.waiting.remove(&key) {
            Some((Side::Left, left)) if side == Side::Right => self.pair(key, &left, &row),
            Some((Side::Right, right)) if side == Side::Left => self.pair(key, &row, &right),
            // Twice from one side: an order that nothing announced. The first of them has no match.
            Some((side, first)) => {
                self.alone(side, key, &first);
                self.waiting.insert(key, (side, row));
            }
            None => {
                self.waiting.insert(key, (side, row));
            }
        }
    }

    fn gauge(&mut self, side: Side, (_, symbol, number, _): Key, row: &Row) {
        let Event::Fill(fill) = &row.event else { return };
        let order = if self.same_market { row.decided_on } else { number };
        let (known, sides) = self.filled.entry((symbol, order, fill.side)).or_insert((number, [None; 2]));
        if side == Side::Left {
            *known = number;
        }
        let place = if side == Side::Left { 0 } else { 1 };
        let filled = sides[place].get_or_insert(Filled { first: row.time, ..Filled::default() });
        filled.quantity += fill.quantity;
        filled.value += fill.price.times(fill.quantity);
        filled.fees += fill.charges.total();
        filled.last = row.time;
        filled.average = daybook_core::average(filled.value, filled.quantity);
    }

    /// The orders whose fills differ.
    fn gaps(&self) -> Vec<FillGap> {
        let differ = self.filled.iter().filter(|(_, (_, [left, right]))| left != right);
        let gap = |(&(symbol, _, side), &(number, [left, right])): (&FilledKey, &BothFilled)| {
            let both = left.zip(right);
            let better = |(left, right): (Filled, Filled)| match side {
                daybook_vocabulary::Side::Buy => left.average.0 - right.average.0,
                daybook_vocabulary::Side::Sell => right.average.0 - left.average.0,
            };
            let (number, from_before) = shown(number);
            FillGap {
                symbol: self.names[symbol].1.clone(),
                number,
                from_before,
                side,
                left,
                right,
                better_bps: both.map(|both| basis_points(better(both), both.0.average)),
                better_by: both
                    .map_or(Money::ZERO, |both| Price(better(both)).times(both.0.quantity.min(both.1.quantity))),
            }
        };
        differ.map(gap).collect()
    }

    fn pair(&mut self, key: Key, left: &Row, right: &Row) {
        if left.time == right.time && left.event == right.event {
            self.tables[key.0].equal += 1;
            return;
        }
        let (left_said, right_said) = (left.said(), right.said());
        let mut fields = Vec::new();
        if left.time != right.time {
            fields.push("time".to_owned());
        }
        differing(&left_said.event, &right_said.event, "", &mut fields);
        self.tables[key.0].different += 1;
        for field in &fields {
            *self.tables[key.0].fields.entry(field.clone()).or_default() += 1;
        }
        self.keep(left.time.min(right.time), key, fields, Some(left_said), Some(right_said));
    }

    fn alone(&mut self, side: Side, key: Key, row: &Row) {
        let said = Some(row.said());
        let (left, right) = match side {
            Side::Left => {
                self.tables[key.0].left_only += 1;
                (said, None)
            }
            Side::Right => {
                self.tables[key.0].right_only += 1;
                (None, said)
            }
        };
        self.keep(row.time, key, Vec::new(), left, right);
    }

    fn keep(&mut self, time: Nanos, key: Key, fields: Vec<String>, left: Option<Said>, right: Option<Said>) {
        let (table, symbol, number, part) = key;
        if table == ORDERS && !refused_by_the_broker(&fields, [&left, &right]) {
            self.decided_otherwise = Some(self.decided_otherwise.map_or(time, |first| first.min(time)));
        }
        let (market, symbol) = self.names[symbol].clone();
        let part = (part > 0).then_some(part);
        let kind = KINDS[table].word();
        let (number, from_before) = shown(number);
        let mismatch = Mismatch { kind, market, symbol, number, from_before, part, fields, left, right };
        let earliest = &mut self.earliest[table];
        earliest.insert((time, key), mismatch);
        if earliest.len() > self.limit {
            earliest.pop_last();
        }
    }

    fn finish(mut self) -> [Table; 5] {
        while let Some((key, (side, row))) = self.waiting.pop_first() {
            self.alone(side, key, &row);
        }
        for (table, earliest) in self.tables.iter_mut().zip(self.earliest) {
            table.differences = earliest.into_values().collect();
        }
        self.tables
    }
}

impl Row {
    fn said(&self) -> Said {
        Said { seq: self.seq, time: self.time, event: serde_json::to_value(&self.event).unwrap_or_default() }
    }
}

/// Every leaf in which two values differ, as dotted paths.
fn differing(left: &Value, right: &Value, path: &str, into: &mut Vec<String>) {
    match (left.as_object(), right.as_object()) {
        (Some(left), Some(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let null = Value::Null;
                differing(left.get(name).unwrap_or(&null), right.get(name).unwrap_or(&null), &inner, into);
            }
        }
        _ if left != right => into.push(path.to_owned()),
        _ => {}
    }
}

/// Where two headers differ; parameters and settings by their own names.
fn header_differences(left: &Recorded, right: &Recorded) -> Vec<SettingDifference> {
    let flat = |run: &Recorded| -> BTreeMap<String, Value> {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(&run.header) else { return BTreeMap::new() };
        // The hash of the settings says no more than the settings.
        fields.remove("config");
        // What a fork took up is told by the fork; its settings would be listed twice.
        fields.remove("parent");
        fields.remove("ancestors");
        let written = fields.remove("settings").and_then(|text| serde_json::from_str(text.as_str()?).ok());
        let mut flat: BTreeMap<String, Value> = fields.into_iter().collect();
        if let Some(Value::Object(groups)) = written {
            for group in groups.into_iter().filter_map(|(_, group)| match group {
                Value::Object(group) => Some(group),
                _ => None,
            }) {
                flat.extend(group);
            }
        }
        flat
    };
    let (left, right) = (flat(left), flat(right));
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let side = |side: &BTreeMap<String, Value>, name: &String| side.get(name).cloned().unwrap_or(Value::Null);
    let pairs = names.into_iter().map(|name| SettingDifference {
        name: name.clone(),
        left: side(&left, name),
        right: side(&right, name),
    });
    pairs.filter(|pair| pair.left != pair.right).collect()
}
