//! The learner as a user does it, with the real binary: train, take up, evaluate, promote, trade, audit.
//!
//! - A small made-up market and a small network; none needs network, accounts or data from outside.
//! - Source rows: RL-15, RL-20, RL-21, RL-22, TS-05, TS-09.

use daybook_config::Calendar;
use daybook_inference::tensors::TensorFile;
use daybook_journal::{Options, Writer};
use daybook_replay::synthetic::{self, Market};
use daybook_vocabulary::{Interval, Price};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Desk {
    dir: tempfile::TempDir,
}

const TRAIN: &[&str] = &[
    "train",
    "--journal",
    "m",
    "--from",
    "2024-02-01",
    "--to",
    "2024-02-29",
    "--holdout",
    "2024-03-01..2024-03-28",
    "--timeframes",
    "15m:8,1h:8",
    "--batch-size",
    "6",
    "--micro-batch",
    "2",
    "--checkpoint-every",
    "2",
    "--no-thermal",
];

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        let market = Market {
            seed: 5,
            symbols: [("ALFA", 500), ("BETA", 90)]
                .map(|(symbol, price)| (symbol.to_owned(), Price::from_units(price)))
                .into(),
            tick: Price(5_000_000),
            interval: Interval::minutes(15),
            from: "2024-01-01".parse().expect("a date"),
            to: "2024-03-28".parse().expect("a date"),
        };
        let mut writer = Writer::create(&desk.path("m"), Options::default()).expect("a new journal");
        synthetic::write(&market, &Calendar::nse(), &mut writer).expect("a market");
        writer.close().expect("a whole journal");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the binary in this directory, away from the settings of whoever runs the tests.
    fn daybook(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_daybook"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .output()
            .expect("the binary runs")
    }

    fn works(&self, arguments: &[&str]) -> String {
        let output = self.daybook(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn train(&self, more: &[&str]) -> String {
        self.works(&[TRAIN, more].concat())
    }

    fn fails(&self, arguments: &[&str], says: &[&str]) {
        let output = self.daybook(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {stderr}");
        for text in says {
            assert!(stderr.contains(text), "{arguments:?} should say {text:?}, says: {stderr}");
        }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file")
    }
}

/// The whole way of a model: two sittings equal one, the winner trades, and the audit derives every decision again.
#[test]
fn a_model_is_trained_promoted_traded_and_audited() {
    let desk = Desk::new();
    desk.train(&["--steps", "6", "--threads", "2", "--out", "whole"]);
    desk.train(&["--steps", "3", "--threads", "2", "--out", "broken"]);
    let again = desk.train(&["--steps", "6", "--threads", "2", "--out", "broken"]);
    assert!(again.contains("going on from step 3"), "{again}");
    assert!(desk.bytes("broken/checkpoint.safetensors") == desk.bytes("whole/checkpoint.safetensors"), "TS-05");
    let page = String::from_utf8(desk.bytes("whole/report.html")).expect("text");
    assert!(page.contains("<polyline") && page.contains("Action mix"), "curves are drawn");
    let told = desk.works(&["journal", "cat", "whole/journal", "--format", "json"]);
    let steps = told.lines().filter(|line| line.contains("\"training-step\"")).count();
    assert_eq!(steps, 6, "every step is journaled");

    let dumped = desk.works(&[
        "evaluate",
        "--model",
        "whole",
        "--journal",
        "m",
        "--dump-decisions",
        "5",
        "--out",
        "x.safetensors",
    ]);
    assert!(dumped.contains("5 decisions"), "{dumped}");
    let (file, _) = TensorFile::read(&desk.path("x.safetensors")).expect("tensors");
    assert_eq!((&file.tensors["x.15m"].dims, &file.tensors["q"].dims), (&vec![5, 2, 8, 18], &vec![5, 2, 3]));

    desk.fails(&["promote", "--model", "whole", "--winner", "winner"], &["evaluate"]);
    let text = desk.works(&["evaluate", "--model", "whole", "--journal", "m", "--format", "json"]);
    let evaluated: Value = serde_json::from_str(&text).expect("one JSON object");
    assert!(evaluated["comparison"]["others"].as_array().is_some_and(|others| others.len() == 4));
    assert_eq!(evaluated["uses"], 1);
    desk.works(&["promote", "--model", "whole", "--winner", "winner"]);
    assert_eq!(desk.daybook(&["promote", "--model", "whole", "--winner", "winner"]).status.code(), Some(1), "RL-21");

    let trade = ["backtest", "--journal", "m", "--strategy", "learned", "--from", "2024-03-01", "--to", "2024-03-28"];
    desk.works(&[&trade[..], &["--set", "model=winner", "--out", "run"]].concat());
    let decisions = desk.works(&["journal", "cat", "run", "--kind", "decision", "--format", "json"]);
    let record: Value = serde_json::from_slice(&desk.bytes("winner/metrics.json")).expect("JSON");
    let hash = record["model_hash"].as_str().expect("a hash").to_owned();
    assert!(
        decisions.lines().count() > 100 && decisions.lines().all(|line| line.contains(&hash)),
        "its hash is in each"
    );
    // The winner may go: the run keeps its own copy.
    std::fs::rename(desk.path("winner"), desk.path("elsewhere")).expect("renamed");
    assert!(desk.works(&["audit", "run"]).starts_with("equal"), "{}", desk.works(&["audit", "run"]));
    desk.works(&["verify", "run"]);

    let file = desk.path("elsewhere").join(format!("{hash}.safetensors"));
    let mut bytes = std::fs::read(&file).expect("bytes");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    desk.fails(&[&trade[..], &["--set", "model=elsewhere", "--out", "other"]].concat(), &["content hash", &hash]);
}

/// What cannot work is said before any work is done, in one line, with what to do.
#[test]
fn bad_input_is_refused_at_once() {
    let desk = Desk::new();
    let with = |flag: &str, value: &str| -> Vec<String> {
        let mut arguments: Vec<String> = TRAIN.iter().map(|part| (*part).to_owned()).collect();
        match arguments.iter().position(|part| part == flag) {
            Some(at) => arguments[at + 1] = value.to_owned(),
            None => arguments.extend([flag.to_owned(), value.to_owned()]),
        }
        arguments.extend(["--steps".to_owned(), "2".to_owned(), "--out".to_owned(), "bad".to_owned()]);
        arguments
    };
    for (flag, value, says) in [
        ("--to", "2024-03-05", "held out"),
        ("--holdout", "2024-03-28..2024-03-01", "after"),
        ("--timeframes", "15m:7", "from 8 to 4096"),
        ("--timeframes", "7x:20", "7x"),
        ("--timeframes", "5m:20", "5m"),
        ("--batch-size", "0", "--batch-size"),
        ("--lr", "-1", "--lr"),
        ("--threads", "0", "--threads"),
        ("--symbols", "GAMA", "GAMA"),
        ("--timeframes", "15m:4000", "features"),
    ] {
        let arguments = with(flag, value);
        desk.fails(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[says]);
        assert!(!Path::new(&desk.path("bad/model.safetensors")).exists());
    }
    desk.fails(&["evaluate", "--model", "absent", "--journal", "m"], &["absent"]);
    desk.train(&["--steps", "2", "--out", "model"]);
    let mut bytes = desk.bytes("model/checkpoint.safetensors");
    bytes[3000] ^= 64;
    std::fs::write(desk.path("model/checkpoint.safetensors"), bytes).expect("written");
    desk.fails(&[TRAIN, &["--steps", "4", "--out", "model"]].concat(), &["checkpoint.safetensors", "damaged"]);
}
