//! What each path answers.
//!
//! - A request is counted, its session is looked at, then it is answered; in this order a flood costs nothing.
//! - Every refusal has the broker's envelope and error type; an unknown path is one, too.
//! - Long history is read outside the lock.

use super::command::{Command, trigger_of};
use super::core::Core;
use super::fault::FaultKind;
use super::form::Fields;
use super::limits::Group;
use super::market::{HistoryQuery, Market};
use super::place::USER;
use super::refusal::{Answer, Refusal, success};
use crate::kite_wire::market::{INSTRUMENT_COLUMNS, InstrumentRow, LtpRow, OhlcRow, OhlcRows, QuoteRow};
use crate::kite_wire::number::Decimal;
use crate::kite_wire::portfolio::{DematMeta, MarginSegment, Margins, ProfileRow};
use crate::kite_wire::stamp::{self, candle_stamp, parse_stamp};
use daybook_vocabulary::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: String,
    /// The parts of the path.
    pub path: Vec<String>,
    /// The query.
    pub query: Fields,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// How a request is answered.
pub enum Reply {
    /// JSON.
    Json(String),
    /// A table.
    Csv(String),
    /// Go there.
    Redirect(String),
    /// History, to be read outside the lock.
    History(Arc<dyn Market>, HistoryQuery, bool),
}

impl Request {
    fn form(&self) -> Answer<Fields> {
        let text = std::str::from_utf8(&self.body).map_err(|_| Refusal::input("The body is not UTF-8."))?;
        Fields::parse(text)
    }

    /// What it is counted with.
    fn group(&self) -> Group {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match (self.method.as_str(), path.as_slice()) {
            (_, ["quote", ..]) => Group::Quotes,
            (_, ["instruments", "historical", ..]) => Group::History,
            ("POST" | "PUT", ["orders", ..]) => Group::Orders,
            _ => Group::Rest,
        }
    }

    /// True for what reads the broker's books or its market.
    pub fn is_page(&self) -> bool {
        self.method == "GET" && self.path.first().is_some_and(|first| first != "daybook" && first != "connect")
    }

    /// True for placing, modifying and cancelling.
    pub fn is_order(&self) -> bool {
        self.method != "GET" && self.path.first().is_some_and(|first| first == "orders")
    }
}

/// Answers a request.
pub fn answer(core: &mut Core, request: &Request) -> Answer<Reply> {
    let now = core.catch_up();
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    match (method, path.as_slice()) {
        ("GET", ["daybook", "clock"]) => return clock(core, now).map(Reply::Json),
        ("GET", ["daybook", "requests"]) => return success(&core.asked).map(Reply::Json),
        ("GET", ["connect", "done"]) => return success(&request.query.get("request_token")).map(Reply::Json),
        ("GET", ["connect", "login"]) => return login(core, request),
        _ => {}
    }
    if core.limited {
        core.limits.take(request.group(), now)?;
    }
    if core.faults.strikes(FaultKind::TooMany) {
        return Err(Refusal::too_many());
    }
    match (method, path.as_slice()) {
        ("POST", ["session", "token"]) => return exchange(core, request),
        ("POST", ["session", "refresh_token"]) => {
            return Err(Refusal::token("Refreshing a session is for approved platforms only; log in again."));
        }
        _ => core.world.sessions.check_header(request.authorization.as_deref(), now)?,
    }
    if request.is_order() {
        refuse_on_request(core)?;
    }
    match method {
        "GET" => read(core, request, &path, now),
        "POST" | "PUT" | "DELETE" => change(core, request, &path, now).map(Reply::Json),
        _ => Err(Refusal::no_method()),
    }
}

/// An order that is not let in, as it was asked for.
fn refuse_on_request(core: &mut Core) -> Answer<()> {
    if core.faults.strikes(FaultKind::RefusedAddress) {
        return Err(Refusal::permission(
            "Orders are taken from registered addresses only; this one is not registered.",
        ));
    }
    if core.faults.strikes(FaultKind::Unreachable) {
        return Err(Refusal::unreachable("The order system cannot be reached; the order was not taken."));
    }
    Ok(())
}

fn login(core: &mut Core, request: &Request) -> Answer<Reply> {
    let key = request.query.need("api_key")?.to_owned();
    let token = core.change(&Command::Login { key })?;
    let extra = request.query.get("redirect_params").map(|more| format!("&{more}")).unwrap_or_default();
    // What goes into a header has no control characters.
    let extra: String = extra.chars().filter(|letter| letter.is_ascii_graphic()).collect();
    Ok(Reply::Redirect(format!("request_token={token}&action=login&type=login&status=success{extra}")))
}

fn exchange(core: &mut Core, request: &Request) -> Answer<Reply> {
    let form = request.form()?;
    let field = |name: &str| form.need(name).map(str::to_owned);
    let command =
        Command::Exchange { key: field("api_key")?, request: field("request_token")?, checksum: field("checksum")? };
    core.change(&command).map(Reply::Json)
}

/// A new order: it may be refused, or be hidden for a while, on request.
fn place(core: &mut Core, command: &Command, now: Nanos) -> Answer<String> {
    #[derive(Deserialize)]
    struct Placed {
        data: Id,
    }
    #[derive(Deserialize)]
    struct Id {
        order_id: String,
    }
    if core.faults.refuses_orders(now) {
        return Err(Refusal::permission("New orders are not taken from this address for the moment."));
    }
    let answer = core.change(command)?;
    if let Ok(placed) = serde_json::from_str::<Placed>(&answer) {
        core.faults.placed(&placed.data.order_id, now);
    }
    Ok(answer)
}

fn change(core: &mut Core, request: &Request, path: &[&str], now: Nanos) -> Answer<String> {
    let compact = request.query.get("mode") == Some("compact");
    let owned = |text: &str| text.to_owned();
    let command = match (request.method.as_str(), path) {
        ("DELETE", ["session", "token"]) => {
            let query = &request.query;
            let token = query.get("access_token").or(query.get("refresh_token")).unwrap_or_default();
            Command::Logout { key: owned(query.need("api_key")?), token: owned(token) }
        }
        ("POST", ["orders", variety]) => {
            return place(core, &Command::Place { variety: owned(variety), fields: request.form()? }, now);
        }
        ("PUT", ["orders", variety, id]) => {
            Command::Modify { variety: owned(variety), id: owned(id), fields: request.form()? }
        }
        ("DELETE", ["orders", variety, id]) => Command::Cancel { variety: owned(variety), id: owned(id) },
        ("PUT", ["portfolio", "positions"]) => Command::Convert { fields: request.form()? },
        ("POST", ["gtt", "triggers"]) => Command::CreateGtt { fields: request.form()? },
        ("PUT", ["gtt", "triggers", id]) => Command::ModifyGtt { id: trigger_of(id)?, fields: request.form()? },
        ("DELETE", ["gtt", "triggers", id]) => Command::DeleteGtt { id: trigger_of(id)? },
        ("POST", ["margins", "orders"]) => return core.world.order_margins(&request.body, compact),
        ("POST", ["margins", "basket"]) => {
            return core.world.basket_margins(&request.body, request.query.flag("consider_positions"), compact);
        }
        ("POST", ["charges", "orders"]) => return core.world.contract_note(&request.body),
        ("POST", ["portfolio", "holdings", "authorise"]) => {
            #[derive(Serialize)]
            struct Row {
                request_id: &'static str,
            }
            return success(&Row { request_id: "simulated" });
        }
        (_, ["orders" | "gtt" | "portfolio" | "session" | "margins" | "charges", ..]) => {
            return Err(Refusal::no_method());
        }
        _ => return Err(no_route()),
    };
    core.change(&command)
}

fn read(core: &Core, request: &Request, path: &[&str], now: Nanos) -> Answer<Reply> {
    let world = &core.world;
    let (board, listed) = (world.board(), world.market().listed());
    let json = match path {
        ["user", "profile"] => success(&profile()),
        ["user", "profile", "full"] => success(&whole_profile(core)),
        ["user", "margins"] => success(&Margins {
            equity: world.margin_segment(),
            commodity: MarginSegment { enabled: true, ..MarginSegment::default() },
        }),
        ["user", "margins", "equity"] => success(&world.margin_segment()),
        ["user", "margins", "commodity"] => success(&MarginSegment { enabled: true, ..MarginSegment::default() }),
        ["instruments"] => return Ok(Reply::Csv(instruments(core, None)?)),
        ["instruments", "historical", token, interval] => return history(core, request, token, interval, now),
        ["instruments", "trigger_range", side] => trigger_range(core, request, side),
        ["instruments", exchange] => return Ok(Reply::Csv(instruments(core, Some(exchange))?)),
        ["quote"] => quotes(core, request, 500, |place| {
            let quote = board.quote(place);
            QuoteRow::of(&quote.snapshot, quote.lower.into(), quote.upper.into())
        }),
        ["quote", "ohlc"] => quotes(core, request, 1_000, |place| {
            let snapshot = &board.quote(place).snapshot;
            OhlcRows { instrument_token: snapshot.token, last_price: snapshot.last.into(), ohlc: OhlcRow::of(snapshot) }
        }),
        ["quote", "ltp"] => quotes(core, request, 1_000, |place| {
            let snapshot = &board.quote(place).snapshot;
            LtpRow { instrument_token: snapshot.token, last_price: snapshot.last.into() }
        }),
        ["orders"] => {
            let mut rows = world.order_rows();
            rows.retain(|row| !core.faults.is_hidden(&row.order_id, now));
            success(&rows)
        }
        ["orders", id] => success(&world.order_history(id)?),
        ["orders", id, "trades"] => success(&world.order_trades(id)?),
        ["trades"] => success(&world.trade_rows()),
        ["portfolio", "positions"] => success(&world.position_rows()),
        ["portfolio", "holdings"] | ["portfolio", "holdings", "compact"] => success(&world.holding_rows()),
        ["portfolio", "holdings", "summary"] => success(&world.holdings_summary()),
        ["portfolio", "holdings", "auctions"] => success(&Vec::<()>::new()),
        ["gtt", "triggers"] => success(&world.gtt_rows()),
        ["gtt", "triggers", id] => success(world.gtt_row(trigger_of(id)?)?),
        _ => return Err(no_route()),
    };
    debug_assert!(!listed.is_empty(), "a market lists something");
    json.map(Reply::Json)
}

fn no_route() -> Refusal {
    Refusal::no_route("Route not found")
}

fn profile() -> ProfileRow {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    ProfileRow {
        user_id: USER.to_owned(),
        user_type: "individual".to_owned(),
        email: "user@example.com".to_owned(),
        user_name: "Simulated User".to_owned(),
        user_shortname: "Simulated".to_owned(),
        broker: "ZERODHA".to_owned(),
        exchanges: words(&["NSE"]),
        products: words(&["CNC", "MIS", "MTF"]),
        order_types: words(&["MARKET", "LIMIT", "SL", "SL-M"]),
        avatar_url: None,
        meta: DematMeta { demat_consent: "consent".to_owned() },
    }
}

/// The profile with what else the broker knows of the person: made up, like the person.
#[derive(Serialize)]
struct WholeProfile {
    #[serde(flatten)]
    profile: ProfileRow,
    twofa_type: &'static str,
    phone: &'static str,
    pan: &'static str,
    bank_accounts: Vec<()>,
    dp_ids: Vec<&'static str>,
    tags: Vec<()>,
    password_timestamp: String,
    twofa_timestamp: String,
}

fn whole_profile(core: &Core) -> WholeProfile {
    let since = stamp::stamp(core.world.setup().start);
    WholeProfile {
        profile: profile(),
        twofa_type: "totp",
        phone: "*0000",
        pan: "*000X",
        bank_accounts: Vec::new(),
        dp_ids: vec!["0000000000000000"],
        tags: Vec::new(),
        password_timestamp: since.clone(),
        twofa_timestamp: since,
    }
}

fn clock(core: &Core, now: Nanos) -> Answer<String> {
    #[derive(Serialize)]
    struct Row {
        time: String,
        epoch_nanos: i64,
        speed: String,
        market_open: bool,
        /// The application of whoever started the server, not the one that everybody knows.
        own_application: bool,
    }
    let own_application = core.world.sessions.key() != super::SIMULATED_KEY;
    let market_open = core.world.hours().is_some_and(|hours| hours.windows.iter().any(|window| window.contains(now)));
    success(&Row {
        time: candle_stamp(now),
        epoch_nanos: now.0,
        speed: core.clock.speed().to_string(),
        market_open,
        own_application,
    })
}

fn instruments(core: &Core, exchange: Option<&str>) -> Answer<String> {
    const OTHERS: [&str; 9] = ["BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO", "GLOBAL", "NSEIX"];
    let mut table = format!("{INSTRUMENT_COLUMNS}\n");
    match exchange {
        None | Some("NSE") => {}
        Some(other) if OTHERS.contains(&other) => return Ok(table),
        Some(_) => return Err(Refusal::input("Invalid `exchange`.")),
    }
    for (place, of) in core.world.market().listed().iter().enumerate() {
        let quote = core.world.board().quote(place);
        if !quote.listed {
            continue;
        }
        let row = InstrumentRow {
            instrument_token: of.token,
            exchange_token: of.exchange_token,
            tradingsymbol: of.symbol.clone(),
            name: of.name.clone(),
            tick_size: if of.index { Decimal::ZERO } else { quote.tick.into() },
            lot_size: of.lot,
            segment: if of.index { "INDICES" } else { "NSE" }.to_owned(),
            exchange: "NSE".to_owned(),
        };
        row.write(&mut table);
    }
    Ok(table)
}

/// Of what is not known there is no key, and no error.
fn quotes<T: Serialize>(core: &Core, request: &Request, most: usize, row: impl Fn(usize) -> T) -> Answer<String> {
    let mut rows = BTreeMap::new();
    for (index, asked) in request.query.all("i").enumerate() {
        if index == most {
            return Err(Refusal::input(format!("Too many instruments; at most {most} can be asked for at once.")));
        }
        if let Some(place) = place_of(core, asked) {
            rows.insert(asked, row(place));
        }
    }
    success(&rows)
}

fn place_of(core: &Core, asked: &str) -> Option<usize> {
    let place = match asked.split_once(':') {
        Some(("NSE", symbol)) => core.world.place_of(symbol),
        Some(_) => None,
        None => asked.parse().ok().and_then(|token| core.world.place_of_token(token)),
    };
    place.filter(|place| core.world.board().quote(*place).listed)
}

fn trigger_range(core: &Core, request: &Request, side: &str) -> Answer<String> {
    #[derive(Serialize)]
    struct Row {
        instrument_token: u32,
        lower: Decimal,
        upper: Decimal,
        percentage: Decimal,
    }
    let buy = match side.to_ascii_uppercase().as_str() {
        "BUY" => true,
        "SELL" => false,
        _ => return Err(Refusal::input("Invalid `transaction_type`.")),
    };
    quotes(core, request, 1_000, |place| {
        let quote = core.world.board().quote(place);
        let last: Decimal = quote.snapshot.last.into();
        let (lower, upper) = if buy { (quote.lower.into(), last) } else { (last, quote.upper.into()) };
        Row { instrument_token: quote.snapshot.token, lower, upper, percentage: Decimal::ZERO }
    })
}

/// Name of an interval, its minutes (0: whole days), most days of one request.
const INTERVALS: [(&str, u32, i64); 8] = [
    ("minute", 1, 60),
    ("3minute", 3, 100),
    ("5minute", 5, 100),
    ("10minute", 10, 100),
    ("15minute", 15, 200),
    ("30minute", 30, 200),
    ("60minute", 60, 400),
    ("day", 0, 2_000),
];

fn history(core: &Core, request: &Request, token: &str, interval: &str, now: Nanos) -> Answer<Reply> {
    let place = token.parse().ok().and_then(|token| core.world.place_of_token(token));
    let listed = place.ok_or_else(|| Refusal::input("invalid token"))?;
    let known = INTERVALS.iter().find(|(name, ..)| *name == interval);
    let (_, minutes, days) = *known.ok_or_else(|| Refusal::input("invalid interval"))?;
    let time = |name: &str| {
        let text = request.query.need(name)?;
        parse_stamp(text).ok_or_else(|| Refusal::input(format!("invalid {name} date: it is yyyy-mm-dd hh:mm:ss")))
    };
    let (from, to) = (time("from")?, time("to")?);
    if to < from {
        return Err(Refusal::input("invalid from date: it is after the to date"));
    }
    if to.0.saturating_sub(from.0) > days * 86_400_000_000_000 {
        return Err(Refusal::input(format!("interval exceeds max limit: {days} days")));
    }
    if request.query.get("continuous") == Some("1") {
        return Err(Refusal::input("continuous data is for futures, by the day"));
    }
    let query = HistoryQuery { listed, minutes, from, to, now };
    let oi = request.query.get("oi") == Some("1");
    Ok(Reply::History(core.world.market().clone(), query, oi))
}

/// Reads history; slow, so never inside the lock.
pub fn read_history(market: &dyn Market, query: HistoryQuery, oi: bool) -> Answer<String> {
    use std::fmt::Write as _;
    let bars = market.history(query).map_err(|error| {
        tracing::error!(%error, "history cannot be read");
        Refusal::general(format!("history cannot be read: {error}"))
    })?;
    let mut text = String::with_capacity(60 + bars.len() * 80);
    text.push_str("{\"status\":\"success\",\"data\":{\"candles\":[");
    for (index, bar) in bars.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let (open, high, low, close) = (bar.open, bar.high, bar.low, bar.close);
        let _ = write!(text, "{comma}[\"{}\",{open},{high},{low},{close},{}", candle_stamp(bar.time), bar.volume);
        text.push_str(if oi { ",0]" } else { "]" });
    }
    text.push_str("]}}");
    Ok(text)
}
