//! Faults on request: what real brokers do on bad days.
//!
//! - Counted, not drawn: the same requests meet the same faults. With a seed they are drawn from it, one in so many,
//!   and the same seed draws the same.
//! - A fault never changes what the server knows but where its line says so: a dead token, an order that was not let in.
//! - The table is the one place that knows their names; the help text and the error for a wrong name read it.

use super::board::Dice;
use daybook_vocabulary::Nanos;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// An order is carried out and the connection breaks before the answer.
    LostAnswer,
    /// The connection breaks before an order is looked at.
    LostRequest,
    /// An order is answered with 503, and nothing was done.
    Unreachable,
    /// An order is carried out and answered with 502.
    BadGateway,
    /// An order is refused with 403 and `PermissionException`, as one from a strange address is.
    RefusedAddress,
    /// For a while no new order is let in: each is refused as one from a strange address is.
    RefusedOrders,
    /// An order is not in the list of orders for a while after it was placed.
    HiddenOrders,
    /// What was read is not answered: the connection breaks.
    LostPage,
    /// An answer to what was read breaks off in its middle.
    CutAnswer,
    /// An order message, and its postback, comes twice.
    Duplicate,
    /// An order message, and its postback, comes after the next one, or two virtual seconds later.
    LateMessage,
    /// An order message, and its postback, never comes.
    LostMessage,
    /// Answers take longer.
    Delay,
    /// A WebSocket says nothing any more and stays open.
    SilentSocket,
    /// A WebSocket is closed.
    DroppedSocket,
    /// A request is answered with 429.
    TooMany,
    /// A session dies.
    TokenDeath,
}

/// What the number behind the name counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Every,
    Milliseconds,
    Seconds,
}

struct Line {
    name: &'static str,
    kind: FaultKind,
    unit: Unit,
    number: u64,
    about: &'static str,
}

const fn line(name: &'static str, kind: FaultKind, unit: Unit, number: u64, about: &'static str) -> Line {
    Line { name, kind, unit, number, about }
}

const TABLE: [Line; 17] = {
    use FaultKind as K;
    use Unit::{Every, Milliseconds, Seconds};
    [
        line(
            "lost-answer",
            K::LostAnswer,
            Every,
            3,
            "an order is carried out, the connection breaks before the answer",
        ),
        line("lost-request", K::LostRequest, Every, 3, "the connection breaks before an order is looked at"),
        line("unreachable", K::Unreachable, Every, 3, "an order is answered with 503 and was not carried out"),
        line("bad-gateway", K::BadGateway, Every, 3, "an order is carried out and answered with 502"),
        line("refused-address", K::RefusedAddress, Every, 1, "an order is refused with 403 PermissionException"),
        line(
            "refused-orders",
            K::RefusedOrders,
            Seconds,
            300,
            "every fifth new order begins a time in which each is refused with 403; changes and cancels are taken",
        ),
        line(
            "hidden-orders",
            K::HiddenOrders,
            Seconds,
            10,
            "an order is not among the rows of GET /orders for so long after it was placed",
        ),
        line("lost-page", K::LostPage, Every, 3, "a request that reads is not answered: the connection breaks"),
        line("cut-answer", K::CutAnswer, Every, 3, "the answer to a request that reads breaks off in its middle"),
        line("duplicate", K::Duplicate, Every, 1, "an order message and its postback come twice"),
        line("late-message", K::LateMessage, Every, 2, "they come after the next one, or two virtual seconds later"),
        line("lost-message", K::LostMessage, Every, 2, "they never come"),
        line("delay", K::Delay, Milliseconds, 2_000, "answers take so much longer, in real time"),
        line(
            "silent-socket",
            K::SilentSocket,
            Seconds,
            60,
            "a WebSocket of that age says nothing more, and stays open",
        ),
        line("dropped-socket", K::DroppedSocket, Seconds, 60, "a WebSocket of that age is closed"),
        line("429", K::TooMany, Every, 5, "a request is answered with 429"),
        line("token-death", K::TokenDeath, Seconds, 60, "a session of that age dies"),
    ]
};

/// A fault, as it is asked for: a name, a number behind a colon where another one is wanted, and behind a second colon
/// how often it happens at most.
///
/// ```
/// use daybook_adapters::kite_server::{Fault, FaultKind};
/// assert_eq!("lost-answer:5".parse(), Ok(Fault { kind: FaultKind::LostAnswer, number: 5, times: u64::MAX }));
/// assert_eq!("token-death:3600:1".parse(), Ok(Fault { kind: FaultKind::TokenDeath, number: 3600, times: 1 }));
/// assert!("rain".parse::<Fault>().unwrap_err().contains("silent-socket"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which of them, after how many virtual seconds, or by how many milliseconds.
    pub number: u64,
    /// How often at most.
    pub times: u64,
}

impl Fault {
    /// Each fault there is, as strong as it is without a number.
    pub fn every() -> Vec<Self> {
        TABLE.iter().map(|line| Self { kind: line.kind, number: line.number, times: u64::MAX }).collect()
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        TABLE.iter().find(|line| line.kind == self.kind).map_or("", |line| line.name)
    }

    /// Every fault with its number and what it does, one a line, for a help text.
    pub fn help() -> String {
        let mut text = String::from("What goes wrong: NAME[:NUMBER[:TIMES]], where TIMES is how often at most.\n");
        for line in &TABLE {
            let unit = match line.unit {
                Unit::Every => "EVERY",
                Unit::Milliseconds => "MILLISECONDS",
                Unit::Seconds => "SECONDS",
            };
            // Writing to a string does not fail.
            let _ = write!(text, "\n  {}[:{unit}] ({}) {}", line.name, line.number, line.about);
        }
        text
    }
}

impl FromStr for Fault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split([':', '=']);
        let name = parts.next().unwrap_or_default();
        let Some(line) = TABLE.iter().find(|line| line.name == name) else {
            let names: Vec<&str> = TABLE.iter().map(|line| line.name).collect();
            return Err(format!("'{name}' is not a fault; there are {}", names.join(", ")));
        };
        let mut number = |default: u64| match parts.next().map(str::parse::<u64>) {
            None => Ok(default),
            Some(Ok(number)) if (1..=1_000_000_000).contains(&number) => Ok(number),
            Some(_) => Err(format!("'{text}': behind the name of a fault stand whole numbers from 1 on")),
        };
        let fault = Self { kind: line.kind, number: number(line.number)?, times: number(u64::MAX)? };
        if parts.next().is_some() {
            return Err(format!("'{text}': a fault is NAME[:NUMBER[:TIMES]]"));
        }
        Ok(fault)
    }
}

#[derive(Clone, Debug)]
struct Counted {
    fault: Fault,
    /// How many there were of what it strikes.
    met: u64,
    /// How often it struck.
    struck: u64,
}

impl Counted {
    fn strike(&mut self, due: bool) -> bool {
        let strikes = due && self.struck < self.fault.times;
        self.struck += u64::from(strikes);
        strikes
    }
}

/// The faults of a server, and how far each has counted.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    wanted: Vec<Counted>,
    seed: Option<u64>,
    /// Until when new orders are refused.
    refuses_until: Option<Nanos>,
    /// Orders that are not listed, and until when.
    hidden: BTreeMap<String, Nanos>,
}

/// So many new orders are let in before a time in which none is: something is to be held by then.
const LET_IN: u64 = 4;

const SECOND: i64 = 1_000_000_000;

impl Faults {
    /// These faults; drawn from the seed where there is one.
    pub fn new(wanted: Vec<Fault>, seed: Option<u64>) -> Self {
        let counted = |fault| Counted { fault, met: 0, struck: 0 };
        Self { wanted: wanted.into_iter().map(counted).collect(), seed, ..Self::default() }
    }

    /// Does this one of its kind go wrong? Every call counts one.
    pub fn strikes(&mut self, kind: FaultKind) -> bool {
        let seed = self.seed;
        let mut any = false;
        for (place, one) in (0_u64..).zip(&mut self.wanted).filter(|(_, one)| one.fault.kind == kind) {
            one.met += 1;
            let due = match seed {
                None => one.met.is_multiple_of(one.fault.number),
                Some(seed) => {
                    Dice::new(seed, Nanos(one.met.cast_signed())).sequence(place).below(one.fault.number) == 0
                }
            };
            any |= one.strike(due);
        }
        any
    }

    /// Milliseconds that this answer waits.
    pub fn delay(&mut self) -> u64 {
        let delays = self.wanted.iter_mut().filter(|one| one.fault.kind == FaultKind::Delay);
        delays.map(|one| if one.strike(true) { one.fault.number } else { 0 }).max().unwrap_or(0)
    }

    /// When a socket that opens now meets its fate; `None` where it meets none.
    pub fn fate(&mut self, kind: FaultKind, now: Nanos) -> Option<Nanos> {
        let fates = self.wanted.iter_mut().filter(|one| one.fault.kind == kind);
        fates.filter_map(|one| one.strike(true).then(|| now + nanos(one.fault.number))).min()
    }

    /// Is a new order refused now? Every call counts one that comes while none is.
    pub fn refuses_orders(&mut self, now: Nanos) -> bool {
        if self.refuses_until.is_some_and(|until| now < until) {
            return true;
        }
        let refusing = self.wanted.iter_mut().filter(|one| one.fault.kind == FaultKind::RefusedOrders);
        self.refuses_until = refusing
            .filter_map(|one| {
                one.met += 1;
                one.strike(one.met.is_multiple_of(LET_IN + 1)).then(|| now + nanos(one.fault.number))
            })
            .max();
        self.refuses_until.is_some()
    }

    /// An order was placed: it may be hidden for a while.
    pub fn placed(&mut self, order: &str, now: Nanos) {
        if let Some(until) = self.fate(FaultKind::HiddenOrders, now) {
            self.hidden.insert(order.to_owned(), until);
        }
    }

    /// Is the order not listed now?
    pub fn is_hidden(&self, order: &str, now: Nanos) -> bool {
        self.hidden.get(order).is_some_and(|until| now < *until)
    }

    /// Does the session that began then die now?
    pub fn token_dies(&mut self, since: Nanos, now: Nanos) -> bool {
        let deaths = self.wanted.iter_mut().filter(|one| one.fault.kind == FaultKind::TokenDeath);
        // Every one of them is asked, or the first would hide that others had their turn.
        deaths.map(|one| one.strike(now - since >= nanos(one.fault.number))).fold(false, |any, one| any | one)
    }
}

fn nanos(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use FaultKind as K;

    fn faults(texts: &[&str], seed: Option<u64>) -> Faults {
        Faults::new(texts.iter().map(|text| text.parse().unwrap()).collect(), seed)
    }

    #[test]
    fn faults_are_counted() {
        let mut counted = faults(&["lost-answer:2", "429:3:1", "delay:7:2"], None);
        let lost: Vec<bool> = (0..4).map(|_| counted.strikes(K::LostAnswer)).collect();
        assert_eq!(lost, [false, true, false, true]);
        assert_eq!((0..60).filter(|_| counted.strikes(K::TooMany)).count(), 1, "once at most");
        assert!(!counted.strikes(K::Duplicate));
        assert_eq!([counted.delay(), counted.delay(), counted.delay()], [7, 7, 0]);
        for bad in ["delay:0", "delay:x", "delay:-1", "delay:1:0", "delay:1:2:3", "", "rain"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sockets_and_sessions_meet_their_fate_at_an_age() {
        let mut aged = faults(&["silent-socket:5:1", "token-death:60:1"], None);
        assert_eq!(aged.fate(K::SilentSocket, Nanos(SECOND)), Some(Nanos(6 * SECOND)));
        assert_eq!(aged.fate(K::SilentSocket, Nanos(SECOND)), None, "the second socket goes on");
        assert_eq!(aged.fate(K::DroppedSocket, Nanos(SECOND)), None);
        let at = |seconds: i64| Nanos(seconds * SECOND);
        assert!(!aged.token_dies(at(0), at(59)) && aged.token_dies(at(0), at(60)));
        assert!(!aged.token_dies(at(100), at(500)), "the next session lives");
    }

    #[test]
    fn new_orders_are_refused_and_hidden_for_a_while() {
        let mut strict = faults(&["refused-orders:60:1"], None);
        let at = |seconds: i64| Nanos(seconds * SECOND);
        let refused: Vec<bool> =
            [0, 1, 2, 3, 4, 5, 63, 64, 65, 66, 67, 68].map(|second| strict.refuses_orders(at(second))).into();
        let during = [false, false, false, false, true, true, true, false, false, false, false, false];
        assert_eq!(refused, during, "from the fifth on for a minute, once");
        let mut hiding = faults(&["hidden-orders:20:1"], None);
        hiding.placed("1", at(5));
        hiding.placed("2", at(6));
        assert!(hiding.is_hidden("1", at(24)) && !hiding.is_hidden("1", at(25)));
        assert!(!hiding.is_hidden("2", at(6)), "one at most");
        assert!(!faults(&[], None).refuses_orders(at(0)));
    }

    #[test]
    fn a_seed_draws_the_same_again() {
        let drawn = |seed| {
            let mut faults = faults(&["lost-answer:4"], Some(seed));
            (0..400).map(|_| faults.strikes(K::LostAnswer)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        let struck = drawn(7).into_iter().filter(|struck| *struck).count();
        assert!((60..150).contains(&struck), "about one in four: {struck} of 400");
    }

    #[test]
    fn every_fault_has_a_line_and_reads_back() {
        let help = Fault::help();
        for line in &TABLE {
            assert_eq!(
                line.name.parse::<Fault>().map(|fault| (fault.kind, fault.number)),
                Ok((line.kind, line.number))
            );
            assert!(help.contains(line.name) && help.contains(line.about));
        }
    }
}
