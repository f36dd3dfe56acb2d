//! What a model did on the range that was held out, beside flat, hold, random and a moving-average rule.
//!
//! - The reward of a trade is its R multiple, net of charges: its transitions' rewards add up to it. The average reward
//!   is the mean over trades; a run without trades has earned 0.
//! - A ratio that is undefined (no stop, no excursion) is left out of its mean, and counted.
//! - An edge is claimed only where its 95 % interval lies above zero; otherwise the report says that it is not
//!   distinguishable from zero.
//! - Must never: see the training range; what is held out is chosen before.

use serde::{Deserialize, Serialize};

/// A closed trade, as evaluation sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TradeFacts {
    /// Profit and loss over the initial risk, net of charges; none without a stop.
    pub r: Option<f64>,
    /// Worst price against it, in R.
    pub mae_r: Option<f64>,
    /// Percent of the maximum favourable excursion that was taken.
    pub mfe_captured: Option<f64>,
    /// Planned less realised, in percent of the initial risk.
    pub shortfall: Option<f64>,
    /// Rules followed, in percent.
    pub adherence: Option<f64>,
    /// Profit and loss net of charges, in money.
    pub net: f64,
}

/// A run over the range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// Closed trades, in order.
    pub trades: Vec<TradeFacts>,
    /// Equity at each session's close, the starting cash first.
    pub equity: Vec<f64>,
    /// How often BUY, SELL, HOLD was said.
    pub actions: [u64; 3],
}

/// A mean and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower end of its 95 % interval (normal approximation).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Values it is of.
    pub count: u64,
}

/// What is said of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Who traded.
    pub name: String,
    /// Closed trades.
    pub trades: u64,
    /// Mean reward of a trade, in R; 0 without trades.
    pub avg_reward: f64,
    /// The same with its interval; none with fewer than two trades.
    pub reward: Option<Estimate>,
    /// Mean of each of the other metrics.
    pub mae_r: Option<f64>,
    /// Mean percent of the favourable excursion that was taken.
    pub mfe_captured: Option<f64>,
    /// Mean implementation shortfall, percent of initial risk.
    pub shortfall: Option<f64>,
    /// Mean adherence to the plan, percent.
    pub adherence: Option<f64>,
    /// Trades without a defined R.
    pub undefined: u64,
    /// Profit and loss net of charges.
    pub net: f64,
    /// Sharpe ratio of daily returns net of costs, over √252; none without variation.
    pub sharpe: Option<f64>,
    /// How often BUY, SELL, HOLD was said.
    pub actions: [u64; 3],
}

/// A model beside the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The model.
    pub model: Measures,
    /// Flat, hold, random, sma-cross, each as it was run.
    pub others: Vec<Measures>,
    /// Mean reward of the model less that of random.
    pub over_random: Option<Estimate>,
    /// What follows, in a sentence.
    pub verdict: String,
}

impl Estimate {
    /// Mean and interval of some values; none for fewer than two.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (mean, variance) = moments(values)?;
        Some(Self::new(mean, variance / values.len() as f64, values.len() as u64))
    }

    /// Difference of two means of independent values.
    pub fn difference(one: &[f64], other: &[f64]) -> Option<Self> {
        let ((first, spread), (second, other_spread)) = (moments(one)?, moments(other)?);
        let variance = spread / one.len() as f64 + other_spread / other.len() as f64;
        Some(Self::new(first - second, variance, one.len() as u64))
    }

    fn new(mean: f64, variance: f64, count: u64) -> Self {
        let reach = 1.959_964 * variance.sqrt();
        Self { mean, low: mean - reach, high: mean + reach, count }
    }
}

impl Measures {
    /// What is said of a run.
    pub fn of(name: &str, trial: &Trial) -> Self {
        let rewards = rewards(trial);
        let mean_of =
            |of: fn(&TradeFacts) -> Option<f64>| mean(&trial.trades.iter().filter_map(of).collect::<Vec<_>>());
        Self {
            name: name.to_owned(),
            trades: trial.trades.len() as u64,
            avg_reward: mean(&rewards).unwrap_or(0.0),
            reward: Estimate::of(&rewards),
            mae_r: mean_of(|trade| trade.mae_r),
            mfe_captured: mean_of(|trade| trade.mfe_captured),
            shortfall: mean_of(|trade| trade.shortfall),
            adherence: mean_of(|trade| trade.adherence),
            undefined: (trial.trades.len() - rewards.len()) as u64,
            net: trial.trades.iter().fold(0.0, |sum, trade| sum + trade.net),
            sharpe: sharpe(&trial.equity),
            actions: trial.actions,
        }
    }
}

impl Comparison {
    /// The model beside the others; `random` is the run that chance made.
    pub fn of(model: &Trial, random: &Trial, others: &[(&str, &Trial)]) -> Self {
        let measures = Measures::of("model", model);
        let over_random = Estimate::difference(&rewards(model), &rewards(random));
        let mut all: Vec<Measures> = others.iter().map(|(name, trial)| Measures::of(name, trial)).collect();
        all.push(Measures::of("random", random));
        let verdict = verdict(&measures, over_random.as_ref());
        Self { model: measures, others: all, over_random, verdict }
    }
}

fn verdict(model: &Measures, over_random: Option<&Estimate>) -> String {
    let interval = |one: &Estimate| format!("{:+.4} R [{:+.4}, {:+.4}]", one.mean, one.low, one.high);
    match (&model.reward, over_random) {
        (None, _) => format!("no statement: {} trades are too few to tell an edge from chance", model.trades),
        (Some(own), _) if own.low <= 0.0 => {
            format!("the edge is not distinguishable from zero: {} a trade over {} trades", interval(own), own.count)
        }
        (Some(own), None) => {
            format!("an edge of {} a trade over {} trades; random made too few", interval(own), own.count)
        }
        (Some(own), Some(over)) if over.low <= 0.0 => format!(
            "an edge of {} a trade over {} trades, but not distinguishable from random: {}",
            interval(own),
            own.count,
            interval(over)
        ),
        (Some(own), Some(over)) => {
            format!(
                "an edge of {} a trade over {} trades; above random by {}",
                interval(own),
                own.count,
                interval(over)
            )
        }
    }
}

/// The average reward of some trades; 0 without any.
pub fn mean_of_rewards(rewards: &[f64]) -> f64 {
    mean(rewards).unwrap_or(0.0)
}

fn rewards(trial: &Trial) -> Vec<f64> {
    trial.trades.iter().filter_map(|trade| trade.r).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Mean and sample variance; none for fewer than two values.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    Some((mean, squares / (values.len() - 1) as f64))
}

fn sharpe(equity: &[f64]) -> Option<f64> {
    let returns: Vec<f64> =
        equity.windows(2).filter(|pair| pair[0] > 0.0).map(|pair| pair[1] / pair[0] - 1.0).collect();
    let (mean, variance) = moments(&returns).filter(|(_, variance)| *variance > 0.0)?;
    Some(mean / variance.sqrt() * 252.0f64.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(rewards: &[f64]) -> Trial {
        let trade = |r: &f64| TradeFacts {
            r: Some(*r),
            mae_r: Some(0.5),
            mfe_captured: None,
            shortfall: Some(1.0),
            adherence: Some(100.0),
            net: r * 100.0,
        };
        let mut equity = vec![1_000.0];
        rewards.iter().for_each(|r| equity.push(equity[equity.len() - 1] + r * 100.0));
        Trial { trades: rewards.iter().map(trade).collect(), equity, actions: [1, 2, 3] }
    }

    #[test]
    fn measures_are_means_over_trades_and_undefined_ones_are_counted() {
        let mut run = trial(&[1.0, -0.5, 2.5]);
        run.trades.push(TradeFacts { r: None, ..run.trades[0] });
        let measures = Measures::of("model", &run);
        assert_eq!((measures.trades, measures.undefined, measures.avg_reward), (4, 1, 1.0));
        assert_eq!((measures.mae_r, measures.mfe_captured), (Some(0.5), None));
        let reward = measures.reward.expect("three values");
        // Sample deviation 1.5; 1.96 · 1.5 / √3.
        assert!((reward.high - 1.0 - 1.959_964 * 1.5 / 3f64.sqrt()).abs() < 1e-9, "{reward:?}");
        assert!(measures.sharpe.is_some_and(|sharpe| sharpe > 0.0));
        let nothing = Measures::of("flat", &Trial { equity: vec![1.0; 5], ..Trial::default() });
        assert_eq!((nothing.avg_reward, nothing.reward, nothing.sharpe), (0.0, None, None));
    }

    /// Honesty, trap 3: an edge is claimed only where the interval lies above zero and above random.
    #[test]
    fn the_verdict_claims_no_more_than_the_interval() {
        let alternating = |high: f64, low: f64, count: usize| -> Vec<f64> {
            (0..count).map(|index| if index % 2 == 0 { high } else { low }).collect()
        };
        let random = trial(&alternating(0.9, -1.0, 200));
        let says = |model: &Trial| Comparison::of(model, &random, &[("flat", &Trial::default())]).verdict;
        assert!(says(&trial(&alternating(1.0, -0.9, 10))).contains("not distinguishable from zero"));
        assert!(says(&trial(&[0.5])).contains("too few"));
        assert!(says(&trial(&alternating(1.5, -0.5, 200))).contains("above random"));
        let near = trial(&alternating(0.0401, 0.04, 400));
        assert!(says(&near).contains("not distinguishable from random"), "{}", says(&near));
    }
}
