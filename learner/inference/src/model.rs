//! The file of a model: parameters, scalers, and what it was made from and for.
//!
//! - Its content hash is the model's name: decisions record it, the winner's record names it.
//! - What the file says of its shape is computed again and compared with its tensors.
//! - Must never: return a network whose file was changed, is of another feature version, or holds a non-finite number.

use crate::tensors::{ContentHash, Tensor, TensorFile};
use crate::{ModelError, Network, Scaler, Shape};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a model file says beside its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Version of the feature specification.
    pub feature_version: u32,
    /// Hash of the feature specification, hexadecimal.
    pub feature_hash: String,
    /// Optimiser steps it was trained for.
    pub steps: u64,
    /// Seed of initialisation and sampling.
    pub seed: u64,
    /// Symbols it was trained on, in order.
    pub symbols: Vec<String>,
    /// Where its training data came from: free text by key (journal content, ranges, dataset hash).
    pub lineage: BTreeMap<String, String>,
}

/// A network with its name and its facts.
#[derive(Debug, Clone)]
pub struct Model {
    /// What decides.
    pub network: Network,
    /// What it is for.
    pub facts: ModelFacts,
    /// Content hash of the file.
    pub hash: ContentHash,
}

const FORMAT: &str = "daybook-model-1";

impl Model {
    /// Writes a model file; says its hash.
    pub fn write(network: &Network, facts: &ModelFacts, path: &Path) -> Result<ContentHash, ModelError> {
        let mut file = TensorFile::default();
        put_network(&mut file, network, facts);
        file.metadata.insert("format".to_owned(), FORMAT.to_owned());
        file.write(path)
    }

    /// Reads a model file.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let (file, hash) = TensorFile::read(path)?;
        let format = file.text(path, "format")?;
        if format != FORMAT {
            return Err(ModelError::content(path, "format", format!("it is {format}, a model is {FORMAT}")));
        }
        let (network, facts) = network_of(&file, path)?;
        Ok(Self { network, facts, hash })
    }

    /// Refuses a model of other features than the ones at hand; the error names both.
    pub fn require_features(&self, path: &Path, version: u32, hash: &str) -> Result<(), ModelError> {
        let facts = &self.facts;
        if facts.feature_version == version && facts.feature_hash == hash {
            return Ok(());
        }
        let what = format!(
            "the model was trained on feature specification {} ({}), this program computes {version} ({hash}): train again",
            facts.feature_version, facts.feature_hash
        );
        Err(ModelError::content(path, "feature_version", what))
    }
}

/// Puts shape, parameters, scalers and facts into a file, as a model and a checkpoint both hold them.
pub fn put_network(file: &mut TensorFile, network: &Network, facts: &ModelFacts) {
    let json = |text: serde_json::Result<String>| text.expect("plain data becomes JSON");
    let shape = network.shape();
    file.metadata.insert("shape".to_owned(), json(serde_json::to_string(&shape.record())));
    file.metadata.insert("facts".to_owned(), json(serde_json::to_string(facts)));
    put_parameters(file, "", shape, network.parameters());
    for (timeframe, scaler) in shape.timeframes().iter().zip(network.scalers()) {
        for (word, values) in [("mean", &scaler.mean), ("scale", &scaler.scale)] {
            let tensor = Tensor { dims: vec![values.len()], values: values.clone() };
            file.tensors.insert(format!("scaler.{}.{word}", timeframe.name), tensor);
        }
    }
}

/// Reads back what [`put_network`] put.
pub fn network_of(file: &TensorFile, path: &Path) -> Result<(Network, ModelFacts), ModelError> {
    let fault = |key: &str| {
        let key = key.to_owned();
        move |error: serde_json::Error| {
            ModelError::content(path, key, format!("it is not what daybook writes: {error}"))
        }
    };
    let record: crate::shape::ShapeRecord = serde_json::from_str(file.text(path, "shape")?).map_err(fault("shape"))?;
    let facts = serde_json::from_str(file.text(path, "facts")?).map_err(fault("facts"))?;
    let timeframes: Vec<_> = record.timeframes.iter().map(|(name, lookback)| (name.as_str(), *lookback)).collect();
    let shape = Shape::new(record.features, &timeframes)
        .map_err(|error| ModelError::content(path, "shape", error.to_string()))?;
    if shape.record() != record {
        return Err(ModelError::content(
            path,
            "shape",
            "the actions are not BUY, SELL, HOLD: it is of another version",
        ));
    }
    let parameters = parameters_of(file, path, "", &shape)?;
    let mut scalers = Vec::new();
    for timeframe in shape.timeframes() {
        let part = |word: &str| {
            file.tensor(path, &format!("scaler.{}.{word}", timeframe.name), &[shape.features()]).map(<[f32]>::to_vec)
        };
        scalers.push(Scaler { mean: part("mean")?, scale: part("scale")? });
    }
    let network = Network::new(shape, parameters, scalers)
        .map_err(|error| ModelError::content(path, "scaler", error.to_string()))?;
    Ok((network, facts))
}

/// Puts a flat vector of the network's layout, each part under `prefix` and its name.
pub fn put_parameters(file: &mut TensorFile, prefix: &str, shape: &Shape, values: &[f32]) {
    for parameter in shape.parameters() {
        let tensor = Tensor { dims: parameter.dims.clone(), values: values[parameter.range.clone()].to_vec() };
        file.tensors.insert(format!("{prefix}{}", parameter.name), tensor);
    }
}

/// Reads back a flat vector of the network's layout; every number must be finite.
pub fn parameters_of(file: &TensorFile, path: &Path, prefix: &str, shape: &Shape) -> Result<Vec<f32>, ModelError> {
    let mut values = Vec::with_capacity(shape.parameter_count());
    for parameter in shape.parameters() {
        let name = format!("{prefix}{}", parameter.name);
        let part = file.tensor(path, &name, &parameter.dims)?;
        if let Some(index) = part.iter().position(|value| !value.is_finite()) {
            let what =
                format!("value {index} is {}: the training diverged; train again with a lower --lr", part[index]);
            return Err(ModelError::content(path, name, what));
        }
        values.extend_from_slice(part);
    }
    Ok(values)
}
