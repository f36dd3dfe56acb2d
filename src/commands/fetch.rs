//! `fetch`: a broker's history into a journal.
//!
//! - Nothing is asked of anyone when the journal holds the range already.
//! - The simulated broker of this machine is logged in to without a person; elsewhere a person opens the login page.
//! - Credentials come from `KITE_API_KEY` and `KITE_API_SECRET`, in the environment or in `.env`; none is ever shown.

use super::Verdict;
use super::ingest::Bars;
use crate::cli::{Cli, Fetch, Format};
use crate::output;
use daybook_adapters::kite::http::Address;
use daybook_adapters::kite::instruments::Alias;
use daybook_adapters::kite::session::{Credentials, TokenFile, request_token};
use daybook_adapters::kite::{BlockingKite, KiteError, Secret};
use daybook_config::{Calendar, Settings, Sources, Universe};
use daybook_replay::fetch::{self, FetchError, FetchOptions, FetchReport, KiteSource};
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long a port of this machine may take to open.
const PORT_OPENS_WITHIN: Duration = Duration::from_secs(10);

pub fn run(cli: &Cli, arguments: &Fetch) -> Verdict {
    let settings = super::settings(cli, Vec::new())?.settings;
    let mut calendar = Calendar::by_market("nse")?;
    if let Some(file) = &settings.calendar_file {
        calendar.extend_from_file(file)?;
    }
    let universe = Universe::nifty50();
    let options = FetchOptions {
        journal: arguments.journal.clone(),
        symbols: symbols(arguments, &universe)?,
        aliases: aliases(&universe),
        interval: arguments.interval,
        from: arguments.from,
        to: arguments.to,
        workers: arguments.max_workers,
        seal_key: settings.seal_key_file.clone(),
        segments: daybook_journal::Options {
            segment_bytes: u64::from(settings.journal_segment_mib) * 1024 * 1024,
            ..daybook_journal::Options::default()
        },
        batch_frames: 65_536,
        calendar,
    };
    let broker = Broker::of(cli, arguments, &settings)?;
    let mut bars = Bars::new();
    let report = fetch::run(&options, || broker.connect(), &mut bars);
    bars.finish();
    let report = report?;
    if cli.format == Format::Json {
        output::json(&report)?;
    } else {
        print(&report);
    }
    // The others went in; that some did not is a failure all the same.
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The symbols named, or the members of the index on the last date.
fn symbols(arguments: &Fetch, universe: &Universe) -> Result<Vec<String>, Box<dyn Error>> {
    if !arguments.symbols.is_empty() {
        return Ok(arguments.symbols.clone());
    }
    if !arguments.index.eq_ignore_ascii_case(universe.name()) {
        return Err(format!("--index {}: the index that is known is {}", arguments.index, universe.name()).into());
    }
    // A list as of today would hold only those who survived.
    let date = arguments.to.unwrap_or(arguments.from);
    Ok(universe.members(date)?.to_vec())
}

fn aliases(universe: &Universe) -> Vec<Alias> {
    let renamed = universe.renamed();
    renamed.map(|(old, new)| Alias { from: universe.first_date(), old: old.to_owned(), new: new.to_owned() }).collect()
}

/// Where the broker is and how to log in to it.
struct Broker {
    url: String,
    is_loopback: bool,
    credentials: Option<Credentials>,
    token_file: Option<PathBuf>,
    force_login: bool,
}

impl Broker {
    fn of(cli: &Cli, arguments: &Fetch, settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let address = Address::parse(&arguments.broker_url)?;
        let sources = Sources::ambient(Path::new("."), cli.config.clone(), Vec::new());
        let secret = |name: &str| sources.variable(name).map(Secret::new);
        let credentials = match (secret("KITE_API_KEY"), secret("KITE_API_SECRET")) {
            (Some(api_key), Some(api_secret)) => Some(Credentials { api_key, api_secret }),
            _ => None,
        };
        // Beside the sealing key, in a folder that is its owner's; one file for each broker.
        let name = format!("kite-{}.json", &blake3::hash(address.url.as_bytes()).to_hex()[..8]);
        let token_file = settings.seal_key_file.as_deref().and_then(Path::parent).map(|folder| folder.join(name));
        Ok(Self {
            is_loopback: address.is_loopback(),
            url: address.url,
            credentials,
            token_file,
            force_login: arguments.force_refresh_token,
        })
    }

    fn connect(
        &self,
    ) -> Result<KiteSource<impl Fn(&BlockingKite) -> Result<(), KiteError> + Sync + use<'_>>, FetchError> {
        let credentials = match &self.credentials {
            // Real credentials are not for a simulated broker, nor the other way round.
            _ if self.is_loopback => Credentials::simulated(),
            Some(credentials) => credentials.clone(),
            None => {
                let text = "no credentials: set KITE_API_KEY and KITE_API_SECRET in the environment or in .env";
                return Err(FetchError::BadOption(text.to_owned()));
            }
        };
        let kite = BlockingKite::connect(&self.url, credentials, PORT_OPENS_WITHIN)?;
        Ok(KiteSource { kite, log_in: |kite: &BlockingKite| self.log_in(kite) })
    }

    /// The login of before, while it lives; else a new one.
    fn log_in(&self, kite: &BlockingKite) -> Result<(), KiteError> {
        let credentials = kite.kite().credentials();
        let file = self.token_file.as_deref().map(TokenFile::new);
        let kept = file.as_ref().and_then(|file| file.load(&self.url, credentials));
        if let Some(login) = kept.filter(|_| !self.force_login)
            && kite.resume(login)?
        {
            return Ok(());
        }
        let login = if self.is_loopback {
            kite.login_by_itself()?
        } else {
            kite.login(&asked_of_a_person(&kite.kite().login_url())?)?
        };
        file.map_or(Ok(()), |file| file.save(&self.url, credentials, &login))
    }
}

/// Shows the login page and takes what it led to.
fn asked_of_a_person(login_url: &str) -> Result<Secret, KiteError> {
    if !std::io::stdin().is_terminal() {
        return Err(KiteError::AwaitsHuman { login_url: login_url.to_owned() });
    }
    let mut errors = std::io::stderr();
    // Whoever cannot be shown the page cannot answer either.
    let _ = writeln!(errors, "log in at {login_url}\nand paste the address that it leads to, or its request_token:");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|source| KiteError::File { path: "stdin".into(), source })?;
    request_token(&line)
}

fn print(report: &FetchReport) {
    const SHOWN: usize = 3;
    if report.complete_before {
        output::line("complete: the journal held all of it, the broker was not asked for history");
    } else {
        output::line(format_args!(
            "pages asked for {}, kept by an earlier try {}",
            report.requests, report.resumed_pages
        ));
    }
    if let Some(ingest) = &report.ingest {
        output::line(format_args!(
            "rows {}  candles written {}  duplicates {}  quarantined {}",
            output::grouped(ingest.rows),
            output::grouped(ingest.kept),
            output::grouped(ingest.duplicates),
            output::grouped(ingest.quarantined_total())
        ));
        for (reason, count) in &ingest.quarantined {
            output::line(format_args!("  quarantined {reason} {}", output::grouped(*count)));
        }
    }
    for one in &report.coverage {
        let name = &one.symbol;
        output::line(format_args!(
            "  {name:<12} {} of {} sessions complete, {} bars",
            one.complete, one.sessions, one.bars
        ));
        for day in one.incomplete.iter().take(SHOWN) {
            output::line(format_args!("      {}: {} of {} bars", day.date, day.bars, day.expected));
        }
        let rest = one.incomplete.len().saturating_sub(SHOWN);
        if rest > 0 {
            output::line(format_args!("      and {rest} more (--format json lists all)"));
        }
    }
    for failed in &report.failed {
        output::line(format_args!("failed: {}: {}", failed.symbol, failed.reason));
    }
    output::line(format_args!("journal: {} frames, content {}", output::grouped(report.frames), report.content));
}
