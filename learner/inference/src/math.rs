//! The exponential, sigmoid and SiLU: the bits of `libm`, in a form that works on many lanes at once.
//!
//! - `exp` takes libm's own steps (argument reduction, polynomial, scaling) with selections instead of branches.
//! - It equals `libm::expf` bit for bit wherever the result is a normal number, infinite or not a number; below
//!   the smallest normal number it gives 0 (libm: a subnormal one, which 1 + e rounds away).
//! - Must never: call a platform's transcendental function.

const LN2_HIGH: f32 = 6.931_457_5e-1;
const LN2_LOW: f32 = 1.428_606_8e-6;
#[expect(clippy::approx_constant, reason = "libm's digits, beside the rest of its numbers")]
const INVERSE_LN2: f32 = 1.442_695;
const P1: f32 = 1.666_662_5e-1;
const P2: f32 = -2.766_733_2e-3;
/// Beyond these the result leaves the normal numbers.
const SMALLEST: f32 = f32::from_bits(0xc2ae_ac50);
const LARGEST: f32 = f32::from_bits(0x42b1_7218);

/// e to the power of x.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let inside = if x > SMALLEST { x } else { SMALLEST };
    let inside = if inside < LARGEST { inside } else { LARGEST };
    let magnitude = inside.abs().to_bits();
    let half = if inside < 0.0 { -0.5 } else { 0.5 };
    let far = (INVERSE_LN2 * inside + half) as i32;
    let near = if inside < 0.0 { -1 } else { 1 };
    let times = if magnitude > 0x3f85_1592 { far } else { near };
    let times = if magnitude > 0x3eb1_7218 { times } else { 0 };
    let whole = times as f32;
    let high = inside - whole * LN2_HIGH;
    let low = whole * LN2_LOW;
    let reduced = high - low;
    let square = reduced * reduced;
    let c = reduced - square * (P1 + square * P2);
    let value = 1.0 + (reduced * c / (2.0 - c) - low + high);
    // Two factors, since 2^128 is no f32; both products are exact.
    let first = times >> 1;
    let value = value * power_of_two(first) * power_of_two(times - first);
    let value = if magnitude > 0x3900_0000 { value } else { 1.0 + inside };
    let value = if x >= LARGEST { f32::INFINITY } else { value };
    let value = if x <= SMALLEST { 0.0 } else { value };
    if x.is_nan() { x } else { value }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// x · sigmoid(x), as x / (1 + e^-x): one division.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

#[inline(always)]
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(x: f32) {
        let (ours, theirs) = (exp(x), libm::expf(x));
        let expected = if theirs < f32::MIN_POSITIVE { 0.0 } else { theirs };
        assert!(
            ours.to_bits() == expected.to_bits() || ours.is_nan() && theirs.is_nan(),
            "exp({x:e}): {ours} {theirs}"
        );
    }

    /// I8: a stride that shares no factor with a power of two meets every exponent and all kinds of fractions.
    #[test]
    fn the_exponential_has_the_bits_of_libm() {
        (0..u32::MAX).step_by(4093).for_each(|bits| agrees(f32::from_bits(bits)));
        for edge in [0x3900_0000u32, 0x3eb1_7218, 0x3f85_1592, 0x42ae_ac50, 0x42b1_7218, 0x42cf_f1b5, 0x7f80_0000, 0] {
            for bits in edge.saturating_sub(2000)..edge + 2000 {
                agrees(f32::from_bits(bits));
                agrees(f32::from_bits(bits | 0x8000_0000));
            }
        }
    }

    #[test]
    fn sigmoid_and_silu_stay_within_their_ranges() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!((sigmoid(200.0), sigmoid(-200.0)), (1.0, 0.0));
        assert_eq!((silu(200.0), silu(-200.0), silu(0.0)), (200.0, 0.0, 0.0));
        assert!((silu(1.0) - 0.731_058_6).abs() < 1e-6);
    }
}
