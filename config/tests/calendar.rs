//! The calendar against frozen facts: what the exchange did on days that are easy to get wrong, counted and spot by
//! spot, and what files may and may not change.
//!
//! - Facts are written in exchange time; instants are compared in UTC.

use daybook_config::{Calendar, ConfigError, Day, Session};
use daybook_vocabulary::time::{DAY, MINUTE};
use daybook_vocabulary::{Date, Interval, Nanos};
use proptest::prelude::*;
use std::path::PathBuf;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// `2024-03-02 09:15` in India.
fn india(text: &str) -> Nanos {
    format!("{}:00+05:30", text.replace(' ', "T")).parse().unwrap()
}

fn session(calendar: &Calendar, text: &str) -> Session {
    match calendar.day(date(text)) {
        Day::Session(session) => session,
        other => panic!("{text} is {other:?}"),
    }
}

fn windows(calendar: &Calendar, text: &str) -> Vec<(Nanos, Nanos)> {
    session(calendar, text).windows.iter().map(|window| (window.open, window.close)).collect()
}

fn sessions(calendar: &Calendar, from: &str, to: &str) -> usize {
    calendar.days(date(from), date(to)).filter(|(_, day)| matches!(day, Day::Session(_))).count()
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn every_year_has_as_many_sessions_as_the_exchange_held() {
    let nse = Calendar::nse();
    // The stretch for which bars of six stocks were compared day by day.
    assert_eq!(sessions(&nse, "2023-01-02", "2025-07-31"), 641);
    assert_eq!(sessions(&nse, "2023-04-03", "2023-06-01"), 40);
    assert_eq!(sessions(&nse, "2025-01-01", "2025-07-18"), 137);
    assert_eq!(sessions(&nse, "2023-01-01", "2023-12-31"), 246);
    assert_eq!(sessions(&nse, "2024-01-01", "2024-12-31"), 249);
    assert_eq!(sessions(&nse, "2025-01-01", "2025-12-31"), 249);
    assert_eq!(sessions(&nse, "2026-01-01", "2026-12-31"), 247);
}

#[test]
fn holidays_are_closed_with_their_names() {
    let nse = Calendar::nse();
    for (text, name) in [
        ("2023-03-07", "Holi"),
        ("2023-06-29", "Bakri Id"),
        ("2023-11-14", "Diwali Balipratipada"),
        ("2024-01-22", "Special holiday (Ram Mandir)"),
        ("2024-05-20", "General election, Mumbai"),
        ("2024-11-20", "Maharashtra assembly election"),
        ("2025-04-10", "Mahavir Jayanti"),
        ("2026-01-15", "Municipal elections, Maharashtra"),
        ("2026-12-25", "Christmas"),
        ("2025-07-19", "weekend"),
    ] {
        assert_eq!(nse.day(date(text)), Day::Closed { label: name.into() }, "{text}");
        assert_eq!(nse.session_for_data(date(text)), None, "{text}");
    }
    // Announced for 28 June and moved by a day: the market traded.
    assert_eq!(windows(&nse, "2023-06-28"), [(india("2023-06-28 09:15"), india("2023-06-28 15:30"))]);
}

#[test]
fn special_sessions_have_their_own_hours() {
    let nse = Calendar::nse();
    for (text, hours) in [
        ("2023-11-12", &[("18:15", "19:15")][..]),
        ("2024-01-20", &[("09:15", "15:30")]),
        ("2024-03-02", &[("09:15", "10:00"), ("11:30", "12:30")]),
        ("2024-05-18", &[("09:15", "10:00"), ("11:30", "12:30")]),
        ("2024-11-01", &[("18:00", "19:00")]),
        ("2025-02-01", &[("09:15", "15:30")]),
        ("2025-10-21", &[("13:45", "14:45")]),
        ("2026-02-01", &[("09:15", "15:30")]),
        ("2026-11-08", &[("18:15", "19:15")]),
    ] {
        let at = |time: &str| india(&format!("{text} {time}"));
        let wanted: Vec<_> = hours.iter().map(|(open, close)| (at(open), at(close))).collect();
        assert_eq!(windows(&nse, text), wanted, "{text}");
        let session = session(&nse, text);
        assert!(session.label.is_some() && session.known && session.auction_close.is_none(), "{text}");
        assert_eq!((session.open(), session.close()), (wanted[0].0, wanted[wanted.len() - 1].1), "{text}");
        assert_eq!(session.provisional, text == "2026-11-08", "{text}");
    }
    let drill = session(&nse, "2024-03-02");
    assert!(drill.contains(india("2024-03-02 09:59")) && !drill.contains(india("2024-03-02 10:00")));
    assert!(!drill.contains(india("2024-03-02 11:29")) && drill.contains(india("2024-03-02 11:30")));
}

#[test]
fn the_closing_auction_begins_on_3_august_2026() {
    let nse = Calendar::nse();
    let before = session(&nse, "2026-07-31");
    assert_eq!((before.cas_close, before.auction_open, before.auction_close), (None, None, None));
    assert_eq!(before.derivatives_close, Some(india("2026-07-31 15:30")));
    assert_eq!(before.end(), before.close());

    let after = session(&nse, "2026-08-03");
    assert_eq!(after.close(), india("2026-08-03 15:30"), "stocks without derivatives trade as before");
    assert_eq!(after.cas_close, Some(india("2026-08-03 15:15")));
    assert_eq!(after.auction_open, Some(india("2026-08-03 15:30")));
    assert_eq!(after.auction_close, Some(india("2026-08-03 15:35")));
    assert_eq!(after.end(), india("2026-08-03 15:35"));
    assert_eq!(after.derivatives_close, Some(india("2026-08-03 15:40")));
    assert!(after.in_auction(india("2026-08-03 15:35")) && !after.in_auction(india("2026-08-03 15:36")));
    assert!(!after.contains(india("2026-08-03 15:30")));

    let pre_open = |text: &str| session(&nse, text).pre_open.map(|window| window.close);
    assert_eq!(pre_open("2026-09-04"), Some(india("2026-09-04 09:08")));
    assert_eq!(pre_open("2026-09-07"), Some(india("2026-09-07 09:10")));
}

#[test]
fn candles_are_known_when_they_end_and_never_after_their_window() {
    let nse = Calendar::nse();
    let known = |open: &str, minutes: u32| nse.available_at(india(open), Interval::minutes(minutes));
    assert_eq!(known("2025-01-31 09:15", 1), india("2025-01-31 09:16"));
    assert_eq!(known("2025-01-31 15:25", 5), india("2025-01-31 15:30"));
    assert_eq!(known("2025-01-31 15:25", 10), india("2025-01-31 15:30"), "the last ten minutes are half a bar");
    assert_eq!(known("2025-01-31 15:15", 60), india("2025-01-31 15:30"));
    assert_eq!(known("2024-03-02 09:55", 10), india("2024-03-02 10:00"), "a drill's first window ends early");
    assert_eq!(known("2024-03-02 11:25", 10), india("2024-03-02 11:35"), "one grid through the pause");
    assert_eq!(known("2024-11-01 18:55", 5), india("2024-11-01 19:00"));
    let daily = |open: &str| nse.available_at(india(open), Interval::DAY);
    assert_eq!(daily("2025-01-31 09:15"), india("2025-01-31 15:30"));
    assert_eq!(daily("2024-11-01 18:00"), india("2024-11-01 19:00"));
    assert_eq!(daily("2026-08-03 09:15"), india("2026-08-03 15:35"), "the official close is made by the auction");
    assert_eq!(daily("2016-08-16 09:15"), india("2016-08-16 15:30"));
}

#[test]
fn a_bar_outside_trading_has_no_window() {
    let nse = Calendar::nse();
    let drill = session(&nse, "2024-03-02");
    let window = |open: &str, minutes: u32| {
        drill.window_of(india(&format!("2024-03-02 {open}")), Interval::minutes(minutes)).map(|window| window.open)
    };
    assert_eq!(window("09:14", 1), None, "it ends as the market opens");
    assert_eq!(window("09:00", 60), Some(india("2024-03-02 09:15")));
    assert_eq!(window("10:00", 5), None);
    assert_eq!(window("11:25", 5), None);
    assert_eq!(window("11:25", 10), Some(india("2024-03-02 11:30")));
    assert_eq!(window("12:30", 5), None);
}

#[test]
fn years_outside_the_calendar_are_unknown_and_the_future_must_be_supplied() {
    let nse = Calendar::nse();
    for text in ["2016-08-16", "2022-12-30", "2027-01-04", "1962-01-02"] {
        assert_eq!(nse.day(date(text)), Day::Unknown, "{text}");
        let assumed = nse.session_for_data(date(text)).unwrap();
        assert!(!assumed.known);
        assert_eq!(assumed.open(), india(&format!("{text} 09:15")));
    }
    assert_eq!(nse.require(date("2016-08-16")).unwrap(), Day::Unknown, "old history is used as it is");
    let message = nse.require(date("2027-01-04")).unwrap_err().to_string();
    assert!(message.contains("2027-01-04") && message.contains("calendar.file"), "{message}");
    assert!(nse.require(date("2026-12-25")).is_ok());
}

#[test]
fn the_generic_market_never_closes() {
    let generic = Calendar::generic();
    assert_eq!((generic.market(), generic.sessions_per_year(), generic.zone_offset()), ("generic", 365, 0));
    for text in ["1962-01-02", "2022-01-01", "2040-02-29"] {
        let day = session(&generic, text);
        assert_eq!((day.open(), day.close()), (date(text).midnight(), date(text).next().midnight()));
        assert!(day.known && day.label.is_none());
        assert_eq!(generic.available_at(day.open(), Interval::DAY), day.open() + DAY, "24 h after the label");
        assert_eq!(generic.require(date(text)).unwrap(), Day::Session(day));
    }
    assert_eq!(generic.date_of(Nanos(-1)), Date(-1));
}

#[test]
fn the_zone_decides_the_date() {
    let nse = Calendar::nse();
    assert_eq!((nse.market(), nse.sessions_per_year(), nse.zone_offset()), ("nse", 252, 330 * MINUTE));
    assert_eq!(nse.date_of("2025-01-30T18:29:59Z".parse().unwrap()), date("2025-01-30"));
    assert_eq!(nse.date_of("2025-01-30T18:30:00Z".parse().unwrap()), date("2025-01-31"));
}

#[test]
fn a_file_adds_a_year() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        &folder,
        "2027.toml",
        "market = \"nse\"\nyears = [2027]\n[closed]\n2027-01-26 = \"Republic Day\"\n[special.2027-10-29]\nlabel = \
         \"muhurat\"\ncontinuous = [\"18:15-19:15\"]\n",
    );
    let mut nse = Calendar::nse();
    let hash = nse.hash();
    nse.extend_from_file(&path).unwrap();
    assert_ne!(nse.hash(), hash);
    assert_eq!(nse.known_years().to_string(), "2023, 2024, 2025, 2026, 2027");
    assert_eq!(nse.day(date("2027-01-26")), Day::Closed { label: "Republic Day".into() });
    assert_eq!(session(&nse, "2027-01-25").auction_close, Some(india("2027-01-25 15:35")));
    assert_eq!(windows(&nse, "2027-10-29"), [(india("2027-10-29 18:15"), india("2027-10-29 19:15"))]);
    let again = nse.hash();
    nse.extend_from_file(&path).unwrap();
    assert_eq!(nse.hash(), again, "the same file twice changes nothing");
}

#[test]
fn a_file_that_contradicts_is_refused_and_one_that_says_so_wins() {
    let folder = tempfile::tempdir().unwrap();
    let mut nse = Calendar::nse();
    let hash = nse.hash();
    let closed = "[closed]\n2026-12-24 = \"State mourning\"\n";
    let path = file(&folder, "bad.toml", &format!("market = \"nse\"\nyears = [2026]\n{closed}"));
    let error = nse.extend_from_file(&path).unwrap_err();
    assert!(matches!(error, ConfigError::CalendarContradicts { date: at, .. } if at == date("2026-12-24")), "{error}");
    assert!(error.to_string().contains("15:30") && error.to_string().contains("replaces"), "{error}");
    assert_eq!(nse.hash(), hash, "a refused file changes nothing");

    let path = file(
        &folder,
        "hours.toml",
        "market = \"nse\"\nyears = []\n[[hours]]\nfrom = \"2026-12-01\"\ncontinuous = [\"09:00-15:30\"]\n",
    );
    assert!(nse.extend_from_file(&path).unwrap_err().to_string().contains("2026-12-01"));

    let text = format!("market = \"nse\"\nyears = [2026]\nreplaces = [\"2026-12-24\"]\n{closed}");
    nse.extend_from_file(&file(&folder, "good.toml", &text)).unwrap();
    assert_eq!(nse.day(date("2026-12-24")), Day::Closed { label: "State mourning".into() });

    let text =
        "market = \"nse\"\nyears = [2026]\n[special.2026-11-08]\nlabel = \"muhurat\"\ncontinuous = [\"13:45-14:45\"]\n";
    nse.extend_from_file(&file(&folder, "muhurat.toml", text)).unwrap();
    assert_eq!(session(&nse, "2026-11-08").open(), india("2026-11-08 13:45"), "provisional hours may be replaced");
}

#[test]
fn a_market_that_never_closes_is_not_closed_in_passing() {
    let folder = tempfile::tempdir().unwrap();
    let mut generic = Calendar::generic();
    let closed = "[closed]\n2025-12-25 = \"Christmas\"\n";
    let text = format!("market = \"generic\"\nyears = []\n{closed}");
    let error = generic.extend_from_file(&file(&folder, "closed.toml", &text)).unwrap_err();
    assert!(matches!(error, ConfigError::CalendarContradicts { .. }), "{error}");
    let text = "market = \"generic\"\nyears = []\n[[hours]]\ncontinuous = [\"01:00-02:00\"]\n";
    let error = generic.extend_from_file(&file(&folder, "hours.toml", text)).unwrap_err();
    assert!(error.to_string().contains("remove [[hours]]"), "{error}");
    let text = format!("market = \"generic\"\nyears = []\nreplaces = [\"2025-12-25\"]\n{closed}");
    generic.extend_from_file(&file(&folder, "said.toml", &text)).unwrap();
    assert_eq!(generic.session_for_data(date("2025-12-25")), None);
    assert!(generic.session_for_data(date("2025-12-26")).is_some());
}

#[test]
fn broken_files_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let head = "market = \"nse\"\nyears = [2027]\n";
    for (text, wanted) in [
        ("market = \"nse\"\nyears = [2027]\n[closd]\n", ":3"),
        ("market = \"bse\"\nyears = [2027]\n", "'bse'"),
        ("market = \"nse\"\nyears = \"some\"\n", "years is a list"),
        ("market = \"nse\"\nyears = [99999]\n", "years is a list"),
        (&format!("{head}[closed]\n2027-13-26 = \"x\"\n"), "2027-13-26"),
        (&format!("{head}[closed]\n2028-01-26 = \"x\"\n"), "add the year"),
        (&format!("{head}[special.2027-01-26]\nlabel=\"x\"\ncontinuous=[\"09:15-08:30\"]\n"), "ends before"),
        (&format!("{head}[special.2027-01-26]\nlabel=\"x\"\ncontinuous=[\"9:15-10:30\"]\n"), "span of a day"),
        (&format!("{head}[special.2027-01-26]\nlabel=\"x\"\ncontinuous=[]\n"), "one or two"),
        (
            &format!("{head}[special.2027-01-26]\nlabel=\"x\"\ncontinuous=[\"09:15-10:30\",\"10:00-11:00\"]\n"),
            "before the first",
        ),
        (&format!("{head}[special.2027-01-26]\nlabel=\"x\"\npre_open=\"09:00-09:15\"\n"), "continuous"),
        (&format!("{head}[closed]\n2027-01-26=\"x\"\n[special.2027-01-26]\nlabel=\"x\"\n"), "both"),
        (&format!("{head}zone = \"+05:00\"\n"), "differs"),
        ("market = \"nse\"\nyears = \"all\"\n", "list the years"),
        (&format!("{head}zone = \"Asia/Kolkata\"\n"), "fixed offset"),
        ("", "market"),
        ("\u{0}\u{ff}", ":1"),
    ] {
        let path = file(&folder, "broken.toml", text);
        let message = Calendar::nse().extend_from_file(&path).unwrap_err().to_string();
        assert!(message.contains(wanted) && message.contains("broken.toml"), "{text:?} gave: {message}");
    }
    assert!(matches!(Calendar::by_market("NES"), Err(ConfigError::UnknownMarket { .. })));
    assert!(matches!(Calendar::by_market("no/such.toml"), Err(ConfigError::Read { .. })));
    let alone = file(&folder, "alone.toml", head);
    let message = Calendar::by_market(alone.to_str().unwrap()).unwrap_err().to_string();
    assert!(message.contains("`zone` is missing"), "{message}");
}

#[test]
fn a_whole_market_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = "market = \"tokyo\"\nzone = \"+09:00\"\nsessions_per_year = 245\nyears = [2025]\nweekdays = [\"Mon\", \
                \"Tue\", \"Wed\", \"Thu\", \"Fri\"]\n[[hours]]\ncontinuous = [\"09:00-11:30\", \"12:30-15:30\"]\n";
    let tokyo = Calendar::by_market(file(&folder, "tokyo.toml", text).to_str().unwrap()).unwrap();
    let day = session(&tokyo, "2025-03-03");
    assert_eq!(day.open().to_string(), "2025-03-03T00:00:00Z");
    assert_eq!((day.windows.len(), tokyo.market()), (2, "tokyo"));
    assert_eq!(tokyo.available_at(day.open() + 120 * MINUTE, Interval::minutes(60)), day.windows[0].close);
    assert_ne!(tokyo.hash(), Calendar::nse().hash());
}

#[test]
fn hashes_are_stable() {
    assert_eq!(Calendar::nse().hash(), Calendar::nse().hash());
    assert_ne!(Calendar::nse().hash(), Calendar::generic().hash());
    assert_eq!(Calendar::by_market("nse").unwrap().hash(), Calendar::nse().hash());
}

proptest! {
    #[test]
    fn no_instant_or_date_panics(time in any::<i64>(), days in any::<i32>(), seconds in any::<u32>()) {
        for calendar in [Calendar::nse(), Calendar::generic()] {
            let known = calendar.available_at(Nanos(time), Interval(seconds));
            prop_assert!(known >= Nanos(time) || Interval(seconds).is_daily());
            let _ = (calendar.day(Date(days)), calendar.require(Date(days)));
        }
    }

    #[test]
    fn a_candle_is_known_after_it_opened_and_by_the_close(minute in 0i64..375, days in 0i32..1400, length in 1u32..400) {
        let nse = Calendar::nse();
        let day = Date(date("2023-01-01").0 + days);
        if let Some(session) = nse.session_for_data(day) {
            let open = session.open() + minute * MINUTE;
            let known = nse.available_at(open, Interval::minutes(length));
            prop_assert!(known > open);
            if session.contains(open) {
                prop_assert!(known <= session.close());
                prop_assert!(known.0 - open.0 <= i64::from(length) * MINUTE);
            }
        }
    }
}
