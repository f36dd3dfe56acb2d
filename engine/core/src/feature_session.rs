//! What features are told of a session: its hours, and where its month and year began.
//!
//! - Everything comes from the calendar, by date, so that features are the same live, in backtest and in training.
//! - On a date that the calendar has as closed, or does not know, the hours that were met stand in for it; the anchors
//!   are the calendar's all the same.

use crate::input::SessionHours;
use chrono::Datelike;
use daybook_config::Calendar;
use daybook_features::Session;
use daybook_vocabulary::{Date, Nanos};

/// The session of `hours` as features see it.
pub fn feature_session(calendar: &Calendar, hours: &SessionHours) -> Session {
    let date = hours.date;
    let civil = date.civil();
    let begins = |days: u32| Date(date.0 - days as i32);
    let month_opens = first_open(calendar, begins(civil.day0()), hours);
    let year_opens = first_open(calendar, begins(civil.ordinal0()), hours);
    let known = calendar.session_for_data(date);
    let (open, close) = known.as_ref().map_or((hours.open, hours.close), |session| (session.open(), session.close()));
    let end = known.as_ref().map_or(close, |session| session.end());
    let early_close = known.is_some_and(|session| calendar.is_short(&session));
    assert!(month_opens <= open && year_opens <= month_opens, "a month and a year begin before their sessions");
    Session { date, open, close, end, early_close, month_opens, year_opens }
}

/// When the first session on or after `from` opens, at the latest the one that was met.
fn first_open(calendar: &Calendar, from: Date, hours: &SessionHours) -> Nanos {
    let mut dates = (from.0..hours.date.0).map(Date);
    let first = dates.find_map(|date| calendar.session_for_data(date));
    let own = || calendar.session_for_data(hours.date).map_or(hours.open, |session| session.open());
    first.map_or_else(own, |session| session.open())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(date: &str) -> Session {
        let calendar = Calendar::nse();
        let date: Date = date.parse().expect("a date");
        let met = date.midnight() + 5 * 3_600_000_000_000;
        feature_session(&calendar, &SessionHours { date, open: met, close: met + 1 })
    }

    /// RL-12: an evening session is short; an ordinary one is not, nor is a whole session on a Saturday.
    #[test]
    fn the_calendar_says_hours_and_anchors() {
        let muhurat = session("2024-11-01");
        assert!(muhurat.early_close);
        assert_eq!(muhurat.open.to_string(), "2024-11-01T12:30:00Z");
        assert_eq!(muhurat.month_opens, muhurat.open, "the first session of that November");
        let monday = session("2024-11-04");
        assert!(!monday.early_close);
        assert_eq!(monday.month_opens, muhurat.open);
        assert_eq!(monday.year_opens.to_string(), "2024-01-01T03:45:00Z");
        assert_eq!(monday.close.to_string(), "2024-11-04T10:00:00Z");
        assert!(!session("2024-01-20").early_close);
        // A Sunday without trading: what was met stands in.
        let sunday = session("2024-11-10");
        assert_eq!((sunday.close - sunday.open, sunday.month_opens), (1, muhurat.open));
    }
}
