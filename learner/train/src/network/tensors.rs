//! The encoder in operations of the tensor library, for devices that our own operation does not run on.
//!
//! - The layout is (rows, bars, channels): the pointwise convolution is one product, the depthwise one a sum of shifted
//!   products, oldest tap first, the norm a mean over the last dimension.
//! - It computes what `operation.rs` computes, to rounding; a test compares values and gradients on the processor.
//! - Must never: use a fused operation of the library that has no derivative (layer norm, softmax).

use candle_core::{D, Result, Tensor};
use daybook_inference::{Shape, TimeframeShape};

/// Added to the variance before its root, as in inference.
const EPSILON: f64 = 1e-5;

/// Encodes standardised inputs (rows, L, F) by the encoder's flat parameters: (rows, 2C), means then maxima.
pub fn encode(shape: &Shape, index: usize, flat: &Tensor, input: &Tensor) -> Result<Tensor> {
    let TimeframeShape { name, lookback, features, channels, kernel, depth } = &shape.timeframes()[index];
    let first = shape.encoder_range(index).start;
    let part = |rest: &str, dims: &[usize]| -> Result<Tensor> {
        let range = shape.range_of(&format!("encoder.{name}.{rest}"));
        flat.narrow(0, range.start - first, range.len())?.reshape(dims)
    };
    let rows = input.dim(0)?;
    let pointwise = |input: &Tensor, inputs: usize, rest: &str| -> Result<Tensor> {
        let weight = part(&format!("{rest}.weight"), &[*channels, inputs])?;
        let bias = part(&format!("{rest}.bias"), &[*channels])?;
        let flat = input.reshape((rows * lookback, inputs))?;
        flat.matmul(&weight.t()?)?.broadcast_add(&bias)?.reshape((rows, *lookback, *channels))
    };
    let mut stream = pointwise(input, *features, "input")?;
    for block in 0..*depth {
        let dilation = block + 1;
        let taps = part(&format!("block.{block}.depthwise.weight"), &[*channels, *kernel])?;
        let bias = part(&format!("block.{block}.depthwise.bias"), &[*channels])?;
        let padded = stream.pad_with_zeros(1, (kernel - 1) * dilation, 0)?;
        let mut mixed = bias.broadcast_as(stream.shape())?.contiguous()?;
        for tap in 0..*kernel {
            let weight = taps.narrow(1, tap, 1)?.reshape(*channels)?;
            mixed = (mixed + padded.narrow(1, tap * dilation, *lookback)?.broadcast_mul(&weight)?)?;
        }
        let active = pointwise(&mixed, *channels, &format!("block.{block}.pointwise"))?.silu()?;
        let centred = active.broadcast_sub(&active.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let normal = centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?;
        let weight = part(&format!("block.{block}.norm.weight"), &[*channels])?;
        let bias = part(&format!("block.{block}.norm.bias"), &[*channels])?;
        stream = (stream + normal.broadcast_mul(&weight)?.broadcast_add(&bias)?)?;
    }
    Tensor::cat(&[stream.mean(1)?, stream.max(1)?], 1)
}
