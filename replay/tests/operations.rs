//! What looks after a live session: status, taking its market through a backtest, explaining, forking, snapshots.

mod recorded;

use daybook_journal::{Journal, Snapshots, Writer};
use daybook_replay::live::{Heard, PaperOptions, PaperSession, Recorder, Saver, Stage, WarmUp};
use daybook_replay::status::{DayStage, PositionNow, status};
use daybook_replay::winner::Trust;
use daybook_replay::{
    BacktestOptions, ForkOptions, Prepared, Recorded, ReplayError, Saved, Snapshotting, audit, backtest, compare,
    explain, fork, like, recorded_inputs,
};
use daybook_vocabulary::{Date, Event, Kind, Nanos, OrderId};
use recorded::{BINARY, core, crossover, cut, events, feed, header, market, naive_books, options, record, small};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// BT-25: where the positions stand beside limits on the portfolio as a whole.
#[test]
fn status_says_how_near_the_limits_on_the_portfolio_are() {
    let dir = tempfile::tempdir().unwrap();
    let journal = market(dir.path());
    let given = [("fast", "2"), ("slow", "5"), ("quantity", "3")];
    let settings = [("risk.max_factor", "value:-0.5..0.5"), ("risk.factors", "A:value=1,B:value=-1")];
    let options = options(&journal, "sma-cross", &given, &settings);
    let prepared = Prepared::open(&options).unwrap();
    let whole = dir.path().join("whole");
    record(&whole, &options, &prepared, &feed(&options, &prepared));
    let found = status(&Recorded::open(&whole).unwrap(), None, false).unwrap();
    let said: Vec<_> = found.risk.portfolio.iter().map(|one| (one.limit.word(), one.of.as_str(), one.now)).collect();
    assert_eq!(said, [("factor-exposure", "value", Some(daybook_vocabulary::Measure(0)))], "the day ends flat");
    let cut_at = Recorded::open(&whole).unwrap().journal.head().frames / 2;
    let path = dir.path().join("cut");
    cut(&whole, &path, cut_at);
    let found = status(&Recorded::open(&path).unwrap(), None, false).unwrap();
    let worth = |one: &PositionNow| {
        let value = i128::from(one.last.0) * i128::from(one.quantity.0) / 100_000_000;
        if one.symbol == "A" { value } else { -value }
    };
    let exposure: i128 = found.positions.iter().map(worth).sum();
    assert_eq!(found.risk.portfolio[0].now.unwrap().0, exposure * 100_000_000 / found.account.equity.0);
}

/// RL-43: cut off anywhere, a session says what is held and what works: what its frames say one by one.
#[test]
fn status_is_what_the_frames_add_up_to() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let whole = dir.path().join("whole");
    record(&whole, &options, &prepared, &feed(&options, &prepared));
    let found = status(&Recorded::open(&whole).unwrap(), None, false).unwrap();
    assert_eq!((found.stage, found.ended, found.running), (DayStage::Over, true, false));
    assert!(found.risk.entries && found.counts.fills > 5);
    let frames = Recorded::open(&whole).unwrap().journal.head().frames;
    let (mut held, mut working) = (0, 0);
    for at in (4..frames).step_by(37) {
        let path = dir.path().join(format!("cut-{at}"));
        cut(&whole, &path, at);
        let frames = events(&path);
        // An input whose outputs were cut off is told to the core all the same: go back to a whole step.
        let (positions, orders) = naive_books(&frames);
        let found = status(&Recorded::open(&path).unwrap(), None, false).unwrap();
        let whole_step = events(&whole)[at as usize].2.kind().is_output();
        if !whole_step {
            let id = |symbol: &str| u32::from(symbol == "B");
            let told: BTreeMap<_, _> = found.positions.iter().map(|one| (id(&one.symbol), one.quantity)).collect();
            assert_eq!(told, positions, "cut before frame {at}");
            let told: BTreeMap<_, _> = found.orders.iter().map(|one| (one.order.0, one.state)).collect();
            assert_eq!(told, orders, "cut before frame {at}");
            (held, working) = (held + positions.len(), working + orders.len());
        }
        assert_eq!(found.as_of, frames.last().unwrap().0);
        std::fs::remove_dir_all(&path).unwrap();
    }
    assert!(held > 3 && working > 3, "{held} positions and {working} orders were compared");
}

/// A run on history is no session of a daemon, and says so.
#[test]
fn status_of_a_run_on_history_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let run = dir.path().join("run");
    backtest(&options, &run, no_snapshots(dir.path()), None, &mut |_| ()).unwrap();
    let error = status(&Recorded::open(&run).unwrap(), None, false).unwrap_err().to_string();
    assert!(error.contains("run on history") && error.contains("daybook trade"), "{error}");
}

fn no_snapshots(dir: &Path) -> Snapshotting {
    Snapshotting { store: Snapshots::new(&dir.join("cache"), 1), every: 0 }
}

/// The outputs of a journal: time, instrument, kind, schema, payload.
fn outputs(path: &Path) -> Vec<(i64, u32, u16, u8, Vec<u8>)> {
    let journal = Journal::open(path).unwrap();
    let (mut cursor, mut outputs) = (journal.cursor(0), Vec::new());
    while let Some(frame) = cursor.next().unwrap() {
        if Kind::from_number(frame.kind).unwrap().is_output() {
            outputs.push((frame.time, frame.stream, frame.kind, frame.schema, frame.payload.to_vec()));
        }
    }
    outputs
}

/// SQ-33: the market that a session on paper recorded, taken through a backtest under the session's own settings, leads
/// to the same outputs, byte for byte, digests of the state included; and the backtest audits on its own.
#[test]
fn a_backtest_like_a_paper_session_is_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let market = market(dir.path());
    let momentum = &[("bars", "2"), ("threshold", "0.2")];
    let realistic = &[("risk.safe_trading_start", "09:30"), ("risk.safe_trading_end", "15:00")];
    let cases = [("cross", crossover(&market)), ("policy", options(&market, "policy-momentum", momentum, realistic))];
    for (name, options) in cases {
        let prepared = Prepared::open(&options).unwrap();
        let session = dir.path().join(name).join("session").join("journal");
        std::fs::create_dir_all(session.parent().unwrap()).unwrap();
        record(&session, &options, &prepared, &feed(&options, &prepared));
        let run = dir.path().join(name).join("run");
        let opened = Recorded::open(&session).unwrap();
        let (like_options, prepared) = like(opened, None, run.clone(), false, BINARY).unwrap();
        let journal = run.join("journal");
        std::fs::create_dir_all(&run).unwrap();
        prepared.replay(&like_options, &journal, no_snapshots(dir.path()), None, &mut |_| ()).unwrap();
        assert!(outputs(&session).len() > 80);
        assert_eq!(outputs(&session), outputs(&journal), "{name}");
        let (left, right) = (Recorded::open(&session).unwrap(), Recorded::open(&journal).unwrap());
        let found = compare(&left, &right, 5).unwrap();
        assert_eq!((found.verdict, found.gaps.len(), found.first_fill), ("equal", 0, None), "{name}");
        assert!(name == "cross" || found.decisions.equal > 100, "{:?}", found.decisions);
        let report = audit(&right, std::slice::from_ref(&session), BINARY, None, None, &mut |_| ()).unwrap();
        assert_eq!((report.verdict, report.first_difference), ("equal", None));
        let missing = audit(&right, &[], BINARY, None, None, &mut |_| ()).unwrap_err();
        assert!(matches!(missing, ReplayError::InputMissing(_)), "{missing}");
    }
}

/// A run on history recorded no market: said before anything is done.
#[test]
fn a_backtest_like_a_backtest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let run = dir.path().join("run");
    backtest(&options, &run, no_snapshots(dir.path()), None, &mut |_| ()).unwrap();
    let error = like(Recorded::open(&run).unwrap(), None, run, false, BINARY).err().unwrap().to_string();
    assert!(error.contains("recorded no market") && error.contains("--journal"), "{error}");
}

/// Where fills differ, `compare` names the first, says whether the decisions before it were equal, and tells the gap of
/// each order in money and basis points.
#[test]
fn fills_that_differ_are_told_order_by_order() {
    let dir = tempfile::tempdir().unwrap();
    let history = market(dir.path());
    let slips = options(
        &history,
        "sma-cross",
        &[("fast", "2"), ("slow", "5"), ("quantity", "3")],
        &[("exchange.slippage", "bps:10")],
    );
    let prepared = Prepared::open(&slips).unwrap();
    let session = dir.path().join("session");
    record(&session, &slips, &prepared, &feed(&slips, &prepared));
    let (mut like_options, prepared) =
        like(Recorded::open(&session).unwrap(), None, dir.path().join("run"), false, BINARY).unwrap();
    like_options.plan = like_options.plan.with(&[("exchange.slippage".to_owned(), "none".to_owned())], &[]).unwrap();
    let journal = dir.path().join("plain");
    prepared.replay(&like_options, &journal, no_snapshots(dir.path()), None, &mut |_| ()).unwrap();
    let found = compare(&Recorded::open(&session).unwrap(), &Recorded::open(&journal).unwrap(), 5).unwrap();
    assert_eq!((found.verdict, found.orders.is_equal(), found.decided_alike_until_then), ("different", true, true));
    assert!(found.first_fill.is_some() && found.gaps.len() as u64 == found.fills.different);
    for gap in &found.gaps {
        let bps = gap.better_bps.unwrap().0;
        assert!(
            (990_000_000..=1_700_000_000).contains(&bps),
            "without slippage it is 10 bps better, and the rounding to a tick: {gap:?}"
        );
        assert!(gap.better_by.0 > 0);
    }
    let total: i128 = found.gaps.iter().map(|gap| gap.better_by.0).sum();
    // Every order is a fill whole, and both sides hold at the end what they bought: the gap is the difference in profit.
    assert_eq!(total, found.pnl_delta.0 + found.fees_delta.0);
}

/// Every order of a session on a live market is explained: the bar it was decided on, the trade that filled it.
#[test]
fn orders_of_a_live_session_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let session = dir.path().join("session");
    record(&session, &options, &prepared, &feed(&options, &prepared));
    let recorded = Recorded::open(&session).unwrap();
    let orders = events(&session).iter().filter(|(.., event)| matches!(event, Event::OrderIntent(_))).count();
    assert!(orders > 20);
    for order in 1..=orders as u64 {
        let told = explain(&recorded, &[], None, OrderId(order), 8).unwrap();
        let candle = told.candle.as_ref().expect("a bar was built before anything was decided");
        assert_eq!(told.seen.bars.last(), Some(candle), "it was decided on the last bar that was seen");
        assert_eq!(candle.candle.close(), told.intent.reference);
        assert!(told.seen.bars.len() >= 5 && told.seen.kind == "bar");
        let Some(Event::TradePrint(print)) = told.event.as_ref().map(|seen| &seen.event) else {
            panic!("order {order} follows from {:?}", told.event)
        };
        assert_eq!(print.price(), candle.candle.close());
        for step in &told.steps {
            if let Event::Fill(fill) = &step.event {
                let Some(Event::TradePrint(print)) = step.cause.as_ref().map(|seen| &seen.event) else {
                    panic!("a fill of order {order} follows from {:?}", step.cause)
                };
                assert_eq!(print.price(), fill.price, "plain fills are at the price that traded");
            }
        }
    }
}

/// A live session is taken up after any of its frames: without a change the fork is the rest of the session, with one
/// it parts, and the fork audits on the session's journal.
#[test]
fn a_live_session_is_forked() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let run = dir.path().join("session");
    let session = run.join("journal");
    std::fs::create_dir_all(&run).unwrap();
    record(&session, &options, &prepared, &feed(&options, &prepared));
    let recorded = Recorded::open(&session).unwrap();
    let frames = recorded.journal.head().frames;
    let fork_at = |at: u64, changes: &[(&str, &str)]| {
        let out = dir.path().join(format!("fork-{at}-{}", changes.len()));
        let changes = changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let options = ForkOptions {
            candidates: Vec::new(),
            calendar_file: None,
            trust: Trust::default(),
            at,
            changes,
            out: out.clone(),
            force: false,
            binary: BINARY,
            limit: 5,
            chart_trades: 5,
        };
        let forked = fork(&recorded, &options, &|| 0.0, &mut |_| ()).unwrap();
        let journal = out.join("journal");
        let report =
            audit(&Recorded::open(&journal).unwrap(), &recorded_inputs(&out), BINARY, None, None, &mut |_| ()).unwrap();
        assert_eq!((report.verdict, report.first_difference), ("equal", None), "forked after {at}");
        (forked, journal)
    };
    for at in (recorded.outputs..frames - 2).step_by(frames as usize / 7) {
        let (forked, journal) = fork_at(at, &[]);
        assert_eq!(forked.comparison.verdict, "equal", "without a change, forked after {at}");
        let behind = |path: &Path, from: u64| {
            let all = Journal::open(path).unwrap();
            let (mut cursor, mut found) = (all.cursor(from), Vec::new());
            while let Some(frame) = cursor.next().unwrap() {
                if Kind::from_number(frame.kind).unwrap().is_output() {
                    found.push((frame.time, frame.kind, frame.payload.to_vec()));
                }
            }
            found
        };
        assert_eq!(behind(&journal, 3), behind(&session, forked.parent.seq + 1), "byte for byte, forked after {at}");
    }
    let (forked, journal) = fork_at(frames / 3, &[("slow", "9")]);
    assert_eq!(forked.comparison.verdict, "different");
    let again = Recorded::open(&journal).unwrap();
    let first = events(&journal).iter().find_map(|(.., event)| match event {
        Event::OrderIntent(intent) => Some(intent.order),
        _ => None,
    });
    let told = explain(&again, std::slice::from_ref(&session), None, first.expect("the fork trades"), 6).unwrap();
    assert_eq!(told.seen.bars.len(), 6, "bars of before the fork stand in the session it took up");
    // A fork of the fork: two plans on one recorded market.
    let out = dir.path().join("second");
    let options = ForkOptions {
        candidates: vec![session],
        calendar_file: None,
        trust: Trust::default(),
        at: again.journal.head().frames / 2,
        changes: vec![("slow".to_owned(), "7".to_owned())],
        out: out.clone(),
        force: false,
        binary: BINARY,
        limit: 5,
        chart_trades: 5,
    };
    fork(&again, &options, &|| 0.0, &mut |_| ()).unwrap();
    let second = Recorded::open(&out.join("journal")).unwrap();
    let report = audit(&second, &recorded_inputs(&out), BINARY, None, None, &mut |_| ()).unwrap();
    assert_eq!((report.verdict, report.first_difference), ("equal", None));
}

/// P5: states are taken on the way; an audit derives the rest from each of them, and a restart from the newest is the
/// session that was never interrupted. A state of other frames is not believed.
#[test]
fn a_restart_from_a_state_on_the_way_is_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(
        &market(dir.path()),
        "policy-momentum",
        &[("bars", "2"), ("threshold", "0.2")],
        &[("risk.safe_trading_start", "09:30")],
    );
    let prepared = Prepared::open(&options).unwrap();
    let feed = feed(&options, &prepared);
    let run = dir.path().join("run");
    let session = run.join("journal");
    std::fs::create_dir_all(&run).unwrap();
    let content = record_with_states(&run, &options, &prepared, &feed);
    let recorded = Recorded::open(&session).unwrap();
    let store = Snapshots::new(&run.join("cache"), 100);
    let seqs = store.all(Saved::key(&recorded.header)).unwrap();
    assert!(seqs.len() > 5, "{seqs:?}");
    let report = audit(&recorded, &[], BINARY, None, Some(&store), &mut |_| ()).unwrap();
    assert_eq!((report.verdict, report.first_difference), ("equal", None));
    assert_eq!(report.snapshots, seqs.len() as u64);

    let frames = recorded.journal.head().frames;
    let new_core = || Ok(core(&options, &prepared));
    for at in (seqs[0]..frames - 1).step_by(frames as usize / 9) {
        let path = dir.path().join(format!("cut-{at}"));
        cut(&session, &path, at);
        let partial = Recorded::open(&path).unwrap();
        let mut heard = 0;
        let mut inputs = partial.inputs();
        while daybook_replay::Source::advance(&mut inputs).unwrap() {
            heard += 1;
        }
        let writer = Writer::open(&path, small()).unwrap();
        let mut recorder = Recorder::resume_from(&partial, writer, new_core, &store).unwrap();
        for (time, input) in &feed[heard..] {
            recorder.hear(*time, input).unwrap();
        }
        let head = recorder.end(None).unwrap();
        assert_eq!(daybook_vocabulary::Hash(head.content.0), content, "cut before frame {at}");
    }

    // The same header, another market from some point on, as after a crash that lost the tail: its states are others.
    let other = dir.path().join("other");
    std::fs::create_dir_all(&other).unwrap();
    let half: Vec<_> = feed[..feed.len() / 2].iter().chain(&feed[feed.len() / 2 + 1..]).cloned().collect();
    record_with_states(&other, &options, &prepared, &half);
    let lost = Recorded::open(&other.join("journal")).unwrap();
    let report = audit(&lost, &[], BINARY, None, Some(&store), &mut |_| ()).unwrap();
    assert_eq!(report.verdict, "equal");
    assert!(report.snapshots > 0 && report.snapshots < seqs.len() as u64, "{} are believed", report.snapshots);
}

fn record_with_states(
    run: &Path,
    options: &BacktestOptions,
    prepared: &Prepared,
    feed: &[(Nanos, Heard)],
) -> daybook_vocabulary::Hash {
    let session = run.join("journal");
    let writer = Writer::create(&session, small()).unwrap();
    let header = header(options, prepared);
    let begins = feed[0].0;
    let instruments = &prepared.selection.instruments;
    let mut recorder = Recorder::begin(session, writer, &header, instruments, begins, core(options, prepared)).unwrap();
    recorder.keep_snapshots(Saver::new(run, &header, 100).every(40, 0));
    for (time, heard) in feed {
        recorder.hear(*time, heard).unwrap();
        recorder.commit().unwrap();
        // As slow as a market: the state before is written when the next one is due.
        if recorder.core().counts().inputs.is_multiple_of(40) {
            std::thread::sleep(std::time::Duration::from_millis(8));
        }
    }
    daybook_vocabulary::Hash(recorder.end(None).unwrap().content.0)
}

/// The last day of the market as a session on paper, told the time every second; `warm_up` are journals of history.
fn paper_day(run: &Path, backtest: &BacktestOptions, warm_up: &[PathBuf], kill_at: Option<u64>) -> PaperOptions {
    let prepared = Prepared::open(backtest).unwrap();
    let day: Date = "2025-06-11".parse().unwrap();
    let prints: Vec<_> = feed(backtest, &prepared)
        .into_iter()
        .filter(|(time, heard)| prepared.calendar.date_of(*time) == day && matches!(heard, Heard::Print(..)))
        .collect();
    let options = PaperOptions {
        plan: backtest.plan.clone(),
        instruments: prepared.selection.instruments.clone(),
        interval: prepared.selection.interval,
        calendar: prepared.calendar.clone(),
        grace: 2_000_000_000,
        run: run.to_owned(),
        binary: BINARY,
        warm_up: warm_up.to_vec(),
    };
    let second = 1_000_000_000;
    let begins = prints[0].0 + -300 * second;
    let mut session = PaperSession::open(&options, begins).unwrap().expect("a trading day");
    let (mut now, mut next, mut seconds) = (begins, 0, 0);
    while session.pilot.stage() != Stage::Over {
        let mut hear = |_: Nanos, _: &[daybook_core::Output]| ();
        while prints.get(next).is_some_and(|(time, _)| *time <= now) {
            session.pilot.feed(now, &prints[next].1, &mut hear).unwrap();
            next += 1;
        }
        session.pilot.time(now, &mut hear).unwrap();
        session.pilot.recorder().commit().unwrap();
        (now, seconds) = (now + second, seconds + 1);
        if Some(seconds) == kill_at {
            drop(session);
            session = PaperSession::open(&options, now).unwrap().expect("a trading day");
            assert!(session.resumed_frames > 300);
        }
    }
    if kill_at == Some(u64::MAX) {
        // Killed between the end of the journal and the manifest.
        session.pilot.end(None).unwrap();
    } else {
        session.end(None).unwrap();
    }
    options
}

/// RL-25, P5: warmed up from history, a session on paper decides from its first bar on what a backtest from that day on
/// decides; what warmed it up is in its own journal, so that it audits, and is taken up, with nothing beside it.
#[test]
fn a_session_is_warmed_up_from_history() {
    let dir = tempfile::tempdir().unwrap();
    let history = market(dir.path());
    let strategy = options(&history, "sma-cross", &[("fast", "2"), ("slow", "30"), ("quantity", "3")], &[]);
    let (cold, warm, killed) = (dir.path().join("cold"), dir.path().join("warm"), dir.path().join("killed"));
    paper_day(&cold, &strategy, &[], None);
    let warm_up = [history.clone()];
    paper_day(&warm, &strategy, &warm_up, None);
    paper_day(&killed, &strategy, &warm_up, Some(9_000));
    let decided = |path: &Path, day: &str| -> Vec<_> {
        let date: Date = day.parse().unwrap();
        let of_day = |time: &Nanos| daybook_config::Calendar::nse().date_of(*time) == date;
        let all = events(path).into_iter().filter(|(time, ..)| of_day(time));
        let intents = all.filter_map(|(_, stream, event)| match event {
            Event::OrderIntent(it) => Some((stream, it.side, it.quantity, it.reference, it.reason)),
            _ => None,
        });
        intents.collect()
    };
    let day = "2025-06-11";
    let journal = warm.join("journal");
    let from = BacktestOptions { from: Some(day.parse().unwrap()), ..strategy.clone() };
    let run = dir.path().join("run");
    backtest(&from, &run, no_snapshots(dir.path()), None, &mut |_| ()).unwrap();
    assert!(decided(&run, day).len() > 1);
    assert_eq!(decided(&journal, day), decided(&run, day), "what a backtest from that day on decides");
    assert_ne!(decided(&cold.join("journal"), day), decided(&run, day), "without a warm-up it knows too little");
    assert_eq!(decided(&killed.join("journal"), day), decided(&run, day), "taken up in the middle");
    for path in [&warm, &killed] {
        let recorded = Recorded::open(&path.join("journal")).unwrap();
        let report = audit(&recorded, &[], BINARY, None, None, &mut |_| ()).unwrap();
        assert_eq!((report.verdict, report.first_difference), ("equal", None));
        let found = status(&recorded, None, true).unwrap();
        assert_eq!((found.stage, found.session), (DayStage::Over, Some(day.parse().unwrap())));
        assert!(found.counts.bars <= 2 * 75, "bars of the warm-up are not counted: {}", found.counts.bars);
    }
    let opened = Recorded::open(&journal).unwrap();
    let (like_options, prepared) = like(opened, None, dir.path().join("like"), false, BINARY).unwrap();
    let again = dir.path().join("like-journal");
    prepared.replay(&like_options, &again, no_snapshots(dir.path()), None, &mut |_| ()).unwrap();
    assert_eq!(outputs(&journal), outputs(&again), "a backtest of its market is warmed up the same way");

    // A history that ends too early leaves a gap: refused, with the command that closes it.
    let late = WarmUp::open(&warm_up, "2025-06-16".parse().unwrap()).unwrap();
    let prepared = Prepared::open(&strategy).unwrap();
    let error = late.check(&strategy.plan, &prepared.selection, &prepared.calendar).unwrap_err().to_string();
    assert!(error.contains("A ends 2025-06-11") && error.contains("daybook fetch"), "{error}");
}

/// A process that died between the end of its session's journal and the manifest left a session that is over: the next
/// start only finishes it.
#[test]
fn a_session_that_ended_without_its_manifest_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let strategy = crossover(&market(dir.path()));
    let run = dir.path().join("run");
    paper_day(&run, &strategy, &[], Some(u64::MAX));
    assert!(!run.join("manifest.json").exists());
    let found = status(&Recorded::open(&run.join("journal")).unwrap(), None, false).unwrap();
    assert!(found.ended);
    let key = daybook_journal::SealKey::load_or_create(&dir.path().join("seal.key")).unwrap();
    assert!(PaperSession::finish(&run, Some(&key)).unwrap());
    assert!(run.join("manifest.json").exists() && !PaperSession::finish(&run, Some(&key)).unwrap());
    let recorded = Recorded::open(&run.join("journal")).unwrap();
    assert_eq!(recorded.journal.seals().len(), 1);
    assert_eq!(audit(&recorded, &[], BINARY, None, None, &mut |_| ()).unwrap().verdict, "equal");
    assert!(PaperSession::check(&run).unwrap_err().to_string().contains("the session is over"));
}

/// A clock that jumps over the close, as a machine that slept or a market at full speed shows it: the last decision point
/// and the close are taken all the same.
#[test]
fn a_clock_that_jumps_over_the_close_closes_the_day() {
    let dir = tempfile::tempdir().unwrap();
    let strategy = crossover(&market(dir.path()));
    let prepared = Prepared::open(&strategy).unwrap();
    let options = PaperOptions {
        plan: strategy.plan.clone(),
        instruments: prepared.selection.instruments.clone(),
        interval: prepared.selection.interval,
        calendar: prepared.calendar.clone(),
        grace: 2_000_000_000,
        run: dir.path().join("run"),
        binary: BINARY,
        warm_up: Vec::new(),
    };
    let at = |text: &str| text.parse::<Nanos>().unwrap();
    let mut session = PaperSession::open(&options, at("2025-06-11T15:12:00+05:30")).unwrap().unwrap();
    let mut hear = |_: Nanos, _: &[daybook_core::Output]| ();
    for time in ["2025-06-11T15:12:01+05:30", "2025-06-11T15:15:03+05:30", "2025-06-11T16:40:00+05:30"] {
        assert!(session.pilot.stage() != Stage::Over, "before {time}");
        session.pilot.time(at(time), &mut hear).unwrap();
    }
    // What ended while nobody looked is one decision point; the close is another, at once.
    session.pilot.time(at("2025-06-11T16:40:00+05:30"), &mut hear).unwrap();
    assert_eq!(session.pilot.stage(), Stage::Over);
}

/// A session that was cut off right behind a note on its feed audits equal: the note is no output. So does one that ends
/// behind a note: its last digest is as late as the note.
#[test]
fn a_note_at_the_end_of_what_is_left_is_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    let options = crossover(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let feed = feed(&options, &prepared);
    let header = header(&options, &prepared);
    let instruments = &prepared.selection.instruments;
    for ends in [false, true] {
        let session = dir.path().join(if ends { "ended" } else { "left" });
        let writer = Writer::create(&session, small()).unwrap();
        let mut recorder =
            Recorder::begin(session.clone(), writer, &header, instruments, feed[0].0, core(&options, &prepared))
                .unwrap();
        for (time, heard) in &feed[..feed.len() / 2] {
            recorder.hear(*time, heard).unwrap();
        }
        let lost = daybook_vocabulary::FeedState {
            change: daybook_vocabulary::FeedChange::Lost,
            gap_since: None,
            dropped: 0,
            reason: String::new(),
        };
        let later = Nanos(feed[feed.len() / 2].0.0 + 50_000_000);
        recorder.note(later, &lost).unwrap();
        if ends {
            recorder.end(None).unwrap()
        } else {
            recorder.leave().unwrap()
        };
        let report = audit(&Recorded::open(&session).unwrap(), &[], BINARY, None, None, &mut |_| ()).unwrap();
        assert_eq!((report.verdict, report.first_difference), ("equal", None), "ends: {ends}");
    }
}
