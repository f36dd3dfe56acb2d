//! Limits as they are configured, and the hours they allow in a session.
//!
//! - What the setup says is not state: limits are handed to a restored core again.
//! - A limit that is not set is not checked. [`RiskLimits::default`] checks nothing.
//! - Percentages are exact: `value × 100 > equity × percent` is compared in 128 bits, nothing is divided.

use crate::input::SessionHours;
use daybook_config::Settings;
use daybook_config::TimeOfDay;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{BasisPoints, Interval, Money, Nanos, Price, Quantity, Ratio, Side};

/// Every limit of an account, and what a policy trades with. Names are those of the settings under `risk.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskLimits {
    /// What the clock of the exchange is ahead of UTC by, in nanoseconds: times of day are the exchange's.
    pub zone: i64,
    /// No entry before it.
    pub safe_trading_start: Option<TimeOfDay>,
    /// No entry from it on; a policy leaves its trades.
    pub safe_trading_end: Option<TimeOfDay>,
    /// By it everything is flat.
    pub hard_trading_end: Option<TimeOfDay>,
    /// Oldest last price an entry may be judged by, in seconds.
    pub max_age_seconds: Option<u32>,
    /// Farthest limit or stop price of an entry from the last price.
    pub max_deviation_bps: Option<BasisPoints>,
    /// How far beyond the last price a market order that enters may fill: it goes out as a limit there.
    pub max_slippage_bps: Option<BasisPoints>,
    /// Largest quantity of an order that enters.
    pub max_order_quantity: Option<Quantity>,
    /// Largest value of an order that enters.
    pub max_order_value: Option<Money>,
    /// Largest position in one name.
    pub max_position_quantity: Option<Quantity>,
    /// Largest value of a position in one name, when it is entered.
    pub max_position_value: Option<Money>,
    /// Largest share of the equity in one name, in percent.
    pub max_concentration_pct: Option<Ratio>,
    /// Most names held or being entered.
    pub max_concurrent_trades: Option<u32>,
    /// Largest sum of longs and shorts.
    pub max_gross: Option<Money>,
    /// Largest difference of longs and shorts.
    pub max_net: Option<Money>,
    /// Largest gross exposure in multiples of the equity.
    pub max_leverage: Option<Ratio>,
    /// Margin in percent of the value of longs and shorts alike (MIS: 20). Without it a long is paid in full and a
    /// short locks what it received and as much again.
    pub margin_pct: Option<Ratio>,
    /// Margin that longs must keep, in percent; `margin_pct` where it is not set.
    pub maintenance_pct: Option<Ratio>,
    /// The same of shorts; as longs where it is not set.
    pub short_maintenance_pct: Option<Ratio>,
    /// Most orders, modifications and cancels in any minute.
    pub max_orders_per_minute: Option<u32>,
    /// Least time between two orders that enter, in milliseconds.
    pub order_min_interval_ms: Option<u32>,
    /// Least time until an entry like one that still works, in milliseconds.
    pub duplicate_ms: Option<u32>,
    /// Largest loss of a session.
    pub daily_max_loss: Option<Money>,
    /// The same in percent of the equity it began with.
    pub daily_max_loss_pct: Option<Ratio>,
    /// The same in R.
    pub daily_max_loss_r: Option<Ratio>,
    /// Largest fall from the peak of the equity, in percent of the peak.
    pub max_drawdown_pct: Option<Ratio>,
    /// The most the equity was before, from which a fall is counted; no limit by itself.
    pub equity_peak: Option<Money>,
    /// Whether a limit that trips leaves every position.
    pub flatten_on_trip: bool,
    /// What a policy commits to one trade, before leverage.
    pub capital_per_ticker: Money,
    /// How many times of that it buys.
    pub leverage: Ratio,
    /// Distance of a policy's trailing stop in R.
    pub trailing_stop_r: Ratio,
    /// Distance of a policy's first stop in average true ranges.
    pub initial_stop_atr: Ratio,
}

impl Default for RiskLimits {
    fn default() -> Self {
        Self::of(&Settings::default(), 0)
    }
}

impl RiskLimits {
    /// The limits of settings, for an exchange whose clock is `zone` nanoseconds ahead of UTC.
    pub fn of(settings: &Settings, zone: i64) -> Self {
        Self {
            zone,
            safe_trading_start: settings.risk_safe_trading_start,
            safe_trading_end: settings.risk_safe_trading_end,
            hard_trading_end: settings.risk_hard_trading_end,
            max_age_seconds: settings.risk_max_age_seconds,
            max_deviation_bps: settings.risk_max_deviation_bps,
            max_slippage_bps: settings.risk_max_slippage_bps,
            max_order_quantity: settings.risk_max_order_quantity,
            max_order_value: settings.risk_max_order_value,
            max_position_quantity: settings.risk_max_position_quantity,
            max_position_value: settings.risk_max_position_value,
            max_concentration_pct: settings.risk_max_concentration_pct,
            max_concurrent_trades: settings.risk_max_concurrent_trades,
            max_gross: settings.risk_max_gross,
            max_net: settings.risk_max_net,
            max_leverage: settings.risk_max_leverage,
            margin_pct: settings.risk_margin_pct,
            maintenance_pct: settings.risk_maintenance_pct,
            short_maintenance_pct: settings.risk_short_maintenance_pct,
            max_orders_per_minute: settings.risk_max_orders_per_minute,
            order_min_interval_ms: settings.risk_order_min_interval_ms,
            duplicate_ms: settings.risk_duplicate_ms,
            daily_max_loss: settings.risk_daily_max_loss,
            daily_max_loss_pct: settings.risk_daily_max_loss_pct,
            daily_max_loss_r: settings.risk_daily_max_loss_r,
            max_drawdown_pct: settings.risk_max_drawdown_pct,
            equity_peak: settings.risk_equity_peak,
            flatten_on_trip: settings.risk_flatten_on_trip,
            capital_per_ticker: settings.risk_capital_per_ticker,
            leverage: settings.risk_leverage,
            trailing_stop_r: settings.risk_trailing_stop_r,
            initial_stop_atr: settings.risk_initial_stop_atr,
        }
    }

    /// True when a limit is set: without one the account pays nothing for the gate.
    pub fn is_any(&self) -> bool {
        let nothing = Self::default();
        let what_a_policy_trades_with = Self {
            zone: self.zone,
            equity_peak: self.equity_peak,
            flatten_on_trip: self.flatten_on_trip,
            capital_per_ticker: self.capital_per_ticker,
            leverage: self.leverage,
            trailing_stop_r: self.trailing_stop_r,
            initial_stop_atr: self.initial_stop_atr,
            ..nothing
        };
        *self != what_a_policy_trades_with
    }

    /// The hours of a session: each the earlier of setting and calendar. Bars of a day or more know no hour: what is
    /// decided at their close works in the next session.
    ///
    /// What is set is also no later than `latest`: the broker's own end of intraday positions, less a margin.
    pub fn hours(&self, session: &SessionHours, interval: Interval, latest: Nanos) -> TradingHours {
        if interval >= Interval::DAY {
            return TradingHours { start: Nanos::MIN, end: Nanos::MAX, hard_end: Nanos::MAX };
        }
        let midnight = session.date.midnight() + -self.zone;
        let at = |time: Option<TimeOfDay>| time.map(|time| midnight + i64::from(time.seconds()) * SECOND);
        let until = |time| at(time).map_or(Nanos::MAX, |time: Nanos| time.min(session.close).min(latest));
        TradingHours {
            start: at(self.safe_trading_start).map_or(Nanos::MIN, |time| time.max(session.open)),
            end: until(self.safe_trading_end),
            hard_end: until(self.hard_trading_end),
        }
    }
}

/// RL-27: the worst price at which a market order of a side may fill, so many basis points beyond the last price and on
/// the tick, rounded towards that price. Nothing where that is no price.
pub fn guard_price(side: Side, last: Price, bps: BasisPoints, tick: Price) -> Option<Price> {
    let away = i128::from(last.0) * i128::from(bps.0) / (10_000 * i128::from(SCALE));
    let step = i128::from(tick.0.max(1));
    let guard = match side {
        Side::Buy => (i128::from(last.0) + away) / step * step,
        Side::Sell => (i128::from(last.0) - away + step - 1) / step * step,
    };
    i64::try_from(guard).ok().filter(|guard| *guard > 0).map(Price)
}

/// What a session allows when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradingHours {
    /// Entries are allowed from here.
    pub start: Nanos,
    /// Entries are no longer allowed from here.
    pub end: Nanos,
    /// Everything is flat by here.
    pub hard_end: Nanos,
}

/// True when `amount` is above so many percent of `whole`; a whole that is not positive allows nothing.
pub fn above_percent(amount: i128, whole: Money, percent: Ratio) -> bool {
    amount.saturating_mul(100 * i128::from(SCALE)) > whole.0.max(0).saturating_mul(percent.0.into())
}

/// So many percent of an amount, rounded up: what is needed is never understated.
pub fn percent_up(amount: Money, percent: Ratio) -> Money {
    let (product, whole) = (amount.0.saturating_mul(percent.0.into()), 100 * i128::from(SCALE));
    Money(product.div_euclid(whole) + i128::from(product.rem_euclid(whole) != 0))
}
