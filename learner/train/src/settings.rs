//! The settings of a training run, each with its default from the definition of the trader.
//!
//! - Whatever changes a weight is here or in the data: the hash of this names the run's configuration.
//! - Must never: be taken from elsewhere halfway; a resumed run refuses other settings.

use crate::TrainError;
use crate::optimiser::Rates;
use serde::{Deserialize, Serialize};

/// What a training run does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Decision times per update.
    pub batch_size: usize,
    /// Decision times that a thread works on at once; gradients of these parts are added in their order.
    pub micro_batch: usize,
    /// Learning rate of AdamW.
    pub lr: f64,
    /// Weight decay of AdamW.
    pub weight_decay: f64,
    /// Worth of the next decision's value.
    pub gamma: f64,
    /// The largest norm of a gradient.
    pub clip: f64,
    /// Updates between hard copies of the online network to the target network.
    pub target_every: u64,
    /// Exploration: where it begins.
    pub epsilon_start: f64,
    /// Exploration: where it ends.
    pub epsilon_end: f64,
    /// Exploration: updates until it ends.
    pub epsilon_steps: u64,
    /// Seed of initialisation, sampling and exploration.
    pub seed: u64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            batch_size: 512,
            micro_batch: 8,
            lr: 3e-4,
            weight_decay: 1e-4,
            gamma: 0.99,
            clip: 1.0,
            target_every: 1_000,
            epsilon_start: 0.10,
            epsilon_end: 0.01,
            epsilon_steps: 50_000,
            seed: 1,
        }
    }
}

impl TrainSettings {
    /// Refuses what makes no training, by the name of its flag.
    pub fn check(&self) -> Result<(), TrainError> {
        let refuse =
            |key: &'static str, value: String, why: &str| Err(TrainError::Setting { key, value, why: why.to_owned() });
        if !(1..=1 << 20).contains(&self.batch_size) {
            return refuse("--batch-size", self.batch_size.to_string(), "it must be from 1 to 1048576 decision times");
        }
        if !(1..=1 << 20).contains(&self.micro_batch) {
            return refuse(
                "--micro-batch",
                self.micro_batch.to_string(),
                "it must be from 1 to 1048576 decision times",
            );
        }
        if !(self.lr > 0.0 && self.lr <= 1.0) {
            return refuse("--lr", self.lr.to_string(), "it must be above 0 and at most 1");
        }
        if !(0.0..=1.0).contains(&self.weight_decay) {
            return refuse("--weight-decay", self.weight_decay.to_string(), "it must be from 0 to 1");
        }
        if !(0.0..=1.0).contains(&self.gamma) {
            return refuse("--gamma", self.gamma.to_string(), "it must be from 0 to 1");
        }
        if !(self.clip > 0.0 && self.clip.is_finite()) {
            return refuse("--clip", self.clip.to_string(), "it must be above 0");
        }
        if self.target_every == 0 {
            return refuse("--target-every", "0".to_owned(), "it must be at least 1 step");
        }
        let probabilities = [("--epsilon-start", self.epsilon_start), ("--epsilon-end", self.epsilon_end)];
        match probabilities.into_iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            Some((key, value)) => refuse(key, value.to_string(), "it must be from 0 to 1"),
            None => Ok(()),
        }
    }

    /// Exploration at a step: a line from start to end over `epsilon_steps`, then flat.
    pub fn epsilon(&self, step: u64) -> f64 {
        let part = step.min(self.epsilon_steps) as f64 / self.epsilon_steps.max(1) as f64;
        let part = if self.epsilon_steps == 0 { 1.0 } else { part };
        self.epsilon_start + (self.epsilon_end - self.epsilon_start) * part
    }

    /// Constants of the optimiser.
    pub fn rates(&self) -> Rates {
        Rates { lr: self.lr, weight_decay: self.weight_decay }
    }

    /// The first setting in which two runs differ: its name, here and there.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let fields = |of: &Self| serde_json::to_value(of).expect("plain data becomes JSON");
        let (here, there) = (fields(self), fields(other));
        let names = here.as_object().expect("settings are an object").keys();
        let mut names = names.filter(|name| here[name.as_str()] != there[name.as_str()]);
        names.next().map(|name| (name.clone(), here[name.as_str()].to_string(), there[name.as_str()].to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RL-15: the defaults of the definition, and its schedule of exploration.
    #[test]
    fn defaults_and_schedule_are_those_of_the_definition() {
        let settings = TrainSettings::default();
        settings.check().expect("the defaults are sound");
        assert_eq!((settings.batch_size, settings.target_every, settings.epsilon_steps), (512, 1_000, 50_000));
        assert_eq!((settings.lr, settings.weight_decay, settings.gamma, settings.clip), (3e-4, 1e-4, 0.99, 1.0));
        assert_eq!(settings.epsilon(0), 0.10);
        assert!((settings.epsilon(25_000) - 0.055).abs() < 1e-12);
        assert!((settings.epsilon(50_000) - 0.01).abs() < 1e-12 && (settings.epsilon(9_999_999) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn what_makes_no_training_is_refused_by_its_flag() {
        let sound = TrainSettings::default();
        for (settings, flag) in [
            (TrainSettings { batch_size: 0, ..sound.clone() }, "--batch-size"),
            (TrainSettings { lr: f64::NAN, ..sound.clone() }, "--lr"),
            (TrainSettings { lr: 0.0, ..sound.clone() }, "--lr"),
            (TrainSettings { gamma: 1.5, ..sound.clone() }, "--gamma"),
            (TrainSettings { clip: 0.0, ..sound.clone() }, "--clip"),
            (TrainSettings { target_every: 0, ..sound.clone() }, "--target-every"),
            (TrainSettings { epsilon_end: -0.1, ..sound.clone() }, "--epsilon-end"),
        ] {
            let error = settings.check().expect_err("refused").to_string();
            assert!(error.starts_with(flag), "{error}");
        }
        let other = TrainSettings { gamma: 0.5, ..sound.clone() };
        assert_eq!(sound.difference(&other), Some(("gamma".into(), "0.99".into(), "0.5".into())));
        assert_eq!(sound.difference(&sound), None);
    }
}
