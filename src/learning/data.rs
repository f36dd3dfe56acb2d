//! From journals to what the learner works on: the memory of a range, and trials over one.
//!
//! - Core and fills are those of a backtest; unless the settings say otherwise the profile is `realistic`, and where we
//!   trade live the charges are those of live: what is learned and promoted without them would not be what is traded.
//! - Warm-up reaches back to where features are anchored, so a range's first decision sees whole windows.

use super::judged::judged;
use crate::cli::Cli;
use daybook_config::{Calendar, Origin};
use daybook_core::policy::{Policy, PolicyFeatures, PolicyRunner, PolicySlice, Word};
use daybook_core::{Body, SessionHours};
use daybook_features::Timeframe;
use daybook_inference::tensors::{ContentHash, Tensor, TensorFile};
use daybook_inference::{LearnedPolicy, Model, Scratch, warmup_bars};
use daybook_replay::live::LIVE_COSTS;
use daybook_replay::memory::{Populate, populate};
use daybook_replay::{BacktestOptions, Plan, Prepared, Source, Trial, trial};
use daybook_train::evaluate::{Comparison, TradeFacts, Trial as TrialFacts};
use daybook_train::memory::{Epsilon, Exploring, Memory, RewardFormula, Span};
use daybook_vocabulary::{Candle, Date, Hash, InstrumentId, Ratio, TradeClosed};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Told how many inputs were read.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// Bytes of a row of features with its key, and of a transition with its share of everything else.
const ROW_BYTES: f64 = 96.0;
const TRANSITION_BYTES: f64 = 48.0;

/// The market whose instruments can be traded live, under its broker's charges.
const LIVE_MARKET: &str = "nse";

/// What is asked for.
pub struct Wanted<'a> {
    /// Journals of history.
    pub journals: &'a [PathBuf],
    /// Symbols; all when empty.
    pub symbols: &'a [String],
    /// Timeframes, the shortest first.
    pub timeframes: &'a [Timeframe],
    /// First and last session.
    pub dates: (Option<Date>, Option<Date>),
    /// Settings from the command line.
    pub set: &'a [(String, String)],
}

/// A range of history, opened.
pub struct Data {
    /// Journals, instruments, calendar, range.
    pub prepared: Prepared,
    /// Settings; its strategy is not used.
    pub plan: Plan,
    /// Timeframes, the shortest first.
    pub timeframes: Vec<Timeframe>,
}

impl Data {
    /// Opens the journals and chooses what is read.
    pub fn open(cli: &Cli, wanted: &Wanted<'_>) -> Result<Self, Box<dyn Error>> {
        let mut overrides = vec![("profile".to_owned(), "realistic".to_owned())];
        overrides.extend(wanted.set.iter().cloned());
        let resolved = crate::commands::settings(cli, overrides.clone())?;
        // A profile has a product in mind; what is sent to a broker is intraday.
        let names_charges = !matches!(resolved.origin("costs"), Some(Origin::Default | Origin::Profile(_)));
        let mut plan = Plan::new("hold", &BTreeMap::new(), resolved.settings)?;
        let first = wanted.timeframes.first().ok_or("a model looks at one timeframe at least")?;
        let mut options = BacktestOptions {
            journals: wanted.journals.iter().map(|path| crate::commands::journal_of(path)).collect(),
            plan: plan.clone(),
            symbols: wanted.symbols.iter().filter(|symbol| !symbol.is_empty()).cloned().collect(),
            interval: Some(first.interval),
            from: wanted.dates.0,
            to: wanted.dates.1,
            warmup: Some(0),
            out: PathBuf::new(),
            force: false,
            binary: Hash::default(),
        };
        let found = Prepared::open(&options)?;
        let trades_live = found.selection.instruments.iter().all(|instrument| instrument.market == LIVE_MARKET);
        if !names_charges && trades_live {
            overrides.push(("costs".to_owned(), LIVE_COSTS.to_owned()));
            plan = Plan::new("hold", &BTreeMap::new(), crate::commands::settings(cli, overrides)?.settings)?;
            options.plan = plan.clone();
        }
        options.warmup = Some(warmup_bars(&found.calendar, wanted.timeframes));
        let prepared = Prepared::open(&options)?;
        Ok(Self { prepared, plan, timeframes: wanted.timeframes.to_vec() })
    }

    /// Symbols, in order.
    pub fn symbols(&self) -> Vec<String> {
        self.prepared.selection.instruments.iter().map(|instrument| instrument.symbol.clone()).collect()
    }

    /// The sessions of two dates as a range of time.
    pub fn span(&self, from: Option<Date>, to: Option<Date>) -> Span {
        let range = daybook_replay::Range::of_dates(&self.prepared.calendar, from, to);
        Span { from: range.from, until: range.until }
    }

    /// The journals' content, one hash each.
    pub fn content(&self) -> Vec<String> {
        let of = |history: &daybook_replay::History| Hash(history.journal.head().content.0).to_string();
        self.prepared.histories.iter().map(of).collect()
    }

    /// One hash of all of it.
    pub fn content_hash(&self) -> Hash {
        Hash(*blake3::hash(self.content().join(" ").as_bytes()).as_bytes())
    }

    /// Candles that are read at most, for a progress bar.
    pub fn candles(&self) -> u64 {
        let series = self.prepared.histories.iter().flat_map(|history| &history.series);
        series.map(|series| series.candles).sum()
    }

    /// Bytes that a memory of the range takes, about: rows of features in every timeframe, and transitions. Candles are
    /// taken as spread evenly over their series.
    pub fn memory_bytes(&self) -> u64 {
        let (range, shortest) = (self.prepared.range, self.timeframes[0].interval.0 as f64);
        let rows: f64 = self.timeframes.iter().map(|one| shortest / one.interval.0 as f64).sum();
        let each = rows * ROW_BYTES + TRANSITION_BYTES;
        let chosen = &self.prepared.selection;
        let series = self.prepared.histories.iter().flat_map(|history| &history.series);
        let own = series.filter(|one| one.interval == chosen.interval && chosen.instruments.contains(&one.definition));
        let bytes = own.map(|one| {
            let length = one.last.0.saturating_sub(one.first.0).max(1) as f64;
            let inside = one.last.min(range.until).0.saturating_sub(one.first.max(range.from).0).max(0) as f64;
            one.candles as f64 * (inside / length).min(1.0) * each
        });
        bytes.sum::<f64>() as u64
    }

    /// Replays the range into a memory: random actions, or a model's with some exploration. Also says how many seconds
    /// the model took.
    pub fn memory(
        &self,
        wanted: &Wanted<'_>,
        explore: Option<(Arc<Model>, &Path)>,
        (epsilon, holdout, reward): (Epsilon, Option<(Date, Date)>, RewardFormula),
        progress: Progress<'_>,
    ) -> Result<(Memory, f64), Box<dyn Error>> {
        let interval = self.timeframes[0].interval;
        let spent = Arc::new(AtomicU64::new(0));
        let make = |calendar: &Calendar, symbols: usize| -> Result<Box<dyn Policy>, String> {
            let (model, path) = explore.as_ref().ok_or("there is no model to explore around")?;
            let policy = LearnedPolicy::new(Arc::clone(model), path, calendar.clone(), interval, symbols);
            Ok(Box::new(Timed { policy: policy.map_err(|error| error.to_string())?, spent: Arc::clone(&spent) }))
        };
        let options = Populate {
            journals: wanted.journals.iter().map(|path| crate::commands::journal_of(path)).collect(),
            symbols: self.symbols(),
            timeframes: self.timeframes.clone(),
            from: wanted.dates.0,
            to: wanted.dates.1,
            holdout,
            settings: &self.plan.settings,
            reward,
            epsilon,
            inside: explore.as_ref().map(|_| &make as _),
        };
        let memory = populate(&options, progress)?;
        Ok((memory, spent.load(Ordering::Relaxed) as f64 / 1e6))
    }

    /// A model over the range, beside flat, hold, random and sma-cross.
    pub fn compare(
        &self,
        model: Arc<Model>,
        path: &Path,
        seed: u64,
        progress: Progress<'_>,
    ) -> Result<Comparison, Box<dyn Error>> {
        let symbols = self.symbols().len();
        let run = |policy: Box<dyn Policy>, progress: Progress<'_>| {
            trial(&self.prepared, &self.plan, Some(Box::new(PolicyRunner::new(policy, symbols))), progress)
        };
        let trial_of_model = run(self.policy(model, path)?, progress)?;
        let mut learned = self.facts_of(&trial_of_model);
        learned.judged = judged(&trial_of_model, &self.plan.settings, &self.prepared.calendar)?;
        // Several random runs, so that one lucky seed does not stand for chance.
        let mut random = TrialFacts::default();
        for offset in 0..3 {
            let one = self
                .facts_of(&run(Box::new(self.exploring(None, Epsilon::RANDOM, seed.wrapping_add(offset))), progress)?);
            random.trades.extend(one.trades);
            random.actions.iter_mut().zip(one.actions).for_each(|(sum, count)| *sum += count);
            random.equity.extend(one.equity);
            random.open += one.open;
        }
        let rule = |name: &str, progress: Progress<'_>| -> Result<TrialFacts, Box<dyn Error>> {
            let plan = Plan::new(name, &BTreeMap::new(), self.plan.settings.clone())?;
            Ok(self.facts_of(&trial(&self.prepared, &plan, None, progress)?))
        };
        let (hold, cross) = (rule("hold", progress)?, rule("sma-cross", progress)?);
        let cash = learned.equity.iter().map(|run| vec![run[0]; run.len()]).collect();
        let flat = TrialFacts { equity: cash, ..TrialFacts::default() };
        Ok(Comparison::of(&learned, &random, &[("flat", &flat), ("hold", &hold), ("sma-cross", &cross)]))
    }

    /// The first decisions of the range: inputs and outputs of the network, for others to check.
    pub fn dump(
        &self,
        model: &Model,
        count: usize,
        out: &Path,
        progress: Progress<'_>,
    ) -> Result<(usize, ContentHash), Box<dyn Error>> {
        let symbols = self.symbols().len();
        let calendar = self.prepared.calendar.clone();
        let mut features = PolicyFeatures::for_decisions(calendar, symbols, &self.timeframes);
        let mut source = self.prepared.source(&self.plan)?;
        let (mut inputs, mut q, mut found, mut read) = (vec![Vec::new(); self.timeframes.len()], Vec::new(), 0, 0u64);
        let mut scratch = Scratch::default();
        while found < count && source.advance()? {
            let input = source.input();
            read += 1;
            if read.is_multiple_of(1_024) {
                progress(read);
            }
            match input.body {
                Body::SessionOpened(hours) => features.on_session(&hours),
                Body::Candle(id, candle) => features.on_bar(id, candle),
                Body::Slice(_) if input.time > self.prepared.range.from => {
                    let Some(moment) = features.moment(input.time) else { continue };
                    let Ok(windows) = features.windows(&moment) else { continue };
                    q.extend(model.network.q_values(&windows, &mut scratch)?);
                    for (values, rows) in inputs.iter_mut().zip(&windows) {
                        rows.iter().for_each(|row| values.extend_from_slice(row));
                    }
                    found += 1;
                }
                _ => {}
            }
        }
        if found == 0 {
            return Err("no decision was made in the range: features lack bars there; ingest earlier candles".into());
        }
        let mut file = TensorFile::default();
        file.metadata.insert("model".to_owned(), model.hash.clone());
        for (timeframe, values) in model.network.shape().timeframes().iter().zip(inputs) {
            let dims = vec![found, symbols, timeframe.lookback, timeframe.features];
            file.tensors.insert(format!("x.{}", timeframe.name), Tensor { dims, values });
        }
        file.tensors.insert("q".to_owned(), Tensor { dims: vec![found, symbols, 3], values: q });
        Ok((found, file.write(out)?))
    }

    fn policy(&self, model: Arc<Model>, path: &Path) -> Result<Box<dyn Policy>, Box<dyn Error>> {
        let (calendar, interval) = (self.prepared.calendar.clone(), self.timeframes[0].interval);
        Ok(Box::new(LearnedPolicy::new(model, path, calendar, interval, self.symbols().len())?))
    }

    fn exploring(&self, inside: Option<Box<dyn Policy>>, epsilon: Epsilon, seed: u64) -> Exploring {
        let calendar = self.prepared.calendar.clone();
        let features = PolicyFeatures::for_decisions(calendar, self.symbols().len(), &self.timeframes);
        Exploring::new(features, inside, epsilon, seed)
    }

    /// What evaluation wants to know of a trial.
    fn facts_of(&self, trial: &Trial) -> TrialFacts {
        let ratio = |value: Option<Ratio>| value.map(|value| value.0 as f64 / 1e8);
        let money = |value: daybook_vocabulary::Money| daybook_vocabulary::decimal::to_f64(value.0);
        let facts = |trade: &TradeClosed| TradeFacts {
            session: self.prepared.calendar.date_of(trade.entry_time),
            r: ratio(trade.r_multiple()),
            mae_r: ratio(trade.mae_r()),
            mfe_captured: ratio(trade.mfe_captured()),
            shortfall: ratio(trade.shortfall()),
            adherence: ratio(trade.adherence()),
        };
        let equity = std::iter::once(trial.cash).chain(trial.accounts.iter().map(|account| account.equity));
        TrialFacts {
            trades: trial.trades.iter().map(facts).collect(),
            equity: vec![equity.map(money).collect()],
            open: trial.accounts.last().map_or(0, |account| u64::from(account.positions)),
            actions: trial.actions,
            judged: Vec::new(),
        }
    }
}

/// A policy whose time is taken, for what is shown: inference is reported apart from the fold.
struct Timed {
    policy: LearnedPolicy,
    /// Microseconds so far.
    spent: Arc<AtomicU64>,
}

impl Policy for Timed {
    fn model(&self) -> Hash {
        self.policy.model()
    }

    fn warmup(&self) -> u32 {
        self.policy.warmup()
    }

    fn on_session(&mut self, session: &SessionHours) {
        self.policy.on_session(session);
    }

    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle) {
        self.policy.on_bar(instrument, bar);
    }

    fn infer(&mut self, slice: &PolicySlice<'_>, words: &mut [Option<Word>]) {
        let watch = crate::output::Stopwatch::start();
        self.policy.infer(slice, words);
        self.spent.fetch_add((watch.seconds() * 1e6) as u64, Ordering::Relaxed);
    }

    fn save(&self, out: &mut Vec<u8>) {
        self.policy.save(out);
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        self.policy.load(saved)
    }
}
