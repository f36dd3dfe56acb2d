//! The checkpoint of a run: everything that the next step depends on, in one file that is replaced atomically.
//!
//! - A run resumed from it equals the unbroken run, bit for bit: parameters, target network, both moments, the
//!   generator's state, what sampling has learned, the counts.
//! - It names its content (hash), its data (lineage) and its machine (processor, binary, threads).
//! - Must never: be taken up with other settings or other data than it was written with.

use crate::dataset::Dataset;
use crate::device::DeviceKind;
use crate::optimiser::AdamW;
use crate::{Random, TrainError, TrainSettings, Trainer};
use daybook_inference::tensors::{ContentHash, Tensor, TensorFile};
use daybook_inference::{
    Model, ModelError, ModelFacts, Processor, network_of, parameters_of, put_network, put_parameters,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What runs a training: given by the program, which knows its own file and the machine's name of its processor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Hash of the binary.
    pub binary: String,
    /// The processor's model name, as the system tells it.
    pub processor: String,
    /// What the network is trained on.
    pub device: DeviceKind,
}

/// Where the same bits can be expected again. Files from before a field was recorded have it empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Vectors in use, such as `avx2`.
    pub vectors: String,
    /// Hash of the binary.
    pub binary: String,
    /// Threads.
    pub threads: usize,
    /// The processor's model name.
    #[serde(default)]
    pub processor: String,
    /// What the network is trained on.
    #[serde(default)]
    pub device: String,
}

/// What a checkpoint says beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Progress {
    step: u64,
    updates: u64,
    settings: TrainSettings,
    sampling: Random,
    data: String,
    machine: Machine,
}

/// A run taken up again.
pub struct Resumed {
    /// The run.
    pub trainer: Trainer,
    /// What its model file says.
    pub facts: ModelFacts,
    /// Where it differs from the machine that wrote the checkpoint: bits may differ from an unbroken run.
    pub warnings: Vec<String>,
}

const FORMAT: &str = "daybook-checkpoint-1";
const PRIORITIES: &str = "memory.priorities";

impl Machine {
    /// This machine, running the host's binary.
    pub fn here(host: &Host, threads: usize) -> Self {
        Self {
            vectors: Processor::detect().word().to_owned(),
            binary: host.binary.clone(),
            threads,
            processor: host.processor.clone(),
            device: host.device.word().to_owned(),
        }
    }
}

impl Trainer {
    /// Writes a checkpoint in place of the last one; says its content hash.
    pub fn write_checkpoint(
        &self,
        path: &Path,
        facts: &ModelFacts,
        dataset: &dyn Dataset,
        host: &Host,
    ) -> Result<ContentHash, TrainError> {
        let mut file = TensorFile::default();
        put_network(&mut file, &self.network()?, facts);
        put_parameters(&mut file, "target.", &self.shape, &self.target);
        put_parameters(&mut file, "adamw.first.", &self.shape, &self.optimiser.first);
        put_parameters(&mut file, "adamw.second.", &self.shape, &self.optimiser.second);
        let priorities = dataset.sampling_state();
        file.tensors.insert(PRIORITIES.to_owned(), Tensor { dims: vec![priorities.len()], values: priorities });
        let progress = Progress {
            step: self.step,
            updates: self.optimiser.updates,
            settings: self.settings.clone(),
            sampling: self.sampling.clone(),
            data: dataset.content_hash(),
            machine: Machine::here(host, self.threads()),
        };
        let text = serde_json::to_string(&progress).expect("plain data becomes JSON");
        file.metadata.insert("progress".to_owned(), text);
        file.metadata.insert("format".to_owned(), FORMAT.to_owned());
        Ok(file.write(path)?)
    }

    /// Writes the online network as a model file; says its content hash.
    pub fn write_model(&self, path: &Path, facts: &ModelFacts) -> Result<ContentHash, TrainError> {
        Ok(Model::write(&self.network()?, facts, path)?)
    }

    /// The settings a checkpoint was written with.
    pub fn recorded_settings(path: &Path) -> Result<TrainSettings, TrainError> {
        let (file, _) = TensorFile::read(path)?;
        Ok(progress_of(&file, path)?.settings)
    }

    /// Takes up a run where its checkpoint left it. Settings and data must be those it was written with.
    pub fn resume(
        path: &Path,
        settings: &TrainSettings,
        dataset: &mut dyn Dataset,
        host: &Host,
        threads: usize,
    ) -> Result<Resumed, TrainError> {
        let (file, _) = TensorFile::read(path)?;
        let progress = progress_of(&file, path)?;
        if let Some((name, given, recorded)) = settings.difference(&progress.settings) {
            let what = format!("the run has {recorded}, you asked for {given}: take the run's, or another --out");
            return Err(ModelError::content(path, name, what).into());
        }
        if progress.data != dataset.content_hash() {
            let what = format!(
                "the run learned from {}, this memory is {}: give it the same journals, symbols and dates, or another --out",
                progress.data,
                dataset.content_hash()
            );
            return Err(ModelError::content(path, "data", what).into());
        }
        let (network, facts) = network_of(&file, path)?;
        let shape = network.shape().clone();
        let part = |prefix: &str| parameters_of(&file, path, prefix, &shape);
        let optimiser =
            AdamW { first: part("adamw.first.")?, second: part("adamw.second.")?, updates: progress.updates };
        let priorities = file.tensors.get(PRIORITIES).ok_or_else(|| {
            ModelError::content(path, PRIORITIES, "the tensor is missing: the file is of another version")
        })?;
        if !dataset.restore_sampling(&priorities.values) {
            return Err(
                ModelError::content(path, PRIORITIES, "they belong to another memory: give another --out").into()
            );
        }
        let warnings = differences(&progress.machine, &Machine::here(host, threads));
        let vectors = (network.parameters().to_vec(), part("target.")?);
        let scalers = network.scalers().to_vec();
        let trainer = Self::assemble(
            progress.settings,
            shape,
            scalers,
            vectors,
            optimiser,
            progress.sampling,
            progress.step,
            threads,
        )?;
        Ok(Resumed { trainer, facts, warnings })
    }
}

fn progress_of(file: &TensorFile, path: &Path) -> Result<Progress, TrainError> {
    let format = file.text(path, "format")?;
    if format != FORMAT {
        let what = format!("it is {format}, a checkpoint is {FORMAT}: name the checkpoint, not the model");
        return Err(ModelError::content(path, "format", what).into());
    }
    let unknown = |error| ModelError::content(path, "progress", format!("it is not what daybook writes: {error}"));
    Ok(serde_json::from_str(file.text(path, "progress")?).map_err(unknown)?)
}

fn differences(then: &Machine, now: &Machine) -> Vec<String> {
    let pairs = [
        ("processor", &then.processor, &now.processor),
        ("device", &then.device, &now.device),
        ("vectors", &then.vectors, &now.vectors),
        ("binary", &then.binary, &now.binary),
        ("threads", &then.threads.to_string(), &now.threads.to_string()),
    ];
    // An empty name was not recorded: nothing is known of it.
    let differing = pairs.into_iter().filter(|(_, then, now)| then != now && !then.is_empty() && !now.is_empty());
    differing
        .map(|(what, then, now)| {
            format!("the checkpoint was written with {what} {then}, this is {now}: the last digits may differ from an unbroken run")
        })
        .collect()
}
