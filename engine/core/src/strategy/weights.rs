//! `weights`: hold each symbol at its part of the equity, and bring it back there every so many bars.
//!
//! - A target is `equity × headroom × weight / last price`, in whole lots. What is above it is sold, what is below bought,
//!   with market orders; orders that still work are cancelled first.
//! - `portfolio.rebalance`: `snapshot` sizes every order by the equity of the slice and sends all of them then, so that a
//!   purchase which only sales of the same slice would pay for is refused by the gate, with its numbers. `incremental`
//!   sizes each order when its turn comes, in the order of the symbols, and cuts a purchase down to the free cash.
//!   `hybrid` sends the sales; at the first slice at which none of them works any more it buys, within the free cash.
//! - `portfolio.missing`: a symbol without a candle at the slice is left as it is, is waited for by all, or ends the run.
//!   One that is named and is no symbol of the session ends it in any case.
//! - It trades long, and is never short.

use super::{Fault, Parameter, ParameterError, Parameters, SliceView, Strategy, View};
use crate::orders::{OrderRequest, Requests};
use crate::targets::Targets;
use daybook_config::{Missing, Rebalance};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Candle, Decision, InstrumentId, Price, Quantity, Ratio, Side};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name on the command line.
pub const NAME: &str = "weights";
/// One line for `--help`.
pub const ABOUT: &str = "hold each symbol at its part of the equity, and bring it back there every so many bars";
/// What `--set` takes.
pub const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "weights",
        default: "equal",
        about: "percent of the equity by symbol such as RELIANCE:40,TCS:30, or equal: all the same",
    },
    Parameter { name: "every", default: "20", about: "bars from one rebalancing to the next" },
];

/// A holder of target weights.
pub struct Weights {
    /// In percent, by symbol; empty for the same of all.
    weights: BTreeMap<String, Ratio>,
    every: u32,
    memory: Memory,
    targets: Targets,
    /// What was decided about each instrument at the present slice.
    plans: Vec<Plan>,
    missing: Option<String>,
}

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Memory {
    /// Slices until the next rebalancing.
    wait: u32,
    /// Sales were sent; purchases follow.
    buying: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Plan {
    #[default]
    Nothing,
    /// Buy or sell so much.
    Trade(Quantity),
    /// Bring to so many percent of the equity there is then; buy no more than the free cash pays.
    Bring(Ratio),
}

impl Weights {
    /// For so many instruments.
    pub fn new(parameters: &Parameters, instruments: usize) -> Result<Self, ParameterError> {
        let text = parameters.text("weights");
        let wrong =
            || parameters.refuse("weights", "SYMBOL:percent, several with commas, together at most 100, or equal");
        let mut weights = BTreeMap::new();
        for pair in text.split(',').filter(|_| text != "equal") {
            let (symbol, percent) = pair.rsplit_once(':').filter(|(symbol, _)| !symbol.is_empty()).ok_or_else(wrong)?;
            let percent: Ratio = percent.parse().map_err(|_| wrong())?;
            if !(0..=100 * SCALE).contains(&percent.0) || weights.insert(symbol.to_owned(), percent).is_some() {
                return Err(wrong());
            }
        }
        if weights.values().map(|percent| i128::from(percent.0)).sum::<i128>() > i128::from(100 * SCALE) {
            return Err(wrong());
        }
        Ok(Self {
            weights,
            every: parameters.integer("every", 1..=100_000)?,
            memory: Memory::default(),
            targets: Targets::default(),
            plans: vec![Plan::Nothing; instruments],
            missing: None,
        })
    }

    /// The weight of an instrument; nothing for one that is not held here.
    fn weight(&self, slice: &SliceView<'_>, id: InstrumentId) -> Option<Ratio> {
        if self.weights.is_empty() {
            return Some(Ratio(100 * SCALE / slice.traded().count().max(1) as i64));
        }
        self.weights.get(&slice.instruments[id.index()].symbol).copied()
    }

    /// What brings an instrument to its weight, by the equity of the slice.
    fn change(&self, slice: &SliceView<'_>, id: InstrumentId, weight: Ratio) -> Quantity {
        let lot = slice.instruments[id.index()].lot;
        self.targets.target(slice.equity(), weight, slice.last(id), lot) - slice.position(id)
    }

    /// What keeps it from deciding: a name that nobody has, or symbols without a candle where they are waited for.
    fn is_kept_waiting(&mut self, slice: &SliceView<'_>, members: &[(InstrumentId, Ratio)]) -> bool {
        let known = |name: &&String| slice.instruments.iter().any(|instrument| instrument.symbol == **name);
        if let Some(stranger) = self.weights.keys().find(|name| !known(name)) {
            self.missing = Some(stranger.clone());
            return true;
        }
        let absent = members.iter().find(|(id, _)| !slice.is_fresh(*id));
        match (absent, self.targets.missing) {
            (None, _) => false,
            (Some(_), Missing::Skip) => members.iter().all(|(id, _)| !slice.is_fresh(*id)),
            (Some(_), Missing::Wait) => true,
            (Some((id, _)), Missing::Error) => {
                self.missing = Some(slice.instruments[id.index()].symbol.clone());
                true
            }
        }
    }
}

impl Strategy for Weights {
    fn warmup(&self) -> u32 {
        0
    }

    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}

    fn sees_slices(&self) -> bool {
        true
    }

    fn on_slice(&mut self, slice: &SliceView<'_>, _: &mut Vec<(InstrumentId, Decision)>) {
        self.plans.fill(Plan::Nothing);
        self.targets = slice.targets;
        let members: Vec<_> = slice.traded().filter_map(|id| Some((id, self.weight(slice, id)?))).collect();
        if self.is_kept_waiting(slice, &members) {
            return;
        }
        if self.memory.buying {
            let selling =
                |(id, _): &(InstrumentId, Ratio)| slice.working(*id).iter().any(|order| order.side == Side::Sell);
            if members.iter().any(selling) {
                return;
            }
            self.memory.buying = false;
            for (id, weight) in members.into_iter().filter(|(id, _)| slice.is_fresh(*id)) {
                self.plans[id.index()] = Plan::Bring(weight);
            }
            return;
        }
        if self.memory.wait > 0 {
            self.memory.wait -= 1;
            return;
        }
        self.memory.wait = self.every - 1;
        let fresh = members.into_iter().filter(|(id, _)| slice.is_fresh(*id));
        let changes: Vec<_> = fresh.map(|(id, weight)| (id, weight, self.change(slice, id, weight))).collect();
        let sells = changes.iter().any(|(.., change)| change.0 < 0);
        for (id, weight, change) in changes {
            self.plans[id.index()] = match self.targets.rebalance {
                Rebalance::Incremental => Plan::Bring(weight),
                // Where nothing is sold, what is to be bought is bought at once.
                Rebalance::Hybrid if change.0 > 0 && sells => Plan::Nothing,
                Rebalance::Hybrid if change.0 > 0 => Plan::Bring(weight),
                Rebalance::Snapshot | Rebalance::Hybrid => Plan::Trade(change),
            };
        }
        self.memory.buying = self.targets.rebalance == Rebalance::Hybrid && sells;
    }

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        let (price, lot): (Price, Quantity) = (view.last(), view.meta.lot);
        let change = match std::mem::take(&mut self.plans[view.instrument.index()]) {
            Plan::Nothing => return,
            Plan::Trade(change) => change,
            Plan::Bring(weight) => {
                let change = self.targets.target(view.equity(), weight, price, lot) - view.position();
                change.min(self.targets.affordable(view.free_cash(), price, lot))
            }
        };
        if view.is_pending() {
            requests.cancel_all("rebalance");
        }
        match change.0 {
            1.. => requests.place(OrderRequest::market(Side::Buy, change, "rebalance")),
            ..0 => requests.place(OrderRequest::market(Side::Sell, change.abs(), "rebalance")),
            0 => {}
        }
    }

    fn fault(&mut self) -> Option<Fault> {
        self.missing.take().map(Fault::Missing)
    }

    fn save(&self, out: &mut Vec<u8>) {
        *out = postcard::to_extend(&self.memory, std::mem::take(out)).expect("what it remembers is plain data");
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        match postcard::take_from_bytes(saved) {
            Ok((memory, [])) => {
                self.memory = memory;
                true
            }
            _ => false,
        }
    }
}
