//! AdamW over the flat vector of parameters, and the clip of the gradient before it.
//!
//! - Element by element, in f32, in the order of operations written in [`AdamW::update`]: no sums, so no order to keep.
//! - The moments are plain vectors, which a checkpoint stores; the tensor library's optimiser hides its own.
//! - The norm adds squares in f64 in the order of the parameters.
//! - Must never: take a step on a gradient that is not finite.

use serde::{Deserialize, Serialize};

/// What AdamW remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of its square.
    pub second: Vec<f32>,
    /// Updates so far.
    pub updates: u64,
}

/// Constants of AdamW.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Learning rate.
    pub lr: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;

impl AdamW {
    /// No updates yet.
    pub fn new(parameters: usize) -> Self {
        Self { first: vec![0.0; parameters], second: vec![0.0; parameters], updates: 0 }
    }

    /// One update: `p ← p·(1 - lr·decay)`, then `p ← p - lr/(1-β1^t) · m / (√v/√(1-β2^t) + ε)`.
    pub fn update(&mut self, parameters: &mut [f32], gradient: &[f32], rates: Rates) {
        assert!(parameters.len() == self.first.len() && gradient.len() == self.first.len(), "one gradient a parameter");
        self.updates += 1;
        let times = self.updates as f64;
        let keep = (1.0 - rates.lr * rates.weight_decay) as f32;
        let size = (rates.lr / (1.0 - libm::pow(BETA1, times))) as f32;
        let correction = libm::sqrt(1.0 - libm::pow(BETA2, times)) as f32;
        let (beta1, beta2) = (BETA1 as f32, BETA2 as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, gradient), (first, second)) in parameters.iter_mut().zip(gradient).zip(moments) {
            *first = *first * beta1 + gradient * (1.0 - beta1);
            *second = *second * beta2 + gradient * gradient * (1.0 - beta2);
            *parameter = *parameter * keep - size * *first / (second.sqrt() / correction + EPSILON);
        }
    }
}

/// Scales a gradient down to a norm; says the norm it had.
pub fn clip(gradient: &mut [f32], most: f64) -> f64 {
    let norm = gradient.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    if norm > most {
        let factor = (most / norm) as f32;
        gradient.iter_mut().for_each(|value| *value *= factor);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch 2.15: AdamW(lr=0.1, weight_decay=0.01), four updates.
    #[test]
    fn updates_are_those_of_pytorch() {
        let mut parameters = vec![1.0f32, -2.0, 0.5];
        let mut optimiser = AdamW::new(3);
        for gradient in [[0.1f32, -0.2, 3.0], [0.3, 0.2, -1.0], [0.0, 0.2, 0.5], [-1.0, 0.0, 0.25]] {
            optimiser.update(&mut parameters, &gradient, Rates { lr: 0.1, weight_decay: 0.01 });
        }
        for (found, expected) in parameters.iter().zip(PYTORCH) {
            assert!((found - expected).abs() < 2e-6, "{parameters:?}");
        }
    }

    const PYTORCH: [f32; 3] = [0.771_745_74, -1.970_692_6, 0.280_219_44];

    #[test]
    fn a_gradient_is_clipped_to_its_norm_and_left_alone_below() {
        let mut gradient = vec![3.0, 4.0];
        assert_eq!(clip(&mut gradient, 10.0), 5.0);
        assert_eq!(gradient, [3.0, 4.0]);
        assert_eq!(clip(&mut gradient, 1.0), 5.0);
        assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
        assert!(clip(&mut [f32::NAN], 1.0).is_nan());
    }
}
