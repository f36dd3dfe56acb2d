//! The checksums of three frames at once.
//!
//! The processor's `crc32` instruction takes three cycles to answer and can begin anew in each: one frame's checksum
//! is a chain that waits two cycles of three. Frames of one length that lie behind one another are three such chains,
//! so they cost little more together than one alone.
//! - Only a way to ask faster: where it says "not sound", or cannot say, the frame is looked at alone.
//! - Must never: say "sound" of a frame of which a byte was not hashed.

use crate::format::{FRAME_HEADER_BYTES, padded, u32_at};

/// Are the three frames at the start of `bytes`, of `len` bytes each, sound by checksum and padding?
#[inline]
pub(crate) fn are_sound(bytes: &[u8], len: u32, seed: u32) -> bool {
    let size = padded(len as usize);
    let Some(frames) = bytes.get(..3 * size) else { return false };
    if size < FRAME_HEADER_BYTES {
        return false;
    }
    let (first, rest) = frames.split_at(size);
    let (second, third) = rest.split_at(size);
    let frames = [first, second, third];
    let same_length = frames.iter().all(|frame| u32_at(frame, 0) == len);
    if !same_length || frames.iter().any(|frame| frame[len as usize..].iter().any(|byte| *byte != 0)) {
        return false;
    }
    let Some(found) = checksums(seed, len, frames.map(|frame| &frame[8..])) else { return false };
    found == frames.map(|frame| u32_at(frame, 4))
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn checksums(seed: u32, len: u32, rests: [&[u8]; 3]) -> Option<[u32; 3]> {
    if !std::arch::is_x86_feature_detected!("sse4.2") {
        return None;
    }
    // SAFETY: the processor has the instruction, as was just asked; the function is safe otherwise.
    Some(unsafe { interleaved(!crate::format::start(seed, len), rests) })
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn checksums(_: u32, _: u32, _: [&[u8]; 3]) -> Option<[u32; 3]> {
    None
}

/// Three chains from one state, over slices of one length that is a multiple of 8.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn interleaved(state: u32, [first, second, third]: [&[u8]; 3]) -> [u32; 3] {
    use std::arch::x86_64::_mm_crc32_u64;
    let mut chains = [u64::from(state); 3];
    assert!(first.len().is_multiple_of(8), "frames are padded to whole words");
    let (first, second, third) = (first.as_chunks::<8>().0, second.as_chunks::<8>().0, third.as_chunks::<8>().0);
    for ((one, two), three) in first.iter().zip(second).zip(third) {
        chains[0] = _mm_crc32_u64(chains[0], u64::from_le_bytes(*one));
        chains[1] = _mm_crc32_u64(chains[1], u64::from_le_bytes(*two));
        chains[2] = _mm_crc32_u64(chains[2], u64::from_le_bytes(*three));
    }
    chains.map(|chain| !(chain as u32))
}

/// The slow way, for comparison: each frame alone.
#[cfg(test)]
fn alone(bytes: &[u8], len: u32, seed: u32) -> bool {
    let size = padded(len as usize);
    bytes[..3 * size].chunks_exact(size).all(|frame| {
        u32_at(frame, 0) == len
            && crate::format::checksum(seed, len, &frame[8..]) == u32_at(frame, 4)
            && frame[len as usize..].iter().all(|byte| *byte == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::checksum;
    use proptest::prelude::*;

    fn frames(payloads: [Vec<u8>; 3], seed: u32) -> (Vec<u8>, u32) {
        let len = (FRAME_HEADER_BYTES + payloads[0].len()) as u32;
        let mut bytes = Vec::new();
        for payload in payloads {
            let mut frame = vec![0x5A; FRAME_HEADER_BYTES];
            frame[..4].copy_from_slice(&len.to_le_bytes());
            frame.extend_from_slice(&payload);
            frame.resize(padded(len as usize), 0);
            let crc = checksum(seed, len, &frame[8..]);
            frame[4..8].copy_from_slice(&crc.to_le_bytes());
            bytes.extend_from_slice(&frame);
        }
        (bytes, len)
    }

    proptest! {
        #[test]
        fn three_at_once_say_what_each_says_alone(
            length in 0usize..200,
            fill in any::<[u8; 3]>(),
            seed in any::<u32>(),
            flip in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let (mut bytes, len) = frames(fill.map(|byte| vec![byte; length]), seed);
            let fast = cfg!(target_arch = "x86_64");
            prop_assert!(alone(&bytes, len, seed));
            prop_assert_eq!(are_sound(&bytes, len, seed), fast);
            let at = flip.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(!are_sound(&bytes, len, seed), "a flipped bit at {}", at);
            prop_assert!(!are_sound(&bytes[..bytes.len() - 8], len, seed), "a frame is missing");
        }
    }
}
