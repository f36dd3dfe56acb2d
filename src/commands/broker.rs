//! The broker as commands meet it: where it is, who we are to it, and the day's login.
//!
//! - The simulated broker of this machine is logged in to without a person; elsewhere a person opens the login page.
//! - Credentials come from `KITE_API_KEY` and `KITE_API_SECRET`, in the environment or in `.env`; none is ever shown. With
//!   `KITE_USER_ID` beside them a login of anybody else is refused. They are for a real broker, and for a simulated one
//!   that was started with `--own-application`; the usual simulated one has an application that everybody knows.
//! - A daemon whose session ends takes the next login up by itself ([`KeepsLogin`]).

use crate::cli::Cli;
use daybook_adapters::kite::http::Address;
use daybook_adapters::kite::session::{Credentials, Login, TokenFile, request_token};
use daybook_adapters::kite::{BlockingKite, KiteError, Secret};
use daybook_config::{Settings, Sources};
use daybook_replay::fetch::FetchError;
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks at whether the session still goes.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
/// How long a port of this machine may take to open.
const PORT_OPENS_WITHIN: Duration = Duration::from_secs(10);

/// Where the broker is and how to log in to it.
pub struct Broker {
    url: String,
    is_loopback: bool,
    credentials: Option<Credentials>,
    /// Who is to be logged in, where that was said.
    user: Option<String>,
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
        let (user, is_loopback, url) = (sources.variable("KITE_USER_ID"), address.is_loopback(), address.url);
        Ok(Self { url, is_loopback, credentials, user, token_file, force_login })
    }

    /// Connects, without logging in. A port of this machine is waited for.
    pub fn connect(&self) -> Result<BlockingKite, FetchError> {
        let own = || {
            self.credentials.clone().ok_or_else(|| {
                let text = "no credentials: set KITE_API_KEY and KITE_API_SECRET in the environment or in .env";
                FetchError::BadOption(text.to_owned())
            })
        };
        if !self.is_loopback {
            return Ok(BlockingKite::connect(&self.url, own()?, PORT_OPENS_WITHIN)?);
        }
        // Real credentials are not for a simulated broker, unless it was started with them.
        let kite = BlockingKite::connect(&self.url, Credentials::simulated(), PORT_OPENS_WITHIN)?;
        match kite.kite().wants_own_application() {
            true => Ok(BlockingKite::connect(&self.url, own()?, PORT_OPENS_WITHIN)?),
            false => Ok(kite),
        }
    }

    /// True while the login of before lives; it is taken up. Nobody is asked.
    pub fn is_logged_in(&self, kite: &BlockingKite) -> Result<bool, KiteError> {
        let file = self.token_file.as_deref().map(TokenFile::new);
        let kept = file.and_then(|file| file.load(&self.url, kite.kite().credentials()));
        match kept.filter(|_| !self.force_login) {
            Some(login) => {
                self.is_expected(kite, &login)?;
                kite.resume(login)
            }
            None => Ok(false),
        }
    }

    /// Refuses a login of another user than the one who was named. The application that everybody knows has nobody's user.
    fn is_expected(&self, kite: &BlockingKite, login: &Login) -> Result<(), KiteError> {
        let simulated = *kite.kite().credentials() == Credentials::simulated();
        match self.user.as_ref().filter(|expected| !simulated && login.user_id != **expected) {
            Some(expected) => Err(KiteError::WrongUser { found: login.user_id.clone(), expected: expected.clone() }),
            None => Ok(()),
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
            kite.login_by_itself()?
        } else {
            kite.login(&asked_of_a_person(&kite.kite().login_url())?)?
        };
        self.is_expected(kite, &login)?;
        file.map_or(Ok(()), |file| file.save(&self.url, credentials, &login))
    }

    /// What to do when the session has ended while a daemon trades: nobody can be asked, but a new login of any command
    /// on this machine is found in its file. A simulated broker is logged in to again.
    fn log_in_again(&self, kite: &BlockingKite, dead: &Login) -> Result<bool, KiteError> {
        let credentials = kite.kite().credentials();
        let file = self.token_file.as_deref().map(TokenFile::new);
        let kept = file.as_ref().and_then(|file| file.load(&self.url, credentials));
        if let Some(login) = kept.filter(|login| login.access_token != dead.access_token) {
            self.is_expected(kite, &login)?;
            if kite.resume(login)? {
                return Ok(true);
            }
        }
        if !self.is_loopback {
            return Ok(false);
        }
        let login = kite.login_by_itself()?;
        self.is_expected(kite, &login)?;
        file.map_or(Ok(()), |file| file.save(&self.url, credentials, &login))?;
        Ok(true)
    }

    /// Looks after the session of a daemon from now on, until what this returns is dropped.
    pub fn keep_login(self, kite: &Arc<BlockingKite>) -> KeepsLogin {
        let (over, kite) = (Arc::new(AtomicBool::new(false)), kite.clone());
        let ends = over.clone();
        let thread = std::thread::spawn(move || {
            let mut last = kite.session().login().cloned();
            while !ends.load(Ordering::Relaxed) {
                std::thread::sleep(LOOKS_EVERY);
                match (kite.session().login(), &last) {
                    (Some(login), _) => last = Some(login.clone()),
                    (None, Some(dead)) => match self.log_in_again(&kite, dead) {
                        Ok(true) => tracing::warn!("the session with the broker had ended: another login is taken up"),
                        Ok(false) => {}
                        Err(error) => tracing::warn!(%error, "the session with the broker has ended"),
                    },
                    (None, None) => {}
                }
            }
        });
        KeepsLogin { over, thread: Some(thread) }
    }
}

/// Looks after a session until it is dropped.
pub struct KeepsLogin {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for KeepsLogin {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say any more.
            let _ = thread.join();
        }
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
