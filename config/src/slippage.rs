//! Slippage models by name: what a person may choose, and the numbers that go with it.
//!
//! - A name that is printed reads back as the same model: it goes into a run's header.
//! - A model that would do nothing is refused: no slippage is written `none` and nothing else.
//! - This file knows no formula; the core does, one file for each.

use crate::error::ConfigError;
use crate::nearest::nearest_first;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{BasisPoints, Price, Quantity, Ratio};
use std::fmt;

/// How models are written, for messages and lists.
pub const MODELS: [&str; 19] = [
    "none",
    "bps:N",
    "half-spread:N",
    "volume-share:N",
    "volume-share-squared:N",
    "sqrt-impact:N",
    "percent:N:N",
    "asset-class:equity",
    "order-type:N:N:N",
    "size-sqrt:N:N",
    "participation:N:N:N",
    "adv-linear:N:N",
    "adv-sqrt:N",
    "adv-power:N:0.625",
    "spread:0.5",
    "impact-linear:N:N:7",
    "almgren-chriss:N:N:14",
    "propagator:N:0.5:0.75:20",
    "momentum:N:2",
];

/// Kinds of instruments, for tables that differ by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetClass {
    /// Shares.
    Equity,
    /// Futures.
    Future,
    /// Options.
    Option,
    /// Currencies.
    Fx,
    /// Coins.
    Crypto,
}

impl AssetClass {
    /// Every class.
    pub const ALL: [Self; 5] = [Self::Equity, Self::Future, Self::Option, Self::Fx, Self::Crypto];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Equity => "equity",
            Self::Future => "future",
            Self::Option => "option",
            Self::Fx => "fx",
            Self::Crypto => "crypto",
        }
    }

    /// The class of that name.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == text)
    }
}

/// How far a fill moves against the trader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlippageModel {
    /// Not at all.
    #[default]
    None,
    /// So many basis points of the reference price.
    Bps(BasisPoints),
    /// Half the spread between bid and ask, as a price.
    HalfSpread(Price),
    /// So many basis points when all of the candle's volume is taken; less in proportion to the share.
    VolumeShare(BasisPoints),
    /// So many basis points when all of the candle's volume is taken; less by the square of the share.
    VolumeShareSquared(BasisPoints),
    /// So many basis points when all of the candle's volume is taken; less by the square root of the share.
    SqrtImpact(BasisPoints),
    /// So many basis points of the reference price, and never less than a price difference.
    Percent(BasisPoints, Price),
    /// The usual basis points of a kind of instrument.
    AssetClass(AssetClass),
    /// Basis points of market orders, of limit orders, and of stops of any kind.
    OrderType(BasisPoints, BasisPoints, BasisPoints),
    /// So many basis points for so much; less by the square root of the size.
    SizeRoot(BasisPoints, Quantity),
    /// Basis points, and more in proportion to the share of the candle's volume, and to its square root. The share
    /// counts up to a tenth.
    Participation(BasisPoints, BasisPoints, BasisPoints),
    /// Basis points, and more in proportion to the share of the average daily volume.
    AverageLinear(BasisPoints, BasisPoints),
    /// So many basis points when an average day's volume is taken; less by the square root of the share.
    AverageRoot(BasisPoints),
    /// The same by a power of the share, in eighths.
    AveragePower(BasisPoints, u8),
    /// So much of half the quoted spread, from the middle of the quote; 1 is the other side of it.
    Spread(Ratio),
    /// Basis points for an average day's volume that stay, others that fade, and the seconds in which those halve.
    ImpactLinear(BasisPoints, BasisPoints, u32),
    /// Parts of a day's deviation, by the root of the share what stays, by the share what fades, and the seconds in which
    /// that halves.
    AlmgrenChriss(Ratio, Ratio, u32),
    /// Basis points for an average day's volume by a power of the share in eighths, the power of time by which they fade,
    /// in eighths, and the percentage that stays.
    Propagator(BasisPoints, u8, u8, u8),
    /// Basis points when an average day's volume is taken, less by the square root of the share, and more by so much of the
    /// return of the last sessions, where the order goes with it.
    Momentum(BasisPoints, Ratio),
}

impl SlippageModel {
    /// Reads a model's name, `none` or `model:number`.
    ///
    /// ```
    /// use daybook_config::SlippageModel;
    /// assert_eq!(SlippageModel::parse("bps:2.50").unwrap().to_string(), "bps:2.5");
    /// assert!(SlippageModel::parse("sqrt:5").unwrap_err().to_string().contains("sqrt-impact:N"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text == "none" {
            return Ok(Self::None);
        }
        let fault =
            |reason: String| ConfigError::Format { place: format!("slippage model '{}'", text.escape_debug()), reason };
        let (name, number) = text.split_once(':').unwrap_or((text, ""));
        let bps = || number.parse().ok().filter(|bps: &BasisPoints| (1..=10_000 * SCALE).contains(&bps.0));
        let bps = || bps().ok_or_else(|| fault("after the colon come basis points, above 0 and at most 10000".into()));
        match name {
            "bps" => bps().map(Self::Bps),
            "volume-share" => bps().map(Self::VolumeShare),
            "volume-share-squared" => bps().map(Self::VolumeShareSquared),
            "sqrt-impact" => bps().map(Self::SqrtImpact),
            "asset-class" => AssetClass::named(number)
                .map(Self::AssetClass)
                .ok_or_else(|| fault("after the colon comes equity, future, option, fx or crypto".into())),
            "percent" | "order-type" | "size-sqrt" | "participation" | "adv-linear" | "adv-sqrt" | "adv-power"
            | "spread" | "impact-linear" | "almgren-chriss" | "propagator" | "momentum" => {
                Self::of_several(name, number).ok_or_else(|| fault(format!("write it like {}", Self::like(name))))
            }
            "half-spread" => {
                let price = number.parse().ok().filter(|price: &Price| price.0 > 0);
                price
                    .map(Self::HalfSpread)
                    .ok_or_else(|| fault("after the colon comes half the spread, a price above 0 such as 0.05".into()))
            }
            _ => Err(fault(format!("there is no such model: use one of {}", nearest_first(text, MODELS).join(", ")))),
        }
    }

    /// Models with several numbers, or with numbers of their own kind.
    fn of_several(name: &str, numbers: &str) -> Option<Self> {
        let parts: Vec<&str> = numbers.split(':').collect();
        let bps = |index: usize| {
            parts.get(index)?.parse().ok().filter(|bps: &BasisPoints| (0..=10_000 * SCALE).contains(&bps.0))
        };
        let part = |text: &str| text.parse().ok().filter(|part: &Ratio| (0..=100 * SCALE).contains(&part.0));
        let seconds = |text: &str| text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
        let eighths = |text: &str, most: i64| {
            let power: Ratio = text.parse().ok()?;
            let eighths = (power.0 % (SCALE / 8) == 0).then_some(power.0 / (SCALE / 8))?;
            u8::try_from(eighths).ok().filter(|eighths| (1..=most).contains(&i64::from(*eighths)))
        };
        let some = |bps: BasisPoints| Some(bps).filter(|bps| bps.0 > 0);
        let read = match (name, parts.len()) {
            ("percent", 2) => Self::Percent(some(bps(0)?)?, parts[1].parse().ok().filter(|least: &Price| least.0 > 0)?),
            ("order-type", 3) => Self::OrderType(bps(0)?, bps(1)?, bps(2)?),
            ("size-sqrt", 2) => {
                Self::SizeRoot(some(bps(0)?)?, parts[1].parse().ok().filter(|size: &Quantity| size.0 > 0)?)
            }
            ("participation", 3) => Self::Participation(bps(0)?, bps(1)?, bps(2)?),
            ("adv-linear", 2) => Self::AverageLinear(bps(0)?, some(bps(1)?)?),
            ("adv-sqrt", 1) => Self::AverageRoot(some(bps(0)?)?),
            ("adv-power", 2) => Self::AveragePower(some(bps(0)?)?, eighths(parts[1], 16)?),
            ("impact-linear", 3) => Self::ImpactLinear(bps(0)?, bps(1)?, seconds(parts[2])?),
            ("almgren-chriss", 3) => Self::AlmgrenChriss(part(parts[0])?, part(parts[1])?, seconds(parts[2])?),
            ("propagator", 4) => {
                let stays = parts[3].parse().ok().filter(|percent| (0..=100).contains(percent))?;
                Self::Propagator(some(bps(0)?)?, eighths(parts[1], 16)?, eighths(parts[2], 8)?, stays)
            }
            ("momentum", 2) => Self::Momentum(some(bps(0)?)?, part(parts[1])?),
            ("spread", 1) => Self::Spread(parts[0].parse().ok().filter(|part: &Ratio| (1..=SCALE).contains(&part.0))?),
            _ => return None,
        };
        // What would do nothing is written `none`.
        let nothing = [
            Self::OrderType(BasisPoints::ZERO, BasisPoints::ZERO, BasisPoints::ZERO),
            Self::Participation(BasisPoints::ZERO, BasisPoints::ZERO, BasisPoints::ZERO),
        ];
        let nothing = nothing.contains(&read)
            || matches!(read, Self::ImpactLinear(BasisPoints::ZERO, BasisPoints::ZERO, _))
            || matches!(read, Self::AlmgrenChriss(Ratio::ZERO, Ratio::ZERO, _));
        (!nothing).then_some(read)
    }

    /// An example of a model, for messages.
    fn like(name: &str) -> &'static str {
        match name {
            "percent" => "percent:10:0.001 (basis points, and the least price difference)",
            "order-type" => "order-type:10:1:5 (basis points of market, limit and stop orders)",
            "size-sqrt" => "size-sqrt:12.5:1000 (basis points for a quantity)",
            "participation" => "participation:1:100:0 (basis points; per share of volume; per root of it)",
            "adv-linear" => "adv-linear:1:1000 (basis points; per share of an average day's volume)",
            "adv-sqrt" => "adv-sqrt:100 (basis points for an average day's volume)",
            "impact-linear" => "impact-linear:10:50:7 (basis points that stay and that fade; seconds to a half)",
            "almgren-chriss" => "almgren-chriss:0.01:0.1:14 (parts of a day's deviation; seconds to a half)",
            "propagator" => "propagator:100:0.5:0.75:20 (basis points; powers in eighths; the percentage that stays)",
            "momentum" => "momentum:100:2 (basis points for an average day's volume; times the return, 0 to 100)",
            "adv-power" => "adv-power:100:0.625 (basis points; a power from 0.125 to 2 in eighths)",
            _ => "spread:0.5 (the part of half the spread that is paid, above 0 and at most 1)",
        }
    }
}

impl fmt::Display for SlippageModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("none"),
            Self::Bps(bps) => write!(out, "bps:{bps}"),
            Self::HalfSpread(price) => write!(out, "half-spread:{price}"),
            Self::VolumeShare(bps) => write!(out, "volume-share:{bps}"),
            Self::VolumeShareSquared(bps) => write!(out, "volume-share-squared:{bps}"),
            Self::SqrtImpact(bps) => write!(out, "sqrt-impact:{bps}"),
            Self::Percent(bps, least) => write!(out, "percent:{bps}:{least}"),
            Self::AssetClass(class) => write!(out, "asset-class:{}", class.word()),
            Self::OrderType(market, limit, stop) => write!(out, "order-type:{market}:{limit}:{stop}"),
            Self::SizeRoot(bps, size) => write!(out, "size-sqrt:{bps}:{size}"),
            Self::Participation(base, linear, root) => write!(out, "participation:{base}:{linear}:{root}"),
            Self::AverageLinear(base, slope) => write!(out, "adv-linear:{base}:{slope}"),
            Self::AverageRoot(bps) => write!(out, "adv-sqrt:{bps}"),
            Self::AveragePower(bps, eighths) => {
                write!(out, "adv-power:{bps}:{}", in_eighths(*eighths))
            }
            Self::Spread(part) => write!(out, "spread:{part}"),
            Self::ImpactLinear(stays, fades, half) => write!(out, "impact-linear:{stays}:{fades}:{half}"),
            Self::AlmgrenChriss(stays, fades, half) => write!(out, "almgren-chriss:{stays}:{fades}:{half}"),
            Self::Propagator(bps, power, memory, stays) => {
                write!(out, "propagator:{bps}:{}:{}:{stays}", in_eighths(*power), in_eighths(*memory))
            }
            Self::Momentum(bps, times) => write!(out, "momentum:{bps}:{times}"),
        }
    }
}

fn in_eighths(power: u8) -> Ratio {
    Ratio(i64::from(power) * (SCALE / 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_model_of_the_list_is_read_and_printed() {
        for written in MODELS {
            let text = written.replace('N', "2.5");
            assert_eq!(SlippageModel::parse(&text).unwrap().to_string(), text);
        }
        assert_eq!(SlippageModel::default(), SlippageModel::parse("none").unwrap());
    }

    #[test]
    fn what_would_do_nothing_or_makes_no_sense_is_refused() {
        for bad in [
            "",
            "None",
            "none:1",
            "bps",
            "bps:",
            "bps:0",
            "bps:-1",
            "bps:10000.00000001",
            "bps:5x",
            "bps:1:2",
            "half-spread:0",
            "half-spread:-0.05",
            "half-spread",
            "volume-share:0",
            "sqrt-impact:much",
            "linear:5",
            "percent:5",
            "percent:0:1",
            "asset-class:land",
            "order-type:0:0:0",
            "order-type:1:2",
            "size-sqrt:5:0",
            "participation:1:2:3:4",
            "adv-linear:1:0",
            "adv-power:5:0.6",
            "adv-power:5:3",
            "spread:0",
            "impact-linear:1:2",
            "impact-linear:0:0:5",
            "almgren-chriss:0:0:5",
            "almgren-chriss:1:1:0",
            "propagator:1:0.5:1.5:20",
            "propagator:1:0.5:0.5:101",
            "momentum:0:1",
            "momentum:5",
            "momentum:5:101",
            "spread:1.5",
        ] {
            let message = SlippageModel::parse(bad).unwrap_err().to_string();
            assert!(message.contains(&format!("'{bad}'")), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "((bps|percent|order-type|size-sqrt|participation|adv-(linear|sqrt|power)|spread|momentum)(:[0-9.]{1,6}){1,4})|[a-z:0-9.-]{0,30}") {
            if let Ok(model) = SlippageModel::parse(&text) {
                prop_assert_eq!(SlippageModel::parse(&model.to_string()).unwrap(), model);
            }
        }
    }
}
