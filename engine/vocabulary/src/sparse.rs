//! The layout of what comes with every fill: fields as 64-bit words in a fixed order, those that are zero left out.
//!
//! ```text
//! mask    u64, bit n set: word n follows
//! words   u64 each, those whose bit is set, in order; little-endian
//! ```
//!
//! - Most of an order is nothing: a market order has no limit, no stop, no trail, no expiry. Intents, updates, fills and
//!   round trips are four of five frames of a session, and what is hashed, checked and written for them halves.
//! - A value has one encoding: a word that is there is not zero, nothing follows the last one, an absent option has no
//!   value. Anything else is refused.
//! - At most 64 words a payload: counted when it is compiled.
//! - Must never: be changed for a schema that was written. Fields are added under a new schema number.

use crate::event::PayloadBuffer;
use crate::order::OrderId;
use crate::time::Nanos;
use crate::units::{BasisPoints, Cause, Money, Price, Quantity, Ratio};
use zerocopy::IntoBytes;

/// Takes the words of one payload. They go to a place of the caller's, so that what is counted here stays in registers.
pub(crate) struct Words<'a> {
    place: &'a mut [u64; MOST_WORDS],
    mask: u64,
    /// Words told so far.
    told: u32,
    /// Words kept so far.
    kept: usize,
}

/// A mask has so many bits.
pub(crate) const MOST_WORDS: usize = 64;

impl<'a> Words<'a> {
    pub(crate) const fn new(place: &'a mut [u64; MOST_WORDS]) -> Self {
        Self { place, mask: 0, told: 0, kept: 0 }
    }

    /// The next word, without a branch on what it is.
    #[inline(always)]
    fn put(&mut self, word: u64) {
        let is_there = u64::from(word != 0);
        self.place[self.kept] = word;
        self.kept += is_there as usize;
        self.mask |= is_there << self.told;
        self.told += 1;
    }

    /// Appends mask and words.
    #[inline]
    pub(crate) fn write(self, out: &mut PayloadBuffer) {
        out.extend_from_slice(&self.mask.to_le_bytes());
        out.extend_from_slice(self.place[..self.kept].as_bytes());
    }
}

/// Hands out the words of one payload.
pub(crate) struct Stored<'a> {
    mask: u64,
    words: std::slice::Iter<'a, [u8; 8]>,
}

impl<'a> Stored<'a> {
    /// Nothing for bytes that are no mask with its words.
    pub(crate) fn new(payload: &'a [u8]) -> Option<Self> {
        let (words, []) = payload.as_chunks::<8>() else { return None };
        let (mask, words) = words.split_first()?;
        let mask = u64::from_le_bytes(*mask);
        (words.len() == mask.count_ones() as usize).then_some(Self { mask, words: words.iter() })
    }

    #[inline]
    fn take(&mut self) -> Option<u64> {
        let is_there = self.mask & 1 == 1;
        self.mask >>= 1;
        if !is_there {
            return Some(0);
        }
        self.words.next().map(|word| u64::from_le_bytes(*word)).filter(|word| *word != 0)
    }

    /// True when every word was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.mask == 0
    }
}

/// A value of one or several words.
pub(crate) trait Sparse: Sized {
    /// How many words.
    const WORDS: usize;
    fn put(&self, words: &mut Words<'_>);
    /// Nothing where the words are no such value.
    fn take(words: &mut Stored<'_>) -> Option<Self>;
}

/// A value of one byte: several share a word.
pub(crate) trait Small: Copy {
    fn byte(self) -> u8;
    fn of_byte(byte: u8) -> Option<Self>;
}

impl Sparse for u64 {
    const WORDS: usize = 1;
    #[inline(always)]
    fn put(&self, words: &mut Words<'_>) {
        words.put(*self);
    }
    #[inline]
    fn take(words: &mut Stored<'_>) -> Option<Self> {
        words.take()
    }
}

macro_rules! one_word {
    ($($name:ident($raw:ty)),*) => {$(
        impl Sparse for $name {
            const WORDS: usize = 1;
            #[inline(always)]
            fn put(&self, words: &mut Words<'_>) {
                words.put(self.0 as u64);
            }
            #[inline]
            fn take(words: &mut Stored<'_>) -> Option<Self> {
                words.take().map(|word| Self(word as $raw))
            }
        }
    )*};
}
one_word!(Price(i64), Quantity(i64), BasisPoints(i64), Ratio(i64), Nanos(i64), OrderId(u64));

/// The sign goes to the lowest bit, so that a small loss is as short as a small gain.
impl Sparse for Money {
    const WORDS: usize = 2;
    #[inline(always)]
    fn put(&self, words: &mut Words<'_>) {
        let folded = (self.0 << 1 ^ self.0 >> 127) as u128;
        words.put(folded as u64);
        words.put((folded >> 64) as u64);
    }
    #[inline]
    fn take(words: &mut Stored<'_>) -> Option<Self> {
        let folded = u128::from(words.take()?) | u128::from(words.take()?) << 64;
        Some(Self((folded >> 1) as i128 ^ -((folded & 1) as i128)))
    }
}

impl Sparse for Cause {
    const WORDS: usize = 2;
    #[inline(always)]
    fn put(&self, words: &mut Words<'_>) {
        words.put(self.rank.into());
        words.put(self.seq);
    }
    #[inline]
    fn take(words: &mut Stored<'_>) -> Option<Self> {
        Some(Self { rank: words.take()?.try_into().ok()?, seq: words.take()? })
    }
}

/// Whether it is there, then its words or as many zeros.
impl<T: Sparse> Sparse for Option<T> {
    const WORDS: usize = 1 + T::WORDS;
    #[inline(always)]
    fn put(&self, words: &mut Words<'_>) {
        words.put(self.is_some().into());
        match self {
            Some(value) => value.put(words),
            None => words.told += T::WORDS as u32,
        }
    }
    #[inline]
    fn take(words: &mut Stored<'_>) -> Option<Self> {
        match words.take()? {
            0 => (0..T::WORDS).all(|_| words.take() == Some(0)).then_some(None),
            1 => T::take(words).map(Some),
            _ => None,
        }
    }
}

impl Small for bool {
    #[inline(always)]
    fn byte(self) -> u8 {
        self.into()
    }
    fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// Small values in one word, the first in the lowest byte.
#[inline(always)]
pub(crate) fn pack(bytes: &[u8]) -> u64 {
    assert!(bytes.len() <= 8, "a word has eight bytes");
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The next byte of a packed word.
#[inline]
pub(crate) fn unpack<T: Small>(word: &mut u64) -> Option<T> {
    let byte = *word as u8;
    *word >>= 8;
    T::of_byte(byte)
}

/// Gives a struct its words: fields in the order they are named, those in brackets packed into one word.
macro_rules! sparse {
    (@words $field:ident: $type:ty) => { <$type as $crate::sparse::Sparse>::WORDS };
    ($name:ident { $([$($small:ident),*])? $($field:ident: $type:ty),* $(,)? }) => {
        impl $crate::sparse::Sparse for $name {
            const WORDS: usize = {
                #[allow(unused_mut, reason = "only structs with small fields add the word they share")]
                let mut words = 0 $(+ <$type as $crate::sparse::Sparse>::WORDS)*;
                $(let _ = stringify!($($small)*); words += 1;)?
                words
            };
            #[inline(always)]
            fn put(&self, words: &mut $crate::sparse::Words<'_>) {
                use $crate::sparse::Sparse;
                $({
                    use $crate::sparse::Small;
                    $crate::sparse::pack(&[$(self.$small.byte()),*]).put(words);
                })?
                $(<$type as Sparse>::put(&self.$field, words);)*
            }
            fn take(words: &mut $crate::sparse::Stored<'_>) -> Option<Self> {
                use $crate::sparse::Sparse;
                $(
                    let mut packed = u64::take(words)?;
                    $(let $small = $crate::sparse::unpack(&mut packed)?;)*
                    if packed != 0 {
                        return None;
                    }
                )?
                $(let $field = <$type as Sparse>::take(words)?;)*
                Some(Self { $($($small,)*)? $($field),* })
            }
        }
    };
}
pub(crate) use sparse;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Sample {
        yes: bool,
        no: bool,
        cause: Cause,
        limit: Option<Price>,
        amount: Money,
        last: u64,
    }
    sparse!(Sample { [yes, no] cause: Cause, limit: Option<Price>, amount: Money, last: u64 });

    fn encode(sample: &Sample) -> Vec<u8> {
        let mut place = [0; MOST_WORDS];
        let mut words = Words::new(&mut place);
        sample.put(&mut words);
        let mut out = PayloadBuffer::new();
        words.write(&mut out);
        out.to_vec()
    }

    fn decode(payload: &[u8]) -> Option<Sample> {
        let mut words = Stored::new(payload)?;
        Sample::take(&mut words).filter(|_| words.is_over())
    }

    fn samples() -> impl Strategy<Value = Sample> {
        let number = || prop_oneof![Just(0i64), -3i64..3, any::<i64>()];
        let amount = prop_oneof![Just(0i128), -5i128..5, any::<i128>()];
        let flags = (any::<bool>(), any::<bool>());
        let cause = (0u32..3, 0u64..3).prop_map(|(rank, seq)| Cause { rank, seq });
        (flags, cause, proptest::option::of(number()), amount, 0u64..2).prop_map(
            |((yes, no), cause, limit, amount, last)| Sample {
                yes,
                no,
                cause,
                limit: limit.map(Price),
                amount: Money(amount),
                last,
            },
        )
    }

    proptest! {
        #[test]
        fn every_value_comes_back_and_keeps_no_zero(sample in samples()) {
            let bytes = encode(&sample);
            prop_assert!(bytes[8..].chunks(8).all(|word| word != [0; 8]));
            prop_assert_eq!(decode(&bytes), Some(sample));
        }

        #[test]
        fn whatever_decodes_is_the_encoding_of_what_it_decodes_to(
            mask in 0u64..1 << 9, words in proptest::collection::vec(0u64..4, 0..9),
        ) {
            let bytes: Vec<u8> = std::iter::once(mask).chain(words).flat_map(u64::to_le_bytes).collect();
            if let Some(sample) = decode(&bytes) {
                prop_assert_eq!(encode(&sample), bytes);
            }
        }
    }

    #[test]
    fn what_is_nothing_takes_eight_bytes_and_the_ends_fit() {
        let nothing = Sample { yes: false, no: false, cause: Cause::default(), limit: None, amount: Money(0), last: 0 };
        assert_eq!(encode(&nothing), [0; 8]);
        for amount in [i128::MIN, i128::MAX, -1, 1] {
            let sample = Sample { amount: Money(amount), ..nothing.clone() };
            assert_eq!(decode(&encode(&sample)), Some(sample));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let whole = encode(&Sample {
            yes: true,
            no: true,
            cause: Cause { rank: 1, seq: 2 },
            limit: Some(Price(0)),
            amount: Money(4),
            last: 0,
        });
        assert!(decode(&whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(decode(&whole[..cut]), None, "cut at {cut}");
        }
        let change = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            decode(&bytes)
        };
        assert_eq!(change(8, 2), None, "a flag that is neither");
        assert_eq!(change(10, 1), None, "a third flag");
        assert_eq!(change(16, 0), None, "a zero that should have been left out");
        assert_eq!(change(1, 1 << 1), None, "words beyond the last");
        assert_eq!(decode(&[whole, vec![0; 8]].concat()), None, "more than the mask says");
    }
}
