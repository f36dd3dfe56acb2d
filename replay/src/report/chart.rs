//! Which candles the page shows, and how they are fetched: the last trades of the most traded symbols.
//!
//! - At most [`CHART_BARS`] bars a chart, whatever the range: candles are merged as they come.
//! - Without a source of candles there is no chart, and the rest of the page is the same.

use super::fold::{ChartTrade, Findings, InstrumentFindings};
use super::series::{ChartBar, ChartBars};
use super::{CandleSource, ReportError, ReportOptions};
use daybook_vocabulary::time::{DAY, HOUR};
use daybook_vocabulary::{InstrumentId, Nanos};

/// Most bars on one chart.
pub(super) const CHART_BARS: usize = 400;

/// A chart's data.
#[derive(Debug, Clone)]
pub(super) struct TradeChart {
    pub(super) symbol: String,
    pub(super) trades: Vec<ChartTrade>,
    /// Closed trades of the symbol in all.
    pub(super) of: u64,
    pub(super) bars: Vec<ChartBar>,
    /// Candles of the session in one bar of the chart.
    pub(super) stride: usize,
}

/// Fetches the candles of the charts.
pub(super) fn collect(
    findings: &Findings,
    candles: Option<&mut dyn CandleSource>,
    options: ReportOptions,
) -> Result<Vec<TradeChart>, ReportError> {
    let Some(candles) = candles else { return Ok(Vec::new()) };
    let mut traded: Vec<(u32, &InstrumentFindings)> = findings
        .instruments
        .iter()
        .filter(|(_, found)| !found.last_trades.is_empty())
        .map(|(id, found)| (*id, found))
        .collect();
    traded.sort_by(|a, b| b.1.trades.cmp(&a.1.trades).then_with(|| a.1.symbol.cmp(&b.1.symbol)));
    let mut charts = Vec::new();
    for (id, found) in traded.into_iter().take(options.chart_symbols) {
        let trades: Vec<_> = found.last_trades.iter().copied().collect();
        let (from, to) = window(&trades);
        let mut bars = ChartBars::new(CHART_BARS);
        candles.candles(InstrumentId(id), from, to, &mut |candle| bars.push(candle))?;
        charts.push(TradeChart {
            symbol: found.symbol.clone(),
            trades,
            of: found.trades,
            bars: bars.bars().to_vec(),
            stride: bars.stride(),
        });
    }
    Ok(charts)
}

/// From the first entry to the last exit, with some air on both sides.
fn window(trades: &[ChartTrade]) -> (Nanos, Nanos) {
    let from = trades.iter().map(|trade| trade.entry_time).min().unwrap_or_default();
    let to = trades.iter().map(|trade| trade.exit_time).max().unwrap_or_default();
    let air = ((to - from) / 20).clamp(2 * HOUR, 30 * DAY);
    (from + -air, to + air)
}
