//! Fetch as a whole, against a broker of this file: increments, interruptions at every point, refusals, coverage.

use super::*;
use crate::ingest::Duplicates;
use daybook_adapters::kite::Refused;
use daybook_adapters::kite::history::BrokerCandle;
use daybook_adapters::kite::http::TransportError;
use daybook_adapters::kite::values::BadRow;
use daybook_journal::Journal;
use daybook_vocabulary::{Candle, Event, Price, Quantity};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

const LIST: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
738561,2885,RELIANCE,RELIANCE,0,,0,0.1,1,EQ,NSE,NSE
2953217,11536,TCS,TCS,0,,0,0.1,1,EQ,NSE,NSE
1298945,5074,ETERNAL,ETERNAL,0,,0,0.05,1,EQ,NSE,NSE
";

/// A broker whose candles are a function of token and time.
struct Broker {
    calendar: Calendar,
    now: AtomicI64,
    requests: AtomicU64,
    /// Requests after which the wire breaks.
    breaks_after: AtomicU64,
    /// Pages that a session lives for.
    session_pages: AtomicU64,
    pages_left: AtomicU64,
    logins: AtomicU64,
    logged_in: AtomicBool,
    instruments: AtomicU64,
    refused: Option<u32>,
}

impl Broker {
    fn at(now: &str) -> Self {
        Self {
            calendar: Calendar::nse(),
            now: AtomicI64::new(now.parse::<Nanos>().unwrap().0),
            requests: AtomicU64::new(0),
            breaks_after: AtomicU64::new(u64::MAX),
            session_pages: AtomicU64::new(u64::MAX),
            pages_left: AtomicU64::new(u64::MAX),
            logins: AtomicU64::new(0),
            logged_in: AtomicBool::new(false),
            instruments: AtomicU64::new(0),
            refused: None,
        }
    }

    fn asked(&self) -> u64 {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

fn candle(token: u32, open_time: i64) -> BrokerCandle {
    let step = (open_time / (60 * SECOND)).rem_euclid(97) + i64::from(token % 89);
    let price = |offset: i64| Price(Price::from_units(1_000 + step).0 + offset * 5_000_000);
    BrokerCandle {
        open_time: Nanos(open_time),
        open: price(0),
        high: price(9),
        low: price(-9),
        close: price(3),
        volume: Quantity::from_units(100 + step),
    }
}

impl HistorySource for &Broker {
    fn now(&self) -> Nanos {
        Nanos(self.now.load(Ordering::Relaxed))
    }
    fn log_in(&self) -> Result<(), KiteError> {
        self.logged_in.store(true, Ordering::Relaxed);
        self.logins.fetch_add(1, Ordering::Relaxed);
        self.pages_left.store(self.session_pages.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(())
    }
    fn instruments(&self, exchange: &str) -> Result<String, KiteError> {
        assert_eq!(exchange, "NSE");
        self.instruments.fetch_add(1, Ordering::Relaxed);
        Ok(LIST.to_owned())
    }
    fn page(&self, token: Token, interval: Interval, from: Nanos, to: Nanos) -> Result<Page, KiteError> {
        assert!(self.logged_in.load(Ordering::Relaxed), "nothing is asked before the login");
        let alive = self.pages_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if alive.is_err() {
            let message = "Incorrect `api_key` or `access_token`.".to_owned();
            return Err(KiteError::SessionOver { call: "GET page".to_owned(), message });
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if number > self.breaks_after.load(Ordering::Relaxed) {
            let source = TransportError::Broken("gone".to_owned());
            return Err(KiteError::Transport { call: "GET page".to_owned(), source, tries: 6 });
        }
        if self.refused == Some(token.0) {
            let refused = Refused { code: 400, kind: "InputException".into(), message: "invalid token".to_owned() };
            return Err(KiteError::Refused { call: "GET page".to_owned(), refused });
        }
        let days = (to - from) / (24 * 3600 * SECOND);
        assert!(days < 100, "a page of {days} days is too long");
        let mut page = Page::default();
        let (first, last) = (self.calendar.date_of(from), self.calendar.date_of(to));
        for session in (first.0..=last.0).filter_map(|date| self.calendar.session_for_data(Date(date))) {
            let mut open = session.open().0;
            while open < session.close().0 {
                // What has begun is given, also while it is being formed; one bar of TCS a day never traded.
                let quiet = token.0 == 2_953_217 && open == session.open().0 + 3 * interval.nanos();
                if from.0 <= open && open <= to.0 && open <= self.now().0 && !quiet {
                    page.candles.push(candle(token.0, open));
                }
                open += interval.nanos();
            }
            // After the close, as brokers do: a print, and a row that is none.
            if token.0 == 738_561 && from.0 <= open && open <= to.0 && open <= self.now().0 {
                page.candles.push(candle(token.0, session.close().0));
                let row = page.candles.len() as u64 + page.bad.len() as u64 + 1;
                page.bad.push(BadRow {
                    row,
                    reason: "a number is missing".to_owned(),
                    text: "[\"2025\",null]".to_owned(),
                });
            }
        }
        Ok(page)
    }
}

fn options(journal: &Path, symbols: &[&str], from: &str, to: Option<&str>) -> FetchOptions {
    let segments = daybook_journal::Options {
        segment_bytes: 64 * 1024,
        sync_segments: false,
        ..daybook_journal::Options::default()
    };
    FetchOptions {
        journal: journal.to_owned(),
        calendar: Calendar::nse(),
        symbols: symbols.iter().map(|&symbol| symbol.to_owned()).collect(),
        aliases: vec![Alias { from: Date(0), old: "ZOMATO".to_owned(), new: "ETERNAL".to_owned() }],
        interval: Interval::minutes(5),
        from: from.parse().unwrap(),
        to: to.map(|to| to.parse().unwrap()),
        workers: 3,
        seal_key: None,
        segments,
        batch_frames: 100,
    }
}

fn fetch(options: &FetchOptions, broker: &Broker) -> Result<FetchReport, FetchError> {
    run(options, || Ok(broker), &mut ())
}

/// Every candle in force, by symbol and time.
fn candles(journal: &Path) -> Vec<(String, i64, Candle)> {
    let journal = Journal::open(journal).unwrap();
    let (mut cursor, mut names, mut found) = (journal.cursor(0), std::collections::BTreeMap::new(), Vec::new());
    while let Some(frame) = cursor.next().unwrap() {
        match Event::decode(frame.kind, frame.schema, frame.payload).unwrap() {
            Event::Instrument(instrument) => drop(names.insert(frame.stream, instrument.symbol)),
            Event::Candle(candle) => found.push((names[&frame.stream].clone(), candle.open_time().0, candle)),
            _ => {}
        }
    }
    found.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    found
}

const EVENING: &str = "2025-06-10T18:00:00+05:30";

#[test]
fn a_range_is_fetched_once_and_never_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("hist");
    let broker = Broker::at(EVENING);
    let options = options(&journal, &["TCS", "RELIANCE"], "2025-06-01", Some("2025-06-09"));
    let first = fetch(&options, &broker).unwrap();
    assert_eq!((first.requests, broker.asked()), (2, 2));
    let ingest = first.ingest.as_ref().unwrap();
    // Six sessions of 75 bars: TCS lacks one a day, RELIANCE has a print and a broken row behind each.
    assert_eq!((ingest.kept, ingest.quarantined_total()), (6 * 75 + 6 * 74, 12));
    assert_eq!((ingest.quarantined["closing_print"], ingest.quarantined["broken_row"]), (6, 6));
    let of = |symbol: &str| first.coverage.iter().find(|one| one.symbol == symbol).unwrap();
    assert_eq!((of("RELIANCE").sessions, of("RELIANCE").complete), (6, 6));
    assert_eq!((of("TCS").complete, of("TCS").incomplete.len(), of("TCS").incomplete[0].bars), (0, 6, 74));
    assert_eq!(of("TCS").incomplete[0].status, Status::Partial);

    let again =
        run(&options, || -> Result<&Broker, FetchError> { panic!("nothing is asked for what is complete") }, &mut ());
    let again = again.unwrap();
    assert!(again.complete_before && again.content == first.content && again.requests == 0);
    assert_eq!(again.coverage, first.coverage);
    assert!(!journal.join("cache/fetch").exists(), "pages that are in the journal are given up");
}

/// RL-08: the next start is behind what is stored; a longer range asks for the rest only, at both ends.
#[test]
fn a_longer_range_asks_for_the_rest_only() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, whole) = (dir.path().join("hist"), dir.path().join("whole"));
    let broker = Broker::at(EVENING);
    for (from, to, pages) in [
        ("2025-03-03", "2025-03-07", 1),
        ("2025-03-05", "2025-03-12", 1),
        ("2024-12-02", "2025-03-12", 1),
        ("2024-12-02", "2025-06-09", 1),
    ] {
        let report = fetch(&options(&journal, &["TCS"], from, Some(to)), &broker).unwrap();
        assert_eq!((report.requests, broker.asked()), (pages, pages), "{from} to {to}");
    }
    let report = fetch(&options(&whole, &["TCS"], "2024-12-02", Some("2025-06-09")), &broker).unwrap();
    assert_eq!(report.requests, 2, "190 days are two pages");
    let (parts, whole) = (candles(&journal), candles(&whole));
    assert!(parts.len() > 5_000 && parts == whole, "{} and {} candles", parts.len(), whole.len());
}

#[test]
fn a_candle_that_is_being_formed_is_left_to_the_next_fetch() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("hist");
    let broker = Broker::at("2025-06-10T10:02:00+05:30");
    let options = options(&journal, &["RELIANCE"], "2025-06-10", None);
    let first = fetch(&options, &broker).unwrap();
    assert_eq!(first.ingest.unwrap().kept, 9, "09:15 to 09:55; 10:00 is being formed");
    broker.asked();
    let soon = fetch(&options, &broker).unwrap();
    assert_eq!((soon.complete_before, broker.asked()), (true, 0), "no bar has closed since");
    // Closed a moment ago: not settled yet.
    broker.now.store("2025-06-10T10:05:03+05:30".parse::<Nanos>().unwrap().0, Ordering::Relaxed);
    assert!(fetch(&options, &broker).unwrap().complete_before);
    broker.now.store("2025-06-10T10:05:05+05:30".parse::<Nanos>().unwrap().0, Ordering::Relaxed);
    assert_eq!(fetch(&options, &broker).unwrap().ingest.unwrap().kept, 1);
    broker.now.store("2025-06-10T18:00:00+05:30".parse::<Nanos>().unwrap().0, Ordering::Relaxed);
    fetch(&options, &broker).unwrap();
    let stored = candles(&journal);
    assert_eq!(stored.len(), 75);
    assert!(stored.windows(2).all(|pair| pair[0].1 < pair[1].1));
}

/// Stops a command after some steps, wherever that is.
struct Stop(u64);

impl Progress for Stop {
    fn keep_going(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

#[test]
fn interrupted_anywhere_and_run_again_it_is_one_clean_run() {
    let dir = tempfile::tempdir().unwrap();
    let clean = dir.path().join("clean");
    let broker = Broker::at(EVENING);
    let of = |journal: &Path| options(journal, &["TCS", "RELIANCE", "ZOMATO"], "2025-01-01", Some("2025-06-09"));
    let expected = fetch(&of(&clean), &broker).unwrap();
    let pages = broker.asked();
    assert_eq!(pages, 6);
    let steps = expected.ingest.as_ref().unwrap().frames / 100 + pages;
    for step in (1..=pages + 3).chain((pages..steps).step_by(61)) {
        let journal = dir.path().join(format!("journal-{step}"));
        let stopped = run(&of(&journal), || Ok(&broker), &mut Stop(step));
        assert!(stopped.is_err(), "step {step} of {steps}");
        let before = broker.asked();
        let resumed = fetch(&of(&journal), &broker).unwrap();
        let after = broker.asked();
        assert_eq!(resumed.content, expected.content, "stopped after step {step}");
        assert_eq!((before + after, resumed.requests), (pages, after), "no page is asked for twice");
        assert_eq!(resumed.coverage, expected.coverage);
        std::fs::remove_dir_all(&journal).unwrap();
    }
}

#[test]
fn a_broken_wire_or_a_lost_cache_changes_nothing_but_the_requests() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::at(EVENING);
    let of = |name: &str| options(&dir.path().join(name), &["TCS", "RELIANCE"], "2025-01-01", Some("2025-06-09"));
    let expected = fetch(&of("clean"), &broker).unwrap();
    for breaks_after in 0..4 {
        let name = format!("broken-{breaks_after}");
        broker.asked();
        broker.breaks_after.store(breaks_after, Ordering::Relaxed);
        let error = fetch(&of(&name), &broker).unwrap_err().to_string();
        assert!(error.contains("goes on where it stopped"), "{error}");
        broker.breaks_after.store(u64::MAX, Ordering::Relaxed);
        if breaks_after % 2 == 1 {
            std::fs::remove_dir_all(dir.path().join(&name).join("cache")).unwrap();
        }
        assert_eq!(fetch(&of(&name), &broker).unwrap().content, expected.content);
    }
    // A page that a hand has changed is not taken for one.
    broker.asked();
    broker.breaks_after.store(3, Ordering::Relaxed);
    let damaged = of("damaged");
    assert!(fetch(&damaged, &broker).is_err());
    for entry in std::fs::read_dir(damaged.journal.join("cache/fetch")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap() + "TCS,2025-06-09,1,1,1,1,1\n";
        std::fs::write(&path, text).unwrap();
    }
    broker.breaks_after.store(u64::MAX, Ordering::Relaxed);
    broker.asked();
    let report = fetch(&damaged, &broker).unwrap();
    assert_eq!((report.content, report.resumed_pages, broker.asked()), (expected.content, 0, 4));
}

/// RL-06: a session that ends underway is begun once more; when that ends too, the command does, and the next goes on.
#[test]
fn a_session_that_ends_is_begun_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::at(EVENING);
    let of = |name: &str| {
        let symbols = ["TCS", "RELIANCE", "ZOMATO"];
        options(&dir.path().join(name), &symbols, "2025-01-01", Some("2025-06-09"))
    };
    let expected = fetch(&of("clean"), &broker).unwrap();
    assert_eq!((broker.asked(), broker.logins.load(Ordering::Relaxed)), (6, 1));
    broker.session_pages.store(4, Ordering::Relaxed);
    let report = fetch(&of("once"), &broker).unwrap();
    assert_eq!(
        (report.content, broker.asked(), broker.logins.load(Ordering::Relaxed)),
        (expected.content.clone(), 6, 3)
    );
    broker.session_pages.store(2, Ordering::Relaxed);
    let error = fetch(&of("twice"), &broker).unwrap_err().to_string();
    assert!(error.contains("the session with the broker is over"), "{error}");
    assert_eq!((broker.asked(), broker.logins.load(Ordering::Relaxed)), (4, 5));
    let report = fetch(&of("twice"), &broker).unwrap();
    assert_eq!((report.content, report.resumed_pages, broker.asked()), (expected.content, 4, 2));
}

/// RL-09: nothing is imputed: a bar that nobody traded in stays out, and its session is partial.
#[test]
fn nothing_is_filled() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::at(EVENING);
    let options = options(&dir.path().join("hist"), &["TCS"], "2025-06-09", Some("2025-06-09"));
    let report = fetch(&options, &broker).unwrap();
    assert_eq!((report.coverage[0].bars, report.coverage[0].incomplete[0].expected), (74, 75));
    let opened: Vec<i64> = candles(&options.journal).iter().map(|(_, open, _)| *open).collect();
    assert!(opened.windows(2).any(|pair| pair[1] - pair[0] == 600 * SECOND), "the gap is there");
}

/// A broker whose pages are changed on their way.
struct Changed<'a, F>(&'a Broker, F);

impl<F: Fn(&mut Vec<BrokerCandle>) + Sync> HistorySource for Changed<'_, F> {
    fn now(&self) -> Nanos {
        self.0.now()
    }
    fn log_in(&self) -> Result<(), KiteError> {
        (&self.0).log_in()
    }
    fn instruments(&self, exchange: &str) -> Result<String, KiteError> {
        (&self.0).instruments(exchange)
    }
    fn page(&self, token: Token, interval: Interval, from: Nanos, to: Nanos) -> Result<Page, KiteError> {
        let mut page = (&self.0).page(token, interval, from, to)?;
        page.bad.clear();
        (self.1)(&mut page.candles);
        Ok(page)
    }
}

/// RL-08: reversed, repeated and overlapping pages make the same store.
#[test]
fn the_order_of_a_page_and_what_it_repeats_change_nothing() {
    type Change = fn(&mut Vec<BrokerCandle>);
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::at(EVENING);
    let mut stored = Vec::new();
    let changes: [(&str, Change); 3] = [
        ("as-they-come", |_| {}),
        ("reversed", |candles| candles.reverse()),
        ("twice", |candles| candles.extend_from_within(..)),
    ];
    for (name, change) in changes {
        let options = options(&dir.path().join(name), &["TCS"], "2025-06-02", Some("2025-06-09"));
        let report = run(&options, || Ok(Changed(&broker, change)), &mut ()).unwrap();
        assert_eq!(report.coverage[0].bars, 6 * 74, "{name}");
        stored.push(candles(&options.journal));
    }
    assert!(stored[0].len() == 6 * 74 && stored.iter().all(|one| *one == stored[0]));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(12))]

    /// SQ-04: a candle that breaks low <= min(open, close) <= max(open, close) <= high never reaches the journal's
    /// candles; it is quarantined with its reason, and no other is.
    #[test]
    fn what_breaks_the_order_of_prices_is_quarantined(
        prices in proptest::collection::vec((90i64..110, 90i64..110, 90i64..110, 90i64..110), 74),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let broker = Broker::at(EVENING);
        let options = options(&dir.path().join("hist"), &["TCS"], "2025-06-09", Some("2025-06-09"));
        let given = prices.clone();
        let change = move |candles: &mut Vec<BrokerCandle>| {
            for (candle, (open, high, low, close)) in candles.iter_mut().zip(&given) {
                [candle.open, candle.high, candle.low, candle.close] = [open, high, low, close].map(|one| Price::from_units(*one));
            }
        };
        let report = run(&options, || Ok(Changed(&broker, change)), &mut ()).unwrap();
        let whole = |&&(open, high, low, close): &&(i64, i64, i64, i64)| low <= open.min(close) && open.max(close) <= high;
        let good = prices.iter().filter(whole).count() as u64;
        let ingest = report.ingest.unwrap();
        proptest::prop_assert_eq!((ingest.kept, ingest.quarantined_total()), (good, 74 - good));
        for (_, _, candle) in candles(&options.journal) {
            let (open, close) = (candle.open(), candle.close());
            proptest::prop_assert!(candle.low() <= open.min(close) && open.max(close) <= candle.high());
        }
    }
}

/// SQ-03: an unknown symbol is refused with what is near it, before anything is asked for it.
#[test]
fn unknown_symbols_are_refused_before_any_request() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::at(EVENING);
    let options = options(&dir.path().join("hist"), &["RELIANC", "TCS"], "2025-06-02", Some("2025-06-09"));
    let error = fetch(&options, &broker).unwrap_err().to_string();
    assert!(error.contains("NSE:RELIANC") && error.contains("RELIANCE"), "{error}");
    assert_eq!(broker.asked(), 0);
}

#[test]
fn a_refused_symbol_costs_no_other_and_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::at(EVENING);
    broker.refused = Some(2_953_217);
    let options = options(&dir.path().join("hist"), &["RELIANCE", "TCS"], "2025-06-02", Some("2025-06-09"));
    let report = fetch(&options, &broker).unwrap();
    assert_eq!(report.failed.iter().map(|failed| failed.symbol.as_str()).collect::<Vec<_>>(), ["TCS"]);
    assert!(report.failed[0].reason.contains("invalid token"));
    assert_eq!(report.coverage[1].incomplete.len(), 6);
    broker.refused = None;
    broker.asked();
    let again = fetch(&options, &broker).unwrap();
    assert_eq!((again.requests, again.failed.len(), again.coverage[1].incomplete.len()), (1, 0, 6));
    assert_eq!(again.coverage[1].incomplete[0].bars, 74);
}

#[test]
fn a_range_in_which_nobody_traded_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    // A list of today, an instrument that did not exist then: no candles at all.
    struct Empty<'a>(&'a Broker);
    impl HistorySource for Empty<'_> {
        fn now(&self) -> Nanos {
            self.0.now()
        }
        fn log_in(&self) -> Result<(), KiteError> {
            Ok(())
        }
        fn instruments(&self, exchange: &str) -> Result<String, KiteError> {
            self.0.instruments(exchange)
        }
        fn page(&self, _: Token, _: Interval, _: Nanos, _: Nanos) -> Result<Page, KiteError> {
            self.0.requests.fetch_add(1, Ordering::Relaxed);
            Ok(Page::default())
        }
    }
    let broker = Broker::at(EVENING);
    let options = options(&dir.path().join("hist"), &["TCS"], "2025-06-02", Some("2025-06-09"));
    let first = run(&options, || Ok(Empty(&broker)), &mut ()).unwrap();
    assert_eq!((broker.asked(), first.coverage[0].bars), (1, 0));
    assert!(first.coverage[0].incomplete.iter().all(|one| one.status == Status::Missing));
    let again = run(&options, || Ok(Empty(&broker)), &mut ()).unwrap();
    assert_eq!((broker.asked(), again.complete_before, again.content), (0, true, first.content));
    assert!(daybook_journal::verify(&options.journal, None).unwrap().is_sound());
}

/// What came from files counts: fetch begins behind the last stored candle.
#[test]
fn history_that_was_ingested_is_not_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("hist");
    let mut text = String::from("Symbol,Date,Open,High,Low,Close,Volume\n");
    for day in 2..=4 {
        for minute in (0..375).step_by(5) {
            let (hour, rest) = (9 + (15 + minute) / 60, (15 + minute) % 60);
            text += &format!("TCS,2025-06-{day:02} {hour:02}:{rest:02}:00,10,12,9,11,5\n");
        }
    }
    let file = dir.path().join("tcs.csv");
    std::fs::write(&file, text).unwrap();
    let mut ingest = IngestOptions::new(vec![file], journal.clone(), Calendar::nse());
    ingest.duplicates = Duplicates::Quarantine;
    ingest.interval = Some(Interval::minutes(5));
    ingest.segments.segment_bytes = 64 * 1024;
    ingest::run(&ingest, &mut ()).unwrap();
    let broker = Broker::at(EVENING);
    let report = fetch(&options(&journal, &["TCS"], "2025-06-02", Some("2025-06-06")), &broker).unwrap();
    assert_eq!((report.requests, report.ingest.unwrap().kept), (1, 2 * 74));
    assert_eq!((report.coverage[0].complete, report.coverage[0].sessions), (3, 5));
}

#[test]
fn options_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::at(EVENING);
    let good = options(&dir.path().join("hist"), &["TCS"], "2025-06-02", Some("2025-06-09"));
    let bad = [
        FetchOptions { interval: Interval::minutes(7), ..good.clone() },
        FetchOptions { symbols: Vec::new(), ..good.clone() },
        FetchOptions { symbols: vec!["a\nb".to_owned()], ..good.clone() },
        FetchOptions { to: Some("2025-06-01".parse().unwrap()), ..good.clone() },
        FetchOptions { workers: 0, ..good },
    ];
    for options in bad {
        assert!(matches!(fetch(&options, &broker), Err(FetchError::BadOption(_))));
    }
    assert!(!dir.path().join("hist").exists() && broker.asked() == 0);
}
