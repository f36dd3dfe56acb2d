//! `compare`: two runs, trade by trade, order by order, fill by fill.

use super::Verdict;
use crate::cli::{Cli, Compare, Format};
use crate::output::{self, Align, line, table};
use daybook_replay::{Comparison, FillGap, Filled, Mismatch, Recorded, Said, Table, compare};
use daybook_vocabulary::Money;
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
    let tables = [
        ("trades", &found.trades),
        ("orders", &found.orders),
        ("updates", &found.updates),
        ("fills", &found.fills),
        ("decisions", &found.decisions),
    ];
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
    if let Some(first) = &found.first_fill {
        let before = if found.decided_alike_until_then {
            "the first fill that differs; every order decided before it was known is equal"
        } else {
            "the first fill that differs; orders decided before it was known differ already"
        };
        line(before);
        mismatch(first);
    }
    gaps(found);
    for (name, table) in tables.into_iter().filter(|(_, table)| !table.is_equal()) {
        differences(name, table);
    }
}

/// What was filled on one side beside what was filled on the other, order by order.
fn gaps(found: &Comparison) {
    use Align::{Left, Right};
    if found.gaps.is_empty() {
        return;
    }
    line("fills, order by order: how much better the right one was for the trader");
    let columns = [
        ("symbol", Left),
        ("order", Right),
        ("side", Left),
        ("left", Right),
        ("at", Right),
        ("right", Right),
        ("at", Right),
        ("better bps", Right),
        ("better by", Right),
    ];
    let filled = |side: &Option<Filled>| match side {
        Some(filled) => [filled.quantity.to_string(), filled.average.to_string()],
        None => ["-".to_owned(), "-".to_owned()],
    };
    let row = |gap: &FillGap| {
        let ([left, left_at], [right, right_at]) = (filled(&gap.left), filled(&gap.right));
        let bps = gap.better_bps.map_or_else(|| "-".to_owned(), |bps| bps.to_string());
        let (number, side) = (of_parent(gap.number, gap.from_before), gap.side.to_string());
        vec![gap.symbol.clone(), number, side, left, left_at, right, right_at, bps, gap.better_by.to_string()]
    };
    table(&columns, &found.gaps.iter().map(row).collect::<Vec<_>>());
    let total: Money = found.gaps.iter().map(|gap| gap.better_by).sum();
    line(format_args!(
        "{} orders filled differently; together the right fills were better by {total}",
        found.gaps.len()
    ));
}

fn differences(name: &str, table: &Table) {
    let fields: Vec<_> = table.fields.iter().map(|(field, count)| format!("{field} {count}")).collect();
    let fields = if fields.is_empty() { String::new() } else { format!("; fields: {}", fields.join(", ")) };
    line(format_args!("the first {} {name} that are not equal{fields}", table.differences.len()));
    table.differences.iter().for_each(mismatch);
}

fn mismatch(found: &Mismatch) {
    let part = found.part.map(|part| format!(".{part}")).unwrap_or_default();
    let number = of_parent(found.number, found.from_before);
    line(format_args!("  {} {number}{part} of {} ({})", found.kind, found.symbol, found.market));
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

/// The number of an order; one that a fork took up has the parent's.
fn of_parent(number: u64, from_before: bool) -> String {
    if from_before { format!("{number} (the parent's)") } else { number.to_string() }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
