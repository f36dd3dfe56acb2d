//! What changes the world, as it is kept in the server's book.
//!
//! - The book holds what was done and when; played again at the same moments it makes the same world.
//! - Only what worked is kept: a refusal changes nothing.
//! - The texts of the book are JSON; a book of another market or another beginning is refused.

use super::form::Fields;
use super::gtt::Wanted;
use super::place::USER;
use super::refusal::{Answer, Refusal, success};
use super::world::{Setup, World};
use crate::kite_wire::portfolio::{DematMeta, SessionRow};
use crate::kite_wire::stamp::stamp;
use daybook_vocabulary::{Date, Money, Nanos};
use serde::{Deserialize, Serialize};

/// Something that changes the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the requests")]
pub enum Command {
    /// The login page was opened.
    Login { key: String },
    /// A request token was exchanged.
    Exchange { key: String, request: String, checksum: String },
    /// A session was ended.
    Logout { key: String, token: String },
    /// A session died, as it was asked for.
    Kill,
    /// An order was placed.
    Place { variety: String, fields: Fields },
    /// An order was modified.
    Modify { variety: String, id: String, fields: Fields },
    /// An order was cancelled.
    Cancel { variety: String, id: String },
    /// A position was converted.
    Convert { fields: Fields },
    /// A trigger was made.
    CreateGtt { fields: Fields },
    /// A trigger was replaced.
    ModifyGtt { id: u64, fields: Fields },
    /// A trigger was withdrawn.
    DeleteGtt { id: u64 },
}

/// An entry of the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they say what they are")]
pub enum Entry {
    /// The first one: what the world began with.
    Opened {
        market: String,
        date: Date,
        start: Nanos,
        cash: Money,
        freeze: i64,
        #[serde(default)]
        fill_max: Option<i64>,
        request_life: i64,
    },
    /// Something was done.
    Did(Command),
    /// So far time had come.
    Reached,
}

impl Entry {
    /// The first entry of a world's book.
    pub fn opened(market: String, setup: &Setup) -> Self {
        Self::Opened {
            market,
            date: setup.date,
            start: setup.start,
            cash: setup.cash,
            freeze: setup.freeze,
            fill_max: setup.fill_max,
            request_life: setup.request_life,
        }
    }
}

/// Where the server keeps its book. What was appended survives the end of the process.
pub trait BookStore: Send {
    /// Everything that was appended, oldest first, each with its moment.
    fn entries(&mut self) -> Result<Vec<(Nanos, String)>, String>;
    /// Appends an entry.
    fn append(&mut self, time: Nanos, entry: &str) -> Result<(), String>;
    /// Makes what was appended survive the end of the machine.
    fn sync(&mut self) -> Result<(), String>;
}

/// A book that is forgotten with the process.
#[derive(Debug, Default)]
pub struct NoBook;

impl BookStore for NoBook {
    fn entries(&mut self) -> Result<Vec<(Nanos, String)>, String> {
        Ok(Vec::new())
    }
    fn append(&mut self, _: Nanos, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn sync(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Plays a book; hands back whether there was one. An empty book is begun.
pub fn play(world: &mut World, store: &mut dyn BookStore) -> Result<bool, String> {
    let entries = store.entries()?;
    let first = Entry::opened(world.market().fingerprint(), world.setup());
    let Some((_, text)) = entries.first() else {
        let text = serde_json::to_string(&first).map_err(|error| error.to_string())?;
        store.append(world.now(), &text)?;
        world.play_to(world.setup().start);
        return Ok(false);
    };
    let found: Entry = read(text)?;
    // The life of a request token follows the speed, which may differ from one start to the next.
    let same = match (&found, &first) {
        (
            Entry::Opened { market, date, start, cash, freeze, fill_max, .. },
            Entry::Opened {
                market: wanted, date: day, start: begin, cash: money, freeze: most, fill_max: fills, ..
            },
        ) => (market, date, start, cash, freeze, fill_max) == (wanted, day, begin, money, most, fills),
        _ => false,
    };
    if !same {
        return Err(format!(
            "the book is of another market or another beginning: it says {text}; \
             give --book another directory, or --fresh to begin this one anew"
        ));
    }
    if let Entry::Opened { request_life, .. } = found {
        world.sessions.outlive(request_life);
    }
    world.play_to(world.setup().start);
    for (time, text) in &entries[1..] {
        world.play_to(*time);
        match read(text)? {
            Entry::Did(command) => {
                if let Err(refusal) = world.apply(&command) {
                    return Err(format!(
                        "the book cannot be played: at {} '{text}' is refused now ({}); --fresh begins anew",
                        stamp(*time),
                        refusal.message
                    ));
                }
            }
            Entry::Reached => {}
            Entry::Opened { .. } => return Err("the book has two beginnings; --fresh begins it anew".to_owned()),
        }
        world.out = super::world::Outbox::default();
    }
    Ok(true)
}

fn read(text: &str) -> Result<Entry, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("an entry of the book cannot be read ({error}): '{text}'; give --book another directory, or --fresh")
    })
}

impl World {
    /// Does what was asked for; the body of the answer. Of a login: the request token.
    pub fn apply(&mut self, command: &Command) -> Answer<String> {
        let now = self.now;
        match command {
            Command::Login { key } => self.sessions.login(key, now),
            Command::Exchange { key, request, checksum } => self.exchange(key, request, checksum),
            Command::Logout { key, token } => success(&self.sessions.logout(key, token)?),
            Command::Kill => {
                self.sessions.kill();
                Ok(String::new())
            }
            Command::Place { variety, fields } => success(&self.place(variety, fields)?),
            Command::Modify { variety, id, fields } => success(&self.modify(variety, id, fields)?),
            Command::Cancel { variety, id } => success(&self.cancel(variety, id)?),
            Command::Convert { fields } => success(&self.convert(fields)?),
            Command::CreateGtt { fields } => {
                let (wanted, last) = self.wanted_gtt(fields)?;
                trigger_id(self.gtts.create(wanted, USER, last, now)?)
            }
            Command::ModifyGtt { id, fields } => {
                let (wanted, last) = self.wanted_gtt(fields)?;
                trigger_id(self.gtts.modify(*id, wanted, last, now)?)
            }
            Command::DeleteGtt { id } => trigger_id(self.gtts.delete(*id, now)?),
        }
    }

    fn wanted_gtt(&self, fields: &Fields) -> Answer<(Wanted, daybook_vocabulary::Price)> {
        let mut last = daybook_vocabulary::Price::ZERO;
        let wanted = Wanted::read(fields, |symbol| {
            let place = self.place_of(symbol)?;
            let quote = self.board.quote(place);
            Some((place, self.market.listed()[place].clone(), quote.tick, quote.snapshot.last))
        })?;
        if let Some(place) = self.place_of(wanted.symbol()) {
            last = self.board.quote(place).snapshot.last;
        }
        Ok((wanted, last))
    }

    fn exchange(&mut self, key: &str, request: &str, checksum: &str) -> Answer<String> {
        let access = self.sessions.exchange(key, request, checksum, self.now)?;
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        success(&SessionRow {
            user_id: USER.to_owned(),
            user_name: "Simulated User".to_owned(),
            user_shortname: "Simulated".to_owned(),
            email: "user@example.com".to_owned(),
            user_type: "individual".to_owned(),
            broker: "ZERODHA".to_owned(),
            exchanges: words(&["NSE"]),
            products: words(&["CNC", "MIS", "MTF"]),
            order_types: words(&["MARKET", "LIMIT", "SL", "SL-M"]),
            avatar_url: None,
            api_key: key.to_owned(),
            public_token: access.token.chars().rev().collect(),
            access_token: access.token,
            enctoken: String::new(),
            refresh_token: String::new(),
            silo: String::new(),
            login_time: stamp(access.since),
            meta: DematMeta { demat_consent: "consent".to_owned() },
        })
    }
}

fn trigger_id(id: u64) -> Answer<String> {
    #[derive(Serialize)]
    struct Row {
        trigger_id: u64,
    }
    success(&Row { trigger_id: id })
}

/// A path's number of a trigger.
pub fn trigger_of(text: &str) -> Answer<u64> {
    text.parse().map_err(|_| Refusal::input("Invalid `trigger_id`."))
}
