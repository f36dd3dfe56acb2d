//! What limits on the portfolio as a whole are made of: their settings, and the sessions they are worked out from.
//!
//! - Returns are those of whole sessions, last price to last price, and only of sessions that have closed: nothing here
//!   knows of the session that is open. A session in which an instrument did not trade is a return of zero.
//! - They are integers in units of 1e-8, rounded half away from zero; sums run in the order of instruments and sessions.
//! - What cannot be worked out is said to be missing, with how much there is of how much it takes: it is never zero.
//! - The settings are no state. The history is, where a limit is set, as far as the limits look back.
//!
//! Beta of an instrument: covariance of its returns and the benchmark's over the variance of the benchmark's, over the
//! last `risk.history_sessions`: `(n Σ xy - Σx Σy) / (n Σ y² - (Σy)²)`, rounded half away from zero at 1e-8.

use crate::ledger::Book;
use daybook_config::Settings;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Instrument, InstrumentId, Price, Ratio};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The largest return that is counted, either way: a hundredfold.
const RETURN_MAX: i128 = 100 * SCALE as i128;
/// In the place of a return: the instrument did not trade in the session.
const STOOD_STILL: i64 = i64::MIN;

/// Limits on the portfolio as a whole, looked up by instrument once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortfolioLimits {
    /// Largest share of the equity in one sector, in percent.
    pub max_sector_pct: Option<Ratio>,
    /// The sector of each instrument, as a number; nothing where it has none.
    pub sectors: Vec<Option<u32>>,
    /// Names of the sectors, by number.
    pub sector_names: Vec<String>,
    /// Allowed exposures to factors, in the order of their names.
    pub factors: Vec<Factor>,
    /// The instrument that betas are measured against; it is never traded.
    pub benchmark: Option<InstrumentId>,
    /// Lowest beta of the positions.
    pub min_beta: Option<Ratio>,
    /// Highest beta of the positions.
    pub max_beta: Option<Ratio>,
    /// Largest value at risk, in percent of the equity.
    pub max_var_pct: Option<Ratio>,
    /// Largest mean of the losses beyond it, in percent of the equity.
    pub max_cvar_pct: Option<Ratio>,
    /// Confidence of the value at risk, in percent, from 50 to 99.
    pub confidence_pct: u32,
    /// Sessions looked back at.
    pub sessions: usize,
}

/// A factor, what may be loaded on it, and what each instrument does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// Its name.
    pub name: String,
    /// The lowest exposure.
    pub low: Ratio,
    /// The highest exposure.
    pub high: Ratio,
    /// By instrument; nothing where it is not known.
    pub loadings: Vec<Option<Ratio>>,
}

impl PortfolioLimits {
    /// The limits of settings, for the instruments of a session; nothing where none is set. Fails where a limit has
    /// nothing to be worked out from, with what to do.
    pub fn of(settings: &Settings, instruments: &[Instrument]) -> Result<Option<Self>, String> {
        let (sectors, sector_names) = sectors_of(settings, instruments)?;
        let limits = Self {
            max_sector_pct: settings.risk_max_sector_pct,
            sectors,
            sector_names,
            factors: factors_of(settings, instruments)?,
            benchmark: benchmark_of(settings, instruments)?,
            min_beta: settings.risk_min_beta,
            max_beta: settings.risk_max_beta,
            max_var_pct: settings.risk_max_var_pct,
            max_cvar_pct: settings.risk_max_cvar_pct,
            confidence_pct: settings.risk_var_confidence_pct,
            sessions: settings.risk_history_sessions as usize,
        };
        if limits.has_beta() && limits.benchmark.is_none() {
            return Err("risk.min_beta and risk.max_beta need a benchmark: set risk.benchmark=SYMBOL".to_owned());
        }
        if let (Some(low), Some(high)) = (limits.min_beta, limits.max_beta)
            && low > high
        {
            return Err(format!("risk.min_beta is {low} and risk.max_beta {high}: no beta is allowed; exchange them"));
        }
        let is_any = limits.max_sector_pct.is_some()
            || !limits.factors.is_empty()
            || limits.benchmark.is_some()
            || limits.looks_at_losses();
        Ok(is_any.then_some(limits))
    }

    /// The beta of the positions is limited.
    pub const fn has_beta(&self) -> bool {
        self.min_beta.is_some() || self.max_beta.is_some()
    }

    /// What the positions would have lost in past sessions is limited.
    pub const fn looks_at_losses(&self) -> bool {
        self.max_var_pct.is_some() || self.max_cvar_pct.is_some()
    }

    /// True where past sessions are looked at.
    pub const fn looks_back(&self) -> bool {
        self.has_beta() || self.looks_at_losses()
    }

    /// How many of them; 0 where none is.
    pub const fn looks_back_at(&self) -> usize {
        if self.looks_back() { self.sessions } else { 0 }
    }
}

/// The sector of each instrument, and their names; sectors are numbered in the order of those.
fn sectors_of(settings: &Settings, instruments: &[Instrument]) -> Result<(Vec<Option<u32>>, Vec<String>), String> {
    if settings.risk_max_sector_pct.is_none() {
        return Ok((Vec::new(), Vec::new()));
    }
    if settings.risk_sectors.is_empty() {
        return Err("risk.max_sector_pct needs to know sectors: set risk.sector_file=FILE or risk.sectors".to_owned());
    }
    let mut names: Vec<String> = settings.risk_sectors.iter().map(|(_, sector)| sector.as_str().to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    let number = |instrument: &Instrument| {
        let sector = settings.risk_sectors.get(&instrument.symbol)?;
        names.binary_search_by(|name| name.as_str().cmp(sector.as_str())).ok().map(|place| place as u32)
    };
    Ok((instruments.iter().map(number).collect(), names))
}

fn factors_of(settings: &Settings, instruments: &[Instrument]) -> Result<Vec<Factor>, String> {
    let factor = |(name, span): (&str, &daybook_config::Span)| {
        if !settings.risk_factors.iter().any(|(_, loadings)| loadings.on(name).is_some()) {
            let mut known: Vec<&str> = settings.risk_factors.iter().flat_map(|(_, some)| some.factors()).collect();
            known.sort_unstable();
            known.dedup();
            let known = if known.is_empty() { "there is no table".to_owned() } else { known.join(", ") };
            return Err(format!(
                "risk.max_factor limits '{name}', of which no symbol has a loading ({known}): set \
                 risk.factor_file=FILE or risk.factors"
            ));
        }
        let loading = |instrument: &Instrument| settings.risk_factors.get(&instrument.symbol)?.on(name);
        Ok(Factor {
            name: name.to_owned(),
            low: span.low,
            high: span.high,
            loadings: instruments.iter().map(loading).collect(),
        })
    };
    settings.risk_max_factor.iter().map(factor).collect()
}

fn benchmark_of(settings: &Settings, instruments: &[Instrument]) -> Result<Option<InstrumentId>, String> {
    let Some(symbol) = &settings.risk_benchmark else { return Ok(None) };
    match instruments.iter().position(|instrument| instrument.symbol == *symbol) {
        Some(place) => Ok(Some(InstrumentId(place as u32))),
        None => Err(format!(
            "risk.benchmark is '{symbol}', which is none of the session's symbols: name it with --symbols, ingest its candles \
             of the session's interval, or choose another one"
        )),
    }
}

/// What past sessions were like. State, where limits look at it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct PortfolioHistory {
    /// Last prices of the last session each instrument traded in; zero before there was one.
    closes: Vec<Price>,
    /// Candles each instrument had by then.
    bars: Vec<u64>,
    /// Returns of past sessions by instrument, the last one last.
    returns: Vec<VecDeque<i64>>,
}

/// The history, its limits, and what follows from both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Portfolio {
    /// Nothing where they come later: then the history is kept for them.
    pub limits: Option<PortfolioLimits>,
    history: PortfolioHistory,
    /// Sessions kept.
    keeps: usize,
    /// By instrument; nothing where it cannot be worked out.
    betas: Vec<Option<Ratio>>,
}

impl Portfolio {
    pub fn new(instruments: usize) -> Self {
        let history = PortfolioHistory {
            closes: vec![Price::ZERO; instruments],
            bars: vec![0; instruments],
            returns: vec![VecDeque::new(); instruments],
        };
        Self { limits: None, history, keeps: 0, betas: vec![None; instruments] }
    }

    /// With these returns, the last one last.
    #[cfg(test)]
    pub fn of_returns(limits: PortfolioLimits, returns: Vec<Vec<i64>>) -> Self {
        let mut portfolio = Self::new(returns.len());
        portfolio.history.returns = returns.into_iter().map(VecDeque::from).collect();
        portfolio.limit(limits);
        portfolio
    }

    /// Keeps at least so many sessions from here on.
    pub fn keep(&mut self, sessions: usize) {
        self.keeps = self.keeps.max(sessions);
    }

    /// Takes other limits: the history stays.
    pub fn limit(&mut self, limits: PortfolioLimits) {
        if limits.looks_back() {
            self.keep(limits.sessions);
        }
        self.limits = Some(limits);
        self.work_betas_out();
    }

    /// A session has closed: what it did to each price is known from here on.
    pub fn close_session(&mut self, books: &[Book]) {
        if self.keeps == 0 {
            return;
        }
        let PortfolioHistory { closes, bars, returns } = &mut self.history;
        for (index, book) in books.iter().enumerate() {
            let traded = book.bars > bars[index];
            if closes[index].0 > 0 {
                let step = if traded { session_return(closes[index], book.last) } else { STOOD_STILL };
                returns[index].push_back(step);
                while returns[index].len() > self.keeps {
                    returns[index].pop_front();
                }
            }
            if traded && book.last.0 > 0 {
                (closes[index], bars[index]) = (book.last, book.bars);
            }
        }
        self.work_betas_out();
    }

    /// The state: what the limits can look at, and nothing where they do not look back.
    pub fn saved(&self) -> Option<PortfolioHistory> {
        let limits = self.limits.as_ref().filter(|limits| limits.looks_back())?;
        let mut history = self.history.clone();
        for returns in &mut history.returns {
            returns.drain(..returns.len().saturating_sub(limits.sessions));
        }
        Some(history)
    }

    /// True where the state has a part of it.
    pub fn is_saved(&self) -> bool {
        self.limits.as_ref().is_some_and(PortfolioLimits::looks_back)
    }

    /// Takes what [`Portfolio::saved`] gave; false where it is of another session.
    pub fn restore(&mut self, history: PortfolioHistory) -> bool {
        let count = self.history.closes.len();
        let fits = history.closes.len() == count && history.bars.len() == count && history.returns.len() == count;
        if fits {
            self.history = history;
            self.work_betas_out();
        }
        fits
    }

    /// Whole sessions known of an instrument, as far as they are looked at.
    pub fn known(&self, instrument: usize, sessions: usize) -> usize {
        self.history.returns[instrument].len().min(sessions)
    }

    /// The return of an instrument so many sessions ago, 0 for the last one, in units of 1e-8.
    pub fn session_return(&self, instrument: usize, ago: usize) -> i64 {
        let returns = &self.history.returns[instrument];
        let step = returns.len().checked_sub(ago + 1).map_or(0, |place| returns[place]);
        if step == STOOD_STILL { 0 } else { step }
    }

    /// The beta of an instrument against the benchmark; nothing where it cannot be worked out.
    pub fn beta(&self, instrument: usize) -> Option<Ratio> {
        self.betas[instrument]
    }

    /// Sessions of the last ones in which the benchmark traded, 0 where it did not move in any.
    pub fn benchmark_sessions(&self, benchmark: InstrumentId, sessions: usize) -> usize {
        let returns = self.history.returns[benchmark.index()].iter().rev().take(sessions);
        let traded = returns.clone().filter(|step| **step != STOOD_STILL).count();
        let mut moved = returns.filter(|step| **step != STOOD_STILL);
        let first = moved.next();
        if moved.any(|step| Some(step) != first) { traded } else { 0 }
    }

    fn work_betas_out(&mut self) {
        self.betas.fill(None);
        let Some(limits) = &self.limits else { return };
        let (Some(benchmark), true) = (limits.benchmark, limits.has_beta()) else { return };
        if self.benchmark_sessions(benchmark, limits.sessions) < limits.sessions {
            return;
        }
        let betas: Vec<_> = (0..self.betas.len())
            .map(|index| {
                (self.known(index, limits.sessions) == limits.sessions)
                    .then(|| self.beta_of(index, benchmark.index(), limits.sessions))
            })
            .collect();
        self.betas = betas;
    }

    fn beta_of(&self, instrument: usize, benchmark: usize, sessions: usize) -> Ratio {
        let (mut sum, mut sum_of_benchmark, mut product, mut square) = (0i128, 0i128, 0i128, 0i128);
        for ago in 0..sessions {
            let own = i128::from(self.session_return(instrument, ago));
            let other = i128::from(self.session_return(benchmark, ago));
            sum += own;
            sum_of_benchmark += other;
            product += own * other;
            square += other * other;
        }
        let count = sessions as i128;
        let covariance = count * product - sum * sum_of_benchmark;
        let variance = count * square - sum_of_benchmark * sum_of_benchmark;
        assert!(variance > 0, "a benchmark that moves has a variance");
        Ratio(rounded(covariance * i128::from(SCALE), variance).clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }
}

/// What a session did to a price, in units of 1e-8, rounded half away from zero.
fn session_return(from: Price, to: Price) -> i64 {
    let step = rounded((i128::from(to.0) - i128::from(from.0)) * i128::from(SCALE), i128::from(from.0));
    step.clamp(-RETURN_MAX, RETURN_MAX) as i64
}

/// A quotient rounded half away from zero; the divisor is above zero.
fn rounded(dividend: i128, divisor: i128) -> i128 {
    dividend.signum() * ((dividend.abs() * 2 + divisor) / (2 * divisor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_config::Sources;

    fn limits(settings: &[(&str, &str)], symbols: &[&str]) -> Result<Option<PortfolioLimits>, String> {
        let overrides = settings.iter().map(|(key, value)| (format!("risk.{key}"), (*value).to_owned())).collect();
        let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
        let instrument = |symbol: &&str| Instrument {
            market: "nse".into(),
            symbol: (*symbol).to_owned(),
            tick: Price(1),
            lot: daybook_vocabulary::Quantity(1),
        };
        PortfolioLimits::of(&settings, &symbols.iter().map(instrument).collect::<Vec<_>>())
    }

    #[test]
    fn limits_are_looked_up_once_and_want_what_they_are_worked_out_from() {
        assert_eq!(limits(&[], &["A"]), Ok(None));
        assert_eq!(limits(&[("sectors", "A:x")], &["A"]), Ok(None), "a table is no limit");
        let known = limits(
            &[
                ("max_sector_pct", "30"),
                ("sectors", "A:zinc,B:banks,C:zinc"),
                ("max_factor", "value:-0.1..0.5"),
                ("factors", "A:value=1;size=2,B:size=0"),
                ("benchmark", "N"),
                ("max_beta", "1.5"),
            ],
            &["A", "B", "C", "D", "N"],
        );
        let known = known.unwrap().unwrap();
        assert_eq!(known.sectors, [Some(1), Some(0), Some(1), None, None]);
        assert_eq!(known.sector_names, ["banks", "zinc"]);
        assert_eq!(known.factors[0].loadings, [Some(Ratio(SCALE)), None, None, None, None]);
        assert_eq!((known.benchmark, known.sessions, known.confidence_pct), (Some(InstrumentId(4)), 20, 95));
        for (settings, said) in [
            (&[("max_sector_pct", "30")][..], "risk.sector_file"),
            (&[("max_factor", "value:1")], "there is no table"),
            (&[("max_factor", "value:1"), ("factors", "A:size=1")], "(size)"),
            (&[("max_beta", "1")], "set risk.benchmark"),
            (&[("benchmark", "Z")], "'Z', which is none"),
            (&[("benchmark", "A"), ("min_beta", "2"), ("max_beta", "1")], "exchange them"),
        ] {
            let message = limits(settings, &["A"]).unwrap_err();
            assert!(message.contains(said), "{settings:?}: {message}");
        }
    }

    #[test]
    fn sessions_become_returns_when_they_have_closed() {
        let looks = limits(&[("max_var_pct", "5"), ("history_sessions", "3")], &["A", "B"]).unwrap().unwrap();
        let mut portfolio = Portfolio::new(2);
        portfolio.limit(looks);
        let mut books = vec![Book::default(); 2];
        for (first, second) in [(100, 0), (110, 7), (99, 7), (99, 14), (198, 14)] {
            for (book, price) in books.iter_mut().zip([first, second]) {
                // A price that stays where it is belongs to a session without a candle.
                book.bars += u64::from(book.last != Price::from_units(price));
                book.last = Price::from_units(price);
            }
            portfolio.close_session(&books);
        }
        let returns = |index, count| (0..count).map(|ago| portfolio.session_return(index, ago)).collect::<Vec<_>>();
        assert_eq!(returns(0, 4), [SCALE, 0, -SCALE / 10, 0], "the last first; what is older than three is gone");
        assert_eq!((portfolio.known(0, 3), portfolio.known(1, 3)), (3, 3), "B: still, doubled, still");
        assert_eq!(returns(1, 3), [0, SCALE, 0]);
        assert_eq!(
            portfolio.benchmark_sessions(InstrumentId(1), 3),
            0,
            "it traded in one of them: that is no movement"
        );
        let saved = portfolio.saved().unwrap();
        let mut other = Portfolio::new(2);
        other.keep(9);
        other.limit(portfolio.limits.clone().unwrap());
        assert!(other.restore(saved.clone()) && other.saved() == Some(saved.clone()));
        assert!(!Portfolio::new(1).restore(saved), "of another session");
        assert_eq!(session_return(Price(3), Price(4)), 33_333_333);
        assert_eq!(session_return(Price(3), Price(2)), -33_333_333);
        assert_eq!(session_return(Price(1), Price(i64::MAX)), 100 * SCALE, "nothing is larger than a hundredfold");
    }

    /// Against the textbook: returns 1 %, 2 %, 3 % of the benchmark, twice and minus half of them.
    #[test]
    fn beta_is_covariance_over_variance() {
        let looks = limits(&[("benchmark", "N"), ("max_beta", "9"), ("history_sessions", "3")], &["N", "A", "B", "C"]);
        let percent = |numbers: [i64; 3]| numbers.map(|number| number * SCALE / 1_000).to_vec();
        let series = [[10, 20, 30], [20, 40, 60], [-5, -10, -15], [30, 10, 20]].map(percent);
        let portfolio = Portfolio::of_returns(looks.clone().unwrap().unwrap(), series.to_vec());
        let beta = |index| portfolio.beta(index).unwrap().to_string();
        assert_eq!([beta(0), beta(1), beta(2), beta(3)], ["1", "2", "-0.5", "-0.5"]);
        let mut still = series.to_vec();
        still[0] = percent([10, 10, 10]);
        let portfolio = Portfolio::of_returns(looks.clone().unwrap().unwrap(), still);
        assert_eq!(portfolio.beta(1), None, "a benchmark that does not vary says nothing");
        let mut short = series.to_vec();
        short[3].pop();
        let portfolio = Portfolio::of_returns(looks.unwrap().unwrap(), short);
        assert!(portfolio.beta(1).is_some() && portfolio.beta(3).is_none());
    }
}
