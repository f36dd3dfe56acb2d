//! The world of the server: a market that plays, and the broker's books of one account.
//!
//! - It moves from one moment to the next (a tick, a change of session, the end of an order's time) and takes commands
//!   between them. The same commands at the same moments make the same world: a server that starts again plays them.
//! - It reads no clock and opens no socket; whoever owns it says how far time has come.
//! - Of one moment, changes of the session come before ticks, and orders meet a tick in order of arrival.

use super::account::{Account, Need};
use super::board::Board;
use super::gtt::Gtts;
use super::market::{DayTape, Hours, Market};
use super::orders::{Order, Orders};
use super::refusal::{Answer, Refusal};
use super::session::Sessions;
use crate::kite_wire::orders::OrderRow;
use crate::kite_wire::stamp;
use crate::kite_wire::words::{Product, Status, Validity};
use daybook_vocabulary::{Date, Money, Nanos, Price, Side};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const MINUTE: i64 = 60_000_000_000;

/// What a world begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The first day.
    pub date: Date,
    /// When clients find it.
    pub start: Nanos,
    /// Cash of the account.
    pub cash: Money,
    /// Quantity above which the exchange refuses an order.
    pub freeze: i64,
    /// Most that a level of a book shows and a tick fills; `None`: as much as the market has.
    pub fill_max: Option<i64>,
    /// The application.
    pub api_key: String,
    /// Its secret.
    pub api_secret: String,
    /// Nanoseconds of virtual time that a request token is good for.
    pub request_life: i64,
}

/// What may be done to orders of an instrument now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The market is closed.
    Closed,
    /// Orders are collected for the opening match.
    PreOpen,
    /// Between two phases: no orders.
    Wait,
    /// Continuous trading.
    Continuous,
    /// Orders are collected for the closing auction.
    Auction {
        /// Market orders are taken.
        market: bool,
    },
    /// Trading at the close.
    PostClose,
}

/// A change of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    ReleaseCollected,
    OpeningMatch,
    SquareOff { auction: bool },
    Close { auction: bool },
    AuctionMatch,
    PostCloseEnds,
    NewDay,
}

/// An order that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// How it stands.
    pub row: OrderRow,
    /// Whether postbacks tell of it, too.
    pub postback: bool,
}

/// What happened since it was last emptied.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// Instruments that ticked.
    pub ticked: Vec<usize>,
    /// Orders that changed.
    pub updates: Vec<Update>,
}

/// The world.
pub struct World {
    pub(super) market: Arc<dyn Market>,
    pub(super) setup: Setup,
    pub(super) now: Nanos,
    pub(super) hours: Option<Hours>,
    tape: Option<Box<dyn DayTape>>,
    moments: VecDeque<(Nanos, Moment)>,
    pub(super) board: Board,
    pub(super) orders: Orders,
    pub(super) account: Account,
    pub(super) gtts: Gtts,
    /// Who may talk to it.
    pub sessions: Sessions,
    /// What happened.
    pub out: Outbox,
    /// Legs of icebergs and seconds legs that are to be placed.
    pub(super) followups: VecDeque<u64>,
    by_symbol: BTreeMap<String, usize>,
    by_token: BTreeMap<u32, usize>,
}

impl World {
    /// A world at the midnight before its first day.
    pub fn new(market: Arc<dyn Market>, setup: Setup) -> Self {
        let listed = market.listed();
        let by_symbol = listed.iter().enumerate().map(|(place, of)| (of.symbol.clone(), place)).collect();
        let by_token = listed.iter().enumerate().map(|(place, of)| (of.token, place)).collect();
        let mut world = Self {
            board: Board::new(listed, setup.fill_max.unwrap_or(i64::MAX)),
            now: stamp::at(setup.date, 0),
            hours: None,
            tape: None,
            moments: VecDeque::new(),
            orders: Orders::default(),
            account: Account::new(setup.cash),
            gtts: Gtts::default(),
            sessions: Sessions::new(&setup.api_key, &setup.api_secret, setup.request_life),
            out: Outbox::default(),
            followups: VecDeque::new(),
            by_symbol,
            by_token,
            market,
            setup,
        };
        world.open_day(world.setup.date);
        world
    }

    /// The virtual now.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// What it began with.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The market it plays.
    pub fn market(&self) -> &Arc<dyn Market> {
        &self.market
    }

    /// What each instrument did.
    pub const fn board(&self) -> &Board {
        &self.board
    }

    /// Today's hours; `None` when the market is closed.
    pub const fn hours(&self) -> Option<&Hours> {
        self.hours.as_ref()
    }

    /// When something happens next.
    pub fn next_moment(&self) -> Option<Nanos> {
        let tick = self.tape.as_ref().and_then(|tape| tape.peek());
        let moment = self.moments.front().map(|(time, _)| *time);
        [tick, moment, self.orders.next_expiry()].into_iter().flatten().min()
    }

    /// Moves to the next moment that is not after `limit`; false when there is none.
    pub fn step(&mut self, limit: Nanos) -> bool {
        let Some(next) = self.next_moment().filter(|next| *next <= limit) else {
            self.now = self.now.max(limit);
            return false;
        };
        self.now = self.now.max(next);
        while let Some((_, moment)) = self.moments.pop_front_if(|(time, _)| *time <= next) {
            self.happens(moment);
        }
        self.expire();
        while let Some(tick) =
            self.tape.as_mut().filter(|tape| tape.peek().is_some_and(|at| at <= next)).and_then(|tape| tape.next())
        {
            self.board.apply(&tick);
            self.out.ticked.push(tick.listed);
            self.meet(&tick);
        }
        self.settle();
        true
    }

    /// Plays up to a moment, in silence.
    pub fn play_to(&mut self, time: Nanos) {
        while self.step(time) {
            self.out = Outbox::default();
        }
    }

    /// The place of a symbol of the exchange.
    pub fn place_of(&self, symbol: &str) -> Option<usize> {
        self.by_symbol.get(symbol).copied()
    }

    /// The place of a token.
    pub fn place_of_token(&self, token: u32) -> Option<usize> {
        self.by_token.get(&token).copied()
    }

    /// What may be done to orders of an instrument now.
    pub fn phase(&self, listed: usize) -> Phase {
        let Some(hours) = &self.hours else { return Phase::Closed };
        let (now, auction) = (self.now, self.board.quote(listed).auction);
        if hours.pre_open.is_some_and(|span| span.contains(now)) {
            return Phase::PreOpen;
        }
        if hours.windows.iter().any(|window| window.contains(now)) && now < hours.close(auction) {
            return Phase::Continuous;
        }
        if hours.post_close.is_some_and(|span| span.contains(now)) {
            return Phase::PostClose;
        }
        if let Some((close, matching)) = hours.auction.filter(|_| auction) {
            // Ten minutes of entry before the match; market orders in the first half of them.
            if close + 5 * MINUTE <= now && now < matching.from {
                return Phase::Auction { market: now < close + 10 * MINUTE };
            }
        }
        let first = hours.pre_open.map_or(hours.open(), |span| span.from);
        let last = hours.post_close.map_or(hours.close(false), |span| span.until);
        if first <= now && now < last { Phase::Wait } else { Phase::Closed }
    }

    /// Has the broker closed what is intraday in this instrument?
    pub(super) fn is_squared_off(&self, listed: usize) -> bool {
        let auction = self.board.quote(listed).auction;
        let before = if auction { 3 } else { 10 };
        self.hours.as_ref().is_some_and(|hours| self.now >= hours.close(auction) + -before * MINUTE)
    }

    /// What open orders may come to need.
    pub(super) fn needs(&self) -> Vec<Need> {
        let waiting = self.orders.all_working();
        waiting.into_iter().map(|key| self.need_of(self.orders.get(key))).collect()
    }

    pub(super) fn need_of(&self, order: &Order) -> Need {
        let last = self.board.quote(order.listed).snapshot.last;
        Need {
            key: (order.listed, order.row.product.clone()),
            side: order.side,
            quantity: order.remaining(),
            price: order.limit.or(order.trigger).unwrap_or(last),
        }
    }

    /// Notes a change of an order for everyone who listens.
    pub(super) fn tell(&mut self, key: u64, postback: bool) {
        let row = self.orders.get(key).row.clone();
        self.out.updates.push(Update { row, postback });
    }

    /// The order of an id.
    pub(super) fn order(&self, id: &str) -> Answer<u64> {
        self.orders.find(id).ok_or_else(|| Refusal::input("Couldn't find that `order_id`."))
    }
}

impl World {
    fn open_day(&mut self, date: Date) {
        self.moments.clear();
        self.moments.push_back((stamp::at(date.next(), 0), Moment::NewDay));
        let hours = self.market.hours(date).unwrap_or_else(|error| {
            tracing::error!(%date, %error, "the hours of the day are not known: it counts as closed");
            None
        });
        let tape = hours.as_ref().map(|_| self.market.tape(date));
        self.tape = match tape {
            Some(Ok(tape)) => Some(tape),
            Some(Err(error)) => {
                tracing::error!(%date, %error, "the market of the day cannot be read: nothing trades");
                None
            }
            None => None,
        };
        self.board.open_day(self.tape.as_ref().map_or(&[], |tape| tape.listings()));
        if let Some(hours) = &hours {
            let mut moments = moments_of(hours);
            moments.extend(self.moments.drain(..));
            moments.sort_by_key(|(time, _)| *time);
            self.moments = moments.into();
        }
        self.hours = hours;
    }

    fn happens(&mut self, moment: Moment) {
        match moment {
            Moment::ReleaseCollected => self.release_collected(),
            Moment::OpeningMatch => self.match_at(|quote| quote.opening),
            Moment::SquareOff { auction } => self.square_off(auction),
            Moment::Close { auction: true } => self.close_auction_stocks(),
            Moment::Close { auction: false } => {
                self.cancel_all(|_, auction| !auction, "Order cancelled at the end of the session");
                self.clear_books();
            }
            Moment::AuctionMatch => {
                self.match_at(|quote| quote.auction.then_some(quote.snapshot.last).filter(|last| last.0 > 0));
                self.cancel_all(|_, auction| auction, "Order cancelled after the closing auction");
            }
            Moment::PostCloseEnds => self.cancel_all(|_, _| true, "Order cancelled at the end of the session"),
            Moment::NewDay => {
                let traded = self.hours.is_some();
                self.cancel_all(|_, _| true, "Order cancelled at the end of the day");
                if traded {
                    self.orders.end_day();
                    self.account.end_day();
                }
                self.gtts.expire(self.now);
                self.open_day(stamp::date_of(self.now));
            }
        }
    }

    /// Continuous trading of stocks with a closing auction is over: what cannot be in the auction goes.
    fn close_auction_stocks(&mut self) {
        let keeps = |order: &Order| {
            order.trigger.is_none() && order.row.validity != Validity::Ioc && order.row.disclosed_quantity == 0
        };
        self.cancel_all(|order, auction| auction && !keeps(order), "Order cancelled before the closing auction");
    }

    fn clear_books(&mut self) {
        for listed in 0..self.market.listed().len() {
            self.board.clear_book(listed);
        }
    }

    fn cancel_all(&mut self, which: impl Fn(&Order, bool) -> bool, why: &str) {
        for key in self.orders.all_working() {
            let order = self.orders.get(key);
            if which(order, self.board.quote(order.listed).auction) {
                self.end_order(key, Status::Cancelled, Some(why));
            }
        }
    }

    /// The broker closes what is intraday: open intraday orders go, positions are sold or bought at the market.
    fn square_off(&mut self, auction: bool) {
        let of_kind = |listed: usize| self.board.quote(listed).auction == auction;
        let intraday = |product: &Product| *product == Product::Mis;
        let orders: Vec<u64> = self
            .orders
            .all_working()
            .into_iter()
            .filter(|key| {
                let order = self.orders.get(*key);
                intraday(&order.row.product) && of_kind(order.listed)
            })
            .collect();
        let positions: Vec<(usize, i64)> = self
            .account
            .positions()
            .filter(|((listed, product), _)| intraday(product) && of_kind(*listed))
            .map(|((listed, _), position)| (*listed, position.quantity()))
            .filter(|(_, quantity)| *quantity != 0)
            .collect();
        for key in orders {
            if self.orders.get(key).is_working() {
                self.end_order(key, Status::Cancelled, Some("Order cancelled: intraday positions are squared off"));
            }
        }
        for (listed, quantity) in positions {
            let side = if quantity > 0 { Side::Sell } else { Side::Buy };
            self.broker_order(listed, side, quantity.abs());
        }
    }

    fn expire(&mut self) {
        let ended = |key: &u64| self.orders.get(*key).expires.is_some_and(|end| end <= self.now);
        let keys: Vec<u64> = self.orders.all_working().into_iter().filter(ended).collect();
        for key in keys {
            self.end_order(key, Status::Cancelled, Some("Order cancelled: its validity has ended"));
        }
    }

    /// One price for everyone, as openings and closing auctions make it.
    fn match_at(&mut self, price_of: impl Fn(&super::board::Quote) -> Option<Price>) {
        for key in self.orders.all_working() {
            let order = self.orders.get(key);
            let (listed, remaining) = (order.listed, order.remaining());
            let Some(price) = price_of(self.board.quote(listed)).filter(|_| order.trigger.is_none()) else { continue };
            let mut resting = super::market::Resting { side: order.side, limit: order.limit, trigger: None };
            if let Some(price) = self.market.trades_at(&mut resting, price) {
                self.fill(key, remaining, price);
            }
        }
        self.settle();
    }
}

fn moments_of(hours: &Hours) -> Vec<(Nanos, Moment)> {
    let close = hours.close(false);
    let mut moments = vec![
        (hours.pre_open.map_or(hours.open(), |span| span.from), Moment::ReleaseCollected),
        (close + -10 * MINUTE, Moment::SquareOff { auction: false }),
        (close, Moment::Close { auction: false }),
    ];
    if let Some(span) = hours.pre_open {
        moments.push((span.until, Moment::OpeningMatch));
    }
    if let Some((close, matching)) = hours.auction {
        moments.push((close + -3 * MINUTE, Moment::SquareOff { auction: true }));
        moments.push((close, Moment::Close { auction: true }));
        moments.push((matching.from, Moment::AuctionMatch));
    }
    if let Some(span) = hours.post_close {
        moments.push((span.until, Moment::PostCloseEnds));
    }
    moments
}
