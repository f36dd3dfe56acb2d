//! The broker's list of instruments, and where today's is kept.
//!
//! - A row that cannot be read is counted and named; it costs no other row.
//! - Indices are listed and not tradable; a derivative's contract is found by underlying and date.
//! - Old symbols lead to new ones by dated aliases: an alias holds from its date on.
//! - The list is of one day. The copy on disk carries its date in its name; another day's is not used.

use super::ticks::{Segment, Token};
use super::values::{BadRow, shortened};
use daybook_vocabulary::{Date, Price, Quantity, decimal};
use std::collections::BTreeMap;

/// Rows that could not be read, as many as are named.
const BAD_ROWS_MAX: usize = 100;

/// An instrument of the broker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub token: Token,
    /// The exchange, such as `NSE`.
    pub exchange: String,
    /// The symbol, such as `RELIANCE`.
    pub symbol: String,
    /// Company or underlying.
    pub name: String,
    /// Last day of a derivative.
    pub expiry: Option<Date>,
    /// Strike of an option, else zero.
    pub strike: Price,
    /// Smallest price step; zero for an index.
    pub tick: Price,
    /// Smallest quantity.
    pub lot: Quantity,
    /// `EQ`, `FUT`, `CE`, `PE`.
    pub kind: String,
    /// Such as `NSE`, `NFO-FUT`, `INDICES`.
    pub segment: String,
}

impl Listed {
    /// False for an index.
    pub fn is_tradable(&self) -> bool {
        self.segment != "INDICES" && self.token.segment() != Segment::Indices && self.lot > Quantity::ZERO
    }
}

/// A symbol that has another name from a date on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// First date of the new name.
    pub from: Date,
    /// The old name.
    pub old: String,
    /// The new one.
    pub new: String,
}

/// A day's list.
#[derive(Debug, Clone, Default)]
pub struct Instruments {
    listed: Vec<Listed>,
    by_symbol: BTreeMap<(String, String), usize>,
    by_token: BTreeMap<Token, usize>,
    bad: Vec<BadRow>,
    bad_count: u64,
}

const COLUMNS: [&str; 11] = [
    "instrument_token",
    "tradingsymbol",
    "name",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
    "exchange_token",
];

impl Instruments {
    /// Reads the broker's CSV. Fails only where it is no such list at all.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let header = cells(lines.next().unwrap_or_default());
        let mut places = [0; COLUMNS.len()];
        for (place, wanted) in places.iter_mut().zip(COLUMNS) {
            let found = header.iter().position(|name| name == wanted);
            *place = found.ok_or_else(|| format!("the list of instruments has no column {wanted}"))?;
        }
        let mut list = Self::default();
        for (line, text) in (2u64..).zip(lines).filter(|(_, text)| !text.trim().is_empty()) {
            let row = cells(text);
            let cell = |column: usize| row.get(places[column]).map(String::as_str);
            match listed(cell, row.len() == header.len()) {
                Ok(one) => list.add(one),
                Err(reason) => {
                    list.bad_count += 1;
                    if list.bad.len() < BAD_ROWS_MAX {
                        list.bad.push(BadRow { row: line, reason: reason.to_owned(), text: shortened(text, 200) });
                    }
                }
            }
        }
        if list.listed.is_empty() {
            return Err("the list of instruments holds none".to_owned());
        }
        Ok(list)
    }

    fn add(&mut self, one: Listed) {
        let at = self.listed.len();
        self.by_symbol.entry((one.exchange.clone(), one.symbol.clone())).or_insert(at);
        self.by_token.entry(one.token).or_insert(at);
        self.listed.push(one);
    }

    /// The instrument of a symbol.
    pub fn find(&self, exchange: &str, symbol: &str) -> Option<&Listed> {
        self.by_symbol.get(&(exchange.to_owned(), symbol.to_owned())).map(|&at| &self.listed[at])
    }

    /// The instrument of a symbol, or of what it is called on `date`: by its newer name once that holds, and by its older
    /// one before.
    pub fn find_by_any_name(&self, exchange: &str, symbol: &str, aliases: &[Alias], date: Date) -> Option<&Listed> {
        let mut name = symbol;
        // A name may change several times; more often than there are aliases is a circle.
        for _ in 0..=aliases.len() {
            if let Some(found) = self.find(exchange, name) {
                return Some(found);
            }
            let newer = aliases.iter().filter(|alias| alias.old == name && alias.from <= date);
            let older = aliases.iter().filter(|alias| alias.new == name && date < alias.from);
            let newer = newer.max_by_key(|alias| alias.from).map(|alias| alias.new.as_str());
            name = newer.or_else(|| older.min_by_key(|alias| alias.from).map(|alias| alias.old.as_str()))?;
        }
        None
    }

    /// The instrument of a number.
    pub fn of(&self, token: Token) -> Option<&Listed> {
        self.by_token.get(&token).map(|&at| &self.listed[at])
    }

    /// The contract of an underlying that is traded on `date`: of those of a kind (`FUT`) the one that ends next.
    pub fn current_contract(&self, exchange: &str, underlying: &str, kind: &str, date: Date) -> Option<&Listed> {
        let of_it = |one: &&Listed| one.exchange == exchange && one.name == underlying && one.kind == kind;
        let alive = self.listed.iter().filter(of_it).filter(|one| one.expiry.is_some_and(|expiry| date <= expiry));
        alive.min_by_key(|one| (one.expiry, one.symbol.clone()))
    }

    /// Every symbol of an exchange, in order.
    pub fn symbols(&self, exchange: &str) -> impl Iterator<Item = &str> {
        self.by_symbol.keys().filter(move |(of, _)| of == exchange).map(|(_, symbol)| symbol.as_str())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Rows that could not be read: how many, and the first of them.
    pub fn bad_rows(&self) -> (u64, &[BadRow]) {
        (self.bad_count, &self.bad)
    }
}

fn listed<'a>(cell: impl Fn(usize) -> Option<&'a str>, whole: bool) -> Result<Listed, &'static str> {
    if !whole {
        return Err("too few or too many cells");
    }
    let text = |column: usize| cell(column).unwrap_or_default();
    let number = |column: usize| match text(column) {
        "" => Ok(0),
        digits => decimal::parse_i64(digits).map_err(|_| "not a number"),
    };
    let symbol = text(1);
    if symbol.is_empty() || symbol.len() > 64 || symbol.chars().any(char::is_control) {
        return Err("not a symbol");
    }
    let expiry = match text(3) {
        "" => None,
        date => Some(date.parse().map_err(|_| "not a date")?),
    };
    let (tick, lot) = (number(5)?, number(6)?);
    if tick < 0 || lot < 0 {
        return Err("a tick or lot below zero");
    }
    Ok(Listed {
        token: Token(text(0).parse().map_err(|_| "not a token")?),
        exchange: text(9).to_owned(),
        symbol: symbol.to_owned(),
        name: text(2).to_owned(),
        expiry,
        strike: Price(number(4)?),
        tick: Price(tick),
        lot: Quantity(lot),
        kind: text(7).to_owned(),
        segment: text(8).to_owned(),
    })
}

/// The cells of a line; a quoted cell may hold commas, and quotes twice.
fn cells(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let (mut quoted, mut letters) = (false, line.trim_end_matches('\r').chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                out.last_mut().into_iter().for_each(|cell| cell.push('"'));
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            other => out.last_mut().into_iter().for_each(|cell| cell.push(other)),
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const LIST: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
738561,2885,RELIANCE,\"RELIANCE INDUSTRIES, LTD\",0,,0,0.1,1,EQ,NSE,NSE
2953217,11536,TCS,TATA CONSULTANCY,0,,0,0.1,1,EQ,NSE,NSE
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
1298945,5074,ETERNAL,ETERNAL,0,,0,0.05,1,EQ,NSE,NSE
12345602,48225,NIFTY26NOVFUT,NIFTY,0,2026-11-24,0,0.1,65,FUT,NFO-FUT,NFO
12345858,48226,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.1,65,FUT,NFO-FUT,NFO
x,1,BROKEN,,0,,0,0.05,1,EQ,NSE,NSE
1,1,SHORT
";

    #[test]
    fn a_list_is_read_and_its_bad_rows_are_named() {
        let list = Instruments::read(LIST).unwrap();
        let reliance = list.find("NSE", "RELIANCE").unwrap();
        assert_eq!((reliance.token, reliance.tick.to_string()), (Token(738_561), "0.1".to_owned()));
        assert_eq!(reliance.name, "RELIANCE INDUSTRIES, LTD");
        assert!(reliance.is_tradable());
        assert_eq!(
            list.of(Token(256_265)).map(|one| (one.symbol.as_str(), one.is_tradable())),
            Some(("NIFTY 50", false))
        );
        let (count, bad) = list.bad_rows();
        assert_eq!((count, bad[0].row, bad[0].reason.as_str(), bad[1].row), (2, 8, "not a token", 9));
        assert!(Instruments::read("a,b\n1,2\n").is_err() && Instruments::read("").is_err());
    }

    /// RL-07: derivatives resolve to the current contract and roll on expiry; the index is no instrument to trade.
    #[test]
    fn contracts_roll_and_aliases_are_dated() {
        let list = Instruments::read(LIST).unwrap();
        let on = |date: &str| {
            list.current_contract("NFO", "NIFTY", "FUT", date.parse().unwrap()).map(|one| one.symbol.as_str())
        };
        assert_eq!(
            [on("2026-11-24"), on("2026-11-25"), on("2027-01-01")],
            [Some("NIFTY26NOVFUT"), Some("NIFTY26DECFUT"), None]
        );
        let aliases =
            [Alias { from: "2025-03-20".parse().unwrap(), old: "ZOMATO".to_owned(), new: "ETERNAL".to_owned() }];
        let named = |date: &str| {
            list.find_by_any_name("NSE", "ZOMATO", &aliases, date.parse().unwrap()).map(|one| one.symbol.as_str())
        };
        assert_eq!([named("2025-03-19"), named("2025-03-20")], [None, Some("ETERNAL")]);
        // Before its date the new name leads to the old one.
        let reliance = [Alias { from: "2027-01-01".parse().unwrap(), old: "RELIANCE".into(), new: "RIL".into() }];
        let called = |date: &str| {
            list.find_by_any_name("NSE", "RIL", &reliance, date.parse().unwrap()).map(|one| one.symbol.as_str())
        };
        assert_eq!([called("2026-12-31"), called("2027-01-01")], [Some("RELIANCE"), None]);
        let circle = ["A", "B"].map(|old| Alias {
            from: Date(0),
            old: old.to_owned(),
            new: if old == "A" { "B" } else { "A" }.to_owned(),
        });
        assert!(list.find_by_any_name("NSE", "A", &circle, Date(1)).is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(body in "\\PC{0,200}") {
            let _ = Instruments::read(&body).is_ok();
            let _ = Instruments::read(&format!("{}\n{body}", LIST.lines().next().unwrap())).is_ok();
        }
    }
}
