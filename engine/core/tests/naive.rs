//! The naive twin: the simulated exchange and the account once more, in the most obvious code, against the real core.
//!
//! - It keeps every order and every fill ever made and works everything out from those lists, each time anew.
//! - Random worlds (gaps, holes, dojis, late candles, huge and tiny numbers, every order type) must give equal outputs.
//! - A failure names its seed: `DAYBOOK_SEED=… cargo test -p daybook-core --test naive` runs that world alone.

mod twin;
mod worlds;

use daybook_config::fees::{FeeInput, FeeSchedule};
use daybook_core::{Conclusion, Level, NO_STREAM, OrderRequest, Output, Request, SessionHours};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{
    Account, Bar, BasisPoints, Candle, Cause, Charges, Fill, InstrumentId, Label, Measure, Money, Nanos, OrderEvent,
    OrderId, OrderIntent, OrderState, OrderType, OrderUpdate, Price, Quantity, RiskVerdict, RulesFollowed, Side,
    TimeInForce, TradeClosed, TradeMeasures, Verdict,
};
use std::cmp::Ordering;
use worlds::{Seen, Step, World};

const UNIT: i128 = 100_000_000;

struct NaiveOrder {
    instrument: usize,
    request: OrderRequest,
    decided: Nanos,
    held_back: i128,
    /// The candle of its instrument in which its stop was touched, and whether at the open.
    touched: Option<(u64, bool)>,
    /// For an exit of a bracket, the number of the fill it belongs to.
    of_fill: Option<usize>,
    /// The candle inside which it came into being, unless that was at its open.
    born: Option<u64>,
    ended: Option<OrderState>,
    /// The price it was decided at.
    planned: i128,
    /// Fills there were before it, and whether it only closed then.
    after: usize,
    reduces: bool,
}

struct NaiveFill {
    instrument: usize,
    order: usize,
    price: i128,
    reference: i128,
    /// Positive for a buy.
    change: i128,
    charges: Charges,
    time: Nanos,
    session: SessionHours,
    /// Candles of the instrument before this one.
    bars: u64,
}

/// What one walk over the fills of an instrument finds: what is held, what it cost, what was earned.
#[derive(Default)]
struct Walk {
    held: i128,
    basis: i128,
    realised: i128,
    /// The round trip in progress.
    trip: Trip,
    /// The one that the last fill ended.
    ended: Option<Trip>,
}

#[derive(Default)]
struct Trip {
    entry: Option<usize>,
    entered: i128,
    entry_worth: i128,
    exit_worth: i128,
    fees: i128,
    planned: i128,
    exit_fees: i128,
    entry_slippage: i128,
    exit_slippage: i128,
}

struct Naive<'a> {
    world: &'a World,
    fees: FeeSchedule,
    orders: Vec<NaiveOrder>,
    fills: Vec<NaiveFill>,
    /// Fills that ended a position by a stop: the fill, the position's side, when.
    stop_outs: Vec<(usize, Side, Nanos)>,
    trades: u64,
    candles: Vec<Vec<(Cause, Candle)>>,
    learned: Vec<u64>,
    /// Number and candles of the bar being built; session and number of the last one finished.
    building: Vec<(i64, Vec<Candle>)>,
    finished: Vec<Option<(SessionHours, i64)>>,
    fresh: Vec<usize>,
    decisions: usize,
    session: Option<SessionHours>,
    last_cause: Cause,
    now: Nanos,
    out: Vec<Output>,
}

/// Half away from zero.
fn rounded(value: i128, divisor: i128) -> i128 {
    value.signum() * ((value.abs() * 2 + divisor) / (2 * divisor))
}

fn worth(price: i128, quantity: i128) -> i128 {
    rounded(price * quantity, UNIT)
}

impl<'a> Naive<'a> {
    fn new(world: &'a World) -> Self {
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
            out: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        self.now = step.time();
        match step {
            Step::Opened { hours } => self.session = Some(*hours),
            Step::Candle { cause, instrument, candle, late, .. } => self.candle(*cause, *instrument, candle, *late),
            Step::Slice { .. } => self.decide(),
            Step::Closed { .. } => self.close_session(),
        }
    }

    fn say(&mut self, instrument: usize, body: Conclusion) {
        self.out.push(Output { stream: InstrumentId(instrument as u32), body });
    }

    fn walk(&self, instrument: usize) -> Walk {
        let mut walk = Walk::default();
        for (index, fill) in self.fills.iter().enumerate().filter(|(_, fill)| fill.instrument == instrument) {
            let (size, sign) = (fill.change.abs(), fill.change.signum());
            let closed = if walk.held * sign < 0 { size.min(walk.held.abs()) } else { 0 };
            let closed_worth = worth(fill.price, closed);
            let closing_fees = rounded(fill.charges.total().0 * closed, size);
            walk.ended = None;
            let planned = |part: i128| -sign * worth(self.orders[fill.order].planned, part);
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

    fn fills_of(&self, order: usize) -> impl Iterator<Item = &NaiveFill> {
        self.fills.iter().filter(move |fill| fill.order == order)
    }

    fn remaining(&self, order: usize) -> i128 {
        let filled: i128 = self.fills_of(order).map(|fill| fill.change.abs()).sum();
        i128::from(self.orders[order].request.quantity.0) - filled
    }

    /// What an order still holds back: its reserve, less the share of every fill.
    fn reserve(&self, order: usize) -> i128 {
        if self.orders[order].ended.is_some() {
            return 0;
        }
        let begins = (self.orders[order].held_back, i128::from(self.orders[order].request.quantity.0));
        let after = |(reserve, remaining): (i128, i128), fill: &NaiveFill| {
            let then = remaining - fill.change.abs();
            (rounded(reserve * then, remaining), then)
        };
        self.fills_of(order).fold(begins, after).0
    }

    fn cash(&self) -> i128 {
        let moved = |fill: &NaiveFill| fill.change.signum() * worth(fill.price, fill.change.abs());
        let paid: i128 = self.fills.iter().map(|fill| moved(fill) + fill.charges.total().0).sum();
        self.world.cash.0 - paid
    }

    fn locked(&self, instrument: usize) -> i128 {
        let walk = self.walk(instrument);
        if walk.held < 0 { 2 * walk.basis.abs() } else { 0 }
    }

    fn free(&self) -> i128 {
        let reserved: i128 = (0..self.orders.len()).map(|order| self.reserve(order)).sum();
        let locked: i128 = (0..self.candles.len()).map(|instrument| self.locked(instrument)).sum();
        self.cash() - locked - reserved
    }

    fn last(&self, instrument: usize) -> i128 {
        self.candles[instrument].last().map_or(0, |(_, candle)| candle.close().0.into())
    }

    fn cause(&self, instrument: usize) -> Cause {
        self.candles[instrument].last().unwrap().0
    }

    fn live(&self, instrument: usize) -> Vec<usize> {
        let live = |order: &usize| self.orders[*order].instrument == instrument && self.orders[*order].ended.is_none();
        (0..self.orders.len()).filter(live).collect()
    }

    /// How much of an order would close what is held.
    fn closes(&self, instrument: usize, side: Side, size: i128) -> i128 {
        let held = self.walk(instrument).held;
        let against = (held > 0 && side == Side::Sell) || (held < 0 && side == Side::Buy);
        if against { size.min(held.abs()) } else { 0 }
    }

    /// Cash an order wants for what it opens, and what closing everything on the way there sets free.
    fn wants(&self, instrument: usize, side: Side, size: i128, price: i128) -> (i128, i128) {
        let closes = self.closes(instrument, side, size);
        let freed = worth(price, closes) * if side == Side::Sell { 1 } else { -1 } + self.locked(instrument);
        match closes {
            0 => (worth(price, size), 0),
            _ if closes == size => (0, 0),
            _ => (worth(price, size - closes), freed),
        }
    }

    fn end(&mut self, cause: Cause, order: usize, event: OrderEvent, state: OrderState, reason: &str) {
        self.orders[order].ended = Some(state);
        let filled = Quantity((i128::from(self.orders[order].request.quantity.0) - self.remaining(order)) as i64);
        let (id, reason) = (OrderId(order as u64 + 1), Label::new(reason));
        let update = OrderUpdate { cause, order: id, event, state, filled, reason };
        self.say(self.orders[order].instrument, Conclusion::Update(update));
    }

    fn cancel(&mut self, cause: Cause, order: usize, reason: &str) {
        self.end(cause, order, OrderEvent::Cancelled, OrderState::Cancelled, reason);
    }

    /// Where an order trades at a station of a candle: 0 its open, 1 stops, 2 limits.
    fn trades_at(&mut self, order: usize, candle: &Candle, station: usize, number: u64) -> Option<Price> {
        let NaiveOrder { request, touched, born, .. } = &mut self.orders[order];
        let buy = request.side == Side::Buy;
        let (best, worst) = if buy { (candle.low(), candle.high()) } else { (candle.high(), candle.low()) };
        let reaches = |price: Price, stop: Price| if buy { price >= stop } else { price <= stop };
        let limit = request.limit.unwrap_or(Price(if buy { i64::MAX } else { 0 }));
        let allowed = |price: Price| if buy { price <= limit } else { price >= limit };
        if let (0, Some(stop), None) = (station, request.stop, *touched)
            && reaches(candle.open(), stop)
        {
            *touched = Some((number, true));
        }
        let live = request.stop.is_none() || touched.is_some_and(|(when, at_open)| when < number || at_open);
        match station {
            0 if live && allowed(candle.open()) => Some(candle.open()),
            1 if touched.is_none() && request.stop.is_some_and(|stop| reaches(worst, stop)) => {
                *touched = Some((number, false));
                let stop = request.stop.unwrap();
                if allowed(stop) { Some(stop) } else { request.limit.filter(|_| allowed(candle.close())) }
            }
            2 if live && *born != Some(number) && allowed(best) => request.limit,
            _ => None,
        }
    }

    fn charges(&self, order: usize, price: i128, size: i128) -> Charges {
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
            order_brokerage_before: self.fills_of(order).map(|fill| fill.charges.brokerage).sum(),
            first_delivery_sale_of_day: request.side == Side::Sell && !charged && (held - size).max(0) < carried,
        })
    }

    /// Where a leg of an order fills.
    fn slips(&self, order: usize, reference: i128, size: i128, volume: i128) -> Option<i128> {
        let NaiveOrder { instrument, request, .. } = &self.orders[order];
        let tick = i128::from(self.world.instruments[*instrument].tick.0).max(1);
        let limit = request.limit.map(|limit| i128::from(limit.0));
        twin::slipped(self.world.slippage, request.side, (reference, size, volume), tick, limit)
    }

    /// Fills an order and says how much of it.
    fn fill(&mut self, cause: Cause, order: usize, reference: i128, mut size: i128, at: (Nanos, i128)) -> i128 {
        let (time, volume) = at;
        let (instrument, side) = (self.orders[order].instrument, self.orders[order].request.side);
        let Some(mut price) = self.slips(order, reference, size, volume) else { return 0 };
        let mut charges = self.charges(order, price, size);
        let (wanted, freed) = self.wants(instrument, side, size, price);
        let payable = wanted == 0 || wanted + charges.total().0 <= self.free() + self.reserve(order) + freed;
        if !payable {
            size = self.closes(instrument, side, size);
            if size == 0 {
                self.cancel(cause, order, "insufficient-cash");
                return 0;
            }
            price = self.slips(order, reference, size, volume).unwrap();
            charges = self.charges(order, price, size);
        }
        let change = if side == Side::Buy { size } else { -size };
        let (session, bars) = (self.session.unwrap(), self.candles[instrument].len() as u64);
        self.fills.push(NaiveFill { instrument, order, price, reference, change, charges, time, session, bars });
        let whole = self.remaining(order) == 0;
        let state = if whole { OrderState::Filled } else { OrderState::PartiallyFilled };
        self.orders[order].ended = whole.then_some(state);
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

    fn trade(&mut self, cause: Cause, order: usize, trip: Trip) {
        let (entry, exit) = (&self.fills[trip.entry.unwrap()], self.fills.last().unwrap());
        let request = &self.orders[entry.order].request;
        let average = |worth: i128| Price(i64::try_from(rounded(worth * UNIT, trip.entered)).unwrap());
        let trade = TradeClosed {
            cause,
            trade: self.trades + 1,
            side: request.side,
            quantity: Quantity(trip.entered as i64),
            entry_order: OrderId(entry.order as u64 + 1),
            exit_order: OrderId(order as u64 + 1),
            entry_time: entry.time,
            exit_time: exit.time,
            entry_price: average(trip.entry_worth),
            exit_price: average(trip.exit_worth),
            gross: Money((trip.exit_worth - trip.entry_worth) * entry.change.signum()),
            fees: Money(trip.fees),
            bars: exit.bars - entry.bars,
            entry_reason: request.reason,
            exit_reason: self.orders[order].request.reason,
            measures: Some(self.measures(&trip)),
        };
        if self.orders[order].request.stop.is_some() {
            self.stop_outs.push((self.fills.len() - 1, trade.side, exit.time));
        }
        self.trades += 1;
        self.say(exit.instrument, Conclusion::Trade(trade));
    }

    /// What the round trip that the last fill ended is measured by.
    fn measures(&self, trip: &Trip) -> TradeMeasures {
        let first = trip.entry.unwrap();
        let (entry, exit) = (&self.fills[first], self.fills.last().unwrap());
        let (instrument, long) = (entry.instrument, entry.change > 0);
        let of_trip = |fill: &&NaiveFill| fill.instrument == instrument;
        let mut prices: Vec<i128> = self.fills[first..].iter().filter(of_trip).map(|fill| fill.price).collect();
        for number in entry.bars..exit.bars {
            let candle = &self.candles[instrument][number as usize].1;
            let (mut high, mut low) = (candle.high(), candle.low());
            if number == entry.bars && entry.time != candle.open_time() {
                if long { high = candle.close() } else { low = candle.close() }
            }
            prices.extend([i128::from(high.0), i128::from(low.0)]);
        }
        let stops = self.orders.iter().filter(|order| {
            let placed = order.ended != Some(OrderState::Refused) && order.after > first && order.reduces;
            order.instrument == instrument && placed && order.request.stop.is_some()
        });
        let stop = stops.clone().next().map(|order| order.request.stop.unwrap());
        let beyond = |order: &NaiveOrder| {
            let (stop, first) = (order.request.stop.unwrap(), stop.unwrap());
            order.of_fill.is_none() && if long { stop < first } else { stop > first }
        };
        let order = &self.orders[entry.order];
        let last =
            self.stop_outs.iter().rfind(|(fill, ..)| self.fills[*fill].instrument == instrument && *fill <= first);
        let revenge = last.is_some_and(|(_, side, time)| *side == order.request.side && order.decided < *time);
        let rules = [true, true, stop.is_some(), !stops.clone().any(beyond), !revenge, true, true, true];
        TradeMeasures {
            stop,
            high: Price(*prices.iter().max().unwrap() as i64),
            low: Price(*prices.iter().min().unwrap() as i64),
            planned: Money(trip.planned),
            exit_fees: Money(trip.exit_fees),
            entry_slippage: Money(trip.entry_slippage),
            exit_slippage: Money(trip.exit_slippage),
            decision: 0,
            rules: RulesFollowed::of(rules),
        }
    }

    fn candle(&mut self, cause: Cause, instrument: usize, candle: &Candle, late: bool) {
        let number = self.candles[instrument].len() as u64;
        let lot = i128::from(self.world.instruments[instrument].lot.0).max(1);
        let share = |bps: u32| i128::from(candle.volume().0) * i128::from(bps) / 10_000 / lot * lot;
        let mut left = self.world.participation_bps.map_or(i128::MAX, share);
        let eligible = |order: &NaiveOrder| {
            order.instrument == instrument && order.ended.is_none() && order.decided <= candle.open_time()
        };
        // Stops once more: those of what a limit has entered.
        for (station, last) in [(0, false), (1, false), (2, false), (1, true)] {
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
                if wanted == 0 {
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
        for order in 0..self.orders.len() {
            if self.orders[order].request.time_in_force == TimeInForce::Ioc && eligible(&self.orders[order]) {
                self.cancel(cause, order, "immediate-or-cancel");
            }
        }
        self.candles[instrument].push((cause, *candle));
        self.last_cause = cause;
        if self.learns(instrument, candle) && !late && candle.open_time() >= self.world.decide_from {
            self.fresh.push(instrument);
        }
    }

    /// The other exit of the same fill is placed anew for what is left.
    fn pair_gives_up(&mut self, cause: Cause, order: usize, size: i128) {
        let Some(of_fill) = self.orders[order].of_fill else { return };
        let instrument = self.orders[order].instrument;
        for other in self.live(instrument) {
            if other == order || self.orders[other].of_fill != Some(of_fill) {
                continue;
            }
            let left = self.remaining(other) - size;
            self.cancel(cause, other, "one-cancels-other");
            if left > 0 {
                let NaiveOrder { request, decided, touched, born, .. } = &self.orders[other];
                let (touched, born) = (*touched, *born);
                let request = OrderRequest { quantity: Quantity(left as i64), ..*request };
                self.admit(instrument, cause, request, *decided);
                let new = self.orders.last_mut().unwrap();
                (new.of_fill, new.touched, new.born) = (Some(of_fill), touched, born);
            }
        }
    }

    /// The exits of the last fill, for what it opened.
    fn exits(&mut self, cause: Cause, entry: usize, reference: Price, opened: i128, at: (Nanos, Option<u64>)) {
        let (decided, born) = at;
        let Some(bracket) = self.orders[entry].request.bracket else { return };
        let (instrument, buy) = (self.orders[entry].instrument, self.orders[entry].request.side == Side::Buy);
        let of_fill = self.fills.len() - 1;
        let entered = self.fills[of_fill].price;
        let level = |level: Level, above: bool| match level {
            Level::At(price) => price,
            Level::Percent(percent) => {
                let away = rounded(entered * i128::from(percent.0), 100 * UNIT);
                Price(i64::try_from(if above { entered + away } else { entered - away }).unwrap())
            }
        };
        let side = if buy { Side::Sell } else { Side::Buy };
        let quantity = Quantity(opened as i64);
        let mut requests = Vec::new();
        if let Some(stop) = bracket.stop {
            let tick = i128::from(self.world.instruments[instrument].tick.0).max(1);
            let wanted = level(stop, !buy);
            let wanted = i64::try_from(rounded(wanted.0.into(), tick) * tick).map_or(wanted, Price);
            let stop = if buy { wanted.min(reference) } else { wanted.max(reference) };
            requests.push(OrderRequest::stop(side, quantity, stop, "stop"));
        }
        if let Some(target) = bracket.target {
            requests.push(OrderRequest::limit(side, quantity, level(target, buy), "target"));
        }
        for request in requests {
            self.admit(instrument, cause, request, decided);
            let new = self.orders.last_mut().unwrap();
            (new.of_fill, new.born) = (Some(of_fill), born);
        }
    }

    /// Builds bars where there is a timeframe; says whether the strategy has learned one.
    fn learns(&mut self, instrument: usize, candle: &Candle) -> bool {
        let before = self.learned[instrument];
        let Some(timeframe) = self.world.timeframe else {
            self.learned[instrument] += 1;
            return true;
        };
        let session = self.session.unwrap();
        let length = if timeframe.is_daily() { session.close - session.open } else { timeframe.nanos() };
        let number = (candle.open_time() - session.open) / length;
        if self.finished[instrument].is_some_and(|(of, last)| of.date == session.date && number <= last) {
            return false;
        }
        if !self.building[instrument].1.is_empty() {
            match self.building[instrument].0.cmp(&number) {
                Ordering::Less => self.finish_bar(instrument),
                Ordering::Equal => {}
                Ordering::Greater => return false,
            }
        }
        self.building[instrument].0 = number;
        self.building[instrument].1.push(*candle);
        if self.now.0 >= (session.open.0 + (number + 1) * length).min(session.close.0) {
            self.finish_bar(instrument);
        }
        self.learned[instrument] > before
    }

    fn finish_bar(&mut self, instrument: usize) {
        let (session, timeframe) = (self.session.unwrap(), self.world.timeframe.unwrap());
        let (number, candles) = std::mem::take(&mut self.building[instrument]);
        self.finished[instrument] = Some((session, number));
        let bar = Candle::new(CandleParts {
            open_time: session.open + number * timeframe.nanos(),
            interval: timeframe,
            open: candles[0].open(),
            high: candles.iter().map(Candle::high).max().unwrap(),
            low: candles.iter().map(Candle::low).min().unwrap(),
            close: candles.last().unwrap().close(),
            volume: candles.iter().map(Candle::volume).sum(),
            revises: false,
        });
        self.learned[instrument] += 1;
        let cause = self.cause(instrument);
        self.say(instrument, Conclusion::Bar(Bar::new(cause, bar)));
    }

    fn decide(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable();
        fresh.dedup();
        for instrument in fresh {
            if self.learned[instrument] <= self.world.warmup_bars {
                continue;
            }
            let requests = self.world.script.get(self.decisions).map_or(&[][..], Vec::as_slice);
            self.decisions += 1;
            let cause = self.cause(instrument);
            for request in requests {
                let (which, reason) = match *request {
                    Request::Place(order) => {
                        self.admit(instrument, cause, order, self.now);
                        continue;
                    }
                    Request::Cancel(OrderId(id), reason) => (Some(id as usize), reason),
                    Request::CancelAll(reason) => (None, reason),
                };
                for order in self.live(instrument) {
                    if which.is_none_or(|id| id == order + 1) {
                        self.cancel(cause, order, reason.as_str());
                    }
                }
            }
        }
    }

    fn admit(&mut self, instrument: usize, cause: Cause, mut request: OrderRequest, decided: Nanos) {
        let tick = i128::from(self.world.instruments[instrument].tick.0);
        let nearest = |price: Price| i64::try_from(rounded(price.0.into(), tick.max(1)) * tick.max(1));
        let on_tick = |price: Price| nearest(price).map_or(price, Price);
        request.limit = request.limit.map(on_tick);
        request.stop = request.stop.map(on_tick);
        let (verdict, held_back) = self.judge(instrument, &request);
        let order = OrderId(self.orders.len() as u64 + 1);
        let OrderRequest { side, quantity, order_type, time_in_force, limit, stop, reason, .. } = request;
        let reference = Price(self.last(instrument) as i64);
        let intent = OrderIntent {
            cause,
            order,
            side,
            order_type,
            time_in_force,
            verdict,
            quantity,
            limit,
            stop,
            reference,
            reason,
        };
        self.say(instrument, Conclusion::Intent(intent));
        if verdict != Verdict::Approved {
            let (limit, observed) = self.numbers(instrument, &request, verdict);
            self.say(instrument, Conclusion::Verdict(RiskVerdict { cause, order, verdict, limit, observed }));
        }
        let ended = (verdict != Verdict::Approved).then_some(OrderState::Refused);
        let (touched, of_fill, born) = (None, None, None);
        let planned = request.limit.or(request.stop).map_or(self.last(instrument), |price| price.0.into());
        let reduces = self.closes(instrument, side, quantity.0.into()) == i128::from(quantity.0);
        let after = self.fills.len();
        self.orders.push(NaiveOrder {
            instrument,
            request,
            decided,
            held_back,
            touched,
            of_fill,
            born,
            ended,
            planned,
            after,
            reduces,
        });
        if verdict == Verdict::Approved {
            let (event, state) = (OrderEvent::Accepted, OrderState::Open);
            let update = OrderUpdate { cause, order, event, state, filled: Quantity::ZERO, reason: Label::NONE };
            self.say(instrument, Conclusion::Update(update));
        }
    }

    fn judge(&self, instrument: usize, request: &OrderRequest) -> (Verdict, i128) {
        let size = i128::from(request.quantity.0);
        let working: i128 = self.live(instrument).into_iter().map(|order| self.remaining(order)).sum();
        if size <= 0 || size + working + self.walk(instrument).held.abs() > i128::from(i64::MAX / 4) {
            return (Verdict::BadQuantity, 0);
        }
        if size % i128::from(self.world.instruments[instrument].lot.0).max(1) != 0 {
            return (Verdict::OffLot, 0);
        }
        let limited = matches!(request.order_type, OrderType::Limit | OrderType::StopLimit);
        let stopped = matches!(request.order_type, OrderType::Stop | OrderType::StopLimit);
        let fits = |price: Option<Price>, wanted: bool| price.map_or(!wanted, |price| wanted && price > Price::ZERO);
        if !fits(request.limit, limited) || !fits(request.stop, stopped) {
            return (Verdict::BadPrice, 0);
        }
        if request.time_in_force == TimeInForce::Day && self.now >= self.session.unwrap().close {
            return (Verdict::ClosedSession, 0);
        }
        let price = request.limit.or(request.stop).map_or(self.last(instrument), |price| price.0.into());
        let (wanted, freed) = self.wants(instrument, request.side, size, price);
        if wanted > 0 && wanted > self.free() + freed {
            return (Verdict::InsufficientCash, 0);
        }
        (Verdict::Approved, wanted)
    }

    /// What a refusal says: what was allowed, what was met.
    fn numbers(&self, instrument: usize, request: &OrderRequest, verdict: Verdict) -> (Measure, Measure) {
        let price = request.limit.or(request.stop).map_or(0, |price| price.0.into());
        let quantity = i128::from(request.quantity.0);
        let (limit, observed) = match verdict {
            Verdict::BadQuantity => (i128::from(i64::MAX / 4), quantity),
            Verdict::OffLot => (self.world.instruments[instrument].lot.0.into(), quantity),
            Verdict::BadPrice => (0, price),
            Verdict::InsufficientCash => {
                let price = if price == 0 { self.last(instrument) } else { price };
                let (wanted, freed) = self.wants(instrument, request.side, quantity, price);
                (self.free() + freed, wanted)
            }
            _ => (0, 0),
        };
        (Measure(limit), Measure(observed))
    }

    fn close_session(&mut self) {
        let session = self.session.unwrap();
        self.fresh.clear();
        for instrument in 0..self.candles.len() {
            for order in self.live(instrument) {
                if self.orders[order].request.time_in_force == TimeInForce::Day {
                    let cause = self.cause(instrument);
                    self.end(cause, order, OrderEvent::Expired, OrderState::Expired, "session-closed");
                }
            }
            if !self.building[instrument].1.is_empty() {
                self.finish_bar(instrument);
                if session.open >= self.world.decide_from {
                    self.fresh.push(instrument);
                }
            }
        }
        self.decide();
        self.session = None;
        if session.open < self.world.decide_from {
            return;
        }
        let walks: Vec<_> = (0..self.candles.len()).map(|instrument| self.walk(instrument)).collect();
        let value = |(instrument, walk): (usize, &Walk)| worth(self.last(instrument), walk.held);
        let values: Vec<i128> = walks.iter().enumerate().map(value).collect();
        let basis: i128 = walks.iter().map(|walk| walk.basis).sum();
        let account = Account {
            cause: self.last_cause,
            session: session.date,
            cash: Money(self.cash()),
            equity: Money(self.cash() + values.iter().sum::<i128>()),
            long_value: Money(values.iter().filter(|&&value| value > 0).sum()),
            short_value: Money(-values.iter().filter(|&&value| value < 0).sum::<i128>()),
            realised: Money(walks.iter().map(|walk| walk.realised).sum()),
            unrealised: Money(values.iter().sum::<i128>() - basis),
            fees: self.fills.iter().map(|fill| fill.charges.total()).sum(),
            positions: walks.iter().filter(|walk| walk.held != 0).count() as u32,
        };
        self.out.push(Output { stream: NO_STREAM, body: Conclusion::Account(account) });
    }
}

#[test]
fn the_core_equals_its_naive_twin() {
    let mut seen = Seen::default();
    for seed in worlds::seeds(2_000) {
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
