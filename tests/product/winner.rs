//! What may trade: a winner that is missing, invalid, unsigned, changed, somebody else's, without its model or too poor is
//! refused at a broker, in a rehearsal and, where it is not what it says it is, on paper too. There is no falling back.

use crate::broker_world::World;
use daybook_config::{Settings, Sources};
use daybook_features::spec::{FEATURE_SPEC_VERSION, FEATURES, feature_spec_hash};
use daybook_inference::{Model, ModelFacts, Network, Scaler, Shape};
use daybook_journal::SealKey;
use daybook_replay::winner::{Ground, Trust, WinnerRecord, promote};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// How a session is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Live,
    Paper,
    DryRun,
}

const WAYS: [Way; 3] = [Way::Live, Way::Paper, Way::DryRun];

struct Desk {
    world: World,
    key: SealKey,
    trust: Trust,
    hash: String,
}

impl Desk {
    fn new() -> Self {
        let world = World::new(&["2025-06-09", "2025-06-10"]);
        let sealing = world.path(".config/daybook/seal.key");
        let key = SealKey::load_or_create(&sealing).unwrap();
        let trust = Trust { public: None, sealing: Some(sealing) };
        std::fs::create_dir(world.path("model")).unwrap();
        let hash = model(&world.path("model/model.safetensors"), 1);
        let desk = Self { key, trust, hash, world };
        desk.promoted(0.2);
        desk
    }

    /// A fresh winner that earned so much.
    fn promoted(&self, avg_reward: f64) {
        self.promoted_under(avg_reward, "zerodha-intraday");
    }

    /// The same, measured under these charges.
    fn promoted_under(&self, avg_reward: f64, charges: &str) {
        let winner = self.world.path("winner");
        let _ = std::fs::remove_dir_all(&winner);
        let evaluated_at = "2025-06-08T12:00:00Z".to_owned();
        let overrides = vec![("costs".to_owned(), charges.to_owned())];
        let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
        let dates = ("2025-05-01".parse().unwrap(), "2025-06-06".parse().unwrap());
        let symbols = vec!["ALPHA".to_owned(), "BETA".to_owned()];
        let measured = Ground::new(dates, symbols, "d".repeat(64), &settings).unwrap();
        let measured = Ground { trades: 40, sessions: 20, ..measured };
        let model_hash = self.hash.clone();
        let record = WinnerRecord { avg_reward, evaluated_at, steps: 300, model_hash, measured };
        let model = self.world.path("model/model.safetensors");
        assert!(promote(&model, record, &winner, (&self.key, &self.trust)).unwrap().promoted);
    }

    fn metrics(&self) -> String {
        std::fs::read_to_string(self.world.path("winner/metrics.json")).unwrap()
    }

    fn write(&self, metrics: &str) {
        std::fs::write(self.world.path("winner/metrics.json"), metrics).unwrap();
    }

    /// Exit code, what was printed, and the lines of errors.
    fn begin(&self, way: Way, model: &str) -> (Option<i32>, Value, Vec<String>) {
        self.begin_with(way, model, &[])
    }

    fn begin_with(&self, way: Way, model: &str, more: &[&str]) -> (Option<i32>, Value, Vec<String>) {
        let set = format!("model={model}");
        let mut arguments =
            vec!["trade", "--broker-url", "https://broker.invalid", "--symbols", "BETA,ALPHA", "--session", "s"];
        arguments.extend(["--strategy", "learned", "--set", &set]);
        arguments.push(match way {
            Way::Live => "--arm",
            Way::Paper => "--paper",
            Way::DryRun => "--dry-run",
        });
        arguments.extend(more);
        let mut command = self.world.command(&arguments);
        if way != Way::Paper {
            command.env("DAYBOOK_PAPER_TRADING", if way == Way::Live { "no" } else { "yes" });
        }
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!self.world.path("s").exists(), "nothing is begun");
        let errors = errors.lines().filter(|line| line.starts_with("error:")).map(str::to_owned).collect();
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), errors)
    }

    /// Refused in one line that says all of it, whatever way the session is begun.
    fn refused(&self, ways: &[Way], model: &str, says: &[&str]) {
        for way in ways {
            let (code, printed, errors) = self.begin(*way, model);
            assert_eq!(code, Some(1), "{way:?}");
            let line = match way {
                Way::DryRun => blocked(&printed),
                _ => errors.join("\n"),
            };
            for text in says {
                assert!(line.contains(text), "{way:?} with {model} should say {text:?}: {line}");
            }
            assert!(!line.contains('\n'), "one line: {line}");
        }
    }

    /// Gets past everything about the model: what stops it is a later gate, the person who is to arm it or the credentials.
    fn passes(&self, way: Way, model: &str) {
        let (code, printed, errors) = self.begin(way, model);
        assert_eq!(code, Some(1), "{way:?}");
        if way == Way::DryRun {
            let winner = gate(&printed, "winner");
            assert_eq!(winner["verdict"], "ok", "{winner}");
        } else {
            let later = if way == Way::Live { "asks a person for the session's name" } else { "KITE_API_KEY" };
            assert!(errors.len() == 1 && errors[0].contains(later), "{way:?}: {errors:?}");
        }
    }
}

fn gate<'a>(printed: &'a Value, name: &str) -> &'a Value {
    let gates = printed["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["gate"] == name).unwrap()
}

/// What a rehearsal says of the gate that the model stops at.
fn blocked(printed: &Value) -> String {
    let of = |name: &str| Some(gate(printed, name)).filter(|gate| gate["verdict"] == "blocked");
    let found = of("strategy").or_else(|| of("winner")).unwrap_or_else(|| panic!("nothing blocks: {printed}"));
    found["says"].as_str().unwrap().to_owned()
}

fn model(path: &Path, seed: usize) -> String {
    let shape = Shape::new(FEATURES, &[("5m", 8)]).unwrap();
    let parameters = (0..shape.parameter_count()).map(|index| (index * seed % 13) as f32 / 13.0 - 0.4).collect();
    let network = Network::new(shape, parameters, vec![Scaler::identity(FEATURES)]).unwrap();
    let facts = ModelFacts {
        feature_version: FEATURE_SPEC_VERSION,
        feature_hash: feature_spec_hash().to_string(),
        steps: 300,
        seed: 1,
        symbols: vec!["ALPHA".to_owned(), "BETA".to_owned()],
        lineage: BTreeMap::new(),
    };
    Model::write(&network, &facts, path).unwrap()
}

/// RL-22: every way in which a record can be wrong.
#[test]
fn a_record_that_is_not_to_be_believed_is_refused() {
    let desk = Desk::new();
    WAYS.into_iter().for_each(|way| desk.passes(way, "winner"));
    let good = desk.metrics();
    let line = |name: &str| good.lines().find(|line| line.contains(name)).unwrap().to_owned();
    let unsigned = good.replace(&line("signature"), "\"signature\": null");
    let promote = "promote the model again";
    for (text, says) in [
        ("{}".to_owned(), ["does not parse", promote]),
        (good[..good.len() / 2].to_owned(), ["does not parse", promote]),
        (unsigned, ["not signed", promote]),
        (good.replace("0.2", "0.9"), ["changed after the promotion", promote]),
        (good.replace("2025-05-01", "2024-05-01"), ["changed after the promotion", promote]),
        (good.replace("zerodha-intraday", "bps:1"), ["changed after the promotion", promote]),
        (good.replace("\"measured\"", "\"other\""), ["`measured`", promote]),
        (good.replace("\"steps\": 300", "\"steps\": 3000"), ["changed after the promotion", promote]),
    ] {
        desk.write(&text);
        desk.refused(&WAYS, "winner", &[&says[..], &["winner/metrics.json"]].concat());
    }
    // Missing: at a broker and in a rehearsal; a folder without a record and without a model is nothing on paper either.
    std::fs::remove_file(desk.world.path("winner/metrics.json")).unwrap();
    desk.refused(&WAYS, "winner", &["winner"]);
    desk.refused(&WAYS, "absent", &["absent"]);
    desk.write(&good);
    WAYS.into_iter().for_each(|way| desk.passes(way, "winner"));
}

/// RL-22: too poor, or never promoted: refused at a broker and in a rehearsal; on paper it may try itself.
#[test]
fn a_model_that_has_not_earned_its_place_stays_on_paper() {
    let desk = Desk::new();
    desk.promoted(0.049);
    let strict = [Way::Live, Way::DryRun];
    desk.refused(&strict, "winner", &["0.049 R", "0.05 are asked for", "winner_min_avg_reward", "daybook promote"]);
    desk.passes(Way::Paper, "winner");
    desk.refused(&strict, "model", &["model/metrics.json", "there is no winner", "daybook promote"]);
    desk.passes(Way::Paper, "model");
    // RL-03: the gate's key is a setting and not a parameter of the strategy, like every key that has no dot.
    let (_, printed, _) = desk.begin_with(Way::DryRun, "winner", &["--set", "winner_min_avg_reward=0.04"]);
    assert_eq!(gate(&printed, "winner")["verdict"], "ok", "{printed}");
    let (_, _, errors) = desk.begin_with(Way::Paper, "winner", &["--set", "trailing_stop_r=2"]);
    assert!(errors[0].contains("'trailing_stop_r'") && errors[0].contains("risk.trailing_stop_r"), "{errors:?}");
    let (_, _, errors) = desk.begin_with(Way::Paper, "winner", &["--set", "modle=x"]);
    assert!(errors[0].contains("learned has no parameter 'modle'"), "{errors:?}");
    desk.promoted(0.05);
    WAYS.into_iter().for_each(|way| desk.passes(way, "winner"));
}

/// RL-22: real money is not risked on a reward that was measured without charges, or under other ones than the session's.
#[test]
fn a_winner_measured_under_other_charges_stays_on_paper() {
    let desk = Desk::new();
    let strict = [Way::Live, Way::DryRun];
    desk.promoted_under(0.9, "none");
    let says = ["winner/metrics.json", "measured without charges (costs=none)", "--set costs=zerodha-intraday"];
    desk.refused(&strict, "winner", &says);
    desk.passes(Way::Paper, "winner");
    desk.promoted_under(0.9, "bps:1");
    let says = ["winner/metrics.json", "bps:1", "the session's, zerodha-intraday", "daybook evaluate"];
    desk.refused(&strict, "winner", &says);
    desk.passes(Way::Paper, "winner");
    // A session with charges of its own asks for those.
    let own = ["--set", "costs=bps:1"];
    let (_, printed, _) = desk.begin_with(Way::DryRun, "winner", &own);
    assert_eq!(gate(&printed, "winner")["verdict"], "ok", "{printed}");
    desk.promoted(0.9);
    let (_, _, errors) = desk.begin_with(Way::Live, "winner", &own);
    assert!(errors.len() == 1 && errors[0].contains("zerodha-intraday, than the session's, bps:1"), "{errors:?}");
    WAYS.into_iter().for_each(|way| desk.passes(way, "winner"));
}

/// RL-22: another key than the one that is believed, and how it comes to be believed.
#[test]
fn a_winner_signed_by_somebody_else_is_refused_until_the_key_is_named() {
    let desk = Desk::new();
    let sealing = desk.world.path(".config/daybook/seal.key");
    let theirs = desk.world.path("theirs.pub");
    desk.key.public().export(&theirs).unwrap();
    std::fs::remove_file(&sealing).unwrap();
    desk.refused(&[Way::Live, Way::Paper], "winner", &["seal.key", "learn.winner_key"]);
    assert!(!sealing.exists(), "a key that is made now has signed nothing");
    let own = SealKey::load_or_create(&sealing).unwrap();
    let (signer, believed) = (desk.key.public().to_string(), own.public().to_string());
    desk.refused(&WAYS, "winner", &[&signer, &believed, "learn.winner_key"]);
    std::fs::write(desk.world.path("daybook.toml"), "[learn]\nwinner_key = \"theirs.pub\"\n").unwrap();
    WAYS.into_iter().for_each(|way| desk.passes(way, "winner"));
    std::fs::write(&theirs, "no key\n").unwrap();
    desk.refused(&WAYS, "winner", &["theirs.pub", "64 hexadecimal digits"]);
}

/// RL-22: the model's file is missing, changed, or another model under its name.
#[test]
fn a_winner_without_its_model_is_refused() {
    let desk = Desk::new();
    let file = desk.world.path(&format!("winner/{}.safetensors", desk.hash));
    let good = std::fs::read(&file).unwrap();
    let mut bytes = good.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    desk.refused(&WAYS, "winner", &[&desk.hash, "changed or damaged"]);
    let other = model(&file, 2);
    assert_ne!(other, desk.hash);
    desk.refused(&WAYS, "winner", &[&desk.hash, &other]);
    std::fs::remove_file(&file).unwrap();
    desk.refused(&WAYS, "winner", &[&desk.hash, "not there"]);
    std::fs::write(&file, good).unwrap();
    WAYS.into_iter().for_each(|way| desk.passes(way, "winner"));
}
