//! Ingest against a naive twin: random files, policies and revisions, two commands in a row.

use daybook_config::Calendar;
use daybook_journal::Journal;
use daybook_replay::ingest::{Duplicates, IngestOptions, IngestReport, run};
use daybook_vocabulary::{Event, InstrumentId};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A row: slot of the session (7 is the closing print) and values by number (3 is broken).
type Row = (usize, usize);

const VALUES: [[i64; 5]; 4] = [[10, 12, 9, 11, 100], [11, 15, 10, 14, 50], [10, 12, 9, 11, 101], [10, 9, 12, 11, 5]];
const SYMBOLS: [&str; 2] = ["AAA", "BBB"];

fn csv(rows: &[Row]) -> String {
    let mut text = String::from("Date,Open,High,Low,Close,Volume\n");
    for (slot, value) in rows {
        let clock = if *slot == 7 { "15:30".to_owned() } else { format!("09:{}", 15 + slot) };
        let [open, high, low, close, volume] = VALUES[*value];
        text += &format!("2025-01-30 {clock},{open},{high},{low},{close},{volume}\n");
    }
    text
}

type State = BTreeMap<(usize, usize), [i64; 5]>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    kept: u64,
    duplicates: u64,
    merged: u64,
    quarantined: BTreeMap<String, u64>,
}

/// What a command should do, said as plainly as possible. `files` are (symbol, rows).
fn twin(state: &mut State, files: &[(usize, Vec<Row>)], policy: Duplicates, revise: bool) -> Counts {
    let mut counts = Counts::default();
    let quarantine = |counts: &mut Counts, reason: &str, rows: usize| {
        if rows > 0 {
            *counts.quarantined.entry(reason.to_owned()).or_default() += rows as u64;
        }
    };
    let mut stamps: BTreeMap<(usize, usize), Vec<[i64; 5]>> = BTreeMap::new();
    for (symbol, rows) in files {
        for (slot, value) in rows {
            match (slot, value) {
                (_, 3) => quarantine(&mut counts, "broken_ohlc", 1),
                (7, _) => quarantine(&mut counts, "closing_print", 1),
                _ => stamps.entry((*symbol, *slot)).or_default().push(VALUES[*value]),
            }
        }
    }
    for (key, rows) in stamps {
        let mut distinct: Vec<[i64; 5]> = Vec::new();
        for row in rows {
            if distinct.contains(&row) { counts.duplicates += 1 } else { distinct.push(row) }
        }
        let several = distinct.len() > 1;
        let (value, members) = match policy {
            Duplicates::Quarantine if several => {
                quarantine(&mut counts, "duplicate_stamp", distinct.len());
                continue;
            }
            Duplicates::First if several => {
                quarantine(&mut counts, "duplicate_stamp", distinct.len() - 1);
                (distinct[0], 1)
            }
            Duplicates::Merge if several => {
                let merged = [
                    distinct[0][0],
                    distinct.iter().map(|row| row[1]).max().unwrap(),
                    distinct.iter().map(|row| row[2]).min().unwrap(),
                    distinct.last().unwrap()[3],
                    distinct.iter().map(|row| row[4]).sum(),
                ];
                (merged, distinct.len())
            }
            _ => (distinct[0], 1),
        };
        match state.get(&key) {
            Some(known) if *known == value => {
                counts.duplicates += 1;
                counts.merged += members as u64 - 1;
            }
            Some(_) if !revise => quarantine(&mut counts, "conflicts_with_journal", members),
            _ => {
                counts.kept += 1;
                counts.merged += members as u64 - 1;
                state.insert(key, value);
            }
        }
    }
    counts
}

/// The candles in force, as the journal has them.
fn in_force(dir: &std::path::Path) -> State {
    let journal = Journal::open(dir).unwrap();
    let mut cursor = journal.cursor(0);
    let (mut names, mut state) = (BTreeMap::new(), State::new());
    while let Some(frame) = cursor.next().unwrap() {
        match Event::decode(frame.kind, frame.schema, frame.payload).unwrap() {
            Event::Instrument(instrument) => {
                let symbol = SYMBOLS.iter().position(|symbol| *symbol == instrument.symbol).unwrap();
                assert_eq!(names.insert(InstrumentId(frame.stream), symbol), None, "defined once");
            }
            Event::Candle(candle) => {
                let slot = (candle.open_time().0 - 1_738_208_700_000_000_000) / 60_000_000_000;
                let key = (names[&InstrumentId(frame.stream)], slot as usize);
                let units = |raw: i64| raw / 100_000_000;
                let values = [candle.open().0, candle.high().0, candle.low().0, candle.close().0, candle.volume().0];
                assert_eq!(state.insert(key, values.map(units)).is_some(), candle.revises());
            }
            _ => {}
        }
    }
    state
}

fn counts(report: &IngestReport) -> Counts {
    Counts {
        kept: report.kept,
        duplicates: report.duplicates,
        merged: report.merged,
        quarantined: report.quarantined.clone(),
    }
}

fn files() -> impl Strategy<Value = Vec<(usize, Vec<Row>)>> {
    let row = (prop_oneof![9 => 0usize..6, 1 => Just(7usize)], prop_oneof![9 => 0usize..3, 1 => Just(3usize)]);
    prop::collection::vec((0usize..2, prop::collection::vec(row, 1..12)), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equals_the_twin(first in files(), second in files(), policy in 0usize..3, revise: bool, memory in 0usize..4_000) {
        let dir = tempfile::tempdir().unwrap();
        let policy = [Duplicates::Quarantine, Duplicates::First, Duplicates::Merge][policy];
        let mut state = State::new();
        for (turn, (files, revise)) in [(&first, false), (&second, revise)].into_iter().enumerate() {
            // Files of equal bytes are read once, so each gets its own line.
            let paths: Vec<_> = files.iter().enumerate().map(|(at, (symbol, rows))| {
                let folder = dir.path().join(format!("{turn}-{at}"));
                std::fs::create_dir(&folder).unwrap();
                let path = folder.join(format!("{}_1m.csv", SYMBOLS[*symbol]));
                std::fs::write(&path, format!("# {turn} {at}\n{}", csv(rows))).unwrap();
                path
            }).collect();
            let mut options = IngestOptions::new(paths, dir.path().join("journal"), Calendar::nse());
            options.segments.segment_bytes = 64 * 1024;
            options.segments.sync_segments = false;
            options.duplicates = policy;
            options.revise = revise;
            options.sort_memory = memory;
            let expected = twin(&mut state, files, policy, revise);
            let report = run(&options, &mut ()).unwrap();
            prop_assert_eq!(counts(&report), expected);
            prop_assert_eq!(in_force(&options.journal), state.clone());
            let again = run(&options, &mut ()).unwrap();
            prop_assert!(again.unchanged);
            prop_assert_eq!(again.content, report.content);
        }
    }
}
