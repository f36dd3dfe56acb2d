//! `status`: where a live session stands, from its journal alone; the same while its daemon runs and after a kill.

use super::Verdict;
use crate::cli::{Cli, Format, Status as Arguments};
use crate::output::{self, Align, line, measured, table};
use daybook_config::Calendar;
use daybook_replay::Recorded;
use daybook_replay::status::{DayStage, DifferenceNow, OrderNow, PositionNow, Status, status};
use daybook_vocabulary::{Measure, Nanos};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Arguments) -> Verdict {
    let found = status_of(cli, &arguments.session)?;
    if cli.format == Format::Json {
        output::json(&found)?;
    } else {
        print(&found);
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a session stands.
pub fn status_of(cli: &Cli, session: &Path) -> Result<Status, Box<dyn Error>> {
    let journal = super::journal_of(session);
    let recorded = Recorded::open(&journal)?;
    let calendar_file = super::settings(cli, Vec::new())?.settings.calendar_file;
    let ended = journal.parent().is_some_and(|run| run.join("manifest.json").exists());
    Ok(status(&recorded, calendar_file, ended)?)
}

fn print(found: &Status) {
    let running = match (found.running, found.ended) {
        (true, _) => "a daemon is at work",
        (false, true) => "ended for good",
        (false, false) => "no daemon is at work; the same command takes it up on its day",
    };
    let mode = serde_json::to_value(found.mode).unwrap_or_default();
    line(format_args!("session   {} ({}): {running}", found.journal.display(), mode.as_str().unwrap_or_default()));
    let stage = match found.stage {
        DayStage::Waiting => "waiting for the open",
        DayStage::Open => "open",
        DayStage::Over => "over",
    };
    let date = found.session.map(|date| format!("{date} ")).unwrap_or_default();
    let hours = found.hours.map(|(open, close)| format!(", {} to {}", clock(open), clock(close))).unwrap_or_default();
    line(format_args!("market    {date}{stage}{hours}; strategy {} on {} bars", found.strategy, found.interval));
    line(format_args!(
        "journal   {} frames as of {}, {} seal(s), content {}",
        output::grouped(found.frames),
        clock(found.as_of),
        found.seals,
        found.content
    ));
    let counts = found.counts;
    line(format_args!(
        "so far    {} bars, {} orders, {} fills, {} trades",
        output::grouped(counts.bars),
        counts.orders,
        counts.fills,
        counts.trades
    ));
    let account = found.account;
    line(format_args!(
        "account   equity {}  today {}  cash {}  free {}",
        account.equity, account.day, account.cash, account.free
    ));
    line(format_args!(
        "          realised {}  unrealised {}  charges {}",
        account.realised, account.unrealised, account.fees
    ));
    if found.risk.peak > account.equity {
        line(format_args!("          peak {}, {} below it", found.risk.peak, found.risk.peak - account.equity));
    }
    risk(found);
    broker(found);
    feed(found);
    positions(&found.positions);
    orders(&found.orders);
    for alarm in &found.alarms {
        line(format_args!("alarm     {}  seq {}  {}: {}", clock(alarm.time), alarm.seq, alarm.code, alarm.text));
    }
}

fn risk(found: &Status) {
    let risk = &found.risk;
    line(format_args!("entries   {}", if risk.entries { "allowed" } else { "LOCKED" }));
    for lock in &risk.locks {
        let until =
            lock.session.map_or_else(|| "until resumed".to_owned(), |date| format!("for the session of {date}"));
        let [allowed, met] = [lock.allowed, lock.observed].map(|one| measured(one, lock.limit.is_hour()));
        line(format_args!("lock      {} {until}: allowed {allowed}, met {met}", lock.limit));
    }
    for standing in &risk.portfolio {
        let name = if standing.of.is_empty() { String::new() } else { format!(" {}", standing.of) };
        let bound = |bound: Option<Measure>| bound.map_or_else(|| "-".to_owned(), |bound| bound.to_string());
        let now = standing.now.map_or_else(|| "not known".to_owned(), |now| now.to_string());
        let allowed = match (standing.least, standing.most) {
            (None, most) => format!("at most {}", bound(most)),
            (least, most) => format!("{} to {}", bound(least), bound(most)),
        };
        line(format_args!("limit     {}{name}: {now}, allowed {allowed}", standing.limit));
    }
    if let Some(limit) = risk.leaving {
        line(format_args!("leaving   every position is being left: {limit}"));
    }
    if !risk.unprotected.is_empty() {
        line(format_args!("stops     none, or not for all of it: {}", risk.unprotected.join(", ")));
    }
    if let Some(said) = &found.command {
        line(format_args!("operator  {} at {} ({})", said.command, clock(said.time), said.source));
    }
}

fn broker(found: &Status) {
    let Some(broker) = &found.broker else { return };
    let armed = if broker.armed { "armed" } else { "NOT ARMED" };
    let books = if broker.reconciled { "its books and ours agree" } else { "its books have NOT been found to agree" };
    let waits = if broker.waits { "; something waits for its word" } else { "" };
    line(format_args!("broker    {armed}, {books}{waits}"));
    if !broker.unknown.is_empty() {
        let orders: Vec<String> = broker.unknown.iter().map(ToString::to_string).collect();
        line(format_args!(
            "unknown   the fate of order {}: looked for by its tag, never sent again",
            orders.join(", ")
        ));
    }
    for DifferenceNow { time, symbol, difference } in &broker.differences {
        line(format_args!(
            "differed  {}  {symbol} {}: ours {}, the broker's {}; {}",
            clock(*time),
            difference.what,
            difference.ours,
            difference.theirs,
            difference.remedy
        ));
    }
}

fn feed(found: &Status) {
    let feed = &found.feed;
    let state = match (feed.change, feed.at) {
        (Some(change), Some(at)) => format!("{change} since {}", clock(at)),
        _ => "never connected".to_owned(),
    };
    let why = if feed.reason.is_empty() { String::new() } else { format!(" ({})", feed.reason) };
    let slice = feed.slice.map(|at| format!("; last decision point {}", clock(at))).unwrap_or_default();
    line(format_args!("feed      {state}{why}, lost {} time(s), {} dropped{slice}", feed.lost, feed.dropped));
    let silent: Vec<&str> =
        found.heard.iter().filter(|heard| heard.at.is_none()).map(|heard| heard.symbol.as_str()).collect();
    let oldest = found.heard.iter().filter_map(|heard| heard.age_seconds.map(|age| (age, heard))).max_by_key(|it| it.0);
    if let Some((age, heard)) = oldest {
        line(format_args!(
            "heard     the longest ago: {}, {age} s before the last frame, at {}",
            heard.symbol, heard.last
        ));
    }
    if !silent.is_empty() {
        line(format_args!("heard     nothing yet of {}", silent.join(", ")));
    }
}

fn positions(held: &[PositionNow]) {
    if held.is_empty() {
        return line("positions none");
    }
    use Align::{Left, Right};
    let columns = [
        ("position", Left),
        ("quantity", Right),
        ("average", Right),
        ("last", Right),
        ("profit", Right),
        ("stop", Right),
        ("protected", Right),
        ("since", Left),
    ];
    let row = |one: &PositionNow| {
        vec![
            one.symbol.clone(),
            one.quantity.to_string(),
            one.average.to_string(),
            one.last.to_string(),
            one.unrealised.to_string(),
            or_dash(one.stop),
            one.protected.to_string(),
            one.since.map_or_else(|| "-".to_owned(), clock),
        ]
    };
    table(&columns, &held.iter().map(row).collect::<Vec<_>>());
}

fn orders(working: &[OrderNow]) {
    if working.is_empty() {
        return line("orders    none working");
    }
    use Align::{Left, Right};
    let columns = [
        ("order", Right),
        ("symbol", Left),
        ("side", Left),
        ("type", Left),
        ("quantity", Right),
        ("filled", Right),
        ("limit", Right),
        ("stop", Right),
        ("state", Left),
        ("why", Left),
        ("since", Left),
    ];
    let row = |one: &OrderNow| {
        vec![
            one.order.to_string(),
            one.symbol.clone(),
            one.side.to_string(),
            format!("{} {}", one.order_type, one.time_in_force),
            one.quantity.to_string(),
            one.filled.to_string(),
            or_dash(one.limit),
            or_dash(one.stop),
            one.state.to_string(),
            one.reason.clone(),
            clock(one.since),
        ]
    };
    table(&columns, &working.iter().map(row).collect::<Vec<_>>());
}

fn or_dash(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A time as people at the exchange read it; to the second.
fn clock(time: Nanos) -> String {
    let there = time + Calendar::nse().zone_offset();
    let text = there.to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ") + " IST"
}
