//! `policy-momentum`: a policy written by hand, so that the rules can be used and tested without a learned one.
//!
//! - Momentum is the change of the close over so many bars in average true ranges: exact, in whole numbers. Above the
//!   threshold it says BUY, below its negative SELL, between them HOLD.
//! - Its raw values are the momentum, its negative and the threshold; it is as sure as the momentum is large beside the
//!   threshold: `|momentum| / (|momentum| + threshold)`.
//! - It withholds its word until it has seen enough bars, and while a market stands still.

use super::{Policy, PolicySlice, Word};
use crate::exits::AverageRange;
use crate::strategy::{Parameter, ParameterError, Parameters};
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{Action, Candle, Hash, InstrumentId, ModelNumber, Price, Ratio};
use serde::{Deserialize, Serialize};

/// Name on the command line.
pub const NAME: &str = "policy-momentum";
/// One line for `--help`.
pub const ABOUT: &str = "a rule that says BUY, SELL or HOLD by momentum, under the decision rules of a learned policy";
/// What `--set` takes.
pub const PARAMETERS: &[Parameter] = &[
    Parameter { name: "bars", default: "20", about: "bars over which the close has changed" },
    Parameter { name: "range", default: "14", about: "bars of the average true range it is measured in" },
    Parameter { name: "threshold", default: "2", about: "change in ranges from which it buys or sells, 0.1 to 100" },
];

/// Momentum of several symbols.
pub struct Momentum {
    warmup: u32,
    threshold: Ratio,
    model: Hash,
    symbols: Vec<Symbol>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Symbol {
    range: AverageRange,
    /// The last closes, one more than the change spans; `next` is the oldest of them once there are enough.
    closes: Vec<Price>,
    next: u32,
    seen: u32,
}

impl Momentum {
    /// For so many instruments.
    pub fn new(parameters: &Parameters, instruments: usize) -> Result<Self, ParameterError> {
        let bars = parameters.integer("bars", 1..=10_000)?;
        let range = parameters.integer("range", 1..=10_000)?;
        let threshold = parameters.decimal("threshold", 0..=100)?;
        if threshold.0 < SCALE / 10 {
            return Err(parameters.refuse("threshold", "a number from 0.1 to 100"));
        }
        let mut model = blake3::Hasher::new();
        model.update(NAME.as_bytes());
        for (name, value) in parameters.values() {
            model.update(format!(" {name}={value}").as_bytes());
        }
        let closes = vec![Price::ZERO; bars as usize + 1];
        let symbol = Symbol { range: AverageRange::new(range), closes, next: 0, seen: 0 };
        let model = Hash(*model.finalize().as_bytes());
        let warmup = bars.max(range - 1);
        Ok(Self { warmup, threshold: Ratio(threshold.0), model, symbols: vec![symbol; instruments] })
    }

    fn word(&self, symbol: &Symbol) -> Option<Word> {
        let range = symbol.range.value().filter(|_| symbol.seen as usize >= symbol.closes.len())?;
        let count = symbol.closes.len();
        let (oldest, newest) =
            (symbol.closes[symbol.next as usize], symbol.closes[(symbol.next as usize + count - 1) % count]);
        let change = newest.0 - oldest.0;
        let scaled = divide_rounded(i128::from(change) * i128::from(SCALE), range.0.into());
        // A change of more than a million ranges is as good as a million.
        let most = 1_000_000 * SCALE;
        let momentum = Ratio(
            i64::try_from(scaled).map_or(most * i64::from(change.signum() as i32), |value| value.clamp(-most, most)),
        );
        let size = i128::from(momentum.0.abs());
        let confidence = size * i128::from(SCALE) / (size + i128::from(self.threshold.0));
        let action = match () {
            () if momentum >= self.threshold => Action::Buy,
            () if -momentum >= self.threshold => Action::Sell,
            () => Action::Hold,
        };
        let mut features = blake3::Hasher::new();
        features.update(&change.to_le_bytes()).update(&range.0.to_le_bytes());
        Some(Word {
            action,
            confidence: Ratio(confidence as i64),
            q: [momentum, -momentum, self.threshold].map(ModelNumber::from),
            features: Hash(*features.finalize().as_bytes()),
        })
    }
}

impl Policy for Momentum {
    fn model(&self) -> Hash {
        self.model
    }

    fn warmup(&self) -> u32 {
        self.warmup
    }

    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle) {
        let symbol = &mut self.symbols[instrument.index()];
        symbol.range.update(bar);
        let next = symbol.next as usize;
        symbol.closes[next] = bar.close();
        symbol.next = if next + 1 == symbol.closes.len() { 0 } else { symbol.next + 1 };
        symbol.seen = symbol.seen.saturating_add(1);
    }

    fn infer(&mut self, slice: &PolicySlice<'_>, words: &mut [Option<Word>]) {
        for id in slice.fresh {
            words[id.index()] = self.word(&self.symbols[id.index()]);
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        *out = postcard::to_extend(&self.symbols, std::mem::take(out)).expect("a symbol is plain data");
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        let fits = |symbols: &[Symbol]| {
            symbols.len() == self.symbols.len()
                && symbols
                    .iter()
                    .zip(&self.symbols)
                    .all(|(new, old)| new.closes.len() == old.closes.len() && (new.next as usize) < new.closes.len())
        };
        match postcard::take_from_bytes::<Vec<Symbol>>(saved) {
            Ok((symbols, [])) if fits(&symbols) => {
                self.symbols = symbols;
                true
            }
            _ => false,
        }
    }
}
