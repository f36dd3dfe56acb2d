//! The forward pass: windows of all symbols in, Q of each symbol and action out.
//!
//! - One decision is one call; a batch is the same call again and again, so a row's bits cannot depend on its batch.
//! - Permuting the symbols permutes the outputs, bit for bit: the market's mean adds each value in ascending order.
//! - A linear layer's output begins with its bias and adds its inputs in ascending order.
//! - Must never: hand out a Q that is not finite.

use crate::encoder::{EncoderScratch, EncoderWeights, encode};
use crate::kernels::larger;
use crate::math;
use crate::processor::Processor;
use crate::{ModelError, Shape};

/// Mean and scale of each feature of one timeframe, fitted on the training range only.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Divided by; never zero.
    pub scale: Vec<f32>,
}

/// The raw features of one decision: for each timeframe, for each symbol, a window of (L, F), oldest bar first.
pub type Windows<'a> = [Vec<&'a [f32]>];

/// A network ready to decide.
#[derive(Debug, Clone)]
pub struct Network {
    shape: Shape,
    parameters: Vec<f32>,
    scalers: Vec<Scaler>,
    heads: Heads,
}

/// Buffers that are used again for the next decision.
#[derive(Debug, Default)]
pub struct Scratch {
    encoders: Vec<EncoderScratch>,
    pooled: Vec<f32>,
    hidden: Vec<f32>,
}

#[derive(Debug, Clone)]
struct Heads {
    fusion: [Linear; 2],
    project: Linear,
    gate: Linear,
    value: [Linear; 2],
    advantage: [Linear; 2],
}

/// A linear layer, its weights turned to (inputs, outputs) so that outputs lie side by side.
#[derive(Debug, Clone)]
struct Linear {
    turned: Vec<f32>,
    bias: Vec<f32>,
}

impl Scaler {
    /// Changes nothing: (x - 0) / 1.
    pub fn identity(features: usize) -> Self {
        Self { mean: vec![0.0; features], scale: vec![1.0; features] }
    }

    /// What makes it unusable, if anything.
    pub fn fault(&self, features: usize) -> Option<String> {
        if self.mean.len() != features || self.scale.len() != features {
            return Some(format!("it has {} means and {} scales, not {features}", self.mean.len(), self.scale.len()));
        }
        let bad = |(mean, scale): (&f32, &f32)| !mean.is_finite() || !scale.is_finite() || *scale <= 0.0;
        let index = self.mean.iter().zip(&self.scale).position(bad)?;
        Some(format!("feature {index} has mean {} and scale {}", self.mean[index], self.scale[index]))
    }
}

impl Network {
    /// A network of these parameters (in the order of [`Shape::parameters`]) and one scaler per timeframe.
    pub fn new(shape: Shape, parameters: Vec<f32>, scalers: Vec<Scaler>) -> Result<Self, ModelError> {
        let input = |what: &str, found, needed| ModelError::Input { what: what.to_owned(), found, needed };
        if parameters.len() != shape.parameter_count() {
            return Err(input("parameters", parameters.len(), shape.parameter_count()));
        }
        if scalers.len() != shape.timeframes().len() {
            return Err(input("scalers", scalers.len(), shape.timeframes().len()));
        }
        for (scaler, timeframe) in scalers.iter().zip(shape.timeframes()) {
            if let Some(fault) = scaler.fault(shape.features()) {
                let key = format!("the scaler of {}", timeframe.name);
                return Err(ModelError::Shape {
                    key,
                    value: fault,
                    why: "means are finite, scales finite and above 0",
                });
            }
        }
        let heads = Heads::new(&shape, &parameters);
        Ok(Self { shape, parameters, scalers, heads })
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The flat vector of parameters.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// One scaler per timeframe.
    pub fn scalers(&self) -> &[Scaler] {
        &self.scalers
    }

    /// Q of one decision: BUY, SELL, HOLD of the first symbol, then of the next.
    pub fn q_values(&self, windows: &Windows, scratch: &mut Scratch) -> Result<Vec<f32>, ModelError> {
        self.q_values_on(Processor::detect(), windows, scratch)
    }

    /// The same on chosen vectors, for tests and measurements; the bits are the same.
    pub fn q_values_on(
        &self,
        processor: Processor,
        windows: &Windows,
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>, ModelError> {
        let symbols = self.check(windows)?;
        self.encode_all(processor, windows, symbols, scratch);
        let hidden = self.shape.hidden();
        scratch.hidden.clear();
        for pooled in scratch.pooled.chunks_exact(self.shape.pooled()) {
            let first = self.heads.fusion[0].apply_silu(pooled);
            scratch.hidden.extend(self.heads.fusion[1].apply_silu(&first));
        }
        let market = market(&scratch.hidden, hidden);
        let projected = self.heads.project.apply(&market);
        let gates: Vec<f32> = self.heads.gate.apply(&market).into_iter().map(math::sigmoid).collect();
        let mut q = Vec::with_capacity(symbols * Shape::ACTIONS);
        for own in scratch.hidden.chunks_exact(hidden) {
            let context: Vec<f32> =
                own.iter().chain(&projected).zip(&gates).map(|(value, gate)| value * gate).collect();
            q.extend(self.heads.dueling(&context));
        }
        match q.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(ModelError::NotFinite { symbol: index / Shape::ACTIONS }),
            None => Ok(q),
        }
    }

    /// Q of many decisions, shared out over threads; each row has the bits that it has alone.
    pub fn q_values_of_batch(&self, batch: &[&Windows], threads: usize) -> Result<Vec<Vec<f32>>, ModelError> {
        let share = batch.len().div_ceil(threads.max(1)).max(1);
        let of_share = |rows: &[&Windows]| -> Result<Vec<Vec<f32>>, ModelError> {
            let mut scratch = Scratch::default();
            rows.iter().map(|windows| self.q_values(windows, &mut scratch)).collect()
        };
        let shares: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = batch.chunks(share).map(|rows| scope.spawn(move || of_share(rows))).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut rows = Vec::with_capacity(batch.len());
        for share in shares {
            rows.extend(share?);
        }
        Ok(rows)
    }

    fn check(&self, windows: &Windows) -> Result<usize, ModelError> {
        let input = |what: String, found, needed| Err(ModelError::Input { what, found, needed });
        if windows.len() != self.shape.timeframes().len() {
            return input("timeframes".to_owned(), windows.len(), self.shape.timeframes().len());
        }
        let symbols = windows[0].len();
        if symbols == 0 {
            return input("symbols (none)".to_owned(), 0, 1);
        }
        for (rows, timeframe) in windows.iter().zip(self.shape.timeframes()) {
            if rows.len() != symbols {
                return input(format!("symbols of {}", timeframe.name), rows.len(), symbols);
            }
            let needed = timeframe.lookback * timeframe.features;
            if let Some(row) = rows.iter().find(|row| row.len() != needed) {
                return input(format!("values in a window of {}", timeframe.name), row.len(), needed);
            }
        }
        Ok(symbols)
    }

    fn encode_all(&self, processor: Processor, windows: &Windows, symbols: usize, scratch: &mut Scratch) {
        let width = self.shape.pooled();
        scratch.pooled.clear();
        scratch.pooled.resize(symbols * width, 0.0);
        scratch.encoders.resize_with(windows.len(), EncoderScratch::default);
        let mut at = 0;
        for (index, timeframe) in self.shape.timeframes().iter().enumerate() {
            let weights = EncoderWeights::new(timeframe, &self.parameters[self.shape.encoder_range(index)]);
            let (scaler, buffers) = (&self.scalers[index], &mut scratch.encoders[index]);
            for (symbol, window) in windows[index].iter().enumerate() {
                let pooled = &mut scratch.pooled[symbol * width + at..][..2 * timeframe.channels];
                encode(processor, &weights, scaler, window, buffers, pooled);
            }
            at += 2 * timeframe.channels;
        }
    }
}

/// Mean over the symbols, then maximum. Values are added in ascending order: no symbol comes first.
fn market(hidden: &[f32], width: usize) -> Vec<f32> {
    let symbols = hidden.len() / width;
    let mut market = vec![0.0; 2 * width];
    let mut column = Vec::with_capacity(symbols);
    for index in 0..width {
        column.clear();
        column.extend(hidden[index..].iter().step_by(width));
        column.sort_unstable_by(f32::total_cmp);
        market[index] = column.iter().fold(0.0, |sum, value| sum + value) / symbols as f32;
        market[width + index] = column.iter().fold(f32::NEG_INFINITY, |top, value| larger(top, *value));
    }
    market
}

impl Heads {
    fn new(shape: &Shape, parameters: &[f32]) -> Self {
        let linear = |name: &str| {
            let weight = &parameters[shape.range_of(&format!("{name}.weight"))];
            Linear::new(weight, &parameters[shape.range_of(&format!("{name}.bias"))])
        };
        Self {
            fusion: [linear("fusion.0"), linear("fusion.1")],
            project: linear("market.project"),
            gate: linear("market.gate"),
            value: [linear("value.0"), linear("value.1")],
            advantage: [linear("advantage.0"), linear("advantage.1")],
        }
    }

    /// Q = V + (Adv - mean Adv); the mean adds BUY, SELL, HOLD in this order.
    fn dueling(&self, context: &[f32]) -> [f32; Shape::ACTIONS] {
        let value = self.value[1].apply(&self.value[0].apply_silu(context))[0];
        let advantages = self.advantage[1].apply(&self.advantage[0].apply_silu(context));
        let mean = advantages.iter().fold(0.0, |sum, advantage| sum + advantage) / Shape::ACTIONS as f32;
        std::array::from_fn(|action| value + (advantages[action] - mean))
    }
}

impl Linear {
    fn new(weight: &[f32], bias: &[f32]) -> Self {
        let inputs = weight.len() / bias.len();
        let turned = (0..inputs).flat_map(|input| weight[input..].iter().step_by(inputs).copied()).collect();
        Self { turned, bias: bias.to_vec() }
    }

    fn apply(&self, input: &[f32]) -> Vec<f32> {
        let mut output = self.bias.clone();
        for (value, weights) in input.iter().zip(self.turned.chunks_exact(self.bias.len())) {
            for (sum, weight) in output.iter_mut().zip(weights) {
                *sum += weight * value;
            }
        }
        output
    }

    fn apply_silu(&self, input: &[f32]) -> Vec<f32> {
        let mut output = self.apply(input);
        output.iter_mut().for_each(|value| *value = math::silu(*value));
        output
    }
}
