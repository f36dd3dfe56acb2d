//! Random worlds for the tests of the core: candles with everything that goes wrong, and a script of requests.
//!
//! - A world follows from its seed alone; `DAYBOOK_SEED` runs a single one, `DAYBOOK_WORLDS` any number.
//! - Nothing here knows what the core should answer.

#![allow(dead_code, reason = "each test binary uses its part")]

use daybook_config::fees::FeeSchedule;
use daybook_config::{AssetClass, LimitFill, OffTick, SlippageModel, WrongSide};
use daybook_core::strategy::{Strategy, View};
use daybook_core::{
    Body, Bracket, Conclusion, Core, CoreError, ExchangeRules, Input, Level, OrderChange, OrderRequest, Outbox, Output,
    Request, Requests, SessionHours, Setup, Slice,
};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::time::{DAY, SECOND};
use daybook_vocabulary::{
    BasisPoints, Candle, Cause, Date, Instrument, InstrumentId, Interval, Label, Money, Nanos, OrderId, OrderState,
    Price, Quantity, Ratio, Side, TimeInForce, Trail, Verdict,
};
use std::collections::BTreeSet;

/// Candles in a session; not a multiple of the timeframes, so that last bars are short.
pub const CANDLES: i64 = 11;
const MINUTE: i64 = 60 * SECOND;
const _: () = assert!(DAY > (CANDLES + 1) * MINUTE, "sessions do not overlap");

/// The seeds to run: one when `DAYBOOK_SEED` says which, else `DAYBOOK_WORLDS` of them, else `count`.
pub fn seeds(count: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().expect("a whole number"));
    match number("DAYBOOK_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("DAYBOOK_WORLDS").unwrap_or(count)).collect(),
    }
}

/// splitmix64 (Steele, Lea, Flood 2014): small, and every seed is good.
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub const fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    pub const fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.next() as usize % from.len()]
    }
}

/// One input, owned.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Opened { hours: SessionHours },
    Candle { cause: Cause, time: Nanos, instrument: usize, candle: Candle, late: bool },
    Slice { time: Nanos },
    Closed { time: Nanos },
}

impl Step {
    pub const fn time(&self) -> Nanos {
        match self {
            Self::Opened { hours } => hours.open,
            Self::Candle { time, .. } | Self::Slice { time } | Self::Closed { time } => *time,
        }
    }
}

/// Steps the core and hands back what it said.
pub fn step(core: &mut Core, step: &Step) -> Result<Vec<Output>, CoreError> {
    let mut out = Outbox::new();
    let body = match step {
        Step::Opened { hours } => Body::SessionOpened(*hours),
        Step::Candle { instrument, candle, .. } => Body::Candle(InstrumentId(*instrument as u32), candle),
        Step::Slice { .. } => Body::Slice(Slice { interval: Interval::MINUTE }),
        Step::Closed { .. } => Body::SessionClosed,
    };
    let cause = if let Step::Candle { cause, .. } = step { *cause } else { Cause::default() };
    core.step(&Input { cause, time: step.time(), body }, &mut out)?;
    Ok(out.outputs().to_vec())
}

/// A strategy that plays a script, one entry a decision.
#[derive(Clone)]
pub struct Scripted {
    script: Vec<Vec<Request>>,
    next: u64,
}

impl Strategy for Scripted {
    fn warmup(&self) -> u32 {
        0
    }
    fn on_bar(&mut self, _: InstrumentId, _: &Candle) {}
    fn decide(&mut self, _: &View<'_>, requests: &mut Requests) {
        for request in self.script.get(self.next as usize).into_iter().flatten() {
            match *request {
                Request::Place(order) => requests.place(order),
                Request::PlaceIn(instrument, order) => requests.place_in(instrument, order),
                Request::Cancel(order, reason) => requests.cancel(order, reason.as_str()),
                Request::CancelAll(reason) => requests.cancel_all(reason.as_str()),
                Request::Modify(order, change, reason) => requests.modify(order, change, reason.as_str()),
                Request::Replace(order, with) => requests.replace(order, with),
            }
        }
        self.next += 1;
    }
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
    }
    fn load(&mut self, saved: &[u8]) -> bool {
        saved.try_into().map(|bytes| self.next = u64::from_le_bytes(bytes)).is_ok()
    }
}

/// Everything a run of the core depends on.
#[derive(Clone)]
pub struct World {
    pub instruments: Vec<Instrument>,
    pub timeframe: Option<Interval>,
    pub cash: Money,
    pub costs: String,
    pub participation_bps: Option<u32>,
    pub slippage: SlippageModel,
    pub rules: ExchangeRules,
    pub decide_from: Nanos,
    pub warmup_bars: u64,
    pub steps: Vec<Step>,
    pub script: Vec<Vec<Request>>,
}

impl World {
    pub fn scripted(&self) -> Box<dyn Strategy> {
        Box::new(Scripted { script: self.script.clone(), next: 0 })
    }

    pub fn core(&self, strategy: Box<dyn Strategy>) -> Core {
        Core::new(Setup {
            instruments: self.instruments.clone(),
            interval: Interval::MINUTE,
            timeframe: self.timeframe,
            cash: self.cash,
            fees: FeeSchedule::parse(&self.costs).unwrap(),
            participation_bps: self.participation_bps,
            decide_from: self.decide_from,
            warmup_bars: self.warmup_bars,
            strategy,
        })
        .with_slippage(self.slippage)
        .with_exchange(self.rules.clone())
    }

    pub fn random(seed: u64) -> Self {
        let sessions = Random::new(!seed).range(2, 4);
        let mut world = Self::slipping(seed, sessions, true);
        world.rules = rules(&mut Random::new(seed ^ 0x0e8c_4a9e), world.instruments.len());
        world
    }

    /// A world of so many sessions.
    pub fn lasting(seed: u64, sessions: i64) -> Self {
        Self::slipping(seed, sessions, false)
    }

    /// Half of the worlds slip. Where the model needs a volume, candles have one; those whose price stands still may go
    /// without.
    fn slipping(seed: u64, sessions: i64, still: bool) -> Self {
        let mut world = Self::plain(seed, sessions);
        let random = &mut Random::new(seed ^ 0x0051_1e5a);
        let bps = BasisPoints(random.pick(&[1, 5 * SCALE, 73 * SCALE / 10, 400 * SCALE, 10_000 * SCALE]));
        world.slippage = match random.range(0, 14) {
            0 => SlippageModel::Bps(bps),
            1 => SlippageModel::HalfSpread(Price(random.pick(&[1, 9, SCALE / 20, 7 * SCALE]))),
            2 => SlippageModel::VolumeShare(bps),
            3 => SlippageModel::VolumeShareSquared(bps),
            4 => SlippageModel::SqrtImpact(bps),
            5 => SlippageModel::Percent(bps, Price(random.pick(&[1, SCALE / 100]))),
            6 => SlippageModel::AssetClass(random.pick(&AssetClass::ALL)),
            7 => SlippageModel::OrderType(bps, BasisPoints(1), BasisPoints(9 * SCALE)),
            8 => SlippageModel::SizeRoot(bps, Quantity(random.pick(&[1, 7 * SCALE, 1_000 * SCALE]))),
            9 => SlippageModel::Participation(BasisPoints(SCALE), bps, BasisPoints(random.pick(&[0, 3 * SCALE]))),
            _ => SlippageModel::None,
        };
        let by_volume = matches!(
            world.slippage,
            SlippageModel::VolumeShare(_)
                | SlippageModel::VolumeShareSquared(_)
                | SlippageModel::SqrtImpact(_)
                | SlippageModel::Participation(..)
        );
        if !by_volume {
            return world;
        }
        for step in &mut world.steps {
            if let Step::Candle { candle, .. } = step
                && candle.volume().is_zero()
                && !(still && candle.high() == candle.low())
            {
                *candle = Candle::new(CandleParts { volume: Quantity(1), ..candle.parts() });
            }
        }
        world
    }

    fn plain(seed: u64, sessions: i64) -> Self {
        let random = &mut Random::new(seed);
        let count = random.range(1, 3) as usize;
        // Prices from a few units of the last place to a thousand million.
        let scale = random.pick(&[40, 1_000_000, 100 * SCALE, 100 * SCALE, 2_500 * SCALE, 1_000_000_000 * SCALE]);
        let lot = random.pick(&[0, 1, SCALE / 100, SCALE, SCALE, 5 * SCALE]);
        let instrument = |index: usize| Instrument {
            market: "nse".into(),
            symbol: format!("S{index}"),
            tick: Price(random.pick(&[0, 1, 7, scale / 2_000 + 1])),
            lot: Quantity(lot),
        };
        let instruments: Vec<_> = (0..count).map(instrument).collect();
        // From too little for anything to plenty.
        let position = Price(scale).times(Quantity(lot.max(SCALE))).0;
        let cash = Money(position * i128::from(random.pick(&[0, 3, 30, 300, 300, 100_000])));
        Self {
            timeframe: random.pick(&[None, None, Some(Interval(180)), Some(Interval(300)), Some(Interval::DAY)]),
            cash,
            costs: random.pick(&["none", "bps:12.5", "per-share:0.01", "zerodha-intraday", "zerodha-delivery"]).into(),
            participation_bps: random.pick(&[None, None, Some(0), Some(150), Some(2_500), Some(10_000)]),
            slippage: SlippageModel::None,
            rules: ExchangeRules::default(),
            decide_from: if random.one_in(4) { Nanos(session(1).open.0) } else { Nanos::MIN },
            warmup_bars: random.pick(&[0, 0, 0, 3]),
            steps: steps(random, sessions, count, scale, lot),
            script: (0..400).map(|_| requests(random, scale, lot)).collect(),
            instruments,
        }
    }
}

/// The plain exchange for half of the worlds, a stricter or slower one for the others.
fn rules(random: &mut Random, count: usize) -> ExchangeRules {
    if random.one_in(2) {
        return ExchangeRules::default();
    }
    let band = |random: &mut Random| random.pick(&[None, Some(150), Some(400), Some(1_000)]);
    let expiry = |random: &mut Random| random.pick(&[Nanos::MAX, Nanos(session(1).open.0 + 3 * MINUTE)]);
    ExchangeRules {
        limit_fill: random.pick(&[LimitFill::Touch, LimitFill::Through]),
        off_tick: random.pick(&[OffTick::Round, OffTick::Round, OffTick::Refuse]),
        wrong_side: random.pick(&[WrongSide::Trigger, WrongSide::Refuse]),
        bands: if random.one_in(2) { (0..count).map(|_| band(random)).collect() } else { Vec::new() },
        latency: random.pick(&[0, 0, 1, 60 * SECOND, 90 * SECOND]),
        expiries: if random.one_in(4) { (0..count).map(|_| expiry(random)).collect() } else { Vec::new() },
        ..ExchangeRules::default()
    }
}

/// Sessions of [`CANDLES`] minutes, a day apart, from a date that every fee schedule knows.
pub const fn session(number: i64) -> SessionHours {
    let date = Date(19_000 + number as i32);
    let open = Nanos(date.midnight().0 + 225 * MINUTE);
    SessionHours { date, open, close: Nanos(open.0 + CANDLES * MINUTE) }
}

fn steps(random: &mut Random, sessions: i64, count: usize, scale: i64, lot: i64) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut seq = 0;
    let mut last = vec![scale; count];
    for number in 0..sessions {
        let hours = session(number);
        steps.push(Step::Opened { hours });
        for minute in 0..CANDLES {
            let open_time = hours.open + minute * MINUTE;
            let mut late = Vec::new();
            let mut spoke = false;
            for (instrument, last) in last.iter_mut().enumerate() {
                if random.one_in(7) {
                    continue;
                }
                seq += 1;
                let candle = candle(random, open_time, last, scale, lot);
                // A late one comes after the slice of its time, before the next candle of anything.
                let is_late = random.one_in(12);
                let time = open_time + MINUTE + if is_late { 3 * SECOND } else { 0 };
                let step = Step::Candle { cause: Cause { rank: 1, seq }, time, instrument, candle, late: is_late };
                if is_late {
                    late.push(step);
                } else {
                    spoke = true;
                    steps.push(step);
                }
            }
            if spoke || !late.is_empty() {
                steps.push(Step::Slice { time: open_time + MINUTE });
            }
            steps.extend(late);
        }
        steps.push(Step::Closed { time: hours.close + 5 * SECOND });
    }
    steps
}

fn candle(random: &mut Random, open_time: Nanos, last: &mut i64, scale: i64, lot: i64) -> Candle {
    let mut moved = |from: i64, thousandths: i64| {
        let span = (scale / 1_000 * thousandths).max(3);
        (from + random.range(-span, span)).clamp(scale / 2 + 1, scale * 2)
    };
    // One in nine gaps; one in eight is a doji.
    let gap = moved(*last, 40);
    let small = moved(*last, 4);
    let end = moved(small, 15);
    let (above, below) = (moved(end, 10), moved(end, 10));
    let open = if random.one_in(9) { gap } else { small };
    let flat = random.one_in(8);
    let close = if flat { open } else { end };
    let high = if flat { open } else { open.max(close).max(above) };
    let low = if flat { open } else { open.min(close).min(below) };
    *last = close;
    Candle::new(CandleParts {
        open_time,
        interval: Interval::MINUTE,
        open: Price(open),
        high: Price(high),
        low: Price(low),
        close: Price(close),
        volume: Quantity(random.pick(&[0, 1, lot.max(SCALE) * 7, lot.max(SCALE) * 400 + 123])),
        revises: false,
    })
}

fn requests(random: &mut Random, scale: i64, lot: i64) -> Vec<Request> {
    let count = random.pick(&[0, 0, 0, 1, 1, 2, 3]);
    (0..count)
        .map(|_| {
            let far = random.pick(&[8, 16, 40]);
            let which = OrderId(random.range(0, far) as u64);
            match random.range(0, 16) {
                0 => Request::CancelAll(Label::new("clear")),
                1 | 2 => Request::Cancel(which, Label::new("one")),
                3..=5 => Request::Modify(which, change(random, scale, lot), Label::new("change")),
                6 => Request::Replace(which, order(random, scale, lot)),
                _ => Request::Place(order(random, scale, lot)),
            }
        })
        .collect()
}

/// New terms, some of them for orders that have no such term.
fn change(random: &mut Random, scale: i64, lot: i64) -> OrderChange {
    let other = order(random, scale, lot);
    let price = Price(random.range(scale / 100 * 94, scale / 100 * 106 + 6));
    OrderChange {
        quantity: Some(Quantity(other.quantity.0.saturating_add(random.pick(&[0, 0, 0, 1]))))
            .filter(|_| random.one_in(2)),
        limit: Some(price).filter(|_| random.one_in(3)),
        stop: Some(price).filter(|_| random.one_in(3)),
    }
}

fn order(random: &mut Random, scale: i64, lot: i64) -> OrderRequest {
    let unit = lot.max(if scale < SCALE { 1 } else { SCALE / 100 });
    let quantity = match random.range(0, 30) {
        0 => random.pick(&[0, -unit, i64::MIN, i64::MAX, i64::MAX / 4 + 1]),
        1 => unit + 1,
        2 if scale < 100 * SCALE => i64::MAX / 4 / unit * unit / 3,
        _ => unit * random.range(1, 12),
    };
    let mut price = || match random.range(0, 40) {
        0 => Price(random.pick(&[0, -5, i64::MIN + 1, i64::MAX])),
        _ => Price(random.range(scale / 100 * 94, scale / 100 * 106 + 6)),
    };
    let (first, second) = (price(), price());
    let (side, quantity) = (random.pick(&[Side::Buy, Side::Sell]), Quantity(quantity));
    let request = match random.range(0, 13) {
        0..=3 => OrderRequest::market(side, quantity, "market"),
        4 | 5 => OrderRequest::limit(side, quantity, first, "limit"),
        6 | 7 => OrderRequest::stop(side, quantity, first, "stop"),
        8 | 9 => OrderRequest::stop_limit(side, quantity, first, second, "stop-limit"),
        10 | 11 => OrderRequest::trailing(side, quantity, trail(random, scale), "trailing"),
        12 => OrderRequest::on_open(side, quantity, "on-open"),
        _ => OrderRequest::on_close(side, quantity, "on-close"),
    };
    // Now and then a price, a distance or an end where none belongs, or none where one does.
    let stray = if random.one_in(40) { Some(first) } else { request.stop };
    let distance = if random.one_in(60) { Some(trail(random, scale)) } else { request.trail };
    let lasting = random.pick(&[TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Day]);
    let lasting = random.pick(&[lasting, lasting, TimeInForce::Ioc, TimeInForce::Gtd, TimeInForce::Fok]);
    let instant = session(random.range(0, 3)).open + random.range(-5, 800) * SECOND;
    let expires = (lasting == TimeInForce::Gtd || random.one_in(80)).then_some(instant);
    let client = if random.one_in(5) { random.range(1, 30) as u64 } else { 0 };
    OrderRequest { stop: stray, trail: distance, expires, client, bracket: bracket(first, second), ..request }
        .lasting(lasting)
        .in_group(random.pick(&[0, 1, 1]))
}

/// A distance of a trailing stop, in any of its units; one in nine is none.
fn trail(random: &mut Random, scale: i64) -> Trail {
    let near = Price(random.range(scale / 400, scale / 20 + 3));
    let multiple = Ratio(random.pick(&[SCALE / 2, SCALE, 5 * SCALE / 2]));
    match random.range(0, 8) {
        0..=2 => Trail::Price(near),
        3 | 4 => Trail::Percent(BasisPoints(random.pick(&[50 * SCALE, 137 * SCALE, 900 * SCALE]))),
        5 | 6 => Trail::Atr(multiple, near),
        7 => Trail::R(multiple, near),
        _ => random.pick(&[Trail::Price(Price(0)), Trail::R(Ratio(-1), near), Trail::Percent(BasisPoints(0))]),
    }
}

/// Exits for one order in three: by percent, at prices on either side of the market, at prices that are none.
fn bracket(first: Price, second: Price) -> Option<Bracket> {
    let random = &mut Random::new(first.0 as u64 ^ (second.0 as u64).rotate_left(32));
    let mut level = |price: Price| match random.range(0, 9) {
        0..=1 => None,
        2..=4 => Some(Level::At(price)),
        5 => Some(Level::Trail(Trail::Percent(BasisPoints(random.pick(&[80 * SCALE, 200 * SCALE]))))),
        _ => Some(Level::Percent(Price(random.pick(&[0, 1, SCALE / 4, SCALE / 2, SCALE, 3 * SCALE, 150 * SCALE])))),
    };
    let (stop, target) = (level(first), level(second));
    random.one_in(3).then_some(Bracket { stop, target })
}

/// Marks: what the worlds reached, so that a test that tests nothing fails.
#[derive(Default)]
pub struct Seen {
    words: BTreeSet<String>,
    candle: BTreeSet<OrderId>,
}

impl Seen {
    pub fn note(&mut self, outputs: &[Output]) {
        self.candle.clear();
        for output in outputs {
            match &output.body {
                Conclusion::Intent(intent) => {
                    self.candle.insert(intent.order);
                }
                Conclusion::Fill(fill) if self.candle.contains(&fill.order) => {
                    self.words.insert("left in the candle of the entry".into());
                }
                _ => {}
            }
            let words = match &output.body {
                Conclusion::Intent(intent) => format!("verdict {}", intent.verdict),
                Conclusion::Update(update) => {
                    let partly = if update.filled.is_zero() { "" } else { " in part" };
                    format!("{} {}{partly}", update.state, update.reason)
                }
                Conclusion::Fill(fill) if fill.state.word().starts_with("pending") => format!("fill {}", fill.state),
                Conclusion::Fill(fill) if !fill.slippage_bps.is_zero() => format!("slipped {}", fill.model),
                Conclusion::Fill(fill) if !fill.charges.depository_fee.is_zero() => "depository fee".into(),
                Conclusion::Fill(fill) => format!("fill {}", fill.state),
                Conclusion::Trade(trade) => format!("trade {}", trade.side),
                Conclusion::Modified(modified) => format!("{} {}", modified.event, modified.reason),
                Conclusion::RequestRefused(refused) => format!("refused {} {}", refused.request, refused.verdict),
                body => body.kind().word().into(),
            };
            self.words.insert(words);
        }
    }

    pub fn assert_everything(&self) {
        if std::env::var("DAYBOOK_SEED").is_ok() {
            return;
        }
        // What limits refuse has worlds of its own; so have requests about orders and the realistic exchange.
        let limits: Vec<Verdict> = daybook_core::risk::CHECKS.iter().map(|(verdict, _)| *verdict).collect();
        let plain = Verdict::ALL.iter().filter(|verdict| !limits.contains(verdict) && **verdict != Verdict::Margin);
        let elsewhere = [
            Verdict::UnknownOrder,
            Verdict::OrderEnded,
            Verdict::LoosensStop,
            Verdict::UnknownInstrument,
            Verdict::SquareOff,
            Verdict::NotInAuction,
        ];
        let plain = plain.filter(|verdict| !elsewhere.contains(verdict));
        let mut expected: Vec<String> = plain.map(|verdict| format!("verdict {verdict}")).collect();
        expected.retain(|words| words != "verdict no-market");
        // Those of a session with a broker: `tests/broker` has it.
        for verdict in ["not-armed", "unreconciled", "unresolved", "unsupported", "unprotected", "duplicate"] {
            expected.retain(|words| *words != format!("verdict {verdict}"));
        }
        for verdict in ["unknown-order", "order-ended", "bad-quantity", "bad-price", "loosens-stop", "off-lot"] {
            expected.push(format!("refused modify {verdict}"));
        }
        for words in ["pending-cancel one", "modify-requested change", "fill pending-cancel", "fill pending-modify"] {
            expected.push(words.into());
        }
        for verdict in ["off-tick", "wrong-side", "outside-band"] {
            expected.push(format!("refused modify {verdict}"));
        }
        for request in ["cancel", "replace"] {
            expected.push(format!("refused {request} unknown-order"));
            expected.push(format!("refused {request} order-ended"));
        }
        for words in ["stop-tightened", "modified resized", "modified change", "expired good-till-date"] {
            expected.push(words.into());
        }
        for state in [OrderState::Filled, OrderState::PartiallyFilled] {
            expected.push(format!("fill {state}"));
        }
        for reason in
            ["insufficient-cash", "one-cancels-other", "immediate-or-cancel", "one", "clear", "open-has-passed"]
        {
            expected.push(format!("cancelled {reason}"));
            expected.push(format!("cancelled {reason} in part"));
        }
        expected.extend(["cancelled fill-or-kill", "cancelled close-has-passed"].map(String::from));
        for words in ["expired session-closed", "expired session-closed in part", "depository fee", "trade BUY"] {
            expected.push(words.into());
        }
        expected.push("left in the candle of the entry".into());
        expected.extend(["trade SELL", "bar", "account", "open "].map(String::from));
        let stateless = ["percent", "asset-class", "order-type", "size-sqrt", "participation"];
        for model in
            ["bps", "half-spread", "volume-share", "volume-share-squared", "sqrt-impact"].iter().chain(&stateless)
        {
            expected.push(format!("slipped {model}"));
        }
        let missing: Vec<_> = expected.iter().filter(|words| !self.words.contains(*words)).collect();
        assert!(missing.is_empty(), "the worlds never reached {missing:?}");
        assert!(!self.words.contains("alarm"), "the simulated exchange contradicts itself");
    }
}
