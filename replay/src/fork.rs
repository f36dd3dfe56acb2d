//! `fork`: what if? A run taken up after any of its events, with other settings from there on.
//!
//! - Up to the fork everything follows from the parent's settings, and is compared with what the parent recorded.
//! - After it orders, positions and the ledger stay as they were; every decision is made under the new settings, by a
//!   strategy that has learned the bars of the prefix and nothing else. A strategy whose parameters stay is kept whole.
//! - A step is never split: all that one input led to is the parent's, or the fork's.
//! - The session of a fork holds its own outputs only. Its header holds all it takes to derive them again, also where
//!   what it took up is a fork itself. Its tables and its summary tell the whole story, from the first run's first bar;
//!   a `seq` in them is that of the journal that holds the event: the run's up to the fork, the fork's own after it.
//! - A session with a broker goes on at our own exchange: what works there is taken over, and what the broker is recorded
//!   to have said after the fork is not heard. A fork sends nothing.
//! - It must never take up a run that does not derive again: the state at the fork would be another one.

use crate::audit::{AuditSink, prepare};
use crate::backtest::without_broker;
use crate::backtest::{BacktestOutcome, Prepared};
use crate::compare::{Comparison, compare};
use crate::driver::{CHECK_EVERY, Sink, Source, run};
use crate::error::ReplayError;
use crate::plan::Plan;
use crate::recorded::Recorded;
use crate::report::{Manifest, Summary};
use crate::rundir::{describe, refuse_to_replace, remove, replace, sibling};
use crate::session::{Progress, SessionSink, Snapshotting};
use crate::told::Told;
use crate::winner::Trust;
use daybook_config::Venue;
use daybook_core::strategy::Strategy;
use daybook_core::{Body, Conclusion, Core, Outbox, Setup};
use daybook_journal::{Options, Snapshots, Writer};
use daybook_vocabulary::{Hash, Instrument, Kind, Nanos, Parent, SessionHeader, SessionMode};
use serde::Serialize;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

/// Settings that what has happened so far depends on.
const FIXED: [&str; 4] = ["cash", "engine.timeframe", "seed", "live.venue"];

/// What to take up, where, and how it goes on.
#[derive(Debug, Clone)]
pub struct ForkOptions {
    /// Places where the input journals may be.
    pub candidates: Vec<PathBuf>,
    /// The user's calendar, where there is one.
    pub calendar_file: Option<PathBuf>,
    /// Whose winners are believed, where a change names a model by its place.
    pub trust: Trust,
    /// The last frame of the parent that stays.
    pub at: u64,
    /// Parameters and settings that change.
    pub changes: Vec<(String, String)>,
    /// Directory of the fork.
    pub out: PathBuf,
    /// Replace a run that is there.
    pub force: bool,
    /// Hash of the executable.
    pub binary: Hash,
    /// Differences to tell of each kind.
    pub limit: usize,
    /// Trades the report draws.
    pub chart_trades: usize,
}

/// A fork, and how it differs from its parent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forked {
    /// What was taken up.
    pub parent: Parent,
    /// Content hash of the fork's journal.
    pub journal_head: Hash,
    /// Parent (left) and fork (right), from the fork on.
    pub comparison: Comparison,
    /// What the whole story came to, from the first bar on.
    pub summary: Summary,
}

/// Forks a run into `options.out`: a session of its own, tables, summary, report and a manifest. `seconds` says how long
/// the command has been running: durations are shown, they enter no result.
pub fn fork(
    parent: &Recorded,
    options: &ForkOptions,
    seconds: &dyn Fn() -> f64,
    progress: Progress<'_>,
) -> Result<Forked, ReplayError> {
    let refuse = |reason: String| ReplayError::NoFork { run: parent.path.clone(), reason };
    let frames = parent.journal.head().frames;
    // The last frame is the digest at the end, after which nothing is decided.
    if options.at + 1 >= frames {
        let last = frames.saturating_sub(2);
        return Err(refuse(format!("nothing is decided after seq {}; --at takes 0 to {last}", options.at)));
    }
    if options.out.exists() {
        refuse_to_replace(&options.out, options.force)?;
    }
    let (mut before, prepared) = prepare(parent, &options.candidates, options.calendar_file.clone())?;
    let prepared = match parent.holds_its_inputs() {
        true => prepared.with_session(Some(Recorded::open_until(&parent.path, parent.until)?)),
        false => prepared,
    };
    let changes = before.name_model(&options.changes, &options.trust)?;
    let mut after = before.with(&changes, &FIXED).map_err(refuse)?;
    // What the broker would say to other orders nobody knows: our own exchange takes over.
    after.settings.live_venue = without_broker(after.settings.live_venue);
    let building = sibling(&options.out, "partial")?;
    remove(&building)?;
    fs::create_dir_all(&building).map_err(ReplayError::file(&building))?;
    let (named, summary) = write_session(parent, options, &prepared, [&before, &after], &building, seconds, progress)?;
    Manifest::write(&building, &prepared.places()?).map_err(|error| ReplayError::Report(error.to_string()))?;
    replace(&building, &options.out)?;
    let fork = Recorded::open(&options.out.join("journal"))?;
    let comparison = compare(parent, &fork, options.limit)?;
    Ok(Forked { parent: named, journal_head: Hash(fork.journal.head().content.0), comparison, summary })
}

fn write_session(
    parent: &Recorded,
    options: &ForkOptions,
    prepared: &Prepared,
    [before, after]: [&Plan; 2],
    building: &Path,
    seconds: &dyn Fn() -> f64,
    progress: Progress<'_>,
) -> Result<(Parent, Summary), ReplayError> {
    let started = seconds();
    let mut stages = stages(&parent.header, &before.model_places)?;
    let taken = parent.header.parent.as_ref().map_or(0, |before| before.outputs);
    let until = match parent.holds_its_inputs() {
        true => Until::Input(options.at),
        false => Until::Outputs(taken + (options.at + 1).saturating_sub(parent.outputs)),
    };
    stages.push(Stage { plan: before.clone(), until });
    let begins = Nanos(parent.journal.frame(0)?.frame().time);
    let (mut unasked, mut untold) = (|_| (), |_| ());
    let listeners: [Progress<'_>; 2] = [&mut unasked, &mut untold];
    let mut check = Story::begin(parent, taken, &prepared.selection.instruments, begins, building, listeners)?;
    let (mut core, mut source) = take_up(prepared, &stages, after, &mut check)?;
    if let Some(difference) = check.heard.met() {
        return Err(ReplayError::NoFork {
            run: parent.path.clone(),
            reason: format!("it does not derive again at seq {}; `daybook audit` tells more", difference.seq),
        });
    }
    // The step that frame belongs to may have led to more.
    let seq = check.heard.next_seq().saturating_sub(1).max(options.at);
    check.written.end()?.close()?;
    let named = Parent {
        journal_head: Hash(parent.journal.head().content.0),
        seq,
        content: Hash(parent.journal.content_at(seq + 1)?.0),
        outputs: taken + outputs_until(parent, seq)?,
        strategy: before.strategy.clone(),
        settings: before.written(),
    };
    let header = header_of(parent, named.clone(), after, options.binary)?;
    if let Some((path, name)) = after.attachment()? {
        let copy = building.join(name);
        fs::copy(&path, &copy).map_err(ReplayError::file(&copy))?;
    }
    let writer = Writer::create(&building.join("journal"), Options::session())?;
    let instruments = &prepared.selection.instruments;
    let mut sink = SessionSink::begin(writer, &header, instruments, begins, no_snapshots(building), progress)?;
    run(&mut source, &mut core, &mut sink, CHECK_EVERY)?;
    let head = sink.end()?.close()?;
    let outcome = BacktestOutcome {
        counts: core.counts(),
        cash: core.ledger().start,
        header,
        digest: core.last_digest(),
        head,
        calendar_unknown: source.met_unknown_dates(),
    };
    let before = building.join(BEFORE);
    let report =
        crate::report::ReportOptions { chart_trades: options.chart_trades, ..crate::report::ReportOptions::default() };
    let summary = describe(building, Some(&before), &outcome, prepared, seconds() - started, report)?;
    remove(&before)?;
    Ok((named, summary))
}

/// The header of a fork: everything it takes to derive it again.
fn header_of(parent: &Recorded, named: Parent, after: &Plan, binary: Hash) -> Result<SessionHeader, ReplayError> {
    Ok(SessionHeader {
        mode: SessionMode::Fork,
        binary,
        config: after.hash(),
        strategy: after.strategy.clone(),
        settings: after.written(),
        inputs: match parent.holds_its_inputs() {
            true => vec![parent.as_input()?],
            false => parent.header.inputs.clone(),
        },
        parent: Some(named),
        ancestors: parent.header.lineage().cloned().collect(),
        ..parent.header.clone()
    })
}

/// Where the story up to the fork lies while the fork is built.
const BEFORE: &str = "before";

/// A state on the way cannot be gone on from without the parent's part: a fork keeps none.
fn no_snapshots(building: &Path) -> Snapshotting {
    Snapshotting { store: Snapshots::new(&building.join("cache"), 0), every: 0 }
}

/// The story up to the fork: written once more for the report, and compared as far as the parent recorded it.
struct Story<'a> {
    written: SessionSink<'a>,
    heard: AuditSink<'a>,
    /// Outputs that others recorded before the parent.
    unheard: u64,
}

impl<'a> Story<'a> {
    fn begin(
        parent: &'a Recorded,
        unheard: u64,
        instruments: &[Instrument],
        begins: Nanos,
        building: &Path,
        [unasked, untold]: [Progress<'a>; 2],
    ) -> Result<Self, ReplayError> {
        let writer = Writer::create(&building.join(BEFORE), Options::session())?;
        let snapshots = no_snapshots(building);
        let written = SessionSink::begin(writer, &parent.header, instruments, begins, snapshots, unasked)?;
        Ok(Self { written, heard: AuditSink::new(parent, parent.outputs, untold), unheard })
    }
}

impl Sink for Story<'_> {
    /// What a live session was told stands in its journal, between its outputs.
    fn begin(&mut self, input: &daybook_core::Input<'_>) -> Result<bool, ReplayError> {
        if self.unheard > 0 { Ok(true) } else { self.heard.begin(input) }
    }

    fn commit(&mut self, time: Nanos, out: &mut Outbox) -> Result<bool, ReplayError> {
        self.written.commit(time, out)?;
        if self.unheard > 0 {
            self.unheard = self.unheard.saturating_sub(out.outputs().len() as u64);
            return Ok(true);
        }
        self.heard.commit(time, out)
    }

    fn checkpoint(&mut self, _: &Core, _: &dyn Source) -> Result<(), ReplayError> {
        Ok(())
    }
}

/// Outputs of the core, from the start, that a plan's settings led to.
pub(crate) struct Stage {
    plan: Plan,
    /// When the next plan took over.
    until: Until,
}

/// The end of a stage: the next step is the next plan's.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// There were so many outputs.
    Outputs(u64),
    /// In a session that holds its inputs, where some lead to nothing: the next one stands behind this frame.
    Input(u64),
}

/// Outputs in a session's journal up to a frame.
fn outputs_until(recorded: &Recorded, seq: u64) -> Result<u64, ReplayError> {
    if !recorded.holds_its_inputs() {
        return Ok((seq + 1).saturating_sub(recorded.outputs));
    }
    let mut cursor = recorded.journal.cursor(recorded.outputs).until(seq + 1);
    let mut count = 0;
    while cursor.advance()? {
        count += u64::from(Kind::from_number(cursor.frame().kind).is_some_and(Kind::is_output));
    }
    Ok(count)
}

/// What a fork's header says came before it: nothing for a run.
///
/// `places` are where a model that decided is looked for.
pub(crate) fn stages(header: &SessionHeader, places: &[PathBuf]) -> Result<Vec<Stage>, ReplayError> {
    let of_a_session = header.inputs.iter().any(|input| input.rank == 0);
    let stage = |(index, parent): (usize, &Parent)| {
        let mut plan = Plan::read(&parent.strategy, &parent.settings)?;
        plan.model_places = places.to_vec();
        // The first run of the story is the session whose recorded market all of it is told on.
        let by_input = of_a_session && index == 0;
        let until = if by_input { Until::Input(parent.seq) } else { Until::Outputs(parent.outputs) };
        Ok(Stage { plan, until })
    };
    header.lineage().enumerate().map(stage).collect()
}

/// The core and its source after the step that led to the last output of the stages, under the new plan.
///
/// Audit and fork both come here: what the header of a fork says is enough. `check` hears the outputs, and where it
/// returns false nothing more is heard.
pub(crate) fn take_up<S: Sink>(
    prepared: &Prepared,
    stages: &[Stage],
    after: &Plan,
    check: &mut S,
) -> Result<(Core, Told), ReplayError> {
    let first = &stages.first().expect("a fork takes something up").plan;
    let mut source = prepared.told(first)?;
    let mut plans = stages.iter().skip(1).map(|stage| &stage.plan).chain([after]);
    // Limits that come later look back beyond the fork.
    let sessions = |plan: &Plan| Ok(plan.portfolio(&prepared.selection)?.map_or(0, |limits| limits.looks_back_at()));
    let sessions = plans.clone().map(sessions).collect::<Result<Vec<_>, ReplayError>>()?;
    let core = first.core(&prepared.selection, &prepared.filter, prepared.range)?;
    let mut core = core.that_remembers(sessions.into_iter().max().unwrap_or(0));
    // Every plan's strategy learns the bars from the first on, whenever its turn comes.
    let setup = |plan: &Plan| plan.setup(&prepared.selection, &prepared.filter, prepared.range);
    let mut waiting: VecDeque<Setup> = plans.clone().map(setup).collect::<Result<_, _>>()?;
    let (mut done, mut going) = (0, true);
    // The input that a stage looked at and left to the next one.
    let mut left = false;
    for stage in stages {
        while going && !matches!(stage.until, Until::Outputs(until) if done >= until) {
            if !std::mem::take(&mut left) && !source.advance()? {
                break;
            }
            if matches!(stage.until, Until::Input(last) if source.input().cause.seq > last) {
                left = true;
                break;
            }
            (done, going) = step(&mut core, &source, &mut waiting, done, check)?;
        }
        let (Some(next), Some(plan)) = (waiting.pop_front(), plans.next()) else { break };
        core.go_on_under(next, plan.strategy == stage.plan.strategy && plan.parameters == stage.plan.parameters)?;
        if plan.settings.live_venue != Venue::Broker {
            core.leave_broker();
        }
        core = plan.equip(core, &prepared.selection)?;
    }
    if left {
        source.again();
    }
    Ok((core, source))
}

/// One input through the core and through the strategies whose turn comes later. Says how many outputs there are, and
/// whether to go on.
fn step<S: Sink>(
    core: &mut Core,
    source: &Told,
    waiting: &mut VecDeque<Setup>,
    done: u64,
    check: &mut S,
) -> Result<(u64, bool), ReplayError> {
    let input = source.input();
    if !check.begin(&input)? {
        return Ok((done, false));
    }
    for next in waiting.iter_mut() {
        match input.body {
            Body::Candle(id, candle) if next.timeframe.is_none() => next.strategy.on_bar(id, candle),
            Body::SessionOpened(hours) => next.strategy.on_session(&hours),
            _ => {}
        }
    }
    let mut out = Outbox::new();
    core.step(&input, &mut out)?;
    if out.is_empty() {
        return Ok((done, true));
    }
    for next in waiting.iter_mut() {
        learn_bars(next.strategy.as_mut(), &out);
    }
    let count = out.outputs().len() as u64;
    Ok((done + count, check.commit(input.time, &mut out)?))
}

/// Teaches a strategy the bars that were built.
fn learn_bars(strategy: &mut dyn Strategy, out: &Outbox) {
    for output in out.outputs() {
        if let Conclusion::Bar(bar) = &output.body {
            strategy.on_bar(output.stream, bar.candle());
        }
    }
}
