//! `trade`: a day on paper, on the broker's quotes.
//!
//! - Wires on their own thread, the core on this one, a bounded queue between them.
//! - What is refused is refused before the broker is asked anything but the time.
//! - Nothing is sent: there is no path from here to the broker's orders.

use super::Verdict;
use super::broker::Broker;
use crate::cli::{Cli, Clock, Format, Trade};
use crate::output;
use daybook_adapters::kite::instruments::Listed;
use daybook_adapters::kite::messages::Message;
use daybook_adapters::kite::ticker::{FeedEvent, FeedLimits};
use daybook_adapters::kite::ticks::{Mode, Token};
use daybook_adapters::kite::{BlockingKite, KiteError};
use daybook_config::{Calendar, Origin, calendar::Day};
use daybook_core::{Conclusion, Output};
use daybook_replay::Plan;
use daybook_replay::live::{
    Flight, Flown, OfficialReport, PaperOptions, PaperSession, Prints, QUEUE_WORDS, Stage, Word, compare_with_official,
};
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{FeedChange, FeedState, Instrument, Nanos};
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Looked for in the session's directory and where the command was given.
const KILL_SWITCH: &str = ".killswitch";
/// The longest the core sleeps: what nobody says (a file, an overrun) is looked for between two words.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// The exchange that is traded.
const EXCHANGE: &str = "NSE";

#[derive(Serialize)]
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
    let settings = settings(cli, arguments)?;
    PaperSession::check(&arguments.session)?;
    let mut calendar = Calendar::by_market("nse")?;
    if let Some(file) = &settings.calendar_file {
        calendar.extend_from_file(file)?;
    }
    let plan = Plan::new(&arguments.strategy, &parameters(arguments), settings.clone())?;
    let broker = Broker::of(cli, &arguments.broker_url, false, &settings)?;
    match (arguments.clock, broker.is_loopback()) {
        (Some(Clock::Broker), false) => {
            return Err("--clock broker: only a simulated broker on this machine has one".into());
        }
        (Some(Clock::System), true) => {
            return Err("--clock system: a simulated broker lives in its own time; leave --clock out".into());
        }
        _ => {}
    }
    let kite = broker.connect()?;
    let date = calendar.date_of(kite.now());
    let Day::Session(session) = calendar.require(date)? else {
        output::line(format_args!("{date} is not a trading day; nothing to do"));
        return Ok(ExitCode::SUCCESS);
    };
    if kite.now() >= session.close() {
        output::line(format_args!("the session of {date} is over; nothing to do"));
        return Ok(ExitCode::SUCCESS);
    }
    broker.log_in(&kite)?;
    let listed = listed(&kite, arguments)?;
    let options = PaperOptions {
        plan,
        instruments: listed.iter().map(instrument).collect(),
        interval: arguments.interval,
        calendar,
        grace: i64::from(arguments.slice_grace_ms) * 1_000_000,
        run: arguments.session.clone(),
        binary: output::binary_hash()?,
        warm_up: arguments.journal.iter().map(|path| super::journal_of(path)).collect(),
    };
    let seal = super::backtest::seal_key(&settings)?;
    let Some(paper) = PaperSession::open(&options, kite.now())? else { return Ok(ExitCode::SUCCESS) };
    let ended = fly(arguments, &kite, paper, &listed, &seal)?;
    say(cli, &ended)?;
    Ok(if ended.flat { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The settings in force; on paper the profile is realistic unless somebody says otherwise.
fn settings(cli: &Cli, arguments: &Trade) -> Result<daybook_config::Settings, Box<dyn Error>> {
    let mut overrides: Vec<(String, String)> =
        arguments.set.iter().filter(|(key, _)| key.contains('.')).cloned().collect();
    overrides.extend(arguments.profile.iter().map(|profile| ("profile".to_owned(), profile.clone())));
    let resolved = super::settings(cli, overrides.clone())?;
    if resolved.origin("profile") != Some(&Origin::Default) {
        return Ok(resolved.settings);
    }
    overrides.push(("profile".to_owned(), "realistic".to_owned()));
    Ok(super::settings(cli, overrides)?.settings)
}

fn parameters(arguments: &Trade) -> BTreeMap<String, String> {
    arguments.set.iter().filter(|(key, _)| !key.contains('.')).cloned().collect()
}

/// The instruments that are traded, in order of symbol; an error that names each one that cannot be.
fn listed(kite: &BlockingKite, arguments: &Trade) -> Result<Vec<Listed>, Box<dyn Error>> {
    let list = kite.instruments(EXCHANGE)?;
    let mut found = BTreeMap::new();
    for symbol in &arguments.symbols {
        match list.find(EXCHANGE, symbol) {
            Some(one) if one.is_tradable() => drop(found.insert(symbol.clone(), one.clone())),
            Some(_) => return Err(format!("{symbol} is an index: it is not traded").into()),
            None => {
                let near = daybook_config::nearest_first(symbol, list.symbols(EXCHANGE));
                let near: Vec<&str> = near.into_iter().take(3).collect();
                return Err(
                    format!("the broker lists no {EXCHANGE}:{symbol}; the nearest are {}", near.join(", ")).into()
                );
            }
        }
    }
    Ok(found.into_values().collect())
}

fn instrument(listed: &Listed) -> Instrument {
    Instrument { market: "nse".to_owned(), symbol: listed.symbol.clone(), tick: listed.tick, lot: listed.lot }
}

/// The day itself: wires there, the core here.
fn fly(
    arguments: &Trade,
    kite: &BlockingKite,
    mut paper: PaperSession,
    listed: &[Listed],
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
    let wanted = tokens.iter().map(|token| (*token, Mode::Full)).collect();
    let (mut prints, lost) = (Prints::new(&tokens), dropped.clone());
    let streaming = kite.stream(wanted, FeedLimits::default(), move |event| {
        if let Some(word) = word_of(event, &mut prints)
            && queue.try_send(word).is_err()
        {
            lost.fetch_add(1, Ordering::Relaxed);
        }
        true
    })?;
    let run = &arguments.session;
    let resumed_frames = paper.resumed_frames;
    let mut said = Said::default();
    let mut ear = |time: Nanos, output: &Output| said.hear(time, output);
    let mut flight = Flight {
        words: &words,
        dropped: &dropped,
        now: &|| kite.now(),
        wait: &|nanos| kite.kite().outside(nanos.min(MINUTE)).min(SLEEP_MAX),
        kill_switch: &|| run.join(KILL_SWITCH).exists() || std::path::Path::new(KILL_SWITCH).exists(),
        wires: None,
        ear: &mut ear,
    };
    let flown = flight.fly(&mut paper.pilot)?;
    drop(streaming);
    let core = paper.pilot.recorder().core();
    let (bars, equity) = (core.counts().bars, core.ledger().equity());
    let over = paper.pilot.stage() == Stage::Over;
    let official = if over { official(arguments, kite, listed, paper.pilot.session()) } else { None };
    let head = if over { paper.end(Some(seal))? } else { paper.leave()? };
    Ok(Ended {
        session: run.display().to_string(),
        ended: if over { "session-over" } else { "stopped" },
        flat: !matches!(flown, Flown::Stopped { flat: false }),
        resumed_frames,
        bars,
        intents: said.intents,
        fills: said.fills,
        trades: said.trades,
        equity: equity.to_string(),
        dropped: dropped.load(Ordering::Relaxed),
        official,
        frames: head.frames,
        content: head.content.to_string(),
    })
}

/// What the core concluded, counted and logged.
#[derive(Default)]
struct Said {
    intents: u64,
    fills: u64,
    trades: u64,
}

impl Said {
    fn hear(&mut self, time: Nanos, output: &Output) {
        match &output.body {
            Conclusion::Intent(intent) => {
                self.intents += 1;
                tracing::info!(%time, order = %intent.order, side = %intent.side, verdict = %intent.verdict, "intent");
            }
            Conclusion::Fill(fill) => {
                self.fills += 1;
                tracing::info!(%time, order = %fill.order, side = %fill.side, price = %fill.price, "fill on paper");
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
            tracing::error!(%why, "the session with the broker is over: log in again and start again");
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
        "{} bars, {} intents, {} fills, {} trades on paper; equity {}",
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
