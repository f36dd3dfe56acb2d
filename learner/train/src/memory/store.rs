//! The memory itself: transitions side by side, a table of trades, and the matrix of features that both point into.
//!
//! - Transitions of a decision time lie together, one per symbol, in symbol order.
//! - It is built once and never changed; its hash names it.
//! - Must never: hand out a transition of the hold-out to training (see `training.rs`).

use daybook_features::{FEATURES, FeatureMarket, feature_spec_hash};
use daybook_vocabulary::{Label, Money, Nanos, OrderId, Price, Ratio, Side, TradeClosed};
use serde::{Deserialize, Serialize};
use std::fmt;

use super::RewardFormula;

/// A half-open range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First instant.
    pub from: Nanos,
    /// First instant after it.
    pub until: Nanos,
}

impl Span {
    /// All of time.
    pub const ALL: Self = Self { from: Nanos::MIN, until: Nanos::MAX };

    /// True when it holds an instant.
    pub fn contains(&self, at: Nanos) -> bool {
        self.from <= at && at < self.until
    }

    /// True when both hold an instant.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |at: Nanos| match at {
            Nanos::MIN => "the beginning".to_owned(),
            Nanos::MAX => "the end".to_owned(),
            at => at.to_string(),
        };
        write!(out, "{} until {}", bound(self.from), bound(self.until))
    }
}

impl std::str::FromStr for Span {
    type Err = String;
    /// Reads what [`Span`] prints.
    fn from_str(text: &str) -> Result<Self, String> {
        let bound = |part: &str| match part {
            "the beginning" => Ok(Nanos::MIN),
            "the end" => Ok(Nanos::MAX),
            time => time.parse().map_err(|error| format!("{time:?} is no time: {error}")),
        };
        let (from, until) = text.split_once(" until ").ok_or_else(|| format!("{text:?} is not TIME until TIME"))?;
        Ok(Self { from: bound(from)?, until: bound(until)? })
    }
}

/// Whether and why a transition is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Counted {
    /// It is.
    Yes,
    /// The rules decided alone: the session was too old, an order still worked, or the policy withheld its word.
    NotAsked,
    /// Its trade had no stop on the losing side, so that it has no R.
    NoRisk,
    /// Its trade was still open at the end, or already open at the beginning, or shares the transition with another.
    Unfinished,
}

/// One symbol at one decision time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// What the symbol made until the next decision, net of charges, in units of 1e-8.
    pub money: i64,
    /// The same over the trade's initial risk.
    pub reward: f32,
    /// Its trade, if any: a place in the table of trades.
    pub trade: u32,
    /// The next decision time; [`Transition::NONE`] at the end of an episode.
    pub next: u32,
    /// 0 BUY, 1 SELL, 2 HOLD, as it was done.
    pub action: u8,
    /// Whether it is learned from.
    pub counted: Counted,
}

impl Transition {
    /// No trade, no next decision.
    pub const NONE: u32 = u32::MAX;
}

/// A trade as the core journaled it, and the five metrics of its life, which stand for every transition of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TradeRecord {
    /// The symbol, by its place.
    pub symbol: u32,
    /// Side of the entry.
    pub side: Side,
    /// Order of the first entry fill, and of the last exit fill.
    pub orders: [OrderId; 2],
    /// Why it was entered, and why it was left.
    pub reasons: [Label; 2],
    /// The first stop that protected it.
    pub stop: Option<Price>,
    /// The lowest and the highest price while it was open.
    pub range: Option<[Price; 2]>,
    /// When it was entered, at the exchange.
    pub entered: Nanos,
    /// When it was left, at the exchange.
    pub left: Nanos,
    /// Average entry price.
    pub entry_price: Price,
    /// Average exit price.
    pub exit_price: Price,
    /// Profit net of charges.
    pub net: Money,
    /// Initial risk per share × quantity; none without a stop on the losing side.
    pub risk: Option<Money>,
    /// R multiple.
    pub r_multiple: Option<Ratio>,
    /// Maximum adverse excursion in R.
    pub mae_r: Option<Ratio>,
    /// Percent of the maximum favourable excursion captured.
    pub mfe_captured: Option<Ratio>,
    /// Implementation shortfall, percent of the initial risk.
    pub shortfall: Option<Ratio>,
    /// Plan adherence, percent.
    pub adherence: Option<Ratio>,
}

impl TradeRecord {
    /// What a closed trade is measured by.
    pub fn of(symbol: usize, trade: &TradeClosed) -> Self {
        Self {
            symbol: symbol as u32,
            side: trade.side,
            orders: [trade.entry_order, trade.exit_order],
            reasons: [trade.entry_reason, trade.exit_reason],
            stop: trade.measures.and_then(|measures| measures.stop),
            range: trade.measures.map(|measures| [measures.low, measures.high]),
            entered: trade.entry_time,
            left: trade.exit_time,
            entry_price: trade.entry_price,
            exit_price: trade.exit_price,
            net: trade.net(),
            risk: trade.initial_risk(),
            r_multiple: trade.r_multiple(),
            mae_r: trade.mae_r(),
            mfe_captured: trade.mfe_captured(),
            shortfall: trade.shortfall(),
            adherence: trade.adherence(),
        }
    }
}

/// Everything that was remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    pub(super) symbols: Vec<String>,
    pub(super) features: FeatureMarket,
    /// When each decision was made.
    pub(super) times: Vec<Nanos>,
    /// By decision, timeframe and symbol: the last row of the window.
    pub(super) places: Vec<u32>,
    /// By decision and symbol.
    pub(super) transitions: Vec<Transition>,
    pub(super) trades: Vec<TradeRecord>,
    /// Decision times at which some symbol lacked features.
    pub(super) withheld: u64,
    pub(super) holdout: Option<Span>,
    pub(super) formula: RewardFormula,
}

impl Memory {
    /// Symbols, in order.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// The shared matrix.
    pub fn features(&self) -> &FeatureMarket {
        &self.features
    }

    /// When each decision was made.
    pub fn times(&self) -> &[Nanos] {
        &self.times
    }

    /// All transitions: symbol `s` of decision `d` at `d × symbols + s`. For looking at, not for training: that goes
    /// through [`super::TrainingSet`], which knows what is held out.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// Trades that closed, in order.
    pub fn trades(&self) -> &[TradeRecord] {
        &self.trades
    }

    /// The metrics that stand on a transition.
    pub fn trade_of(&self, transition: &Transition) -> Option<&TradeRecord> {
        self.trades.get(transition.trade as usize)
    }

    /// Decision times at which some symbol lacked features.
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// What is held out.
    pub fn holdout(&self) -> Option<Span> {
        self.holdout
    }

    /// The formula of its rewards.
    pub fn formula(&self) -> RewardFormula {
        self.formula
    }

    /// True when what was read back fits together, whatever the bytes were.
    pub(super) fn is_sound(&self) -> bool {
        let (symbols, timeframes) = (self.symbols.len(), self.features.timeframes());
        if symbols == 0 || !self.features.is_sound(symbols) {
            return false;
        }
        let decisions = self.times.len();
        let place = |(index, last): (usize, &u32)| {
            let (timeframe, symbol) = (index / symbols % timeframes.len(), index % symbols);
            let rows = self.features.rows(symbol, timeframe).keys().len();
            (timeframes[timeframe].lookback..=rows).contains(&(*last as usize + 1))
        };
        let transition = |one: &Transition| {
            one.action < 3
                && (one.next == Transition::NONE || (one.next as usize) < decisions)
                && (one.trade == Transition::NONE || (one.trade as usize) < self.trades.len())
        };
        self.transitions.len() == decisions * symbols
            && self.places.len() == decisions * symbols * timeframes.len()
            && self.times.is_sorted()
            && self.places.iter().enumerate().all(place)
            && self.transitions.iter().all(transition)
            && self.trades.iter().all(|trade| (trade.symbol as usize) < symbols)
    }

    /// Bytes that a transition takes, its share of decision time, places and sampling included, features aside.
    pub fn bytes_per_transition(&self) -> usize {
        let per_decision = size_of::<Nanos>() + 2 * size_of::<f64>() + 2 * size_of::<u32>();
        let places = self.features.timeframes().len() * size_of::<u32>();
        size_of::<Transition>() + places + per_decision.div_ceil(self.symbols.len().max(1))
    }

    /// Windows of a decision: for each timeframe, for each symbol, its rows, oldest first.
    pub fn windows(&self, decision: usize) -> Vec<Vec<&[f32]>> {
        let (symbols, timeframes) = (self.symbols.len(), self.features.timeframes());
        let places = &self.places[decision * symbols * timeframes.len()..];
        let of = |(place, timeframe): (usize, &daybook_features::Timeframe)| {
            let rows = |symbol: usize| {
                let last = places[place * symbols + symbol] as usize;
                self.features.rows(symbol, place).ending(last, timeframe.lookback)
            };
            (0..symbols).map(rows).collect()
        };
        timeframes.iter().enumerate().map(of).collect()
    }

    /// When the oldest row of a decision's windows was known.
    pub(super) fn looks_back_to(&self, decision: usize) -> Nanos {
        let (symbols, timeframes) = (self.symbols.len(), self.features.timeframes());
        let places = &self.places[decision * symbols * timeframes.len()..];
        let known = |place: usize, symbol: usize| {
            let first = places[place * symbols + symbol] as usize + 1 - timeframes[place].lookback;
            self.features.rows(symbol, place).keys()[first].known
        };
        let all = (0..timeframes.len()).flat_map(|place| (0..symbols).map(move |symbol| known(place, symbol)));
        all.min().unwrap_or(Nanos::MIN)
    }

    /// blake3 of all that training can see: formula, specification, rows, transitions.
    pub fn content_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.formula.name().as_bytes());
        hasher.update(&self.formula.version().to_le_bytes());
        hasher.update(&feature_spec_hash().0);
        for symbol in &self.symbols {
            hasher.update(symbol.as_bytes());
            hasher.update(b"\n");
        }
        let mut bytes = Vec::new();
        for symbol in 0..self.symbols.len() {
            for place in 0..self.features.timeframes().len() {
                for row in self.features.rows(symbol, place).values().chunks(FEATURES * 1_024) {
                    bytes.clear();
                    bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
                    hasher.update(&bytes);
                }
            }
        }
        for transition in &self.transitions {
            hasher.update(&transition.money.to_le_bytes());
            hasher.update(&transition.reward.to_le_bytes());
            hasher.update(&transition.next.to_le_bytes());
            hasher.update(&[transition.action, transition.counted as u8]);
        }
        self.times.iter().for_each(|at| {
            hasher.update(&at.0.to_le_bytes());
        });
        self.places.iter().for_each(|place| {
            hasher.update(&place.to_le_bytes());
        });
        let held = self.holdout.unwrap_or(Span { from: Nanos::MAX, until: Nanos::MIN });
        hasher.update(&held.from.0.to_le_bytes());
        hasher.update(&held.until.0.to_le_bytes());
        hasher.finalize().to_hex().to_string()
    }
}
