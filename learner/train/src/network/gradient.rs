//! One symbol's window through its encoder forwards, keeping what derivatives need, and backwards.
//!
//! - Forwards uses the kernels of inference strip by strip: the pooled values have the bits of the deciding pass.
//! - Derivatives of shared parameters add up row after row, in the order of the rows; lanes are added at the end.
//! - Columns behind the look-back get no gradient: nothing of them reaches a parameter.
//! - Must never: call a build without its token; calling one is why `unsafe` is here.

use daybook_inference::kernels::{self, Strip, pair};
#[cfg(target_arch = "x86_64")]
use daybook_inference::simd::{Avx2, Avx512};
use daybook_inference::simd::{Simd, Token};
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
    let weights = EncoderWeights::new(shape, parameters);
    let call = Forward { shape, weights, inputs };
    match processor.token() {
        Token::Plain(simd) => call.run(simd, workspace),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token proves AVX2.
        Token::Avx2(simd) => unsafe { forward_avx2(simd, &call, workspace) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token proves AVX-512.
        Token::Avx512(simd) => unsafe { forward_avx512(simd, &call, workspace) },
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
    assert_eq!(gradient.len(), shape.parameter_count(), "the encoder's part of the parameters");
    let weights = EncoderWeights::new(shape, parameters);
    let call = Backward { shape, weights, inputs, pooled_gradient };
    match processor.token() {
        Token::Plain(simd) => call.run(simd, workspace, gradient),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token proves AVX2.
        Token::Avx2(simd) => unsafe { backward_avx2(simd, &call, workspace, gradient) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token proves AVX-512.
        Token::Avx512(simd) => unsafe { backward_avx512(simd, &call, workspace, gradient) },
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
fn forward_avx512(simd: Avx512, call: &Forward, workspace: &mut Workspace) -> Vec<f32> {
    call.run(simd, workspace)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn forward_avx2(simd: Avx2, call: &Forward, workspace: &mut Workspace) -> Vec<f32> {
    call.run(simd, workspace)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2")]
fn backward_avx512(simd: Avx512, call: &Backward, workspace: &mut Workspace, gradient: &mut [f32]) {
    call.run(simd, workspace, gradient);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn backward_avx2(simd: Avx2, call: &Backward, workspace: &mut Workspace, gradient: &mut [f32]) {
    call.run(simd, workspace, gradient);
}

impl Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, workspace: &mut Workspace) -> Vec<f32> {
        let shape = self.shape;
        let width = shape.features * shape.columns();
        let rows = self.inputs.len() / width;
        workspace.fit(shape, rows);
        let mut pooled = vec![0.0; rows * 2 * shape.channels];
        let results = pooled.chunks_exact_mut(2 * shape.channels);
        let Workspace { kept, strip, .. } = workspace;
        for ((input, result), kept) in self.inputs.chunks_exact(width).zip(results).zip(kept) {
            self.row(simd, input, result, kept, strip);
        }
        pooled
    }

    #[inline(always)]
    fn row<S: Simd>(&self, simd: S, input: &[f32], result: &mut [f32], kept: &mut Kept, scratch: &mut [f32]) {
        let (channels, columns, padding) = (self.shape.channels, self.shape.columns(), self.shape.padding());
        let width = 2 * S::WIDTH;
        let wide = |at: usize| Strip { stride: padding + columns, at: padding + at };
        let narrow = Strip { stride: width, at: 0 };
        for at in (0..columns).step_by(width) {
            let plain = Strip { stride: columns, at };
            kernels::pointwise(simd, self.weights.input, (input, plain), (&mut kept.streams[0], wide(at)));
        }
        for index in 0..self.shape.depth {
            let block = self.weights.block(index);
            let (before, after) = kept.streams.split_at_mut(index + 1);
            let (stream, next) = (&before[index], &mut after[0]);
            next.copy_from_slice(stream);
            let (mixed, sums) = (&mut kept.mixed[index], &mut kept.sums[index]);
            for at in (0..columns).step_by(width) {
                let plain = Strip { stride: columns, at };
                kernels::depthwise(simd, block.depthwise, index + 1, (stream, wide(at)), (mixed, plain));
                kernels::pointwise(simd, block.pointwise, (mixed, plain), (sums, plain));
                for channel in 0..channels {
                    scratch[channel * width..][..width].copy_from_slice(&sums[channel * columns + at..][..width]);
                }
                kernels::silu(&mut scratch[..channels * width]);
                let (means, inverses) = kernels::moments(simd, channels, (scratch, narrow));
                kernels::norm_and_add(simd, block.norm, (means, inverses), (scratch, narrow), (next, wide(at)));
                store_pair(simd, means, &mut kept.means[index], at);
                store_pair(simd, inverses, &mut kept.inverses[index], at);
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
    fn run<S: Simd>(&self, simd: S, workspace: &mut Workspace, gradient: &mut [f32]) {
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
                self.norm_and_silu(simd, index, kept, workspace, part);
                self.convolutions(simd, index, kept, workspace, part);
            }
            let (weight, bias) = first.split_at_mut(channels * features);
            outer(simd, columns, &workspace.delta, input, weight);
            for (sum, row) in bias.iter_mut().zip(workspace.delta.chunks_exact(columns)) {
                *sum += row_sum(simd, row);
            }
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
    fn norm_and_silu<S: Simd>(&self, simd: S, index: usize, kept: &Kept, workspace: &mut Workspace, part: &mut [f32]) {
        let (channels, columns) = (self.shape.channels, self.shape.columns());
        let (norm, _) = self.weights.block(index).norm;
        let Workspace { strip, slopes, delta, inner, .. } = workspace;
        let count = simd.splat(channels as f32);
        let begin = part.len() - 3 * channels;
        let (point_bias, rest) = part[begin..].split_at_mut(channels);
        let (norm_weight, norm_bias) = rest.split_at_mut(channels);
        let width = 2 * S::WIDTH;
        for at in (0..columns).step_by(width) {
            let means = pair(simd, &kept.means[index], at);
            let inverses = pair(simd, &kept.inverses[index], at);
            for channel in 0..channels {
                let values = &kept.sums[index][channel * columns + at..][..width];
                silu_and_slope(values, &mut strip[channel * width..][..width], &mut slopes[channel * width..][..width]);
            }
            let (mut plain, mut along) = ([simd.splat(0.0); 2], [simd.splat(0.0); 2]);
            for channel in 0..channels {
                let deltas = pair(simd, delta, channel * columns + at);
                let silu = pair(simd, strip, channel * width);
                let scale = simd.splat(norm[channel]);
                let (mut normal, mut weighted) = (silu, silu);
                for half in 0..2 {
                    normal[half] = simd.multiply(simd.subtract(silu[half], means[half]), inverses[half]);
                    weighted[half] = simd.multiply(deltas[half], normal[half]);
                    plain[half] = simd.add_product(plain[half], deltas[half], scale);
                    along[half] = simd.add_product(along[half], weighted[half], scale);
                }
                store_pair(simd, normal, strip, channel * width);
                norm_weight[channel] += simd.fold(simd.add(weighted[0], weighted[1]));
                norm_bias[channel] += simd.fold(simd.add(deltas[0], deltas[1]));
            }
            let (plain, along) = (plain.map(|sum| simd.divide(sum, count)), along.map(|sum| simd.divide(sum, count)));
            for channel in 0..channels {
                let deltas = pair(simd, delta, channel * columns + at);
                let (normal, slope) = (pair(simd, strip, channel * width), pair(simd, slopes, channel * width));
                let scale = simd.splat(norm[channel]);
                let mut values = normal;
                for half in 0..2 {
                    let value = simd.subtract(simd.multiply(deltas[half], scale), plain[half]);
                    let value = simd.subtract(value, simd.multiply(normal[half], along[half]));
                    values[half] = simd.multiply(simd.multiply(inverses[half], value), slope[half]);
                }
                store_pair(simd, values, inner, channel * columns + at);
                point_bias[channel] += simd.fold(simd.add(values[0], values[1]));
            }
        }
    }

    /// Through both convolutions to the block's input, to which the residual's gradient is added.
    #[inline(always)]
    fn convolutions<S: Simd>(&self, simd: S, index: usize, kept: &Kept, workspace: &mut Workspace, part: &mut [f32]) {
        let (channels, columns, kernel) = (self.shape.channels, self.shape.columns(), self.shape.kernel);
        let behind = self.shape.padding() + columns;
        let block = self.weights.block(index);
        let Workspace { delta, inner, mixed, turned, zeros, .. } = workspace;
        let turned = &turned[index * channels * channels..][..channels * channels];
        for at in (0..columns).step_by(2 * S::WIDTH) {
            let (from, to) = (Strip { stride: columns, at }, Strip { stride: behind, at });
            kernels::pointwise(simd, (turned, zeros), (inner, from), (mixed, to));
        }
        let (taps, rest) = part.split_at_mut(channels * kernel);
        let (taps_bias, rest) = rest.split_at_mut(channels);
        outer(simd, columns, inner, &kept.mixed[index], &mut rest[..channels * channels]);
        for channel in 0..channels {
            let gradient = &mixed[channel * behind..][..behind];
            let stream = &kept.streams[index][channel * behind..][..behind];
            let weights = &block.depthwise.0[channel * kernel..][..kernel];
            tap_gradients(simd, columns, index + 1, gradient, stream, &mut taps[channel * kernel..][..kernel]);
            spread(simd, index + 1, weights, gradient, &mut delta[channel * columns..][..columns]);
            taps_bias[channel] += row_sum(simd, &gradient[..columns]);
        }
    }
}

/// SiLU and its derivative, σ + x·σ·(1 - σ): no sums, so the compiler finds the lanes itself.
#[inline(always)]
fn silu_and_slope(values: &[f32], silu: &mut [f32], slopes: &mut [f32]) {
    for ((value, silu), slope) in values.iter().zip(silu).zip(slopes) {
        let sigmoid = math::sigmoid(*value);
        *silu = math::silu(*value);
        *slope = sigmoid + value * sigmoid * (1.0 - sigmoid);
    }
}

/// `delta[t] += Σ_k taps[k] · gradient[t + (K-1-k)·dilation]`: the convolution against time; zeros follow the columns.
#[inline(always)]
fn spread<S: Simd>(simd: S, dilation: usize, taps: &[f32], gradient: &[f32], delta: &mut [f32]) {
    let width = 4 * S::WIDTH;
    for at in (0..delta.len()).step_by(width) {
        // Four vectors where there are as many columns, else two: columns are a multiple of 32.
        if at + width <= delta.len() {
            spread_strip::<S, 4>(simd, dilation, taps, &gradient[at..], &mut delta[at..]);
        } else {
            spread_strip::<S, 2>(simd, dilation, taps, &gradient[at..], &mut delta[at..]);
        }
    }
}

#[inline(always)]
fn spread_strip<S: Simd, const N: usize>(simd: S, dilation: usize, taps: &[f32], gradient: &[f32], delta: &mut [f32]) {
    let mut sums: [S::Vector; N] = std::array::from_fn(|part| simd.load(delta, part * S::WIDTH));
    for (back, tap) in taps.iter().rev().enumerate() {
        let (tap, values) = (simd.splat(*tap), &gradient[back * dilation..][..N * S::WIDTH]);
        for (part, sum) in sums.iter_mut().enumerate() {
            *sum = simd.add_product(*sum, tap, simd.load(values, part * S::WIDTH));
        }
    }
    for (part, sum) in sums.into_iter().enumerate() {
        simd.store(sum, delta, part * S::WIDTH);
    }
}

/// `taps[k] += Σ_t gradient[t] · stream[t - (K-1-k)·dilation]`, eight taps side by side.
#[inline(always)]
fn tap_gradients<S: Simd>(
    simd: S,
    columns: usize,
    dilation: usize,
    gradient: &[f32],
    stream: &[f32],
    taps: &mut [f32],
) {
    let (kernel, padding) = (taps.len(), stream.len() - columns);
    for first in (0..kernel).step_by(8) {
        // Behind the last tap the last one is computed again, and left out.
        let windows: [&[f32]; 8] = std::array::from_fn(|tap| {
            let index = (first + tap).min(kernel - 1);
            &stream[padding - (kernel - 1 - index) * dilation..][..columns]
        });
        let mut sums = [simd.splat(0.0); 8];
        for at in (0..columns).step_by(S::WIDTH) {
            let deltas = simd.load(gradient, at);
            for tap in 0..8 {
                sums[tap] = simd.add_product(sums[tap], deltas, simd.load(windows[tap], at));
            }
        }
        for (tap, sum) in taps[first..].iter_mut().zip(sums) {
            *tap += simd.fold(sum);
        }
    }
}

/// `result[a][b] += Σ_t left[a][t] · right[b][t]`, tiles of 4 × 2, so that baseline registers suffice.
#[inline(always)]
fn outer<S: Simd>(simd: S, columns: usize, left: &[f32], right: &[f32], result: &mut [f32]) {
    let (lefts, rights) = (left.len() / columns, right.len() / columns);
    assert_eq!(result.len(), lefts * rights, "each row of one side meets each row of the other");
    let mut a = 0;
    while a < lefts {
        let high = a + 4 <= lefts;
        let mut b = 0;
        while b < rights {
            let wide = b + 2 <= rights;
            let place = (a, b, rights);
            match (high, wide) {
                (true, true) => outer_tile::<S, 4, 2>(simd, columns, left, right, result, place),
                (true, false) => outer_tile::<S, 4, 1>(simd, columns, left, right, result, place),
                (false, true) => outer_tile::<S, 1, 2>(simd, columns, left, right, result, place),
                (false, false) => outer_tile::<S, 1, 1>(simd, columns, left, right, result, place),
            }
            b += if wide { 2 } else { 1 };
        }
        a += if high { 4 } else { 1 };
    }
}

#[inline(always)]
fn outer_tile<S: Simd, const A: usize, const B: usize>(
    simd: S,
    columns: usize,
    left: &[f32],
    right: &[f32],
    result: &mut [f32],
    (a, b, rights): (usize, usize, usize),
) {
    let lefts: [&[f32]; A] = std::array::from_fn(|row| &left[(a + row) * columns..][..columns]);
    let others: [&[f32]; B] = std::array::from_fn(|row| &right[(b + row) * columns..][..columns]);
    let mut sums = [[simd.splat(0.0); B]; A];
    for at in (0..columns).step_by(S::WIDTH) {
        let values: [S::Vector; B] = std::array::from_fn(|row| simd.load(others[row], at));
        for row in 0..A {
            let own = simd.load(lefts[row], at);
            for other in 0..B {
                sums[row][other] = simd.add_product(sums[row][other], own, values[other]);
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (other, sum) in sums.into_iter().enumerate() {
            result[(a + row) * rights + b + other] += simd.fold(sum);
        }
    }
}

#[inline(always)]
fn row_sum<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let mut sums = simd.splat(0.0);
    for at in (0..row.len()).step_by(S::WIDTH) {
        sums = simd.add(sums, simd.load(row, at));
    }
    simd.fold(sums)
}

#[inline(always)]
fn store_pair<S: Simd>(simd: S, values: [S::Vector; 2], data: &mut [f32], at: usize) {
    simd.store(values[0], data, at);
    simd.store(values[1], data, at + S::WIDTH);
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
