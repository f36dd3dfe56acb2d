//! From Q to an action and a confidence.
//!
//! - Confidence is the softmax of a symbol's Q: in [0, 1], the three of a symbol add up to 1.
//! - Of equal Q the later action is taken, so that HOLD wins a tie.
//! - Must never: be asked about a Q that is not finite; the network refuses those.

use crate::Shape;
use daybook_vocabulary::Action;

/// What the network says of one symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The action of the highest Q.
    pub action: Action,
    /// Softmax of Q at that action, in [0, 1].
    pub confidence: f32,
    /// Raw Q of BUY, SELL, HOLD.
    pub q: [f32; Shape::ACTIONS],
}

impl Decision {
    /// What follows from a symbol's Q.
    pub fn of(q: [f32; Shape::ACTIONS]) -> Self {
        let best = (0..q.len()).fold(0, |best, index| if q[index] >= q[best] { index } else { best });
        Self { action: Action::ALL[best], confidence: confidences(q)[best], q }
    }

    /// One for each symbol, from the network's flat output.
    pub fn of_all(q: &[f32]) -> Vec<Self> {
        let rows = q.chunks_exact(Shape::ACTIONS);
        rows.map(|row| Self::of(row.try_into().expect("three actions a symbol"))).collect()
    }
}

/// Softmax: e^(q - highest) by `libm`, divided by their sum in the order BUY, SELL, HOLD.
pub fn confidences(q: [f32; Shape::ACTIONS]) -> [f32; Shape::ACTIONS] {
    let highest = q.iter().fold(f32::NEG_INFINITY, |top, value| top.max(*value));
    let powers = q.map(|value| libm::expf(value - highest));
    let sum = powers.iter().fold(0.0, |sum, power| sum + power);
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RL-24, trap 4: confidence is a probability that can pass any threshold in [0, 1].
    #[test]
    fn confidence_is_a_probability() {
        for q in [[0.0, 0.0, 0.0], [1e30, -1e30, 0.0], [-5.0, 2.0, 1.9], [f32::MIN, f32::MAX, 0.0]] {
            let all = confidences(q);
            assert!((all.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{q:?} {all:?}");
            let decision = Decision::of(q);
            assert!((1.0 / 3.0 - 1e-6..=1.0).contains(&decision.confidence), "{decision:?}");
        }
        assert_eq!(Decision::of([0.5, 0.5, 0.5]).action, Action::Hold, "a tie is no reason to trade");
        assert_eq!(Decision::of([0.5, 0.7, 0.5]).action, Action::Sell);
        assert_eq!(Decision::of([50.0, 0.0, 0.0]).confidence, 1.0);
    }
}
