//! The gates: what must be so before a session may trade, as one ordered list.
//!
//! - `trade` passes them one by one and stops at the first that blocks, in one line that says what to do; `--dry-run` and
//!   `preflight` go through all of them and print the list.
//! - Everything that can be known without the broker comes first: what is refused there is refused before any call.
//!   (A simulated broker of this machine is asked for its clock before the calendar is: that clock says which day it is.)
//! - A gate whose grounds are missing is not asked, and says which gate it waits for.
//! - Must never: send an order, write into a session, or let what one command checks differ from what another does.

use super::super::broker::Broker;
use super::before::Before;
use super::mode::{Mode, charges_at_a_broker, settings_of};
use super::{EXCHANGE, instrument, kill_switches};
use crate::cli::{Cli, Clock, Trade};
use crate::output;
use daybook_adapters::kite::BlockingKite;
use daybook_adapters::kite::http::Address;
use daybook_adapters::kite::instruments::Listed;
use daybook_adapters::kite::values::Product;
use daybook_config::calendar::{Day, Session};
use daybook_config::{Calendar, Reconcile, Settings};
use daybook_journal::SealKey;
use daybook_journal::storage::free_bytes;
use daybook_replay::live::{PaperSession, WarmUp};
use daybook_replay::winner::{Trust, require_winner};
use daybook_replay::{Plan, Recorded, Selection, learned, listed, scores, split};
use daybook_vocabulary::{Instrument, Price, Quantity, SessionMode};
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// A session's day wants so much room at least.
const ROOM_BYTES: u64 = 256 * 1024 * 1024;

/// What came of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is so.
    Ok,
    /// It does not stop the session, and wants to be known.
    Noted,
    /// It is not so.
    Blocked,
    /// What it looks at is missing: a gate before it blocked.
    NotAsked,
}

/// A gate, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// Its name.
    pub gate: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// What was found; where it blocks, what to do as well.
    pub says: String,
}

/// What the gates have found so far: everything a session needs to begin.
pub struct Ready {
    /// How it trades.
    pub mode: Mode,
    /// The session that this one goes on from.
    pub before: Option<Before>,
    /// Settings in force.
    pub settings: Option<Settings>,
    /// Strategy and parameters under them.
    pub plan: Option<Plan>,
    /// The market's calendar.
    pub calendar: Option<Calendar>,
    /// Who the broker is to us.
    pub broker: Option<Broker>,
    /// The wires.
    pub kite: Option<BlockingKite>,
    /// Today's session; none on a day without one.
    pub today: Option<Session>,
    /// What the broker lists of the symbols, in order of symbol.
    pub listed: Vec<Listed>,
    /// The key that seals the session.
    pub seal: Option<SealKey>,
    /// Nothing is traded today, or no more: why.
    pub idle: Option<String>,
    /// Only look: nobody is asked to log in.
    pub looks_only: bool,
    /// A session begins once every gate is open; else they are rehearsed.
    pub begins: bool,
}

/// What a gate found: a note is told and does not stop anything.
enum Found {
    Ok(String),
    Noted(String),
}

type Check = fn(&Cli, &Trade, &mut Ready) -> Result<Found, Box<dyn Error>>;

/// Name, gates it builds on, check. In the order in which they are asked.
const GATES: &[(&str, &[&str], Check)] = &[
    ("settings", &[], settings),
    ("strategy", &["settings"], strategy),
    ("session", &[], session),
    ("kill-switch", &[], kill_switch),
    ("winner", &["strategy"], winner),
    ("arm", &["settings"], arm),
    ("disk", &[], disk),
    ("seal", &["settings"], seal),
    ("broker", &["settings"], broker),
    ("clock", &["broker"], clock),
    ("calendar", &["clock"], calendar),
    ("trading-day", &["calendar"], trading_day),
    ("warm-up", &["strategy", "calendar"], warm_up),
    ("login", &["calendar"], login),
    ("instruments", &["login"], instruments),
    ("quotes", &["instruments"], quotes),
    ("funds", &["login"], funds),
    ("books", &["instruments"], books),
];

impl Ready {
    /// Before any gate.
    pub fn new(looks_only: bool) -> Self {
        Self {
            mode: Mode::Paper,
            before: None,
            settings: None,
            plan: None,
            calendar: None,
            broker: None,
            kite: None,
            today: None,
            listed: Vec::new(),
            seal: None,
            idle: None,
            looks_only,
            begins: false,
        }
    }

    /// Passes every gate, or says in one line which one blocks and what to do. A day without trading ends it early.
    pub fn pass(&mut self, cli: &Cli, arguments: &Trade) -> Result<(), Box<dyn Error>> {
        for (name, _, check) in GATES {
            match check(cli, arguments, self) {
                Ok(Found::Ok(says)) => tracing::info!(gate = name, %says, "passed"),
                Ok(Found::Noted(says)) => tracing::warn!(gate = name, %says, "passed"),
                Err(error) => return Err(error),
            }
            if self.idle.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Goes through all of them, whatever blocks.
    pub fn all(&mut self, cli: &Cli, arguments: &Trade) -> Vec<Gate> {
        let mut gates: Vec<Gate> = Vec::new();
        for (name, needs, check) in GATES {
            let open = |need: &&str| {
                let found = gates.iter().find(|gate| gate.gate == *need);
                found.is_some_and(|gate| matches!(gate.verdict, Verdict::Ok | Verdict::Noted))
            };
            if let Some(missing) = needs.iter().find(|need| !open(need)) {
                let says = format!("after {missing}");
                gates.push(Gate { gate: name, verdict: Verdict::NotAsked, says });
                continue;
            }
            let (verdict, says) = match check(cli, arguments, self) {
                Ok(Found::Ok(says)) => (Verdict::Ok, says),
                Ok(Found::Noted(says)) => (Verdict::Noted, says),
                Err(error) => (Verdict::Blocked, error.to_string()),
            };
            gates.push(Gate { gate: name, verdict, says });
        }
        gates
    }

    /// The instruments that are traded.
    pub fn instruments(&self) -> Vec<Instrument> {
        self.listed.iter().map(instrument).collect()
    }
}

fn settings(cli: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    ready.before = arguments.after.as_deref().map(|run| Before::of(cli, run)).transpose()?;
    let (mode, settings) = settings_of(cli, arguments, ready.before.as_ref())?;
    if let Some(before) = &ready.before {
        before.check_mode(mode)?;
    }
    let says = format!("{mode}, profile {}", settings.profile.word());
    (ready.mode, ready.settings) = (mode, Some(settings));
    Ok(Found::Ok(says))
}

fn strategy(_: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let settings = ready.settings.clone().ok_or("no settings")?;
    let (mut parameters, _) = split(&arguments.strategy, &arguments.set);
    if let Some((parameter, own)) = own_file(arguments, ready.mode) {
        // Whoever was promoted meanwhile: a session goes on with the model it began with.
        parameters.insert(parameter.to_owned(), own.display().to_string());
    }
    let plan = Plan::new(&arguments.strategy, &parameters, settings)?;
    let values: Vec<String> = plan.parameters.values().iter().map(|(key, value)| format!("{key}={value}")).collect();
    let says = format!("{} {}", plan.strategy, values.join(" "));
    ready.plan = Some(plan);
    Ok(Found::Ok(says))
}

/// The model, list or table that a session of this kind began with, where it has begun, and the parameter it stands in.
fn own_file(arguments: &Trade, mode: Mode) -> Option<(&'static str, PathBuf)> {
    let recorded = Recorded::open(&arguments.session.join("journal")).ok()?;
    let header = &recorded.header;
    let (parameter, name) = match arguments.strategy.as_str() {
        learned::LEARNED => ("model", learned::MODEL_FILE),
        listed::NAME => ("file", listed::LIST_FILE),
        scores::NAME => ("file", scores::TABLE_FILE),
        _ => return None,
    };
    let own = arguments.session.join(name);
    let same_kind = (header.mode == SessionMode::Live) == (mode == Mode::Live);
    (header.strategy == arguments.strategy && same_kind && own.is_file()).then_some((parameter, own))
}

/// A session that is over, of something else, or that a daemon is at work on, is refused.
fn session(_: &Cli, arguments: &Trade, _: &mut Ready) -> Result<Found, Box<dyn Error>> {
    PaperSession::check(&arguments.session)?;
    let begun = arguments.session.join("journal").is_dir();
    let says = if begun { "is there and is taken up on its day" } else { "is new" };
    Ok(Found::Ok(format!("{} {says}", arguments.session.display())))
}

fn kill_switch(_: &Cli, arguments: &Trade, _: &mut Ready) -> Result<Found, Box<dyn Error>> {
    match kill_switches(&arguments.session).into_iter().find(|file| file.exists()) {
        Some(file) => {
            Err(format!("the kill switch {} is set: nothing may trade; remove the file", file.display()).into())
        }
        None => Ok(Found::Ok("not set".to_owned())),
    }
}

/// RL-22: a model trades at a broker only as a winner that is whole, signed and earned enough, and there is no falling back
/// to paper. A rehearsal is of that and fails likewise; on paper any model that is what it says it is may try itself.
fn winner(cli: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let (Some(plan), Some(settings)) = (&ready.plan, &ready.settings) else { return Err("no strategy".into()) };
    if plan.strategy != learned::LEARNED {
        return Ok(Found::Ok("no model decides".to_owned()));
    }
    if own_file(arguments, ready.mode).is_some() {
        return Ok(Found::Ok("the session goes on with the model that passed when it began".to_owned()));
    }
    let given = arguments.set.iter().rev().find(|(key, _)| key == "model").map(|(_, value)| value.as_str());
    let folder = Path::new(given.unwrap_or_default());
    let least = settings.winner_min_avg_reward.0 as f64 / 1e8;
    // A rehearsal on paper asks for what a session at the broker would pay.
    let charges = match ready.mode {
        Mode::Live => settings.costs.as_str().to_owned(),
        Mode::Paper => charges_at_a_broker(cli, arguments, ready.before.as_ref())?,
    };
    match require_winner(folder, least, &charges, &Trust::of(settings)) {
        Ok(winner) => {
            let (earned, measured) = (winner.record.avg_reward, &winner.record.measured);
            let says = format!("signed; earned {earned} R a trade on {} with charges {charges}", measured.range());
            Ok(Found::Ok(says))
        }
        Err(error) if ready.mode == Mode::Paper && !arguments.dry_run => {
            Ok(Found::Noted(format!("{error}; on paper it may try itself, at a broker it is refused")))
        }
        Err(error) => Err(format!("{error}; at a broker only a promoted winner trades (`daybook promote`)").into()),
    }
}

/// Orders are let out on purpose, by somebody who means it: a flag that says so beside a setting that says the opposite is
/// refused, and where real money moves a person has to be there.
fn arm(_: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    match (ready.mode, arguments.arm) {
        (Mode::Paper, false) => Ok(Found::Ok("nothing is sent, nothing is armed".to_owned())),
        (Mode::Paper, true) => {
            Err("--arm lets orders go to the broker, and --paper or paper_trading = yes keeps them \
             here: leave --arm out, or set paper_trading = no"
                .into())
        }
        (Mode::Live, true) => {
            let is_loopback = Address::parse(&arguments.broker_url)?.is_loopback();
            if ready.begins && !is_loopback && !std::io::stdin().is_terminal() {
                let asks = "--arm with a real broker asks a person for the session's name: start it at a terminal";
                return Err(asks.into());
            }
            Ok(Found::Ok("armed by flag for this session".to_owned()))
        }
        (Mode::Live, false) => {
            let hint =
                "orders go to the broker only with --arm; without real orders: --paper, or leave paper_trading = yes";
            Err(hint.into())
        }
    }
}

fn disk(_: &Cli, arguments: &Trade, _: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let mut place = arguments.session.as_path();
    while !place.exists() {
        place = place.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    }
    let free = free_bytes(place).map_err(|error| format!("{}: {error}", place.display()))?;
    let says = format!("{} MiB free where {} lies", free >> 20, place.display());
    if free < ROOM_BYTES {
        let says = format!("{says}, a day wants {} MiB: make room", ROOM_BYTES >> 20);
        // What has begun goes on in its own segment and reserve.
        return if is_begun(arguments) { Ok(Found::Noted(says)) } else { Err(says.into()) };
    }
    Ok(Found::Ok(says))
}

fn seal(_: &Cli, _: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let settings = ready.settings.as_ref().ok_or("no settings")?;
    let key = super::super::backtest::seal_key(settings)?;
    ready.seal = Some(key);
    Ok(Found::Ok("the key that seals the session is there".to_owned()))
}

/// Who we are to the broker; a simulated one of this machine is reached, a real one is not asked anything yet.
fn broker(cli: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let settings = ready.settings.as_ref().ok_or("no settings")?;
    let broker = Broker::of(cli, &arguments.broker_url, false, settings)?;
    let says = if broker.is_loopback() { "simulated, on this machine" } else { "credentials are set" };
    ready.kite = Some(broker.connect()?);
    ready.broker = Some(broker);
    Ok(Found::Ok(format!("{}: {says}", arguments.broker_url)))
}

fn clock(_: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let (Some(broker), Some(kite)) = (&ready.broker, &ready.kite) else { return Err("no broker".into()) };
    match (arguments.clock, broker.is_loopback()) {
        (Some(Clock::Broker), false) => Err("--clock broker: only a simulated broker on this machine has one".into()),
        (Some(Clock::System), true) => {
            Err("--clock system: a simulated broker lives in its own time; leave --clock out".into())
        }
        (_, true) => Ok(Found::Ok(format!("the broker's, {}", kite.now()))),
        (_, false) => Ok(Found::Ok(format!("this machine's, {}", kite.now()))),
    }
}

/// A year that the calendar does not hold is refused: nobody knows when anything opens.
fn calendar(_: &Cli, _: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let (Some(settings), Some(kite)) = (&ready.settings, &ready.kite) else { return Err("no broker".into()) };
    let mut calendar = Calendar::by_market("nse")?;
    if let Some(file) = &settings.calendar_file {
        calendar.extend_from_file(file)?;
    }
    let date = calendar.date_of(kite.now());
    let day = calendar.require(date)?;
    ready.today = match day {
        Day::Session(session) => Some(session),
        _ => None,
    };
    ready.calendar = Some(calendar);
    Ok(Found::Ok(format!("knows {date}")))
}

fn trading_day(_: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let (Some(calendar), Some(kite)) = (&ready.calendar, &ready.kite) else { return Err("no calendar".into()) };
    let now = kite.now();
    let date = calendar.date_of(now);
    if let Some(before) = &ready.before {
        before.check_date(date)?;
    }
    let Some(session) = &ready.today else {
        ready.idle = Some(format!("{date} is not a trading day; nothing to do"));
        return Ok(Found::Noted(format!("{date} is not a trading day: the session would end at once")));
    };
    // A session that was cut off after its close still wants its end and its seal.
    let begun = arguments.session.join("journal").is_dir();
    if now >= session.close() && !begun {
        ready.idle = Some(format!("the session of {date} is over; nothing to do"));
        return Ok(Found::Noted(format!("the session of {date} is over: there would be nothing to do")));
    }
    Ok(Found::Ok(format!("{date}, {} to {}", session.open(), session.close())))
}

fn warm_up(_: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let (Some(plan), Some(calendar), Some(kite)) = (&ready.plan, &ready.calendar, &ready.kite) else {
        return Err("no calendar".into());
    };
    let selection = Selection { instruments: by_name(arguments), interval: arguments.interval };
    let date = calendar.date_of(kite.now());
    let wanted = plan.warmup(&selection, calendar, (!arguments.journal.is_empty()).then_some(date))?;
    let sessions = plan.portfolio(&selection)?.map_or(0, |limits| limits.looks_back_at());
    if arguments.journal.is_empty() && sessions > 0 {
        return Err(format!(
            "limits on the portfolio look back at {sessions} sessions, and this one knows none: every entry would be \
             refused; --journal DIR tells it history"
        )
        .into());
    }
    if arguments.journal.is_empty() {
        let says = format!("none: the first {wanted} bars decide nothing; --journal DIR warms the strategy up");
        return Ok(if wanted == 0 { Found::Ok("none is wanted".to_owned()) } else { Found::Noted(says) });
    }
    let journals: Vec<_> = arguments.journal.iter().map(|path| super::super::journal_of(path)).collect();
    let warmed = WarmUp::open(&journals, date)?.check(plan, &selection, calendar)?;
    let short: Vec<String> = warmed
        .iter()
        .filter(|one| one.candles < one.wanted)
        .map(|one| format!("{} {} of {}", one.symbol, one.candles, one.wanted))
        .collect();
    Ok(match short.is_empty() {
        true => Found::Ok(format!("{wanted} bars of each symbol")),
        false => Found::Noted(format!("fewer bars than the strategy may want: {}", short.join(", "))),
    })
}

/// The symbols as instruments, before the broker has listed them: names are all that a history is asked by.
fn by_name(arguments: &Trade) -> Vec<Instrument> {
    let mut symbols: Vec<&String> = arguments.symbols.iter().collect();
    symbols.sort_unstable();
    symbols.dedup();
    let of = |symbol: &String| Instrument {
        market: "nse".to_owned(),
        symbol: symbol.clone(),
        tick: Price::ZERO,
        lot: Quantity::from_units(1),
    };
    symbols.into_iter().map(of).collect()
}

fn login(_: &Cli, _: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let (Some(broker), Some(kite)) = (&ready.broker, &ready.kite) else { return Err("no broker".into()) };
    if ready.looks_only && !broker.is_loopback() && !broker.is_logged_in(kite)? {
        return Err(
            "today's login is missing or over: `daybook trade` or `daybook fetch` shows the page to log in at".into()
        );
    }
    broker.log_in(kite)?;
    Ok(Found::Ok("the broker takes today's login".to_owned()))
}

/// What the broker lists of the symbols; an error that names each one that cannot be traded.
fn instruments(_: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let kite = ready.kite.as_ref().ok_or("no broker")?;
    let list = kite.instruments(EXCHANGE)?;
    let mut found = BTreeMap::new();
    for symbol in &arguments.symbols {
        match list.find(EXCHANGE, symbol) {
            Some(one) if one.is_tradable() => drop(found.insert(symbol.clone(), one.clone())),
            Some(_) => return Err(format!("{symbol} is an index: it is not traded").into()),
            None => {
                let near = daybook_config::nearest_first(symbol, list.symbols(EXCHANGE));
                let near: Vec<&str> = near.into_iter().take(3).collect();
                let near = near.join(", ");
                return Err(format!("the broker lists no {EXCHANGE}:{symbol}; the nearest are {near}").into());
            }
        }
    }
    ready.listed = found.into_values().collect();
    Ok(Found::Ok(format!("{} listed and traded", output::grouped(ready.listed.len() as u64))))
}

/// Last prices can be had: the wires and the session work for what is traded.
fn quotes(_: &Cli, _: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let kite = ready.kite.as_ref().ok_or("no broker")?;
    let names: Vec<String> = ready.listed.iter().map(|one| format!("{EXCHANGE}:{}", one.symbol)).collect();
    let mut missing = Vec::new();
    for names in names.chunks(1_000) {
        let prices = kite.last_prices(names)?;
        missing.extend(names.iter().filter(|name| !prices.contains_key(*name)).cloned());
    }
    match missing.is_empty() {
        true => Ok(Found::Ok(format!("{} last prices", names.len()))),
        false => Err(format!("the broker gives no price of {}: leave them out", missing.join(", ")).into()),
    }
}

fn funds(_: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let kite = ready.kite.as_ref().ok_or("no broker")?;
    if ready.mode == Mode::Paper {
        return Ok(Found::Ok("not asked on paper".to_owned()));
    }
    let net = daybook_vocabulary::Money(i128::from(kite.margins()?.net));
    if net <= daybook_vocabulary::Money::ZERO {
        // What has begun may hold something, and leaving it takes no money.
        let says = format!("the account has {net} to trade with: add funds, or trade on paper");
        return if is_begun(arguments) { Ok(Found::Noted(says)) } else { Err(says.into()) };
    }
    let cash = ready.settings.as_ref().map_or(net, |settings| settings.cash);
    if cash > net && !ready.listed.is_empty() {
        // The broker has the last word on what it lends; the session's own limits reckon with what it was told.
        return Ok(Found::Noted(format!("{net} free to trade, and the session reckons with {cash}: --set cash={net}")));
    }
    Ok(Found::Ok(format!("{net} free to trade")))
}

/// What the broker holds of the session's symbols, and which orders work in them, beside what the session does. A new
/// session begins on equal books, or with a policy for what is there; one that is taken up compares them itself, with what
/// is still on its way in mind. What is held or ordered as delivery is nobody's business here.
fn books(_: &Cli, arguments: &Trade, ready: &mut Ready) -> Result<Found, Box<dyn Error>> {
    let (Some(kite), Some(settings)) = (&ready.kite, &ready.settings) else { return Err("no broker".into()) };
    if ready.mode == Mode::Paper {
        return Ok(Found::Ok("not asked on paper".to_owned()));
    }
    let ours = |symbol: &str, product: &Product| {
        *product == Product::Mis && ready.listed.iter().any(|one| one.symbol == symbol)
    };
    let (rows, bad_positions) = kite.positions()?;
    let (orders, bad_orders) = kite.orders()?;
    if let Some(row) = bad_positions.first().or(bad_orders.first()) {
        return Err(format!("a row of the broker's books cannot be read: {row:?}").into());
    }
    let held = rows.iter().filter(|row| !row.quantity().is_zero() && ours(&row.tradingsymbol, &row.product));
    let held = held.map(|row| format!("holds {} {}", row.quantity(), row.tradingsymbol));
    let works = orders.iter().filter(|row| !row.status.is_terminal() && ours(&row.tradingsymbol, &row.product));
    let works = works.map(|row| {
        let (side, rest) = (row.transaction_type.text(), row.quantity() - row.filled());
        format!("has an order {} to {side} {rest} {}", row.order_id, row.tradingsymbol)
    });
    let there: Vec<String> = held.chain(works).collect();
    let begun = is_begun(arguments);
    let list = there.join(", ");
    match (there.is_empty(), begun, settings.live_reconcile) {
        (true, ..) => Ok(Found::Ok("the broker holds none of the symbols, and no order of them works".to_owned())),
        (_, true, _) => Ok(Found::Ok(format!("the broker {list}; the session compares"))),
        (_, false, Reconcile::Halt) => Err(format!(
            "the broker {list}, and a new session knows of nothing: leave and cancel that first, or say what becomes of it \
             with --set live.reconcile=adopt or flatten"
        )
        .into()),
        (_, false, Reconcile::Adopt) => Ok(Found::Noted(format!("the broker {list}: positions are taken over"))),
        (_, false, Reconcile::Flatten) => Ok(Found::Noted(format!("the broker {list}: left and cancelled"))),
    }
}

/// True for a session that is taken up: what only its beginning wants does not keep it from looking after what it holds.
fn is_begun(arguments: &Trade) -> bool {
    arguments.session.join("journal").is_dir()
}

/// The list for people.
pub fn print(gates: &[Gate]) {
    use output::Align::Left;
    let word = |verdict: Verdict| match verdict {
        Verdict::Ok => "ok",
        Verdict::Noted => "note",
        Verdict::Blocked => "BLOCKED",
        Verdict::NotAsked => "-",
    };
    let rows = gates.iter().map(|gate| vec![gate.gate.to_owned(), word(gate.verdict).to_owned(), gate.says.clone()]);
    output::table(&[("gate", Left), ("", Left), ("", Left)], &rows.collect::<Vec<_>>());
}
