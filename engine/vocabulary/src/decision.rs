//! Decisions of a policy: what it thought of a symbol, and what the trading rules made of that.
//!
//! - A model's numbers are kept as the bits it computed: an audit compares bits, never roundings.
//! - Confidence is one scale for every policy: 0 to 1.
//! - NaN and infinities are never journaled: [`ModelNumber::new`] refuses them.

use crate::order::words;
use crate::units::{Cause, Hash, Ratio};
use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;

/// A finite `f32` of a model, kept as its bits and printed as the shortest decimal that reads back as them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Archive, Serialize, Deserialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ModelNumber(u32);

impl ModelNumber {
    /// The number; nothing for NaN and the infinities. Minus zero becomes zero, so that equal numbers have equal bits.
    pub fn new(value: f32) -> Option<Self> {
        value.is_finite().then(|| Self(if value == 0.0 { 0 } else { value.to_bits() }))
    }

    /// The number again.
    pub const fn value(self) -> f32 {
        f32::from_bits(self.0)
    }
}

/// An exact number as a model would say it: the nearest float.
impl From<Ratio> for ModelNumber {
    fn from(ratio: Ratio) -> Self {
        Self::new(ratio.to_f64() as f32).unwrap_or_default()
    }
}

impl fmt::Display for ModelNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.value())
    }
}

impl fmt::Debug for ModelNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl serde::Serialize for ModelNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u32(self.0) }
    }
}

words!(
    /// What a policy wants done with a symbol. The order is that of the network's outputs.
    Action "UPPERCASE" {
        /// Buy.
        Buy = "BUY",
        /// Sell.
        Sell = "SELL",
        /// Leave it as it is.
        Hold = "HOLD",
    }
);

words!(
    /// What the decision rules a to g made of a policy's word.
    Ruling "kebab-case" {
        /// c: the session is too old, the open trade is left.
        ExitAtEnd = "exit-at-end",
        /// c: the session is too old, and nothing is open.
        AfterEnd = "after-end",
        /// d: a long is left because the policy says SELL.
        ExitLongSignal = "exit-long-signal",
        /// d: a long is left because the price fell below its trailing stop.
        ExitLongStop = "exit-long-stop",
        /// e: a short is left because the policy says BUY.
        ExitShortSignal = "exit-short-signal",
        /// e: a short is left because the price rose above its trailing stop.
        ExitShortStop = "exit-short-stop",
        /// d, e: the open trade stays.
        Keep = "keep",
        /// f: a long is entered.
        EnterLong = "enter-long",
        /// g: a short is entered.
        EnterShort = "enter-short",
        /// f, g: as many trades are open as may be.
        TooManyTrades = "too-many-trades",
        /// f, g: another symbol has the maximum confidence.
        NotChosen = "not-chosen",
        /// f, g: the chosen symbol, and the policy says HOLD.
        Hold = "hold",
        /// f, g: what the capital buys is less than a lot.
        BelowOneLot = "below-one-lot",
        /// f, g: no average range is known, so no stop can be placed, so nothing is entered.
        NoStop = "no-stop",
        /// An order of the symbol still works: nothing is decided on top of it.
        Pending = "pending",
        /// The policy withheld its word: its features are not complete.
        Withheld = "withheld",
    }
);

/// One decision about one symbol at one slice. Its frame's stream is the instrument.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    /// The candle it was decided on.
    pub cause: Cause,
    /// Its number in the session, from 1; a trade names the decision that entered it.
    pub decision: u64,
    /// What the policy says.
    pub action: Action,
    /// What the rules made of it.
    pub ruling: Ruling,
    /// How sure the policy is, from 0 to 1.
    pub confidence: Ratio,
    /// Raw values of BUY, SELL and HOLD, in this order.
    pub q: [ModelNumber; 3],
    /// What computed them: the hash of the model's weights, or of a rule's name and parameters.
    pub model: Hash,
    /// Hash of the features it looked at; zeros where the policy keeps none.
    pub features: Hash,
}
