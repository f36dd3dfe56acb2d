//! From decisions, books and closed trades to transitions.
//!
//! - At each decision it takes what every symbol has made so far; the difference to the last decision is that
//!   transition's money. So nothing can be counted twice or be lost, whatever happened in between.
//! - Rewards are worked out when a trade closes, because only then its initial risk is final.
//! - Each trade's money is added up and compared with its profit, exactly, before anything is divided.

use super::store::{Counted, Memory, Span, TradeRecord, Transition};
use super::{MemoryError, RewardFormula};
use daybook_features::FeatureMarket;
use daybook_features::spec::Moment;
use daybook_vocabulary::{Money, Nanos, TradeClosed};

/// What was done with a symbol at a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// 0 BUY, 1 SELL, 2 HOLD.
    pub action: u8,
    /// False where the policy had no say.
    pub asked: bool,
}

/// What a symbol has made so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Of its open trade: profit taken, plus what is held at its last price, less charges.
    pub open: Money,
    /// A trade is open.
    pub in_trade: bool,
}

/// One symbol's life between decisions.
#[derive(Debug, Clone, Default)]
struct Course {
    /// The transition that waits for its money, and what the symbol had made at it.
    last: Option<(usize, Money)>,
    /// Profit of closed trades.
    closed: Money,
    /// Transitions of the open trade so far.
    of_trade: Vec<usize>,
    /// Trades that closed since the last decision.
    just_closed: Vec<u32>,
    /// A trade was open when the memory began to look; its money is not whole.
    began_inside: bool,
}

/// Builds a memory.
#[derive(Debug)]
pub struct MemoryBuilder {
    symbols: Vec<String>,
    timeframes: usize,
    courses: Vec<Course>,
    times: Vec<Nanos>,
    places: Vec<u32>,
    transitions: Vec<Transition>,
    trades: Vec<TradeRecord>,
    withheld: u64,
    formula: RewardFormula,
}

impl MemoryBuilder {
    /// A memory of these symbols, in order.
    pub fn new(symbols: Vec<String>, timeframes: usize) -> Self {
        let courses = vec![Course::default(); symbols.len()];
        let (times, places, transitions, trades) = Default::default();
        let formula = RewardFormula::default();
        Self { symbols, timeframes, courses, times, places, transitions, trades, withheld: 0, formula }
    }

    /// The same with another formula of the reward.
    pub fn rewarding(self, formula: RewardFormula) -> Self {
        Self { formula, ..self }
    }

    /// A trade closed.
    pub fn close(&mut self, symbol: usize, trade: &TradeClosed) {
        let course = &mut self.courses[symbol];
        course.just_closed.push(self.trades.len() as u32);
        course.closed += trade.net();
        self.trades.push(TradeRecord::of(symbol, trade));
    }

    /// A decision: what was done with each symbol and how each stands. Where a symbol lacks features the decision time is
    /// left out, and what happens until the next one belongs to the one before.
    pub fn decide(
        &mut self,
        features: &FeatureMarket,
        moment: &Moment,
        done: &[Done],
        standing: &[Standing],
    ) -> Result<(), MemoryError> {
        assert!(done.len() == self.symbols.len() && standing.len() == self.symbols.len(), "one of each per symbol");
        let begin = self.places.len();
        for timeframe in 0..self.timeframes {
            let length = features.timeframes()[timeframe].lookback;
            for symbol in 0..self.symbols.len() {
                match features.rows(symbol, timeframe).find(moment, length) {
                    Ok(last) => self.places.push(last as u32),
                    Err(_) => {
                        self.places.truncate(begin);
                        self.withheld += 1;
                        return Ok(());
                    }
                }
            }
        }
        let decision = self.times.len() as u32;
        for (symbol, (done, standing)) in done.iter().zip(standing).enumerate() {
            self.settle(symbol, standing, decision)?;
            let course = &mut self.courses[symbol];
            course.began_inside |= course.last.is_none() && standing.in_trade;
            course.last = Some((self.transitions.len(), course.closed + standing.open));
            self.transitions.push(Transition {
                money: 0,
                reward: 0.0,
                trade: Transition::NONE,
                next: Transition::NONE,
                action: done.action,
                counted: if done.asked { Counted::Yes } else { Counted::NotAsked },
            });
        }
        self.times.push(moment.at);
        Ok(())
    }

    /// A session closed: the episode of every symbol that is flat ends.
    pub fn end_session(&mut self, standing: &[Standing]) -> Result<(), MemoryError> {
        for (symbol, standing) in standing.iter().enumerate().filter(|(_, standing)| !standing.in_trade) {
            self.settle(symbol, standing, Transition::NONE)?;
            self.courses[symbol].last = None;
        }
        Ok(())
    }

    /// Gives the waiting transition of a symbol its money, and the transitions of a trade that closed their rewards.
    fn settle(&mut self, symbol: usize, standing: &Standing, next: u32) -> Result<(), MemoryError> {
        let course = &mut self.courses[symbol];
        let closed = std::mem::take(&mut course.just_closed);
        if let Some((place, made)) = course.last {
            let money = course.closed + standing.open - made;
            let transition = &mut self.transitions[place];
            transition.next = next;
            // 2^63 units are 92 thousand million of currency; a change that large is damage, and is kept out.
            match i64::try_from(money.0) {
                Ok(money) => transition.money = money,
                Err(_) => transition.counted = Counted::Unfinished,
            }
            if !closed.is_empty() || standing.in_trade {
                course.of_trade.push(place);
            }
        }
        if closed.is_empty() {
            return Ok(());
        }
        let places = std::mem::take(&mut course.of_trade);
        let whole = course.last.is_some() && !course.began_inside;
        course.began_inside = standing.in_trade;
        match closed.as_slice() {
            [trade] if whole && !standing.in_trade => self.reward(symbol, *trade, &places),
            // It began before the first decision that was kept, or another trade shares a transition with it (a symbol
            // may lack features for a while): money that cannot be told apart is not learned from.
            _ => {
                places.iter().for_each(|&place| self.transitions[place].counted = Counted::Unfinished);
                Ok(())
            }
        }
    }

    /// The rewards of a closed trade.
    fn reward(&mut self, symbol: usize, trade: u32, places: &[usize]) -> Result<(), MemoryError> {
        let record = &self.trades[trade as usize];
        let sum: Money = places.iter().map(|&place| Money(self.transitions[place].money.into())).sum();
        if sum != record.net {
            let (symbol, at) = (self.symbols[symbol].clone(), record.left);
            return Err(MemoryError::Identity { symbol, at, sum, net: record.net });
        }
        let brought: Vec<i64> = places.iter().map(|&place| self.transitions[place].money).collect();
        for (&place, money) in places.iter().zip(self.formula.money(&brought)) {
            let transition = &mut self.transitions[place];
            transition.trade = trade;
            match record.risk {
                Some(risk) => transition.reward = (money as f64 / risk.0 as f64) as f32,
                None => transition.counted = Counted::NoRisk,
            }
        }
        Ok(())
    }

    /// The memory. Transitions of trades that are still open are not learned from.
    pub fn finish(mut self, features: FeatureMarket, holdout: Option<Span>) -> Memory {
        for course in &self.courses {
            let waiting = course.last.map(|(place, _)| place);
            for place in course.of_trade.iter().copied().chain(waiting) {
                self.transitions[place].counted = Counted::Unfinished;
            }
        }
        self.transitions.shrink_to_fit();
        self.places.shrink_to_fit();
        Memory {
            symbols: self.symbols,
            features,
            times: self.times,
            places: self.places,
            transitions: self.transitions,
            trades: self.trades,
            withheld: self.withheld,
            holdout,
            formula: self.formula,
        }
    }
}
