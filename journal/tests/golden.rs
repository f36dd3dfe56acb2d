//! The format on disk, as bytes in a file that is checked in: a change of it shows up in review.
//!
//! - A tiny journal: fixed file ids, two batches of frames, one seal by a fixed test key, closed.
//! - Today's code reads it, and writes exactly it. `DAYBOOK_WRITE_GOLDEN=1` writes the file anew, for a new format
//!   version only: journals of this one must stay readable.
//! - Must never: be written anew to make a test pass.

mod common;

use common::*;
use daybook_journal::storage::{SimulatedDisk, Storage};
use daybook_journal::{Draft, Journal, SealKey, Writer, flags, verify_on};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const WRITE: &str = "DAYBOOK_WRITE_GOLDEN";
/// What names these four frames, in this order, wherever they lie.
const CONTENT: &str = "ac35844790b2984be352786f5c382c61a6db536e28695bdb054dc6a0af74ccf7";
const FILES: [&str; 3] = ["0000000000.segment", "000000.seal", "high-water"];

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-journal.hex")
}

/// A key that protects nothing.
fn test_key() -> SealKey {
    let keys = tempfile::tempdir().expect("a directory");
    let path = keys.path().join("key");
    std::fs::write(&path, [7; 32]).expect("writes");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("closes to others");
    SealKey::load_or_create(&path).expect("reads")
}

fn frames() -> Vec<(Draft, Vec<u8>)> {
    let draft = |time: i64, kind: u16, flags: u8, stream: u32| Draft { time, kind, schema: 1, flags, stream };
    vec![
        (draft(1_700_000_000_000_000_000, 1, flags::RUN_START, 0), b"begin".to_vec()),
        (draft(1_700_000_000_000_000_001, 7, 0, 3), (0..=40).collect()),
        (draft(1_700_000_000_000_000_001, 2, 0, u32::MAX), Vec::new()),
        (draft(-5, 9, flags::RUN_START, 1), vec![0xFF; 8]),
    ]
}

fn written() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
    for (number, (draft, payload)) in frames().into_iter().enumerate() {
        writer.append(draft, &payload).expect("appends");
        if number == 1 {
            writer.sync().expect("syncs");
        }
    }
    writer.sync().expect("syncs");
    writer.seal(&test_key()).expect("seals");
    writer.close().expect("closes");
    disk
}

/// 32 bytes a line behind their offset; lines of zeros are left out, the length stands in the heading.
fn shown(disk: &SimulatedDisk) -> String {
    let mut text = String::new();
    for name in FILES {
        let bytes = disk.contents(&dir().join(name)).expect("reads");
        writeln!(text, "{name} {}", bytes.len()).expect("memory");
        for (line, chunk) in bytes.chunks(32).enumerate().filter(|(_, chunk)| chunk.iter().any(|byte| *byte != 0)) {
            let digits: String = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{:08x} {digits}", line * 32).expect("memory");
        }
    }
    text
}

fn read_back(text: &str) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.create_dir(dir()).expect("creates");
    let mut file = None;
    for line in text.lines() {
        let (first, second) = line.split_once(' ').expect("two words");
        if FILES.contains(&first) {
            file = Some(disk.create(&dir().join(first), second.parse().expect("a length")).expect("creates"));
            continue;
        }
        let digit = |at: usize| u8::from_str_radix(&second[at..at + 2], 16).expect("digits");
        let bytes: Vec<u8> = (0..second.len()).step_by(2).map(digit).collect();
        let offset = u64::from_str_radix(first, 16).expect("an offset");
        file.as_ref().expect("a heading comes first").write_at(&bytes, offset).expect("writes");
    }
    disk
}

#[test]
fn the_journal_of_the_golden_file_is_read() {
    let text = std::fs::read_to_string(golden()).expect("the golden file is checked in");
    let disk = read_back(&text);
    let journal = Journal::open_on(shared(&disk), dir()).expect("opens");
    let mut cursor = journal.cursor(0);
    for (seq, (draft, payload)) in (0u64..).zip(frames()) {
        let frame = cursor.next().expect("reads").expect("a frame");
        let found = Draft {
            time: frame.time,
            kind: frame.kind,
            schema: frame.schema,
            flags: frame.flags,
            stream: frame.stream,
        };
        assert_eq!((frame.seq, found, frame.payload), (seq, draft, &payload[..]));
    }
    assert!(cursor.next().expect("reads").is_none());
    assert_eq!(journal.seals().len(), 1);
    let verdict = verify_on(&shared(&disk), dir(), Some(&test_key().public()), &[]).expect("judges");
    assert!(verdict.is_sound(), "{verdict:?}");
    // Once more, by the format as the tests write it down.
    let segment = disk.contents(&segment_path(0)).expect("reads");
    let records = forge::records(&segment).into_iter().filter(forge::Record::is_frame);
    let (content, _) = forge::content(&records.map(|record| record.canonical()).collect::<Vec<_>>());
    assert_eq!(journal.head().content.0, content);
    assert_eq!(journal.head().content.to_string(), CONTENT);
}

#[test]
fn the_same_frames_are_written_as_the_same_bytes() {
    let text = shown(&written());
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(golden().parent().expect("a folder")).expect("creates");
        std::fs::write(golden(), &text).expect("writes");
    }
    let kept = std::fs::read_to_string(golden()).expect("the golden file is checked in");
    let differs = text.lines().zip(kept.lines()).find(|(now, then)| now != then);
    assert!(text == kept, "the format on disk has changed: {differs:?}; journals that exist must stay readable");
}

#[test]
fn a_journal_of_the_golden_file_is_gone_on_with() {
    let disk = read_back(&std::fs::read_to_string(golden()).expect("the golden file is checked in"));
    let mut writer = Writer::open_on(shared(&disk), dir(), small()).expect("opens");
    assert!(writer.recovery().was_clean(), "{:?}", writer.recovery());
    assert_eq!(writer.append(Draft { time: 5, ..Draft::default() }, b"more").expect("appends"), 4);
    writer.close().expect("closes");
    assert!(verify_on(&shared(&disk), dir(), None, &[]).expect("judges").is_sound());
}
