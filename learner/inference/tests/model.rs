//! The model file: what is written is what decides; what was changed, is of other features or is broken is refused.

use daybook_inference::{Model, ModelError, ModelFacts, Network, Scaler, Scratch, Shape};
use std::collections::BTreeMap;

#[test]
fn a_model_read_back_has_the_same_hash_and_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let (network, facts) = sample();
    let hash = Model::write(&network, &facts, &path).expect("written");
    let model = Model::read(&path).expect("read");
    assert_eq!((&model.hash, &model.facts), (&hash, &facts));
    let window = vec![0.25; 9 * 3];
    let ask = |network: &Network| network.q_values(&[vec![&window]], &mut Scratch::default()).expect("Q");
    assert_eq!(ask(&network), ask(&model.network));
    assert_eq!(Model::write(&model.network, &model.facts, &path).expect("written"), hash, "a hash names the content");
}

/// RL-10: another version of the features is refused; the error names both.
#[test]
fn a_model_of_other_features_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let (network, facts) = sample();
    Model::write(&network, &facts, &path).expect("written");
    let model = Model::read(&path).expect("read");
    model.require_features(&path, 1, "abc").expect("the same");
    for (version, hash) in [(2, "abc"), (1, "abd")] {
        let error = model.require_features(&path, version, hash).expect_err("refused").to_string();
        assert!(error.contains("specification 1 (abc)") && error.contains(&format!("{version} ({hash})")), "{error}");
        assert!(error.contains("model.safetensors"), "{error}");
    }
}

/// RL-21, trap 24: a changed byte, a missing tensor, a tensor of other dimensions, a number that is none.
#[test]
fn damaged_and_foreign_models_are_refused_and_named() {
    use daybook_inference::tensors::{Tensor, TensorFile};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let (network, facts) = sample();
    Model::write(&network, &facts, &path).expect("written");
    let bytes = std::fs::read(&path).expect("bytes");
    let mut changed = bytes.clone();
    *changed.last_mut().expect("bytes") ^= 1;
    std::fs::write(&path, &changed).expect("written");
    let error = Model::read(&path).expect_err("refused");
    assert!(matches!(error, ModelError::Tampered { .. }), "{error}");

    type Change = fn(&mut TensorFile);
    let changes: [(Change, &str); 6] = [
        (|file| drop(file.tensors.remove("value.1.bias")), "value.1.bias"),
        (
            |file| drop(file.tensors.insert("value.1.bias".into(), Tensor { dims: vec![2], values: vec![0.0; 2] })),
            "value.1.bias",
        ),
        (|file| file.tensors.get_mut("value.1.bias").expect("there").values[0] = f32::NAN, "NaN"),
        (|file| file.tensors.get_mut("scaler.5m.scale").expect("there").values[1] = 0.0, "scale 0"),
        (|file| drop(file.metadata.insert("shape".into(), "{\"features\":3}".into())), "shape"),
        (|file| drop(file.metadata.insert("format".into(), "daybook-model-9".into())), "daybook-model-9"),
    ];
    for (change, word) in changes {
        std::fs::write(&path, &bytes).expect("written");
        let (mut file, _) = TensorFile::read(&path).expect("read");
        change(&mut file);
        file.write(&path).expect("written");
        let error = Model::read(&path).expect_err("refused").to_string();
        assert!(error.contains(word) && error.contains("model.safetensors"), "{word}: {error}");
    }
    let missing = Model::read(&folder.path().join("absent")).expect_err("refused").to_string();
    assert!(missing.contains("absent"), "{missing}");
}

fn sample() -> (Network, ModelFacts) {
    let shape = Shape::new(3, &[("5m", 9)]).expect("a shape");
    let parameters = (0..shape.parameter_count()).map(|index| (index % 13) as f32 / 13.0 - 0.4).collect();
    let network = Network::new(shape, parameters, vec![Scaler::identity(3)]).expect("a network");
    let facts = ModelFacts {
        feature_version: 1,
        feature_hash: "abc".to_owned(),
        steps: 7,
        seed: 42,
        symbols: vec!["TCS".to_owned()],
        lineage: BTreeMap::from([("journal".to_owned(), "0123".to_owned())]),
    };
    (network, facts)
}
