//! Learner figures: one decision of ten symbols, and an update of 8 and of 64 decision times.
//!
//! - The shape of the definition: F = 18, L = (256, 128). Beside PyTorch in one run: `benches/torch_twin.py beside`.
//! - A step of 64 takes a second, so samples are single steps: the whole bench takes about two minutes.

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use daybook_inference::{Network, Processor, Scaler, Scratch, Shape};
use daybook_train::device::DeviceKind;
use daybook_train::network::initial_parameters;
use daybook_train::synthetic::{Plan, Synthetic};
use daybook_train::{Dataset, TrainSettings, Trainer};
use std::time::Duration;

fn market(shape: &Shape) -> Synthetic {
    Synthetic::new(shape, Plan { symbols: 10, decisions: 64, signal: 0.5, shuffled: false, cost: 0.0, seed: 1 })
}

fn learner(criterion: &mut Criterion) {
    let shape = Shape::new(18, &[("5m", 256), ("15m", 128)]).expect("a shape");
    let scalers = vec![Scaler::identity(18); 2];
    let mut market = market(&shape);
    let network = Network::new(shape.clone(), initial_parameters(&shape, 1), scalers.clone()).expect("a network");
    let mut group = criterion.benchmark_group("learner");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4)).sample_size(20);
    for processor in Processor::available() {
        let windows = market.windows(3);
        let mut scratch = Scratch::default();
        group.bench_function(format!("decision/10 symbols/{}", processor.word()), |bench| {
            bench.iter(|| network.q_values_on(processor, &windows, &mut scratch).expect("Q"));
        });
    }
    // Without a next decision there is nothing to value: what is left is forward, backward and the optimiser.
    for (batch, threads) in [(8, 1), (64, 1), (8, 2), (64, 2)] {
        let settings = TrainSettings {
            batch_size: batch,
            micro_batch: batch.div_ceil(threads).min(8),
            ..TrainSettings::default()
        };
        let mut trainer = Trainer::new(settings, shape.clone(), scalers.clone(), threads).expect("a trainer");
        let mut ends = Ends(&mut market);
        group.sampling_mode(SamplingMode::Flat).sample_size(10);
        group.bench_function(format!("step/{batch} decisions/{threads} threads"), |bench| {
            bench.iter(|| trainer.step(&mut ends).expect("a step"));
        });
    }
    // What a card does, where this is built for one.
    if cfg!(feature = "cuda") {
        let card = DeviceKind::Cuda.open().expect("built for a card: one is there");
        for batch in [8, 64, 512] {
            let settings = TrainSettings { batch_size: batch, micro_batch: batch, ..TrainSettings::default() };
            let trainer = Trainer::new(settings, shape.clone(), scalers.clone(), 1).expect("a trainer");
            let (mut trainer, mut ends) = (trainer.on(&card), Ends(&mut market));
            group.bench_function(format!("step/{batch} decisions/cuda"), |bench| {
                bench.iter(|| trainer.step(&mut ends).expect("a step"));
            });
        }
    }
    group.finish();
}

/// The market with every episode ending at once.
struct Ends<'a>(&'a mut Synthetic);

impl Dataset for Ends<'_> {
    fn symbols(&self) -> usize {
        self.0.symbols()
    }
    fn decisions(&self) -> usize {
        self.0.decisions()
    }
    fn windows(&self, decision: usize) -> Vec<Vec<&[f32]>> {
        self.0.windows(decision)
    }
    fn outcomes(&self, decision: usize) -> Vec<daybook_train::Outcome> {
        self.0.outcomes(decision).into_iter().map(|one| daybook_train::Outcome { next: None, ..one }).collect()
    }
    fn sample(&self, random: &mut daybook_train::Random, count: usize) -> Vec<(usize, f32)> {
        self.0.sample(random, count)
    }
    fn content_hash(&self) -> String {
        self.0.content_hash()
    }
}

criterion_group!(benches, learner);
criterion_main!(benches);
