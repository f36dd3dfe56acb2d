//! A real process, really killed: `kill -9` in the middle of writing, again and again.
//!
//! - P2: every frame the child said was acknowledged is there after its death, and nothing else.
//! - The child is this very test binary, started on one test with a directory in its environment.
//! - `DAYBOOK_KILLS` sets the number of rounds (default 50).
//! - Must never: kill anything but its own child.

mod common;

use common::*;
use daybook_journal::{Journal, Options, Writer, verify};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const LONGEST: u64 = 600;
const CHILD_DIR: &str = "DAYBOOK_KILL_CHILD_DIR";

fn options() -> Options {
    Options { segment_bytes: 64 * 1024, reserve: true, ..Options::default() }
}

/// Not a test of its own: what the child does, for ever, once it is started with a directory.
#[test]
fn child_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let mut writer = Writer::open_or_create(Path::new(&dir), options()).expect("opens");
    let mut random = Random(writer.next_seq());
    let mut out = std::io::stdout().lock();
    loop {
        append(&mut writer, random.below(40), LONGEST);
        match random.below(3) {
            0 => writer.commit().expect("commits"),
            1 => {}
            _ => {
                writer.sync().expect("syncs");
                writeln!(out, "acknowledged {}", writer.head().frames).expect("the parent reads");
                out.flush().expect("the parent reads");
            }
        }
    }
}

#[test]
fn p2_kill_minus_nine_loses_nothing_acknowledged() {
    let rounds = std::env::var("DAYBOOK_KILLS").ok().and_then(|text| text.parse().ok());
    let rounds: u64 = rounds.unwrap_or(50);
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path().join("journal");
    let mut random = Random(9);
    let (mut acknowledged, mut moved) = (0u64, 0);
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "child_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD_DIR, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut note = |line: &str| {
            if let Some(frames) = line.strip_prefix("acknowledged ") {
                acknowledged = acknowledged.max(frames.parse().expect("a number"));
            }
        };
        let mut wanted = 1 + random.below(8);
        while wanted > 0 {
            let line = lines.next().expect("the child lives").expect("reads");
            wanted -= u64::from(line.starts_with("acknowledged "));
            note(&line);
        }
        std::thread::sleep(std::time::Duration::from_micros(random.below(2_000)));
        child.kill().expect("kills");
        child.wait().expect("is gone");
        // What it still managed to say counts; its last line may be cut.
        for line in lines.map_while(Result::ok).filter(|line| line.is_ascii()) {
            if line.strip_prefix("acknowledged ").is_some_and(|rest| rest.len() >= 3) {
                // A cut number is smaller than the true one, so it claims less.
                note(&line);
            }
        }
        let context = format!("round {round}");
        let journal = Journal::open(&dir).unwrap_or_else(|error| panic!("{context}: {error}"));
        let frames = journal.head().frames;
        assert!(frames >= acknowledged, "{context}: {frames} of {acknowledged}");
        assert_all_written(&journal, LONGEST, &context);
        if round % 5 == 4 {
            let writer = Writer::open(&dir, options()).expect("recovers");
            assert_eq!(writer.head().frames, frames, "{context}");
            moved += writer.recovery().frames_copied;
            acknowledged = writer.close().expect("closes").frames;
            let verdict = verify(&dir, None).expect("judges");
            assert!(verdict.is_sound(), "{context}: {verdict:?}");
        }
    }
    assert!(acknowledged > rounds, "the children wrote {acknowledged} frames");
    assert!(rounds < 50 || moved > 0, "some death left frames between D and V");
}
