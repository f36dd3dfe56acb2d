//! How the simulated exchange treats orders: choices by name, and values that differ by symbol.
//!
//! - What is printed reads back as the same value: it goes into a run's header.
//! - This file knows no rule of trading; the core does.

use crate::value::{NONE, Value};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{BasisPoints, Quantity, Ratio};
use std::collections::{BTreeMap, BTreeSet};

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl Value for $name {
            fn read(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
            fn print(&self) -> String {
                match self { $(Self::$variant => $word),* }.to_owned()
            }
        }
    )*};
}
choices! {
    /// When a limit order fills inside a candle.
    LimitFill {
        /// When the price reaches the limit.
        #[default]
        Touch = "touch",
        /// When the price goes beyond it: at the limit itself others may have stood first.
        Through = "through",
    }

    /// What becomes of a price between two ticks.
    OffTick {
        /// It is taken to the nearest tick, as a broker's client does.
        #[default]
        Round = "round",
        /// The order is refused, as the exchange does.
        Refuse = "refuse",
        /// It stays between the ticks, as in engines that know no tick.
        Keep = "keep",
    }

    /// What becomes of a stop that the market is already beyond.
    WrongSide {
        /// It triggers at the next price.
        #[default]
        Trigger = "trigger",
        /// The order is refused, as the exchange does.
        Refuse = "refuse",
    }

    /// When orders trade.
    TradingTime {
        /// On every candle there is.
        #[default]
        Any = "any",
        /// In continuous trading alone: not before the open, not in the closing auction but for orders that want it.
        Continuous = "continuous",
    }

    /// On which candle a market order trades.
    FillBar {
        /// At the open of the first candle after the decision.
        #[default]
        Next = "next",
        /// At the close of the candle it was decided on: a price that the decision has seen.
        Close = "close",
        /// The same, but an instrument trades once a candle: what has filled there before forestalls it.
        CloseOnce = "close-once",
    }

    /// The price of a candle at which market orders trade. All but the open are known when the candle is over.
    MarketPrice {
        /// Its first price.
        #[default]
        Open = "open",
        /// Its last price.
        Close = "close",
        /// The mean of high, low and close: candles carry no average of their trades, and this is the usual stand-in.
        Vwap = "vwap",
        /// The middle of high and low.
        Mid = "mid",
    }

    /// Where a stop fills that is touched inside a candle.
    StopFill {
        /// At the stop.
        #[default]
        Stop = "stop",
        /// At the candle's close.
        Close = "close",
        /// At the price that is worst for it: the low for a sale, the high for a purchase.
        Extreme = "extreme",
        /// At the open of the next candle; so does one that the open has gone through.
        NextOpen = "next-open",
    }

    /// What the distances of a bracket are measured from.
    StopBasis {
        /// The price of the fill that entered.
        #[default]
        Fill = "fill",
        /// The price the entry was decided at: its limit, else its stop, else the last price then.
        Signal = "signal",
    }

    /// When a trailing stop follows a candle.
    TrailTiming {
        /// When the candle is over: within it, it stays where it was.
        #[default]
        After = "after",
        /// Before the candle's stops are looked at, as if its best price had come first.
        Before = "before",
    }

    /// How target weights become orders.
    Rebalance {
        /// All quantities follow from the equity of one moment, and all orders are sent then.
        #[default]
        Snapshot = "snapshot",
        /// Each from the equity and the free cash there are when its turn comes.
        Incremental = "incremental",
        /// Sales first; when they have filled, purchases from the cash there is then.
        Hybrid = "hybrid",
    }

    /// What a portfolio does about a symbol that has no candle when it decides.
    Missing {
        /// It decides without it: what is held of it stays, what was meant for it stays cash.
        #[default]
        Skip = "skip",
        /// It waits for a moment at which every symbol has one.
        Wait = "wait",
        /// The run ends, and says which symbol, and when.
        Error = "error",
    }

    /// In which order the orders of an instrument meet a candle.
    Sequence {
        /// All at the open, then all stops, then all limits.
        #[default]
        Path = "path",
        /// The same, but of all instruments of a moment those that leave a position before any that enters one: what
        /// they bring in is there for the others.
        ExitsFirst = "exits-first",
        /// One after the other as they were accepted, each with the whole candle.
        Queue = "queue",
    }

    /// From when on the exits of a bracket work.
    ExitsFrom {
        /// From the fill that entered, inside its candle too.
        #[default]
        Fill = "fill",
        /// From the candle after it.
        Next = "next",
    }

    /// What a trailing stop follows.
    TrailFrom {
        /// The best price of each candle.
        #[default]
        Extreme = "extreme",
        /// Its close.
        Close = "close",
    }

    /// What pays for orders.
    BuyingPower {
        /// Cash that nothing holds back: working orders reserve theirs, a short locks what it received and as much again.
        #[default]
        Held = "held",
        /// All cash, what shorts brought in included, asked for once when an order is submitted and again when it fills.
        Free = "free",
        /// All cash when an order fills; a purchase that it does not cover is cut down to what it does.
        Shrink = "shrink",
    }

    /// What positions are held as.
    Product {
        /// They may stay over night.
        #[default]
        Delivery = "delivery",
        /// The broker squares them off before the session ends.
        Intraday = "intraday",
    }
}

choices! {
    /// Who fills a session's orders.
    Venue {
        /// Our own exchange, here.
        #[default]
        Simulated = "simulated",
        /// A networked broker, by its word.
        Broker = "broker",
        /// Our own exchange, in the place of a broker: asked in the terms that a broker takes.
        LikeBroker = "like-broker",
    }

    /// What is done where a broker's books differ from ours.
    Reconcile {
        /// The broker's positions are taken over.
        Adopt = "adopt",
        /// They are taken over and left at once; no new risk.
        Flatten = "flatten",
        /// No new risk until the operator resumes.
        #[default]
        Halt = "halt",
    }
}

/// Where the protective stop of a position belongs, where the strategy does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtectiveStop {
    /// Nowhere: positions stand as their strategy leaves them.
    #[default]
    None,
    /// So many percent from the price of the decision.
    Percent(Ratio),
    /// So many average true ranges of 14 bars from it.
    Ranges(Ratio),
}

impl Value for ProtectiveStop {
    fn read(text: &str) -> Option<Self> {
        let above_zero = |text: &str| text.parse().ok().filter(|number: &Ratio| number.0 > 0);
        match text.split_once(':') {
            None => (text == NONE).then_some(Self::None),
            Some(("percent", percent)) => {
                above_zero(percent).filter(|percent| percent.0 < 100 * SCALE).map(Self::Percent)
            }
            Some(("atr", multiple)) => above_zero(multiple).map(Self::Ranges),
            Some(_) => None,
        }
    }
    fn print(&self) -> String {
        match self {
            Self::None => NONE.to_owned(),
            Self::Percent(percent) => format!("percent:{percent}"),
            Self::Ranges(multiple) => format!("atr:{multiple}"),
        }
    }
}

/// How much there is to trade on a candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Liquidity {
    /// What the candle's volume and the participation cap allow.
    #[default]
    Volume,
    /// The same on every candle.
    Constant(Quantity),
    /// A pool that orders empty; with each candle a part of its size comes back.
    Depleting(Quantity, BasisPoints),
}

impl Value for Liquidity {
    fn read(text: &str) -> Option<Self> {
        let size = |text: &str| text.parse().ok().filter(|size: &Quantity| size.0 > 0);
        match text.split(':').collect::<Vec<_>>()[..] {
            ["volume"] => Some(Self::Volume),
            ["constant", most] => size(most).map(Self::Constant),
            ["depleting", most, back] => {
                let back = back.parse().ok().filter(|bps: &BasisPoints| (0..=10_000 * SCALE).contains(&bps.0))?;
                Some(Self::Depleting(size(most)?, back))
            }
            _ => None,
        }
    }
    fn print(&self) -> String {
        match self {
            Self::Volume => "volume".to_owned(),
            Self::Constant(most) => format!("constant:{most}"),
            Self::Depleting(most, back) => format!("depleting:{most}:{back}"),
        }
    }
}

/// Values of single symbols, written `SYMBOL:value,SYMBOL:value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BySymbol<T>(BTreeMap<String, T>);

impl<T> Default for BySymbol<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> BySymbol<T> {
    /// These values.
    pub(crate) const fn of(values: BTreeMap<String, T>) -> Self {
        Self(values)
    }

    /// Symbols with their values, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(symbol, value)| (symbol.as_str(), value))
    }

    /// The symbol's own value, where it has one.
    pub fn get(&self, symbol: &str) -> Option<&T> {
        self.0.get(symbol)
    }

    /// The symbols that have a value of their own, sorted.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// True when no symbol has a value of its own.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Value> Value for BySymbol<T> {
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text == NONE {
            return Some(Self::default());
        }
        let mut values = BTreeMap::new();
        for pair in text.split(',') {
            let (symbol, value) = pair.split_once(':').filter(|(symbol, _)| !symbol.is_empty())?;
            // Twice the same symbol is more likely a slip than a wish.
            if values.insert(symbol.to_owned(), T::read(value)?).is_some() {
                return None;
            }
        }
        Some(Self(values))
    }

    fn print(&self) -> String {
        if self.0.is_empty() {
            return NONE.to_owned();
        }
        let pairs: Vec<_> = self.0.iter().map(|(symbol, value)| format!("{symbol}:{}", value.print())).collect();
        pairs.join(",")
    }
}

/// Two bounds in basis points, written `LOW:HIGH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpsRange {
    /// The lower one, above zero.
    pub low: u32,
    /// The upper one, at most 10,000.
    pub high: u32,
}

impl Value for BpsRange {
    fn read(text: &str) -> Option<Self> {
        let (low, high) = text.split_once(':')?;
        let (low, high) = (u32::read(low)?, u32::read(high)?);
        (0 < low && low <= high && high <= 10_000).then_some(Self { low, high })
    }
    fn print(&self) -> String {
        format!("{}:{}", self.low, self.high)
    }
}

/// Some symbols, or all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Symbols {
    /// None.
    #[default]
    None,
    /// Every symbol there is.
    All,
    /// These.
    Some(BTreeSet<String>),
}

impl Symbols {
    /// True for one of them.
    pub fn contains(&self, symbol: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(names) => names.contains(symbol),
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::None
    }
}

impl Value for Symbols {
    fn read(text: &str) -> Option<Self> {
        match text {
            "" | NONE => return Some(Self::None),
            "all" => return Some(Self::All),
            _ => {}
        }
        let names: BTreeSet<String> = text.split(',').map(str::to_owned).collect();
        let plain = |name: &String| !name.is_empty() && !name.contains(char::is_whitespace);
        // Twice the same symbol is more likely a slip than a wish.
        (names.iter().all(plain) && names.len() == text.split(',').count()).then_some(Self::Some(names))
    }

    fn print(&self) -> String {
        match self {
            Self::None => NONE.to_owned(),
            Self::All => "all".to_owned(),
            Self::Some(names) => names.iter().cloned().collect::<Vec<_>>().join(","),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_read_back() {
        for text in ["none", "all", "M&M", "IDEA,TCS"] {
            assert_eq!(Symbols::read(text).unwrap().print(), text);
        }
        let some = Symbols::read("TCS,IDEA").unwrap();
        assert_eq!((some.contains("TCS"), some.contains("X"), Symbols::All.contains("X")), (true, false, true));
        for bad in ["TCS,", ",TCS", "TCS,TCS", "T CS"] {
            assert!(Symbols::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn values_by_symbol_read_back() {
        for text in ["none", "IDEA:1000", "IDEA:1000,M&M:none"] {
            let values = BySymbol::<Option<u32>>::read(text).unwrap();
            assert_eq!(values.print(), text);
        }
        let values = BySymbol::<Option<u32>>::read("M&M:none,IDEA:1000").unwrap();
        assert_eq!((values.get("IDEA"), values.get("M&M"), values.get("X")), (Some(&Some(1_000)), Some(&None), None));
        for bad in ["IDEA", ":5", "IDEA:x", "IDEA:5,", "IDEA:5,IDEA:6"] {
            assert!(BySymbol::<Option<u32>>::read(bad).is_none(), "{bad}");
        }
    }
}
