//! Promotion and what may be believed of a winner: rows RL-21 and RL-22, trap 25.

use daybook_config::{Settings, Sources};
use daybook_inference::{Model, ModelFacts, Network, Scaler, Shape};
use daybook_journal::SealKey;
use daybook_replay::learned;
use daybook_replay::winner::{
    Ground, METRICS, Promoted, Trust, WinnerRecord, offers, promote, read_winner, require_winner,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const CHARGES: &str = "zerodha-intraday";

/// A person's folder: a key, models, a winner.
struct Home {
    dir: tempfile::TempDir,
    key: SealKey,
    trust: Trust,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("seal.key");
        let key = SealKey::load_or_create(&path).expect("a key");
        Self { key, trust: Trust { public: None, sealing: Some(path) }, dir }
    }

    fn winner(&self) -> PathBuf {
        self.dir.path().join("winner")
    }

    fn metrics(&self) -> PathBuf {
        self.winner().join(METRICS)
    }

    fn promote(&self, model: &Path, record: WinnerRecord) -> Promoted {
        promote(model, record, &self.winner(), (&self.key, &self.trust)).expect("an answer")
    }

    fn refused(&self, trust: &Trust) -> String {
        let error = require_winner(&self.winner(), 0.05, CHARGES, trust).expect_err("refused").to_string();
        let loaded = learned::open(&self.winner().to_string_lossy(), trust).err().map(|error| error.to_string());
        assert_eq!(loaded.as_ref(), Some(&error), "what trades and what is tested refuse the same");
        assert!(!error.contains('\n'), "{error}");
        error
    }

    fn model(&self, seed: usize) -> (PathBuf, String) {
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
        let path = self.dir.path().join(format!("{seed}.safetensors"));
        let hash = Model::write(&network, &facts, &path).expect("written");
        (path, hash)
    }
}

fn record(avg_reward: f64, hash: &str) -> WinnerRecord {
    let evaluated_at = "2025-07-01T12:00:00Z".to_owned();
    WinnerRecord { avg_reward, evaluated_at, steps: 300, model_hash: hash.to_owned(), measured: ground() }
}

/// Half a year of one symbol under the charges of live.
fn ground() -> Ground {
    let settings = Settings::resolve(Sources { overrides: pair("costs", CHARGES), ..Sources::default() });
    let dates = ("2025-01-01".parse().expect("a date"), "2025-06-30".parse().expect("a date"));
    let ground = Ground::new(dates, vec!["TCS".to_owned()], "d".repeat(64), &settings.expect("settings").settings);
    Ground { trades: 40, sessions: 20, ..ground.expect("a schedule") }
}

fn pair(key: &str, value: &str) -> Vec<(String, String)> {
    vec![(key.to_owned(), value.to_owned())]
}

/// RL-21: the first is taken, equal is not better, strictly better is; the evaluation must be of that model.
#[test]
fn only_a_strictly_better_model_becomes_the_winner() {
    let home = Home::new();
    let ((first, first_hash), (second, second_hash)) = (home.model(1), home.model(2));
    let outcome = home.promote(&first, record(-0.5, &first_hash));
    assert!(outcome.promoted && outcome.previous.is_none(), "the first valid model is taken: {outcome:?}");
    let outcome = home.promote(&second, record(-0.5, &second_hash));
    assert!(!outcome.promoted && outcome.reason.contains("not strictly better"), "{outcome:?}");
    assert_eq!(read_winner(&home.winner(), &home.trust).expect("a winner").model.hash, first_hash);
    assert!(home.promote(&second, record(-0.499, &second_hash)).promoted);
    let winner = read_winner(&home.winner(), &home.trust).expect("a winner");
    assert_eq!((winner.record, winner.model.hash), (record(-0.499, &second_hash), second_hash.clone()));
    let promote = |model: &Path, record: WinnerRecord, trust: &Trust| {
        promote(model, record, &home.winner(), (&home.key, trust)).expect_err("refused").to_string()
    };
    let error = promote(&first, record(9.0, &second_hash), &home.trust);
    assert!(error.contains("evaluate it again"), "{error}");
    promote(&first, record(f64::NAN, &first_hash), &home.trust);
    // What has to be beaten must be whole.
    let text = std::fs::read_to_string(home.metrics()).expect("text");
    std::fs::write(home.metrics(), text.replace("-0.499", "-0.999")).expect("written");
    let error = promote(&first, record(9.0, &first_hash), &home.trust);
    assert!(error.contains("was changed after the promotion") && error.contains("remove it"), "{error}");
    std::fs::remove_file(home.metrics()).expect("removed");
    assert!(home.promote(&first, record(9.0, &first_hash)).previous.is_none());
    // A key that would not be believed here signs nothing here.
    let other = Home::new();
    let error = promote(&second, record(10.0, &second_hash), &other.trust);
    assert!(error.contains("learn.winner_key") && error.contains(&other.key.public().to_string()), "{error}");
}

/// RL-21: rewards are compared only where they were measured alike; nobody is promoted on an evaluation that says nothing;
/// what trades was measured under the charges it will pay.
#[test]
fn a_reward_counts_only_beside_one_that_was_measured_alike() {
    let home = Home::new();
    let ((first, first_hash), (second, second_hash)) = (home.model(1), home.model(2));
    let refused = |model: &Path, record: WinnerRecord| {
        let error = promote(model, record, &home.winner(), (&home.key, &home.trust)).expect_err("refused").to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let on = |reward: f64, hash: &str, measured: Ground| WinnerRecord { measured, ..record(reward, hash) };
    // The first is taken whatever it says, and a broker never sees it; what says something takes its place.
    let silent = |trades, sessions| on(9.0, &first_hash, Ground { trades, sessions, ..ground() });
    let taken = home.promote(&first, silent(4, 1));
    assert!(taken.promoted && taken.reason.contains("makes no statement: 4 trades"), "{}", taken.reason);
    let error = require_winner(&home.winner(), 0.05, "zerodha-intraday", &home.trust).expect_err("refused").to_string();
    assert!(error.contains("makes no statement: 4 trades"), "{error}");
    for (trades, sessions) in [(0, 0), (4, 0), (4, 1)] {
        let error = refused(&first, silent(trades, sessions));
        assert!(error.contains("makes no statement") && error.contains("longer range"), "{error}");
    }
    let taken = home.promote(&first, record(0.1, &first_hash));
    assert!(taken.promoted && taken.reason.contains("nothing could be said"), "{}", taken.reason);
    require_winner(&home.winner(), 0.05, "zerodha-intraday", &home.trust).expect("it says something");
    let error = refused(&first, silent(4, 1));
    assert!(error.contains("makes no statement"), "{error}");
    let text = |text: &str| text.to_owned();
    for (other, says) in [
        (Ground { from: text("2025-06-24"), ..ground() }, ["range 2025-06-24..2025-06-30", "2025-01-01..2025-06-30"]),
        (Ground { symbols: vec![text("INFY")], ..ground() }, ["symbols INFY", "against TCS"]),
        (Ground { data: "e".repeat(64), ..ground() }, ["data eeeeeeeeeeee", "against dddddddddddd"]),
        (Ground { charges: text("none"), ..ground() }, ["charges none", "against zerodha-intraday"]),
        (Ground { charges_hash: "0".repeat(64), ..ground() }, ["rates of the charges", "against"]),
        (Ground { profile: text("realistic"), ..ground() }, ["profile realistic", "against plain"]),
        (Ground { settings: "0".repeat(64), ..ground() }, ["settings 000000000000", "against"]),
    ] {
        // The same model too: a kinder range makes nobody better.
        for (model, hash) in [(&first, &first_hash), (&second, &second_hash)] {
            let error = refused(model, on(9.0, hash, other.clone()));
            assert!(says.iter().all(|word| error.contains(word)), "{error}");
            assert!(error.contains("metrics.json") && error.contains("another winner folder"), "{error}");
        }
    }
    // How many trades came of it is what is measured, not where; the seed is the model's own.
    let settings = |key: &str, value: &str| {
        let overrides = [pair("costs", CHARGES), pair(key, value)].concat();
        let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).expect("settings").settings;
        let dates = ("2025-01-01".parse().expect("a date"), "2025-06-30".parse().expect("a date"));
        Ground::new(dates, vec![text("TCS")], "d".repeat(64), &settings).expect("a schedule")
    };
    assert_eq!(settings("seed", "7").unlike(&ground()), None);
    assert!(settings("risk.leverage", "2").unlike(&ground()).is_some_and(|unlike| unlike.starts_with("settings ")));
    assert!(home.promote(&second, on(0.2, &second_hash, Ground { trades: 41, ..ground() })).promoted);

    let gate = |charges: &str| require_winner(&home.winner(), 0.05, charges, &home.trust);
    gate(CHARGES).expect("measured under what it will pay");
    let error = gate("zerodha-delivery").expect_err("other charges").to_string();
    assert!(error.contains("zerodha-intraday") && error.contains("--set costs=zerodha-delivery"), "{error}");
    for (other, says) in [
        (Ground { charges: text("none"), ..ground() }, "measured without charges (costs=none)"),
        (Ground { charges_hash: "0".repeat(64), ..ground() }, "other rates of zerodha-intraday"),
    ] {
        std::fs::remove_dir_all(home.winner()).expect("removed");
        home.promote(&first, on(9.0, &first_hash, other));
        let error = gate(CHARGES).expect_err("refused").to_string();
        assert!(error.contains(says) && error.contains("costs=zerodha-intraday"), "{error}");
        read_winner(&home.winner(), &home.trust).expect("it may still be tried");
    }
}

/// RL-21: the specified fields come first and as specified; numbers read back as the bits that were signed.
#[test]
fn a_record_is_written_as_specified_and_reads_back() {
    let home = Home::new();
    let (file, hash) = home.model(1);
    let mut best = f64::NEG_INFINITY;
    // Decimals whose last digit depends on how they are read, too.
    for reward in [-1.7976931348623157e308, -0.1, 5e-324, 0.1 + 0.2, 1.0, 12_345.678_901_234_567, 1.0e23] {
        assert!(reward > best && home.promote(&file, record(reward, &hash)).promoted, "{reward}");
        best = read_winner(&home.winner(), &home.trust).expect("signed as it reads back").record.avg_reward;
    }
    let text = std::fs::read_to_string(home.metrics()).expect("text");
    let places: Vec<usize> = ["avg_reward", "evaluated_at", "steps", "model_hash", "measured", "signer", "signature"]
        .iter()
        .map(|field| text.find(&format!("\"{field}\": ")).expect(field))
        .collect();
    assert!(places.is_sorted(), "{text}");
}

/// RL-22, trap 25: metrics missing, invalid, unsigned, changed anywhere, signed by somebody else, of another model, below
/// the gate; the model missing, changed, or another one. Each in one line with the file and what to do.
#[test]
fn a_winner_that_cannot_be_trusted_is_refused() {
    let home = Home::new();
    let error = require_winner(&home.winner(), 0.05, CHARGES, &home.trust).expect_err("nothing is there").to_string();
    assert!(error.contains(METRICS) && error.contains("daybook promote"), "{error}");
    let (file, hash) = home.model(1);
    home.promote(&file, record(0.05, &hash));
    assert_eq!(require_winner(&home.winner(), 0.05, CHARGES, &home.trust).expect("a winner").model.hash, hash);
    let error = require_winner(&home.winner(), 0.0501, CHARGES, &home.trust).expect_err("below").to_string();
    assert!(error.contains("0.05 R") && error.contains("0.0501") && error.contains("metrics.json"), "{error}");
    require_winner(&home.winner(), f64::NAN, CHARGES, &home.trust)
        .expect_err("a gate that is no number lets nobody through");

    let metrics = std::fs::read_to_string(home.metrics()).expect("text");
    let (signer, other) = (home.key.public().to_string(), Home::new());
    let line = |name: &str| metrics.lines().find(|line| line.contains(name)).expect(name).to_owned();
    let unsigned = metrics.replace(&line("signer"), "").replace(&line("signature"), "");
    let unsigned = unsigned.replace("  },", "  }");
    let again = "promote the model again";
    for (text, says) in [
        (String::new(), ["parse", again]),
        ("{\"avg_reward\": 1.0}".to_owned(), ["parse", again]),
        (metrics.replace("0.05", "\"much\""), ["parse", again]),
        (metrics.replace(&hash, "../../x"), ["hexadecimal", again]),
        (unsigned, ["not signed", again]),
        (metrics.replace(&line("signature"), "\"signature\": null"), ["not signed", again]),
        (metrics.replace("0.05", "0.06"), ["changed after the promotion", again]),
        (metrics.replace("0.05", "0.050000000000000003"), ["0.05", "0.05"]),
        (metrics.replace("0.05", "0.05000000000000001"), ["changed after the promotion", again]),
        (metrics.replace("2025-07-01", "2025-07-02"), ["changed after the promotion", again]),
        (metrics.replace("2025-01-01", "2024-01-01"), ["changed after the promotion", again]),
        (metrics.replace("2025-06-30", "2025-06-29"), ["changed after the promotion", again]),
        (metrics.replace("\"TCS\"", "\"TCS\", \"INFY\""), ["changed after the promotion", again]),
        (metrics.replace(&"d".repeat(64), &"e".repeat(64)), ["changed after the promotion", again]),
        (metrics.replace(CHARGES, "zerodha-delivery"), ["changed after the promotion", again]),
        (metrics.replace("\"plain\"", "\"realistic\""), ["changed after the promotion", again]),
        (metrics.replace("\"trades\": 40", "\"trades\": 41"), ["changed after the promotion", again]),
        (metrics.replace("\"sessions\": 20", "\"sessions\": 21"), ["changed after the promotion", again]),
        (metrics.replace("\"charges_hash\": \"", "\"charges_hash\": \"0"), ["changed after the promotion", again]),
        (metrics.replace("\"settings\": \"", "\"settings\": \"0"), ["changed after the promotion", again]),
        (metrics.replace("\"measured\"", "\"other\""), ["`measured`", again]),
        (metrics.replace("\"steps\": 300", "\"steps\": 301"), ["changed after the promotion", again]),
        (metrics.replace(&hash, &"0".repeat(64)), ["changed after the promotion", again]),
        (metrics.replace("\"signature\": \"", "\"signature\": \"é"), ["changed after the promotion", again]),
        (metrics.replace(&signer, &other.key.public().to_string()), [&signer, "learn.winner_key"]),
    ] {
        std::fs::write(home.metrics(), &text).expect("written");
        if says[0] == says[1] {
            // The same number in other digits is the same record.
            require_winner(&home.winner(), 0.05, CHARGES, &home.trust).expect("nothing was changed");
            continue;
        }
        let error = home.refused(&home.trust);
        assert!(says.iter().all(|word| error.contains(word)) && error.contains("metrics.json"), "{text}: {error}");
    }
    // Any flipped bit of the signature.
    let at = metrics.find("\"signature\": \"").expect("it is signed") + "\"signature\": \"".len();
    for digit in (at..at + 128).step_by(7) {
        let mut text = metrics.clone().into_bytes();
        text[digit] = if text[digit] == b'0' { b'1' } else { b'0' };
        std::fs::write(home.metrics(), text).expect("written");
        assert!(home.refused(&home.trust).contains("signature does not hold"), "digit {digit}");
    }
    std::fs::write(home.metrics(), &metrics).expect("written");

    // Somebody else's signature: refused, until that key is believed by name.
    let error = home.refused(&other.trust);
    assert!(error.contains(&signer) && error.contains(&other.key.public().to_string()), "{error}");
    let public = home.dir.path().join("seal.pub");
    assert!(public.exists(), "it lies beside the key, to be handed out");
    let believed = Trust { public: Some(public), ..other.trust };
    require_winner(&home.winner(), 0.05, CHARGES, &believed).expect("believed by name");
    let nobody = Trust { public: None, sealing: Some(home.dir.path().join("absent/seal.key")) };
    let error = home.refused(&nobody);
    assert!(error.contains("absent/seal.key") && error.contains("learn.winner_key"), "{error}");
    assert!(!home.dir.path().join("absent").exists(), "looking makes no key");
    assert!(home.refused(&Trust::default()).contains("learn.winner_key"));

    let stored = home.winner().join(format!("{hash}.safetensors"));
    let (another, _) = home.model(2);
    std::fs::copy(another, &stored).expect("copied");
    assert!(home.refused(&home.trust).contains("changed"));
    std::fs::remove_file(&stored).expect("removed");
    let error = home.refused(&home.trust);
    assert!(error.contains(&hash) && error.contains("not there"), "{error}");
}

/// RL-21: every offer is journaled and counted; an older record that is put back is told from the winner by its journal, and
/// so is a promotion that was cut off, which can be made again.
#[test]
fn every_offer_is_journaled_and_an_older_record_is_told() {
    let home = Home::new();
    let ((first, first_hash), (second, second_hash)) = (home.model(1), home.model(2));
    home.promote(&first, record(0.1, &first_hash));
    let older = std::fs::read(home.metrics()).expect("bytes");
    assert_eq!(home.promote(&second, record(0.1, &second_hash)).offered, 2);
    assert_eq!(home.promote(&second, record(0.2, &second_hash)).offered, 3);
    let offers = offers(&home.winner()).expect("a journal");
    let told: Vec<_> = offers.iter().map(|one| (one.model.to_string(), one.promoted)).collect();
    assert_eq!(told, [(first_hash, true), (second_hash.clone(), false), (second_hash.clone(), true)]);
    assert_eq!((offers[2].previous, offers[0].previous), (Some(offers[0].model), None));

    let newer = std::fs::read(home.metrics()).expect("bytes");
    std::fs::write(home.metrics(), older).expect("put back");
    let error = home.refused(&home.trust);
    assert!(error.contains(&second_hash) && error.contains("promoted last"), "{error}");
    assert!(home.promote(&second, record(0.2, &second_hash)).promoted, "what was cut off is made again");
    assert!(std::fs::read(home.metrics()).expect("bytes") == newer);
    // A folder that came without its journal is believed by its signature alone.
    std::fs::remove_dir_all(home.winner().join("journal")).expect("removed");
    require_winner(&home.winner(), 0.05, CHARGES, &home.trust).expect("a winner");
}

/// A signed record goes with its model: beside another model's folder it names a file that is not there.
#[test]
fn metrics_of_another_model_are_refused() {
    let home = Home::new();
    let ((one, one_hash), (other, other_hash)) = (home.model(1), home.model(2));
    home.promote(&one, record(0.9, &one_hash));
    let good = std::fs::read(home.metrics()).expect("bytes");
    std::fs::remove_dir_all(home.winner()).expect("removed");
    home.promote(&other, record(0.01, &other_hash));
    std::fs::write(home.metrics(), good).expect("written");
    assert!(home.refused(&home.trust).contains("not there"));
    let at = |hash: &str| home.winner().join(format!("{hash}.safetensors"));
    std::fs::copy(at(&other_hash), at(&one_hash)).expect("copied");
    assert!(home.refused(&home.trust).contains("content hash"), "a name is no proof");
}
