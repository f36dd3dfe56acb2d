//! Indicators: small streaming structs, one file each.
//!
//! - The value at bar n is a function of bars 1..n; the batch form feeds the same struct, so there is no second formula.
//! - A value is `None` until there are enough bars, and never NaN or infinite afterwards.
//! - All that an indicator remembers is in its struct, which is plain data: it can be saved, restored and hashed.
//! - A new one is a file, a test and one line in `indicators!` below.

mod adosc;
mod adx;
mod arguments;
mod atr;
mod bollinger;
mod dema;
mod ema;
mod gathered;
mod log_return;
mod macd;
mod median;
mod obv;
mod rsi;
mod session_clock;
mod sma;
mod stochastic;
mod stochrsi;
mod volatility;
mod vwap;
mod zscore;

pub use adosc::Adosc;
pub use adx::Adx;
pub use arguments::{Arguments, LENGTH_MAX};
pub use atr::{Atr, true_range};
pub use bollinger::Bollinger;
pub use dema::Dema;
pub use ema::{Ema, Seed};
pub use gathered::{Gathered, Period};
pub use log_return::LogReturn;
pub use macd::Macd;
pub use median::Median;
pub use obv::Obv;
pub use rsi::Rsi;
pub use session_clock::SessionClock;
pub use sma::Sma;
pub use stochastic::{Kdj, Stochastic, StochasticFast};
pub use stochrsi::StochRsi;
pub use volatility::{RealisedVolatility, Volatility};
pub use vwap::{AnchoredVwap, RollingVwap, SessionVwap};
pub use zscore::ZScore;

use crate::bar::Bar;
use crate::error::FeatureError;
use serde::{Deserialize, Serialize};

/// Something that is computed bar by bar.
pub trait Indicator: Sized {
    /// Its name, as on the command line.
    const NAME: &'static str;
    /// How it is written, such as `rsi(length[, wilder | simple])`.
    const USAGE: &'static str;
    /// What it gives, as suffixes of its column's name; the empty one is the main value.
    const OUTPUTS: &'static [&'static str];

    /// Builds it from what stands between the parentheses.
    fn parse(arguments: &mut Arguments<'_>) -> Result<Self, FeatureError>;

    /// Learns a closed bar.
    fn observe(&mut self, bar: &Bar<'_>);

    /// The output at that place of [`Indicator::OUTPUTS`]; nothing while there are too few bars.
    fn read(&self, output: usize) -> Option<f64>;
}

macro_rules! indicators {
    ($($name:ident),* $(,)?) => {
        /// Any indicator of the list.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each variant is the indicator of the same name")]
        pub enum AnyIndicator {
            $($name($name)),*
        }

        impl AnyIndicator {
            /// Name and way of writing of every indicator.
            pub const ALL: &'static [(&'static str, &'static str)] = &[$(($name::NAME, $name::USAGE)),*];

            fn parse(name: &str, given: &[&str]) -> Result<Self, FeatureError> {
                $(if name == $name::NAME {
                    let mut arguments = Arguments::new($name::NAME, $name::USAGE, given);
                    let indicator = $name::parse(&mut arguments)?;
                    arguments.finish()?;
                    return Ok(Self::$name(indicator));
                })*
                Err(unknown(name))
            }

            /// Learns a closed bar.
            #[inline]
            pub fn observe(&mut self, bar: &Bar<'_>) {
                match self { $(Self::$name(indicator) => Indicator::observe(indicator, bar)),* }
            }

            /// An output; nothing while there are too few bars. Never NaN and never infinite.
            #[inline]
            pub fn read(&self, output: usize) -> Option<f64> {
                let value = match self { $(Self::$name(indicator) => Indicator::read(indicator, output)),* };
                value.filter(|value| value.is_finite())
            }

            /// Suffixes of what it gives.
            pub const fn outputs(&self) -> &'static [&'static str] {
                match self { $(Self::$name(_) => $name::OUTPUTS),* }
            }
        }
    };
}

indicators!(
    Sma,
    Ema,
    Dema,
    Rsi,
    StochRsi,
    Stochastic,
    StochasticFast,
    Kdj,
    Macd,
    Atr,
    Adx,
    Bollinger,
    Obv,
    Adosc,
    SessionVwap,
    AnchoredVwap,
    RollingVwap,
    Median,
    ZScore,
    Volatility,
    RealisedVolatility,
    LogReturn,
    SessionClock,
);

fn unknown(name: &str) -> FeatureError {
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
    let names = || AnyIndicator::ALL.iter().map(|(known, _)| *known);
    let nearest = names().max_by(|one, other| likeness(one).total_cmp(&likeness(other)).then_with(|| other.cmp(one)));
    FeatureError::UnknownIndicator {
        name: name.to_owned(),
        // A name that resembles nothing gets no suggestion: a wrong guess is worse than none.
        nearest: nearest.filter(|nearest| likeness(nearest) >= 0.4).map(str::to_owned),
        known: names().collect::<Vec<_>>().join(", "),
    }
}

/// An indicator and the names of its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// One name per output, such as `macd_12_26_9` and `macd_12_26_9_signal`.
    pub columns: Vec<String>,
    /// What computes them.
    pub indicator: AnyIndicator,
    /// What gathers bars for it, where it is of whole days or weeks.
    pub gathered: Option<Gathered>,
}

impl Named {
    /// Learns a closed bar.
    #[inline]
    pub fn observe(&mut self, bar: &Bar<'_>) {
        match &mut self.gathered {
            None => self.indicator.observe(bar),
            Some(gathered) => gathered.push(bar, |whole| self.indicator.observe(whole)),
        }
    }

    /// The output of that column; nothing while there are too few bars.
    #[inline]
    pub fn read(&self, output: usize) -> Option<f64> {
        self.indicator.read(output)
    }

    /// What an indicator gives for each of `bars`: one column per output, a value per bar. The batch form of every
    /// indicator; it is the streaming form, fed from the first bar on.
    pub fn batch(mut self, bars: &[Bar<'_>]) -> Vec<Vec<Option<f64>>> {
        let mut columns = vec![Vec::with_capacity(bars.len()); self.columns.len()];
        for bar in bars {
            self.observe(bar);
            for (output, column) in columns.iter_mut().enumerate() {
                column.push(self.read(output));
            }
        }
        columns
    }
}

/// Reads a list of indicators, each of the bars that come in, or of whole days (`@1d`) or weeks (`@1w`) of them.
///
/// ```
/// let list = daybook_features::parse_indicators("rsi(14), macd(12,26,9), atr(14, simple)").unwrap();
/// assert_eq!(list[1].columns, ["macd_12_26_9", "macd_12_26_9_signal", "macd_12_26_9_histogram"]);
/// assert!(daybook_features::parse_indicators("rsj(14)").unwrap_err().to_string().contains("did you mean rsi?"));
/// ```
pub fn parse_indicators(text: &str) -> Result<Vec<Named>, FeatureError> {
    let syntax = |what: String| FeatureError::Syntax { text: text.to_owned(), what };
    let mut list: Vec<Named> = Vec::new();
    let mut rest = text.trim();
    loop {
        let end = rest.find(['(', ',', '@']).unwrap_or(rest.len());
        let name = rest[..end].trim();
        if name.is_empty() {
            return Err(syntax(format!("a name is missing before '{}'", &rest[end..])));
        }
        let mut inside = "";
        rest = &rest[end..];
        if let Some(opened) = rest.strip_prefix('(') {
            let close = opened.find(')').ok_or_else(|| syntax(format!("{name}( is not closed")))?;
            inside = &opened[..close];
            rest = opened[close + 1..].trim_start();
        }
        let mut period = None;
        if let Some(given) = rest.strip_prefix('@') {
            let end = given.find(',').unwrap_or(given.len());
            let word = given[..end].trim().to_lowercase();
            let known = Period::ALL.into_iter().find(|(known, _)| *known == word);
            period = Some(known.ok_or_else(|| syntax(format!("'@{word}' is no period, there are @1d and @1w")))?);
            rest = &given[end..];
        }
        let one = named(name, inside, period)?;
        if let Some(column) = one.columns.iter().find(|column| list.iter().any(|known| known.columns.contains(column)))
        {
            return Err(FeatureError::Twice { column: column.clone() });
        }
        list.push(one);
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => return Ok(list),
            None => return Err(syntax(format!("a comma is missing before '{rest}'"))),
        };
    }
}

fn named(name: &str, inside: &str, period: Option<(&str, Period)>) -> Result<Named, FeatureError> {
    let name = name.to_lowercase();
    let inside = inside.trim().to_lowercase();
    let given: Vec<&str> = if inside.is_empty() { Vec::new() } else { inside.split(',').map(str::trim).collect() };
    let indicator = AnyIndicator::parse(&name, &given)?;
    let mut stem = name;
    for argument in &given {
        stem.push('_');
        // A column's name is a word in every tool.
        stem.extend(argument.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }));
    }
    if let Some((word, _)) = period {
        stem.push('_');
        stem.push_str(word);
    }
    let column = |suffix: &&str| if suffix.is_empty() { stem.clone() } else { format!("{stem}_{suffix}") };
    let gathered = period.map(|(_, period)| Gathered::new(period));
    Ok(Named { columns: indicator.outputs().iter().map(column).collect(), indicator, gathered })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse_indicators(text).expect_err(text).to_string()
    }

    #[test]
    fn a_list_is_read() {
        let list = parse_indicators(" RSI(14) ,sma( 20 ),obv, ema(9,recursive) ").unwrap();
        let columns: Vec<_> = list.iter().flat_map(|one| one.columns.clone()).collect();
        assert_eq!(columns, ["rsi_14", "sma_20", "obv", "ema_9_recursive"]);
        let weekly = parse_indicators("rsi(14)@1w, rsi(14), obv@1d").unwrap();
        let columns: Vec<_> = weekly.iter().flat_map(|one| one.columns.clone()).collect();
        assert_eq!(columns, ["rsi_14_1w", "rsi_14", "obv_1d"]);
        assert_eq!(list[0].indicator, AnyIndicator::Rsi(Rsi::new(14)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(message("rsi(14").contains("rsi( is not closed"));
        assert!(message("rsi(14) sma(20)").contains("a comma is missing before 'sma(20)'"));
        assert!(message("rsi(14),,sma(20)").contains("a name is missing"));
        assert!(message("").contains("a name is missing"));
        assert!(message("rsi(14)@1h").contains("'@1h' is no period, there are @1d and @1w"));
        assert!(message("rsi(14),rsi(14)").contains("rsi_14 is asked for twice"));
        assert!(message("bolinger(20)").contains("did you mean bollinger?"));
        assert!(!message("xyzzy").contains("did you mean"), "a wrong guess is worse than none");
        assert_eq!(
            message("rsi(0)"),
            "rsi: length is '0', not a whole number from 1 to 100000; it is written rsi(length[, wilder | simple])"
        );
        assert!(message("rsi(14,wild)").contains("did you mean wilder?"));
        assert!(message("rsi(14,simple,3)").contains("'3' is one argument too many"));
        assert!(message("sma").contains("length is missing"));
        assert!(message("macd(26,12,9)").contains("fast must be shorter than slow"));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = AnyIndicator::ALL.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), AnyIndicator::ALL.len());
        for (name, usage) in AnyIndicator::ALL {
            assert!(usage.starts_with(name), "{usage} shows how {name} is written");
        }
    }
}
