//! Money in a drill: what the session says it bought, sold, made and holds, beside what the broker says.
//!
//! - Both sides are counted from their own rows: the broker's trades and positions, the session's fills and its state.
//! - Averages are compared twice: the broker's, which is over all of the day's trades of a side, and the session's own,
//!   which is of what is held.
//! - Must never: take a number of one side to make the other's.

use daybook_adapters::kite::orders::{PositionRow, TradeRow};
use daybook_adapters::kite::values::Transaction;
use daybook_core::{Position, average};
use daybook_replay::Recorded;
use daybook_replay::status::Status;
use daybook_vocabulary::{Event, Kind, Money, Price, Quantity, Side};
use std::error::Error;

/// What rounding may make of a price or of a sum: half a paisa. The broker gives prices of fills in several parts as one.
const ROUNDING: i128 = 500_000;

/// One side's trades in a symbol.
#[derive(Default)]
struct Count {
    bought: (Quantity, Money),
    sold: (Quantity, Money),
    position: Position,
    realised: Money,
}

impl Count {
    fn add(&mut self, side: Side, quantity: Quantity, price: Price) {
        if quantity.0 <= 0 {
            return;
        }
        let value = price.times(quantity);
        let sum = if side == Side::Buy { &mut self.bought } else { &mut self.sold };
        *sum = (sum.0 + quantity, sum.1 + value);
        self.realised += self.position.apply(side, quantity, price, value).realised;
    }

    /// The average as the broker tells it: of everything of the side that is held.
    fn day_average(&self) -> Price {
        let (quantity, value) = if self.position.quantity.0 > 0 { self.bought } else { self.sold };
        if self.position.quantity.is_zero() { Price::ZERO } else { average(value, quantity) }
    }
}

/// The first difference in money between the broker's rows and the session; nothing where they agree.
pub fn compare(
    symbols: &[&str],
    (trades, positions): (&[TradeRow], &[PositionRow]),
    recorded: &Recorded,
    ours: &Status,
) -> Result<Option<String>, Box<dyn Error>> {
    let mut made = Money::ZERO;
    for symbol in symbols {
        let mut theirs = Count::default();
        for trade in trades.iter().filter(|trade| trade.tradingsymbol == *symbol) {
            let side = if trade.transaction_type == Transaction::Buy { Side::Buy } else { Side::Sell };
            theirs.add(side, trade.quantity(), trade.price());
        }
        let own = counted(recorded, symbol)?;
        made += theirs.realised;
        for (what, theirs, own) in [("bought", theirs.bought, own.bought), ("sold", theirs.sold, own.sold)] {
            if theirs.0 != own.0 || is_apart(theirs.1.0, own.1.0) {
                let (quantity, value) = theirs;
                return Ok(Some(format!(
                    "of {symbol} the broker {what} {quantity} for {value}, the session {} for {}",
                    own.0, own.1
                )));
            }
        }
        let told = positions.iter().find(|row| row.tradingsymbol == *symbol && row.quantity().0 != 0);
        let told = told.map_or(Price::ZERO, PositionRow::average);
        if is_apart(told.0.into(), own.day_average().0.into()) {
            let own = own.day_average();
            return Ok(Some(format!("the broker's average of {symbol} is {told}, by the session's fills {own}")));
        }
        let held = ours.positions.iter().find(|held| held.symbol == *symbol).map_or(Price::ZERO, |held| held.average);
        let fits = theirs.position.average_price();
        if is_apart(held.0.into(), fits.0.into()) {
            return Ok(Some(format!("the session's average of {symbol} is {held}, by the broker's trades {fits}")));
        }
    }
    let realised = ours.account.realised;
    Ok(is_apart(made.0, realised.0)
        .then(|| format!("by the broker's trades {made} was made, the session says {realised}")))
}

fn is_apart(one: i128, other: i128) -> bool {
    (one - other).abs() > ROUNDING
}

/// The session's fills of a symbol.
fn counted(recorded: &Recorded, symbol: &str) -> Result<Count, Box<dyn Error>> {
    let (mut count, mut cursor) = (Count::default(), recorded.journal.cursor(recorded.outputs));
    while let Some(frame) = cursor.next()? {
        let known = recorded.instruments.get(frame.stream as usize);
        if frame.kind == Kind::Fill.number()
            && known.is_some_and(|known| known.symbol == symbol)
            && let Event::Fill(fill) = Event::decode(frame.kind, frame.schema, frame.payload)?
        {
            count.add(fill.side, fill.quantity, fill.price);
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The broker's average is over the whole day's buys, the session's over what is held: both are counted.
    #[test]
    fn trades_are_counted_as_both_sides_do() {
        let (mut count, of) = (Count::default(), |units: i64| Quantity(Quantity::from_units(1).0 * units));
        for (side, quantity, price) in [(Side::Buy, 3, 500), (Side::Sell, 3, 510), (Side::Buy, 3, 520)] {
            count.add(side, of(quantity), Price::from_units(price));
        }
        assert_eq!(count.realised, Money::from_units(30));
        assert_eq!(count.position.average_price(), Price::from_units(520));
        assert_eq!(count.day_average(), Price::from_units(510));
        count.add(Side::Sell, of(3), Price::from_units(515));
        assert_eq!((count.realised, count.day_average()), (Money::from_units(15), Price::ZERO));
        count.add(Side::Buy, Quantity(0), Price::from_units(1));
        assert!(is_apart(0, ROUNDING + 1) && !is_apart(ROUNDING, 0));
    }
}
