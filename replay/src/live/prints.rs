//! Snapshots to trades: what a feed shows of an instrument, and what must have been traded in between.
//!
//! - A feed sends snapshots, not trades: the volume of the day grew by what was traded since the last one, at the last
//!   price as far as anyone can tell. Highs and lows between two snapshots are not seen.
//! - The first snapshot of an instrument that has traded is a beginning: what was traded before it is not known to have
//!   been traded now. Neither is it when the volume falls, as it does when a new day begins.
//! - Where neither volume nor price moved there was no trade.
//! - Must never: invent volume.

use daybook_adapters::kite::ticks::{Packet, Tick, Token};
use daybook_vocabulary::{InstrumentId, Nanos, Price, Quantity, TradePrint};
use std::collections::BTreeMap;

/// What an instrument showed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    volume: Quantity,
    price: Price,
    at: Nanos,
}

/// Follows the snapshots of a session's instruments.
#[derive(Debug, Clone)]
pub struct Prints {
    instruments: BTreeMap<Token, (InstrumentId, Option<Shown>)>,
}

impl Prints {
    /// For instruments by id.
    pub fn new(tokens: &[Token]) -> Self {
        let instruments = (0..).zip(tokens).map(|(id, token)| (*token, (InstrumentId(id), None))).collect();
        Self { instruments }
    }

    /// The trade that a snapshot shows, if it shows one. Only full snapshots say when the last trade was.
    pub fn of(&mut self, tick: &Tick) -> Option<(InstrumentId, TradePrint)> {
        let Packet::Full(quote, trading, _) = &tick.packet else { return None };
        let (id, shown) = self.instruments.get_mut(&tick.token)?;
        let Some(at) = trading.last_trade else {
            // Not traded today: what comes next is the day's first trade, whole.
            *shown = Some(Shown { volume: quote.volume, price: tick.last, at: Nanos::MIN });
            return None;
        };
        if tick.last <= Price::ZERO || shown.is_some_and(|shown| at < shown.at) {
            return None;
        }
        let quantity = match *shown {
            Some(shown) if quote.volume == shown.volume && tick.last == shown.price => return None,
            Some(shown) if quote.volume >= shown.volume => Quantity(quote.volume.0 - shown.volume.0),
            _ => Quantity::ZERO,
        };
        *shown = Some(Shown { volume: quote.volume, price: tick.last, at });
        Some((*id, TradePrint::new(at, tick.last, quantity)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_adapters::kite::ticks::{Depth, Quote, Trading};

    fn snapshot(token: u32, units: i64, volume: i64, second: i64) -> Tick {
        let quote = Quote { volume: Quantity::from_units(volume), ..Quote::default() };
        let last_trade = (second > 0).then_some(Nanos(second));
        let trading = Trading { last_trade, ..Trading::default() };
        Tick {
            token: Token(token),
            last: Price::from_units(units),
            packet: Packet::Full(quote, trading, Depth::default()),
        }
    }

    #[test]
    fn what_was_traded_is_what_the_volume_grew_by() {
        let mut prints = Prints::new(&[Token(7), Token(9)]);
        let mut of = |tick: Tick| {
            prints.of(&tick).map(|(id, print)| (id.0, print.price(), print.quantity(), print.exchange_time().0))
        };
        let print =
            |id, units, quantity, second| Some((id, Price::from_units(units), Quantity::from_units(quantity), second));
        assert_eq!(of(snapshot(9, 100, 5_000, 1)), print(1, 100, 0, 1), "a beginning");
        assert_eq!(of(snapshot(9, 101, 5_030, 2)), print(1, 101, 30, 2));
        assert_eq!(of(snapshot(9, 101, 5_030, 3)), None, "only the book moved");
        assert_eq!(of(snapshot(9, 101, 5_040, 3)), print(1, 101, 10, 3), "a trade at the same price");
        assert_eq!(of(snapshot(9, 102, 5_050, 2)), None, "older than what was shown");
        assert_eq!(of(snapshot(9, 90, 10, 9)), print(1, 90, 0, 9), "a new day");
        assert_eq!(of(snapshot(7, 50, 0, 0)), None, "not traded today");
        assert_eq!(of(snapshot(7, 0, 1, 5)), None, "no price");
        assert_eq!(of(snapshot(7, 51, 40, 6)), print(0, 51, 40, 6), "the day's first trade is known whole");
        assert_eq!(of(snapshot(8, 50, 1, 5)), None, "nobody asked for it");
        let bare = Tick { token: Token(7), last: Price::from_units(1), packet: Packet::Ltp };
        assert_eq!(of(bare), None);
    }
}
