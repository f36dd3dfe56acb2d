//! Our own seeded generator: xoshiro256++ by Blackman and Vigna, its state filled by splitmix64 or from a name.
//!
//! - The state is 256 bits of plain data: a checkpoint stores it and the sequence goes on unbroken.
//! - Uses with different names (initialisation, sampling, exploration) draw from unrelated sequences of one seed.
//! - Integers below a bound are exact, by rejection; floats are multiples of 2^-53.
//! - Must never: be seeded from a clock or the system.

use serde::{Deserialize, Serialize};

/// A sequence of random numbers that a seed determines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The sequence of a seed: four outputs of splitmix64 become the state.
    pub fn new(seed: u64) -> Self {
        let mut counter = seed;
        let state = std::array::from_fn(|_| splitmix64(&mut counter));
        Self { state }
    }

    /// The sequence that belongs to a use of a seed, such as `sampling`: the state is
    /// blake3("daybook random" ‖ seed as 8 little-endian bytes ‖ name).
    pub fn named(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"daybook random").update(&seed.to_le_bytes()).update(name.as_bytes());
        let bytes = hasher.finalize();
        let words = bytes.as_bytes().as_chunks::<8>().0;
        Self::from_state(std::array::from_fn(|index| u64::from_le_bytes(words[index])))
    }

    /// A sequence taken up where [`Random::state`] left it. All zeros, which would stay zero, becomes seed 0.
    pub fn from_state(state: [u64; 4]) -> Self {
        if state == [0; 4] { Self::new(0) } else { Self { state } }
    }

    /// What a checkpoint stores.
    pub fn state(&self) -> [u64; 4] {
        self.state
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number in [0, 1): the upper 53 bits · 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A whole number below `bound`, each equally likely (multiplication with rejection).
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        let too_low = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= too_low {
                return (product >> 64) as u64;
            }
        }
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Brings items into a random order, each order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

fn splitmix64(counter: &mut u64) -> u64 {
    *counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*counter ^ (*counter >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// splitmix64's published first outputs of seed 1234567, and a state of ours worked out by hand.
    #[test]
    fn the_sequences_are_those_of_their_definitions() {
        let mut counter = 1_234_567;
        let first: Vec<u64> = (0..3).map(|_| splitmix64(&mut counter)).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        // rotl(1 + 4, 23) + 1; then the state is (7, 0, 262146, 6 · 2^45), by hand.
        let mut random = Random::from_state([1, 2, 3, 4]);
        assert_eq!(random.next_u64(), (5 << 23) + 1);
        assert_eq!(random.state(), [7, 0, 262_146, 6 << 45]);
        assert_eq!(random.next_u64(), (7u64 + (6 << 45)).rotate_left(23) + 7);
    }

    #[test]
    fn a_state_taken_up_again_goes_on_unbroken_and_names_are_unrelated() {
        let mut random = Random::new(42);
        random.next_u64();
        let mut again = Random::from_state(random.state());
        assert!((0..100).all(|_| random.next_u64() == again.next_u64()));
        assert_ne!(Random::named(1, "sampling").next_u64(), Random::named(1, "exploration").next_u64());
        assert_ne!(Random::named(1, "sampling").next_u64(), Random::named(2, "sampling").next_u64());
        assert_eq!(Random::named(1, "sampling"), Random::named(1, "sampling"));
        assert_ne!(Random::from_state([0; 4]).next_u64(), 0);
    }

    #[test]
    fn numbers_fill_their_range_evenly() {
        let mut random = Random::new(7);
        let mut counts = [0u32; 6];
        (0..60_000).for_each(|_| counts[random.below(6) as usize] += 1);
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        let mean = (0..100_000).map(|_| random.unit()).inspect(|unit| assert!((0.0..1.0).contains(unit))).sum::<f64>();
        assert!((mean / 100_000.0 - 0.5).abs() < 0.005, "{mean}");
        let mut items: Vec<u32> = (0..100).collect();
        random.shuffle(&mut items);
        assert!(items.windows(2).any(|pair| pair[0] > pair[1]));
        items.sort_unstable();
        assert!(items.iter().copied().eq(0..100));
    }
}
