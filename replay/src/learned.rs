//! The strategy `learned`: a model under the decision rules, named in a header by its content hash alone.
//!
//! - On the command line `model` is a winner's folder, a training's folder or a model file; in the header it is the
//!   hash, so that nothing of this machine enters a session.
//! - A run keeps a copy of its model beside its journal: whoever audits it needs nothing else.
//! - A folder with a `metrics.json` is a winner's: its record must be signed by the key that is believed, and its model must
//!   be the one of the record. Any model can be tried by its training's folder, or as a file.
//! - Must never: decide with a file that does not hash to what the header says.

use crate::catalog::Selection;
use crate::error::ReplayError;
use crate::winner::{METRICS, Trust, read_winner};
use daybook_config::{Calendar, Settings};
use daybook_core::policy::PolicyRunner;
use daybook_core::strategy::{Parameter, Strategy};
use daybook_inference::{LearnedPolicy, Model};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name on the command line.
pub const LEARNED: &str = "learned";
/// One line for `--strategy help`.
pub const ABOUT: &str = "a trained model under the decision rules a to g";
/// What `--set` takes.
pub const PARAMETERS: &[Parameter] =
    &[Parameter { name: "model", default: "", about: "a winner's folder, a training's folder, or a model file" }];
/// The name of a model file in a training's folder and in a run.
pub const MODEL_FILE: &str = "model.safetensors";

/// A model and where it lies.
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub model: Model,
}

/// The model of a value of `--set model=…` that is a path; `trust` says whose winners are believed.
pub fn open(value: &str, trust: &Trust) -> Result<Found, ReplayError> {
    if value.is_empty() {
        let hint = "give --set model=DIR: a winner's folder, a training's folder, or a model file";
        return Err(ReplayError::Model(hint.to_owned()));
    }
    let place = Path::new(value);
    if place.join(METRICS).exists() {
        let winner = read_winner(place, trust)?;
        return Ok(Found { path: winner.path, model: winner.model });
    }
    let path = if place.is_dir() { place.join(MODEL_FILE) } else { place.to_owned() };
    let model = Model::read(&path)?;
    Ok(Found { path, model })
}

/// The model of a hash in one of some places.
pub fn find(hash: &str, places: &[PathBuf]) -> Result<Found, ReplayError> {
    let files = |place: &PathBuf| [place.clone(), place.join(MODEL_FILE), place.join(format!("{hash}.safetensors"))];
    for path in places.iter().flat_map(files).filter(|path| path.is_file()) {
        let model = Model::read(&path)?;
        if model.hash == hash {
            return Ok(Found { path, model });
        }
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    Err(ReplayError::Model(format!(
        "the session decided with the model {hash}, which is not in {}: copy it there as {MODEL_FILE}",
        if places.is_empty() { "any known place".to_owned() } else { places.join(", ") }
    )))
}

/// The strategy: the model's policy under the decision rules.
pub fn build(
    found: Found,
    settings: &Settings,
    selection: &Selection,
    calendar: Calendar,
    instruments: usize,
) -> Result<Box<dyn Strategy>, ReplayError> {
    let interval = settings.engine_timeframe.unwrap_or(selection.interval);
    let policy = LearnedPolicy::new(Arc::new(found.model), &found.path, calendar, interval, instruments)?;
    Ok(Box::new(PolicyRunner::new(Box::new(policy), instruments)))
}

/// True for 64 hexadecimal digits.
pub fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
