//! Time, sleep and chance, handed in: everything that waits is tried in virtual time.
//!
//! - [`WallPace`] is the world's time. [`BrokerPace`] is the simulated broker's: its seconds pass `speed` times faster,
//!   so that both ends count rate limits in the same seconds. Timeouts of sockets stay real.
//! - Jitter comes from a seed; nothing here asks the system for randomness.
//! - Must never: be read by anything that decides a trade; the core's now is the frame's time.

use daybook_vocabulary::Nanos;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A future on the heap, as traits need it.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Time as a client of the broker lives in it.
pub trait Pace: Send + Sync {
    /// The time.
    fn now(&self) -> Nanos;
    /// Waits for `nanos` nanoseconds of this time.
    fn sleep(&self, nanos: i64) -> Boxed<'_, ()>;
    /// Waits for `nanos` nanoseconds of the world's time: what wires and processes take is of this world.
    fn sleep_outside(&self, nanos: i64) -> Boxed<'_, ()>;
    /// A number from 0 to `below - 1`.
    fn chance(&self, below: u64) -> u64;
    /// Takes note of a broker's clock, where it is followed.
    fn correct(&self, theirs: Nanos, speed_milli: u64) {
        let _ = (theirs, speed_milli);
    }
    /// How long `nanos` nanoseconds of this time are in the world's.
    fn outside(&self, nanos: i64) -> Duration {
        duration(nanos)
    }
}

/// The world's time.
#[derive(Debug)]
pub struct WallPace {
    chance: Chance,
}

impl WallPace {
    /// Jitter from the time at which the process began: two daemons do not retry in step.
    pub fn new() -> Self {
        Self { chance: Chance::new(wall_now().0.cast_unsigned()) }
    }
}

impl Default for WallPace {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace for WallPace {
    fn now(&self) -> Nanos {
        wall_now()
    }

    fn sleep(&self, nanos: i64) -> Boxed<'_, ()> {
        Box::pin(tokio::time::sleep(duration(nanos)))
    }

    fn sleep_outside(&self, nanos: i64) -> Boxed<'_, ()> {
        Box::pin(tokio::time::sleep(duration(nanos)))
    }

    fn chance(&self, below: u64) -> u64 {
        self.chance.below(below)
    }
}

/// A simulated broker's time: known at one moment, passing at a known speed since.
#[derive(Debug)]
pub struct BrokerPace {
    anchor: Mutex<Anchor>,
    chance: Chance,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    theirs: Nanos,
    ours: Instant,
    /// Their milliseconds in one of our seconds: 1,000 at speed 1; 0 while it stands still.
    speed_milli: u64,
}

impl BrokerPace {
    /// Their time as they told it a moment ago; `speed_milli` thousandths of a second pass there in one of ours.
    pub fn new(theirs: Nanos, speed_milli: u64) -> Self {
        let anchor = Anchor { theirs, ours: instant_now(), speed_milli };
        Self { anchor: Mutex::new(anchor), chance: Chance::new(theirs.0.cast_unsigned()) }
    }

    fn anchor(&self) -> Anchor {
        *self.anchor.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Pace for BrokerPace {
    fn now(&self) -> Nanos {
        let anchor = self.anchor();
        let passed = anchor.ours.elapsed().as_nanos().saturating_mul(u128::from(anchor.speed_milli)) / 1_000;
        anchor.theirs + i64::try_from(passed).unwrap_or(i64::MAX)
    }

    fn sleep(&self, nanos: i64) -> Boxed<'_, ()> {
        Box::pin(tokio::time::sleep(self.outside(nanos)))
    }

    /// Corrects it by what they told again. Time does not step back: a lead is kept until they have caught up.
    fn correct(&self, theirs: Nanos, speed_milli: u64) {
        let known = self.now();
        let anchor = Anchor { theirs: theirs.max(known), ours: instant_now(), speed_milli };
        *self.anchor.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = anchor;
    }

    fn outside(&self, nanos: i64) -> Duration {
        // Where their time stands still, ours is all there is to wait in.
        let speed = match self.anchor().speed_milli {
            0 => 1_000,
            speed => speed,
        };
        let ours = u128::from(nanos.max(0).cast_unsigned()) * 1_000 / u128::from(speed);
        duration(i64::try_from(ours).unwrap_or(i64::MAX))
    }

    fn sleep_outside(&self, nanos: i64) -> Boxed<'_, ()> {
        Box::pin(tokio::time::sleep(duration(nanos)))
    }

    fn chance(&self, below: u64) -> u64 {
        self.chance.below(below)
    }
}

/// A sequence of numbers from a seed (splitmix64).
#[derive(Debug)]
pub struct Chance(AtomicU64);

impl Chance {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number, from 0 to `below - 1`; 0 for `below` 0.
    pub fn below(&self, below: u64) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).checked_rem(below).unwrap_or(0)
    }
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.max(0).cast_unsigned())
}

#[expect(clippy::disallowed_methods, reason = "the one place at which the adapter reads the world's clock")]
fn wall_now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "how far the broker's clock has moved is measured with ours")]
fn instant_now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::time::SECOND;

    #[test]
    fn a_brokers_time_passes_at_its_speed_and_never_steps_back() {
        let pace = BrokerPace::new(Nanos(1_000 * SECOND), 1_000_000);
        let first = pace.now();
        std::thread::sleep(Duration::from_millis(2));
        let later = pace.now();
        assert!(later - first >= 2 * SECOND, "a thousand times faster: {}", later - first);
        pace.correct(Nanos(0), 1_000);
        assert!(pace.now() >= later);
    }

    #[test]
    fn chance_follows_its_seed() {
        let draw = |seed| {
            let chance = Chance::new(seed);
            (0..8).map(|_| chance.below(100)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_eq!(Chance::new(1).below(0), 0);
    }
}
