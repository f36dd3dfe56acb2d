//! Loss and gradient against PyTorch 2.15 on the same numbers, frozen (`benches/torch_twin.py vectors`).
//!
//! - RL-15: the norm and the first value of each parameter's gradient, to a relative 1e-4.

use daybook_inference::{Processor, Scaler, Shape};
use daybook_train::network::{Example, Learner};

#[test]
fn loss_and_gradient_are_those_of_pytorch() {
    let shape = Shape::new(18, &[("5m", 64), ("15m", 32)]).expect("a shape");
    let mut counter = Counter(42);
    let parameters = counter.take(shape.parameter_count(), 0.6);
    let mut scaler = || {
        let mean = counter.take(18, 1.0);
        Scaler { mean, scale: counter.take(18, 1.0).into_iter().map(|value| value + 1.5).collect() }
    };
    let scalers = [scaler(), scaler()];
    let mut counter = Counter(42 ^ 0x5eed);
    let rows: Vec<Vec<Vec<f32>>> =
        [64, 32].iter().map(|lookback| (0..4).map(|_| counter.take(lookback * 18, 4.0)).collect()).collect();
    let example = Example {
        windows: rows.iter().map(|rows| rows.iter().map(Vec::as_slice).collect()).collect(),
        actions: vec![0, 1, 2, 0],
        targets: vec![0.25, -0.5, 3.0, 0.0],
        weights: vec![1.0; 4],
    };
    for processor in Processor::available() {
        let learner = Learner::new(&shape, &scalers, processor);
        let step = learner.step(&parameters, std::slice::from_ref(&example), 4.0).expect("a step");
        assert!((step.loss - LOSS).abs() < 1e-6, "{} on {processor:?}", step.loss);
        assert_eq!(GRADIENTS.len(), shape.parameters().len());
        for (one, (name, norm, first)) in shape.parameters().iter().zip(GRADIENTS) {
            assert_eq!(one.name, *name);
            let part = &step.gradient[one.range.clone()];
            let found = part.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
            assert!((found - norm).abs() < 1e-4 * norm + 1e-7, "{name}: norm {found} {norm} on {processor:?}");
            let close = (f64::from(part[0]) - first).abs() < 1e-3 * first.abs() + 1e-6;
            assert!(close, "{name}: first {} {first} on {processor:?}", part[0]);
        }
    }
}

/// Numbers in [-0.5, 0.5) that are exact everywhere.
struct Counter(u32);

impl Counter {
    fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((self.0 >> 8) as f32 / (1 << 24) as f32 - 0.5) * scale
        };
        (0..count).map(|_| next()).collect()
    }
}

const LOSS: f64 = 0.777591347694397;

/// Name, norm and first value.
const GRADIENTS: &[(&str, f64, f64)] = &[
    ("encoder.5m.input.weight", 7.015124708e-02, -1.884266851e-03),
    ("encoder.5m.input.bias", 3.350184858e-02, -3.636970650e-03),
    ("encoder.5m.block.0.depthwise.weight", 1.768199727e-02, 1.445054077e-04),
    ("encoder.5m.block.0.depthwise.bias", 1.322052442e-02, -2.528123092e-03),
    ("encoder.5m.block.0.pointwise.weight", 1.949571259e-02, 3.630745414e-05),
    ("encoder.5m.block.0.pointwise.bias", 1.338308770e-02, -1.414963481e-04),
    ("encoder.5m.block.0.norm.weight", 1.959996670e-02, 1.085261232e-03),
    ("encoder.5m.block.0.norm.bias", 3.114446811e-02, -2.904686378e-03),
    ("encoder.5m.block.1.depthwise.weight", 1.431209967e-02, 8.578203415e-05),
    ("encoder.5m.block.1.depthwise.bias", 1.083298121e-02, -1.242487924e-04),
    ("encoder.5m.block.1.pointwise.weight", 1.741593517e-02, 4.875430022e-06),
    ("encoder.5m.block.1.pointwise.bias", 1.009765361e-02, 3.977450251e-04),
    ("encoder.5m.block.1.norm.weight", 1.992908120e-02, 1.321752323e-03),
    ("encoder.5m.block.1.norm.bias", 3.066231497e-02, -2.973808441e-03),
    ("encoder.5m.block.2.depthwise.weight", 2.506332658e-02, -8.570441278e-04),
    ("encoder.5m.block.2.depthwise.bias", 1.629985124e-02, 3.072091844e-03),
    ("encoder.5m.block.2.pointwise.weight", 3.435708582e-02, 1.388005039e-04),
    ("encoder.5m.block.2.pointwise.bias", 1.714608818e-02, 2.126758685e-03),
    ("encoder.5m.block.2.norm.weight", 2.969745733e-02, 3.588334657e-04),
    ("encoder.5m.block.2.norm.bias", 3.124949336e-02, -4.835282452e-03),
    ("encoder.15m.input.weight", 5.179401860e-02, -3.737301449e-05),
    ("encoder.15m.input.bias", 2.496397123e-02, 1.235646312e-03),
    ("encoder.15m.block.0.depthwise.weight", 1.176193822e-02, -2.731793502e-04),
    ("encoder.15m.block.0.depthwise.bias", 8.350824006e-03, 2.402244572e-04),
    ("encoder.15m.block.0.pointwise.weight", 1.504180394e-02, 8.867534343e-04),
    ("encoder.15m.block.0.pointwise.bias", 1.128990203e-02, 2.795109991e-03),
    ("encoder.15m.block.0.norm.weight", 1.875716634e-02, -2.225442091e-03),
    ("encoder.15m.block.0.norm.bias", 2.500643022e-02, 1.463073771e-03),
    ("encoder.15m.block.1.depthwise.weight", 1.189369150e-02, 5.194174009e-04),
    ("encoder.15m.block.1.depthwise.bias", 9.053981863e-03, 1.291896217e-03),
    ("encoder.15m.block.1.pointwise.weight", 1.801666990e-02, 7.914445596e-04),
    ("encoder.15m.block.1.pointwise.bias", 1.306371111e-02, 1.917499816e-03),
    ("encoder.15m.block.1.norm.weight", 2.695982717e-02, 8.431398892e-04),
    ("encoder.15m.block.1.norm.bias", 2.375047468e-02, 1.846000319e-03),
    ("encoder.15m.block.2.depthwise.weight", 9.411566891e-03, -5.466943185e-05),
    ("encoder.15m.block.2.depthwise.bias", 1.045564283e-02, -2.487991005e-03),
    ("encoder.15m.block.2.pointwise.weight", 1.356172189e-02, -8.193254471e-04),
    ("encoder.15m.block.2.pointwise.bias", 1.065493468e-02, -2.724372898e-04),
    ("encoder.15m.block.2.norm.weight", 1.855534874e-02, 9.298169753e-04),
    ("encoder.15m.block.2.norm.bias", 2.259349637e-02, 1.331532141e-03),
    ("fusion.0.weight", 2.300993800e-01, 3.182392102e-04),
    ("fusion.0.bias", 1.919286884e-02, 6.688112393e-03),
    ("fusion.1.weight", 1.854976714e-01, -2.666034037e-03),
    ("fusion.1.bias", 3.270828351e-02, -7.358544972e-04),
    ("market.project.weight", 9.310200065e-02, 3.203056054e-03),
    ("market.project.bias", 2.654372528e-02, -1.208653394e-02),
    ("market.gate.weight", 7.145160437e-02, -1.753307297e-04),
    ("market.gate.bias", 2.037112042e-02, 6.615996826e-04),
    ("value.0.weight", 1.726087928e-01, -3.871817316e-04),
    ("value.0.bias", 1.018283889e-01, 2.738256007e-03),
    ("value.1.weight", 1.570205986e-01, 8.172665536e-02),
    ("value.1.bias", 3.549634814e-01, -3.549634814e-01),
    ("advantage.0.weight", 1.300228387e-01, -4.542338662e-03),
    ("advantage.0.bias", 6.876776367e-02, 3.181884438e-02),
    ("advantage.1.weight", 1.511971951e-01, -2.013433725e-02),
    ("advantage.1.bias", 2.871016860e-01, -1.021165177e-01),
];
