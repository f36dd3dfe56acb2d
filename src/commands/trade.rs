//! `trade`: a day on the broker's quotes, on paper or with orders at the broker.
//!
//! - Wires on their own thread, the core on this one, a bounded queue between them.
//! - It begins when every gate of [`gates`] is open; `--dry-run` goes through them and does nothing else.
//! - On paper nothing is sent: without a broker in its settings a session has no wires of orders.

mod before;
mod gates;
mod mode;
mod orders;

use super::Verdict;
use crate::cli::{Cli, Format, Trade};
use crate::output;
use daybook_adapters::kite::instruments::Listed;
use daybook_adapters::kite::messages::Message;
use daybook_adapters::kite::ticker::{FeedEvent, FeedLimits};
use daybook_adapters::kite::ticks::{Mode as Detail, Token};
use daybook_adapters::kite::{BlockingKite, KiteError};
use daybook_core::{Conclusion, Core, Output};
use daybook_replay::live::{
    Flight, Flown, OfficialReport, PaperOptions, PaperSession, Prints, QUEUE_WORDS, Stage, Wires, Word,
    compare_with_official,
};
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{FeedChange, FeedState, Instrument, InstrumentId, Nanos};
use gates::Ready;
use mode::Mode;
use serde::Serialize;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Looked for in the session's directory and where the command was given.
const KILL_SWITCH: &str = ".killswitch";
/// The broker's books are asked for so often, in the session's time.
const BOOKS_EVERY: i64 = 5 * SECOND;
/// The exchange that is traded.
const EXCHANGE: &str = "NSE";

#[derive(Default, Serialize)]
struct Ended {
    session: String,
    ended: &'static str,
    flat: bool,
    resumed_frames: u64,
    bars: u64,
    intents: u64,
    fills: u64,
    trades: u64,
    equity: String,
    dropped: u64,
    /// The bars that were built beside the broker's own candles; none where those could not be had.
    official: Option<OfficialReport>,
    frames: u64,
    content: String,
}

pub fn run(cli: &Cli, arguments: &Trade) -> Verdict {
    if arguments.dry_run {
        return rehearse(cli, arguments, false);
    }
    let mut ready = Ready { begins: true, ..Ready::new(false) };
    ready.pass(cli, arguments)?;
    if let Some(why) = &ready.idle {
        output::line(why);
        return Ok(ExitCode::SUCCESS);
    }
    if ready.mode == Mode::Live && !is_loopback(&ready) {
        confirm(arguments)?;
    }
    let instruments = ready.instruments();
    let Ready {
        plan: Some(plan),
        calendar: Some(calendar),
        broker: Some(broker),
        kite: Some(kite),
        seal: Some(seal),
        listed,
        before,
        ..
    } = ready
    else {
        return Err("the gates passed without everything a session needs; this is a fault of daybook".into());
    };
    if PaperSession::finish(&arguments.session, Some(&seal))? {
        output::line(format_args!("the session {} had ended; now it is whole", arguments.session.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let options = PaperOptions {
        plan,
        instruments,
        interval: arguments.interval,
        calendar,
        grace: i64::from(arguments.slice_grace_ms) * 1_000_000,
        run: arguments.session.clone(),
        binary: output::binary_hash()?,
        warm_up: arguments.journal.iter().map(|path| super::journal_of(path)).collect(),
    };
    let Some(mut paper) = PaperSession::open(&options, kite.now())? else { return Ok(ExitCode::SUCCESS) };
    if let Some(limit) = before.as_ref().and_then(before::Before::lock).filter(|_| paper.resumed_frames == 0) {
        tracing::warn!(%limit, "the session before ended locked: this one begins halted, until `daybook resume`");
        paper.halt(kite.now(), "after")?;
    }
    let kite = Arc::new(kite);
    let _login = broker.keep_login(&kite);
    let ended = fly(arguments, &kite, paper, (&options, &listed), &seal)?;
    say(cli, &ended)?;
    Ok(if ended.flat { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_loopback(ready: &Ready) -> bool {
    ready.broker.as_ref().is_some_and(super::broker::Broker::is_loopback)
}

/// Orders with real money: a person types the session's name.
fn confirm(arguments: &Trade) -> Result<(), Box<dyn Error>> {
    let name = arguments.session.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut errors = std::io::stderr();
    // Whoever cannot be asked cannot answer either.
    let _ = writeln!(errors, "orders of real money go to {}; type the session's name to arm it:", arguments.broker_url);
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| format!("stdin: {error}"))?;
    if line.trim() == name {
        return Ok(());
    }
    Err(format!("'{}' is not '{name}': nothing was armed, nothing was sent", line.trim()).into())
}

/// Every gate, and nothing else: `--dry-run`, and `preflight`, which asks nobody to log in.
pub fn rehearse(cli: &Cli, arguments: &Trade, looks_only: bool) -> Verdict {
    let mut ready = Ready::new(looks_only);
    let gates = ready.all(cli, arguments);
    let stops = gates.iter().filter(|gate| gate.verdict == gates::Verdict::Blocked).count();
    if cli.format == Format::Json {
        output::json(&serde_json::json!({ "passes": stops == 0, "mode": ready.mode.to_string(), "gates": gates }))?;
    } else {
        gates::print(&gates);
        output::line(match stops {
            0 => format!("every gate is open; `daybook trade` would begin, {}", ready.mode),
            1 => "one gate blocks: `daybook trade` would not begin".to_owned(),
            some => format!("{some} gates block: `daybook trade` would not begin"),
        });
    }
    Ok(if stops == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Files that set the kill switch.
fn kill_switches(session: &Path) -> [PathBuf; 2] {
    [session.join(KILL_SWITCH), PathBuf::from(KILL_SWITCH)]
}

fn instrument(listed: &Listed) -> Instrument {
    Instrument { market: "nse".to_owned(), symbol: listed.symbol.clone(), tick: listed.tick, lot: listed.lot }
}

/// The day itself: wires there, the core here.
fn fly(
    arguments: &Trade,
    kite: &Arc<BlockingKite>,
    mut paper: PaperSession,
    (options, listed): (&PaperOptions, &[Listed]),
    seal: &daybook_journal::SealKey,
) -> Result<Ended, Box<dyn Error>> {
    let (queue, words) = crossbeam::channel::bounded(QUEUE_WORDS);
    let dropped = Arc::new(AtomicU64::new(0));
    let stop = queue.clone();
    kite.on_signal(move |source| {
        // A full queue is emptied by the core, which then sees the next signal.
        let _ = stop.try_send(Word::Stop(source));
    })?;
    let tokens: Vec<Token> = listed.iter().map(|one| one.token).collect();
    let wanted = tokens.iter().map(|token| (*token, Detail::Full)).collect();
    let (mut prints, lost) = (Prints::new(&tokens), dropped.clone());
    let wires = orders::begin(kite, &mut paper, options, queue.clone(), BOOKS_EVERY)?;
    let row = wires.as_ref().map(Wires::listener);
    let streaming = kite.stream(wanted, FeedLimits::default(), move |event| {
        let word = match (event, &row) {
            (FeedEvent::Message(Message::Order(order), _), Some(row)) => row(&order),
            (event, _) => word_of(event, &mut prints),
        };
        if let Some(word) = word
            && queue.try_send(word).is_err()
        {
            lost.fetch_add(1, Ordering::Relaxed);
        }
        true
    })?;
    let run = &arguments.session;
    let resumed_frames = paper.resumed_frames;
    let switches = kill_switches(run);
    let longest = Duration::from_millis(u64::from(arguments.loop_ms));
    let mut said = Said::default();
    let mut ear = |time: Nanos, output: &Output| said.hear(time, output);
    let mut flight = Flight {
        words: &words,
        dropped: &dropped,
        now: &|| kite.now(),
        wait: &|nanos| kite.kite().outside(nanos.min(MINUTE)).min(longest),
        outside: &|nanos| kite.kite().outside(nanos),
        kill_switch: &|| switches.iter().any(|file| file.exists()),
        said: &|| super::operator::take(run),
        wires: wires.as_ref(),
        ear: &mut ear,
    };
    let flown = flight.fly(&mut paper.pilot);
    let flown = flown.map_err(|error| format!("{error}; {}", open_risk(paper.pilot.recorder().core())))?;
    drop(streaming);
    drop(wires);
    let flat = !matches!(flown, Flown::Stopped { flat: false });
    let over = paper.pilot.stage() == Stage::Over;
    let official = if over { official(arguments, kite, listed, paper.pilot.session()) } else { None };
    let dropped = dropped.load(Ordering::Relaxed);
    let so_far = Ended { flat, resumed_frames, dropped, official, session: run.display().to_string(), ..said.told() };
    land(paper, over, so_far, seal)
}

/// What is held and what protects it, for whoever reads that the daemon had to end (P6).
fn open_risk(core: &Core) -> String {
    let of = |(id, instrument): (usize, &Instrument)| {
        let (id, held) = (InstrumentId(id as u32), core.book(InstrumentId(id as u32)).position.quantity);
        let stop = core.working_orders().find(|(of, order)| *of == id && order.reduces && order.stop.is_some());
        let stop = match stop.and_then(|(_, order)| order.stop) {
            Some(stop) => format!("a stop at {stop} works"),
            None => "NO STOP works".to_owned(),
        };
        (!held.is_zero()).then(|| format!("{held} {}, {stop}", instrument.symbol))
    };
    let held: Vec<String> = core.instruments().iter().enumerate().filter_map(of).collect();
    if held.is_empty() { "nothing is held".to_owned() } else { format!("held: {}", held.join("; ")) }
}

/// Ends the session, or leaves it to be taken up again; says what came of it.
fn land(
    mut paper: PaperSession,
    over: bool,
    so_far: Ended,
    seal: &daybook_journal::SealKey,
) -> Result<Ended, Box<dyn Error>> {
    let core = paper.pilot.recorder().core();
    let (bars, equity) = (core.counts().bars, core.ledger().equity().to_string());
    let head = if over { paper.end(Some(seal))? } else { paper.leave()? };
    let (ended, content) = (if over { "session-over" } else { "stopped" }, head.content.to_string());
    Ok(Ended { ended, bars, equity, frames: head.frames, content, ..so_far })
}

/// What the core concluded, counted and logged.
#[derive(Default)]
struct Said {
    intents: u64,
    fills: u64,
    trades: u64,
}

impl Said {
    /// What was counted.
    fn told(&self) -> Ended {
        Ended { intents: self.intents, fills: self.fills, trades: self.trades, ..Ended::default() }
    }

    fn hear(&mut self, time: Nanos, output: &Output) {
        match &output.body {
            Conclusion::Intent(intent) => {
                self.intents += 1;
                tracing::info!(%time, order = %intent.order, side = %intent.side, verdict = %intent.verdict, "intent");
            }
            Conclusion::Fill(fill) => {
                self.fills += 1;
                tracing::info!(%time, order = %fill.order, side = %fill.side, price = %fill.price, "fill");
            }
            Conclusion::Trade(_) => self.trades += 1,
            Conclusion::Alarm(alarm) => tracing::warn!(%time, code = %alarm.code, text = %alarm.text, "alarm"),
            _ => {}
        }
    }
}

/// Compares the session's bars with the broker's candles. That they cannot be had spoils nothing.
fn official(
    arguments: &Trade,
    kite: &BlockingKite,
    listed: &[Listed],
    (open, close): (Nanos, Nanos),
) -> Option<OfficialReport> {
    let candles = |one: &Listed| {
        let page = kite.history(one.token, arguments.interval, open, close + -SECOND)?;
        Ok((one.symbol.clone(), page.candles))
    };
    let fetched = listed.iter().map(candles).collect::<Result<Vec<_>, KiteError>>();
    let compared = fetched.map_err(|error| error.to_string()).and_then(|candles| {
        compare_with_official(&arguments.session.join("journal"), &candles).map_err(|error| error.to_string())
    });
    compared.inspect_err(|reason| tracing::warn!(%reason, "the broker's own candles cannot be compared")).ok()
}

/// What the core is to hear of an event of the feed.
fn word_of(event: FeedEvent, prints: &mut Prints) -> Option<Word> {
    let feed = |change, gap_since, reason| Some(Word::Feed(FeedState { change, gap_since, dropped: 0, reason }));
    match event {
        FeedEvent::Tick(tick, _) => prints.of(&tick).map(|(id, print)| Word::Print(id, print)),
        FeedEvent::Flaw(flaw, at) => {
            tracing::warn!(%at, %flaw, "a packet of the feed cannot be read");
            None
        }
        FeedEvent::Connected { gap_since, .. } => feed(FeedChange::Connected, gap_since, String::new()),
        FeedEvent::Lost { at, why } => {
            tracing::warn!(%at, %why, "the feed is lost; connecting again");
            feed(FeedChange::Lost, None, why)
        }
        FeedEvent::SessionOver(why) => {
            let do_now = "log in (`daybook fetch --force-refresh-token`); the daemon takes the new login up";
            tracing::error!(%why, do_now, "the session with the broker is over");
            feed(FeedChange::SessionOver, None, why)
        }
        FeedEvent::Message(message, at) => {
            if let Message::Bad { reason, .. } | Message::Error(reason) | Message::Notice(reason) = message {
                tracing::warn!(%at, %reason, "the feed says");
            }
            None
        }
    }
}

fn say(cli: &Cli, ended: &Ended) -> Result<(), Box<dyn Error>> {
    if cli.format == Format::Json {
        return Ok(output::json(ended)?);
    }
    output::line(format_args!(
        "{} bars, {} intents, {} fills, {} trades; equity {}",
        output::grouped(ended.bars),
        ended.intents,
        ended.fills,
        ended.trades,
        ended.equity
    ));
    if ended.dropped > 0 {
        output::line(format_args!("{} messages of the feed were dropped: entries were halted", ended.dropped));
    }
    if let Some(official) = &ended.official {
        output::line(format_args!(
            "official candles: {} of {} bars equal, {} with the same prices, {} missing on one side",
            official.equal, official.compared, official.same_prices, official.missing
        ));
    }
    let how = match (ended.ended, ended.flat) {
        ("stopped", true) => "stopped; the same command goes on today",
        ("stopped", false) => "stopped with positions open; the same command goes on today",
        _ => "over and sealed",
    };
    output::line(format_args!("session {}: {how}, {} frames, content {}", ended.session, ended.frames, ended.content));
    Ok(())
}
