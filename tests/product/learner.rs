//! The learner as a user does it, with the real binary: train, take up, evaluate, promote, trade, audit.
//!
//! - A small made-up market and a small network; none needs network, accounts or data from outside.
//! - Source rows: RL-03, RL-15, RL-20, RL-21, RL-22, RL-24, TS-05, TS-07, TS-08, TS-09.

use crate::desk::{Desk, quarter_hours};
use daybook_inference::Model;
use daybook_inference::tensors::TensorFile;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

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

/// A market of a quarter of a year in the journal `m`.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.market("m", &quarter_hours("2024-03-28"));
    desk
}

fn train(desk: &Desk, more: &[&str]) -> String {
    desk.works(&[TRAIN, more].concat())
}

/// The whole way of a model: two sittings equal one, the winner trades, and the audit derives every decision again.
#[test]
fn a_model_is_trained_promoted_traded_and_audited() {
    let desk = desk();
    train(&desk, &["--steps", "6", "--threads", "2", "--out", "whole"]);
    train(&desk, &["--steps", "3", "--threads", "2", "--out", "broken"]);
    let again = train(&desk, &["--steps", "6", "--threads", "2", "--out", "broken"]);
    assert!(again.contains("going on from step 3"), "{again}");
    assert!(desk.bytes("broken/checkpoint.safetensors") == desk.bytes("whole/checkpoint.safetensors"), "TS-05");
    let page = String::from_utf8(desk.bytes("whole/report.html")).expect("text");
    assert!(page.contains("<polyline") && page.contains("Action mix"), "curves are drawn");
    let told = desk.works(&["journal", "cat", "whole/journal", "--format", "json"]);
    let steps = told.lines().filter(|line| line.contains("\"training-step\"")).count();
    assert_eq!(steps, 6, "TS-07: every step is journaled, on this machine, always");
    let started = told.lines().find(|line| line.contains("training-started")).expect("its beginning");
    for fact in ["threads", "processor", "binary", "learn.lookbacks", "journal.1"] {
        assert!(started.contains(fact), "{fact}: {started}");
    }

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
    is_measured_by_its_confidence(&desk, &evaluated);
    desk.works(&["promote", "--model", "whole", "--winner", "winner"]);
    assert_eq!(desk.daybook(&["promote", "--model", "whole", "--winner", "winner"]).status.code(), Some(1), "RL-21");

    let trade = ["backtest", "--journal", "m", "--strategy", "learned", "--from", "2024-03-01", "--to", "2024-03-28"];
    desk.works(&[&trade[..], &["--set", "model=winner", "--out", "run"]].concat());
    let decisions = desk.works(&["journal", "cat", "run", "--kind", "decision", "--format", "json"]);
    let record: Value = serde_json::from_slice(&desk.bytes("winner/metrics.json")).expect("JSON");
    let hash = record["model_hash"].as_str().expect("a hash").to_owned();
    assert!(
        decisions.lines().count() > 100 && decisions.lines().all(|line| line.contains(&hash)),
        "RL-24: its hash is in each"
    );
    // The winner may go: the run keeps its own copy.
    std::fs::rename(desk.path("winner"), desk.path("elsewhere")).expect("renamed");
    assert!(desk.works(&["audit", "run"]).starts_with("equal"), "{}", desk.works(&["audit", "run"]));
    desk.works(&["verify", "run"]);
    for line in decisions.lines().take(50) {
        let said: Value = serde_json::from_str(line).expect("JSON");
        let text = said.to_string();
        assert!(text.contains("\"q\"") && text.contains("\"confidence\"") && text.contains("\"features\""), "{text}");
    }

    // What if: from the middle on with half the capital; the model still decides, and all of it derives again.
    let middle = desk.works(&["journal", "cat", "run", "--kind", "decision", "--format", "json", "--limit", "400"]);
    let middle: Value = serde_json::from_str(middle.lines().last().expect("a decision")).expect("JSON");
    let at = middle["seq"].as_u64().expect("a number").to_string();
    desk.works(&["fork", "run", "--at", &at, "--set", "risk.capital_per_ticker=50000", "--out", "forked"]);
    assert!(desk.works(&["audit", "forked"]).starts_with("equal"));
    let after = desk.works(&["journal", "cat", "forked", "--kind", "decision", "--format", "json"]);
    assert!(after.lines().count() > 100 && after.lines().all(|line| line.contains(&hash)));

    let file = desk.path("elsewhere").join(format!("{hash}.safetensors"));
    let mut bytes = std::fs::read(&file).expect("bytes");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    desk.fails(&[&trade[..], &["--set", "model=elsewhere", "--out", "other"]].concat(), &["content hash", &hash]);
}

/// A training that is killed at any moment goes on from its checkpoint and ends as the unbroken one, journal and all.
#[test]
fn a_killed_training_ends_as_if_nothing_had_happened() {
    let desk = desk();
    let to =
        |steps: &'static str, out: &'static str| [TRAIN, &["--steps", steps, "--threads", "1", "--out", out]].concat();
    desk.works(&to("60", "whole"));
    let mut kills = 0;
    while kills < 3 {
        let begun = desk.path("broken/checkpoint.safetensors");
        let before = std::fs::read(&begun).ok();
        let mut child =
            desk.command(&to("60", "broken")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it begins");
        // Killed as soon as it has written another checkpoint, wherever it is by then.
        while std::fs::read(&begun).ok() == before && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().expect("killed");
        if child.wait().expect("ended").success() {
            break;
        }
        kills += 1;
    }
    assert!(kills > 0, "it was too fast to be killed");
    let told = desk.works(&to("60", "broken"));
    assert!(told.contains("going on from step"), "{told}");
    for file in ["checkpoint.safetensors", "model.safetensors"] {
        assert!(
            desk.bytes(&format!("broken/{file}")) == desk.bytes(&format!("whole/{file}")),
            "{file} after {kills} kills"
        );
    }
    desk.works(&["verify", "broken/journal"]);
    let steps = |folder: &str| {
        let told = desk.works(&[
            "journal",
            "cat",
            &format!("{folder}/journal"),
            "--kind",
            "training-step",
            "--format",
            "json",
        ]);
        let said = |line: &str| line.split_once("\"step\":").map(|(_, said)| said.to_owned()).expect("a step");
        let step = |said: &str| said.split(',').next().and_then(|step| step.parse::<u64>().ok()).expect("a number");
        told.lines().map(said).map(|said| (step(&said), said)).collect::<BTreeMap<_, _>>()
    };
    let (whole, broken) = (steps("whole"), steps("broken"));
    assert!(whole.len() == 60 && whole == broken, "of a step that stands there twice the later one counts");
}

/// RL-24: what confidence is stands in the model's record; how often it was right, and what right means, in evaluation,
/// journal and report.
fn is_measured_by_its_confidence(desk: &Desk, evaluated: &Value) {
    let [words, entries] = evaluated["comparison"]["calibration"].as_array().expect("tables").as_slice() else {
        panic!("{evaluated}")
    };
    let decisions: u64 =
        evaluated["comparison"]["model"]["actions"].as_array().into_iter().flatten().filter_map(Value::as_u64).sum();
    for (table, at_most) in
        [(words, decisions), (entries, evaluated["comparison"]["model"]["trades"].as_u64().unwrap_or(0))]
    {
        let bins = table["bins"].as_array().expect("bins");
        let judged: u64 = bins.iter().filter_map(|bin| bin["count"].as_u64()).sum();
        assert!(
            judged > at_most / 2 && judged <= at_most && table["count"] == judged,
            "{judged} of {at_most}: {table}"
        );
        assert!(table["right_means"].as_str().is_some_and(|text| text.contains("charges")), "{table}");
        for bin in bins {
            let [low, high, mean, right] =
                ["low", "high", "confidence", "right"].map(|key| bin[key].as_f64().expect(key));
            assert!(low > 0.333 && low <= mean && mean <= high && high <= 1.0 && (0.0..=1.0).contains(&right), "{bin}");
        }
    }
    assert_eq!(words["right"].as_f64().map(|share| (0.05..0.95).contains(&share)), Some(true), "{words}");
    let told = desk.works(&["journal", "cat", "whole/journal", "--kind", "evaluation", "--format", "json"]);
    assert!(told.contains("expected_error") && told.contains("right_means"), "{told}");
    assert!(desk.text("whole/report.html").contains("how often it is right"));
    let model = Model::read(&desk.path("whole/model.safetensors")).expect("a model");
    assert_eq!(model.facts.lineage["confidence"], "softmax of q 1");
}

/// RL-21, RL-22: what is signed is what the training's journal says was measured; a record that was changed afterwards
/// decides nowhere, while any model can still be tried by its own name.
#[test]
fn only_what_was_measured_is_signed() {
    let desk = desk();
    train(&desk, &["--steps", "2", "--threads", "1", "--out", "model"]);
    desk.works(&["evaluate", "--model", "model", "--journal", "m"]);
    let promote = ["promote", "--model", "model", "--winner", "winner"];
    let good = String::from_utf8(desk.bytes("model/evaluation.json")).expect("text");
    let evaluated: Value = serde_json::from_str(&good).expect("JSON");
    let earned = format!("\"avg_reward\": {}", evaluated["record"]["avg_reward"]);
    let better = "\"avg_reward\": 9.5";
    for changed in
        [good.replacen(&earned, better, 1), good.replace(&earned, better), good.replace("\"mae_r\"", "\"x\"")]
    {
        assert_ne!(changed, good);
        std::fs::write(desk.path("model/evaluation.json"), changed).expect("written");
        desk.fails(&promote, &["model/evaluation.json", "daybook evaluate"]);
    }
    assert!(!desk.path("winner").exists());
    std::fs::write(desk.path("model/evaluation.json"), &good).expect("written");
    desk.works(&promote);
    let metrics = String::from_utf8(desk.bytes("winner/metrics.json")).expect("text");
    assert!(metrics.contains(&earned) && metrics.contains("\"signature\""), "{metrics}");
    std::fs::write(desk.path("winner/metrics.json"), metrics.replace(&earned, better)).expect("written");
    let trade = |model: &str| {
        let set = format!("model={model}");
        let range = ["--from", "2024-03-01", "--to", "2024-03-05", "--out", "run", "--set", &set];
        let words = [&["backtest", "--journal", "m", "--strategy", "learned"][..], &range].concat();
        words.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let [changed, own] = ["winner", "model"].map(trade);
    fn words(of: &[String]) -> Vec<&str> {
        of.iter().map(String::as_str).collect()
    }
    desk.fails(&words(&changed), &["winner/metrics.json", "changed after the promotion"]);
    desk.fails(&promote, &["winner/metrics.json", "changed after the promotion"]);
    desk.works(&words(&own));
    // A fork may take another model; a winner is believed there like everywhere.
    let frames = desk.works(&["journal", "cat", "run", "--kind", "decision", "--format", "json", "--limit", "9"]);
    let at: Value = serde_json::from_str(frames.lines().last().expect("a decision")).expect("JSON");
    let at = at["seq"].as_u64().expect("a number").to_string();
    let fork = ["fork", "run", "--at", &at, "--out", "forked", "--set", "model=winner"];
    desk.fails(&fork, &["winner/metrics.json", "changed after the promotion"]);
    std::fs::write(desk.path("winner/metrics.json"), metrics).expect("written");
    desk.works(&fork);
    assert!(desk.works(&["audit", "forked"]).starts_with("equal"));
}

/// RL-21: rewards of another range, or under other charges, are no comparison; an evaluation without a statement takes
/// nobody's place; all of it stands in the evaluation, the record and the report, and charges are those of live by default.
#[test]
fn rewards_are_compared_only_where_they_were_measured_alike() {
    let desk = desk();
    let told = train(&desk, &["--steps", "2", "--threads", "1", "--out", "model"]);
    assert!(told.contains("charges zerodha-intraday"), "{told}");
    let evaluate = |more: &[&str]| desk.works(&[&["evaluate", "--model", "model", "--journal", "m"], more].concat());
    let promote = ["promote", "--model", "model", "--winner", "winner"];
    // Nothing can be bought for a rupee: no trades, no statement.
    let told = evaluate(&["--set", "risk.capital_per_ticker=1"]);
    assert!(told.contains("no statement: 0 trades"), "{told}");
    let poor = ["promote", "--model", "model", "--winner", "poor"];
    assert!(desk.works(&poor).contains("makes no statement: 0 trades"));
    let told = evaluate(&["--holdout", "2024-03-28..2024-03-28"]);
    assert!(told.contains("no statement"), "one session tells nothing of its spread: {told}");
    desk.fails(&poor, &["makes no statement", "2 sessions", "longer range"]);
    assert!(!desk.path("winner").exists());

    let told = evaluate(&[]);
    assert!(told.contains("measured on 2024-03-01..2024-03-28, ALFA,BETA, data "), "{told}");
    assert!(told.contains("charges zerodha-intraday, profile realistic"), "{told}");
    desk.works(&promote);
    let record: Value = serde_json::from_slice(&desk.bytes("winner/metrics.json")).expect("JSON");
    let evaluated: Value = serde_json::from_slice(&desk.bytes("model/evaluation.json")).expect("JSON");
    assert_eq!(record["measured"], evaluated["record"]["measured"]);
    let measured = &record["measured"];
    assert_eq!((&measured["charges"], &measured["from"]), (&"zerodha-intraday".into(), &"2024-03-01".into()));
    assert!(measured["trades"].as_u64() > Some(1) && measured["sessions"].as_u64() > Some(1), "{measured}");

    let unlike = "was not measured as the winner was";
    for (more, says) in [
        (&["--set", "costs=none"][..], "charges none against zerodha-intraday"),
        (&["--holdout", "2024-03-22..2024-03-28"], "range 2024-03-22..2024-03-28 against 2024-03-01..2024-03-28"),
        (&["--symbols", "BETA"], "symbols BETA against ALFA,BETA"),
        (&["--set", "profile=plain"], "profile plain against realistic"),
        (&["--set", "risk.capital_per_ticker=50000"], "settings "),
    ] {
        let told = evaluate(more);
        assert_eq!(told.contains("NO CHARGES COUNTED (costs=none)"), more.contains(&"costs=none"), "{told}");
        desk.fails(&promote, &["winner/metrics.json", unlike, says, "another winner folder"]);
    }
    // The record is what the journal says of where, too.
    let text = desk.text("model/evaluation.json");
    desk.write("model/evaluation.json", text.replace("\"charges\": \"zerodha-intraday\"", "\"charges\": \"bps:1\""));
    desk.fails(&promote, &["model/evaluation.json", "measured last"]);
    let page = desk.text("model/report.html");
    assert!(page.contains("<h2>Evaluation on 2024-03-01 to 2024-03-28</h2>"), "the last one, with its range");
    assert!(page.contains("NO CHARGES COUNTED") && page.contains("2024-03-22..2024-03-28"), "each with what it is of");
    let chart = page.split("<h2>").find(|part| part.starts_with("Average reward of the evaluations")).expect("a chart");
    // Eight evaluations on eight grounds: no line joins two of them.
    assert_eq!((chart.matches("<polyline").count(), chart.matches("<circle").count()), (8, 8), "{chart}");
    let evaluate_again = evaluate(&["--holdout", "2024-03-22..2024-03-28"]);
    assert!(evaluate_again.contains("evaluated 9 times"), "{evaluate_again}");
    let page = desk.text("model/report.html");
    assert!(page.contains("NOT the range held out by the training, which is 2024-03-01..2024-03-28"));
    let chart = page.split("<h2>").find(|part| part.starts_with("Average reward of the evaluations")).expect("a chart");
    assert_eq!((chart.matches("<polyline").count(), chart.matches("<circle").count()), (8, 7), "alike: one line");
    let epsilon = page.split("<h2>").find(|part| part.starts_with("Exploration")).expect("a chart");
    assert!(epsilon.contains(">0.099998<") && epsilon.contains(">0.099996<"), "the ends are told apart: {epsilon}");
}

/// Phases: what one leaves the next uses; without it, or where it is damaged, the same is made again.
#[test]
fn phases_use_what_earlier_ones_left() {
    let desk = desk();
    let phase = |phase: &str| {
        let flags = ["--steps", "3", "--threads", "1", "--winner", "winner", "--out", "model", "--phase", phase];
        train(&desk, &flags)
    };
    let says = |text: &str, words: &[&str]| {
        words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in: {text}"));
    };
    says(&phase("features"), &["ALFA 15m:", "BETA 1h:", "complete rows"]);
    says(&phase("populate-train"), &["training memory taken from", "transitions of 2 symbols", "MB a million"]);
    says(&phase("backtrace-train"), &["training memory taken from", "reward marked-r 1", "MAE", "adherence"]);
    says(&phase("train"), &["training memory taken from", "3 steps"]);
    let memory = desk.bytes("model/memory/training.memory");
    says(&phase("populate-holdout"), &["going on from step 3", "holdout memory folded", "the network's"]);
    let held = phase("backtrace-holdout");
    says(&held, &["holdout memory taken from", "reward marked-r 1"]);
    says(&phase("evaluate"), &["evaluated 1 times"]);
    // The memory of the held-out range and the evaluation on it are the same trades.
    let evaluated: Value = serde_json::from_slice(&desk.bytes("model/evaluation.json")).expect("JSON");
    let measured = &evaluated["comparison"]["model"];
    let average = measured["avg_reward"].as_f64().expect("a number");
    says(&held, &[&format!("{} trades,", measured["trades"]), &format!("average {average:+.4} R")]);
    let all = [
        "--steps",
        "3",
        "--threads",
        "1",
        "--winner",
        "winner",
        "--out",
        "model",
        "--phase",
        "all",
        "--format",
        "json",
    ];
    let told: Value = serde_json::from_str(&train(&desk, &all)).expect("one JSON object and nothing else");
    assert_eq!(
        (&told["ended"], &told["steps"], &told["promotion"]["promoted"]),
        (&"finished".into(), &3.into(), &true.into())
    );
    assert_eq!(told["evaluation"]["record"]["model_hash"], told["model"]);
    assert!(desk.path("winner/metrics.json").exists());

    let mut damaged = memory.clone();
    damaged[5_000] ^= 1;
    std::fs::write(desk.path("model/memory/training.memory"), damaged).expect("written");
    assert!(!phase("train").contains("training memory taken from"));
    assert!(desk.bytes("model/memory/training.memory") == memory, "made again, it is the same");
    std::fs::remove_dir_all(desk.path("model/memory")).expect("removed");
    says(&phase("train"), &["going on from step 3"]);
    // Another question is another memory.
    let other = ["--steps", "3", "--reward", "closed-r", "--phase", "populate-train", "--out", "model"];
    assert!(!train(&desk, &other).contains("taken"));
}

/// RL-15: a memory explores around a model from the seed: at ε 1 it is that of random actions, at ε 0 the model's own
/// trades, and between them it is the same for the same seed.
#[test]
fn exploring_follows_the_model_or_chance_from_the_seed() {
    let desk = desk();
    let memory = |out: &str, more: &[&str]| {
        train(&desk, &[&["--steps", "1", "--threads", "1", "--out", out], more].concat());
        Model::read(&desk.path(out).join("model.safetensors")).expect("a model").facts.lineage
    };
    let random = memory("first", &["--seed", "4"]);
    assert_eq!(random["exploration"], "random");
    let hash = Model::read(&desk.path("first/model.safetensors")).expect("a model").hash;
    let around = ["--explore", "first", "--epsilon-start", "0.5", "--epsilon-end", "0.1", "--epsilon-steps", "300"];
    let one = memory("one", &[&around[..], &["--seed", "4"]].concat());
    assert_eq!((&one["exploration"], one["learn.epsilon_start"].as_str()), (&hash, "0.5"));
    assert_eq!(memory("same", &[&around[..], &["--seed", "4"]].concat())["memory"], one["memory"]);
    let other = memory("other", &[&around[..], &["--seed", "5"]].concat());
    let always = memory("always", &["--explore", "first", "--epsilon-start", "1", "--epsilon-end", "1", "--seed", "4"]);
    assert_eq!(always["memory"], random["memory"], "always at random is what no model explores");
    assert!(one["memory"] != other["memory"] && one["memory"] != random["memory"]);

    let greedy = ["--explore", "first", "--epsilon-start", "0", "--epsilon-end", "0", "--phase", "backtrace-train"];
    let told = train(&desk, &[&greedy[..], &["--steps", "1", "--out", "greedy"]].concat());
    let trade =
        ["backtest", "--journal", "m", "--strategy", "learned", "--set", "model=first", "--profile", "realistic"];
    // What a memory is charged where nobody says otherwise: what live trading costs.
    let trade = [&trade[..], &["--costs", "zerodha-intraday"]].concat();
    let range = ["--from", "2024-02-01", "--to", "2024-02-29", "--out", "run", "--format", "json"];
    let summary: Value = serde_json::from_str(&desk.works(&[&trade[..], &range].concat())).expect("JSON");
    let trades = summary["trades"].as_u64().or_else(|| summary["trades"]["count"].as_u64()).expect("a count");
    assert!(told.contains(&format!("{trades} trades,")), "{trades}: {told}");
}

/// RL-03: every default is a setting, a flag is stronger, what changes a weight is recorded, and what is missing is named.
#[test]
fn defaults_are_settings_and_are_recorded() {
    let desk = desk();
    let shown = desk.works(&["config", "show"]);
    for key in ["learn.timeframes", "learn.lookbacks", "learn.holdout", "learn.reward", "learn.device", "learn.winner"]
    {
        assert!(shown.contains(key), "{key}");
    }
    let settings = "[learn]\ntimeframes = \"15m,1h\"\nlookbacks = \"15m:8,1h:8\"\nholdout = \"2024-03-01..2024-03-28\"\n\
                    batch_size = 6\nsteps = 2\nlr = 0.001\nsampling = \"prioritised\"\nthermal = false\n";
    std::fs::write(desk.path("daybook.toml"), settings.replace("false", "\"no\"")).expect("written");
    let bare = ["train", "--journal", "m", "--from", "2024-02-01", "--to", "2024-02-29", "--out", "model"];
    desk.works(&[&bare[..], &["--lr", "0.002"]].concat());
    let model = Model::read(&desk.path("model/model.safetensors")).expect("a model");
    let recorded = |key: &str| model.facts.lineage[key].clone();
    assert_eq!((model.facts.steps, recorded("learn.lookbacks").as_str()), (2, "15m:8,1h:8"));
    assert_eq!((recorded("learn.lr").as_str(), recorded("learn.sampling").as_str()), ("0.002", "prioritised"));
    assert_eq!((recorded("learn.alpha").as_str(), recorded("holdout").as_str()), ("0.6", "2024-03-01..2024-03-28"));
    desk.works(&["config", "set", "learn.clip", "2"]);
    let file = String::from_utf8(desk.bytes("daybook.toml")).expect("text");
    assert_eq!(file, settings.replace("false", "\"no\"") + "clip = 2\n", "the rest of the file stays");
    desk.fails(&["config", "set", "learn.clop", "2"], &["learn.clip"]);
    desk.fails(&[&bare[..], &["--lr", "0.002", "--steps", "3"]].concat(), &["clip"]);
    desk.works(&["config", "set", "learn.clip", "1"]);
    desk.fails(&[&bare[..], &["--lr", "0.003", "--steps", "3"]].concat(), &["lr", "0.003", "another --out"]);
    desk.fails(&[&bare[..], &["--lr", "0.002", "--set", "learn.alpha=0.5"]].concat(), &["learn.alpha", "0.5"]);
    desk.fails(&[&bare[..], &["--set", "learn.timeframes=15m,30m"]].concat(), &["learn.lookbacks", "30m"]);
    desk.fails(&[&bare[..], &["--set", "learn.lookbacks=15m:7"]].concat(), &["learn.lookbacks", "8 to 4096"]);
    desk.fails(&[&bare[..], &["--phase", "all"]].concat(), &["--winner", "learn.winner"]);
}

/// Honesty: through ingest, memory, training, evaluation, backtest and audit, the agent beats random with an interval on a
/// planted signal and does not on the same market shuffled. `daybook controls` does it with more seeds and steps.
#[test]
fn a_planted_signal_is_found_and_a_shuffled_one_is_not() {
    let desk = desk();
    let told = desk.works(&["controls", "--seeds", "1", "--steps", "200", "--threads", "1", "--format", "json"]);
    let told: Value = serde_json::from_str(&told).expect("one JSON object");
    let [planted, shuffled] = told["markets"].as_array().expect("a list").as_slice() else { panic!("{told}") };
    assert_eq!((&planted["beats_random"], &shuffled["beats_random"]), (&true.into(), &false.into()), "{told}");
    assert!(planted["over_random"]["low"].as_f64().is_some_and(|low| low > 0.5), "{planted}");
    assert!(planted["verdict"].as_str().is_some_and(|verdict| verdict.contains("above random")), "{planted}");
    assert!(shuffled["verdict"].as_str().is_some_and(|verdict| verdict.contains("not distinguishable")), "{shuffled}");
    assert_eq!((&planted["audit"], &shuffled["audit"]), (&"equal".into(), &"equal".into()));
}

/// What cannot work is said before any work is done, in one line, with what to do.
#[test]
fn bad_input_is_refused_at_once() {
    let desk = desk();
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
        ("--timeframes", "15m:7", "from 8 to 4096"),
        ("--timeframes", "5m:20", "5m"),
        ("--batch-size", "0", "--batch-size"),
        ("--lr", "-1", "--lr"),
        ("--threads", "0", "--threads"),
        ("--symbols", "GAMA", "GAMA"),
        ("--timeframes", "15m:4000", "features"),
        ("--device", "cuda", if cfg!(feature = "cuda") { "card" } else { "--features cuda" }),
        ("--micro-batch", "some", "auto"),
        ("--phase", "promote", "learn.winner"),
    ] {
        let arguments = with(flag, value);
        desk.fails(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[says]);
        assert!(!Path::new(&desk.path("bad/model.safetensors")).exists());
    }
    for (flag, value, says) in [
        ("--holdout", "2024-03-28..2024-03-01", "after"),
        ("--timeframes", "7x:20", "7x"),
        ("--reward", "other", "marked-r"),
    ] {
        let arguments = with(flag, value);
        desk.misused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[says]);
    }
    // Too little history: January is all there is, and it is the month that features are anchored in.
    let bare = ["train", "--journal", "m", "--steps", "2", "--out", "bad"];
    desk.fails(&[&bare[..], &["--timeframes", "15m:8", "--to", "2024-01-25"]].concat(), &["features", "ingest"]);
    let large =
        ["--timeframes", "15m:4096", "--micro-batch", "1000000", "--batch-size", "1000000", "--to", "2024-02-29"];
    desk.fails(
        &[&bare[..], &large].concat(),
        &["MiB are free", "MiB of it the replay memory", "shorter range or look-back"],
    );
    desk.fails(&["evaluate", "--model", "absent", "--journal", "m"], &["absent"]);
    let mut found: Vec<&str> = TRAIN.to_vec();
    let at = found.iter().position(|part| *part == "--micro-batch").expect("there");
    found[at + 1] = "auto";
    desk.works(&[&found[..], &["--steps", "2", "--out", "model"]].concat());
    assert!(desk.path("model/micro-batch.json").exists(), "TS-08: what was found is kept");
    let seen = ["evaluate", "--model", "model", "--journal", "m", "--holdout", "2024-02-20..2024-03-10"];
    desk.fails(&seen, &["trained on", "other sessions"]);
    // RL-10: a model of another specification of the features.
    let place = desk.path("model/model.safetensors");
    let (mut file, _) = TensorFile::read(&place).expect("a model");
    let good = desk.bytes("model/model.safetensors");
    let facts = file.metadata["facts"].replace("\"feature_version\":1", "\"feature_version\":2");
    file.metadata.insert("facts".to_owned(), facts);
    file.write(&place).expect("written");
    desk.fails(&["evaluate", "--model", "model", "--journal", "m"], &["specification 2", "computes 1"]);
    desk.fails(
        &["backtest", "--journal", "m", "--strategy", "learned", "--set", "model=model", "--out", "r"],
        &["specification 2"],
    );
    std::fs::write(&place, good).expect("written");
    let mut bytes = desk.bytes("model/checkpoint.safetensors");
    bytes[3000] ^= 64;
    std::fs::write(desk.path("model/checkpoint.safetensors"), bytes).expect("written");
    desk.fails(&[TRAIN, &["--steps", "2", "--out", "model"]].concat(), &["checkpoint.safetensors", "damaged"]);
    // TS-09: a changed byte of the history blocks training and is named.
    let segment = "m/0000000000.segment";
    let mut bytes = desk.bytes(segment);
    bytes[60_000] ^= 1;
    std::fs::write(desk.path(segment), bytes).expect("written");
    desk.fails(&[TRAIN, &["--steps", "2", "--out", "again"]].concat(), &["segment"]);
}
