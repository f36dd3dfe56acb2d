//! The board: what each instrument last did, its book of five levels, its bands.
//!
//! - The book moves with every tick and follows from it: the same day shows the same books. What is bought out of it is
//!   gone until the next tick.
//! - Best bid and offer enclose the last price, a tick or two apart; nothing stands outside the bands.
//! - An index has no book and no bands.

use super::market::{DayListing, Listed, MarketTick};
use crate::kite_wire::packet::{BookLine, Snapshot};
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{Nanos, Price, Side};

/// The step by which a moving band widens, percent.
const BAND_STEP: i64 = 5;

/// An instrument today.
#[derive(Clone, Debug, Default)]
pub struct Quote {
    /// What packets and quotes say.
    pub snapshot: Snapshot,
    /// Price step; zero where the day does not list it.
    pub tick: Price,
    /// Lowest price of an order.
    pub lower: Price,
    /// Highest price of an order.
    pub upper: Price,
    /// True where a closing auction makes the close.
    pub auction: bool,
    /// First price of the day.
    pub opening: Option<Price>,
    /// True where the day lists it.
    pub listed: bool,
    base: Price,
    percent: i64,
    moves: bool,
    /// Most that a level of the book shows.
    level_max: i64,
    /// Σ price × volume of the day, in units of 1e-8.
    turnover: i128,
    ticks: i64,
}

/// All instruments.
#[derive(Clone, Debug)]
pub struct Board {
    quotes: Vec<Quote>,
    level_max: i64,
}

impl Board {
    /// Before the first day; a level of a book shows at most so much.
    pub fn new(listed: &[Listed], level_max: i64) -> Self {
        let quote = |listed: &Listed| Quote {
            snapshot: Snapshot { token: listed.token, ..Snapshot::default() },
            ..Quote::default()
        };
        Self { quotes: listed.iter().map(quote).collect(), level_max }
    }

    /// One instrument.
    pub fn quote(&self, listed: usize) -> &Quote {
        &self.quotes[listed]
    }

    /// A day begins: prices of the day before become closes.
    pub fn open_day(&mut self, listings: &[DayListing]) {
        for quote in &mut self.quotes {
            let (token, last) = (quote.snapshot.token, quote.snapshot.last);
            *quote =
                Quote { snapshot: Snapshot { token, last, close: last, ..Snapshot::default() }, ..Quote::default() };
        }
        for day in listings {
            let Some(quote) = self.quotes.get_mut(day.listed) else { continue };
            quote.snapshot.last = day.close;
            quote.snapshot.close = day.close;
            quote.tick = day.tick;
            quote.auction = day.auction;
            quote.opening = day.opening;
            quote.listed = true;
            quote.level_max = self.level_max;
            (quote.base, quote.percent, quote.moves) = (day.base, day.band_percent, day.band_moves);
            quote.set_bands();
        }
    }

    /// A tick.
    pub fn apply(&mut self, tick: &MarketTick) {
        let Some(quote) = self.quotes.get_mut(tick.listed) else { return };
        let snapshot = &mut quote.snapshot;
        if quote.ticks == 0 {
            (snapshot.open, snapshot.high, snapshot.low) = (tick.price, tick.price, tick.price);
        }
        snapshot.high = snapshot.high.max(tick.price);
        snapshot.low = snapshot.low.min(tick.price);
        snapshot.last = tick.price;
        snapshot.exchange_time = tick.time;
        snapshot.last_trade = tick.time;
        quote.ticks += 1;
        if tick.volume > 0 {
            snapshot.last_quantity = tick.volume;
            snapshot.volume += tick.volume;
            quote.turnover += i128::from(tick.price.0) * i128::from(tick.volume);
            let average = divide_rounded(quote.turnover, snapshot.volume.into());
            snapshot.average = Price(i64::try_from(average).unwrap_or(tick.price.0));
        }
        if !snapshot.is_index() {
            quote.widen_bands();
            quote.show_book(tick.time);
        }
    }

    /// The market does not trade: the book is empty.
    pub fn clear_book(&mut self, listed: usize) {
        if let Some(quote) = self.quotes.get_mut(listed) {
            quote.set_book([BookLine::default(); 5], [BookLine::default(); 5]);
        }
    }

    /// Takes a quantity out of a level of the other side.
    pub fn take(&mut self, listed: usize, side: Side, level: usize, quantity: i64) {
        let Some(quote) = self.quotes.get_mut(listed) else { return };
        let snapshot = &mut quote.snapshot;
        let (lines, total) = match side {
            Side::Buy => (&mut snapshot.offers, &mut snapshot.sell_quantity),
            Side::Sell => (&mut snapshot.bids, &mut snapshot.buy_quantity),
        };
        if let Some(line) = lines.get_mut(level) {
            line.quantity = (line.quantity - quantity).max(0);
            *total = (*total - quantity).max(0);
        }
    }
}

impl Quote {
    /// What an order of this side can trade with.
    pub fn opposite(&self, side: Side) -> [BookLine; 5] {
        match side {
            Side::Buy => self.snapshot.offers,
            Side::Sell => self.snapshot.bids,
        }
    }

    /// Is the price a multiple of the step?
    pub fn on_tick(&self, price: Price) -> bool {
        self.tick.0 <= 0 || price.0 % self.tick.0 == 0
    }

    fn set_bands(&mut self) {
        let step = self.tick.0.max(1);
        let away = divide_rounded(i128::from(self.base.0) * i128::from(self.percent), 100) as i64;
        let (lower, upper) = (self.base.0.saturating_sub(away).max(step), self.base.0.saturating_add(away));
        self.lower = Price(lower.div_euclid(step) * step + if lower.rem_euclid(step) == 0 { 0 } else { step });
        self.upper = Price(upper.div_euclid(step) * step);
    }

    /// A moving band goes on when the price has come to its end.
    fn widen_bands(&mut self) {
        while self.moves && self.percent < 100 && (self.snapshot.last <= self.lower || self.snapshot.last >= self.upper)
        {
            self.percent += BAND_STEP;
            self.set_bands();
        }
    }

    fn show_book(&mut self, time: Nanos) {
        let mut dice = Dice::new(u64::from(self.snapshot.token), time);
        let step = self.tick.0.max(1);
        // A last price between two steps (old data under newer rules) lies between bid and offer.
        let below = self.snapshot.last.0.div_euclid(step) * step;
        let best_bid = below - dice.below(2) as i64 * step;
        let best_offer = (best_bid + step).max(below + if below == self.snapshot.last.0 { 0 } else { step });
        let usual = (self.snapshot.volume / self.ticks.max(1)).max(1);
        let mut line = |price: i64| {
            let quantity = (usual * (1 + dice.below(8) as i64)).min(self.level_max);
            let orders = 1 + dice.below(12) as u16;
            let inside = self.lower.0 <= price && price <= self.upper.0;
            if inside { BookLine { quantity, price: Price(price), orders } } else { BookLine::default() }
        };
        let bids = [0_i64, 1, 2, 3, 4].map(|level| line(best_bid.saturating_sub(level.saturating_mul(step))));
        let offers = [0_i64, 1, 2, 3, 4].map(|level| line(best_offer.saturating_add(level.saturating_mul(step))));
        self.set_book(bids, offers);
    }

    fn set_book(&mut self, bids: [BookLine; 5], offers: [BookLine; 5]) {
        let total = |lines: &[BookLine; 5]| lines.iter().map(|line| line.quantity).sum::<i64>();
        // Five levels are shown; more stands behind them.
        self.snapshot.buy_quantity = total(&bids) * 8;
        self.snapshot.sell_quantity = total(&offers) * 8;
        (self.snapshot.bids, self.snapshot.offers) = (bids, offers);
    }
}

/// Numbers that look like chance and follow from what they are asked about.
pub struct Dice(u64);

impl Dice {
    /// For one instrument at one time.
    pub fn new(token: u64, time: Nanos) -> Self {
        Self(token.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ time.0.cast_unsigned())
    }

    /// Another sequence of the same beginning.
    #[must_use]
    pub const fn sequence(self, number: u64) -> Self {
        Self(self.0 ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    /// From 0 to one less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

/// The average price of a value and a quantity.
pub fn average(value: i128, quantity: i64) -> Price {
    if quantity == 0 {
        return Price::ZERO;
    }
    let (value, quantity) = if quantity < 0 { (-value, -quantity) } else { (value, quantity) };
    Price(i64::try_from(divide_rounded(value, quantity.into())).unwrap_or(i64::MAX))
}

/// A price as whole units of 1e-8 times a count of shares.
pub fn value_of(price: Price, quantity: i64) -> i128 {
    i128::from(price.0) * i128::from(quantity)
}

/// A share of a price in percent, at 1e-8 of a percent.
pub fn percent_of(price: Price, percent: i128) -> i64 {
    i64::try_from(divide_rounded(i128::from(price.0) * percent, 100 * i128::from(SCALE))).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let listed =
            Listed { token: 257, exchange_token: 1, symbol: "A".into(), name: "A".into(), lot: 1, index: false };
        let mut board = Board::new(&[listed], i64::MAX);
        board.open_day(&[DayListing {
            listed: 0,
            tick: Price(5_000_000),
            close: "100".parse().unwrap(),
            base: "100".parse().unwrap(),
            band_percent: 10,
            band_moves: true,
            auction: false,
            opening: None,
        }]);
        board
    }

    fn tick(price: &str, seconds: i64) -> MarketTick {
        MarketTick { time: Nanos(seconds * 1_000_000_000), listed: 0, price: price.parse().unwrap(), volume: 10 }
    }

    #[test]
    fn the_book_encloses_the_last_price_and_moves() {
        let mut board = board();
        let mut seen = Vec::new();
        for second in 0..200 {
            board.apply(&tick("100.05", second));
            let snapshot = &board.quote(0).snapshot;
            let (bid, offer) = (snapshot.bids[0].price, snapshot.offers[0].price);
            assert!(bid <= snapshot.last && snapshot.last <= offer && bid < offer, "{bid} {offer}");
            for lines in [snapshot.bids, snapshot.offers] {
                assert!(lines.iter().all(|line| line.quantity > 0 && line.price.0 % 5_000_000 == 0));
            }
            seen.push((bid, snapshot.bids[0].quantity));
        }
        seen.dedup();
        assert!(seen.len() > 50, "it moves: {}", seen.len());
        assert_eq!(board.quote(0).snapshot.volume, 2_000);
    }

    #[test]
    fn bands_hold_and_move() {
        let mut board = board();
        let bands = |board: &Board| (board.quote(0).lower.to_string(), board.quote(0).upper.to_string());
        assert_eq!(bands(&board), ("90".to_owned(), "110".to_owned()));
        board.apply(&tick("110", 1));
        assert_eq!(bands(&board), ("85".to_owned(), "115".to_owned()));
        board.apply(&tick("120", 2));
        assert_eq!(bands(&board), ("75".to_owned(), "125".to_owned()), "it moves on until the price lies inside");
    }

    #[test]
    fn what_was_bought_is_gone_until_the_next_tick() {
        let mut board = board();
        board.apply(&tick("100", 1));
        let before = board.quote(0).snapshot.offers[0].quantity;
        board.take(0, Side::Buy, 0, before);
        assert_eq!(board.quote(0).snapshot.offers[0].quantity, 0);
        board.apply(&tick("100", 2));
        assert!(board.quote(0).snapshot.offers[0].quantity > 0);
    }
}
