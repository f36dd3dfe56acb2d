//! The place of a row in time: when its bar began, and when it was known.
//!
//! - A daily row stamped at a date or at midnight (on its own wall clock, in UTC or in the market's zone) is the label
//!   of a session: it opens with the session and is known at its end. Any other stamp obeys `--stamp`.
//! - A bar belongs to the trading window its span reaches into; outside every window of its date it is refused, and
//!   exactly at a close it is a closing print.
//! - A bar must lie on the grid of its interval: counted from its window's open, or from the minute of the day that
//!   most rows of the file have (vendors keep one grid through a pause, or through a late open).
//! - Where the calendar lacks the year, a date that has data is a session of ordinary hours, and the year is noted.

use super::Stamp;
use chrono::Datelike;
use daybook_adapters::files::{Reason, Row};
use daybook_config::{Calendar, Session};
use daybook_vocabulary::time::{DAY, HOUR, MINUTE};
use daybook_vocabulary::{Date, Interval, Nanos};
use std::collections::BTreeSet;

/// Places rows; remembers the session of the last one.
pub(crate) struct Placer<'a> {
    calendar: &'a Calendar,
    stamp: Stamp,
    last: Option<(Date, Option<Session>)>,
    /// Years with data that the calendar lacks.
    pub unknown_years: BTreeSet<i32>,
}

/// When a bar began and when it was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub open_time: i64,
    pub time: i64,
}

impl<'a> Placer<'a> {
    pub fn new(calendar: &'a Calendar, stamp: Stamp) -> Self {
        Self { calendar, stamp, last: None, unknown_years: BTreeSet::new() }
    }

    /// Places a row of a file whose rows usually carry `usual_minute` of the day on their wall clock.
    #[inline]
    pub fn place(&mut self, row: &Row, interval: Interval, usual_minute: u32) -> Result<Place, Reason> {
        if interval.is_daily() {
            self.daily(row, interval, usual_minute)
        } else {
            self.intraday(row, interval, usual_minute)
        }
    }

    #[inline]
    fn intraday(&mut self, row: &Row, interval: Interval, usual_minute: u32) -> Result<Place, Reason> {
        let length = interval.nanos();
        let ends = self.stamp == Stamp::End;
        let mut open = if ends { row.instant - length } else { row.instant };
        let date = self.calendar.date_of(Nanos(open));
        let session = self.session(date).ok_or(Reason::OutsideSession)?;
        let Some(window) = session.window_of(Nanos(open), interval) else {
            let at_close = session.windows.iter().any(|window| window.close.0 == open);
            let print = at_close || session.in_auction(Nanos(open));
            return Err(if print { Reason::ClosingPrint } else { Reason::OutsideSession });
        };
        if ends && row.instant == window.close.0 {
            // The last bar of a session may be shorter: it began where the grid's last step did.
            let span = window.close.0 - window.open.0;
            open = open.max(window.open.0 + (span - 1) / length * length);
        }
        let on_window_grid = (open - window.open.0).rem_euclid(length) == 0;
        let on_file_grid = (row.wall() - i64::from(usual_minute) * MINUTE).rem_euclid(length) == 0;
        if !on_window_grid && !on_file_grid {
            return Err(Reason::WrongInterval);
        }
        Ok(Place { open_time: open, time: (open + length).min(window.close.0) })
    }

    fn daily(&mut self, row: &Row, interval: Interval, usual_minute: u32) -> Result<Place, Reason> {
        match self.label(row) {
            Some(date) => {
                let session = self.session(date).ok_or(Reason::OutsideSession)?;
                Ok(Place { open_time: session.open().0, time: session.end().0 })
            }
            None => self.timed_daily(row, interval, usual_minute),
        }
    }

    /// The session a daily row names, when it is stamped at a date or midnight.
    fn label(&self, row: &Row) -> Option<Date> {
        let zone = self.calendar.zone_offset();
        let midnight = |wall: i64| (wall.rem_euclid(DAY) == 0).then(|| Date::of(Nanos(wall), 0));
        midnight(row.wall()).or_else(|| midnight(row.instant)).or_else(|| midnight(row.instant + zone))
    }

    /// A daily row stamped at some hour. Among rows that are labels, or far from the hour of the others, it is a row
    /// of a finer interval.
    fn timed_daily(&mut self, row: &Row, interval: Interval, usual_minute: u32) -> Result<Place, Reason> {
        let usual = i64::from(usual_minute) * MINUTE;
        let labels = usual == 0 || (row.wall_offset == 0 && (usual + self.calendar.zone_offset()).rem_euclid(DAY) == 0);
        let off = (row.wall() - usual).rem_euclid(DAY);
        // An hour of leeway: a zone's clocks go forward and back.
        if labels || off.min(DAY - off) > HOUR {
            return Err(Reason::WrongInterval);
        }
        let stamp = self.stamp;
        let session = self.session(self.calendar.date_of(Nanos(row.instant))).ok_or(Reason::OutsideSession)?;
        let (open, end) = (session.open().0, session.end().0);
        if end - open >= DAY {
            let length = interval.nanos();
            let open_time = if stamp == Stamp::End { row.instant - length } else { row.instant };
            return Ok(Place { open_time, time: open_time + length });
        }
        match stamp {
            Stamp::Start if row.instant < session.close().0 => Ok(Place { open_time: open, time: end }),
            Stamp::End if row.instant > open => Ok(Place { open_time: open, time: end }),
            _ if session.close().0 == row.instant || session.in_auction(Nanos(row.instant)) => {
                Err(Reason::ClosingPrint)
            }
            _ => Err(Reason::OutsideSession),
        }
    }

    #[inline]
    fn session(&mut self, date: Date) -> Option<&Session> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != date) {
            let session = self.calendar.session_for_data(date);
            if session.as_ref().is_some_and(|session| !session.known) {
                self.unknown_years.insert(date.civil().year());
            }
            self.last = Some((date, session));
        }
        self.last.as_ref().and_then(|(_, session)| session.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::time::SECOND;

    const IST: i32 = 19_800;

    fn row(time: &str, wall_offset: i32) -> Row {
        let instant = time.parse::<Nanos>().unwrap().0;
        Row { line: 1, instant, wall_offset, symbol: 0, open: 1, high: 1, low: 1, close: 1, volume: 0 }
    }

    fn place(calendar: &Calendar, stamp: Stamp, time: &str, interval: &str) -> Result<(String, String), Reason> {
        let usual = if interval == "1d" { 0 } else { 555 };
        place_usual(calendar, stamp, time, interval, usual)
    }

    fn place_usual(
        calendar: &Calendar,
        stamp: Stamp,
        time: &str,
        interval: &str,
        usual: u32,
    ) -> Result<(String, String), Reason> {
        let offset = if time.ends_with('Z') { 0 } else { IST };
        let placed = Placer::new(calendar, stamp).place(&row(time, offset), interval.parse().unwrap(), usual)?;
        let local = |time: i64| Nanos(time + i64::from(IST) * SECOND).to_string()[..16].replace('T', " ");
        Ok((local(placed.open_time), local(placed.time)))
    }

    fn pair(open: &str, known: &str) -> Result<(String, String), Reason> {
        Ok((open.to_owned(), known.to_owned()))
    }

    #[test]
    fn bars_of_a_session() {
        let nse = Calendar::nse();
        let start = |time: &str, interval: &str| place(&nse, Stamp::Start, time, interval);
        assert_eq!(start("2025-01-31T09:15:00+05:30", "5m"), pair("2025-01-31 09:15", "2025-01-31 09:20"));
        assert_eq!(start("2025-01-31T15:25:00+05:30", "10m"), pair("2025-01-31 15:25", "2025-01-31 15:30"));
        assert_eq!(start("2025-01-31T15:30:00+05:30", "5m"), Err(Reason::ClosingPrint));
        assert_eq!(start("2025-01-31T15:31:00+05:30", "1m"), Err(Reason::OutsideSession));
        assert_eq!(start("2025-01-31T09:10:00+05:30", "5m"), Err(Reason::OutsideSession));
        assert_eq!(start("2025-02-02T10:00:00+05:30", "5m"), Err(Reason::OutsideSession), "a Sunday");
        assert_eq!(start("2025-01-31T09:17:00+05:30", "5m"), Err(Reason::WrongInterval));
        assert_eq!(start("2025-01-31T09:15:30+05:30", "1m"), Err(Reason::WrongInterval));
        assert_eq!(start("2023-11-12T18:15:00+05:30", "5m"), pair("2023-11-12 18:15", "2023-11-12 18:20"), "muhurat");
        assert_eq!(start("2024-11-01T18:00:00+05:30", "10m"), pair("2024-11-01 18:00", "2024-11-01 18:10"), "own grid");
        assert_eq!(start("2023-07-20T09:55:00+05:30", "10m"), pair("2023-07-20 09:55", "2023-07-20 10:05"));
        // Two windows, 09:15-10:00 and 11:30-12:30, and a grid kept through the pause.
        assert_eq!(start("2024-03-02T09:55:00+05:30", "10m"), pair("2024-03-02 09:55", "2024-03-02 10:00"));
        assert_eq!(start("2024-03-02T11:25:00+05:30", "10m"), pair("2024-03-02 11:25", "2024-03-02 11:35"));
        assert_eq!(start("2024-03-02T10:30:00+05:30", "10m"), Err(Reason::OutsideSession));
    }

    #[test]
    fn bars_stamped_at_their_end() {
        let nse = Calendar::nse();
        let end = |time: &str, interval: &str| place(&nse, Stamp::End, time, interval);
        assert_eq!(end("2025-01-31T09:20:00+05:30", "5m"), pair("2025-01-31 09:15", "2025-01-31 09:20"));
        assert_eq!(end("2025-01-31T15:30:00+05:30", "5m"), pair("2025-01-31 15:25", "2025-01-31 15:30"));
        assert_eq!(end("2025-01-31T15:30:00+05:30", "10m"), pair("2025-01-31 15:25", "2025-01-31 15:30"), "a half bar");
        assert_eq!(end("2025-01-31T09:15:00+05:30", "5m"), Err(Reason::OutsideSession));
    }

    #[test]
    fn daily_rows_are_labels_of_sessions() {
        let nse = Calendar::nse();
        let session = pair("2025-01-31 09:15", "2025-01-31 15:30");
        for label in ["2025-01-31T00:00:00Z", "2025-01-31T00:00:00+05:30", "2025-01-30T18:30:00Z"] {
            for stamp in [Stamp::Start, Stamp::End] {
                assert_eq!(place(&nse, stamp, label, "1d"), session, "{label} {stamp:?}");
            }
        }
        assert_eq!(
            place(&nse, Stamp::Start, "2023-11-12T00:00:00Z", "1d"),
            pair("2023-11-12 18:15", "2023-11-12 19:15")
        );
        assert_eq!(place(&nse, Stamp::Start, "2025-02-02T00:00:00Z", "1d"), Err(Reason::OutsideSession));
        assert_eq!(place(&nse, Stamp::Start, "2025-01-31T09:16:00+05:30", "1d"), Err(Reason::WrongInterval));
        assert_eq!(
            place(&nse, Stamp::Start, "2016-08-16T00:00:00Z", "1d"),
            pair("2016-08-16 09:15", "2016-08-16 15:30")
        );
    }

    #[test]
    fn daily_rows_at_an_hour_obey_the_stamp() {
        let nse = Calendar::nse();
        let session = pair("2025-01-31 09:15", "2025-01-31 15:30");
        let (open, close) = ("2025-01-31T09:15:00+05:30", "2025-01-31T15:30:00+05:30");
        assert_eq!(place_usual(&nse, Stamp::Start, open, "1d", 555), session);
        assert_eq!(place_usual(&nse, Stamp::End, close, "1d", 930), session);
        assert_eq!(place_usual(&nse, Stamp::Start, close, "1d", 930), Err(Reason::ClosingPrint));
        assert_eq!(place_usual(&nse, Stamp::Start, "2025-01-31T12:00:00+05:30", "1d", 555), Err(Reason::WrongInterval));
        let generic = Calendar::generic();
        let at_ten = |stamp| place_usual(&generic, stamp, "2025-01-31T10:00:00Z", "1d", 600);
        assert_eq!(at_ten(Stamp::Start), pair("2025-01-31 15:30", "2025-02-01 15:30"));
        assert_eq!(at_ten(Stamp::End), pair("2025-01-30 15:30", "2025-01-31 15:30"));
        assert_eq!(
            place(&generic, Stamp::End, "2025-01-31T00:00:00Z", "1d"),
            pair("2025-01-31 05:30", "2025-02-01 05:30")
        );
    }

    #[test]
    fn years_without_calendar_are_noted() {
        let nse = Calendar::nse();
        let mut placer = Placer::new(&nse, Stamp::Start);
        for time in ["2016-08-16T03:45:00Z", "2025-01-31T03:45:00Z"] {
            placer.place(&row(time, 0), Interval::MINUTE, 225).unwrap();
        }
        assert_eq!(placer.unknown_years.into_iter().collect::<Vec<_>>(), [2016]);
    }
}
