//! Which decision times are drawn: all alike, or the surprising ones more often.
//!
//! - Prioritised sampling is proportional (Schaul et al., 2016): the chance of a decision is `(error + 0.001)^alpha` over
//!   the sum, its weight in the loss `(count × chance)^-beta` over the largest such weight of the draw. What was never
//!   learned from has the highest priority there is.
//! - Every sum of the tree is taken from its two children, so nothing drifts and the order of updates does not matter.

use crate::Random;

/// How decision times are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// All alike.
    Uniform,
    /// The surprising ones more often.
    Prioritised {
        /// How much surprise counts: 0 not at all, 1 in proportion.
        alpha: f64,
        /// How much of the bias is taken back: 0 nothing, 1 all.
        beta: f64,
    },
}

impl Sampling {
    /// The usual exponents.
    pub const PRIORITISED: Self = Self::Prioritised { alpha: 0.6, beta: 0.4 };
}

/// What keeps an error of nothing from never being drawn again.
const ERROR_MIN: f64 = 1e-3;
/// Larger errors are drawn no more often.
const ERROR_MAX: f64 = 1e6;

/// Priorities and their sums.
#[derive(Debug, Clone, PartialEq)]
pub struct SumTree {
    /// Leaves, a power of two.
    width: usize,
    /// Sums: 1 is the root, the children of n are 2n and 2n + 1.
    sums: Vec<f64>,
    count: usize,
}

impl SumTree {
    /// So many leaves of priority 1, at least one.
    pub fn new(count: usize) -> Self {
        assert!(count > 0, "there is something to draw");
        let width = count.next_power_of_two();
        let mut tree = Self { width, sums: vec![0.0; 2 * width], count };
        tree.sums[width..width + count].fill(1.0);
        tree.add_up();
        tree
    }

    fn add_up(&mut self) {
        for node in (1..self.width).rev() {
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1];
        }
    }

    /// The priority of a leaf.
    pub fn get(&self, leaf: usize) -> f64 {
        self.sums[self.width + leaf]
    }

    /// Gives a leaf a priority, at least 0.
    pub fn set(&mut self, leaf: usize, priority: f64) {
        assert!(leaf < self.count && priority >= 0.0, "a leaf has a priority");
        let mut node = self.width + leaf;
        self.sums[node] = priority;
        while node > 1 {
            node /= 2;
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1];
        }
    }

    /// Sum of all priorities.
    pub fn total(&self) -> f64 {
        self.sums[1]
    }

    /// The leaf at a point of the sum, `0 <= point < total`.
    pub fn find(&self, mut point: f64) -> usize {
        let mut node = 1;
        while node < self.width {
            node *= 2;
            // A rounding must not lead into an empty branch.
            if point >= self.sums[node] && self.sums[node + 1] > 0.0 {
                point -= self.sums[node];
                node += 1;
            }
        }
        (node - self.width).min(self.count - 1)
    }

    /// Draws leaves with their weights in the loss.
    pub fn draw(&self, random: &mut Random, count: usize, beta: f64) -> Vec<(usize, f32)> {
        let weight = |leaf: usize| libm::pow(self.count as f64 * (self.get(leaf) / self.total()), -beta);
        let drawn: Vec<(usize, f64)> = (0..count)
            .map(|_| {
                let leaf = self.find(random.unit() * self.total());
                (leaf, weight(leaf))
            })
            .collect();
        let largest = drawn.iter().map(|(_, weight)| *weight).fold(f64::MIN_POSITIVE, f64::max);
        drawn.into_iter().map(|(leaf, weight)| (leaf, (weight / largest) as f32)).collect()
    }

    /// The priority of an error.
    pub fn priority(error: f32, alpha: f64) -> f64 {
        let error = if error.is_finite() { f64::from(error.abs()).min(ERROR_MAX) } else { ERROR_MAX };
        libm::pow(error + ERROR_MIN, alpha)
    }

    /// Priorities as a checkpoint stores them.
    pub fn priorities(&self) -> Vec<f32> {
        self.sums[self.width..self.width + self.count].iter().map(|priority| *priority as f32).collect()
    }

    /// Takes up what [`SumTree::priorities`] gave; false when it is of something else.
    pub fn restore(&mut self, priorities: &[f32]) -> bool {
        if priorities.len() != self.count
            || priorities.iter().any(|priority| !(*priority >= 0.0 && priority.is_finite()))
        {
            return false;
        }
        for (leaf, priority) in self.sums[self.width..].iter_mut().zip(priorities) {
            *leaf = f64::from(*priority);
        }
        self.add_up();
        self.total() > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_drawn_in_proportion() {
        let mut tree = SumTree::new(5);
        for (leaf, priority) in [1.0, 0.0, 3.0, 2.0, 4.0].into_iter().enumerate() {
            tree.set(leaf, priority);
        }
        assert_eq!(tree.total(), 10.0);
        assert_eq!([0.0, 0.99, 1.0, 3.99, 4.0, 6.0, 9.99].map(|point| tree.find(point)), [0, 0, 2, 2, 3, 4, 4]);
        let mut counts = [0u32; 5];
        tree.draw(&mut Random::new(1), 100_000, 0.4).iter().for_each(|(leaf, _)| counts[*leaf] += 1);
        for (leaf, share) in [0.1, 0.0, 0.3, 0.2, 0.4].into_iter().enumerate() {
            assert!((f64::from(counts[leaf]) / 100_000.0 - share).abs() < 0.01, "{counts:?}");
        }
    }

    /// With beta 1 the weights take back exactly what the priorities do: each leaf's expected weight is the same.
    #[test]
    fn weights_take_the_bias_back() {
        let mut tree = SumTree::new(4);
        [1.0, 2.0, 4.0, 1.0].into_iter().enumerate().for_each(|(leaf, priority)| tree.set(leaf, priority));
        for (leaf, weight) in tree.draw(&mut Random::new(3), 500, 1.0) {
            assert!((f64::from(weight) * tree.get(leaf) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn sums_do_not_drift_and_a_state_is_taken_up() {
        let mut random = Random::new(9);
        let mut tree = SumTree::new(1_000);
        for _ in 0..20_000 {
            tree.set(random.below(1_000) as usize, SumTree::priority(random.unit() as f32, 0.6) as f32 as f64);
        }
        let mut fresh = SumTree::new(1_000);
        assert!(fresh.restore(&tree.priorities()));
        assert_eq!(fresh, tree);
        assert!(!fresh.restore(&[1.0]) && !fresh.restore(&[f32::NAN; 1_000]) && !fresh.restore(&[0.0; 1_000]));
    }
}
