//! Policies: what says BUY, SELL or HOLD for several symbols at once, learned or written by hand.
//!
//! A policy is asked once a slice for its word on every symbol whose bar has just closed. It trades nothing itself: the
//! runner applies the decision rules a to g, sizes, places the stop and journals each decision. So a learned
//! policy and a rule written by hand trade under the same rules, live, in a backtest and in a replay memory.
//!
//! - It sees closed bars and the session's hours, and nothing else: no price that is not in a bar it was given, no
//!   position, no cash. It cannot look ahead, and it cannot trade.
//! - The same bars give the same word, bit for bit, in any process: what it computes has a fixed order, and all it
//!   remembers is saved by [`Policy::save`], hashed into digests and restored by [`Policy::load`].
//! - It withholds its word (`None`) while its features are not complete: a guess is never journaled as an inference.

mod features;
pub mod momentum;
mod rules;
mod runner;

pub use features::PolicyFeatures;
pub use rules::{Facts, ruling, surest};
pub use runner::PolicyRunner;

use crate::input::SessionHours;
use daybook_vocabulary::{Action, Candle, Hash, Instrument, InstrumentId, Interval, ModelNumber, Nanos, Ratio};

/// What a policy says about one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// What it wants done.
    pub action: Action,
    /// How sure it is, from 0 to 1 ([`Word::SURE`]). Of all symbols of a slice only the surest is entered. The scale is
    /// the policy's own, as long as it is one scale for all its symbols and times.
    pub confidence: Ratio,
    /// Raw values of BUY, SELL and HOLD, in this order, as they came out of the computation. They are journaled and
    /// compared bit for bit by an audit; no rule looks at them.
    pub q: [ModelNumber; 3],
    /// blake3 of the bytes of the features it looked at, zeros where the policy keeps none.
    pub features: Hash,
}

impl Word {
    /// The largest confidence: 1.
    pub const SURE: Ratio = Ratio(daybook_vocabulary::decimal::SCALE);
}

/// What is known of a slice when a policy is asked.
pub struct PolicySlice<'a> {
    /// The time of the slice: the close of the bars.
    pub now: Nanos,
    /// Hours of the session.
    pub session: SessionHours,
    /// Length of the bars.
    pub interval: Interval,
    /// Instruments whose bar closed at this slice, in symbol order: those the policy is asked about.
    pub fresh: &'a [InstrumentId],
    /// All instruments, by id, in (market, symbol) order.
    pub instruments: &'a [Instrument],
}

/// What says BUY, SELL or HOLD.
///
/// The order of calls: [`Policy::on_session`] when a session begins; [`Policy::on_bar`] for every bar that closes, of
/// each instrument in order of time; then, once all bars of a moment are in, [`Policy::infer`]. Bars of the warm-up are
/// learned like all others and asked about never. A bar that came late is learned and asked about at no slice.
///
/// Bars have the engine's interval (the setting `engine.timeframe`, or that of the candles): the shortest timeframe of
/// the policy. A policy of several timeframes builds the longer ones itself, from these bars and the session's hours
/// ([`crate::span`] says which bars belong together).
///
/// ```
/// use daybook_core::policy::{Policy, PolicySlice, Word};
/// use daybook_vocabulary::{Action, Candle, Hash, InstrumentId, ModelNumber, Ratio};
///
/// /// Buys what closed above its open.
/// #[derive(Default)]
/// struct Candid(std::collections::BTreeMap<InstrumentId, bool>);
///
/// impl Policy for Candid {
///     fn model(&self) -> Hash {
///         Hash(*b"candid, version 1, no parameters")
///     }
///     fn warmup(&self) -> u32 {
///         0
///     }
///     fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle) {
///         self.0.insert(instrument, bar.close() > bar.open());
///     }
///     fn infer(&mut self, slice: &PolicySlice<'_>, words: &mut [Option<Word>]) {
///         for id in slice.fresh {
///             let Some(rose) = self.0.get(id) else { continue };
///             let action = if *rose { Action::Buy } else { Action::Hold };
///             let q = [ModelNumber::default(); 3];
///             words[id.index()] = Some(Word { action, confidence: Ratio(50_000_000), q, features: Hash::default() });
///         }
///     }
///     fn save(&self, out: &mut Vec<u8>) {
///         for (id, rose) in &self.0 {
///             out.extend_from_slice(&id.0.to_le_bytes());
///             out.push((*rose).into());
///         }
///     }
///     fn load(&mut self, saved: &[u8]) -> bool {
///         let id = |bytes: &[u8]| InstrumentId(u32::from_le_bytes(bytes[..4].try_into().unwrap()));
///         self.0 = saved.chunks_exact(5).map(|entry| (id(entry), entry[4] == 1)).collect();
///         saved.len() % 5 == 0
///     }
/// }
/// ```
pub trait Policy: Send {
    /// Hash of what computes the words: of the weights and the feature specification of a learned policy, of name and
    /// parameters of a rule. Journaled with every decision; it must not change while a session runs.
    fn model(&self) -> Hash;

    /// Bars of an instrument, of the engine's interval, that must have closed before a word about it can be meant.
    fn warmup(&self) -> u32;

    /// A session begins. Features that start anew with the day, month or year are anchored here.
    fn on_session(&mut self, session: &SessionHours) {
        let _ = session;
    }

    /// Learns a closed bar. Called for every bar of the session, whether or not a decision follows: keep it short.
    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle);

    /// Says its word about the instruments of the slice. `words` has one place for each instrument, by id, and is empty
    /// (`None`) when the call comes; what stays `None` is withheld, and nothing is done with that symbol. A place of an
    /// instrument that is not fresh is ignored.
    fn infer(&mut self, slice: &PolicySlice<'_>, words: &mut [Option<Word>]);

    /// Appends all it remembers of the bars, in canonical bytes: the same memory always gives the same bytes. Weights
    /// are not memory, they are what [`Policy::model`] names.
    fn save(&self, out: &mut Vec<u8>);

    /// Restores what [`Policy::save`] wrote; false when the bytes are something else. It must not panic, whatever they
    /// are.
    fn load(&mut self, saved: &[u8]) -> bool;
}
