//! The winner: the model that may trade, and the record of what it earned on the range that was held out.
//!
//! ```text
//! WINNER/
//!   metrics.json                  avg_reward, evaluated_at, steps, model_hash; names the model
//!   MODEL_HASH.safetensors        the model, never changed
//! ```
//!
//! - `metrics.json` is renamed into place after its model is there and synced: a crash leaves the old winner or the new.
//! - A model replaces a winner only when its average reward is strictly better; the first valid one is taken.
//! - A winner that is missing, invalid, tampered with or below a gate is an error that names the file.
//! - Must never: promote a model on the evaluation of another one.

use crate::TrainError;
use daybook_inference::tensors::write_whole;
use daybook_inference::{Model, ModelError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What `metrics.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WinnerRecord {
    /// Average reward on the range that was held out, in R a trade.
    pub avg_reward: f64,
    /// When it was evaluated, RFC 3339.
    pub evaluated_at: String,
    /// Steps it was trained for.
    pub steps: u64,
    /// Content hash of the model file.
    pub model_hash: String,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promoted {
    /// Was it promoted?
    pub promoted: bool,
    /// Why, or why not.
    pub reason: String,
    /// The candidate's record.
    pub candidate: WinnerRecord,
    /// The winner before.
    pub previous: Option<WinnerRecord>,
}

const METRICS: &str = "metrics.json";

impl WinnerRecord {
    /// Reads the record of a winner's folder, and checks that it can be one.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(METRICS);
        let text = std::fs::read_to_string(&path).map_err(|source| ModelError::Io {
            file: path.clone(),
            doing: "read the winner's metrics",
            source,
        })?;
        let fault = |what: String| ModelError::content(&path, "metrics", format!("{what}; promote a model again"));
        let record: Self = serde_json::from_str(&text).map_err(|error| fault(format!("they do not parse: {error}")))?;
        let hash = &record.model_hash;
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(fault(format!("model_hash {hash:?} is not 64 hexadecimal digits")));
        }
        if !record.avg_reward.is_finite() {
            return Err(fault("avg_reward is not a number".to_owned()));
        }
        Ok(record)
    }

    /// The file of the model it names.
    pub fn model_file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.safetensors", self.model_hash))
    }
}

/// The winner of a folder: its record and its model, which hashes to what the record says.
pub fn read_winner(folder: &Path) -> Result<(WinnerRecord, Model), ModelError> {
    let record = WinnerRecord::read(folder)?;
    let file = record.model_file(folder);
    let model = Model::read(&file)?;
    if model.hash != record.model_hash {
        let (recorded, found) = (record.model_hash, model.hash);
        return Err(ModelError::Tampered { file, recorded, found });
    }
    Ok((record, model))
}

/// The winner, if it may trade: RL-22's gate.
pub fn require_winner(folder: &Path, least: f64) -> Result<(WinnerRecord, Model), ModelError> {
    let (record, model) = read_winner(folder)?;
    // Written so that a threshold that is no number refuses too.
    if record.avg_reward >= least {
        return Ok((record, model));
    }
    let what = format!(
        "the winner earned {} R a trade on the range held out, {least} are asked for (winner_min_avg_reward): train on",
        record.avg_reward
    );
    Err(ModelError::content(&folder.join(METRICS), "avg_reward", what))
}

/// Makes the model the winner if it is strictly better than the one there, or if there is none.
pub fn promote(model: &Path, candidate: WinnerRecord, folder: &Path) -> Result<Promoted, TrainError> {
    let own = Model::read(model)?;
    if own.hash != candidate.model_hash {
        let what =
            format!("the evaluation is of {}, the model is {}: evaluate it again", candidate.model_hash, own.hash);
        return Err(ModelError::content(model, "content", what).into());
    }
    if !candidate.avg_reward.is_finite() {
        return Err(ModelError::content(model, "avg_reward", "it is not a number: evaluate it again").into());
    }
    let previous = match folder.join(METRICS).exists() {
        true => Some(read_winner(folder)?.0),
        false => None,
    };
    let (promoted, reason) = match &previous {
        None => (true, "there was no winner before".to_owned()),
        Some(before) if candidate.avg_reward > before.avg_reward => {
            (true, format!("{} R a trade is strictly better than {}", candidate.avg_reward, before.avg_reward))
        }
        Some(before) => {
            (false, format!("{} R a trade is not strictly better than {}", candidate.avg_reward, before.avg_reward))
        }
    };
    if promoted {
        let io = |file: &Path, doing: &'static str| {
            let file = file.to_owned();
            move |source| ModelError::Io { file, doing, source }
        };
        std::fs::create_dir_all(folder).map_err(io(folder, "make the winner's folder"))?;
        let bytes = std::fs::read(model).map_err(io(model, "read the model"))?;
        write_whole(&candidate.model_file(folder), &bytes)?;
        let mut text = serde_json::to_string_pretty(&candidate).expect("plain data becomes JSON");
        text.push('\n');
        write_whole(&folder.join(METRICS), text.as_bytes())?;
    }
    Ok(Promoted { promoted, reason, candidate, previous })
}
