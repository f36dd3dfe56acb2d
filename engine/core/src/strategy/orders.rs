//! `orders`: places the orders of a list, each at its time. For comparing engines order by order, for replaying what
//! another system decided, and for asking what a handful of orders would have done.
//!
//! - It decides nothing: a row is played at the first slice at or after its time at which its symbol's bar has closed.
//! - Rows of a symbol are played in the order of their times, rows of one time in the order of the list.
//! - A row whose time lies before the symbol's first candle ends the run: it was decided on what nobody could see (BT-46).
//! - A row that asks for a flat symbol is passed over, not put off, where something is held or works.
//! - A list is plain data; where it comes from, and that it is the one a header names, is the caller's business.

use super::{Fault, SliceView, Strategy, View};
use crate::orders::{OrderChange, OrderRequest, Requests};
use daybook_vocabulary::{Candle, Decision, InstrumentId, Nanos};

/// Name on the command line.
pub const NAME: &str = "orders";
/// One line for `--strategy help`.
pub const ABOUT: &str = "place the orders of a CSV file, each at its time";

/// What a row asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// An order.
    Place(OrderRequest),
    /// An order, where the symbol is flat and nothing works in it.
    PlaceIfFlat(OrderRequest),
    /// New terms for the working order with the client's number.
    Modify(u64, OrderChange),
    /// The end of the working order with the client's number.
    Cancel(u64),
    /// The end of every working order of the symbol.
    CancelAll,
}

/// A list of orders for several symbols.
pub struct Listed {
    /// By instrument, in order of time.
    lines: Vec<Vec<(Nanos, Line)>>,
    /// The next line of each instrument.
    next: Vec<u32>,
    fault: Option<Fault>,
}

impl Listed {
    /// Lines by instrument; those of one time keep their order.
    pub fn new(mut lines: Vec<Vec<(Nanos, Line)>>) -> Self {
        for lines in &mut lines {
            lines.sort_by_key(|(time, _)| *time);
        }
        Self { next: vec![0; lines.len()], lines, fault: None }
    }
}

impl Strategy for Listed {
    fn warmup(&self) -> u32 {
        0
    }

    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}

    fn sees_slices(&self) -> bool {
        true
    }

    fn on_slice(&mut self, slice: &SliceView<'_>, _: &mut Vec<(InstrumentId, Decision)>) {
        for &id in slice.fresh.iter().filter(|id| slice.learned(**id) == 1) {
            let begins = slice.now + -slice.interval.nanos();
            if let Some((decided, _)) = self.lines[id.index()].first().filter(|(time, _)| *time < begins) {
                let symbol = slice.instruments[id.index()].symbol.clone();
                self.fault = Some(Fault::Early { symbol, decided: *decided, begins });
            }
        }
    }

    fn fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        let index = view.instrument.index();
        let lines = &self.lines[index][self.next[index] as usize..];
        let due = lines.partition_point(|(time, _)| *time <= view.now);
        let mut flat = view.is_flat() && !view.is_pending();
        for (_, line) in &lines[..due] {
            match *line {
                Line::Place(order) => requests.place(order),
                Line::PlaceIfFlat(order) if flat => requests.place(order),
                Line::PlaceIfFlat(_) => continue,
                Line::CancelAll => requests.cancel_all("listed"),
                Line::Cancel(client) | Line::Modify(client, _) => {
                    // An order that has ended is not asked for: the list cannot know.
                    let Some(order) = view.working().iter().find(|order| order.client == client) else { continue };
                    match *line {
                        Line::Modify(_, change) => requests.modify(order.id, change, "listed"),
                        _ => requests.cancel(order.id, "listed"),
                    }
                }
            }
            flat = false;
        }
        self.next[index] += due as u32;
    }

    fn save(&self, out: &mut Vec<u8>) {
        *out = postcard::to_extend(&self.next, std::mem::take(out)).expect("places are plain data");
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        match postcard::take_from_bytes::<Vec<u32>>(saved) {
            Ok((next, [])) if next.len() == self.lines.len() => {
                let fits = next.iter().zip(&self.lines).all(|(next, lines)| *next as usize <= lines.len());
                self.next = next;
                fits
            }
            _ => false,
        }
    }
}
