//! Round trips: followed fill by fill, measured, and what they made in R since the session began.
//!
//! - A fill through zero ends one and begins the next; what it cost is shared between them by quantity.
//! - The first protective stop of a trade is its risk for good: stops that are moved later change no R.
//! - A trade without a stop has no R and takes no part in a limit counted in R.

use super::desk::Trade;
use super::{Core, State};
use crate::ledger::{Book, Entered};
use crate::orders::Order;
use crate::outbox::{Conclusion, Outbox};
use crate::position::{Applied, Closing, OpenTrade};
use crate::risk::RiskState;
use daybook_vocabulary::{InstrumentId, Money, OrderType, Quantity, Ratio, Side};

/// A fill that was booked, and what it did.
pub(super) struct Leg<'a> {
    pub(super) trade: Trade,
    pub(super) order: &'a Order,
    pub(super) applied: Applied,
    /// Charges of the fill.
    pub(super) fees: Money,
    /// The instrument's lot.
    pub(super) lot: Quantity,
    /// It traded at its candle's close.
    pub(super) at_close: bool,
}

impl Core {
    /// Remembers the first stop that protects what is held.
    pub(super) fn note_stop(&mut self, id: InstrumentId, order: &Order) {
        if let Some(stop) = order.stop.filter(|_| order.reduces)
            && let Some(trade) = &mut self.state.books[id.index()].trade
        {
            trade.stop.get_or_insert(stop);
        }
    }

    /// A strategy's stop that lies beyond the trade's first one loosens. Stops of a bracket are not asked: every fill
    /// has one of its own, measured from its own price.
    pub(super) fn note_loosened(&mut self, id: InstrumentId, order: &Order) {
        if let Some(stop) = order.stop.filter(|_| order.reduces)
            && let Some(trade) = &mut self.state.books[id.index()].trade
            && let Some(first) = trade.stop
        {
            trade.loosened |= if trade.side == Side::Buy { stop < first } else { stop > first };
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

/// Follows the round trip a fill belongs to; a fill through zero ends one and begins the next.
pub(super) fn round_trip(state: &mut State, leg: &Leg<'_>, out: &mut Outbox) {
    let Leg { trade, applied, fees, .. } = leg;
    let book = &mut state.books[trade.id.index()];
    (book.high, book.low) = (book.high.max(trade.price), book.low.min(trade.price));
    let closing_fees = fees.share(applied.closed, trade.quantity);
    if !applied.closed.is_zero() {
        let round = book.trade.as_mut().expect("a position that closes is a round trip in progress");
        round.exit_value += applied.closed_value;
        round.gross += applied.realised;
        round.fees += closing_fees;
        round.exit_fees += closing_fees;
        round.planned += leg.planned(applied.closed);
        round.exit_slippage += leg.slippage(applied.closed);
        if book.position.quantity.is_zero() || !applied.opened.is_zero() {
            state.counts.trades += 1;
            close(book, &mut state.risk, leg, state.counts.trades, out);
        }
    }
    if !applied.opened.is_zero() {
        let book = &mut state.books[trade.id.index()];
        if book.trade.is_none() {
            (book.high, book.low) = (trade.price, trade.price);
            book.entered = match (trade.time == state.now, leg.order.order_type) {
                (false, _) => Entered::Before,
                (true, OrderType::MarketOnClose) => Entered::AtClose,
                (true, _) if leg.at_close => Entered::AtClose,
                (true, _) => Entered::Inside,
            };
            book.trade = Some(leg.begin(book));
        }
        let round = book.trade.as_mut().expect("it is there now");
        round.entered += applied.opened;
        round.entry_value += applied.opened_value;
        round.fees += *fees - closing_fees;
        round.planned += leg.planned(applied.opened);
        round.entry_slippage += leg.slippage(applied.opened);
    }
}

fn close(book: &mut Book, risk: &mut RiskState, leg: &Leg<'_>, number: u64, out: &mut Outbox) {
    let Leg { trade, order, lot, .. } = leg;
    let Some(round) = book.trade.take() else { return };
    let closing = Closing {
        cause: trade.cause,
        trade: number,
        order: order.id,
        time: trade.time,
        reason: order.reason,
        bars: book.bars,
        extremes: (book.high, book.low),
        lot: *lot,
    };
    risk.record.add(round.gross - round.fees);
    out.push(trade.id, Conclusion::Trade(round.close(closing)));
    book.entered = Entered::Before;
    if order.stop.is_some() {
        book.stopped_out = Some((round.side, trade.time));
    }
    if let Some(base) = risk.r_before.get_mut(trade.id.index())
        && let (Some(r), Some(day)) = (round.r(Money::ZERO), &mut risk.day)
    {
        day.closed_r += r - std::mem::take(base);
    }
}

impl Leg<'_> {
    /// A round trip that begins with this fill.
    fn begin(&self, book: &Book) -> OpenTrade {
        let (trade, order) = (&self.trade, self.order);
        let before = |(side, time)| side == order.side && order.decided < time;
        OpenTrade {
            side: order.side,
            entered: Quantity::ZERO,
            entry_value: Money::ZERO,
            exit_value: Money::ZERO,
            fees: Money::ZERO,
            gross: Money::ZERO,
            entry_time: trade.time,
            entry_order: order.id,
            entry_reason: order.reason,
            bars_before: book.bars,
            learned_before: book.learned,
            stop: None,
            planned: Money::ZERO,
            exit_fees: Money::ZERO,
            entry_slippage: Money::ZERO,
            exit_slippage: Money::ZERO,
            decision: order.decision,
            loosened: false,
            in_revenge: book.stopped_out.is_some_and(before),
            overridden: false,
        }
    }

    /// What a part of the fill was planned to bring in, or to cost.
    fn planned(&self, part: Quantity) -> Money {
        let value = self.order.planned.times(part);
        if self.order.side == Side::Buy { -value } else { value }
    }

    /// What slippage cost a part of the fill.
    fn slippage(&self, part: Quantity) -> Money {
        let (price, reference) = (self.trade.price.times(part), self.trade.reference.times(part));
        if self.order.side == Side::Buy { price - reference } else { reference - price }
    }
}
