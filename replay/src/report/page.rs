//! The page: `report.html`, one self-contained file a person enjoys.
//!
//! - No network, no script: inline style and static pictures, light and dark by the reader's preference.
//! - The same session gives the same bytes: no clock, no duration, no path.
//! - All text from the session is escaped.

use super::chart::TradeChart;
use super::fold::{Findings, InstrumentFindings, NotableTrade};
use super::format::{Style, date, escape, float, moment, percent, ratio, signed_percent};
use super::measures::Mean;
use super::picture;
use super::series::Histogram;
use super::warnings::many;
use super::{RunFacts, Summary};
use chrono::Datelike;
use daybook_vocabulary::{Date, Money, SessionHeader};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");
/// Symbols in the table of symbols.
const SYMBOLS: usize = 40;

/// Everything the page is made from.
pub(super) struct Material<'a> {
    pub(super) header: &'a SessionHeader,
    pub(super) facts: &'a RunFacts,
    pub(super) findings: &'a Findings,
    pub(super) summary: &'a Summary,
    pub(super) charts: &'a [TradeChart],
}

/// The page in the making.
struct Page<'a> {
    material: &'a Material<'a>,
    style: Style,
    out: String,
}

/// Writes into the page; a string takes everything.
macro_rules! put {
    ($page:expr, $($text:tt)*) => {
        write!($page.out, $($text)*).expect("writing to a string does not fail")
    };
}

/// The whole page.
pub(super) fn render(material: &Material<'_>) -> String {
    let mut page = Page { material, style: style_of(material.findings), out: String::new() };
    let title = escape(&material.header.strategy);
    put!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\">\n<title>{title} · Daybook report</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<main>\n"
    );
    page.head();
    page.lede();
    page.warnings();
    page.tiles();
    page.equity();
    page.charts();
    page.months();
    page.distributions();
    page.costs();
    page.legs();
    page.symbols();
    page.notable();
    page.provenance();
    put!(
        page,
        "<footer>Written by Daybook from the session's journal. Drawn once, without a clock: the same session gives the same page.</footer>\n</main>\n</body>\n</html>\n"
    );
    page.out
}

/// Rupees when everything traded on an Indian exchange.
pub(super) fn style_of(findings: &Findings) -> Style {
    let mut markets = findings.instruments.values().map(|found| found.market.as_str()).peekable();
    if markets.peek().is_some() && markets.all(|market| market == "nse") { Style::Indian } else { Style::Western }
}

const fn tone(amount: Money) -> &'static str {
    match amount.0.signum() {
        1 => "gain-text",
        -1 => "loss-text",
        _ => "",
    }
}

fn tone_of(value: Option<f64>) -> &'static str {
    match value {
        Some(value) if value > 0.0 => "gain-text",
        Some(value) if value < 0.0 => "loss-text",
        _ => "",
    }
}

impl Page<'_> {
    fn head(&mut self) {
        let Material { header, findings, summary, .. } = self.material;
        let mut told = vec![self.symbols_in_words(), format!("{} bars", header.filter.interval)];
        if let (Some(first), Some(last)) = (findings.sessions.first(), findings.sessions.last()) {
            told.push(format!("{} – {}", date(first.date), date(last.date)));
        }
        told.push(many(self.style, findings.curve.sessions(), "session"));
        let returned = signed_percent(summary.total_return, 2);
        put!(
            self,
            "<header><div><div class=\"eyebrow\">Daybook · backtest</div><h1>{}</h1><div class=\"soft\">{}</div></div>\
             <div class=\"outcome\"><div class=\"big {}\">{returned}</div><div class=\"soft\">total return</div></div></header>\n",
            escape(&header.strategy),
            escape(&told.join("  ·  ")),
            tone_of(summary.total_return),
        );
    }

    fn symbols_in_words(&self) -> String {
        let symbols = &self.material.header.filter.symbols;
        match symbols.len() {
            0 => many(self.style, self.material.findings.instruments.len() as u64, "symbol"),
            1..=6 => symbols.join(", "),
            count => many(self.style, count as u64, "symbol"),
        }
    }

    /// The run in sentences.
    fn lede(&mut self) {
        let Material { facts, findings, summary, .. } = self.material;
        let style = self.style;
        let mut text = format!(
            "<b>{}</b> became <b>{}</b> in {}",
            style.round_money(facts.initial_cash),
            style.round_money(summary.final_equity),
            many(style, findings.curve.sessions(), "session"),
        );
        match summary.trades {
            0 => text.push_str(", without a closed trade"),
            trades => write!(text, ", over {}", many(style, trades, "closed trade")).expect("a string takes all"),
        }
        match summary.fees_total {
            Money::ZERO => text.push_str(" and without costs."),
            fees => write!(text, " and after {} of costs.", style.round_money(fees)).expect("a string takes all"),
        }
        if let (Some(depth), Some(from), Some(to)) =
            (summary.max_drawdown, summary.max_drawdown_start, summary.max_drawdown_end)
        {
            let recovery = match self.recovered(to) {
                Some(day) => format!("; it was made good on {}", date(day)),
                None => "; it has not been made good".to_owned(),
            };
            let span =
                if from == to { format!("on {}", date(to)) } else { format!("from {} to {}", date(from), date(to)) };
            write!(text, " The deepest fall from a peak was {}, {span}{recovery}.", percent(Some(depth), 2))
                .expect("a string takes all");
        }
        put!(self, "<p class=\"lede\">{text}</p>\n");
    }

    /// The first session after `trough` at which equity stood at a peak again.
    fn recovered(&self, trough: Date) -> Option<Date> {
        let sessions = &self.material.findings.sessions;
        sessions.iter().find(|point| point.date > trough && point.drawdown == 0.0).map(|point| point.date)
    }

    fn warnings(&mut self) {
        let warnings = &self.material.summary.warnings;
        if warnings.is_empty() {
            return;
        }
        put!(self, "<div class=\"warnings\"><h3>To know before you trust it</h3><ul>");
        for warning in warnings {
            put!(self, "<li>{}</li>", escape(warning));
        }
        put!(self, "</ul></div>\n");
    }

    fn tiles(&mut self) {
        let Material { findings, summary, .. } = self.material;
        let style = self.style;
        let mean_bars = (summary.trades > 0).then(|| findings.trade_bars as f64 / summary.trades as f64);
        let expectancy = summary.expectancy;
        let number = |mean: Mean, digits| mean.value().map_or_else(|| "—".to_owned(), |value| float(value, digits));
        let tiles = [
            ("Final equity", style.tile_money(summary.final_equity), ""),
            ("CAGR", signed_percent(summary.cagr, 2), tone_of(summary.cagr)),
            ("Sharpe ratio", ratio(summary.sharpe), ""),
            ("Sortino ratio", ratio(summary.sortino), ""),
            ("Calmar ratio", ratio(summary.calmar), ""),
            ("Max drawdown", percent(summary.max_drawdown, 2), ""),
            ("Closed trades", style.count(summary.trades), ""),
            ("Win rate", percent(summary.win_rate, 1), ""),
            ("Profit factor", ratio(summary.profit_factor), ""),
            (
                "Net per trade",
                expectancy.map_or_else(|| "—".to_owned(), |net| style.tile_money(net)),
                expectancy.map_or("", tone),
            ),
            ("Bars held, mean", mean_bars.map_or_else(|| "—".to_owned(), |bars| float(bars, 1)), ""),
            ("R, mean", number(findings.measured.r, 2), ""),
            ("Against it in R, mean", number(findings.measured.mae_r, 2), ""),
            ("Best price captured %", number(findings.measured.captured, 1), ""),
            ("Shortfall %, mean", number(findings.measured.shortfall, 1), ""),
            ("Plan adherence %", number(findings.measured.adherence(), 1), ""),
            ("Limits tripped", style.count(findings.tripped), ""),
            ("Costs", style.tile_money(summary.fees_total), ""),
            ("Exposure", percent(summary.exposure, 1), ""),
            ("Turnover", summary.turnover.map_or_else(|| "—".to_owned(), |times| format!("{}×", float(times, 1))), ""),
        ];
        put!(self, "<div class=\"tiles\">");
        for (name, value, tone) in tiles {
            put!(self, "<div class=\"tile\"><span>{name}</span><b class=\"{tone}\">{value}</b></div>");
        }
        put!(self, "</div>\n");
    }

    fn equity(&mut self) {
        let Material { facts, findings, summary, .. } = self.material;
        if findings.sessions.is_empty() {
            put!(
                self,
                "<section><h2>Equity</h2><p class=\"note\">No session closed: there is nothing to draw.</p></section>\n"
            );
            return;
        }
        let fall = summary.max_drawdown_start.zip(summary.max_drawdown_end);
        let curve = picture::equity(&findings.sessions, facts.initial_cash.to_f64(), fall, self.style);
        let under = picture::drawdown(&findings.sessions);
        let shade = if fall.is_some() { " Shaded: the largest fall." } else { "" };
        put!(
            self,
            "<section><h2>Equity</h2><p class=\"note\">At session closes, open positions at their last prices. Dashed: the cash it began with.{shade}</p>\
             <div class=\"chart\">{curve}</div><h3>Below the last peak</h3><div class=\"chart\">{under}</div></section>\n"
        );
    }

    fn charts(&mut self) {
        for chart in self.material.charts.iter().filter(|chart| !chart.bars.is_empty()) {
            let picture = picture::candles(chart, self.style, self.material.facts.zone_offset_ns);
            let shown = chart.trades.len() as u64;
            let which = match (shown, chart.of) {
                (1, 1) => "Its only trade".to_owned(),
                (shown, of) if shown == of => format!("All {} trades", self.style.count(of)),
                (1, of) => format!("The last of {} trades", self.style.count(of)),
                (shown, of) => format!("The last {} of {} trades", self.style.count(shown), self.style.count(of)),
            };
            let merged = match chart.stride {
                1 => String::new(),
                stride => format!("; {stride} candles are drawn as one"),
            };
            let zone_offset_ns = self.material.facts.zone_offset_ns;
            let day = |bar: Option<&super::series::ChartBar>| {
                bar.map_or_else(String::new, |bar| date(Date::of(bar.from, zone_offset_ns)))
            };
            let (from, to) = (day(chart.bars.first()), day(chart.bars.last()));
            let span = if from == to { from } else { format!("{from} to {to}") };
            put!(
                self,
                "<section><h2>{} <span class=\"soft\">trades on candles</span></h2><p class=\"note\">{which}, {span}, {} time{merged}. Hold the pointer over a trade for its numbers.</p>\
                 <div class=\"chart\">{picture}</div><div class=\"key\"><i><span class=\"buy-text\">▲</span> buy</i><i><span class=\"sell-text\">▼</span> sell</i>\
                 <i><span class=\"gain-text\">━</span> profit after costs</i><i><span class=\"loss-text\">━</span> loss</i></div></section>\n",
                escape(&chart.symbol),
                escape(&self.material.facts.zone),
            );
        }
    }

    fn months(&mut self) {
        let years = monthly_returns(self.material);
        if years.is_empty() {
            return;
        }
        let largest = years
            .values()
            .flat_map(|year| year.months.iter().flatten())
            .fold(0.0f64, |max, value| max.max(value.abs()));
        put!(
            self,
            "<section><h2>Monthly returns</h2><p class=\"note\">Change of equity from the last close of one month to that of the next, in percent.</p><div class=\"scroll\"><table class=\"heat\"><tr><th></th>"
        );
        for month in ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year"] {
            put!(self, "<th>{month}</th>");
        }
        put!(self, "</tr>");
        for (year, row) in years {
            put!(self, "<tr><td>{year}</td>");
            for value in row.months {
                self.heat_cell(value, largest);
            }
            put!(self, "<td class=\"year {}\">{}</td></tr>", tone_of(row.whole), in_percent(row.whole));
        }
        put!(self, "</table></div></section>\n");
    }

    fn heat_cell(&mut self, value: Option<f64>, largest: f64) {
        let Some(value) = value else {
            put!(self, "<td></td>");
            return;
        };
        let class = if value < 0.0 { "l" } else { "g" };
        let strength = if largest > 0.0 {
            (value.abs() / largest * 62.0 + if value == 0.0 { 0.0 } else { 6.0 }).round()
        } else {
            0.0
        };
        put!(self, "<td class=\"{class}\" style=\"--a:{strength:.0}%\">{}</td>", in_percent(Some(value)));
    }

    fn distributions(&mut self) {
        let findings = self.material.findings;
        let pictures = [
            ("Returns by session", "session", &findings.session_returns),
            ("Returns by trade", "trade", &findings.trade_returns),
        ];
        if pictures.iter().all(|(_, _, histogram)| histogram.total() == 0) {
            return;
        }
        put!(self, "<div class=\"pair\">");
        for (title, unit, histogram) in pictures {
            self.distribution(title, unit, histogram);
        }
        put!(self, "</div>\n");
    }

    fn distribution(&mut self, title: &str, unit: &str, histogram: &Histogram) {
        put!(self, "<section><h2>{title}</h2>");
        match (histogram.bins(24), histogram.extremes()) {
            (Some(bins), Some((lowest, highest))) => {
                let of_entry = if unit == "trade" { ", after costs, of the entry's value" } else { "" };
                put!(
                    self,
                    "<p class=\"note\">{}{of_entry}. Mean {}, worst {}, best {}.</p><div class=\"chart\">{}</div>",
                    many(self.style, histogram.total(), unit),
                    signed_percent(histogram.mean(), 3),
                    signed_percent(Some(lowest), 2),
                    signed_percent(Some(highest), 2),
                    picture::histogram(&bins, title),
                );
            }
            _ => put!(self, "<p class=\"note\">None.</p>"),
        }
        put!(self, "</section>");
    }

    fn costs(&mut self) {
        let Material { findings, summary, .. } = self.material;
        let style = self.style;
        put!(self, "<section><h2>Costs</h2>");
        if summary.fees_total == Money::ZERO {
            put!(
                self,
                "<p class=\"note\">None were charged: the result is before any cost a broker, an exchange or a state would take.</p></section>\n"
            );
            return;
        }
        let traded = findings.traded.to_f64();
        let gross: Option<f64> =
            summary.final_equity.0.checked_sub(self.material.facts.initial_cash.0).and_then(|net| {
                let gross = net.checked_add(summary.fees_total.0).filter(|gross| *gross > 0)?;
                Some(summary.fees_total.to_f64() / Money(gross).to_f64())
            });
        let eaten = gross.map_or_else(
            || "There was no profit before costs to set them against.".to_owned(),
            |share| format!("That is {} of the profit before costs.", percent(Some(share), 1)),
        );
        put!(
            self,
            "<p class=\"note\">{} on {} of trading in {}: {} basis points of the value. {eaten}</p><div class=\"scroll\"><table>\
             <tr><th>Item</th><th class=\"left\"></th><th>Amount</th><th>Share</th><th>Basis points</th></tr>",
            style.money(summary.fees_total),
            style.round_money(findings.traded),
            many(style, summary.fills, "fill"),
            float(summary.fees_total.to_f64() / traded.max(f64::MIN_POSITIVE) * 1e4, 2),
        );
        let items = summary.fees.items();
        let largest = items.iter().map(|(_, amount)| amount.to_f64()).fold(0.0, f64::max);
        for (name, amount) in items.into_iter().filter(|(_, amount)| !amount.is_zero()) {
            let share = amount.to_f64() / summary.fees_total.to_f64();
            let width = if largest > 0.0 { (amount.to_f64() / largest * 100.0).clamp(0.0, 100.0) } else { 0.0 };
            put!(
                self,
                "<tr><td>{}</td><td class=\"bar\"><span class=\"meter n\" style=\"width:{width:.1}%\"></span></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                capitalised(name),
                style.money(amount),
                percent(Some(share), 1),
                float(amount.to_f64() / traded.max(f64::MIN_POSITIVE) * 1e4, 3),
            );
        }
        put!(self, "</table></div></section>\n");
    }

    /// What a leg costs, by side and model: the way from its reference price, and each charge.
    fn legs(&mut self) {
        let (findings, style) = (self.material.findings, self.style);
        if findings.legs.is_empty() {
            return;
        }
        put!(
            self,
            "<section><h2>By leg</h2><p class=\"note\">Every fill against the price its market stood at, and what it was charged; one by one in legs.csv. Basis points of the value.</p><div class=\"scroll\"><table class=\"folded\">\
             <tr><th>Side, model</th><th>Fills, value</th><th>Slippage, bp</th><th>Brokerage, service tax</th><th>Taxes and duty, depository</th><th>Exchange and regulator</th><th>All charges, bp</th></tr>",
        );
        for ((side, model), sums) in &findings.legs {
            let (value, charges) = (sums.traded.to_f64().max(f64::MIN_POSITIVE), &sums.charges);
            put!(
                self,
                "<tr><td>{side}<br><span class=\"soft\">{}</span></td><td>{}<br><span class=\"soft\">{}</span></td><td>{}<br><span class=\"soft\">{}</span></td><td>{}<br><span class=\"soft\">{}</span></td><td>{}<br><span class=\"soft\">{}</span></td><td>{}</td><td>{}<br><span class=\"soft\">{}</span></td></tr>",
                escape(model),
                style.count(sums.fills),
                style.short(sums.traded.to_f64(), 2),
                style.money(sums.slippage),
                float(sums.slippage.to_f64() / value * 1e4, 3),
                style.money(charges.brokerage),
                style.money(charges.service_tax),
                style.money(charges.transaction_tax + charges.stamp_duty),
                style.money(charges.depository_fee),
                style.money(charges.exchange_fee + charges.regulator_fee),
                style.money(charges.total()),
                float(charges.total().to_f64() / value * 1e4, 3),
            );
        }
        put!(self, "</table></div></section>\n");
    }

    fn symbols(&mut self) {
        let findings = self.material.findings;
        let mut traded: Vec<&InstrumentFindings> =
            findings.instruments.values().filter(|found| found.fills > 0).collect();
        if traded.is_empty() {
            return;
        }
        traded
            .sort_by(|a, b| b.net.0.unsigned_abs().cmp(&a.net.0.unsigned_abs()).then_with(|| a.symbol.cmp(&b.symbol)));
        let left_out = traded.len().saturating_sub(SYMBOLS);
        traded.truncate(SYMBOLS);
        traded.sort_by(|a, b| b.net.cmp(&a.net).then_with(|| a.symbol.cmp(&b.symbol)));
        let largest = traded.iter().map(|found| found.net.to_f64().abs()).fold(0.0, f64::max);
        put!(
            self,
            "<section><h2>By symbol</h2><p class=\"note\">Net: closed trades after costs. Sorted by it.{}</p><div class=\"scroll\"><table>\
             <tr><th>Symbol</th><th>Trades</th><th>Win rate</th><th>Fills</th><th>Traded</th><th>Gross</th><th>Costs</th><th>Open at the end</th><th>Net</th><th colspan=\"2\"></th></tr>",
            match left_out {
                0 => String::new(),
                count => format!(
                    " The {SYMBOLS} with the largest results; the other {} are in trades.csv.",
                    self.style.count(count as u64)
                ),
            }
        );
        for found in traded {
            self.symbol_row(found, largest);
        }
        put!(self, "</table></div></section>\n");
    }

    fn symbol_row(&mut self, found: &InstrumentFindings, largest: f64) {
        let style = self.style;
        let wins = (found.trades > 0).then(|| found.wins as f64 / found.trades as f64);
        let width = if largest > 0.0 { found.net.to_f64().abs() / largest * 100.0 } else { 0.0 };
        let (negative, positive) = if found.net < Money::ZERO { (width, 0.0) } else { (0.0, width) };
        let meter = |class: &str, width: f64| match width > 0.0 {
            true => format!("<span class=\"meter {class}\" style=\"width:{width:.1}%\"></span>"),
            false => String::new(),
        };
        let open = if found.position.is_zero() { String::new() } else { style.exact(found.position.0.into()) };
        put!(
            self,
            "<tr><td><b>{}</b></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{open}</td><td class=\"{}\">{}</td>\
             <td class=\"half neg\">{}</td><td class=\"half pos\">{}</td></tr>",
            escape(&found.symbol),
            style.count(found.trades),
            percent(wins, 1),
            style.count(found.fills),
            style.short(found.traded.to_f64(), 2),
            style.round_money(found.gross),
            style.round_money(found.fees),
            tone(found.net),
            style.round_money(found.net),
            meter("l", negative),
            meter("g", positive),
        );
    }

    fn notable(&mut self) {
        let findings = self.material.findings;
        if findings.best.is_empty() && findings.worst.is_empty() {
            return;
        }
        put!(self, "<div class=\"pair\">");
        self.trade_list("Best trades", &findings.best);
        self.trade_list("Worst trades", &findings.worst);
        put!(self, "</div>\n");
    }

    fn trade_list(&mut self, title: &str, trades: &[NotableTrade]) {
        put!(self, "<section><h2>{title}</h2>");
        if trades.is_empty() {
            put!(self, "<p class=\"note\">None.</p></section>");
            return;
        }
        put!(
            self,
            "<div class=\"scroll\"><table><tr><th>Trade</th><th class=\"left\">Left at</th><th class=\"left\">Why</th><th>Net</th></tr>"
        );
        for NotableTrade { symbol, trade, exit_reason } in trades {
            put!(
                self,
                "<tr><td><b>{}</b> <span class=\"soft\">#{}</span></td><td class=\"left\">{}</td><td class=\"left\">{}</td><td class=\"{}\">{}</td></tr>",
                escape(symbol),
                trade.number,
                moment(trade.exit_time, self.material.facts.zone_offset_ns),
                escape(exit_reason),
                tone(trade.net),
                self.style.signed_money(trade.net),
            );
        }
        put!(self, "</table></div></section>");
    }

    /// Settings and hashes: what it takes to get the same result again.
    fn provenance(&mut self) {
        let Material { header, summary, facts, .. } = self.material;
        put!(
            self,
            "<div class=\"pair\"><section><h2>Settings</h2><p class=\"note\">As resolved; they are in the session's header.</p><dl>"
        );
        let rows = settings_rows(&header.settings);
        let through = rows.iter().any(|(name, value)| name.ends_with("exchange.limit_fill") && value == "through");
        let fills =
            if through { "when the price goes beyond their limit" } else { "when the price touches their limit" };
        put!(self, "<dt>limit orders fill</dt><dd>{fills}</dd>");
        for (name, value) in rows {
            put!(self, "<dt>{}</dt><dd class=\"mono\">{}</dd>", escape(&name), escape(&value));
        }
        put!(
            self,
            "</dl></section><section><h2>Provenance</h2><p class=\"note\">The same inputs, settings and binary give the same bytes. <code>daybook audit</code> derives every output again.</p><dl>"
        );
        let style = self.style;
        let rows = [
            ("journal head", summary.journal_head.to_string()),
            ("state digest", summary.state_digest.to_string()),
            ("binary", header.binary.to_string()),
            ("settings", header.config.to_string()),
            ("calendar", header.calendar.to_string()),
            ("seed", header.seed.to_string()),
            ("events", style.count(summary.events)),
            ("bars", style.count(summary.bars)),
            ("orders", style.count(summary.orders)),
            ("fills", style.count(summary.fills)),
            ("sessions a year", facts.sessions_per_year.to_string()),
            ("warm-up bars", header.filter.warmup.to_string()),
        ];
        for (name, value) in rows {
            put!(self, "<dt>{name}</dt><dd class=\"mono\">{value}</dd>");
        }
        for input in &header.inputs {
            put!(
                self,
                "<dt>input {}</dt><dd class=\"mono\">journal {}, up to seq {}<br>{}</dd>",
                input.rank,
                escape(&input.id),
                input.last_seq,
                input.content,
            );
        }
        put!(self, "</dl></section></div>\n");
    }
}

/// A year of the table of months.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Year {
    months: [Option<f64>; 12],
    whole: Option<f64>,
}

/// Returns by month and year; a level that is not positive ends them, for no return has such a base.
fn monthly_returns(material: &Material<'_>) -> BTreeMap<i32, Year> {
    let mut years: BTreeMap<i32, Year> = BTreeMap::new();
    let initial = material.facts.initial_cash.to_f64();
    let (mut month_base, mut year_base) = (initial, initial);
    let mut before: Option<((i32, u32), f64)> = None;
    for point in &material.findings.sessions {
        let civil = point.date.civil();
        let month = (civil.year(), civil.month0());
        if let Some((last_month, level)) = before.filter(|(last_month, _)| *last_month != month) {
            month_base = level;
            if last_month.0 != month.0 {
                year_base = level;
            }
        }
        before = Some((month, point.equity));
        let change = |base: f64| (base > 0.0).then(|| point.equity / base - 1.0);
        let year = years.entry(month.0).or_default();
        year.months[month.1 as usize] = change(month_base);
        year.whole = change(year_base);
    }
    years
}

/// A return without its sign of percent, as the table of months shows it.
fn in_percent(value: Option<f64>) -> String {
    let text = signed_percent(value, 2);
    text.strip_suffix('%').map_or(text.clone(), str::to_owned)
}

fn capitalised(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Dotted names and values of the settings' JSON; the text itself when it is not an object.
fn settings_rows(settings: &str) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    match serde_json::from_str::<serde_json::Value>(settings) {
        Ok(value @ serde_json::Value::Object(_)) => flatten("", &value, &mut rows),
        _ => rows.push(("settings".to_owned(), settings.to_owned())),
    }
    rows
}

fn flatten(name: &str, value: &serde_json::Value, rows: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (field, value) in fields {
                let dotted = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&dotted, value, rows);
            }
        }
        serde_json::Value::Null => rows.push((name.to_owned(), "not set".to_owned())),
        serde_json::Value::String(text) => rows.push((name.to_owned(), text.clone())),
        other => rows.push((name.to_owned(), other.to_string())),
    }
}
