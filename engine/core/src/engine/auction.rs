//! The closing auction: which orders it takes, and the one price at which they trade (nse.md 1.2).
//!
//! - Continuous trading ends at its begin. What a candle says that opens from there on is the auction: everything that
//!   trades, trades at that candle's close.
//! - It takes limit orders within 3 % of its reference, market orders for its first five minutes, and orders for the close
//!   whenever they were decided. Stops, immediate-or-cancel and fill-or-kill it does not take.
//! - Untriggered stops of the day end when it begins. Those that outlast the day are the engine's own doing (the exchange
//!   knows the day alone): they are not in the auction and work again in the next session.
//! - Its reference is the volume-weighted mean of closes in the quarter of an hour before it: candles say no more.
//! - Market orders it has not matched end with it. Where no candle shows it, nothing trades in it.

use super::desk::{Walk, end_order};
use super::exits::is_beyond_limit;
use super::{Core, CoreError};
use crate::exchange::Phase;
use crate::input::SessionHours;
use crate::orders::{Order, OrderRequest, Trigger};
use crate::outbox::Outbox;
use crate::rules::band;
use daybook_config::LimitFill;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{Candle, Cause, InstrumentId, Label, OrderEvent, OrderType, Price, TimeInForce, Verdict};
use serde::{Deserialize, Serialize};

/// Farthest limit price from the reference, in basis points.
const BAND_BPS: u32 = 300;

/// What is known of an instrument's auction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct AuctionState {
    /// Sum of close × volume before it, and of volume.
    value: i128,
    volume: i128,
    /// Its first candle has come.
    begun: bool,
    /// Positions have been left before it, where hours end.
    pub(super) left: bool,
}

impl Core {
    /// True for a candle that shows an auction.
    #[inline]
    pub(super) fn auctions_at(&self, id: InstrumentId, candle: &Candle, session: &SessionHours) -> bool {
        self.rules.auction(id, session).is_some_and(|hours| candle.open_time() >= hours.begins)
    }

    /// Before orders meet a candle: the reference is gathered; when the auction begins, what it does not take ends.
    pub(super) fn before_auction(
        &mut self,
        cause: Cause,
        id: InstrumentId,
        candle: &Candle,
        session: &SessionHours,
        out: &mut Outbox,
    ) {
        let Some(hours) = self.rules.auction(id, session) else { return };
        let opens = candle.open_time();
        let auction = &mut self.state.venue.auctions[id.index()];
        if opens < hours.begins {
            if opens >= hours.begins + -15 * MINUTE {
                auction.value += i128::from(candle.close().0) * i128::from(candle.volume().0);
                auction.volume += i128::from(candle.volume().0);
            }
            return;
        }
        if std::mem::replace(&mut auction.begun, true) {
            return;
        }
        let (low, high) = self.auction_band(id);
        let mut working = std::mem::take(&mut self.state.books[id.index()].working);
        for order in working.iter_mut().filter(|order| order.is_working()) {
            let waits = order.stop.is_some() && order.trigger == Trigger::Armed;
            let at_once = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
            let outside = order.limit.is_some_and(|limit| !waits && !(low..=high).contains(&limit));
            let reason = match (waits && order.time_in_force == TimeInForce::Day || at_once, outside) {
                (true, _) => "closing-auction",
                (false, true) if order.time_in_force == TimeInForce::Day => "outside-auction-band",
                _ => continue,
            };
            end_order(id, cause, order, OrderEvent::Cancelled, Label::new(reason), &mut self.state.ledger, out);
        }
        working.retain(Order::is_working);
        self.state.books[id.index()].working = working;
    }

    /// Lets orders trade in the auction, each at its one price.
    pub(super) fn walk_auction(
        &mut self,
        walk: &mut Walk<'_>,
        working: &mut Vec<Order>,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let price = walk.candle.close();
        let (low, high) = self.auction_band(walk.id);
        let through = self.rules.limit_fill == LimitFill::Through;
        let mut place = 0;
        while place < working.len() {
            let order = &working[place];
            let waits = order.stop.is_some() && order.trigger == Trigger::Armed;
            let takes = match (order.order_type, order.limit) {
                (OrderType::Market | OrderType::MarketOnClose, _) => true,
                (OrderType::Limit | OrderType::StopLimit, Some(limit)) if !waits && (low..=high).contains(&limit) => {
                    !is_beyond_limit(order.side, price, limit) && (!through || price != limit)
                }
                _ => false,
            };
            if takes && order.is_working() && order.decided <= walk.candle.open_time() {
                self.trade_order(place, (Phase::Close, price), walk, working, out)?;
            }
            place += 1;
        }
        for order in working.iter_mut().filter(|order| order.is_working()) {
            let in_it = matches!(order.order_type, OrderType::Market | OrderType::MarketOnClose);
            if in_it && order.decided <= walk.candle.open_time() {
                let reason = Label::new("auction-over");
                end_order(walk.id, walk.cause, order, OrderEvent::Cancelled, reason, &mut self.state.ledger, out);
            }
        }
        Ok(())
    }

    /// Why the auction does not take what a strategy asks for; nothing where it does, or where there is none now.
    pub(super) fn not_in_auction(&self, id: InstrumentId, request: &OrderRequest) -> Option<Verdict> {
        let now = self.state.now;
        let session = self.state.session.as_ref()?;
        let hours = self.rules.auction(id, session).filter(|hours| (hours.begins..hours.matched).contains(&now))?;
        let at_once = matches!(request.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        let taken = match request.order_type {
            OrderType::Market => (hours.entry..hours.limits_only).contains(&now),
            OrderType::MarketOnClose => now < hours.limits_only,
            OrderType::Limit => now >= hours.entry,
            OrderType::MarketOnOpen => return None,
            OrderType::Stop | OrderType::StopLimit | OrderType::TrailingStop => false,
        };
        if !taken || at_once {
            return Some(Verdict::NotInAuction);
        }
        let (low, high) = self.auction_band(id);
        request.limit.is_some_and(|limit| limit.0 > 0 && !(low..=high).contains(&limit)).then_some(Verdict::OutsideBand)
    }

    fn auction_band(&self, id: InstrumentId) -> (Price, Price) {
        let auction = &self.state.venue.auctions[id.index()];
        let mean = if auction.volume > 0 { auction.value / auction.volume } else { 0 };
        let last = self.state.books[id.index()].last;
        let reference = i64::try_from(mean).ok().filter(|mean| *mean > 0).map_or(last, Price);
        band(reference, BAND_BPS, self.setup.instruments[id.index()].tick)
    }
}
