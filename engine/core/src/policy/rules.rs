//! The decision rules a to g, as one pure function from facts to a ruling.
//!
//! a. before the safe start: nothing (the runner does not even ask the policy);
//! b. the symbol of maximum confidence: of equals one without an open trade, then the first by symbol;
//! c. after the safe end with an open trade: leave;
//! d. long, and SELL or the price below the trailing stop: leave;
//! e. short, and BUY or the price above the trailing stop: leave;
//! f. flat, fewer open trades than allowed, the symbol of maximum confidence, BUY: enter long, if the capital buys a lot;
//! g. the same with SELL: enter short.
//!
//! - Rules are tried in this order; the first that applies decides.
//! - Where more than one reason keeps an entry from happening, the first of f's list is told.
//! - A pure function of its facts; a test enumerates all of them.

use super::Word;
use crate::exits::Stop;
use daybook_vocabulary::{Action, InstrumentId, Price, Ruling, Side};

/// What the rules look at, for one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The time is at or past the safe end.
    pub after_end: bool,
    /// Side of the open trade.
    pub open: Option<Side>,
    /// An order that enters, or leaves at once, still works.
    pub pending: bool,
    /// What the policy says; none where it withheld its word.
    pub action: Option<Action>,
    /// Close of the symbol's bar.
    pub price: Price,
    /// The trailing stop of the open trade.
    pub stop: Option<Stop>,
    /// Fewer trades are open than may be.
    pub room: bool,
    /// The symbol of maximum confidence.
    pub chosen: bool,
    /// The capital buys at least a lot.
    pub affordable: bool,
    /// A first stop is known for the side that would be entered.
    pub protected: bool,
}

/// What the rules make of the facts.
pub fn ruling(facts: &Facts) -> Ruling {
    if facts.pending {
        return Ruling::Pending;
    }
    match facts.open {
        Some(_) if facts.after_end => Ruling::ExitAtEnd,
        Some(side) => leave(facts, side),
        None if facts.after_end => Ruling::AfterEnd,
        None => enter(facts),
    }
}

fn leave(facts: &Facts, side: Side) -> Ruling {
    let broken = facts.stop.is_some_and(|stop| stop.is_broken(facts.price));
    match (side, facts.action) {
        (Side::Buy, Some(Action::Sell)) => Ruling::ExitLongSignal,
        (Side::Sell, Some(Action::Buy)) => Ruling::ExitShortSignal,
        (Side::Buy, _) if broken => Ruling::ExitLongStop,
        (Side::Sell, _) if broken => Ruling::ExitShortStop,
        _ => Ruling::Keep,
    }
}

fn enter(facts: &Facts) -> Ruling {
    let ruling = match facts.action {
        None => return Ruling::Withheld,
        Some(Action::Hold) => Ruling::Hold,
        Some(Action::Buy) => Ruling::EnterLong,
        Some(Action::Sell) => Ruling::EnterShort,
    };
    if !facts.room {
        Ruling::TooManyTrades
    } else if !facts.chosen {
        Ruling::NotChosen
    } else if ruling == Ruling::Hold {
        Ruling::Hold
    } else if !facts.protected {
        Ruling::NoStop
    } else if !facts.affordable {
        Ruling::BelowOneLot
    } else {
        ruling
    }
}

/// Rule b: the symbol of maximum confidence. Of equals one without an open trade, then the first by symbol (instruments
/// are numbered in the order of their symbols).
pub fn surest(words: &[Option<Word>], is_open: impl Fn(InstrumentId) -> bool) -> Option<InstrumentId> {
    let mut best: Option<(InstrumentId, Word, bool)> = None;
    for (index, word) in words.iter().enumerate() {
        let (Some(word), id) = (word, InstrumentId(index as u32)) else { continue };
        let flat = !is_open(id);
        let better = best.as_ref().is_none_or(|(_, most, most_flat)| {
            word.confidence > most.confidence || (word.confidence == most.confidence && flat && !most_flat)
        });
        if better {
            best = Some((id, *word, flat));
        }
    }
    best.map(|(id, ..)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::{Hash, ModelNumber, Ratio};
    use std::collections::BTreeMap;

    /// The rules once more, each as its own sentence, tried in the order of their letters.
    fn by_the_letter(facts: &Facts) -> Ruling {
        let (long, short) = (facts.open == Some(Side::Buy), facts.open == Some(Side::Sell));
        let (buy, sell) = (facts.action == Some(Action::Buy), facts.action == Some(Action::Sell));
        let below = facts.stop.is_some_and(|stop| facts.price < stop.price);
        let above = facts.stop.is_some_and(|stop| facts.price > stop.price);
        let table = [
            (facts.pending, Ruling::Pending),
            (facts.after_end && (long || short), Ruling::ExitAtEnd),
            (facts.after_end, Ruling::AfterEnd),
            (long && sell, Ruling::ExitLongSignal),
            (long && below, Ruling::ExitLongStop),
            (short && buy, Ruling::ExitShortSignal),
            (short && above, Ruling::ExitShortStop),
            (long || short, Ruling::Keep),
            (facts.action.is_none(), Ruling::Withheld),
            (!facts.room, Ruling::TooManyTrades),
            (!facts.chosen, Ruling::NotChosen),
            (!buy && !sell, Ruling::Hold),
            (!facts.protected, Ruling::NoStop),
            (!facts.affordable, Ruling::BelowOneLot),
            (buy, Ruling::EnterLong),
            (sell, Ruling::EnterShort),
        ];
        table.into_iter().find(|(applies, _)| *applies).unwrap().1
    }

    /// RL-44: the mask of a state. Of the three words a state lets through what it can do, whatever the policy is (a network
    /// that knows nothing of positions, or another behind the same trait): no word ever adds to a trade or turns it.
    #[test]
    fn a_state_lets_through_what_it_can_do() {
        let facts = |open, action| Facts {
            after_end: false,
            open,
            pending: false,
            action: Some(action),
            price: Price(100),
            stop: None,
            room: true,
            chosen: true,
            affordable: true,
            protected: true,
        };
        use Action::{Buy, Hold, Sell};
        for (open, action, expected) in [
            (None, Buy, Ruling::EnterLong),
            (None, Sell, Ruling::EnterShort),
            (None, Hold, Ruling::Hold),
            (Some(Side::Buy), Buy, Ruling::Keep),
            (Some(Side::Buy), Sell, Ruling::ExitLongSignal),
            (Some(Side::Buy), Hold, Ruling::Keep),
            (Some(Side::Sell), Buy, Ruling::ExitShortSignal),
            (Some(Side::Sell), Sell, Ruling::Keep),
            (Some(Side::Sell), Hold, Ruling::Keep),
        ] {
            assert_eq!(ruling(&facts(open, action)), expected, "{open:?} {action:?}");
        }
    }

    /// RL-16, RL-26, RL-36: every branch, over all 20,736 combinations of facts; each ruling is met.
    #[test]
    fn every_branch_of_the_rules() {
        let mut met: BTreeMap<Ruling, u32> = BTreeMap::new();
        let flags = [false, true];
        let actions = [None, Some(Action::Buy), Some(Action::Sell), Some(Action::Hold)];
        for open in [None, Some(Side::Buy), Some(Side::Sell)] {
            for action in actions {
                for bits in 0..64u32 {
                    let flag = |bit: u32| flags[(bits >> bit & 1) as usize];
                    for price in [99, 100, 101] {
                        for stop in [None, Some(100), Some(0)] {
                            let side = open.unwrap_or(Side::Buy);
                            let facts = Facts {
                                after_end: flag(0),
                                open,
                                pending: flag(1),
                                action,
                                price: Price(price),
                                stop: stop.filter(|_| open.is_some()).map(|stop| Stop { side, price: Price(stop) }),
                                room: flag(2),
                                chosen: flag(3),
                                affordable: flag(4),
                                protected: flag(5),
                            };
                            let ruling = ruling(&facts);
                            assert_eq!(ruling, by_the_letter(&facts), "{facts:?}");
                            *met.entry(ruling).or_default() += 1;
                        }
                    }
                }
            }
        }
        let missing: Vec<_> = Ruling::ALL.iter().filter(|ruling| !met.contains_key(ruling)).collect();
        assert!(missing.is_empty(), "never met: {missing:?}");
    }

    #[test]
    fn a_price_at_the_stop_stays_and_one_beyond_leaves() {
        let facts = Facts {
            after_end: false,
            open: Some(Side::Sell),
            pending: false,
            action: Some(Action::Hold),
            price: Price(100),
            stop: Some(Stop { side: Side::Sell, price: Price(100) }),
            room: true,
            chosen: true,
            affordable: true,
            protected: true,
        };
        assert_eq!(ruling(&facts), Ruling::Keep);
        assert_eq!(ruling(&Facts { price: Price(101), ..facts }), Ruling::ExitShortStop);
    }

    /// RL-14, RL-16 b: ties, one by one.
    #[test]
    fn the_surest_symbol_and_its_ties() {
        let word = |confidence: i64| {
            let q = [ModelNumber::default(); 3];
            Some(Word { action: Action::Hold, confidence: Ratio(confidence), q, features: Hash::default() })
        };
        let surest_of = |confidences: [i64; 4], open: &[u32]| {
            let words = confidences.map(|confidence| if confidence < 0 { None } else { word(confidence) });
            surest(&words, |id| open.contains(&id.0)).map(|id| id.0)
        };
        assert_eq!(surest_of([-1, -1, -1, -1], &[]), None, "nobody spoke");
        assert_eq!(surest_of([1, 3, 2, 0], &[]), Some(1));
        assert_eq!(surest_of([1, 3, 2, 0], &[1]), Some(1), "an open trade gives way in a tie only");
        assert_eq!(surest_of([3, 3, 3, 0], &[]), Some(0), "the first by symbol");
        assert_eq!(surest_of([3, 3, 3, 0], &[0]), Some(1), "one without an open trade");
        assert_eq!(surest_of([3, 3, 3, 0], &[0, 1]), Some(2));
        assert_eq!(surest_of([3, 3, 3, 0], &[0, 1, 2]), Some(0), "all have one: the first by symbol again");
        assert_eq!(surest_of([0, -1, 0, 0], &[0]), Some(2), "no confidence at all is a tie as well");
    }
}
