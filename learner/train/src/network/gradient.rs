//! One symbol's window through its encoder forwards, keeping what derivatives need, and backwards.
//!
//! - Forwards uses the kernels of inference strip by strip: the pooled values have the bits of the deciding pass.
//! - Derivatives of shared parameters add up row after row, in the order of the rows; lanes are added at the end.
//! - Columns behind the look-back get no gradient: nothing of them reaches a parameter.
//! - Must never: use instructions that the processor did not announce; this is why `unsafe` is here.

use daybook_inference::kernels::{self, Strip};
use daybook_inference::{EncoderWeights, Processor, TimeframeShape, math};

/// What the forward pass of one row leaves for the backward pass.
#[derive(Debug, Default, Clone)]
pub struct Kept {
    /// Stream before each block, and behind the last: C rows of padding and columns.
    streams: Vec<Vec<f32>>,
    /// Behind each depthwise convolution: C rows of columns.
    mixed: Vec<Vec<f32>>,
    /// Behind each pointwise convolution, before SiLU.
    sums: Vec<Vec<f32>>,
    means: Vec<Vec<f32>>,
    inverses: Vec<Vec<f32>>,
    /// Where each channel has its (first) maximum.
    tops: Vec<usize>,
}

/// Buffers of a worker for one timeframe, used again row after row and step after step.
#[derive(Debug, Default)]
pub struct Workspace {
    kept: Vec<Kept>,
    strip: Vec<f32>,
    slopes: Vec<f32>,
    delta: Vec<f32>,
    inner: Vec<f32>,
    mixed: Vec<f32>,
    turned: Vec<f32>,
    zeros: Vec<f32>,
}

/// Encodes rows of standardised inputs (F rows of columns each): mean and maximum of each channel, row by row.
pub fn forward(
    processor: Processor,
    shape: &TimeframeShape,
    parameters: &[f32],
    inputs: &[f32],
    workspace: &mut Workspace,
) -> Vec<f32> {
    assert!(processor <= Processor::detect(), "this processor has no {}", processor.word());
    let weights = EncoderWeights::new(shape, parameters);
    let call = Forward { shape, weights, inputs };
    match processor {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor announced AVX-512; asserted above.
        Processor::Avx512 => unsafe { forward_avx512(&call, workspace) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor announced AVX2; asserted above.
        Processor::Avx2 => unsafe { forward_avx2(&call, workspace) },
        _ => call.run::<8, 4>(workspace),
    }
}

/// Adds to `gradient` (the encoder's part of the parameters) what a gradient of the pooled values means for it, after
/// [`forward`] of the same rows with the same workspace.
pub fn backward(
    processor: Processor,
    shape: &TimeframeShape,
    parameters: &[f32],
    inputs: &[f32],
    pooled_gradient: &[f32],
    workspace: &mut Workspace,
    gradient: &mut [f32],
) {
    assert!(processor <= Processor::detect(), "this processor has no {}", processor.word());
    assert_eq!(gradient.len(), shape.parameter_count(), "the encoder's part of the parameters");
    let weights = EncoderWeights::new(shape, parameters);
    let call = Backward { shape, weights, inputs, pooled_gradient };
    match processor {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor announced AVX-512; asserted above.
        Processor::Avx512 => unsafe { backward_avx512(&call, workspace, gradient) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor announced AVX2; asserted above.
        Processor::Avx2 => unsafe { backward_avx2(&call, workspace, gradient) },
        _ => call.run::<8, 4, 4, 2>(workspace, gradient),
    }
}

struct Forward<'a> {
    shape: &'a TimeframeShape,
    weights: EncoderWeights<'a>,
    inputs: &'a [f32],
}

struct Backward<'a> {
    shape: &'a TimeframeShape,
    weights: EncoderWeights<'a>,
    inputs: &'a [f32],
    pooled_gradient: &'a [f32],
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2")]
fn forward_avx512(call: &Forward, workspace: &mut Workspace) -> Vec<f32> {
    call.run::<32, 4>(workspace)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn forward_avx2(call: &Forward, workspace: &mut Workspace) -> Vec<f32> {
    call.run::<16, 4>(workspace)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2")]
fn backward_avx512(call: &Backward, workspace: &mut Workspace, gradient: &mut [f32]) {
    call.run::<32, 4, 16, 4>(workspace, gradient);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn backward_avx2(call: &Backward, workspace: &mut Workspace, gradient: &mut [f32]) {
    call.run::<16, 4, 8, 2>(workspace, gradient);
}

impl Forward<'_> {
    #[inline(always)]
    fn run<const W: usize, const O: usize>(&self, workspace: &mut Workspace) -> Vec<f32> {
        let shape = self.shape;
        let width = shape.features * shape.columns();
        let rows = self.inputs.len() / width;
        workspace.fit(shape, rows);
        let mut pooled = vec![0.0; rows * 2 * shape.channels];
        let results = pooled.chunks_exact_mut(2 * shape.channels);
        let Workspace { kept, strip, .. } = workspace;
        for ((input, result), kept) in self.inputs.chunks_exact(width).zip(results).zip(kept) {
            self.row::<W, O>(input, result, kept, strip);
        }
        pooled
    }

    #[inline(always)]
    fn row<const W: usize, const O: usize>(
        &self,
        input: &[f32],
        result: &mut [f32],
        kept: &mut Kept,
        scratch: &mut [f32],
    ) {
        let (channels, columns, padding) = (self.shape.channels, self.shape.columns(), self.shape.padding());
        let wide = |at: usize| Strip { stride: padding + columns, at: padding + at };
        let narrow = Strip { stride: W, at: 0 };
        for at in (0..columns).step_by(W) {
            let plain = Strip { stride: columns, at };
            kernels::pointwise::<W, O>(self.weights.input, (input, plain), (&mut kept.streams[0], wide(at)));
        }
        for index in 0..self.shape.depth {
            let block = self.weights.block(index);
            let (before, after) = kept.streams.split_at_mut(index + 1);
            let (stream, next) = (&before[index], &mut after[0]);
            next.copy_from_slice(stream);
            let (mixed, sums) = (&mut kept.mixed[index], &mut kept.sums[index]);
            for at in (0..columns).step_by(W) {
                let plain = Strip { stride: columns, at };
                kernels::depthwise::<W>(block.depthwise, index + 1, (stream, wide(at)), (mixed, plain));
                kernels::pointwise::<W, O>(block.pointwise, (mixed, plain), (sums, plain));
                for channel in 0..channels {
                    scratch[channel * W..][..W].copy_from_slice(&sums[channel * columns + at..][..W]);
                }
                kernels::silu::<W>(channels, (scratch, narrow));
                let (means, inverses) = kernels::moments::<W>(channels, (scratch, narrow));
                kernels::norm_and_add::<W>(block.norm, (&means, &inverses), (scratch, narrow), (next, wide(at)));
                kept.means[index][at..at + W].copy_from_slice(&means);
                kept.inverses[index][at..at + W].copy_from_slice(&inverses);
            }
        }
        let (means, tops) = result.split_at_mut(channels);
        let last = kept.streams[self.shape.depth].chunks_exact(padding + columns);
        for (channel, row) in last.enumerate() {
            let row = &row[padding..padding + self.shape.lookback];
            (means[channel], tops[channel]) = kernels::mean_and_max(row);
            kept.tops[channel] = row.iter().position(|value| *value == tops[channel]).unwrap_or(0);
        }
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn run<const W: usize, const O: usize, const V: usize, const T: usize>(
        &self,
        workspace: &mut Workspace,
        gradient: &mut [f32],
    ) {
        let shape = self.shape;
        let (channels, columns, features) = (shape.channels, shape.columns(), shape.features);
        workspace.turn(shape, &self.weights);
        let kept = std::mem::take(&mut workspace.kept);
        let rows = self.inputs.chunks_exact(features * columns).zip(self.pooled_gradient.chunks_exact(2 * channels));
        for ((input, pooled), kept) in rows.zip(&kept) {
            self.pooling(pooled, kept, &mut workspace.delta);
            let (first, blocks) = gradient.split_at_mut(channels * features + channels);
            for index in (0..shape.depth).rev() {
                let part = &mut blocks[index * shape.block_count()..][..shape.block_count()];
                self.norm_and_silu::<W, V>(index, kept, workspace, part);
                self.convolutions::<W, O, V, T>(index, kept, workspace, part);
            }
            let (weight, bias) = first.split_at_mut(channels * features);
            outer::<V, T>(columns, &workspace.delta, input, weight);
            add_rows::<V>(columns, &workspace.delta, bias);
        }
        workspace.kept = kept;
    }

    /// Mean gives each of the L columns its share, the maximum gives all to the first column that has it.
    #[inline(always)]
    fn pooling(&self, pooled: &[f32], kept: &Kept, delta: &mut [f32]) {
        let (channels, lookback) = (self.shape.channels, self.shape.lookback);
        for (channel, row) in delta.chunks_exact_mut(self.shape.columns()).enumerate() {
            row.fill(0.0);
            row[..lookback].fill(pooled[channel] / lookback as f32);
            row[kept.tops[channel]] += pooled[channels + channel];
        }
    }

    /// From the gradient behind a block to the one before its SiLU; adds the norm's and the pointwise bias's gradient.
    #[inline(always)]
    fn norm_and_silu<const W: usize, const V: usize>(
        &self,
        index: usize,
        kept: &Kept,
        workspace: &mut Workspace,
        part: &mut [f32],
    ) {
        let (channels, columns) = (self.shape.channels, self.shape.columns());
        let (norm, _) = self.weights.block(index).norm;
        let Workspace { strip, slopes, delta, inner, .. } = workspace;
        let (sums, count) = (&kept.sums[index], channels as f32);
        let begin = part.len() - 3 * channels;
        let (point_bias, rest) = part[begin..].split_at_mut(channels);
        let (norm_weight, norm_bias) = rest.split_at_mut(channels);
        for at in (0..columns).step_by(W) {
            let means = kernels::lanes::<W>(&kept.means[index], at);
            let inverses = kernels::lanes::<W>(&kept.inverses[index], at);
            let (mut plain, mut along) = ([0.0f32; W], [0.0f32; W]);
            for channel in 0..channels {
                let values = kernels::lanes::<W>(sums, channel * columns + at);
                let deltas = kernels::lanes::<W>(delta, channel * columns + at);
                let normal: &mut [f32; W] = lanes_mut(strip, channel * W);
                let slope: &mut [f32; W] = lanes_mut(slopes, channel * W);
                let mut weighted = [0.0f32; W];
                for lane in 0..W {
                    let sigmoid = math::sigmoid(values[lane]);
                    let silu = values[lane] * sigmoid;
                    slope[lane] = sigmoid + silu * (1.0 - sigmoid);
                    normal[lane] = (silu - means[lane]) * inverses[lane];
                    weighted[lane] = deltas[lane] * normal[lane];
                    plain[lane] += deltas[lane] * norm[channel];
                    along[lane] += weighted[lane] * norm[channel];
                }
                norm_weight[channel] += fold(weighted);
                norm_bias[channel] += fold(*deltas);
            }
            for lane in 0..W {
                plain[lane] /= count;
                along[lane] /= count;
            }
            for channel in 0..channels {
                let deltas = kernels::lanes::<W>(delta, channel * columns + at);
                let (normal, slope) =
                    (kernels::lanes::<W>(strip, channel * W), kernels::lanes::<W>(slopes, channel * W));
                let inner: &mut [f32; W] = lanes_mut(inner, channel * columns + at);
                for lane in 0..W {
                    let value = deltas[lane] * norm[channel] - plain[lane] - normal[lane] * along[lane];
                    inner[lane] = inverses[lane] * value * slope[lane];
                }
                point_bias[channel] += fold(*inner);
            }
        }
    }

    /// Through both convolutions to the block's input, to which the residual's gradient is added.
    #[inline(always)]
    fn convolutions<const W: usize, const O: usize, const V: usize, const T: usize>(
        &self,
        index: usize,
        kept: &Kept,
        workspace: &mut Workspace,
        part: &mut [f32],
    ) {
        let (channels, columns, kernel) = (self.shape.channels, self.shape.columns(), self.shape.kernel);
        let padding = self.shape.padding();
        let block = self.weights.block(index);
        let Workspace { delta, inner, mixed, turned, zeros, .. } = workspace;
        let turned = &turned[index * channels * channels..][..channels * channels];
        let behind = padding + columns;
        for at in (0..columns).step_by(W) {
            let (from, to) = (Strip { stride: columns, at }, Strip { stride: behind, at });
            kernels::pointwise::<W, O>((turned, zeros), (inner, from), (mixed, to));
        }
        let (taps, rest) = part.split_at_mut(channels * kernel);
        let (taps_bias, rest) = rest.split_at_mut(channels);
        outer::<V, T>(columns, inner, &kept.mixed[index], &mut rest[..channels * channels]);
        for channel in 0..channels {
            let gradient = &mixed[channel * behind..][..behind];
            let stream = &kept.streams[index][channel * behind..][..behind];
            let weights = &block.depthwise.0[channel * kernel..][..kernel];
            tap_gradients::<V>(columns, index + 1, gradient, stream, &mut taps[channel * kernel..][..kernel]);
            spread::<W>(index + 1, weights, gradient, &mut delta[channel * columns..][..columns]);
        }
        for (bias, row) in taps_bias.iter_mut().zip(mixed.chunks_exact(behind)) {
            *bias += row_sum::<V>(&row[..columns]);
        }
    }
}

/// `delta[t] += Σ_k taps[k] · gradient[t + (K-1-k)·dilation]`: the convolution against time; zeros follow the columns.
#[inline(always)]
fn spread<const W: usize>(dilation: usize, taps: &[f32], gradient: &[f32], delta: &mut [f32]) {
    for at in (0..delta.len()).step_by(W) {
        let sums: &mut [f32; W] = lanes_mut(delta, at);
        let mut local = *sums;
        for (back, tap) in taps.iter().rev().enumerate() {
            let values = kernels::lanes::<W>(gradient, at + back * dilation);
            for lane in 0..W {
                local[lane] += tap * values[lane];
            }
        }
        *sums = local;
    }
}

/// `taps[k] += Σ_t gradient[t] · stream[t - (K-1-k)·dilation]`, four taps side by side.
#[inline(always)]
fn tap_gradients<const V: usize>(columns: usize, dilation: usize, gradient: &[f32], stream: &[f32], taps: &mut [f32]) {
    let (kernel, padding) = (taps.len(), stream.len() - columns);
    let mut first = 0;
    while first < kernel {
        let count = (kernel - first).min(4);
        let begin = |tap: usize| padding - (kernel - 1 - (first + tap).min(kernel - 1)) * dilation;
        let begins: [usize; 4] = std::array::from_fn(begin);
        let mut sums = [[0.0f32; V]; 4];
        for at in (0..columns).step_by(V) {
            let deltas = kernels::lanes::<V>(gradient, at);
            for tap in 0..4 {
                let values = kernels::lanes::<V>(stream, begins[tap] + at);
                for lane in 0..V {
                    sums[tap][lane] += deltas[lane] * values[lane];
                }
            }
        }
        for (tap, sum) in taps[first..first + count].iter_mut().zip(sums) {
            *tap += fold(sum);
        }
        first += count;
    }
}

/// `result[a][b] += Σ_t left[a][t] · right[b][t]`, tiles of T × 4.
#[inline(always)]
fn outer<const V: usize, const T: usize>(columns: usize, left: &[f32], right: &[f32], result: &mut [f32]) {
    let (lefts, rights) = (left.len() / columns, right.len() / columns);
    assert_eq!(result.len(), lefts * rights, "each row of one side meets each row of the other");
    let mut a = 0;
    while a < lefts {
        let whole = a + T <= lefts;
        let mut b = 0;
        while b < rights {
            let step = if b + 4 <= rights { 4 } else { 1 };
            match (whole, step) {
                (true, 4) => outer_tile::<V, T, 4>(columns, left, right, result, (a, b, rights)),
                (true, _) => outer_tile::<V, T, 1>(columns, left, right, result, (a, b, rights)),
                (false, 4) => outer_tile::<V, 1, 4>(columns, left, right, result, (a, b, rights)),
                (false, _) => outer_tile::<V, 1, 1>(columns, left, right, result, (a, b, rights)),
            }
            b += step;
        }
        a += if whole { T } else { 1 };
    }
}

#[inline(always)]
fn outer_tile<const V: usize, const A: usize, const B: usize>(
    columns: usize,
    left: &[f32],
    right: &[f32],
    result: &mut [f32],
    (a, b, rights): (usize, usize, usize),
) {
    let lefts: [&[f32]; A] = std::array::from_fn(|row| &left[(a + row) * columns..][..columns]);
    let others: [&[f32]; B] = std::array::from_fn(|row| &right[(b + row) * columns..][..columns]);
    let mut sums = [[[0.0f32; V]; B]; A];
    for at in (0..columns).step_by(V) {
        let values: [&[f32; V]; B] = std::array::from_fn(|row| kernels::lanes::<V>(others[row], at));
        for row in 0..A {
            let own = kernels::lanes::<V>(lefts[row], at);
            for other in 0..B {
                for lane in 0..V {
                    sums[row][other][lane] += own[lane] * values[other][lane];
                }
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (other, sum) in sums.into_iter().enumerate() {
            result[(a + row) * rights + b + other] += fold(sum);
        }
    }
}

#[inline(always)]
fn add_rows<const V: usize>(columns: usize, data: &[f32], result: &mut [f32]) {
    for (sum, row) in result.iter_mut().zip(data.chunks_exact(columns)) {
        *sum += row_sum::<V>(row);
    }
}

#[inline(always)]
fn row_sum<const V: usize>(row: &[f32]) -> f32 {
    let mut sums = [0.0f32; V];
    for at in (0..row.len()).step_by(V) {
        let values = kernels::lanes::<V>(row, at);
        for lane in 0..V {
            sums[lane] += values[lane];
        }
    }
    fold(sums)
}

/// The sum of the lanes, halves upon halves.
#[inline(always)]
fn fold<const V: usize>(mut lanes: [f32; V]) -> f32 {
    let mut width = V / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[inline(always)]
fn lanes_mut<const W: usize>(data: &mut [f32], begin: usize) -> &mut [f32; W] {
    (&mut data[begin..begin + W]).try_into().expect("a strip has W columns")
}

impl Workspace {
    /// Buffers for as many rows as there are; what was made for this shape before is used again.
    fn fit(&mut self, shape: &TimeframeShape, rows: usize) {
        let (channels, columns) = (shape.channels, shape.columns());
        let wide = channels * (shape.padding() + columns);
        let fits = |kept: &Kept| {
            kept.streams.len() == shape.depth + 1
                && kept.streams[0].len() == wide
                && kept.mixed[0].len() == channels * columns
        };
        if self.kept.iter().any(|kept| !fits(kept)) || self.mixed.len() != wide {
            *self = Self::default();
            self.strip = vec![0.0; channels * 32];
            self.slopes = vec![0.0; channels * 32];
            self.delta = vec![0.0; channels * columns];
            self.inner = vec![0.0; channels * columns];
            self.mixed = vec![0.0; wide];
            self.zeros = vec![0.0; channels];
        }
        let make = || Kept {
            streams: vec![vec![0.0; wide]; shape.depth + 1],
            mixed: vec![vec![0.0; channels * columns]; shape.depth],
            sums: vec![vec![0.0; channels * columns]; shape.depth],
            means: vec![vec![0.0; columns]; shape.depth],
            inverses: vec![vec![0.0; columns]; shape.depth],
            tops: vec![0; channels],
        };
        while self.kept.len() < rows {
            self.kept.push(make());
        }
    }

    /// Pointwise weights as (in, out), for the way back.
    fn turn(&mut self, shape: &TimeframeShape, weights: &EncoderWeights) {
        let channels = shape.channels;
        self.turned.clear();
        for index in 0..shape.depth {
            let (weight, _) = weights.block(index).pointwise;
            for input in 0..channels {
                self.turned.extend(weight[input..].iter().step_by(channels));
            }
        }
    }

    /// Bytes that one row keeps.
    pub fn bytes_per_row(shape: &TimeframeShape) -> usize {
        let wide = shape.channels * (shape.padding() + shape.columns());
        let plain = shape.channels * shape.columns();
        4 * ((shape.depth + 1) * wide + shape.depth * 2 * (plain + shape.columns()) + shape.features * shape.columns())
    }
}
