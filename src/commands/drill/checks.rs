//! What must hold in a drill: looked at after every kill, when things have come to rest, and at the end of a day.

use super::stage::{Daemon, SYMBOLS, Server, Stage};
use super::{Report, money};
use crate::output::Stopwatch;
use daybook_adapters::kite::orders::{OrderRow, PositionRow, tag_of};
use daybook_adapters::kite::values::Transaction;
use daybook_journal::Journal;
use daybook_replay::Recorded;
use daybook_replay::status::{DayStage, Status, status};
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{DifferenceKind, Event, Kind, LimitChange, LimitKind, OperatorCommand};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

/// Books may take so many looks to agree: orders are on their way.
const LOOKS: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// One and the same difference may last so long: virtual seconds, and real ones, for the machine is busy.
const UNCHANGED_MAX: u64 = 15 * 60;
const UNCHANGED_MAX_REAL: f64 = 4.0;
/// How what could not be asked is told.
const ASKING: &str = "asking: ";
/// What the broker marks with that it closed itself.
const SQUARED_OFF: &str = "squareoff";
/// A day that ends so soon may end before something is met.
const CLOSING: i64 = 25 * MINUTE;
/// Alarms that say that broker and session contradict each other.
const CONTRADICTIONS: [&str; 4] = ["order-contradiction", "overfilled", "two-numbers", "wrong-side"];
/// What a broker with a fault may lead to, and what is put right: an order that it lost, or showed with other terms. Another
/// position, other money or a strange order no fault explains.
const EXPLAINED_BY_A_FAULT: [DifferenceKind; 5] = {
    use DifferenceKind::{EndedOrder, MissingOrder, NeverArrived, OrderPrice, OrderQuantity};
    [NeverArrived, MissingOrder, EndedOrder, OrderQuantity, OrderPrice]
};
/// What a daemon logs that did not have to replay its journal from the start.
const FROM_A_STATE: &str = "taken up from a state";

/// Derives what a killed daemon left behind again.
pub fn audit(stage: &Stage, day: u64, report: &mut Report) -> Result<(), Box<dyn Error>> {
    if !stage.has_begun(day) {
        // Killed before its session had begun.
        return Ok(());
    }
    let found = answer(stage, &["audit", &format!("session-{day}"), "--snapshots"])?;
    if found["verdict"] != "equal" {
        // A daemon that was killed before its header was durable left no session to audit.
        return Err(format!("the session of day {day} does not derive again: {found}").into());
    }
    report.audits += 1;
    report.snapshots_audited += found["snapshots"].as_u64().unwrap_or_default();
    report.outputs_compared += found["compared"].as_u64().unwrap_or_default();
    Ok(())
}

/// Waits until the broker's books and the session's agree, with a stop for every position. That they never do, or that one
/// difference stays as it is for too long, is a failure. A daemon that ended, or a broker that is away, is left to the
/// next look.
pub fn settled(
    stage: &Stage,
    day: u64,
    server: &Server,
    daemon: &mut Daemon,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let (watch, patience) = (Stopwatch::start(), stage.real(UNCHANGED_MAX).as_secs_f64().max(UNCHANGED_MAX_REAL));
    let (mut last, mut since) = (String::new(), 0.0);
    for _ in 0..LOOKS {
        std::thread::sleep(BETWEEN_LOOKS);
        if daemon.ended()?.is_some() {
            return Ok(());
        }
        let difference = match compare(stage, day, server) {
            Ok(Look::Wrong(wrong)) => return Err(format!("on day {day}: {wrong}").into()),
            Ok(Look::Equal) => {
                report.settled += 1;
                report.longest_settling = report.longest_settling.max(watch.seconds());
                return Ok(());
            }
            Ok(Look::Differs(difference)) => difference,
            // Whoever cannot be asked shows no difference.
            Err(error) => format!("{ASKING}{error}"),
        };
        if difference != last {
            (last, since) = (difference, watch.seconds());
        }
        if watch.seconds() - since > patience && !last.starts_with(ASKING) {
            return Err(format!("on day {day} this stays as it is: {last}").into());
        }
    }
    Err(format!("the books of day {day} do not come to rest: {last}").into())
}

/// After the close: the session ended for good, every output derives again, every byte is sound, nothing was sent twice.
/// Where broker or daemon were away for minutes, the broker may have closed what it wants closed in time.
pub fn at_the_end(
    stage: &Stage,
    day: u64,
    server: &Server,
    (live, was_away, was_struck): (bool, bool, bool),
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    audit(stage, day, report)?;
    let verified = answer(stage, &["verify", &format!("session-{day}")])?;
    if verified["verdict"] != "sound" {
        return Err(format!("the session of day {day} is not sound: {verified}").into());
    }
    let status = status_of(stage, day)?;
    if !status.ended || status.seals == 0 {
        return Err(format!("the daemon of day {day} went away before its session had ended and was sealed").into());
    }
    report.orders += status.counts.orders;
    report.fills += status.counts.fills;
    let (text, told) = (std::fs::read_to_string(stage.log(day)).unwrap_or_default(), alarms(stage, day)?);
    if let Some(line) = text.lines().find(|line| line.contains("panicked")) {
        return Err(format!("the daemon of day {day} panicked: {line}").into());
    }
    report.from_states += text.lines().filter(|line| line.contains(FROM_A_STATE)).count() as u64;
    if let Some(worst) = CONTRADICTIONS.iter().find(|code| told.contains_key(**code)) {
        return Err(format!("day {day} has the alarm '{worst}'").into());
    }
    told.into_iter().for_each(|(code, count)| *report.alarms.entry(code).or_default() += count);
    let kite = stage.client_after_the_day(server)?;
    let (orders, trades) = (kite.orders()?.0, kite.trades()?.0);
    if let Some(twice) = sent_twice(&orders) {
        return Err(format!("day {day}: the order {twice} was sent twice").into());
    }
    if let Some(order) = unknown_to_the_journal(stage, day, &orders)? {
        return Err(format!("day {day}: the broker has the order {order}, and the journal has no intent of it").into());
    }
    let squared_off = orders.iter().filter(|order| order.has_tag(SQUARED_OFF)).count() as u64;
    report.squared_off += squared_off;
    if squared_off > 0 && !was_away {
        return Err(format!("day {day}: the broker had to square off {squared_off} positions").into());
    }
    if let Some(what) = unexplained(stage, day, was_struck, report)?
        && squared_off == 0
    {
        return Err(format!("day {day}: {what}, and nothing explains it").into());
    }
    if live && squared_off == 0 {
        let recorded = Recorded::open(&stage.session(day).join("journal"))?;
        if let Some(apart) = money::compare(&SYMBOLS, (&trades, &kite.positions()?.0), &recorded, &status)? {
            return Err(format!("day {day}, at its end: {apart}").into());
        }
    }
    match (live, orders.is_empty()) {
        (false, false) => Err(format!("day {day} was on paper, and the broker has {} orders", orders.len()).into()),
        (true, _) if !status.positions.is_empty() => Err(format!("day {day} ended with positions").into()),
        (true, _) if squared_off == 0 && trades.len() as u64 != status.counts.fills => {
            let (theirs, ours) = (trades.len(), status.counts.fills);
            Err(format!("day {day}: the broker has {theirs} trades, the session {ours} fills").into())
        }
        _ => Ok(()),
    }
}

/// What a look at both books shows.
enum Look {
    Equal,
    /// What may be under way.
    Differs(String),
    /// What no waiting mends.
    Wrong(String),
}

/// Compares the broker's books and the session's.
fn compare(stage: &Stage, day: u64, server: &Server) -> Result<Look, Box<dyn Error>> {
    let kite = stage.client(server)?;
    let (orders, _) = kite.orders()?;
    if let Some(twice) = sent_twice(&orders) {
        return Ok(Look::Wrong(format!("the order {twice} was sent twice")));
    }
    let ((rows, _), (trades, _)) = (kite.positions()?, kite.trades()?);
    if let Some(more) = over_protected(&orders, &rows) {
        // What moved in between was seen in two states: only one and the same book tells.
        let is_one = kite.orders()?.0 == orders;
        return Ok(if is_one { Look::Wrong(more) } else { Look::Differs(more) });
    }
    let recorded = Recorded::open(&stage.session(day).join("journal"))?;
    let ours = status_of(stage, day)?;
    for symbol in SYMBOLS {
        let theirs: i64 = rows.iter().filter(|row| row.tradingsymbol == symbol).map(|row| row.quantity().0).sum();
        let held = ours.positions.iter().find(|held| held.symbol == symbol).map_or(0, |held| held.quantity.0);
        if theirs != held {
            return Ok(Look::Differs(format!("the broker holds {theirs} of {symbol}, the session {held}")));
        }
    }
    let theirs: BTreeMap<&str, i64> = orders
        .iter()
        .filter(|order| !order.status.is_terminal())
        .map(|order| (order.order_id.as_str(), order.quantity().0))
        .collect();
    let working = ours.orders.iter().map(|order| (order.broker_order.as_deref().unwrap_or("-"), order.quantity.0));
    let working: BTreeMap<&str, i64> = working.collect();
    if theirs != working {
        // An order that works there and has ended here is among these.
        return Ok(Look::Differs(format!("at the broker work {theirs:?}, in the session {working:?}")));
    }
    let unprotected = unprotected(&orders, &rows);
    let missing = ours.risk.unprotected.iter().cloned().chain(unprotected).collect::<Vec<_>>();
    if !missing.is_empty() {
        return Ok(Look::Differs(format!("no stop for {}", missing.join(", "))));
    }
    if orders.iter().any(|order| order.has_tag(SQUARED_OFF)) {
        // What the broker closed itself is taken over without its price.
        return Ok(Look::Equal);
    }
    Ok(money::compare(&SYMBOLS, (&trades, &rows), &recorded, &ours)?.map_or(Look::Equal, Look::Differs))
}

/// Pieces that the broker's stops of a side of a symbol would still trade.
fn stopped(orders: &[OrderRow], symbol: &str, side: Transaction) -> i64 {
    let stops = orders.iter().filter(|order| {
        order.tradingsymbol == symbol
            && order.transaction_type == side
            && order.trigger().0 > 0
            && !order.status.is_terminal()
    });
    stops.map(|order| order.quantity().0 - order.filled().0).sum()
}

/// Stops of the broker's book that would trade more than is held: they would turn a position over.
fn over_protected(orders: &[OrderRow], positions: &[PositionRow]) -> Option<String> {
    SYMBOLS.into_iter().find_map(|symbol| {
        let held: i64 = positions.iter().filter(|row| row.tradingsymbol == symbol).map(|row| row.quantity().0).sum();
        let sells = stopped(orders, symbol, Transaction::Sell);
        let buys = stopped(orders, symbol, Transaction::Buy);
        let more = sells > held.max(0) || buys > (-held).max(0);
        more.then(|| format!("the broker holds {held} of {symbol}, and its stops sell {sells} and buy {buys}"))
    })
}

/// Positions of the broker's book that no stop of it covers whole.
fn unprotected(orders: &[OrderRow], positions: &[PositionRow]) -> Vec<String> {
    let covered = |position: &&PositionRow| {
        let against = if position.quantity().0 > 0 { Transaction::Sell } else { Transaction::Buy };
        stopped(orders, &position.tradingsymbol, against) >= position.quantity().0.abs()
    };
    positions.iter().filter(|one| !covered(one)).map(|one| one.tradingsymbol.clone()).collect()
}

/// While no daemon runs: whatever is held has its stop at the broker, and the broker has no order of which the journal has
/// no intent.
pub fn protected_while_away(stage: &Stage, day: u64, server: &Server) -> Result<(), Box<dyn Error>> {
    let kite = stage.client_after_the_day(server)?;
    let (orders, positions) = (kite.orders()?.0, kite.positions()?.0);
    if let Some(order) = unknown_to_the_journal(stage, day, &orders)? {
        return Err(format!("day {day}: the broker has the order {order}, and the journal has no intent of it").into());
    }
    match unprotected(&orders, &positions).as_slice() {
        [] => Ok(()),
        missing => Err(format!("day {day}: the disk was full and no stop works for {}", missing.join(", ")).into()),
    }
}

/// Nothing is held and nothing works, at the broker and in the session.
pub fn is_flat(stage: &Stage, day: u64, server: &Server) -> Result<bool, Box<dyn Error>> {
    let kite = stage.client(server)?;
    let held = kite.positions()?.0.iter().any(|row| row.quantity().0 != 0);
    let ours = status_of(stage, day)?;
    Ok(!held && ours.positions.is_empty() && ours.orders.is_empty())
}

/// An order of the broker's book whose intent is not in the session's journal.
fn unknown_to_the_journal(stage: &Stage, day: u64, orders: &[OrderRow]) -> Result<Option<String>, Box<dyn Error>> {
    let recorded = Recorded::open(&stage.session(day).join("journal"))?;
    let run = recorded.journal.id().unwrap_or_default();
    let count = status(&recorded, None, false)?.counts.orders;
    let known: Vec<String> = (1..=count).map(|order| tag_of(run, order)).collect();
    let ours = orders.iter().filter(|order| !order.has_tag(SQUARED_OFF));
    let foreign = ours.into_iter().find(|order| !known.iter().any(|tag| order.has_tag(tag)));
    Ok(foreign.map(|order| order.order_id.clone()))
}

/// Everything that was said to the session, by people and by itself.
pub fn commands(stage: &Stage, day: u64) -> Result<Vec<OperatorCommand>, Box<dyn Error>> {
    let command = |event| if let Event::OperatorCommand(said) = event { Some(said) } else { None };
    Ok(events(stage, day, Kind::OperatorCommand)?.into_iter().filter_map(command).collect())
}

/// The day is nearly over: what is to be met may not be met any more.
pub fn is_closing(stage: &Stage, day: u64) -> Result<bool, Box<dyn Error>> {
    if !stage.has_begun(day) {
        return Ok(false);
    }
    let found = status_of(stage, day)?;
    Ok(found.hours.is_some_and(|(_, close)| close - found.as_of < CLOSING) || found.stage == DayStage::Over)
}

/// A difference of the books, or a lock for one, that nothing explains. What ends a daemon or cuts it off may leave an intent
/// that was never sent; the rest only the broker's own faults lead to. All of them are counted.
fn unexplained(
    stage: &Stage,
    day: u64,
    was_struck: bool,
    report: &mut Report,
) -> Result<Option<String>, Box<dyn Error>> {
    let (mut worst, by_a_fault) = (None, !stage.faults.is_empty());
    let explains = |what: &DifferenceKind| {
        let never_sent = *what == DifferenceKind::NeverArrived && was_struck;
        never_sent || (by_a_fault && EXPLAINED_BY_A_FAULT.contains(what))
    };
    for event in events(stage, day, Kind::BookDifference)? {
        let Event::BookDifference(found) = event else { continue };
        *report.differences.entry(found.what.word().to_owned()).or_default() += 1;
        if !explains(&found.what) {
            let (what, ours, theirs) = (found.what.word(), found.ours.0, found.theirs.0);
            worst.get_or_insert(format!("the books differed ({what}: {ours} and at the broker {theirs})"));
        }
    }
    for event in events(stage, day, Kind::LimitMoved)? {
        if let Event::LimitMoved(moved) = event
            && moved.limit == LimitKind::Reconciliation
            && moved.change == LimitChange::Tripped
        {
            report.reconciliation_locks += 1;
            if !by_a_fault {
                worst.get_or_insert_with(|| "the books locked entries".to_owned());
            }
        }
    }
    Ok(worst)
}

/// The session holds something now.
pub fn holds(stage: &Stage, day: u64) -> bool {
    stage.has_begun(day) && status_of(stage, day).is_ok_and(|now| !now.positions.is_empty())
}

fn alarms(stage: &Stage, day: u64) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let mut counts = BTreeMap::new();
    for event in events(stage, day, Kind::Alarm)? {
        if let Event::Alarm(alarm) = event {
            *counts.entry(alarm.code.to_string()).or_default() += 1;
        }
    }
    Ok(counts)
}

/// All events of a kind; none while the session has not begun.
fn events(stage: &Stage, day: u64, kind: Kind) -> Result<Vec<Event>, Box<dyn Error>> {
    let path = stage.session(day).join("journal");
    let Ok(journal) = Journal::open(&path) else { return Ok(Vec::new()) };
    let (mut cursor, mut found) = (journal.cursor(0), Vec::new());
    while let Some(frame) = cursor.next()? {
        if frame.kind == kind.number() {
            found.push(Event::decode(frame.kind, frame.schema, frame.payload)?);
        }
    }
    Ok(found)
}

/// A tag that two orders of the broker's book carry: one intent, sent twice.
fn sent_twice(orders: &[OrderRow]) -> Option<String> {
    let mut tags: BTreeMap<&str, u32> = BTreeMap::new();
    for tag in orders.iter().filter_map(|order| order.tag.as_deref()).filter(|tag| *tag != SQUARED_OFF) {
        *tags.entry(tag).or_default() += 1;
    }
    tags.into_iter().find(|(_, count)| *count > 1).map(|(tag, _)| tag.to_owned())
}

fn status_of(stage: &Stage, day: u64) -> Result<Status, Box<dyn Error>> {
    let run = stage.session(day);
    let recorded = Recorded::open(&run.join("journal"))?;
    Ok(status(&recorded, None, run.join("manifest.json").exists())?)
}

fn answer(stage: &Stage, arguments: &[&str]) -> Result<Value, Box<dyn Error>> {
    let output = stage.command(arguments)?.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).map_err(|_| format!("daybook {}: {said}", arguments.join(" ")).into())
}
