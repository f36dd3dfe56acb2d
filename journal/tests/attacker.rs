//! Sealed history in the hands of someone with all the code, the files, and no secret key.
//!
//! - P7: whoever kept a seal, or the public key, detects any edit, deletion, insertion, reordering
//!   or truncation of what was sealed, every checksum, chain and header recomputed.
//! - The forger is proven first: with seals left out, what it writes verifies.
//! - Must never: rely on the attacker's sloppiness.

mod common;

use common::*;
use daybook_journal::storage::{SimulatedDisk, Storage};
use daybook_journal::{Journal, PublicKey, Seal, SealKey, Verdict, Writer, verify_on};

const LONGEST: u64 = 200;

fn key(name: &str) -> SealKey {
    let keys = tempfile::tempdir().expect("a directory");
    SealKey::load_or_create(&keys.path().join(name)).expect("makes a key")
}

/// Two sealed days over several segments, and some frames after the second seal.
fn sealed_days(key: &SealKey) -> (SimulatedDisk, Vec<Seal>) {
    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
    let mut seals = Vec::new();
    for _ in 0..2 {
        for _ in 0..6 {
            append(&mut writer, 25, LONGEST);
            writer.commit().expect("commits");
        }
        seals.push(writer.seal(key).expect("seals"));
    }
    append(&mut writer, 10, LONGEST);
    writer.close().expect("closes");
    (disk, seals)
}

fn segments(disk: &SimulatedDisk) -> Vec<std::path::PathBuf> {
    files(disk).into_iter().map(|(path, _)| path).filter(|path| path.to_string_lossy().ends_with(".segment")).collect()
}

fn high_water() -> std::path::PathBuf {
    dir().join("high-water")
}

/// A copy of `disk` whose frames `change` has had its way with, everything recomputed.
fn forged(
    disk: &SimulatedDisk,
    keep_seals: bool,
    change: impl FnMut(u64, forge::Record) -> Vec<forge::Record>,
) -> SimulatedDisk {
    let disk = disk.fork();
    let paths = segments(&disk);
    let mut contents: Vec<Vec<u8>> = paths.iter().map(|path| disk.contents(path).expect("reads")).collect();
    let mut slots = disk.contents(&high_water()).expect("reads");
    forge::rewrite(&mut contents, &mut slots, keep_seals, change);
    for (path, bytes) in paths.iter().zip(contents) {
        if bytes.len() == daybook_journal::SEGMENT_HEADER_BYTES {
            disk.remove(path).expect("removes what a truncation has emptied");
        } else {
            disk.edit(path, |old| *old = bytes).expect("edits");
        }
    }
    disk.edit(&high_water(), |old| *old = slots).expect("edits");
    if !keep_seals {
        for (path, _) in files(&disk) {
            if path.extension().is_some_and(|extension| extension == "seal") {
                disk.remove(&path).expect("removes");
            }
        }
    }
    disk
}

fn verdict(disk: &SimulatedDisk, key: Option<&PublicKey>, kept: &[Seal]) -> Verdict {
    verify_on(&shared(disk), dir(), key, kept).expect("judges")
}

#[derive(Clone, Copy, Debug)]
enum Attack {
    EditPayload,
    EditTime,
    EditKind,
    Delete,
    Insert,
    Swap,
    Truncate,
}

const ATTACKS: [Attack; 7] = [
    Attack::EditPayload,
    Attack::EditTime,
    Attack::EditKind,
    Attack::Delete,
    Attack::Insert,
    Attack::Swap,
    Attack::Truncate,
];

/// What `attack` does at frame `victim`.
fn attack_at(attack: Attack, victim: u64) -> impl FnMut(u64, forge::Record) -> Vec<forge::Record> {
    let mut waiting: Option<forge::Record> = None;
    move |seq, mut record| {
        if matches!(attack, Attack::Truncate) && seq >= victim {
            return Vec::new();
        }
        if let Some(mut other) = waiting.take() {
            // The times stay in order: a swap that nothing but the chain can see.
            let earlier: [u8; 8] = other.bytes[16..24].try_into().expect("eight bytes");
            other.bytes[16..24].copy_from_slice(&record.bytes[16..24]);
            record.bytes[16..24].copy_from_slice(&earlier);
            return vec![record, other];
        }
        if seq != victim {
            return vec![record];
        }
        match attack {
            Attack::EditPayload => *record.bytes.get_mut(32).expect("a payload") ^= 1,
            Attack::EditTime => record.bytes[16] ^= 1,
            Attack::EditKind => record.bytes[24] ^= 1,
            Attack::Delete => return Vec::new(),
            Attack::Insert => return vec![record.clone(), record],
            Attack::Swap => {
                waiting = Some(record);
                return Vec::new();
            }
            Attack::Truncate => unreachable!("handled above"),
        }
        vec![record]
    }
}

/// A frame below `sealed` that can be attacked: in the middle of a run, with a payload.
fn victims(sealed: u64) -> impl Iterator<Item = u64> {
    (3..sealed - 2).filter(|seq| seq % 50 > 1 && seq % 50 < 47 && !payload(*seq, LONGEST).is_empty() && seq % 29 == 3)
}

#[test]
fn the_forger_writes_journals_that_verify() {
    let key = key("key");
    let (disk, seals) = sealed_days(&key);
    let public = key.public();
    assert!(verdict(&disk, Some(&public), &seals).is_sound());
    let unchanged = forged(&disk, true, |_, record| vec![record]);
    assert!(verdict(&unchanged, Some(&public), &seals).is_sound());
    let original = Journal::open_on(shared(&disk), dir()).expect("opens").head();
    let copy = Journal::open_on(shared(&unchanged), dir()).expect("opens").head();
    assert_eq!(original, copy, "the second implementation of the chain agrees");
    for attack in ATTACKS {
        let unsealed = forged(&disk, false, attack_at(attack, 61));
        let judged = verdict(&unsealed, None, &[]);
        assert!(judged.is_sound(), "{attack:?} without seals is a perfect forgery: {judged:?}");
    }
}

#[test]
fn p7_every_forgery_of_sealed_history_is_caught() {
    let key = key("key");
    let public = key.public();
    let (disk, seals) = sealed_days(&key);
    for victim in victims(seals[1].frames) {
        for attack in ATTACKS {
            let context = format!("{attack:?} at {victim}");
            // The seals left where they are: no key is needed to see it.
            let sealed = forged(&disk, true, attack_at(attack, victim));
            assert!(!verdict(&sealed, None, &[]).is_sound(), "{context}, seals kept");
            // The seals stripped: whoever expects the key, or kept a seal, sees it.
            let stripped = forged(&disk, false, attack_at(attack, victim));
            assert!(!verdict(&stripped, Some(&public), &[]).is_sound(), "{context}, key pinned");
            assert!(!verdict(&stripped, None, &seals[1..]).is_sound(), "{context}, seal kept");
        }
    }
}

#[test]
fn p7_sealing_again_with_another_key_is_caught() {
    let key = key("key");
    let public = key.public();
    let (disk, seals) = sealed_days(&key);
    let stripped = forged(&disk, false, attack_at(Attack::EditPayload, 61));
    let theirs = self::key("another");
    let mut writer = Writer::open_on(shared(&stripped), dir(), small()).expect("opens");
    writer.seal(&theirs).expect("anyone can seal");
    writer.close().expect("closes");
    assert!(verdict(&stripped, None, &[]).is_sound(), "it is a sealed journal now");
    assert!(verdict(&stripped, Some(&theirs.public()), &[]).is_sound());
    let judged = verdict(&stripped, Some(&public), &[]);
    assert!(matches!(&judged, Verdict::Damaged { reason, .. } if reason.contains("not signed")));
    assert!(!verdict(&stripped, None, &seals).is_sound());
}

#[test]
fn checksums_alone_recomputed_are_caught_by_the_chain() {
    let (disk, _) = sealed_days(&key("key"));
    for path in segments(&disk) {
        let bytes = disk.contents(&path).expect("reads");
        let id = forge::file_id(&bytes);
        for record in forge::records(&bytes) {
            let edited = disk.fork();
            let mut forged = record.bytes.clone();
            // Of a commit record the hash; `synced` is a claim that nothing else repeats.
            let place = match record.kind() {
                forge::COMMIT => 70,
                _ => forged.len().min(33) - 1,
            };
            forged[place] ^= 4;
            forge::stamp(&mut forged, id);
            edited
                .edit(&path, |bytes| {
                    bytes[record.offset..record.offset + forged.len()].copy_from_slice(&forged);
                })
                .expect("edits");
            let judged = verdict(&edited, None, &[]);
            assert!(!judged.is_sound(), "{} at {}", path.display(), record.offset);
        }
    }
}

#[test]
fn an_older_copy_of_a_segment_is_found() {
    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
    append(&mut writer, 40, LONGEST);
    writer.sync().expect("syncs");
    let older = disk.contents(&segment_path(0)).expect("reads");
    append(&mut writer, 30, LONGEST);
    writer.sync().expect("syncs");
    append(&mut writer, 300, LONGEST);
    writer.close().expect("closes");
    disk.edit(&segment_path(0), |bytes| *bytes = older).expect("edits");
    assert!(!verdict(&disk, None, &[]).is_sound());
    let journal = Journal::open_on(shared(&disk), dir());
    if let Ok(journal) = journal {
        let mut cursor = journal.cursor(0);
        let error = loop {
            match cursor.next() {
                Ok(Some(frame)) => assert_written(&frame, LONGEST, &"older copy"),
                Ok(None) => panic!("the end came quietly"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("0000000000.segment"), "{error}");
    }
}

/// A key signs statements too, and neither passes for the other.
#[test]
fn a_statement_is_no_seal_and_a_seal_no_statement() {
    let (key, other) = (key("one"), key("two"));
    let signature = key.sign_statement(b"a winner");
    assert!(key.public().signed(b"a winner", &signature));
    assert!(!key.public().signed(b"a winner.", &signature) && !other.public().signed(b"a winner", &signature));
    for bit in 0..signature.len() * 8 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.public().signed(b"a winner", &changed), "bit {bit}");
    }
    let (_, seals) = sealed_days(&key);
    let bytes = seals[0].encode();
    let (message, sealed) = bytes.split_at(bytes.len() - signature.len());
    assert!(!key.public().signed(message, sealed.try_into().expect("a signature")));
    let forged = [message, &key.sign_statement(message)].concat();
    assert!(Seal::decode(&forged).is_err());
}

#[test]
fn keys_and_seals_survive_their_files() {
    let keep = tempfile::tempdir().expect("a directory");
    let path = keep.path().join("made/on/first/use/key");
    let key = SealKey::load_or_create(&path).expect("makes one");
    let again = SealKey::load_or_create(&path).expect("reads it");
    assert_eq!(key.public(), again.public());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let exported = keep.path().join("key.public");
    key.public().export(&exported).expect("writes");
    assert_eq!(PublicKey::load(&exported).expect("reads"), key.public());
    assert!(!format!("{key:?}").contains("SigningKey"), "the secret is not printed");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("sets");
    assert!(SealKey::load_or_create(&path).is_err(), "others could read it");
    std::fs::write(&exported, "not a key").expect("writes");
    assert!(PublicKey::load(&exported).is_err());
    let (_, seals) = sealed_days(&key);
    for seal in seals {
        assert_eq!(Seal::decode(&seal.encode()).expect("reads back"), seal);
        for bit in 0..seal.encode().len() * 8 {
            let mut bytes = seal.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Seal::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}
