//! The four steps of a residual block on a strip of W neighbouring columns (times): the order of every sum.
//!
//! - A convolution's output begins with its bias and adds weight · input in ascending index order: taps oldest first,
//!   channels ascending. A norm adds channels ascending. Each output element is one such chain of its own.
//! - W and O (outputs worked on together) change how many chains run side by side, never a chain: the same bits.
//! - No fused multiply-add: Rust contracts nothing by itself, and nothing here asks for it.
//! - Must never: be called with W that does not divide the columns; buffers are [channel][column], see [`Strip`].
//!
//! Training uses these very functions, so that what was trained is what decides.

use crate::math;

/// The constant under the root of a layer norm.
pub const NORM_EPSILON: f32 = 1e-5;

/// Where a strip begins in a buffer of channels: value of channel c, column j is `c * stride + at + j`.
#[derive(Debug, Clone, Copy)]
pub struct Strip {
    /// Distance between channels.
    pub stride: usize,
    /// The first column, with the padding before the first bar.
    pub at: usize,
}

impl Strip {
    #[inline(always)]
    fn of<const W: usize>(self, data: &[f32], channel: usize) -> &[f32; W] {
        lanes(data, channel * self.stride + self.at)
    }

    #[inline(always)]
    fn of_mut<const W: usize>(self, data: &mut [f32], channel: usize) -> &mut [f32; W] {
        let begin = channel * self.stride + self.at;
        (&mut data[begin..begin + W]).try_into().expect("a strip has W columns")
    }
}

/// W values from an index on.
#[inline(always)]
pub fn lanes<const W: usize>(data: &[f32], begin: usize) -> &[f32; W] {
    data[begin..begin + W].try_into().expect("a strip has W columns")
}

/// Causal convolution of each channel with its own taps: `out[t] = bias + Σ_k taps[k] · x[t - (K-1-k)·dilation]`.
#[inline(always)]
pub fn depthwise<const W: usize>(
    (taps, bias): (&[f32], &[f32]),
    dilation: usize,
    (input, from): (&[f32], Strip),
    (output, to): (&mut [f32], Strip),
) {
    let kernel = taps.len() / bias.len();
    for (channel, (taps, bias)) in taps.chunks_exact(kernel).zip(bias).enumerate() {
        let oldest = channel * from.stride + from.at - (kernel - 1) * dilation;
        let mut sums = [*bias; W];
        for (index, tap) in taps.iter().enumerate() {
            let values = lanes::<W>(input, oldest + index * dilation);
            for lane in 0..W {
                sums[lane] += tap * values[lane];
            }
        }
        *to.of_mut::<W>(output, channel) = sums;
    }
}

/// Each output channel as a sum over all input channels at the same time: `out[o] = bias + Σ_c weight[o][c] · x[c]`.
#[inline(always)]
pub fn pointwise<const W: usize, const O: usize>(
    (weights, bias): (&[f32], &[f32]),
    (input, from): (&[f32], Strip),
    (output, to): (&mut [f32], Strip),
) {
    let inputs = weights.len() / bias.len();
    let whole = bias.len() - bias.len() % O;
    for first in (0..whole).step_by(O) {
        pointwise_tile::<W, O>((weights, bias), inputs, first, (input, from), (output, to));
    }
    for first in whole..bias.len() {
        pointwise_tile::<W, 1>((weights, bias), inputs, first, (input, from), (output, to));
    }
}

#[inline(always)]
fn pointwise_tile<const W: usize, const O: usize>(
    (weights, bias): (&[f32], &[f32]),
    inputs: usize,
    first: usize,
    (input, from): (&[f32], Strip),
    (output, to): (&mut [f32], Strip),
) {
    let rows: [&[f32]; O] = std::array::from_fn(|row| &weights[(first + row) * inputs..][..inputs]);
    let mut sums: [[f32; W]; O] = std::array::from_fn(|row| [bias[first + row]; W]);
    for channel in 0..inputs {
        let values = from.of::<W>(input, channel);
        for row in 0..O {
            let weight = rows[row][channel];
            for lane in 0..W {
                sums[row][lane] += weight * values[lane];
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        *to.of_mut::<W>(output, first + row) = *sums;
    }
}

/// SiLU in place.
#[inline(always)]
pub fn silu<const W: usize>(channels: usize, (data, strip): (&mut [f32], Strip)) {
    for channel in 0..channels {
        for value in strip.of_mut::<W>(data, channel) {
            *value = math::silu(*value);
        }
    }
}

/// Mean and inverse deviation over the channels at each time.
#[inline(always)]
pub fn moments<const W: usize>(channels: usize, (data, strip): (&[f32], Strip)) -> ([f32; W], [f32; W]) {
    let count = channels as f32;
    let mut means = [0.0f32; W];
    for channel in 0..channels {
        let values = strip.of::<W>(data, channel);
        for lane in 0..W {
            means[lane] += values[lane];
        }
    }
    for mean in &mut means {
        *mean /= count;
    }
    let mut deviations = [0.0f32; W];
    for channel in 0..channels {
        let values = strip.of::<W>(data, channel);
        for lane in 0..W {
            let difference = values[lane] - means[lane];
            deviations[lane] += difference * difference;
        }
    }
    for deviation in &mut deviations {
        *deviation = 1.0 / (*deviation / count + NORM_EPSILON).sqrt();
    }
    (means, deviations)
}

/// Layer norm over channels, added to the block's input: `x[c] += (s[c] - mean) · inverse · weight[c] + bias[c]`.
#[inline(always)]
pub fn norm_and_add<const W: usize>(
    (weights, bias): (&[f32], &[f32]),
    (means, inverses): (&[f32; W], &[f32; W]),
    (input, from): (&[f32], Strip),
    (output, to): (&mut [f32], Strip),
) {
    for (channel, (weight, bias)) in weights.iter().zip(bias).enumerate() {
        let values = from.of::<W>(input, channel);
        let sums = to.of_mut::<W>(output, channel);
        for lane in 0..W {
            sums[lane] += (values[lane] - means[lane]) * inverses[lane] * weight + bias;
        }
    }
}

/// Mean and maximum of a row over time: 8 lanes (t mod 8), then the tree ((0+4)+(2+6)) + ((1+5)+(3+7)).
#[inline(always)]
pub fn mean_and_max(row: &[f32]) -> (f32, f32) {
    let (mut sums, mut tops) = ([0.0f32; 8], [f32::NEG_INFINITY; 8]);
    for values in row.chunks(8) {
        for (lane, value) in values.iter().enumerate() {
            sums[lane] += value;
            tops[lane] = larger(tops[lane], *value);
        }
    }
    let top = tops.iter().fold(f32::NEG_INFINITY, |top, value| larger(top, *value));
    (tree(sums) / row.len() as f32, top)
}

/// The sum of eight lanes.
#[inline(always)]
pub fn tree(lanes: [f32; 8]) -> f32 {
    let pair = |lane: usize| lanes[lane] + lanes[lane + 4];
    (pair(0) + pair(2)) + (pair(1) + pair(3))
}

/// The larger one; the first where they are equal.
#[inline(always)]
pub fn larger(first: f32, second: f32) -> f32 {
    if second > first { second } else { first }
}
