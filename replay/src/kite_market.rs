//! A journal as a market for the simulated broker: what is listed, when it trades, every tick, all of its history.
//!
//! - Ticks are laid out along the documented way of each candle, so history finer than the journal comes from the very
//!   ticks that a day plays; coarser history is added up.
//! - Orders trade where the engine's exchange says, with each tick as a candle of one price.
//! - Sessions, price steps, bands and charges are those of the date. History ends at the moment that is asked from.
//! - It holds no state but what it has read once: the same question has the same answer.

mod bars;
mod path;
mod tape;

use crate::catalog::{History, Selection, hex, select};
use crate::driver::Source;
use crate::error::ReplayError;
use crate::history::{HistorySource, Range, candles_of};
use bars::{Bars, Part, start_of};
use daybook_adapters::kite_server::{
    ChargeQuery, DayTape, HistoryBar, HistoryQuery, Hours, Listed, Market, MarketError, Resting, Span,
};
use daybook_adapters::kite_wire::stamp;
use daybook_config::{Calendar, Day, FeeInput, FeeSchedule, Rates, Session, TickTable, Universe};
use daybook_core::{Body, Order, OrderRequest, Phase, trade_price};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Candle, Charges, Date, Interval, Nanos, OrderId, Price, Quantity};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tape::{DayData, Tape};

/// Where the index begins.
const INDEX_BASE: i64 = 10_000;
const INDEX: &str = "NIFTY 50";
/// Its number: 1001 × 256 + 9.
const INDEX_TOKEN: u32 = 256_265;
const DAY: i64 = 86_400_000_000_000;
const MINUTE: i64 = 60_000_000_000;
/// A symbol without a candle for so long is not listed any more.
const ALIVE_FOR: i64 = 30 * DAY;

/// The exchange's numbers of well-known shares.
const TOKENS: [(&str, u32); 20] = [
    ("RELIANCE", 2885),
    ("HDFCBANK", 1333),
    ("ICICIBANK", 4963),
    ("INFY", 1594),
    ("TCS", 11536),
    ("BHARTIARTL", 10604),
    ("SBIN", 3045),
    ("ITC", 1660),
    ("LT", 11483),
    ("AXISBANK", 5900),
    ("KOTAKBANK", 1922),
    ("HINDUNILVR", 1394),
    ("ASIANPAINT", 236),
    ("MARUTI", 10999),
    ("BAJFINANCE", 317),
    ("WIPRO", 3787),
    ("HCLTECH", 7229),
    ("TITAN", 3506),
    ("TATASTEEL", 3499),
    ("ADANIPORTS", 15083),
];

/// Instruments of one interval.
struct Group {
    selection: Selection,
    /// Their places among all that are listed.
    places: Vec<usize>,
}

/// Journals as a market.
pub struct KiteMarket {
    histories: Vec<History>,
    groups: Vec<Group>,
    calendar: Calendar,
    ticks: Option<TickTable>,
    universe: Universe,
    intraday: FeeSchedule,
    delivery: FeeSchedule,
    listed: Vec<Listed>,
    index: Option<usize>,
    /// First price of each instrument in the journals.
    firsts: Vec<Price>,
    /// Last candle of each.
    lasts: Vec<Nanos>,
    /// Closes before a month, by its first day: what price steps go by.
    months: Mutex<BTreeMap<Date, Vec<Option<Price>>>>,
}

impl KiteMarket {
    /// Journals of one market, by its calendar.
    pub fn open(histories: Vec<History>, calendar: Calendar) -> Result<Self, ReplayError> {
        let groups = groups(&histories)?;
        let symbols: Vec<String> =
            groups.iter().flat_map(|group| &group.selection.instruments).map(|of| of.symbol.clone()).collect();
        let mut sorted = symbols.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let mut listed = listed_of(&sorted);
        let index = (!sorted.iter().any(|symbol| symbol == INDEX)).then_some(listed.len());
        if index.is_some() {
            listed.push(index_listing());
        }
        let place = |symbol: &String| sorted.binary_search(symbol).expect("every symbol is in the list");
        let groups = groups.into_iter().map(|mut group| {
            group.places = group.selection.instruments.iter().map(|of| place(&of.symbol)).collect();
            group
        });
        let market_is_nse = calendar.market() == "nse";
        let schedule =
            |name: &str| FeeSchedule::parse(name).expect("a built-in schedule is well-formed: a test reads it");
        let mut market = Self {
            groups: groups.collect(),
            ticks: market_is_nse.then(TickTable::nse),
            universe: Universe::nifty50(),
            intraday: schedule("zerodha-intraday"),
            delivery: schedule("zerodha-delivery"),
            firsts: vec![Price::ZERO; listed.len()],
            lasts: vec![Nanos::MIN; listed.len()],
            months: Mutex::default(),
            listed,
            index,
            histories,
            calendar,
        };
        market.read_ends()?;
        Ok(market)
    }

    /// First and last dates of its candles.
    pub fn dates(&self) -> (Date, Date) {
        let every = || self.histories.iter().flat_map(|history| &history.series);
        let first = every().map(|series| series.first).min().unwrap_or_default();
        let last = every().map(|series| series.last).max().unwrap_or_default();
        (stamp::date_of(first), stamp::date_of(last))
    }

    /// True where a date has a tick.
    pub fn trades_on(&self, date: Date) -> Result<bool, ReplayError> {
        Tape::of(self, date).map(|tape| !tape.is_empty())
    }

    fn read_ends(&mut self) -> Result<(), ReplayError> {
        for group in &self.groups {
            for (instrument, place) in group.selection.instruments.iter().zip(&group.places) {
                let of_it = self.histories.iter().flat_map(|history| &history.series);
                let of_it = of_it.filter(|series| {
                    series.interval == group.selection.interval && series.definition.symbol == instrument.symbol
                });
                let (mut first, mut last) = (Nanos::MAX, Nanos::MIN);
                for series in of_it {
                    (first, last) = (first.min(series.first), last.max(series.last));
                }
                let range = known_by(Range { from: first, until: first + 1 }, group.selection.interval);
                let mut price = None;
                candles_of(&self.histories, instrument, group.selection.interval, range, &mut |candle| {
                    price.get_or_insert(candle.open());
                })?;
                self.firsts[*place] = price.unwrap_or(Price::from_units(1));
                self.lasts[*place] = last;
            }
        }
        Ok(())
    }

    /// What the journals say about a date.
    fn day(&self, date: Date) -> Result<DayData, ReplayError> {
        let range = Range { from: stamp::at(date, 0), until: stamp::at(date.next(), 0) };
        let mut day = DayData { closes: vec![None; self.listed.len()], candles: Vec::new() };
        for group in &self.groups {
            self.each_candle(group, range, &mut |place, candle| {
                if candle.open_time() < range.from {
                    day.closes[place] = Some(candle.close());
                } else if candle.open_time() < range.until {
                    day.candles.push((place, *candle));
                }
            })?;
        }
        Ok(day)
    }

    /// The candles of a range, and before them the last one of each instrument.
    fn each_candle(
        &self,
        group: &Group,
        range: Range,
        take: &mut dyn FnMut(usize, &Candle),
    ) -> Result<(), ReplayError> {
        let range = known_by(range, group.selection.interval);
        let mut source = HistorySource::new(&self.histories, &group.selection, self.calendar.clone(), range, 1)?;
        while source.advance()? {
            if let Body::Candle(id, candle) = source.input().body {
                take(group.places[id.index()], candle);
            }
        }
        Ok(())
    }

    /// Price steps of a date: by the last close of the month before, else by the last one there is.
    fn steps(&self, date: Date, closes: &[Option<Price>]) -> Result<Vec<Price>, ReplayError> {
        let month = self.month_closes(date)?;
        let mut steps = vec![Price(SCALE / 100); self.listed.len()];
        for group in &self.groups {
            for (instrument, place) in group.selection.instruments.iter().zip(&group.places) {
                let base = month[*place].or(closes[*place]).unwrap_or(self.firsts[*place]);
                steps[*place] = match &self.ticks {
                    Some(table) => table.tick_for(base, date),
                    None if instrument.tick.0 > 0 => instrument.tick,
                    None => Price(SCALE / 100),
                };
            }
        }
        Ok(steps)
    }

    fn month_closes(&self, date: Date) -> Result<Vec<Option<Price>>, ReplayError> {
        use chrono::Datelike;
        let first = Date(date.0 - date.civil().day0().cast_signed());
        let known = || self.months.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(closes) = known().get(&first) {
            return Ok(closes.clone());
        }
        let begin = stamp::at(first, 0);
        let mut closes = vec![None; self.listed.len()];
        for group in &self.groups {
            self.each_candle(group, Range { from: begin, until: begin }, &mut |place, candle| {
                if candle.open_time() < begin {
                    closes[place] = Some(candle.close());
                }
            })?;
        }
        known().insert(first, closes.clone());
        Ok(closes)
    }

    fn session(&self, date: Date) -> Option<Session> {
        self.calendar.session_for_data(date).filter(|_| self.ticks.is_some())
    }

    /// When a candle traded.
    fn spans(&self, date: Date, candle: &Candle) -> Vec<(Nanos, Nanos)> {
        let nominal = candle.open_time() + candle.interval().nanos();
        let session = self.session(date);
        match session {
            Some(session) if candle.interval().is_daily() => {
                session.windows.iter().map(|window| (window.open, window.close)).collect()
            }
            Some(session) => match session.window_of(candle.open_time(), candle.interval()) {
                Some(window) => vec![(candle.open_time(), nominal.min(window.close))],
                None => vec![(candle.open_time(), nominal)],
            },
            None => vec![(candle.open_time(), nominal)],
        }
    }

    /// Shares in the index of the large ones have derivatives; of others nothing is known.
    fn has_derivatives(&self, listed: usize, date: Date) -> bool {
        let date = date.max(self.universe.first_date());
        let members = self.universe.members(date).unwrap_or_default();
        members.iter().any(|member| *member == self.universe.current_symbol(&self.listed[listed].symbol))
            || members.contains(&self.listed[listed].symbol)
    }

    fn has_auction(&self, date: Date) -> bool {
        self.session(date).is_some_and(|session| session.cas_close.is_some())
    }

    fn is_alive(&self, listed: usize, date: Date) -> bool {
        self.lasts[listed] >= stamp::at(date, 0) + -ALIVE_FOR
    }

    fn rates(&self, delivery: bool, date: Date) -> Rates {
        let schedule = if delivery { &self.delivery } else { &self.intraday };
        let date = schedule.first_date().map_or(date, |first| date.max(first));
        schedule.rates(date).copied().unwrap_or_default()
    }

    fn group_of(&self, listed: usize) -> Option<(&Group, usize)> {
        self.groups
            .iter()
            .find_map(|group| group.places.iter().position(|place| *place == listed).map(|at| (group, at)))
    }

    fn history_of_index(&self, query: HistoryQuery, index: usize) -> Result<Vec<HistoryBar>, ReplayError> {
        let mut bars = Bars::default();
        let (first, last) = self.dates();
        let mut date = stamp::date_of(query.from).max(first);
        while date <= stamp::date_of(query.to.min(query.now)).min(last) {
            let tape = Tape::of(self, date)?;
            for tick in tape.of_listed(index).filter(|tick| tick.time <= query.now) {
                let part = Part { prices: [tick.price; 4], volume: 0 };
                bars.add(self.bar_start(tick.time, query.minutes), part);
            }
            date = date.next();
        }
        Ok(bars.finish(query.from, query.to))
    }

    fn history_of(&self, query: HistoryQuery, group: &Group, at: usize) -> Result<Vec<HistoryBar>, ReplayError> {
        let instrument = &group.selection.instruments[at];
        let interval = group.selection.interval;
        let length = if query.minutes == 0 { DAY } else { i64::from(query.minutes) * MINUTE };
        // The candle that a first bar begins in may have opened before.
        let from = stamp::at(stamp::date_of(query.from), 0);
        let until = (query.to + length).min(query.now + 1).max(from);
        let range = known_by(Range { from, until }, interval);
        let whole = query.minutes == 0 || (length % interval.nanos() == 0 && !interval.is_daily());
        let mut candles = Vec::new();
        candles_of(&self.histories, instrument, interval, range, &mut |candle| {
            if candle.open_time() < until {
                candles.push(*candle);
            }
        })?;
        let mut bars = Bars::default();
        let mut path = Vec::new();
        let mut steps: Option<(Date, Price)> = None;
        for candle in &candles {
            let known = self.calendar.available_at(candle.open_time(), interval) <= query.now;
            if whole && known {
                let prices = [candle.open(), candle.high(), candle.low(), candle.close()];
                let part = Part { prices, volume: candle.volume().0 / SCALE };
                bars.add(self.bar_start(candle.open_time(), query.minutes), part);
                continue;
            }
            let date = stamp::date_of(candle.open_time());
            let step = match steps.filter(|(of, _)| *of == date) {
                Some((_, step)) => step,
                None => self.steps(date, &vec![None; self.listed.len()])?[query.listed],
            };
            steps = Some((date, step));
            path.clear();
            path::ticks_of(candle, &self.spans(date, candle), step, self.listed[query.listed].token, &mut path);
            for tick in path.iter().filter(|tick| tick.time <= query.now) {
                let part = Part { prices: [tick.price; 4], volume: tick.volume };
                bars.add(self.bar_start(tick.time, query.minutes), part);
            }
        }
        Ok(bars.finish(query.from, query.to))
    }

    /// Where the bar of an instant begins.
    fn bar_start(&self, time: Nanos, minutes: u32) -> Nanos {
        let date = stamp::date_of(time);
        if minutes == 0 {
            return stamp::at(date, 0);
        }
        let anchor = self.session(date).map_or(stamp::at(date, 0), |session| session.open());
        start_of(time, anchor, i64::from(minutes) * MINUTE)
    }
}

impl Market for KiteMarket {
    fn listed(&self) -> &[Listed] {
        &self.listed
    }

    fn hours(&self, date: Date) -> Result<Option<Hours>, MarketError> {
        if self.ticks.is_none() {
            let windows = vec![Span { from: stamp::at(date, 0), until: stamp::at(date.next(), 0) }];
            return Ok(Some(Hours { date, windows, pre_open: None, auction: None, post_close: None }));
        }
        let session = match self.calendar.require(date)? {
            Day::Session(session) => Some(session),
            Day::Unknown => self.calendar.session_for_data(date),
            Day::Closed { .. } => None,
        };
        Ok(session.map(|session| {
            let span = |window: daybook_config::Window| Span { from: window.open, until: window.close };
            let matching = session.auction_open.zip(session.auction_close);
            let auction = session.cas_close.zip(matching);
            Hours {
                date,
                windows: session.windows.iter().map(|window| span(*window)).collect(),
                pre_open: session.pre_open.map(span),
                auction: auction.map(|(close, (from, until))| (close, Span { from, until })),
                post_close: session.post_close.map(span),
            }
        }))
    }

    fn tape(&self, date: Date) -> Result<Box<dyn DayTape>, MarketError> {
        Ok(Box::new(Tape::of(self, date)?))
    }

    fn history(&self, query: HistoryQuery) -> Result<Vec<HistoryBar>, MarketError> {
        if self.index == Some(query.listed) {
            return Ok(self.history_of_index(query, query.listed)?);
        }
        match self.group_of(query.listed) {
            Some((group, at)) => Ok(self.history_of(query, group, at)?),
            None => Ok(Vec::new()),
        }
    }

    fn charges(&self, query: ChargeQuery) -> Charges {
        self.rates(query.delivery, query.date).charge(FeeInput {
            side: query.side,
            price: query.price,
            quantity: Quantity::from_units(query.quantity),
            order_value_before: query.value_before,
            order_quantity_before: Quantity::ZERO,
            order_brokerage_before: query.brokerage_before,
            maker: false,
            month: Default::default(),
            first_delivery_sale_of_day: query.leaves_account,
        })
    }

    fn trades_at(&self, order: &mut Resting, price: Price) -> Option<Price> {
        let one = Quantity::from_units(1);
        let request = match (order.limit, order.trigger) {
            (None, None) => OrderRequest::market(order.side, one, ""),
            (Some(limit), None) => OrderRequest::limit(order.side, one, limit, ""),
            (None, Some(stop)) => OrderRequest::stop(order.side, one, stop, ""),
            (Some(limit), Some(stop)) => OrderRequest::stop_limit(order.side, one, stop, limit, ""),
        };
        let mut resting = Order::new(OrderId(1), &request, Nanos(0));
        let tick = Candle::new(CandleParts {
            interval: Interval::MINUTE,
            open: price,
            high: price,
            low: price,
            close: price,
            ..CandleParts::default()
        });
        let trades_at = trade_price(&mut resting, &tick, Phase::Open, daybook_config::LimitFill::Touch);
        if resting.trigger != daybook_core::Trigger::Armed {
            order.trigger = None;
        }
        trades_at
    }

    fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for history in &self.histories {
            hasher.update(history.id().as_bytes());
            hasher.update(&history.until.to_le_bytes());
            if let Ok(content) = history.journal.content_at(history.until) {
                hasher.update(content.to_string().as_bytes());
            }
        }
        hasher.update(&self.calendar.hash().0);
        hex(&hasher.finalize().as_bytes()[..16])
    }
}

/// A range that also reads what opens in it and is known only later.
fn known_by(range: Range, interval: Interval) -> Range {
    Range { until: range.until + interval.nanos(), ..range }
}

/// One group for each interval; an instrument is in that of its finest one.
fn groups(histories: &[History]) -> Result<Vec<Group>, ReplayError> {
    let mut finest: BTreeMap<&str, Interval> = BTreeMap::new();
    for series in histories.iter().flat_map(|history| &history.series) {
        let known = finest.entry(series.definition.symbol.as_str()).or_insert(series.interval);
        *known = (*known).min(series.interval);
    }
    let mut by_interval: BTreeMap<Interval, Vec<String>> = BTreeMap::new();
    for (symbol, interval) in finest {
        by_interval.entry(interval).or_default().push(symbol.to_owned());
    }
    if by_interval.is_empty() {
        // It says which journal is empty.
        return select(histories, &[], None).map(|_| Vec::new());
    }
    let group = |(interval, symbols): (Interval, Vec<String>)| {
        select(histories, &symbols, Some(interval)).map(|selection| Group { selection, places: Vec::new() })
    };
    by_interval.into_iter().map(group).collect()
}

/// Numbers for symbols: the exchange's own where they are known, else by the symbol alone.
fn listed_of(symbols: &[String]) -> Vec<Listed> {
    let mut taken: BTreeMap<u32, ()> = TOKENS.iter().map(|(_, token)| (*token, ())).collect();
    let listed = |symbol: &String| {
        if symbol == INDEX {
            return index_listing();
        }
        let known = TOKENS.iter().find(|(name, _)| name == symbol).map(|(_, token)| *token);
        let exchange_token = known.unwrap_or_else(|| {
            let hash = blake3::hash(symbol.as_bytes());
            let bytes = hash.as_bytes();
            let mut token = 100_000 + u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) % 900_000;
            while taken.insert(token, ()).is_some() {
                token += 1;
            }
            token
        });
        Listed {
            token: exchange_token * 256 + 1,
            exchange_token,
            symbol: symbol.clone(),
            name: symbol.clone(),
            lot: 1,
            index: false,
        }
    };
    symbols.iter().map(listed).collect()
}

fn index_listing() -> Listed {
    Listed {
        token: INDEX_TOKEN,
        exchange_token: INDEX_TOKEN >> 8,
        symbol: INDEX.to_owned(),
        name: INDEX.to_owned(),
        lot: 1,
        index: true,
    }
}
