//! The encoder as one operation of candle: parameters in, pooled values out, derivative by hand.
//!
//! - One operation instead of some forty: nothing of the size of a window is allocated per step.
//! - The tensor library's own depthwise convolution and fused layer norm are slow or have no derivative.
//! - Must never: be asked for a derivative with another workspace than the forward pass used.

use super::gradient::{self, Workspace};
use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use daybook_inference::{Processor, TimeframeShape};
use std::sync::{Arc, Mutex, PoisonError};

/// The encoder of a timeframe over fixed inputs, as a function of its parameters.
pub struct Encoder {
    /// Its shape.
    pub shape: TimeframeShape,
    /// Rows of standardised inputs, each F rows of columns.
    pub inputs: Vec<f32>,
    /// Which vectors to use.
    pub processor: Processor,
    /// Buffers, those of the worker.
    pub workspace: Arc<Mutex<Workspace>>,
}

impl CustomOp1 for Encoder {
    fn name(&self) -> &'static str {
        "encoder"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let CpuStorage::F32(values) = storage else {
            return Err(Error::Msg("the encoder's parameters are f32".to_owned()));
        };
        let parameters = values
            .get(layout.start_offset()..layout.start_offset() + self.shape.parameter_count())
            .filter(|_| layout.is_contiguous())
            .ok_or_else(|| Error::Msg("the encoder's parameters are one flat vector".to_owned()))?;
        let mut workspace = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let pooled = gradient::forward(self.processor, &self.shape, parameters, &self.inputs, &mut workspace);
        let width = 2 * self.shape.channels;
        let rows = pooled.len() / width;
        Ok((CpuStorage::F32(pooled), Shape::from((rows, width))))
    }

    fn bwd(&self, parameters: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let values = parameters.to_vec1::<f32>()?;
        let pooled = gradient.contiguous()?.flatten_all()?.to_vec1::<f32>()?;
        let mut result = vec![0.0; values.len()];
        let mut workspace = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        gradient::backward(self.processor, &self.shape, &values, &self.inputs, &pooled, &mut workspace, &mut result);
        Ok(Some(Tensor::from_vec(result, values.len(), parameters.device())?))
    }
}
