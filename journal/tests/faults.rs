//! A storage that fails: every call, with every kind of error, then a restart with or without power.
//!
//! - P2: what a sync returned for is there afterwards, and nothing that was never appended.
//! - P6: the first failure stops the writer; a full disk leaves the reserve, and only that.
//! - Must never: count a run in which the fault did not strike.

mod common;

use common::*;
use daybook_journal::storage::{Countdown, Fate, SimulatedDisk, Storage};
use daybook_journal::{Draft, Journal, JournalError, Options, Result, SealKey, Writer, verify_on};
use std::io::ErrorKind;
use std::sync::Arc;

const LONGEST: u64 = 700;
const KINDS: [ErrorKind; 9] = [
    ErrorKind::StorageFull,
    ErrorKind::QuotaExceeded,
    ErrorKind::PermissionDenied,
    ErrorKind::NotFound,
    ErrorKind::Interrupted,
    ErrorKind::TimedOut,
    ErrorKind::UnexpectedEof,
    ErrorKind::WriteZero,
    ErrorKind::Other,
];

/// What a program saw before its storage failed.
#[derive(Debug, Default)]
struct Seen {
    /// Frames that a sync returned for.
    acknowledged: u64,
    /// Frames that were handed over at all.
    appended: u64,
    /// Whether the journal was ever there.
    created: bool,
}

fn key() -> SealKey {
    let keys = tempfile::tempdir().expect("a directory");
    SealKey::load_or_create(&keys.path().join("key")).expect("makes a key")
}

fn options() -> Options {
    Options { reserve: true, ..small() }
}

/// One life of a journal: created, filled over several segments, sealed, closed, opened, filled.
fn life(storage: &Arc<dyn Storage>, key: &SealKey, seen: &mut Seen) -> Result<()> {
    let mut writer = Writer::create_on(storage.clone(), dir(), options())?;
    seen.created = true;
    let add = |writer: &mut Writer, count: u64, seen: &mut Seen| -> Result<()> {
        for _ in 0..count {
            let seq = writer.next_seq();
            seen.appended = seq + 1;
            writer.append(draft(seq), &payload(seq, LONGEST))?;
        }
        Ok(())
    };
    for round in 0..4 {
        add(&mut writer, 9, seen)?;
        writer.commit()?;
        add(&mut writer, 5, seen)?;
        let proofs = writer.commit_durable(vec![round])?;
        assert_eq!(*proofs[0], round);
        seen.acknowledged = seen.appended;
    }
    writer.seal(key)?;
    add(&mut writer, 3, seen)?;
    let head = writer.close()?;
    seen.acknowledged = head.frames;
    let mut writer = Writer::open_on(storage.clone(), dir(), options())?;
    add(&mut writer, 11, seen)?;
    writer.sync()?;
    seen.acknowledged = seen.appended;
    add(&mut writer, 2, seen)?;
    writer.commit()?;
    drop(writer);
    // Killed: what was committed and not synced is copied to a new segment.
    let mut writer = Writer::open_on(storage.clone(), dir(), options())?;
    assert_eq!(writer.head().frames, seen.appended);
    add(&mut writer, 1, seen)?;
    writer.close()?;
    seen.acknowledged = seen.appended;
    Ok(())
}

/// The next start, on a disk that works: nothing acknowledged is missing, nothing is invented.
fn check_restart(disk: &SimulatedDisk, seen: &Seen, context: &str) {
    let opened = Writer::open_on(shared(disk), dir(), options());
    let mut writer = match opened {
        Ok(writer) => writer,
        Err(JournalError::Missing { .. }) if seen.acknowledged == 0 && !seen.created => {
            Writer::create_on(shared(disk), dir(), options()).unwrap_or_else(|error| panic!("{context}: {error}"))
        }
        Err(error) => panic!("{context}: {error}"),
    };
    let frames = writer.head().frames;
    assert!((seen.acknowledged..=seen.appended).contains(&frames), "{context}: {frames} frames, {seen:?}");
    append(&mut writer, 20, LONGEST);
    writer.close().unwrap_or_else(|error| panic!("{context}: {error}"));
    let journal = Journal::open_on(shared(disk), dir()).expect("opens");
    assert_eq!(journal.head().frames, frames + 20, "{context}");
    assert_all_written(&journal, LONGEST, &context);
    let verdict = verify_on(&shared(disk), dir(), None, &[]).expect("judges");
    assert!(verdict.is_sound(), "{context}: {verdict:?}");
}

#[test]
fn p2_every_call_failing_with_every_error_loses_nothing_acknowledged() {
    let key = key();
    let counter = Countdown::new(Arc::new(SimulatedDisk::new()), u64::MAX, ErrorKind::Other);
    let storage: Arc<dyn Storage> = Arc::new(counter.clone());
    life(&storage, &key, &mut Seen::default()).expect("nothing fails");
    let calls = usize::try_from(counter.calls()).expect("few");
    assert!(calls > 150, "only {calls} calls");
    in_parallel(calls * KINDS.len(), |number| {
        let (call, kind) = (number / KINDS.len(), KINDS[number % KINDS.len()]);
        let context = format!("call {call} failing with {kind:?}");
        let disk = SimulatedDisk::new();
        let fault = Countdown::new(Arc::new(disk.clone()), call as u64, kind);
        let storage: Arc<dyn Storage> = Arc::new(fault.clone());
        let mut seen = Seen::default();
        let lived = life(&storage, &key, &mut seen);
        assert!(fault.fired(), "{context}: the fault did not strike");
        if let Err(error) = &lived {
            assert!(!error.to_string().is_empty(), "{context}");
        }
        drop(storage);
        let dark = disk.power_cut(|_| Fate::Dropped);
        let torn = disk.power_cut(|_| Fate::Zeroed);
        check_restart(&disk.fork(), &seen, &format!("{context}, process gone"));
        check_restart(&dark, &seen, &format!("{context}, power gone"));
        check_restart(&torn, &seen, &format!("{context}, power gone, sectors torn"));
    });
}

#[test]
fn p2_recovery_itself_may_be_cut_off_at_every_call() {
    // A journal with acknowledged frames, then batches that were never synced, in several segments.
    let disk = SimulatedDisk::new();
    let unsynced = Options { sync_segments: false, ..small() };
    let mut writer = Writer::create_on(shared(&disk), dir(), unsynced.clone()).expect("creates");
    append(&mut writer, 20, LONGEST);
    writer.sync().expect("syncs");
    for _ in 0..12 {
        append(&mut writer, 13, LONGEST);
        writer.commit().expect("commits");
    }
    let seen = Seen { acknowledged: 20, appended: writer.next_seq(), created: true };
    drop(writer);
    let open = |storage: Arc<dyn Storage>| Writer::open_on(storage, dir(), unsynced.clone());
    let counter = Countdown::new(shared(&disk.fork()), u64::MAX, ErrorKind::Other);
    let whole = open(Arc::new(counter.clone())).expect("recovers");
    assert_eq!(whole.recovery().frames_copied, 156, "all were committed");
    assert!(!whole.recovery().was_clean());
    let calls = usize::try_from(counter.calls()).expect("few");
    in_parallel(calls * 4, |number| {
        let (call, mood) = (number / 4, number % 4);
        let disk = disk.fork();
        let fault = Countdown::new(shared(&disk), call as u64, ErrorKind::Other);
        assert!(open(Arc::new(fault)).is_err(), "call {call} fails");
        let mut random = Random(number as u64);
        let after = match mood {
            0 => disk,
            1 => disk.power_cut(|_| Fate::Kept),
            // What the first life had not synced may be lost in part: above 20, that is fine.
            2 => disk.power_cut(|_| Fate::Dropped),
            _ => disk.power_cut(|_| [Fate::Kept, Fate::Dropped, Fate::Zeroed][random.below(3) as usize]),
        };
        check_restart(&after, &seen, &format!("recovery cut off at call {call}, mood {mood}"));
    });
}

/// Fills the disk: no further block can be had.
fn fill(disk: &SimulatedDisk) {
    disk.set_capacity(Some(0));
}

#[test]
fn p6_a_full_disk_halts_and_the_reserve_takes_the_exits() {
    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), options()).expect("creates");
    append(&mut writer, 5, LONGEST);
    writer.sync().expect("syncs");
    fill(&disk);
    let refused = loop {
        let seq = writer.next_seq();
        let appended = writer.append(draft(seq), &payload(seq, LONGEST)).and_then(|_| writer.commit());
        if let Err(error) = appended {
            break error;
        }
    };
    assert!(matches!(refused, JournalError::DiskFull { .. }), "{refused}");
    let full_at = writer.next_seq();
    for _ in 0..3 {
        let again = writer.append(draft(full_at), b"").expect_err("it is halted");
        assert!(matches!(again, JournalError::DiskFull { .. }), "{again}");
        assert!(writer.commit().is_err() && writer.sync().is_err());
    }
    assert_eq!(writer.next_seq(), full_at, "a refused frame takes no seq");
    for _ in 0..3 {
        let seq = writer.next_seq();
        let given = writer.append_reserved(draft(seq), &payload(seq, LONGEST));
        assert_eq!(given.expect("the reserve takes it"), seq);
        assert_eq!(writer.commit_durable(vec!["exit"]).expect("durable").len(), 1);
        assert!(writer.append(draft(seq + 1), b"").is_err(), "for exits only");
    }
    let frames = writer.head().frames;
    assert_eq!(frames, full_at + 3);
    drop(writer);
    disk.set_capacity(None);
    let dark = disk.power_cut(|_| Fate::Dropped);
    let journal = Journal::open_on(shared(&dark), dir()).expect("opens");
    assert_eq!(journal.head().frames, frames);
    assert_all_written(&journal, LONGEST, &"after the reserve was used");
    let mut writer = Writer::open_on(shared(&dark), dir(), options()).expect("opens");
    append(&mut writer, 30, LONGEST);
    writer.close().expect("closes");
    assert!(verify_on(&shared(&dark), dir(), None, &[]).expect("judges").is_sound(), "a new reserve was made");
}

#[test]
fn p6_the_reserve_ends_and_says_so() {
    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), options()).expect("creates");
    fill(&disk);
    let mut taken = 0;
    let error = loop {
        let seq = writer.next_seq();
        let given = writer.append_reserved(draft(seq), &payload(seq, LONGEST)).and_then(|_| writer.sync());
        match given {
            Ok(()) => taken = seq + 1,
            Err(JournalError::DiskFull { .. }) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::NoReserve { .. }), "{error}");
    assert!(taken > 25, "two segments' worth, not {taken}");
    assert!(matches!(writer.append_reserved(draft(0), b""), Err(JournalError::Poisoned { .. })));
    drop(writer);
    assert_eq!(Journal::open_on(shared(&disk), dir()).expect("opens").head().frames, taken);

    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
    fill(&disk);
    while writer.append(draft(writer.next_seq()), &[1; 900]).and_then(|_| writer.commit()).is_ok() {}
    let error = writer.append_reserved(draft(0), b"").expect_err("there is none");
    assert!(matches!(error, JournalError::NoReserve { .. }), "{error}");
}

#[test]
fn p6_a_failed_sync_stops_the_writer_and_reopening_copies_what_it_cannot_trust() {
    // Find a sync of the segment: a countdown that strikes in `sync`, not in the write before it.
    let (mut poisoned, mut seen_lost) = (0, false);
    for call in 0..60 {
        let disk = SimulatedDisk::new();
        let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
        append(&mut writer, 4, LONGEST);
        writer.sync().expect("syncs");
        drop(writer);
        let fault = Countdown::new(shared(&disk), call, ErrorKind::Other);
        let Ok(mut writer) = Writer::open_on(Arc::new(fault.clone()), dir(), small()) else {
            continue;
        };
        append(&mut writer, 4, LONGEST);
        if writer.commit().is_err() || writer.sync().is_ok() {
            continue;
        }
        poisoned += 1;
        let after = [
            writer.append(Draft::default(), b"").map(|_| ()),
            writer.append_reserved(Draft::default(), b"").map(|_| ()),
            writer.commit(),
            writer.sync(),
        ];
        for result in after {
            let error = result.expect_err("the first failure is the last");
            assert!(matches!(error, JournalError::Poisoned { .. }), "{error}");
        }
        drop(writer);
        disk.forget_unsynced();
        let lost = disk.power_cut(|_| Fate::Kept);
        let lost = Journal::open_on(shared(&lost), dir()).expect("opens").head().frames;
        assert!(lost == 4 || lost == 8, "the frames are readable and may not be on the platter");
        seen_lost |= lost == 4;
        let again = Writer::open_on(shared(&disk), dir(), small()).expect("opens");
        assert_eq!(again.head().frames, 8);
        // Either the segment's sync failed: all four are copied. Or the high-water's write did.
        assert_eq!(again.recovery().frames_copied, 4);
        assert_eq!(again.synced_frames(), 8, "and durable now");
        drop(again);
        let dark = disk.power_cut(|_| Fate::Dropped);
        assert_eq!(Journal::open_on(shared(&dark), dir()).expect("opens").head().frames, 8);
    }
    assert!(seen_lost, "a failed sync did lose pages");
    assert!(poisoned >= 2, "sync and high-water each failed once, not {poisoned}");
}
