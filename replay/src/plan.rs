//! What a session is told once: from the command line for a backtest, from the run header for an audit.
//!
//! - The header alone rebuilds the setup: nothing that changes a result lives elsewhere.

use crate::catalog::Selection;
use crate::error::ReplayError;
use crate::history::Range;
use crate::learned::{self, LEARNED};
use crate::listed;
use crate::scores;
use crate::winner::Trust;
use daybook_config::settings::{KEYS, Scope};
use daybook_config::{Calendar, FeeSchedule, Settings, Venue};
use daybook_core::risk::{PortfolioLimits, RiskLimits};
use daybook_core::strategy::{self, Parameters, STRATEGIES, Strategy};
use daybook_core::{Core, CoreError, ExchangeRules, Setup};
use daybook_vocabulary::time::DAY;
use daybook_vocabulary::{Date, Hash, InputFilter, Interval, Nanos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Days before a session whose hours are looked at for an ordinary one.
const LOOKED_AT: i32 = 31;

/// Strategy, parameters and settings of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name of the strategy.
    pub strategy: String,
    /// Its parameters, defaults filled in.
    pub parameters: Parameters,
    /// Settings that change results.
    pub settings: Settings,
    /// Folders and files where its model or its list of orders may lie; no part of a header.
    pub model_places: Vec<PathBuf>,
}

/// What `--set` gives to a strategy of that name, and what it sets beside it: a name that the strategy declares is its
/// parameter, a name of a setting is that setting. What is neither goes to the strategy, which knows its parameters, or,
/// where it looks like a setting, to the settings, which know their names.
pub fn split(strategy: &str, set: &[(String, String)]) -> (BTreeMap<String, String>, Vec<(String, String)>) {
    let declared = match strategy {
        LEARNED => learned::PARAMETERS,
        listed::NAME => listed::PARAMETERS,
        scores::NAME => scores::PARAMETERS,
        name => strategy::find(name).map_or(&[][..], |entry| entry.parameters),
    };
    let mut parameters = BTreeMap::new();
    let mut settings = Vec::new();
    for (key, value) in set {
        let is_declared = declared.iter().any(|parameter| parameter.name == key);
        let last = |known: &daybook_config::Key| known.name.rsplit('.').next() == Some(key);
        if !is_declared && (key.contains('.') || KEYS.iter().any(last)) {
            settings.push((key.clone(), value.clone()));
        } else {
            parameters.insert(key.clone(), value.clone());
        }
    }
    (parameters, settings)
}

/// How a plan is written in a header: canonical JSON, keys sorted.
#[derive(Serialize, Deserialize)]
struct Written {
    parameters: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
}

impl Plan {
    /// Checks the strategy's name and parameters.
    pub fn new(name: &str, given: &BTreeMap<String, String>, mut settings: Settings) -> Result<Self, ReplayError> {
        // A header names no path: what a table says goes into it whole.
        settings.take_in_tables()?;
        if name == LEARNED {
            return Self::learned(given, settings);
        }
        if name == listed::NAME {
            return Self::listed(given, settings);
        }
        if name == scores::NAME {
            let (parameters, model_places) = scores::resolve(given)?;
            return Ok(Self { strategy: name.to_owned(), parameters, settings, model_places });
        }
        let Some(entry) = strategy::find(name) else { return Err(unknown_strategy(name)) };
        let parameters = Parameters::resolve(name, entry.parameters, given)?;
        // Built once for nothing, so that a bad value is known before any work is done.
        entry.build(&parameters, 0)?;
        Ok(Self { strategy: name.to_owned(), parameters, settings, model_places: Vec::new() })
    }

    /// A model's plan. What names the model in it is the hash; a path is opened now, so that a bad one is known before
    /// any work is done.
    fn learned(given: &BTreeMap<String, String>, settings: Settings) -> Result<Self, ReplayError> {
        let mut parameters = Parameters::resolve(LEARNED, learned::PARAMETERS, given)?;
        let model = parameters.values()["model"].clone();
        let mut model_places = Vec::new();
        if !learned::is_hash(&model) {
            let found = learned::open(&model, &Trust::of(&settings))?;
            let named = BTreeMap::from([("model".to_owned(), found.model.hash)]);
            parameters = Parameters::resolve(LEARNED, learned::PARAMETERS, &named)?;
            model_places.push(found.path);
        }
        Ok(Self { strategy: LEARNED.to_owned(), parameters, settings, model_places })
    }

    /// The plan of a list of orders, named by its hash likewise.
    fn listed(given: &BTreeMap<String, String>, settings: Settings) -> Result<Self, ReplayError> {
        let mut parameters = Parameters::resolve(listed::NAME, listed::PARAMETERS, given)?;
        let file = parameters.values()["file"].clone();
        let mut model_places = Vec::new();
        if !learned::is_hash(&file) {
            let found = listed::open(&file)?;
            let named = BTreeMap::from([("file".to_owned(), found.hash)]);
            parameters = Parameters::resolve(listed::NAME, listed::PARAMETERS, &named)?;
            model_places.push(found.path);
        }
        Ok(Self { strategy: listed::NAME.to_owned(), parameters, settings, model_places })
    }

    /// Changes of [`Plan::with`] in which a model is named by its hash: one that is named by its place is opened, and the
    /// place remembered. `trust` says whose winners are believed, which no header does.
    pub fn name_model(
        &mut self,
        changes: &[(String, String)],
        trust: &Trust,
    ) -> Result<Vec<(String, String)>, ReplayError> {
        let mut named = changes.to_vec();
        let by_place = |(key, value): &&mut (String, String)| key == "model" && !learned::is_hash(value);
        for (_, value) in named.iter_mut().filter(by_place).filter(|_| self.strategy == LEARNED) {
            let found = learned::open(value, trust)?;
            *value = found.model.hash;
            self.model_places.push(found.path);
        }
        Ok(named)
    }

    /// The list of orders it trades; nothing for another strategy.
    fn list(&self) -> Result<Option<listed::Found>, ReplayError> {
        if self.strategy != listed::NAME {
            return Ok(None);
        }
        listed::find(&self.parameters.values()["file"], &self.model_places).map(Some)
    }

    /// The table of values it trades; nothing for another strategy.
    fn table(&self) -> Result<Option<scores::Found>, ReplayError> {
        if self.strategy != scores::NAME {
            return Ok(None);
        }
        scores::find(&self.parameters.values()["file"], &self.model_places).map(Some)
    }

    /// The file that a run of it keeps beside its journal, and the name it has there: what the header names by hash.
    pub fn attachment(&self) -> Result<Option<(PathBuf, &'static str)>, ReplayError> {
        if let Some(found) = self.list()? {
            return Ok(Some((found.path, listed::LIST_FILE)));
        }
        if let Some(found) = self.table()? {
            return Ok(Some((found.path, scores::TABLE_FILE)));
        }
        Ok(self.model()?.map(|found| (found.path, learned::MODEL_FILE)))
    }

    /// The model it decides with; nothing for a rule.
    pub fn model(&self) -> Result<Option<learned::Found>, ReplayError> {
        if self.strategy != LEARNED {
            return Ok(None);
        }
        learned::find(&self.parameters.values()["model"], &self.model_places).map(Some)
    }

    /// Canonical text for the header.
    pub fn written(&self) -> String {
        let settings = serde_json::from_str(&self.settings.canonical_json()).unwrap_or_default();
        let written = Written { parameters: self.parameters.values().clone(), settings };
        serde_json::to_string(&written).expect("a map of texts is always JSON")
    }

    /// blake3 of the canonical text.
    pub fn hash(&self) -> Hash {
        Hash(*blake3::hash(self.written().as_bytes()).as_bytes())
    }

    /// The plan a header holds.
    pub fn read(strategy: &str, written: &str) -> Result<Self, ReplayError> {
        let Written { parameters, settings } = serde_json::from_str(written)
            .map_err(|error| ReplayError::Header(format!("its settings do not parse: {error}")))?;
        let settings = serde_json::to_string(&settings).expect("a map of texts is always JSON");
        Self::new(strategy, &parameters, Settings::from_canonical_json(&settings)?)
    }

    /// The same plan with other values of parameters and settings that it has; `fixed` settings may not change.
    pub fn with(&self, changes: &[(String, String)], fixed: &[&str]) -> Result<Self, String> {
        let mut written: Written = serde_json::from_str(&self.written()).map_err(|error| error.to_string())?;
        for (key, value) in changes {
            let inlined =
                daybook_config::exposures::inlined(key, Path::new(value)).map_err(|error| error.to_string())?;
            let (key, value) = inlined.as_ref().map_or((key.as_str(), value), |(key, table)| (*key, table));
            if fixed.contains(&key) {
                return Err(format!("what has happened so far depends on {key}; it cannot change on the way"));
            }
            let setting = KEYS.iter().find(|known| known.name == key && known.scope == Scope::Results);
            if let Some(place) = written.parameters.get_mut(key) {
                place.clone_from(value);
            } else if let Some(setting) = setting {
                written.settings.insert(setting.name.to_owned(), value.clone());
            } else {
                let settings = KEYS.iter().filter(|known| known.scope == Scope::Results).map(|known| known.name);
                let known = written.parameters.keys().map(String::as_str).chain(settings);
                let nearest = daybook_config::nearest_first(key, known);
                let nearest = nearest.first().copied().unwrap_or_default();
                return Err(format!("there is no parameter or setting '{key}'; did you mean {nearest}?"));
            }
        }
        let text = serde_json::to_string(&written).map_err(|error| error.to_string())?;
        let mut plan = Self::read(&self.strategy, &text).map_err(|error| error.to_string())?;
        plan.settings.calendar_file.clone_from(&self.settings.calendar_file);
        plan.model_places.extend(self.model_places.iter().cloned());
        Ok(plan)
    }

    /// The strategy, for a number of instruments.
    pub fn build(&self, selection: &Selection, instruments: usize) -> Result<Box<dyn Strategy>, ReplayError> {
        if let Some(found) = self.model()? {
            return learned::build(found, &self.settings, selection, self.calendar(selection)?, instruments);
        }
        if let Some(found) = self.list()? {
            return listed::build(&found, selection);
        }
        if let Some(found) = self.table()? {
            return scores::build(&found, &self.parameters, selection);
        }
        let entry = strategy::find(&self.strategy).ok_or_else(|| unknown_strategy(&self.strategy))?;
        Ok(entry.build(&self.parameters, instruments)?)
    }

    /// What the core is told.
    pub fn setup(&self, selection: &Selection, filter: &InputFilter, range: Range) -> Result<Setup, ReplayError> {
        let strategy = self.build(selection, selection.instruments.len())?;
        self.setup_with(strategy, selection, filter, range)
    }

    /// The same with another strategy than its own.
    pub fn setup_with(
        &self,
        strategy: Box<dyn Strategy>,
        selection: &Selection,
        filter: &InputFilter,
        range: Range,
    ) -> Result<Setup, ReplayError> {
        let bounded = filter.from.is_some();
        Ok(Setup {
            instruments: selection.instruments.clone(),
            interval: selection.interval,
            timeframe: self.settings.engine_timeframe.filter(|timeframe| *timeframe != selection.interval),
            cash: self.settings.cash,
            fees: FeeSchedule::parse(self.settings.costs.as_str())?,
            participation_bps: self.settings.exchange_participation_bps,
            decide_from: if bounded { range.from } else { Nanos::MIN },
            warmup_bars: if bounded { 0 } else { u64::from(filter.warmup) },
            strategy,
        })
    }

    /// The core that has been told it.
    pub fn core(&self, selection: &Selection, filter: &InputFilter, range: Range) -> Result<Core, ReplayError> {
        self.equip(Core::new(self.setup(selection, filter, range)?), selection)
    }

    /// Tells a core what is not in its setup: how its fills slip, and its limits.
    pub fn equip(&self, core: Core, selection: &Selection) -> Result<Core, ReplayError> {
        let zone = self.calendar(selection)?.zone_offset();
        let limits = RiskLimits::of(&self.settings, zone);
        let rules = ExchangeRules::of(&self.settings, &selection.instruments, zone);
        let core = core.with_slippage(self.settings.exchange_slippage).with_risk(limits).with_exchange(rules);
        let core = core.with_portfolio(self.portfolio(selection)?).with_keeper(self.settings.risk_protective_stop);
        let core = match self.settings.exchange_settlement {
            0 => core,
            _ => core.with_calendar(self.calendar(selection)?),
        };
        Ok(match self.settings.live_venue {
            Venue::Simulated => core,
            Venue::Broker => core.with_broker(self.settings.live_reconcile),
            Venue::LikeBroker => core.in_brokers_terms(),
        })
    }

    /// Limits on the portfolio as a whole; nothing where none is set.
    pub fn portfolio(&self, selection: &Selection) -> Result<Option<PortfolioLimits>, ReplayError> {
        Ok(PortfolioLimits::of(&self.settings, &selection.instruments).map_err(CoreError::Limits)?)
    }

    /// Bars that decide nothing before a session begins: what the strategy wants; where the session begins at a date, also
    /// the sessions that limits look back at, and one more to begin with, in bars of an ordinary session.
    pub fn warmup(&self, selection: &Selection, calendar: &Calendar, from: Option<Date>) -> Result<u32, ReplayError> {
        let wanted = self.build(selection, 1)?.warmup();
        let sessions = self.portfolio(selection)?.map_or(0, |limits| limits.looks_back_at());
        let (Some(from), true) = (from, sessions > 0) else { return Ok(wanted) };
        let timeframe = self.settings.engine_timeframe.unwrap_or(selection.interval);
        let before = (1..=LOOKED_AT).filter_map(|back| calendar.session_for_data(Date(from.0 - back)));
        let longest = before.map(|session| session.close() - session.open()).max().unwrap_or(DAY);
        let bars = if timeframe >= Interval::DAY { 1 } else { longest.div_euclid(timeframe.nanos().max(1)) + 1 };
        let bars = (sessions as i64 + 1).saturating_mul(bars);
        Ok(wanted.max(u32::try_from(bars).unwrap_or(u32::MAX)))
    }

    /// Candles of the input that the warm-up of a bounded range takes: bars of the strategy's timeframe, in candles.
    pub fn warmup_candles(&self, selection: &Selection, filter: &InputFilter) -> u64 {
        let timeframe = self.settings.engine_timeframe.unwrap_or(selection.interval);
        u64::from(filter.warmup) * u64::from(timeframe.0.div_ceil(selection.interval.0.max(1)).max(1))
    }

    /// The calendar of the selection's market, with the years the user adds; a market of the user's own is its file.
    pub fn calendar(&self, selection: &Selection) -> Result<Calendar, ReplayError> {
        calendar_for(&self.settings, selection)
    }
}

/// The calendar of the selection's market, with the years the user adds; a market of the user's own is its file.
pub fn calendar_for(settings: &Settings, selection: &Selection) -> Result<Calendar, ReplayError> {
    let market = selection.instruments.first().map_or("generic", |instrument| instrument.market.as_str());
    let Some(file) = &settings.calendar_file else { return Ok(Calendar::by_market(market)?) };
    if daybook_config::calendar::MARKETS.contains(&market) {
        let mut calendar = Calendar::by_market(market)?;
        calendar.extend_from_file(file)?;
        return Ok(calendar);
    }
    let calendar = Calendar::by_market(&file.to_string_lossy())?;
    if calendar.market() == market {
        return Ok(calendar);
    }
    let file = file.display().to_string();
    Err(ReplayError::ForeignCalendar { market: market.to_owned(), file, found: calendar.market().to_owned() })
}

fn unknown_strategy(name: &str) -> ReplayError {
    let names = || STRATEGIES.iter().map(|entry| entry.name).chain([LEARNED, listed::NAME, scores::NAME]);
    ReplayError::UnknownStrategy {
        name: name.to_owned(),
        nearest: daybook_config::nearest_first(name, names()).first().copied().unwrap_or_default().to_owned(),
        known: names().collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name means one thing: no strategy has a parameter that is called like a setting.
    #[test]
    fn names_of_parameters_and_settings_are_apart() {
        let settings = |name: &str| KEYS.iter().any(|key| key.name == name);
        let listed =
            [(LEARNED, learned::PARAMETERS), (listed::NAME, listed::PARAMETERS), (scores::NAME, scores::PARAMETERS)];
        for (strategy, declared) in STRATEGIES.iter().map(|entry| (entry.name, entry.parameters)).chain(listed) {
            for parameter in declared {
                assert!(!settings(parameter.name), "{strategy}: {} is a setting too", parameter.name);
                let set = [(parameter.name.to_owned(), "1".to_owned())];
                assert_eq!(split(strategy, &set).0.len(), 1, "{strategy}: {}", parameter.name);
            }
        }
    }

    #[test]
    fn settings_without_a_dot_are_settings() {
        let pairs = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect::<Vec<_>>();
        let all = pairs(&["fast", "seed", "risk.leverage", "winner_min_avg_reward", "trailing_stop_r", "fsat"]);
        let (parameters, settings) = split("sma-cross", &all);
        assert_eq!(parameters.keys().collect::<Vec<_>>(), ["fast", "fsat"]);
        assert_eq!(settings, pairs(&["seed", "risk.leverage", "winner_min_avg_reward", "trailing_stop_r"]));
    }
}
