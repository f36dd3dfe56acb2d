//! The runner: a policy's words made into trades by the decision rules, at every slice, for all symbols at once.
//!
//! - It is a strategy like every other: it asks, the gate answers. What it asks for follows from the slice alone.
//! - Every decision is journaled, with the policy's raw values and what the rules made of them.
//! - An entry carries its stop: without an average range there is none, so nothing is entered. Between two decisions
//!   only that stop acts, at the exchange; at a decision it is moved along in R, and only ever tightened.
//! - It never leaves a position without a stop: where one is missing, as after a restart, it is placed before anything
//!   else is decided about the symbol.

use super::rules::{Facts, ruling, surest};
use super::{Policy, PolicySlice, Word};
use crate::exits::{AverageRange, Stop, away_from_entry, initial_stop, trail_in_r};
use crate::input::SessionHours;
use crate::orders::{Bracket, Level, Order, OrderChange, OrderRequest, Requests};
use crate::sizing::{Sizing, SizingInput};
use crate::strategy::{SliceView, Strategy, View};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{
    Action, Candle, Cause, Decision, InstrumentId, Money, OrderType, Price, Quantity, Ratio, Ruling, Side, TimeInForce,
};
use serde::{Deserialize, Serialize};

/// Bars of the average range that first stops are measured in.
const RANGE_BARS: u32 = 14;

/// Why the stop that protects a trade of the runner was placed or moved.
const STOP: &str = "stop";

/// What the runner remembers of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seat {
    range: AverageRange,
    /// The stop of the open trade: the first one, then as far as it has been tightened.
    stop: Option<Stop>,
}

/// What was decided about a symbol at the present slice.
#[derive(Debug, Clone, Copy)]
struct Plan {
    ruling: Ruling,
    /// How much to enter, and its first stop.
    entry: Option<(Quantity, Price)>,
}

/// A policy under the decision rules.
pub struct PolicyRunner {
    policy: Box<dyn Policy>,
    seats: Vec<Seat>,
    words: Vec<Option<Word>>,
    plans: Vec<Option<Plan>>,
}

impl PolicyRunner {
    /// A policy for so many instruments.
    pub fn new(policy: Box<dyn Policy>, instruments: usize) -> Self {
        let seat = Seat { range: AverageRange::new(RANGE_BARS), stop: None };
        Self { policy, seats: vec![seat; instruments], words: vec![None; instruments], plans: vec![None; instruments] }
    }

    /// Follows the stops of open trades; forgets those of trades that have ended.
    fn follow_stops(&mut self, slice: &SliceView<'_>) {
        for (index, seat) in self.seats.iter_mut().enumerate() {
            let id = InstrumentId(index as u32);
            let held = slice.position(id);
            if held.is_zero() {
                seat.stop = None;
                continue;
            }
            let side = side_of(held);
            let (entry, (high, low)) = (slice.average_price(id), slice.extremes(id));
            let tick = slice.instruments[index].tick;
            // A stop of the wrong side belongs to a trade that was turned round.
            let kept = seat.stop.filter(|stop| stop.side == side);
            let first = slice.first_stop(id).or(kept.map(|stop| stop.price));
            let multiple = slice.limits.initial_stop_atr;
            let Some(first) = first.or_else(|| initial_stop(side, entry, seat.range.value(), multiple, tick)) else {
                continue;
            };
            let mut stop = kept.unwrap_or(Stop { side, price: first });
            let best = if side == Side::Buy { high } else { low };
            if let Some(level) = trail_in_r(side, entry, first, best, slice.limits.trailing_stop_r) {
                stop.tighten(rounded_back(side, level, tick));
            }
            seat.stop = Some(stop);
        }
    }

    /// What the rules make of a symbol, and what an entry would be.
    fn plan(&self, slice: &SliceView<'_>, id: InstrumentId, (room, chosen): (bool, bool)) -> Plan {
        let (seat, word) = (&self.seats[id.index()], self.words[id.index()]);
        let (held, price) = (slice.position(id), slice.last(id));
        let action = word.map(|word| word.action);
        let side = if action == Some(Action::Sell) { Side::Sell } else { Side::Buy };
        let meta = &slice.instruments[id.index()];
        let multiple = slice.limits.initial_stop_atr;
        let stop = initial_stop(side, price, seat.range.value(), multiple, meta.tick);
        let (capital, leverage) = (slice.limits.capital_per_ticker, slice.limits.leverage);
        let at = SizingInput::new(slice.equity(), price, meta.lot);
        let quantity = Sizing::Capital(leveraged(capital, leverage)).quantity(&at);
        let facts = Facts {
            after_end: slice.now >= slice.hours(id).end,
            open: (!held.is_zero()).then(|| side_of(held)),
            pending: slice.working(id).iter().any(|order| !is_exit(order, held)) || is_leaving(slice.working(id), held),
            action,
            price,
            stop: seat.stop,
            room,
            chosen,
            affordable: quantity.is_some(),
            protected: stop.is_some(),
        };
        Plan { ruling: ruling(&facts), entry: quantity.zip(stop) }
    }
}

impl Strategy for PolicyRunner {
    fn warmup(&self) -> u32 {
        self.policy.warmup()
    }

    fn on_session(&mut self, session: &SessionHours) {
        self.policy.on_session(session);
    }

    fn on_bar(&mut self, instrument: InstrumentId, bar: &Candle) {
        self.seats[instrument.index()].range.update(bar);
        self.policy.on_bar(instrument, bar);
    }

    fn sees_slices(&self) -> bool {
        true
    }

    fn on_slice(&mut self, slice: &SliceView<'_>, decisions: &mut Vec<(InstrumentId, Decision)>) {
        self.plans.fill(None);
        self.follow_stops(slice);
        // a. Before the start nothing is done, and nothing is asked.
        if slice.fresh.is_empty() || slice.now < slice.hours.start {
            return;
        }
        self.words.fill(None);
        let SliceView { now, session, interval, fresh, instruments, .. } = *slice;
        self.policy.infer(&PolicySlice { now, session, interval, fresh, instruments }, &mut self.words);
        let is_fresh = |index: usize| fresh.binary_search(&InstrumentId(index as u32)).is_ok();
        self.words.iter_mut().enumerate().filter(|(index, _)| !is_fresh(*index)).for_each(|(_, word)| *word = None);
        for word in self.words.iter().flatten() {
            let confidence = word.confidence;
            assert!((Ratio::ZERO..=Word::SURE).contains(&confidence), "a policy is sure between 0 and 1: {confidence}");
        }
        let chosen = surest(&self.words, |id| !slice.position(id).is_zero());
        let all = || (0..instruments.len()).map(|index| InstrumentId(index as u32));
        let is_open = |id: InstrumentId| !slice.position(id).is_zero() || !slice.working(id).is_empty();
        let open = all().filter(|id| is_open(*id)).count();
        let room = slice.limits.max_concurrent_trades.is_none_or(|most| open < most as usize);
        for &id in fresh {
            let plan = self.plan(slice, id, (room, chosen == Some(id)));
            self.plans[id.index()] = Some(plan);
            decisions.push((id, self.decision(id, plan.ruling)));
        }
    }

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        let index = view.instrument.index();
        let Some(plan) = self.plans[index].take() else { return };
        match (plan.ruling, plan.entry) {
            (Ruling::EnterLong, Some(entry)) => enter(Side::Buy, entry, plan.ruling, requests),
            (Ruling::EnterShort, Some(entry)) => enter(Side::Sell, entry, plan.ruling, requests),
            (
                Ruling::ExitAtEnd
                | Ruling::ExitLongSignal
                | Ruling::ExitLongStop
                | Ruling::ExitShortSignal
                | Ruling::ExitShortStop,
                _,
            ) => {
                let held = view.position();
                requests.cancel_all(plan.ruling.word());
                let exit = OrderRequest::market(side_of(held).opposite(), held.abs(), plan.ruling.word());
                requests.place(exit);
            }
            (Ruling::Keep, _) => {
                if let Some(stop) = self.seats[index].stop {
                    protect(view, stop, requests);
                }
            }
            _ => {}
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        *out = postcard::to_extend(&self.seats, std::mem::take(out)).expect("a seat is plain data");
        self.policy.save(out);
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        match postcard::take_from_bytes::<Vec<Seat>>(saved) {
            Ok((seats, rest)) if seats.len() == self.seats.len() => {
                self.seats = seats;
                self.policy.load(rest)
            }
            _ => false,
        }
    }
}

impl PolicyRunner {
    fn decision(&self, id: InstrumentId, ruling: Ruling) -> Decision {
        let word = self.words[id.index()];
        Decision {
            // The core numbers it and says what it was decided on.
            cause: Cause::default(),
            decision: 0,
            action: word.map_or(Action::Hold, |word| word.action),
            ruling,
            confidence: word.map_or(Ratio::ZERO, |word| word.confidence),
            q: word.map(|word| word.q).unwrap_or_default(),
            model: self.policy.model(),
            features: word.map(|word| word.features).unwrap_or_default(),
        }
    }
}

fn side_of(held: Quantity) -> Side {
    if held.0 > 0 { Side::Buy } else { Side::Sell }
}

/// Capital × leverage, rounded down.
fn leveraged(capital: Money, leverage: Ratio) -> Money {
    Money(capital.0.saturating_mul(leverage.0.into()) / i128::from(SCALE))
}

/// True for an order that closes what is held.
fn is_exit(order: &Order, held: Quantity) -> bool {
    !held.is_zero() && order.side == side_of(held).opposite()
}

/// True while a market order leaves what is held.
fn is_leaving(working: &[Order], held: Quantity) -> bool {
    working.iter().any(|order| is_exit(order, held) && order.order_type == OrderType::Market)
}

/// Whole ticks, never nearer to the price than the level: down for a long, up for a short.
fn rounded_back(side: Side, level: Price, tick: Price) -> Price {
    let beyond = if side == Side::Buy { Price(i64::MAX) } else { Price(0) };
    away_from_entry(side, beyond, level, tick)
}

fn enter(side: Side, (quantity, stop): (Quantity, Price), ruling: Ruling, requests: &mut Requests) {
    let entry = OrderRequest::market(side, quantity, ruling.word()).lasting(TimeInForce::Day);
    requests.place(entry.with_exits(Bracket { stop: Some(Level::At(stop)), target: None }));
}

/// Moves the stops at the exchange to where the stop is; places one for what no stop covers.
fn protect(view: &View<'_>, stop: Stop, requests: &mut Requests) {
    let held = view.position();
    let mut covered = Quantity::ZERO;
    for order in view.working().iter().filter(|order| is_exit(order, held) && order.stop.is_some()) {
        covered += order.remaining();
        let mut resting = Stop { side: stop.side, price: order.stop.unwrap_or(stop.price) };
        if resting.tighten(stop.price).is_some() {
            requests.modify(order.id, OrderChange { stop: Some(stop.price), ..OrderChange::default() }, "trail");
        }
    }
    let bare = held.abs() - covered;
    if bare > Quantity::ZERO {
        requests.place(OrderRequest::stop(stop.side.opposite(), bare, stop.price, STOP));
    }
}
