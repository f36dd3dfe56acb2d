//! The session with the broker: a token that a person got, valid until six in the morning.
//!
//! ```text
//! NoToken ──asked──► AwaitsHuman ──logged in──► Live ──403, six o'clock, logged out──► Expired ──asked──► AwaitsHuman
//! ```
//!
//! - No password is stored and no login form is filled in: a person logs in, once a day, in a browser.
//! - A refused token is never tried again; a token from before six o'clock is not tried at all.
//! - Only the simulated broker on this machine is logged in to without a person: its login page asks nothing.

use super::error::KiteError;
use super::http::query_value;
use super::secret::{Secret, write_private};
use super::values::{ZONE, local_text, local_time};
use daybook_vocabulary::time::HOUR;
use daybook_vocabulary::{Date, Nanos};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Tokens die at this hour of India's day.
const DIES_AT: i64 = 6 * HOUR;

/// Who the program is to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The app's key.
    pub api_key: Secret,
    /// The app's secret: used once a day, for the checksum of the login.
    pub api_secret: Secret,
}

impl Credentials {
    /// Those of the simulated broker, which are no secret.
    pub fn simulated() -> Self {
        Self { api_key: Secret::new("sim_api_key"), api_secret: Secret::new("sim_api_secret") }
    }

    /// `hex(sha256(api_key + request_token + api_secret))`.
    pub fn checksum(&self, request_token: &str) -> String {
        let text = [self.api_key.expose(), request_token, self.api_secret.expose()].concat();
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A login that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The token of every call.
    pub access_token: Secret,
    /// Whose it is.
    pub user_id: String,
    /// When, by the broker's clock.
    pub login_time: Nanos,
}

impl Login {
    /// True until six in the morning, India's time, after the login.
    pub fn is_valid_at(&self, now: Nanos) -> bool {
        let midnight = Date::of(now, ZONE).midnight() + -ZONE;
        let today = midnight + DIES_AT;
        let boundary = if now >= today { today } else { today + -24 * HOUR };
        self.login_time >= boundary
    }
}

/// Where the session stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Session {
    /// Nobody has logged in.
    #[default]
    NoToken,
    /// A person was asked to.
    AwaitsHuman,
    /// It goes.
    Live(Login),
    /// It went; why.
    Expired(String),
}

/// What can happen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// A person was shown the login page.
    Asked,
    /// The broker gave a token, or one was found on disk.
    LoggedIn(Login),
    /// The broker refused the token.
    Refused(String),
    /// The hour at which tokens die has passed.
    DayTurned,
    /// We logged out.
    LoggedOut,
}

impl Session {
    /// The state after an event: every pair has an answer.
    #[must_use]
    pub fn next(self, event: SessionEvent) -> Self {
        match (self, event) {
            // A login counts wherever it comes from: another one of the same person may come first.
            (_, SessionEvent::LoggedIn(login)) => Self::Live(login),
            (_, SessionEvent::LoggedOut) => Self::NoToken,
            (Self::Live(login), SessionEvent::Asked) => Self::Live(login),
            (_, SessionEvent::Asked) => Self::AwaitsHuman,
            (Self::Live(_), SessionEvent::Refused(why)) => Self::Expired(why),
            (Self::Live(_), SessionEvent::DayTurned) => Self::Expired("tokens end at six in the morning".to_owned()),
            // What has no token has none to lose.
            (other, SessionEvent::Refused(_) | SessionEvent::DayTurned) => other,
        }
    }

    /// The login, while it goes.
    pub const fn login(&self) -> Option<&Login> {
        if let Self::Live(login) = self { Some(login) } else { None }
    }
}

/// Takes the request token out of what a person gives: the token, or the whole address the login page leads to.
pub fn request_token(given: &str) -> Result<Secret, KiteError> {
    let given = given.trim();
    let fail = |reason: &str| KiteError::Login { reason: reason.to_owned() };
    let Some((_, query)) = given.split_once('?') else {
        let plain = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return if plain { Ok(Secret::new(given)) } else { Err(fail("neither an address nor a request_token")) };
    };
    let query = query.split('#').next().unwrap_or(query);
    if query_value(query, "status").is_some_and(|status| status != "success") {
        return Err(fail("the login page says that it did not succeed"));
    }
    let token = query_value(query, "request_token").filter(|token| !token.is_empty());
    token.map(Secret::new).ok_or_else(|| fail("the address has no request_token"))
}

/// Where a login is kept between commands of one day: a file of its owner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    broker: String,
    api_key: String,
    access_token: String,
    user_id: String,
    login_time: String,
}

impl TokenFile {
    /// At a path.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The login of this broker and app; none where there is none that reads as one.
    pub fn load(&self, broker: &str, credentials: &Credentials) -> Option<Login> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let stored: Stored = serde_json::from_str(&text).ok()?;
        let ours = stored.broker == broker && stored.api_key == credentials.api_key.expose();
        let login_time = local_time(&stored.login_time)?;
        ours.then(|| Login { access_token: Secret::new(stored.access_token), user_id: stored.user_id, login_time })
    }

    /// Keeps a login, in the place of another one.
    pub fn save(&self, broker: &str, credentials: &Credentials, login: &Login) -> Result<(), KiteError> {
        let stored = Stored {
            broker: broker.to_owned(),
            api_key: credentials.api_key.expose().to_owned(),
            access_token: login.access_token.expose().to_owned(),
            user_id: login.user_id.clone(),
            login_time: local_text(login.login_time),
        };
        let file = |source| KiteError::File { path: self.path.clone(), source };
        let bytes = serde_json::to_vec(&stored).map_err(|error| file(std::io::Error::other(error)))?;
        write_private(&self.path, &bytes).map_err(file)
    }

    /// Forgets it.
    pub fn remove(&self) -> Result<(), KiteError> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(KiteError::File { path: self.path.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(time: &str) -> Login {
        Login {
            access_token: Secret::new("t0ken0ken"),
            user_id: "AB1234".to_owned(),
            login_time: time.parse().unwrap(),
        }
    }

    #[test]
    fn the_checksum_is_the_documented_one() {
        assert_eq!(
            Credentials::simulated().checksum("reqtoken123"),
            "e09a6bcd8b8aee32ed2560e95ffb8c97275bcf6be1789fbe2abffb9d29606926"
        );
    }

    #[test]
    fn a_token_lives_until_six() {
        let morning = login("2026-11-20T08:30:00+05:30");
        let at = |time: &str| morning.is_valid_at(time.parse().unwrap());
        assert!(at("2026-11-20T15:30:00+05:30") && at("2026-11-21T05:59:59+05:30"));
        assert!(!at("2026-11-21T06:00:00+05:30") && !at("2026-11-25T09:00:00+05:30"));
        assert!(!login("2026-11-20T05:59:00+05:30").is_valid_at("2026-11-20T06:00:00+05:30".parse().unwrap()));
    }

    /// RL-06, as Kite has it: a 403 ends the session, and only a person begins another.
    #[test]
    fn every_state_answers_every_event() {
        let live = Session::Live(login("2026-11-20T08:30:00+05:30"));
        let states = [Session::NoToken, Session::AwaitsHuman, live.clone(), Session::Expired("x".to_owned())];
        for state in states {
            let next = |event| state.clone().next(event);
            assert_eq!(next(SessionEvent::LoggedOut), Session::NoToken);
            assert_eq!(next(SessionEvent::LoggedIn(login("2026-11-20T08:30:00+05:30"))), live);
            let refused = next(SessionEvent::Refused("no".to_owned()));
            let turned = next(SessionEvent::DayTurned);
            if state.login().is_some() {
                assert_eq!(refused, Session::Expired("no".to_owned()));
                assert!(turned.login().is_none());
                assert_eq!(next(SessionEvent::Asked), state);
            } else {
                assert_eq!((refused, turned), (state.clone(), state.clone()));
                assert_eq!(next(SessionEvent::Asked), Session::AwaitsHuman);
            }
        }
    }

    #[test]
    fn what_people_paste() {
        let token = |given: &str| {
            request_token(given).map(|token| token.expose().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(token(" abc123 \n").as_deref(), Ok("abc123"));
        assert_eq!(token("http://127.0.0.1/?request_token=xyz&action=login&status=success").as_deref(), Ok("xyz"));
        assert!(token("http://127.0.0.1/?status=error&request_token=xyz").unwrap_err().contains("did not succeed"));
        assert!(token("").is_err() && token("a b").is_err() && token("http://x/?a=1").is_err());
    }

    #[test]
    fn a_login_is_kept_for_its_own_broker_and_app() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::new(&dir.path().join("kite.json"));
        let credentials = Credentials::simulated();
        assert_eq!(file.load("a", &credentials), None);
        let kept = login("2026-11-20T08:30:00+05:30");
        file.save("a", &credentials, &kept).unwrap();
        assert_eq!(file.load("a", &credentials), Some(kept));
        assert_eq!(file.load("b", &credentials), None);
        std::fs::write(dir.path().join("kite.json"), "{\"broker\":").unwrap();
        assert_eq!(file.load("a", &credentials), None, "a torn file is no login");
        file.remove().unwrap();
        file.remove().unwrap();
    }
}
