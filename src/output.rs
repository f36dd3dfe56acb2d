//! What people and programs see: progress on stderr, results on stdout, the log.
//!
//! - Progress is drawn only where a person watches.
//! - The wall clock is read here and nowhere else in the binary: for durations that are shown, never for results.

use crate::cli::LogFormat;
use daybook_adapters::kite::secret;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Hash, Measure, Nanos};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A stopwatch for what is shown to people.
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "durations are shown to people and enter no result")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds so far.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// The time now, RFC 3339, for records that people read; it enters no result.
#[expect(clippy::disallowed_methods, reason = "a record says when a person had it made")]
pub fn now_for_people() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)).to_string()
}

/// True where no progress is drawn.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Sends logs to stderr, as many as were asked for, and remembers whether progress is.
pub fn start(filter: Option<&str>, verbose: bool, silent: bool, format: LogFormat) {
    SILENT.store(silent, Ordering::Relaxed);
    let usual = match (verbose, silent) {
        (true, _) => "info",
        (_, true) => "error",
        _ => "warn",
    };
    let filter = tracing_subscriber::EnvFilter::try_new(filter.unwrap_or(usual)).unwrap_or_else(|_| "warn".into());
    // Libraries of the wires write whole requests into their own logs, and a feed's address holds the day's token.
    let quiet = ["tungstenite", "tokio_tungstenite", "hyper", "hyper_util", "rustls"];
    let filter = quiet
        .iter()
        .filter_map(|name| format!("{name}=info").parse().ok())
        .fold(filter, tracing_subscriber::EnvFilter::add_directive);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Scrubbed)
        // A log that a service manager or a file keeps is plain text.
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// Lines of the log on stderr, without the secrets that the process knows.
struct Scrubbed;

impl Write for Scrubbed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = secret::scrub_remembered(&String::from_utf8_lossy(bytes));
        let line = line.as_deref().unwrap_or("a line of the log was left out: a secret was being changed\n");
        std::io::stderr().write_all(line.as_bytes()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// A bar for work of known length, in `unit`s; hidden where nobody watches.
pub fn progress(total: u64, unit: &str) -> ProgressBar {
    if SILENT.load(Ordering::Relaxed) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    let template = format!("{{msg:>9}} {{bar:40}} {{human_pos}}/{{human_len}} {unit} {{per_sec}} {{eta}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// True once lines are for stderr: stdout is then left to the one JSON object that was asked for.
static ASIDE: AtomicBool = AtomicBool::new(false);

/// From here on [`line`] prints on stderr.
pub fn lines_aside() {
    ASIDE.store(true, Ordering::Relaxed);
}

/// Prints a line for people.
pub fn line(text: impl std::fmt::Display) {
    if ASIDE.load(Ordering::Relaxed) {
        eprintln!("{text}");
    } else {
        result(text);
    }
}

/// Prints a line to stdout. A closed pipe ends the program quietly, as for any Unix tool; any other failure (a full
/// disk) ends it with an error, because what was asked for was not delivered.
fn result(text: impl std::fmt::Display) {
    let Err(error) = writeln!(std::io::stdout().lock(), "{text}") else { return };
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("error: cannot write to stdout: {error}");
    std::process::exit(1);
}

/// Prints a value as one line of JSON.
pub fn json(value: &impl serde::Serialize) -> Result<(), String> {
    result(serde_json::to_string(value).map_err(|error| format!("cannot print the result as JSON: {error}"))?);
    Ok(())
}

/// blake3 of this executable: what wrote a session.
pub fn binary_hash() -> Result<Hash, String> {
    let path = std::env::current_exe().map_err(|error| format!("cannot find the running executable: {error}"))?;
    let file = std::fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Hash(*hasher.finalize().as_bytes()))
}

/// A measure as people read it: a time of day of the exchange where it is an hour, else its number.
pub fn measured(measure: Measure, is_hour: bool) -> String {
    if !is_hour {
        return measure.to_string();
    }
    let seconds = measure.0.div_euclid(i128::from(SCALE));
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A whole number with separators, for people.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Which way a column of a table leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Prints a table for people: headings, then rows, each column as wide as its widest cell.
pub fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) {
    let width = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
        cells.chain([columns[index].0.len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(columns).zip(&widths).map(|((cell, (_, align)), &width)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(&mut columns.iter().map(|(name, _)| *name));
    rows.iter().for_each(|row| print(&mut row.iter().map(String::as_str)));
}
