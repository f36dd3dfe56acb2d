//! The nearest name: what a person probably meant.
//!
//! - The order is total (distance, then the name itself), so a message is the same on every machine.
//! - A name that resembles nothing gets no suggestion: a wrong guess is worse than none.

/// How alike two names must be (0 to 1) to be offered as a correction.
const ALIKE: f64 = 0.5;

/// The candidate most like `name`, if any is alike at all. Case does not count.
///
/// ```
/// assert_eq!(daybook_config::nearest("sma-cros", ["hold", "sma-cross"]), Some("sma-cross"));
/// assert_eq!(daybook_config::nearest("xyz", ["hold", "sma-cross"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let sorted = nearest_first(name, candidates);
    sorted.first().copied().filter(|candidate| likeness(name, candidate) >= ALIKE)
}

/// All candidates, the one most like `name` first.
pub fn nearest_first<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut sorted: Vec<(f64, &str)> =
        candidates.into_iter().map(|candidate| (likeness(name, candidate), candidate)).collect();
    sorted.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(right.1)));
    sorted.into_iter().map(|(_, candidate)| candidate).collect()
}

fn likeness(name: &str, candidate: &str) -> f64 {
    let (name, candidate) = (name.to_lowercase(), candidate.to_lowercase());
    // Also the last part of a dotted key: `timeframe` means `engine.timeframe`.
    let last = candidate.rsplit('.').next().unwrap_or(&candidate);
    strsim::normalized_damerau_levenshtein(&name, &candidate)
        .max(0.95 * strsim::normalized_damerau_levenshtein(&name, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_corrected() {
        let keys = ["cash", "costs", "engine.timeframe", "exchange.participation_bps"];
        assert_eq!(nearest("chas", keys), Some("cash"));
        assert_eq!(nearest("engine.timefrme", keys), Some("engine.timeframe"));
        assert_eq!(nearest("timeframe", keys), Some("engine.timeframe"));
        assert_eq!(nearest("RELAINCE", ["TCS", "RELIANCE", "INFY"]), Some("RELIANCE"));
        assert_eq!(nearest("qqqqqq", keys), None);
        assert_eq!(nearest("anything", []), None);
    }

    #[test]
    fn all_names_are_listed_nearest_first_and_ties_by_name() {
        assert_eq!(nearest_first("b", ["d", "c", "b"]), ["b", "c", "d"]);
    }
}
