//! Markets whose answer is known, for honesty controls: one with a planted signal, and the same one shuffled.
//!
//! - Planted: spells in which the price drifts up, then down, in turn; what has happened lately says what comes next.
//! - Shuffled: the same bars' moves in another order. Every distribution is kept and nothing says what comes next.
//! - A bar's prices are those of a walk of many small steps. With highs and lows drawn apart from it, a stop would be
//!   filled at better prices than the walk offers, and whoever holds until stopped would earn from nothing.
//! - Seeded, in whole numbers: the same seed gives the same text, to the last byte, on every machine.
//! - Must never: be taken for data; a model that finds nothing in the first is broken, one that finds something in the
//!   second sees what it must not.

use crate::synthetic::SplitMix64;
use daybook_config::Calendar;
use daybook_vocabulary::decimal::divide_rounded;
use daybook_vocabulary::{Date, Interval, Price};
use std::fmt::Write as _;

/// Which market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The recent past says what comes next.
    Planted,
    /// The same moves, shuffled.
    Shuffled,
}

impl Control {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Planted, Self::Shuffled];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Planted => "planted",
            Self::Shuffled => "shuffled",
        }
    }
}

/// What a bar does, in millionths of its open.
#[derive(Debug, Clone, Copy)]
struct Move {
    close: i64,
    high: i64,
    low: i64,
    volume: i64,
}

impl Move {
    /// The same, downwards.
    const fn mirrored(&self) -> Self {
        Self { close: -self.close, high: -self.low, low: -self.high, volume: self.volume }
    }
}

/// Bars of a spell, at least and at most.
const SPELL: [i64; 2] = [20, 60];
/// Small steps of a bar, and the size of one: a bar's deviation is sixteen of them.
const STEPS: i64 = 256;
const STEP: i64 = 156;
/// Drift of a small step within a spell, so that a bar drifts by six tenths of its deviation.
const DRIFT: i64 = 6;
const TICK: Price = Price(5_000_000);

/// The market as CSV: `symbol,timestamp,open,high,low,close,volume`, one row a candle, symbol after symbol.
pub fn csv(
    control: Control,
    seed: u64,
    symbols: &[&str],
    interval: Interval,
    (from, to): (Date, Date),
    calendar: &Calendar,
) -> String {
    let opens = opens(calendar, interval, from, to);
    let mut text = "symbol,timestamp,open,high,low,close,volume\n".to_owned();
    for (rank, symbol) in symbols.iter().enumerate() {
        let mut random = SplitMix64::new(seed.wrapping_mul(1_000_003).wrapping_add(rank as u64));
        let mut moves = moves(&mut random, opens.len());
        if control == Control::Shuffled {
            shuffle(&mut random, &mut moves);
        }
        let mut price = Price::from_units(400 + 150 * rank as i64).0;
        for (open_time, one) in opens.iter().zip(moves) {
            let open = price;
            let [high, low, close] = [one.high, one.low, one.close].map(|part| moved(open, part));
            price = close;
            let [open, high, low, close] = [open, high, low, close].map(Price);
            let _ = writeln!(text, "{symbol},{open_time},{open},{high},{low},{close},{}", one.volume);
        }
    }
    text
}

/// When candles open, session by session.
fn opens(calendar: &Calendar, interval: Interval, from: Date, to: Date) -> Vec<daybook_vocabulary::Nanos> {
    let mut opens = Vec::new();
    let mut day = from;
    while day <= to {
        let session = calendar.session_for_data(day);
        for window in session.iter().flat_map(|session| session.windows.iter()) {
            let mut at = window.open;
            while at < window.close {
                opens.push(at);
                at = at + interval.nanos();
            }
        }
        day = day.next();
    }
    opens
}

/// Spells up, each followed by its own bars mirrored, in another order: over the whole the price goes nowhere, and
/// nothing is to be had by always buying.
fn moves(random: &mut SplitMix64, count: usize) -> Vec<Move> {
    let mut moves = Vec::with_capacity(count + SPELL[1] as usize * 2);
    while moves.len() < count {
        let length = random.between(SPELL[0], SPELL[1]);
        let up: Vec<Move> = (0..length).map(|_| one_move(random)).collect();
        let mut down: Vec<Move> = up.iter().map(Move::mirrored).collect();
        shuffle(random, &mut down);
        moves.extend(up);
        moves.extend(down);
    }
    moves.truncate(count);
    moves
}

/// A bar of a spell up.
fn one_move(random: &mut SplitMix64) -> Move {
    let (mut at, mut high, mut low) = (0, 0, 0);
    for _ in 0..STEPS / 64 {
        let coins = random.next();
        for coin in 0..64 {
            at += DRIFT + if coins >> coin & 1 == 1 { STEP } else { -STEP };
            high = high.max(at);
            low = low.min(at);
        }
    }
    Move { close: at, high, low, volume: random.between(500_000, 1_000_000) }
}

fn shuffle<T>(random: &mut SplitMix64, values: &mut [T]) {
    for last in (1..values.len()).rev() {
        values.swap(last, random.between(0, last as i64) as usize);
    }
}

/// A price moved by millionths of itself, rounded to the tick, at least twenty ticks.
fn moved(price: i64, millionths: i64) -> i64 {
    let moved = i128::from(price) * i128::from(1_000_000 + millionths);
    (divide_rounded(moved, 1_000_000 * i128::from(TICK.0)) as i64).max(20) * TICK.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closes(control: Control) -> Vec<f64> {
        let dates = ("2024-01-01".parse().unwrap(), "2024-06-28".parse().unwrap());
        let text = csv(control, 3, &["ALFA"], Interval::minutes(15), dates, &Calendar::nse());
        text.lines().skip(1).map(|line| line.split(',').nth(5).unwrap().parse().unwrap()).collect()
    }

    /// Correlation of the move over eight bars with that over the next eight.
    fn correlation(closes: &[f64]) -> f64 {
        let pairs: Vec<(f64, f64)> = (8..closes.len() - 8)
            .map(|at| (closes[at] / closes[at - 8] - 1.0, closes[at + 8] / closes[at] - 1.0))
            .collect();
        let of = |value: fn(&(f64, f64)) -> f64| pairs.iter().map(value).sum::<f64>() / pairs.len() as f64;
        let (x, y) = (of(|pair| pair.0), of(|pair| pair.1));
        let (xx, yy, xy) = (of(|pair| pair.0 * pair.0), of(|pair| pair.1 * pair.1), of(|pair| pair.0 * pair.1));
        (xy - x * y) / ((xx - x * x) * (yy - y * y)).sqrt()
    }

    #[test]
    fn the_past_tells_in_the_planted_market_and_not_in_the_shuffled_one() {
        let (planted, shuffled) = (closes(Control::Planted), closes(Control::Shuffled));
        assert!(planted.len() > 2_900 && planted.len() == shuffled.len());
        assert!(correlation(&planted) > 0.2, "{}", correlation(&planted));
        assert!(correlation(&shuffled).abs() < 0.1, "{}", correlation(&shuffled));
        assert_eq!(closes(Control::Planted), planted, "a seed gives its market");
    }
}
