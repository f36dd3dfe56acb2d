//! Who was in an index on a date: a list as of today would hold only those who survived.
//!
//! - Membership is told by date, from dated changes; it is never guessed before the first of them.
//! - Symbols come sorted, so that nothing depends on the order of a file.

use crate::calendar_file::toml_error;
use crate::error::ConfigError;
use daybook_vocabulary::Date;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

const NIFTY50: &str = include_str!("../data/universe-nifty50.toml");

/// An index and its members by date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Universe {
    name: String,
    /// The list from each date on, oldest first; never empty.
    lists: Vec<(Date, Vec<String>)>,
    renamed: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    members: BTreeSet<String>,
    changes: Vec<RawChange>,
    renamed: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChange {
    from: Date,
    out: Vec<String>,
    r#in: Vec<String>,
}

impl Universe {
    /// The NIFTY 50 since 28 March 2024.
    ///
    /// ```
    /// let members = daybook_config::Universe::nifty50();
    /// let list = members.members("2025-01-31".parse().unwrap()).unwrap();
    /// assert!(list.len() == 50 && list.iter().any(|symbol| symbol == "TATAMOTORS"));
    /// ```
    pub fn nifty50() -> Self {
        Self::read(NIFTY50, "data/universe-nifty50.toml").expect("the built-in list is well-formed: a test reads it")
    }

    /// The index's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First date it has members for.
    pub fn first_date(&self) -> Date {
        self.lists[0].0
    }

    /// The members on a date, sorted.
    pub fn members(&self, date: Date) -> Result<&[String], ConfigError> {
        match self.lists.partition_point(|(from, _)| *from <= date) {
            0 => Err(ConfigError::BeforeFirstEntry {
                table: format!("universe '{}'", self.name),
                kind: "list of symbols",
                date,
                first: self.first_date(),
            }),
            after => Ok(&self.lists[after - 1].1),
        }
    }

    /// The symbol that followed an old one; the symbol itself where none did.
    pub fn current_symbol<'a>(&'a self, symbol: &'a str) -> &'a str {
        self.renamed.get(symbol).map_or(symbol, String::as_str)
    }

    /// Every old symbol and the one that followed it.
    pub fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.renamed.iter().map(|(old, new)| (old.as_str(), new.as_str()))
    }

    /// Walks back from the newest list, undoing one change after the other.
    fn read(text: &str, place: &str) -> Result<Self, ConfigError> {
        let raw: Raw = toml::from_str(text).map_err(|error| toml_error(text, place, &error))?;
        let fault = |reason: String| ConfigError::Format { place: place.to_owned(), reason };
        let mut lists = Vec::with_capacity(raw.changes.len());
        let mut members = raw.members;
        let mut later: Option<Date> = None;
        for change in raw.changes.iter().rev() {
            if later.is_some_and(|later| later <= change.from) {
                return Err(fault(format!("the change of {} does not come before the one after it", change.from)));
            }
            later = Some(change.from);
            lists.push((change.from, members.iter().cloned().collect()));
            for symbol in &change.r#in {
                if !members.remove(symbol) {
                    return Err(fault(format!("{symbol} came in on {} and is not in the list then", change.from)));
                }
            }
            for symbol in &change.out {
                if !members.insert(symbol.clone()) {
                    return Err(fault(format!("{symbol} went out on {} and is in the list then", change.from)));
                }
            }
        }
        if lists.is_empty() {
            return Err(fault("it needs at least one [[changes]] entry".to_owned()));
        }
        lists.reverse();
        Ok(Self { name: raw.name, lists, renamed: raw.renamed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(on: &str) -> Vec<String> {
        Universe::nifty50().members(on.parse().unwrap()).unwrap().to_vec()
    }

    #[test]
    fn there_are_fifty_members_at_all_times() {
        let universe = Universe::nifty50();
        assert_eq!(universe.lists.len(), 6);
        for (from, list) in &universe.lists {
            assert_eq!(list.len(), 50, "{from}");
            assert!(list.is_sorted());
        }
    }

    #[test]
    fn changes_take_effect_on_their_date() {
        for (before, after, out, came) in [
            ("2024-09-27", "2024-09-30", "DIVISLAB", "TRENT"),
            ("2025-03-27", "2025-03-28", "BPCL", "ETERNAL"),
            ("2025-09-29", "2025-09-30", "INDUSINDBK", "INDIGO"),
            ("2025-10-23", "2025-10-24", "TATAMOTORS", "TMPV"),
            ("2026-09-29", "2026-09-30", "WIPRO", "BSE"),
        ] {
            let has = |list: &[String], symbol: &str| list.iter().any(|member| member == symbol);
            let (before, after) = (members(before), members(after));
            assert!(has(&before, out) && !has(&after, out), "{out}");
            assert!(!has(&before, came) && has(&after, came), "{came}");
        }
        let error = Universe::nifty50().members("2023-06-01".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("nifty50") && error.contains("2024-03-28"), "{error}");
    }

    #[test]
    fn old_symbols_lead_to_new_ones() {
        let universe = Universe::nifty50();
        assert_eq!(universe.current_symbol("ZOMATO"), "ETERNAL");
        assert_eq!(universe.current_symbol("INFY"), "INFY");
        assert_eq!(universe.name(), "nifty50");
    }

    #[test]
    fn lists_that_contradict_themselves_are_refused() {
        let list = |changes: &str| {
            let text = format!("name = \"x\"\nmembers = [\"A\", \"B\"]\n{changes}\n[renamed]\n");
            Universe::read(&text, "x.toml").map(|_| ()).map_err(|error| error.to_string())
        };
        let change = |from: &str, out: &str, came: &str| {
            format!("[[changes]]\nfrom = \"{from}\"\nout = [\"{out}\"]\nin = [\"{came}\"]\n")
        };
        assert_eq!(list(&change("2025-01-01", "C", "A")), Ok(()));
        assert!(list(&change("2025-01-01", "C", "D")).unwrap_err().contains("D came in"));
        assert!(list(&change("2025-01-01", "B", "A")).unwrap_err().contains("B went out"));
        let twice = change("2025-01-01", "C", "A") + &change("2025-01-01", "D", "B");
        assert!(list(&twice).unwrap_err().contains("before"));
        assert!(list("changes = []").unwrap_err().contains("at least one"));
    }
}
