//! What the network is trained on: the processor, with operations of our own, or a graphics card, with the library's.
//!
//! - The processor is the default, and all that building and testing need. A card needs the feature `cuda`.
//! - Both compute the same network: forward and gradient agree to rounding, which a test holds on the processor.
//! - Decisions are made by `daybook-inference` wherever the network was trained; only training may use a card.
//! - Must never: fall back from one to the other; what cannot be had is an error that says how to get it.

use crate::TrainError;
use candle_core::Device;
use daybook_inference::Processor;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// The first graphics card of NVIDIA.
    Cuda,
}

/// How a worker computes.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Encoders as one operation of our own, on the processor.
    Own(Processor),
    /// Encoders in operations of the tensor library, on a device of it.
    Tensors(Device),
}

impl DeviceKind {
    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    /// Opens it, or says what is missing.
    pub fn open(self) -> Result<Backend, TrainError> {
        let refuse = |why: String| Err(TrainError::Setting { key: "--device", value: self.word().to_owned(), why });
        match self {
            Self::Cpu => Ok(Backend::default()),
            Self::Cuda if !cfg!(feature = "cuda") => refuse(
                "this binary was built without CUDA: build it with `cargo build --release --features cuda` where the CUDA \
                 toolkit is, or take --device cpu"
                    .to_owned(),
            ),
            Self::Cuda => Device::new_cuda(0).map(Backend::Tensors).or_else(|error| {
                refuse(format!("the card cannot be used ({error}): check the driver, or take --device cpu"))
            }),
        }
    }
}

impl Default for Backend {
    fn default() -> Self {
        Self::Own(Processor::detect())
    }
}

impl Backend {
    /// The library's operations on the processor: slower, for tests of what runs on a card.
    pub const TENSORS: Self = Self::Tensors(Device::Cpu);

    /// Where tensors live.
    pub(crate) fn device(&self) -> &Device {
        match self {
            Self::Own(_) => &Device::Cpu,
            Self::Tensors(device) => device,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A binary without the feature says how to get one with it, and never trains on something else.
    #[test]
    fn what_was_not_built_is_refused() {
        assert!(matches!(DeviceKind::Cpu.open(), Ok(Backend::Own(_))));
        if !cfg!(feature = "cuda") {
            let error = DeviceKind::Cuda.open().expect_err("not built").to_string();
            assert!(error.contains("--device is cuda") && error.contains("--features cuda"), "{error}");
        }
    }
}
