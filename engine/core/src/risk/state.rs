//! What the limits have to remember: exposures, tokens of the order rate, the session's losses, locks.
//!
//! - Gross exposure is kept incrementally and recomputed by [`RiskState::prove`] at every digest and session close.
//! - The bucket never gives more orders in any half-open minute than are allowed: its size and what flows into it in a
//!   minute add up to one more than that, and the one is never whole within the minute.
//! - An exit is never refused for its rate: it takes tokens that are not there yet, and entries wait until those have
//!   come.
//! - Locks are released by the next session's id, or by the operator: never by a restart.

use super::limits::RiskLimits;
use crate::ledger::Book;
use crate::sizing::Record;
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{Date, InstrumentId, LimitKind, Measure, Money, Nanos, Price, Quantity, Ratio};
use serde::{Deserialize, Serialize};

/// One token: what an order costs. What flows in is counted in nanoseconds × tokens a minute.
const TOKEN: i128 = MINUTE as i128;

/// Why entries are locked, and the numbers of the trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The limit.
    pub limit: LimitKind,
    /// The session it holds for; none until the operator resumes.
    pub session: Option<Date>,
    /// What was allowed.
    pub allowed: Measure,
    /// What was met.
    pub observed: Measure,
}

/// What the session's losses are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// The session.
    pub session: Date,
    /// Equity when it began.
    pub equity: Money,
    /// R of the trades closed in it, as far as it was made in it.
    pub closed_r: Ratio,
}

/// What the limits remember.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RiskState {
    /// Longs and shorts at their last prices, both positive.
    pub gross: Money,
    /// When each instrument's last price was known; empty while no limit is set.
    pub seen: Vec<Nanos>,
    /// R of each open trade when the session began.
    pub r_before: Vec<Ratio>,
    /// Tokens taken and not yet flowed back.
    pub(crate) taken: i128,
    /// Until when they have flowed back.
    pub(crate) flowed: Option<Nanos>,
    /// The last order that entered.
    pub(crate) last_entry: Option<Nanos>,
    /// The session's losses.
    pub day: Option<Day>,
    /// The most the equity has been.
    pub peak: Money,
    /// The locks that hold.
    pub locks: Vec<Lock>,
    /// How closed trades ended.
    pub record: Record,
    /// True while every position is being left.
    pub flattening: Option<LimitKind>,
}

impl RiskState {
    /// Begins to remember, for an account as it stands: what is kept incrementally is counted once.
    pub fn begin(&mut self, books: &[Book]) {
        self.seen.resize(books.len(), Nanos::MIN);
        self.r_before.resize(books.len(), Ratio::ZERO);
        self.gross = gross(books);
    }

    /// Recounts what is kept incrementally. A difference is a fault of this program, so it stops everything.
    pub fn prove(&self, books: &[Book]) {
        assert_eq!(self.gross, gross(books), "gross exposure kept incrementally differs from exposure counted");
    }

    /// The value of a position moved from one to another.
    #[inline]
    pub fn revalued(&mut self, before: Money, after: Money) {
        self.gross.0 += after.0.abs() - before.0.abs();
    }

    /// An instrument's price was heard.
    #[inline]
    pub fn heard(&mut self, instrument: InstrumentId, now: Nanos) {
        self.seen[instrument.index()] = now;
    }

    /// The lock that keeps entries out, if any.
    pub fn lock(&self) -> Option<&Lock> {
        self.locks.first()
    }

    /// True when this limit has locked already.
    pub fn is_locked_by(&self, limit: LimitKind) -> bool {
        self.locks.iter().any(|lock| lock.limit == limit)
    }

    /// Tokens an order that enters would leave, below zero when there are too few: a quarter is kept for exits.
    pub fn tokens_for_entry(&self, limits: &RiskLimits, now: Nanos) -> Option<i128> {
        let most = limits.max_orders_per_minute?;
        let (burst, flow) = bucket(most);
        let kept = burst / 4;
        Some((burst - kept - 1) * TOKEN - self.taken_at(flow, now))
    }

    /// Counts an order, a modification or a cancel.
    pub fn spend(&mut self, limits: &RiskLimits, now: Nanos, enters: bool) {
        if enters {
            self.last_entry = Some(now);
        }
        if let Some(most) = limits.max_orders_per_minute {
            let (_, flow) = bucket(most);
            self.taken = self.taken_at(flow, now) + TOKEN;
            self.flowed = Some(now);
        }
    }

    /// Milliseconds since the last order that entered.
    pub fn since_entry(&self, now: Nanos) -> Option<i64> {
        self.last_entry.map(|last| (now - last) / (SECOND / 1_000))
    }

    fn taken_at(&self, flow: i128, now: Nanos) -> i128 {
        let since = self.flowed.map_or(0, |flowed| i128::from((now - flowed).max(0)));
        (self.taken - since.saturating_mul(flow)).max(0)
    }

    /// Begins a session; hands back the locks that it releases.
    pub fn open_session(&mut self, session: Date, equity: Money) -> Vec<Lock> {
        self.day = Some(Day { session, equity, closed_r: Ratio::ZERO });
        let (released, kept) = self.locks.iter().partition(|lock| lock.session.is_some_and(|locked| locked != session));
        self.locks = kept;
        released
    }
}

/// The burst a bucket allows and the tokens that flow into it in a minute, for so many orders in any minute.
fn bucket(most: u32) -> (i128, i128) {
    let burst = (i128::from(most) + 2) / 2;
    (burst, i128::from(most) + 1 - burst)
}

/// Longs and shorts at their last prices.
fn gross(books: &[Book]) -> Money {
    books.iter().map(|book| Money(book.position.value(book.last).0.abs())).sum()
}

/// The largest position that working orders of one side and another order of that side could lead to, with its sign.
pub(super) fn worst_quantity(book: &Book, signed: Quantity) -> i64 {
    let same_side =
        |order: &&crate::orders::Order| order.is_working() && (order.side.signed(Quantity(1)).0 > 0) == (signed.0 > 0);
    let working = book.working.iter().filter(same_side);
    let working = working.fold(0i64, |sum, order| sum.saturating_add(order.remaining().0));
    let working = if signed.0 > 0 { working } else { -working };
    book.position.quantity.0.saturating_add(working).saturating_add(signed.0)
}

/// The magnitude of a price's distance from another in basis points, rounded up.
pub(super) fn deviation(price: Price, from: Price) -> i128 {
    let away = (i128::from(price.0) - i128::from(from.0)).abs() * 10_000 * 100_000_000;
    let from = i128::from(from.0).max(1);
    away / from + i128::from(away % from != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(most: u32) -> RiskLimits {
        RiskLimits { max_orders_per_minute: Some(most), ..RiskLimits::default() }
    }

    proptest! {
        /// However entries and exits come: entries alone never make more than allowed in any minute, and while a minute
        /// holds no more exits than a quarter of the burst, all orders together do not either.
        #[test]
        fn a_minute_never_holds_too_many_orders(
            most in 1u32..40, gaps in prop::collection::vec((0i64..20_000, any::<bool>()), 1..300),
        ) {
            let (limits, mut state, mut now) = (limits(most), RiskState::default(), Nanos(0));
            let mut passed: Vec<(i64, bool)> = Vec::new();
            for (gap, exit) in gaps {
                now = now + gap * (SECOND / 1_000);
                if exit || state.tokens_for_entry(&limits, now).unwrap() >= 0 {
                    state.spend(&limits, now, !exit);
                    passed.push((now.0, exit));
                }
            }
            for &(end, _) in &passed {
                let minute = passed.iter().filter(|(at, _)| *at > end - MINUTE && *at <= end);
                let (entries, exits) = minute.fold((0, 0), |(entries, exits), (_, exit)| {
                    if *exit { (entries, exits + 1) } else { (entries + 1, exits) }
                });
                prop_assert!(entries <= most, "{entries} entries in a minute that allows {most}");
                if exits == 0 {
                    prop_assert!(entries + exits <= most);
                }
            }
        }
    }

    #[test]
    fn entries_leave_room_for_exits() {
        let (limits, mut state) = (limits(40), RiskState::default());
        let mut entries = 0;
        while state.tokens_for_entry(&limits, Nanos(0)).unwrap() >= 0 {
            state.spend(&limits, Nanos(0), true);
            entries += 1;
        }
        // A burst of 21, of which 5 are kept.
        assert_eq!(entries, 16);
        for _ in 0..10 {
            state.spend(&limits, Nanos(0), false);
        }
        // Twenty a minute flow back: ten exits are made up for before the next entry.
        let waits = (0..120).find(|second| state.tokens_for_entry(&limits, Nanos(second * SECOND)).unwrap() >= 0);
        assert_eq!(waits, Some(33));
    }

    #[test]
    fn a_session_releases_its_own_locks_only() {
        let mut state = RiskState::default();
        let lock = |limit, session| Lock { limit, session, allowed: Measure(1), observed: Measure(2) };
        state.locks = vec![lock(LimitKind::DailyLoss, Some(Date(5))), lock(LimitKind::KillSwitch, None)];
        assert!(state.open_session(Date(5), Money(7)).is_empty(), "a restart within the session releases nothing");
        let released = state.open_session(Date(6), Money(7));
        assert_eq!(released.iter().map(|lock| lock.limit).collect::<Vec<_>>(), [LimitKind::DailyLoss]);
        assert_eq!(state.locks.len(), 1);
        assert!(state.is_locked_by(LimitKind::KillSwitch));
    }
}
