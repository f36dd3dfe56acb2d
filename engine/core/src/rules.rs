//! The rules of the simulated exchange and of the broker before it, as they are configured.
//!
//! - What the setup says is not state: rules are handed to a restored core again.
//! - [`ExchangeRules::default`] is the plain exchange: it asks nothing of an order and fills at a touch.
//! - Values that differ by symbol are looked up once, here; the path of a candle indexes vectors.

use crate::input::SessionHours;
use crate::targets::Targets;
use daybook_config::{
    BpsRange, BuyingPower, ExitsFrom, FillBar, LimitFill, Liquidity, MarketPrice, OffTick, Product, Sequence, Settings,
    StopBasis, StopFill, TradingTime, TrailFrom, TrailTiming, WrongSide,
};
use daybook_vocabulary::time::{MINUTE, SECOND};
use daybook_vocabulary::{Date, Instrument, InstrumentId, Money, Nanos, Price, Quantity, Ratio};

/// What exchange and broker ask of orders, and when orders trade.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExchangeRules {
    /// When a limit order fills inside a candle.
    pub limit_fill: LimitFill,
    /// What becomes of a strategy's price between two ticks.
    pub off_tick: OffTick,
    /// What becomes of a strategy's stop that the market is already beyond.
    pub wrong_side: WrongSide,
    /// The day's price band by instrument, in basis points of the previous close; empty where no instrument has one.
    pub bands: Vec<Option<u32>>,
    /// When orders trade.
    pub hours: TradingTime,
    /// When and for how much the broker squares positions off.
    pub square_off: Option<SquareOff>,
    /// Nanoseconds from a decision to the exchange.
    pub latency: i64,
    /// Nanoseconds from the exchange back.
    pub answer: i64,
    /// Where a market order trades.
    pub fill_bar: FillBar,
    /// In which order the orders of an instrument meet a candle.
    pub sequence: Sequence,
    /// From when on the exits of a bracket work.
    pub exits_from: ExitsFrom,
    /// What a trailing stop follows.
    pub trail_from: TrailFrom,
    /// Candles of its instrument that an order of a strategy lets pass.
    pub lag_bars: u32,
    /// Price of its candle at which a market order trades; nothing where the fill bar says it.
    pub market_price: Option<MarketPrice>,
    /// Where a stop fills that is touched inside a candle.
    pub stop_fill: StopFill,
    /// What the distances of a bracket are measured from.
    pub stop_basis: StopBasis,
    /// When a trailing stop follows a candle.
    pub trail_timing: TrailTiming,
    /// What pays for orders.
    pub buying_power: BuyingPower,
    /// Sessions until a delivered sale pays for purchases; 0 for at once.
    pub settlement: u32,
    /// Part of the equity, in percent, that purchases leave in cash.
    pub cash_buffer: Option<Ratio>,
    /// What portfolios trade by.
    pub targets: Targets,
    /// Which instruments close in an auction of their own, by instrument; empty where none does.
    pub auctions: Vec<bool>,
    /// When instruments expire; empty where none does.
    pub expiries: Vec<Nanos>,
    /// The least and the largest share of a candle, where the cap follows how busy it is.
    pub adaptive_cap: Option<BpsRange>,
    /// How much there is to trade on a candle.
    pub liquidity: Liquidity,
    /// Most there is of single instruments; empty where none has a cap of its own.
    pub caps: Vec<Quantity>,
    /// Sessions whose mean volume is the average daily volume; 0 for twenty.
    pub adv_sessions: u32,
}

/// The broker's way of ending a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SquareOff {
    /// Nanoseconds after midnight UTC of the session's date; negative where the zone is ahead of the time.
    pub after_midnight: i64,
    /// The same for instruments on days on which they close in an auction.
    pub before_auction: i64,
    /// What it costs for each position, before tax.
    pub fee: Money,
}

impl SquareOff {
    /// When positions of a session are squared off. A session that does not have that time, or ends within ten minutes
    /// of it, is left a quarter of an hour before it ends, as brokers do on evenings and half days.
    pub fn at(&self, session: &SessionHours, closes_in_auction: bool) -> Nanos {
        let after = if closes_in_auction { self.before_auction } else { self.after_midnight };
        let at = session.date.midnight() + after;
        let in_time = session.open < at && at + 10 * MINUTE <= session.close;
        if in_time { at } else { session.open.max(session.close + -15 * MINUTE) }
    }
}

impl ExchangeRules {
    /// The rules of settings, for instruments of an exchange whose clock is `zone` nanoseconds ahead of UTC.
    pub fn of(settings: &Settings, instruments: &[Instrument], zone: i64) -> Self {
        let band = |instrument: &Instrument| {
            settings.exchange_bands.get(&instrument.symbol).copied().unwrap_or(settings.exchange_band_bps)
        };
        let bands: Vec<_> = instruments.iter().map(band).collect();
        let expiry = |instrument: &Instrument| match settings.exchange_expiries.get(&instrument.symbol) {
            // It trades through its last date.
            Some(date) => date.next().midnight() + -zone,
            None => Nanos::MAX,
        };
        let cap = |instrument: &Instrument| {
            settings.exchange_liquidity_caps.get(&instrument.symbol).copied().unwrap_or(Quantity(i64::MAX))
        };
        let of_day = |time: daybook_config::TimeOfDay| i64::from(time.seconds()) * SECOND - zone;
        let square_off = (settings.exchange_product == Product::Intraday).then(|| SquareOff {
            after_midnight: of_day(settings.exchange_square_off),
            before_auction: of_day(settings.exchange_auction_square_off),
            fee: settings.exchange_square_off_fee,
        });
        let within_an_hour = |ns: u64| i64::try_from(ns).unwrap_or(60 * MINUTE);
        Self {
            limit_fill: settings.exchange_limit_fill,
            fill_bar: settings.exchange_fill_bar,
            sequence: settings.exchange_sequence,
            exits_from: settings.exchange_exits_from,
            trail_from: settings.exchange_trail_from,
            lag_bars: settings.exchange_lag_bars,
            market_price: settings.exchange_market_price,
            stop_fill: settings.exchange_stop_fill,
            stop_basis: settings.exchange_stop_basis,
            trail_timing: settings.exchange_trail_timing,
            buying_power: settings.exchange_buying_power,
            // Margin and intraday positions know no settlement.
            settlement: match settings.risk_margin_pct.is_some() || square_off.is_some() {
                true => 0,
                false => settings.exchange_settlement,
            },
            cash_buffer: settings.exchange_cash_buffer_pct,
            targets: Targets::of(settings),
            auctions: match &settings.exchange_closing_auction {
                names if names.is_empty() => Vec::new(),
                names => instruments.iter().map(|instrument| names.contains(&instrument.symbol)).collect(),
            },
            off_tick: settings.exchange_off_tick,
            wrong_side: settings.exchange_wrong_side,
            bands: if bands.iter().any(Option::is_some) { bands } else { Vec::new() },
            hours: settings.exchange_hours,
            square_off,
            latency: within_an_hour(settings.exchange_latency_ns),
            answer: within_an_hour(settings.exchange_answer_ns),
            expiries: match settings.exchange_expiries.is_empty() {
                true => Vec::new(),
                false => instruments.iter().map(expiry).collect(),
            },
            adaptive_cap: settings.exchange_adaptive_cap,
            liquidity: settings.exchange_liquidity,
            caps: match settings.exchange_liquidity_caps.is_empty() {
                true => Vec::new(),
                false => instruments.iter().map(cap).collect(),
            },
            adv_sessions: settings.exchange_adv_sessions,
        }
    }

    /// Something is asked of orders that the plain exchange does not ask.
    pub fn screens(&self) -> bool {
        self.off_tick == OffTick::Refuse
            || self.wrong_side == WrongSide::Refuse
            || !self.bands.is_empty()
            || self.square_off.is_some()
            || !self.expiries.is_empty()
            || !self.auctions.is_empty()
            || self.buying_power == BuyingPower::Free
    }

    /// Orders meet a candle otherwise than along the plain path.
    pub fn chooses_prices(&self) -> bool {
        self.market_price.is_some_and(|price| price != MarketPrice::Open)
            || self.stop_fill != StopFill::Stop
            || self.trail_timing != TrailTiming::After
            || self.sequence == Sequence::ExitsFirst
    }

    /// The tick to which prices of orders are taken; zero where they stay as they are.
    #[inline]
    pub fn tick(&self, instrument: &Instrument) -> Price {
        if self.off_tick == OffTick::Keep { Price::ZERO } else { instrument.tick }
    }

    /// The hours of an instrument's closing auction in a session; nothing where it has none that day.
    #[inline]
    pub fn auction(&self, id: InstrumentId, session: &SessionHours) -> Option<AuctionHours> {
        let has = self.auctions.get(id.index()).copied().unwrap_or(false);
        if has { AuctionHours::of(session) } else { None }
    }

    /// When the broker leaves positions of the session by itself, of instruments that close in an auction or of others.
    pub fn leaves_at(&self, session: &SessionHours, closes_in_auction: bool) -> Option<Nanos> {
        self.square_off.as_ref().map(|square_off| square_off.at(session, closes_in_auction))
    }

    /// There is less to trade than the candle says.
    pub fn limits_liquidity(&self) -> bool {
        self.liquidity != Liquidity::Volume || !self.caps.is_empty()
    }

    /// Something may happen at a candle before orders trade on it.
    pub const fn acts(&self) -> bool {
        self.square_off.is_some()
            || self.latency > 0
            || matches!(self.liquidity, Liquidity::Depleting(..))
            || !matches!(self.fill_bar, FillBar::Next)
            || !self.auctions.is_empty()
            || self.adaptive_cap.is_some()
            || self.lag_bars > 0
    }

    /// Orders do not trade on every candle.
    pub fn bars_candles(&self) -> bool {
        self.hours == TradingTime::Continuous || !self.bands.is_empty()
    }
}

/// First date of NSE's closing auction for stocks with derivatives.
const AUCTIONS_FROM: Date = Date(20_668);

/// A closing auction, nse.md 1.2: trading that is continuous ends a quarter of an hour before the session, orders are
/// taken for ten minutes, market orders for the first five of them, and one price is made at the session's close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuctionHours {
    /// Continuous trading ends; the reference price is the mean of the quarter of an hour before.
    pub begins: Nanos,
    /// Orders are taken from here.
    pub entry: Nanos,
    /// Market orders are no longer taken from here.
    pub limits_only: Nanos,
    /// The price is made: orders are no longer taken.
    pub matched: Nanos,
}

impl AuctionHours {
    /// The auction of a session: of whole ordinary days since it exists. Evenings, half days and drills have none.
    pub fn of(session: &SessionHours) -> Option<Self> {
        let whole = session.close - session.open == 375 * MINUTE;
        let close = session.close;
        (session.date >= AUCTIONS_FROM && whole).then(|| Self {
            begins: close + -15 * MINUTE,
            entry: close + -10 * MINUTE,
            limits_only: close + -5 * MINUTE,
            matched: close,
        })
    }
}

/// The lowest and highest price of a day: `previous × (1 ∓ bps / 10,000)`, taken inwards to the tick.
pub fn band(previous: Price, bps: u32, tick: Price) -> (Price, Price) {
    let away = i128::from(previous.0) * i128::from(bps) / 10_000;
    let tick = i128::from(tick.0.max(1));
    let low = i128::from(previous.0) - away;
    let low = (low + tick - 1).div_euclid(tick) * tick;
    let high = (i128::from(previous.0) + away).div_euclid(tick) * tick;
    let price = |units: i128| Price(i64::try_from(units).unwrap_or(i64::MAX));
    (price(low), price(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::Date;

    #[test]
    fn a_band_is_taken_inwards_to_the_tick() {
        let band = |previous: &str, bps, tick: &str| {
            let (low, high) = band(previous.parse().unwrap(), bps, tick.parse().unwrap());
            (low.to_string(), high.to_string())
        };
        assert_eq!(band("100", 2_000, "0.05"), ("80".into(), "120".into()));
        assert_eq!(band("101.03", 500, "0.05"), ("96".into(), "106.05".into()));
        assert_eq!(band("101.03", 500, "0"), ("95.9785".into(), "106.0815".into()));
    }

    /// nse.md 1.3: 15:20 on an ordinary day; a quarter of an hour before the end of an evening session.
    #[test]
    fn the_broker_knows_short_sessions() {
        const ZONE: i64 = 330 * MINUTE;
        let (after_midnight, before_auction) = (920 * MINUTE - ZONE, 912 * MINUTE - ZONE);
        let square_off = SquareOff { after_midnight, before_auction, fee: Money::ZERO };
        let session = |open: i64, close: i64| {
            let midnight = Date(20_000).midnight() + -ZONE;
            SessionHours { date: Date(20_000), open: midnight + open * MINUTE, close: midnight + close * MINUTE }
        };
        let minute =
            |session: SessionHours| (square_off.at(&session, false) - (Date(20_000).midnight() + -ZONE)) / MINUTE;
        assert_eq!(minute(session(555, 930)), 920);
        assert_eq!(minute(session(1_095, 1_155)), 1_140);
        assert_eq!(minute(session(555, 750)), 735);
        assert_eq!(minute(session(555, 560)), 555);
        assert_eq!(square_off.at(&session(555, 930), true) - session(555, 930).close, -18 * MINUTE, "15:12");
    }
}
