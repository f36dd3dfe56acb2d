//! The source and sink of training: history through the core under the decision rules, folded into a replay memory.
//!
//! - The core is set up as for a backtest with the same settings: rules, fills, charges and limits are those that trade.
//! - Candles are read from the anchor of the oldest row that the first decision looks back at; they teach and decide
//!   nothing.
//! - What decides explores from the settings' seed, so the same settings and journals give the same memory.

use crate::catalog::{History, Selection, select};
use crate::driver::Source;
use crate::error::ReplayError;
use crate::history::{HistorySource, Range};
use crate::plan::{Plan, calendar_for};
use daybook_config::{Calendar, FeeSchedule, Settings};
use daybook_core::policy::{Policy, PolicyFeatures, PolicyRunner};
use daybook_core::{Core, Setup};
use daybook_features::Timeframe;
pub use daybook_train::memory::{Epsilon, RewardFormula};
use daybook_train::memory::{Exploring, Memory, MemoryError, MemoryFold, Span};
use daybook_vocabulary::{Date, Nanos};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Makes the policy that is explored around, once calendar and number of instruments are known.
pub type Inside<'a> = &'a dyn Fn(&Calendar, usize) -> Result<Box<dyn Policy>, String>;

/// What a memory is folded from.
pub struct Populate<'a> {
    /// Journals of history, by rank.
    pub journals: Vec<PathBuf>,
    /// Symbols; all when empty.
    pub symbols: Vec<String>,
    /// Timeframes of the features: the first is that of the candles, the others are built from them.
    pub timeframes: Vec<Timeframe>,
    /// First session that is decided in, inclusive.
    pub from: Option<Date>,
    /// Last session, inclusive.
    pub to: Option<Date>,
    /// What is held out from training, first and last session.
    pub holdout: Option<(Date, Date)>,
    /// Rules, charges, limits, cash and seed.
    pub settings: &'a Settings,
    /// What a transition is rewarded with.
    pub reward: RewardFormula,
    /// How much is explored.
    pub epsilon: Epsilon,
    /// What is explored around; always at random without it.
    pub inside: Option<Inside<'a>>,
}

/// Whole sessions, inclusive, as a span of time.
pub fn span_of(calendar: &Calendar, from: Option<Date>, to: Option<Date>) -> Span {
    let Range { from, until } = Range::of_dates(calendar, from, to);
    Span { from, until }
}

/// Opens the journals and chooses what is read.
pub fn open(options: &Populate<'_>) -> Result<(Vec<History>, Selection, Calendar), ReplayError> {
    let refuse = |what: String| Err(ReplayError::Report(what));
    let Some(shortest) = options.timeframes.first() else {
        return refuse("a memory needs a timeframe, such as 5m".to_owned());
    };
    if let Some(pair) = options.timeframes.windows(2).find(|pair| pair[0].interval >= pair[1].interval) {
        let (one, other) = (pair[0].interval, pair[1].interval);
        return refuse(format!("timeframes are {one}, {other}: give the shortest first, each once"));
    }
    if let Some(other) = options.timeframes.iter().find(|one| one.interval.0 % shortest.interval.0 != 0) {
        let (other, shortest) = (other.interval, shortest.interval);
        return refuse(format!("bars of {other} cannot be built from candles of {shortest}: give a multiple of it"));
    }
    let histories = options.journals.iter().map(|path| History::open(path)).collect::<Result<Vec<_>, _>>()?;
    let selection = select(&histories, &options.symbols, Some(shortest.interval))?;
    let calendar = calendar_for(options.settings, &selection)?;
    Ok((histories, selection, calendar))
}

/// Folds the memory. `progress` is told how many inputs were stepped through.
pub fn populate(options: &Populate<'_>, progress: &mut dyn FnMut(u64)) -> Result<Memory, ReplayError> {
    let (histories, selection, calendar) = open(options)?;
    let decides = Range::of_dates(&calendar, options.from, options.to);
    if !HistorySource::reaches(&histories, &selection, decides)? {
        let bound = |date: Option<Date>, open: &str| date.map_or_else(|| open.to_owned(), |date| date.to_string());
        let series = histories.iter().flat_map(|history| &history.series);
        let chosen: Vec<_> = series.filter(|series| selection.instruments.contains(&series.definition)).collect();
        let date = |time: Option<Nanos>| time.map(|time| calendar.date_of(time).to_string()).unwrap_or_default();
        return Err(ReplayError::EmptyRange {
            from: bound(options.from, "the beginning"),
            to: bound(options.to, "the end"),
            first: date(chosen.iter().map(|series| series.first).min()),
            last: date(chosen.iter().map(|series| series.last).max()),
        });
    }
    let first = options.from.map(|from| PolicyFeatures::reads_from(&calendar, &options.timeframes, from));
    let reads = Range { from: Range::of_dates(&calendar, first, None).from, until: decides.until };
    let mut source = HistorySource::new(&histories, &selection, calendar.clone(), reads, 0)?;
    let mut fold = fold(options, &selection, &calendar, decides.from)?;
    let mut inputs = 0u64;
    while source.advance()? {
        fold.step(&source.input())?;
        inputs += 1;
        if inputs.is_multiple_of(4_096) {
            progress(inputs);
        }
    }
    Ok(fold.finish())
}

fn fold(
    options: &Populate<'_>,
    selection: &Selection,
    calendar: &Calendar,
    decide_from: Nanos,
) -> Result<MemoryFold, ReplayError> {
    let count = selection.instruments.len();
    let settings = options.settings;
    let inside = match options.inside {
        Some(make) => Some(make(calendar, count).map_err(ReplayError::Report)?),
        None => None,
    };
    let deciding = PolicyFeatures::for_decisions(calendar.clone(), count, &options.timeframes);
    let policy = Exploring::new(deciding, inside, options.epsilon, settings.seed);
    let core = Core::new(Setup {
        instruments: selection.instruments.clone(),
        interval: selection.interval,
        timeframe: None,
        cash: settings.cash,
        fees: FeeSchedule::parse(settings.costs.as_str())?,
        participation_bps: settings.exchange_participation_bps,
        decide_from,
        warmup_bars: 0,
        strategy: Box::new(PolicyRunner::new(Box::new(policy), count)),
    });
    // Slippage, limits and the rules of the exchange: what a backtest tells its core.
    let core = Plan::new("hold", &BTreeMap::new(), settings.clone())?.equip(core, selection)?;
    let features = PolicyFeatures::for_training(calendar.clone(), count, &options.timeframes);
    let holdout = options.holdout.map(|(from, to)| span_of(calendar, Some(from), Some(to)));
    Ok(MemoryFold::new(core, features, holdout)?.rewarding(options.reward))
}

impl From<MemoryError> for ReplayError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Core(error) => Self::Core(error),
            other => Self::Report(other.to_string()),
        }
    }
}
