//! States of a live session on the way, so that a restart replays minutes and not the day.
//!
//! - A state is taken between two steps, on the core's thread, into memory; another thread writes it. Where that one is
//!   still busy, or the disk refuses, a state is left out: it is a cache.
//! - It is filed under the header and the seq, and holds the content hash of the journal up to there: a state of frames
//!   that a crash took away, and that something else was written in place of, is not believed.
//! - Must never: be taken while a step is half told, or keep an order waiting: only batches without a decision take one.

use crate::driver::Position;
use crate::recorded::Recorded;
use crate::session::Saved;
use crossbeam::channel::{Sender, bounded};
use daybook_core::Core;
use daybook_journal::{Head, Snapshots};
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{Hash, Nanos, SessionHeader};
use std::path::Path;
use std::thread::JoinHandle;

/// Inputs between two states at least.
const EVERY_INPUTS: u64 = 65_536;
/// And so much of the session's time.
const EVERY_NANOS: i64 = MINUTE;

/// Takes states, and has them written.
pub struct Saver {
    queue: Option<Sender<(u64, Saved)>>,
    writes: Option<JoinHandle<()>>,
    /// Inputs and time of the last one.
    last: (u64, Nanos),
    every: (u64, i64),
}

impl Saver {
    /// For the session with this header, whose run is at `run`; the newest `keep` states stay.
    pub fn new(run: &Path, header: &SessionHeader, keep: usize) -> Self {
        let (queue, states) = bounded::<(u64, Saved)>(1);
        let (store, key) = (store_of(run, keep), Saved::key(header));
        let writes = std::thread::spawn(move || {
            for (seq, saved) in states {
                let bytes = postcard::to_stdvec(&saved).expect("a state is plain data");
                if let Err(error) = store.save(key, seq, &bytes) {
                    tracing::warn!("no snapshot was saved: {error}");
                }
            }
        });
        let every = (EVERY_INPUTS, EVERY_NANOS);
        Self { queue: Some(queue), writes: Some(writes), last: (0, Nanos::MIN), every }
    }

    /// The same with another rhythm: inputs, and nanoseconds of the session's time.
    pub fn every(mut self, inputs: u64, nanos: i64) -> Self {
        self.every = (inputs, nanos);
        self
    }

    fn close(&mut self) {
        drop(self.queue.take());
        if let Some(writes) = self.writes.take() {
            let _ = writes.join();
        }
    }

    /// Takes a state where one is due. `head` is the journal's, with everything of the last step in it.
    pub fn offer(&mut self, core: &Core, now: Nanos, head: impl FnOnce() -> Head) {
        let inputs = core.counts().inputs;
        let (last_inputs, last_time) = self.last;
        let is_due =
            inputs.saturating_sub(last_inputs) >= self.every.0 && now.0.saturating_sub(last_time.0) >= self.every.1;
        let Some(queue) = self.queue.as_ref().filter(|queue| is_due && !queue.is_full()) else { return };
        let head = head();
        let mut state = Vec::new();
        core.save(&mut state);
        let content = Some(Hash(head.content.0));
        let saved = Saved { core: state, source: Position::Recorded(head.frames), content };
        // It was not full, and nobody else fills it.
        let _ = queue.try_send((head.frames, saved));
        self.last = (inputs, now);
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where a run's states are.
pub(crate) fn store_of(run: &Path, keep: usize) -> Snapshots {
    Snapshots::new(&run.join("cache"), keep)
}

/// The newest state that is of this session's own frames, and where the journal goes on behind it.
pub(crate) fn newest(recorded: &Recorded, store: &Snapshots) -> Option<(u64, Saved)> {
    let key = Saved::key(&recorded.header);
    let seqs = store.all(key).ok()?;
    seqs.into_iter().rev().find_map(|seq| believed(recorded, store, seq).map(|saved| (seq, saved)))
}

/// A state at a seq, if it is of this session's own frames.
pub(crate) fn believed(recorded: &Recorded, store: &Snapshots, seq: u64) -> Option<Saved> {
    if seq > recorded.until {
        return None;
    }
    let bytes = store.load(Saved::key(&recorded.header), seq)?;
    let saved = postcard::from_bytes::<Saved>(&bytes).ok()?;
    let content = recorded.journal.content_at(seq).ok()?;
    (saved.content == Some(Hash(content.0))).then_some(saved)
}
