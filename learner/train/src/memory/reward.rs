//! What a transition is rewarded with: named, versioned formulas over the same exact money.
//!
//! - Under every formula the rewards of a trade add up to its R multiple, net of charges.
//! - A formula that changes gets a new version: name and version are in the hash of a memory and in a model's lineage.

use serde::{Deserialize, Serialize};

/// A formula of the reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RewardFormula {
    /// `marked-r`, version 1: the change of the open trade's marked-to-market R from one decision to the next.
    #[default]
    MarkedR,
    /// `closed-r`, version 1: nothing while the trade is open, its R at the decision after which it closed.
    ClosedR,
}

impl RewardFormula {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MarkedR => "marked-r",
            Self::ClosedR => "closed-r",
        }
    }

    /// Its version.
    pub const fn version(self) -> u32 {
        1
    }

    /// The money that a trade's transitions are rewarded for, from what each of them brought.
    pub fn money(self, brought: &[i64]) -> Vec<i64> {
        match self {
            Self::MarkedR => brought.to_vec(),
            Self::ClosedR => {
                let mut money = vec![0; brought.len()];
                if let Some(last) = money.last_mut() {
                    // Each part and the trade's profit fit; a sum that does not is kept at the bound.
                    *last = brought.iter().fold(0i64, |sum, part| sum.saturating_add(*part));
                }
                money
            }
        }
    }
}
