//! Ingest as a whole: idempotence, resuming after every frame, order, duplicates, revisions, and what a report says.

use daybook_config::Calendar;
use daybook_journal::Journal;
use daybook_replay::ingest::{Duplicates, IngestError, IngestOptions, IngestReport, Progress, Stamp, run};
use daybook_vocabulary::{Candle, Event, Quarantine};
use std::path::{Path, PathBuf};

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn options(&self, files: &[&PathBuf]) -> IngestOptions {
        let files = files.iter().map(|path| (*path).clone()).collect();
        let mut options = IngestOptions::new(files, self.path("journal"), Calendar::nse());
        options.segments.segment_bytes = 64 * 1024; // preallocating more would be most of a test's time
        options.segments.sync_segments = false;
        options
    }
}

fn ingest(options: &IngestOptions) -> IngestReport {
    let report = run(options, &mut ()).unwrap();
    assert_accounted(&report);
    report
}

fn assert_accounted(report: &IngestReport) {
    let sum = report.kept + report.duplicates + report.merged + report.quarantined_total() + report.already_quarantined;
    assert_eq!(report.rows, sum, "every row is accounted for: {report:?}");
}

fn events(journal: &Path) -> Vec<(u64, i64, Event)> {
    let journal = Journal::open(journal).unwrap();
    let mut cursor = journal.cursor(0);
    let mut events = Vec::new();
    while let Some(frame) = cursor.next().unwrap() {
        events.push((frame.seq, frame.time, Event::decode(frame.kind, frame.schema, frame.payload).unwrap()));
    }
    events
}

fn candles(journal: &Path) -> Vec<Candle> {
    let candle = |event| if let Event::Candle(candle) = event { Some(candle) } else { None };
    events(journal).into_iter().filter_map(|(_, _, event)| candle(event)).collect()
}

fn quarantined(journal: &Path) -> Vec<Quarantine> {
    let row = |event| if let Event::Quarantine(row) = event { Some(row) } else { None };
    events(journal).into_iter().filter_map(|(_, _, event)| row(event)).collect()
}

fn content(journal: &Path) -> String {
    Journal::open(journal).unwrap().head().content.to_string()
}

/// A session's minutes for a symbol, with some defects.
fn minutes(symbol_price: i64, count: usize) -> String {
    let mut text = String::from("Date,Open,High,Low,Close,Volume\n");
    for minute in 0..count {
        let (hour, rest) = (9 + (15 + minute) / 60, (15 + minute) % 60);
        let open = symbol_price + minute as i64 % 7;
        text += &format!(
            "2025-01-30 {hour:02}:{rest:02}:00,{open},{}.5,{}.25,{open}.1,{}\n",
            open + 1,
            open - 1,
            100 + minute
        );
    }
    text
}

const HEADER: &str = "Date,Open,High,Low,Close,Volume\n";

#[test]
fn a_run_is_ascending_and_has_its_frames_in_order() {
    let world = World::new();
    let one = world.file("TCS_1m.csv", &minutes(3000, 20));
    let two = world
        .file("INFY_1m.csv", &(minutes(1500, 20) + "2025-01-30 15:30:00,1,2,1,1,5\n2025-01-30 10:10:00,5,4,3,3,1\n"));
    let report = ingest(&world.options(&[&one, &two]));
    assert_eq!((report.rows, report.kept), (42, 40));
    assert_eq!(report.quarantined["closing_print"], 1);
    assert_eq!(report.quarantined["broken_ohlc"], 1);
    let events = events(&world.path("journal"));
    assert!(
        matches!(events.first(), Some((0, _, Event::RunStarted(started))) if started.files.len() == 2 && !started.revises)
    );
    assert!(events.windows(2).all(|pair| pair[0].1 <= pair[1].1), "time never steps back");
    let words: Vec<&str> = events.iter().map(|(_, _, event)| event.kind().word()).collect();
    assert_eq!(words[1..5], ["instrument", "candle", "instrument", "candle"]);
    assert_eq!(words[words.len() - 3..], ["quarantine", "quarantine", "run-ended"]);
    let Event::Instrument(first) = &events[1].2 else { panic!("an instrument") };
    assert_eq!(
        (first.symbol.as_str(), first.market.as_str(), first.tick.to_string()),
        ("INFY", "nse", "0.05".to_owned())
    );
    let Some((_, _, Event::RunEnded(ended))) = events.last() else { panic!("the run's end") };
    assert_eq!((ended.rows, ended.kept, ended.series.len()), (42, 40, 2));
    assert_eq!(ended.series[1].candles, 20);
    let first = candles(&world.path("journal"))[0];
    assert_eq!(first.open_time().to_string(), "2025-01-30T03:45:00Z");
    assert_eq!(events[2].1, first.open_time().0 + 60_000_000_000, "known at its close");
}

#[test]
fn a_quarantined_row_names_its_instrument_and_frames_of_none_name_none() {
    let world = World::new();
    let one = world.file("TCS_1m.csv", &(minutes(3000, 9) + "2025-01-30 15:30:00,1,2,1,1,5\nfooter\n"));
    let two = world.file(
        "two.csv",
        "Symbol,Date,Open,High,Low,Close,Volume\nINFY,2025-01-30 09:15:00,10,12,9,11,5\n\
         INFY,2025-01-30 09:16:00,10,12,9,11,5\nINFY,2025-01-30 09:17:00,ten,12,9,11,5\nINFY,never,10,12,9,11,5\n\
         LOST,2025-01-30 09:15:00,10,9,12,11,5\nLOST,2025-01-30 09:16:00,10,9,12,11,5\nTC\"S,2025-01-30,1,1,1,1,1\n",
    );
    ingest(&world.options(&[&one, &two]));
    let journal = Journal::open(&world.path("journal")).unwrap();
    let mut cursor = journal.cursor(0);
    let (mut ids, mut rows, mut others) = (std::collections::BTreeMap::new(), Vec::new(), Vec::new());
    while let Some(frame) = cursor.next().unwrap() {
        match Event::decode(frame.kind, frame.schema, frame.payload).unwrap() {
            Event::Instrument(instrument) => drop(ids.insert(frame.stream, instrument.symbol)),
            Event::Quarantine(row) => rows.push((ids.get(&frame.stream).cloned(), frame.stream, row.reason)),
            Event::Candle(_) => assert!(ids.contains_key(&frame.stream)),
            other => others.push((other.kind().word(), frame.stream)),
        }
    }
    rows.sort();
    let none = u32::MAX;
    let (infy, tcs) = (Some("INFY".to_owned()), Some("TCS".to_owned()));
    let expected = [
        (None, none, "broken_ohlc"),
        (None, none, "broken_ohlc"),
        (None, none, "broken_row"),
        (infy.clone(), 0, "bad_time"),
        (infy, 0, "not_a_number"),
        (tcs.clone(), 1, "broken_row"),
        (tcs, 1, "closing_print"),
    ];
    let expected = expected.map(|(symbol, stream, reason)| (symbol, stream, reason.to_owned()));
    assert_eq!(rows, expected);
    assert_eq!(others, [("run-started", none), ("run-ended", none)]);
}

#[test]
fn the_same_command_again_changes_nothing() {
    let world = World::new();
    let one = world.file("TCS_1m.csv", &(minutes(3000, 9) + "2025-01-30 09:15:00,1,2,1,1,5\nfooter\n"));
    let mut options = world.options(&[&one]);
    options.seal_key = Some(world.path("key"));
    let first = ingest(&options);
    assert!(first.sealed && !first.unchanged);
    let files = |dir: &Path| {
        let mut files: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files(&options.journal);
    let second = ingest(&options);
    assert!(second.unchanged && second.sealed);
    assert_eq!((second.kept, second.content), (0, first.content));
    assert!(second.to_string().contains("not changed"));
    assert_eq!(files(&options.journal), before, "not one byte");
}

/// Stops after so many batches.
struct Patience(u64);

impl Progress for Patience {
    fn keep_going(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

#[test]
fn stopped_after_any_frame_and_resumed_it_has_the_content_of_a_clean_run() {
    let text = minutes(3000, 12) + "2025-01-30 09:15:00,1,2,1,1,5\n2025-01-30 15:30:00,1,2,1,1,5\nfooter\n";
    let clean = World::new();
    let (one, two) = (clean.file("TCS_1m.csv", &text), clean.file("INFY_1m.csv", &minutes(1500, 9)));
    let mut options = clean.options(&[&one, &two]);
    let expected = ingest(&options);
    options.batch_frames = 1;
    for stop in 1..expected.frames {
        for stops in if stop % 4 == 1 { 1..=2 } else { 1..=1 } {
            options.journal = clean.path(&format!("journal-{stop}-{stops}"));
            for _ in 0..stops {
                assert!(
                    matches!(run(&options, &mut Patience(stop)), Err(IngestError::Interrupted))
                        || stops * stop >= expected.frames
                );
            }
            let report = ingest(&options);
            assert_eq!(report.content, expected.content, "stopped {stops} times after {stop} frames");
            assert!(report.resumed_frames >= stop || report.unchanged, "{} of {stop}", report.resumed_frames);
            assert_eq!(content(&options.journal), content(&clean.path("journal")));
        }
    }
}

#[test]
fn another_command_between_leaves_the_unfinished_run_as_it_is() {
    let world = World::new();
    let (one, two) = (world.file("TCS_1m.csv", &minutes(3000, 10)), world.file("INFY_1m.csv", &minutes(1500, 10)));
    let mut first = world.options(&[&one]);
    first.batch_frames = 1;
    assert!(matches!(run(&first, &mut Patience(6)), Err(IngestError::Interrupted)));
    assert_eq!(ingest(&world.options(&[&two])).kept, 10);
    let rest = ingest(&first);
    assert_eq!((rest.kept, rest.duplicates, rest.resumed_frames), (6, 4, 0), "what the unfinished run wrote counts");
    assert_eq!(candles(&world.path("journal")).len(), 20);
    assert!(ingest(&first).unchanged);
}

#[test]
fn the_order_of_files_and_rows_changes_nothing() {
    let mut contents = Vec::new();
    for turn in 0..3 {
        let world = World::new();
        let mut rows: Vec<String> = minutes(3000, 30).lines().skip(1).map(str::to_owned).collect();
        rows.sort_by_key(|row| blake3::hash(format!("{turn}{row}").as_bytes()).to_hex().to_string());
        let one = world.file("TCS_1m.csv", &(HEADER.to_owned() + &rows.join("\n")));
        let two = world.file("INFY_1m.csv", &minutes(1500, 30));
        let mut options = if turn == 1 { world.options(&[&one, &two]) } else { world.options(&[&two, &one]) };
        options.sort_memory = if turn == 2 { 500 } else { 1 << 20 };
        assert_eq!(ingest(&options).kept, 60);
        contents.push(candles(&world.path("journal")));
    }
    assert_eq!(contents[0], contents[1]);
    assert_eq!(contents[0], contents[2], "and neither does spilling");
}

#[test]
fn rows_of_one_stamp() {
    let split = "2025-01-30 09:15:00,10,12,9,11,100\n2025-01-30 09:15:00,11,15,10,14,50\n2025-01-30 09:20:00,14,15,13,14,7\n2025-01-30 09:20:00,14,15,13,14,7\n";
    let kept = |policy: Duplicates| {
        let world = World::new();
        let file = world.file("TCS_5m.csv", &(HEADER.to_owned() + split));
        let mut options = world.options(&[&file]);
        options.duplicates = policy;
        let report = ingest(&options);
        assert_eq!(report.duplicates, 1);
        let first =
            candles(&options.journal).into_iter().find(|candle| candle.open_time().0 == 1_738_208_700_000_000_000);
        let reasons: Vec<_> = quarantined(&options.journal).into_iter().map(|row| (row.line, row.reason)).collect();
        (
            first.map(|candle| (candle.open().to_string(), candle.high().to_string(), candle.volume().to_string())),
            reasons,
        )
    };
    let (candle, reasons) = kept(Duplicates::Quarantine);
    assert_eq!(candle, None);
    assert_eq!(reasons, [(2, "duplicate_stamp".to_owned()), (3, "duplicate_stamp".to_owned())]);
    let (candle, reasons) = kept(Duplicates::First);
    assert_eq!(candle, Some(("10".to_owned(), "12".to_owned(), "100".to_owned())));
    assert_eq!(reasons, [(3, "duplicate_stamp".to_owned())]);
    let (candle, reasons) = kept(Duplicates::Merge);
    assert_eq!(candle, Some(("10".to_owned(), "15".to_owned(), "150".to_owned())));
    assert!(reasons.is_empty());
}

#[test]
fn what_contradicts_the_journal_is_quarantined_or_revises() {
    let world = World::new();
    let old = world.file("TCS_1m.csv", &minutes(3000, 5));
    let changed = minutes(3000, 6).replace("3001,3002.5,3000.25,3001.1,101", "3001,3002.5,3000.25,3001.1,999");
    std::fs::create_dir(world.path("new")).unwrap();
    let new = world.file("new/TCS_1m.csv", &changed);
    ingest(&world.options(&[&old]));
    let report = ingest(&world.options(&[&new]));
    assert_eq!((report.kept, report.duplicates), (1, 4));
    assert_eq!(report.quarantined["conflicts_with_journal"], 1);
    let row = &quarantined(&world.path("journal"))[0];
    assert!(row.row.contains("volume=999") && row.row.contains("the journal has seq 3"), "{}", row.row);

    // The same row in another command is known already.
    let third = world.file("INFY_1m.csv", &minutes(1500, 2));
    let report = ingest(&world.options(&[&new, &third]));
    assert_eq!((report.kept, report.duplicates, report.already_quarantined), (2, 5, 1));

    let mut revise = world.options(&[&new]);
    revise.revise = true;
    let report = ingest(&revise);
    assert_eq!((report.kept, report.revised, report.duplicates), (1, 1, 5));
    let last = *candles(&world.path("journal")).last().unwrap();
    assert!(last.revises() && last.volume().to_string() == "999");
    assert!(ingest(&revise).unchanged, "the value in force is the revised one");
    let report = ingest(&world.options(&[&old]));
    assert!(report.unchanged, "an old command does not bring the old value back");
}

#[test]
fn one_symbol_known_under_two_intervals_and_markets() {
    let world = World::new();
    let minute = world.file("TCS_1m.csv", &minutes(3000, 3));
    let daily = world.file("TCS_1d.csv", "Date,Open,High,Low,Close\n2025-01-30,1,2,1,2\n2025-02-02,1,2,1,2\n");
    let report = ingest(&world.options(&[&minute, &daily]));
    assert_eq!(report.kept, 4);
    assert_eq!(report.quarantined["outside_session"], 1, "a Sunday");
    assert_eq!(report.series.iter().map(|series| series.interval.to_string()).collect::<Vec<_>>(), ["1m", "1d"]);
    assert!(report.series[1].no_volume);
    let mut generic = world.options(&[&daily]);
    generic.calendar = Calendar::generic();
    assert_eq!(ingest(&generic).kept, 2, "another market is another instrument");
    let defined =
        events(&world.path("journal")).into_iter().filter(|(_, _, event)| matches!(event, Event::Instrument(_)));
    assert_eq!(defined.count(), 2);
}

#[test]
fn the_same_bytes_under_another_name_are_another_work() {
    let world = World::new();
    let (one, two) = (world.file("TCS_1m.csv", &minutes(3000, 3)), world.file("INFY_1m.csv", &minutes(3000, 3)));
    ingest(&world.options(&[&one]));
    assert_eq!(ingest(&world.options(&[&two])).kept, 3);
}

#[test]
fn a_refused_file_is_reported_and_the_others_go_in() {
    let world = World::new();
    let good = world.file("TCS_1m.csv", &minutes(3000, 3));
    let bad = world.file("ticks.csv", "symbol,last_price,bid_price_1\nA,1,2\n");
    let report = ingest(&world.options(&[&good, &bad]));
    assert_eq!((report.kept, report.refused().count()), (3, 1));
    assert!(report.to_string().contains("ticks"), "{report}");
    let mut alone = world.options(&[&bad]);
    alone.journal = world.path("other");
    let error = run(&alone, &mut ()).unwrap_err().to_string();
    assert!(error.contains("not candles"), "{error}");
    assert!(!alone.journal.exists(), "nothing was made");
}

#[test]
fn commands_that_cannot_be() {
    let world = World::new();
    let empty = world.file("TCS_1m.csv", HEADER);
    let error = |options: &IngestOptions| run(options, &mut ()).unwrap_err().to_string();
    assert!(error(&world.options(&[])).contains("no files"));
    assert!(error(&world.options(&[&empty])).contains("no rows"));
    assert!(!world.path("journal").exists());
    assert!(error(&world.options(&[&world.path("missing.csv")])).contains("missing.csv"));
    let mut weekly = world.options(&[&empty]);
    weekly.interval = Some("7d".parse().unwrap());
    assert!(error(&weekly).contains("--interval"));
    std::fs::create_dir(world.path("journal")).unwrap();
    std::fs::write(world.path("journal/notes.txt"), "mine").unwrap();
    let file = world.file("INFY_1m.csv", &minutes(1, 1));
    assert!(error(&world.options(&[&file])).contains("journal"), "not a journal");
    assert_eq!(std::fs::read(world.path("journal/notes.txt")).unwrap(), b"mine");
}

#[test]
fn hints_for_flags_that_were_forgotten() {
    let world = World::new();
    let rows = "2025-01-29 15:30,1,2,1,1,5\n2025-01-30 15:30,1,2,1,1,5\n2025-01-31 15:30,1,2,1,1,5\n";
    let file = world.file("TCS_1d.csv", &(HEADER.to_owned() + rows));
    let mut options = world.options(&[&file]);
    let report = ingest(&options);
    assert!(report.notes.iter().any(|note| note.contains("--stamp end")), "{:?}", report.notes);
    options.stamp = Stamp::End;
    assert_eq!(ingest(&options).kept, 3);
    let longer = world.file("INFY_1d.csv", "Date,Open,High,Low,Close\n2025-01-29,1,2,1,1,5\n2025-01-30,1,2,1,1,5\n");
    let report = ingest(&world.options(&[&longer]));
    assert_eq!(report.quarantined["broken_row"], 2);
    assert!(report.notes.iter().any(|note| note.contains("is the header right?")), "{:?}", report.notes);
}

#[test]
fn spill_files_do_not_stay() {
    let world = World::new();
    let file = world.file("TCS_1m.csv", &minutes(3000, 100));
    let mut options = world.options(&[&file]);
    options.sort_memory = 0;
    assert_eq!(ingest(&options).kept, 100);
    assert!(!options.journal.join("cache/ingest").exists());
}
