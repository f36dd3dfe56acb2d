//! What must hold in a drill: looked at after every kill, when things have come to rest, and at the end of a day.

use super::Report;
use super::stage::{Daemon, SYMBOLS, Server, Stage};
use daybook_adapters::kite::orders::OrderRow;
use daybook_replay::Recorded;
use daybook_replay::status::{Status, status};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

/// Books may take so many looks to agree: orders are on their way.
const LOOKS: u32 = 60;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Derives what a killed daemon left behind again.
pub fn audit(stage: &Stage, day: u64, report: &mut Report) -> Result<(), Box<dyn Error>> {
    if !stage.session(day).join("journal/0000000000.segment").exists() {
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

/// Waits until the broker's books and the session's agree, with a stop for every position; that they never do is a
/// failure. A daemon that ended, or a broker that is away, is left to the next look.
pub fn settled(
    stage: &Stage,
    day: u64,
    server: &Server,
    daemon: &mut Daemon,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let mut last = String::new();
    for _ in 0..LOOKS {
        std::thread::sleep(BETWEEN_LOOKS);
        if daemon.ended()?.is_some() {
            return Ok(());
        }
        match compare(stage, day, server) {
            Ok(None) => {
                report.settled += 1;
                return Ok(());
            }
            Ok(Some(difference)) => last = difference,
            Err(error) => last = error.to_string(),
        }
    }
    Err(format!("the books of day {day} do not come to rest: {last}").into())
}

/// After the close: the session ended for good, every output derives again, every byte is sound, nothing was sent twice.
pub fn at_the_end(
    stage: &Stage,
    day: u64,
    server: &Server,
    live: bool,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    audit(stage, day, report)?;
    let verified = answer(stage, &["verify", &format!("session-{day}")])?;
    if verified["verdict"] != "sound" {
        return Err(format!("the session of day {day} is not sound: {verified}").into());
    }
    let status = status_of(stage, day)?;
    if !status.ended {
        return Err(format!("the daemon of day {day} went away before its session had ended").into());
    }
    report.orders += status.counts.orders;
    report.fills += status.counts.fills;
    let (orders, _) = stage.client_after_the_day(server)?.orders()?;
    if let Some(twice) = sent_twice(&orders) {
        return Err(format!("day {day}: the order {twice} was sent twice").into());
    }
    match (live, orders.is_empty()) {
        (false, false) => Err(format!("day {day} was on paper, and the broker has {} orders", orders.len()).into()),
        (true, _) if !status.positions.is_empty() => Err(format!("day {day} ended with positions").into()),
        _ => Ok(()),
    }
}

/// The first difference between the broker's books and the session's; nothing when they agree.
fn compare(stage: &Stage, day: u64, server: &Server) -> Result<Option<String>, Box<dyn Error>> {
    let kite = stage.client(server)?;
    let (orders, _) = kite.orders()?;
    if let Some(twice) = sent_twice(&orders) {
        // No waiting mends that.
        return Ok(Some(format!("the order {twice} was sent twice")));
    }
    let (rows, _) = kite.positions()?;
    let ours = status_of(stage, day)?;
    for symbol in SYMBOLS {
        let theirs: i64 = rows.iter().filter(|row| row.tradingsymbol == symbol).map(|row| row.quantity().0).sum();
        let held = ours.positions.iter().find(|held| held.symbol == symbol).map_or(0, |held| held.quantity.0);
        if theirs != held {
            return Ok(Some(format!("the broker holds {theirs} of {symbol}, the session {held}")));
        }
    }
    Ok((!ours.risk.unprotected.is_empty()).then(|| format!("no stop for {}", ours.risk.unprotected.join(", "))))
}

/// A tag that two orders of the broker's book carry: one intent, sent twice.
fn sent_twice(orders: &[OrderRow]) -> Option<String> {
    let mut tags: BTreeMap<&str, u32> = BTreeMap::new();
    for tag in orders.iter().filter_map(|order| order.tag.as_deref()) {
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
