//! What a model did on the range that was held out, beside flat, hold, random and a moving-average rule.
//!
//! - The reward of a trade is its R multiple, net of charges: its transitions' rewards add up to it. The average reward
//!   is the mean over trades; a run without trades has earned 0.
//! - A ratio that is undefined (no stop, no excursion) is left out of its mean, and counted.
//! - An edge is claimed only where its 95 % interval lies above zero; otherwise the report says that it is not
//!   distinguishable from zero.
//! - Trades of one session share its market, so sessions and not trades are what an interval counts: its variance is that
//!   of the sessions' sums around the mean, its reach Student's with as many degrees of freedom as sessions less one.
//! - Profit and loss is the change of the equity, so what is still held at the end counts at its last price.
//! - Must never: see the training range; what is held out is chosen before.

use crate::calibration::{Judged, Reliability};
use crate::student::t95;
use daybook_vocabulary::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A closed trade, as evaluation sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TradeFacts {
    /// The date of the session it was entered in.
    pub session: Date,
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
}

/// A run over the range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// Closed trades, in order.
    pub trades: Vec<TradeFacts>,
    /// Of each run: equity at each session's close, the starting cash first.
    pub equity: Vec<Vec<f64>>,
    /// Trades that were still open at the end.
    pub open: u64,
    /// How often BUY, SELL, HOLD was said.
    pub actions: [u64; 3],
    /// Tables of judgements: what was judged, what right means, the judgements.
    pub judged: Vec<(&'static str, String, Vec<Judged>)>,
}

/// A mean and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower end of its 95 % interval (Student's, by sessions).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Values it is of.
    pub count: u64,
    /// Sessions they fall in.
    #[serde(default)]
    pub sessions: u64,
}

/// What is said of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Who traded.
    pub name: String,
    /// Closed trades.
    pub trades: u64,
    /// Trades that were still open at the end, valued at the last price.
    #[serde(default)]
    pub open: u64,
    /// Mean reward of a trade, in R; 0 without trades.
    pub avg_reward: f64,
    /// The same with its interval; none with trades in fewer than two sessions.
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
    /// Profit and loss net of charges, what is held at the end at its last price; the mean of several runs.
    pub net: f64,
    /// Sharpe ratio of daily returns net of costs, times √252; none without variation; the mean of several runs.
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
    /// How often the model was right, by how sure it was.
    #[serde(default)]
    pub calibration: Vec<Reliability>,
}

/// A mean, the variance of it, and how many sessions and values it is of.
struct Moments {
    mean: f64,
    variance: f64,
    sessions: usize,
    count: usize,
}

impl Moments {
    /// Of values by session; none for fewer than two sessions.
    fn of(values: &[(Date, f64)]) -> Option<Self> {
        let count = values.len();
        let mean = mean(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>())?;
        let mut sums: BTreeMap<Date, f64> = BTreeMap::new();
        values.iter().for_each(|(session, value)| *sums.entry(*session).or_default() += value - mean);
        let sessions = sums.len();
        let squares = sums.values().fold(0.0, |sum, one| sum + one * one);
        let each = sessions as f64 / (sessions as f64 - 1.0);
        (sessions > 1).then_some(Self {
            mean,
            variance: each * squares / (count as f64 * count as f64),
            sessions,
            count,
        })
    }

    fn freedom(&self) -> f64 {
        (self.sessions - 1) as f64
    }
}

impl Estimate {
    /// Mean and interval of values by session; none for fewer than two sessions.
    pub fn of(values: &[(Date, f64)]) -> Option<Self> {
        let one = Moments::of(values)?;
        Some(Self::new(one.mean, one.variance, one.freedom(), &one))
    }

    /// Difference of two means of independent values, with Welch's degrees of freedom.
    pub fn difference(one: &[(Date, f64)], other: &[(Date, f64)]) -> Option<Self> {
        let (first, second) = (Moments::of(one)?, Moments::of(other)?);
        let variance = first.variance + second.variance;
        let part = |one: &Moments| one.variance * one.variance / one.freedom();
        let freedom = variance * variance / (part(&first) + part(&second));
        Some(Self::new(first.mean - second.mean, variance, freedom, &first))
    }

    fn new(mean: f64, variance: f64, freedom: f64, of: &Moments) -> Self {
        let reach = t95(freedom) * variance.sqrt();
        Self { mean, low: mean - reach, high: mean + reach, count: of.count as u64, sessions: of.sessions as u64 }
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
            open: trial.open,
            avg_reward: mean(&rewards.iter().map(|(_, reward)| *reward).collect::<Vec<_>>()).unwrap_or(0.0),
            reward: Estimate::of(&rewards),
            mae_r: mean_of(|trade| trade.mae_r),
            mfe_captured: mean_of(|trade| trade.mfe_captured),
            shortfall: mean_of(|trade| trade.shortfall),
            adherence: mean_of(|trade| trade.adherence),
            undefined: (trial.trades.len() - rewards.len()) as u64,
            net: mean(&trial.equity.iter().map(|run| change(run)).collect::<Vec<_>>()).unwrap_or(0.0),
            sharpe: mean(&trial.equity.iter().filter_map(|run| sharpe(run)).collect::<Vec<_>>()),
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
        let table = |(of, means, judged): &(&'static str, String, Vec<Judged>)| Reliability::of(of, means, judged);
        let calibration = model.judged.iter().filter_map(table).collect();
        Self { model: measures, others: all, over_random, verdict, calibration }
    }
}

fn verdict(model: &Measures, over_random: Option<&Estimate>) -> String {
    let interval = |one: &Estimate| format!("{:+.4} R [{:+.4}, {:+.4}]", one.mean, one.low, one.high);
    match (&model.reward, over_random) {
        (None, _) => format!("no statement: {} trades are too few to tell an edge from chance", model.trades),
        (Some(own), _) if own.low <= 0.0 => format!(
            "the edge is not distinguishable from zero: {} a trade over {} trades in {} sessions",
            interval(own),
            own.count,
            own.sessions
        ),
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

fn rewards(trial: &Trial) -> Vec<(Date, f64)> {
    trial.trades.iter().filter_map(|trade| Some((trade.session, trade.r?))).collect()
}

fn change(equity: &[f64]) -> f64 {
    equity.first().zip(equity.last()).map_or(0.0, |(first, last)| last - first)
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
        let trade = |(index, r): (usize, &f64)| TradeFacts {
            session: Date(index as i32),
            r: Some(*r),
            mae_r: Some(0.5),
            mfe_captured: None,
            shortfall: Some(1.0),
            adherence: Some(100.0),
        };
        let mut equity = vec![1_000.0];
        rewards.iter().for_each(|r| equity.push(equity[equity.len() - 1] + r * 100.0));
        let trades = rewards.iter().enumerate().map(trade).collect();
        Trial { trades, equity: vec![equity], actions: [1, 2, 3], ..Trial::default() }
    }

    #[test]
    fn measures_are_means_over_trades_and_undefined_ones_are_counted() {
        let mut run = trial(&[1.0, -0.5, 2.5]);
        run.trades.push(TradeFacts { r: None, ..run.trades[0] });
        let measures = Measures::of("model", &run);
        assert_eq!((measures.trades, measures.undefined, measures.avg_reward), (4, 1, 1.0));
        assert_eq!((measures.mae_r, measures.mfe_captured), (Some(0.5), None));
        let reward = measures.reward.expect("three values");
        // Sample deviation 1.5, three sessions: Student's 4.303 with two degrees of freedom, not the normal 1.960.
        assert!((reward.high - 1.0 - 4.302_652_73 * 1.5 / 3f64.sqrt()).abs() < 1e-6, "{reward:?}");
        assert!(measures.sharpe.is_some_and(|sharpe| sharpe > 0.0) && measures.net == 300.0);
        let nothing = Measures::of("flat", &Trial { equity: vec![vec![1.0; 5]], ..Trial::default() });
        assert_eq!((nothing.avg_reward, nothing.reward, nothing.sharpe), (0.0, None, None));
    }

    /// What is held at the end counts at its last price, though no trade has closed; several runs count by their mean.
    #[test]
    fn what_is_held_counts_at_its_last_price() {
        let held = Trial { equity: vec![vec![1_000.0, 1_010.0, 1_070.0]], open: 2, ..Trial::default() };
        let measures = Measures::of("hold", &held);
        assert_eq!((measures.trades, measures.open, measures.net), (0, 2, 70.0));
        let runs = Trial { equity: vec![vec![1_000.0, 1_030.0], vec![1_000.0, 990.0]], ..Trial::default() };
        assert_eq!(Measures::of("random", &runs).net, 10.0);
    }

    /// Trades of one session are one observation of its market: an interval does not shrink by counting them twice.
    #[test]
    fn trades_of_one_session_count_once() {
        let apart: Vec<(Date, f64)> = (0..20).map(|day| (Date(day), f64::from(day % 5) - 1.5)).collect();
        let doubled: Vec<(Date, f64)> = apart.iter().flat_map(|one| [*one, *one]).collect();
        let (one, other) = (Estimate::of(&apart).expect("sessions"), Estimate::of(&doubled).expect("sessions"));
        assert!((one.low - other.low).abs() < 1e-12 && (one.high - other.high).abs() < 1e-12, "{one:?} {other:?}");
        assert_eq!((other.count, other.sessions), (40, 20));
        assert_eq!(Estimate::of(&[(Date(1), 1.0), (Date(1), 2.0)]), None, "one session tells nothing of its spread");
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
