//! Trades of a live market: what works is filled by them, the mark follows them, bars are built from them.
//!
//! - A print is a candle of one price: it meets orders where that candle would, so that paper and backtest are one code.
//!   Where quotes or books drive the instrument it fills only what rests (`ticks.rs`).
//! - It belongs to the bar of its exchange time. A bar is finished by the first print of a later one, or by the slice of
//!   its end; what comes in after that moves the mark and belongs to no bar.
//! - Before the session opens and after its continuous trading has ended no print counts: auctions have bars of their own.
//! - Must never: let a print decide. Decisions are the slice's.

use super::{Core, CoreError};
use crate::input::SessionHours;
use crate::outbox::Outbox;
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{Candle, Cause, InstrumentId, Interval, TradePrint};

impl Core {
    // Live alone: kept out of the loop that replays candles.
    #[inline(never)]
    pub(super) fn on_print(
        &mut self,
        cause: Cause,
        id: InstrumentId,
        traded: &TradePrint,
        out: &mut Outbox,
    ) -> Result<(), CoreError> {
        let Some(session) = self.state.session else { return Ok(()) };
        let at = traded.exchange_time();
        if !traded.is_sound() || at < session.open || at >= session.close {
            return Ok(());
        }
        self.state.prints = true;
        self.state.cause = cause;
        let timeframe = self.timeframe();
        let candle = as_candle(traded);
        let book = &mut self.state.books[id.index()];
        book.cause = cause;
        if !book.working.is_empty() {
            if self.is_ticked(id) && !self.brokered {
                self.work_print(cause, id, traded, out);
            } else {
                self.work(cause, id, &candle, &session, out)?;
            }
        }
        self.mark(id, &candle);
        if self.keeps {
            self.keep_at_market(id, out);
        }
        // Only a later print can tell that a bar has ended, so the bar is told the exchange's time.
        let [ended, closed] = self.state.books[id.index()].building.add(&candle, at, &session, timeframe);
        assert!(closed.is_none(), "a print lies before the end of its bar");
        if let Some(bar) = ended {
            self.finish_bar(id, &bar, out);
        }
        Ok(())
    }

    /// The slice of their end finishes the bars that no later print has finished.
    #[inline(never)]
    pub(super) fn finish_bars(&mut self, session: &SessionHours, out: &mut Outbox) {
        let (now, timeframe) = (self.state.now, self.timeframe());
        for index in 0..self.state.books.len() {
            if let Some(bar) = self.state.books[index].building.finish_by(now, session, timeframe) {
                self.finish_bar(InstrumentId(index as u32), &bar, out);
            }
        }
    }

    fn finish_bar(&mut self, id: InstrumentId, bar: &Candle, out: &mut Outbox) {
        let warming = bar.open_time() < self.setup.decide_from;
        let book = &mut self.state.books[id.index()];
        book.bars += 1;
        let held = !book.position.quantity.is_zero();
        self.state.counts.bars += u64::from(!warming);
        self.state.counts.bars_in_market += u64::from(held);
        self.learn(id, bar, out);
        if !warming {
            self.state.fresh.push(id);
        }
    }

    /// Length of the bars that strategies see.
    fn timeframe(&self) -> Interval {
        self.setup.timeframe.unwrap_or(self.setup.interval)
    }
}

/// It lasts no time: none is known to be the session's last, so orders for the close do not take it for that.
fn as_candle(traded: &TradePrint) -> Candle {
    let interval = Interval(0);
    let price = traded.price();
    Candle::new(CandleParts {
        open_time: traded.exchange_time(),
        interval,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: traded.quantity(),
        revises: false,
    })
}
