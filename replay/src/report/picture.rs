//! Pictures: static SVG, drawn to one width and scaled by the page.
//!
//! - Colours come from the page's style sheet through classes, so that light and dark are one picture.
//! - Coordinates have one decimal: small files, the same bytes on every machine.
//! - Every number that is not finite was dealt with before it came here; text is escaped here.

use super::chart::TradeChart;
use super::fold::SessionPoint;
use super::format::{Style, clock, escape, float, moment, percent};
use super::series::{Bins, ChartBar, multiples, nice_step, thin};
use chrono::Datelike;
use daybook_vocabulary::{Date, Nanos, Side};
use std::fmt::Write as _;

/// Width of the wide pictures.
const WIDTH: f64 = 1120.0;
/// Room for the labels of the vertical axis.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 14.0;
/// Most points of a curve.
pub(super) const CURVE_POINTS: usize = 1_500;

/// A drawing surface.
struct Canvas {
    out: String,
    width: f64,
    height: f64,
}

/// A straight scale from values to a range of coordinates.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale; a range without extent is given some.
    fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        if high - low > 0.0 {
            return Self { low, high, from, to };
        }
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.01 };
        Self { low: low - room, high: high + room, from, to }
    }

    fn at(self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

impl Canvas {
    fn new(height: f64, width: f64, title: &str) -> Self {
        let title = escape(title);
        let out = format!(r#"<svg viewBox="0 0 {width:.0} {height:.0}" role="img" aria-label="{title}">"#);
        Self { out, width, height }
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("writing to a string does not fail");
    }

    fn line(&mut self, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
        self.add(format_args!(r#"<path class="{class}" d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}"/>"#));
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let text = escape(text);
        self.add(format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#));
    }

    /// Horizontal lines with labels.
    fn levels(&mut self, scale: Scale, count: usize, label: impl Fn(f64, f64) -> String) {
        let step = nice_step(scale.high - scale.low, count);
        for level in multiples(scale.low, scale.high, step) {
            let y = scale.at(level);
            self.line("grid", LEFT, y, self.width - RIGHT, y);
            self.text("axis end", LEFT - 8.0, y + 4.0, &label(level, step));
        }
    }

    /// Labels of dates below the picture.
    fn dates(&mut self, scale: Scale, base: f64) {
        for (date, label) in date_ticks(scale.low as i32, scale.high as i32) {
            let x = scale.at(f64::from(date));
            self.line("tick", x, base, x, base + 4.0);
            self.text("axis middle", x.clamp(LEFT + 16.0, self.width - 30.0), base + 18.0, &label);
        }
    }

    fn finish(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }
}

/// Equity at session closes over the initial cash, the stretch of the largest drawdown shaded.
pub(super) fn equity(sessions: &[SessionPoint], initial: f64, fall: Option<(Date, Date)>, style: Style) -> String {
    let mut canvas = Canvas::new(330.0, WIDTH, "Equity at session closes");
    let points = thin(sessions, CURVE_POINTS, |point| point.equity);
    let low = points.iter().map(|point| point.equity).fold(initial, f64::min);
    let high = points.iter().map(|point| point.equity).fold(initial, f64::max);
    let room = (high - low) * 0.06;
    let base = canvas.height - 26.0;
    let y = Scale::new(low - room, high + room, base, 12.0);
    let x = date_scale(&points);
    if let Some((from, to)) = fall {
        let (left, right) = (x.at(f64::from(from.0)), x.at(f64::from(to.0)));
        let width = (right - left).max(2.0);
        canvas.add(format_args!(
            r#"<rect class="fall" x="{left:.1}" y="12" width="{width:.1}" height="{:.1}"><title>{} – {}</title></rect>"#,
            base - 12.0,
            super::format::date(from),
            super::format::date(to),
        ));
    }
    canvas.levels(y, 6, |level, _| style.short(level, 3));
    canvas.dates(x, base);
    canvas.line("initial", LEFT, y.at(initial), WIDTH - RIGHT, y.at(initial));
    let path = polyline(points.iter().map(|point| (x.at(f64::from(point.date.0)), y.at(point.equity))));
    if let ([first, ..], [.., last]) = (points.as_slice(), points.as_slice()) {
        let (left, right) = (x.at(f64::from(first.date.0)), x.at(f64::from(last.date.0)));
        let floor = y.at(initial);
        canvas.add(format_args!(r#"<path class="area" d="{path}L{right:.1} {floor:.1}L{left:.1} {floor:.1}Z"/>"#));
        canvas.add(format_args!(r#"<path class="curve" d="{path}"/>"#));
        let (end_x, end_y) = (right, y.at(last.equity));
        canvas.add(format_args!(r#"<circle class="dot" cx="{end_x:.1}" cy="{end_y:.1}" r="4"/>"#));
    }
    canvas.finish()
}

/// How far equity is below its last peak.
pub(super) fn drawdown(sessions: &[SessionPoint]) -> String {
    let mut canvas = Canvas::new(150.0, WIDTH, "Drawdown at session closes");
    let points = thin(sessions, CURVE_POINTS, |point| point.drawdown);
    let deepest = points.iter().map(|point| point.drawdown).fold(0.0, f64::max);
    let base = canvas.height - 26.0;
    // A run that never fell still gets an axis, of one percent.
    let extent = if deepest > 0.0 { deepest * 1.08 } else { 0.01 };
    let y = Scale::new(-extent, 0.0, base, 8.0);
    let x = date_scale(&points);
    canvas.levels(y, 4, percent_label);
    canvas.dates(x, base);
    let path = polyline(points.iter().map(|point| (x.at(f64::from(point.date.0)), y.at(-point.drawdown))));
    if let ([first, ..], [.., last]) = (points.as_slice(), points.as_slice()) {
        let (left, right) = (x.at(f64::from(first.date.0)), x.at(f64::from(last.date.0)));
        canvas.add(format_args!(r#"<path class="under" d="{path}L{right:.1} 8L{left:.1} 8Z"/>"#));
        canvas.add(format_args!(r#"<path class="under-line" d="{path}"/>"#));
    }
    canvas.finish()
}

/// A histogram of returns, losses and gains in their colours.
pub(super) fn histogram(bins: &Bins, title: &str) -> String {
    const NARROW: f64 = 540.0;
    let mut canvas = Canvas::new(220.0, NARROW, title);
    let tallest = bins.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let base = canvas.height - 26.0;
    let (left, right) = (8.0, NARROW - 8.0);
    let count = bins.counts.len().max(1) as f64;
    let slot = ((right - left) / count).min(48.0);
    let start = left + ((right - left) - slot * count) / 2.0;
    for (index, values) in bins.counts.iter().enumerate().filter(|(_, values)| **values > 0) {
        let lower = bins.from + bins.width * index as f64;
        let class = if lower + bins.width / 2.0 < 0.0 { "loss" } else { "gain" };
        let height = ((base - 14.0) * *values as f64 / tallest).max(1.5);
        let (x, y) = (start + slot * index as f64 + 1.0, base - height);
        let beyond = match index {
            0 if bins.more_below => " and below",
            last if last + 1 == bins.counts.len() && bins.more_above => " and above",
            _ => "",
        };
        let (from, to) = (percent_label(lower, bins.width), percent_label(lower + bins.width, bins.width));
        canvas.add(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}" rx="1.5"><title>{from} to {to}{beyond}: {values}</title></rect>"#,
            slot - 2.0
        ));
    }
    canvas.line("base", left, base, right, base);
    let every = bins.counts.len().div_ceil(7).max((64.0 / slot).ceil() as usize);
    let zero = (-bins.from / bins.width).round() as i64;
    for edge in 0..=bins.counts.len() as i64 {
        if (edge - zero).rem_euclid(every as i64) == 0 {
            let x = start + slot * edge as f64;
            canvas.line("tick", x, base, x, base + 4.0);
            let label = percent_label(bins.from + bins.width * edge as f64, bins.width * every as f64);
            canvas.text("axis middle", x.clamp(18.0, NARROW - 22.0), base + 18.0, &label);
        }
    }
    canvas.finish()
}

/// Candles with the trades made on them.
pub(super) fn candles(chart: &TradeChart, style: Style, zone_offset_ns: i64) -> String {
    let title = format!("Trades of {} on its candles", chart.symbol);
    let mut canvas = Canvas::new(400.0, WIDTH, &title);
    let prices = |pick: fn(&ChartBar) -> f64| chart.bars.iter().map(pick);
    let marks = || chart.trades.iter().flat_map(|trade| [trade.entry_price.to_f64(), trade.exit_price.to_f64()]);
    let low = prices(|bar| bar.low).chain(marks()).fold(f64::INFINITY, f64::min);
    let high = prices(|bar| bar.high).chain(marks()).fold(f64::NEG_INFINITY, f64::max);
    let room = (high - low) * 0.08;
    let base = canvas.height - 26.0;
    let floor = base - 46.0;
    let y = Scale::new(low - room, high + room, floor, 12.0);
    let slot = (WIDTH - LEFT - RIGHT) / chart.bars.len().max(1) as f64;
    let middle = |index: usize| LEFT + slot * (index as f64 + 0.5);
    canvas.levels(y, 6, |level, _| float(level, places_for(high - low)));
    bar_labels(&mut canvas, &chart.bars, middle, base, zone_offset_ns);
    bar_paths(&mut canvas, &chart.bars, middle, slot, y, base);
    for trade in &chart.trades {
        let entry = (middle(place(&chart.bars, trade.entry_time)), y.at(trade.entry_price.to_f64()));
        let exit = (middle(place(&chart.bars, trade.exit_time)), y.at(trade.exit_price.to_f64()));
        let outcome = if trade.net.0 < 0 { "lost" } else { "won" };
        let told = escape(&format!(
            "#{} {} {} · {} at {} → {} at {} · {}",
            trade.number,
            if trade.side == Side::Buy { "long" } else { "short" },
            style.exact(trade.quantity.0.into()),
            moment(trade.entry_time, zone_offset_ns),
            style.price(trade.entry_price),
            moment(trade.exit_time, zone_offset_ns),
            style.price(trade.exit_price),
            style.signed_money(trade.net),
        ));
        canvas.add(format_args!(r#"<g class="trade {outcome}"><title>{told}</title>"#));
        canvas.line("leg", entry.0, entry.1, exit.0, exit.1);
        marker(&mut canvas, entry, trade.side, slot);
        marker(&mut canvas, exit, trade.side.opposite(), slot);
        canvas.out.push_str("</g>");
    }
    canvas.finish()
}

/// A triangle whose tip touches the fill: a buy points up from below, a sell down from above.
fn marker(canvas: &mut Canvas, (x, y): (f64, f64), side: Side, slot: f64) {
    let (class, down) = match side {
        Side::Buy => ("buy", 1.6),
        Side::Sell => ("sell", -1.6),
    };
    // Wider than the candle it stands on.
    let half = (slot * 0.5).clamp(5.5, 9.0);
    let (down, width) = (down * half, 2.0 * half);
    canvas.add(format_args!(r#"<path class="{class}" d="M{x:.1} {y:.1}l{half:.1} {down:.1}h-{width:.1}z"/>"#));
}

fn bar_paths(canvas: &mut Canvas, bars: &[ChartBar], middle: impl Fn(usize) -> f64, slot: f64, y: Scale, base: f64) {
    let body = (slot * 0.68).clamp(0.8, 9.0);
    let largest = bars.iter().map(|bar| bar.volume).fold(0.0, f64::max);
    let mut paths = [String::new(), String::new(), String::new()];
    for (index, bar) in bars.iter().enumerate() {
        let x = middle(index);
        let path = &mut paths[usize::from(bar.close < bar.open)];
        let (top, bottom) = (y.at(bar.open.max(bar.close)), y.at(bar.open.min(bar.close)));
        let height = (bottom - top).max(0.8);
        let left = x - body / 2.0;
        write!(
            path,
            "M{x:.1} {:.1}V{:.1}M{left:.1} {top:.1}h{body:.1}v{height:.1}h-{body:.1}z",
            y.at(bar.high),
            y.at(bar.low)
        )
        .expect("writing to a string does not fail");
        if largest > 0.0 {
            let tall = 38.0 * bar.volume / largest;
            write!(paths[2], "M{left:.1} {base:.1}v-{tall:.1}h{body:.1}v{tall:.1}z")
                .expect("writing to a string does not fail");
        }
    }
    for (class, path) in ["up", "down", "volume"].into_iter().zip(paths) {
        if !path.is_empty() {
            canvas.add(format_args!(r#"<path class="{class}" d="{path}"/>"#));
        }
    }
}

fn bar_labels(canvas: &mut Canvas, bars: &[ChartBar], middle: impl Fn(usize) -> f64, base: f64, zone_offset_ns: i64) {
    canvas.line("base", LEFT, base, WIDTH - RIGHT, base);
    let day_of = |bar: &ChartBar| Date::of(bar.from, zone_offset_ns);
    let one_day = bars.first().map(day_of) == bars.last().map(day_of);
    let mut free_from = f64::NEG_INFINITY;
    let mut last_day = None;
    for (index, bar) in bars.iter().enumerate() {
        let (x, day) = (middle(index), day_of(bar));
        if (!one_day && last_day == Some(day)) || x < free_from || x > WIDTH - 40.0 {
            continue;
        }
        last_day = Some(day);
        free_from = x + 84.0;
        let label = match one_day {
            true => clock(bar.from, zone_offset_ns),
            false => day.civil().format("%-d %b").to_string(),
        };
        canvas.line("tick", x, base, x, base + 4.0);
        canvas.text("axis middle", x.max(LEFT + 20.0), base + 18.0, &label);
    }
}

/// The bar in which an instant lies.
fn place(bars: &[ChartBar], time: Nanos) -> usize {
    bars.partition_point(|bar| bar.from <= time).saturating_sub(1)
}

fn polyline(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        write!(path, "{command}{x:.1} {y:.1}").expect("writing to a string does not fail");
    }
    path
}

fn date_scale(points: &[SessionPoint]) -> Scale {
    let first = points.first().map_or(0, |point| point.date.0);
    let last = points.last().map_or(first, |point| point.date.0);
    // A single session sits in the middle of three days.
    let (first, last) = if first == last { (first.saturating_sub(1), last.saturating_add(1)) } else { (first, last) };
    Scale::new(f64::from(first), f64::from(last), LEFT, WIDTH - RIGHT)
}

/// Dates to label between two days: years, months or days, at most about twelve.
fn date_ticks(first: i32, last: i32) -> Vec<(i32, String)> {
    let days = last.saturating_sub(first).max(1);
    if days < 70 {
        let step = (days / 8).max(1);
        let label = |day: i32| (day, Date(day).civil().format("%-d %b").to_string());
        return (first..=last).step_by(step as usize).map(label).collect();
    }
    let months = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600].into_iter().find(|step| days / (step * 30) <= 12);
    let step = months.unwrap_or(1_200);
    let (from, to) = (Date(first).civil(), Date(last).civil());
    let mut ticks = Vec::new();
    let mut month = from.year() * 12 + from.month0() as i32;
    while month <= to.year() * 12 + to.month0() as i32 {
        let civil = chrono::NaiveDate::from_ymd_opt(month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1);
        if let Some(civil) = civil.filter(|civil| month.rem_euclid(step) == 0 && *civil >= from) {
            let label = if civil.month() == 1 { civil.format("%Y") } else { civil.format("%b") };
            ticks.push((Date::from_civil(civil).0, label.to_string()));
        }
        month += 1;
    }
    ticks
}

/// A percentage with the decimals that multiples of `step` need, at most four.
fn percent_label(value: f64, step: f64) -> String {
    let exact = |places: &usize| {
        let scaled = step * 100.0 * [1.0, 1e1, 1e2, 1e3, 1e4][*places];
        (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1.0) && scaled.round() != 0.0
    };
    percent(Some(value), (0..=4).find(exact).unwrap_or(4))
}

fn places_for(range: f64) -> usize {
    match range {
        range if range >= 20.0 => 0,
        range if range >= 2.0 => 1,
        range if range >= 0.2 => 2,
        range if range >= 0.002 => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_labelled_sparsely_at_every_length() {
        for days in [1, 3, 20, 69, 70, 200, 900, 4_000, 20_000] {
            let first = Date::from_civil(chrono::NaiveDate::from_ymd_opt(1990, 3, 15).unwrap()).0;
            let ticks = date_ticks(first, first + days);
            assert!(!ticks.is_empty() && ticks.len() <= 14, "{days} days: {} labels", ticks.len());
            assert!(ticks.iter().all(|(day, _)| (first..=first + days).contains(day)), "{days} days");
        }
    }

    #[test]
    fn percentages_have_the_decimals_of_their_step() {
        for (value, step, expected) in [
            (0.05, 0.025, "5.0%"),
            (-0.075, 0.025, "−7.5%"),
            (0.2, 0.1, "20%"),
            (0.0004, 0.0002, "0.04%"),
            (-0.0012, 0.0003, "−0.12%"),
            (0.000_001, 0.000_000_1, "0.0001%"),
            (100.0, 50.0, "10,000%"),
        ] {
            assert_eq!(percent_label(value, step), expected);
        }
    }

    #[test]
    fn a_scale_without_extent_still_has_a_middle() {
        let scale = Scale::new(5.0, 5.0, 0.0, 100.0);
        assert!((scale.at(5.0) - 50.0).abs() < 1e-9);
        assert!(Scale::new(0.0, 0.0, 0.0, 1.0).at(0.0).is_finite());
    }
}
