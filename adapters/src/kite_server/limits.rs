//! How often a client may ask: fixed windows of the server's own clock.
//!
//! - A window is the calendar second of the virtual clock: at speed 120 a client has 120 windows a second.
//! - Counted: quotes 1 a second, history 3, placing and modifying 10 a second and 400 a minute, everything else 10.
//! - Memory is a handful of numbers, whatever the burst.

use super::refusal::{Answer, Refusal};
use daybook_vocabulary::Nanos;

/// What is limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `/quote`, `/quote/ohlc`, `/quote/ltp`.
    Quotes,
    /// `/instruments/historical`.
    History,
    /// Placing and modifying orders.
    Orders,
    /// Everything else.
    Rest,
}

const SECOND: i64 = 1_000_000_000;
const ORDERS_PER_MINUTE: u32 = 400;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    window: i64,
    used: u32,
}

impl Count {
    /// Takes one of `most` of this window; false when none is left.
    fn take(&mut self, window: i64, most: u32) -> bool {
        if self.window != window {
            *self = Self { window, used: 0 };
        }
        self.used += u32::from(self.used < most + 1);
        self.used <= most
    }
}

/// The windows of one account.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    seconds: [Count; 4],
    minute: Count,
}

impl Limits {
    /// Counts a request; refuses it where its window is full.
    pub fn take(&mut self, group: Group, now: Nanos) -> Answer<()> {
        let most = match group {
            Group::Quotes => 1,
            Group::History => 3,
            Group::Orders | Group::Rest => 10,
        };
        let second = self.seconds[group as usize].take(now.0.div_euclid(SECOND), most);
        let minute =
            group != Group::Orders || !second || self.minute.take(now.0.div_euclid(60 * SECOND), ORDERS_PER_MINUTE);
        if second && minute { Ok(()) } else { Err(Refusal::too_many()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT-37: quotes 1 a second, history 3, orders 10 and 400 a minute, everything else 10.
    #[test]
    fn windows_are_calendar_seconds() {
        for (group, most) in [(Group::Quotes, 1), (Group::History, 3), (Group::Orders, 10), (Group::Rest, 10)] {
            let mut limits = Limits::default();
            let taken =
                |limits: &mut Limits, at: i64| (0..20).filter(|_| limits.take(group, Nanos(at)).is_ok()).count();
            assert_eq!(taken(&mut limits, 5 * SECOND + 999_999_999), most, "{group:?}");
            assert_eq!(taken(&mut limits, 6 * SECOND), most, "{group:?}: a new second begins anew");
        }
        let mut limits = Limits::default();
        let taken = (0..60 * 10).filter(|at| limits.take(Group::Orders, Nanos(at * SECOND / 10)).is_ok()).count();
        assert_eq!(taken, 400);
        assert_eq!(limits.take(Group::Orders, Nanos(60 * SECOND)), Ok(()));
        assert_eq!(limits.take(Group::Quotes, Nanos(60 * SECOND)), Ok(()));
        assert_eq!(limits.take(Group::Quotes, Nanos(60 * SECOND)).unwrap_err().code, 429);
    }
}
