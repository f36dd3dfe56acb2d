//! Bars of any length out of candles and ticks.
//!
//! - Bars stand on the grid that begins with the session: at 09:15 the hours do.
//! - A bar without a trade is not there.

use daybook_adapters::kite_server::HistoryBar;
use daybook_vocabulary::{Nanos, Price};

/// Collects bars in order of time.
#[derive(Debug, Default)]
pub struct Bars {
    done: Vec<HistoryBar>,
}

/// Prices and volume of a span that lies inside one bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First, highest, lowest and last price.
    pub prices: [Price; 4],
    /// Traded.
    pub volume: i64,
}

impl Bars {
    /// Adds a part to the bar that begins at `start`.
    pub fn add(&mut self, start: Nanos, part: Part) {
        let [open, high, low, close] = part.prices;
        match self.done.last_mut().filter(|bar| bar.time == start) {
            Some(bar) => {
                bar.high = bar.high.max(high);
                bar.low = bar.low.min(low);
                bar.close = close;
                bar.volume += part.volume;
            }
            None => self.done.push(HistoryBar { time: start, open, high, low, close, volume: part.volume }),
        }
    }

    /// The bars that begin in a range, both ends included.
    pub fn finish(mut self, from: Nanos, to: Nanos) -> Vec<HistoryBar> {
        self.done.retain(|bar| from <= bar.time && bar.time <= to);
        self.done
    }
}

/// Where the bar of an instant begins, on a grid of so many nanoseconds from `anchor` on.
pub fn start_of(time: Nanos, anchor: Nanos, length: i64) -> Nanos {
    anchor + (time - anchor).div_euclid(length.max(1)) * length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_begin_with_the_session() {
        let at = |text: &str| -> Nanos { format!("2025-06-10T{text}+05:30").parse().unwrap() };
        let hour = 3_600_000_000_000;
        assert_eq!(start_of(at("09:15:00"), at("09:15:00"), hour), at("09:15:00"));
        assert_eq!(start_of(at("10:14:59"), at("09:15:00"), hour), at("09:15:00"));
        assert_eq!(start_of(at("15:29:00"), at("09:15:00"), hour), at("15:15:00"));
    }

    #[test]
    fn parts_become_a_bar() {
        let part = |prices: [i64; 4], volume| Part { prices: prices.map(Price), volume };
        let mut bars = Bars::default();
        bars.add(Nanos(0), part([5, 9, 4, 6], 10));
        bars.add(Nanos(0), part([6, 7, 3, 4], 5));
        bars.add(Nanos(60), part([4, 4, 4, 4], 1));
        let done = bars.finish(Nanos(0), Nanos(59));
        let expected =
            HistoryBar { time: Nanos(0), open: Price(5), high: Price(9), low: Price(3), close: Price(4), volume: 15 };
        assert_eq!(done, [expected]);
    }
}
