//! A market whose ticks a test names, and a hand that places orders on it.
//!
//! - Its exchange is the obvious one: a limit trades at the price or better, a trigger when the price has come to it.

use daybook_adapters::kite_server::{
    Answer, ChargeQuery, Command, DayListing, DayTape, Fields, HistoryBar, HistoryQuery, Hours, Listed, Market,
    MarketError, MarketTick, Resting, Setup, Span, World, request_life,
};
use daybook_adapters::kite_wire::orders::{OrderRow, Placed, Success};
use daybook_adapters::kite_wire::stamp;
use daybook_vocabulary::{Charges, Date, Money, Nanos, Price, Side};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The ordinary day of the tests: a Tuesday.
pub const DATE: &str = "2025-06-10";
/// A day with a closing auction.
pub const AUCTION_DATE: &str = "2026-08-11";

/// Seconds since midnight of `HH:MM:SS`.
pub fn seconds(text: &str) -> i64 {
    let parts: Vec<i64> = text.split(':').map(|part| part.parse().unwrap()).collect();
    parts[0] * 3600 + parts[1] * 60 + parts.get(2).copied().unwrap_or(0)
}

pub fn at(date: &str, time: &str) -> Nanos {
    stamp::at(date.parse().unwrap(), seconds(time))
}

pub fn price(text: &str) -> Price {
    text.parse().unwrap()
}

/// Ticks by seconds since midnight: share, price, volume. The same on every day.
#[derive(Clone, Default)]
pub struct Script(pub BTreeMap<i64, Vec<(usize, Price, i64)>>);

impl Script {
    pub fn tick(mut self, time: &str, share: usize, at: &str, volume: i64) -> Self {
        self.0.entry(seconds(time)).or_default().push((share, price(at), volume));
        self
    }

    /// A price that goes up and down all day, every five seconds.
    pub fn saw() -> Self {
        let mut script = Self::default();
        for (index, second) in (seconds("09:15:00")..seconds("15:30:00")).step_by(5).enumerate() {
            let step = (index % 80) as i64;
            let away = (step - 40).abs() * 10_000_000;
            let of = |base: i64, away: i64| Price(base * 100_000_000 + away);
            let ticks = script.0.entry(second).or_default();
            ticks.push((0, of(1000, away), 500));
            ticks.push((1, of(100, away / 10), 2_000));
            ticks.push((3, of(10_000, away * 5), 0));
        }
        script
    }
}

pub struct TestMarket {
    listed: Vec<Listed>,
    script: Script,
}

struct Tape(Vec<DayListing>, std::vec::IntoIter<MarketTick>);

impl DayTape for Tape {
    fn listings(&self) -> &[DayListing] {
        &self.0
    }
    fn peek(&self) -> Option<Nanos> {
        self.1.as_slice().first().map(|tick| tick.time)
    }
    fn next(&mut self) -> Option<MarketTick> {
        self.1.next()
    }
}

impl TestMarket {
    pub fn new(script: Script) -> Self {
        let listed = |symbol: &str, exchange_token: u32, segment: u32| Listed {
            token: exchange_token * 256 + segment,
            exchange_token,
            symbol: symbol.to_owned(),
            name: symbol.to_owned(),
            lot: 1,
            index: segment == 9,
        };
        let listed = vec![listed("AAA", 1, 1), listed("BBB", 2, 1), listed("CCC", 3, 1), listed("NIFTY 50", 1001, 9)];
        Self { listed, script }
    }
}

impl Market for TestMarket {
    fn listed(&self) -> &[Listed] {
        &self.listed
    }

    fn hours(&self, date: Date) -> Result<Option<Hours>, MarketError> {
        let at = |time: &str| stamp::at(date, seconds(time));
        let span = |from: &str, until: &str| Span { from: at(from), until: at(until) };
        // 1970-01-01 was a Thursday.
        if matches!((date.0 + 4).rem_euclid(7), 0 | 6) {
            return Ok(None);
        }
        let auction = date >= "2026-08-03".parse().unwrap();
        let post_close = if auction { span("15:50", "16:00") } else { span("15:40", "16:00") };
        Ok(Some(Hours {
            date,
            windows: vec![span("09:15", "15:30")],
            pre_open: Some(span("09:00", "09:08")),
            auction: auction.then(|| (at("15:15"), span("15:30", "15:35"))),
            post_close: Some(post_close),
        }))
    }

    fn tape(&self, date: Date) -> Result<Box<dyn DayTape>, MarketError> {
        let ticks: Vec<MarketTick> = self
            .script
            .0
            .iter()
            .flat_map(|(second, ticks)| {
                ticks.iter().map(move |(listed, price, volume)| (second, *listed, *price, *volume))
            })
            .map(|(second, listed, price, volume)| MarketTick { time: stamp::at(date, *second), listed, price, volume })
            .collect();
        let listing = |listed: usize| DayListing {
            listed,
            tick: Price(5_000_000),
            close: price(["1000", "100", "50", "10000"][listed]),
            base: price(["1000", "100", "50", "10000"][listed]),
            band_percent: 10,
            band_moves: false,
            auction: listed == 0 && date >= "2026-08-03".parse().unwrap(),
            opening: ticks.iter().find(|tick| tick.listed == listed).map(|tick| tick.price),
        };
        Ok(Box::new(Tape((0..4).map(listing).collect(), ticks.into_iter())))
    }

    fn history(&self, query: HistoryQuery) -> Result<Vec<HistoryBar>, MarketError> {
        let bar = |time: Nanos| HistoryBar {
            time,
            open: price("100.05"),
            high: price("101"),
            low: price("99.5"),
            close: price("100"),
            volume: 7,
        };
        Ok([query.from, query.to].into_iter().filter(|time| *time <= query.now).map(bar).collect())
    }

    fn charges(&self, query: ChargeQuery) -> Charges {
        let brokerage = if query.delivery { Money::ZERO } else { Money::from_units(1) };
        let depository_fee = if query.leaves_account { Money::from_units(15) } else { Money::ZERO };
        Charges { brokerage, depository_fee, ..Charges::default() }
    }

    fn trades_at(&self, order: &mut Resting, price: Price) -> Option<Price> {
        let reached = |stop: Price| if order.side == Side::Buy { price >= stop } else { price <= stop };
        if order.trigger.is_some_and(|stop| !reached(stop)) {
            return None;
        }
        order.trigger = None;
        let within = |limit: Price| if order.side == Side::Buy { price <= limit } else { price >= limit };
        order.limit.is_none_or(within).then_some(price)
    }

    fn fingerprint(&self) -> String {
        "test".to_owned()
    }
}

pub fn setup(date: &str) -> Setup {
    Setup {
        date: date.parse().unwrap(),
        start: at(date, "09:00"),
        cash: Money::from_units(1_000_000),
        freeze: 1_000,
        fill_max: None,
        api_key: "sim_api_key".to_owned(),
        api_secret: "sim_api_secret".to_owned(),
        request_life: request_life(1),
    }
}

/// A hand that trades.
pub struct Hand {
    pub world: World,
    pub date: String,
}

impl Hand {
    pub fn new(script: Script) -> Self {
        Self::on(DATE, script)
    }

    pub fn on(date: &str, script: Script) -> Self {
        Self { world: World::new(Arc::new(TestMarket::new(script)), setup(date)), date: date.to_owned() }
    }

    /// A hand in a market that fills so much at a time.
    pub fn thin(script: Script, fill_max: i64) -> Self {
        let setup = Setup { fill_max: Some(fill_max), ..setup(DATE) };
        Self { world: World::new(Arc::new(TestMarket::new(script)), setup), date: DATE.to_owned() }
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: &str) {
        let until = at(&self.date, time);
        while self.world.step(until) {}
        assert_eq!(self.world.now(), until);
    }

    /// Days later.
    pub fn night(&mut self, days: i32, time: &str) {
        let date: Date = self.date.parse().unwrap();
        self.date = Date(date.0 + days).to_string();
        self.wait(time);
    }

    pub fn order(&mut self, variety: &str, form: &str) -> Answer<String> {
        let fields = Fields::parse(form).unwrap();
        let body = self.world.apply(&Command::Place { variety: variety.to_owned(), fields })?;
        Ok(placed(&body).order_id)
    }

    /// An intraday order of the first share.
    pub fn place(&mut self, form: &str) -> String {
        self.order("regular", &format!("exchange=NSE&tradingsymbol=AAA&product=MIS&{form}")).unwrap()
    }

    pub fn modify(&mut self, id: &str, form: &str) -> Answer<String> {
        let fields = Fields::parse(form).unwrap();
        self.world.apply(&Command::Modify { variety: "regular".to_owned(), id: id.to_owned(), fields })
    }

    pub fn cancel(&mut self, variety: &str, id: &str) -> Answer<String> {
        self.world.apply(&Command::Cancel { variety: variety.to_owned(), id: id.to_owned() })
    }

    pub fn row(&self, id: &str) -> OrderRow {
        self.world.order_history(id).unwrap().last().unwrap().clone()
    }

    pub fn status(&self, id: &str) -> String {
        self.row(id).status.to_string()
    }

    pub fn states(&self, id: &str) -> Vec<String> {
        self.world.order_history(id).unwrap().iter().map(|row| row.status.to_string()).collect()
    }

    /// Quantity of a position.
    pub fn held(&self, symbol: &str, product: &str) -> i64 {
        let rows = self.world.position_rows().net;
        rows.iter()
            .filter(|row| row.tradingsymbol == symbol && row.product.as_str() == product)
            .map(|row| row.quantity)
            .sum()
    }
}

pub fn placed(body: &str) -> Placed {
    let answer: Success<Placed> = serde_json::from_str(body).unwrap();
    assert_eq!(answer.status, "success");
    answer.data
}
