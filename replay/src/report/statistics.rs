//! The statistics of a run: streaming accumulators over the equity at session closes and over closed trades.
//!
//! - Floats live here and in pictures only; totals of money stay exact integers.
//! - Constant memory: one pass, no series is kept.
//! - What is undefined is `None`, never zero, infinity or NaN.
//! - Powers come from the pinned software library, roots are exact by IEEE 754: the same bits on every machine.

use daybook_vocabulary::{Date, Money};

/// Sessions in a year of an exchange with weekends and holidays.
pub const SESSIONS_PER_YEAR_EXCHANGE: u32 = 252;
/// Sessions in a year of a market that never closes.
pub const SESSIONS_PER_YEAR_ALWAYS_OPEN: u32 = 365;

/// A deviation below this part of the mean is the rounding of the returns, not risk.
const ROUNDING: f64 = 1e-12;

/// The ratios of an equity curve.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CurveStatistics {
    /// Last equity ÷ initial cash − 1. Undefined unless the initial cash is positive.
    pub total_return: Option<f64>,
    /// Compound annual growth rate: (last ÷ initial)^(year ÷ sessions) − 1, where a year is 252 or 365 sessions.
    /// Undefined without a session or when the last equity is negative.
    pub cagr: Option<f64>,
    /// Mean of the session returns ÷ their sample standard deviation (n − 1) × √(sessions a year), risk-free rate 0
    /// (W. F. Sharpe, *The Sharpe Ratio*, Journal of Portfolio Management, 1994). Undefined below two returns or
    /// without deviation.
    pub sharpe: Option<f64>,
    /// Mean of the session returns ÷ their downside deviation × √(sessions a year), target 0. The downside deviation
    /// is √(Σ min(r, 0)² ÷ n) over *all* n returns: it is taken about the fixed target, not about an estimated mean,
    /// so no degree of freedom is lost (F. A. Sortino and L. N. Price, *Performance Measurement in a Downside Risk
    /// Framework*, Journal of Investing, 1994). Undefined below two returns or without a loss.
    pub sortino: Option<f64>,
    /// `cagr` ÷ `max_drawdown` (T. W. Young, *Calmar Ratio: A Smoother Tool*, Futures, 1991; over the whole run).
    /// Undefined without a drawdown.
    pub calmar: Option<f64>,
    /// The largest (peak − equity) ÷ peak over session closes, a positive fraction; the initial cash is the first
    /// peak. Zero when equity never fell below a peak, undefined without a session. Above 1 when equity went
    /// negative.
    pub max_drawdown: Option<f64>,
    /// Session of the peak before the largest drawdown (the first session when that peak is the initial cash).
    pub max_drawdown_start: Option<Date>,
    /// Session of its lowest point.
    pub max_drawdown_end: Option<Date>,
}

/// Folds the equity at session closes.
#[derive(Debug, Clone)]
pub struct CurveAccumulator {
    initial: Money,
    sessions_per_year: u32,
    last: Money,
    sessions: u64,
    returns: Moments,
    // False once a return had a base that is not positive: means over the rest would describe another run.
    returns_defined: bool,
    peak: Money,
    peak_date: Option<Date>,
    deepest: f64,
    deepest_dates: Option<(Date, Date)>,
}

impl CurveAccumulator {
    /// A run that begins with `initial` cash.
    pub const fn new(initial: Money, sessions_per_year: u32) -> Self {
        Self {
            initial,
            sessions_per_year,
            last: initial,
            sessions: 0,
            returns: Moments::ZERO,
            returns_defined: true,
            peak: initial,
            peak_date: None,
            deepest: 0.0,
            deepest_dates: None,
        }
    }

    /// A session closed at `equity`. Returns the session's return and the drawdown at its close, where defined.
    pub fn push(&mut self, session: Date, equity: Money) -> (Option<f64>, Option<f64>) {
        let session_return = growth(self.last, equity);
        match session_return {
            Some(value) => self.returns.push(value),
            None => self.returns_defined = false,
        }
        self.sessions += 1;
        self.last = equity;
        if equity > self.peak {
            (self.peak, self.peak_date) = (equity, Some(session));
        }
        // An initial peak has no session of its own: the fall from it begins with the first one.
        let peak_date = *self.peak_date.get_or_insert(session);
        let drawdown = growth(self.peak, equity).map(|change| if change < 0.0 { -change } else { 0.0 });
        if let Some(depth) = drawdown
            && depth > self.deepest
        {
            (self.deepest, self.deepest_dates) = (depth, Some((peak_date, session)));
        }
        (session_return, drawdown)
    }

    /// Sessions so far.
    pub const fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Equity at the last close, or the initial cash.
    pub const fn last(&self) -> Money {
        self.last
    }

    /// The ratios so far.
    pub fn statistics(&self) -> CurveStatistics {
        let drawdown_defined = self.sessions > 0 && self.peak > Money::ZERO;
        let max_drawdown = drawdown_defined.then_some(self.deepest).and_then(finite);
        let cagr = self.cagr();
        let returns = self.returns_defined.then_some(self.returns);
        let scale = f64::from(self.sessions_per_year).sqrt();
        let annual = |ratio: f64| finite(ratio * scale);
        CurveStatistics {
            total_return: growth(self.initial, self.last),
            cagr,
            sharpe: returns.and_then(|returns| returns.mean_by_deviation()).and_then(annual),
            sortino: returns.and_then(|returns| returns.mean_by_downside()).and_then(annual),
            calmar: cagr.zip(max_drawdown.filter(|depth| *depth > 0.0)).and_then(|(rate, depth)| finite(rate / depth)),
            max_drawdown,
            max_drawdown_start: self.deepest_dates.map(|(peak, _)| peak),
            max_drawdown_end: self.deepest_dates.map(|(_, trough)| trough),
        }
    }

    fn cagr(&self) -> Option<f64> {
        let factor = 1.0 + growth(self.initial, self.last)?;
        if self.sessions == 0 || factor < 0.0 {
            return None;
        }
        finite(libm::pow(factor, f64::from(self.sessions_per_year) / self.sessions as f64) - 1.0)
    }
}

/// The relative change from one amount to another; undefined unless the first is positive.
pub fn growth(from: Money, to: Money) -> Option<f64> {
    (from > Money::ZERO).then(|| to.to_f64() / from.to_f64() - 1.0).and_then(finite)
}

/// Mean, squared deviations and squared losses of a stream of returns (B. P. Welford, *Note on a Method for
/// Calculating Corrected Sums of Squares and Products*, Technometrics, 1962).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
    downside: f64,
}

impl Moments {
    const ZERO: Self = Self { count: 0, mean: 0.0, squares: 0.0, downside: 0.0 };

    fn push(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
        if value < 0.0 {
            self.downside += value * value;
        }
    }

    fn mean_by_deviation(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let deviation = (self.squares / (self.count - 1) as f64).sqrt();
        (deviation > ROUNDING * self.mean.abs()).then(|| self.mean / deviation).and_then(finite)
    }

    fn mean_by_downside(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let deviation = (self.downside / self.count as f64).sqrt();
        (deviation > 0.0).then(|| self.mean / deviation).and_then(finite)
    }
}

/// The ratios of closed trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TradeAccumulator {
    /// Closed round trips.
    pub trades: u64,
    /// Those with a profit after charges.
    pub wins: u64,
    /// Those with a loss after charges.
    pub losses: u64,
    /// Sum of the profits.
    pub won: Money,
    /// Sum of the losses, positive.
    pub lost: Money,
}

impl TradeAccumulator {
    /// A trade closed with `net` profit or loss. False when the totals no longer fit.
    #[must_use]
    pub fn push(&mut self, net: Money) -> bool {
        self.trades += 1;
        let (count, total) = match net.0.signum() {
            1 => (&mut self.wins, &mut self.won),
            -1 => (&mut self.losses, &mut self.lost),
            _ => return true,
        };
        *count += 1;
        match net.0.checked_abs().and_then(|amount| total.0.checked_add(amount)) {
            Some(sum) => {
                *total = Money(sum);
                true
            }
            None => false,
        }
    }

    /// Trades with a profit after charges ÷ all trades. Undefined without a trade.
    pub fn win_rate(&self) -> Option<f64> {
        (self.trades > 0).then(|| self.wins as f64 / self.trades as f64)
    }

    /// Sum of the profits ÷ sum of the losses, after charges. Undefined without a loss.
    pub fn profit_factor(&self) -> Option<f64> {
        (self.lost > Money::ZERO).then(|| self.won.to_f64() / self.lost.to_f64()).and_then(finite)
    }
}

/// Candles during which their instrument was held ÷ all candles delivered. Undefined without a candle.
pub fn exposure(bars_in_market: u64, bars: u64) -> Option<f64> {
    (bars > 0).then(|| bars_in_market as f64 / bars as f64)
}

/// Value of all fills, buys and sells, ÷ mean equity at session closes: how often the account changed hands, over
/// the whole run. Undefined without a session or unless the mean is positive.
pub fn turnover(traded: Money, mean_equity: Option<f64>) -> Option<f64> {
    mean_equity.filter(|mean| *mean > 0.0).and_then(|mean| finite(traded.to_f64() / mean))
}

/// All charges ÷ initial cash: what they took from the total return. Undefined unless the initial cash is positive.
pub fn cost_drag(fees: Money, initial: Money) -> Option<f64> {
    (initial > Money::ZERO).then(|| fees.to_f64() / initial.to_f64()).and_then(finite)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(initial: i64, equity: &[i64], year: u32) -> CurveStatistics {
        let mut curve = CurveAccumulator::new(Money::from_units(initial), year);
        for (day, value) in equity.iter().enumerate() {
            curve.push(Date(day as i32), Money::from_units(*value));
        }
        curve.statistics()
    }

    fn near(found: Option<f64>, expected: f64) {
        let found = found.expect("a defined value");
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
    }

    #[test]
    fn a_small_run_worked_by_hand() {
        // Returns: +10 %, −10 %, +20 %. Mean 0.2/3; squared deviations from it: 1/900, 1/36, 4/225; their sum 14/300.
        let found = run(1_000, &[1_100, 990, 1_188], 252);
        near(found.total_return, 0.188);
        near(found.sharpe, (0.2 / 3.0) / (14.0f64 / 300.0 / 2.0).sqrt() * 252f64.sqrt());
        near(found.sortino, (0.2 / 3.0) / (0.01f64 / 3.0).sqrt() * 252f64.sqrt());
        near(found.max_drawdown, 0.1);
        assert_eq!((found.max_drawdown_start, found.max_drawdown_end), (Some(Date(0)), Some(Date(1))));
        near(found.cagr, libm::pow(1.188, 84.0) - 1.0);
        near(found.calmar, (libm::pow(1.188, 84.0) - 1.0) / 0.1);
    }

    #[test]
    fn a_year_of_sessions_compounds_to_its_own_return() {
        let year: Vec<i64> = (1..=365).map(|day| 1_000_000 + day * 100).collect();
        let found = run(1_000_000, &year, 365);
        near(found.cagr, 0.0365);
        near(found.total_return, 0.0365);
        assert_eq!(found.max_drawdown, Some(0.0));
        assert_eq!(found.calmar, None, "no drawdown to divide by");
        assert_eq!(found.max_drawdown_start, None);
    }

    #[test]
    fn what_is_undefined_is_none() {
        let none = run(100, &[], 252);
        assert_eq!(none, CurveStatistics { total_return: Some(0.0), ..CurveStatistics::default() });
        let one = run(100, &[90], 252);
        assert_eq!((one.sharpe, one.sortino), (None, None), "one return has no deviation");
        near(one.max_drawdown, 0.1);
        assert_eq!(one.max_drawdown_start, Some(Date(0)), "a fall from the initial cash begins with the first session");
        let flat = run(100, &[100, 100, 100], 252);
        assert_eq!((flat.sharpe, flat.sortino, flat.calmar, flat.max_drawdown), (None, None, None, Some(0.0)));
        let steady = run(1 << 20, &[(1 << 20) / 2, (1 << 20) / 4, (1 << 20) / 8], 252);
        assert_eq!(steady.sharpe, None, "a constant return has no deviation");
        let ruined = run(100, &[50, -10, 20], 252);
        assert_eq!((ruined.sharpe, ruined.sortino), (None, None), "no return has a negative base");
        near(ruined.max_drawdown, 1.1);
        let negative = run(100, &[-10], 252);
        assert_eq!(negative.cagr, None, "no root of a negative factor");
        near(negative.total_return, -1.1);
        let unfunded = run(0, &[10, 20], 252);
        assert_eq!((unfunded.total_return, unfunded.cagr), (None, None));
        let explosive = run(1, &[1_000_000_000], 252);
        assert_eq!(explosive.cagr, None, "beyond the largest float");
    }

    #[test]
    fn trades_count_after_charges() {
        let mut trades = TradeAccumulator::default();
        assert_eq!((trades.win_rate(), trades.profit_factor()), (None, None));
        for net in [30, -10, 0, -5] {
            assert!(trades.push(Money::from_units(net)));
        }
        near(trades.win_rate(), 0.25);
        near(trades.profit_factor(), 2.0);
        assert!(!trades.push(Money(i128::MIN)), "a total that does not fit is told, not wrapped");
        assert_eq!(exposure(1, 4), Some(0.25));
        assert_eq!(exposure(0, 0), None);
        assert_eq!(turnover(Money::from_units(300), Some(100.0)), Some(3.0));
        assert_eq!(turnover(Money::from_units(300), None), None);
    }

    /// The obvious way: the series in memory, each formula as a textbook writes it.
    fn naive(initial: f64, equity: &[f64], year: f64) -> (f64, f64, f64, f64) {
        let mut levels = vec![initial];
        levels.extend_from_slice(equity);
        let returns: Vec<f64> = levels.windows(2).map(|pair| (pair[1] - pair[0]) / pair[0]).collect();
        let count = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / count;
        let variance = returns.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count - 1.0);
        let downside = returns.iter().map(|value| value.min(0.0) * value.min(0.0)).sum::<f64>() / count;
        let mut drawdown = 0.0f64;
        for (index, level) in levels.iter().enumerate() {
            let peak = levels[..=index].iter().copied().fold(f64::MIN, f64::max);
            drawdown = drawdown.max((peak - level) / peak);
        }
        let cagr = libm::pow(equity[equity.len() - 1] / initial, year / count) - 1.0;
        (mean / variance.sqrt() * year.sqrt(), mean / downside.sqrt() * year.sqrt(), drawdown, cagr)
    }

    proptest! {
        #[test]
        fn the_streaming_ratios_equal_the_naive_ones(
            steps in proptest::collection::vec(-400i64..420, 2..120), year in prop_oneof![Just(252u32), Just(365)],
        ) {
            let mut equity = Vec::new();
            let mut level = 1_000_000i64;
            for step in steps {
                level += level * step / 10_000;
                equity.push(level);
            }
            let floats: Vec<f64> = equity.iter().map(|value| *value as f64).collect();
            let (sharpe, sortino, drawdown, cagr) = naive(1_000_000.0, &floats, f64::from(year));
            let found = run(1_000_000, &equity, year);
            let close = |found: Option<f64>, expected: f64| match found {
                Some(found) => (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                None => !expected.is_finite() || expected.abs() > 1e6,
            };
            prop_assert!(close(found.sharpe, sharpe), "sharpe {:?} {sharpe}", found.sharpe);
            prop_assert!(close(found.sortino, sortino), "sortino {:?} {sortino}", found.sortino);
            prop_assert!(close(found.max_drawdown, drawdown), "drawdown {:?} {drawdown}", found.max_drawdown);
            prop_assert!(close(found.cagr, cagr), "cagr {:?} {cagr}", found.cagr);
        }
    }
}
