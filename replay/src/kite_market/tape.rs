//! A day of the market: its instruments and its ticks.
//!
//! - Everything follows from the journals and the date. The index is the mean of all instruments' prices, each as a
//!   multiple of its first one in the journal: it begins at 10,000 and has no jumps when days change.
//! - Ticks come in order of time, of one time in order of symbol, the index last.
//! - Memory is one day's ticks.

use super::{INDEX_BASE, KiteMarket};
use crate::error::ReplayError;
use daybook_adapters::kite_server::{DayListing, DayTape, MarketTick};
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{Candle, Date, Nanos, Price};

/// Indices move in steps of five paise.
const INDEX_STEP: Price = Price(5_000_000);

/// One day.
pub struct Tape {
    listings: Vec<DayListing>,
    ticks: Vec<MarketTick>,
    at: usize,
}

impl DayTape for Tape {
    fn listings(&self) -> &[DayListing] {
        &self.listings
    }
    fn peek(&self) -> Option<Nanos> {
        self.ticks.get(self.at).map(|tick| tick.time)
    }
    fn next(&mut self) -> Option<MarketTick> {
        let tick = self.ticks.get(self.at).copied();
        self.at += 1;
        tick
    }
}

impl Tape {
    /// Reads the candles of a date and lays their ticks out.
    pub fn of(market: &KiteMarket, date: Date) -> Result<Self, ReplayError> {
        let day = market.day(date)?;
        let steps = market.steps(date, &day.closes)?;
        let mut ticks = Vec::new();
        let mut path = Vec::new();
        for (listed, candle) in &day.candles {
            path.clear();
            let spans = market.spans(date, candle);
            super::path::ticks_of(candle, &spans, steps[*listed], market.listed[*listed].token, &mut path);
            let tick = |tick: &super::path::PathTick| MarketTick {
                time: tick.time,
                listed: *listed,
                price: tick.price,
                volume: tick.volume,
            };
            ticks.extend(path.iter().map(tick));
        }
        ticks.sort_by_key(|tick| (tick.time, tick.listed));
        let mut listings = listings(market, date, &day, &steps);
        if let Some(index) = market.index {
            let (close, with_index) = add_index(market, index, &day.closes, ticks);
            ticks = with_index;
            let opening = ticks.iter().find(|tick| tick.listed == index).map(|tick| tick.price);
            if let Some(close) = close.or(opening) {
                listings.push(DayListing {
                    listed: index,
                    tick: INDEX_STEP,
                    close,
                    base: close,
                    band_percent: 100,
                    band_moves: false,
                    auction: false,
                    opening,
                });
            }
        }
        Ok(Self { listings, ticks, at: 0 })
    }

    /// Its ticks of one instrument.
    pub fn of_listed(&self, listed: usize) -> impl Iterator<Item = &MarketTick> {
        self.ticks.iter().filter(move |tick| tick.listed == listed)
    }

    /// True for a day without a tick.
    pub fn is_empty(&self) -> bool {
        self.ticks.is_empty()
    }
}

/// What the journals say about a date.
pub struct DayData {
    /// Close before the date, of each instrument that had one.
    pub closes: Vec<Option<Price>>,
    /// The date's candles, each with the place of its instrument.
    pub candles: Vec<(usize, Candle)>,
}

fn listings(market: &KiteMarket, date: Date, day: &DayData, steps: &[Price]) -> Vec<DayListing> {
    let mut openings: Vec<Option<Price>> = vec![None; market.listed.len()];
    for (listed, candle) in &day.candles {
        openings[*listed].get_or_insert(candle.open());
    }
    let listing = |listed: usize| {
        let opening = openings[listed];
        let close = day.closes[listed].filter(|_| opening.is_some() || market.is_alive(listed, date)).or(opening)?;
        let derivatives = market.has_derivatives(listed, date);
        let percent = if derivatives { 10 } else { 20 };
        // A first price far from the close before is an adjustment that the journal does not tell of.
        let far = |open: Price| (open.0 - close.0).abs() > close.0 / 5;
        Some(DayListing {
            listed,
            tick: steps[listed],
            close,
            base: opening.filter(|open| far(*open)).unwrap_or(close),
            band_percent: percent,
            band_moves: derivatives,
            auction: derivatives && market.has_auction(date),
            opening,
        })
    };
    (0..market.listed.len()).filter(|listed| Some(*listed) != market.index).filter_map(listing).collect()
}

/// The index's close before the day, and the ticks with those of the index among them.
fn add_index(
    market: &KiteMarket,
    index: usize,
    closes: &[Option<Price>],
    ticks: Vec<MarketTick>,
) -> (Option<Price>, Vec<MarketTick>) {
    let ratio = |listed: usize, price: Price| {
        let first = market.firsts[listed];
        divide_rounded(i128::from(price.0) * i128::from(SCALE), i128::from(first.0.max(1)))
    };
    let mut ratios: Vec<Option<i128>> =
        closes.iter().enumerate().map(|(listed, close)| close.map(|close| ratio(listed, close))).collect();
    let mut sum: i128 = ratios.iter().flatten().sum();
    let mut members = ratios.iter().flatten().count();
    let level = |sum: i128, members: usize| {
        let mean = divide_rounded(sum * i128::from(INDEX_BASE), members.max(1) as i128);
        Price(i64::try_from(mean).unwrap_or(i64::MAX)).round_to(INDEX_STEP)
    };
    let close = (members > 0).then(|| level(sum, members));
    let mut out = Vec::with_capacity(ticks.len() + ticks.len() / 4);
    let mut rest = ticks.into_iter().peekable();
    while let Some(tick) = rest.next() {
        let new = ratio(tick.listed, tick.price);
        match ratios[tick.listed].replace(new) {
            Some(old) => sum += new - old,
            None => (sum, members) = (sum + new, members + 1),
        }
        out.push(tick);
        if rest.peek().is_none_or(|next| next.time > tick.time) {
            out.push(MarketTick { time: tick.time, listed: index, price: level(sum, members), volume: 0 });
        }
    }
    (close, out)
}
