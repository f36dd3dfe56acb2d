//! The pen of a live session: the one writer of its journal, which goes on in the reserve when the disk is full (P6).
//!
//! ```text
//! append, commit, sync ── the disk is full ──► the reserve becomes the next segment ── used up ──► an error: the daemon ends
//! ```
//!
//! - The batch that met the full disk is kept whole: nothing that the core has concluded is lost, and its seqs stay.
//! - On the reserve everything is still journaled before it counts. That no new risk is taken there is the flight's part.
//! - Must never: go back from the reserve. A new start makes a new one, or says that there is no room for it.

use crate::session::Appends;
use daybook_journal::{Draft, Durable, Head, JournalError, Seal, SealKey, Writer};

/// The writer of a live session.
pub(super) struct Pen(Writer);

type Result<T, E = JournalError> = std::result::Result<T, E>;

impl Appends for Pen {
    fn put(&mut self, draft: Draft, payload: &[u8]) -> Result<()> {
        if self.on_reserve() {
            return self.0.append_reserved(draft, payload).map(drop);
        }
        let seq = self.0.next_seq();
        match self.0.append(draft, payload) {
            Err(JournalError::DiskFull { .. }) => {
                self.go_over()?;
                // The frame over which the batch was closed is in it.
                if self.0.next_seq() > seq { Ok(()) } else { self.0.append_reserved(draft, payload).map(drop) }
            }
            other => other.map(drop),
        }
    }
}

impl Pen {
    /// Takes a writer up.
    pub(super) const fn new(writer: Writer) -> Self {
        Self(writer)
    }

    /// True once the disk was full: what is written lies in the reserve.
    pub(super) fn on_reserve(&self) -> bool {
        self.0.is_in_reserve()
    }

    /// Closes the batch.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.trying(Writer::commit)
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.trying(Writer::sync)
    }

    /// Makes everything durable, with the proof of it for each of `items` (P1).
    pub(super) fn commit_durable<T>(&mut self, items: Vec<T>) -> Result<Vec<Durable<T>>> {
        self.sync()?;
        self.0.commit_durable(items)
    }

    /// Signs everything so far.
    pub(super) fn seal(&mut self, key: &SealKey) -> Result<Seal> {
        self.sync()?;
        self.trying(|writer| writer.seal(key))
    }

    /// Leaves the journal to be taken up again.
    pub(super) fn close(mut self) -> Result<Head> {
        self.sync()?;
        self.0.close()
    }

    /// Closes the journal of a session that is over.
    pub(super) fn close_for_good(mut self) -> Result<Head> {
        self.sync()?;
        self.0.close_for_good()
    }

    /// What the closed batches hold.
    pub(super) fn head(&self) -> Head {
        self.0.head()
    }

    /// The seq that the next frame gets.
    pub(super) fn next_seq(&self) -> u64 {
        self.0.next_seq()
    }

    /// Does something with the writer, on the reserve where the disk is found full.
    fn trying<T>(&mut self, mut what: impl FnMut(&mut Writer) -> Result<T>) -> Result<T> {
        match what(&mut self.0) {
            Err(JournalError::DiskFull { .. }) => {
                self.go_over()?;
                what(&mut self.0)
            }
            other => other,
        }
    }

    fn go_over(&mut self) -> Result<()> {
        tracing::error!(
            journal = %self.0.dir().display(),
            "the disk is full: entries stop, stops and exits go on in the reserve; make room and start again"
        );
        self.0.use_reserve()
    }
}
