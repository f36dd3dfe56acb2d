//! What a market says between candles: quotes, trades, and the five best prices of each side. Fixed layouts, read in place.
//!
//! - 8-aligned, little-endian; the instrument is the frame's stream, the frame's time is when it was learned.
//! - A side that nobody quotes has price and quantity zero. A book whose bid is not below its ask is crossed: before the
//!   opening match exchanges send such books, and nothing trades against them.
//! - Numbers are outside data: [`Depth::is_sound`] and its likes say whether they are of a market, and no reader panics.

use crate::order::Side;
use crate::time::Nanos;
use crate::units::{Price, Quantity};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Price levels a [`Depth`] holds of each side.
pub const LEVELS: usize = 5;

/// The best bid and ask, with what is offered there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Quote {
    exchange_time: i64,
    bid: i64,
    bid_quantity: i64,
    ask: i64,
    ask_quantity: i64,
}

/// A trade at the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TradePrint {
    exchange_time: i64,
    price: i64,
    quantity: i64,
}

/// One price level of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BookLevel {
    price: i64,
    quantity: i64,
    orders: i64,
}

/// The five best levels of each side, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Depth {
    exchange_time: i64,
    bids: [BookLevel; LEVELS],
    asks: [BookLevel; LEVELS],
}

const _: () = assert!(
    size_of::<Quote>() == 40 && size_of::<TradePrint>() == 24 && size_of::<Depth>() == 248,
    "the layouts of market data are a file format"
);

impl Quote {
    /// A quote of (price, quantity) for each side; zeros where nobody quotes.
    pub const fn new(exchange_time: Nanos, bid: (Price, Quantity), ask: (Price, Quantity)) -> Self {
        Self {
            exchange_time: exchange_time.0,
            bid: bid.0.0,
            bid_quantity: bid.1.0,
            ask: ask.0.0,
            ask_quantity: ask.1.0,
        }
    }

    /// When the exchange sent it.
    pub const fn exchange_time(&self) -> Nanos {
        Nanos(self.exchange_time)
    }

    /// Best bid and what is wanted there.
    pub const fn bid(&self) -> (Price, Quantity) {
        (Price(self.bid), Quantity(self.bid_quantity))
    }

    /// Best ask and what is offered there.
    pub const fn ask(&self) -> (Price, Quantity) {
        (Price(self.ask), Quantity(self.ask_quantity))
    }

    /// The quote as a book of one level.
    pub fn as_depth(&self) -> Depth {
        let level = |(price, quantity): (Price, Quantity)| BookLevel::new(price, quantity, 0);
        let mut depth = Depth { exchange_time: self.exchange_time, ..Depth::default() };
        (depth.bids[0], depth.asks[0]) = (level(self.bid()), level(self.ask()));
        depth
    }
}

impl TradePrint {
    /// A trade.
    pub const fn new(exchange_time: Nanos, price: Price, quantity: Quantity) -> Self {
        Self { exchange_time: exchange_time.0, price: price.0, quantity: quantity.0 }
    }

    /// When it happened.
    pub const fn exchange_time(&self) -> Nanos {
        Nanos(self.exchange_time)
    }

    /// At what price.
    pub const fn price(&self) -> Price {
        Price(self.price)
    }

    /// How much.
    pub const fn quantity(&self) -> Quantity {
        Quantity(self.quantity)
    }

    /// A price above zero and a quantity that is not negative.
    pub const fn is_sound(&self) -> bool {
        self.price > 0 && self.quantity >= 0
    }
}

impl BookLevel {
    /// A level; the number of orders is zero where nobody says.
    pub const fn new(price: Price, quantity: Quantity, orders: i64) -> Self {
        Self { price: price.0, quantity: quantity.0, orders }
    }

    /// Its price.
    pub const fn price(&self) -> Price {
        Price(self.price)
    }

    /// What stands there.
    pub const fn quantity(&self) -> Quantity {
        Quantity(self.quantity)
    }

    /// Orders it is made of.
    pub const fn orders(&self) -> i64 {
        self.orders
    }

    /// True where nobody quotes.
    pub const fn is_empty(&self) -> bool {
        self.price == 0 || self.quantity == 0
    }
}

impl Depth {
    /// A book; empty levels come last.
    pub const fn new(exchange_time: Nanos, bids: [BookLevel; LEVELS], asks: [BookLevel; LEVELS]) -> Self {
        Self { exchange_time: exchange_time.0, bids, asks }
    }

    /// When the exchange sent it.
    pub const fn exchange_time(&self) -> Nanos {
        Nanos(self.exchange_time)
    }

    /// What wants to buy, highest first.
    pub const fn bids(&self) -> &[BookLevel; LEVELS] {
        &self.bids
    }

    /// What wants to sell, lowest first.
    pub const fn asks(&self) -> &[BookLevel; LEVELS] {
        &self.asks
    }

    /// The levels an order of that side trades against.
    pub const fn against(&self, side: Side) -> &[BookLevel; LEVELS] {
        match side {
            Side::Buy => &self.asks,
            Side::Sell => &self.bids,
        }
    }

    /// No negative number, every side from its best price outwards, empty levels last.
    pub fn is_sound(&self) -> bool {
        let side = |levels: &[BookLevel; LEVELS], outwards: fn(i64, i64) -> bool| {
            levels.iter().all(|level| level.price >= 0 && level.quantity >= 0 && level.orders >= 0)
                && levels
                    .windows(2)
                    .all(|pair| pair[1].is_empty() || !pair[0].is_empty() && outwards(pair[0].price, pair[1].price))
        };
        side(&self.bids, |near, far| near > far) && side(&self.asks, |near, far| near < far)
    }

    /// True when both sides are quoted and the bid is not below the ask.
    pub const fn is_crossed(&self) -> bool {
        !self.bids[0].is_empty() && !self.asks[0].is_empty() && self.bids[0].price >= self.asks[0].price
    }

    /// Halfway between bid and ask, half a unit of 1e-8 rounded up; nothing unless both sides are quoted.
    pub const fn mid(&self) -> Option<Price> {
        if self.bids[0].is_empty() || self.asks[0].is_empty() {
            return None;
        }
        let (bid, ask) = (self.bids[0].price, self.asks[0].price);
        Some(Price(((bid as i128 + ask as i128 + 1) / 2) as i64))
    }
}

macro_rules! serialize_fields {
    ($($name:ident { $($field:ident = $value:expr),* $(,)? })*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                const FIELDS: usize = [$(stringify!($field)),*].len();
                let mut out = serializer.serialize_struct(stringify!($name), FIELDS)?;
                let of: &Self = self;
                $(out.serialize_field(stringify!($field), &($value)(of))?;)*
                out.end()
            }
        }
    )*};
}
serialize_fields! {
    Quote {
        exchange_time = |of: &Self| of.exchange_time(),
        bid = |of: &Self| of.bid().0,
        bid_quantity = |of: &Self| of.bid().1,
        ask = |of: &Self| of.ask().0,
        ask_quantity = |of: &Self| of.ask().1,
    }
    TradePrint {
        exchange_time = |of: &Self| of.exchange_time(),
        price = |of: &Self| of.price(),
        quantity = |of: &Self| of.quantity(),
    }
    BookLevel {
        price = |of: &Self| of.price(),
        quantity = |of: &Self| of.quantity(),
        orders = |of: &Self| of.orders(),
    }
    Depth {
        exchange_time = |of: &Self| of.exchange_time(),
        bids = |of: &Self| *of.bids(),
        asks = |of: &Self| *of.asks(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Depth {
        let side = |levels: &[(i64, i64)]| {
            let mut out = [BookLevel::default(); LEVELS];
            for (place, &(price, quantity)) in out.iter_mut().zip(levels) {
                *place = BookLevel::new(Price(price), Quantity(quantity), 1);
            }
            out
        };
        Depth::new(Nanos(0), side(bids), side(asks))
    }

    #[test]
    fn a_book_is_sound_from_the_best_price_outwards() {
        let good = book(&[(99, 5), (98, 7)], &[(101, 1), (104, 2), (105, 2)]);
        assert!(good.is_sound() && !good.is_crossed());
        assert_eq!(good.mid(), Some(Price(100)));
        assert!(book(&[], &[]).is_sound() && book(&[], &[(5, 5)]).mid().is_none());
        for bad in [
            book(&[(98, 5), (99, 7)], &[(101, 1)]),
            book(&[(99, 5)], &[(101, 1), (101, 2)]),
            book(&[(99, -5)], &[(101, 1)]),
            book(&[(0, 0), (99, 5)], &[(101, 1)]),
            book(&[(-1, 5)], &[(101, 1)]),
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
        assert!(book(&[(101, 5)], &[(101, 1)]).is_crossed());
    }
}
