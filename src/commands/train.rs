//! `train`: replay history into a memory, train the network on it, and go on to evaluation and promotion if asked.
//!
//! - What cannot work is refused before any work is done: ranges that meet, shapes that need more memory than there is.
//! - A run goes on from its checkpoint; killed at any moment it loses the steps since then and nothing else.

use super::evaluate::Evaluated;
use super::{Verdict, evaluate, promote};
use crate::cli::{Cli, Format, Phase, Train};
use crate::learning::choice::Choice;
use crate::learning::data::{Data, Wanted};
use crate::learning::record::{TrainingJournal, as_training_error, told};
use crate::learning::remembered::{Remembered, tell_features, tell_trades, tell_transitions};
use crate::learning::{page, sensor};
use crate::output;
use daybook_features::spec::{FEATURE_SPEC_VERSION, Scaler as Fitted};
use daybook_features::{FEATURES, feature_spec_hash};
use daybook_inference::{Model, ModelFacts, Scaler, timeframes_of};
use daybook_replay::winner::{Ground, NO_CHARGES, Promoted, Trust};
use daybook_train::batch_size;
use daybook_train::device::Backend;
use daybook_train::memory::{Epsilon, Memory, MemoryError, Span, TrainingSet};
use daybook_train::network::{Example, Learner};
use daybook_train::run::{Ended, RunPlan, Saved, Watcher, run as run_training};
use daybook_train::thermal::{Heat, Sensor};
use daybook_train::{Dataset, Host, StepRecord, TrainError, TrainSettings, Trainer};
use daybook_vocabulary::{Date, Event, Hash, TrainingStarted};
use indicatif::ProgressBar;
use serde::Serialize;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub fn run(cli: &Cli, arguments: &Train) -> Verdict {
    if cli.format == Format::Json {
        output::lines_aside();
    }
    super::in_order(arguments.from, arguments.to)?;
    let told = go(cli, arguments)?;
    if cli.format == Format::Json {
        output::json(&told)?;
    }
    let good = told.ended.is_none_or(|ended| ended == "finished") && told.promotion.is_none_or(|one| one.promoted);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What confidence is, as the model's record says.
const CONFIDENCE: &str = "softmax of q 1";

/// What a training came to, as `--format json` prints it.
#[derive(Default, Serialize)]
struct Outcome {
    transitions: u64,
    decisions: u64,
    memory: String,
    ended: Option<&'static str>,
    model: Option<String>,
    steps: Option<u64>,
    evaluation: Option<Evaluated>,
    promotion: Option<Promoted>,
}

fn go(cli: &Cli, arguments: &Train) -> Result<Outcome, Box<dyn Error>> {
    let resolved = super::settings(cli, arguments.set.clone())?.settings;
    let choice = Choice::of(arguments, &resolved)?;
    let backend = choice.device.open()?;
    refuse_too_far(arguments, &choice)?;
    let timeframes = timeframes_of(&choice.shape)?;
    // The memory explores from the seed of the training: one seed names the whole.
    let mut set = arguments.set.clone();
    set.push(("seed".to_owned(), choice.settings.seed.to_string()));
    let wanted = Wanted {
        journals: &arguments.journal,
        symbols: &arguments.symbols,
        timeframes: &timeframes,
        dates: (arguments.from, arguments.to),
        set: &set,
    };
    let data = Data::open(cli, &wanted)?;
    check_memory(&choice, &data)?;
    tell_charges(&data);
    let training = data.span(arguments.from, arguments.to);
    let held = choice.holdout.map(|(from, to)| data.span(Some(from), Some(to)));
    if let Some(held) = held.filter(|held| held.overlaps(&training)) {
        return Err(MemoryError::HeldOut { wanted: training, held }.into());
    }
    std::fs::create_dir_all(&arguments.out).map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    let host =
        Host { binary: output::binary_hash()?.to_string(), processor: sensor::processor(), device: choice.device };
    let trust = Trust::of(&resolved);
    let explore = arguments.explore.as_ref().map(|path| daybook_replay::learned::open(&path.to_string_lossy(), &trust));
    let explore = explore.transpose()?.map(|found| (Arc::new(found.model), found.path));
    let explored = explore.as_ref().map_or_else(|| "random".to_owned(), |(model, _)| model.hash.clone());
    let one = &choice.settings;
    let usual = Epsilon { first: one.epsilon_start, last: one.epsilon_end, over: one.epsilon_steps };
    let remembered = Remembered {
        data: &data,
        wanted: &wanted,
        epsilon: if explore.is_some() { usual } else { Epsilon::RANDOM },
        model: explore.as_ref().map(|(model, path)| (Arc::clone(model), path.as_path())),
        holdout: choice.holdout,
        reward: choice.reward,
        binary: &host.binary,
    };
    let memory = Arc::new(remembered.take(&arguments.out, "training")?);
    let mut learned_from = TrainingSet::new(Arc::clone(&memory), training, choice.sampling)?;
    tell(arguments.phase, &memory, &data);
    let fitted = Fitted::fit(memory.features(), learned_from.scaler_range())?;
    let decisions = output::grouped(learned_from.decisions() as u64);
    output::line(format_args!("{decisions} decision times to learn from, scaler fitted"));
    let mut told = Outcome {
        transitions: memory.transitions().len() as u64,
        decisions: learned_from.decisions() as u64,
        memory: memory.content_hash(),
        ..Outcome::default()
    };
    if arguments.phase < Phase::Train {
        return Ok(told);
    }
    let facts = facts_of(&choice, &data, &memory, training, explored);
    let job = Job { arguments, choice: &choice, settings: choice.settings.clone(), backend, host, facts };
    let ended = job.train(&mut learned_from, &fitted)?;
    drop((learned_from, memory));
    let model = Model::read(&arguments.out.join(daybook_replay::learned::MODEL_FILE))?;
    (told.model, told.steps) = (Some(model.hash), Some(model.facts.steps));
    told.ended = Some(word(ended));
    if ended == Ended::Finished {
        after(cli, arguments, &choice, &mut told)?;
    }
    Ok(told)
}

/// Says what trades pay: whoever learns without charges learns another market.
fn tell_charges(data: &Data) {
    match data.plan.settings.costs.as_str() {
        NO_CHARGES => output::line("NO CHARGES are counted (costs=none)"),
        costs => output::line(format_args!("charges {costs}")),
    }
}

/// Says of a memory what the phase is about.
fn tell(phase: Phase, memory: &Memory, data: &Data) {
    match phase {
        Phase::Features => tell_features(memory),
        Phase::PopulateTrain | Phase::Train | Phase::PopulateHoldout => tell_transitions(memory),
        _ => tell_trades(memory, data),
    }
}

const fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Finished => "finished",
        Ended::Stopped => "stopped",
        Ended::TooHot => "too-hot",
    }
}

/// Refuses a phase that could not be gone through to its end, before hours are spent.
fn refuse_too_far(arguments: &Train, choice: &Choice) -> Result<(), String> {
    if arguments.phase > Phase::Train && choice.holdout.is_none() {
        return Err("the phases after `train` need a range that is held out: give --holdout DATE..DATE".to_owned());
    }
    if arguments.phase >= Phase::Promote && choice.winner.is_none() {
        return Err("the phases `promote` and `all` need --winner DIR, or the setting learn.winner".to_owned());
    }
    Ok(())
}

/// The phases behind training.
fn after(cli: &Cli, arguments: &Train, choice: &Choice, told: &mut Outcome) -> Result<(), Box<dyn Error>> {
    let (Some((from, to)), true) = (choice.holdout, arguments.phase > Phase::Train) else { return Ok(()) };
    hold_out(cli, arguments, choice, (from, to))?;
    if arguments.phase < Phase::Evaluate {
        return Ok(());
    }
    let evaluate = crate::cli::Evaluate {
        model: arguments.out.clone(),
        journal: arguments.journal.clone(),
        holdout: Some((from, to)),
        symbols: arguments.symbols.clone(),
        set: arguments.set.clone(),
        dump_decisions: None,
        out: None,
    };
    told.evaluation = evaluate::evaluated(cli, &evaluate)?;
    told.evaluation.iter().for_each(evaluate::print);
    if arguments.phase < Phase::Promote {
        return Ok(());
    }
    let (model, winner, set) = (arguments.out.clone(), choice.winner.clone(), arguments.set.clone());
    let promoted = promote::promoted(cli, &crate::cli::Promote { model, winner, set })?;
    promote::print(&promoted);
    told.promotion = Some(promoted);
    Ok(())
}

/// The held-out range as the model trades it, as a memory of its own.
fn hold_out(cli: &Cli, arguments: &Train, choice: &Choice, dates: (Date, Date)) -> Result<(), Box<dyn Error>> {
    let path = arguments.out.join(daybook_replay::learned::MODEL_FILE);
    let model = Arc::new(Model::read(&path)?);
    let timeframes = timeframes_of(&choice.shape)?;
    let wanted = Wanted {
        journals: &arguments.journal,
        symbols: &model.facts.symbols,
        timeframes: &timeframes,
        dates: (Some(dates.0), Some(dates.1)),
        set: &arguments.set,
    };
    let data = Data::open(cli, &wanted)?;
    let binary = output::binary_hash()?.to_string();
    let remembered = Remembered {
        data: &data,
        wanted: &wanted,
        model: Some((Arc::clone(&model), &path)),
        epsilon: Epsilon { first: 0.0, last: 0.0, over: 1 },
        holdout: Some(dates),
        reward: choice.reward,
        binary: &binary,
    };
    let memory = remembered.take(&arguments.out, "holdout")?;
    tell(arguments.phase, &memory, &data);
    Ok(())
}

/// Refuses a shape or a range that needs more memory than there is, before hours are spent.
fn check_memory(choice: &Choice, data: &Data) -> Result<(), TrainError> {
    let (settings, threads, symbols) = (&choice.settings, choice.threads, data.symbols().len());
    let step = batch_size::estimate(&choice.shape, symbols, settings.micro_batch.min(settings.batch_size), threads);
    let kept = data.memory_bytes();
    let needed = step.saturating_add(kept);
    match sensor::free_memory() {
        Some(free) if needed > free => Err(TrainError::Memory {
            what: format!(
                "training {symbols} symbols on {threads} threads, {} MiB of it the replay memory of the range,",
                kept.div_ceil(1 << 20)
            ),
            needed_mib: needed.div_ceil(1 << 20),
            limit_mib: free >> 20,
        }),
        _ => Ok(()),
    }
}

fn facts_of(choice: &Choice, data: &Data, memory: &Memory, training: Span, explored: String) -> ModelFacts {
    let reward = memory.formula();
    let mut lineage = choice.recorded.clone();
    lineage.extend([
        ("memory".to_owned(), memory.content_hash()),
        ("reward".to_owned(), format!("{} {}", reward.name(), reward.version())),
        ("training".to_owned(), training.to_string()),
        ("settings".to_owned(), data.plan.hash().to_string()),
        ("costs".to_owned(), data.plan.settings.costs.as_str().to_owned()),
        ("exploration".to_owned(), explored),
        ("confidence".to_owned(), CONFIDENCE.to_owned()),
    ]);
    for (index, content) in data.content().into_iter().enumerate() {
        lineage.insert(format!("journal.{}", index + 1), content);
    }
    if let Some((from, to)) = choice.holdout {
        lineage.insert("holdout".to_owned(), format!("{from}..{to}"));
    }
    ModelFacts {
        feature_version: FEATURE_SPEC_VERSION,
        feature_hash: feature_spec_hash().to_string(),
        steps: 0,
        seed: choice.settings.seed,
        symbols: data.symbols(),
        lineage,
    }
}

/// A training, ready to begin.
struct Job<'a> {
    arguments: &'a Train,
    choice: &'a Choice,
    /// The choice's, with the micro-batch that was found.
    settings: TrainSettings,
    backend: Backend,
    host: Host,
    facts: ModelFacts,
}

impl Job<'_> {
    fn train(mut self, set: &mut TrainingSet, fitted: &Fitted) -> Result<Ended, Box<dyn Error>> {
        let (arguments, checkpoint) = (self.arguments, self.choice.checkpoint.clone());
        if self.choice.finds_micro_batch {
            self.settings.micro_batch = self.micro_batch(set, &checkpoint)?;
        }
        let mut trainer = self.trainer(set, fitted, &checkpoint)?;
        let mut journal = TrainingJournal::open(&arguments.out)?;
        journal.append(trainer.step_number(), &self.started(&trainer, set)?, true)?;
        let plan = RunPlan {
            until: self.choice.steps,
            checkpoint_every: self.choice.checkpoint_every,
            checkpoint,
            model: arguments.out.join(daybook_replay::learned::MODEL_FILE),
            host: self.host.clone(),
        };
        let bar = output::progress(self.choice.steps, "steps");
        bar.set_position(trainer.step_number());
        bar.reset_eta();
        let stop = arguments.out.join("stop");
        let mut desk = Desk { bar, journal, stop, reward: None, paused: false };
        let mut zones = if self.choice.thermal { sensor::Zones::find() } else { None };
        if self.choice.thermal && zones.is_none() {
            tracing::warn!("this machine shows no temperature: training goes on without the thermal guard");
        }
        let guard = zones.as_mut().map(|zones| zones as &mut dyn Sensor);
        let ended = run_training(&mut trainer, set, &self.facts, &plan, guard, &mut desk);
        desk.bar.finish_and_clear();
        desk.journal.close()?;
        let ended = ended?;
        write_report(&arguments.out, None)?;
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

    fn trainer(&self, set: &mut TrainingSet, fitted: &Fitted, checkpoint: &Path) -> Result<Trainer, Box<dyn Error>> {
        let threads = self.choice.threads;
        if checkpoint.exists() {
            let resumed = Trainer::resume(checkpoint, &self.settings, set, &self.host, threads)?;
            if resumed.facts.symbols != self.facts.symbols {
                return Err("the checkpoint is of other symbols; take the same ones, or another --out".into());
            }
            for (key, asked) in &self.choice.recorded {
                if let Some(ran) = resumed.facts.lineage.get(key).filter(|ran| *ran != asked) {
                    let place = checkpoint.display();
                    return Err(format!(
                        "{place}: the run has {key} = {ran}, you asked for {asked}: take the run's, or another --out"
                    )
                    .into());
                }
            }
            resumed.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            output::line(format_args!("going on from step {}", resumed.trainer.step_number()));
            return Ok(resumed.trainer.on(&self.backend));
        }
        let scaler =
            |one: &daybook_features::spec::Fitted| Scaler { mean: one.mean.to_vec(), scale: one.scale.to_vec() };
        let scalers = fitted.timeframes.iter().map(scaler).collect();
        let trainer = Trainer::new(self.settings.clone(), self.choice.shape.clone(), scalers, threads)?;
        Ok(trainer.on(&self.backend))
    }

    /// What the checkpoint was trained with, or the largest size that memory allows, tried on the memory's own windows
    /// once and kept for the same shape, symbols and threads.
    fn micro_batch(&self, set: &TrainingSet, checkpoint: &Path) -> Result<usize, Box<dyn Error>> {
        if checkpoint.exists() {
            return Ok(Trainer::recorded_settings(checkpoint)?.micro_batch);
        }
        let (shape, threads) = (&self.choice.shape, self.choice.threads);
        let kept = self.arguments.out.join("micro-batch.json");
        let limit =
            sensor::free_memory().ok_or("this system does not say how much memory is free: give --micro-batch N")?;
        let question = format!("{:?} {} {threads} {}", shape.timeframes(), set.symbols(), self.host.device.word());
        let question = blake3::hash(question.as_bytes()).to_hex().to_string();
        let estimate = |size: usize| batch_size::estimate(shape, set.symbols(), size, threads);
        let known = std::fs::read_to_string(&kept).ok();
        let known = known.and_then(|text| serde_json::from_str::<(String, usize)>(&text).ok());
        if let Some((_, size)) = known.filter(|(asked, size)| *asked == question && estimate(*size) <= limit / 2) {
            output::line(format_args!("micro-batches of {size} decision times fit, as found before"));
            return Ok(size);
        }
        let scalers = vec![Scaler::identity(FEATURES); shape.timeframes().len()];
        let parameters = daybook_train::network::initial_parameters(shape, self.settings.seed);
        let attempt = |size: usize| -> Result<(), TrainError> {
            let learner = Learner::on(shape, &scalers, self.backend.clone());
            let example = |index: usize| Example {
                windows: set.windows(index % set.decisions()),
                actions: vec![0; set.symbols()],
                targets: vec![0.0; set.symbols()],
                weights: vec![1.0; set.symbols()],
            };
            let examples: Vec<Example> = (0..size).map(example).collect();
            learner.step(&parameters, &examples, 1.0).map(drop)
        };
        let found = batch_size::discover(estimate, limit / 2, attempt)?;
        let text = serde_json::to_string(&(question, found))?;
        daybook_inference::tensors::write_whole(&kept, text.as_bytes())?;
        output::line(format_args!("micro-batches of {found} decision times fit"));
        Ok(found)
    }

    fn started(&self, trainer: &Trainer, set: &TrainingSet) -> Result<Event, Box<dyn Error>> {
        let machine = daybook_train::Machine::here(&self.host, trainer.threads());
        let settings = serde_json::json!({ "settings": self.settings, "facts": self.facts, "machine": machine });
        Ok(Event::TrainingStarted(TrainingStarted {
            step: trainer.step_number(),
            seed: self.settings.seed,
            data: set.content_hash().parse::<Hash>().map_err(|_| "a memory's hash has 64 digits")?,
            parameters: self.choice.shape.parameter_count() as u64,
            settings: settings.to_string(),
        }))
    }
}

/// Writes the report of a training's folder.
pub fn write_report(
    folder: &Path,
    measured: Option<(&daybook_train::evaluate::Comparison, &Ground)>,
) -> Result<(), Box<dyn Error>> {
    let model = Model::read(&folder.join(daybook_replay::learned::MODEL_FILE))?;
    let mut facts = vec![
        ("model".to_owned(), model.hash.clone()),
        ("steps".to_owned(), model.facts.steps.to_string()),
        ("symbols".to_owned(), model.facts.symbols.join(", ")),
    ];
    // The settings in the lineage name the seed too; a file from before they were recorded does not.
    let seed = ("seed".to_owned(), model.facts.seed.to_string());
    facts.extend(Some(seed).filter(|(key, _)| !model.facts.lineage.contains_key(key)));
    facts.extend(model.facts.lineage.clone());
    let text = page::page("Training", &facts, &told(folder)?, measured);
    Ok(daybook_inference::tensors::write_whole(&folder.join("report.html"), text.as_bytes())?)
}

/// Who looks on: the bar, the journal, and the file that asks for a stop.
struct Desk {
    bar: ProgressBar,
    journal: TrainingJournal,
    stop: PathBuf,
    /// Reward of the batches, smoothed for the bar.
    reward: Option<f64>,
    /// The pause that it is in was told.
    paused: bool,
}

impl Watcher for Desk {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        let reward = self.reward.map_or(record.reward, |before| before + (record.reward - before) * 0.1);
        self.reward = Some(reward);
        self.paused = false;
        self.bar.set_position(record.step);
        self.bar.set_message(format!("loss {:.4} reward {reward:+.4}", record.loss));
        self.journal.step(record).map_err(|error| as_training_error(error.as_ref()))
    }

    fn on_saving(&mut self) -> Result<(), TrainError> {
        self.journal.sync().map_err(|error| as_training_error(error.as_ref()))
    }

    fn on_saved(&mut self, saved: &Saved, _: &Trainer) -> Result<(), TrainError> {
        self.journal.saved(saved).map_err(|error| as_training_error(error.as_ref()))
    }

    fn on_pause(&mut self, heat: Heat) -> bool {
        if !self.paused {
            tracing::warn!(?heat, "paused after a checkpoint; training goes on by itself when the machine is cool");
        }
        self.paused = true;
        self.bar.set_message(format!("paused: {heat:?}"));
        std::thread::sleep(std::time::Duration::from_secs(5));
        true
    }

    fn wants_to_stop(&self) -> bool {
        // Asked for by a file, so that it works from anywhere and needs no signal handler.
        std::fs::remove_file(&self.stop).is_ok()
    }
}
