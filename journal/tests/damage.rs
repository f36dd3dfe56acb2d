//! Damage: every bit flipped, every length cut, frames moved about.
//!
//! - P3: `verify` finds each flipped bit with its file and place, and no reader is ever given a
//!   frame that is not what was written.
//! - P4: what was acknowledged is refused, never quietly shorter.
//! - Must never: pass because nothing was damaged; the undamaged case is checked first.

mod common;

use common::*;
use daybook_journal::storage::{Fate, SimulatedDisk, Unsynced};
use daybook_journal::{Journal, JournalError, Options, SealKey, Verdict, Writer, verify_on};
use std::path::Path;

const LONGEST: u64 = 1_900;

/// A closed journal of about 64 KiB: segments, a reserve, the high-water file; seals on demand.
fn closed_journal(sealed: bool) -> (SimulatedDisk, u64) {
    let disk = SimulatedDisk::new();
    let options = Options { reserve: true, ..small() };
    let keys = tempfile::tempdir().expect("a directory");
    let key = SealKey::load_or_create(&keys.path().join("key")).expect("makes a key");
    let mut writer = Writer::create_on(shared(&disk), dir(), options).expect("creates");
    for batch in 1..=9 {
        append(&mut writer, batch, LONGEST);
        writer.sync().expect("syncs");
        if sealed && batch % 4 == 0 {
            writer.seal(&key).expect("seals");
        }
    }
    let frames = writer.close().expect("closes").frames;
    (disk, frames)
}

fn verdict(disk: &SimulatedDisk) -> Verdict {
    verify_on(&shared(disk), dir(), None, &[]).expect("judges")
}

/// Reads all there is; every frame must be what was written. Returns how many, and whether the end
/// was reached without an error.
fn read_all(disk: &SimulatedDisk, context: &dyn std::fmt::Display) -> (u64, bool) {
    let Ok(journal) = Journal::open_on(shared(disk), dir()) else {
        return (0, false);
    };
    let mut cursor = journal.cursor(0);
    let mut seq = 0;
    loop {
        match cursor.next() {
            Ok(Some(frame)) => {
                assert_eq!(frame.seq, seq, "{context}");
                assert_written(&frame, LONGEST, context);
                seq += 1;
            }
            Ok(None) => return (seq, true),
            Err(JournalError::Damaged { .. }) => return (seq, false),
            Err(error) => panic!("{context}: {error}"),
        }
    }
}

#[test]
fn p3_every_flipped_bit_is_found_with_its_place() {
    let (disk, _) = closed_journal(true);
    assert!(verdict(&disk).is_sound(), "{:?}", verdict(&disk));
    let files = files(&disk);
    let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!((64 * 1024..128 * 1024).contains(&total), "{total} bytes");
    for (path, bytes) in &files {
        in_parallel(bytes.len(), |at| {
            let disk = disk.fork();
            for bit in 0..8 {
                disk.edit(path, |bytes| bytes[at] ^= 1 << bit).expect("edits");
                let Verdict::Damaged { file, offset, reason, .. } = verdict(&disk) else {
                    panic!("{} byte {at} bit {bit}: not found", path.display());
                };
                disk.edit(path, |bytes| bytes[at] ^= 1 << bit).expect("edits");
                let near = offset <= at as u64 + 4096 && at as u64 <= offset + 4096;
                assert!(
                    file == *path && near,
                    "{} byte {at} bit {bit}: reported at {} offset {offset}: {reason}",
                    path.display(),
                    file.display()
                );
            }
        });
    }
}

/// For each byte of a file: the frame it belongs to, where it is a segment and the byte is one of a frame.
fn frames_of(path: &Path, bytes: &[u8]) -> Vec<Option<u64>> {
    let mut frames = vec![None; bytes.len()];
    if path.to_string_lossy().ends_with(".segment") {
        let first = u64::from_le_bytes(bytes[40..48].try_into().expect("eight bytes"));
        let records = forge::records(bytes);
        let in_order = records.iter().filter(|record| record.is_frame());
        for (seq, record) in (first..).zip(in_order) {
            frames[record.offset..record.offset + record.bytes.len()].fill(Some(seq));
        }
    }
    frames
}

#[test]
fn p3_no_flipped_bit_is_ever_served() {
    let (disk, frames) = closed_journal(false);
    assert_eq!(read_all(&disk, &"undamaged"), (frames, true));
    for (path, bytes) in &files(&disk) {
        let frame_at = frames_of(path, bytes);
        in_parallel(bytes.len(), |at| {
            let disk = disk.fork();
            let opened_before = Journal::open_on(shared(&disk), dir()).expect("opens");
            for bit in 0..8 {
                let context = format!("{} byte {at} bit {bit}", path.display());
                disk.edit(path, |bytes| bytes[at] ^= 1 << bit).expect("edits");
                if let Some(seq) = frame_at[at] {
                    // Every bit: a reader that was there before the damage meets it at that frame.
                    let mut cursor = opened_before.cursor(seq);
                    assert!(cursor.next().is_err(), "{context}: frame {seq} was served");
                    assert!(cursor.next().is_err(), "{context}: frame {seq} was skipped");
                }
                if bit == at % 8 {
                    // A bit of every byte: a reader that comes later reads all up to it, or is refused.
                    let (read, whole) = read_all(&disk, &context);
                    assert!(!whole || read == frames, "{context}: the end came early, at {read}");
                    assert!(!whole || frame_at[at].is_none(), "{context}: it was served");
                    assert!(frame_at[at].is_none_or(|seq| read <= seq), "{context}");
                }
                disk.edit(path, |bytes| bytes[at] ^= 1 << bit).expect("edits");
            }
        });
    }
}

fn one_segment() -> Options {
    Options { segment_bytes: 64 * 1024, ..Options::default() }
}

/// One segment of 64 KiB, acknowledged up to its middle, with more batches behind.
fn half_acknowledged() -> (SimulatedDisk, u64, Vec<(u64, u64)>) {
    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), one_segment()).expect("creates");
    for _ in 0..8 {
        append(&mut writer, 4, LONGEST);
        writer.commit().expect("commits");
    }
    writer.sync().expect("syncs");
    let acknowledged = writer.head().frames;
    while ends(&disk).last().expect("a batch").1 < 58 * 1024 {
        append(&mut writer, 3, LONGEST);
        writer.commit().expect("commits");
    }
    drop(writer);
    let ends = ends(&disk);
    (disk, acknowledged, ends)
}

/// (Frames so far, offset) at each batch end of segment 0.
fn ends(disk: &SimulatedDisk) -> Vec<(u64, u64)> {
    let bytes = disk.contents(&segment_path(0)).expect("reads");
    let mut frames = 0;
    let mut ends = Vec::new();
    for record in forge::records(&bytes) {
        if record.is_frame() {
            frames += 1;
        } else if record.kind() == forge::COMMIT {
            ends.push((frames, (record.offset + record.bytes.len()) as u64));
        }
    }
    ends
}

#[test]
fn p2_p4_every_length_is_recovered_or_refused() {
    let (disk, acknowledged, ends) = half_acknowledged();
    let len = disk.contents(&segment_path(0)).expect("reads").len();
    assert_eq!(len, 64 * 1024);
    let whole = Journal::open_on(shared(&disk), dir()).expect("opens");
    in_parallel(len, |cut| {
        let disk = disk.fork();
        disk.edit(&segment_path(0), |bytes| bytes.truncate(cut)).expect("edits");
        let kept = ends.iter().rev().find(|(_, end)| *end <= cut as u64);
        let kept = kept.map_or(0, |(frames, _)| *frames);
        let read = Journal::open_on(shared(&disk), dir());
        let opened = Writer::open_on(shared(&disk), dir(), one_segment());
        if kept < acknowledged {
            for error in [read.err(), opened.err()] {
                let error = error.unwrap_or_else(|| panic!("cut at {cut}: not refused"));
                assert!(matches!(error, JournalError::Damaged { .. }), "cut at {cut}: {error}");
            }
            let after = disk.contents(&segment_path(0)).expect("reads");
            assert_eq!(after.len(), cut, "what is refused is not touched");
            return;
        }
        let context = format!("cut at {cut}");
        assert_eq!(read.expect("opens").head().frames, kept, "{context}");
        let mut writer = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(writer.recovery().frames_kept, kept, "{context}");
        let content = whole.content_at(kept).expect("hashes");
        assert_eq!(writer.head().content, content, "{context}");
        if cut % 97 == 0 {
            append(&mut writer, 5, LONGEST);
            writer.close().expect("closes");
            let journal = Journal::open_on(shared(&disk), dir()).expect("opens");
            assert_all_written(&journal, LONGEST, &context);
            assert!(verdict(&disk).is_sound(), "{context}: {:?}", verdict(&disk));
        }
    });
}

#[test]
fn p4_every_file_cut_at_every_length_is_found() {
    let (disk, frames) = closed_journal(false);
    for (path, bytes) in &files(&disk) {
        let mut ends = Vec::new();
        if path.to_string_lossy().ends_with(".segment") {
            let records = forge::records(bytes);
            let last = records.last().expect("a record");
            let pad = last.kind() == forge::PAD;
            ends.push(last.offset + if pad { 0 } else { last.bytes.len() });
            ends.push(last.offset + last.bytes.len());
        }
        in_parallel(bytes.len(), |cut| {
            let disk = disk.fork();
            disk.edit(path, |bytes| bytes.truncate(cut)).expect("edits");
            let context = format!("{} cut at {cut}", path.display());
            // At the end of the last batch, as a clean close trims it (a pad says nothing).
            let trimmed = ends.contains(&cut);
            assert_eq!(verdict(&disk).is_sound(), trimmed, "{context}");
            let (read, whole) = read_all(&disk, &context);
            assert!(!whole || read == frames, "{context}: the end came early, at {read}");
        });
    }
}

#[test]
fn p4_a_missing_file_is_found() {
    let (disk, frames) = closed_journal(true);
    for (path, _) in &files(&disk) {
        let disk = disk.fork();
        daybook_journal::storage::Storage::remove(&disk, path).expect("removes");
        let reserve = path.ends_with("reserve");
        let sound = verdict(&disk).is_sound();
        assert_eq!(sound, reserve, "{}: {:?}", path.display(), verdict(&disk));
        let (read, whole) = read_all(&disk, &path.display());
        assert!(!whole || read == frames, "{}: the end came early", path.display());
    }
}

/// Two frames of one segment with the same length, so that they can change places.
fn twins(bytes: &[u8]) -> (forge::Record, forge::Record) {
    let frames: Vec<_> = forge::records(bytes).into_iter().filter(forge::Record::is_frame).collect();
    for (index, one) in frames.iter().enumerate() {
        if let Some(other) = frames[index + 1..].iter().find(|other| other.bytes[..4] == one.bytes[..4]) {
            return (one.clone(), other.clone());
        }
    }
    panic!("the journal has frames of equal length");
}

/// A closed journal whose frames all have payloads of 40 bytes, over several segments.
fn even_journal() -> (SimulatedDisk, u64) {
    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
    for seq in 0..500u64 {
        writer.append(draft(seq), &[seq as u8; 40]).expect("appends");
        if seq % 10 == 9 {
            writer.sync().expect("syncs");
        }
    }
    let frames = writer.close().expect("closes").frames;
    (disk, frames)
}

fn assert_found(disk: &SimulatedDisk, file: &Path, offset: usize, what: &str) {
    match verdict(disk) {
        Verdict::Damaged { file: found, offset: at, .. } => {
            assert_eq!((found.as_path(), at), (file, offset as u64), "{what}");
        }
        sound => panic!("{what}: {sound:?}"),
    }
    if let Ok(journal) = Journal::open_on(shared(disk), dir()) {
        let mut cursor = journal.cursor(0);
        while let Ok(Some(frame)) = cursor.next() {
            assert_eq!(frame.payload, [frame.seq as u8; 40], "{what}: a wrong frame was served");
        }
        let error = cursor.next().expect_err("it stays an error");
        assert!(matches!(error, JournalError::Damaged { .. }), "{what}: {error}");
    }
}

#[test]
fn p3_swapped_duplicated_and_recycled_frames_are_found() {
    let (disk, _) = even_journal();
    assert!(verdict(&disk).is_sound());
    for number in 0..2 {
        let path = segment_path(number);
        let bytes = disk.contents(&path).expect("reads");
        let (one, other) = twins(&bytes);
        let swapped = disk.fork();
        swapped
            .edit(&path, |bytes| {
                bytes[one.offset..one.offset + one.bytes.len()].copy_from_slice(&other.bytes);
                bytes[other.offset..other.offset + other.bytes.len()].copy_from_slice(&one.bytes);
            })
            .expect("edits");
        assert_found(&swapped, &path, one.offset, "swapped");
        let duplicated = disk.fork();
        duplicated
            .edit(&path, |bytes| {
                bytes[other.offset..other.offset + other.bytes.len()].copy_from_slice(&one.bytes);
            })
            .expect("edits");
        assert_found(&duplicated, &path, other.offset, "duplicated");
        // From another segment, at the same offset and of the same length, the seq made to fit:
        // only the file id in the checksum tells.
        let elsewhere = disk.contents(&segment_path(1 - number)).expect("reads");
        let recycled = disk.fork();
        recycled
            .edit(&path, |bytes| {
                let range = one.offset + 8..one.offset + one.bytes.len();
                bytes[range.clone()].copy_from_slice(&elsewhere[range]);
                bytes[one.offset + 4..one.offset + 8].copy_from_slice(&elsewhere[one.offset + 4..one.offset + 8]);
                bytes[one.offset + 8..one.offset + 16].copy_from_slice(&one.bytes[8..16]);
            })
            .expect("edits");
        assert_found(&recycled, &path, one.offset, "recycled");
    }
}

#[test]
fn p3_segments_that_change_places_are_found() {
    let (disk, _) = even_journal();
    let (first, second) = (segment_path(0), segment_path(1));
    let contents = [&first, &second].map(|path| disk.contents(path).expect("reads"));
    disk.edit(&first, |bytes| bytes.clone_from(&contents[1])).expect("edits");
    disk.edit(&second, |bytes| bytes.clone_from(&contents[0])).expect("edits");
    assert!(!verdict(&disk).is_sound());
    assert!(matches!(Journal::open_on(shared(&disk), dir()), Err(JournalError::Damaged { .. })));
}

#[test]
fn p4_a_later_commit_record_tells_what_was_acknowledged() {
    // The high-water file never reached the platter; the commit record of the next batch says that
    // the batch before it was synced, and is found beyond the damage.
    let disk = SimulatedDisk::new();
    let mut writer = Writer::create_on(shared(&disk), dir(), small()).expect("creates");
    append(&mut writer, 4, LONGEST);
    writer.sync().expect("syncs");
    append(&mut writer, 4, LONGEST);
    writer.commit().expect("commits");
    drop(writer);
    let after = disk.power_cut(|what| match what {
        Unsynced::Sector { path, .. } if path.ends_with("high-water") => Fate::Dropped,
        _ => Fate::Kept,
    });
    assert_eq!(Journal::open_on(shared(&after), dir()).expect("opens").head().frames, 8);
    let bytes = after.contents(&segment_path(0)).expect("reads");
    for (seq, record) in forge::records(&bytes).iter().filter(|record| record.is_frame()).enumerate() {
        let damaged = after.fork();
        damaged.edit(&segment_path(0), |bytes| bytes[record.offset + 20] ^= 1).expect("edits");
        for opened in [
            Journal::open_on(shared(&damaged), dir()).map(|journal| journal.head().frames),
            Writer::open_on(shared(&damaged), dir(), small()).map(|writer| writer.head().frames),
        ] {
            match opened {
                Err(JournalError::Damaged { offset, .. }) if seq < 4 => {
                    assert_eq!(offset, record.offset as u64);
                }
                Ok(frames) if seq >= 4 => assert_eq!(frames, 4, "the unacknowledged batch is cut"),
                other => panic!("frame {seq}: {other:?}"),
            }
        }
    }
}
