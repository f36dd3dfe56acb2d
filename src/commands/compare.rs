//! `compare`: two runs, trade by trade, order by order, fill by fill.

use super::Verdict;
use crate::cli::{Cli, Compare, Format};
use crate::output::{self, line};
use daybook_replay::{Comparison, Mismatch, Recorded, Said, Table, compare};
use serde_json::Value;
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Compare) -> Verdict {
    let left = Recorded::open(&super::journal_of(&arguments.left))?;
    let right = Recorded::open(&super::journal_of(&arguments.right))?;
    let comparison = compare(&left, &right, arguments.limit as usize)?;
    if cli.format == Format::Json {
        output::json(&comparison)?;
    } else {
        print(&comparison);
    }
    Ok(if comparison.verdict == "equal" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The comparison for people.
pub fn print(found: &Comparison) {
    line(found.verdict);
    line(format_args!("{:8} {:>10} {:>10} {:>10} {:>10}", "", "equal", "different", "only left", "only right"));
    let tables =
        [("trades", &found.trades), ("orders", &found.orders), ("updates", &found.updates), ("fills", &found.fills)];
    for (name, table) in tables {
        line(format_args!(
            "{name:8} {:>10} {:>10} {:>10} {:>10}",
            output::grouped(table.equal),
            output::grouped(table.different),
            output::grouped(table.left_only),
            output::grouped(table.right_only)
        ));
    }
    for (name, side) in [("left", &found.left), ("right", &found.right)] {
        line(format_args!(
            "{name:8} {}  P&L {}  charges {}  turnover {}  {}",
            side.strategy,
            side.pnl,
            side.fees,
            side.turnover,
            side.journal.display()
        ));
    }
    line(format_args!("delta    P&L {}  charges {}", found.pnl_delta, found.fees_delta));
    for setting in &found.settings {
        line(format_args!("setting  {}: {} | {}", setting.name, plain(&setting.left), plain(&setting.right)));
    }
    if let Some(first) = &found.first_decision {
        line("the first decision that differs");
        mismatch(first);
    }
    for (name, table) in tables.into_iter().filter(|(_, table)| !table.is_equal()) {
        differences(name, table);
    }
}

fn differences(name: &str, table: &Table) {
    let fields: Vec<_> = table.fields.iter().map(|(field, count)| format!("{field} {count}")).collect();
    let fields = if fields.is_empty() { String::new() } else { format!("; fields: {}", fields.join(", ")) };
    line(format_args!("the first {} {name} that are not equal{fields}", table.differences.len()));
    table.differences.iter().for_each(mismatch);
}

fn mismatch(found: &Mismatch) {
    let part = found.part.map(|part| format!(".{part}")).unwrap_or_default();
    line(format_args!("  {} {}{part} of {} ({})", found.kind, found.number, found.symbol, found.market));
    for (name, said) in [("left", &found.left), ("right", &found.right)] {
        match said {
            None => line(format_args!("      {name:5}  -")),
            Some(said) => line(format_args!("      {name:5}  {}  seq {}  {}", said.time, said.seq, told(said, found))),
        }
    }
}

/// The fields that differ; all of them where there is no match, or only the time differs, or it is a decision.
fn told(said: &Said, found: &Mismatch) -> String {
    let is_whole = found.kind == "order-intent" || found.fields.iter().all(|field| field == "time");
    if is_whole {
        let fields = said.event.as_object().into_iter().flatten();
        // A cause was taken out before the comparison, and a table within a line is not for people.
        let fields = fields.filter(|(name, value)| *name != "cause" && !value.is_object() && !value.is_null());
        return fields.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ");
    }
    let fields = found.fields.iter().filter(|field| *field != "time");
    let value = |field: &String| format!("/{}", field.replace('.', "/"));
    fields
        .map(|field| format!("{field}={}", said.event.pointer(&value(field)).map_or_else(|| "-".to_owned(), plain)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
