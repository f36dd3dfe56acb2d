//! Live sessions: what they record replays to the same outputs, and a restart anywhere is the session that was never
//! interrupted.

#[allow(dead_code, reason = "it is shared with tests that use the rest of it")]
mod recorded;

use daybook_journal::{Draft, Journal, Writer};
use daybook_replay::live::{Course, Heard, Pilot, Recorder, Stage};
use daybook_replay::{BacktestOptions, Prepared, Recorded, Source, audit};
use daybook_vocabulary::{Event, Hash, Nanos, Price, Quantity, Side, TradePrint};
use recorded::{BINARY, core, crossover, cut, header, market, record, small};
use std::path::Path;

/// What a live market would have said: the history's inputs, one by one.
fn feed(options: &BacktestOptions, prepared: &Prepared) -> Vec<(Nanos, Heard)> {
    let mut source = prepared.source(&options.plan).unwrap();
    let (mut heard, mut date) = (Vec::new(), None);
    while source.advance().unwrap() {
        let input = source.input();
        if let daybook_core::Body::SessionOpened(hours) = input.body {
            date = Some(hours.date);
        }
        heard.push((input.time, Heard::of(&input.body, input.time, date).unwrap()));
    }
    heard
}

fn judged(path: &Path) -> daybook_replay::AuditReport {
    audit(&Recorded::open(path).unwrap(), &[], BINARY, None, None, &mut |_| ()).unwrap()
}

#[test]
fn a_recorded_session_derives_again_and_an_altered_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let feed = feed(&options, &prepared);
    let whole = dir.path().join("whole");
    record(&whole, &options, &prepared, &feed);
    let report = judged(&whole);
    assert_eq!((report.verdict, report.first_difference), ("equal", None));
    assert!(report.compared > 80, "{} outputs were compared", report.compared);

    // An output that nothing led to: the frame of a fill, twice.
    let forged = dir.path().join("forged");
    let journal = Journal::open(&whole).unwrap();
    let mut cursor = journal.cursor(0);
    let mut writer = Writer::create(&forged, small()).unwrap();
    let mut fill = None;
    while let Some(frame) = cursor.next().unwrap() {
        let draft = Draft {
            time: frame.time,
            kind: frame.kind,
            schema: frame.schema,
            flags: frame.flags,
            stream: frame.stream,
        };
        writer.append(draft, frame.payload).unwrap();
        if frame.kind == daybook_vocabulary::Kind::Fill.number() && fill.is_none() {
            fill = Some(frame.seq);
            writer.append(draft, frame.payload).unwrap();
        }
    }
    writer.close().unwrap();
    let report = judged(&forged);
    assert_eq!(report.verdict, "different");
    assert_eq!(report.first_difference.unwrap().seq, fill.unwrap() + 1);
}

/// The candles of a feed as trades on the path of each: open, low, high, close, the volume spread over them.
fn as_prints(feed: &[(Nanos, Heard)]) -> Vec<(Nanos, Heard)> {
    let mut heard = Vec::new();
    let mut of_slice = Vec::new();
    for (time, input) in feed {
        let Heard::Candle(id, candle) = input else {
            // Trades of several symbols come in the order of their times.
            of_slice.sort_by_key(|(time, _)| *time);
            heard.append(&mut of_slice);
            heard.push((*time, input.clone()));
            continue;
        };
        let prices = [candle.open(), candle.low(), candle.high(), candle.close()];
        let quarter = candle.volume().0 / 4;
        let quantities = [quarter, quarter, quarter, candle.volume().0 - 3 * quarter];
        for (index, (price, quantity)) in prices.into_iter().zip(quantities).enumerate() {
            let at = candle.open_time() + index as i64 * 60 * 1_000_000_000;
            of_slice.push((at, Heard::Print(*id, TradePrint::new(at, price, Quantity(quantity)))));
        }
    }
    heard
}

fn events(path: &Path) -> Vec<(Nanos, u32, Event)> {
    let journal = Journal::open(path).unwrap();
    let mut cursor = journal.cursor(0);
    let mut events = Vec::new();
    while let Some(frame) = cursor.next().unwrap() {
        let event = Event::decode(frame.kind, frame.schema, frame.payload).unwrap();
        events.push((Nanos(frame.time), frame.stream, event));
    }
    events
}

/// Intents and fills, in order of the orders: which symbol, order, side, quantity, price, verdict.
fn said(events: &[(Nanos, u32, Event)]) -> Vec<(u32, u64, Side, Quantity, Price, &'static str)> {
    let say = |(_, stream, event): &(Nanos, u32, Event)| match event {
        Event::OrderIntent(it) => Some((*stream, it.order.0, it.side, it.quantity, it.reference, it.verdict.word())),
        Event::Fill(it) => Some((*stream, it.order.0, it.side, it.quantity, it.price, "fill")),
        _ => None,
    };
    let mut said: Vec<_> = events.iter().filter_map(say).collect();
    said.sort_by_key(|said| (said.1, said.5 == "fill"));
    said
}

/// RL-09: what paper trades on the ticks of a market is what a backtest trades on its candles: bars, intents, fills.
#[test]
fn trades_lead_to_the_same_bars_and_fills_as_their_candles() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let candles = feed(&options, &prepared);
    let (by_candle, by_print) = (dir.path().join("candles"), dir.path().join("prints"));
    record(&by_candle, &options, &prepared, &candles);
    record(&by_print, &options, &prepared, &as_prints(&candles));
    assert_eq!(judged(&by_print).verdict, "equal");

    let (left, right) = (events(&by_candle), events(&by_print));
    let given = left.iter().filter_map(|(_, stream, event)| match event {
        Event::Candle(candle) => Some((*stream, candle.open_time(), candle.parts())),
        _ => None,
    });
    let mut built: Vec<_> = right
        .iter()
        .filter_map(|(_, stream, event)| match event {
            Event::Bar(bar) => Some((*stream, bar.candle().open_time(), bar.candle().parts())),
            _ => None,
        })
        .collect();
    built.sort_by_key(|(stream, open, _)| (*open, *stream));
    assert_eq!(given.collect::<Vec<_>>(), built);
    assert!(said(&left).len() > 40);
    assert_eq!(said(&left), said(&right));
}

/// A day flown on a feed, told the time every second: the slices come at the bars' ends, and what is decided is what a
/// backtest of the same candles decides.
#[test]
fn a_piloted_day_decides_what_a_backtest_decides() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let day = |date: &str| -> Vec<_> {
        let date = date.parse().unwrap();
        let feed = feed(&options, &prepared);
        feed.into_iter().filter(|(time, _)| prepared.calendar.date_of(*time) == date).collect()
    };
    let candles = day("2025-06-10");
    let (flown, replayed) = (dir.path().join("flown"), dir.path().join("replayed"));
    let header = header(&options, &prepared);
    let instruments = &prepared.selection.instruments;
    let recorder = |path: &Path, begins| {
        let writer = Writer::create(path, small()).unwrap();
        Recorder::begin(path.to_owned(), writer, &header, instruments, begins, core(&options, &prepared)).unwrap()
    };
    let opens = candles[0].0;
    let mut plain = recorder(&replayed, opens);
    for (time, heard) in &candles {
        plain.hear(*time, heard).unwrap();
    }
    plain.end(None).unwrap();

    let course = Course {
        calendar: prepared.calendar.clone(),
        interval: prepared.selection.interval,
        grace: 2_000_000_000,
        subscribed: 2,
    };
    let second = 1_000_000_000;
    let early = opens + -600 * second;
    let mut pilot = Pilot::new(recorder(&flown, early), course, early).unwrap().expect("a trading day");
    assert_eq!((pilot.stage(), pilot.due()), (Stage::Waiting, Some(opens)));
    let prints: Vec<_> =
        as_prints(&candles).into_iter().filter(|(_, heard)| matches!(heard, Heard::Print(..))).collect();
    let (mut now, mut next, mut fills) = (early, 0, 0);
    while pilot.stage() != Stage::Over {
        let mut count = |_: Nanos, outputs: &[daybook_core::Output]| {
            fills += outputs.iter().filter(|it| matches!(it.body, daybook_core::Conclusion::Fill(_))).count();
        };
        while prints.get(next).is_some_and(|(time, _)| *time <= now) {
            pilot.feed(now, &prints[next].1, &mut count).unwrap();
            next += 1;
        }
        pilot.time(now, &mut count).unwrap();
        now = now + second;
    }
    assert!(pilot.recorder().now() <= now && pilot.due().is_none());
    pilot.end(None).unwrap();
    assert_eq!((next, judged(&flown).verdict), (prints.len(), "equal"));
    // A symbol whose next trade is in when the others complete the slice fills at the trade after it: what came before
    // a decision cannot fill it. What is decided is the same.
    let decided = |path: &Path| -> Vec<_> {
        said(&events(path))
            .into_iter()
            .map(|(id, order, side, quantity, _, word)| (id, order, side, quantity, word))
            .collect()
    };
    assert_eq!(decided(&flown), decided(&replayed));
    assert!(fills > 10, "{fills} fills");
    let slices = events(&flown).iter().filter(|(.., event)| matches!(event, Event::SliceTaken(_))).count();
    assert_eq!(slices, 75, "one for each five minutes");
}

/// Restart = replay: cut off after any frame, taken up and told the rest, a session ends as if nothing had happened.
#[test]
fn a_session_cut_off_anywhere_goes_on_as_if_it_had_not_been() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let feed = feed(&options, &prepared);
    let whole = dir.path().join("whole");
    let content = record(&whole, &options, &prepared, &feed);
    let recorded = Recorded::open(&whole).unwrap();
    let frames = recorded.journal.head().frames;
    // Every place of a stretch that trades, and some of the rest. The last frame is the digest of the end.
    let places = (recorded.outputs..frames - 1).filter(|at| *at < 260 || at % 41 == 0);
    for at in places {
        let path = dir.path().join(format!("cut-{at}"));
        cut(&whole, &path, at);
        let partial = Recorded::open(&path).unwrap();
        let mut heard = 0;
        let mut inputs = partial.inputs();
        while inputs.advance().unwrap() {
            heard += 1;
        }
        let writer = Writer::open(&path, small()).unwrap();
        let mut recorder = Recorder::resume(&partial, writer, core(&options, &prepared)).unwrap();
        for (time, input) in &feed[heard..] {
            recorder.hear(*time, input).unwrap();
        }
        let head = recorder.end(None).unwrap();
        assert_eq!(Hash(head.content.0), content, "cut before frame {at}");
        std::fs::remove_dir_all(&path).unwrap();
    }
}

/// A session is taken up under what its header says; under anything else the restart stops and says where they part.
#[test]
fn a_session_is_not_taken_up_under_other_parameters() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let whole = dir.path().join("whole");
    record(&whole, &options, &prepared, &feed(&options, &prepared));
    let mut other = options;
    other.plan = other.plan.with(&[("fast".to_owned(), "3".to_owned())], &[]).unwrap();
    let recorded = Recorded::open(&whole).unwrap();
    let writer = Writer::open(&whole, small()).unwrap();
    let error = Recorder::resume(&recorded, writer, core(&other, &prepared)).err().expect("it is another session");
    assert!(error.to_string().contains("cannot be taken up"), "{error}");
}
