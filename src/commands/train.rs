//! `train`: replay history into a memory, train the network on it, and go on to evaluation and promotion if asked.
//!
//! - What cannot work is refused before any work is done: ranges that meet, shapes that need more memory than there is.
//! - A run goes on from its checkpoint; killed at any moment it loses the steps since then and nothing else.

use super::Verdict;
use crate::cli::{Cli, Draws, Phase, Train};
use crate::learning::data::{Data, Wanted};
use crate::learning::record::{TrainingJournal, as_training_error, told};
use crate::learning::{page, sensor};
use crate::output;
use daybook_config::Settings;
use daybook_features::spec::{FEATURE_SPEC_VERSION, Scaler as Fitted};
use daybook_features::{FEATURES, feature_spec_hash};
use daybook_inference::{Model, ModelFacts, Scaler, Shape, timeframes_of};
use daybook_train::batch_size;
use daybook_train::evaluate::mean_of_rewards;
use daybook_train::memory::{Epsilon, Memory, REWARD_FORMULA, REWARD_VERSION, Sampling, Span, TrainingSet};
use daybook_train::network::{Example, Learner};
use daybook_train::run::{Ended, RunPlan, Saved, Watcher, run as run_training};
use daybook_train::thermal::{Heat, Sensor};
use daybook_train::{Dataset, StepRecord, TrainError, TrainSettings, Trainer};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Event, Hash, Ratio, TrainingStarted};
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub fn run(cli: &Cli, arguments: &Train) -> Verdict {
    let resolved = super::settings(cli, arguments.set.clone())?.settings;
    let settings = settings_of(arguments, &resolved);
    settings.check()?;
    let pairs: Vec<(&str, usize)> = arguments.timeframes.iter().map(|(name, bars)| (name.as_str(), *bars)).collect();
    let shape = Shape::new(FEATURES, &pairs)?;
    let timeframes = timeframes_of(&shape)?;
    // The memory explores from the seed of the settings: one seed names the whole training.
    let mut set = vec![("seed".to_owned(), arguments.seed.to_string())];
    set.extend(arguments.set.iter().cloned());
    let wanted = Wanted {
        journals: &arguments.journal,
        symbols: &arguments.symbols,
        timeframes: &timeframes,
        dates: (arguments.from, arguments.to),
        set: &set,
    };
    let data = Data::open(cli, &wanted)?;
    let threads = arguments.threads.unwrap_or_else(sensor::cores);
    check_memory(&shape, data.symbols().len(), &settings, threads)?;
    let training = data.span(arguments.from, arguments.to);
    let holdout = arguments.holdout.map(|(from, to)| data.span(Some(from), Some(to)));
    if let Some(held) = holdout.filter(|held| held.overlaps(&training)) {
        return Err(daybook_train::memory::MemoryError::HeldOut { wanted: training, held }.into());
    }
    if arguments.phase > Phase::Train && arguments.holdout.is_none() {
        return Err("the phases after `train` need a range that is held out: give --holdout DATE..DATE".into());
    }
    std::fs::create_dir_all(&arguments.out).map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    let memory = Arc::new(populate(arguments, &settings, &data, &wanted)?);
    describe(&memory);
    let sampling = if arguments.sampling == Draws::Uniform { Sampling::Uniform } else { Sampling::PRIORITISED };
    let mut learned_from = TrainingSet::new(Arc::clone(&memory), training, sampling)?;
    let fitted = Fitted::fit(memory.features(), learned_from.scaler_range())?;
    output::line(format_args!(
        "{} decision times to learn from, scaler fitted",
        output::grouped(learned_from.decisions() as u64)
    ));
    if arguments.phase < Phase::Train {
        return Ok(ExitCode::SUCCESS);
    }
    let steps = arguments.steps.unwrap_or(resolved.learn_steps);
    let job = Job { arguments, steps, settings, shape, threads, facts: facts_of(arguments, &data, &memory, training) };
    let ended = job.train(&mut learned_from, &fitted)?;
    if ended != Ended::Finished {
        return Ok(ExitCode::FAILURE);
    }
    after(cli, arguments)
}

/// The phases behind training.
fn after(cli: &Cli, arguments: &Train) -> Verdict {
    if arguments.phase > Phase::Train {
        let evaluate = crate::cli::Evaluate {
            model: arguments.out.clone(),
            journal: arguments.journal.clone(),
            holdout: arguments.holdout,
            symbols: arguments.symbols.clone(),
            set: arguments.set.clone(),
            dump_decisions: None,
            out: None,
        };
        super::evaluate::run(cli, &evaluate)?;
    }
    if arguments.phase >= Phase::Promote {
        let winner = arguments.winner.clone().ok_or("the phase `promote` needs --winner DIR")?;
        return super::promote::run(cli, &crate::cli::Promote { model: arguments.out.clone(), winner });
    }
    Ok(ExitCode::SUCCESS)
}

/// What the flags say, else the settings.
fn settings_of(arguments: &Train, settings: &Settings) -> TrainSettings {
    let number = |flag: Option<f64>, setting: Ratio| flag.unwrap_or(setting.0 as f64 / SCALE as f64);
    TrainSettings {
        batch_size: arguments.batch_size.unwrap_or(usize::try_from(settings.learn_batch_size).unwrap_or(usize::MAX)),
        micro_batch: arguments.micro_batch.parse().unwrap_or(if arguments.micro_batch == "auto" { 1 } else { 0 }),
        lr: number(arguments.lr, settings.learn_lr),
        weight_decay: number(arguments.weight_decay, settings.learn_weight_decay),
        gamma: number(arguments.gamma, settings.learn_gamma),
        clip: number(arguments.clip, settings.learn_clip),
        target_every: arguments.target_every.unwrap_or(settings.learn_target_every),
        epsilon_start: number(arguments.epsilon_start, settings.learn_epsilon_start),
        epsilon_end: number(arguments.epsilon_end, settings.learn_epsilon_end),
        epsilon_steps: arguments.epsilon_steps.unwrap_or(settings.learn_epsilon_steps),
        seed: arguments.seed,
    }
}

/// Refuses a shape that needs more memory than there is, before hours are spent.
fn check_memory(shape: &Shape, symbols: usize, settings: &TrainSettings, threads: usize) -> Result<(), TrainError> {
    let needed = batch_size::estimate(shape, symbols, settings.micro_batch.min(settings.batch_size), threads);
    match sensor::free_memory() {
        Some(free) if needed > free => Err(TrainError::Memory {
            what: format!("training {symbols} symbols on {threads} threads"),
            needed_mib: needed.div_ceil(1 << 20),
            limit_mib: free >> 20,
        }),
        _ => Ok(()),
    }
}

fn populate(
    arguments: &Train,
    settings: &TrainSettings,
    data: &Data,
    wanted: &Wanted<'_>,
) -> Result<Memory, Box<dyn Error>> {
    let explore = arguments.explore.as_ref().map(|path| daybook_replay::learned::open(&path.to_string_lossy()));
    let explore = explore.transpose()?.map(|found| (Arc::new(found.model), found.path));
    let epsilon = match &explore {
        None => Epsilon::RANDOM,
        Some(_) => Epsilon { first: settings.epsilon_start, last: settings.epsilon_end, over: settings.epsilon_steps },
    };
    let bar = output::progress(data.candles(), "inputs");
    bar.set_message("memory");
    let explore = explore.as_ref().map(|(model, path)| (Arc::clone(model), path.as_path()));
    let memory = data.memory(wanted, explore, epsilon, arguments.holdout, &mut |inputs| bar.set_position(inputs));
    bar.finish_and_clear();
    memory
}

fn describe(memory: &Memory) {
    let rewards: Vec<f64> =
        memory.trades().iter().filter_map(|trade| trade.r_multiple).map(|ratio| ratio.0 as f64 / 1e8).collect();
    output::line(format_args!(
        "memory: {} transitions of {} symbols at {} decision times ({} withheld), {} trades, average {:+.4} R; {} bytes a \
         transition, features {} MiB",
        output::grouped(memory.transitions().len() as u64),
        memory.symbols().len(),
        output::grouped(memory.times().len() as u64),
        output::grouped(memory.withheld()),
        output::grouped(memory.trades().len() as u64),
        mean_of_rewards(&rewards),
        memory.bytes_per_transition(),
        memory.features().bytes() >> 20
    ));
}

fn facts_of(arguments: &Train, data: &Data, memory: &Memory, training: Span) -> ModelFacts {
    let mut lineage = BTreeMap::from([
        ("memory".to_owned(), memory.content_hash()),
        ("reward".to_owned(), format!("{REWARD_FORMULA} {REWARD_VERSION}")),
        ("training".to_owned(), training.to_string()),
        ("settings".to_owned(), data.plan.hash().to_string()),
        ("exploration".to_owned(), if arguments.explore.is_some() { "model" } else { "random" }.to_owned()),
    ]);
    for (index, content) in data.content().into_iter().enumerate() {
        lineage.insert(format!("journal.{}", index + 1), content);
    }
    if let Some((from, to)) = arguments.holdout {
        lineage.insert("holdout".to_owned(), format!("{from}..{to}"));
    }
    ModelFacts {
        feature_version: FEATURE_SPEC_VERSION,
        feature_hash: feature_spec_hash().to_string(),
        steps: 0,
        seed: arguments.seed,
        symbols: data.symbols(),
        lineage,
    }
}

/// A training, ready to begin.
struct Job<'a> {
    arguments: &'a Train,
    steps: u64,
    settings: TrainSettings,
    shape: Shape,
    threads: usize,
    facts: ModelFacts,
}

impl Job<'_> {
    fn train(mut self, set: &mut TrainingSet, fitted: &Fitted) -> Result<Ended, Box<dyn Error>> {
        let (arguments, binary) = (self.arguments, output::binary_hash()?.to_string());
        let checkpoint =
            arguments.checkpoint_path.clone().unwrap_or_else(|| arguments.out.join("checkpoint.safetensors"));
        if arguments.micro_batch == "auto" {
            self.settings.micro_batch = self.micro_batch(set, &checkpoint)?;
        }
        let mut trainer = self.trainer(set, fitted, &checkpoint, &binary)?;
        let mut journal = TrainingJournal::open(&arguments.out)?;
        journal.append(trainer.step_number(), &self.started(&trainer, set, &binary)?, true)?;
        let plan = RunPlan {
            until: self.steps,
            checkpoint_every: arguments.checkpoint_every,
            checkpoint,
            model: arguments.out.join(daybook_replay::learned::MODEL_FILE),
            binary,
        };
        let bar = output::progress(self.steps, "steps");
        bar.set_position(trainer.step_number());
        bar.reset_eta();
        let stop = arguments.out.join("stop");
        let mut desk = Desk { bar, journal, stop, reward: None };
        let mut zones = if arguments.no_thermal { None } else { sensor::Zones::find() };
        let guard = zones.as_mut().map(|zones| zones as &mut dyn Sensor);
        let ended = run_training(&mut trainer, set, &self.facts, &plan, guard, &mut desk);
        desk.bar.finish_and_clear();
        desk.journal.close()?;
        let ended = ended?;
        self.report()?;
        match ended {
            Ended::Finished => {
                output::line(format_args!("{} steps, model {}", trainer.step_number(), plan.model.display()))
            }
            Ended::Stopped => output::line("stopped; the same command goes on from the checkpoint"),
            Ended::TooHot => output::line("the machine stays too hot; the same command goes on from the checkpoint"),
        }
        output::line(format_args!("report {}", arguments.out.join("report.html").display()));
        Ok(ended)
    }

    fn trainer(
        &self,
        set: &mut TrainingSet,
        fitted: &Fitted,
        checkpoint: &Path,
        binary: &str,
    ) -> Result<Trainer, Box<dyn Error>> {
        if checkpoint.exists() {
            let resumed = Trainer::resume(checkpoint, &self.settings, set, binary, self.threads)?;
            if resumed.facts.symbols != self.facts.symbols {
                return Err("the checkpoint is of other symbols; take the same ones, or another --out".into());
            }
            resumed.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            output::line(format_args!("going on from step {}", resumed.trainer.step_number()));
            return Ok(resumed.trainer);
        }
        let scaler =
            |one: &daybook_features::spec::Fitted| Scaler { mean: one.mean.to_vec(), scale: one.scale.to_vec() };
        let scalers = fitted.timeframes.iter().map(scaler).collect();
        Ok(Trainer::new(self.settings.clone(), self.shape.clone(), scalers, self.threads)?)
    }

    /// What the checkpoint was trained with, or the largest size that memory allows, tried on the memory's own windows.
    fn micro_batch(&self, set: &TrainingSet, checkpoint: &Path) -> Result<usize, Box<dyn Error>> {
        if checkpoint.exists() {
            return Ok(Trainer::recorded_settings(checkpoint)?.micro_batch);
        }
        let scalers = vec![Scaler::identity(FEATURES); self.shape.timeframes().len()];
        let parameters = daybook_train::network::initial_parameters(&self.shape, self.settings.seed);
        let attempt = |size: usize| -> Result<(), TrainError> {
            let learner = Learner::new(&self.shape, &scalers, daybook_inference::Processor::detect());
            let example = |index: usize| Example {
                windows: set.windows(index % set.decisions()),
                actions: vec![0; set.symbols()],
                targets: vec![0.0; set.symbols()],
                weights: vec![1.0; set.symbols()],
            };
            let examples: Vec<Example> = (0..size).map(example).collect();
            learner.step(&parameters, &examples, 1.0).map(drop)
        };
        let limit =
            sensor::free_memory().ok_or("this system does not say how much memory is free: give --micro-batch N")?;
        let estimate = |size: usize| batch_size::estimate(&self.shape, set.symbols(), size, self.threads);
        let found = batch_size::discover(estimate, limit / 2, attempt)?;
        output::line(format_args!("micro-batches of {found} decision times fit"));
        Ok(found)
    }

    fn started(&self, trainer: &Trainer, set: &TrainingSet, binary: &str) -> Result<Event, Box<dyn Error>> {
        let machine = daybook_train::Machine::here(binary, self.threads);
        let settings = serde_json::json!({ "settings": self.settings, "facts": self.facts, "machine": machine });
        Ok(Event::TrainingStarted(TrainingStarted {
            step: trainer.step_number(),
            seed: self.settings.seed,
            data: set.content_hash().parse::<Hash>().map_err(|_| "a memory's hash has 64 digits")?,
            parameters: self.shape.parameter_count() as u64,
            settings: settings.to_string(),
        }))
    }

    fn report(&self) -> Result<(), Box<dyn Error>> {
        write_report(&self.arguments.out, None)
    }
}

/// Writes the report of a training's folder.
pub fn write_report(
    folder: &Path,
    comparison: Option<&daybook_train::evaluate::Comparison>,
) -> Result<(), Box<dyn Error>> {
    let model = Model::read(&folder.join(daybook_replay::learned::MODEL_FILE))?;
    let mut facts = vec![
        ("model".to_owned(), model.hash.clone()),
        ("steps".to_owned(), model.facts.steps.to_string()),
        ("symbols".to_owned(), model.facts.symbols.join(", ")),
        ("seed".to_owned(), model.facts.seed.to_string()),
    ];
    facts.extend(model.facts.lineage.clone());
    let text = page::page("Training", &facts, &told(folder)?, comparison);
    Ok(daybook_inference::tensors::write_whole(&folder.join("report.html"), text.as_bytes())?)
}

/// Who looks on: the bar, the journal, and the file that asks for a stop.
struct Desk {
    bar: ProgressBar,
    journal: TrainingJournal,
    stop: PathBuf,
    /// Reward of the batches, smoothed for the bar.
    reward: Option<f64>,
}

impl Watcher for Desk {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        let reward = self.reward.map_or(record.reward, |before| before + (record.reward - before) * 0.1);
        self.reward = Some(reward);
        self.bar.set_position(record.step);
        self.bar.set_message(format!("loss {:.4} reward {reward:+.4}", record.loss));
        self.journal.step(record).map_err(|error| as_training_error(error.as_ref()))
    }

    fn on_saved(&mut self, saved: &Saved, _: &Trainer) -> Result<(), TrainError> {
        self.journal.saved(saved).map_err(|error| as_training_error(error.as_ref()))
    }

    fn on_pause(&mut self, heat: Heat) -> bool {
        self.bar.set_message(format!("paused: {heat:?}"));
        std::thread::sleep(std::time::Duration::from_secs(5));
        true
    }

    fn wants_to_stop(&self) -> bool {
        // Asked for by a file, so that it works from anywhere and needs no signal handler.
        std::fs::remove_file(&self.stop).is_ok()
    }
}
