//! A session with a broker, without a disk: the inputs it was told are kept, and can be told to a new core.

use super::exchange::{Broker, COUNT, Chance, Said};
use daybook_config::{FeeSchedule, ProtectiveStop, Reconcile};
use daybook_core::risk::RiskLimits;
use daybook_core::strategy::{Strategy, View};
use daybook_core::{
    Body, Bracket, Conclusion, Core, Input, Level, OrderChange, OrderRequest, Outbox, Output, Requests, SessionHours,
    Setup, Slice,
};
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{
    Candle, Cause, Command, Date, DifferenceKind, Instrument, InstrumentId, Interval, Money, Nanos, PayloadBuffer,
    Price, Quantity, Remedy, Side, TimeInForce, TradePrint,
};

/// An input that is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Opened(SessionHours),
    Closed,
    Print(InstrumentId, TradePrint),
    Slice,
    Command(Command),
    Broker(Said),
    TakenUp,
}

/// Asks for anything, by chance.
struct Restless {
    chance: Chance,
}

impl Strategy for Restless {
    fn warmup(&self) -> u32 {
        0
    }

    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        let chance = &mut self.chance;
        let side = if chance.percent(50) { Side::Buy } else { Side::Sell };
        let quantity = Quantity::from_units(1 + chance.below(9).cast_signed());
        let held = view.position();
        let near = |up: bool, hundredths: i64| {
            let away = hundredths * 1_000_000;
            Price(view.last().0 + if up { away } else { -away })
        };
        if held.is_zero() {
            let market = OrderRequest::market(side, quantity, "in");
            match chance.below(10) {
                0..=3 => requests.place(market),
                4 => requests.place(market.lasting(TimeInForce::Ioc)),
                5 => requests.place(OrderRequest::limit(side, quantity, near(side == Side::Sell, 10), "in")),
                6 => {
                    let stop = Some(Level::At(near(side == Side::Sell, 60)));
                    requests.place(market.with_exits(Bracket { stop, target: None }));
                }
                7 => requests.cancel_all("tired"),
                8 => {
                    let stop = near(side == Side::Buy, 20);
                    requests.place(OrderRequest::stop(side, quantity, stop, "break-out"));
                }
                _ => {
                    let (stop, limit) = (near(side == Side::Buy, 20), near(side == Side::Buy, 30));
                    requests.place(OrderRequest::stop_limit(side, quantity, stop, limit, "break-out"));
                    let passive = near(side == Side::Sell, 15);
                    let until = Nanos(view.now.0 + 90 * SECOND);
                    requests.place(OrderRequest::limit(side, quantity, passive, "for a minute").until(until));
                }
            }
            return;
        }
        let out = if held.0 > 0 { Side::Sell } else { Side::Buy };
        match chance.below(12) {
            0..=2 => requests.place(OrderRequest::market(out, held.abs(), "out")),
            3 => requests.place(OrderRequest::market(out, Quantity::from_units(1), "part")),
            4 => requests.place(OrderRequest::market(out, Quantity::from_units(50), "round")),
            5 => requests.place(OrderRequest::stop(out, held.abs(), near(out == Side::Buy, 40), "tighter")),
            6 => requests.place(OrderRequest::limit(out, held.abs(), near(out == Side::Sell, 50), "target")),
            7 => requests.place(OrderRequest::market(out.opposite(), quantity, "more")),
            8 => {
                requests.cancel_all("all");
                requests.place(OrderRequest::market(out, held.abs(), "out"));
            }
            9 => {
                if let Some(order) = view.working().first() {
                    let change =
                        OrderChange { limit: order.limit.map(|_| near(out == Side::Buy, 5)), ..OrderChange::default() };
                    requests.modify(order.id, change, "nearer");
                    requests.cancel(order.id, "this");
                }
            }
            _ => {}
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.chance.0.to_le_bytes());
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        saved.try_into().map(|bytes| self.chance = Chance(u64::from_le_bytes(bytes))).is_ok()
    }
}

/// What a session's strategy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Anything, by chance.
    Anything,
    /// Buys five of everything, once, with a stop so many paise below and a target so many above.
    Buys(i64, i64),
    /// The same without a target, and tightens the stop by a tick at every decision.
    Tightens(i64),
    /// Buys five of everything, twice at once, where a market order may slip by five hundredths of a percent.
    Chases,
}

/// Buys once.
struct Buyer {
    does: Does,
    bought: [bool; COUNT],
    steps: i64,
}

impl Strategy for Buyer {
    fn warmup(&self) -> u32 {
        0
    }

    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        let (held, last) = (view.position(), view.last());
        let away = |paise: i64| Price(last.0 + paise * 1_000_000);
        let (below, target) = match self.does {
            Does::Buys(below, above) => (below, Some(Level::At(away(above)))),
            Does::Tightens(below) => (below, None),
            Does::Chases => (100, None),
            Does::Anything => unreachable!("that is the other one"),
        };
        if !std::mem::replace(&mut self.bought[view.instrument.index()], true) {
            let exits = Bracket { stop: Some(Level::At(away(-below))), target };
            let market = OrderRequest::market(Side::Buy, Quantity::from_units(5), "in").with_exits(exits);
            requests.place(market);
            if self.does == Does::Chases {
                requests.place(market);
            }
        } else if matches!(self.does, Does::Tightens(_)) && !held.is_zero() {
            self.steps += 1;
            requests.place(OrderRequest::stop(Side::Sell, held, away(self.steps * 5 - below), "tighter"));
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.extend(self.bought.map(u8::from));
        out.extend_from_slice(&self.steps.to_le_bytes());
    }

    fn load(&mut self, saved: &[u8]) -> bool {
        let (bought, steps) = saved.split_at(COUNT);
        bought.iter().enumerate().for_each(|(place, byte)| self.bought[place] = *byte == 1);
        steps.try_into().map(|bytes| self.steps = i64::from_le_bytes(bytes)).is_ok()
    }
}

pub struct Session {
    seed: u64,
    reconcile: Reconcile,
    does: Does,
    pub core: Core,
    pub told: Vec<(Nanos, Told)>,
    pub outputs: Vec<Output>,
    encoded: Vec<Vec<u8>>,
    pub now: Nanos,
    /// The strategy is not asked.
    pub quiet: bool,
}

const LIMIT: i64 = 12;

pub fn hours() -> SessionHours {
    let date = Date(20_000);
    let open = date.midnight() + 225 * MINUTE;
    SessionHours { date, open, close: open + 300 * MINUTE }
}

fn core(seed: u64, reconcile: Reconcile, does: Does) -> Core {
    let strategy: Box<dyn Strategy> = match does {
        Does::Anything => Box::new(Restless { chance: Chance(seed) }),
        _ => Box::new(Buyer { does, bought: [false; COUNT], steps: 0 }),
    };
    let instrument = |symbol: &str| Instrument {
        market: "nse".into(),
        symbol: symbol.into(),
        tick: "0.05".parse().unwrap(),
        lot: Quantity::from_units(1),
    };
    let limits = RiskLimits { max_position_quantity: Some(Quantity::from_units(LIMIT)), ..RiskLimits::default() };
    let slips = (does == Does::Chases).then(|| "5".parse().unwrap());
    let limits = RiskLimits { max_slippage_bps: slips, ..limits };
    let stop = if seed.is_multiple_of(2) { "0.5".parse().unwrap() } else { "1".parse().unwrap() };
    Core::new(Setup {
        instruments: vec![instrument("A"), instrument("B")],
        interval: Interval::MINUTE,
        timeframe: None,
        cash: Money::from_units(1_000_000),
        fees: FeeSchedule::parse("zerodha-intraday").unwrap(),
        participation_bps: None,
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        strategy,
    })
    .with_risk(limits)
    .with_keeper(if seed.is_multiple_of(3) { ProtectiveStop::Ranges(stop) } else { ProtectiveStop::Percent(stop) })
    .with_broker(reconcile)
}

impl Session {
    pub fn begin(seed: u64, reconcile: Reconcile) -> Self {
        Self::that(Does::Anything, seed, reconcile)
    }

    pub fn that(does: Does, seed: u64, reconcile: Reconcile) -> Self {
        let now = hours().open;
        let core = core(seed, reconcile, does);
        let (told, outputs, encoded) = (Vec::new(), Vec::new(), Vec::new());
        Self { seed, reconcile, does, core, told, outputs, encoded, now, quiet: false }
    }

    /// Tells the core and keeps what it was told; hands back what it concluded.
    pub fn tell(&mut self, told: Told) -> Vec<Output> {
        self.told.push((self.now, told));
        let number = self.told.len();
        let (time, told) = &self.told[number - 1];
        let concluded = step(&mut self.core, number as u64, *time, told);
        self.encoded.extend(concluded.iter().map(bytes));
        self.outputs.extend(concluded.iter().cloned());
        concluded
    }

    /// The process dies and begins again: a new core is told what was kept, and concludes the same.
    pub fn begin_again(&mut self) -> Vec<Output> {
        self.replay();
        self.tell(Told::TakenUp)
    }

    /// Derives everything again, and compares: an audit.
    pub fn replay(&mut self) {
        let mut again = core(self.seed, self.reconcile, self.does);
        let mut derived = Vec::new();
        for (number, (time, told)) in (1..).zip(&self.told) {
            derived.extend(step(&mut again, number, *time, told).iter().map(bytes));
        }
        assert!(derived == self.encoded, "seed {}: a replay concludes something else", self.seed);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        self.core.save(&mut one);
        again.save(&mut other);
        assert!(one == other, "seed {}: a replay ends in another state", self.seed);
        // From a snapshot as well.
        let mut restored = core(self.seed, self.reconcile, self.does);
        restored.load(&one).unwrap();
        self.core = restored;
    }

    /// One second: what the broker says, what the market does, and on the minute a decision.
    pub fn second(&mut self, broker: &mut Broker) {
        self.now = self.now + SECOND;
        broker.tick(self.now);
        for said in broker.hear(self.now) {
            let concluded = self.tell(Told::Broker(said));
            broker.hand_on(&self.core, &concluded);
        }
        for index in 0..COUNT {
            let print = TradePrint::new(self.now, broker.last[index], Quantity::from_units(1_000));
            let concluded = self.tell(Told::Print(InstrumentId(index as u32), print));
            broker.hand_on(&self.core, &concluded);
        }
        if !self.quiet && (self.now - hours().open) % (10 * SECOND) == 0 {
            let concluded = self.tell(Told::Slice);
            broker.hand_on(&self.core, &concluded);
        }
    }

    /// Codes of the alarms so far, those of changes and cancels left out.
    pub fn alarms(&self) -> Vec<String> {
        let code = |output: &Output| match &output.body {
            Conclusion::Alarm(alarm) if *alarm.code != *"request-refused" => Some(alarm.code.to_string()),
            _ => None,
        };
        self.outputs.iter().filter_map(code).collect()
    }

    /// Differences so far, and what was done about them.
    pub fn differences(&self) -> Vec<(DifferenceKind, Remedy)> {
        let told = |output: &Output| match &output.body {
            Conclusion::Difference(told) => Some((told.what, told.remedy)),
            _ => None,
        };
        self.outputs.iter().filter_map(told).collect()
    }

    pub fn held(&self, index: usize) -> i64 {
        self.core.book(InstrumentId(index as u32)).position.quantity.0 / 100_000_000
    }
}

fn step(core: &mut Core, seq: u64, time: Nanos, told: &Told) -> Vec<Output> {
    let body = match told {
        Told::Opened(hours) => Body::SessionOpened(*hours),
        Told::Closed => Body::SessionClosed,
        Told::Print(id, print) => Body::Print(*id, print),
        Told::Slice => Body::Slice(Slice { interval: Interval::MINUTE }),
        Told::Command(command) => Body::Command(*command),
        Told::Broker(Said::Answer(answer)) => Body::Answer(answer),
        Told::Broker(Said::Row(row)) => Body::BrokerOrder(row),
        Told::Broker(Said::Fill(id, fill)) => Body::BrokerFill(*id, fill),
        Told::Broker(Said::Book(book)) => Body::BrokerBook(book),
        Told::TakenUp => Body::TakenUp,
    };
    let mut out = Outbox::new();
    core.step(&Input { cause: Cause { rank: 0, seq }, time, body }, &mut out).unwrap();
    out.outputs().to_vec()
}

fn bytes(output: &Output) -> Vec<u8> {
    let mut buffer = PayloadBuffer::new();
    let schema = output.body.encode(&mut buffer);
    let mut bytes = vec![schema];
    bytes.extend_from_slice(&output.body.kind().number().to_le_bytes());
    bytes.extend_from_slice(&buffer);
    bytes
}

pub const fn most_allowed() -> i64 {
    LIMIT
}
