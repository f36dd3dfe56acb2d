//! First values of the parameters, from the seed of the run.
//!
//! - Weights and biases are uniform in ±1/√(inputs of an output), norms begin as 1 and 0.
//! - Drawn in the order of the parameters from the sequence `initialisation`: a seed names the network.

use crate::Random;
use daybook_inference::Shape;

/// The parameters of a new network.
pub fn initial_parameters(shape: &Shape, seed: u64) -> Vec<f32> {
    let mut random = Random::named(seed, "initialisation");
    let mut values = Vec::with_capacity(shape.parameter_count());
    let mut inputs = 1;
    for parameter in shape.parameters() {
        let count = parameter.range.len();
        if parameter.name.contains(".norm.") {
            let value = if parameter.name.ends_with("weight") { 1.0 } else { 0.0 };
            values.extend(std::iter::repeat_n(value, count));
            continue;
        }
        // A bias follows its weight and has its inputs.
        if let [_, columns] = parameter.dims[..] {
            inputs = columns;
        }
        let bound = 1.0 / (inputs as f64).sqrt();
        values.extend((0..count).map(|_| ((random.unit() * 2.0 - 1.0) * bound) as f32));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_the_network_and_bounds_hold() {
        let shape = Shape::new(18, &[("5m", 64)]).expect("a shape");
        let values = initial_parameters(&shape, 7);
        assert_eq!(values, initial_parameters(&shape, 7));
        assert_ne!(values, initial_parameters(&shape, 8));
        assert_eq!(values.len(), shape.parameter_count());
        let part = |name: &str| &values[shape.range_of(name)];
        assert!(part("encoder.5m.block.0.norm.weight").iter().all(|value| *value == 1.0));
        assert!(part("encoder.5m.block.0.norm.bias").iter().all(|value| *value == 0.0));
        let bound = 1.0 / (18.0f32).sqrt();
        assert!(part("encoder.5m.input.weight").iter().all(|value| value.abs() <= bound));
        assert!(part("encoder.5m.input.weight").iter().any(|value| value.abs() > bound * 0.9));
        assert!(part("value.1.bias")[0].abs() <= 1.0 / (shape.hidden() as f32).sqrt());
    }
}
