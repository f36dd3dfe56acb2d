//! The summary of a run: `summary.json`, and what `--format json` prints.
//!
//! - The keys and their order are a contract.
//! - Money is an exact decimal string, a ratio a JSON number, what is undefined `null`.
//! - Two runs of the same thing give the same file but for `wall_seconds` and `events_per_second`.

use daybook_vocabulary::{Charges, Date, Hash, InputJournal, Money};

/// Everything that is said of a run in one object. The formulas of the ratios are in
/// [`statistics`](super::statistics).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Inputs the core stepped through.
    pub events: u64,
    /// Candles delivered.
    pub bars: u64,
    /// Orders decided, the refused ones included.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Closed round trips.
    pub trades: u64,
    /// All charges of all fills.
    pub fees_total: Money,
    /// The same, item by item.
    pub fees: Charges,
    /// Equity at the last session close, open positions at their last prices; the initial cash without a session.
    pub final_equity: Money,
    /// See [`CurveStatistics`](super::statistics::CurveStatistics), like the seven that follow.
    pub total_return: Option<f64>,
    /// Compound annual growth rate.
    pub cagr: Option<f64>,
    /// Sharpe ratio.
    pub sharpe: Option<f64>,
    /// Sortino ratio.
    pub sortino: Option<f64>,
    /// Calmar ratio.
    pub calmar: Option<f64>,
    /// Largest fall from a peak, a positive fraction.
    pub max_drawdown: Option<f64>,
    /// Session of that peak.
    pub max_drawdown_start: Option<Date>,
    /// Session of the lowest point after it.
    pub max_drawdown_end: Option<Date>,
    /// Share of trades with a profit after charges.
    pub win_rate: Option<f64>,
    /// Profits ÷ losses, after charges.
    pub profit_factor: Option<f64>,
    /// Share of candles during which their instrument was held.
    pub exposure: Option<f64>,
    /// Value of all fills ÷ mean equity.
    pub turnover: Option<f64>,
    /// Results of closed trades before charges.
    #[serde(default)]
    pub gross_pnl: Money,
    /// The same after charges.
    #[serde(default)]
    pub net_pnl: Money,
    /// `net_pnl` ÷ trades.
    #[serde(default)]
    pub expectancy: Option<Money>,
    /// Mean profit of trades with a profit, after charges.
    #[serde(default)]
    pub average_win: Option<Money>,
    /// Mean loss of trades with a loss, after charges, positive.
    #[serde(default)]
    pub average_loss: Option<Money>,
    /// All charges ÷ initial cash: what they took from the total return.
    #[serde(default)]
    pub cost_drag: Option<f64>,
    /// Mean adverse excursion of trades that had a stop, in R.
    #[serde(default)]
    pub mae_r: Option<f64>,
    /// Mean favourable excursion of trades, in money.
    #[serde(default)]
    pub mfe: Option<f64>,
    /// Mean share of it that was captured, in percent.
    #[serde(default)]
    pub mfe_captured: Option<f64>,
    /// How long the run took. Differs from run to run.
    pub wall_seconds: f64,
    /// `events` ÷ `wall_seconds`. Differs from run to run.
    pub events_per_second: f64,
    /// Hash of the core's state at the end.
    pub state_digest: Hash,
    /// Content hash of the session's journal.
    pub journal_head: Hash,
    /// The journals it read, by rank.
    pub inputs: Vec<InputJournal>,
    /// What to know before trusting the figures, as sentences.
    pub warnings: Vec<String>,
}

impl Summary {
    /// The file's text: indented JSON with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a summary is plain data");
        text.push('\n');
        text
    }
}
