//! Vectors of the processor behind one trait: the few operations that kernels need, each rounded once per lane.
//!
//! - A value of a token type proves that the processor announced its instructions: [`Processor`] alone makes them.
//! - `add_product` is a multiplication and then an addition, never fused: a lane has the bits of `sum + a * b`.
//! - Functions here are inlined into functions built for the same instructions; without that they are calls.
//! - Must never: hand out a token for instructions that are not there; this is why `unsafe` is here.

use crate::Processor;

/// Arithmetic on vectors of WIDTH lanes.
pub trait Simd: Copy {
    /// A vector.
    type Vector: Copy;
    /// Its lanes.
    const WIDTH: usize;
    /// The same value in every lane.
    fn splat(self, value: f32) -> Self::Vector;
    /// Lanes from neighbouring values, beginning at `at`.
    fn load(self, data: &[f32], at: usize) -> Self::Vector;
    /// Lanes to neighbouring values, beginning at `at`.
    fn store(self, vector: Self::Vector, data: &mut [f32], at: usize);
    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a - b.
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a · b.
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a / b.
    fn divide(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// √a.
    fn root(self, a: Self::Vector) -> Self::Vector;

    /// sum + a · b, rounded twice.
    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.add(sum, self.multiply(a, b))
    }

    /// The sum of the lanes, halves upon halves.
    #[inline(always)]
    fn fold(self, vector: Self::Vector) -> f32 {
        let mut lanes = [0.0f32; 16];
        self.store(vector, &mut lanes, 0);
        let mut width = Self::WIDTH / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
            width /= 2;
        }
        lanes[0]
    }
}

/// Four lanes in plain Rust: every processor has them.
#[derive(Debug, Clone, Copy)]
pub struct Plain(());

/// Proof of AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

/// Proof of AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

/// A token for what a processor can do.
#[derive(Debug, Clone, Copy)]
pub enum Token {
    /// Four lanes.
    Plain(Plain),
    /// Eight lanes.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// Sixteen lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Processor {
    /// The proof that this level is there.
    pub fn token(self) -> Token {
        assert!(self <= Self::detect(), "this processor has no {}", self.word());
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Token::Avx512(Avx512(())),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Token::Avx2(Avx2(())),
            _ => Token::Plain(Plain(())),
        }
    }
}

impl Simd for Plain {
    type Vector = [f32; 4];
    const WIDTH: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }
    #[inline(always)]
    fn load(self, data: &[f32], at: usize) -> [f32; 4] {
        data[at..at + 4].try_into().expect("four lanes")
    }
    #[inline(always)]
    fn store(self, vector: [f32; 4], data: &mut [f32], at: usize) {
        data[at..at + 4].copy_from_slice(&vector);
    }
    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }
    #[inline(always)]
    fn subtract(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]]
    }
    #[inline(always)]
    fn multiply(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
    }
    #[inline(always)]
    fn divide(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] / b[0], a[1] / b[1], a[2] / b[2], a[3] / b[3]]
    }
    #[inline(always)]
    fn root(self, a: [f32; 4]) -> [f32; 4] {
        a.map(f32::sqrt)
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($token:ident, $vector:ident, $width:literal, $set:ident, $load:ident, $store:ident,
     $add:ident, $subtract:ident, $multiply:ident, $divide:ident, $root:ident) => {
        impl Simd for $token {
            type Vector = std::arch::x86_64::$vector;
            const WIDTH: usize = $width;

            #[inline(always)]
            fn splat(self, value: f32) -> Self::Vector {
                // SAFETY: the token proves that the processor has the instruction.
                unsafe { std::arch::x86_64::$set(value) }
            }
            #[inline(always)]
            fn load(self, data: &[f32], at: usize) -> Self::Vector {
                let lanes = &data[at..at + $width];
                // SAFETY: as above; the slice holds as many values as are read.
                unsafe { std::arch::x86_64::$load(lanes.as_ptr()) }
            }
            #[inline(always)]
            fn store(self, vector: Self::Vector, data: &mut [f32], at: usize) {
                let lanes = &mut data[at..at + $width];
                // SAFETY: as above; the slice holds as many values as are written.
                unsafe { std::arch::x86_64::$store(lanes.as_mut_ptr(), vector) }
            }
            #[inline(always)]
            fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: the token proves that the processor has the instruction.
                unsafe { std::arch::x86_64::$add(a, b) }
            }
            #[inline(always)]
            fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: the token proves that the processor has the instruction.
                unsafe { std::arch::x86_64::$subtract(a, b) }
            }
            #[inline(always)]
            fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: the token proves that the processor has the instruction.
                unsafe { std::arch::x86_64::$multiply(a, b) }
            }
            #[inline(always)]
            fn divide(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: the token proves that the processor has the instruction.
                unsafe { std::arch::x86_64::$divide(a, b) }
            }
            #[inline(always)]
            fn root(self, a: Self::Vector) -> Self::Vector {
                // SAFETY: the token proves that the processor has the instruction.
                unsafe { std::arch::x86_64::$root(a) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86!(
    Avx2,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_div_ps,
    _mm256_sqrt_ps
);
#[cfg(target_arch = "x86_64")]
x86!(
    Avx512,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_sqrt_ps
);
