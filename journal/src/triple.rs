//! The checksums of three frames at once.
//!
//! The processor's `crc32` instruction takes three cycles to answer and can begin anew in each: one frame's checksum
//! is a chain that waits two cycles of three. Frames of one length that lie behind one another are three such chains,
//! so they cost little more together than one alone.
//! - Only a way to ask faster: where it says "not sound", or cannot say, the frame is looked at alone.
//! - Must never: say "sound" of a frame of which a byte was not hashed.

use crate::format::{FRAME_HEADER_BYTES, padded, start, u32_at};

/// Bytes that the processor fetches together.
const LINE_BYTES: usize = 64;
/// How far ahead of the checks bytes are asked for: what is checked while memory answers.
const AHEAD_BYTES: usize = 1_024;

/// A frame of the most frequent length by far: a header and a payload of seven words.
type CommonFrame = [u8; 88];

/// Are the three frames at the start of `bytes`, of `len` bytes each, sound by checksum and padding?
///
/// Every intermediate result stays in a register: stored word by word and loaded in pairs, as arrays are, it would cost
/// more than the checksums.
#[inline(always)]
pub(crate) fn are_sound(bytes: &[u8], len: u32, seed: u32) -> bool {
    let size = padded(len as usize);
    let Some(frames) = bytes.get(..3 * size) else { return false };
    if size == size_of::<CommonFrame>() {
        fetch_ahead(bytes, size_of::<CommonFrame>());
    } else {
        fetch_ahead(bytes, size);
    }
    if size < FRAME_HEADER_BYTES {
        return false;
    }
    let (first, rest) = frames.split_at(size);
    let (second, third) = rest.split_at(size);
    if u32_at(first, 0) != len || u32_at(second, 0) != len || u32_at(third, 0) != len {
        return false;
    }
    if size != len as usize && [first, second, third].iter().any(|frame| !is_zero(&frame[len as usize..])) {
        return false;
    }
    have_their_checksums(!start(seed, len), first, second, third)
}

/// Asks for the bytes that will be checked soon. A reader goes straight ahead, but the processor stops guessing at the
/// end of each page. Inlined, so that for a length known when it is compiled there is nothing to count.
#[inline(always)]
fn fetch_ahead(bytes: &[u8], size: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..(3 * size).div_ceil(LINE_BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint reads nothing and faults nowhere, so the address may lie beyond the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(AHEAD_BYTES + line * LINE_BYTES).cast()) };
    }
}

fn is_zero(padding: &[u8]) -> bool {
    padding.iter().all(|byte| *byte == 0)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn have_their_checksums(state: u32, first: &[u8], second: &[u8], third: &[u8]) -> bool {
    if !std::arch::is_x86_feature_detected!("sse4.2") {
        return false;
    }
    // SAFETY: the processor has the instruction, as was just asked; the function is safe otherwise.
    unsafe {
        // Of a length known when it is compiled the words are taken one after the other, not counted.
        match (first.as_chunks(), second.as_chunks(), third.as_chunks()) {
            (([a], []), ([b], []), ([c], [])) => interleaved_common(state, a, b, c),
            _ => interleaved(state, first, second, third),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn have_their_checksums(_: u32, _: &[u8], _: &[u8], _: &[u8]) -> bool {
    false
}

/// Three chains from one state, each over a frame but its length and checksum, each compared with the checksum there.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn interleaved(state: u32, first: &[u8], second: &[u8], third: &[u8]) -> bool {
    use std::arch::x86_64::_mm_crc32_u64;
    assert!(first.len() == second.len() && second.len() == third.len(), "frames of one length");
    let mut one = u64::from(state);
    let (mut two, mut three) = (one, one);
    for ((a, b), c) in words(first).iter().zip(words(second)).zip(words(third)) {
        one = _mm_crc32_u64(one, u64::from_le_bytes(*a));
        two = _mm_crc32_u64(two, u64::from_le_bytes(*b));
        three = _mm_crc32_u64(three, u64::from_le_bytes(*c));
    }
    let differs = |chain: u64, frame: &[u8]| !(chain as u32) ^ u32_at(frame, 4);
    differs(one, first) | differs(two, second) | differs(three, third) == 0
}

/// [`interleaved`] for frames of a length known when it is compiled.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn interleaved_common(state: u32, first: &CommonFrame, second: &CommonFrame, third: &CommonFrame) -> bool {
    interleaved(state, first, second, third)
}

/// What a frame's checksum covers: all but the word that holds its length and the checksum itself.
#[cfg(target_arch = "x86_64")]
#[inline]
fn words(frame: &[u8]) -> &[[u8; 8]] {
    frame[8..].as_chunks::<8>().0
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
