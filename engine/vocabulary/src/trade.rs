//! A closed round trip, and what it is measured by.
//!
//! - Money and prices are what happened; every ratio is worked out from them by a method, so that none can contradict
//!   them. A ratio whose divisor is zero is undefined, never zero.
//! - Formulas are those of a long; a short mirrors the signs.
//! - Profit and loss here are net of charges.

use crate::decimal::{SCALE, divide_rounded};
use crate::label::Label;
use crate::order::{OrderId, Side};
use crate::sparse::{Small, sparse};
use crate::time::Nanos;
use crate::units::{Cause, Money, Price, Quantity, Ratio};
use rkyv::{Archive, Deserialize, Serialize};

/// A closed round trip: from flat to flat (or through zero) in one instrument.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct TradeClosed {
    /// The candle of the closing fill.
    pub cause: Cause,
    /// Its number in the session, from 1.
    pub trade: u64,
    /// Side of the entry.
    pub side: Side,
    /// Total quantity entered.
    pub quantity: Quantity,
    /// Order of the first entry fill.
    pub entry_order: OrderId,
    /// Order of the last exit fill.
    pub exit_order: OrderId,
    /// First entry, at the exchange.
    pub entry_time: Nanos,
    /// Last exit, at the exchange.
    pub exit_time: Nanos,
    /// Average entry price, rounded to 1e-8.
    pub entry_price: Price,
    /// Average exit price, rounded to 1e-8.
    pub exit_price: Price,
    /// Exit value minus entry value (mirrored for a short), before charges.
    pub gross: Money,
    /// Charges of all its fills.
    pub fees: Money,
    /// Candles of the instrument seen while it was open.
    pub bars: u64,
    /// Why it was entered.
    pub entry_reason: Label,
    /// Why it was left.
    pub exit_reason: Label,
    /// What it is measured by; none in a journal from before trades were measured.
    pub measures: Option<TradeMeasures>,
}

sparse!(TradeClosed {
    [side]
    cause: Cause,
    trade: u64,
    quantity: Quantity,
    entry_order: OrderId,
    exit_order: OrderId,
    entry_time: Nanos,
    exit_time: Nanos,
    entry_price: Price,
    exit_price: Price,
    gross: Money,
    fees: Money,
    bars: u64,
    entry_reason: Label,
    exit_reason: Label,
    measures: Option<TradeMeasures>,
});

/// What a trade is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
pub struct TradeMeasures {
    /// The first stop that protected it.
    pub stop: Option<Price>,
    /// The highest price while it was open.
    pub high: Price,
    /// The lowest price while it was open.
    pub low: Price,
    /// What it would have made before charges, had every part filled at the price its order was decided at.
    pub planned: Money,
    /// Charges of the fills that left it; the others entered it.
    pub exit_fees: Money,
    /// What slippage cost on the way in.
    pub entry_slippage: Money,
    /// What slippage cost on the way out.
    pub exit_slippage: Money,
    /// The decision that entered it, whose frame names the features; 0 where no policy decided.
    pub decision: u64,
    /// Rules of the plan it followed.
    pub rules: RulesFollowed,
}

sparse!(TradeMeasures {
    [rules]
    stop: Option<Price>,
    high: Price,
    low: Price,
    planned: Money,
    exit_fees: Money,
    entry_slippage: Money,
    exit_slippage: Money,
    decision: u64,
});

/// The plan's checklist, one bit a rule, in the order of [`RulesFollowed::RULES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub struct RulesFollowed(pub u8);

impl RulesFollowed {
    /// The rules, from the lowest bit up.
    pub const RULES: [&'static str; 8] = [
        "entry-signal-present",
        "sizing-applied",
        "initial-stop-placed",
        "stop-only-tightened",
        "no-re-entry-in-revenge",
        "no-signal-overridden",
        "exit-by-rule",
        "log-complete",
    ];

    /// The checklist of eight answers.
    pub fn of(answers: [bool; 8]) -> Self {
        Self(answers.iter().enumerate().map(|(bit, followed)| u8::from(*followed) << bit).sum())
    }

    /// The rules that were not followed.
    pub fn broken(self) -> impl Iterator<Item = &'static str> {
        Self::RULES.into_iter().enumerate().filter(move |(bit, _)| self.0 >> bit & 1 == 0).map(|(_, rule)| rule)
    }

    /// Rules followed ÷ rules in the checklist × 100.
    pub const fn adherence(self) -> Ratio {
        Ratio(self.0.count_ones() as i64 * 100 * SCALE / 8)
    }
}

impl Small for RulesFollowed {
    fn byte(self) -> u8 {
        self.0
    }
    fn of_byte(byte: u8) -> Option<Self> {
        Some(Self(byte))
    }
}

/// For people, the rules by name; for machines the bits.
impl serde::Serialize for RulesFollowed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_u8(self.0);
        }
        let broken: Vec<_> = self.broken().collect();
        let followed = Self::RULES.into_iter().filter(|rule| !broken.contains(rule));
        serializer.collect_seq(followed)
    }
}

impl<'de> serde::Deserialize<'de> for RulesFollowed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <u8 as serde::Deserialize>::deserialize(deserializer).map(Self);
        }
        let followed = <Vec<String> as serde::Deserialize>::deserialize(deserializer)?;
        Ok(Self::of(Self::RULES.map(|rule| followed.iter().any(|word| word == rule))))
    }
}

impl TradeClosed {
    /// Profit or loss after charges.
    pub fn net(&self) -> Money {
        self.gross - self.fees
    }

    /// `initial risk per share × quantity`; nothing without a stop on the losing side of the entry.
    pub fn initial_risk(&self) -> Option<Money> {
        let stop = self.measures?.stop?;
        let risk = self.against(self.entry_price, stop);
        (risk > Money::ZERO).then_some(risk)
    }

    /// R multiple: `realised P&L / (initial risk per share × quantity)`.
    pub fn r_multiple(&self) -> Option<Ratio> {
        ratio(self.net().0, self.initial_risk()?.0, 1)
    }

    /// Maximum adverse excursion in R: `(entry - worst price against the trade) / (entry - stop)`.
    pub fn mae_r(&self) -> Option<Ratio> {
        let measures = self.measures?;
        let worst = if self.side == Side::Buy { measures.low } else { measures.high };
        ratio(self.against(self.entry_price, worst).0.max(0), self.initial_risk()?.0, 1)
    }

    /// Maximum favourable excursion: the profit at the best price while it was open.
    pub fn mfe(&self) -> Option<Money> {
        let measures = self.measures?;
        let best = if self.side == Side::Buy { measures.high } else { measures.low };
        Some(self.against(best, self.entry_price).max(Money::ZERO))
    }

    /// Percent of the maximum favourable excursion captured: `realised P&L / MFE × 100`; nothing without an excursion.
    pub fn mfe_captured(&self) -> Option<Ratio> {
        ratio(self.net().0, self.mfe()?.0, 100)
    }

    /// Implementation shortfall: `(planned P&L - realised P&L) / initial risk × 100`.
    pub fn shortfall(&self) -> Option<Ratio> {
        ratio((self.measures?.planned - self.net()).0, self.initial_risk()?.0, 100)
    }

    /// Plan adherence: `rules followed / rules in the checklist × 100`.
    pub fn adherence(&self) -> Option<Ratio> {
        Some(self.measures?.rules.adherence())
    }

    /// What the whole quantity loses from one price to another; gains are negative.
    fn against(&self, from: Price, to: Price) -> Money {
        let (from, to) = (from.times(self.quantity), to.times(self.quantity));
        if self.side == Side::Buy { from - to } else { to - from }
    }
}

/// `part × times / whole`, rounded half away from zero; nothing for no whole, and where it does not fit.
fn ratio(part: i128, whole: i128, times: i128) -> Option<Ratio> {
    if whole <= 0 {
        return None;
    }
    let scaled = part.checked_mul(times * i128::from(SCALE))?;
    i64::try_from(divide_rounded(scaled, whole)).ok().map(Ratio)
}

/// A round trip before it was measured: schema 1, read and never written.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TradeClosedV1 {
    cause: Cause,
    trade: u64,
    side: Side,
    quantity: Quantity,
    entry_order: OrderId,
    exit_order: OrderId,
    entry_time: Nanos,
    exit_time: Nanos,
    entry_price: Price,
    exit_price: Price,
    gross: Money,
    fees: Money,
    bars: u64,
    entry_reason: Label,
    exit_reason: Label,
}

impl From<TradeClosedV1> for TradeClosed {
    fn from(old: TradeClosedV1) -> Self {
        Self {
            cause: old.cause,
            trade: old.trade,
            side: old.side,
            quantity: old.quantity,
            entry_order: old.entry_order,
            exit_order: old.exit_order,
            entry_time: old.entry_time,
            exit_time: old.exit_time,
            entry_price: old.entry_price,
            exit_price: old.exit_price,
            gross: old.gross,
            fees: old.fees,
            bars: old.bars,
            entry_reason: old.entry_reason,
            exit_reason: old.exit_reason,
            measures: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    /// Ten shares in at 100 with a stop at 98, out at 103; charges of 4.
    fn long() -> TradeClosed {
        let none = OrderId(1);
        TradeClosed {
            cause: Cause::default(),
            trade: 1,
            side: Side::Buy,
            quantity: Quantity::from_units(10),
            entry_order: none,
            exit_order: none,
            entry_time: Nanos(0),
            exit_time: Nanos(1),
            entry_price: price("100"),
            exit_price: price("103"),
            gross: Money::from_units(30),
            fees: Money::from_units(4),
            bars: 3,
            entry_reason: Label::NONE,
            exit_reason: Label::NONE,
            measures: Some(TradeMeasures {
                stop: Some(price("98")),
                high: price("105"),
                low: price("99.5"),
                planned: Money::from_units(32),
                exit_fees: Money::from_units(3),
                entry_slippage: Money::ZERO,
                exit_slippage: Money::from_units(2),
                decision: 0,
                rules: RulesFollowed(0b1110_1111),
            }),
        }
    }

    /// The same trade upside down.
    fn short() -> TradeClosed {
        let long = long();
        let mirrored = TradeMeasures {
            stop: Some(price("102")),
            high: price("100.5"),
            low: price("95"),
            ..long.measures.unwrap()
        };
        TradeClosed { side: Side::Sell, exit_price: price("97"), measures: Some(mirrored), ..long }
    }

    fn texts(trade: &TradeClosed) -> [String; 5] {
        let ratios = [trade.r_multiple(), trade.mae_r(), trade.mfe_captured(), trade.shortfall(), trade.adherence()];
        ratios.map(|ratio| ratio.map_or("-".to_owned(), |ratio| ratio.to_string()))
    }

    /// RL-18: vectors for a long, a short, no excursion, and a stop at the entry, which is undefined and not zero.
    #[test]
    fn the_five_metrics() {
        // 26 of 20 risked; half a point of two against it; 26 of 50 captured; 6 of 20 fell short.
        let expected = ["1.3", "0.25", "52", "30", "87.5"];
        assert_eq!(texts(&long()), expected);
        assert_eq!(texts(&short()), expected);
        let change = |change: fn(&mut TradeMeasures)| {
            let mut trade = long();
            change(trade.measures.as_mut().unwrap());
            texts(&trade)
        };
        assert_eq!(change(|measures| measures.high = price("100"))[2], "-", "nothing to capture");
        assert_eq!(change(|measures| measures.low = price("100.5"))[1], "0", "never against it");
        let undefined = ["-", "-", "52", "-", "87.5"];
        for stop in [None, Some(price("100")), Some(price("101"))] {
            let mut trade = long();
            trade.measures.as_mut().unwrap().stop = stop;
            assert_eq!(texts(&trade), undefined, "{stop:?}");
        }
        assert_eq!(texts(&TradeClosed { measures: None, ..long() }), ["-"; 5]);
    }

    #[test]
    fn the_checklist_names_what_was_broken() {
        let rules = long().measures.unwrap().rules;
        assert_eq!(rules.broken().collect::<Vec<_>>(), ["no-re-entry-in-revenge"]);
        let json = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<RulesFollowed>(&json).unwrap(), rules);
        assert_eq!(RulesFollowed::of([true; 8]).adherence().to_string(), "100");
    }
}
