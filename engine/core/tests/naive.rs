//! The naive twin: the simulated exchange and the account once more, in the most obvious code, against the real core.
//!
//! - It keeps every order and every fill ever made and works everything out from those lists, each time anew.
//! - Random worlds (gaps, holes, dojis, late candles, huge and tiny numbers, every order type) must give equal outputs.
//! - A failure names its seed: `DAYBOOK_SEED=… cargo test -p daybook-core --test naive` runs that world alone.

mod twin;
mod worlds;

use daybook_vocabulary::InstrumentId;
use twin::exchange::Naive;
use worlds::{Seen, World};

#[test]
fn the_core_equals_its_naive_twin() {
    let mut seen = Seen::default();
    for seed in worlds::seeds(6_000) {
        let world = World::random(seed);
        let mut core = world.core(world.scripted());
        let mut naive = Naive::new(&world);
        for (number, step) in world.steps.iter().enumerate() {
            let context = || format!("DAYBOOK_SEED={seed}, input {number}: {step:?}");
            let outputs = worlds::step(&mut core, step).unwrap_or_else(|error| panic!("{error}, {}", context()));
            let before = naive.out.len();
            naive.step(step);
            assert_eq!(outputs, naive.out[before..], "{}", context());
            let ledger = core.ledger();
            assert_eq!((ledger.cash.0, ledger.free().0), (naive.cash(), naive.free()), "cash, {}", context());
            for instrument in 0..world.instruments.len() {
                let (position, walk) = (core.book(InstrumentId(instrument as u32)).position, naive.walk(instrument));
                assert_eq!((position.quantity.0.into(), position.basis.0), (walk.held, walk.basis), "{}", context());
            }
            seen.note(&outputs);
        }
    }
    seen.assert_everything();
}
