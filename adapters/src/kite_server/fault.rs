//! Faults on request: what real brokers do on bad days.
//!
//! - Counted, not drawn: the same requests meet the same faults.
//! - A fault never changes what the server knows, only what its clients hear; a dead token is the one exception.

use daybook_vocabulary::Nanos;
use std::str::FromStr;

/// A fault, as it is asked for: a name, and a number behind a colon where another one is wanted.
///
/// ```
/// use daybook_adapters::kite_server::Fault;
/// assert_eq!("lost-answer:5".parse(), Ok(Fault::LostAnswer { every: 5 }));
/// assert_eq!("429".parse(), Ok(Fault::TooMany { every: 5 }));
/// assert!("rain".parse::<Fault>().unwrap_err().contains("silent-socket"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every so many orders placed, modified or cancelled are carried out, and the connection breaks before the answer.
    LostAnswer {
        /// Which of them.
        every: u64,
    },
    /// Every so many order messages and postbacks come twice.
    Duplicate {
        /// Which of them.
        every: u64,
    },
    /// Answers take so many milliseconds longer.
    Delay {
        /// Milliseconds of the real clock.
        milliseconds: u64,
    },
    /// A WebSocket says nothing any more, so many virtual seconds after it was opened, and stays open.
    SilentSocket {
        /// Virtual seconds.
        after: u64,
    },
    /// Every so many requests are answered with 429.
    TooMany {
        /// Which of them.
        every: u64,
    },
    /// A session dies so many virtual seconds after its login.
    TokenDeath {
        /// Virtual seconds.
        after: u64,
    },
}

impl FromStr for Fault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once([':', '=']) {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let number = match number.map(str::parse::<u64>) {
            None => None,
            Some(Ok(number)) if (1..=1_000_000_000).contains(&number) => Some(number),
            Some(_) => return Err(format!("'{text}': behind the name of a fault stands a whole number from 1 on")),
        };
        Ok(match name {
            "lost-answer" => Self::LostAnswer { every: number.unwrap_or(3) },
            "duplicate" => Self::Duplicate { every: number.unwrap_or(1) },
            "delay" => Self::Delay { milliseconds: number.unwrap_or(2_000) },
            "silent-socket" => Self::SilentSocket { after: number.unwrap_or(60) },
            "429" => Self::TooMany { every: number.unwrap_or(5) },
            "token-death" => Self::TokenDeath { after: number.unwrap_or(60) },
            _ => {
                return Err(format!(
                    "'{name}' is not a fault; there are lost-answer[:EVERY], duplicate[:EVERY], delay[:MILLISECONDS], \
                     silent-socket[:SECONDS], 429[:EVERY] and token-death[:SECONDS]"
                ));
            }
        })
    }
}

/// The faults of a server, and how far each has counted.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    wanted: Vec<Fault>,
    orders: u64,
    messages: u64,
    requests: u64,
}

const SECOND: i64 = 1_000_000_000;

impl Faults {
    /// These faults.
    pub fn new(wanted: Vec<Fault>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Is the answer to this order lost?
    pub fn loses_answer(&mut self) -> bool {
        self.orders += 1;
        let count = self.orders;
        self.any(|fault| matches!(fault, Fault::LostAnswer { every } if count.is_multiple_of(*every)))
    }

    /// Does this message come twice?
    pub fn duplicates(&mut self) -> bool {
        self.messages += 1;
        let count = self.messages;
        self.any(|fault| matches!(fault, Fault::Duplicate { every } if count.is_multiple_of(*every)))
    }

    /// Is this request answered with 429?
    pub fn too_many(&mut self) -> bool {
        self.requests += 1;
        let count = self.requests;
        self.any(|fault| matches!(fault, Fault::TooMany { every } if count.is_multiple_of(*every)))
    }

    /// Milliseconds that answers wait.
    pub fn delay(&self) -> u64 {
        let delays = self.wanted.iter().map(|fault| match fault {
            Fault::Delay { milliseconds } => *milliseconds,
            _ => 0,
        });
        delays.max().unwrap_or(0)
    }

    /// Is a socket of this age silent?
    pub fn is_silent(&self, opened: Nanos, now: Nanos) -> bool {
        self.any(|fault| matches!(fault, Fault::SilentSocket { after } if older(opened, now, *after)))
    }

    /// Is a session of this age dead?
    pub fn token_dies(&self, since: Nanos, now: Nanos) -> bool {
        self.any(|fault| matches!(fault, Fault::TokenDeath { after } if older(since, now, *after)))
    }

    fn any(&self, is: impl Fn(&Fault) -> bool) -> bool {
        self.wanted.iter().any(is)
    }
}

fn older(since: Nanos, now: Nanos, seconds: u64) -> bool {
    now - since >= i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted() {
        let mut faults = Faults::new(vec!["lost-answer:2".parse().unwrap(), "429:3".parse().unwrap()]);
        let lost: Vec<bool> = (0..4).map(|_| faults.loses_answer()).collect();
        assert_eq!(lost, [false, true, false, true]);
        assert_eq!((0..6).filter(|_| faults.too_many()).count(), 2);
        assert!(!faults.duplicates() && faults.delay() == 0);
        let faults = Faults::new(vec!["silent-socket:5".parse().unwrap()]);
        assert!(!faults.is_silent(Nanos(0), Nanos(4 * SECOND)) && faults.is_silent(Nanos(0), Nanos(5 * SECOND)));
        for bad in ["delay:0", "delay:x", "delay:-1"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
