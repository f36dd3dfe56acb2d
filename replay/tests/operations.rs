//! What looks after a live session: status, taking its market through a backtest, explaining, forking, snapshots.

mod recorded;

use daybook_replay::status::{DayStage, status};
use daybook_replay::{Prepared, Recorded};
use recorded::{crossover, cut, events, feed, market, naive_books, record};
use std::collections::BTreeMap;

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
    let snapshots =
        daybook_replay::Snapshotting { store: daybook_journal::Snapshots::new(&dir.path().join("cache"), 1), every: 0 };
    daybook_replay::backtest(&options, &run, snapshots, None, &mut |_| ()).unwrap();
    let error = status(&Recorded::open(&run).unwrap(), None, false).unwrap_err().to_string();
    assert!(error.contains("run on history") && error.contains("daybook trade"), "{error}");
}
