//! ε-greedy exploration: with probability ε an action at random, else what the policy inside says.
//!
//! - Random numbers come from the seed of the session's header, by name, so an audit draws them again.
//! - ε falls in a straight line from its first to its last value over so many decision times.
//! - A word is withheld where features are not complete, explored or not: exploration is no guess about missing data.
//! - Must never: be what trades live; it is for memories.

use crate::Random;
use daybook_core::SessionHours;
use daybook_core::policy::{Policy, PolicyFeatures, PolicySlice, Word};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Action, Candle, Hash, InstrumentId, ModelNumber, Ratio};
use serde::{Deserialize, Serialize};

/// How ε falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epsilon {
    /// At the first decision time.
    pub first: f64,
    /// From `over` on.
    pub last: f64,
    /// Decision times in between.
    pub over: u64,
}

impl Epsilon {
    /// Always at random.
    pub const RANDOM: Self = Self { first: 1.0, last: 1.0, over: 1 };
    /// The usual course: 0.10 to 0.01 over 50,000 decision times.
    pub const USUAL: Self = Self { first: 0.10, last: 0.01, over: 50_000 };

    /// ε at a decision time.
    pub fn at(&self, decision: u64) -> f64 {
        let part = (decision as f64 / self.over.max(1) as f64).min(1.0);
        self.first + (self.last - self.first) * part
    }
}

/// A policy that explores.
pub struct Exploring {
    features: PolicyFeatures,
    inside: Option<Box<dyn Policy>>,
    epsilon: Epsilon,
    drawn: Drawn,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Drawn {
    random: Random,
    decisions: u64,
}

impl Exploring {
    /// Explores around `inside`, or always at random without one. `seed` is the header's.
    pub fn new(features: PolicyFeatures, inside: Option<Box<dyn Policy>>, epsilon: Epsilon, seed: u64) -> Self {
        let drawn = Drawn { random: Random::named(seed, "exploration"), decisions: 0 };
        Self { features, inside, epsilon, drawn }
    }

    /// An action and a confidence at random.
    fn word(random: &mut Random) -> Word {
        let action = [Action::Buy, Action::Sell, Action::Hold][random.below(3) as usize];
        let confidence = Ratio(random.below(SCALE as u64 + 1) as i64);
        Word { action, confidence, q: [ModelNumber::default(); 3], features: Hash::default() }
    }
}

impl Policy for Exploring {
    fn model(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"daybook exploring 1");
        for value in [self.epsilon.first, self.epsilon.last, self.epsilon.over as f64] {
            hasher.update(&value.to_le_bytes());
        }
        hasher.update(&self.inside.as_ref().map(|inside| inside.model()).unwrap_or_default().0);
        Hash(*hasher.finalize().as_bytes())
    }

    fn warmup(&self) -> u32 {
        self.inside.as_ref().map_or(0, |inside| inside.warmup())
    }

    fn on_session(&mut self, session: &SessionHours) {
        self.features.on_session(session);
        if let Some(inside) = &mut self.inside {
            inside.on_session(session);
        }
    }

    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle) {
        self.features.on_bar(instrument, bar);
        if let Some(inside) = &mut self.inside {
            inside.on_bar(instrument, bar);
        }
    }

    fn infer(&mut self, slice: &PolicySlice<'_>, words: &mut [Option<Word>]) {
        let Some(moment) = self.features.moment(slice.now) else { return };
        if self.features.market().ready(&moment).is_err() {
            return;
        }
        let epsilon = self.epsilon.at(self.drawn.decisions);
        self.drawn.decisions += 1;
        if let Some(inside) = &mut self.inside {
            inside.infer(slice, words);
        }
        for id in slice.fresh {
            // Drawn whether or not it is used, so that one symbol's fate does not move the others' numbers.
            let (explores, word) = (self.drawn.random.chance(epsilon), Self::word(&mut self.drawn.random));
            if explores || self.inside.is_none() {
                words[id.index()] = Some(word);
            }
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        let mut inside = Vec::new();
        if let Some(policy) = &self.inside {
            policy.save(&mut inside);
        }
        let mut features = Vec::new();
        self.features.save(&mut features);
        let saved = (&self.drawn, features, inside);
        *out = postcard::to_extend(&saved, std::mem::take(out)).expect("what it remembers is plain data");
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        let Ok((drawn, features, inside)) = postcard::from_bytes::<(Drawn, Vec<u8>, Vec<u8>)>(saved) else {
            return false;
        };
        let fits = match &mut self.inside {
            Some(policy) => policy.load(&inside),
            None => inside.is_empty(),
        };
        if fits && self.features.load(&features) {
            self.drawn = drawn;
            return true;
        }
        false
    }
}
