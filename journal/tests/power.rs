//! The power goes: between any two batches, with any mix of sectors kept, dropped or zeroed.
//!
//! - P2: recovery yields a prefix of whole batches that holds everything acknowledged.
//! - All mixes of up to 12 un-synced sectors are tried (3^12 = 531,441); mixes that leave the same
//!   bytes on the platter are the same disk and are tried once.
//! - Must never: depend on luck; random scripts print their seed.

mod common;

use common::*;
use daybook_journal::storage::{Fate, SimulatedDisk, Unsynced};
use daybook_journal::{Hash, Journal, Options, SealKey, Writer, verify_on};
use std::collections::BTreeSet;
use std::time::Duration;

const LONGEST: u64 = 400;
const FATES: [Fate; 3] = [Fate::Kept, Fate::Dropped, Fate::Zeroed];

/// The fates of one sector that leave different bytes.
fn distinct(disk: &SimulatedDisk, what: &Unsynced) -> Vec<Fate> {
    let Unsynced::Sector { path, sector } = what else {
        return vec![Fate::Kept, Fate::Dropped];
    };
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut fates = Vec::new();
    for fate in FATES {
        let after = disk.power_cut(|other| if other == what { fate } else { Fate::Kept });
        let bytes = after.contents(path).expect("reads");
        let bytes = bytes[sector * 512..(sector + 1) * 512].to_vec();
        if !seen.contains(&bytes) {
            seen.push(bytes);
            fates.push(fate);
        }
    }
    fates
}

#[test]
fn p2_power_cuts_between_four_unsynced_batches_in_all_mixes() {
    let mut tried = 0;
    let mut stood_for = 0u64;
    let mut lengths = BTreeSet::new();
    for batches in 1..=4 {
        let disk = SimulatedDisk::new();
        let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
        append(&mut writer, 3, LONGEST);
        writer.sync().expect("syncs");
        disk.advance(Duration::from_secs(2));
        append(&mut writer, 1, LONGEST);
        // This sync makes the high-water durable too.
        writer.sync().expect("syncs");
        let acknowledged = writer.head().frames;
        let mut ends = vec![acknowledged];
        let whole = disk.fork();
        for batch in 0..batches {
            for _ in 0..4 {
                let seq = writer.next_seq();
                writer.append(draft(seq), &[batch as u8 + 1; 300]).expect("appends");
            }
            writer.commit().expect("commits");
            ends.push(writer.head().frames);
        }
        let contents: Vec<_> = ends
            .iter()
            .map(|frames| {
                let journal = Journal::open_on(shared(&disk), dir()).expect("opens");
                journal.content_at(*frames).expect("hashes")
            })
            .collect();
        drop((writer, whole));
        let doubtful = disk.unsynced();
        let sectors = doubtful.len();
        assert!(doubtful.iter().all(|what| matches!(what, Unsynced::Sector { .. })));
        assert!(sectors <= 12, "{sectors} sectors");
        lengths.insert(sectors);
        stood_for += 3u64.pow(sectors as u32);
        let choices: Vec<Vec<Fate>> = doubtful.iter().map(|what| distinct(&disk, what)).collect();
        let mixes: usize = choices.iter().map(Vec::len).product();
        tried += mixes;
        in_parallel(mixes, |mix| {
            let mut rest = mix;
            let mut next = 0;
            let after = disk.power_cut(|_| {
                let fates = &choices[next];
                next += 1;
                let fate = fates[rest % fates.len()];
                rest /= fates.len();
                fate
            });
            let all = mix == 0;
            let least = if all { ends.len() - 1 } else { 0 };
            check(&after, &ends[least..], &contents[least..], &format!("{batches} batches, mix {mix}"));
        });
    }
    assert!(lengths.contains(&12), "twelve sectors were in doubt: {lengths:?}");
    assert!(stood_for > 531_441 && tried > 4_096, "{tried} disks stand for {stood_for} mixes");
}

/// Reader and writer agree on one of the batch ends, and on what lies before it.
fn check(after: &SimulatedDisk, ends: &[u64], contents: &[Hash], context: &str) {
    let read = Journal::open_on(shared(after), dir());
    let read = read.unwrap_or_else(|error| panic!("{context}: {error}")).head();
    let kept = ends.iter().position(|end| *end == read.frames);
    let kept = kept.unwrap_or_else(|| panic!("{context}: {} is none of {ends:?}", read.frames));
    assert_eq!(read.content, contents[kept], "{context}");
    let writer = Writer::open_on(shared(after), dir(), small());
    let writer = writer.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(writer.head(), read, "{context}: reader and writer agree");
}

/// A random script on a disk that loses its power at a random moment, again and again.
fn live_through(seed: u64) {
    let mut random = Random(seed);
    let mut disk = SimulatedDisk::new();
    let keys = tempfile::tempdir().expect("a directory");
    let key = SealKey::load_or_create(&keys.path().join("key")).expect("makes a key");
    let options = Options { reserve: random.below(2) == 0, sync_segments: random.below(2) == 0, ..small() };
    let (mut acknowledged, mut sealed) = (0, 0);
    for life in 0..4 {
        let context = format!("seed={seed:#x} life {life}");
        let opened = Writer::open_or_create_on(shared(&disk), dir(), options.clone());
        let mut writer = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(writer.head().frames >= acknowledged, "{context}: {:?}", writer.head());
        let journal = Journal::open_on(shared(&disk), dir()).expect("opens");
        assert_all_written(&journal, LONGEST, &context);
        assert!(journal.seals().len() >= sealed, "{context}: a seal is gone");
        acknowledged = writer.head().frames;
        for _ in 0..random.below(25) {
            match random.below(12) {
                0..=5 => append(&mut writer, random.below(20), LONGEST),
                6..=7 => writer.commit().expect("commits"),
                8..=9 => {
                    writer.sync().expect("syncs");
                    acknowledged = writer.head().frames;
                }
                10 => disk.advance(Duration::from_millis(random.below(1_500))),
                _ => {
                    writer.seal(&key).expect("seals");
                    acknowledged = writer.head().frames;
                    sealed = sealed.max(journal.seals().len() + 1);
                }
            }
        }
        if random.below(4) == 0 {
            acknowledged = writer.close().expect("closes").frames;
        } else {
            drop(writer);
        }
        disk = match random.below(4) {
            0 => disk,
            1 => disk.power_cut(|_| Fate::Dropped),
            _ => disk.power_cut(|_| FATES[random.below(3) as usize]),
        };
    }
    let writer = Writer::open_on(shared(&disk), dir(), options).expect("opens");
    assert!(writer.head().frames >= acknowledged, "seed={seed:#x}");
    writer.close().expect("closes");
    let verdict = verify_on(&shared(&disk), dir(), Some(&key.public()), &[]).expect("judges");
    let sound = verdict.is_sound() || sealed == 0;
    assert!(sound, "seed={seed:#x}: {verdict:?}");
}

#[test]
fn p2_random_lives_with_power_cuts() {
    let seeds = std::env::var("DAYBOOK_SEEDS").ok().and_then(|text| text.parse().ok());
    in_parallel(seeds.unwrap_or(400), |seed| live_through(seed as u64));
}

#[test]
fn one_slot_of_the_high_water_survives_every_cut() {
    // Whatever happens to un-synced slots, D never falls below the last durable one.
    for seed in 0..200 {
        let mut random = Random(seed);
        let disk = SimulatedDisk::new();
        let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
        let mut acknowledged = 0;
        for _ in 0..random.below(12) {
            disk.advance(Duration::from_millis(random.below(700)));
            append(&mut writer, 1 + random.below(3), LONGEST);
            writer.sync().expect("syncs");
            acknowledged = writer.head().frames;
        }
        drop(writer);
        let after = disk.power_cut(|_| FATES[random.below(3) as usize]);
        let journal = Journal::open_on(shared(&after), dir());
        let journal = journal.unwrap_or_else(|error| panic!("seed={seed:#x}: {error}"));
        assert_eq!(journal.head().frames, acknowledged, "seed={seed:#x}");
    }
}

/// A session that is built out of sight promises nothing until its first sync; from then on it promises all the others
/// promise, its own name included.
#[test]
fn what_was_not_durable_from_the_start_is_whole_after_its_first_sync() {
    let options = Options { durable_from_start: false, sync_segments: false, ..small() };
    for seed in 0..300 {
        let context = format!("seed={seed:#x}");
        let mut random = Random(seed);
        let mut disk = SimulatedDisk::new();
        let mut writer = Writer::create_on(shared(&disk), dir(), options.clone()).expect("creates");
        for _ in 0..random.below(6) {
            append(&mut writer, random.below(20), LONGEST);
            writer.commit().expect("commits");
        }
        let head = if random.below(2) == 0 {
            writer.close().expect("closes")
        } else {
            writer.sync().expect("syncs");
            let head = writer.head();
            append(&mut writer, random.below(5), LONGEST);
            drop(writer);
            head
        };
        for _ in 0..2 {
            disk = disk.power_cut(|_| FATES[random.below(3) as usize]);
            let journal = Journal::open_on(shared(&disk), dir()).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(journal.head(), head, "{context}");
            assert_all_written(&journal, LONGEST, &context);
        }
        Writer::open_on(shared(&disk), dir(), options.clone()).expect(&context).close().expect(&context);
        let verdict = verify_on(&shared(&disk), dir(), None, &[]).expect("judges");
        assert!(verdict.is_sound(), "{context}: {verdict:?}");
    }
}
