//! Takings: how much of a candle the account's own orders have taken, where prices depend on it.
//!
//! - A candle is known by the input that brought it: what was taken of another one counts for nothing.
//! - Buys and sales are counted apart: an order pays for what stood before it in its own direction.
//! - It is state only where a candle is traded over more than one input; elsewhere the state has the bytes it always had.
//! - Must never: count what a book, a print or a broker has priced already.

use daybook_vocabulary::{Cause, InstrumentId, Quantity, Side};
use serde::{Deserialize, Serialize};

/// What was taken of the last candle, by instrument; empty where no price depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Takings {
    list: Vec<Taken>,
    saved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    cause: Cause,
    bought: Quantity,
    sold: Quantity,
}

impl Takings {
    /// Tells for how many instruments to count, and whether inputs come between the fills of a candle.
    pub(super) fn tell(&mut self, count: usize, saved: bool) {
        self.list.resize(count, Taken::of(Cause { rank: 0, seq: 0 }));
        self.saved = saved && count > 0;
    }

    /// What earlier orders have taken of a candle in this direction.
    pub(super) fn before(&self, id: InstrumentId, cause: Cause, side: Side) -> Quantity {
        match self.list.get(id.index()).filter(|taken| taken.cause == cause) {
            None => Quantity::ZERO,
            Some(taken) if side == Side::Buy => taken.bought,
            Some(taken) => taken.sold,
        }
    }

    /// Counts a fill.
    pub(super) fn note(&mut self, id: InstrumentId, cause: Cause, side: Side, quantity: Quantity) {
        let Some(taken) = self.list.get_mut(id.index()) else { return };
        if taken.cause != cause {
            *taken = Taken::of(cause);
        }
        let sum = if side == Side::Buy { &mut taken.bought } else { &mut taken.sold };
        *sum = Quantity(sum.0.saturating_add(quantity.0));
    }

    /// Appends its bytes, where it is state.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        if self.saved {
            *out = postcard::to_extend(&self.list, std::mem::take(out)).expect("sums are plain data");
        }
    }

    /// Takes what [`Takings::save`] wrote, and hands back the rest.
    pub(super) fn load<'a>(&mut self, saved: &'a [u8]) -> Option<&'a [u8]> {
        if !self.saved {
            return Some(saved);
        }
        let (list, rest): (Vec<Taken>, _) = postcard::take_from_bytes(saved).ok()?;
        let fits = list.len() == self.list.len() && list.iter().all(|taken| taken.bought.0 >= 0 && taken.sold.0 >= 0);
        fits.then(|| {
            self.list = list;
            rest
        })
    }
}

impl Taken {
    const fn of(cause: Cause) -> Self {
        Self { cause, bought: Quantity::ZERO, sold: Quantity::ZERO }
    }
}
