//! The broker as commands meet it: where it is, who we are to it, and the day's login.
//!
//! - The simulated broker of this machine is logged in to without a person; elsewhere a person opens the login page.
//! - Credentials come from `KITE_API_KEY` and `KITE_API_SECRET`, in the environment or in `.env`; none is ever shown.
//! - A simulated broker is asked with credentials of its own. Keys of the environment go to one only where their name says
//!   that they are made up (`sim_…`): so that wrong ones can be tried, and real ones never go there.

use crate::cli::Cli;
use daybook_adapters::kite::http::Address;
use daybook_adapters::kite::session::{Credentials, TokenFile, request_token};
use daybook_adapters::kite::{BlockingKite, KiteError, Secret};
use daybook_config::{Settings, Sources};
use daybook_replay::fetch::FetchError;
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How keys of simulated brokers begin.
const SIMULATED: &str = "sim_";
/// How long a port of this machine may take to open.
const PORT_OPENS_WITHIN: Duration = Duration::from_secs(10);

/// Where the broker is and how to log in to it.
pub struct Broker {
    url: String,
    is_loopback: bool,
    credentials: Option<Credentials>,
    token_file: Option<PathBuf>,
    force_login: bool,
}

impl Broker {
    /// True for this machine.
    pub const fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// The broker at an address; `force_login` asks for a new login whatever is kept.
    pub fn of(cli: &Cli, url: &str, force_login: bool, settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let address = Address::parse(url)?;
        let sources = Sources::ambient(Path::new("."), cli.config.clone(), Vec::new());
        let secret = |name: &str| sources.variable(name).map(Secret::new);
        let credentials = match (secret("KITE_API_KEY"), secret("KITE_API_SECRET")) {
            (Some(api_key), Some(api_secret)) => Some(Credentials { api_key, api_secret }),
            _ => None,
        };
        // Beside the sealing key, in a folder that is its owner's; one file for each broker.
        let name = format!("kite-{}.json", &blake3::hash(address.url.as_bytes()).to_hex()[..8]);
        let token_file = settings.seal_key_file.as_deref().and_then(Path::parent).map(|folder| folder.join(name));
        Ok(Self { is_loopback: address.is_loopback(), url: address.url, credentials, token_file, force_login })
    }

    /// Connects, without logging in. A port of this machine is waited for.
    pub fn connect(&self) -> Result<BlockingKite, FetchError> {
        let credentials = match &self.credentials {
            Some(made_up) if self.is_loopback && made_up.api_key.expose().starts_with(SIMULATED) => made_up.clone(),
            // Real credentials are not for a simulated broker, nor the other way round.
            _ if self.is_loopback => Credentials::simulated(),
            Some(credentials) => credentials.clone(),
            None => {
                let text = "no credentials: set KITE_API_KEY and KITE_API_SECRET in the environment or in .env";
                return Err(FetchError::BadOption(text.to_owned()));
            }
        };
        Ok(BlockingKite::connect(&self.url, credentials, PORT_OPENS_WITHIN)?)
    }

    /// True while the login of before lives; it is taken up. Nobody is asked.
    pub fn is_logged_in(&self, kite: &BlockingKite) -> Result<bool, KiteError> {
        let file = self.token_file.as_deref().map(TokenFile::new);
        let kept = file.and_then(|file| file.load(&self.url, kite.kite().credentials()));
        match kept.filter(|_| !self.force_login) {
            Some(login) => kite.resume(login),
            None => Ok(false),
        }
    }

    /// The login of before, while it lives; else a new one.
    pub fn log_in(&self, kite: &BlockingKite) -> Result<(), KiteError> {
        if self.is_logged_in(kite)? {
            return Ok(());
        }
        let credentials = kite.kite().credentials();
        let file = self.token_file.as_deref().map(TokenFile::new);
        let login = if self.is_loopback {
            kite.login_by_itself()
        } else {
            kite.login(&asked_of_a_person(&kite.kite().login_url())?)
        };
        let login = login.map_err(not_taken)?;
        file.map_or(Ok(()), |file| file.save(&self.url, credentials, &login))
    }
}

/// A login of right now that the broker refuses was made with the wrong keys, or with a token of another page.
fn not_taken(error: KiteError) -> KiteError {
    let said = match error {
        KiteError::SessionOver { message, .. } => format!("the broker says '{message}'"),
        KiteError::Refused { refused, .. } => format!("the broker says '{}'", refused.message),
        KiteError::Login { reason } => reason,
        other => return other,
    };
    let check = "check KITE_API_KEY and KITE_API_SECRET, in the environment or in .env";
    KiteError::Login { reason: format!("{said}: {check}") }
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
