//! The report of a training: curves of loss, Q, exploration, reward and action mix, and the evaluation, as one page.
//!
//! - Everything is in the file: no script, no font, nothing is loaded from elsewhere.
//! - Curves are drawn from the training's journal, thinned to what a screen can show.

use super::record::{Measured, Told};
use super::reliability;
use daybook_replay::winner::Ground;
use daybook_train::evaluate::{Comparison, Measures};
use daybook_vocabulary::TrainingStep;
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
const POINTS: usize = 640;
const LINES: [&str; 6] = ["#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#718096"];
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#222}\
    h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .3rem}svg{width:100%;height:auto;background:#fafafa}\
    text{font:11px system-ui,sans-serif;fill:#666}table{border-collapse:collapse;width:100%}\
    td,th{padding:.2rem .5rem;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
    td{overflow-wrap:anywhere}td:first-child{white-space:nowrap}.wide{overflow-x:auto}.numbers{font-size:.72rem;line-height:1.35}\
    .numbers td,.numbers th{padding:.2rem .25rem;overflow-wrap:normal;vertical-align:top}\
    @media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}svg{background:#222}td,th{border-color:#444}}";

/// A named curve and its colour.
struct Curve<'a> {
    name: &'a str,
    colour: &'a str,
    points: Vec<(f64, f64)>,
}

/// The page.
pub fn page(title: &str, facts: &[(String, String)], told: &Told, measured: Option<(&Comparison, &Ground)>) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
        escape(title)
    );
    html.push_str("<table>");
    for (name, value) in facts {
        let _ = write!(html, "<tr><td>{}</td><td>{}</td></tr>", escape(name), escape(value));
    }
    html.push_str("</table>");
    let curve = |name, colour, of: &dyn Fn(&TrainingStep) -> f64| Curve { name, colour, points: points(told, of) };
    let blue = "#2b6cb0";
    chart(&mut html, "Loss (mean Huber)", &[curve("loss", blue, &|step| step.loss.value().into())]);
    chart(&mut html, "Q of the actions taken", &[curve("Q", blue, &|step| step.q.value().into())]);
    chart(&mut html, "Reward of the batch, R", &[curve("reward", blue, &|step| step.reward.value().into())]);
    chart(&mut html, "Gradient norm", &[curve("norm", blue, &|step| step.gradient_norm.value().into())]);
    chart(&mut html, "Exploration ε", &[curve("ε", blue, &|step| step.epsilon.0 as f64 / 1e8)]);
    let share = |step: &TrainingStep, action: usize| {
        step.actions[action] as f64 / step.actions.iter().sum::<u64>().max(1) as f64
    };
    let mix = [("BUY", "#2f855a"), ("SELL", "#c53030"), ("HOLD", "#718096")].into_iter().enumerate();
    let mix: Vec<Curve> =
        mix.map(|(action, (name, colour))| curve(name, colour, &|step| share(step, action))).collect();
    chart(&mut html, "Action mix of the greedy policy", &mix);
    evaluations(&mut html, &told.evaluations);
    if let Some((comparison, ground)) = measured {
        let trained = facts.iter().find(|(name, _)| name == "holdout").map(|(_, range)| range.as_str());
        table(&mut html, comparison, ground, trained);
        reliability::section(&mut html, &comparison.calibration);
    }
    html.push_str("</html>\n");
    html
}

/// Every evaluation with what it was measured on; rewards that were measured alike are one line of the chart.
fn evaluations(html: &mut String, all: &[Measured]) {
    if all.is_empty() {
        return;
    }
    let alike = |one: &Measured, other: &Measured| match (&one.measured, &other.measured) {
        (Some(one), Some(other)) => one.unlike(other).is_none(),
        _ => false,
    };
    let mut lines: Vec<Vec<&Measured>> = Vec::new();
    let mut rows = String::new();
    for one in all {
        let place = lines.iter().position(|line| alike(line[0], one)).unwrap_or(lines.len());
        if place == lines.len() {
            lines.push(Vec::new());
        }
        lines[place].push(one);
        let _ = write!(rows, "<tr><td>{}</td><td>{}</td><td>{:+.4}</td>", place + 1, one.steps, one.avg_reward);
        let _ = match &one.measured {
            Some(ground) => write!(
                rows,
                "<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                ground.trades,
                ground.sessions,
                ground.range(),
                escape(&ground.words())
            ),
            None => write!(rows, "<td colspan=\"4\">an earlier version did not say on what</td></tr>"),
        };
    }
    let names: Vec<String> = (1..=lines.len()).map(|number| number.to_string()).collect();
    let points = |line: &[&Measured]| line.iter().map(|one| (one.steps as f64, one.avg_reward)).collect();
    let curves: Vec<Curve> = lines
        .iter()
        .zip(&names)
        .zip(LINES.iter().cycle())
        .map(|((line, name), colour)| Curve { name, colour, points: points(line) })
        .collect();
    chart(html, "Average reward of the evaluations, R a trade", &curves);
    let _ = write!(
        html,
        "<p>Only what was measured on the same range, symbols, data and charges is one line.</p><div class=\"wide\">\
         <table class=\"numbers\"><tr><th>line</th><th>steps</th><th>avg R</th><th>trades</th><th>sessions</th>\
         <th>range</th><th>measured on</th></tr>{rows}</table></div>"
    );
}

fn points(told: &Told, of: &dyn Fn(&TrainingStep) -> f64) -> Vec<(f64, f64)> {
    let every = told.steps.len().div_ceil(POINTS).max(1);
    let all: Vec<(f64, f64)> = told.steps.values().map(|step| (step.step as f64, of(step))).collect();
    let mean = |part: &[(f64, f64)]| {
        let count = part.len() as f64;
        (part[part.len() - 1].0, part.iter().map(|point| point.1).sum::<f64>() / count)
    };
    all.chunks(every).map(mean).collect()
}

fn chart(html: &mut String, title: &str, curves: &[Curve]) {
    let _ = write!(html, "<h2>{}</h2>", escape(title));
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((left, right), (low, high)) = (bounds(|point| point.0), bounds(|point| point.1));
    if !(low.is_finite() && high.is_finite()) {
        html.push_str("<p>nothing was recorded</p>");
        return;
    }
    let (wide, tall) = ((right - left).max(1e-12), (high - low).max(1e-12));
    // What never moves is a line in the middle, with its one value.
    let moves = high > low;
    let place = |point: &(f64, f64)| {
        let x = 50.0 + (point.0 - left) / wide * (WIDTH - 60.0);
        let part = if moves { (point.1 - low) / tall } else { 0.5 };
        let y = HEIGHT - 20.0 - part * (HEIGHT - 35.0);
        format!("{x:.1},{y:.1}")
    };
    // As many digits as tell the ends apart.
    let apart = |digits: &usize| format!("{low:.digits$}") != format!("{high:.digits$}");
    let digits = (4..=8).find(apart).unwrap_or(4);
    let ends = if moves { vec![(20.0, high), (HEIGHT - 20.0, low)] } else { vec![(HEIGHT / 2.0, high)] };
    let _ = write!(html, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(title));
    for (y, value) in ends {
        let _ = write!(html, "<text x=\"2\" y=\"{y}\">{value:.digits$}</text>");
    }
    let _ = write!(
        html,
        "<text x=\"50\" y=\"{}\">step {left}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{right}</text>",
        HEIGHT - 4.0,
        WIDTH - 5.0,
        HEIGHT - 4.0
    );
    for (index, curve) in curves.iter().enumerate() {
        let line: Vec<String> = curve.points.iter().map(place).collect();
        let (colour, name) = (curve.colour, escape(curve.name));
        if let [only] = curve.points.as_slice() {
            let at = place(only);
            let (x, y) = at.split_once(',').unwrap_or(("0", "0"));
            let _ = write!(html, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let _ = write!(
            html,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\
             <text x=\"{}\" y=\"12\" style=\"fill:{colour}\">{name}</text>",
            line.join(" "),
            60 + index * 60
        );
    }
    html.push_str("</svg>");
}

fn table(html: &mut String, comparison: &Comparison, ground: &Ground, trained: Option<&str>) {
    let number =
        |value: Option<f64>, digits: usize| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"));
    let range = ground.range();
    let held = match trained {
        Some(held) if held == range => "the range held out by the training".to_owned(),
        Some(held) => format!("NOT the range held out by the training, which is {held}"),
        None => "the training held no range out".to_owned(),
    };
    let _ = write!(
        html,
        "<h2>Evaluation on {} to {}</h2><p>{}: {}.</p>",
        ground.from,
        ground.to,
        escape(&ground.words()),
        escape(&held)
    );
    let _ = write!(
        html,
        "<p>{}</p><div class=\"wide\"><table class=\"numbers\"><tr><th>who</th><th>trades</th><th>open</th><th>avg R</th><th>95&nbsp;%</th><th>MAE R</th>\
         <th>% of MFE</th><th>shortfall %</th><th>adherence %</th><th>net</th><th>Sharpe</th><th>BUY/SELL/HOLD</th></tr>",
        escape(&comparison.verdict)
    );
    let mut row = |one: &Measures| {
        let [buy, sell, hold] = one.actions;
        let interval = one.reward.map(|reward| format!("{:+.2} {:+.2}", reward.low, reward.high));
        let interval = interval.unwrap_or_else(|| "–".to_owned());
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{interval}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{:.0}</td><td>{}</td><td>{buy}/&#8203;{sell}/&#8203;{hold}</td></tr>",
            escape(&one.name),
            one.trades,
            one.open,
            number(one.reward.map(|reward| reward.mean), 4),
            number(one.mae_r, 3),
            number(one.mfe_captured, 1),
            number(one.shortfall, 1),
            number(one.adherence, 1),
            one.net,
            number(one.sharpe, 2)
        );
    };
    row(&comparison.model);
    comparison.others.iter().for_each(&mut row);
    html.push_str("</table></div>");
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
