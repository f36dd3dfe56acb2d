//! Funds: cash that is there and may not buy yet.
//!
//! - Settlement T+N: what a sale of delivered shares brings in, less its charges, buys from the N-th session after it on.
//!   Sessions are those of the calendar, special ones too, whether or not there is data for them.
//! - Delivered is what a sale takes of the shares held when the session began. What was bought and sold within the session
//!   is netted by the exchange and free at once; so is everything under margin or as an intraday position.
//! - The buffer is a part of the equity, rounded up, that purchases leave in cash.
//! - Exits are never refused for either. What is held back is counted from the tranches under way, in release builds too.

use crate::ledger::{Day, Ledger};
use crate::risk::percent_up;
use daybook_config::Calendar;
use daybook_vocabulary::{Date, InstrumentId, Money, Quantity, Ratio, Side};
use serde::{Deserialize, Serialize};

/// What keeps cash from buying.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Funds {
    /// Sessions until a sale has settled; 0 for at once. Told, not state.
    #[serde(skip)]
    settlement: u32,
    /// The buffer in percent of the equity. Told, not state.
    #[serde(skip)]
    buffer: Option<Ratio>,
    /// Proceeds under way: sessions left, and how much.
    under_way: Vec<(u32, Money)>,
    /// Their sum.
    unsettled: Money,
    /// The last session that was opened.
    session: Option<Date>,
    /// Per instrument, the last session in which it was sold, and how much of it was delivered.
    delivered: Vec<(Option<Date>, Quantity)>,
}

/// Cash held back, by what holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Proceeds that have not settled.
    pub unsettled: Money,
    /// The buffer.
    pub buffer: Money,
    /// Sales settle later: one that goes through zero frees nothing for what it opens.
    pub settles: bool,
}

impl Kept {
    /// All of it.
    pub fn all(&self) -> Money {
        self.unsettled + self.buffer
    }

    /// What an order that goes through zero frees for what it opens: nothing, where sales settle later and it is one.
    pub fn freed(&self, side: Side, freed: Money) -> Money {
        if self.settles && side == Side::Sell { Money::ZERO } else { freed }
    }
}

/// A sale, as it is booked.
#[derive(Debug, Clone, Copy)]
pub struct Sold {
    /// Of what.
    pub id: InstrumentId,
    /// The session.
    pub session: Date,
    /// What the session has seen of the instrument.
    pub day: Day,
    /// Held before it.
    pub held: Quantity,
    /// How much was sold.
    pub quantity: Quantity,
    /// What it brought in.
    pub value: Money,
    /// What it cost.
    pub fees: Money,
}

impl Funds {
    /// Tells the terms, for so many instruments.
    pub fn tell(&mut self, settlement: u32, buffer: Option<Ratio>, instruments: usize) {
        (self.settlement, self.buffer) = (settlement, buffer);
        if settlement == 0 {
            self.under_way.clear();
            self.unsettled = Money::ZERO;
        }
        self.delivered.resize(if settlement == 0 { 0 } else { instruments }, (None, Quantity::ZERO));
    }

    /// True where anything may be held back.
    pub const fn any(&self) -> bool {
        self.settlement > 0 || self.buffer.is_some()
    }

    /// True where sales settle later.
    pub const fn settles(&self) -> bool {
        self.settlement > 0
    }

    /// What is held back from an account as it stands.
    pub fn kept(&self, ledger: &Ledger) -> Kept {
        let equity = Money(ledger.equity().0.max(0));
        let buffer = self.buffer.map_or(Money::ZERO, |percent| percent_up(equity, percent));
        Kept { unsettled: self.unsettled, buffer, settles: self.settlement > 0 }
    }

    /// A session begins: what has waited for it is free.
    pub fn open_session(&mut self, session: Date, calendar: Option<&Calendar>) {
        if self.settlement == 0 {
            return;
        }
        let passed = match (self.session, calendar) {
            // The same session again is no other one.
            (Some(last), _) if last >= session => 0,
            (Some(last), Some(calendar)) => {
                let between = calendar.days(last.next(), session).filter(|(date, _)| *date < session);
                1 + between.filter(|(_, day)| matches!(day, daybook_config::Day::Session(_))).count() as u32
            }
            _ => 1,
        };
        self.session = Some(session);
        for (left, amount) in &mut self.under_way {
            *left = left.saturating_sub(passed);
            if *left == 0 {
                self.unsettled -= *amount;
            }
        }
        self.under_way.retain(|(left, _)| *left > 0);
        self.prove();
    }

    /// A sale: the part that delivers settles later.
    pub fn sold(&mut self, sale: &Sold) {
        let Some((date, before)) = self.delivered.get_mut(sale.id.index()) else { return };
        if *date != Some(sale.session) {
            (*date, *before) = (Some(sale.session), Quantity::ZERO);
        }
        let held = sale.held.max(Quantity::ZERO);
        let carried = (sale.day.carried - *before).max(Quantity::ZERO);
        let bought_today = (held - carried).max(Quantity::ZERO);
        let closing = sale.quantity.min(held);
        let delivers = (closing - bought_today.min(closing)).min(carried);
        if delivers.is_zero() {
            return;
        }
        *before += delivers;
        let share = |amount: Money| amount.share(delivers, sale.quantity);
        let proceeds = share(sale.value) - share(sale.fees);
        if proceeds <= Money::ZERO {
            return;
        }
        self.unsettled += proceeds;
        match self.under_way.last_mut().filter(|(left, _)| *left == self.settlement) {
            Some((_, amount)) => *amount += proceeds,
            None => self.under_way.push((self.settlement, proceeds)),
        }
    }

    /// Counts what is under way. A difference is a fault of this program, so it stops everything.
    pub fn prove(&self) {
        let counted: Money = self.under_way.iter().map(|(_, amount)| *amount).sum();
        assert_eq!(self.unsettled, counted, "proceeds kept incrementally differ from proceeds counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::decimal::SCALE;

    fn units(count: i64) -> Quantity {
        Quantity::from_units(count)
    }

    fn funds(settlement: u32) -> Funds {
        let mut funds = Funds::default();
        funds.tell(settlement, None, 1);
        funds
    }

    /// 10 a share, no charges.
    fn sell(funds: &mut Funds, session: i32, carried: i64, held: i64, quantity: i64) -> Money {
        let session = Date(session);
        let day = Day { session: Some(session), carried: units(carried), delivered: false };
        let value = Money::from_units(10 * quantity);
        let (held, quantity, fees) = (units(held), units(quantity), Money::ZERO);
        let before = funds.unsettled;
        funds.sold(&Sold { id: InstrumentId(0), session, day, held, quantity, value, fees });
        funds.unsettled - before
    }

    /// BT-27: what was bought the same day goes first and is free at once; what was carried in settles later.
    #[test]
    fn only_what_is_delivered_settles_later() {
        let mut funds = funds(1);
        assert_eq!(sell(&mut funds, 5, 100, 160, 60), Money::ZERO, "bought today");
        assert_eq!(sell(&mut funds, 5, 100, 100, 60), Money::from_units(600), "carried in");
        // Sixty are bought back: they net against what was sold.
        assert_eq!(sell(&mut funds, 5, 100, 100, 60), Money::ZERO);
        assert_eq!(sell(&mut funds, 5, 100, 40, 50), Money::from_units(400), "forty held, ten of it a short");
        let kept = funds.kept(&Ledger::new(Money::from_units(5_000)));
        assert_eq!((kept.all(), kept.settles), (Money::from_units(1_000), true));
    }

    /// BT-27: N sessions later by the calendar, whether or not each had data.
    #[test]
    fn sessions_are_counted_by_the_calendar() {
        let calendar = Calendar::nse();
        // Monday 2 June 2025 and the days after it.
        let monday = 20_241;
        for (settlement, free_on) in [(1, 1), (2, 2), (3, 3)] {
            let mut funds = funds(settlement);
            funds.open_session(Date(monday), Some(&calendar));
            sell(&mut funds, monday, 100, 100, 100);
            for day in 0..4 {
                let mut then = funds.clone();
                // Straight there: the sessions between had no data.
                then.open_session(Date(monday + day), Some(&calendar));
                assert_eq!(then.unsettled.is_zero(), day >= free_on, "T+{settlement}, {day} days on");
            }
        }
        // A weekend is no session.
        let mut over = funds(2);
        over.open_session(Date(monday + 4), Some(&calendar));
        sell(&mut over, monday + 4, 100, 100, 100);
        over.open_session(Date(monday + 7), Some(&calendar));
        assert!(!over.unsettled.is_zero(), "Friday to Monday is one session");
        over.open_session(Date(monday + 8), Some(&calendar));
        assert!(over.unsettled.is_zero());
    }

    #[test]
    fn the_buffer_is_rounded_up() {
        let mut funds = Funds::default();
        funds.tell(0, Some(Ratio(3 * SCALE)), 1);
        assert_eq!(funds.kept(&Ledger::new(Money(101))).buffer, Money(4));
        assert_eq!(funds.kept(&Ledger::new(Money(-101))).buffer, Money::ZERO);
    }
}
