//! The strategy `scores`: a table of values that somebody computed elsewhere, under the decision rules a to g.
//!
//! - Every row says when its value was **known**; a decision sees the last row known by then, and no other. A table that
//!   does not say so is refused: values under the time of their bar are how tomorrow gets into a backtest.
//! - A row has a symbol, or none: then it is of the whole market, as a volatility index is. What decides is
//!   `value + market_weight × market`: above `buy_above` BUY, below `sell_below` SELL, between them HOLD.
//! - A symbol whose last row is missing or too old withholds its word; nothing is filled from elsewhere.
//! - The table is named in the header by the hash of its bytes, and a run keeps a copy beside its journal.
//! - Must never: trade a table that does not hash to what the header says.

use crate::catalog::Selection;
use crate::error::ReplayError;
use crate::learned::is_hash;
use daybook_core::policy::{Policy, PolicyRunner, PolicySlice, Word};
use daybook_core::strategy::{Parameter, Parameters, Strategy};
use daybook_vocabulary::decimal::{self, SCALE, divide_rounded};
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{Action, Candle, Hash, InstrumentId, ModelNumber, Nanos, Ratio};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name on the command line.
pub const NAME: &str = "scores";
/// One line for `--strategy help`.
pub const ABOUT: &str =
    "a table of values computed elsewhere, each with the time it was known, under the decision rules a to g";
/// What `--set` takes.
pub const PARAMETERS: &[Parameter] = &[
    Parameter { name: "file", default: "", about: "a CSV table: known, symbol (empty: the market), and values" },
    Parameter { name: "column", default: "value", about: "the column of the values" },
    Parameter { name: "buy_above", default: "0", about: "value above which it says BUY" },
    Parameter { name: "sell_below", default: "0", about: "value below which it says SELL, at most buy_above" },
    Parameter { name: "market_weight", default: "0", about: "how much of the market's value is added, -1000 to 1000" },
    Parameter { name: "max_age_minutes", default: "none", about: "age from which a value is worth nothing, or none" },
];
/// The name of a table in a run.
pub const TABLE_FILE: &str = "scores.csv";

/// A table and where it lies.
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Hash of its bytes.
    pub hash: String,
    text: String,
}

/// Values by time known, of one symbol or of the market.
type Series = Vec<(Nanos, Ratio)>;

/// Resolved parameters, the table named by its hash; and where it lies, if it was named by a path.
pub fn resolve(given: &BTreeMap<String, String>) -> Result<(Parameters, Vec<PathBuf>), ReplayError> {
    let parameters = Parameters::resolve(NAME, PARAMETERS, given)?;
    Rule::of(&parameters)?;
    let file = &parameters.values()["file"];
    if is_hash(file) {
        return Ok((parameters, Vec::new()));
    }
    if file.is_empty() {
        return Err(ReplayError::Orders(
            "give --set file=FILE: a CSV table with the columns known and symbol".to_owned(),
        ));
    }
    let found = read(Path::new(file))?;
    series(&found, &parameters.values()["column"])?;
    let mut named = parameters.values().clone();
    named.insert("file".to_owned(), found.hash);
    Ok((Parameters::resolve(NAME, PARAMETERS, &named)?, vec![found.path]))
}

/// The table of a hash in one of some places.
pub fn find(hash: &str, places: &[PathBuf]) -> Result<Found, ReplayError> {
    let files = |place: &PathBuf| [place.clone(), place.join(TABLE_FILE)];
    for path in places.iter().flat_map(files).filter(|path| path.is_file()) {
        let found = read(&path)?;
        if found.hash == hash {
            return Ok(found);
        }
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    Err(ReplayError::Orders(format!(
        "the session traded the table {hash}, which is not in {}: copy it there as {TABLE_FILE}",
        if places.is_empty() { "any known place".to_owned() } else { places.join(", ") }
    )))
}

/// The strategy that trades the table; every symbol of the session must be in it.
pub fn build(found: &Found, parameters: &Parameters, selection: &Selection) -> Result<Box<dyn Strategy>, ReplayError> {
    let mut by_symbol = series(found, &parameters.values()["column"])?;
    let market = by_symbol.remove("").unwrap_or_default();
    let mut symbols = Vec::new();
    for instrument in &selection.instruments {
        let Some(own) = by_symbol.remove(&instrument.symbol) else {
            let known: Vec<&str> = by_symbol.keys().map(String::as_str).collect();
            let nearest = daybook_config::nearest_first(&instrument.symbol, known);
            let hint = nearest.first().map_or_else(String::new, |name| format!("; the nearest there is {name}"));
            return Err(fault(&found.path, 1, format!("it has no row of {}{hint}", instrument.symbol)));
        };
        symbols.push(own);
    }
    let rule = Rule::of(parameters)?;
    if rule.market_weight != Ratio(0) && market.is_empty() {
        return Err(fault(&found.path, 1, "market_weight is set, but no row has an empty symbol".to_owned()));
    }
    let mut model = blake3::Hasher::new();
    model.update(NAME.as_bytes());
    for (name, value) in parameters.values() {
        model.update(format!(" {name}={value}").as_bytes());
    }
    let policy = Scores { rule, market, model: Hash(*model.finalize().as_bytes()), symbols };
    Ok(Box::new(PolicyRunner::new(Box::new(policy), selection.instruments.len())))
}

/// What the parameters say.
#[derive(Debug, Clone, Copy)]
struct Rule {
    buy_above: Ratio,
    sell_below: Ratio,
    market_weight: Ratio,
    /// Nanoseconds.
    max_age: Option<i64>,
}

impl Rule {
    fn of(parameters: &Parameters) -> Result<Self, ReplayError> {
        let bound = |name: &str| parameters.decimal(name, -1_000_000..=1_000_000).map(|value| Ratio(value.0));
        let (buy_above, sell_below) = (bound("buy_above")?, bound("sell_below")?);
        if sell_below > buy_above {
            return Err(parameters.refuse("sell_below", "at most buy_above").into());
        }
        let market_weight = Ratio(parameters.decimal("market_weight", -1_000..=1_000)?.0);
        let max_age = match parameters.values()["max_age_minutes"].as_str() {
            "none" => None,
            _ => Some(i64::from(parameters.integer("max_age_minutes", 1..=10_000_000)?) * MINUTE),
        };
        Ok(Self { buy_above, sell_below, market_weight, max_age })
    }

    /// The last value that was known, if it is young enough.
    fn last(&self, series: &Series, now: Nanos) -> Option<Ratio> {
        let (known, value) = *series[..series.partition_point(|(known, _)| *known <= now)].last()?;
        let age = now.0.saturating_sub(known.0);
        self.max_age.is_none_or(|most| age < most).then_some(value)
    }

    fn word(&self, series: &Series, market: &Series, now: Nanos) -> Option<Word> {
        let own = self.last(series, now)?;
        let market = if self.market_weight == Ratio(0) { Ratio(0) } else { self.last(market, now)? };
        let added = divide_rounded(i128::from(self.market_weight.0) * i128::from(market.0), SCALE.into());
        let most = i128::from(1_000_000 * SCALE);
        let score = Ratio((i128::from(own.0) + added).clamp(-most, most) as i64);
        let action = match () {
            () if score > self.buy_above => Action::Buy,
            () if score < self.sell_below => Action::Sell,
            () => Action::Hold,
        };
        let size = i128::from(score.0.abs());
        let mut features = blake3::Hasher::new();
        features.update(&own.0.to_le_bytes()).update(&market.0.to_le_bytes());
        Some(Word {
            action,
            confidence: Ratio((size * i128::from(SCALE) / (size + i128::from(SCALE))) as i64),
            q: [score, -score, Ratio(0)].map(ModelNumber::from),
            features: Hash(*features.finalize().as_bytes()),
        })
    }
}

/// A table that decides. It remembers nothing: what is known is a function of the time.
struct Scores {
    rule: Rule,
    market: Series,
    symbols: Vec<Series>,
    model: Hash,
}

impl Policy for Scores {
    fn model(&self) -> Hash {
        self.model
    }

    fn warmup(&self) -> u32 {
        0
    }

    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}

    fn infer(&mut self, slice: &PolicySlice<'_>, words: &mut [Option<Word>]) {
        for id in slice.fresh {
            words[id.index()] = self.rule.word(&self.symbols[id.index()], &self.market, slice.now);
        }
    }

    fn save(&self, _: &mut Vec<u8>) {}

    fn load(&mut self, saved: &[u8]) -> bool {
        saved.is_empty()
    }
}

fn read(path: &Path) -> Result<Found, ReplayError> {
    let bytes = std::fs::read(path).map_err(ReplayError::file(path))?;
    let hash = blake3::hash(&bytes).to_hex().to_string();
    let text = String::from_utf8(bytes).map_err(|_| fault(path, 0, "it is not UTF-8 text".to_owned()))?;
    Ok(Found { path: path.to_owned(), hash, text })
}

fn fault(path: &Path, line: usize, what: String) -> ReplayError {
    ReplayError::Orders(format!("{}:{line}: {what}", path.display()))
}

/// The values of a column by symbol (the market's under no name), each series in order of time known; of rows known at
/// the same moment the later line counts. Empty cells are no values.
fn series(found: &Found, column: &str) -> Result<BTreeMap<String, Series>, ReplayError> {
    let text = found.text.strip_prefix('\u{feff}').unwrap_or(&found.text);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end()));
    let columns: Vec<&str> = lines.next().map(|(_, head)| head.split(',').map(str::trim).collect()).unwrap_or_default();
    let place = |name: &str, why: &str| {
        let mut places = (0..columns.len()).filter(|place| columns[*place] == name);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (Some(_), Some(_)) => Err(fault(&found.path, 1, format!("two columns are called '{name}': keep one"))),
            _ => Err(fault(&found.path, 1, format!("no column is called '{}': {why}", name.escape_debug()))),
        }
    };
    let known_at = place("known", "every row must say when its value was known, in RFC 3339")?;
    let symbol_at = place("symbol", "every row is of a symbol, or with an empty one of the market")?;
    let value_at = place(column, "name the column of the values with --set column=NAME")?;
    let mut by_symbol: BTreeMap<String, Series> = BTreeMap::new();
    for (line, row) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let cells: Vec<&str> = row.split(',').map(str::trim).collect();
        if cells.len() != columns.len() {
            let what = format!("{} values under {} columns", cells.len(), columns.len());
            return Err(fault(&found.path, line, what));
        }
        let known = instant(cells[known_at]).ok_or_else(|| {
            let what =
                format!("known '{}' is no time such as 2025-01-31T09:20:00+05:30", cells[known_at].escape_debug());
            fault(&found.path, line, what)
        })?;
        if cells[value_at].is_empty() {
            continue;
        }
        let value = number(cells[value_at]).ok_or_else(|| {
            let what = format!("{column} '{}' is no number from -1e6 to 1e6", cells[value_at].escape_debug());
            fault(&found.path, line, what)
        })?;
        by_symbol.entry(cells[symbol_at].to_owned()).or_default().push((known, value));
    }
    // Stable: rows of one moment stay in the order of their lines, and the last of them is found.
    by_symbol.values_mut().for_each(|series| series.sort_by_key(|(known, _)| *known));
    Ok(by_symbol)
}

/// A time, with a `T` or, as tables of other tools have it, a space before the hour.
fn instant(text: &str) -> Option<Nanos> {
    let mut text = text.to_owned();
    if text.as_bytes().get(10) == Some(&b' ') {
        text.replace_range(10..11, "T");
    }
    text.parse().ok()
}

fn number(text: &str) -> Option<Ratio> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.abs() <= 1e6)?;
    decimal::from_f64(value).ok().map(Ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Found {
        Found { path: PathBuf::from("table.csv"), hash: String::new(), text: text.to_owned() }
    }

    fn rule(sets: &[(&str, &str)]) -> Result<Rule, ReplayError> {
        let given = sets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Rule::of(&Parameters::resolve(NAME, PARAMETERS, &given)?)
    }

    const TABLE: &str = "open_time,known,symbol,value,other\n\
        # the second row was known late\n\
        2025-01-31T09:15:00+05:30,2025-01-31T09:20:00+05:30,X,0.5,1\n\
        2025-01-31T09:20:00+05:30,2025-01-31T09:40:00+05:30,X,-0.25,\n\
        ,2025-01-31 09:30:00+05:30,,2,7\n\
        ,2025-01-31T09:20:00+05:30,X,0.75,3\n";

    /// BT-45: a value is seen from the moment it was known, per symbol and market-wide, and never before.
    #[test]
    fn a_value_is_seen_from_the_moment_it_was_known() {
        let all = series(&found(TABLE), "value").unwrap();
        let rule = rule(&[("market_weight", "-0.5"), ("buy_above", "0.1"), ("max_age_minutes", "20")]).unwrap();
        let plain = super::tests::rule(&[]).unwrap();
        let at = |time: &str| instant(&format!("2025-01-31T{time}+05:30")).unwrap();
        let action = |rule: &Rule, time: &str| rule.word(&all["X"], &all[""], at(time)).map(|word| word.action);
        assert_eq!(action(&plain, "09:19:59"), None, "known at 09:20, whatever its bar");
        assert_eq!(action(&plain, "09:20:00"), Some(Action::Buy), "of one moment the later line counts");
        assert_eq!(action(&plain, "09:39:59"), Some(Action::Buy), "the bar of 09:20 was not known before 09:40");
        assert_eq!(action(&plain, "09:40:00"), Some(Action::Sell));
        assert_eq!(action(&rule, "09:25:00"), None, "the market's value is not known yet");
        let word = rule.word(&all["X"], &all[""], at("09:30:00")).unwrap();
        assert_eq!((word.action, word.q[0].value()), (Action::Sell, -0.25), "0.75 - 0.5 × 2");
        assert_eq!(word.confidence, Ratio(20_000_000), "0.25 / 1.25");
        assert_eq!(action(&rule, "09:49:59"), Some(Action::Sell));
        assert_eq!(action(&rule, "09:50:00"), None, "the market's value is 20 minutes old");
        assert_eq!(series(&found(TABLE), "other").unwrap()["X"].len(), 2, "an empty cell is no value");
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_line() {
        let time = "2025-01-31T09:20:00+05:30";
        for (text, column, line, what) in [
            (String::new(), "value", 1, "'known'"),
            (format!("open_time,symbol,value\n{time},X,1\n"), "value", 1, "when its value was known"),
            ("known,symbol,value,known\n".to_owned(), "value", 1, "two columns"),
            (format!("known,symbol,value\n{time},X,1\n"), "rsi_14", 1, "--set column=NAME"),
            (format!("known,symbol,value\n{time},X\n"), "value", 2, "2 values under 3"),
            ("known,symbol,value\nsoon,X,1\n".to_owned(), "value", 2, "'soon'"),
            (format!("known,symbol,value\n\n{time},X,NaN\n"), "value", 3, "'NaN'"),
            (format!("known,symbol,value\n{time},X,1e7\n"), "value", 2, "'1e7'"),
        ] {
            let message = series(&found(&text), column).unwrap_err().to_string();
            assert!(message.contains(&format!("table.csv:{line}: ")) && message.contains(what), "{text:?}: {message}");
        }
        assert!(rule(&[("sell_below", "1")]).unwrap_err().to_string().contains("at most buy_above"));
        assert!(rule(&[("max_age_minutes", "0")]).is_err() && rule(&[("market_weight", "x")]).is_err());
    }
}
