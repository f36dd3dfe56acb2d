//! `top-score`: hold the best of many by a score, leave by stop, decaying trail or age (BT-29).
//!
//! - The score of a symbol is the return of its close over so many bars, exact in units of 1e-8. Of those that closed a
//!   bar at a slice the best `top` are wanted, positive ones only; ties go to the first by symbol.
//! - What is wanted and not held is bought, as far as fewer than `top` are held or being entered. Nothing is bought
//!   while the filter's close is above its bound; the filter is a symbol of the session and is never traded.
//! - Each entry carries a stop so many average true ranges below its price (without a range there is no entry); at each
//!   close a decaying trail and an age are looked at, and leave at the next open.
//! - A part of the equity is one of what `portfolio.headroom` leaves. `portfolio.rebalance` says when entries are sized:
//!   at the slice, all by one equity; one after the other, within the free cash; or, within it too, only at a slice at
//!   which nothing is being left. `portfolio.missing` says what happens where a symbol has no candle.
//! - With `regime_at` a position is also left at a close that lies so many average true ranges below its entry, fewer or
//!   more by whether the filter's close is above that number (BT-23). The reason of the exit names the rule that said it:
//!   `below:`, `above:`, or `default:` where the filter has no price and `regime_default` is set.
//! - It trades long. What it wants at a slice follows from closed bars alone.

use super::{Fault, Parameter, ParameterError, Parameters, SliceView, Strategy, View};
use crate::exits::{AverageRange, Exit, Held, Level, initial_stop};
use crate::orders::{Bracket, Level as OrderLevel, Order, OrderRequest, Requests};
use crate::sizing::{Sizing, SizingInput};
use crate::targets::Targets;
use daybook_config::{Missing, Rebalance};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Candle, Decision, InstrumentId, Label, OrderType, Price, Quantity, Ratio, Side};
use serde::{Deserialize, Serialize};

/// Name on the command line.
pub const NAME: &str = "top-score";
/// One line for `--help`.
pub const ABOUT: &str = "hold the best of many symbols by their return; leave by stop, decaying trail or age";
/// What `--set` takes.
pub const PARAMETERS: &[Parameter] = &[
    Parameter { name: "top", default: "25", about: "how many symbols to hold at most" },
    Parameter { name: "bars", default: "20", about: "bars of the return that scores a symbol" },
    Parameter {
        name: "quantity",
        default: "equity_pct:4",
        about: "how much to buy of each: N, equity_pct:N or capital:N",
    },
    Parameter { name: "stop_ranges", default: "2", about: "stop, in average true ranges of 14 bars below the entry" },
    Parameter { name: "trail_pct", default: "5", about: "trail behind the best price, in percent" },
    Parameter { name: "trail_decay_pct", default: "0.1", about: "what the trail loses with every bar, in percent" },
    Parameter { name: "trail_floor_pct", default: "0.5", about: "what the trail never falls below, in percent" },
    Parameter { name: "max_bars", default: "60", about: "bars after which a position is left" },
    Parameter {
        name: "filter",
        default: "none",
        about: "symbol whose close keeps entries out, such as INDIAVIX, or none",
    },
    Parameter { name: "filter_above", default: "30", about: "close of the filter above which nothing is bought" },
    Parameter {
        name: "regime_at",
        default: "none",
        about: "close of the filter that parts two regimes, such as 20, or none",
    },
    Parameter { name: "regime_below", default: "2.5", about: "stop in average true ranges at or below it" },
    Parameter { name: "regime_above", default: "1.5", about: "stop in average true ranges above it" },
    Parameter { name: "regime_default", default: "none", about: "the same where the filter has no price, or none" },
];

/// A ranking trader of many instruments.
pub struct TopScore {
    top: usize,
    sizing: Sizing,
    stop_ranges: Ratio,
    exit: Exit,
    filter: Option<String>,
    filter_above: Price,
    warmup: u32,
    seats: Vec<Seat>,
    /// What was decided about each instrument at the present slice.
    plans: Vec<Plan>,
    /// Scores of the present slice; kept so that nothing is allocated.
    ranking: Vec<(i64, InstrumentId)>,
    targets: Targets,
    /// A symbol without a candle, where that ends the run.
    missing: Option<String>,
}

/// What is remembered of an instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seat {
    range: AverageRange,
    /// The last closes, one more than the score spans; `next` is the oldest once there are enough.
    closes: Vec<Price>,
    next: u32,
    seen: u32,
}

#[derive(Debug, Clone, Copy, Default)]
enum Plan {
    #[default]
    Nothing,
    Enter(Price),
    Leave(Label),
}

impl TopScore {
    /// For so many instruments.
    pub fn new(parameters: &Parameters, instruments: usize) -> Result<Self, ParameterError> {
        let percent = |name| parameters.decimal(name, 0..=100).map(|number| Ratio(number.0));
        let bars = parameters.integer("bars", 1..=10_000)?;
        let stop_ranges = parameters.decimal("stop_ranges", 0..=100)?;
        if stop_ranges.0 <= 0 {
            return Err(parameters.refuse("stop_ranges", "a number above 0 and at most 100"));
        }
        let trail = Level::Decaying(percent("trail_pct")?, percent("trail_decay_pct")?, percent("trail_floor_pct")?);
        let seat =
            Seat { range: AverageRange::new(14), closes: vec![Price::ZERO; bars as usize + 1], next: 0, seen: 0 };
        let age = Exit::Time(parameters.integer("max_bars", 1..=100_000)?.into());
        let mut rules = vec![Exit::Stop(trail), age];
        rules.extend(Self::regime(parameters)?);
        Ok(Self {
            top: parameters.integer("top", 1..=100_000)? as usize,
            sizing: parameters.sizing("quantity", false)?,
            stop_ranges: Ratio(stop_ranges.0),
            exit: Exit::FirstOf(rules),
            filter: Some(parameters.text("filter").to_owned()).filter(|symbol| symbol != "none"),
            filter_above: parameters.decimal("filter_above", 0..=1_000_000)?,
            warmup: bars.max(13),
            seats: vec![seat; instruments],
            plans: vec![Plan::Nothing; instruments],
            ranking: Vec::with_capacity(instruments),
            targets: Targets::default(),
            missing: None,
        })
    }

    /// The stop that depends on the filter, where one is set.
    fn regime(parameters: &Parameters) -> Result<Option<Exit>, ParameterError> {
        if parameters.text("regime_at") == "none" {
            return Ok(None);
        }
        if parameters.text("filter") == "none" {
            return Err(
                parameters.refuse("regime_at", "none where filter is none: the filter is what it is compared with")
            );
        }
        let ranges = |name| match parameters.decimal(name, 0..=100)? {
            Price(0) => Err(parameters.refuse(name, "a number above 0 and at most 100")),
            multiple => Ok(Box::new(Exit::Stop(Level::Ranges(Ratio(multiple.0))))),
        };
        let missing = match parameters.text("regime_default") {
            "none" => None,
            _ => Some(ranges("regime_default")?),
        };
        let at = Ratio(parameters.decimal("regime_at", 0..=1_000_000)?.0);
        Ok(Some(Exit::Regime(at, ranges("regime_below")?, ranges("regime_above")?, missing)))
    }

    /// The close of the filter; nothing before it has one.
    fn label(&self, slice: &SliceView<'_>) -> Option<Ratio> {
        let filter = slice.instruments.iter().position(|one| Some(&one.symbol) == self.filter.as_ref())?;
        Some(Ratio(slice.last(InstrumentId(filter as u32)).0)).filter(|close| close.0 > 0)
    }

    fn is_filter(&self, slice: &SliceView<'_>, id: InstrumentId) -> bool {
        self.filter.as_ref().is_some_and(|filter| slice.instruments[id.index()].symbol == *filter)
    }

    /// Decides what is left, and counts what stays held or is being entered.
    fn look_at_exits(&mut self, slice: &SliceView<'_>) -> usize {
        let regime = self.label(slice);
        let mut open = 0;
        for index in 0..self.seats.len() {
            let id = InstrumentId(index as u32);
            let flat = slice.position(id).is_zero();
            if flat && slice.working(id).is_empty() {
                continue;
            }
            open += 1;
            let leaving = || slice.working(id).iter().any(|order| order.order_type == OrderType::Market);
            if !flat && slice.fresh.binary_search(&id).is_ok() && !leaving() {
                let held = slice.held(id, self.seats[index].range.value());
                let held = held.map(|held| Held { regime, ..held });
                if let Some(leave) = held.and_then(|held| self.exit.look(&held)) {
                    self.plans[index] = Plan::Leave(leave.reason);
                }
            }
        }
        open
    }

    /// A position is being left, or will be by what was decided now.
    fn is_leaving(&self, slice: &SliceView<'_>) -> bool {
        let plans = self.plans.iter().any(|plan| matches!(plan, Plan::Leave(_)));
        let leaves = |order: &Order| order.side == Side::Sell && order.order_type == OrderType::Market;
        plans || (0..self.seats.len()).any(|index| slice.working(InstrumentId(index as u32)).iter().any(leaves))
    }

    /// How much to enter with: by the part of the equity that is traded with, and where it goes by cash within that.
    fn size(&self, view: &View<'_>, stop: Price) -> Option<Quantity> {
        let targets = self.targets;
        if targets == Targets::default() {
            return view.size(self.sizing, Some(stop), None);
        }
        let equity = targets.within(view.equity());
        let at = SizingInput { stop: Some(stop), ..SizingInput::new(equity, view.last(), view.meta.lot) };
        let quantity = self.sizing.quantity(&at)?;
        let most = match targets.rebalance {
            Rebalance::Snapshot => quantity,
            Rebalance::Incremental | Rebalance::Hybrid => {
                targets.affordable(view.free_cash(), view.last(), view.meta.lot)
            }
        };
        Some(quantity.min(most)).filter(|quantity| quantity.0 > 0)
    }

    /// The best symbols of the slice, best first.
    fn rank(&mut self, slice: &SliceView<'_>) {
        self.ranking.clear();
        for &id in slice.fresh {
            if let Some(score) = self.seats[id.index()].score().filter(|score| *score > 0)
                && !self.is_filter(slice, id)
            {
                // The best first, ties by symbol.
                self.ranking.push((-score, id));
            }
        }
        if self.ranking.len() > self.top {
            self.ranking.select_nth_unstable(self.top);
            self.ranking.truncate(self.top);
        }
        self.ranking.sort_unstable();
    }
}

impl Seat {
    /// The return over its closes, in units of 1e-8.
    fn score(&self) -> Option<i64> {
        let count = self.closes.len();
        if (self.seen as usize) < count {
            return None;
        }
        let (oldest, newest) = (self.closes[self.next as usize], self.closes[(self.next as usize + count - 1) % count]);
        let change = (i128::from(newest.0) - i128::from(oldest.0)) * i128::from(SCALE) / i128::from(oldest.0.max(1));
        Some(i64::try_from(change).unwrap_or(i64::MAX))
    }
}

impl Strategy for TopScore {
    fn warmup(&self) -> u32 {
        self.warmup
    }

    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle) {
        let seat = &mut self.seats[instrument.index()];
        seat.range.update(bar);
        let next = seat.next as usize;
        seat.closes[next] = bar.close();
        seat.next = if next + 1 == seat.closes.len() { 0 } else { seat.next + 1 };
        seat.seen = seat.seen.saturating_add(1);
    }

    fn sees_slices(&self) -> bool {
        true
    }

    fn on_slice(&mut self, slice: &SliceView<'_>, _: &mut Vec<(InstrumentId, Decision)>) {
        self.plans.fill(Plan::Nothing);
        self.targets = slice.targets;
        let open = self.look_at_exits(slice);
        if self.targets.missing != Missing::Skip
            && let Some(absent) = slice.absent()
        {
            if self.targets.missing == Missing::Error {
                self.missing = Some(absent.to_owned());
            }
            return;
        }
        if self.targets.rebalance == Rebalance::Hybrid && self.is_leaving(slice) {
            return;
        }
        let filter = (0..slice.instruments.len()).map(|index| InstrumentId(index as u32));
        let filter = filter.into_iter().find(|id| self.is_filter(slice, *id));
        let shut = filter.is_some_and(|id| slice.last(id) > self.filter_above);
        if shut || open >= self.top {
            return;
        }
        self.rank(slice);
        let mut room = self.top - open;
        for index in 0..self.ranking.len() {
            let (_, id) = self.ranking[index];
            if room == 0 {
                break;
            }
            if !slice.position(id).is_zero() || !slice.working(id).is_empty() {
                continue;
            }
            let (range, price) = (self.seats[id.index()].range.value(), slice.last(id));
            let tick = slice.instruments[id.index()].tick;
            if let Some(stop) = initial_stop(Side::Buy, price, range, self.stop_ranges, tick) {
                self.plans[id.index()] = Plan::Enter(stop);
                room -= 1;
            }
        }
    }

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        match std::mem::take(&mut self.plans[view.instrument.index()]) {
            Plan::Nothing => {}
            Plan::Leave(reason) => {
                requests.cancel_all(reason.as_str());
                requests.place(OrderRequest::market(Side::Sell, view.position(), reason.as_str()));
            }
            Plan::Enter(stop) => {
                if let Some(quantity) = self.size(view, stop) {
                    let bracket = Bracket { stop: Some(OrderLevel::At(stop)), target: None };
                    requests.place(OrderRequest::market(Side::Buy, quantity, "top-score").with_exits(bracket));
                }
            }
        }
    }

    fn fault(&mut self) -> Option<Fault> {
        self.missing.take().map(Fault::Missing)
    }

    fn save(&self, out: &mut Vec<u8>) {
        *out = postcard::to_extend(&self.seats, std::mem::take(out)).expect("a seat is plain data");
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        let fits = |seats: &[Seat]| {
            let same = |new: &Seat, old: &Seat| new.closes.len() == old.closes.len();
            seats.len() == self.seats.len()
                && seats
                    .iter()
                    .zip(&self.seats)
                    .all(|(new, old)| same(new, old) && (new.next as usize) < new.closes.len())
        };
        match postcard::take_from_bytes::<Vec<Seat>>(saved) {
            Ok((seats, [])) if fits(&seats) => {
                self.seats = seats;
                true
            }
            _ => false,
        }
    }
}
