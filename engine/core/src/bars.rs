//! Bars of a higher timeframe, built from the candles that come in.
//!
//! - Anchored to the session: the first bar begins at its open, the last ends with it, however short.
//! - A bar is finished by the candle that closes with it; one whose last candle is missing is finished by the next
//!   candle or the session's end. Nothing is invented: a bar holds what was seen.
//! - A finished bar never changes: a candle that comes after its bar was finished belongs to no bar.

use crate::input::SessionHours;
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{Candle, Interval, Nanos, Quantity};
use serde::{Deserialize, Serialize};

/// The span of the bar that an instant belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub start: Nanos,
    /// Its end, at the latest the session's.
    pub end: Nanos,
}

/// The bar of `timeframe` that `time` belongs to in a session.
pub fn span(session: &SessionHours, timeframe: Interval, time: Nanos) -> Span {
    if timeframe.is_daily() {
        return Span { start: session.open, end: session.close };
    }
    let step = timeframe.nanos();
    // Saturating: a time at either end of the range still has a span, and never a panic.
    let start = session.open + (time - session.open).div_euclid(step).saturating_mul(step);
    let end = start + step;
    Span { start, end: if start < session.close { end.min(session.close) } else { end } }
}

/// The bar of one instrument that is being built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Building {
    /// What has come in of it.
    partial: Option<Candle>,
    /// Start of the last finished bar.
    finished: Option<Nanos>,
}

impl Building {
    /// Adds a candle, known at `now`. Returns a bar that an earlier candle should have closed, and the bar this candle
    /// closes.
    pub fn add(
        &mut self,
        candle: &Candle,
        now: Nanos,
        session: &SessionHours,
        timeframe: Interval,
    ) -> [Option<Candle>; 2] {
        let span = span(session, timeframe, candle.open_time());
        let too_late = self.finished.is_some_and(|finished| span.start <= finished)
            || self.partial.is_some_and(|bar| span.start < bar.open_time());
        if too_late {
            return [None, None];
        }
        let missed = if self.partial.is_some_and(|bar| bar.open_time() != span.start) { self.finish() } else { None };
        let parts = match self.partial {
            None => CandleParts { open_time: span.start, interval: timeframe, revises: false, ..candle.parts() },
            Some(bar) => CandleParts {
                high: bar.high().max(candle.high()),
                low: bar.low().min(candle.low()),
                close: candle.close(),
                // Volumes are outside data: at the end of the range the sum stays there.
                volume: Quantity(bar.volume().0.saturating_add(candle.volume().0)),
                ..bar.parts()
            },
        };
        self.partial = Some(Candle::new(parts));
        [missed, if now >= span.end { self.finish() } else { None }]
    }

    /// Finishes a bar that has ended by `now`.
    pub fn finish_by(&mut self, now: Nanos, session: &SessionHours, timeframe: Interval) -> Option<Candle> {
        let begun = self.partial?.open_time();
        if span(session, timeframe, begun).end <= now { self.finish() } else { None }
    }

    /// Finishes the bar as it stands.
    pub fn finish(&mut self) -> Option<Candle> {
        let bar = self.partial.take()?;
        self.finished = Some(bar.open_time());
        Some(bar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::time::MINUTE;
    use daybook_vocabulary::{Date, Price};

    const SESSION: SessionHours = SessionHours { date: Date(0), open: Nanos(555 * MINUTE), close: Nanos(930 * MINUTE) };

    fn candle(minute: i64, interval: u32, price: i64) -> (Candle, Nanos) {
        let open_time = Nanos((555 + minute) * MINUTE);
        let parts = CandleParts {
            open_time,
            interval: Interval::minutes(interval),
            open: Price(price),
            high: Price(price + 2),
            low: Price(price - 2),
            close: Price(price + 1),
            volume: Quantity(10),
            revises: false,
        };
        (Candle::new(parts), open_time + Interval::minutes(interval).nanos())
    }

    /// The naive twin groups finished candles by (open - session open) / length.
    #[test]
    fn built_bars_equal_the_naive_grouping_with_holes_anywhere() {
        for missing in 0..75 {
            let mut building = Building::default();
            let mut built = Vec::new();
            let kept: Vec<_> =
                (0..75).filter(|&index| index != missing).map(|index| candle(index * 5, 5, 100 + index)).collect();
            for (candle, closes) in &kept {
                built.extend(building.add(candle, *closes, &SESSION, Interval::minutes(30)).into_iter().flatten());
            }
            built.extend(building.finish());
            let mut naive: Vec<(i64, Price, Price, Price, Price, i64)> = Vec::new();
            for (candle, _) in &kept {
                let key = (candle.open_time() - SESSION.open) / (30 * MINUTE);
                match naive.last_mut() {
                    Some(bar) if bar.0 == key => {
                        bar.2 = bar.2.max(candle.high());
                        bar.3 = bar.3.min(candle.low());
                        bar.4 = candle.close();
                        bar.5 += candle.volume().0;
                    }
                    _ => {
                        naive.push((key, candle.open(), candle.high(), candle.low(), candle.close(), candle.volume().0))
                    }
                }
            }
            let built: Vec<_> = built
                .iter()
                .map(|bar| {
                    let key = (bar.open_time() - SESSION.open) / (30 * MINUTE);
                    (key, bar.open(), bar.high(), bar.low(), bar.close(), bar.volume().0)
                })
                .collect();
            assert_eq!(built, naive, "candle {missing} missing");
        }
    }

    #[test]
    fn the_last_bar_ends_with_the_session() {
        let mut building = Building::default();
        let (last, closes) = candle(370, 5, 100);
        assert_eq!(closes, SESSION.close);
        let [missed, closed] = building.add(&last, closes, &SESSION, Interval::minutes(60));
        assert_eq!(missed, None);
        assert_eq!(closed.unwrap().open_time(), SESSION.open + 360 * MINUTE);
        assert_eq!(
            span(&SESSION, Interval::DAY, Nanos(600 * MINUTE)),
            Span { start: SESSION.open, end: SESSION.close }
        );
    }
    /// In live trading minute 4 may arrive after minute 5 has finished its bar: history that was acted on stays.
    #[test]
    fn a_candle_that_comes_after_its_bar_was_finished_changes_nothing() {
        let mut building = Building::default();
        let timeframe = Interval::minutes(5);
        for minute in [0, 1, 2, 3] {
            let (candle, closes) = candle(minute, 1, 100 + minute);
            assert_eq!(building.add(&candle, closes, &SESSION, timeframe), [None, None]);
        }
        let (fifth, known) = candle(5, 1, 200);
        let [missed, closed] = building.add(&fifth, known, &SESSION, timeframe);
        assert_eq!((missed.map(|bar| bar.close()), closed), (Some(Price(104)), None));
        let before = building.clone();
        let (fourth, _) = candle(4, 1, 900);
        assert_eq!(building.add(&fourth, known, &SESSION, timeframe), [None, None]);
        assert_eq!(building, before);
        // Nor does it when the bar it belongs to has just been finished and no other has begun.
        building.finish();
        assert_eq!(building.add(&fifth, known, &SESSION, timeframe), [None, None]);
        assert_eq!(building.finish(), None);
    }

    #[test]
    fn times_at_the_ends_of_the_range_have_a_span() {
        for time in [Nanos::MIN, Nanos(0), Nanos::MAX] {
            for timeframe in [Interval(1), Interval::minutes(7), Interval::DAY] {
                let span = span(&SESSION, timeframe, time);
                assert!(span.start <= span.end, "{time:?} {timeframe}");
            }
        }
    }
}
