//! What open trades are measured by: their first stop, and what they made in R since the session began.
//!
//! - The first protective stop of a trade is its risk for good: stops that are moved later change no R.
//! - A trade without a stop has no R and takes no part in a limit counted in R.

use super::Core;
use crate::ledger::Book;
use crate::orders::Order;
use daybook_vocabulary::{InstrumentId, Ratio};

impl Core {
    /// Remembers the first stop that protects what is held.
    pub(super) fn note_stop(&mut self, id: InstrumentId, order: &Order) {
        if let Some(stop) = order.stop.filter(|_| order.reduces)
            && let Some(trade) = &mut self.state.books[id.index()].trade
        {
            trade.stop.get_or_insert(stop);
        }
    }

    /// What open trades had made when the session began is none of its own.
    pub(super) fn open_r(&mut self) {
        for (book, before) in self.state.books.iter().zip(&mut self.state.risk.r_before) {
            *before = r_of(book);
        }
    }

    /// What the trades of the account have made in the session, in R.
    pub(super) fn session_r(&self) -> Ratio {
        let closed = self.state.risk.day.map_or(Ratio::ZERO, |day| day.closed_r);
        let open = self.state.books.iter().zip(&self.state.risk.r_before);
        open.filter(|(book, _)| book.trade.is_some()).map(|(book, before)| r_of(book) - *before).sum::<Ratio>() + closed
    }
}

fn r_of(book: &Book) -> Ratio {
    let open = book.position.value(book.last) - book.position.basis;
    book.trade.and_then(|trade| trade.r(open)).unwrap_or_default()
}
