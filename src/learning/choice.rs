//! What a training does: each of its numbers from a flag, else from a setting.
//!
//! - Flags are stronger than settings; nothing else has a say, and no default stands here.
//! - What changes a weight is recorded by its key in the model and in every checkpoint.
//! - Must never: let a range that is held out meet the range of training.

use crate::cli::{Device, Draws, Reward, Train};
use crate::learning::sensor;
use daybook_config::{Settings, learn};
use daybook_features::FEATURES;
use daybook_inference::Shape;
use daybook_train::TrainSettings;
use daybook_train::device::DeviceKind;
use daybook_train::memory::{RewardFormula, Sampling};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Date, Ratio};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

/// The choice, whole.
pub struct Choice {
    /// What the trainer does.
    pub settings: TrainSettings,
    /// The micro-batch is found by memory.
    pub finds_micro_batch: bool,
    /// Updates, those of earlier sittings included.
    pub steps: u64,
    /// Updates between checkpoints.
    pub checkpoint_every: u64,
    /// Shape of the network.
    pub shape: Shape,
    /// How decision times are drawn.
    pub sampling: Sampling,
    /// What a transition is rewarded with.
    pub reward: RewardFormula,
    /// Sessions held out.
    pub holdout: Option<(Date, Date)>,
    /// What the network is trained on.
    pub device: DeviceKind,
    /// Threads.
    pub threads: usize,
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// The winner's folder.
    pub winner: Option<PathBuf>,
    /// Whether training pauses while the machine is too hot.
    pub thermal: bool,
    /// What changes a weight, by key.
    pub recorded: BTreeMap<String, String>,
}

impl Choice {
    /// What flags and settings say.
    pub fn of(arguments: &Train, settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let micro_batch = match arguments.micro_batch.as_deref() {
            None => settings.learn_micro_batch.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            Some("auto") => None,
            Some(text) => Some(text.parse().map_err(|_| format!("--micro-batch {text}: give a number, or auto"))?),
        };
        let train = train_settings(arguments, settings, micro_batch.unwrap_or(1));
        train.check()?;
        let shape = shape(arguments, settings)?;
        let number = |setting: Ratio| setting.0 as f64 / SCALE as f64;
        let sampling = match arguments.sampling.unwrap_or(match settings.learn_sampling {
            learn::Draws::Uniform => Draws::Uniform,
            learn::Draws::Prioritised => Draws::Prioritised,
        }) {
            Draws::Uniform => Sampling::Uniform,
            Draws::Prioritised => {
                Sampling::Prioritised { alpha: number(settings.learn_alpha), beta: number(settings.learn_beta) }
            }
        };
        let reward = match arguments.reward.unwrap_or(match settings.learn_reward {
            learn::Reward::MarkedR => Reward::MarkedR,
            learn::Reward::ClosedR => Reward::ClosedR,
        }) {
            Reward::MarkedR => RewardFormula::MarkedR,
            Reward::ClosedR => RewardFormula::ClosedR,
        };
        let device = match arguments.device.unwrap_or(match settings.learn_device {
            learn::Device::Cpu => Device::Cpu,
            learn::Device::Cuda => Device::Cuda,
        }) {
            Device::Cpu => DeviceKind::Cpu,
            Device::Cuda => DeviceKind::Cuda,
        };
        let own = || settings.learn_threads.map(|count| count as usize);
        let checkpoint = arguments.checkpoint_path.clone().or_else(|| settings.learn_checkpoint.clone());
        let mut choice = Self {
            settings: train,
            finds_micro_batch: micro_batch.is_none(),
            steps: arguments.steps.unwrap_or(settings.learn_steps),
            checkpoint_every: arguments.checkpoint_every.unwrap_or(settings.learn_checkpoint_every),
            shape,
            sampling,
            reward,
            holdout: arguments.holdout.or(settings.learn_holdout.map(|dates| (dates.from, dates.to))),
            device,
            threads: arguments.threads.or_else(own).unwrap_or_else(sensor::cores),
            checkpoint: checkpoint.unwrap_or_else(|| arguments.out.join("checkpoint.safetensors")),
            winner: arguments.winner.clone().or_else(|| settings.learn_winner.clone()),
            thermal: settings.learn_thermal && !arguments.no_thermal,
            recorded: BTreeMap::new(),
        };
        choice.recorded = choice.keys();
        Ok(choice)
    }

    /// What changes a weight, by key, as `config show` writes it.
    fn keys(&self) -> BTreeMap<String, String> {
        let one = &self.settings;
        let timeframes = self.shape.timeframes();
        let names: Vec<&str> = timeframes.iter().map(|one| one.name.as_str()).collect();
        let lookbacks: Vec<String> = timeframes.iter().map(|one| format!("{}:{}", one.name, one.lookback)).collect();
        let (draws, alpha, beta) = match self.sampling {
            Sampling::Uniform => ("uniform", None, None),
            Sampling::Prioritised { alpha, beta } => ("prioritised", Some(alpha), Some(beta)),
        };
        let holdout = self.holdout.map_or_else(|| "none".to_owned(), |(from, to)| format!("{from}..{to}"));
        let mut keys = BTreeMap::from([
            ("learn.timeframes".to_owned(), names.join(",")),
            ("learn.lookbacks".to_owned(), lookbacks.join(",")),
            ("learn.holdout".to_owned(), holdout),
            ("learn.batch_size".to_owned(), one.batch_size.to_string()),
            ("learn.lr".to_owned(), one.lr.to_string()),
            ("learn.weight_decay".to_owned(), one.weight_decay.to_string()),
            ("learn.gamma".to_owned(), one.gamma.to_string()),
            ("learn.clip".to_owned(), one.clip.to_string()),
            ("learn.target_every".to_owned(), one.target_every.to_string()),
            ("learn.epsilon_start".to_owned(), one.epsilon_start.to_string()),
            ("learn.epsilon_end".to_owned(), one.epsilon_end.to_string()),
            ("learn.epsilon_steps".to_owned(), one.epsilon_steps.to_string()),
            ("learn.sampling".to_owned(), draws.to_owned()),
            ("learn.reward".to_owned(), self.reward.name().to_owned()),
            ("seed".to_owned(), one.seed.to_string()),
        ]);
        let exponents = [("learn.alpha", alpha), ("learn.beta", beta)];
        keys.extend(exponents.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_string()))));
        keys
    }
}

fn train_settings(arguments: &Train, settings: &Settings, micro_batch: usize) -> TrainSettings {
    let number = |flag: Option<f64>, setting: Ratio| flag.unwrap_or(setting.0 as f64 / SCALE as f64);
    TrainSettings {
        batch_size: arguments.batch_size.unwrap_or(usize::try_from(settings.learn_batch_size).unwrap_or(usize::MAX)),
        micro_batch,
        lr: number(arguments.lr, settings.learn_lr),
        weight_decay: number(arguments.weight_decay, settings.learn_weight_decay),
        gamma: number(arguments.gamma, settings.learn_gamma),
        clip: number(arguments.clip, settings.learn_clip),
        target_every: arguments.target_every.unwrap_or(settings.learn_target_every),
        epsilon_start: number(arguments.epsilon_start, settings.learn_epsilon_start),
        epsilon_end: number(arguments.epsilon_end, settings.learn_epsilon_end),
        epsilon_steps: arguments.epsilon_steps.unwrap_or(settings.learn_epsilon_steps),
        seed: arguments.seed.unwrap_or(settings.seed),
    }
}

fn shape(arguments: &Train, settings: &Settings) -> Result<Shape, Box<dyn Error>> {
    if !arguments.timeframes.is_empty() {
        let pairs: Vec<(&str, usize)> =
            arguments.timeframes.iter().map(|(name, bars)| (name.as_str(), *bars)).collect();
        return Ok(Shape::new(FEATURES, &pairs)?);
    }
    let pairs = settings.learn_lookbacks.of(&settings.learn_timeframes).map_err(|missing| {
        format!("learn.timeframes has {missing}, learn.lookbacks has no bars for it: add {missing}:BARS there")
    })?;
    let named: Vec<(String, usize)> = pairs.iter().map(|(interval, bars)| (interval.to_string(), *bars)).collect();
    let pairs: Vec<(&str, usize)> = named.iter().map(|(name, bars)| (name.as_str(), *bars)).collect();
    Ok(Shape::new(FEATURES, &pairs)?)
}
