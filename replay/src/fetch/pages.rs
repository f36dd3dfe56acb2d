//! Pages on their way: asked for by a few threads, kept as soon as they are whole.
//!
//! ```text
//! JOURNAL/cache/fetch/SYMBOL-INTERVAL-AFTER-UNTIL.HASH.csv
//! ```
//!
//! - The name holds the hash of the bytes: a page that a crash or a hand has changed is not taken for one.
//! - A page is a text file that the ingest reads like any other; its rows are in the broker's order, and a row that
//!   could not be read stands in its place as it was, so that the quarantine shows it.
//! - A refusal that concerns one symbol costs that symbol; anything else stops the command, with all pages kept.
//! - Where the session ends underway there is one more login, whoever of the threads finds out; a second end stops.

use super::plan::{Job, Plan};
use super::{Failed, FetchError, FetchOptions, HistorySource};
use crate::ingest::Progress;
use daybook_adapters::kite::KiteError;
use daybook_adapters::kite::history::{BrokerCandle, Page};
use daybook_adapters::kite::instruments::Listed;
use daybook_adapters::kite::values::local_text;
use daybook_vocabulary::Nanos;
use daybook_vocabulary::time::SECOND;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const HEADER: &str = "Symbol,Date,Open,High,Low,Close,Volume\n";
/// Hexadecimal digits of a hash in a name.
const HASH_DIGITS: usize = 32;

/// The folder of the pages.
pub(crate) struct Pages {
    folder: PathBuf,
}

/// The pages of a plan.
pub(crate) struct Downloaded {
    /// By job: the file and its rows.
    pub files: Vec<(PathBuf, u64)>,
    pub requests: u64,
    pub resumed: u64,
    pub failed: Vec<Failed>,
}

enum Message {
    Kept { job: usize, path: PathBuf, rows: u64 },
    Refused { job: usize, reason: String },
    Stopped(FetchError),
}

impl Pages {
    pub fn of(journal: &Path) -> Self {
        Self { folder: journal.join("cache").join("fetch") }
    }

    /// Gives up all pages: they are in the journal.
    pub fn forget(&self) {
        // A cache: what stays behind is not taken for anything else.
        let _ = fs::remove_dir_all(&self.folder);
    }

    pub fn forget_if(&self, condition: bool) {
        if condition {
            self.forget();
        }
    }

    /// Gets every page of the plan: those that are kept from the folder, the others from the broker.
    pub fn download<S: HistorySource>(
        &self,
        options: &FetchOptions,
        plan: &Plan,
        listed: &[Listed],
        source: &S,
        progress: &mut dyn Progress,
    ) -> Result<Downloaded, FetchError> {
        let mut found = Downloaded { files: Vec::new(), requests: 0, resumed: 0, failed: Vec::new() };
        let kept = self.kept();
        found.files = plan.jobs.iter().map(|job| self.find(&kept, job, options)).collect();
        let open: Vec<usize> = (0..plan.jobs.len()).filter(|&job| found.files[job].0.as_os_str().is_empty()).collect();
        found.resumed = (plan.jobs.len() - open.len()) as u64;
        progress.advance(found.resumed);
        let (next, stop, failed) =
            (AtomicUsize::new(0), AtomicBool::new(false), std::sync::Mutex::new(BTreeSet::new()));
        let again = Again::default();
        let (out, incoming) = crossbeam::channel::bounded(options.workers as usize);
        let has_failed = |symbol: &str| {
            failed.lock().is_ok_and(|failed: std::sync::MutexGuard<'_, BTreeSet<String>>| failed.contains(symbol))
        };
        std::thread::scope(|scope| {
            for _ in 0..(options.workers as usize).min(open.len()) {
                let (out, next, stop, open, has_failed) = (out.clone(), &next, &stop, &open, &has_failed);
                let again = &again;
                scope.spawn(move || {
                    while let Some(&job) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        if has_failed(&plan.jobs[job].symbol) {
                            continue;
                        }
                        if out.send(self.ask(options, (job, &plan.jobs[job]), listed, source, again)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(out);
            let mut stopped = None;
            for message in incoming {
                found.requests += 1;
                match message {
                    Message::Kept { job, path, rows } => found.files[job] = (path, rows),
                    Message::Refused { job, reason } => {
                        let symbol = plan.jobs[job].symbol.clone();
                        let fresh = failed.lock().is_ok_and(|mut failed| failed.insert(symbol.clone()));
                        if fresh {
                            found.failed.push(Failed { symbol, reason });
                        }
                    }
                    Message::Stopped(error) => {
                        stop.store(true, Ordering::Relaxed);
                        stopped.get_or_insert(error);
                    }
                }
                progress.advance(1);
                if !progress.keep_going() {
                    stop.store(true, Ordering::Relaxed);
                    stopped.get_or_insert(FetchError::Interrupted);
                }
            }
            stopped.map_or(Ok(()), Err)
        })?;
        found.failed.sort_by(|one, other| one.symbol.cmp(&other.symbol));
        Ok(found)
    }

    /// One page from the broker, kept.
    fn ask(
        &self,
        options: &FetchOptions,
        (at, job): (usize, &Job),
        listed: &[Listed],
        source: &impl HistorySource,
        again: &Again,
    ) -> Message {
        let Some(instrument) = listed.iter().find(|one| one.symbol == job.symbol) else {
            return Message::Refused { job: at, reason: "the broker does not list it".to_owned() };
        };
        let zone = options.calendar.zone_offset();
        let midnight = options.calendar.date_of(Nanos(job.after + 1)).midnight().0 - zone;
        let first = if options.interval.is_daily() {
            // A daily candle is stamped at the midnight before it.
            midnight
        } else {
            // The bar that is known next may have opened before `after`.
            (job.after - options.interval.nanos() + SECOND).max(midnight)
        };
        let ask = || source.page(instrument.token, options.interval, Nanos(first), Nanos(job.until - SECOND));
        let page = match again.with_login(source, ask) {
            Ok(page) => page,
            Err(KiteError::Refused { refused, .. }) => {
                return Message::Refused { job: at, reason: refused.to_string() };
            }
            Err(KiteError::Unreadable { reason, .. }) => return Message::Refused { job: at, reason },
            Err(error) => return Message::Stopped(error.into()),
        };
        let text = text_of(options, job, &page);
        let rows = text.lines().count() as u64 - 1;
        tracing::info!(symbol = job.symbol, from = local_text(Nanos(first)), rows, "a page of history");
        if rows > 0 && page.candles.is_empty() {
            let reason = format!("none of its {rows} rows can be read, the first: {}", page.bad[0].reason);
            return Message::Refused { job: at, reason };
        }
        let name = format!("{}{}.csv", stem(job, options), &blake3::hash(text.as_bytes()).to_hex()[..HASH_DIGITS]);
        let path = self.folder.join(name);
        match keep(&path, text.as_bytes()) {
            Ok(()) => Message::Kept { job: at, path, rows },
            Err(error) => Message::Stopped(error),
        }
    }

    fn kept(&self) -> BTreeSet<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return BTreeSet::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// The page of a job that is kept and whole, with its rows; an empty path where there is none.
    fn find(&self, kept: &BTreeSet<String>, job: &Job, options: &FetchOptions) -> (PathBuf, u64) {
        let stem = stem(job, options);
        let names = kept.range(stem.clone()..).take_while(|name| name.starts_with(&stem));
        for name in names {
            let path = self.folder.join(name);
            let Ok(bytes) = fs::read(&path) else { continue };
            let hash = blake3::hash(&bytes).to_hex();
            if name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(".csv")) == Some(&hash[..HASH_DIGITS]) {
                let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
                return (path, lines - 1);
            }
        }
        (PathBuf::new(), 0)
    }
}

/// The one login that a command repeats.
#[derive(Default)]
struct Again {
    done: std::sync::Mutex<bool>,
}

impl Again {
    /// Asks; where the session turns out to be over, logs in once more and asks again.
    fn with_login(
        &self,
        source: &impl HistorySource,
        ask: impl Fn() -> Result<Page, KiteError>,
    ) -> Result<Page, KiteError> {
        match ask() {
            Err(KiteError::SessionOver { message, .. }) => {
                // Others who find out meanwhile wait here, and find it done.
                let mut done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if !std::mem::replace(&mut *done, true) {
                    tracing::warn!(message, "the session has ended; logging in once more");
                    source.log_in()?;
                }
                drop(done);
                ask()
            }
            other => other,
        }
    }
}

/// The name of a job's page up to its hash.
fn stem(job: &Job, options: &FetchOptions) -> String {
    let mut name = String::new();
    for byte in job.symbol.bytes() {
        if byte.is_ascii_alphanumeric() {
            name.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(name, "%{byte:02x}");
        }
    }
    format!("{name}-{}-{}-{}.", options.interval, job.after / SECOND, job.until / SECOND)
}

/// A page as a file: candles that were known in time, and rows that could not be read.
fn text_of(options: &FetchOptions, job: &Job, page: &Page) -> String {
    let mut text = HEADER.to_owned();
    let mut bad = page.bad.iter().peekable();
    let (mut candles, mut row) = (page.candles.iter(), 0);
    loop {
        row += 1;
        if let Some(one) = bad.next_if(|bad| bad.row == row) {
            // A row of too few cells: the quarantine shows what it says.
            let shown = one.text.replace('"', "'").replace(',', ";");
            let _ = writeln!(text, "{},\"{shown}\"", job.symbol);
            continue;
        }
        let Some(candle) = candles.next() else { break };
        // One that is still being formed is not known yet.
        if options.calendar.available_at(candle.open_time, options.interval).0 <= job.until {
            line(&mut text, &job.symbol, candle);
        }
    }
    text
}

fn line(text: &mut String, symbol: &str, candle: &BrokerCandle) {
    let BrokerCandle { open_time, open, high, low, close, volume } = candle;
    let _ = writeln!(text, "{symbol},{}+05:30,{open},{high},{low},{close},{volume}", local_text(*open_time));
}

/// Writes a file whole or not at all.
pub(crate) fn keep(path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    let fail = |source| FetchError::Keep { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&fresh, path).map_err(fail)
}
