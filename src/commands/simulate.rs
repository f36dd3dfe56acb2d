//! `simulate`: a broker on this machine, for anyone's client: Kite Connect v3 with a journal as its market.
//!
//! - The port is opened first: a second server says so at once.
//! - What was done is in its book: killed and started again with the same arguments, it goes on where it was.

use super::Verdict;
use crate::cli::{Cli, Format, Simulate};
use crate::output;
use daybook_adapters::kite_server::{
    Market, Port, SIMULATED_KEY, SIMULATED_SECRET, ServeOptions, Setup, Speed, World, request_life, resume,
    run as serve,
};
use daybook_adapters::kite_wire::stamp;
use daybook_config::{Calendar, FeeSchedule, Sources};
use daybook_replay::{History, JournalBook, KiteMarket};
use serde::Serialize;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Where books are, when no place was given.
const BOOKS: &str = "daybook-simulate";

#[derive(Serialize)]
struct Begun {
    url: String,
    port: u16,
    time: String,
    speed: String,
    instruments: usize,
    own_application: bool,
    book: PathBuf,
    resumed: bool,
}

pub fn run(cli: &Cli, arguments: &Simulate) -> Verdict {
    let port = Port::open(arguments.port)?;
    let market = Arc::new(open_market(arguments)?);
    let speed = match arguments.speed {
        Speed::Times(thousandths) => i64::try_from(thousandths / 1_000).unwrap_or(i64::MAX),
        // A day may pass between the login page and the exchange of its token.
        Speed::Max => 1_440,
    };
    let (api_key, api_secret) = application(cli, arguments)?;
    let setup = Setup {
        date: arguments.date,
        start: stamp::at(arguments.date, arguments.start),
        cash: arguments.cash,
        freeze: arguments.freeze_quantity,
        fill_max: arguments.fill_at_most,
        api_key,
        api_secret,
        request_life: request_life(speed),
    };
    let dir = arguments.book.clone().unwrap_or_else(|| book_of(&setup, market.as_ref(), arguments.port));
    if arguments.fresh {
        remove_book(&dir)?;
    }
    if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
        std::fs::create_dir_all(above).map_err(|error| format!("{}: {error}", above.display()))?;
    }
    let mut book = JournalBook::open(&dir)?;
    let instruments = market.listed().len();
    let mut world = World::new(market, setup);
    let resumed = resume(&mut world, &mut book)?;
    let number = port.number();
    let begun = Begun {
        url: format!("http://127.0.0.1:{number}"),
        port: number,
        time: stamp::stamp(world.now()),
        speed: arguments.speed.to_string(),
        instruments,
        own_application: arguments.own_application,
        book: dir,
        resumed,
    };
    say(cli, &begun)?;
    let options = ServeOptions {
        port: number,
        speed: arguments.speed,
        faults: arguments.fault.clone(),
        fault_seed: arguments.fault_seed,
        redirect: arguments.redirect.clone(),
        postback: arguments.postback.clone(),
        limited: !arguments.no_limits,
    };
    serve(port, world, Box::new(book), options)?;
    Ok(ExitCode::SUCCESS)
}

/// Key and secret of the application that the server knows: the one that everybody knows, or the user's own.
fn application(cli: &Cli, arguments: &Simulate) -> Result<(String, String), Box<dyn Error>> {
    if !arguments.own_application {
        return Ok((SIMULATED_KEY.to_owned(), SIMULATED_SECRET.to_owned()));
    }
    let sources = Sources::ambient(Path::new("."), cli.config.clone(), Vec::new());
    let wanted = |name: &str| {
        sources.variable(name).ok_or_else(|| format!("--own-application: set {name} in the environment or in .env"))
    };
    Ok((wanted("KITE_API_KEY")?, wanted("KITE_API_SECRET")?))
}

fn open_market(arguments: &Simulate) -> Result<KiteMarket, Box<dyn Error>> {
    let paths = arguments.journal.iter().map(|path| super::journal_of(path));
    let histories = paths.map(|path| History::open(&path)).collect::<Result<Vec<_>, _>>()?;
    let mut markets: Vec<&str> =
        histories.iter().flat_map(|history| &history.series).map(|series| series.definition.market.as_str()).collect();
    markets.sort_unstable();
    markets.dedup();
    let calendar = match markets.as_slice() {
        [only] => Calendar::by_market(only)?,
        _ => Calendar::nse(),
    };
    let market = KiteMarket::open(histories, calendar)?;
    let (date, (first, last)) = (arguments.date, market.dates());
    if market.hours(date).map_err(|error| error.to_string())?.is_none() {
        return Err(format!("the market is closed on {date}; choose a trading day from {first} to {last}").into());
    }
    if !market.trades_on(date)? {
        return Err(format!("the journal has no candle on {date}; it holds {first} to {last}").into());
    }
    let begins = FeeSchedule::parse("zerodha-delivery")?.first_date();
    if let Some(begins) = begins.filter(|begins| date < *begins) {
        tracing::warn!(%date, %begins, "charges of so early a date are not recorded: those of the first recorded date hold");
    }
    Ok(market)
}

/// A place that follows from what makes one market differ from another.
fn book_of(setup: &Setup, market: &KiteMarket, port: u16) -> PathBuf {
    let mut text = format!("{} {} {} {}", market.fingerprint(), setup.start.0, setup.cash, setup.freeze);
    if let Some(most) = setup.fill_max {
        text += &format!(" {most}");
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    Path::new(BOOKS).join(format!("{}-{port}-{}", setup.date, &hash[..8]))
}

/// Removes a book, and nothing that is not one.
fn remove_book(dir: &Path) -> Result<(), Box<dyn Error>> {
    if !dir.exists() {
        return Ok(());
    }
    drop(JournalBook::open(dir)?);
    std::fs::remove_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(())
}

fn say(cli: &Cli, begun: &Begun) -> Result<(), Box<dyn Error>> {
    if cli.format == Format::Json {
        return Ok(output::json(begun)?);
    }
    let does = if begun.resumed { "goes on" } else { "begins" };
    let who = if begun.own_application { "your own application" } else { "sim_api_key, sim_api_secret" };
    output::line(format_args!(
        "Kite Connect at {} ({who}): {} instruments, time {does} at {} with speed {}",
        begun.url, begun.instruments, begun.time, begun.speed
    ));
    let hint = if begun.resumed { "; --fresh begins anew" } else { "" };
    output::line(format_args!("book in {}{hint}", begun.book.display()));
    Ok(())
}
