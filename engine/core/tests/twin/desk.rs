//! The naive twin's desk: bars, decisions, requests, the gate, the close of a session.

use super::exchange::{Naive, NaiveOrder, UnderWay, Walk, worth};
use super::rounded;
use daybook_config::{OffTick, WrongSide};
use daybook_core::{Conclusion, NO_STREAM, OrderChange, OrderRequest, Output, Request};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{
    Account, Bar, Candle, Cause, Label, Measure, Money, Nanos, OrderEvent, OrderId, OrderIntent, OrderModified,
    OrderState, OrderType, OrderUpdate, Price, Quantity, RequestKind, RequestRefused, RiskVerdict, Side, StopTightened,
    TimeInForce, Verdict,
};
use std::cmp::Ordering;
impl Naive<'_> {
    /// Builds bars where there is a timeframe; says whether the strategy has learned one.
    pub fn learns(&mut self, instrument: usize, candle: &Candle) -> bool {
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

    pub fn finish_bar(&mut self, instrument: usize) {
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

    pub fn decide(&mut self) {
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
                    Request::PlaceIn(other, order) => {
                        match self.candles.get(other.0 as usize).map(Vec::is_empty) {
                            None => self.admit(instrument, cause, order, self.now, Some(Verdict::UnknownInstrument)),
                            Some(true) => unreachable!("the worlds ask for seen instruments"),
                            Some(false) => self.place(other.0 as usize, self.cause(other.0 as usize), order),
                        }
                        continue;
                    }
                    Request::Place(order) => {
                        self.place(instrument, cause, order);
                        continue;
                    }
                    Request::Cancel(OrderId(id), reason) => (Some(id as usize), reason),
                    Request::CancelAll(reason) => (None, reason),
                    Request::Modify(id, change, reason) => {
                        self.modify(instrument, cause, id, change, reason);
                        continue;
                    }
                    Request::Replace(id, order) => (Some(id.0 as usize), order.reason),
                };
                let live = self.live(instrument);
                let found = live.iter().any(|order| Some(order + 1) == which);
                for order in live {
                    // All that is not being cancelled already; the one that is named in any case.
                    let asked = which.map_or(!self.orders[order].cancelling, |id| id == order + 1);
                    if asked && self.world.rules.latency > 0 {
                        self.send(instrument, cause, order, (None, reason));
                    } else if asked {
                        self.cancel(cause, order, reason.as_str());
                    }
                }
                let kind = if let Request::Replace(..) = request { RequestKind::Replace } else { RequestKind::Cancel };
                match (which, *request) {
                    (Some(id), _) if !found => self.refuse(instrument, cause, (id, kind), None, reason),
                    (_, Request::Replace(_, order)) => self.place(instrument, cause, order),
                    _ => {}
                }
            }
        }
    }

    pub fn refuse(
        &mut self,
        instrument: usize,
        cause: Cause,
        (id, request): (usize, RequestKind),
        verdict: Option<Verdict>,
        reason: Label,
    ) {
        let was = (1..=self.orders.len()).contains(&id);
        let verdict = verdict.unwrap_or(if was { Verdict::OrderEnded } else { Verdict::UnknownOrder });
        let refused = RequestRefused { cause, order: OrderId(id as u64), request, verdict, reason };
        self.say(instrument, Conclusion::RequestRefused(refused));
    }

    pub fn modify(&mut self, instrument: usize, cause: Cause, id: OrderId, change: OrderChange, reason: Label) {
        let which = (id.0 as usize, RequestKind::Modify);
        let Some(order) = self.live(instrument).into_iter().find(|order| *order as u64 + 1 == id.0) else {
            return self.refuse(instrument, cause, which, None, reason);
        };
        if self.world.rules.latency > 0 {
            return self.send(instrument, cause, order, (Some(change), reason));
        }
        let stood = self.stop(order, self.candles[instrument].len()).map(|(stop, _)| stop);
        match self.new_terms(instrument, order, change, self.now) {
            Some(verdict) => self.refuse(instrument, cause, which, Some(verdict), reason),
            None => self.moved(cause, order, reason.as_str(), (change, stood)),
        }
    }

    /// Gives an order new terms, or says why not.
    pub fn new_terms(&mut self, instrument: usize, order: usize, change: OrderChange, at: Nanos) -> Option<Verdict> {
        let count = self.candles[instrument].len();
        let stood = self.stop(order, count).map(|(stop, _)| stop);
        let NaiveOrder { request, touched, of_fill, .. } = &self.orders[order];
        let filled = i128::from(request.quantity.0) - self.remaining(order);
        let quantity = change.quantity.unwrap_or(request.quantity);
        if i128::from(quantity.0) <= filled {
            return Some(Verdict::BadQuantity);
        }
        let asked = OrderRequest { limit: change.limit, stop: change.stop, ..*request };
        if let Some(verdict) = self.screened(instrument, &asked) {
            return Some(verdict);
        }
        let rest = OrderRequest {
            quantity: Quantity((i128::from(quantity.0) - filled) as i64),
            limit: change.limit.or(request.limit),
            stop: change.stop.or(stood),
            ..*request
        };
        let rest = self.on_tick(instrument, rest);
        if rest.stop != stood && touched.is_some() {
            return Some(Verdict::BadPrice);
        }
        let protects = (of_fill.is_some() || request.trail.is_some()) && stood.is_some();
        if protects && (if request.side == Side::Sell { rest.stop < stood } else { rest.stop > stood }) {
            return Some(Verdict::LoosensStop);
        }
        let (verdict, held_back) = self.judge(instrument, &rest, Some(order));
        if verdict != Verdict::Approved {
            return Some(verdict);
        }
        let fills = self.fills_of(order).count();
        let changed = &mut self.orders[order];
        (changed.held_back, changed.stop_set) = ((held_back, fills), count);
        changed.request = OrderRequest { quantity, ..rest };
        changed.decided = changed.decided.max(at);
        None
    }

    /// Sends a request on its way.
    pub fn send(
        &mut self,
        instrument: usize,
        cause: Cause,
        order: usize,
        (change, reason): (Option<OrderChange>, Label),
    ) {
        let arrives = self.now + self.world.rules.latency;
        self.under_way.push(UnderWay { arrives, instrument, order, change, reason });
        self.orders[order].cancelling |= change.is_none();
        self.orders[order].changing |= change.is_some();
        let (state, request) = (self.state(order), self.orders[order].request);
        let filled = Quantity((i128::from(request.quantity.0) - self.remaining(order)) as i64);
        let stop = self.stop(order, self.candles[instrument].len()).map(|(stop, _)| stop);
        let order = OrderId(order as u64 + 1);
        self.say(
            instrument,
            match change {
                None => {
                    let event = OrderEvent::CancelRequested;
                    Conclusion::Update(OrderUpdate { cause, order, event, state, filled, reason })
                }
                Some(change) => Conclusion::Modified(OrderModified {
                    cause,
                    order,
                    event: OrderEvent::ModifyRequested,
                    state,
                    quantity: change.quantity.unwrap_or(request.quantity),
                    limit: change.limit.or(request.limit),
                    stop: change.stop.or(stop),
                    reason,
                }),
            },
        );
    }

    /// What has reached the exchange by an instant.
    pub fn arrive(&mut self, cause: Cause, only: Option<usize>, time: Nanos) {
        for request in std::mem::take(&mut self.under_way) {
            let UnderWay { arrives, instrument, order, change, reason } = request;
            if arrives > time || only.is_some_and(|only| only != instrument) {
                self.under_way.push(request);
                continue;
            }
            let cause = if only.is_some() { cause } else { self.cause(instrument) };
            let kind = if change.is_some() { RequestKind::Modify } else { RequestKind::Cancel };
            match change {
                _ if self.orders[order].ended.is_some() => {
                    self.refuse(instrument, cause, (order + 1, kind), None, reason);
                }
                None => self.cancel(cause, order, reason.as_str()),
                Some(change) => {
                    let stood = self.stop(order, self.candles[instrument].len()).map(|(stop, _)| stop);
                    let answer = self.new_terms(instrument, order, change, arrives);
                    self.orders[order].changing = false;
                    let Some(verdict) = answer else {
                        self.moved(cause, order, reason.as_str(), (change, stood));
                        continue;
                    };
                    let filled = i128::from(self.orders[order].request.quantity.0) - self.remaining(order);
                    let update = OrderUpdate {
                        cause,
                        order: OrderId(order as u64 + 1),
                        event: OrderEvent::ModifyRejected,
                        state: self.state(order),
                        filled: Quantity(filled as i64),
                        reason: Label::new(verdict.word()),
                    };
                    self.say(instrument, Conclusion::Update(update));
                }
            }
        }
    }

    /// What the exchange does not take from a strategy.
    pub fn screened(&self, instrument: usize, request: &OrderRequest) -> Option<Verdict> {
        let rules = &self.world.rules;
        if rules.expiries.get(instrument).is_some_and(|expires| *expires <= self.now) {
            return Some(Verdict::ExpiredInstrument);
        }
        let tick = i128::from(self.world.instruments[instrument].tick.0).max(1);
        let prices: Vec<i128> = [request.limit, request.stop].iter().flatten().map(|price| price.0.into()).collect();
        if rules.off_tick == OffTick::Refuse && prices.iter().any(|price| price % tick != 0) {
            return Some(Verdict::OffTick);
        }
        let last = self.last(instrument);
        let beyond = |stop: i128| if request.side == Side::Buy { stop <= last } else { stop >= last };
        if rules.wrong_side == WrongSide::Refuse && request.stop.is_some_and(|stop| beyond(stop.0.into())) {
            return Some(Verdict::WrongSide);
        }
        let [low, high] = self.band(instrument, last)?;
        prices.iter().any(|price| *price > 0 && (*price < low || *price > high)).then_some(Verdict::OutsideBand)
    }

    pub fn place(&mut self, instrument: usize, cause: Cause, request: OrderRequest) {
        let used = request.client != 0 && self.clients.contains(&request.client);
        self.clients.push(request.client);
        let fault = if used { Some(Verdict::DuplicateId) } else { self.screened(instrument, &request) };
        self.admit(instrument, cause, request, self.now + self.world.rules.latency, fault);
    }

    /// What a change did: it tightened the stop of a way out and nothing else, or it modified the order.
    pub fn moved(&mut self, cause: Cause, order: usize, reason: &str, (change, stood): (OrderChange, Option<Price>)) {
        let NaiveOrder { instrument, request, .. } = &self.orders[order];
        let instrument = *instrument;
        let leaves = self.orders[order].reduces
            || self.closes(instrument, request.side, self.remaining(order)) == self.remaining(order);
        let stop = self.stop(order, self.candles[instrument].len()).map(|(stop, _)| stop);
        let nearer = if request.side == Side::Sell { stop > stood } else { stop < stood };
        if let (Some(from), Some(to), None, None, true, true) =
            (stood, stop, change.quantity, change.limit, leaves, nearer)
        {
            let (best, reason) = (Price(self.last(instrument) as i64), Label::new(reason));
            let order = OrderId(order as u64 + 1);
            let tightened = StopTightened { cause, order, from, to, best, reason };
            self.say(instrument, Conclusion::Tightened(tightened));
        } else {
            self.modified(cause, order, reason);
        }
    }

    pub fn modified(&mut self, cause: Cause, order: usize, reason: &str) {
        let NaiveOrder { instrument, request, .. } = &self.orders[order];
        let (instrument, stop) = (*instrument, self.stop(order, self.candles[*instrument].len()));
        let modified = OrderModified {
            cause,
            order: OrderId(order as u64 + 1),
            event: OrderEvent::Modified,
            state: self.state(order),
            quantity: request.quantity,
            limit: request.limit,
            stop: stop.map(|(stop, _)| stop),
            reason: Label::new(reason),
        };
        self.say(instrument, Conclusion::Modified(modified));
    }

    pub fn on_tick(&self, instrument: usize, request: OrderRequest) -> OrderRequest {
        let tick = i128::from(self.world.instruments[instrument].tick.0);
        let nearest = |price: Price| i64::try_from(rounded(price.0.into(), tick.max(1)) * tick.max(1));
        let on_tick = |price: Price| nearest(price).map_or(price, Price);
        OrderRequest { limit: request.limit.map(on_tick), stop: request.stop.map(on_tick), ..request }
    }

    pub fn admit(
        &mut self,
        instrument: usize,
        cause: Cause,
        mut request: OrderRequest,
        decided: Nanos,
        fault: Option<Verdict>,
    ) {
        let asked = request;
        if let (OrderType::TrailingStop, None, Some(trail)) = (request.order_type, request.stop, request.trail) {
            let begins = super::behind(trail, request.side, self.last(instrument));
            request.stop = begins.map(|stop| Price(stop as i64));
        }
        let request = self.on_tick(instrument, request);
        let (verdict, held_back) = fault.map_or_else(|| self.judge(instrument, &request, None), |fault| (fault, 0));
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
            trail: request.trail,
            expires: request.expires,
            client: request.client,
        };
        self.say(instrument, Conclusion::Intent(intent));
        if verdict != Verdict::Approved {
            let (limit, observed) = self
                .numbers_of_venue(instrument, &asked, verdict)
                .unwrap_or(self.numbers(instrument, &request, verdict));
            self.say(instrument, Conclusion::Verdict(RiskVerdict { cause, order, verdict, limit, observed }));
        }
        let ended = (verdict != Verdict::Approved).then_some(OrderState::Refused);
        let (touched, of_fill, born, parent) = (None, None, None, None);
        let (held_back, stop_set) = ((held_back, 0), self.candles[instrument].len());
        let price = request.limit.or(request.stop).map_or(self.last(instrument), |price| price.0.into());
        let planned = (price, request.stop);
        let reduces = self.closes(instrument, side, quantity.0.into()) == i128::from(quantity.0);
        let after = self.fills.len();
        let entry = NaiveOrder {
            instrument,
            request,
            decided,
            held_back,
            stop_set,
            touched,
            of_fill,
            parent,
            born,
            ended,
            cancelling: false,
            changing: false,
            planned,
            after,
            reduces,
        };
        self.orders.push(entry);
        if verdict == Verdict::Approved {
            let (event, state) = (OrderEvent::Accepted, OrderState::Open);
            let update = OrderUpdate { cause, order, event, state, filled: Quantity::ZERO, reason: Label::NONE };
            self.say(instrument, Conclusion::Update(update));
        }
    }

    /// The verdict on a new order, or on new terms for what is still to fill of an old one.
    pub fn judge(&self, instrument: usize, request: &OrderRequest, old: Option<usize>) -> (Verdict, i128) {
        let trails = request.order_type == OrderType::TrailingStop;
        let distance = request.trail.map(|trail| super::distance(trail, self.last(instrument)).is_some());
        if trails != request.trail.is_some() || distance == Some(false) {
            return (Verdict::BadTrail, 0);
        }
        let ends = request.time_in_force == TimeInForce::Gtd;
        if ends != request.expires.is_some() || request.expires.is_some_and(|end| end <= self.now) {
            return (Verdict::BadExpiry, 0);
        }
        let size = i128::from(request.quantity.0);
        let others = self.live(instrument).into_iter().filter(|order| Some(*order) != old);
        let working: i128 = others.map(|order| self.remaining(order)).sum();
        if size <= 0 || size + working + self.walk(instrument).held.abs() > i128::from(i64::MAX / 4) {
            return (Verdict::BadQuantity, 0);
        }
        if size % i128::from(self.world.instruments[instrument].lot.0).max(1) != 0 {
            return (Verdict::OffLot, 0);
        }
        let limited = matches!(request.order_type, OrderType::Limit | OrderType::StopLimit);
        let stopped = trails || matches!(request.order_type, OrderType::Stop | OrderType::StopLimit);
        let fits = |price: Option<Price>, wanted: bool| price.map_or(!wanted, |price| wanted && price > Price::ZERO);
        if !fits(request.limit, limited) || !fits(request.stop, stopped) {
            return (Verdict::BadPrice, 0);
        }
        if request.time_in_force == TimeInForce::Day && self.now >= self.session.unwrap().close {
            return (Verdict::ClosedSession, 0);
        }
        let price = request.limit.or(request.stop).map_or(self.last(instrument), |price| price.0.into());
        let (wanted, freed) = self.wants(instrument, request.side, size, price);
        let free = self.free() + old.map_or(0, |order| self.reserve(order));
        if wanted > 0 && wanted > free + freed {
            return (Verdict::InsufficientCash, 0);
        }
        (Verdict::Approved, wanted)
    }

    /// What a refusal of the venue says, by the prices as they were asked for, the limit first.
    fn numbers_of_venue(
        &self,
        instrument: usize,
        asked: &OrderRequest,
        verdict: Verdict,
    ) -> Option<(Measure, Measure)> {
        let last = self.last(instrument);
        let prices: Vec<i128> = [asked.limit, asked.stop].iter().flatten().map(|price| price.0.into()).collect();
        let (limit, observed) = match verdict {
            Verdict::OffTick => {
                let tick = i128::from(self.world.instruments[instrument].tick.0);
                (tick, *prices.iter().find(|price| *price % tick != 0)?)
            }
            Verdict::WrongSide => (last, asked.stop?.0.into()),
            Verdict::OutsideBand => {
                let [low, high] = self.band(instrument, last)?;
                let outside = *prices.iter().find(|price| **price > 0 && (**price < low || **price > high))?;
                (if outside > high { high } else { low }, outside)
            }
            _ => return None,
        };
        Some((Measure(limit), Measure(observed)))
    }

    /// What a refusal says: what was allowed, what was met.
    pub fn numbers(&self, instrument: usize, request: &OrderRequest, verdict: Verdict) -> (Measure, Measure) {
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

    pub fn close_session(&mut self) {
        let session = self.session.unwrap();
        self.fresh.clear();
        self.arrive(Cause::default(), None, self.now);
        for instrument in 0..self.candles.len() {
            for order in self.live(instrument) {
                let cause = self.cause(instrument);
                let NaiveOrder { request, decided, .. } = &self.orders[order];
                if request.time_in_force == TimeInForce::Day {
                    self.end(cause, order, OrderEvent::Expired, OrderState::Expired, "session-closed");
                } else if request.expires.is_some_and(|end| end <= self.now) {
                    self.end(cause, order, OrderEvent::Expired, OrderState::Expired, "good-till-date");
                } else if request.order_type == OrderType::MarketOnOpen && *decided <= session.open {
                    self.cancel(cause, order, "open-has-passed");
                } else if request.order_type == OrderType::MarketOnClose && *decided < session.close {
                    self.cancel(cause, order, "close-has-passed");
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
