//! How confident a model is and how often it is right, for the report and for the terminal.
//!
//! - A diagram shows a point a bin: confidence to the right, share that was right upwards, its interval as a line; on the
//!   diagonal both are equal.
//! - Must never: show a share without saying what right means.

use super::page::escape;
use crate::output;
use daybook_train::calibration::{Bin, Reliability};
use daybook_train::evaluate::Estimate;
use std::fmt::Write as _;

/// Side of a diagram.
const SIDE: f64 = 320.0;
const EDGE: f64 = 34.0;

/// The section of the report; nothing where nothing was judged.
pub fn section(html: &mut String, tables: &[Reliability]) {
    for (place, one) in tables.iter().enumerate() {
        if place == 0 {
            html.push_str("<h2>Confidence and how often it is right</h2>");
        }
        let _ = write!(
            html,
            "<p>{}.</p><p><b>Right</b> means, for {}: {}.</p>",
            escape(&one.verdict()),
            escape(&one.of),
            escape(&one.right_means)
        );
        diagram(html, one);
        html.push_str(
            "<div class=\"wide\"><table class=\"numbers\"><tr><th>confidence</th><th>mean</th><th>judged</th><th>right</th>\
             <th>95&nbsp;%</th></tr>",
        );
        for bin in &one.bins {
            let _ = write!(
                html,
                "<tr><td>{:.4} to {:.4}</td><td>{:.4}</td><td>{}</td><td>{:.4}</td><td>{}</td></tr>",
                bin.low,
                bin.high,
                bin.confidence,
                bin.count,
                bin.right,
                interval(bin)
            );
        }
        html.push_str("</table></div>");
    }
}

/// The bounds of a bin's share, kept within what a share can be.
fn bounds(one: &Estimate) -> (f64, f64) {
    (one.low.clamp(0.0, 1.0), one.high.clamp(0.0, 1.0))
}

fn interval(bin: &Bin) -> String {
    let text = |one: &Estimate| {
        let (low, high) = bounds(one);
        format!("{low:.3} {high:.3}")
    };
    bin.interval.as_ref().map_or_else(|| "–".to_owned(), text)
}

fn diagram(html: &mut String, table: &Reliability) {
    let x = |share: f64| EDGE + share.clamp(0.0, 1.0) * (SIDE - EDGE - 8.0);
    let y = |share: f64| SIDE - EDGE - share.clamp(0.0, 1.0) * (SIDE - EDGE - 8.0);
    let _ = write!(
        html,
        "<svg viewBox=\"0 0 {SIDE} {SIDE}\" style=\"max-width:20rem;display:block\" role=\"img\" aria-label=\"Share that was right \
         by confidence, {}\"><path d=\"M{} {}L{} {}\" stroke=\"#999\" stroke-dasharray=\"4 3\"/>\
         <path d=\"M{} {}V{}H{}\" fill=\"none\" stroke=\"#999\"/>",
        escape(&table.of),
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0),
        x(0.0),
        y(1.0),
        y(0.0),
        x(1.0)
    );
    for share in [0.0, 0.5, 1.0] {
        let _ = write!(
            html,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{share}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{share}</text>",
            x(share),
            y(0.0) + 14.0,
            x(0.0) - 4.0,
            y(share) + 4.0
        );
    }
    let _ = write!(
        html,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">confidence</text><text x=\"{}\" y=\"{}\">share right</text>",
        x(0.5),
        y(0.0) + 28.0,
        x(0.0) + 6.0,
        y(1.0) + 10.0
    );
    for bin in &table.bins {
        if let Some((low, high)) = bin.interval.as_ref().map(bounds) {
            let _ = write!(
                html,
                "<path d=\"M{:.1} {:.1}V{:.1}\" stroke=\"#2b6cb0\" stroke-opacity=\".5\"/>",
                x(bin.confidence),
                y(low),
                y(high)
            );
        }
        let _ = write!(
            html,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#2b6cb0\"/>",
            x(bin.confidence),
            y(bin.right)
        );
    }
    html.push_str("</svg>");
}

/// The same for the terminal.
pub fn print(tables: &[Reliability]) {
    use output::Align::{Left, Right};
    for one in tables {
        output::line(one.verdict());
        output::line(format_args!("right means, for {}: {}", one.of, one.right_means));
        let row = |bin: &Bin| {
            let range = format!("{:.4} to {:.4}", bin.low, bin.high);
            vec![range, output::grouped(bin.count), format!("{:.4}", bin.right), interval(bin)]
        };
        let rows: Vec<Vec<String>> = one.bins.iter().map(row).collect();
        output::table(&[("confidence", Left), ("judged", Right), ("right", Right), ("95 %", Right)], &rows);
    }
}
