//! Labels: short words inside hot payloads, without an allocation.
//!
//! - At most 24 bytes of UTF-8, padded with zeros; longer text is cut at a character boundary.

use crate::sparse::{Sparse, Stored, Words};
use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;

/// A short word such as `cross-up`: at most [`Label::CAPACITY`] bytes, held in place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
pub struct Label {
    bytes: [u8; Self::CAPACITY],
}

impl Label {
    /// Bytes it can hold; three words keep payloads 8-aligned.
    pub const CAPACITY: usize = 24;

    /// No word.
    pub const NONE: Self = Self { bytes: [0; Self::CAPACITY] };

    /// The word, cut to what fits.
    pub const fn new(text: &str) -> Self {
        let source = text.as_bytes();
        let mut length = if source.len() > Self::CAPACITY { Self::CAPACITY } else { source.len() };
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; Self::CAPACITY];
        bytes.split_at_mut(length).0.copy_from_slice(source.split_at(length).0);
        Self { bytes }
    }

    /// The word; what is not UTF-8 (a damaged payload) reads as `?`.
    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(Self::CAPACITY);
        std::str::from_utf8(&self.bytes[..length]).unwrap_or("?")
    }

    /// True for no word.
    pub const fn is_empty(&self) -> bool {
        self.bytes[0] == 0
    }
}

impl Sparse for Label {
    const WORDS: usize = Self::CAPACITY / 8;
    #[inline(always)]
    fn put(&self, words: &mut Words<'_>) {
        self.bytes.as_chunks().0.iter().for_each(|word| u64::from_le_bytes(*word).put(words));
    }
    fn take(words: &mut Stored<'_>) -> Option<Self> {
        let mut label = Self::NONE;
        for word in label.bytes.as_chunks_mut().0 {
            *word = u64::take(words)?.to_le_bytes();
        }
        Some(label)
    }
}

impl std::ops::Deref for Label {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.as_str())
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl serde::Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Ok(Self::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_hold_short_words_and_cut_long_ones() {
        assert_eq!(Label::new("cross-up").as_str(), "cross-up");
        assert_eq!(Label::new("").as_str(), "");
        assert!(Label::NONE.is_empty());
        assert_eq!(Label::new("abcdefghijklmnopqrstuvwxyz").as_str(), "abcdefghijklmnopqrstuvwx");
        assert_eq!(Label::new("aaaaaaaaaaaaaaaaaaaaaaa₹").as_str(), "aaaaaaaaaaaaaaaaaaaaaaa", "cut at a boundary");
    }
}
