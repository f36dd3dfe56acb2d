//! How other engines fill: what the profiles `backtrader` and `vectorbt` are made of.
//!
//! - A queue: orders meet a candle one after the other, in the order of acceptance, each with the whole of it. Of a stop
//!   and a target the one accepted first is looked at first, also where the other was at the open already.
//! - The close: a market order trades at the close of the candle it was decided on. That price was seen before the
//!   decision, which no exchange offers: a report says so.
//! - All cash: nothing is held back for working orders and what shorts bring in may be spent. backtrader asks at
//!   submission, order by order as if each filled at its own price, and again at the fill; vectorbt asks at the fill and
//!   cuts a purchase down to what is there.
//! - Nothing here is reached by a session whose settings do not ask for it.

use super::desk::{Trade, Walk, end_order};
use super::exits::is_beyond_limit;
use super::{Core, CoreError};
use crate::exchange::Phase;
use crate::ledger::Entered;
use crate::orders::{Order, OrderRequest, Trigger};
use crate::outbox::Outbox;
use crate::risk::gate::Refusal;
use daybook_config::fees::FeeInput;
use daybook_config::{BuyingPower, FillBar};
use daybook_vocabulary::{
    Candle, InstrumentId, Label, Money, Nanos, OrderEvent, OrderType, Price, Quantity, Side, Verdict,
};
use serde::{Deserialize, Serialize};

/// What trading at a candle's close needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct LastCandle {
    pub(super) volume: Quantity,
    /// An order of the instrument has filled in it.
    pub(super) traded: bool,
}

/// Cash that the orders submitted at an instant have left, as if each had filled at its own price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Submitted(Option<(Nanos, Money)>);

impl Core {
    /// Walks a candle order by order.
    pub(super) fn walk_queue(
        &mut self,
        path: &[Phase],
        walk: &mut Walk<'_>,
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let mut place = 0;
        // Exits of what fills here join the end of the list; they have their turn where they may work already.
        while place < working.len() {
            for &phase in path {
                let order = &mut working[place];
                if phase == Phase::Stops && triggers_in_vain(order, walk.candle) {
                    order.trigger = Trigger::Touched;
                    continue;
                }
                self.work_order(place, phase, walk, working, out)?;
            }
            if self.chooses || working[place].order_type == OrderType::MarketOnClose {
                self.work_order(place, Phase::Close, walk, working, out)?;
            }
            place += 1;
        }
        Ok(())
    }

    /// Trades the order that has just been accepted at the close of the candle it was decided on. What the candle does
    /// not hold works on at the next open.
    pub(super) fn fill_at_close(&mut self, id: InstrumentId, out: &mut Outbox) {
        let mut working = std::mem::take(&mut self.state.books[id.index()].working);
        if let Some(place) = working.len().checked_sub(1).filter(|last| working[*last].order_type == OrderType::Market)
        {
            self.trade_at_close(id, place, &mut working, out);
            working.retain(Order::is_working);
        }
        self.state.books[id.index()].working = working;
    }

    fn trade_at_close(&mut self, id: InstrumentId, place: usize, working: &mut Vec<Order>, out: &mut Outbox) {
        let last = self.state.venue.candles[id.index()];
        let book = &self.state.books[id.index()];
        let (cause, last_price) = (book.cause, book.last);
        let order = &mut working[place];
        let reference = self.price_at_close(id, order.side).unwrap_or(last_price);
        if last.traded && self.rules.fill_bar == FillBar::CloseOnce {
            let reason = Label::new("traded-in-this-candle");
            end_order(id, cause, order, OrderEvent::Cancelled, reason, &mut self.state.ledger, out);
            return;
        }
        let most = self
            .setup
            .participation_bps
            .map_or(order.remaining(), |bps| self.tradable(id, last.volume, self.cap(id, last.volume, bps)));
        let quantity = order.remaining().min(most);
        if quantity.is_zero() {
            return;
        }
        let closing = book.position.closing(order.side, quantity);
        let trade = Trade {
            cause,
            id,
            reference,
            price: reference,
            quantity,
            volume: last.volume,
            time: self.state.now,
            settled: None,
        };
        let Some(trade) = self.fill(trade, order, out) else {
            self.fault = self.missing_input(cause).err();
            return;
        };
        // The candle is over: the next one is held whole.
        self.state.books[id.index()].entered = Entered::Before;
        if !trade.quantity.is_zero() && order.has_relatives() {
            let filled = *order;
            self.after_fill(&filled, trade, closing, (Phase::Open, self.state.now), working, out);
        }
    }

    /// What a fill that closes so much wants and what there is of it, where all cash does not pay for it; what only closes is
    /// paid at once where cash is asked for entries alone.
    pub(super) fn uncovered(
        &self,
        trade: &Trade,
        side: Side,
        closing: Quantity,
        fees: Money,
    ) -> Option<(Money, Money)> {
        let value = trade.price.times(trade.quantity);
        let (wanted, there) = match (self.rules.buying_power, side) {
            (BuyingPower::Held, _) | (BuyingPower::Shrink, Side::Sell) => return None,
            (BuyingPower::Free, _) if closing == trade.quantity => return None,
            (_, Side::Buy) => (value + fees, self.all_cash()),
            (_, Side::Sell) => (fees, self.state.ledger.cash + value),
        };
        (wanted > there).then_some((wanted, there))
    }

    /// How much of a fill that cash does not cover is done all the same: what it closes, or what there is cash for.
    pub(super) fn payable(&self, trade: &Trade, order: &Order) -> Quantity {
        if self.rules.buying_power != BuyingPower::Shrink {
            return self.state.books[trade.id.index()].position.closing(order.side, trade.quantity);
        }
        let lot = self.setup.instruments[trade.id.index()].lot.0.max(1);
        let cash = self.all_cash();
        let affordable = |lots: i64| {
            let part = Trade { quantity: Quantity(lots * lot), ..*trade };
            part.price.times(part.quantity) + self.charges(&part, order).total() <= cash
        };
        let (mut paid, mut unpaid) = (0, trade.quantity.0 / lot + 1);
        while paid + 1 < unpaid {
            let middle = paid + (unpaid - paid) / 2;
            if affordable(middle) {
                paid = middle;
            } else {
                unpaid = middle;
            }
        }
        Quantity(paid * lot)
    }

    /// Why the venue does not take an order, or its cash does not at submission.
    pub(super) fn screened_anew(&mut self, id: InstrumentId, request: &OrderRequest) -> Option<Refusal> {
        if let Some(refusal) = self.screened(id, request) {
            return Some(refusal);
        }
        if self.rules.buying_power != BuyingPower::Free {
            return None;
        }
        let now = self.state.now;
        let mut cash = match self.state.venue.submitted {
            Submitted(Some((at, cash))) if at == now => cash,
            _ => self.all_cash(),
        };
        let entry = request.stop.or(request.limit).unwrap_or(self.state.books[id.index()].last);
        let long = request.side == Side::Buy;
        let exits = request.bracket.map(|bracket| {
            let stop = bracket.stop.map(|level| level.price(entry, !long));
            [stop, bracket.target.map(|level| level.price(entry, long))]
        });
        let exits = exits.into_iter().flatten().flatten().map(|price| (request.side.opposite(), price));
        let mut refusal = None;
        for (side, price) in [(request.side, entry)].into_iter().chain(exits) {
            let value = price.times(request.quantity);
            let fees = self.fees_of(side, price, request.quantity);
            let (before, needed) = (cash, fees + if side == Side::Buy { value } else { -value });
            cash -= needed;
            if cash < Money::ZERO {
                let verdict = Verdict::InsufficientCash;
                refusal = Some(Refusal { verdict, limit: before.into(), observed: needed.into() });
                break;
            }
        }
        // What a refused order would have cost stays spent for those submitted after it: so it is there.
        self.state.venue.submitted = Submitted(Some((now, cash)));
        refusal
    }

    fn fees_of(&self, side: Side, price: Price, quantity: Quantity) -> Money {
        let fill = FeeInput {
            side,
            price,
            quantity,
            order_value_before: Money::ZERO,
            order_quantity_before: Quantity::ZERO,
            order_brokerage_before: Money::ZERO,
            maker: false,
            month: self.state.session.map(|session| self.state.venue.month.of(session.date)).unwrap_or_default(),
            first_delivery_sale_of_day: false,
        };
        self.rates.map_or(Money::ZERO, |rates| rates.charge(fill).total())
    }
}

/// A stop-limit order that is touched inside a candle and whose limit does not allow the stop fills in that candle only
/// where the candle, by its open and close, turned back towards the limit.
fn triggers_in_vain(order: &Order, candle: &Candle) -> bool {
    let (Some(stop), Some(limit), Trigger::Armed) = (order.stop, order.limit, order.trigger) else { return false };
    let touched = match order.side {
        Side::Buy => candle.high() >= stop,
        Side::Sell => candle.low() <= stop,
    };
    let turned_back = match order.side {
        Side::Buy => candle.open() > candle.close(),
        Side::Sell => candle.open() <= candle.close(),
    };
    touched && !turned_back && is_beyond_limit(order.side, stop, limit) && candle.open_time() >= order.decided
}
