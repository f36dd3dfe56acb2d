//! An adversarial broker and its wires, in virtual time: late, repeated, out of order, silent, filling in parts, refusing.
//!
//! - It is honest about what is: its orders, trades and positions always add up. What it says about them may be late, may
//!   come twice, or not at all; a poll alone is complete, and its three answers are of three moments.
//! - Everything random comes from the seed.
//! - It asserts what no broker may be made to do: an order placed twice, a reduction that turns a position round.

use daybook_core::{Conclusion, Core, Output};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    Answered, BrokerAnswer, BrokerBook, BrokerFill, BrokerOrder, BrokerPosition, BrokerRequest, BrokerStatus,
    InstrumentId, Label, Money, Nanos, OpenAtBroker, OrderEvent, OrderId, OrderIntent, OrderType, Price, Quantity,
    Remedy, Side, TimeInForce, Verdict,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Instruments of a world.
pub const COUNT: usize = 2;

/// SplitMix64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a session is told by its wires.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Answer(BrokerAnswer),
    Row(BrokerOrder),
    Fill(InstrumentId, BrokerFill),
    Book(BrokerBook),
}

/// What the wires were handed.
#[derive(Debug, Clone)]
enum Wanted {
    Place(Box<OrderIntent>, bool),
    Modify(OrderId, Quantity, Option<Price>, Option<Price>),
    Cancel(OrderId),
}

impl Wanted {
    const fn order(&self) -> OrderId {
        match self {
            Self::Place(intent, _) => intent.order,
            Self::Modify(order, ..) | Self::Cancel(order) => *order,
        }
    }

    const fn request(&self) -> BrokerRequest {
        match self {
            Self::Place(..) => BrokerRequest::Place,
            Self::Modify(..) => BrokerRequest::Modify,
            Self::Cancel(_) => BrokerRequest::Cancel,
        }
    }
}

#[derive(Debug, Clone)]
struct Held {
    row: BrokerOrder,
    instrument: usize,
    kind: OrderType,
    lasts: TimeInForce,
    /// When it ends by itself.
    expires: Option<Nanos>,
    reduces: bool,
    triggered: bool,
    /// What market protection made of it: it fills no further from the market than this.
    protection: Option<Price>,
    /// A change or a cancel that was registered and has not reached the exchange.
    due: Option<(Nanos, Wanted)>,
    /// Changes so far: the broker takes 25.
    changes: u32,
}

/// How badly it behaves, in percent.
#[derive(Debug, Clone, Copy)]
pub struct Temper {
    /// A command is lost on its way.
    pub lost: u64,
    /// The answer is.
    pub unanswered: u64,
    pub refuses: u64,
    /// A message of a change is never sent.
    pub silent: u64,
    pub repeats: u64,
    /// A change or a cancel takes effect some seconds after it was registered: what fills in between has filled.
    pub slow: u64,
    /// Market protection, in paise: market orders and triggered stops may rest. 0: none.
    pub protects: i64,
    /// A trade is not in the list of trades for fifty seconds.
    pub hides: u64,
    /// A command waits for a minute before it goes out: the wires are busy.
    pub crawls: u64,
    /// A placed order is answered by nobody and reaches the exchange when it was given up long ago.
    pub ghosts: u64,
}

pub const HONEST: Temper = Temper {
    lost: 0,
    unanswered: 0,
    refuses: 0,
    silent: 0,
    repeats: 0,
    slow: 0,
    protects: 0,
    hides: 0,
    crawls: 0,
    ghosts: 0,
};
pub const WICKED: Temper = Temper {
    lost: 8,
    unanswered: 10,
    refuses: 5,
    silent: 25,
    repeats: 25,
    slow: 40,
    protects: 10,
    hides: 0,
    crawls: 1,
    ghosts: 0,
};

pub struct Broker {
    chance: Chance,
    pub temper: Temper,
    orders: Vec<Held>,
    trades: Vec<(usize, BrokerFill)>,
    /// Trades that the list does not show before then.
    hidden: BTreeMap<String, Nanos>,
    /// Orders that come when nobody waits for them any more.
    ghosts: Vec<(Nanos, usize, Wanted)>,
    pub had_ghosts: bool,
    /// Nothing that is placed or changed is taken before then; cancels are.
    pub refuses_until: Nanos,
    /// Orders that no book shows before then.
    vanished: BTreeMap<String, Nanos>,
    /// When each command came.
    pub commands: Vec<Nanos>,
    /// Neither commands nor questions get through before then: a dead token, or a cut wire.
    pub away_until: Nanos,
    /// Money that was paid in or out.
    pub paid_in: i64,
    skewed: i64,
    /// So many cancels by number are lost.
    pub deaf: u32,
    pub positions: [i64; COUNT],
    pub last: [Price; COUNT],
    placed: BTreeSet<OrderId>,
    /// Commands by instrument: one at a time, in order.
    queues: [VecDeque<Wanted>; COUNT],
    /// The command of each instrument that is on its way: when it arrives, and what was decided about it.
    flying: [Option<(Nanos, Wanted)>; COUNT],
    /// A wire that waits for an answer sends nothing else before then.
    waits_until: [Nanos; COUNT],
    /// What comes back, by time and number: several of one time in any order of their numbers.
    coming: BTreeMap<(Nanos, u64), Said>,
    number: u64,
    poll: Option<Poll>,
    next_poll: Nanos,
    pub most: i64,
    /// The market stands still.
    pub still: bool,
    /// Nobody trades.
    pub dry: bool,
}

struct Poll {
    asked: Nanos,
    rows: Vec<BrokerOrder>,
    open: Vec<OpenAtBroker>,
    trades: Option<Vec<(usize, BrokerFill)>>,
}

const ONE: i64 = 100_000_000;

impl Broker {
    pub fn new(seed: u64, temper: Temper, now: Nanos) -> Self {
        Self {
            chance: Chance(seed ^ 0xb0b),
            temper,
            orders: Vec::new(),
            trades: Vec::new(),
            hidden: BTreeMap::new(),
            ghosts: Vec::new(),
            had_ghosts: temper.ghosts > 0,
            refuses_until: Nanos::MIN,
            vanished: BTreeMap::new(),
            commands: Vec::new(),
            away_until: Nanos::MIN,
            paid_in: 0,
            skewed: 0,
            deaf: 0,
            positions: [0; COUNT],
            last: [Price::from_units(100); COUNT],
            placed: BTreeSet::new(),
            queues: Default::default(),
            flying: Default::default(),
            waits_until: [Nanos::MIN; COUNT],
            coming: BTreeMap::new(),
            number: 0,
            poll: None,
            next_poll: now,
            most: 0,
            still: false,
            dry: false,
        }
    }

    /// Takes what a step concluded: the commands in it, which are on disk by now.
    pub fn hand_on(&mut self, core: &Core, outputs: &[Output]) {
        for output in outputs {
            let wanted = match &output.body {
                Conclusion::Intent(intent) if intent.verdict == Verdict::Approved => {
                    let reduces = core
                        .working_orders()
                        .find(|(_, order)| order.id == intent.order)
                        .is_some_and(|it| it.1.reduces);
                    Wanted::Place(Box::new(intent.clone()), reduces)
                }
                Conclusion::Modified(new) if new.event == OrderEvent::ModifyRequested => {
                    Wanted::Modify(new.order, new.quantity, new.limit, new.stop)
                }
                Conclusion::Update(update) if update.event == OrderEvent::CancelRequested => {
                    Wanted::Cancel(update.order)
                }
                Conclusion::Difference(difference) if difference.remedy == Remedy::Cancel => {
                    self.cancel_number(&difference.broker_order, core.now());
                    continue;
                }
                _ => continue,
            };
            if !matches!(wanted, Wanted::Place(..)) {
                assert!(core.broker_number(wanted.order()).is_some(), "only what has a number is changed");
            }
            self.queues[output.stream.index()].push_back(wanted);
        }
    }

    /// The process died: what was not on its way never goes, what was on its way back is not heard.
    pub fn crash(&mut self, now: Nanos) {
        // What crawled was still in the process; what was on the wire arrives.
        self.flying.iter_mut().for_each(|flying| drop(flying.take_if(|(at, _)| *at > now + 5 * SECOND)));
        self.queues.iter_mut().for_each(VecDeque::clear);
        self.coming.clear();
        self.poll = None;
    }

    /// Lives through one second.
    pub fn tick(&mut self, now: Nanos) {
        for index in 0..COUNT {
            self.wire(index, now);
            if !self.still {
                self.walk(index);
            }
        }
        let (due, later) = std::mem::take(&mut self.ghosts).into_iter().partition(|(at, ..)| *at <= now);
        self.ghosts = later;
        for (_, index, wanted) in due {
            self.take(index, wanted, now);
        }
        for index in 0..self.orders.len() {
            self.take_effect(index, now);
            self.work(index, now);
        }
        if now >= self.away_until {
            self.ask(now);
        } else {
            // What was on its way does not arrive any more.
            self.poll = None;
        }
    }

    /// What arrives by now, in its order.
    pub fn hear(&mut self, now: Nanos) -> Vec<Said> {
        let later = self.coming.split_off(&(now + 1, 0));
        std::mem::replace(&mut self.coming, later).into_values().collect()
    }

    /// A person trades in the same account.
    pub fn by_hand(&mut self, index: usize, units: i64, now: Nanos) {
        self.number += 1;
        let (side, quantity) = if units > 0 { (Side::Buy, units) } else { (Side::Sell, -units) };
        let fill = BrokerFill {
            trade: format!("T{}", self.number),
            broker_order: format!("HAND{}", self.number),
            side,
            quantity: Quantity::from_units(quantity),
            price: self.last[index],
            exchange_time: now,
        };
        self.trades.push((index, fill));
        self.positions[index] += units;
    }

    /// An order of nobody of ours works.
    pub fn order_by_hand(&mut self, index: usize) {
        self.number += 1;
        let mut row = row_of(&format!("HAND{}", self.number), OrderId(0), Side::Buy, ONE);
        (row.status, row.limit) = (BrokerStatus::Working, Some(Price(ONE)));
        self.orders.push(held(row, index, OrderType::Limit, TimeInForce::Day, false));
    }

    /// Somebody cancels one of our working stops of an instrument at the broker's own page; false where there is none.
    pub fn stop_cancelled_by_hand(&mut self, index: usize, now: Nanos) -> bool {
        let ours = |one: &Held| {
            one.instrument == index && one.kind == OrderType::Stop && one.row.status == BrokerStatus::Working
        };
        let Some(place) = self.orders.iter().position(|one| one.row.order.0 > 0 && ours(one)) else { return false };
        self.end(place, BrokerStatus::Cancelled, now);
        true
    }

    /// No book shows our working orders of an instrument for so many seconds; how many there are.
    pub fn vanish(&mut self, index: usize, now: Nanos, seconds: i64) -> usize {
        let ours = |held: &&Held| held.instrument == index && held.row.order.0 > 0 && !held.row.status.is_final();
        let numbers: Vec<String> = self.orders.iter().filter(ours).map(|held| held.row.broker_order.clone()).collect();
        let count = numbers.len();
        for number in numbers {
            // Once each: twice in a row would be for good.
            self.vanished.entry(number).or_insert(now + seconds * SECOND);
        }
        count
    }

    /// The most commands that came in any minute.
    pub fn busiest_minute(&self) -> usize {
        let until = |from: Nanos| self.commands.partition_point(|at| *at < from + 60 * SECOND);
        (0..self.commands.len()).map(|first| until(self.commands[first]) - first).max().unwrap_or_default()
    }

    /// Orders of nobody of ours that work.
    pub fn foreign(&self) -> usize {
        self.orders.iter().filter(|held| held.row.order.0 == 0 && !held.row.status.is_final()).count()
    }

    /// The wires cancel an order by its number, whosever it is.
    pub fn cancel_number(&mut self, number: &str, now: Nanos) {
        if self.deaf > 0 {
            self.deaf -= 1;
            return;
        }
        let place = self.orders.iter().position(|held| held.row.broker_order == number);
        if let Some(place) = place.filter(|place| !self.orders[*place].row.status.is_final()) {
            self.end(place, BrokerStatus::Cancelled, now);
        }
    }

    /// The average it tells of a position, so many paise off.
    pub fn skew(&mut self, paise: i64) {
        self.skewed = paise * ONE / 100;
    }

    fn end(&mut self, place: usize, status: BrokerStatus, now: Nanos) {
        (self.orders[place].row.status, self.orders[place].row.updated) = (status, Some(now));
        self.message(place, now);
    }

    /// Working stops of an instrument that leave what is held, signed.
    pub fn stops(&self, index: usize) -> i64 {
        let works = |held: &&Held| held.instrument == index && held.row.status == BrokerStatus::Working;
        let stops = self.orders.iter().filter(works).filter(|held| held.kind == OrderType::Stop && held.reduces);
        stops.map(|held| held.row.side.signed(Quantity(held.row.quantity.0 - held.row.filled.0)).0 / ONE).sum()
    }

    pub fn trade_count(&self) -> usize {
        self.trades.len()
    }

    /// The naive twin of every position: all trades there are, added up.
    pub fn twin(&self, index: usize) -> i64 {
        let of = |(at, fill): &(usize, BrokerFill)| {
            if *at == index { fill.side.signed(fill.quantity).0 / ONE } else { 0 }
        };
        self.trades.iter().map(of).sum()
    }

    fn send(&mut self, at: Nanos, said: Said) {
        self.number += 1;
        self.coming.insert((at, self.number), said);
    }

    fn wire(&mut self, index: usize, now: Nanos) {
        if self.flying[index].is_none()
            && now >= self.waits_until[index]
            && let Some(wanted) = self.queues[index].pop_front()
        {
            let crawls = self.chance.percent(self.temper.crawls);
            let delay = if crawls { 40 + self.chance.below(50) } else { self.chance.below(4) };
            let delay = delay.cast_signed() * SECOND;
            self.flying[index] = Some((now + delay, wanted));
        }
        let Some((at, wanted)) = self.flying[index].take_if(|(at, _)| *at <= now) else { return };
        let _ = at;
        let (order, request) = (wanted.order(), wanted.request());
        let answer = |answer, number: &str| {
            let (broker_order, kind, message) = (number.to_owned(), Label::NONE, String::new());
            Said::Answer(BrokerAnswer { order, request, answer, broker_order, kind, message })
        };
        if now < self.away_until {
            return self.send(now, answer(Answered::NotSent, ""));
        }
        self.commands.push(now);
        if now < self.refuses_until && request != BrokerRequest::Cancel {
            let (broker_order, message) = (String::new(), "not from this address".to_owned());
            let kind = Label::new("PermissionException");
            let refused = BrokerAnswer { order, request, answer: Answered::Refused, broker_order, kind, message };
            return self.send(now, Said::Answer(refused));
        }
        if request == BrokerRequest::Place && self.chance.percent(self.temper.ghosts) {
            let late = (45 + self.chance.below(30).cast_signed()) * SECOND;
            self.ghosts.push((now + late, index, wanted));
            return self.send(now, answer(Answered::Unknown, ""));
        }
        let dice = self.chance.below(100);
        if dice < self.temper.lost {
            // Certainly not sent, or nobody knows: lost all the same.
            let said = if dice.is_multiple_of(2) { Answered::NotSent } else { Answered::Unknown };
            return self.send(now, answer(said, ""));
        }
        if self.chance.percent(self.temper.refuses) {
            return self.send(now, answer(Answered::Refused, ""));
        }
        let taken = self.take(index, wanted, now);
        if self.chance.percent(self.temper.unanswered) {
            self.waits_until[index] = now + 7 * SECOND;
            return self.send(now + 7 * SECOND, answer(Answered::Unknown, ""));
        }
        match taken {
            Some(number) => self.send(now, answer(Answered::Accepted, &number)),
            None => self.send(now, answer(Answered::Refused, "")),
        }
    }

    /// The command reaches the broker; nothing where it refuses.
    fn take(&mut self, index: usize, wanted: Wanted, now: Nanos) -> Option<String> {
        match wanted {
            Wanted::Place(intent, reduces) => {
                assert!(self.placed.insert(intent.order), "order {} was placed twice", intent.order);
                self.number += 1;
                let number = format!("19{:017}", self.number);
                let mut row = row_of(&number, intent.order, intent.side, intent.quantity.0);
                (row.limit, row.stop, row.registered) = (intent.limit, intent.stop, Some(now));
                (row.status, row.updated) = (BrokerStatus::OnItsWay, Some(now));
                let expires = intent.expires;
                let order = held(row, index, intent.order_type, intent.time_in_force, reduces);
                self.orders.push(Held { expires, ..order });
                self.message(self.orders.len() - 1, now);
                Some(number)
            }
            Wanted::Modify(order, quantity, ..) => {
                let place = self.orders.iter().position(|held| held.row.order == order)?;
                let held = &mut self.orders[place];
                let can_be = held.row.status == BrokerStatus::Working && !held.triggered && held.due.is_none();
                if !can_be || quantity <= held.row.filled {
                    return None;
                }
                held.changes += 1;
                assert!(held.changes <= 25, "order {order} was changed more often than the broker takes");
                let number = held.row.broker_order.clone();
                self.register(place, wanted, now);
                Some(number)
            }
            Wanted::Cancel(order) => {
                let place = self.orders.iter().position(|held| held.row.order == order)?;
                if self.orders[place].row.status != BrokerStatus::Working || self.orders[place].due.is_some() {
                    return None;
                }
                let number = self.orders[place].row.broker_order.clone();
                self.register(place, wanted, now);
                Some(number)
            }
        }
    }

    /// A change or a cancel is registered; the exchange hears of it at once, or some seconds later.
    fn register(&mut self, place: usize, wanted: Wanted, now: Nanos) {
        let slow = self.chance.percent(self.temper.slow);
        let late = if slow { 1 + self.chance.below(3).cast_signed() } else { 0 };
        self.orders[place].due = Some((now + late * SECOND, wanted));
        if late == 0 {
            self.take_effect(place, now);
        }
    }

    fn take_effect(&mut self, place: usize, now: Nanos) {
        let Some((_, wanted)) = self.orders[place].due.take_if(|(at, _)| *at <= now) else { return };
        let held = &mut self.orders[place];
        if held.row.status != BrokerStatus::Working {
            return;
        }
        match wanted {
            Wanted::Cancel(_) => self.end(place, BrokerStatus::Cancelled, now),
            // Too late: it filled, or was triggered, since the change was registered.
            Wanted::Modify(_, quantity, ..) if held.triggered || quantity <= held.row.filled => {
                let mut row = held.row.clone();
                row.status = BrokerStatus::NotModified;
                self.send(now, Said::Row(row));
            }
            Wanted::Modify(_, quantity, limit, stop) => {
                (held.row.quantity, held.row.limit, held.row.stop) = (quantity, limit, stop);
                held.row.updated = Some(now);
                if stop.is_none() && held.kind == OrderType::Stop {
                    held.kind = OrderType::Market;
                }
                self.message(place, now);
            }
            Wanted::Place(..) => unreachable!("a placement is no change"),
        }
    }

    fn walk(&mut self, index: usize) {
        let step = (self.chance.below(41).cast_signed() - 20) * ONE / 100;
        self.last[index] = Price((self.last[index].0 + step).clamp(50 * ONE, 200 * ONE));
    }

    /// One second of an order's life.
    fn work(&mut self, place: usize, now: Nanos) {
        let held = &mut self.orders[place];
        match held.row.status {
            BrokerStatus::OnItsWay => {
                // The exchange may refuse what the broker took.
                let refused = held.row.order.0 > 0 && self.chance.percent(self.temper.refuses / 2);
                held.row.status = if refused { BrokerStatus::Rejected } else { BrokerStatus::Working };
                held.row.updated = Some(now);
                return self.message(place, now);
            }
            BrokerStatus::Working => {}
            _ => return,
        }
        let last = self.last[held.instrument];
        let buys = held.row.side == Side::Buy;
        let beyond = |price: Price| if buys { last >= price } else { last <= price };
        held.triggered |= held.row.stop.is_some_and(beyond);
        let at_market = held.kind == OrderType::Market || (held.kind == OrderType::Stop && held.triggered);
        if at_market && self.temper.protects > 0 && held.protection.is_none() {
            let far = self.temper.protects * ONE / 100;
            held.protection = Some(Price(last.0 + if buys { far } else { -far }));
        }
        let protected = |limit: Price| if buys { last <= limit } else { last >= limit };
        let trades = (held.row.stop.is_none() || held.triggered)
            && held.protection.is_none_or(protected)
            && held.row.limit.is_none_or(|limit| if buys { last <= limit } else { last >= limit });
        let rest = (held.row.quantity.0 - held.row.filled.0) / ONE;
        if trades && rest > 0 && !self.dry && self.chance.percent(60) {
            let units = 1 + self.chance.below(rest.cast_unsigned()).cast_signed();
            self.fill(place, units, last, now);
        } else if self.orders[place].lasts == TimeInForce::Ioc
            || self.orders[place].expires.is_some_and(|expires| expires <= now)
        {
            self.end(place, BrokerStatus::Cancelled, now);
        }
    }

    fn fill(&mut self, place: usize, units: i64, price: Price, now: Nanos) {
        self.number += 1;
        let held = &mut self.orders[place];
        let (index, before) = (held.instrument, self.positions[held.instrument]);
        held.row.average = average(held.row.average, held.row.filled.0 / ONE, price, units);
        held.row.filled += Quantity::from_units(units);
        held.row.updated = Some(now);
        let after = before + held.row.side.signed(Quantity::from_units(units)).0 / ONE;
        if held.reduces && !self.had_ghosts {
            let reduced = after.abs() < before.abs() && after.signum() * before.signum() >= 0;
            assert!(reduced, "order {} took a position from {before} to {after}", held.row.order);
        }
        self.positions[index] = after;
        self.most = self.most.max(after.abs());
        if held.row.filled == held.row.quantity {
            held.row.status = BrokerStatus::Filled;
        }
        let fill = BrokerFill {
            trade: format!("T{}", self.number),
            broker_order: held.row.broker_order.clone(),
            side: held.row.side,
            quantity: Quantity::from_units(units),
            price,
            exchange_time: now,
        };
        if self.chance.percent(self.temper.hides) {
            self.hidden.insert(fill.trade.clone(), now + 50 * SECOND);
        }
        self.trades.push((index, fill));
        self.message(place, now);
    }

    /// A message of an order as it stands: late, twice or not at all.
    fn message(&mut self, place: usize, now: Nanos) {
        if self.chance.percent(self.temper.silent) {
            return;
        }
        let copies = if self.chance.percent(self.temper.repeats) { 2 } else { 1 };
        for _ in 0..copies {
            let late = if self.temper.repeats > 0 { self.chance.below(9) } else { 0 };
            let row = self.orders[place].row.clone();
            self.send(now + late.cast_signed() * SECOND, Said::Row(row));
        }
    }

    /// The poll: orders at one moment, trades at the next, positions at the one after.
    fn ask(&mut self, now: Nanos) {
        match &mut self.poll {
            None if now >= self.next_poll => {
                let seen = |held: &&Held| self.vanished.get(&held.row.broker_order).is_none_or(|until| *until <= now);
                let rows = self.orders.iter().filter(seen).map(|held| held.row.clone());
                let rows = rows.filter(|row| row.order.0 > 0).collect();
                let works = self.orders.iter().filter(seen).filter(|held| !held.row.status.is_final());
                let open = works.map(open_of).collect();
                self.poll = Some(Poll { asked: now, rows, open, trades: None });
                self.next_poll = now + 5 * SECOND;
            }
            Some(poll) if poll.trades.is_none() => {
                let shown =
                    |(_, fill): &&(usize, BrokerFill)| self.hidden.get(&fill.trade).is_none_or(|until| *until <= now);
                poll.trades = Some(self.trades.iter().filter(shown).cloned().collect());
            }
            Some(_) => {
                let Some(Poll { asked, rows, open, trades }) = self.poll.take() else { return };
                rows.into_iter().for_each(|row| self.send(now, Said::Row(row)));
                let trades = trades.unwrap_or_default();
                trades.into_iter().for_each(|(at, fill)| self.send(now, Said::Fill(InstrumentId(at as u32), fill)));
                let positions = self.positions.iter().enumerate().filter(|(_, units)| **units != 0);
                let positions = positions.map(|(index, units)| BrokerPosition {
                    instrument: InstrumentId(index as u32),
                    product: Label::new("MIS"),
                    quantity: Quantity::from_units(*units),
                    average: Price(self.average_of(index).0 + self.skewed),
                });
                let positions = positions.collect();
                let funds = Some(self.funds());
                let book = BrokerBook { asked, positions, open, funds };
                self.send(now, Said::Book(book));
            }
            None => {}
        }
    }

    /// The average of the day's trades on the side that is open, as brokers tell it.
    fn average_of(&self, index: usize) -> Price {
        let side = if self.positions[index] > 0 { Side::Buy } else { Side::Sell };
        let of_side = self.trades.iter().filter(|(at, fill)| *at == index && fill.side == side);
        of_side
            .fold((Price::ZERO, 0), |(mean, units), (_, fill)| {
                let more = fill.quantity.0 / ONE;
                (average(mean, units, fill.price, more), units + more)
            })
            .0
    }

    /// Money free to trade: what came in and was gained, less something for what is held.
    fn funds(&self) -> Money {
        let gained: i128 =
            self.trades.iter().map(|(_, fill)| -fill.price.times(fill.side.signed(fill.quantity)).0).sum();
        let held: i128 =
            (0..COUNT).map(|index| i128::from(self.positions[index]) * i128::from(self.last[index].0)).sum();
        let blocked: i128 = self.positions.iter().map(|units| i128::from(units.abs()) * i128::from(20 * ONE)).sum();
        Money(i128::from(self.paid_in + 1_000_000) * i128::from(ONE) + gained + held - blocked)
    }
}

/// The mean of so many at one price and so many more at another.
fn average(mean: Price, units: i64, price: Price, more: i64) -> Price {
    let sum = i128::from(mean.0) * i128::from(units) + i128::from(price.0) * i128::from(more);
    Price((sum / i128::from(units + more).max(1)) as i64)
}

fn held(row: BrokerOrder, instrument: usize, kind: OrderType, lasts: TimeInForce, reduces: bool) -> Held {
    let (expires, triggered, protection, due) = (None, false, None, None);
    Held { row, instrument, kind, lasts, expires, reduces, triggered, protection, due, changes: 0 }
}

fn open_of(held: &Held) -> OpenAtBroker {
    let BrokerOrder { order, broker_order, side, quantity, filled, limit, stop, .. } = held.row.clone();
    let instrument = InstrumentId(held.instrument as u32);
    OpenAtBroker { order, broker_order, instrument, side, quantity, filled, limit, stop }
}

fn row_of(number: &str, order: OrderId, side: Side, quantity: i64) -> BrokerOrder {
    BrokerOrder {
        order,
        broker_order: number.to_owned(),
        tag: String::new(),
        status: BrokerStatus::OnItsWay,
        word: Label::NONE,
        side,
        quantity: Quantity(quantity),
        filled: Quantity::ZERO,
        pending: Quantity::ZERO,
        cancelled: Quantity::ZERO,
        average: Price::ZERO,
        limit: None,
        stop: None,
        registered: None,
        updated: None,
        message: String::new(),
    }
}
