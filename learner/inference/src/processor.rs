//! Which of the processor's vector instructions may be used; whichever it is, the bits are the same.
//!
//! - Kernels add in one written order per element and differ only in how many elements they work on at once.
//! - No fused multiply-add at any level.
//! - Must never: choose an instruction set that the processor did not announce.

/// The widest vectors that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Processor {
    /// What every processor of the architecture has.
    Baseline,
    /// x86-64 with AVX2: 8 lanes.
    Avx2,
    /// x86-64 with AVX-512: 16 lanes.
    Avx512,
}

impl Processor {
    /// What this machine has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx2") {
                return Self::Avx512;
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }

    /// Every level that this machine can run, for tests of their equality.
    pub fn available() -> Vec<Self> {
        [Self::Baseline, Self::Avx2, Self::Avx512].into_iter().filter(|level| *level <= Self::detect()).collect()
    }

    /// Its name in a checkpoint, such as `avx2`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}
