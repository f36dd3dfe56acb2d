//! The steps of a residual block on a strip of neighbouring columns (times): the order of every sum.
//!
//! - A convolution's output begins with its bias and adds weight · input in ascending index order: taps oldest first,
//!   channels ascending. A norm adds channels ascending. Each output element is one such chain of its own.
//! - The width of vectors and the size of tiles change how many chains run side by side, never a chain: the same bits.
//! - A strip is two vectors wide; buffers are [channel][column], see [`Strip`].
//! - Must never: use a fused multiply-add.
//!
//! Training uses these very functions, so that what was trained is what decides.

use crate::math;
use crate::simd::Simd;

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

/// Two vectors side by side: a strip of one channel.
type Pair<S> = [<S as Simd>::Vector; 2];

impl Strip {
    #[inline(always)]
    fn load<S: Simd>(self, simd: S, data: &[f32], channel: usize) -> Pair<S> {
        pair(simd, data, channel * self.stride + self.at)
    }

    #[inline(always)]
    fn store<S: Simd>(self, simd: S, values: Pair<S>, data: &mut [f32], channel: usize) {
        let begin = channel * self.stride + self.at;
        let lanes = &mut data[begin..begin + 2 * S::WIDTH];
        simd.store(values[0], lanes, 0);
        simd.store(values[1], lanes, S::WIDTH);
    }
}

/// Two vectors from neighbouring values.
#[inline(always)]
pub fn pair<S: Simd>(simd: S, data: &[f32], begin: usize) -> [S::Vector; 2] {
    let lanes = &data[begin..begin + 2 * S::WIDTH];
    [simd.load(lanes, 0), simd.load(lanes, S::WIDTH)]
}

/// Causal convolution of each channel with its own taps: `out[t] = bias + Σ_k taps[k] · x[t - (K-1-k)·dilation]`.
#[inline(always)]
pub fn depthwise<S: Simd>(
    simd: S,
    weights: (&[f32], &[f32]),
    dilation: usize,
    input: (&[f32], Strip),
    output: (&mut [f32], Strip),
) {
    let channels = weights.1.len();
    let whole = channels - channels % 4;
    let (to_data, to) = output;
    for first in (0..whole).step_by(4) {
        depthwise_tile::<S, 4>(simd, weights, dilation, first, input, (to_data, to));
    }
    for first in whole..channels {
        depthwise_tile::<S, 1>(simd, weights, dilation, first, input, (to_data, to));
    }
}

#[inline(always)]
fn depthwise_tile<S: Simd, const C: usize>(
    simd: S,
    (taps, bias): (&[f32], &[f32]),
    dilation: usize,
    first: usize,
    (input, from): (&[f32], Strip),
    (output, to): (&mut [f32], Strip),
) {
    let kernel = taps.len() / bias.len();
    let reach = (kernel - 1) * dilation;
    let rows: [&[f32]; C] = std::array::from_fn(|row| &taps[(first + row) * kernel..][..kernel]);
    // Every window of the tile lies inside its own slice, so that bounds are checked once per row.
    let width = reach + 2 * S::WIDTH;
    let windows: [&[f32]; C] =
        std::array::from_fn(|row| &input[(first + row) * from.stride + from.at - reach..][..width]);
    let mut sums: [Pair<S>; C] = std::array::from_fn(|row| [simd.splat(bias[first + row]); 2]);
    #[expect(clippy::needless_range_loop, reason = "one index into several rows at once")]
    for index in 0..kernel {
        for row in 0..C {
            let tap = simd.splat(rows[row][index]);
            let values = pair(simd, windows[row], index * dilation);
            sums[row][0] = simd.add_product(sums[row][0], tap, values[0]);
            sums[row][1] = simd.add_product(sums[row][1], tap, values[1]);
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        to.store(simd, sums, output, first + row);
    }
}

/// Each output channel as a sum over all input channels at the same time: `out[o] = bias + Σ_c weight[o][c] · x[c]`.
#[inline(always)]
pub fn pointwise<S: Simd>(simd: S, weights: (&[f32], &[f32]), input: (&[f32], Strip), output: (&mut [f32], Strip)) {
    let outputs = weights.1.len();
    let whole = outputs - outputs % 4;
    let (to_data, to) = output;
    for first in (0..whole).step_by(4) {
        pointwise_tile::<S, 4>(simd, weights, first, input, (to_data, to));
    }
    for first in whole..outputs {
        pointwise_tile::<S, 1>(simd, weights, first, input, (to_data, to));
    }
}

#[inline(always)]
fn pointwise_tile<S: Simd, const O: usize>(
    simd: S,
    (weights, bias): (&[f32], &[f32]),
    first: usize,
    (input, from): (&[f32], Strip),
    (output, to): (&mut [f32], Strip),
) {
    let inputs = weights.len() / bias.len();
    let rows: [&[f32]; O] = std::array::from_fn(|row| &weights[(first + row) * inputs..][..inputs]);
    let mut sums: [Pair<S>; O] = std::array::from_fn(|row| [simd.splat(bias[first + row]); 2]);
    #[expect(clippy::needless_range_loop, reason = "one index into several rows at once")]
    for channel in 0..inputs {
        let values = from.load(simd, input, channel);
        for row in 0..O {
            let weight = simd.splat(rows[row][channel]);
            sums[row][0] = simd.add_product(sums[row][0], weight, values[0]);
            sums[row][1] = simd.add_product(sums[row][1], weight, values[1]);
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        to.store(simd, sums, output, first + row);
    }
}

/// SiLU of neighbouring values, in place: no sums, so the compiler finds the lanes itself.
#[inline(always)]
pub fn silu(values: &mut [f32]) {
    for value in values {
        *value = math::silu(*value);
    }
}

/// Mean and inverse deviation over the channels at each time of the strip.
#[inline(always)]
pub fn moments<S: Simd>(simd: S, channels: usize, (data, strip): (&[f32], Strip)) -> (Pair<S>, Pair<S>) {
    let count = simd.splat(channels as f32);
    let mut means = [simd.splat(0.0); 2];
    for channel in 0..channels {
        let values = strip.load(simd, data, channel);
        means = [simd.add(means[0], values[0]), simd.add(means[1], values[1])];
    }
    means = means.map(|sum| simd.divide(sum, count));
    let mut squares = [simd.splat(0.0); 2];
    for channel in 0..channels {
        let values = strip.load(simd, data, channel);
        for half in 0..2 {
            let difference = simd.subtract(values[half], means[half]);
            squares[half] = simd.add_product(squares[half], difference, difference);
        }
    }
    let (one, epsilon) = (simd.splat(1.0), simd.splat(NORM_EPSILON));
    let inverse = |sum| simd.divide(one, simd.root(simd.add(simd.divide(sum, count), epsilon)));
    (means, squares.map(inverse))
}

/// Layer norm over channels, added to the block's input: `x[c] += (s[c] - mean) · inverse · weight[c] + bias[c]`.
#[inline(always)]
pub fn norm_and_add<S: Simd>(
    simd: S,
    (weights, bias): (&[f32], &[f32]),
    (means, inverses): (Pair<S>, Pair<S>),
    (input, from): (&[f32], Strip),
    (output, to): (&mut [f32], Strip),
) {
    for (channel, (weight, bias)) in weights.iter().zip(bias).enumerate() {
        let (weight, bias) = (simd.splat(*weight), simd.splat(*bias));
        let values = from.load(simd, input, channel);
        let mut sums = to.load(simd, output, channel);
        for half in 0..2 {
            let normal = simd.multiply(simd.subtract(values[half], means[half]), inverses[half]);
            sums[half] = simd.add(sums[half], simd.add(simd.multiply(normal, weight), bias));
        }
        to.store(simd, sums, output, channel);
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
fn tree(lanes: [f32; 8]) -> f32 {
    let pair = |lane: usize| lanes[lane] + lanes[lane + 4];
    (pair(0) + pair(2)) + (pair(1) + pair(3))
}

/// The larger one; the first where they are equal.
#[inline(always)]
pub fn larger(first: f32, second: f32) -> f32 {
    if second > first { second } else { first }
}
