//! One symbol's window of one timeframe through its encoder, on whatever vectors the processor has.
//!
//! - Time goes from right to left in strips: a causal block may then replace its input in place.
//! - The three builds of `encode_with` differ in the width of a strip, never in a sum: the same bits (tested).
//! - Columns behind the look-back hold what nobody reads; zeros stand before the first bar.
//! - Must never: call a build without its token; calling one is why `unsafe` is here.

use crate::kernels::{self, Strip};
use crate::network::Scaler;
use crate::processor::Processor;
use crate::shape::TimeframeShape;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Simd, Token};

/// The parameters of an encoder as its steps want them.
#[derive(Debug, Clone, Copy)]
pub struct EncoderWeights<'a> {
    /// 1×1 convolution F → C: weight and bias.
    pub input: (&'a [f32], &'a [f32]),
    blocks: &'a [f32],
    shape: &'a TimeframeShape,
}

/// The parameters of one residual block.
#[derive(Debug, Clone, Copy)]
pub struct BlockWeights<'a> {
    /// Taps (C, K) and bias.
    pub depthwise: (&'a [f32], &'a [f32]),
    /// Weight (C, C) and bias.
    pub pointwise: (&'a [f32], &'a [f32]),
    /// Weight and bias of the norm.
    pub norm: (&'a [f32], &'a [f32]),
}

impl<'a> EncoderWeights<'a> {
    /// Views into the encoder's part of the flat vector of parameters.
    pub fn new(shape: &'a TimeframeShape, parameters: &'a [f32]) -> Self {
        assert_eq!(parameters.len(), shape.parameter_count(), "the encoder's part of the parameters");
        let (weight, rest) = parameters.split_at(shape.channels * shape.features);
        let (bias, blocks) = rest.split_at(shape.channels);
        Self { input: (weight, bias), blocks, shape }
    }

    /// The parameters of a block, counted from 0.
    pub fn block(&self, index: usize) -> BlockWeights<'a> {
        let TimeframeShape { channels, kernel, .. } = *self.shape;
        let (taps, rest) = self.blocks[index * self.shape.block_count()..].split_at(channels * kernel);
        let (taps_bias, rest) = rest.split_at(channels);
        let (weight, rest) = rest.split_at(channels * channels);
        let (weight_bias, rest) = rest.split_at(channels);
        let (norm, rest) = rest.split_at(channels);
        BlockWeights { depthwise: (taps, taps_bias), pointwise: (weight, weight_bias), norm: (norm, &rest[..channels]) }
    }
}

/// Buffers that are used again for the next symbol.
#[derive(Debug, Default)]
pub struct EncoderScratch {
    /// Features, channels, padding and columns that the buffers were made for.
    fitted: [usize; 4],
    input: Vec<f32>,
    stream: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// Encodes a window of raw features (L, F): the mean of each channel over time, then the maximum of each.
pub fn encode(
    processor: Processor,
    weights: &EncoderWeights,
    scaler: &Scaler,
    window: &[f32],
    scratch: &mut EncoderScratch,
    pooled: &mut [f32],
) {
    assert_eq!(pooled.len(), 2 * weights.shape.channels, "mean and maximum of each channel");
    scratch.fit(weights.shape);
    standardise(weights.shape, scaler, window, &mut scratch.input);
    match processor.token() {
        Token::Plain(simd) => encode_with(simd, weights, scratch, pooled),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token proves AVX2.
        Token::Avx2(simd) => unsafe { encode_avx2(simd, weights, scratch, pooled) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token proves AVX-512.
        Token::Avx512(simd) => unsafe { encode_avx512(simd, weights, scratch, pooled) },
    }
}

/// Turns a window (L, F) into channels over time, standardised: `(x - mean) / scale`; columns behind L are zero.
pub fn standardise(shape: &TimeframeShape, scaler: &Scaler, window: &[f32], input: &mut [f32]) {
    let (features, columns) = (shape.features, shape.columns());
    assert_eq!(window.len(), shape.lookback * features, "a window is L bars of F features");
    assert_eq!(input.len(), features * columns, "a buffer of F rows");
    for (feature, row) in input.chunks_exact_mut(columns).enumerate() {
        let (mean, scale) = (scaler.mean[feature], scaler.scale[feature]);
        for (value, raw) in row.iter_mut().zip(window[feature..].iter().step_by(features)) {
            *value = (raw - mean) / scale;
        }
        row[shape.lookback..].fill(0.0);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn encode_avx2(simd: Avx2, weights: &EncoderWeights, scratch: &mut EncoderScratch, pooled: &mut [f32]) {
    encode_with(simd, weights, scratch, pooled);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2")]
fn encode_avx512(simd: Avx512, weights: &EncoderWeights, scratch: &mut EncoderScratch, pooled: &mut [f32]) {
    encode_with(simd, weights, scratch, pooled);
}

#[inline(always)]
fn encode_with<S: Simd>(simd: S, weights: &EncoderWeights, scratch: &mut EncoderScratch, pooled: &mut [f32]) {
    let shape = weights.shape;
    let (channels, columns, padding) = (shape.channels, shape.columns(), shape.padding());
    let EncoderScratch { input, stream, first, second, .. } = scratch;
    let width = 2 * S::WIDTH;
    let narrow = Strip { stride: width, at: 0 };
    for at in (0..columns).step_by(width) {
        let wide = Strip { stride: padding + columns, at: padding + at };
        kernels::pointwise(simd, weights.input, (input, Strip { stride: columns, at }), (stream, wide));
    }
    for index in 0..shape.depth {
        let block = weights.block(index);
        for at in (0..columns).step_by(width).rev() {
            let wide = Strip { stride: padding + columns, at: padding + at };
            kernels::depthwise(simd, block.depthwise, index + 1, (stream, wide), (first, narrow));
            kernels::pointwise(simd, block.pointwise, (first, narrow), (second, narrow));
            kernels::silu(&mut second[..channels * width]);
            let moments = kernels::moments(simd, channels, (second, narrow));
            kernels::norm_and_add(simd, block.norm, moments, (second, narrow), (stream, wide));
        }
    }
    let (means, tops) = pooled.split_at_mut(channels);
    for (channel, row) in stream.chunks_exact(padding + columns).enumerate() {
        (means[channel], tops[channel]) = kernels::mean_and_max(&row[padding..padding + shape.lookback]);
    }
}

impl EncoderScratch {
    /// Buffers of the right size. The padding of the stream is zero and stays so: no step writes there.
    fn fit(&mut self, shape: &TimeframeShape) {
        let wanted = [shape.features, shape.channels, shape.padding(), shape.columns()];
        if self.fitted != wanted {
            let stride = shape.padding() + shape.columns();
            self.fitted = wanted;
            self.stream = vec![0.0; shape.channels * stride];
            self.input = vec![0.0; shape.features * shape.columns()];
            self.first = vec![0.0; shape.channels * 32];
            self.second = vec![0.0; shape.channels * 32];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    /// RL-13, trap 19: what the encoder holds for a time is unchanged by what comes later, in every strip width.
    #[test]
    fn the_encoder_is_causal() {
        let shape = Shape::new(3, &[("5m", 45)]).expect("a shape");
        let timeframe = &shape.timeframes()[0];
        let numbers: Vec<f32> =
            (0..4000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5).collect();
        let weights = EncoderWeights::new(timeframe, &numbers[..timeframe.parameter_count()]);
        let scaler = Scaler::identity(3);
        for processor in Processor::available() {
            let mut pooled = vec![0.0; 2 * timeframe.channels];
            let mut run = |window: &[f32]| {
                let mut scratch = EncoderScratch::default();
                encode(processor, &weights, &scaler, window, &mut scratch, &mut pooled);
                scratch.stream
            };
            let window = numbers[..45 * 3].to_vec();
            let before = run(&window);
            for bar in 0..45 {
                let mut changed = window.clone();
                changed[bar * 3..].iter_mut().for_each(|value| *value += 1.0);
                let after = run(&changed);
                let stride = timeframe.padding() + timeframe.columns();
                let mut moved = 0;
                for (old, new) in before.chunks_exact(stride).zip(after.chunks_exact(stride)) {
                    let [old, new] = [old, new].map(|row| &row[timeframe.padding()..][..45]);
                    assert_eq!(old[..bar], new[..bar], "bar {bar} reached back in time on {processor:?}");
                    moved += usize::from(old[bar..] != new[bar..]);
                }
                assert_eq!(moved, timeframe.channels, "bar {bar} is seen by every channel");
            }
        }
    }
}
