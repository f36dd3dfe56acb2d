//! The forward pass against a naive twin, against itself in other arrangements, and against recorded bits.
//!
//! - Rows RL-13, RL-14, RL-24 and invariant I8: the same bits on every vector width, thread count and batch.
//! - Networks here have pseudo-random parameters from a counter, so a failure repeats.

use daybook_inference::{Decision, ModelError, Network, Processor, Scaler, Scratch, Shape, TimeframeShape};
use proptest::prelude::*;

/// RL-14: a permutation of the symbols permutes the outputs, bit for bit.
#[test]
fn permuting_the_symbols_permutes_the_outputs() {
    let network = network(5, &[("5m", 40), ("15m", 8)], 7);
    let rows = Rows::new(&network, 7, 11);
    let straight = ask(&network, &rows, &[0, 1, 2, 3, 4, 5, 6]);
    let order = [6, 2, 0, 5, 1, 4, 3];
    let permuted = ask(&network, &rows, &order);
    for (place, symbol) in order.iter().enumerate() {
        assert_eq!(bits(&permuted[place * 3..][..3]), bits(&straight[symbol * 3..][..3]), "symbol {symbol}");
    }
}

/// RL-14: one set of parameters serves any number of symbols, and the market changes what one symbol is told.
#[test]
fn the_number_of_symbols_is_free_and_the_market_matters() {
    let network = network(5, &[("5m", 40)], 7);
    let rows = Rows::new(&network, 50, 3);
    let alone = ask(&network, &rows, &[0]);
    let all = ask(&network, &rows, &(0..50).collect::<Vec<_>>());
    assert_eq!((alone.len(), all.len()), (3, 150));
    assert_ne!(alone, all[..3], "the context has the market in it");
    assert_eq!(Decision::of_all(&all).len(), 50);
}

/// I8, dependencies 5.2: a row of a batch has the bits that it has alone, on any number of threads.
#[test]
fn a_row_of_a_batch_is_the_row_alone_on_any_number_of_threads() {
    let network = network(4, &[("5m", 33), ("15m", 20)], 1);
    let all: Vec<Rows> = (0..9).map(|seed| Rows::new(&network, 3, seed)).collect();
    let windows: Vec<Vec<Vec<&[f32]>>> = all.iter().map(|rows| rows.windows(&[0, 1, 2])).collect();
    let alone: Vec<Vec<u32>> = all.iter().map(|rows| bits(&ask(&network, rows, &[0, 1, 2]))).collect();
    for threads in [1, 2, 3, 8, 64] {
        let batch: Vec<&[Vec<&[f32]>]> = windows.iter().map(Vec::as_slice).collect();
        let rows = network.q_values_of_batch(&batch, threads).expect("Q");
        let rows: Vec<Vec<u32>> = rows.iter().map(|row| bits(row)).collect();
        assert_eq!(rows, alone, "{threads} threads");
    }
}

/// I8: recorded bits, the same on x86-64 baseline, x86-64-v3 and aarch64. They change only with the definition.
#[test]
fn the_bits_are_those_that_were_recorded() {
    let network = network(18, &[("5m", 64), ("15m", 32)], 42);
    let rows = Rows::new(&network, 4, 42);
    for processor in Processor::available() {
        let windows = rows.windows(&[0, 1, 2, 3]);
        let q = network.q_values_on(processor, &windows, &mut Scratch::default()).expect("Q");
        let bytes: Vec<u8> = q.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), RECORDED, "on {processor:?}: {q:?}");
    }
}

const RECORDED: &str = "4b5497301be73101f6cc42a2cda235132b7273e25a5df2977b04d0244bdd7249";

/// The bound: PyTorch 2.15 on the same network and windows (`benches/torch_twin.py vectors`), to 1e-5.
#[test]
fn the_forward_pass_is_that_of_pytorch() {
    let network = network(18, &[("5m", 64), ("15m", 32)], 42);
    let q = ask(&network, &Rows::new(&network, 4, 42), &[0, 1, 2, 3]);
    let worst = q.iter().zip(PYTORCH).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "they differ by {worst}: {q:?}");
}

const PYTORCH: [f32; 12] = [
    -0.3280897, -0.0148212, -0.2688373, -0.3540006, -0.0381032, -0.3080541, -0.3488373, -0.0295108, -0.2904921,
    -0.3036611, -0.0114723, -0.2507447,
];

#[test]
fn windows_that_do_not_fit_are_refused_with_both_numbers() {
    let network = network(4, &[("5m", 33), ("15m", 20)], 1);
    let (long, short) = (vec![0.0; 33 * 4], vec![0.0; 20 * 4]);
    let cases: [Vec<Vec<&[f32]>>; 4] = [
        vec![vec![&long]],
        vec![vec![], vec![]],
        vec![vec![&long, &long], vec![&short]],
        vec![vec![&long], vec![&long]],
    ];
    for windows in cases {
        let error = network.q_values(&windows, &mut Scratch::default()).expect_err("refused");
        assert!(matches!(error, ModelError::Input { .. }), "{error}");
    }
}

/// A feature that is not a number gives no decision, never a guess.
#[test]
fn a_feature_that_is_no_number_gives_no_decision() {
    let network = network(4, &[("5m", 33)], 1);
    let (good, mut bad) = (vec![0.5; 33 * 4], vec![0.5; 33 * 4]);
    bad[17] = f32::NAN;
    let error = network.q_values(&[vec![&good, &bad]], &mut Scratch::default()).expect_err("refused");
    assert!(matches!(error, ModelError::NotFinite { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The naive twin follows the definition with plain indices; every vector width has its bits.
    #[test]
    fn every_vector_width_has_the_bits_of_the_naive_twin(
        features in 1usize..20, first in 8usize..70, second in 8usize..40, symbols in 1usize..4, seed in any::<u32>(),
    ) {
        let network = network(features, &[("5m", first), ("15m", second)], seed);
        let rows = Rows::new(&network, symbols, seed);
        let order: Vec<usize> = (0..symbols).collect();
        let expected = bits(&twin(&network, &rows, symbols));
        for processor in Processor::available() {
            let q = network.q_values_on(processor, &rows.windows(&order), &mut Scratch::default()).expect("Q");
            prop_assert_eq!(bits(&q), expected.clone(), "{:?} seed {}", processor, seed);
        }
    }
}

/// The definition of `learner/README.md`, step by step.
fn twin(network: &Network, rows: &Rows, symbols: usize) -> Vec<f32> {
    let hidden: Vec<Vec<f32>> = (0..symbols)
        .map(|symbol| {
            let mut pooled = Vec::new();
            for (index, shape) in network.shape().timeframes().iter().enumerate() {
                pooled.extend(twin_encoder(network, index, shape, &rows.values[index][symbol]));
            }
            silu(linear(network, "fusion.1", &silu(linear(network, "fusion.0", &pooled))))
        })
        .collect();
    let width = network.shape().hidden();
    let mut market = vec![0.0; 2 * width];
    for index in 0..width {
        let mut column: Vec<f32> = hidden.iter().map(|own| own[index]).collect();
        column.sort_by(f32::total_cmp);
        let mut sum = 0.0;
        column.iter().for_each(|value| sum += value);
        market[index] = sum / symbols as f32;
        market[width + index] = column[symbols - 1];
    }
    let project = linear(network, "market.project", &market);
    let gate: Vec<f32> = linear(network, "market.gate", &market).iter().map(|x| 1.0 / (1.0 + power(-x))).collect();
    let mut q = Vec::new();
    for own in hidden {
        let joined = [own, project.clone()].concat();
        let context: Vec<f32> = joined.iter().zip(&gate).map(|(value, gate)| value * gate).collect();
        let value = linear(network, "value.1", &silu(linear(network, "value.0", &context)))[0];
        let advantage = linear(network, "advantage.1", &silu(linear(network, "advantage.0", &context)));
        let mean = (advantage[0] + advantage[1] + advantage[2]) / 3.0;
        q.extend(advantage.iter().map(|advantage| value + (advantage - mean)));
    }
    q
}

fn twin_encoder(network: &Network, index: usize, shape: &TimeframeShape, window: &[f32]) -> Vec<f32> {
    let TimeframeShape { name, lookback, features, channels, kernel, depth } = shape;
    let part = |name: String| &network.parameters()[network.shape().range_of(&name)];
    let scaler = &network.scalers()[index];
    let (weight, bias) = (part(format!("encoder.{name}.input.weight")), part(format!("encoder.{name}.input.bias")));
    let mut stream = vec![vec![0.0f32; *lookback]; *channels];
    for t in 0..*lookback {
        for c in 0..*channels {
            stream[c][t] = bias[c];
            for f in 0..*features {
                stream[c][t] +=
                    weight[c * features + f] * ((window[t * features + f] - scaler.mean[f]) / scaler.scale[f]);
            }
        }
    }
    for block in 0..*depth {
        let part = |rest: &str| part(format!("encoder.{name}.block.{block}.{rest}"));
        let old = stream.clone();
        for t in 0..*lookback {
            let mut first = part("depthwise.bias").to_vec();
            for (c, sum) in first.iter_mut().enumerate() {
                for k in 0..*kernel {
                    let back = (kernel - 1 - k) * (block + 1);
                    let value = if back > t { 0.0 } else { old[c][t - back] };
                    *sum += part("depthwise.weight")[c * kernel + k] * value;
                }
            }
            let mut second = part("pointwise.bias").to_vec();
            for (o, sum) in second.iter_mut().enumerate() {
                for (c, value) in first.iter().enumerate() {
                    *sum += part("pointwise.weight")[o * channels + c] * value;
                }
            }
            let second = silu(second);
            let mut mean = 0.0;
            second.iter().for_each(|value| mean += value);
            mean /= *channels as f32;
            let mut variance = 0.0;
            second.iter().for_each(|value| variance += (value - mean) * (value - mean));
            let inverse = 1.0 / (variance / *channels as f32 + 1e-5).sqrt();
            for (c, value) in second.iter().enumerate() {
                stream[c][t] += (value - mean) * inverse * part("norm.weight")[c] + part("norm.bias")[c];
            }
        }
    }
    let mean = |row: &Vec<f32>| {
        let mut lanes = [0.0; 8];
        row.iter().enumerate().for_each(|(t, value)| lanes[t % 8] += value);
        let pairs = [0, 1, 2, 3].map(|lane| lanes[lane] + lanes[lane + 4]);
        ((pairs[0] + pairs[2]) + (pairs[1] + pairs[3])) / *lookback as f32
    };
    let top = |row: &Vec<f32>| row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    stream.iter().map(mean).chain(stream.iter().map(top)).collect()
}

fn linear(network: &Network, name: &str, input: &[f32]) -> Vec<f32> {
    let part = |rest: &str| &network.parameters()[network.shape().range_of(&format!("{name}.{rest}"))];
    let mut output = part("bias").to_vec();
    for (o, sum) in output.iter_mut().enumerate() {
        for (i, value) in input.iter().enumerate() {
            *sum += part("weight")[o * input.len() + i] * value;
        }
    }
    output
}

fn silu(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|x| x / (1.0 + power(-x))).collect()
}

/// libm's exponential without its subnormal results.
fn power(x: f32) -> f32 {
    let value = libm::expf(x);
    if value < f32::MIN_POSITIVE { 0.0 } else { value }
}

struct Rows {
    values: Vec<Vec<Vec<f32>>>,
}

impl Rows {
    fn new(network: &Network, symbols: usize, seed: u32) -> Self {
        let mut counter = Counter(seed ^ 0x5eed);
        let timeframes = network.shape().timeframes().iter();
        let row = |counter: &mut Counter, length: usize| (0..length).map(|_| counter.next() * 4.0).collect();
        let rows = timeframes.map(|one| (0..symbols).map(|_| row(&mut counter, one.lookback * one.features)).collect());
        Self { values: rows.collect() }
    }

    fn windows(&self, order: &[usize]) -> Vec<Vec<&[f32]>> {
        self.values.iter().map(|rows| order.iter().map(|symbol| rows[*symbol].as_slice()).collect()).collect()
    }
}

fn ask(network: &Network, rows: &Rows, order: &[usize]) -> Vec<f32> {
    network.q_values(&rows.windows(order), &mut Scratch::default()).expect("Q")
}

fn network(features: usize, timeframes: &[(&str, usize)], seed: u32) -> Network {
    let shape = Shape::new(features, timeframes).expect("a shape");
    let mut counter = Counter(seed);
    let parameters = (0..shape.parameter_count()).map(|_| counter.next() * 0.6).collect();
    let scaler = |counter: &mut Counter| Scaler {
        mean: (0..features).map(|_| counter.next()).collect(),
        scale: (0..features).map(|_| counter.next() + 1.5).collect(),
    };
    let scalers = timeframes.iter().map(|_| scaler(&mut counter)).collect();
    Network::new(shape, parameters, scalers).expect("a network")
}

/// Numbers in [-0.5, 0.5) that are exact everywhere.
struct Counter(u32);

impl Counter {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 24) as f32 - 0.5
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
