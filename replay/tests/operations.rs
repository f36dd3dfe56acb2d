//! What looks after a live session: status, taking its market through a backtest, explaining, forking, snapshots.

mod recorded;

use daybook_journal::{Journal, Snapshots};
use daybook_replay::status::{DayStage, status};
use daybook_replay::{
    ForkOptions, Prepared, Recorded, ReplayError, Snapshotting, audit, backtest, compare, explain, fork, like,
    recorded_inputs,
};
use daybook_vocabulary::{Event, Kind, OrderId};
use recorded::{BINARY, crossover, cut, events, feed, market, naive_books, options, record};
use std::collections::BTreeMap;
use std::path::Path;

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
        let report = audit(&right, &[session.clone()], BINARY, None, None, &mut |_| ()).unwrap();
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
    let told = explain(&again, &[session.clone()], None, first.expect("the fork trades"), 6).unwrap();
    assert_eq!(told.seen.bars.len(), 6, "bars of before the fork stand in the session it took up");
    // A fork of the fork: two plans on one recorded market.
    let out = dir.path().join("second");
    let options = ForkOptions {
        candidates: vec![session],
        calendar_file: None,
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
