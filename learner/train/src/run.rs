//! A training run from where it stands to its last step: guard, step, record, checkpoint.
//!
//! - The guard is asked before every step; too hot means checkpoint first, then wait, then ask again.
//! - A checkpoint is due every so many steps, at the end, when the run is asked to stop, and before a pause.
//! - What waits, shows progress or writes a journal is given from outside: nothing here reads a clock.
//! - Must never: lose a step that a checkpoint was said to hold.

use crate::dataset::Dataset;
use crate::thermal::{Advice, Heat, Sensor, ThermalGuard};
use crate::{Host, StepRecord, TrainError, Trainer};
use daybook_inference::ModelFacts;
use std::path::PathBuf;

/// How far a run goes, and where its files are.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// The step after which it ends.
    pub until: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// The model file, written with each checkpoint.
    pub model: PathBuf,
    /// What runs it.
    pub host: Host,
}

/// What was written at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Steps done.
    pub step: u64,
    /// Content hash of the checkpoint.
    pub checkpoint: String,
    /// Content hash of the model.
    pub model: String,
}

/// Who looks on.
pub trait Watcher {
    /// A step was taken.
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError>;
    /// A checkpoint is about to be written: what was told of its steps must be durable first, or a crash leaves a
    /// checkpoint of steps that nobody knows of.
    fn on_saving(&mut self) -> Result<(), TrainError>;
    /// A checkpoint and a model were written.
    fn on_saved(&mut self, saved: &Saved, trainer: &Trainer) -> Result<(), TrainError>;
    /// Training is paused: wait a while. False gives up.
    fn on_pause(&mut self, heat: Heat) -> bool;
    /// True when a person wants it to stop after this step.
    fn wants_to_stop(&self) -> bool;
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Finished,
    /// A person stopped it; it can be taken up again.
    Stopped,
    /// It stayed too hot.
    TooHot,
}

/// Runs until the last step.
pub fn run(
    trainer: &mut Trainer,
    dataset: &mut dyn Dataset,
    facts: &ModelFacts,
    plan: &RunPlan,
    mut sensor: Option<&mut dyn Sensor>,
    watcher: &mut dyn Watcher,
) -> Result<Ended, TrainError> {
    let mut guard = ThermalGuard::default();
    let mut saved_at = None;
    while trainer.step_number() < plan.until {
        if let Some(sensor) = sensor.as_deref_mut()
            && !keep_cool(trainer, dataset, facts, plan, &mut guard, sensor, watcher)?
        {
            return Ok(Ended::TooHot);
        }
        let record = trainer.step(dataset)?;
        watcher.on_step(&record)?;
        let stop = watcher.wants_to_stop();
        if stop || record.step == plan.until || record.step.is_multiple_of(plan.checkpoint_every.max(1)) {
            save(trainer, dataset, facts, plan, watcher)?;
            saved_at = Some(record.step);
        }
        if stop {
            return Ok(Ended::Stopped);
        }
    }
    if saved_at != Some(trainer.step_number()) {
        save(trainer, dataset, facts, plan, watcher)?;
    }
    Ok(Ended::Finished)
}

/// False when it stays too hot and the watcher gives up.
fn keep_cool(
    trainer: &Trainer,
    dataset: &dyn Dataset,
    facts: &ModelFacts,
    plan: &RunPlan,
    guard: &mut ThermalGuard,
    sensor: &mut dyn Sensor,
    watcher: &mut dyn Watcher,
) -> Result<bool, TrainError> {
    loop {
        let (advice, heat) = guard.check(sensor);
        match advice {
            Advice::Run => return Ok(true),
            Advice::CheckpointAndPause => save(trainer, dataset, facts, plan, watcher)?,
            Advice::StayPaused => {}
        }
        if !watcher.on_pause(heat) {
            return Ok(false);
        }
    }
}

fn save(
    trainer: &Trainer,
    dataset: &dyn Dataset,
    facts: &ModelFacts,
    plan: &RunPlan,
    watcher: &mut dyn Watcher,
) -> Result<(), TrainError> {
    let facts = ModelFacts { steps: trainer.step_number(), ..facts.clone() };
    watcher.on_saving()?;
    // The checkpoint first: a crash between the two leaves a model of an earlier step, which the next save replaces.
    let checkpoint = trainer.write_checkpoint(&plan.checkpoint, &facts, dataset, &plan.host)?;
    let model = trainer.write_model(&plan.model, &facts)?;
    watcher.on_saved(&Saved { step: trainer.step_number(), checkpoint, model }, trainer)
}
