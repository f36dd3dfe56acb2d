//! Money and average prices beside the broker's: what is compared, and how exactly.
//!
//! | what | compared | equal where |
//! |---|---|---|
//! | quantity of a position | in every book | exactly equal |
//! | average price of a position | where the quantities are equal | it lies among the prices of the account's trades of the day on that side, give or take one tick (a paisa at least): exact where they had one price. Brokers do not say over which of them they average after a re-entry, and no way of doing it leads out of that range |
//! | money free to trade | on an account that nobody else uses that day (the wires do not ask on another), where nothing is held and nothing works, here and there: what a position blocks is the broker's own to say | it is what it was when that was so first, plus what was gained, less what was lost and at most the charges, give or take a rupee. Some brokers take a day's charges at night, and some let a day's gain be used on the next day only |
//!
//! - More money than that is taken over whatever the policy: somebody paid in. Less is a difference with a policy.
//! - An operator who resumes has looked: what is there then is what is compared with from then on.
//! - Must never: change what our own trades say was paid. They are the broker's own trades.

use super::Core;
use super::books::{Suspect, suspect};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{
    BrokerBook, BrokerFill, BrokerPosition, DifferenceKind, InstrumentId, Measure, Money, OrderId, Price, Side,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Money may differ by so much: a rupee.
const MONEY: Money = Money(SCALE as i128);
/// Average prices may differ by so much at least: a paisa.
const PAISA: i64 = SCALE / 100;

/// What money and averages are compared with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Purse {
    base: Option<Base>,
    /// The lowest and the highest price of the account's trades, by instrument and whether they bought.
    prices: BTreeMap<(InstrumentId, bool), (Price, Price)>,
    /// The operator has resumed: what the next book shows is right.
    pub(super) forgives: bool,
}

/// The account when nothing was held and nothing worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    funds: Money,
    realised: Money,
    fees: Money,
}

impl Purse {
    /// A trade of the account, whosever order it fills.
    pub(super) fn learn(&mut self, id: InstrumentId, fill: &BrokerFill) {
        self.widen(id, fill.side == Side::Buy, fill.price);
    }

    fn widen(&mut self, id: InstrumentId, bought: bool, price: Price) {
        let range = self.prices.entry((id, bought)).or_insert((price, price));
        *range = (range.0.min(price), range.1.max(price));
    }

    /// The broker's average is right from now on.
    pub(super) fn take_average(&mut self, position: &BrokerPosition) {
        self.widen(position.instrument, position.quantity.0 > 0, position.average);
    }

    /// The broker's money is right from now on: the next flat book is the new base.
    pub(super) const fn take_funds(&mut self) {
        self.base = None;
    }
}

impl Core {
    /// Before books are compared: a first flat book is the base, and what the operator resumed over is right.
    pub(super) fn take_stock(&mut self, book: &BrokerBook) {
        let (realised, fees) = (self.state.ledger.realised, self.state.ledger.fees);
        let funds = book.funds.filter(|_| self.is_flat_beside(book));
        let agree: Vec<InstrumentId> = book
            .positions
            .iter()
            .filter(|one| {
                self.state.books.get(one.instrument.index()).map(|it| it.position.quantity) == Some(one.quantity)
            })
            .map(|one| one.instrument)
            .collect();
        let quiet: Vec<InstrumentId> =
            (0..self.state.books.len() as u32).map(InstrumentId).filter(|id| self.is_quiet(*id)).collect();
        let Some(broker) = &mut self.state.broker else { return };
        let flat = |id: &InstrumentId| !book.positions.iter().any(|one| one.instrument == *id);
        let books = &self.state.books;
        // Where books agree, trades of orders that are not ours explain nothing that is open: another product, or a way
        // there and back by hand.
        let settled = |id: &InstrumentId| {
            let quiet = quiet.contains(id);
            quiet && (agree.contains(id) || flat(id) && books[id.index()].position.quantity.is_zero())
        };
        broker.orphans.retain(|(id, _)| !settled(id));
        broker.gaps.retain(|id, _| !(agree.contains(id) || flat(id) && books[id.index()].position.quantity.is_zero()));
        if std::mem::take(&mut broker.purse.forgives) {
            broker.purse.take_funds();
            book.positions.iter().for_each(|one| broker.purse.take_average(one));
        }
        if let (None, Some(funds)) = (broker.purse.base, funds) {
            broker.purse.base = Some(Base { funds, realised, fees });
        }
    }

    fn is_flat_beside(&self, book: &BrokerBook) -> bool {
        let ours = self.state.books.iter().all(|one| one.position.quantity.is_zero() && one.working.is_empty());
        let orphans = self.state.broker.as_ref().is_some_and(|broker| !broker.orphans.is_empty());
        ours && !orphans && book.positions.is_empty() && book.open.is_empty()
    }

    /// Money that differs; below zero in what is missing.
    pub(super) fn compare_funds(&self, book: &BrokerBook) -> Option<Suspect> {
        let purse = &self.state.broker.as_ref()?.purse;
        let (base, funds) = (purse.base?, book.funds.filter(|_| self.is_flat_beside(book))?);
        let gain = self.state.ledger.realised - base.realised;
        let paid = self.state.ledger.fees - base.fees;
        let least = base.funds + gain.min(Money::ZERO) - paid - MONEY;
        let most = base.funds + gain.max(Money::ZERO) + MONEY;
        let equal = (least..=most).contains(&funds);
        let differs = |()| Suspect {
            ours: Measure::from(base.funds + gain).0,
            theirs: Measure::from(funds).0,
            ..suspect(super::NO_STREAM, DifferenceKind::Funds, OrderId(0), "", (0, 0))
        };
        (!equal).then_some(()).map(differs)
    }

    /// Average prices that differ, of positions that agree.
    pub(super) fn compare_averages(&self, book: &BrokerBook) -> Vec<Suspect> {
        let Some(broker) = &self.state.broker else { return Vec::new() };
        let differs = |theirs: &&BrokerPosition| {
            let id = theirs.instrument;
            let Some(ours) = self.state.books.get(id.index()) else { return false };
            let Some((low, high)) = broker.purse.prices.get(&(id, theirs.quantity.0 > 0)) else { return false };
            let slack = self.setup.instruments[id.index()].tick.0.max(PAISA);
            ours.position.quantity == theirs.quantity
                && theirs.average.0 > 0
                && self.is_quiet(id)
                && !(low.0 - slack..=high.0 + slack).contains(&theirs.average.0)
        };
        let named = |theirs: &BrokerPosition| {
            let ours = self.state.books[theirs.instrument.index()].position.average_price();
            suspect(theirs.instrument, DifferenceKind::AveragePrice, OrderId(0), "", (ours.0, theirs.average.0))
        };
        book.positions.iter().filter(differs).map(named).collect()
    }
}
