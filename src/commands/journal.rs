//! `journal stat`, `journal cat`, `journal export`: look inside.

use super::Verdict;
use crate::cli::{Cat, Choice, Cli, Export, Format, Stat};
use crate::output;
use daybook_journal::{Archived, Frame, Journal};
use daybook_replay::hex;
use daybook_replay::report::{self, EventAt};
use daybook_vocabulary::{Event, Kind, Nanos};
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// What `journal stat` says.
#[derive(Serialize)]
struct Statistics {
    path: String,
    id: String,
    frames: u64,
    content: String,
    runs: usize,
    seals: usize,
    first_time: Option<String>,
    last_time: Option<String>,
    kinds: BTreeMap<String, u64>,
    series: Vec<SeriesLine>,
}

#[derive(Serialize)]
struct SeriesLine {
    market: String,
    symbol: String,
    interval: String,
    candles: u64,
    first: String,
    last: String,
}

pub fn stat(cli: &Cli, arguments: &Stat) -> Verdict {
    let path = super::journal_of(&arguments.path);
    if let Some(archived) = Archived::find(&path)? {
        return stat_archived(cli, &path, &archived);
    }
    let history = daybook_replay::History::open(&path)?;
    let journal = &history.journal;
    let mut kinds = BTreeMap::new();
    let (mut first, mut last) = (None::<i64>, None::<i64>);
    let bar = output::progress(journal.head().frames, "frames");
    bar.set_message("reading");
    let mut cursor = journal.cursor(0);
    while let Some(frame) = cursor.next()? {
        let word =
            Kind::from_number(frame.kind).map_or_else(|| format!("kind-{}", frame.kind), |kind| kind.to_string());
        *kinds.entry(word).or_insert(0u64) += 1;
        first = Some(first.map_or(frame.time, |first| first.min(frame.time)));
        last = Some(last.map_or(frame.time, |last| last.max(frame.time)));
        if frame.seq.is_multiple_of(65_536) {
            bar.set_position(frame.seq);
        }
    }
    bar.finish_and_clear();
    let head = journal.head();
    let statistics = Statistics {
        path: path.display().to_string(),
        id: history.id(),
        frames: head.frames,
        content: head.content.to_string(),
        runs: journal.runs()?.len(),
        seals: journal.seals().len(),
        first_time: first.map(|time| Nanos(time).to_string()),
        last_time: last.map(|time| Nanos(time).to_string()),
        kinds,
        series: history
            .series
            .iter()
            .map(|series| SeriesLine {
                market: series.definition.market.clone(),
                symbol: series.definition.symbol.clone(),
                interval: series.interval.to_string(),
                candles: series.candles,
                first: series.first.to_string(),
                last: series.last.to_string(),
            })
            .collect(),
    };
    if cli.format == Format::Json {
        output::json(&statistics)?;
    } else {
        print(&statistics);
    }
    Ok(ExitCode::SUCCESS)
}

/// What `journal stat` says of a journal that was archived: what its stub says.
#[derive(Serialize)]
struct ArchivedStatistics {
    path: String,
    archived: bool,
    id: String,
    frames: u64,
    content: String,
    seals: u64,
    last_time: Option<String>,
    /// The name of the copy.
    copy: String,
    /// Where it was put, seen from the journal's directory.
    place: Option<String>,
}

fn stat_archived(cli: &Cli, path: &Path, archived: &Archived) -> Verdict {
    let statistics = ArchivedStatistics {
        path: path.display().to_string(),
        archived: true,
        id: hex(&archived.id),
        frames: archived.head.frames,
        content: archived.head.content.to_string(),
        seals: archived.seals,
        last_time: archived.head.last_time.map(|time| Nanos(time).to_string()),
        copy: archived.copy.clone(),
        place: archived.place.clone(),
    };
    if cli.format == Format::Json {
        output::json(&statistics)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(format_args!("journal   {} (archived)", statistics.path));
    output::line(format_args!("id        {}", statistics.id));
    output::line(format_args!("content   {}", statistics.content));
    output::line(format_args!("frames    {}, {} seal(s)", output::grouped(statistics.frames), statistics.seals));
    output::line(format_args!("time      to {}", statistics.last_time.unwrap_or_default()));
    output::line(format_args!("moved to  {}", archived.copy_from(path).display()));
    Ok(ExitCode::SUCCESS)
}

fn print(statistics: &Statistics) {
    let none = || "-".to_owned();
    output::line(format_args!("journal   {}", statistics.path));
    output::line(format_args!("id        {}", statistics.id));
    output::line(format_args!("content   {}", statistics.content));
    output::line(format_args!(
        "frames    {} in {} run(s), {} seal(s)",
        output::grouped(statistics.frames),
        statistics.runs,
        statistics.seals
    ));
    output::line(format_args!(
        "time      {} to {}",
        statistics.first_time.clone().unwrap_or_else(none),
        statistics.last_time.clone().unwrap_or_else(none)
    ));
    for (kind, count) in &statistics.kinds {
        output::line(format_args!("  {kind:16} {:>14}", output::grouped(*count)));
    }
    if !statistics.series.is_empty() {
        output::line("candles by symbol and interval, open time of the first and the last");
    }
    for series in &statistics.series {
        output::line(format_args!(
            "  {:8} {:20} {:>4} {:>12}  {}  {}",
            series.market,
            series.symbol,
            series.interval,
            output::grouped(series.candles),
            series.first,
            series.last
        ));
    }
}

/// Walks the chosen events in order; instruments are known by then.
fn walk(
    path: &Path,
    choice: &Choice,
    mut take: impl FnMut(Frame<'_>, Event, Option<&(String, String)>) -> Result<bool, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let journal = Journal::open(path)?;
    let mut names: BTreeMap<u32, (String, String)> = BTreeMap::new();
    let mut cursor = journal.cursor(0);
    while let Some(frame) = cursor.next()? {
        if choice.to_seq.is_some_and(|last| frame.seq > last) {
            break;
        }
        if frame.kind == Kind::Instrument.number()
            && let Event::Instrument(instrument) = decode(path, frame)?
        {
            names.insert(frame.stream, (instrument.market, instrument.symbol));
        }
        let name = names.get(&frame.stream);
        if !chosen(choice, &frame, name) {
            continue;
        }
        if !take(frame, decode(path, frame)?, name)? {
            break;
        }
    }
    if let Some(symbol) = &choice.symbol
        && !names.values().any(|(_, known)| known == symbol)
    {
        let nearest = daybook_config::nearest(symbol, names.values().map(|(_, known)| known.as_str()));
        let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
        return Err(format!("{} holds no symbol '{symbol}'{hint}", path.display()).into());
    }
    Ok(())
}

fn chosen(choice: &Choice, frame: &Frame<'_>, name: Option<&(String, String)>) -> bool {
    choice.kind.is_none_or(|kind| kind.number() == frame.kind)
        && choice.from_seq.is_none_or(|first| frame.seq >= first)
        && choice.from_time.is_none_or(|first| frame.time >= first.0)
        && choice.to_time.is_none_or(|last| frame.time <= last.0)
        && choice.symbol.as_ref().is_none_or(|symbol| name.is_some_and(|(_, known)| known == symbol))
}

fn decode(path: &Path, frame: Frame<'_>) -> Result<Event, Box<dyn Error>> {
    Event::decode(frame.kind, frame.schema, frame.payload)
        .map_err(|error| format!("{}, seq {}: {error}", path.display(), frame.seq).into())
}

/// A line of `journal cat`.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time: Nanos,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<&'a str>,
    #[serde(flatten)]
    event: &'a Event,
}

pub fn cat(cli: &Cli, arguments: &Cat) -> Verdict {
    let path = super::journal_of(&arguments.path);
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    walk(&path, &arguments.choice, |frame, event, name| {
        // An instrument says its own symbol.
        let symbol = name.map(|(_, symbol)| symbol.as_str()).filter(|_| event.kind() != Kind::Instrument);
        let line = Line { seq: frame.seq, time: Nanos(frame.time), kind: event.kind().word(), symbol, event: &event };
        if cli.format == Format::Json {
            output::json(&line)?;
        } else {
            let payload = serde_json::to_value(&event)?;
            output::line(format_args!(
                "{:>10}  {}  {:14} {:12} {}",
                line.seq,
                line.time,
                line.kind,
                symbol.unwrap_or_default(),
                fields(&payload)
            ));
        }
        left -= 1;
        Ok(left > 0)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `name=value` for each field, nested ones in braces.
fn fields(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(object) => {
            let field = |(name, value): (&String, &serde_json::Value)| match value {
                serde_json::Value::Object(_) => format!("{name}={{{}}}", fields(value)),
                _ => format!("{name}={}", fields(value)),
            };
            object.iter().map(field).collect::<Vec<_>>().join(" ")
        }
        serde_json::Value::Array(items) => format!("[{}]", items.iter().map(fields).collect::<Vec<_>>().join(", ")),
        // Rows of foreign files are shown as text, never handed to the terminal as commands.
        serde_json::Value::String(text) if text.chars().any(char::is_control) => text.escape_debug().to_string(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

pub fn export(cli: &Cli, arguments: &Export) -> Verdict {
    let path = super::journal_of(&arguments.path);
    let holds_ours = ["manifest.json", "lock", "journal"].iter().any(|name| arguments.to.join(name).exists());
    if holds_ours {
        let reason = "it is a run or a journal, and what is put there is no part of it; choose another folder";
        return Err(format!("--to {}: {reason}", arguments.to.display()).into());
    }
    std::fs::create_dir_all(&arguments.to).map_err(|error| format!("{}: {error}", arguments.to.display()))?;
    let mut export = report::Export::create(&arguments.to, daybook_features::columns::Format::Parquet);
    walk(&path, &arguments.choice, |frame, event, name| {
        if let Some((market, symbol)) = name {
            export.define(frame.stream, market, symbol);
        }
        export.take(EventAt { seq: frame.seq, time: Nanos(frame.time), stream: frame.stream, event: &event })?;
        Ok(true)
    })?;
    let files = export.finish()?;
    if cli.format == Format::Json {
        let list: Vec<_> = files
            .iter()
            .map(|file| serde_json::json!({ "file": file.path, "rows": file.rows, "bytes": file.bytes, "blake3": file.hash }))
            .collect();
        output::json(&serde_json::json!({ "id": Journal::open(&path)?.id().map(|id| hex(&id)), "files": list }))?;
    } else if files.is_empty() {
        output::line("no events chosen; nothing was written");
    } else {
        for file in &files {
            output::line(format_args!("{}  {} rows", file.path.display(), output::grouped(file.rows)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
