//! Whose history `fetch` asks for where nobody names symbols: everyone who belonged to an index within the range.
//!
//! - Members come from dated lists: those that are built in, those that were downloaded on some day and kept, and today's.
//! - Today's list is asked for where the range reaches today; one that cannot be had is done without, and that is said.
//! - A simulated broker has a past of its own: today's list of the world is not asked for it.

use crate::output;
use daybook_adapters::index_list;
use daybook_config::{Settings, Universe, nearest_first};
use daybook_vocabulary::Date;
use serde::Serialize;
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Every list there is.
const ALL: &str = "all";

/// Which dates are asked about, and of whom.
pub struct Question<'a> {
    /// The index.
    pub name: &'a str,
    /// First date.
    pub from: Date,
    /// Last date.
    pub to: Date,
    /// Whether the last date is today, by the broker's clock.
    pub to_is_today: bool,
    /// Whether the broker is a simulated one of this machine.
    pub is_simulated: bool,
}

/// Where a list came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// From `index.url`, now.
    Downloaded,
    /// From there, on the day of its date.
    Kept,
    /// Compiled in.
    BuiltIn,
}

/// What the newest list is that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexReport {
    /// The index.
    pub name: String,
    /// Where its newest list came from.
    pub source: Source,
    /// The date of that list: since then it is known to hold.
    pub list_date: Date,
    /// True where today's list was wanted and could not be had.
    pub stale: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// The members within the range, sorted, and what is to be said about them.
pub fn members(question: &Question<'_>, settings: &Settings) -> Result<(Vec<String>, IndexReport), Box<dyn Error>> {
    let name = question.name.to_ascii_lowercase();
    if name == ALL {
        return all(question, settings);
    }
    let built_in = Universe::named(&name);
    let url = settings.index_url.as_deref().map(|url| url.replace("{index}", &name));
    let may_ask = built_in.as_ref().is_none_or(Universe::is_published);
    let url = url.filter(|url| may_ask && (!question.is_simulated || index_list::is_of_this_machine(url)));
    let kept = Kept::of(&name, url.as_deref(), settings);
    let mut members = BTreeSet::new();
    let mut report = IndexReport {
        name: name.clone(),
        source: Source::BuiltIn,
        list_date: question.from,
        stale: false,
        reason: None,
    };
    if let Some(universe) = &built_in {
        members.extend(universe.members_during(question.from, question.to));
        report.list_date = universe.newest_by(question.to);
        if question.from < universe.first_date() {
            let since = universe.first_date();
            tracing::warn!(index = name, %since, "who left the index before that date is not known, and is missing");
        }
    }
    for (date, list) in kept.lists().into_iter().filter(|(date, _)| question.from <= *date && *date <= question.to) {
        members.extend(list);
        (report.source, report.list_date) = (Source::Kept, date);
    }
    if let Some(url) = url.filter(|_| question.to_is_today && report_is_old(&report, question.to)) {
        match download(&url, built_in.as_ref(), question.to) {
            Ok(list) => {
                kept.keep(question.to, &list);
                members.extend(list);
                (report.source, report.list_date) = (Source::Downloaded, question.to);
            }
            Err(reason) => {
                tracing::warn!(
                    "today's list of {name} cannot be had: {reason}; the one of {} is used",
                    report.list_date
                );
                (report.stale, report.reason) = (true, Some(reason));
            }
        }
    }
    if members.is_empty() {
        return Err(nobody(question, built_in.as_ref(), &report).into());
    }
    Ok((members.into_iter().collect(), report))
}

/// A list of today was downloaded today already.
fn report_is_old(report: &IndexReport, today: Date) -> bool {
    report.source != Source::Kept || report.list_date != today
}

fn all(question: &Question<'_>, settings: &Settings) -> Result<(Vec<String>, IndexReport), Box<dyn Error>> {
    let (mut symbols, mut newest) = (BTreeSet::new(), None);
    for name in Universe::names() {
        // A list that has nobody in the range says so by itself, and costs no other.
        match members(&Question { name, ..*question }, settings) {
            Ok((list, report)) => {
                symbols.extend(list);
                newest.get_or_insert(report);
            }
            Err(reason) => tracing::warn!("{reason}"),
        }
    }
    let report = newest.ok_or("no list has a member within the range")?;
    Ok((symbols.into_iter().collect(), IndexReport { name: ALL.to_owned(), ..report }))
}

/// Downloads a list and holds it against the one that is known: a page of errors, or half a list, is no index.
fn download(url: &str, built_in: Option<&Universe>, today: Date) -> Result<Vec<String>, String> {
    let list = index_list::download(url).map_err(|error| error.to_string())?;
    let expected = built_in.and_then(|universe| universe.members(today).ok()).map(<[String]>::len);
    match expected {
        Some(expected) if list.len() * 5 < expected * 4 || expected * 5 < list.len() * 4 => {
            Err(format!("{url}: it names {} symbols where about {expected} are expected", list.len()))
        }
        _ => Ok(list),
    }
}

fn nobody(question: &Question<'_>, built_in: Option<&Universe>, report: &IndexReport) -> String {
    match built_in {
        Some(universe) => match universe.members(question.to) {
            Err(error) => format!("--index {}: {error}", question.name),
            Ok(_) => format!("--index {}: nobody belonged to it within the range", question.name),
        },
        None => {
            let names = nearest_first(question.name, Universe::names());
            let reason = report.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})"));
            format!(
                "--index {}: there is no such list{reason}; those built in are {}, and all",
                question.name,
                names.join(", ")
            )
        }
    }
}

/// Lists that were downloaded before: one file for each day, beside the sealing key, by where they came from.
struct Kept {
    folder: Option<PathBuf>,
    name: String,
}

impl Kept {
    fn of(name: &str, url: Option<&str>, settings: &Settings) -> Self {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let home = settings.seal_key_file.as_deref().and_then(Path::parent).filter(|_| plain);
        let place = |url: &str| blake3::hash(url.as_bytes()).to_hex()[..8].to_owned();
        let folder = home.zip(url).map(|(home, url)| home.join("index").join(place(url)));
        Self { folder, name: name.to_owned() }
    }

    /// All of them, oldest first; what does not read as a list is none.
    fn lists(&self) -> Vec<(Date, Vec<String>)> {
        let entries = self.folder.as_deref().and_then(|folder| fs::read_dir(folder).ok());
        let one = |path: PathBuf| {
            let stem = path.file_stem()?.to_str()?;
            let date = stem.strip_prefix(&self.name)?.strip_prefix('-')?.parse().ok()?;
            let list = index_list::read(&fs::read_to_string(&path).ok()?).ok()?;
            Some((date, list))
        };
        let mut lists: Vec<_> = entries.into_iter().flatten().flatten().filter_map(|entry| one(entry.path())).collect();
        lists.sort_unstable();
        lists
    }

    /// Keeps a list. One that cannot be kept is asked for again the next time: no reason to stop.
    fn keep(&self, date: Date, list: &[String]) {
        let Some(folder) = &self.folder else { return };
        let path = folder.join(format!("{}-{date}.csv", self.name));
        let text = format!("Symbol\n{}\n", list.join("\n"));
        let fresh = path.with_extension("new");
        let kept =
            fs::create_dir_all(folder).and_then(|()| fs::write(&fresh, text)).and_then(|()| fs::rename(&fresh, &path));
        if let Err(error) = kept {
            tracing::warn!("today's list cannot be kept in {}: {error}", path.display());
        }
    }
}

/// What people read about it.
pub fn print(report: &IndexReport) {
    let source = match report.source {
        Source::Downloaded => "downloaded today",
        Source::Kept => "downloaded",
        Source::BuiltIn => "built in, since",
    };
    let stale = if report.stale { " (today's could not be had)" } else { "" };
    output::line(format_args!("members of {}: {source} {}{stale}", report.name, report.list_date));
}
