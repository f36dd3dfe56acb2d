//! A sealed journal moves to an archive: every call failing, the power going between any two, a process killed.
//!
//! - At any time the original is whole, or the stub and the copy are; running the command again finishes.
//! - What stays is checked to the bit, and says where the frames are.
//! - Must never: count a run in which the fault did not strike.

mod common;

use common::*;
use daybook_journal::storage::{Countdown, Fate, SimulatedDisk, Storage};
use daybook_journal::{
    Archived, Archiving, Hash, Journal, JournalError, Moved, Options, PublicKey, Result, SealKey, Verdict, Writer,
    archive, archive_on, verify, verify_on,
};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LONGEST: u64 = 700;
const FRAMES: u64 = 90;
const SHELF: &str = "shelf/old";
const CHILD_DIR: &str = "DAYBOOK_ARCHIVE_CHILD_DIR";
const KINDS: [ErrorKind; 7] = [
    ErrorKind::StorageFull,
    ErrorKind::PermissionDenied,
    ErrorKind::NotFound,
    ErrorKind::Interrupted,
    ErrorKind::UnexpectedEof,
    ErrorKind::WriteZero,
    ErrorKind::Other,
];

fn key() -> SealKey {
    let keys = tempfile::tempdir().expect("a directory");
    SealKey::load_or_create(&keys.path().join("key")).expect("makes a key")
}

/// A journal of several segments with two seals, the last of which covers all of it, and a reserve.
fn sealed(storage: &Arc<dyn Storage>, dir: &Path, key: &SealKey) {
    let options = Options { reserve: true, ..small() };
    let mut writer = Writer::create_on(storage.clone(), dir, options).expect("creates");
    append(&mut writer, FRAMES / 2, LONGEST);
    writer.seal(key).expect("seals");
    append(&mut writer, FRAMES - FRAMES / 2, LONGEST);
    writer.seal(key).expect("seals");
    writer.close().expect("closes");
}

fn disk(key: &SealKey) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    sealed(&shared(&disk), dir(), key);
    disk
}

fn wanted(key: Option<&PublicKey>) -> Archiving<'_> {
    Archiving { journal: dir(), home: dir(), to: Path::new(SHELF), key }
}

fn moved(storage: &Arc<dyn Storage>, key: Option<&PublicKey>) -> Result<Moved> {
    archive_on(storage, &wanted(key), &mut |_| {})
}

fn copy_of(disk: &SimulatedDisk) -> PathBuf {
    let id = Journal::open_on(shared(disk), dir()).expect("opens").id().expect("frames");
    let digits: String = id[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Path::new(SHELF).join(format!("journal.{digits}"))
}

/// All frames are to be had in one of the two places.
fn is_whole(disk: &SimulatedDisk, copy: &Path, context: &str) {
    match Journal::open_on(shared(disk), dir()) {
        Ok(journal) => assert_all(&journal, context),
        Err(JournalError::Archived { frames, .. }) => {
            assert_eq!(frames, FRAMES, "{context}");
            let journal = Journal::open_on(shared(disk), copy).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_all(&journal, context);
        }
        Err(error) => panic!("{context}: neither journal nor stub: {error}"),
    }
}

fn assert_all(journal: &Journal, context: &str) {
    assert_eq!(journal.head().frames, FRAMES, "{context}");
    assert_all_written(journal, LONGEST, &context);
}

/// Running the command again finishes, and once more changes nothing.
fn finishes(disk: &SimulatedDisk, copy: &Path, head: Hash, context: &str) {
    let again = moved(&shared(disk), None).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!((again.copy.as_path(), again.archived.head.content), (copy, head), "{context}");
    let once_more = moved(&shared(disk), None).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(!once_more.changed && once_more.bytes == 0, "{context}: {once_more:?}");
    // It is durable as well: a power cut that takes all it can changes nothing.
    for disk in [disk.clone(), disk.power_cut(|_| Fate::Dropped)] {
        let stays: Vec<String> = names(&disk, dir());
        assert_eq!(stays, ["000000.seal", "000001.seal", "archived"], "{context}");
        let verdict = verify_on(&shared(&disk), dir(), None, &[]).expect("judges");
        assert!(matches!(&verdict, Verdict::Archived(stub) if stub.head.content == head), "{context}: {verdict:?}");
        let verdict = verify_on(&shared(&disk), copy, None, &[]).expect("judges");
        assert!(matches!(&verdict, Verdict::Sound(found) if found.head.content == head), "{context}: {verdict:?}");
        assert_all(&Journal::open_on(shared(&disk), copy).expect("opens"), context);
    }
}

fn names(disk: &SimulatedDisk, dir: &Path) -> Vec<String> {
    disk.list(dir).expect("lists").into_iter().map(|entry| entry.name).collect()
}

#[test]
fn the_head_and_the_seals_stay_and_the_copy_is_a_journal() {
    let key = key();
    let disk = disk(&key);
    let copy = copy_of(&disk);
    let before = Journal::open_on(shared(&disk), dir()).expect("opens");
    let mut steps = Vec::new();
    let done = archive_on(&shared(&disk), &wanted(Some(&key.public())), &mut |step| steps.push(step)).expect("moves");
    assert!(done.changed && done.bytes > 0 && steps.len() > 5, "{done:?}, {steps:?}");
    assert_eq!((done.archived.head, Some(done.archived.id)), (before.head(), before.id()));
    assert_eq!((done.archived.seals, done.archived.place.as_deref()), (2, Some("../../shelf/old")));
    finishes(&disk, &copy, before.head().content, "quiet");

    // Everyone who wants its frames is told where they are.
    let told = [
        Journal::open_on(shared(&disk), dir()).map(|_| ()),
        Writer::open_on(shared(&disk), dir(), small()).map(|_| ()),
        Writer::open_or_create_on(shared(&disk), dir(), small()).map(|_| ()),
        Writer::create_on(shared(&disk), dir(), small()).map(|_| ()),
    ];
    for error in told.map(|told| told.expect_err("archived")) {
        assert!(matches!(&error, JournalError::Archived { frames: FRAMES, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(copy.to_str().expect("plain")) && text.contains("bring it back"), "{text}");
    }
    // What stays still serves who kept a seal, and the copy goes on like any journal.
    let kept = before.seals();
    assert!(matches!(verify_on(&shared(&disk), dir(), None, kept), Ok(Verdict::Archived(_))));
    let other = disk.fork();
    let mut writer = Writer::open_on(shared(&other), &copy, small()).expect("opens");
    append(&mut writer, 10, LONGEST);
    writer.close().expect("closes");
    assert!(verify_on(&shared(&other), &copy, Some(&key.public()), kept).expect("judges").is_sound());
}

#[test]
fn every_call_failing_with_every_error_loses_nothing_and_a_second_run_finishes() {
    let key = key();
    let whole = disk(&key);
    let (copy, head) = (copy_of(&whole), Journal::open_on(shared(&whole), dir()).expect("opens").head().content);
    let calls = calls_of(&whole);
    in_parallel(calls * KINDS.len(), |number| {
        let (call, kind) = (number / KINDS.len(), KINDS[number % KINDS.len()]);
        let context = format!("call {call} failing with {kind:?}");
        let disk = whole.fork();
        let fault = Countdown::new(shared(&disk), call as u64, kind);
        let result = moved(&(Arc::new(fault.clone()) as Arc<dyn Storage>), None);
        assert!(fault.fired(), "{context}");
        is_whole(&disk, &copy, &context);
        if let Ok(done) = &result {
            // Where a look at what is not there fails as if it were not there.
            assert_eq!((kind, done.archived.head.content), (ErrorKind::NotFound, head), "{context}");
        }
        finishes(&disk, &copy, head, &context);
    });
}

#[test]
fn the_power_going_between_any_two_calls_loses_nothing_and_a_second_run_finishes() {
    const MIXES: usize = 8;
    let key = key();
    let whole = disk(&key);
    let (copy, head) = (copy_of(&whole), Journal::open_on(shared(&whole), dir()).expect("opens").head().content);
    in_parallel(calls_of(&whole) * MIXES, |number| {
        let (call, mix) = (number / MIXES, number % MIXES);
        let disk = whole.fork();
        let fault = Countdown::new(shared(&disk), call as u64, ErrorKind::Other);
        moved(&(Arc::new(fault.clone()) as Arc<dyn Storage>), None).expect_err("the program ends here");
        let mut random = Random(number as u64);
        let after = disk.power_cut(|_| match mix {
            0 => Fate::Kept,
            1 => Fate::Dropped,
            2 => Fate::Zeroed,
            _ => [Fate::Kept, Fate::Dropped, Fate::Zeroed][random.below(3) as usize],
        });
        let context = format!("power cut at call {call}, mix {mix} of seed {number}");
        is_whole(&after, &copy, &context);
        finishes(&after, &copy, head, &context);
    });
}

/// Storage calls of a run in which nothing fails.
fn calls_of(whole: &SimulatedDisk) -> usize {
    let counter = Countdown::new(shared(&whole.fork()), u64::MAX, ErrorKind::Other);
    moved(&(Arc::new(counter.clone()) as Arc<dyn Storage>), None).expect("nothing fails");
    let calls = usize::try_from(counter.calls()).expect("few");
    assert!(calls > 100, "only {calls} calls");
    calls
}

#[test]
fn every_flipped_bit_of_what_stays_is_found() {
    let key = key();
    let disk = disk(&key);
    moved(&shared(&disk), None).expect("moves");
    let mut flipped = 0;
    for (path, bytes) in files(&disk) {
        in_parallel(bytes.len() * 8, |bit| {
            let bad = disk.fork();
            bad.edit(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).expect("flips");
            let verdict = verify_on(&shared(&bad), dir(), None, &[]).expect("judges");
            let Verdict::Damaged { file, .. } = &verdict else { panic!("{path:?}, bit {bit}: {verdict:?}") };
            // A seal that names another number or another seal before it may be found at its neighbour.
            assert!(file == &path || path.extension().is_some_and(|end| end == "seal"), "{path:?}: {verdict:?}");
            assert!(Journal::open_on(shared(&bad), dir()).is_err(), "{path:?}, bit {bit}");
        });
        flipped += bytes.len() * 8;
        let short = disk.fork();
        short.remove(&path).expect("removes");
        let verdict = verify_on(&shared(&short), dir(), None, &[]);
        assert!(!matches!(verdict, Ok(Verdict::Archived(_) | Verdict::Sound(_))), "{path:?}: {verdict:?}");
    }
    assert!(flipped > 2 * 208 * 8, "{flipped} bits");

    let verdict = verify_on(&shared(&disk), dir(), Some(&self::key().public()), &[]).expect("judges");
    assert!(matches!(&verdict, Verdict::Damaged { reason, .. } if reason.contains("not signed")), "{verdict:?}");
    assert!(matches!(verify_on(&shared(&disk), dir(), Some(&key.public()), &[]), Ok(Verdict::Archived(_))));
    let reserve = dir().join("reserve");
    disk.create(&reserve, 100).expect("creates");
    let verdict = verify_on(&shared(&disk), dir(), None, &[]).expect("judges");
    assert!(matches!(&verdict, Verdict::Damaged { file, .. } if file == &reserve), "{verdict:?}");
}

fn refusal(storage: &Arc<dyn Storage>, wanted: &Archiving<'_>, says: &[&str]) {
    let error = archive_on(storage, wanted, &mut |_| {}).expect_err(says[0]).to_string();
    for text in says {
        assert!(error.contains(text), "should say {text:?}, says {error}");
    }
}

#[test]
fn what_cannot_be_moved_is_refused_and_stays_as_it_is() {
    let key = key();
    let unsealed = SimulatedDisk::new();
    Writer::create_on(shared(&unsealed), dir(), small()).expect("creates").close().expect("closes");
    let held = Writer::open_on(shared(&unsealed), dir(), small()).expect("opens");
    refusal(&shared(&unsealed), &wanted(None), &["is being written"]);
    drop(held);
    refusal(&shared(&unsealed), &wanted(None), &["holds no frame"]);
    let mut writer = Writer::open_on(shared(&unsealed), dir(), small()).expect("opens");
    append(&mut writer, 5, LONGEST);
    writer.close().expect("closes");
    refusal(&shared(&unsealed), &wanted(None), &["bears no seal", "backtest --seal"]);
    let mut writer = Writer::open_on(shared(&unsealed), dir(), small()).expect("opens");
    writer.seal(&key).expect("seals");
    append(&mut writer, 2, LONGEST);
    writer.close().expect("closes");
    refusal(&shared(&unsealed), &wanted(None), &["covers 5 of 7 frames", "seal it first"]);
    assert_eq!(names(&unsealed, dir()), ["000000.seal", "0000000000.segment", "high-water"]);
    assert!(unsealed.list(Path::new(SHELF)).is_err(), "nothing was made there");

    let disk = disk(&key);
    let before = files(&disk);
    refusal(&shared(&disk), &wanted(Some(&self::key().public())), &["not signed by the key"]);
    let inside = Archiving { to: &dir().join("old"), ..wanted(None) };
    refusal(&shared(&disk), &inside, &["lies inside"]);
    let around = Archiving { home: Path::new("disk"), to: Path::new("disk/old"), ..wanted(None) };
    refusal(&shared(&disk), &around, &["lies inside"]);
    let nameless = Archiving { home: Path::new("a\nb"), ..wanted(None) };
    refusal(&shared(&disk), &nameless, &["rename it"]);
    let nothing = Archiving { journal: Path::new("disk/none"), home: Path::new("disk/none"), ..wanted(None) };
    refusal(&shared(&disk), &nothing, &["there is no journal"]);
    disk.create(Path::new("file"), 1).expect("creates");
    let a_file = Archiving { to: Path::new("file"), ..wanted(None) };
    refusal(&shared(&disk), &a_file, &["is a file"]);
    let hurt = disk.fork();
    hurt.edit(&segment_path(1), |bytes| bytes[5000] ^= 4).expect("flips");
    refusal(&shared(&hurt), &wanted(None), &["is damaged at offset"]);
    disk.set_capacity(Some(before.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>() + 30_000));
    refusal(&shared(&disk), &wanted(None), &["no space left for", "choose another --to"]);
    assert_eq!(files(&disk), before, "nothing of the original has changed");
    disk.set_capacity(None);
    let (copy, head) = (copy_of(&disk), Journal::open_on(shared(&disk), dir()).expect("opens").head().content);
    finishes(&disk, &copy, head, "after all of this");
}

#[test]
fn a_copy_that_is_there_is_taken_where_it_is_the_same_and_refused_where_it_is_not() {
    let key = key();
    let whole = disk(&key);
    let (copy, head) = (copy_of(&whole), Journal::open_on(shared(&whole), dir()).expect("opens").head().content);
    let place = |disk: &SimulatedDisk, change: &dyn Fn(&mut Vec<u8>)| {
        disk.create_dir(&copy).expect("creates");
        for (path, mut bytes) in files(&whole).into_iter().filter(|(path, _)| !path.ends_with("reserve")) {
            let name = path.file_name().expect("named");
            if path == segment_path(1) {
                change(&mut bytes);
            }
            let file = disk.create(&copy.join(name), bytes.len() as u64).expect("creates");
            file.write_at(&bytes, 0).expect("writes");
        }
    };
    // By hand, and not synced.
    let same = whole.fork();
    place(&same, &|_| {});
    let done = moved(&shared(&same), None).expect("moves");
    assert!(done.changed && done.bytes == 0, "{done:?}");
    finishes(&same, &copy, head, "a copy by hand");

    let hurt = whole.fork();
    place(&hurt, &|bytes| bytes[5000] ^= 1);
    refusal(&shared(&hurt), &wanted(None), &["is not sound", "move that copy away"]);
    is_whole(&hurt, &copy, "a damaged copy");

    // Another journal of that name: a part of this one, as of an earlier day.
    let other = whole.fork();
    let mut writer = Writer::create_on(shared(&other), &copy, small()).expect("creates");
    append(&mut writer, 4, LONGEST);
    writer.close().expect("closes");
    refusal(&shared(&other), &wanted(None), &["is another journal (4 frames", "choose another --to"]);
    is_whole(&other, &copy, "another journal");

    // Archived before, and its copy is elsewhere.
    moved(&shared(&whole), None).expect("moves");
    let elsewhere = Archiving { to: Path::new("shelf/none"), ..wanted(None) };
    refusal(&shared(&whole), &elsewhere, &["was archived as journal.", "give the directory that holds it"]);
}

/// Not a test of its own: what the child does.
#[test]
fn child_archives_until_it_is_killed() {
    let Some(place) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let (journal, to) = (Path::new(&place).join("m5"), Path::new(&place).join("a/b"));
    let wanted = Archiving { journal: &journal, home: &journal, to: &to, key: None };
    println!("begun");
    archive(&wanted, &mut |_| {}).expect("moves");
}

#[test]
fn kill_minus_nine_at_any_time_loses_nothing() {
    use std::io::{BufRead, BufReader};
    let key = key();
    let storage: Arc<dyn Storage> = Arc::new(daybook_journal::storage::Files::new());
    let mut random = Random(5);
    let (mut cut_off, mut rounds) = (0, 0);
    while rounds < 12 {
        rounds += 1;
        let keep = tempfile::tempdir().expect("a directory");
        let journal = keep.path().join("m5");
        sealed(&storage, &journal, &key);
        std::fs::create_dir(journal.join("cache")).expect("creates");
        let head = Journal::open(&journal).expect("opens").head();
        let mut child = std::process::Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "child_archives_until_it_is_killed", "--nocapture"])
            .env(CHILD_DIR, keep.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        while !lines.next().expect("the child lives").expect("reads").contains("begun") {}
        std::thread::sleep(std::time::Duration::from_micros(random.below(30_000)));
        child.kill().expect("kills");
        cut_off += u32::from(!child.wait().expect("is gone").success());
        let to = keep.path().join("a/b");
        let wanted = Archiving { journal: &journal, home: &journal, to: &to, key: None };
        let done = archive(&wanted, &mut |_| {}).expect("the second run finishes");
        assert_eq!(done.archived.head, head);
        assert_eq!(Archived::find(&journal).expect("sound"), Some(done.archived.clone()));
        assert!(matches!(verify(&journal, Some(&key.public())), Ok(Verdict::Archived(_))));
        assert!(!journal.join("cache").exists(), "what was derived from the frames is gone");
        // The hint leads to the copy, which can be moved back by hand.
        let copy = done.archived.copy_from(&journal);
        assert_all(&Journal::open(&copy).expect("opens"), "the copy");
        std::fs::remove_dir_all(&journal).expect("removes");
        std::fs::rename(&done.copy, &journal).expect("moves back");
        assert!(verify(&journal, Some(&key.public())).expect("judges").is_sound());
    }
    assert!(cut_off > 0, "none of {rounds} children was killed in time");
}

#[test]
fn a_link_to_the_original_is_no_copy() {
    let key = key();
    let keep = tempfile::tempdir().expect("a directory");
    let storage: Arc<dyn Storage> = Arc::new(daybook_journal::storage::Files::new());
    let (journal, to) = (keep.path().join("m5"), keep.path().join("old"));
    sealed(&storage, &journal, &key);
    let id = Journal::open(&journal).expect("opens").id().expect("frames");
    let digits: String = id[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::create_dir(&to).expect("creates");
    std::os::unix::fs::symlink(&journal, to.join(format!("m5.{digits}"))).expect("links");
    let wanted = Archiving { journal: &journal, home: &journal, to: &to, key: None };
    let error = archive(&wanted, &mut |_| {}).expect_err("the same directory");
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    assert_all(&Journal::open(&journal).expect("opens"), "the original");
}
