//! `audit`: derive every output of a session again and compare it with what was recorded, byte for byte.
//!
//! - Everything comes from the run header and the input journals it names; nothing of this machine's settings counts.
//! - An input that is missing, or is not what the session read, is an error that names it, never a difference.

use crate::backtest::Prepared;
use crate::catalog::{History, Selection, decode};
use crate::driver::{CHECK_EVERY, Position, Sink, Source, run};
use crate::error::ReplayError;
use crate::plan::Plan;
use crate::recorded::Recorded;
use crate::session::{Progress, Saved};
use daybook_core::{Core, Input, Outbox, Output};
use daybook_journal::{Cursor, Frame, Journal, Snapshots};
use daybook_vocabulary::{Hash, InstrumentId, Kind, Nanos, PayloadBuffer, SessionHeader};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditReport {
    /// `equal` or `different`.
    pub verdict: &'static str,
    /// Outputs compared.
    pub compared: u64,
    /// Where record and derivation part.
    pub first_difference: Option<Difference>,
    /// Snapshots from which the rest was derived as well.
    pub snapshots: u64,
    /// `same` when this executable wrote the session, else `differs`.
    pub binary: &'static str,
}

/// The first output that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Sequence number in the session's journal.
    pub seq: u64,
    /// Kind of the output that was recorded, or of the one derived where nothing was recorded.
    pub kind: String,
    /// The field that differs.
    pub field: String,
    /// What the journal says.
    pub recorded: serde_json::Value,
    /// What was derived.
    pub derived: serde_json::Value,
}

/// Audits a session against journals found at `candidates`, in which the inputs are looked up by id.
pub fn audit(
    recorded: &Recorded,
    candidates: &[PathBuf],
    binary: Hash,
    calendar_file: Option<PathBuf>,
    snapshots: Option<&Snapshots>,
    progress: Progress<'_>,
) -> Result<AuditReport, ReplayError> {
    let header = &recorded.header;
    let (plan, prepared) = prepare(recorded, candidates, calendar_file)?;
    let same = binary == header.binary;
    if recorded.holds_its_inputs() {
        return audit_live(recorded, &plan, &prepared, same, snapshots, progress);
    }
    if header.parent.is_some() {
        let mut sink = AuditSink::new(recorded, recorded.outputs, progress);
        let stages = crate::fork::stages(header, &plan.model_places)?;
        let (mut core, mut source) = crate::fork::take_up(&prepared, &stages, &plan, &mut Unheard)?;
        run(&mut source, &mut core, &mut sink, CHECK_EVERY)?;
        return sink.finish(same);
    }
    if let Some(session) = &prepared.session {
        let mut core = plan.core(&prepared.selection, &prepared.filter, prepared.range)?;
        let mut sink = AuditSink::new(recorded, recorded.outputs, progress);
        run(&mut session.inputs(), &mut core, &mut sink, CHECK_EVERY)?;
        return sink.finish(same);
    }
    let new_core = || -> Result<Core, ReplayError> { plan.core(&prepared.selection, &prepared.filter, prepared.range) };
    let mut sink = AuditSink::new(recorded, recorded.outputs, progress);
    run(&mut prepared.source(&plan)?, &mut new_core()?, &mut sink, CHECK_EVERY)?;
    let mut report = sink.finish(same)?;
    let Some(snapshots) = snapshots else { return Ok(report) };
    let key = Saved::key(header);
    for seq in snapshots.all(key)? {
        let Some(saved) = snapshots.load(key, seq).and_then(|bytes| postcard::from_bytes::<Saved>(&bytes).ok()) else {
            continue;
        };
        let mut core = new_core()?;
        core.load(&saved.core)?;
        let Position::History(position) = saved.source else { continue };
        let mut source = prepared.resume(*position)?;
        let mut sink = AuditSink::new(recorded, seq, progress);
        run(&mut source, &mut core, &mut sink, CHECK_EVERY)?;
        report.snapshots += 1;
        let found = sink.finish(same)?;
        if report.first_difference.is_none() && found.first_difference.is_some() {
            report.verdict = found.verdict;
            report.first_difference = found.first_difference;
        }
    }
    Ok(report)
}

/// A session that holds its inputs, from the start and from every state on the way. One that is still running, or was
/// cut off, is audited as far as it goes.
fn audit_live(
    recorded: &Recorded,
    plan: &Plan,
    prepared: &Prepared,
    same: bool,
    snapshots: Option<&Snapshots>,
    progress: Progress<'_>,
) -> Result<AuditReport, ReplayError> {
    let new_core = || plan.core(&prepared.selection, &prepared.filter, prepared.range);
    let mut sink = AuditSink::new(recorded, recorded.outputs, progress).that_may_end_early();
    run(&mut recorded.inputs(), &mut new_core()?, &mut sink, CHECK_EVERY)?;
    let mut report = sink.finish(same)?;
    let Some(snapshots) = snapshots else { return Ok(report) };
    for seq in snapshots.all(Saved::key(&recorded.header))? {
        let Some(saved) = crate::live::believed(recorded, snapshots, seq) else { continue };
        let mut core = new_core()?;
        core.load(&saved.core)?;
        let mut sink = AuditSink::new(recorded, seq, progress).that_may_end_early();
        run(&mut recorded.inputs_from(seq), &mut core, &mut sink, CHECK_EVERY)?;
        report.snapshots += 1;
        let found = sink.finish(same)?;
        if report.first_difference.is_none() && found.first_difference.is_some() {
            report.verdict = found.verdict;
            report.first_difference = found.first_difference;
        }
    }
    Ok(report)
}

/// The plan of a session, and what it reads, all as its header says.
pub(crate) fn prepare(
    recorded: &Recorded,
    candidates: &[PathBuf],
    calendar_file: Option<PathBuf>,
) -> Result<(Plan, Prepared), ReplayError> {
    let header = &recorded.header;
    let mut plan = Plan::read(&header.strategy, &header.settings)?;
    // A path is no part of a header; whether it is the same calendar, its hash says below.
    plan.settings.calendar_file = calendar_file;
    // A run keeps its model beside its journal.
    plan.model_places.extend(recorded.path.parent().map(Path::to_owned));
    let Inputs { histories, session } = find_inputs(header, candidates)?;
    let selection = Selection { instruments: recorded.instruments.clone(), interval: header.filter.interval };
    let calendar = plan.calendar(&selection)?;
    if calendar.hash() != header.calendar {
        return Err(ReplayError::Header(format!(
            "the session used the calendar {}, this program has {}: run the version that wrote it, or give the same calendar.file",
            header.calendar,
            calendar.hash()
        )));
    }
    let prepared = Prepared::new(histories, selection, calendar, header.filter.clone()).with_session(session);
    Ok((plan, prepared))
}

/// Takes outputs that nothing is recorded of: those of a fork's parent.
struct Unheard;

impl Sink for Unheard {
    fn commit(&mut self, _: Nanos, _: &mut Outbox) -> Result<bool, ReplayError> {
        Ok(true)
    }

    fn checkpoint(&mut self, _: &Core, _: &dyn Source) -> Result<(), ReplayError> {
        Ok(())
    }
}

/// What a session reads: journals of history, or the recorded market of another session.
#[derive(Default)]
pub(crate) struct Inputs {
    /// Journals of history, by rank.
    pub(crate) histories: Vec<History>,
    /// The session whose frames causes of rank 0 are.
    pub(crate) session: Option<Recorded>,
}

/// Opens the journals a header names, from wherever they are found, as far as the session read them.
pub(crate) fn find_inputs(header: &SessionHeader, candidates: &[PathBuf]) -> Result<Inputs, ReplayError> {
    let mut inputs = Inputs::default();
    for input in &header.inputs {
        let mut tried = Vec::new();
        let mut found = None;
        for path in candidates {
            match Journal::open(path) {
                Ok(journal) if journal.id().is_some_and(|id| crate::catalog::hex(&id) == input.id) => {
                    found = Some(path);
                    break;
                }
                Ok(_) => tried.push(format!("{} is another journal", path.display())),
                Err(error) => tried.push(error.to_string()),
            }
        }
        let Some(path) = found else {
            let tried = if tried.is_empty() { "no place was given".to_owned() } else { tried.join("; ") };
            return Err(ReplayError::InputMissing(format!(
                "the input journal {} (rank {}) was not found: {tried}; give its place with --journal DIR",
                input.id, input.rank
            )));
        };
        let journal = Journal::open(path)?;
        let content = journal.content_at(input.last_seq + 1)?;
        if content.0 != input.content.0 {
            return Err(ReplayError::InputMissing(format!(
                "{} is not what the session read: its first {} frames have content {content}, the session recorded {}",
                path.display(),
                input.last_seq + 1,
                input.content
            )));
        }
        if input.rank == 0 {
            inputs.session = Some(Recorded::open_until(path, input.last_seq + 1)?);
        } else {
            inputs.histories.push(History::open_until(path, input.last_seq + 1)?);
        }
    }
    Ok(inputs)
}

/// Compares outputs with the recorded frames.
pub(crate) struct AuditSink<'a> {
    recorded: &'a Recorded,
    cursor: Cursor,
    buffer: PayloadBuffer,
    compared: u64,
    difference: Option<Difference>,
    /// Outputs behind the last recorded frame, where a record may end in the middle of a step.
    owed: Option<Vec<Output>>,
    progress: Progress<'a>,
}

impl<'a> AuditSink<'a> {
    pub(crate) fn new(recorded: &'a Recorded, from: u64, progress: Progress<'a>) -> Self {
        Self {
            recorded,
            cursor: recorded.journal.cursor(from),
            buffer: PayloadBuffer::new(),
            compared: 0,
            difference: None,
            owed: None,
            progress,
        }
    }

    /// For a session that was cut off: what the last step owes its journal is kept, not a difference.
    pub(crate) fn that_may_end_early(self) -> Self {
        Self { owed: Some(Vec::new()), ..self }
    }

    /// What the last step owes the journal; an error where anything else differs.
    pub(crate) fn owed(mut self, path: &Path) -> Result<Vec<Output>, ReplayError> {
        if self.difference.is_none()
            && let Some(extra) = next_spoken(&mut self.cursor)?
        {
            self.difference = Some(difference(path, Some(extra), None)?);
        }
        match self.difference {
            None => Ok(self.owed.unwrap_or_default()),
            Some(difference) => Err(ReplayError::NotItsJournal { path: path.to_owned(), seq: difference.seq }),
        }
    }

    fn compare(&mut self, time: Nanos, output: &Output) -> Result<bool, ReplayError> {
        self.buffer.clear();
        let schema = output.body.encode(&mut self.buffer);
        let next = self.cursor.next_seq();
        // Notes stand between the steps of a live session: also before the last digest, which is no input's and does not
        // step back behind them.
        let mut noted = i64::MIN;
        let recorded = match self.recorded.holds_its_inputs() {
            true => next_behind_notes(&mut self.cursor, &mut noted)?,
            false => self.cursor.next()?,
        };
        let derived = Frame {
            seq: recorded.map_or(next, |frame| frame.seq),
            time: time.0.max(noted),
            kind: output.body.kind().number(),
            schema,
            flags: 0,
            stream: output.stream.0,
            payload: &self.buffer,
        };
        if recorded == Some(derived) {
            self.compared += 1;
            return Ok(true);
        }
        if recorded.is_none()
            && let Some(owed) = &mut self.owed
        {
            owed.push(output.clone());
            return Ok(true);
        }
        self.difference = Some(difference(&self.recorded.path, recorded, Some(derived))?);
        Ok(false)
    }

    /// The recorded frame that the next output is compared with.
    pub(crate) fn next_seq(&self) -> u64 {
        self.cursor.next_seq()
    }

    /// The difference that was met.
    pub(crate) fn met(&self) -> Option<&Difference> {
        self.difference.as_ref()
    }

    fn finish(mut self, same_binary: bool) -> Result<AuditReport, ReplayError> {
        if self.difference.is_none()
            && let Some(extra) = next_spoken(&mut self.cursor)?
        {
            self.difference = Some(difference(&self.recorded.path, Some(extra), None)?);
        }
        Ok(AuditReport {
            verdict: if self.difference.is_none() { "equal" } else { "different" },
            compared: self.compared,
            first_difference: self.difference,
            snapshots: 0,
            binary: if same_binary { "same" } else { "differs" },
        })
    }
}

impl Sink for AuditSink<'_> {
    /// An input of the session's own journal must be the next frame there: otherwise an output is recorded that was
    /// not derived.
    fn begin(&mut self, input: &Input<'_>) -> Result<bool, ReplayError> {
        if input.cause.rank != 0 || !self.recorded.holds_its_inputs() {
            return Ok(true);
        }
        let Some(frame) = next_spoken(&mut self.cursor)? else { return Ok(false) };
        if frame.seq == input.cause.seq {
            return Ok(true);
        }
        self.difference = Some(difference(&self.recorded.path, Some(frame), None)?);
        Ok(false)
    }

    fn commit(&mut self, time: Nanos, out: &mut Outbox) -> Result<bool, ReplayError> {
        for output in out.outputs() {
            if !self.compare(time, output)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn checkpoint(&mut self, core: &Core, _: &dyn Source) -> Result<(), ReplayError> {
        (self.progress)(core.counts().inputs);
        Ok(())
    }
}

/// The next frame that the core was told or said: notes on the feed are neither. They stand between steps.
fn next_spoken(cursor: &mut Cursor) -> Result<Option<Frame<'_>>, ReplayError> {
    let mut noted = i64::MIN;
    next_behind_notes(cursor, &mut noted)
}

/// The same, with the time of the last note that was passed over, where one was.
fn next_behind_notes<'a>(cursor: &'a mut Cursor, noted: &mut i64) -> Result<Option<Frame<'a>>, ReplayError> {
    while cursor.advance()? {
        let note = [Kind::FeedState, Kind::ClockJumped].map(Kind::number);
        if !note.contains(&cursor.frame().kind) {
            return Ok(Some(cursor.frame()));
        }
        *noted = cursor.frame().time;
    }
    Ok(None)
}

fn difference(path: &Path, recorded: Option<Frame<'_>>, derived: Option<Frame<'_>>) -> Result<Difference, ReplayError> {
    let describe = |frame: Option<Frame<'_>>| -> Result<serde_json::Value, ReplayError> {
        let Some(frame) = frame else { return Ok(serde_json::Value::Null) };
        let event = decode(path, frame)?;
        let payload = serde_json::to_value(&event).unwrap_or_default();
        Ok(serde_json::json!({
            "kind": event.kind().word(),
            "time": Nanos(frame.time).to_string(),
            "stream": InstrumentId(frame.stream),
            "payload": payload,
        }))
    };
    let (left, right) = (describe(recorded)?, describe(derived)?);
    let present = if recorded.is_some() { &left } else { &right };
    let kind = present.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
    let seq = recorded.or(derived).map_or(0, |frame| frame.seq);
    let (field, recorded, derived) = first_field(&left, &right);
    Ok(Difference { seq, kind, field, recorded, derived })
}

/// The first field in which two values differ, as a dotted path, with both sides of it.
fn first_field(left: &serde_json::Value, right: &serde_json::Value) -> (String, serde_json::Value, serde_json::Value) {
    if let (Some(left), Some(right)) = (left.as_object(), right.as_object()) {
        let differing = left.iter().find(|(name, value)| right.get(name.as_str()) != Some(value));
        if let Some((name, value)) = differing {
            let null = serde_json::Value::Null;
            let other = right.get(name).unwrap_or(&null);
            let (inner, recorded, derived) = first_field(value, other);
            let name = if name == "payload" { String::new() } else { name.clone() };
            let path = match (name.is_empty(), inner.is_empty()) {
                (true, _) => inner,
                (false, true) => name,
                (false, false) => format!("{name}.{inner}"),
            };
            return (path, recorded, derived);
        }
    }
    (String::new(), left.clone(), right.clone())
}
