//! `journal archive` as a user does it: a sealed journal moves, its head and seals stay, and everyone who wants its
//! frames is told where they are.

use crate::desk::{Desk, five_minutes};
use daybook_config::Calendar;
use daybook_journal::{Options, SealKey, Writer};
use serde_json::Value;
use std::fs;

/// A sealed market `m5` and `run`, a sealed run on it.
fn desk() -> Desk {
    let desk = Desk::new();
    let mut writer = desk.market_writer("m5", &market(), &Calendar::nse());
    writer.seal(&SealKey::load_or_create(&desk.path("keys/seal.key")).expect("a key")).expect("seals");
    writer.close().expect("a whole journal");
    desk.json(&["backtest", "--journal", "m5", "--strategy", "sma-cross", "--out", "run", "--seal"]);
    desk
}

fn market() -> daybook_replay::synthetic::Market {
    five_minutes(&["AAA"], "2024-01-01", "2024-01-05")
}

/// Exit 1: what is wrong may be the verdict, on stdout.
fn finds(desk: &Desk, arguments: &[&str], says: &[&str]) {
    let output = desk.daybook(arguments);
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    for wanted in says {
        assert!(text.contains(wanted), "{arguments:?} should say {wanted:?}, says: {text}");
    }
}

fn copy_of(desk: &Desk, name: &str) -> String {
    let id = desk.json(&["journal", "stat", name])["id"].as_str().expect("an id").to_owned();
    format!("old/{name}.{}", &id[..16])
}

#[test]
fn a_journal_of_history_moves_and_its_head_and_seals_stay() {
    let desk = desk();
    let (copy, before) = (copy_of(&desk, "m5"), desk.json(&["journal", "stat", "m5"]));
    let audited = desk.json(&["audit", "run"]);
    let moved = desk.json(&["journal", "archive", "m5", "--to", "old", "--public-key", "keys/seal.pub"]);
    assert_eq!(moved["verdict"], "archived");
    assert_eq!((&moved["content"], &moved["frames"]), (&before["content"], &before["frames"]));
    assert!(moved["copy"].as_str().unwrap().ends_with(&copy) && moved["bytes"].as_u64().unwrap() > 10_000, "{moved}");
    let mut stays: Vec<_> = fs::read_dir(desk.path("m5")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    stays.sort();
    assert_eq!(stays, ["000000.seal", "archived", "lock"]);
    let again = desk.json(&["journal", "archive", "m5", "--to", "old"]);
    assert_eq!((again["verdict"].as_str(), again["bytes"].as_u64()), (Some("unchanged"), Some(0)));

    let after = desk.json(&["journal", "stat", "m5"]);
    for name in ["id", "frames", "content", "seals", "last_time"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!((&after["archived"], after["place"].as_str()), (&Value::Bool(true), Some("../old")));
    let verdict = desk.json(&["verify", "m5", "--public-key", "keys/seal.pub"]);
    assert_eq!(verdict["verdict"], "archived", "{verdict}");
    assert_eq!(desk.json(&["verify", &copy, "--public-key", "keys/seal.pub"])["verdict"], "sound");
    assert_eq!(desk.json(&["journal", "stat", &copy])["content"], before["content"]);

    // A run on it is not at a loss: by id it finds the copy, and says how to name it.
    finds(&desk, &["audit", "run"], &["m5 is archived", "--journal DIR"]);
    assert_eq!(desk.json(&["audit", "run", "--journal", &copy]), audited);
    finds(&desk, &["explain", "run", "1"], &["m5 is archived", "--journal DIR"]);
    desk.json(&["explain", "run", "1", "--journal", &copy]);
    let on_stub = ["backtest", "--journal", "m5", "--strategy", "sma-cross", "--out", "run2"];
    finds(&desk, &on_stub, &["m5 is archived", "give that directory instead", &copy]);
    finds(&desk, &["journal", "cat", "m5"], &["m5 is archived"]);

    // Back by hand.
    fs::remove_dir_all(desk.path("m5")).unwrap();
    fs::rename(desk.path(&copy), desk.path("m5")).unwrap();
    assert_eq!(desk.json(&["verify", "m5"])["verdict"], "sound");
    assert_eq!(desk.json(&["audit", "run"]), audited);
}

#[test]
fn a_run_keeps_its_other_files_and_its_manifest_still_holds() {
    let desk = desk();
    let content = desk.json(&["journal", "stat", "run"])["content"].clone();
    let copy = copy_of(&desk, "run");
    finds(&desk, &["journal", "archive", "run", "--to", "run/old"], &["lies inside of it"]);
    desk.json(&["journal", "archive", "run", "--to", "old"]);
    assert!(desk.path("run/report.html").exists() && !desk.path("run/journal/0000000000.segment").exists());
    let verdict = desk.json(&["verify", "run"]);
    assert_eq!(verdict["verdict"], "archived");
    assert!(verdict["reason"].as_str().unwrap().contains(content.as_str().unwrap()), "{verdict}");
    assert_eq!(desk.json(&["journal", "stat", "run"])["content"], content);
    assert_eq!(desk.json(&["audit", &copy, "--journal", "m5"])["verdict"], "equal");
    finds(&desk, &["audit", "run"], &["is archived", "give that directory instead"]);

    for name in ["run/summary.json", "run/journal/archived", "run/journal/000000.seal", "run/manifest.json"] {
        let good = fs::read(desk.path(name)).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(desk.path(name), bad).unwrap();
            let file = name.rsplit('/').next().unwrap();
            finds(&desk, &["verify", "run"], &["damaged", file]);
        }
        fs::write(desk.path(name), good).unwrap();
    }
    // Brought back, the manifest finds every file as it was.
    fs::remove_dir_all(desk.path("run/journal")).unwrap();
    fs::rename(desk.path(&copy), desk.path("run/journal")).unwrap();
    assert_eq!(desk.json(&["verify", "run"])["verdict"], "sound");
}

#[test]
fn bad_input_is_one_clear_line_with_what_to_do() {
    let desk = desk();
    desk.market("bare", &market());
    let archive = |path: &str, to: &str, says: &[&str]| finds(&desk, &["journal", "archive", path, "--to", to], says);
    archive("bare", "old", &["bears no seal", "seal it first", "the same command again"]);
    archive("nothing", "old", &["there is no journal at nothing"]);
    archive("m5", "m5/old", &["lies inside of it"]);
    fs::write(desk.path("file"), b"x").unwrap();
    archive("m5", "file", &["is a file; choose a directory"]);
    archive("m5", "file/old", &["file"]);
    let keyed = |key: &str, says: &[&str]| {
        finds(&desk, &["journal", "archive", "m5", "--to", "old", "--public-key", key], says);
    };
    keyed("none.pub", &["cannot read none.pub"]);
    SealKey::load_or_create(&desk.path("other/seal.key")).unwrap();
    keyed("other/seal.pub", &["not signed by the key"]);
    let held = Writer::open(&desk.path("m5"), Options::default()).unwrap();
    archive("m5", "old", &["is being written by another process"]);
    drop(held);
    assert_eq!(desk.daybook(&["journal", "archive", "m5"]).status.code(), Some(2), "--to is needed");
    assert!(!desk.path("old").exists(), "nothing was made");
    assert_eq!(desk.json(&["verify", "m5"])["verdict"], "sound");
}
