//! The everyday life of a journal, on the real file system: written, read, closed, opened again.
//!
//! - Every promise of the public types has its plain, undamaged case here.
//! - Must never: depend on the order of the tests.

use daybook_journal::storage::Files;
use daybook_journal::{Draft, Hash, Journal, JournalError, Options, SealKey, Writer, flags, verify};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

fn small() -> Options {
    Options { segment_bytes: 16 * 1024, ..Options::default() }
}

fn payload(seq: u64) -> Vec<u8> {
    let len = (seq * 37 % 151) as usize;
    (0..len).map(|at| (seq as usize * 7 + at) as u8).collect()
}

fn draft(seq: u64) -> Draft {
    Draft { time: 1_000 + seq as i64, kind: (seq % 5) as u16, schema: 1, flags: 0, stream: seq as u32 % 3 }
}

fn write(dir: &std::path::Path, options: Options, frames: std::ops::Range<u64>, batch: u64) {
    let mut writer = Writer::open_or_create(dir, options).expect("opens");
    for seq in frames {
        assert_eq!(writer.append(draft(seq), &payload(seq)).expect("appends"), seq);
        if seq % batch == 0 {
            writer.commit().expect("commits");
        }
    }
    writer.close().expect("closes");
}

fn assert_holds(journal: &Journal, frames: u64) {
    assert_eq!(journal.head().frames, frames);
    let mut cursor = journal.cursor(0);
    for seq in 0..frames {
        let frame = cursor.next().expect("sound").expect("there");
        assert_eq!(frame.seq, seq);
        assert_eq!(frame.time, draft(seq).time);
        assert_eq!(frame.kind, draft(seq).kind);
        assert_eq!(frame.stream, draft(seq).stream);
        assert_eq!(frame.payload, payload(seq));
        assert_eq!(frame.payload.as_ptr() as usize % 8, 0, "payloads are aligned");
    }
    assert!(cursor.next().expect("sound").is_none());
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("journal");
    (dir, path)
}

#[test]
fn what_was_written_reads_back_across_segments_and_openings() {
    let (_keep, dir) = scratch();
    write(&dir, small(), 0..1, 1);
    write(&dir, small(), 1..700, 13);
    write(&dir, small(), 700..5000, 1000);
    let journal = Journal::open(&dir).expect("opens");
    assert_holds(&journal, 5000);
    for seq in [0, 1, 699, 700, 4095, 4096, 4999] {
        let kept = journal.frame(seq).expect("there");
        assert_eq!(kept.frame().payload, payload(seq));
        assert_eq!(kept.frame().seq, seq);
    }
    assert!(matches!(journal.frame(5000), Err(JournalError::OutOfRange { .. })));
}

#[test]
fn content_depends_on_frames_alone() {
    let (_keep, one) = scratch();
    let (_keep_too, other) = scratch();
    write(&one, small(), 0..4500, 7);
    write(&other, Options::default(), 0..4500, 100_000);
    let one = Journal::open(&one).expect("opens");
    let other = Journal::open(&other).expect("opens");
    assert_eq!(one.head(), other.head());
    assert_eq!(one.id(), other.id());
    let mut seen: Vec<Hash> = Vec::new();
    for frames in [0, 1, 100, 101, 4095, 4096, 4097, 4499, 4500] {
        let content = one.content_at(frames).expect("hashes");
        assert_eq!(content, other.content_at(frames).expect("hashes"), "{frames} frames");
        assert!(!seen.contains(&content), "prefixes differ");
        seen.push(content);
    }
}

#[test]
fn time_steps_back_only_where_a_run_begins() {
    let (_keep, dir) = scratch();
    let mut writer = Writer::create(&dir, small()).expect("creates");
    writer.append(draft(10), b"").expect("appends");
    let error = writer.append(draft(9), b"").expect_err("steps back");
    assert!(error.to_string().contains("1009") && error.to_string().contains("1010"), "{error}");
    let run = Draft { flags: flags::RUN_START, ..draft(9) };
    assert_eq!(writer.append(run, b"").expect("a run may"), 1);
    assert_eq!(writer.close().expect("closes").frames, 2);
}

#[test]
fn what_is_not_a_journal_says_what_it_is() {
    let (keep, dir) = scratch();
    assert!(matches!(Journal::open(&dir), Err(JournalError::Missing { .. })));
    assert!(matches!(Writer::open(&dir, small()), Err(JournalError::Missing { .. })));
    std::fs::create_dir(&dir).expect("makes");
    assert!(matches!(Journal::open(&dir), Err(JournalError::Empty { .. })));
    std::fs::write(dir.join("notes.txt"), "hello").expect("writes");
    assert!(matches!(Journal::open(&dir), Err(JournalError::NotAJournal { .. })));
    assert!(matches!(Writer::create(&dir, small()), Err(JournalError::AlreadyExists { .. })));
    let file = keep.path().join("file");
    std::fs::write(&file, "hello").expect("writes");
    assert!(matches!(Journal::open(&file), Err(JournalError::NotAJournal { .. })));
}

#[test]
fn a_second_writer_is_refused() {
    let (_keep, dir) = scratch();
    let first = Writer::create(&dir, small()).expect("creates");
    assert!(matches!(Writer::open(&dir, small()), Err(JournalError::Locked { .. })));
    drop(first);
    Writer::open(&dir, small()).expect("the lock is free");
}

#[test]
fn readers_see_committed_frames_only_and_follow() {
    let (_keep, dir) = scratch();
    let mut writer = Writer::create(&dir, small()).expect("creates");
    let mut follow = Journal::open(&dir).expect("opens").follow(0);
    assert!(follow.next().expect("sound").is_none());
    let mut read = 0;
    for seq in 0..900 {
        writer.append(draft(seq), &payload(seq)).expect("appends");
        if seq % 9 == 8 {
            assert!(follow.next().expect("sound").is_none(), "the batch is open");
            writer.commit().expect("commits");
            while let Some(frame) = follow.next().expect("sound") {
                assert_eq!(frame.seq, read);
                assert_eq!(frame.payload, payload(read));
                read += 1;
            }
            assert_eq!(read, seq + 1);
        }
    }
}

#[test]
fn a_follower_stays_with_a_journal_through_crashes() {
    let (_keep, dir) = scratch();
    let mut writer = Writer::create(&dir, small()).expect("creates");
    let mut follow = Journal::open(&dir).expect("opens").follow(0);
    let mut read = 0;
    for life in 0..6 {
        for seq in writer.next_seq()..writer.next_seq() + 150 {
            writer.append(draft(seq), &payload(seq)).expect("appends");
            if seq % 40 == life {
                writer.sync().expect("syncs");
            }
        }
        writer.commit().expect("commits");
        let frames = writer.head().frames;
        if life % 2 == 0 {
            read = read_on(&mut follow, read);
            assert_eq!(read, frames);
        }
        drop(writer);
        writer = Writer::open(&dir, small()).expect("recovers");
        assert!(writer.recovery().frames_copied > 0, "what was not synced moves");
        assert_eq!(writer.head().frames, frames);
        read = read_on(&mut follow, read);
        assert_eq!(read, frames, "life {life}");
    }
}

fn read_on(follow: &mut daybook_journal::Follow, mut read: u64) -> u64 {
    while let Some(frame) = follow.next().expect("sound") {
        assert_eq!(frame.seq, read);
        assert_eq!(frame.payload, payload(read));
        read += 1;
    }
    read
}

#[test]
fn segments_may_grow_from_one_opening_to_the_next() {
    let (_keep, dir) = scratch();
    drop(Writer::create(&dir, small()).expect("creates"));
    let mut writer = Writer::open(&dir, Options::default()).expect("opens");
    let limit = writer.payload_limit();
    let error = writer.append(draft(0), &vec![0; limit + 1]).expect_err("too long");
    assert!(error.to_string().contains(&limit.to_string()), "{error}");
    for seq in 0..3 {
        writer.append(draft(seq), &vec![seq as u8; limit]).expect("appends");
    }
    writer.close().expect("closes");
    let mut writer = Writer::open(&dir, small()).expect("opens");
    assert!(writer.append(draft(3), &vec![0; limit]).is_err(), "small segments, small frames");
    write_three(&mut writer);
    writer.close().expect("closes");
    let journal = Journal::open(&dir).expect("opens");
    assert_eq!(journal.frame(2).expect("there").frame().payload, vec![2; limit]);
    assert_eq!(journal.head().frames, 6);
    assert!(daybook_journal::verify(&dir, None).expect("judges").is_sound());
}

fn write_three(writer: &mut Writer) {
    for seq in 3..6 {
        assert_eq!(writer.append(draft(seq), b"small").expect("appends"), seq);
    }
}

#[test]
fn options_out_of_range_are_named() {
    let (_keep, dir) = scratch();
    for segment_bytes in [0, 4096, 16 * 1024 + 1, u64::MAX] {
        let options = Options { segment_bytes, ..Options::default() };
        let error = Writer::create(&dir, options).expect_err("out of range");
        assert!(error.to_string().contains("segment_bytes"), "{error}");
    }
    let mut writer = Writer::create(&dir, small()).expect("creates");
    let reserved = Draft { kind: 0xFFF0, ..draft(0) };
    assert!(matches!(writer.append(reserved, b""), Err(JournalError::ReservedKind { kind: 0xFFF0 })));
    assert_eq!(writer.append(draft(0), b"").expect("a refused frame poisons nothing"), 0);
}

/// Bytes of blocks that the files of a journal own.
fn owned(dir: &std::path::Path) -> u64 {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512).sum()
}

/// A process that dies leaves its segment preallocated, and its successor goes on in a new one: the old one gives back
/// what it does not hold, and nothing of what it holds.
#[test]
fn a_segment_that_is_left_behind_owns_no_more_than_it_holds() {
    const MIB: u64 = 1024 * 1024;
    let (_keep, dir) = scratch();
    let options = Options { segment_bytes: 4 * MIB, reserve: true, ..Options::default() };
    let mut frames = 0;
    for death in 0..12 {
        let mut writer = Writer::open_or_create(&dir, options.clone()).expect("opens");
        assert_eq!((writer.head().frames, writer.recovery().frames_copied), (frames, if death == 0 { 0 } else { 5 }));
        for number in 0..10 {
            writer.append(draft(frames), &payload(frames)).expect("appends");
            frames += 1;
            match number {
                4 => writer.sync().expect("syncs"),
                _ => writer.commit().expect("commits"),
            }
        }
        // Dropped like this it has closed nothing: the system has its bytes.
    }
    assert_holds(&Journal::open(&dir).expect("opens"), frames);
    let segments = std::fs::read_dir(&dir)
        .unwrap()
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".segment")));
    assert!(segments.count() >= 12, "each death leaves a segment");
    let (before, reserve) = (owned(&dir), 4 * MIB);
    assert!(before < reserve + 5 * MIB, "{before} bytes for {frames} frames, a reserve and one segment");
    assert!(verify(&dir, None).expect("judges").is_sound());

    let writer = Writer::open(&dir, options).expect("opens");
    writer.close_for_good().expect("closes");
    assert!(!dir.join("reserve").exists());
    assert!(owned(&dir) < MIB, "{} bytes", owned(&dir));
    assert_holds(&Journal::open(&dir).expect("opens"), frames);
    assert!(verify(&dir, None).expect("judges").is_sound());
}

/// P6: what does not fit the room that was set is a full disk: the batch that meets it is kept, in the reserve.
#[test]
fn a_room_that_is_used_up_is_a_full_disk() {
    let (_keep, dir) = scratch();
    let options = Options { segment_bytes: 64 * 1024, reserve: true, ..Options::default() };
    let storage = std::sync::Arc::new(Files::with_room(Some(300 * 1024)));
    let mut writer = Writer::create_on(storage, &dir, options.clone()).expect("creates");
    let refused = loop {
        let seq = writer.next_seq();
        if let Err(error) = writer.append(draft(seq), &payload(seq)).and_then(|_| writer.commit()) {
            break error;
        }
    };
    assert!(matches!(refused, JournalError::DiskFull { .. }), "{refused}");
    assert!(!writer.is_in_reserve());
    let met = writer.next_seq();
    assert!(writer.head().frames < met, "the batch that met it waits");
    writer.use_reserve().expect("the reserve is there");
    writer.sync().expect("the reserve takes the batch");
    assert_eq!((writer.head().frames, writer.is_in_reserve()), (met, true));
    assert!(writer.append(draft(met), b"").is_err(), "for exits only");
    writer.append_reserved(draft(met), &payload(met)).expect("an exit");
    writer.sync().expect("syncs");
    assert!(owned(&dir) <= 300 * 1024);
    drop(writer);
    assert_holds(&Journal::open(&dir).expect("opens"), met + 1);
    // With room again it goes on, with a reserve of its own.
    let mut writer = Writer::open(&dir, options).expect("opens");
    writer.use_reserve().expect("nothing is full");
    writer.append(draft(met + 1), &payload(met + 1)).expect("appends");
    writer.close().expect("closes");
    assert_holds(&Journal::open(&dir).expect("opens"), met + 2);
    assert!(dir.join("reserve").exists());
}

/// Processes that begin together, before there is a key, seal with one and the same.
#[test]
fn one_key_is_made_however_many_begin_together() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config/seal.key");
        let start = std::sync::Barrier::new(8);
        let made: Vec<String> = std::thread::scope(|scope| {
            let make = || {
                start.wait();
                SealKey::load_or_create(&path).expect("a key").public().to_string()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
        });
        let kept = SealKey::load_or_create(&path).expect("the key").public().to_string();
        assert!(made.iter().all(|one| *one == kept), "{made:?}, kept {kept}");
        let mut names: Vec<_> =
            std::fs::read_dir(path.parent().unwrap()).unwrap().map(|one| one.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["seal.key", "seal.pub"], "nothing else is left");
    }
}
