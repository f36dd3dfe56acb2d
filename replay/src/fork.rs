//! `fork`: what if? A run taken up after any of its events, with other settings from there on.
//!
//! - Up to the fork everything follows from the parent's settings, and is compared with what the parent recorded.
//! - After it orders, positions and the ledger stay as they were; every decision is made under the new settings, by a
//!   strategy that has learned the bars of the prefix and nothing else. A strategy whose parameters stay is kept whole.
//! - A step is never split: all that one input led to is the parent's, or the fork's.
//! - The session of a fork holds its own outputs only. Its header holds all it takes to derive them again.
//! - It must never take up a run that does not derive again: the state at the fork would be another one.

use crate::audit::{AuditSink, prepare};
use crate::backtest::Prepared;
use crate::compare::{Comparison, compare};
use crate::driver::{CHECK_EVERY, Sink, Source, run};
use crate::error::ReplayError;
use crate::history::HistorySource;
use crate::plan::Plan;
use crate::recorded::Recorded;
use crate::report::Manifest;
use crate::rundir::{refuse_to_replace, remove, replace, sibling};
use crate::session::{Progress, SessionSink, Snapshotting};
use daybook_core::strategy::Strategy;
use daybook_core::{Body, Conclusion, Core, Outbox};
use daybook_journal::{Options, Snapshots, Writer};
use daybook_vocabulary::{Hash, Parent, SessionHeader, SessionMode};
use serde::Serialize;
use std::fs;
use std::path::PathBuf;

/// Settings that what has happened so far depends on.
const FIXED: [&str; 3] = ["cash", "engine.timeframe", "seed"];

/// What to take up, where, and how it goes on.
#[derive(Debug, Clone)]
pub struct ForkOptions {
    /// Places where the input journals may be.
    pub candidates: Vec<PathBuf>,
    /// The user's calendar, where there is one.
    pub calendar_file: Option<PathBuf>,
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
}

/// Forks a run into `options.out`: a session of its own, and a manifest.
pub fn fork(parent: &Recorded, options: &ForkOptions, progress: Progress<'_>) -> Result<Forked, ReplayError> {
    let refuse = |reason: String| ReplayError::NoFork { run: parent.path.clone(), reason };
    if parent.header.parent.is_some() {
        return Err(refuse("it is a fork itself; fork the run it came from".to_owned()));
    }
    let frames = parent.journal.head().frames;
    // The last frame is the digest at the end, after which nothing is decided.
    if options.at + 1 >= frames {
        let last = frames.saturating_sub(2);
        return Err(refuse(format!("nothing is decided after seq {}; --at takes 0 to {last}", options.at)));
    }
    if options.out.exists() {
        refuse_to_replace(&options.out, options.force)?;
    }
    let (before, prepared) = prepare(parent, &options.candidates, options.calendar_file.clone())?;
    let after = before.with(&options.changes, &FIXED).map_err(refuse)?;
    let building = sibling(&options.out, "partial")?;
    remove(&building)?;
    fs::create_dir_all(&building).map_err(ReplayError::file(&building))?;
    let named = write_session(parent, options, &prepared, [&before, &after], &building, progress)?;
    let ranked = prepared.histories.iter().zip(1u32..);
    let inputs: Vec<_> = ranked.map(|(history, rank)| (rank, history.id(), history.path.clone())).collect();
    Manifest::write(&building, &inputs).map_err(|error| ReplayError::Report(error.to_string()))?;
    replace(&building, &options.out)?;
    let fork = Recorded::open(&options.out.join("journal"))?;
    let comparison = compare(parent, &fork, options.limit)?;
    Ok(Forked { parent: named, journal_head: Hash(fork.journal.head().content.0), comparison })
}

fn write_session(
    parent: &Recorded,
    options: &ForkOptions,
    prepared: &Prepared,
    [before, after]: [&Plan; 2],
    building: &std::path::Path,
    progress: Progress<'_>,
) -> Result<Parent, ReplayError> {
    let wanted = (options.at + 1).saturating_sub(parent.outputs);
    let mut nothing = |_| ();
    let mut check = AuditSink::new(parent, parent.outputs, &mut nothing);
    let (mut core, mut source) = take_up(prepared, before, after, wanted, &mut check)?;
    if let Some(difference) = check.met() {
        return Err(ReplayError::NoFork {
            run: parent.path.clone(),
            reason: format!("it does not derive again at seq {}; `daybook audit` tells more", difference.seq),
        });
    }
    // The step that frame belongs to may have led to more.
    let seq = check.next_seq().saturating_sub(1).max(options.at);
    let named = Parent {
        journal_head: Hash(parent.journal.head().content.0),
        seq,
        content: Hash(parent.journal.content_at(seq + 1)?.0),
        outputs: (seq + 1).saturating_sub(parent.outputs),
        strategy: before.strategy.clone(),
        settings: before.written(),
    };
    let header = SessionHeader {
        mode: SessionMode::Fork,
        binary: options.binary,
        config: after.hash(),
        strategy: after.strategy.clone(),
        settings: after.written(),
        parent: Some(named.clone()),
        ..parent.header.clone()
    };
    let begins = daybook_vocabulary::Nanos(parent.journal.frame(0)?.frame().time);
    let journal = building.join("journal");
    if let Some(found) = after.model()? {
        let copy = building.join(crate::learned::MODEL_FILE);
        std::fs::copy(&found.path, &copy).map_err(ReplayError::file(&copy))?;
    }
    let writer = Writer::create(&journal, Options::session())?;
    // A state on the way cannot be gone on from without the parent's part: a fork keeps none.
    let snapshots = Snapshotting { store: Snapshots::new(&building.join("cache"), 0), every: 0 };
    let instruments = &prepared.selection.instruments;
    let mut sink = SessionSink::begin(writer, &header, instruments, begins, snapshots, progress)?;
    run(&mut source, &mut core, &mut sink, CHECK_EVERY)?;
    sink.end()?.close()?;
    Ok(named)
}

/// The core and its source after the step that led to the parent's output number `outputs`, under the new plan.
///
/// Audit and fork both come here: what the header of a fork says is enough. `check` hears the parent's outputs, and
/// where it returns false nothing more is heard.
pub(crate) fn take_up<S: Sink>(
    prepared: &Prepared,
    before: &Plan,
    after: &Plan,
    outputs: u64,
    check: &mut S,
) -> Result<(Core, HistorySource), ReplayError> {
    let mut source = prepared.source(before)?;
    let mut core = before.core(&prepared.selection, &prepared.filter, prepared.range)?;
    let mut next = after.setup(&prepared.selection, &prepared.filter, prepared.range)?;
    let learns_bars = next.timeframe.is_some();
    let mut out = Outbox::new();
    let mut done = 0;
    while done < outputs && source.advance()? {
        let input = source.input();
        match input.body {
            Body::Candle(id, candle) if !learns_bars => next.strategy.on_bar(id, candle),
            Body::SessionOpened(hours) => next.strategy.on_session(&hours),
            _ => {}
        }
        let time = input.time;
        core.step(&input, &mut out)?;
        if out.is_empty() {
            continue;
        }
        learn_bars(next.strategy.as_mut(), &out);
        done += out.outputs().len() as u64;
        let go_on = check.commit(time, &mut out)?;
        out.clear();
        if !go_on {
            break;
        }
    }
    core.go_on_under(next, after.parameters == before.parameters)?;
    Ok((after.equip(core, &prepared.selection)?, source))
}

/// Teaches a strategy the bars that were built.
fn learn_bars(strategy: &mut dyn Strategy, out: &Outbox) {
    for output in out.outputs() {
        if let Conclusion::Bar(bar) = &output.body {
            strategy.on_bar(output.stream, bar.candle());
        }
    }
}
