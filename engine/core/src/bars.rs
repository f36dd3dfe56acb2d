//! Bars of a higher timeframe, built from the candles that come in.
//!
//! - Anchored to the session: the first bar begins at its open, the last ends with it, however short.
//! - A bar is finished by the candle that closes with it; one whose last candle is missing is finished by the next
//!   candle or the session's end. Nothing is invented: a bar holds what was seen.

use crate::input::SessionHours;
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{Candle, Interval, Nanos, Quantity};

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
    let start = session.open + (time - session.open).div_euclid(step) * step;
    let end = start + step;
    Span { start, end: if start < session.close { end.min(session.close) } else { end } }
}

/// Adds a candle to the bar being built. Returns a bar that an earlier candle should have closed, and the bar this
/// candle closes.
pub fn fold(
    partial: &mut Option<Candle>,
    candle: &Candle,
    closes: Nanos,
    session: &SessionHours,
    timeframe: Interval,
) -> (Option<Candle>, Option<Candle>) {
    let span = span(session, timeframe, candle.open_time());
    let late = partial.take_if(|bar| bar.open_time() != span.start);
    let parts = match partial {
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
    let bar = Candle::new(parts);
    if closes >= span.end {
        *partial = None;
        (late, Some(bar))
    } else {
        *partial = Some(bar);
        (late, None)
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
            let mut partial = None;
            let mut built = Vec::new();
            let kept: Vec<_> =
                (0..75).filter(|&index| index != missing).map(|index| candle(index * 5, 5, 100 + index)).collect();
            for (candle, closes) in &kept {
                let (late, closed) = fold(&mut partial, candle, *closes, &SESSION, Interval::minutes(30));
                built.extend(late);
                built.extend(closed);
            }
            built.extend(partial);
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
        let mut partial = None;
        let (last, closes) = candle(370, 5, 100);
        assert_eq!(closes, SESSION.close);
        let (late, closed) = fold(&mut partial, &last, closes, &SESSION, Interval::minutes(60));
        assert_eq!(late, None);
        assert_eq!(closed.unwrap().open_time(), SESSION.open + 360 * MINUTE);
        assert_eq!(
            span(&SESSION, Interval::DAY, Nanos(600 * MINUTE)),
            Span { start: SESSION.open, end: SESSION.close }
        );
    }
}
