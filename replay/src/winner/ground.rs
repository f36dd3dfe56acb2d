//! Where a reward was measured: a number of R says nothing without its range, symbols, data and charges.
//!
//! - Two rewards are compared only where all of that is the same; what differs is said by name.
//! - All of it is signed with the reward, in an order that is written down here.
//! - Must never: leave out of a comparison what can change a reward, but for the seed, which is the model's own.

use crate::error::ReplayError;
use daybook_config::{FeeSchedule, Settings};
use daybook_vocabulary::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a reward was measured on, and under what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// First session.
    pub from: String,
    /// Last session.
    pub to: String,
    /// Symbols, in order.
    pub symbols: Vec<String>,
    /// blake3 of the journals' content.
    pub data: String,
    /// Name of the fee schedule.
    pub charges: String,
    /// Hash of its rates.
    pub charges_hash: String,
    /// The profile of the simulated exchange.
    pub profile: String,
    /// Hash of every setting that changes a result, the seed left out.
    pub settings: String,
    /// Trades that have a reward.
    pub trades: u64,
    /// Sessions they fall in; 0 where they are too few for a statement.
    pub sessions: u64,
}

/// The charges of a reward that was measured without any.
pub const NO_CHARGES: &str = "none";
/// Sessions with trades that an interval takes: fewer tell nothing of its spread.
pub const LEAST_SESSIONS: u64 = 2;

impl Ground {
    /// What the settings say of it. `data` is the hash of the journals' content; trades and sessions are still to come.
    pub fn new(
        (from, to): (Date, Date),
        symbols: Vec<String>,
        data: String,
        settings: &Settings,
    ) -> Result<Self, ReplayError> {
        Ok(Self {
            from: from.to_string(),
            to: to.to_string(),
            symbols,
            data,
            charges: settings.costs.as_str().to_owned(),
            charges_hash: FeeSchedule::parse(settings.costs.as_str())?.hash().to_string(),
            profile: settings.profile.word().to_owned(),
            settings: hash_without_seed(settings),
            trades: 0,
            sessions: 0,
        })
    }

    /// Is there an interval, so that its evaluation says anything?
    pub const fn makes_a_statement(&self) -> bool {
        self.sessions >= LEAST_SESSIONS && self.trades >= LEAST_SESSIONS
    }

    /// What differs from where the other was measured; nothing where their rewards can be compared.
    pub fn unlike(&self, other: &Self) -> Option<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, own: String, others: String| {
            if own != others {
                found.push(format!("{what} {own} against {others}"));
            }
        };
        compare("range", self.range(), other.range());
        compare("symbols", self.symbols.join(","), other.symbols.join(","));
        compare("data", short(&self.data), short(&other.data));
        compare("charges", self.charges.clone(), other.charges.clone());
        if self.charges == other.charges {
            compare("rates of the charges", short(&self.charges_hash), short(&other.charges_hash));
        }
        compare("profile", self.profile.clone(), other.profile.clone());
        if self.charges == other.charges && self.profile == other.profile {
            compare("settings", short(&self.settings), short(&other.settings));
        }
        (!found.is_empty()).then(|| found.join(", "))
    }

    /// First and last session.
    pub fn range(&self) -> String {
        format!("{}..{}", self.from, self.to)
    }

    /// In words, for people.
    pub fn words(&self) -> String {
        let charges = match self.charges.as_str() {
            NO_CHARGES => "NO CHARGES COUNTED (costs=none)".to_owned(),
            named => format!("charges {named}"),
        };
        let (range, symbols, data) = (self.range(), self.symbols.join(","), short(&self.data));
        format!("{range}, {symbols}, data {data}, {charges}, profile {}", self.profile)
    }

    /// Its part of what is signed: each text behind its length, then trades and sessions, then the symbols behind their
    /// number; numbers of 64 bits, little-endian.
    pub(super) fn sign_into(&self, bytes: &mut Vec<u8>) {
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        };
        let Self { from, to, data, charges, charges_hash, profile, settings, .. } = self;
        for part in [from, to, data, charges, charges_hash, profile, settings] {
            text(bytes, part);
        }
        for number in [self.trades, self.sessions, self.symbols.len() as u64] {
            bytes.extend(number.to_le_bytes());
        }
        self.symbols.iter().for_each(|symbol| text(bytes, symbol));
    }
}

/// As many digits of a hash as people compare; all of a shorter text.
fn short(hash: &str) -> String {
    hash.get(..12).unwrap_or(hash).to_owned()
}

/// The seed is drawn for a training: two models that differ in it are measured alike.
fn hash_without_seed(settings: &Settings) -> String {
    let mut values: BTreeMap<String, String> = serde_json::from_str(&settings.canonical_json()).unwrap_or_default();
    values.remove("seed");
    let text = serde_json::to_string(&values).expect("a map of texts is always JSON");
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
