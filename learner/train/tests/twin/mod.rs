//! The network and its loss in double precision, by plain loops: what finite differences are taken of.
//!
//! - Follows `learner/README.md` line by line; shares no code with what it checks.

use daybook_inference::{Scaler, Shape, TimeframeShape};
use daybook_train::network::Example;

pub struct Twin<'a> {
    shape: &'a Shape,
    scalers: &'a [Scaler],
}

impl<'a> Twin<'a> {
    pub fn new(shape: &'a Shape, scalers: &'a [Scaler]) -> Self {
        Self { shape, scalers }
    }

    pub fn loss(&self, parameters: &[f64], examples: &[Example], count: f64) -> f64 {
        let mut loss = 0.0;
        for example in examples {
            for (symbol, q) in self.q(parameters, &example.windows).iter().enumerate() {
                let error = (q[usize::from(example.actions[symbol])] - f64::from(example.targets[symbol])).abs();
                let huber = if error <= 1.0 { 0.5 * error * error } else { error - 0.5 };
                loss += f64::from(example.weights[symbol]) * huber / count;
            }
        }
        loss
    }

    pub fn q(&self, parameters: &[f64], windows: &[Vec<&[f32]>]) -> Vec<Vec<f64>> {
        let linear = |name: &str, input: &[f64]| self.linear(parameters, name, input);
        let symbols = windows[0].len();
        let hidden: Vec<Vec<f64>> = (0..symbols)
            .map(|symbol| {
                let timeframes = self.shape.timeframes().iter().enumerate();
                let pooled: Vec<f64> = timeframes
                    .flat_map(|(index, one)| self.encode(parameters, index, one, windows[index][symbol]))
                    .collect();
                silu(linear("fusion.1", &silu(linear("fusion.0", &pooled))))
            })
            .collect();
        let width = self.shape.hidden();
        let mean = |index: usize| hidden.iter().map(|own| own[index]).sum::<f64>() / symbols as f64;
        let top = |index: usize| hidden.iter().map(|own| own[index]).fold(f64::NEG_INFINITY, f64::max);
        let market: Vec<f64> = (0..width).map(mean).chain((0..width).map(top)).collect();
        let project = linear("market.project", &market);
        let gate: Vec<f64> = linear("market.gate", &market).iter().map(|x| 1.0 / (1.0 + libm::exp(-x))).collect();
        let heads = |own: &Vec<f64>| {
            let joined = own.iter().chain(&project).zip(&gate).map(|(value, gate)| value * gate);
            let context: Vec<f64> = joined.collect();
            let value = linear("value.1", &silu(linear("value.0", &context)))[0];
            let advantage = linear("advantage.1", &silu(linear("advantage.0", &context)));
            let mean = advantage.iter().sum::<f64>() / 3.0;
            advantage.iter().map(|one| value + one - mean).collect()
        };
        hidden.iter().map(heads).collect()
    }

    fn encode(&self, parameters: &[f64], index: usize, shape: &TimeframeShape, window: &[f32]) -> Vec<f64> {
        let TimeframeShape { name, lookback, features, channels, kernel, depth } = shape;
        let part = |rest: String| &parameters[self.shape.range_of(&format!("encoder.{name}.{rest}"))];
        let scaler = &self.scalers[index];
        let mut stream: Vec<Vec<f64>> = Vec::new();
        for t in 0..*lookback {
            let scaled = (0..*features).map(|f| {
                (f64::from(window[t * features + f]) - f64::from(scaler.mean[f])) / f64::from(scaler.scale[f])
            });
            let scaled: Vec<f64> = scaled.collect();
            stream.push(matrix(part("input.weight".into()), part("input.bias".into()), &scaled));
        }
        for block in 0..*depth {
            let part = |rest: &str| part(format!("block.{block}.{rest}"));
            let old = stream.clone();
            for (t, row) in stream.iter_mut().enumerate() {
                let mut mixed = part("depthwise.bias").to_vec();
                for (c, sum) in mixed.iter_mut().enumerate() {
                    for k in 0..*kernel {
                        let back = (kernel - 1 - k) * (block + 1);
                        if back <= t {
                            *sum += part("depthwise.weight")[c * kernel + k] * old[t - back][c];
                        }
                    }
                }
                let s = silu(matrix(part("pointwise.weight"), part("pointwise.bias"), &mixed));
                let mean = s.iter().sum::<f64>() / *channels as f64;
                let variance = s.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / *channels as f64;
                for (c, value) in row.iter_mut().enumerate() {
                    let normal = (s[c] - mean) / (variance + 1e-5).sqrt();
                    *value += normal * part("norm.weight")[c] + part("norm.bias")[c];
                }
            }
        }
        let mean = |c: usize| stream.iter().map(|row| row[c]).sum::<f64>() / *lookback as f64;
        let top = |c: usize| stream.iter().map(|row| row[c]).fold(f64::NEG_INFINITY, f64::max);
        (0..*channels).map(mean).chain((0..*channels).map(top)).collect()
    }

    fn linear(&self, parameters: &[f64], name: &str, input: &[f64]) -> Vec<f64> {
        let part = |rest: &str| &parameters[self.shape.range_of(&format!("{name}.{rest}"))];
        matrix(part("weight"), part("bias"), input)
    }
}

fn matrix(weight: &[f64], bias: &[f64], input: &[f64]) -> Vec<f64> {
    let rows = weight.chunks_exact(input.len()).zip(bias);
    rows.map(|(row, bias)| bias + row.iter().zip(input).map(|(weight, value)| weight * value).sum::<f64>()).collect()
}

fn silu(values: Vec<f64>) -> Vec<f64> {
    values.into_iter().map(|x| x / (1.0 + libm::exp(-x))).collect()
}
