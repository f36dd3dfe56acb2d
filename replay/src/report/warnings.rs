//! What a reader should know before trusting a run: the same sentences at the top of the page, in `summary.json` and on
//! the terminal.
//!
//! - Facts of the run come first, then what the gate refused, what was left over, and the first alarms.
//! - Must never: leave out what makes the figures better than they would have been.

use super::RunFacts;
use super::fold::Findings;
use super::format::Style;
use super::page::style_of;

/// The sentences; none where there is nothing to know.
pub(super) fn warnings(findings: &Findings, facts: &RunFacts) -> Vec<String> {
    let style = style_of(findings);
    let mut list = Vec::new();
    if facts.calendar_unknown {
        list.push(
            "calendar unknown: part of this run lies before the calendar's first date; there, every date that has data counts as a session"
                .to_owned(),
        );
    }
    list.extend(facts.warnings.iter().cloned());
    for (verdict, count) in &findings.refused {
        list.push(format!("{} refused by the gate: {verdict}", many(style, *count, "order")));
    }
    if findings.still_working > 0 {
        list.push(format!("{} still working at the end of the data", many(style, findings.still_working, "order")));
    }
    if findings.open_positions > 0 {
        let count = many(style, findings.open_positions.into(), "position");
        list.push(format!("{count} still open at the end, valued at the last close"));
    }
    if findings.after_the_end > 0 {
        let count = many(style, findings.after_the_end, "event");
        list.push(format!("{count} named an order that is unknown or had ended: orders.csv does not show them"));
    }
    list.extend(findings.first_alarms.iter().cloned());
    let more = findings.alarms - findings.first_alarms.len() as u64;
    if more > 0 {
        list.push(format!("{} more", many(style, more, "alarm")));
    }
    list
}

/// A number of things in words.
pub(super) fn many(style: Style, count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {word}{plural}", style.count(count))
}
