//! What confidence is worth: how often a policy is right, by how sure it was.
//!
//! - Confidence is the softmax of a symbol's Q and is left as it is; this measures it, on the range that was held out.
//! - What "right" means is said in words beside each table: a share without its definition is no measurement.
//! - Bins hold equally many judgements, equal confidences together; an error of nothing in each would be calibrated.
//! - Sessions are what an interval counts, as everywhere in an evaluation.
//! - Must never: be fed with anything but judgements of the range that was held out, or be used to change a decision.

use crate::evaluate::Estimate;
use daybook_vocabulary::Date;
use serde::{Deserialize, Serialize};

/// Bins of a table, at most.
const BINS: usize = 10;

/// One judgement: how sure the policy was, and whether it was right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The session it was made in.
    pub session: Date,
    /// Confidence, from 0 to 1.
    pub confidence: f64,
    /// Whether it was right.
    pub right: bool,
}

/// Judgements of about the same confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The least confidence in it.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Judgements.
    pub count: u64,
    /// Mean confidence.
    pub confidence: f64,
    /// Share that was right.
    pub right: f64,
    /// The same with its interval; none with judgements in fewer than two sessions.
    pub interval: Option<Estimate>,
}

/// How often a policy is right, by how sure it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// What was judged.
    pub of: String,
    /// What right means.
    pub right_means: String,
    /// Judgements.
    pub count: u64,
    /// Mean confidence.
    pub confidence: f64,
    /// Share that was right.
    pub right: f64,
    /// Mean distance of confidence and share over the bins, each by its count (expected calibration error).
    pub expected_error: f64,
    /// Share that was right less confidence, with its interval: zero if confidence were a probability on average.
    pub gap: Option<Estimate>,
    /// Share that was right in the surest bin less that in the least sure: above zero if confidence says anything.
    pub surest_over_least: Option<Estimate>,
    /// The least sure first.
    pub bins: Vec<Bin>,
}

impl Reliability {
    /// Of judgements; none without any.
    pub fn of(of: &str, right_means: &str, judged: &[Judged]) -> Option<Self> {
        let mut sorted = judged.to_vec();
        sorted.sort_by(|one, other| one.confidence.total_cmp(&other.confidence));
        let parts = parts(&sorted);
        let (first, last) = (parts.first()?, parts.last()?);
        let bins: Vec<Bin> = parts.iter().map(|part| Bin::of(part)).collect();
        let count = sorted.len() as f64;
        let error = |bin: &Bin| bin.count as f64 / count * (bin.right - bin.confidence).abs();
        let gaps: Vec<(Date, f64)> = sorted.iter().map(|one| (one.session, one.value() - one.confidence)).collect();
        Some(Self {
            of: of.to_owned(),
            right_means: right_means.to_owned(),
            count: sorted.len() as u64,
            confidence: mean(&sorted, |one| one.confidence),
            right: mean(&sorted, Judged::value),
            expected_error: bins.iter().map(error).sum(),
            gap: Estimate::of(&gaps),
            surest_over_least: (parts.len() > 1).then(|| Estimate::difference(&values(last), &values(first))).flatten(),
            bins,
        })
    }

    /// What follows, in a sentence.
    pub fn verdict(&self) -> String {
        let points = |share: f64| share * 100.0;
        let interval = |one: &Estimate| {
            format!("{:+.1} points [{:+.1}, {:+.1}]", points(one.mean), points(one.low), points(one.high))
        };
        let calibrated = match &self.gap {
            None => "no statement about calibration: judgements in fewer than two sessions".to_owned(),
            Some(gap) if gap.low <= 0.0 && gap.high >= 0.0 => {
                format!("on average not distinguishable from a probability of being right: off by {}", interval(gap))
            }
            Some(gap) => format!("no probability of being right: off by {}", interval(gap)),
        };
        let ranks = match &self.surest_over_least {
            Some(over) if over.low > 0.0 => {
                format!("the surest are right more often than the least sure, by {}", interval(over))
            }
            Some(over) if over.high < 0.0 => {
                format!("the surest are right less often than the least sure: {}", interval(over))
            }
            Some(over) => format!("the surest cannot be told from the least sure: {}", interval(over)),
            None => "there is one bin".to_owned(),
        };
        format!(
            "{} {}: right {:.1} % at a mean confidence of {:.1} %, expected calibration error {:.1} points; confidence is \
             {calibrated}; {ranks}",
            self.count,
            self.of,
            points(self.right),
            points(self.confidence),
            points(self.expected_error)
        )
    }
}

impl Judged {
    fn value(&self) -> f64 {
        f64::from(u8::from(self.right))
    }
}

impl Bin {
    fn of(part: &[Judged]) -> Self {
        Self {
            low: part[0].confidence,
            high: part[part.len() - 1].confidence,
            count: part.len() as u64,
            confidence: mean(part, |one| one.confidence),
            right: mean(part, Judged::value),
            interval: Estimate::of(&values(part)),
        }
    }
}

/// Bins of about equal count; equal confidences are never parted. None is empty.
fn parts(sorted: &[Judged]) -> Vec<&[Judged]> {
    let mut parts = Vec::new();
    let mut rest = sorted;
    while !rest.is_empty() {
        let left = BINS.saturating_sub(parts.len()).max(1);
        let mut end = rest.len().div_ceil(left);
        let last = rest[end - 1].confidence;
        end += rest[end..].iter().take_while(|one| one.confidence == last).count();
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

fn values(part: &[Judged]) -> Vec<(Date, f64)> {
    part.iter().map(|one| (one.session, one.value())).collect()
}

fn mean(part: &[Judged], of: impl Fn(&Judged) -> f64) -> f64 {
    part.iter().map(of).sum::<f64>() / part.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    /// Judgements that are right with the chance that `truth` makes of their confidence.
    fn drawn(count: usize, truth: impl Fn(f64) -> f64) -> Vec<Judged> {
        let mut random = Random::named(5, "calibration");
        let judged = (0..count).map(|index| {
            let confidence = 1.0 / 3.0 + random.unit() * 2.0 / 3.0;
            Judged { session: Date(index as i32 / 40), confidence, right: random.chance(truth(confidence)) }
        });
        judged.collect()
    }

    fn reliability(judged: &[Judged]) -> Reliability {
        Reliability::of("decisions", "the price rose", judged).expect("judgements")
    }

    /// RL-24: a calibrated policy is found calibrated, an overconfident one is not, and one whose confidence says nothing
    /// is told that it says nothing.
    #[test]
    fn calibration_is_told_from_its_absence() {
        let good = reliability(&drawn(20_000, |confidence| confidence));
        assert!(good.expected_error < 0.02, "{good:?}");
        assert!(good.gap.is_some_and(|gap| gap.low < 0.0 && gap.high > 0.0), "{good:?}");
        assert!(good.surest_over_least.is_some_and(|over| over.low > 0.5));
        assert!(good.verdict().contains("not distinguishable from a probability"), "{}", good.verdict());
        let bold = reliability(&drawn(20_000, |confidence| confidence - 0.2));
        assert!((bold.expected_error - 0.2).abs() < 0.02 && bold.gap.is_some_and(|gap| gap.high < -0.18), "{bold:?}");
        assert!(bold.verdict().contains("no probability of being right"), "{}", bold.verdict());
        let blind = reliability(&drawn(20_000, |_| 0.4));
        assert!(blind.verdict().contains("cannot be told from the least sure"), "{}", blind.verdict());
    }

    /// By hand: four judgements in two bins' worth of confidences.
    #[test]
    fn numbers_are_those_of_the_definition() {
        let one = |session: i32, confidence: f64, right: bool| Judged { session: Date(session), confidence, right };
        let found = reliability(&[one(2, 0.5, true), one(1, 0.9, true), one(1, 0.5, false), one(2, 0.9, true)]);
        let bins: Vec<(f64, u64, f64)> = found.bins.iter().map(|bin| (bin.confidence, bin.count, bin.right)).collect();
        assert_eq!(bins, [(0.5, 2, 0.5), (0.9, 2, 1.0)], "equal confidences are never parted");
        assert!((found.expected_error - 0.05).abs() < 1e-12 && found.count == 4);
        assert!((found.gap.expect("two sessions").mean - 0.05).abs() < 1e-12);
        assert_eq!(Reliability::of("decisions", "", &[]), None);
        let alone = reliability(&[one(1, 0.4, true)]);
        assert_eq!((alone.bins.len(), alone.gap, alone.surest_over_least), (1, None, None));
        assert!(alone.verdict().contains("no statement"), "{}", alone.verdict());
    }

    #[test]
    fn bins_hold_everything_once_and_are_about_equal() {
        for count in [1, 9, 10, 11, 99, 1_000] {
            let found = reliability(&drawn(count, |_| 0.5));
            assert_eq!(found.bins.iter().map(|bin| bin.count).sum::<u64>(), count as u64);
            assert!(found.bins.len() <= BINS && found.bins.windows(2).all(|pair| pair[0].high < pair[1].low));
            let sizes: Vec<u64> = found.bins.iter().map(|bin| bin.count).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
        let same = vec![Judged { session: Date(1), confidence: 0.5, right: true }; 30];
        assert_eq!(reliability(&same).bins.len(), 1);
    }
}
