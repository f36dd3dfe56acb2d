//! The ways to read a journal besides front to back: merged, by time, by run, by index.
//!
//! - Each is compared with the obvious way to get the same answer.
//! - What lies in `cache/` may be missing, torn or wrong: the answers stay.
//! - Must never: need a file from outside.

use daybook_journal::storage::{SimulatedDisk, Storage};
use daybook_journal::{
    Draft, Hash, Index, Journal, JournalError, MemoryIndex, Merge, Options, SledIndex, Snapshots, Writer, catch_up,
    flags,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn small() -> Options {
    Options { segment_bytes: 64 * 1024, ..Options::default() }
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("journal");
    (dir, path)
}

/// Runs of `len` frames each, times starting at `first` and going up by 10.
fn write_runs(dir: &Path, runs: &[(i64, u64)]) {
    let mut writer = Writer::open_or_create(dir, small()).expect("opens");
    for (first, len) in runs {
        for at in 0..*len {
            let draft = Draft {
                time: first + 10 * (at / 2) as i64,
                kind: (at % 3) as u16,
                flags: if at == 0 { flags::RUN_START } else { 0 },
                stream: at as u32,
                ..Draft::default()
            };
            writer.append(draft, &at.to_le_bytes()).expect("appends");
        }
    }
    writer.close().expect("closes");
}

/// Every frame's (seq, time), read front to back.
fn times(journal: &Journal) -> Vec<i64> {
    let mut cursor = journal.cursor(0);
    let mut times = Vec::new();
    while let Some(frame) = cursor.next().expect("sound") {
        times.push(frame.time);
    }
    times
}

#[test]
fn runs_and_times_are_found_with_and_without_the_sidecar() {
    let (_keep, dir) = scratch();
    write_runs(&dir, &[(1_000, 9_000), (0, 1), (500, 5_000), (-70_000, 12_345)]);
    for round in 0..4 {
        let sidecar = dir.join("cache/sidecar");
        match round {
            0 => assert!(!sidecar.exists()),
            1 => assert!(sidecar.exists(), "it was kept"),
            2 => std::fs::remove_file(&sidecar).expect("removes"),
            _ => std::fs::write(&sidecar, "rubbish").expect("spoils"),
        }
        let journal = Journal::open(&dir).expect("opens");
        let runs = journal.runs().expect("runs").to_vec();
        let frames: Vec<(u64, u64)> = runs.iter().map(|run| (run.first_seq, run.frames)).collect();
        assert_eq!(frames, [(0, 9_000), (9_000, 1), (9_001, 5_000), (14_001, 12_345)]);
        let times = times(&journal);
        for (number, run) in runs.iter().enumerate() {
            let range = run.first_seq as usize..run.end() as usize;
            let (first, last) = (times[range.start], times[range.end - 1]);
            for time in [i64::MIN, first - 1, first, first + 5, (first + last) / 2, last, last + 1, i64::MAX] {
                let expected = range.start + times[range.clone()].partition_point(|at| *at < time);
                let found = journal.seek_time(number, time).expect("seeks");
                assert_eq!(found, expected as u64, "run {number}, time {time}, round {round}");
            }
        }
        for seq in [0, 4_095, 4_096, 8_192, 14_001, 26_345] {
            assert_eq!(journal.frame(seq).expect("there").frame().time, times[seq as usize]);
        }
        assert!(matches!(journal.seek_time(4, 0), Err(JournalError::OutOfRange { .. })));
    }
}

#[test]
fn the_sidecar_grows_with_the_journal() {
    let (_keep, dir) = scratch();
    write_runs(&dir, &[(0, 5_000)]);
    assert_eq!(Journal::open(&dir).expect("opens").runs().expect("runs").len(), 1);
    write_runs(&dir, &[(7, 6_000), (3, 4)]);
    let journal = Journal::open(&dir).expect("opens");
    assert_eq!(journal.runs().expect("runs").len(), 3);
    assert_eq!(journal.runs().expect("runs")[2].frames, 4);
    // A sidecar of another journal's cache is of no use, and does no harm.
    let (_keep_too, other) = scratch();
    write_runs(&other, &[(1, 20_000)]);
    std::fs::create_dir(other.join("cache")).expect("makes");
    std::fs::copy(dir.join("cache/sidecar"), other.join("cache/sidecar")).expect("copies");
    let other = Journal::open(&other).expect("opens");
    assert_eq!(other.runs().expect("runs").len(), 1);
    assert_eq!(other.frame(19_999).expect("there").frame().stream, 19_999);
}

#[test]
fn merge_equals_sorting() {
    let keep = tempfile::tempdir().expect("a directory");
    for sources in 0..6usize {
        let mut expected: Vec<(i64, usize, u64)> = Vec::new();
        let mut cursors = Vec::new();
        for source in 0..sources {
            let dir = keep.path().join(format!("{sources}-{source}"));
            write_runs(&dir, &[(source as i64 * 7 % 11, 300 * source as u64)]);
            let journal = Journal::open(&dir).expect("opens");
            for (seq, time) in times(&journal).into_iter().enumerate() {
                expected.push((time, source, seq as u64));
            }
            cursors.push(journal.cursor(0));
        }
        expected.sort();
        let mut merge = Merge::new(cursors, |_, frame| frame.time);
        for (time, source, seq) in &expected {
            let (from, frame) = merge.next().expect("sound").expect("there");
            assert_eq!((frame.time, from, frame.seq), (*time, *source, *seq));
        }
        assert!(merge.next().expect("sound").is_none());
        assert!(merge.next().expect("sound").is_none(), "the end stays the end");
    }
}

/// Feeds every frame with stream divisible by 100 under "round", and all kinds under "kind".
fn feed_all(index: &mut dyn Index, journal: &Journal, version: u64) -> (u64, bool) {
    let caught_up = catch_up(index, journal, version, |frame, entries| {
        if frame.stream % 100 == 0 {
            entries.put("round", &frame.stream.to_be_bytes());
        }
        entries.put("kind", &frame.kind.to_be_bytes());
    })
    .expect("catches up");
    (caught_up.fed, caught_up.rebuilt)
}

fn check_index(index: &mut dyn Index, dir: &Path) {
    let journal = Journal::open(dir).expect("opens");
    feed_all(index, &journal, 1);
    let round = index.prefix("round", b"").expect("lists");
    assert_eq!(round.len(), 50);
    assert_eq!(index.get("round", &4_900u32.to_be_bytes()).expect("gets"), Some(4_900));
    assert_eq!(index.get("round", &4_901u32.to_be_bytes()).expect("gets"), None);
    assert_eq!(index.get("rou", b"").expect("gets"), None);
    assert_eq!(index.prefix("kind", &0u16.to_be_bytes()).expect("lists"), [(vec![0, 0], 4_998)]);
    assert_eq!(feed_all(index, &journal, 1), (0, false), "nothing is fed twice");
    assert_eq!(feed_all(index, &journal, 2), (5_000, true), "another version starts anew");
}

#[test]
fn both_indexes_give_the_same_answers() {
    let (_keep, dir) = scratch();
    write_runs(&dir, &[(0, 5_000)]);
    check_index(&mut MemoryIndex::new(), &dir);
    check_index(&mut SledIndex::open(&dir.join("cache")).expect("opens"), &dir);
}

#[test]
fn an_index_follows_its_journal_and_no_other() {
    let (_keep, dir) = scratch();
    write_runs(&dir, &[(0, 5_000)]);
    let cache = dir.join("cache");
    let mut index = SledIndex::open(&cache).expect("opens");
    let journal = Journal::open(&dir).expect("opens");
    assert_eq!(feed_all(&mut index, &journal, 1), (5_000, false));
    assert!(matches!(SledIndex::open(&cache), Err(JournalError::Index { .. })), "a store in use is not deleted");
    drop(index);
    write_runs(&dir, &[(9, 100)]);
    let mut index = SledIndex::open(&cache).expect("opens");
    let journal = Journal::open(&dir).expect("opens");
    assert_eq!(feed_all(&mut index, &journal, 1), (100, false), "only the tail is fed");
    assert_eq!(index.get("kind", &2u16.to_be_bytes()).expect("gets"), Some(5_098));
    // The same index beside another history: emptied.
    let (_keep_too, other) = scratch();
    write_runs(&other, &[(4, 7_000)]);
    let other = Journal::open(&other).expect("opens");
    assert_eq!(feed_all(&mut index, &other, 1), (7_000, true));
    // And one that is ahead of its journal.
    assert_eq!(feed_all(&mut index, &journal, 1), (5_100, true));
    drop(index);
    // A store that does not open is made anew.
    for entry in std::fs::read_dir(cache.join("index")).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::write(path, vec![0xA5; 3_000]).expect("spoils");
        }
    }
    let mut index = SledIndex::open(&cache).expect("opens all the same");
    assert_eq!(feed_all(&mut index, &journal, 1).0, 5_100);
}

#[test]
fn snapshots_are_found_by_key_and_thinned() {
    let disk = SimulatedDisk::new();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let snapshots = Snapshots::new_on(storage, Path::new("cache"), 3);
    let (key, other) = (Hash::of(b"key"), Hash::of(b"other"));
    assert_eq!(snapshots.latest(key, u64::MAX).expect("lists"), None);
    for seq in [10, 20, 30, 40] {
        snapshots.save(key, seq, format!("state {seq}").as_bytes()).expect("saves");
    }
    snapshots.save(other, 35, b"another").expect("saves");
    assert_eq!(snapshots.all(key).expect("lists"), [20, 30, 40]);
    assert_eq!(snapshots.load(key, 30).as_deref(), Some(&b"state 30"[..]));
    let latest = |max| snapshots.latest(key, max).expect("lists").map(|(seq, _)| seq);
    assert_eq!(latest(u64::MAX), Some(40));
    assert_eq!(latest(39), Some(30));
    assert_eq!(latest(19), None);
    // Every flipped bit of the newest makes it vanish; the one before takes its place.
    let entry = disk
        .list(Path::new("cache/snapshots"))
        .expect("lists")
        .into_iter()
        .find(|entry| entry.name.contains("40."))
        .expect("there");
    let path = Path::new("cache/snapshots").join(&entry.name);
    for bit in 0..entry.len as usize * 8 {
        disk.edit(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).expect("edits");
        assert_eq!(latest(u64::MAX), Some(30), "bit {bit}");
        disk.edit(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).expect("edits");
    }
    assert_eq!(latest(u64::MAX), Some(40));
}
