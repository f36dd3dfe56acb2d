//! Who was in an index on a date: a list as of today would hold only those who survived.
//!
//! - Membership is told by date, from dated changes; it is never guessed before the first of them or after the last date.
//! - A range of dates has all who were a member on one of them: also those who left.
//! - Symbols come sorted, so that nothing depends on the order of a file.

use crate::calendar_file::toml_error;
use crate::error::ConfigError;
use daybook_vocabulary::Date;
use serde::Deserialize;
use std::collections::BTreeSet;

/// The lists that are built in: name, text, where it stands.
const BUILT_IN: [(&str, &str, &str); 4] = [
    ("nifty50", include_str!("../data/universe-nifty50.toml"), "data/universe-nifty50.toml"),
    ("nifty100", include_str!("../data/universe-nifty100.toml"), "data/universe-nifty100.toml"),
    ("pilot", include_str!("../data/universe-pilot.toml"), "data/universe-pilot.toml"),
    ("metals_etfs", include_str!("../data/universe-metals_etfs.toml"), "data/universe-metals_etfs.toml"),
];

/// An index and its members by date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Universe {
    name: String,
    published: bool,
    /// The list from each date on, oldest first; never empty.
    lists: Vec<(Date, Vec<String>)>,
    /// Last date of the newest list, where it has one.
    until: Option<Date>,
    renamed: Vec<Renamed>,
}

/// A symbol that has another name from a date on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renamed {
    /// First date of the new name.
    pub from: Date,
    /// The old name.
    pub old: String,
    /// The new one.
    pub new: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    /// True where the exchange publishes the list of today.
    #[serde(default)]
    published: bool,
    until: Option<Date>,
    members: BTreeSet<String>,
    changes: Vec<RawChange>,
    #[serde(default)]
    renamed: Vec<Renamed>,
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
        Self::named("nifty50").expect("it is in the table of built-in lists")
    }

    /// The built-in list of a name; none where there is none.
    pub fn named(name: &str) -> Option<Self> {
        let (_, text, place) = BUILT_IN.iter().find(|(known, ..)| *known == name)?;
        Some(Self::read(text, place).expect("the built-in lists are well-formed: a test reads them all"))
    }

    /// The names of all lists.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, ..)| *name)
    }

    /// The index's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True for an index whose list of today the exchange publishes.
    pub const fn is_published(&self) -> bool {
        self.published
    }

    /// First date it has members for.
    pub fn first_date(&self) -> Date {
        self.lists[0].0
    }

    /// The date since which the list holds that is in force on a date, or the first one's.
    pub fn newest_by(&self, date: Date) -> Date {
        let place = self.lists.partition_point(|(from, _)| *from <= date);
        self.lists[place.saturating_sub(1)].0
    }

    /// Everyone who was a member on a date from `from` to `to`, sorted; of dates that no list has, nobody.
    pub fn members_during(&self, from: Date, to: Date) -> Vec<String> {
        let mut members = BTreeSet::new();
        for (place, (since, list)) in self.lists.iter().enumerate() {
            let next = self.lists.get(place + 1).map(|(next, _)| *next);
            let last = next.map_or(self.until.unwrap_or(Date(i32::MAX)), |next| Date(next.0 - 1));
            if *since <= to && from <= last {
                members.extend(list.iter().cloned());
            }
        }
        members.into_iter().collect()
    }

    /// The members on a date, sorted.
    pub fn members(&self, date: Date) -> Result<&[String], ConfigError> {
        if let Some(last) = self.until.filter(|last| *last < date) {
            let table = format!("universe '{}'", self.name);
            return Err(ConfigError::AfterLastEntry { table, kind: "list of symbols", date, last });
        }
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
        self.renamed.iter().find(|one| one.old == symbol).map_or(symbol, |one| one.new.as_str())
    }

    /// Every old symbol and the one that followed it, with its date.
    pub fn renamed(&self) -> &[Renamed] {
        &self.renamed
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
        Ok(Self { name: raw.name, published: raw.published, lists, until: raw.until, renamed: raw.renamed })
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

    /// SQ-02: the sets by name, each of its own size at all times.
    #[test]
    fn every_list_is_whole_at_all_times() {
        for (name, sizes) in [("nifty50", 50..=50), ("nifty100", 100..=100), ("pilot", 2..=2), ("metals_etfs", 1..=2)] {
            let universe = Universe::named(name).unwrap();
            assert_eq!(universe.name(), name);
            assert!(universe.lists.iter().all(|(_, list)| sizes.contains(&list.len()) && list.is_sorted()), "{name}");
        }
        assert_eq!((Universe::names().count(), Universe::named("nifty51")), (4, None));
        let error = Universe::named("nifty100").unwrap().members("2026-09-30".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("ends on 2026-09-29"), "{error}");
    }

    /// SQ-02: a range has all who were a member within it, and never one who came later.
    #[test]
    fn a_range_never_sees_a_later_member() {
        let during =
            |from: &str, to: &str| Universe::nifty50().members_during(from.parse().unwrap(), to.parse().unwrap());
        let has = |list: &[String], symbol: &str| list.iter().any(|member| member == symbol);
        let before = during("2025-01-01", "2025-03-27");
        assert!(before.len() == 50 && has(&before, "BPCL") && !has(&before, "JIOFIN"));
        let across = during("2025-01-01", "2025-03-28");
        assert!(across.len() == 52 && has(&across, "BPCL") && has(&across, "JIOFIN"));
        assert_eq!(during("2020-01-01", "2024-03-27"), Vec::<String>::new());
        assert_eq!(during("2026-10-01", "2027-10-01").len(), 50);
        let hundred = Universe::named("nifty100").unwrap();
        assert!(hundred.members_during("2026-09-30".parse().unwrap(), "2027-01-01".parse().unwrap()).is_empty());
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
        let dates: Vec<String> = universe.renamed().iter().map(|one| format!("{} {}", one.from, one.new)).collect();
        assert_eq!(dates, ["2025-04-09 ETERNAL", "2025-10-24 TMPV", "2026-02-27 LTM"]);
        assert_eq!(universe.name(), "nifty50");
    }

    #[test]
    fn lists_that_contradict_themselves_are_refused() {
        let list = |changes: &str| {
            let text = format!("name = \"x\"\nmembers = [\"A\", \"B\"]\n{changes}\n");
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
