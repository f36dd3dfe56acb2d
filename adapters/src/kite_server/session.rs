//! Who may talk to the server: request tokens, access tokens, their ends.
//!
//! - A request token is good once and for some minutes; a checksum proves the secret.
//! - A new exchange ends the access token before it; 06:00 of the next day, a logout or a fault end it, too.
//! - Tokens follow from the secret, the counter and the clock: a server that starts again knows those it gave out.

use super::refusal::{Answer, Refusal};
use crate::kite_wire::sign::{checksum, same};
use crate::kite_wire::stamp;
use daybook_vocabulary::Nanos;

const SECOND: i64 = 1_000_000_000;
/// Access tokens end at six in the morning.
const ENDS_AT: i64 = 6 * 3600;
/// Request tokens that are remembered.
const REQUESTS_MAX: usize = 64;

/// The sessions of the one user.
#[derive(Clone, Debug)]
pub struct Sessions {
    key: String,
    secret: String,
    /// Nanoseconds of virtual time a request token is good for.
    request_life: i64,
    counter: u64,
    requests: Vec<(String, Nanos)>,
    access: Option<Access>,
}

/// An access token that was given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The token.
    pub token: String,
    /// When it was given out.
    pub since: Nanos,
    /// First moment at which it is not good any more.
    pub until: Nanos,
}

impl Sessions {
    /// For one application; a request token is good for so long.
    pub fn new(key: &str, secret: &str, request_life: i64) -> Self {
        let (key, secret) = (key.to_owned(), secret.to_owned());
        Self { key, secret, request_life, counter: 0, requests: Vec::new(), access: None }
    }

    /// Lets request tokens live at least so long: as long as they did when the book was begun.
    pub fn outlive(&mut self, request_life: i64) {
        self.request_life = self.request_life.max(request_life);
    }

    /// The application's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What signs postbacks.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The login page was opened: a request token.
    pub fn login(&mut self, key: &str, now: Nanos) -> Answer<String> {
        if key != self.key {
            return Err(Refusal::input("Invalid `api_key`."));
        }
        let token = self.mint("request", now);
        if self.requests.len() == REQUESTS_MAX {
            self.requests.remove(0);
        }
        self.requests.push((token.clone(), now));
        Ok(token)
    }

    /// Exchanges a request token for an access token.
    pub fn exchange(&mut self, key: &str, request: &str, sum: &str, now: Nanos) -> Answer<Access> {
        if key != self.key {
            return Err(Refusal::token("Invalid `api_key`."));
        }
        if !same(sum, &checksum(&[&self.key, request, &self.secret])) {
            return Err(Refusal::token("Invalid `checksum`."));
        }
        let Some(at) = self.requests.iter().position(|(token, _)| token == request) else {
            return Err(Refusal::token("Token is invalid or has expired."));
        };
        let (_, since) = self.requests.remove(at);
        if now - since > self.request_life {
            return Err(Refusal::token("Token is invalid or has expired."));
        }
        let today = stamp::at(stamp::date_of(now), ENDS_AT);
        let until = if now < today { today } else { stamp::at(stamp::date_of(now).next(), ENDS_AT) };
        let access = Access { token: self.mint("access", now), since: now, until };
        self.access = Some(access.clone());
        Ok(access)
    }

    /// Ends a session; `false` for a token that is not the present one.
    pub fn logout(&mut self, key: &str, token: &str) -> Answer<bool> {
        match &self.access {
            Some(access) if key == self.key && same(&access.token, token) => {
                self.access = None;
                Ok(true)
            }
            _ => Err(wrong_token()),
        }
    }

    /// Ends whatever session there is.
    pub fn kill(&mut self) {
        self.access = None;
    }

    /// When the present session began.
    pub fn since(&self) -> Option<Nanos> {
        self.access.as_ref().map(|access| access.since)
    }

    /// Is this the present session?
    pub fn check(&self, key: &str, token: &str, now: Nanos) -> Answer<()> {
        match &self.access {
            Some(access) if key == self.key && same(&access.token, token) && now < access.until => Ok(()),
            _ => Err(wrong_token()),
        }
    }

    /// Is this the header of the present session?
    pub fn check_header(&self, header: Option<&str>, now: Nanos) -> Answer<()> {
        let (key, token) = header
            .and_then(|header| header.strip_prefix("token "))
            .and_then(|pair| pair.split_once(':'))
            .unwrap_or_default();
        self.check(key, token.trim(), now)
    }

    /// 32 letters and digits.
    fn mint(&mut self, purpose: &str, now: Nanos) -> String {
        self.counter += 1;
        let sum = checksum(&[purpose, &self.key, &self.secret, &self.counter.to_string(), &now.0.to_string()]);
        sum[..32].to_owned()
    }
}

/// The life of a request token: five minutes of the virtual clock, or one of the real one where that runs faster.
pub fn request_life(speed: i64) -> i64 {
    300_i64.max(speed.saturating_mul(60)).saturating_mul(SECOND)
}

fn wrong_token() -> Refusal {
    Refusal::token("Incorrect `api_key` or `access_token`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Nanos {
        stamp::parse_stamp(text).unwrap()
    }

    fn logged_in(now: Nanos) -> (Sessions, Access) {
        let mut sessions = Sessions::new("k", "s", request_life(1));
        let request = sessions.login("k", now).unwrap();
        let access = sessions.exchange("k", &request, &checksum(&["k", &request, "s"]), now).unwrap();
        (sessions, access)
    }

    /// RL-06: a token ends at six in the morning, with the next login, with a logout.
    #[test]
    fn a_session_lives_until_six_in_the_morning() {
        let (mut sessions, access) = logged_in(at("2025-06-10 09:00:00"));
        assert_eq!(access.token.len(), 32);
        let check = |sessions: &Sessions, text: &str| sessions.check("k", &access.token, at(text)).is_ok();
        assert!(check(&sessions, "2025-06-11 05:59:59"));
        assert!(!check(&sessions, "2025-06-11 06:00:00"));
        let header = format!("token k:{}", access.token);
        assert!(sessions.check_header(Some(&header), at("2025-06-10 10:00:00")).is_ok());
        for bad in [None, Some("token k:x"), Some("k"), Some("")] {
            assert_eq!(sessions.check_header(bad, at("2025-06-10 10:00:00")).unwrap_err().code, 403);
        }
        let request = sessions.login("k", access.since).unwrap();
        sessions.exchange("k", &request, &checksum(&["k", &request, "s"]), access.since).unwrap();
        assert!(!check(&sessions, "2025-06-10 10:00:00"), "the next login ends it");
        let (mut sessions, access) = logged_in(at("2025-06-10 05:00:00"));
        assert_eq!(access.until, at("2025-06-10 06:00:00"));
        assert_eq!(sessions.logout("k", &access.token), Ok(true));
        assert!(sessions.check("k", &access.token, access.since).is_err());
    }

    #[test]
    fn a_request_token_is_good_once_and_not_for_long() {
        let now = at("2025-06-10 09:00:00");
        let (mut sessions, _) = logged_in(now);
        assert_eq!(sessions.login("other", now).unwrap_err().kind.as_str(), "InputException");
        let request = sessions.login("k", now).unwrap();
        let sum = checksum(&["k", &request, "s"]);
        assert_eq!(sessions.exchange("k", &request, "00", now).unwrap_err().message, "Invalid `checksum`.");
        assert!(sessions.exchange("k", &request, &sum, now).is_ok());
        assert!(sessions.exchange("k", &request, &sum, now).is_err());
        let request = sessions.login("k", now).unwrap();
        let late = now + (request_life(1) + 1);
        assert!(sessions.exchange("k", &request, &checksum(&["k", &request, "s"]), late).is_err());
    }
}
