//! Training as a whole: the same seed, a run broken and taken up, other thread counts, what is refused.
//!
//! - Rows RL-15, TS-05, TS-09 and the honesty controls on synthetic markets.

use daybook_inference::{ModelFacts, Network, Scaler, Scratch, Shape};
use daybook_train::device::{Backend, DeviceKind};
use daybook_train::run::{Ended, RunPlan, Saved, Watcher, run};
use daybook_train::synthetic::{Plan, Synthetic};
use daybook_train::thermal::{Heat, Sensor};
use daybook_train::{Dataset, Host, Random, StepRecord, TrainError, TrainSettings, Trainer};
use std::collections::BTreeMap;
use std::path::Path;

/// RL-15: the same seed gives the same weights, another one does not; the number of threads changes nothing.
#[test]
fn a_seed_gives_its_weights_on_any_number_of_threads() {
    let run = |seed: u64, threads: usize| {
        let (mut trainer, mut market) = (trainer(settings(seed), threads), market(1.0, false, 1));
        let records: Vec<_> = (0..5).map(|_| trainer.step(&mut market).expect("a step")).collect();
        (trainer.network().expect("a network").parameters().to_vec(), records)
    };
    let first = run(7, 1);
    assert_eq!(first, run(7, 1));
    assert_eq!(first, run(7, 3));
    assert_ne!(first.0, run(8, 1).0);
    assert_eq!(first.1[4].step, 5);
    assert_eq!(first.1[4].transitions, 20 * 2);
    assert_eq!(first.1[4].actions.iter().sum::<u64>(), 40);
}

/// TS-05: a run resumed from its checkpoint equals the unbroken run, prioritised sampling and target copies included.
#[test]
fn a_resumed_run_equals_the_unbroken_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    let whole = {
        let (mut trainer, mut market) = (trainer(settings(3), 2), market(1.0, false, 1).prioritised());
        (0..9).for_each(|_| {
            trainer.step(&mut market).expect("a step");
        });
        trainer.write_checkpoint(&path, &facts(), &market, &host("binary")).expect("written");
        std::fs::read(&path).expect("bytes")
    };
    for broken_at in [1, 4, 5, 8] {
        let (mut trainer, mut market) = (trainer(settings(3), 2), market(1.0, false, 1).prioritised());
        (0..broken_at).for_each(|_| {
            trainer.step(&mut market).expect("a step");
        });
        trainer.write_checkpoint(&path, &facts(), &market, &host("binary")).expect("written");
        let mut market = self::market(1.0, false, 1).prioritised();
        let resumed = Trainer::resume(&path, &settings(3), &mut market, &host("binary"), 2).expect("resumed");
        assert_eq!((resumed.warnings, resumed.facts), (Vec::new(), facts()));
        let mut trainer = resumed.trainer;
        assert_eq!(trainer.step_number(), broken_at);
        (broken_at..9).for_each(|_| {
            trainer.step(&mut market).expect("a step");
        });
        trainer.write_checkpoint(&path, &facts(), &market, &host("binary")).expect("written");
        assert!(std::fs::read(&path).expect("bytes") == whole, "broken at {broken_at}");
    }
}

/// TS-09, trap 25: another memory, other settings or a changed byte are refused and named; another machine is said.
#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    let (mut trainer, mut market) = (trainer(settings(3), 1), market(1.0, false, 1));
    trainer.step(&mut market).expect("a step");
    trainer.write_checkpoint(&path, &facts(), &market, &host("binary")).expect("written");
    let resume = |path: &Path, settings: &TrainSettings, market: &mut Synthetic, threads| {
        Trainer::resume(path, settings, market, &host("another binary"), threads).map(|resumed| resumed.warnings)
    };
    let warnings = resume(&path, &settings(3), &mut market, 2).expect("resumed");
    assert!(warnings.len() == 2 && warnings[0].contains("binary") && warnings[1].contains("threads"), "{warnings:?}");
    let elsewhere = Host { processor: "another processor".to_owned(), device: DeviceKind::Cuda, ..host("binary") };
    let resumed = Trainer::resume(&path, &settings(3), &mut market, &elsewhere, 1).expect("resumed");
    let [processor, device] = resumed.warnings.as_slice() else { panic!("{:?}", resumed.warnings) };
    assert!(processor.contains("a processor") && processor.contains("another processor"), "{processor}");
    assert!(device.contains("cpu") && device.contains("cuda"), "{device}");
    let other = TrainSettings { gamma: 0.5, ..settings(3) };
    let error = resume(&path, &other, &mut market, 1).expect_err("refused").to_string();
    assert!(error.contains("gamma") && error.contains("0.5"), "{error}");
    let error = resume(&path, &settings(3), &mut self::market(1.0, false, 2), 1).expect_err("refused").to_string();
    assert!(error.contains("memory") && error.contains("checkpoint.safetensors"), "{error}");
    let model = folder.path().join("model.safetensors");
    trainer.write_model(&model, &facts()).expect("written");
    let error = resume(&model, &settings(3), &mut market, 1).expect_err("refused").to_string();
    assert!(error.contains("daybook-model-1"), "{error}");
    let mut bytes = std::fs::read(&path).expect("bytes");
    let last = bytes.len() - 9;
    bytes[last] ^= 4;
    std::fs::write(&path, bytes).expect("written");
    let error = resume(&path, &settings(3), &mut market, 1).expect_err("refused").to_string();
    assert!(error.contains("content hash"), "{error}");
}

/// What runs on a card, tried on the processor: a run of the library's operations goes the way of our own, to rounding,
/// targets included.
#[test]
fn the_operations_of_a_card_train_the_same_network() {
    let run = |backend: &Backend| {
        let (trainer, mut market) = (trainer(settings(7), 2), market(1.0, false, 1));
        let mut trainer = trainer.on(backend);
        let records: Vec<_> = (0..6).map(|_| trainer.step(&mut market).expect("a step")).collect();
        (trainer.network().expect("a network").parameters().to_vec(), records)
    };
    let (own, tensors) = (run(&Backend::default()), run(&Backend::TENSORS));
    for (one, other) in own.1.iter().zip(&tensors.1) {
        assert!((one.loss - other.loss).abs() < 1e-5 * (1.0 + one.loss), "{one:?} {other:?}");
        assert!((one.gradient_norm - other.gradient_norm).abs() < 1e-3 * one.gradient_norm, "{one:?} {other:?}");
    }
    // An update is at most the rate, whatever the gradient's size; where a gradient is nothing its sign is rounding.
    let far = own.0.iter().zip(&tensors.0).filter(|(one, other)| (**one - **other).abs() > 1e-4).count();
    assert!(far * 100 < own.0.len(), "{far} of {} parameters differ", own.0.len());
}

/// The target network follows the online one by hard copies at the steps that are due, and not between.
#[test]
fn the_target_is_a_hard_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    let (mut trainer, mut market) = (trainer(settings(3), 1), market(1.0, false, 1));
    let mut same = Vec::new();
    for _ in 0..8 {
        trainer.step(&mut market).expect("a step");
        trainer.write_checkpoint(&path, &facts(), &market, &host("binary")).expect("written");
        let (file, _) = daybook_inference::tensors::TensorFile::read(&path).expect("read");
        same.push(file.tensors["target.fusion.0.weight"] == file.tensors["fusion.0.weight"]);
    }
    assert_eq!(same, [false, false, false, true, false, false, false, true]);
}

/// Honesty: on a planted signal the agent beats random with a confidence interval; on a shuffled market it does not.
#[test]
fn the_planted_signal_is_found_and_the_shuffled_one_is_not() {
    for (shuffled, found) in [(false, true), (true, false)] {
        let mut market = market(0.8, shuffled, 5);
        let settings = TrainSettings { batch_size: 32, lr: 3e-3, gamma: 0.0, ..settings(11) };
        let mut trainer = trainer(settings, 1);
        (0..150).for_each(|_| {
            trainer.step(&mut market).expect("a step");
        });
        let network = trainer.network().expect("a network");
        let (mean, error) = advantage_over_random(&network, &self::market(0.8, shuffled, 6));
        let beats = mean - 1.96 * error > 0.0;
        assert_eq!(beats, found, "shuffled {shuffled}: {mean} ± {error} R a decision");
    }
}

/// TS-06, trap 22: too hot ends the run within one step, after a checkpoint, and it goes on when it is cool; a run
/// broken by a person goes on too, and both end where the unbroken run ends.
#[test]
fn a_run_pauses_when_hot_stops_when_asked_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = |name: &str| RunPlan {
        until: 6,
        checkpoint_every: 4,
        checkpoint: folder.path().join(format!("{name}.checkpoint")),
        model: folder.path().join(format!("{name}.model")),
        host: host("binary"),
    };
    let go = |name: &str, script: Vec<Result<f64, String>>, stop_at: u64| {
        let (mut trainer, mut market) = (trainer(settings(3), 1), market(1.0, false, 1));
        let mut watcher = Log { stop_at, patience: 3, ..Log::default() };
        let mut sensor = Script(script);
        let ended = run(&mut trainer, &mut market, &facts(), &plan(name), Some(&mut sensor), &mut watcher);
        (ended.expect("ended"), watcher)
    };
    let (ended, whole) = go("whole", vec![Ok(50.0); 6], 99);
    assert_eq!(
        (ended, whole.steps.as_slice(), whole.saved.as_slice()),
        (Ended::Finished, [1, 2, 3, 4, 5, 6].as_slice(), [4, 6].as_slice())
    );
    let mut script = vec![Ok(50.0), Ok(95.0), Ok(90.0), Err("gone".to_owned())];
    script.extend(vec![Ok(60.0); 5]);
    let (ended, hot) = go("hot", script, 99);
    assert_eq!(
        (ended, hot.paused),
        (Ended::Finished, vec![(1, Heat::Critical), (1, Heat::Warning), (1, Heat::Unknown)])
    );
    assert_eq!(hot.saved, [1, 4, 6], "a checkpoint comes before the pause");
    let (ended, given_up) = go("melting", vec![Ok(99.0); 9], 99);
    assert_eq!((ended, given_up.saved), (Ended::TooHot, vec![0]));
    let (ended, stopped) = go("stopped", vec![Ok(50.0); 6], 2);
    assert_eq!((ended, stopped.saved), (Ended::Stopped, vec![2]));
    let bytes = |name: &str| std::fs::read(plan(name).checkpoint).expect("bytes");
    assert!(bytes("hot") == bytes("whole"));
    let model = daybook_inference::Model::read(&plan("hot").model).expect("a model");
    assert_eq!((model.facts.steps, Some(&model.hash)), (6, whole.models.last()));
}

#[derive(Default)]
struct Log {
    steps: Vec<u64>,
    told: usize,
    saved: Vec<u64>,
    models: Vec<String>,
    paused: Vec<(u64, Heat)>,
    stop_at: u64,
    patience: usize,
}

impl Watcher for Log {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.steps.push(record.step);
        Ok(())
    }
    fn on_saving(&mut self) -> Result<(), TrainError> {
        self.told = self.steps.len();
        Ok(())
    }
    fn on_saved(&mut self, saved: &Saved, trainer: &Trainer) -> Result<(), TrainError> {
        assert_eq!(saved.step, trainer.step_number());
        assert_eq!(self.told, self.steps.len(), "every step of a checkpoint was made durable before it");
        self.saved.push(saved.step);
        self.models.push(saved.model.clone());
        Ok(())
    }
    fn on_pause(&mut self, heat: Heat) -> bool {
        self.paused.push((self.steps.last().copied().unwrap_or(0), heat));
        self.paused.len() <= self.patience
    }
    fn wants_to_stop(&self) -> bool {
        self.steps.last() == Some(&self.stop_at)
    }
}

struct Script(Vec<Result<f64, String>>);

impl Sensor for Script {
    fn celsius(&mut self) -> Result<f64, String> {
        self.0.remove(0)
    }
}

#[test]
fn an_empty_memory_and_a_diverging_run_are_errors() {
    let mut empty = Synthetic::new(&shape(), Plan { decisions: 0, ..plan(1.0, false, 1) });
    let error = trainer(settings(1), 1).step(&mut empty).expect_err("refused");
    assert!(matches!(error, TrainError::TooLittle { found: 0, .. }), "{error}");
    let mut wild = trainer(TrainSettings { lr: 1.0, weight_decay: 1.0, ..settings(1) }, 1);
    let mut market = Synthetic::new(&shape(), Plan { cost: 1e30, ..plan(1.0, false, 1) });
    let failed = (0..20).find_map(|_| wild.step(&mut market).err());
    assert!(matches!(failed, Some(TrainError::Diverged { .. })), "{failed:?}");
}

/// Mean and standard error of the reward of the network's actions above that of random ones, on unseen decisions.
fn advantage_over_random(network: &Network, market: &Synthetic) -> (f64, f64) {
    let (mut scratch, mut random) = (Scratch::default(), Random::named(1, "random agent"));
    let mut differences = Vec::new();
    for decision in 0..market.decisions() {
        let q = network.q_values(&market.windows(decision), &mut scratch).expect("Q");
        for (symbol, one) in daybook_inference::Decision::of_all(&q).iter().enumerate() {
            let own = market.reward(decision, symbol, one.action as usize);
            let other = market.reward(decision, symbol, random.below(3) as usize);
            differences.push(f64::from(own - other));
        }
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|one| (one - mean) * (one - mean)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

fn shape() -> Shape {
    Shape::new(3, &[("5m", 12), ("15m", 8)]).expect("a shape")
}

fn plan(signal: f64, shuffled: bool, seed: u64) -> Plan {
    Plan { symbols: 2, decisions: 300, signal, shuffled, cost: 0.05, seed }
}

fn market(signal: f64, shuffled: bool, seed: u64) -> Synthetic {
    Synthetic::new(&shape(), plan(signal, shuffled, seed))
}

fn settings(seed: u64) -> TrainSettings {
    TrainSettings { batch_size: 20, micro_batch: 3, target_every: 4, seed, ..TrainSettings::default() }
}

fn trainer(settings: TrainSettings, threads: usize) -> Trainer {
    let scalers = vec![Scaler::identity(3), Scaler { mean: vec![0.1; 3], scale: vec![0.6; 3] }];
    Trainer::new(settings, shape(), scalers, threads).expect("a trainer")
}

fn host(binary: &str) -> Host {
    Host { binary: binary.to_owned(), processor: "a processor".to_owned(), ..Host::default() }
}

fn facts() -> ModelFacts {
    ModelFacts {
        feature_version: 1,
        feature_hash: "abc".to_owned(),
        steps: 0,
        seed: 3,
        symbols: vec!["A".to_owned(), "B".to_owned()],
        lineage: BTreeMap::new(),
    }
}
