//! What an ingest did: every row accounted for, every gap named.
//!
//! - `rows = kept + duplicates + merged + quarantined + already_quarantined`, always.
//! - Nothing of it is needed to read the journal: it is for people.

use super::coverage::Series;
use daybook_vocabulary::Hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Its path as given.
    pub path: String,
    /// Hash of its bytes; none when it could not be read.
    pub hash: Option<Hash>,
    /// Rows read from it.
    pub rows: u64,
    /// Different symbols in it.
    pub symbols: u64,
    /// Why it was refused as a whole, if it was.
    pub refused: Option<String>,
}

/// What an ingest did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestReport {
    /// Identity of the work: settings and files.
    pub run: Hash,
    /// True when the journal holds exactly what it held before.
    pub unchanged: bool,
    /// Frames of an interrupted earlier try that were found and kept.
    pub resumed_frames: u64,
    /// Rows read.
    pub rows: u64,
    /// Candles written.
    pub kept: u64,
    /// Of them, candles that supersede an earlier value.
    pub revised: u64,
    /// Rows equal to one already known.
    pub duplicates: u64,
    /// Rows merged into another of the same stamp.
    pub merged: u64,
    /// Rows quarantined, by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Rows quarantined by an earlier command already.
    pub already_quarantined: u64,
    /// What is covered, by symbol and interval.
    pub series: Vec<Series>,
    /// Years with data that the calendar lacks: their dates with data counted as sessions.
    pub unknown_years: Vec<i32>,
    /// The files, in the order given.
    pub files: Vec<FileReport>,
    /// Things worth a look.
    pub notes: Vec<String>,
    /// Frames in the journal now.
    pub frames: u64,
    /// Content hash of the journal now.
    pub content: Hash,
    /// True when the journal's end is sealed.
    pub sealed: bool,
}

impl IngestReport {
    /// Rows quarantined, whatever the reason.
    pub fn quarantined_total(&self) -> u64 {
        self.quarantined.values().sum()
    }

    /// Files refused as a whole.
    pub fn refused(&self) -> impl Iterator<Item = &FileReport> {
        self.files.iter().filter(|file| file.refused.is_some())
    }

    fn write_series(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 40;
        for series in self.series.iter().take(SHOWN) {
            write!(
                out,
                "  {:<12} {:>4}  {:>9} bars  {} to {}",
                series.symbol, series.interval, series.bars, series.first, series.last
            )?;
            if series.missing > 0 {
                write!(out, "  {} bars missing in {} gaps", series.missing, series.gaps)?;
            }
            if series.missing_sessions > 0 {
                write!(out, " ({} whole sessions)", series.missing_sessions)?;
            }
            if series.no_volume {
                write!(out, "  no volume")?;
            }
            writeln!(out)?;
            if let Some(gap) = series.examples.first() {
                writeln!(out, "      first gap: {} bars between {} and {}", gap.missing, gap.after, gap.before)?;
            }
        }
        let rest = self.series.len().saturating_sub(SHOWN);
        if rest > 0 {
            writeln!(out, "  and {rest} more (--format json lists all)")?;
        }
        Ok(())
    }
}

/// `1,234,567`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl fmt::Display for IngestReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unchanged {
            writeln!(out, "nothing new: the journal already holds this, it was not changed")?;
        }
        write!(out, "rows {}  kept {}", grouped(self.rows), grouped(self.kept))?;
        let mut quarantined = String::new();
        for (reason, count) in &self.quarantined {
            write!(quarantined, "  {reason} {}", grouped(*count))?;
        }
        for (name, count) in [
            ("revised", self.revised),
            ("duplicates", self.duplicates),
            ("merged", self.merged),
            ("quarantined", self.quarantined_total()),
            ("already quarantined", self.already_quarantined),
            ("resumed frames", self.resumed_frames),
        ] {
            if count > 0 {
                write!(out, "  {name} {}", grouped(count))?;
            }
        }
        writeln!(out)?;
        if !quarantined.is_empty() {
            writeln!(out, "quarantined:{quarantined}")?;
        }
        self.write_series(out)?;
        if !self.unknown_years.is_empty() {
            let years: Vec<_> = self.unknown_years.iter().map(ToString::to_string).collect();
            writeln!(out, "calendar unknown: {} (every date with data counts as a session)", years.join(", "))?;
        }
        for file in self.refused() {
            writeln!(out, "refused: {}", file.refused.as_deref().unwrap_or_default())?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        write!(out, "journal: {} frames, content {}", grouped(self.frames), self.content)?;
        if self.sealed { write!(out, ", sealed") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_well_and_survives_json() {
        let report = IngestReport {
            rows: 1_234_567,
            kept: 1_234_500,
            duplicates: 60,
            quarantined: [("broken_ohlc".to_owned(), 7)].into(),
            unknown_years: vec![2016],
            ..IngestReport::default()
        };
        let text = report.to_string();
        assert!(text.contains("rows 1,234,567  kept 1,234,500  duplicates 60  quarantined 7"), "{text}");
        assert!(text.contains("broken_ohlc 7") && text.contains("calendar unknown: 2016"), "{text}");
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<IngestReport>(&json).unwrap(), report);
    }
}
