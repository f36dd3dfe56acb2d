//! The journal of a training, and what is read back from it.
//!
//! - Frames have no clock: a frame's time is the step it speaks of, so two trainings of one seed have one content.
//! - A training taken up again begins a run at its checkpoint; of a step recorded twice the later one counts.

use daybook_journal::{Draft, Journal, Options, Writer, flags};
use daybook_replay::winner::Ground;
use daybook_train::evaluate::Comparison;
use daybook_train::run::Saved;
use daybook_train::{StepRecord, TrainError};
use daybook_vocabulary::{CheckpointWritten, Event, Hash, ModelNumber, PayloadBuffer, Ratio, TrainingStep};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// A training's journal, open for writing.
pub struct TrainingJournal {
    writer: Writer,
    buffer: PayloadBuffer,
}

/// What a training's journal tells.
#[derive(Debug, Default)]
pub struct Told {
    /// Steps, in order, each once.
    pub steps: BTreeMap<u64, TrainingStep>,
    /// Evaluations, in order.
    pub evaluations: Vec<Measured>,
}

/// An evaluation as the journal tells it.
#[derive(Debug)]
pub struct Measured {
    /// Steps the model was trained for.
    pub steps: u64,
    /// The model.
    pub model: Hash,
    /// Its average reward.
    pub avg_reward: f64,
    /// Everything that was measured; none where another version wrote it.
    pub comparison: Option<Comparison>,
    /// Where it was measured; none where another version wrote it.
    pub measured: Option<Ground>,
}

/// How an evaluation's report is written in the journal: the comparison's fields, and where it was measured.
#[derive(Serialize)]
pub struct Reported<'a> {
    #[serde(flatten)]
    comparison: &'a Comparison,
    measured: &'a Ground,
}

impl Reported<'_> {
    /// As one line of JSON.
    pub fn text(comparison: &Comparison, measured: &Ground) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Reported { comparison, measured })
    }
}

/// What is read back of it beside the comparison.
#[derive(Deserialize)]
struct Where {
    measured: Ground,
}

impl TrainingJournal {
    /// Opens the journal of a training's folder, or makes it.
    pub fn open(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let writer = Writer::open_or_create(&folder.join("journal"), Options::session())?;
        Ok(Self { writer, buffer: PayloadBuffer::new() })
    }

    /// Appends an event that speaks of a step; `begins` where the training begins or is taken up.
    pub fn append(&mut self, step: u64, event: &Event, begins: bool) -> Result<(), Box<dyn Error>> {
        self.buffer.clear();
        let schema = event.encode(&mut self.buffer);
        let flags = if begins { flags::RUN_START } else { 0 };
        let draft = Draft { time: step as i64, kind: event.kind().number(), schema, flags, stream: 0 };
        self.writer.append(draft, &self.buffer)?;
        Ok(())
    }

    /// Appends a step.
    pub fn step(&mut self, record: &StepRecord) -> Result<(), Box<dyn Error>> {
        let number = |value: f64| ModelNumber::new(value as f32).ok_or("a measure of a step is no number");
        let event = TrainingStep {
            step: record.step,
            transitions: record.transitions,
            actions: record.actions,
            loss: number(record.loss)?,
            reward: number(record.reward)?,
            q: number(record.q)?,
            gradient_norm: number(record.gradient_norm)?,
            epsilon: Ratio(daybook_vocabulary::decimal::from_f64(record.epsilon)?),
        };
        self.append(record.step, &Event::TrainingStep(event), false)
    }

    /// Appends a checkpoint and makes all so far durable.
    pub fn saved(&mut self, saved: &Saved) -> Result<(), Box<dyn Error>> {
        let hash = |text: &str| text.parse::<Hash>().map_err(|_| "a content hash is 64 hexadecimal digits");
        let (checkpoint, model) = (hash(&saved.checkpoint)?, hash(&saved.model)?);
        let event = CheckpointWritten { step: saved.step, checkpoint, model };
        self.append(saved.step, &Event::CheckpointWritten(event), false)?;
        self.sync()
    }

    /// Makes all so far durable.
    pub fn sync(&mut self) -> Result<(), Box<dyn Error>> {
        self.writer.commit()?;
        Ok(self.writer.sync()?)
    }

    /// Closes it.
    pub fn close(self) -> Result<(), Box<dyn Error>> {
        self.writer.close()?;
        Ok(())
    }
}

/// Reads a training's journal.
pub fn told(folder: &Path) -> Result<Told, Box<dyn Error>> {
    let journal = Journal::open(&folder.join("journal"))?;
    let mut told = Told::default();
    let mut cursor = journal.cursor(0);
    while let Some(frame) = cursor.next()? {
        match Event::decode(frame.kind, frame.schema, frame.payload)? {
            Event::TrainingStep(step) => drop(told.steps.insert(step.step, step)),
            Event::Evaluation(one) => told.evaluations.push(Measured {
                steps: one.steps,
                model: one.model,
                avg_reward: f64::from(one.avg_reward.value()),
                comparison: serde_json::from_str(&one.report).ok(),
                measured: serde_json::from_str(&one.report).ok().map(|found: Where| found.measured),
            }),
            _ => {}
        }
    }
    Ok(told)
}

/// An error of the journal as the trainer passes it on.
pub fn as_training_error(error: &dyn Error) -> TrainError {
    TrainError::Setting { key: "the training's journal", value: "not written".to_owned(), why: error.to_string() }
}
