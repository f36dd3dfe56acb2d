//! What can go wrong between us and the broker, each with what to do about it.
//!
//! - A message names the call and what the broker said; it never holds a secret, nor a header.
//! - An error of a call that changes something never says that nothing happened: that is an
//!   [`Outcome`](super::orders::Outcome), not an error.

use super::http::TransportError;
use super::values::shortened;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::path::PathBuf;

/// Why a call did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum KiteError {
    /// The broker's address cannot be used.
    #[error("--broker-url {url}: {reason}")]
    Address {
        /// As it was given.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// Nothing listens there.
    #[error("nothing answers at {url} ({source}): start the server, or correct --broker-url")]
    NobodyThere {
        /// The address.
        url: String,
        /// What the last try said.
        source: TransportError,
    },
    /// No answer came, however often it was asked.
    #[error("{call}: {source} (asked {tries} times); the same command goes on where it stopped")]
    Transport {
        /// The call.
        call: String,
        /// What happened at the last try.
        source: TransportError,
        /// Tries.
        tries: u32,
    },
    /// The broker refused.
    #[error("{call}: the broker refused ({refused})")]
    Refused {
        /// The call.
        call: String,
        /// What it said.
        refused: Refused,
    },
    /// The session is over: only a person can begin another one.
    #[error(
        "{call}: the session with the broker is over ({message}); log in again: daybook fetch --force-refresh-token"
    )]
    SessionOver {
        /// The call.
        call: String,
        /// What the broker said, or why we knew before asking.
        message: String,
    },
    /// There is no session yet.
    #[error("not logged in: open {login_url} , log in, and give the address you are sent to (or its request_token)")]
    AwaitsHuman {
        /// The login page.
        login_url: String,
    },
    /// The login page sent back something else.
    #[error("the login did not succeed: {reason}; begin again at the login page")]
    Login {
        /// Why.
        reason: String,
    },
    /// The broker does not take the application, or what the login page gave.
    #[error(
        "the broker refused the login ({refused}): correct KITE_API_KEY and KITE_API_SECRET in the environment or in \
         .env, or log in again: a request_token is good once, for some minutes"
    )]
    LoginRefused {
        /// What it said.
        refused: Refused,
    },
    /// A login of another person than the one that is expected.
    #[error(
        "the login is of user {found}, and KITE_USER_ID says {expected}: log in as {expected}, or correct the variable"
    )]
    WrongUser {
        /// Who logged in.
        found: String,
        /// Who was to.
        expected: String,
    },
    /// An answer that is not what it says it is.
    #[error("{call}: the answer cannot be read: {reason}")]
    Unreadable {
        /// The call.
        call: String,
        /// Why.
        reason: String,
    },
    /// The feed cannot stream what is wanted.
    #[error("{reason}: name fewer symbols")]
    Feed {
        /// Why.
        reason: String,
    },
    /// The day's orders are used up.
    #[error("the day's orders are used up (the broker takes 5,000); nothing more can be sent today")]
    DayIsFull,
    /// A file of ours.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A symbol the broker does not list.
    #[error("the broker lists no {exchange}:{symbol} today{nearest}")]
    UnknownSymbol {
        /// The exchange.
        exchange: String,
        /// The symbol.
        symbol: String,
        /// Something like `; the nearest are A, B`, or nothing.
        nearest: String,
    },
}

/// What a refusal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP code.
    pub code: u16,
    /// Its type.
    pub kind: ErrorKind,
    /// The broker's words, scrubbed.
    pub message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HTTP {} {}: {}", self.code, self.kind, shortened(&self.message, 300))
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal),* $(,)?) => {
        /// What kind of refusal it is: the broker's `error_type`.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum ErrorKind {
            $($(#[$doc])* $name,)*
            /// One this version does not know, as it was.
            Other(String),
        }

        impl ErrorKind {
            /// The word on the wire.
            pub fn text(&self) -> &str {
                match self { $(Self::$name => $text,)* Self::Other(text) => text }
            }
        }

        impl From<&str> for ErrorKind {
            fn from(text: &str) -> Self {
                match text { $($text => Self::$name,)* other => Self::Other(shortened(other, 64)) }
            }
        }
    };
}
kinds! {
    /// The token is missing, wrong, expired, or another login killed it.
    Token "TokenException",
    /// App or account may not do this.
    Permission "PermissionException",
    /// Something about the account.
    User "UserException",
    /// The second factor.
    TwoFactor "TwoFAException",
    /// A missing or wrong parameter: our fault.
    Input "InputException",
    /// The order was refused.
    Order "OrderException",
    /// Not enough money.
    Margin "MarginException",
    /// Not enough shares.
    Holding "HoldingException",
    /// The broker cannot reach its order system, or is asked too often.
    Network "NetworkException",
    /// The order system gave an unreadable answer.
    Data "DataException",
    /// Anything else.
    General "GeneralException",
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.text())
    }
}

impl<'de> Deserialize<'de> for ErrorKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}
