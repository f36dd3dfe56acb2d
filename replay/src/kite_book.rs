//! The simulated broker's book, kept in a journal.
//!
//! - An entry is committed when `append` returns: it survives the end of the process, however it ends.
//! - A journal that holds anything else is refused: it is somebody's history, not a book.

use crate::catalog::decode;
use daybook_adapters::kite_server::BookStore;
use daybook_journal::{Draft, Journal, Options, Writer};
use daybook_vocabulary::{Event, Kind, Nanos, Payload, PayloadBuffer, VenueEntry};
use std::path::Path;

const VENUE: &str = "kite";

/// A book in a journal.
pub struct JournalBook {
    entries: Vec<(Nanos, String)>,
    writer: Writer,
    buffer: PayloadBuffer,
}

impl JournalBook {
    /// Opens the book of a directory; makes it when it is not there. What is no book is not touched.
    pub fn open(dir: &Path) -> Result<Self, String> {
        if dir.exists() {
            entries_of(dir)?;
        }
        let writer = Writer::open_or_create(dir, Options::session()).map_err(|error| error.to_string())?;
        // Only now is what a crash left behind repaired.
        Ok(Self { entries: entries_of(dir)?, writer, buffer: PayloadBuffer::new() })
    }
}

fn entries_of(dir: &Path) -> Result<Vec<(Nanos, String)>, String> {
    let journal = Journal::open(dir).map_err(|error| error.to_string())?;
    let mut cursor = journal.cursor(0);
    let mut entries = Vec::new();
    while let Some(frame) = cursor.next().map_err(|error| error.to_string())? {
        match decode(dir, frame).map_err(|error| error.to_string())? {
            Event::VenueEntry(entry) if entry.venue == VENUE => entries.push((Nanos(frame.time), entry.text)),
            other => {
                let (dir, kind, seq) = (dir.display(), other.kind(), frame.seq);
                return Err(format!(
                    "{dir} is no book of the simulated broker: it holds a {kind} at seq {seq}; \
                     give --book a directory of its own"
                ));
            }
        }
    }
    Ok(entries)
}

impl BookStore for JournalBook {
    fn entries(&mut self) -> Result<Vec<(Nanos, String)>, String> {
        Ok(std::mem::take(&mut self.entries))
    }

    fn append(&mut self, time: Nanos, entry: &str) -> Result<(), String> {
        self.buffer.clear();
        VenueEntry { venue: VENUE.to_owned(), text: entry.to_owned() }.encode(&mut self.buffer);
        let draft =
            Draft { time: time.0, kind: Kind::VenueEntry.number(), schema: VenueEntry::SCHEMA, ..Draft::default() };
        self.writer.append(draft, &self.buffer).map_err(|error| error.to_string())?;
        self.writer.commit().map_err(|error| error.to_string())
    }

    fn sync(&mut self) -> Result<(), String> {
        self.writer.sync().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_there_again() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("book");
        let mut book = JournalBook::open(&dir).unwrap();
        assert_eq!(book.entries().unwrap(), []);
        book.append(Nanos(5), "one").unwrap();
        book.append(Nanos(5), "two").unwrap();
        // Killed: nothing is closed.
        drop(book);
        let mut book = JournalBook::open(&dir).unwrap();
        assert_eq!(book.entries().unwrap(), [(Nanos(5), "one".to_owned()), (Nanos(5), "two".to_owned())]);
        book.append(Nanos(6), "three").unwrap();
        book.sync().unwrap();
        drop(book);
        assert_eq!(JournalBook::open(&dir).unwrap().entries().unwrap().len(), 3);
    }
}
