//! The session's clock: minutes since it opened, minutes to its close, and whether it ends early (RL-11).
//!
//! - Read at the end of the bar, by the bar's own time, so that it is the same live and in replay.

use super::{Arguments, Indicator};
use crate::bar::Bar;
use crate::error::FeatureError;
use daybook_vocabulary::time::MINUTE;
use serde::{Deserialize, Serialize};

/// Where in its session the last bar ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct SessionClock {
    reading: Option<[f64; 3]>,
}

impl SessionClock {
    /// Minutes since the open, minutes to the close, 1 when the session ends early.
    #[inline]
    pub fn of(bar: &Bar<'_>) -> [f64; 3] {
        let minutes = |nanos: i64| nanos as f64 / MINUTE as f64;
        let end = bar.ends();
        [
            minutes(end - bar.session.open),
            minutes(bar.session.close - end),
            if bar.session.early_close { 1.0 } else { 0.0 },
        ]
    }
}

impl Indicator for SessionClock {
    const NAME: &'static str = "session_clock";
    const USAGE: &'static str = "session_clock";
    const OUTPUTS: &'static [&'static str] = &["minutes_since_open", "minutes_to_close", "early_close"];

    fn parse(_: &mut Arguments<'_>) -> Result<Self, FeatureError> {
        Ok(Self::default())
    }

    fn observe(&mut self, bar: &Bar<'_>) {
        self.reading = Some(Self::of(bar));
    }

    fn read(&self, output: usize) -> Option<f64> {
        self.reading.map(|reading| reading[output])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{candle, session_on};

    #[test]
    fn the_last_bar_ends_with_the_session() {
        let session = session_on("2025-01-01");
        let at = |minutes: i64| candle(session.open + minutes * MINUTE, [1; 4], 1);
        for (begins, expected) in [(0, [5.0, 370.0, 0.0]), (370, [375.0, 0.0, 0.0]), (373, [375.0, 0.0, 0.0])] {
            let candle = at(begins);
            assert_eq!(SessionClock::of(&Bar { candle: &candle, session: &session }), expected);
        }
        let (early, candle) = (crate::Session { early_close: true, ..session }, at(0));
        assert_eq!(SessionClock::of(&Bar { candle: &candle, session: &early })[2], 1.0);
    }
}
