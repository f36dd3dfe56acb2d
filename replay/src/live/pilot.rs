//! The pilot: says when sessions open, when candles of a moment are in, and when the day is over.
//!
//! - It is told the time and what the feed says; it holds no clock and no socket, so a test drives a day in a moment.
//! - A slice comes when every subscribed instrument has shown something later than its bar, or when `grace` has passed.
//!   What the feed brings afterwards moves marks and decides nothing.
//! - The journal never steps back in time: a feed or a clock that does is held at the last frame's time. That it did is
//!   not said yet.
//! - After a restart it goes on with the next bar's end. Slices that were missed are not made up: nothing was known then.
//! - Must never: decide. It says what time it is, and the core decides.

use super::recorder::{Heard, Recorder};
use crate::error::ReplayError;
use daybook_config::{Calendar, calendar::Day, calendar::Session};
use daybook_core::{Output, SessionHours, span};
use daybook_journal::{Head, SealKey};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{InstrumentId, Interval, Label, Nanos, SessionClosed, SessionOpened, SliceTaken};

/// The broker's last words on a day are waited for so long.
const CLOSE_WITHIN: i64 = 90 * SECOND;

/// Where a live day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before the session opens.
    Waiting,
    /// The session is open.
    Open,
    /// The last slice was taken and the session closed.
    Over,
}

/// What a pilot is told once.
#[derive(Debug, Clone)]
pub struct Course {
    /// When sessions open and close.
    pub calendar: Calendar,
    /// Length of the bars that are decided on.
    pub interval: Interval,
    /// How long after a bar's end its stragglers are waited for, in nanoseconds.
    pub grace: i64,
    /// Instruments that the feed was asked for.
    pub subscribed: usize,
}

/// Flies one session from its open to its close.
pub struct Pilot {
    recorder: Recorder,
    course: Course,
    session: Session,
    stage: Stage,
    /// End of the bars whose slice comes next.
    next: Nanos,
    /// The last slice of the session was taken.
    closing: bool,
    /// Why the last process of the session had halted entries.
    halt: Option<Label>,
    /// The latest exchange time each instrument has shown.
    shown: Vec<Nanos>,
}

/// Hears what the core concludes, as it does.
pub type Ear<'a> = &'a mut dyn FnMut(Nanos, &[Output]);

impl Pilot {
    /// For the session of `now`'s date; nothing on a day without trading, an error where the calendar ends.
    pub fn new(recorder: Recorder, course: Course, now: Nanos) -> Result<Option<Self>, ReplayError> {
        let date = course.calendar.date_of(now);
        let Day::Session(session) = course.calendar.require(date)? else { return Ok(None) };
        let shown = vec![Nanos::MIN; course.subscribed];
        let (stage, next) = match recorder.session() {
            Some(opened) if opened.date == date => {
                (Stage::Open, end_of_bar(&session, course.interval, recorder.now().max(session.open())))
            }
            _ => (Stage::Waiting, end_of_bar(&session, course.interval, session.open())),
        };
        Ok(Some(Self { recorder, course, session, stage, next, closing: false, halt: None, shown }))
    }

    /// For a day that was closed before the process began again: only its end is missing.
    pub(crate) fn after_the_close(self) -> Self {
        Self { stage: Stage::Over, ..self }
    }

    /// Tells what the feed says, `now`.
    pub fn feed(&mut self, now: Nanos, heard: &Heard, ear: Ear<'_>) -> Result<(), ReplayError> {
        self.time(now, ear)?;
        if let Heard::Print(id, print) = heard {
            self.show(*id, print.exchange_time());
            // A print of the next bar may complete the set that the slice of this one waits for; the slice is first.
            self.time(now, ear)?;
        }
        self.say(now, heard, ear)
    }

    /// Tells what time it is: opens the session, takes the slices that are due, closes the session.
    pub fn time(&mut self, now: Nanos, ear: Ear<'_>) -> Result<(), ReplayError> {
        if self.stage == Stage::Waiting && now >= self.session.open() {
            let opened =
                SessionOpened { date: self.session.date, open: self.session.open(), close: self.session.close() };
            self.say(now, &Heard::SessionOpened(opened), ear)?;
            self.stage = Stage::Open;
            // A late start waits for the end of the bar that is under way.
            self.next = end_of_bar(&self.session, self.course.interval, now.max(self.session.open()));
        }
        while self.stage == Stage::Open && !self.closing && self.is_due(now) {
            let slice = SliceTaken { interval: self.course.interval, at: self.next };
            self.say(now, &Heard::Slice(slice), ear)?;
            self.closing = self.next >= self.session.close();
            // One slice for all the bars that ended while nobody looked.
            self.next = end_of_bar(&self.session, self.course.interval, now.max(self.next));
        }
        if self.stage == Stage::Open && self.closing && self.is_settled(now) {
            self.say(now, &Heard::SessionClosed(SessionClosed { date: self.session.date }), ear)?;
            self.stage = Stage::Over;
        }
        Ok(())
    }

    /// Remembers why the last process had halted entries.
    pub(super) fn remember_halt(&mut self, source: Option<Label>) {
        self.halt = source;
    }

    /// Says it, once.
    pub(super) const fn take_halt(&mut self) -> Option<Label> {
        self.halt.take()
    }

    /// When something is due at the latest, for a timer; nothing when the day is over.
    pub fn due(&self) -> Option<Nanos> {
        match self.stage {
            Stage::Waiting => Some(self.session.open()),
            Stage::Open => Some(self.next + self.course.grace),
            Stage::Over => None,
        }
    }

    /// Where the day stands.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// When the session opens and when its continuous trading ends.
    pub fn session(&self) -> (Nanos, Nanos) {
        (self.session.open(), self.session.close())
    }

    /// The recorder, to commit and to look at the core.
    pub const fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Ends the session, whatever the stage.
    pub fn end(self, seal: Option<&SealKey>) -> Result<Head, ReplayError> {
        self.recorder.end(seal)
    }

    /// Leaves the session as it stands, to be taken up again.
    pub fn leave(self) -> Result<Head, ReplayError> {
        self.recorder.leave()
    }

    fn is_due(&self, now: Nanos) -> bool {
        let all_there = !self.shown.is_empty() && self.shown.iter().all(|shown| *shown >= self.next);
        now >= self.next + self.course.grace || (now >= self.next && all_there)
    }

    /// A broker has the last word on the day's orders; it is waited for, but not for ever.
    fn is_settled(&self, now: Nanos) -> bool {
        let core = self.recorder.core();
        let settled = core.working_orders().next().is_none() && !core.awaits_broker();
        !core.is_brokered() || settled || now >= self.session.close() + CLOSE_WITHIN
    }

    fn show(&mut self, id: InstrumentId, at: Nanos) {
        if let Some(shown) = self.shown.get_mut(id.index()) {
            *shown = at.max(*shown);
        }
    }

    fn say(&mut self, now: Nanos, heard: &Heard, ear: Ear<'_>) -> Result<(), ReplayError> {
        let at = now.max(self.recorder.now());
        let outputs = self.recorder.hear(at, heard)?;
        ear(at, outputs);
        Ok(())
    }
}

/// The end of the bar that `time` lies in; after the close, the close: whoever looks so late still has to take it.
fn end_of_bar(session: &Session, interval: Interval, time: Nanos) -> Nanos {
    let hours = SessionHours { date: session.date, open: session.open(), close: session.close() };
    let mut end = span(&hours, interval, time).end;
    // A pause between two windows has no bars of its own.
    while end < session.close() && !session.contains(end + -1) {
        end = span(&hours, interval, end).end;
    }
    end.min(session.close())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_end_on_the_sessions_grid_and_at_its_close() {
        let calendar = Calendar::nse();
        let Day::Session(session) = calendar.day("2025-06-10".parse().unwrap()) else { panic!("a trading day") };
        let minutes = |count: i64| session.open() + count * 60_000_000_000;
        let five: Interval = "5m".parse().unwrap();
        assert_eq!(end_of_bar(&session, five, session.open()), minutes(5));
        assert_eq!(end_of_bar(&session, five, minutes(5)), minutes(10));
        assert_eq!(end_of_bar(&session, five, minutes(5) + -1), minutes(5));
        assert_eq!(end_of_bar(&session, "1h".parse().unwrap(), minutes(370)), session.close());
        assert_eq!(end_of_bar(&session, Interval::DAY, session.open()), session.close());
        assert_eq!(end_of_bar(&session, five, session.close() + 3_600_000_000_000), session.close());
    }
}
