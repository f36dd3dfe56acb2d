//! Values of the keys of `learn`: timeframes, look-backs, ranges of dates, and names of a few.
//!
//! - What is printed reads back as the same value.
//! - Timeframes are written the shortest first, each once; a look-back is from 8 to 4096 bars.
//! - Must never: guess a look-back that nobody wrote; [`Lookbacks::of`] says which is missing.

use crate::value::Value;
use daybook_vocabulary::{Date, Interval};
use std::collections::BTreeMap;

/// Bars that a decision may look back in one timeframe.
const LOOKBACK: std::ops::RangeInclusive<u32> = 8..=4096;

/// Timeframes, the shortest first, written `5m,15m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeframes(Vec<Interval>);

/// Look-backs by timeframe, written `5m:256,15m:128`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookbacks(BTreeMap<Interval, u32>);

/// Two dates, both inclusive, written `2025-01-01..2025-06-30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    /// The first.
    pub from: Date,
    /// The last, not before the first.
    pub to: Date,
}

impl Timeframes {
    /// The timeframes.
    pub fn all(&self) -> &[Interval] {
        &self.0
    }
}

impl Lookbacks {
    /// The look-back of each timeframe, or the first timeframe that has none.
    pub fn of(&self, timeframes: &Timeframes) -> Result<Vec<(Interval, usize)>, Interval> {
        let one = |interval: &Interval| self.0.get(interval).map(|bars| (*interval, *bars as usize)).ok_or(*interval);
        timeframes.0.iter().map(one).collect()
    }
}

impl Value for Timeframes {
    fn read(text: &str) -> Option<Self> {
        let all: Vec<Interval> = text.split(',').map(|name| name.parse().ok()).collect::<Option<_>>()?;
        all.is_sorted_by(|one, other| one < other).then_some(Self(all))
    }
    fn print(&self) -> String {
        let names: Vec<String> = self.0.iter().map(Interval::to_string).collect();
        names.join(",")
    }
}

impl Value for Lookbacks {
    fn read(text: &str) -> Option<Self> {
        let mut all = BTreeMap::new();
        for pair in text.split(',') {
            let (name, bars) = pair.split_once(':')?;
            let bars = u32::read(bars).filter(|bars| LOOKBACK.contains(bars))?;
            // Twice the same timeframe is more likely a slip than a wish.
            if all.insert(name.parse().ok()?, bars).is_some() {
                return None;
            }
        }
        Some(Self(all))
    }
    fn print(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(interval, bars)| format!("{interval}:{bars}")).collect();
        pairs.join(",")
    }
}

impl Value for Dates {
    fn read(text: &str) -> Option<Self> {
        let (from, to) = text.split_once("..")?;
        let (from, to): (Date, Date) = (from.parse().ok()?, to.parse().ok()?);
        (from <= to).then_some(Self { from, to })
    }
    fn print(&self) -> String {
        format!("{}..{}", self.from, self.to)
    }
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $($(#[$about])* $variant,)*
        }

        impl $type {
            /// Its name.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl Value for $type {
            fn read(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
            fn print(&self) -> String {
                self.word().to_owned()
            }
        }
    };
}

names! {
    /// How decision times are drawn from the memory.
    Draws {
        /// All alike.
        Uniform = "uniform",
        /// Those that the network is most wrong about more often.
        Prioritised = "prioritised",
    }
}

names! {
    /// What a transition is rewarded with.
    Reward {
        /// The change of the open trade's marked-to-market R, net of charges.
        MarkedR = "marked-r",
        /// Nothing until the trade is closed, then its R.
        ClosedR = "closed-r",
    }
}

names! {
    /// What a network is trained on.
    Device {
        /// The processor.
        Cpu = "cpu",
        /// A graphics card of NVIDIA, in a binary that was built for it.
        Cuda = "cuda",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_learn_read_back() {
        assert_eq!(Timeframes::read("5m,15m").unwrap().print(), "5m,15m");
        assert_eq!(Lookbacks::read("15m:128,5m:256").unwrap().print(), "5m:256,15m:128");
        assert_eq!(Dates::read("2025-01-01..2025-06-30").unwrap().print(), "2025-01-01..2025-06-30");
        assert_eq!((Draws::read("prioritised").unwrap().print(), Draws::read("other")), ("prioritised".into(), None));
        for bad in ["", "5m,5m", "15m,5m", "5x", "5m,"] {
            assert_eq!(Timeframes::read(bad), None, "{bad}");
        }
        for bad in ["", "5m", "5m:7", "5m:4097", "5m:8,5m:9", "5x:9", "5m:+9"] {
            assert_eq!(Lookbacks::read(bad), None, "{bad}");
        }
        for bad in ["2025-01-01", "2025-06-30..2025-01-01", "..", "2025-13-01..2025-13-02"] {
            assert_eq!(Dates::read(bad), None, "{bad}");
        }
    }

    /// RL-03: the key that is missing is named.
    #[test]
    fn a_timeframe_without_a_lookback_is_named() {
        let lookbacks = Lookbacks::read("5m:256,1h:20").unwrap();
        let ask = |text: &str| lookbacks.of(&Timeframes::read(text).unwrap());
        let minutes = Interval::minutes;
        assert_eq!(ask("5m,1h"), Ok(vec![(minutes(5), 256), (minutes(60), 20)]));
        assert_eq!(ask("5m,15m"), Err(minutes(15)));
    }
}
