//! Rows of one stamp to one candle, or none.
//!
//! - Equal rows are duplicates whatever the policy. What is left decides: one row is the candle; several go by the
//!   policy: all quarantined, the first kept, or merged into the bar they are pieces of.
//! - The result meets what the journal holds: equal is a duplicate; different is quarantined, or with `--revise` a
//!   candle that supersedes.
//! - A group is bounded: of a stamp with very many different rows only the first ones are compared with.

use super::Duplicates;
use super::known::KnownCandle;
use super::record::{Record, candle_text};
use daybook_adapters::files::Reason;
use daybook_vocabulary::Candle;

/// Different rows of one stamp that are remembered.
const DISTINCT_MAX: usize = 1024;

/// The rows of one stamp, collected in the order of files and lines.
#[derive(Debug, Default)]
pub(crate) struct Group {
    distinct: Vec<Record>,
    duplicates: u64,
}

/// What became of a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The candle to write.
    pub candle: Option<Candle>,
    /// True when the stamp has a candle: written now, or equal in the journal.
    pub covered: bool,
    pub duplicates: u64,
    pub merged: u64,
    /// Rows to quarantine, with the reason and a remark for the text.
    pub refused: Vec<(Record, Reason, Option<String>)>,
}

impl Group {
    pub fn key(&self) -> Option<(i64, u64, i64)> {
        self.distinct.first().map(Record::key)
    }

    /// Takes a row of this stamp; gives it back where the group is full.
    pub fn push(&mut self, record: Record) -> Option<Record> {
        if self.distinct.iter().any(|known| known.same_values(&record)) {
            self.duplicates += 1;
        } else if self.distinct.len() < DISTINCT_MAX {
            self.distinct.push(record);
        } else {
            return Some(record);
        }
        None
    }

    /// Decides, and empties the group.
    pub fn resolve(&mut self, policy: Duplicates, known: Option<KnownCandle>, revise: bool) -> Outcome {
        let rows = std::mem::take(&mut self.distinct);
        let mut outcome = Outcome { duplicates: std::mem::take(&mut self.duplicates), ..Outcome::default() };
        let Some(first) = rows.first().copied() else { return outcome };
        let value = match (rows.len(), policy) {
            (1, _) => Ok(first),
            (_, Duplicates::Quarantine) => Err(Reason::DuplicateStamp),
            (_, Duplicates::First) => {
                outcome.refused.extend(rows[1..].iter().map(|row| (*row, Reason::DuplicateStamp, None)));
                Ok(first)
            }
            (_, Duplicates::Merge) => merge(&rows).ok_or(Reason::OutOfRange),
        };
        // The rows that the value stands for: with `first` the others have gone already.
        let members = if policy == Duplicates::First { &rows[..1] } else { &rows[..] };
        match value {
            Err(reason) => outcome.refused.extend(members.iter().map(|row| (*row, reason, None))),
            Ok(value) => settle(&mut outcome, value, members, known, revise),
        }
        outcome
    }
}

/// Compares a group's value with the journal's.
fn settle(outcome: &mut Outcome, value: Record, members: &[Record], known: Option<KnownCandle>, revise: bool) {
    let candle = value.candle(known.is_some());
    match known {
        Some(known) if known.candle.same_values(&candle) => {
            outcome.covered = true;
            outcome.duplicates += 1;
            outcome.merged += members.len() as u64 - 1;
        }
        Some(known) if !revise => {
            let remark = format!("; the journal has seq {}: {}", known.seq, candle_text(&known.candle));
            let refused = members.iter().map(|row| (*row, Reason::ConflictsWithJournal, Some(remark.clone())));
            outcome.refused.extend(refused);
        }
        _ => {
            outcome.covered = true;
            outcome.candle = Some(candle);
            outcome.merged += members.len() as u64 - 1;
        }
    }
}

/// First open, highest high, lowest low, last close, sum of volumes; none where the sum does not fit.
fn merge(rows: &[Record]) -> Option<Record> {
    let (first, rest) = rows.split_first()?;
    rest.iter().try_fold(*first, |bar, row| {
        Some(Record {
            high: bar.high.max(row.high),
            low: bar.low.min(row.low),
            close: row.close,
            volume: bar.volume.checked_add(row.volume)?,
            ..bar
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(line: u64, values: [i64; 5]) -> Record {
        let [open, high, low, close, volume] = values;
        Record { time: 10, series: 1, open_time: 5, file: 0, line, open, high, low, close, volume }
    }

    fn known(values: [i64; 5]) -> Option<KnownCandle> {
        Some(KnownCandle { seq: 7, candle: row(0, values).candle(false) })
    }

    const A: [i64; 5] = [10, 12, 9, 11, 100];
    const B: [i64; 5] = [11, 15, 10, 14, 50];

    fn resolve(rows: &[[i64; 5]], policy: Duplicates, known: Option<KnownCandle>, revise: bool) -> Outcome {
        let mut group = Group::default();
        for (at, values) in rows.iter().enumerate() {
            assert_eq!(group.push(row(at as u64, *values)), None);
        }
        group.resolve(policy, known, revise)
    }

    #[test]
    fn policies() {
        let quarantine = resolve(&[A, B, A], Duplicates::Quarantine, None, false);
        assert_eq!((quarantine.candle, quarantine.duplicates, quarantine.refused.len()), (None, 1, 2));
        let first = resolve(&[A, B], Duplicates::First, None, false);
        assert_eq!(first.candle, Some(row(0, A).candle(false)));
        assert_eq!(first.refused[0].0.line, 1);
        let merged = resolve(&[A, B], Duplicates::Merge, None, false);
        assert_eq!(merged.candle, Some(row(0, [10, 15, 9, 14, 150]).candle(false)));
        assert_eq!((merged.merged, merged.refused.len()), (1, 0));
        let full = [1, 1, 1, 1, i64::MAX];
        let overflow = resolve(&[full, B], Duplicates::Merge, None, false);
        assert_eq!(overflow.refused.iter().map(|row| row.1).collect::<Vec<_>>(), [Reason::OutOfRange; 2]);
    }

    #[test]
    fn what_the_journal_holds() {
        let equal = resolve(&[A], Duplicates::Quarantine, known(A), false);
        assert_eq!((equal.candle, equal.duplicates, equal.covered), (None, 1, true));
        let conflict = resolve(&[A], Duplicates::Quarantine, known(B), false);
        assert_eq!(conflict.refused[0].1, Reason::ConflictsWithJournal);
        assert!(conflict.refused[0].2.as_deref().unwrap().contains("seq 7"));
        let revised = resolve(&[A], Duplicates::Quarantine, known(B), true);
        assert_eq!(revised.candle.map(|candle| candle.revises()), Some(true));
        let fresh = resolve(&[A], Duplicates::Quarantine, None, true);
        assert_eq!(fresh.candle.map(|candle| candle.revises()), Some(false));
    }

    proptest! {
        /// Every row is a candle, a duplicate, merged or refused, and the candle is what a plain reading of the
        /// policy says.
        #[test]
        fn equals_a_naive_twin(picks in prop::collection::vec(0usize..4, 1..8), policy in 0usize..3) {
            let palette = [A, B, [10, 12, 9, 11, 101], [9, 9, 9, 9, 0]];
            let rows: Vec<[i64; 5]> = picks.iter().map(|&pick| palette[pick]).collect();
            let policy = [Duplicates::Quarantine, Duplicates::First, Duplicates::Merge][policy];
            let outcome = resolve(&rows, policy, None, false);
            let mut distinct = Vec::new();
            for row in &rows {
                if !distinct.contains(row) {
                    distinct.push(*row);
                }
            }
            let expected = match (distinct.len(), policy) {
                (1, _) | (_, Duplicates::First) => Some(distinct[0]),
                (_, Duplicates::Quarantine) => None,
                (_, Duplicates::Merge) => Some([
                    distinct[0][0],
                    distinct.iter().map(|row| row[1]).max().unwrap(),
                    distinct.iter().map(|row| row[2]).min().unwrap(),
                    distinct[distinct.len() - 1][3],
                    distinct.iter().map(|row| row[4]).sum(),
                ]),
            };
            prop_assert_eq!(outcome.candle, expected.map(|values| row(0, values).candle(false)));
            let accounted = u64::from(outcome.candle.is_some()) + outcome.duplicates + outcome.merged
                + outcome.refused.len() as u64;
            prop_assert_eq!(accounted, rows.len() as u64);
        }
    }
}
