//! The account: cash, holdings, what is held back, and the identities that prove the books.
//!
//! - Totals are kept incrementally and recomputed from scratch at every digest and session close, in release builds:
//!   `equity = cash + Σ position × last` and `equity = start + realised + unrealised - fees`.
//! - Buying power is exact: cash, less what working orders hold back, less the collateral of shorts (a short locks
//!   what it received and as much again).

use crate::bars::Building;
use crate::exits::Held;
use crate::orders::Order;
use crate::position::{OpenTrade, Position};
use daybook_vocabulary::{Candle, Cause, Date, Money, Nanos, Price, Quantity, Ratio, Side};
use serde::{Deserialize, Serialize};

/// Everything about one instrument. What every candle touches comes first and lies together: with many instruments the
/// time goes into fetching books.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[repr(C)]
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
    /// The highest price since the position was entered.
    pub high: Price,
    /// The lowest price since then.
    pub low: Price,
    /// When in the candle that is being worked the position was entered.
    pub entered: Entered,
    /// Working orders, in order of acceptance.
    pub working: Vec<Order>,
    /// The round trip in progress.
    pub trade: Option<OpenTrade>,
    /// What its session has seen of it.
    pub day: Day,
    /// The side of the last position that a stop ended, and when.
    pub stopped_out: Option<(Side, Nanos)>,
    /// The bar being built, where a higher timeframe is configured.
    pub building: Building,
}

impl Book {
    /// The open trade as the rules of leaving see it, at the close of the last candle. What the book does not know
    /// (the bar's open, a regime, a signal) is filled in by whoever asks.
    pub fn held(&self, range: Option<Price>) -> Option<Held> {
        let trade = self.trade.as_ref()?;
        Some(Held {
            side: trade.side,
            entry: self.position.average_price(),
            stop: trade.stop,
            bars: self.learned - trade.learned_before,
            high: self.high,
            low: self.low,
            open: None,
            close: self.last,
            range,
            regime: None,
            signal: false,
            left: Ratio::ZERO,
        })
    }

    /// Follows the extremes of a candle in which the position was held to the end. Where it was entered inside the
    /// candle nobody knows what came first: what was against it counts, what was for it does not.
    #[inline]
    pub fn follow(&mut self, candle: &Candle) {
        let (mut high, mut low) = (candle.high(), candle.low());
        if self.entered != Entered::Before {
            let all = std::mem::take(&mut self.entered) == Entered::AtClose;
            let long = self.position.quantity.0 > 0;
            high = if long || all { candle.close() } else { high };
            low = if !long || all { candle.close() } else { low };
        }
        self.high = self.high.max(high);
        self.low = self.low.min(low);
    }
}

/// When in a candle a position was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Entered {
    /// At its open, or before it.
    #[default]
    Before,
    /// Somewhere inside.
    Inside,
    /// At its close.
    AtClose,
}

/// What the session of the last fill has seen of an instrument: what was bought and sold within it is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Day {
    /// The session.
    pub session: Option<Date>,
    /// Held long when it began.
    pub carried: Quantity,
    /// True once a sale has reached into what was carried: the depository charges once a day.
    pub delivered: bool,
}

impl Day {
    /// The day as a fill finds it: a new one begins with what is held.
    pub fn at(self, session: Date, held: Quantity) -> Self {
        if self.session == Some(session) {
            return self;
        }
        Self { session: Some(session), carried: held.max(Quantity::ZERO), delivered: false }
    }

    /// True for a sale that is the first to reach into what was carried into the day.
    pub fn delivers(&self, side: Side, held: Quantity, quantity: Quantity) -> bool {
        side == Side::Sell && !self.delivered && (held - quantity).max(Quantity::ZERO) < self.carried
    }
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

    /// Cash that an order for `quantity` at `price` wants for what it would open, and the cash that becomes free when
    /// it closes the position on the way. An order that only reduces wants nothing.
    pub fn need(position: &Position, side: Side, quantity: Quantity, price: Price) -> (Money, Money) {
        let closing = position.closing(side, quantity);
        if closing == quantity {
            return (Money::ZERO, Money::ZERO);
        }
        let opened = price.times(quantity - closing);
        if closing.is_zero() {
            return (opened, Money::ZERO);
        }
        // It goes through zero, so all that is held is closed first.
        let value = price.times(closing);
        (opened, if side == Side::Sell { value } else { collateral(position) - value })
    }

    /// Recomputes every total from the books and compares; hands back what it counted. A difference is a fault of this
    /// program, never of its input, so it stops everything.
    pub fn prove(&self, books: &[Book]) -> Holdings {
        let mut holdings = Holdings::default();
        let mut basis = Money::ZERO;
        let mut locked = Money::ZERO;
        let mut reserved = Money::ZERO;
        for book in books {
            // Most books hold nothing back and are not short.
            if !book.working.is_empty() {
                reserved += book.working.iter().map(|order| order.reserved).sum();
            }
            let held = !book.position.quantity.is_zero();
            assert_eq!(book.trade.is_some(), held, "a position is a round trip in progress");
            if held {
                holdings.add(book.position.value(book.last));
                basis += book.position.basis;
                if book.position.quantity.0 < 0 {
                    locked += collateral(&book.position);
                }
            } else {
                assert!(book.position.basis.is_zero() && book.marked.is_zero(), "what is not held has no value");
            }
        }
        let marked = holdings.long_value - holdings.short_value;
        assert_eq!(self.marked, marked, "holdings kept incrementally differ from holdings counted");
        assert_eq!(self.locked, locked, "collateral kept incrementally differs from collateral counted");
        assert_eq!(self.reserved, reserved, "reserves kept incrementally differ from reserves counted");
        let unrealised = marked - basis;
        assert_eq!(
            self.cash + marked,
            self.start + self.realised + unrealised - self.fees,
            "equity from cash differs from equity from trades"
        );
        holdings
    }
}

/// The positions counted and valued at their last prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Value of the long ones.
    pub long_value: Money,
    /// Value of the short ones, positive.
    pub short_value: Money,
    /// How many there are.
    pub positions: u32,
}

impl Holdings {
    fn add(&mut self, value: Money) {
        self.positions += 1;
        if value > Money::ZERO {
            self.long_value += value;
        } else {
            self.short_value -= value;
        }
    }
}

/// What a position locks: for a short, what it received and as much again.
pub fn collateral(position: &Position) -> Money {
    if position.quantity.0 < 0 { Money(2 * position.basis.0.abs()) } else { Money::ZERO }
}
