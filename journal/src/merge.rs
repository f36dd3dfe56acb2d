//! Several cursors as one, in the order of a key.
//!
//! - The key is the caller's: the journal knows nothing of what it orders. Equal keys come in the
//!   order of the sources.
//! - One source costs nothing more than its cursor; k sources cost one comparison path of log k.
//! - Frames stay where they are: one is lent at a time, none is copied.
//! - Must never: reorder the frames of one source.

use crate::cursor::Cursor;
use crate::error::Result;
use crate::format::Frame;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A merge over `sources`; `key` is called once a frame.
pub struct Merge<K, F> {
    sources: Vec<Cursor>,
    key: F,
    heap: BinaryHeap<Waiting<K>>,
    /// The source whose frame was lent last: it moves on first.
    lent: Option<usize>,
    /// Sources whose first frame has been looked at.
    queued: usize,
}

/// A source whose present frame waits for its turn.
struct Waiting<K> {
    key: K,
    source: usize,
}

impl<K: Ord, F: FnMut(usize, &Frame<'_>) -> K> Merge<K, F> {
    /// Merges `sources`, each from its present place to its own end, by `key(source, frame)`.
    pub fn new(sources: Vec<Cursor>, key: F) -> Merge<K, F> {
        Merge { heap: BinaryHeap::with_capacity(sources.len()), sources, key, lent: None, queued: 0 }
    }

    /// The next frame and the number of its source, or `None` where all sources have ended.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Result<Option<(usize, Frame<'_>)>> {
        if self.sources.len() == 1 {
            return Ok(self.sources[0].next()?.map(|frame| (0, frame)));
        }
        match self.advance()? {
            Some(source) => Ok(Some((source, self.sources[source].frame()))),
            None => Ok(None),
        }
    }

    /// After an error the same source is asked again: none is left out.
    fn advance(&mut self) -> Result<Option<usize>> {
        while self.queued < self.sources.len() {
            self.queue(self.queued)?;
            self.queued += 1;
        }
        if let Some(source) = self.lent {
            let more = self.sources[source].advance()?;
            self.lent = None;
            if more {
                let key = (self.key)(source, &self.sources[source].frame());
                // While one source stays in front, the heap is only looked at.
                let waiting = Waiting { key, source };
                if self.heap.peek().is_none_or(|first| waiting > *first) {
                    self.lent = Some(source);
                    return Ok(self.lent);
                }
                self.heap.push(waiting);
            }
        }
        self.lent = self.heap.pop().map(|first| first.source);
        Ok(self.lent)
    }

    fn queue(&mut self, source: usize) -> Result<()> {
        if self.sources[source].advance()? {
            let key = (self.key)(source, &self.sources[source].frame());
            self.heap.push(Waiting { key, source });
        }
        Ok(())
    }
}

// The heap keeps its greatest on top, so the smaller key is the greater here.
impl<K: Ord> Ord for Waiting<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key).then_with(|| other.source.cmp(&self.source))
    }
}
impl<K: Ord> PartialOrd for Waiting<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K: Ord> PartialEq for Waiting<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<K: Ord> Eq for Waiting<K> {}
