//! Tests of reading times.

use super::*;
use daybook_vocabulary::Nanos;
use proptest::prelude::*;

fn read(text: &str) -> Option<(String, Option<i32>)> {
    from_text(text.as_bytes(), DateOrder::DayFirst).map(|stamp| (Nanos(stamp.wall).to_string(), stamp.offset))
}

#[test]
fn dates_and_times_as_vendors_write_them() {
    let ist = Some(19_800);
    for (text, wall, offset) in [
        ("2016-09-30 09:15:00", "2016-09-30T09:15:00Z", None),
        ("2016-09-30", "2016-09-30T00:00:00Z", None),
        ("2023-01-02 09:15:00+05:30", "2023-01-02T09:15:00Z", ist),
        ("2023-01-02T09:15:00.250+0530", "2023-01-02T09:15:00.250Z", ist),
        ("2023-01-02T03:45:00Z", "2023-01-02T03:45:00Z", Some(0)),
        ("2023-01-02 03:45 UTC", "2023-01-02T03:45:00Z", Some(0)),
        ("2023/01/02 09:15", "2023-01-02T09:15:00Z", None),
        ("25/11/2025", "2025-11-25T00:00:00Z", None),
        ("25-11-2025 9:15", "2025-11-25T09:15:00Z", None),
        ("5.1.2025 15:30:00", "2025-01-05T15:30:00Z", None),
        ("14-Nov-2025", "2025-11-14T00:00:00Z", None),
        ("01-JAN-99", "1999-01-01T00:00:00Z", None),
        ("3 September 2021 3:05 PM", "2021-09-03T15:05:00Z", None),
        ("20130624", "2013-06-24T00:00:00Z", None),
        ("20130624 13:03", "2013-06-24T13:03:00Z", None),
        ("201306241303", "2013-06-24T13:03:00Z", None),
        ("20130624130359", "2013-06-24T13:03:59Z", None),
        ("1499040000", "2017-07-03T00:00:00Z", Some(0)),
        ("1499040000.5", "2017-07-03T00:00:00.500Z", Some(0)),
        ("1499040000000", "2017-07-03T00:00:00Z", Some(0)),
        ("1499040000000000", "2017-07-03T00:00:00Z", Some(0)),
        ("1499040000000000000", "2017-07-03T00:00:00Z", Some(0)),
    ] {
        assert_eq!(read(text), Some((wall.to_owned(), offset)), "{text}");
    }
}

#[test]
fn what_is_not_a_time() {
    for bad in [
        "",
        "2023",
        "2023-13-01",
        "2023-02-29",
        "32/01/2023",
        "12/13/2023",
        "2023-01-02 25:00",
        "2023-01-02 09:60",
        "2023-01-02x",
        "hello world",
        "2023-01-02 09:15:00 Mars",
        "99999999",
        "1234567",
        "0001-01-01",
        "20231301",
        "13-Foo-2023",
        "2023-01-02 13:00 PM",
        "9223372036854775807",
    ] {
        assert_eq!(read(bad), None, "{bad:?}");
    }
}

#[test]
fn the_order_of_day_and_month_is_the_callers() {
    let march = from_text(b"03/04/2024", DateOrder::MonthFirst).unwrap();
    assert_eq!(Nanos(march.wall).to_string(), "2024-03-04T00:00:00Z");
    assert_eq!(day_month_parts(b"03/04/2024 10:00"), Some((3, 4)));
    assert_eq!(day_month_parts(b"2024-04-03"), None);
    assert_eq!(day_month_parts(b"14-Nov-2025"), None);
}

#[test]
fn two_cells() {
    for clock in ["13:03", "1303", "13:03:00", "130300", "1:03 PM"] {
        let stamp = from_two(b"20130624", clock.as_bytes(), DateOrder::DayFirst).unwrap();
        assert_eq!(Nanos(stamp.wall).to_string(), "2013-06-24T13:03:00Z", "{clock}");
    }
    assert_eq!(from_two(b"20130624", b"915", DateOrder::DayFirst).unwrap().wall % DAY, 9 * HOUR + 15 * MINUTE);
    assert!(from_two(b"20130624", b"7", DateOrder::DayFirst).is_none());
    assert!(from_two(b"2013-06-24 10:00", b"10:00", DateOrder::DayFirst).is_none());
}

#[test]
fn zones() {
    let utc = |zone: &str, wall: &str| {
        let wall = from_text(wall.as_bytes(), DateOrder::DayFirst).unwrap().wall;
        let offset = ZoneClock::new(zone.parse().unwrap()).offset_of_wall(wall)?;
        Some(Nanos(wall - i64::from(offset) * SECOND).to_string())
    };
    assert_eq!(utc("Asia/Kolkata", "2023-01-02 09:15:00").as_deref(), Some("2023-01-02T03:45:00Z"));
    assert_eq!(utc("+05:30", "2023-01-02 09:15:00").as_deref(), Some("2023-01-02T03:45:00Z"));
    assert_eq!(utc("America/New_York", "2024-01-02 09:30:00").as_deref(), Some("2024-01-02T14:30:00Z"));
    assert_eq!(utc("America/New_York", "2024-07-02 09:30:00").as_deref(), Some("2024-07-02T13:30:00Z"));
    assert_eq!(utc("America/New_York", "2024-03-10 02:30:00"), None, "that hour does not exist");
    assert_eq!(utc("America/New_York", "2024-11-03 01:30:00").as_deref(), Some("2024-11-03T05:30:00Z"), "the earlier");
    assert_eq!("Asia/Kolkata".parse::<Zone>().unwrap().to_string(), "Asia/Kolkata");
    assert_eq!("-03:30".parse::<Zone>().unwrap().to_string(), "-03:30");
    assert!("Moon/Base".parse::<Zone>().is_err());
}

proptest! {
    #[test]
    fn remembered_offsets_equal_the_zones_own(seconds in 0i64..4_000_000_000, step in 0i64..200_000) {
        for name in ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"] {
            let zone: chrono_tz::Tz = name.parse().unwrap();
            let mut clock = ZoneClock::new(Zone::Named(zone));
            for instant in [seconds * SECOND, (seconds + step) * SECOND] {
                let offset = clock.offset_at(instant);
                prop_assert_eq!(offset, offset_at(zone, instant));
                if let Some(back) = clock.offset_of_wall(instant + i64::from(offset) * SECOND) {
                    prop_assert!((back - offset).abs() <= 3600, "{} and {}", back, offset);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_a_time_or_not(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = from_text(&bytes, DateOrder::DayFirst);
        let _ = from_two(&bytes, &bytes, DateOrder::MonthFirst);
        let _ = day_month_parts(&bytes);
    }

    #[test]
    fn almost_times_never_panic(text in "[0-9]{1,4}[-/. ][0-9A-Za-z]{1,4}[-/. ][0-9]{1,4}[ T]?[0-9:.+Z ]{0,20}") {
        let _ = from_text(text.as_bytes(), DateOrder::DayFirst);
    }

    #[test]
    fn printed_times_read_back(seconds in -2_000_000_000i64..4_000_000_000) {
        let time = Nanos(seconds * SECOND);
        prop_assert_eq!(from_text(time.to_string().as_bytes(), DateOrder::DayFirst).map(|stamp| stamp.wall), Some(time.0));
    }
}
