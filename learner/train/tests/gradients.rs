//! Loss and gradient against a twin in double precision, against the deciding pass, and against PyTorch.
//!
//! - RL-15: every derivative is checked by finite differences of the twin, parameter by parameter.
//! - dependencies.md, trap 1: every parameter gets a gradient.

mod twin;

use daybook_inference::{Network, Processor, Scaler, Scratch, Shape};
use daybook_train::Random;
use daybook_train::device::Backend;
use daybook_train::network::{Example, Learner, Step};
use twin::Twin;

struct Case {
    shape: Shape,
    parameters: Vec<f32>,
    scalers: Vec<Scaler>,
    windows: Vec<Vec<Vec<Vec<f32>>>>,
    actions: Vec<Vec<u8>>,
    targets: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
}

/// RL-15: the gradient of every parameter is that of finite differences in double precision.
#[test]
fn every_gradient_is_that_of_finite_differences() {
    for (features, timeframes, symbols, seed) in
        [(2, vec![("5m", 9)], 2, 1), (3, vec![("5m", 37), ("15m", 8)], 3, 2), (1, vec![("1m", 33)], 1, 3)]
    {
        let case = Case::new(features, &timeframes, symbols, 2, seed);
        let twin = Twin::new(&case.shape, &case.scalers);
        let parameters: Vec<f64> = case.parameters.iter().map(|value| f64::from(*value)).collect();
        let loss = |parameters: &[f64]| twin.loss(parameters, &case.examples(), case.count());
        let step = case.step(Processor::detect());
        assert!((step.loss - loss(&parameters)).abs() < 1e-5, "{} {}", step.loss, loss(&parameters));
        for one in case.shape.parameters() {
            assert!(one.range.clone().any(|index| step.gradient[index] != 0.0), "{} has no gradient", one.name);
            // Every parameter of the small network; of the larger ones some of each.
            for index in one.range.clone().step_by(if seed == 1 { 1 } else { 31 }) {
                let at = |nudge: f64| {
                    let mut moved = parameters.clone();
                    moved[index] += nudge;
                    loss(&moved)
                };
                let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
                let found = f64::from(step.gradient[index]);
                let allowed = 2e-5 + 2e-3 * expected.abs();
                assert!((found - expected).abs() < allowed, "{}[{index}] {found} {expected} seed {seed}", one.name);
            }
        }
    }
}

/// The vectors of a processor change the order of sums over time, and no more than that.
#[test]
fn every_vector_width_has_the_same_gradient_to_rounding() {
    let case = Case::new(5, &[("5m", 70), ("15m", 20)], 3, 2, 9);
    let expected = case.step(Processor::Baseline);
    for processor in Processor::available() {
        let found = case.step(processor);
        assert_eq!(found.q, expected.q, "the forward pass has the same bits on {processor:?}");
        for (one, other) in found.gradient.iter().zip(&expected.gradient) {
            assert!((one - other).abs() < 1e-5 + 1e-4 * other.abs(), "{one} {other} on {processor:?}");
        }
        assert_eq!(case.step(processor).gradient, found.gradient, "twice the same on {processor:?}");
    }
}

/// What a card computes is what the processor computes, forward and backward, to rounding.
#[test]
fn the_operations_of_the_library_are_our_own() {
    agrees_with_our_own(&Backend::TENSORS);
}

/// The same on a card, where this was built for one.
#[cfg(feature = "cuda")]
#[test]
fn the_operations_of_the_card_are_our_own() {
    agrees_with_our_own(&daybook_train::device::DeviceKind::Cuda.open().expect("built for a card: one is there"));
}

fn agrees_with_our_own(backend: &Backend) {
    for (features, timeframes, seed) in [(5, vec![("5m", 70), ("15m", 20)], 9), (2, vec![("5m", 9)], 1)] {
        let case = Case::new(features, &timeframes, 3, 2, seed);
        let own = case.step(Processor::detect());
        let learner = Learner::on(&case.shape, &case.scalers, backend.clone());
        let step = learner.step(&case.parameters, &case.examples(), case.count()).expect("a step");
        assert!((step.loss - own.loss).abs() < 1e-5, "{} {}", step.loss, own.loss);
        let worst = own.q.iter().zip(&step.q).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "Q differs by {worst}");
        for one in case.shape.parameters() {
            for index in one.range.clone() {
                let (found, expected) = (step.gradient[index], own.gradient[index]);
                assert!((found - expected).abs() < 1e-4 + 1e-3 * expected.abs(), "{} {found} {expected}", one.name);
            }
        }
        let windows: Vec<_> = case.examples().into_iter().map(|example| example.windows).collect();
        let values = learner.values(&case.parameters, &windows).expect("the library answers").expect("Q");
        assert_eq!(values.concat(), step.q, "the same pass without a derivative");
    }
}

/// What is trained is what decides: Q of training equals Q of inference to rounding of the heads.
#[test]
fn the_trained_network_is_the_deciding_network() {
    let case = Case::new(6, &[("5m", 50), ("15m", 30)], 4, 3, 4);
    let step = case.step(Processor::detect());
    let network = Network::new(case.shape.clone(), case.parameters.clone(), case.scalers.clone()).expect("a network");
    let mut scratch = Scratch::default();
    let mut decided = Vec::new();
    for example in case.examples() {
        decided.extend(network.q_values(&example.windows, &mut scratch).expect("Q"));
    }
    let worst = decided.iter().zip(&step.q).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-6, "training and deciding differ by {worst}");
}

/// A batch in parts is the batch: the sum of the parts' losses and gradients is that of the whole.
#[test]
fn micro_batches_add_up() {
    let case = Case::new(3, &[("5m", 20)], 2, 4, 5);
    let learner = Learner::new(&case.shape, &case.scalers, Processor::detect());
    let examples = case.examples();
    let whole = learner.step(&case.parameters, &examples, case.count()).expect("a step");
    let parts: Vec<Step> =
        examples.chunks(1).map(|part| learner.step(&case.parameters, part, case.count()).expect("a step")).collect();
    let loss: f64 = parts.iter().map(|part| part.loss).sum();
    assert!((loss - whole.loss).abs() < 1e-6, "{loss} {}", whole.loss);
    for (index, expected) in whole.gradient.iter().enumerate() {
        let sum: f32 = parts.iter().map(|part| part.gradient[index]).sum();
        assert!((sum - expected).abs() < 1e-5 + 1e-4 * expected.abs(), "{index}: {sum} {expected}");
    }
}

impl Case {
    fn new(features: usize, timeframes: &[(&str, usize)], symbols: usize, examples: usize, seed: u64) -> Self {
        let shape = Shape::new(features, timeframes).expect("a shape");
        let mut random = Random::named(seed, "gradients");
        let mut number = |scale: f64| ((random.unit() - 0.5) * scale) as f32;
        let parameters = (0..shape.parameter_count()).map(|_| number(1.0)).collect();
        let scalers = timeframes
            .iter()
            .map(|_| Scaler {
                mean: (0..features).map(|_| number(1.0)).collect(),
                scale: (0..features).map(|_| 1.0 + number(1.0)).collect(),
            })
            .collect();
        let window = |number: &mut dyn FnMut(f64) -> f32, lookback: usize| -> Vec<f32> {
            (0..lookback * features).map(|_| number(3.0)).collect()
        };
        let windows = (0..examples)
            .map(|_| {
                let of = |number: &mut dyn FnMut(f64) -> f32, lookback| {
                    (0..symbols).map(|_| window(number, lookback)).collect()
                };
                timeframes.iter().map(|(_, lookback)| of(&mut number, *lookback)).collect()
            })
            .collect();
        let mut table = |scale: f64, shift: f32| -> Vec<Vec<f32>> {
            (0..examples).map(|_| (0..symbols).map(|_| number(scale) + shift).collect()).collect()
        };
        let (targets, weights) = (table(6.0, 0.0), table(1.0, 0.6));
        let actions =
            (0..examples).map(|row| (0..symbols).map(|symbol| ((row + symbol) % 3) as u8).collect()).collect();
        Self { shape, parameters, scalers, windows, actions, targets, weights }
    }

    fn examples(&self) -> Vec<Example<'_>> {
        (0..self.windows.len())
            .map(|row| Example {
                windows: self.windows[row].iter().map(|rows| rows.iter().map(Vec::as_slice).collect()).collect(),
                actions: self.actions[row].clone(),
                targets: self.targets[row].clone(),
                weights: self.weights[row].clone(),
            })
            .collect()
    }

    fn count(&self) -> f64 {
        self.weights.iter().flatten().map(|weight| f64::from(*weight)).sum()
    }

    fn step(&self, processor: Processor) -> Step {
        let learner = Learner::new(&self.shape, &self.scalers, processor);
        learner.step(&self.parameters, &self.examples(), self.count()).expect("a step")
    }
}
