//! The first pass over a file: its symbols, the spacing of its rows, whether an instrument has a volume at all.
//!
//! - Memory is bounded by the number of symbols, which is itself bounded.
//! - The second pass meets the same symbols in the same order, so their numbers agree.

use super::{FileError, NameSays};
use daybook_vocabulary::Interval;
use daybook_vocabulary::time::{DAY, MINUTE, SECOND};
use std::collections::BTreeMap;
use std::path::Path;

/// More different symbols than this are not a symbol column.
const SYMBOLS_MAX: usize = 100_000;
/// Different spacings that are counted per symbol; further ones are too rare to be the most frequent.
const SPACINGS_MAX: usize = 64;
/// Steps a symbol needs before its own spacing outweighs the file's.
const OWN_STEPS_MIN: u64 = 10;

/// What the first pass learned about one symbol.
#[derive(Debug, Clone, Default)]
pub struct SurveyedSymbol {
    /// The symbol as the file or its name writes it.
    pub name: String,
    /// Rows with a readable time.
    pub rows: u64,
    /// Length of its bars.
    pub interval: Interval,
    /// False when every row's volume is missing: the instrument has none, as an index.
    pub has_volume: bool,
    last_wall: Option<i64>,
    steps: Vec<(i64, u64)>,
}

/// What the first pass learned.
#[derive(Debug, Clone)]
pub(crate) struct Survey {
    pub symbols: Vec<SurveyedSymbol>,
    numbers: BTreeMap<Vec<u8>, u32>,
    last: Option<(Vec<u8>, u32)>,
    pub rows: u64,
    /// Rows by minute of the day on the source's wall clock.
    minutes: Vec<u32>,
}

impl Survey {
    pub fn new() -> Self {
        Self { symbols: Vec::new(), numbers: BTreeMap::new(), last: None, rows: 0, minutes: vec![0; 1440] }
    }

    /// The number of a symbol met in this pass, new ones included.
    pub fn number(&mut self, path: &Path, name: &[u8]) -> Result<u32, FileError> {
        if let Some((last, number)) = &self.last
            && last == name
        {
            return Ok(*number);
        }
        let number = match self.numbers.get(name) {
            Some(&number) => number,
            None => {
                if self.symbols.len() >= SYMBOLS_MAX {
                    let what = format!(
                        "more than {SYMBOLS_MAX} different symbols; the symbol column is not one: give --symbol NAME"
                    );
                    return Err(FileError::Unsupported { path: path.to_owned(), what });
                }
                let number = self.symbols.len() as u32;
                let name_text = String::from_utf8_lossy(name).into_owned();
                self.symbols.push(SurveyedSymbol { name: name_text, ..SurveyedSymbol::default() });
                self.numbers.insert(name.to_vec(), number);
                number
            }
        };
        self.last = Some((name.to_vec(), number));
        Ok(number)
    }

    /// The number of a symbol in the second pass.
    pub fn known(&mut self, name: &[u8]) -> Option<u32> {
        if let Some((last, number)) = &self.last
            && last == name
        {
            return Some(*number);
        }
        let number = *self.numbers.get(name)?;
        self.last = Some((name.to_vec(), number));
        Some(number)
    }

    /// Notes a row with a readable time.
    #[inline]
    pub fn note(&mut self, symbol: u32, wall: i64, has_volume: bool) {
        self.rows += 1;
        self.minutes[(wall.rem_euclid(DAY) / MINUTE) as usize] += 1;
        let surveyed = &mut self.symbols[symbol as usize];
        surveyed.rows += 1;
        surveyed.has_volume |= has_volume;
        if let Some(last) = surveyed.last_wall.replace(wall) {
            let step = (wall - last).abs();
            let place = surveyed.steps.iter().position(|(length, _)| *length == step);
            match place {
                Some(at) => surveyed.steps[at].1 += 1,
                None if step > 0 && surveyed.steps.len() < SPACINGS_MAX => surveyed.steps.push((step, 1)),
                None => {}
            }
        }
    }

    /// The minute of the day that most rows carry.
    pub fn usual_minute(&self) -> u32 {
        (0..1440).max_by_key(|&minute| (self.minutes[minute as usize], std::cmp::Reverse(minute))).unwrap_or(0)
    }

    /// Decides the interval of every symbol: the flag, else the name where the rows do not contradict it, else the
    /// most frequent spacing, else one day where every row is a date.
    pub fn decide_intervals(&mut self, path: &Path, flag: Option<Interval>, name: &NameSays) -> Result<(), FileError> {
        let steps = self.rows.saturating_sub(self.symbols.len() as u64);
        // Rows in no order at all have no usual spacing; a rare one says nothing.
        let usual = most_frequent(self.symbols.iter().flat_map(|symbol| symbol.steps.iter().copied()))
            .filter(|&(_, count)| count * 5 >= steps);
        let only_dates = self.rows > 0 && u64::from(self.minutes[0]) == self.rows;
        for symbol in &mut self.symbols {
            let own = most_frequent(symbol.steps.iter().copied());
            let all: u64 = symbol.steps.iter().map(|(_, count)| count).sum();
            let own = own.filter(|&(_, count)| all >= OWN_STEPS_MIN && count * 2 >= all);
            let spacing = own.or(usual).map(|(step, _)| step);
            symbol.interval = match (flag, name.interval, spacing) {
                (Some(flag), _, _) => flag,
                (None, Some(named), Some(step)) if contradicts(named, step) => {
                    return Err(FileError::IntervalContradiction {
                        path: path.to_owned(),
                        symbol: symbol.name.clone(),
                        named: named.to_string(),
                        spacing: step_text(step),
                    });
                }
                (None, Some(named), _) => named,
                (None, None, Some(step)) => spaced(path, step)?,
                (None, None, None) if only_dates => Interval::DAY,
                (None, None, None) => {
                    return Err(FileError::UnknownInterval { path: path.to_owned(), symbol: symbol.name.clone() });
                }
            };
            if symbol.interval > Interval::DAY {
                let what = format!("bars of {} are not read; ingest the daily or finer ones", symbol.interval);
                return Err(FileError::Unsupported { path: path.to_owned(), what });
            }
        }
        Ok(())
    }
}

/// A name is contradicted by a finer spacing, or by one that is not a multiple: thin instruments skip bars. A day
/// is a label, so any spacing of a day or more agrees with it.
fn contradicts(named: Interval, step: i64) -> bool {
    if named.is_daily() { step < DAY } else { step < named.nanos() || step % named.nanos() != 0 }
}

fn spaced(path: &Path, step: i64) -> Result<Interval, FileError> {
    if step > DAY && step % DAY == 0 && !matches!(step / DAY, 7 | 28..=31 | 89..=92 | 365 | 366) {
        return Ok(Interval::DAY); // days with holes, and no week, month, quarter or year
    }
    let seconds = u32::try_from(step / SECOND).ok().filter(|&seconds| seconds > 0 && step % SECOND == 0);
    seconds.map(Interval).ok_or_else(|| FileError::NotCandles {
        path: path.to_owned(),
        seems: format!("ticks (rows are mostly {} apart)", step_text(step)),
    })
}

fn step_text(step: i64) -> String {
    match u32::try_from(step / SECOND) {
        Ok(seconds) if seconds > 0 => Interval(seconds).to_string(),
        _ => format!("{} milliseconds", step as f64 / 1e6),
    }
}

/// The most frequent of counted steps; of equals the shortest.
fn most_frequent(steps: impl Iterator<Item = (i64, u64)>) -> Option<(i64, u64)> {
    let mut totals: BTreeMap<i64, u64> = BTreeMap::new();
    for (step, count) in steps {
        *totals.entry(step).or_default() += count;
    }
    totals.into_iter().max_by_key(|&(step, count)| (count, std::cmp::Reverse(step)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(walls: &[i64], flag: Option<&str>, named: Option<&str>) -> Result<String, FileError> {
        let mut survey = Survey::new();
        let path = Path::new("x.csv");
        let number = survey.number(path, b"X").unwrap();
        walls.iter().for_each(|&minute| survey.note(number, minute * MINUTE, true));
        let interval = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        survey.decide_intervals(path, interval(flag), &NameSays { symbol: None, interval: interval(named) })?;
        Ok(survey.symbols[0].interval.to_string())
    }

    #[test]
    fn flag_then_name_then_spacing_then_dates() {
        let five = [0, 5, 10, 15, 1440, 1445];
        assert_eq!(decide(&five, Some("1m"), Some("5m")).unwrap(), "1m");
        assert_eq!(decide(&five, None, Some("5m")).unwrap(), "5m");
        assert_eq!(decide(&five, None, None).unwrap(), "5m");
        assert_eq!(decide(&[15, 10, 5], None, None).unwrap(), "5m", "descending");
        assert_eq!(decide(&[1440], None, None).unwrap(), "1d", "a lone date");
        assert_eq!(decide(&[0, 1440, 2880, 7200], None, Some("1d")).unwrap(), "1d");
        assert!(matches!(decide(&[15], None, None), Err(FileError::UnknownInterval { .. })));
    }

    #[test]
    fn a_name_that_the_rows_contradict_is_refused() {
        let error = decide(&[0, 1, 2, 3], None, Some("5m")).unwrap_err().to_string();
        assert!(error.contains("5m") && error.contains("1m apart") && error.contains("--interval"), "{error}");
        assert_eq!(decide(&[0, 10, 20], None, Some("5m")).unwrap(), "5m", "a thin instrument skips bars");
        assert!(decide(&[0, 7, 14], None, Some("5m")).is_err());
        assert!(decide(&[0, 10_080, 20_160], None, None).unwrap_err().to_string().contains("7d"));
    }

    #[test]
    fn numbers_of_symbols_agree_between_passes() {
        let mut survey = Survey::new();
        let path = Path::new("x");
        for name in [b"B", b"A", b"B", b"C"] {
            survey.number(path, name).unwrap();
        }
        assert_eq!([b"A", b"B", b"C"].map(|name| survey.known(name)), [Some(1), Some(0), Some(2)]);
        assert_eq!(survey.known(b"D"), None);
    }
}
