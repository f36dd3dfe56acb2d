//! Promotion and the gate: rows RL-21 and RL-22.

use daybook_inference::{Model, ModelFacts, Network, Scaler, Shape};
use daybook_train::winner::{WinnerRecord, promote, read_winner, require_winner};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// RL-21: the first is taken, equal is not better, strictly better is; the evaluation must be of that model.
#[test]
fn only_a_strictly_better_model_becomes_the_winner() {
    let folder = tempfile::tempdir().expect("a folder");
    let winner = folder.path().join("winner");
    let (first, first_hash) = model(folder.path(), 1);
    let (second, second_hash) = model(folder.path(), 2);
    let outcome = promote(&first, record(-0.5, &first_hash), &winner).expect("promoted");
    assert!(outcome.promoted && outcome.previous.is_none(), "the first valid model is taken: {outcome:?}");
    let outcome = promote(&second, record(-0.5, &second_hash), &winner).expect("an answer");
    assert!(!outcome.promoted && outcome.reason.contains("not strictly better"), "{outcome:?}");
    assert_eq!(read_winner(&winner).expect("a winner").1.hash, first_hash);
    let outcome = promote(&second, record(-0.499, &second_hash), &winner).expect("promoted");
    assert!(outcome.promoted);
    let (read, model) = read_winner(&winner).expect("a winner");
    assert_eq!((read, model.hash), (record(-0.499, &second_hash), second_hash.clone()));
    let error = promote(&first, record(9.0, &second_hash), &winner).expect_err("refused").to_string();
    assert!(error.contains("evaluate it again"), "{error}");
    promote(&first, record(f64::NAN, &first_hash), &winner).expect_err("not a number");
}

/// RL-22: metrics missing, invalid, below the gate; the model missing, changed, or another one.
#[test]
fn a_winner_that_cannot_be_trusted_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let winner = folder.path().join("winner");
    require_winner(&winner, 0.05).expect_err("nothing is there");
    let (file, hash) = model(folder.path(), 1);
    promote(&file, record(0.05, &hash), &winner).expect("promoted");
    assert_eq!(require_winner(&winner, 0.05).expect("a winner").1.hash, hash);
    let error = require_winner(&winner, 0.0501).expect_err("below").to_string();
    assert!(error.contains("0.05 R") && error.contains("0.0501") && error.contains("metrics.json"), "{error}");
    require_winner(&winner, f64::NAN).expect_err("a gate that is no number lets nobody through");
    let metrics = std::fs::read_to_string(winner.join("metrics.json")).expect("text");
    for (text, word) in [
        ("", "parse"),
        ("{\"avg_reward\": 1.0}", "parse"),
        (&metrics.replace("0.05", "\"much\""), "parse"),
        (&metrics.replace(&hash, "../../x"), "hexadecimal"),
    ] {
        std::fs::write(winner.join("metrics.json"), text).expect("written");
        let error = require_winner(&winner, 0.05).expect_err("refused").to_string();
        assert!(error.contains(word) && error.contains("metrics.json"), "{error}");
    }
    std::fs::write(winner.join("metrics.json"), &metrics).expect("written");
    let stored = winner.join(format!("{hash}.safetensors"));
    let (other, _) = model(folder.path(), 2);
    std::fs::copy(other, &stored).expect("copied");
    let error = require_winner(&winner, 0.05).expect_err("another model").to_string();
    assert!(error.contains("changed"), "{error}");
    std::fs::remove_file(&stored).expect("removed");
    require_winner(&winner, 0.05).expect_err("no model");
}

fn record(avg_reward: f64, hash: &str) -> WinnerRecord {
    let evaluated_at = "2025-07-01T12:00:00Z".to_owned();
    WinnerRecord { avg_reward, evaluated_at, steps: 300, model_hash: hash.to_owned() }
}

fn model(folder: &Path, seed: usize) -> (PathBuf, String) {
    let shape = Shape::new(3, &[("5m", 9)]).expect("a shape");
    let parameters = (0..shape.parameter_count()).map(|index| (index * seed % 13) as f32 / 13.0 - 0.4).collect();
    let network = Network::new(shape, parameters, vec![Scaler::identity(3)]).expect("a network");
    let facts = ModelFacts {
        feature_version: 1,
        feature_hash: "abc".to_owned(),
        steps: 300,
        seed: 42,
        symbols: vec!["TCS".to_owned()],
        lineage: BTreeMap::new(),
    };
    let path = folder.join(format!("{seed}.safetensors"));
    let hash = Model::write(&network, &facts, &path).expect("written");
    (path, hash)
}
