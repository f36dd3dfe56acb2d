//! The account: cash, holdings, what is held back, and the identities that prove the books.
//!
//! - Totals are kept incrementally and recomputed from scratch at every digest and session close, in release builds:
//!   `equity = cash + Σ position × last` and `equity = start + realised + unrealised - fees`.
//! - Buying power is exact: cash, less what working orders hold back, less the collateral of shorts (a short locks
//!   what it received and as much again).

use crate::orders::Order;
use crate::position::{OpenTrade, Position};
use daybook_vocabulary::{Candle, Cause, Date, Money, Price, Quantity, Side};
use serde::{Deserialize, Serialize};

/// Everything about one instrument.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Book {
    /// Last price; zero before the first candle.
    pub last: Price,
    /// The last candle.
    pub cause: Cause,
    /// Candles seen.
    pub bars: u64,
    /// Bars the strategy has learned: the candles, or what was built from them.
    pub learned: u64,
    /// What is held.
    pub position: Position,
    /// Value of the position at `last`, as it stands in the ledger's total.
    pub marked: Money,
    /// The round trip in progress.
    pub trade: Option<OpenTrade>,
    /// Working orders, in order of acceptance.
    pub working: Vec<Order>,
    /// Session of the last sale out of the account: the depository charges once a day.
    pub last_sale: Option<Date>,
    /// The bar being built, where a higher timeframe is configured.
    pub partial: Option<Candle>,
}

/// The account's totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Cash at the start.
    pub start: Money,
    /// Cash now, charges paid.
    pub cash: Money,
    /// Charges paid.
    pub fees: Money,
    /// Profit taken, before charges.
    pub realised: Money,
    /// Value of all positions at their last prices.
    pub marked: Money,
    /// Collateral of short positions.
    pub locked: Money,
    /// Cash held back for working orders.
    pub reserved: Money,
}

impl Ledger {
    /// An account with nothing but cash.
    pub const fn new(cash: Money) -> Self {
        Self {
            start: cash,
            cash,
            fees: Money::ZERO,
            realised: Money::ZERO,
            marked: Money::ZERO,
            locked: Money::ZERO,
            reserved: Money::ZERO,
        }
    }

    /// Cash plus holdings at their last prices.
    pub fn equity(&self) -> Money {
        self.cash + self.marked
    }

    /// Cash that a new order may use.
    pub fn free(&self) -> Money {
        self.cash - self.locked - self.reserved
    }

    /// What an order for `quantity` at `price` would open rather than close, and the cash that the closing part frees.
    pub fn need(position: &Position, side: Side, quantity: Quantity, price: Price) -> (Money, Money) {
        let held = position.quantity;
        let against = !held.is_zero() && (held.0 > 0) != (side == Side::Buy);
        let closing = if against { Quantity(quantity.0.min(held.0.abs())) } else { Quantity::ZERO };
        let opened = price.times(quantity - closing);
        if closing.is_zero() {
            return (opened, Money::ZERO);
        }
        let value = price.times(closing);
        if held.0 > 0 {
            return (opened, value);
        }
        let unlocked =
            collateral(position).times_ratio(closing.0.into(), held.0.unsigned_abs().into()).unwrap_or(Money::ZERO);
        (opened, unlocked - value)
    }

    /// Recomputes every total from the books and compares. A difference is a fault of this program, never of its
    /// input, so it stops everything.
    pub fn prove(&self, books: &[Book]) {
        let mut marked = Money::ZERO;
        let mut basis = Money::ZERO;
        let mut locked = Money::ZERO;
        let mut reserved = Money::ZERO;
        for book in books {
            marked += book.position.value(book.last);
            basis += book.position.basis;
            locked += collateral(&book.position);
            reserved += book.working.iter().map(|order| order.reserved).sum();
            assert_eq!(
                book.trade.is_some(),
                !book.position.quantity.is_zero(),
                "a position is a round trip in progress"
            );
        }
        assert_eq!(self.marked, marked, "holdings kept incrementally differ from holdings counted");
        assert_eq!(self.locked, locked, "collateral kept incrementally differs from collateral counted");
        assert_eq!(self.reserved, reserved, "reserves kept incrementally differ from reserves counted");
        let unrealised = marked - basis;
        assert_eq!(
            self.cash + marked,
            self.start + self.realised + unrealised - self.fees,
            "equity from cash differs from equity from trades"
        );
    }
}

/// What a position locks: for a short, what it received and as much again.
pub fn collateral(position: &Position) -> Money {
    if position.quantity.0 < 0 { Money(2 * position.basis.0.abs()) } else { Money::ZERO }
}
