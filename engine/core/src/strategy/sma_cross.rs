//! `sma-cross`: long while the mean of the last few closes is above the mean of the last many.
//!
//! The means are compared exactly, in integers: `sum_fast / fast > sum_slow / slow` is
//! `sum_fast × slow > sum_slow × fast`.

use super::{Parameter, ParameterError, Parameters, Rule, View};
use crate::orders::{OrderRequest, Requests};
use crate::sizing::{Gauge, Sizing};
use daybook_vocabulary::{Candle, Side};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A crossover of two simple moving averages, long only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SmaCross {
    sizing: Sizing,
    gauge: Option<Box<Gauge>>,
    averages: CrossingAverages,
}

impl Rule for SmaCross {
    const NAME: &'static str = "sma-cross";
    const ABOUT: &'static str = "buy when the fast simple moving average is above the slow one, sell when below";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter { name: "fast", default: "10", about: "closes in the fast mean" },
        Parameter { name: "slow", default: "30", about: "closes in the slow mean, more than fast" },
        Parameter {
            name: "quantity",
            default: "1",
            about: "how much to buy of each symbol: N, equity_pct:N, capital:N, atr_risk:P/M, vol_target:P or kelly:F/P",
        },
    ];

    fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let fast = parameters.integer("fast", 1..=100_000)?;
        let slow = parameters.integer("slow", 2..=100_000)?;
        if slow <= fast {
            return Err(parameters.refuse("slow", format!("more than fast={fast}")));
        }
        let sizing = parameters.sizing("quantity", false)?;
        Ok(Self { sizing, gauge: sizing.gauge(), averages: CrossingAverages::new(fast, slow) })
    }

    fn warmup(&self) -> u32 {
        (self.averages.length() - 1).max(self.sizing.warmup())
    }

    #[inline]
    fn on_bar(&mut self, bar: &Candle) {
        self.averages.push(bar.close().0);
        if let Some(gauge) = &mut self.gauge {
            gauge.update(bar);
        }
    }

    #[inline]
    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        let Some(order) = self.averages.compare() else { return };
        let held = view.position();
        // Both questions are asked at once: of many symbols each stands elsewhere, and a branch on either alone is a
        // coin toss for the processor.
        let enters = (order == Ordering::Greater) & held.is_zero();
        let leaves = (order == Ordering::Less) & (held.0 > 0);
        if !(enters | leaves) || view.is_pending() {
            return;
        }
        if leaves {
            requests.place(OrderRequest::market(Side::Sell, held, "cross-down"));
        } else if let Some(quantity) = view.size(self.sizing, None, self.gauge.as_deref()) {
            requests.place(OrderRequest::market(Side::Buy, quantity, "cross-up"));
        }
    }
}

/// Two simple moving averages over one ring of closes, kept as exact sums.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CrossingAverages {
    fast: u32,
    /// The last `slow` closes; `next` is the oldest once it is full.
    closes: Vec<i64>,
    next: u32,
    seen: u32,
    fast_sum: i128,
    slow_sum: i128,
}

impl CrossingAverages {
    /// Means of the last `fast` and the last `slow` closes; `0 < fast < slow`.
    pub fn new(fast: u32, slow: u32) -> Self {
        assert!(0 < fast && fast < slow, "the fast mean is shorter than the slow one");
        Self { fast, closes: vec![0; slow as usize], next: 0, seen: 0, fast_sum: 0, slow_sum: 0 }
    }

    /// Closes in the slow mean.
    pub fn length(&self) -> u32 {
        self.closes.len() as u32
    }

    /// Adds a close and drops the oldest. Slots not yet filled hold zero, so there is nothing to tell apart.
    #[inline]
    pub fn push(&mut self, close: i64) {
        let (next, slow, fast) = (self.next as usize, self.closes.len(), self.fast as usize);
        let leaves_fast = if next >= fast { next - fast } else { next + slow - fast };
        self.fast_sum += i128::from(close) - i128::from(self.closes[leaves_fast]);
        self.slow_sum += i128::from(close) - i128::from(self.closes[next]);
        self.closes[next] = close;
        self.next = if next + 1 == slow { 0 } else { next as u32 + 1 };
        self.seen = self.seen.saturating_add(1);
    }

    /// The fast mean against the slow one; nothing before `slow` closes.
    #[inline]
    pub fn compare(&self) -> Option<Ordering> {
        let slow = self.closes.len() as u32;
        if self.seen < slow {
            return None;
        }
        Some((self.fast_sum * i128::from(slow)).cmp(&(self.slow_sum * i128::from(self.fast))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The naive twin adds up every window anew and compares fractions.
    fn naive(closes: &[i64], fast: usize, slow: usize) -> Option<Ordering> {
        if closes.len() < slow {
            return None;
        }
        let sum = |count: usize| closes[closes.len() - count..].iter().map(|&close| i128::from(close)).sum::<i128>();
        Some((sum(fast) * slow as i128).cmp(&(sum(slow) * fast as i128)))
    }

    proptest! {
        #[test]
        fn running_sums_equal_the_windows(
            closes in prop::collection::vec(1i64..i64::MAX, 1..80),
            fast in 1u32..10,
            more in 1u32..10,
        ) {
            let mut averages = CrossingAverages::new(fast, fast + more);
            for (index, &close) in closes.iter().enumerate() {
                averages.push(close);
                prop_assert_eq!(averages.compare(), naive(&closes[..=index], fast as usize, (fast + more) as usize));
            }
        }
    }

    #[test]
    fn equal_means_are_equal() {
        let mut averages = CrossingAverages::new(1, 3);
        for close in [3, 3, 3] {
            averages.push(close);
        }
        assert_eq!(averages.compare(), Some(Ordering::Equal));
    }
}
