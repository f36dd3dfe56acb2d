//! The network as training sees it: loss and gradient of one micro-batch.
//!
//! - Parameters and gradients are flat vectors in the order of [`Shape::parameters`]: sums over micro-batches, the
//!   optimiser and checkpoints need nothing else.
//! - The encoders are operations of our own; heads and loss are candle's, with its derivatives.
//! - A micro-batch's loss is a sum over its transitions divided by the count of the whole batch, so that the gradients
//!   of micro-batches add up to the batch's.
//! - Must never: depend on anything but its arguments; a worker's buffers hold no state.

mod gradient;
mod initial;
mod operation;
mod tensors;

pub use gradient::Workspace;
pub use initial::initial_parameters;

use crate::TrainError;
use crate::device::Backend;
use candle_core::{D, Tensor, Var};
use daybook_inference::{Processor, Scaler, Shape, standardise};
use operation::Encoder;
use std::sync::{Arc, Mutex};

/// Raw windows of a decision time: for each timeframe, for each symbol, (L, F).
pub type Windows<'a> = Vec<Vec<&'a [f32]>>;

/// What one decision time asks of the network.
#[derive(Debug, Clone)]
pub struct Example<'a> {
    /// Raw windows: for each timeframe, for each symbol, (L, F).
    pub windows: Windows<'a>,
    /// For each symbol: the action that was taken.
    pub actions: Vec<u8>,
    /// For each symbol: what its Q should be.
    pub targets: Vec<f32>,
    /// For each symbol: its weight in the loss; 0 leaves it out.
    pub weights: Vec<f32>,
}

/// What a micro-batch gave.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its part of the loss.
    pub loss: f64,
    /// Gradient, as long as the parameters.
    pub gradient: Vec<f32>,
    /// Q of each example, symbol and action.
    pub q: Vec<f32>,
}

/// Shape, scalers and the buffers of one worker.
pub struct Learner {
    shape: Shape,
    scalers: Vec<Scaler>,
    backend: Backend,
    workspaces: Vec<Arc<Mutex<Workspace>>>,
}

/// Where the Huber loss turns from a parabola into a line.
pub const HUBER_DELTA: f64 = 1.0;

impl Learner {
    /// A worker for a network of this shape, on the processor.
    pub fn new(shape: &Shape, scalers: &[Scaler], processor: Processor) -> Self {
        Self::on(shape, scalers, Backend::Own(processor))
    }

    /// A worker for a network of this shape.
    pub fn on(shape: &Shape, scalers: &[Scaler], backend: Backend) -> Self {
        assert_eq!(shape.timeframes().len(), scalers.len(), "one scaler per timeframe");
        let workspaces = scalers.iter().map(|_| Arc::default()).collect();
        Self { shape: shape.clone(), scalers: scalers.to_vec(), backend, workspaces }
    }

    /// Loss and gradient over some examples of the same number of symbols; `count` is the sum of weights of the whole
    /// batch, of which these examples are a part.
    pub fn step(&self, parameters: &[f32], examples: &[Example], count: f64) -> Result<Step, TrainError> {
        let symbols = examples.first().map_or(0, |example| example.actions.len());
        assert!(symbols > 0, "a micro-batch has examples of symbols");
        self.step_of(parameters, examples, symbols, count).map_err(TrainError::Library)
    }

    /// Q of decision times, of all symbols of each, where the workers' own passes do not run; none where they do: there
    /// inference answers, with its bits.
    pub fn values(&self, parameters: &[f32], decisions: &[Windows]) -> Option<Result<Vec<Vec<f32>>, TrainError>> {
        let Backend::Tensors(_) = self.backend else { return None };
        Some(self.values_of(parameters, decisions).map_err(TrainError::Library))
    }

    fn values_of(&self, parameters: &[f32], decisions: &[Windows]) -> candle_core::Result<Vec<Vec<f32>>> {
        let Some(symbols) = decisions.first().map(|windows| windows[0].len()) else { return Ok(Vec::new()) };
        let vars = self.vars(parameters)?;
        let pooled = self.pooled(&vars, &decisions.iter().collect::<Vec<_>>())?;
        let q = self.heads(&vars, &pooled, decisions.len(), symbols)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(q.chunks_exact(symbols * Shape::ACTIONS).map(<[f32]>::to_vec).collect())
    }

    fn step_of(
        &self,
        parameters: &[f32],
        examples: &[Example],
        symbols: usize,
        count: f64,
    ) -> candle_core::Result<Step> {
        let vars = self.vars(parameters)?;
        let windows: Vec<&Windows> = examples.iter().map(|example| &example.windows).collect();
        let pooled = self.pooled(&vars, &windows)?;
        let device = self.backend.device();
        let q = self.heads(&vars, &pooled, examples.len(), symbols)?;
        let rows = examples.len() * symbols;
        let targets: Vec<f32> = examples.iter().flat_map(|example| example.targets.iter().copied()).collect();
        let weights: Vec<f32> = examples.iter().flat_map(|example| example.weights.iter().copied()).collect();
        let mut chosen = vec![0.0f32; rows * Shape::ACTIONS];
        for (row, action) in examples.iter().flat_map(|example| &example.actions).enumerate() {
            chosen[row * Shape::ACTIONS + usize::from(*action)] = 1.0;
        }
        let chosen = Tensor::from_vec(chosen, (rows, Shape::ACTIONS), device)?;
        let taken = (&q * chosen)?.sum(D::Minus1)?;
        let error = (taken - Tensor::from_vec(targets, rows, device)?)?;
        let weights = (Tensor::from_vec(weights, rows, device)? / count)?;
        let loss = (huber(&error)? * weights)?.sum_all()?;
        let gradients = loss.backward()?;
        let mut gradient = Vec::with_capacity(parameters.len());
        for var in &vars {
            match gradients.get(var.as_tensor()) {
                Some(part) => gradient.extend(part.contiguous()?.flatten_all()?.to_vec1::<f32>()?),
                None => candle_core::bail!("a parameter has no gradient"),
            }
        }
        let q = q.flatten_all()?.to_vec1::<f32>()?;
        Ok(Step { loss: f64::from(loss.to_scalar::<f32>()?), gradient, q })
    }

    /// One variable per encoder (its flat part), then one per parameter of the heads, in the order of the parameters.
    fn vars(&self, parameters: &[f32]) -> candle_core::Result<Vec<Var>> {
        let mut vars = Vec::new();
        for index in 0..self.shape.timeframes().len() {
            let part = &parameters[self.shape.encoder_range(index)];
            vars.push(Var::from_slice(part, part.len(), self.backend.device())?);
        }
        let heads = self.shape.head_range();
        for parameter in self.shape.parameters().iter().filter(|one| one.range.start >= heads.start) {
            let values = &parameters[parameter.range.clone()];
            vars.push(Var::from_slice(values, parameter.dims.as_slice(), self.backend.device())?);
        }
        Ok(vars)
    }

    fn pooled(&self, vars: &[Var], decisions: &[&Windows]) -> candle_core::Result<Tensor> {
        let mut parts = Vec::new();
        for (index, timeframe) in self.shape.timeframes().iter().enumerate() {
            let windows: Vec<&[f32]> = decisions.iter().flat_map(|windows| windows[index].iter().copied()).collect();
            let Backend::Own(processor) = self.backend else {
                let input = self.standardised(index, &windows)?;
                parts.push(tensors::encode(&self.shape, index, &vars[index], &input)?);
                continue;
            };
            let width = timeframe.features * timeframe.columns();
            let mut inputs = vec![0.0; windows.len() * width];
            for (input, window) in inputs.chunks_exact_mut(width).zip(windows) {
                standardise(timeframe, &self.scalers[index], window, input);
            }
            let workspace = Arc::clone(&self.workspaces[index]);
            let encoder = Encoder { shape: timeframe.clone(), inputs, processor, workspace };
            parts.push(vars[index].apply_op1(encoder)?);
        }
        Tensor::cat(&parts, 1)
    }

    /// Standardised inputs as a tensor (rows, L, F).
    fn standardised(&self, index: usize, windows: &[&[f32]]) -> candle_core::Result<Tensor> {
        let (timeframe, scaler) = (&self.shape.timeframes()[index], &self.scalers[index]);
        let mut values = Vec::with_capacity(windows.len() * timeframe.lookback * timeframe.features);
        for row in windows.iter().flat_map(|window| window.chunks_exact(timeframe.features)) {
            let pairs = row.iter().zip(scaler.mean.iter().zip(&scaler.scale));
            values.extend(pairs.map(|(value, (mean, scale))| (value - mean) / scale));
        }
        let dims = (windows.len(), timeframe.lookback, timeframe.features);
        Tensor::from_vec(values, dims, self.backend.device())
    }

    /// Fusion, market, context and dueling heads: (examples · symbols, actions).
    fn heads(&self, vars: &[Var], pooled: &Tensor, examples: usize, symbols: usize) -> candle_core::Result<Tensor> {
        let first = self.shape.timeframes().len();
        let linear = |index: usize, input: &Tensor| -> candle_core::Result<Tensor> {
            let (weight, bias) = (&vars[first + 2 * index], &vars[first + 2 * index + 1]);
            input.matmul(&weight.t()?)?.broadcast_add(bias)
        };
        let width = self.shape.hidden();
        let hidden = linear(1, &linear(0, pooled)?.silu()?)?.silu()?;
        let grouped = hidden.reshape((examples, symbols, width))?;
        let market = Tensor::cat(&[grouped.mean(1)?, grouped.max(1)?], 1)?;
        let spread = |of: Tensor| -> candle_core::Result<Tensor> {
            let wide = of.dim(1)?;
            of.unsqueeze(1)?.broadcast_as((examples, symbols, wide))?.reshape((examples * symbols, wide))
        };
        let projected = spread(linear(2, &market)?)?;
        let gate = linear(3, &market)?;
        let gate = spread(((gate.neg()?.exp()? + 1.0)?).recip()?)?;
        let context = (Tensor::cat(&[hidden, projected], 1)? * gate)?;
        let value = linear(5, &linear(4, &context)?.silu()?)?;
        let advantage = linear(7, &linear(6, &context)?.silu()?)?;
        value.broadcast_add(&advantage.broadcast_sub(&advantage.mean_keepdim(D::Minus1)?)?)
    }
}

/// ½e² where |e| ≤ δ, else δ·(|e| - ½δ): with m = min(|e|, δ), m·(|e| - ½m).
fn huber(error: &Tensor) -> candle_core::Result<Tensor> {
    let size = error.abs()?;
    let inner = size.minimum(HUBER_DELTA)?;
    &inner * (&size - (&inner * 0.5)?)?
}
