//! What a reader should know before trusting a run: the same sentences at the top of the page, in `summary.json` and on
//! the terminal.
//!
//! - Facts of the run come first, then what the gate refused, what was left over, and the first alarms.
//! - Must never: leave out what makes the figures better than they would have been.

use super::RunFacts;
use super::fold::Findings;
use super::format::Style;
use super::page::style_of;
use daybook_vocabulary::SessionHeader;

/// The sentences; none where there is nothing to know.
pub(super) fn warnings(findings: &Findings, header: &SessionHeader, facts: &RunFacts) -> Vec<String> {
    let style = style_of(findings);
    let mut list = Vec::new();
    if facts.calendar_unknown {
        list.push(
            "calendar unknown: part of this run lies before the calendar's first date; there, every date that has data counts as a session"
                .to_owned(),
        );
    }
    list.extend(facts.warnings.iter().cloned());
    list.extend(of_costs(findings, &header.settings));
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

/// What the charges do not say: that there are none, or that they are another product's or another market's.
fn of_costs(findings: &Findings, written: &str) -> Vec<String> {
    let settings: serde_json::Value = serde_json::from_str(written).unwrap_or_default();
    let Some(costs) = settings["settings"]["costs"].as_str() else { return Vec::new() };
    let product = settings["settings"]["exchange.product"].as_str().unwrap_or("delivery");
    let style = style_of(findings);
    let mut list = Vec::new();
    if costs == "none" && findings.fills > 0 {
        list.push(
            "No charges (costs=none): every figure is before brokerage, taxes and the exchange's fees".to_owned(),
        );
    }
    if (costs == "zerodha-intraday" || product == "intraday") && findings.over_night > 0 {
        let by = match (costs, product) {
            (_, "intraday") => "exchange.product=intraday".to_owned(),
            (costs, _) => format!("costs={costs}"),
        };
        let count = many(style, findings.over_night, "trade");
        list.push(format!("{count} held over night under {by}: a broker squares such positions off the same day"));
    }
    if product == "delivery" && findings.shorts_over_night > 0 {
        let count = many(style, findings.shorts_over_night, "short");
        let text = "an exchange's cash market delivers shares, so what was sold short is bought back the same day";
        list.push(format!("{count} of shares held over night under exchange.product=delivery: {text}"));
    }
    let abroad = findings.instruments.values().filter(|found| found.fills > 0 && found.market != "nse").count();
    if costs.starts_with("zerodha-") && abroad > 0 {
        let count = many(style, abroad as u64, "symbol");
        list.push(format!("{count} of another market charged by the rates of the NSE (costs={costs})"));
    }
    list
}

/// A number of things in words.
pub(super) fn many(style: Style, count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {word}{plural}", style.count(count))
}
