//! Rate buckets: how often the broker may be asked, kept below its limits.
//!
//! | class | the broker's limit | ours |
//! |---|---|---|
//! | quotes | 1 a second | 9 in 10 s, no burst |
//! | history | 3 a second | 2 a second, no burst |
//! | orders | 10 a second, 400 a minute, 5,000 a day | 8 a second and bursts of 2, 380 a minute, 4,900 a day |
//! | everything else | 10 a second | 8 a second, bursts of 2 |
//!
//! - The broker counts fixed windows on its own clock; a bucket of rate `r` and burst `b` lets at most `r + b` into any
//!   second, whichever way it is cut.
//! - Exits and stops go first: an entry waits while one of them does, and the last tenth of the day's and the minute's
//!   orders is theirs alone.
//! - Integers and a time that is handed in: what waits how long is a function of the calls.

use daybook_vocabulary::time::{DAY, MINUTE, SECOND};
use daybook_vocabulary::{Date, Nanos};
use std::sync::{Mutex, PoisonError};

/// What kind of call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Last prices and quotes.
    Quotes,
    /// Pages of history.
    History,
    /// Placing, changing and cancelling.
    Orders(Urgency),
    /// Everything else.
    Other,
}

/// Whether an order lowers risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// An exit, a stop, a cancel.
    Exit,
    /// It may wait.
    Entry,
}

/// One bucket: the time from which the next call is on schedule.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    interval: i64,
    burst: i64,
    scheduled: i64,
}

impl Bucket {
    const fn new(interval: i64, burst: i64) -> Self {
        Self { interval, burst, scheduled: i64::MIN }
    }

    /// Nanoseconds until a call may go; 0: now.
    fn wait(&self, now: i64) -> i64 {
        self.scheduled.saturating_sub(self.interval * (self.burst - 1)).saturating_sub(now).max(0)
    }

    fn take(&mut self, now: i64) {
        self.scheduled = self.scheduled.max(now).saturating_add(self.interval);
    }
}

/// Calls of a fixed window, counted.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    number: i64,
    count: u32,
}

impl Window {
    fn count_at(&self, number: i64) -> u32 {
        if self.number == number { self.count } else { 0 }
    }

    fn add(&mut self, number: i64) {
        *self = Self { number, count: self.count_at(number) + 1 };
    }
}

const ORDERS_A_MINUTE: u32 = 380;
const ORDERS_A_DAY: u32 = 4_900;
/// The share of both that only exits and stops may use: one in this many.
const EXITS_SHARE: u32 = 10;

/// Why a call may not go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// After this many nanoseconds it may be tried again.
    Wait(i64),
    /// Not today.
    DayIsFull,
}

#[derive(Debug)]
struct State {
    quotes: Bucket,
    history: Bucket,
    orders: Bucket,
    other: Bucket,
    minute: Window,
    day: Window,
    exits_waiting: u32,
}

/// The buckets of one account.
#[derive(Debug)]
pub struct Buckets {
    state: Mutex<State>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self::new()
    }
}

impl Buckets {
    /// All full.
    pub const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                quotes: Bucket::new(10 * SECOND / 9, 1),
                history: Bucket::new(SECOND / 2, 1),
                orders: Bucket::new(SECOND / 8, 2),
                other: Bucket::new(SECOND / 8, 2),
                minute: Window { number: 0, count: 0 },
                day: Window { number: 0, count: 0 },
                exits_waiting: 0,
            }),
        }
    }

    /// Takes a call out of its bucket, or says how long to wait. `offset` is the broker's zone: its day begins there.
    pub fn take(&self, class: Class, now: Nanos, offset: i64) -> Result<(), Refusal> {
        let mut state = self.lock();
        let State { quotes, history, orders, other, minute, day, exits_waiting } = &mut *state;
        let now_ns = now.0;
        let bucket = match class {
            Class::Quotes => quotes,
            Class::History => history,
            Class::Other => other,
            Class::Orders(urgency) => {
                let date = i64::from(Date::of(now, offset).0);
                let entry = urgency == Urgency::Entry;
                let limit = |most: u32| if entry { most - most / EXITS_SHARE } else { most };
                if day.count_at(date) >= limit(ORDERS_A_DAY) {
                    return Err(Refusal::DayIsFull);
                }
                let this_minute = now_ns.div_euclid(MINUTE);
                if minute.count_at(this_minute) >= limit(ORDERS_A_MINUTE) {
                    return Err(Refusal::Wait(MINUTE - now_ns.rem_euclid(MINUTE)));
                }
                if entry && *exits_waiting > 0 {
                    return Err(Refusal::Wait(orders.interval));
                }
                if orders.wait(now_ns) == 0 {
                    minute.add(this_minute);
                    day.add(date);
                }
                orders
            }
        };
        match bucket.wait(now_ns) {
            0 => {
                bucket.take(now_ns);
                Ok(())
            }
            wait => Err(Refusal::Wait(wait)),
        }
    }

    /// An exit begins (true) or ends (false) to wait: entries stand back meanwhile.
    pub fn exit_waits(&self, waits: bool) {
        let mut state = self.lock();
        state.exits_waiting = if waits { state.exits_waiting + 1 } else { state.exits_waiting.saturating_sub(1) };
    }

    /// Orders taken on the date of `now`.
    pub fn orders_on(&self, now: Nanos, offset: i64) -> u32 {
        self.lock().day.count_at(i64::from(Date::of(now, offset).0))
    }

    /// Orders of this date that an earlier process of this account took.
    pub fn resume(&self, now: Nanos, offset: i64, orders: u32) {
        self.lock().day = Window { number: i64::from(Date::of(now, offset).0), count: orders };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const _: () = assert!(DAY % MINUTE == 0, "a day is a whole number of windows");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Asks as fast as it is let for `seconds`; the times at which calls went.
    fn greedy(class: Class, start: i64, seconds: i64) -> Vec<i64> {
        let buckets = Buckets::new();
        let (mut now, mut went) = (start, Vec::new());
        while now < start + seconds * SECOND {
            match buckets.take(class, Nanos(now), 0) {
                Ok(()) => went.push(now),
                Err(Refusal::Wait(wait)) => now += wait,
                Err(Refusal::DayIsFull) => break,
            }
        }
        went
    }

    fn most_in(times: &[i64], length: i64) -> usize {
        times
            .iter()
            .map(|&from| times.iter().filter(|&&time| from <= time && time < from + length).count())
            .max()
            .unwrap_or(0)
    }

    /// BT-37: quotes 1/s, history 3/s, orders 10/s, everything else 10/s, on a clock of its own.
    #[test]
    fn no_second_holds_more_than_the_broker_allows() {
        for (class, most, least_in_ten) in [
            (Class::Quotes, 1, 9),
            (Class::History, 3, 20),
            (Class::Orders(Urgency::Exit), 10, 80),
            (Class::Orders(Urgency::Entry), 10, 80),
            (Class::Other, 10, 80),
        ] {
            let went = greedy(class, 12_345_678, 10);
            assert!(most_in(&went, SECOND) <= most, "{class:?}");
            assert!(went.len() >= least_in_ten, "{class:?}: {}", went.len());
        }
    }

    /// BT-37: 400 orders a minute, 5,000 a day; the last of both are for exits.
    #[test]
    fn minutes_and_days_are_counted_and_exits_have_the_last_of_them() {
        let entries = greedy(Class::Orders(Urgency::Entry), 0, 4 * 3600);
        assert!(most_in(&entries[..2000], MINUTE) <= 400);
        assert_eq!(entries.len() as u32, ORDERS_A_DAY - ORDERS_A_DAY / 10);
        let exits = greedy(Class::Orders(Urgency::Exit), 0, 4 * 3600);
        assert_eq!(exits.len() as u32, ORDERS_A_DAY);
        let buckets = Buckets::new();
        buckets.resume(Nanos(0), 0, ORDERS_A_DAY);
        assert_eq!(buckets.take(Class::Orders(Urgency::Exit), Nanos(5), 0), Err(Refusal::DayIsFull));
        assert_eq!(buckets.take(Class::Orders(Urgency::Exit), Nanos(DAY), 0), Ok(()), "another day");
    }

    #[test]
    fn entries_stand_back_while_an_exit_waits() {
        let buckets = Buckets::new();
        buckets.exit_waits(true);
        assert!(matches!(buckets.take(Class::Orders(Urgency::Entry), Nanos(0), 0), Err(Refusal::Wait(_))));
        assert_eq!(buckets.take(Class::Orders(Urgency::Exit), Nanos(0), 0), Ok(()));
        buckets.exit_waits(false);
        assert_eq!(buckets.take(Class::Orders(Urgency::Entry), Nanos(0), 0), Ok(()));
        assert_eq!(buckets.orders_on(Nanos(0), 0), 2);
    }

    proptest! {
        #[test]
        fn any_pattern_of_calls_stays_below(steps in prop::collection::vec(0i64..400_000_000, 1..200), start in 0i64..1_000_000_000_000) {
            let buckets = Buckets::new();
            let (mut now, mut went) = (start, Vec::new());
            for step in steps {
                now += step;
                if buckets.take(Class::History, Nanos(now), 0).is_ok() {
                    went.push(now);
                }
            }
            prop_assert!(most_in(&went, SECOND) <= 2, "{went:?}");
        }
    }
}
