//! How many decision times a thread can work on at once: found by memory, and by nothing else.
//!
//! - Sizes are powers of two from 8 up to 512. A size is estimated first and tried only when the estimate fits.
//! - A try that fails for another reason than memory is that error, not a smaller size.
//! - Nothing fits: an error that says how much is missing.
//! - Must never: answer with a size that was not tried.

use crate::TrainError;
use crate::network::Workspace;
use daybook_inference::Shape;

/// The largest size there is a try for.
pub const SIZE_MAX: usize = 512;

/// Bytes that a step needs for micro-batches of this size, on all threads.
pub fn estimate(shape: &Shape, symbols: usize, micro_batch: usize, threads: usize) -> u64 {
    let row: usize = shape.timeframes().iter().map(Workspace::bytes_per_row).sum();
    // Parameters, target, moments, sum; per thread the parameters' own copies and gradients in the library.
    let copies = (threads as u64).saturating_mul(4).saturating_add(6);
    let parameters = (4 * shape.parameter_count() as u64).saturating_mul(copies);
    let rows =
        [symbols, micro_batch, threads].into_iter().fold(1u64, |product, one| product.saturating_mul(one as u64));
    (row as u64).saturating_mul(rows).saturating_add(parameters)
}

/// The largest power of two whose estimate fits and whose try succeeds; a size below 8 only where 8 does not fit.
pub fn discover(
    estimate: impl Fn(usize) -> u64,
    limit: u64,
    mut attempt: impl FnMut(usize) -> Result<(), TrainError>,
) -> Result<usize, TrainError> {
    let mut fits = |size: usize| -> Result<bool, TrainError> {
        if estimate(size) > limit {
            return Ok(false);
        }
        match attempt(size) {
            Ok(()) => Ok(true),
            Err(TrainError::Memory { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    };
    let mut found = None;
    let mut size = 8;
    while size <= SIZE_MAX && fits(size)? {
        found = Some(size);
        size *= 2;
    }
    if let Some(size) = found {
        return Ok(size);
    }
    for size in [4, 2, 1] {
        if fits(size)? {
            return Ok(size);
        }
    }
    Err(TrainError::Memory {
        what: "one decision time".to_owned(),
        needed_mib: estimate(1).div_ceil(1 << 20),
        limit_mib: limit >> 20,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn too_much() -> TrainError {
        TrainError::Memory { what: "a try".to_owned(), needed_mib: 2, limit_mib: 1 }
    }

    /// TS-08, trap 23: only memory counts; nothing fits is an error; nothing is tried whose estimate is too large.
    #[test]
    fn only_memory_limits_the_size() {
        let plain = |size: usize| size as u64;
        assert_eq!(discover(plain, u64::MAX, |_| Ok(())).expect("a size"), 512);
        assert_eq!(
            discover(plain, 100, |size| {
                assert!(size <= 100);
                Ok(())
            })
            .expect("a size"),
            64
        );
        assert_eq!(discover(plain, 512, |size| if size > 16 { Err(too_much()) } else { Ok(()) }).expect("a size"), 16);
        assert_eq!(discover(plain, 3, |_| Ok(())).expect("a size"), 2);
        let nothing = discover(|_| 9 << 20, 1 << 20, |_| panic!("not tried")).expect_err("nothing fits").to_string();
        assert!(nothing.contains("9 MiB") && nothing.contains("1 MiB"), "{nothing}");
        let other = || TrainError::Diverged { step: 1, what: "loss" };
        let error = discover(plain, u64::MAX, |size| if size > 8 { Err(other()) } else { Ok(()) });
        assert!(matches!(error, Err(TrainError::Diverged { .. })), "another error is itself, not out of memory");
    }

    #[test]
    fn the_estimate_grows_with_all_that_needs_memory() {
        let shape = Shape::new(18, &[("5m", 256), ("15m", 128)]).expect("a shape");
        let one = estimate(&shape, 10, 8, 1);
        assert!((50 << 20..400 << 20).contains(&one), "{one}");
        assert!(
            estimate(&shape, 20, 8, 1) > one && estimate(&shape, 10, 16, 1) > one && estimate(&shape, 10, 8, 2) > one
        );
    }
}
