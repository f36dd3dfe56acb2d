//! The arithmetic of the network's shape, and where each parameter lies in the one flat vector of parameters.
//!
//! - Every number follows from the features per bar and each timeframe's look-back: nothing else can be set.
//! - The count of parameters does not depend on the number of symbols.
//! - Names and order of parameters are a file format: `learner/README.md` lists them.
//! - Must never: allocate by a number from outside before checking it.

use crate::ModelError;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// One parameter tensor, and its place in the flat vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in a file, such as `encoder.5m.block.0.pointwise.weight`.
    pub name: String,
    /// Its dimensions, row-major.
    pub dims: Vec<usize>,
    /// Where its values lie.
    pub range: Range<usize>,
}

/// The encoder of one timeframe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeframeShape {
    /// Such as `5m`.
    pub name: String,
    /// Bars it looks back, L.
    pub lookback: usize,
    /// Features per bar, F.
    pub features: usize,
    /// C = ⌈√(L·F)⌉.
    pub channels: usize,
    /// K = 2·⌊√L⌋ + 1.
    pub kernel: usize,
    /// D = the smallest N with 1 + (K-1)·N(N+1)/2 ≥ L.
    pub depth: usize,
}

/// The whole network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    features: usize,
    timeframes: Vec<TimeframeShape>,
    parameters: Vec<Parameter>,
    encoders: Vec<Range<usize>>,
}

/// What a file says of a shape; everything else is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShapeRecord {
    pub features: usize,
    pub timeframes: Vec<(String, usize)>,
    pub actions: Vec<String>,
}

impl TimeframeShape {
    /// Columns of a buffer over time: the look-back, rounded up so that every processor's lanes fit.
    pub fn columns(&self) -> usize {
        self.lookback.next_multiple_of(Shape::TIME_BLOCK)
    }

    /// Zeros that stand before the first bar, so that the widest reach of a causal convolution stays inside.
    pub fn padding(&self) -> usize {
        ((self.kernel - 1) * self.depth).next_multiple_of(16)
    }

    /// Parameters of the encoder.
    pub fn parameter_count(&self) -> usize {
        self.channels * self.features + self.channels + self.depth * self.block_count()
    }

    /// Parameters of one residual block.
    pub fn block_count(&self) -> usize {
        self.channels * self.kernel + self.channels + self.channels * self.channels + 3 * self.channels
    }

    fn new(name: &str, lookback: usize, features: usize) -> Result<Self, ModelError> {
        let key = || format!("the look-back of {name}");
        if !(Shape::LOOKBACK_MIN..=Shape::LOOKBACK_MAX).contains(&lookback) {
            return Err(refused(key(), lookback, "it must be from 8 to 4096 bars"));
        }
        let square = lookback * features;
        let root = square.isqrt();
        let channels = root + usize::from(root * root < square);
        let kernel = 2 * lookback.isqrt() + 1;
        let depth = (1..=lookback)
            .find(|depth| 1 + (kernel - 1) * depth * (depth + 1) / 2 >= lookback)
            .expect("a depth of the look-back reaches further than the look-back");
        Ok(Self { name: name.to_owned(), lookback, features, channels, kernel, depth })
    }
}

impl Shape {
    /// BUY, SELL, HOLD.
    pub const ACTIONS: usize = 3;
    /// Fewer bars make no encoder.
    pub const LOOKBACK_MIN: usize = 8;
    /// More bars than this are a typing error before they are a network.
    pub const LOOKBACK_MAX: usize = 4096;
    /// Features per bar at most.
    pub const FEATURES_MAX: usize = 512;
    /// Timeframes at most.
    pub const TIMEFRAMES_MAX: usize = 8;
    /// Time is worked through in blocks of columns that divide this.
    pub const TIME_BLOCK: usize = 32;

    /// The network for these features per bar and (timeframe, look-back) pairs.
    pub fn new(features: usize, timeframes: &[(&str, usize)]) -> Result<Self, ModelError> {
        if !(1..=Self::FEATURES_MAX).contains(&features) {
            return Err(refused("features".to_owned(), features, "it must be from 1 to 512"));
        }
        if !(1..=Self::TIMEFRAMES_MAX).contains(&timeframes.len()) {
            return Err(refused("timeframes".to_owned(), timeframes.len(), "there must be from 1 to 8"));
        }
        for (index, (name, _)) in timeframes.iter().enumerate() {
            let plain = !name.is_empty() && name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !plain || timeframes[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(ModelError::Shape {
                    key: "timeframes".to_owned(),
                    value: format!("{name:?}"),
                    why: "names are up to 16 letters and digits, each once",
                });
            }
        }
        let timeframes = timeframes
            .iter()
            .map(|(name, lookback)| TimeframeShape::new(name, *lookback, features))
            .collect::<Result<Vec<_>, _>>()?;
        let mut shape = Self { features, timeframes, parameters: Vec::new(), encoders: Vec::new() };
        let (parameters, encoders) = shape.lay_out();
        shape.parameters = parameters;
        shape.encoders = encoders;
        Ok(shape)
    }

    /// Features per bar, F.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The encoders, in the order of the setting.
    pub fn timeframes(&self) -> &[TimeframeShape] {
        &self.timeframes
    }

    /// Z = Σ 2·C: what the encoders say of one symbol.
    pub fn pooled(&self) -> usize {
        self.timeframes.iter().map(|timeframe| 2 * timeframe.channels).sum()
    }

    /// M = ⌈√Z⌉.
    pub fn hidden(&self) -> usize {
        let root = self.pooled().isqrt();
        root + usize::from(root * root < self.pooled())
    }

    /// Every parameter, in the order of the flat vector.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Length of the flat vector.
    pub fn parameter_count(&self) -> usize {
        self.parameters.last().map_or(0, |last| last.range.end)
    }

    /// The part of the flat vector that is the encoder of a timeframe.
    pub fn encoder_range(&self, timeframe: usize) -> Range<usize> {
        self.encoders[timeframe].clone()
    }

    /// The part of the flat vector behind the encoders: fusion, market and heads.
    pub fn head_range(&self) -> Range<usize> {
        self.encoders.last().map_or(0, |last| last.end)..self.parameter_count()
    }

    /// Where the parameter of a name lies; the name is one of [`Shape::parameters`].
    pub fn range_of(&self, name: &str) -> Range<usize> {
        let found = self.parameters.iter().find(|parameter| parameter.name == name);
        found.unwrap_or_else(|| panic!("the network has no parameter {name}")).range.clone()
    }

    pub(crate) fn record(&self) -> ShapeRecord {
        ShapeRecord {
            features: self.features,
            timeframes: self.timeframes.iter().map(|one| (one.name.clone(), one.lookback)).collect(),
            actions: ["BUY", "SELL", "HOLD"].map(str::to_owned).to_vec(),
        }
    }

    fn lay_out(&self) -> (Vec<Parameter>, Vec<Range<usize>>) {
        let mut layout = Layout { parameters: Vec::new(), at: 0 };
        let mut encoders = Vec::new();
        for timeframe in &self.timeframes {
            let begin = layout.at;
            let (channels, name) = (timeframe.channels, format!("encoder.{}", timeframe.name));
            layout.linear(&format!("{name}.input"), channels, self.features);
            for block in 0..timeframe.depth {
                let name = format!("{name}.block.{block}");
                layout.linear(&format!("{name}.depthwise"), channels, timeframe.kernel);
                layout.linear(&format!("{name}.pointwise"), channels, channels);
                layout.push(format!("{name}.norm.weight"), vec![channels]);
                layout.push(format!("{name}.norm.bias"), vec![channels]);
            }
            assert_eq!(layout.at - begin, timeframe.parameter_count(), "an encoder's parameters are contiguous");
            encoders.push(begin..layout.at);
        }
        let (pooled, hidden) = (self.pooled(), self.hidden());
        layout.linear("fusion.0", hidden, pooled);
        layout.linear("fusion.1", hidden, hidden);
        layout.linear("market.project", hidden, 2 * hidden);
        layout.linear("market.gate", 2 * hidden, 2 * hidden);
        layout.linear("value.0", hidden, 2 * hidden);
        layout.linear("value.1", 1, hidden);
        layout.linear("advantage.0", hidden, 2 * hidden);
        layout.linear("advantage.1", Self::ACTIONS, hidden);
        (layout.parameters, encoders)
    }
}

struct Layout {
    parameters: Vec<Parameter>,
    at: usize,
}

impl Layout {
    fn push(&mut self, name: String, dims: Vec<usize>) {
        let end = self.at + dims.iter().product::<usize>();
        self.parameters.push(Parameter { name, dims, range: self.at..end });
        self.at = end;
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.push(format!("{name}.weight"), vec![outputs, inputs]);
        self.push(format!("{name}.bias"), vec![outputs]);
    }
}

fn refused(key: String, value: usize, why: &'static str) -> ModelError {
    ModelError::Shape { key, value: value.to_string(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RL-13, RL-14: the vectors of the definition.
    #[test]
    fn the_arithmetic_is_that_of_the_definition() {
        let shape = Shape::new(18, &[("5m", 256), ("15m", 128)]).expect("a shape");
        let numbers: Vec<_> = shape.timeframes().iter().map(|one| (one.channels, one.kernel, one.depth)).collect();
        assert_eq!(numbers, [(68, 33, 4), (48, 23, 3)]);
        assert_eq!((shape.pooled(), shape.hidden()), (232, 16));
        let last = shape.parameters().last().expect("a parameter");
        assert_eq!((last.name.as_str(), last.range.end), ("advantage.1.bias", shape.parameter_count()));
    }

    /// RL-13: the depth is the smallest whose reach covers the look-back, whatever the look-back.
    #[test]
    fn the_reach_covers_the_lookback_and_no_smaller_depth_does() {
        for lookback in Shape::LOOKBACK_MIN..=600 {
            let one = TimeframeShape::new("t", lookback, 18).expect("a shape");
            let reach = |depth: usize| 1 + (one.kernel - 1) * depth * (depth + 1) / 2;
            assert!(reach(one.depth) >= lookback && reach(one.depth - 1) < lookback, "L={lookback} {one:?}");
            assert!(one.channels.pow(2) >= lookback * 18 && (one.channels - 1).pow(2) < lookback * 18);
            assert!(one.padding() >= (one.kernel - 1) * one.depth && one.columns() >= lookback);
        }
    }

    #[test]
    fn parameters_lie_side_by_side_without_gaps() {
        let shape = Shape::new(5, &[("1m", 8), ("1d", 33)]).expect("a shape");
        let mut at = 0;
        for one in shape.parameters() {
            assert_eq!(one.range.start, at, "{}", one.name);
            assert_eq!(one.range.len(), one.dims.iter().product::<usize>(), "{}", one.name);
            at = one.range.end;
        }
        assert_eq!((at, shape.head_range().end), (shape.parameter_count(), shape.parameter_count()));
        assert_eq!(shape.encoder_range(0).end, shape.encoder_range(1).start);
        assert_eq!(shape.encoder_range(1).end, shape.head_range().start);
    }

    #[test]
    fn what_makes_no_network_is_refused_by_name() {
        for (features, timeframes, word) in [
            (0, vec![("5m", 256)], "features"),
            (9_999_999, vec![("5m", 256)], "features"),
            (18, vec![], "timeframes"),
            (18, vec![("5m", 7)], "5m"),
            (18, vec![("5m", usize::MAX)], "5m"),
            (18, vec![("5m", 8), ("5m", 8)], "5m"),
            (18, vec![("../5m", 8)], "../5m"),
        ] {
            let error = Shape::new(features, &timeframes).expect_err("refused").to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
