//! The naive twin's exchange: every order and fill ever made, and where in a candle an order trades.
//!
//! - Everything is worked out from those lists, each time anew; `desk.rs` is the other half of it.

use super::rounded;
use crate::worlds::{Step, World};
use daybook_config::LimitFill;
use daybook_config::fees::{FeeInput, FeeSchedule};
use daybook_core::{Conclusion, Level, OrderChange, OrderRequest, Output, SessionHours};
use daybook_vocabulary::{
    BasisPoints, Candle, Cause, Charges, Fill, InstrumentId, Label, Money, Nanos, OrderEvent, OrderId, OrderState,
    OrderType, OrderUpdate, Price, Quantity, Side, StopTightened, TimeInForce,
};

pub const UNIT: i128 = 100_000_000;

pub struct NaiveOrder {
    pub instrument: usize,
    pub request: OrderRequest,
    pub decided: Nanos,
    /// What it held back when its terms were last set, and the fills it had then.
    pub held_back: (i128, usize),
    /// Candles of the instrument when its stop was last set: a trailing one follows those that came later.
    pub stop_set: usize,
    /// The candle of its instrument in which its stop was touched, and whether at the open.
    pub touched: Option<(u64, bool)>,
    /// For an exit of a bracket, the number of the fill it belongs to, and of the order that fill was of.
    pub of_fill: Option<usize>,
    pub parent: Option<usize>,
    /// The candle inside which it came into being, unless that was at its open.
    pub born: Option<u64>,
    pub ended: Option<OrderState>,
    /// A cancel, or a change, is under way to the exchange.
    pub cancelling: bool,
    pub changing: bool,
    /// The price it was decided at, and its stop then.
    pub planned: (i128, Option<Price>),
    /// Fills there were before it, and whether it only closed then.
    pub after: usize,
    pub reduces: bool,
}

/// A request under way: when it arrives, which order of which instrument, new terms unless it is a cancel.
pub struct UnderWay {
    pub arrives: Nanos,
    pub instrument: usize,
    pub order: usize,
    pub change: Option<OrderChange>,
    pub reason: Label,
}

pub struct NaiveFill {
    pub cause: Cause,
    pub instrument: usize,
    pub order: usize,
    pub price: i128,
    pub reference: i128,
    /// Positive for a buy.
    pub change: i128,
    pub charges: Charges,
    pub time: Nanos,
    pub session: SessionHours,
    /// Candles of the instrument before this one.
    pub bars: u64,
}

/// What one walk over the fills of an instrument finds: what is held, what it cost, what was earned.
#[derive(Default)]
pub struct Walk {
    pub held: i128,
    pub basis: i128,
    pub realised: i128,
    /// The round trip in progress.
    pub trip: Trip,
    /// The one that the last fill ended.
    pub ended: Option<Trip>,
}

#[derive(Default)]
pub struct Trip {
    pub entry: Option<usize>,
    pub entered: i128,
    pub entry_worth: i128,
    pub exit_worth: i128,
    pub fees: i128,
    pub planned: i128,
    pub exit_fees: i128,
    pub entry_slippage: i128,
    pub exit_slippage: i128,
}

pub struct Naive<'a> {
    pub world: &'a World,
    pub fees: FeeSchedule,
    pub orders: Vec<NaiveOrder>,
    pub fills: Vec<NaiveFill>,
    /// Fills that ended a position by a stop: the fill, the position's side, when.
    pub stop_outs: Vec<(usize, Side, Nanos)>,
    pub trades: u64,
    pub candles: Vec<Vec<(Cause, Candle)>>,
    pub learned: Vec<u64>,
    /// Number and candles of the bar being built; session and number of the last one finished.
    pub building: Vec<(i64, Vec<Candle>)>,
    pub finished: Vec<Option<(SessionHours, i64)>>,
    pub fresh: Vec<usize>,
    pub decisions: usize,
    pub session: Option<SessionHours>,
    pub last_cause: Cause,
    pub now: Nanos,
    pub under_way: Vec<UnderWay>,
    /// Numbers of clients used in this session, and closes before it.
    pub clients: Vec<u64>,
    pub previous: Vec<i128>,
    pub out: Vec<Output>,
}

pub fn worth(price: i128, quantity: i128) -> i128 {
    rounded(price * quantity, UNIT)
}

impl<'a> Naive<'a> {
    pub fn new(world: &'a World) -> Self {
        let count = world.instruments.len();
        Self {
            world,
            fees: FeeSchedule::parse(&world.costs).unwrap(),
            orders: Vec::new(),
            fills: Vec::new(),
            stop_outs: Vec::new(),
            trades: 0,
            candles: vec![Vec::new(); count],
            learned: vec![0; count],
            building: vec![(0, Vec::new()); count],
            finished: vec![None; count],
            fresh: Vec::new(),
            decisions: 0,
            session: None,
            last_cause: Cause::default(),
            now: Nanos::MIN,
            under_way: Vec::new(),
            clients: Vec::new(),
            previous: vec![0; count],
            out: Vec::new(),
        }
    }

    pub fn step(&mut self, step: &Step) {
        self.now = step.time();
        match step {
            Step::Opened { hours } => {
                self.session = Some(*hours);
                self.clients.clear();
                self.previous = (0..self.candles.len()).map(|instrument| self.last(instrument)).collect();
            }
            Step::Candle { cause, instrument, candle, late, .. } => self.candle(*cause, *instrument, candle, *late),
            Step::Slice { .. } => self.decide(),
            Step::Closed { .. } => self.close_session(),
        }
    }

    pub fn say(&mut self, instrument: usize, body: Conclusion) {
        self.out.push(Output { stream: InstrumentId(instrument as u32), body });
    }

    pub fn walk(&self, instrument: usize) -> Walk {
        let mut walk = Walk::default();
        for (index, fill) in self.fills.iter().enumerate().filter(|(_, fill)| fill.instrument == instrument) {
            let (size, sign) = (fill.change.abs(), fill.change.signum());
            let closed = if walk.held * sign < 0 { size.min(walk.held.abs()) } else { 0 };
            let closed_worth = worth(fill.price, closed);
            let closing_fees = rounded(fill.charges.total().0 * closed, size);
            walk.ended = None;
            let planned = |part: i128| -sign * worth(self.orders[fill.order].planned.0, part);
            let slipped = |part: i128| sign * (worth(fill.price, part) - worth(fill.reference, part));
            if closed > 0 {
                let share = rounded(walk.basis * closed, walk.held.abs());
                walk.realised += -sign * closed_worth - share;
                walk.basis -= share;
                walk.held += sign * closed;
                walk.trip.exit_worth += closed_worth;
                walk.trip.fees += closing_fees;
                walk.trip.exit_fees += closing_fees;
                walk.trip.planned += planned(closed);
                walk.trip.exit_slippage += slipped(closed);
                if walk.held == 0 {
                    walk.ended = Some(std::mem::take(&mut walk.trip));
                }
            }
            if size > closed {
                let opened_worth = worth(fill.price, size) - closed_worth;
                walk.held += sign * (size - closed);
                walk.basis += sign * opened_worth;
                walk.trip.entry.get_or_insert(index);
                walk.trip.entered += size - closed;
                walk.trip.entry_worth += opened_worth;
                walk.trip.fees += fill.charges.total().0 - closing_fees;
                walk.trip.planned += planned(size - closed);
                walk.trip.entry_slippage += slipped(size - closed);
            }
        }
        walk
    }

    pub fn fills_of(&self, order: usize) -> impl Iterator<Item = &NaiveFill> {
        self.fills.iter().filter(move |fill| fill.order == order)
    }

    pub fn remaining(&self, order: usize) -> i128 {
        let filled: i128 = self.fills_of(order).map(|fill| fill.change.abs()).sum();
        i128::from(self.orders[order].request.quantity.0) - filled
    }

    /// What an order still holds back: its reserve, less the share of every fill since its terms were set.
    pub fn reserve(&self, order: usize) -> i128 {
        if self.orders[order].ended.is_some() {
            return 0;
        }
        let (held_back, before) = self.orders[order].held_back;
        let filled: i128 = self.fills_of(order).take(before).map(|fill| fill.change.abs()).sum();
        let begins = (held_back, i128::from(self.orders[order].request.quantity.0) - filled);
        let after = |(reserve, remaining): (i128, i128), fill: &NaiveFill| {
            let then = remaining - fill.change.abs();
            (rounded(reserve * then, remaining), then)
        };
        self.fills_of(order).skip(before).fold(begins, after).0
    }

    /// Where the stop of an order stands, after so many candles of its instrument, and the best price of the last one.
    pub fn stop(&self, order: usize, candles: usize) -> Option<(Price, Price)> {
        let NaiveOrder { instrument, request, decided, stop_set, touched, born, .. } = &self.orders[order];
        // What it has touched it no longer follows.
        let candles = touched.map_or(candles, |(when, _)| candles.min(when as usize));
        let begins = request.stop?;
        let Some(trail) = request.trail else { return Some((begins, begins)) };
        let seen = self.candles[*instrument][..candles].iter().enumerate().skip(*stop_set);
        let seen = seen.filter(|(_, (_, candle))| candle.open_time() >= *decided);
        let seen = seen.map(|(number, (_, candle))| (*candle, *born == Some(number as u64)));
        let tick = self.world.instruments[*instrument].tick.0.into();
        Some(super::followed(trail, request.side, begins, seen, tick))
    }

    /// Lowest and highest price of the day, where a band holds while the market trades at `price`.
    pub fn band(&self, instrument: usize, price: i128) -> Option<[i128; 2]> {
        let bps = i128::from((*self.world.rules.bands.get(instrument)?)?);
        let (previous, tick) =
            (self.previous[instrument], i128::from(self.world.instruments[instrument].tick.0).max(1));
        let away = previous * bps / 10_000;
        let up = |value: i128| (value + tick - 1) / tick * tick;
        let (low, high) = (up(previous - away), (previous + away) / tick * tick);
        (previous > 0 && low <= price && price <= high).then_some([low, high])
    }

    /// Where an order stands.
    pub fn state(&self, order: usize) -> OrderState {
        let whole = i128::from(self.orders[order].request.quantity.0) == self.remaining(order);
        match &self.orders[order] {
            NaiveOrder { ended: Some(state), .. } => *state,
            NaiveOrder { cancelling: true, .. } => OrderState::PendingCancel,
            NaiveOrder { changing: true, .. } => OrderState::PendingModify,
            _ if whole => OrderState::Open,
            _ => OrderState::PartiallyFilled,
        }
    }

    pub fn cash(&self) -> i128 {
        let moved = |fill: &NaiveFill| fill.change.signum() * worth(fill.price, fill.change.abs());
        let paid: i128 = self.fills.iter().map(|fill| moved(fill) + fill.charges.total().0).sum();
        self.world.cash.0 - paid
    }

    pub fn locked(&self, instrument: usize) -> i128 {
        let walk = self.walk(instrument);
        if walk.held < 0 { 2 * walk.basis.abs() } else { 0 }
    }

    pub fn free(&self) -> i128 {
        let reserved: i128 = (0..self.orders.len()).map(|order| self.reserve(order)).sum();
        let locked: i128 = (0..self.candles.len()).map(|instrument| self.locked(instrument)).sum();
        self.cash() - locked - reserved
    }

    pub fn last(&self, instrument: usize) -> i128 {
        self.candles[instrument].last().map_or(0, |(_, candle)| candle.close().0.into())
    }

    pub fn cause(&self, instrument: usize) -> Cause {
        self.candles[instrument].last().unwrap().0
    }

    pub fn live(&self, instrument: usize) -> Vec<usize> {
        let live = |order: &usize| self.orders[*order].instrument == instrument && self.orders[*order].ended.is_none();
        (0..self.orders.len()).filter(live).collect()
    }

    /// How much of an order would close what is held.
    pub fn closes(&self, instrument: usize, side: Side, size: i128) -> i128 {
        let held = self.walk(instrument).held;
        let against = (held > 0 && side == Side::Sell) || (held < 0 && side == Side::Buy);
        if against { size.min(held.abs()) } else { 0 }
    }

    /// Cash an order wants for what it opens, and what closing everything on the way there sets free.
    pub fn wants(&self, instrument: usize, side: Side, size: i128, price: i128) -> (i128, i128) {
        let closes = self.closes(instrument, side, size);
        let freed = worth(price, closes) * if side == Side::Sell { 1 } else { -1 } + self.locked(instrument);
        match closes {
            0 => (worth(price, size), 0),
            _ if closes == size => (0, 0),
            _ => (worth(price, size - closes), freed),
        }
    }

    pub fn end(&mut self, cause: Cause, order: usize, event: OrderEvent, state: OrderState, reason: &str) {
        self.orders[order].ended = Some(state);
        let filled = Quantity((i128::from(self.orders[order].request.quantity.0) - self.remaining(order)) as i64);
        let (id, reason) = (OrderId(order as u64 + 1), Label::new(reason));
        let update = OrderUpdate { cause, order: id, event, state, filled, reason };
        self.say(self.orders[order].instrument, Conclusion::Update(update));
    }

    pub fn cancel(&mut self, cause: Cause, order: usize, reason: &str) {
        self.end(cause, order, OrderEvent::Cancelled, OrderState::Cancelled, reason);
    }

    /// Where an order trades at a station of a candle: 0 its open, 1 stops, 2 limits.
    pub fn trades_at(&mut self, order: usize, candle: &Candle, station: usize, number: u64) -> Option<Price> {
        let now = self.now;
        let session = self.session.unwrap();
        let stands_at = self.stop(order, number as usize).map(|(stop, _)| stop);
        let NaiveOrder { request, decided, touched, born, .. } = &mut self.orders[order];
        if request.expires.is_some_and(|end| end <= candle.open_time() || (station != 0 && end < now)) {
            return None;
        }
        let end = candle.open_time() + 60_000_000_000;
        match request.order_type {
            OrderType::MarketOnClose => return (station == 3 && end >= session.close).then_some(candle.close()),
            OrderType::MarketOnOpen if *decided > session.open => return None,
            _ if station == 3 => return None,
            _ => {}
        }
        let buy = request.side == Side::Buy;
        let (best, worst) = if buy { (candle.low(), candle.high()) } else { (candle.high(), candle.low()) };
        let reaches = |price: Price, stop: Price| if buy { price >= stop } else { price <= stop };
        let limit = request.limit.unwrap_or(Price(if buy { i64::MAX } else { 0 }));
        let through = self.world.rules.limit_fill == LimitFill::Through;
        let allowed = |price: Price| match () {
            () if through && request.limit == Some(price) => false,
            () if buy => price <= limit,
            () => price >= limit,
        };
        if let (0, Some(stop), None) = (station, stands_at, *touched)
            && reaches(candle.open(), stop)
        {
            *touched = Some((number, true));
        }
        let live = request.stop.is_none() || touched.is_some_and(|(when, at_open)| when < number || at_open);
        match station {
            0 if live && allowed(candle.open()) => Some(candle.open()),
            1 if touched.is_none() && stands_at.is_some_and(|stop| reaches(worst, stop)) => {
                *touched = Some((number, false));
                let stop = stands_at.unwrap();
                if allowed(stop) { Some(stop) } else { request.limit.filter(|_| allowed(candle.close())) }
            }
            2 if live && *born != Some(number) && allowed(best) => request.limit,
            _ => None,
        }
    }

    pub fn charges(&self, order: usize, price: i128, size: i128) -> Charges {
        let NaiveOrder { instrument, request, .. } = &self.orders[order];
        let date = self.session.unwrap().date;
        let today = |fill: &&NaiveFill| fill.instrument == *instrument && fill.session.date == date;
        let moved: i128 = self.fills.iter().filter(today).map(|fill| fill.change).sum();
        let held = self.walk(*instrument).held;
        let carried = (held - moved).max(0);
        let mut running = held - moved;
        let mut charged = false;
        for fill in self.fills.iter().filter(today) {
            running += fill.change;
            charged |= fill.change < 0 && running.max(0) < carried;
        }
        self.fees.rates(date).unwrap().charge(FeeInput {
            side: request.side,
            price: Price(price as i64),
            quantity: Quantity(size as i64),
            order_value_before: Money(self.fills_of(order).map(|fill| worth(fill.price, fill.change.abs())).sum()),
            order_quantity_before: Quantity(self.fills_of(order).map(|fill| fill.change.abs()).sum::<i128>() as i64),
            maker: false,
            month: Default::default(),
            order_brokerage_before: self.fills_of(order).map(|fill| fill.charges.brokerage).sum(),
            first_delivery_sale_of_day: request.side == Side::Sell && !charged && (held - size).max(0) < carried,
        })
    }

    /// Where a leg of an order fills.
    pub fn slips(&self, cause: Cause, order: usize, reference: i128, size: i128, volume: i128) -> Option<i128> {
        let NaiveOrder { instrument, request, .. } = &self.orders[order];
        let same = |fill: &&NaiveFill| {
            let buys = fill.change > 0;
            fill.instrument == *instrument && fill.cause == cause && buys == (request.side == Side::Buy)
        };
        let before: i128 = self.fills.iter().filter(same).map(|fill| fill.change.abs()).sum();
        let tick = i128::from(self.world.instruments[*instrument].tick.0).max(1);
        let mut limit = request.limit.map(|limit| i128::from(limit.0));
        if let Some([low, high]) = self.band(*instrument, reference) {
            let end = if request.side == Side::Buy { high } else { low };
            let inner = |limit: i128| if request.side == Side::Buy { limit.min(high) } else { limit.max(low) };
            limit = Some(limit.map_or(end, inner));
        }
        let leg = (reference, before, size, volume);
        super::slipped(self.world.slippage, (request.side, request.order_type), leg, tick, limit)
    }

    /// Fills an order and says how much of it.
    pub fn fill(&mut self, cause: Cause, order: usize, reference: i128, mut size: i128, at: (Nanos, i128)) -> i128 {
        let (time, volume) = at;
        let (instrument, side) = (self.orders[order].instrument, self.orders[order].request.side);
        let Some(mut price) = self.slips(cause, order, reference, size, volume) else { return 0 };
        let mut charges = self.charges(order, price, size);
        let (wanted, freed) = self.wants(instrument, side, size, price);
        let payable = wanted == 0 || wanted + charges.total().0 <= self.free() + self.reserve(order) + freed;
        if !payable {
            size = self.closes(instrument, side, size);
            if size == 0 || self.orders[order].request.time_in_force == TimeInForce::Fok {
                self.cancel(cause, order, "insufficient-cash");
                return 0;
            }
            price = self.slips(cause, order, reference, size, volume).unwrap();
            charges = self.charges(order, price, size);
        }
        let change = if side == Side::Buy { size } else { -size };
        let (session, bars) = (self.session.unwrap(), self.candles[instrument].len() as u64);
        self.fills.push(NaiveFill { cause, instrument, order, price, reference, change, charges, time, session, bars });
        let whole = self.remaining(order) == 0;
        self.orders[order].ended = whole.then_some(OrderState::Filled);
        let state = self.state(order);
        let walk = self.walk(instrument);
        let bps = rounded((price - reference).abs() * 10_000 * UNIT, reference);
        let fill = Fill {
            cause,
            order: OrderId(order as u64 + 1),
            side,
            state,
            quantity: Quantity(size as i64),
            price: Price(price as i64),
            reference_price: Price(reference as i64),
            slippage_bps: BasisPoints(i64::try_from(bps).unwrap_or(i64::MAX)),
            model: Label::new(self.world.slippage.to_string().split(':').next().unwrap()),
            exchange_time: time,
            position: Quantity(walk.held as i64),
            charges,
        };
        self.say(instrument, Conclusion::Fill(fill));
        if let Some(trip) = walk.ended {
            self.trade(cause, order, trip);
        }
        if !payable {
            self.cancel(cause, order, "insufficient-cash");
        }
        size
    }

    pub fn candle(&mut self, cause: Cause, instrument: usize, candle: &Candle, late: bool) {
        let number = self.candles[instrument].len() as u64;
        let lot = i128::from(self.world.instruments[instrument].lot.0).max(1);
        let share = |bps: u32| i128::from(candle.volume().0) * i128::from(bps) / 10_000 / lot * lot;
        let mut left = self.world.participation_bps.map_or(i128::MAX, share);
        self.arrive(cause, Some(instrument), candle.open_time());
        let eligible = |order: &NaiveOrder| {
            order.instrument == instrument && order.ended.is_none() && order.decided <= candle.open_time()
        };
        // Stops once more: those of what a limit has entered.
        for (station, last) in [(0, false), (1, false), (2, false), (1, true), (3, false)] {
            let mut order = 0;
            while order < self.orders.len() {
                let which = order;
                order += 1;
                let exit_of_limit = self.orders[which].born == Some(number);
                if !eligible(&self.orders[which]) || (last && !exit_of_limit) {
                    continue;
                }
                let Some(price) = self.trades_at(which, candle, station, number) else { continue };
                let wanted = self.remaining(which).min(left);
                let whole = self.orders[which].request.time_in_force == TimeInForce::Fok;
                if wanted == 0 || (whole && wanted < self.remaining(which)) {
                    continue;
                }
                // A locked market: nobody sells at the upper end, nobody buys at the lower.
                let end = if self.orders[which].request.side == Side::Buy { 1 } else { 0 };
                let band = self.band(instrument, candle.open().0.into()).filter(|_| candle.low() == candle.high());
                if band.is_some_and(|band| band[end] == i128::from(candle.high().0)) {
                    continue;
                }
                let time = if station == 0 { candle.open_time() } else { self.now };
                let closes = self.closes(instrument, self.orders[which].request.side, wanted);
                let size = self.fill(cause, which, price.0.into(), wanted, (time, candle.volume().0.into()));
                left -= size;
                let group = self.orders[which].request.group;
                for other in self.live(instrument) {
                    if size > 0 && group != 0 && other != which && self.orders[other].request.group == group {
                        self.cancel(cause, other, "one-cancels-other");
                    }
                }
                if size > 0 {
                    self.pair_gives_up(cause, which, size);
                }
                if size > closes {
                    let born = (station > 0).then_some(number);
                    self.exits(cause, which, price, size - closes, (candle.open_time(), born));
                }
            }
        }
        self.candles[instrument].push((cause, *candle));
        self.after_candle(cause, instrument, candle);
        self.last_cause = cause;
        if self.learns(instrument, candle) && !late && candle.open_time() >= self.world.decide_from {
            self.fresh.push(instrument);
        }
    }

    /// What a candle that is over does to the orders that live.
    pub fn after_candle(&mut self, cause: Cause, instrument: usize, candle: &Candle) {
        let count = self.candles[instrument].len();
        for order in self.live(instrument) {
            let NaiveOrder { request, decided, touched, .. } = &self.orders[order];
            let worked = *decided <= candle.open_time();
            let opens = request.order_type == OrderType::MarketOnOpen && *decided <= self.session.unwrap().open;
            if request.time_in_force == TimeInForce::Ioc && worked {
                self.cancel(cause, order, "immediate-or-cancel");
            } else if request.time_in_force == TimeInForce::Fok && worked {
                self.cancel(cause, order, "fill-or-kill");
            } else if request.expires.is_some_and(|end| end <= self.now) {
                self.end(cause, order, OrderEvent::Expired, OrderState::Expired, "good-till-date");
            } else if opens && worked {
                self.cancel(cause, order, "open-has-passed");
            } else if request.trail.is_some() && touched.is_none() && worked {
                let (from, (to, best)) = (self.stop(order, count - 1).unwrap().0, self.stop(order, count).unwrap());
                if from != to {
                    let (order, reason) = (OrderId(order as u64 + 1), Label::new("trail"));
                    let tightened = StopTightened { cause, order, from, to, best, reason };
                    self.say(instrument, Conclusion::Tightened(tightened));
                }
            }
        }
    }

    /// The other exit of the same fill is placed anew for what is left.
    pub fn pair_gives_up(&mut self, cause: Cause, order: usize, size: i128) {
        let Some(of_fill) = self.orders[order].of_fill else { return };
        let instrument = self.orders[order].instrument;
        for other in self.live(instrument) {
            if other == order || self.orders[other].of_fill != Some(of_fill) {
                continue;
            }
            let left = self.remaining(other) - size;
            self.cancel(cause, other, "one-cancels-other");
            if left > 0 {
                let stop = self.stop(other, self.candles[instrument].len()).map(|(stop, _)| stop);
                let NaiveOrder { request, decided, touched, born, parent, .. } = &self.orders[other];
                let (touched, born, parent) = (*touched, *born, *parent);
                let request = OrderRequest { quantity: Quantity(left as i64), stop, ..*request };
                self.admit(instrument, cause, request, *decided, None);
                let new = self.orders.last_mut().unwrap();
                (new.of_fill, new.touched, new.born, new.parent) = (Some(of_fill), touched, born, parent);
            }
        }
    }

    /// The exits of the last fill, for what it opened.
    pub fn exits(&mut self, cause: Cause, entry: usize, reference: Price, opened: i128, at: (Nanos, Option<u64>)) {
        let (decided, born) = at;
        let Some(bracket) = self.orders[entry].request.bracket else { return };
        let (instrument, buy) = (self.orders[entry].instrument, self.orders[entry].request.side == Side::Buy);
        let of_fill = self.fills.len() - 1;
        let entered = self.fills[of_fill].price;
        let by_price = |level: Option<Level>| level.is_none_or(|level| matches!(level, Level::At(_)));
        let exits = self.live(instrument).into_iter().filter(|order| self.orders[*order].parent == Some(entry));
        let exits: Vec<_> = exits.collect();
        if by_price(bracket.stop) && by_price(bracket.target) && !exits.is_empty() {
            for exit in exits {
                self.orders[exit].request.quantity += Quantity(opened as i64);
                self.orders[exit].changing = false;
                self.modified(cause, exit, "resized");
            }
            return;
        }
        let level = |level: Level, above: bool| match level {
            Level::Trail(trail) => {
                let level = super::behind(trail, if above { Side::Buy } else { Side::Sell }, entered);
                Price(level.unwrap_or(0) as i64)
            }
            Level::At(price) => price,
            Level::Percent(percent) => {
                let away = rounded(entered * i128::from(percent.0), 100 * UNIT);
                Price(i64::try_from(if above { entered + away } else { entered - away }).unwrap())
            }
        };
        let side = if buy { Side::Sell } else { Side::Buy };
        let quantity = Quantity(opened as i64);
        let mut requests = Vec::new();
        if let Some(at) = bracket.stop {
            let tick = i128::from(self.world.instruments[instrument].tick.0).max(1);
            let wanted = level(at, !buy);
            let wanted = i64::try_from(rounded(wanted.0.into(), tick) * tick).map_or(wanted, Price);
            let stop = if buy { wanted.min(reference) } else { wanted.max(reference) };
            requests.push(match at {
                Level::Trail(trail) => {
                    OrderRequest { stop: Some(stop), ..OrderRequest::trailing(side, quantity, trail, "stop") }
                }
                _ => OrderRequest::stop(side, quantity, stop, "stop"),
            });
        }
        if let Some(target) = bracket.target {
            requests.push(OrderRequest::limit(side, quantity, level(target, buy), "target"));
        }
        for request in requests {
            self.admit(instrument, cause, request, decided, None);
            let new = self.orders.last_mut().unwrap();
            (new.of_fill, new.born, new.parent) = (Some(of_fill), born, Some(entry));
        }
    }
}
