//! A seeded synthetic session: prices, orders, fills, charges and accounts that agree with one another.

use super::super::{CandleSource, EventAt, ReportError, RunFacts, SessionEvents};
use daybook_vocabulary::TradeClosed;
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::header::InputFilter;
use daybook_vocabulary::order::*;
use daybook_vocabulary::time::{DAY, HOUR, MINUTE};
use daybook_vocabulary::{
    BasisPoints, Candle, Cause, Date, Event, Hash, InputJournal, Instrument, InstrumentId, Interval, Label, Money,
    Nanos, Price, Quantity, RulesFollowed, SessionHeader, SessionMode, TradeMeasures,
};

/// What kind of session to make.
#[derive(Clone)]
pub struct Recipe {
    pub seed: u64,
    pub market: &'static str,
    pub symbols: Vec<&'static str>,
    pub sessions: usize,
    pub bars_per_session: usize,
    /// Chance of an entry at a bar while flat.
    pub entries: f64,
    /// Most entries of all.
    pub entries_max: u64,
    /// Mean change of a bar, in millionths.
    pub drift: i64,
    pub cash: Money,
    pub price: i64,
    pub quantity: i64,
    pub fees: bool,
    /// Every n-th order is refused; 0 for none.
    pub refuse_every: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 7,
            market: "nse",
            symbols: vec!["RELIANCE", "TCS"],
            sessions: 20,
            bars_per_session: 75,
            entries: 0.05,
            entries_max: u64::MAX,
            drift: 2,
            cash: Money::from_units(1_000_000),
            price: 1_500,
            quantity: 150,
            fees: true,
            refuse_every: 0,
        }
    }
}

impl Recipe {
    /// Every shape of run, by name.
    pub fn all() -> Vec<(&'static str, Self)> {
        let six = vec!["HDFCBANK", "ICICIBANK", "INFY", "M&M", "RELIANCE", "TCS"];
        let plain = Self::default();
        vec![
            ("nothing", Self { sessions: 0, ..plain.clone() }),
            ("no-trades", Self { sessions: 120, entries: 0.0, ..plain.clone() }),
            ("one-trade", Self { sessions: 3, entries: 0.2, entries_max: 1, ..plain.clone() }),
            ("losing", Self { seed: 11, sessions: 250, drift: -14, quantity: 300, refuse_every: 40, ..plain.clone() }),
            (
                "two-years",
                Self {
                    symbols: six,
                    sessions: 620,
                    entries: 0.01,
                    cash: Money::from_units(10_000_000),
                    quantity: 600,
                    drift: 5,
                    ..plain.clone()
                },
            ),
            (
                "crypto",
                Self {
                    market: "generic",
                    symbols: vec!["BTCUSDT"],
                    sessions: 900,
                    bars_per_session: 24,
                    entries: 0.06,
                    price: 42_000,
                    quantity: 1,
                    fees: false,
                    cash: Money::from_units(100_000),
                    drift: 12,
                    ..plain.clone()
                },
            ),
            (
                "huge",
                Self {
                    market: "generic",
                    symbols: vec!["HUGE"],
                    sessions: 40,
                    price: 80_000_000,
                    quantity: 100_000_000,
                    cash: Money(10i128.pow(27)),
                    ..plain.clone()
                },
            ),
            ("ruined", Self { sessions: 60, drift: -400, quantity: 3_000, ..plain }),
        ]
    }
}

/// A frame in memory.
#[derive(Clone)]
pub struct At {
    pub seq: u64,
    pub time: Nanos,
    pub stream: u32,
    pub event: Event,
}

/// A session in memory.
pub struct Session {
    pub header: SessionHeader,
    pub facts: RunFacts,
    pub events: Vec<At>,
    pub symbols: Vec<String>,
    pub bars: Vec<(u32, Candle)>,
}

/// Its candles.
pub struct Candles(Vec<(u32, Candle)>);

impl CandleSource for Candles {
    fn candles(
        &mut self,
        instrument: InstrumentId,
        from: Nanos,
        to: Nanos,
        take: &mut dyn FnMut(&Candle),
    ) -> Result<(), ReportError> {
        let inside = |candle: &Candle| (from..=to).contains(&candle.open_time());
        self.0.iter().filter(|(id, candle)| *id == instrument.0 && inside(candle)).for_each(|(_, candle)| take(candle));
        Ok(())
    }
}

impl SessionEvents for Session {
    fn for_each(&mut self, take: &mut dyn FnMut(EventAt<'_>) -> Result<(), ReportError>) -> Result<(), ReportError> {
        self.events
            .iter()
            .try_for_each(|at| take(EventAt { seq: at.seq, time: at.time, stream: at.stream, event: &at.event }))
    }
}

struct Position {
    order: u64,
    quantity: Quantity,
    side: Side,
    price: Price,
    time: Nanos,
    fees: Money,
    bars: u64,
}

struct Maker<'a> {
    recipe: &'a Recipe,
    state: u64,
    session: Session,
    orders: u64,
    trades: u64,
    cash: Money,
    fees: Money,
    realised: Money,
    prices: Vec<i64>,
    positions: Vec<Option<Position>>,
}

impl Session {
    pub fn make(recipe: &Recipe) -> Self {
        let mut maker = Maker {
            recipe,
            state: recipe.seed ^ 0x9e37_79b9_7f4a_7c15,
            session: empty(recipe),
            orders: 0,
            trades: 0,
            cash: recipe.cash,
            fees: Money::ZERO,
            realised: Money::ZERO,
            prices: recipe.symbols.iter().map(|_| recipe.price * 100).collect(),
            positions: recipe.symbols.iter().map(|_| None).collect(),
        };
        for (stream, symbol) in recipe.symbols.iter().enumerate() {
            let instrument = Instrument {
                market: recipe.market.to_owned(),
                symbol: (*symbol).to_owned(),
                tick: "0.05".parse().unwrap(),
                lot: Quantity::from_units(1),
            };
            maker.session.put(stream as u32, Event::Instrument(instrument));
        }
        let first: Date = "2024-01-01".parse().unwrap();
        let weekends = recipe.market == "nse";
        let days = (0..).map(|day| Date(first.0 + day)).filter(|date| !weekends || (date.0 + 3).rem_euclid(7) < 5);
        for date in days.take(recipe.sessions) {
            maker.day(date);
        }
        maker.session.facts.events = maker.session.bars.len() as u64;
        maker.session.facts.bars = maker.session.bars.len() as u64;
        maker.session
    }

    pub fn put(&mut self, stream: u32, event: Event) {
        let (seq, time) = self.events.last().map_or((1, Nanos(0)), |at| (at.seq + 1, at.time));
        self.events.push(At { seq, time, stream, event });
    }

    fn put_at(&mut self, time: Nanos, stream: u32, event: Event) {
        self.put(stream, event);
        self.events.last_mut().unwrap().time = time;
    }

    pub fn candles(&self) -> Candles {
        Candles(self.bars.clone())
    }
}

impl Maker<'_> {
    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn chance(&mut self, of: f64) -> bool {
        (self.random() >> 11) as f64 / (1u64 << 53) as f64 <= of && of > 0.0
    }

    /// Between −n and n, small values more often.
    fn noise(&mut self, n: i64) -> i64 {
        (0..4).map(|_| (self.random() % (2 * n as u64 + 1)) as i64 - n).sum::<i64>() / 2
    }

    fn day(&mut self, date: Date) {
        let open = date.midnight() + (3 * HOUR + 45 * MINUTE);
        let step =
            if self.recipe.bars_per_session == 75 { 5 * MINUTE } else { DAY / self.recipe.bars_per_session as i64 };
        let open = if step == 5 * MINUTE { open } else { date.midnight() };
        for bar in 0..self.recipe.bars_per_session {
            let (from, to) = (open + bar as i64 * step, open + (bar as i64 + 1) * step);
            for stream in 0..self.recipe.symbols.len() {
                self.bar(stream, from, to, Interval((step / 1_000_000_000) as u32));
            }
        }
        let account = self.account(date);
        let time = open + self.recipe.bars_per_session as i64 * step;
        self.session.put_at(time, 0, Event::Account(account));
    }

    fn bar(&mut self, stream: usize, from: Nanos, to: Nanos, interval: Interval) {
        let open = self.prices[stream];
        let moved = self.noise(1_500) + self.recipe.drift;
        let close = (open + open * moved / 1_000_000).max(100);
        let (up, down) = (self.noise(500).abs(), self.noise(500).abs());
        let high = open.max(close) + open * up / 1_000_000;
        let low = (open.min(close) - open * down / 1_000_000).max(1);
        let volume = 1_000 + (self.random() % 9_000) as i64;
        let paise = |value: i64| Price(value * 1_000_000);
        self.session.bars.push((
            stream as u32,
            Candle::new(CandleParts {
                open_time: from,
                interval,
                open: paise(open),
                high: paise(high),
                low: paise(low),
                close: paise(close),
                volume: Quantity::from_units(volume),
                revises: false,
            }),
        ));
        self.prices[stream] = close;
        let price = paise(open);
        let under_way = self.trades + u64::from(self.positions.iter().any(Option::is_some));
        if let Some(position) = &mut self.positions[stream] {
            position.bars += 1;
            self.session.facts.bars_in_market += 1;
            if self.chance(0.06) {
                self.exit(stream, price, from, to);
            }
        } else if under_way < self.recipe.entries_max && self.chance(self.recipe.entries) {
            self.enter(stream, price, from, to);
        }
    }

    fn enter(&mut self, stream: usize, price: Price, exchange_time: Nanos, time: Nanos) {
        let side = if self.chance(0.8) { Side::Buy } else { Side::Sell };
        let quantity = Quantity::from_units(self.recipe.quantity);
        let Some((order, fees)) = self.order(stream, side, price, quantity, side.signed(quantity), exchange_time, time)
        else {
            return;
        };
        self.positions[stream] = Some(Position { order, quantity, side, price, time: exchange_time, fees, bars: 0 });
    }

    fn exit(&mut self, stream: usize, price: Price, exchange_time: Nanos, time: Nanos) {
        let held = self.positions[stream].take().unwrap();
        let side = held.side.opposite();
        let Some((order, fees)) = self.order(stream, side, price, held.quantity, Quantity::ZERO, exchange_time, time)
        else {
            self.positions[stream] = Some(held);
            return;
        };
        self.trades += 1;
        let gross =
            Money(price.times(held.side.signed(held.quantity)).0 - held.price.times(held.side.signed(held.quantity)).0);
        self.realised += gross;
        let reason = ["cross-down", "target", "stop", "session end"][(self.random() % 4) as usize];
        let trade = TradeClosed {
            cause: Cause { rank: 1, seq: self.session.bars.len() as u64 },
            trade: self.trades,
            side: held.side,
            quantity: held.quantity,
            entry_order: OrderId(held.order),
            exit_order: OrderId(order),
            entry_time: held.time,
            exit_time: exchange_time,
            entry_price: held.price,
            exit_price: price,
            gross,
            fees: held.fees + fees,
            bars: held.bars,
            entry_reason: "cross-up".into(),
            exit_reason: reason.into(),
            measures: measures(self.trades, held.side, held.price, price),
        };
        self.session.put_at(time, stream as u32, Event::TradeClosed(trade));
    }

    #[allow(clippy::too_many_arguments, reason = "a fill has that many parts")]
    fn order(
        &mut self,
        stream: usize,
        side: Side,
        price: Price,
        quantity: Quantity,
        position: Quantity,
        exchange_time: Nanos,
        time: Nanos,
    ) -> Option<(u64, Money)> {
        self.orders += 1;
        let refused = self.recipe.refuse_every > 0 && self.orders.is_multiple_of(self.recipe.refuse_every);
        let order = OrderIntent {
            side,
            verdict: if refused { Verdict::InsufficientCash } else { Verdict::Approved },
            reference: price,
            ..intent(self.orders, quantity)
        };
        self.session.put_at(exchange_time, stream as u32, Event::OrderIntent(order));
        if refused {
            return None;
        }
        let accepted = OrderUpdate {
            cause: Cause::default(),
            order: OrderId(self.orders),
            event: OrderEvent::Accepted,
            state: OrderState::Open,
            filled: Quantity::ZERO,
            reason: Label::NONE,
        };
        self.session.put_at(exchange_time, stream as u32, Event::OrderUpdate(accepted));
        let value = price.times(quantity);
        let charges = if self.recipe.fees { charges_of(value, side) } else { Charges::default() };
        let fees = charges.total();
        self.cash -= Money(price.times(side.signed(quantity)).0 + fees.0);
        self.fees += fees;
        let fill = Fill {
            cause: Cause { rank: 1, seq: self.session.bars.len() as u64 },
            order: OrderId(self.orders),
            side,
            state: OrderState::Filled,
            quantity,
            price,
            reference_price: price,
            slippage_bps: BasisPoints::ZERO,
            model: "plain".into(),
            exchange_time,
            position,
            charges,
        };
        self.session.put_at(time, stream as u32, Event::Fill(fill));
        Some((self.orders, fees))
    }

    fn account(&self, session: Date) -> Account {
        let (mut long_value, mut short_value, mut open) = (Money::ZERO, Money::ZERO, 0);
        for (position, price) in self.positions.iter().zip(&self.prices) {
            let Some(held) = position else { continue };
            let value = Price(*price * 1_000_000).times(held.quantity);
            open += 1;
            match held.side {
                Side::Buy => long_value += value,
                Side::Sell => short_value += value,
            }
        }
        let equity = self.cash + long_value - short_value;
        Account {
            cause: Cause { rank: 1, seq: self.session.bars.len() as u64 },
            session,
            cash: self.cash,
            equity,
            long_value,
            short_value,
            realised: self.realised,
            unrealised: equity - self.recipe.cash - self.realised + self.fees,
            fees: self.fees,
            positions: open,
        }
    }
}

/// Two trades of three are measured, half of those had a stop.
fn measures(number: u64, side: Side, entry: Price, exit: Price) -> Option<TradeMeasures> {
    let away = |part: i64| Price(entry.0 / part);
    let stop = if side == Side::Buy { entry - away(50) } else { entry + away(50) };
    (!number.is_multiple_of(3)).then(|| TradeMeasures {
        stop: Some(stop).filter(|_| number.is_multiple_of(2)),
        high: entry.max(exit) + away(100),
        low: entry.min(exit) - away(200),
        planned: Money::ZERO,
        exit_fees: Money::ZERO,
        entry_slippage: Money::ZERO,
        exit_slippage: Money::ZERO,
        decision: 0,
        rules: RulesFollowed::default(),
    })
}

fn charges_of(value: Money, side: Side) -> Charges {
    let part = |parts: i128| value.times_ratio(parts, 100_000_000).unwrap();
    let brokerage = Money(part(30_000).0.min(Money::from_units(20).0));
    let exchange_fee = part(2_970);
    let regulator_fee = part(100);
    Charges {
        brokerage,
        transaction_tax: if side == Side::Sell { part(25_000) } else { Money::ZERO },
        exchange_fee,
        regulator_fee,
        stamp_duty: if side == Side::Buy { part(3_000) } else { Money::ZERO },
        service_tax: (brokerage + exchange_fee + regulator_fee).times_ratio(18, 100).unwrap(),
        depository_fee: Money::ZERO,
    }
}

/// A market order for `quantity`.
pub fn intent(order: u64, quantity: Quantity) -> OrderIntent {
    OrderIntent {
        cause: Cause { rank: 1, seq: 1 },
        order: OrderId(order),
        side: Side::Buy,
        order_type: OrderType::Market,
        time_in_force: TimeInForce::Gtc,
        verdict: Verdict::Approved,
        quantity,
        limit: None,
        stop: None,
        reference: Price::from_units(100),
        reason: "cross-up".into(),
        trail: None,
        expires: None,
        client: 0,
    }
}

/// A fill without charges.
pub fn fill_event(order: u64, quantity: &str, price: &str, state: OrderState) -> Event {
    Event::Fill(Fill {
        cause: Cause { rank: 1, seq: 1 },
        order: OrderId(order),
        side: Side::Buy,
        state,
        quantity: quantity.parse().unwrap(),
        price: price.parse().unwrap(),
        reference_price: price.parse().unwrap(),
        slippage_bps: BasisPoints::ZERO,
        model: "plain".into(),
        exchange_time: Nanos(0),
        position: quantity.parse().unwrap(),
        charges: Charges::default(),
    })
}

/// A closed trade without gain.
pub fn trade(number: u64) -> TradeClosed {
    TradeClosed {
        cause: Cause { rank: 1, seq: 1 },
        trade: number,
        side: Side::Buy,
        quantity: Quantity::from_units(1),
        entry_order: OrderId(1),
        exit_order: OrderId(2),
        entry_time: Nanos(0),
        exit_time: Nanos(1),
        entry_price: Price::from_units(1),
        exit_price: Price::from_units(1),
        gross: Money::ZERO,
        fees: Money::ZERO,
        bars: u64::MAX,
        entry_reason: Label::NONE,
        exit_reason: Label::NONE,
        measures: None,
    }
}

/// A candle as a frame.
pub fn bar_event(stream: u32, candle: Candle) -> At {
    At { seq: 1, time: candle.open_time(), stream, event: Event::Candle(candle) }
}

fn empty(recipe: &Recipe) -> Session {
    let settings = format!(
        "{{\"cash\":\"{}\",\"costs\":\"{}\",\"profile\":\"plain\",\"strategy\":{{\"fast\":10,\"quantity\":\"{}\",\"slow\":30}},\"warmup\":null}}",
        recipe.cash,
        if recipe.fees { "zerodha-intraday" } else { "none" },
        recipe.quantity
    );
    let header = SessionHeader {
        mode: SessionMode::Backtest,
        binary: Hash([0xb1; 32]),
        config: Hash(*blake3::hash(settings.as_bytes()).as_bytes()),
        calendar: Hash([0xca; 32]),
        strategy: "sma-cross".to_owned(),
        settings,
        seed: recipe.seed,
        inputs: vec![InputJournal {
            rank: 1,
            id: "4be1c09d77a3f25e8d60b7c1a9e4f302".to_owned(),
            last_seq: 1_234_567,
            content: Hash([0x1e; 32]),
        }],
        filter: InputFilter {
            symbols: recipe.symbols.iter().map(|symbol| (*symbol).to_owned()).collect(),
            interval: if recipe.bars_per_session == 75 { Interval::minutes(5) } else { Interval::minutes(60) },
            from: None,
            to: None,
            warmup: 30,
        },
        parent: None,
        ancestors: Vec::new(),
    };
    let always_open = recipe.market != "nse";
    let facts = RunFacts {
        events: 0,
        bars: 0,
        bars_in_market: 0,
        wall_seconds: 1.5,
        events_per_second: 1e6,
        state_digest: Hash([0xd1; 32]),
        journal_head: Hash([0x4e; 32]),
        initial_cash: recipe.cash,
        sessions_per_year: if always_open { 365 } else { 252 },
        zone_offset_ns: if always_open { 0 } else { 5 * HOUR + 30 * MINUTE },
        zone: if always_open { "UTC" } else { "IST" }.to_owned(),
        calendar_unknown: false,
        warnings: Vec::new(),
    };
    let symbols = recipe.symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
    Session { header, facts, events: Vec::new(), symbols, bars: Vec::new() }
}
