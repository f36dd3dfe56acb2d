//! Double DQN: one update after another, each a function of parameters, memory and seed.
//!
//! - The online network picks the next action, the target network values it; Huber loss; AdamW; hard copies.
//! - A batch is worked through in micro-batches, one a thread at a time; their gradients are added in their order, so
//!   the number of threads changes no bit.
//! - Targets come from the deciding pass of `daybook-inference`, so a target has the bits of a decision.
//! - Must never: go on after a loss or gradient that is not finite.

use crate::dataset::{Dataset, Outcome};
use crate::device::Backend;
use crate::network::{Example, Learner, Step, Windows, initial_parameters};
use crate::optimiser::{AdamW, clip};
use crate::{Random, TrainError, TrainSettings};
use daybook_inference::{ModelError, Network, Processor, Scaler, Scratch, Shape};
use std::collections::{BTreeMap, BTreeSet};

/// What one update did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// Its number, from 1.
    pub step: u64,
    /// Mean Huber loss over the batch's transitions.
    pub loss: f64,
    /// Mean reward of the batch's transitions.
    pub reward: f64,
    /// Mean Q of the actions that were taken.
    pub q: f64,
    /// Norm of the gradient before the clip.
    pub gradient_norm: f64,
    /// Exploration at this step.
    pub epsilon: f64,
    /// How often the network would BUY, SELL, HOLD in the batch.
    pub actions: [u64; Shape::ACTIONS],
    /// Transitions in the loss.
    pub transitions: u64,
}

/// A training run.
pub struct Trainer {
    pub(crate) settings: TrainSettings,
    pub(crate) shape: Shape,
    pub(crate) scalers: Vec<Scaler>,
    pub(crate) online: Vec<f32>,
    pub(crate) target: Vec<f32>,
    pub(crate) optimiser: AdamW,
    pub(crate) sampling: Random,
    pub(crate) step: u64,
    learners: Vec<Learner>,
}

/// One micro-batch's part of a step.
struct Part {
    step: Step,
    errors: Vec<(usize, f32)>,
    taken: f64,
    reward: f64,
    transitions: u64,
    actions: [u64; Shape::ACTIONS],
}

/// One decision time of a batch.
struct Drawn {
    decision: usize,
    weight: f32,
    outcomes: Vec<Outcome>,
}

impl Trainer {
    /// A new run from its seed.
    pub fn new(
        settings: TrainSettings,
        shape: Shape,
        scalers: Vec<Scaler>,
        threads: usize,
    ) -> Result<Self, TrainError> {
        settings.check()?;
        let online = initial_parameters(&shape, settings.seed);
        let optimiser = AdamW::new(online.len());
        let sampling = Random::named(settings.seed, "sampling");
        Self::assemble(settings, shape, scalers, (online.clone(), online), optimiser, sampling, 0, threads)
    }

    #[expect(clippy::too_many_arguments, reason = "a checkpoint's parts, by name, in one place")]
    pub(crate) fn assemble(
        settings: TrainSettings,
        shape: Shape,
        scalers: Vec<Scaler>,
        (online, target): (Vec<f32>, Vec<f32>),
        optimiser: AdamW,
        sampling: Random,
        step: u64,
        threads: usize,
    ) -> Result<Self, TrainError> {
        if !(1..=1024).contains(&threads) {
            let why = "it must be from 1 to 1024".to_owned();
            return Err(TrainError::Setting { key: "--threads", value: threads.to_string(), why });
        }
        // The network checks parameters and scalers.
        Network::new(shape.clone(), online.clone(), scalers.clone())?;
        let learners = (0..threads).map(|_| Learner::new(&shape, &scalers, Processor::detect())).collect();
        Ok(Self { settings, shape, scalers, online, target, optimiser, sampling, step, learners })
    }

    /// The same run on something else. A card works on one micro-batch at a time.
    pub fn on(mut self, backend: &Backend) -> Self {
        let workers = if matches!(backend, Backend::Own(_)) { self.learners.len() } else { 1 };
        self.learners = (0..workers).map(|_| Learner::on(&self.shape, &self.scalers, backend.clone())).collect();
        self
    }

    /// Updates so far.
    pub fn step_number(&self) -> u64 {
        self.step
    }

    /// What the run does.
    pub fn settings(&self) -> &TrainSettings {
        &self.settings
    }

    /// Threads it works with.
    pub fn threads(&self) -> usize {
        self.learners.len()
    }

    /// The online network as it stands.
    pub fn network(&self) -> Result<Network, TrainError> {
        Ok(Network::new(self.shape.clone(), self.online.clone(), self.scalers.clone())?)
    }

    /// One update.
    pub fn step(&mut self, dataset: &mut dyn Dataset) -> Result<StepRecord, TrainError> {
        let drawn = self.draw(dataset)?;
        let weight_of =
            |one: &Drawn| one.outcomes.iter().filter(|outcome| outcome.counts).count() as f64 * f64::from(one.weight);
        let count: f64 = drawn.iter().map(weight_of).sum();
        let parts = self.parts(&*dataset, &drawn, count)?;
        let mut gradient = vec![0.0f32; self.online.len()];
        let (mut loss, mut taken, mut reward, mut transitions, mut actions) = (0.0, 0.0, 0.0, 0, [0; Shape::ACTIONS]);
        let mut errors = Vec::with_capacity(drawn.len());
        for part in parts {
            gradient.iter_mut().zip(&part.step.gradient).for_each(|(sum, value)| *sum += value);
            loss += part.step.loss;
            taken += part.taken;
            reward += part.reward;
            transitions += part.transitions;
            actions.iter_mut().zip(part.actions).for_each(|(sum, value)| *sum += value);
            errors.extend(part.errors);
        }
        let gradient_norm = clip(&mut gradient, self.settings.clip);
        let diverged = |what| TrainError::Diverged { step: self.step + 1, what };
        if !loss.is_finite() {
            return Err(diverged("loss"));
        }
        if !gradient_norm.is_finite() {
            return Err(diverged("gradient"));
        }
        self.optimiser.update(&mut self.online, &gradient, self.settings.rates());
        self.step += 1;
        if self.step.is_multiple_of(self.settings.target_every) {
            self.target.copy_from_slice(&self.online);
        }
        dataset.learn_errors(&errors);
        let epsilon = self.settings.epsilon(self.step);
        let each = transitions as f64;
        Ok(StepRecord {
            step: self.step,
            loss,
            reward: reward / each,
            q: taken / each,
            gradient_norm,
            epsilon,
            actions,
            transitions,
        })
    }

    fn draw(&mut self, dataset: &dyn Dataset) -> Result<Vec<Drawn>, TrainError> {
        let batch = self.settings.batch_size;
        let none = |hint| TrainError::TooLittle { found: dataset.decisions(), needed: 1, hint };
        if dataset.decisions() == 0 {
            return Err(none(
                "ingest more history, or begin --from later: features need a month before their first bar",
            ));
        }
        let drawn = dataset.sample(&mut self.sampling, batch);
        let drawn: Vec<Drawn> = drawn
            .into_iter()
            .map(|(decision, weight)| Drawn { decision, weight, outcomes: dataset.outcomes(decision) })
            .filter(|drawn| drawn.outcomes.iter().any(|outcome| outcome.counts))
            .collect();
        if drawn.is_empty() {
            return Err(none("no sampled decision time has a transition: the memory holds decisions without outcomes"));
        }
        Ok(drawn)
    }

    /// Every micro-batch's part, in their order; thread k works on the parts k, k + threads, ….
    fn parts(&self, dataset: &dyn Dataset, drawn: &[Drawn], count: f64) -> Result<Vec<Part>, TrainError> {
        let network = |parameters: &[f32]| Network::new(self.shape.clone(), parameters.to_vec(), self.scalers.clone());
        let networks = (network(&self.online)?, network(&self.target)?);
        let chunks: Vec<&[Drawn]> = drawn.chunks(self.settings.micro_batch).collect();
        let threads = self.learners.len().min(chunks.len());
        let work = |worker: usize| -> Vec<Result<Part, TrainError>> {
            let mut scratch = Scratch::default();
            let own = chunks.iter().skip(worker).step_by(threads);
            own.map(|chunk| self.part(dataset, chunk, count, &networks, &self.learners[worker], &mut scratch)).collect()
        };
        let by_thread: Vec<Vec<Result<Part, TrainError>>> = if threads == 1 {
            vec![work(0)]
        } else {
            std::thread::scope(|scope| {
                let work = &work;
                let workers: Vec<_> = (0..threads).map(|worker| scope.spawn(move || work(worker))).collect();
                let join = |worker: std::thread::ScopedJoinHandle<_>| {
                    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                };
                workers.into_iter().map(join).collect()
            })
        };
        let mut by_thread: Vec<_> = by_thread.into_iter().map(Vec::into_iter).collect();
        (0..chunks.len()).map(|index| by_thread[index % threads].next().expect("a part of each chunk")).collect()
    }

    fn part(
        &self,
        dataset: &dyn Dataset,
        chunk: &[Drawn],
        count: f64,
        networks: &(Network, Network),
        learner: &Learner,
        scratch: &mut Scratch,
    ) -> Result<Part, TrainError> {
        let mut examples = Vec::with_capacity(chunk.len());
        let next = self.next_values(dataset, chunk, networks, learner, scratch)?;
        for drawn in chunk {
            let targets = self.targets(drawn, &next);
            let weight = |outcome: &Outcome| if outcome.counts { drawn.weight } else { 0.0 };
            examples.push(Example {
                windows: dataset.windows(drawn.decision),
                actions: drawn.outcomes.iter().map(|outcome| outcome.action).collect(),
                targets,
                weights: drawn.outcomes.iter().map(weight).collect(),
            });
        }
        let step = learner.step(&self.online, &examples, count)?;
        Ok(summarise(chunk, &examples, step))
    }

    /// `reward + γ · Q_target(next)[argmax Q_online(next)]`, without the second term at the end of an episode.
    fn targets(&self, drawn: &Drawn, next: &NextValues) -> Vec<f32> {
        let target = |(symbol, outcome): (usize, &Outcome)| {
            let Some((picks, values)) = outcome.next.filter(|_| outcome.counts).map(|next_one| &next[&next_one]) else {
                return outcome.reward;
            };
            let row = symbol * Shape::ACTIONS..(symbol + 1) * Shape::ACTIONS;
            outcome.reward + self.settings.gamma as f32 * values[row.start + best(&picks[row])]
        };
        drawn.outcomes.iter().enumerate().map(target).collect()
    }

    /// Q of the online and of the target network at every decision time that follows one of these.
    fn next_values(
        &self,
        dataset: &dyn Dataset,
        chunk: &[Drawn],
        (online, target): &(Network, Network),
        learner: &Learner,
        scratch: &mut Scratch,
    ) -> Result<NextValues, TrainError> {
        let counted = chunk.iter().flat_map(|drawn| &drawn.outcomes).filter(|outcome| outcome.counts);
        let next: BTreeSet<u32> = counted.filter_map(|outcome| outcome.next).collect();
        let windows: Vec<Windows> = next.iter().map(|one| dataset.windows(*one as usize)).collect();
        if let Some(picks) = learner.values(&self.online, &windows) {
            let values = learner.values(&self.target, &windows).unwrap_or_else(|| Ok(Vec::new()))?;
            return Ok(next.into_iter().zip(picks?.into_iter().zip(values)).collect());
        }
        let mut ask = |network: &Network, windows: &Windows| {
            network.q_values(windows, scratch).map_err(|error| match error {
                ModelError::NotFinite { .. } => TrainError::Diverged { step: self.step + 1, what: "target" },
                other => other.into(),
            })
        };
        let both = |(one, windows): (u32, &Windows)| Ok((one, (ask(online, windows)?, ask(target, windows)?)));
        next.into_iter().zip(&windows).map(both).collect()
    }
}

/// By decision time: Q of the online and of the target network, of all symbols.
type NextValues = BTreeMap<u32, (Vec<f32>, Vec<f32>)>;

fn summarise(chunk: &[Drawn], examples: &[Example], step: Step) -> Part {
    let mut part =
        Part { step, errors: Vec::new(), taken: 0.0, reward: 0.0, transitions: 0, actions: [0; Shape::ACTIONS] };
    let mut rows = part.step.q.chunks_exact(Shape::ACTIONS);
    for (drawn, example) in chunk.iter().zip(examples) {
        let (mut error, mut counted) = (0.0f32, 0u32);
        for (symbol, outcome) in drawn.outcomes.iter().enumerate() {
            let row = rows.next().expect("Q of every symbol");
            if !outcome.counts {
                continue;
            }
            let taken = row[usize::from(outcome.action)];
            error += (example.targets[symbol] - taken).abs();
            counted += 1;
            part.taken += f64::from(taken);
            part.reward += f64::from(outcome.reward);
            part.actions[best(row)] += 1;
        }
        part.transitions += u64::from(counted);
        part.errors.push((drawn.decision, error / counted.max(1) as f32));
    }
    part
}

/// The action of the highest Q, the later of equals: as inference decides.
fn best(q: &[f32]) -> usize {
    (0..q.len()).fold(0, |best, index| if q[index] >= q[best] { index } else { best })
}
