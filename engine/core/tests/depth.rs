//! Fills against quotes, books and prints: by hand, and random books against a naive twin.
//!
//! - The twin keeps every book as a list of (price, quantity) and walks it from scratch; nothing is shared.
//! - What is taken of a level and what stood there always add up: no book gives more than it holds.

mod worlds;

use daybook_config::{LimitFill, SlippageModel, fees::FeeSchedule};
use daybook_core::{
    Body, Bracket, Conclusion, Core, CoreError, ExchangeRules, Input, Level, OrderRequest, Outbox, Output, Request,
    Setup, Slice,
};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    BookLevel, Candle, Cause, Depth, Instrument, InstrumentId, Interval, Money, Nanos, OrderType, Price, Quantity,
    Quote, Side, TimeInForce, TradePrint, Trail,
};
use std::collections::BTreeMap;
use worlds::{Random, World};

const X: InstrumentId = InstrumentId(0);

/// A market of one instrument whose strategy plays a script, one entry a second.
struct Market {
    core: Core,
    seq: u64,
    now: Nanos,
}

impl Market {
    fn new(script: Vec<Vec<Request>>, rules: ExchangeRules) -> Self {
        let world = World { script, ..World::lasting(1, 1) };
        let (tick, lot) = (Price(1), Quantity(1));
        let core = Core::new(Setup {
            instruments: vec![Instrument { market: "nse".into(), symbol: "X".into(), tick, lot }],
            interval: Interval::MINUTE,
            timeframe: None,
            cash: Money(1 << 90),
            fees: FeeSchedule::parse("none").unwrap(),
            participation_bps: None,
            decide_from: Nanos::MIN,
            warmup_bars: 0,
            strategy: world.scripted(),
        });
        let mut market = Self { core: core.with_exchange(rules), seq: 0, now: worlds::session(0).open };
        market.step(Body::SessionOpened(worlds::session(0))).unwrap();
        market
    }

    fn step(&mut self, body: Body<'_>) -> Result<Vec<Output>, CoreError> {
        self.seq += 1;
        let mut out = Outbox::new();
        self.core.step(&Input { cause: Cause { rank: 1, seq: self.seq }, time: self.now, body }, &mut out)?;
        Ok(out.outputs().to_vec())
    }

    /// A candle that ends now, so that the strategy decides.
    fn decide(&mut self, price: i64) {
        let price = Price(price);
        let candle = Candle::new(CandleParts {
            open_time: self.now + -SECOND,
            interval: Interval(1),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Quantity(1_000),
            revises: false,
        });
        let outputs = self.step(Body::Candle(X, &candle)).unwrap();
        assert!(fills(&outputs).is_empty(), "a candle fills nothing where ticks do");
        self.step(Body::Slice(Slice { interval: Interval(1) })).unwrap();
        self.now = self.now + 1;
    }

    fn book(&mut self, depth: &Depth) -> Vec<Output> {
        self.step(Body::Depth(X, depth)).unwrap()
    }

    fn held(&self) -> i64 {
        self.core.book(X).position.quantity.0
    }
}

/// Fills as (order, side, quantity, price, reference, model).
fn fills(outputs: &[Output]) -> Vec<(u64, Side, i64, i64, i64, String)> {
    let fill = |output: &Output| match &output.body {
        Conclusion::Fill(fill) => Some((
            fill.order.0,
            fill.side,
            fill.quantity.0,
            fill.price.0,
            fill.reference_price.0,
            fill.model.to_string(),
        )),
        _ => None,
    };
    outputs.iter().filter_map(fill).collect()
}

fn depth(now: Nanos, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Depth {
    let side = |levels: &[(i64, i64)]| {
        let mut all = [BookLevel::default(); 5];
        for (place, &(price, quantity)) in all.iter_mut().zip(levels) {
            *place = BookLevel::new(Price(price), Quantity(quantity), 1);
        }
        all
    };
    Depth::new(now, side(bids), side(asks))
}

fn place(request: OrderRequest) -> Vec<Request> {
    vec![Request::Place(request)]
}

fn market(side: Side, quantity: i64) -> OrderRequest {
    OrderRequest::market(side, Quantity(quantity), "")
}

/// A market order walks the levels, one fill each, with the middle of the book as its reference.
#[test]
fn a_market_order_walks_five_levels() {
    let mut it = Market::new(vec![place(market(Side::Buy, 100))], ExchangeRules::default());
    let book = depth(it.now, &[(98, 50)], &[(100, 10), (101, 20), (103, 30)]);
    assert!(it.book(&book).is_empty(), "nothing works yet");
    it.now = it.now + 1;
    it.decide(99);
    assert!(it.book(&book).is_empty(), "a book from before the order");
    let book = |it: &Market, asks: &[(i64, i64)]| depth(it.now, &[(98, 50)], asks);
    let first = book(&it, &[(100, 10), (101, 20), (103, 30)]);
    let model = "depth".to_owned();
    let level = |quantity, price, mid| (1, Side::Buy, quantity, price, mid, model.clone());
    assert_eq!(fills(&it.book(&first)), [level(10, 100, 99), level(20, 101, 99), level(30, 103, 99)]);
    // Unchanged levels have nothing left; a changed one has been renewed, and a new one is there.
    let second = book(&it, &[(100, 10), (101, 25), (102, 5), (103, 30)]);
    assert_eq!(fills(&it.book(&second)), [level(25, 101, 99), level(5, 102, 99)]);
    let third = book(&it, &[(104, 1_000)]);
    assert_eq!(fills(&it.book(&third)), [level(10, 104, 101)]);
    assert_eq!(it.held(), 100);
}

/// Quotes fill at bid and ask for what stands there; books go before quotes once they have come.
#[test]
fn quotes_fill_at_bid_and_ask() {
    let mut it = Market::new(vec![place(market(Side::Sell, 30))], ExchangeRules::default());
    let quote = |it: &Market, bid: i64, quantity: i64| {
        Quote::new(it.now, (Price(bid), Quantity(quantity)), (Price(bid + 2), Quantity(7)))
    };
    let first = quote(&it, 99, 10);
    it.step(Body::Quote(X, &first)).unwrap();
    it.decide(100);
    let second = quote(&it, 98, 10);
    let outputs = it.step(Body::Quote(X, &second)).unwrap();
    assert_eq!(fills(&outputs), [(1, Side::Sell, 10, 98, 99, "quote".to_owned())]);
    let Conclusion::Fill(fill) = &outputs[0].body else { panic!("{outputs:?}") };
    // One of 99: half the spread, in basis points.
    assert_eq!(fill.slippage_bps.to_string(), "101.01010101");
    let book = depth(it.now, &[(97, 15)], &[(99, 1)]);
    assert_eq!(fills(&it.book(&book))[0].2, 15);
    let third = quote(&it, 120, 100);
    assert!(it.step(Body::Quote(X, &third)).unwrap().is_empty(), "the book drives now");
}

/// BT-15: half the way from the middle of the quote to its other side, by the quote that stands when it fills.
#[test]
fn a_spread_is_paid_in_part() {
    for (model, bought) in [("spread:0.5", 105), ("spread:1", 110)] {
        let mut it = Market::new(vec![place(market(Side::Buy, 5))], ExchangeRules::default());
        it.core = it.core.with_slippage(SlippageModel::parse(model).unwrap());
        let quote =
            |it: &Market, low: i64| Quote::new(it.now, (Price(low), Quantity(10)), (Price(low + 20), Quantity(10)));
        let first = quote(&it, 500);
        it.step(Body::Quote(X, &first)).unwrap();
        it.decide(510);
        let second = quote(&it, 90);
        let filled = fills(&it.step(Body::Quote(X, &second)).unwrap());
        assert_eq!(filled, [(1, Side::Buy, 5, bought, 100, "spread".to_owned())], "the quote of the decision is gone");
    }
}

/// Limits, stops and trailing stops against books and prints.
#[test]
fn limits_stops_and_trails_follow_the_book() {
    let limit = OrderRequest::limit(Side::Buy, Quantity(10), Price(100), "");
    let stop = OrderRequest::stop(Side::Sell, Quantity(10), Price(95), "");
    let rules = ExchangeRules { limit_fill: LimitFill::Through, ..ExchangeRules::default() };
    for (rules, at_touch) in [(ExchangeRules::default(), 10), (rules, 0)] {
        let mut it = Market::new(vec![place(limit)], rules);
        it.book(&depth(it.now, &[(100, 5)], &[(102, 5)]));
        it.decide(101);
        // It rests at the bid; the ask is above it, prints above it fill nothing.
        assert!(it.book(&depth(it.now, &[(100, 5)], &[(101, 5)])).is_empty());
        let print = |it: &Market, price, quantity| TradePrint::new(it.now, Price(price), Quantity(quantity));
        let above = print(&it, 101, 50);
        assert!(it.step(Body::Print(X, &above)).unwrap().is_empty());
        let at = print(&it, 100, 50);
        let filled = fills(&it.step(Body::Print(X, &at)).unwrap());
        assert_eq!(filled.iter().map(|fill| fill.2).sum::<i64>(), at_touch);
        if at_touch == 0 {
            let beyond = print(&it, 99, 4);
            let filled = fills(&it.step(Body::Print(X, &beyond)).unwrap());
            assert_eq!(filled, [(1, Side::Buy, 4, 100, 100, "print".to_owned())]);
            // An ask at the limit is there to be taken, touch or not.
            assert_eq!(fills(&it.book(&depth(it.now, &[(99, 5)], &[(100, 50)])))[0].2, 6);
        }
    }
    // A stop triggers on the bid it would get, and leaves where the bids are.
    let mut it = Market::new(vec![place(market(Side::Buy, 10)), place(stop)], ExchangeRules::default());
    it.book(&depth(it.now, &[(99, 50)], &[(100, 50)]));
    it.decide(100);
    it.book(&depth(it.now, &[(99, 50)], &[(100, 50)]));
    it.decide(100);
    assert!(it.book(&depth(it.now, &[(96, 50)], &[(100, 50)])).is_empty());
    assert_eq!(fills(&it.book(&depth(it.now, &[(94, 4), (90, 50)], &[(100, 50)]))).len(), 2);
    assert_eq!(it.held(), 0);
    // A trailing one follows the bid at once.
    let trail = OrderRequest::trailing(Side::Sell, Quantity(10), Trail::Price(Price(3)), "");
    let mut it = Market::new(vec![place(market(Side::Buy, 10)), place(trail)], ExchangeRules::default());
    it.book(&depth(it.now, &[(99, 50)], &[(100, 50)]));
    it.decide(100);
    it.book(&depth(it.now, &[(99, 50)], &[(100, 50)]));
    it.decide(100);
    it.book(&depth(it.now, &[(107, 50)], &[(108, 50)]));
    let left = fills(&it.book(&depth(it.now, &[(104, 50)], &[(105, 50)])));
    assert_eq!((left[0].3, it.held()), (104, 0));
    // Exits of a bracket work against the next book.
    let bracket = Bracket { stop: Some(Level::At(Price(95))), target: Some(Level::At(Price(110))) };
    let mut it = Market::new(vec![place(market(Side::Buy, 10).with_exits(bracket))], ExchangeRules::default());
    it.book(&depth(it.now, &[(99, 50)], &[(100, 50)]));
    it.decide(100);
    it.book(&depth(it.now, &[(99, 50)], &[(100, 4), (101, 50)]));
    assert_eq!((it.held(), it.core.book(X).working.len()), (10, 2));
    it.book(&depth(it.now, &[(111, 50)], &[(112, 50)]));
    assert_eq!((it.held(), it.core.book(X).working.len()), (0, 0));
}

/// The order within an instant: what was decided at it is too late for the trades of it and in time for its books.
#[test]
fn a_print_of_the_instant_of_a_decision_is_over() {
    let limit = OrderRequest::limit(Side::Buy, Quantity(10), Price(100), "");
    let stop = OrderRequest::stop(Side::Buy, Quantity(10), Price(103), "");
    let decided = || {
        let mut it = Market::new(vec![vec![Request::Place(limit), Request::Place(stop)]], ExchangeRules::default());
        it.book(&depth(it.now, &[(99, 50)], &[(102, 50)]));
        it.decide(101);
        // The instant of the decision itself: `decide` has let one nanosecond pass.
        it.now
    };
    let begins = decided();
    for (later, prints, filled) in [(-1, [95, 104], 0), (0, [95, 104], 10), (0, [100, 103], 10)] {
        let mut it = Market::new(vec![vec![Request::Place(limit), Request::Place(stop)]], ExchangeRules::default());
        it.book(&depth(it.now, &[(99, 50)], &[(102, 50)]));
        it.decide(101);
        assert_eq!(it.now, begins);
        for price in prints {
            let sent = TradePrint::new(begins + later, Price(price), Quantity(50));
            it.step(Body::Print(X, &sent)).unwrap();
        }
        assert_eq!(it.held(), filled, "a limit, by a print {later} ns after the decision's instant and one more");
        // A stop that a print has triggered buys from the next book, whatever it asks for; this one asks 102.
        it.book(&depth(begins + -1, &[(99, 50)], &[(102, 50)]));
        assert_eq!(it.held(), 2 * filled, "triggered by prints that came after it alone");
    }
    let mut it = Market::new(vec![place(limit)], ExchangeRules::default());
    it.book(&depth(it.now, &[(99, 50)], &[(102, 50)]));
    it.decide(101);
    it.book(&depth(begins + -1, &[(98, 50)], &[(99, 50)]));
    assert_eq!(it.held(), 10, "a book stands from its instant on");
}

/// Crossed books, books out of hours and books that make no sense.
#[test]
fn what_is_no_market_fills_nothing() {
    let mut it = Market::new(vec![place(market(Side::Buy, 10))], ExchangeRules::default());
    it.book(&depth(it.now, &[(99, 50)], &[(100, 50)]));
    it.decide(100);
    assert!(it.book(&depth(it.now, &[(101, 50)], &[(100, 50)])).is_empty(), "crossed");
    assert!(it.book(&depth(it.now, &[(99, 50)], &[])).is_empty(), "nobody sells");
    let alarms =
        |outputs: &[Output]| outputs.iter().filter(|output| matches!(output.body, Conclusion::Alarm(_))).count();
    let unsound = [depth(it.now, &[(98, 5), (99, 5)], &[]), depth(it.now, &[], &[(-1, 5)])];
    assert_eq!(unsound.map(|bad| alarms(&it.book(&bad))), [1, 0], "said once");
    it.now = worlds::session(0).close;
    assert!(it.book(&depth(it.now, &[(99, 50)], &[(100, 50)])).is_empty(), "after the close");
}

/// An order of the naive twin.
struct Naive {
    request: OrderRequest,
    remaining: i64,
    triggered: bool,
    live: bool,
}

/// What the twin expects of a book: it walks all orders over a list of levels from which they take.
fn expected(
    orders: &mut [Naive],
    sides: &mut [Vec<(i64, i64)>; 2],
    mid: Option<i64>,
) -> Vec<(u64, Side, i64, i64, i64, String)> {
    let mut all = Vec::new();
    for (number, order) in orders.iter_mut().enumerate().filter(|(_, order)| order.live) {
        let buys = order.request.side == Side::Buy;
        let levels = &mut sides[usize::from(buys)];
        // Emptied levels still show where the market is.
        let Some(best) = levels.first().map(|level| level.0) else {
            continue_order(order);
            continue;
        };
        let stop = order.request.stop.map_or(best, |stop| stop.0);
        order.triggered |= if buys { best >= stop } else { best <= stop };
        if order.triggered {
            let fits = |price: i64| match order.request.limit {
                None => true,
                Some(limit) => {
                    if buys {
                        price <= limit.0
                    } else {
                        price >= limit.0
                    }
                }
            };
            let offered: i64 = levels.iter().filter(|level| fits(level.0)).map(|level| level.1).sum();
            let kill = order.request.time_in_force == TimeInForce::Fok && offered < order.remaining;
            for level in levels.iter_mut().filter(|level| fits(level.0) && !kill) {
                let size = level.1.min(order.remaining);
                if size > 0 {
                    level.1 -= size;
                    order.remaining -= size;
                    let reference = mid.unwrap_or(level.0);
                    all.push((number as u64 + 1, order.request.side, size, level.0, reference, "depth".to_owned()));
                }
            }
        }
        continue_order(order);
    }
    all
}

/// What becomes of an order after a book it worked on.
fn continue_order(order: &mut Naive) {
    let once = matches!(order.request.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
    order.live = order.remaining > 0 && !once;
}

#[test]
fn random_books_equal_the_naive_twin() {
    let mut filled = 0;
    for seed in worlds::seeds(1_500) {
        let random = &mut Random::new(seed);
        let script: Vec<Vec<Request>> = (0..40).map(|_| requests(random)).collect();
        let mut it = Market::new(script.clone(), ExchangeRules::default());
        it.book(&depth(it.now, &[(99, 1)], &[(101, 1)]));
        let mut orders: Vec<Naive> = Vec::new();
        // Quantity seen and taken at (buys, price).
        let mut taken: BTreeMap<(bool, i64), (i64, i64)> = BTreeMap::new();
        let mut book = levels(random);
        for requests in script {
            it.decide(100);
            for request in requests {
                let Request::Place(request) = request else { unreachable!() };
                orders.push(Naive { request, remaining: request.quantity.0, triggered: false, live: true });
            }
            for _ in 0..random.range(0, 2) {
                book = if random.one_in(3) { levels(random) } else { nudged(random, &book) };
                let stands = |buys: bool, price: i64| book[usize::from(buys)].iter().find(|level| level.0 == price);
                taken.retain(|(buys, price), (seen, _)| stands(*buys, *price).is_some_and(|level| level.1 == *seen));
                let mut left = book.clone();
                for (side, buys) in [(0, false), (1, true)] {
                    for level in &mut left[side] {
                        level.1 -= taken.get(&(buys, level.0)).map_or(0, |(_, taken)| *taken);
                    }
                }
                let best = |side: usize| book[side].first().map(|level| level.0);
                let mid = best(0).zip(best(1)).map(|(bid, ask)| (bid + ask + 1).div_euclid(2));
                let crossed = best(0).zip(best(1)).is_some_and(|(bid, ask)| bid >= ask);
                let wanted = if crossed { Vec::new() } else { expected(&mut orders, &mut left, mid) };
                for (side, buys) in [(0, false), (1, true)] {
                    for (seen, now) in book[side].iter().zip(&left[side]).filter(|(seen, now)| now.1 < seen.1) {
                        taken.insert((buys, seen.0), (seen.1, seen.1 - now.1));
                    }
                }
                let outputs = it.book(&depth(it.now, &book[0], &book[1]));
                assert_eq!(fills(&outputs), wanted, "DAYBOOK_SEED={seed} {book:?}");
                filled += wanted.len();
                it.now = it.now + 1;
            }
        }
        let signed = |order: &Naive| order.request.side.signed(Quantity(order.request.quantity.0 - order.remaining)).0;
        assert_eq!(it.held(), orders.iter().map(signed).sum::<i64>(), "DAYBOOK_SEED={seed}");
    }
    assert!(filled > 1_000 || std::env::var("DAYBOOK_SEED").is_ok(), "books that fill nothing prove nothing: {filled}");
}

fn requests(random: &mut Random) -> Vec<Request> {
    let count = random.pick(&[0, 1, 1, 2]);
    let mut order = || {
        let (side, quantity) = (random.pick(&[Side::Buy, Side::Sell]), Quantity(random.range(1, 60)));
        let (price, other) = (Price(random.range(95, 105)), Price(random.range(95, 105)));
        let request = match random.range(0, 5) {
            0 | 1 => OrderRequest::market(side, quantity, ""),
            2 | 3 => OrderRequest::limit(side, quantity, price, ""),
            4 => OrderRequest::stop(side, quantity, price, ""),
            _ => OrderRequest::stop_limit(side, quantity, price, other, ""),
        };
        assert_ne!(request.order_type, OrderType::TrailingStop);
        let lasting = [TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Day, TimeInForce::Ioc, TimeInForce::Fok];
        Request::Place(request.lasting(random.pick(&lasting)))
    };
    (0..count).map(|_| order()).collect()
}

/// Bids, then asks, best first; now and then a side is empty, or the book is crossed.
fn levels(random: &mut Random) -> [Vec<(i64, i64)>; 2] {
    let bid = random.range(96, 101);
    let ask = bid + random.pick(&[1, 1, 2, 3, 3, 0]);
    let mut side = |best: i64, step: i64| {
        let mut price = best;
        let mut level = || {
            let at = price;
            price += step * random.range(1, 2);
            (at, random.range(1, 40))
        };
        let count = 5;
        (0..count).map(|_| level()).collect::<Vec<_>>()
    };
    let (mut bids, mut asks) = (side(bid, -1), side(ask, 1));
    if random.one_in(20) {
        bids.clear();
    }
    asks.truncate(random.range(0, 9) as usize);
    [bids, asks]
}

/// The same book with some quantities changed.
fn nudged(random: &mut Random, book: &[Vec<(i64, i64)>; 2]) -> [Vec<(i64, i64)>; 2] {
    let mut book = book.clone();
    for level in book.iter_mut().flatten() {
        if random.one_in(4) {
            level.1 = random.range(1, 40);
        }
    }
    book
}
